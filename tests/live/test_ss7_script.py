"""SS7 through the whole house where libss7 cannot follow: a scripted exchange of China's network (hil/far/ss7_script.py; level 1 is spandsp's).

Two links: s1.16 with basic correction, s2.7 with preventive cyclic retransmission.  Circuits do not follow their timeslots: CIC 1 is timeslot 1
of span 1 and so on; on span 2 CIC 101 to 109 are timeslots 20 to 28, whose calls the called party ends, and CIC 201 to 206 timeslots 1 to 6."""

import os
import time

import pytest

from hil.board import bench
from hil.far.ss7_script import BINARY, LID, LIN, LUN, rel
from hil.probes import exact
from tests.conftest import WHOLE_ONLY
from tests.live import probe_moves
from tests.live.ss7_script_house import ANSWERED, OURS, THEIRS, ScriptHouse
from tests.live.ss7_trace import units_of_ours

SCRIPTED = BINARY.with_name("far-ss7")
pytestmark = [pytest.mark.live, pytest.mark.skipif(not SCRIPTED.exists(), reason="libss7-dev is not installed: no far-ss7")]
ALL = bool(os.environ.get("STROWGER_WHOLE"))
AGENT, CALLER, OUT = "7002", "13912345678", "13900001111"
SECONDS = 2
BASIC, PCR = 0, 1           # the links' SLC; even CICs go over the first, odd ones over the second
N1 = 4                      # messages that may wait for their acknowledgement before a forced retransmission (Q.703 6.4)


class ScriptedHouse(ScriptHouse):
    """A link of each kind of correction, three circuit groups that differ in who ends a call."""

    links = [(1, 16, BASIC, "basic"), (2, 7, PCR, "pcr")]
    circuits = 45

    def arrange(self, config):
        config["trunk_groups"].append(dict(config["trunk_groups"][0], name="second", label="Second", selection="ascending"))
        config["spans"][1]["trunk_group"] = "second"
        config["routes"].insert(0, {"number": "8.", "label": "Second", "class": "local", "choices": [{"trunk_group": "second", "strip": 1}]})
        config["numbers"].append({"number": AGENT, "application": "agent", "target": "1002"})
        config["ss7"] = [{
            "name": "cn", "variant": "china", "point_code": OURS, "mtp2_parameters": {"N1": N1},
            "linksets": [{"name": "a", "adjacent": THEIRS, "links": self.link_rows()}],
            "circuit_groups": [
                {"name": "plain", "destination": THEIRS, "circuits": [{"cic": 1, "span": 1, "timeslot": 1}]},
                {"name": "called", "destination": THEIRS, "circuits": [{"cic": 101, "span": 2, "timeslot": 20, "count": 9}], "release_in": "called",
                 "metering_s": 1, "metering_units": 3, "hold_s": 60},
                {"name": "caller", "destination": THEIRS, "circuits": [{"cic": 201, "span": 2, "timeslot": 1, "count": 6}], "release_in": "caller",
                 "release_out": "called", "hold_s": 60}]}]

    def come(self, phone, cic):
        """A call in to the agent, answered.  Returns the call."""
        self.wait_agent_idle(phone.user, 30)
        mark, rings = self.far.mark(), phone.mark()
        self.far.iam(cic, AGENT, CALLER)
        phone.wait_for("answered", 30, since=rings)
        self.far.wait_for("isup", 30, since=mark, name="ANM", cic=cic)
        return self.wait(lambda s: next((c for c in s["calls"] if c["state"] == "talking"), None), 30, "the talking call")


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with ScriptedHouse(tmp_path_factory.mktemp("script")) as rig:
        yield rig.prepare()


@pytest.fixture(scope="module")
def phone(house):
    with probe_moves.probe_agent(house) as phone:
        yield phone


@pytest.fixture(autouse=True)
def settled(house, phone):
    """Instead of conftest.py's: calls are the script's."""
    yield
    phone.hangup()
    house.far.answers = True
    for link in house.far.links.values():
        link.held, link.lose = False, 0
    house.wait_idle(30)
    house.up()


