"""Session descriptions and offer/answer for G.711, G.722, G.726 at 32 kbit/s, Opus, G.729 and telephone-event.

RFC 8866 (4566), RFC 3264, RFC 4733, RFC 3551 (G722 has a clock of 8000, 4.5.2), RFC 7587.  Octets in, octets out; portable.

    octets = offer({"address": "10.0.0.1", "port": 20000, "session": 17, "version": 1})
    answer_octets, chosen = answer(their_offer, {"address", "port", "session", "version"})
    chosen = read(octets)                 # an answer (or an offer to look at)

chosen: {"remote": [host, port] or None, "payload_type": number, "codec": name of PAYLOADS,
"dtmf_payload_type": int or None, "dtmf_clock_hz": of its durations, "ptime_ms", "direction": "sendrecv" | "sendonly" | "recvonly" |
"inactive" as seen from our side, "rtcp_mux": RTCP on the RTP port (RFC 5761), "rtcp_port": int or None,
"srtp": None or {"suite", "send": our key, "receive": theirs},
"browser": of browsers only: what sdp_web.py found of ICE and DTLS; remote is None then,
"t38": of a fax's image block only: what sdp_t38.py settled; nothing is said of sound then,
"image_at": the place of an image block, where there is one}.  remote None: the far end holds the old way (0.0.0.0) or gives
port 0.  RemoteError(status=400) on a malformed description, 488 where nothing fits or the address is
one that nothing can be sent to (999.1.1.1, a group of multicast, a name).
"""

from firmware.errors import RemoteError
from firmware.proto import sdes, sdp_t38, sdp_web

CODECS = (("PCMA", 8), ("PCMU", 0))     # static types of RFC 3551, in our order: A-law needs no transcoding here
# name: (static type or the one of our offers, name on the wire, clock, channels there, parameters)
PAYLOADS = {"PCMA": (8, "PCMA", "8000", "", ""), "PCMU": (0, "PCMU", "8000", "", ""), "G722": (9, "G722", "8000", "", ""),
            "G726-32": (102, "G726-32", "8000", "", ""), "AAL2-G726-32": (103, "AAL2-G726-32", "8000", "", ""),
            "OPUS": (111, "opus", "48000", "2", "useinbandfec=1;maxplaybackrate=8000;sprop-maxcapturerate=8000"),
            "G729": (18, "G729", "8000", "", "annexb=no")}      # passed on only: links/sip_passing.py
OPUS_FRAMES_MS = (10, 20, 40, 60)       # that are carried too; RFC 6716 2.1.4
EVENT = "telephone-event"
EVENT_TYPE = 101                        # ours, for offers; most telephones use the same
EVENT_TYPES = {"8000": EVENT_TYPE, "48000": 110}       # by clock: that of the sound that they come with (RFC 4733 2.1)
EVENT_FORMAT = "0-15"
DYNAMIC = 96                            # RFC 3551 6: the first of the types that a description gives a meaning
PTIME_MS = 20
MAX_OCTETS = 16384                      # ours
MAX_LINES = 500                         # ours
MAX_MEDIA = 16                          # ours
DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_MIRROR = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}


class Media:
    """One m= block.  formats: [text]; host: of c= or None; attributes: [(name, value or None)]."""
    __slots__ = ("kind", "port", "count", "protocol", "formats", "host", "attributes")

    def __init__(self, kind, port, count, protocol, formats):
        self.kind = kind
        self.port = port
        self.count = count
        self.protocol = protocol
        self.formats = formats
        self.host = None
        self.attributes = []

    def attribute(self, name):
        """Value of the first attribute of a name ("" where it has none), or None."""
        return _attribute(self.attributes, name)


class Session:
    """A description.  origin: the o= value; host: of the session's c= or None; media: [Media]."""
    __slots__ = ("origin", "name", "host", "timing", "attributes", "media", "others")

    def __init__(self):
        self.origin = self.name = self.timing = self.host = None
        self.attributes = []
        self.media = []
        self.others = []


def _attribute(attributes, name):
    for key, value in attributes:
        if key == name:
            return value if value is not None else ""
    return None


def _bad(sentence):
    return RemoteError("SDP: " + sentence, status=400)


def _number(string, highest):
    if not string or len(string) > 20 or any([c not in "0123456789" for c in string]) or int(string) > highest:
        raise _bad("%r is not a number up to %d" % (string[:20], highest))
    return int(string)


