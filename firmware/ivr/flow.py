"""IVR flows: what they are made of, and the check before one goes live.

A flow is data, versioned, one JSON object:

    {"version": 1, "languages": ["zh_CN", "en"], "start": "greeting", "nodes": {name: node, ...}}

Until a "language" node has chosen one, every prompt is spoken in all languages
of the flow, one after the other.  Nodes, by "type" (keys marked ? may be left out):

    play      prompts, barge_in? (true), next          a digit ends it and is kept for the next menu
    menu      prompts, choices {digit: node}, timeout_s? (5), attempts? (3: so many rounds without a
              digit), wrong_attempts? (5), invalid? (["invalid"]), no_input? (["no_input"]),
              exhausted node, barge_in? (true)
    language  language, next                           from here on only this language
    queue     queue, overflow? node (else "goodbye" is said and the call released), priority? (the queue's),
              skills? {skill: level} that the caller needs besides the queue's
    agent     agent, failed? node                      rings this agent;  no answer or busy: failed
    line      line, failed? node                       the same with a line
    outside   number, failed? node, ring_s? (60)       dials this number by the configuration's routes
    hangup    prompts?, cause? (16)

The demo flow of the first call:

    {"version": 1, "languages": ["zh_CN", "en"], "start": "greeting", "nodes": {
      "greeting": {"type": "play", "prompts": ["greeting"], "next": "menu"},
      "menu": {"type": "menu", "prompts": ["menu"], "timeout_s": 5, "attempts": 3, "exhausted": "operator",
               "choices": {"1": "sales", "2": "service", "0": "operator"}},
      "sales": {"type": "queue", "queue": "sales", "overflow": "goodbye"},
      "service": {"type": "queue", "queue": "service", "overflow": "goodbye"},
      "operator": {"type": "queue", "queue": "operator", "overflow": "goodbye"},
      "goodbye": {"type": "hangup", "prompts": ["goodbye"]}}}

check(flow, path, queues, agents, lines) -> list of ConfigError, empty if all is well.
"""

import re

from firmware.errors import ConfigError

# What each type must have, may have (with default), and which keys name a next node.
TYPES = {
    "play": {"must": ("prompts", "next"), "may": {"barge_in": True}, "next": ("next",)},
    "menu": {"must": ("prompts", "choices", "exhausted"),
             "may": {"timeout_s": 5, "attempts": 3, "wrong_attempts": 5, "invalid": ["invalid"], "no_input": ["no_input"],
                     "barge_in": True},
             "next": ("exhausted",)},
    "language": {"must": ("language", "next"), "may": {}, "next": ("next",)},
    "queue": {"must": ("queue",), "may": {"overflow": None, "priority": None, "skills": None}, "next": ("overflow",)},
    "agent": {"must": ("agent",), "may": {"failed": None}, "next": ("failed",)},
    "line": {"must": ("line",), "may": {"failed": None}, "next": ("failed",)},
    "outside": {"must": ("number",), "may": {"failed": None, "ring_s": 60}, "next": ("failed",)},
    "hangup": {"must": (), "may": {"prompts": [], "cause": 16}, "next": ()},
}
# Types that may go on at once, and by which key; a ring of them would never let the caller hear anything.
SILENT = {"language": "next", "agent": "failed", "line": "failed", "outside": "failed"}
DIGITS = "0123456789*#"
NUMBER = re.compile("[+]?[0-9*#]+$")
PROMPT = re.compile("[A-Za-z0-9_.-]+$")     # links/prompts.py makes the file's name of it; a test compares
PROMPT_OCTETS = 60
PROMPTS = 100           # in one list; invented
SHOWN = 12              # nodes of a long ring in a sentence


def option(node, name):
    """Value of a key of a node, its default if it is left out."""
    if name in node:
        return node[name]
    return TYPES[node["type"]]["may"][name]


def check(flow, path, queues=None, agents=None, lines=None):
    """Check a flow.

    path: where it stands ("ivr.main"); queues, agents, lines: names that exist, None: do not check.
    Returns a list of ConfigError, empty if the flow may go live; never raises."""
    if not isinstance(flow, dict):
        return [ConfigError(path, "a flow is an object with version, languages, start and nodes")]
    errors = []
    if not isinstance(flow.get("version"), int) or flow.get("version") is True:
        errors.append(ConfigError(path + ".version", "give the version as a whole number; raise it at each change"))
    languages = flow.get("languages")
    if not _is_strings(languages) or not languages:
        errors.append(ConfigError(path + ".languages", "list at least one language, for example [\"zh_CN\", \"en\"]"))
        languages = []
    nodes = flow.get("nodes")
    if not isinstance(nodes, dict) or not nodes:
        errors.append(ConfigError(path + ".nodes", "a flow needs at least one node"))
        return errors
    _check_next(errors, nodes, flow.get("start"), path + ".start")
    known = {"queue": queues, "agent": agents, "line": lines}
    for name in sorted(nodes):
        _check_node(errors, nodes, nodes[name], "%s.nodes.%s" % (path, name), languages, known)
    if not errors:
        _check_silent_rings(errors, nodes, path)
        _check_reach(errors, nodes, flow["start"], path)
    return errors


