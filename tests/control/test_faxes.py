"""Documents sent to numbers: asked for by a person or a flow, called, sent by a flow of one node, tried again, over kills.

The rig replays the whole journal after every step and compares, so each of these tests is one of replay too."""

import copy

import pytest

from firmware.config.schema import check
from firmware.ivr import flow, simulator, text
from tests.control.switchboard_rig import CONFIG, Rig

NUMBER = "13987654321"
ON_DEMAND = {"version": 1, "languages": ["en"], "start": "ask", "nodes": {
    "ask": {"type": "collect", "prompts": ["which"], "into": "number", "length": 12, "next": "send", "failed": "bye"},
    "send": {"type": "send_fax", "document": "offer", "number": "{number}", "into": "sent", "next": "thanks", "failed": "sorry"},
    "thanks": {"type": "hangup", "prompts": ["thanks"]}, "sorry": {"type": "hangup", "prompts": ["sorry"]}, "bye": {"type": "hangup"}}}


def world(flow=None, **settings):
    config = copy.deepcopy(CONFIG)
    config["routes"] = [{"number": "9.", "choices": [{"trunk_group": "carrier", "strip": 1}], "classes": ["national"]}]
    config["fax"] = {"enabled": True, "prefix": "9", "attempts": 2, "retry_s": 60, **settings}
    config["numbers"][1].update(application="ivr", target="demand")
    config["ivr"] = dict(config["ivr"], demand=flow or ON_DEMAND)
    rig = Rig(config)
    for span in (1, 2):
        rig.do("span.state", span=span, state="up", alarms=[])
    return rig


def ask(rig, number=NUMBER, **more):
    assert rig.command("command.fax", document="offer", number=number, **more) is None
    return rig.sb.answer["fax"]


def rows(rig):
    from firmware.control import core_faxes
    return [(row["state"], row["attempts"], row["why"]) for row in core_faxes.snapshot(rig.sb.core)]


def refuse(rig, cause):
    rig.do("leg.released", leg=rig.last("leg.create")["leg"], cause=cause, by="far")


def machine(rig, ok=True, why=None, pages=2):
    """The far machine has taken, or not taken, the document."""
    request = rig.last("ivr.ask")
    rig.do("fax.page", call=request["call"], token=request["token"], pages=1)
    assert rig.do("ivr.answer", call=request["call"], token=request["token"], ok=ok, result={"pages": pages, "rate": 14400, "ecm": True, "station": "1"} if ok else why,
                  fax={"pages": pages, "rate": 14400, "ecm": True, "station": "1"})


def test_busy_then_sent_over_kills_with_one_call_for_each_attempt():
    rig = world(station="021 5080", header="Strowger")
    name = ask(rig)
    assert rig.last("leg.create")["called"]["number"] == NUMBER and rows(rig) == [("calling", 0, None)]
    rig.kill(sip_restores=False)                    # a set-up to the outside goes on
    assert len(rig.actions_of("leg.create")) == 1
    refuse(rig, 17)
    assert rows(rig) == [("waiting", 1, "the number was not reached (cause 17)")]
    rig.kill()
    rig.wait(59000)
    assert len(rig.actions_of("leg.create")) == 1
    rig.wait(1000)
    assert len(rig.actions_of("leg.create")) == 2
    leg = rig.last("leg.create")["leg"]
    rig.do("leg.answered", leg=leg)
    asked = rig.last("ivr.ask")
    assert (asked["leg"], asked["request"]["document"], asked["request"]["role"], asked["request"]["station"], asked["request"]["header"]) == (
        leg, "offer", "calls", "021 5080", "Strowger")
    assert rows(rig)[0][0] == "sending" and rig.call()["application"] == "fax"
    rig.sb.checkpoint(rig.now)
    rig.settle()
    rig.sb = rig.replayed(rig.journal[-1:])
    machine(rig)
    assert rows(rig) == [("sent", 1, None)]
    cdr = rig.cdrs[-1]
    assert (cdr["application"], cdr["called"], cdr["dialled"], cdr["fax"][0]["ok"], cdr["fax"][0]["pages"]) == ("fax", NUMBER, NUMBER, True, 2)
    assert cdr["answered_ms"] is not None and [record["data"]["fax"] for record in rig.journal if record["kind"] == "fax.finished"] == [name]
    rig.kill()
    rig.wait(10**7)
    assert len(rig.actions_of("leg.create")) == 2 and rows(rig) == [("sent", 1, None)]
    rig.finished()


