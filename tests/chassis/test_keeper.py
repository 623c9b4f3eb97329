"""The keeper of the box: real storage, the emulated box, framers' polls made by the test, time passed in."""

import json
import types

import pytest

from firmware.chassis import keeper as module
from firmware.chassis.alarm_table import KINDS
from firmware.chassis.devices import Devices, open_bus
from firmware.chassis.keeper import Keeper
from firmware.cli import box as cli
from firmware.cli.__main__ import table
from firmware.control.core_state_trail import TrailFolds
from firmware.storage.stores import Stores
from hil.chassis.box import Box

START_MS = 1_763_780_400_000


def fold(state, record):
    getattr(state, record["kind"].replace(".", "_"))(record, record["data"], None)


class Turns:
    """As control/turns.py, one adapter: run, then save in a transaction."""

    fault = None

    def __init__(self, stores, clock):
        self.stores, self.clock, self.adapter, self.count, self.posted, self.journal = stores, clock, None, 0, [], None

    def post(self, event):
        """The switchboard would make a record of it; the file of them is all that the next house knows."""
        self.posted.append(event)
        with open(self.journal, "a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": event["record"], "ts_ms": self.clock.now_ms(), "data": event["data"]}) + "\n")
        fold(self.state, json.loads(json.dumps({"kind": event["record"], "ts_ms": self.clock.now_ms(), "data": event["data"]})))

    def run(self, what, function, *args):
        function(*args, self.clock.now_ms())
        self.count += 1
        if self.adapter.dirty():
            with self.stores.database.transaction():
                self.adapter.save(self.stores)
            self.adapter.saved()


class House:
    """now_ms is the test's.  die(): as kill -9 does, nothing is written any more."""

    def __init__(self, folder, box, now_ms=START_MS):
        self.run_dir, self.now_ms, self.box = folder, now_ms, box
        self.clock = types.SimpleNamespace(now_ms=lambda: self.now_ms)
        self.stores = Stores(str(folder))
        self.turns = Turns(self.stores, self.clock)
        self.turns.journal = folder / "journal.jsonl"
        state = self.turns.state = TrailFolds()
        state.alarms, state.changes = {}, []
        for line in self.turns.journal.read_text(encoding="utf-8").splitlines() if self.turns.journal.exists() else ():
            fold(state, json.loads(line))
        self.switchboard = types.SimpleNamespace(core=types.SimpleNamespace(state=state))
        self.devices = None
        self.adapters, self.told = (), []
        self.media = types.SimpleNamespace(serving=True, command=lambda do, **given: self.told.append((do, given)))
        self.keeper = Keeper(self, open_devices=lambda: None)
        self.turns.adapter = self.keeper
        if box:
            self.keeper._devices = self.devices = Devices(box.bus, self.keeper._chassis)
        self.alarms, self.counters, self.slips, self.board = {}, {}, {}, None
        self.spans, self.configured, self.loops = {1: {"crc4": True}}, (), {}

    def legs_that_stand(self):
        return []

    def calls_without_a_voice(self):
        return []

    def run(self, seconds):
        """Poll as the threads do."""
        for tick in range(int(seconds * 5)):
            second = tick % 5 == 4
            polled = {span: ({"alarms": list(self.alarms.get(span, ()))}, {"second": second, "defects": set(),
                      "slips": self.slips.get(span, 0) if second else 0}) for span in self.spans}
            self.keeper.framers({"board": self.board, "spans": polled, "settings": self.spans, "heartbeat": self.now_ms, "configured": self.configured, "loops": self.loops,
                                 "seconds": {span: self.counters.get(span, {}) for span in self.spans} if second else {}})
            if second and self.devices:
                self.keeper.polled(self.devices.poll(self.now_ms))
                self.box.step(1.0)
            if tick % 300 == 299:
                self.keeper._flushed_s = -1e9           # a minute is over
            self.keeper.tick()
            self.now_ms += 200
        return [(alarm["kind"], alarm["members"]) for alarm in self.keeper.alarms.active()]

    def die(self):
        self.stores.database.close()


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path, Box(load=0.5))
    yield house
    house.die()


def test_a_sound_box_has_no_alarm_and_shows_itself(house):
    assert house.run(30) == []
    box = house.keeper.list_box()
    assert box["identity"]["serial"] == "SW64-0001" and box["faults"] == {} and len(box["supplies"]) == 2
    assert box["clock"]["mode"] == "locked" and box["clock"]["selected"] == "span 1"
    assert house.box.chips["dpll"].following == 0
    assert [house.box.chips["leds"].led(n) for n in range(7)] == ["on", "off", "off", "on", "on", "on", "on"]
    shown = cli.show_chassis(box, table)
    assert "serial number SW64-0001" in shown and "supply 1   good, 12.00 V, 180 W" in shown


