"""Interoperability of our ISUP, over our MTP3 and MTP2, with libss7 2.0: ITU, ANSI, and 24-bit labels through a rewriter.

libss7 is one reading of the standards that we did not write.  Where it differs, the standard wins; what was seen:
- in ITU mode it ends every called number with ST by itself;
- it takes a circuit for in use by the calls that it was told about: the peer answers as an exchange does.
At the end tshark reads every unit that we sent."""

import random
import shutil

import pytest

from tests.proto import isup_world, mtp_world
from tests.proto.test_mtp3_libss7 import HIGH, Chinese

PEER = isup_world.build_peer()
pytestmark = pytest.mark.skipif(PEER is None, reason="cc or libss7-dev is not installed")

US, THEM = 100, 200
VARIANTS = ("itu", "ansi", "china")


class Rig:
    def __init__(self, variant, links=1, **group):
        self.variant = variant
        us, them = (US | HIGH, THEM | HIGH) if variant == "china" else (US, THEM)
        config = {"variant": variant, "point_code": us, "groups": [
            {"name": "a", "destination": them, "circuits": [[1, 1, 1, 15], [17, 1, 17, 15]],
             "send_st": False, **group}]}
        self.near = isup_world.Exchange(config, them, links, variant)
        self.links = links
        self.far = self.new_far()
        self.line = mtp_world.Lines(self.near, self.far)
        self.near.start(0)
        self.far.start(0)
        self.line.run(15000)
        self.near.heard()
        assert "SS7_EVENT_UP" in self.far.events and len(self.near.isup.free_circuits("a")) == 30
        self.far.events = []

    def new_far(self):
        peer = Chinese if self.variant == "china" else mtp_world.Libss7
        return peer(PEER, "ansi" if self.variant == "ansi" else "itu", THEM, US, self.links)

    def say(self, primitive, call, **given):
        self.near.say(primitive, call, self.line.now_ms, **given)
        self.line.run(50)

    def tell(self, *words):
        self.far.command(*words)
        self.line.run(50)

    def far_heard(self, name):
        """Fields of libss7's events of one kind; forgets all."""
        found = self.far.took("ISUP_EVENT_" + name + " ")
        return [dict([word.partition("=")[::2] for word in row.split()[1:]]) for row in found]

    def names(self):
        return [e["event"] for e in self.near.heard(*NAMES)]


NAMES = ("setup_indication", "proceeding_indication", "alerting_indication", "progress_indication", "setup_confirm",
         "setup_complete_indication", "disconnect_indication", "released", "suspend_indication", "resume_indication")


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """What we sent, by variant; tshark judges it when all tests are over."""
    sent = {variant: [] for variant in VARIANTS}
    yield sent
    for variant in VARIANTS:
        if sent[variant] and shutil.which("tshark"):
            rows = mtp_world.tshark(tmp_path_factory.mktemp("isup") / "line.pcap", sent[variant], variant)
            assert len(rows) == len(sent[variant]) and [row for row in rows if row[1]] == []
            assert len([row for row in rows if "(CIC" in row[0]]) > 20


@pytest.fixture
def rig(units):
    rigs = []

    def make(*args, **group):
        rigs.append(Rig(*args, **group))
        return rigs[-1]

    yield make
    for r in rigs:
        r.far.close()
        units[r.variant] += [octets for _, end, _, octets in r.line.units if end == 0]


def outgoing(r, cic, **given):
    call = r.near.isup.new_call("a", cic)
    r.say("setup_request", call, called="8610123", caller="4085550100", **given)
    found = r.far_heard("IAM")
    assert [f["cic"] for f in found] == [str(cic)]
    return call, found[0]


def incoming(r, cic, redirecting="-"):
    r.tell("call", cic, "8610123", "4085550100", redirecting)
    found = r.near.heard("setup_indication")
    assert [e["cic"] for e in found] == [cic]
    return found[0]["call"], found[0]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("near_clears", [True, False])
