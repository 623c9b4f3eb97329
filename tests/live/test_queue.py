"""What a caller hears who waits: the wait prompt, music, the position, music again."""

import time

import pytest

from hil.probes import align, wav
from hil.rig import CHECKOUT

pytestmark = pytest.mark.live

PROMPTS = CHECKOUT / "build" / "prompts"
ANNOUNCED_EVERY_S = 20       # the demonstration's queues


def test_a_waiting_caller_hears_music_and_the_position(house):
    house.wait_agent_idle()
    house.available(status="on_break")
    try:
        first, second = house.place_and_choose("1", span=1), house.place_and_choose("1", span=2)
        house.wait(lambda s: s["queues"][0]["waiting"] == 2, 10, "two callers in the queue")
        time.sleep(ANNOUNCED_EVERY_S + 14)
        assert sorted(c["position"] for c in house.state()["calls"]) == [1, 2]
        for name in (first, second):
            house.far.hangup(name)
            house.far.wait_for("released", 8, id=name)
            house.far.wait_for("record_closed", 5, id=name)
        house.wait_idle()
    finally:
        house.available()
    for name, position in ((first, 1), (second, 2)):
        heard = wav.read_mono(house.folder / f"{name}.wav")
        for language in ("zh_CN", "en"):
            for prompt in ("please_wait", "position_before", f"number_{position}", "position_after"):
                found = align.compare(wav.read_mono(PROMPTS / language / f"{prompt}.wav"), heard)
                assert found.correlation >= 0.95 and not found.slips, f"caller {position}, {language}/{prompt}: {found}"
        other = wav.read_mono(PROMPTS / "en" / f"number_{position + 4}.wav")
        assert align.compare(other, heard).correlation < 0.9, "a number that was not said is not found"
        music = align.compare(wav.read_mono(PROMPTS / "music.wav")[: 8000 * 8], heard)
        assert music.correlation >= 0.95, f"caller {position}: {music}"
    cdrs = house.product.get("/calls?limit=2")["calls"]
    assert {c["result"] for c in cdrs} == {"abandoned"} and min(c["wait_ms"] for c in cdrs) > 1000 * ANNOUNCED_EVERY_S
