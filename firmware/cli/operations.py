"""Verbs of the command `strowger` that act on calls that are up and on agents.

    hold|retrieve|conference|change-over ID [--by WHO];  malicious ID [--by WHO]      the network registers the caller (MCID)
    network ID hold|retrieve|transfer [--leg caller|agent] [--by WHO]     the network of the trunk does it
    consult ID agent|line|queue|number TARGET [--join] [--by WHO]
    transfer ID [agent|line|queue|number|flow TARGET] [--by WHO]      without target: to the consulted party
    park ID [--place N];  fetch PLACE --agent A | --line L;  pick-up TARGET --agent A | --line L
    monitor ID listen|whisper|barge|take_over|end --agent A | --line L
    listen ID [--leg LEG] NAME=on|off|PLAN ...      modem, progress, answer, r1; caller_id=v23|bell202|off; quiet=SECONDS|off: nobody speaks for so long
    enhance ID [--leg LEG] NAME=on|off|agc|alc ...  echo, long_tail (128 ms), noise, vad; level=off|agc|alc
    send ID [--leg LEG] tone NAME --ms N | dtmf DIGITS | r1 SIGNALS | caller_id NUMBER [--name NAME] [--standard S]
    record ID start|stop|pause|resume [--format F] [--channels stereo|mono] [--text T] [--by WHO]
    log-in AGENT LINE [--pin];  the code is asked for without an echo, or read from standard input;   wrap-up AGENT [--end]
    assign AGENT QUEUE[:LEVEL] ... | assign AGENT     which queues the agent serves; without: the configured ones again
    announcements;  announcement NAME on|off [--by WHO]
    mailboxes;  mailbox NAME;  message ID new|read|delete [--by WHO];  message-audio ID FILE
    staffing --calls N --handle-s S [--interval-s I] | --queue Q --day YYYY-MM-DD [--weeks N]; [--target T --within-s S --patience-s P --shrinkage F]
    staffing-simulation --calls N --handle-s S --agents A [--interval-s I] | --day YYYY-MM-DD --hour H [--weeks N --absent F]; [--within-s S --patience-s P --runs N --seed N]
    staffing-flows --day YYYY-MM-DD --hour H | --calls NUMBER=N ...; [--weeks N --handle-s S --patience-s P --within-s S --pick-up-s S --absent F --runs N --seed N]
        [--assume FILE]                           JSON with shares, answers, entered: what callers and services do where the journal does not tell
    callbacks;  callback QUEUE NUMBER [--agent A] [--at-ms MS] [--note TEXT];  callback-cancel ID
"""

import datetime
import json
import urllib.parse

from firmware.cli.users import asked
from firmware.errors import LocalError

SIMPLE = ("hold", "retrieve", "conference", "change-over", "malicious")
VERBS = (*SIMPLE, "network", "consult", "transfer", "park", "fetch", "pick-up", "monitor", "record", "log-in", "wrap-up", "announcements", "announcement",
         "callbacks", "callback", "callback-cancel", "listen", "enhance", "send", "stream", "mailboxes", "mailbox", "message", "message-audio", "staffing", "staffing-simulation", "staffing-flows", "assign")


STAFFING = ("calls", "handle_s", "interval_s", "queue", "day", "weeks", "target", "within_s", "patience_s", "shrinkage")
FLOWS = ("day", "hour", "weeks", "handle_s", "patience_s", "within_s", "pick_up_s", "absent", "runs", "seed")
SIMULATION = ("calls", "interval_s", "handle_s", "agents", "day", "hour", "weeks", "absent", "within_s", "patience_s", "runs", "seed")


def _show_staffing(answer):
    """One line, or one for each quarter of an hour that needs somebody."""
    if "intervals" not in answer:
        return "%d agents (plan %d): %.1f %% in time, %s s to the answer, occupancy %.0f %%, %.1f %% give up" % (
            answer["agents"], answer["planned"], 100 * answer["service_level"], "%.1f" % (answer["speed_of_answer_s"] or 0),
            100 * answer["occupancy"], 100 * answer["abandons"])
    return "\n".join("%s  %7.1f calls  %6.0f s  %4d agents  plan %4d" % (
        datetime.datetime.fromtimestamp(row["start_ms"] / 1000).astimezone().strftime("%Y-%m-%d %H:%M"), row["calls"], row["handle_s"] or 0,
        row["agents"], row["planned"]) for row in answer["intervals"] if row["calls"]) or "no calls in the weeks before"


