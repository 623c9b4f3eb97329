"""Campaigns: a list of numbers that the agents of a queue call between its own callers.

    loaded    a list of numbers for a queue, from a CSV file; nothing is called yet
    running   its numbers come into the queue one after the other as callbacks do (core_callbacks.py), so that agents are blended by the queue's own rules, never
              more are called than agents are ready and reserved for it, hours, kinds of numbers, attempts and pauses are those of the queue's setting `callback`
                progressive   the number is called when an agent is ready and reserved; who answers is given to that agent
                preview       the agent's telephone rings, the desk shows who it is; the number is called when the agent answers
    paused    what waits leaves the queue and keeps its attempts; what is being called goes on
    stopped   for good; numbers that were not reached are "not_called", or what they were
    done      every number has a result: reached | exhausted | expired | forbidden | do_not_call

Numbers that the caller_lists of treatment do_not_call have are never called; they are looked up at the moment of the call.  All is in the journal: after kill -9 a
row goes on where it stood, and what was being called goes on too: no number is called twice for one attempt."""

from firmware.call import call as calls
from firmware.control import core_callback_rules as rules
from firmware.control import core_callbacks

RUNNING, PAUSED, READY, STOPPED, DONE = "running", "paused", "ready", "stopped", "done"
MODES = {"progressive": "caller", "preview": "agent"}       # who is called first
MOST, MOST_ROWS = 50, 5000                  # campaigns; numbers of one; invented
AT_ONCE = 50                                # numbers of one that come into the queue in one event, some 100 ms with 1,000 ready agents; the others in the next; invented
# Commands: from which states, to which.
MOVES = {"start": ((READY, PAUSED), RUNNING), "pause": ((RUNNING,), PAUSED), "stop": ((READY, RUNNING, PAUSED), STOPPED)}


def load(core, event):
    """A list comes.  event: campaign queue mode rows([[number, note]]) by?"""
    name, queue = event["campaign"], event["queue"]
    if name in core.state.campaigns:
        return core.refuse("there is a campaign %s already; remove it, or choose another name" % name)
    if queue not in core.queue_configs:
        return core.refuse("there is no queue %s" % queue)
    if event["mode"] not in MODES:
        return core.refuse("%s is no mode; choose one of %s" % (str(event["mode"])[:20], ", ".join(sorted(MODES))))
    if not rules.setting(core, queue, "enabled"):
        return core.refuse("queue %s calls nobody; switch its setting callback on, whose prefix, classes, hours and attempts hold for campaigns, too" % queue)
    if len(core.state.campaigns) >= MOST or not 0 < len(event["rows"]) <= MOST_ROWS:
        return core.refuse("there are at most %d campaigns of 1 to %d numbers each" % (MOST, MOST_ROWS))
    core.emit("campaign.loaded", queue=queue, campaign=name, mode=event["mode"], rows=[list(row) for row in event["rows"]], by=event.get("by"))
    return True


def move(core, event):
    """Start, pause or stop.  event: campaign action by?"""
    row = core.state.campaigns.get(event["campaign"])
    if row is None:
        return core.refuse("there is no campaign %s" % event["campaign"])
    if event["action"] == "remove":
        if row["state"] not in (READY, STOPPED, DONE):
            return core.refuse("campaign %s is %s; stop it first" % (row["id"], row["state"]))
        if row["out"]:
            return core.refuse("%d numbers of campaign %s are being called just now; remove it when these calls are over" % (row["out"], row["id"]))
        core.emit("campaign.removed", queue=row["queue"], campaign=row["id"], by=event.get("by"))
        return True
    before, after = MOVES[event["action"]]
    if row["state"] not in before:
        return core.refuse("campaign %s is %s" % (row["id"], row["state"]))
    core.emit("campaign.moved", queue=row["queue"], campaign=row["id"], state=after, by=event.get("by"))
    core.touch(row["queue"])
    return True


