"""A browser phone whose page is gone for a moment, or for good: what the other party hears meanwhile."""

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
