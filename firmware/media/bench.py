"""What the media process needs for its work: `results()` for `make bench`.

The real process (`python -m firmware.media`) runs on the first processor this
process may use; a board and RTP peers (_load.pyx) run on the second.  Calls are
timeslot + RTP leg, bridged, recorded in stereo to files, DTMF detection on at
the timeslot, with real speech both ways.  The processor time of all threads of
media (tick, disk, commands, layer 2; the kernel's work for its system calls
included) is read from schedstat over MEASURE_S seconds at two numbers of calls.
Calls per core = calls / share of a core, the lesser of both points;
both points are results of their own, and the notes tell what was behind them.
"""

import asyncio
import base64
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import numpy

from dsp import g711
from firmware.media import _engine, _load, bench_folder
from firmware.media.client import MediaClient
from firmware.media.threads import die_with_parent
from firmware.media.wav import read_wav

ROOT = pathlib.Path(__file__).parents[2]
POINTS = (500, 1000)
SETTLE_S, MEASURE_S = 4.0, 8.0
SPANS, TIMESLOTS, RING, HEADER = 64, 32, 2048, 4096
RX, TX = HEADER, HEADER + RING * SPANS * TIMESLOTS
CAS = TX + RING * SPANS * TIMESLOTS
# reference/peer-figures.md, measured there on another machine.
ASTERISK_RECORDED = 200
RTPENGINE_RELAYED = 877         # 11.4 % of a core per 100 calls
BUDGET_MS = 10.0
SRTP_SUITE = "AES_CM_128_HMAC_SHA1_80"          # what telephones offer first


class Window:
    """A board window in a file whose rx ring is full of speech."""

    def __init__(self, path, speech):
        self.memory = numpy.memmap(path, numpy.uint8, "w+", shape=(CAS + 5 * 4096,))
        self.address = self.memory.ctypes.data
        u32 = self.memory.view("<u4")
        for offset, value in ((0x004, 1), (0x008, SPANS), (0x00C, RING), (0x010, 8000), (0x014, TIMESLOTS), (0x018, RX),
                              (0x01C, TX), (0x020, CAS), (0x024, CAS + 2048), (0x028, CAS + 4096), (0x02C, 64),
                              (0x030, 80), (0x034, 1), (0x038, 0xD5)):
            u32[offset // 4] = value
        rx = self.memory[RX:TX].reshape(RING, SPANS, TIMESLOTS)
        for span in range(SPANS):
            for timeslot in range(TIMESLOTS):
                at = (span * TIMESLOTS + timeslot) * 1013 % (len(speech) - RING)
                rx[:, span, timeslot] = speech[at:at + RING]
        u32[0] = 0x57525453


def speech():
    """(octets A-law, where they are from): the corpus, else our prompts, else noise."""
    folders = [os.environ.get("STROWGER_CORPUS"), ROOT.parent / "shared" / "corpus"]
    folders = [pathlib.Path(folder) / "speech" / "asterisk-en" for folder in folders if folder]
    for name, folder in [("corpus speech", f) for f in folders] + [("prompts", ROOT / "build" / "prompts" / "en")]:
        parts = []
        for path in sorted(folder.glob("*.wav")):
            kind, _, array = read_wav(str(path))
            parts.append(array if kind == "law" else g711.compress(array, 0))
        if sum(map(len, parts)) > 10 * 8000:
            return numpy.ascontiguousarray(numpy.concatenate(parts)), name
    noise = numpy.random.default_rng(1).normal(0, 2000, 160000).astype(numpy.int16)
    return g711.compress(noise, 0), "noise (no speech found)"


def processor_ns(pid):
    """Time on a processor of each thread of a process: {name: ns}."""
    times = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        name = task.joinpath("comm").read_text().strip()
        times[task.name, name] = int(task.joinpath("schedstat").read_text().split()[0])
    return times


def start_media(folder, network=None, **environment):
    """The media process of a bench in a folder, with its board window there; it ends with the thread that has started it.  network: bench_far.Network that it is in."""
    folder = pathlib.Path(folder)
    (folder / "media.ready").unlink(missing_ok=True)
    environment = dict(os.environ, STROWGER_RUN=str(folder), STROWGER_BOARD=str(folder / "window"),
                       STROWGER_RTP_PORTS="40000-49999") | environment

    def become():
        die_with_parent()
        if network is not None:
            network.enter_ours()
    with open(folder / "media.log", "ab") as log:
        return subprocess.Popen([sys.executable, "-m", "firmware.media"], cwd=ROOT, env=environment, stdout=log, stderr=log,
                                preexec_fn=become)


async def until_ready(process, folder, seconds=30):
    """Wait until the process of start_media() serves.  Raises RuntimeError with the end of its log."""
    deadline, folder = time.monotonic() + seconds, pathlib.Path(folder)
    while not (folder / "media.ready").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((folder / "media.log").read_text()[-2000:])
        await asyncio.sleep(0.05)


def _pin(pid, processor):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {processor})


