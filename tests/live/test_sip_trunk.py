"""Calls over SIP trunks through the whole house: a carrier whose edge is Kamailio, its subscriber is baresip.

The trunk "telco" registers at Kamailio (digest, both ways challenged or by registration), "direct" is known by its address
and goes to baresip itself.  Kamailio takes no call that does not come by the Service-Route that it told at the registration (RFC 3608).  The agent's telephone is the probe; what is said on one side is looked for octet by octet on
the other."""

import socket
import time

import numpy as np
import pytest

from hil.kamailio import Carrier
from hil.name_server import NameServer
from hil.phone.phone import Phone
from hil.probes import wav
from tests.conftest import WHOLE_ONLY
from tests.live import probe_moves
from tests.live.flow_cases import test_a_call_over_each_flow_and_one_flow_dies     # noqa: F401  it shares this house

pytestmark = [pytest.mark.live, pytest.mark.skipif(not Carrier.is_there(), reason="kamailio is not installed (Debian: kamailio)")]
NUMBER, OURS, FORWARDED, HOST = "13912345678", "02150809000", "02150809001", "127.0.0.1"     # baresip sends RTP from there whatever it listens on
SECONDS = 2.6


def row(name, group, address, **more):
    return {"name": name, "trunk_group": group, "addresses": [{"address": HOST, "port": address}], "channels": 4, "options_s": 1, **more}


@pytest.fixture(scope="module")
def carrier(house):
    path = house.folder / "subscriber.wav"
    said = probe_moves.material(77, SECONDS, path)
    subscriber = Phone(NUMBER, None, 9, encryption="srtp", play_file=path, record_file=house.folder / "subscriber-heard.wav", registrar=HOST, address=HOST)
    subscriber.start()
    subscriber.said = said
    with Carrier(house.folder / "kamailio", "acc", "pw-1", (HOST, subscriber.sip_port), HOST, service_route=True) as edge:
        edge.subscriber = subscriber
        running = house.product.get("/configuration")
        config = running["configuration"]
        config["trunk_groups"] += [{"name": "ip", "caller_number": OURS, "classes": []}, {"name": "gateway", "caller_number": OURS}]
        config["sip_trunks"] = [row("telco", "ip", edge.port, kind="register", user="acc", password="pw-1", register_s=60, charging="home1.net", diversion="both",
                                    set_headers=[{"name": "P-Access-Network-Info", "value": "IEEE-802.3; eth-location=1"}]),
                                row("direct", "gateway", subscriber.sip_port, kind="peer", diversion="both", encryption="required")]
        config["routes"] = [{"number": "9.", "choices": [{"trunk_group": "ip", "strip": 1}, {"trunk_group": "gateway", "strip": 1}]},
                            {"number": "8.", "choices": [{"trunk_group": "gateway", "strip": 1}]}]
        config["numbers"] += [{"number": OURS, "application": "queue", "target": "sales"}, {"number": FORWARDED, "application": "outside", "target": "9" + NUMBER}]
        house.product.post("/configuration/apply", running)
        house.wait(lambda s: all(t["state"] == "up" for t in s["sip_trunks"]), 10, "both SIP trunks up")
        yield edge
    subscriber.stop()


@pytest.fixture(scope="module")
def phone(house, carrier):
    with probe_moves.probe_agent(house) as phone:
        yield phone


@pytest.fixture(autouse=True)
def quiet(house, carrier, phone):
    yield
    phone.hangup()
    if carrier.subscriber.state != "idle":
        carrier.subscriber.hangup()
    house.wait_idle(15)


def spoken_both_ways(house, phone, subscriber, seconds=SECONDS):
    """The telephone plays; both hear the other one, bit for bit."""
    said = probe_moves.material(78, seconds)
    phone.play(said).wait(seconds + 5)
    time.sleep(0.2)
    return said


