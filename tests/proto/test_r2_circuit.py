"""Whole R2 calls of ours against ours: events, interruption, collisions, takeover after kill -9, random far ends."""

import json
import random

import pytest

from boardconfig.r2_variants import load_r2
from firmware.errors import LocalError
from firmware.proto.r2 import trace
from firmware.proto.r2.circuit import R2Circuit
from firmware.proto.r2.variant import Variant
from tests.proto.r2_rig import Circuit, Ours, Script

ITU = Variant(load_r2("itu"))
IDLE, SEIZE, ACK, ANSWER = 9, 1, 13, 5


def r2(number, purpose):
    return pytest.mark.conformance("R2", number, purpose)


def pair(variant="itu", near=None, **far):
    far.setdefault("called_length", 4)
    circuit = Circuit(Ours(variant, **(near or {})), Ours(variant, **far))
    circuit.run(300)
    assert circuit.ends[0].circuit.seizable and circuit.ends[1].circuit.seizable
    return circuit, circuit.ends[0], circuit.ends[1]


def released(circuit, *ends):
    circuit.run(2000)
    for end in ends:
        assert end.names().count("released") == len({e["call"] for e in end.events if e["call"]})
        assert end.names()[-1] == "released" and end.circuit.seizable and end.circuit.register is None
        assert end.circuit.deadline_ms() is None and end.circuit.listening is None and end.circuit.sounding is None


@pytest.mark.parametrize("immediate", (False, True))
def test_call(immediate):
    circuit, near, far = pair(immediate=immediate)
    near.place(circuit.now_ms, "1205", "5551000", category="priority")
    circuit.run(6000)
    assert near.names() == ["alerting_indication", "setup_confirm"]
    setup = far.last("setup_indication")
    assert (setup["called"], setup["caller"], setup["category"]) == ("1205", "5551000", "priority")
    assert circuit.tones(1)[-1] == (6 if immediate else 6) and (3 in circuit.tones(1)) != immediate
    near.ask("release_request", circuit.now_ms, cause=16)
    released(circuit, near, far)
    assert far.last("disconnect_indication")["by"] == "far" and near.last("released")["by"] == "near"


@r2("Q.464 undecided", "a slow way further on: after T_DECIDE the far register hears that the line is free, and is answered late (ours)")
@pytest.mark.parametrize("charge", (True, False))
def test_slow_tandem(charge):
    """10 s pass before anybody knows; the sender's T1 (15 s) never falls due, the answer comes after 40 s."""
    circuit, near, far = pair(charge=charge, offer="wait")
    near.place(circuit.now_ms, "1205")
    circuit.run(9000)
    assert near.names() == [] and far.names()[-1] in ("setup_indication", "information_indication")
    circuit.run(6000)
    assert near.names() == ["alerting_indication"] and near.last("alerting_indication")["charge"] == charge
    assert far.circuit.counters["accepted_undecided"] == 1 and far.circuit.state == "ALERTING"
    circuit.run(25000)
    far.ask("alerting_request", circuit.now_ms)
    far.ask("setup_response", circuit.now_ms)
    circuit.run(2000)
    assert near.names() == ["alerting_indication", "setup_confirm"]
    near.ask("release_request", circuit.now_ms, cause=16)
    released(circuit, near, far)


def test_slow_tandem_that_fails():
    """The way further on is busy after 20 s.  ITU's line has no signal for that before an answer: the caller hears it and clears."""
    circuit, near, far = pair(offer="wait")
    near.place(circuit.now_ms, "1205")
    circuit.run(20000)
    far.ask("release_request", circuit.now_ms, cause=17)
    circuit.run(1000)
    near.ask("release_request", circuit.now_ms, cause=16)
    released(circuit, near, far)


