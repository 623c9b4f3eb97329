"""A question to a process of its own: answer, failure in its own words, time limit."""

import asyncio

import pytest

from firmware.control import apart


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A function(source) that makes a module of it which the child can run."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(source):
        (tmp_path / "asked.py").write_text("import json, os, sys\nquestion = json.load(sys.stdin)\n" + source)
        return "asked"
    return make


def test_the_answer_comes_back(module):
    name = module("json.dump([question, sys.argv[1:]], sys.stdout)")
    assert asyncio.run(apart.ask(name, {"forms": ["4930"]}, "/data")) == [{"forms": ["4930"]}, ["/data"]]


@pytest.mark.parametrize("source, words", [("sys.exit('the ring is damaged')", "the ring is damaged"), ("sys.exit(3)", "it ended without a word"),
                                           ("raise OSError('disk is full')", "OSError: disk is full")])
def test_a_failure_has_its_last_words(module, source, words):
    with pytest.raises(apart.Unanswered, match=words):
        asyncio.run(apart.ask(module(source), None))


def test_too_long_is_an_error(module):
    with pytest.raises(TimeoutError):
        asyncio.run(apart.ask(module("import time\ntime.sleep(300)"), None, most_s=0.01))


def test_it_ends_with_the_one_who_asked(module, tmp_path):
    pid = tmp_path / "pid"
    name = module("import time\nopen(%r, 'w').write('%%d\\n' %% os.getpid())\ntime.sleep(300)" % str(pid))

    async def ask():
        asked = asyncio.ensure_future(apart.ask(name, None))
        while not (pid.exists() and pid.read_text().endswith("\n")):
            await asyncio.sleep(0.02)
        asked.cancel()
        while _lives(int(pid.read_text())):
            await asyncio.sleep(0.02)
        assert asked.cancelled()
    asyncio.run(asyncio.wait_for(ask(), 30))


def _lives(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
