"""The command `strowger`: look at the switch and act on it, over the local API.

    python -m firmware.cli --help               all verbs, a sentence each: cli/verbs.py
    python -m firmware.cli VERB --help          its arguments; the modules of cli/ have examples

--json on any of them prints the API's own answer.  Exit codes: 0 done, 1 refused, 2 wrong usage,
75 the control process is not there, 78 the configuration is not usable.
"""

import argparse
import datetime
import json
import os
import sys
import urllib.parse

from firmware.cli import box, campaigns, cas, desk, documents, floor, flows, journal, lines, operations, phones, pri, prompts, reports, ss7, trace, users
from firmware.cli import verbs as sentences
from firmware.control.client import ControlClient, ControlError
from firmware.errors import LocalError
from firmware.exits import EX_CONFIG, EX_TEMPFAIL
from firmware.jsontext import once


def clock(ms):
    """UTC ms as RFC 3339 in the local zone, or a dash."""
    if ms is None:
        return "-"
    return datetime.datetime.fromtimestamp(ms / 1000).astimezone().isoformat(timespec="seconds")


def table(heads, rows):
    """Lines of a table; None is a dash."""
    cells = [heads] + [["-" if cell is None or cell == "" else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[n]) for row in cells) for n in range(len(heads))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells)


def show_state(state):
    """The whole switch on a screen."""
    system = state["system"]
    trunks = [show_trunks(state), ""] if state.get("sip_trunks") else []
    lines = ["%s  journal %d  %s" % (clock(state["now_ms"]), state["seq"],
                                     "in service" if system["ok"] else "FAULT: " + "; ".join(system["faults"]))]
    lines += ["", show_spans(state), "", *trunks, table(
        ["CALL", "STATE", "CALLER", "CALLED", "QUEUE", "AGENT", "SPAN", "SLOT", "SINCE"],
        [[c.get("call"), c.get("state"), c.get("caller"), c.get("called"), c.get("queue"), c.get("agent"),
          c.get("span"), c.get("timeslot"), clock(c.get("started_ms"))] for c in state["calls"]])]
    lines += ["", table(["QUEUE", "WAITING", "AGENTS", "READY"],
                        [[q.get("name"), q.get("waiting"), q.get("agents"), q.get("agents_ready")]
                         for q in state["queues"]]), "", show_agents(state)]
    return "\n".join(lines)


def show_spans(state):
    """One line a span."""
    rows = []
    for span in state["spans"]:
        states = [slot["state"] for slot in span.get("timeslots", [])]
        rows.append([span["span"], span.get("type"), " ".join([span.get("signalling") or "pri", span.get("variant") or ""]).strip(), span.get("state"), ",".join(span.get("alarms") or []) or "none",
                     span.get("trunk_group"), states.count("idle"), states.count("busy"), states.count("blocked"), span.get("bearer", "board")])
    return table(["SPAN", "TYPE", "SIGNALLING", "STATE", "ALARMS", "TRUNK GROUP", "IDLE", "BUSY", "BLOCKED", "BEARER"], rows)


def show_trunks(state):
    """One line a SIP trunk."""
    marks = {True: "", False: " DEAD", None: " ?"}
    return table(["TRUNK", "KIND", "STATE", "TRUNK GROUP", "CALLS", "ADDRESSES", "WHY"],
                 [[t["trunk"], t["kind"], t["state"], t["trunk_group"], "%d/%d" % (len(t["calls"]), t["channels"]),
                   ", ".join(("*" if a["in_use"] else "") + a["address"] + marks[a["alive"]] for a in t["addresses"]), t["why"]]
                  for t in state.get("sip_trunks", [])])


def show_agents(state):
    """One line an agent."""
    homes = {line["name"]: line["home"] for line in state.get("lines", []) if line.get("home")}
    return table(["AGENT", "LINE", "REGISTERED", "STATUS", "STATE", "CALL", "SINCE"] + (["TELEPHONE"] if homes else []),
                 [[a.get("name"), a.get("line"), "yes" if a.get("registered") else "no", a.get("status"),
                   a.get("state"), a.get("call"), clock(a.get("since_ms"))] + ([_telephone(homes.get(a.get("line")))] if homes else [])
                  for a in state["agents"]])


def _telephone(home):
    """An ordinary telephone that the box calls, and why it is not there."""
    return "" if home is None else "%s %s%s" % (home["number"], home["state"], ": " + home["why"] if home["why"] else "")


