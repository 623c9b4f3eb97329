"""Scenarios of the IVR: the check of flows and the interpreter; run under CPython and MicroPython."""

import json

from firmware.ivr import flow as flows
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
    assert [error.path for error in flows.check(long, "f")] == ["f.nodes.n0"]


def names(command):
    return [item["prompt"] + " " + item["language"] for item in command["items"]]


def walk():
    flow = demo()
    position, command = interpreter.start(flow)
    assert names(command) == ["greeting zh_CN", "greeting en"]
    position, command = interpreter.done(flow, json.loads(json.dumps(position)))
    assert names(command) == ["menu zh_CN", "menu en"]
    assert interpreter.timeout(flow, position)[1]["do"] == "none"       # the prompt still plays
    position, command = interpreter.done(flow, position)
    assert command == {"do": "listen", "timeout_s": 5} and interpreter.done(flow, position)[1]["do"] == "none"
    position, command = interpreter.timeout(flow, position)
    assert names(command)[:2] == ["no_input zh_CN", "menu zh_CN"]
    position, command = interpreter.digit(flow, position, "9")
    assert names(command) == ["menu en"] and position["language"] == "en" and position["missed"] == 0
    queued, command = interpreter.digit(flow, position, "1")
    assert command == {"do": "queue", "queue": "sales", "overflow": "goodbye"}
    assert interpreter.digit(flow, queued, "1")[1]["do"] == "none" and interpreter.repeat(flow, queued)[1]["do"] == "none"
    position, command = interpreter.jump(flow, queued, "goodbye")
    assert command["do"] == "hangup" and command["cause"] == 16 and names(command) == ["goodbye en"]
    assert interpreter.jump(flow, queued, "nowhere")[1] == {"do": "hangup", "cause": 41, "items": []}


def wrong_and_missing():
    flow = demo()
    position, command = interpreter.done(flow, interpreter.start(flow)[0])
    position, command = interpreter.digit(flow, position, "5")
    assert names(command)[:2] == ["invalid zh_CN", "menu zh_CN"]
    assert interpreter.digit(flow, position, "6")[1]["queue"] == "operator"
    position, command = interpreter.done(flow, position)
    position, command = interpreter.timeout(flow, position)
    position, command = interpreter.done(flow, position)
    assert interpreter.timeout(flow, position)[1]["queue"] == "operator"


def ahead():
    flow = demo()
    position, command = interpreter.digit(flow, interpreter.start(flow)[0], "1")
    assert command["queue"] == "sales"
    position, command = interpreter.digit(flow, interpreter.start(flow)[0], "5")
    assert names(command)[0] == "invalid zh_CN"
    position, command = interpreter.digit(flow, position, "8")
    assert names(command)[0] == "notice zh_CN" and interpreter.digit(flow, position, "1")[1]["do"] == "none"
    position, command = interpreter.done(flow, position)
    assert command["do"] == "hangup"
    assert interpreter.digit(flow, interpreter.start(flow)[0], "7")[1] == {"do": "agent", "target": "1001", "failed": "sales"}


def no_prompts():
    flow = demo()
    flow["nodes"]["greeting"]["next"] = "greeting"
    position, command = interpreter.start(flow)
    for _ in range(interpreter.MAX_ERRORS):
        assert command["do"] == "play"
        position, command = interpreter.done(flow, position, True)
    assert command == {"do": "hangup", "cause": 41, "items": []}
    flow["nodes"] = {"greeting": {"type": "language", "language": "en", "next": "greeting"}}
    assert interpreter.start(flow)[1]["do"] == "hangup"


def run():
    checks()
    walk()
    wrong_and_missing()
    ahead()
    no_prompts()
