"""MTP3 codec in three variants (round trips, tshark, any octets), two nodes of ours over bad lines, random events."""

import json
import random
import shutil

import pytest
from hypothesis import given, settings, strategies

from firmware.errors import LocalError
from firmware.proto.mtp3 import messages
from firmware.proto.mtp3.node import MTP3
from tests.proto import mtp_world
from tests.proto.mtp3_rig import Rig, config

VALUES = {"slc": 3, "fsn": 99, "code": 171, "destination": 0x1234, "status": 2, "user": 5, "cause": 2, "pattern": b"\x01\x02\xfe"}
ALL = sorted(messages.HEADINGS) + sorted(messages.TEST_HEADINGS)


def fields(name):
    wanted = (messages.TEST_HEADINGS.get(name) or messages.HEADINGS[name])[2]
    return {field: VALUES[field] for field in wanted}


def whole(variant, name):
    si = 0 if name in messages.HEADINGS else 2 if variant == "ansi" else 1
    label = messages.Label(si, 2, 200, 100, 3)
    return messages.encode_label(variant, label) + messages.encode_management(variant, name, **fields(name))


@pytest.mark.parametrize("variant", messages.VARIANTS)
@pytest.mark.parametrize("name", ALL)
def test_round_trip(variant, name):
    label, rest = messages.decode(variant, whole(variant, name))
    assert (label.ni, label.dpc, label.opc, label.sls) == (2, 200, 100, 3)
    found, values = messages.decode_management(variant, label.si, rest)
    values.setdefault("slc", 3)
    assert found == name and values == dict(fields(name), slc=3)
    for end in range(len(rest)):        # cut short: refused, or complete all the same
        try:
            messages.decode_management(variant, label.si, rest[:end]) if end else None
        except messages.MessageError:
            pass


def test_octets_from_the_clauses():
    """By hand from the figures of Q.704 15 and Q.707 5: 2 octets of label bits shared, H1 above H0."""
    assert whole("itu", "COO").hex() == "80" "c8001930" "11" "63"
    assert whole("itu", "TFP").hex() == "80" "c8001930" "14" "3412"
    assert whole("itu", "TFC").hex() == "80" "c8001930" "23" "3492"
    assert whole("itu", "UPU").hex() == "80" "c8001930" "1a" "3412" "25"
    assert whole("itu", "SLTM").hex() == "81" "c8001930" "11" "30" "0102fe"
    assert whole("ansi", "COO").hex() == "80" "c80000" "640000" "03" "11" "3306"
    assert whole("ansi", "SLTM").hex() == "82" "c80000" "640000" "03" "11" "33" "0102fe"
    assert whole("china", "TFA").hex() == "80" "c80000" "640000" "03" "54" "341200"


@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
@pytest.mark.parametrize("variant", messages.VARIANTS)
def test_tshark_reads_every_message(variant, tmp_path):
    contents = [whole(variant, name) for name in ALL]
    rows = mtp_world.tshark(tmp_path / "all.pcap", [b"\x80\x80" + bytes([len(c)]) + c for c in contents], variant)
    assert len(rows) == len(ALL) and [(n, row) for n, row in zip(ALL, rows) if row[1]] == []
    for name, row in zip(ALL, rows):
        if not (variant == "ansi" and name in ("RST", "RSR")):          # RSP, RSR: other names there
            assert row[0].strip().startswith(name), (name, row)


@settings(max_examples=500, deadline=None)
@given(strategies.sampled_from(messages.VARIANTS), strategies.binary(max_size=24))
def test_any_octets(variant, octets):
    try:
        label, rest = messages.decode(variant, octets)
        messages.decode_management(variant, label.si if label.si < 3 else 0, rest)
    except messages.MessageError:
        pass


