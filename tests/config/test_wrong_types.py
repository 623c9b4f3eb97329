"""A value of a wrong type at any leaf is an error with a path, never an exception."""

import copy

import pytest

from firmware.config import demo, schema
from firmware.config.field import Anything, Rows, Section, Several, Table
from firmware.ivr.flow import check as check_flow

BASE = demo.configuration({name: "secret-" + name for name in demo.AGENTS})
BASE["teams"] = [{"name": "red", "agents": ["1001"], "queues": ["sales"]}]
BASE["users"] = [{"name": "root", "role": "admin"}, {"name": "sue", "role": "supervisor", "teams": ["red"]}]
BASE["thresholds"] = [{"name": "long", "queue": "sales", "figure": "waiting", "limit": 5, "plan": "tell"}]
BASE["escalation_plans"] = [{"name": "tell", "steps": [{"agents": ["1001"], "teams": ["red"], "mail": []}]}]
BASE["ticket_templates"] = [{"name": "repair", "fields": [{"name": "device", "type": "choice", "choices": ["modem"]}]}]
BASE["desk"] = {"customer_fields": ["contract"]}
BASE["desk_phones"] = [{"mac": "001122334455", "model": "yealink", "line": "1001"}]
BASE["mailboxes"] = [{"name": "desk"}]
BASE["announcements"] = [{"name": "snow", "prompt": "greeting"}]
WRONG = (None, True, 5, -1.5, "x", "", "*", [], [[]], [{}], [5], [["*"]], [None], {}, {"a": []}, {"x": {"y": []}})


def leaves(field, value, path=()):
    """Paths of all settings below a field, with one row in each list."""
    yield path
    if isinstance(field, Section):
        for name, part in field.fields.items():
            yield from leaves(part, (value or {}).get(name) if isinstance(value, dict) else None, (*path, name))
    elif isinstance(field, Rows) and isinstance(value, list):
        for place in range(min(len(value), 1)):
            yield from leaves(field.row, value[place], (*path, place))
    elif isinstance(field, (Several, Anything)) and isinstance(value, list) and value:
        yield (*path, 0)
    elif isinstance(field, Table) and isinstance(value, dict):
        for name in list(value)[:1]:
            yield from leaves(field.entry, value[name], (*path, name))


def put(config, path, value):
    for name in path[:-1]:
        if isinstance(config, dict):
            config = config.setdefault(name, {})
        else:
            config = config[name]
    config[path[-1]] = value


def base():
    errors = []
    found = schema.SCHEMA.check(copy.deepcopy(BASE), "", errors)
    assert errors == []
    return found


FULL = base()
PATHS = sorted({path for path in leaves(schema.SCHEMA, FULL) if path}, key=str)


def test_the_base_is_right_and_has_a_row_of_each_new_section():
    assert schema.check(copy.deepcopy(BASE), check_flow)[1] == []
    assert {path[0] for path in PATHS} == set(schema.SCHEMA.fields) and len(PATHS) > 300


@pytest.mark.parametrize("part", ("desk", "teams", "users", "thresholds", "escalation_plans", "ticket_templates", "desk_phones", "provisioning", "siprec", "spans",
                                  "turn_up", "retention", "trace", "sip", "announcements", "mailboxes"))
def test_wrong_types_are_errors(part):
    for path in PATHS:
        if path[0] == part:
            for value in WRONG:
                config = copy.deepcopy(FULL)
                put(config, path, copy.deepcopy(value))
                try:
                    errors = schema.check(config, check_flow)[1]
                except Exception as fault:
                    raise AssertionError("%s = %r: %r" % (path, value, fault)) from fault
                assert all(error.path and error.advice for error in errors), (path, value)


@pytest.mark.parametrize("part, field, value", [("teams", "queues", [["*"]]), ("teams", "agents", [{}]), ("users", "teams", [[]])])
def test_names_that_are_no_texts(part, field, value):
    config = copy.deepcopy(BASE)
    config[part][-1][field] = value
    assert "%s[%d].%s[0]" % (part, len(config[part]) - 1, field) in [error.path for error in schema.check(config, check_flow)[1]]