def _connection(value):
    """Address of a c= value; the TTL of multicast is left aside."""
    pieces = value.split()
    if len(pieces) != 3 or pieces[0] != "IN" or pieces[1] not in ("IP4", "IP6"):
        raise _bad("bad connection line")
    return pieces[2].split("/")[0]


def _is_ipv4(host):
    """Whether it is the address of one host.  RFC 8866 9: four numbers without leading zeros."""
    pieces = host.split(".")
    if len(pieces) != 4:
        return False
    for piece in pieces:
        if not 1 <= len(piece) <= 3 or any([c not in "0123456789" for c in piece]) or int(piece) > 255 or (piece[0] == "0" and piece != "0"):
            return False
    return 0 < int(pieces[0]) < 224         # 0: this network; 224-239 multicast (RFC 1112 4), above it reserved


def _is_ipv6(host):
    """Whether it is the address of one host, in the forms of RFC 4291 2.2; ff00::/8 is multicast (2.7)."""
    halves = host.lower().split("::")
    if len(halves) > 2 or (host[0] == ":" and host[:2] != "::") or (host[-1] == ":" and host[-2:] != "::"):
        return False
    groups = []
    for half in halves:
        groups.extend(half.split(":") if half else [])
    count = len(groups)
    if groups and "." in groups[-1]:
        if not _is_ipv4(groups.pop()):
            return False
        count += 1
    for group in groups:
        if not 1 <= len(group) <= 4 or any([c not in "0123456789abcdef" for c in group]):
            return False
    return (count < 8 if len(halves) == 2 else count == 8) and not (host[:2].lower() == "ff" and host[4:5] == ":")


def _media_line(value):
    pieces = value.split()
    if len(pieces) < 4:
        raise _bad("bad media line")
    port, _, count = pieces[1].partition("/")
    return Media(pieces[0].lower(), _number(port, 65535), _number(count, 65535) if count else 1, pieces[2],
                 pieces[3:])


def parse(octets):
    """Octets to Session.  Raises RemoteError(400).  Lines may end in CRLF or LF (RFC 8866 5)."""
    if len(octets) > MAX_OCTETS:
        raise _bad("longer than %d octets" % MAX_OCTETS)
    try:
        string = octets.decode("utf-8")
    except (UnicodeError, ValueError):
        string = "".join([chr(octet) for octet in octets])
    lines = string.replace("\r\n", "\n").split("\n")
    while lines and not lines[-1]:
        lines.pop()
    if len(lines) > MAX_LINES:
        raise _bad("more than %d lines" % MAX_LINES)
    if not lines or lines[0].strip() != "v=0":
        raise _bad("does not begin with v=0")
    session = Session()
    media = None
    for line in lines[1:]:
        kind, equals, value = line.partition("=")
        if not equals or len(kind) != 1:
            raise _bad("a line is not of the form letter=value")
        if kind == "m":
            media = _media_line(value)
            if len(session.media) >= MAX_MEDIA:
                raise _bad("more than %d media" % MAX_MEDIA)
            session.media.append(media)
        elif kind == "c":
            host = _connection(value)
            if media is None:
                session.host = host
            else:
                media.host = host
        elif kind == "a":
            name, colon, item = value.strip().partition(":")
            (session if media is None else media).attributes.append((name, item if colon else None))
        elif media is None and kind == "o":
            session.origin = value
            if len(value.split()) != 6:
                raise _bad("bad origin line")
        elif media is None and kind == "s":
            session.name = value
        elif media is None and kind == "t":
            session.timing = session.timing or value
        else:
            session.others.append((kind, value))
    if session.origin is None:
        raise _bad("no origin line")
    for item in session.media:
        if item.host is None:
            item.host = session.host
        if item.host is None and item.port:
            raise _bad("no connection line")
    return session


def _formats(media):
    """[(payload type, codec name upper case or EVENT, clock)] of an audio block, in its order."""
    maps = {}
    for name, value in media.attributes:
        if name == "rtpmap" and value:
            payload, _, coding = value.strip().partition(" ")
            maps[payload] = coding.strip()
    out = []
    for text in media.formats:
        if len(text) > 3 or any([c not in "0123456789" for c in text]) or int(text) > 127:
            continue
        coding = maps.get(text)
        if coding is None:
            coding = {"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000", "18": "G729/8000"}.get(text, "")
        pieces = coding.split("/")
        clock = pieces[1] if len(pieces) > 1 else ""
        name = pieces[0].upper()
        if len(pieces) > 2 and pieces[2] != "1" and not (name == "OPUS" and pieces[2] == "2"):
            continue
        out.append((int(text), EVENT if name == EVENT.upper() else name, clock))
    return out


