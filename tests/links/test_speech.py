"""What becomes of a fax that the streaming process has received: Speech between media's word and the switchboard."""

import asyncio
from types import SimpleNamespace

import pytest

from firmware.links import speech as module
from firmware.links.speech import Speech


def ended(documents, **event):
    """The ivr.answer of a fax that ended as `event` says."""
    posted = []
    house = SimpleNamespace(media=SimpleNamespace(listeners={}, command=lambda *args, **more: None), turns=SimpleNamespace(post=posted.append), documents=documents)
    speech = Speech(house, dict)
    speech.open["c1-q1"] = ("fax", "c1", "l1", "fax")
    house.media.listeners["stream"](dict({"id": "c1-q1", "what": "fax", "ok": True, "why": None, "pages": 2, "rate": 14400, "ecm": True, "station": "1"}, **event), 0)
    assert not speech.open
    return posted[0]


def refuses(token):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("received, why", (
    (lambda token: {"document": "inbox-c1-q1", "pages": 2}, None),
    (lambda token: {"document": "inbox-c1-q1", "pages": 1}, "fax: only 1 of 2 pages that were confirmed could be kept"),
    (lambda token: None, "fax: only 0 of 2 pages that were confirmed could be kept"),
    (refuses, "fax: only 0 of 2 pages that were confirmed could be kept")))
def test_pages_that_are_confirmed_and_not_there_are_no_success(received, why):
    answer = ended(SimpleNamespace(received=received), role="receives")
    assert answer["ok"] is (why is None) and (answer["result"] == answer["fax"] if why is None else answer["result"] == why)
    assert answer["fax"]["pages"] == 2


def test_what_was_sent_is_looked_for_nowhere():
    answer = ended(SimpleNamespace(received=refuses), role="calls")
    assert answer["ok"] and "document" not in answer["result"]
    assert ended(None, role="calls", ok=False, why="the call ended")["result"] == "fax: the call ended"


def test_pages_are_kept_though_the_machine_has_died(monkeypatch):
    monkeypatch.setattr(module, "CLOSED_S", 0)
    kept = []

    async def main():
        assert not ended(SimpleNamespace(adopt=kept.append), what="interrupted", error="the streaming process ended")["ok"]
        await asyncio.sleep(0.01)
    asyncio.run(main())
    assert kept == [set()]
