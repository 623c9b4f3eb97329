"""The control process around the core: commit before effect, restart, faults."""

import asyncio
import socket
import sqlite3
import statistics
import threading
import time

import pytest

from firmware import __main__ as supervisor, sockets
from firmware.control import __main__ as control, checkpoints, core_recovery, turns
from firmware.errors import LocalError
from firmware.storage import checkpoint
from firmware.storage.recordings import settle
from firmware.storage.set_aside import MOST, SetAside


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario, 20))


async def until(condition):
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("waited in vain")


def abandon(house):
    """What kill -9 leaves: nothing is closed in order."""
    house._server.should_exit = house._server.force_exit = True
    if house._timer:
        house._timer.cancel()


def test_an_event_is_committed_before_it_has_an_effect(site):
    async def scenario():
        house, media, legs = site.house()
        await house.start()
        reader = house.database.reader()

        def kinds():
            return [row[0] for row in reader.execute("SELECT kind FROM journal WHERE call = 'c1'")]
        seen_at_flush = []
        flush = legs.flush
        legs.flush = lambda: (seen_at_flush.append(kinds()), flush())
        legs.offer("l1", caller="139", called="021")
        assert seen_at_flush == [["leg.offered"]]
        assert [action["do"] for action in legs.did] == ["leg.answer"]
        await until(lambda: len(media.commands) == 3)
        assert media.commands[0][0] == "tones"
        del media.commands[0]
        assert media.commands[0][0] == "signal" and media.commands[0][1]["items"][0]["file"].endswith("greeting.wav")
        assert media.commands[1][0] == "record" and media.commands[1][1]["path"] == str(site.data / "recordings/a.wav")
        assert house.stores.recordings.of_call("c1")[0]["state"] == "recording"
        await house.stop()
    run(scenario())


def test_repeated_events_of_media_are_taken_once_and_acknowledged(site):
    async def scenario():
        house, media, legs = site.house()
        await house.start()
        legs.offer("l1")
        event = {"event": 5, "kind": "digit", "id": "l1", "digit": "1", "duration_ms": 80, "tick_ms": 1}
        house.media._event(event)
        house.media._event(event)
        house.media._event(dict(event, event=6, kind="record_closed", id="r1", octets=800, duration_ms=50))
        await until(lambda: media.acks == [6])
        assert [e["kind"] for e in house.switchboard.seen].count("media.digit") == 1
        assert house.stores.recordings.get("r1")["state"] == "closed"
        abandon(house)
        house.database.close()
        house, media, legs = site.house()
        await house.start()
        house.media._event(event)
        assert not [e for e in house.switchboard.seen if e["kind"] == "media.digit"]
        await house.stop()
    run(scenario())


def test_a_restart_replays_and_resumes(site):
    async def scenario():
        house, media, legs = site.house()
        await house.start()
        epoch = house.epoch
        legs.offer("l1", caller="139", called="021")
        abandon(house)
        house.database.close()
        media.standing["terminations"] = [{"id": "l1"}]
        house, _, legs = site.house(media, alive={"l1": {"state": "answered"}})
        assert house.switchboard.calls == {"c1": "l1"} and house.epoch > epoch
        await house.start()
        assert house.switchboard.resumed == (media.standing, {"l1": {"state": "answered"}})
        assert not [e for e in house.switchboard.seen if e["kind"] == "media.lost"]
        await house.command({"kind": "command.hangup", "call": "c1"})
        assert house.stores.cdrs.get("c1")["cause"] == 16 and house.stores.cdrs.get("c1")["caller"] == "139"
        legs.offer("l2")
        assert "c2" in house.switchboard.calls
        await house.stop()
    run(scenario())


def test_a_restart_of_both_clears_what_media_held(site):
    async def scenario():
        house, media, legs = site.house()
        await house.start()
        legs.offer("l1")
        abandon(house)
        house.database.close()
        media.boot_id = "boot2"
        house, _, legs = site.house(media)
        await house.start()
        assert house.stores.cdrs.get("c1")["cause"] == 41
        await until(lambda: house.stores.recordings.get("r1")["state"] == "failed")
        kinds = [e["kind"] for e in house.switchboard.seen]
        assert kinds[0] == "media.lost" and kinds[-1] == "media.back"
        await house.stop()
    run(scenario())


