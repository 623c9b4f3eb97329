"""One call through the whole house and every kind of node: digits by the far exchange, the sound that comes back, services of others.

The web service is Python's, the database SQLite's, the program a FastAGI one of its own; control is killed in the middle.  A
PIN that is keyed is looked for in everything that the house writes."""

import http.server
import json
import pathlib
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time

import numpy
import pytest

from firmware.storage.journal import Journal
from hil.probes import align, wav
from hil.product import ProductError
from hil.rig import CHECKOUT
from tests.conftest import WHOLE_ONLY

pytestmark = pytest.mark.live

PROMPTS = CHECKOUT / "build" / "prompts"
NUMBER = "02150801077"
PIN = "739517"
FLOW = """flow version 1
languages zh_CN
start account

account: collect
  prompts
    - enter_code
  into account
  length 4
  check "between(value, 1000, 9999)"
  first_timeout_s 20
  next pin
  failed bye

pin: collect
  prompts
    - enter_code
  into pin
  length 6
  secret true
  first_timeout_s 20
  next ask
  failed bye

ask: http
  service crm
  path "/accounts/{account}"
  method POST
  body
    pin "{pin}"
  take
    balance body.balance
  timeout_s 20
  next look
  failed bye

look: sql
  service customers
  statement "select name, level from customer where account = :account"
  parameters
    account "{account}"
  take
    level row.level
  timeout_s 20
  next gold
  failed bye

gold: branch
  cases
    - {"if": "level == \\"gold\\" and balance > 100", "next": "tell"}
  otherwise bye

tell: play
  prompts
    - {"money": "{balance}"}
  barge_in false
  next sub

sub: flow
  flow inner
  next message

message: record
  into words
  most_s 30
  next program
  failed bye

program: agi
  service agent_script
  timeout_s 30
  next queue
  failed bye

queue: queue
  queue sales
  after rate

rate: survey
  prompts
    - please_wait
  survey csat
  question q1
  choices "12345"
  timeout_s 20
  next bye

bye: hangup
  prompts
    - goodbye
"""
INNER = "flow version 1\nlanguages zh_CN\nstart a\n\na: set\n  variables\n    passed yes\n  next b\n\nb: return\n"


class CRM(http.server.BaseHTTPRequestHandler):
    asked = []

    def do_POST(self):
        self.asked.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        body = b'{"balance": "2105.20"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def script(listener, heard):
    """A FastAGI program: asks for two digits, says them, sets a variable.  Serves until its listener is closed."""
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        heard.clear()
        with sock, sock.makefile("rw", encoding="utf-8", newline="\n") as wire:
            while wire.readline().strip():
                pass
            for command in ('GET DATA please_wait 20000 2', 'SAY NUMBER 12 ""', 'SET VARIABLE ticket T-9', "GET VARIABLE account"):
                wire.write(command + "\n")
                wire.flush()
                heard.append(wire.readline().strip())


@pytest.fixture(scope="module")
def services(house):
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), CRM)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    listener, heard = socket.create_server(("127.0.0.1", 0)), []
    threading.Thread(target=script, args=(listener, heard), daemon=True).start()
    folder = house.data_dir / "databases"
    folder.mkdir()
    with sqlite3.connect(folder / "customers.db") as db:
        db.execute("create table customer (account text, name text, level text)")
        db.execute("insert into customer values ('4711', '李', 'gold')")
    db.close()
    running = house.product.get("/configuration")
    running["configuration"]["services"] = [
        {"name": "crm", "kind": "http", "address": "http://127.0.0.1:%d" % web.server_port, "timeout_s": 30},
        {"name": "customers", "kind": "sqlite", "address": "customers.db", "timeout_s": 30},
        {"name": "agent_script", "kind": "agi", "address": "agi://127.0.0.1:%d" % listener.getsockname()[1]}]
    house.product.post("/configuration/apply", running)
    assert house.product.put("/flows/inner", {"text": INNER})["version"] == 1
    assert house.product.put("/flows/proof", {"text": FLOW})["version"] == 1
    running = house.product.get("/configuration")
    running["configuration"]["numbers"].append({"number": NUMBER, "application": "ivr", "target": "proof"})
    house.product.post("/configuration/apply", running)
    yield heard
    web.shutdown()
    listener.close()


def at(house, node):
    return house.wait(lambda s: next((c for c in s["calls"] if c["node"] == node and c["called"] == NUMBER), None), 30, "a caller at node %s" % node)


def key(house, name, digits):
    house.far.dtmf(name, digits)
    house.far.wait_for("dtmf_done", 30, id=name, digits=digits)


