"""Who may ask what: the roles of users, held in one place for REST, pages, CTI link and command line.

A request of the local API names its user (header x-strowger-user; the web process sets it for whoever has signed in, the command line with
--as).  Without one it is whoever may open the socket: the machine's own administrator.  check() is a list of what each role may, by method
and path; what is not on the list only an admin may.  A refusal is a Problem 403 with a sentence, and a record access.denied.

    agent       the own status, calls, figures, shifts, messages; customers, tickets, articles
    supervisor  the agents, queues and calls of the teams: states, queues, listening and all that goes with it, reports, messages to them
    inspector   their calls and recordings, reports; listens, but is not heard
    admin       everything

Domain: (agents, queues) that a person's rights reach, None for all of them."""

import contextvars
import urllib.parse

from firmware.control.commands import Problem
from firmware.control.people import domain, person, reaches
from firmware.storage.cdr import CDRs

WHO = contextvars.ContextVar("who", default=None)
CALL_OPERATIONS = ("network", "malicious", "hold", "retrieve", "consult", "conference", "change_over", "transfer", "park", "hangup", "record", "play", "player", "send")
QUIET_MS = 10_000           # denied attempts of one kind are journaled once in that time; invented


def of_headers(config, headers):
    """The person of a request, None for the machine's own administrator."""
    name = dict(headers).get(b"x-strowger-user")
    return person(config, urllib.parse.unquote(name.decode("latin-1"))) if name else None


def by(body):
    """Who acts: the person of the request, else what the body says, or None."""
    who = WHO.get()
    if who is not None:
        return who.name
    given = (body or {}).get("by")
    return given[:64] if isinstance(given, str) and given else None


def sees_call(config, who, call):
    """Whether a call of the snapshot, or a CDR, is in a person's domain."""
    agents = [call.get("agent"), call.get("offered_agent"), *(call.get("offered_agents") or ()), *(call.get("agents") or ())]
    consult = call.get("consult") or {}
    return reaches(config, who, [*agents, consult.get("agent")], [call.get("queue")])


def sees_record(config, who, record):
    """Whether a journal record is for a person's eyes."""
    if who is None or who.role == "admin":
        return True
    if who.role is None:
        return False
    named = record["data"].get("agents")
    return reaches(config, who, [record["agent"], *(named if isinstance(named, list) else ())], [record["queue"]])


def cut_state(config, who, state):
    """A state with what a person's domain has of agents, queues, calls, callbacks and lines."""
    mine, served = domain(config, who)
    if mine is None:
        return state
    cut = dict(state)
    cut["agents"] = [row for row in state["agents"] if row["name"] in mine]
    cut["queues"] = [row for row in state["queues"] if row["name"] in served]
    cut["calls"] = [row for row in state["calls"] if sees_call(config, who, row)]
    cut["callbacks"] = [row for row in state.get("callbacks") or () if row["queue"] in served]
    cut["thresholds"] = [row for row in state.get("thresholds") or () if who.role != "agent" and row["queue"] in served]
    cut["broadcasts"] = [row for row in state.get("broadcasts") or () if mine & {*row["agents"], *row["seen"]}]
    cut["lines"] = [row for row in state["lines"] if row["agent"] in mine]
    for part in ("spans", "trunk_groups", "sip_trunks", "mailboxes", "ss7"):
        if part in cut:
            cut[part] = [] if isinstance(cut[part], list) else {}
    return cut


def given(body, part, kind=str):
    """What a request says of one thing, None where nothing; kind: str, or list for [] and its texts or objects.

    Raises Problem 422 for another type: no rule judges what a handler would read otherwise."""
    value = body.get(part)
    if kind is list and value is None:
        return []
    if value is not None and not isinstance(value, kind):
        raise Problem(422, "bad " + part, "%s must be %s." % (part, "a text" if kind is str else "a list"))
    return value


def given_names(body, part):
    """A list of names of a request.  Raises Problem 422."""
    names = given(body, part, list)
    if any(not isinstance(name, str) for name in names):
        raise Problem(422, "bad " + part, "%s must be a list of names." % part)
    return names


# What a rule asks besides the role; each returns None, or how far the right goes: "may ... only ...".