@WHOLE_ONLY
@pytest.mark.conformance("Q.763", "1.2 CIC and timeslot", "a map of codes that do not follow the timeslots, signalling in timeslot 7; sound both ways octet by octet")
@pytest.mark.conformance("YDN 038", "MPM sent", "metering pulses of an answered call: at the answer, each second, by command (CLI)")
@pytest.mark.conformance("YDN 038", "OPR both ways", "an operator's signal on an answered call is noted; by command (REST) one is sent")
def test_a_call_on_an_irregular_circuit_is_metered_and_signalled_by_an_operator(house, phone):
    far, path = house.far, house.folder / "far.wav"

    def measure():
        house.wait_agent_idle(phone.user, 30)
        mark, name = far.mark(), "c%d" % far.mark()
        far_says, near_says = probe_moves.material(61, SECONDS, path), probe_moves.material(62, SECONDS)
        far.seat(name, 2, 24, house.folder / f"{name}.wav")
        call = house.come(phone, 105)
        assert (call["span"], call["timeslot"], call["caller"], call["called"]) == (2, 24, CALLER, AGENT)
        time.sleep(0.2)                     # the record comes before the bridge
        far.play(name, path)
        phone.play(near_says).wait(SECONDS + 10)
        far.wait_for("play_done", SECONDS + 10, id=name)
        time.sleep(0.2)
        far.unseat(name)
        far.wait_for("record_closed", 10, id=name)
        octets = (house.folder / f"{name}.wav").read_bytes()
        heard = octets[octets.index(b"data") + 8:]
        try:
            assert exact.match(far_says, phone.received_octets()).exact, str(exact.match(far_says, phone.received_octets()))
            assert exact.match(near_says, heard).exact, str(exact.match(near_says, heard))
        except AssertionError:
            far.isup(105, "REL", rel())
            house.wait_idle(30)
            raise
        return call, mark
    call, mark = probe_moves.undisturbed(measure, house, phone)
    pulses = [e["octets"] for e in far.events("isup", since=mark, name="MPM", cic=105)]
    assert len(pulses) >= 3 and set(pulses) == {"fd000300"}, "charge information of two octets, no optional part: %s" % pulses
    far.isup(105, "OPR", b"\0")
    house.wait(lambda s: s["calls"] and s["calls"][0]["legs"][0]["heard"].get("operator") == {"count": 1}, 30, "the operator's signal")
    mark = far.mark()
    house.product.post("/ss7/cn/circuits/called", {"do": "operator", "cics": [105]})
    assert far.wait_isup("OPR", 105, mark)["octets"] == "fe00"
    house.cli("ss7-circuits", "cn", "called", "meter", 105)
    far.wait_isup("MPM", 105, mark)
    far.isup(105, "REL", rel())
    far.wait_isup("RLC", 105, mark)
    cdr = house.cdr(call["call"])["cdr"]
    assert (cdr["span"], cdr["timeslot"], cdr["released_by"], cdr["result"]) == (2, 24, "caller", "answered")


@WHOLE_ONLY
@pytest.mark.conformance("YDN 038", "CCL received", "release by the called party: the caller's CCL holds the call, our party ends it")
def test_the_called_party_ends_a_call_that_the_caller_has_left(house, phone):
    call = house.come(phone, 106)
    house.far.isup(106, "CCL", b"\0")
    house.wait(lambda s: s["ss7"][0]["counters"]["isup"].get("calling_party_clears"), 30, "CCL")
    house.kill("control")                   # that the caller has left outlives this
    house.wait(lambda s: any(c["call"] == call["call"] and c["state"] == "talking" for c in s["calls"]), 30, "the call still there")
    mark = house.far.mark()
    phone.hangup()
    assert house.far.wait_isup("REL", 106, mark)["octets"].startswith("0c0200028")
    assert house.cdr(call["call"])["cdr"]["released_by"] == "agent"


