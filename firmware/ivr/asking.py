"""What a flow asks of others: recordings, services, programs outside; and what becomes of their answers.

Part of a Visit (interpreter.py), which has the other methods and at, private."""

from firmware.errors import LocalError
from firmware.ivr import requests
from firmware.ivr.nodes import is_secret, option
from firmware.ivr.position import ANSWER, NONE, PROGRAM, RECORDING


class Asking:
    """Methods of Visit."""

    def _begin_recording(self, node):
        self.at["waiting"] = RECORDING
        return {"do": "record", "most_s": option(node, "most_s"), "beep": option(node, "beep")}

    def _recorded(self, ok, result):
        node = self.node()
        if node is None or self.at["waiting"] != RECORDING:
            return NONE
        if self.at["operation"] is not None:
            return self._told({"recorded": result if ok else None})
        if not ok or result["duration_ms"] < 1000 * option(node, "least_s"):
            self.note(result if not ok else "the recording is only %d ms long" % result["duration_ms"])
            return self.enter(node["failed"])
        self.keep_variables({node["into"]: result})
        return self.enter(node["next"])

    def _ask(self, node, prompts):
        """Ask a service; what cannot even be asked fails."""
        lost = self.lost_secret(node)
        if lost is not None:
            return self.enter(lost)
        try:
            request = requests.of(node, self)
        except LocalError as error:
            return self.unanswered(str(error))
        program = node["type"] in ("agi", "cti")
        self.at["waiting"] = PROGRAM if program else ANSWER
        items = [] if program else self.spoken(prompts)
        limit_s = option(node, "timeout_s")
        if node["type"] == "send_fax":
            limit_s = 0                     # the switchboard answers by itself, at once
        elif node["type"] in ("speak", "fax"):
            limit_s, items = option(node, "most_s"), [{"speech": True}]
        elif node["type"] == "recognize" and items:
            limit_s = option(node, "most_s")        # the silence counts from the end of the prompts
        return {"do": "program" if program else "ask", "kind": node["type"], "request": request, "timeout_s": limit_s, "items": items}

    def lost_secret(self, node):
        """The node that asks for a secret which a restart has lost, or None."""
        if not self.at["asked"]:
            return None
        values = self.private.get("values") or {}
        for name in requests.names(node):
            if name in self.at["asked"] and name not in values:
                return self.at["asked"][name]
        return None

    def _answered(self, ok, result):
        node = self.node()
        if node is None or self.at["waiting"] not in (ANSWER, PROGRAM):
            return NONE
        if self.at["waiting"] == PROGRAM:
            self.at["operation"] = None
            node = self.node()
            if not ok:
                return self.unanswered(result)
            return self.enter(node["next"])
        if not ok:
            return self.unanswered(result)
        if node["type"] == "recognize":
            self.at["idle"] = 0
        try:
            where, taken = requests.taken(node, self, result)
            if is_secret(node):
                self._keep_secret(node["into"], taken.pop(node["into"]))
            self.keep_variables(taken)
        except LocalError as error:
            return self.unanswered(str(error))
        return self.enter(where)

    def unanswered(self, why):
        self.at["operation"] = None
        self.note(why)
        return self.enter(self.node()["failed"])

    def _told(self, result):
        """A program's operation is done."""
        self.at["operation"] = None
        self.at["entry"] = ""
        self.at["waiting"] = PROGRAM
        return {"do": "told", "result": result}