async def _anything(api, who, parts, query, body):
    return None


async def _agent(api, who, parts, query, body):
    """Of an agent: the own, or of the teams."""
    return None if reaches(api.house.config.running(), who, [parts[1]]) else "of the own name" if who.role == "agent" else "of agents of the own teams"


async def _status(api, who, parts, query, body):
    far = await _agent(api, who, parts, query, body)
    if far is None:
        body["by"] = "agent" if who.role == "agent" or who.agent == parts[1] else "supervisor"
        if body["by"] == "agent" and body.get("locked"):
            return "without locking it"
    return far


async def _queues(api, who, parts, query, body):
    far = await _agent(api, who, parts, query, body)
    _, served = domain(api.house.config.running(), who)
    body["by"] = who.name
    if far is None and served is not None and any(given(row, "queue") not in served for row in given(body, "queues", list) if isinstance(row, dict)):
        return "to queues of the own teams"
    return far


async def _call(api, who, parts, query, body):
    """Of a call: the own, or of the teams, up or over."""
    house, config = api.house, api.house.config.running()
    row = next((row for row in house.switchboard.snapshot(house.clock.now_ms())["calls"] if row["call"] == parts[1]), None)
    if row is not None and not row.get("agent") and not row.get("offered_agent"):      # between agents: who had it
        core = getattr(house.switchboard, "core", None)
        known = core.state.calls.get(parts[1]) if core is not None else None
        row = dict(row, agents=[getattr(known, "last_agent", None), getattr(known, "recall", None)])
    if row is None:
        row = await api.read(lambda db: CDRs(db).get(parts[1]))
    if row is None or sees_call(config, who, row):
        return None                     # what is not there gets its 404
    return "of the own calls" if who.role == "agent" else "of calls of the own teams"


async def _own_call(api, who, parts, query, body):
    """A call that a person acts on: an agent acts as that agent."""
    if who.role == "agent" and parts[2] not in ("send", "hangup"):
        body["by"] = who.agent
    return await _call(api, who, parts, query, body)


async def _words(api, who, parts, query, body):
    if who.role == "agent":
        body["agent"] = who.agent
    return await _call(api, who, parts, query, body)


async def _monitor(api, who, parts, query, body):
    body["by"] = who.name
    if who.role == "inspector" and given(body, "mode") not in ("listen", "end"):
        return "without being heard (mode listen)"
    return await _call(api, who, parts, query, body)


async def _recording(api, who, parts, query, body):
    if who.role == "agent" and query.get("recording"):
        return "without their recordings"
    return await _call(api, who, parts, query, body)


async def _report(api, who, parts, query, body):
    mine, served = domain(api.house.config.running(), who)
    allowed = {"agents": mine, "queues": served}.get(parts[1])
    if who.role == "agent" and (parts[1] != "agents" or query.get("name") != who.agent):
        return "of the own name (agents, name=%s)" % who.agent
    if allowed is None and mine is not None:
        return "of agents and queues"
    if allowed is not None and "name" in query and query["name"] not in allowed:
        return "of the own teams"
    return None


def _colleagues(config, who):
    """(agents, queues) among which a person picks up and fetches: a supervisor of the teams, an agent of the teams that the agent is in; (None, None): all."""
    mine, served = domain(config, who)
    if who.role != "agent" or mine is None:
        return mine, served
    teams = [team for team in config.get("teams") or () if who.agent in team["agents"]]
    if not teams:
        return None, None
    return mine.union(*(team["agents"] for team in teams)), served.union(*(team["queues"] for team in teams))


def _wanted(house, config, parts, body):
    """The calls of the snapshot that a request to pick up or to fetch may mean."""
    rows = house.switchboard.snapshot(house.clock.now_ms())["calls"]
    if parts[0] == "calls":
        return [row for row in rows if row["call"] == parts[1]]
    if parts[0] == "parked":
        return [row for row in rows if row["state"] == "parked" and str(row["place"]) == parts[1]]
    target = given(body, "target")
    name = next((row["name"] for row in config["agents"] if target in (row["name"], row["line"])), target)
    return [row for row in rows if name in row["offered_agents"] or any(leg["line"] is not None and leg["line"] == target and leg["state"] != "answered" for leg in row["legs"])]


