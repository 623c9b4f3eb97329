"""IVR flows: what they are made of, and the check before one goes live.

A flow is data, versioned, one JSON object:

    {"version": 1, "languages": ["zh_CN", "en"], "start": "greeting", "nodes": {name: node, ...}}

Until a "language" node has chosen one, every prompt is spoken in all languages of the flow, one after the other.  The
kinds of nodes are in ivr/nodes.py.  The demo flow of the first call:

    {"version": 1, "languages": ["zh_CN", "en"], "start": "greeting", "nodes": {
      "greeting": {"type": "play", "prompts": ["greeting"], "next": "menu"},
      "menu": {"type": "menu", "prompts": ["menu"], "timeout_s": 5, "attempts": 3, "exhausted": "operator",
               "choices": {"1": "sales", "2": "service", "0": "operator"}},
      "sales": {"type": "queue", "queue": "sales", "overflow": "goodbye"},
      "service": {"type": "queue", "queue": "service", "overflow": "goodbye"},
      "operator": {"type": "queue", "queue": "operator", "overflow": "goodbye"},
      "goodbye": {"type": "hangup", "prompts": ["goodbye"]}}}

check(flow, path, queues, agents, lines, flows, services, strict, mailboxes) -> list of ConfigError, empty if all is well: each names node
and field.  What it finds beside wrong values: nodes that no path leads to, edges that are missing, rings that a caller would
go round in without doing anything, secrets where they would be written down.
"""

import re

from firmware.errors import ConfigError, LocalError
from firmware.ivr import expression, spoken, statement
from firmware.ivr.nodes import KINDS, OPEN_TO_SECRETS, SILENT, TYPES, WAITING, edges, kind_of, option

DIGITS = "0123456789*#"
NUMBER = re.compile("[+]?[0-9*#]+$")
PROMPT = re.compile("[A-Za-z0-9_.-]+$")     # links/prompts.py makes the file's name of it; a test compares
VARIABLE = re.compile("[a-z][a-z0-9_]*$")
PROMPT_OCTETS = 60
PROMPTS = 100           # in one list; invented
SHOWN = 12              # nodes of a long ring in a sentence
NODES = 2000            # of one flow; invented
STATEMENT = 4000        # characters of an SQL statement; invented
# Names that a flow reads but does not set (ivr/interpreter.py, Visit.look).
GIVEN = ("caller", "called", "redirecting", "language", "call", "time", "node", "flow", "queue", "agent", "error", "answer")
SERVICES = {"recognize": ("speech",), "speak": ("speech",), "http": ("http",), "sql": ("sqlite", "postgresql", "mysql"), "agi": ("agi",)}

__all__ = ("check", "option", "edges", "successors", "TYPES")


class _Check:
    """What one check knows and has found."""

    def __init__(self, flow, path, known, services):
        self.flow, self.path, self.known, self.services = flow, path, known, services
        self.nodes = flow.get("nodes")
        self.languages = []
        self.errors = []
        self.secrets = {}

    def error(self, where, advice):
        self.errors.append(ConfigError(where, advice))


def check(flow, path, queues=None, agents=None, lines=None, flows=None, services=None, strict=True, mailboxes=None):
    """Check a flow.

    path: where it stands ("ivr.main"); queues, agents, lines, flows, mailboxes: names that exist, services: {name: kind}; None: do not check.
    strict: False lets flows of older versions pass that had rings (a file that is loaded).
    Returns a list of ConfigError, empty if the flow may go live; never raises."""
    if not isinstance(flow, dict):
        return [ConfigError(path, "a flow is an object with version, languages, start and nodes")]
    work = _Check(flow, path, {"queue": queues, "agent": agents, "line": lines, "flow": flows, "mailbox": mailboxes}, services)
    for key in sorted([str(key) for key in flow]):
        if strict and key not in ("version", "languages", "start", "nodes", "note"):
            work.error("%s.%s" % (path, key), "a flow has no such part; it has version, languages, start, nodes and note")
    if not isinstance(flow.get("version"), int) or flow.get("version") is True:
        work.error(path + ".version", "give the version as a whole number; raise it at each change")
    if not _is_strings(flow.get("languages")) or not flow["languages"]:
        work.error(path + ".languages", "list at least one language, for example [\"zh_CN\", \"en\"]")
    else:
        work.languages = flow["languages"]
    nodes = work.nodes
    if not isinstance(nodes, dict) or not nodes or len(nodes) > NODES:
        work.error(path + ".nodes", "a flow needs at least one node, and has at most %d" % NODES)
        return work.errors
    for name in nodes:
        node = nodes[name]
        if isinstance(node, dict) and node.get("type") in ("collect", "recognize") and node.get("secret") is True and isinstance(node.get("into"), str):
            work.secrets[node["into"]] = True
    _check_next(work, flow.get("start"), path + ".start")
    for name in sorted(nodes):
        _check_node(work, nodes[name], "%s.nodes.%s" % (path, name))
    if not work.errors:
        _check_rings(work, strict)
        _check_reach(work)
    return work.errors


