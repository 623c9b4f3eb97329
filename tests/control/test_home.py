"""Home agents: what the switchboard decides, on the small world of switchboard_rig.py.  The rig replays the journal after each step."""

import pytest

from firmware.control.core_parties import rooms
from tests.control.switchboard_rig import Rig
from tests.control.test_outside import config as outside_config

NUMBER = "913911112222"


class Home(Rig):
    """Agent 1001's line is an ordinary telephone.  real: the trunk's leg to it."""

    def check_bridges(self):
        core = self.sb.core
        for call in core.state.calls.values():
            if call.state == "talking":
                for bridge, members, heard in rooms(core, call):
                    wanted = [core.real_leg(leg) for leg in members + [row[0] for row in heard]]
                    there = [leg for leg in self.media["bridges"].get(bridge) or [] if leg in core.state.legs]
                    assert sorted(there) == sorted(wanted), (call.dump(), there, wanted)

    def home(self):
        return next(line for line in self.sb.snapshot(self.now)["lines"] if line["name"] == "1001")["home"]

    @property
    def real(self):
        return self.home()["leg"]


def house(up=(1, 2, 3), pin=None, queues=("sales",), **home):
    made = outside_config()
    made["agents"] = [dict(row, initial_status="logged_out") for row in made["agents"]]
    made["agents"][0].update({"pin": pin} if pin else {}, queues=[{"queue": name, "level": 1} for name in queues])
    for line in made["lines"]:
        if line["name"] == "1001":
            line["home"] = dict({"number": NUMBER, "mode": "nailed", "confirm": "key", "answer": "auto", "announce": "tone", "ring_s": 45}, **home)
    rig = Home(made, register=("1002", "1003", "2001"))
    for span in up:
        rig.do("span.state", span=span, state="up", alarms=[])
    return rig


def log_in(rig):
    assert rig.command("command.log_in", agent="1001", line="1001", **({"pin": "4711"} if rig.sb.core.agent_configs["1001"].get("pin") else {})) is None
    return rig.last("leg.create")


def seated(**settings):
    """The agent is logged in, and the telephone is up."""
    rig = house(**settings)
    create = log_in(rig)
    rig.do("leg.alerting", leg=create["leg"])
    rig.do("leg.answered", leg=create["leg"])
    if rig.home()["state"] == "asking":
        rig.press("5", create["leg"])
    assert rig.home()["state"] == "up" and rig.agent("1001")["registered"]
    return rig


def caller(rig, leg="p1", **more):
    rig.offer(leg, called="02150801001", **more)


def test_log_in_calls_the_telephone_and_a_key_proves_a_person():
    rig = house()
    create = log_in(rig)
    assert (create["tech"], create["called"]["number"], create["line"]) == ("pri", "13911112222", None)
    assert rig.home()["state"] == "calling" and not rig.agent("1001")["registered"]
    caller(rig)
    assert rig.call(1)["offered_agent"] is None, "nobody is offered to a telephone that is not there"
    rig.do("leg.alerting", leg=create["leg"])
    rig.do("leg.answered", leg=create["leg"])
    assert rig.home()["state"] == "asking" and rig.heard(create["leg"])[0] == "duty_confirm zh_CN"
    rig.press("5", create["leg"])
    assert rig.call(1)["offered_agent"] == "1001" and rig.heard(create["leg"]) == ["ringback 400"]
    rig.played(create["leg"])
    assert rig.hears("p1") == [create["leg"]] and rig.agent("1001")["state"] == "talking" and rig.call(1)["agent"] == "1001"
    assert rig.media["recordings"] and [row["right"] for row in rig.media["recordings"].values()] == [create["leg"]]


