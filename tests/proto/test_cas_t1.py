"""T1 robbed-bit circuits: E&M with each start signal, feature groups, loop and ground start; digits by DTMF, MF, pulse.

There is no independent far end for these here: ours against ours and against scripts that play the standards' codes
and times (ANSI T1.403.02, GR-506, Q.23, Q.320-Q.322)."""

import json
import random

import pytest

from firmware.errors import LocalError
from firmware.proto.cas import address, t1_circuit, t1_table
from firmware.proto.cas.t1_circuit import SIGNALLING, T1Circuit
from tests.proto.r2_rig import Circuit, Ours, Script

ON, OFF = 0b0000, 0b1111
OPEN_LOOP, CLOSED_LOOP, RING = 0b0101, 0b1111, 0b0000
FAR_SIDE = {"fxo_loop": "fxs_loop", "fxs_loop": "fxo_loop", "fxo_ground": "fxs_ground", "fxs_ground": "fxo_ground"}


class T1(Ours):
    """A robbed-bit circuit of ours."""

    def __init__(self, signalling, offer="answer", **config):
        config["signalling"] = signalling
        super().__init__("itu", offer, lambda: T1Circuit(self.config), timeslot=1, **config)

    def kill(self, now_ms, bits=None):
        saved = json.loads(json.dumps(self.circuit.dump()))
        self.circuit = T1Circuit.restore(saved, self.config)
        assert self.circuit.dump() == saved
        self._took(self.circuit.resume(now_ms, bits), now_ms)


def pair(signalling, plan=None, far=None, **near):
    far = far or {}
    far.setdefault("called_length", 4)
    circuit = Circuit(T1(signalling, address=plan, **near),
                      T1(FAR_SIDE.get(signalling, signalling), address=plan, pilot="8000", **far))
    circuit.run(1000)
    assert circuit.ends[0].circuit.seizable and circuit.ends[1].circuit.seizable
    return circuit, circuit.ends[0], circuit.ends[1]


def scripted(signalling, idle=ON, **config):
    circuit = Circuit(T1(signalling, **config), Script())
    circuit.ends[1].send("bits", idle)
    circuit.run(1000)
    assert circuit.ends[0].circuit.seizable
    return circuit, circuit.ends[0], circuit.ends[1]


def say(circuit, bits, ms):
    circuit.ends[1].send("bits", bits)
    circuit.run(ms)


WAYS = [("em_immediate", None), ("em_wink", None), ("em_delay", None), ("em_wink", "pulse"), ("em_immediate", "pulse"),
        ("em_wink", "mf"), ("fgb", None), ("fgd", None), ("fxo_loop", None), ("fxo_loop", "pulse"), ("fxo_ground", None),
        ("fxo_ground", "pulse"), ("fxs_loop", None), ("fxs_ground", None), ("em_wink", "none")]


@pytest.mark.parametrize("signalling, plan", WAYS)
@pytest.mark.parametrize("first", ("near", "far"))
def test_call(signalling, plan, first):
    """A call, answered; each end releases first; then another."""
    circuit, near, far = pair(signalling, plan)
    for _ in range(2):
        near.place(circuit.now_ms, "1205", "4085550100")
        circuit.run(12000)
        assert near.names()[-1] == "setup_confirm" and near.circuit.state == far.circuit.state == "ANSWERED"
        setup = far.last("setup_indication")
        if signalling.startswith("fxs") or plan == "none":
            assert setup["called"] == "8000" and setup["called_complete"]
        elif signalling.startswith("fxo"):
            digits = [e["digits"] for e in far.events if e["event"] == "information_indication"]
            assert setup["called"] == "" and digits[-5:] == ["1", "2", "0", "5", ""]
        else:
            assert setup["called"] == "1205"
        assert setup["caller"] == ("4085550100" if signalling == "fgd" else None)
        (near if first == "near" else far).ask("release_request", circuit.now_ms)
        circuit.run(6000)
        for end in (near, far):
            assert end.names()[-1] == "released" and end.circuit.seizable and end.circuit.deadline_ms() is None
        assert (far if first == "near" else near).last("disconnect_indication")["by"] == "far"


def test_station_digits():
    """A telephone on our FXS line dials 1205: SETUP without digits, then digits, then complete."""
    for plan in ("dtmf", "pulse"):
        circuit, near, far = pair("fxo_loop", plan, far={"offer": "wait"})
        near.place(circuit.now_ms, "1205")
        circuit.run(9000)
        digits = [e["digits"] for e in far.events if e["event"] == "information_indication"]
        assert far.last("setup_indication")["called"] == "" and digits == ["1", "2", "0", "5", ""]


