"""A leg's audio to a service outside and back, with a service that is not ours (hil/speech_service.py, on Debian's python3-websockets)."""

import itertools
import json
import os
import signal
import socket
import subprocess
import time

import numpy
import pytest

from dsp import g711
from firmware.errors import LocalError
from firmware.media import _engine
from firmware.streaming import rings, sounds, websocket
from hil.probes import align
from hil.rig import CHECKOUT

ids = itertools.count(1)
PLAIN = {"verify": True, "start": {"call": "c1"}, "first_s": 30}


class Service:
    """The service's process."""

    def __init__(self, folder):
        self.folder = folder
        self.port = 0
        self.start()

    def start(self):
        for _ in range(60):             # started again on its port, somebody else may have it for a moment
            self.process = subprocess.Popen(["/usr/bin/python3", "-W", "ignore", str(CHECKOUT / "hil" / "speech_service.py"), str(self.folder), str(self.port)],
                                            stdout=subprocess.PIPE, text=True)
            line = self.process.stdout.readline()
            if line.startswith("port "):
                self.port = int(line.split()[1])
                return
            self.process.wait()
            time.sleep(0.5)
        raise AssertionError("the speech service did not start; is python3-websockets installed?")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def lines(self, **wanted):
        path = self.folder / "sessions.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]

    def heard(self, session):
        """What has come in a session; its file is there with the first of it."""
        paths = list(self.folder.glob(f"{session}-*.raw"))
        assert len(paths) < 2, paths
        return paths[0].read_bytes() if paths else b""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    made = Service(tmp_path_factory.mktemp("speech"))
    yield made
    made.kill()


@pytest.fixture
def open_stream(control, service):
    """function(purpose, path, ...) -> (leg's timeslot, stream id)."""
    def start(purpose, path, audio="pcm16_16k", right=None, **more):
        slot = next(ids)
        leg, name = f"t{slot}", f"s{slot}"
        control.do("add", id=leg, kind="timeslot", span=3, timeslot=slot, law="A")
        control.do("stream_open", id=name, left=leg, right=right, purpose=purpose, url=f"ws://127.0.0.1:{service.port}{path}", audio=audio,
                   **{**PLAIN, **more})
        return slot, name
    return start


def told(control, name, what, timeout=30):
    return control.event("stream", timeout, id=name, what=what)


def until(condition, timeout=30):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def speech(seconds=3.0, seed=5):
    """Noise in syllables, below 3.2 kHz: nothing in it resembles another piece."""
    random = numpy.random.default_rng(seed)
    n = int(8000 * seconds)
    spectrum = numpy.fft.rfft(random.normal(size=n))
    spectrum[int(3200 * seconds):] = 0
    spectrum[:int(200 * seconds)] = 0
    x = numpy.fft.irfft(spectrum, n)
    x *= 1 + 0.5 * numpy.sin(2 * numpy.pi * 4 * numpy.arange(n) / 8000)
    return (x / numpy.abs(x).max() * 14000).astype(numpy.int16)


def test_the_rings_are_the_engines():
    assert (rings.PAGE_OCTETS, rings.OUT_OCTETS, rings.IN_OCTETS) == tuple(_engine.STREAM_LAYOUT[name] for name in ("page", "out", "in"))


@pytest.mark.parametrize("audio", sounds.AUDIO)
def test_there_and_back_through_each_coding(audio):
    """Against the sent samples: 8 kHz codings bit for bit, 16 kHz by its filters, in pieces of any length."""
    x = g711.compress(speech(1.0), 0)
    frames = numpy.repeat(x, 2).tobytes()                          # both channels alike
    to, back = sounds.ToService(audio, False), sounds.FromService(audio)
    octets = b"".join(to.convert(frames[at:at + 2 * n]) for at, n in zip(range(0, len(frames), 320), itertools.repeat(160)))
    rate, width = sounds.AUDIO[audio]
    assert len(octets) == rate * width
    heard = b"".join(back.convert(octets[at:at + 333]) for at in range(0, len(octets), 333))
    if audio != "pcm16_16k":
        assert heard == x.tobytes()
    else:
        match = align.compare(g711.expand(x, 0), g711.expand(numpy.frombuffer(heard, numpy.uint8), 0))
        assert match.correlation > 0.999 and abs(match.level_db) < 0.1 and match.gaps == 0