def test_the_leg_stays_up_over_calls_and_goes_at_the_log_out():
    rig = seated()
    real = rig.real
    for number in range(3):
        caller(rig, "p%d" % (number + 1))
        rig.played(real)
        assert rig.hears(real) == ["p%d" % (number + 1)]
        rig.hang_up("p%d" % (number + 1))
        assert rig.real == real and rig.hears(real) == [] and rig.heard(real) == ["1000"] and rig.agent("1001")["state"] == "wrap_up"
        rig.wait(6000)
    assert [cdr["result"] for cdr in rig.cdrs] == ["answered"] * 3 and all(cdr["agent"] == "1001" for cdr in rig.cdrs)
    assert rig.do("agent.status", agent="1001", status="logged_out")
    assert rig.home()["state"] == "down" and rig.home()["why"] == "agent 1001 has logged out" and not rig.adapter
    cdr = rig.cdrs[-1]
    assert (cdr["application"], cdr["called"], cdr["agent"], cdr["line"], cdr["dialled"]) == ("home", NUMBER, "1001", "1001", "13911112222")
    assert not rig.sb.snapshot()["calls"] and not rig.media["bridges"] and not rig.media["terminations"] and not rig.sb.core.state.serving


def test_logging_out_in_a_call_finishes_it_first():
    rig = seated()
    caller(rig)
    rig.played(rig.real)
    rig.do("agent.status", agent="1001", status="logged_out")
    assert rig.home()["state"] == "up" and rig.hears("p1")
    rig.hang_up("p1")
    rig.wait(6000)
    assert rig.home()["state"] == "down" and not rig.adapter


def test_a_dropped_leg_sets_its_agent_away_and_available_calls_again():
    rig = seated()
    caller(rig)
    rig.played(rig.real)
    rig.hang_up(rig.real)
    agent = rig.agent("1001")
    assert (agent["status"], agent["reason"], agent["registered"]) == ("on_break", "telephone lost", False)
    assert rig.cdrs[-1]["result"] == "answered" or rig.cdrs[-2]["result"] == "answered"
    caller(rig, "p2")
    assert [call["offered_agent"] for call in rig.sb.snapshot()["calls"]] == [None]
    rig.wait(6000)
    before = len(rig.actions_of("leg.create"))
    assert rig.do("agent.status", agent="1001", status="available") and len(rig.actions_of("leg.create")) == before + 1
    rig.do("leg.answered", leg=rig.last("leg.create")["leg"])
    rig.press("1", rig.real)
    rig.played(rig.real)
    assert rig.hears("p2") == [rig.real]


def test_a_drop_while_a_caller_is_announced_offers_the_caller_to_another_one():
    rig = seated()
    caller(rig)
    rig.hang_up(rig.real)
    assert rig.agent("1001")["status"] == "on_break" and rig.call()["state"] == "queued" and rig.call()["offered_agent"] is None
    rig.do("agent.status", agent="1002", status="available")
    assert rig.call()["offered_agent"] == "1002"


def test_nobody_answers_or_the_trunks_are_busy():
    rig = house()
    create = log_in(rig)
    rig.hang_up(create["leg"], cause=17)
    assert (rig.agent("1001")["status"], rig.agent("1001")["reason"]) == ("on_break", "telephone not reached")
    log_in(rig)
    rig.wait(46_000)
    assert rig.agent("1001")["reason"] == "telephone not reached" and not rig.adapter
    down = house(up=())
    assert down.command("command.log_in", agent="1001", line="1001") is None
    assert down.agent("1001")["reason"] == "telephone not reached" and "no trunk" in down.home()["why"]


def test_a_number_that_the_line_may_not_call_is_refused_in_the_journal():
    rig = house(number="90044123")
    rig.command("command.log_in", agent="1001", line="1001")
    refused = [record for record in rig.journal if record["kind"] == "home.refused"]
    assert "may not make international calls" in refused[0]["data"]["why"] and rig.agent("1001")["reason"] == "telephone not reached"
    assert not rig.actions_of("leg.create")


