"""The supervisor's helpers: logs that are bounded, processes that stand still, the first password."""

import os
import urllib.parse

import pytest

from firmware import first_boot
from firmware.__main__ import Supervisor
from firmware.heartbeat import Heart, Watch
from firmware.logfile import LARGEST, LogFile
from hil.rig import READY


def test_a_log_is_bounded_while_it_is_written(tmp_path):
    log = LogFile(tmp_path / "web.log")
    log.begin()
    with open(log.path, "ab", buffering=0) as child:
        child.write(b"x" * LARGEST + b"\n")
        log.bound()
        child.write(b"2026 web ERROR the last\n")
    assert log.path.read_bytes() == b"2026 web ERROR the last\n"
    assert log.path.with_suffix(".log.1").stat().st_size == LARGEST + 1
    assert log.last_words() == "2026 web ERROR the last"


def test_last_words_are_those_of_the_present_child(tmp_path):
    log = LogFile(tmp_path / "web.log")
    log.begin()
    assert log.last_words() is None
    log.path.write_text("an ERROR of the one before\n")
    log.begin()
    assert log.last_words() is None
    with open(log.path, "a") as child:
        child.write("10:00 web WARNING first\nTraceback (most recent call last):\n  File x\nKeyError: 1\n10:01 INFO more\n")
    assert log.last_words() == "KeyError: 1"


def test_only_a_process_that_shows_no_sign_is_found(tmp_path):
    watch = Watch(tmp_path, {"control": 3, "web": 3})
    for name in ("control", "web"):
        (tmp_path / f"{name}.ready").touch()
    found = []
    for second in range(8):
        os.utime(tmp_path / "web.ready", ns=(0, second))
        found.append(watch.hung())
    assert found == [[], [], [], ["control"], [], [], ["control"], []]
    (tmp_path / "control.ready").unlink()       # it starts again: nobody judges before it says that it serves
    assert [watch.hung() for _ in range(8)].count(["control"]) == 0


def test_a_beat_touches_the_mark_and_survives_its_loss(tmp_path):
    mark = tmp_path / "web.ready"
    mark.touch()
    os.utime(mark, ns=(0, 0))
    Heart(mark).beat()
    assert mark.stat().st_mtime_ns > 0
    mark.unlink()
    Heart(mark).beat()
    assert not mark.exists()


@pytest.mark.parametrize("address, shown", [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::]")])
def test_the_ready_line_has_brackets_around_ipv6(tmp_path, address, shown):
    supervisor = Supervisor(tmp_path, tmp_path)
    supervisor.first_boot_password = "x1"
    supervisor.configuration = {"web": {"address": address, "port": 8443}, "sip": {"address": "127.0.0.1", "port": 5060},
                                "cti": {"address": address, "port": 5039}}
    match = READY.search(supervisor.ready_line())
    assert match.groups() == (f"https://{shown}:8443", "x1", "127.0.0.1", "5060", shown, "5039")
    url = urllib.parse.urlsplit(match[1])
    assert (url.hostname, url.port) == (address, 8443)


def test_the_first_password(tmp_path):
    path = tmp_path / "first-boot-password"
    made = first_boot.password(tmp_path)
    assert made and first_boot.password(tmp_path) == made == path.read_text().strip()
    assert path.stat().st_mode & 0o777 == 0o600
    for damage in (b"\xff\xfe", b"", b"\0\0\0"):
        path.write_bytes(damage)
        assert first_boot.password(tmp_path) not in (None, made)
    (tmp_path / "users.json").write_text("{}")
    path.write_bytes(b"\xff\xfe")
    assert first_boot.password(tmp_path) is None and path.read_bytes() == b"\xff\xfe"
