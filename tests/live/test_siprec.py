"""SIPREC: a recorder scripted in sipp is fed with a real conversation; the sound is measured, the metadata read by an XML library; recorder and control die."""

import re
import socket
import subprocess
import threading
import time
import xml.etree.ElementTree

import numpy
import pytest

from hil.ports import UDP, free_block
from hil.probes import align, wav
from hil.rig import CHECKOUT
from tests.conftest import WHOLE_ONLY

pytestmark = pytest.mark.live

SPACE = "{urn:ietf:params:xml:ns:recording:1}"


class Recorder:
    """sipp as session recording server, and the sockets of its two streams."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder, self.process, self.count = folder, None, 0
        self.sip = free_block({UDP: (0,)}, "127.0.0.1", step=2, lowest=22000)
        self.sockets, self.heard = [], ([], [])
        for index in range(2):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind(("127.0.0.1", 0))
            self.sockets.append(sock)
            threading.Thread(target=self._listen, args=(sock, self.heard[index]), daemon=True).start()

    @staticmethod
    def _listen(sock, heard):
        while True:
            try:
                heard.append(sock.recv(2048))
            except OSError:
                return

    def start(self):
        self.count += 1
        self.log = self.folder / f"messages-{self.count}.log"
        self.process = subprocess.Popen(
            ["sipp", "-sf", str(CHECKOUT / "tests" / "live" / "siprec_recorder.xml"), "-i", "127.0.0.1", "-p", str(self.sip), "-nostdin", "-trace_msg", "-message_file",
             str(self.log), "-key", "rtp_one", str(self.sockets[0].getsockname()[1]), "-key", "rtp_two", str(self.sockets[1].getsockname()[1])],
            cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def said(self):
        """What sipp has seen, as text."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def sound(self, index):
        """16-bit samples of a stream: A-law of the first, mu-law of the second, as was answered."""
        packets = [packet for packet in self.heard[index] if packet[1] & 127 == (8, 0)[index]]
        return (wav.alaw_expand, wav.ulaw_expand)[index](numpy.frombuffer(b"".join(packet[12:] for packet in packets), numpy.uint8))


@pytest.fixture(scope="module")
def recorder(house):
    made = Recorder(house.folder / "recorder")
    made.start()
    running = house.product.get("/configuration")
    running["configuration"]["siprec"] = {"enabled": True, "address": f"127.0.0.1:{made.sip}", "queues": [{"name": "sales"}]}
    house.product.post("/configuration/apply", running)
    yield made
    made.kill()
    for sock in made.sockets:
        sock.close()


def until(condition, what, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@WHOLE_ONLY
def test_a_conversation_is_fed_and_the_recorder_may_die(house, recorder):
    house.available("1001")
    house.wait_agent_idle("1001", 30)
    name = house.place_and_choose("1")
    call = house.wait_call("talking", 30)["call"]
    until(lambda: "ACK sip" in recorder.said(), "the recorder's session")
    house.far.play(name, house.files["caller"])
    until(lambda: len(recorder.heard[0]) > 150 and len(recorder.heard[1]) > 150, "packets of both streams")
    for index, party in ((0, "caller"), (1, "agent")):
        match = align.compare(wav.read_mono(house.files[party]), recorder.sound(index))
        assert match.correlation > 0.97 and match.overlap > 8000 and match.gaps == 0, (party, match)
    document = re.search(r"<\?xml.*?</recording>", recorder.said(), re.S).group(0)
    recording = xml.etree.ElementTree.fromstring(document.replace("\n\n", "\n"))
    names = [each.find(f"{SPACE}nameID/{SPACE}name").text for each in recording.iter(SPACE + "participant")]
    assert names == ["13912345678", "1001"] and [each.find(SPACE + "label").text for each in recording.iter(SPACE + "stream")] == ["1", "2"]
    assert recording.find(f"{SPACE}session/{SPACE}sipSessionID").text == call and len(list(recording.iter(SPACE + "participantstreamassoc"))) == 2
    # Control dies: the session of before is ended, a new one begun; the conversation goes on.
    house.kill("control")
    until(lambda: recorder.said().count("\nBYE sip") >= 1 and recorder.said().count("\nINVITE sip") >= 2, "the session after the kill")
    # The recorder dies and is silent: the call goes on, the fault is told, and it is tried again.
    recorder.kill()
    house.far.hangup(name)
    house.far.wait_for("released", 30, id=name)
    house.wait_agent_idle("1001", 30)
    name = house.place_and_choose("1")
    house.wait_call("talking", 30)
    until(lambda: house.state()["siprec"]["lost"] >= 1, "the recorder is missed", 90)
    assert any("recorder" in fault for fault in house.state()["system"]["faults"])
    assert [c["state"] for c in house.state()["calls"] if c["state"] == "talking"]
    recorder.start()
    until(lambda: "ACK sip" in recorder.said(), "the recorder again", 90)
    until(lambda: not any("recorder" in fault for fault in house.state()["system"]["faults"]), "the fault is over")
    house.far.hangup(name)
    house.far.wait_for("released", 30, id=name)
    until(lambda: "\nBYE sip" in recorder.said(), "the session's end")
    until(lambda: not house.state()["siprec"]["calls"], "nothing is fed")