def test_the_code_is_asked_and_stands_nowhere():
    rig = house(pin="4711", confirm="pin")
    real = log_in(rig)["leg"]
    rig.do("leg.answered", leg=real)
    assert rig.heard(real)[0] == "enter_code zh_CN"
    for key in "4710" + "47" + "#" + "4711":
        rig.press(key, real)
    assert rig.home()["state"] == "up" and "4711" not in str(rig.journal)
    wrong = house(pin="4711", confirm="pin")
    real = log_in(wrong)["leg"]
    wrong.do("leg.answered", leg=real)
    for key in "000000000000":
        wrong.press(key, real)
    assert wrong.home()["state"] == "down" and "wrong 3 times" in wrong.home()["why"] and wrong.agent("1001")["reason"] == "telephone not reached"


def test_a_machine_presses_nothing():
    rig = house()
    rig.do("leg.answered", leg=log_in(rig)["leg"])
    rig.wait(20_000)
    assert rig.home()["state"] == "down" and "pressed a key" in rig.home()["why"] and not rig.adapter


def test_a_key_takes_the_caller_where_that_is_wanted_and_no_key_is_a_missed_offer():
    rig = seated(answer="key")
    caller(rig)
    assert rig.heard(rig.real) == ["ringback"] and rig.agent("1001")["state"] == "offered"
    rig.press("1", rig.real)
    assert rig.hears("p1") == [rig.real]
    rig.hang_up("p1")
    rig.wait(6000)
    caller(rig, "p2")
    rig.wait(15_000)
    assert rig.home()["state"] == "up" and rig.agent("1001")["state"] == "idle" and rig.heard(rig.real) == ["1000"]
    assert (rig.agent("1001")["status"], rig.agent("1001")["reason"]) == ("on_break", "missed offer")


@pytest.mark.parametrize("announce, heard", [("none", ["1000"]), ("queue_sales", ["queue_sales zh_CN"])])
def test_what_is_said_before_a_caller(announce, heard):
    rig = seated(announce=announce)
    caller(rig)
    if announce == "none":
        assert rig.hears("p1") == [rig.real]
    else:
        assert rig.heard(rig.real) == heard
        rig.played(rig.real)
        assert rig.hears("p1") == [rig.real]


def test_for_each_call_the_telephone_is_called_anew():
    rig = house(mode="per_call")
    assert rig.command("command.log_in", agent="1001", line="1001") is None
    assert not rig.actions_of("leg.create") and rig.agent("1001")["registered"]
    for number in (1, 2):
        caller(rig, "p%d" % number)
        create = rig.last("leg.create")
        assert create["called"]["number"] == "13911112222" and rig.agent("1001")["state"] == "offered"
        rig.do("leg.alerting", leg=create["leg"])
        rig.do("leg.answered", leg=create["leg"])
        assert rig.hears("p%d" % number) == [] and rig.heard(create["leg"])[0] == "duty_confirm zh_CN"
        rig.press("1", create["leg"])
        assert rig.hears("p%d" % number) == [create["leg"]]
        if number == 1:
            rig.hang_up(create["leg"])
            assert rig.agent("1001")["status"] == "available"
        else:
            rig.hang_up("p2")
        assert not rig.adapter and rig.home()["state"] == "down"
        rig.wait(6000)
    assert [cdr["application"] for cdr in rig.cdrs] == ["home", "queue"] * 2 or sorted(cdr["application"] for cdr in rig.cdrs) == ["home", "home", "queue", "queue"]
    caller(rig, "p3")
    create = rig.last("leg.create")
    rig.hang_up("p3")
    assert not rig.adapter and rig.home()["state"] == "down", "the set-up ends with the caller"
    rig.do("agent.status", agent="1001", status="logged_out")
    assert not rig.agent("1001")["registered"]


def test_a_busy_telephone_is_a_refused_offer():
    rig = house(mode="per_call")
    rig.command("command.log_in", agent="1001", line="1001")
    caller(rig)
    rig.hang_up(rig.last("leg.create")["leg"], cause=17)
    assert (rig.agent("1001")["status"], rig.agent("1001")["reason"]) == ("on_break", "offer refused")
    assert rig.call()["state"] == "queued"


