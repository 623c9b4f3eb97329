"""Fax machines that call in: recorded, and sent to the number that is meant for them.

The rig replays the whole journal after every step and compares, so each of these tests is one of replay too."""

import copy

import pytest

from firmware.config.schema import check
from tests.control.switchboard_rig import CONFIG, Rig

FAX = "02150801009"


def world(detect=True, fax_to=FAX, application="line", target="2001"):
    config = copy.deepcopy(CONFIG)
    config["trunk_groups"][0]["fax_detection"] = detect
    config["numbers"][0]["fax_to"] = config["numbers"][1]["fax_to"] = fax_to
    config["numbers"].append({"number": FAX, "application": application, "target": target})
    return Rig(config)


def hear(rig, tone="cng", leg="p1", on=True):
    return rig.do("media.modem_tone", leg=leg, tone=tone, on=on)


def heard(rig):
    return [(record["leg"], record["data"]["tone"], record["data"]["to"]) for record in rig.journal if record["kind"] == "leg.fax_heard"]


def test_media_listens_where_the_trunk_group_wants_it():
    rig = world()
    rig.offer()
    assert rig.last("media.detect")["modem"] is True
    rig.kill()
    assert rig.last("media.detect")["modem"] is True
    rig = world(detect=False)
    rig.offer()
    assert "modem" not in rig.last("media.detect")
    rig.dial("2001", "02150801000", "s1")
    assert "modem" not in rig.last("media.detect")


def test_a_fax_machine_in_the_menu_goes_to_its_number():
    rig = world()
    rig.offer()
    assert hear(rig) and heard(rig) == [("p1", "cng", FAX)]
    assert rig.last("leg.create")["line"] == "2001" and rig.call()["state"] == "ringing"
    assert not hear(rig) and not hear(rig, on=False)             # once
    rig.kill()
    assert rig.call()["legs"][0]["fax"] == ["cng"]
    rig.do("leg.answered", leg=rig.last("leg.create")["leg"])
    assert rig.call()["state"] == "talking"
    rig.hang_up()
    rig.finished()
    assert rig.cdrs[0]["result"] == "answered"


def test_in_a_queue_the_offer_is_withdrawn_and_the_agent_stays_ready():
    rig = world(application="queue", target="operator")
    rig.offer(called="02150801001")
    assert rig.agent("1001")["state"] == "offered"
    assert hear(rig)
    left = [record for record in rig.journal if record["kind"] == "queue.left"][0]["data"]
    assert (left["reason"], left["to"], left["when"]) == ("overflow", {"number": FAX}, "fax")
    assert rig.call()["queue"] == "operator" and rig.agent("1001")["status"] == "available"
    rig.hang_up()
    rig.finished()


@pytest.mark.parametrize("tone, fax_to", (("ans", FAX), ("flags", FAX), ("cng", ""), ("cng", "4711")))
def test_other_tones_and_numbers_without_a_target_are_recorded_alone(tone, fax_to):
    rig = world(fax_to=fax_to)
    rig.offer()
    assert hear(rig, tone) and heard(rig) == [("p1", tone, None)] and rig.call()["state"] == "ivr"


def test_while_an_announcement_plays():
    rig = world(application="queue", target="operator")
    rig.config["announcements"] = [{"name": "outage", "prompt": "outage", "then": "clear"}]
    rig.sb.configure(rig.config, rig.now)
    rig.command("command.announcement", name="outage", on=True)
    rig.offer()
    assert rig.call()["state"] == "announcing" and hear(rig) and rig.call()["queue"] == "operator"
    rig.hang_up()
    rig.finished()


def test_who_talks_already_stays_and_nonsense_is_passed_over():
    rig = world()
    rig.to_talk()
    assert hear(rig) and heard(rig) == [("p1", "cng", None)] and rig.call()["state"] == "talking"
    assert not hear(rig, "whistle") and not hear(rig, leg="p9") and not hear(rig, ["cng"])
    rig.hang_up()
    assert not hear(rig)
    rig.finished()


def test_a_fax_number_that_answers_nowhere_ends_the_call():
    rig = world()
    rig.do("line.unregistered", line="2001")
    rig.offer()
    assert hear(rig) and rig.heard() == ["busy"]
    rig.wait(10000)
    rig.finished()


def test_the_setting_is_checked():
    numbers = [{"number": "1", "application": "outside", "target": "0", "fax_to": "2"}]
    for wrong, words in (("2", "none of the numbers"), ("1", "the number itself"), ("a", "digits")):
        numbers[0]["fax_to"] = wrong
        errors = check({"numbers": numbers, "trunk_groups": [{"name": "t"}], "routes": [{"number": "0", "choices": [{"trunk_group": "t"}]}]})[1]
        assert [error.path for error in errors] == ["numbers[0].fax_to"] and words in errors[0].advice


