"""Starting and stopping: one clear sentence when it cannot be, nothing left running."""

import os
import pathlib
import socket
import subprocess
import sys
import time

import pytest

from hil.ports import free_port
from hil.rig import CHECKOUT, Rig, RigError

pytestmark = pytest.mark.live


def start_alone(folder, **environment):
    return subprocess.run([sys.executable, "-m", "firmware"], cwd=CHECKOUT, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "STROWGER_RUN": str(folder / "run"),
                               "STROWGER_DATA": str(folder / "data"), **environment})


def test_an_occupied_port_is_one_sentence(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        done = start_alone(tmp_path, STROWGER_SIP_PORT=str(port), STROWGER_WEB_PORT=str(free_port()),
                           STROWGER_CTI_PORT=str(free_port()))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and f"UDP port {port}" in done.stderr and "in use" in done.stderr


def test_a_broken_configuration_is_one_sentence(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "configuration.json").write_text('{"spans": [{"span": 65}]}')
    done = start_alone(tmp_path)
    assert done.returncode == 2 and "spans[0].span" in done.stderr and "1 to 64" in done.stderr


def test_a_folder_without_right_is_one_sentence(tmp_path):
    (tmp_path / "data").write_text("a file where a folder should be")
    done = start_alone(tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and str(tmp_path / "data") in done.stderr


def test_a_damaged_database_does_not_keep_the_switch_from_starting(tmp_path):
    folder = tmp_path / "rig"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "strowger.db").write_bytes(b"what a failing disk gave back" * 1000)
    with Rig(folder) as rig:
        rig.start_board()
        rig.start_product()
        kept = list((folder / "data").glob("strowger.db.damaged-*"))
        assert len(kept) == 1 and any(str(kept[0]) in fault for fault in rig.state()["system"]["faults"])
        assert "Traceback" not in (folder / "data" / "log" / "control.log").read_text()
    assert not processes_below(folder)


def processes_below(folder):
    """Command lines of processes whose environment or arguments name the folder."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            text = (path / "environ").read_bytes() + (path / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in text and int(path.name) != os.getpid():
            found.append((path / "cmdline").read_bytes().replace(b"\0", b" "))
    return found


def test_stop_leaves_nothing_and_the_second_start_is_quick(tmp_path):
    folder = tmp_path / "rig"
    with Rig(folder) as rig:
        rig.start(exchange=False)
        with pytest.raises(RigError, match="already runs"):
            Rig(folder).start_product()
        pids = rig.pids()
        assert set(pids) == {"supervisor", "media", "control", "web"}
    assert not processes_below(folder)
    with Rig(folder) as rig:
        rig.start_board()
        began = time.monotonic()
        rig.start_product()
        assert rig.state()["spans"]
        assert time.monotonic() - began < 30
    assert not processes_below(folder)
