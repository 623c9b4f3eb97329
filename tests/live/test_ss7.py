"""SS7 through the whole house, 24-bit point codes of China: libss7 (its labels rewritten) as the other exchange, on two spans with a signalling link in each.

The link of span 1 is in timeslot 16, that of span 2 in timeslot 7: signalling goes in any timeslot.  Media is compared
octet by octet with a probe telephone (A-law on both sides, enhancement off).  STROWGER_SS7_VARIANT=itu or ansi runs the same with
14-bit point codes and libss7 as it is."""

import os
import pathlib
import shutil
import subprocess
import time

import numpy as np
import pytest

from hil.board import bench
from hil.probes import exact, wav
from hil.product import ProductError
from tests.live import probe_moves
from tests.live.conftest import CALLER, LANDING, REDIRECTING, House
from tests.live.ss7_trace import units_of_ours

BINARY = pathlib.Path(__file__).parents[2] / "build" / "hil" / "far-ss7"
pytestmark = [pytest.mark.live, pytest.mark.skipif(not BINARY.exists(), reason="libss7-dev is not installed: no far-ss7")]
# `make conformance` takes all three.
VARIANTS = ("china", "itu", "ansi") if os.environ.get("STROWGER_WHOLE") else (os.environ.get("STROWGER_SS7_VARIANT", "china"),)
# Point codes 100 and 200, in the low 14 bits; what tshark calls the labels.
CODES = {"itu": ("0-12-4", "0-25-0", "ITU"), "china": ("11-64-100", "11-64-200", "Chinese ITU"), "ansi": ("0-0-100", "0-0-200", "ANSI")}
NUMBER, SECONDS = "13900001111", 2
# libss7 drops a message about a link that comes over another one (COO, CBD of Q.704 5.4, 6.3.2): tests/proto/test_mtp3_libss7.py.
TOLERATED = ("Received message for slc", "COO", "COA", "T2")


class SS7House(House):
    """A house whose two spans are SS7, and libss7 at their other end."""

    variant = "china"

    def start(self):
        self.start_board()
        self.start_product()
        running = self.product.get("/configuration")
        config = running["configuration"]
        for span in config["spans"]:
            span["signalling"] = "ss7"
        config["trunk_groups"][0]["selection"] = "ascending"
        # Span 2 is a group of its own, reached by 8: its calls are checked for continuity, its numbers go out in pieces.
        config["trunk_groups"].append(dict(config["trunk_groups"][0], name="second", label="Second"))
        config["spans"][1]["trunk_group"] = "second"
        config["routes"].insert(0, {"number": "8.", "label": "Second", "class": "local", "choices": [{"trunk_group": "second", "strip": 1}]})
        ours, theirs, self.standard = CODES[self.variant]
        config["ss7"] = [{"name": "carrier", "variant": self.variant, "point_code": ours,
                           "isup_timers": {"T25": 1000, "T26": 3000}, "linksets": [
            {"name": "a", "adjacent": theirs, "links": [{"span": 1, "timeslot": 16, "slc": 0}, {"span": 2, "timeslot": 7, "slc": 1}]}],
            "circuit_groups": [{"name": "g", "destination": theirs, "circuits": [{"cic": 1, "span": 1, "timeslot": 1}]},
                               {"name": "h", "destination": theirs, "circuits": [{"cic": 33, "span": 2, "timeslot": 1}], "continuity": 100,
                                "overlap_digits": 0 if self.variant == "ansi" else 5}]}]
        self.product.post("/configuration/apply", running)
        from hil.far.ss7 import FarSS7
        self.far = FarSS7(self.run_dir, [1, 2], [(1, 16, 0), (2, 7, 1)], own=200, other=100, variant=self.variant, crc4=[1],
                          trace_dir=self.folder / "trace").start()
        self.far.wait_for("ss7_up", 20)
        self.up()
        return self

    def up(self, timeout_s=15):
        """Wait until every circuit and both links are in service."""
        self.wait(lambda s: len(s["spans"]) == 2 and all(span["state"] == "up" for span in s["spans"])
                  and all(link["usable"] for link in s["ss7"][0]["links"]) and sum(row["available"] for row in s["ss7"][0]["circuit_groups"]) == 60,
                  timeout_s, "both links and all circuits")

    def place(self, span=1, overlap=None, record=True, **options):
        """libss7 sends no SAM: en bloc only."""
        return super().place(span=span, record=record, **options)


