"""What users may send to operations: refused in sentences before the core sees it."""

import argparse
import io

import pytest

from firmware.cli import operations as cli
from firmware.control.commands import Problem
from firmware.control.core_commands import COMMANDS
from firmware.control.operations import OPERATIONS, event_of


def test_every_operation_is_a_command_of_the_core():
    for kind, must, may, one in OPERATIONS.values():
        assert set(COMMANDS[kind][0]) <= set(must) | {"agent"}


@pytest.mark.parametrize("operation, fields, words", (
    ("hold", {}, "needs call"), ("hold", {"call": "x"}, "no call x"), ("hold", {"call": "c1", "whom": "2"}, "no field whom"),
    ("hold", {"call": "c1", "by": 7}, "by must be a text"), ("hold", {"call": "c1", "by": "a\nb"}, "printable"),
    ("consult", {"call": "c1", "to": "moon", "target": "x"}, "agent, line, queue"), ("consult", {"call": "c1", "to": "agent"}, "needs target"),
    ("consult", {"call": "c1", "to": "agent", "target": "1", "join": "yes"}, "true or false"),
    ("transfer", {"call": "c1", "to": "agent"}, "give both"), ("park", {"call": "c1", "place": -1}, "whole number"),
    ("park", {"call": "c1", "place": True}, "whole number"), ("unpark", {"place": 701}, "agent or line"),
    ("monitor", {"call": "c1", "mode": "spy", "agent": "1"}, "whisper"), ("monitor", {"call": "c1", "mode": "listen"}, "telephone"),
    ("monitor", {"call": "c1", "mode": "listen", "agent": "1", "line": "2"}, "agent or line"),
    ("listen", {"call": "c1", "progress": "yes"}, "true or false"), ("listen", {"call": "c1", "caller_id": "v22"}, "v23"), ("listen", {"call": "c1", "noise": True}, "no field noise"),
    ("enhance", {"call": "c1", "level": "loud"}, "agc"), ("send", {"call": "c1"}, "one of tone"), ("send", {"call": "c1", "dtmf": "1", "r1": "1"}, "one of tone"),
    ("send", {"call": "c1", "dtmf": "X"}, "made of"), ("send", {"call": "c1", "tone": "busy"}, "duration_ms"), ("send", {"call": "c1", "caller_id": {}}, "number"),
    ("send", {"call": "c1", "caller_id": {"number": "12a"}}, "made of"), ("send", {"call": "c1", "caller_id": {"number": "1", "format": "sdmf"}}, "time"),
    ("send", {"call": "c1", "caller_id": {"number": "1", "speed": 3}}, "map of"), ("send", {"call": "c1", "caller_id": 5}, "map of"),
    ("fax", {"document": "d", "number": "13912345678", "at_ms": 1 << 48}, "before the year 6429"), ("callback", {"queue": "q", "number": "13912345678", "at_ms": 1 << 48}, "6429"),
    ("agent_log_in", {"agent": "1", "line": "2", "status": "logged_out"}, "available, on_break"), ("wrap_up", {"agent": ""}, "1 to 64")))
def test_bad_fields(operation, fields, words):
    with pytest.raises(Problem) as caught:
        event_of(operation, fields)
    assert words in str(caught.value) and caught.value.status in (404, 422)


def test_good_fields():
    assert event_of("consult", {"call": "c1", "to": "queue", "target": "sales", "by": "1001"}) == {
        "kind": "command.consult", "call": "c1", "to": "queue", "target": "sales", "by": "1001"}


class Client:
    def post(self, path, body):
        self.asked = (path, body)
        return {"ok": True, "place": 701} if path.endswith("park") else {"ok": True}


def test_a_code_is_no_argument_but_read_from_standard_input(monkeypatch):
    parser, client = argparse.ArgumentParser(), Client()
    cli.add(parser.add_subparsers(dest="verb"), argparse.ArgumentParser(add_help=False))
    monkeypatch.setattr("sys.stdin", io.StringIO("12345\n"))
    cli.carry_out(client, parser.parse_args("log-in 1001 2001 --pin".split()))
    assert client.asked == ("/v1/agents/1001/log_in", {"line": "2001", "pin": "12345"})
    with pytest.raises(SystemExit):
        parser.parse_args("log-in 1001 2001 --pin 12345".split())


@pytest.mark.parametrize("line, path, body", (
    ("hold c1", "/v1/calls/c1/hold", {}), ("consult c1 agent 1002 --join", "/v1/calls/c1/consult", {"to": "agent", "target": "1002", "join": True}),
    ("transfer c1", "/v1/calls/c1/transfer", {}), ("transfer c1 queue sales --by 1001", "/v1/calls/c1/transfer",
                                                  {"to": "queue", "target": "sales", "by": "1001"}),
    ("park c1 --place 701", "/v1/calls/c1/park", {"place": 701}), ("fetch 701 --agent 1001", "/v1/parked/701/fetch", {"agent": "1001"}),
    ("pick-up 1001 --line 2001", "/v1/pick_up", {"target": "1001", "line": "2001"}),
    ("monitor c1 whisper --agent 1004", "/v1/calls/c1/monitor", {"mode": "whisper", "agent": "1004"}),
    ("log-in 1001 2001", "/v1/agents/1001/log_in", {"line": "2001"}), ("wrap-up 1001 --end", "/v1/agents/1001/wrap_up", {"end": True}),
    ("listen c1 progress=on answer=off caller_id=v23 --leg agent", "/v1/calls/c1/listen", {"leg": "agent", "progress": True, "answer": False, "caller_id": "v23"}),
    ("enhance c1 echo=on level=agc", "/v1/calls/c1/enhance", {"echo": True, "level": "agc"}), ("send c1 tone busy --ms 500", "/v1/calls/c1/send", {"tone": "busy", "duration_ms": 500}),
    ("send c1 caller_id 138 --name LI --leg caller", "/v1/calls/c1/send", {"leg": "caller", "caller_id": {"number": "138", "standard": "v23", "name": "LI"}}),
    ("assign 1001 sales service:2 --by chief", "/v1/agents/1001/queues", {"queues": [{"queue": "sales"}, {"queue": "service", "level": 2}], "by": "chief"}),
    ("message m1 read --by boss", "/v1/messages/m1", {"state": "read", "by": "boss"}),
    ("announcement outage off --by chief", "/v1/announcements/outage", {"on": False, "by": "chief"})))
def test_the_command_line(line, path, body):
    parser = argparse.ArgumentParser()
    cli.add(parser.add_subparsers(dest="verb"), argparse.ArgumentParser(add_help=False))
    client = Client()
    answer, show = cli.carry_out(client, parser.parse_args(line.split()))
    assert client.asked == (path, body) and show(answer)
