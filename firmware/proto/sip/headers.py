"""Values of SIP header fields: names, addresses, Via, CSeq, parameters.  RFC 3261 7.3, 20, 25."""

from firmware.errors import RemoteError
from firmware.proto.sip.text import is_token, number, quote, split_outside, unquote
from firmware.proto.sip.uri import host_port, scheme_of, split_host_port

# (name, compact form or None, may stand more than once or hold a comma list); RFC 3261 20 and its extensions
HEADERS = (
    ("Accept", None, True), ("Accept-Encoding", None, True), ("Accept-Language", None, True),
    ("Alert-Info", None, True), ("Allow", None, True), ("Allow-Events", "u", True),
    ("Authentication-Info", None, False), ("Authorization", None, True), ("Call-ID", "i", False),
    ("Call-Info", None, True), ("Contact", "m", True), ("Content-Disposition", None, False),
    ("Content-Encoding", "e", True), ("Content-Language", None, True), ("Content-Length", "l", False),
    ("Content-Type", "c", False), ("CSeq", None, False), ("Date", None, False), ("Diversion", None, True),
    ("Error-Info", None, True), ("Event", "o", False), ("Expires", None, False), ("From", "f", False),
    ("History-Info", None, True), ("Identity", "y", False), ("Info-Package", None, False), ("Join", None, False),
    ("Max-Forwards", None, False), ("Min-Expires", None, False), ("Min-SE", None, False),
    ("MIME-Version", None, False), ("P-Access-Network-Info", None, True), ("P-Asserted-Identity", None, True), ("P-Associated-URI", None, True),
    ("P-Called-Party-ID", None, False), ("P-Charging-Function-Addresses", None, True), ("P-Charging-Vector", None, False), ("P-Preferred-Identity", None, True), ("P-Visited-Network-ID", None, True),
    ("Path", None, True), ("Privacy", None, False), ("Proxy-Authenticate", None, True),
    ("Proxy-Authorization", None, True), ("Proxy-Require", None, True), ("RAck", None, False),
    ("Reason", None, True), ("Record-Route", None, True), ("Recv-Info", None, True), ("Refer-Sub", None, False), ("Refer-To", "r", False),
    ("Referred-By", "b", False), ("Remote-Party-ID", None, True), ("Replaces", None, False), ("Require", None, True), ("Retry-After", None, False),
    ("Route", None, True), ("RSeq", None, False), ("Server", None, False), ("Service-Route", None, True),
    ("Session-Expires", "x", False), ("SIP-ETag", None, False), ("SIP-If-Match", None, False), ("Subject", "s", False), ("Subscription-State", None, False),
    ("Supported", "k", True), ("Timestamp", None, False), ("To", "t", False), ("Unsupported", None, True),
    ("User-Agent", None, False), ("User-to-User", None, True), ("Via", "v", True), ("Warning", None, True), ("WWW-Authenticate", None, True),
)
NO_VALUE = frozenset([chr(octet) for octet in range(33)] + list('",;<>\x7f'))     # what cannot stand in a parameter's value without quotes
MAX_PARAMETERS = 64              # of one value; ours: finding duplicates among more would cost an attacker nothing, us much
MAX_VALUES = 256                 # of one list header; ours
KNOWN_MOST, KNOWN_OCTETS = 2048, 250     # addresses and hops remembered: From and To stand in each message of a call, a hop in all of a far end; ours
_known = {}
_known_hops = {}

CANONICAL = {}
SINGLE = set()
for _name, _compact, _many in HEADERS:
    CANONICAL[_name.lower()] = _name
    CANONICAL[_name] = _name
    if _compact:
        CANONICAL[_compact] = _name
        CANONICAL[_compact.upper()] = _name
    if not _many:
        SINGLE.add(_name)


def canonical(name):
    """The usual spelling of a header name (full form); an unknown name in lower case."""
    return CANONICAL.get(name) or CANONICAL.get(name.lower()) or name.lower()


