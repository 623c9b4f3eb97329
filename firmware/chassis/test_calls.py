"""Test calls of the box: placed over one span, or answered at a test number; both are measured (line_audio.py).

The switchboard decides (control/core_test_calls.py); this adapter follows its records: where a call comes to be tested, the
script plays to its leg while the leg is recorded, and the recording is analysed.  A call of ours is then hung up; a caller of ours
goes on to hear the milliwatt or to be looped, until the caller hangs up.

A result: {"call", "way": "out"|"in", "span", "timeslot", "number", "started_ms", "answer_ms" (from the set-up to the answer), "ended_ms",
"cause" (Q.850), "meaning" (its name), "figures": line_audio.analyse() or None, "why": a sentence where there are none}"""

import asyncio
import contextlib
import logging
import os
import wave

from firmware.chassis import line_audio
from firmware.errors import LocalError, StrowgerError
from firmware.links.adapter import Adapter

log = logging.getLogger(__name__)

KEPT = 500                  # results
STARTS_S, CLOSES_S = 0.3, 5.0       # before the script begins, while the path settles; for the recording to close; invented
LOOP_S = 600
FOLLOWED = ("test.begun", "test.joined", "leg.offered", "leg.created", "leg.seized", "leg.answered", "call.clearing", "call.ended")


