"""What a caller's keys do: barge in, choose, enter, type ahead; secret entries stay in memory.

Half of a Visit (interpreter.py), which has the other methods and at, private, survey."""

from firmware.errors import LocalError
from firmware.ivr import expression
from firmware.ivr.nodes import option
from firmware.ivr.passing import is_private
from firmware.ivr.position import AHEAD, ANSWER, DIGIT, NONE, OTHER, PROGRAM, PROMPT, RECORDING


class Keys:
    """Methods of Visit."""

    def _digit(self, key):
        position, node = self.at, self.node()
        if node is None or position["waiting"] in (OTHER, PROGRAM) and position["operation"] is None:
            return NONE
        position["idle"] = 0
        kind = node["type"]
        if position["waiting"] == ANSWER:
            if kind == "speak" and option(node, "barge_in"):
                self._keep(key)
                return self.enter(node["next"])
            if kind == "recognize" and option(node, "pressed") is not None:
                self._keep(key)
                return self.enter(node["pressed"])
            return NONE if kind == "fax" else self._keep(key)       # what a modem sends may sound like keys
        if position["waiting"] == RECORDING:
            return {"do": "record_stop"} if key in option(node, "keys") else NONE
        if position["waiting"] == PROMPT and kind != "record" and not option(node, "barge_in"):
            return NONE
        if kind == "play":
            if position["operation"] is not None:
                return self._told({"key": key}) if key in (node.get("keys") or "") else NONE
            self._keep(key)
            return self.enter(node["next"])
        if kind == "menu":
            return self._choose(node, key)
        if kind in ("collect", "survey"):
            return self._key(node, key)
        return self._begin_recording(node) if kind == "record" else NONE

    def _keep(self, key):
        """Type ahead; with the secrets where the next node that takes keys asks for one."""
        position = self.at
        if position["operation"] is None and is_private(self.flows, position):
            ahead = self.private.get("ahead") or ""
            self.private["ahead"] = ahead + key if len(ahead) < AHEAD else ahead
        elif len(position["ahead"]) < AHEAD:
            position["ahead"] += key
        return {"do": "keep"}

    def _typed(self):
        """Keys typed ahead; they are used up."""
        position = self.at
        ahead = position["ahead"] + (self.private.pop("ahead", None) or "")
        position["ahead"] = ""
        return ahead

    def _choose(self, node, key):
        if key in node["choices"]:
            return self.enter(node["choices"][key])
        self.at["wrong"] += 1
        if self.at["wrong"] >= option(node, "wrong_attempts"):
            return self.enter(node["exhausted"])
        return self.play(option(node, "invalid") + node["prompts"])

    def _key(self, node, key):
        """A key of an entry, or of a survey."""
        if node["type"] == "survey":
            if key in node["choices"]:
                self.at["answer"] = key
                self.survey = {"survey": node["survey"], "question": node["question"], "answer": key}
                return self.enter(node["next"])
            return self._again(node, "wrong", option(node, "invalid"))
        entry = self._entry()
        if key == option(node, "terminator") and key:
            return self._entered(node, entry, True)
        if key == option(node, "erase") and key:
            self.set_entry("")
            return self._listen(option(node, "first_timeout_s"))
        self.set_entry(entry + key)
        if len(entry) + 1 >= option(node, "length"):
            return self._entered(node, entry + key, True)
        return self._listen(option(node, "digit_timeout_s"))

    def _is_secret(self):
        node = self.node()
        return node is not None and node["type"] == "collect" and bool(option(node, "secret"))

    def _entry(self):
        return (self.private.get("entry") or "") if self._is_secret() else self.at["entry"]

    def set_entry(self, entry):
        if self._is_secret():
            self.private["entry"] = entry
        else:
            self.at["entry"] = entry

    def _entered(self, node, entry, ended):
        """The entry is complete: take it, or have it again."""
        self.set_entry("")
        if self.at["operation"] is not None:
            return self._told({"digits": entry, "timeout": not ended})
        good = len(entry) >= option(node, "min_length")
        if good and option(node, "check"):
            try:
                good = expression.truth(expression.evaluate(option(node, "check"), lambda name: entry if name == "value" else self.look(name, True)))
            except LocalError as error:
                good = False
                if not self._is_secret():
                    self.note(error)
        if not good:
            return self._again(node, "wrong", option(node, "invalid"))
        if option(node, "secret"):
            self._keep_secret(node["into"], entry)
        else:
            self.keep_variables({node["into"]: entry})
        return self.enter(node["next"])

    def _keep_secret(self, name, value):
        values = self.private.get("values")
        if values is None:
            values = self.private["values"] = {}
        values[name] = value
        self.at["asked"] = dict(self.at["asked"])
        self.at["asked"][name] = self.at["node"]
        self._forget(name)

    def _again(self, node, what, first):
        """Another round of an entry or a survey, or its end."""
        self.at[what] += 1
        if self.at["missed"] + self.at["wrong"] >= option(node, "attempts"):
            failed = option(node, "failed")
            return self.enter(failed if failed is not None else node["next"])
        return self.play(first + node["prompts"])

    def _spend(self, node, ahead):
        """Keys typed ahead reach a node that takes keys; what it leaves over stays for the next."""
        key = ahead[0]
        self._leave_over(ahead[1:])
        here = self.at["node"]
        command = self._choose(node, key) if node["type"] == "menu" else self._key(node, key)
        while command.get("do") == "listen" and self.at["node"] == here and self.at["waiting"] == DIGIT:
            ahead = self._typed()
            if not ahead:
                break
            self._leave_over(ahead[1:])
            command = self._key(self.node(), ahead[0])
        if command.get("do") == "play" and self.at["node"] == here:
            self._typed()               # they led to a wrong entry
        return command

    def _leave_over(self, rest):
        """Keys for the next node; with the secrets where this one asks for one."""
        if rest and is_private(self.flows, self.at):
            self.private["ahead"] = rest
        elif rest:
            self.at["ahead"] = rest
