"""Comfort messages of a queue on the switchboard, over a kill and an overflow.

The rig replays the whole journal after every step and compares, so each of these tests is one of replay too."""

import copy

from firmware.config.schema import check
from tests.control.switchboard_rig import CONFIG, Rig

SALES = "02150801001"
MESSAGES = [{"prompt": "web", "after_s": 30, "every_s": 60}, {"prompt": "sorry", "after_s": 10}]


def world(position_s=0, **settings):
    config = copy.deepcopy(CONFIG)
    config["queues"][0].update(settings, comfort=MESSAGES, announce_position_s=position_s)
    rig = Rig(config, register=())
    rig.offer(called=SALES)
    rig.played()
    assert rig.heard() == ["default"]
    return rig


def test_each_message_in_its_time_over_a_kill():
    rig = world()
    rig.wait(10000)
    assert rig.heard() == ["sorry zh_CN", "sorry en"]
    rig.played()
    assert rig.heard() == ["default"]
    rig.kill(away_ms=20000)
    assert rig.heard() == ["web zh_CN", "web en"]               # due while nobody was there
    rig.played()
    rig.wait(59999)
    assert rig.heard() == ["default"]
    rig.wait(1)
    assert rig.heard() == ["web zh_CN", "web en"]
    rig.hang_up()
    rig.finished()


def test_it_waits_for_the_position_to_be_said():
    rig = world(position_s=10)
    rig.wait(10000)
    assert rig.heard()[0] == "position_before zh_CN"
    rig.wait(4999)
    rig.played()
    rig.wait(1)
    assert rig.heard() == ["sorry zh_CN", "sorry en"]
    rig.hang_up()
    rig.finished()


def test_nobody_is_told_after_the_queue_was_left():
    rig = world(overflow=[{"when": "wait", "limit": 20, "to": "queue", "target": "operator"}])
    rig.wait(15000)
    rig.played()
    rig.wait(60000)
    assert [record["data"]["prompt"] for record in rig.journal if record["kind"] == "queue.comforted"] == ["sorry"]
    rig.hang_up()
    rig.finished()


def test_the_setting_is_checked():
    for wrong, words in (({"prompt": "a", "after_s": 0}, "1 to 3600"), ({"prompt": "a", "after_s": 9, "every_s": 2}, "too short"), ({"after_s": 9}, "missing")):
        errors = check({"queues": [{"name": "q", "comfort": [wrong]}]})[1]
        assert len(errors) == 1 and errors[0].path.startswith("queues[0].comfort[0].") and words in errors[0].advice
