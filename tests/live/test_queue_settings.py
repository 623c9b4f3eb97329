"""What a queue is told by configuration: each set over REST, used by live calls of libpri to telephones of sipp, seen in the state, the journal or the CDR, over kills of control.

Strategies, priority, skills that relax, tiers, overflow, limits, VIP and blocked callers, account owners, last agent, hours and calendars, persons on duty, comfort and
position messages, music, missed offers, auto-answer, after-call work, short abandons, break reasons, escalation of the early warning, mails of voicemail."""

import collections
import contextlib
import itertools
import socketserver
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from hil.rig import CHECKOUT
from hil.sipp_agents import SippAgents
from tests.conftest import WHOLE_ONLY

pytestmark = [pytest.mark.live, WHOLE_ONLY]
WAIT_S = 30
A, B, DUTY, BOX = "02150801001", "02150801003", "02150801004", "02150801005"
AGENTS = ["3000", "3001", "3002", "3003"]
QUIET = {"announce_position_s": 0, "last_agent_days": 0, "skills": {}, "relax": [], "tiers": [], "overflow": [], "hours": [], "calendar": "", "max_waiting": 0, "comfort": [],
         "owner_lookup": "", "priority": 0, "strategy": "longest_idle", "wrap_up_s": 0, "missed_offers": 1, "offer_timeout_s": 15, "announce": "position", "max_wait_s": 1800}


class Post(socketserver.StreamRequestHandler):
    """As much of SMTP (RFC 5321) as takes a mail."""

    def handle(self):
        self.wfile.write(b"220 test\r\n")
        for line in self.rfile:
            if line[:4].upper() == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                octets = b""
                while not octets.endswith(b"\r\n.\r\n"):
                    octets += self.rfile.readline()
                self.server.mails.append(octets)
            self.wfile.write(b"250 ok\r\n" if line[:4].upper() != b"QUIT" else b"221 bye\r\n")


