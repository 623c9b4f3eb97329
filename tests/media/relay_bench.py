"""What others need for their part of the same job, in the same run of `make bench`: Debian's rtpengine relays 2,000 streams in user space
(GPL, a process of its own), under the same load on the same processor as firmware/media/bench_rtp.py puts upon media.

Our own tick for as many streams is compared with it (sip.streams_2000.cores); rtpengine has no kernel module here, as media has none, and runs at
media's priority.  Where it loses much it has not done the job, and its figure is too small: that is a row, too.
"""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from firmware.media import _load, bench
from hil.ports import UDP, free_block
from hil.rig import die_with_us

CALLS, SETTLE_S, MEASURE_S = 1000, 3, 8
TICKS = os.sysconf("SC_CLK_TCK")
SAID = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"


def bencoded(value):
    """A value as rtpengine's control protocol has it."""
    if isinstance(value, str):
        return b"%d:%s" % (len(value.encode()), value.encode())
    if isinstance(value, list):
        return b"l" + b"".join(map(bencoded, value)) + b"e"
    return b"d" + b"".join(bencoded(key) + bencoded(value[key]) for key in value) + b"e"


def _as_media():
    """In the new process: what media's process has, as far as we may."""
    die_with_us()
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


class Engine:
    """rtpengine in a folder."""

    def __init__(self, folder):
        self.control = free_block({UDP: (0,)})
        self.log = open(pathlib.Path(folder) / "rtpengine.log", "wb")
        self.process = subprocess.Popen(
            [shutil.which("rtpengine"), "--table=-1", "--interface=127.0.0.1", "--listen-ng=127.0.0.1:%d" % self.control, "--foreground", "--log-stderr",
             "--log-level=3", "--port-min=50000", "--port-max=59998", "--num-threads=1", "--timeout=600", "--delete-delay=0"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, preexec_fn=_as_media)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.settimeout(0.5)
        self.number, end = 0, time.monotonic() + 15
        while b"pong" not in (self.ask({"command": "ping"}) or b""):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("rtpengine did not come up; its log: %s" % pathlib.Path(self.log.name).read_text()[-500:])
            time.sleep(0.1)

    def ask(self, order):
        """One order; its answer, or None."""
        self.number += 1
        self.sock.sendto(b"c%d " % self.number + bencoded(order), ("127.0.0.1", self.control))
        try:
            return self.sock.recv(65536)
        except OSError:
            return None

    def call(self, number, ports):
        """Set one call up between two far ends' ports.  Returns rtpengine's ports that face them, in their order."""
        common = {"call-id": "bench-%d" % number, "from-tag": "a%d" % number, "ICE": "remove"}
        faces = []
        for command, port, more in (("offer", ports[0], {}), ("answer", ports[1], {"to-tag": "b%d" % number})):
            answer = self.ask({"command": command, **common, **more, "sdp": SAID % port})
            if answer is None or b"m=audio " not in answer:
                raise RuntimeError("rtpengine refuses a call: %r" % (answer or b"")[:300])
            faces.append(int(answer.split(b"m=audio ")[1].split(b" ")[0]))
        return faces[1], faces[0]

    def cpu_s(self):
        """Processor seconds so far."""
        fields = pathlib.Path("/proc/%d/stat" % self.process.pid).read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def close(self):
        """End it."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.sock.close()
        self.log.close()


def measure(folder, calls=CALLS):
    """{"cores", "lost", "packets_a_second"} of so many relayed calls, two streams both ways each."""
    engine, sockets, addresses = Engine(folder), [], []
    octets, _ = bench.speech()
    try:
        for number in range(calls):
            pair = [bench._peer() for _ in range(2)]
            faces = engine.call(number, [sock.getsockname()[1] for sock in pair])
            sockets += pair
            addresses += [(0x7F000001, port) for port in faces]
        load = _load.Load(None, sockets, addresses, octets)
        thread = threading.Thread(target=load.run)
        thread.start()
        processors = sorted(os.sched_getaffinity(0))
        bench._pin(engine.process.pid, processors[0])
        os.sched_setaffinity(thread.native_id, {processors[-1]})
        try:
            os.sched_setscheduler(thread.native_id, os.SCHED_FIFO, os.sched_param(40))
        except OSError:
            pass                        # the load may come late then
        try:
            time.sleep(SETTLE_S)
            used, began, sent, received = engine.cpu_s(), time.monotonic(), load.sent, load.received
            time.sleep(MEASURE_S)
            took = time.monotonic() - began
            return {"cores": (engine.cpu_s() - used) / took, "lost": (load.sent - sent) - (load.received - received), "packets_a_second": (load.sent - sent) / took}
        finally:
            load.stop()
            thread.join()
    finally:
        engine.close()
        for sock in sockets:
            sock.close()


def results():
    """Rows for build/bench.json."""
    if not shutil.which("rtpengine"):
        raise RuntimeError("rtpengine is not installed (Debian: rtpengine-daemon); make setup-test installs it")
    with tempfile.TemporaryDirectory() as folder:
        found = measure(folder)
    lost = 100 * found["lost"] / (found["packets_a_second"] * MEASURE_S)
    return [{"name": "sip.rtpengine_streams_2000.cores", "value": round(found["cores"], 4), "unit": "cores", "reference": "Debian's rtpengine 10.5 in user space"},
            {"name": "sip.rtpengine_streams_2000.lost_percent", "value": round(lost, 2), "unit": "%", "reference": "ours: sip.streams_2000.lost_percent"}]


if __name__ == "__main__":
    print(json.dumps(results(), indent=1))