def test_trace():
    """An incoming call as text: what an installer reads."""
    circuit = R2Circuit(ITU, {"timeslot": 1, "called_length": 2})
    circuit.start(0)
    lines, now = [], 0

    def step(item=None, ms=100):
        nonlocal now
        if item is not None:
            lines.append(trace.annotate(circuit, False, item))
        for events in (circuit.receive(item, now) if item else [], circuit.expire(now + 25)):
            for event in events:
                if event["event"] == "setup_indication":
                    circuit.request("setup_response", event["call"], now)
        lines.extend(trace.annotate(circuit, True, out) for out in circuit.take_output())
        now += ms

    step(("bits", IDLE))
    step(("bits", SEIZE))
    for signal in (1, 2, 1, 7, 15, 2):
        step(("tone", signal))
        step(("tone", None))
    step(ms=200)
    step(ms=200)
    assert lines == [
        "received CAS 1001", "sent CAS 1001", "received CAS 0001",
        "backward CAS 1101 seizure acknowledged, clear-back or blocked", "detector r2_forward", "forward MFC I-1 on: digit 1", "backward MFC A-1 on: next_digit", "forward MFC off",
        "backward MFC off", "forward MFC I-2 on: digit 2", "backward MFC A-5 on: category, caller_digit", "forward MFC off",
        "backward MFC off", "forward MFC II-1 on: subscriber", "backward MFC A-5 on: category, caller_digit",
        "forward MFC off", "backward MFC off", "forward MFC I-7 on: digit 7 of the caller",
        "backward MFC A-5 on: category, caller_digit", "forward MFC off", "backward MFC off",
        "forward MFC I-15 on: end of the caller's number", "backward MFC A-3 on: change_to_b", "forward MFC off",
        "backward MFC off", "forward MFC II-2 on: priority", "backward MFC B-6 on: free_charge", "forward MFC off",
        "backward MFC off", "detector off", "backward CAS 0101 answered"]
    for item in (("alarm", True), ("listen", None), ("tone", "dtmf", "5"), ("bits", 15)):
        assert trace.annotate(circuit, True, item)


def test_no_charge_and_late_answer():
    circuit, near, far = pair(offer="nocharge")
    far.offer = "alert"
    near.place(circuit.now_ms, "1205")
    circuit.run(5000)
    assert near.last("alerting_indication")["charge"] and near.circuit.state == "DELIVERED"
    far.ask("setup_response", circuit.now_ms)
    circuit.run(500)
    assert near.names()[-1] == "setup_confirm" and far.names()[-1] == "setup_complete_indication"
    far.ask("release_request", circuit.now_ms)
    released(circuit, near, far)
    circuit.run(500)
    far.offer = "nocharge"
    near.place(circuit.now_ms, "1205")
    circuit.run(6000)
    assert not near.last("alerting_indication")["charge"]


def test_layer_decides_the_length():
    """The length is not known: each digit is told, the layer above asks for more, or says that it is complete."""
    circuit, near, far = pair(called_length=None, offer="wait", caller="none")
    near.place(circuit.now_ms, "1205", complete=False)
    circuit.run(1000)
    for _ in range(2):                  # the first was asked for by the rig
        far.ask("setup_ack_request", circuit.now_ms)
        circuit.run(300)
    digits = [e.get("digits") for e in far.events if e["event"] == "information_indication"]
    assert far.last("setup_indication")["called"] == "1" and digits == ["2", "0", "5"]
    far.offer = "answer"
    far.ask("proceeding_request", circuit.now_ms)
    circuit.run(2000)
    assert far.last("information_indication")["complete"] and near.names()[-1] == "setup_confirm"


def test_overlap_out():
    circuit, near, far = pair()
    near.place(circuit.now_ms, "12", complete=False)
    circuit.run(3000)
    assert near.names() == ["setup_ack_indication"]
    near.ask("information_request", circuit.now_ms, digits="05", complete=True)
    circuit.run(4000)
    assert far.last("setup_indication")["called"] == "1205" and near.names()[-1] == "setup_confirm"


@pytest.mark.parametrize("length", (4, None))
@pytest.mark.parametrize("first", (0, 1))
def test_dtmf_in_the_place_of_registers(length, first):
    """R2 line signals with DTMF: by length, by a pause; killed on the way; either end releases."""
    circuit, near, far = pair(near={"address": "dtmf"}, address="dtmf", called_length=length)
    near.place(circuit.now_ms, "12#5", "5551000")
    circuit.run(600)
    near.kill(circuit.now_ms, circuit.bits[0])
    far.kill(circuit.now_ms, circuit.bits[1])
    near.take_output()                  # the far end has it already
    circuit.run(12000)
    assert near.names() == ["proceeding_indication", "setup_confirm"]
    assert far.last("setup_indication")["called"] == ("12#5" if length else "1")
    digits = "".join(e["digits"] for e in far.events if e["event"] == "information_indication")
    assert digits == ("" if length else "2#5")
    (near, far)[first].ask("release_request", circuit.now_ms)
    released(circuit, near, far)
    far.offer = 17
    near.place(circuit.now_ms, "1205")
    circuit.run(12000)
    assert near.names()[-1] == "proceeding_indication" and far.circuit.state == "CLEARING"    # busy is heard as a tone
    near.ask("release_request", circuit.now_ms)
    released(circuit, near, far)
    with pytest.raises(LocalError):
        Ours("itu", address="smoke").circuit


