"""Calls to emergency numbers: from anywhere, never refused, and with a circuit even where all are taken.

On the small world of switchboard_rig.py, which replays the journal after each step; live: tests/live/pri_channel_cases.py."""

import copy

import pytest

from tests.control.switchboard_rig import CONFIG, Rig


# Who may call, and by what: (tech, span or SIP trunk); each trunk group bears the name and says nothing of classes.
ORIGINS = {"telephone": ("sip", None), "carrier": ("pri", 1), "pbx": ("pri", 3), "qsig": ("pri", 4), "old_r2": ("r2", 5), "bank_em": ("cas", 6), "bank_fxs": ("cas", 7),
           "ss7": ("ss7", 8), "gateway": ("sip", "gateway")}


def config(timeslots=3, tech="cas", reserved=0):
    """One way out with few circuits: span 2 of the group "few"; span 1 is the carrier's, 3 an exchange behind us; the others are as ORIGINS says."""
    changed = copy.deepcopy(CONFIG)
    changed["spans"] = [{"span": 1, "type": "e1", "d_timeslot": 16, "trunk_group": "carrier"},
                        {"span": 2, "type": "e1", "signalling": tech, "trunk_group": "few", tech: {"circuits": "1-%d" % timeslots}, "d_timeslot": 16},
                        {"span": 3, "type": "e1", "d_timeslot": 16, "trunk_group": "pbx", "side": "network"},
                        {"span": 4, "type": "e1", "d_timeslot": 16, "trunk_group": "qsig", "variant": "qsig"},
                        {"span": 5, "type": "e1", "signalling": "r2", "trunk_group": "old_r2", "r2": {}},
                        {"span": 6, "type": "e1", "signalling": "cas", "trunk_group": "bank_em", "cas": {"protocol": "em_immediate"}},
                        {"span": 7, "type": "e1", "signalling": "cas", "trunk_group": "bank_fxs", "cas": {"protocol": "fxs_loop"}},
                        {"span": 8, "type": "e1", "signalling": "ss7", "trunk_group": "ss7"}]
    changed["trunk_groups"] = [{"name": "carrier"}, {"name": "few", "caller_number": "4008001000", "reserved": reserved}, {"name": "pbx"}] + [
        {"name": name} for name in list(ORIGINS)[3:]]
    changed["routes"] = [{"number": "9.", "class": "national", "choices": [{"trunk_group": "few", "strip": 1}]},
                         {"number": "8.", "class": "premium", "choices": [{"trunk_group": "few", "strip": 1}]},
                         {"number": "110", "class": "emergency", "choices": [{"trunk_group": "few"}]}]
    changed["caller_lists"] = [{"name": "black", "treatment": "blocked", "numbers": ["139."], "prompt": ""}]
    for line in changed["lines"]:
        line["classes"] = ["internal", "national", "premium"]
    changed["lines"].append({"name": "2002", "classes": []})
    return changed


def world(changed=None, **more):
    rig = Rig(changed or config(**more), lazy=True, register=("1001", "1002", "1003", "2001", "2002"))
    for span in (1, 2, 3):
        rig.do("span.state", span=span, state="up", alarms=[])
    return rig


def out(rig, line, number, leg, answered=True):
    rig.dial(line, number, leg)
    create = rig.last("leg.create")
    if answered:
        rig.do("leg.answered", leg=create["leg"])
    return create


def called(rig, name, digits, leg):
    """A caller of one of ORIGINS, who gives the digits in these steps (over SIP at once)."""
    tech, span = ORIGINS[name]
    digits = digits[-1:] if tech == "sip" else digits
    if name == "telephone":
        rig.dial("2002", digits[-1], leg)
        return
    rig.do("leg.offered", leg=leg, tech=tech, trunk_group=name, span=span, timeslot=1 + int(leg[1:]), caller="13912345678", caller_presentation="allowed", called=digits[0],
           called_complete=len(digits) == 1)
    for so_far in digits[1:]:
        rig.do("leg.digits", leg=leg, called=so_far, called_complete=False)


def full(rig):
    """Three circuits taken: a national call, a premium one, and one that came in over the group."""
    one = out(rig, "1001", "9139", "s1")
    rig.wait(1000)
    two = out(rig, "1002", "8168", "s2")
    rig.wait(1000)
    rig.do("leg.offered", leg="p3", tech="cas", trunk_group="few", span=2, timeslot=3, caller="5551", caller_presentation="allowed", called="02150801000",
           called_complete=True)
    return one, two


