"""Retention, export and erasure through a house: figures stay and are checked, a person is gone, a kill in the middle costs nothing."""

import asyncio
import csv
import io
import json
import os
import types

import pytest

from firmware.control import keeping
from firmware.control.client import ControlClient, ControlError
from firmware.control.desk import Desk
from firmware.control.keeping import Keeping
from firmware.storage import erasure, personal, retention
from firmware.storage.drawing import tiff
from firmware.storage.journal import Journal
from tests.control.test_house import abandon

DAY_MS = 86_400_000
PERSON, OTHER = "13912345678", "13800001111"


class Later:
    """The house's clock, put forward."""

    def __init__(self, clock):
        self.clock, self.ahead_ms = clock, 0

    def now_ms(self):
        return self.clock.now_ms() + self.ahead_ms


async def started(site, media=None, ahead_ms=-45 * DAY_MS, desk=False):
    house, media = site.whole(media)
    house.desk = Desk(house) if desk else None
    clock = Later(house.clock)
    clock.ahead_ms = ahead_ms
    house.clock = house.turns.clock = clock
    if desk:
        for adapters in (house.adapters, house.turns.adapters):
            adapters.append(house.desk)
    await house.start()
    return house, media, clock


def call(house, leg, caller=PERSON, wait_ms=0, end=True):
    """A caller comes into the IVR, chooses the queue, waits, gives up."""
    house.turns.handle({"kind": "leg.offered", "leg": leg, "tech": "pri", "trunk_group": "carrier", "span": 1, "timeslot": 1 + int(leg[1:]) % 15, "caller": caller,
                        "called": "02150801000", "called_complete": True, "caller_name": "Li Wei"})
    house.turns.handle({"kind": "media.digit", "leg": leg, "digit": "1"})
    house.clock.ahead_ms += wait_ms
    if end:
        house.turns.handle({"kind": "leg.released", "leg": leg, "cause": 16, "by": "far"})


def differed(house):
    reader = house.database.reader()
    base = retention.base_of(reader)
    found = house.stores.figures.compare(reader, Journal(reader), base)
    reader.close()
    return found


def sums(house):
    return {part: sorted(tuple(row) for row in house.database.write.execute("SELECT * FROM figures_%s" % part)) for part in ("queues", "agents", "trunk_groups")}


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario, 60))


def fill(house, clock, days=43):
    """Calls over six weeks, some of them over a midnight; agents come and go."""
    number = 0
    for day in range(days):
        house.turns.handle({"kind": "agent.status", "agent": "1001", "status": ("available", "on_break")[day % 2]})
        number += 1
        call(house, "p%d" % number, (PERSON, OTHER)[number % 2], wait_ms=1000 + day * 777)
        call(house, "p%d" % (number + 1000), OTHER, wait_ms=DAY_MS - 1000 - day * 777)


def configure(house, **months):
    config = json.loads(json.dumps(house.config.running()))
    config["retention"] = {"journal_months": 1, "calls_months": 1, **months}
    return house.apply_configuration(config, config["revision"])


def test_old_rows_go_the_sums_stay_and_the_rest_can_be_checked(site, monkeypatch):
    monkeypatch.setattr(keeping, "FOLDED", 60)          # several bases
    monkeypatch.setattr(keeping, "SHARE", 1.0)

    async def scenario():
        house, media, clock = await started(site)
        fill(house, clock)
        await configure(house)
        before, rows = sums(house), list(house.stores.journal.everything())
        assert differed(house) == []
        assert retention.limit_of(house.database.write) < 10        # nothing goes that a start would replay
        await house.checkpoints.make()
        done = await house.keeping.prune()
        cutoff_ms = house.keeping.cutoff_ms(1)
        kept = list(house.stores.journal.everything())
        assert done["rows"] > 50 and done["cdrs"] > 10 and sums(house) == before
        assert kept[0]["ts_ms"] >= cutoff_ms > [row for row in rows if row["seq"] < kept[0]["seq"]][-1]["ts_ms"]
        assert [row for row in rows if row["ts_ms"] >= cutoff_ms] == kept[:-1] and kept[-1]["kind"] == "journal.pruned"
        assert min(cdr["ended_ms"] for cdr in house.stores.cdrs.page(500)) >= cutoff_ms
        assert differed(house) == [] and keys_without_a_row(house) == set() == rows_without_a_key(house)
        with house.database.transaction() as write:     # a fault in the kept range is found, one before it cannot be
            write.execute("UPDATE figures_queues SET queued = queued + 1 WHERE length = 86400 AND start_s = (SELECT max(start_s) FROM figures_queues WHERE length = 86400)")
        assert len(differed(house)) == 1
        with house.database.transaction():
            house.stores.figures.rebuild(house.stores.journal, retention.base_of(house.database.write))
        assert differed(house) == [] and sums(house) == before
        assert house.stores.cdrs.rebuild(house.stores.journal, retention.base_of(house.database.write)) == []
        assert await house.keeping.prune() == {"rows": 0, "cdrs": 0, "documents": 0}
        client = ControlClient(site.run)
        with pytest.raises(ControlError, match="The journal begins after") as caught:
            await asyncio.to_thread(lambda: next(client.stream_events(after=1)))
        assert caught.value.status == 410
        await house.stop()
        house, media, _ = await started(site, media, clock.ahead_ms)
        assert differed(house) == [] and house.keeping.gone_upto() == kept[0]["seq"] - 1
        assert (await asyncio.to_thread(client.post, "/v1/reports/check"))["differed"] == []
        await house.stop()
    run(scenario())


