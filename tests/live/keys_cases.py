"""Keys between far ends that tell them in different ways (lines[].dtmf): played in the house of test_sip_transports.py.

baresip tells and takes telephone-events (RFC 4733), or has none; sipp tells and takes INFO; the trunk has tones."""

import shutil
import time

import pytest

from hil.phone.phone import Phone
from hil.phone.sipp import HOST, Sipp, proof, request
from hil.probes import dtmf, wav
from tests.live.join_cases import ANSWER, SOUND

LINE, OTHER = "1003", "1004"
EVENTS = SOUND.replace("AVP 8\n", "AVP 8 101\n") + "a=rtpmap:101 telephone-event/8000\n"


def informing(called, password):
    """A call that presses 7 by INFO, is told of a key, and hangs up."""
    uri = "sip:%s@%s" % (called, HOST)
    more = ["Content-Type: application/sdp"]
    said = request("INFO", "[next_url]", OTHER, 3, to=uri, peer="[peer_tag_param]", more=["Content-Type: application/dtmf-relay"], body="Signal=7\nDuration=200\n")
    return ('<scenario name="informs">%s<recv response="401" auth="true"/>%s%s<recv response="100" optional="true"/><recv response="180" optional="true"/>'
            '<recv response="200" rrs="true"/>%s<pause milliseconds="800"/>%s<recv response="200"/>'
            '<recv request="INFO" timeout="20000"><action><ereg regexp="Signal=8" search_in="body" check_it="true" assign_to="1"/></action></recv>%s'
            '<Reference variables="1"/><recv request="BYE" timeout="20000"/>%s</scenario>') % (
        request("INVITE", uri, OTHER, 1, more=more, body=EVENTS), request("ACK", uri, OTHER, 1, peer="[peer_tag_param]").replace(' retrans="500"', ""),
        request("INVITE", uri, OTHER, 2, more=[*more, proof(OTHER, password)], body=EVENTS),
        request("ACK", "[next_url]", OTHER, 2, to=uri, peer="[peer_tag_param]").replace(' retrans="500"', ""), said, ANSWER, ANSWER)


def configure(house, **modes):
    """Lines have these modes."""
    running = house.product.get("/configuration")
    for row in running["configuration"]["lines"]:
        row["dtmf"] = modes.get("l" + row["name"], "auto")
    house.product.post("/configuration/apply", running)
    return {row["name"]: row["password"] for row in running["configuration"]["lines"]}


def told(phone, mark):
    """Keys that baresip was told of as telephone-events."""
    return "".join(event["param"] for event in phone.events("call_dtmf_start", mark))


@pytest.mark.skipif(not shutil.which("baresip") or not shutil.which("sipp"), reason="baresip or sipp is not installed (Debian: baresip-core, sip-tester)")
@pytest.mark.conformance("RFC 4733", "live baresip", "keys of the trunk (tones) and of a telephone that tells them by INFO reach it as telephone-events, its own reach them as tones and INFO")
@pytest.mark.conformance("RFC 6086", "live sipp", "a line's keys by INFO, both ways, to a telephone with telephone-events")
def test_keys_between_a_trunk_and_telephones_of_each_mode(house):
    agent, sipp = house.agent_phone, None
    for name in (LINE, OTHER):
        house.available(name, "logged_out")
    house.available("1001")
    try:
        # tones of the trunk and events of baresip
        configure(house, l1004="info")
        house.wait_agent_idle("1001", 30)
        mark = agent.mark()
        name = house.place_and_choose("1")
        agent.wait_for("answered", 30, since=mark)
        house.wait_call("talking", 30)
        house.far.dtmf(name, "59")
        house.far.wait_for("dtmf_done", 10, id=name)
        house.wait(lambda s: told(agent, mark) == "59", 10, "the keys of the trunk at baresip")
        agent.command("sndcode", "4")
        time.sleep(1)
        house.far.hangup(name)
        house.far.wait_for("record_closed", 10, id=name)
        agent.wait_for("closed", 10, since=mark)
        heard = dtmf.text(wav.read_mono(house.folder / f"{name}.wav"))
        assert heard == "4", "the trunk hears the key of baresip, and none of its own: %s" % heard
        house.wait_idle(30)

        # INFO of sipp and events of baresip
        password = configure(house, l1004="info")
        house.available("1001", "logged_out")
        sipp = Sipp(house.sip_port, house.folder / "sipp-keys")
        sipp.register(OTHER, password[OTHER])
        mark = agent.mark()
        sipp.start(informing("1001", password[OTHER]))
        agent.wait_for("answered", 30, since=mark)
        house.wait(lambda s: told(agent, mark) == "7", 10, "the key of sipp at baresip")
        answer = sipp.messages().split("CSeq: 2 INVITE")[-1].split("ACK sip:")[0]
        assert "m=audio" in answer and "telephone-event" not in answer, "whose keys go by INFO is offered no events"
        agent.command("sndcode", "8")
        house.wait(lambda s: "Signal=8" in sipp.messages(), 10, "the key of baresip at sipp")
        time.sleep(0.3)
        agent.hangup()
        sipp.finish(30)
        house.wait_idle(30)

        # tones only: no events are offered, and the telephone hears the tone
        configure(house, l1003="inband")
        with Phone(LINE, password[LINE], house.sip_port, record_file=house.folder / "tones-heard.wav") as phone:
            sipp.register(OTHER, password[OTHER])
            mark = phone.mark()
            sipp.start(informing(LINE, password[OTHER]))        # it is not told of a key, and is ended
            phone.wait_for("answered", 30, since=mark)
            house.wait(lambda s: sipp.messages().count("CSeq: 3 INFO") > 1, 10, "the answer to the key")
            time.sleep(0.5)
            phone.hangup()
            sipp.stop()
            phone.wait_for("closed", 10, since=mark)
            assert told(phone, mark) == ""
        heard = dtmf.text(wav.read_mono(phone.recordings[0][0]))
        assert heard == "7", heard
        house.wait_idle(30)
    finally:
        if sipp is not None:
            sipp.stop()
        configure(house)
