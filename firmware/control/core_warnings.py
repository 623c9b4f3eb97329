"""Decisions of the traffic early warning: thresholds on live figures, alarms, who is told step by step, who has acknowledged.

Each second control says how the figures stand (event figures.look; the sums of the interval as `counted`, since the core keeps days); the core looks
at its own figures and judges (acd/thresholds.py).  What stands is in records with its moments, so a restart goes on where it was: an
alarm keeps its age, a step that was done is not done twice.  Mails wait in the state until the mailer has got rid of them."""

from firmware.acd import thresholds
from firmware.control import core_broadcasts, core_overflow

# Names of the figures in mails, by the site's first language; the pages have their own.
NAMES = {"zh_CN": {"waiting": "排队人数", "longest_wait": "最长等待", "expected_wait": "预计等待", "agents_ready": "就绪座席", "agents_logged_in": "登录座席",
                   "callbacks": "待回呼数", "service_level": "服务水平", "abandon_rate": "放弃率", "above": "高于", "below": "低于", "raised": "告警",
                   "cleared": "恢复", "queue": "队列", "limit": "阈值", "value": "当前值", "since": "开始于"},
         "en": {"waiting": "callers waiting", "longest_wait": "longest wait", "expected_wait": "expected wait", "agents_ready": "agents ready",
                "agents_logged_in": "agents logged in", "callbacks": "callbacks waiting", "service_level": "service level",
                "abandon_rate": "abandon rate", "above": "above", "below": "below", "raised": "ALARM", "cleared": "over", "queue": "queue",
                "limit": "limit", "value": "now", "since": "since"}}


def rows(core):
    """Thresholds that are watched."""
    return [row for row in core.config.get("thresholds") or [] if row["enabled"]]


def value_of(core, row, counted, now_ms):
    """How a figure stands, or None.  counted: {queue: {minutes: counts}}."""
    queue, figure = row["queue"], row["figure"]
    if queue not in core.queue_configs:
        return None
    if figure in thresholds.COUNTED:
        counts = (counted.get(queue) or {}).get(str(row["interval_min"])) or {}
        value, callers = thresholds.counted(figure, counts, core.queue_configs[queue].get("service_level_abandons") or "ignore")
        return value if callers >= row["least"] else None
    state = core.state
    if figure == "waiting":
        return len(state.queues[queue]) if queue in state.queues else 0
    if figure == "longest_wait":
        since_ms = state.queues[queue].longest_since_ms() if queue in state.queues else None
        return max(0, now_ms - since_ms) // 1000 if since_ms is not None else 0
    if figure == "expected_wait":
        expected_ms = core_overflow.expected_ms(core, queue)
        return expected_ms // 1000 if expected_ms is not None else None
    if figure == "agents_ready":
        return len(core.ready.of(queue))
    if figure == "agents_logged_in":
        return core_overflow.logged_in(core, queue)
    return len([one for one in state.callbacks.values() if one["queue"] == queue])


def look(core, event):
    """Judge all thresholds.  event: counted"""
    counted, changed, named = event.get("counted") or {}, False, {}
    for row in rows(core):
        named[row["name"]] = True
        value = value_of(core, row, counted, core.now_ms)
        warning = core.state.warnings.get(row["name"])
        what = thresholds.judge(row, value, warning, core.now_ms)
        if what is not None:
            changed = True
            more = {"since_ms": warning["since_ms"] if warning else core.now_ms} if what == "raised" else {}
            if what == "cleared":
                _cleared(core, row, warning, value)
            else:
                core.emit("threshold." + what, queue=row["queue"], threshold=row["name"], value=value, limit=row["limit"], severity=row["severity"], **more)
        changed = _escalate(core, row, value) or changed
    for name in sorted(core.state.warnings):
        if name not in named:
            changed = True
            core.emit("threshold.cleared", threshold=name, value=None, why="removed")
    return changed


def _plan(core, row):
    for plan in core.config.get("escalation_plans") or []:
        if plan["name"] == row["plan"]:
            return plan["steps"]
    return []


