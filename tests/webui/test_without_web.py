"""A web process that cannot start costs the pages, not the calls.

The supervisor and the web process are the real ones; media and control are stand-ins that say "ready".
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from hil.ports import free_port

ROOT = pathlib.Path(__file__).parents[2]
STAND_IN = """
import os, pathlib, sys, time
if os.environ.get("BROKEN") == {name!r}:
    sys.exit("{name}: cannot be.")
(pathlib.Path(os.environ["STROWGER_RUN"]) / "{name}.ready").touch()
time.sleep(600)
"""
SUPERVISOR = """
import sys
import firmware.__main__ as supervisor
supervisor.PROCESSES = {"media": "stand_in_media", "control": "stand_in_control", "web": "webui"}
supervisor.PERSON_S = 0.2
sys.exit(supervisor.main())
"""


class Supervisor:
    """The supervisor as a process; said: its lines so far."""

    def __init__(self, folder, **environment):
        for name in ("media", "control"):
            (folder / f"stand_in_{name}.py").write_text(STAND_IN.format(name=name))
        self.process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}", "STROWGER_RUN": str(folder / "run"),
                 "STROWGER_DATA": str(folder / "data"), "STROWGER_SIP_PORT": str(free_port()),
                 "STROWGER_WEB_PORT": str(free_port()), "STROWGER_CTI_PORT": str(free_port()),
                 **environment})
        self.said = []
        threading.Thread(target=lambda: self.said.extend(self.process.stdout), daemon=True).start()

    def hear(self, word):
        """Wait for a line with the word; returns it."""
        deadline = time.monotonic() + 60
        while not any(word in line for line in self.said):
            assert self.process.poll() is None and time.monotonic() < deadline, self.said
            time.sleep(0.05)
        return next(line for line in self.said if word in line)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "users.json").write_text('{"admin": ')
    return tmp_path


def test_a_damaged_user_file_does_not_stop_the_calls(folder):
    supervisor = Supervisor(folder)
    try:
        why = supervisor.hear("did not come up")
        assert "users.json is damaged" in why and "restore it from a backup" in why and ".." not in why
        supervisor.hear("served without web")
        assert "users.json is damaged" in (folder / "run" / "web.fault").read_text()
        pids = json.loads((folder / "run" / "supervisor.json").read_text())
        assert all(pathlib.Path(f"/proc/{pids[name]}").exists() for name in ("media", "control"))
        assert (folder / "data" / "users.json").read_text() == '{"admin": ', "left as it was, for a person to look at"
        assert not (folder / "data" / "first-boot-password").exists(), "nobody is let in by damage"
        (folder / "data" / "first-boot-password").write_text("from a backup\n")      # as a person would
        (folder / "data" / "users.json").unlink()
        supervisor.hear("Strowger is ready")
        assert not (folder / "run" / "web.fault").exists()
    finally:
        assert supervisor.stop() == 0


def test_without_control_there_is_no_house(folder):
    supervisor = Supervisor(folder, BROKEN="control")
    assert supervisor.process.wait(60) == 2
    assert any("control did not come up" in line for line in supervisor.said), supervisor.said
