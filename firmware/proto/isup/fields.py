"""Between primitives and events of a call (as in Q.931) and the parameters of ISUP messages.

Bearers are named as the Q.931 machine names them: "speech", "3.1khz_audio",
"unrestricted_digital".  Source: Q.763 (12/1999) 3, Q.764 2.1; ANSI: T1.113.4
(user service information is mandatory there, the medium is not).  Portable.
"""

from firmware.errors import LocalError, RemoteError
from firmware.proto.q931 import elements

MEDIUM_OF = {"speech": "speech", "3.1khz_audio": "3.1khz_audio", "unrestricted_digital": "64k"}
BEARER_OF = {"speech": "speech", "3.1khz_audio": "3.1khz_audio", "64k": "unrestricted_digital",
             "64k_preferred": "unrestricted_digital"}
# 3.54: 2 to 30 times 64 kbit/s take as many circuits; codings 16 to 42 are 3x64 to 29x64 kbit/s
MULTIRATE = ("2x64k", "384k", "1536k", "1920k") + tuple(range(16, 43))
CONTINUITY = {None: "none", "this": "this", "previous": "previous"}
REASON_WORDS = {"forwarded_by_user": "unconditional"}


def as_number(number):
    """Text or dict of the layer above -> dict of a number parameter."""
    if isinstance(number, dict):
        return dict(number)
    return {"number": number}


def user_service(bearer, law):
    """User service information (Q.931 4.5.5 from octet 3), as hex."""
    value = {"capability": bearer, "rate": 16}
    if bearer != "unrestricted_digital":
        value["layer_1"] = "g711_u" if law == "u" else "g711_a"
    return elements.encode("bearer_capability", value)[2:].hex()


def iam_content(variant, group, given):
    """Parameters of an IAM from what setup_request was given."""
    bearer = given.get("bearer") or "3.1khz_audio"
    if bearer not in MEDIUM_OF:
        raise LocalError("setup_request: bearer %r; %s are possible" % (bearer, ", ".join(sorted(MEDIUM_OF))))
    if given.get("continuity") not in CONTINUITY:
        raise LocalError("setup_request: continuity is None, this or previous, not %r" % (given.get("continuity"),))
    called = as_number(given["called"])
    if given.get("complete", True) and group.get("send_st", variant != "ansi") and "complete" not in called:
        called["complete"] = True
    content = {
        "nature_of_connection": {"satellites": given.get("satellites", 0), "echo": given.get("echo", False),
                                 "continuity": CONTINUITY[given.get("continuity")]},
        "forward_call_indicators": {"isup": True, "preference": "required" if bearer == "unrestricted_digital" else "preferred",
                                    "interworking": given.get("interworking", False),
                                    "isdn_access": given.get("isdn_access", True),
                                    "international": given.get("international", False)},
        "calling_party_category": {"value": given.get("category", "ordinary")},
        "called_party_number": called,
    }
    if variant == "ansi":
        content["user_service_information"] = {"octets": user_service(bearer, group["law"])}
    else:
        content["transmission_medium"] = {"value": MEDIUM_OF[bearer]}
    _add_numbers(content, given)
    if given.get("hop_counter") is not None:
        content["hop_counter"] = {"count": given["hop_counter"]}
    if given.get("propagation_delay") is not None:
        content["propagation_delay_counter"] = {"value": given["propagation_delay"]}
    content.update(given.get("elements") or {})
    return content


def _add_numbers(content, given):
    if given.get("caller"):
        content["calling_party_number"] = as_number(given["caller"])
    if given.get("original_called"):
        content["original_called_number"] = as_number(given["original_called"])
    redirecting = given.get("redirecting")
    if redirecting:
        redirecting = as_number(redirecting)
        reason = redirecting.pop("reason", "unknown")
        for name in ("screening", "original_reason", "counter"):
            redirecting.pop(name, None)
        content["redirecting_number"] = redirecting
        content["redirection_information"] = {
            "indicator": 3, "counter": min(7, given.get("redirections") or 1), "reason": REASON_WORDS.get(reason, reason), "original_reason": "unknown"}


def bearer_of(message):
    """The bearer of an IAM; one that we do not know is its own word."""
    medium = message.get("transmission_medium")
    if medium is not None:
        return BEARER_OF.get(medium["value"], medium["value"])
    octets = message.get("user_service_information")
    try:
        return elements.decode("bearer_capability", bytes.fromhex(octets["octets"]))["capability"]
    except RemoteError:
        return "3.1khz_audio"


def setup_fields(message):
    """Fields of setup_indication.  The digits are those of the IAM; SAM adds to them."""
    called = message.get("called_party_number")
    redirecting = message.get("redirecting_number")
    information = message.get("redirection_information")
    if redirecting is not None:
        redirecting = dict(redirecting)
        if information is not None:
            redirecting["reason"] = information["reason"]
            redirecting["counter"] = information["counter"]
    nature, forward = message.get("nature_of_connection"), message.get("forward_call_indicators")
    hops, delay = message.get("hop_counter"), message.get("propagation_delay_counter")
    return {
        "caller": message.get("calling_party_number"), "called": called, "redirecting": redirecting,
        "original_called": message.get("original_called_number"), "bearer": bearer_of(message),
        "category": message.get("calling_party_category")["value"], "satellites": nature["satellites"],
        "echo": nature["echo"], "interworking": forward["interworking"], "isdn_access": forward["isdn_access"],
        "hop_counter": None if hops is None else hops["count"],
        "propagation_delay": None if delay is None else delay["value"],
        "display": "", "elements": other_elements(message)}


NAMED = ("calling_party_number", "called_party_number", "redirecting_number", "redirection_information",
         "original_called_number", "calling_party_category", "nature_of_connection", "forward_call_indicators",
         "transmission_medium", "hop_counter", "propagation_delay_counter", "parameter_compatibility",
         "message_compatibility", "backward_call_indicators", "cause_indicators", "event_information",
         "optional_backward_call_indicators", "connected_number")


def other_elements(message):
    """Parameters that have no field of their own, as they are."""
    found = {}
    for name in message.parameters:
        if name not in NAMED:
            found[name] = message.parameters[name]
    return found


def backward_content(given, group, status="none"):
    """Parameters of ACM and CON."""
    content = {"backward_call_indicators": {
        "charge": given.get("charge", group.get("charge", "charge")), "status": status, "category": "ordinary", "isup": True,
        "interworking": given.get("interworking", False), "isdn_access": given.get("isdn_access", True),
        "echo": given.get("echo", False)}}
    return with_inband(content, given)


def with_inband(content, given):
    """Add the optional backward call indicators, a cause and elements that were given."""
    if given.get("inband"):
        content["optional_backward_call_indicators"] = {"inband": True}
    if given.get("connected"):
        content["connected_number"] = as_number(given["connected"])
    content.update(given.get("elements") or {})
    return content


def backward_fields(message):
    """Fields of the events of ACM, CPG, CON and ANM."""
    backward = message.get("backward_call_indicators") or {}
    optional = message.get("optional_backward_call_indicators") or {}
    cause = message.get("cause_indicators")
    return {"inband": bool(optional.get("inband")) or bool(backward.get("interworking")),
            "charge": backward.get("charge"), "called_status": backward.get("status"),
            "diversion": bool(optional.get("diversion")), "cause": None if cause is None else cause["cause"],
            "progress": [], "display": "", "connected": message.get("connected_number"),
            "elements": other_elements(message)}