def _at(core, config, line):
    """The agent at a line: who has logged in there, else whose it is, be it elsewhere; None for nobody's."""
    if line is None:
        return None
    there = core.agent_on(line) if core is not None else None
    return there if there is not None else next((row["name"] for row in config["agents"] if row["line"] == line), None)


async def _telephone(api, who, parts, query, body):
    """Fetches a call of the own teams: an agent to the own telephone, a supervisor to one of the teams."""
    config = api.house.config.running()
    if who.role == "agent" and (who.agent is None or given(body, "agent") != who.agent):
        return "to the own telephone (agent=%s)" % who.agent
    mine, served = _colleagues(config, who)
    if mine is None:
        return None
    agent, line = given(body, "agent"), given(body, "line")
    core = getattr(api.house.switchboard, "core", None)
    at_line = _at(core, config, line)
    if agent is not None and agent not in mine or at_line is not None and at_line not in mine:
        return "to telephones of the own teams"
    for row in _wanted(api.house, config, parts, body):
        known = core.state.calls.get(row["call"]) if core is not None else None
        owners = {name for name in (row["agent"], *row["offered_agents"], getattr(known, "last_agent", None), getattr(known, "recall", None)) if name}
        owners |= {name for leg in row["legs"] if (name := _at(core, config, leg["line"])) is not None}
        if (owners or row["queue"]) and not (owners & mine or row["queue"] in served):
            return "of the own teams"
    return None


async def _queue_of_body(api, who, parts, query, body):
    _, served = domain(api.house.config.running(), who)
    if who.role == "agent":
        body["agent"] = who.agent
    return None if served is None or given(body, "queue") in served else "in the own queues"


async def _callback(api, who, parts, query, body):
    """One that waits: of the own queues."""
    _, served = domain(api.house.config.running(), who)
    row = next((row for row in api.house.state()["callbacks"] if row["callback"] == parts[1]), None)
    return None if row is None or served is None or row["queue"] in served else "of the own queues"


async def _campaign(api, who, parts, query, body):
    """One of the own queues."""
    _, served = domain(api.house.config.running(), who)
    row = api.house.switchboard.core.state.campaigns.get(parts[1])
    return None if row is None or served is None or row["queue"] in served else "of the own queues"


async def _announcement(api, who, parts, query, body):
    """One that nobody hears but callers of the own queues."""
    config = api.house.config.running()
    _, served = domain(config, who)
    row = next((row for row in config["announcements"] if row["name"] == parts[1]), None)
    if row is None or served is None or row["queues"] and not row["numbers"] and served.issuperset(row["queues"]):
        return None
    return "of the own queues"


async def _message(api, who, parts, query, body):
    """One that the person sent, or that is to nobody but agents of the own teams."""
    mine, _ = domain(api.house.config.running(), who)
    row = next((row for row in api.house.switchboard.snapshot(api.house.clock.now_ms())["broadcasts"] if row["broadcast"] == parts[1]), None)
    if row is None or mine is None or row["by"] == who.name or mine.issuperset((*row["agents"], *row["seen"])):
        return None
    return "to the own teams"


async def _recipients(api, who, parts, query, body):
    mine, served = domain(api.house.config.running(), who)
    teams = [name for name in given_names(body, "teams") if "*" not in who.teams and name not in who.teams]
    agents, queues = given_names(body, "agents"), given_names(body, "queues")
    outside = mine is not None and (any(name not in mine for name in agents) or any(name not in served for name in queues))
    return "to the own teams" if teams or outside else None


async def _seen(api, who, parts, query, body):
    if who.agent is not None:
        body.setdefault("agent", who.agent)
    return None if who.agent is not None and who.agent == given(body, "agent") else "for the own name"


async def _threshold(api, who, parts, query, body):
    served = domain(api.house.config.running(), who)[1]
    row = next((row for row in api.house.config.running()["thresholds"] if row["name"] == parts[1]), None)
    return None if row is None or served is None or row["queue"] in served else "of the own teams"


async def _coverage(api, who, parts, query, body):
    served = domain(api.house.config.running(), who)[1]
    return None if served is None or query.get("queue") in served else "of queues of the own teams"