class TestCalls(Adapter):
    """house: its media, clock, run_dir, command(); meaning(cause): the name of a Q.850 cause."""

    name = "test_calls"

    def __init__(self, house, meaning=lambda cause: None):
        self._meaning = meaning
        self._house, self._media, self._clock = house, house.media, house.turns.clock
        self._folder = os.path.join(str(house.run_dir), "test_calls")
        self._open, self.results = {}, []
        self._told = {}             # call: future of who placed it
        self._tasks = set()
        self._script = None

    async def place(self, span, number):
        """Call a number over a span and measure.  Returns the result; raises Problem where the core refuses."""
        begins = asyncio.ensure_future(self.begin(span, number))
        try:
            call = await asyncio.shield(begins)
        except asyncio.CancelledError:          # in the middle of the order
            with contextlib.suppress(StrowgerError):        # the core refused it
                await self._hang_up(await begins)
            raise
        result = self._open.get(call)
        if result is None:
            return next(row for row in reversed(self.results) if row["call"] == call)
        future = self._told[call] = asyncio.get_running_loop().create_future()
        try:
            return await future
        except asyncio.CancelledError:          # nobody wants it any more
            self._told.pop(call, None)
            await self._hang_up(call)
            raise

    async def begin(self, span, number):
        """Begin; returns the call's id."""
        return (await self._house.command({"kind": "command.test_call", "span": span, "number": number}))["call"]

    def list(self):
        """Results, those that run first, then the newest first."""
        return [*self._open.values(), *reversed(self.results)]

    def came_in(self, span, since_ms):
        """The newest measured test call that came in over a span and was up since then, or None."""
        return next((row for row in [*self._open.values(), *reversed(self.results)]
                     if (row["figures"] or row["ended_ms"]) and row["way"] == "in" and row["span"] == span and (row["ended_ms"] or since_ms) >= since_ms), None)

    def stop(self):
        """End what runs."""
        for task in self._tasks:
            task.cancel()

    # -- what the core decided --

    def committed(self, records):
        """Follow the records of test calls."""
        for record in records:
            if record["kind"] in FOLLOWED and (record["call"] in self._open or record["kind"] in ("test.begun", "test.joined")):
                getattr(self, "_" + record["kind"].replace(".", "_"), self._nothing)(record, record["data"], self._open.get(record["call"]))

    def _nothing(self, record, data, row):
        pass

    def _row(self, record, way, **known):
        return self._open.setdefault(record["call"], {
            "call": record["call"], "way": way, "span": None, "timeslot": None, "number": None, "started_ms": record["ts_ms"], "answer_ms": None,
            "ended_ms": None, "cause": None, "meaning": None, "figures": None, "why": "the call was not answered", **known})

    def _test_begun(self, record, data, row):
        self._row(record, "out", span=data["span"], number=data["number"])

    def _leg_created(self, record, data, row):
        row["timeslot"] = data["timeslot"]

    def _leg_seized(self, record, data, row):
        row["span"], row["timeslot"] = data["span"], data["timeslot"]

    def _test_joined(self, record, data, row):
        if row is None:
            call = self._house.switchboard.core.state.calls.get(record["call"])
            leg = self._house.switchboard.core.state.legs.get(record["leg"])
            row = self._row(record, data["way"], number=call.called if call else None, span=leg.span if leg else None, timeslot=leg.timeslot if leg else None)
        else:
            row["answer_ms"] = record["ts_ms"] - row["started_ms"]
        row["why"] = "the call ended before it was measured"
        task = asyncio.get_running_loop().create_task(self._test(row, record["leg"], data["sound"]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _call_clearing(self, record, data, row):
        row["cause"], row["meaning"] = data["cause"], self._meaning(data["cause"])
        if row["answer_ms"] is None and row["way"] == "out" and data.get("reason"):
            row["why"] = data["reason"]

    def _call_ended(self, record, data, row):
        row["ended_ms"] = record["ts_ms"]
        del self._open[row["call"]]
        self.results = [*self.results, row][-KEPT:]
        future = self._told.pop(row["call"], None)
        if future is not None and not future.done():
            future.set_result(row)

    # -- the measurement --

    async def _test(self, row, leg, sound):
        try:
            row["figures"] = await self._measure(row["call"], leg)
            row["why"] = None
            if sound == "loop":
                await self._media.client.call("loop", id=leg, on=True)
            elif sound is not None:
                await self._media.client.call("signal", id=leg, token="test", items=[{"tone": sound}], repeat=0)
        except asyncio.CancelledError:
            raise
        except (StrowgerError, OSError, EOFError, wave.Error) as error:
            if row["ended_ms"] is None:
                row["why"] = "it could not be measured: %s" % error
        except Exception:
            log.exception("test call %s", row["call"])
            row["why"] = "it could not be measured; the log of control says why"
        if row["way"] == "out" and row["ended_ms"] is None:
            await self._hang_up(row["call"])

    async def _hang_up(self, call):
        with contextlib.suppress(LocalError):           # the far end may be faster
            await self._house.command({"kind": "command.hangup", "call": call})

    async def _measure(self, call, leg):
        media, name = self._media.client, "test-" + call
        path = os.path.join(self._folder, name + ".wav")
        while not self._media.hears(leg):           # register signals are in the way
            await asyncio.sleep(0.1)
        await asyncio.sleep(STARTS_S)
        await media.call("enhance", id=leg, echo=False, noise=False, level="off", vad=False)
        try:
            await media.call("record", id=name, path=path, left=leg, format="pcm16", channels="mono")
            try:
                await media.call("signal", id=leg, token="test", items=[{"file": self._file()}], repeat=1)
                await asyncio.sleep(line_audio.SCRIPT_S + 0.1)
            finally:
                with contextlib.suppress(StrowgerError, OSError, EOFError):     # the leg may be gone, and the recording with it
                    await media.call("record_stop", id=name)
            return await asyncio.get_running_loop().run_in_executor(None, self._analyse, await self._closed(path))
        finally:
            if os.path.exists(path):
                os.unlink(path)

    async def _closed(self, path):
        """The samples, once the file has stopped to grow."""
        wanted, before = int(line_audio.SCRIPT_S * line_audio.RATE), -1
        for _ in range(int(CLOSES_S / 0.25)):
            await asyncio.sleep(0.25)
            size = os.path.getsize(path) if os.path.exists(path) else 0
            if size == before and size > wanted:
                break
            before = size
        return line_audio.read_wav(path)

    @staticmethod
    def _analyse(samples):
        return line_audio.analyse(samples)

    def _file(self):
        """The script as a file, written once."""
        path = os.path.join(self._folder, "script.wav")
        if self._script is None:
            os.makedirs(self._folder, exist_ok=True)
            line_audio.write_wav(path, line_audio.script())
            self._script = path
        return self._script