def test_media_lost_and_back(site):
    async def scenario():
        house, media, legs = site.house()
        await house.start()
        legs.offer("l1")
        media.die("boot2")
        assert house.stores.cdrs.get("c1")["cause"] == 41 and not house.health()["ok"]
        await until(lambda: house.media.serving)
        assert house.switchboard.seen[-1]["kind"] == "media.back" and house.health()["ok"]
        legs.offer("l2")
        await until(lambda: any(c[0] == "signal" and c[1]["id"] == "l2" for c in media.commands))
        await house.stop()
    run(scenario())


def test_a_start_without_media_serves_and_joins_it_later(site, monkeypatch):
    async def scenario():
        house, media, legs = site.house()
        media.absent = True
        await house.start()
        assert house.health()["faults"] == ["the media process is not there"]
        media.absent = False
        await until(lambda: house.media.serving)
        await house.stop()
    run(scenario())


def test_an_exception_costs_the_call_and_nothing_else(site, caplog):
    async def scenario():
        house, media, legs = site.house()
        await house.start()
        legs.offer("l1")
        legs.offer("l2")
        house.media._event({"event": 1, "kind": "digit", "id": "l1", "digit": "9", "tick_ms": 1})
        assert "'digit': '?'" in caplog.text and legs.dropped == ["l1"]
        assert house.stores.cdrs.get("c1")["cause"] == 41
        assert house.switchboard.calls == {"c2": "l2"} and house.turns.exceptions == 1
        fault, = house.health()["faults"]
        assert "set_aside.jsonl" in fault and "media.digit" in fault and "a fault in the core" in fault
        await house.stop()
        house, _, legs = site.house(media)          # a restart forgets nothing of it; the event does not come again
        await house.start()
        row, = house.stores.set_aside.rows()
        assert row["what"]["digit"] == "?" and row["where"][-1].startswith("conftest.py") and house.health()["faults"] == [fault]
        house.stores.set_aside.clear()
        assert house.health()["ok"] and (site.data / "set_aside.jsonl.seen").exists()
        await house.stop()
    run(scenario())


def test_a_command_whose_handling_fails_is_not_called_done(site):
    async def scenario():
        house, media, legs = site.house()
        await house.start()
        house.switchboard.handle = lambda event, now_ms: 1 / 0
        with pytest.raises(LocalError, match="fault of ours") as caught:
            await house.command({"kind": "agent.status", "agent": "1001", "status": "available"})
        assert caught.value.status == 500
        await house.stop()
    run(scenario())


def test_a_flood_of_faults_is_counted_and_the_first_are_kept(tmp_path):
    kept = SetAside(str(tmp_path))
    for number in range(MOST + 50):
        kept.put("event", {"kind": "x", "deep": number, "odd": {(1, 2): b"\xff"}}, "why \ud800" * 9000)
    assert kept.count == MOST + 50 and "%d things" % (MOST + 50) in kept.faults()[0] and len(kept.faults()[0]) < 1000
    again = SetAside(str(tmp_path))
    assert again.count <= MOST and again.rows()[0]["what"]
    (tmp_path / "set_aside.jsonl").write_bytes(b"no json\n[1]\n\xff\n")
    assert SetAside(str(tmp_path)).count == 0
    blocked = SetAside(str(tmp_path / "nowhere"))
    blocked.put("event", "x", ValueError("y"))
    assert "ValueError: y" in blocked.faults()[0] and len(blocked.rows()) == 1


def test_one_call_or_adapter_that_cannot_be_healed_costs_no_other(site, monkeypatch):
    async def scenario():
        house, media = site.whole()
        await house.start()
        for number in range(3):
            house.turns.handle({"kind": "leg.offered", "leg": "p%d" % number, "tech": "pri", "trunk_group": "carrier", "span": 1, "timeslot": 1 + number,
                                "caller": "139", "called": "02150801000", "called_complete": True})
        await until(lambda: len(house.state()["calls"]) == 3)
        for task in house._tasks:
            task.cancel()
        abandon(house)
        house.database.close()
        media.standing["terminations"] = [{"id": "p%d" % number} for number in range(3)]
        heal, healed = core_recovery._call, []

        def broken(core, call, audit, live):
            if call.caller_leg == "p1":
                raise KeyError("a fault in healing")
            healed.append(call.caller_leg)
            return heal(core, call, audit, live)
        monkeypatch.setattr(core_recovery, "_call", broken)
        house, media = site.whole(media)
        house.adapters[0].live_legs = lambda: {"p%d" % number: {"state": "answered"} for number in range(3)}
        house.adapters[-1].resume = lambda now_ms: 1 / 0
        await house.start()
        assert healed == ["p0", "p2"] and [call["legs"][0]["leg"] for call in house.state()["calls"] if call["state"] != "clearing"] == ["p0", "p2"]
        assert len(house.turns.after_commit) >= 3 and "2 things" in house.health()["faults"][0]
        house.turns.handle({"kind": "agent.status", "agent": "1001", "status": "on_break"})
        await house.stop()
    run(scenario())