class Bench:
    """One media process under load."""

    def __init__(self, folder, octets):
        self.folder = pathlib.Path(folder)
        self.octets = octets
        self.window = Window(self.folder / "window", octets)
        processors = sorted(os.sched_getaffinity(0))
        self.ours, self.theirs = processors[-1], processors[0]

    async def run(self, setups):
        """[(name, figures)] for each setup: an async function(client, count) -> sockets, addresses."""
        results = []
        for name, count, setup in setups:
            process = start_media(self.folder)
            try:
                results.append((name, count, await self._measure(process, count, setup)))
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(20)
        return results

    async def _measure(self, process, count, setup):
        await until_ready(process, self.folder)
        client = MediaClient(str(self.folder), 1, lambda event: client.ack(event["event"]), lambda message: None,
                             lambda reason: None)
        await client.connect()
        sockets, addresses = await setup(client, count, self.folder)
        load = _load.Load(self.window, sockets, addresses, self.octets)
        thread = threading.Thread(target=load.run)
        thread.start()
        _pin(process.pid, self.theirs)
        os.sched_setaffinity(thread.native_id, {self.ours})
        try:
            os.sched_setscheduler(thread.native_id, os.SCHED_FIFO, os.sched_param(40))
        except OSError:
            pass                        # the load may come late then: load_late tells
        await asyncio.sleep(SETTLE_S)
        await client.call("stats", clear=True)
        before, began, sent, received, missed = (processor_ns(process.pid), time.monotonic(), load.sent, load.received,
                                                 load.missed)
        await asyncio.sleep(MEASURE_S)
        after, took = processor_ns(process.pid), time.monotonic() - began
        tick = (await client.call("stats"))["tick"]
        received, sent, missed = load.received - received, load.sent - sent, load.missed - missed
        terminations = (await client.audit())["terminations"]
        rtp = [row["stats"] for row in terminations if row["kind"] == "rtp"]
        load.stop()
        thread.join()
        client.close()
        for sock in sockets:
            sock.close()
        threads = {}
        for key, value in after.items():
            threads[key[1]] = threads.get(key[1], 0) + (value - before.get(key, 0)) / took / 1e9
        # A load that was held up has offered fewer calls than it was to.
        offered = sent / took / 50 / len(sockets) * count
        return {"core": sum(threads.values()), "offered": offered, "threads": threads, "tick": tick, "took_s": took,
                "packets_in": sent, "packets_out": received, "board_missed": missed, "load_late": load.late,
                "concealed": sum(row["concealed_samples"] for row in rtp), "lost": sum(row["lost"] for row in rtp)}


def _peer():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return sock


async def _rtp_leg(client, name, sockets, addresses):
    port = (await client.call("add", id=name, kind="rtp", address="127.0.0.1"))["port"]
    sockets.append(_peer())
    addresses.append((0x7F000001, port))
    await client.call("modify", id=name, remote=["127.0.0.1", sockets[-1].getsockname()[1]])


async def recorded_calls(client, count, folder):
    """Timeslot + RTP leg, bridged, recorded, DTMF detection at the timeslot."""
    sockets, addresses = [], []
    slots = [(span, timeslot) for span in range(1, 65) for timeslot in range(1, 32) if timeslot != 16]
    recordings = tempfile.mkdtemp(dir=folder)
    for n in range(count):
        await client.call("add", id=f"t{n}", kind="timeslot", span=slots[n][0], timeslot=slots[n][1], law="A")
        await client.call("detect", id=f"t{n}", dtmf=True)
        await _rtp_leg(client, f"r{n}", sockets, addresses)
        await client.call("bridge", id=f"b{n}", legs=[f"t{n}", f"r{n}"])
        await client.call("record", id=f"w{n}", path=f"{recordings}/{n}.wav", left=f"t{n}", right=f"r{n}")
    return sockets, addresses