@pytest.mark.parametrize("spoil, kind, where", [
    (lambda box: box.pull("psu2"), "psu_absent", "psu 2"), (lambda box: setattr(box.chips["psu1"], "mains_v", 0.0), "psu_failed", "psu 1"),
    (lambda box: box.chips["fans"].blocked.add(1), "fan_failed", "fans"), (lambda box: box.pull("sensor_board"), "device", "temperature sensor board"),
    (lambda box: box.bus.fault(0x58, "wrong_pec"), "device", "power supply 1"), (lambda box: box.bus.fault(0x60, "nack"), "device", "LED driver 60"),
    (lambda box: setattr(box.bus, "stuck", True), "device", "I2C bus"), (lambda box: setattr(box.chips["dpll"], "ready", False), "device", "DPLL"),
    (lambda box: box.chips["dpll"].registers.update({3: 0x11}), None, None)])
def test_one_fault_is_one_alarm_that_says_where_and_ends_when_mended(house, spoil, kind, where):
    house.run(20)
    spoil(house.box)
    raised = house.run(20)
    if kind is None:
        assert raised == []                              # a part that runs is not asked again who it is
        return
    assert raised == [(kind, [where])]
    told = [(event["record"], event["data"]["fault"], event["data"].get("members")) for event in house.turns.posted]
    assert told == [("alarm.raised", kind, [where])]            # for the journal, once
    alarm = next(alarm for alarm in house.keeper.alarms.active() if alarm["kind"] == kind)
    assert alarm["detail"] and KINDS[kind]["advice"] in cli.show_alarms(house.keeper.list_alarms(), table)
    for name in house.box.chips:
        house.box.plug(name)
    house.box.chips["psu1"].mains_v, house.box.chips["fans"].blocked, house.box.bus.stuck = 230.0, set(), False
    house.box.bus.faults, house.box.chips["dpll"].ready = {}, True
    assert house.run(40) == []


def test_a_blank_eeprom_is_a_warning_and_nothing_more(tmp_path):
    box = Box()
    box.chips["eeprom"].cells[:] = b"\xff" * 256
    house = House(tmp_path, box)
    assert house.run(10) == [("identity", ["identity"])]
    assert house.keeper.alarms.worst() == "warning" and house.keeper.list_box()["identity"] is None
    house.die()


def test_a_bus_that_is_stuck_when_it_is_opened_is_one_alarm(tmp_path):
    box = Box()
    box.bus.stuck = True
    house = House(tmp_path, box)
    assert house.run(10) == [("device", ["I2C bus"])]            # not the identity beside it
    box.bus.stuck = False
    house.run(70)
    assert house.keeper.list_box()["identity"]["serial"] == "SW64-0001"
    house.die()


def test_without_a_box_there_is_no_alarm(tmp_path):
    house = House(tmp_path, None)
    house.keeper.polled({"absent": "this machine has no I2C bus of a box"})
    assert house.run(10) == [] and house.keeper.list_box()["present"] is False
    assert "no box here" in cli.show_chassis(house.keeper.list_box(), table)
    assert open_bus(str(tmp_path), 99) is None
    house.die()


def test_heat_derates_and_switches_off(house, monkeypatch, tmp_path):
    marker = tmp_path / "off"
    monkeypatch.setenv("STROWGER_POWEROFF", "touch %s" % marker)
    house.run(20)
    house.box.ambient_c = 80.0
    raised = dict(house.run(240))
    assert "temperature_critical" in raised and house.keeper.list_box()["drive_percent"] == 100
    assert house.keeper.list_box()["derated"] and raised["derated"] == ["box"]
    assert house.told == [("derate", {"percent": 50})]
    house.keeper.media_found({}, house.now_ms)                      # another life of media is told again
    assert house.told.pop() == ("derate", {"percent": 50})
    end = __import__("time").monotonic() + 5
    while not marker.exists():
        assert __import__("time").monotonic() < end
    again = Keeper(house, open_devices=lambda: None)                # control starts anew while it is hot
    assert again._percent() == 50
    house.box.ambient_c = 25.0
    assert "derated" not in dict(house.run(200)) and house.told == [("derate", {"percent": 50}), ("derate", {"percent": 100})]


