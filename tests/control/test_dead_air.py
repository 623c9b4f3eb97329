"""Conversations in which nobody speaks: who is listened to, when it is dead air, and the alarm; the rig replays the journal after every step."""

import copy

from firmware.chassis.alarms import Alarms
from firmware.chassis.audio_alarms import AudioAlarms
from tests.control.switchboard_rig import CONFIG, Rig


def world(after_s=20):
    return Rig(dict(copy.deepcopy(CONFIG), dead_air={"after_s": after_s}))


def silent(rig, leg, quiet=True, ms=20100):
    assert rig.do("media.heard", leg=leg, what="quiet", value={"quiet": quiet, "ms": ms})


def of_it(rig):
    return [record["kind"] for record in rig.journal if record["kind"].startswith("call.dead_air")]


def test_both_who_talk_are_listened_to_and_nobody_before():
    rig = world()
    rig.to_queue()
    assert not rig.actions_of("media.listen")
    agent = rig.last("leg.create")["leg"]
    rig.do("leg.answered", leg=agent)
    assert [(action["leg"], action["wishes"]) for action in rig.actions_of("media.listen")] == [("p1", {"quiet": 20}), (agent, {"quiet": 20})]


def test_off_at_first():
    rig = Rig()
    rig.to_talk()
    assert not rig.actions_of("media.listen")


def test_dead_air_is_when_both_are_silent_and_ends_with_a_word():
    rig = world()
    agent = rig.to_talk()
    silent(rig, "p1")
    assert not of_it(rig) and rig.call()["dead_air"] is None
    silent(rig, agent, ms=21000)
    assert rig.call()["dead_air"] == rig.now
    begun = [record for record in rig.journal if record["kind"] == "call.dead_air"][0]
    assert begun["data"] == {"legs": ["p1", agent], "ms": 20100}
    rig.kill()
    assert rig.call()["dead_air"] is not None, "it outlives a kill of control"
    assert ("media.listen", agent) in [(action["do"], action["leg"]) for action in rig.actions if action["do"] == "media.listen"][-2:]
    silent(rig, agent, quiet=False)
    assert of_it(rig) == ["call.dead_air", "call.dead_air_over"] and rig.call()["dead_air"] is None
    silent(rig, agent)
    assert of_it(rig) == ["call.dead_air", "call.dead_air_over", "call.dead_air"]
    rig.hang_up()
    rig.wait(10000)
    rig.finished()


def test_who_is_held_owes_nobody_a_word():
    rig = world()
    agent = rig.to_talk()
    silent(rig, "p1")
    assert rig.command("command.hold", call=rig.call()["call"], by="1001") is None
    silent(rig, agent)
    assert not of_it(rig)
    for leg in ("p1", agent):               # media says so as they leave the bridge
        silent(rig, leg, quiet=False)
    assert rig.command("command.retrieve", call=rig.call()["call"], by="1001") is None
    silent(rig, "p1")
    silent(rig, agent)
    assert of_it(rig) == ["call.dead_air"]


def test_by_command_without_the_setting():
    rig = Rig()
    agent = rig.to_talk()
    for leg in ("caller", "agent"):
        assert rig.command("command.listen", call=rig.call()["call"], leg=leg, quiet=5) is None
    silent(rig, "p1", ms=5000)
    silent(rig, agent, ms=5200)
    assert of_it(rig) == ["call.dead_air"]


class Listed:
    """The alarm list behind the records of a rig."""

    def __init__(self, silent=()):
        self.alarms = Alarms()
        self.audio = AudioAlarms(self.alarms, silent=silent)
        self.seen = 0

    def look(self, rig):
        self.audio.committed(rig.journal[self.seen:], rig.now)
        self.seen = len(rig.journal)
        for ms in (0, 400, 800):                # what comes together is grouped
            self.alarms.expire(rig.now + ms)
        return [(alarm["kind"], alarm["members"], alarm["detail"]) for alarm in self.alarms.active()]


def test_the_alarm_names_the_call_and_ends_with_it():
    rig, listed = world(), Listed()
    agent = rig.to_talk()
    for leg in ("p1", agent):
        silent(rig, leg)
    call = rig.call()["call"]
    assert listed.look(rig) == [("dead_air", ["call " + call], {"call " + call: "nobody has spoken for 20 s: leg p1, leg %s" % agent})]
    rig.hang_up()
    assert listed.look(rig) == []