def assert_heard(house, phone, subscriber, said, recording):
    heard = np.frombuffer(wav.alaw_compress(wav.read_mono(recording)).tobytes(), np.uint8).tobytes()
    assert said[8000:8000 + 4000] in heard, "the subscriber heard the telephone"
    assert subscriber.said[8000:8000 + 4000] in bytes(phone.received_octets()), "the telephone heard the subscriber"


def dial(house, phone, number):
    house.wait_agent_idle(phone.user, 20)
    mark = phone.mark()
    phone.dial(number)
    phone.wait_for("answered", 8, since=mark)
    return house.wait_call("talking")


@pytest.mark.conformance("RFC 3608", "live house", "each call to a carrier that has told a Service-Route takes it: Kamailio refuses others")
@pytest.mark.conformance("RFC 7315", "live", "4.4 and 4.6: a call to an IMS trunk has P-Access-Network-Info and P-Charging-Vector with our name, at Kamailio")
@pytest.mark.parametrize("prefix,trunk", (("8", "direct"), ("9", "telco")))
def test_telephone_calls_out(house, carrier, phone, prefix, trunk):
    subscriber = carrier.subscriber

    def once():
        count = len(subscriber.recordings)
        call = dial(house, phone, prefix + NUMBER)
        said = spoken_both_ways(house, phone, subscriber)
        leg = [leg for leg in call["legs"] if leg["span"]][0]
        assert (leg["tech"], leg["span"], leg["line"]) == ("sip", trunk, None)
        shown = [t for t in house.state()["sip_trunks"] if t["trunk"] == trunk][0]
        assert shown["calls"][0]["call"] == call["call"]
        phone.hangup()
        subscriber.wait_for("closed", 5, since=subscriber.mark() - 1)
        house.wait_idle()
        assert_heard(house, phone, subscriber, said, subscriber.recordings[count][0])
        found = house.cdr(call["call"])
        cdr = found["cdr"]
        assert (cdr["out_span"], cdr["dialled"], cdr["result"], cdr["out_attempts"]) == (trunk, NUMBER, "answered", 1)
        suites = {record["leg"]: record["data"]["quality"]["srtp"] for record in found["records"] if record["kind"] == "leg.quality"}
        assert bool(suites[leg["leg"]]) == (trunk == "direct"), suites
        if trunk == "telco":        # an IMS trunk's headers, as the carrier's edge has seen them (RFC 7315 4.4, 4.6)
            seen = seen_by(carrier)
            assert "P-Asserted-Identity: <sip:%s@" % OURS in seen and "Privacy: <null>" in seen and "Diversion: <null>" in seen, seen
            assert "Route of %s: <sip:%s:%d;lr;orig>" % (NUMBER, HOST, carrier.home) in carrier.log()
            assert 'icid-value="' in seen and "orig-ioi=home1.net" in seen and "P-Access-Network-Info: IEEE-802.3; eth-location=1" in seen, seen
    probe_moves.undisturbed(once, house, phone)


def seen_by(carrier):
    """What the carrier's edge wrote of the newest call to it."""
    return [line for line in carrier.log().splitlines() if "INVITE of " + NUMBER in line][-1]


@pytest.mark.conformance("RFC 5806", "live", "a call from the E1 that is forwarded to the carrier tells by whom: Diversion, and History-Info (RFC 7044), at Kamailio")
@pytest.mark.conformance("RFC 7044", "live", "the same call has History-Info, at Kamailio")
@pytest.mark.conformance("RFC 3325", "live", "a number that is withheld goes to the carrier with Privacy: id and P-Asserted-Identity, From is anonymous")
def test_a_forwarded_call_and_a_withheld_number(house, carrier, phone):
    subscriber = carrier.subscriber
    mark = subscriber.mark()
    name = house.place(called=FORWARDED)
    subscriber.wait_for("answered", 30, since=mark)
    house.far.wait_for("connect", 30, id=name)
    seen = seen_by(carrier)
    assert "Diversion: <sip:%s@" % FORWARDED in seen and "reason=unconditional" in seen and "History-Info: 0" not in seen, seen
    house.far.hangup(name)
    subscriber.wait_for("closed", 30, since=mark)
    house.wait_idle(30)
    withhold(house, True)
    try:
        dial(house, phone, "9" + NUMBER)
        seen = seen_by(carrier)
        assert "Privacy: id" in seen and "sip:%s@" % OURS in seen.split("P-Asserted-Identity: ")[1].split(" Privacy")[0], seen
        incoming = subscriber.events("answered", mark)[-1]
        assert "anonymous" in incoming["peeruri"], incoming
        phone.hangup()
        house.wait_idle(30)
    finally:
        withhold(house, False)


