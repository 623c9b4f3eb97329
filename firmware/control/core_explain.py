"""Why a number goes where it goes, told before anybody dials it: by the code that would route the call.

    explain(core, digits, line=None, trunk_group=None, caller=None, out_of_service=()) -> plain data:
    {"digits", "caller", "verdict"("match"|"more"|"incomplete"|"unknown"), "application", "target", "number"(the pattern), "label", "class",
     "allowed", "why", "cause"(of a refusal), "area"({"code", "label", "province"} of the number that is sent first, or None),
     "at"({"weekday" 1-7, "minute"} of the site), "hunt_limit"(trunks that are tried at most, or None),
     "steps": [{"step"(moment|screening|plan|class|hours|choice), "result"(ok|no|info), "key", "arguments", "text"}], in the order in which they decide,
     "ways": [{"choice"(from 1), "trunk_group", "number", "type", "plan", "stripped", "prefix", "mobile_zero"(how the number was made), "shown"(the calling
               number, see outside.shown_number), "selection", "trunks", "up", "blocked"(out of service), "free", "reserved", "first"([span, timeslot] or None),
               "why"(no call takes it now, or how an emergency call would),
               "circuits": [{"span", "timeslot", "state"(next|free|kept|busy|out_of_service|down), "call"}], in the order in which they are asked}],
     "closed": [{"choice", "trunk_group", "why"}](choices that are not asked)}

A step's text is its key's form with the arguments, so that a page can say it in another language.  Of these "weekday" is 1 to 7 and "days" is
[[first, last]].
"""

from firmware.call import calendar, outside
from firmware.call.number_plan import INCOMPLETE, MATCH, NumberPlan
from firmware.call.routing import CAUSES
from firmware.control import core_emergency, core_overflow
from firmware.control.core_outside import NO_CIRCUIT, REJECTED, forbidden_to

CIRCUITS_SHOWN = 64         # of a way; invented: a group may have thousands
SHORTER_SHOWN = 5           # routes that fit, but less; invented

FORMS = {
    "moment": "%(weekday)s, %(time)s at the site",
    "screening.line": "a telephone of ours: lists of callers are not asked",
    "screening.none": "no calling number: lists of callers are not asked",
    "screening.emergency": "an emergency number: lists of callers are not asked",
    "screening.blocked": "callers like %(caller)s are on the list %(list)s",
    "screening.allowed": "the list %(list)s lets callers like %(caller)s in",
    "screening.passed": "no list blocks %(caller)s",
    "plan.feature": "feature code %(number)s",
    "plan.number": "number of ours %(number)s: %(application)s %(target)s",
    "plan.internal": "%(application)s %(target)s of ours",
    "plan.route": "route %(number)s is the longest that fits",
    "plan.shorter": "route %(number)s fits too, but the longest match decides",
    "plan.none": "%(why)s",
    "class.free": "an emergency number: everybody may call it",
    "class.own": "a number of ours leads there: no class is asked",
    "class.ok": "%(needed)s calls; allowed are: %(allowed)s",
    "class.no": "%(why)s",
    "hours.open": "queue %(queue)s is open then",
    "hours.closed": "queue %(queue)s is closed then; its rules say where callers go",
    "choice.open": "choice %(choice)d (%(trunk_group)s) is open",
    "choice.hours": "choice %(choice)d (%(trunk_group)s) is closed then; it is open %(days)s, %(from)s to %(to)s",
    "choice.areas": "choice %(choice)d (%(trunk_group)s) is for numbers of %(areas)s only",
    "choice.digits": "choice %(choice)d (%(trunk_group)s) would leave no digits to send"}
STATES = ("next", "free", "kept", "busy", "out_of_service", "down")


def explain(core, digits, line=None, trunk_group=None, caller=None, out_of_service=()):
    """What would become of dialled digits now; nothing is dialled.

    line: of the caller; else trunk_group, on which the caller comes in, caller: whose number that is, or None.  out_of_service: (span, timeslot) that take no
    call, which only their machines know.  The moment is core.now_ms."""
    internal = line is not None
    verdict, route = core.found(digits, True, line, trunk_group)
    weekday, minute = core.local_time()
    answer = {"digits": digits, "caller": caller, "verdict": verdict, "application": None, "target": None, "number": None, "label": None, "class": None,
              "allowed": False, "why": None, "cause": None, "area": None, "at": {"weekday": weekday, "minute": minute}, "hunt_limit": None,
              "steps": [_step("info", "moment", weekday=weekday, time="%02d:%02d" % divmod(minute, 60))], "ways": [], "closed": []}
    blocked = _screened(core, answer["steps"], digits, line, trunk_group, caller)
    if blocked is not None:
        return _refused(answer, REJECTED, "callers like %s are on the list %s" % (caller, blocked["name"]))
    if route is None:
        why = _not_found(core, digits, verdict, None if internal else core.classes_of_group(trunk_group))
        answer["steps"].append(_step("no", "plan.none", why=why))
        return _refused(answer, CAUSES[verdict], why)
    for name in ("application", "target", "number", "label", "class"):
        answer[name] = route.get(name)
    answer["steps"] += _planned(core, digits, route, internal)
    why = forbidden_to(core, line, route)
    answer["steps"] += _permitted(core, line, trunk_group, route, why)
    if why is not None:
        return _refused(answer, REJECTED, why)
    answer["allowed"] = True
    if route["application"] == "queue":
        is_open = core_overflow.is_queue_open(core, route["target"])
        answer["steps"].append(_step("ok" if is_open else "info", "hours.open" if is_open else "hours.closed", queue=route["target"]))
    if route["application"] == "outside":
        takes = route["class"] == outside.EMERGENCY and (line is not None or core.helps(trunk_group) == outside.HELPED)
        _ways(core, answer, route, line, caller, out_of_service, takes)
    return answer