async def _no_export(api, who, parts, query, body):
    return "one by one, not as a file" if query.get("format") == "csv" else None


A, S, I = "agent", "supervisor", "inspector"
# (method, path below /v1 with None for a name, roles besides admin, what it is in a sentence, how far it goes)
RULES = [
    ("GET", ("me",), (A, S, I), "ask who they are", _anything),
    ("GET", ("health",), (A, S, I), "see the health", _anything),
    ("GET", ("state",), (A, S, I), "see the state", _anything),
    ("GET", ("calls",), (A, S, I), "see calls", _anything),
    ("GET", ("calls", None), (A, S, I), "see calls", _recording),
    ("GET", ("calls", None, "pop"), (A, S), "see who calls", _call),
    ("GET", ("calls", None, "desk"), (A, S, I), "see notes", _call),
    ("POST", ("calls", None, "notes"), (A, S, I), "write notes", _words),
    ("POST", ("calls", None, "disposition"), (A, S), "give dispositions", _words),
    *(("POST", ("calls", None, name), (A, S), "act on calls", _own_call) for name in CALL_OPERATIONS),
    ("POST", ("calls", None, "party"), (S,), "set the parties of conferences", _call), ("POST", ("calls", None, "room"), (S,), "set conferences", _call),
    ("POST", ("calls", None, "pick_up"), (A, S), "pick up calls", _telephone),
    ("POST", ("calls", None, "monitor"), (S, I), "listen to calls", _monitor),
    ("POST", ("pick_up",), (A, S), "pick up calls", _telephone), ("POST", ("parked", None, "fetch"), (A, S), "fetch calls", _telephone),
    ("PUT", ("agents", None, "status"), (A, S), "set the status of agents", _status),
    ("POST", ("agents", None, "log_in"), (A, S), "log agents in", _status), ("POST", ("agents", None, "wrap_up"), (A, S), "end after-call work", _status),
    ("POST", ("agents", None, "queues"), (S,), "move agents between queues", _queues),
    ("GET", ("agents", None, "figures"), (A, S, I), "see figures", _agent),
    ("GET", ("customers",), (A, S), "see customers", _no_export), ("POST", ("customers",), (A, S), "write customers", _anything),
    ("POST", ("customers", "import"), (S,), "import customers", _anything),
    ("GET", ("customers", None), (A, S), "see customers", _anything), ("POST", ("customers", None), (A, S), "write customers", _anything),
    ("GET", ("customers", None, "history"), (A, S), "see customers", _anything),
    ("GET", ("tickets",), (A, S, I), "see tickets", _anything), ("POST", ("tickets",), (A, S), "open tickets", _anything),
    ("GET", ("tickets", None), (A, S, I), "see tickets", _anything), ("POST", ("tickets", None), (A, S), "change tickets", _anything),
    ("GET", ("articles",), (A, S, I), "read articles", _anything), ("GET", ("articles", None), (A, S, I), "read articles", _anything),
    ("POST", ("articles",), (S,), "write articles", _anything), ("POST", ("articles", None), (S,), "write articles", _anything),
    ("POST", ("articles", None, "remove"), (S,), "remove articles", _anything),
    ("GET", ("desk", "setup"), (A, S, I), "see the desk's settings", _anything),
    ("GET", ("dispositions",), (S, I), "see dispositions", _anything),
    ("GET", ("callbacks",), (A, S), "see callbacks", _anything), ("POST", ("callbacks",), (A, S), "ask for callbacks", _queue_of_body),
    ("POST", ("callbacks", None, "cancel"), (S,), "cancel callbacks", _callback),
    ("GET", ("campaigns",), (S,), "see campaigns", _anything), ("GET", ("campaigns", None), (S,), "see campaigns", _campaign),
    ("GET", ("faxes",), (S,), "see documents that are sent", _anything), ("POST", ("faxes",), (S,), "send documents", _anything),
    ("POST", ("faxes", None, "cancel"), (S,), "cancel documents", _anything),
    ("GET", ("announcements",), (A, S), "see announcements", _anything), ("POST", ("announcements", None), (S,), "switch announcements", _announcement),
    ("GET", ("broadcasts",), (A, S), "see messages", _anything), ("POST", ("broadcasts",), (S,), "send messages", _recipients),
    ("POST", ("broadcasts", None, "seen"), (A, S), "say that messages were seen", _seen), ("POST", ("broadcasts", None, "withdraw"), (S,), "withdraw messages", _message),
    ("GET", ("thresholds",), (S, I), "see thresholds", _anything), ("GET", ("thresholds", "history"), (S, I), "see alarms", _anything),
    ("POST", ("thresholds", None, "acknowledge"), (S,), "acknowledge alarms", _threshold), ("GET", ("alarms",), (S,), "see alarms", _anything),
    ("GET", ("alarms", "history"), (S,), "see alarms", _anything), ("POST", ("alarms", None, "acknowledge"), (S,), "acknowledge alarms", _anything), ("GET", ("lines",), (S,), "see which spans there are", _anything),
    ("GET", ("schedule",), (A, S), "see shifts", _anything), ("POST", ("schedule",), (S,), "plan shifts", _anything),
    ("POST", ("schedule", "import"), (S,), "plan shifts", _anything), ("GET", ("schedule", "adherence"), (A, S, I), "see adherence", _anything),
    ("GET", ("schedule", "coverage"), (S,), "see the coverage of shifts", _coverage),
    ("GET", ("reports", None), (A, S, I), "see reports", _report),
    ("GET", ("staffing",), (S,), "see staffing", _anything), ("GET", ("staffing", "simulation"), (S,), "see staffing", _anything), ("POST", ("staffing", "flows"), (S,), "see staffing", _anything), ("GET", ("surveys",), (S, I), "see surveys", _anything),
]


