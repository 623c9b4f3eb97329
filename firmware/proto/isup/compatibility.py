"""Unrecognised messages and parameters: what Q.764 (12/1999) 2.9.5.2 and 2.9.5.3 want done with them.

judge(message, transit, exchange) returns (action, cause, notify):
    action   "take"      go on with the message; unknown parameters that remain in message.unknown may be passed on
             "release"   release the call with `cause`
             "discard"   throw the message away
             "pass"      pass the whole message on (the far leg is ISUP, or the layer above knows better)
    notify   None, or (cause, diagnostics hex) of the CFN to send
transit: the layer above said that it hands on what this circuit does not know.
exchange "a" is an originating, destination or interworking exchange, "b" a transit
exchange (2.9.5.1); "transit interpretation" binds only the first.  Portable.
"""

from firmware.proto.isup.codes import (
    MESSAGE_NOT_IMPLEMENTED, PARAMETER_MESSAGE_DISCARDED, PARAMETER_NOT_IMPLEMENTED)
from firmware.proto.isup.message_table import NEVER_CONFUSED


def judge(message, transit, exchange="a"):
    """See above."""
    if message.kind is None:
        return _message(message, transit, exchange)
    return _parameters(message, transit, exchange)


def _message(message, transit, exchange):
    told = message.get("message_compatibility")
    diagnostics = bytes([message.code]).hex()
    if told is None:                    # 2.9.5.3.1: no compatibility information
        return "discard", None, (MESSAGE_NOT_IMPLEMENTED, diagnostics)
    notify = (MESSAGE_NOT_IMPLEMENTED, diagnostics) if told["notify"] else None
    if told["transit"] and exchange == "b" and transit:
        return "pass", None, None
    if told["release"]:
        return "release", MESSAGE_NOT_IMPLEMENTED, None
    if told["discard_message"]:
        return "discard", None, notify
    if transit:
        return "pass", None, None
    if told["pass_failed"] == "release":
        return "release", MESSAGE_NOT_IMPLEMENTED, None
    return "discard", None, notify


def _parameters(message, transit, exchange):
    if not message.unknown:
        return "take", None, None
    rules = {}
    for code, instructions in (message.get("parameter_compatibility") or {"parameters": []})["parameters"]:
        rules.setdefault(code, instructions)
    kept, removed, notify = [], [], None
    for code, contents in message.unknown:
        told = rules.get(code)
        outcome, confused = _one(told, transit, exchange)
        if outcome == "release" and message.kind not in ("REL", "RLC"):
            message.unknown = [[code, contents]]        # for the diagnostics
            return "release", PARAMETER_NOT_IMPLEMENTED, None
        if outcome == "discard_message" and message.kind not in ("REL", "RLC"):
            notify = (PARAMETER_MESSAGE_DISCARDED, _diagnostics([code])) if confused else None
            return "discard", None, _allowed(message, notify)
        if outcome == "pass":
            kept.append([code, contents])
        elif confused:
            removed.append(code)
    message.unknown = kept
    if removed:
        notify = (PARAMETER_NOT_IMPLEMENTED, _diagnostics(removed))
    return "take", None, _allowed(message, notify)


def _one(told, transit, exchange):
    """(what to do with one parameter, whether to say so)."""
    if told is None:
        return ("pass", False) if transit else ("discard_parameter", True)
    if told["transit"] and exchange == "b" and transit:
        return "pass", False
    if told["release"]:
        return "release", False
    if told["discard_message"]:
        return "discard_message", told["notify"]
    if told["discard_parameter"]:
        return "discard_parameter", told["notify"]
    if transit:
        return "pass", False
    return told["pass_failed"], told["notify"]


def _diagnostics(codes):
    """The parameter names."""
    return bytes(codes).hex()


def _allowed(message, notify):
    return None if message.kind in NEVER_CONFUSED else notify
