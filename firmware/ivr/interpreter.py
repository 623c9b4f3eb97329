"""The IVR interpreter: where a caller stands in a flow, and what comes next.

Pure: a Visit is given the flows, what is known of the call and a position; each input gives the new position and one
command.  The position is a small dict that is journaled at each step, so a caller stays where he is when the
control process dies:

    {"flow", "node", "waiting": "prompt"|"digit"|"answer"|"recording"|"program"|"other", "language": or None, "missed": rounds
     without a digit, "wrong": wrong entries, "ahead": digits typed ahead, "entry": digits so far, "errors": prompts and transfers that
     failed in a row, "idle": nodes passed since the caller did something, "stack": [[flow, node] to return to], "variables": {},
     "asked": {secret variable: node that asks for it}, "operation": what a program outside wants done, "error": {node, text} or None,
     "answer": of the last survey question}

    visit = Visit(flows, facts, private)    flows: {name: definition}; facts: {caller, called, call, time, ...} for expressions;
                                            private: {} that the caller of this module keeps in memory only: secret entries
    visit.start(name, language)             enter a flow
    visit.digit(position, "1")              barge in, choose, enter, or be told that it is wrong
    visit.done(position, error)             the prompt has ended (error: it could not be played)
    visit.timeout(position)                 no digit came in time
    visit.answer(position, ok, result)      what was asked of a service; a sentence where ok is false
    visit.speech(position)                  the caller begins to speak to a recognize node
    visit.recorded(position, ok, result)    the recording is closed: {recording, duration_ms, path}
    visit.operate(position, operation)      a program outside (agi, cti) wants something done: ivr/program.py
    visit.jump(position, node, failed)      continue at a node: overflow of a queue, failed transfer, after a conversation
    visit.repeat(position)                  after a restart: say or ask again what was under way

Commands (dict with "do"):
    {"do": "play", "items"}                 then done() is due
    {"do": "listen", "timeout_s"}           the prompt is over; timeout() is due after so long
    {"do": "ask", "kind", "request", "timeout_s", "items"}      answer() is due; items are heard meanwhile
    {"do": "wait", "timeout_s", "quiet"?}   what was asked goes on, for so long at most; quiet: the prompts end
    {"do": "record", "most_s", "beep"} {"do": "record_stop"}    recorded() is due
    {"do": "program", "kind", "request", "timeout_s"}           a program gets the call; operate() or answer() is due
    {"do": "told", "result"}                what became of an operation, for the program (at_once: another one still runs)
    {"do": "keep"}                          a digit was typed ahead; what runs goes on
    {"do": "queue", "queue", "overflow", "given"? {"priority"?, "skills"?}, "after"}     leaves the interpreter, jump() may come back
    {"do": "agent"|"line", "target", "failed", "after"}
    {"do": "outside", "number", "failed", "ring_s", "after"}
    {"do": "conference", "room", "most", "tones", "failed"}
    {"do": "voicemail", "mailbox"} {"do": "callback", "queue", "number", "failed"}
    {"do": "hangup", "cause", "items"}      items may be empty
    {"do": "none"}                          nothing changes (a digit that barge-in does not allow)
Any may carry "survey": {survey, question, answer}, an answer to be recorded, and "private": true: the input that led to it is secret.

Digits typed ahead are kept for the next node that wants some: who knows the flow need not wait for it.  Where the next one that
could take them is a secret entry they are kept with the secrets.
"""

from firmware.errors import LocalError
from firmware.ivr import expression, requests, spoken
from firmware.ivr.asking import Asking
from firmware.ivr.keys import Keys
from firmware.ivr.nodes import KEYED, SPEECH, option
from firmware.ivr.passing import PASS, is_private, size
from firmware.ivr.position import (ANSWER, DIGIT, FAILURE_CAUSE, FIELDS, MAX_ERRORS, MAX_IDLE, MAX_SILENT, NONE, OTHER, PROGRAM, PROMPT,
                                   VARIABLES)


