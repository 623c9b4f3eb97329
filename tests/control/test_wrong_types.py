"""Values of wrong types from whoever may ask: each is refused with a sentence, never with a fault."""

import pytest

from firmware.control import api, roles
from firmware.control.commands import Problem
from firmware.errors import LocalError
from firmware.storage import desk_shifts
from tests.control.desk_rig import DeskHouse, run
from tests.control.test_roles import configure

WRONG = (None, True, 5, -1.5, "x", "", [], [[]], [{}], [5], ["x"], {}, {"a": []}, [{"queue": []}], [{"queue": {}}], [{"queue": "sales", "level": []}])
JUDGED = ("agent", "agents", "queue", "queues", "teams", "mode", "locked", "by")      # what rules look at
USERS = ("anna", "sue", "ivy", "all")


def path_of(pattern, call):
    return ["calls" if part == "calls" else part if part is not None else call if pattern[0] == "calls" else "1001" for part in pattern]


def test_a_role_check_ends_with_a_problem_or_not_at_all(site):
    async def scenario():
        async with DeskHouse(site, configure) as desk:
            link, call = api.API(desk.house), desk.call("p1")["call"]
            desk.answer()
            config = desk.house.config.running()
            for method, pattern, *_ in roles.RULES:
                for user in USERS:
                    for name in JUDGED:
                        for value in WRONG:
                            try:
                                await roles.check(link, roles.person(config, user), method, path_of(pattern, call), {}, {name: value})
                            except Problem as problem:
                                assert problem.status in (403, 422), (method, pattern, user, name, value)
    run(scenario())


@pytest.mark.parametrize("user, path, body", [
    ("anna", ("callbacks",), {"queue": []}), ("sue", ("callbacks",), {"queue": {}}), ("sue", ("broadcasts",), {"text": "t", "agents": 5}),
    ("sue", ("broadcasts",), {"text": "t", "agents": [{}]}), ("sue", ("broadcasts",), {"text": "t", "queues": 5}), ("sue", ("broadcasts",), {"text": "t", "teams": [[]]}),
    ("sue", ("agents", "1001", "queues"), {"queues": 5}), ("sue", ("agents", "1001", "queues"), {"queues": [{"queue": []}]}),
    ("sue", ("calls", "CALL", "monitor"), {"mode": ["listen"]})])
def test_what_rules_judge_is_refused_with_a_sentence_where_its_type_is_wrong(site, user, path, body):
    async def scenario():
        async with DeskHouse(site, configure) as desk:
            call = desk.call("p1")["call"]
            desk.answer()
            error = await desk.refused("POST", "/v1/" + "/".join(call if part == "CALL" else part for part in path), body, user)
            assert error.status == 422 and str(error).endswith("."), str(error)
    run(scenario())


# (path, what is right of it, what is tried with wrong types)
HANDLERS = [
    (("customers",), {"name": "t"}, ("name", "numbers", "owner", "external", "company", "note", "revision", "by", "contract")),
    (("customers", "CUSTOMER"), {"name": "t"}, ("numbers", "owner", "external", "revision")), (("customers", "import"), {}, ("csv", "by")),
    (("tickets",), {"template": "repair", "title": "A", "fields": {"device": "modem"}},
     ("template", "title", "fields", "text", "state", "owner", "queue", "customer", "call", "priority", "due_ms", "by")),
    (("tickets",), {"template": "repair", "title": "A"}, ("fields.device", "fields.cause")),
    (("tickets", "t1"), {"revision": 1}, ("revision", "state", "owner", "queue", "customer", "fields", "title", "comment", "call", "priority", "due_ms", "by")),
    (("articles",), {"title": "A", "body": "B"}, ("title", "body", "tags", "language", "revision", "by")),
    (("articles", "1"), {}, ("title", "body", "tags", "language", "revision")),
    (("calls", "CALL", "notes"), {"text": "t"}, ("text", "agent", "by")), (("calls", "CALL", "disposition"), {"code": "sold"}, ("code", "agent", "text", "by")),
    (("schedule",), {"agent": "1001", "date": "2030-01-01", "shifts": [{"from": "08:00", "to": "12:00"}]},
     ("agent", "date", "shifts", "shifts.from", "shifts.to", "shifts.activity", "shifts.agent", "by")),
    (("schedule", "import"), {}, ("csv", "by")),
    (("broadcasts",), {"text": "t", "agents": ["1001"]}, ("text", "agents", "teams", "queues", "urgent", "expires_s", "by")), (("broadcasts", "g1", "seen"), {}, ("agent",)),
    (("thresholds", "t", "acknowledge"), {}, ("note", "by")), (("callbacks",), {"queue": "sales", "number": "13912345678"}, ("queue", "number", "agent", "at_ms", "note")),
    (("agents", "1001", "queues"), {}, ("queues", "by"))]


def test_a_handler_of_the_desk_ends_with_an_answer_or_a_sentence(site):
    async def scenario():
        async with DeskHouse(site, configure) as desk:
            link, call = api.API(desk.house), desk.call("p1")["call"]
            desk.answer()
            customer = (await desk.ask("POST", "/v1/customers", {"name": "Li"}))["customer"]
            await desk.ask("POST", "/v1/tickets", {"template": "repair", "title": "A", "fields": {"device": "modem"}})
            await desk.ask("POST", "/v1/articles", {"title": "A", "body": "B"})
            for path, right, fields in HANDLERS:
                parts = [{"CALL": call, "CUSTOMER": customer}.get(part, part) for part in path]
                for field in fields:
                    for value in WRONG:
                        group, _, name = field.partition(".")
                        body = dict(right, **{group: value}) if not name else dict(right, **{group: [{"from": "08:00", "to": "12:00", name: value}] if group == "shifts" else {name: value}})
                        try:
                            await link.ask("POST", parts, {}, body)
                        except LocalError as error:
                            assert str(error), (path, field, value)
            error = await desk.refused("POST", "/v1/customers", {"name": "t", "owner": [{}]})
            assert error.status == 422 and "owner: there is no agent" in str(error)
    run(scenario())


def test_a_shift_of_an_agent_that_is_no_text_is_refused():
    _, errors = desk_shifts.check({"agent": [], "date": "2026-11-23", "from": "08:00", "to": "09:00"}, {"1001"}, lambda date, minutes: 0)
    assert errors[0][0] == "agent"
