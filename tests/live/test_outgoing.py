"""Calls to the outside through the whole house: dialled at a telephone, answered by the far exchange (libpri).

The telephone is the probe, which tells octets and moments; what it hears and what the far exchange
records is compared octet by octet (both A-law, enhancement off)."""

import random
import time

import pytest

from hil.probes import exact
from tests.live import pri_house, probe_moves
from tests.live.home_cases import test_a_home_agent_on_an_ordinary_telephone     # noqa: F401  it shares this house
from tests.live.pri_call_cases import *      # noqa: F403  these share it, too
from tests.live.pri_channel_cases import *      # noqa: F403
from tests.live.pri_group_cases import *      # noqa: F403
from tests.live.pri_house import script      # noqa: F401  a fixture
from tests.live.pri_link_cases import *      # noqa: F403
from tests.live.pri_service_cases import *      # noqa: F403
from tests.live.pri_trace_cases import *      # noqa: F403  after the others
from tests.live.qsig_cases import test_an_agent_at_an_extension_of_an_old_pbx     # noqa: F401  so does it
from tests.live.routing_cases import *      # noqa: F403
from tests.live.settings_cases import test_a_route_is_set_up_by_forms_explained_used_and_undone     # noqa: F401
from tests.live.test_kill import assert_layer_2_stayed_up
from tests.live.timeslot_cases import test_a_timeslot_s_history_over_a_kill     # noqa: F401

pytestmark = pytest.mark.live
SEED = 20261122
NUMBER, TANDEM = "13912345678", "02150801009"
SECONDS = 3
RIG = pri_house.RIG


@pytest.fixture(scope="module")
def phone(house):
    running = house.product.get("/configuration")
    config = running["configuration"]
    config["trunk_groups"].append({"name": "second", "label": "Second", "caller_number": "02150802000"})
    config["spans"][1]["trunk_group"] = "second"
    config["routes"] = [route for route in config["routes"] if route["number"][0] == "8" or route["number"] == "110"] + [{"number": "9.", "choices": [{"trunk_group": "second", "strip": 1}, {"trunk_group": "carrier", "strip": 1}]}]
    config["numbers"].append({"number": TANDEM, "application": "outside", "target": "9" + NUMBER})
    house.product.post("/configuration/apply", running)
    with probe_moves.probe_agent(house) as phone:
        yield phone
    house.far.policy()


@pytest.fixture(autouse=True)
def quiet(house, phone):
    yield
    phone.hangup()
    house.wait_idle(15)


def files(house, name, seed):
    """What the called party says, as a file of the far exchange and as octets; what the calling side says."""
    path = house.folder / f"{name}.wav"
    return path, probe_moves.material(seed, SECONDS, path), probe_moves.material(seed + 1, SECONDS)


def dial(house, phone, **policy):
    """Dial; returns the mark of the phone's events and the far exchange's event of the call."""
    house.far.policy(record_dir=house.folder, **policy)
    house.wait_agent_idle(phone.user, 20)
    mark, far_mark = phone.mark(), house.far.mark()
    phone.dial("9" + NUMBER)
    return mark, house.far.wait_for("incoming", 5, since=far_mark)


def recorded(house, name):
    house.far.wait_for("record_closed", 5, id=name)
    octets = (house.folder / f"{name}.wav").read_bytes()
    at = octets.index(b"data")
    return octets[at + 8:at + 8 + int.from_bytes(octets[at + 4:at + 8], "little")]


def the_call(house):
    return house.wait_call("talking")["call"]


def test_a_telephone_calls_out_and_both_hear_each_other(house, phone):
    path, far_says, near_says = files(house, "out", 61)

    def measure():
        mark, incoming = dial(house, phone, alerting_ms=100, answer_ms=300)
        assert (incoming["called"], incoming["caller"], incoming["span"], incoming["complete"]) == (NUMBER, "02150802000", 2, True)
        phone.wait_for("ringing", 5, since=mark)
        phone.wait_for("answered", 5, since=mark)
        assert not phone.events("early", mark), "nothing was to be heard before the answer"
        call = the_call(house)
        house.far.play(incoming["id"], path)
        play = phone.play(near_says)
        play.wait(SECONDS + 5)
        house.far.wait_for("play_done", 10, id=incoming["id"])
        time.sleep(0.3)
        house.far.hangup(incoming["id"])
        phone.wait_for("closed", 5, since=mark)
        heard, there = phone.received_octets(), recorded(house, incoming["id"])
        assert exact.match(far_says, heard).exact, f"trunk to phone: {exact.match(far_says, heard)}"
        assert exact.match(near_says, there).exact, f"phone to trunk: {exact.match(near_says, there)}"
        return call
    found = house.cdr(probe_moves.undisturbed(measure, house, phone))
    cdr = found["cdr"]
    assert (cdr["line"], cdr["agent"], cdr["dialled"], cdr["out_trunk_group"], cdr["out_span"]) == ("1002", "1002", NUMBER, "second", 2)
    assert (cdr["result"], cdr["released_by"], cdr["cause"], cdr["out_attempts"]) == ("answered", "callee", 16, 1)
    assert len(found["recordings"]) == 1
    assert [r["data"]["cause"] for r in found["records"] if r["kind"] == "leg.released"] == [16, 16], "the journal holds both legs"