def rows_and_keys(house):
    """(keys that the journal, the CDRs and values name, keys that there are)."""
    read = house.database.write.execute
    texts = [text for query in ("SELECT data FROM journal WHERE kind <> 'core.checkpoint'", "SELECT caller || called || body FROM cdr",
                                "SELECT value FROM personal WHERE value IS NOT NULL") for text, in read(query).fetchall()]
    return {key for text in texts for key in personal.named(text or "")}, {key for key, in read("SELECT key FROM personal").fetchall()}


def rows_without_a_key(house):
    found, there = rows_and_keys(house)
    return found - there


def keys_without_a_row(house):
    """Values that nobody names any more, of calls that are pruned as a whole."""
    found, there = rows_and_keys(house)
    calls = dict(house.database.write.execute("SELECT key, call FROM personal").fetchall())
    kept = {call for call, in house.database.write.execute("SELECT DISTINCT call FROM journal")} - {None}
    return {key for key in there - found if calls[key] not in kept}


@pytest.mark.parametrize("dies_at", ["keep", "delete"])
def test_a_kill_in_the_middle_of_pruning_goes_on(site, monkeypatch, dies_at):
    monkeypatch.setattr(keeping, "FOLDED", 30)
    monkeypatch.setattr(keeping, "SHARE", 1.0)

    class Killed(Exception):
        pass

    async def scenario():
        house, media, clock = await started(site)
        fill(house, clock)
        await configure(house)
        await house.checkpoints.make()
        before, real, count = sums(house), getattr(retention, dies_at), []

        def dies(connection, *args):
            count.append(1)
            if len(count) == 3:
                raise Killed
            return real(connection, *args)
        monkeypatch.setattr(retention, dies_at, dies)
        with pytest.raises(Killed):
            await house.keeping.prune()
        monkeypatch.setattr(retention, dies_at, real)
        assert differed(house) == []
        for task in house._tasks:
            task.cancel()
        abandon(house)
        house.database.close()
        house, media, _ = await started(site, media, clock.ahead_ms)
        assert differed(house) == []
        await house.keeping.prune()
        assert differed(house) == [] and next(house.stores.journal.everything())["ts_ms"] >= house.keeping.cutoff_ms(1)
        assert keys_without_a_row(house) == set() == rows_without_a_key(house)
        assert {part: len(rows) for part, rows in sums(house).items()} == {part: len(rows) for part, rows in before.items()}
        await house.stop()
    run(scenario())


def everything(site):
    """All octets below the data directory, but the ring of signalling."""
    return {str(path): path.read_bytes() for path in site.data.rglob("*") if path.is_file() and "trace" not in path.parts}


