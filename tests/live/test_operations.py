"""Hold, consultation, conference, listening, park and feature codes on one live call through the whole house.

Everybody says a tone of his own: who hears whom is read from the spectrum of what arrives at each telephone (probe phones)
and at the far exchange (its recording), with a kill -9 of control in the middle."""

import ctypes
import ctypes.util
import json
import time

import numpy as np
import pytest

from hil.board.clock import BoardClock
from hil.browser import Person
from hil.phone.probe import ProbePhone
from hil.probes import wav
from hil.product import USER
from hil.rig import CHECKOUT, PASSWORD
from tests.live.flash_cases import test_a_hook_flash_is_hold_second_call_conference_and_transfer     # noqa: F401  it shares this house

pytestmark = pytest.mark.live

TONES = {"caller": 550, "1002": 830, "1003": 1170, "1004": 1510}
STEP_S = 1.1            # of which the last 0.5 s are looked at
LOOK = 4000


def tone(hertz, seconds):
    """A-law octets of a sine at -16 dBm0 or so."""
    n = np.arange(int(seconds * 8000))
    return wav.alaw_compress(np.rint(5000 * np.sin(2 * np.pi * hertz * n / 8000)).astype(np.int16)).tobytes()


def heard(samples):
    """Names of those whose tones are in some samples."""
    samples = np.asarray(samples, float)[-LOOK:]
    n = np.arange(len(samples))
    window = np.hanning(len(samples))
    levels = {name: 4 * abs(np.sum(samples * window * np.exp(-2j * np.pi * hertz * n / 8000))) / len(samples) for name, hertz in TONES.items()}
    return sorted(name for name, level in levels.items() if level > 500)         # a tenth of what is said


@pytest.fixture(scope="module")
def phones(house):
    lines = {line["name"]: line["password"] for line in house.product.get("/configuration")["configuration"]["lines"]}
    made = {}
    try:
        house.available("1001", "logged_out")
        for name in ("1002", "1003", "1004"):
            made[name] = ProbePhone(name, lines[name], house.sip_port, clock=BoardClock(house.run_dir))
            made[name].payload_types = (8, 101)
            made[name].start()
        house.available("1002")
        house.wait_agent_idle("1002")
        yield made
    finally:
        for phone in made.values():
            phone.stop()


class Floor:
    """The call in question, and what everybody hears now."""

    def __init__(self, house, phones):
        self.house, self.phones, self.marks, self.call = house, phones, [], None

    def ask(self, operation, **body):
        return self.house.product.post(f"/calls/{self.call}/{operation}", body)

    def hear(self, what, **wanted):
        """After a step: each named telephone hears these; the caller's is looked up at the end, in the recording."""
        time.sleep(STEP_S)
        self.marks.append((time.monotonic(), what, sorted(wanted.pop("caller"))))
        got = {name: heard(self.received(name[1:])) for name in wanted}
        assert got == {name: sorted(others) for name, others in wanted.items()}, what

    def received(self, name):
        """The newest samples of a telephone."""
        return wav.alaw_expand(np.frombuffer(self.phones[name].received_octets()[-LOOK:], np.uint8))

    def speak(self, name):
        self.phones[name].play(tone(TONES[name], 60))

    def file(self):
        """What the far exchange plays for the caller."""
        path = self.house.folder / "tone.wav"
        wav.write_alaw(path, wav.alaw_expand(np.frombuffer(tone(TONES["caller"], 60), np.uint8)))
        return path

    def caller_heard(self, caller):
        """The recording of the caller's side, which has just ended, says at each mark what was wanted there."""
        samples = wav.read_mono(self.house.folder / f"{caller}.wav")
        offset_s = self.marks[-1][0] - (len(samples) / 8000)      # the recording ended just after the last mark
        music = wav.read_mono(CHECKOUT / "build" / "prompts" / "music.wav")
        for moment, what, wanted in self.marks:
            at = int((moment - offset_s - 0.15) * 8000)
            piece = samples[at - LOOK:at]
            if wanted == ["music"]:
                assert heard(piece) == [] and np.std(piece) > 0.1 * np.std(music), f"{what}: music"
            else:
                assert heard(piece) == wanted, f"{what}: the caller hears {heard(piece)}"


@pytest.fixture
def floor(house, phones):
    return Floor(house, phones)


@pytest.fixture(scope="module")
def supervisor(house):
    with Person(house.product.url) as person:
        person.sign_in(USER, PASSWORD)
        yield person


