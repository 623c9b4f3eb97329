"""Live NFAS: one D channel for several spans, with back-up (scripted) and without (libpri); collected in test_outgoing.py, in the house of pri_house.py."""

import time

import pytest

from tests.conftest import WHOLE_ONLY
from tests.live import probe_moves
from tests.live.pri_house import likeness, octets_of, talk_through
from tests.live.pri_script import BEARER


def channel(interface, timeslot):
    return {"selection": "indicated", "exclusive": True, "interface": "%02x" % (0x80 | interface), "channels": [timeslot]}


def call_in(house, end, span, reference, interface, timeslot, called="02150801912"):
    """A call of the script over the switch to span 12 (libpri), answered; (libpri's call, our CONNECT)."""
    mark = house.far.mark()
    end.say(span, "SETUP", reference, 0, bearer_capability=BEARER, channel_identification=channel(interface, timeslot),
            calling_party_number={"type": "national", "plan": "isdn", "number": "2125550100", "presentation": "allowed", "screening": "network"},
            called_party_number={"type": "national", "plan": "isdn", "number": called})
    out = house.far.wait_for("incoming", 30, since=mark, span=12)
    where, connect = end.heard("CONNECT", reference=reference)
    end.say(span, "CONNECT_ACKNOWLEDGE", reference, 0)
    return out, connect


def d_states(house):
    return {row["span"]: row["nfas"]["d_state"] for row in house.state()["spans"] if row["span"] in (13, 14, 15)}


@pytest.mark.conformance("Q.931", "F.1", "NFAS with back-up D channel, live: one D channel for three T1, SERVICE brings it in service; a call on an interface without D channel, timeslot 24 too")
@pytest.mark.conformance("Q.931", "F.3", "the D channel in service fails: SERVICE on the back-up, STATUS ENQUIRY, the call goes on; control killed in between")
@WHOLE_ONLY
def test_a_back_up_d_channel_takes_over(house, phone, script):
    house.far.policy()
    assert d_states(house) == {13: "in_service", 14: "standby", 15: None}
    out, connect = call_in(house, script, 13, 5, 2, 24)
    assert connect is not None
    row = next(row for row in house.wait_call("talking")["legs"] if row["role"] == "caller")
    assert (row["span"], row["timeslot"]) == (15, 24)
    house.far.command("channel", id="raw", span=15, timeslot=24)
    house.far.command("record", id="raw", file=str(house.folder / "raw.wav"))
    call, said = house.newest_call()["call"], {}

    def speak(seed):
        """What libpri's side says comes out of timeslot 24 of span 15."""
        path, mark = house.folder / f"nfas-{seed}.wav", house.far.mark()
        said[seed] = probe_moves.material(seed, 1.7, path)
        house.far.play(out["id"], path)
        house.far.wait_for("play_done", 30, since=mark, id=out["id"])
    speak(321)
    at = script.mark()
    script.release_link(13)
    span, interface, status = script.service("SERVICE", since=at)
    assert (span, interface, status) == (14, 1, "in_service")
    house.kill("control")
    again = script.mark()
    house.wait(lambda s: s["calls"], 30, "the call after the kill")
    script.service("SERVICE", since=again)                  # asked again by the next process
    script.answer_service(14, 1)
    where, enquiry = script.heard("STATUS_ENQUIRY", since=at, reference=5)
    assert where == 14
    script.say(14, "STATUS", 5, 0, cause={"cause": 30, "location": 2}, call_state={"state": 10})
    house.wait(lambda s: d_states(house) == {13: "out_of_service", 14: "in_service", 15: None}, 30, "the back-up in service")
    assert house.wait_call("talking")["call"] == call
    speak(322)

    # The next call over the back-up, ours: on the interface of the first span, named.
    at = script.mark()
    name = house.place(span=12, called="02150801913", record=False)
    where, setup = script.heard("SETUP", since=at)
    named = setup.get("channel_identification")
    assert where == 14 and named["interface"] in ("80", "81", "82") and len(named["channels"]) == 1
    script.say(14, "CONNECT", setup.reference, 1, channel_identification=named)
    house.far.wait_for("connect", 30, id=name)
    script.say(14, "DISCONNECT", setup.reference, 1, cause={"cause": 16, "location": 2})
    script.heard("RELEASE", since=at, reference=setup.reference)
    script.say(14, "RELEASE_COMPLETE", setup.reference, 1)
    house.far.wait_for("released", 30, id=name)

    # The first D channel comes back: it stands by, the calls stay where they are.
    script.awake(13)
    script.wait_up(13)
    house.wait(lambda s: d_states(house) == {13: "standby", 14: "in_service", 15: None}, 30, "the first D channel at hand")
    at = script.mark()
    house.far.hangup(out["id"])
    where, _ = script.heard("DISCONNECT", since=at, reference=5)
    assert where == 14
    script.say(14, "RELEASE", 5, 0)
    script.heard("RELEASE_COMPLETE", since=at, reference=5)
    house.far.hangup("raw")
    house.wait_idle(30)
    heard = octets_of(house, "raw")
    for seed, octets in said.items():
        assert likeness(octets, heard) > 0.95, seed
    assert house.cdr(call)["cdr"]["result"] == "answered"


@pytest.mark.conformance("Q.931", "4.5.13/NFAS", "interface identifier with libpri: calls in and out on the interface of the D channel and on the other, sound both ways")
def test_one_d_channel_for_two_spans_with_libpri(house, phone):
    def measure():
        house.far.policy(record_dir=house.folder)
        files = {seed: house.folder / f"pair-{seed}.wav" for seed in (311, 312)}
        said = {seed: probe_moves.material(seed, 1.7, path) for seed, path in files.items()}
        name, out = talk_through(house, 17, 12, timeslot=24)
        mark = house.far.mark()
        house.far.call("busy", 17, "02150801900", timeslot=1)       # its SETUP is refused, but the channel is named as it must be
        assert house.far.wait_for("hangup", 30, since=mark, id="busy")["cause"] == 1
        other, back = talk_through(house, 12, 16)
        assert back["timeslot"] == 1 and back["span"] == 16
        for each, seed in ((name, 311), (out["id"], 312), (other, 311), (back["id"], 312)):
            house.far.play(each, files[seed])
        for each in (name, out["id"], other, back["id"]):
            house.far.wait_for("play_done", 30, id=each)
        time.sleep(0.1)
        house.far.hangup(name)
        house.far.hangup(back["id"])
        for each, seed in ((name, 312), (out["id"], 311), (other, 312), (back["id"], 311)):
            house.far.wait_for("released", 30, id=each)
            assert likeness(said[seed], octets_of(house, each)) > 0.99, each
    probe_moves.undisturbed(measure, house)
    house.far.policy()
    house.wait_idle(30)
