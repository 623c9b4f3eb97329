"""Hook flashes of analog telephones, and changing over, on the switchboard: hold, a second call, conference, transfer by hanging up.

The rig replays the whole journal after each step and holds media's bridges against the state; hears() is what follows from them."""

import pytest

from tests.control.test_acd import answer
from tests.control.test_operations import consulting, floor, talking


def flash(rig, leg):
    return rig.press("!", leg)


def keys(rig, leg, digits):
    for key in digits:
        rig.press(key, leg)


def second_call(rig, leg, number="2001"):
    """The telephone flashes, dials, and is answered; the second party's leg."""
    assert flash(rig, leg)
    keys(rig, leg, number)
    other = rig.last("leg.create")["leg"]
    rig.do("leg.alerting", leg=other)
    rig.do("leg.answered", leg=other)
    return other


def by_keys(rig, leg="s1"):
    """1002, whose flashes want a key, has called 2002: both legs."""
    rig.dial("1002", "2002", leg)
    answer(rig)
    return leg, rig.last("leg.create")["leg"]


def over(rig, leg="p1"):
    rig.hang_up(leg)
    for recording in list(rig.sb.core.state.recordings):
        rig.do("media.record_closed", recording=recording, octets=1, duration_ms=1)
    rig.wait(60000)
    rig.finished()


def test_flash_number_flash_flash():
    """Hold and dial tone, the number, both talk, all three talk, who came last goes."""
    rig = floor()
    call, agent = talking(rig)
    assert flash(rig, agent)
    assert rig.hears(agent) == [] and rig.heard() == ["default"] and rig.heard(agent) == ["dial"]
    rig.kill()
    rig.press("2", agent)
    assert rig.heard(agent) is None
    rig.kill()                                          # what has been dialled so far is known
    keys(rig, agent, "001")
    other = rig.last("leg.create")["leg"]
    assert rig.last("leg.create")["line"] == "2001" and rig.heard(agent) == ["ringback"]
    rig.do("leg.alerting", leg=other)
    rig.do("leg.answered", leg=other)
    assert rig.hears(agent) == [other] and rig.hears("p1") == []
    flash(rig, agent)
    assert rig.hears(agent) == sorted(["p1", other]) and rig.heard() is None
    flash(rig, agent)
    assert rig.hears(agent) == ["p1"] and other not in rig.adapter
    over(rig)


def test_flash_goes_back_from_dial_tone_ringing_and_a_refused_number():
    rig = floor()
    call, agent = talking(rig)
    flash(rig, agent)
    flash(rig, agent)                                   # from dial tone
    assert rig.hears(agent) == ["p1"] and rig.heard(agent) is None and not rig.call()["held"]
    flash(rig, agent)
    keys(rig, agent, "2001")
    other = rig.last("leg.create")["leg"]
    flash(rig, agent)                                   # while it rings
    assert rig.hears(agent) == ["p1"] and other not in rig.adapter and rig.heard(agent) is None
    flash(rig, agent)
    keys(rig, agent, "55")                              # nobody has it
    assert rig.heard(agent) == ["busy"] and rig.call()["held"]
    assert "takes" in [record["data"]["why"] for record in rig.journal if record["kind"] == "call.register" and record["data"].get("why")][-1]
    keys(rig, agent, "2001")                            # too late
    assert rig.heard(agent) == ["busy"]
    flash(rig, agent)
    assert rig.hears(agent) == ["p1"]
    flash(rig, agent)
    rig.wait(16000)                                     # nothing is dialled
    assert rig.heard(agent) == ["busy"]
    flash(rig, agent)
    flash(rig, agent)
    keys(rig, agent, "*42")                             # a feature code is nobody to talk with
    rig.wait(5000)
    assert rig.heard(agent) == ["busy"]
    assert rig.command("command.retrieve", call=call) is None
    assert rig.hears(agent) == ["p1"] and rig.heard(agent) is None
    over(rig)


def test_a_number_of_unknown_length_ends_by_itself_or_with_a_square():
    rig = floor()
    call, agent = talking(rig)
    for end in ("#", ""):
        flash(rig, agent)
        keys(rig, agent, "913800138000" + end)
        rig.wait(4100)
        assert rig.call()["consult"]["target"] == "913800138000"
        flash(rig, agent)
        assert rig.hears(agent) == ["p1"]
    over(rig)