def test_a_person_is_erased_everywhere_and_the_figures_stay(site):
    async def scenario():
        house, media, clock = await started(site, desk=True)
        client = ControlClient(site.run)
        for number in range(1, 13):
            call(house, "p%d" % number, (PERSON, OTHER, "0" + PERSON)[number % 3], wait_ms=3000)
        folder = site.data / "recordings/2026"
        folder.mkdir(parents=True)
        (folder / "c1-r99.wav").write_bytes(b"RIFF")
        mine = [cdr["call"] for cdr in house.stores.cdrs.page(50) if PERSON in cdr["caller"]]
        with house.database.transaction():
            house.stores.recordings.started("r99", mine[0], "recordings/2026/c1-r99.wav", 1)
        await asyncio.to_thread(client.post, "/v1/customers", {"name": "Li Wei", "numbers": [PERSON]})
        await asyncio.to_thread(client.post, "/v1/customers", {"name": "Anna", "numbers": ["13000000002"], "note": "married to %s, 1%s9" % (PERSON, OTHER)})
        others = next(cdr["call"] for cdr in house.stores.cdrs.page(50) if PERSON not in cdr["caller"])
        await asyncio.to_thread(client.post, "/v1/calls/%s/notes" % others, {"text": "ring back 0%s" % PERSON})
        for place in ("log/control.log", "strowger.db.damaged-20261122T000000Z"):
            (site.data / place).parent.mkdir(exist_ok=True)
            (site.data / place).write_bytes(b"\xff\0a call to 0%s cannot be sent, 1%s9 can\n" % (PERSON.encode(), OTHER.encode()))
        house.stores.set_aside.put("event", {"kind": "leg.offered", "caller": PERSON}, "a fault")
        call(house, "p50", PERSON, end=False)
        before, count = sums(house), house.database.write.execute("SELECT count(*) FROM journal").fetchone()[0]
        for body, status, words in (({"number": PERSON}, 422, "once more"), ({"number": "12", "confirm": "12"}, 422, "5 to 20"),
                                    ({"number": "02150801000", "confirm": "02150801000"}, 422, "number or line of this switch"),
                                    ({"number": PERSON, "confirm": PERSON}, 409, "in call"), ({}, 422, "confirm")):
            with pytest.raises(ControlError, match=words) as caught:
                await asyncio.to_thread(client.post, "/v1/erasures", body)
            assert caught.value.status == status
        house.turns.handle({"kind": "leg.released", "leg": "p50", "cause": 16, "by": "far"})
        before = sums(house)
        await asyncio.to_thread(client.post, "/v1/erasures", {"number": "+86" + PERSON, "confirm": "+86" + PERSON, "reason": "asked", "by": "boss"})
        await until_long(lambda: not house.switchboard.core.state.erasures and house.keeping.busy is None)
        done = [record["data"] for record in house.stores.journal.everything() if record["kind"] == "person.erased"]
        assert done[0]["files"] == 3 and (site.data / "log/control.log").read_bytes() == b"\xff\0a call to ************ cannot be sent, 1%s9 can\n" % OTHER.encode()
        assert house.stores.set_aside.rows()[0]["what"]["caller"] == "*" * 11
        house.stores.set_aside.clear()
        (site.data / "set_aside.jsonl.seen").unlink()
        (site.data / "strowger.db.damaged-20261122T000000Z").unlink()
        assert done[0]["calls"] == 9 and done[0]["recordings"] == 1 and done[0]["texts"] >= 1 and done[0]["records"] > 9
        assert sums(house) == before and differed(house) == [] and house.stores.cdrs.rebuild(house.stores.journal) == []
        assert len([cdr for cdr in house.stores.cdrs.page(50) if cdr["caller"] == "erased-e1"]) == 9
        assert not (folder / "c1-r99.wav").exists() and house.stores.recordings.get("r99") is None
        anna, = (await asyncio.to_thread(client.get, "/v1/customers"))["customers"]
        assert anna["note"] == "married to erased-e1, 1%s9" % OTHER, "what others' words say of the person"
        assert (await asyncio.to_thread(client.get, "/v1/calls/%s/desk" % others))["notes"][0]["text"] == "ring back erased-e1"
        told = await asyncio.to_thread(client.get, "/v1/calls/%s" % mine[0])
        assert PERSON not in json.dumps(told) and "Li Wei" not in json.dumps(told)
        assert PERSON not in json.dumps(list(house.stores.journal.replay()))
        assert all(row["caller"] == OTHER or row["caller"].startswith("erased") for row in house.stores.cdrs.page(50))
        await house.stop()
        held = [path for path, octets in everything(site).items() if PERSON.encode() in octets]
        assert held == [], "the number is still in %s" % held
        house, media, _ = await started(site, media, clock.ahead_ms)        # nothing of it disturbs a start
        assert differed(house) == [] and house.health()["faults"] == []
        call(house, "p60", PERSON)
        assert house.stores.cdrs.page(1)[0]["caller"] == PERSON             # who calls again is a new person
        await house.stop()
    run(scenario())


