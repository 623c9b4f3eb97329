"""Hold, consultation, transfer, conference, listening, park and pick-up on the switchboard.

The rig replays the whole journal after every step and compares, and it holds media's bridges against the state; hears()
is what follows from bridges and topologies in media, not what the switchboard thinks."""

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.control.switchboard_rig import Rig
from tests.control.test_agents import CODES
from tests.control.test_acd import SALES, answer, ring
from tests.control.test_switchboard_properties import INDEX, Player
from tests.control.test_outside import config as outside_config

LINES = ("1001", "1002", "1003", "2001", "2002")


def floor(**more):
    """A rig with spare telephones, routes to the outside and feature codes."""
    config = outside_config()
    config["feature_codes"] = CODES
    config["park"] = {"first": 1, "places": 2, "timeout_s": 60}
    config["lines"] = [line for line in config["lines"] if line["name"] not in ("1001", "1002", "2001", "2002")] + [
        {"name": "2001", "classes": ["internal", "national"]}, {"name": "2002"}, {"name": "1001", "flash": "plain"}, {"name": "1002", "flash": "keys"}]
    for queue in config["queues"]:
        queue["announce_position_s"] = 0
    for agent in config["agents"]:
        agent["wrap_up_s"] = 0
    rig = Rig(config, register=LINES, **more)
    for span in (1, 2, 3):
        rig.do("span.state", span=span, state="up", alarms=[])
    return rig


def talking(rig, leg="p1"):
    """A caller and agent 1001 in conversation through queue sales; (call, the agent's leg)."""
    ring(rig, leg)
    answer(rig)
    return rig.call(-1)["call"], rig.last("leg.create")["leg"]


def consulting(rig, call, target="1002", to="agent", **more):
    """The leg of the party that is asked, answered."""
    assert rig.command("command.consult", call=call, to=to, target=target, **more) is None
    leg = rig.last("leg.create")["leg"]
    rig.do("leg.alerting", leg=leg)
    rig.do("leg.answered", leg=leg)
    return leg


def test_hold_and_retrieve():
    rig = floor()
    call, agent = talking(rig)
    assert rig.hears("p1") == [agent] and rig.hears(agent) == ["p1"]
    assert rig.command("command.hold", call=call) is None
    assert rig.hears("p1") == [] and rig.heard() == ["default"] and rig.call()["held"]
    assert "already" in rig.command("command.hold", call=call)
    rig.wait(7000)
    rig.kill()
    assert rig.heard() == ["default"] and rig.hears(agent) == []
    assert rig.command("command.retrieve", call=call) is None
    assert rig.hears("p1") == [agent] and rig.heard() is None
    assert "not held" in rig.command("command.retrieve", call=call)
    assert rig.sb.core.state.statistics.agent_figures("1001", rig.now)["holding_ms"] == 7300
    rig.command("command.hold", call=call)
    rig.hang_up("p1")
    rig.finished()


def test_commands_on_what_does_not_talk_are_refused():
    rig = floor()
    ring(rig, "p1")
    call = rig.call()["call"]
    for kind in ("hold", "retrieve", "conference", "transfer", "park"):
        assert "not in conversation" in rig.command("command." + kind, call=call)
        assert "no open call" in rig.command("command." + kind, call="c9")
    answer(rig)
    assert "takes no part" in rig.command("command.hold", call=call, by="1003")
    for to, target, words in (("agent", "9", "no agent"), ("number", "55555", "takes"), ("line", "1001", "busy"), ("queue", "x", "no queue"),
                                ("moon", "x", "no moon"), ("number", "*42", "feature")):
        assert words in rig.command("command.consult", call=call, to=to, target=target), to
        assert rig.hears("p1")
    rig.do("line.unregistered", line="2002")
    assert "registered" in rig.command("command.consult", call=call, to="line", target="2002")
    assert "cannot be consulted" in rig.command("command.consult", call=call, to="flow", target="main")
    assert "nobody in consultation" in rig.command("command.transfer", call=call)
    assert not [r for r in rig.journal if r["kind"] in ("call.held", "call.consulting", "call.detached")]