def _step(result, key, **arguments):
    return {"step": key.split(".")[0], "result": result, "key": key, "arguments": arguments, "text": FORMS[key] % _said(arguments)}


def _said(arguments):
    """With days of the week by their names."""
    return {name: calendar.days_said(value) if name == "days" else calendar.WEEK[value - 1] if name == "weekday" else value for name, value in arguments.items()}


def _refused(answer, cause, why):
    answer["cause"], answer["why"] = cause, why
    return answer


def _screened(core, steps, digits, line, trunk_group, caller):
    """The list that keeps the caller out, or None; what the lists say goes to steps."""
    if line is not None or not caller:
        steps.append(_step("info", "screening.line" if line is not None else "screening.none"))
        return None
    row, blocked = calendar.treatment(core.screening, caller), calendar.blocks(core.screening, caller)
    if blocked is not None and not core_emergency.asked(core, line, trunk_group, digits):
        steps.append(_step("no", "screening.blocked", caller=caller, list=blocked["name"]))
        return blocked
    if blocked is not None:
        steps.append(_step("ok", "screening.emergency"))
    elif row is not None:
        steps.append(_step("ok", "screening.allowed", caller=caller, list=row["name"]))
    else:
        steps.append(_step("ok", "screening.passed", caller=caller))
    return None


def _planned(core, digits, route, internal):
    """Which entry takes the digits, and which routes fit less."""
    if route["application"] == "feature":
        return [_step("ok", "plan.feature", number=route["number"])]
    rows = core.config.get("routes") or []
    if route["number"] not in [row["number"] for row in rows] or route["target"] != digits:
        own = route["number"] in [row["number"] for row in core.config.get("numbers") or []]
        return [_step("ok", "plan.number" if own or not internal else "plan.internal", number=route["number"], application=route["application"],
                      target=route["target"])]
    shorter = [row["number"] for row in rows if row["number"] != route["number"] and NumberPlan([row]).find(digits, True)[0] == MATCH]
    return [_step("ok", "plan.route", number=route["number"])] + [_step("info", "plan.shorter", number=number) for number in shorter[:SHORTER_SHOWN]]


def _permitted(core, line, trunk_group, route, why):
    """What the caller may call, where that is asked.  why: not this."""
    internal = route["application"] in ("agent", "line") and line is not None
    if why is not None:
        return [_step("no", "class.no", why=why)]
    if route["application"] != "outside" and not internal:
        return []
    if route.get("class") == outside.EMERGENCY:
        return [_step("ok", "class.free")]
    if line is None and route["number"] in [row["number"] for row in core.config.get("numbers") or []]:
        return [_step("ok", "class.own")]
    allowed = core.classes_of_line(line) if line is not None else core.classes_of_group(trunk_group)
    needed = (outside.INTERNAL,) if internal else route["classes"]
    return [_step("ok", "class.ok", needed=", ".join(needed), allowed=", ".join(allowed))]


def _not_found(core, digits, verdict, classes):
    """Why nothing takes digits, as a sentence.  classes: what callers of the trunk group may dial; None: the caller is one of our lines."""
    if verdict == INCOMPLETE:
        return "more digits are needed"
    route = core.router.outside(digits) if classes is not None else None
    if route is not None:
        return "route %s takes %s, but callers of this trunk group may not make %s calls (its classes: %s)" % (
            route["number"], digits, [kind for kind in route["classes"] if kind not in classes][0], ", ".join(classes) or "none")
    return "no number, line or route takes %s%s" % (digits, "" if classes is None else " for a caller of this trunk group")