def test_outgoing(rig, variant, near_clears):
    r = rig(variant)
    call, iam = outgoing(r, 5, redirecting={"number": "7770001", "reason": "no_reply"})
    assert (iam["called"], iam["caller"], iam["nai"], iam["pres"], iam["screen"]) == ("8610123", "4085550100", "3", "0", "3")
    assert (iam["redirecting"], iam["reason"], iam["category"], iam["check"]) == ("7770001", "2", "10", "0")
    if variant != "ansi":
        assert iam["medium"] == "3"
    r.tell("acm", 5)
    r.tell("cpg", 5, 1)
    r.tell("anm", 5)
    told = r.names()
    assert told[0] in ("alerting_indication", "proceeding_indication") and told[1:] == ["alerting_indication", "setup_confirm"], told
    r.line.run(60000)
    if near_clears:
        r.say("release_request", call, cause=16)
        assert [f["cause"] for f in r.far_heard("REL")] == ["16"]
    else:
        r.tell("rel", 5, 17)
        assert r.near.told[-1]["cause"] == 17
        r.say("release_request", call)
        assert [f["cic"] for f in r.far_heard("RLC")] == ["5"]
    assert r.names()[-1] == "released" and len(r.near.isup.free_circuits("a")) == 30


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("near_clears", [True, False])
def test_incoming(rig, variant, near_clears):
    r = rig(variant)
    call, event = incoming(r, 7, "7770001")
    assert event["called_digits"] == "8610123" and event["caller"]["number"] == "4085550100"
    assert event["called_complete"] and event["bearer"] == "3.1khz_audio"
    assert event["redirecting"]["number"] == "7770001" and event["redirecting"]["reason"] == "no_reply"
    assert event["original_called"]["number"] == "7770001"
    r.say("proceeding_request", call)
    assert [f["cic"] for f in r.far_heard("ACM")] == ["7"]
    r.say("alerting_request", call)
    assert [f["event"] for f in r.far_heard("CPG")] == ["1"]
    r.say("setup_response", call)
    assert [f["cic"] for f in r.far_heard("ANM")] == ["7"]
    if near_clears:
        r.say("release_request", call, cause=21)
        assert [f["cause"] for f in r.far_heard("REL")] == ["21"]
    else:
        r.tell("rel", 7, 16)
        r.say("release_request", call)
        assert [f["cic"] for f in r.far_heard("RLC")] == ["7"]
    assert r.names()[-1] == "released" and len(r.near.isup.free_circuits("a")) == 30


@pytest.mark.parametrize("variant", VARIANTS)
def test_connect_at_once(rig, variant):
    r = rig(variant)
    call, _ = incoming(r, 1)
    r.say("setup_response", call)
    assert [f["cic"] for f in r.far_heard("ANM" if variant == "ansi" else "CON")] == ["1"]
    r.say("release_request", call)
    if variant == "ansi":               # has no CON
        return
    call, _ = outgoing(r, 2)
    r.tell("con", 2)
    assert r.names()[-1] == "setup_confirm"
    r.say("release_request", call)
    assert r.names() == ["released"]


def test_overlap_out(rig):
    """libss7 takes SAM; it cannot send it."""
    r = rig("itu")
    call = r.near.isup.new_call("a", 3)
    r.say("setup_request", call, called="861", caller="4085550100", complete=False)
    for digits in ("0", "12", "3"):
        r.say("information_request", call, digits=digits)
        assert [f["digits"] for f in r.far_heard("SAM")] == [digits]
    r.tell("acm", 3)
    r.tell("anm", 3)
    r.say("release_request", call)
    assert r.names()[-1] == "released"


@pytest.mark.parametrize("variant", VARIANTS)
def test_continuity_check(rig, variant):
    """A maintenance check: first it fails, then it does not.  libss7 sees CCR, COT and REL."""
    r = rig(variant)
    r.near.manage("check", "a.4", r.line.now_ms)
    r.line.run(2500)                    # T24
    seen = [e for e in r.far.events if e.startswith("ISUP")]
    assert seen == ["ISUP_EVENT_CCR cic=4", "ISUP_EVENT_COT cic=4 passed=0"], seen
    r.far.events = []
    r.line.run(60000)                   # T26
    assert [f["cic"] for f in r.far_heard("CCR")] == ["4"]
    r.near.manage("continuity_result", "a.4", r.line.now_ms, ok=True)
    r.line.run(50)
    assert [f["cic"] for f in r.far_heard("REL")] == ["4"] and len(r.near.isup.free_circuits("a")) == 30


