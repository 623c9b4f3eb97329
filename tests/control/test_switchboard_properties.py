"""Whatever comes in whatever order: nothing raises, nothing is lost, nothing stays seized.

The rig checks after every step that the replayed journal gives the same state, that no agent has two
calls, that queues keep their order and that each ended call has one CDR."""

from hypothesis import HealthCheck, given, settings, strategies as st

from tests.control.switchboard_rig import Rig
from tests.control.test_outside import config as outside_config

INDEX = st.integers(0, 11)
KINDS = ("leg.alerting", "leg.progress", "leg.answered", "leg.released", "leg.held", "leg.retrieved", "leg.digits", "media.rtp_timeout",
         "media.rtp_started")
STEP = st.one_of(
    st.tuples(st.just("offer"), INDEX, st.sampled_from(("02150801000", "02150801001", "02150801002", "0215", "", "99")), st.booleans()),
    st.tuples(st.just("dial"), st.sampled_from(("1001", "1002", "2001")), st.sampled_from(("1001", "1003", "2001", "02150801000", "*1"))),
    st.tuples(st.just("press"), INDEX, st.sampled_from("0123479*")),
    st.tuples(st.just("press"), INDEX, st.sampled_from("12")),
    st.tuples(st.just("played"), INDEX, st.sampled_from(("done", "error", "stopped", "replaced"))),
    st.tuples(st.just("leg"), INDEX, st.sampled_from(KINDS), st.sampled_from((16, 17, 19, 41)), st.sampled_from(("far", "near", "failure"))),
    st.tuples(st.just("answer"), INDEX), st.tuples(st.just("answer"), INDEX),
    st.tuples(st.just("status"), st.sampled_from(("1001", "1002", "1003", "9999")),
              st.sampled_from(("available", "available", "on_break", "logged_out", "odd"))),
    st.tuples(st.just("line"), st.sampled_from(("1001", "1002", "1003", "2001")), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from((1, 400, 5000, 15000, 60000))),
    st.tuples(st.just("confirm")), st.tuples(st.just("confirm")),
    st.tuples(st.just("recording"), INDEX, st.booleans()),
    st.tuples(st.just("hangup"), INDEX), st.tuples(st.just("again"), INDEX), st.tuples(st.just("backwards")),
    st.tuples(st.just("kill"), st.booleans()), st.tuples(st.just("checkpoint")), st.tuples(st.just("media"), st.booleans()),
    st.tuples(st.just("garbage"), st.sampled_from(KINDS + ("leg.offered", "media.digit", "agent.status", "x", None))))


class Player:
    """Turns drawn steps into events; keeps old events to repeat them."""

    def __init__(self, lazy, **world):
        self.rig = Rig(lazy=lazy, **world)
        self.count = 0
        self.past = []

    def leg(self, index):
        legs = sorted(self.rig.adapter) + ["l1", "p0"]
        return legs[index % len(legs)]

    def do(self, kind, **fields):
        self.past.append((kind, fields))
        self.rig.do(kind, **fields)

    def step(self, step):
        rig, name = self.rig, step[0]
        self.count += 1
        if name == "offer":
            self.do("leg.offered", leg="p%d" % self.count, tech="pri", trunk_group="carrier", span=1, timeslot=step[1] + 1, caller="139",
                    caller_presentation="allowed", called=step[2], called_complete=step[3], redirecting=None)
        elif name == "dial":
            self.do("leg.offered", leg="s%d" % self.count, tech="sip", line=step[1], caller=step[1], called=step[2], called_complete=True)
        elif name == "press":
            self.do("media.digit", leg=self.leg(step[1]), digit=step[2])
        elif name == "played":
            leg = self.leg(step[1])
            signal = rig.media["signals"].get(leg)
            if signal is not None and step[2] != "replaced":
                rig.media["signals"].pop(leg)
            self.do("media.signal_complete", leg=leg, token=signal["token"] if signal else "c1-1", reason=step[2])
        elif name == "leg":
            self.do(step[2], leg=self.leg(step[1]), cause=step[3], by=step[4], called="02150801000", called_complete=bool(step[1] % 2),
                    inband=bool(step[1] % 3), span=1 + step[1] % 3, timeslot=step[1] + 1)
        elif name == "span":
            self.do("span.state", span=step[1], state="up" if step[2] else "down", alarms=[])
        elif name == "answer":
            ringing = sorted(leg for leg, state in rig.adapter.items() if leg[0] == "l" and state == "setup")
            if ringing:
                self.do("leg.answered", leg=ringing[step[1] % len(ringing)])
        elif name == "status":
            self.do("agent.status", agent=step[1], status=step[2], reason="r")
        elif name == "line":
            self.do("line.registered" if step[2] else "line.unregistered", line=step[1])
        elif name == "wait":
            rig.wait(step[1])
        elif name == "confirm":
            rig.confirm()
        elif name == "recording":
            known = sorted(rig.sb.core.state.recordings) + ["r1"]
            recording = known[step[1] % len(known)]
            rig.media["recordings"].pop(recording, None)
            self.do("media.record_closed" if step[2] else "media.record_failed", recording=recording, octets=1, duration_ms=1, error="full")
        elif name == "hangup":
            calls = [call["call"] for call in rig.sb.snapshot(rig.now)["calls"]] + ["c0"]
            self.do("command.hangup", call=calls[step[1] % len(calls)])
        elif name == "again":
            if self.past:
                kind, fields = self.past[-1 - step[1] % len(self.past)]
                if kind != "leg.offered" or fields["leg"] in rig.adapter:
                    rig.do(kind, **fields)
        elif name == "backwards":
            rig.now -= 700
        elif name == "kill":
            rig.kill(sip_restores=step[1])
        elif name == "checkpoint":
            rig.sb.checkpoint(rig.now)
            rig.settle()
        elif name == "media":
            self.do("media.lost" if step[1] else "media.back")
        elif name == "garbage":
            assert not rig.sb.handle({"kind": step[1]}, rig.now)

    def end(self):
        """Every far side goes home, media tells what it closed: nothing may be left."""
        rig = self.rig
        rig.confirm()
        for leg in sorted(rig.adapter):
            if leg in rig.adapter:
                rig.do("leg.released", leg=leg, cause=16, by="far")
        rig.confirm()
        for _ in range(3):                          # a restart may still create legs towards agents
            for leg in sorted(rig.adapter):
                if leg in rig.adapter:
                    rig.do("leg.released", leg=leg, cause=16, by="far")
            rig.confirm()
        rig.wait(200000)
        rig.confirm()
        rig.finished()
        for agent in rig.sb.core.state.agents.values():
            assert agent.state == "idle" and agent.leg is None


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.booleans(), st.lists(STEP, min_size=5, max_size=40))
def test_any_order_of_events(lazy, steps):
    player = Player(lazy)
    for step in steps:
        player.step(step)
    player.end()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEP, min_size=5, max_size=30))
