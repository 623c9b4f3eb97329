"""A caller in text: runs flows through the real interpreter, by a script, and shows which ways were taken.

    caller 13912345678          called 02150801000      at 2026-01-05 10:30     language en     before the first step
    press 1234#                 keys, one after the other
    wait                        the prompt ends and nothing is pressed until the time is over
    hear                        the prompt ends
    http 200 {"balance": 5}     the answer that is waited for;   sql [{"name": "Li"}];
    says yes please             the caller says it to a recognize node (with "says 0.4 yes" the service is not surer than that)
    speaks                      ... or begins to, which ends the prompts
    fax 2                       so many pages went to the caller's fax machine;  sends: the document of a send_fax node will be sent
    fails no connection         ... or why there is none
    record 5                    so many seconds of a message
    agent answers | busy | no_answer | hangs_up         the telephone, the outside or the queue's agent; hangs_up: the flow goes on at after
    queue overflow
    program go | go NODE | fail | {"do": "play", ...}   what a program outside does
    expect hear NAME...         these prompts or spoken texts were heard since the last step, in this order
    expect node NAME | queue NAME | agent NAME | line NAME | outside NUMBER | conference ROOM | voicemail MAILBOX | callback QUEUE | ask KIND | hangup | set NAME VALUE

    run(flows, name, script) -> Result: transcript [line], failures [sentence], taken {(flow, node, edge)}
    coverage(flows, [Result]) -> (taken, all, [edges that nobody took])

A line that begins with // is a comment.  Ways of one node that lead to the same next node count together.
"""

import json

from firmware.errors import LocalError
from firmware.ivr import phrases, spoken
from firmware.ivr.interpreter import Visit
from firmware.ivr.nodes import edges, option

OUT = ("queue", "agent", "line", "outside", "conference", "voicemail", "callback", "hangup")
STEPS = 2000


class Result:
    """What became of a script."""

    def __init__(self, name):
        self.name, self.transcript, self.failures, self.taken = name, [], [], {}


