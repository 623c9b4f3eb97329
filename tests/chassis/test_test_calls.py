"""The measurement of a test call, on a media that refuses: nothing of it is left running."""

import asyncio
import types

import pytest

from firmware.chassis import test_calls
from firmware.errors import RemoteError


class Media:
    """Writes down what it is asked; refuses what is in `refused`."""

    def __init__(self, *refused):
        self.client, self.refused, self.asked = self, refused, []

    def hears(self, leg):
        return True

    async def call(self, command, **fields):
        self.asked.append((command, fields["id"]))
        if command in self.refused:
            raise RemoteError("there is no termination %s" % fields["id"])


@pytest.mark.parametrize("refused, asked", [
    (("signal",), ["enhance", "record", "signal", "record_stop"]), (("signal", "record_stop"), ["enhance", "record", "signal", "record_stop"]),
    (("record",), ["enhance", "record"])])
def test_a_measurement_that_fails_ends_its_recording(tmp_path, monkeypatch, refused, asked):
    monkeypatch.setattr(test_calls, "STARTS_S", 0)
    media = Media(*refused)
    house = types.SimpleNamespace(media=media, turns=types.SimpleNamespace(clock=None), run_dir=tmp_path)

    async def scenario():
        await test_calls.TestCalls(house)._measure("c1", "l1")
    with pytest.raises(RemoteError, match="no termination %s" % ("test-c1" if "record" in refused else "l1")):
        asyncio.run(scenario())
    assert [command for command, _ in media.asked] == asked
    assert all(name == "test-c1" for command, name in media.asked if command.startswith("record"))