def test_prefix_lengths():
    circuit, near, far = pair(called_length=8, prefix_lengths={"1": 3, "11": 3})
    near.place(circuit.now_ms, "110")
    circuit.run(5000)
    assert far.last("setup_indication")["called"] == "110"


@r2("Q.118 clear-back", "clear-back held for its time, the called party comes back, then not")
def test_hold_clear_back():
    circuit, near, far = pair(near={"hold_clear_back_ms": 60000})
    far.auto_release = False
    near.place(circuit.now_ms, "1205")
    circuit.run(5000)
    far.line("clear_back_request", circuit.now_ms)
    circuit.run(30000)
    assert near.names()[-1] == "suspend_indication" and near.circuit.state == "SUSPENDED"
    far.line("answer_request", circuit.now_ms)
    circuit.run(100)
    assert near.names()[-1] == "resume_indication"
    far.line("clear_back_request", circuit.now_ms)
    circuit.run(61000)
    assert near.names()[-2:] == ["disconnect_indication", "released"]


@r2("Q.118 no answer", "no answer for three minutes: the outgoing end gives up, cause 19")
def test_no_answer():
    circuit, near, far = pair(offer="alert")
    near.place(circuit.now_ms, "1205")
    circuit.run(190000)
    assert near.last("released")["cause"] == 19
    released(circuit, near, far)


@pytest.mark.parametrize("at_ms", (10, 60, 100, 200, 333, 800, 1500, 2200, 2600, 3000, 5000))
@pytest.mark.parametrize("who", (0, 1))
@pytest.mark.parametrize("variant", ("itu", "br", "cn"))
def test_release_at_any_time(at_ms, who, variant):
    """Whoever releases, whenever: both ends come to idle and each call ends once."""
    circuit, near, far = pair(variant)
    near.place(circuit.now_ms, "1205", "5551000")
    circuit.run(at_ms)
    end = circuit.ends[who]
    if end.circuit.call is not None and (who == 0 or end.call):
        end.ask("release_request", circuit.now_ms, cause=17)
        end.ask("release_request", circuit.now_ms, cause=17)
        circuit.run(20000)
        if end is far and near.circuit.call:
            near.ask("release_request", circuit.now_ms)     # before answer only the caller can clear; it hears a tone
        assert near.names().count("released") == 1
    elif near.circuit.call:
        near.ask("release_request", circuit.now_ms)
    circuit.run(3000)
    assert near.circuit.seizable and far.circuit.seizable
    assert "protocol_error" not in near.names() + far.names()


@r2("Q.422 double seizing, calls", "both ends place a call at once: both fail with 44, then the circuit works")
def test_double_seizure():
    circuit, near, far = pair(near={"called_length": 4})
    near.place(circuit.now_ms, "1205")
    far.place(circuit.now_ms, "1301")
    circuit.run(4000)
    for end in (near, far):
        assert end.names() == ["disconnect_indication", "released"] and end.last("released")["cause"] == 44
        assert end.circuit.seizable
    far.place(circuit.now_ms, "1301")
    circuit.run(6000)
    assert far.names()[-1] == "setup_confirm" and near.last("setup_indication")["called"] == "1301"


@r2("Q.424 calls a", "a short alarm costs no answered call")
def test_short_alarm():
    circuit, near, far = pair()
    near.place(circuit.now_ms, "1205")
    circuit.run(6000)
    for end in (near, far):
        end.receive(("alarm", True), circuit.now_ms)
        end.receive(("bits", 15), circuit.now_ms)
    circuit.run(3000)
    for end, bits in ((near, ANSWER), (far, SEIZE)):
        end.receive(("alarm", False), circuit.now_ms)
        end.receive(("bits", bits), circuit.now_ms)
    circuit.run(10000)
    assert near.circuit.state == far.circuit.state == "ANSWERED"
    assert [e["reason"] for e in near.events if e["event"] == "circuit_state"] == ["unknown", "", "alarm", ""]
    near.ask("release_request", circuit.now_ms)
    released(circuit, near, far)