def _rule(method, parts):
    for wanted, pattern, roles, what, far in RULES:
        if wanted == method and len(pattern) == len(parts) and all(p in (None, q) for p, q in zip(pattern, parts)):
            return roles, what, far
    return (), "%s /%s" % (method, "/".join(parts)[:60]), _anything


def _part(api, method, parts):
    """What no rule gives, in the journal: the part of the API it is of, so that no name in a path makes a new kind of attempt."""
    known = any(wanted == method and pattern[:1] == tuple(parts[:1]) for wanted, pattern, _ in api._routes)
    return "%s /%s" % (method, parts[0]) if known else "what only an admin may"


async def check(api, who, method, parts, query, body):
    """Raise Problem 403 unless the person may ask this; completes the body (who acts).  parts: of the path below /v1."""
    if who is None or who.role == "admin":
        return
    what, far = admit(api, who, method, parts)
    rule = what
    limit = await far(api, who, parts, query, body if isinstance(body, dict) else {})
    if limit is not None:
        raise denied(api.house, who, rule, "%s is %s %s, who may %s only %s." % (who.name, "an" if who.role[0] in "aeiou" else "a", who.role, what, limit))


def admit(api, who, method, parts):
    """What of check() needs no body: (what the person would do, how far it goes).  Raises Problem 403 unless the role may do it at all.

    Asked before the body of a request is read: who may not is told so, and costs no more."""
    if who is None or who.role == "admin":
        return None, _anything
    roles, what, far = _rule(method, parts)
    rule = what if roles else _part(api, method, parts)
    if who.role is None:
        raise denied(api.house, who, rule, "%s has no role; an administrator gives one below users in the configuration." % who.name)
    if who.role not in roles:
        raise denied(api.house, who, rule, "%s is %s %s, who may not %s." % (who.name, "an" if who.role[0] in "aeiou" else "a", who.role, what))
    return what, far


_told = {}      # (person, rule) -> when it was journaled last


def denied(house, who, rule, sentence):
    """The Problem of a denied attempt, which is journaled.  rule: one of few texts, whatever was asked."""
    now_ms = house.clock.now_ms()
    if now_ms - _told.get((who.name, rule), -QUIET_MS) >= QUIET_MS:
        if len(_told) > 1000:
            _told.clear()
        _told[who.name, rule] = now_ms
        house.turns.handle({"kind": "command.desk", "record": "access.denied", "data": {"user": who.name[:64], "role": who.role, "what": rule}})
    return Problem(403, "not allowed", sentence)
