"""G.729 between two telephones of the house: played in the house of test_sip_transports.py.

The telephones are probes whose frames are any octets, which only a coder could tell from speech; what one sends, the other must get octet by octet."""

import random
import shutil
import time

import pytest

from hil.phone.probe import ProbePhone
from hil.phone.sipp import Sipp
from tests.conftest import WHOLE_ONLY

ONE, OTHER = "1003", "1004"
FRAMES = 100            # of 20 ms, two of G.729 each


def said(seed):
    return random.Random(seed).randbytes(20 * FRAMES)


def configure(house, codecs, recorded=False):
    running = house.product.get("/configuration")
    for line in running["configuration"]["lines"]:
        if line["name"] in codecs:
            line["codecs"] = codecs[line["name"]]
    running["configuration"]["recording"]["enabled"] = recorded
    house.product.post("/configuration/apply", running)


def talk(house, one, other):
    """(caller's octets came to the other, the other way round): each says its own for two seconds."""
    marks = [len(phone.packets) for phone in (one, other)]
    plays = [phone.play(said(seed)) for seed, phone in enumerate((one, other))]
    for play in plays:
        play.wait(30)
    time.sleep(0.3)
    heard = [phone.received_octets(mark) for phone, mark in zip((one, other), marks)]
    return said(0) in heard[1], said(1) in heard[0]


def codecs_of(house, call):
    """What the two legs of a call that is over spoke at its end; media tells it after the CDR."""
    def told(_):
        qualities = [record["data"]["quality"] for record in house.cdr(call, 30)["records"] if record["kind"] == "leg.quality"]
        return {quality["codec"] for quality in qualities} if len(qualities) == 2 else None
    return house.wait(told, 20, "how the legs were")


@WHOLE_ONLY
def test_g729_passes_between_two_telephones_octet_by_octet(house):
    """Chosen by the called one, kept over a kill of control; a hold needs the switch's music, so both go over to G.711 by re-INVITE; alone it is refused
    where the other side has none."""
    for agent in (ONE, OTHER):
        house.available(agent, "logged_out")
    rows = house.product.get("/configuration")["configuration"]["lines"]
    password = {row["name"]: row["password"] for row in rows}
    one, other = (ProbePhone(name, password[name], house.sip_port) for name in (ONE, OTHER))
    one.payload_types = other.payload_types = (18, 8)
    try:
        configure(house, {ONE: ["G729", "PCMA"], OTHER: ["G729", "PCMA"]})
        for phone in (one, other):
            phone.start()
        one.dial(OTHER)
        other.wait_for("answered", 30)
        one.wait_for("answered", 30)
        call = house.wait_call("talking", 30)["call"]
        assert (one.stream.payload_type, other.stream.payload_type) == (18, 18)
        assert talk(house, one, other) == (True, True)
        house.kill("control")
        house.wait(lambda s: any(c["call"] == call and c["state"] == "talking" for c in s["calls"]), 30, "the call after the kill")
        assert talk(house, one, other) == (True, True), "the kill touched nothing"
        marks = one.mark(), other.mark()
        house.product.post("/calls/%s/hold" % call, {})
        for phone, mark in zip((one, other), marks):
            phone.wait_for("reinvite", 30, since=mark)
        assert (one.stream.payload_type, other.stream.payload_type) == (8, 8)
        house.product.post("/calls/%s/retrieve" % call, {})
        one.hangup()
        other.wait_for("closed", 30, since=marks[1])
        assert codecs_of(house, call) == {"PCMA"} and house.cdr(call)["cdr"]["result"] == "answered"

        one.payload_types = (18,)
        configure(house, {OTHER: ["PCMA"]})
        mark = one.mark()
        one.dial(OTHER)
        refused = one.wait_for("refused", 30, since=mark)
        assert refused["status"] == 488, refused
        house.wait_idle(30)
        configure(house, {OTHER: ["G729", "PCMA"]}, recorded=True)
        mark = one.mark()
        one.dial(OTHER)
        assert one.wait_for("refused", 30, since=mark)["status"] == 488, "a call that is recorded must be heard"
        configure(house, {}, recorded=False)
        marks = one.mark(), other.mark()
        one.dial(OTHER)
        one.wait_for("answered", 30, since=marks[0])
        other.wait_for("answered", 30, since=marks[1])
        assert talk(house, one, other) == (True, True), "a telephone that has nothing else"
        other.hangup()
        one.wait_for("closed", 30, since=marks[0])
    finally:
        for phone in (one, other):
            phone.stop()
        configure(house, {ONE: ["PCMA", "PCMU"], OTHER: ["PCMA", "PCMU"]}, recorded=True)


CALLED = """<scenario name="called">
  <recv request="INVITE"/>
  <send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:%(user)s@[local_ip]:[local_port]>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=sipp 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [media_port] RTP/AVP 18
a=rtpmap:18 G729/8000
a=fmtp:18 annexb=no
a=ptime:20

]]></send>
  <recv request="ACK"/>
  <recv request="BYE" timeout="60000"/>
  <send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
</scenario>
"""


@pytest.mark.skipif(not shutil.which("sipp"), reason="sipp is not installed (Debian: sip-tester)")
@WHOLE_ONLY
def test_g729_with_a_far_end_of_another_make(house):
    """sipp registers, has nothing but G.729 and sends back what it gets (its rtp_echo): what goes there through the switch comes back octet by octet."""
    for agent in (ONE, OTHER):
        house.available(agent, "logged_out")
    password = {row["name"]: row["password"] for row in house.product.get("/configuration")["configuration"]["lines"]}
    one = ProbePhone(ONE, password[ONE], house.sip_port)
    one.payload_types = (18, 8)
    sipp = Sipp(house.sip_port, house.folder / "sipp-g729")
    try:
        configure(house, {ONE: ["G729", "PCMA"], OTHER: ["G729", "PCMA"]})
        one.start()
        sipp.register(OTHER, password[OTHER])
        sipp.start(CALLED % {"user": OTHER}, "-rtp_echo")
        mark = one.mark()
        one.dial(OTHER)
        one.wait_for("answered", 30, since=mark)
        call = house.wait_call("talking", 30)["call"]
        one.play(said(7)).wait(30)
        time.sleep(0.5)
        assert one.stream.payload_type == 18 and said(7) in one.received_octets(), "there and back"
        house.kill("control")
        house.wait(lambda s: any(c["call"] == call for c in s["calls"]), 30, "the call after the kill")
        one.play(said(8)).wait(30)
        time.sleep(0.5)
        assert said(8) in one.received_octets(), "the kill touched nothing"
        one.hangup()
        sipp.finish(30)
        assert codecs_of(house, call) == {"G729"}
    finally:
        one.stop()
        sipp.stop()
        configure(house, {ONE: ["PCMA", "PCMU"], OTHER: ["PCMA", "PCMU"]}, recorded=True)
