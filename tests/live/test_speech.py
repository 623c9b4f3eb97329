"""Speech nodes and streams on real PRI calls, with a speech service that is a program of its own; the service and control are killed in the middle."""

import json
import os
import sqlite3
import subprocess
import sys
import time

import numpy
import pytest

from firmware.storage.journal import Journal
from hil.probes import align, wav
from hil.rig import CHECKOUT
from tests.conftest import WHOLE_ONLY

pytestmark = pytest.mark.live

NUMBER, WORD = "02150801088", "zanzibar"
TEXT = "Number seven leaves at nine."
FLOW = {"version": 1, "languages": ["en"], "start": "ask", "nodes": {
    "ask": {"type": "recognize", "service": "asr", "prompts": ["greeting", "greeting"], "into": "said", "confidence": "sure", "timeout_s": 60, "most_s": 120,
            "next": "tell", "failed": "sorry"},
    "tell": {"type": "speak", "service": "tts", "text": "{said}: " + TEXT, "timeout_s": 60, "barge_in": False, "next": "secret", "failed": "sorry"},
    "secret": {"type": "recognize", "service": "word", "into": "word", "secret": True, "timeout_s": 60, "most_s": 120, "next": "right", "failed": "sorry"},
    "right": {"type": "branch", "value": "word", "choices": {WORD: "queue"}, "otherwise": "sorry"},
    "queue": {"type": "queue", "queue": "sales"},
    "sorry": {"type": "hangup", "prompts": ["goodbye"]}}}


