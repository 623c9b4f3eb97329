"""The emulated board from outside: window on one side, line sockets on the other."""

import hashlib
import importlib.util
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy
import pytest

from drivers.framer import base, falc
from drivers.tdm import ring
from firmware.errors import DriverError
from hil import line as far
from hil.board import _emulator

_spec = importlib.util.spec_from_file_location("board_rig", pathlib.Path(__file__).with_name("board_rig.py"))
rig = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(rig)

IDLE = 0xD5


@pytest.fixture
def board(tmp_path):
    board = rig.Board(tmp_path)
    yield board
    board.stop()


def random_source(seed):
    """Payload n of a repeatable random signal."""
    def source(n):
        return numpy.random.default_rng((seed, n)).integers(0, 256, (80, 32), dtype=numpy.uint8)
    return source


def test_the_two_layout_tables_are_one():
    assert _emulator.layout() == [row[:3] for row in ring.HEADER]


def lateness(board):
    """Frames and blocks that came late so far on span 5."""
    status = board.ask(do="status", span=5)
    return status["lines"][0]["late"] + status["board"]["late_media_frames"]


def test_loop_through_media_is_20_ms_and_loses_no_sample(board):
    for attempt in range(3):  # a host that stalls us for 10 ms makes late blocks: the board counts them
        window = ring.Window(board.window_path)
        source, came = random_source(attempt), {}
        media = rig.LoopMedia(window)
        media.start()
        peer = rig.Peer(board.line(5), source, lambda n, frames: came.__setitem__(n, frames))
        peer.start()
        time.sleep(0.1)
        before, first = lateness(board), peer.blocks
        time.sleep(3.0)
        late, last = lateness(board) - before, peer.blocks
        peer.stop()
        media.stop()
        board.stop()
        if not late:
            break
        board.__init__(board.run_dir)
    assert late == 0, "the host stalled the test three times"
    assert last - first > 250
    for n in range(first, last):
        assert (came[n][:, 1:] == source(n - 2)[:, 1:]).all(), n  # block n answers what we sent 20 ms before
    assert peer.checker.fas_errors == 0


def test_dead_media_gives_idle_code_not_an_old_ring(board):
    window = ring.Window(board.window_path)
    media = rig.LoopMedia(window)
    media.start()
    peer = rig.Peer(board.line(1), random_source(1))
    peer.start()
    time.sleep(0.3)
    assert not (numpy.frombuffer(peer.received, numpy.uint8).reshape(80, 32)[:, 1:] == IDLE).all()
    media.stop()
    time.sleep(0.4)  # longer than the ring: an old ring would come round
    for _ in range(20):
        frames = numpy.frombuffer(peer.received, numpy.uint8).reshape(80, 32)
        assert (frames[:, 1:] == IDLE).all()
        time.sleep(0.02)
    assert board.status(1)["alarms"] == []
    assert window.get("late_media_frames") > 0
    again = rig.LoopMedia(window)
    again.start()
    time.sleep(0.3)
    frames = numpy.frombuffer(peer.received, numpy.uint8).reshape(80, 32)
    assert not (frames[:, 1:] == IDLE).all()
    again.stop()
    peer.stop()


def test_alarms_both_ways(board):
    assert board.status(7)["alarms"] == ["los", "lfa"]
    peer = rig.Peer(board.line(7))
    peer.start()
    board.wait(7, lambda s: s["alarms"] == [])
    peer.replace = b"\xff" * far.BLOCK_OCTETS
    board.wait(7, lambda s: s["alarms"] == ["ais", "lfa"])
    time.sleep(0.05)
    assert peer.checker.rai
    peer.replace = bytes(far.BLOCK_OCTETS)
    board.wait(7, lambda s: s["alarms"] == ["los", "lfa"])
    peer.replace = None
    peer.framer.rai = True
    board.wait(7, lambda s: s["alarms"] == ["rai"])
    time.sleep(0.05)
    assert not peer.checker.rai
    peer.stop()
    board.wait(7, lambda s: s["alarms"] == ["los", "lfa"] and not s["connected"])


def test_injected_faults(board):
    peer = rig.Peer(board.line(2), crc4=False)
    peer.start()
    board.wait(2, lambda s: s["alarms"] == [])
    board.ask(do="inject", span=2, fault="rx_ais")
    board.wait(2, lambda s: s["alarms"] == ["ais", "lfa"])
    board.ask(do="inject", span=2, fault="rx_ais", on=False)
    board.wait(2, lambda s: s["alarms"] == [])
    board.ask(do="inject", span=2, fault="unplug")
    board.wait(2, lambda s: s["alarms"] == ["los", "lfa"])
    time.sleep(0.05)
    assert peer.received == bytes(far.BLOCK_OCTETS)
    board.ask(do="inject", span=2, fault="unplug", on=False)
    board.ask(do="inject", span=2, fault="rx_rai")
    board.wait(2, lambda s: s["alarms"] == ["rai"])
    for request in ({"do": "inject", "span": 65, "fault": "rx_los"}, {"do": "inject", "span": 1, "fault": "x"},
                    {"do": "x"}, {}, {"do": "inject", "span": 1}):
        answer = board.ask(**request)
        assert answer["ok"] is False and answer["error"]
    peer.stop()


