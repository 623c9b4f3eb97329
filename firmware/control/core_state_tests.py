"""The part of the switchboard's state that follows test calls (core_test_calls.py): one method for each record kind."""

from firmware.call import call as calls


class TestFolds:
    """Methods of CoreState: records of test calls."""

    def test_begun(self, record, data, call):
        self._begin_call(record, data, "test", target=data["number"], caller="", caller_presentation="allowed", called="")

    def test_joined(self, record, data, call):
        if call is not None:
            call.state = calls.TESTING
            self._caller_is(call, record["leg"])
            if call.answered_ms is None:
                call.answered_ms = record["ts_ms"]
            self.timers.set("test", call.id, data["deadline_ms"])