@pytest.fixture(scope="module", params=VARIANTS)
def house(tmp_path_factory, request):
    with SS7House(tmp_path_factory.mktemp("ss7-" + request.param)) as rig:
        rig.variant = request.param
        yield rig.prepare()


@pytest.fixture(scope="module")
def phone(house):
    with probe_moves.probe_agent(house) as phone:
        yield phone
    house.far.policy()


@pytest.fixture(autouse=True)
def quiet(house, phone):
    yield
    phone.hangup()
    house.wait_idle(15)
    errors = [e["text"] for e in house.far_events("exchange_error") if not any(word in e["text"] for word in TOLERATED)]
    assert not errors, errors


def octets_of(path):
    octets = path.read_bytes()
    at = octets.index(b"data")
    return octets[at + 8:at + 8 + int.from_bytes(octets[at + 4:at + 8], "little")]


def files(house, name, seed):
    """What the far party says, as a file and as octets; what the telephone says."""
    path = house.folder / f"{name}.wav"
    return path, probe_moves.material(seed, SECONDS, path), probe_moves.material(seed + 1, SECONDS)


def links(house):
    return {link["link"]: link["usable"] for link in house.state()["ss7"][0]["links"]}


def board(house, **request):
    answer = bench.ask(str(house.run_dir), request)
    assert answer["ok"], answer


@pytest.mark.conformance("Q.784.1", "2.2.1b", "En bloc: incoming call")
@pytest.mark.conformance("Q.784.1", "1.2.6", "Reset of circuits -- Circuit group reset sent")
def test_a_call_comes_in_and_both_hear_each_other(house, phone):
    assert {(e["first"], e["last"]) for e in house.far_events("grs")} == {(1, 15), (17, 31), (33, 38), (40, 63)}, "again after T22 where libss7 was late"
    path, far_says, near_says = files(house, "in", 91)

    def measure():
        name, call = probe_moves.talk(house, phone, span=2, timeslot=31)
        house.far.play(name, path)
        phone.play(near_says).wait(SECONDS + 5)
        house.far.wait_for("play_done", SECONDS + 5, id=name)
        time.sleep(0.2)
        heard, _ = probe_moves.end(house, name)
        assert exact.match(far_says, phone.received_octets()).exact, str(exact.match(far_says, phone.received_octets()))
        assert exact.match(near_says, heard).exact, str(exact.match(near_says, heard))
        return call
    found = house.cdr(probe_moves.undisturbed(measure, house, phone))
    cdr = found["cdr"]
    assert (cdr["result"], cdr["released_by"], cdr["cause"], cdr["span"], cdr["timeslot"]) == ("answered", "caller", 16, 2, 31)
    assert (cdr["caller"], cdr["called"], cdr["redirecting"], cdr["agent"]) == (CALLER, LANDING, REDIRECTING, "1002")
    assert cdr["talk_ms"] > SECONDS * 1000 and len(found["recordings"]) == 1


@pytest.mark.conformance("Q.784.1", "2.2.1a", "En bloc: outgoing call")
def test_a_telephone_calls_out(house, phone):
    path, far_says, near_says = files(house, "out", 95)

    def measure():
        house.far.policy(record_dir=house.folder, alerting_ms=50, answer_ms=150)
        house.wait_agent_idle(phone.user, 20)
        mark, far_mark = phone.mark(), house.far.mark()
        phone.dial("9" + NUMBER)
        incoming = house.far.wait_for("incoming", 5, since=far_mark)
        assert (incoming["called"].rstrip("#F"), incoming["caller"], incoming["cic"]) == (NUMBER, "02150801000", 1)
        phone.wait_for("answered", 5, since=mark)
        call = house.wait_call("talking")["call"]
        house.far.play(incoming["id"], path)
        phone.play(near_says).wait(SECONDS + 5)
        house.far.wait_for("play_done", SECONDS + 5, id=incoming["id"])
        time.sleep(0.2)
        house.far.hangup(incoming["id"])
        phone.wait_for("closed", 5, since=mark)
        house.far.wait_for("record_closed", 5, id=incoming["id"])
        there = octets_of(house.folder / f"{incoming['id']}.wav")
        assert exact.match(far_says, phone.received_octets()).exact, str(exact.match(far_says, phone.received_octets()))
        assert exact.match(near_says, there).exact, str(exact.match(near_says, there))
        return call
    cdr = house.cdr(probe_moves.undisturbed(measure, house, phone))["cdr"]
    assert (cdr["result"], cdr["released_by"], cdr["cause"], cdr["dialled"], cdr["out_span"], cdr["out_timeslot"]) == (
        "answered", "callee", 16, NUMBER, 1, 1)


