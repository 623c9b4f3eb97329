"""Set-up ended by a signal: nothing that it started goes on.  And which Debian packages each target asks for.

A tree of its own, in which the Python of the virtual environment is a stand-in that does what
setup.py --parallel does: it starts compilers (here: sleep) and waits for them."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).parents[2]
COMPILER = """#!/bin/sh
for n in 1 2; do sh -c 'echo $$ >>pids; sleep 300; :' & done
echo $$ >>pids
wait
"""


@pytest.fixture
def tree(tmp_path):
    for name in ("Makefile", "buildroot/host/setup.sh"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("buildroot/host/packages.txt", "buildroot/host/packages-test.txt", "buildroot/host/packages-conformance.txt", "requirements.lock", "setup.py",
                 "build/stamps/lock", "build/venv/bin/python"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "build/venv/bin/python").write_text(COMPILER)
    (tmp_path / "build/venv/bin/python").chmod(0o755)
    yield tmp_path
    for pid in alive(tmp_path):
        os.kill(pid, signal.SIGKILL)


def alive(tree):
    """Process ids of compilers that run, by what they wrote down."""
    text = (tree / "pids").read_text() if (tree / "pids").exists() else ""
    found = []
    for pid in text.split():
        try:
            state = pathlib.Path("/proc", pid, "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if state != "Z" and str(tree) == os.readlink(f"/proc/{pid}/cwd"):
            found.append(int(pid))
    return found


def hear_signals():
    """Between fork and exec: what ran the tests may ignore these (nohup, a background job), and a shell cannot take that back."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("command, number, code", [
    (["buildroot/host/setup.sh", "run"], signal.SIGTERM, 143),
    (["buildroot/host/setup.sh", "run"], signal.SIGHUP, 129),
    (["make", "run"], signal.SIGTERM, None),
    (["make", "run"], signal.SIGINT, None),
    (["make", "test"], signal.SIGTERM, None),
])
def test_a_signal_ends_the_compilers_too(tree, command, number, code):
    process = subprocess.Popen(command, cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               start_new_session=True, preexec_fn=hear_signals)
    deadline = time.monotonic() + 30
    while len(alive(tree)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(alive(tree)) == 3, "the stand-in did not start"
    if number == signal.SIGINT:
        os.killpg(process.pid, number)      # as a terminal does: to the whole foreground group
    else:
        process.send_signal(number)
    output, _ = process.communicate(timeout=120)
    assert not alive(tree)
    assert process.returncode not in (0, None) and (code is None or process.returncode == code), output
    assert "setup: stopped before it was done" in output, output


def names(name):
    return {word for line in (ROOT / "buildroot/host" / name).read_text().splitlines() for word in line.split("#")[0].split()}


@pytest.mark.parametrize("target, lists", [("run", 1), ("test", 2), ("conformance", 3)])
def test_each_target_asks_for_its_packages(tree, target, lists):
    """On a machine that has none of them (a dpkg-query of ours says so), whose apt-get writes down what it is asked and fails."""
    files = ("packages.txt", "packages-test.txt", "packages-conformance.txt")
    for name in files:
        shutil.copy(ROOT / "buildroot/host" / name, tree / "buildroot/host" / name)
    for name, text in (("dpkg-query", "exit 1"), ("apt-get", f'echo "$@" >>{tree}/asked; [ "$1" = update ]'), ("sudo", '"$@"')):
        (tree / "bin" / name).parent.mkdir(exist_ok=True)
        (tree / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tree / "bin" / name).chmod(0o755)
    done = subprocess.run(["make", target], cwd=tree, capture_output=True, text=True, env=dict(os.environ, PATH=f"{tree}/bin:{os.environ['PATH']}"))
    assert done.returncode and "apt-get could not install" in done.stderr
    asked = {word for word in (tree / "asked").read_text().split() if not word.startswith("-")} - {"update", "install", "nodejs", "npm"}
    assert asked == set().union(*map(names, files[:lists]))
    assert all(names(name) for name in files)


def test_what_the_tests_run_on_arm_is_set_up_for_conformance_alone():
    wanted = {"gcc-aarch64-linux-gnu", "qemu-user"}     # as tests/aarch64.py names them
    assert wanted <= names("packages-conformance.txt") and not wanted & (names("packages-test.txt") | names("packages.txt"))
