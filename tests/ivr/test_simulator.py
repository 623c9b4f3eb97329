"""The simulator and its verb: scripts, expectations, coverage."""

import json

import pytest

from firmware.cli.__main__ import main
from firmware.ivr import simulator, text
from tests.control.test_ivr import NODES, SUB
from tests.portability.scenarios import ivr_core

FLOWS = {"main": {"version": 1, "languages": ["en"], "start": "hello", "nodes": NODES}, "sub": SUB}
SCRIPTS = ("press 8\nexpect conference team", "press 1\nexpect hear account\npress 1234\nexpect node pin\npress 0909#\nexpect ask http\nhttp 200 {\"balance\": \"12.50\"}\n"
           "expect hear \"twelve yuan and fifty fen\"\nexpect set balance 12.50\nexpect hangup",
           "press 2\nhttp 500\nexpect hear sorry\nexpect hangup", "press 3\nrecord 5\nexpect hear thanks\nexpect hangup", "press 3\nrecord 0.2\nexpect hear sorry",
           "press 4\nexpect queue sales\nagent answers\nagent hangs_up\nexpect hear rate\npress 5\nexpect hangup",
           "press 5\nprogram {\"do\": \"collect\", \"length\": 2}\npress 12\nprogram go\nexpect hangup", "press 5\nwait\nexpect hear sorry",
           "press 6\nexpect hear sub\nexpect hangup", "press 7\nfails no connection\nexpect hear sorry", "press 7\nsql []\nexpect hangup",
           "wait\nexpect hear no_input menu\nwait\nwait\nexpect hangup")


def run(script, flows=FLOWS):
    return simulator.run(flows, "main", script)


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts(script):
    result = run(script)
    assert result.failures == [], "\n".join(result.transcript + result.failures)


def test_coverage_and_secrets():
    results = [run(script) for script in SCRIPTS]
    taken, every, missing = simulator.coverage(FLOWS, results)
    assert taken == every - len(missing) and ("main", "account", "failed") in missing and ("main", "sub", "next") not in missing
    assert {node for flow, node, edge in missing} <= {"account", "pin", "ask", "look", "crm", "write", "message", "rate", "room"}, missing
    assert "0909" not in "".join("".join(result.transcript) for result in results)


@pytest.mark.parametrize("script, word", [
    ("dance", "no step"), ("press 1\nexpect hear hello", "not heard"), ("press 1\nhttp 200", "no answer is waited for"), ("expect queue sales", "no queue"),
    ("press 2\nhttp x", "line 2"), ("press 1\ncaller 1", "before the first step"), ("record 5", "no message"), ("agent busy", "nobody is called")])
def test_what_fails_names_its_line(script, word):
    failures = run(script).failures
    assert len(failures) == 1 and word in failures[0] and failures[0].startswith("line ")


def test_the_verb(tmp_path, capsys):
    flow, sub, script = tmp_path / "flow.txt", tmp_path / "sub.json", tmp_path / "call.sim"
    flow.write_text(text.write(FLOWS["main"]))
    sub.write_text(json.dumps(SUB))
    script.write_text(SCRIPTS[0])
    arguments = ["simulate", str(flow), str(script), "--with", "sub=%s" % sub]
    assert main(arguments) == 0 and "ways taken" in capsys.readouterr().out
    assert main([*arguments, "--least", "90"]) == 1
    capsys.readouterr()
    script.write_text("press 9\nexpect hangup")
    assert main(arguments) == 1 and "FAILED" in capsys.readouterr().out
    flow.write_text(text.write(FLOWS["main"]).replace("next bye", "next nowhere"))
    assert main(arguments) == 1
    assert "nowhere" in capsys.readouterr().err


def test_scenarios_of_the_interpreter_run_here_too():
    flows = {"main": ivr_core.bank(), "survey": ivr_core.survey()}
    result = run("press 79927398713#\npress 1234#\nhttp 200 {\"balance\": 101, \"level\": \"gold\"}\nexpect set half 50.5\nhear\npress 3\nexpect hangup", flows)
    assert result.failures == [] and "survey   csat q1: 3" in result.transcript