def test_the_same_events_give_the_same_journal(steps):
    journals = []
    for _ in range(2):
        player = Player(False)
        player.rig.checks = False
        for step in steps:
            player.step(step)
        journals.append((player.rig.journal, player.rig.actions))
    assert journals[0] == journals[1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 20000)), min_size=1, max_size=25), st.integers(0, 2))
def test_callers_are_served_in_their_order(moves, agents):
    """Nobody overtakes: an answered caller was the first of those who waited then."""
    rig = Rig(register=("1001", "1002")[:agents])
    waiting, count = [], 0
    for move, ms in moves:
        rig.wait(ms)
        if move < 5:
            count += 1
            leg = "p%d" % count
            waiting.append(leg)
            rig.offer(leg, called="02150801001", timeslot=count)
        elif move == 5 and waiting:
            rig.hang_up(waiting.pop())
        for leg in sorted(rig.adapter):
            if leg[0] == "l" and rig.adapter[leg] == "setup":
                rig.do("leg.answered", leg=leg)
                caller = rig.sb.core.state.calls[rig.sb.core.state.legs[leg].call].caller_leg
                waiting = [other for other in waiting if rig.adapter.get(other)
                           and rig.sb.core.state.calls[rig.sb.core.state.legs[other].call].state != "closing"]
                assert waiting.pop(0) == caller
        if move == 7:
            for leg in sorted(rig.adapter):
                if leg[0] == "l" and rig.adapter.get(leg) == "answered":
                    rig.hang_up(leg)


OUTSIDE_STEP = st.one_of(
    STEP, STEP,
    st.tuples(st.just("offer"), INDEX, st.sampled_from(("02150801009", "9139", "0215080100", "90044")), st.booleans()),
    st.tuples(st.just("dial"), st.sampled_from(("1001", "1002", "2001")), st.sampled_from(("9139", "90044", "98", "110", "9"))),
    st.tuples(st.just("press"), INDEX, st.just("5")),
    st.tuples(st.just("leg"), INDEX, st.sampled_from(("leg.seized", "leg.progress", "leg.alerting", "leg.released")),
              st.sampled_from((6, 17, 34, 38, 44)), st.sampled_from(("far", "failure"))),
    st.tuples(st.just("span"), st.sampled_from((1, 2, 3)), st.booleans()))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.booleans(), st.lists(OUTSIDE_STEP, max_size=25))
def test_calls_to_the_outside_in_any_order(lazy, steps):
    player = Player(lazy, config=outside_config(carrier={"classes": ["national"]}))
    for span in (1, 2, 3):
        player.do("span.state", span=span, state="up", alarms=[])
    for step in steps:
        player.step(step)
    player.end()
