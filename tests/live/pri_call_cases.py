"""Live PRI calls beyond the plain one: data, digits one by one, every variant, what a call brings; collected in test_outgoing.py, in the house of pri_house.py."""

import time

import numpy as np
import pytest

from hil.probes import wav
from tests.live import probe_moves
from tests.live.pri_house import OVERLAP, WHOLE, bits_pass, hang_up, likeness, octets_of, talk_through

DATA_TO_A_TELEPHONE = "02150801000"
PAIRS = ((3, 12), (12, 3), (4, 5), (5, 4), (6, 7), (7, 6), (8, 9), (9, 8), (10, 11), (11, 10), *(((19, 20), (20, 19)) if WHOLE else ()))


@pytest.mark.conformance("Q.931", "4.5.5/unrestricted", "64 kbit/s unrestricted is carried bit for bit from PRI to PRI: E1 to E1, E1 to T1; libpri at both ends")
@pytest.mark.parametrize("out_span", [3, 4])
def test_data_goes_through_bit_by_bit(house, phone, out_span):
    """2^11-1 of O.152 at 64 kbit/s in both directions, judged by spandsp; a T1 in between converts no law."""
    house.far.policy()
    name, out = talk_through(house, 1, out_span, record=False, capability="data")
    assert (out["capability"], out["layer1"]) == (8, -1)
    bits_pass(house, name, out["id"])
    call = house.newest_call()
    assert call["recording"] is None
    hang_up(house, name, out["id"])
    cdr = house.cdr(call["call"])["cdr"]
    assert (cdr["result"], cdr["recording"]) == ("answered", [])


@pytest.mark.conformance("Q.931", "5.1.5.2/bearer", "a data call to an application that speaks is refused: 88 by the user side, 65 by the network side")
def test_data_for_a_telephone_is_refused(house, phone):
    for span, cause in ((1, 88), (3, 65)):
        name = house.place(span=span, called=DATA_TO_A_TELEPHONE, capability="data", record=False)
        assert house.far.wait_for("hangup", 30, id=name)["cause"] == cause
        house.far.wait_for("released", 30, id=name)
    name = house.place(span=5, called=DATA_TO_A_TELEPHONE, capability="data", record=False)     # a group that has no data calls
    assert house.far.wait_for("hangup", 30, id=name)["cause"] == 65
    house.far.wait_for("released", 30, id=name)
    mark = house.far.mark()
    name = house.place(span=1, called="02150801907", capability="data", record=False)           # a way that does not carry them
    assert house.far.wait_for("hangup", 30, id=name)["cause"] == 65
    assert not house.far.events("incoming", mark, span=7)
    house.wait_idle(30)


@pytest.mark.conformance("Q.931", "5.1.3/libpri", "overlap receiving and sending on live calls, user side and network side, ETSI and QSIG: libpri acknowledges the SETUP and gets each digit; sound both ways")
@pytest.mark.parametrize("span", OVERLAP)
def test_digits_go_out_one_by_one(house, phone, span):
    house.far.policy(digits=11)
    mark = house.far.mark()
    name = house.place(span=1, called=f"8{span:02d}13912345678", overlap=40, initial_digits=5, record=False)
    out = house.far.wait_for("incoming", 30, since=mark, span=span)
    assert not out["complete"] and "13912345678".startswith(out["called"])
    house.far.wait_for("connect", 30, id=name)
    digits = [e["digits"] for e in house.far.events("digits", mark, id=out["id"])]
    assert out["called"] + "".join(digits) == "13912345678" and len(digits) > 4, (out["called"], digits)
    assert [e["event"] for e in house.far.events(since=mark, id=name) if e["event"] in ("setup_ack", "proceeding", "alerting", "connect")] == [
        "setup_ack", "proceeding", "alerting", "connect"]
    call = house.wait_call("talking")["call"]
    bits_pass(house, name, out["id"])
    hang_up(house, name, out["id"])
    cdr = house.cdr(call)["cdr"]
    assert (cdr["dialled"], cdr["out_span"], cdr["result"]) == ("13912345678", span, "answered")
    house.far.policy()