@settings(max_examples=120, deadline=None)
@given(strategies.integers(0, 1 << 32))
def test_any_events(seed):
    """Any message on any link, any event, any request, any time: no exception, and alive afterwards."""
    chance = random.Random(seed)
    r = Rig(restart=bool(seed & 1))
    r.persist = bool(seed & 2)
    r._after(r.node.start(0))
    links = sorted(r.node.links)
    for _ in range(60):
        act, link = chance.randrange(8), chance.choice(links)
        if act == 0:
            name = chance.choice(ALL)
            r.hear(link, name, opc=chance.choice([200, 300, 999]), slc=chance.randrange(4), **{
                k: v for k, v in {"fsn": chance.randrange(128), "code": chance.randrange(256), "status": chance.randrange(4),
                                  "destination": chance.choice([200, 300, 400, 9])}.items() if k in fields(name)})
        elif act == 1:
            r.event(link, "message", bytes(chance.randrange(256) for _ in range(chance.randrange(14))))
        elif act == 2:
            r.fail(link)
        elif act == 3:
            r.mend(link)
        elif act == 4:
            r.ask(chance.choice(["inhibit", "uninhibit", "activate", "deactivate"]), link=link)
        elif act == 5:
            r.event(link, *chance.choice([("bsnt", 3), ("retrieval_complete",), ("remote_processor_outage",), ("strange",),
                                          ("remote_processor_recovered",), ("congestion", True), ("retrieved_message", b"x")]))
        elif act == 6:
            r.send(chance.choice([200, 300, 400]), chance.randrange(16))
        else:
            r.wait(chance.choice([10, 500, 3000, 70000]))
    for link in links:
        r.ask("activate", link=link)
        r.mend(link)
        r.ask("uninhibit", link=link)
        r.hear(link, "LUN")
        if r.node.links[link].far_outage:
            r.event(link, "remote_processor_recovered")
    for name in ("a", "b"):
        r.hear(name + "0", "TFA", destination=400)
    r.wait(200000)
    assert None not in r.load(400), r.node.state()


def test_dump_is_json_and_restores_the_same():
    r = Rig().up()
    r.fail("a1")
    r.answers.discard("COO")
    r.fail("b1")
    r.send(300, 1)
    r.hear("a0", "TFP", destination=400)
    saved = json.loads(json.dumps(r.node.dump()))
    again = MTP3.restore(saved, r.config)
    assert json.loads(json.dumps(again.dump())) == saved and again.deadline_ms() == r.node.deadline_ms()


def test_audit_after_restore():
    r = Rig().up()
    node = MTP3.restore(r.node.dump(), r.config)
    events = node.audit(5000, {"a0": True, "a1": False, "b0": True, "b1": True})
    assert [(e["link"], e["available"]) for e in events] == [("a1", False)]
    assert ("a1", "retrieve_bsnt", None) in node.take_output()


def pair(links=2, variant="itu", correction="basic", **kwargs):
    near = mtp_world.Ours(100, 200, links, variant, correction, **kwargs)
    far = mtp_world.Ours(200, 100, links, variant, correction, **kwargs)
    lines = mtp_world.Lines(near, far)
    near.start(0)
    far.start(0)
    lines.run(70000)                    # both restart: T20
    assert near.node.state()["destinations"] == {200: True} and far.node.state()["destinations"] == {100: True}
    near.took("")
    far.took("")
    return near, far, lines


def talk(near, far, lines, number, start=0, step_ms=20):
    for n in range(start, start + number):
        for end, to in ((near, 200), (far, 100)):
            end.ask("transfer", lines.now_ms, dpc=to, si=5, sls=n % 16, octets=n.to_bytes(4, "big"))
        lines.run(step_ms)


def received(end, number):
    """Each message once, and in order within its share."""
    shares = {}
    for event in end.took("transfer_indication"):
        shares.setdefault(event["sls"], []).append(int.from_bytes(event["octets"], "big"))
    return shares == {s: [n for n in range(number) if n % 16 == s] for s in range(16)}


@pytest.mark.parametrize("variant", messages.VARIANTS)
def test_changeover_and_back_lose_nothing(variant):
    """A line is cut under traffic in both directions, and mended: Q.704 5 and 6 with retrieval by MTP2."""
    near, far, lines = pair(variant=variant)
    talk(near, far, lines, 100)
    lines.cut = {1}
    talk(near, far, lines, 200, 100)
    assert not near.node.links["k1"].usable
    lines.cut = set()
    talk(near, far, lines, 1000, 300)
    assert near.node.links["k1"].usable
    lines.run(5000)
    assert received(near, 1300) and received(far, 1300)
    assert not near.node.counters.get("changebacks_without_acknowledgement")
    assert not near.node.counters.get("changeovers_without_acknowledgement")


def test_changeover_with_control_killed():
    near, far, lines = pair()
    for start in range(0, 600, 20):
        talk(near, far, lines, 20, start)
        near.kill()
        if start == 100:
            lines.cut = {0}
        if start == 300:
            lines.cut = set()
    lines.run(5000)
    assert received(near, 600) and received(far, 600)


def test_limits():
    for bad in ({"dpc": 9}, {"dpc": 400, "sls": 99}):
        with pytest.raises(LocalError):
            Rig().up().ask("transfer", **dict({"si": 5, "sls": 0, "octets": b"x"}, **bad))
    with pytest.raises(LocalError):
        MTP3(config(point_code=-1))