@pytest.mark.conformance("Q.764", "2.4.3 suspend (network), sent", "release by the caller: our party's end is SUS, the circuit waits for the far exchange's REL")
def test_the_caller_s_exchange_releases_what_our_party_has_ended(house, phone):
    call = house.come(phone, 202)
    mark = house.far.mark()
    phone.hangup()
    assert house.far.wait_isup("SUS", 202, mark)["octets"] == "0d0100"
    assert house.cdr(call["call"])["cdr"]["released_by"] == "agent"
    house.wait_agent_idle(phone.user, 30)   # the agent is free, the circuit is not
    house.kill("control")
    house.wait(lambda s: house.group(s, "caller")["busy"] == 1, 30, "the held circuit")
    assert not house.far.events("isup", since=mark, name="REL", cic=202)
    house.far.isup(202, "REL", rel())
    house.far.wait_isup("RLC", 202, mark)


@pytest.mark.conformance("YDN 038", "CCL sent", "release by the called party: what our party ends is told by CCL, the circuit waits for REL")
@pytest.mark.conformance("YDN 038", "MPM received", "metering pulses of a call of ours are added up, in the state and in the CDR")
@pytest.mark.conformance("Q.764", "2.4.3 suspend and resume, received", "SUS and RES of the called party's exchange: the leg is held and retrieved")
def test_a_call_of_ours_is_metered_suspended_and_ended_by_the_called_party(house, phone):
    far = house.far
    house.wait_agent_idle(phone.user, 30)
    mark, rings = far.mark(), phone.mark()
    phone.dial("8" + OUT)
    cic = far.wait_for("isup", 30, since=mark, name="IAM")["cic"]
    assert cic == 201
    for name, body in ANSWERED:
        far.isup(cic, name, body)
    phone.wait_for("answered", 30, since=rings)
    call = house.wait_call("talking", 30)
    for units in (2, 5):
        far.isup(cic, "MPM", units.to_bytes(2, "big") + b"\0")
    house.wait(lambda s: any(leg["heard"].get("charge", {}).get("units") == 7 for leg in s["calls"][0]["legs"]), 30, "seven units")
    for kind, word in (("SUS", "suspends_received"), ("RES", "resumes_received")):
        far.isup(cic, kind, bytes([1, 0]))
        house.wait(lambda s: s["ss7"][0]["counters"]["isup"].get(word) == 1, 30, kind)
    records = [row["kind"] for row in house.product.get("/calls/" + call["call"])["records"]]
    assert "leg.held" in records and "leg.retrieved" in records
    mark = far.mark()
    phone.hangup()
    assert far.wait_isup("CCL", cic, mark)["octets"] == "fc00"
    assert house.slot(2, 1)["state"] == "busy" and not far.events("isup", since=mark, name="REL", cic=cic)
    far.isup(cic, "REL", rel())
    far.wait_isup("RLC", cic, mark)
    cdr = house.cdr(call["call"])["cdr"]
    assert (list(cdr["charged"].values()), cdr["released_by"]) == ([7], "caller")


@pytest.mark.conformance("Q.703", "6.3 preventive cyclic retransmission", "messages that the far end did not take come again without being asked for, and are taken")
@pytest.mark.conformance("Q.703", "6.4 forced retransmission", "no more than N1 messages wait for their acknowledgement; then the next goes out")
def test_messages_that_a_pcr_link_loses_come_again_by_themselves(house, phone):
    far, link = house.far, house.far.links[PCR]
    link.lose = 1
    mark = far.mark()
    far.iam(107, "999")
    answer = far.wait_isup("REL", 107, mark)
    assert len(link.lost) == 1 and answer["slc"] == PCR
    # What the line spoils on the way to us comes again by the far end's repetition, too.
    for fault in ("rx_bits", "tx_bits"):
        told = bench.ask(str(house.run_dir), {"do": "inject", "span": 2, "fault": fault, "count": 400, "timeslot": 7, "on": True})
        assert told["ok"], told
    mark = far.mark()
    far.iam(107, "999")
    far.wait_isup("REL", 107, mark)
    # Nobody acknowledges: N1 messages are repeated in turn, the next one waits.
    link.held = True
    mark = far.mark()
    house.product.post("/ss7/cn/circuits/called", {"do": "block", "cics": [101]})
    for cic in (103, 105, 107, 109, 1, 3):
        group = "plain" if cic < 100 else "called"
        house.product.post("/ss7/cn/circuits/" + group, {"do": "block", "cics": [cic]})
    house.until(lambda: len(far.events("repeated", since=mark, slc=PCR)) >= 40, "repetitions")
    assert len({e["fsn"] for e in far.events("repeated", since=mark, slc=PCR)} - {link.bsn}) == N1, "beside the last one taken, which may still be on the line"
    link.held = False
    for cic in (101, 103, 105, 107, 109, 1, 3):
        far.wait_isup("BLO", cic, mark)
    for cic in (101, 103, 105, 107, 109, 1, 3):
        house.product.post("/ss7/cn/circuits/" + ("plain" if cic < 100 else "called"), {"do": "unblock", "cics": [cic]})