def _check_node(work, node, path):
    if not isinstance(node, dict) or not isinstance(node.get("type"), str) or node["type"] not in TYPES:
        work.error(path + ".type", "choose one of " + ", ".join(sorted(TYPES)))
        return
    kind, rule = node["type"], TYPES[node["type"]]
    for key in rule["must"]:
        if key not in node:
            work.error("%s.%s" % (path, key), "a %s node needs it" % kind)
    for key in sorted([str(key) for key in node]):
        if key in ("type", "note"):
            continue
        if key not in rule["must"] and key not in rule["may"]:
            work.error("%s.%s" % (path, key), "a %s node has no such key; remove it or correct the spelling" % kind)
        elif kind_of(kind, key) is not None and not (node[key] is None and key in rule["may"] and rule["may"][key] is None):
            what = kind_of(kind, key)
            _VALUES[what[0]](work, node[key], "%s.%s" % (path, key), what, node)
            if (kind, key) not in OPEN_TO_SECRETS:
                _check_open(work, node[key], "%s.%s" % (path, key), what[0])
    for key in rule["next"]:
        if node.get(key) is not None:
            _check_next(work, node[key], "%s.%s" % (path, key))
    if kind == "branch" and not node.get("cases") and not (node.get("choices") and node.get("value")):
        work.error(path + ".cases", "give cases, each with if and next, or value and choices")
    if kind == "recognize" and node.get("confidence") is not None and node.get("confidence") == node.get("into"):
        work.error(path + ".confidence", "is the variable of the text; name another one")
    if kind == "fax" and option(node, "role") == "receives" and "{" in str(node.get("document")):
        work.error(path + ".document", "stands openly in the names of the files that are received, so it has no {variables}; give each mailbox a node with a fixed name")
    if kind == "collect" and _is_whole(option(node, "length"), 1, 32) and _is_whole(option(node, "min_length"), 1, 32):
        if option(node, "min_length") > option(node, "length"):
            work.error(path + ".min_length", "is more than length, so nothing would be right")
        if option(node, "terminator") and option(node, "terminator") == option(node, "erase"):
            work.error(path + ".erase", "is the key that ends the entry; choose another one, or \"\"")


def _check_next(work, name, path):
    if not isinstance(name, str) or name not in work.nodes:
        work.error(path, "there is no node named %r in this flow" % (name,))


# Values, by what KINDS says of a key: function(work, value, where, what, node).

def _prompts(work, value, where, what, node):
    if not isinstance(value, list) or len(value) > PROMPTS:
        work.error(where, "list the names of prompts and spoken values, at most %d, for example [\"menu\"]" % PROMPTS)
        return
    if node["type"] == "play" and not value:
        work.error(where, "name at least one prompt to play")
    for index in range(len(value)):
        here, prompt = "%s[%d]" % (where, index), value[index]
        if isinstance(prompt, dict):
            _spoken(work, prompt, here)
        elif not isinstance(prompt, str) or len(prompt) > PROMPT_OCTETS or not PROMPT.match(prompt) or prompt.endswith("\n") or not prompt.strip("."):
            work.error(here, "%r is no name of a prompt; use letters, digits, dot, dash and underline, at most %d"
                       % (prompt if len(str(prompt)) < 80 else "...", PROMPT_OCTETS))


