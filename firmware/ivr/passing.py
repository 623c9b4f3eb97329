"""Nodes that pass at once, and what can be told of a flow without a caller: PASS {type: function(visit, node) -> the next
node's name, or a command}, is_private(), size()."""

from firmware.errors import LocalError
from firmware.ivr import expression, requests
from firmware.ivr.nodes import PASSED, edges, is_secret, option

DEEPEST = 8             # flows within flows; invented


def _pass_language(visit, node):
    visit.at["language"] = node["language"]
    return node["next"]


def _pass_branch(visit, node):
    lost = visit.lost_secret(node)
    if lost is not None:
        return lost
    try:
        for case in option(node, "cases"):
            if expression.truth(expression.evaluate(case["if"], visit.look_secret)):
                return case["next"]
        if option(node, "value"):
            value = expression.text(expression.evaluate(node["value"], visit.look_secret))
            if value in option(node, "choices"):
                return node["choices"][value]
    except LocalError as error:
        visit.note(error)
    return node["otherwise"]


def _pass_set(visit, node):
    try:
        worked = {}
        for name in sorted(node["variables"]):
            worked[name] = expression.worked_out(node["variables"][name], visit.look)
        visit.keep_variables(worked)
    except LocalError as error:
        visit.note(error)
        failed = option(node, "failed")
        return failed if failed is not None else visit.failed(str(error))
    return node["next"]


def _pass_flow(visit, node):
    position = visit.at
    if node["flow"] not in visit.flows or len(position["stack"]) >= DEEPEST:
        return visit.failed("flow %s is not there, or more than %d flows are within each other" % (node["flow"], DEEPEST))
    position["stack"] = position["stack"] + [[position["flow"], node["next"]]]
    position["flow"], position["node"] = node["flow"], None
    return visit.flows[node["flow"]]["start"]


def _pass_return(visit, node):
    position = visit.at
    if not position["stack"]:
        position["waiting"] = OTHER
        return {"do": "hangup", "cause": 16, "items": []}
    position["flow"], name = position["stack"][-1]
    position["stack"] = position["stack"][:-1]
    position["node"] = None
    return name


PASS = {"language": _pass_language, "branch": _pass_branch, "set": _pass_set, "flow": _pass_flow, "return": _pass_return}


def is_private(flows, position):
    """Whether keys pressed here may belong to a secret entry: this node's, or the first one that follows without other keys."""
    met, left = {}, [(position["flow"], position["node"], len(position["stack"]))]
    while left:
        at = left.pop()
        flow = flows.get(at[0])
        node = flow["nodes"].get(at[1]) if flow is not None else None
        if at in met or node is None:
            continue
        met[at] = True
        if is_secret(node):
            return True
        if node["type"] == "flow" and node["flow"] in flows:
            left.append((node["flow"], flows[node["flow"]]["start"], at[2]))
        elif node["type"] == "return" and at[2]:
            name, to = position["stack"][at[2] - 1]
            left.append((name, to, at[2] - 1))
        if node["type"] in PASSED:
            left += [(at[0], to, at[2]) for key, to, act in edges(node)]
    return False


def size(value):
    """About how many characters a value takes as JSON."""
    if isinstance(value, dict):
        return 2 + sum([len(str(key)) + 4 + size(value[key]) for key in value])
    if isinstance(value, list):
        return 2 + sum([1 + size(each) for each in value])
    return len(value) + 2 if isinstance(value, str) else 8