def _withdraw(core, name, outcome):
    """What waits leaves the queue; what is being called goes on, and what an agent is asked to call."""
    for key in sorted(core.state.callbacks):
        row = core.state.callbacks[key]
        call = core.state.calls.get(row["call"])
        if (row.get("campaign") or [None])[0] == name and (call is None or core.is_absent(call) and call.state == calls.QUEUED and not call.offers):
            core_callbacks.end(core, row, outcome)


def look(core):
    """Numbers of campaigns that run come into their queues, as many as agents are there; of others what waits leaves.  Where a queue was touched: else nothing of it is new."""
    if not core.state.media_up:
        return
    more = {}
    for name in sorted(core.state.campaigns):
        row = core.state.campaigns[name]
        if row["queue"] not in core.unfed:
            continue
        if row["state"] == RUNNING:
            if _feed(core, row):
                more[row["queue"]] = True
        elif row["out"]:                # now, or when the agent who was asked did not answer
            _withdraw(core, name, "paused" if row["state"] == PAUSED else "not_called")
    core.unfed = more


def timer(core, name):
    """Numbers of a campaign are to be called again."""
    row = core.state.campaigns.get(name)
    if row is not None:
        core.touch(row["queue"])


def _feed(core, row):
    """Returns whether there is room for more."""
    queue, there = row["queue"], 0
    if queue in core.queue_configs and rules.setting(core, queue, "enabled"):
        there = len([1 for agent, *_ in core.members[queue] if core.is_registered(core.line_of(agent)) and core.state.agent(agent).status == "available"])
    room = min(there - row["out"], AT_ONCE)
    cut = room < there - row["out"]
    if room > 0:
        due = [index for index in sorted(row["later"]) if (row["rows"][index]["due_ms"] or 0) <= core.now_ms]
        for index in due + list(range(row["next"], len(row["rows"]))):
            entry = row["rows"][index]
            if room <= 0:
                break
            if entry["state"] != "new":
                continue                # erased
            why = _never(core, queue, entry["number"])
            if why is not None:
                core.emit("campaign.passed", queue=queue, campaign=row["id"], row=index, outcome=why[0], why=why[1])
            else:
                core_callbacks.for_campaign(core, row["id"], index, entry, queue, MODES[row["mode"]])
                room -= 1
    row = core.state.campaigns[row["id"]]
    if not row["out"] and not _is_left(row):
        core.emit("campaign.moved", queue=queue, campaign=row["id"], state=DONE, by="switch")
    return cut


def _is_left(row):
    """Whether a campaign has a number without a result."""
    for index in row["later"] + list(range(row["next"], len(row["rows"]))):
        if row["rows"][index]["state"] == "new":
            return True
    return False


def _never(core, queue, number):
    """(outcome, why) of a number that is not called, or None."""
    known = rules.never(core, number)
    if known is not None:
        return "do_not_call", "the list %s has it" % known["name"]
    why = rules.permitted(core, queue, number)[1]
    return None if why is None else ("forbidden", why)


def snapshot(core):
    """[{campaign queue mode state by at_ms rows results{outcome: rows} waiting(in the queue or being called) left}], by name."""
    found = []
    for name in sorted(core.state.campaigns):
        row = core.state.campaigns[name]
        results = {}
        for entry in row["rows"]:
            if entry["state"] not in ("new", "out"):
                results[entry["state"]] = results.get(entry["state"], 0) + 1
        found.append({"campaign": name, "queue": row["queue"], "mode": row["mode"], "state": row["state"], "by": row["by"], "at_ms": row["at_ms"], "rows": len(row["rows"]),
                      "results": results, "waiting": row["out"], "left": len([1 for entry in row["rows"] if entry["state"] == "new"])})
    return found


def told(core, name):
    """One campaign with its numbers: snapshot's and "numbers": [{row number note state attempts why call disposition at_ms}]."""
    whole = next(row for row in snapshot(core) if row["campaign"] == name)
    numbers = [dict(entry, row=index + 1) for index, entry in enumerate(core.state.campaigns[name]["rows"])]
    return dict(whole, numbers=numbers)
