"""Our side of a PRI call over DAHDI, inside the virtual machine of hil/dahdi/vm.sh; far.c (libpri) is the other.

drivers/tdm/dahdi.py carries span 1 as media's tick would play it, each 10 ms; dsp/hdlc.py, proto/q921.py and proto/q931 are the D channel,
chassis/line_audio.py sends and measures.  Once with the D channel as DAHDI's HDLC frames, once as clear octets:

    far.c calls on timeslot 5, hears our 1020 Hz, and we measure its 1004 Hz
    we call far.c, which sends back what it hears: the analysis knows a loop
    the card is taken away while that call is up: one alarm with its name, nothing raises, the rest goes on; it comes back and carries again"""

import json
import pathlib
import subprocess
import tempfile
import time

import numpy

from drivers.tdm import dahdi
from dsp import hdlc
from firmware.chassis import line_audio
from firmware.errors import StrowgerError
from firmware.proto.q921 import Q921Link
from firmware.proto.q931.link import Q931Link
from tests.dahdi import cards

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "dahdi"
OURS, THEIRS, BLOCK, TICK_S = "02150809999", "10000", 80, 0.01
PLACES = numpy.argmin(numpy.abs(numpy.arange(-32768, 32768, 16)[:, None] + 8 - numpy.array([
    (1 if (octet ^ 0x55) & 0x80 else -1) * ((((((octet ^ 0x55) & 15) << 4) + (0x108 if (octet ^ 0x55) & 0x70 else 8))
     << max(0, ((octet ^ 0x55) >> 4 & 7) - 1))) for octet in range(256)])[None, :]), axis=1).astype(numpy.uint8)
LEVELS = numpy.array([(1 if (octet ^ 0x55) & 0x80 else -1) * ((((((octet ^ 0x55) & 15) << 4) + (0x108 if (octet ^ 0x55) & 0x70 else 8))
                      << max(0, ((octet ^ 0x55) >> 4 & 7) - 1))) for octet in range(256)], numpy.int16)       # G.711 table 1a


def a_law(samples):
    """Octets of 16-bit samples, the nearest ones."""
    return PLACES[(numpy.clip(samples, -32768, 32767).astype(int) + 32768) >> 4].tobytes()


class Side:
    """The user side on one span, and what plays on its timeslots."""

    def __init__(self):
        self.card = dahdi.DAHDISpan(1, cards.ROW)
        self.rx, self.tx = hdlc.new_rx_state(1), hdlc.new_tx_state(1)
        self.layer2, self.layer3 = Q921Link("user", keep_up_ms=1000), Q931Link("user")
        self.seen, self.sounds, self.heard = [], {}, {}     # events; timeslot: octets still to send; timeslot: octets that came
        self.abcd = numpy.zeros(32, numpy.uint8)
        self.up = False
        self._next = time.monotonic()
        self._signal(self.layer2.request("dl_establish_request", self.now()))

    @staticmethod
    def now():
        """ms."""
        return int(time.monotonic() * 1000)

    def _signal(self, events):
        for kind, *more in events:
            if kind in ("dl_establish_confirm", "dl_establish_indication"):
                self.up = True
                self.seen += self.layer3.link_up(self.now())
            elif kind == "dl_release_indication":
                self.up = False
                self.seen += self.layer3.link_down(self.now())
            elif kind == "dl_data_indication":
                self.seen += self.layer3.receive(more[0], self.now())

    def tick(self):
        """10 ms, at their time."""
        self._next += TICK_S
        wait = self._next - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        elif wait < -1:
            self._next = time.monotonic()       # the machine stood still
        rows = self.card.wire.take(self.abcd)
        for _, frame in hdlc.receive(self.rx, numpy.frombuffer(rows[16 * BLOCK:17 * BLOCK], numpy.uint8).reshape(1, BLOCK)):
            self._signal(self.layer2.receive(frame, self.now()))
        for timeslot, came in self.heard.items():
            came += rows[timeslot * BLOCK:(timeslot + 1) * BLOCK]
        for machine in (self.layer2, self.layer3):
            if machine.deadline_ms() is not None and machine.deadline_ms() <= self.now():
                events = machine.expire(self.now())
                self._signal(events) if machine is self.layer2 else self.seen.extend(events)
        for message in self.layer3.take_output():
            self._signal(self.layer2.request("dl_data_request", self.now(), message))
        for frame in self.layer2.take_output():
            hdlc.put(self.tx, 0, frame)
        out = bytearray(b"\xd5" * 32 * BLOCK)
        out[16 * BLOCK:17 * BLOCK] = hdlc.transmit(self.tx, BLOCK).tobytes()
        for timeslot, octets in self.sounds.items():
            piece = bytes(octets[:BLOCK])
            del octets[:BLOCK]
            out[timeslot * BLOCK:timeslot * BLOCK + len(piece)] = piece
        self.card.wire.give(bytes(out))

    def wait(self, name, seconds=40):
        """The next event of a name."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.tick()
            for event in self.seen:
                if event["event"] == name:
                    self.seen.remove(event)
                    return event
        raise TimeoutError("no %s in %d s; seen: %s" % (name, seconds, self.seen[-3:]))

    def run(self, seconds):
        """Let time pass."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.tick()

    def measure(self, timeslot):
        """Play the script, then a second of it again; returns what line_audio makes of what came."""
        self.sounds[timeslot], self.heard[timeslot] = bytearray(a_law(line_audio.script().astype(int))), bytearray()
        self.run(line_audio.SCRIPT_S + 0.5)
        return line_audio.analyse(LEVELS[numpy.frombuffer(bytes(self.heard.pop(timeslot)), numpy.uint8)])


