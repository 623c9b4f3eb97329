"""The variants of Q.931 beside ETSI, against messages by hand and against ourselves."""

import json

import pytest

from firmware.config import schema
from firmware.errors import LocalError
from firmware.proto.q931 import maintenance, party_name
from firmware.proto.q931.link import Q931Link
from firmware.proto.q931.variants import ETSI, NAMES, VARIANTS
from tests.proto.q931_rig import build, kinds, names, sent

AMERICAN = ("ni2", "5ess", "dms100")
SETUP = bytes.fromhex("08020001" "05" "04038090a2" "1803a98381" "700580313233" "34")


def link(variant, side="user", **config):
    made = Q931Link(side, variant, config)
    made.link_up(0)
    made.take_output()
    return made


def test_rows_have_the_same_settings():
    assert set(VARIANTS) == set(NAMES) and schema.VARIANTS == NAMES
    for row in VARIANTS.values():
        assert set(row) == set(ETSI)


@pytest.mark.parametrize("variant", NAMES)
@pytest.mark.parametrize("near, far", [("user", "network"), ("network", "user")])
def test_both_our_sides(variant, near, far):
    ends = {side: link(variant, side) for side in (near, far)}
    seen = {near: [], far: []}

    def settle():
        moved = True
        while moved:
            moved = False
            for side, other in ((near, far), (far, near)):
                for octets in ends[side].take_output():
                    seen[other] += ends[other].receive(octets, 0)
                    moved = True
    call = ends[near].new_call()
    ends[near].request("setup_request", call, 0, called="123", timeslot=3, caller_name="Ann Lee")
    settle()
    setup = seen[far][0]
    assert setup["called_complete"]
    if VARIANTS[variant]["caller_name"][near]:
        assert setup["caller_name"] == "Ann Lee"
    seen[far] += ends[far].request("setup_response", setup["call"], 0)
    settle()
    assert names(seen[near]) == ["setup_confirm"] and names(seen[far])[1:] == ["setup_complete_indication"]
    ends[near].request("release_request", call, 0, cause=16)
    settle()
    ends[far].request("release_request", setup["call"], 0)
    settle()
    assert ends[near].calls() == ends[far].calls() == [] and ends[near].deadline_ms() is None


@pytest.mark.parametrize("variant", AMERICAN)
def test_numbers_are_whole(variant):
    made = link(variant, overlap_receiving=True)
    event = made.receive(SETUP, 0)[0]
    assert event["called_complete"]
    with pytest.raises(LocalError):
        made.request("setup_ack_request", event["call"], 0)
    call = made.new_call()
    with pytest.raises(LocalError):
        made.request("setup_request", call, 0, called="1", timeslot=2, complete=False)
    made.request("setup_request", call, 0, called="1", timeslot=2)
    message = sent(made)[0]
    assert "sending_complete" not in message.elements
    assert (message.get("called_party_number")["type"], message.get("called_party_number")["plan"]) == ("unknown", "unknown")
    made.receive(build("SETUP_ACKNOWLEDGE", 1, 1), 0)
    assert [m.get("cause")["cause"] for m in sent(made)] == [97]


@pytest.mark.parametrize("variant, cause", [("ni2", 96), ("5ess", None), ("dms100", None), ("qsig", 96), ("etsi", 96)])
def test_unknown_elements(variant, cause):
    """An unknown 0000 xxxx in codeset 0; unknown ones in codesets 4, 6 and 7 never matter."""
    made = link(variant)
    events = made.receive(SETUP + bytes.fromhex("9e" "010180" "9c" "3101e7" "97" "010180" "020100"), 0)
    assert names(events) == ["setup_indication"]
    made = link(variant)
    events = made.receive(SETUP + bytes.fromhex("02" "0180"), 0)
    if cause is None:
        assert names(events) == ["setup_indication"]
    else:
        assert [m.get("cause")["cause"] for m in sent(made)] == [cause]


@pytest.mark.parametrize("variant", AMERICAN + ("qsig",))
@pytest.mark.parametrize("side", ["user", "network"])
def test_setup_must_name_a_channel(variant, side):
    made = link(variant, side)
    assert "setup_indication" not in names(made.receive(SETUP.replace(bytes.fromhex("1803a98381"), b""), 0))
    assert [(m.kind, m.get("cause")["cause"]) for m in sent(made)] == [("RELEASE_COMPLETE", 96)]


@pytest.mark.parametrize("variant", AMERICAN + ("qsig",))
def test_glare(variant):
    for side, offered in (("user", True), ("network", False)):
        made = link(variant, side)
        made.request("setup_request", made.new_call(), 0, called="1", timeslot=1)
        made.take_output()
        events = made.receive(SETUP, 0)
        assert (names(events) == ["setup_indication"]) == offered
        if not offered:
            assert sent(made)[0].get("cause")["cause"] == 44


