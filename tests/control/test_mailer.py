"""Voicemail through a house: REST, the WAV file, mail to an SMTP server of the test's own, deletion, a restart."""

import asyncio
import email
import email.policy
import os
import socketserver
import struct
import threading

import pytest

from firmware.control import mailer
from firmware.control.client import ControlClient, ControlError

NIGHT = "02150801008"


class Server(socketserver.ThreadingTCPServer):
    """SMTP as RFC 5321 has it, as far as a submission needs it; the first `refuse` messages get 451."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, refuse=0, refuse_to=(), goodbye="221 bye"):
        self.mails, self.refuse, self.came = [], refuse, threading.Event()
        self.refuse_to, self.goodbye = list(refuse_to), goodbye
        super().__init__(("127.0.0.1", 0), Session)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Session(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        self.say("220 test")
        to = []
        while True:
            line = self.rfile.readline().decode().strip()
            verb = line[:4].upper()
            if verb in ("", "QUIT"):
                self.say(self.server.goodbye)
                return
            if verb == "RCPT" and line[9:-1] in self.server.refuse_to:
                self.server.refuse_to.remove(line[9:-1])
                self.say("450 busy")
                continue
            if verb == "RCPT":
                to.append(line[8:])
            if verb != "DATA":
                self.say("250 ok")
                continue
            self.say("354 go on")
            octets = b""
            while not octets.endswith(b"\r\n.\r\n"):
                octets += self.rfile.readline()
            if self.server.refuse:
                self.server.refuse -= 1
                self.say("451 not now")
                continue
            self.server.mails.append((to, email.message_from_bytes(octets[:-3].replace(b"\r\n..", b"\r\n."), policy=email.policy.default)))
            self.say("250 taken")
            self.server.came.set()


def wav(left, right):
    """A stereo A-law WAV file."""
    sound = bytes(octet for pair in zip(left, right) for octet in pair)
    return struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(sound), b"WAVE", b"fmt ", 16, 6, 2, 8000, 16000, 2, 8, b"data", len(sound)) + sound


def configure(client, port, **box):
    running = client.get("/v1/configuration")
    config = running["configuration"]
    config["mailboxes"] = [dict({"name": "night", "label": "Night", "greeting": "greeting", "min_s": 0, "lines": [config["lines"][0]["name"]],
                                 "email": ["team@example.org", "boss@example.org"]}, **box)]
    config["mail"] = {"host": "127.0.0.1", "port": port, "from": "switch@example.org", "link": "https://switch.example/api/v1/messages/"}
    config["numbers"].append({"number": NIGHT, "application": "mailbox", "target": "night"})
    client.post("/v1/configuration/apply", running)


async def leave(house, media, left):
    """A caller speaks a message of one second; its path."""
    def post(event):
        house.turns.handle(event)
    post({"kind": "leg.offered", "leg": "p1", "tech": "pri", "trunk_group": "carrier", "span": 1, "timeslot": 1, "caller": "13912345678", "called": NIGHT,
          "called_complete": True})
    for _ in range(500):
        await asyncio.sleep(0.01)
        media.play_out()
        if media.of("record"):
            break
    path = media.of("record")[-1]["path"]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(wav(left, bytes(len(left))))
    post({"kind": "leg.released", "leg": "p1", "cause": 16, "by": "far"})
    return path


async def until(what):
    for _ in range(3000):
        await asyncio.sleep(0.01)
        if what():
            return
    raise AssertionError("it did not come to be")


@pytest.mark.parametrize("attach", [True, False])
def test_a_message_is_mailed_played_and_deleted(site, monkeypatch, attach):
    monkeypatch.setattr(mailer, "AGAIN_S", (0, 0, 0))
    monkeypatch.setattr(mailer, "LOOK_S", 0.02)
    server = Server(refuse=1)
    left = bytes(range(200)) * 40

    async def scenario():
        house, media = site.whole()
        await house.start()
        client = ControlClient(site.run)
        try:
            await asyncio.to_thread(configure, client, server.server_address[1], attach=attach)
            path = await leave(house, media, left)
            await until(server.came.is_set)
            await until(lambda: house.mailer.sent == 1)
            assert house.mailer.failed == 1 and house.mailer.why is None
            row, = (await asyncio.to_thread(client.get, "/v1/mailboxes/night"))["messages"]
            assert (row["state"], row["mail"], row["caller"], row["duration_ms"]) == ("new", "sent", "13912345678", 1000)
            sound = await asyncio.to_thread(client.get, "/v1/messages/%s/audio" % row["message"])
            assert sound[:4] == b"RIFF" and sound.endswith(left) and struct.unpack_from("<HH", sound, 20) == (6, 1)
            with pytest.raises(ControlError) as caught:
                await asyncio.to_thread(client.post, "/v1/messages/m99", {"state": "read"})
            assert caught.value.status == 404
            await asyncio.to_thread(client.post, "/v1/messages/%s" % row["message"], {"state": "read"})
            assert (await asyncio.to_thread(client.get, "/v1/mailboxes"))["mailboxes"][0]["read"] == 1
        finally:
            await house.stop()
        house, media = site.whole(media)
        await house.start()
        try:
            row, = (await asyncio.to_thread(client.get, "/v1/mailboxes/night"))["messages"]
            assert row["state"] == "read" and os.path.exists(path)
            await asyncio.to_thread(client.post, "/v1/messages/%s/delete" % row["message"], {"by": "boss"})
            await until(lambda: not os.path.exists(path))
            assert (await asyncio.to_thread(client.get, "/v1/mailboxes/night"))["messages"] == []
            call = (await asyncio.to_thread(client.get, "/v1/calls/%s" % row["call"]))
            assert call["cdr"]["result"] == "voicemail"
            await until(lambda: house.mailer.house.stores.recordings.of_call(row["call"]) == [])
        finally:
            await house.stop()
        return row["message"]
    name = asyncio.run(scenario())
    server.shutdown()
    server.server_close()
    (to, mail), = server.mails
    assert to == ["<team@example.org>", "<boss@example.org>"] and mail["Subject"] == "Night: voicemail from 13912345678"
    body = mail.get_body(("plain",)).get_content()
    assert "Length: 1 s" in body and "https://switch.example/api/v1/messages/%s/audio" % name in body
    parts = list(mail.iter_attachments())
    assert [part.get_content_type() for part in parts] == (["audio/wav"] if attach else [])
    assert not attach or parts[0].get_content().endswith(left)


def test_nobody_gets_it_twice_whom_the_server_took(site, monkeypatch):
    """One recipient refused, and a server that does not say goodbye: the other has the mail once, the first later, the same mail."""
    monkeypatch.setattr(mailer, "AGAIN_S", (0, 0, 0))
    monkeypatch.setattr(mailer, "LOOK_S", 0.02)
    server = Server(refuse_to=["boss@example.org"], goodbye="421 too busy for manners")

    async def scenario():
        house, media = site.whole()
        await house.start()
        client = ControlClient(site.run)
        try:
            await asyncio.to_thread(configure, client, server.server_address[1])
            await leave(house, media, bytes(8000))
            await until(lambda: house.mailer.sent == 1)
            row, = house.switchboard.core.state.messages.values()
            assert sorted(row["mailed_to"]) == ["boss@example.org", "team@example.org"] and row["mailed"] == "sent" and house.mailer.failed == 1
            await asyncio.sleep(0.2)
        finally:
            await house.stop()
    asyncio.run(scenario())
    server.shutdown()
    server.server_close()
    assert [to for to, _ in server.mails] == [["<team@example.org>"], ["<boss@example.org>"]]
    first, second = (mail for _, mail in server.mails)
    assert first["Message-ID"] == second["Message-ID"] and first.as_bytes() == second.as_bytes() and first["Auto-Submitted"] == "auto-generated"


def test_a_server_that_is_away_is_said_and_holds_up_nothing(site, monkeypatch):
    monkeypatch.setattr(mailer, "LOOK_S", 0.02)

    async def scenario():
        house, media = site.whole()
        await house.start()
        client = ControlClient(site.run)
        try:
            held = socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler)
            port = held.server_address[1]
            held.server_close()
            await asyncio.to_thread(configure, client, port)
            await leave(house, media, bytes(8000))
            await until(lambda: house.mailer.why is not None)
            health = await asyncio.to_thread(client.get, "/v1/health")
            assert any("mail about voicemail cannot be sent" in fault for fault in health["faults"])
            row, = house.switchboard.core.state.messages.values()
            assert row["mail"] and row["mail_tries"] == 1 and row["again_ms"] > house.clock.now_ms()
        finally:
            await house.stop()
    asyncio.run(scenario())
