"""The craft port of a running loop, over a pseudo-terminal."""

import asyncio
import os
import pty
import time
import tty
import types

from firmware.chassis.craft_line import BoxActions, CraftLine


class Keeper:
    alarms = types.SimpleNamespace(worst=lambda: "major")

    def list_box(self):
        return {"present": True, "clock": {"why": "span 1 is the best of what is usable"}, "celsius": {"inlet": 25.5},
                "supplies": [{"number": 1, "ok": True, "faults": []}, {"number": 2, "ok": False, "faults": ["no or low mains"]}]}

    def list_alarms(self):
        return {"alarms": [{"severity": "major", "members": ["psu 2"], "text": "a power supply gives no good power"}]}


def test_a_person_at_the_cable_of_a_running_process():
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    house = types.SimpleNamespace(turns=types.SimpleNamespace(clock=types.SimpleNamespace(now_ms=lambda: 0)))
    line = CraftLine(house, BoxActions(Keeper()), os.ttyname(slave))

    async def session():
        line.start()
        heard = b""
        for typed, wanted in ((b"", b"strowger> "), (b"status\r", b"supply 2: no or low mains"), (b"alarms\r", b"major     psu 2"),
                              (b"password\r", b"Press the button"), (b"\x03", b"given up")):
            os.write(master, typed)
            end = time.monotonic() + 10
            while wanted not in heard and time.monotonic() < end:
                await asyncio.sleep(0.01)
                try:
                    heard += os.read(master, 4096)
                except BlockingIOError:
                    pass
            assert wanted in heard, (wanted, heard)
    asyncio.run(session())
    line.stop()
    os.close(slave)
    os.close(master)


def test_without_a_port_there_is_no_thread(monkeypatch):
    monkeypatch.delenv("STROWGER_CRAFT", raising=False)
    line = CraftLine(types.SimpleNamespace(turns=types.SimpleNamespace(clock=None)), None)
    line.start()
    assert line._thread is None
    line.stop()