def released(rig, leg):
    """Adapters end what they were asked to end of this leg alone."""
    rig.releasing = [row for row in rig.releasing if row[0] != leg]
    rig.do("leg.released", leg=leg, cause=8, by="near")


def call_of(rig, leg):
    return rig.sb.core.state.calls[rig.sb.core.state.legs[leg].call]


def test_a_circuit_is_taken_from_the_lowest_call():
    rig = world()
    one, two = full(rig)
    rig.dial("2002", "110", "e1")                   # a line that may call nothing else
    emergency = call_of(rig, "e1").id
    asked = [row["leg"] for row in rig.actions_of("leg.release")]
    assert sorted(asked) == sorted(["s2", two["leg"]]) and {row["cause"] for row in rig.actions_of("leg.release")} == {8}
    rig.dial("2001", "9138", "s4")                  # nobody else gets the circuit meanwhile
    assert rig.last("leg.create")["leg"] == two["leg"]
    rig.releasing = [row for row in rig.releasing if row[0] != "s4"]
    rig.do("leg.released", leg="s4", cause=34, by="near")
    released(rig, two["leg"])
    assert rig.last("leg.create")["leg"] == two["leg"], "the circuit has its guard time"
    rig.dial("2001", "9138", "s5")
    assert rig.last("leg.create")["leg"] == two["leg"]
    rig.wait(1000)
    create = rig.last("leg.create")
    assert (create["timeslot"], create["called"]["number"], create["priority"]) == (two["timeslot"], "110", True)
    rig.do("leg.answered", leg=create["leg"])
    assert call_of(rig, "e1").state == "talking" and call_of(rig, "s1").state == "talking" and call_of(rig, "p3").state == "ivr"
    rig.confirm()
    lost = next(cdr for cdr in rig.cdrs if cdr["called"] == "8168")
    assert (lost["cause"], lost["released_by"], lost["result"]) == (8, "switch", "answered")
    kinds = [row["kind"] for row in rig.journal if row["call"] == emergency]
    assert kinds.count("call.preempted") == 1 and kinds.index("call.preempting") < kinds.index("leg.created")


def test_over_a_death_of_control_and_with_a_deaf_far_end():
    rig = world()
    one, two = full(rig)
    rig.dial("2002", "110", "e1")
    rig.kill(sip_restores=False)
    assert call_of(rig, "e1").state == "ringing"
    rig.sb.checkpoint(rig.now)
    rig.settle()
    rig.wait(6000)                                  # the far end does not give the circuit back: the next one
    assert {row["leg"] for row in rig.actions_of("leg.release")} == {"s2", two["leg"], "s1", one["leg"]}
    released(rig, one["leg"])
    rig.wait(1000)
    assert rig.last("leg.create")["timeslot"] == one["timeslot"]
    rig.do("leg.released", leg="e1", cause=16, by="far")
    rig.confirm()
    rig.hang_up("p3")
    rig.confirm()
    rig.wait(60000)
    rig.finished()


def test_the_caller_gives_up_while_a_circuit_is_being_taken():
    rig = world()
    full(rig)
    rig.dial("2002", "110", "e1")
    rig.do("leg.released", leg="e1", cause=16, by="far")
    rig.confirm()
    assert out(rig, "2001", "9137", "s7", answered=False)["called"]["number"] == "137", "the circuit is anybody's again"
    assert rig.sb.core.state.timers.get("preempt", "l102") is None


def test_no_emergency_call_loses_its_circuit_to_another():
    rig = world(timeslots=1)
    first = out(rig, "1001", "110", "e1")
    rig.dial("2002", "110", "e2")
    assert rig.last("leg.create")["leg"] == first["leg"] and call_of(rig, "e1").state == "talking"
    assert [row["cause"] for row in rig.actions_of("leg.release") if row["leg"] == "e2"] == [34]


def test_a_call_that_is_ending_anyhow_is_waited_for():
    rig = world(timeslots=2)
    one = out(rig, "1001", "9139", "s1")
    two = out(rig, "1002", "9138", "s2")
    rig.do("leg.released", leg="s1", cause=16, by="far")            # its circuit is being released
    rig.dial("2002", "110", "e1")
    assert call_of(rig, "s2").state == "talking"
    released(rig, one["leg"])
    rig.wait(1000)
    assert rig.last("leg.create")["timeslot"] == one["timeslot"] and call_of(rig, "s2").state == "talking" and two