def _names(local):
    """Codecs that we have, the best first."""
    return (local or {}).get("codecs") or [name for name, _ in CODECS]


def _choose(media, names=None):
    """(payload type, codec, (event payload type, clock) or None), or None where none of names (G.711) is among them; the order is ours."""
    formats = _formats(media)
    names = names or _names(None)
    static = dict(CODECS)
    for codec in names:
        for payload, name, clock in formats:
            # G.711 under a type of its own comes after all else.
            if name == codec and clock == PAYLOADS[codec][2] and payload == static.get(codec, payload):
                return payload, codec, _event(formats, clock)
    for codec in names:
        for payload, name, clock in formats:
            if name == codec and clock == PAYLOADS[codec][2]:
                return payload, codec, _event(formats, clock)
    return None


def _event(formats, clock):
    """(payload type, clock) of telephone-events beside a codec: of its clock (RFC 4733 2.1), else of 8000 Hz, as many send them with Opus; or None."""
    for wanted in (clock, "8000"):
        for payload, name, has in formats:
            if name == EVENT and has == wanted and payload >= DYNAMIC:
                return payload, has
    return None


PLAIN, SECURE = ("RTP/AVP", "RTP/AVPF"), ("RTP/SAVP", "RTP/SAVPF")


def _usable(session, media, local=None):
    """A block that we can take: T.38, or audio of a codec that we have with encryption as our policy wants it."""
    if media.kind == "image":
        return sdp_t38.is_usable(media, (local or {}).get("t38"))
    if media.kind == "audio" and media.protocol in sdp_web.PROTOCOLS and (local or {}).get("browser"):
        return _choose(media, _names(local)) is not None and sdp_web.read(session, media) is not None
    if media.kind != "audio" or media.protocol not in PLAIN + SECURE or _choose(media, _names(local)) is None:
        return False
    policy = ((local or {}).get("srtp") or {}).get("policy", "off")
    crypto = _crypto(media, local)
    if crypto is None:
        return media.protocol in PLAIN and policy != "required"
    return True


def _crypto(media, local):
    """(tag, suite, their key) that both sides can use, None without.  Keys in a plain block count too (RFC 8643)."""
    ours = ((local or {}).get("srtp") or {}).get("keys")
    if not ours:
        return None
    return sdes.choose([value for name, value in media.attributes if name == "crypto"], ours)


def _direction(session, media):
    """What the far end wants to do: its attribute, media before session."""
    for attributes in (media.attributes, session.attributes):
        for name, _ in attributes:
            if name in DIRECTIONS:
                return name
    return "sendrecv"


def _ptime_ms(media):
    value = media.attribute("ptime") or ""
    try:
        wanted = _number(value.split(".")[0], 1000)
    except RemoteError:
        return PTIME_MS
    return wanted if wanted in (10, 20, 30, 40, 50, 60) else PTIME_MS


def _keys(media, local):
    crypto = _crypto(media, local)
    return None if crypto is None else {"suite": crypto[1], "send": local["srtp"]["keys"][crypto[1]], "receive": crypto[2]}


def _rtcp_port(media):
    """Where the far end wants RTCP (RFC 3605), None where it says nothing that counts: the port above RTP's."""
    try:
        return _number((media.attribute("rtcp") or "").split(" ")[0], 65535) or None
    except RemoteError:
        return None


def _address(media):
    """[host, port] of a block, None where nothing can be sent to it.  Raises RemoteError(488)."""
    if not media.port or media.host in ("0.0.0.0", "::"):
        return None
    if not (_is_ipv6(media.host) if ":" in media.host else _is_ipv4(media.host)):
        raise RemoteError("SDP: nothing can be sent to %r; the address of one host is needed" % media.host[:60], status=488)
    return [media.host, media.port]


def _image_at(session):
    """Where a description has an image block, {} without one: later ones must keep its place (RFC 3264 8)."""
    places = [place for place in range(len(session.media)) if session.media[place].kind == "image"]
    return {"image_at": places[0]} if places else {}


def _describe_t38(session, media, local):
    return dict({"remote": _address(media), "t38": sdp_t38.read(media, local["t38"])[0], "payload_type": 8, "codec": "PCMA", "dtmf_payload_type": None,
                 "dtmf_clock_hz": 8000, "ptime_ms": PTIME_MS, "direction": "sendrecv", "rtcp_mux": False, "rtcp_port": None, "srtp": None}, **_image_at(session))


