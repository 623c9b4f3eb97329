"""Operations on calls and agents as users send them: which fields each has, and the check before it goes to the core.

OPERATIONS is used by the local API (api_operations.py), the CTI link (cti.py) and, through the API, by the pages and
the command `strowger`.  What the core itself knows (is that call in conversation?) it refuses by itself, with a sentence.
"""

from firmware.config.written import dialable
from firmware.control.commands import STATUSES, Problem, check_call_id, not_found
from firmware.jsontext import writable

TEXT_MAX = 64
LATEST_MS = 1 << 47         # the year 6429: what is shown must be a date that calendars know
TARGETS = ("agent", "line", "queue", "number", "flow")
FORMATS = ("alaw", "ulaw", "pcm16", "ima", "g726_16", "g726_24", "g726_32", "g726_40", "vox")      # media/formats.py; a test compares
MODES = ("listen", "whisper", "barge", "take_over", "end")


def _text(value, name):
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_MAX or not value.isprintable() or not writable(value):
        raise Problem(422, "bad " + name, "%s must be a text of 1 to %d printable characters." % (name, TEXT_MAX))
    return value


def _call(value, name):
    check_call_id(_text(value, name))
    return value


def _one_of(choices):
    def check(value, name):
        if value not in choices:
            raise Problem(422, "bad " + name, "%s must be one of %s." % (name, ", ".join(choices)))
        return value
    return check


def _flag(value, name):
    if not isinstance(value, bool):
        raise Problem(422, "bad " + name, "%s must be true or false." % name)
    return value


def _whole(value, name):
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 99999:
        raise Problem(422, "bad " + name, "%s must be a whole number from 0 to 99999." % name)
    return value


def _number(value, name):
    value = dialable(value) if isinstance(value, str) else value
    if not isinstance(value, str) or not 0 < len(value) <= 32 or any(digit not in "0123456789*#" for digit in value[1:]) or value[0] not in "+0123456789*#":
        raise Problem(422, "bad " + name, "%s must be the digits of a telephone number, at most 32." % name)
    return value


def _station(value, name):
    """T.30 5.3.6.2.5: digits, + and blanks."""
    if not isinstance(value, str) or not 0 < len(value) <= 20 or not set(value) <= set("0123456789+ "):
        raise Problem(422, "bad " + name, "%s must be up to 20 digits, + and blanks." % name)
    return value


def _header(value, name):
    if "{" in _text(value, name) or "}" in value:
        raise Problem(422, "bad " + name, "%s must not have curly brackets." % name)
    return value


def _moment(value, name):
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LATEST_MS:
        raise Problem(422, "bad " + name, "%s must be a moment in ms since 1970, UTC, before the year 6429." % name)
    return value


def _symbols(allowed):
    def check(value, name):
        if not set(_text(value, name)) <= set(allowed):
            raise Problem(422, "bad " + name, "%s must be made of %s." % (name, allowed))
        return value
    return check


def _number_shown(value, name):
    """A caller's number to be sent: the parts of media's item (player.py)."""
    parts = {"number": _symbols("0123456789*#"), "name": _text, "time": _symbols("0123456789"), "standard": _one_of(("v23", "bell202")),
             "format": _one_of(("mdmf", "sdmf")), "number_absent": _one_of(("P", "O")), "name_absent": _one_of(("P", "O")), "on_hook": _flag, "alert": _flag}
    if not isinstance(value, dict) or not set(value) <= set(parts) or not {"number", "name", "number_absent"} & set(value):
        raise Problem(422, "bad " + name, "%s must be a map of number, name or number_absent and, where wanted, %s." % (name, ", ".join(parts)))
    for part in value:
        parts[part](value[part], "%s: %s" % (name, part))
    if len(value.get("time", "00000000")) != 8 or ("time" not in value and value.get("format") == "sdmf"):
        raise Problem(422, "bad " + name, "%s: time must be month, day, hour and minute, 8 digits; sdmf needs it." % name)
    return value


