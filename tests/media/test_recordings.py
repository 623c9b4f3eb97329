"""Recordings: both legs, true at any moment, failing with a word."""

import os
import random
import shutil
import struct
import subprocess
import time

import pytest

from firmware.media.recorder import Recorder
from tests.conftest import WHOLE_ONLY


def parse(data):
    """A reader of its own: (format, channels, rate, octets of audio).  Fails on a false header."""
    assert data[:4] == b"RIFF" and data[8:16] == b"WAVEfmt "
    assert struct.unpack("<I", data[4:8])[0] <= len(data) - 8
    code, channels, rate, per_s, align, bits = struct.unpack("<HHIIHH", data[20:36])
    assert (per_s, align, bits) == (16000, 2, 8)
    at = 20 + struct.unpack("<I", data[16:20])[0]
    assert data[at:at + 4] == b"fact"
    samples = struct.unpack("<I", data[at + 8:at + 12])[0]
    at += 12
    assert data[at:at + 4] == b"data"
    length = struct.unpack("<I", data[at + 4:at + 8])[0]
    assert samples * 2 == length and at + 8 + length <= len(data)
    return code, channels, rate, data[at + 8:at + 8 + length]


def noise(seed, octets):
    rng = random.Random(seed)
    return bytes(rng.choice([o for o in range(256) if o != 0xD5]) for _ in range(octets))


def start(control, path, name="rec1"):
    control.do("add", id="l1", kind="timeslot", span=20, timeslot=1, law="A")
    control.do("add", id="l2", kind="timeslot", span=20, timeslot=2, law="A")
    control.do("bridge", id="b1", legs=["l1", "l2"])
    control.do("record", id=name, path=str(path), left="l1", right="l2")


def test_both_legs_are_recorded_octet_by_octet(board, control, media):
    path = media.folder / "recordings" / "one.wav"
    start(control, path)
    control.do("record", id="rec1", path=str(path), left="l1", right="l2")
    time.sleep(0.05)
    one, two = noise(1, 8000), noise(2, 8000)
    with board.lock:
        board.send[(20, 1)], board.send[(20, 2)] = one, two
    time.sleep(1.2)
    control.do("record_stop", id="rec1")
    event = control.event("record_closed", id="rec1")
    code, channels, rate, audio = parse(path.read_bytes())
    assert (code, channels, rate) == (6, 2, 8000)
    assert event["octets"] == len(audio) and event["duration_ms"] == len(audio) // 16
    assert path.stat().st_size == 58 + len(audio)
    assert one in audio[0::2] and two in audio[1::2]
    assert audio[0::2].index(one) == audio[1::2].index(two)
    control.do("record_stop", id="rec1")
    control.do("record", id="rec1", path=str(path), left="l1", right="l2")     # repeated after its end
    assert control.audit()["recordings"] == []


def test_a_leg_that_goes_leaves_silence(board, control, media):
    path = media.folder / "recordings" / "two.wav"
    start(control, path, "rec2")
    board.say(20, 1, b"\x33" * 80000)
    board.say(20, 2, b"\x44" * 80000)
    time.sleep(0.3)
    control.do("subtract", id="l2")
    time.sleep(0.3)
    control.do("record_stop", id="rec2")
    control.event("record_closed", id="rec2")
    audio = parse(path.read_bytes())[3]
    assert set(audio[-1600::2]) == {0x33} and set(audio[-1599::2]) == {0xD5}
    assert 0x44 in audio[1::2]
    board.say(20, 1, b"")
    board.say(20, 2, b"")