def _show_simulation(answer):
    def share(value):
        return "-" if value is None else "%.1f %%" % (100 * value)
    return "\n".join(["%-16s %7.1f calls of %5.0f s  %4d agents  in time %s  abandoned %s  answered after %s" % (
        row["queue"], row["calls"], row["handle_s"], row["agents"], share(row["service_level"]), share(row["abandons"]),
        "-" if row["speed_of_answer_s"] is None else "%.1f s" % row["speed_of_answer_s"]) for row in answer["queues"] if row["calls"]]
        + ["%d agents, occupied %s; %d runs" % (answer["agents"], share(answer["occupancy"]), answer["runs"])])


def _show_flows(answer):
    return "\n".join([_show_simulation({**answer, "queues": [dict(row, handle_s=answer["handle_s"].get(row["queue"], answer["handle_s"][""]), agents=answer["agents"])
                                                             for row in answer["queues"]]})]
                     + ["flow %s version %s: %.1f calls, %.0f s in it" % (row["flow"], row["version"], row["calls"], row["seconds"] or 0) for row in answer["flows"]]
                     + ["    %s: %s  %.1f" % (row["node"], row["outcome"], row["calls"]) for row in answer["ways"]]
                     + ["%s.%s: keys by %s" % (row["flow"], row["node"], row["from"]) for row in answer["branches"]]
                     + ["assumed at %s.%s: %s" % (row["flow"], row["node"], row["what"]) for row in answer["assumed"]])


def _flows(client, options):
    """The body of staffing-flows, asked."""
    body = {name: getattr(options, name) for name in FLOWS if getattr(options, name) is not None}
    for word in options.calls or ():
        number, mark, count = word.partition("=")
        try:
            body.setdefault("calls", {})[number] = float(count)
        except ValueError:
            raise LocalError("%s is no NUMBER=CALLS an hour" % word[:60]) from None
    if options.assume is not None:
        try:
            with open(options.assume, encoding="utf-8") as file:
                body.update(json.load(file))
        except (OSError, ValueError, TypeError) as error:
            raise LocalError("%s cannot be read as a JSON object: %s" % (options.assume, error)) from error
    return client.request("POST", "/v1/staffing/flows", body, timeout_s=90.0)


def _membership(word):
    """{"queue", "level"?} of QUEUE[:LEVEL]."""
    queue, mark, level = word.partition(":")
    if mark and not (level.isascii() and level.isdigit() and len(level) < 6):
        raise LocalError("%s is no QUEUE:LEVEL; the level is a whole number from 1 to 9" % word[:60])
    return {"queue": queue, **({"level": int(level)} if mark else {})}


