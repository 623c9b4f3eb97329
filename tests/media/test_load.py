"""The load of media's benchmarks: what its peers say is speech, however many they are."""

import socket
import threading

import numpy

from firmware.media import _load

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
