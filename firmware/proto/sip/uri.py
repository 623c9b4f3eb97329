"""SIP and SIPS URIs: parse, build, compare.  RFC 3261 19.1, RFC 5118 4."""

from firmware.errors import RemoteError
from firmware.proto.sip.text import (ALPHANUMERIC, UNRESERVED, escape, is_digits, is_hex, is_token, number,
                                     unescape)

_USER_ALLOWED = frozenset(ALPHANUMERIC + "-_.!~*'()&=+$,;?/%#")   # phones send a bare '#'
_PARAMETER = frozenset(ALPHANUMERIC + "-_.!~*'()[]/:&+$%")
_HOST = frozenset(ALPHANUMERIC + "-._")                            # '_' stands in real host names
MAX_PARAMETERS = 64                                                # ours
_IPV6 = frozenset("0123456789abcdefABCDEF:.")
KNOWN_MOST, KNOWN_OCTETS = 2048, 200    # URIs remembered: one call names the same few in each of its messages; ours
_known = {}


class SIPURI:
    """Parts of a sip or sips URI.

    user, password: octet text with its escapes, or None.  host: lower case, IPv6 in
    brackets.  port: int or None.  parameters, headers: [(name lower case, value or None)]."""
    __slots__ = ("scheme", "user", "password", "host", "port", "parameters", "headers")

    def __init__(self, scheme, user, host, port=None, parameters=(), headers=(), password=None):
        self.scheme = scheme
        self.user = user
        self.password = password
        self.host = host
        self.port = port
        self.parameters = list(parameters)
        self.headers = list(headers)

    def parameter(self, name):
        """Value of a parameter ("" where it has none), or None where it is absent."""
        for key, value in self.parameters:
            if key == name:
                return value or ""
        return None

    def plain_user(self):
        """The user part as it is meant: escapes undone, "" where there is none."""
        return unescape(self.user or "")

    def __str__(self):
        out = [self.scheme, ":"]
        if self.user is not None:
            out.append(self.user)
            if self.password is not None:
                out.append(":" + self.password)
            out.append("@")
        out.append(host_port(self.host, self.port))
        for name, value in self.parameters:
            out.append(";" + name if value is None else ";%s=%s" % (name, value))
        mark = "?"
        for name, value in self.headers:
            out.append("%s%s=%s" % (mark, name, value or ""))
            mark = "&"
        return "".join(out)

    def key(self):
        """What two URIs of one resource share here: scheme, user, host, port and the
        parameters that 19.1.4 compares even where only one side has them."""
        kept = [(name, unescape(value or "").lower()) for name, value in self.parameters
                if name in ("user", "ttl", "method", "maddr", "transport")]
        kept.sort()
        return (self.scheme, self.plain_user(), unescape(self.password or ""), self.host, self.port, tuple(kept))

    def same_as(self, other):
        """Equality of RFC 3261 19.1.4."""
        if self.key() != other.key():
            return False
        for name, value in self.parameters:
            theirs = other.parameter(name)
            if theirs is not None and unescape(theirs).lower() != unescape(value or "").lower():
                return False
        return (sorted([(unescape(n).lower(), unescape(v or "")) for n, v in self.headers])
                == sorted([(unescape(n).lower(), unescape(v or "")) for n, v in other.headers]))


def scheme_of(string):
    """Scheme of a URI in lower case, or None where there is none."""
    colon = string.find(":")
    if colon < 1 or not (string[0] in ALPHANUMERIC and not is_digits(string[0])):
        return None
    scheme = string[:colon]
    if not is_token(scheme.replace("+", "")):
        return None
    return scheme.lower()