def test_e1_channel_bank():
    """E&M on E1: 0001 and 1101, never 0000, which would be multiframe alignment."""
    circuit, near, far = pair("em_wink", carrier="e1", far={"carrier": "e1"})
    near.place(circuit.now_ms, "1205")
    circuit.run(5000)
    assert near.names()[-1] == "setup_confirm"
    near.ask("release_request", circuit.now_ms)
    circuit.run(5000)
    assert {row[3] for row in circuit.log if row[2] == "bits"} == {0b0001, 0b1101} and far.circuit.seizable


def test_wink_times():
    """Our wink is 200 ms, not before 100 ms after the seizure; digits not before 70 ms after the far wink."""
    circuit, near, script = scripted("em_wink", called_length=4)
    seized = circuit.now_ms
    say(circuit, OFF, 1000)
    (start, _, on), (end, _, off) = script.got[-2:]
    assert (on, off) == (OFF, ON) and 140 <= end - start <= 290 and start - seized >= 100
    circuit, near, script = scripted("em_wink")
    near.place(circuit.now_ms, "12")
    circuit.run(500)
    say(circuit, OFF, 200)
    ended = circuit.now_ms
    say(circuit, ON, 1000)
    tones = [row for row in script.got if row[1] == "tone"]
    assert tones[0][0] - ended >= 70 and [row[2] for row in tones] == ["1", None, "2", None]


@pytest.mark.parametrize("length, wink", ((60, False), (110, True), (340, True)))
def test_wink_accepted(length, wink):
    """A hit is no wink; 100 to 350 ms is."""
    circuit, near, script = scripted("em_wink")
    near.place(circuit.now_ms, "1")
    circuit.run(300)
    say(circuit, OFF, length)
    say(circuit, ON, 1000)
    assert (near.circuit.state == "DELIVERED") == wink
    if not wink:
        say(circuit, OFF, 200)          # the real one
        say(circuit, ON, 1000)
        assert near.circuit.state == "DELIVERED" and near.circuit.line.counters["hits"] == 1


def test_no_wink():
    """No start signal: the call fails with 44 and the trunk is released."""
    circuit, near, script = scripted("em_wink")
    near.place(circuit.now_ms, "1")
    circuit.run(5500)
    assert near.names() == ["released"] and near.last("released")["cause"] == 44
    circuit.run(2000)
    assert script.got[-1][1:] == ("bits", ON) and near.circuit.seizable


@pytest.mark.parametrize("start", ("em_wink", "em_delay"))
def test_glare(start):
    """Both seize: one end yields and serves the other's call; that call goes through."""
    circuit, near, far = pair(start, glare="hold", far={"glare": "yield"})
    near.place(circuit.now_ms, "1205")
    far.place(circuit.now_ms, "1301")
    circuit.run(12000)
    if start == "em_wink":
        assert far.names()[0] == "released" and far.events[-1] and near.names()[-1] == "setup_confirm"
        assert far.last("setup_indication")["called"] == "1205"
        assert [e for e in far.events if e["event"] == "released"][0]["cause"] == 44
    for end in (near, far):
        if end.circuit.call:
            end.ask("release_request", circuit.now_ms)
    circuit.run(8000)
    assert near.circuit.seizable and far.circuit.seizable


def test_feature_group_d():
    """KP II ANI ST, KP called ST, acknowledgement wink, answer; without the wink the call goes on."""
    circuit, near, script = scripted("fgd")
    near.place(circuit.now_ms, "5551212", "2125550100", category="07")
    circuit.run(300)
    say(circuit, OFF, 200)
    say(circuit, ON, 6000)
    sent = "".join(row[2] for row in script.got if row[1] == "tone" and row[2])
    assert sent == "K072125550100SK5551212S" and near.circuit.state == "DIALLING"
    say(circuit, OFF, 200)
    say(circuit, ON, 500)
    assert near.names() == ["proceeding_indication"]
    say(circuit, OFF, 600)
    assert near.names()[-1] == "setup_confirm"
    circuit, near, script = scripted("fgd")
    near.place(circuit.now_ms, "5551212")
    circuit.run(300)
    say(circuit, OFF, 200)
    say(circuit, ON, 12000)
    assert near.names() == ["proceeding_indication"] and near.circuit.counters["acknowledgement_winks_missing"] == 1