def check_tone(path):
    """A file of 2000 Hz at -12 dBm0, 1 s."""
    samples = np.rint(32768 * 10 ** ((-12 - 3.14) / 20) * np.sin(2 * np.pi * 2000 / 8000 * np.arange(8000)))
    wav.write_alaw(path, samples.astype(np.int16))
    return octets_of(path)


@pytest.mark.conformance("Q.784.1", "6.1.1", "Continuity check required")
def test_a_call_out_is_checked_and_its_number_goes_in_pieces(house, phone):
    path, far_says, near_says = files(house, "checked", 99)

    def measure():
        house.far.command("policy", incoming="answer", alerting_ms=50, answer_ms=150, record_dir=str(house.folder),
                          overlap=house.variant != "ansi")
        house.wait_agent_idle(phone.user, 20)
        mark, far_mark = phone.mark(), house.far.mark()
        phone.dial("8" + NUMBER)
        incoming = house.far.wait_for("incoming", 10, since=far_mark)
        assert house.far.wait_for("continuity", 5, since=far_mark)["loop"]
        if house.variant == "ansi":                     # T1.113 has no SAM
            assert (incoming["called"], incoming["cic"]) == (NUMBER, 33)
        else:
            assert (incoming["called"], incoming["cic"]) == (NUMBER[:5], 33)
            assert house.far.wait_for("digits", 5, since=far_mark)["digits"].rstrip("#F").endswith(NUMBER[5:])
        assert house.far.wait_for("cot", 10, since=far_mark)["passed"]
        phone.wait_for("answered", 10, since=mark)
        house.wait_call("talking")
        house.far.play(incoming["id"], path)
        phone.play(near_says).wait(SECONDS + 5)
        house.far.wait_for("play_done", SECONDS + 5, id=incoming["id"])
        time.sleep(0.2)
        house.far.hangup(incoming["id"])
        phone.wait_for("closed", 5, since=mark)
        house.far.wait_for("record_closed", 5, id=incoming["id"])
        there = octets_of(house.folder / f"{incoming['id']}.wav")
        assert exact.match(far_says, phone.received_octets()).exact, str(exact.match(far_says, phone.received_octets()))
        assert exact.match(near_says, there).exact, str(exact.match(near_says, there))
    probe_moves.undisturbed(measure, house, phone)
    assert house.state()["ss7"][0]["counters"]["isup"]["continuity_checks_passed"] >= 1


@pytest.mark.conformance("Q.784.1", "6.2.4", "Continuity check failure")
def test_a_circuit_without_continuity_is_passed_over(house, phone):
    house.far.command("policy", incoming="answer", answer_ms=100, deaf=33, overlap=house.variant != "ansi")
    mark, far_mark = phone.mark(), house.far.mark()
    phone.dial("8" + NUMBER)
    assert not house.far.wait_for("cot", 10, since=far_mark)["passed"]
    house.far.wait_for("cot", 10, since=far_mark, passed=True)
    house.far.command("policy", incoming="answer", answer_ms=100, overlap=house.variant != "ansi")
    phone.wait_for("answered", 15, since=mark)
    assert [e["cic"] for e in house.far_events("incoming", since=far_mark)] == [33, 34]
    phone.hangup()
    assert house.far.wait_for("ccr", 15, since=far_mark)["cic"] == 33       # T25
    house.wait(lambda s: s["ss7"][0]["circuit_groups"][1]["available"] == 30, 15, "CIC 33 is good again")
    house.far.policy()


