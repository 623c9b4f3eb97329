"""Two far exchanges back to back over a crossed cable: calls, audio, framing, faults.

libpri against libpri and spandsp against spandsp prove the rig, not the
product; tshark reads the trace as a third party.
"""

import pathlib
import shutil
import subprocess
import time

import numpy as np
import pytest

from hil import speech
from hil.far.cable import Cable
from hil.far.client import FarExchange, Refused
from hil.probes import align, dtmf, wav

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPANS = [1, 2, 3, 4]


@pytest.fixture(scope="session")
def binary():
    subprocess.run(["nice", "make", "-s", "-C", str(ROOT / "hil"), "../build/hil/far-exchange"], check=True)


class Pair:
    """A network side, a user side, and the cable; what it lets through can be tampered with."""

    def __init__(self, base, spans, crc4):
        self.base, self.change = base, None
        self.cable = Cable(base / "n", base / "c", spans, lambda *a: self.change(*a) if self.change else a[2])
        self.net = FarExchange(base / "n", spans, crc4=crc4, trace_dir=base / "trace")
        self.cpe = FarExchange(base / "c", spans, side="cpe", crc4=crc4)
        self.spans = spans

    def __enter__(self):
        self.cable.__enter__()
        self.net.start()
        self.cpe.start()
        for end in (self.net, self.cpe):
            for span in self.spans:
                end.wait_for("link_up", 10, span=span)
        return self

    def __exit__(self, *_):
        self.net.stop()
        self.cpe.stop()
        self.cable.__exit__()


@pytest.fixture(scope="module")
def pair(binary, tmp_path_factory):
    with Pair(tmp_path_factory.mktemp("far"), SPANS, [1, 3]) as pair:
        yield pair


@pytest.fixture(autouse=True)
def plain_policy(request):
    if "pair" in request.fixturenames:
        pair = request.getfixturevalue("pair")
        pair.change = None
        pair.cpe.policy()
        pair.net.policy()


def other_end(pair, mark, span=1):
    return pair.cpe.wait_for("incoming", since=mark, span=span)


def test_call_en_bloc_and_release(pair):
    mark = pair.cpe.mark()
    assert pair.net.call("bloc", 1, "02150801000", "13912345678", redirecting="4008001000", timeslot=5)["timeslot"] == 5
    come = other_end(pair, mark)
    assert (come["caller"], come["called"], come["redirecting"], come["timeslot"], come["complete"]) == (
        "13912345678", "02150801000", "4008001000", 5, True)
    for state in ("setup", "proceeding", "alerting", "connect"):
        pair.net.wait_for(state, id="bloc")
    pair.net.hangup("bloc")
    end = pair.cpe.wait_for("hangup", id=come["id"])
    assert (end["cause"], end["by"]) == (16, "box")
    assert pair.net.wait_for("hangup", id="bloc")["by"] == "exchange"
    pair.net.wait_for("released", id="bloc")
    pair.cpe.wait_for("released", id=come["id"])
    assert not pair.net.status()["calls"] and not pair.cpe.status()["calls"]


def test_overlap_sending_with_and_without_first_digits(pair):
    pair.cpe.policy(digits=11)
    for first in (0, 4):
        mark, name = pair.cpe.mark(), f"overlap-{first}"
        pair.net.call(name, 2, "02150801000", overlap=20, initial_digits=first)
        come = other_end(pair, mark, 2)
        assert (come["called"], come["complete"]) == ("02150801000"[:first], False)
        pair.net.wait_for("setup_ack", id=name)
        pair.net.wait_for("connect", id=name)
        digits = pair.cpe.events("digits", since=mark, id=come["id"])
        assert [d["digits"] for d in digits] == list("02150801000"[first:])
        assert digits[-1]["called"] == "02150801000"
        pair.net.hangup(name)
        pair.net.wait_for("released", id=name)