def test_a_peer_is_killed_and_comes_back_and_a_second_is_refused(board):
    code = ("import sys; from hil.line import *; c = LineClient(sys.argv[1]); f = E1Framer()\n"
            "while True: c.receive(); c.send(f.block())")
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", code, board.line(3)], cwd=rig.ROOT)
        board.wait(3, lambda s: s["alarms"] == [])
        second = far.LineClient(board.line(3))
        with pytest.raises(ConnectionError):
            second.receive()
        second.close()
        process.kill()
        process.wait()
        board.wait(3, lambda s: not s["connected"] and s["alarms"] == ["los", "lfa"])
    assert board.status(3)["connections"] == 2


def test_late_answers_are_counted_and_do_not_shift_the_samples(board):
    window = ring.Window(board.window_path)
    source = random_source(9)
    media = rig.LoopMedia(window)
    media.start()
    came = {}
    peer = rig.Peer(board.line(4), source, lambda n, frames: came.__setitem__(n, frames))
    step = peer.step

    def stalling():
        if peer.blocks == 60:
            time.sleep(0.08)         # 8 blocks of wall time; the board stands still for as long as its host does
        step()
    peer.step = stalling
    peer.start()
    time.sleep(1.5)
    peer.stop()
    media.stop()
    late = board.status(4)["late"]
    assert late >= 3
    same = sum(came[n] is not None and (came[n][:, 1:] == source(n - 2)[:, 1:]).all() for n in range(100, 130))
    assert same >= 25


def test_a_peer_that_does_not_read_or_sends_rubbish_hurts_nobody(board):
    quiet = far.LineClient(board.line(10))
    rubbish = far.LineClient(board.line(11))
    good = rig.Peer(board.line(12))
    good.start()
    for n in range(100):
        rubbish.receive()
        rubbish.send(b"x" * (n * 31 + 1))
    board.wait(10, lambda s: s["not_taken"] > 0, 10)
    assert board.status(11)["wrong_length"] > 80
    status = board.status(12)
    assert status["alarms"] == []
    good.stop()
    quiet.close()
    rubbish.close()


def test_registers_through_the_request_ring(board):
    window = ring.Window(board.window_path)
    requests = ring.RequestRing(window)
    with pytest.raises(DriverError):
        requests.read(1, 0x4C)                 # not taken yet
    window.request[:5] = (ring.ASKED, ring.WRITE, 0x1D, 0x01)  # left by a dead owner
    window.set("control_owner", 1)
    requests.take()
    assert requests.read(1, 0x4A) == 0x05
    assert requests.read(64, 0x4C) == 0xA0
    requests.write(2, 0x20, 0xBF)
    assert requests.read(2, 0x20) == 0xBF
    assert requests.read(3, 0x20) == 0x9F
    results = requests.batch([(ring.WRITE, 4, 0x1E, n & 0xFF) if n % 2 else (ring.READ, 4, 0x1E, 0) for n in range(600)])
    assert results[598] == 597 & 0xFF
    with pytest.raises(DriverError, match="span 65"):
        requests.read(65, 0x4C)
    with pytest.raises(DriverError, match="read of register F0"):
        requests.read(1, 0xF0)
    newer = ring.RequestRing(window, owner=999999)
    newer.take()
    with pytest.raises(DriverError, match="replaced"):
        requests.read(1, 0x4A)
    assert newer.read(1, 0x4A) == 0x05


def test_the_falc_driver_on_the_live_board(board):
    requests = ring.RequestRing(ring.Window(board.window_path))
    requests.take()
    driver = falc.FALC(requests, 9)
    assert driver.identify()["chip"] == "FALC"
    driver.configure({"type": "e1", "crc4": True})
    assert driver.status().items() >= {"alarms": ["los"], "in_service": False, "transmit": "open"}.items()
    peer = rig.Peer(board.line(9), crc4=True)
    peer.start()
    board.wait(9, lambda s: s["alarms"] == [])
    assert driver.status().items() >= {"alarms": [], "in_service": True, "level_db": 0.0, "transmit": "ok"}.items()
    before = board.status(9)["crc_errors"]
    board.ask(do="inject", span=9, fault="rx_crc", count=7)
    board.wait(9, lambda s: s["crc_errors"] == before + 7)
    driver.force(rai=True)
    time.sleep(0.1)
    framers = [falc.FALC(requests, span) for span in range(1, 65)]
    states = base.status_of_all(requests, framers)
    assert [n + 1 for n, state in enumerate(states) if state["in_service"]] == [9]
    assert all(counters["fas_errors"] == 0 for counters in base.counters_of_all(requests, framers))
    assert peer.checker.rai and peer.checker.crc_errors == 0 and peer.checker.crc_checked > 0
    peer.stop()