def test_the_board_away_is_one_alarm_and_no_second_is_counted(house):
    house.spans = {span: {"crc4": True} for span in range(1, 65)}
    house.run(10)
    before = house.keeper.list_performance()["64"]["quarter"]["seconds"]
    house.board = "window: register access failed: no answer in 500 ms: the board has stopped"
    assert house.run(10) == [("board", ["board"])]
    assert house.keeper.list_performance()["64"]["quarter"]["seconds"] == before


def test_los_of_all_spans_is_one_alarm_with_64_members_and_the_clock_says_so(house):
    house.spans = {span: {"crc4": True} for span in range(1, 65)}
    house.run(10)
    house.alarms = {span: ["los"] for span in range(1, 65)}
    for n in range(4):
        house.box.chips["dpll"].signal[n] = False
    raised = dict(house.run(10))
    assert len(raised["los"]) == 64 and raised["clock_holdover"] == ["clock"] and len(raised) == 2
    assert "span 1-64" in cli.show_alarms(house.keeper.list_alarms(), table)
    assert house.box.chips["leds"].led(1) == "fast" and house.box.chips["leds"].led(3) == "slow"


def test_a_span_that_hears_us_is_no_clock_that_agrees(house):
    """A loop plug, which the turn-up finds: no slips, and no word on any far end's clock; until the plug is pulled."""
    house.spans = {span: {"crc4": True} for span in (1, 2, 3)}
    house.run(5)
    house.keeper.hears_us(3, True)
    house.run(5)
    told = house.keeper.examine_clocks()
    assert set(told["spans"]) == {"1", "2"} and told["findings"][0]["spans"] == [1, 2]
    house.alarms = {3: ["los"]}
    house.run(5)
    house.alarms = {}
    house.run(5)
    assert set(house.keeper.examine_clocks()["spans"]) == {"1", "2", "3"}
    house.keeper.hears_us(3, True)
    house.slips = {3: 1}
    house.run(5)
    assert "3" in house.keeper.examine_clocks()["spans"]


def test_a_restart_of_control_does_not_move_a_running_clock(tmp_path):
    house = House(tmp_path, Box())
    house.run(20)
    house.die()
    again = House(tmp_path, house.box, house.now_ms)
    chip, held = again.box.chips["dpll"], []
    chip.poke = lambda offset, value, poke=chip.poke: (held.append((chip.page, offset, value)), poke(offset, value))
    again.run(20)
    assert chip.following == 0 and not [row for row in held if row[:2] == (5, 0x35) and row[2]]     # never forced to hold
    assert not [row for row in held if row[:2] == (5, 0x2A) and row[2] >> 1 & 3]                   # nor to another input
    again.die()


def test_errors_and_slips(house):
    house.counters = {1: {"crc_errors": 500}}
    assert ("excessive_errors", ["span 1"]) in house.run(20)
    house.counters = {1: {"crc_errors": 0}}
    house.run(30)
    assert house.keeper.list_performance()["1"]["quarter"]["uas"] == 20
    house.slips = {1: 1}
    house.run(3)
    house.slips = {}
    assert house.run(5) == [("slips", ["span 1"])]


def test_what_we_do_ourselves_begins_no_alarm(house):
    """A framer that was set up anew, and all ones that the turn-up sends: RAI comes back, and stays only where it is the line's."""
    house.counters = {1: {"crc_errors": 500}}
    house.configured = {1}
    house.run(1)
    assert house.keeper.list_performance() == {}
    house.configured = ()
    house.run(2)
    house.counters = {}
    house.run(3)
    assert house.keeper.list_performance()["1"]["quarter"]["es"] == 0
    house.keeper.asked, house.alarms = lambda: {1}, {1: ["rai"]}
    assert house.run(10) == []
    house.keeper.asked = tuple
    assert house.run(3) == []
    assert house.run(6) == [("rai", ["span 1"])]


@pytest.mark.parametrize("how", ["loop", "asked"])
def test_a_fault_that_our_own_loop_hides_has_not_come_and_gone(house, how):
    """A cable that is not plugged in, tested with the own loop again and again, or listened to closely, is no loose plug; a plug that is pulled afterwards is."""
    house.alarms = {1: ["los"]}
    house.run(5)
    before = house.keeper.comings(1, 0)
    for _ in range(4):
        house.alarms = {}
        if how == "loop":
            house.loops = {1: {"kind": "local", "timeslot": None, "by": "us"}}
        else:
            house.keeper.asked = lambda: {1}
        house.run(3)
        house.loops, house.keeper.asked, house.alarms = {}, tuple, {1: ["los"]}
        house.run(10)
        assert house.keeper.comings(1, 0) == before
    for _ in range(2):
        house.alarms = {}
        house.run(2)
        house.alarms = {1: ["los"]}
        house.run(2)
    assert house.keeper.comings(1, 0) == before + 2