def show_route(told):
    """What becomes of a number."""
    steps = ["%s %s" % ({"ok": "+", "no": "-"}.get(step["result"], " "), step["text"]) for step in told["steps"]]
    if told["application"] is None or not told["allowed"]:
        return "\n".join([*steps, "%s: refused with cause %s, %s" % (told["digits"], told["cause"], told["why"])])
    head = "\n".join([*steps, "%s: %s %s (%s)" % (told["digits"], told["application"], told["target"], told["label"])])
    if told["application"] != "outside":
        return head
    closed = ["%s %s" % (row["trunk_group"], row["why"]) for row in told["closed"]]
    if told["why"]:
        return "\n".join([head, told["why"]] + closed)
    area = told["area"] and " (%s)" % " ".join(filter(None, (told["area"]["code"], told["area"]["label"], told["area"]["province"])))
    return "\n".join(["%s, %s%s" % (head, told["class"], area or ""), table(
        ["TRUNK GROUP", "NUMBER", "TYPE", "SHOWN", "ORDER", "TRUNKS", "UP", "FREE", "NEXT", "WHY NOT"],
        [[way["trunk_group"], way["number"], way["type"], (way["shown"] or {}).get("number"), way["selection"], way["trunks"], way["up"], way["free"],
          "%s/%s" % tuple(way["first"]) if way["first"] else None, way["why"]] for way in told["ways"]])] + closed)


def show_calls(calls):
    """One line a CDR."""
    return table(["CALL", "STARTED", "CALLER", "CALLED", "QUEUE", "AGENT", "TALK S", "CAUSE", "RESULT"],
                 [[c["call"], clock(c["started_ms"]), c["caller"], c["called"], c["queue"], c["agent"],
                   None if c["talk_ms"] is None else "%.1f" % (c["talk_ms"] / 1000), c["cause"], c["result"]]
                  for c in calls])


def show_timeslot(told):
    """What it is now, and its calls."""
    slot = told["timeslot"]
    return "timeslot %d: %s\n%s\n%s" % (slot["timeslot"], " ".join(filter(None, (slot["state"], slot.get("call"), slot.get("why")))), show_states(told["states"]),
                                        show_calls(told["calls"]))


def show_states(states):
    """One line a state, in the order given."""
    return table(["WHEN", "PART", "STATE", "WHY", "CALL", "LEG"], [[clock(row["at_ms"]), *(row[name] for name in ("part", "state", "why", "call", "leg"))] for row in states])


def show_span_history(told):
    """A span's timeslots, each with its states, oldest first."""
    return "\n".join("timeslot %d\n%s" % (row["timeslot"], show_states(row["states"])) for row in told["timeslots"]) or "nothing is known of that time"


def show_call(answer):
    """A call's CDR, its records and its recordings."""
    lines = ["%-18s %s" % (name, value) for name, value in (answer["cdr"] or {}).items()]
    start = answer["records"][0]["ts_ms"]
    lines += [""] + ["%8.3f  %-22s %s" % ((r["ts_ms"] - start) / 1000, r["kind"], " ".join(filter(None, (
        r["leg"], r["agent"], r["queue"], json.dumps(r["data"], ensure_ascii=False) if r["data"] else ""))))
        for r in answer["records"]]
    lines += ["%s  %s  %.1f s  %s" % (r["id"], r["state"], r["duration_ms"] / 1000, r["path"])
              for r in answer["recordings"]]
    return "\n".join(lines)


def load(path):
    """A configuration file ("-": standard input)."""
    try:
        with (sys.stdin if path == "-" else open(path, encoding="utf-8")) as file:
            return json.load(file, object_pairs_hook=once)
    except (OSError, ValueError) as error:
        raise LocalError("%s cannot be read as JSON: %s" % (path, error)) from error


def configuration(client, options):
    """config show, check, apply; history, diff, rollback."""
    if options.action == "show":
        return client.get("/v1/configuration"), lambda a: json.dumps(a["configuration"], ensure_ascii=False, indent=1)
    if options.action == "history":
        return client.get("/v1/configuration/history"), lambda a: table(["REVISION", "WHEN", "BY", "PLACES", "WHAT"], [
            [row["revision"], box.clock(row["at_ms"]), row["by"] or "", "?" if row["count"] is None else row["count"],
             ("back to %d: " % row["back_to"] if row["back_to"] else "") + ", ".join(row["paths"][:4])] for row in a["changes"]])
    if options.action in ("diff", "rollback"):
        if not (options.file.isascii() and options.file.isdigit()):
            raise LocalError("config %s needs the number of a revision; config history lists them" % options.action)
        answer = client.get("/v1/configuration/history/" + options.file) if options.action == "diff" else client.post("/v1/configuration/rollback", {"revision": int(options.file)})
        return answer, lambda a: "\n".join("%s: %s -> %s" % (c["path"], c["old"], c["new"]) for c in a["changes"]) or "no change"
    candidate = load(options.file)
    answer = client.post("/v1/configuration/propose", {"configuration": candidate})
    answer.pop("configuration", None)
    if not answer["ok"]:
        raise ControlError(422, {"detail": "\n".join("%s: %s" % (e["path"], e["advice"]) for e in answer["errors"])})
    if options.action == "apply":
        applied = client.post("/v1/configuration/apply",
                              {"revision": candidate.get("revision"), "configuration": candidate})
        answer["revision"], answer["notice"] = applied["revision"], applied.get("notice")
    return answer, lambda a: "\n".join(["%s: %s -> %s" % (c["path"], c["old"], c["new"]) for c in a["changes"]]
                                       + [a["notice"]] * bool(a.get("notice"))) or "no change"