def test_early_media_is_heard_before_the_answer(house, phone):
    path, far_says, _ = files(house, "early", 71)

    def measure():
        mark, incoming = dial(house, phone, incoming="alert", inband=True, play=path)
        assert phone.wait_for("early", 5, since=mark)["status"] == 183
        house.far.wait_for("play_done", SECONDS + 5, id=incoming["id"])
        time.sleep(0.3)
        assert not phone.events("answered", mark)
        call = house.newest_call()["call"]
        phone.hangup()
        phone.wait_for("refused", 5, since=mark)
        ended = house.far.wait_for("hangup", 5, id=incoming["id"])
        assert (ended["cause"], ended["by"]) == (16, "box")
        # The path is through some 50 ms after the far end began to speak: ALERTING, two processes, the 183.
        heard = phone.received_octets()
        assert exact.match(far_says[2000:], heard).exact, str(exact.match(far_says[2000:], heard))
        return call
    cdr = house.cdr(probe_moves.undisturbed(measure, house, phone))["cdr"]
    assert (cdr["result"], cdr["released_by"], cdr["answered_ms"]) == ("abandoned", "caller", None)


def test_busy_and_congested(house, phone):
    mark, incoming = dial(house, phone, incoming="refuse", cause=17)
    assert phone.wait_for("refused", 5, since=mark)["status"] == 486
    house.wait_idle()
    far_mark = house.far.mark()
    mark, _ = dial(house, phone, incoming="refuse", cause=42)
    refused = phone.wait_for("refused", 5, since=mark)
    assert refused["status"] == 503 and "42" in refused["text"]
    assert [e["span"] for e in house.far_events("incoming", since=far_mark)] == [2, 1], "the second choice was tried"
    mark = phone.mark()
    phone.dial("110" * 11)
    assert phone.wait_for("refused", 5, since=mark)["status"] in (404, 484)


def test_tandem_from_span_to_span_is_bit_exact(house, phone):
    path, far_says, _ = files(house, "tandem", 81)
    near = house.folder / "tandem-near.wav"
    near_says = probe_moves.material(82, SECONDS, near)

    def measure():
        house.far.policy(record_dir=house.folder, alerting_ms=50, answer_ms=100)
        mark = house.far.mark()
        name = house.place(span=1, called=TANDEM)
        out = house.far.wait_for("incoming", 5, since=mark)
        assert (out["span"], out["called"], out["caller"], out["redirecting"]) == (2, NUMBER, "13912345678", TANDEM)
        house.far.wait_for("connect", 5, id=name)
        call = the_call(house)
        house.far.play(name, near)
        house.far.play(out["id"], path)
        for each in (name, out["id"]):
            house.far.wait_for("play_done", SECONDS + 5, id=each)
        time.sleep(0.1)
        house.far.hangup(name)
        for each in (name, out["id"]):
            house.far.wait_for("released", 5, id=each)
        heard, there = recorded(house, name), recorded(house, out["id"])
        assert exact.match(far_says, heard).exact, f"called to calling side: {exact.match(far_says, heard)}"
        assert exact.match(near_says, there).exact, f"calling to called side: {exact.match(near_says, there)}"
        return call
    cdr = house.cdr(probe_moves.undisturbed(measure, house))["cdr"]
    assert (cdr["span"], cdr["out_span"], cdr["application"], cdr["released_by"]) == (1, 2, "outside", "caller")


def test_control_killed_at_moments_of_an_outgoing_call(house, phone):
    """The call goes on or ends with a cause; the data link stays up, nothing stays seized."""
    moments, outcomes = random.Random(SEED), []
    house.far.policy(alerting_ms=250, answer_ms=350)
    for round_number in range(4):
        house.wait_agent_idle(phone.user, 30)
        offset_s = moments.uniform(0.0, 0.9)
        mark, far_mark = phone.mark(), house.far.mark()
        phone.dial("9" + NUMBER)
        time.sleep(offset_s)
        house.kill("control")
        deadline = time.monotonic() + 12
        while time.monotonic() < deadline and not phone.events("answered", mark) and not phone.events("refused", mark):
            time.sleep(0.02)
        lived = bool(phone.events("answered", mark))
        if lived:
            house.wait_call("talking")
            phone.hangup()
        else:
            assert phone.events("refused", mark), f"round {round_number}: killed after {offset_s:.2f} s, the caller was left without an end"
        phone.wait_for("closed", 5, since=mark)
        house.wait_idle(15)
        for incoming in house.far_events("incoming", since=far_mark):
            house.far.wait_for("released", 8, id=incoming["id"])
        assert_layer_2_stayed_up(house, far_mark)
        outcomes.append((round(offset_s, 2), lived))
    print(outcomes)
    assert sum(lived for _, lived in outcomes) >= 2, f"most calls should outlive control: {outcomes}"
    calls = house.product.get("/calls?limit=100")["calls"]
    assert len({c["call"] for c in calls}) == len(calls), "one CDR for each call"