def test_who_hears_whom(house, phones, floor, supervisor):
    before = sum(row["in_calls"] for row in house.product.get("/reports/trunk_groups?interval=quarter")["rows"])
    marks = {name: phone.mark() for name, phone in phones.items()}
    caller = house.place_and_choose("1")
    began = house.far.wait_for("record_started", 5, id=caller)
    phones["1002"].wait_for("answered", 15, since=marks["1002"])
    floor.call = house.wait_call("talking")["call"]
    house.far.play(caller, floor.file())
    floor.speak("1002")
    floor.hear("talking", caller=["1002"], _1002=["caller"])

    floor.ask("hold")
    floor.hear("held", caller=["music"], _1002=[])
    assert house.state()["calls"][0]["held"]
    floor.ask("consult", to="agent", target="1003")
    phones["1003"].wait_for("answered", 5, since=marks["1003"])
    floor.speak("1003")
    floor.hear("consulting", caller=["music"], _1002=["1003"], _1003=["1002"])
    floor.ask("conference")
    floor.hear("three", caller=["1002", "1003"], _1002=["1003", "caller"], _1003=["1002", "caller"])

    supervisor.driver.execute_script("const m = document.getElementById('mine'); m.value = '1004'; m.dispatchEvent(new Event('change'));")
    supervisor.see(f"tr[data-call={floor.call}] button[data-mode=listen]", 10).click()
    phones["1004"].wait_for("answered", 5, since=marks["1004"])
    invite = next(octets for _, way, octets in phones["1004"].log if way == "rx" and octets.startswith(b"INVITE"))
    assert b"answer-after=0" in invite, "the telephone may answer by itself"
    floor.speak("1004")
    everybody = ["1002", "1003", "caller"]
    floor.hear("listening", caller=["1002", "1003"], _1002=["1003", "caller"], _1003=["1002", "caller"], _1004=everybody)
    floor.ask("monitor", mode="whisper", agent="1004")
    floor.hear("whispering", caller=["1002", "1003"], _1002=["1003", "1004", "caller"], _1003=["1002", "caller"], _1004=everybody)
    house.kill("control")
    house.wait(lambda s: s["calls"] and s["calls"][0]["monitors"], 10, "the call after the kill")
    floor.hear("after the kill", caller=["1002", "1003"], _1002=["1003", "1004", "caller"], _1003=["1002", "caller"], _1004=everybody)
    floor.ask("monitor", mode="barge", agent="1004")
    floor.hear("barging", caller=["1002", "1003", "1004"], _1003=["1002", "1004", "caller"])

    phones["1002"].hangup()
    floor.hear("the agent left", caller=["1003", "1004"], _1003=["1004", "caller"])
    floor.ask("monitor", mode="end", agent="1004")
    place = floor.ask("park", by="1003")["place"]
    house.wait(lambda s: s["calls"][0]["state"] == "parked", 5, "the parked call")
    floor.hear("parked", caller=["music"])
    mark = phones["1004"].mark()
    phones["1004"].dial("*7%d" % place)
    phones["1004"].wait_for("answered", 5, since=mark)
    floor.speak("1004")
    floor.hear("fetched", caller=["1004"], _1004=["caller"])
    house.far.hangup(caller)
    house.far.wait_for("record_closed", 8, id=caller)
    house.wait_idle()

    floor.caller_heard(caller)
    report = {row["name"]: row for row in house.product.get("/reports/queues")["rows"]}
    queue = next(q for q in house.state()["queues"] if q["name"] == "sales")
    for name, figure in (("queued", "offered"), ("answered", "answered"), ("abandoned", "abandoned"), ("service_level", "service_level")):
        assert report["sales"][name] == queue[figure], name
    trunks = house.product.get("/reports/trunk_groups?interval=quarter")["rows"]
    assert sum(row["in_calls"] for row in trunks) == before + 1 and sum(row["seized_ms"] for row in trunks) > 10000
    assert house.product.post("/reports/check") == {"differed": []}, "the sums are what the journal gives, over the kill"
    octets = house.product.octets("/api/v1/reports/agents?format=csv")
    assert octets.startswith(b"\xef\xbb\xbfstart,end,name,"), octets[:60]
    found = house.cdr(floor.call)
    assert (found["cdr"]["agents"], found["cdr"]["result"]) == (["1002", "1003", "1004"], "answered")
    assert len(found["recordings"]) >= 2 and {r["data"]["by"] for r in found["records"] if r["kind"] == "call.monitoring"} == {"admin"}


