"""Analog telephones behind a gateway, as an agent's telephone and as plain lines: played in the house of test_sip_transports.py.

The gateway is baresip with two accounts at one address and port, the other end libpri.  What one side says the other must have octet by octet, so tones of
fax machines and modems pass as well."""

import time

import numpy as np

from hil.phone.gateway import AnalogGateway
from hil.probes import dtmf, wav
from tests.live import probe_moves

AGENT, PLAIN, OUTSIDE = "1003", "1004", "13912345678"
SECONDS, PIECE = 3.0, slice(8000, 12000)


def recorded(house, name):
    """What the far exchange heard in a call that is over."""
    house.far.wait_for("released", 30, id=name)
    house.far.wait_for("record_closed", 30, id=name)
    return house.folder / f"{name}.wav"


def talk(house, gateway, name, trunk_said):
    """The trunk's file plays to its end; the gateway has said its own at the answer, and presses keys then."""
    house.far.play(name, trunk_said)
    house.far.wait_for("play_done", 30, id=name)
    for digit in "49":
        gateway.key(digit)
        time.sleep(0.4)


def test_analog_telephones_behind_a_gateway(house):
    """A caller of the queue reaches the agent's telephone in one socket; a telephone in the other socket calls out, over a kill of control; one calls the other."""
    for agent in ("1001", "1002", AGENT, PLAIN):
        house.available(agent, "logged_out")
    passwords = {row["name"]: row["password"] for row in house.product.get("/configuration")["configuration"]["lines"]}
    said = probe_moves.material(91, SECONDS, house.folder / "socket-said.wav")
    trunk_said = probe_moves.material(92, SECONDS, house.folder / "trunk-said.wav")
    with AnalogGateway([(name, passwords[name]) for name in (AGENT, PLAIN)], house.sip_port, play_file=house.folder / "socket-said.wav",
                       record_file=house.folder / "socket.wav") as gateway:
        contacts = {line["name"]: line["contacts"][0]["source"] for line in house.state()["lines"] if line["name"] in passwords and line["contacts"]}
        assert contacts[AGENT] == contacts[PLAIN], "one gateway, one address and port"

        def heard(count, name):
            gateway.hangup()
            trunk_heard = recorded(house, name)
            house.wait(lambda s: len(gateway.recordings) > count, 30, "the gateway's recording")
            assert trunk_said[PIECE] in probe_moves.octets_of(gateway.recordings[count][0]), "the telephone heard the trunk"
            assert said[PIECE] in probe_moves.octets_of(trunk_heard), "the trunk heard the telephone"
            assert dtmf.text(wav.read_mono(trunk_heard)).endswith("49")

        def of_the_queue():
            house.available(AGENT)
            house.wait_agent_idle(AGENT, 30)
            count, mark = len(gateway.recordings), gateway.mark()
            name = house.place_and_choose("1")
            gateway.wait_for("answered", 30, since=mark)
            call = house.wait_call("talking", 30)
            talk(house, gateway, name, house.folder / "trunk-said.wav")
            heard(count, name)
            cdr = house.cdr(call["call"], 30)["cdr"]
            assert (cdr["result"], cdr["agent"], cdr["released_by"]) == ("answered", AGENT, "agent"), cdr

        def to_the_outside():
            house.far.policy(alerting_ms=50, answer_ms=100, record_dir=str(house.folder))
            count, mark, far_mark = len(gateway.recordings), gateway.mark(), house.far.mark()
            gateway.dial(PLAIN, "9" + OUTSIDE)
            name = house.far.wait_for("incoming", 30, since=far_mark)["id"]
            gateway.wait_for("answered", 30, since=mark)
            call = house.wait_call("talking", 30)["call"]
            house.kill("control")
            talk(house, gateway, name, house.folder / "trunk-said.wav")
            house.wait(lambda s: any(c["call"] == call for c in s["calls"]), 30, "the call after the kill")
            heard(count, name)
            cdr = house.cdr(call, 30)["cdr"]
            assert (cdr["result"], cdr["line"], cdr["dialled"]) == ("answered", PLAIN, OUTSIDE), cdr

        def from_one_to_the_other():
            mark = gateway.mark()
            gateway.dial(PLAIN, AGENT)
            house.wait(lambda s: len(gateway.events("answered", mark)) == 2, 30, "both sockets in the call")
            call = house.wait_call("talking", 30)["call"]
            time.sleep(SECONDS + 0.5)
            gateway.hangup()
            house.wait_idle(30)
            # baresip names its recordings by the second, so one lies over the other: what each side sent is in the switch's.
            sides, _ = wav.parse(house.product.recording(call, house.cdr(call, 30)["recordings"][0]["id"]))
            assert all(said[PIECE] in wav.alaw_compress(np.ascontiguousarray(side)).tobytes() for side in sides.T)

        try:
            for measure in (of_the_queue, to_the_outside, from_one_to_the_other):
                probe_moves.undisturbed(measure, house)
                house.available(AGENT, "logged_out")
                house.wait_idle(30)
        finally:
            house.far.policy()
