"""Digest access authentication, both sides: MD5 and SHA-256, qop "auth".  RFC 7616, 8760, 3261 22.

The server keeps no state for a challenge: a nonce carries its time and a keyed hash of it.  Only
nonces that were used rightly are remembered, with their highest count, so that neither a replay nor
a flood of challenges finds anything to grow.  Known and unknown users cost the same hashes.
"""

from firmware.errors import RemoteError
from firmware.proto.sip.text import hexadecimal, is_hex, octets, quote, same_text, split_outside, unquote
from firmware.proto.sip.uri import parse_uri

OK = "ok"
MISSING = "missing"
STALE = "stale"
WRONG = "wrong"
_BLOCK_OCTETS = 64               # of MD5 and SHA-256, for HMAC (RFC 2104)


def parse_digest(value):
    """"Digest name=value, ..." to {name lower case: text}, or None for another scheme.

    Raises RemoteError(400) for a malformed one."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    parameters = {}
    pieces = split_outside(rest.replace("\t", " "), ",")
    if pieces is None:
        raise RemoteError("Digest: a quote is not closed", status=400)
    for piece in pieces:
        if not piece.strip():
            continue
        name, equals, item = piece.partition("=")
        name = name.strip().lower()
        if not equals or not name or name in parameters:
            raise RemoteError("Digest: bad parameter", status=400)
        parameters[name] = unquote(item.strip())
    return parameters


def named_by(values):
    """The user whom Authorization values name, "" for none.  Raises RemoteError."""
    for value in values:
        given = parse_digest(value)
        if given is not None:
            return given.get("username") or ""
    return ""


def keyed_hash(function, key, data):
    """HMAC of data octets with one of the injected hash functions (RFC 2104)."""
    if len(key) > _BLOCK_OCTETS:
        key = function(key)
    key = key + bytes(_BLOCK_OCTETS - len(key))
    inner = function(bytes([octet ^ 0x36 for octet in key]) + data)
    return function(bytes([octet ^ 0x5C for octet in key]) + inner)


def hash_text(function, string):
    """Lower-case hexadecimal hash of octet text."""
    return hexadecimal(function(octets(string)))


def ha1(function, user, realm, password):
    """H(user:realm:password), the form in which a password may be stored."""
    return hash_text(function, "%s:%s:%s" % (user, realm, password))


def response_of(function, ha1_text, method, uri, nonce, qop="", count="", cnonce=""):
    """request-digest of RFC 7616 3.4.1; qop "" is the older form without cnonce."""
    ha2 = hash_text(function, "%s:%s" % (method, uri))
    if qop:
        return hash_text(function, ":".join((ha1_text, nonce, count, cnonce, qop, ha2)))
    return hash_text(function, ":".join((ha1_text, nonce, ha2)))


class DigestServer:
    """Challenges and verifies.  algorithms: names in order of preference; each is one challenge."""

    def __init__(self, realm, algorithms, hash_functions, random, max_age_ms):
        self.realm = realm
        self.algorithms = [name for name in algorithms if name in hash_functions]
        self._hash = hash_functions
        self._mac = hash_functions.get("SHA-256") or hash_functions["MD5"]
        self._random = random
        self._secret = random(32)
        self._max_age_ms = max_age_ms
        self._used = {}
        self._used_before = {}
        self._turned_ms = None
        self.guessed = False
        self._nobody = {}
        for name in sorted(hash_functions):
            self._nobody[name] = hexadecimal(random(32 if name == "SHA-256" else 16))

    def _sign(self, stamp, host):
        return hexadecimal(keyed_hash(self._mac, self._secret, octets(stamp + host))[:12])

    def challenges(self, now_ms, stale=False, host=""):
        """Values of the WWW-Authenticate headers, one for each algorithm.  host: the only one whose answer is taken."""
        stamp = "%x-%s" % (now_ms, hexadecimal(self._random(8)))
        nonce = "%s-%s" % (stamp, self._sign(stamp, host))
        out = []
        for name in self.algorithms:
            out.append('Digest realm=%s, nonce="%s"%s, algorithm=%s, qop="auth"'
                       % (quote(self.realm), nonce, ", stale=true" if stale else "", name))
        return out

    def is_fresh(self, nonce, now_ms, host=""):
        """Whether a nonce is ours, went to a host and is young enough."""
        stamp, _, sign = nonce.rpartition("-")
        if not same_text(self._sign(stamp, host), sign):
            return False
        made, _, _ = stamp.partition("-")
        return is_hex(made) and len(made) <= 16 and -1000 <= now_ms - int(made, 16) <= self._max_age_ms

    def _count_rises(self, nonce, count, now_ms):
        """True for a nonce count not seen yet.  Two generations, each as long as a nonce lives."""
        if self._turned_ms is None or now_ms - self._turned_ms > self._max_age_ms:
            self._used_before = self._used
            self._used = {}
            self._turned_ms = now_ms
        last = self._used.get(nonce, self._used_before.get(nonce, 0))
        if count <= last:
            return False
        self._used[nonce] = count
        return True

    def verify(self, values, method, request_uri, user, secret_of, now_ms, host=""):
        """Check Authorization values for a user.

        secret_of(user, algorithm) -> HA1 text or None.  Returns OK, MISSING (no credentials for
        this realm), STALE (right, but the nonce is old, used or another host's) or WRONG; then guessed says whether the sender has
        read our challenge."""
        self.guessed = False
        for value in values:
            given = parse_digest(value)
            if given is None or given.get("realm") != self.realm:
                continue
            algorithm = (given.get("algorithm") or "MD5").upper()
            if algorithm not in self.algorithms:
                continue
            return self._verify_one(given, algorithm, method, request_uri, user, secret_of, now_ms, host)
        return MISSING

    def _verify_one(self, given, algorithm, method, request_uri, user, secret_of, now_ms, host):
        function = self._hash[algorithm]
        secret = secret_of(user, algorithm)
        known = secret is not None and given.get("username") == user
        qop = (given.get("qop") or "").lower()
        count = given.get("nc") or ""
        nonce = given.get("nonce") or ""
        expected = response_of(function, secret if known else self._nobody[algorithm], method,
                               given.get("uri") or "", nonce, given.get("qop") or "", count, given.get("cnonce") or "")
        right = same_text(expected, (given.get("response") or "").lower())
        if not (known and right) or qop not in ("", "auth") or not _same_resource(given.get("uri") or "", request_uri):
            self.guessed = self.is_fresh(nonce, now_ms, host)
            return WRONG
        if qop and not (len(count) == 8 and is_hex(count)):
            return WRONG
        if not self.is_fresh(nonce, now_ms, host):
            return STALE
        return OK if self._count_rises(nonce, int(count, 16) if qop else 1, now_ms) else STALE


def _same_resource(given, request_uri):
    """The digest uri names the host of the Request-URI.

    RFC 7616 3.4.6 wants the same resource; user parts are left aside as clients drop them (sipp
    does), which costs nothing: a count is never taken twice, so no credentials serve another call."""
    if given == request_uri:
        return True
    try:
        return parse_uri(given).host == parse_uri(request_uri).host
    except RemoteError:
        return False


def answer_challenge(values, method, uri, credentials, hash_functions, cnonce, count=1):
    """Answer the first challenge that can be answered.

    values: WWW- or Proxy-Authenticate values; credentials: {realm: [user, password]}, realm "*"
    fits all.  Returns the value of the Authorization header, or None."""
    for value in values:
        try:
            asked = parse_digest(value)
        except RemoteError:
            continue
        if asked is None:
            continue
        realm = asked.get("realm") or ""
        pair = credentials.get(realm) or credentials.get("*")
        algorithm = (asked.get("algorithm") or "MD5").upper()
        function = hash_functions.get(algorithm)
        offered = [item.strip().lower() for item in (asked.get("qop") or "").split(",")]
        if pair is None or function is None or (asked.get("qop") and "auth" not in offered):
            continue
        qop = "auth" if asked.get("qop") else ""
        count_text = "%08x" % count
        nonce = asked.get("nonce") or ""
        secret = ha1(function, pair[0], realm, pair[1])
        out = ("Digest username=%s, realm=%s, nonce=%s, uri=%s, response=\"%s\", algorithm=%s"
               % (quote(pair[0]), quote(realm), quote(nonce), quote(uri),
                  response_of(function, secret, method, uri, nonce, qop, count_text, cnonce), algorithm))
        if qop:
            out += ", qop=auth, nc=%s, cnonce=%s" % (count_text, quote(cnonce))
        if "opaque" in asked:
            out += ", opaque=%s" % quote(asked["opaque"])
        return out
    return None
