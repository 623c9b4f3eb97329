"""The control process as a process: exit codes, readiness, one at a time; and the command strowger."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest

from firmware.config import demo
from firmware.config.store import ConfigStore
from firmware.control.client import ControlClient
from firmware.storage.database import Database, set_asides
from firmware.storage.journal import Journal

ROOT = pathlib.Path(__file__).parents[2]


def start(tmp_path, **environment):
    values = {**os.environ, "STROWGER_RUN": str(tmp_path / "run"), "STROWGER_DATA": str(tmp_path / "data"), **environment}
    values.pop("LISTEN_FDS", None)
    return subprocess.Popen([sys.executable, "-m", "firmware.control"], cwd=ROOT, env=values, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def command(tmp_path, *arguments):
    done = subprocess.run([sys.executable, "-m", "firmware.cli", "--run", str(tmp_path / "run"), *arguments], cwd=ROOT,
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def configured(tmp_path):
    ports = {}
    for part, kind in (("sip", socket.SOCK_DGRAM), ("cti", socket.SOCK_STREAM)):
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.bind(("127.0.0.1", 0))
            ports[part] = probe.getsockname()[1]
    config = demo.configuration({name: "secret" + name for name in demo.AGENTS})
    for part, port in ports.items():
        config[part] = {"port": port}
    ConfigStore(tmp_path / "data" / "configuration.json", config)
    return tmp_path


def test_without_directories_or_configuration_it_says_so(tmp_path):
    process = start(tmp_path, STROWGER_RUN="")
    assert "set STROWGER_RUN" in process.communicate(timeout=60)[1] and process.returncode == 78
    process = start(tmp_path)
    assert "configuration.json: is missing" in process.communicate(timeout=60)[1] and process.returncode == 78


def wait_ready(process, tmp_path):
    deadline = time.monotonic() + 20
    while not (tmp_path / "run" / "control.ready").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


def test_a_damaged_database_is_set_aside_and_a_new_one_begun(configured):
    """In a page that only the replay reads, in a record, in a dump, in the header, all of it, cut off."""
    path = configured / "data" / "strowger.db"
    database = Database(path)
    with database.transaction():
        Journal(database.write).append([{"kind": "core.resumed", "ts_ms": 1, "data": {"fill": "yyyyyyyy" * 400}} for _ in range(200)])
        database.write.execute("INSERT INTO machine VALUES ('media', '{\"boot_id\":\"mmmmmmmm\"}')")
    root = database.write.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'journal'").fetchone()[0]
    size = database.write.execute("PRAGMA page_size").fetchone()[0]
    database.close()
    whole = path.read_bytes()
    inside = bytearray(whole)
    inside[(root - 1) * size:root * size] = b"\xa5" * size
    (configured / "data" / "recordings").mkdir()
    cases = [bytes(inside), whole.replace(b'"fill":"yyyyyyyy', b'"fill":""yyyyyyy'), whole.replace(b"yyyyyyyy", b"yyy\xffyyyy"),
             whole.replace(b'"mmmmmmmm', b'""mmmmmmm'), b"\0" * 100 + whole[100:], os.urandom(40000), whole[:3 * size]]
    for count, octets in enumerate(cases, 1):
        path.write_bytes(octets)
        process = start(configured)
        error = process.communicate(timeout=60)[1]
        assert process.returncode == 75, error
        assert error.splitlines()[-1].startswith("control: THE DATABASE WAS DAMAGED"), error
        kept = set_asides(path)
        assert len(kept) == count and not path.exists() and any(name in error for name in kept)
    process = start(configured)
    try:
        wait_ready(process, configured)
        faults = ControlClient(configured / "run").get("/v1/health")["faults"]
        assert all(any(name in fault for fault in faults) for name in kept)
        assert command(configured, "agent", "1001", "available")[0] == 0
    finally:
        process.kill()
        process.communicate()


def test_a_start_on_a_full_disk_serves_and_writes_when_there_is_room(configured, tmp_path_factory):
    disk = tmp_path_factory.mktemp("disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    process = None
    try:
        (disk / "configuration.json").write_bytes((configured / "data" / "configuration.json").read_bytes())
        process = start(configured, STROWGER_DATA=str(disk))
        wait_ready(process, configured)
        process.kill()
        process.communicate()
        with open(disk / "filler", "ab", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(bytes(4096))
        (configured / "run" / "control.ready").unlink()
        process = start(configured, STROWGER_DATA=str(disk))
        wait_ready(process, configured)
        client = ControlClient(configured / "run")
        assert any("cannot be written" in fault for fault in client.get("/v1/health")["faults"])
        assert client.get("/v1/calls")["calls"] == []
        code, _, error = command(configured, "agent", "1001", "on_break")
        assert code and "Free space" in error
        seen = client.stream_events(client.get("/v1/state")["seq"], keepalive_s=4)      # the page's alarm clock
        assert [next(seen), next(seen)] == [None, None]
        (disk / "filler").unlink()
        assert process.wait(20) == 75       # asks for a start with the whole database
        process.communicate()
        process = start(configured, STROWGER_DATA=str(disk))
        wait_ready(process, configured)
        agents = {agent["name"]: agent["status"] for agent in client.get("/v1/state")["agents"]}
        assert agents["1001"] == "on_break"
        assert client.get("/v1/health")["faults"] == ["the media process is not there"]
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            process.communicate()
        subprocess.run(["umount", "-l", disk])


def test_life_without_media(configured):
    tmp_path = configured
    process = start(tmp_path)
    try:
        deadline = time.monotonic() + 15
        while not (tmp_path / "run" / "control.ready").exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        second = start(tmp_path)
        assert "another control process" in second.communicate(timeout=60)[1] and second.returncode == 75
        assert ControlClient(tmp_path / "run").get("/v1/health")["faults"]

        code, out, _ = command(tmp_path, "state")
        assert code == 0 and "carrier" in out and "sales" in out and "1001" in out and "FAULT" in out
        code, out, _ = command(tmp_path, "agent", "1001", "on_break", "--reason", "lunch")
        assert code == 0
        code, out, _ = command(tmp_path, "agents", "--json")
        assert json.loads(out)["agents"][0]["status"] == "on_break"
        code, _, err = command(tmp_path, "hangup", "c99")
        assert code == 1 and "no open call c99" in err
        code, out, _ = command(tmp_path, "calls")
        assert code == 0 and out.startswith("CALL")
        config = ControlClient(tmp_path / "run").get("/v1/configuration")["configuration"]
        config["site"]["name"] = "Other"
        (tmp_path / "new.json").write_text(json.dumps(config))
        code, out, _ = command(tmp_path, "config", "apply", str(tmp_path / "new.json"))
        assert code == 0 and "site.name" in out
        config["queues"] = []
        (tmp_path / "new.json").write_text(json.dumps(config))
        code, _, err = command(tmp_path, "config", "check", str(tmp_path / "new.json"))
        assert code == 78 and "queue" in err
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert not (tmp_path / "run" / "control.ready").exists()
        code, _, err = command(tmp_path, "state")
        assert code == 75 and "start the control process" in err
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