def test_hours_of_an_older_database_are_made_beside_the_calls_and_a_kill_costs_nothing(site, monkeypatch):
    monkeypatch.setattr(keeping, "SHARE", 1.0)

    async def scenario():
        house, media, clock = await started(site)
        fill(house, clock, days=6)
        await until_long(lambda: house.stores.figures.has_hours(house.database.write))
        before = sums(house)
        with house.database.transaction() as write:
            for part in before:
                write.execute("DELETE FROM figures_%s WHERE length = 3600" % part)
            house.stores.figures.filled(0)
        await house.stop()
        plain, days = Keeping._write, []

        async def dies(self, function, *args):
            result = await plain(self, function, *args)
            days.append(house.resumed.is_set())
            if len(days) == 5:
                raise asyncio.CancelledError        # killed between two days
            return result
        monkeypatch.setattr(Keeping, "_write", dies)
        house, media, _ = await started(site, media, clock.ahead_ms)
        assert not house.stores.figures.has_hours(house.database.write)         # control serves before
        await until_long(lambda: len(days) == 5)
        assert all(days) and differed(house) == [] and sums(house) != before
        await house.stop()
        monkeypatch.setattr(Keeping, "_write", plain)
        house, media, _ = await started(site, media, clock.ahead_ms)
        await until_long(lambda: house.stores.figures.has_hours(house.database.write))
        assert differed(house) == [] and sums(house) == before
        await house.stop()
    run(scenario())


@pytest.mark.parametrize("written", [PERSON, "0" + PERSON, "+86" + PERSON, "0086" + PERSON])
def test_a_number_is_sought_in_every_way_of_writing_and_dialling_it(written):
    config = {"desk": {"country": "86"}, "numbers": [], "lines": [], "queues": [{"callback": {"prefix": "8"}}], "fax": {"prefix": ""},
              "routes": [{"number": "9.", "choices": [{"strip": 1, "prefix": ""}, {"strip": 1, "prefix": "17951"}]}, {"number": "x1.", "choices": [{"strip": 1, "prefix": "#"}]}]}
    keeping_of = Keeping(types.SimpleNamespace(config=types.SimpleNamespace(running=lambda: config)))
    assert set(keeping_of.forms(written)) >= {PERSON, "0" + PERSON, "86" + PERSON, "0086" + PERSON, "+86" + PERSON, "9" + PERSON, "17951" + PERSON, "80" + PERSON}
    assert set(keeping_of.forms("004930123456")) >= {"004930123456", "+4930123456"}


def test_a_person_who_is_in_a_call_is_erased_after_it_by_itself(site, monkeypatch):
    monkeypatch.setattr(keeping, "BUSY_S", 0.02)

    async def scenario():
        house, media, clock = await started(site)
        client = ControlClient(site.run)
        call(house, "p1", PERSON)
        call(house, "p2", PERSON, end=False)
        with pytest.raises(ControlError, match="later must be"):
            await asyncio.to_thread(client.post, "/v1/erasures", {"number": PERSON, "confirm": PERSON, "later": 1})
        told = await asyncio.to_thread(client.post, "/v1/erasures", {"number": PERSON, "confirm": PERSON, "later": True, "by": "boss"})
        assert told["waits_for"] in house.calls
        again = await asyncio.to_thread(client.post, "/v1/erasures", {"number": PERSON, "confirm": PERSON, "later": True})
        assert again["erasure"] == told["erasure"] and again["waits_for"] == told["waits_for"]
        await asyncio.sleep(0.1)
        (row,) = (await asyncio.to_thread(client.get, "/v1/erasures"))["erasures"]
        assert row["waits"] and row["erasure"] == told["erasure"] and PERSON in house.stores.cdrs.page(1)[0]["caller"]
        for task in house._tasks:
            task.cancel()
        abandon(house)                      # kill -9: what waits is in the journal
        house.database.close()
        house, media, _ = await started(site, media, clock.ahead_ms)
        assert house.switchboard.core.state.erasures[told["erasure"]]["waits"]
        for leg in [leg.id for leg in house.switchboard.core.state.legs.values()]:
            house.turns.handle({"kind": "leg.released", "leg": leg, "cause": 16, "by": "far"})
        await until_long(lambda: not house.switchboard.core.state.erasures and house.keeping.busy is None)
        assert [cdr["caller"] for cdr in house.stores.cdrs.page(5)] == ["erased-" + told["erasure"]] * 2
        assert PERSON not in json.dumps(list(house.stores.journal.replay())) and differed(house) == []
        await house.stop()
    run(scenario())