def test_pri_needs_no_guard_time():
    rig = world(tech="pri", timeslots=31)
    for number in range(30):
        rig.do("leg.offered", leg="p%d" % number, tech="pri", trunk_group="few", span=2, timeslot=number + 1 + (number > 14), caller="5551",
               caller_presentation="allowed", called="02150801000", called_complete=True)
    rig.dial("2002", "110", "e1")
    assert {row["leg"] for row in rig.actions_of("leg.release")} == {"p29"}, "the youngest"
    released(rig, "p29")
    assert rig.last("leg.create")["timeslot"] == 31


def test_callers_who_are_refused_otherwise():
    """A black list, a line in a call, an exchange behind us; a number of ours that a carrier sends is ours."""
    rig = world()
    rig.offer("p1", "110")                          # of a group that may dial through, and on the black list
    assert rig.last("leg.create")["called"]["number"] == "110"
    rig.offer("p2", "02150801000", timeslot=2)
    assert [row["cause"] for row in rig.actions_of("leg.release") if row["leg"] == "p2"] == [21], "to other numbers the list holds"
    out(rig, "1001", "9138", "s1")
    rig.dial("1001", "110", "s2")
    assert rig.last("leg.create")["called"]["number"] == "110"
    rig.do("leg.offered", leg="p5", tech="pri", trunk_group="pbx", span=3, timeslot=1, caller="8001", caller_presentation="allowed", called="110", called_complete=True)
    assert "p5" in rig.adapter and call_of(rig, "p5").application == "outside"


@pytest.mark.parametrize("name", ORIGINS)
@pytest.mark.parametrize("digits", (("110",), ("", "1", "11", "110")))
def test_callers_of_every_kind_of_origin_reach_it(name, digits):
    """Whose groups may dial nothing, and who are on the black list: with the last circuit, which is kept for such calls, and one that is taken from another call."""
    rig = world(reserved=1)
    called(rig, name, digits, "x1")
    create = rig.last("leg.create")
    assert (create["called"]["number"], create["trunk_group"], create["priority"]) == ("110", "few", True)
    rig.do("leg.answered", leg=create["leg"])
    one = out(rig, "1001", "9139", "s1")
    called(rig, name, ("110",), "x2")               # what was kept
    rig.do("leg.answered", leg=rig.last("leg.create")["leg"])
    called(rig, name, digits, "x3")
    assert call_of(rig, "x3").outside["waits"] == [one["leg"], 2, one["timeslot"]], "nothing is free: the other call gives its circuit"
    released(rig, one["leg"])
    rig.wait(1000)
    assert (rig.last("leg.create")["timeslot"], rig.last("leg.create")["called"]["number"]) == (one["timeslot"], "110")
    if name != "telephone":
        called(rig, name, ("9138",), "x4")
        assert rig.last("leg.release") == {"do": "leg.release", "leg": "x4", "cause": 21}, "to no other number"


def test_a_flow_calls_it_for_a_caller_of_a_carrier():
    changed = config()
    nodes = changed["ivr"]["main"]["nodes"]
    nodes["menu"]["choices"]["5"], nodes["help"] = "help", {"type": "outside", "number": "110", "failed": "goodbye", "ring_s": 60}
    rig = world(changed)
    full(rig)
    rig.offer("p1", caller="5551")
    rig.played()
    rig.press("5")
    waits = call_of(rig, "p1").outside["waits"]
    released(rig, waits[0])
    rig.wait(1000)
    assert rig.last("leg.create")["called"]["number"] == "110"


@pytest.mark.parametrize("ordered, cause", [("guests", 34), ("refused", 1)])
def test_what_a_person_ordered_for_a_group(ordered, cause):
    changed = config()
    changed["trunk_groups"][0].update(emergency=ordered, classes=["emergency"])
    rig = world(changed)
    full(rig)
    rig.offer("p1", "110", caller="5551")
    assert rig.actions_of("leg.release") == [{"do": "leg.release", "leg": "p1", "cause": cause}]
    told = rig.sb.explain("110", None, "carrier", rig.now)
    assert told["allowed"] is (ordered == "guests") and "would be taken" not in str(told)


@pytest.mark.parametrize("group, application", [("carrier", "queue"), ("pbx", "outside")])
def test_a_number_of_ours_that_reads_as_an_emergency_number(group, application):
    """A carrier that sends extensions of three digits means ours; who is behind us means help."""
    changed = config()
    changed["caller_lists"] = []
    changed["numbers"].append({"number": "1xx", "application": "queue", "target": "sales"})
    for digits in (("110",), ("11", "110")):
        rig = world(changed)
        called(rig, {"carrier": "carrier", "pbx": "pbx"}[group], digits, "x1")
        assert call_of(rig, "x1").application == application
    assert rig.sb.explain("110", None, group, rig.now)["application"] == application