def test_the_box_refuses_or_hangs_up(pair):
    pair.cpe.policy(incoming="refuse", cause=21)
    pair.net.call("refused", 1, "100")
    end = pair.net.wait_for("hangup", id="refused")
    assert (end["cause"], end["by"]) == (21, "box")
    pair.net.wait_for("released", id="refused")
    pair.cpe.policy(incoming="alert")
    mark = pair.cpe.mark()
    pair.net.call("left", 1, "100")
    come = other_end(pair, mark)
    pair.net.wait_for("alerting", id="left")
    assert not pair.net.events("connect", id="left")
    pair.cpe.hangup(come["id"], 19)
    assert pair.net.wait_for("hangup", id="left")["cause"] == 19
    pair.cpe.wait_for("released", id=come["id"])


def test_call_of_the_box_answered_by_command(pair):
    pair.net.policy(incoming="manual")
    mark = pair.net.mark()
    pair.cpe.call("out", 3, "01012345678", "1001")
    come = pair.net.wait_for("incoming", since=mark, span=3)
    pair.cpe.wait_for("proceeding", id="out")
    pair.net.alert(come["id"])
    pair.cpe.wait_for("alerting", id="out")
    pair.net.answer(come["id"])
    pair.cpe.wait_for("connect", id="out")
    pair.cpe.hangup("out")
    pair.net.wait_for("released", id=come["id"])


def test_audio_both_ways_to_the_last_sample(pair, tmp_path):
    caller, agent = speech.choose(3, 2, 3, tmp_path)
    wav.write_pcm(tmp_path / "agent-pcm.wav", wav.read_mono(agent))      # both kinds of file
    pair.cpe.policy(play=tmp_path / "agent-pcm.wav", record_dir=tmp_path)
    mark = pair.cpe.mark()
    pair.net.call("audio", 1, "100", record=tmp_path / "heard.wav")
    connect = pair.net.wait_for("connect", id="audio")
    come = other_end(pair, mark)
    at = connect["sample"] + 4000
    reply = pair.net.play("audio", caller, at_sample=at)
    assert reply == {**reply, "tx_sample": at, "samples": 24000}
    pair.net.wait_for("play_done", id="audio", timeout_s=8)
    pair.cpe.wait_for("play_done", id=come["id"])
    time.sleep(0.05)        # let the last blocks cross the cable
    pair.net.hangup("audio")
    ends = []
    for end, name, sent, sent_at in ((pair.net, "audio", agent, None), (pair.cpe, come["id"], caller, at)):
        closed = end.wait_for("record_closed", id=name)
        heard = wav.read_mono(closed["file"])
        begun, over = end.wait_for("record_started", id=name), end.wait_for("released", id=name)
        assert len(heard) == closed["samples"] == over["sample"] - begun["rx_sample"]     # no gap
        match = align.compare(wav.read_mono(sent), heard)
        assert (match.slips, match.overlap) == ([], 24000)
        ends.append((wav.read_mono(sent) == heard[match.lag:match.lag + 24000]).all())
        if sent_at is not None:
            # Each end counts the blocks it was given; what it answers to one, the other gets with the next.
            given_net, given_cpe = pair.cable.given(1)
            delay = begun["rx_sample"] + match.lag - sent_at - 80 * (given_cpe - given_net)
            assert delay == 80
    assert ends == [True, True]


def test_digits_reach_the_other_end(pair, tmp_path):
    pair.cpe.policy(record_dir=tmp_path)
    mark = pair.cpe.mark()
    pair.net.call("keys", 2, "100")
    pair.net.wait_for("connect", id="keys")
    come = other_end(pair, mark, 2)
    start = pair.net.dtmf("keys", "12*", on_ms=60, off_ms=60)["tx_sample"]
    pair.net.dtmf("keys", "#0", on_ms=60, off_ms=60)
    done = pair.net.wait_for("dtmf_done", id="keys")
    assert done["digits"] == "12*#0" and 0 <= done["tx_sample"] - start - 5 * 960 < 80 * 13
    pair.net.hangup("keys")
    closed = pair.cpe.wait_for("record_closed", id=come["id"])
    assert dtmf.text(wav.read_mono(closed["file"])) == "12*#0"