@pytest.mark.conformance("Q.704", "5.3 to 5.5 changeover with acknowledgement", "COO, COA; what was not taken is sent again over the other link, with a call up")
@pytest.mark.conformance("Q.704", "6.3 changeback with acknowledgement", "CBD, CBA when the link is back")
@pytest.mark.conformance("Q.704", "ours: one alarm a linkset", "a linkset that lacks a link is one alarm that names it; it ends with the fault")
def test_a_link_fails_with_messages_on_their_way(house, phone):
    far, basic = house.far, house.far.links[BASIC]
    call = house.come(phone, 102)
    mark = far.mark()
    basic.held = True                       # what the box says over this link from now on is not taken
    house.product.post("/ss7/cn/circuits/plain", {"do": "block", "cics": [2, 4]})
    time.sleep(0.3)
    assert not far.events("isup", since=mark, name="CGB")
    taken = basic.bsn
    far.realign = False
    with far.lock:
        basic.stop()
    basic.held = False
    order = far.wait_for("mtp", 30, since=mark, name="COO", slc=BASIC)
    assert order["over"] == PCR
    # libss7 drops this one; the COA that we gave says what the box must repeat, and it does, over the other link.
    group = far.wait_for("isup", 30, since=mark, name="CGB")
    assert (group["slc"], basic.bsn) == (PCR, taken)
    house.wait(lambda s: house.group(s, "plain")["available"] == 28, 30, "the two circuits blocked")
    if ALL:
        house.until(lambda: len(house.alarms()) == 1, "the alarm")
        alarm = house.alarms()[0]
        assert (alarm["kind"], alarm["members"]) == ("linkset_degraded", ["linkset a of cn"]) and "s1.16 (SLC 0)" in alarm["detail"]["linkset a of cn"]
    house.kill("control")
    house.wait(lambda s: [link["usable"] for link in s["ss7"][0]["links"]] == [False, True] and s["calls"][0]["call"] == call["call"], 30, "all as it was")
    mark, far.realign = far.mark(), True
    with far.lock:
        basic.start()
    far.wait_for("mtp", 30, since=mark, name="CBD", slc=BASIC)
    house.wait(lambda s: all(link["usable"] for link in s["ss7"][0]["links"]), 30, "the changeback")
    house.product.post("/ss7/cn/circuits/plain", {"do": "unblock", "cics": [2, 4]})
    far.isup(102, "REL", rel())
    far.wait_isup("RLC", 102, mark)
    house.until(lambda: not house.alarms(), "the end of the alarm")


@WHOLE_ONLY
@pytest.mark.conformance("Q.704", "ours: linkset lost", "no link is left: one alarm, calls stand, what is cleared meanwhile is reconciled")
def test_the_whole_linkset_is_lost_with_a_call_up(house, phone):
    far = house.far
    call = house.come(phone, 102)
    far.realign = False
    with far.lock:
        for link in far.links.values():
            link.stop()
    house.until(lambda: [alarm["kind"] for alarm in house.alarms()] == ["linkset_lost"], "the alarm")
    assert "s1.16" in str(house.alarms()) and "s2.7" in str(house.alarms())
    assert house.wait_call("talking")["call"] == call["call"]
    phone.hangup()                          # the agent goes; the circuit waits for a way to say so
    house.cdr(call["call"])
    mark, far.realign = far.mark(), True
    with far.lock:
        for link in far.links.values():
            link.start()
    far.wait_isup("REL", 102, mark)
    house.until(lambda: not house.alarms(), "the end of the alarm")


