"""One run of the density bench: a media process, its board and far ends, and as many channels as it takes.

    run = Density(folder, short); points = asyncio.run(run.run()); run.proof()

Channels are 1984 timeslots (all of 64 spans) and 2,112 RTP streams, each with echo canceller (64 ms), noise reduction,
AGC, speech detection with events, and detection of DTMF, of the tones of fax machines and modems and of call progress on.
All talk in conferences of four (the three loudest are heard), but one in eight who hears a prompt from memory and one in 32 who hears
a tone of the country, for ever; up to 1,000 of the calls are recorded in stereo, most in IMA ADPCM, some in A-law since they are measured
(below).  Not among it: streams to services outside, which are tens and not thousands.  Channels are added in steps, each of which is measured, in one process, when its cancellers have had the 10 s of far speech
after which they learn more rarely; before the first the process is measured without any channel (the fixed part); a
board with 1,984 subscribers, who speak in turns of 2 s and return an echo
(10.4 dB down, by three paths), and the RTP peers run beside it
(_load.pyx), a second thread with less priority than the tick; the peers have addresses of their own behind few sockets.  Beside, a
command is given five times a second, and its answer is waited for: whether everybody else gets a processor.
What the functions do is proved in the run, from the recordings and events:

    echo    every 16th subscriber is silent: what is recorded of him, beside his echo (without level control)
    level   every 16th speaks 14 dB more quietly than the others
    noise   every 16th speaks in white noise of -45 dBm0
            (without level control)
    digits  every 16th dials 12 digits in 2.4 s, again and again

With a pace of n, 10 ms of the world take n * 10 ms (_load.pyx), and admission refuses nobody.  All seconds here are the world's.
"""

import asyncio
import ipaddress
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import wave

import numpy

from dsp import g711
from firmware.errors import LocalError
from firmware.media import _load, bench, bench_far
from firmware.media.client import MediaClient
from firmware.media.ports import IP_MTU_DISCOVER, IP_PMTUDISC_DO
from firmware.media.stats import SECONDS

STEPS = (256, 512, 1024, 2048, 4096)
TIMESLOTS_MOST, RECORDED_MOST = 1984, 1000
SETTLE_S, LEARNT_S, STEP_S, FULL_S, FULL_SHORT_S = 1.5, 24.0, 4.0, 60.0, 5.0       # in 24 s a subscriber speaks for 12
TICK_THREADS = ("tick", "tick-helper")
SO_RCVBUFFORCE, FAR_BUFFER = 33, 4 << 20       # socket(7)
AGAIN = 2                       # how often a refusal is waited for
AT_ONCE = 128                   # channels added between two looks at whether there is room
PARTIES, LOUDEST = 4, 3         # of a conference; who is heard at once
HEARS = {"t1": "prompt", "r5": "prompt", "t13": "prompt", "r9": "prompt", "t9": "tone"}      # instead of the conference: a timeslot or RTP leg, its number modulo 16
COUNTRY = {"ringback": {"frequencies_hz": [450], "level_dbm0": -10, "cadence_ms": [1000, 4000]}}
TAPS = ((44, 0.25), (51, -0.15), (66, 0.08))
NOISE_DBM0, QUIET_DB = -45.0, -14.0
MEASURED = ("silent", "quiet", "noisy")        # kinds of subscribers whose recordings prove something
TURN_S = 2                      # subscribers speak and listen in turns; RTP peers always speak
DIGITS = "1234567890*#"
EVERYTHING = {"echo": True, "noise": True, "level": "agc", "vad": True}


def kernel_ns():
    """Time of the kernel's own threads for packets, which is in nobody else's."""
    total = 0
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if process.joinpath("comm").read_text().startswith("ksoftirqd"):
                total += int(process.joinpath("schedstat").read_text().split()[0])
        except OSError:
            pass                        # it has just ended
    return total


def dbm0(power):
    return 10 * numpy.log10(numpy.maximum(power, 1e-3) / 16140 ** 2)


def far_sockets():
    """RTP and, on the port above, RTCP for some of the far ends; nobody reads the latter, but nobody sends an ICMP message for it either."""
    while True:
        pair = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in "ab"]
        try:
            pair[0].bind(("0.0.0.0", 0))
            pair[1].bind(("0.0.0.0", pair[0].getsockname()[1] + 1))
        except (OSError, OverflowError):
            for sock in pair:
                sock.close()
            continue                    # the one above is another's
        pair[0].setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)      # else each packet gets a number, a tenth of the cost
        try:
            pair[0].setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, FAR_BUFFER)
        except OSError:
            pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FAR_BUFFER)
        return pair