def test_a_signal_that_was_away_is_no_bad_line_when_it_is_back(tmp_path):
    """Nor after a kill of control in the middle; and what was told of a bad line before it is not told anew."""
    house = House(tmp_path, None)
    house.run(5)
    house.alarms = {1: ["ais"]}
    house.run(30)
    house.die()
    again = House(tmp_path, None, house.now_ms + 3000)
    again.alarms = {1: ["ais"]}
    again.run(20)
    again.alarms = {}
    again.run(8)
    assert [alarm["kind"] for alarm in again.keeper.alarms.active()] == ["ais"]
    assert again.run(10) == [] and [row["kind"] for row in again.stores.alarms.page(9)] == ["ais"]
    again.counters = {1: {"crc_errors": 500}}
    assert ("excessive_errors", ["span 1"]) in again.run(15)
    again.die()
    third = House(tmp_path, None, again.now_ms + 3000)
    third.counters = again.counters
    third.run(30)
    assert sorted(row["kind"] for row in third.stores.alarms.page(9)) == ["ais", "excessive_errors"]
    third.die()


def test_everything_survives_a_kill(tmp_path):
    house = House(tmp_path, Box())
    house.run(20)
    house.alarms = {1: ["los"]}
    house.run(70)
    before, alarm = house.keeper.list_performance()["1"], house.keeper.alarms.active()[0]
    house.die()                                                    # no save after the last minute
    again = House(tmp_path, Box(), house.now_ms + 5000)
    again.alarms = {1: ["los"]}
    assert again.run(5) == [("los", ["span 1"])]
    assert again.keeper.alarms.active()[0]["raised_ms"] == alarm["raised_ms"]
    after = again.keeper.list_performance()["1"]
    assert before["quarter"]["seconds"] - 60 <= after["quarter"]["seconds"] - 5 <= before["quarter"]["seconds"]
    again.alarms = {}
    assert again.run(20) == []
    history = again.stores.alarms.page(10)
    assert [row["kind"] for row in history] == ["los"] and history[0]["cleared_ms"]
    assert json.dumps(history) and "CLEARED" in cli.show_alarms({"alarms": history}, table)
    again.keeper._flushed_s = -1e9
    again.keeper.tick()
    rows = again.stores.performance.of_span(1, "quarter", 5)
    assert rows[0]["seconds"] == after["quarter"]["seconds"] + 20 and cli.show_span(
        {"bins": rows, "length_s": 900}, table).count("\n") == len(rows)
    again.die()


def test_a_full_disk_loses_nothing_and_does_not_spin(house):
    house.run(5)
    house.turns.fault = "disk full"
    house.alarms = {1: ["ais"]}
    count = house.turns.count
    house.run(10)
    assert house.turns.count == count and house.keeper.dirty()
    house.turns.fault = None
    house.run(1)
    assert [row["kind"] for row in house.stores.alarms.page(5)] == ["ais"] and not house.keeper.dirty()


def test_a_span_taken_out_of_the_configuration_has_no_alarm(house):
    house.alarms = {1: ["los"]}
    house.run(10)
    house.spans = {}
    house.keeper.configure({"spans": [{"span": 1, "enabled": False}]}, house.now_ms)
    assert house.run(2) == [] and house.keeper.list_performance() == {}


def test_a_poll_of_64_spans_is_cheap(house):
    house.spans = {span: {"crc4": True} for span in range(1, 65)}
    house.alarms = {span: ["los"] for span in range(1, 65, 2)}
    house.run(2)
    assert house.turns.count <= 6 and module.TICK_S >= 0.1


def test_runs():
    assert cli.runs(["span 1", "span 2", "span 3", "span 7", "psu 1", "fans"]) == "span 1-3, span 7, psu 1, fans"


