"""Settings of a configuration that stand in each other's way, and names that become names of files."""

import copy
import json

import pytest

from firmware.config import demo, schema, sip
from firmware.config.store import ConfigStore
from firmware.ivr import flow
from firmware.links import prompts

DEMO = demo.configuration({name: "secret-" + name for name in demo.AGENTS})


@pytest.mark.parametrize("parts, path", [
    ({"cti": {"port": 8443}}, "cti.port"),
    ({"cti": {"port": 9000, "address": "0.0.0.0"}, "web": {"port": 9000}}, "cti.port"),
    ({"cti": {"port": 9000, "address": "127.0.0.2"}, "web": {"port": 9000}}, None),
    ({"cti": {"port": 9000, "address": "::ffff:127.0.0.1"}, "web": {"port": 9000}}, "cti.port"),
    ({"cti": {"port": 9000, "address": "::ffff:0.0.0.0"}, "web": {"port": 9000}}, "cti.port"),
    ({"cti": {"port": 9000, "address": "::1%1"}, "web": {"port": 9000, "address": "::1"}}, "cti.port"),
    ({"sip": {"port": 8443, "tcp": False}}, None),        # UDP beside TCP
    ({"sip": {"port": 8443}}, "sip.port"),
    ({"sip": {"port": 8443, "address": "127.0.0.2"}}, None),
    ({"sip": {"port": 8443, "address": "0.0.0.0"}}, "sip.port"),
])
def test_two_parts_never_listen_on_one_port(parts, path):
    _, errors = schema.check({**copy.deepcopy(DEMO), **parts})
    assert [error.path for error in errors] == ([path] if path else [])
    assert all("web.port" in error.advice for error in errors)


def test_an_old_file_whose_sip_has_the_port_of_the_pages_still_loads(tmp_path):
    path = tmp_path / "configuration.json"
    store = ConfigStore(path, DEMO)
    old = json.loads(path.read_text())
    path.write_text(json.dumps({**old, "sip": {**old["sip"], "port": old["cti"]["port"]}}))
    assert [error["path"] for error in store.propose(json.loads(path.read_text()))["errors"]] == ["sip.port"]
    store = ConfigStore(path)
    running = store.running()
    assert "TCP" not in sip.stream_ports(running) and "cti.port" in str(sip.clashes(running)[0])
    assert store.propose({**running, "site": {**running["site"], "name": "x"}})["ok"]         # it keeps nobody from other changes
    worse = {**running, "sip": {**running["sip"], "port": running["web"]["port"]}}
    assert [error["path"] for error in store.propose(worse)["errors"]] == ["sip.port"]
    better = store.apply({**running, "cti": {**running["cti"], "port": 9001}}, 1)
    assert sip.stream_ports(better)["TCP"] == better["sip"]["port"]


@pytest.mark.parametrize("name", [".", ".."])
def test_a_line_has_no_name_that_means_a_folder(tmp_path, name):
    data = copy.deepcopy(DEMO)
    data["lines"].append({"name": name, "password": "secret-x"})
    where = "lines[%d].name" % (len(data["lines"]) - 1)
    assert [error.path for error in schema.check(data)[1]] == [where]
    store = ConfigStore(tmp_path / "configuration.json", DEMO)
    store.path.write_text(json.dumps(data))
    store = ConfigStore(store.path)                 # an old file is loaded, and mended with the next change
    assert [error["path"] for error in store.propose(store.running())["errors"]] == [where]
    data["lines"][-1]["name"] = name + "1"
    assert schema.check(data)[1] == []


def test_changes_that_wait_for_a_restart_are_told_from_the_others():
    paths = ["cti.port", "sip.address", "site.country", "site.name", "queues[0].name", "ivr.main.start", "sip.realm"]
    assert schema.restarting([{"path": path} for path in paths]) == ["cti.port", "sip.address", "site.country"]


@pytest.mark.parametrize("name", ["greeting", "a-b_c.1", "x" * 60, "x" * 61, "../../../etc/passwd", "..", ".", "a/b", "a b",
                                  "greeting\n", "中文"])
def test_a_prompt_and_music_must_be_names_that_the_player_takes(tmp_path, name):
    for folder in ("en", "music"):
        (tmp_path / folder).mkdir()
        if "/" not in name and len(name.encode()) < 100:
            (tmp_path / folder / f"{name}.wav").write_bytes(bytes(60))
    plays = prompts.Prompts(tmp_path).items([{"prompt": name}])[1] == [] and name.strip(".") != ""
    data = copy.deepcopy(DEMO)
    data["ivr"]["main"]["nodes"]["greeting"]["prompts"] = [name]
    assert [error.path for error in schema.check(data, flow.check)[1]] == (
        [] if plays else ["ivr.main.nodes.greeting.prompts[0]"])
    data = copy.deepcopy(DEMO)
    data["queues"][1]["music"] = name
    assert [error.path for error in schema.check(data, flow.check)[1]] == (
        [] if plays else ["queues[1].music"])