def add(verbs, common):
    """Add the verbs.  verbs: argparse's sub-parsers; common: the parent with --json."""
    for name in (*SIMPLE, "consult", "transfer", "park"):
        one = verbs.add_parser(name, parents=[common])
        one.add_argument("id")
        if name in ("consult", "transfer"):
            many = None if name == "consult" else "?"
            one.add_argument("to", nargs=many, choices=("agent", "line", "queue", "number", "flow"))
            one.add_argument("target", nargs=many)
        if name == "consult":
            one.add_argument("--join", action="store_true", help="into the conversation as soon as it answers")
        if name == "park":
            one.add_argument("--place", type=int)
        one.add_argument("--by", help="agent or line that acts")
    for name, what in (("fetch", "place"), ("pick-up", "target"), ("monitor", "id")):
        one = verbs.add_parser(name, parents=[common])
        one.add_argument(what)
        if name == "monitor":
            one.add_argument("mode", choices=("listen", "whisper", "barge", "take_over", "end"))
        phone = one.add_mutually_exclusive_group(required=True)
        phone.add_argument("--agent")
        phone.add_argument("--line")
    for name in ("listen", "enhance", "send"):
        one = verbs.add_parser(name, parents=[common])
        one.add_argument("id")
        if name == "send":
            one.add_argument("what", choices=("tone", "dtmf", "r1", "caller_id"))
            one.add_argument("value")
            one.add_argument("--ms", type=int, default=1000)
            one.add_argument("--name")
            one.add_argument("--standard", choices=("v23", "bell202"), default="v23")
        else:
            one.add_argument("switch", nargs="+", help="NAME=on, off or another value")
        one.add_argument("--leg", help="a leg's id, caller or agent")
    network = verbs.add_parser("network", parents=[common])
    network.add_argument("id")
    network.add_argument("what", choices=("hold", "retrieve", "transfer"))
    network.add_argument("--leg", help="a leg's id, caller or agent")
    network.add_argument("--by", help="who orders it")
    stream = verbs.add_parser("stream", parents=[common])
    stream.add_argument("id")
    stream.add_argument("action", choices=("start", "stop"))
    stream.add_argument("service", nargs="?", help="name of a service of kind speech")
    stream.add_argument("--leg", help="a leg's id, caller or agent")
    stream.add_argument("--both", action="store_true", help="the other side too, as a second channel")
    stream.add_argument("--stream", help="stop this one alone")
    record = verbs.add_parser("record", parents=[common])
    record.add_argument("id")
    record.add_argument("action", choices=("start", "stop", "pause", "resume"))
    record.add_argument("--format")
    record.add_argument("--channels", choices=("stereo", "mono"))
    record.add_argument("--text", help="stands with the mark")
    record.add_argument("--by", help="agent or line that acts")
    log_in = verbs.add_parser("log-in", parents=[common])
    log_in.add_argument("name")
    log_in.add_argument("line")
    log_in.add_argument("--pin", action="store_true", help="ask for the code (no echo), or read it from standard input")
    verbs.add_parser("announcements", parents=[common])
    verbs.add_parser("callbacks", parents=[common])
    verbs.add_parser("mailboxes", parents=[common])
    assign = verbs.add_parser("assign", parents=[common])
    assign.add_argument("name")
    assign.add_argument("queues", nargs="*", metavar="QUEUE[:LEVEL]")
    assign.add_argument("--by", help="who orders it")
    staffing = verbs.add_parser("staffing", parents=[common])
    for name in STAFFING:
        staffing.add_argument("--" + name.replace("_", "-"), dest=name)
    simulation = verbs.add_parser("staffing-simulation", parents=[common])
    for name in SIMULATION:
        simulation.add_argument("--" + name.replace("_", "-"), dest=name)
    flows = verbs.add_parser("staffing-flows", parents=[common])
    for name in FLOWS:
        flows.add_argument("--" + name.replace("_", "-"), dest=name, type=str if name == "day" else int if name in ("hour", "weeks", "runs", "seed") else float)
    flows.add_argument("--calls", action="append", metavar="NUMBER=CALLS", help="of an hour")
    flows.add_argument("--assume", metavar="FILE", help="JSON with shares, answers, entered")
    verbs.add_parser("mailbox", parents=[common]).add_argument("name")
    message = verbs.add_parser("message", parents=[common])
    message.add_argument("id")
    message.add_argument("state", choices=("new", "read", "delete"))
    message.add_argument("--by", help="who does it")
    audio = verbs.add_parser("message-audio", parents=[common])
    audio.add_argument("id")
    audio.add_argument("file", help="where the WAV file is written")
    callback = verbs.add_parser("callback", parents=[common])
    callback.add_argument("queue")
    callback.add_argument("number")
    callback.add_argument("--agent", help="who shall make it")
    callback.add_argument("--at-ms", type=int, dest="at_ms", help="not before: ms since 1970, UTC")
    callback.add_argument("--note")
    verbs.add_parser("callback-cancel", parents=[common]).add_argument("id")
    announcement = verbs.add_parser("announcement", parents=[common])
    announcement.add_argument("name")
    announcement.add_argument("state", choices=("on", "off"))
    announcement.add_argument("--by", help="who switches it")
    wrap_up = verbs.add_parser("wrap-up", parents=[common])
    wrap_up.add_argument("name")
    wrap_up.add_argument("--end", action="store_true", help="over now; else it lasts longer")


def _switches(words):
    """{"echo": True, "level": "agc"} of ["echo=on", "level=agc"]."""
    found = {}
    for word in words:
        name, _, value = word.partition("=")
        if name == "quiet":
            found[name] = int(value) if value.isascii() and value.isdigit() and len(value) < 6 else 0 if value == "off" else value
        else:
            found[name] = value if name in ("caller_id", "level") else {"on": True, "off": False}.get(value, value)
    return found


def _sent(options):
    if options.what == "tone":
        return {"tone": options.value, "duration_ms": options.ms}
    if options.what == "caller_id":
        return {"caller_id": {"number": options.value, "standard": options.standard, **({"name": options.name} if options.name else {})}}
    return {options.what: options.value}