def test_mf_times():
    """Q.322: KP 100 ms, the others 68 ms, 68 ms between."""
    sender = address.DigitSender("mf", {name: row[0] for name, row in address.TIMERS.items()})
    sender.start("K1S", 0)
    edges = [(0, sender.take_output())]
    while sender.busy:
        now = sender.deadline_ms()
        events = sender.expire(now)
        edges.append((now, sender.take_output()))
    assert events == [("sent",)]
    assert [(ms, out[0]) for ms, out in edges if out] == [
        (0, "K"), (100, None), (168, "1"), (236, None), (304, "S"), (372, None)]


def test_dial_pulses():
    """Ten pulses a second; 0 is ten; bounces and a disconnect are none."""
    circuit, near, script = scripted("em_immediate", address="pulse")
    near.place(circuit.now_ms, "20")
    circuit.run(4000)
    bits = [row for row in script.got if row[1] == "bits"][2:]
    breaks = [b[0] - a[0] for a, b in zip(bits, bits[1:]) if a[2] == ON]
    assert len(breaks) == 12 and set(breaks) == {60}
    circuit, near, script = scripted("em_immediate", address="pulse", called_length=2)
    say(circuit, OFF, 500)
    for pulses in (3, 10):
        for _ in range(pulses):
            say(circuit, ON, 60)
            say(circuit, OFF, 40)
        say(circuit, OFF, 600)
    assert near.last("setup_indication")["called"] == "30"
    say(circuit, ON, 1000)
    assert near.names()[-1] == "released"


@pytest.mark.parametrize("ms, ends", ((140, False), (400, True)))
def test_disconnect_time(ms, ends):
    """On-hook of 140 ms is a hit, of 400 ms a disconnect: both directions."""
    circuit, near, script = scripted("em_immediate", called_length=1)
    say(circuit, OFF, 500)
    script.send("tone", "dtmf", "5")
    script.send("tone", "dtmf", None)
    circuit.run(500)
    assert near.circuit.state == "ANSWERED"
    say(circuit, ON, ms)
    say(circuit, OFF, 50)
    assert ("released" in near.names()) == ends
    circuit, near, script = scripted("em_immediate")
    near.place(circuit.now_ms, "1")
    circuit.run(1000)
    say(circuit, OFF, 500)
    assert near.names()[-1] == "setup_confirm"
    say(circuit, ON, ms)
    say(circuit, OFF, 50)
    assert (near.names()[-1] == "released") == ends


def test_guard():
    """No seizure of ours within 750 ms of the release; the far end's is taken."""
    circuit, near, script = scripted("em_immediate")
    near.place(circuit.now_ms, "1")
    circuit.run(100)
    near.ask("release_request", circuit.now_ms)
    circuit.run(700)
    with pytest.raises(LocalError):
        near.circuit.new_call()
    say(circuit, OFF, 100)
    assert near.circuit.state == "REGISTER"


def test_ring_abandoned_and_ignored():
    """FXO: the caller gives up between rings; a call that is refused rings on until it stops."""
    circuit, near, script = scripted("fxo_loop", OPEN_LOOP, offer="wait", pilot="8000")
    say(circuit, RING, 2000)
    say(circuit, OPEN_LOOP, 4000)
    say(circuit, RING, 2000)
    assert near.names() == ["setup_indication"]
    say(circuit, OPEN_LOOP, 8000)
    assert near.names()[-1] == "released" and near.circuit.seizable
    say(circuit, RING, 500)
    near.ask("release_request", circuit.now_ms)
    for _ in range(3):
        say(circuit, RING, 2000)
        say(circuit, OPEN_LOOP, 4000)
    assert near.names().count("setup_indication") == 2 and not near.circuit.seizable
    circuit.run(8000)
    assert near.circuit.seizable


def test_ground_start_codes():
    """ANSI T1.403.02: ring ground 0 0, tip ground 0 1, loop closed 1 1; no tip ground 1 1 is idle."""
    circuit, near, script = scripted("fxo_ground", CLOSED_LOOP)
    near.place(circuit.now_ms, "12")
    circuit.run(100)
    assert script.got[-1][2] == RING
    say(circuit, OPEN_LOOP, 100)
    assert script.got[-1][2] == CLOSED_LOOP
    circuit.run(3000)
    assert near.names()[-1] == "setup_confirm"
    say(circuit, CLOSED_LOOP, 500)      # tip ground gone: the office has cleared
    assert near.names()[-1] == "released" and script.got[-1][2] == OPEN_LOOP
    circuit, near, script = scripted("fxo_ground", CLOSED_LOOP)
    near.place(circuit.now_ms, "12")
    circuit.run(6000)                   # no tip ground
    assert near.names() == ["released"] and near.last("released")["cause"] == 44