def test_what_stands_is_what_the_journal_says_over_kills(tmp_path):
    """Begin, members, sentences and who has acknowledged it; what ended meanwhile is told as ended, once."""
    house = House(tmp_path, None)
    house.spans = {span: {"crc4": True} for span in range(1, 9)}
    house.alarms = {span: ["los"] for span in range(1, 6)}
    house.run(10)
    house.alarms[6] = ["los"]                   # joins the same alarm later
    house.alarms[8] = ["ais"]
    house.run(10)
    los, ais = sorted(house.keeper.alarms.active(), key=lambda alarm: len(alarm["members"]), reverse=True)
    house.keeper.turns.post({"record": "alarm.acknowledged", "data": {"alarm": los["id"], "by": "anna", "note": "the cable"}})
    house.keeper.alarms.acknowledge(los["id"], {"by": "anna", "ts_ms": house.now_ms, "note": "the cable"})
    house.run(2)
    before = json.loads(json.dumps(house.keeper.list_alarms()))
    house.die()
    assert house.stores.machines._written == {}                 # nothing beside the journal says what stands
    again = House(tmp_path, None, house.now_ms + 3000)
    assert again.keeper.list_alarms() == before and [row["acked"]["by"] for row in before["alarms"] if row["acked"]] == ["anna"]
    again.spans, again.alarms = house.spans, {span: ["los"] for span in range(1, 7)}
    again.run(30)                               # span 8 has recovered while nobody looked
    (left,) = again.keeper.alarms.active()
    assert (left["id"], left["raised_ms"], left["members"], left["acked"]["note"]) == (los["id"], los["raised_ms"], ["span %d" % n for n in range(1, 7)], "the cable")
    assert [(event["record"], event["data"]["alarm"]) for event in again.turns.posted] == [("alarm.cleared", ais["id"])]
    assert "ACKNOWLEDGED" in cli.show_alarms(again.keeper.list_alarms(), table) and "anna: the cable" in cli.show_alarms(again.keeper.list_alarms(), table)
    history = {alarm["id"]: alarm for alarm in again.stores.alarms.page(10)}
    assert history[ais["id"]]["cleared_ms"] and not history[los["id"]]["cleared_ms"] and history[los["id"]]["acked"]["by"] == "anna"
    folded = TrailFolds()
    folded.alarms, folded.changes = {}, []
    for line in again.turns.journal.read_text(encoding="utf-8").splitlines():
        fold(folded, json.loads(line))
    assert {number: module.of_journal(row) for number, row in folded.alarms.items()} == {left["id"]: {**left, "all_members": left["all_members"]}}
    again.die()


def test_an_acknowledged_alarm_with_a_new_member_is_nobody_s_by_the_journal_too(tmp_path):
    house = House(tmp_path, None)
    house.spans = {span: {"crc4": True} for span in range(1, 9)}
    house.alarms = {span: ["los"] for span in range(1, 6)}
    house.run(10)
    (los,) = house.keeper.alarms.active()
    house.keeper.turns.post({"record": "alarm.acknowledged", "data": {"alarm": los["id"], "by": "anna", "note": None}})
    house.keeper.alarms.acknowledge(los["id"], {"by": "anna", "ts_ms": house.now_ms, "note": None})
    house.alarms[6] = ["los"]
    house.run(10)
    assert los["acked"] is None and len(los["members"]) == 6
    house.die()
    again = House(tmp_path, None, house.now_ms + 3000)
    assert [(row["members"], row["acked"]) for row in again.keeper.alarms.active()] == [(los["members"], None)]
    again.die()


def test_alarms_of_a_database_of_before_are_told_to_the_journal(tmp_path):
    house = House(tmp_path, None)
    house.alarms = {1: ["los"]}
    house.run(10)
    (alarm,) = house.keeper.alarms.active()
    with house.stores.database.transaction():
        house.stores.machines.save("chassis.alarms", {"alarms": [alarm], "last_id": 1})
    house.die()
    house.turns.journal.unlink()
    again = House(tmp_path, None, house.now_ms)
    again.alarms = {1: ["los"]}
    assert again.run(10) == [("los", ["span 1"])]
    (told,) = again.turns.posted
    assert (told["record"], told["data"]["alarm"], told["data"]["raised_ms"]) == ("alarm.raised", alarm["id"], alarm["raised_ms"])
    again.die()
    third = House(tmp_path, None, again.now_ms)
    assert third.stores.machines.load("chassis.alarms") is None and [row["raised_ms"] for row in third.keeper.alarms.active()] == [alarm["raised_ms"]]
    third.die()


def test_a_look_that_comes_late_raises_no_alarm_of_a_span_that_is_gone(house):
    house.alarms = {1: {"los"}, 2: {"los"}}
    house.spans = {1: {"crc4": True}, 2: {"crc4": True}}
    house.loops = {2: {"kind": "remote", "timeslot": None, "by": "us", "since_ms": 0}}
    house.run(0.4)
    house.keeper.configure({"spans": [{"span": 1, "enabled": True}]}, house.now_ms)
    house.run(0.2)                                  # the framers' thread was in the middle of one
    del house.spans[2]
    assert house.run(20) == [("los", ["span 1"])]
    house.keeper.configure({"spans": [{"span": n, "enabled": True} for n in (1, 2)]}, house.now_ms)
    house.spans[2] = {"crc4": True}
    assert {kind for kind, members in house.run(10) if "span 2" in members} == {"los", "looped"}