def test_restart_is_reported(pair):
    mark = pair.net.mark()
    pair.cpe.restart(4, 7)
    assert pair.net.wait_for("restart", since=mark, span=4)["timeslot"] == 7
    assert pair.cpe.wait_for("restart_ack", span=4)["timeslot"] == 7
    assert pair.net.events("message", since=mark, name="RESTART", direction="rx")


def test_status_messages_are_reported(pair):
    mark = pair.net.mark()
    pair.cpe.command("replace_next", span=4, octets="0802003f75")     # STATUS ENQUIRY for a call that is not
    pair.cpe.restart(4, 9)
    pair.net.wait_for("message", since=mark, name="STATUS_ENQUIRY", direction="rx", call_reference=63)
    answer = pair.net.wait_for("message", since=mark, direction="tx", call_reference=63)
    assert answer["name"] in ("STATUS", "RELEASE_COMPLETE")
    pair.cpe.wait_for("message", direction="rx", name=answer["name"], call_reference=63)


def test_crc4_errors_are_counted_and_answered(pair):
    def counts():
        cpe, net = (end.status()["spans"][2] for end in (pair.cpe, pair.net))
        return cpe["crc4_errors"], net["e_bits"], cpe["fas_errors"], net["crc4_errors"]

    assert all(s["multiframe"] == s["crc4"] for end in (pair.net, pair.cpe) for s in end.status()["spans"])
    before = counts()              # a relay that the host held up has made errors of its own
    hits = []

    def spoil(way, span, block):
        if way == 0 and span == 3 and len(hits) < 10 and block[0] != 0xFF:
            hits.append(1)
            return block[:100] + bytes([block[100] ^ 4]) + block[101:]       # frame 3, timeslot 4
        return block
    pair.change = spoil
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        found = tuple(now - then for now, then in zip(counts(), before))
        if found[:2] == (10, 10):
            break
        time.sleep(0.05)
    assert found == (10, 10, 0, 0)


def test_loss_of_alignment_and_line(pair):
    marks = pair.net.mark(), pair.cpe.mark()
    pair.net.line(4, "scrambled")
    pair.cpe.wait_for("alignment_lost", since=marks[1], span=4)
    pair.net.wait_for("rai_on", since=marks[0], span=4)
    pair.net.line(4, "normal")
    pair.cpe.wait_for("alignment_found", since=marks[1], span=4)
    pair.net.wait_for("rai_off", since=marks[0], span=4)
    pair.net.line(4, "ais")
    pair.cpe.wait_for("ais_on", since=marks[1], span=4)
    pair.net.line(4, "normal")
    pair.cpe.wait_for("ais_off", since=marks[1], span=4)
    mark = pair.net.mark()
    pair.net.line(4, "cut")
    pair.net.wait_for("line_down", since=mark, span=4)
    pair.net.line(4, "normal")
    pair.net.wait_for("line_up", since=mark, span=4)
    pair.net.wait_for("alignment_found", since=mark, span=4)
    mark = pair.net.mark()
    pair.net.call("after", 4, "100")            # the data link has outlived it all
    pair.net.wait_for("connect", since=mark, id="after")
    assert not pair.net.events("link_down", span=4)
    pair.net.hangup("after")
    pair.net.wait_for("released", id="after")


def test_refusals_say_why(pair):
    for fields, word in (({"span": 9, "id": "x", "called": "1"}, "span"), ({"span": 1, "id": "", "called": "1"}, "id"),
                         ({"span": 1, "id": "x", "called": "1", "timeslot": 16}, "timeslot"),
                         ({"span": 1, "id": "x", "called": "1", "play": "/nowhere.wav"}, "cannot be read")):
        with pytest.raises(Refused, match=word):
            pair.net.command("call", **fields)
    for do in ("jump", "hangup", "dtmf"):
        with pytest.raises(Refused):
            pair.net.command(do, id="nobody")
    pair.net._socket.sendall(b"{broken\n")
    assert pair.net.status()["ok"]


