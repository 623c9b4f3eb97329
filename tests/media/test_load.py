"""The load of media's benchmarks: what its peers say is speech, however many they are; its world may be slow; nothing outlives it."""

import os
import socket
import subprocess
import sys
import threading
import time

import numpy

from firmware.media import _load, bench

PEERS = 4000                # beyond 1,694 a peer's place in the speech once left 32 bits


def test_each_of_many_peers_says_speech():
    speech = numpy.random.default_rng(8).integers(0, 256, 16000, dtype=numpy.uint8)
    said = speech.tobytes()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        heard.bind(("127.0.0.1", 0))
        heard.settimeout(30)
        load = _load.Load(None, [sock] * PEERS, [(0x7F000001, heard.getsockname()[1])] * PEERS, speech)
        thread = threading.Thread(target=load.run)
        thread.start()
        peers = set()
        while len(peers) < 100 or max(peers) < 1695:
            packet = heard.recv(2048)
            peers.add(int.from_bytes(packet[8:12], "big"))
            assert packet[12:] in said
        load.stop()
        thread.join()


def test_a_slow_world_hands_over_its_blocks_slowly_and_is_still_meanwhile(tmp_path):
    """At pace 5 a block each 50 ms, and packets 25 ms after the heads have moved: until then the tick has the processors to itself.

    Where the host keeps this thread or that one from its processor the gap says nothing; one that is not still never shows this one."""
    speech = numpy.random.default_rng(8).integers(0, 256, 16000, dtype=numpy.uint8)
    window = bench.Window(tmp_path / "window", speech)
    head = window.memory[0x040:0x048].view("<u8")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.bind(("127.0.0.1", 0))
        heard.setblocking(False)
        load = _load.Load(window, [sock], [(0x7F000001, heard.getsockname()[1])], speech)
        load.pace = 5
        thread = threading.Thread(target=load.run)
        began = time.monotonic()
        thread.start()
        moved, gaps, before = began, [], int(head[0])
        while sum(0.02 < gap < 0.03 for gap in gaps) < 5 and time.monotonic() < began + 30:
            if int(head[0]) != before:
                moved, before = time.monotonic(), int(head[0])
            try:
                heard.recv(2048)
                gaps.append(time.monotonic() - moved)
            except BlockingIOError:
                pass
        took = time.monotonic() - began
        load.stop()
        thread.join()
    assert sum(0.02 < gap < 0.03 for gap in gaps) == 5, gaps
    assert before // 80 <= took / 0.05 + 1, "blocks in that time"


def test_a_process_of_a_bench_dies_with_it(tmp_path):
    """kill -9 of the bench: its media process would send RTP into the next one's ports."""
    script = ("import subprocess, sys, time\n"
              "from firmware.media.threads import die_with_parent\n"
              "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], preexec_fn=die_with_parent)\n"
              "print(child.pid, flush=True)\n"
              "time.sleep(600)\n")
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=bench.ROOT, stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    assert os.path.exists(f"/proc/{child}/exe")
    parent.kill()
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 30
    while runs(child):
        assert time.monotonic() < end, "it lives on"
        time.sleep(0.01)


def runs(pid):
    """Whether a process still runs; one that nobody has waited for yet does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
