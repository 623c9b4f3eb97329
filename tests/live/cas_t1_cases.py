"""Live calls of robbed-bit trunks: E&M, feature groups B and D, loop and ground start, both roles, both directions, sound both ways.

Collected in test_cas.py, whose house and whose T1 they share: its span is given one protocol after another.  The far end is scripted (hil/em.py)
and shares no code with the product.  Codes: ANSI T1.403.02; feature groups: GR-690; a channel bank's FXS is the exchange, its FXO the telephone."""

import numpy as np
import pytest

from hil.em import keys, mf_keys, mf_text, pulsed, ulaw
from hil.probes import wav
from hil.probes.pieces import share
from hil.rig import RigError
from tests.conftest import WHOLE_ONLY
from tests.live import probe_moves

LANDING, PILOT, DIALLED, OURS, CALLER = "1000", "8008", "4321", "2000", "2125550100"
FREE, BUSY, RING, IDLE_GROUND = 0b0101, 0b1111, 0b0000, 0b1111
SPAN, ROUTE = 8, "8"            # of test_cas.py
IDLE = {"fxs_loop": FREE, "fxs_ground": FREE, "fxo_loop": FREE, "fxo_ground": IDLE_GROUND, "fgb": 0, "fgd": 0, "em_wink": 0, "em_immediate": 0, "em_delay": 0}     # of the far end
PULSES = "/pulse"               # behind a protocol: digits are dial pulses
WAYS = (*IDLE, "em_immediate" + PULSES, "fxs_loop" + PULSES, "fxo_loop" + PULSES)
DELAY_MS = 600                  # of delay dial: longer than any wink
SECONDS = 2
HEARD = 0.8


def give(house, idle, **cas):
    """The T1 another protocol, both ends of it."""
    running = house.product.get("/configuration")
    config = running["configuration"]
    next(row for row in config["spans"] if row["span"] == SPAN)["cas"] = cas
    if all(row["number"] != PILOT for row in config["numbers"]):
        config["numbers"].append({"number": PILOT, "application": "ivr", "target": "main"})
    house.em.framer.cas_bits[:] = idle
    house.product.post("/configuration/apply", running)
    house.em.pause(1500)                # the guard of circuits that begin anew
    house.wait(lambda s: all(slot["state"] == "idle" for row in s["spans"] if row["span"] == SPAN for slot in row["timeslots"]), 30, "the circuits of " + cas["protocol"])


@pytest.fixture
def bank(house, request):
    """Its parameter's protocol on the T1; afterwards what was there before."""
    protocol, _, pulses = request.param.partition("/")
    before = next(row for row in house.product.get("/configuration")["configuration"]["spans"] if row["span"] == SPAN)["cas"]
    give(house, IDLE[protocol], protocol=protocol, **({"pilot": PILOT, "answer_after_s": 1} if protocol[:3] == "fxo" else {"called_length": 4}),
         **({"address": "pulse"} if pulses else {}))
    yield request.param
    give(house, 0, **before)