def test_the_example_of_the_readme_works(board):
    text = (pathlib.Path(rig.ROOT) / "hil" / "README.md").read_text(encoding="utf-8")
    code = text.split("```python\n")[1].split("```")[0].replace("/tmp/run/lines/1.sock", board.line(1))
    process = subprocess.Popen([sys.executable, "-c", code])
    board.wait(1, lambda s: s["alarms"] == [])
    process.kill()
    process.wait()


def test_cas_bits_through_the_window(board):
    window = ring.Window(board.window_path)
    requests = ring.RequestRing(window)
    requests.take()
    requests.write(6, 0x21, 0x44)              # XSP.CASEN
    media = rig.LoopMedia(window)
    media.start()
    peer = rig.Peer(board.line(6), cas=True)
    peer.framer.cas_bits[:] = [9] * 32
    peer.start()
    window.cas_tx[5, 1:] = 0x5
    time.sleep(0.3)
    assert (window.cas_rx[5, 1:16] == 9).all() and (window.cas_rx[5, 17:] == 9).all()
    assert (peer.checker.cas_bits[1:16] == 5).all() and not peer.checker.cas_alarm
    media.stop()
    time.sleep(0.3)
    assert (peer.checker.cas_bits[1:16] == 0xD).all()  # media is dead: the trunks are blocked
    peer.stop()


def test_stop_and_restart(tmp_path):
    board = rig.Board(tmp_path, 2)
    second = subprocess.run([sys.executable, "-m", "hil.board", "--run", str(tmp_path)], cwd=rig.ROOT,
                            capture_output=True, text=True, timeout=20)
    assert second.returncode == 1 and "another board emulator" in second.stderr and second.stderr.count("\n") == 1
    window = ring.Window(board.window_path)
    generation = window.get("generation")
    assert board.stop(signal.SIGKILL) == -signal.SIGKILL
    board = rig.Board(tmp_path, 2)
    assert window.present() and window.get("generation") == generation + 1  # same memory, new life
    assert board.stop() == 0
    assert not window.present()
    assert not os.path.lexists(board.window_path)
    assert [f.name for f in pathlib.Path(tmp_path).rglob("*.sock")] == []
    with pytest.raises(DriverError, match="start the board"):
        ring.Window(board.window_path)


def test_a_directory_that_cannot_be_used_is_told_in_one_sentence(tmp_path):
    for place in (tmp_path / ("x" * 120), "/proc/none"):
        done = subprocess.run([sys.executable, "-m", "hil.board", "--run", str(place)], cwd=rig.ROOT,
                              capture_output=True, text=True, timeout=20)
        assert done.returncode == 1 and done.stderr.startswith("board: cannot") and done.stderr.count("\n") == 1
        name = "strowger-board-" + hashlib.sha256(os.path.realpath(place).encode()).hexdigest()[:16]
        assert not os.path.exists(os.path.join("/dev/shm", name))


def test_a_silent_peer_does_not_slow_the_time(board):
    peer = far.LineClient(board.line(1))
    time.sleep(0.5)                            # it is given up by then
    first, began = board.ask(do="status")["board"], time.monotonic()
    time.sleep(2)
    last, ended = board.ask(do="status")["board"], time.monotonic()
    ticks = last["ticks"] - first["ticks"] + (last["behind_ms"] - first["behind_ms"]) / 10
    assert abs(ticks - 100 * (ended - began)) <= 2
    peer.close()


def test_after_a_gap_blocks_come_a_little_faster_and_never_bunched(board):
    peer = far.LineClient(board.line(1))
    framer, times = far.E1Framer(), []
    for n in range(40):
        peer.receive()
        times.append(time.monotonic())
        peer.send(framer.block())
        if n == 20:
            board.process.send_signal(signal.SIGSTOP)
            time.sleep(0.1)
            board.process.send_signal(signal.SIGCONT)
    assert board.ask(do="status")["board"]["moved_time_base"] >= 1
    assert times[22] - times[21] > 0.005
    assert times[-1] - times[22] > 17 * 0.0055     # 17 blocks at 6 ms: no bunch after the gap
    assert times[-1] - times[22] < 17 * 0.0099     # and it does make up for the gap
    peer.close()