def test_trace_is_decoded_by_tshark_without_a_fault(pair):
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    pair.net.call("traced", 1, "02150801000", "13912345678", redirecting="4008001000")
    pair.net.wait_for("connect", id="traced")
    pair.net.hangup("traced")
    pair.net.wait_for("released", id="traced")
    time.sleep(0.2)
    shown = subprocess.run(["tshark", "-r", str(pair.base / "trace" / "span-1.pcap"), "-T", "fields", "-E", "separator=;",
                            "-e", "_ws.expert.severity", "-e", "_ws.malformed", "-e", "q931.message_type",
                            "-e", "q931.redirecting_number.digits", "-e", "lapd.control.u_modifier_cmd"],
                           capture_output=True, text=True, check=True).stdout.splitlines()
    columns = [line.split(";") for line in shown]
    bad = 0x00600000        # PI_WARN; errors are above
    assert not [c for c in columns if c[1] or any(int(s, 0) >= bad for s in c[0].split(",") if s)]
    kinds = {"0x05", "0x02", "0x01", "0x07", "0x45", "0x4d", "0x5a"}
    assert kinds <= {c[2] for c in columns} and len(columns) >= 2 * len(kinds)          # each is acknowledged
    assert "4008001000" in {c[3] for c in columns}


def test_full_load_of_four_spans(pair, tmp_path):
    """30 calls on each span at once, all recorded, all speaking; and what that costs."""
    voice, = speech.choose(8, 1, 1, tmp_path)
    pair.cpe.policy(play=voice, repeat=True)
    names = [f"load-{span}-{n}" for span in SPANS for n in range(30)]
    began = time.monotonic()
    for name in names:
        pair.net.call(name, int(name.split("-")[1]), "02150801000", record=tmp_path / f"{name}.wav")
    for name in names:
        pair.net.wait_for("connect", 20, id=name)
    rate = len(names) / (time.monotonic() - began)
    with pytest.raises(Refused, match="taken"):
        pair.net.call("one-more", 1, "1")
    used, began = _cpu(pair.net.pid), time.monotonic()
    time.sleep(2)
    load = (_cpu(pair.net.pid) - used) / (time.monotonic() - began)
    for name in names:
        pair.net.hangup(name)
    for name in names:
        pair.net.wait_for("released", 20, id=name)
        pair.net.wait_for("record_closed", 5, id=name)
    print(f"\n{len(names)} calls: {rate:.0f} set-ups a second, {load:.1%} of a core for the network side")
    reference = wav.read_mono(voice)
    for name in names[::7]:
        heard = wav.read_mono(tmp_path / f"{name}.wav").astype(float)
        place, value = align.best_lag(reference, heard[4000:20000])
        assert value > 0.999
    assert load < 0.5
    assert not pair.net.status()["calls"]


def _cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_it_ends_with_its_master_and_says_what_is_wrong(binary, tmp_path):
    far = FarExchange(tmp_path, [1]).start()
    pid = far.pid
    far.process.stdin.close()
    far.process.wait(5)
    assert not pathlib.Path(f"/proc/{pid}").exists() or far.process.returncode == 0
    with pytest.raises((TimeoutError, ConnectionError, OSError)):
        far.wait_for("link_up", 0.5)
        far.status()
    far.stop()
    for options, word in ((["--spans", "65"], "64"), (["--side", "left"], "side"), (["--control", "/" + "x" * 120], "path")):
        done = subprocess.run([str(far.binary), "--run", str(tmp_path), "--control", str(tmp_path / "c"), "--spans", "1",
                               *options], capture_output=True, text=True, timeout=5)
        assert done.returncode == 2 and word in done.stderr


def test_recording_survives_sigkill(binary, tmp_path):
    with Pair(tmp_path, [7], [7]) as pair:
        pair.net.call("killed", 7, "100", record=tmp_path / "killed.wav")
        pair.net.wait_for("connect", id="killed")
        time.sleep(1.6)
        pair.net.process.kill()
        pair.net.process.wait()
        heard = wav.read_mono(tmp_path / "killed.wav")
        assert len(heard) >= 8000 and np.all(np.abs(heard) <= 8)