def test_two_exchanges_that_send_it_to_each_other_take_no_call():
    """A carrier that sends us 110 gets it back only where circuits are free, and a few times at most; nobody loses a circuit to such a loop."""
    changed = config()
    changed["routes"][2]["choices"][0]["trunk_group"] = "carrier"
    rig = world(changed)
    for number in range(6):
        rig.offer("p%d" % number, "110", timeslot=1 + number, caller="5551")
    assert len(rig.actions_of("leg.create")) == 4
    assert rig.actions_of("leg.release") == [{"do": "leg.release", "leg": leg, "cause": 34} for leg in ("p4", "p5")]
    rig.dial("2002", "110", "e1")
    assert len(rig.actions_of("leg.create")) == 5, "others are not in it"


def test_circuits_that_are_locked_are_the_last_hope():
    rig = world(timeslots=2)
    out(rig, "1001", "110", "e1")
    rig.dial("2002", "110", "e2")
    assert "locked" not in rig.last("leg.create")
    rig.do("leg.released", leg=rig.last("leg.create")["leg"], cause=34, by="failure")       # drained, says its machine
    assert rig.last("leg.create")["locked"] and rig.last("leg.create")["timeslot"] == 2
    rig.kill(sip_restores=False)
    rig.do("leg.released", leg=rig.last("leg.create")["leg"], cause=34, by="failure")
    assert rig.last("leg.release") == {"do": "leg.release", "leg": "e2", "cause": 34}, "once"


def test_a_consultation_with_an_emergency_number_keeps_its_circuit():
    rig = world(timeslots=2)
    rig.dial("1001", "2001", "s1")
    rig.do("leg.answered", leg=rig.last("leg.create")["leg"])
    call = call_of(rig, "s1").id
    assert rig.command("command.consult", call=call, to="number", target="110") is None
    helped = rig.last("leg.create")
    assert helped["called"]["number"] == "110" and helped["priority"] is True
    rig.do("leg.answered", leg=helped["leg"])
    rig.kill(sip_restores=False)
    one = out(rig, "1002", "9138", "s2")
    rig.dial("2002", "110", "e1")
    assert {row["leg"] for row in rig.actions_of("leg.release")} == {"s2", one["leg"]}
    rig.dial("1003", "110", "e2")                   # the other circuit is nobody's to take
    assert helped["leg"] not in [row["leg"] for row in rig.actions_of("leg.release")] and helped["leg"] in rig.sb.core.state.legs


@pytest.mark.parametrize("steps, end", [(("", "1", "11", "110"), "110"), (("1", "19"), 21), (("", "0"), 21), (("02",), 21), (("1", "11", "110"), "110")])
def test_a_blocked_caller_behind_us_reaches_it_digit_by_digit(steps, end):
    rig = world()
    for number, called in enumerate(steps):
        assert "leg.release" not in [row["do"] for row in rig.actions], "not yet"
        if number:
            rig.do("leg.digits", leg="p1", called=called, called_complete=False)
        else:
            rig.do("leg.offered", leg="p1", tech="pri", trunk_group="pbx", span=3, timeslot=1, caller="13912345", caller_presentation="allowed",
                   called=called, called_complete=False)
    if end == "110":
        assert rig.last("leg.create")["called"]["number"] == "110"
    else:
        assert rig.last("leg.release") == {"do": "leg.release", "leg": "p1", "cause": end}


def test_a_blocked_caller_who_stops_in_the_middle_is_refused():
    rig = world()
    rig.do("leg.offered", leg="p1", tech="pri", trunk_group="pbx", span=3, timeslot=1, caller="13912345", caller_presentation="allowed", called="11", called_complete=False)
    rig.do("leg.digits", leg="p1", called="11", called_complete=True)
    assert rig.last("leg.release") == {"do": "leg.release", "leg": "p1", "cause": 21}


@pytest.mark.parametrize("digits, trunk_group, allowed", [("110", "pbx", True), ("9138", "pbx", False), ("110", "few", True), ("110", "carrier", True)])
def test_it_is_explained(digits, trunk_group, allowed):
    rig = world()
    told = rig.sb.explain(digits, None, trunk_group, rig.now)
    assert told["allowed"] is allowed