def show_media(figures):
    """The tick in two lines, what media carries in one."""
    tick = figures["tick"]
    return "\n".join([
        "tick: median %(p50_ms)s ms, 99.9 %% %(p999_ms)s ms, longest %(longest_ms)s ms of 10" % tick,
        "late: %(late_ticks)d of %(ticks)d, %(late_ticks_by_host)d of them by the host; blocks lost %(blocks_lost)d" % tick,
        "%(terminations)d terminations (at most %(terminations_most)d), %(bridges)d bridges, %(recordings)d recordings, "
        "%(links)d links; %(events_waiting)d events wait for control" % figures])


def parser():
    """The command line."""
    top = argparse.ArgumentParser(prog="strowger", description="Look at the switch and act on it.")
    top.add_argument("--run", default=os.environ.get("STROWGER_RUN", "var/run"), help="run directory")
    top.add_argument("--as", dest="user", default=os.environ.get("STROWGER_USER"), help="what this user may (control/roles.py); else everything")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print the API's answer")
    verbs = sentences.Verbs(top.add_subparsers(dest="verb", required=True, metavar="VERB"))
    for name in ("state", "agents", "spans", "trunks", "health", "media", "chassis", "clock"):
        verbs.add_parser(name, parents=[common])
    verbs.add_parser("alarms", parents=[common]).add_argument("--history", action="store_true")
    performance = verbs.add_parser("performance", parents=[common])
    performance.add_argument("span", nargs="?", type=int)
    performance.add_argument("--days", action="store_true")
    calls = verbs.add_parser("calls", parents=[common])
    calls.add_argument("--limit", type=int, default=20)
    calls.add_argument("--before")
    for name in ("call", "hangup"):
        verbs.add_parser(name, parents=[common]).add_argument("id")
    agent = verbs.add_parser("agent", parents=[common])
    agent.add_argument("name")
    agent.add_argument("status", choices=("available", "on_break", "logged_out"))
    agent.add_argument("--reason")
    agent.add_argument("--supervisor", action="store_true", help="the status is set for the agent")
    agent.add_argument("--lock", action="store_true", help="with --supervisor: only a supervisor may change it")
    operations.add(verbs, common)
    desk.add(verbs, common)
    flows.add(verbs, common)
    floor.add(verbs, common)
    ss7.add(verbs, common)
    pri.add(verbs, common)
    cas.add(verbs, common)
    trace.add(verbs, common)
    journal.add(verbs, common)
    prompts.add(verbs, common)
    documents.add(verbs, common)
    campaigns.add(verbs, common)
    users.add(verbs, common)
    reports.add(verbs, common)
    lines.add(verbs, common)
    phones.add(verbs, common)
    route = verbs.add_parser("route", parents=[common])
    route.add_argument("digits")
    who = route.add_mutually_exclusive_group(required=True)
    who.add_argument("--line")
    who.add_argument("--trunk-group")
    route.add_argument("--caller", help="with --trunk-group: the calling number")
    route.add_argument("--at", metavar="TIME", help="date and time of the site, 2026-11-23T22:00; default: now")
    timeslot = verbs.add_parser("timeslot", parents=[common])
    timeslot.add_argument("span", type=int)
    timeslot.add_argument("timeslot", type=int)
    verbs.add_parser("events", parents=[common]).add_argument("--after", type=int, default=0)
    span_history = verbs.add_parser("span-history", parents=[common])
    span_history.add_argument("span", type=int)
    span_history.add_argument("--minutes", type=int, default=60)
    config = verbs.add_parser("config", parents=[common])
    config.add_argument("action", choices=("show", "check", "apply", "history", "diff", "rollback"))
    config.add_argument("file", nargs="?", default="-", help="a file; of diff and rollback: a revision")
    ack = verbs.add_parser("alarm-ack", parents=[common])
    ack.add_argument("id")
    ack.add_argument("--note")
    return top