def test_no_tone_while_clearing():
    made = link("ni2", "network")
    call = made.receive(SETUP, 0)[0]["call"]
    made.request("setup_response", call, 0)
    made.take_output()
    made.request("disconnect_request", call, 0, cause=16, inband=True)
    assert sent(made)[0].get("progress_indicator") is None


# SERVICE

@pytest.mark.parametrize("variant, service, answer", [
    ("ni2", "4302000007", "430280000f"), ("5ess", "030200000f", "0302800007"), ("dms100", "030200000f", "0302800007")])
def test_service_received(variant, service, answer):
    made = link(variant)
    tail = "0101c2" "1803a98381"
    events = made.receive(bytes.fromhex(service + tail), 0)
    assert events == [{"event": "service_indication", "call": None, "timeslots": [1], "status": "out_of_service"}]
    assert made.take_output() == [bytes.fromhex(answer + tail)]
    made.receive(bytes.fromhex(service + tail), 10)
    assert made.take_output() == []                     # no endless ping-pong
    for status in ("0101c0", "0101c2"):                 # but quick changes are taken
        made.receive(bytes.fromhex(service + status + "1803a98381"), 15)
        assert len(made.take_output()) == 1
    made.receive(SETUP, 20)
    assert sent(made)[0].get("cause")["cause"] == 44
    again = Q931Link.restore(json.loads(json.dumps(made.dump())))
    assert again.far_status == {1: "out_of_service"} and 1 not in again.free_timeslots()
    made.receive(bytes.fromhex(service + "0101c1" + "1803a98381"), 30)      # maintenance: only they may call
    made.take_output()
    assert 1 not in made.free_timeslots() and names(made.receive(SETUP, 40)) == ["setup_indication"]
    made.receive(bytes.fromhex("08020000461803a98381790180"), 50)
    assert made.far_status == {}
    assert names(made.receive(bytes.fromhex(service + "0101c2"), 60)) == ["service_indication"]
    assert made.free_timeslots() == []


def test_service_sent():
    made = link("5ess")
    made.service(0, 4, "out_of_service")
    made.service(0, 5, "maintenance")
    assert [o.hex() for o in made.take_output()] == ["030200000f0101c21803a98384"]
    events = made.receive(bytes.fromhex("03028000070101c21803a98384"), 1)
    assert events == [{"event": "service_confirm", "call": None, "timeslots": [4], "status": "out_of_service"}]
    assert len(made.take_output()) == 1
    assert made.expire(120001) == [] and len(made.take_output()) == 1
    assert names(made.expire(240001)) == ["service_failed"] and made.deadline_ms() is None
    made.link_down(240002)
    made.link_up(240003)                                # told anew, one by one
    assert len(made.take_output()) == 1
    with pytest.raises(LocalError):
        link("etsi").service(0, 4, "out_of_service")
    with pytest.raises(LocalError):
        made.service(0, 99, "out_of_service")


@pytest.mark.parametrize("octets", ["43", "0302", "03020000", "030200000f", "030200000f0101", "030200000f0101c7", "03020000550101c0",
                                    "0300" "0f0101c0", "030200000f0101c21803a983", "430200000701"])
@pytest.mark.parametrize("variant", NAMES)
def test_bad_service(variant, octets):
    made = link(variant)
    assert made.receive(bytes.fromhex(octets), 0) == [] and made.take_output() == []
    assert made.counters["ignored_messages"] == 1


def test_maintenance_messages_round_trip():
    octets = maintenance.encode(0x43, "SERVICE", 0, "maintenance", None)
    message, status = maintenance.decode(octets)
    assert (message.kind, status) == ("SERVICE", "maintenance")


# Names

@pytest.mark.parametrize("octets, name", [
    ("9faa068001008201008b0100a10b020101020100800341424 3".replace(" ", ""), "ABC"),
    ("91a11002010106072a8648ce150004800241 42".replace(" ", ""), "AB"),
    ("9f8b0100a10f02010106072a8648ce1500040a0100", None),       # the name will follow
    ("9fa10b02010102010082034142 43".replace(" ", ""), None),   # restricted
    ("9fa1ff", None), ("", None), ("9fa10302010 1".replace(" ", ""), None), ("91a10b0201010201058003414243", None)])
def test_name_in_facility(octets, name):
    assert party_name._of_facility(bytes.fromhex(octets)) == name


def test_name_that_follows():
    made = link("ni2")
    call = made.receive(SETUP, 0)[0]["call"]
    facility = party_name.content("Zo\u00eb", "facility_ni")["facility"]
    events = made.receive(build("FACILITY", 1, 0, facility=facility), 0)
    assert [(e["event"], e["call"], e["caller_name"]) for e in events] == [("name_indication", call, "Zo?")]