def test_a_call_in_is_checked_and_its_number_comes_in_pieces(house, phone):
    tone = check_tone(house.folder / "tone.wav")
    path, far_says, near_says = files(house, "overlap", 103)

    def measure():
        house.wait_agent_idle(phone.user, 30)
        mark = phone.mark()
        pieces = house.variant != "ansi"
        name = house.place(span=2, timeslot=20, called=LANDING[:6] if pieces else LANDING, continuity=True, open=pieces)
        house.far.play(name, house.folder / "tone.wav")
        house.far.wait_for("play_done", 10, id=name)
        assert not house.state()["calls"], "the call is presented when its circuit has been checked"
        digits = LANDING[6:] + "F"                    # SAM: one number, low nibble first
        digits += "0" * (len(digits) % 2)
        body = bytes(int(digits[i + 1] + digits[i], 16) for i in range(0, len(digits), 2))
        if pieces:
            house.far.raw(52, bytes([2, 2, 0, 1 + len(body), 0x80 * (len(LANDING[6:] + "F") % 2)]) + body)
        house.far.raw(52, b"\x05\x01")                # COT, successful
        house.far.wait_for("connect", 10, id=name)
        house.far.dtmf(name, "1")
        phone.wait_for("answered", 15, since=mark)
        house.wait_call("talking")
        time.sleep(0.2)                     # the record comes before the bridge
        far_mark = house.far.mark()
        house.far.play(name, path)
        phone.play(near_says).wait(SECONDS + 5)
        house.far.wait_for("play_done", SECONDS + 5, id=name, since=far_mark)
        time.sleep(0.2)
        heard, _ = probe_moves.end(house, name)
        assert exact.match(tone[2000:7000], heard).at is not None, "the loop"
        assert exact.match(far_says, phone.received_octets()).exact, str(exact.match(far_says, phone.received_octets()))
        assert exact.match(near_says, heard).exact, str(exact.match(near_says, heard))
    probe_moves.undisturbed(measure, house, phone)


def when_idle(house, order):
    """Give an order about circuits as soon as they are idle: the release of the call before may still be on its way."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return house.product.post("/ss7/carrier/circuits/h", order)
        except ProductError as error:
            assert "idle" in str(error) and time.monotonic() < deadline, error
            time.sleep(0.2)


def test_a_circuit_is_checked_by_hand(house):
    """CCR on an idle circuit, by the API; the far exchange's loop, then its deafness."""
    house.wait(lambda s: s["ss7"][0]["circuit_groups"][1]["available"] == 30, 90, "idle circuits")
    for deaf, word in ((0, "passed"), (63, "failed")):
        house.far.command("policy", incoming="answer", deaf=deaf)
        mark = house.far.mark()
        when_idle(house, {"do": "check", "cics": [63]})
        house.far.wait_for("ccr", 10, since=mark)
        house.wait(lambda s: [slot.get("continuity") for slot in s["spans"][1]["timeslots"] if slot["timeslot"] == 31] == [word], 20, "the result")
    house.far.policy()
    house.wait(lambda s: s["ss7"][0]["circuit_groups"][1]["available"] == 30, 90, "the circuit is good again after T26")


def test_the_caller_leaves_a_call_whose_release_we_control(house, phone):
    """China: CCL, scripted, over libss7's MTP; the call is the caller's no more, and the circuit is released by us."""
    if house.variant != "china":
        pytest.skip("CCL is China's (YDN 038)")
    name, call = probe_moves.talk(house, phone, span=1, timeslot=20)
    house.far.raw(20, b"\xfc\x00")
    assert house.far.wait_for("hangup", 10, id=name)["by"] == "box"
    cdr = house.cdr(call)["cdr"]
    assert (cdr["released_by"], cdr["cause"], cdr["result"]) == ("caller", 16, "answered")


def test_refusals_both_ways(house, phone):
    mark = house.far.mark()
    house.place(span=1, called="999", record=False)
    assert (house.far.wait_for("hangup", 5, since=mark)["cause"], house.far.wait_for("released", 5, since=mark)["cause"]) == (1, 1)
    house.far.policy(incoming="refuse", cause=17)
    mark = phone.mark()
    phone.dial("9" + NUMBER)
    assert phone.wait_for("refused", 5, since=mark)["status"] == 486
    # A circuit that the far exchange blocks is passed over; one that it refuses with 44 costs another attempt.
    house.far.command("blo", first=1)
    house.wait(lambda s: s["ss7"][0]["circuit_groups"][0]["available"] == 29, 5, "CIC 1 blocked")
    house.far.policy(incoming="refuse", cause=44)
    mark, far_mark = phone.mark(), house.far.mark()
    phone.dial("9" + NUMBER)
    phone.wait_for("refused", 10, since=mark)
    tried = [e["cic"] for e in house.far_events("incoming", since=far_mark)]
    assert len(tried) == 6 and len(set(tried)) == 6 and 1 not in tried, "hunt_limit circuits, each once"
    house.far.command("ubl", first=1)
    house.far.policy()
    house.up()