def _queues(value, name):
    if not isinstance(value, list) or len(value) > 200:
        raise Problem(422, "bad " + name, "queues must be a list of {\"queue\", \"level\"?, \"weight\"?}, at most 200.")
    for row in value:
        if not isinstance(row, dict) or set(row) - {"queue", "level", "weight"} or not isinstance(row.get("queue"), str):
            raise Problem(422, "bad " + name, "Each of queues is {\"queue\", \"level\"?, \"weight\"?}.")
        for part, most in (("level", 9), ("weight", 100)):
            if part in row and (isinstance(row[part], bool) or not isinstance(row[part], int) or not 1 <= row[part] <= most):
                raise Problem(422, "bad " + name, "%s must be a whole number from 1 to %d." % (part, most))
    if len({row["queue"] for row in value}) < len(value):
        raise Problem(422, "bad " + name, "A queue stands twice in queues; leave one out.")
    return value


PARTY = {"by": _text}
ENHANCE = {"echo": _flag, "long_tail": _flag, "noise": _flag, "level": _one_of(("off", "agc", "alc")), "vad": _flag}
SEND = {"tone": _text, "dtmf": _symbols("0123456789*#ABCD"), "r1": _symbols("0123456789KS"), "caller_id": _number_shown}
TARGET = {"to": _one_of(TARGETS), "target": _text}
def _within(least, most, whole=True):
    def check(value, name):
        kinds = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
            raise Problem(422, "bad " + name, "%s must be a %snumber from %s to %s." % (name, "whole " if whole else "", least, most))
        return value
    return check


LISTEN = {"modem": _flag, "progress": _flag, "answer": _flag, "caller_id": _one_of(("off", "v23", "bell202")), "r1": _flag, "quiet": _within(0, 600)}
PHONE = {"agent": _text, "line": _text}
HOW = {"volume_db": _within(-40, 12), "speed": _within(0.5, 2, False)}
PLACE = _within(0, 86400000)
# name: (kind of the event, {field that must be there: check}, {field that may be: check}, fields of which one must be there)
OPERATIONS = {
    "hold": ("command.hold", {"call": _call}, PARTY, ()),
    "retrieve": ("command.retrieve", {"call": _call}, PARTY, ()),
    "consult": ("command.consult", {"call": _call, **TARGET}, {**PARTY, "join": _flag}, ()),
    "conference": ("command.conference", {"call": _call}, PARTY, ()),
    "change_over": ("command.change_over", {"call": _call}, PARTY, ()),
    "network": ("command.network", {"call": _call, "verb": _one_of(("hold", "retrieve", "transfer"))}, {**PARTY, "leg": _text}, ()),
    "malicious": ("command.malicious", {"call": _call}, {**PARTY, "leg": _text}, ()),
    "transfer": ("command.transfer", {"call": _call}, {**PARTY, **TARGET}, ()),
    "park": ("command.park", {"call": _call}, {**PARTY, "place": _whole}, ()),
    "unpark": ("command.unpark", {"place": _whole}, PHONE, ("agent", "line")),
    "pick_up": ("command.pick_up", {}, {**PHONE, "call": _call, "target": _text}, ("agent", "line")),
    "monitor": ("command.monitor", {"call": _call, "mode": _one_of(MODES)}, {**PHONE, **PARTY, "level_db": _within(-40, 12)}, ("agent", "line")),
    "play": ("command.play", {"call": _call}, {**PARTY, **HOW, "leg": _text, "prompt": _text, "number": _whole, "digits": _text, "music": _text,
                                               "tone": _text, "language": _text, "repeat": _within(0, 1000000), "start_ms": PLACE, "resume": _flag}, ()),
    "player": ("command.player", {"call": _call}, {**PARTY, **HOW, "leg": _text, "pause": _flag, "seek_ms": PLACE, "stop": _flag}, ()),
    "party": ("command.party", {"call": _call, "leg": _text}, {**PARTY, "mute": _flag, "gain_db": _within(-40, 12)}, ()),
    "room": ("command.room", {"call": _call}, {**PARTY, "loudest": _within(0, 16), "tones": _flag}, ()),
    "record": ("command.record", {"call": _call, "action": _one_of(("start", "stop", "pause", "resume"))},
               {**PARTY, "format": _one_of(FORMATS), "channels": _one_of(("stereo", "mono")), "text": _text}, ()),
    "agent_log_in": ("command.log_in", {"agent": _text, "line": _text}, {"pin": _text, "status": _one_of(STATUSES[:2]), "by": _text}, ()),
    "listen": ("command.listen", {"call": _call}, {"leg": _text, **LISTEN}, ()),
    "enhance": ("command.enhance", {"call": _call}, {"leg": _text, **ENHANCE}, ()),
    "send": ("command.send", {"call": _call}, {"leg": _text, **SEND, "duration_ms": _whole}, ()),
    "stream": ("command.stream", {"call": _call, "action": _one_of(("start", "stop"))}, {"leg": _text, "service": _text, "both": _flag, "stream": _text}, ()),
    "announcement": ("command.announcement", {"name": _text, "on": _flag}, {"by": _text}, ()),
    "callback": ("command.callback", {"queue": _text, "number": _number}, {"agent": _text, "at_ms": _moment, "note": _text}, ()),
    "callback_cancel": ("command.callback_cancel", {"callback": _text}, PARTY, ()),
    "fax": ("command.fax", {"document": _text, "number": _number}, {"station": _station, "header": _header, "at_ms": _moment, "note": _text, **PARTY}, ()),
    "fax_cancel": ("command.fax_cancel", {"fax": _text}, PARTY, ()),
    "message_state": ("command.message_state", {"message": _text, "state": _one_of(("new", "read"))}, PARTY, ()),
    "message_delete": ("command.message_delete", {"message": _text}, PARTY, ()),
    "assign": ("command.assign", {"agent": _text}, {**PARTY, "queues": _queues}, ()),
    "wrap_up": ("command.wrap_up", {"agent": _text}, {"end": _flag, **PARTY}, ()),
}


