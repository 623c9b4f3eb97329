"""Whatever dies, calls live: kill -9 of each process of the product at the worst moments.

The far exchange is the witness: a data link that went down, a RESTART or a
second SABME there fails the test, and so does a sample that did not come.
"""

import random
import time

import pytest

from hil.probes import align, wav

pytestmark = pytest.mark.live
SEED = 20261121


def assert_layer_2_stayed_up(house, mark):
    """No sign of a restart of the D channel at the far end since the mark."""
    seen = house.far_events("link_down", "link_up", "restart", since=mark)
    seen += [e for e in house.far.events("layer2", since=mark) if e["name"] in ("SABME", "DISC", "DM")]
    assert not seen, f"the far exchange saw the data link disturbed: {seen}"


def talk(house, span=1, overlap=None):
    """A call that has reached the agent.  Returns (id at the far exchange, call id)."""
    house.wait_agent_idle()
    name = house.place_and_choose("1", span=span, overlap=overlap)
    call = house.wait_call("talking")
    house.far.play(name, house.files["caller"])
    return name, call["call"]


def end(house, name, call):
    """Hang up from the caller's side; returns what the product says of the call."""
    house.far.hangup(name)
    house.far.wait_for("released", 8, id=name)
    found = house.cdr(call)
    house.wait_idle()
    return found


def heard(house, name):
    """What the caller heard, as samples, and the index of its first in the span's counting."""
    started = house.far.wait_for("record_started", 5, id=name)
    house.far.wait_for("record_closed", 5, id=name)
    return wav.read_mono(house.folder / f"{name}.wav"), started["rx_sample"]


def test_control_killed_while_two_people_talk(house):
    name, call = talk(house)
    time.sleep(2)
    mark = house.far.mark()
    house.kill("control")
    time.sleep(3)
    back = house.wait(lambda s: next((c for c in s["calls"] if c["call"] == call), None), 10, "the call taken over")
    assert back["state"] == "talking" and back["agent"] == "1001"
    time.sleep(2)
    assert_layer_2_stayed_up(house, mark)
    assert not house.far_events("hangup", since=mark)
    found = end(house, name, call)
    cdr = found["cdr"]
    assert cdr["result"] == "answered" and cdr["agent"] == "1001" and cdr["cause"] == 16
    assert 6500 <= cdr["talk_ms"] <= 14000
    samples, _ = heard(house, name)
    match = align.compare(wav.read_mono(house.files["agent"]), samples)
    assert match.gaps == 0, f"the caller missed or got extra samples while control was away: {match}"
    assert match.correlation >= 0.95 and match.seconds > 5
    recordings = found["recordings"]
    assert len(recordings) == 1
    stereo, _ = wav.parse(house.product.recording(call, recordings[0]["id"]))
    assert abs(len(stereo) / 8 - cdr["talk_ms"]) < 400, "the recording is as long as the talk"


def test_hang_up_by_the_agent_after_the_take_over(house):
    name, call = talk(house, span=2, overlap=100)
    house.kill("control")
    house.wait(lambda s: any(c["call"] == call for c in s["calls"]), 10, "the call taken over")
    house.agent_phone.hangup()
    event = house.far.wait_for("hangup", 8, id=name)
    assert event["by"] == "box" and event["cause"] == 16
    assert house.cdr(call)["cdr"]["released_by"] == "agent"
    house.wait_idle()


def test_control_killed_while_the_caller_waits(house):
    house.wait_agent_idle()
    house.available(status="on_break")
    first = house.place_and_choose("1", span=1)
    one = house.wait_call("queued")
    second = house.place_and_choose("1", span=2)
    house.wait(lambda s: s["queues"][0]["waiting"] == 2, 10, "two callers in the queue")
    before = {c["call"]: c for c in house.state()["calls"]}
    mark = house.far.mark()
    house.kill("control")
    time.sleep(2.5)
    after = house.wait(lambda s: {c["call"]: c for c in s["calls"]} if len(s["calls"]) == 2 else None, 10, "both callers")
    for call in before:
        assert after[call]["position"] == before[call]["position"]
        assert after[call]["waiting_since_ms"] == before[call]["waiting_since_ms"]
    assert_layer_2_stayed_up(house, mark)
    house.available(status="available")
    talking = house.wait_call("talking")
    assert talking["call"] == one["call"], "the caller who came first is served first"
    for name in (first, second):
        house.far.hangup(name)
        house.far.wait_for("released", 8, id=name)
    cdr = house.cdr(one["call"])["cdr"]
    assert cdr["wait_ms"] >= 2500, "waiting time goes on through the kill"
    house.wait_idle()
    samples, _ = heard(house, first)
    silence = align.longest_silence_ms(samples[8000:])
    assert silence < 1500, f"music went silent for {silence} ms"