def test_a_machine_that_does_not_take_it_is_tried_as_often_as_the_setting_says():
    rig = world()
    ask(rig)
    for attempt in (1, 2):
        rig.do("leg.answered", leg=rig.last("leg.create")["leg"])
        machine(rig, False, "fax: the far end does not print", 1)
        rig.wait(60000)
    assert rows(rig) == [("exhausted", 2, "fax: the far end does not print")] and len(rig.actions_of("leg.create")) == 2
    rig.finished()


def test_no_trunk_is_no_attempt_and_the_end_of_its_time_is_one():
    rig = world(expires_s=300)
    for span in (1, 2):
        rig.do("span.state", span=span, state="down", alarms=[])
    ask(rig)
    assert rows(rig)[0][:2] == ("waiting", 0)
    rig.wait(29000)
    rig.wait(300000)
    assert rows(rig)[0][:2] == ("expired", 0)
    rig.finished()


def test_so_many_at_once_and_the_others_follow():
    rig = world(at_once=1)
    first, second = ask(rig), ask(rig, "13900001111")
    assert [state for state, *_ in rows(rig)] == ["waiting", "calling"]
    rig.kill(sip_restores=False)
    assert len(rig.actions_of("leg.create")) == 1
    rig.do("leg.answered", leg=rig.last("leg.create")["leg"])
    machine(rig)
    assert [state for state, *_ in rows(rig)] == ["calling", "sent"] and rig.last("leg.create")["called"]["number"] == "13900001111"
    later = ask(rig, at_ms=rig.now + 600000)
    refuse(rig, 17)
    assert rows(rig)[0][0] == "waiting" and len({first, second, later}) == 3


def test_cancelled_while_it_waits_and_while_it_is_on_its_way():
    rig = world()
    name = ask(rig, at_ms=rig.now + 5000)
    assert rig.command("command.fax_cancel", fax=name) is None
    assert "is over: cancelled" in rig.command("command.fax_cancel", fax=name) and "does not wait" in rig.command("command.fax_cancel", fax="f9")
    name = ask(rig)
    rig.kill(sip_restores=False)
    assert rig.command("command.fax_cancel", fax=name, by="anna") is None
    rig.wait(10**7)
    assert [row[0] for row in rows(rig)] == ["cancelled", "cancelled"] and "by anna" in rows(rig)[0][2]
    rig.finished()


@pytest.mark.parametrize("number, words", (("12", "at least 5"), ("", "no number is known"), ("8" * 8, None)))
def test_numbers_that_are_none(number, words):
    rig = world()
    why = rig.command("command.fax", document="offer", number=number)
    assert (why is None) == (words is None) and (words is None or words in why)


def test_what_may_not_be_sent_says_why():
    assert "switch the setting" in world(enabled=False).command("command.fax", document="offer", number=NUMBER)
    assert "no fax may be sent to national numbers" in world(classes=["local"]).command("command.fax", document="offer", number=NUMBER)
    assert "no route" in world(prefix="7").command("command.fax", document="offer", number=NUMBER)
    assert "no name of a document" in world().command("command.fax", document="../x", number=NUMBER)


def test_a_caller_keys_the_number_of_a_machine():
    rig = world()
    rig.offer(called="02150801001")
    for key in NUMBER + "#":
        rig.press(key)
    assert rig.heard() == ["thanks en"] and rig.last("leg.create")["called"]["number"] == NUMBER
    (row,) = rig.sb.core.state.faxes.values()
    assert (row["by"], row["document"], row["asked_in"]) == ("flow", "offer", rig.cdrs[0]["call"] if rig.cdrs else rig.call()["call"])
    rig.kill(sip_restores=False)
    rig.hang_up()                           # the caller's call and the document's have nothing to do with each other
    rig.do("leg.answered", leg=rig.last("leg.create")["leg"])
    machine(rig)
    assert rows(rig) == [("sent", 0, None)]
    rig.finished()