# What beside its value a spoken item may have.
_MORE = {"money": ("currency",), "count": ("unit",), "date": ("weekday", "year"), "time": ("clock",)}


def _spoken(work, item, where):
    if "silence_ms" in item and len(item) == 1:
        if not _is_whole(item["silence_ms"], 10, 10000):
            work.error(where, "give milliseconds from 10 to 10000")
        return
    if "recording" in item and len(item) == 1:
        if not isinstance(item["recording"], str) or not VARIABLE.match(item["recording"]):
            work.error(where, "name the variable into which a record node put it")
        return
    kind = spoken.kind_of(item)
    if kind is None:
        work.error(where, "a spoken value has one of " + ", ".join(spoken.KINDS) + ", silence_ms, recording")
        return
    for key in sorted([str(key) for key in item]):
        if key != kind and key not in _MORE.get(kind, ()):
            work.error("%s.%s" % (where, key), "%s has no such option%s" % (kind, "; it has " + ", ".join(_MORE[kind]) if kind in _MORE else ""))
    value = item[kind]
    try:
        if isinstance(value, str) and "{" in value:
            expression.pieces(value)
            sample = {"date": "2026-01-05", "time": "14:05"}.get(kind, "1")
        else:
            sample = value
        probe = dict(item)
        probe[kind] = sample
        spoken.names(probe, "zh_CN")
    except LocalError as error:
        work.error(where, str(error))


def _switch(work, value, where, what, node):
    if not isinstance(value, bool):
        work.error(where, "give true or false")


def _whole(work, value, where, what, node):
    if not _is_whole(value, what[1], what[2]):
        work.error(where, "give a whole number from %d to %d" % (what[1], what[2]))


def _seconds(work, value, where, what, node):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= what[1]:
        work.error(where, "give seconds above 0, at most %d" % what[1])


def _share(work, value, where, what, node):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        work.error(where, "give a number from 0 to 1, for example 0.6")


def _key(work, value, where, what, node):
    if not isinstance(value, str) or (value and (len(value) != 1 or value not in DIGITS)):
        work.error(where, "give one key of the telephone (0-9, * or #), or \"\" for none")


def _keys(work, value, where, what, node):
    if not isinstance(value, str) or not value or False in [key in DIGITS for key in value]:
        work.error(where, "give the keys of the telephone that count, for example \"12345\"")


def _name(work, value, where, what, node):
    if not isinstance(value, str) or len(value) > 32 or not VARIABLE.match(value) or value in GIVEN:
        work.error(where, "give a name of small letters, digits and underline, at most 32, that is none of " + ", ".join(GIVEN))


def _word(work, value, where, what, node):
    if not isinstance(value, str) or len(value) > 64 or not PROMPT.match(value or " "):
        work.error(where, "use letters, digits, dot, dash and underline, at most 64")


def _language(work, value, where, what, node):
    if value not in work.languages:
        work.error(where, "%r is not among the languages of the flow" % (value,))


def _expression(work, value, where, what, node):
    try:
        expression.parse(value)
    except LocalError as error:
        work.error(where, str(error))


def _expressions(work, value, where, what, node):
    if not isinstance(value, dict) or len(value) > 50:
        work.error(where, "give names with expressions, at most 50, for example {\"balance\": \"body.balance\"}")
        return
    for name in sorted([str(name) for name in value]):
        _name(work, name, "%s.%s" % (where, name), what, node)
        _expression(work, value.get(name), "%s.%s" % (where, name), what, node)


def _cases(work, value, where, what, node):
    if not isinstance(value, list) or len(value) > 100:
        work.error(where, "list cases, at most 100, each {\"if\": expression, \"next\": node}")
        return
    for index in range(len(value)):
        case, here = value[index], "%s[%d]" % (where, index)
        if not isinstance(case, dict) or sorted(case) != ["if", "next"]:
            work.error(here, "a case is {\"if\": expression, \"next\": node}")
            continue
        _expression(work, case["if"], here + ".if", what, node)
        _check_next(work, case["next"], here + ".next")