def limited(rig, most=200):
    """So many records and no more: what would go on for ever fails instead."""
    emit, count = rig.sb.core.emit, []

    def counted(*args, **more):
        count.append(1)
        assert len(count) < most, "the switchboard does not come to rest"
        return emit(*args, **more)
    rig.sb.core.emit = counted


@pytest.mark.parametrize("up, number, why", [((), NUMBER, "trunk"), ((1,), "6666", "no route"), ((1,), "90044123", "international")])
def test_an_offer_that_fails_at_once_is_made_again_later_and_is_no_missed_one(up, number, why):
    rig = house(mode="per_call", number=number)
    rig.command("command.log_in", agent="1001", line="1001")
    for span in {1, 2, 3} - set(up):
        rig.do("span.state", span=span, state="down", alarms=["los"])
    rig.config["queues"][0].update(missed_offers=0, missed_pause_s=0)
    rig.sb.configure(rig.config, rig.now)
    limited(rig)
    caller(rig)
    rig.wait(3500)
    offered = [record["ts_ms"] for record in rig.journal if record["kind"] == "agent.offered"]
    assert offered == [offered[0] + 1000 * index for index in range(4)]
    assert rig.agent("1001")["missed"] == 0 and rig.call()["state"] == "queued"
    assert why in [record["data"]["why"] for record in rig.journal if record["kind"] in ("home.refused", "home.down")][0]


def test_trunks_that_are_short_set_nobody_away():
    rig = house(mode="per_call", up=(1, 3))
    rig.command("command.log_in", agent="1001", line="1001")
    caller(rig)
    for _ in range(4):
        rig.hang_up(rig.last("leg.create")["leg"], cause=34)
    assert (rig.agent("1001")["status"], rig.agent("1001")["missed"], rig.agent("1001")["rests"]) == ("available", 0, True)
    rig.wait(5000)
    rig.hang_up(rig.last("leg.create")["leg"], cause=1)
    assert (rig.agent("1001")["status"], rig.agent("1001")["reason"]) == ("on_break", "line out of reach")


def test_a_span_that_comes_up_asks_no_trunks_for_who_has_a_telephone(monkeypatch):
    rig = seated()
    monkeypatch.setattr(rig.sb.core.router, "outside", None)
    rig.do("span.state", span=2, state="down", alarms=["los"])
    rig.do("span.state", span=2, state="up", alarms=[])
    assert rig.home()["state"] == "up"


def test_a_line_that_is_gone_leaves_nothing():
    rig = seated()
    rig.config["lines"] = [line for line in rig.config["lines"] if line["name"] != "1001"]
    rig.config["agents"][0]["line"] = ""
    rig.sb.configure(rig.config, rig.now)
    rig.settle()
    assert not rig.sb.core.state.homes and not rig.adapter


def test_who_is_not_there_is_in_no_conference():
    core = house(mode="per_call").sb.core
    core.act("media.conference", bridge="b1", loudest=3, legs=["p1", "h9"], gain_db={"p1": 1, "h9": 2}, muted=["h9", "p1"])
    done = core.actions[-1]
    assert (done["gain_db"], done["muted"], done["legs"]) == ({"p1": 1}, ["p1"], ["p1"])


