"""What the layer above says and hears <-> contents of Q.931 messages.

The layer above names a few things plainly (called, caller, bearer, cause,
inband); everything else that Q.931 can carry goes through "elements", a dict
{element name: value} in the form of elements.py, which overrules.
"""

from firmware.errors import LocalError
from firmware.proto.q931 import codes, party_name

BEARERS = ("speech", "3.1khz_audio", "unrestricted_digital")


def inband_progress(location):
    """The element that says "listen to the B channel" (4.5.23, description 8)."""
    return {"coding": 0, "location": location, "description": codes.INBAND_INFORMATION}


def number(value, default_type="unknown"):
    """A number given as text or as the dict of elements.py."""
    if isinstance(value, str):
        return {"number": value, "type": default_type, "plan": "isdn"}
    return value


def content(given, location):
    """Contents common to all messages: progress, display, elements."""
    result = {}
    progress = list(given.get("progress") or [])
    if given.get("inband"):
        progress.append(inband_progress(location))
    if progress:
        result["progress_indicator"] = progress
    if given.get("display"):
        result["display"] = [{"text": given["display"]}]
    if given.get("connected"):
        result["connected_number"] = number(given["connected"])
    result.update(given.get("elements") or {})
    return result


def progress_content(given, location):
    """Contents of PROGRESS: a progress indicator it must have."""
    result = content(given, location)
    if "cause" in given:
        result["cause"] = {"coding": 0, "location": location, "cause": given["cause"]}
    if "progress_indicator" not in result:
        raise LocalError("progress_request wants inband=True or progress=[...]")
    return result


def _planned(value, rules):
    """A number as the variant wants it."""
    if rules["unknown_plan_of_unknown_type"] and value.get("type", "unknown") == "unknown" and value.get("plan") == "isdn":
        return dict(value, plan="unknown")
    return value


def setup_content(given, location, rules, side):
    """Contents of SETUP, without the channel.  rules: a row of variants.VARIANTS.

    called: text or number dict; caller, redirecting: the same or None;
    bearer: "speech" (default), "3.1khz_audio", "unrestricted_digital"; law "A"
    or "U"; complete: False when digits follow (overlap sending); caller_name: text."""
    if not given.get("complete", True) and not rules["overlap"]:
        raise LocalError("setup_request: this variant of Q.931 sends numbers whole, complete=False is not possible")
    bearer = given.get("bearer", "speech")
    if bearer not in BEARERS:
        raise LocalError("setup_request: bearer %r is not one of %s" % (bearer, ", ".join(BEARERS)))
    layer_1 = None
    if bearer != "unrestricted_digital":
        layer_1 = "g711_u" if given.get("law", "A") == "U" else "g711_a"
    result = {"bearer_capability": {"coding": 0, "capability": bearer, "mode": 0, "rate": 16,
                                    "layer_1": layer_1}}
    if given.get("called") is not None:
        result["called_party_number"] = _planned(number(given["called"]), rules)
    caller = given.get("caller")
    if caller is not None:
        caller = dict(_planned(number(caller), rules))
        caller.setdefault("presentation", "allowed")
        caller.setdefault("screening", "user_not_screened")
        result["calling_party_number"] = caller
    redirecting = given.get("redirecting")
    if redirecting is not None:
        redirecting = dict(_planned(number(redirecting), rules))
        redirecting.setdefault("presentation", "allowed")
        redirecting.setdefault("screening", "user_not_screened")
        redirecting.setdefault("reason", "unknown")
        result["redirecting_number"] = [redirecting]
    if given.get("complete", True) and rules["sending_complete"]:
        result["sending_complete"] = True
    result.update(party_name.content(given.get("caller_name"), rules["caller_name"][side]))
    result.update(content(given, location))
    return result


def digits_content(given):
    """Contents of INFORMATION that carries digits."""
    result = {"called_party_number": {"number": given.get("digits", ""), "type": "unknown", "plan": "isdn"}}
    if given.get("complete"):
        result["sending_complete"] = True
    return result


def progress_fields(message):
    """{"inband", "progress": [{location, description}], "cause", "display"} of an event.

    inband: something is to be heard, descriptions 1 and 8 (4.5.23, 5.4)."""
    progress = message.elements.get("progress_indicator", [])
    descriptions = [p["description"] for p in progress]
    cause = message.get("cause")
    return {"inband": codes.INBAND_INFORMATION in descriptions
            or codes.NOT_END_TO_END_ISDN in descriptions,
            "progress": progress, "cause": cause["cause"] if cause else None,
            "display": _display(message)}


def bearer_accepted(bearer, config):
    """Whether a bearer capability is one that we serve: 64 kbit/s, circuit mode, G.711 (5.1.5.2, 5.2.2)."""
    return (bearer["capability"] in config["bearers"] and bearer["coding"] == 0 and bearer["mode"] == 0
            and bearer["rate"] == 16 and bearer["layer_1"] in (None, "g711_a", "g711_u"))


def connect_fields(message):
    """Fields of setup_confirm."""
    fields = progress_fields(message)
    fields["connected"] = message.get("connected_number")
    fields.update(carried_fields(message))
    return fields


def carried_fields(message):
    """{"subaddresses": {"called"|"calling"|"connected": hex}, "user_user": hex or None}: passed on as they came.

    They are sent through "elements", as {"octets": hex}."""
    subaddresses = {}
    for party in ("called_party", "calling_party", "connected"):
        value = message.get(party + "_subaddress")
        if value is not None:
            subaddresses[party.replace("_party", "")] = value["octets"]
    user_user = message.get("user_user")
    return {"subaddresses": subaddresses, "user_user": user_user["octets"] if user_user else None}


def digits_fields(message):
    """{"digits", "complete"}: called party number, or keypad digits in its place (5.2.4)."""
    called, keypad = message.get("called_party_number"), message.get("keypad_facility")
    digits = called["number"] if called else keypad["text"] if keypad else ""
    complete = "sending_complete" in message.elements
    if digits.endswith("#"):            # 5.1.3: the other way to say "complete"
        digits, complete = digits[:-1], True
    return {"digits": digits, "complete": complete}


def setup_fields(message, overlap):
    """Fields of setup_indication.  overlap: digits may follow; called_complete: none will."""
    called = message.get("called_party_number")
    digits = digits_fields(message)
    fields = progress_fields(message)
    bearer = message.get("bearer_capability")
    layer_1 = bearer["layer_1"]
    fields.update({
        "caller": message.get("calling_party_number"), "called": called,
        "called_digits": digits["digits"],
        "called_complete": digits["complete"] or not overlap,
        "redirecting": message.get("redirecting_number"),
        "caller_name": party_name.of_message(message), "bearer": bearer["capability"], "law": "U" if layer_1 == "g711_u" else "A",
    })
    fields.update(carried_fields(message))
    return fields


def _display(message):
    display = message.get("display")
    return display["text"] if display else None
