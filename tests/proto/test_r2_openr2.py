"""Interoperability of our R2 with libopenr2 1.3.3: each variant, both directions; bits and tones between two processes.

libopenr2 is one reading of R2 that we did not write.  Where it differs, the Recommendation wins:
- it asks the caller's digits by repeating A-5 (Q.441 gives A-5 for the category only): national practice, in our data;
- it goes idle by itself after a protocol error, without a release guard;
- China: the forward side needs ../shared/peers/cn_fwd.conf's settings (here CHINA): A-6, then A-1 for the caller's digits."""

import pytest

from tests.proto import r2_rig

PEER = r2_rig.build_peer()
pytestmark = pytest.mark.skipif(PEER is None, reason="cc or libopenr2-dev is not installed")

CHINA = """mf_ga_tones.request_category=X
mf_ga_tones.request_category_and_change_to_gc=6
mf_ga_tones.request_next_ani_digit=X
mf_gc_tones.request_next_ani_digit=1
mf_gc_tones.request_change_to_g2=3
mf_gc_tones.network_congestion=4
"""
VARIANTS = ("itu", "cn", "mx", "br", "ar", "ve", "co", "cz", "ec", "id", "ph")
CALLER_LAST = ("cn", "mx")
SUBSCRIBER = 0
OURS_OF = {"busy": 17, "congestion": 42, "unallocated": 1, "order": 27}


def by_variant(direction):
    """Each variant with its row in the conformance table."""
    return pytest.mark.parametrize("variant", [
        pytest.param(name, marks=pytest.mark.conformance(
            "R2", "Q.421, Q.440-Q.476 %s %s" % (name, direction), "a call %s libopenr2 1.3.3, variant %s" % (
                "to" if direction == "outgoing" else "from", name))) for name in VARIANTS])


@pytest.fixture
def rig(tmp_path):
    """A function that joins a circuit of ours to libopenr2."""
    made = []

    def make(variant, forward=False, **config):
        advanced = None
        if variant == "cn" and forward:
            advanced = tmp_path / "cn.conf"
            advanced.write_text(CHINA)
        last = variant in CALLER_LAST
        config.setdefault("called_length", 8)
        config.setdefault("caller_after", None if last else 1)
        near = r2_rig.Ours(variant, **config)
        far = r2_rig.Peer(PEER, variant.upper(), ani_first=int(not last), advanced=advanced,
                          address=config.get("address", "mfc"))
        circuit = r2_rig.Circuit(near, far)
        made.append(circuit)
        circuit.run(1000)
        assert far.names() == ["idle"] and near.circuit.seizable
        return circuit, near, far

    yield make
    for circuit in made:
        circuit.close()


@by_variant("incoming")
def test_incoming_call(rig, variant):
    """libopenr2 calls us: number, caller, category; answer; it clears forward."""
    circuit, near, far = rig(variant, True)
    far.command("call", "4085550100", "12345678", SUBSCRIBER)
    circuit.run(7000)
    setup = near.last("setup_indication")
    assert (setup["called"], setup["caller"], setup["category"]) == ("12345678", "4085550100", "subscriber")
    assert setup["called_complete"] and setup["caller_presentation"] == "allowed"
    assert far.names()[1:] == ["call", "accepted", "answered"] and near.circuit.state == "ANSWERED"
    far.command("hangup")
    circuit.run(1000)
    assert near.names() == ["setup_indication", "setup_complete_indication", "disconnect_indication", "released"]
    assert far.names()[-1] == "end" and near.circuit.seizable and circuit.bits == [circuit.bits[0]] * 2


@by_variant("outgoing")
def test_outgoing_call(rig, variant):
    """We call libopenr2; it answers; we clear forward."""
    circuit, near, far = rig(variant)
    near.place(circuit.now_ms, "12345678", "4085550100")
    circuit.run(7000)
    assert near.names() == ["alerting_indication", "setup_confirm"] and near.last("alerting_indication")["charge"]
    assert "offered 4085550100 12345678 0" in far.events
    near.ask("release_request", circuit.now_ms, cause=16)
    circuit.run(1000)
    assert far.names()[-2:] == ["disconnect", "end"] and near.last("released")["by"] == "near"
    assert near.circuit.seizable and "error" not in far.names()
    near.place(circuit.now_ms, "12345678", "4085550100")       # the circuit is good for another
    circuit.run(7000)
    assert near.names()[-1] == "setup_confirm"


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("how", sorted(OURS_OF))
def test_outgoing_refused(rig, variant, how):
    """Each B signal that libopenr2 refuses with becomes a cause."""
    circuit, near, far = rig(variant)
    far.command("offer", how)
    near.place(circuit.now_ms, "12345678", "4085550100")
    circuit.run(8000)
    cause = OURS_OF[how]
    if (variant, how) in (("mx", "unallocated"),):
        cause = 17                                   # one signal for both
    assert near.names()[-2:] == ["disconnect_indication", "released"] and near.circuit.seizable
    if (variant, how) == ("cn", "order"):
        assert near.names()[0] == "protocol_error"   # libopenr2 sends ITU's B-8; China has six signals
        return
    assert near.last("released")["cause"] == cause and near.last("released")["by"] == "far"
    assert near.circuit.seizable