def hear_out(prompt):
    """Let a prompt that has just begun end: the first key would cut it short."""
    time.sleep(len(wav.read_mono(PROMPTS / "zh_CN" / f"{prompt}.wav")) / 8000 + 0.5)


def test_one_call_through_every_kind_of_node(house, services):
    house.available("1001")
    house.wait_agent_idle("1001", 30)
    name = house.place(called=NUMBER)
    house.far.wait_for("connect", 30, id=name)
    call = at(house, "account")["call"]
    hear_out("enter_code")
    key(house, name, "4711")
    at(house, "pin")
    key(house, name, PIN)
    at(house, "message")
    assert CRM.asked[-1] == ("/accounts/4711", {"pin": PIN})
    shown = house.product.get("/flows/proof")
    text, version = shown["text"], int(shown["version"])
    done = house.product.put("/flows/proof", {"text": text.replace("choices \"12345\"", "choices \"1\"")})
    assert done["version"] > 1 and "-  choices \"12345\"" in house.product.get("/flows/proof/diff")["diff"]
    house.wait(lambda s: any(c["recording"] for c in s["calls"] if c["call"] == call), 30, "the message's recording")
    time.sleep(1.5)
    house.kill("control")
    house.wait(lambda s: any(c["call"] == call for c in s["calls"]), 30, "the call after the kill")
    key(house, name, "#")
    at(house, "program")
    house.wait(lambda s: any(c["call"] == call and c["program"] for c in s["calls"]), 30, "the program")
    key(house, name, "85")
    house.wait(lambda s: any(c["call"] == call and c["state"] == "talking" for c in s["calls"]), 30, "the agent")
    assert services == ["200 result=85", "200 result=0", "200 result=1", "200 result=1 (4711)"]
    state = next(c for c in house.state()["calls"] if c["call"] == call)
    assert state["data"]["ticket"] == "T-9" and state["data"]["passed"] == "yes" and "pin" not in state["data"]
    house.agent_phone.hangup()
    at(house, "rate")
    key(house, name, "4")               # version 1, which this caller has, takes it
    house.far.wait_for("released", 30, id=name)
    house.far.wait_for("record_closed", 30, id=name)
    heard = wav.read_mono(house.folder / f"{name}.wav")
    for prompt in ("enter_code", "number_liang", "number_thousand", "number_hundred", "money_cny", "jiao", "beep", "goodbye"):
        found = align.compare(wav.read_mono(PROMPTS / "zh_CN" / f"{prompt}.wav"), heard)
        assert found.correlation >= 0.95, f"{prompt}: {found}"
    rows = house.product.get("/surveys")["rows"]
    assert [(row["survey"], row["question"], row["mean"]) for row in rows] == [("csat", "q1", 4.0)]
    told = house.product.get(f"/calls/{call}")
    assert len(told["recordings"]) == 2 and max(row["duration_ms"] for row in told["recordings"]) > 1000
    assert [record["data"]["keys"] for record in told["records"] if record["kind"] == "ivr.entered"] == [{"proof": "proof@%d" % version, "inner": "inner@1"}]
    shown = subprocess.run([sys.executable, "-m", "firmware.cli", "--run", str(house.run_dir), "flow", "diff", "proof"], cwd=CHECKOUT, capture_output=True, text=True)
    assert shown.returncode == 0 and "+  choices \"1\"" in shown.stdout, shown
    shown = subprocess.run([sys.executable, "-m", "firmware.cli", "--run", str(house.run_dir), "surveys"], cwd=CHECKOUT, capture_output=True, text=True)
    assert "csat" in shown.stdout, shown
    assert house.product.post("/flows/proof/rollback", {"version": str(version)})["version"] == version + 2


def test_the_pin_is_nowhere(house, services):
    """Every file of the house: logs, journal, configuration, recordings."""
    time.sleep(1)
    found = []
    for path in house.folder.rglob("*"):
        if path.is_file() and path.suffix != ".wav" and "lines" not in path.parts and path.name != "window":
            if PIN.encode() in path.read_bytes():
                found.append(str(path.relative_to(house.folder)))
    with sqlite3.connect("file:%s?mode=ro" % (house.data_dir / "strowger.db"), uri=True) as db:
        moved = [record["data"] for record in Journal(db).everything() if record["kind"] == "ivr.moved"]
    at_pin = [data for data in moved if data["position"]["node"] == "pin" and data["input"] != {"digit": "1"}]
    assert len([data for data in at_pin if data["input"] == {"key": "hidden"}]) >= 5
    assert not [data for data in at_pin if data["position"].get("entry") or data["position"].get("ahead")]
    assert [path for path in found if "far" not in path and "trace" not in path] == []
    assert pathlib.Path(house.data_dir / "strowger.db").exists()


