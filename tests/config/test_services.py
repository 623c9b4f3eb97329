"""The setting services, and flows that name them."""

import copy

import pytest

from firmware.config import demo, schema
from firmware.ivr.flow import check as check_flow

BASE = demo.configuration({name: "secret-" + name for name in demo.AGENTS})


def errors(services, flow=None, loaded=False):
    config = copy.deepcopy(BASE)
    config["services"] = services
    if flow:
        config["ivr"]["more"] = flow
    return [error.path for error in schema.check(config, check_flow, None if loaded else ())[1]]


@pytest.mark.parametrize("row, field", [
    ({"kind": "http", "address": "ftp://x"}, "address"), ({"kind": "http", "address": "http://x:99999"}, "address"), ({"kind": "sqlite", "address": "/etc/passwd"}, "address"),
    ({"kind": "sqlite", "address": "../strowger.db"}, "address"), ({"kind": "agi", "address": "10.0.0.1"}, "address"), ({"kind": "gopher", "address": "x"}, "kind"),
    ({"kind": "mysql", "address": "a b"}, "address"), ({"kind": "http", "address": "http://x", "timeout_s": 0}, "timeout_s"), ({"kind": "http"}, "address"),
    ({"kind": "speech", "address": "wss://user:secret@speech.example/v1"}, "address"), ({"kind": "speech", "address": "ws://x@y"}, "address")])
def test_wrong_services(row, field):
    assert errors([{"name": "s", **row}]) == ["services[0]." + field]


def test_an_address_of_a_speech_service_may_have_the_sign_behind_its_host():
    assert errors([{"name": "s", "kind": "speech", "address": "wss://speech.example/v1/@home?a=b@c"}]) == []
    assert errors([{"name": "s", "kind": "speech", "address": "wss://user:secret@speech.example/v1"}], loaded=True) == []      # a file of before still loads


def test_flows_and_services():
    flow = {"version": 1, "languages": ["en"], "start": "a", "nodes": {
        "a": {"type": "http", "service": "crm", "path": "/x", "next": "b", "failed": "b"}, "b": {"type": "voicemail", "mailbox": "none"}}}
    assert errors([], flow) == ["ivr.more.nodes.a.service", "ivr.more.nodes.b.mailbox"]
    flow["nodes"]["b"] = {"type": "hangup"}
    assert errors([{"name": "crm", "kind": "sqlite", "address": "c.db"}], flow) == ["ivr.more.nodes.a.service"]
    assert errors([{"name": "crm", "kind": "http", "address": "http://x"}], flow) == []
    flow["nodes"]["a"]["failed"] = "a"
    assert errors([{"name": "crm", "kind": "http", "address": "http://x"}], flow) == ["ivr.more.nodes.a"]
    old = {"version": 1, "languages": ["en"], "start": "a", "nodes": {"a": {"type": "play", "prompts": ["greeting"], "next": "a"}}}
    assert errors([], old) == ["ivr.more.nodes.a"] and errors([], old, loaded=True) == []       # a file of before still loads