def events(path):
    """What far.c printed."""
    found = []
    for line in path.read_text(errors="replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def calls(side, log, result):
    """A call each way."""
    side.wait("link_state")
    setup = side.wait("setup_indication")
    call, timeslot = setup["call"], setup["timeslot"]
    result["setup"] = {"timeslot": timeslot, "called": setup["called_digits"]}
    side.layer3.request("proceeding_request", call, side.now())
    side.layer3.request("setup_response", call, side.now())
    side.wait("setup_complete_indication")
    result["in"] = side.measure(timeslot)
    side.layer3.request("disconnect_request", call, side.now(), cause=16)
    result["released"] = side.wait("released")["cause"]
    result["far_heard"] = [row["tone_1020_dbm0"] for row in events(log) if row["event"] == "second" and not row["looped"]]
    call = side.layer3.new_call()
    side.layer3.request("setup_request", call, side.now(), called={"number": THEIRS, "type": "unknown", "plan": "isdn"}, caller=None, redirecting=None,
                        bearer="speech", law="A", timeslot=7, exclusive=True)
    confirmed = side.wait("setup_confirm")
    result["out_timeslot"] = confirmed["timeslot"]
    result["out"] = side.measure(confirmed["timeslot"])


def removal(side, lines):
    """The card goes while a call is up, and comes back."""
    device = cards.take_out()
    side.run(3)
    told = {"alarms": side.card.status()["alarms"], "gone": side.card.gone}
    try:
        again = dahdi.DAHDISpan(1, cards.ROW)
        again.close()
        told["opened"] = True
    except StrowgerError as error:
        told["opened"] = str(error)
    side.card.leave()
    side.card.close()
    cards.put_back(device, lines)
    back = dahdi.DAHDISpan(1, cards.ROW)
    for _ in range(200):
        back.wire.take(side.abcd)
        back.wire.give(bytes(2560))
        time.sleep(TICK_S)
    told["back"], told["alarms_back"] = back.status()["figures"]["blocks"], back.status()["alarms"]
    back.close()
    return told


def one(folder, d_channel):
    """One arrangement.  Returns what was seen."""
    ours = cards.FRAMES if d_channel == "dchan" else cards.OCTETS
    cards.configure(*ours, *cards.FAR_FRAMES)
    log, result = pathlib.Path(folder) / "far.log", {"d_channel": d_channel}
    with open(log, "wb") as output:
        far = subprocess.Popen([str(BUILD / "far"), "32", OURS, THEIRS, "200"], stdout=output, stderr=output)
    side = Side()
    result["kind"] = side.card._channels[16][1]
    try:
        calls(side, log, result)
        result["figures"] = side.card.status()["figures"]
        result["removal"] = removal(side, [*ours, *cards.FAR_FRAMES])
    except (StrowgerError, TimeoutError, OSError, RuntimeError, subprocess.CalledProcessError) as error:
        result["failed"] = "%s: %s" % (type(error).__name__, error)
        result["far"] = log.read_text(errors="replace")[-2000:]
        result["figures"] = side.card.status()
        result["layer2"] = dict(side.layer2.counters)
    finally:
        far.terminate()
        far.wait()
        side.card.leave()
        side.card.close()
    return result


def verdict(seen):
    """What is wrong with it, in sentences."""
    if "failed" in seen:
        return ["%s: %s" % (seen["d_channel"], seen["failed"])]
    wrong = []
    if seen["kind"] != {"dchan": "frames", "bchan": "octets"}[seen["d_channel"]]:
        wrong.append("the D channel is %s" % seen["kind"])
    if seen["setup"] != {"timeslot": 5, "called": OURS} or seen["released"] != 16:
        wrong.append("the call came as %s, ended with %s" % (seen["setup"], seen["released"]))
    if not seen["far_heard"] or abs(max(seen["far_heard"]) - line_audio.TONE_DBM0) > 3:
        wrong.append("far.c heard our tone at %s dBm0" % seen["far_heard"])
    if seen["in"]["heard_hz"] is None or abs(seen["in"]["heard_hz"] - 1004) > 3:
        wrong.append("we did not hear far.c's tone: %s" % seen["in"])
    if seen["out"]["tone_back_dbm0"] is None and not seen["out"]["looped"]:
        wrong.append("far.c's loop was not heard: %s" % seen["out"])
    taken = seen["removal"]
    if list(taken["alarms"]) != ["card"] or "DAHDI span 1" not in taken["alarms"]["card"] or "DAHDI span 1" not in str(taken["opened"]):
        wrong.append("the removal was told as %s" % taken)
    if not taken["back"]:
        wrong.append("the card did not come back: %s" % taken)
    return ["%s: %s" % (seen["d_channel"], sentence) for sentence in wrong]


def run():
    """Both arrangements.  Returns what was seen."""
    found = []
    for d_channel in ("dchan",):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            found.append(one(folder, d_channel))
        cards.destroy()
    return found