def test_consult_then_transfer():
    rig = floor()
    call, agent = talking(rig)
    other = consulting(rig, call)
    assert rig.hears(agent) == [other] and rig.hears("p1") == [] and rig.heard() == ["default"]
    assert rig.agent("1002")["state"] == "talking" and rig.call()["consult"]["state"] == "talking"
    rig.kill()
    assert rig.hears(agent) == [other]
    rig.wait(20000)
    assert rig.command("command.transfer", call=call) is None
    assert rig.hears("p1") == [other] and rig.heard() is None
    assert rig.agent("1001")["state"] == "idle" and rig.call()["agent"] == "1002"
    rig.wait(30000)
    rig.hang_up("p1")
    for recording in list(rig.sb.core.state.recordings):
        rig.do("media.record_closed", recording=recording, octets=1, duration_ms=1)
    rig.finished()
    cdr = rig.cdrs[0]
    assert (cdr["agents"], cdr["agent"], cdr["transfers"], cdr["talk_ms"], cdr["result"]) == (["1001", "1002"], "1002", 1, 50300, "answered")
    assert len(cdr["recording"]) == 2


@pytest.mark.parametrize("by", ("agent", "command"))
def test_transfer_while_it_still_rings_and_back_if_nobody_answers(by):
    rig = floor()
    call, agent = talking(rig)
    rig.command("command.consult", call=call, to="agent", target="1002")
    other = rig.last("leg.create")["leg"]
    assert rig.media["signals"][agent]["items"] == [{"tone": "ringback"}]
    if by == "agent":
        rig.hang_up(agent)
    else:
        rig.command("command.transfer", call=call)
    assert rig.heard() == ["ringback"] and rig.call()["state"] == "ringing"
    rig.do("leg.alerting", leg=other)
    rig.wait(60000)
    back = rig.last("leg.create")
    assert back["line"] == "1001" and rig.call()["state"] == "ringing"
    rig.kill(sip_restores=False)
    rig.do("leg.answered", leg=rig.last("leg.create")["leg"])
    assert rig.hears("p1") == [rig.last("leg.create")["leg"]]


def test_consultation_refused_dropped_and_left():
    rig = floor()
    call, agent = talking(rig)
    rig.command("command.consult", call=call, to="agent", target="1002")
    assert "already" in rig.command("command.consult", call=call, to="agent", target="1003")
    rig.do("leg.released", leg=rig.last("leg.create")["leg"], cause=17, by="far")
    assert rig.hears("p1") == [agent] and not rig.call()["held"] and agent not in rig.media["signals"]
    other = consulting(rig, call)
    assert rig.command("command.retrieve", call=call) is None
    assert rig.hears("p1") == [agent] and other not in rig.adapter and rig.agent("1002")["state"] == "idle"
    other = consulting(rig, call)
    rig.hang_up(other)
    assert rig.hears("p1") == [agent]
    rig.command("command.consult", call=call, to="line", target="2001")
    rig.wait(60000)
    assert rig.hears("p1") == [agent]
    outcomes = [r["data"]["outcome"] for r in rig.journal if r["kind"] == "call.consult_ended"]
    assert outcomes == ["busy", "dropped", "left", "no_answer"]


def test_the_caller_leaves_during_a_consultation_and_the_others_talk_on():
    rig = floor()
    call, agent = talking(rig)
    other = consulting(rig, call)
    rig.wait(1000)
    left_ms = rig.now
    rig.hang_up("p1")
    assert rig.hears(agent) == [other] and rig.call()["state"] == "talking"
    rig.wait(9000)
    rig.hang_up(other)
    rig.do("media.record_closed", recording=rig.actions_of("media.record")[0]["recording"], octets=1, duration_ms=1)
    rig.finished()
    assert rig.cdrs[0]["ended_ms"] == left_ms, "what a carrier bills to"