def _ways(core, answer, route, line, caller, out_of_service, takes):
    """The choices of the route: those that are asked, with their circuits, and those that are not.  takes: others give up their circuits for this call."""
    row, digits, at, areas = route["row"], route["target"], answer["at"], core.router.areas
    emergency = route["class"] == outside.EMERGENCY
    used = outside.open_choices(row, digits, at["weekday"], at["minute"], areas)
    answer["hunt_limit"] = core_emergency.LIMIT if emergency else row.get("hunt_limit") or outside.HUNT_LIMIT
    for place, choice in enumerate(row["choices"]):
        if any(choice is one for one in used):
            answer["steps"].append(_step("ok", "choice.open", choice=place + 1, trunk_group=choice["trunk_group"]))
            answer["ways"].append(_explained(core, place, choice, digits, line, caller, emergency, takes, out_of_service))
            continue
        shut = outside.shut_by(choice, row, digits, at["weekday"], at["minute"], areas)
        step = _step("no", "choice." + shut, choice=place + 1, trunk_group=choice["trunk_group"], areas=choice.get("areas"),
                     days=calendar.day_runs(choice.get("days") or outside.ALL_DAYS), to=choice.get("to") or "24:00", **{"from": choice.get("from") or "00:00"})
        answer["steps"].append(step)
        why = {"hours": "is closed now; it is open %(days)s, %(from)s to %(to)s", "areas": "is for numbers of %(areas)s only", "digits": "would leave no digits to send"}[shut]
        answer["closed"].append({"choice": place + 1, "trunk_group": choice["trunk_group"], "why": why % _said(step["arguments"])})
    if not answer["ways"]:
        answer["why"], answer["cause"] = "no choice of the route is open now", NO_CIRCUIT
        return
    area = areas.of(answer["ways"][0]["number"])
    if area is not None:
        answer["area"] = {"code": area["code"], "label": area.get("label") or "", "province": area.get("province") or ""}


def _explained(core, place, choice, digits, line, caller, emergency, takes, out_of_service):
    """One way: the number that is sent, whose number is shown, and which circuit is taken."""
    way, areas = outside.way(choice, digits, core.router.areas), core.router.areas
    group, row = core.state.groups.get(way["trunk_group"]), core.group_rows.get(way["trunk_group"]) or {}
    trunks = group.trunks if group else []
    up = [trunk for trunk in trunks if core.span_is_up(trunk[0])]
    blocked = len([trunk for trunk in up if trunk in out_of_service])
    free = len([trunk for trunk in up if group.holder(*trunk) is None and trunk not in out_of_service])
    kept = row.get("reserved", 0)
    is_kept = 0 < free <= kept and not emergency
    first = group.select(lambda span, timeslot: core.span_is_up(span) and (span, timeslot) not in out_of_service) if group and not is_kept else None
    known = {"number": caller or "", "type": "unknown", "presentation": "allowed"}
    left = digits[choice.get("strip") or 0:]
    return {**way, "choice": place + 1, "stripped": digits[:choice.get("strip") or 0], "prefix": choice.get("prefix") or "",
            "mobile_zero": bool(choice.get("mobile_zero")) and areas.dialled(left) != left,
            "shown": outside.shown_number(row, core.line_rows.get(line) if line is not None else None, known),
            "selection": group.selection if group else None, "trunks": len(trunks), "up": len(up), "blocked": blocked, "free": free, "reserved": kept,
            "first": list(first) if first else None, "why": _hindrance(up, blocked, free, kept, is_kept, takes),
            "circuits": _circuits(core, group, first, is_kept, out_of_service) if group else []}


def _hindrance(up, blocked, free, kept, is_kept, takes):
    """Why no call takes a way now, or how an emergency call would; None: nothing is in the way."""
    if not up:
        return "no span or SIP trunk of the group is up"
    if blocked == len(up):
        return "all circuits are locked or blocked"
    if not free:
        return "all trunks are in use%s" % (", but %d that are locked or blocked" % blocked if blocked else "") + ("; the circuit of another call would be taken" if takes else "")
    if is_kept:
        return "the trunks that are free are kept for emergency calls (reserved: %d)" % kept
    return None


def _circuits(core, group, first, is_kept, out_of_service):
    """The circuits of a group in the order in which a call asks for them, each with what it is; of very many, those around the one that is taken."""
    found, order = [], group.order()
    begin = max(0, min(order.index(first) - CIRCUITS_SHOWN // 2, len(order) - CIRCUITS_SHOWN)) if first else 0
    for span, timeslot in order[begin:begin + CIRCUITS_SHOWN]:
        holder = group.holder(span, timeslot)
        if not core.span_is_up(span):
            state = "down"
        elif holder is not None:
            state = "busy"
        elif (span, timeslot) in out_of_service:
            state = "out_of_service"
        else:
            state = "kept" if is_kept else "next" if (span, timeslot) == first else "free"
        leg = core.state.legs.get(holder)
        found.append({"span": span, "timeslot": timeslot, "state": state, "call": leg.call if leg is not None else None})
    return found