def test_a_leg_is_heard_by_the_service_and_hears_it(board, control, service, open_stream):
    """/echo: both ways at once, compared sample by sample with what was said."""
    slot, name = open_stream("stream", "/echo")
    told(control, name, "opened")
    control.do("signal", id=f"t{slot}", token="e", items=[{"stream": name}])
    x = speech(1.5)
    board.listen(3, slot)
    board.say(3, slot, g711.compress(x, 0).tobytes())
    until(lambda: board.blocks and control.audit()["streams"][0]["played_ms"] > 1900)
    y = g711.expand(numpy.frombuffer(board.said(3, slot), numpy.uint8), 0)
    match = align.compare(x, y)
    assert match.correlation > 0.98 and abs(match.level_db) < 1 and match.overlap > 10000, match
    control.do("stream_tell", id=name, message={"type": "note", "text": "hi"})
    until(lambda: service.lines(event="told", session=name, message={"type": "note", "text": "hi"}))
    control.do("stream_close", id=name)
    control.do("stop", id=f"t{slot}", token="e")
    control.event("signal_complete", 30, token="e")
    until(lambda: service.lines(event="end", session=name))
    assert service.lines(event="start", session=name)[0]["channels"] == 1


def test_two_legs_are_two_channels(board, control, service, open_stream):
    control.do("add", id="other", kind="timeslot", span=4, timeslot=1, law="U")
    slot, name = open_stream("stream", "/mute", "pcm16_8k", right="other", private={"token": "s3cret"})
    told(control, name, "opened")
    left, right = speech(1.0, 6), speech(1.0, 7)
    board.say(3, slot, g711.compress(left, 0).tobytes())
    board.say(4, 1, g711.compress(right, 1).tobytes())
    until(lambda: len(service.heard(name)) > 4 * 8000 * 1.5)
    heard = numpy.frombuffer(service.heard(name)[:4 * 8000 * 3 // 2], "<i2").reshape(-1, 2)
    for channel, x in ((0, left), (1, right)):
        match = align.compare(x, heard[:, channel])
        assert match.correlation > 0.99 and match.overlap > 6000, (channel, match)
    assert service.lines(event="start", session=name, authorization="Bearer s3cret")


def test_recognition_and_its_failures(board, control, service, open_stream, media):
    slot, name = open_stream("recognize", "/asr", "alaw")
    told(control, name, "opened")
    board.say(3, slot, g711.compress(speech(1.0), 0).tobytes())
    told(control, name, "speech")
    assert (lambda e: (e["text"], e["confidence"]))(told(control, name, "text")) == ("spoke", 0.9)
    told(control, name, "ended")
    for path, sentence in (("/refuse", "refused the WebSocket with status 403"), ("/garbage", "no JSON object"), ("/error", "the service says: no voice"),
                           ("/rude", "closed the connection (1011)")):
        _, name = open_stream("recognize", path)
        assert sentence in told(control, name, "failed")["error"]
    port = service.port
    with socket.socket() as nobody:                   # bound, but nobody listens
        nobody.bind(("127.0.0.1", 0))
        service.port = nobody.getsockname()[1]
        _, name = open_stream("recognize", "/asr")
        assert "cannot be reached" in told(control, name, "failed")["error"]
    service.port = port
    _, name = open_stream("recognize", "/tts", first_s=1)           # synthesis that waits for a text and gets none: start has no text
    assert "connection" in told(control, name, "failed")["error"]
    for wrong in ({"url": "http://x/"}, {"audio": "mp3"}, {"purpose": "sing"}, {"left": "nobody"}):
        reply = control.raw("stream_open", **{"id": "bad", "left": f"t{slot}", "purpose": "stream", "url": "ws://127.0.0.1:1/", "audio": "alaw", **wrong})
        assert not reply["ok"] and reply["error"], wrong
    assert "there is no stream" in control.raw("signal", id=f"t{slot}", token="x", items=[{"stream": "none"}])["error"]


def test_a_text_is_spoken_to_a_leg(board, control, service, open_stream):
    """espeak-ng's samples, at 16 kHz, against what comes out of the timeslot; the playlist ends with it."""
    slot, name = open_stream("speak", "/tts", private={"start": {"text": "Number seven leaves."}}, start={"language": "en"})
    board.listen(3, slot)
    control.do("signal", id=f"t{slot}", token="s", items=[{"stream": name}, {"silence_ms": 10}])
    assert control.event("signal_complete", 60, token="s")["reason"] == "done"
    (path,) = service.folder.glob(f"{name}-*.said")
    said = numpy.frombuffer(path.read_bytes(), "<i2").astype(float)
    said = (said[:len(said) // 2 * 2].reshape(-1, 2).mean(axis=1)).astype(numpy.int16)      # a crude half of the rate
    match = align.compare(said, g711.expand(numpy.frombuffer(board.said(3, slot), numpy.uint8), 0))
    assert match.correlation > 0.9 and match.overlap > 0.5 * len(said), match
    _, name = open_stream("speak", "/mute", first_s=1)
    assert "nothing came from the service in 1 s" in told(control, name, "failed")["error"]


def test_service_and_process_may_die(board, control, service, open_stream, media):
    """A continuous stream comes back by itself; the leg plays on meanwhile."""
    slot, name = open_stream("stream", "/mute", "alaw")
    told(control, name, "opened")
    service.kill()
    assert "tried again" in told(control, name, "interrupted")["error"]
    service.start()
    told(control, name, "opened")
    until(lambda: service.lines(event="start", session=name, again=True))
    children = subprocess.run(["pgrep", "-P", str(media.process.pid)], capture_output=True, text=True).stdout.split()
    assert len(children) == 1
    os.kill(int(children[0]), signal.SIGKILL)
    assert "streaming process has ended" in told(control, name, "interrupted")["error"]
    control.events[:] = [event for event in control.events if event.get("what") != "opened"]
    told(control, name, "opened")
    board.say(3, slot, g711.compress(speech(1.0), 0).tobytes())
    until(lambda: any(path.stat().st_size > 8000 for path in service.folder.glob(f"{name}-*.raw")))
    control.do("subtract", id=f"t{slot}")
    until(lambda: not [row for row in control.audit()["streams"] if row["id"] == name])


def test_what_has_ended_stays_so_when_the_process_dies(board, control, service, open_stream, media):
    """A text that was half spoken is not asked for twice: each request is paid for."""
    _, name = open_stream("speak", "/mute", first_s=60)
    told(control, name, "opened")
    until(lambda: service.lines(event="start", session=name))
    child, = subprocess.run(["pgrep", "-P", str(media.process.pid)], capture_output=True, text=True).stdout.split()
    os.kill(int(child), signal.SIGKILL)
    assert "streaming process has ended" in told(control, name, "failed")["error"]
    for _ in range(2):                          # asked of the process after it was told anew of all that go on
        _, other = open_stream("stream", "/mute")
        told(control, other, "opened")
        until(lambda: service.lines(event="start", session=other))
    assert len(service.lines(event="start", session=name)) == 1
    assert not [event for event in control.events if event.get("id") == name]
    assert [row["state"] for row in control.audit()["streams"] if row["id"] == name] == ["ended"]


def test_a_service_that_takes_nothing_or_says_nothing():
    """What is not taken is left out, never waited for; silence for 15 s is the end (the clock is turned back instead of waited for)."""
    class Writer:
        def __init__(self):
            self.transport, self.waiting = self, 0

        def get_write_buffer_size(self):
            return self.waiting

        def write(self, octets):
            self.waiting += len(octets)
    machine = websocket.WSConnection(websocket.ConnectionType.CLIENT)
    machine.send = lambda event: bytes(getattr(event, "data", b"") or b"")
    made = websocket.WebSocket(None, Writer(), machine)
    taken = [made.octets(bytes(640)) for _ in range(300)]
    assert taken == sorted(taken, reverse=True) and 200 < sum(taken) < 210
    made.look()
    made._heard -= 16
    with pytest.raises(LocalError, match="has not answered for 15 s"):
        made.look()
