"""A speech service of its own, for the tests: /usr/bin/python3 hil/speech_service.py FOLDER [PORT]

Written on Debian's python3-websockets; knows of the switch what stands in firmware/streaming/session.py's description of the wire, and imports
nothing of it.  Prints "port N".  FOLDER/sessions.jsonl has a line for each start message and each end; FOLDER/<session>-<n>.raw what was
heard (as it came, n: the how many-th session), FOLDER/<session>-<n>.said what was spoken (16-bit, at the session's rate).

By the path of the address:
    /asr        recognises how long somebody spoke, by energy: "spoke" after 0.3 s of silence behind 0.4 s of sound, or after 4 s; confidence 0.9
    /word       the same, but the text is the secret word of $SPEECH_WORD
    /unsure     the same with confidence 0.2
    /tts        speaks by espeak-ng, in one burst; /tts/slow in real time
    /echo       sends back what it hears
    /refuse     is no WebSocket at all (403)   /mute takes all and says nothing   /garbage talks rubbish   /rude closes with 1011 after a second
    /stuck      reads nothing any more         /error says that it cannot
Text that comes in while a session is up stands in sessions.jsonl too.
"""

import asyncio
import audioop
import http
import json
import os
import pathlib
import subprocess
import sys

import websockets

PROTOCOL = "strowger.audio.1"
LOUD = 300              # rms of 16 bits


class Log:
    """sessions.jsonl."""

    def __init__(self, folder):
        self.folder, self.count = pathlib.Path(folder), 0

    def line(self, **fields):
        with open(self.folder / "sessions.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(fields) + "\n")


def linear(start, octets):
    """Left channel, 16 bits."""
    x = audioop.alaw2lin(octets, 2) if start["encoding"] == "alaw" else octets
    return audioop.tomono(x, 2, 1, 0) if start["channels"] == 2 else x


async def recognise(socket, start, kept, text, confidence):
    """Wait for somebody who speaks and stops."""
    sound = silence = 0.0
    told = False
    async for message in socket:
        if isinstance(message, str):
            continue
        kept.write(message)
        x = linear(start, message)
        seconds = len(x) / 2 / start["rate"]
        if audioop.rms(x, 2) > LOUD:
            sound, silence = sound + seconds, 0.0
        else:
            silence += seconds
        if sound > 0.1 and not told:
            told = True
            await socket.send(json.dumps({"type": "speech_started"}))
            await socket.send(json.dumps({"type": "result", "text": "sp", "final": False}))
        if sound > 0.4 and silence > 0.3 or sound > 4:
            await socket.send(json.dumps({"type": "result", "text": text, "confidence": confidence, "final": True}))
            return


def spoken(text, language, rate):
    """espeak-ng's voice as 16-bit samples of a rate."""
    voice = {"zh_CN": "cmn", "en": "en"}.get(language, "en")
    made = subprocess.run(["espeak-ng", "-v", voice, "--stdout", text], capture_output=True, check=True).stdout
    at = made.index(b"data") + 8
    source = int.from_bytes(made[24:28], "little")
    return audioop.ratecv(made[at:len(made) // 2 * 2], 2, 1, source, rate, None)[0]


async def speak(socket, start, name, slow):
    x = await asyncio.to_thread(spoken, start["text"], start.get("language"), start["rate"])
    name.with_suffix(".said").write_bytes(x)
    step = start["rate"] // 10 * 2
    for at in range(0, len(x), step):
        piece = x[at:at + step]
        await socket.send(audioop.lin2alaw(piece, 2) if start["encoding"] == "alaw" else piece)
        if slow:
            await asyncio.sleep(0.1)
    await socket.send(json.dumps({"type": "end"}))


async def session(socket, log):
    start = json.loads(await socket.recv())
    try:
        await serve_session(socket, log, start)
    except websockets.ConnectionClosed:
        pass
    finally:
        log.line(event="end", session=start["session"], code=socket.close_code)


async def serve_session(socket, log, start):
    path = socket.path.partition("?")[0]
    log.count += 1
    name = log.folder / ("%s-%d" % (start["session"], log.count))
    log.line(event="start", path=path, authorization=socket.request_headers.get("Authorization"), **start)
    if path in ("/asr", "/word", "/unsure"):
        with open(name.with_suffix(".raw"), "wb", buffering=0) as kept:
            await recognise(socket, start, kept, os.environ.get("SPEECH_WORD", "word") if path == "/word" else "spoke", 0.2 if path == "/unsure" else 0.9)
    elif path.startswith("/tts"):
        await speak(socket, start, name, path == "/tts/slow")
    elif path == "/garbage":
        await socket.send("{ no json")
    elif path == "/error":
        await socket.send(json.dumps({"type": "error", "message": "no voice for that"}))
    elif path == "/rude":
        await asyncio.sleep(1)
        await socket.close(1011)
    elif path == "/stuck":
        socket.transport.pause_reading()
        await asyncio.sleep(3600)
    with open(name.with_suffix(".raw"), "ab", buffering=0) as kept:
        async for message in socket:
            if isinstance(message, str):
                log.line(event="told", session=start["session"], message=json.loads(message))
            else:
                kept.write(message)
                if path == "/echo":
                    await socket.send(message)


async def main(folder, port=0):
    log = Log(folder)

    async def refuse(path, headers):
        return (http.HTTPStatus.FORBIDDEN, [], b"no\n") if path == "/refuse" else None

    async def serve(socket, path=None):
        try:
            await session(socket, log)
        except websockets.ConnectionClosed:
            pass
    async with websockets.serve(serve, "127.0.0.1", int(port), subprotocols=[PROTOCOL], process_request=refuse, ping_interval=None) as server:
        print("port %d" % server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