def test_erasures_that_wait_are_looked_at_together_and_no_oftener_the_more_there_are(site, monkeypatch):
    """Each look goes once through the calls; the next look is BUSY_S after it, however many wait and however often it was asked for."""
    monkeypatch.setattr(keeping, "BUSY_S", 5.0)

    async def scenario():
        house, _, _ = await started(site)
        client, looks, timers = ControlClient(site.run), [], []
        call(house, "p1", PERSON, end=False)
        call(house, "p2", OTHER, end=False)
        for number in (PERSON, OTHER):
            await asyncio.to_thread(client.post, "/v1/erasures", {"number": number, "confirm": number, "later": True})
        await until_long(lambda: len(house.keeping._again) == 2)
        one = next(iter(house.switchboard.core.state.calls.values()))
        plain = type(one).dump
        monkeypatch.setattr(type(one), "dump", lambda self: looks.append(self.id) or plain(self))
        monkeypatch.setattr(type(asyncio.get_running_loop()), "call_later", lambda self, delay, function, *rest, **more: timers.append(function)
                            or self.call_at(self.time() + delay, function, *rest, **more))
        rows = sorted(house.switchboard.core.state.erasures)
        for _ in range(4):                  # four looks, as soon as both are due
            house.keeping._again = dict.fromkeys(rows, 0.0)
            async with house.keeping.one:
                await house.keeping._erasures(house.switchboard.core.state)
        assert looks == ["c1", "c2"] * 4 and house.keeping.asked.set not in timers
        async with house.keeping.one:       # a look in between finds none due
            await house.keeping._erasures(house.switchboard.core.state)
        assert len(looks) == 8 and sorted(house.keeping._again) == rows
        await house.stop()
    run(scenario())


def test_what_was_noted_beside_a_number_of_a_campaign_is_erased_with_it(site):
    async def scenario():
        house, media, clock = await started(site)
        with house.database.transaction():
            house.stores.journal.append([{"kind": "campaign.loaded", "ts_ms": clock.now_ms(), "call": None, "leg": None, "agent": None, "queue": "sales",
                                          "data": {"campaign": "spring", "mode": "preview", "rows": [[PERSON, "Li Wei owes"], [OTHER, "Anna asks"]], "by": None}}])
        await house.keeping.erase(PERSON, PERSON, None, None)
        await until_long(lambda: not house.switchboard.core.state.erasures and house.keeping.busy is None)
        (row,) = [record["data"]["rows"] for record in house.stores.journal.everything() if record["kind"] == "campaign.loaded"]
        assert row == [["erased-e1", ""], [OTHER, "Anna asks"]]
        await house.stop()
        assert [path for path, octets in everything(site).items() if b"Li Wei owes" in octets or PERSON.encode() in octets] == []
    run(scenario())


INBOX = "02150801082"
TAKES = {"version": 1, "languages": ["en"], "start": "take", "nodes": {
    "take": {"type": "fax", "document": "inbox", "role": "receives", "next": "end", "failed": "end"}, "end": {"type": "hangup"}}}


async def a_fax_mailbox(house):
    """Beside it a document that was given to the box."""
    config = json.loads(json.dumps(house.config.running()))
    config["ivr"]["fax-inbox"] = TAKES
    config["numbers"].append({"number": INBOX, "application": "ivr", "target": "fax-inbox"})
    await house.apply_configuration(config, config["revision"])
    house.documents.put("offer", tiff([(1728, 1, bytes(216))]))


def fax(house, leg, caller=PERSON, station=None, adopted=True):
    """A page comes before the line breaks; the name of the document."""
    house.turns.handle({"kind": "leg.offered", "leg": leg, "tech": "pri", "trunk_group": "carrier", "span": 1, "timeslot": 1, "caller": caller, "called": INBOX, "called_complete": True})
    (token,) = [one.request["token"] for one in house.switchboard.core.state.calls.values() if one.request is not None]
    name = "inbox-" + token
    with open(house.documents.receiving(name), "wb") as file:
        file.write(tiff([(1728, 1, bytes(216))]))
    if station is not None:
        house.turns.handle({"kind": "ivr.answer", "call": token.split("-")[0], "token": token, "ok": True, "result": {}, "fax": {"pages": 1, "rate": 9600, "ecm": True, "station": station}})
    house.turns.handle({"kind": "leg.released", "leg": leg, "cause": 16, "by": "far"})
    if adopted:
        house.documents.adopt(())
    return name


