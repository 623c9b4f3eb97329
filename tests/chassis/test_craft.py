"""The craft port: over a real pseudo-terminal with pyserial, and its shell alone."""

import os
import pty
import tty

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from drivers.serial import LINE_OCTETS, CraftPort
from firmware.chassis import craft
from firmware.errors import DriverError, LocalError


class Box(craft.Actions):
    def __init__(self):
        self.done = []

    def status(self):
        return ["64 spans, 61 in service", "0 calls"]

    def rescue(self, address, minutes):
        self.done.append((address, minutes))

    def reset_password(self):
        self.done.append("password")
        return "brass-kettle-41"

    def restart(self):
        raise LocalError("an update is being written")


def test_a_person_at_a_real_port():
    master, slave = pty.openpty()
    tty.setraw(slave)
    with serial.Serial(os.ttyname(slave), 115200, timeout=0.02) as port:
        craft_port, shell = CraftPort(port), craft.Shell(Box())
        craft_port.say(shell.greet())
        os.write(master, b"xx\x15sta\x08atus\r\n")
        lines = []
        while not lines:
            lines = craft_port.poll()
        assert lines == ["status"]
        craft_port.say(shell.take(lines[0], 0))
        shown = b""
        while b"0 calls" not in shown:
            shown += os.read(master, 4096)
        assert b"64 spans, 61 in service\r\n" in shown
    os.close(master)
    os.close(slave)
    with pytest.raises(DriverError, match="craft port"):
        craft_port.poll()


class Wire:
    def __init__(self, octets):
        self.octets, self.written = octets, b""

    def read(self, count):
        got, self.octets = self.octets[:count], self.octets[count:]
        return got

    def write(self, octets):
        self.written += octets


@given(st.binary(max_size=400))
def test_noise_on_the_line_does_no_harm(noise):
    box = Box()
    port, shell, wire = None, craft.Shell(box), Wire(noise + b"\r\x03password\r")
    port = CraftPort(wire)
    while wire.octets:
        for line in port.poll():
            assert len(line) <= LINE_OCTETS
            assert shell.take(line, 0)
    assert box.done == [] and shell.deadline_ms() == craft.PROOF_S * 1000


def test_what_changes_the_box_needs_the_button():
    box = Box()
    shell = craft.Shell(box)
    assert "Press the button" in shell.take("rescue 192.0.2.9/24", 1000)
    assert box.done == [] and shell.expire(5000) == ""
    assert "answers at 192.0.2.9" in shell.button(9000) and box.done == [("192.0.2.9/24", craft.RESCUE_MINUTES)]
    assert shell.button(9500) == "" and len(box.done) == 1                 # a second press does nothing
    shell.take("password", 10_000)
    assert "not pressed" in shell.expire(30_000) and "password" not in box.done
    assert shell.button(31_000) == ""
    shell.take("password", 40_000)
    assert "given up" in shell.take("", 41_000) and shell.button(42_000) == ""
    shell.take("password", 50_000)
    assert "given up" not in shell.take("status", 51_000) and shell.button(52_000) == ""    # another verb takes the wish back
    shell.take("password", 60_000)
    assert "brass-kettle-41" in shell.button(61_000)
    shell.take("restart", 70_000)
    assert "Not done: an update is being written." in shell.button(71_000)


@pytest.mark.parametrize("line", ["rescue", "rescue 192.0.2.9", "rescue 300.1.1.1/24", "rescue 224.0.0.1/24", "rescue ::1/64",
                                  "rescue 192.0.2.9/24 && reboot", "rescue 0.0.0.0/0", "rescue 192.0.2.1/32"])
def test_a_wrong_address_is_refused_before_the_button(line):
    shell = craft.Shell(Box())
    assert "Give the address" in shell.take(line, 0) and shell.deadline_ms() is None


def test_there_is_no_way_out_of_the_shell():
    shell = craft.Shell(Box())
    for line in ("sh", "!sh", "status; id", "$(id)", "../../bin/sh", "help status"):
        answer = shell.take(line, 0)
        assert "There is no" in answer or "64 spans" in answer or "rescue" in answer
    assert "help" in shell.take("nonsense", 0)