# T.38.

def t38_world(**lines):
    """A carrier's call to line 2001, talking; lines: {t38, enhancement} of it.  (rig, its leg)."""
    config = copy.deepcopy(CONFIG)
    config["lines"][3].update(lines)
    config["numbers"][2]["target"] = "2001"
    rig = Rig(config)
    rig.offer(called="02150801002")
    leg = rig.last("leg.create")["leg"]
    rig.do("leg.answered", leg=leg)
    assert rig.call()["state"] == "talking"
    return rig, leg


def told(rig):
    return [(action["leg"], action["tone"], action["on"]) for action in rig.actions if action["do"] == "leg.fax"]


@pytest.mark.conformance("T.38", "D.2.2.4", "both sides are listened to, what is heard goes to the SIP leg, and the CDR says what became of it")
def test_a_fax_on_a_sip_leg_asks_for_packets():
    rig, leg = t38_world(t38="gateway", enhancement={"noise": True, "level": "agc"})
    listened = [record["leg"] for record in rig.journal if record["kind"] == "leg.listening"]
    assert sorted(listened) == sorted(["p1", leg])
    assert hear(rig, "cng") and hear(rig, "flags", leg=leg) and not hear(rig, "flags", leg=leg)
    assert told(rig) == [(leg, "cng", True), (leg, "flags", True)]
    assert rig.last("media.enhance")["leg"] == leg and not rig.last("media.enhance")["effects"]["noise"] and rig.last("media.enhance")["effects"]["level"] == "off"
    assert rig.do("leg.t38", leg=leg, state="on", by="us", why=None)
    rig.kill()
    assert [row["t38"] for row in rig.call()["legs"]] == [None, "on"]
    assert rig.do("leg.t38", leg=leg, state="off", by="far", why=None)
    assert not rig.do("leg.t38", leg=leg, state="perhaps", by="far", why=None) and not rig.do("leg.t38", leg="s9", state="on", by="far", why=None)
    rig.hang_up()
    rig.finished()
    assert [(row["leg"], row["state"], row["by"]) for row in rig.cdrs[0]["t38"]] == [(leg, "on", "us"), (leg, "off", "far")]


def test_where_it_is_off_nobody_is_listened_to_for_it():
    rig, leg = t38_world(t38="accept")
    assert not [record for record in rig.journal if record["kind"] == "leg.listening"]
    assert rig.do("leg.t38", leg=leg, state="on", by="far", why=None) and not told(rig)         # the carrier's leg is no SIP leg
    rig.hang_up()
    rig.finished()


def test_one_sip_leg_takes_the_other_along_and_back():
    rig = Rig(copy.deepcopy(CONFIG))
    rig.dial("1001", "02150801002", "s1")
    leg = rig.last("leg.create")["leg"]
    rig.do("leg.answered", leg=leg)
    assert rig.call()["state"] == "talking"
    rig.do("leg.t38", leg="s1", state="on", by="far", why=None)
    rig.do("leg.t38", leg="s1", state="off", by="far", why=None)
    rig.do("leg.t38", leg=leg, state="refused", by="far", why="the far end refuses T.38 with 488")
    assert told(rig) == [(leg, "t38", True), (leg, "t38", False)]
    rig.hang_up("s1")
    rig.finished()
    assert rig.cdrs[0]["t38"][-1]["why"] == "the far end refuses T.38 with 488"


def test_the_settings_of_t38_are_checked():
    whole = {"sip": {"t38_on": "whistle", "t38_rate": "33600", "t38_depth": 9, "t38_datagram": 10}, "lines": [{"name": "a", "password": "secret-a", "t38": "maybe"}]}
    paths = sorted(error.path for error in check(whole)[1])
    assert paths == ["lines[0].t38", "sip.t38_datagram", "sip.t38_depth", "sip.t38_on", "sip.t38_rate"]
    config, errors = check({"lines": [{"name": "a", "password": "secret-a", "t38": "accept", "encryption": "required"}]})
    assert [error.path for error in errors] == ["lines[0].t38"] and "goes in the clear" in errors[0].advice
    config, errors = check({"lines": [{"name": "a", "password": "secret-a"}]})
    assert not errors and config["lines"][0]["t38"] == "off" and config["sip"]["t38_recovery"] == "redundancy"