def test_digits_missing():
    """No digits: a trunk is given up with 102; a telephone's call hears digits_timeout."""
    circuit, near, script = scripted("em_wink", called_length=4)
    say(circuit, OFF, 20000)
    assert near.names() == [] and near.circuit.counters["digits_missing"] == 1 and near.circuit.call is None
    say(circuit, ON, 2000)
    assert near.circuit.seizable
    circuit, near, script = scripted("fxs_loop", OPEN_LOOP)
    say(circuit, CLOSED_LOOP, 20000)
    assert near.names() == ["setup_indication", "digits_timeout"]


def test_mf_receiver():
    """KP again begins anew; digits outside KP and ST are noise; no ST is a fault."""
    durations = {name: row[0] for name, row in address.TIMERS.items()}

    def hear(text, **given):
        receiver = address.DigitReceiver("mf", durations, **given)
        receiver.start(0)
        for symbol in text:
            receiver.tone(symbol, 0)
            receiver.tone(None, 0)
        return receiver, [event for event in receiver.take_events() if event[0] != "digit"]
    receiver, events = hear("99K12K345S77")
    assert receiver.strings == ["345"] and events == [("complete",)]
    receiver, events = hear("K0012SK34S", fields=2)
    assert receiver.strings == ["0012", "34"] and events == [("complete",)]
    receiver, events = hear("K34")
    assert events == [] and receiver.expire(6000) == [("timeout",)]


def test_alarm():
    """An alarm ends a call in set-up at once, an answered one after its time; then the trunk works."""
    for at_ms in (500, 8000):
        circuit, near, far = pair("em_wink")
        near.place(circuit.now_ms, "1205")
        circuit.run(at_ms)
        circuit.mute = True
        for end in (near, far):
            end.receive(("alarm", True), circuit.now_ms)
        circuit.run(6000)
        assert near.names()[-1] == "released" and not near.circuit.seizable
        assert near.last("circuit_state")["reason"] == "alarm"
        circuit.mute = False
        for i, end in enumerate(circuit.ends):
            end.receive(("alarm", False), circuit.now_ms)
            end.receive(("bits", circuit.bits[i]), circuit.now_ms)
        circuit.run(5000)
        assert near.circuit.seizable and far.circuit.seizable


@pytest.mark.parametrize("signalling, plan", WAYS)
def test_kill_at_every_event(signalling, plan):
    """kill -9 of either end every 50 ms: the call is answered all the same."""
    circuit, near, far = pair(signalling, plan)
    near.place(circuit.now_ms, "1205")
    for _ in range(200):
        circuit.run(50)
        for i, end in enumerate((near, far)):
            end.kill(circuit.now_ms, circuit.bits[i])
            end.take_output()
    assert near.circuit.state == far.circuit.state == "ANSWERED"


@pytest.mark.parametrize("config", ({"signalling": "semaphore"}, {"address": "smoke"}, {"glare": "fight"}, {"carrier": "x"},
                                    {"carrier": "e1", "signalling": "fxo_loop"}))
def test_bad_configuration(config):
    with pytest.raises(LocalError):
        T1Circuit(config)


def test_timers_name_their_source():
    for rows in (t1_table.TIMERS, address.TIMERS, t1_circuit.TIMERS):
        for row in rows.values():
            assert len(row) == 3 and isinstance(row[0], int) and row[1] and row[2]