class Address:
    """A name-addr or addr-spec: display (plain octet text), uri (text), parameters [(name, value)]."""
    __slots__ = ("display", "uri", "parameters")

    def __init__(self, uri, display="", parameters=()):
        self.display = display
        self.uri = uri
        self.parameters = list(parameters)

    def parameter(self, name):
        """Value of a header parameter ("" where it has none), or None where it is absent."""
        return find_parameter(self.parameters, name)

    def __str__(self):
        return "%s<%s>%s" % (quote(self.display) + " " if self.display else "", self.uri,
                             format_parameters(self.parameters))


class Via:
    """One Via value: transport (upper case), host, port or None, parameters."""
    __slots__ = ("transport", "host", "port", "parameters")

    def __init__(self, transport, host, port=None, parameters=()):
        self.transport = transport
        self.host = host
        self.port = port
        self.parameters = list(parameters)

    def parameter(self, name):
        """Value of a parameter ("" where it has none), or None where it is absent."""
        return find_parameter(self.parameters, name)

    def set_parameter(self, name, value):
        """Replace or append a parameter."""
        for index, (key, _) in enumerate(self.parameters):
            if key == name:
                self.parameters[index] = (name, value)
                return
        self.parameters.append((name, value))

    def __str__(self):
        return "SIP/2.0/%s %s%s" % (self.transport, host_port(self.host, self.port),
                                    format_parameters(self.parameters))


def find_parameter(parameters, name):
    """Value of a parameter ("" where it has none), or None where it is absent."""
    for key, value in parameters:
        if key == name:
            return value if value is not None else ""
    return None


def format_parameters(parameters):
    """[(name, value or None)] to ";name=value;name"."""
    return "".join([";" + name if value is None else ";%s=%s" % (name, value) for name, value in parameters])


def parse_parameters(string, what):
    """";a=b;c" (leading semicolon included, or empty) to [(name lower case, value or None)].

    Values keep their quotes.  Empty ones, a name twice and bad characters raise RemoteError(400)."""
    string = string.strip()
    if not string:
        return []
    if string[0] != ";":
        raise RemoteError("%s: text after the value where a parameter should stand" % what, status=400)
    pieces = split_outside(string[1:], ";")
    if pieces is None:
        raise RemoteError("%s: a quote is not closed" % what, status=400)
    if len(pieces) > MAX_PARAMETERS:
        raise RemoteError("%s: more than %d parameters" % (what, MAX_PARAMETERS), status=400)
    parameters = []
    for piece in pieces:
        name, equals, value = piece.partition("=")
        name = name.strip()
        value = value.strip()
        if not is_token(name) or (equals and not _parameter_value(value)):
            raise RemoteError("%s: bad parameter" % what, status=400)
        name = name.lower()
        if find_parameter(parameters, name) is not None:
            raise RemoteError("%s: parameter %s stands twice" % (what, name[:30]), status=400)
        parameters.append((name, value if equals else None))
    return parameters


def _parameter_value(value):
    """gen-value: token, host (IPv6 with and without brackets: RFC 5118 4.5) or quoted string."""
    if not value:
        return False
    if value[0] == '"':
        return len(value) >= 2 and value[-1] == '"'
    return NO_VALUE.isdisjoint(value)


def parse_address(string, what):
    """A From, To, Contact or Route value to Address.  Raises RemoteError(400)."""
    found = _known.get(string)
    if found is None:
        found = _parse_address(string.strip(), what)
        if len(string) <= KNOWN_OCTETS:
            if len(_known) >= KNOWN_MOST:
                _known.clear()
            _known[string] = found
    return Address(found[0], found[1], found[2])


