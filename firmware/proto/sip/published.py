"""What a PUBLISH says: bodies of presence (RFC 3863 with RFC 4480) and of dialogs (RFC 4235), read by a scanner of our own.

    is_open, activities, note = presence_of(octets)
    [(id, Call-ID or None, direction, state)] = dialogs_of(octets)

Portable, so no XML library; as much of XML as these documents need.  A document type is refused: it is where entities that
grow come from.  Raises RemoteError(400) with a sentence for what is malformed.
"""

from firmware.errors import RemoteError
from firmware.proto.sip.text import display, text

MOST_OCTETS = 16384              # ours; a status of a telephone has some hundred
MOST_ELEMENTS = 256              # ours
MOST_DEPTH = 16
MOST_DIALOGS = 16
MOST_NOTE = 80
ENTITIES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
SPACES = " \t\r\n"
# Activities of RFC 4480 3.2 that a telephone may name
ACTIVITIES = ("appointment", "away", "breakfast", "busy", "dinner", "holiday", "in-transit", "looking-for-work", "meal", "meeting",
              "on-the-phone", "performance", "permanent-absence", "playing", "presentation", "shopping", "sleeping", "spectator",
              "steering", "travel", "tv", "vacation", "working", "worship", "other", "unknown")
STATES = {"trying": "trying", "proceeding": "early", "early": "early", "confirmed": "confirmed", "terminated": None}     # RFC 4235 3.7.1


def _bad(why):
    return RemoteError("the document is no XML that can be read: " + why, status=400)


def _local(name):
    """A name without its prefix."""
    return name[name.rfind(":") + 1:]


def _plain(string):
    """Text with its entities undone."""
    if "&" not in string:
        return string
    pieces = string.split("&")
    out = [pieces[0]]
    for piece in pieces[1:]:
        name, semicolon, rest = piece.partition(";")
        if not semicolon:
            raise _bad("an & stands alone")
        if name in ENTITIES:
            out.append(ENTITIES[name])
        elif name[:1] == "#":
            out.append("?")              # neither words nor states need them
        else:
            raise _bad("an entity is not known")
        out.append(rest)
    return "".join(out)


def _attributes(string):
    """{local name: value} of what follows the name in a tag."""
    out, at = {}, 0
    while True:
        while at < len(string) and string[at] in SPACES:
            at += 1
        if at >= len(string):
            return out
        equals = string.find("=", at)
        if equals < 0:
            raise _bad("an attribute has no value")
        name = string[at:equals].strip()
        at = equals + 1
        while at < len(string) and string[at] in SPACES:
            at += 1
        quote = string[at:at + 1]
        end = string.find(quote, at + 1) if quote in ('"', "'") and quote else -1
        if end < 0 or not name:
            raise _bad("an attribute has no quotes")
        out[_local(name)] = _plain(string[at + 1:end])
        at = end + 1


def elements(octets):
    """[(depth, local name, attributes, text directly behind the tag)] in the order of the document.  Raises RemoteError(400)."""
    if len(octets) > MOST_OCTETS:
        raise RemoteError("the document is longer than %d octets" % MOST_OCTETS, status=413)
    string, out, path, at = text(octets), [], [], 0
    while True:
        opening = string.find("<", at)
        if opening < 0:
            break
        if string[opening:opening + 4] == "<!--":
            end = string.find("-->", opening)
            if end < 0:
                raise _bad("a comment does not end")
            at = end + 3
            continue
        if string[opening:opening + 2] == "<!":
            raise _bad("it has a document type")
        end = string.find(">", opening)
        if end < 0:
            raise _bad("a tag does not end")
        body, at = string[opening + 1:end], end + 1
        if body[:1] == "?":
            continue
        if body[:1] == "/":
            if not path or path.pop() != body[1:].strip():
                raise _bad("its tags do not match")
            continue
        if not path and out:
            raise _bad("it has two roots")
        alone = body[-1:] == "/"
        words = body[:-1] if alone else body
        size = 0
        while size < len(words) and words[size] not in SPACES:
            size += 1
        if not size:
            raise _bad("a tag has no name")
        following = string.find("<", at)
        said = "" if alone or following < 0 else _plain(string[at:following]).strip()
        out.append((len(path), _local(words[:size]), _attributes(words[size:]), said))
        if not alone:
            path.append(words[:size])
        if len(out) > MOST_ELEMENTS or len(path) > MOST_DEPTH:
            raise _bad("it has more than %d elements, or more than %d in each other" % (MOST_ELEMENTS, MOST_DEPTH))
    if path or not out:
        raise _bad("it does not end" if path else "it is empty")
    return out


def presence_of(octets):
    """(open: True, False or None where nothing is said, [activities], note or None) of a presence document."""
    found = elements(octets)
    if found[0][1] != "presence":
        raise RemoteError("the document is no presence document", status=400)
    said, activities, note, inside = None, [], None, None
    for depth, name, _, words in found:
        if inside is not None and depth <= inside:
            inside = None
        if name == "basic":
            if words in ("open", "closed"):                  # baresip says "unknown" as long as nobody said anything
                said = bool(said) or words == "open"         # one tuple that is open is enough
        elif name == "activities":
            inside = depth
        elif inside is not None and name in ACTIVITIES and name not in activities:
            activities.append(name)
        elif name == "note" and words and note is None:
            note = "".join([letter for letter in display(words[:MOST_NOTE]) if letter >= " "])
    return said, activities, note


def dialogs_of(octets):
    """[(id, Call-ID or None, direction, state)] of a dialog document; those that have ended are left out."""
    found = elements(octets)
    if found[0][1] != "dialog-info":
        raise RemoteError("the document is no dialog document", status=400)
    if found[0][2].get("state", "full") != "full":
        raise RemoteError("a published dialog document has to be the full state", status=400)
    out, current = [], None
    for depth, name, attributes, words in found:
        if name == "dialog" and depth == 1:
            current = attributes
            if len(out) >= MOST_DIALOGS:
                raise RemoteError("the document has more than %d dialogs" % MOST_DIALOGS, status=413)
        elif name == "state" and depth == 2 and current is not None:
            if words not in STATES:
                raise RemoteError("a dialog's state is not known", status=400)
            if STATES[words] is not None:
                direction = current.get("direction")
                out.append((display((current.get("id") or "")[:60]), current.get("call-id"),
                            direction if direction in ("initiator", "recipient") else "recipient", STATES[words]))
            current = None
    return out