@pytest.mark.parametrize("variant", ("itu", "cn", "mx", "br", "ar"))
@pytest.mark.parametrize("cause, theirs", ((17, 0), (34, 1), (1, 2)))
def test_incoming_refused(rig, variant, cause, theirs):
    """libopenr2 understands with what we refuse: busy, congestion, unallocated."""
    circuit, near, far = rig(variant, True, offer=cause)
    far.command("call", "4085550100", "12345678", SUBSCRIBER)
    circuit.run(9000)
    told = [event for event in far.events if event.startswith("disconnect")]
    if (variant, cause) == ("mx", 1):
        theirs = 0                                   # Mexico has one signal for both
    assert told == ["disconnect %d" % theirs]
    assert near.names()[-1] == "released" and near.circuit.seizable


@pytest.mark.parametrize("variant", ("itu", "cn", "mx", "br", "ar"))
def test_callee_clears_back(rig, variant):
    """Q.422 clear-back, both directions."""
    circuit, near, far = rig(variant)
    near.place(circuit.now_ms, "12345678", "4085550100")
    circuit.run(7000)
    far.command("hangup")
    circuit.run(1000)
    assert near.names()[-2:] == ["disconnect_indication", "released"] and near.last("released")["by"] == "far"
    assert far.names()[-1] == "end" and near.circuit.seizable
    circuit, near, far = rig(variant, True)
    far.command("call", "4085550100", "12345678", SUBSCRIBER)
    circuit.run(7000)
    near.ask("release_request", circuit.now_ms, cause=16)
    circuit.run(1000)
    assert far.names()[-2:] == ["disconnect", "end"] and near.last("released")["cause"] == 16 and near.circuit.seizable


@pytest.mark.parametrize("variant", ("mx", "br", "ar", "co"))
def test_restricted_caller(rig, variant):
    """A withheld number is restricted at the far end, both directions."""
    circuit, near, far = rig(variant)
    near.place(circuit.now_ms, "12345678", None)
    circuit.run(7000)
    assert "offered restricted 12345678 0" in far.events
    circuit, near, far = rig(variant, True)
    far.command("call", "-", "12345678", SUBSCRIBER)
    circuit.run(7000)
    setup = near.last("setup_indication")
    assert setup["caller"] is None and setup["caller_presentation"] == "restricted"


def test_blocking(rig):
    """Q.422: both ends block and unblock."""
    circuit, near, far = rig("itu")
    near.ask("block_request", circuit.now_ms)
    circuit.run(500)
    assert far.names()[-1] == "blocked" and not near.circuit.seizable
    near.ask("unblock_request", circuit.now_ms)
    circuit.run(500)
    assert far.names()[-1] == "idle" and near.circuit.seizable
    far.command("block")
    circuit.run(500)
    assert not near.circuit.seizable and near.last("circuit_state")["reason"] == "blocked"
    far.command("idle")
    circuit.run(500)
    assert near.circuit.seizable and near.last("circuit_state")["usable"]


def test_metering_pulses(rig):
    """Argentina: short clear-back is a metering pulse; both directions."""
    circuit, near, far = rig("ar", True)
    far.command("call", "4085550100", "12345678", SUBSCRIBER)
    circuit.run(7000)
    for _ in range(3):
        near.ask("meter_request", circuit.now_ms)
        circuit.run(2000)
    assert far.names().count("metering") == 3 and "disconnect" not in far.names()
    near.ask("release_request", circuit.now_ms)
    circuit.run(2000)
    assert far.names()[-2:] == ["disconnect", "end"]