def carry_out(client, options):
    """One verb.  Returns (the API's answer, function that shows it)."""
    verb = options.verb
    if verb == "trunks":
        return {"sip_trunks": client.get("/v1/state")["sip_trunks"]}, show_trunks
    if verb in ("state", "agents", "spans"):
        answer = client.get("/v1/state")
        if verb == "state":
            return answer, show_state
        return dict({verb: answer[verb]}, **({"lines": answer["lines"]} if verb == "agents" else {})), show_agents if verb == "agents" else show_spans
    if verb == "health":
        answer = client.get("/v1/health")
        return answer, lambda a: "in service" if a["ok"] else "FAULT: " + "; ".join(a["faults"])
    if verb == "media":
        return client.get("/v1/media"), show_media
    if verb == "chassis":
        return client.get("/v1/chassis"), lambda a: box.show_chassis(a, table)
    if verb == "clock":
        return client.get("/v1/clock"), lambda a: box.show_clock(a, table)
    if verb == "alarms":
        return client.get("/v1/alarms/history" if options.history else "/v1/alarms"), lambda a: box.show_alarms(a, table)
    if verb == "alarm-ack":
        return client.post("/v1/alarms/%s/acknowledge" % urllib.parse.quote(options.id, safe=""), {"note": options.note} if options.note else {}), lambda a: "acknowledged"
    if verb == "performance":
        if options.span is None:
            return client.get("/v1/performance"), lambda a: box.show_performance(a, table)
        return (client.get("/v1/performance/%d" % options.span, length="day" if options.days else "quarter"),
                lambda a: box.show_span(a, table))
    if verb == "calls":
        return client.get("/v1/calls", limit=options.limit, before=options.before), lambda a: show_calls(a["calls"])
    if verb == "call":
        return client.get("/v1/calls/%s" % options.id), show_call
    if verb == "hangup":
        return client.post("/v1/calls/%s/hangup" % options.id), lambda a: "released"
    if verb == "agent":
        body = {"status": options.status, "reason": options.reason, "by": "supervisor" if options.supervisor else "agent"}
        if options.lock:
            body["locked"] = True
        return client.put("/v1/agents/%s/status" % options.name, body), lambda a: options.status
    if verb == "report":
        return reports.carry_out(client, options, table)
    if verb in lines.VERBS:
        return lines.carry_out(client, options, table)
    if verb in phones.VERBS:
        return phones.carry_out(client, options, table)
    if verb in floor.VERBS:
        return floor.carry_out(client, options)
    if verb in flows.VERBS:
        return flows.carry_out(client, options, table)
    if verb in operations.VERBS:
        return operations.carry_out(client, options)
    if verb in desk.VERBS:
        return desk.carry_out(client, options)
    if verb in ss7.VERBS:
        return ss7.carry_out(client, options, table)
    if verb in pri.VERBS:
        return pri.carry_out(client, options, table)
    if verb in cas.VERBS:
        return cas.carry_out(client, options, table)
    if verb in trace.VERBS:
        return trace.carry_out(client, options)
    if verb in users.VERBS:
        return users.carry_out(client, options, table)
    if verb in campaigns.VERBS:
        return campaigns.carry_out(client, options, table)
    if verb in documents.VERBS:
        return documents.carry_out(client, options, table)
    if verb in prompts.VERBS:
        return prompts.carry_out(client, options, table)
    if verb in journal.VERBS:
        return journal.carry_out(client, options)
    if verb == "route":
        path = "/v1/routes/%s" % urllib.parse.quote(options.digits, safe="")
        return client.get(path, line=options.line, trunk_group=options.trunk_group, caller=options.caller, at=options.at), show_route
    if verb == "timeslot":
        return client.get("/v1/spans/%d/timeslots/%d" % (options.span, options.timeslot)), show_timeslot
    if verb == "span-history":
        return client.get("/v1/spans/%d/history" % options.span, minutes=options.minutes), show_span_history
    return configuration(client, options)


def main(arguments=None):
    """Returns the exit code."""
    options = parser().parse_args(arguments)
    client = ControlClient(options.run, user=options.user)
    try:
        if options.verb == "simulate":
            answer, shown, code = flows.simulate(options)
            print(json.dumps(answer, ensure_ascii=False, indent=1) if options.json else shown)
            return code
        if options.verb == "events":
            for record in client.stream_events(options.after):
                if record is not None:
                    print(json.dumps(record, ensure_ascii=False), flush=True)
            return 0
        answer, show = carry_out(client, options)
        print(json.dumps(answer, ensure_ascii=False, indent=1) if options.json else show(answer))
    except ControlError as error:
        print("strowger: %s" % error, file=sys.stderr)
        return {503: EX_TEMPFAIL, 422: EX_CONFIG}.get(error.status, 1)
    except LocalError as error:
        print("strowger: %s" % error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return 0
    except OSError as error:            # a file of the person's, not the switch's
        print("strowger: %s cannot be written: %s" % (error.filename or "the answer", error.strerror or error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
