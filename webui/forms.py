"""Forms of the configuration, drawn from its schema: what a person fills in, and the plain data that a browser sends back.

    controls(SPAN, row, errors) -> [control]     for the template: one dict a field, sections and rows with theirs inside
    read(SPAN, form) -> row                      as the schema checks it; what cannot be read stays text, about which control has a sentence
    edit_rows(row, "add:choices")                a button of a list inside the form

Names of inputs are paths with dots: "choices.0.trunk_group"; "choices#" says how many there are.  Nothing here judges a value: control does,
and field_of() finds the input that its sentence belongs to.  A secret is typed and never shown: rows have its token (sealed.py), which
"password.kept" hands back where nothing was typed, and "password.none" takes away.
"""

import re

from firmware.config.schema import Anything, Rows, Secret, Section, Several, Switch, Table, Text, Whole
from webui import sealed

LONG_OCTETS = 1000          # a text that may be longer gets a box of several lines; invented
DIGITS_MOST = 15            # of a number that is read as one
PAIR = re.compile(r"\s*([^=:\s]+)\s*[=:]\s*(.*\S)\s*")


def kind_of(field):
    """How a field is shown."""
    if isinstance(field, Secret):
        return "secret"
    if isinstance(field, Anything):
        return "pairs" if isinstance(field.default, dict) else "lines"
    if isinstance(field, Text) and not field.choices:
        return "box" if field.max_octets > LONG_OCTETS else "text"
    known = ((Section, "section"), (Rows, "rows"), (Switch, "switch"), (Several, "several"), (Whole, "number"), (Table, "pairs"), (Text, "choice"))
    return next((kind for one, kind in known if isinstance(field, one)), "text")        # an address, a name in DNS


# -- to the page --

def controls(section, values, errors, offered=None, prefix=""):
    """What a template draws of a section.

    values: its row, whatever is in it.  errors: {name of an input: [sentence]}.  offered: {name without numbers: values to choose from}."""
    found = []
    for name, field in section.fields.items():
        kind, here = kind_of(field), prefix + name
        value = values.get(name, field.default) if isinstance(values, dict) else field.default
        plain = re.sub(r"\.\d+", "", here)
        choices = list(getattr(field, "choices", None) or (offered or {}).get(plain) or ())
        if kind == "text" and plain in (offered or {}):
            kind = "choice"
        if getattr(field, "ordered", False) and isinstance(value, list):
            choices = [one for one in value if one in choices] + [one for one in choices if one not in value]
        if kind == "choice" and shown(value) not in choices:        # what is not there (any more) is shown all the same
            choices.insert(0, shown(value))
        one = {"name": here, "path": plain, "kind": kind, "help": field.help, "hint": getattr(field, "hint", ""), "unit": field.unit, "impact": field.impact, "required": field.required,
               "ordered": getattr(field, "ordered", False), "choices": choices, "errors": errors.get(here) or [], "value": value}
        if kind == "section":
            one["parts"] = controls(field, value or {}, errors, offered, here + ".")
            one["used"] = any(part["differs"] for part in one["parts"])
        elif kind == "rows":
            rows = value if isinstance(value, list) else []
            one["rows"] = [controls(field.row, row, errors, offered, "%s.%d." % (here, index)) for index, row in enumerate(rows)]
            one["full"] = len(rows) >= field.most
        elif kind == "pairs":
            one["text"] = "\n".join("%s = %s" % pair for pair in (value or {}).items()) if isinstance(value, dict) else shown(value)
        elif kind == "lines":
            one["text"] = "\n".join(str(line) for line in value or ()) if isinstance(value, list) else shown(value)
        elif kind not in ("switch", "several", "secret"):
            one["text"] = shown(value)
        one["differs"] = bool(one.get("used") or one["errors"] or differs(field, value))
        found.append(one)
    return found


def shown(value):
    """A value as the text of an input."""
    return "" if value is None else str(value)


def differs(field, value):
    """Whether a value is another one than the schema's."""
    default = field.make_default() if hasattr(field, "make_default") else field.default
    return value not in (default, None)


# -- from the browser --

def read(section, form, prefix=""):
    """A section from what a browser sends.  form: a dict of texts with getall().  What was left empty is left out where there is a default."""
    values = {}
    for name, field in section.fields.items():
        here, kind = prefix + name, kind_of(field)
        if kind == "section":
            value = read(field, form, here + ".")
        elif kind == "rows":
            value = [read(field.row, form, "%s.%d." % (here, index)) for index in range(_count(form, here, field.most))]
        elif kind == "switch":
            value = here in form
        elif kind == "several":
            value = form.getall(here)
        elif kind == "secret":
            value = _secret(form, here)
        else:
            value = _one(kind, field, form.get(here))
        if value is not None:
            values[name] = value
    return values


def _secret(form, name):
    """The token of what was typed, or of what is kept."""
    typed = (form.get(name) or "").strip()
    return sealed.token(typed) if typed else "" if name + ".none" in form else form.get(name + ".kept") or ""


def _one(kind, field, text):
    if text is None:
        return None
    if kind == "pairs":
        return dict(_pair(line) for line in text.splitlines() if line.strip())
    if kind == "lines":
        return [word for word in re.split(r"[\s,;，；、]+", text) if word]
    text = text.strip()
    if getattr(field, "tidy", None) is not None:
        text = field.tidy(text)
    if kind == "number":
        return _number(text) if text else None
    if not text and (field.required or kind == "box"):
        return None
    return " ".join(text.split()) if kind == "box" else text


def _pair(line):
    found = PAIR.fullmatch(line)
    return (found.group(1), _number(found.group(2))) if found else (line.strip(), "")


def _number(text):
    plain = text[1:] if text[:1] == "-" else text
    return int(text) if plain.isascii() and plain.isdecimal() and len(plain) <= DIGITS_MOST else text


def _count(form, name, most):
    """How many rows the form has; one more than are allowed is enough to be told so."""
    text = form.get(name + "#") or "0"
    return min(int(text), most + 1) if text.isascii() and text.isdecimal() and len(text) < 6 else 0


def edit_rows(row, order):
    """Carry out a button of a list inside the form: "add:choices", "remove:choices:1", "up:choices:1", "down:choices:0".  row: changed in place."""
    do, _, rest = order.partition(":")
    name, _, place = rest.partition(":")
    rows = row.get(name)
    if not isinstance(rows, list):
        return
    if do == "add":
        rows.append({})
    at = int(place) if place.isascii() and place.isdecimal() and len(place) < 6 else -1
    if not 0 <= at < len(rows):
        return
    to = {"up": at - 1, "down": at + 1}.get(do)
    if do == "remove":
        del rows[at]
    elif to is not None and 0 <= to < len(rows):
        rows[at], rows[to] = rows[to], rows[at]


def field_of(section, path):
    """The input that a sentence about a path belongs to: ("choices.0.trunk_group", ...) or None.  path: below the row, "choices[0].trunk_group"."""
    names, here, field = [], [], section
    for word in re.sub(r"\[(\d+)\]", r".\1", path).split("."):
        here.append(word)
        if isinstance(field, Rows) and word.isdecimal():
            field = field.row
        elif isinstance(field, Section) and word in field.fields:
            field = field.fields[word]
            names = list(here)
        else:
            break
    return ".".join(names) or None
