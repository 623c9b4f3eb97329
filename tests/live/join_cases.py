"""A supervisor's telephone comes into a call by SIP's Join (RFC 3911): played in the house of test_sip_transports.py.

sipp watches the agent's lamp (RFC 4235) and names the call by what it is told there; its rtp_echo sends back what it hears, so that agent and caller hear
themselves, and who was not let in sends nothing back."""

import re
import shutil

import numpy as np
import pytest

from hil.phone.probe import ProbePhone
from hil.phone.sipp import HOST, Sipp, proof, request
from hil.probes import wav

SUPERVISOR, AGENT, CALLER = "1004", "1002", "1003"
TONE_HZ = 1000
ANSWER = """<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
"""
SOUND = "v=0\no=sipp 1 1 IN IP4 [local_ip]\ns=-\nc=IN IP4 [local_ip]\nt=0 0\nm=audio [media_port] RTP/AVP 8\n"


def watching(watched, password):
    """The lamp: what is told from now on."""
    more = ["Event: dialog", "Accept: application/dialog-info+xml", "Expires: 120"]
    uri = "sip:%s@%s" % (watched, HOST)
    return ('<scenario name="lamp">%s<recv response="401" auth="true"/>%s<recv response="200"/><label id="1"/><recv request="NOTIFY" timeout="20000"/>%s</scenario>'
            % (request("SUBSCRIBE", uri, SUPERVISOR, 1, more=more), request("SUBSCRIBE", uri, SUPERVISOR, 2, more=[*more, proof(SUPERVISOR, password)]),
               ANSWER.replace("<send>", '<send next="1">')))


def joining(name, password, outcome):
    """An INVITE that names a call; outcome: the answer, or None: a conversation until BYE."""
    more = ["Join: " + name, "Require: join", "Content-Type: application/sdp"]
    uri = "sip:%s@%s" % (AGENT, HOST)
    head = '<scenario name="join">%s<recv response="401" auth="true"/>%s%s<recv response="100" optional="true"/>' % (
        request("INVITE", uri, SUPERVISOR, 1, more=more, body=SOUND), request("ACK", uri, SUPERVISOR, 1, peer="[peer_tag_param]").replace(' retrans="500"', ""),
        request("INVITE", uri, SUPERVISOR, 2, more=[*more, proof(SUPERVISOR, password)], body=SOUND))
    ack = request("ACK", uri, SUPERVISOR, 2, peer="[peer_tag_param]").replace(' retrans="500"', "")
    return head + ('<recv response="%d"/>%s</scenario>' % (outcome, ack) if outcome else '<recv response="200"/>%s<recv request="BYE" timeout="60000"/>%s</scenario>' % (ack, ANSWER))


def configure(house, users):
    running = house.product.get("/configuration")
    running["configuration"].update(users=users, teams=[{"name": "red", "agents": [AGENT], "queues": []}])
    house.product.post("/configuration/apply", running)


@pytest.mark.skipif(not shutil.which("sipp"), reason="sipp is not installed (Debian: sip-tester)")
@pytest.mark.conformance("RFC 3911", "live sipp", "a supervisor's telephone joins a call by the name that its lamp (RFC 4235) tells, heard by both sides; over a kill of control; others get no name and 403")
def test_a_supervisor_s_telephone_joins_a_call_that_its_lamp_names(house):
    for agent in (AGENT, CALLER, SUPERVISOR):
        house.available(agent, "logged_out")
    password = {row["name"]: row["password"] for row in house.product.get("/configuration")["configuration"]["lines"]}
    agent, caller = ProbePhone(AGENT, password[AGENT], house.sip_port), ProbePhone(CALLER, password[CALLER], house.sip_port)
    lamp, phone = Sipp(house.sip_port, house.folder / "join-lamp"), Sipp(house.sip_port, house.folder / "join-phone")
    wave = np.exp(2j * np.pi * TONE_HZ * np.arange(8000) / 8000)
    said = wav.alaw_compress(np.rint(5000 * wave.imag).astype(np.int16)).tobytes()

    def echoed():
        """Whether the caller hears what it says itself, back from the supervisor's telephone."""
        began = len(caller.packets)
        caller.play(said).wait(10)
        heard = np.array(caller.received_samples(began)[-4000:], float)
        return 2 * abs(np.sum(heard * wave[:len(heard)])) / len(heard) > 1000
    try:
        configure(house, [{"name": "sue", "role": "supervisor", "agent": SUPERVISOR, "teams": ["red"]}])
        agent.start()
        caller.start()
        lamp.start(watching(AGENT, password[SUPERVISOR]))
        caller.dial(AGENT)
        caller.wait_for("answered", 30)
        call = house.wait_call("talking", 30)["call"]
        rows = house.wait(lambda s: re.findall(r'call-id="([^"]+)" local-tag="([^"]+)" remote-tag="([^"]+)"[^>]*><state>confirmed', lamp.messages()), 20, "the name of the call")
        name = "%s;to-tag=%s;from-tag=%s" % rows[-1]
        assert not echoed()
        phone.register(SUPERVISOR, password[SUPERVISOR])
        phone.start(joining(name, password[SUPERVISOR], None), "-rtp_echo")
        house.wait(lambda s: s["calls"] and s["calls"][0]["monitors"], 20, "the supervisor in the call")
        assert echoed(), "a third one is in the call"
        house.kill("control")
        house.wait(lambda s: s["calls"] and s["calls"][0]["monitors"], 20, "the call after the kill")
        assert echoed()
        house.product.post("/calls/%s/monitor" % call, {"mode": "end", "line": SUPERVISOR})
        phone.finish(20)
        assert not echoed()
        records = house.product.get("/calls/%s" % call)["records"]
        assert [(r["data"]["mode"], r["data"]["by"]) for r in records if r["kind"] == "call.monitoring"] == [("barge", SUPERVISOR)]

        configure(house, [{"name": "sue", "role": "agent", "agent": SUPERVISOR, "teams": []}])
        phone.start(joining(name, password[SUPERVISOR], 403))
        phone.finish(20)
        phone.start(joining("nobody" + name, password[SUPERVISOR], 481))
        phone.finish(20)
        before = len(lamp.messages())
        caller.hangup()
        house.wait(lambda s: "<dialog-info" in lamp.messages()[before:], 20, "the lamp of an idle line")
        assert "call-id" not in lamp.messages()[before:], "who may not join is told no names"
        agent.wait_for("closed", 20)
    finally:
        for each in (agent, caller, lamp, phone):
            each.stop()
        configure(house, [])