def keys(digits):
    """A-law octets of keys pressed at a telephone: 90 ms each, 90 ms apart, -9 dBm0 a tone."""
    t = np.arange(720) / 8000
    rows, columns = (697, 770, 852, 941), (1209, 1336, 1477)
    sound = [np.zeros(720)]
    for digit in digits:
        place = "123456789*0#".index(digit)
        sound += [8000 * (np.sin(2 * np.pi * rows[place // 3] * t) + np.sin(2 * np.pi * columns[place % 3] * t)) / 2, np.zeros(720)]
    return wav.alaw_compress(np.concatenate(sound).astype(np.int16)).tobytes()


def test_an_agent_dials_on_with_keys(house, phone):
    """The telephone sends some digits, hears the far end's dial tone, and its keys are the others; control dies meanwhile."""
    house.far.policy(digits=7, inband=True, play=house.files["caller"])
    house.wait_agent_idle(phone.user, 30)
    mark, far_mark = phone.mark(), house.far.mark()
    phone.dial("81213")
    out = house.far.wait_for("incoming", 30, since=far_mark, span=12)
    assert (out["called"], out["complete"]) == ("13", False)
    phone.wait_for("early", 30, since=mark)
    house.kill("control")
    house.wait(lambda s: s["calls"], 30, "the call after the kill")
    phone.play(keys("91234")).wait(30)
    house.far.wait_for("connect", 30, id=out["id"])
    assert out["called"] + "".join(e["digits"] for e in house.far.events("digits", far_mark, id=out["id"])) == "1391234"
    phone.wait_for("answered", 30, since=mark)
    call = house.wait_call("talking")["call"]
    phone.hangup()
    house.far.wait_for("released", 30, id=out["id"])
    assert house.cdr(call)["cdr"]["dialled"] == "1391234"
    house.far.policy()


@pytest.mark.conformance("Q.931", "5/variants", "calls of ETSI, National ISDN, QSIG, 5ESS and DMS-100 with libpri, we as user and as network, in and out, sound both ways")
def test_every_variant_both_sides_both_directions(house, phone):
    """Ten calls through the switch at a time, each in over one span and out over its partner of the other side."""
    files = {seed: house.folder / f"variant-{seed}.wav" for seed in (191, 192)}
    said = {seed: probe_moves.material(seed, 1.7, path) for seed, path in files.items()}

    def measure():
        house.far.policy(record_dir=house.folder)
        mark, calls = house.far.mark(), []
        for index, (span, out_span) in enumerate(PAIRS):
            # High timeslots inwards, the group's ascending choice outwards: no glare here.
            name = house.place(span=span, called=f"0215080{1900 + out_span}", timeslot=20)
            out = house.far.wait_for("incoming", 30, since=mark, span=out_span)
            assert (out["called"], out["caller"]) == ("13912345678", "13912345678"), (span, out)
            calls.append((span, out_span, name, out["id"]))
        for _, _, name, out in calls:
            house.far.wait_for("connect", 30, id=name)
            house.far.play(name, files[191])
            house.far.play(out, files[192])
        for _, _, *both in calls:
            for each in both:
                house.far.wait_for("play_done", 30, id=each)
        time.sleep(0.1)
        for index, (_, _, name, out) in enumerate(calls):
            house.far.hangup((name, out)[index % 2])        # half of them are cleared by the called side
        for _, _, *both in calls:
            for each in both:
                house.far.wait_for("released", 30, id=each)
        for span, out_span, name, out in calls:
            heard = likeness(said[192], octets_of(house, name)), likeness(said[191], octets_of(house, out))
            assert min(heard) > 0.99, f"span {span} to span {out_span}: {heard}"
    probe_moves.undisturbed(measure, house)
    house.far.policy()
    house.wait_idle(30)


BRINGS = {"name": "ALICE", "subaddress": "4711", "user_user": "HELLO"}


@pytest.mark.conformance("Q.931", "4.5/carried", "what a call brings goes on to the next PRI of each variant: the caller's name (Display, Facility), called party sub-address, User-user, Redirecting number; libpri at both ends")
@pytest.mark.parametrize("span, out_span", ((1, 3), (6, 7), (4, 5), (8, 9), (10, 11)))
def test_what_a_call_brings_goes_on(house, phone, span, out_span):
    house.far.policy()
    name, out = talk_through(house, span, out_span, record=False, **BRINGS)
    hang_up(house, name, out["id"])
    assert (out["name"], out["called_subaddress"], out["user_user"]) == ("ALICE", "4711", "HELLO"), out
    assert (out["caller"], out["redirecting"]) == ("13912345678", f"0215080{1900 + out_span}")


@pytest.mark.conformance("Q.931", "EN 300 093", "a restricted number goes to a carrier with its presentation, to whom we are the network of without the number; a telephone withholds its own by Privacy")
def test_a_restricted_number(house, phone):
    house.far.policy()
    for out_span, number in ((12, "13912345678"), (3, "")):
        name, out = talk_through(house, 1, out_span, record=False, caller_restricted=True, name="ALICE")
        hang_up(house, name, out["id"])
        assert (out["caller"], out["presentation"] & 0x60, out["name"]) == (number, 0x20, ""), out
    # A telephone withholds its number for one call (RFC 3323): restricted for the carrier; the next call shows it again.
    for fields, presentation in (([("privacy", "id")], 0x20), ([], 0)):
        house.wait_agent_idle(phone.user, 30)
        mark, rings = house.far.mark(), phone.mark()
        phone.dial("81213912345678", fields)
        out = house.far.wait_for("incoming", 30, since=mark, span=12)
        assert (out["caller"] != "", out["presentation"] & 0x60) == (True, presentation), out
        phone.wait_for("answered", 30, since=rings)
        phone.hangup()
        house.far.wait_for("released", 30, id=out["id"])
        house.wait_idle(30)