class Visit(Keys, Asking):
    """See the module's docstring.  Knows nothing that is not given.  Keys: keys.py; services and programs: asking.py."""

    def __init__(self, flows, facts=None, private=None):
        self.flows, self.facts = flows, facts or {}
        self.private = private if private is not None else {}
        self.survey = None
        self.trace = None               # the simulator has each node noted here: [(flow, node)]
        self.at = None                  # the position that is being worked on

    # Inputs.

    def start(self, name, language=None):
        """Enter a flow; a language chosen before stays if the flow speaks it.  Returns (position, command)."""
        position = dict(FIELDS)
        position["flow"] = name
        position["stack"], position["variables"], position["asked"] = [], {}, {}
        if language in self.flows[name]["languages"]:
            position["language"] = language
        return self._answer(position, lambda: self.enter(self.flows[name]["start"]))

    def digit(self, position, key):
        """The caller pressed a key.  Returns (position, command)."""
        return self._answer(position, lambda: self._digit(key), private=True)

    def done(self, position, error=False):
        """The prompt of this position has ended.  Returns (position, command)."""
        return self._answer(position, lambda: self._done(error))

    def timeout(self, position):
        """No digit, answer or program came in time.  Returns (position, command)."""
        return self._answer(position, self._timeout)

    def answer(self, position, ok, result):
        """A service has answered, or (ok false) a sentence says why not.  Returns (position, command)."""
        return self._answer(position, lambda: self._answered(ok, result))

    def speech(self, position):
        """The caller has begun to speak.  Returns (position, command)."""
        return self._answer(position, self._speech)

    def recorded(self, position, ok, result):
        """The recording of this position is closed.  Returns (position, command)."""
        return self._answer(position, lambda: self._recorded(ok, result))

    def operate(self, position, operation):
        """A program outside wants something done.  Returns (position, command).  Raises LocalError on what it cannot have."""
        from firmware.ivr import program
        return self._answer(position, lambda: program.operate(self, operation))

    def jump(self, position, name, failed=False):
        """Continue at a node.  failed: a transfer did not reach anybody.  Returns (position, command)."""
        def go():
            if failed:
                self.at["errors"] += 1      # transfers that lead to each other would never end
                if self.at["errors"] >= MAX_ERRORS:
                    return self.failed("transfers failed %d times in a row" % MAX_ERRORS)
            else:
                self.at["errors"] = self.at["idle"] = 0
            return self.enter(name)
        return self._answer(position, go)

    def repeat(self, position):
        """Media or a dead process has forgotten what was under way: begin this node again.  Returns (position, command)."""
        return self._answer(position, self._repeat)

    def _answer(self, position, work, private=False):
        """Run one input on a copy of the position."""
        self.survey = None
        self.at = dict(FIELDS)
        self.at.update(position)
        secret = private and self.expects_secret(position)
        command = work()
        if command is NONE:
            return position, command
        if self.survey is not None:
            command["survey"] = self.survey
        if secret:
            command["private"] = True
        return self.at, command

    # What is known.

    def flow(self):
        """The flow of the position, or None."""
        return self.flows.get(self.at["flow"]) if self.at["flow"] is not None else None

    def node(self):
        """The node of the position, or what a program wants in its place; None where there is none."""
        if self.at["operation"] is not None:
            return self.at["operation"]
        flow = self.flow()
        return flow["nodes"].get(self.at["node"]) if flow is not None else None

    def look(self, name, secrets=False):
        """The value of a name in an expression."""
        position = self.at
        if secrets and name in position["asked"]:
            return (self.private.get("values") or {}).get(name)
        if name in position["variables"]:
            return position["variables"][name]
        if name in ("language", "node", "flow", "error", "answer"):
            return position[name]
        return self.facts.get(name)

    def look_secret(self, name):
        """The same, secret entries too."""
        return self.look(name, True)

    def expects_secret(self, position):
        """Whether the keys that a caller presses now may belong to a secret entry."""
        if position.get("operation"):
            return bool(position["operation"].get("secret"))
        if position.get("waiting") == OTHER:
            return False
        return is_private(self.flows, dict(FIELDS, **position))

    # Prompts and time.

    def _done(self, error):
        position, node = self.at, self.node()
        if node is not None and position["waiting"] == ANSWER and node["type"] in SPEECH:
            return self._spoken_out(node, error)
        if node is None or position["waiting"] != PROMPT:
            return NONE
        position["errors"] = position["errors"] + 1 if error else 0
        if position["errors"] >= MAX_ERRORS:
            return self.failed("prompts failed %d times in a row" % MAX_ERRORS)
        return self._prompted(node)

    def _spoken_out(self, node, error):
        """The prompts of a recognize node have ended, or the text of a speak node has."""
        if node["type"] == "speak":
            return self.unanswered("the text could not be played") if error else self.enter(node["next"])
        if node["type"] == "fax":
            return self.unanswered("the fax could not be played") if error else NONE        # what became of it is told apart
        if self.at["entry"]:
            return NONE                 # the caller speaks: that ended them
        return {"do": "wait", "timeout_s": option(node, "timeout_s")}

    def _speech(self):
        node = self.node()
        if node is None or self.at["waiting"] != ANSWER or node["type"] != "recognize" or self.at["entry"]:
            return NONE
        self.at["idle"] = 0
        self.at["entry"] = "speech"
        return {"do": "wait", "timeout_s": option(node, "most_s"), "quiet": option(node, "barge_in")}

    def _prompted(self, node):
        """What follows the prompts of a node."""
        kind = node["type"]
        if self.at["operation"] is not None and kind == "play":
            return self._told({"key": ""})
        if kind == "play":
            return self.enter(node["next"])
        if kind == "record":
            return self._begin_recording(node)
        return self._listen(option(node, "first_timeout_s" if kind == "collect" else "timeout_s"))

    def _listen(self, timeout_s):
        self.at["waiting"] = DIGIT
        return {"do": "listen", "timeout_s": timeout_s}

    def _timeout(self):
        position, node = self.at, self.node()
        if node is None or position["waiting"] not in (DIGIT, ANSWER, PROGRAM):
            return NONE
        kind = node["type"]
        if position["waiting"] == PROGRAM or position["waiting"] == ANSWER:
            return self.unanswered("nothing was said, or understood, in time" if kind == "recognize" else
                                   "nothing came in %s s" % expression.text(option(node, "most_s" if kind == "fax" else "timeout_s")))
        if kind == "menu":
            position["missed"] += 1
            if position["missed"] >= option(node, "attempts"):
                return self.enter(node["exhausted"])
            return self.play(option(node, "no_input") + node["prompts"])
        if kind == "collect" and (self._entry() or position["operation"] is not None):
            return self._entered(node, self._entry(), False)
        return self._again(node, "missed", option(node, "no_input"))

    def play(self, prompts):
        items, node = self.spoken(prompts), self.node()
        if node["type"] == "record" and option(node, "beep"):
            items.append({"prompt": "beep", "language": self.at["language"] or self.flow()["languages"][0]})
        self.at["waiting"] = PROMPT
        if not items:
            return self._prompted(node)
        return {"do": "play", "items": items}

    def spoken(self, prompts):
        """Items that say prompts in the chosen language, or in all languages one after the other."""
        languages = [self.at["language"]] if self.at["language"] else self.flow()["languages"]
        items = []
        for language in languages:
            for prompt in prompts:
                item = self._item(prompt, language)
                if item is not None:
                    items.append(item)
        return items

    def _item(self, prompt, language):
        if not isinstance(prompt, dict):
            return {"prompt": prompt, "language": language}
        if "silence_ms" in prompt or "tone" in prompt or "file" in prompt:
            return dict(prompt)
        if "recording" in prompt:
            value = self.look(prompt["recording"])
            return {"recorded": value["path"]} if isinstance(value, dict) and value.get("path") else None
        kind = spoken.kind_of(prompt)
        item = dict(prompt)
        try:
            item[kind] = expression.worked_out(prompt[kind], self.look)
            spoken.names(item, language)
        except LocalError as error:
            self.note(error)           # what cannot be said is left out; a silent switch would be worse
            return None
        item["language"] = language
        return item

    def _repeat(self):
        position, node = self.at, self.node()
        if node is None:
            return NONE
        kind = node["type"]
        if kind in ("agi", "cti") or position["operation"] is not None:
            if position["operation"] is None and kind == "cti":
                return {"do": "program", "kind": "cti", "request": requests.of(node, self), "timeout_s": option(node, "timeout_s"), "items": []}
            position["operation"] = None
            node = self.node()
            if node["type"] == "cti":
                return self._told({"interrupted": True})
            return self.unanswered("the connection was lost in a restart")
        if position["waiting"] == ANSWER and not requests.may_repeat(node):
            return self.unanswered("a restart came between question and answer; the question is not repeated")
        if kind in ("queue", "agent", "line", "outside", "conference", "voicemail", "callback", "hangup"):
            return NONE
        return self.enter(position["node"])

    # From node to node.

    def note(self, error):
        self.at["error"] = {"node": self.at["node"], "text": str(error)[:300]}

    def keep_variables(self, more):
        """Set variables.  Raises LocalError where they grow too large."""
        variables = dict(self.at["variables"])
        variables.update(more)
        if size(variables) > VARIABLES:
            raise LocalError("the variables of the call grow beyond %d characters; take less of the answer" % VARIABLES)
        self.at["variables"] = variables

    def _forget(self, name):
        if name in self.at["variables"]:
            variables = dict(self.at["variables"])
            del variables[name]
            self.at["variables"] = variables

    def failed(self, why):
        self.note(why)
        self.at["waiting"] = OTHER
        return {"do": "hangup", "cause": FAILURE_CAUSE, "items": []}

    def enter(self, name):
        """Go to a node and on through all that need no waiting."""
        position = self.at
        position["operation"] = None
        for _ in range(MAX_SILENT):
            flow = self.flow()
            node = flow["nodes"].get(name) if flow is not None else None
            if node is None:
                return self.failed("there is no node %r in flow %s" % (name, position["flow"]))
            kind = node["type"]
            position["idle"] += 1
            if position["idle"] > MAX_IDLE:
                return self.failed("%d nodes were passed without an act of the caller" % MAX_IDLE)
            if name != position["node"]:
                position["missed"] = position["wrong"] = 0
            position["node"] = name
            if self.trace is not None:
                self.trace.append((position["flow"], name))
            self.set_entry("")
            if kind in PASS:
                name = PASS[kind](self, node)
                if isinstance(name, dict):
                    return name
                continue
            return self._arrive(node, kind)
        return self.failed("%d nodes were passed without a word" % MAX_SILENT)

    def _arrive(self, node, kind):
        """A node at which something happens."""
        position = self.at
        if kind in KEYED:
            ahead = self._typed()
            if ahead:
                return self._spend(node, ahead)
            return self.play(node["prompts"])
        if kind == "play" or kind == "record":
            return self.play(option(node, "prompts"))
        if kind in ("http", "sql", "agi", "cti", "send_fax") or kind in SPEECH:
            return self._ask(node, option(node, "prompts") or [])
        position["waiting"] = OTHER
        self._typed()
        try:
            return self._leave(node, kind)
        except LocalError as error:
            self.note(error)
            failed = node.get("failed" if kind != "queue" else "overflow")
            return self.enter(failed) if isinstance(failed, str) else self.failed(str(error))

    def _leave(self, node, kind):
        """Commands that lead out of the interpreter."""
        if kind == "queue":
            command = {"do": "queue", "queue": expression.fill(node["queue"], self.look), "overflow": option(node, "overflow"), "after": option(node, "after")}
            given = dict([(key, node[key]) for key in ("priority", "skills") if node.get(key) is not None])
            if given:
                command["given"] = given
            return command
        if kind == "agent" or kind == "line":
            return {"do": kind, "target": expression.fill(node[kind], self.look), "failed": option(node, "failed"), "after": option(node, "after")}
        if kind == "outside":
            number = expression.fill(node["number"], self.look)
            return {"do": kind, "number": number, "failed": option(node, "failed"), "ring_s": option(node, "ring_s"), "after": option(node, "after")}
        if kind == "conference":
            room = expression.fill(node["room"], self.look)
            if not room or len(room) > 64:
                raise LocalError("a room has a name of 1 to 64 characters")
            return {"do": kind, "room": room, "most": option(node, "most"), "tones": option(node, "tones"), "failed": option(node, "failed")}
        if kind == "voicemail":
            return {"do": kind, "mailbox": node["mailbox"]}
        if kind == "callback":
            number = expression.fill(node["number"], self.look) if option(node, "number") else None
            return {"do": kind, "queue": expression.fill(node["queue"], self.look), "number": number, "failed": option(node, "failed")}
        return {"do": "hangup", "cause": option(node, "cause"), "items": self.spoken(option(node, "prompts"))}
