"""The command protocol: epochs, numbered events, idempotency, audit, bad input."""

import asyncio
import contextlib
import os
import random
import socket
import struct
import time

import msgpack
import pytest

from firmware.errors import LocalError
from firmware.media.client import MediaClient


def test_repeating_any_command_changes_nothing(control, media, tools):
    path = media.folder / "s1.wav"
    path.write_bytes(tools.wav(b"\x12" * 8000))
    commands = [("add", dict(id="l1", kind="timeslot", span=30, timeslot=1, law="A")),
                ("add", dict(id="l2", kind="timeslot", span=30, timeslot=2, law="A")),
                ("add", dict(id="l3", kind="rtp", address="127.0.0.1")),
                ("modify", dict(id="l3", remote=["127.0.0.1", 9], payload_type=0)),
                ("bridge", dict(id="b1", legs=["l1", "l2", "l3"])),
                ("topology", {"bridge": "b1", "from": "l1", "to": "l2", "way": "one"}),
                ("detect", dict(id="l1", dtmf=True)),
                ("signal", dict(id="l1", token="t1", items=[{"file": str(path)}], repeat=0)),
                ("record", dict(id="r1", path=str(media.folder / "s1r.wav"), left="l1", right="l2"))]
    replies = [control.do(do, **p) for do, p in commands]
    first = control.audit()
    again = [control.do(do, **p) for do, p in commands]
    for reply in replies + again:
        del reply["seq"]
    assert again == replies
    second = control.audit()
    for audit in (first, second):
        for row in audit["terminations"]:
            row.pop("stats", None)
        for row in audit["signals"]:
            row.pop("position_ms")
        for row in audit["recordings"]:
            row.pop("octets"), row.pop("written"), row.pop("ms")
    assert first == second
    assert {row["id"]: row["bridge"] for row in first["terminations"]} == {"l1": "b1", "l2": "b1", "l3": "b1"}
    assert first["topologies"] == [{"bridge": "b1", "from": "l1", "to": "l2", "way": "one"}]
    control.do("bridge", id="b1", legs=[])
    control.do("bridge", id="b1", legs=[])
    control.do("subtract", id="l3")
    control.do("subtract", id="l3")
    control.do("record_stop", id="nothing")
    control.do("stop", id="nothing")


def replies(sock):
    """Those in the next packet that holds any, and its size; events come between them at any time once hello was said."""
    while True:
        octets = sock.recv(1 << 20)
        unpacker = msgpack.Unpacker()
        unpacker.feed(octets)
        found = [message for message in unpacker if "seq" in message]
        if found:
            return found, len(octets)


def test_commands_behind_each_other_are_each_answered_and_in_order(media, control):
    def packet(*dos):
        return b"".join([msgpack.packb({"do": do, "seq": number, "epoch": control.epoch}) for number, do in enumerate(dos)])
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect(str(media.folder / "media.sock"))
    sock.settimeout(2)
    sock.send(packet("stats", "nothing", "stats") + b"\xc1")
    said = [msgpack.unpackb(sock.recv(1 << 20)) for _ in range(4)]
    assert [(reply["seq"], reply["ok"]) for reply in said] == [(0, True), (1, False), (2, True), (None, False)], "one a packet, until it was asked otherwise"
    sock.send(msgpack.packb({"do": "hello", "seq": 9, "epoch": control.epoch, "together": True}))
    assert replies(sock)[0][0]["ok"]
    sock.send(packet(*["stats"] * 5))
    assert [reply["seq"] for reply in replies(sock)[0]] == list(range(5)), "in one packet"
    sock.send(packet(*["audit", "stats"] * 400)[:262144])
    seen = 0
    while seen < 800:
        found, size = replies(sock)
        seen += sum(reply["ok"] for reply in found)
        assert size < 200000, "packets stay within what a receiver takes"
    sock.close()
    control.do("hello")