def test_blind_transfer_to_queue_agent_line_number_and_flow():
    rig = floor()
    call, agent = talking(rig)
    assert rig.command("command.transfer", call=call, to="queue", target="service") is None
    assert rig.last("leg.create")["line"] == "1002" and rig.call()["state"] == "queued" and rig.heard()[0] == "please_wait zh_CN"
    answer(rig)
    assert rig.command("command.transfer", call=call, to="line", target="2001") is None
    assert rig.call()["state"] == "ringing" and rig.heard() == ["ringback"] and rig.agent("1002")["state"] == "idle"
    answer(rig)
    assert rig.hears("p1") == [rig.last("leg.create")["leg"]]
    assert rig.command("command.transfer", call=call, to="number", target="1003") is None
    answer(rig)
    assert rig.call()["agent"] == "1003"
    assert rig.command("command.transfer", call=call, to="flow", target="main") is None
    assert rig.call()["state"] == "ivr" and rig.heard()[0] == "greeting zh_CN"
    rig.press("1")
    answer(rig)
    rig.hang_up("p1")
    assert rig.cdrs[0]["transfers"] == 4 and rig.cdrs[0]["agents"] == ["1001", "1002", "1003"]


def test_who_gives_a_call_away_is_named_to_whom_it_reaches():
    """RFC 3892: links/ puts it into the INVITE.  Back with who gave it away it is nobody's."""
    rig = floor()
    call, agent = talking(rig)

    def referrer():
        return (rig.sb.core.state.calls[call].carried or {}).get("referred_by")
    assert rig.do("leg.transfer", leg=agent, called="2002", referred_by='"Al" <sip:1001@x>') and referrer() == '"Al" <sip:1001@x>'
    assert rig.last("leg.create")["line"] == "2002"
    rig.wait(60000)
    assert rig.last("leg.create")["line"] == "1001" and referrer() is None
    rig.do("leg.answered", leg=rig.last("leg.create")["leg"])
    assert rig.command("command.transfer", call=call, to="line", target="2002") is None and referrer() == "1001"
    rig.do("leg.answered", leg=rig.last("leg.create")["leg"])
    assert rig.command("command.transfer", call=call, to="number", target="913800138000") is None
    assert rig.last("leg.create")["carried"]["referred_by"] == "2002"


def test_a_queue_that_would_say_goodbye_gets_nobody_who_talks():
    rig = floor()
    call, agent = talking(rig)
    rig.config["queues"][1].update(max_waiting=0, hours=[{"days": "7", "from": "00:00", "to": "00:01"}])
    rig.sb.configure(rig.config, rig.now)
    assert "queue service is closed" in rig.command("command.transfer", call=call, to="queue", target="service")
    assert rig.hears("p1") == [agent] and rig.call(-1)["state"] == "talking"
    rig.config["queues"][1]["overflow"] = [{"when": "closed", "limit": 0, "to": "flow", "target": "main"}]
    rig.sb.configure(rig.config, rig.now)
    assert rig.command("command.transfer", call=call, to="queue", target="service") is None
    assert rig.call(-1)["state"] == "ivr"


def test_transfer_to_the_outside():
    rig = floor()
    call, agent = talking(rig)
    assert rig.command("command.transfer", call=call, to="number", target="913800138000") is None, rig.sb.refusal
    out = rig.last("leg.create")
    assert out["tech"] == "pri" and rig.heard() is None
    rig.do("leg.alerting", leg=out["leg"])
    assert rig.heard() == ["ringback"]
    rig.do("leg.answered", leg=out["leg"])
    assert rig.hears("p1") == [out["leg"]] and rig.call()["agent"] is None
    rig.hang_up(out["leg"])
    assert rig.cdrs[0]["released_by"] == "callee"


def test_nobody_takes_a_transfer_and_it_comes_back():
    rig = floor()
    call, agent = talking(rig)
    rig.command("command.transfer", call=call, to="line", target="2001")
    rig.do("leg.released", leg=rig.last("leg.create")["leg"], cause=17, by="far")
    assert rig.last("leg.create")["line"] == "1001"
    rig.do("leg.released", leg=rig.last("leg.create")["leg"], cause=17, by="far")
    assert rig.call()["state"] == "closing" and rig.heard() == ["busy"], "not for ever"
    rig.wait(5000)
    assert rig.cdrs[0]["result"] == "answered"