def test_codes_dialled_at_the_telephone(house, phones):
    phone, mark = phones["1003"], phones["1003"].mark()
    running = house.product.get("/configuration")
    running["configuration"]["break_reasons"] = [{"name": "lunch"}]
    running["configuration"]["feature_codes"] = [{"code": "*43", "action": "break", "reason": "lunch"}, {"code": "*41", "action": "log_in"}]
    house.product.post("/configuration/apply", running)
    house.available("1003")
    phone.dial("*43")
    phone.wait_for("answered", 5, since=mark)
    phone.wait_for("closed", 10, since=mark)
    state = next(a for a in house.state()["agents"] if a["name"] == "1003")
    assert (state["status"], state["reason"], state["state"]) == ("on_break", "lunch", "idle")
    assert np.std(wav.alaw_expand(np.frombuffer(phone.received_octets(), np.uint8))) > 100, "a word of confirmation"
    house.available("1002", "logged_out")
    house.available("1003", "logged_out")
    mark = phone.mark()
    phone.dial("*411002")                       # agent 1002 sits down at the telephone of 1003
    phone.wait_for("closed", 10, since=mark)
    house.wait(lambda s: any(a["name"] == "1002" and a["line"] == "1003" and a["status"] == "available" for a in s["agents"]), 5, "1002 at line 1003")
    mark = phone.mark()
    caller = house.place_and_choose("1")
    phone.wait_for("answered", 15, since=mark)
    assert house.wait_call("talking")["agent"] == "1002"
    house.far.hangup(caller)
    house.wait_idle()
    house.available("1002", "logged_out")

def callers_number(number):
    """What spandsp's sender makes of a Bellcore message by V.23, as samples."""
    library = ctypes.CDLL(ctypes.util.find_library("spandsp"))
    library.adsi_tx_init.restype = ctypes.c_void_p
    body = b"\x80" + bytes([len(number) + 2]) + b"\x02" + bytes([len(number)]) + number
    sender, out, made = ctypes.c_void_p(library.adsi_tx_init(None, 2)), np.zeros(24000, np.int16), 0
    library.adsi_tx_put_message(sender, (ctypes.c_uint8 * 100)(*body), len(body))
    while made < len(out):
        n = library.adsi_tx(sender, out[made:].ctypes.data_as(ctypes.c_void_p), min(800, len(out) - made))
        made += n
        if n < 800:
            break
    library.adsi_tx_free(sender)
    return out


def test_listening_and_sending_by_command_on_a_live_call(house, phones):
    """Busy tone and a caller's number from the far exchange become records; noise reduction is switched on and off and survives a
    kill of control; a tone of the country sent to the agent's telephone is heard there."""
    file = house.folder / "busy.wav"
    busy = np.tile(np.concatenate([5000 * np.sin(2 * np.pi * 450 * np.arange(2800) / 8000), np.zeros(2800)]), 6)
    wav.write_alaw(file, np.concatenate([np.zeros(4000), callers_number(b"13800138000"), np.zeros(2000), busy]).astype(np.int16))
    mark = phones["1002"].mark()
    house.available("1002")
    house.wait_agent_idle("1002")
    caller = house.place_and_choose("1", record=False)
    phones["1002"].wait_for("answered", 15, since=mark)
    call = house.wait_call("talking")["call"]
    ask = lambda operation, **body: house.product.post(f"/calls/{call}/{operation}", body)
    ask("listen", progress=True, caller_id="v23", answer=True)
    ask("enhance", noise=True, level="agc")
    house.far.play(caller, file)
    leg = lambda state: next(row for row in state["calls"][0]["legs"] if row["role"] == "caller")
    house.wait(lambda s: leg(s)["heard"].get("caller_id", {}).get("fields") == {"number": "13800138000"}, 15, "the caller's number")
    house.kill("control")
    house.wait(lambda s: s["calls"] and leg(s)["heard"].get("progress") == {"tone": "busy", "on": True}, 15, "busy tone")
    assert leg(house.state())["enhance"] == {"noise": True, "level": "agc"} and leg(house.state())["listens"]["progress"]
    ask("enhance", noise=False, level="off")
    ask("send", leg="agent", tone="busy", duration_ms=3000)
    time.sleep(1.5)
    received = wav.alaw_expand(np.frombuffer(phones["1002"].received_octets()[-8000:], np.uint8)).astype(float)
    assert 4 * abs(np.sum(received * np.hanning(8000) * np.exp(-2j * np.pi * 450 * np.arange(8000) / 8000))) / 8000 > 500
    kinds = [record["kind"] for record in house.product.get(f"/calls/{call}")["records"]]
    assert {"leg.listening", "leg.enhanced", "leg.heard", "leg.sent"} <= set(kinds)
    house.far.hangup(caller)
    house.wait_idle()