def _parse_address(string, what):
    """(URI, display, parameters)."""
    bracket = -1
    quoted = escaped = False
    for index, character in enumerate(string):
        if quoted:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                quoted = False
        elif character == '"':
            quoted = True
        elif character == "<":
            bracket = index
            break
    if quoted:
        raise RemoteError("%s: a quote is not closed" % what, status=400)
    if bracket >= 0:
        end = string.find(">", bracket)
        if end < 0:
            raise RemoteError("%s: an angle bracket is not closed" % what, status=400)
        # spaces inside the brackets and unquoted names with a comma are tolerated (RFC 4475 3.1.2.14, 15)
        uri = string[bracket + 1:end].strip()
        name = unquote(string[:bracket].strip())
        parameters = parse_parameters_tolerant(string[end + 1:], what)
    else:
        semicolon = string.find(";")
        uri = (string if semicolon < 0 else string[:semicolon]).strip()
        name = ""
        parameters = parse_parameters("" if semicolon < 0 else string[semicolon:], what)
        if "?" in uri or "," in uri:
            # such a URI must stand in angle brackets: RFC 3261 20
            raise RemoteError("%s: a URI with ? or , needs angle brackets" % what, status=400)
    if scheme_of(uri) is None or " " in uri or "\t" in uri or "<" in uri or '"' in uri:
        raise RemoteError("%s: bad URI" % what, status=400)
    return uri, name, parameters


def parse_parameters_tolerant(string, what):
    """As parse_parameters; one empty parameter at the end (";" alone) is let pass, as phones send it."""
    string = string.strip()
    if string.endswith(";") and not string.endswith(";;"):
        string = string[:-1]
    return parse_parameters(string, what)


def parse_via(string):
    """One Via value.  Raises RemoteError(400), or 505 for another protocol version."""
    semicolon = string.find(";")
    head = string if semicolon < 0 else string[:semicolon]
    found = _known_hops.get(head)
    if found is None:
        found = _hop(head)
        if len(head) <= KNOWN_OCTETS:
            if len(_known_hops) >= KNOWN_MOST:
                _known_hops.clear()
            _known_hops[head] = found
    return Via(found[0], found[1], found[2], parse_parameters("" if semicolon < 0 else string[semicolon:], "Via"))


def _hop(string):
    """(transport, host, port) of a Via value without its parameters."""
    slash = string.find("/")
    second = string.find("/", slash + 1)
    if slash < 0 or second < 0:
        raise RemoteError("Via: no protocol", status=400)
    name = string[:slash].strip()
    version = string[slash + 1:second].strip()
    rest = string[second + 1:].strip()
    end = 0
    while end < len(rest) and rest[end] not in " \t":
        end += 1
    transport = rest[:end].upper()
    if name.upper() != "SIP" or not is_token(transport):
        raise RemoteError("Via: bad protocol", status=400)
    if version != "2.0":
        raise RemoteError("Via: SIP version is not 2.0", status=505)
    host, port = split_host_port(rest[end:].strip())
    return transport, host, port


def parse_cseq(string):
    """"number METHOD" to (number, method).  Raises RemoteError(400).  RFC 3261 8.1.1.5: below 2**31."""
    pieces = string.split()
    value = number(pieces[0], 2 ** 31 - 1) if len(pieces) == 2 else None
    if value is None or not is_token(pieces[1]):
        raise RemoteError("CSeq: not a number below 2**31 and a method", status=400)
    return value, pieces[1]


def parse_list(values, what):
    """Comma-separated tokens of several header values.  Raises RemoteError(400)."""
    out = []
    for value in values:
        pieces = split_outside(value, ",")
        if pieces is None:
            raise RemoteError("%s: a quote is not closed" % what, status=400)
        out.extend([piece.strip() for piece in pieces if piece.strip()])
        if len(out) > MAX_VALUES:
            raise RemoteError("%s: more than %d values" % (what, MAX_VALUES), status=400)
    return out


def parse_addresses(values, what):
    """Comma-separated addresses of several header values.  Raises RemoteError(400)."""
    return [parse_address(value, what) for value in parse_list(values, what)]


def media_type(string):
    """"type/subtype;parameters" to "type/subtype" in lower case."""
    return string.split(";")[0].strip().replace(" ", "").lower()
