"""Scenarios of the IVR: the check of flows and the interpreter; run under CPython and MicroPython."""

import json

from firmware.errors import LocalError
from firmware.ivr import expression, flow as flows
from firmware.ivr import interpreter


def demo():
    return {"version": 1, "languages": ["zh_CN", "en"], "start": "greeting", "nodes": {
        "greeting": {"type": "play", "prompts": ["greeting"], "next": "menu"},
        "menu": {"type": "menu", "prompts": ["menu"], "attempts": 2, "wrong_attempts": 2, "exhausted": "operator",
                 "choices": {"1": "sales", "9": "english", "8": "notice", "7": "agent"}},
        "english": {"type": "language", "language": "en", "next": "menu"},
        "notice": {"type": "play", "prompts": ["notice"], "barge_in": False, "next": "goodbye"},
        "agent": {"type": "agent", "agent": "1001", "failed": "sales"},
        "sales": {"type": "queue", "queue": "sales", "overflow": "goodbye"},
        "operator": {"type": "queue", "queue": "operator"},
        "goodbye": {"type": "hangup", "prompts": ["goodbye"]}}}


def checks():
    assert flows.check(demo(), "ivr.main", ["sales", "operator"], ["1001"], []) == []
    assert flows.check("x", "p")[0].path == "p" and flows.check({}, "p")[0].path == "p.version"

    def paths(change):
        flow = demo()
        change(flow)
        return [error.path for error in flows.check(flow, "f", ["sales", "operator"], ["1001"], [])]

    assert paths(lambda flow: flow.update({"start": "no"})) == ["f.start"]
    assert paths(lambda flow: flow.update({"languages": []}))[0] == "f.languages"
    assert paths(lambda flow: flow["nodes"]["menu"]["choices"].update({"12": "sales"})) == ["f.nodes.menu.choices.12"]
    assert paths(lambda flow: flow["nodes"]["menu"]["choices"].update({"2": "no"})) == ["f.nodes.menu.choices.2"]
    assert paths(lambda flow: flow["nodes"]["menu"].update({"tries": 2})) == ["f.nodes.menu.tries"]
    assert paths(lambda flow: flow["nodes"]["menu"].update({"timeout_s": 0})) == ["f.nodes.menu.timeout_s"]
    assert paths(lambda flow: flow["nodes"]["menu"].update({"attempts": True})) == ["f.nodes.menu.attempts"]
    assert paths(lambda flow: flow["nodes"]["greeting"].update({"prompts": "greeting"})) == ["f.nodes.greeting.prompts"]
    assert paths(lambda flow: flow["nodes"]["sales"].update({"queue": "other"})) == ["f.nodes.sales.queue"]
    assert paths(lambda flow: flow["nodes"]["goodbye"].update({"cause": 0})) == ["f.nodes.goodbye.cause"]
    assert paths(lambda flow: flow["nodes"]["english"].update({"language": "fr"})) == ["f.nodes.english.language"]
    assert paths(lambda flow: flow["nodes"]["english"].pop("next")) == ["f.nodes.english.next"]
    assert paths(lambda flow: flow["nodes"].update({"odd": {"type": "dance"}})) == ["f.nodes.odd.type"]
    assert paths(lambda flow: flow["nodes"].update({"lost": {"type": "hangup"}})) == ["f.nodes.lost"]
    assert paths(lambda flow: flow["nodes"]["english"].update({"next": "english"}))[0] == "f.nodes.english"
    assert paths(lambda flow: flow["nodes"]["agent"].update({"failed": "agent"}))[0] == "f.nodes.agent"
    assert paths(lambda flow: flow["nodes"]["agent"].pop("failed")) == []
    assert paths(lambda flow: flow["nodes"]["sales"].update({"type": ["queue"]}))[:1] == ["f.nodes.sales.type"]
    assert paths(lambda flow: flow["nodes"]["sales"].update({"queue": ["sales"]})) == ["f.nodes.sales.queue"]
    long = {"version": 1, "languages": ["en"], "start": "n0", "nodes": {"n1999": {"type": "hangup"}}}
    for number in range(1999):
        long["nodes"]["n%d" % number] = {"type": "language", "language": "en", "next": "n%d" % (number + 1)}
    assert flows.check(long, "f") == []
    long["nodes"]["n1999"] = {"type": "line", "line": "1", "failed": "n7"}
    assert [error.path for error in flows.check(long, "f")] == ["f.nodes.n7"]


def names(command):
    return [item["prompt"] + " " + item["language"] for item in command["items"]]