def _describe(session, media, local=None):
    if media.kind == "image":
        return _describe_t38(session, media, local)
    payload, codec, event = _choose(media, _names(local))
    event = event if (local or {}).get("events", True) else None
    remote, browser = None, None
    if media.protocol in sdp_web.PROTOCOLS:
        browser = sdp_web.read(session, media)      # its address is what its connectivity checks come from
    else:
        remote = _address(media)
    direction = _MIRROR[_direction(session, media)]
    if remote is None and media.port and browser is None:
        # the hold of RFC 2543: nothing can be sent to it
        direction = "recvonly" if direction == "sendrecv" else "inactive" if direction == "sendonly" else direction
    chosen = {"remote": remote, "payload_type": payload, "codec": codec, "dtmf_payload_type": event and event[0],
            "dtmf_clock_hz": int(event[1]) if event else 8000, "ptime_ms": _ptime_ms(media) if codec != "OPUS" or _ptime_ms(media) in OPUS_FRAMES_MS else PTIME_MS, "direction": direction, "rtcp_mux": media.attribute("rtcp-mux") is not None,
            "rtcp_port": _rtcp_port(media), "srtp": _keys(media, local) if browser is None else None}
    if browser is not None:
        chosen["browser"] = browser
    chosen.update(_image_at(session))
    return chosen


def _first(session, local):
    """The block that is taken, or None: sound before a fax's image, within a call whose image block is meant (local["t38"]["first"]) the other way round."""
    usable = [media for media in session.media if media.port and _usable(session, media, local)]
    wants_image = ((local or {}).get("t38") or {}).get("first", False)
    return ([media for media in usable if (media.kind == "image") == wants_image] or usable or [None])[0]


def read(octets, local=None):
    """What an offer or answer settles for its first usable block.  local: as in offer(), for its "srtp" and "t38".

    Raises RemoteError(400, 488)."""
    session = parse(octets)
    media = _first(session, local)
    if media is not None:
        return _describe(session, media, local)
    raise RemoteError("SDP: " + _nothing(session, "no %s audio in it" % _said(local), local), status=488)


def _said(local):
    return "G.711" if _names(local) == _names(None) else " or ".join(_names(local))


def _nothing(session, sentence, local=None):
    """Why nothing could be taken: encryption, the codec, or a fax that is not wanted."""
    if not [media for media in session.media if media.port and media.kind != "image"] and [media for media in session.media if media.port]:
        return "a fax by T.38, which is off for this line or trunk (t38), or of a kind that is not carried"
    if [media for media in session.media if media.port and media.kind == "audio" and _choose(media, _names(local)) is not None]:
        return "encryption: one side wants it, and there is no key that both can use"
    offered = [format for media in session.media if media.port and media.kind == "audio" for format in _formats(media)]
    if [name for _, name, _ in offered if name == "G729"] or [payload for payload, name, _ in offered if (payload, name) == (18, "")]:
        return sentence + "; G.729 is passed on between two SIP legs that have it (codecs) and nowhere else, allow one of the others at the telephone or trunk"
    return sentence


def _family(address):
    return "IP6" if ":" in address else "IP4"


def _head(local):
    address = local["address"]
    return ["v=0", "o=strowger %d %d IN %s %s" % (local["session"], local["version"], _family(address), address),
            "s=-", "c=IN %s %s" % (_family(address), address), "t=0 0"]


def _audio(port, protocol, payloads, events, ptime_ms, direction):
    """Lines of an audio block.  payloads: [(payload type, codec)]; events: [(payload type, clock)]."""
    types = [str(payload) for payload, _ in payloads] + [str(payload) for payload, _ in events]
    lines = ["m=audio %d %s %s" % (port, protocol, " ".join(types))]
    for payload, codec in payloads:
        known = PAYLOADS[codec]
        lines.append("a=rtpmap:%d %s/%s%s" % (payload, known[1], known[2], "/" + known[3] if known[3] else ""))
        if known[4]:
            lines.append("a=fmtp:%d %s" % (payload, known[4]))
    for payload, clock in events:
        lines.append("a=rtpmap:%d %s/%s" % (payload, EVENT, clock))
        lines.append("a=fmtp:%d %s" % (payload, EVENT_FORMAT))
    lines.append("a=ptime:%d" % ptime_ms)
    lines.append("a=" + direction)
    return lines


def _octets(lines):
    return ("\r\n".join(lines) + "\r\n").encode("utf-8")


