"""A browser phone whose page is gone for a moment, or for good: what the other party hears meanwhile."""

import pytest

from tests.control.test_acd import answer, ring
from tests.control.test_operations import floor, talking


def kinds(rig, *wanted):
    return [record["kind"] for record in rig.journal if record["kind"] in wanted]


def test_the_caller_hears_music_until_the_page_is_back():
    rig = floor()
    call, agent = talking(rig)
    rig.do("leg.away", leg=agent)
    assert rig.hears("p1") == [] and rig.heard() == ["default"] and rig.call()["held"]
    rig.do("leg.away", leg=agent)                   # said twice: nothing
    rig.kill()
    assert rig.heard() == ["default"]
    rig.do("leg.back", leg=agent)
    assert rig.hears("p1") == [agent] and rig.heard() is None and not rig.call()["held"]
    rig.do("leg.back", leg=agent)
    assert kinds(rig, "leg.away", "leg.back", "call.held", "call.retrieved") == ["leg.away", "call.held", "leg.back", "call.retrieved"]
    rig.hang_up("p1")
    rig.finished()


def test_a_page_that_dialled_leaves_the_called_side_with_music():
    rig = floor()
    rig.dial("2001", "1002", "s1")
    called = rig.last("leg.create")["leg"]
    rig.do("leg.alerting", leg=called)
    rig.do("leg.answered", leg=called)
    rig.do("leg.away", leg="s1")
    assert rig.hears(called) == [] and rig.heard(called) == ["default"]
    rig.do("leg.back", leg="s1")
    assert rig.hears(called) == ["s1"] and rig.heard(called) is None
    rig.do("leg.away", leg="s1")
    rig.do("leg.released", leg="s1", cause=41, by="near")
    assert rig.heard(called) == ["busy"]
    rig.wait(6000)
    rig.finished()


def test_what_a_person_holds_is_not_given_back_by_the_page():
    rig = floor()
    call, agent = talking(rig)
    rig.command("command.hold", call=call)
    rig.do("leg.away", leg=agent)
    rig.do("leg.back", leg=agent)
    assert rig.heard() == ["default"] and rig.call()["held"]
    rig.command("command.retrieve", call=call)
    rig.do("leg.away", leg=agent)
    rig.command("command.retrieve", call=call)      # a supervisor's word, say
    rig.do("leg.back", leg=agent)
    assert rig.hears("p1") == [agent] and not rig.call()["held"]
    rig.hang_up("p1")
    rig.finished()


def test_nobody_is_held_who_is_in_consultation_or_does_not_talk():
    from tests.control.test_operations import consulting
    rig = floor()
    call, agent = talking(rig)
    other = consulting(rig, call)
    rig.do("leg.away", leg=agent)
    rig.do("leg.back", leg=agent)
    assert rig.hears(agent) == [other] and rig.heard() == ["default"]
    rig.hang_up(other)
    rig.hang_up("p1")
    rig.finished()
    rig.do("leg.away", leg="l99")                   # of nobody
    assert kinds(rig, "leg.away") == ["leg.away"]


# Telephones that do not come back.

def fails(rig, leg):
    """A page was closed for good: as links/sip_browsers.py has it."""
    rig.do("leg.away", leg=leg)
    rig.do("leg.released", leg=leg, cause=41, by="near")


def two_callers(rig):
    """A caller who has waited 4 s talks with 1001 for 30 s; another one has waited for 20 s of them.  The agent's leg."""
    rig.do("agent.status", agent="1001", status="on_break")
    rig.do("agent.status", agent="1002", status="on_break")
    assert ring(rig, "p1") is None
    rig.wait(4000)
    rig.do("agent.status", agent="1001", status="available")
    answer(rig)
    agent = rig.last("leg.create")["leg"]
    rig.wait(10000)
    ring(rig, "p2")
    rig.wait(20000)
    return agent


