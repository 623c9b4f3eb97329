"""baresip (Debian's baresip-core) as an agent's telephone: registers with digest, is called, calls.

Headless: its own configuration directory, audio from and to files.  Control is killed and restarted
in the middle of a call (a new endpoint on the same socket), and the call goes on.
"""

import asyncio
import json
import shutil
import struct
import subprocess
import wave

import pytest

from firmware.proto import sdp
from hil.ports import TCP, UDP, free_block
from tests.links.sip_rig import Rig

pytestmark = pytest.mark.skipif(not shutil.which("baresip"), reason="baresip is not installed (Debian: baresip-core)")
MODULES = "/usr/lib/baresip/modules"


class Baresip:
    """One telephone."""

    def __init__(self, rig, folder, mode="auto", password="secret-1"):
        folder.mkdir()
        self.folder = folder
        # SIP at the base, its TLS at the next, control, then RTP.
        base = free_block({TCP: (0, 1, 2), UDP: (0, *range(4, 16))}, step=16)
        self.control_port = base + 2
        with wave.open(str(folder / "say.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(b"".join(struct.pack("<h", (i * 400) % 16000 - 8000) for i in range(80000)))
        (folder / "config").write_text("\n".join([
            "poll_method epoll", "sip_listen 127.0.0.1:%d" % base, "audio_source aufile,%s" % (folder / "say.wav"),
            "audio_player aufile,%s" % (folder / "heard.wav"), "audio_alert aufile,/dev/null", "ausrc_srate 8000",
            "auplay_srate 8000", "rtp_ports %d-%d" % (base + 4, base + 15), "module_path " + MODULES,
            "module g711.so", "module aufile.so", "module_tmp uuid.so", "module_tmp account.so", "module_app menu.so",
            "module_app ctrl_tcp.so", "ctrl_tcp_listen 127.0.0.1:%d" % self.control_port]) + "\n")
        self.begin(rig, mode, password)
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(["baresip", "-f", str(folder)], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT)

    def begin(self, rig, mode, password):
        """Write its account."""
        (self.folder / "accounts").write_text(
            "<sip:1001@127.0.0.1:%d>;auth_user=1001;auth_pass=%s;answermode=%s;regint=60;"
            "audio_codecs=PCMA/8000/1\n" % (rig.port, password, mode))

    async def command(self, name, parameters=""):
        """A command over its control connection (netstrings of JSON)."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.control_port)
        text = json.dumps({"command": name, "params": parameters})
        writer.write(("%d:%s," % (len(text), text)).encode())
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.close()

    def said(self):
        return (self.folder / "log").read_text(errors="replace")

    async def close(self):
        """It unregisters first; the switch must be there to answer."""
        self.process.terminate()
        for _ in range(60):
            if self.process.poll() is not None:
                break
            await asyncio.sleep(0.05)
        else:
            self.process.kill()
        self.process.wait()
        self.log.close()


def run(coroutine):
    asyncio.run(asyncio.wait_for(coroutine, 60))


def call(rig, leg="l1"):
    rig.link.request({"kind": "invite_request", "leg": leg, "line": "1001", "sdp": rig.offer(), "caller": "13912345678",
                      "caller_name": "\u5f20\u4e09"})


def test_baresip_registers_takes_a_call_and_hangs_up(tmp_path):
    async def main():
        rig = Rig()
        rig.start()
        phone = Baresip(rig, tmp_path / "phone")
        try:
            event = await rig.until_kind("line_registered")
            assert event["contacts"][0]["user_agent"].startswith("baresip")
            call(rig)
            await rig.until_kind("alerting")
            event = await rig.until_kind("answered")
            chosen = sdp.read(event["sdp"])
            assert chosen["codec"] == "PCMA" and chosen["dtmf_payload_type"] == 101
            await asyncio.sleep(0.3)
            assert "Call established: sip:13912345678@127.0.0.1" in phone.said()
            await phone.command("hangup")
            event = await rig.until_kind("released")
            assert event["by"] == "far" and event["cause"] == 16
            call(rig, "l2")
            await rig.until_kind("answered", 2)
            rig.link.request({"kind": "release_request", "leg": "l2", "cause": 16})
            await asyncio.sleep(0.5)
            assert phone.said().count("session closed") == 1 and not rig.endpoint.live_legs()
            rig.check_capture(tmp_path / "calls.pcap")
        finally:
            await phone.close()
            rig.close()
    run(main())


def test_baresip_with_a_wrong_password(tmp_path):
    async def main():
        rig = Rig()
        rig.start()
        phone = Baresip(rig, tmp_path / "phone", password="wrong")
        try:
            await rig.until(lambda: rig.endpoint.counters.get("authentication_failed"))
            assert rig.count("line_registered") == 0
        finally:
            await phone.close()
            rig.close()
    run(main())


def test_baresip_rings_and_is_cancelled_or_declines(tmp_path):
    async def main():
        rig = Rig()
        rig.start()
        phone = Baresip(rig, tmp_path / "phone", mode="manual")
        try:
            await rig.until_kind("line_registered")
            call(rig)
            await rig.until_kind("alerting")
            rig.link.request({"kind": "release_request", "leg": "l1", "cause": 26})
            await asyncio.sleep(0.5)
            assert not rig.endpoint.live_legs() and rig.endpoint.counters["sent"] > 3
            call(rig, "l2")
            await rig.until_kind("alerting", 2)
            await phone.command("hangup")
            event = await rig.until_kind("rejected")
            assert event["leg"] == "l2" and event["cause"] in (17, 21)
            rig.check_capture(tmp_path / "ring.pcap")
        finally:
            await phone.close()
            rig.close()
    run(main())


def test_baresip_calls_and_holds(tmp_path):
    async def main():
        rig = Rig()
        rig.start()
        phone = Baresip(rig, tmp_path / "phone")
        try:
            await rig.until_kind("line_registered")
            await phone.command("dial", "sip:5001@127.0.0.1:%d" % rig.port)
            event = await rig.until_kind("invite_indication")
            assert event["line"] == "1001" and event["called"] == "5001"
            await rig.until(lambda: [leg for leg in rig.endpoint.live_legs() if leg["state"] == "confirmed"])
            await phone.command("hold")
            reinvite = await rig.until_kind("reinvite")
            assert sdp.read(reinvite["sdp"])["direction"] in ("recvonly", "inactive")
            await phone.command("resume")
            reinvite = await rig.until_kind("reinvite", 2)
            assert sdp.read(reinvite["sdp"])["direction"] == "sendrecv"
            await asyncio.sleep(0.3)
            await phone.command("hangup")
            await rig.until_kind("released")
            rig.check_capture(tmp_path / "hold.pcap")
        finally:
            await phone.close()
            rig.close()
    run(main())


@pytest.mark.parametrize("ender", ["phone", "switch"])
def test_a_call_lives_through_a_restart_of_control(tmp_path, ender):
    """The endpoint is thrown away without a word; a new one is made from the stored records only."""
    async def main():
        rig = Rig()
        rig.start()
        phone = Baresip(rig, tmp_path / "phone")
        new = None
        try:
            await rig.until_kind("line_registered")
            call(rig)
            await rig.until_kind("answered")
            await asyncio.sleep(0.3)
            records = json.loads(json.dumps(rig.records))
            held = rig.link.socket.dup()          # the supervisor's copy of the socket
            rig.close()
            if ender == "phone":
                # what comes while control is dead waits in the socket's buffer
                await phone.command("hangup")
            new = Rig(held, records)
            new.start()
            if ender == "phone":
                event = await new.until_kind("released")
                assert event["leg"] == "l1" and event["by"] == "far"
            else:
                assert new.endpoint.live_legs()[0]["state"] == "confirmed"
                new.link.request({"kind": "reinvite_request", "leg": "l1", "sdp": new.offer(2)})
                await new.until_kind("reinvited")
                new.link.request({"kind": "release_request", "leg": "l1"})
                await asyncio.sleep(0.5)
                assert "session closed" in phone.said()
            assert not new.endpoint.live_legs() and new.endpoint.contacts("1001")
            call(new, "l2")                       # the registration is still good
            await new.until_kind("answered")
            new.link.request({"kind": "release_request", "leg": "l2"})
            await asyncio.sleep(0.2)
            new.check_capture(tmp_path / "after.pcap")
        finally:
            await phone.close()
            (new or rig).close()
    run(main())