def test_a_caller_whose_own_number_is_called_or_is_none():
    own = dict(ON_DEMAND, start="send", nodes={name: dict(node) for name, node in ON_DEMAND["nodes"].items() if name not in ("ask", "bye")})
    del own["nodes"]["send"]["number"]
    rig = world(own)
    rig.offer(called="02150801001", caller="13812340000")
    assert rig.last("leg.create")["called"]["number"] == "13812340000" and rig.heard() == ["thanks en"]
    rig.do("leg.offered", leg="p2", tech="pri", trunk_group="carrier", span=1, timeslot=2, caller="", caller_presentation="restricted", called="02150801001",
           called_complete=True)
    assert rig.heard("p2") == ["sorry en"] and len(rig.actions_of("leg.create")) == 1


def test_an_erasure_takes_what_is_to_be_sent_and_what_was():
    rig = world()
    ask(rig)
    rig.do("leg.answered", leg=rig.last("leg.create")["leg"])
    machine(rig)
    ask(rig, at_ms=rig.now + 10**6)
    assert rig.command("command.erase", forms=[NUMBER]) is None and rows(rig) == []
    assert not [value for value in rig.sb.core.state.dump()["faxes"] if NUMBER in str(value)]


def test_a_person_to_whom_a_document_is_on_its_way_is_erased_after_it():
    rig = world(prefix="")
    rig.config["routes"].append({"number": "+86.", "choices": [{"trunk_group": "carrier", "strip": 3}], "classes": ["national"]})
    rig.sb.configure(rig.config, rig.now)
    ask(rig, "+86" + NUMBER)
    forms = [NUMBER, "0" + NUMBER, "86" + NUMBER]
    assert "just now" in rig.command("command.erase", forms=forms) and rows(rig)[0][0] == "calling"
    refuse(rig, 17)
    assert rig.command("command.erase", forms=forms) is None and rows(rig) == []
    assert NUMBER not in str(rig.sb.core.state.dump()["faxes"])


def test_one_that_waited_too_long_for_its_turn_is_not_sent():
    rig = world(at_once=1, expires_s=300, ring_s=600)
    ask(rig)
    ask(rig, "13900001111")
    rig.wait(299000)
    rig.do("leg.answered", leg=rig.last("leg.create")["leg"])
    rig.wait(2000)
    machine(rig)
    assert [state for state, *_ in rows(rig)] == ["expired", "sent"] and len(rig.actions_of("leg.create")) == 1


def test_a_machine_that_says_its_number_with_blanks():
    rig = world()
    ask(rig)
    rig.do("leg.answered", leg=rig.last("leg.create")["leg"])
    request = rig.last("ivr.ask")
    said = {"pages": 2, "rate": 14400, "ecm": True, "station": "+86 139 8765 4321"}
    rig.do("ivr.answer", call=request["call"], token=request["token"], ok=True, result=said, fax=said)
    assert [record["data"]["station"] for record in rig.journal if record["kind"] == "fax.ended"] == ["+8613987654321"] and rig.cdrs[-1]["fax"][0]["station"] == "+8613987654321"


def test_the_node_is_checked_written_as_text_and_simulated():
    assert flow.check(ON_DEMAND, "ivr.f") == [] and text.read(text.write(ON_DEMAND)) == ON_DEMAND
    for script in ("press 13912345678#\nexpect ask send_fax\nsends f7\nexpect hear thanks\nexpect hangup", "press 123456#\nfails no route\nexpect hear sorry"):
        assert simulator.run({"f": ON_DEMAND}, "f", script).failures == [], script
    ring = dict(ON_DEMAND, nodes=dict(ON_DEMAND["nodes"], send=dict(ON_DEMAND["nodes"]["send"], failed="send")))
    assert any("lead back" in str(error) for error in flow.check(ring, "ivr.f"))


def test_the_settings_are_checked():
    config, errors = check({"fax": {"prefix": "a", "at_once": 0, "station": "x", "header": "{now}", "attempts": 0, "classes": ["moon"]}})
    assert sorted(error.path.split("[")[0] for error in errors) == ["fax.at_once", "fax.attempts", "fax.classes", "fax.header", "fax.prefix", "fax.station"]
    config, errors = check({})
    assert not errors and config["fax"]["enabled"] is False