def visit(flow=None, **facts):
    return interpreter.Visit({"main": flow or demo()}, facts)


def walk():
    sb = visit()
    position, command = sb.start("main")
    assert names(command) == ["greeting zh_CN", "greeting en"]
    position, command = sb.done(json.loads(json.dumps(position)))
    assert names(command) == ["menu zh_CN", "menu en"]
    assert sb.timeout(position)[1]["do"] == "none"       # the prompt still plays
    position, command = sb.done(position)
    assert command == {"do": "listen", "timeout_s": 5} and sb.done(position)[1]["do"] == "none"
    position, command = sb.timeout(position)
    assert names(command)[:2] == ["no_input zh_CN", "menu zh_CN"]
    position, command = sb.digit(position, "9")
    assert names(command) == ["menu en"] and position["language"] == "en" and position["missed"] == 0
    queued, command = sb.digit(position, "1")
    assert command == {"do": "queue", "queue": "sales", "overflow": "goodbye", "after": None}
    assert sb.digit(queued, "1")[1]["do"] == "none" and sb.repeat(queued)[1]["do"] == "none"
    position, command = sb.jump(queued, "goodbye")
    assert command["do"] == "hangup" and command["cause"] == 16 and names(command) == ["goodbye en"]
    assert sb.jump(queued, "nowhere")[1] == {"do": "hangup", "cause": 41, "items": []}


def wrong_and_missing():
    sb = visit()
    position, command = sb.done(sb.start("main")[0])
    position, command = sb.digit(position, "5")
    assert names(command)[:2] == ["invalid zh_CN", "menu zh_CN"]
    assert sb.digit(position, "6")[1]["queue"] == "operator"
    position, command = sb.done(position)
    position, command = sb.timeout(position)
    position, command = sb.done(position)
    assert sb.timeout(position)[1]["queue"] == "operator"


def ahead():
    sb = visit()
    position, command = sb.digit(sb.start("main")[0], "1")
    assert command["queue"] == "sales"
    position, command = sb.digit(sb.start("main")[0], "5")
    assert names(command)[0] == "invalid zh_CN"
    position, command = sb.digit(position, "8")
    assert names(command)[0] == "notice zh_CN" and sb.digit(position, "1")[1]["do"] == "none"
    position, command = sb.done(position)
    assert command["do"] == "hangup"
    assert sb.digit(sb.start("main")[0], "7")[1] == {"do": "agent", "target": "1001", "failed": "sales", "after": None}


def no_prompts():
    flow = demo()
    flow["nodes"]["greeting"]["next"] = "greeting"
    sb = visit(flow)
    position, command = sb.start("main")
    for _ in range(interpreter.MAX_ERRORS):
        assert command["do"] == "play"
        position, command = sb.done(position, True)
    assert command == {"do": "hangup", "cause": 41, "items": []}
    flow["nodes"] = {"greeting": {"type": "language", "language": "en", "next": "greeting"}}
    assert sb.start("main")[1]["do"] == "hangup"


def bank():
    """A flow with an account number, a PIN, a question to a service, a sub-flow and a survey."""
    return {"version": 1, "languages": ["en"], "start": "account", "nodes": {
        "account": {"type": "collect", "prompts": ["account"], "into": "account", "length": 16, "min_length": 4, "check": "luhn(value)",
                    "attempts": 2, "next": "pin", "failed": "bye"},
        "pin": {"type": "collect", "prompts": ["pin"], "into": "pin", "length": 6, "min_length": 4, "secret": True, "next": "ask", "failed": "bye"},
        "ask": {"type": "http", "service": "bank", "path": "/accounts/{account}", "method": "POST", "body": {"pin": "{pin}", "n": 1}, "timeout_s": 3,
                "take": {"balance": "body.balance", "level": "body.level"}, "prompts": ["moment"], "next": "level", "failed": "sorry"},
        "level": {"type": "branch", "cases": [{"if": "level == \"gold\" and balance > 100", "next": "rich"}], "otherwise": "tell"},
        "rich": {"type": "set", "variables": {"name": "gold {account}", "half": "{balance / 2}"}, "next": "tell"},
        "tell": {"type": "play", "prompts": ["balance", {"money": "{balance}"}], "next": "sub"},
        "sub": {"type": "flow", "flow": "survey", "next": "bye"},
        "sorry": {"type": "play", "prompts": ["sorry"], "next": "bye"},
        "bye": {"type": "hangup", "prompts": ["goodbye"]}}}