def _escalate(core, row, value):
    """Do the steps that are due."""
    done = False
    while True:
        warning, steps = core.state.warnings.get(row["name"]), _plan(core, row)
        if warning is None or warning["state"] != "raised":
            return done
        place = thresholds.step_due(steps, warning, core.now_ms)
        if place is None:
            return done
        step = steps[place]
        core.emit("threshold.escalated", queue=row["queue"], threshold=row["name"], step=place + 1, mail=step["mail"], agents=step["agents"], teams=step["teams"],
                  value=value)
        text = _subject(core, row, "raised", value)
        if step["mail"]:
            mail(core, step["mail"], text, _text(core, row, warning, value))
        to = core_broadcasts.resolve(core, step["agents"], step["teams"], ())
        if to:
            core_broadcasts.send(core, text, to, "thresholds", True)
        done = True


def _cleared(core, row, warning, value):
    told = warning["told"]
    core.emit("threshold.cleared", queue=row["queue"], threshold=row["name"], value=value, why="over")
    if told:
        mail(core, told, _subject(core, row, "cleared", value), _text(core, row, warning, value))


def _words(core):
    languages = core.site.get("languages") or ["en"]
    return NAMES.get(languages[0], NAMES["en"])


def _label(core, queue):
    return (core.queue_configs.get(queue) or {}).get("label") or queue


def _subject(core, row, what, value):
    words = _words(core)
    return "%s: %s, %s %s %s (%s %s)" % (words[what], _label(core, row["queue"]), words[row["figure"]], thresholds.shown(row["figure"], value),
                                         row.get("label") or row["name"], words[row["when"]], thresholds.shown(row["figure"], row["limit"]))


def _text(core, row, warning, value):
    words, offset_ms = _words(core), core.utc_offset_ms(warning["since_ms"])
    minutes = (warning["since_ms"] + offset_ms) // 60000 % 1440
    return "%s\n%s: %s\n%s: %s\n%s: %s\n%s: %s %s\n%s: %02d:%02d\n" % (
        core.site.get("name") or "Strowger", words["queue"], _label(core, row["queue"]), words[row["figure"]], row.get("label") or row["name"], words["value"],
        thresholds.shown(row["figure"], value), words["limit"], words[row["when"]], thresholds.shown(row["figure"], row["limit"]), words["since"],
        minutes // 60, minutes % 60)


def mail(core, to, subject, text):
    """Have a mail sent; it is kept until it is, or was given up."""
    core.emit("notice.queued", notice=core.ids.next("n"), to=list(to), subject=subject, text=text)


def mailed(core, event):
    """What became of a mail.  event: notice ok error? again_ms? to?"""
    if event["notice"] not in core.state.notices:
        return False
    core.emit("notice.mailed", notice=event["notice"], ok=bool(event["ok"]), error=event.get("error"), again_ms=event.get("again_ms"), to=event.get("to"))
    return True


def acknowledge(core, event):
    """A person has seen an alarm and cares: no further steps.  event: threshold by? note?"""
    warning = core.state.warnings.get(event["threshold"])
    if warning is None or warning["state"] != "raised":
        return core.refuse("threshold %s has raised no alarm" % event["threshold"][:40])
    if warning["acked"] is not None:
        return core.refuse("the alarm of threshold %s is acknowledged already, by %s" % (event["threshold"], warning["acked"]["by"] or "somebody"))
    core.emit("threshold.acknowledged", queue=warning["queue"], threshold=event["threshold"], by=event.get("by"), note=event.get("note"))
    return True


def snapshot(core, now_ms, counted=None):
    """[{name label queue figure when limit clear severity value state("ok"|"pending"|"raised") since_ms raised_ms step acked}] in the order of the configuration."""
    found = []
    for row in rows(core):
        warning = core.state.warnings.get(row["name"]) or {}
        value = value_of(core, row, counted, now_ms) if counted is not None else warning.get("value") if row["figure"] in thresholds.COUNTED else value_of(core, row, {}, now_ms)
        found.append({"name": row["name"], "label": row.get("label") or row["name"], "queue": row["queue"], "figure": row["figure"], "when": row["when"],
                      "limit": row["limit"], "clear": row["clear"], "severity": row["severity"], "plan": row["plan"], "value": value,
                      "unit": thresholds.UNITS.get(row["figure"], "").strip(), "state": warning.get("state", "ok"), "since_ms": warning.get("since_ms"),
                      "raised_ms": warning.get("raised_ms"), "step": warning.get("step", 0), "acked": warning.get("acked")})
    return found
