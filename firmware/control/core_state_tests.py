"""The part of the switchboard's state that follows test calls (core_test_calls.py): one method for each record kind."""

from firmware.call import call as calls
from firmware.call import leg as legs


class TestFolds:
    """Methods of CoreState: records of test calls."""

    def test_begun(self, record, data, call):
        call = calls.Call(record["call"], data["order"])
        call.caller, call.caller_presentation, call.called = "", "allowed", ""
        call.called_complete = True
        call.application, call.target = "test", data["number"]
        call.started_ms = record["ts_ms"]
        call.caller_leg = record["leg"]
        self.calls[call.id] = call
        self.order = max(self.order, data["order"])
        self._add_leg(call, legs.Leg(record["leg"], call.id, legs.CALLER, "none", legs.ANSWERED), None)

    def test_joined(self, record, data, call):
        if call is not None:
            call.state = calls.TESTING
            self._caller_is(call, record["leg"])
            if call.answered_ms is None:
                call.answered_ms = record["ts_ms"]
            self.timers.set("test", call.id, data["deadline_ms"])