def test_a_restart_while_a_transferred_call_rings():
    rig = floor()
    call, agent = talking(rig)
    rig.command("command.transfer", call=call, to="line", target="2001")
    rig.kill()
    assert rig.call()["state"] == "ringing" and rig.last("leg.create")["line"] == "2001"
    answer(rig)
    assert rig.hears("p1") == [rig.last("leg.create")["leg"]]


def test_conference_of_four():
    rig = floor()
    call, agent = talking(rig)
    second = consulting(rig, call)
    assert rig.command("command.conference", call=call) is None
    assert rig.hears("p1") == sorted([agent, second]) and rig.last("media.conference")["loudest"] == 0
    third = consulting(rig, call, "2001", "line", join=True)
    assert rig.hears("p1") == sorted([agent, second, third])
    assert "conference" in rig.command("command.hold", call=call)
    fourth = consulting(rig, call, "2002", "line")             # the others talk on meanwhile
    assert rig.hears(agent) == [fourth] and rig.hears("p1") == sorted([second, third]) and rig.heard() is None
    rig.kill()
    assert rig.hears("p1") == sorted([second, third])
    rig.command("command.retrieve", call=call)
    rig.hang_up(third)
    assert rig.hears("p1") == sorted([agent, second])
    rig.hang_up(agent)
    assert rig.hears("p1") == [second] and rig.call()["agent"] == "1002" and rig.agent("1001")["state"] == "idle"
    rig.hang_up(second)
    rig.do("media.record_closed", recording=rig.actions_of("media.record")[0]["recording"], octets=1, duration_ms=1)
    rig.finished()
    assert rig.cdrs[0]["agents"] == ["1001", "1002"]


def test_the_caller_leaves_a_conference():
    rig = floor()
    call, agent = talking(rig)
    second = consulting(rig, call)
    rig.command("command.conference", call=call)
    rig.hang_up("p1")
    assert rig.hears(agent) == [second]
    rig.hang_up(agent)
    rig.do("media.record_closed", recording=rig.actions_of("media.record")[0]["recording"], octets=1, duration_ms=1)
    rig.finished()


def test_an_agent_who_dialled_transfers_the_called_party():
    rig = floor()
    rig.dial("1001", "913800138000", "s1")
    out = rig.last("leg.create")["leg"]
    rig.do("leg.answered", leg=out)
    call = rig.call()["call"]
    assert rig.command("command.consult", call=call, to="agent", target="1002") is None
    assert rig.last("leg.create")["caller"] == "13800138000" or rig.last("leg.create")["caller"] == "913800138000"
    assert rig.heard(out) == ["default"]
    answer(rig)
    assert rig.command("command.transfer", call=call, by="1001") is None
    assert rig.hears(out) == [rig.last("leg.create")["leg"]] and "s1" not in rig.adapter
    rig.hang_up(out)
    assert rig.cdrs[0]["caller"] == "1001" and rig.cdrs[0]["transfers"] == 1


