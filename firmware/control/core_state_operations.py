"""The part of the switchboard's state that follows what is done with calls that are up: hold, consult, conference,
transfer, park, listening (core_parties.py, core_operations.py, core_monitor.py).  One method for each record kind."""

from firmware.call import call as calls
from firmware.call import carriage


class OperationFolds:
    """Methods of CoreState: records of operations on calls that are up."""

    def call_held(self, record, data, call):
        if call is not None:
            call.held = True

    def call_retrieved(self, record, data, call):
        if call is not None:
            self.give_sought(call)
            self.end_register(call)
            call.held = None

    def call_register(self, record, data, call):
        if call is not None:
            self.end_register(call)
            if data["step"] is not None:
                call.register = {"leg": record["leg"], "step": data["step"], "input": data["input"]}
                self.timers.set("register", call.id, data["deadline_ms"])

    def end_register(self, call):
        """Digits of its telephone are no longer for what a hook flash began."""
        call.register = None
        self.timers.cancel("register", call.id)

    def call_consulting(self, record, data, call):
        if call is not None:
            self.end_register(call)
            call.consult = {"leg": record["leg"], "bridge": data["bridge"], "state": "ringing", "agent": record["agent"],
                            "to": data["to"], "target": data["target"], "join": data["join"]}
            self.timers.set("consult", call.id, data["deadline_ms"])

    def call_consulted(self, record, data, call):
        if call is not None and call.consult is not None:
            consult = dict(call.consult)
            consult["state"] = "talking"
            call.consult = consult
            self.timers.cancel("consult", call.id)

    def call_changed_over(self, record, data, call):
        if call is not None and call.consult is not None:
            call.consult = dict(call.consult, state="waiting" if data["waits"] else "talking")

    def call_consult_ended(self, record, data, call):
        if call is not None:
            call.consult = None
            self.timers.cancel("consult", call.id)

    def call_joined(self, record, data, call):
        if call is not None:
            call.members = (call.members or []) + [record["leg"]]

    def call_parted(self, record, data, call):
        if call is not None:
            call.members = [leg for leg in call.members or [] if leg != record["leg"]]

    def call_turned(self, record, data, call):
        if call is None:
            return
        call.caller_leg, call.agent_leg, call.agent = data["caller_leg"], data["agent_leg"], record["agent"]
        call.members = [leg for leg in call.members or [] if leg not in (call.caller_leg, call.agent_leg)]
        for leg, role in ((call.caller_leg, "caller"), (call.agent_leg, "callee")):
            if leg in self.legs:
                self.legs[leg].role = role
        if data.get("caller") is not None:
            call.caller, call.caller_presentation, call.received = data["caller"], "allowed", None
        call.signal = None
        self.end_register(call)
        self.timers.cancel("signal", call.id)

    def call_transferred(self, record, data, call):
        if call is not None and data.get("carried"):
            call.carried = dict(data["carried"])

    def call_detached(self, record, data, call):
        if call is not None:
            if data.get("why") == "recall" and call.carried:
                call.carried = carriage.known(dict(call.carried, referred_by=None))     # back with who gave it away
            self.give_sought(call)
            self.end_register(call)
            call.agent_leg = call.agent = None
            call.recall = data["recall"]
            call.held = None
            call.overdue = False

    def call_parked(self, record, data, call):
        if call is not None:
            call.state = calls.PARKED
            call.place = data["place"]
            self.timers.set("park", call.id, data["deadline_ms"])

    def call_room(self, record, data, call):
        if call is not None:
            call.state = calls.PARKED
            call.room = data["room"]

    def call_unparked(self, record, data, call):
        if call is not None:
            call.place = None
            self.timers.cancel("park", call.id)

    def call_monitoring(self, record, data, call):
        if call is not None:
            rows = [row for row in call.monitors or [] if row[0] != record["leg"]]
            call.monitors = rows + [[record["leg"], data["mode"], record["agent"]] + ([data["level_db"]] if data.get("level_db") else [])]

    def call_monitor_ended(self, record, data, call):
        if call is not None:
            call.monitors = [row for row in call.monitors or [] if row[0] != record["leg"]]
            if record["leg"] in self.legs:          # it took the call over
                self.legs[record["leg"]].role = "callee"

    def leg_moved(self, record, data, call):
        """A leg comes from another call into this one."""
        leg = self.legs.get(record["leg"])
        before = self.calls.get(data["from"])
        if leg is None or call is None:
            return
        if before is not None and leg.id in before.legs:
            before.legs.remove(leg.id)
        leg.call = call.id
        leg.role = data["role"]
        call.legs.append(leg.id)
        for agent in self.agents.values():
            if agent.call == data["from"] and (agent.leg == leg.id or agent.name == record["agent"]):
                agent.call = call.id

    def call_secret(self, record, data, call):
        if call is not None:
            call.secret = {"agent": record["agent"], "tries": data["tries"]}
            self.timers.set("secret", call.id, data["deadline_ms"])