def test_control_killed_at_twenty_seeded_moments(house):
    """Between SETUP and RELEASE: the call lives on or ends with a cause; nothing stays seized."""
    moments = random.Random(SEED)
    outcomes = []
    for round_number in range(20):
        house.wait_agent_idle(timeout_s=30)
        span = 1 + round_number % 2
        offset_s = moments.uniform(0.0, 3.6)
        mark, began = house.far.mark(), time.monotonic()
        name = house.place(span=span, overlap=60 if span == 2 else None, record=False)
        outcome, pressed, killed, hung_up = None, False, False, False
        while time.monotonic() - began < 20:
            now = time.monotonic() - began
            events = {e["event"]: e for e in house.far.events(since=mark, id=name)}
            if not killed and now >= offset_s:
                house.kill("control")
                killed = True
            if "released" in events or "hangup" in events:
                outcome = ("released", events.get("hangup", events.get("released")).get("cause"))
                if "released" in events:
                    break
            if "connect" in events and not pressed and now > 0.8:
                house.far.dtmf(name, "1")
                pressed = True
            if pressed and killed and not hung_up and now > max(3.2, offset_s + 1.8):
                house.far.hangup(name)
                hung_up = True
            time.sleep(0.02)
        assert house.far.events("released", since=mark, id=name), \
            f"round {round_number}: killed {offset_s:.2f} s after SETUP, the call was neither alive nor ended"
        assert_layer_2_stayed_up(house, mark)
        house.wait_idle(15)
        outcomes.append((round(offset_s, 2), outcome))
        if not hung_up:
            assert outcome[1] not in (None, 0), f"round {round_number}: the caller was given no cause: {outcome}"
    house.wait_agent_idle(timeout_s=30)
    calls = house.product.get("/calls?limit=100")["calls"]
    assert len({c["call"] for c in calls}) == len(calls), "one CDR for each call"
    lived = sum(1 for _, (kind, cause) in outcomes if cause == 16)
    assert lived >= 10, f"most calls should outlive control: {outcomes}"


def test_web_killed(house):
    name, call = talk(house)
    mark = house.far.mark()
    house.kill("web")
    time.sleep(1)
    house.wait(lambda s: any(c["call"] == call and c["state"] == "talking" for c in s["calls"]), 15, "the web process again")
    assert not house.far_events("hangup", "link_down", since=mark)
    end(house, name, call)
    samples, _ = heard(house, name)
    match = align.compare(wav.read_mono(house.files["agent"]), samples)
    assert match.gaps == 0 and match.correlation >= 0.95, str(match)


def test_media_killed(house):
    name, call = talk(house)
    time.sleep(4)
    mark = house.far.mark()
    died = house.kill("media")
    ended = house.far.wait_for("hangup", 8, since=mark, id=name)
    assert ended["cause"] in (41, 27, 38), f"cleared with cause {ended['cause']}"
    house.far.wait_for("released", 8, id=name)
    while True:
        try:
            again = house.place(span=1)
            house.far.wait_for("connect", 1.5, id=again)
            break
        except (TimeoutError, RuntimeError):
            assert time.monotonic() - died < 8, "no call was answered within 8 s of the death of media"
    assert time.monotonic() - died < 5, "service is back in under 5 s"
    house.far.hangup(again)
    house.far.wait_for("released", 8, id=again)
    found = house.cdr(call)
    assert found["cdr"]["cause"] == 41 and found["cdr"]["agent"] == "1001"
    stereo, _ = wav.parse(house.product.recording(call, found["recordings"][0]["id"]))
    missing_ms = found["cdr"]["talk_ms"] - len(stereo) / 8
    assert missing_ms < 1500, f"{missing_ms} ms of the recording are missing (the talk ends when control learns of the death)"
    house.wait_idle()
    house.wait_agent_idle()


def test_everything_killed_at_once(house):
    """As a power cut, but for the disk: recordings playable, every CDR there, service back."""
    name, call = talk(house)
    time.sleep(4)
    pids = house.pids()
    import os
    import signal
    for process in ("supervisor", "media", "control", "web"):
        os.kill(pids[process], signal.SIGKILL)
    house.supervisor.wait(5)
    time.sleep(0.5)
    house.start_product(password=house.product.password)
    found = house.cdr(call, 15)
    assert found["cdr"]["agent"] == "1001" and found["cdr"]["result"]
    stereo, _ = wav.parse(house.product.recording(call, found["recordings"][0]["id"]))
    assert len(stereo) / 8000 >= 4 - 1.2, "at most the last second is missing"
    for span in house.spans:
        house.wait(lambda s: all(x["state"] == "up" for x in s["spans"]), 20, "the spans")
    house.wait_idle(20)
    house.wait_agent_idle(timeout_s=40)
    name, call = talk(house)
    end(house, name, call)


def test_both_ends_begin_anew(house):
    """A call was up when box and exchange went away: its timeslot serves again as soon as the D channel is up."""
    name, call = talk(house)
    house.supervisor.terminate()
    house.supervisor.wait(20)
    house.far.stop()
    house.start_product(password=house.product.password)
    house.start_exchange()
    house.far.wait_for("link_up", 20, span=1)
    house.wait(lambda s: all(x["state"] == "up" for x in s["spans"]), 20, "the spans")
    assert house.cdr(call, 15)["cdr"]["cause"] == 41
    time.sleep(1.5)
    name = house.place(timeslot=1)
    house.far.wait_for("connect", 5, id=name)
    house.far.hangup(name)
    house.far.wait_for("released", 8, id=name)
    house.wait_idle(20)
    house.wait_agent_idle(timeout_s=40)