@pytest.mark.parametrize("moment", ["calling", "asking", "up", "announced", "talking", "key"])
def test_a_kill_of_control_at_any_moment(moment):
    rig = house(answer="key" if moment == "key" else "auto")
    create = log_in(rig)
    real = create["leg"]
    steps = [("calling", lambda: None), ("asking", lambda: rig.do("leg.answered", leg=real)), ("up", lambda: rig.press("1", real)),
             ("announced", lambda: caller(rig)), ("key", lambda: None)]
    if moment == "talking":
        steps.append(("talking", lambda: rig.played(real)))
    for name, step in steps:
        step()
        if name == moment:
            break
    rig.kill(sip_restores=False)
    if moment == "calling":
        rig.do("leg.answered", leg=real)
    if moment in ("calling", "asking"):
        assert rig.home()["state"] == "asking" and rig.heard(real)[0] == "duty_confirm zh_CN"
        rig.press("1", real)
    assert rig.home()["state"] == "up" and rig.real == real
    if moment in ("calling", "asking", "up"):
        caller(rig)
    if moment == "talking":
        assert rig.hears("p1") == [real]
    else:
        assert rig.call(1)["offered_agent"] == "1001", "nobody lost the place, and the caller is offered again"
        rig.press("1", real) if moment == "key" else rig.played(real)
        assert rig.hears("p1") == [real]
    rig.hang_up("p1")
    assert rig.home()["state"] == "up" and rig.heard(real) == ["1000"]


def test_the_leg_is_gone_after_a_kill():
    rig = seated()
    caller(rig)
    rig.played(rig.real)
    del rig.adapter[rig.real]
    rig.kill(sip_restores=False)
    assert rig.home()["state"] == "down" and rig.agent("1001")["reason"] == "telephone lost"
    assert not rig.sb.core.state.serving


def test_media_dies_and_the_box_calls_again_by_itself():
    rig = seated()
    caller(rig)
    rig.played(rig.real)
    rig.do("media.lost")
    assert not rig.sb.snapshot()["calls"] and rig.agent("1001")["status"] == "available" and not rig.agent("1001")["registered"]
    rig.wait(6000)
    rig.do("media.back")
    assert rig.home()["state"] == "calling"
    rig.do("leg.answered", leg=rig.last("leg.create")["leg"])
    rig.press("1", rig.real or rig.last("leg.create")["leg"])
    assert rig.home()["state"] == "up"


def test_hold_consultation_and_conference_on_an_ordinary_telephone():
    rig = seated()
    caller(rig)
    rig.played(rig.real)
    real, call = rig.real, rig.call(1)["call"]
    assert rig.command("command.hold", call=call) is None
    assert rig.hears(real) == [] and rig.heard("p1") == ["default"]
    assert rig.command("command.retrieve", call=call) is None and rig.hears("p1") == [real]
    assert rig.command("command.consult", call=call, to="line", target="2001") is None
    assert rig.heard(real) == ["ringback"]
    other = rig.last("leg.create")["leg"]
    rig.do("leg.answered", leg=other)
    assert rig.hears(real) == [other] and rig.hears("p1") == []
    assert rig.command("command.conference", call=call) is None and rig.hears("p1") == sorted([real, other])
    rig.press("7", real)
    rig.hang_up("p1")
    assert rig.hears(other) == [real]
    rig.hang_up(other)
    assert rig.home()["state"] == "up" and rig.hears(real) == []


def test_a_transfer_takes_the_agent_out_and_the_leg_stays():
    rig = seated()
    caller(rig)
    rig.played(rig.real)
    real = rig.real
    assert rig.command("command.transfer", call=rig.call(1)["call"], to="line", target="2001") is None
    rig.do("leg.answered", leg=rig.last("leg.create")["leg"])
    assert rig.real == real and rig.hears(real) == [] and rig.hears("p1") == [rig.last("leg.create")["leg"]]
    rig.wait(6000)
    caller(rig, "p2")
    rig.played(real)
    assert rig.hears("p2") == [real]


def test_a_supervisor_at_home_listens():
    rig = seated(queues=())
    rig.do("agent.status", agent="1002", status="available")
    caller(rig)
    agent = rig.last("leg.create")["leg"]
    rig.do("leg.answered", leg=agent)
    call = next(row["call"] for row in rig.sb.snapshot()["calls"] if row["application"] == "queue")
    assert rig.command("command.monitor", call=call, mode="listen", line="1001") is None
    rig.played(rig.real)
    assert rig.hears(rig.real) == sorted([agent, "p1"]) and rig.hears("p1") == [agent]
    assert rig.command("command.monitor", call=call, mode="end", line="1001") is None
    assert rig.home()["state"] == "up" and rig.hears(rig.real) == []