def test_listen_whisper_barge_and_take_over():
    rig = floor()
    call, agent = talking(rig)
    assert rig.command("command.monitor", call=call, agent="1003", mode="listen", by="boss") is None
    boss = rig.last("leg.create")
    assert boss["auto_answer"] and rig.hears("p1") == [agent]
    boss = boss["leg"]
    rig.do("leg.answered", leg=boss)
    assert rig.hears(boss) == sorted(["p1", agent]) and rig.hears("p1") == [agent] and rig.hears(agent) == ["p1"]
    rig.command("command.monitor", call=call, agent="1003", mode="whisper")
    assert rig.hears(agent) == sorted(["p1", boss]) and rig.hears("p1") == [agent]
    rig.kill()
    assert rig.hears(agent) == sorted(["p1", boss]) and rig.hears("p1") == [agent]
    rig.command("command.monitor", call=call, line="2001", mode="listen")
    second = rig.last("leg.create")["leg"]
    rig.do("leg.answered", leg=second)
    assert rig.hears(second) == sorted(["p1", agent]) and boss not in rig.hears(second) and second not in rig.hears(boss)
    other = consulting(rig, call)
    assert rig.hears(boss) == sorted([agent, other]) and rig.hears(other) == [agent], "follows the agent into the consultation"
    rig.command("command.transfer", call=call)
    assert rig.hears(boss) == sorted(["p1", other]) and rig.hears("p1") == [other]
    rig.command("command.monitor", call=call, agent="1003", mode="barge")
    assert rig.hears("p1") == sorted([other, boss])
    assert "only a supervisor" in rig.command("command.monitor", call=call, agent="1001", mode="take_over")
    assert rig.command("command.monitor", call=call, agent="1003", mode="take_over") is None
    assert rig.hears("p1") == [boss] and rig.call()["agent"] == "1003" and rig.agent("1002")["state"] == "idle"
    assert rig.command("command.monitor", call=call, line="2001", mode="end") is None
    assert second not in rig.adapter
    rig.hang_up("p1")
    assert [r["data"]["mode"] for r in rig.journal if r["kind"] == "call.monitoring"] == ["listen", "whisper", "listen", "barge"]
    for recording in list(rig.sb.core.state.recordings):
        rig.do("media.record_closed", recording=recording, octets=1, duration_ms=1)
    rig.finished()


def test_park_and_fetch():
    rig = floor()
    call, agent = talking(rig)
    assert rig.command("command.park", call=call) is None and rig.sb.answer == {"place": 1}
    assert rig.call()["state"] == "parked" and rig.call()["place"] == 1 and rig.heard() == ["default"] and rig.agent("1001")["state"] == "idle"
    rig.kill()
    assert rig.heard() == ["default"]
    rig.dial("2001", "*71", "s1")
    assert rig.hears("p1") == ["s1"] and rig.call()["state"] == "talking" and rig.call()["place"] is None
    assert rig.command("command.park", call=call, place=2) is None
    assert "nothing is parked" in rig.command("command.unpark", place=1, agent="1002")
    assert rig.command("command.unpark", place=2, agent="1002") is None
    answer(rig)
    assert rig.call()["agent"] == "1002"
    rig.command("command.park", call=call)
    rig.wait(60000)
    assert rig.last("leg.create")["line"] == "1002", "back to who parked it"
    answer(rig)
    rig.command("command.park", call=call)
    rig.hang_up("p1")
    for recording in list(rig.sb.core.state.recordings):
        rig.do("media.record_closed", recording=recording, octets=1, duration_ms=1)
    rig.finished()
    assert len(rig.cdrs) == 2 and {cdr["result"] for cdr in rig.cdrs} == {"self_service", "answered"}


def test_pick_up():
    rig = floor()
    assert ring(rig, "p1") == "1001"
    assert rig.command("command.pick_up", target="1003", agent="1002") is not None
    rig.dial("1003", "*81001", "s1")
    assert rig.hears("p1") == ["s1"] and rig.call()["agent"] == "1003" and rig.agent("1001")["state"] == "idle"
    assert rig.agent("1003")["state"] == "talking" and rig.agent("1001")["status"] == "available"
    rig.hang_up("p1")
    assert rig.agent("1003")["state"] == "idle"
    rig.offer("p2", called="02150801002")                      # rings line 2001 directly
    assert rig.command("command.pick_up", target="2001", line="2002") is None
    assert rig.last("leg.create")["line"] == "2002"
    answer(rig)
    assert rig.hears("p2") == [rig.last("leg.create")["leg"]]


def holding_another(rig):
    """Agent 1001 holds a caller of queue sales by the telephone and picks up what rings at 2001; the agent's two legs."""
    call, held = talking(rig)
    rig.do("leg.held", leg=held)
    rig.dial("2002", "2001", "s1")
    rig.dial("1001", "*82001", "s2")
    assert rig.hears("s1") == ["s2"]
    return held, "s2"