def event_of(operation, fields):
    """The core's event of an operation.  fields: {name: value} from outside.  Raises Problem."""
    kind, must, may, one = OPERATIONS[operation]
    event = {"kind": kind}
    for name in fields:
        if name not in must and name not in may:
            raise Problem(422, "unknown field", "%s has no field %s; it has %s." % (operation, name[:TEXT_MAX], ", ".join([*must, *may])))
    for name, check in must.items():
        if fields.get(name) is None:
            raise Problem(422, "incomplete", "%s needs %s." % (operation, name))
        event[name] = check(fields[name], name)
    for name, check in may.items():
        if fields.get(name) is not None:
            event[name] = check(fields[name], name)
    if one and len([name for name in one if name in event]) != 1:
        raise Problem(422, "incomplete", "%s needs %s: the telephone that is to ring." % (operation, " or ".join(one)))
    if operation == "send" and len([name for name in SEND if name in event]) != 1:
        raise Problem(422, "incomplete", "send needs one of %s." % ", ".join(SEND))
    if operation == "send" and "tone" in event and not event.get("duration_ms"):
        raise Problem(422, "incomplete", "a tone needs duration_ms, 1 to 99999.")
    if ("to" in event) != ("target" in event) and "target" in may and "to" in may:
        raise Problem(422, "incomplete", "give both, to (%s) and target." % ", ".join(TARGETS))
    if event.get("to") == "number":
        event["target"] = dialable(event["target"])
    return event


async def operate(house, operation, fields):
    """Carry an operation out; returns what it found out ({} mostly) when it is on the disk.  Raises Problem."""
    event = event_of(operation, fields)
    if "agent" in event and not house.agent_exists(event["agent"]):
        raise not_found("agent", event["agent"][:32])
    if operation == "announcement" and not any(row["name"] == event["name"] for row in house.config.running()["announcements"]):
        raise not_found("announcement", event["name"][:32])
    if "queue" in event and not any(row["name"] == event["queue"] for row in house.config.running()["queues"]):
        raise not_found("queue", event["queue"][:32])
    if event.get("call") is not None and not house.call_is_open(event["call"]):
        raise not_found("open call", event["call"])
    for part in ("prompt", "music"):
        if operation == "play" and part in event and not house.media.prompts.has({part: event[part], "language": event.get("language")}):
            raise not_found(part if part == "prompt" else "music named", event[part][:60])
    return await house.command(event) or {}
