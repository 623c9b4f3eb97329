"""The settings of queues and agents: what is taken, and the advice for what is not."""

import copy

import pytest

from firmware.config import demo, schema
from firmware.config.schema import SCHEMA
from firmware.control.switchboard import Switchboard
from firmware.ivr.flow import check as check_flow
from tests.control.switchboard_rig import Ids


def checked(queue=None, agent=None, flow_node=None):
    config = demo.configuration({name: "secret-" + name for name in demo.AGENTS})
    config["queues"][0].update(queue or {})
    config["agents"][0].update(agent or {})
    config["ivr"]["main"]["nodes"]["sales"].update(flow_node or {})
    return schema.check(config, check_flow)


def test_a_full_queue_is_taken_and_checks_again_the_same():
    config, errors = checked(
        {"strategy": "least_skilled", "skills": {"en": 3}, "relax": [{"after_s": 30, "less": 1}], "priority": 3, "max_waiting": 10,
         "hours": [{"days": "12345", "from": "08:00", "to": "18:00"}], "last_agent_days": 30, "service_level_abandons": "positive",
         "overflow": [{"when": "wait", "limit": 60, "target": "service"}, {"when": "closed", "to": "flow", "target": "main"}]},
        {"skills": {"en": 5}}, {"priority": 9, "skills": {"fr": 2}})
    assert not errors, [str(error) for error in errors]
    again, errors = schema.check(copy.deepcopy(config), check_flow)
    assert not errors and again == config
    Switchboard(config, Ids())


@pytest.mark.parametrize("queue, path, words", (
    ({"strategy": "dice"}, "queues[0].strategy", "round_robin"),
    ({"overflow": [{"when": "wait", "target": "service"}]}, "queues[0].overflow[0].limit", "from 1 on"),
    ({"overflow": [{"when": "no_agents", "target": "sales"}]}, "queues[0].overflow[0].target", "itself"),
    ({"overflow": [{"when": "no_agents", "target": "nowhere"}]}, "queues[0].overflow[0].target", "nowhere"),
    ({"overflow": [{"when": "full", "to": "flow", "target": "sales"}]}, "queues[0].overflow[0].target", "flow"),
    ({"overflow": [{"when": "moon", "target": "service"}]}, "queues[0].overflow[0].when", "longest_wait"),
    ({"overflow": {}}, "queues[0].overflow", "list"),
    ({"skills": {"en": 0}}, "queues[0].skills.en", "1 to 10"),
    ({"skills": {"e n": 1}}, "queues[0].skills.e n", "letters"),
    ({"skills": ["en"]}, "queues[0].skills", "braces"),
    ({"relax": [{"less": 1}]}, "queues[0].relax[0].after_s", "missing"),
    ({"relax": [{"after_s": 5}, {"after_s": 5}]}, "queues[0].relax[1].after_s", "already"),
    ({"hours": [{"from": "25:00"}]}, "queues[0].hours[0].from", "08:30"),
    ({"max_waiting": -1}, "queues[0].max_waiting", "0 to"), ({"priority": 10}, "queues[0].priority", "0 to 9")))
def test_advice(queue, path, words):
    errors = checked(queue)[1]
    assert [(error.path, words in str(error)) for error in errors] == [(path, True)], [str(error) for error in errors]


@pytest.mark.parametrize("node, path", (({"priority": "high"}, "priority"), ({"priority": 11}, "priority"), ({"skills": {"fr": 11}}, "skills"),
                                        ({"skills": ["fr"]}, "skills")))
def test_advice_of_a_flow(node, path):
    assert [error.path for error in checked(flow_node=node)[1]] == ["ivr.main.nodes.sales." + path]


def test_every_setting_says_what_it_is():
    for name, field in SCHEMA.describe()["fields"]["queues"]["row"]["fields"].items():
        assert field["help"], name


def test_agents_work_and_codes():
    config = demo.configuration({name: "secret-" + name for name in demo.AGENTS})
    config["break_reasons"] = [{"name": "lunch"}]
    config["feature_codes"] = [{"code": "*43", "action": "break", "reason": "tea"}, {"code": "021", "action": "log_in"}, {"code": "*1", "action": "fly"}]
    del config["agents"][0]["line"]
    config["agents"][1]["pin"] = "12"
    assert [(error.path, str(error).split(";")[-1].strip()[:6]) for error in schema.check(config, check_flow)[1]] == [
        ("agents[1].pin", "use 4 "), ("feature_codes[2].action", "choose")]
    config["agents"][1]["pin"], config["feature_codes"][2]["action"] = "1234", "pick_up"
    assert [error.path for error in schema.check(config, check_flow)[1]] == ["feature_codes[0].reason", "feature_codes[1].code"]
    config["feature_codes"] = config["feature_codes"][2:]
    assert schema.check(config, check_flow)[1] == []
    config["break_reasons"], config["feature_codes"] = [], [{"code": "*44", "action": "break_reason"}]
    assert [error.path for error in schema.check(config, check_flow)[1]] == ["feature_codes[0].action"]