class Service:
    """hil/speech_service.py in a process."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder, self.port = folder, 0
        self.start()

    def start(self):
        for _ in range(60):             # started again on its port, somebody else may have it for a moment
            self.process = subprocess.Popen(["/usr/bin/python3", "-W", "ignore", str(CHECKOUT / "hil" / "speech_service.py"), str(self.folder), str(self.port)],
                                            stdout=subprocess.PIPE, text=True, env=dict(os.environ, SPEECH_WORD=WORD))
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


@pytest.fixture(scope="module")
def service(house):
    made = Service(house.folder / "speech")
    running = house.product.get("/configuration")
    running["configuration"]["services"] = [
        {"name": name, "kind": "speech", "address": f"ws://127.0.0.1:{made.port}/{path}", "timeout_s": 60, "audio": audio, "token": "t0ken-" + name}
        for name, path, audio in (("asr", "asr", "pcm16_16k"), ("tts", "tts", "pcm16_16k"), ("word", "word", "alaw"), ("loop", "echo", "pcm16_16k"))]
    house.product.post("/configuration/apply", running)
    assert house.product.put("/flows/voice", {"flow": FLOW})["version"] == 1
    running = house.product.get("/configuration")
    running["configuration"]["numbers"].append({"number": NUMBER, "application": "ivr", "target": "voice"})
    house.product.post("/configuration/apply", running)
    x = wav.read_mono(house.files["caller"])
    loud = numpy.argmax(numpy.abs(x) > 2000)
    wav.write_pcm(house.folder / "word.wav", x[loud:loud + 12000])
    yield made
    made.kill()


def at(house, node):
    return house.wait(lambda s: next((c for c in s["calls"] if c["node"] == node and c["called"] == NUMBER), None), 60, "a caller at node %s" % node)


def speak(house, name):
    since = house.far.mark()
    house.far.play(name, house.folder / "word.wav")
    house.far.wait_for("play_done", 30, id=name, since=since)


def test_a_call_is_understood_spoken_to_and_queued_over_a_kill_of_control(house, service):
    house.available("1001")
    house.wait_agent_idle("1001", 30)
    name = house.place(called=NUMBER)
    house.far.wait_for("connect", 30, id=name)
    call = at(house, "ask")["call"]
    house.wait(lambda s: service.lines(event="start", path="/asr", call=call), 30, "the service's session")
    house.kill("control")                       # what the caller says now is heard by nobody but the service
    speak(house, name)
    at(house, "tell")
    state = next(c for c in house.state()["calls"] if c["call"] == call)
    assert state["data"]["said"] == "spoke" and state["data"]["sure"] == 0.9
    at(house, "secret")
    house.wait(lambda s: service.lines(event="start", path="/word"), 60, "the second session")
    speak(house, name)
    house.wait(lambda s: any(c["call"] == call and c["state"] == "talking" for c in s["calls"]), 60, "the agent")
    assert [row["authorization"] for row in service.lines(event="start", call=call)] == ["Bearer t0ken-asr", "Bearer t0ken-tts", "Bearer t0ken-word"]

    def strowger(*words):
        done = subprocess.run([sys.executable, "-m", "firmware.cli", "--run", str(house.run_dir), *words], cwd=CHECKOUT, capture_output=True, text=True)
        assert done.returncode == 0, done
        return done.stdout.strip()
    # While they talk: what the caller says goes to a service that says it back to him.
    stream = strowger("stream", call, "start", "loop", "--both")
    house.wait(lambda s: service.lines(event="start", session=stream), 30, "the stream")
    time.sleep(1.2)
    service.kill()
    house.wait(lambda s: [r for r in house.product.get(f"/calls/{call}")["records"] if r["kind"] == "leg.streamed" and r["data"]["what"] == "interrupted"], 60,
               "the sentence of the lost service")
    service.start()
    house.wait(lambda s: service.lines(event="start", session=stream, again=True), 60, "the stream again")
    house.kill("control")
    house.wait(lambda s: any(c["call"] == call and any(leg["streams"] for leg in c["legs"]) for c in s["calls"]), 60, "the call after the kill")
    assert "done" in strowger("stream", call, "stop")
    house.wait(lambda s: service.lines(event="end", session=stream), 30, "the stream's end")
    house.far.hangup(name)
    house.far.wait_for("released", 30, id=name)
    house.far.wait_for("record_closed", 30, id=name)
    (said,) = service.folder.glob("*.said")
    x = numpy.frombuffer(said.read_bytes(), "<i2").astype(float)
    x = x[:len(x) // 2 * 2].reshape(-1, 2).mean(axis=1).astype(numpy.int16)
    match = align.compare(x, wav.read_mono(house.folder / f"{name}.wav"))
    assert match.correlation > 0.9 and match.overlap > 0.5 * len(x), match
    first = min(service.folder.glob(f"{stream}-*.raw"), key=lambda path: path.stat().st_ctime)
    heard = numpy.frombuffer(first.read_bytes()[:32000 * 4], "<i2").reshape(-1, 2)[::2, 1]
    match = align.compare(wav.read_mono(house.files["agent"]), heard.copy())
    assert match.correlation > 0.9 and match.overlap > 4000, match


def test_a_service_that_dies_in_the_middle_costs_the_question_not_the_call(house, service):
    name = house.place(called=NUMBER)
    house.far.wait_for("connect", 30, id=name)
    call = at(house, "ask")["call"]
    house.wait(lambda s: service.lines(event="start", path="/asr", call=call), 30, "the service's session")
    service.kill()
    try:
        house.far.wait_for("released", 60, id=name)             # the failed branch: good-bye
        house.far.wait_for("record_closed", 30, id=name)
        match = align.compare(wav.read_mono(CHECKOUT / "build" / "prompts" / "en" / "goodbye.wav"), wav.read_mono(house.folder / f"{name}.wav"))
        assert match.correlation > 0.9, match
        why = [r["data"]["position"].get("error") for r in house.product.get(f"/calls/{call}")["records"] if r["kind"] == "ivr.moved"]
        assert any(error and "asr: the service dropped the connection" in error["text"] for error in why), why
    finally:
        service.start()                                         # the tests after this one need it, whatever became of this


def test_media_killed_in_the_middle_clears_the_call_and_the_next_one_is_served(house, service):
    name = house.place(called=NUMBER)
    house.far.wait_for("connect", 30, id=name)
    call = at(house, "ask")["call"]
    house.wait(lambda s: service.lines(event="start", path="/asr", call=call), 30, "the service's session")
    house.kill("media")
    house.far.wait_for("released", 60, id=name)
    house.wait(lambda s: s["system"]["media"]["connected"], 60, "media")
    house.far.wait_for("link_up", 60, span=1)
    name = house.place(called=NUMBER)
    house.far.wait_for("connect", 60, id=name)
    call = at(house, "ask")["call"]
    house.wait(lambda s: service.lines(event="start", path="/asr", call=call), 60, "the service's session")
    house.far.hangup(name)
    house.far.wait_for("released", 30, id=name)


@pytest.mark.parametrize("codec, named", [("opus", "OPUS"), pytest.param("g722", "G722", marks=WHOLE_ONLY), pytest.param("G726-32", "G726-32", marks=WHOLE_ONLY)])
def test_a_telephone_of_another_codec(house, codec, named):
    """baresip's own coder, negotiated by the line's order; both ways measured against what was played."""
    running = house.product.get("/configuration")
    next(line for line in running["configuration"]["lines"] if line["name"] == "1002").update(codecs=[named, "PCMA"], g726_upper_first=True)     # as baresip has it
    number = "0215080%d" % (1200 + 10 * len(codec) + named.count("O"))
    running["configuration"]["numbers"].append({"number": number, "application": "line", "target": "1002"})
    house.product.post("/configuration/apply", running)
    phone = house.phone("1002", play_file=house.files["agent"], codec=codec)
    phone.start()
    house.wait(lambda s: any(line["name"] == "1002" and line["registered"] for line in s["lines"]), 30, "1002's telephone")
    name = house.place(called=number)
    house.far.wait_for("connect", 30, id=name)
    house.far.play(name, house.files["caller"])
    call = house.wait_call("talking", 30)["call"]
    time.sleep(2.2)
    house.far.hangup(name)
    house.far.wait_for("record_closed", 30, id=name)
    phone.wait_for("closed", 30)
    match = align.compare(wav.read_mono(house.files["agent"]), wav.read_mono(house.folder / f"{name}.wav"))
    assert match.correlation > 0.85 and match.overlap > 8000, match
    deadline = time.monotonic() + 30
    while not phone.recordings and time.monotonic() < deadline:
        time.sleep(0.05)
    heard = house.folder / f"{codec}.wav"
    subprocess.run(["sox", str(phone.recordings[0][0]), "-r", "8000", "-c", "1", "-b", "16", "-e", "signed", str(heard)], check=True)
    match = align.compare(wav.read_mono(house.files["caller"]), wav.read_mono(heard))
    assert match.correlation > 0.85 and match.overlap > 8000, match
    spoken = {"G726-32": "AAL2-G726-32"}.get(named, named)
    house.wait(lambda s: any(quality["codec"] == spoken for quality in house.product.get(f"/calls/{call}")["cdr"]["quality"].values()), 30, "the leg's figures")
    phone.stop()


def test_what_was_said_in_secret_and_the_tokens_are_nowhere(house, service):
    time.sleep(1)
    found = []
    for path in house.folder.rglob("*"):
        if path.is_file() and path.suffix != ".wav" and not {"lines", "speech"} & set(path.parts) and path.name != "window":
            octets = path.read_bytes()
            if path.name != "configuration.json" and b"t0ken" in octets and path.suffix in (".log", ""):
                found.append(path)
            if WORD.encode() in octets and path.suffix == ".log":
                found.append(path)
    assert found == []
    with sqlite3.connect("file:%s?mode=ro" % (house.data_dir / "strowger.db"), uri=True) as db:
        kinds = {row[0] for row in db.execute("select kind from journal where data like ?", ("%" + WORD + "%",))}
        kinds |= {record["kind"] for record in Journal(db).everything() if WORD in json.dumps(record, ensure_ascii=False)}
        changes = [row[0] for row in db.execute("select data from journal where kind = 'configuration.changed'")]
    # The flow itself names the word that is right, and so does the path of what a configuration changed in it.
    assert kinds <= {"flow.loaded", "core.checkpoint", "configuration.changed"}
    assert not [row for row in changes if any(WORD in path and not path.startswith("ivr.voice.nodes.right.choices.") for path in json.loads(row)["paths"])]
