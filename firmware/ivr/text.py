"""The text form of flows: one fact a line, always in the same order, so that two versions differ only where they differ.

    flow version 3
    languages zh_CN en
    start greeting

    greeting: play
      prompts
        - greeting
        - {"money": "{balance}"}
      next menu

    menu: menu
      choices
        1 sales
        2 service
      exhausted operator

write(flow) -> text; read(text) -> flow, raises LocalError with the number of the line.  read(write(flow)) == flow.

Nodes stand in the order of their names, their keys in that of ivr/nodes.py.  A value is a word, or JSON where it is no plain word (texts
with blanks, in quotes).  An object has one line for each name, below and further in; so has a list, each line with a dash.  What is
nested deeper is JSON on its line.  A line that begins with // is a comment and is not kept; "note" is.
"""

import json

from firmware.errors import LocalError
from firmware.ivr.nodes import TYPES

WORD = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-+*#@/"
NUMERAL = "0123456789.-"
STEP = "  "


# Writing.

def write(flow):
    """The text of a flow that the check let through."""
    lines = ["flow version %d" % flow["version"], "languages " + " ".join(flow["languages"]), "start " + _value(flow["start"])]
    if flow.get("note") is not None:
        lines.append("note " + _json(flow["note"]))
    for name in sorted(flow["nodes"]):
        node = flow["nodes"][name]
        rule = TYPES[node["type"]]
        lines += ["", "%s: %s" % (_word(name), node["type"])]
        order = list(rule["must"]) + sorted([key for key in rule["may"] if key not in rule["next"]]) + [key for key in rule["next"] if key not in rule["must"]] + ["note"]
        for key in [key for key in order if key not in rule["next"]] + [key for key in order if key in rule["next"]]:
            if key in node:
                _write(lines, STEP, key, node[key])
    return "\n".join(lines) + "\n"


def _write(lines, margin, key, value):
    if isinstance(value, dict) and value:
        lines.append(margin + key)
        for name in sorted(value):
            lines.append(margin + STEP + _word(name) + " " + _value(value[name]))
    elif isinstance(value, list) and value:
        lines.append(margin + key)
        for each in value:
            lines.append(margin + STEP + "- " + _value(each))
    else:
        lines.append(margin + key + " " + _value(value))


def _word(text):
    """A name: as it stands, or in quotes."""
    return text if _is_word(text) else _json(text)


def _is_word(text):
    if not text or text == "-":
        return False
    for character in text:
        if character not in WORD:
            return False
    return not text.startswith("//")


def _value(value):
    if isinstance(value, str) and _is_word(value) and value not in ("true", "false", "null", "-") and _number(value) is None:
        return value
    return _json(value)


def _json(value):
    if isinstance(value, dict):
        return "{" + ", ".join([_json(name) + ": " + _json(value[name]) for name in sorted(value)]) + "}"
    if isinstance(value, list):
        return "[" + ", ".join([_json(each) for each in value]) + "]"
    if isinstance(value, str):
        said = "\""
        for character in value:
            code = ord(character)
            said += "\\" + character if character in "\"\\" else "\\u%04x" % code if code < 32 or code == 127 else character
        return said + "\""
    return json.dumps(value)


def _number(text):
    """A word that is a number, or None."""
    for character in text:
        if character not in NUMERAL:
            return None
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return None


# Reading.

def read(text):
    """The flow of a text.  Raises LocalError("line 7: ...")."""
    flow, nodes, node, holder = {}, {}, None, None
    lines = text.split("\n")
    for index in range(len(lines)):
        line = lines[index].rstrip()
        body = line.lstrip(" ")
        depth = len(line) - len(body)
        if not body or body.startswith("//"):
            continue
        try:
            if "\t" in line[:depth + 1]:
                raise LocalError("indent with blanks, two for each step")
            if depth == 0:
                node = _top(flow, nodes, body)
                holder = None
            elif depth == 2:
                holder = _key(node, body)
            elif depth == 4:
                holder = _part(node, holder, body)
            else:
                raise LocalError("indent with two or four blanks")
        except LocalError as error:
            raise LocalError("line %d: %s" % (index + 1, error)) from None
    for part in ("version", "languages", "start"):
        if part not in flow:
            raise LocalError("line 1: the text has no %s; it begins with \"flow version 1\", languages and start" % part)
    flow["nodes"] = nodes
    return flow


def _top(flow, nodes, body):
    word, rest = _first(body)
    if body[:1] != "\"" and rest[:1] != ":" and word in ("flow", "languages", "start", "note") and not body.startswith(word + ":"):
        if word == "flow":
            mark, number = _first(rest)
            if mark != "version" or not number.isdigit():
                raise LocalError("write \"flow version\" and a whole number")
            flow["version"] = int(number)
        elif word == "languages":
            flow["languages"] = rest.split()
        else:
            flow[word] = _read(rest)
        return None
    if rest[:1] != ":":
        raise LocalError("a node begins with its name, a colon and its type, for example \"menu: menu\"")
    if word in nodes:
        raise LocalError("there is a node %s already" % word)
    kind = rest[1:].strip()
    nodes[word] = {"type": kind}
    return nodes[word]


def _first(body):
    """(first word or text in quotes, the rest)."""
    if body[:1] == "\"":
        at = 1
        while at < len(body) and body[at] != "\"":
            at += 2 if body[at] == "\\" else 1
        return _read(body[:at + 1]), body[at + 1:].lstrip(" ")
    at = 0
    while at < len(body) and body[at] not in " :":
        at += 1
    return body[:at], body[at:].lstrip(" ")


def _key(node, body):
    if node is None:
        raise LocalError("this stands in no node")
    key, rest = _first(body)
    if key in node:
        raise LocalError("%s stands there twice" % key)
    node[key] = _read(rest) if rest else None
    return key if not rest else None


def _part(node, key, body):
    if node is None or key is None:
        raise LocalError("this belongs to no key; a key that has parts below it stands alone on its line")
    held = node[key]
    if body.startswith("- ") or body == "-":
        if held is None:
            held = node[key] = []
        if not isinstance(held, list):
            raise LocalError("%s has names, so a dash has no place here" % key)
        held.append(_read(body[1:].strip()))
        return key
    if held is None:
        held = node[key] = {}
    if not isinstance(held, dict):
        raise LocalError("%s is a list: begin the line with a dash" % key)
    name, rest = _first(body)
    if name in held:
        raise LocalError("%s.%s stands there twice" % (key, name))
    held[name] = _read(rest)
    return key


def _read(text):
    """A word or JSON."""
    if not text:
        raise LocalError("a value is missing")
    if text[0] in "\"{[" or text in ("true", "false", "null"):
        try:
            return json.loads(text)
        except ValueError:
            raise LocalError("%s is no JSON" % text[:60]) from None
    number = _number(text)
    if number is not None:
        return number
    if not _is_word(text):
        raise LocalError("%s has blanks or signs; put it into quotes" % text[:60])
    return text
