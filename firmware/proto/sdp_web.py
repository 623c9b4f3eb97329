"""What the session description of a browser has besides: ICE, DTLS-SRTP, BUNDLE.  RFC 8839, 8122, 8842, 9143, 5764.

We are ICE-lite (RFC 8445 2.5): one host candidate, the leg's own port; the far end's candidates are not even read, since its
checks come to us.  In DTLS we leave the beginning to the far end wherever it can.  Portable.

    found = read(session, media)      # {"far_ufrag", "fingerprint": "sha-256 AB:...", "role": ours: "server" | "client"} or None
    lines = session_lines(mid) + ... + media_lines(local, setup, mid)
"""

PROTOCOLS = ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP")       # RFC 5764 8
DIGEST_OCTETS = {"sha-256": 32, "sha-384": 48, "sha-512": 64}   # RFC 8122 5; weaker ones are not taken
PRIORITY = 2130706431                                       # RFC 8445 5.1.2.1: host 126, local preference 65535, component 1
_UFRAG = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"      # ice-char


def _values(session, media, name):
    """Values of an attribute, those of the block or else of the session."""
    found = [value for key, value in media.attributes if key == name and value]
    return found or [value for key, value in session.attributes if key == name and value]


def _fingerprint(values):
    for value in values:
        kind, _, digits = value.strip().partition(" ")
        kind, digits = kind.lower(), digits.strip().upper()
        octets = digits.split(":")
        if len(octets) == DIGEST_OCTETS.get(kind) and all([len(o) == 2 and not o.strip("0123456789ABCDEF") for o in octets]):
            return kind + " " + digits
    return None


def read(session, media):
    """ICE and DTLS of a block, or None where something is missing that a browser always says."""
    ufrags, prints = _values(session, media, "ice-ufrag"), _values(session, media, "fingerprint")
    fingerprint = _fingerprint(prints)
    if not ufrags or fingerprint is None or media.attribute("rtcp-mux") is None:
        return None
    ufrag = ufrags[0].strip()
    if not 4 <= len(ufrag) <= 256 or ufrag.strip(_UFRAG):
        return None
    setup = (_values(session, media, "setup") or ["actpass"])[0].strip().lower()
    return {"far_ufrag": ufrag, "fingerprint": fingerprint, "role": "client" if setup == "passive" else "server"}


def is_bundled(session, mid):
    """Whether the far end offers a block in a group (RFC 9143)."""
    for key, value in session.attributes:
        if key == "group" and value and value.split()[:1] == ["BUNDLE"] and mid in value.split()[1:]:
            return mid is not None
    return False


def session_lines(mid):
    """Lines before the first block.  mid: of the block that is bundled, or None."""
    return ["a=ice-lite"] + ([] if mid is None else ["a=group:BUNDLE " + mid])


def media_lines(local, setup, mid):
    """Lines of the audio block.  local: as in sdp.offer(), with its "browser"; setup: RFC 4145 4."""
    ours = local["browser"]
    return ([] if mid is None else ["a=mid:" + mid]) + [
        "a=ice-ufrag:" + ours["ufrag"], "a=ice-pwd:" + ours["password"],
        "a=candidate:1 1 UDP %d %s %d typ host" % (PRIORITY, local["address"], local["port"]), "a=end-of-candidates",
        "a=fingerprint:" + (ours.get("fingerprint") or "none"), "a=setup:" + setup]