def _check_node(errors, nodes, node, path, languages, known):
    if not isinstance(node, dict) or not isinstance(node.get("type"), str) or node["type"] not in TYPES:
        errors.append(ConfigError(path + ".type", "choose one of " + ", ".join(sorted(TYPES))))
        return
    kind = node["type"]
    rule = TYPES[kind]
    for key in rule["must"]:
        if key not in node:
            errors.append(ConfigError("%s.%s" % (path, key), "a %s node needs it" % kind))
    for key in sorted(node):
        if key not in rule["must"] and key not in rule["may"] and key not in ("type", "note"):
            errors.append(ConfigError("%s.%s" % (path, key), "a %s node has no such key; remove it or correct the spelling" % kind))
        else:
            _check_value(errors, node, key, path, languages, known)
    for key in rule["next"]:
        if node.get(key) is not None:
            _check_next(errors, nodes, node[key], "%s.%s" % (path, key))
    choices = node.get("choices")
    if kind == "menu" and isinstance(choices, dict):
        for digit in sorted(choices):
            if len(digit) != 1 or digit not in DIGITS:
                errors.append(ConfigError("%s.choices.%s" % (path, digit), "a choice is one key of the telephone: 0-9, * or #"))
            _check_next(errors, nodes, choices[digit], "%s.choices.%s" % (path, digit))


def _check_value(errors, node, key, path, languages, known):
    value = node[key]
    where = "%s.%s" % (path, key)
    if key in ("prompts", "invalid", "no_input"):
        if not _is_strings(value) or len(value) > PROMPTS:
            errors.append(ConfigError(where, "list the names of prompts, at most %d, for example [\"menu\"]" % PROMPTS))
            return
        elif node["type"] == "play" and not value:
            errors.append(ConfigError(where, "name at least one prompt to play"))
        for index, prompt in enumerate(value):
            if len(prompt) > PROMPT_OCTETS or not PROMPT.match(prompt) or prompt.endswith("\n") or not prompt.strip("."):
                errors.append(ConfigError("%s[%d]" % (where, index), "%r is no name of a prompt; use letters, digits, dot, dash "
                                          "and underline, at most %d" % (prompt, PROMPT_OCTETS)))
    elif key == "choices":
        if not isinstance(value, dict) or not value:
            errors.append(ConfigError(where, "a menu needs at least one choice, for example {\"1\": \"sales\"}"))
    elif key in ("attempts", "wrong_attempts"):
        if not _is_whole(value, 1, 100):
            errors.append(ConfigError(where, "give a whole number from 1 to 100"))
    elif key == "timeout_s":
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 120:
            errors.append(ConfigError(where, "give seconds above 0, at most 120"))
    elif key == "number":
        if not isinstance(value, str) or not value or not NUMBER.match(value):
            errors.append(ConfigError(where, "give the digits to dial, for example \"9013912345678\""))
    elif key == "ring_s":
        if not _is_whole(value, 5, 260):
            errors.append(ConfigError(where, "give whole seconds from 5 to 260"))
    elif key == "priority":
        if value is not None and not _is_whole(value, 0, 9):
            errors.append(ConfigError(where, "give a whole number from 0 to 9; a higher one is served earlier"))
    elif key == "skills":
        if value is not None and not _is_skills(value):
            errors.append(ConfigError(where, "give skills with the level needed, 1 to 10, for example {\"english\": 3}"))
    elif key == "cause":
        if not _is_whole(value, 1, 127):
            errors.append(ConfigError(where, "give a Q.850 cause from 1 to 127; 16 is normal clearing"))
    elif key == "barge_in":
        if not isinstance(value, bool):
            errors.append(ConfigError(where, "give true or false"))
    elif key == "language":
        if value not in languages:
            errors.append(ConfigError(where, "%r is not among the languages of the flow" % (value,)))
    elif key in known:
        if not isinstance(value, str) or (known[key] is not None and value not in known[key]):
            errors.append(ConfigError(where, "there is no %s named %r; create it first or choose another" % (key, value)))


def _is_skills(value):
    if not isinstance(value, dict):
        return False
    for skill in value:
        if not isinstance(skill, str) or not skill or len(skill) > 32 or not _is_whole(value[skill], 1, 10):
            return False
    return True


def _check_next(errors, nodes, name, path):
    if not isinstance(name, str) or name not in nodes:
        errors.append(ConfigError(path, "there is no node named %r in this flow" % (name,)))


def successors(node):
    """Names of the nodes that may follow a node, in a fixed order."""
    names = []
    for key in TYPES[node["type"]]["next"]:
        if node.get(key) is not None:
            names.append(node[key])
    choices = node.get("choices") or {}
    for digit in sorted(choices):
        names.append(choices[digit])
    return names


def _check_silent_rings(errors, nodes, path):
    met = {}                        # node -> the node from which it was first met
    for name in sorted(nodes):
        at, seen = name, []
        while at is not None and at not in met and nodes[at]["type"] in SILENT:
            met[at] = name
            seen.append(at)
            at = nodes[at].get(SILENT[nodes[at]["type"]])
        if at is not None and met.get(at) == name:
            ring = seen[seen.index(at):]
            errors.append(ConfigError("%s.nodes.%s" % (path, name), "these nodes only lead back to each other: %s%s"
                                      % (" -> ".join(ring[:SHOWN]), " -> ..." if len(ring) > SHOWN else " -> " + at)))
            return


def _check_reach(errors, nodes, start, path):
    reached = {start: True}
    left = [start]
    while left:
        for name in successors(nodes[left.pop()]):
            if name not in reached:
                reached[name] = True
                left.append(name)
    for name in sorted(nodes):
        if name not in reached:
            errors.append(ConfigError("%s.nodes.%s" % (path, name), "no path leads to this node; connect it or remove it"))


def _is_strings(value):
    if not isinstance(value, list):
        return False
    for item in value:
        if not isinstance(item, str) or not item:
            return False
    return True


def _is_whole(value, low, high):
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