def _choices(work, value, where, what, node):
    if not isinstance(value, dict) or (not value and node["type"] == "menu"):
        work.error(where, "a menu needs at least one choice, for example {\"1\": \"sales\"}")
        return
    for choice in sorted([str(choice) for choice in value]):
        here = "%s.%s" % (where, choice)
        if node["type"] == "menu" and (len(choice) != 1 or choice not in DIGITS):
            work.error(here, "a choice is one key of the telephone: 0-9, * or #")
        _check_next(work, value.get(choice), here)


def _text(work, value, where, what, node):
    try:
        expression.pieces(value)
    except LocalError as error:
        work.error(where, str(error))


def _texts(work, value, where, what, node):
    if not isinstance(value, list) or len(value) > 50:
        work.error(where, "list texts, at most 50")
        return
    for index in range(len(value)):
        _text(work, value[index], "%s[%d]" % (where, index), what, node)


def _value(work, value, where, what, node, deep=0):
    if deep > 10:
        work.error(where, "is nested more than 10 deep")
    elif isinstance(value, str):
        _text(work, value, where, what, node)
    elif isinstance(value, list):
        for index in range(len(value)):
            _value(work, value[index], "%s[%d]" % (where, index), what, node, deep + 1)
    elif isinstance(value, dict):
        for name in sorted([str(name) for name in value]):
            _value(work, value.get(name), "%s.%s" % (where, name), what, node, deep + 1)


def _values(work, value, where, what, node):
    if not isinstance(value, dict) or len(value) > 50:
        work.error(where, "give names with values, at most 50, for example {\"name\": \"{caller}\"}")
        return
    for name in sorted([str(name) for name in value]):
        if node["type"] == "set":
            _name(work, name, "%s.%s" % (where, name), what, node)
        elif node["type"] in ("sql", "cti"):
            if len(name) > 32 or not VARIABLE.match(name):
                work.error("%s.%s" % (where, name[:64]), "give a name of small letters, digits and underline, at most 32")
        elif not name or len(name) > 64 or False in [33 <= ord(character) < 127 and character != ":" for character in name]:
            work.error("%s.%s" % (where, name[:64]), "is no name; use letters, digits and dashes")
        _value(work, value.get(name), "%s.%s" % (where, name), what, node)


def _number(work, value, where, what, node):
    if isinstance(value, str) and "{" in value:
        _text(work, value, where, what, node)
    elif not isinstance(value, str) or not value or not NUMBER.match(value):
        work.error(where, "give the digits to dial, for example \"9013912345678\"")


def _priority(work, value, where, what, node):
    if not _is_whole(value, 0, 9):
        work.error(where, "give a whole number from 0 to 9; a higher one is served earlier")


def _skills(work, value, where, what, node):
    if not _is_skills(value):
        work.error(where, "give skills with the level needed, 1 to 10, for example {\"english\": 3}")


def _one_of(work, value, where, what, node):
    if value not in what[1:]:
        work.error(where, "choose one of " + ", ".join(what[1:]))


def _statuses(work, value, where, what, node):
    if not isinstance(value, list) or not value or False in [_is_whole(status, 100, 599) for status in value]:
        work.error(where, "list the numbers of answers that are good, for example [200]")


def _path(work, value, where, what, node):
    if not isinstance(value, str) or not value.startswith("/") or value.startswith("//") or "\n" in value or " " in value.split("{")[0]:
        work.error(where, "give a path below the service's address that begins with /, for example \"/accounts/{account}\"")
    else:
        _text(work, value, where, what, node)


def _statement(work, value, where, what, node):
    if not isinstance(value, str) or not value.strip() or len(value) > STATEMENT:
        work.error(where, "give one SQL statement, at most %d characters, with :name for each of parameters" % STATEMENT)
    elif "{" in value:
        work.error(where, "values do not belong into the statement, where they could change its meaning; write :name and give it in parameters")
    else:
        given = node.get("parameters") if isinstance(node.get("parameters"), dict) else {}
        missing = [name for name in statement.names(value) if name not in given]
        if missing:
            work.error(where, ":%s has no value; give it in parameters" % missing[0])


def _service(work, value, where, what, node):
    kinds = SERVICES[node["type"]]
    if not isinstance(value, str) or (work.services is not None and work.services.get(value) not in kinds):
        work.error(where, "there is no service %r of kind %s; add it to services or choose another" % (value, " or ".join(kinds)))


