"""How a call went, through the whole house: baresip's own RTCP in the CDR, and sound that is missing as an alarm.

The telephone is stopped (SIGSTOP) in the middle of a call: it is still registered and its dialog stands, but no packet
comes from it any more."""

import os
import signal
import time

import pytest

from hil.probes import wav
from tests.live import probe_moves

pytestmark = pytest.mark.live
WITHIN_S = 5.5              # 5 s of the requirement, and the time of one look at the state


def alarms(house):
    return [alarm for alarm in house.product.get("/alarms")["alarms"] if alarm["kind"] == "one_way_audio"]


def until(condition, timeout_s, what):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {timeout_s} s in vain for {what}")


def test_a_call_is_judged_and_one_way_audio_names_its_leg(house):
    house.wait_agent_idle()
    name = house.place_and_choose("1")
    call = house.wait_call("talking")
    leg = next(leg for leg in call["legs"] if leg["line"] == "1001")
    assert leg["audio_missing"] == [] and not alarms(house)
    time.sleep(12)      # reports come each 5 s or so; the phone's first that answers one of ours must be in before it stops
    os.kill(house.agent_phone.pid, signal.SIGSTOP)
    stopped = time.monotonic()
    try:
        found = until(lambda: alarms(house), 8, "an alarm")
        took_s = time.monotonic() - stopped
        assert took_s < WITHIN_S, took_s
        assert found[0]["members"] == ["line 1001"] and leg["leg"] in found[0]["detail"]["line 1001"], found
        assert "no sound from it" in found[0]["detail"]["line 1001"] and call["call"] in found[0]["detail"]["line 1001"]
        missing = next(one for one in house.state()["calls"][0]["legs"] if one["leg"] == leg["leg"])["audio_missing"]
        assert missing == ["in"]
    finally:
        os.kill(house.agent_phone.pid, signal.SIGCONT)
    until(lambda: not alarms(house), 4, "the end of the alarm")
    house.far.hangup(name)
    house.wait_idle()
    cdr = until(lambda: (lambda c: c["cdr"] if c["cdr"] and c["cdr"]["quality"] else None)(house.product.get(f"/calls/{call['call']}")),
                5, "the quality of the leg in the CDR")
    quality = cdr["quality"][leg["leg"]]
    assert cdr["audio_missing"][0]["leg"] == leg["leg"] and cdr["audio_missing"][0]["direction"] == "in"
    assert quality["codec"] == "PCMA" and quality["in"]["packets"] > 300 and quality["in"]["r"] > 80, quality
    assert quality["rtcp"]["received"] >= 1 and quality["rtcp"]["bad"] == 0, quality
    assert quality["out"]["lost"] <= 2 and quality["out"]["packets"] > 300, quality
    assert quality["round_trip_ms"] is not None and quality["round_trip_ms"]["least"] < 150, quality
    kinds = [record["kind"] for record in house.product.get(f"/calls/{call['call']}")["records"]]
    assert {"leg.audio_missing", "leg.audio_back", "leg.quality"} <= set(kinds)


@pytest.fixture(scope="module")
def secured(house):
    """Agent 1003 with encryption required at line 1003; the far end's phone is baresip with keys in RTP/SAVP."""
    running = house.product.get("/configuration")
    for line in running["configuration"]["lines"]:
        if line["name"] == "1003":
            line["encryption"] = "required"
    house.product.post("/configuration/apply", running)
    return house.phone("1003", play_file=house.files["agent"], encryption="srtp-mand", record_file=house.folder / "secured-heard.wav")


def test_a_call_to_a_telephone_that_must_encrypt(house, secured):
    """SDES through our offer, baresip's own SRTP: both hear each other; who does not encrypt gets no call."""
    house.available("1001", "logged_out")
    house.available("1003")
    house.wait_agent_idle("1003")
    name = house.place_and_choose("1")
    try:
        call = house.wait_call("talking")
        leg = next(leg["leg"] for leg in call["legs"] if leg["line"] == "1003")
        house.far.play(name, house.files["caller"])
        time.sleep(4)
    finally:
        house.far.hangup(name)
        house.wait_idle()
        house.available("1003", "logged_out")
        house.available("1001")
    cdr = until(lambda: (lambda c: c["cdr"] if c["cdr"] and c["cdr"]["quality"] else None)(house.product.get(f"/calls/{call['call']}")),
                5, "the quality of the leg in the CDR")
    quality = cdr["quality"][leg]
    assert quality["srtp"] == "AES_CM_128_HMAC_SHA1_80" and quality["in"]["packets"] > 150 and quality["in"]["lost"] == 0, quality
    assert quality["in"]["srtp_refused"] <= 5, quality      # before its answer has been read: its keys are in it
    heard = wav.read_mono(until(lambda: secured.recordings and secured.recordings[0][0], 5, "what the phone heard"))
    assert abs(heard[-16000:].astype(int)).max() > 1000, "the telephone heard the caller"
    told = wav.read_mono(house.folder / f"{name}.wav")
    assert abs(told[-16000:].astype(int)).max() > 1000, "the caller heard the telephone"


def test_a_conversation_in_which_nobody_speaks_is_an_alarm(house):
    """Dead air: caller and agent are silent on purpose; the alarm names the call, stands over a kill of control and ends with the caller's first words."""
    def dead():
        return [alarm for alarm in house.product.get("/alarms")["alarms"] if alarm["kind"] == "dead_air"]
    running = house.product.get("/configuration")
    running["configuration"]["dead_air"] = {"after_s": 4}
    house.product.post("/configuration/apply", running)
    with probe_moves.probe_agent(house) as phone:
        name, call = probe_moves.talk(house, phone)
        (found,) = until(dead, 15, "the alarm")
        assert found["members"] == [f"call {call}"] and "nobody has spoken for 4 s" in found["detail"][f"call {call}"], found
        house.kill("control")
        house.wait(lambda s: s["calls"] and s["calls"][0]["dead_air"], 30, "the silent call after the kill")
        assert dead()
        house.far.play(name, house.files["caller"])
        until(lambda: not dead(), 15, "the end of the alarm")
        kinds = [record["kind"] for record in house.product.get(f"/calls/{call}")["records"]]
        assert kinds.count("call.dead_air") == kinds.count("call.dead_air_over") == 1
        house.far.hangup(name)
        house.wait_idle()
    running = house.product.get("/configuration")
    running["configuration"]["dead_air"] = {"after_s": 0}
    house.product.post("/configuration/apply", running)
