"""Test calls: what the switchboard decides.  The rig replays the journal after each step."""

import pytest

from firmware.call.routing import TEST_SOUNDS
from firmware.config.schema import check
from tests.control.switchboard_rig import Rig
from tests.control.test_outside import config as outside_config, world

NUMBER = "02150809999"


def config(sound="milliwatt_1020"):
    made = outside_config()
    made["numbers"].append({"number": NUMBER, "application": "test", "target": sound})
    return made


def begin(rig, span=1, number="10000"):
    assert rig.command("command.test_call", span=span, number=number) is None
    return rig.last("leg.create")


def test_a_call_of_the_box_over_one_span_is_answered_tested_and_hung_up():
    rig = world()
    create = begin(rig, span=1)
    assert (create["span"], create["called"]["number"], create["line"]) == (1, "10000", None) and create["redirecting"] is None
    rig.do("leg.progress", leg=create["leg"], inband=True)           # nobody is there to hear it
    assert not rig.media["bridges"]
    rig.do("leg.alerting", leg=create["leg"])
    rig.wait(2000)
    rig.do("leg.answered", leg=create["leg"])
    call = rig.sb.snapshot()["calls"][0]
    assert call["state"] == "testing" and [leg["leg"] for leg in call["legs"]] == [create["leg"]]
    assert rig.command("command.hangup", call=call["call"]) is None
    cdr = rig.cdrs[-1]
    assert (cdr["application"], cdr["result"], cdr["out_span"], cdr["dialled"], cdr["cause"]) == ("test", "self_service", 1, "10000", 16)
    assert cdr["answered_ms"] - cdr["started_ms"] == 2000


def test_only_the_wanted_span_is_tried():
    rig = world()
    create = begin(rig, span=3)
    assert create["trunk_group"] == "second"
    rig.do("leg.released", leg=create["leg"], cause=44, by="far")    # the channel: another one of that span
    again = rig.last("leg.create")
    assert again["span"] == 3 and again["timeslot"] != create["timeslot"]
    rig.do("leg.released", leg=again["leg"], cause=38, by="far")     # the span: that is the answer
    assert rig.cdrs[-1]["result"] == "failed" and rig.cdrs[-1]["cause"] == 38 and not rig.sb.snapshot()["calls"]


@pytest.mark.parametrize("span, number, why", [(9, "1", "carries no calls"), (1, "", "no number"), (1, "110", "emergency"), (2, "1", "not up")])
def test_what_cannot_be_is_refused_with_a_sentence(span, number, why):
    rig = world(up=(1, 3))
    assert why in rig.command("command.test_call", span=span, number=number)


def test_a_far_end_that_does_not_answer_ends_it():
    rig = world()
    begin(rig)
    rig.wait(61_000)
    assert rig.cdrs[-1]["application"] == "test" and rig.cdrs[-1]["answered_ms"] is None and not rig.sb.snapshot()["calls"]


@pytest.mark.parametrize("sound", TEST_SOUNDS)
def test_a_test_number_answers_at_once_and_ends_after_its_limit(sound):
    rig = Rig(config(sound))
    rig.offer(called=NUMBER)
    call = rig.sb.snapshot()["calls"][0]
    assert (call["state"], call["application"], call["target"]) == ("testing", "test", sound) and rig.adapter["p1"] == "answered"
    assert next(record for record in rig.journal if record["kind"] == "test.joined")["data"]["sound"] == sound
    rig.wait(600_000)
    assert rig.cdrs[-1]["result"] == "self_service" and not rig.adapter


def test_a_restart_ends_what_was_measured_and_lets_a_set_up_go_on():
    rig = Rig(config())
    rig.do("span.state", span=1, state="up", alarms=[])
    rig.offer(called=NUMBER)
    create = begin(rig, span=1)
    rig.kill(sip_restores=False)
    assert rig.cdrs[-1]["cause"] == 41 and [call["state"] for call in rig.sb.snapshot()["calls"]] == ["ringing"]
    rig.do("leg.answered", leg=create["leg"])
    assert rig.sb.snapshot()["calls"][0]["state"] == "testing"


def test_media_dies_and_the_call_with_it():
    rig = world()
    rig.do("leg.answered", leg=begin(rig)["leg"])
    rig.do("media.lost")
    assert not rig.sb.snapshot()["calls"] and rig.cdrs[-1]["cause"] == 41


def test_the_configuration_names_what_a_test_number_plays():
    from firmware.config import demo
    made = demo.configuration(dict.fromkeys(demo.AGENTS, "password"))
    made["numbers"].append({"number": NUMBER, "application": "test", "target": "music"})
    errors = check(made)[1]
    assert len(errors) == 1 and "milliwatt_1004" in str(errors[0])
