"""Between far ends: headers that go from one SIP trunk to another by rule, an UPDATE in the call, and two telephones of one line.  Played in the house of
test_sip_transports.py."""

import shutil

import pytest

from hil.phone.phone import Phone
from hil.phone.probe import ProbePhone
from hil.phone.sipp import HOST, Sipp, request
from tests.conftest import WHOLE_ONLY
from tests.live.join_cases import ANSWER, SOUND

NUMBER, OUT, LINE, CALLER = "02150801097", "13700002222", "1003", "1002"

CALLS = '<scenario name="calls">%s<recv response="100" optional="true"/><recv response="180" optional="true"/><recv response="183" optional="true"/><recv response="200" rrs="true"/>%s<recv request="BYE" timeout="30000"/>%s</scenario>' % (
    request("INVITE", "sip:%s@%s" % (NUMBER, HOST), "13911110000", 1, more=["X-Account: 42", "X-Secret: no", "Referred-By: <sip:13922220000@telco.example>", "P-Access-Network-Info: IEEE-802.11", "Content-Type: application/sdp"],
            body=SOUND),
    request("ACK", "[next_url]", "13911110000", 1, to="sip:%s@%s" % (NUMBER, HOST), peer="[peer_tag_param]").replace(' retrans="500"', ""), ANSWER)

CALLED = """<scenario name="called">
  <recv request="INVITE"><action>
    <ereg regexp="X-Account: *42" search_in="msg" check_it="true" assign_to="1"/>
    <ereg regexp="X-Secret|P-Access-Network-Info: IEEE-802.11" search_in="msg" check_it_inverse="true" assign_to="2"/>
    <ereg regexp="Referred-By: *&lt;sip:13922220000@telco.example&gt;" search_in="msg" check_it="true" assign_to="6"/>
    <ereg regexp=".*" search_in="hdr" header="From:" assign_to="3"/><ereg regexp=".*" search_in="hdr" header="To:" assign_to="4"/>
    <ereg regexp="sip:[^>]*" search_in="hdr" header="Contact:" assign_to="5"/>
  </action></recv>
  <Reference variables="1,2"/>
  <send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=answers
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port]>
Allow: INVITE, ACK, BYE, UPDATE
Content-Type: application/sdp
Content-Length: [len]

%(sound)s]]></send>
  <recv request="ACK"/>
  <send retrans="500"><![CDATA[
UPDATE [$5] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: [$4];tag=answers
To: [$3]
Call-ID: [call_id]
CSeq: 1 UPDATE
Contact: <sip:[local_ip]:[local_port]>
Content-Type: application/sdp
Content-Length: [len]

%(held)s]]></send>
  <recv response="200"><action><ereg regexp="a=recvonly" search_in="body" check_it="true" assign_to="7"/></action></recv>
  <Reference variables="6,7"/>
  <send retrans="500"><![CDATA[
BYE [$5] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: [$4];tag=answers
To: [$3]
Call-ID: [call_id]
CSeq: 2 BYE
Content-Length: 0

]]></send>
  <recv response="200"/>
</scenario>
""" % {"sound": SOUND, "held": SOUND.replace("o=sipp 1 1", "o=sipp 1 2") + "a=sendonly\n"}


def trunk(name, port):
    return {"name": name, "trunk_group": name, "kind": "peer", "channels": 4, "options_s": 0, "reliable": "off", "session_s": 0,
            "addresses": [{"address": HOST, "port": port}], "pass_headers": [{"name": "X-Account"}]}


@WHOLE_ONLY
@pytest.mark.skipif(not shutil.which("sipp"), reason="sipp is not installed (Debian: sip-tester)")
@pytest.mark.conformance("RFC 3892", "live sipp", "a call that a trunk brings with a Referred-By goes on to the next trunk with it")
@pytest.mark.conformance("RFC 3311", "live sipp", "an UPDATE with an offer (hold) in a call over a trunk is answered 200 recvonly; a header that both trunks name goes through, others do not")
def test_headers_by_rule_and_an_update_between_two_trunks(house):
    comes, goes = Sipp(house.sip_port, house.folder / "sipp-comes"), Sipp(house.sip_port, house.folder / "sipp-goes")
    running = house.product.get("/configuration")
    config = running["configuration"]
    before = {part: [dict(row) for row in config[part]] for part in ("trunk_groups", "sip_trunks", "routes", "numbers")}
    config["trunk_groups"] += [{"name": "comes", "classes": ["national"]}, {"name": "goes"}]
    config["sip_trunks"] += [trunk("comes", comes.port), trunk("goes", goes.port)]
    config["routes"].append({"number": "5.", "choices": [{"trunk_group": "goes", "strip": 1}]})
    config["numbers"].append({"number": NUMBER, "application": "outside", "target": "5" + OUT})
    house.product.post("/configuration/apply", running)
    try:
        house.wait(lambda s: len([t for t in s["sip_trunks"] if t["trunk"] in ("comes", "goes") and t["state"] == "up"]) == 2, 20, "both trunks")
        goes.start(CALLED)
        comes.start(CALLS)
        goes.finish(40)
        comes.finish(40)
        house.wait_idle(30)
        cdr = house.product.get("/calls?limit=1")["calls"][0]
        assert (cdr["span"], cdr["out_span"], cdr["dialled"], cdr["result"]) == ("comes", "goes", OUT, "answered"), cdr
        kinds = [record["kind"] for record in house.product.get("/calls/%s" % cdr["call"])["records"]]
        assert "leg.held" in kinds, kinds
    finally:
        comes.stop()
        goes.stop()
        running = house.product.get("/configuration")
        running["configuration"].update(before)
        house.product.post("/configuration/apply", running)


@WHOLE_ONLY
@pytest.mark.skipif(not shutil.which("baresip"), reason="baresip is not installed (Debian: baresip-core)")
@pytest.mark.conformance("RFC 3261", "16.7 (forking), live baresip", "two telephones of one line ring at once; the first that answers has the call, the other one stops ringing")
def test_two_telephones_of_one_line_ring_and_one_answers(house):
    for agent in (LINE, CALLER):
        house.available(agent, "logged_out")
    password = {row["name"]: row["password"] for row in house.product.get("/configuration")["configuration"]["lines"]}
    caller = ProbePhone(CALLER, password[CALLER], house.sip_port).start()
    try:
        with Phone(LINE, password[LINE], house.sip_port, answer="manual") as one, Phone(LINE, password[LINE], house.sip_port, answer="manual") as other:
            house.wait(lambda s: [line for line in s["lines"] if line["name"] == LINE and len(line["contacts"]) == 2], 20, "both telephones")
            marks = one.mark(), other.mark()
            caller.dial(LINE)
            for phone, mark in zip((one, other), marks):
                phone.wait_for("incoming", 20, since=mark)
            other.answer()
            caller.wait_for("answered", 20)
            other.wait_for("answered", 20, since=marks[1])
            one.wait_for("closed", 20, since=marks[0])
            assert not one.events("answered", marks[0])
            call = house.wait_call("talking", 20)["call"]
            assert len(house.state()["calls"][0]["legs"]) == 2
            caller.hangup()
            other.wait_for("closed", 20, since=marks[1])
            assert house.cdr(call, 30)["cdr"]["result"] == "answered"
    finally:
        caller.stop()
