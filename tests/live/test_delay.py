"""Through the switch bit by bit, and how long that takes.

One-way delay between a trunk and a phone, both ways: hil/delay.py says how.  Packetisation of 20 ms is in the one,
the jitter buffer (40 ms by default) in the other.

One-way delay, TDM to TDM: number of samples between a sample's place in what a far end sends on its line and in
what comes out on the other line, both counted in blocks of the same instants; and the same in time, from
handing the block to the line socket until the block that bears it can be read from the other one.

The far exchange's file and the phone's packets hold A-law octets; enhancement is off, both legs are A-law: so every
octet must arrive unchanged, which also proves that nothing was concealed, slipped or mixed in.
"""

import asyncio
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from firmware.media.client import MediaClient
from hil import delay
from hil.line import FRAMES, E1Checker, E1Framer, LineClient
from hil.probes import exact
from hil.rig import CHECKOUT, Rig, die_with_us
from tests.live import probe_moves

pytestmark = pytest.mark.live

TDM_TO_RTP_MOST_MS = 50.0
JITTER_BUFFER_MS = 40.0                # default of a leg in firmware/media/table.py
RTP_TO_TDM_MOST_MS = 50.0 + JITTER_BUFFER_MS
TDM_TO_TDM_MOST = 200                  # samples: 25 ms
SECONDS = 8


def figures(name, values, unit="ms"):
    """Print median and extremes; returns (median, worst)."""
    values = np.asarray(values, float)
    print(f"{name}: median {np.median(values):.2f} {unit}, least {values.min():.2f}, worst {values.max():.2f}, "
          f"{len(values)} measured")
    return float(np.median(values)), float(values.max())


@pytest.fixture(scope="module")
def phone(house):
    with probe_moves.probe_agent(house) as phone:
        yield phone


@pytest.mark.parametrize("span", [1, 2])
def test_a_call_between_trunk_and_phone_is_bit_exact_and_in_time(house, phone, span):
    path = house.folder / f"exact-{span}.wav"
    caller = probe_moves.material(31 + span, SECONDS, path)
    agent = probe_moves.material(41 + span, SECONDS)

    def measure():
        name, _ = probe_moves.talk(house, phone, span=span)
        first = len(phone.packets)
        to_phone, to_caller = delay.measure(house.far, phone, name, path, caller, agent)
        assert all(len(packet.payload) == delay.PACKET for packet in phone.packets[first:])
        assert phone.breaks() == [], "sequence numbers and timestamps of the switch go on without a break, all through the call"
        assert to_phone.match.exact, f"trunk to phone: {to_phone.match}"
        assert to_caller.match.exact, f"phone to trunk: {to_caller.match}"
        return to_phone, to_caller

    there, back = probe_moves.undisturbed(measure, house, phone)
    assert len(there.values_ms) >= SECONDS * 50 - 2
    assert len(back.values_ms) == len(agent) // delay.PACKET
    assert min(there.board_ms) > 0 and min(back.board_ms) > 0, "nothing arrives before it left: the clocks are one"
    for name, found, most in ((f"span {span}, TDM to RTP", there, TDM_TO_RTP_MOST_MS),
                              (f"span {span}, RTP to TDM with its jitter buffer of {JITTER_BUFFER_MS:.0f} ms", back,
                               RTP_TO_TDM_MOST_MS)):
        figures(name, found.values_ms)         # by the wall clock, where a host that stands still counts, too
        _, worst = figures(f"{name}, in the board's time", found.board_ms)
        assert worst <= most, f"{name}: worst {worst} ms of the board's time"


def test_reordered_and_doubled_packets_are_put_right(house, phone):
    """The jitter buffer's work: no octet of what arrived within it is lost or heard twice."""
    agent = probe_moves.material(51, 4)

    def measure():
        name, _ = probe_moves.talk(house, phone)
        try:
            play = phone.play(agent)
            for _ in range(8):
                time.sleep(0.2)
                phone.fault("duplicate", 2)
                phone.fault("reorder")
                phone.fault("duplicate")
            play.wait(6)
            time.sleep(0.3)
        finally:
            heard, _ = probe_moves.end(house, name)
        found = exact.match(agent, heard)
        assert found.exact, str(found)

    probe_moves.undisturbed(measure, house, phone)


def test_a_lost_packet_costs_itself_and_no_more(house, phone):
    """20 ms are concealed, what follows comes at its place: nothing is inserted or left out."""
    agent = probe_moves.material(52, 4)

    def measure():
        name, _ = probe_moves.talk(house, phone)
        try:
            play = phone.play(agent)
            for _ in range(3):
                time.sleep(0.7)
                phone.fault("loss")
            play.wait(6)
            time.sleep(0.3)
        finally:
            heard, _ = probe_moves.end(house, name)
        found = exact.match(agent, heard)
        assert found.slips == [], str(found)
        # The crossfade out of concealment takes some of the packet that follows; a pause is concealed to the octet.
        assert 160 <= found.changed <= 3 * (160 + 80), str(found)

    probe_moves.undisturbed(measure, house, phone)


# -- two timeslots, media alone --------------------------------------------------