def test_received_faxes_go_with_the_person_who_sent_them(site):
    async def scenario():
        house, media, clock = await started(site)
        await a_fax_mailbox(house)
        others = fax(house, "p1", OTHER)
        fax(house, "p2", PERSON)
        fax(house, "p3", None, station="+86 " + PERSON)
        fax(house, "p4", "0" + PERSON, adopted=False)       # the streaming process has only just let go of it
        assert len(house.documents.rows()) == 4 and house.stores.cdrs.page(1)[0]["fax"][0]["document"].startswith("inbox-c")
        await house.keeping.erase(PERSON, PERSON, None, None)
        await until_long(lambda: not house.switchboard.core.state.erasures and house.keeping.busy is None)
        assert sorted(path.name for path in house.documents.folder.iterdir()) == sorted([others + ".tif", "offer.tif"])
        (done,) = [record["data"] for record in house.stores.journal.everything() if record["kind"] == "person.erased"]
        assert done["documents"] == 3 and PERSON not in json.dumps(house.stores.cdrs.page(9))
        await house.stop()
    run(scenario())


def test_received_faxes_go_by_age_with_the_list_of_calls(site):
    async def scenario():
        house, media, clock = await started(site, ahead_ms=0)
        await a_fax_mailbox(house)
        old, new = fax(house, "p1"), fax(house, "p2")
        for name in (old, "offer"):
            os.utime(house.documents.file(name), ns=(0, (clock.now_ms() - 70 * DAY_MS) * 1_000_000))
        await configure(house, calls_months=0)
        assert (await house.keeping.prune())["documents"] == 0
        await configure(house)
        assert (await house.keeping.prune())["documents"] == 1
        assert [row["document"] for row in house.documents.rows()] == [new, "offer"]
        assert [record["data"]["documents"] for record in house.stores.journal.everything() if record["kind"] == "journal.pruned"] == [1]
        await house.stop()
    run(scenario())


async def until_long(condition):
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("waited in vain")


def as_older_firmware_wrote_it(house):
    """Rows of the journal and CDRs hold what is personal themselves."""
    with house.database.transaction() as write:
        for table, number, columns in (("journal", "seq", ("data",)), ("cdr", "number", ("caller", "called", "body"))):
            for row in write.execute("SELECT %s, %s FROM %s%s" % (number, ", ".join(columns), table, " WHERE kind <> 'core.checkpoint'" * (table == "journal"))).fetchall():
                write.execute("UPDATE %s SET %s WHERE %s = ?" % (table, ", ".join(name + " = ?" for name in columns), number), (*personal.told(write, row[1:]), row[0]))
        write.execute("DELETE FROM personal")
        write.execute("UPDATE counter SET value = (SELECT max(seq) FROM journal) WHERE name = 'plain.journal'")
        write.execute("UPDATE counter SET value = (SELECT max(number) FROM cdr) WHERE name = 'plain.cdr'")
        personal.forget(write)