class _Run:
    def __init__(self, flows, name, result):
        self.flows, self.name, self.result = flows, name, result
        self.facts = {"caller": "13900000000", "called": "", "redirecting": "", "call": "c1", "queue": None, "agent": None, "time": _time("2026-01-05 10:00")}
        self.visit = self.position = self.command = None
        self.language, self.heard, self.after, self.failed = None, [], None, None

    def say(self, who, what):
        self.result.transcript.append("%-8s %s" % (who, what))

    def begin(self):
        if self.visit is None:
            self.visit = Visit(self.flows, self.facts, {})
            self.visit.trace = []
            self.took(self.visit.start(self.name, self.language))

    def took(self, answer):
        """An answer of the interpreter: note the ways, say what is heard."""
        before = self.position
        self.position, self.command = answer
        here = (before["flow"], before["node"]) if before is not None else None
        for step in self.visit.trace:
            if here is not None:
                self.way(here, step)
            here = step
        self.visit.trace = []
        do = self.command["do"]
        if self.command.get("survey"):
            self.say("survey", "%(survey)s %(question)s: %(answer)s" % self.command["survey"])
        for item in self.command.get("items") or []:
            said = _spoken(self.command["request"]) if "speech" in item else _said(item)
            self.heard.append(said)
            self.say("switch", said)
        if do in OUT:
            self.after, self.failed = self.command.get("after"), self.command.get("failed", self.command.get("overflow"))
            self.say("flow", "%s %s" % (do, self.command.get("queue") or self.command.get("target") or self.command.get("number") or self.command.get("mailbox")
                                        or self.command.get("cause")))
        elif do in ("ask", "program"):
            self.say("flow", "asks %s" % (self.command["request"].get("service") or self.command["request"].get("application") or "for a fax of %s" % self.command["request"]["document"]))
        elif do == "told":
            self.say("program", "is told %s" % json.dumps(self.command["result"]))

    def way(self, here, there):
        """Mark the edges that lead from one node to the next."""
        flow, node = here
        known = self.flows[flow]["nodes"].get(node)
        if known is not None and flow == there[0]:
            for edge, to, act in edges(known):
                if to == there[1]:
                    self.result.taken[(flow, node, edge)] = True
        elif known is not None and known["type"] == "return":
            nodes = self.flows[there[0]]["nodes"]
            for name in nodes:
                if nodes[name]["type"] == "flow" and nodes[name]["next"] == there[1]:
                    self.result.taken[(there[0], name, "next")] = True

    def waiting(self):
        return self.position["waiting"] if self.command["do"] not in OUT else "out"

    def settle(self):
        """Let prompts end until something else is waited for."""
        for _ in range(STEPS):
            if self.waiting() != "prompt" and not (self.waiting() == "answer" and self.node().get("type") == "speak"):      # a fax waits for its end
                return
            self.took(self.visit.done(self.position))

    def node(self):
        return self.flows[self.position["flow"]]["nodes"].get(self.position["node"]) or {}

    # Steps.

    def press(self, rest):
        for key in rest.replace(" ", ""):
            self.begin()
            if self.waiting() == "prompt" and self.position["operation"] is None and not option(self.node(), "barge_in") and self.node()["type"] != "record":
                self.settle()
            self.say("caller", "presses %s" % ("a secret key" if self.visit.expects_secret(self.position) else key))
            self.heard = []
            self.took(self.visit.digit(self.position, key))

    def wait(self, rest):
        self.settle()
        self.say("caller", "is silent")
        self.heard = []
        if self.waiting() == "recording":
            self.record("0")
        else:
            self.took(self.visit.timeout(self.position))

    def hear(self, rest):
        self.heard = []
        self.took(self.visit.done(self.position))

    def http(self, rest):
        status, _, body = rest.partition(" ")
        self.answer({"status": int(status), "body": json.loads(body) if body.strip() else None})

    def sql(self, rest):
        rows = json.loads(rest or "[]")
        self.answer({"rows": rows, "count": len(rows)})

    def says(self, rest):
        if self.waiting() != "answer" or self.node().get("type") != "recognize":
            raise LocalError("nobody listens to the caller; the flow is at %s" % self.position["node"])
        first, _, more = rest.partition(" ")
        sure = first.replace(".", "", 1).isdigit() and "." in first
        self.say("caller", "says something secret" if option(self.node(), "secret") else "says %r" % (more if sure else rest))
        self.heard = []
        self.took(self.visit.answer(self.position, True, {"text": more if sure else rest, "confidence": float(first) if sure else None}))

    def speaks(self, rest):
        self.say("caller", "begins to speak")
        self.took(self.visit.speech(self.position))

    def fax(self, rest):
        self.answer({"pages": int(rest or 1), "rate": 14400, "ecm": True, "station": ""})

    def sends(self, rest):
        self.answer({"fax": rest or "f1"})

    def fails(self, rest):
        self.settle_ask()
        self.heard = []
        self.took(self.visit.answer(self.position, False, rest or "it failed"))

    def settle_ask(self):
        if self.waiting() != "answer":
            self.settle()
        if self.waiting() not in ("answer", "program"):
            raise LocalError("no answer is waited for; the flow is at %s" % self.position["node"])

    def answer(self, result):
        self.settle_ask()
        self.heard = []
        self.took(self.visit.answer(self.position, True, result))

    def record(self, rest):
        self.settle()
        if self.waiting() != "recording":
            raise LocalError("no message is being recorded")
        self.heard = []
        self.say("caller", "speaks for %s s" % (rest or "0"))
        self.took(self.visit.recorded(self.position, True, {"recording": "r1", "duration_ms": int(float(rest or 0) * 1000), "path": "message"}))

    def agent(self, rest):
        if self.waiting() != "out":
            raise LocalError("nobody is called; the flow is at %s" % self.position["node"])
        self.heard = []
        if rest == "answers":
            self.say("agent", "answers")
            self.facts["agent"] = self.command.get("target") or "agent"
            return
        node = self.after if rest == "hangs_up" else self.failed
        self.say("agent", rest)
        if node is None:
            self.say("flow", "hangup")
            self.command = {"do": "hangup"}
            return
        self.took(self.visit.jump(self.position, node, rest != "hangs_up"))

    def queue(self, rest):
        self.agent("overflow")

    def program(self, rest):
        self.settle()
        self.heard = []
        if rest[:1] == "{":
            operation = json.loads(rest)
        else:
            word, _, node = rest.partition(" ")
            operation = {"do": word, "node": node} if node else {"do": word}
        self.say("program", operation["do"])
        self.took(self.visit.operate(self.position, operation))

    # What is expected.

    def expect(self, rest):
        what, _, value = rest.partition(" ")
        if what == "hear":
            wanted = json.loads("[" + value + "]") if value[:1] == "\"" else value.split()
            heard = list(self.heard)
            for word in wanted:
                while heard and word not in (heard[0], heard[0].partition(" [")[0]):
                    heard.pop(0)
                if not heard:
                    raise LocalError("%r was not heard; heard was %s" % (word, ", ".join(self.heard) or "nothing"))
                heard.pop(0)
            return
        if what == "set":
            name, _, value = value.partition(" ")
            found = self.position["variables"].get(name)
            wanted = json.loads(value) if value[:1] in "\"[{" or value in ("true", "false", "null") else value
            if found != wanted and str(found) != value:
                raise LocalError("%s is %s, not %s" % (name, json.dumps(found), value))
            return
        if what == "ask":
            self.settle()
            found = self.command.get("kind") if self.command["do"] in ("ask", "program") else None
        elif what == "node":
            found = self.position["node"]
        elif what in OUT:
            if self.command["do"] not in OUT:
                self.settle()
            if self.command["do"] != what:
                raise LocalError("the flow is at %s, which is no %s" % (self.position["node"], what))
            found = str(self.command.get({"queue": "queue", "callback": "queue", "outside": "number", "voicemail": "mailbox", "conference": "room"}.get(what, "target"), "")) if value else value
        else:
            raise LocalError("nobody knows what %r would be" % what)
        if found != value:
            raise LocalError("%s is %s, not %s" % (what, found, value))


