"""Q.921 frames, modulo 128: octets without flags and FCS <-> Frame.

Layout (Q.921 clause 3, edition 09/1997): address of 2 octets (SAPI, C/R, EA;
TEI, EA), control of 2 octets (I and supervisory frames) or 1 octet
(unnumbered), information.  A frame that cannot be a frame (2.9: too short, bad
address) and one that breaks a rule of its own type (5.8.5: undefined control
field, wrong length, information too long) are told apart by FrameError.error.
"""

# Supervisory frames by their first control octet, unnumbered ones by the
# control octet without the P/F bit (Table 5).
SUPERVISORY = {0x01: "RR", 0x05: "RNR", 0x09: "REJ"}
UNNUMBERED = {0x6F: "SABME", 0x0F: "DM", 0x03: "UI", 0x43: "DISC", 0x63: "UA",
              0x87: "FRMR", 0xAF: "XID"}
CODES = {}
for _table in (SUPERVISORY, UNNUMBERED):
    for _code in _table:
        CODES[_table[_code]] = _code

COMMANDS_ONLY = ("I", "SABME", "UI", "DISC")
RESPONSES_ONLY = ("DM", "UA", "FRMR")
N201_OCTETS = 260


class FrameError(Exception):
    """A frame that must not be acted on.

    error: "" for an invalid frame (2.9: drop, no action), or the MDL error
    code of Appendix II: "L" undefined control field, "N" wrong size,
    "O" information longer than N201."""

    def __init__(self, sentence, error=""):
        super().__init__(sentence)
        self.error = error


class Frame:
    """One frame.  kind: "I", "RR", "SABME" ...; command: bool; poll: the P or F
    bit; ns, nr: sequence numbers where the kind has them; octets: information."""

    __slots__ = ("sapi", "tei", "kind", "command", "poll", "ns", "nr", "octets")

    def __init__(self, kind, command, poll=0, ns=0, nr=0, octets=b"", sapi=0, tei=0):
        self.kind = kind
        self.command = command
        self.poll = poll
        self.ns = ns
        self.nr = nr
        self.octets = octets
        self.sapi = sapi
        self.tei = tei

    def __repr__(self):
        return "<%s %s P/F=%d N(S)=%d N(R)=%d %s>" % (
            self.kind, "command" if self.command else "response", self.poll,
            self.ns, self.nr, self.octets.hex())


def encode(frame, network):
    """Encode a Frame.  network: whether the network side sends it.

    A command of the network and a response of the user carry C/R = 1 (3.3.2)."""
    command_response = 1 if bool(frame.command) == bool(network) else 0
    head = [frame.sapi << 2 | command_response << 1, frame.tei << 1 | 1]
    if frame.kind == "I":
        head += [frame.ns << 1, frame.nr << 1 | frame.poll]
    elif frame.kind in ("RR", "RNR", "REJ"):
        head += [CODES[frame.kind], frame.nr << 1 | frame.poll]
    else:
        head.append(CODES[frame.kind] | frame.poll << 4)
    return bytes(head) + frame.octets


def decode(octets, from_network, n201_octets=N201_OCTETS):
    """Decode one frame.  from_network: whether the far end is the network side.

    Returns Frame; raises FrameError."""
    if len(octets) < 3 or octets[0] & 1 or not octets[1] & 1:
        raise FrameError("shorter than 3 octets, or no address of 2 octets")
    command = bool(octets[0] >> 1 & 1) == bool(from_network)
    sapi, tei, control = octets[0] >> 2, octets[1] >> 1, octets[2]
    if control & 3 != 3:
        if len(octets) < 4:
            raise FrameError("no second control octet")
        poll, nr = octets[3] & 1, octets[3] >> 1
        if not control & 1:
            frame = Frame("I", command, poll, control >> 1, nr, bytes(octets[4:]), sapi, tei)
        elif control in SUPERVISORY:
            frame = Frame(SUPERVISORY[control], command, poll, 0, nr, bytes(octets[4:]), sapi, tei)
        else:
            raise FrameError("undefined supervisory control field %02x" % control, "L")
    else:
        kind = UNNUMBERED.get(control & 0xEF)
        if kind is None:
            raise FrameError("undefined unnumbered control field %02x" % control, "L")
        frame = Frame(kind, command, control >> 4 & 1, 0, 0, bytes(octets[3:]), sapi, tei)
    if (command and frame.kind in RESPONSES_ONLY) or (not command and frame.kind in COMMANDS_ONLY):
        raise FrameError("%s with the wrong C/R bit" % frame.kind, "L")
    _check_size(frame, n201_octets)
    return frame


def _check_size(frame, n201_octets):
    """5.8.5: which kinds carry information, and how much."""
    if frame.kind in ("I", "UI", "XID"):
        if len(frame.octets) > n201_octets:
            raise FrameError("information of %d octets, N201 is %d"
                             % (len(frame.octets), n201_octets), "O")
    elif frame.kind == "FRMR":
        if len(frame.octets) != 5:
            raise FrameError("FRMR with %d octets, not 5" % len(frame.octets), "N")
    elif frame.octets:
        raise FrameError("%s with an information field" % frame.kind, "N")