def test_who_asks_for_much_keeps_nobody_waiting(media, control):
    """8,000 audits in a packet kept all others from being heard for seconds: there is a limit, and what it leaves is worked on in turns."""
    for timeslot in range(1, 32):
        control.do("add", id=f"a{timeslot}", kind="timeslot", span=31, timeslot=timeslot, law="A")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect(str(media.folder / "media.sock"))
    sock.settimeout(10)
    sock.send(b"".join(msgpack.packb({"do": "audit", "seq": seq, "epoch": control.epoch}) for seq in range(8000)))
    began = time.monotonic()
    control.do("stats")
    waited = time.monotonic() - began
    replies = [msgpack.unpackb(sock.recv(1 << 20)) for _ in range(1025)]
    took = time.monotonic() - began
    assert [reply["seq"] for reply in replies] == [*range(1024), None] and all(reply["ok"] for reply in replies[:1024])
    assert "more than 1024 commands" in replies[1024]["error"]
    assert waited < took / 4, "beside them, not behind them"
    sock.send(msgpack.packb({"do": "stats", "seq": 1, "epoch": control.epoch}))
    assert msgpack.unpackb(sock.recv(1 << 20))["ok"]
    sock.close()


def test_who_fetches_replies_later_is_read_later_and_loses_none(media, control):
    """Many commands at once were taken for a control process that does not read: its connection was closed."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect(str(media.folder / "media.sock"))
    sock.send(msgpack.packb({"do": "hello", "seq": -1, "epoch": control.epoch, "together": True}))
    sent, got = 0, []
    sock.settimeout(0.3)
    with contextlib.suppress(TimeoutError):         # nothing more is taken
        for sent in range(0, 200_000, 400):
            sock.send(b"".join(msgpack.packb({"do": "subtract", "seq": seq, "epoch": control.epoch, "id": seq}) for seq in range(sent, sent + 400)))
    assert 4000 < sent < 199_000
    sock.settimeout(5)
    while len(got) <= sent:
        got += [message["seq"] for message in replies(sock)[0]]
    assert got == [-1, *range(sent)]
    sock.close()
    control.do("hello")


@pytest.mark.parametrize("do, parameters, word", [
    ("add", dict(id="l9", kind="timeslot", span=0, timeslot=1, law="A"), "span"),
    ("add", dict(id="l9", kind="timeslot", span=1, timeslot=32, law="A"), "timeslot"),
    ("add", dict(id="l9", kind="timeslot", span=1, timeslot=1, law="B"), "law"),
    ("add", dict(id="x" * 32, kind="timeslot", span=1, timeslot=1, law="A"), "ASCII"),
    ("add", dict(id=5, kind="rtp", address="127.0.0.1"), "ASCII"),
    ("add", dict(id="l9", kind="rtp", address="not an address"), "IPv4"),
    ("add", dict(id="l9", kind="rtp", address="203.0.113.7"), "address"),
    ("add", dict(id="l9", kind="fax"), "kind"),
    ("modify", dict(id="none", payload_type=8), "no termination"),
    ("bridge", dict(id="b", legs=["none"]), "no termination"),
    ("bridge", dict(id="b", legs="l1"), "list"),
    ("bridge", dict(id="b", legs=[{}, {}]), "different"),
    ("topology", {"bridge": "none", "from": "a", "to": "b", "way": "one"}, "no bridge"),
    ("signal", dict(id="none", token="t", items=[]), "no termination"),
    ("record", dict(id="r", path="relative.wav", left=None, right=None), "absolute"),
    ("record", dict(id="r", path="/tmp/x\0", left=None, right=None), "absolute"),
    ("link_open", dict(link=1, span=1, timeslot=16, kind="mtp3", side="user"), "lapd"),
    ("link_open", dict(link=[], span=1, timeslot=16, kind="lapd", side="user"), "ASCII"),
    ("audit", dict(after=-1), "after"),
    ("tones", dict(ringback=7), "tones"),
    ("dance", {}, "knows no command"),
    ("__class__", {}, "knows no command"),
])
def test_a_wrong_command_is_refused_with_a_sentence(control, do, parameters, word):
    reply = control.raw(do, **parameters)
    assert not reply["ok"] and word in reply["error"] and isinstance(reply["cause"], int)
    assert control.audit().get("terminations") == []


def test_wrong_items_are_refused_and_what_plays_goes_on(control, media, tools):
    (media.folder / "bad.wav").write_bytes(b"RIFF....WAVEfmt ")
    (media.folder / "seven.wav").write_bytes(tools.wav(bytes(700), channels=7))
    good = media.folder / "s2.wav"
    good.write_bytes(tools.wav(b"\x12" * 8000))
    control.do("add", id="l1", kind="timeslot", span=30, timeslot=3, law="A")
    control.do("signal", id="l1", token="good", items=[{"file": str(good)}], repeat=0)
    for items in ([{"file": "/nowhere.wav"}], [{"file": str(media.folder / "bad.wav")}], [{"file": "a\0b"}],
                  [{"file": str(media.folder / "seven.wav")}], [{"tone": "unheard"}], [{"dtmf": "12x"}],
                  [{"silence_ms": -1}], [{"silence_ms": True}], [7], {}, None, [], [{"file": 7}]):
        reply = control.raw("signal", id="l1", token="bad", items=items)
        assert not reply["ok"] and reply["error"], items
    assert [row["token"] for row in control.audit()["signals"]] == ["good"]


def test_bad_files_are_told_one_by_one_and_the_leg_goes_on(board, control, media, tools):
    """A header cut at each of its octets, lengths beyond any sense, codings that are none: a sentence each, and not a sample
    of what plays is lost meanwhile."""
    good, path = tools.wav(b"\x12" * 8000), media.folder / "spoilt.wav"
    (media.folder / "plays.wav").write_bytes(good)
    control.do("add", id="l1", kind="timeslot", span=30, timeslot=3, law="A")
    control.do("signal", id="l1", token="good", items=[{"file": str(media.folder / "plays.wav")}], repeat=0)
    put = lambda at, form, *values: good[:at] + struct.pack(form, *values) + good[at + struct.calcsize(form):]
    spoilt = [good[:size] for size in range(58)] + [put(54, "<I", 0x7FFFFFFE), put(54, "<I", 8001), put(16, "<I", 0xFFFFFFFF), put(16, "<I", 0), put(42, "<I", 0x80000000),
              put(20, "<H", 0x55), put(20, "<H", 0), put(20, "<H", 0xFFFF), put(22, "<H", 0), put(22, "<H", 65535), put(24, "<I", 0), put(24, "<I", 1 << 31),
              put(34, "<H", 0), put(34, "<H", 64), put(20, "<H", 0x11), put(20, "<H", 2), b"ID3" + good]
    began = board.blocks
    while board.blocks < began + 4:
        time.sleep(0.005)
    board.listen(30, 3)
    for octets in spoilt:
        path.write_bytes(octets)
        reply = control.raw("signal", id="l1", token="bad", items=[{"file": str(path)}])
        assert not reply["ok"] and reply["error"].startswith(f"prompt {path} ") and len(reply["error"]) > 40, (octets[:60], reply)
    heard = board.said(30, 3)
    assert set(heard) == {0x12} and heard
    assert [row["token"] for row in control.audit()["signals"]] == ["good"]
    path.write_bytes(good)                              # the same file, whole again, is read anew
    control.do("signal", id="l1", token="whole", items=[{"file": str(path)}])
    assert control.event("signal_complete", 30, token="whole")["reason"] == "done"


def test_a_timeslot_is_given_once(control):
    control.do("add", id="l1", kind="timeslot", span=30, timeslot=4, law="A")
    reply = control.raw("add", id="l2", kind="timeslot", span=30, timeslot=4, law="A")
    assert not reply["ok"] and reply["cause"] == 44 and "l1" in reply["error"]
    reply = control.raw("add", id="l1", kind="timeslot", span=30, timeslot=5, law="A")
    assert not reply["ok"] and "other parameters" in reply["error"]
    assert not control.raw("link_open", link=9, span=30, timeslot=4, kind="lapd", side="user")["ok"]


def test_the_highest_epoch_wins(media, control, tools):
    control.do("add", id="l1", kind="timeslot", span=30, timeslot=6, law="A")
    newer = tools.Control(media.folder, epoch=control.epoch + 1)
    reply = control.raw("subtract", id="l1")
    assert not reply["ok"] and "in charge" in reply["error"]
    assert [row["id"] for row in newer.audit()["terminations"]] == ["l1"]
    older = tools.Control(media.folder, epoch=control.epoch, hello=False)
    assert not tools.Control(media.folder, epoch=99, hello=False).raw("stats")["ok"]
    assert not older.raw("hello")["ok"]
    newer.do("subtract", id="l1")
    media.epoch = control.epoch = newer.epoch       # the fixture cleans up
    newer.close()
    older.close()


def test_events_are_kept_until_acknowledged(media, control, tools):
    control.do("add", id="l1", kind="timeslot", span=30, timeslot=7, law="A")
    for number in range(3):
        control.do("signal", id="l1", token=f"t{number}", items=[{"silence_ms": 20}])
        control.event("signal_complete", token=f"t{number}")
    control.close()
    again = tools.Control(media.folder, epoch=control.epoch)
    events = [again.event("signal_complete", token=f"t{number}") for number in range(3)]
    numbers = [event["event"] for event in events]
    assert numbers == sorted(numbers) and len(set(numbers)) == 3
    again.do("ack", upto=numbers[1])
    again.close()
    third = tools.Control(media.folder, epoch=control.epoch)
    third.event("signal_complete", token="t2")
    third.do("stats")
    assert not [e for e in third.events if e["kind"] == "signal_complete"]
    control.sock = third.sock


def test_garbage_on_the_command_socket_is_answered_and_survived(media, control, tools):
    rng = random.Random(1)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect(str(media.folder / "media.sock"))
    sock.settimeout(2)
    values = [None, True, -1, 0, 1, 2 ** 40, 1.5, "", "l1", "x" * 300, b"\xff\0", [], {}, [[]], {"a": 1}, ["l1"] * 70]
    names = ["id", "kind", "span", "timeslot", "law", "address", "remote", "legs", "items", "token", "repeat",
             "path", "left", "right", "dtmf", "link", "side", "tei", "after", "upto", "plan", "bridge", "from", "to", "way"]
    dos = ["hello", "add", "modify", "subtract", "bridge", "topology", "signal", "stop", "detect", "record",
           "record_stop", "link_open", "link_close", "tones", "audit", "stats", "ack"]
    for turn in range(1500):
        if turn % 3 == 0:
            data = rng.randbytes(rng.choice((1, 3, 20, 500)))
        else:
            message = {"seq": turn, "epoch": control.epoch, "do": rng.choice(dos)}
            message.update({rng.choice(names): rng.choice(values) for _ in range(rng.randrange(6))})
            if rng.random() < 0.1:              # a large epoch would rightly take over: not that
                message[rng.choice(["seq", "epoch", "do"])] = rng.choice([v for v in values if v != 2 ** 40])
            data = msgpack.packb(message)
            if rng.random() < 0.2:
                data = data[:-rng.randrange(1, len(data))]
        if not data:
            continue
        sock.send(data)
        while True:
            reply = msgpack.unpackb(sock.recv(1 << 20), strict_map_key=False)
            if "event" not in reply:
                break
        assert "ok" in reply
    sock.send(os.urandom(200000))
    assert not msgpack.unpackb(sock.recv(1 << 20))["ok"]
    sock.close()
    control.do("hello")
    assert control.do("stats")["bad_messages"] > 500
    assert media.process.poll() is None
    up = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    up.connect(str(media.folder / "media-signalling.sock"))
    up.settimeout(2)
    for _ in range(200):
        up.send(rng.randbytes(rng.choice((1, 5, 60))))
        assert "error" in msgpack.unpackb(up.recv(65536))
    up.close()


def test_audit_comes_in_pages(control):
    for number in range(31):
        for span in range(31, 39):
            if number + 1 != 16:
                control.do("add", id=f"l{span}.{number}", kind="timeslot", span=span, timeslot=number + 1, law="A")
    page = control.do("audit")
    assert page["next"] == 100 and len(page["terminations"]) == 100
    assert len(control.audit()["terminations"]) == 30 * 8


def test_the_client_calls_hears_events_and_is_told_of_the_end(media, control):
    events, ups, lost = [], [], []

    async def scenario():
        client = MediaClient(str(media.folder), control.epoch, events.append, ups.append, lost.append)
        greeting = await client.connect()
        assert greeting["boot_id"] == control.greeting["boot_id"]
        await client.call("add", id="l1", kind="timeslot", span=30, timeslot=8, law="A")
        with pytest.raises(LocalError, match="in use"):
            await client.call("add", id="l2", kind="timeslot", span=30, timeslot=8, law="A")
        await client.call("signal", id="l1", token="t", items=[{"silence_ms": 20}])
        for _ in range(100):
            if [e for e in events if e["kind"] == "signal_complete"]:
                break
            await asyncio.sleep(0.01)
        before = len(events)
        assert before
        assert (await client.audit())["terminations"][0]["id"] == "l1"
        await client.connect()                       # again: what was heard is not heard twice
        await asyncio.sleep(0.1)
        assert len(events) == before
        client.ack(events[-1]["event"])
        await client.call("subtract", id="l1")
        client.close()
        with pytest.raises(LocalError, match="not connected"):
            await client.call("stats")

    asyncio.run(scenario())
    assert lost == []
    control.do("hello")
    time.sleep(0.05)