def test_a_configuration_that_takes_the_telephone_away_ends_its_call():
    rig = seated()
    rig.config["lines"] = [dict(line, home={}) if line["name"] == "1001" else line for line in rig.config["lines"]]
    rig.sb.configure(rig.config, rig.now)
    rig.settle()
    assert not rig.adapter and rig.home() is None and not rig.agent("1001")["registered"]
    rig.sb.configure(rig.config, rig.now)
    rig.settle()
    assert not rig.sb.core.state.homes


def test_a_checkpoint_carries_the_telephones():
    rig = seated()
    caller(rig)
    rig.played(rig.real)
    rig.sb.checkpoint(rig.now)
    rig.settle()
    rig.journal = rig.journal[-1:]
    rig.checks = False
    rig.kill(sip_restores=False)
    assert rig.home()["state"] == "up" and rig.hears("p1") == [rig.real] and rig.sb.core.state.serving


def test_the_configuration_refuses_what_cannot_be():
    from firmware.config import demo
    from firmware.config.schema import check
    made = demo.configuration(dict.fromkeys(demo.AGENTS, "password"))
    made["lines"][0]["home"] = {"number": NUMBER, "mode": "per_call", "answer": "key"}
    assert "nailed leg" in str(check(made)[1][0])
    made["lines"][0]["home"] = {"number": "+49 30"}
    assert "digits" in str(check(made)[1][0])


def shelf(pin="4711", **group):
    """1001's telephone is a number of a PBX behind trunk group carrier, which may dial feature codes."""
    rig = house(pin=pin, mode="per_call", confirm="none")
    rig.config["feature_codes"] = [{"code": "*41", "action": "log_in"}, {"code": "*40", "action": "log_out"}, {"code": "*43", "action": "break"},
                                   {"code": "*8", "action": "pick_up"}, {"code": "*98", "action": "messages"}]
    for row in rig.config["trunk_groups"]:
        row.update({"feature_codes": True} if row["name"] == rig.sb.core.router.outside(NUMBER)["row"]["choices"][0]["trunk_group"] else {}, **group)
    rig.sb.configure(rig.config, rig.now)
    rig.settle()
    return rig


def dials(rig, digits, leg="p7", caller=NUMBER[1:]):
    rig.offer(leg, digits, caller=caller)
    return leg


def test_a_home_telephone_dials_codes_over_its_trunk():
    rig = shelf()
    dials(rig, "*411001")
    for key in "4711":
        rig.press(key, "p7")
    assert rig.agent("1001")["status"] == "available" and rig.agent("1001")["registered"] and rig.heard("p7")[0].startswith("done")
    rig.hang_up("p7")
    dials(rig, "*43", "p8")
    assert rig.agent("1001")["status"] == "on_break"
    rig.hang_up("p8")
    dials(rig, "*40", "p9")
    assert rig.agent("1001")["status"] == "logged_out" and not rig.agent("1001")["registered"]
    rig.hang_up("p9")
    assert "4711" not in str(rig.journal)
    rig.finished()


@pytest.mark.parametrize("digits", ("*41", "*411001", "*81002", "*98"))
def test_what_a_number_alone_may_not_do(digits):
    """No log-in without a code, nobody's calls, nobody's messages."""
    rig = shelf(pin=None)
    dials(rig, digits)
    assert rig.agent("1001")["status"] == "logged_out"
    assert not [r for r in rig.journal if r["kind"] == "call.feature" and r["data"]["done"]]
    rig.hang_up("p7")
    rig.finished()


def test_who_is_no_home_telephone_or_whose_group_may_not_dials_no_codes():
    for rig, caller in ((shelf(), "13912345678"), (shelf(feature_codes=False), NUMBER[1:])):
        dials(rig, "*411001", caller=caller)
        assert not [r for r in rig.journal if r["kind"] == "call.feature"] and not rig.sb.core.state.calls.get("c101")
