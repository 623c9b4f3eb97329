"""The load of media's benchmarks: what its peers say is speech, however many they are; its world may be slow; nothing outlives it."""

import os
import socket
import subprocess
import sys
import threading
import time

import numpy
import pytest

from firmware.media import _load, bench, bench_far

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


def test_far_ends_with_a_network_of_their_own_receive_in_their_own_time():
    """On loopback the sender does the receiver's work; here threads of the far ends' kernel do it, and nothing is left of the network."""
    network = bench_far.Network.made()
    if network is None:
        pytest.skip("no network namespaces are granted here; then the bench is on loopback")

    def bound(address):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((address, 0))
        sock.settimeout(10)
        return sock
    far = network.at_far_ends(lambda: bound("0.0.0.0"))
    ours = bench_far.in_thread(lambda: (network.enter_ours(), bound(network.address))[1])
    with far, ours:
        first = socket.inet_ntoa(network.far_first.to_bytes(4, "big"))
        ours.sendto(b"out", (first, far.getsockname()[1]))
        octets, source = far.recvfrom(64)
        assert (octets, source) == (b"out", ours.getsockname())
        far.sendto(b"back", source)
        assert ours.recv(64) == b"back"
        before = network.receiving_ns()
        for _ in range(200):
            ours.sendto(b"out", (first, far.getsockname()[1]))
        for _ in range(200):
            far.recv(64)
        deadline = time.monotonic() + 10
        while network.receiving_ns()[1] <= before[1] + 10_000:
            assert time.monotonic() < deadline, "nobody's time for 200 packets"
            time.sleep(0.02)
    with open("/proc/net/dev", encoding="ascii") as file:
        assert not any(device in file.read() for device in network.devices), "seen outside"
    network.close()
    deadline = time.monotonic() + 30
    while network.receiving_ns() != (0, 0):
        assert time.monotonic() < deadline, "its threads are still there"
        time.sleep(0.1)