def test_control_is_killed_in_the_middle_of_calls(house, phone):
    """Links stay in service, the call stays, nothing is reset; a release that comes while nobody is there ends its call."""
    name, call = probe_moves.talk(house, phone)
    mark = house.far.mark()
    house.kill("control")
    time.sleep(2.0)
    assert house.wait_call("talking")["call"] == call
    assert not house.far_events("link_down", "ss7_down", "grs", "reset", "hangup", since=mark)
    house.far.hangup(name)
    house.far.wait_for("released", 8, id=name)
    assert house.cdr(call)["cdr"]["released_by"] == "caller"
    house.wait_agent_idle(phone.user, 30)
    name, call = probe_moves.talk(house, phone)
    house.kill("control")
    house.far.hangup(name)
    house.far.wait_for("released", 10, id=name)
    cdr = house.cdr(call, 15)["cdr"]
    assert (cdr["result"], cdr["released_by"], cdr["cause"]) == ("answered", "caller", 16)
    assert not house.far_events("link_down", "ss7_down", "grs", "reset", since=mark)


def test_one_of_two_links_is_lost_with_its_span(house, phone):
    """Loss of signal on span 1: the other link carries on, calls of span 2 stay, circuits of span 1 are blocked for hardware."""
    name, call = probe_moves.talk(house, phone, span=2)
    mark = house.far.mark()
    board(house, do="inject", span=1, fault="unplug", on=True)
    try:
        house.wait(lambda s: [row["usable"] for row in s["ss7"][0]["links"]] == [False, True], 3, "the changeover")
        house.far.wait_for("cgb_hardware", 10, since=mark)
        house.wait(lambda s: [span["state"] for span in s["spans"]] == ["alarm", "up"], 5, "the alarm")
        assert house.wait_call("talking")["call"] == call and not house.far_events("ss7_down", "hangup", since=mark)
        far_mark = house.far.mark()                     # signalling goes on over the other link
        house.place(span=2, called="999", record=False)
        assert house.far.wait_for("hangup", 5, since=far_mark)["cause"] == 1
        house.far.hangup(name)
        house.far.wait_for("released", 8, id=name)
    finally:
        board(house, do="inject", span=1, fault="unplug", on=False)
    house.up(25)
    assert (house.cdr(call)["cdr"]["released_by"], house.cdr(call)["cdr"]["cause"]) == ("caller", 16)


def test_the_trace_of_a_call_has_its_frames_only(house, phone):
    """From the ring on the disk, by the record of the call: both IAM and REL, the telephone's INVITE to BYE; no message of another circuit
    or telephone's call.  And the whole trace of everything, streamed, which has them as well."""
    name, call = probe_moves.talk(house, phone, span=2, timeslot=30)
    probe_moves.end(house, name)
    house.cdr(call)
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    path = house.folder / "call.pcapng"
    path.write_bytes(house.product.octets(f"/api/v1/calls/{call}/trace"))
    out = subprocess.run(["tshark", "-n", "-r", str(path), "-o", "mtp3.standard:" + house.standard, "-T", "fields", "-e", "_ws.col.Info",
                          "-e", "_ws.malformed", "-e", "isup.cic", "-e", "sip.Call-ID", "-e", "sip.CSeq.method"], capture_output=True, text=True, check=True).stdout
    rows = [line.split("\t") for line in out.splitlines()]
    assert not any(row[1] for row in rows), rows
    isup, over_ip = [row for row in rows if row[2]], [row for row in rows if row[3]]
    assert {row[2] for row in isup} == {"62"} and len(isup) + len(over_ip) == len(rows), rows
    assert [row[0].split()[0] for row in isup][:1] == ["IAM"] and {"ACM", "ANM", "REL", "RLC"} <= {row[0].split()[0] for row in isup}
    assert len({row[3] for row in over_ip}) == 1 and {"INVITE", "ACK", "BYE"} <= {row[4] for row in over_ip}, rows
    everything = house.product.octets("/api/v1/trace")
    assert over_ip[0][3].encode() in everything and len(everything) > path.stat().st_size


def test_every_unit_of_ours_is_read_by_tshark_without_complaint(house):
    """Last of the module: the far exchange's trace of all that we said above."""
    units = units_of_ours(house, "ss7-" + house.variant, house.standard)
    assert [complaint for _, complaint, _ in units if complaint] == []
    kinds = {word for info, _, _ in units for word in info.split()}
    for kind in ("SLTM", "TRA", "GRS", "IAM", "ACM", "ANM", "REL", "RLC", "BLA"):
        assert kind in kinds, kind
