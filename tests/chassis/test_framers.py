"""The watch of the framers, on a ring whose registers are the test's."""

import asyncio
import concurrent.futures
import threading
import time
import types

import pytest

from drivers.framer import falc_regs
from drivers.registers import READ
from firmware.chassis import framers
from firmware.chassis.line_orders import TURN_UP
from firmware.errors import DriverError

XRA, XAIS = 0x20, 0x01        # of XSW and of FMR1
CONFIG = {"spans": [{"span": 1, "type": "e1", "crc4": True, "signalling": "pri", "enabled": True},
                    {"span": 2, "type": "e1", "crc4": False, "signalling": "pri", "enabled": True},
                    {"span": 3, "type": "e1", "crc4": False, "signalling": "pri", "enabled": False}]}


class Ring:
    def __init__(self):
        self.registers, self.writes, self.broken, self.versions, self.pulled = {}, [], None, {}, {}      # pulled: span -> what is read there, or None: refused

    def batch(self, requests, refused=None):
        if self.broken:
            raise DriverError("window", "register access", self.broken)
        results = []
        for op, span, offset, value in requests:
            if span in self.pulled:
                if self.pulled[span] is None and refused is None:
                    raise DriverError("span %d" % span, "read of register %02X" % offset, "the board knows no such register")
                results.append(refused if self.pulled[span] is None else self.pulled[span])
            elif op == READ:
                results.append(self.versions.get(span, 0x05) if offset == falc_regs.VSTR.offset else self.registers.get((span, offset), 0))
            else:
                self.writes.append((span, offset, value))
                self.registers[span, offset] = value
                results.append(value)
        return results


@pytest.fixture
def watch(monkeypatch):
    monkeypatch.setattr(framers, "POLL_S", 0.005)
    monkeypatch.setattr(framers, "AWAY_S", 0.005)
    ring, told = Ring(), []
    house = types.SimpleNamespace(turns=types.SimpleNamespace(run=None),
                                  config=types.SimpleNamespace(running=lambda: CONFIG),
                                  stores=types.SimpleNamespace(machines=Machines()))
    part = begun(house, ring, told)
    yield part, ring, told
    part.stop()


class Machines(dict):
    """What is kept for the next control process."""

    load, save = dict.get, dict.__setitem__


def begun(house, ring, told):
    part = framers.Framers(house, lambda span, alarms, now_ms: None, lambda: ring)
    part.house = house
    part._loop = types.SimpleNamespace(call_soon_threadsafe=lambda run, what, tell, *row: told.append(row))
    part._thread = threading.Thread(target=part._run, daemon=True)
    return part


def ordered(part, order):
    """Carry out what a person, or the turn-up, orders."""
    async def wait():
        return await order
    part._changed.set()
    return asyncio.run(wait())


def until(condition):
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


def test_spans_are_configured_once_and_alarms_told_when_they_change(watch):
    part, ring, told = watch
    ring.registers[1, falc_regs.FRS0.offset] = 0x80
    part._thread.start()
    until(lambda: len(told) == 2)
    assert sorted(told) == [(1, ["los"]), (2, [])]
    assert {span for span, _, _ in ring.writes} == {1, 2}
    count = len(ring.writes)
    ring.registers[1, falc_regs.FRS0.offset] = 0x10
    until(lambda: len(told) == 3)
    assert told[-1] == (1, ["rai"])
    part.configure(CONFIG, 0)
    time.sleep(0.05)
    assert len(ring.writes) == count and len(told) == 3


def test_a_board_that_goes_away_is_told_and_taken_up_again(watch):
    part, ring, told = watch
    part._thread.start()
    until(lambda: len(told) == 2)
    ring.broken = "no answer in 500 ms: the board has stopped"
    until(lambda: len(told) == 4)
    assert sorted(told[2:]) == [(1, ["board"]), (2, ["board"])] and "stopped" in part.fault
    ring.broken = None
    until(lambda: len(told) == 6)
    assert sorted(told[4:]) == [(1, []), (2, [])] and part.fault is None


def test_a_framer_that_is_missing_or_another_one_costs_its_own_span(watch):
    part, ring, told = watch
    heard = []
    part._watcher = heard.append
    part._loop = types.SimpleNamespace(call_soon_threadsafe=lambda run, what, *row: told.append(row[1:]) if row else heard.append(what))
    ring.versions[1] = 0xFF
    part._thread.start()
    until(lambda: len(told) == 2)
    assert sorted(told) == [(1, ["framer"]), (2, [])] and {span for span, _, _ in ring.writes} == {2} and part.fault is None
    status, events = heard[-1]["spans"][1]
    assert "not plugged in" in status["details"]["framer"] and not events["second"] and heard[-1]["spans"][2][0]["alarms"] == []
    ring.versions.clear()
    until(lambda: len(told) == 3)
    assert told[-1] == (1, []) and {span for span, _, _ in ring.writes} == {1, 2}
    ring.versions[2] = 0x20
    until(lambda: len(told) == 4)
    assert told[-1] == (2, ["framer"]) and "version 20" in part._gone[2]