def test_who_holds_a_call_and_picks_up_another_is_in_that_one_until_it_ends():
    rig = floor()
    held, second = holding_another(rig)
    assert rig.call(1)["agent"] == "1001", "whoever picked it up"
    rig.wait(5000)
    rig.hang_up("p1")
    assert rig.agent("1001")["state"] == "talking" and rig.agent("1001")["call"] == rig.call()["call"], "not idle: in the other call"
    rig.kill()
    assert rig.agent("1001")["state"] == "talking"
    figures = rig.sb.core.state.statistics.agent_figures("1001", rig.now)
    assert (figures["handled"], figures["holding_ms"]) == (1, 5000), "the queue's call is handled"
    rig.wait(3000)
    rig.hang_up("s1")
    assert rig.agent("1001")["state"] == "idle" and rig.sb.core.state.statistics.agent_figures("1001", rig.now)["busy_ms"] == 3300
    for recording in list(rig.sb.core.state.recordings):
        rig.do("media.record_closed", recording=recording, octets=1, duration_ms=1)
    rig.finished()


def test_the_other_call_ends_first_and_the_held_one_goes_on():
    rig = floor()
    held, second = holding_another(rig)
    rig.hang_up(second)
    assert rig.agent("1001")["state"] == "talking" and rig.agent("1001")["call"] == rig.call()["call"]
    rig.do("leg.retrieved", leg=held)
    rig.hang_up(held)
    assert rig.agent("1001")["state"] == "idle"


def test_after_call_work_that_ends_in_another_call_leaves_the_agent_there():
    rig = floor()
    rig.config["agents"][0]["wrap_up_s"] = 10
    rig.sb.configure(rig.config, rig.now)
    held, second = holding_another(rig)
    rig.hang_up("p1")
    assert rig.agent("1001")["state"] == "wrap_up"
    rig.wait(10000)
    assert rig.agent("1001")["state"] == "talking" and rig.agent("1001")["call"] == rig.call()["call"]
    rig.hang_up("s1")
    assert rig.agent("1001")["state"] == "idle"


def refer_world():
    rig = floor()
    call, agent = talking(rig)
    rig.do("leg.held", leg=agent)
    rig.dial("1001", "2001", "s1")
    assert "s1" in rig.adapter, "who holds may make another call"
    return rig, call, agent


def test_a_telephone_transfers_by_refer():
    rig = floor()
    call, agent = talking(rig)
    assert rig.command("leg.transfer", leg=agent, called="2001") is None
    answer(rig)
    assert rig.hears("p1") == [rig.last("leg.create")["leg"]]
    rig, call, agent = refer_world()
    answer(rig)
    third = rig.last("leg.create")["leg"]
    assert rig.command("leg.transfer", leg=agent, other="s1") is None
    assert rig.hears("p1") == [third] and sorted(rig.adapter) == sorted(["p1", third])
    rig.kill()
    assert rig.hears("p1") == [third]
    rig.hang_up("p1")
    for recording in list(rig.sb.core.state.recordings):
        rig.do("media.record_closed", recording=recording, octets=1, duration_ms=1)
    rig.finished()
    rig, call, agent = refer_world()                            # before the second one answers
    assert rig.command("leg.transfer", leg=agent, other="s1") is None
    rig.wait(0)
    assert rig.call()["state"] in ("ringing", "closing") and "s1" not in rig.adapter


# Whatever is asked in whatever order: nothing raises, nothing is left.

