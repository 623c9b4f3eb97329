"""The client of media: when an answer counts as missing.  Media here is a script at the other end of both sockets."""

import asyncio
import contextlib
import threading

import msgpack
import pytest

from firmware.media import client as client_module
from firmware.media.client import MediaClient, media_socket_path, signalling_socket_path
from firmware.media.link import listen

COMMANDS = 150          # more than the client reads in one go


class Script:
    """Media's end.  obey(message): reply or None; it runs in a thread, so that it goes on while control's loop stands."""

    def __init__(self, folder, obey):
        self._listeners = [listen(path(str(folder))) for path in (media_socket_path, signalling_socket_path)]
        self.packets = 0
        self.obey, self.seen, self._thread = obey, threading.Semaphore(0), threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        with contextlib.ExitStack() as stack:
            ends = []
            for listener in self._listeners:
                listener.setblocking(True)
                ends.append(stack.enter_context(stack.enter_context(listener).accept()[0]))
            self.end = ends[0]
            while octets := self.end.recv(1 << 20):
                unpacker = msgpack.Unpacker()
                unpacker.feed(octets)
                self.packets += 1
                for message in unpacker:
                    reply = {"boot_id": "b"} if message["do"] == "hello" else self.obey(message)
                    if reply is not None:
                        self.say(message, reply)
                    self.seen.release()

    def say(self, *answers):
        """answers: message, its reply, and so on, in one packet."""
        self.end.send(b"".join([msgpack.packb(dict(reply, seq=message["seq"], ok=True)) for message, reply in zip(answers[::2], answers[1::2])]))


async def posted(tmp_path, obey, count):
    """(client, script, outcomes by number, how far the loop's clock is put forward: [s]), the script having seen all commands."""
    loop, ahead, outcomes = asyncio.get_running_loop(), [0.0], {}
    true_time = loop.time
    loop.time = lambda: true_time() + ahead[0]
    script = Script(tmp_path, obey)
    client = MediaClient(str(tmp_path), 1, lambda event: None, lambda message: None, lambda reason: None)
    await client.connect()
    script.seen.acquire()
    for number in range(count):
        client.post("modify", {"id": "l%d" % number}, lambda reply, error, number=number: outcomes.update({number: error}))
    for _ in range(count):
        script.seen.acquire()       # the loop stands meanwhile, as when control has much to do
    return client, script, outcomes, ahead


async def rounds(condition=lambda: False, count=200):
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)
        if condition():
            return


@pytest.mark.parametrize("count", [1, COMMANDS])
def test_answers_that_lie_unread_are_answers(tmp_path, count):
    """Control was busy for longer than the limit: what media had said long ago is no silence of media."""
    async def run():
        client, _, outcomes, ahead = await posted(tmp_path, lambda message: {}, count)
        ahead[0] += 2 * client_module.CALL_TIMEOUT_S
        await rounds(lambda: len(outcomes) == count)
        client.close()
        assert outcomes == dict.fromkeys(range(count))
    asyncio.run(run())


def test_media_that_goes_on_answering_is_alive(tmp_path):
    """Many commands at once take media longer than the limit: each answer is a sign of life for those that wait."""
    async def run():
        asked = []
        client, script, outcomes, ahead = await posted(tmp_path, asked.append, 4)
        for number in range(3):
            ahead[0] += 0.9 * client_module.CALL_TIMEOUT_S
            script.say(asked[number], {})
            await rounds(lambda: len(outcomes) > number)
        assert outcomes == {0: None, 1: None, 2: None}
        ahead[0] += 1.1 * client_module.CALL_TIMEOUT_S
        await rounds(lambda: len(outcomes) == 4)
        client.close()
        assert "no answer to 'modify'" in str(outcomes[3])
    asyncio.run(run())


def test_silence_is_told_of_all_that_wait(tmp_path):
    async def run():
        client, _, outcomes, ahead = await posted(tmp_path, lambda message: None, COMMANDS)
        ahead[0] += 1.1 * client_module.CALL_TIMEOUT_S
        await rounds(lambda: len(outcomes) == COMMANDS)
        client.close()
        assert len(outcomes) == COMMANDS and all("no answer to 'modify'" in str(error) for error in outcomes.values())
    asyncio.run(run())


def test_what_media_passed_over_is_told_though_later_commands_are_answered(tmp_path):
    async def run():
        client, _, outcomes, ahead = await posted(tmp_path, lambda message: None if message["id"] == "l0" else {}, 2)
        await rounds(lambda: len(outcomes) == 1)
        assert outcomes == {1: None}
        ahead[0] += 1.1 * client_module.CALL_TIMEOUT_S
        await rounds(lambda: len(outcomes) == 2)
        client.close()
        assert "no answer" in str(outcomes[0])
    asyncio.run(run())


def test_commands_and_answers_share_packets(tmp_path):
    async def run():
        asked = []
        client, script, outcomes, _ = await posted(tmp_path, asked.append, 1)
        before = script.packets
        with client.together():
            for number in range(1, 200):
                client.post("modify", {"id": "l%d" % number, "text": "x" * 1000}, lambda reply, error, number=number: outcomes.update({number: error}))
            assert client.connected and script.packets == before, "nothing leaves before the end"
        for _ in range(199):
            script.seen.acquire()
        assert script.packets - before == 4, "200 kB in packets of 64 kB"
        assert [message["id"] for message in asked] == ["l%d" % number for number in range(200)]
        script.say(*[part for message in asked for part in (message, {})])
        await rounds(lambda: len(outcomes) == 200)
        client.close()
        assert outcomes == dict.fromkeys(range(200))
    asyncio.run(run())


def test_a_long_command_does_not_take_those_before_it_beyond_what_media_receives(tmp_path):
    """Joined, they would be 300,000 octets, media takes 262,144: it refused the packet, and none of them was carried out."""
    async def run():
        asked = []
        client, script, _, _ = await posted(tmp_path, asked.append, 1)
        before = script.packets
        with client.together():
            for text in ("a" * 30_000, "b" * 30_000, "c" * 240_000, "d"):
                client.post("modify", {"id": "l", "text": text}, lambda reply, error: None)
        for _ in range(4):
            script.seen.acquire()
        client.close()
        assert [message["text"][0] for message in asked[1:]] == list("abcd")
        assert script.packets - before == 3, "a and b; c; d"
    asyncio.run(run())
