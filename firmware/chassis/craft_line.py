"""The craft port of a running control process: a thread on the serial line, its shell in the control loop.

Environment: STROWGER_CRAFT, a serial port ("/dev/ttyS1"); without it there is none.  STROWGER_MANAGEMENT, the network port that a
rescue address is put on; STROWGER_RESTART, a command.  A port that fails is opened again every AGAIN_S.  A control loop that stands is told as such on the line, so that the cable is of use just then."""

import asyncio
import concurrent.futures
import logging
import os
import pathlib
import shlex
import subprocess
import threading

import serial

from drivers.serial import CraftPort
from firmware.chassis.craft import Actions, Shell
from firmware import first_boot
from firmware.errors import DriverError, LocalError
from firmware.links.adapter import Adapter

log = logging.getLogger(__name__)

BAUD, READ_S, ANSWER_S, AGAIN_S = 115_200, 0.1, 5.0, 5.0


class BoxActions(Actions):
    """What the shell shows and does.  keeper: of the box; data_dir: where users.json is."""

    def __init__(self, keeper, data_dir=None):
        self._keeper, self._data_dir = keeper, data_dir

    def wait_for_button(self, wanted):
        """Look at the button, or no more.  Returns how often it was pressed so far."""
        self._keeper.button_wanted = wanted
        return self._keeper.presses

    def addresses(self):
        """Lines of text."""
        return [line for line in self._ip("-brief", "address", "show").splitlines() if line]

    def rescue(self, address, minutes):
        """The kernel takes the address away by itself, whatever becomes of this process."""
        port = os.environ.get("STROWGER_MANAGEMENT")
        if not port:
            super().rescue(address, minutes)
        seconds = str(minutes * 60)
        self._ip("address", "replace", address, "dev", port, "valid_lft", seconds, "preferred_lft", seconds)
        log.critical("craft port: rescue address %s on %s for %d minutes", address, port, minutes)

    @staticmethod
    def _ip(*arguments):
        try:
            done = subprocess.run(["ip", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=4)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LocalError("the program ip cannot be run: %s" % error) from error
        if done.returncode:
            raise LocalError(done.stderr.strip().splitlines()[0][:200] if done.stderr.strip() else "ip failed with %d" % done.returncode)
        return done.stdout

    def reset_password(self):
        """A new one for the first administrator, in users.json, which the web process reads again; others keep theirs."""
        if self._data_dir is None:
            return super().reset_password()
        password = first_boot.give_password(pathlib.Path(self._data_dir))
        log.critical("craft port: a new password for one log-in was given")
        return password

    def restart(self):
        """By the command of the box."""
        command = os.environ.get("STROWGER_RESTART")
        if not command:
            super().restart()
        log.critical("craft port: the box is restarted")
        subprocess.Popen(shlex.split(command), stdin=subprocess.DEVNULL)

    def status(self):
        """Lines of text."""
        box = self._keeper.list_box()
        lines = ["alarms: worst is %s" % self._keeper.alarms.worst(), "clock: %s" % box["clock"]["why"]]
        if not box["present"]:
            return [*lines, "box: %s" % box["why"]]
        lines += ["%s: %.1f C" % pair for pair in box["celsius"].items()]
        return lines + ["supply %d: %s" % (row["number"], "good" if row["ok"] else ", ".join(row["faults"])) for row in box["supplies"]]

    def alarms(self):
        """Lines of text."""
        return ["%-9s %s: %s" % (alarm["severity"], ", ".join(alarm["members"][:8]), alarm["text"])
                for alarm in self._keeper.list_alarms()["alarms"]]


class CraftLine(Adapter):
    """actions: of the shell; path: of the serial port, default $STROWGER_CRAFT."""

    name = "craft"

    def __init__(self, house, actions, path=None):
        self._clock, self._actions = house.turns.clock, actions
        self._path = path or os.environ.get("STROWGER_CRAFT")
        self._ended, self._thread = threading.Event(), None

    def start(self):
        """Listen, where there is a port."""
        if self._path:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._run, name="craft", daemon=True)
            self._thread.start()

    def stop(self):
        """End the thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(1)

    def _run(self):
        told = None
        while not self._ended.is_set():
            try:
                with serial.Serial(self._path, BAUD, timeout=READ_S, write_timeout=1) as port:
                    told = None
                    self._serve(CraftPort(port))
            except (OSError, serial.SerialException, DriverError) as error:
                if str(error) != told:
                    log.error("craft port %s: %s", self._path, error)
                told = str(error)
            self._ended.wait(AGAIN_S)

    def _serve(self, port):
        shell = Shell(self._actions)
        before = None
        port.say(shell.greet())
        while not self._ended.is_set():
            for line in port.poll():
                port.say(self._ask(shell.take, line))
            if shell.deadline_ms() is None:
                before = None
                self._actions.wait_for_button(False)
                continue
            pressed = self._actions.wait_for_button(True)
            before = pressed if before is None else before          # a press from before was asked for is none
            port.say(self._ask(shell.button if pressed > before else shell.expire))

    def _ask(self, function, *arguments):
        """Run it in the control loop."""
        async def call():
            return function(*arguments, self._clock.now_ms())
        future = asyncio.run_coroutine_threadsafe(call(), self._loop)
        try:
            return future.result(ANSWER_S)
        except concurrent.futures.TimeoutError:
            future.cancel()
            return "The control process does not answer: it stands, or the box is overloaded.\n"
        except Exception:
            log.exception("craft port: %r failed", arguments)
            return "That failed; the log of control says why.\n"