def test_forced_release(rig):
    """Brazil: the called end forces the release."""
    circuit, near, far = rig("br")
    near.place(circuit.now_ms, "12345678", "4085550100")
    circuit.run(7000)
    far.command("hangup", "forced")
    circuit.run(1000)
    assert near.names()[-2:] == ["disconnect_indication", "released"] and far.names()[-1] == "end"
    assert near.circuit.seizable


def test_number_ends_by_silence(rig):
    """Q.442: libopenr2 has no more digits and says nothing; we pulse A-3."""
    circuit, near, far = rig("br", True, called_length=20)
    far.command("call", "4085550100", "12345678", SUBSCRIBER)
    circuit.run(15000)
    assert near.last("setup_indication")["called"] == "12345678" and far.names()[-1] == "answered"


def test_caller_after_silence(rig):
    """Mexico: the number ends by silence and the caller is asked for by a pulse of A-6, then Group C."""
    circuit, near, far = rig("mx", True, called_length=20, pulse_caller=True)
    far.command("call", "4085550100", "12345678", SUBSCRIBER)
    circuit.run(15000)
    setup = near.last("setup_indication")
    assert (setup["called"], setup["caller"]) == ("12345678", "4085550100") and far.names()[-1] == "answered"


def test_our_number_ends_by_silence(rig):
    """Q.442: we have no more digits and say nothing; libopenr2 pulses."""
    circuit, near, far = rig("br")
    near.place(circuit.now_ms, "1234", "4085550100")
    circuit.run(15000)
    assert "offered 4085550100 1234 0" in far.events and near.names()[-1] == "setup_confirm"


@pytest.mark.parametrize("variant", ("itu", "cn", "mx", "br", "ar"))
@pytest.mark.parametrize("delays", ((0, 15, 5), (75, 20, 75), (40, 85, 10)))
def test_slow_and_fast_lines(rig, monkeypatch, variant, delays):
    """Bits slower or faster than tones, detectors slow to begin or to end: both directions."""
    for name, ms in zip(("BITS_MS", "ON_MS", "OFF_MS"), delays):
        monkeypatch.setattr(r2_rig, name, ms)
    for forward in (False, True):
        circuit, near, far = rig(variant, forward)
        if forward:
            far.command("call", "4085550100", "12345678", SUBSCRIBER)
        else:
            near.place(circuit.now_ms, "12345678", "4085550100")
        circuit.run(14000)
        assert near.circuit.state == "ANSWERED" and "error" not in far.names()


def test_dtmf_incoming(rig):
    """R2 line signals with DTMF digits: libopenr2 dials, we count to eight and answer."""
    circuit, near, far = rig("itu", True, address="dtmf")
    far.command("call", "4085550100", "12345678", SUBSCRIBER)
    circuit.run(6000)
    assert near.last("setup_indication")["called"] == "12345678" and near.circuit.state == "ANSWERED"
    assert far.names()[-1] == "answered"
    far.command("hangup")
    circuit.run(1000)
    assert near.names()[-1] == "released" and far.names()[-2:] == ["end", "idle"] and near.circuit.seizable


def test_dtmf_outgoing(rig):
    """R2 line signals with DTMF digits: we dial, libopenr2 answers."""
    circuit, near, far = rig("itu", address="dtmf")
    near.place(circuit.now_ms, "12345678")
    circuit.run(9000)
    assert [event for event in far.events if event.startswith("offered")][0].split()[2] == "12345678"
    assert near.names() == ["proceeding_indication", "setup_confirm"]
    near.ask("release_request", circuit.now_ms)
    circuit.run(1000)
    assert far.names()[-1] == "end" and near.circuit.seizable


@pytest.mark.parametrize("variant", ("itu", "cn", "mx", "br", "ar"))
@pytest.mark.parametrize("forward", (False, True))
def test_control_killed(rig, variant, forward):
    """kill -9 of control at any time of a call: before, in the digits, answered; the call goes on."""
    for at_ms in (30, 700, 1900, 6000):
        circuit, near, far = rig(variant, forward)
        if forward:
            far.command("call", "4085550100", "12345678", SUBSCRIBER)
        else:
            near.place(circuit.now_ms, "12345678", "4085550100")
        circuit.run(at_ms)
        tone = near.circuit.register and near.circuit.register.hearing
        near.kill(circuit.now_ms, circuit.bits[0], tone)
        circuit.run(7000)
        assert near.circuit.state == "ANSWERED" and "error" not in far.names()
        circuit.close()
        r2_rig_closed(circuit)


def r2_rig_closed(circuit):
    """The fixture closes again; a closed peer does not mind."""
    circuit.ends[1].close = lambda: None
