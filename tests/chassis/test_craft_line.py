"""The craft port of a running loop, over a pseudo-terminal."""

import asyncio
import os
import pty
import threading
import time
import tty
import types

import pytest

from boardconfig.schema import load_board
from firmware.chassis.craft_line import BoxActions, CraftLine
from firmware.chassis.devices import Devices
from firmware.chassis.keeper import Keeper as RealKeeper
from firmware.errors import StrowgerError
from hil.chassis.box import Box
from webui.users import Users


class Keeper:
    button_wanted, presses = False, 0
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


def test_the_button_on_the_front_gives_a_password_for_one_log_in(tmp_path):
    """Cable, button of the emulated box, users.json, the web's own check of it: the old password is void, another user keeps his."""
    box, data = Box(), tmp_path / "data"
    data.mkdir()
    (data / "first-boot-password").write_text("first-password")
    users = Users(data)
    assert users.change("admin", "forgotten-password") is None and users.give("clerk", "clerk-password") is None
    keeper = types.SimpleNamespace(button_wanted=False, presses=0, _held=False, _ended=threading.Event(), alarms=Keeper.alarms)
    devices = Devices(box.bus, load_board()["chassis"])
    devices.orders["lamps"] = {}
    devices.poll(0)
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    house = types.SimpleNamespace(turns=types.SimpleNamespace(clock=types.SimpleNamespace(now_ms=lambda: 0)))
    line = CraftLine(house, BoxActions(keeper, data), os.ttyname(slave))
    looking = threading.Thread(target=lambda: [RealKeeper._rest(keeper, devices) for _ in iter(keeper._ended.is_set, True)], daemon=True)

    async def session():
        line.start()
        looking.start()
        heard = b""
        for typed, act, wanted in ((b"", None, b"strowger> "), (b"password\r", None, b"Press the button"),
                                   (b"", lambda: box.chips["leds"].pressed.append(7), b"Password for one log-in: ")):
            os.write(master, typed)
            if act is not None:
                while not keeper.button_wanted:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.3)
                act()
            end = time.monotonic() + 30
            while (wanted not in heard or not heard.endswith(b"> ") and not heard.endswith(b".\r\n")) and time.monotonic() < end:
                await asyncio.sleep(0.01)
                try:
                    heard += os.read(master, 4096)
                except BlockingIOError:
                    pass
            assert wanted in heard, (wanted, heard)
        return heard.decode().partition("one log-in: ")[2].split()[0]
    password = asyncio.run(session())
    keeper._ended.set()
    line.stop()
    looking.join()
    os.close(slave)
    os.close(master)
    assert users.verify("admin", password) and users.must_change("admin") and not users.verify("admin", "forgotten-password")
    assert users.verify("clerk", "clerk-password")


def test_a_rescue_address_goes_by_itself(monkeypatch, tmp_path):
    """The command that is run: the kernel is told how long; without a management port nothing is done."""
    ip = tmp_path / "ip"
    ip.write_text("#!/bin/sh\necho \"$@\" >> %s\n" % (tmp_path / "said"))
    ip.chmod(0o755)
    monkeypatch.setenv("PATH", "%s:%s" % (tmp_path, os.environ["PATH"]))
    actions = BoxActions(Keeper(), tmp_path)
    with pytest.raises(StrowgerError, match="no management port"):
        actions.rescue("192.0.2.9/24", 30)
    monkeypatch.setenv("STROWGER_MANAGEMENT", "eth0")
    actions.rescue("192.0.2.9/24", 30)
    assert (tmp_path / "said").read_text() == "address replace 192.0.2.9/24 dev eth0 valid_lft 1800 preferred_lft 1800\n"
    ip.write_text("#!/bin/sh\necho 'Cannot find device \"eth0\"' >&2; exit 1\n")
    with pytest.raises(StrowgerError, match="Cannot find device"):
        actions.rescue("192.0.2.9/24", 30)