def test_play_record_and_conference_by_command(house, phones):
    """Over REST, on one live call: the form of the file, a pause in it, a prompt at another speed, mute; the page's download is PCM."""
    floor, phone, file = Floor(house, phones), phones["1002"], house.folder / "tone-again.wav"
    wav.write_alaw(file, wav.alaw_expand(np.frombuffer(tone(TONES["caller"], 60), np.uint8)))
    running = house.product.get("/configuration")
    running["configuration"]["recording"] = {"format": "ima", "channels": "stereo"}
    running["configuration"]["tones"] = [{"name": "attention", "frequencies_hz": "1900+2300", "level_dbm0": -16, "cadence_ms": "200,100"}]
    house.product.post("/configuration/apply", running)
    house.available("1002")
    house.wait_agent_idle("1002")
    mark = phone.mark()
    caller = house.place_and_choose("1")
    phone.wait_for("answered", 15, since=mark)
    floor.call = house.wait_call("talking")["call"]
    house.far.play(caller, file)
    floor.hear("talking", caller=[], _1002=["caller"])
    floor.ask("record", action="pause", text="card")
    assert floor.ask("play", leg="agent", music="default", speed=1.5, repeat=0)["start_ms"] == 0
    time.sleep(STEP_S)
    floor.ask("player", leg="agent", pause=True)
    floor.ask("party", leg="caller", mute=True)
    floor.hear("the caller only listens", caller=[], _1002=[])
    floor.ask("party", leg="caller", mute=False)
    floor.ask("record", action="resume")
    floor.hear("heard again", caller=[], _1002=["caller"])
    floor.ask("player", leg="agent", pause=False, seek_ms=5000, volume_db=-6)
    time.sleep(0.5)
    floor.ask("player", leg="agent", stop=True)
    floor.ask("send", leg="agent", tone="attention", duration_ms=2000)          # a tone of the house, by its name
    time.sleep(1.2)
    spectrum = np.abs(np.fft.rfft(floor.received("1002") * np.hanning(LOOK)))
    assert min(spectrum[950], spectrum[1150]) > 10 * np.median(spectrum), "1900 and 2300 Hz, bins of 2 Hz"
    # A prompt whose file was spoilt on the disk since it was given: an event with a sentence, and the call goes on.
    assert json.loads(house.product.octets("/api/v1/prompts/en/greeting?file=g.wav", "PUT", file.read_bytes()))["version"]
    given = [path for path in house.data_dir.rglob("*.wav") if "greeting" in str(path)]
    assert given
    for path in given:
        path.write_bytes(path.read_bytes()[:40])
    floor.ask("play", leg="agent", prompt="greeting", language="en")
    told = lambda: [r["data"] for r in house.product.get(f"/calls/{floor.call}")["records"] if r["kind"] == "play.ended" and r["data"]["reason"] == "error"]
    house.wait(lambda s: told(), 30, "the event that tells of the spoilt file")
    assert "cut short" in told()[0]["error"] and "copy it again" in told()[0]["error"]
    floor.hear("a spoilt prompt does the call no harm", caller=[], _1002=["caller"])
    house.product.post("/prompts/en/greeting/rollback", {"version": None})
    house.far.hangup(caller)
    house.wait_idle()
    found = house.cdr(floor.call)
    (row,) = found["recordings"]
    assert (row["format"], row["channels"]) == ("ima", "stereo")
    marks = row["marks"]
    assert [(m["mark"], m["text"]) for m in marks] == [("paused", "card"), ("resumed", "")] and marks[1]["ms"] - marks[0]["ms"] > 1500
    octets = house.product.recording(floor.call, row["id"])
    assert octets[20:24] == b"\x01\x00\x02\x00", "16-bit PCM in two channels, which every browser plays"
    samples = np.frombuffer(octets[44:], "<i2").reshape(-1, 2)[:, 0]
    before, within = samples[:marks[0]["ms"] * 8], samples[marks[0]["ms"] * 8 + 800:marks[1]["ms"] * 8 - 800]
    assert heard(before) == ["caller"] and np.abs(within).max() < 100, "not a word of the pause is in the file"
    (ended,) = [r["data"] for r in found["records"] if r["kind"] == "play.ended" and r["data"]["reason"] != "error"]
    assert ended["reason"] == "stopped" and 5200 < ended["position_ms"] < 8000, "half a second at 1.5 of its speed from the place that was asked for"
    original = house.product.octets(f"/api/v1/calls/{floor.call}/recordings/{row['id']}?original=1")
    assert original[20:22] == b"\x11\x00" and b"paused card" in original