WHO = st.sampled_from(("1001", "1002", "1003", None))
OPERATION = st.one_of(
    st.tuples(st.just("offer"), INDEX, st.sampled_from((SALES, SALES, "02150801002", "02150801000")), st.just(True)),
    st.tuples(st.just("dial"), st.sampled_from(("1001", "1002", "2001")), st.sampled_from(("1003", "2001", "*81001", "*71", "*43", "*411003", "913800138000"))),
    st.tuples(st.just("answer"), INDEX), st.tuples(st.just("answer"), INDEX), st.tuples(st.just("answer"), INDEX),
    st.tuples(st.just("ask"), st.sampled_from(("hold", "retrieve", "conference", "change_over", "transfer", "park")), WHO),
    st.tuples(st.just("ask"), st.sampled_from(("consult", "transfer")), WHO, st.sampled_from(
        (("agent", "1002"), ("agent", "1003"), ("line", "2001"), ("queue", "sales"), ("number", "913800138000"), ("number", "2002"), ("flow", "main"))), st.booleans()),
    st.tuples(st.just("ask"), st.sampled_from(("consult", "conference", "transfer")), st.just(None), st.sampled_from((("line", "2001"), ("line", "2002"))), st.booleans()),
    st.tuples(st.just("monitor"), st.sampled_from(("2001", "2002", "1003")), st.sampled_from(("listen", "whisper", "barge", "take_over", "end"))),
    st.tuples(st.just("fetch"), st.sampled_from(("1001", "1002", "1003"))),
    st.tuples(st.just("refer"), INDEX, INDEX),
    st.tuples(st.just("named"), INDEX, st.sampled_from(LINES), st.sampled_from(("joins", "replaces"))),
    st.tuples(st.just("log_in"), st.sampled_from(("1001", "1002", "1003")), st.sampled_from(("1001", "1002", "2001", "2002"))),
    st.tuples(st.just("status"), st.sampled_from(("1001", "1002", "1003")), st.sampled_from(("available", "available", "logged_out"))),
    st.tuples(st.just("leg"), INDEX, st.sampled_from(("leg.released", "leg.held", "leg.alerting", "leg.away", "leg.back")), st.sampled_from((16, 17, 41)), st.sampled_from(("far", "far", "failure"))),
    st.tuples(st.just("press"), INDEX, st.sampled_from("12")), st.tuples(st.just("press"), INDEX, st.sampled_from("!!!2003#")), st.tuples(st.just("confirm")),
    st.tuples(st.just("wait"), st.sampled_from((1, 5000, 60000))), st.tuples(st.just("kill"), st.booleans()),
    st.tuples(st.just("hangup"), INDEX), st.tuples(st.just("checkpoint")), st.tuples(st.just("media"), st.booleans()))


BOSSES = [{"name": "boss" + agent, "role": "admin", "agent": agent, "teams": []} for agent in ("1001", "1002", "1003")]


class Operator(Player):
    """Asks for operations, too, of the last call that stands."""

    def __init__(self, lazy):
        self.rig = floor(lazy=lazy)
        self.rig.sb.configure(dict(self.rig.config, users=BOSSES), self.rig.now)
        self.rig.config["users"] = BOSSES           # for who replays
        self.count, self.past = 0, []
        talking(self.rig, "p98")
        self.rig.dial("1002", "2002", "s99")
        answer(self.rig)

    def step(self, step):
        rig, name = self.rig, step[0]
        calls = [call["call"] for call in rig.sb.snapshot(rig.now)["calls"]] + ["c0"]
        if name == "ask":
            more = {"to": step[3][0], "target": step[3][1], "join": step[4]} if len(step) > 3 else {}
            for call in calls[-3:]:
                if rig.command("command." + step[1], call=call, by=step[2], **more) is None:
                    break
        elif name == "monitor":
            rig.command("command.monitor", call=calls[0], line=step[1], mode=step[2], by="boss")
        elif name == "fetch":
            if rig.command("command.unpark", place=1, agent=step[1]) is not None:
                rig.command("command.pick_up", target="1001", agent=step[1])
        elif name == "refer":
            rig.command("leg.transfer", leg=self.leg(step[1]), other=self.leg(step[2]))
        elif name == "named":                   # by an INVITE of a line, whose person looks after everybody
            leg = self.leg(step[1])
            if leg not in rig.sb.core.state.legs or rig.sb.core.state.legs[leg].line is not None:
                self.do("leg.offered", leg="s%d" % self.count, tech="sip", line=step[2], caller=step[2], called="1001", called_complete=True, **{step[3]: leg})
        elif name == "log_in":
            rig.command("command.log_in", agent=step[1], line=step[2])
        else:
            Player.step(self, step)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.booleans(), st.lists(OPERATION, min_size=6, max_size=30))
def test_operations_in_any_order(lazy, steps):
    player = Operator(lazy)
    for step in steps:
        player.step(step)
    player.end()
