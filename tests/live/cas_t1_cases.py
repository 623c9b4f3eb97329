"""Live calls of robbed-bit trunks beyond E&M: feature groups B and D, loop and ground start, both roles, both directions, sound both ways.

Collected in test_cas.py, whose house they share; the far end is scripted (hil/em.py) and shares no code with the product.  One T1 at a time
has a far end, since that is made of Python.  Codes: ANSI T1.403.02; feature groups: GR-690; a channel bank's FXS is the exchange, its FXO the telephone."""

import time

import numpy as np
import pytest

from hil.em import EMTrunk, keys, mf_keys, mf_text, ulaw
from hil.probes import wav
from tests.conftest import WHOLE_ONLY
from tests.live import probe_moves

LANDING, PILOT, DIALLED, OURS, CALLER = "1000", "8008", "4321", "2000", "2125550100"
FREE, BUSY, RING, IDLE_GROUND = 0b0101, 0b1111, 0b0000, 0b1111
SPANS = {"fxs_loop": 14, "fxs_ground": 15, "fxo_loop": 16, "fxo_ground": 17, "fgb": 18, "fgd": 19}
IDLE = {"fxs_loop": FREE, "fxs_ground": FREE, "fxo_loop": FREE, "fxo_ground": IDLE_GROUND, "fgb": 0, "fgd": 0}      # of the far end
SECONDS = 2


@pytest.fixture(scope="module")
def bank(house):
    """A T1 for each protocol; a route "6" + number to each."""
    running = house.product.get("/configuration")
    config = running["configuration"]
    for protocol, span in SPANS.items():
        more = {"pilot": PILOT, "answer_after_s": 1} if protocol[:3] == "fxo" else {"called_length": 4}
        config["spans"].append({"span": span, "type": "t1", "signalling": "cas", "trunk_group": protocol,
                                "cas": {"protocol": protocol, "circuits": "1-4", **more}})
        config["trunk_groups"].append({"name": protocol, "caller_number": OURS})
        config["routes"].append({"number": "6%d." % (span - 14), "choices": [{"trunk_group": protocol, "strip": 2}]})
    config["numbers"].append({"number": PILOT, "application": "ivr", "target": "main"})
    house.product.post("/configuration/apply", running)
    house.wait(lambda s: len([row for row in s["spans"] if row["span"] in SPANS.values() and row["alarms"] != ["configuration"]]) == len(SPANS), 30, "the T1 spans")
    time.sleep(1)                       # the framers are those of a T1 by then
    return house


class Circuit:
    """The far end of one circuit in the words of its protocol.  number: of the timeslot."""

    def __init__(self, far, protocol, number):
        self.far, self.protocol, self.number = far, protocol, number

    def sees(self, bits, what):
        self.far.wait(lambda: self.far.seen(self.number) == bits, 30, what)

    def wink(self):
        self.far.hook(self.number, True)
        self.far.pause(200)
        self.far.hook(self.number, False)

    def winked(self, what):
        self.far.wait(lambda: self.far.off_hook(self.number), 30, what)
        self.far.wait(lambda: not self.far.off_hook(self.number), 30, "the end of " + what)
        self.far.pause(100)

    def call(self):
        """Seize and give the number.  Returns the number that is called."""
        far, number, kind = self.far, self.number, self.protocol
        if kind in ("fgb", "fgd"):
            far.hook(number, True)
            self.winked("the wink")
            far.say(number, mf_keys(("K00" + CALLER + "S" if kind == "fgd" else "") + "K" + LANDING + "S"))
            if kind == "fgd":
                self.winked("the acknowledgement wink")
            far.wait(lambda: far.off_hook(number), 30, "the answer")
            return LANDING
        if kind[:3] == "fxs":               # we are the telephone
            if kind == "fxs_ground":
                self.sees(IDLE_GROUND, "no tip ground")
                far.send(number, RING)      # ring ground asks for the line
                self.sees(FREE, "tip ground")
            far.send(number, BUSY)
            far.listen(number)
            far.wait(lambda: len(far.samples(number)) > 1600 and self.dial_tone(), 30, "dial tone")
            far.say(number, keys(LANDING))
            far.wait(lambda: not self.dial_tone(), 30, "the end of dial tone")
            return LANDING
        far.send(number, FREE)              # ground start: tip ground is the seizure
        far.send(number, RING)
        self.sees(BUSY, "the loop closed")
        far.send(number, FREE)
        return PILOT

    def dial_tone(self):
        """Whether the last 100 ms are loud."""
        return float(np.sqrt(np.mean(self.far.samples(self.number)[-800:].astype(float) ** 2))) > 500

    def take(self):
        """Answer a call of the box; the number that came."""
        far, number, kind = self.far, self.number, self.protocol
        if kind in ("fgb", "fgd"):
            far.wait(lambda: far.off_hook(number), 30, "a seizure")
            far.listen(number)
            far.pause(150)
            self.wink()
            wanted = ("K00" + OURS + "S" if kind == "fgd" else "") + "K" + DIALLED + "S"
            far.wait(lambda: mf_text(far.samples(number)) == wanted, 30, "the digits " + wanted)
            if kind == "fgd":
                self.wink()
            far.pause(500)
            far.hook(number, True)
            return
        if kind[:3] == "fxs":
            self.sees(RING, "ringing")
            far.send(number, BUSY)
            self.sees(FREE, "the end of ringing")
            return
        if kind == "fxo_ground":
            self.sees(RING, "ring ground")
            far.send(number, FREE)
        self.sees(BUSY, "the loop closed")
        far.listen(number)
        far.wait(lambda: far.digits(number) == DIALLED, 30, "the digits")

    def hang_up(self):
        """End the call; a line without a signal for it opens the feed, as exchanges do."""
        far, number, kind = self.far, self.number, self.protocol
        if kind[:2] == "fg":
            far.hook(number, False)
            far.wait(lambda: not far.off_hook(number), 30, "on-hook")
        elif kind[:3] == "fxs":
            far.send(number, FREE)
            self.sees(IDLE_GROUND if kind == "fxs_ground" else FREE, "idle")
        else:
            far.send(number, IDLE_GROUND)   # feed open, or tip ground gone
            self.sees(FREE, "the loop open")
            far.send(number, IDLE[kind])

    def talk(self, phone):
        """Sound both ways; correlations.  Two laws lie between."""
        far_says, near_says = (wav.alaw_expand(np.frombuffer(probe_moves.material(seed + SPANS[self.protocol], SECONDS), np.uint8)) for seed in (400, 450))
        self.far.listen(self.number)
        self.far.say(self.number, ulaw(far_says))
        phone.play(wav.alaw_compress(near_says.astype(np.int16)).tobytes()).wait(SECONDS + 30)
        self.far.pause(700)
        heard = wav.alaw_expand(np.frombuffer(phone.received_octets(), np.uint8))
        return likeness(far_says, heard), likeness(near_says, self.far.samples(self.number))


