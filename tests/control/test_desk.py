"""The desk on the switchboard: who calls is asked and told at ring, dispositions hold after-call work.

The rig replays the whole journal after every step and compares, so each of these tests is one of replay too."""

from tests.control.test_acd import answer, ring, world

DISPOSITIONS = [{"code": "sold", "label": "Sold"}, {"code": "later", "label": ""}]


def desk(lookup="", agents=None, **sales):
    rig = world(agents, sales)
    rig.sb.configure(dict(rig.config, desk={"screen_pop": True, "customer_lookup": lookup}), rig.now)
    rig.config = rig.sb.core.config
    rig.settle()
    return rig


def of(rig, kind):
    return [(record["agent"], record["data"]) for record in rig.journal if record["kind"] == kind]


def found(rig, **more):
    asked = rig.last("customer.ask")
    return rig.do("customer.found", **{"call": asked["call"], "source": "none", "customer": None, **more})


def test_who_calls_is_asked_once_and_told_when_it_is_known():
    rig = desk(lookup="crm")
    assert ring(rig, "p1") == "1001"
    asked, = rig.actions_of("customer.ask")
    assert (asked["lookup"], asked["caller"]) == ("crm", "13912345678") and of(rig, "agent.popped") == []
    rig.kill()
    assert len(rig.actions_of("customer.ask")) == 2, "asked again after a restart"
    assert found(rig, customer="p77", source="own", key="x1", others=1)
    assert of(rig, "agent.popped") == [("1001", {"customer": "p77", "source": "own", "key": "x1"})]
    assert not found(rig, customer="p78", source="own"), "the first answer counts"
    rig.kill()
    assert len(rig.actions_of("customer.ask")) == 2
    rig.wait(16000)                     # not taken: the next one sees it at once
    assert [agent for agent, _ in of(rig, "agent.popped")] == ["1001", "1001", "1002"], "the restart let the first ring anew"
    assert rig.call()["customer"] == "p77"
    assert "13912345678" not in str([record for record in rig.journal if record["kind"].startswith(("agent.popped", "call.customer"))])


def test_an_answer_that_comes_late_reaches_who_has_the_call():
    rig = desk()
    ring(rig, "p1")
    answer(rig)
    found(rig)
    assert of(rig, "agent.popped") == [("1001", {"customer": None, "source": "none"})]


def test_callers_without_a_number_and_our_own_telephones_are_not_looked_for():
    rig = desk()
    ring(rig, "p1", caller=None)
    assert rig.actions_of("customer.ask") == [] and of(rig, "agent.popped") == [("1001", {"customer": None, "source": "none"})]
    rig.dial("2001", "1002", "s1")
    assert rig.actions_of("customer.ask") == [] and len(of(rig, "agent.popped")) == 1


def test_everybody_whose_telephone_rings_is_told():
    rig = desk(strategy="ring_all")
    ring(rig, "p1")
    found(rig, customer="p1", source="own")
    assert sorted(agent for agent, _ in of(rig, "agent.popped")) == ["1001", "1002", "1003"]


def test_a_consulted_agent_is_told():
    rig = desk()
    ring(rig, "p1")
    answer(rig)
    found(rig, customer="p1", source="own")
    assert rig.command("command.consult", call=rig.call()["call"], to="agent", target="1002") is None
    assert of(rig, "agent.popped")[-1][0] == "1002"


def wrapping(seconds=5, **sales):
    rig = desk(agents={"1001": {"wrap_up_s": seconds}}, dispositions=DISPOSITIONS, **sales)
    ring(rig, "p1")
    answer(rig)
    return rig, rig.call()["call"]


def test_a_disposition_is_one_of_the_queues_and_comes_back_to_the_agent():
    rig, call = wrapping()
    assert "sold, later" in rig.command("command.dispose", call=call, code="x", agent="1001")
    assert rig.command("command.dispose", call=call, code="sold", agent="1001", by="anna") is None
    rig.hang_up("p1")
    rig.wait(5000)
    assert rig.agent("1001")["state"] == "idle"
    assert of(rig, "call.disposed") == [("1001", {"code": "sold", "by": "anna"})]
    assert rig.command("command.dispose", call=call, code="later", agent="1001", queue="sales") is None, "also later"
    assert "no queue" in rig.command("command.dispose", call=call, code="later", agent="1001")


def test_after_call_work_waits_for_the_disposition_that_the_queue_wants():
    rig, call = wrapping(disposition_required=True)
    rig.hang_up("p1")
    for fields in ({"status": "logged_out"}, {"status": "available"}):
        assert "sold, later" in rig.command("agent.status", agent="1001", **fields)
    assert "disposition" in rig.command("command.wrap_up", agent="1001", end=True)
    rig.wait(6000)
    assert (rig.agent("1001")["state"], rig.agent("1001")["undone"]) == ("wrap_up", True)
    assert "disposition" in rig.command("command.wrap_up", agent="1001")
    rig.kill()
    rig.wait(600000)
    assert rig.agent("1001")["state"] == "wrap_up" and ring(rig, "p2") == "1002"
    assert rig.command("command.dispose", call=call, code="sold", agent="1001") is None
    assert (rig.agent("1001")["state"], rig.agent("1001")["undone"]) == ("idle", False)


def test_given_while_talking_it_holds_up_nobody():
    rig, call = wrapping(disposition_required=True)
    rig.command("command.dispose", call=call, code="sold", agent="1001")
    rig.hang_up("p1")
    assert rig.command("command.wrap_up", agent="1001", end=True) is None and rig.agent("1001")["state"] == "idle"


def test_without_time_for_after_call_work_the_disposition_is_waited_for_all_the_same():
    rig, call = wrapping(0, disposition_required=True)
    rig.hang_up("p1")
    assert (rig.agent("1001")["state"], rig.agent("1001")["undone"]) == ("wrap_up", True)
    rig.command("command.dispose", call=call, code="sold", agent="1001")
    assert rig.agent("1001")["state"] == "idle"


def test_a_supervisor_ends_it_without_and_a_configuration_frees():
    rig, call = wrapping(disposition_required=True)
    rig.hang_up("p1")
    assert rig.command("agent.status", agent="1001", status="logged_out", by="supervisor") is None
    assert rig.agent("1001")["state"] == "idle" and of(rig, "call.undisposed") == [("1001", {"by": "supervisor"})]
    rig.command("agent.status", agent="1001", status="available")
    assert served_again(rig) == "wrap_up"
    rig.sb.configure(dict(rig.config, queues=[dict(row, disposition_required=False) for row in rig.config["queues"]]), rig.now)
    rig.settle()
    assert rig.agent("1001")["state"] == "idle"


def served_again(rig):
    for name in ("1002", "1003"):
        rig.do("agent.status", agent=name, status="logged_out")
    assert ring(rig, "p5") == "1001"
    answer(rig)
    rig.hang_up("p5")
    rig.wait(6000)
    return rig.agent("1001")["state"]


def test_what_the_desk_writes_down_is_checked():
    rig = desk()
    assert "nothing that the desk" in rig.command("command.desk", record="agent.idle", data={})
    assert "nothing that the desk" in rig.command("command.desk", record="ticket.opened", data={"template": "x"})
    assert rig.command("command.desk", record="ticket.opened", data={"template": "x", "state": "new"}) is None
    assert rig.sb.answer == {"ticket": "t101"}