MOVES_NUMBER, MOBILE, WAIT_S = "02150801088", "13800138000", 30
MOVES = """flow version 1
languages en
start choose

choose: menu
  prompts
    - menu
  choices {"1": "program", "2": "room", "3": "letter", "4": "back"}
  timeout_s 20
  exhausted bye

program: cti
  application crm
  data
    who "{caller}"
  timeout_s 60
  next way_out
  failed bye

way_out: outside
  number "9%s"
  ring_s 30
  failed bye
  after rate

rate: survey
  prompts
    - please_wait
  survey moves
  question q1
  choices "12345"
  timeout_s 20
  next bye

room: conference
  room team
  most 3
  failed bye

letter: voicemail
  mailbox night

back: callback
  queue sales
  failed bye

bye: hangup
  prompts
    - goodbye
""" % MOBILE


@pytest.fixture(scope="module")
def flow(house):
    """Nodes that send a caller somewhere: the flow in force, a way out over the second span, a mailbox, callbacks."""
    running = house.product.get("/configuration")
    config = running["configuration"]
    config["trunk_groups"].append({"name": "second", "label": "Second"})
    config["spans"][1]["trunk_group"] = "second"
    config["routes"] = [{"number": "9.", "choices": [{"trunk_group": "second", "strip": 1}]}]
    config["mailboxes"] = [{"name": "night", "min_s": 0, "greeting": "done"}]
    config["queues"][0].update(callback={"enabled": True, "key": "*", "prefix": "9"})
    for group in config["trunk_groups"]:
        group["classes"] = ["local", "national"]
    house.product.post("/configuration/apply", running)
    house.product.put("/flows/moves", {"text": MOVES})
    running = house.product.get("/configuration")
    running["configuration"]["numbers"].append({"number": MOVES_NUMBER, "application": "ivr", "target": "moves"})
    house.product.post("/configuration/apply", running)
    house.available("1001", "on_break")
    yield
    house.far.policy()


def moves_at(house, node, call=None):
    return house.wait(lambda s: next((c for c in s["calls"] if c["node"] == node and c["called"] == MOVES_NUMBER and call in (None, c["call"])), None), WAIT_S,
                      f"a caller at node {node}")


def chosen(house, digits, node, **options):
    """A caller who has pressed keys in the menu: (name at the far exchange, call, what the call is then)."""
    name = house.place(span=1, called=MOVES_NUMBER, **options)
    house.far.wait_for("connect", WAIT_S, id=name)
    call = moves_at(house, "choose")["call"]
    key(house, name, digits)
    if node is not None:
        moves_at(house, node, call)
    return name, call


def told(house, call):
    return [record["data"]["result"] for record in house.product.get(f"/calls/{call}")["records"] if record["kind"] == "ivr.told"]


def test_a_wrong_key_then_a_program_then_outside_then_the_survey(house, flow):
    name, call = chosen(house, "81", "program")
    operate = lambda **operation: house.product.post(f"/calls/{call}/ivr", operation)
    operate(do="set", variables={"vip": "yes"})
    operate(do="collect", items=["enter_code"], length=3, first_timeout_s=20)
    key(house, name, "5")
    house.kill("control")                       # in the middle of what the program asked for
    moves_at(house, "program", call)
    key(house, name, "67")
    house.wait(lambda s: any(row.get("digits") == "567" for row in told(house, call)), WAIT_S, "the digits, the one before the kill too")
    house.far.policy(alerting_ms=100, answer_ms=300)
    mark = house.far.mark()
    operate(do="go")
    there = house.far.wait_for("incoming", WAIT_S, since=mark)
    assert (there["called"], there["span"]) == (MOBILE, 2)
    house.wait(lambda s: any(c["call"] == call and c["state"] == "talking" and c["data"]["vip"] == "yes" for c in s["calls"]), WAIT_S, "the conversation outside")
    house.far.hangup(there["id"])
    moves_at(house, "rate", call)
    key(house, name, "4")
    house.far.wait_for("released", WAIT_S, id=name)
    house.far.wait_for("record_closed", WAIT_S, id=name)
    heard = wav.read_mono(house.folder / f"{name}.wav")
    assert align.compare(wav.read_mono(PROMPTS / "en" / "goodbye.wav"), heard).correlation >= 0.95
    purposes = [record["data"]["items"][0].get("prompt") for record in house.product.get(f"/calls/{call}")["records"] if record["kind"] == "call.signal"]
    assert purposes[:3] == ["menu", "invalid", "enter_code"] and "please_wait" in purposes
    assert ("moves", "q1", 4.0) in [(row["survey"], row["question"], row["mean"]) for row in house.product.get("/surveys")["rows"]]
    cdr = house.cdr(call, WAIT_S)["cdr"]
    assert (cdr["out_span"], cdr["result"]) == (2, "answered"), cdr