def test_hours_and_areas_shut_no_emergency_number():
    changed = config()
    changed["routes"][2] = {"number": "110", "class": "emergency", "choices": [{"trunk_group": "few", "areas": "021"}, {"trunk_group": "few", "days": "1", "from": "00:00", "to": "00:01"}]}
    changed["routes"].append({"number": "7.", "class": "national", "choices": [{"trunk_group": "few", "areas": "021"}]})
    rig = Rig(changed, lazy=True, register=("1001", "2001", "2002"))
    rig.do("span.state", span=2, state="up", alarms=[])
    rig.dial("2001", "7139", "s1")
    assert not rig.actions_of("leg.create")
    rig.dial("2002", "110", "e1")
    assert rig.last("leg.create")["called"]["number"] == "110" and rig.last("leg.create")["priority"]


def test_the_explanation_counts_no_circuit_that_is_locked():
    rig = world()
    told = rig.sb.explain("9139", "1001", None, rig.now, out_of_service={(2, 1), (2, 2), (5, 1)})["ways"][0]
    assert (told["trunks"], told["free"], told["blocked"], told["first"], told["why"]) == (3, 1, 2, [2, 3], None)
    told = rig.sb.explain("9139", "1001", None, rig.now, out_of_service={(2, 1), (2, 2), (2, 3)})["ways"][0]
    assert (told["free"], told["first"], told["why"]) == (0, None, "all circuits are locked or blocked")
    out(rig, "1001", "9139", "s1")
    told = rig.sb.explain("9139", "1002", None, rig.now, out_of_service={(2, 2), (2, 3)})["ways"][0]
    assert told["why"] == "all trunks are in use, but 2 that are locked or blocked"


def asking(rig):
    """The telephone 2001 talks with a caller of an exchange behind us; all circuits out are taken."""
    one, two = full(rig)
    rig.do("leg.offered", leg="p5", tech="pri", trunk_group="pbx", span=3, timeslot=5, caller="77", caller_presentation="allowed", called="02150801002", called_complete=True)
    ringing = rig.last("leg.create")
    assert ringing["line"] == "2001"
    rig.do("leg.answered", leg=ringing["leg"])
    return call_of(rig, "p5"), one, two


def test_an_agent_who_asks_an_emergency_number_in_a_call_gets_a_circuit():
    rig = world()
    call, one, two = asking(rig)
    assert not rig.do("command.consult", call=call.id, to="number", target="110x")
    rig.do("command.consult", call=call.id, to="number", target="9137")
    assert call_of(rig, "p5").consult is None and "no trunk is free" in rig.sb.refusal, "nobody else does"
    rig.do("command.consult", call=call.id, to="number", target="110")
    assert call_of(rig, "p5").seeking["of"] == two["leg"] and call_of(rig, "p5").held
    assert {row["cause"] for row in rig.actions_of("leg.release")} == {8}
    rig.do("command.consult", call=call.id, to="number", target="110")
    assert "in consultation already" in rig.sb.refusal
    rig.kill(sip_restores=False)
    rig.sb.checkpoint(rig.now)
    rig.settle()
    released(rig, two["leg"])
    rig.wait(1000)                                  # the circuit's guard time
    create = rig.last("leg.create")
    assert (create["timeslot"], create["called"]["number"], create["priority"]) == (two["timeslot"], "110", True)
    rig.do("leg.answered", leg=create["leg"])
    assert call_of(rig, "p5").consult["state"] == "talking" and call_of(rig, "p5").seeking is None
    rig.dial("2002", "110", "e2")                   # another one takes no circuit of this
    assert call_of(rig, "e2").outside["waits"][0] != create["leg"]


@pytest.mark.parametrize("end", ("retrieve", "far", "agent"))
def test_an_emergency_consultation_that_is_given_up_keeps_nothing(end):
    rig = world()
    call, one, two = asking(rig)
    rig.do("command.consult", call=call.id, to="number", target="110")
    if end == "retrieve":
        rig.do("command.retrieve", call=call.id)
        assert not call_of(rig, "p5").held
    else:
        rig.do("leg.released", leg="p5" if end == "far" else call_of(rig, "p5").agent_leg, cause=16, by="far")
        rig.confirm()
    rig.wait(10000)
    released(rig, two["leg"])
    rig.wait(1000)
    assert (rig.last("leg.create").get("called") or {}).get("number") != "110"
    assert out(rig, "1003", "9137", "s7", answered=False)["timeslot"] == two["timeslot"], "the circuit is anybody's again"


def test_a_deaf_far_end_costs_an_emergency_consultation_three_calls_at_most():
    rig = world()
    call, one, two = asking(rig)
    rig.do("command.consult", call=call.id, to="number", target="110")
    for _ in range(3):
        rig.wait(6000)
    assert call_of(rig, "p5").seeking is None and not call_of(rig, "p5").held, "the agent is with the caller again"