async def relayed_calls(client, count, folder):
    """Two RTP legs, bridged, not recorded."""
    sockets, addresses = [], []
    for n in range(count):
        for side in "ab":
            await _rtp_leg(client, f"{side}{n}", sockets, addresses)
        await client.call("bridge", id=f"b{n}", legs=[f"a{n}", f"b{n}"])
    return sockets, addresses


async def secured_calls(client, count, folder):
    """Two relayed calls in a row, SRTP between them: a plain leg, bridged to an encrypted one, that one's far end bridged to a plain leg."""
    sockets, addresses = [], []
    keys = [base64.b64encode(os.urandom(_engine.SRTP_KEY_OCTETS[SRTP_SUITE])).decode() for _ in "ab"]
    for n in range(count):
        ports = [(await client.call("add", id=f"s{side}{n}", kind="rtp", address="127.0.0.1", srtp_only=True))["port"] for side in "ab"]
        for side, port, send, receive in (("a", ports[1], *keys), ("b", ports[0], *reversed(keys))):
            await client.call("modify", id=f"s{side}{n}", remote=["127.0.0.1", port], srtp={"suite": SRTP_SUITE, "send": send, "receive": receive})
            await _rtp_leg(client, f"{side}{n}", sockets, addresses)
            await client.call("bridge", id=f"b{side}{n}", legs=[f"{side}{n}", f"s{side}{n}"])
    return sockets, addresses


def measure():
    """All points: (source of the speech, [(name, calls, figures)])."""
    octets, source = speech()
    with bench_folder.folder() as folder:
        setups = [("recorded", count, recorded_calls) for count in POINTS] + [("relayed", 500, relayed_calls)]
        return source, asyncio.run(Bench(folder, octets).run(setups))


def results():
    """Rows for build/bench.json."""
    source, points = measure()
    recorded = [(count, figures) for name, count, figures in points if name == "recorded"]
    per_core = min(figures["offered"] / figures["core"] for count, figures in recorded)
    note = f"{source}; " + "; ".join(
        f"{figures['offered']:.0f} calls took {figures['core']:.3f} of a core "
        f"(tick {figures['threads'].get('tick', 0):.3f}, disk {figures['threads'].get('disk', 0):.3f}), {figures['packets_in'] / figures['took_s']:.0f}+"
        f"{figures['packets_out'] / figures['took_s']:.0f} packets/s, board missed {figures['board_missed']} blocks"
        for count, figures in recorded)
    relay = points[-1][2]
    relay_per_core = relay["offered"] / relay["core"]
    worst = recorded[-1][1]["tick"]
    p999 = worst["p999_ms"]
    times = (f"at {recorded[-1][0]} recorded calls; p50 {worst['p50_ms']}, p99 {worst['p99_ms']}, "
             f"longest {worst['longest_ms']}; run-queue wait {worst['run_queue_wait_ms']} ms, "
             f"stolen {worst['stolen_ms']} ms in all")
    rows = [("media.recorded_calls_per_core", per_core, "calls", "Asterisk 22.10, other machine", ASTERISK_RECORDED, note),
            ("media.tick_p999_ms", p999, "ms", "tick of 10 ms", BUDGET_MS, times),
            ("media.rtp_relay_calls_per_core", relay_per_core, "calls", "rtpengine 10.5 in user space, other machine",
             RTPENGINE_RELAYED, f"{relay['offered']:.0f} calls took {relay['core']:.3f} of a core")]
    for count, figures in recorded:         # the points that the first figure rests on
        rows.append((f"media.core_share_at_{count}_recorded_calls", figures["core"], "cores",
                     "Asterisk 22.10, other machine", count / ASTERISK_RECORDED, f"{figures['offered']:.0f} offered"))
    return [{"name": name, "value": round(value, 3), "unit": unit, "reference": reference,
             "reference_value": reference_value, "ratio": round(value / reference_value, 3), "note": text}
            for name, value, unit, reference, reference_value, text in rows]


if __name__ == "__main__":
    print(json.dumps(results(), indent=1))