def carry_out(client, options):
    """One of VERBS.  Returns (the API's answer, function that shows it)."""
    verb = options.verb
    given = {name: value for name, value in vars(options).items()
             if name in ("to", "target", "join", "place", "by", "agent", "line", "mode", "pin", "end", "action", "format", "channels", "text") and value not in (None, False)}
    if verb == "pick-up":
        return client.post("/v1/pick_up", given), lambda a: "picked up"
    if verb == "fetch":
        given.pop("place")
        return client.post("/v1/parked/%s/fetch" % urllib.parse.quote(options.place, safe=""), given), lambda a: "fetched"
    if verb == "assign":
        if options.queues:
            given["queues"] = [_membership(word) for word in options.queues]
        return client.post("/v1/agents/%s/queues" % urllib.parse.quote(options.name, safe=""), given), lambda a: "done"
    if verb == "staffing-simulation":
        return client.get("/v1/staffing/simulation", **{name: getattr(options, name) for name in SIMULATION}), _show_simulation
    if verb == "staffing-flows":
        return _flows(client, options), _show_flows
    if verb == "staffing":
        return client.get("/v1/staffing", **{name: getattr(options, name) for name in STAFFING}), _show_staffing
    if verb == "mailboxes":
        return client.get("/v1/mailboxes"), lambda a: "\n".join(
            "%-20s new %-4d heard %-4d %s" % (row["mailbox"], row["new"], row["read"], row["label"]) for row in a["mailboxes"]) or "none"
    if verb == "mailbox":
        return client.get("/v1/mailboxes/%s" % urllib.parse.quote(options.name, safe="")), lambda a: "\n".join(
            "%-8s %-4s %-16s %6s ms  mail %s" % (row["message"], row["state"], row["caller"] or "unknown", row["duration_ms"], row["mail"] or "-")
            for row in a["messages"]) or "none"
    if verb in ("message", "message-audio", "staffing", "assign"):
        path = "/v1/messages/%s" % urllib.parse.quote(options.id, safe="")
        if verb == "message-audio":
            octets = client.get(path + "/audio")
            with open(options.file, "wb") as file:
                file.write(octets)
            return {"file": options.file, "octets": len(octets)}, lambda a: "%(octets)d octets in %(file)s" % a
        if options.state == "delete":
            return client.post(path + "/delete", given), lambda a: "deleted"
        return client.post(path, dict(given, state=options.state)), lambda a: "done"
    if verb == "callbacks":
        return client.get("/v1/callbacks"), lambda a: "\n".join(
            "%-8s %-12s %-16s %-8s place %-4s attempts %d" % (row["callback"], row["queue"], row["number"], row["state"], row["position"] or "-",
                                                             row["attempts"]) for row in a["callbacks"]) or "none"
    if verb == "callback":
        more = {name: getattr(options, name) for name in ("queue", "number", "at_ms", "note") if getattr(options, name) is not None}
        return client.post("/v1/callbacks", {**given, **more}), lambda a: a["callback"]
    if verb == "callback-cancel":
        return client.post("/v1/callbacks/%s/cancel" % urllib.parse.quote(options.id, safe=""), given), lambda a: "cancelled"
    if verb == "announcements":
        return client.get("/v1/announcements"), lambda a: "\n".join(
            "%-20s %-3s %s" % (row["name"], "on" if row["on"] else "off", row["label"]) for row in a["announcements"]) or "none"
    if verb == "announcement":
        return (client.post("/v1/announcements/%s" % urllib.parse.quote(options.name, safe=""), dict(given, on=options.state == "on")),
                lambda a: options.state)
    if verb == "log-in" and options.pin:
        given["pin"] = asked("Code")
    if verb in ("log-in", "wrap-up"):
        path = "/v1/agents/%s/%s" % (urllib.parse.quote(options.name, safe=""), verb.replace("-", "_"))
        return client.post(path, given), lambda a: "done"
    if verb in ("listen", "enhance", "send"):
        given = dict({"leg": options.leg} if options.leg else {}, **(_sent(options) if verb == "send" else _switches(options.switch)))
    if verb == "network":
        given.update({"verb": options.what, **({"leg": options.leg} if options.leg else {})})
    if verb == "stream":
        given.update({name: getattr(options, name) for name in ("service", "leg", "both", "stream") if getattr(options, name)})
    answer = client.post("/v1/calls/%s/%s" % (urllib.parse.quote(options.id, safe=""), verb.replace("-", "_")), given)
    return answer, lambda a: "parked at place %d" % a["place"] if "place" in a else a.get("stream", "done")
