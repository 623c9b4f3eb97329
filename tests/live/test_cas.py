"""R2 and E&M calls through the whole house; R2's far end is libopenr2 (LGPL, a process of its own) with its own MF receivers.

Span 5 is China No.1, span 6 the ITU's R2, as calling exchange; span 7 is China No.1 as called exchange; span 8 a T1 with E&M wink
start, whose far end is scripted (hil/em.py)."""

import os
import random
import time

import numpy as np
import pytest

from hil.board.clock import BoardClock
from hil.em import EMTrunk, keys as em_keys
from hil.phone.probe import ProbePhone
from hil.probes import exact, wav
from hil.r2.client import BINARY, R2Exchange
from hil.rig import Rig
from tests.live import cas_attack_cases as attack, probe_moves
from tests.live.cas_attack_cases import (       # noqa: F401  they share this house
    attacker, test_a_double_seizure_and_blocking_in_a_call, test_bits_that_flap, test_clear_forward_in_each_state, test_thirty_seizures_without_digits,
    test_tones_that_are_no_signals, test_what_the_circuits_say_of_it)
from tests.live.cas_t1_cases import bank, test_each_protocol_of_a_channel_bank      # noqa: F401  they share this house
from tests.live.em_attack_cases import attacked, test_a_broken_far_end_of_em           # noqa: F401

pytestmark = [pytest.mark.live, pytest.mark.skipif(not BINARY.exists(), reason="libopenr2-dev is not installed")]
LANDING, CALLER, DIALLED, OURS = "1000", "13912345678", "4321", "2000"
SECONDS = 2
# Further countries, from span 9 on, each both ways.  `make conformance` takes them all.
WHOLE = bool(os.environ.get("STROWGER_WHOLE"))
COUNTRIES = ("mx", "br", "ar", "ve", "co", "itu", "cn") if WHOLE else ("mx",)