@pytest.mark.parametrize("dies_in, at", [("erase", 2), ("erase", 5), ("write_rows", 2), ("write_cdr", 2)])
def test_a_kill_in_the_middle_of_an_erasure_goes_on(site, monkeypatch, dies_in, at):
    """In the rows of keys (a call's values, the numbers), in rows of older firmware, in its CDRs; the rest is written by this one."""
    async def scenario():
        house, media, clock = await started(site)
        for number in range(1, 9):
            call(house, "p%d" % number, (PERSON, OTHER)[number % 2])
            if number == (4 if dies_in.startswith("write") else 1):
                as_older_firmware_wrote_it(house)
        assert PERSON in house.database.write.execute("SELECT body FROM cdr WHERE number = 2").fetchone()[0] or dies_in == "erase"
        before, plain, count = sums(house), getattr(erasure, dies_in), []

        def dies(connection, *rows):
            count.append(1)
            if len(count) == at:
                for task in house._tasks:
                    task.cancel()
                raise asyncio.CancelledError
            return plain(connection, *rows)
        monkeypatch.setattr(erasure, dies_in, dies)
        await house.keeping.erase(PERSON, PERSON, None, None)
        await until_long(lambda: len(count) == at)
        await asyncio.sleep(0.05)
        monkeypatch.setattr(erasure, dies_in, plain)
        assert house.switchboard.core.state.erasures
        abandon(house)
        house.database.close()
        house, media, _ = await started(site, media, clock.ahead_ms)
        await until_long(lambda: not house.switchboard.core.state.erasures and house.keeping.busy is None)
        told = json.dumps([list(house.stores.journal.everything()), house.stores.cdrs.page(50)])
        keyed = [cdr["caller"] for cdr in house.stores.cdrs.page(50) for record in house.stores.journal.of_call(cdr["call"]) if record["data"].get("input", {}).get("digit")]
        assert PERSON not in told and keyed == [OTHER] * 4, "what the others keyed stays"
        assert [cdr["caller"] for cdr in house.stores.cdrs.page(50)] == ["erased-e1", OTHER] * 4
        assert sums(house) == before and differed(house) == [] and house.stores.cdrs.rebuild(house.stores.journal) == []
        await house.stop()
        assert [path for path, octets in everything(site).items() if PERSON.encode() in octets] == []
    run(scenario())


def test_exports_are_streamed_by_time_and_safe_for_spreadsheets(site):
    async def scenario():
        house, media, clock = await started(site, ahead_ms=-10 * DAY_MS)
        client = ControlClient(site.run)
        for number in range(1, 9):
            call(house, "p%d" % number, "=cmd" if number == 3 else PERSON)
            clock.ahead_ms += DAY_MS
        records, cdrs = list(house.stores.journal.everything()), house.stores.cdrs.page(50)[::-1]

        def read(path, **query):
            with client.stream(path, **query) as (kind, pieces):
                return kind, b"".join(pieces)
        kind, octets = await asyncio.to_thread(read, "/v1/export/journal")
        assert kind == "application/x-ndjson" and [json.loads(line) for line in octets.splitlines()] == records
        since, until_ms = records[len(records) // 3]["ts_ms"] // 1000, records[len(records) // 2]["ts_ms"] // 1000
        _, octets = await asyncio.to_thread(lambda: read("/v1/export/journal", **{"from": since, "to": until_ms}))
        assert [json.loads(line) for line in octets.splitlines()] == [row for row in records if since * 1000 <= row["ts_ms"] < until_ms * 1000]
        kind, octets = await asyncio.to_thread(lambda: read("/v1/export/calls", format="csv"))
        rows = list(csv.DictReader(io.StringIO(octets.decode("utf-8-sig"))))
        assert kind.startswith("text/csv") and [row["call"] for row in rows] == [cdr["call"] for cdr in cdrs]
        assert rows[2]["caller"] == "'=cmd" and rows[0]["ended_ms"] == str(cdrs[0]["ended_ms"])
        assert (await asyncio.to_thread(read, "/v1/export/surveys"))[1] == b""
        for path, query, words in (("/v1/export/secrets", {}, "exports of"), ("/v1/export/calls", {"format": "xml"}, "jsonl or csv"),
                                   ("/v1/export/calls", {"from": "yesterday"}, "must be a moment"), ("/v1/export/calls", {"from": "200", "to": "100"}, "later than")):
            with pytest.raises(ControlError, match=words):
                await asyncio.to_thread(lambda: read(path, **query))
        await house.stop()
    run(scenario())


def test_a_trunk_or_a_tag_with_the_digits_keeps_no_erasure_from_its_end(site, monkeypatch, caplog):
    monkeypatch.setattr(keeping, "MACHINES_S", 0.0)

    async def scenario():
        house, media, clock = await started(site)
        call(house, "p1", PERSON)
        with house.database.transaction() as write:
            write.executemany("INSERT INTO machine VALUES (?, ?)", [("sip/trunk/theirs", json.dumps({"user": PERSON})), ("sip/leg/l999", json.dumps({"tag": "a%sf" % PERSON}))])
        await house.keeping.erase(PERSON, PERSON, None, None)
        await until_long(lambda: not house.switchboard.core.state.erasures and house.keeping.busy is None)
        assert "also in the state of sip/trunk/theirs;" in caplog.text and PERSON not in caplog.text
        assert PERSON not in json.dumps(house.stores.cdrs.page(5))
        await house.stop()
    run(scenario())