class Hall:
    """Two queues, four telephones that answer by themselves, callers."""

    def __init__(self, house):
        self.house, self.product, self.count = house, house.product, itertools.count(1)
        self.callers = {}

    def configure(self, a=(), b=(), **parts):
        """Queue a and queue b as quiet as can be but for these; the parts as they are given."""
        running = self.product.get("/configuration")
        config = running["configuration"]
        for queue, more in zip(config["queues"], (a, b)):
            queue.update(QUIET)
            queue.update(dict(more))
        config.update(parts)
        self.product.post("/configuration/apply", running)
        return self

    def agents(self, **status):
        """The status of the agents by number ("3000" as a3000); who is not named is away."""
        for name in AGENTS:
            self.product.put("/agents/%s/status" % name, {"status": "available" if "a" + name in status else "on_break", "reason": "lunch"})

    def call(self, number=A, caller=None):
        """(name at the far exchange, call)."""
        name, known = "h%d" % next(self.count), {c["call"] for c in self.house.state()["calls"]}
        self.house.far.call(name, span=1, called=number, caller=caller or "139000%05d" % next(self.count))
        call = self.house.wait(lambda s: next((c["call"] for c in s["calls"] if c["call"] not in known), None), WAIT_S, "the call " + name)
        self.callers[call] = name
        return call

    def talks(self, call):
        """The agent who has a call."""
        return self.house.wait(lambda s: next((c["agent"] for c in s["calls"] if c["call"] == call and c["state"] == "talking"), None), WAIT_S, "the talk of " + call)

    def over(self, *given):
        """Calls end, and everybody is idle; their CDRs."""
        for call in given:
            with contextlib.suppress(Exception):
                self.house.far.hangup(self.callers[call])
        found = [self.house.cdr(call, WAIT_S) for call in given]
        self.house.wait(lambda s: not s["calls"] and all(a["state"] == "idle" for a in s["agents"]), WAIT_S, "everybody idle")
        return found

    def serves(self, **more):
        """One call from its beginning to its end: the agent who had it."""
        call = self.call(**more)
        agent = self.talks(call)
        self.over(call)
        return agent

    def waits(self, call, state="queued"):
        self.house.wait(lambda s: any(c["call"] == call and c["state"] == state for c in s["calls"]), WAIT_S, "%s %s" % (call, state))
        return call

    def killed(self):
        self.house.kill("control")
        self.house.wait(lambda s: sum(a["registered"] for a in s["agents"] if a["name"] in AGENTS) == 4, WAIT_S, "control and the telephones after the kill")

    def kinds(self, call, kind):
        return [record for record in self.product.get("/calls/" + call)["records"] if record["kind"] == kind]

    def strowger(self, *words):
        done = subprocess.run([sys.executable, "-m", "firmware.cli", "--run", str(self.house.run_dir), *words], cwd=CHECKOUT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done
        return done.stdout


@pytest.fixture(scope="module")
def hall(house, tmp_path_factory):
    running = house.product.get("/configuration")
    data = running["configuration"]
    data["site"]["languages"] = ["en"]
    data["lines"] += [{"name": name, "password": "secret-" + name} for name in AGENTS]
    first, second = (queue["name"] for queue in data["queues"][:2])
    skills = {"3000": {"x": 2}, "3001": {"x": 9}, "3002": {"x": 5}, "3003": {}}
    data["agents"] += [{**data["agents"][0], "name": name, "label": "", "line": name, "wrap_up_s": 0, "skills": skills[name], "auto_answer": name == "3003",
                        "queues": [{"queue": first, "weight": 30 if name == "3000" else 10}, {"queue": second}]} for name in AGENTS]
    data["numbers"] += [{"number": A, "application": "queue", "target": first}, {"number": B, "application": "queue", "target": second}]
    house.product.post("/configuration/apply", running)
    house.available("1001", "logged_out")
    phones = SippAgents(tmp_path_factory.mktemp("sipp"), house, {name: "secret-" + name for name in AGENTS}).start()
    made = Hall(house)
    made.phones = phones
    house.wait(lambda s: sum(a["registered"] for a in s["agents"] if a["name"] in AGENTS) == 4, WAIT_S, "the telephones")
    yield made
    phones.stop()
    house.far.policy()


ALL = {"a" + name: True for name in AGENTS}


def test_each_strategy_chooses_as_it_says_over_a_kill(hall):
    hall.configure({"strategy": "round_robin"}).agents(**ALL)
    first = [hall.serves(), hall.serves()]
    hall.killed()
    found = first + [hall.serves(), hall.serves()]
    at = AGENTS.index(found[0])
    assert found == AGENTS[at:] + AGENTS[:at]
    hall.configure({"strategy": "longest_idle"})
    assert [hall.serves(), hall.serves()] == found[:2]              # whose last work ended earliest
    hall.killed()
    assert hall.serves() == found[2]
    hall.configure({"strategy": "linear"})
    calls = [hall.call()]
    assert hall.talks(calls[0]) == "3000"
    hall.killed()
    calls.append(hall.call())
    assert hall.talks(calls[1]) in ("3000", "3001") and (hall.talks(calls[1]) == "3001" or not any(c["call"] == calls[0] for c in hall.house.state()["calls"]))
    hall.over(*calls)
    hall.configure({"strategy": "least_calls"})
    taken = collections.Counter(row["agent"] for row in hall.product.get("/calls?limit=200")["calls"] if row["agent"] in AGENTS and row["result"] == "answered")
    agent = hall.serves()
    assert taken[agent] == min(taken[name] for name in AGENTS)
    hall.killed()
    taken[agent] += 1
    assert taken[hall.serves()] == min(taken[name] for name in AGENTS)
    hall.configure({"strategy": "most_skilled", "skills": {"x": 1}})
    assert hall.serves() == "3001"
    hall.configure({"strategy": "least_skilled", "skills": {"x": 1}})
    hall.killed()
    assert hall.serves() == "3000"
    hall.configure({"strategy": "weighted_share"})
    shared = collections.Counter(hall.serves() for _ in range(3))
    hall.killed()
    shared.update(hall.serves() for _ in range(3))
    assert shared["3000"] >= 2 and shared["3000"] == max(shared.values())      # 30 of 60
    hall.configure({"strategy": "fewest_customers"})
    found = [hall.serves(), hall.serves()]
    hall.killed()
    assert set(found) | {hall.serves(), hall.serves()} == set(AGENTS)      # four callers, four agents


def test_occupancy_ring_all_priority_and_vip_over_kills(hall):
    hall.configure({"strategy": "least_occupied"}).agents(**ALL)
    talked = dict.fromkeys(AGENTS, 0)
    for row in hall.product.get("/calls?limit=200")["calls"]:
        talked[row["agent"]] = talked.get(row["agent"], 0) + (row["talk_ms"] or 0)
    hall.killed()
    assert hall.serves() != max(AGENTS, key=talked.get)             # all were there as long as each other
    hall.configure({"strategy": "ring_all", "ring_most": 4})
    call = hall.call()
    hall.talks(call)
    asked = {record["agent"] for record in hall.kinds(call, "agent.offered")}
    hall.killed()
    assert asked == set(AGENTS) and hall.kinds(call, "agent.offered") and hall.over(call)[0]["cdr"]["result"] == "answered"
    hall.configure({}, {"priority": 5}, caller_lists=[{"name": "gold", "treatment": "vip", "numbers": ["13900077777"], "priority": 9},
                                                       {"name": "pest", "treatment": "blocked", "numbers": ["13900066666"]}]).agents()
    waiting = [hall.waits(hall.call()), hall.waits(hall.call(B)), hall.waits(hall.call(A, "13900077777"))]
    hall.killed()
    ranks = {c["call"]: c["priority"] for c in hall.house.state()["calls"]}
    assert [ranks[call] for call in waiting] == [0, 5, 9]
    hall.agents(a3000=True)
    for call in reversed(waiting):
        hall.talks(call)
        hall.house.far.hangup(hall.callers[call])
    at = {call: found["cdr"]["agent_answered_ms"] for call, found in zip(waiting, hall.over(*waiting))}
    assert sorted(waiting, key=at.get) == waiting[::-1]             # the agent of both queues takes the VIP, the queue of priority, then the other
    hall.house.far.call("blocked", span=1, called=A, caller="13900066666")
    assert hall.house.far.wait_for("hangup", WAIT_S, id="blocked")["cause"] == 21


def test_skills_tiers_owner_and_last_agent_over_kills(hall):
    hall.configure({"skills": {"x": 4}, "relax": [{"after_s": 6, "less": 4}]}).agents(a3003=True)
    call = hall.waits(hall.call())
    assert next(c["skills"] for c in hall.house.state()["calls"] if c["call"] == call) == {"x": 4}
    hall.killed()
    assert hall.talks(call) == "3003"
    wait_ms = hall.over(call)[0]["cdr"]["wait_ms"]
    assert wait_ms >= 6000
    running = hall.product.get("/configuration")
    for row in running["configuration"]["agents"]:
        if row["name"] == "3001":
            row["queues"][0]["level"] = 2
    hall.product.post("/configuration/apply", running)
    hall.configure({"tiers": [{"level": 2, "after_s": 6}]}).agents(a3001=True)
    call = hall.waits(hall.call())
    hall.killed()
    assert hall.talks(call) == "3001" and hall.over(call)[0]["cdr"]["wait_ms"] >= 6000
    folder = hall.house.data_dir / "databases"
    folder.mkdir(exist_ok=True)
    with sqlite3.connect(folder / "owners.db") as database:
        database.execute("CREATE TABLE IF NOT EXISTS owner (number TEXT, agent TEXT)")
        database.execute("INSERT INTO owner VALUES ('13900055555', '3002')")
    hall.configure({"owner_lookup": "crm", "owner_wait_s": 300}, lookups=[{"name": "crm", "kind": "sqlite", "file": str(folder / "owners.db"),
                                                                         "query": "SELECT agent FROM owner WHERE number = :caller", "timeout_ms": 5000}]).agents(**ALL)
    assert hall.serves(caller="13900055555") == "3002"
    hall.killed()
    call = hall.call(A, "13900055555")                              # the others have been idle longer
    assert hall.talks(call) == "3002" and hall.kinds(call, "queue.owner")[0]["data"]["owner"] == "3002"
    hall.over(call)
    hall.configure({"last_agent_days": 1}).agents(**ALL)
    before = hall.serves(caller="13900044444")
    hall.killed()
    assert hall.serves(caller="13900044444") == before


def test_limits_messages_hours_and_calendars_over_kills(hall):
    second = hall.product.get("/configuration")["configuration"]["queues"][1]["name"]
    hall.configure({"max_waiting": 1, "overflow": [{"when": "full", "to": "queue", "target": second}], "comfort": [{"prompt": "please_wait", "after_s": 2}],
                    "announce_position_s": 5, "announce": "both", "short_abandon_s": 60}).agents()
    first = hall.waits(hall.call())
    other = hall.waits(hall.call())
    places = {c["call"]: c["queue"] for c in hall.house.state()["calls"]}
    assert places[other] == second != places[first]
    hall.killed()
    hall.house.wait(lambda s: hall.kinds(first, "queue.comforted") and hall.kinds(first, "queue.announced"), WAIT_S, "comfort and position")
    assert hall.kinds(first, "queue.announced")[0]["data"]["position"] == 1
    assert any("music" in item for record in hall.kinds(first, "call.signal") for item in record["data"]["items"])
    assert {c["call"]: c["queue"] for c in hall.house.state()["calls"]} == places
    short = next(q for q in hall.house.state()["queues"] if q["name"] == places[first])["short_abandoned"]
    hall.over(first, other)
    hall.house.wait(lambda s: next(q for q in s["queues"] if q["name"] == places[first])["short_abandoned"] == short + 1, WAIT_S, "a short abandon")
    hall.configure({"hours": [{"days": "1234567", "from": "00:00", "to": "00:01"}], "overflow": [{"when": "closed", "to": "queue", "target": second}]}, announcements=[])
    hall.killed()
    call = hall.waits(hall.call())
    assert next(c["queue"] for c in hall.house.state()["calls"] if c["call"] == call) == second
    hall.over(call)
    every = [{"date": "01-01", "to": "12-31", "label": "holidays"}]
    hall.configure({"calendar": "feast", "overflow": [{"when": "closed", "to": "queue", "target": second}]}, calendars=[{"name": "feast", "days": every}])
    call = hall.waits(hall.call())
    assert next(c["queue"] for c in hall.house.state()["calls"] if c["call"] == call) == second
    hall.over(call)
    hall.configure({"max_wait_s": 6}, calendars=[])
    call = hall.waits(hall.call())
    hall.killed()
    assert hall.house.cdr(call, WAIT_S)["cdr"]["result"] == "overflow"
    hall.over()


def test_agents_work_duty_warnings_and_mail_over_kills(hall):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Post) as post:
        post.mails, post.daemon_threads = [], True
        threading.Thread(target=post.serve_forever, daemon=True).start()
        queue = hall.product.get("/configuration")["configuration"]["queues"][0]["name"]
        numbers = [row for row in hall.product.get("/configuration")["configuration"]["numbers"] if row["number"] not in (DUTY, BOX)]
        hall.configure({"wrap_up_s": 60}, numbers=numbers + [{"number": DUTY, "application": "duty", "target": "night"}, {"number": BOX, "application": "mailbox", "target": "box"}],
                       duty=[{"name": "night", "steps": [{"to": "line", "target": "1004"}, {"to": "line", "target": "3001"}], "confirm_key": ""}],
                       break_reasons=[{"name": "lunch"}], feature_codes=[], mail={"host": "127.0.0.1", "port": post.server_address[1], "from": "box@example.org"},
                       mailboxes=[{"name": "box", "email": ["boss@example.org"], "min_s": 1, "greeting": "done"}],
                       escalation_plans=[{"name": "plan", "steps": [{"after_min": 0, "mail": ["chief@example.org"], "agents": ["3000"]}]}],
                       thresholds=[{"name": "waits", "queue": queue, "figure": "waiting", "limit": 0, "plan": "plan"}]).agents(a3003=True)
        call = hall.call()
        assert hall.talks(call) == "3003" and hall.kinds(call, "agent.offered")
        hall.house.far.hangup(hall.callers[call])
        hall.house.wait(lambda s: any(a["name"] == "3003" and a["state"] == "wrap_up" for a in s["agents"]), WAIT_S, "after-call work")
        until = next(a["wrap_up_until_ms"] for a in hall.house.state()["agents"] if a["name"] == "3003")
        hall.strowger("wrap-up", "3003")
        hall.killed()
        agent = next(a for a in hall.house.state()["agents"] if a["name"] == "3003")
        assert agent["state"] == "wrap_up" and agent["wrap_up_until_ms"] > until
        hall.strowger("wrap-up", "3003", "--end")
        hall.house.wait(lambda s: any(a["name"] == "3003" and a["state"] == "idle" for a in s["agents"]), WAIT_S, "the end of it")
        with pytest.raises(Exception, match="lunch"):
            hall.product.put("/agents/3003/status", {"status": "on_break", "reason": "walk"})
        hall.product.put("/agents/3003/status", {"status": "on_break", "reason": "lunch"})
        hall.killed()
        assert next((a["status"], a["reason"]) for a in hall.house.state()["agents"] if a["name"] == "3003") == ("on_break", "lunch")
        call = hall.call(DUTY)
        hall.house.wait(lambda s: any(c["call"] == call and c["state"] == "talking" for c in s["calls"]), WAIT_S, "the person on duty")
        hall.killed()
        assert [record["data"]["target"] for record in hall.kinds(call, "duty.step")] == ["1004", "3001"] and hall.kinds(call, "duty.ended")[0]["data"]["outcome"] == "taken"
        hall.over(call)
        call = hall.waits(hall.call())
        hall.house.wait(lambda s: next(t for t in s["thresholds"] if t["name"] == "waits")["state"] == "raised", WAIT_S, "the early warning")
        hall.killed()
        hall.house.wait(lambda s: any(b"chief@example.org" in mail for mail in post.mails) and s["broadcasts"], WAIT_S, "the chief is told, and agent 3000")
        hall.over(call)
        call = hall.waits(hall.call(BOX), "mailbox")
        hall.house.wait(lambda s: any(c["call"] == call and c["mailbox"] and c["mailbox"]["step"] == "record" for c in s["calls"]), 60, "the recording")
        time.sleep(2.5)                             # of a message of 1 s at least
        hall.house.far.hangup(hall.callers[call])
        hall.house.wait(lambda s: any(b"boss@example.org" in mail and b"audio" in mail for mail in post.mails), WAIT_S, "the mail with the sound")
        hall.over(call)
        post.shutdown()
    assert "answer-after=0" in (hall.phones.folder / "messages.log").read_text(errors="replace")