def survey():
    return {"version": 1, "languages": ["en"], "start": "ask", "nodes": {
        "ask": {"type": "survey", "survey": "csat", "question": "q1", "prompts": ["rate"], "choices": "12345", "attempts": 2, "next": "back"},
        "back": {"type": "return"}}}


def press(sb, position, keys):
    command = None
    for key in keys:
        position, command = sb.digit(json.loads(json.dumps(position)), key)
    return position, command


def entries():
    flow = bank()
    assert flows.check(flow, "f", flows={"survey": True}, services={"bank": "http"}) == []
    private = {}
    sb = interpreter.Visit({"main": flow, "survey": survey()}, {"caller": "139"}, private)
    position, command = sb.start("main")
    position, command = press(sb, position, "7992739871")
    assert command == {"do": "listen", "timeout_s": 4} and position["entry"] == "7992739871"
    position, command = press(sb, position, "4#")               # the check digit is wrong
    assert names(command) == ["invalid en", "account en"] and position["wrong"] == 1
    position, command = press(sb, position, "*79*79927398713#")
    assert names(command) == ["pin en"] and position["variables"]["account"] == "79927398713"
    position, command = press(sb, position, "56")
    assert command["private"] and "56" not in json.dumps(position) and private["entry"] == "56"
    position, command = press(sb, position, "56#")
    assert command["do"] == "ask" and command["request"]["path"] == "/accounts/79927398713" and names(command) == ["moment en"]
    assert "5656" not in repr(command) and "5656" not in json.dumps(position) and command["request"]["body"].reveal() == {"pin": "5656", "n": 1}
    late = sb.timeout(position)
    assert names(late[1]) == ["sorry en"] and late[0]["error"]["node"] == "ask"
    assert names(sb.answer(position, True, {"status": 500, "body": None})[1]) == ["sorry en"]
    assert "questions" not in repr(sb.repeat(position)) and names(sb.repeat(position)[1]) == ["sorry en"]      # a POST is not asked twice
    position, command = sb.answer(position, True, {"status": 200, "body": {"balance": "120.50", "level": "gold", "more": "x" * 20}})
    assert position["variables"] == {"account": "79927398713", "balance": "120.50", "level": "gold", "name": "gold 79927398713", "half": 60.25}
    assert command["items"][1] == {"money": "120.50", "language": "en"}
    position, command = sb.done(position)
    assert position["flow"] == "survey" and position["stack"] == [["main", "bye"]] and names(command) == ["rate en"]
    position, command = press(sb, position, "4")
    assert command["survey"] == {"survey": "csat", "question": "q1", "answer": "4"} and command["do"] == "hangup" and position["flow"] == "main"
    # a restart forgets the PIN: it is asked for again
    position, command = press(sb, sb.start("main")[0], "79927398713#1234#")
    sb.private.clear()
    position["waiting"], position["node"] = "other", None
    assert names(sb.jump(position, "ask")[1]) == ["pin en"]
    # typed ahead, the PIN too
    flow["nodes"]["hello"] = {"type": "play", "prompts": ["hello"], "next": "pin"}
    flow["nodes"]["account"]["next"] = "hello"
    position, command = press(sb, sb.start("main")[0], "79927398713#")
    assert names(command) == ["hello en"]
    position, command = press(sb, position, "55")
    assert "55" not in json.dumps(position) and command["private"] and sb.private["entry"] == "55"


def too_large():
    sb = interpreter.Visit({"main": bank(), "survey": survey()}, {}, {"values": {"pin": "1234"}})
    position = sb.start("main")[0]
    position["asked"] = {"pin": "pin"}
    position, command = sb.jump(position, "ask")
    assert names(sb.answer(position, True, {"status": 200, "body": {"balance": "x" * 17000}})[1]) == ["sorry en"]