def whole(octets):
    return octets[:len(octets) // 160 * 160]


def dialling():
    """12 digits, 100 ms each and 100 ms between, -9 dBm0 a frequency: octets."""
    t, parts = numpy.arange(800) / 8000, []
    for digit in DIGITS:
        row, column = divmod("123456789*0#".index(digit), 3)
        a, b = (697, 770, 852, 941)[row], (1209, 1336, 1477)[column]
        parts += [5700 * (numpy.sin(2 * numpy.pi * a * t) + numpy.sin(2 * numpy.pi * b * t)), numpy.zeros(800)]
    return g711.compress(numpy.concatenate(parts).astype(numpy.int16), 0)


class Parts:
    """All that subscribers say, in one array of octets."""

    def __init__(self, speech):
        x = g711.expand(whole(speech), 0).astype(float)
        x[numpy.arange(len(x)) // (TURN_S * 8000) % 2 == 1] = 0
        noisy = x + numpy.random.default_rng(1).normal(0, 16140 * 10 ** (NOISE_DBM0 / 20), len(x))
        pack = lambda y: g711.compress(numpy.clip(numpy.rint(y), -32768, 32767).astype(numpy.int16), 0)
        pieces = {"speech": pack(x), "quiet": pack(x * 10 ** (QUIET_DB / 20)), "noisy": pack(noisy),
                  "digits": dialling(), "silent": numpy.full(160, 0xD5, numpy.uint8)}
        self.octets = numpy.ascontiguousarray(numpy.concatenate(list(pieces.values())))
        self.at, begin = {}, 0
        for name, piece in pieces.items():
            self.at[name] = (begin, len(piece))
            begin += len(piece)
        loud = (x[:len(x) // 80 * 80].reshape(-1, 80) ** 2).mean(1)
        self.active_dbm0 = float(dbm0(loud[loud > loud.max() / 300].mean()))

    @staticmethod
    def kind(n):
        """What the subscriber of timeslot n does."""
        return {3: "silent", 7: "quiet", 11: "noisy", 15: "digits"}.get(n % 16, "speech")

    def of(self, n):
        """(start, length) of what he says; speakers begin at different places."""
        start, length = self.at[self.kind(n)]
        if self.kind(n) == "speech":
            skip = n * 7919 * 80 % (length // 2) // 80 * 80
            return start + skip, length - skip
        return start, length


class Density:
    """One run.  Figures of each step in `points`; short: few seconds, no steps.  pace: how many times slower the world is than time.  steps: numbers of channels."""

    def __init__(self, folder, short, pace=1, steps=STEPS):
        self.folder, self.short, self.pace, self.steps = pathlib.Path(folder), short, pace, steps
        self.speech, self.source = bench.speech()
        self.parts = Parts(self.speech)
        self.board = f"/proc/{os.getpid()}/fd/{os.memfd_create('board')}"       # on a disk its pages would be made read-only each time they are written back
        self.window = bench.Window(self.board, self.speech)
        self.digits, self.voices, self.count_digits = {}, 0, False
        self.points, self.recorded = [], []
        self.network = bench_far.Network.made() if pace > 1 else None           # None: all on loopback
        sockets = lambda: [far_sockets() for _ in range(0, steps[-1], _load.HOSTS_A_SOCKET)]
        self.far, self.far_rtcp = zip(*(self.network.at_far_ends(sockets) if self.network else sockets()))      # of the RTP peers, who have addresses of their own
        self.made = [0, 0, 0]           # timeslots, RTP legs, bridges
        self.refusal = None
        self.fixed = {"cores": 0.0, "voice_cores": 0.0, "tick_cores": 0.0}      # without any channel: of a whole run only

    def event(self, event):
        if event["kind"] == "digit" and self.count_digits:
            self.digits.setdefault(event["id"], []).append(event["digit"])
        self.voices += event["kind"] == "voice"
        self.last = event["event"]

    async def call_all(self, commands):
        """Many commands, some of them on the way at a time."""
        replies = []
        for begin in range(0, len(commands), 32):
            replies += await asyncio.gather(*(self.client.call(do, **p) for do, p in commands[begin:begin + 32]))
            if getattr(self, "last", 0):
                self.client.ack(self.last)
        return replies

    async def grow(self, channels):
        """Bring the number of channels up to this."""
        timeslots = min(channels // 2, TIMESLOTS_MOST)
        new_t, new_r = range(self.made[0], timeslots), range(self.made[1], channels - timeslots)
        commands = [("add", {"id": f"t{n}", "kind": "timeslot", "span": n // 31 + 1, "timeslot": n % 31 + 1, "law": "A",
                             "enhance": self.enhancement(n)}) for n in new_t]
        await self.call_all(commands)
        address = self.network.address if self.network else "127.0.0.1"
        ports = await self.call_all([("add", {"id": f"r{n}", "kind": "rtp", "address": address, "enhance": EVERYTHING}) for n in new_r])
        first = self.load.peers
        ports_of_far = [sock.getsockname()[1] for sock in self.far]
        await self.call_all([("modify", {"id": f"r{n}", "remote": [str(ipaddress.IPv4Address(self.load.host_number(first + i))), ports_of_far[(first + i) // _load.HOSTS_A_SOCKET]]})
                             for i, n in enumerate(new_r)])
        legs = [f"t{n}" for n in new_t] + [f"r{n}" for n in new_r]
        await self.call_all([("detect", {"id": leg, "dtmf": True, "modem": True, "progress": True}) for leg in legs])
        talkers = [leg for n in new_t for leg in (f"t{n}", f"r{n}")] + [f"r{n}" for n in new_r if n >= timeslots]
        rooms = {f"b{self.made[2] + i}": talkers[begin:begin + PARTIES] for i, begin in enumerate(range(0, len(talkers), PARTIES))}
        await self.call_all([("bridge", {"id": room, "legs": parties}) for room, parties in rooms.items()])
        await self.call_all([("conference", {"bridge": room, "loudest": LOUDEST}) for room in rooms])
        await self.play([leg for leg in legs if self.heard_by(leg)])
        recorded = list(new_t)[:max(0, RECORDED_MOST * timeslots // TIMESLOTS_MOST - len(self.recorded))]
        await self.record(recorded)
        self.recorded += recorded
        self.made = [timeslots, channels - timeslots, self.made[2] + len(rooms)]
        for reply in ports:
            self.load.add_host((int(ipaddress.IPv4Address(address)), reply["port"]))
        self.load.subscribers(self.parts.octets, [(n // 31 * 32 + n % 31 + 1, *self.parts.of(n)) for n in new_t], TAPS)

    def file(self, n):
        """Of a recorded call."""
        return self.folder / f"{n}.wav"

    async def record(self, calls):
        """Record these calls, each into its file."""
        await self.call_all([("record", {"id": f"w{n}", "path": str(self.file(n)), "left": f"t{n}", "right": f"r{n}",
                                         "format": "alaw" if self.parts.kind(n) in MEASURED else "ima"}) for n in calls])

    @staticmethod
    def heard_by(leg):
        """What a leg hears instead of its conference: "prompt", "tone" or None."""
        return HEARS.get(leg[0] + str(int(leg[1:]) % 16))

    async def play(self, legs):
        """Begin what these legs hear, for ever."""
        items = {"prompt": {"file": str(self.prompt())}, "tone": {"tone": "ringback"}}
        await self.call_all([("signal", {"id": leg, "token": "p", "items": [items[self.heard_by(leg)]], "repeat": 0}) for leg in legs])

    def prompt(self):
        """A file of ten seconds of speech."""
        path = self.folder / "prompt.wav"
        if not path.exists():
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(8000)
                file.writeframes(g711.expand(whole(self.speech)[:80000], 0).astype("<i2").tobytes())
        return path

    async def shrink(self, channels):
        """Take away what growing to this many has added before it was refused."""
        timeslots = min(channels // 2, TIMESLOTS_MOST)
        wanted = [f"t{n}" for n in range(self.made[0], timeslots)] + [f"r{n}" for n in range(self.made[1], channels - timeslots)]
        for _ in range(5):              # a machine that is loaded by others may owe an answer
            for leg in wanted:
                try:
                    await self.client.call("subtract", id=leg)
                except LocalError:
                    pass                # it was never added, or is gone
            if (await self.client.call("stats"))["terminations"] == sum(self.made[:2]):
                return
            await asyncio.sleep(1)
        raise RuntimeError("bench_density: media keeps legs that it was told to subtract")

    def enhancement(self, n):
        """Everything, but no level control where echo and noise are to be measured (6 % of the channels each)."""
        return dict(EVERYTHING, level="off" if self.parts.kind(n) in ("silent", "noisy") else "agc")

    async def measure(self, channels, seconds):
        """Let the channels settle, then take their figures."""
        await asyncio.sleep((SETTLE_S if self.short or not channels else LEARNT_S) * self.pace)
        await self.take(channels, seconds)

    async def take(self, channels, seconds):
        """Figures of so many seconds of the world, into points."""
        self.count_digits = self.last_step
        first = (await self.client.call("stats", clear=True))["tick"]
        before, began, load, kernel, receiving = bench.processor_ns(self.process.pid), time.monotonic(), self.load_figures(), kernel_ns(), self.receiving_ns()
        answers = []
        while time.monotonic() < began + seconds * self.pace:
            await asyncio.sleep(0.2)
            self.client.ack(self.last)
            asked = time.monotonic()
            await self.client.call("stats")
            answers.append(time.monotonic() - asked)
        stats = (await self.client.call("stats"))
        tick, after, took = stats["tick"], bench.processor_ns(self.process.pid), (time.monotonic() - began) / self.pace
        self.count_digits = False
        threads = {}
        for key, value in after.items():
            threads[key[1]] = threads.get(key[1], 0) + (value - before.get(key, 0)) / took / 1e9
        grown = {name: tick[name] - first[name] for name in ("ticks", "helped_cpu_ms", "helped_ms", "sparing_ticks", "late_ticks", "late_ticks_by_host", "stolen_ms")}
        load = {name: value - load[name] for name, value in self.load_figures().items()}
        in_ticks = (tick["cpu_ms"] + grown["helped_cpu_ms"]) / 1000 / took
        if self.pace > 1:               # between two ticks it looks for the next more often than a true world would let it
            threads = {name: share for name, share in threads.items() if name not in TICK_THREADS} | {"in ticks": in_ticks}
        self.points.append({
            "channels": channels, "took_s": took, "cores": sum(threads.values()), "threads": threads, "tick": tick, "ticks": grown["ticks"],
            "voice_cores": tick["voice_ms"] / 1000 / took, "tick_cores": in_ticks, "answers_ms": sorted(1000 * s for s in answers),
            "helped_cores": grown["helped_ms"] / 1000 / took, "spared": grown["sparing_ticks"], "late": grown["late_ticks"],
            "late_by_host": grown["late_ticks_by_host"], "stolen_cores": grown["stolen_ms"] / 1000 / took, "recordings": stats["recordings"],
            "kernel_cores": (kernel_ns() - kernel) / took / 1e9, "load": load,
            "receive_cores": (self.receiving_ns() - receiving) / took / 1e9})

    async def grow_to(self, channels):
        """As many as admission takes, at most this many; where it refuses, self.refusal says how."""
        again = AGAIN
        while (now := sum(self.made[:2])) < channels:
            wanted = min(channels, now + AT_ONCE)
            try:
                await self.grow(wanted)
                again = AGAIN
            except LocalError as error:
                await self.shrink(wanted)
                if not again:
                    self.refusal = str(error)
                    return
                again -= 1              # what was added in the last seconds counts by its price until it is measured, and new cancellers learn
                await asyncio.sleep(SETTLE_S + SECONDS)

    def receiving_ns(self):
        """Of the kernel's threads that bring packets to media; on loopback that is the far ends' work."""
        return self.network.receiving_ns()[0] if self.network else 0

    def load_figures(self):
        return {name: getattr(self.load, name) for name in ("sent", "received", "missed", "late", "send_ns", "work_ns")}

    async def run(self):
        self.process = bench.start_media(self.folder, self.network, STROWGER_BOARD=self.board, STROWGER_ADMISSION="0" if self.pace > 1 else "1")
        thread = None
        try:
            await bench.until_ready(self.process, self.folder)
            self.client = MediaClient(str(self.folder), 1, self.event, lambda message: None, lambda reason: None)
            await self.client.connect()
            await self.client.call("tones", plan=COUNTRY)
            self.last = 0
            self.load = _load.Load(self.window, [], [], self.speech)
            self.load.shared(self.far)
            if self.network:
                self.load.first_host = self.network.far_first
            self.load.pace = self.pace
            thread = threading.Thread(target=self.load.run)
            thread.start()
            try:
                os.sched_setscheduler(thread.native_id, os.SCHED_FIFO, os.sched_param(40))
            except OSError:
                pass                    # the load may come late then: load late tells
            self.last_step = False
            if not self.short:
                await self.measure(0, STEP_S)
                self.fixed = self.points.pop()
            for channels in self.steps:
                await self.grow_to(channels)
                self.last_step = bool(self.refusal) or channels == self.steps[-1]
                if self.last_step:
                    await self.measure(sum(self.made[:2]), FULL_SHORT_S if self.short else FULL_S)
                    break
                if not self.short:
                    await self.measure(channels, STEP_S)
            self.admission = (await self.client.call("stats"))["admission"]
            self.audit = await self.client.audit()
            self.load.stop()
            thread.join()
            self.client.close()
        finally:
            if thread is not None:
                self.load.stop()
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()     # an overloaded tick leaves the other threads no time
                self.process.wait()
            for sock in self.far + self.far_rtcp:
                sock.close()
            if self.network:
                self.network.close()
        return self.points

    def proof(self):
        """What the functions have done, from files and events: {name: (value, unit, note)}."""
        seconds = int(self.points[-1]["took_s"])
        losses, levels, floors, octets = [], [], [], 0
        for n in self.recorded:
            data = numpy.fromfile(self.file(n), numpy.uint8)[58:]
            octets += len(data)
            kind = self.parts.kind(n)
            if kind not in MEASURED:
                continue
            left, right = (g711.expand(numpy.ascontiguousarray(data[side::2][-seconds * 8000:]), 0).astype(float)
                           for side in (0, 1))
            blocks = (left[:len(left) // 80 * 80].reshape(-1, 80) ** 2).mean(1)
            if kind == "silent":
                taps = numpy.zeros(80)
                for delay, gain in TAPS:
                    taps[delay] = gain
                echo_power = (numpy.convolve(right, taps) ** 2).mean()
                losses.append(dbm0(echo_power) - dbm0((left ** 2).mean()))
            elif kind == "quiet":
                levels.append(dbm0(blocks[blocks > blocks.max() / 300].mean()))
            else:
                floors.append(NOISE_DBM0 - dbm0(numpy.percentile(blocks, 10)))
        dialled, right, leaked, wrong, least = 0, 0, 0, 0, int(self.points[-1]["took_s"] / 0.2) - 2      # one is cut at each end
        self.digits = {f"t{n}": [] for n in range(self.made[0]) if self.parts.kind(n) == "digits"} | self.digits
        for leg, found in self.digits.items():
            if leg[0] == "t" and self.parts.kind(int(leg[1:])) == "digits":
                steps = [(DIGITS.index(b) - DIGITS.index(a)) % 12 for a, b in zip(found, found[1:])]
                good = len(found) - sum(step > 6 or step == 0 for step in steps)
                dialled += max(least, good + sum(step - 1 for step in steps if 1 < step <= 6))      # lost ones make small steps
                right += good
            elif leg[0] == "r" and self.parts.kind(int(leg[1:])) == "digits":
                leaked += len(found)    # what he is sent: a canceller that adapts to tones beside speech lets some through
            else:
                wrong += len(found)
        quiet_in = self.parts.active_dbm0 + QUIET_DB
        return {"echo_loss_db": (numpy.median(losses), "dB", f"median of {len(losses)} silent subscribers, least {min(losses):.1f}; processor on"),
                "agc_level_dbm0": (numpy.median(levels), "dBm0", f"median of {len(levels)} quiet talkers at {quiet_in:.1f}; target -19"),
                "noise_reduction_db": (numpy.median(floors), "dB", f"median of {len(floors)}, 10th percentile of blocks against {NOISE_DBM0} dBm0"),
                "digits_found": (right / dialled, "of those dialled", f"{right} of {dialled}; {leaked} at those who hear them; {wrong} in {self.points[-1]['took_s']:.0f} s of speech on all other channels"),
                "in_conferences": (sum(len(bridge["legs"]) for bridge in self.audit["bridges"]), "channels", f"{len(self.audit['bridges'])} of {PARTIES}, the {LOUDEST} loudest are heard"),
                "playing": (len(self.audit["signals"]), "channels", "prompts from memory and tones of the country, at the end of the run; modem and progress tones are listened for on all channels"),
                "recorded_octets": (octets, "octets", f"{len(self.recorded)} files, of them {sum(self.parts.kind(n) not in MEASURED for n in self.recorded)} in IMA ADPCM")}