class Circuit:
    """The far end of one circuit in the words of its protocol.  way: of WAYS; number: of the timeslot."""

    def __init__(self, far, way, number):
        self.far, self.number = far, number
        self.protocol, _, self.pulses = way.partition("/")

    def sees(self, bits, what):
        self.far.wait(lambda: self.far.seen(self.number) == bits, 30, what)

    def wink(self):
        """Ready for digits: a wink, or the end of a delay."""
        self.far.hook(self.number, True)
        self.far.pause(DELAY_MS if self.protocol == "em_delay" else 200)
        self.far.hook(self.number, False)

    def dial(self, digits):
        if self.pulses:
            self.far.signal(self.number, pulsed(digits, BUSY, IDLE[self.protocol]))
        else:
            self.far.say(self.number, keys(digits))

    def hears(self, digits):
        """The digits have come, as keys or pulses."""
        self.far.wait(lambda: (self.far.pulses if self.pulses else self.far.digits)(self.number) == digits, 20, "the digits")

    def winked(self, what):
        self.far.wait(lambda: self.far.off_hook(self.number), 30, what)
        self.far.wait(lambda: not self.far.off_hook(self.number), 30, "the end of " + what)
        self.far.pause(100)

    def call(self):
        """Seize and give the number.  Returns the number that is called."""
        far, number, kind = self.far, self.number, self.protocol
        if kind[:2] in ("fg", "em"):
            far.hook(number, True)
            if kind == "em_immediate":
                far.pause(200)
            else:
                self.winked("the wink")
            if kind[:2] == "em":
                self.dial(LANDING)
            else:
                far.say(number, mf_keys(("K00" + CALLER + "S" if kind == "fgd" else "") + "K" + LANDING + "S"))
            if kind == "fgd":
                self.winked("the acknowledgement wink")
            far.wait(lambda: far.off_hook(number), 10, "the answer")
            return LANDING
        if kind[:3] == "fxs":               # we are the telephone
            if kind == "fxs_ground":
                self.sees(IDLE_GROUND, "no tip ground")
                far.send(number, RING)      # ring ground asks for the line
                self.sees(FREE, "tip ground")
            far.send(number, BUSY)
            far.listen(number)
            far.wait(lambda: len(far.samples(number)) > 1600 and self.dial_tone(), 30, "dial tone")
            self.dial(LANDING)
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
        if kind[:2] in ("fg", "em"):
            far.wait(lambda: far.off_hook(number), 30, "a seizure")
            far.listen(number)
            if kind != "em_immediate":
                far.pause(150)
                self.wink()
            wanted = ("K00" + OURS + "S" if kind == "fgd" else "") + "K" + DIALLED + "S"
            if kind[:2] == "em":
                self.hears(DIALLED)
            else:
                far.wait(lambda: mf_text(far.samples(number)) == wanted, 15, "the digits " + wanted)
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
        self.hears(DIALLED)

    def rest(self):
        """Idle again, whatever was under way."""
        if self.number is not None:
            self.far.send(self.number, IDLE[self.protocol])
        self.far.pause(3000)

    def hang_up(self):
        """End the call; a line without a signal for it opens the feed, as exchanges do."""
        far, number, kind = self.far, self.number, self.protocol
        if kind[:2] in ("fg", "em"):
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
        """Sound both ways: which share of it was heard, in pieces.  Two laws and robbed bits lie between; the far end is made of Python, so a host
        that stands still costs pieces, and more is said then."""
        best = (0, 0)
        for _ in range(4):
            best = tuple(max(pair) for pair in zip(best, self._talk(phone), strict=True))
            if min(best) >= HEARD:
                break
        return best

    def _talk(self, phone):
        far_says, near_says = (wav.alaw_expand(np.frombuffer(probe_moves.material(seed + len(self.protocol), SECONDS), np.uint8)) for seed in (400, 450))
        self.far.listen(self.number)
        self.far.say(self.number, ulaw(far_says))
        phone.play(wav.alaw_compress(near_says.astype(np.int16)).tobytes()).wait(SECONDS + 30)
        self.far.pause(700)
        heard = wav.alaw_expand(np.frombuffer(phone.received_octets(), np.uint8))
        return share(far_says, heard), share(near_says, self.far.samples(self.number))


def thrice(house, move, rest):
    """move(), at most three times: the far end is made of Python, and a host that stands still tears its digits, or what it hears of ours."""
    for left in (2, 1, 0):
        try:
            return move()
        except (TimeoutError, RigError):
            if not left:
                raise
            rest()
            house.wait_idle(30)
            house.em.pause(1500)        # guard


@WHOLE_ONLY
@pytest.mark.parametrize("bank", WAYS, indirect=True)
def test_each_protocol_of_a_channel_bank(bank, house, phone):
    """In: number or pilot, dial tone for telephones, to an agent; out: digits or ringing, answered; sound both ways on both."""
    protocol, far = bank, house.em
    circuit, rings = Circuit(far, protocol, 2), phone.mark()

    def comes():
        called = circuit.call()
        house.wait(lambda s: any(c["state"] == "ivr" for c in s["calls"]), 10, "the greeting")
        return called

    called = thrice(house, comes, circuit.rest)
    for _ in range(6):                  # a host that stands still tears a key of the far end, which is made of Python
        far.pause(1000)
        far.say(2, keys("1"))
        far.pause(1500)
        if any(c["state"] != "ivr" for c in house.state()["calls"]):
            break
    phone.wait_for("answered", 30, since=rings)
    call = house.wait(lambda s: next((c for c in s["calls"] if c["state"] == "talking"), None), 30, "talking")
    assert (call["called"], call["span"], call["timeslot"]) == (called, SPAN, 2)
    assert call["caller"] == (CALLER if protocol == "fgd" else "")
    heard = circuit.talk(phone)
    assert min(heard) >= HEARD, heard
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
    before = far.checker.cas_bits.copy()
    out = Circuit(far, protocol, None)

    def goes():
        rings = phone.mark()
        phone.dial(ROUTE + DIALLED)
        far.wait(lambda: far.changed(before), 30, "a seizure")
        out.number = far.changed(before)
        out.take()
        return rings

    def ends():
        phone.hangup()
        out.rest()

    rings = thrice(house, goes, ends)
    phone.wait_for("answered", 30, since=rings)
    call = house.wait(lambda s: next((c for c in s["calls"] if c["state"] == "talking"), None), 30, "talking")["call"]
    heard = out.talk(phone)
    assert min(heard) >= HEARD, heard
    out.hang_up()
    phone.wait_for("closed", 30, since=rings)
    cdr = house.cdr(call)["cdr"]
    assert (cdr["out_span"], cdr["out_timeslot"], cdr["result"], cdr["released_by"]) == (SPAN, out.number, "answered", "callee")
    house.wait_idle(30)