def test_three_callers_in_a_room_over_a_kill_and_the_fourth_is_told_that_it_is_full(house, flow):
    names = []
    for count in range(3):
        name, call = chosen(house, "2", None)
        names.append(name)
        house.wait(lambda s: len(s["calls"]) == 1 and len(s["calls"][0]["legs"]) == count + 1, WAIT_S, f"{count + 1} in the room")
    host = house.state()["calls"][0]["call"]
    house.kill("control")
    house.wait(lambda s: [(c["call"], len(c["legs"])) for c in s["calls"]] == [(host, 3)], WAIT_S, "the room after the kill")
    name, call = chosen(house, "2", None)
    house.far.wait_for("released", WAIT_S, id=name)
    assert house.cdr(call, WAIT_S)["cdr"]["result"] != "answered" and len(house.state()["calls"][0]["legs"]) == 3
    for name in names:
        house.far.hangup(name)
    house.wait_idle(WAIT_S)
    records = house.cdr(host, WAIT_S)["records"]
    assert len([record for record in records if record["kind"] == "call.joined"]) >= 1


@WHOLE_ONLY
def test_a_letter_and_a_promise(house, flow):
    name, call = chosen(house, "3", None)
    house.wait(lambda s: any(c["call"] == call and c["mailbox"] and c["mailbox"]["step"] == "record" for c in s["calls"]), WAIT_S, "the message's recording")
    time.sleep(0.5)                             # some of it
    key(house, name, "#")
    house.far.wait_for("released", WAIT_S, id=name)
    message, = house.product.get("/mailboxes/night")["messages"]
    assert message["call"] == call and house.cdr(call, WAIT_S)["cdr"]["result"] == "voicemail"
    name, call = chosen(house, "4", None)
    house.far.wait_for("released", WAIT_S, id=name)
    row = house.wait(lambda s: s["callbacks"][0] if s["callbacks"] else None, WAIT_S, "the callback")
    assert row["by"] == "key" and row["queue"] == "sales" and house.cdr(call, WAIT_S)["cdr"]["result"] == "callback"
    house.product.post("/callbacks/%s/cancel" % row["callback"], {})
    assert house.product.get("/callbacks")["callbacks"] == [] and json.dumps(house.state()["calls"]) == "[]"


def test_a_prompt_that_is_given_is_heard_by_the_next_caller(house, flow):
    """Twice the rate, two channels; the caller hears it, and after the rollback that of the box again."""
    says = wav.read_mono(house.files["caller"])[8000:24000]
    given = numpy.repeat(numpy.repeat(says, 2)[:, None], 2, axis=1).astype("<i2").tobytes()
    head = b"RIFF" + struct.pack("<I", 36 + len(given)) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 2, 16000, 64000, 4, 16) + b"data" + struct.pack("<I", len(given))
    with pytest.raises(ProductError, match="broken.wav.*no WAV"):
        house.product.octets("/api/v1/prompts/en/menu?file=broken.wav", "PUT", b"no sound at all")
    told = json.loads(house.product.octets("/api/v1/prompts/en/menu?file=new.wav", "PUT", head + given))
    assert (told["version"], told["duration_ms"]) == (1, 2000)
    name = house.place(span=1, called=MOVES_NUMBER)
    house.far.wait_for("connect", WAIT_S, id=name)
    call = moves_at(house, "choose")["call"]
    house.wait(lambda s: any(c["call"] == call and c["node"] == "choose" for c in s["calls"]), WAIT_S, "the menu")
    time.sleep(2.5)                             # it lasts 2 s
    house.far.hangup(name)
    house.far.wait_for("record_closed", WAIT_S, id=name)
    heard = wav.read_mono(house.folder / f"{name}.wav")
    assert align.compare(says, heard).correlation >= 0.9
    house.product.post("/prompts/en/menu/rollback", {"version": None})
    assert house.product.get("/prompts")["prompts"][0]["current"] is None