class FarEnds(threading.Thread):
    """Far ends of two lines in step: what(line, block) -> octets (80,) for the timeslot of that line.

    heard[line]: octets of that timeslot; both lists and `block` count the same instants.  sent_at, heard_at:
    time.monotonic() of each block, of both lines."""

    def __init__(self, run_dir, spans, timeslots, sounds):
        super().__init__(daemon=True)
        self.lines = [LineClient(str(run_dir / "lines" / f"{span}.sock")) for span in spans]
        self.framers = [E1Framer() for _ in spans]
        self.checkers = [E1Checker() for _ in spans]
        self.timeslots, self.sounds = timeslots, sounds
        self.heard, self.sent_at, self.heard_at = [[], []], [[], []], [[], []]
        self.alignment_lost = self.blocks = 0
        self.begin = None
        self.error = None
        self._ending = False

    def stop(self):
        self._ending = True
        self.join(2)
        for line in self.lines:
            line.close()

    def run(self):
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(42))
        except OSError:
            pass
        try:
            self._step()
            while not self._ending:
                self._exchange()
        except OSError as error:
            self.error = error

    def _step(self):
        """Bring both lines to the same instant: their blocks come within a millisecond or two of each other."""
        while True:
            times = []
            for line, framer in zip(self.lines, self.framers):
                line.receive()
                times.append(time.monotonic())
                line.send(framer.block())
            behind = times[1] - times[0]
            if behind < 0.004:
                # The second was waiting, or came at once.  Waiting for longer means that it is a block behind.
                self.lines[1].socket.setblocking(False)
                try:
                    while True:
                        self.lines[1].receive()
                        self.lines[1].send(self.framers[1].block())
                except BlockingIOError:
                    return
                finally:
                    self.lines[1].socket.settimeout(5)

    def _exchange(self):
        for index, line in enumerate(self.lines):
            block = line.receive()
            self.heard_at[index].append(time.monotonic())
            frames = self.checkers[index].take(block)
            if frames is None or self.checkers[index].offset != 0 or len(frames) != FRAMES:
                self.alignment_lost += 1
            self.heard[index].append(block[self.timeslots[index]::32])
            payload = np.full((FRAMES, 32), 0xD5, np.uint8)
            if self.begin is not None:
                at = (self.blocks - self.begin) * FRAMES
                piece = self.sounds[index][at:at + FRAMES]
                payload[:len(piece), self.timeslots[index]] = np.frombuffer(piece, np.uint8)
            line.send(self.framers[index].block(payload))
            self.sent_at[index].append(time.monotonic())
        self.blocks += 1


class MediaOnly(Rig):
    """Board and media, nobody else."""

    def start_media(self):
        self.start_board()
        log = open(self.folder / "media.log", "ab")
        self.supervisor = subprocess.Popen(
            [sys.executable, "-m", "firmware.media"], cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, "STROWGER_RUN": str(self.run_dir), "STROWGER_DATA": str(self.data_dir),
                 "STROWGER_PROMPTS": str(CHECKOUT / "build/prompts")}, start_new_session=True, preexec_fn=die_with_us)
        log.close()
        self._until(lambda: (self.run_dir / "media.ready").exists(), 20, self.supervisor, "The media process",
                    self.folder / "media.log")
        return self


async def bridge(run_dir, timeslots):
    """Join two timeslots in media, as control would."""
    client = MediaClient(str(run_dir), 1, lambda event: None, lambda message: None, lambda reason: None)
    await client.connect(10)
    for number, (span, timeslot) in enumerate(timeslots, 1):
        await client.call("add", id=f"l{number}", kind="timeslot", span=span, timeslot=timeslot, law="A")
    await client.call("bridge", id="b1", legs=["l1", "l2"])
    client.close()


def test_a_call_between_two_trunks_is_bit_exact_and_in_time(tmp_path):
    spans, timeslots = (3, 7), (1, 31)
    sounds = [os.urandom(SECONDS * 8000) for _ in spans]
    with MediaOnly(tmp_path / "rig", spans=()) as rig:
        rig.start_media()
        asyncio.run(bridge(rig.run_dir, list(zip(spans, timeslots))))

        def measure():
            ends = FarEnds(rig.run_dir, spans, timeslots, sounds)
            ends.start()
            try:
                time.sleep(0.5)
                ends.begin = ends.blocks + 2
                time.sleep(SECONDS + 0.5)
            finally:
                ends.stop()
            assert ends.error is None, ends.error
            assert ends.alignment_lost == 0
            results = []
            for here, there in ((0, 1), (1, 0)):
                found = exact.match(sounds[here], b"".join(ends.heard[there]))
                assert found.exact, f"line {spans[here]} to line {spans[there]}: {found}"
                samples = found.at - ends.begin * FRAMES
                assert samples % FRAMES == 0 and samples > 0
                later = samples // FRAMES
                times = [1000 * (ends.heard_at[there][n + later] - ends.sent_at[here][n])
                         for n in range(ends.begin, ends.begin + SECONDS * 100)]
                results.append((here, there, samples, times))
            return results

        for here, there, samples, times in probe_moves.undisturbed(measure, rig):
            name = f"line {spans[here]} to line {spans[there]}, TDM to TDM"
            print(f"{name}: {samples} samples, {samples / 8:.1f} ms")
            median, _ = figures(f"{name}, in time at the far ends", times)
            assert samples <= TDM_TO_TDM_MOST
            assert median <= TDM_TO_TDM_MOST / 8
