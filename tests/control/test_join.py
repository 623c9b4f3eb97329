"""Telephones whose INVITE names a call (Join, Replaces), on the switchboard: who may, and who hears whom then."""

import pytest

from tests.control.test_acd import answer, ring
from tests.control.test_operations import consulting, floor, talking

TEAMS = [{"name": "red", "agents": ["1001"], "queues": []}]


def users(role="supervisor", teams=("red",), agent="1002"):
    return [{"name": "sue", "role": role, "agent": agent, "teams": list(teams)}]


def world(**more):
    """Agent 1001 talks with a caller; 1002 is the telephone of sue, who looks after 1001."""
    rig = floor()
    rig.sb.configure(dict(rig.config, users=users(**more), teams=TEAMS), rig.now)
    call, agent = talking(rig)
    return rig, call, agent


def invite(rig, line, leg="s5", **named):
    """A telephone's call that names another one."""
    return rig.do("leg.offered", leg=leg, tech="sip", line=line, caller=line, called="1001", called_complete=True, **named)


def over(rig, *legs):
    for leg in legs:
        rig.hang_up(leg)
    for recording in list(rig.sb.core.state.recordings):
        rig.do("media.record_closed", recording=recording, octets=1, duration_ms=1)
    rig.finished()


def test_a_supervisor_joins_and_leaves():
    rig, call, agent = world()
    invite(rig, "1002", joins=agent)
    assert rig.hears("s5") == sorted(["p1", agent]) and rig.hears("p1") == sorted([agent, "s5"])
    assert rig.call()["monitors"][0]["mode"] == "barge" and rig.agent("1002")["state"] == "talking" and rig.adapter["s5"] == "answered"
    rig.kill()
    assert rig.hears("s5") == sorted(["p1", agent])
    rig.hang_up("s5")
    assert rig.hears("p1") == [agent] and rig.agent("1002")["state"] == "idle"
    over(rig, "p1")


@pytest.mark.parametrize("more", ({"role": "agent"}, {"role": "inspector"}, {"teams": ()}, {"agent": "1003"}))
@pytest.mark.parametrize("how", ("joins", "replaces"))
def test_who_may_not(more, how):
    rig, call, agent = world(**more)
    invite(rig, "1002", **{how: agent})
    assert rig.hears("p1") == [agent] and "s5" not in rig.adapter
    assert "may not come into" in [r["data"]["reason"] for r in rig.journal if r["kind"] == "call.clearing"][-1]
    over(rig, "p1")


def test_a_full_conference_refuses_who_would_join():
    rig, call, agent = world()
    rig.sb.configure(dict(rig.sb.core.config, conference={"most": 2, "loudest": 0, "tones": False, "announce": "off"}), rig.now)
    invite(rig, "1002", joins=agent)
    assert rig.hears("p1") == [agent] and "s5" not in rig.adapter
    assert [r["data"]["reason"] for r in rig.journal if r["kind"] == "call.clearing"] == ["the conference of call %s is full: 2 take part at most" % call]
    invite(rig, "1002", replaces=agent)                 # makes nobody more
    assert rig.hears("p1") == ["s5"]
    over(rig, "p1")


def test_the_teams_of_each_user_at_the_line_count():
    rig, call, agent = world()
    two = [{"name": "sam", "role": "supervisor", "agent": "1002", "teams": ["blue"]}] + users()
    rig.sb.configure(dict(rig.sb.core.config, users=two, teams=TEAMS + [{"name": "blue", "agents": ["1003"], "queues": []}]), rig.now)
    invite(rig, "1002", joins=agent)
    assert rig.hears("p1") == sorted([agent, "s5"])
    over(rig, "s5", "p1")


def test_the_names_of_the_own_line_s_calls_are_told():
    """So that another telephone of the line can take what rings there; of other lines to who may come in only."""
    rig = floor()
    assert rig.sb.may_join("2002", "2002") and not rig.sb.may_join("2002", "1001")


def test_in_the_place_of_who_talks_and_of_who_rings():
    rig, call, agent = world()
    invite(rig, "1002", replaces=agent)
    assert rig.hears("p1") == ["s5"] and agent not in rig.adapter and rig.call()["agent"] == "1002"
    over(rig, "p1")
    rig = floor()
    ring(rig, "p1")
    ringing = rig.last("leg.create")["leg"]
    invite(rig, "2002", replaces=ringing)               # *8 is a code for it in this house
    assert rig.hears("p1") == ["s5"] and ringing not in rig.adapter
    over(rig, "p1")
    rig = floor()
    rig.sb.configure(dict(rig.config, feature_codes=[]), rig.now)
    ring(rig, "p1")
    invite(rig, "2002", replaces=rig.last("leg.create")["leg"])
    assert rig.call()["state"] == "queued" and "s5" not in rig.adapter
    over(rig, "p1")


def test_what_cannot_be_joined():
    rig, call, agent = world()
    invite(rig, "1002", joins="l999")
    assert "s5" not in rig.adapter
    other = consulting(rig, call, "2001", "line")
    invite(rig, "1002", "s6", replaces=agent)
    assert "s6" not in rig.adapter and rig.hears(agent) == [other]
    invite(rig, "1002", "s7", joins=agent)              # whoever the agent talks with
    assert "s7" in rig.adapter
    over(rig, "s7", "p1", agent)