def programs():
    flow = {"version": 1, "languages": ["en"], "start": "out", "nodes": {
        "out": {"type": "cti", "application": "crm", "data": {"who": "{caller}"}, "next": "bye", "failed": "sorry"},
        "sorry": {"type": "play", "prompts": ["sorry"], "next": "bye"}, "bye": {"type": "hangup"}}}
    assert flows.check(flow, "f") == []
    sb = visit(flow, caller="139")
    position, command = sb.start("main")
    assert command == {"do": "program", "kind": "cti", "request": {"service": None, "timeout_s": 60, "application": "crm", "data": {"who": "139"}},
                       "timeout_s": 60, "items": []}
    playing, command = sb.operate(position, {"do": "play", "items": ["hello", {"number": 7}], "keys": "1"})
    assert command["items"] == [{"prompt": "hello", "language": "en"}, {"number": 7, "language": "en"}]
    assert sb.digit(playing, "2")[1]["do"] == "none" and sb.digit(playing, "1")[1] == {"do": "told", "result": {"key": "1"}}
    back, command = sb.done(playing)
    assert command == {"do": "told", "result": {"key": ""}} and back["waiting"] == "program"
    entering, command = sb.operate(back, {"do": "collect", "length": 3, "secret": True})
    assert command == {"do": "listen", "timeout_s": 5}
    entering, command = press(sb, entering, "12")
    assert command["private"] and sb.timeout(entering)[1]["result"] == {"digits": "12", "timeout": True}
    assert press(sb, entering, "3")[1]["do"] == "listen"          # the clock took the first two
    assert sb.operate(back, {"do": "set", "variables": {"a": 1}})[0]["variables"] == {"a": 1}
    assert sb.operate(back, {"do": "get", "expression": "caller"})[1]["result"] == {"value": "139"}
    assert sb.operate(back, {"do": "go"})[1]["do"] == "hangup" and names(sb.operate(back, {"do": "fail"})[1]) == ["sorry en"]
    assert names(sb.timeout(back)[1]) == ["sorry en"]
    for wrong in ({}, {"do": "dance"}, {"do": "play", "items": [1]}, {"do": "go", "node": "x"}, {"do": "collect", "length": 0}):
        try:
            sb.operate(back, wrong)
        except LocalError:
            continue
        assert False, wrong


def expressions():
    known = {"balance": "120.50", "rows": [{"name": "x"}], "time": {"weekday": 3, "clock": "09:30"}, "a": 1}
    for source, value in (("balance > 100 and time.weekday <= 5", True), ("rows[0].name + \"y\"", "xy"), ("nobody == none", True), ("1 + 2 * 3 - -1", 8),
                          ("\"01\" == \"1\"", False), ("1 == \"1\"", True), ("luhn(\"79927398713\")", True), ("luhn(\"79927398710\")", False),
                          ("identity_card(\"11010519491231002*\")", True), ("identity_card(\"110105194912310021\")", False),
                          ("matches(\"6212345\", \"62\\d{5}\")", True), ("matches(\"aaab\", \"a{0,2}b\")", False), ("round(2.345, 2)", 2.35),
                          ("time.clock >= \"09:00\" and time.clock < \"18:00\"", True), ("not a == 2", True), ("a in [2, \"1\"]", True), ("10 / 4", 2.5)):
        assert expression.evaluate(source, known.get) == value, source
    for source in ("", "1 +", "foo(1)", "(1", "'a", "a b", "1 < 2 < 3", "(" * 30, "none + 1", "1 / 0", "matches(a, \"(\")", "rows + 1", "a..b", "x" * 501):
        try:
            expression.evaluate(source, known.get)
        except LocalError:
            continue
        assert False, source
    assert expression.fill("{{{a}}} {balance}", known.get) == "{1} 120.50"


def rings():
    flow = bank()
    flow["nodes"]["sorry"]["next"] = "ask"
    found = [error for error in flows.check(flow, "f")]
    assert found[0].path == "f.nodes.ask" and "ask -> sorry -> ask" in found[0].advice, str(found[0])
    assert flows.check(flow, "f", strict=False) == []
    flow = bank()
    flow["nodes"]["tell"]["prompts"] = [{"digits": "{pin}"}]
    assert [error.path for error in flows.check(flow, "f")] == ["f.nodes.tell.prompts"]
    flow = bank()
    flow["nodes"]["ask"]["path"] = "/x?{pin}"
    assert [error.path for error in flows.check(flow, "f")] == ["f.nodes.ask.path"]
    flow["nodes"]["ask"]["path"] = "/x"
    flow["nodes"]["ask"]["take"] = {"Balance": "body.x", "b": "1 +"}
    flow["nodes"]["level"]["cases"] = [{"if": "1", "next": "nowhere"}, {"if": "("}]
    flow["nodes"]["tell"]["prompts"] = [{"money": "x"}, {"count": 1, "unit": "unicorn"}, {"number": 1, "colour": 2}]
    assert [error.path[8:] for error in flows.check(flow, "f")] == [
        "ask.take.Balance", "ask.take.b", "level.cases[0].next", "level.cases[1]", "tell.prompts[0]", "tell.prompts[1]", "tell.prompts[2].colour"]


def run():
    for scenario in (checks, walk, wrong_and_missing, ahead, no_prompts, entries, too_large, programs, expressions, rings):
        scenario()