def keys(digits):
    """A-law octets of key presses: 80 ms on, 80 ms off, -8 dBm0 each tone (Q.23)."""
    rows, columns = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
    n, parts = np.arange(640), [np.zeros(2400)]
    for digit in digits:
        i = "123A456B789C*0#D".index(digit)
        parts += [8031 * 10 ** (-11 / 20) * (np.sin(2 * np.pi * rows[i // 4] / 8000 * n) + np.sin(2 * np.pi * columns[i % 4] / 8000 * n)),
                  np.zeros(640)]
    return wav.alaw_compress(np.concatenate(parts).astype(np.int16)).tobytes()


class Trunks(Rig):
    far = None

    def prepare(self):
        self.start(exchange=False)
        running = self.product.get("/configuration")
        config = running["configuration"]
        config["spans"] = [
            {"span": 5, "signalling": "r2", "crc4": False, "trunk_group": "carrier", "r2": {"variant": "cn", "called_length": 4}},
            {"span": 6, "signalling": "r2", "crc4": False, "trunk_group": "second", "r2": {"variant": "itu", "timers": {"T_ALARM": 1000}}},
            {"span": 7, "signalling": "r2", "crc4": False, "trunk_group": "third", "r2": {"variant": "cn", "circuits": "1-3"}},
            {"span": 8, "type": "t1", "signalling": "cas", "trunk_group": "fourth", "cas": {"protocol": "em_wink", "called_length": 4}}]
        config["trunk_groups"] = [{"name": name, "caller_number": OURS} for name in ("carrier", "second", "third", "fourth")]
        # Of two lengths: on span 6 each digit is shown to the switchboard until it knows enough.
        config["numbers"] = [{"number": number, "application": "ivr", "target": "main"} for number in (LANDING, "20000")]
        config["routes"] = [{"number": "9.", "choices": [{"trunk_group": "third", "strip": 1}]},
                            {"number": "8.", "choices": [{"trunk_group": "fourth", "strip": 1}]}]
        for at, country in enumerate(COUNTRIES):
            config["spans"].append({"span": 9 + at, "signalling": "r2", "crc4": False, "trunk_group": country,
                                    "r2": {"variant": country, "circuits": "1-3", "called_length": 4}})
            config["trunk_groups"].append({"name": country, "caller_number": OURS})
            config["routes"].append({"number": "7%d." % at, "choices": [{"trunk_group": country, "strip": 2}]})
        config["spans"].append(attack.CONFIGURED)
        config["trunk_groups"].append({"name": "attacked", "caller_number": OURS})
        config["routes"].append(attack.ROUTE)
        for agent in config["agents"]:
            agent["wrap_up_s"] = 1
        self.product.post("/configuration/apply", running)
        self.r2 = {5: R2Exchange(self.run_dir, 5, "cn"), 6: R2Exchange(self.run_dir, 6, "itu"),
                   7: R2Exchange(self.run_dir, 7, "cn", calling=False, max_ani=len(OURS), max_dnis=len(DIALLED))}
        for at, country in enumerate(COUNTRIES):
            self.r2[9 + at] = R2Exchange(self.run_dir, 9 + at, country, max_ani=len(OURS), max_dnis=4)
        for exchange in self.r2.values():
            exchange.start()
        self.wait(lambda s: len(s["spans"]) == 5 + len(COUNTRIES) and s["spans"][3]["alarms"] != ["configuration"], 10, "a T1")
        time.sleep(0.5)                     # the framer is a T1's by then: blocks have its length
        self.em = EMTrunk(self.run_dir, 8).__enter__()
        self.wait(lambda s: all(span["state"] == "up" and all(slot["state"] in ("idle", "d") for slot in span["timeslots"])
                                for span in s["spans"] if span["span"] != attack.SPAN), 20, "CAS spans up and idle")
        return self

    def stop(self):
        if getattr(self, "em", None) is not None:
            self.em.__exit__()
        for exchange in getattr(self, "r2", {}).values():
            exchange.stop()
        super().stop()


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with Trunks(tmp_path_factory.mktemp("cas")) as rig:
        yield rig.prepare()


@pytest.fixture(scope="module")
def phone(house):
    lines = {line["name"]: line["password"] for line in house.product.get("/configuration")["configuration"]["lines"]}
    phone = ProbePhone("1002", lines["1002"], house.sip_port, clock=BoardClock(house.run_dir))
    phone.start()
    house.product.put("/agents/1002/status", {"status": "available"})
    yield phone
    phone.stop()


@pytest.fixture(autouse=True)
def quiet(house, phone):
    house.wait(lambda s: any(a["name"] == "1002" and a["state"] == "idle" and a["status"] == "available" for a in s["agents"]),
               20, "the agent idle")
    yield
    phone.hangup()
    for exchange in house.r2.values():
        exchange.policy()
    in_service(house)
    house.wait_idle(20)


def in_service(house):
    """What a test took out of service comes back, so that one that failed in the middle costs no other."""
    if any(slot["why"] in ("blocking", "blocked") for span in house.state()["spans"] if span["span"] in (7, 8) for slot in span["timeslots"]):
        for span in (7, 8):
            house.product.post(f"/cas/{span}/circuits", {"do": "unlock"})
        house.r2[7].command("idle 2")
        house.wait(lambda s: all(slot["state"] in ("idle", "d") for span in s["spans"] if span["span"] in (7, 8) for slot in span["timeslots"]), 30, "all in service")


def come_in(house, phone, span, timeslot, caller="5551"):
    """A call from outside to the agent: digits, greeting, key 1, queue, telephone.  Returns (call, board ms from seizure to acceptance)."""
    far, mark, rings = house.r2[span], house.r2[span].mark(), phone.mark()
    far.play(timeslot, keys("1"))
    far.call(timeslot, LANDING, caller)
    begun = far.wait_for("call", 5, mark, timeslot)
    accepted = far.wait_for("accepted", 15, mark, timeslot)
    far.wait_for("answered", 5, mark, timeslot)
    phone.wait_for("answered", 15, since=rings)
    return house.wait(lambda s: next((c for c in s["calls"] if c["state"] == "talking"), None), 10, "talking"), accepted["ms"] - begun["ms"]


@pytest.mark.conformance("R2", "Q.440 compelled cycle (live)", "two calls in through the whole house, from libopenr2 1.3.3, China No.1 and ITU")
def test_calls_come_in_with_numbers_and_sound_both_ways(house, phone):
    for span, timeslot in ((5, 7), (6, 31)):
        far = house.r2[span]
        path, far_says, near_says = house.folder / f"far{span}.al", *(probe_moves.material(seed, SECONDS) for seed in (span, span + 50))

        def measure():
            call, set_up_ms = come_in(house, phone, span, timeslot, CALLER)
            assert (call["called"], call["caller"], call["span"], call["timeslot"]) == (LANDING, CALLER, span, timeslot)
            digits = len(LANDING + CALLER) + 3          # with the category, the end of the caller's and the one of group II
            print(f"span {span}: {digits} signals in {set_up_ms} ms of board time, {digits * 1000 / set_up_ms:.1f} a second")
            assert set_up_ms < 12000
            mark = far.mark()
            far.record(timeslot, path)
            far.play(timeslot, far_says)
            phone.play(near_says).wait(SECONDS + 5)
            far.wait_for("play_done", 10, mark, timeslot)
            time.sleep(0.3)
            far.hangup(timeslot) if span == 5 else phone.hangup()
            far.wait_for("end", 5, mark, timeslot)
            heard = exact.match(far_says, phone.received_octets())
            there = exact.match(near_says, path.read_bytes())
            assert heard.exact and there.exact, f"trunk to phone: {heard}; phone to trunk: {there}"
            return call["call"]
        found = house.cdr(probe_moves.undisturbed(measure, house, phone))
        assert (found["cdr"]["caller"], found["cdr"]["called"], found["cdr"]["result"]) == (CALLER, LANDING, "answered")
        assert found["cdr"]["released_by"] == ("caller" if span == 5 else "agent"), "clear-forward, clear-back"
        trace = house.product.octets("/api/v1/calls/%s/trace" % found["cdr"]["call"])
        assert trace[:4] == b"\x0a\x0d\x0d\x0a" and b"timeslot %d: far end sends ABCD" % timeslot in trace and b"r2_backward signal" in trace, "R2 as text (pcapng)"
        if span == 6:
            assert far.events("disconnect", timeslot=timeslot), "libopenr2 took our clear-back for one"


def test_a_number_that_is_not_ours_is_refused_with_the_reason(house, phone):
    marks = {span: house.r2[span].mark() for span in (5, 6)}
    for span in marks:
        house.r2[span].call(3, "1999", "5551")
    for span, mark in marks.items():
        refused = house.r2[span].wait_for("disconnect", 15, mark, 3)
        assert refused["words"] == ["2"], "OR2_CAUSE_UNALLOCATED_NUMBER"
        house.r2[span].wait_for("end", 5, mark, 3)


def test_calls_go_out_and_end_both_ways(house, phone):
    far = house.r2[7]
    for by in ("far", "near"):
        mark, rings = far.mark(), phone.mark()
        phone.dial("9" + DIALLED)
        offered = far.wait_for("offered", 15, mark)
        assert offered["words"][:2] == [OURS, DIALLED]
        phone.wait_for("answered", 10, since=rings)
        call = house.wait(lambda s: next((c for c in s["calls"] if c["state"] == "talking"), None), 10, "talking")["call"]
        if by == "far":
            far.hangup(offered["timeslot"])
            phone.wait_for("closed", 5, since=rings)
        else:
            phone.hangup()
            far.wait_for("disconnect", 5, mark, offered["timeslot"])
        far.wait_for("end", 5, mark, offered["timeslot"])
        cdr = house.cdr(call)["cdr"]
        assert (cdr["released_by"], cdr["out_span"], cdr["cause"]) == ("callee" if by == "far" else "caller", 7, 16)
        house.wait(lambda s: any(a["name"] == "1002" and a["state"] == "idle" for a in s["agents"]), 20, "the agent idle")


@pytest.mark.parametrize("country", [pytest.param(country, marks=pytest.mark.conformance("R2", "%s (live)" % country.upper(),
                                     "calls in and out through the whole house with libopenr2, sound both ways")) for country in COUNTRIES])
def test_other_countries_both_ways(house, phone, country):
    """Signals and line bits of each country as data; in with sound both ways, and out (with sound too where all are run)."""
    span = 9 + COUNTRIES.index(country)
    far, path = house.r2[span], house.folder / f"{country}.al"
    far_says, near_says = (probe_moves.material(seed, SECONDS) for seed in (span + 100, span + 150))

    def converse(timeslot):
        mark = far.mark()
        far.record(timeslot, path)
        far.play(timeslot, far_says)
        phone.play(near_says).wait(SECONDS + 5)
        far.wait_for("play_done", 10, mark, timeslot)
        time.sleep(0.3)
        far.hangup(timeslot)
        far.wait_for("end", 5, mark, timeslot)
        heard, there = exact.match(far_says, phone.received_octets()), exact.match(near_says, path.read_bytes())
        assert heard.exact and there.exact, f"{country}: trunk to phone: {heard}; phone to trunk: {there}"

    def comes():
        call, _ = come_in(house, phone, span, 2, "5551")
        assert (call["called"], call["caller"], call["span"], call["timeslot"]) == (LANDING, "5551", span, 2)
        converse(2)

    def goes():
        house.wait(lambda s: any(a["name"] == "1002" and a["state"] == "idle" for a in s["agents"]), 20, "the agent idle")
        mark, rings = far.mark(), phone.mark()
        phone.dial("7%d" % COUNTRIES.index(country) + DIALLED)
        offered = far.wait_for("offered", 20, mark)
        assert offered["words"][:2] == [OURS, DIALLED]
        phone.wait_for("answered", 10, since=rings)
        house.wait(lambda s: any(c["state"] == "talking" for c in s["calls"]), 10, "talking")
        if WHOLE:
            converse(offered["timeslot"])
        else:
            far.hangup(offered["timeslot"])
        phone.wait_for("closed", 5, since=rings)
    probe_moves.undisturbed(comes, house, phone)
    house.wait_idle(20)
    probe_moves.undisturbed(goes, house, phone)


def slot(house, span, timeslot):
    row = next(row for row in house.state()["spans"] if row["span"] == span)
    return next(each for each in row["timeslots"] if each["timeslot"] == timeslot)


@pytest.mark.conformance("R2", "Q.422 blocking (live)", "a circuit locked by hand is blocked at libopenr2, one that libopenr2 blocks takes no call of ours; over a death of control")
def test_circuits_out_of_service_at_either_end(house, phone):
    far, mark, rings = house.r2[7], house.r2[7].mark(), phone.mark()
    row = house.product.post("/cas/7/circuits", {"do": "lock", "timeslots": [1]})
    assert next(each for each in row["timeslots"] if each["timeslot"] == 1)["near"] == "out_of_service"
    far.wait_for("blocked", 30, mark, 1)
    far.command("block 2")
    house.product.post("/cas/8/circuits", {"do": "lock", "timeslots": [5]})
    house.em.wait(lambda: house.em.off_hook(5), 30, "off-hook of a circuit of E&M that is taken out of service")
    house.wait(lambda s: slot(house, 7, 2)["why"] == "blocked", 30, "the far end's blocking")
    house.kill("control")
    house.wait(lambda s: s["spans"] and slot(house, 7, 1)["why"] == "blocking" and slot(house, 7, 2)["why"] == "blocked" and
               slot(house, 8, 5)["why"] == "blocking" and slot(house, 7, 3)["state"] == "idle", 30, "all of it after the death of control")
    phone.dial("9" + DIALLED)
    offered = far.wait_for("offered", 30, mark)
    assert offered["timeslot"] == 3
    phone.wait_for("answered", 30, since=rings)
    phone.hangup()
    far.wait_for("end", 30, mark, 3)
    free = far.mark()
    for span in (7, 8):
        house.product.post(f"/cas/{span}/circuits", {"do": "unlock"})
    far.command("idle 2")
    far.wait_for("idle", 30, free, 1)
    house.em.wait(lambda: not house.em.off_hook(5), 30, "on-hook")
    house.wait(lambda s: all(slot(house, *place)["state"] == "idle" for place in ((7, 1), (7, 2), (8, 5))), 30, "all in service")


def test_refusals_of_the_far_end_become_causes(house, phone):
    """B-2 busy is 17, B-5 unallocated 1 (Q.850); the telephone hears what RFC 3398 makes of them."""
    far = house.r2[7]
    for offer, status in (("busy", 486), ("unallocated", 404)):
        far.policy(offer=offer)
        rings = phone.mark()
        phone.dial("9" + DIALLED)
        assert phone.wait_for("refused", 20, since=rings)["status"] == status
        house.wait_idle(10)


def test_control_is_killed(house, phone):
    """A talking call stands; calls in the middle of their digits go on or end, and no circuit stays taken."""
    call, _ = come_in(house, phone, 5, 9)
    mark = house.r2[5].mark()
    house.kill("control")
    time.sleep(0.5)
    assert not house.r2[5].events("disconnect", mark) and not house.r2[5].events("end", mark)
    house.wait(lambda s: any(c["call"] == call["call"] and c["state"] == "talking" for c in s["calls"]), 10, "the same call talking")
    house.r2[5].hangup(9)
    house.r2[5].wait_for("end", 5, mark, 9)
    assert house.cdr(call["call"])["cdr"]["released_by"] == "caller"
    house.wait(lambda s: any(a["name"] == "1002" and a["state"] == "idle" for a in s["agents"]), 20, "the agent idle")
    mark = house.r2[5].mark()
    house.r2[5].call(11, LANDING, CALLER)
    house.r2[5].wait_for("call", 5, mark, 11)
    time.sleep(random.uniform(0.1, 1.0))            # no digit is with the switchboard yet: called_length is 4, the caller comes last
    house.kill("control")
    house.r2[5].wait_for("answered", 14, mark, 11)
    assert house.wait(lambda s: s["calls"], 5, "the call")[0]["caller"] == CALLER, "no digit was lost"
    house.r2[5].hangup(11)


def test_a_line_in_alarm_clears_its_calls_and_comes_back(house, phone):
    call, _ = come_in(house, phone, 6, 5)
    mark = house.r2[6].mark()
    house.r2[6].line("ais")
    house.wait(lambda s: next(span for span in s["spans"] if span["span"] == 6)["state"] == "alarm", 10, "span 6 in alarm")
    house.wait(lambda s: not s["calls"], 15, "the call cleared")
    assert house.cdr(call["call"])["cdr"]["cause"] == 38
    house.r2[6].line("normal")
    house.r2[6].hangup(5)
    house.r2[6].wait_for("end", 10, mark, 5)
    house.wait(lambda s: next(span for span in s["spans"] if span["span"] == 6)["state"] == "up", 15, "span 6 up again")


def test_robbed_bits_carry_calls_both_ways(house, phone):
    """E&M wink start on a T1: in to the agent, out from the telephone; mu-law there, A-law here."""
    far, rings = house.em, phone.mark()
    wink_ms = far.call(3, LANDING)
    assert 140 <= wink_ms <= 290, f"GR-506: our wink is {wink_ms} ms"
    far.wait(lambda: far.off_hook(3), 10, "the answer")
    far.pause(500)
    far.say(3, em_keys("1"))
    phone.wait_for("answered", 15, since=rings)
    call = house.wait(lambda s: next((c for c in s["calls"] if c["state"] == "talking"), None), 10, "talking")
    assert (call["called"], call["span"], call["timeslot"]) == (LANDING, 8, 3)
    far.hook(3, False)
    far.wait(lambda: not far.off_hook(3), 5, "on-hook from us")
    phone.wait_for("closed", 5, since=rings)
    assert house.cdr(call["call"])["cdr"]["released_by"] == "caller"
    house.wait_idle(10)
    house.wait(lambda s: any(a["name"] == "1002" and a["state"] == "idle" for a in s["agents"]), 20, "the agent idle")
    rings = phone.mark()
    phone.dial("8" + DIALLED)
    far.wait(lambda: far.checker.cas_bits.any(), 10, "a seizure")
    timeslot = int(np.flatnonzero(far.checker.cas_bits)[0]) + 1
    far.listen(timeslot)
    far.pause(150)
    far.hook(timeslot, True)
    far.pause(200)
    far.hook(timeslot, False)
    far.wait(lambda: far.digits(timeslot) == DIALLED, 10, "the digits")
    far.pause(300)
    far.hook(timeslot, True)
    phone.wait_for("answered", 5, since=rings)
    call = house.wait(lambda s: next((c for c in s["calls"] if c["state"] == "talking"), None), 10, "talking")["call"]
    phone.hangup()
    far.wait(lambda: not far.off_hook(timeslot), 5, "on-hook from us")
    far.hook(timeslot, False)
    cdr = house.cdr(call)["cdr"]
    assert (cdr["out_span"], cdr["result"], cdr["released_by"]) == (8, "answered", "caller")