_STEPS = {"press": _Run.press, "wait": _Run.wait, "hear": _Run.hear, "http": _Run.http, "sql": _Run.sql,
          "says": _Run.says, "speaks": _Run.speaks, "fax": _Run.fax, "sends": _Run.sends, "fails": _Run.fails, "record": _Run.record, "agent": _Run.agent, "queue": _Run.queue, "program": _Run.program, "expect": _Run.expect}


def run(flows, name, script, title=""):
    """See the module's docstring.  flows: {name: definition} that the check let through."""
    result = Result(title)
    work = _Run(flows, name, result)
    lines = script.split("\n")
    for index in range(len(lines)):
        line = lines[index].strip()
        if not line or line.startswith("//"):
            continue
        verb, _, rest = line.partition(" ")
        rest = rest.strip()
        try:
            if verb in ("caller", "called", "at", "language"):
                if work.visit is not None:
                    raise LocalError("%s stands before the first step" % verb)
                if verb == "at":
                    work.facts["time"] = _time(rest)
                elif verb == "language":
                    work.language = rest
                else:
                    work.facts[verb] = rest
                continue
            if verb not in _STEPS:
                raise LocalError("%r is no step; steps are %s" % (verb, ", ".join(sorted(_STEPS))))
            work.begin()
            _STEPS[verb](work, rest)
        except (LocalError, ValueError) as error:
            result.failures.append("line %d: %s: %s" % (index + 1, line, error))
            return result
    work.begin()
    return result


def coverage(flows, results):
    """(edges taken, all edges, [(flow, node, edge) that no result took])."""
    taken, every = {}, []
    for result in results:
        taken.update(result.taken)
    for flow in sorted(flows):
        for node in sorted(flows[flow]["nodes"]):
            every += [(flow, node, edge) for edge, to, act in edges(flows[flow]["nodes"][node])]
    missing = [edge for edge in every if edge not in taken]
    return len(every) - len(missing), len(every), missing


def _spoken(request):
    """What a service is to make of a request."""
    return request["text"] if "text" in request else "(fax %s)" % request["document"]


def _said(item):
    """What an item of a prompt sounds like."""
    if "prompt" in item:
        return "%s [%s]" % (item["prompt"], item["language"])
    kind = spoken.kind_of(item)
    if kind is not None:
        return phrases.text(spoken.names(item, item["language"]), item["language"])
    return "(%s)" % ", ".join(["%s %s" % (name, item[name]) for name in sorted(item)])


def _time(text):
    date, _, clock = text.partition(" ")
    parts = date.split("-")
    clock = clock or "00:00"
    if len(parts) != 3 or len(clock) != 5:
        raise LocalError("give the time as 2026-01-05 10:30")
    year, month, day = [int(part) for part in parts]
    return {"weekday": spoken.weekday(year, month, day), "hour": int(clock[:2]), "minute": int(clock[3:]), "clock": clock, "date": date, "day": day,
            "month": month, "year": year}