def likeness(said, heard):
    """Correlation of what was said with its best place in what was heard, 0 to 1."""
    said, heard = said.astype(float), heard.astype(float)
    length = 1 << (len(said) + len(heard)).bit_length()
    found = np.fft.irfft(np.fft.rfft(heard, length) * np.conj(np.fft.rfft(said, length)), length)[:max(1, len(heard) - len(said) + 1)]
    at = int(np.argmax(found))
    part = heard[at:at + len(said)]
    return float(np.dot(part, said[:len(part)]) / np.sqrt(np.dot(part, part) * np.dot(said, said) + 1e-9))


@WHOLE_ONLY
@pytest.mark.parametrize("protocol", SPANS)
def test_each_protocol_of_a_channel_bank(bank, house, phone, protocol):
    """In: number or pilot, dial tone for telephones, to an agent; out: digits or ringing, answered; sound both ways on both."""
    span = SPANS[protocol]
    with EMTrunk(house.run_dir, span, IDLE[protocol]) as far:
        house.wait(lambda s: next(row for row in s["spans"] if row["span"] == span)["state"] == "up", 30, "the span up")
        far.pause(1500)
        circuit, rings = Circuit(far, protocol, 2), phone.mark()
        called = circuit.call()
        far.pause(1000)
        far.say(2, keys("1"))
        phone.wait_for("answered", 30, since=rings)
        call = house.wait(lambda s: next((c for c in s["calls"] if c["state"] == "talking"), None), 30, "talking")
        assert (call["called"], call["span"], call["timeslot"]) == (called, span, 2)
        assert call["caller"] == (CALLER if protocol == "fgd" else "")
        heard = circuit.talk(phone)
        assert min(heard) > 0.9, heard
        if protocol[:3] == "fxo":           # a second line of the hunt group behind the pilot number rings meanwhile
            other = Circuit(far, protocol, 3)
            assert other.call() == PILOT
            house.wait(lambda s: [c["called"] for c in s["calls"]] == [PILOT, PILOT], 30, "two callers of the pilot number")
            other.hang_up()
            house.wait(lambda s: len(s["calls"]) == 1, 30, "the second caller gone")
        circuit.hang_up()
        phone.wait_for("closed", 30, since=rings)
        assert house.cdr(call["call"])["cdr"]["released_by"] == "caller"
        house.wait_idle(30)
        house.wait(lambda s: any(a["name"] == "1002" and a["state"] == "idle" for a in s["agents"]), 30, "the agent idle")
        far.pause(1500)                     # guard
        rings = phone.mark()
        phone.dial("6%d" % (span - 14) + DIALLED)
        out = Circuit(far, protocol, 1)
        out.take()
        phone.wait_for("answered", 30, since=rings)
        call = house.wait(lambda s: next((c for c in s["calls"] if c["state"] == "talking"), None), 30, "talking")["call"]
        heard = out.talk(phone)
        assert min(heard) > 0.9, heard
        out.hang_up()
        phone.wait_for("closed", 30, since=rings)
        cdr = house.cdr(call)["cdr"]
        assert (cdr["out_span"], cdr["out_timeslot"], cdr["result"], cdr["released_by"]) == (span, 1, "answered", "callee")
        house.wait_idle(30)