def test_continuity_check_in_a_call(rig):
    """libss7 2.0 releases an IAM that asks for a check at once (it wants a CCR before a COT): ours ends in order."""
    r = rig("itu")
    call, iam = outgoing(r, 3, continuity="this")
    assert iam["check"] == "1"
    assert [e["cause"] for e in r.near.heard("disconnect_indication")] == [41]
    r.say("release_request", call)
    assert r.names() == ["released"] and not r.near.isup.circuit("a.3").tone_on


@pytest.mark.parametrize("variant", VARIANTS)
def test_refused(rig, variant):
    r = rig(variant)
    call, _ = incoming(r, 9)
    r.say("release_request", call, cause=17)
    assert [f["cause"] for f in r.far_heard("REL")] == ["17"]
    call, _ = outgoing(r, 9)
    r.tell("rel", 9, 1)
    assert [e["cause"] for e in r.near.heard("disconnect_indication")] == [1]
    r.say("release_request", call)
    assert r.names() == ["released"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_suspend_and_resume(rig, variant):
    r = rig(variant)
    call, _ = outgoing(r, 4)
    r.tell("acm", 4)
    r.tell("anm", 4)
    r.tell("sus", 4, 1)
    r.tell("res", 4, 1)
    assert r.names()[-2:] == ["suspend_indication", "resume_indication"]
    r.say("suspend_request", call)
    assert [f["network"] for f in r.far_heard("SUS")] == ["1"]
    r.say("resume_request", call)
    assert [f["network"] for f in r.far_heard("RES")] == ["1"]
    r.say("release_request", call)
    assert r.names() == ["released"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_blocking_and_reset(rig, variant):
    r = rig(variant)
    circuit = r.near.isup.circuit("a.9")
    r.near.manage("block", "a.9", r.line.now_ms)
    r.line.run(100)
    assert circuit.local == "blocked" and [f["cic"] for f in r.far_heard("BLO")] == ["9"]
    r.near.manage("unblock", "a.9", r.line.now_ms)
    r.line.run(100)
    assert circuit.local == "unblocked" and circuit.available()
    r.tell("blo", 9)
    assert circuit.remote and r.far_heard("BLA")
    r.tell("ubl", 9)
    assert not circuit.remote and r.far_heard("UBA")
    r.near.manage("reset", "a.9", r.line.now_ms)
    r.line.run(100)
    assert circuit.available() and r.far_heard("RSC")
    r.tell("rsc", 9)
    assert r.far_heard("RLC") and circuit.available()


@pytest.mark.parametrize("variant", VARIANTS)
def test_groups(rig, variant):
    r = rig(variant)
    r.near.group("reset", r.line.now_ms, range(1, 16))
    r.line.run(500)
    assert [(f["first"], f["last"]) for f in r.far_heard("GRS")][-1] == ("1", "15")
    assert len(r.near.isup.free_circuits("a")) == 30 and r.near.isup.pending == []
    r.near.group("block", r.line.now_ms, range(1, 9))
    r.line.run(500)
    assert r.far_heard("CGB") and len(r.near.isup.free_circuits("a")) == 22 and r.near.isup.pending == []
    r.near.group("unblock", r.line.now_ms, range(1, 9))
    r.line.run(500)
    assert r.far_heard("CGU") and len(r.near.isup.free_circuits("a")) == 30 and r.near.isup.pending == []
    r.tell("grs", 17, 31)
    r.line.run(6000)
    assert r.far.took("ISUP_EVENT_GRA")
    r.tell("cgb", 17, 24, 0)
    r.line.run(6000)
    assert len(r.near.isup.free_circuits("a")) == 22 and r.far.took("ISUP_EVENT_CGBA")
    r.tell("cgu", 17, 24, 0)
    r.line.run(6000)
    assert len(r.near.isup.free_circuits("a")) == 30 and r.far.took("ISUP_EVENT_CGUA")


@pytest.mark.parametrize("variant", VARIANTS)
def test_dual_seizure(rig, variant):
    """Both send IAM before they hear each other.  libss7 (200) has the higher code: the even CICs are its own."""
    r = rig(variant)
    for cic, ours in ((6, False), (7, True)):
        call = r.near.isup.new_call("a", cic)
        r.near.say("setup_request", call, r.line.now_ms, called="8610123", caller="1")
        r.far.command("call", cic, "999", "2", "-")
        r.line.run(100)
        told = r.near.heard("released", "setup_indication")
        if ours:
            assert told == [] and "IAM" in str(r.far.events)
            r.say("release_request", call)
            assert r.names() == ["released"]
        else:
            assert [e["event"] for e in told] == ["released", "setup_indication"] and told[0]["reattempt"]
            r.say("release_request", told[1]["call"])
            assert r.names() == ["released"]
        r.far.events = []


@pytest.mark.parametrize("variant", VARIANTS)
def test_control_killed(rig, variant):
    """kill -9 of control with a call each way: both stay, and end in order; nothing is reset."""
    r = rig(variant, 2)
    out, _ = outgoing(r, 5)
    r.tell("acm", 5)
    r.tell("anm", 5)
    came, _ = incoming(r, 8)
    r.say("setup_response", came)
    r.far.events = []
    r.near.kill_control(r.line.now_ms)
    r.line.run(70000)
    assert [e for e in r.far.events if e.startswith("ISUP")] == [] and len(r.near.isup.calls()) == 2
    r.say("release_request", out)
    r.tell("rel", 8, 16)
    r.near.kill_control(r.line.now_ms)  # dies with the REL in its hands
    r.line.run(1000)
    assert r.near.isup.calls() == [] and len(r.near.isup.free_circuits("a")) == 30
    ended = [e for e in r.far.events if "RLC" in e or "RSC" in e or "GRS" in e]
    assert ended == ["ISUP_EVENT_RLC cic=8"]            # 5: libss7 answered our REL


@pytest.mark.parametrize("variant", VARIANTS)
def test_circuit_query_after_a_restart(rig, variant):
    """Where the group may ask (CQM), the calls are confirmed by libss7; the one it has lost ends."""
    r = rig(variant, query=True)
    out, _ = outgoing(r, 5)
    r.tell("acm", 5)
    r.tell("anm", 5)
    came, _ = incoming(r, 8)
    r.say("setup_response", came)
    r.near.heard()
    r.near.kill_control(r.line.now_ms)
    r.line.run(100)
    assert {(f["first"], f["last"]) for f in r.far_heard("CQM")} == {("5", "5"), ("8", "8")}
    assert sorted(e["call"] for e in r.near.heard("call_confirmed")) == sorted([out, came])
    r.far.command("forget", 8)
    r.near.kill_control(r.line.now_ms)
    r.line.run(100)
    told = r.near.heard("call_confirmed", "call_lost")
    assert [(e["event"], e["call"]) for e in told] == [("call_confirmed", out), ("call_lost", came)]
    assert [f["cic"] for f in r.far_heard("REL")] == ["8"] and r.near.isup.calls() == [out]


@pytest.mark.parametrize("variant", VARIANTS)
def test_linkset_cut_in_a_call(rig, variant):
    """MTP-PAUSE keeps the call; a REL in the dark is repeated by T1 when the links are back."""
    r = rig(variant)
    call, _ = outgoing(r, 5)
    r.tell("acm", 5)
    r.tell("anm", 5)
    r.near.heard()
    r.line.cut = {0}
    r.far.command("alarm", 0)
    r.line.run(5000)
    assert [e["available"] for e in r.near.heard("destination_state")] == [False]
    assert r.near.isup.free_circuits("a") == [] and r.near.isup.calls() == [call]
    r.say("release_request", call)
    r.line.cut = set()
    r.far.command("noalarm", 0)
    r.line.run(100000)
    assert [e["available"] for e in r.near.told if e["event"] == "destination_state"] == [True]
    assert r.names()[-1:] == ["released"] and len(r.near.isup.free_circuits("a")) == 30


@pytest.mark.parametrize("variant", VARIANTS)
def test_far_end_restarts(rig, variant):
    """libss7 dies and comes back: it resets its circuits, our calls end, and the next call works."""
    r = rig(variant)
    out, _ = outgoing(r, 5)
    came, _ = incoming(r, 20)
    r.say("setup_response", came)
    r.far.close()
    r.far = r.new_far()
    r.line.ends = (r.near, r.far)
    r.far.start(r.line.now_ms)
    r.line.run(60000)
    assert "SS7_EVENT_UP" in r.far.events
    r.near.heard()
    r.tell("grs", 1, 15)
    r.tell("grs", 17, 31)
    r.line.run(6000)
    assert came in [e["call"] for e in r.near.heard("released")]        # `out` waited for ACM: T7 was before
    assert r.near.isup.calls() == [] and len(r.near.isup.free_circuits("a")) == 30
    call, _ = outgoing(r, 5)
    r.say("release_request", call)
    assert r.names()[-1] == "released"


@pytest.mark.parametrize("variant", VARIANTS)
def test_storm(rig, variant):
    """300 calls both ways, set up, answered, refused and cleared in any order, with control killed and one of two links
    cut now and then: everything ends, no circuit stays seized on either side, nobody sends a reset."""
    r = rig(variant, 2)
    rng = random.Random(variant)
    busy_here, busy_there, calls = {}, set(), 0
    for turn in range(900):
        here = [c["cic"] for c in r.near.isup.free_circuits("a") if c["cic"] not in busy_there]
        what = rng.randrange(10)
        if calls < 300 and what < 3 and here:
            cic = rng.choice(here)
            r.say("setup_request", r.near.isup.new_call("a", cic), called="8610123", caller="1")
            calls += 1
        elif calls < 300 and what < 5 and here:
            cic = rng.choice(here)
            r.tell("call", cic, "8610123", "2", "-")
            busy_there.add(cic)
            calls += 1
        elif busy_here and what < 8:
            call = rng.choice(sorted(busy_here))
            if r.near.isup.call_state(call) and r.near.isup.call_state(call)["state"] in ("IN_PRESENT", "IN_WAIT_ANM"):
                r.say(rng.choice(("alerting_request", "setup_response", "release_request")), call)
            else:
                r.say("release_request", call)
        elif busy_there:
            cic = rng.choice(sorted(busy_there))
            state = r.near.isup.circuit("a.%d" % cic).state
            if state == "OUT_WAIT_ACM":
                r.tell(rng.choice(("acm", "acm", "rel")), cic, 17)
            elif state == "OUT_WAIT_ANM":
                r.tell(rng.choice(("anm", "cpg", "rel")), cic, 1)
            elif state in ("OUT_ANSWERED", "IN_PRESENT", "IN_WAIT_ANM", "IN_ANSWERED"):
                r.tell("rel", cic, 16)
        if turn % 100 == 50:
            link = turn // 100 % 2
            r.line.cut = {link}
            r.far.command("alarm", link)
            r.line.run(2000)
        elif turn % 100 == 60:
            link = turn // 100 % 2
            r.line.cut = set()
            r.far.command("noalarm", link)
            r.line.run(5000)
        if turn % 75 == 70:
            r.near.kill_control(r.line.now_ms)
        r.line.run(rng.choice((20, 100, 500)))
        for event in r.near.heard("setup_indication", "disconnect_indication", "released"):
            if event["event"] == "disconnect_indication":
                r.say("release_request", event["call"])
        busy_here = {call for call in r.near.isup.calls()}
        busy_there = {c.cic for c in r.near.isup.all_circuits() if c.state != "IDLE"}
    for call in sorted(r.near.isup.calls()):
        r.say("release_request", call)
    r.line.run(40000)
    assert calls == 300 and r.near.isup.calls() == [] and len(r.near.isup.free_circuits("a")) == 30
    assert r.near.isup.counters.get("unreasonable_messages", 0) == 0 and r.near.isup.counters.get("ignored_messages", 0) == 0
    assert not [e for e in r.far.events if "RSC" in e or "GRS" in e or "UCIC" in e]
    r.near.group("query", r.line.now_ms)
    r.line.run(500)
    states = [s["call"] for e in r.near.heard("query_confirm") for s in e["states"]]
    assert states == ["idle"] * 30