@r2("Q.424 calls b", "an alarm ends a call in set-up at once and an answered one after its time; idle afterwards")
@pytest.mark.parametrize("at_ms", (60, 1000, 2500, 6000))
def test_long_alarm(at_ms):
    circuit, near, far = pair()
    near.place(circuit.now_ms, "1205", "5551000")
    circuit.run(at_ms)
    circuit.mute = True
    for end in (near, far):
        end.receive(("alarm", True), circuit.now_ms)
    circuit.run(8000)
    assert near.names()[-1] == "released" and near.circuit.call is None and not near.circuit.seizable
    circuit.mute = False
    for i, end in enumerate(circuit.ends):
        end.receive(("alarm", False), circuit.now_ms)
        end.receive(("bits", circuit.bits[i]), circuit.now_ms)
    circuit.run(70000)
    assert near.circuit.seizable and far.circuit.seizable and far.circuit.call is None
    assert near.last("circuit_state")["usable"]


def test_called_end_controls():
    """China's B6: the called end controls the release."""
    circuit, near, far = pair("cn", offer="wait")
    near.place(circuit.now_ms, "1205")
    circuit.run(3000)
    far.ask("alerting_request", circuit.now_ms, condition="free_called_controls")
    circuit.run(500)
    assert near.last("alerting_indication")["condition"] == "free_called_controls" and circuit.tones(1)[-1] == 6


def test_caller_does_not_clear():
    """A call that we have ended and the caller has not is told to maintenance, once; the circuit is free when it clears."""
    circuit, near, far = pair()
    near.auto_release = False
    near.place(circuit.now_ms, "1205")
    circuit.run(5000)
    far.ask("release_request", circuit.now_ms)
    circuit.run(300000)
    assert far.names().count("protocol_error") == 1 and "released" not in far.names()
    near.ask("release_request", circuit.now_ms)
    circuit.run(1000)
    assert far.names()[-1] == "released" and far.circuit.seizable


def test_blocking_while_a_call_is_up():
    circuit, near, far = pair()
    near.place(circuit.now_ms, "1205")
    circuit.run(6000)
    far.ask("block_request", circuit.now_ms)
    circuit.run(500)
    assert near.circuit.state == "ANSWERED"
    near.ask("release_request", circuit.now_ms)
    circuit.run(1000)
    assert not near.circuit.seizable and near.last("circuit_state")["reason"] == "blocked"
    with pytest.raises(LocalError):
        near.circuit.new_call()
    far.ask("unblock_request", circuit.now_ms)
    circuit.run(1000)
    assert near.circuit.seizable


def test_one_way_circuit():
    circuit = Circuit(Ours("itu", direction="out"), Ours("itu", called_length=4, direction="in"))
    near, far = circuit.ends
    circuit.run(300)
    assert near.circuit.seizable and not far.circuit.seizable
    near.place(circuit.now_ms, "1205")
    circuit.run(6000)
    assert near.names()[-1] == "setup_confirm"
    near.ask("release_request", circuit.now_ms)
    circuit.run(1000)
    with pytest.raises(LocalError):
        far.circuit.new_call()


def pair_one_way_seized():
    near = Ours("itu", direction="out", called_length=4)
    script = Script()
    circuit = Circuit(near, script)
    script.send("bits", IDLE)
    circuit.run(300)
    return circuit, near, script


def test_seizure_on_a_circuit_for_our_calls_only():
    """It is refused with A-4 and told; the circuit stays good."""
    circuit, near, script = pair_one_way_seized()
    script.send("bits", SEIZE)
    circuit.run(100)
    assert script.got[-1][1:] == ("bits", ACK) or script.got[-2][1:] == ("bits", ACK)
    circuit.run(500)
    assert ("tone", 4) in [row[1:] for row in script.got] and near.names() == ["protocol_error"]
    script.send("bits", IDLE)
    circuit.run(500)
    assert near.circuit.seizable


@pytest.mark.parametrize("variant", ("itu", "cn", "mx"))
def test_kill_at_every_event(variant):
    """kill -9 of either end after every 40 ms of a call: the call is set up all the same."""
    circuit, near, far = pair(variant)
    near.place(circuit.now_ms, "1205", "551")
    for _ in range(120):
        circuit.run(40)
        for i, end in enumerate((near, far)):
            hearing = end.circuit.register and end.circuit.register.hearing
            before = end.circuit.dump()
            end.kill(circuit.now_ms, circuit.bits[i], hearing)
            assert end.circuit.dump() == before
            end.take_output()           # what resume() repeats the far end has already
    assert near.circuit.state == far.circuit.state == "ANSWERED"
    near.ask("release_request", circuit.now_ms)
    circuit.run(30)
    near.kill(circuit.now_ms, circuit.bits[0])
    near.take_output()
    released(circuit, far)
    assert near.circuit.seizable


