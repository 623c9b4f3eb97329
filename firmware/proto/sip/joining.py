"""An INVITE that names a call which is up: to come into it (Join, RFC 3911), or in the place of its party (Replaces, RFC 3891).

Only lines may; a telephone knows the names from dialog-info (subscriptions.py), where it is told them.  Whether the person may is the
switchboard's to say (control/core_join.py), but not where another telephone of the line has the call: that one is replaced here
(session.py, take_over).  An early dialog that our far end began cannot be named (3891 3, 3911 4).
"""

from firmware.errors import RemoteError
from firmware.proto.sip.referring import parse_replaces

HEADERS = {"Join": "joins", "Replaces": "replaces"}
OPTIONS = ("join", "replaces")


def named_call(agent, message):
    """{"joins": leg} or {"replaces": leg}; {} where the INVITE names no call.  Raises RemoteError(400, 481 or 486)."""
    given = [(name, value) for name in HEADERS for value in message.all(name)]
    if not given:
        return {}
    if len(given) > 1:
        raise RemoteError("an INVITE names one call only", status=400)
    header, value = given[0]
    call_id, to_tag, from_tag, early_only = parse_replaces(value)
    leg = agent.leg_of_dialog(call_id, to_tag, from_tag)
    session = agent.sessions.get(leg)
    if session is None or (session.state in ("calling", "alerting") and session.direction == "in"):
        raise RemoteError("%s names no call that is up" % header, status=481)
    if early_only and session.state in ("accepted", "confirmed"):
        raise RemoteError("the call was answered elsewhere", status=486)
    return {HEADERS[header]: leg}
