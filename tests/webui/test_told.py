"""Journal records in a person's words."""

from webui.told import told


def test_moments_durations_lists_and_answers():
    data = {"wait_ms": 8500, "deadline_ms": 1795328400209, "legs": ["l1", "l2"], "connects": True, "cause": 0, "reason": None}
    assert told(data, "Asia/Shanghai") == [("wait", "8.5 s"), ("deadline", "14:20:00"), ("legs", "l1, l2"),
                                           ("connects", "yes"), ("cause", "0")]


def test_a_position_is_told_without_counters_that_have_not_begun():
    data = {"position": {"node": "sales", "language": None, "missed": 0, "wrong": 2}, "input": {"digit": "1"}, "actions": [1]}
    assert told(data) == [("node", "sales"), ("wrong", "2"), ("digit", "1")]


def test_items_are_named_by_what_they_hold():
    assert told({"items": [{"prompt": "greeting", "language": "en"}, {"tone": "busy"}]}) == [("items", "greeting en, busy")]


def test_a_withheld_number_stays_withheld():
    assert told({"caller": "13912345678", "caller_presentation": "restricted"}) == [("caller_presentation", "restricted")]
    assert told(None) == []


def test_numbers_that_are_no_moments():
    assert told({"since_ms": 1 << 62}) == [("since", f"{(1 << 62) / 1000:g} s")]