def test_a_turn_that_cannot_be_written_for_another_reason_is_kept_for_the_next_process(site):
    async def scenario():
        house, media, legs = site.house()
        await house.start()

        def refuse():
            raise sqlite3.ProgrammingError("a fault of ours")
        house.database.transaction = refuse
        legs.offer("l1", caller="139", called="021")
        house.switchboard.out[0].append({"kind": "x", "ts_ms": 1, "call": None, "leg": None, "agent": None, "queue": None, "data": {(1, 2): 3}})
        house.media._event({"event": 7, "kind": "digit", "id": "l1", "digit": "1", "tick_ms": 1})
        assert house.turns.hopeless and legs.did and not house.health()["ok"]
        abandon(house)
        house.database.close()
        house, _, legs = site.house(media, alive={"l1": {"state": "answered"}})
        assert house.switchboard.calls == {"c1": "l1"}
        assert not house.stores.inbox.is_new("media", media.boot_id, 7)     # it was acknowledged, and what came of it is here
        assert "x" in house.stores.set_aside.faults()[0]                    # what no file takes is named
        await house.start()
        assert [r["leg"] for r in house.stores.journal.everything() if r["kind"] == "leg.offered"] == ["l1"]
        await house.stop()
    run(scenario())


def test_a_checkpoint_that_fails_does_not_keep_the_next_from_being_made(site, monkeypatch):
    monkeypatch.setattr(checkpoints, "RECORDS", 5)
    monkeypatch.setattr(checkpoints, "AGAIN_S", 0)

    async def scenario():
        house, media, legs = site.house()
        await house.start()
        whole = house.switchboard.whole
        house.switchboard.whole = lambda now_ms: 1 / 0
        for number in range(6):
            legs.offer("l%d" % number)
        assert house.turns.exceptions and not house.checkpoints.busy
        house.switchboard.whole = whole
        before = house.stores.journal.last_seq()
        for number in range(6, 12):
            legs.offer("l%d" % number)
        await until(lambda: not house.checkpoints.busy and len(list(house.stores.journal.replay())) < 12 + before)
        assert next(iter(house.stores.journal.replay()))["seq"] > before
        await house.stop()
    run(scenario())


def test_a_task_that_dies_is_said_and_one_for_ever_begins_anew(site, monkeypatch):
    from firmware.control import house as module
    monkeypatch.setattr(module, "AGAIN_S", 0)

    async def scenario():
        house, media, legs = site.house()
        look, calls = house.lookout._disk, []

        def disk():
            calls.append(1)
            if len(calls) == 1:
                raise KeyError("a fault of the lookout")
            return look()
        house.lookout._disk = disk
        from firmware.control import lookout
        monkeypatch.setattr(lookout, "LOOK_S", 0.01)
        await house.start()

        async def dies():
            raise ValueError("unheard")
        house.spawn(dies())
        await until(lambda: len(calls) > 1)
        assert {row["error"] for row in house.stores.set_aside.rows()} == {"KeyError: 'a fault of the lookout'", "ValueError: unheard"}
        await house.stop()
    run(scenario())


def test_a_disk_that_refuses_does_not_stop_calls_and_loses_no_record(site):
    async def scenario():
        house, media, legs = site.house()
        await house.start()
        transaction = house.database.transaction

        def refuse():
            raise sqlite3.OperationalError("database or disk is full")
        house.database.transaction = refuse
        legs.offer("l1")
        assert legs.did and not house.health()["ok"] and "full" in house.health()["faults"][0]
        house.database.transaction = transaction
        legs.offer("l2")
        assert house.health()["ok"]
        assert [r["leg"] for r in house.stores.journal.everything() if r["kind"] == "leg.offered"] == ["l1", "l2"]
        await house.stop()
    run(scenario())


def test_records_that_are_given_up_are_counted_and_said_once(site, monkeypatch, caplog):
    monkeypatch.setattr(turns, "WAITING_RECORDS", 5)

    async def scenario():
        house, media, legs = site.house()
        await house.start()
        transaction = house.database.transaction

        def refuse():
            raise sqlite3.OperationalError("database or disk is full")
        house.database.transaction = refuse
        for number in range(8):
            legs.offer("l%d" % number)
        assert house.health()["turns"]["lost_records"] == 3 and any("3 records are lost" in fault for fault in house.health()["faults"])
        assert sum("are LOST" in entry.message for entry in caplog.records) == 1
        house.database.transaction = transaction
        house.turns.try_again()
        assert [r["leg"] for r in house.stores.journal.everything() if r["kind"] == "leg.offered"] == [
            "l3", "l4", "l5", "l6", "l7"]
        await house.stop()
    run(scenario())