def withhold(house, on):
    running = house.product.get("/configuration")
    next(row for row in running["configuration"]["lines"] if row["name"] == "1002")["withhold"] = on
    house.product.post("/configuration/apply", running)


def test_a_line_has_its_limit_of_calls(house, carrier, phone):
    running = house.product.get("/configuration")
    line = next(row for row in running["configuration"]["lines"] if row["name"] == "1003")
    line["calls_most"] = 1
    house.product.post("/configuration/apply", running)
    with Phone("1003", line["password"], house.sip_port) as other:
        other.dial("8" + NUMBER)
        other.wait_for("answered", 30)
        mark = other.mark()
        other.dial("8" + NUMBER)
        other.wait_for("closed", 30, since=mark)
        assert "486" in other.events("closed", mark)[0]["param"], other.events("closed", mark)
        assert len(house.state()["calls"]) == 1
        other.command("hangupall")


def test_call_from_the_carrier_reaches_the_queue(house, carrier, phone):
    subscriber = carrier.subscriber
    house.wait_agent_idle(phone.user, 20)
    count, mark = len(subscriber.recordings), phone.mark()
    subscriber.dial("sip:%s@%s:%d" % (OURS, HOST, carrier.port))
    phone.wait_for("answered", 10, since=mark)
    call = house.wait_call("talking")
    assert (call["span"], call["trunk_group"], call["caller"], call["called"]) == ("telco", "ip", NUMBER, OURS)
    said = spoken_both_ways(house, phone, subscriber)
    subscriber.hangup()
    phone.wait_for("closed", 5, since=mark)
    house.wait_idle()
    assert_heard(house, phone, subscriber, said, subscriber.recordings[count][0])
    cdr = house.cdr(call["call"])["cdr"]
    assert (cdr["result"], cdr["released_by"], cdr["agent"], cdr["span"]) == ("answered", "caller", phone.user, "telco")


def test_calls_outlive_a_kill_and_end_in_order(house, carrier, phone):
    subscriber = carrier.subscriber
    mark = subscriber.mark()
    call = dial(house, phone, "9" + NUMBER)
    house.kill("control")
    house.wait(lambda s: any(c["call"] == call["call"] and c["state"] == "talking" for c in s["calls"]), 15, "the call after the kill")
    house.wait(lambda s: all(t["state"] == "up" for t in s["sip_trunks"]), 5, "both trunks up after the kill")
    said = spoken_both_ways(house, phone, subscriber)
    assert subscriber.said[8000:12000] in bytes(phone.received_octets()) and said
    assert not subscriber.events("closed", mark)
    phone.hangup()
    subscriber.wait_for("closed", 5, since=mark)
    assert house.cdr(call["call"])["cdr"]["result"] == "answered"


def trunk_alarms(house, trunk):
    return [alarm for alarm in house.product.get("/alarms")["alarms"] if "SIP trunk " + trunk in alarm["members"]]


def trunk_alarm(house, trunk, kind):
    """The alarm of a trunk, when it is there."""
    return house.wait(lambda s: [alarm for alarm in trunk_alarms(house, trunk) if alarm["kind"] == kind], 30, "the alarm %s of %s" % (kind, trunk))[0]