def test_hanging_up_is_a_transfer_or_the_telephone_rings_again():
    rig = floor()
    call, agent = talking(rig)
    other = second_call(rig, agent)
    rig.hang_up(agent)
    assert rig.hears("p1") == [other] and rig.heard() is None
    over(rig)
    rig = floor()
    call, agent = talking(rig)
    flash(rig, agent)
    rig.hang_up(agent)                                  # nobody but the caller is there
    again = rig.last("leg.create")
    assert again["line"] == "1001" and again["leg"] != agent and rig.call()["state"] == "ringing" and rig.heard() == ["ringback"]
    rig.do("leg.answered", leg=again["leg"])
    assert rig.hears(again["leg"]) == ["p1"] and rig.heard() is None
    over(rig)


def test_keys_after_the_flash():
    rig = floor()
    one, first = by_keys(rig)
    other = second_call(rig, one)
    for talks, waits in ((first, other), (other, first), (first, other)):
        flash(rig, one)
        rig.press("2", one)
        assert rig.hears(one) == [talks] and rig.hears(waits) == [] and rig.heard(waits) == ["default"] and rig.heard(talks) is None
        rig.kill()
        assert rig.hears(one) == [talks]
    flash(rig, one)
    rig.press("3", one)
    assert rig.hears(one) == sorted([first, other]) and rig.heard(other) is None
    flash(rig, one)
    rig.press("1", one)
    assert rig.hears(one) == [first] and other not in rig.adapter
    other = second_call(rig, one)
    flash(rig, one)
    rig.press("1", one)                                 # the one it talks with
    assert rig.hears(one) == [first] and other not in rig.adapter
    other = second_call(rig, one)
    flash(rig, one)
    rig.press("2", one)
    flash(rig, one)
    rig.press("1", one)
    assert rig.hears(one) == [other] and first not in rig.adapter and rig.heard(other) is None
    over(rig, one)


def test_no_key_or_another_one_changes_nothing():
    rig = floor()
    one, first = by_keys(rig)
    other = second_call(rig, one)
    flash(rig, one)
    rig.press("9", one)
    flash(rig, one)
    rig.wait(5000)
    rig.press("3", one)
    assert rig.hears(one) == [other] and rig.call()["consult"]["state"] == "talking"
    rig.hang_up(other)
    assert rig.hears(one) == [first]
    over(rig, one)


def test_whose_flash_means_nothing():
    rig = floor()
    call, agent = talking(rig)
    assert not flash(rig, "p1")                         # a trunk
    before = len(rig.journal)
    rig.sb.core.line_rows["1001"]["flash"] = "off"
    assert not flash(rig, agent) and len(rig.journal) == before
    rig.sb.core.line_rows["1001"]["flash"] = "plain"
    other = consulting(rig, call, "2001", "line")
    assert not flash(rig, other)
    rig.command("command.transfer", call=call)
    assert not flash(rig, agent)
    over(rig)


def test_who_is_called_flashes_too_and_one_at_a_time():
    rig = floor()
    one, first = by_keys(rig)                           # 1002 dialled 2002
    rig.sb.core.line_rows["2002"]["flash"] = "plain"
    assert flash(rig, first)
    assert rig.heard(first) == ["dial"] and rig.heard(one) == ["default"]
    assert not flash(rig, one)                          # it is held by the other side
    keys(rig, first, "2001")
    answer(rig)
    third = rig.last("leg.create")["leg"]
    assert rig.hears(first) == [third]
    rig.hang_up(first)
    assert rig.hears(one) == [third]
    over(rig, one)


@pytest.mark.parametrize("how", ("transfer", "conference", "retrieve", "hangup"))
def test_changed_over_then(how):
    rig = floor()
    call, agent = talking(rig)
    assert "no consulted party" in rig.command("command.change_over", call=call)
    other = consulting(rig, call, "2001", "line")
    assert rig.command("command.change_over", call=call) is None
    assert rig.hears(agent) == ["p1"] and rig.heard(other) == ["default"] and rig.call()["consult"]["state"] == "waiting"
    if how == "hangup":
        rig.hang_up("p1")                               # the caller goes: who waited is there
        assert rig.hears(agent) == [other]
        over(rig, agent)
        return
    assert rig.command("command." + how, call=call) is None
    wanted = {"transfer": [other], "conference": sorted([agent, other]), "retrieve": [agent]}[how]
    assert rig.hears("p1") == wanted and rig.heard(other) is None
    if how == "conference":
        rig.hang_up(agent)
    over(rig)
