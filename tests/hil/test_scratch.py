"""Scratch folders: gone with their process, however it ends; nobody takes those of one that lives."""

import pathlib
import signal
import subprocess
import sys

from hil import scratch

ROOT = pathlib.Path(__file__).parents[2]
MAKER = """
import sys
from hil import scratch
with scratch.folder("inner-") as folder:
    (scratch.kept("phone-") / "play.wav").write_text("sound")
    print(folder, flush=True)
    sys.stdin.read(1)
"""


def maker(tmp_path):
    """A process that holds two folders, and what lies below tmp_path then."""
    process = subprocess.Popen([sys.executable, "-c", MAKER], cwd=ROOT, env={"TMPDIR": str(tmp_path)}, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    inner = pathlib.Path(process.stdout.readline().strip())
    assert inner.parent.parent == tmp_path and inner.is_dir()
    return process, inner


def test_nothing_is_left_where_a_process_ends(tmp_path):
    process, inner = maker(tmp_path)
    (one,) = tmp_path.iterdir()
    assert one.name.startswith(scratch.PREFIX) and len(list(one.iterdir())) == 2
    process.communicate("x")
    assert process.returncode == 0 and not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path):
    killed, lost = maker(tmp_path)
    alive, kept = maker(tmp_path)
    (tmp_path / "of-somebody-else").mkdir()
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert lost.is_dir()
    scratch.sweep(tmp_path)
    assert not lost.parent.exists() and kept.is_dir() and (tmp_path / "of-somebody-else").is_dir()
    alive.send_signal(signal.SIGTERM)
    alive.communicate()
    following, _ = maker(tmp_path)                      # whoever comes next sweeps by itself
    assert not kept.parent.exists()
    following.communicate("x")
    assert [path.name for path in tmp_path.iterdir()] == ["of-somebody-else"]