def _known(work, value, where, what, node):
    names = work.known[what[0]]
    if isinstance(value, str) and "{" in value and what[0] in ("agent", "line", "queue"):
        _text(work, value, where, what, node)
    elif not isinstance(value, str) or (names is not None and value not in names):
        work.error(where, "there is no %s named %r; create it first or choose another" % (what[0], value))


_VALUES = {
    "prompts": _prompts, "share": _share, "switch": _switch, "switch or none": _switch, "whole": _whole, "seconds": _seconds, "key": _key, "keys": _keys, "name": _name,
    "word": _word, "language": _language, "expression": _expression, "expressions": _expressions, "cases": _cases,
    "choices": _choices, "text": _text, "texts": _texts, "value": _value, "values": _values, "number": _number, "priority": _priority,
    "skills": _skills, "one of": _one_of, "statuses": _statuses, "path": _path, "statement": _statement, "service": _service,
    "queue": _known, "agent": _known, "line": _known, "flow": _known, "mailbox": _known,
}


def _check_open(work, value, where, kind):
    """A secret entry would be spoken, dialled or written down here."""
    if not work.secrets or kind in ("name", "word", "service", "node", "choices"):
        return
    for name in _names(value, kind):
        if name in work.secrets:
            work.error(where, "%s is a secret entry; it may only go into the body of http, the parameters of sql, and tests" % name)
            return


def _names(value, kind):
    found = []
    try:
        if kind in ("expression", "expressions"):
            for source in value.values() if isinstance(value, dict) else [value]:
                found += expression.names(source)
        elif isinstance(value, str):
            for piece in expression.pieces(value):
                if isinstance(piece, tuple):
                    found += expression.names(piece[0])
        elif isinstance(value, (list, dict)):
            for each in value.values() if isinstance(value, dict) else value:
                found += _names(each, kind)
    except LocalError:
        pass                            # told already
    return found


def _is_skills(value):
    if not isinstance(value, dict):
        return False
    for skill in value:
        if not isinstance(skill, str) or not skill or len(skill) > 32 or not _is_whole(value[skill], 1, 10):
            return False
    return True


# The shape of the whole.

def successors(node):
    """Names of the nodes that may follow a node, in a fixed order."""
    return [name for key, name, act in edges(node)]


def _check_rings(work, strict):
    """Rings that go round without an act of a person; such as older versions took only where nothing is heard in them."""
    nodes = work.nodes
    after = {}
    for name in nodes:
        node = nodes[name]
        if node["type"] in WAITING:
            after[name] = []
        elif strict:
            after[name] = [to for key, to, act in edges(node) if not act]
        else:
            keys = SILENT.get(node["type"], ())
            after[name] = [to for key, to, act in edges(node) if key in keys]
    done = {}
    for start in sorted(nodes):
        if start in done:
            continue
        path, place, left = [start], {start: 0}, [list(after[start])]
        while path:
            if not left[-1]:
                done[path[-1]] = True
                del place[path[-1]]
                path.pop()
                left.pop()
                continue
            at = left[-1].pop(0)
            if at in place:
                ring = path[place[at]:]
                work.error("%s.nodes.%s" % (work.path, ring[0]), "these nodes only lead back to each other, without an act of the caller: %s%s"
                           % (" -> ".join(ring[:SHOWN]), " -> ..." if len(ring) > SHOWN else " -> " + at))
                return
            if at not in done:
                place[at] = len(path)
                path.append(at)
                left.append(list(after[at]))


def _check_reach(work):
    nodes, start = work.nodes, work.flow["start"]
    reached = {start: True}
    left = [start]
    while left:
        for name in successors(nodes[left.pop()]):
            if name not in reached:
                reached[name] = True
                left.append(name)
    for name in sorted(nodes):
        if name not in reached:
            work.error("%s.nodes.%s" % (work.path, name), "no path leads to this node; connect it or remove it")


def _is_strings(value):
    if not isinstance(value, list):
        return False
    for item in value:
        if not isinstance(item, str) or not item:
            return False
    return True


def _is_whole(value, low, high):
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
