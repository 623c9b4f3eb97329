"""The portability gate: firmware/proto, call, acd and ivr under MicroPython.

Every module of them is imported, and every scenario in scenarios/ runs under
both interpreters.  A scenario is a module with run(), plain asserts and no
pytest; what run() returns (a trace) must be the same in both.

MicroPython is the WebAssembly build from npm, run by node; package.json and
package-lock.json here fix it, build/node holds it.
"""

import importlib
import json
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NODE = ROOT / "build" / "node"
PORTABLE = ("firmware/errors.py", "firmware/proto", "firmware/call", "firmware/acd", "firmware/ivr")
SCENARIOS = sorted(path.stem for path in (HERE / "scenarios").glob("*.py"))


@pytest.fixture(scope="session")
def micropython(tmp_path_factory):
    """A function that runs source under MicroPython and returns what it printed."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.fail("node and npm are needed for the portability gate: make setup installs them (Debian: nodejs, npm)")
    lock = (HERE / "package-lock.json").read_text()
    kept = NODE / "package-lock.json"
    if not (NODE / "node_modules").exists() or not kept.exists() or kept.read_text() != lock:
        NODE.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(HERE / name, NODE / name)
        done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=NODE, capture_output=True, text=True)
        assert done.returncode == 0, "npm ci of MicroPython failed:\n" + done.stderr

    def run(source, *sources):
        program = tmp_path_factory.mktemp("micropython") / "program.py"
        program.write_text(source)
        done = subprocess.run(["node", str(HERE / "run.mjs"), str(ROOT), str(program), *PORTABLE, *sources],
                              capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def portable_modules():
    for top in PORTABLE:
        for path in [ROOT / top] if top.endswith(".py") else sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_every_module_imports(micropython):
    names = list(portable_modules())
    out = micropython("""
import sys
for name in %r:
    try:
        __import__(name)
    except Exception as error:
        print("FAILED", name)
        sys.print_exception(error)
print("done")
""" % (names,))
    assert out == "done\n", out


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(micropython, name):
    module = "tests.portability.scenarios." + name
    out = micropython("import json\nimport %s as scenario\nprint(json.dumps(scenario.run()))" % module,
                      "tests/portability/scenarios/%s.py" % name)
    theirs = json.loads(out.splitlines()[-1])
    ours = json.loads(json.dumps(importlib.import_module(module).run()))
    assert theirs == ours


def test_every_portable_package_has_a_scenario():
    """A package without a scenario would pass by saying nothing."""
    text = "".join((HERE / "scenarios" / (name + ".py")).read_text() for name in SCENARIOS)
    assert [room for room in PORTABLE if not room.endswith(".py")
            and "from %s" % room.replace("/", ".") not in text] == []