def test_a_telephone_that_is_not_answered_over_a_kill(hall, house):
    """Offered again elsewhere, and its agent is set away (missed_offers); control is killed while it rings."""
    running = house.product.get("/configuration")
    config = running["configuration"]
    for row in config["agents"]:
        if row["name"] == "1002":
            row["queues"] = [{"queue": config["queues"][0]["name"]}]
    house.product.post("/configuration/apply", running)
    hall.configure({"strategy": "linear", "offer_timeout_s": 6, "missed_offers": 1}).agents()
    phone = house.phone("1002", answer="manual")
    house.wait(lambda s: any(a["name"] == "1002" and a["registered"] for a in s["agents"]), WAIT_S, "agent 1002's telephone")
    house.available("1002")
    call = hall.call()
    house.wait(lambda s: any(c["call"] == call and c["offered_agent"] == "1002" for c in s["calls"]), WAIT_S, "the offer")
    hall.killed()
    hall.agents(a3000=True)
    assert hall.talks(call) == "3000"
    house.wait(lambda s: next(a for a in s["agents"] if a["name"] == "1002")["status"] == "on_break", WAIT_S, "agent 1002 set away")
    assert "no_answer" in [record["data"]["outcome"] for record in hall.kinds(call, "agent.offer_ended")]
    hall.over(call)
    phone.stop()
