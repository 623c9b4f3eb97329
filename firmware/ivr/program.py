"""What a program outside may do with a call that a flow has given to it (nodes agi and cti).

operate(visit, operation) carries out one of:

    {"do": "play", "items": [prompt names and spoken values], "keys"?: "0123456789*#"}       told {"key": the key that ended it or ""}
    {"do": "collect", "items"?, "length"?, "terminator"?, "first_timeout_s"?, "digit_timeout_s"?, "secret"?}   told {"digits", "timeout"}
    {"do": "record", "items"?, "keys"?, "most_s"?, "beep"?}                               told {"recorded": {recording, duration_ms, path} or None}
    {"do": "set", "variables": {}}    {"do": "get", "expression"}    {"do": "language", "language"}     told at once
    {"do": "go", "node"?}                   the flow goes on at a node, at the node's next where none is named
    {"do": "fail", "why"?}                  ... at its failed
    {"do": "hangup", "cause"?}

One at a time: a new play or collect takes the place of the one before, which is told {"replaced": true} by its caller's side.
Raises LocalError with a sentence.
"""

from firmware.errors import LocalError
from firmware.ivr import expression, spoken

DIGITS = "0123456789*#"
ITEMS = 100


def operate(visit, operation):
    """The command that follows.  See the module's docstring."""
    position = visit.at
    if position["waiting"] == "other" or visit.flow() is None:
        raise LocalError("no program has the call")
    do = operation.get("do")
    held = visit.flow()["nodes"].get(position["node"])
    if held is None or held["type"] not in ("agi", "cti"):
        raise LocalError("no program has the call")
    if do == "go":
        name = operation.get("node")
        if name is not None and name not in visit.flow()["nodes"]:
            raise LocalError("there is no node %r in flow %s" % (name, position["flow"]))
        return visit.enter(name if name is not None else held["next"])
    if do == "fail":
        return visit.unanswered(str(operation.get("why") or "the program gave up"))
    if do == "hangup":
        position["operation"], position["waiting"] = None, "other"
        return {"do": "hangup", "cause": _whole(operation, "cause", 16, 1, 127), "items": []}
    if do == "set":
        visit.keep_variables(_variables(operation.get("variables")))
        return _at_once(visit, {"set": True})
    if do == "get":
        return _at_once(visit, {"value": expression.evaluate(operation.get("expression"), visit.look)})
    if do == "language":
        if operation.get("language") not in visit.flow()["languages"]:
            raise LocalError("the flow does not speak %r" % (operation.get("language"),))
        position["language"] = operation["language"]
        return _at_once(visit, {"language": position["language"]})
    node = _node(operation, do)
    visit.set_entry("")
    position["operation"] = node
    position["entry"] = ""
    return visit.play(node["prompts"])


def _at_once(visit, result):
    command = {"do": "told", "result": result, "at_once": True}
    return command


def _node(operation, do):
    """What stands in the node's place while it lasts."""
    items = operation.get("items") or []
    if not isinstance(items, list) or len(items) > ITEMS:
        raise LocalError("items lists names of prompts and spoken values, at most %d" % ITEMS)
    for item in items:
        if not isinstance(item, str) and not (isinstance(item, dict) and (spoken.kind_of(item) or "silence_ms" in item or "recording" in item or "tone" in item)):
            raise LocalError("%r is neither the name of a prompt nor a spoken value" % (item,))
    keys = operation.get("keys", "")
    if not isinstance(keys, str) or False in [key in DIGITS for key in keys]:
        raise LocalError("keys are those of the telephone: 0-9, * and #")
    if do == "play":
        return {"type": "play", "prompts": items, "keys": keys, "barge_in": bool(keys), "next": None}
    if do == "collect":
        terminator = operation.get("terminator", "#")
        if not isinstance(terminator, str) or len(terminator) > 1 or terminator not in DIGITS:
            raise LocalError("terminator is one key of the telephone, or \"\"")
        return {"type": "collect", "prompts": items, "length": _whole(operation, "length", 20, 1, 255), "min_length": 0, "terminator": terminator,
                "erase": "", "first_timeout_s": _seconds(operation, "first_timeout_s", 5), "digit_timeout_s": _seconds(operation, "digit_timeout_s", 4),
                "into": "", "secret": operation.get("secret") is True}
    if do == "record":
        return {"type": "record", "prompts": items, "keys": keys or "#", "most_s": _whole(operation, "most_s", 120, 1, 3600),
                "beep": operation.get("beep") is not False, "into": ""}
    raise LocalError("a program may do play, collect, record, set, get, language, go, fail and hangup, not %r" % (do,))


def _whole(operation, name, default, least, most):
    value = operation.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise LocalError("%s is a whole number from %d to %d" % (name, least, most))
    return value


def _seconds(operation, name, default):
    value = operation.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 3600:
        raise LocalError("%s is seconds above 0, at most 3600" % name)
    return value


def _variables(variables):
    if not isinstance(variables, dict) or len(variables) > 50:
        raise LocalError("variables has names with values, at most 50")
    for name in variables:
        if not isinstance(name, str) or not 0 < len(name) <= 64:
            raise LocalError("%r is no name of a variable" % (name,))
    return variables
