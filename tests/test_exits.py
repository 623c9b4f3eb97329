"""What cannot start ends with one sentence and the code that tells the supervisor whether to try again."""

import errno
import os
import subprocess
import sys

import pytest

from firmware.errors import ConfigError, LocalError
from firmware.exits import EX_CONFIG, EX_TEMPFAIL, exit_code
from webui import __main__ as web


@pytest.mark.parametrize("error, code", [
    (LocalError("a port is in use"), EX_CONFIG), (ConfigError("spans[0]", "is wrong"), EX_CONFIG),
    (ImportError("no native module"), EX_CONFIG), (OSError("AF_UNIX path too long"), EX_CONFIG),
    (PermissionError(errno.EACCES, "denied"), EX_CONFIG), (OSError(errno.EROFS, "read-only"), EX_CONFIG),
    (OSError(errno.ENOSPC, "full"), EX_TEMPFAIL), (OSError(errno.EMFILE, "many"), EX_TEMPFAIL)])
def test_what_may_pass_is_tried_again(error, code):
    assert exit_code(error) == code


@pytest.mark.parametrize("environment, word", [({}, "STROWGER_RUN"), ({"STROWGER_RTP_PORTS": "many"}, "STROWGER_RTP_PORTS")])
def test_media_waits_for_a_person(tmp_path, environment, word):
    bare = {name: value for name, value in os.environ.items() if not name.startswith("STROWGER_")}
    if environment:
        bare.update(environment, STROWGER_RUN=str(tmp_path), STROWGER_PROMPTS=str(tmp_path))
    done = subprocess.run([sys.executable, "-m", "firmware.media"], env=bare, capture_output=True, text=True, timeout=60)
    assert done.returncode == EX_CONFIG
    assert done.stderr.startswith("media: ") and word in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("text, users, code, word", [
    (None, None, EX_TEMPFAIL, "start control first"), ("{", None, EX_CONFIG, "restore it"), ("[]", None, EX_CONFIG, "restore it"),
    ("{}", "[]", EX_CONFIG, "users.json"), ("{}", None, EX_CONFIG, "first-boot password")])
def test_web_says_whether_another_start_helps(tmp_path, monkeypatch, capsys, text, users, code, word):
    monkeypatch.setenv("STROWGER_RUN", str(tmp_path))
    monkeypatch.setenv("STROWGER_DATA", str(tmp_path))
    for name, content in (("configuration.json", text), ("users.json", users)):
        if content is not None:
            (tmp_path / name).write_text(content)
    assert web.main() == code
    said = capsys.readouterr().err
    assert said.startswith("web: ") and word in said and said.count("\n") == 1
