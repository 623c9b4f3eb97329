"""Scanners against the endpoint: SIPVicious (a package of PyPI) looks for extensions and guesses passwords.

As it is, it names itself in User-Agent and gets no answer at all; so it also comes under the name of a telephone."""

import asyncio
import importlib.util
import sys

import pytest

from tests.conftest import WHOLE_ONLY
from tests.links.sip_rig import Rig
from tests.links.test_sip_baresip import run

pytestmark = pytest.mark.skipif(importlib.util.find_spec("sipvicious") is None, reason="SIPVicious is not installed (PyPI: sipvicious)")
BEGIN = """import sys
from sipvicious import %(name)s
from sipvicious.libs import svhelper
svhelper.makeRequest.__defaults__ = tuple(%(agent)r if value == "friendly-scanner" else value for value in svhelper.makeRequest.__defaults__)
sys.argv[0] = %(name)r
%(name)s.main()
"""
TELEPHONE = "Yealink SIP-T46G 28.83.0.120"
SCANNER = "127.0.0.1"           # it sends from there whatever it is told
MOST = 20


async def scan(folder, name, switch, *words, agent=TELEPHONE, timeout_s=60):
    """What a scanner prints."""
    words = (sys.executable, "-c", BEGIN % {"name": name, "agent": agent}, "-p", str(switch.port), *words, "127.0.0.1")
    process = await asyncio.create_subprocess_exec(*words, cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                                                   stderr=asyncio.subprocess.STDOUT, env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "TERM": "dumb"})
    try:
        return (await asyncio.wait_for(process.communicate(), timeout_s))[0].decode(errors="replace")
    finally:
        if process.returncode is None:
            process.kill()


def rig():
    made = Rig(guard={"source_rate": 0, "wrong_passwords": MOST, "ban_s": 600})
    made.start()
    return made


def told(text, extensions):
    """Which extensions stand in the table that svwar prints."""
    return {extension for extension in extensions if any(extension in line.split() for line in text.replace("|", " ").splitlines())}


@WHOLE_ONLY
@pytest.mark.conformance("scanners", "svmap", "who names itself as a scanner gets no answer")
def test_a_scanner_that_says_so_is_not_answered(tmp_path):
    async def main():
        switch = rig()
        try:
            assert "found nothing" in await scan(tmp_path, "svmap", switch, agent="friendly-scanner")
            assert switch.endpoint.counters == {"scanners": 1, "received": 1}
        finally:
            switch.close()
    run(main())


@pytest.mark.conformance("scanners", "svwar", "known and unknown extensions are not told apart, by REGISTER or INVITE")
@pytest.mark.parametrize("method", ("REGISTER", "INVITE"))
def test_extensions_are_not_told_apart(tmp_path, method):
    async def main():
        switch = rig()
        try:
            text = await scan(tmp_path, "svwar", switch, "--force", "-m", method, "-e", "1000-1009")
            extensions = ["%d" % number for number in range(1000, 1010)]
            assert switch.endpoint.counters["sent"] >= 2, (text, switch.endpoint.counters)
            assert told(text, extensions) in (set(), set(extensions)), text
        finally:
            switch.close()
    run(main())


@WHOLE_ONLY
@pytest.mark.conformance("scanners", "svcrack", "after so many wrong passwords a host hears nothing more, and the right one is not found; telephones of other hosts register")
def test_passwords_are_not_guessed(tmp_path):
    async def main():
        switch = rig()
        try:
            (tmp_path / "words").write_text("".join("wrong-%d\n" % number for number in range(3 * MOST)) + "secret-1\n")
            text = await scan(tmp_path, "svcrack", switch, "--maximumtime", "2", "-u", "1001", "-d", str(tmp_path / "words"))
            assert "secret-1" not in text and not switch.count("line_registered"), text
            assert list(switch.endpoint.guard.banned) == [SCANNER] and switch.endpoint.counters["authentication_failed"] >= MOST, switch.endpoint.counters
        finally:
            switch.close()
    run(main())


@WHOLE_ONLY
@pytest.mark.conformance("scanners", "svcrack", "without the limit the same scanner finds the password: the test above can fail")
def test_without_the_limit_it_is_found(tmp_path):
    async def main():
        switch = Rig()
        switch.start()
        try:
            (tmp_path / "words").write_text("".join("wrong-%d\n" % number for number in range(3 * MOST)) + "secret-1\n")
            text = await scan(tmp_path, "svcrack", switch, "--maximumtime", "2", "-u", "1001", "-d", str(tmp_path / "words"))
            assert "secret-1" in text, text
        finally:
            switch.close()
    run(main())
