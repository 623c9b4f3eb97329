"""The IVR interpreter: where a caller stands in a flow, and what comes next.

Pure: it gets the flow, a position and an input, and returns the new position and one
command.  The position is a small dict that is journaled at each step, so a caller
stays where he is when the control process dies:

    {"node", "waiting": "prompt"|"digit"|"other", "language": or None, "missed": rounds without a digit,
     "wrong": wrong digits, "ahead": digits typed ahead, "errors": prompts and transfers that failed in a row}

Inputs, and what they do at the node:

    start(flow)                 enter the flow
    digit(flow, position, "1")  barge in, choose, or be told that the digit is wrong
    done(flow, position, error) the prompt has ended (error: it could not be played)
    timeout(flow, position)     no digit came in time
    jump(flow, position, node, failed)  continue at a node: overflow of a queue, failed transfer

Commands (dict with "do"):
    {"do": "play", "items": [...]}          then done() is due
    {"do": "listen", "timeout_s": 5}        the prompt is over; timeout() is due after so long
    {"do": "queue", "queue", "overflow", "given"? {"priority"?, "skills"?}}    leaves the interpreter, jump() may come back
    {"do": "agent"|"line", "target", "failed"}
    {"do": "outside", "number", "failed", "ring_s"}
    {"do": "hangup", "cause", "items"}      items may be empty
    {"do": "none"}                          nothing changes (a digit that barge-in does not allow)

A digit pressed during a "play" node is kept and chooses in the next menu: who knows the menu
need not wait for it.  It is used up by the first menu.
"""

from firmware.ivr.flow import option

PROMPT = "prompt"
DIGIT = "digit"
OTHER = "other"

# A flow that the check let through can still loop over prompts whose files are missing, or a flow that no check has
# seen over transfers that fail at once; invented bound.
MAX_ERRORS = 8
# Nodes passed without anything to hear; check() forbids rings, so this is only a last line. Invented.
MAX_SILENT = 100
FAILURE_CAUSE = 41      # Q.850: temporary failure


def start(flow, language=None):
    """Enter a flow; a language chosen before stays if the flow speaks it.  Returns (position, command)."""
    position = {"node": None, "waiting": OTHER, "language": language if language in flow["languages"] else None, "missed": 0, "wrong": 0, "ahead": "", "errors": 0}
    return _enter(flow, position, flow["start"])


def digit(flow, position, key):
    """The caller pressed a key.  Returns (position, command)."""
    node = flow["nodes"].get(position["node"])
    if node is None or position["waiting"] == OTHER:
        return position, {"do": "none"}
    position = dict(position)
    if position["waiting"] == PROMPT and not option(node, "barge_in"):
        return position, {"do": "none"}
    if node["type"] == "play":
        position["ahead"] = key
        return _enter(flow, position, node["next"])
    return _choose(flow, position, node, key)


def done(flow, position, error=False):
    """The prompt of this position has ended.  Returns (position, command)."""
    node = flow["nodes"].get(position["node"])
    if node is None or position["waiting"] != PROMPT:
        return position, {"do": "none"}
    position = dict(position)
    position["errors"] = position["errors"] + 1 if error else 0
    if position["errors"] >= MAX_ERRORS:
        return _failed(position)
    if node["type"] == "play":
        return _enter(flow, position, node["next"])
    position["waiting"] = DIGIT
    return position, {"do": "listen", "timeout_s": option(node, "timeout_s")}


def timeout(flow, position):
    """No digit came in time.  Returns (position, command)."""
    node = flow["nodes"].get(position["node"])
    if node is None or position["waiting"] != DIGIT:
        return position, {"do": "none"}
    position = dict(position)
    position["missed"] += 1
    if position["missed"] >= option(node, "attempts"):
        return _enter(flow, position, node["exhausted"])
    return _play(flow, position, option(node, "no_input") + node["prompts"])


def jump(flow, position, name, failed=False):
    """Continue at a node.  failed: a transfer did not reach anybody.  Returns (position, command)."""
    position = dict(position)
    if failed:
        position["errors"] += 1         # transfers that lead to each other would never end
        if position["errors"] >= MAX_ERRORS:
            return _failed(position)
    return _enter(flow, position, name)


def repeat(flow, position):
    """Say this position's prompt again (media has forgotten it).  Returns (position, command)."""
    node = flow["nodes"].get(position["node"])
    if node is None or "prompts" not in node or node["type"] == "hangup":
        return position, {"do": "none"}
    return _play(flow, dict(position), node["prompts"])


def spoken(flow, position, prompts):
    """Items that say prompts in the chosen language, or in all languages one after the other."""
    languages = [position["language"]] if position["language"] else flow["languages"]
    items = []
    for language in languages:
        for prompt in prompts:
            items.append({"prompt": prompt, "language": language})
    return items


def _choose(flow, position, node, key):
    if key in node["choices"]:
        return _enter(flow, position, node["choices"][key])
    position["wrong"] += 1
    if position["wrong"] >= option(node, "wrong_attempts"):
        return _enter(flow, position, node["exhausted"])
    return _play(flow, position, option(node, "invalid") + node["prompts"])


def _play(flow, position, prompts):
    position["waiting"] = PROMPT
    return position, {"do": "play", "items": spoken(flow, position, prompts)}


def _failed(position):
    position["waiting"] = OTHER
    return position, {"do": "hangup", "cause": FAILURE_CAUSE, "items": []}


def _enter(flow, position, name):
    """Go to a node and on through all that need no waiting."""
    for _ in range(MAX_SILENT):
        node = flow["nodes"].get(name)
        if node is None:
            return _failed(position)
        kind = node["type"]
        if name != position["node"]:
            position["missed"] = position["wrong"] = 0
        position["node"] = name
        if kind == "language":
            position["language"] = node["language"]
            name = node["next"]
            continue
        if kind == "play":
            return _play(flow, position, node["prompts"])
        if kind == "menu":
            key = position["ahead"]
            position["ahead"] = ""
            if key:
                return _choose(flow, position, node, key)
            return _play(flow, position, node["prompts"])
        position["waiting"] = OTHER
        position["ahead"] = ""
        if kind == "queue":
            command = {"do": "queue", "queue": node["queue"], "overflow": option(node, "overflow")}
            given = dict([(key, node[key]) for key in ("priority", "skills") if node.get(key) is not None])
            if given:
                command["given"] = given
            return position, command
        if kind == "agent" or kind == "line":
            return position, {"do": kind, "target": node[kind], "failed": option(node, "failed")}
        if kind == "outside":
            return position, {"do": kind, "number": node["number"], "failed": option(node, "failed"), "ring_s": option(node, "ring_s")}
        return position, {"do": "hangup", "cause": option(node, "cause"), "items": spoken(flow, position, option(node, "prompts"))}
    return _failed(position)