def no_trunk_alarm(house, trunk):
    house.wait(lambda s: not trunk_alarms(house, trunk), 30, "the end of the alarms of %s" % trunk)


@pytest.mark.skipif(not NameServer.is_there(), reason="dnsmasq is not installed (Debian: dnsmasq-base)")
@pytest.mark.conformance("RFC 3263", "4.3", "live: registration and calls over the next SRV record where the first far end is silent")
def test_far_ends_with_a_name(house, carrier, phone):
    """Both kinds of trunk by SRV records whose first far end is silent; the name server is dnsmasq."""
    before = house.product.get("/configuration")["configuration"]["sip_trunks"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, 0))
        records = ["--host-record=%s.test,%s" % (name, HOST) for name in ("silent", "edge", "peer")]
        for name, port in (("edge", carrier.port), ("peer", carrier.subscriber.sip_port)):
            records += ["--srv-host=_sip._udp.%s.test,silent.test,%d,10" % (name, silent.getsockname()[1]),
                        "--srv-host=_sip._udp.%s.test,%s.test,%d,20" % (name, name, port)]
        with NameServer(records) as names:
            running = house.product.get("/configuration")
            running["configuration"]["sip"]["name_servers"] = [{"address": HOST, "port": names.port}]
            for trunk, name in zip(running["configuration"]["sip_trunks"], ("edge", "peer")):
                trunk.update(addresses=[{"address": name + ".test", "port": 0, "transport": "auto"}], domain=HOST if name == "edge" else "")
            house.product.post("/configuration/apply", running)
            try:
                for trunk, port in (("telco", carrier.port), ("direct", carrier.subscriber.sip_port)):
                    house.wait(lambda s: [a for t in s["sip_trunks"] if t["trunk"] == trunk and t["state"] == "up" for a in t["addresses"]
                                          if a["in_use"] and a["address"] == "%s:%d" % (HOST, port)], 60, "trunk %s by its second record" % trunk)
                for prefix, trunk in (("9", "telco"), ("8", "direct")):
                    call = dial(house, phone, prefix + NUMBER)
                    phone.hangup()
                    house.wait_idle(15)
                    assert house.cdr(call["call"])["cdr"]["out_span"] == trunk
                assert "%s:%d does not answer" % silent.getsockname() in trunk_alarm(house, "direct", "sip_trunk_part")["detail"]["SIP trunk direct"]
            finally:
                running = house.product.get("/configuration")
                running["configuration"].update(sip_trunks=before)
                running["configuration"]["sip"]["name_servers"] = []
                house.product.post("/configuration/apply", running)
                house.wait(lambda s: all(t["state"] == "up" for t in s["sip_trunks"]), 60, "both SIP trunks by their addresses")


def test_dead_trunk_is_passed_over_and_told(house, carrier, phone):
    port = carrier.port
    carrier.stop()
    try:
        dead = house.wait(lambda s: [t for t in s["sip_trunks"] if t["trunk"] == "telco" and t["state"] == "down"], 25, "the dead trunk")[0]
        assert "does not answer" in dead["why"]
        told = trunk_alarm(house, "telco", "sip_trunk_down")
        assert "127.0.0.1:%d does not answer" % port in told["detail"]["SIP trunk telco"] and told["raised_ms"] > 0
        call = dial(house, phone, "9" + NUMBER)
        phone.hangup()
        cdr = house.cdr(call["call"])["cdr"]
        assert (cdr["out_span"], cdr["out_trunk_group"]) == ("direct", "gateway")
    finally:
        carrier.start(port)
    house.wait(lambda s: [t for t in s["sip_trunks"] if t["trunk"] == "telco" and t["state"] == "up"], 25, "the trunk that came back")
    no_trunk_alarm(house, "telco")