@pytest.mark.conformance("bad input", "robbed bits and digits", "a far end that says anything at any time, 100,000 signals: no exception, alive afterwards, memory flat")
@pytest.mark.parametrize("signalling", sorted(SIGNALLING))
def test_random_far_end(signalling):
    """10,000 random inputs for each signalling: no exception but LocalError, each call ends once, the trunk works after."""
    rng = random.Random(signalling)
    config = {"timeslot": 1, "called_length": 4, "signalling": signalling, "pilot": "8000",
              "address": rng.choice((None, "pulse")) if not signalling.startswith("fg") else None}
    circuit = T1Circuit(config)
    now, open_calls, ended = 0, set(), set()
    circuit.start(now)

    def took(events):
        for event in events:
            call = event["call"]
            assert call is None or call not in ended
            if event["event"] == "setup_indication":
                open_calls.add(call)
            if event["event"] == "released":
                open_calls.discard(call)
                ended.add(call)

    primitives = ("alerting_request", "setup_response", "release_request", "proceeding_request", "setup_ack_request",
                  "meter_request", "information_request", "block_request", "unblock_request")
    for step in range(11200):        # 9 kinds: 100,000
        now += rng.choice((0, 1, 20, 25, 40, 60, 200, 200, 400) if rng.random() < 0.97 else (1500, 20000))
        if circuit.deadline_ms() is not None and circuit.deadline_ms() <= now:
            took(circuit.expire(now))
        kind = rng.randrange(12)
        if kind < 3:
            took(circuit.receive(("bits", rng.choice((0, 15, 5, rng.randrange(16)))), now))
        elif kind < 9:
            took(circuit.receive(("tone", rng.choice((None, "1", "K", "S", "5", "#", 7, "", "xx", True))), now))
        elif kind == 9 and rng.random() < 0.2:
            took(circuit.receive(("alarm", rng.random() < 0.4), now))
        elif kind == 10:
            try:
                call = circuit.new_call()
                open_calls.add(call)
                took(circuit.request("setup_request", call, now, called="1205", caller="77"))
            except LocalError:
                pass
        elif circuit.call is not None:
            try:
                took(circuit.request(rng.choice(primitives), circuit.call, now, digits="1"))
            except LocalError:
                pass
        elif kind == 11:
            took(circuit.request("unblock_request", None, now))
        if step % 500 == 0:
            saved = json.loads(json.dumps(circuit.dump()))
            circuit = T1Circuit.restore(saved, config)
            assert circuit.dump() == saved and len(json.dumps(saved)) < 4000
        assert len(circuit.take_output()) < 60 and len(open_calls) <= 1
    idle = 0 if config["signalling"].startswith(("em", "fg")) else 15 if signalling == "fxo_ground" else 5
    took(circuit.receive(("alarm", False), now))
    circuit.request("unblock_request", None, now)
    for _ in range(60):
        took(circuit.receive(("bits", idle), now))
        now += 2000
        took(circuit.expire(now))
        if circuit.call is not None:
            took(circuit.request("release_request", circuit.call, now))
    assert circuit.seizable and not open_calls and len(ended) > 20


BUSY = {"em": OFF, "fg": OFF, "fxo_loop": CLOSED_LOOP, "fxo_ground": RING, "fxs_loop": 0b1111, "fxs_ground": 0b1111}
IDLE = {"fxo_loop": 0b0101, "fxo_ground": 0b1111, "fxs_loop": OPEN_LOOP, "fxs_ground": OPEN_LOOP}       # of the far end


@pytest.mark.parametrize("signalling", sorted(SIGNALLING))
@pytest.mark.parametrize("killed", (False, True))
def test_a_circuit_taken_out_of_service_by_hand(signalling, killed):
    """What the far end sees, that no call goes out, and that it comes back; over a death of the process too."""
    circuit, near, far = scripted(signalling, IDLE.get(signalling, ON))
    near._took(near.circuit.request("block_request", None, circuit.now_ms), circuit.now_ms)
    circuit.run(200)
    busy = BUSY.get(signalling, BUSY.get(signalling[:2]))
    assert near.circuit.line.code(near.circuit.line.sent) == busy and not near.circuit.seizable and near.circuit.trouble() == "blocking"
    if killed:
        near.kill(circuit.now_ms)
        circuit.run(100)
        assert near.circuit.line.code(near.circuit.line.sent) == busy and not near.circuit.seizable
    fresh = T1Circuit(near.config)
    fresh.line.blocking = True              # the settings changed meanwhile
    fresh.start(circuit.now_ms)
    assert fresh.line.code(fresh.line.sent) == busy and fresh.trouble() == "blocking"
    near._took(near.circuit.request("unblock_request", None, circuit.now_ms), circuit.now_ms)
    circuit.run(2000)
    assert near.circuit.seizable and near.circuit.trouble() == "" and near.circuit.line.sent == near.circuit.line.ON


def test_a_far_end_that_busies_out_is_seen_as_blocked():
    """It stays off-hook and sends no digit: a call that never was, then a circuit out of service, until it goes on-hook."""
    circuit, near, far = scripted("em_wink", timers={"T_FIRST_DIGIT": 2000, "T_RELEASE": 3000})
    say(circuit, OFF, 10000)
    assert near.circuit.trouble() == "blocked" and near.circuit.call is None and not near.circuit.seizable
    say(circuit, ON, 2000)
    assert near.circuit.seizable and near.circuit.trouble() == ""