@WHOLE_ONLY
@pytest.mark.conformance("Q.704", "10.2 inhibiting", "LIN and LIA by REST, LUN and LUA by CLI; traffic goes over the other link; refused by LID; the last link is not inhibited")
@pytest.mark.conformance("Q.704", "10.3 inhibited by the far end", "LIN of the far end is answered with LIA, LUN with LUA; a restart of control keeps it")
def test_links_are_inhibited_by_rest_and_cli(house, phone):
    far = house.far
    mark = far.mark()
    house.product.post("/ss7/cn/links/s1.16", {"do": "inhibit"})
    far.wait_for("mtp", 30, since=mark, name="LIN", slc=BASIC)
    house.until(lambda: house.link(BASIC)["inhibited"] == [True, False], "LIA")
    assert "near" in house.cli("ss7")
    mark = far.mark()
    far.isup(104, "UPT", b"\0", over=BASIC)                # the answer goes by SLS 8, of the inhibited link
    assert far.wait_isup("UPA", 104, mark)["slc"] == PCR
    mark = far.mark()
    house.product.post("/ss7/cn/links/s2.7", {"do": "inhibit"})
    time.sleep(0.3)
    assert house.link(PCR)["usable"] and not far.events("mtp", since=mark, name="LIN"), "10.2: no destination may become inaccessible"
    house.kill("control")
    house.wait(lambda s: s["ss7"][0]["links"][BASIC]["inhibited"] == [True, False], 30, "the inhibition outlives control")
    mark = far.mark()
    house.cli("ss7-link", "cn", "s1.16", "uninhibit")
    far.wait_for("mtp", 30, since=mark, name="LUN", slc=BASIC)
    house.until(lambda: house.link(BASIC)["usable"], "the link back")
    far.answers, mark = False, far.mark()
    house.product.post("/ss7/cn/links/s1.16", {"do": "inhibit"})
    far.wait_for("mtp", 30, since=mark, name="LIN", slc=BASIC)
    far.links[BASIC].send(far.management(BASIC, LID))
    time.sleep(0.3)
    assert house.link(BASIC)["usable"], "refused"
    far.answers = True
    far.links[PCR].send(far.management(BASIC, LIN))
    far.wait_for("mtp", 30, since=mark, name="LIA")
    house.until(lambda: house.link(BASIC)["inhibited"] == [False, True], "inhibited by the far end")
    far.links[PCR].send(far.management(BASIC, LUN))
    far.wait_for("mtp", 30, since=mark, name="LUA")
    house.until(lambda: house.link(BASIC)["usable"], "the link back")


@WHOLE_ONLY
@pytest.mark.conformance("YDN 038", "hold time over", "a circuit whose release nobody gives is released after hold_s")
def test_media_is_killed_and_a_held_circuit_is_released_in_the_end(house, phone):
    running = house.product.get("/configuration")
    running["configuration"]["ss7"][0]["circuit_groups"][2]["hold_s"] = 2       # "caller"
    house.product.post("/configuration/apply", running)     # a restart of the point
    house.wait(lambda s: not house.group(s, "plain")["available"], 30, "the end of the old point")
    house.up()
    house.come(phone, 202)
    mark = house.far.mark()
    phone.hangup()
    house.far.wait_isup("SUS", 202, mark)
    house.far.wait_isup("REL", 202, mark)
    house.come(phone, 102)
    house.kill("media")
    house.wait(lambda s: not s["calls"], 30, "the call cleared")
    house.up(60)


def test_every_unit_of_ours_is_read_by_tshark_without_complaint(house):
    """Last of the module.  tshark has no YDN 038: CCL, MPM and OPR are unknown to it, everything else is decoded."""
    units = units_of_ours(house, "script", "Chinese ITU")
    assert [complaint for _, complaint, kind in units if complaint and kind not in ("252", "253", "254")] == []
    kinds = {word for info, _, _ in units for word in info.split()}
    for kind in ("COO", "CBD", "IAM", "ANM", "REL", "RLC", "CGB", "BLO", "SUS") + (("LIN", "LIA", "LUN", "LUA") if ALL else ()):
        assert kind in kinds, kind
