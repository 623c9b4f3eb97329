"""What a user may tell the switch to do: checked, then handed to the house.

Used by the local API and the CTI link.  A refusal is a Problem (RFC 9457); its sentence serves the
CTI link as well.
"""

import datetime
import zoneinfo

from firmware.config.written import dialable
from firmware.errors import LocalError
from firmware.jsontext import writable
from firmware.storage.cdr import call_number

STATUSES = ("available", "on_break", "logged_out")
REASON_MAX = 64
CALL_ID_MAX = 17
FIRST_YEAR, LAST_YEAR = 1970, 2199      # of a moment that is asked about; invented


class Problem(LocalError):
    """A refusal.  status: HTTP; document: the problem; more: further members of it."""

    def __init__(self, status, title, detail="", **more):
        super().__init__(detail or title)
        self.status = status
        self.document = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}


def not_found(what, name):
    """There is no such thing."""
    return Problem(404, "not found", "There is no %s %s." % (what, name))


def check_call_id(call):
    """Raise unless a text looks like a call id."""
    try:
        if len(call) > CALL_ID_MAX:
            raise ValueError
        call_number(call)
    except ValueError:
        raise not_found("call", call[:32]) from None


async def hang_up(house, call):
    """Release a call."""
    check_call_id(call)
    if not house.call_is_open(call):
        raise not_found("open call", call)
    await house.command({"kind": "command.hangup", "call": call})


def moment_of(text, zone):
    """A date and time of the site, "2026-11-23T22:00", as ms since 1970.  Raises Problem."""
    try:
        moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=zoneinfo.ZoneInfo(zone))
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            raise ValueError
        return int(moment.timestamp() * 1000)
    except ValueError:
        raise Problem(422, "bad time", "Give date and time of the site as 2026-11-23T22:00, from %d to %d." % (FIRST_YEAR, LAST_YEAR)) from None


def explain_route(house, digits, line=None, trunk_group=None, caller=None, at=None):
    """What would become of a number: core_explain.explain.  at: date and time of the site, "2026-11-23T22:00"; None: now."""
    digits, caller = dialable(digits), dialable(caller) if caller is not None else None
    if caller is not None and (len(caller) > 64 or not caller.isascii() or not caller.isprintable() or line is not None):
        raise Problem(422, "bad caller", "Give the calling number, at most 64 digits, and only with trunk_group.")
    if not 0 < len(digits) <= 64 or not digits.isascii() or not digits.isprintable():
        raise Problem(422, "bad number", "Give the digits as they are dialled, at most 64.")
    if (line is None) == (trunk_group is None):
        raise Problem(422, "who calls?", "Name the calling line (line=1001) or the trunk group on which the call comes in (trunk_group=carrier).")
    part, name = ("lines", line) if line is not None else ("trunk_groups", trunk_group)
    if not any(row["name"] == name for row in house.config.running()[part]):
        raise not_found("line" if line is not None else "trunk group", name[:32])
    now_ms = house.clock.now_ms() if at is None else moment_of(at, house.config.running()["site"]["timezone"])
    return house.switchboard.explain(digits, line, trunk_group, now_ms, caller, house.out_of_service())


async def set_agent_status(house, agent, status, reason=None, by=None, locked=None):
    """What an agent chose, or a supervisor for him: available, on a break (with a reason), logged out."""
    if status not in STATUSES:
        raise Problem(422, "unknown status", "status must be one of %s." % ", ".join(STATUSES))
    if reason is not None and (not isinstance(reason, str) or len(reason) > REASON_MAX or not writable(reason)):
        raise Problem(422, "bad reason", "reason must be a text of at most %d whole characters." % REASON_MAX)
    if not house.agent_exists(agent):
        raise not_found("agent", agent[:32])
    if by not in (None, "agent", "supervisor"):
        raise Problem(422, "who?", "by must be agent or supervisor.")
    if locked not in (None, False, True) or locked and by != "supervisor":
        raise Problem(422, "who?", "locked is true or false, and only a supervisor may lock a status.")
    event = {"kind": "agent.status", "agent": agent, "status": status, "by": by or "agent"}
    if locked:
        event["locked"] = True
    if reason is not None:
        event["reason"] = reason
    await house.command(event)