def split_host_port(string):
    """"host[:port]" to (host lower case, port or None).  Raises RemoteError(400)."""
    string = string.strip()
    if string.startswith("["):
        end = string.find("]")
        host = string[:end + 1].lower()
        inner = host[1:-1]
        # liberal in the number of colons: RFC 5118 4.10
        if end < 0 or ":" not in inner or not _IPV6.issuperset(inner):
            raise RemoteError("bad IPv6 address %r" % string[:60], status=400)
        rest = string[end + 1:].strip()
    else:
        colon = string.find(":")
        host = (string if colon < 0 else string[:colon]).strip().lower()
        rest = "" if colon < 0 else string[colon:]
        if not host or not _HOST.issuperset(host):
            raise RemoteError("bad host %r" % string[:60], status=400)
    if not rest:
        return host, None
    port = number(rest[1:].strip(), 65535) if rest[0] == ":" else None
    if not port:
        raise RemoteError("bad port in %r" % string[:60], status=400)
    return host, port


def host_port(host, port):
    """The inverse of split_host_port."""
    return host if port is None else "%s:%d" % (host, port)


def is_address(host):
    """True for an IPv4 address or an IPv6 address in brackets."""
    if host.startswith("["):
        return True
    parts = host.split(".")
    return len(parts) == 4 and all([number(part, 255) is not None for part in parts])


def bare_host(host):
    """A host without the brackets of IPv6: as sockets take it."""
    return host[1:-1] if host.startswith("[") else host


def bracketed_host(host):
    """A host as URIs take it: IPv6 in brackets."""
    return "[%s]" % host if ":" in host and not host.startswith("[") else host


def _escapes_valid(string):
    parts = string.split("%")
    return all([is_hex(part[:2]) and len(part) >= 2 for part in parts[1:]])


def parse_uri(string):
    """Parse a sip or sips URI.  What comes back is shared with others who parse the same: it is not to be changed.

    Raises RemoteError: status 416 for another scheme, 400 for a malformed one."""
    found = _known.get(string)
    if found is None:
        found = _parse(string)
        if len(string) <= KNOWN_OCTETS:
            if len(_known) >= KNOWN_MOST:
                _known.clear()
            _known[string] = found
    return found


def _parse(string):
    scheme = scheme_of(string)
    if scheme is None:
        raise RemoteError("not a URI: %r" % string[:60], status=400)
    if scheme not in ("sip", "sips"):
        raise RemoteError("URI scheme %s is not known here" % scheme[:20], status=416)
    rest = string[len(scheme) + 1:]
    user = password = None
    at = rest.rfind("@")
    if at >= 0:
        user, rest = rest[:at], rest[at + 1:]
        colon = user.find(":")
        if colon >= 0:
            user, password = user[:colon], user[colon + 1:]
        if (not user or not _USER_ALLOWED.issuperset(user) or not _escapes_valid(user)
                or (password and not _USER_ALLOWED.issuperset(password))):
            raise RemoteError("bad user part in URI %r" % string[:60], status=400)
    headers = []
    mark = rest.find("?")
    if mark >= 0:
        for part in rest[mark + 1:].split("&"):
            name, _, value = part.partition("=")
            if not name or not _escapes_valid(part) or " " in part:
                raise RemoteError("bad header in URI %r" % string[:60], status=400)
            headers.append((name, value))
        rest = rest[:mark]
    pieces = rest.split(";")
    if len(pieces) + len(headers) > MAX_PARAMETERS:
        raise RemoteError("more than %d parameters in a URI" % MAX_PARAMETERS, status=400)
    host, port = split_host_port(pieces[0])
    if pieces[0].strip() != pieces[0]:
        raise RemoteError("space in URI %r" % string[:60], status=400)
    parameters = []
    for piece in pieces[1:]:
        name, equals, value = piece.partition("=")
        if (not name or not _PARAMETER.issuperset(name) or not _PARAMETER.issuperset(value)
                or not _escapes_valid(piece)):
            raise RemoteError("bad parameter in URI %r" % string[:60], status=400)
        parameters.append((unescape(name).lower() if "%" in name and is_token(unescape(name)) else name.lower(),
                           value if equals else None))
    return SIPURI(scheme, user, host, port, parameters, headers, password)


def user_uri(user, host, port=None):
    """Build "sip:user@host[:port]" from a plain user text."""
    if not user:
        return "sip:" + host_port(bracketed_host(host), port)
    return "sip:%s@%s" % (escape(user, UNRESERVED | frozenset("+&=$")), host_port(bracketed_host(host), port))