@pytest.mark.parametrize("read", [None, 0xFF])
def test_a_card_that_is_pulled_while_it_is_watched_costs_its_own_span_and_no_errors(watch, monkeypatch, read):
    part, ring, told = watch
    heard = []
    part._watcher = heard.append
    part._loop = types.SimpleNamespace(call_soon_threadsafe=lambda run, what, *row: told.append(row[1:]) if row else heard.append(what))
    monkeypatch.setattr(framers, "CHIPS_POLLS", 1_000_000)            # whoever reads sees it, not only the look for chips
    part._thread.start()
    until(lambda: len(told) == 2 and heard)
    ring.pulled[1] = read
    until(lambda: len(told) == 3)
    polls = len(heard)
    until(lambda: len(heard) > polls + 3)
    assert told[2:] == [(1, ["framer"])] and part.fault is None and not any(each["board"] or each["seconds"] for each in heard)
    assert heard[-1]["spans"][1][0]["alarms"] == ["framer"] and heard[-1]["spans"][2][0]["alarms"] == []
    assert not any(row[1]["second"] for each in heard for row in each["spans"].values())


def test_the_watcher_hears_every_poll_and_the_seconds_that_are_over(watch):
    part, ring, told = watch
    heard = []
    part._watcher = heard.append
    part._loop = types.SimpleNamespace(call_soon_threadsafe=lambda function, *arguments: function(*arguments) if function == heard.append else None)
    ring.registers[2, falc_regs.ISR3.offset] = 0x42
    ring.registers[2, falc_regs.CEC.offset] = 7
    part._thread.start()
    until(lambda: len(heard) > 3)
    assert heard[0]["board"] is None and set(heard[0]["spans"]) == {1, 2} and heard[0]["settings"][1]["crc4"]
    assert heard[0]["seconds"] == {2: {"fas_errors": 0, "code_violations": 0, "crc_errors": 7, "e_bits": 0}}
    assert heard[0]["spans"][2][1]["slips"] == 1
    ring.broken = "no answer in 500 ms: the board has stopped"
    until(lambda: heard[-1]["board"])
    assert "stopped" in heard[-1]["board"] and heard[-1]["spans"] == {}


def test_a_loop_stands_when_other_spans_change_and_ends_with_its_own_settings(watch):
    part, ring, told = watch
    part._thread.start()
    until(lambda: len(told) == 2)
    part._orders.append((2, lambda framer: (framer.loop("remote"), part._note_loop(2, "remote", None, "us")), concurrent.futures.Future()))
    part._changed.set()
    until(lambda: part.lines()[2]["loop"])

    def apply(span, **settings):
        spans = [{**row, **settings} if row["span"] == span else row for row in CONFIG["spans"]]
        count = len(ring.writes)
        part.configure({"spans": spans}, 0)
        until(lambda: any(where == span for where, _, _ in ring.writes[count:]))
        until(lambda: not part._anew)
    apply(1, line_code="ami")
    assert part.lines()[2]["loop"]["kind"] == "remote" and ring.registers[2, falc_regs.LIM1.offset] & 2
    apply(2, line_code="ami")
    until(lambda: part.lines()[2]["loop"] is None)
    assert not ring.registers[2, falc_regs.LIM1.offset] & 2


def test_a_forced_alarm_stands_over_a_restart_and_a_turn_up_and_ends_with_its_span(watch):
    part, ring, told = watch
    part._thread.start()
    until(lambda: len(told) == 2)

    def sends():
        return ring.registers[2, falc_regs.XSW.offset] & XRA, ring.registers[2, falc_regs.FMR1.offset] & XAIS
    assert ordered(part, part.force(2, True, False))["forced"] == ["rai"] and sends() == (XRA, 0)
    ordered(part, part.force(2, False, True, TURN_UP))
    assert sends() == (XRA, XAIS) and part.lines()[2]["forced"] == ["rai"]
    ordered(part, part.force(2, False, False, TURN_UP))
    assert sends() == (XRA, 0)
    part.save(part.house.stores)
    part.stop()
    again = begun(part.house, ring, told)
    again._thread.start()
    until(lambda: again.lines()[2]["forced"] == ["rai"])
    assert sends() == (XRA, 0)
    again.configure({"spans": CONFIG["spans"][:1]}, 0)
    until(lambda: sends() == (0, 0) and 2 not in again._set_up)
    again.save(again.house.stores)
    assert not again.house.stores.machines["forced alarms"]
    again.stop()


def test_a_span_out_of_service_is_not_looped_on(watch):
    part, ring, told = watch
    part._thread.start()
    until(lambda: len(told) == 2)
    part._orders.append((2, lambda framer: (framer.loop("remote"), part._note_loop(2, "remote", None, "us")), concurrent.futures.Future()))
    part._changed.set()
    until(lambda: ring.registers.get((2, falc_regs.LIM1.offset), 0) & 2)
    part.configure({"spans": CONFIG["spans"][:1]}, 0)
    until(lambda: 2 not in part._set_up)
    assert not ring.registers[2, falc_regs.LIM1.offset] & 2 and not part._loops
    part.configure(CONFIG, 0)
    until(lambda: 2 in part._set_up)
    assert part.lines()[2]["loop"] is None
