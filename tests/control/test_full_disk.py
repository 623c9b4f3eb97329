"""A disk that fills up under a call: a file system of its own, filled and freed.  Core, Q.931 and SIP are real."""

import asyncio
import contextlib
import json
import shutil
import subprocess

import pytest

from firmware.control import lookout
from firmware.storage.recordings import has_room
from firmware.storage.reserved_file import FIRST, ReservedFile
from firmware.storage.stores import Stores
from firmware.storage.unwritten import GAP, NAME
from tests.control import test_pri_call as pri
from tests.control.test_sip_legs import standing, talking, until


@pytest.fixture
def disk(site, monkeypatch):
    """The data directory on 16 MB; fill() and free()."""
    aside = site.data.with_name("aside")
    shutil.copytree(site.data, aside)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", site.data], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    shutil.copytree(aside, site.data, dirs_exist_ok=True)
    monkeypatch.setattr(lookout, "RECORD_AGAIN_LOOKS", 1)
    monkeypatch.setattr(lookout, "ROOM_OCTETS", 1 << 20)
    monkeypatch.setattr(lookout, "LOOK_S", 0.05)
    yield Disk(site.data)
    subprocess.run(["umount", "-l", site.data], check=False)


class Disk:
    def __init__(self, folder):
        self.folder = folder
        self.filler = folder / "filler"

    def fill(self):
        with open(self.filler, "ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    def free(self):
        self.filler.unlink()


def test_room_is_what_can_be_written(disk):
    folder = disk.folder / "recordings"
    assert has_room(str(folder), 1 << 20) and list(folder.iterdir()) == []
    assert not has_room(str(folder), 1 << 30)
    disk.fill()
    assert not has_room(str(folder), 0)
    assert not has_room(str(disk.filler), 0)


def test_a_recording_that_failed_goes_on_as_a_new_segment(site, disk):
    async def scenario():
        house, media, far, call, phone, invite = await talking(site)
        first = media.of("record")[0]
        disk.fill()
        media.standing["recordings"].clear()
        media.event("record_failed", first["id"], error="No space left on device")
        await until(lambda: house.turns.fault)
        assert any("recorded again" in fault for fault in house.health()["faults"])
        await asyncio.sleep(0.3)
        assert len(media.of("record")) == 1 and house.state()["calls"][0]["state"] == "talking"
        disk.free()
        await until(lambda: len(media.of("record")) == 2 and house.health()["ok"])
        second = media.of("record")[1]
        assert second["path"] != first["path"] and (second["left"], second["right"]) == (first["left"], first["right"])
        assert house.state()["calls"][0]["recording"] == second["id"]
        far.request("disconnect_request", call, cause=16)
        phone.answer(await phone.receive("BYE"), "200 OK", contact=False)
        await until(lambda: house.stores.cdrs.page(1))
        assert house.stores.cdrs.page(1)[0]["recording"] == [first["id"], second["id"]]
        rows = house.stores.recordings.of_call(house.stores.cdrs.page(1)[0]["call"])
        assert [row["state"] for row in rows] == ["failed", "closed"]
        assert house.turns.exceptions == 0
        await house.stop()
    pri.run(scenario())


def test_a_hang_up_on_a_full_disk_seizes_nothing_and_its_cdr_comes_later(site, disk):
    async def scenario():
        house, media, far, call, phone, invite = await talking(site)
        disk.fill()
        far.request("disconnect_request", call, cause=16)
        phone.answer(await phone.receive("BYE"), "200 OK", contact=False)
        await until(lambda: not house.state()["calls"])
        for _ in range(5):
            await pri.settle()
            far.exchange()
        assert "cannot be written" in house.turns.fault and far.machine.calls() == []
        await until(lambda: not media.standing["terminations"] and not media.standing["bridges"])
        state = house.state()
        assert [slot["state"] for slot in state["spans"][0]["timeslots"]].count("busy") == 0
        assert state["trunk_groups"][0]["seized"] == 0
        assert house.stores.cdrs.page(1) == []
        disk.free()
        await until(lambda: house.stores.cdrs.page(1) and not house.turns.fault)
        cdr = house.stores.cdrs.page(1)[0]
        assert (cdr["result"], cdr["cause"], cdr["released_by"]) == ("answered", 16, "caller")
        assert house.stores.machines.names("sip-leg/") == [] and house.stores.machines.names("q931/1/") == []
        assert house.stores.cdrs.rebuild(house.stores.journal) == [] and house.turns.exceptions == 0
        await house.stop()
    pri.run(scenario())


def test_a_kill_on_a_full_disk_loses_no_call_and_no_number(site, disk):
    async def scenario():
        house, media, far, first, phone, invite = await talking(site)
        disk.fill()
        far.request("disconnect_request", first, cause=16)
        phone.answer(await phone.receive("BYE"), "200 OK", contact=False)
        await until(lambda: not house.state()["calls"])
        far.exchange()
        far.call()
        await pri.settle()
        far.exchange()
        before = house.state()["calls"][0]
        assert before["call"] == "c2" and house.turns.fault and not house.stores.unwritten.failed
        for round in ("on the full disk", "with room again"):
            pri.kill(house)
            if round == "with room again":
                disk.free()
            house, media, _ = await standing(site, media)
            far.house = house
            far.exchange()
            after = house.state()["calls"]
            assert [(row["call"], row["legs"][0]["leg"]) for row in after] == [("c2", before["legs"][0]["leg"])], round
            assert bool(house.turns.fault) == (round == "on the full disk")
            assert [far.machine.call_state(call)["state"] for call in far.machine.calls()] == ["N10_ACTIVE"]
        assert house.stores.unwritten.file.read() == ([], False)
        assert house.stores.cdrs.page(5)[0]["call"] == "c1" and house.stores.cdrs.page(5)[0]["result"] == "answered"
        far.request("disconnect_request", far.machine.calls()[0], cause=16)
        await until(lambda: (far.exchange(), len(house.stores.cdrs.page(5)) == 2)[1])
        third = far.call()
        await pri.settle()
        assert house.state()["calls"][0]["call"] == "c3" and third
        assert house.stores.cdrs.rebuild(house.stores.journal) == [] and house.turns.exceptions == 0
        await house.stop()
    pri.run(scenario())


def test_without_the_run_directory_no_id_that_media_holds_comes_again(site, disk):
    async def scenario():
        house, media, far, first, phone, invite = await talking(site)
        media.standing["recordings"] = [{"id": "r77", "path": "/x/c55-r77.wav"}]
        media.standing["bridges"].append("b9")
        pri.kill(house)
        house, media, _ = await standing(site, media)
        assert [house.stores.counters.value(kind) for kind in "crb"] >= [55, 77, 9]
        await house.stop()
    pri.run(scenario())


def test_one_disk_for_everything_takes_hundreds_of_turns_and_an_unknown_call_is_cleared(site, disk, monkeypatch):
    """Run and data directory on one file system; then a kill, then one after turns that found no room."""
    async def scenario():
        inside = disk.folder / "run"
        house, media, far, first, phone, invite = await talking(site)
        waiting = house.stores.unwritten
        waiting.path = waiting.file.path = inside / NAME
        waiting._clear()
        disk.fill()
        for number in range(300):
            house.turns.handle({"kind": "agent.pause", "agent": "1001", "on": bool(number % 2)})
            house.stores.counters.next("r")
            house.turns.try_again()
        assert house.turns.fault and not waiting.failed and waiting.file.end > 300 * 20
        far.request("disconnect_request", first, cause=16)
        phone.answer(await phone.receive("BYE"), "200 OK", contact=False)
        await until(lambda: not house.state()["calls"])
        far.exchange()
        monkeypatch.setattr(waiting.file, "append", lambda *row: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        far.call()
        await pri.settle()
        far.exchange()
        number = house.stores.counters.value("c")
        assert number == 2 and waiting.failed and any("restart of the control" in fault for fault in house.health()["faults"])
        assert [far.machine.call_state(call)["state"] for call in far.machine.calls()] == ["N10_ACTIVE"]
        pri.kill(house)
        shutil.copy(inside / NAME, site.run / NAME)
        disk.free()
        house, media, _ = await standing(site, media)
        far.house = house
        assert any("timeslot 5 of span 1" in fault for fault in house.health()["faults"])
        for _ in range(5):
            far.exchange()
            await pri.settle()
        assert house.stores.counters.value("c") > GAP and house.stores.cdrs.page(5)[0]["call"] == "c1"
        assert not media.standing["terminations"] and far.machine.calls() == []
        far.call()
        await pri.settle()
        assert int(house.state()["calls"][0]["call"][1:]) > GAP and house.turns.exceptions == 0
        await house.stop()
    pri.run(scenario())


def frames(folder, after, more=1):
    """The file of an earlier process, as octets."""
    file = ReservedFile(folder / NAME)
    file.path.unlink(missing_ok=True)
    file.reserve(1 << 20)
    rows = [{"serial": 1, "after": after}] + [{"records": [], "machines": {}, "counters": {"c": 9 + number}, "inbox": [],
                                               "outbox": [], "recordings": None} for number in range(more)]
    for row in rows:
        file.append(json.dumps(row).encode(), 1 << 20)
    return file.path.read_bytes(), file.end


def test_what_is_not_whole_is_said_and_no_id_comes_again(tmp_path, caplog):
    other, _ = frames(tmp_path, 7)
    whole, end = frames(tmp_path, 0, 2)
    torn = whole[:end - 20] + bytes(len(whole) - end + 20)      # the last body is damaged
    unfinished = frames(tmp_path, 0, 1)
    unfinished = unfinished[0][:unfinished[1] + 12] + b"a body whose head was never written" + bytes(99)
    cases = (("whole", whole, 10, None), ("unfinished", unfinished, 9, None), ("empty", b"", GAP, "it is empty"),
             ("other", other, GAP, "another journal"), ("short", whole[:end + 3], GAP, "cut short"),
             ("damaged", torn, GAP, "is damaged"), ("foreign", b"\xff{\n", GAP, "does not begin"),
             ("lossy", whole[:FIRST - 1] + b"L" + whole[FIRST:], 10 + GAP, "found no room"))
    for name, octets, value, sentence in cases:
        (tmp_path / NAME).write_bytes(octets)
        (tmp_path / name).mkdir()
        caplog.clear()
        stores = Stores(str(tmp_path / name), tmp_path)
        assert stores.counters.value("c") == value, name
        said = [row.getMessage() for row in caplog.records if row.levelname == "ERROR"]
        assert (said == []) if sentence is None else (len(said) == 1 and sentence in said[0] and "New ids" in said[0]), (name, said)
        stores.database.close()
    assert (tmp_path / NAME).stat().st_size >= 1 << 16


def test_a_disk_with_little_room_and_a_recording_without_an_octet_are_faults(site, disk, monkeypatch):
    async def scenario():
        house, media, _ = await standing(site)
        monkeypatch.setattr(lookout, "ROOM_OCTETS", 64 << 20)
        await until(lambda: any("less than 64 MiB" in fault for fault in house.health()["faults"]))
        monkeypatch.setattr(lookout, "ROOM_OCTETS", 1 << 20)
        await until(lambda: house.health()["ok"])
        with house.database.transaction():
            house.stores.recordings.started("r5", "c5", "recordings/none.wav", 0)
        monkeypatch.setattr(lookout, "LEFT_OPEN_LOOKS", 2)
        await until(lambda: house.stores.recordings.get("r5")["state"] == "failed")
        assert any("r5 holds nothing" in fault for fault in house.health()["faults"])
        await house.stop()
    pri.run(scenario())