@pytest.mark.parametrize("by, cause", (("near", 41), ("failure", 41)))
def test_the_caller_of_an_agent_whose_telephone_died_is_the_first_in_the_queue_again(by, cause):
    rig = floor()
    agent = two_callers(rig)
    rig.do("leg.released", leg=agent, cause=cause, by=by)
    assert rig.call()["state"] == "queued" and rig.heard() == ["please_wait zh_CN", "please_wait en"], "no busy tone"
    assert rig.queue("sales")["waiting"] == 2 and (rig.agent("1001")["status"], rig.agent("1001")["reason"]) == ("on_break", "line out of reach"), "not asked again at once"
    rig.wait(6000)
    rig.kill()
    rig.do("agent.status", agent="1002", status="available")
    assert rig.last("leg.create")["line"] == "1002"
    answer(rig)
    second = rig.last("leg.create")["leg"]
    assert rig.hears("p1") == [second] and rig.queue("sales")["waiting"] == 1, "before the other one, who came later"
    rig.wait(7000)
    rig.hang_up("p1")
    rig.hang_up("p2")
    for recording in list(rig.sb.core.state.recordings):
        rig.do("media.record_closed", recording=recording, octets=1, duration_ms=1)
    cdr = [row for row in rig.cdrs if row["result"] == "answered"][0]
    assert (cdr["wait_ms"], cdr["talk_ms"], cdr["agents"], cdr["transfers"]) == (4000 + 6300, 37000, ["1001", "1002"], 0)
    assert len(cdr["recording"]) == 2
    figures = rig.sb.core.state.statistics.queue_figures("sales", rig.now)
    assert [figures[name] for name in ("queued", "answered", "abandoned", "answer_wait_ms", "handled", "handle_ms")] == [2, 1, 1, 4000, 1, 37000]
    assert [rig.sb.core.state.statistics.agent_figures(name, rig.now)["handled"] for name in ("1001", "1002")] == [1, 1]


def test_a_caller_who_gives_up_after_that_was_answered_all_the_same():
    rig = floor()
    agent = two_callers(rig)
    fails(rig, agent)
    rig.wait(5000)
    rig.hang_up("p1")
    assert rig.cdrs[-1]["result"] == "answered" and rig.cdrs[-1]["wait_ms"] == 9000
    rig.hang_up("p2")
    figures = rig.sb.core.state.statistics.queue_figures("sales", rig.now)
    assert [figures[name] for name in ("queued", "answered", "abandoned", "handled")] == [2, 1, 1, 1]


def test_the_recording_goes_on_in_the_same_file_where_transfers_have_it_so():
    rig = floor()
    rig.sb.configure(dict(rig.config, recording={"enabled": True, "on_transfer": "mark"}), rig.now)
    call, agent = talking(rig)
    fails(rig, agent)
    answer(rig)                                     # whoever is ready next
    assert rig.hears("p1") == [rig.last("leg.create")["leg"]] and len(rig.media["recordings"]) == 1
    assert [(r["data"]["left"], r["data"]["right"]) for r in rig.journal if r["kind"] == "recording.segment"] == [(None, None), ("p1", rig.last("leg.create")["leg"])]


def test_whom_the_agent_asked_meanwhile_is_let_go():
    from tests.control.test_operations import consulting
    rig = floor()
    call, agent = talking(rig)
    other = consulting(rig, call, "2001", "line")
    rig.do("leg.released", leg=agent, cause=41, by="failure")
    assert rig.call()["state"] == "queued" and other not in rig.adapter and rig.call()["consult"] is None
    rig.hang_up("p1")


def test_nobody_logged_in_is_told_as_the_queue_s_rules_say():
    rig = floor()
    rig.config["queues"][0]["overflow"] = [{"when": "no_agents", "limit": 0, "to": "flow", "target": "main"}]
    rig.sb.configure(rig.config, rig.now)
    call, agent = talking(rig)
    for name in ("1001", "1002", "1003"):
        rig.do("agent.status", agent=name, status="logged_out")
    fails(rig, agent)
    assert rig.call()["state"] == "ivr"
    rig.hang_up("p1")


def test_who_was_called_directly_leaves_busy_tone_as_before():
    rig = floor()
    rig.offer("p1", called="02150801002")
    answer(rig)
    fails(rig, rig.last("leg.create")["leg"])
    assert rig.heard() == ["busy"]
