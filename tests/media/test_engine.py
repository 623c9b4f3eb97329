"""The engine without its process: disk trouble, the window's comings and goings."""

import contextlib
import os
import pathlib
import re
import select
import threading
import time

import pytest

from firmware.media import _engine, formats
from firmware.media.board import BoardFollower
from firmware.media.kernels import Kernels


class Later:
    """Stands for the table: what waits for the tick."""

    def __init__(self, engine):
        self.engine, self.waiting = engine, []

    def later(self, function):
        self.waiting.append((self.engine.commit(), function))


@pytest.fixture
def running():
    """An engine whose tick runs."""
    engine = _engine.Engine(Kernels())
    thread = threading.Thread(target=engine.run, daemon=True)
    thread.start()
    yield engine
    engine.stop()
    thread.join(2)
    assert not thread.is_alive()


def until(condition, seconds=3.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def attach(engine, board):
    follower = BoardFollower(engine, str(board.path))
    follower.follow(Later(engine))
    until(lambda: engine.figures()["ticks_with_board"] > 2)
    return follower


FORMS = [formats.form(name, channels) for name in formats.NAMES for channels in ("stereo", "mono")
         if channels == "mono" or name in ("alaw", "ulaw", "pcm16", "ima")]


def test_a_disk_that_stands_still_for_two_seconds_loses_nothing(running, tools, tmp_path):
    """In each form of file."""
    board = tools.Board(tmp_path).start()
    attach(running, board)
    running.add_timeslot(0, 1, 5, 0)
    for index, form in enumerate(FORMS):
        running.record_open(index, -1, _engine.RECORD_FORMS[form.kind], form.channels, form.bits, form.header, form.fact_at)
        running.record(index, 77 + index, 0, -1)
    running.commit()
    octets = bytes(range(1, 201)) * 90
    board.say(1, 5, octets)
    time.sleep(2.4)
    files = [os.open(tmp_path / f"slow{index}", os.O_RDWR | os.O_CREAT) for index in range(len(FORMS))]
    for index, fd in enumerate(files):
        running.record_file(index, fd)
        running.record_header(index)
    assert running.record_drain(list(range(len(FORMS)))) == []
    for index in range(len(FORMS)):
        running.record_stop(index, 77 + index)
    running.commit()
    stopped = []
    until(lambda: stopped.extend(e for e in running.events() if e[0] == "record_stopped") or len(stopped) == len(FORMS))
    assert running.record_drain(list(range(len(FORMS))), 1) == []
    for index, form in enumerate(FORMS):
        head, tail, lost, size, frames = running.record_state(index)
        assert head == tail and lost == 0 and frames == head // 2 and frames > 8000 * 2
        assert os.fstat(files[index]).st_size == len(form.header) + size
        assert abs(size / form.octets(1) - frames / 8000) < 0.1, form.name
    audio = (tmp_path / "slow0").read_bytes()[58:]
    assert octets in audio[0::2]
    assert set(audio[1::2]) == {0xD5}
    for fd in files:
        os.close(fd)
    board.close()


def record_alaw(engine, indexes, fd):
    """Recordings of silence into a file of no header."""
    for index in indexes:
        engine.record_open(index, fd)
        engine.record(index, 1 + index, -1, -1)
    engine.commit()


def end_recordings(engine, indexes):
    for index in indexes:
        engine.record_stop(index, 1 + index)
    engine.commit()
    stopped = []
    until(lambda: stopped.extend(e for e in engine.events() if e[0] == "record_stopped") or len(stopped) == len(indexes))
    assert engine.record_drain(indexes, 1) == []
    for index in indexes:
        engine.record_free(index)


def turn(engine):
    """What the command thread does when the tick wakes it."""
    select.select([engine.event_fd], [], [], 0.25)
    with contextlib.suppress(BlockingIOError):
        os.eventfd_read(engine.event_fd)
    return engine.record_memory()


def test_recordings_share_memory_and_hold_what_the_disk_has_not_yet(running):
    """With a disk that keeps up a recording costs a few kB; with one that stands still it may have 4 s, what does not fit is counted; it all comes back."""
    reel, most = 2 << 20, 65536
    fd, many, others = os.open("/dev/null", os.O_WRONLY), list(range(64)), list(range(64, 128))
    record_alaw(running, many, fd)
    for _ in range(20):
        turn(running)
        assert running.record_drain(many) == []
    held = max(running.record_state(index)[0] - running.record_state(index)[1] for index in many)
    assert running.record_memory() <= reel or held > 8000, "of 64 recordings, which could hold 4 MB"
    until(lambda: turn(running) and all(running.record_state(index)[2] for index in many), 8)
    for index in many:
        head, tail, lost, *_ = running.record_state(index)
        assert most - 160 < head - tail <= most and lost % 160 == 0
    assert len(many) * most < running.record_memory() <= len(many) * most * 1.2 + reel
    assert running.record_drain(many) == []
    until(lambda: turn(running) and all(0 < running.record_state(index)[0] - running.record_state(index)[1] for index in many))      # they go on
    made = running.record_memory()
    end_recordings(running, many)
    record_alaw(running, others, fd)            # the same memory serves others
    until(lambda: turn(running) and all(running.record_state(index)[0] > 8000 for index in others))
    end_recordings(running, others)
    assert running.record_memory() == made
    os.close(fd)


def test_a_full_disk_is_told_once_and_the_tick_goes_on(running):
    fd = os.open("/dev/full", os.O_WRONLY)
    running.record_open(1, fd)
    running.record(1, 5, -1, -1)
    running.commit()
    until(lambda: running.record_state(1)[0] > 0)
    ((index, error),) = running.record_drain([1])
    assert index == 1 and os.strerror(error).startswith("No space")
    time.sleep(0.05)
    assert running.record_drain([1]) == []
    head, tail, lost, *_ = running.record_state(1)
    assert lost == 0 and head - tail < 3200
    os.close(fd)


def test_a_board_that_starts_anew_is_followed(running, tools, tmp_path):
    board = tools.Board(tmp_path).start()
    follower = attach(running, board)
    assert follower.present
    running.add_timeslot(0, 1, 1, 0)
    running.add_timeslot(1, 2, 2, 0)
    running.set_bridge(0, [0, 1])
    running.commit()
    board.close()
    until(lambda: [e for e in running.events() if e[0] == "board" and e[3] == 0])
    ticks = running.figures()["ticks_without_board"]
    time.sleep(0.1)
    assert running.figures()["ticks_without_board"] >= ticks + 5        # RTP and recordings go on
    # The emulator comes back on the same file: heads from 0, next generation.
    again = tools.Board.__new__(tools.Board)
    again.__dict__.update(board.__dict__)
    again._end = threading.Event()
    for offset in (0x040, 0x048, 0x080):
        again.u64[offset // 8] = 0
    again.u32[0x034 // 4] += 1
    again.start()
    until(lambda: [e for e in running.events() if e[0] == "board" and e[3] == 1 and e[4] == 2])
    again.listen(1, 2)
    again.say(1, 1, b"\x17" * 1600)
    until(lambda: b"\x17" * 80 in again.said(1, 2))
    # tx_head jumps: the frames that the board takes next are written, not others.
    with again.lock:
        again.u64[0x048 // 8] += 8000
    again.listen(1, 2)
    again.say(1, 1, b"\x18" * 1600)
    until(lambda: b"\x18" * 80 in again.said(1, 2))
    again.close()


def test_a_window_that_was_replaced_is_mapped_again(running, tools, tmp_path):
    board = tools.Board(tmp_path).start()
    follower = attach(running, board)
    later = Later(running)
    board.u32[0] = 0                                                    # the board leaves
    board.close()
    follower._looked = 0
    follower.follow(later)
    assert not follower.present and later.waiting
    number, release = later.waiting.pop()
    until(lambda: running.done() >= number)
    release()
    del release
    os.unlink(board.path)
    new = tools.Board(tmp_path).start()
    follower._looked = 0
    follower.follow(later)
    assert follower.present
    before = running.figures()["ticks_with_board"]
    until(lambda: running.figures()["ticks_with_board"] > before + 3)
    new.close()


def test_figures_tell_late_ticks(running, tools, tmp_path):
    board = tools.Board(tmp_path)
    board.start()
    attach(running, board)
    for _ in range(3):
        with board.lock:                                                # two blocks at once: we came late
            head = int(board.u64[0x040 // 8])
            board.u64[0x048 // 8] += 160
            board.u64[0x040 // 8] = head + 160
        time.sleep(0.05)
    figures = running.figures()
    assert figures["late_ticks"] >= 3 and figures["blocks_lost"] == 0
    with board.lock:
        board.u64[0x048 // 8] += 80 * 500
        board.u64[0x040 // 8] += 80 * 500
    until(lambda: running.figures()["blocks_lost"] >= 490)
    assert sum(figures["histogram"]) > 0
    board.close()


def test_commands_and_events_have_numbers_of_their_own():
    """Two rooms took one number once, and a pause of a recording ended the process."""
    text = (pathlib.Path(_engine.__file__).parent / "native/types.pxi").read_text()
    for prefix in ("OP", "EV"):
        numbers = re.findall(rf"^    {prefix}_\w+ = (\d+)", text, re.M)
        assert len(numbers) > 10 and len(set(numbers)) == len(numbers), sorted(n for n in numbers if numbers.count(n) > 1)