def test_a_repeated_event_whose_acknowledgement_fails_costs_no_turn(site):
    async def scenario():
        house, media, legs = site.house()
        await house.start()

        def broken():
            raise ZeroDivisionError("a fault in an acknowledgement")
        for _ in range(2):
            house.turns.run("x", lambda now_ms: None, source=("media", "b", 1), done=broken)
        assert house.turns.exceptions == 2
        await house.stop()
    run(scenario())


def test_a_run_folder_too_long_for_unix_sockets_is_said(tmp_path, monkeypatch, capsys):
    most = sockets.UNIX_PATH_OCTETS - len(sockets.LONGEST_NAME)
    folder = "/" + "x" * (most - 1)
    sockets.check_folder(folder)
    with pytest.raises(OSError), socket.socket(socket.AF_UNIX) as sock:     # bound: only the folder is missing
        sock.connect(folder + sockets.LONGEST_NAME)
    monkeypatch.setenv("STROWGER_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("STROWGER_RUN", folder + "y")
    assert supervisor.main() == 2 and control.main() == 78
    assert capsys.readouterr().err.count("too long for a Unix socket") == 2
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_that_nobody_writes_does_not_stay(tmp_path):
    empty, some = tmp_path / "a.wav", tmp_path / "b.wav"
    empty.write_bytes(b"")
    some.write_bytes(b"RIFF")
    assert settle(str(empty)) == (0, 0) == settle(str(some)) == settle(str(tmp_path / "c.wav"))
    assert [path.name for path in tmp_path.iterdir()] == ["b.wav"]


def test_a_turn_costs_the_same_however_many_calls_are_up(site):
    async def scenario():
        house, media, legs = site.house()
        await house.start()
        spent = []
        for number in range(800):
            began = time.thread_time()
            legs.offer("l%d" % number)
            spent.append(time.thread_time() - began)
        assert statistics.median(spent[600:]) < 3 * statistics.median(spent[20:120])
        await house.stop()
    run(scenario())


def test_what_cannot_be_written_costs_one_record_and_nothing_else(site, caplog):
    """Text of the far end, then what only a fault of ours could bring into a record, a CDR or a dump."""
    async def scenario():
        house, media, legs = site.house()
        await house.start()
        legs.offer("l1", caller="13\ud8009", called="021")
        record = [r for r in house.stores.journal.everything() if r["kind"] == "leg.offered"][0]
        assert record["data"]["caller"] == "13?9" and not house.health()["faults"]
        assert "\ud800" not in repr(house.switchboard.seen)

        core, now = house.switchboard, house.clock.now_ms()
        for broken in ({"kind": "x", "ts_ms": now, "agent": "\ud83d", "data": {"a": ["\udfff", b"\xff", {1, 2}]}},
                       {"kind": "lost", "ts_ms": 1 << 70, "data": {}}, {"kind": "lost", "ts_ms": now, "data": {"a": {(1, 2): 3}}},
                       {"no": "kind"}):
            core.out[0].append({"call": None, "leg": None, "agent": None, "queue": None, "kind": None, "data": {}, "ts_ms": now, **broken})
        save = legs.save
        legs.dirty, legs.save = lambda: True, lambda stores: 1 / 0
        legs.offer("l2")
        legs.save = save
        legs.dirty = lambda: False
        written = list(house.stores.journal.everything())
        assert [r for r in written if r["kind"] == "x"][0]["agent"] == "?"
        assert written[-1]["kind"] == "leg.offered" and written[-1]["leg"] == "l2"
        assert "is LOST" in caplog.text and "state of fake cannot be written" in caplog.text.replace(legs.name, "fake")
        rows = house.stores.set_aside.rows()
        assert [row["matter"] for row in rows] == ["record"] * 3 + ["state"] and [fault for fault in house.health()["faults"] if "4 things" in fault]
        assert house.feed.last_seq == written[-1]["seq"]
        await house.command({"kind": "command.hangup", "call": "c1"})
        assert house.stores.cdrs.get("c1")["caller"] == "13?9"
        await house.stop()
    run(scenario())


def test_commits_that_fail_for_another_reason_end_the_process(site, monkeypatch):
    from firmware.control import lookout as module
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    monkeypatch.setattr(module, "HOPELESS_S", 0.05)

    async def scenario():
        house, media, legs = site.house()
        await house.start()

        def refuse():
            raise sqlite3.ProgrammingError("cannot operate on a closed database")
        house.database.transaction = refuse
        legs.offer("l1")
        await asyncio.wait_for(house.again.wait(), 5)
        await house.stop()
    run(scenario())


def test_the_followers_are_woken_while_the_disk_refuses_and_commands_say_so(site, monkeypatch):
    from firmware.control import feed, lookout as module
    monkeypatch.setattr(module, "LOOK_S", 0.05)
    monkeypatch.setattr(feed, "TROUBLE_S", 0.05)

    async def scenario():
        house, media, legs = site.house()
        await house.start()
        news = asyncio.ensure_future(house.feed.wait(house.feed.last_seq, 10))
        await asyncio.sleep(0)
        transaction = house.database.transaction

        def refuse():
            raise sqlite3.OperationalError("database or disk is full")
        house.database.transaction = refuse
        with pytest.raises(LocalError, match="Free space") as caught:
            await house.command({"kind": "agent.status", "agent": "1001", "status": "available"})
        assert caught.value.status == 503
        assert await asyncio.wait_for(news, 1) is False             # told when the fault came
        assert await asyncio.wait_for(house.feed.wait(house.feed.last_seq, 10), 1) is False     # and again and again
        seq = house.feed.last_seq
        house.database.transaction = transaction
        await until(lambda: not house.turns.fault)                  # written without any event from outside
        assert house.feed.last_seq > seq and not house.again.is_set()
        await house.command({"kind": "agent.status", "agent": "1001", "status": "on_break"})
        await house.stop()
    run(scenario())


def test_counters_of_a_failed_commit_are_written_by_the_next(site):
    async def scenario():
        house, media, legs = site.house()
        await house.start()
        append = house.stores.counters.save

        def save():
            append()
            raise sqlite3.OperationalError("database or disk is full")
        house.stores.counters.save = save
        legs.offer("l1")
        house.stores.counters.save = append
        house.turns.try_again()
        assert dict(house.database.write.execute("SELECT name, value FROM counter"))["c"] == 1
        await house.stop()
    run(scenario())


def test_recordings_that_nobody_closes_are_closed_in_the_index(site, monkeypatch):
    from firmware.control import lookout as module
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    monkeypatch.setattr(module, "LEFT_OPEN_LOOKS", 2)

    async def scenario():
        house, media, legs = site.house()
        with house.database.transaction():
            house.stores.recordings.started("r77", "c77", "recordings/gone.wav", 1)     # left by a life before
        await house.start()
        await until(lambda: house.stores.recordings.get("r77")["state"] == "failed")
        legs.offer("l1")
        await asyncio.sleep(0.1)
        assert house.stores.recordings.get("r1")["state"] == "recording"                # the call stands
        await house.command({"kind": "command.hangup", "call": "c1"})
        await until(lambda: house.stores.recordings.get("r1")["state"] == "failed")     # media never said a word
        await house.stop()
    run(scenario())


def test_a_checkpoint_is_written_beside_the_turns_and_replayed_before_what_came_meanwhile(site, monkeypatch):
    monkeypatch.setattr(checkpoints, "RECORDS", 5)
    packed, go = threading.Event(), threading.Event()

    def pack(data):
        packed.set()
        assert go.wait(10)
        return checkpoint.pack(data)
    monkeypatch.setattr(checkpoints, "pack", pack)

    async def scenario():
        house, media, legs = site.house()
        await house.start()
        for number in range(3):
            legs.offer("l%d" % number)
        await until(packed.is_set)
        legs.offer("l3")                        # while the thread works
        house.turns.handle({"kind": "leg.released", "leg": "l0", "cause": 16, "by": "far"})
        before = house.stores.journal.last_seq()
        go.set()
        await until(lambda: house.stores.journal.last_seq() > before and not house.checkpoints.busy)
        rows = list(house.stores.journal.replay())
        assert [row["kind"] for row in rows] == ["core.checkpoint", "leg.offered", "call.clearing", "call.ended"]
        assert len(rows[0]["data"]["state"]) == 3 and rows[0]["seq"] == before + 1
        calls = dict(house.switchboard.calls)
        abandon(house)
        house, media, legs = site.house(media)
        assert house.switchboard.calls == calls and sorted(calls.values()) == ["l1", "l2", "l3"]
        assert house.stores.cdrs.rebuild(house.stores.journal) == []
        house.database.close()
    run(scenario())