def offer(local):
    """Build an offer of A-law and mu-law, or of the codecs named, and telephone-event.

    local: {"address", "port", "session": number that stays, "version": one more at each change,
    optional "direction", "codecs": [names in order], "events": whether telephone-events are wanted (default), "srtp": {"policy": "off" | "optional" | "required",
    "keys": {suite: key}} (sdes.new_keys).  Optional: keys in a plain block (RFC 8643); required: RTP/SAVP.
    "browser": {"ufrag", "password", "fingerprint"}, all ours: an offer of ICE and DTLS (sdp_web.py), else none of it.
    "t38": what we can do of it (sdp_t38.py), None: nothing; "fax": true: an offer of T.38 in place of sound.
    "image_at": where an image block stood before; its place is kept, since none may vanish (RFC 3264 8)."""
    payloads = [(PAYLOADS[name][0], name) for name in _names(local)]
    clocks = [PAYLOADS[name][2] for name in _names(local)]
    events = [(EVENT_TYPES[clock], clock) for clock in ("8000", "48000") if clock == "8000" or clock in clocks] if local.get("events", True) else []
    srtp = local.get("srtp") or {"policy": "off"}
    if local.get("fax"):
        image = sdp_t38.lines(local["port"], local["t38"])
        if local.get("image_at") == 0:
            return _octets(_head(local) + image)
        return _octets(_head(local) + ["m=audio 0 RTP/AVP %d" % payloads[0][0]] + image)
    if local.get("browser"):
        return _octets(_head(local) + sdp_web.session_lines("0") + _audio(
            local["port"], sdp_web.PROTOCOLS[0], payloads, events, PTIME_MS, local.get("direction", "sendrecv"))
            + ["a=rtcp-mux"] + sdp_web.media_lines(local, "actpass", "0"))
    return _octets(_head(local) + _audio(local["port"], "RTP/SAVP" if srtp["policy"] == "required" else "RTP/AVP", payloads, events,
                                         PTIME_MS, local.get("direction", "sendrecv"))
                   + (sdes.lines(srtp["keys"]) if srtp["policy"] != "off" else [])
                   + (["m=image 0 udptl t38"] if local.get("image_at") else []))


def answer(their_offer, local):
    """Answer an offer: the first usable block is taken, every other block gets port 0.

    local: as in offer(); "direction" limits ours ("sendonly" puts them on hold).
    Returns (octets, chosen).  Raises RemoteError(400, 488)."""
    session = parse(their_offer)
    lines = _head(local)
    if session.timing is not None:
        lines[4] = "t=" + session.timing      # RFC 3264 6: the answer's t= equals the offer's
    chosen, taken = None, _first(session, local)
    for media in session.media:
        if media is taken:
            chosen = _describe(session, media, local)
            if media.kind == "image":
                lines.append("m=image %d %s %s" % (local["port"], media.protocol, " ".join(media.formats)))
                lines.extend(sdp_t38.read(media, local["t38"])[1])
                continue
            direction = _both(_MIRROR[_direction(session, media)], local.get("direction", "sendrecv"))
            chosen["direction"] = _both(chosen["direction"], direction)
            lines.extend(_audio(local["port"], media.protocol, [(chosen["payload_type"], chosen["codec"])],
                                [] if chosen["dtmf_payload_type"] is None else [(chosen["dtmf_payload_type"], str(chosen["dtmf_clock_hz"]))],
                                chosen["ptime_ms"], direction))
            if chosen["rtcp_mux"]:
                lines.append("a=rtcp-mux")
            if chosen.get("browser"):
                mid = media.attribute("mid")
                lines[5:5] = sdp_web.session_lines(mid if sdp_web.is_bundled(session, mid) else None)
                lines.extend(sdp_web.media_lines(local, "active" if chosen["browser"]["role"] == "client" else "passive", mid))
            if chosen["srtp"] is not None:
                lines.append(sdes.line(_crypto(media, local)[0], chosen["srtp"]["suite"], chosen["srtp"]["send"]))
        else:
            lines.append("m=%s 0 %s %s" % (media.kind, media.protocol, " ".join(media.formats)))
    if chosen is None:
        raise RemoteError("SDP: " + _nothing(session, "no %s audio in the offer" % _said(local), local), status=488)
    return _octets(lines), chosen


def _both(one, other):
    """The directions that two limits leave, both seen from our side."""
    send = one in ("sendrecv", "sendonly") and other in ("sendrecv", "sendonly")
    receive = one in ("sendrecv", "recvonly") and other in ("sendrecv", "recvonly")
    return "sendrecv" if send and receive else "sendonly" if send else "recvonly" if receive else "inactive"