def test_an_existing_file_is_never_written_over(board, control, media):
    path = media.folder / "recordings" / "three.wav"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"the only copy")
    start(control, path, "rec3")
    event = control.event("record_failed", id="rec3")
    assert "exists" in event["error"]
    assert path.read_bytes() == b"the only copy"
    deadline = time.monotonic() + 2
    while control.audit()["recordings"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert control.audit()["recordings"] == []


def test_a_full_disk_is_told_and_the_call_goes_on(board, control, media):
    if not os.access("/dev/full", os.W_OK):
        return
    folder = media.folder / "nowhere"
    folder.write_bytes(b"")                       # a file where the folder should be
    start(control, folder / "four.wav", "rec4")
    event = control.event("record_failed", id="rec4")
    assert "four.wav" in event["error"]
    board.listen(20, 2)
    board.say(20, 1, b"\x55" * 800)
    time.sleep(0.2)
    assert b"\x55" * 400 in board.said(20, 2)


@pytest.fixture
def disk(tmp_path):
    """A disk of its own that can be made to stand still: a file system in a file."""
    image, folder = tmp_path / "disk.image", tmp_path / "disk"
    image.write_bytes(b"")
    os.truncate(image, 32 << 20)
    folder.mkdir()
    for command in (["mkfs.ext4", "-q", "-F", image], ["mount", "-o", "loop", image, folder]):
        if shutil.which(command[0]) is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip(f"no disk in a file: {command[0]} is missing or not allowed here")
    yield folder
    subprocess.run(["fsfreeze", "-u", folder], capture_output=True)
    subprocess.run(["umount", "-l", folder], check=True)


@WHOLE_ONLY
def test_a_disk_that_stands_still_for_two_seconds_loses_nothing(board, control, media, disk):
    path = disk / "slow.wav"
    start(control, path, "slow")
    time.sleep(0.6)
    said = noise(7, 28000)
    board.listen(20, 2)
    board.say(20, 1, said)
    subprocess.run(["fsfreeze", "-f", disk], check=True)
    size, began = path.stat().st_size, time.monotonic()
    while time.monotonic() < began + 2.2:
        time.sleep(0.1)
        assert control.do("stats")["terminations"] == 2         # commands are answered meanwhile
    assert path.stat().st_size == size, "the disk did not stand still"
    assert said[4000:12000] in board.said(20, 2)
    subprocess.run(["fsfreeze", "-u", disk], check=True)
    time.sleep(max(0, began + 3.8 - time.monotonic()))
    control.do("record_stop", id="slow")
    event = control.event("record_closed", 30, id="slow")
    audio = parse(path.read_bytes())[3]
    assert event["octets"] == len(audio)
    assert said in audio[0::2]


def test_after_kill_9_the_file_is_playable_to_the_last_second(tmp_path, tools):
    board = tools.Board(tmp_path).start()
    media = tools.Media(tmp_path, ports="31000-31099")
    control = tools.Control(tmp_path)
    path = tmp_path / "killed.wav"
    start(control, path)
    began = time.monotonic()
    board.say(20, 1, b"\x66" * 80000)
    time.sleep(2.2)
    took = time.monotonic() - began
    media.kill()
    audio = parse(path.read_bytes())[3]
    assert took - 1.0 <= len(audio) / 16000 <= took + 0.1
    assert b"\x66" * 4000 in audio[0::2]
    # What the board sends once media is dead is idle code, not the ring again.
    time.sleep(0.05)
    written, head = int(board.u64[0x080 // 8]), int(board.u64[0x048 // 8])
    assert head >= written
    # Back again: nothing stands, the generation tells.
    first = control.greeting
    media.start()
    control = tools.Control(tmp_path)
    assert control.greeting["boot_id"] != first["boot_id"]
    deadline = time.monotonic() + 3
    while not control.do("stats")["board"]["present"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert control.do("hello")["generation"] == first["generation"] + 1
    assert control.audit().get("terminations") == []
    start(control, tmp_path / "again.wav")
    board.listen(20, 2)
    board.say(20, 1, b"\x77" * 8000)
    time.sleep(0.3)
    assert b"\x77" * 800 in board.said(20, 2)
    assert media.close() == 0
    assert len(parse((tmp_path / "again.wav").read_bytes())[3]) > 3000      # SIGTERM closes what runs
    board.close()


def test_a_disk_that_takes_not_even_the_header_leaves_no_empty_file(tmp_path):
    """The disk is full: the file could be made, nothing written."""
    told = []

    class Engine:
        def record_open(self, index, fd, *form): pass
        def record(self, *args): pass
        def record_stop(self, *args): pass
        def record_file(self, *args): pass
        def record_fail(self, *args): pass
        def record_free(self, index): pass
        def record_drain(self, indexes, last=0): return []
        def record_state(self, index): return 0, 0, 0, 0, 0

        def record_header(self, index):
            raise OSError(28, "No space left on device")
    recorder = Recorder(Engine(), lambda: told.append(1))
    recorder.record("r", str(tmp_path / "full.wav"), "a", "b", 1, 2)
    recorder._work()
    recorder.stopped(recorder.running["r"].index, recorder.running["r"].serial)
    recorder._work()
    assert [kind for kind, _ in recorder.results()] == ["record_failed"] and list(tmp_path.iterdir()) == []