@pytest.mark.conformance("RFC 3515", "live baresip", "its REFER moves the caller to the other telephone, and its own leg ends")
@pytest.mark.conformance("RFC 3892", "live baresip", "its REFER brings about a call to the other telephone that names who asked")
def test_telephone_transfers_its_call(house, carrier, phone):
    """baresip's own transfer (REFER): a caller from the trunk goes from agent 1001 to the probe."""
    agent = house.agent_phone
    house.available("1002", "logged_out")
    house.available("1001")
    house.wait_agent_idle("1001", 20)
    mark, rings = agent.mark(), phone.mark()
    try:
        carrier.subscriber.dial("sip:%s@%s:%d" % (OURS, HOST, carrier.port))
        agent.wait_for("answered", 10, since=mark)
        call = house.wait_call("talking")["call"]
        agent.command("transfer", "sip:1002@127.0.0.1:%d" % house.sip_port)
        phone.wait_for("answered", 10, since=rings)
        agent.wait_for("closed", 5, since=mark)
        house.wait(lambda s: any(c["call"] == call and c["state"] == "talking" and c["agent"] == "1002" for c in s["calls"]), 10, "the transferred call")
        assert "sip:1001@" in phone.events("incoming", rings)[-1]["invite"].get("referred-by"), "who has given the call away (RFC 3892)"
        said = spoken_both_ways(house, phone, carrier.subscriber)
        assert carrier.subscriber.said[8000:12000] in bytes(phone.received_octets()) and said
        phone.hangup()
        house.wait_idle()
        assert house.cdr(call)["cdr"]["result"] == "answered"
    finally:
        house.available("1001", "logged_out")
        house.available("1002")


@WHOLE_ONLY
@pytest.mark.parametrize("mode", ("nailed", "per_call"))
def test_a_home_agent_over_a_sip_trunk(house, carrier, phone, mode):
    """Line 1004 is the subscriber's ordinary telephone: a line of the house calls it, and both hear each other bit for bit."""
    subscriber = carrier.subscriber
    running = house.product.get("/configuration")
    next(line for line in running["configuration"]["lines"] if line["name"] == "1004")["home"] = {
        "number": "8" + NUMBER, "mode": mode, "confirm": "none", "announce": "none"}
    next(agent for agent in running["configuration"]["agents"] if agent["name"] == "1004")["line"] = "1004"
    house.product.post("/configuration/apply", running)

    def home(state):
        return house.wait(lambda s: next((line["home"] for line in s["lines"] if line["name"] == "1004" and line["home"]["state"] == state), None), 30,
                          "the home telephone " + state)

    def once():
        count = len(subscriber.recordings)
        house.product.post("/agents/1004/log_in", {"line": "1004", "status": "on_break"})
        if mode == "nailed":
            home("up")
        house.wait(lambda s: any(line["name"] == "1004" and line["registered"] for line in s["lines"]), 30, "the line that is there")
        call = dial(house, phone, "1004")
        said = spoken_both_ways(house, phone, subscriber)
        phone.hangup()
        house.wait(lambda s: not [c for c in s["calls"] if c["call"] == call["call"]], 30, "the end of the call")
        if mode == "nailed":
            assert home("up")["call"] != call["call"], "the leg stays up"
        house.product.put("/agents/1004/status", {"status": "logged_out"})
        home("down")
        house.wait_idle(30)
        # The subscriber said all when it answered: what a nailed leg carried before the caller came is not heard by the caller.
        octets = np.frombuffer(wav.alaw_compress(wav.read_mono(subscriber.recordings[count][0])).tobytes(), np.uint8).tobytes()
        assert said[8000:12000] in octets, "the home telephone heard the caller"
        if mode == "per_call":
            assert subscriber.said[8000:12000] in bytes(phone.received_octets()), "the caller heard the home telephone"
        cdr = house.cdr(call["call"])["cdr"]
        assert (cdr["result"], cdr["line"]) == ("answered", phone.user)
    try:
        probe_moves.undisturbed(once, house, phone)
    finally:
        running = house.product.get("/configuration")
        next(line for line in running["configuration"]["lines"] if line["name"] == "1004").pop("home")
        house.product.post("/configuration/apply", running)
