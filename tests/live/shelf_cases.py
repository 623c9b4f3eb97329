"""Agents at the numbers of an old PBX or IP shelf that registers for all of them at once (RFC 6140): played in the house of test_sip_transports.py.

The shelf is sipp: it registers one Contact with bnc, an agent logs in there by dialling a code and keying the own one, callers of the queue arrive at each
number, and sipp's rtp_echo gives a caller's words back, which the far exchange records."""

import shutil
import time

import pytest

from hil.phone.sipp import HOST, Sipp, proof, request
from hil.probes import exact
from tests.conftest import WHOLE_ONLY
from tests.live import probe_moves
from tests.live.join_cases import ANSWER, SOUND

SHELF, PASSWORD, QUEUE = "shelf-1", "gin-secret", "02150801095"
AGENTS = {"1003": "8001", "1004": "8002"}         # agent and line: number of the shelf
CODE = "4711"

CALLED = """<scenario name="called">
  <recv request="INVITE"><action><ereg regexp="INVITE sip:(8001|8002)@" search_in="msg" check_it="true" assign_to="1"/></action></recv>
  <Reference variables="1"/>
  <send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port]>
Content-Type: application/sdp
Content-Length: [len]

%s]]></send>
  <recv request="ACK"/>
  <recv request="BYE" timeout="60000"/>
  %s
</scenario>
""" % (SOUND, ANSWER)


def dialling(number, digits, keys):
    """A telephone of the shelf dials a code and presses keys; the box hangs up."""
    uri = "sip:%s@%s" % (digits, HOST)
    sound = ["Content-Type: application/sdp"]
    pieces = [request("INVITE", uri, number, 1, more=sound, body=SOUND), '<recv response="401" auth="true"/>',
              request("ACK", uri, number, 1, peer="[peer_tag_param]").replace(' retrans="500"', ""),
              request("INVITE", uri, number, 2, more=[*sound, proof(SHELF, PASSWORD)], body=SOUND), '<recv response="100" optional="true"/>',
              '<recv response="180" optional="true"/>', '<recv response="200" rrs="true"/>', request("ACK", uri, number, 2, peer="[peer_tag_param]").replace(' retrans="500"', "")]
    for place, key in enumerate(keys):
        pieces += ['<pause milliseconds="400"/>', request("INFO", "[next_url]", number, 3 + place, to=uri, peer="[peer_tag_param]", more=["Content-Type: application/dtmf-relay"],
                                                          body="Signal=%s\nDuration=160\n" % key), '<recv response="200"/>']
    return '<scenario name="code">%s<recv request="BYE" timeout="30000"/>%s</scenario>' % ("".join(pieces), ANSWER)


def configure(house):
    running = house.product.get("/configuration")
    config = running["configuration"]
    before = {part: [dict(row) for row in config[part]] for part in ("trunk_groups", "sip_trunks", "routes", "numbers", "lines", "agents")}
    config["trunk_groups"].append({"name": "shelf", "feature_codes": True})
    config["sip_trunks"].append({"name": "shelf", "trunk_group": "shelf", "kind": "pbx", "channels": 8, "options_s": 0, "incoming_user": SHELF, "incoming_password": PASSWORD})
    config["routes"].append({"number": "7.", "class": "local", "choices": [{"trunk_group": "shelf", "strip": 1}]})
    config["numbers"].append({"number": QUEUE, "application": "queue", "target": "sales"})
    for name, number in AGENTS.items():
        next(line for line in config["lines"] if line["name"] == name)["home"] = {"number": "7" + number, "mode": "per_call", "confirm": "none", "announce": "none"}
        next(agent for agent in config["agents"] if agent["name"] == name).update(line=name, pin=CODE, queues=[{"queue": "sales", "level": 1}])
    house.product.post("/configuration/apply", running)
    return before


def agent_of(state, name):
    return next(agent for agent in state["agents"] if agent["name"] == name)


@WHOLE_ONLY
@pytest.mark.skipif(not shutil.which("sipp"), reason="sipp is not installed (Debian: sip-tester)")
@pytest.mark.conformance("RFC 6140", "live sipp", "a shelf registers one Contact with bnc; agents log in at its numbers and get a queue's callers there, over a kill of control, with sound")
def test_agents_at_the_numbers_of_a_shelf(house):
    for agent in ("1001", "1002", *AGENTS):
        house.available(agent, "logged_out")
    before = configure(house)
    shelf = Sipp(house.sip_port, house.folder / "shelf")
    said = probe_moves.material(96, 3, house.folder / "shelf-caller.wav")
    try:
        assert [t["state"] for t in house.state()["sip_trunks"] if t["trunk"] == "shelf"] == ["down"]
        shelf.register(SHELF, PASSWORD, bulk=True)
        house.wait(lambda s: [t for t in s["sip_trunks"] if t["trunk"] == "shelf" and t["state"] == "up"], 20, "the shelf")
        for name, number in AGENTS.items():
            shelf.start(dialling(number, "*41" + name, CODE))
            shelf.finish(40)
            house.wait(lambda s: agent_of(s, name)["status"] == "available" and agent_of(s, name)["registered"], 20, "agent %s at the shelf" % name)
        shelf.start(CALLED, "-rtp_echo", calls=2)
        took = []
        for kill in (False, True):
            name = house.place(called=QUEUE)
            house.far.wait_for("connect", 30, id=name)
            call = house.wait(lambda s: next((c for c in s["calls"] if c["state"] == "talking" and c["application"] != "home" and c["agent"] in AGENTS), None), 30, "a caller who talks")
            if kill:
                house.kill("control")
                house.wait(lambda s: any(c["call"] == call["call"] for c in s["calls"]), 30, "the call after the kill")
            house.far.play(name, house.folder / "shelf-caller.wav")
            house.far.wait_for("play_done", 30, id=name)
            time.sleep(0.5)
            house.far.hangup(name)
            house.far.wait_for("record_closed", 30, id=name)
            octets = (house.folder / f"{name}.wav").read_bytes()
            found = exact.match(said, octets[octets.index(b"data") + 8:])
            assert found.exact, "the caller's words came back from the shelf: %s" % found
            cdr = house.cdr(call["call"], 30)["cdr"]
            assert (cdr["result"], cdr["application"]) == ("answered", "queue"), cdr
            took.append(cdr["agent"])
        assert sorted(took) == sorted(AGENTS), "each number of the shelf had a caller"
        shelf.finish(30)
        shelf.start(dialling("8001", "*40", ""))
        shelf.finish(30)
        house.wait(lambda s: agent_of(s, "1003")["status"] == "logged_out", 20, "the log-out")
    finally:
        shelf.stop()
        for agent in AGENTS:
            house.available(agent, "logged_out")
        house.wait_idle(30)
        running = house.product.get("/configuration")
        running["configuration"].update(before)
        house.product.post("/configuration/apply", running)
