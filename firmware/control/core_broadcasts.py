"""Messages from supervisors to agents: kept for each until that agent has seen it, or its time is over.

Who gets it is fixed when it is sent: agents by name, of teams, of queues (who serves them then).  An agent who logs in later still finds it."""

WEEK_S = 7 * 86400
MOST = 1000                 # that wait to be seen; invented
MOST_EACH = 50              # of them for one agent; invented
LONGEST = 1000


def resolve(core, agents, teams, queues):
    """Names of agents, each once, in the configuration's order."""
    wanted = dict([(name, True) for name in agents or ()])
    for team in core.config.get("teams") or ():
        if team["name"] in (teams or ()):
            wanted.update(dict([(name, True) for name in team["agents"]]))
    for queue in queues or ():
        wanted.update(dict([(row[0], True) for row in core.members.get(queue) or ()]))
    return [name for name in core.agent_names if name in wanted]


def command(core, event):
    """Send one.  event: text agents? teams? queues? by? urgent? expires_s?  Answer: {"broadcast", "agents"}"""
    text = event["text"]
    for part, known in (("agents", core.agent_configs), ("teams", dict([(row["name"], row) for row in core.config.get("teams") or ()])),
                        ("queues", core.queue_configs)):
        for name in event.get(part) or ():
            if name not in known:
                return core.refuse("there is no %s %s" % (part[:-1], str(name)[:40]))
    to = resolve(core, event.get("agents"), event.get("teams"), event.get("queues"))
    if not to:
        return core.refuse("nobody would get it; name agents, teams or queues")
    if len(core.state.broadcasts) >= MOST:
        return core.refuse("%d messages wait to be seen; withdraw some" % MOST)
    for name in to:
        if len([row for row in core.state.broadcasts.values() if name in row["agents"]]) >= MOST_EACH:
            return core.refuse("agent %s has %d messages to see; withdraw some" % (name, MOST_EACH))
    core.answer = {"broadcast": send(core, text, to, event.get("by"), bool(event.get("urgent")), event.get("expires_s") or WEEK_S), "agents": to}
    return True


def send(core, text, to, by, urgent, expires_s=WEEK_S):
    """Keep a message for agents; its id."""
    name = core.ids.next("g")
    core.emit("broadcast.sent", broadcast=name, text=text[:LONGEST], agents=to, by=by, urgent=urgent, expires_ms=core.now_ms + expires_s * 1000)
    return name


def seen(core, event):
    """An agent has seen one.  event: broadcast agent"""
    row = core.state.broadcasts.get(event["broadcast"])
    if row is None or event["agent"] not in row["agents"]:
        return core.refuse("message %s does not wait for agent %s" % (event["broadcast"][:20], event["agent"][:40]))
    core.emit("broadcast.seen", agent=event["agent"], broadcast=event["broadcast"])
    return True


def withdraw(core, event):
    """It is not to be shown any more.  event: broadcast by?"""
    row = core.state.broadcasts.get(event["broadcast"])
    if row is None:
        return core.refuse("there is no message %s that waits" % event["broadcast"][:20])
    _end(core, row, "withdrawn", event.get("by"))
    return True


def expired(core, name):
    """Its time is over."""
    row = core.state.broadcasts.get(name)
    if row is not None:
        _end(core, row, "expired", None)


def _end(core, row, why, by):
    core.emit("broadcast.ended", broadcast=row["broadcast"], why=why, by=by, agents=row["agents"])


def snapshot(core):
    """[{broadcast text by at_ms urgent agents(who have not seen it) seen expires_ms}], oldest first."""
    return sorted([dict(row) for row in core.state.broadcasts.values()], key=lambda row: (row["at_ms"], row["broadcast"]))