def test_requests_out_of_place():
    circuit, near, far = pair(offer="wait")
    with pytest.raises(LocalError):
        near.circuit.request("setup_request", "o1", circuit.now_ms, called="1")
    call = near.circuit.new_call()
    for bad in ({"called": "12a"}, {"called": 12}, {"called": "1", "caller": "x"}):
        with pytest.raises(LocalError):
            near.circuit.request("setup_request", call, circuit.now_ms, **bad)
    with pytest.raises(LocalError):
        near.circuit.request("nonsense", call, circuit.now_ms)
    assert near.circuit.request("release_request", call, circuit.now_ms) == []
    near.place(circuit.now_ms, "1205")
    circuit.run(5000)
    for primitive in ("setup_ack_request", "alerting_request", "setup_response", "meter_request", "proceeding_request"):
        with pytest.raises(LocalError):
            near.ask(primitive, circuit.now_ms)
    for primitive in ("information_request", "meter_request", "setup_ack_request"):
        with pytest.raises(LocalError):
            far.ask(primitive, circuit.now_ms, digits="1")


@pytest.mark.conformance("bad input", "R2 lines and registers", "a far end that says anything at any time, 100,000 signals: no exception, alive afterwards, memory flat")
@pytest.mark.parametrize("variant, address", (("itu", "mfc"), ("cn", "mfc"), ("br", "mfc"), ("itu", "dtmf")))
def test_random_far_end(variant, address):
    """A far end that does anything at any time, a call layer that does so too: no exception but LocalError, each call
    ends once, memory flat, and a well-behaved call is possible afterwards.  25,000 inputs each, 100,000 in all."""
    rng = random.Random(variant)
    v = Variant(load_r2(variant))
    config = {"timeslot": 1, "called_length": 4, "address": address}
    circuit = R2Circuit(v, config)
    now, open_calls, ended = 0, set(), set()
    circuit.start(now)

    def took(events):
        for event in events:
            call = event["call"]
            assert call is None or call not in ended
            if event["event"] in ("setup_indication",):
                open_calls.add(call)
            if event["event"] == "released":
                open_calls.discard(call)
                ended.add(call)

    primitives = ("alerting_request", "setup_response", "release_request", "proceeding_request", "setup_ack_request",
                  "meter_request", "information_request", "block_request", "unblock_request")
    for step in range(25000):
        now += rng.choice((0, 1, 5, 25, 25, 30, 60, 200, 200, 1500, 20000))
        if circuit.deadline_ms() is not None and circuit.deadline_ms() <= now:
            took(circuit.expire(now))
        kind = rng.randrange(12)
        if kind < 5:
            took(circuit.receive(("bits", rng.choice((9, 1, 13, 5, 1, 9, rng.randrange(16)))), now))
        elif kind < 9:
            took(circuit.receive(("tone", rng.choice((None, None, rng.randrange(1, 16), 1, 5, 3, 99, "x", True, "7"))), now))
        elif kind == 9 and rng.random() < 0.2:
            took(circuit.receive(("alarm", rng.random() < 0.4), now))
        elif kind == 10:
            try:
                call = circuit.new_call()
                took(circuit.request("setup_request", call, now, called="1205", caller="77"))
                open_calls.add(call)
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
            circuit = R2Circuit.restore(saved, v, config)
            assert circuit.dump() == saved and len(json.dumps(saved)) < 4000
            took(circuit.resume(now, 9, None))
        sent = circuit.take_output()
        assert all([trace.annotate(circuit, True, item) for item in sent])
        assert trace.annotate(circuit, False, rng.choice((("tone", 3), ("tone", None), ("bits", 5), ("tone", "x"))))
        assert len(sent) < 50 and len(open_calls) <= 1 and len(circuit.line.counters) < 8
    took(circuit.receive(("alarm", False), now))
    if circuit.call is not None:
        took(circuit.request("release_request", circuit.call, now))
    circuit.request("unblock_request", None, now)
    for _ in range(40):
        took(circuit.receive(("tone", None), now))
        took(circuit.receive(("bits", 9), now))
        now += 2000
        took(circuit.expire(now))
        if circuit.call is not None:
            took(circuit.request("release_request", circuit.call, now))
    assert circuit.seizable and not open_calls and len(ended) >= 50
