"""What the other modules of this folder do not touch: each function of the table (tests/control/functions.tsv) set by the command or by REST, used on
live calls through the whole house, seen by the other way; control is killed (SIGKILL) in the middle, and everything is as before.

At the end the caller is erased, and no file of the house has the number any more, nor what was said."""

import base64
import datetime
import json
import pathlib
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from hil.product import Product, ProductError
from hil.rig import CHECKOUT
from tests.conftest import WHOLE_ONLY
from tests.corpus import FOLDER

pytestmark = [pytest.mark.live, WHOLE_ONLY]
WAIT_S = 30
SALES, SERVICE, PERSON = "02150801001", "02150801003", "13987654321"
PAGE = FOLDER / "fax/itu1.pbm"


class Floor:
    """The house, its command line, and callers who give PERSON's number."""

    def __init__(self, house):
        self.house, self.product, self.callers = house, house.product, 0

    def strowger(self, *words, fails=False, given=None, plain=False):
        """The command: the API's answer, or with plain what it shows; with fails: the sentence."""
        words = words if plain or fails else (*words, "--json")
        done = subprocess.run([sys.executable, "-m", "firmware.cli", "--run", str(self.house.run_dir), *words], cwd=CHECKOUT, input=given,
                              capture_output=True, text=True, check=False)
        assert (done.returncode != 0) == fails, done
        return done.stderr if fails else done.stdout if plain else json.loads(done.stdout)

    def configure(self, change):
        running = self.product.get("/configuration")
        change(running["configuration"])
        self.product.post("/configuration/apply", running)

    def caller(self, called, number=PERSON):
        """(name at the far exchange, call)"""
        self.callers += 1
        name, known = "f%d" % self.callers, {call["call"] for call in self.house.state()["calls"]}
        self.house.far.call(name, span=1, called=called, caller=number, play=self.house.files["caller"])
        self.house.far.wait_for("connect", WAIT_S, id=name)
        return name, self.house.wait(lambda s: next((c["call"] for c in s["calls"] if c["call"] not in known), None), WAIT_S, "the call of " + name)

    def killed(self):
        """After kill -9 of control, when it serves again."""
        self.house.kill("control")
        self.house.wait(lambda s: s, WAIT_S, "control after the kill")


def prepared(config):
    queue = config["queues"][0]
    queue.update(announce_position_s=0, strategy="longest_idle", dispositions=[{"code": "sold"}], callback={"enabled": True, "key": "*", "prefix": "9"})
    next(row for row in config["queues"] if row["name"] == "service").update(announce_position_s=0, callback={"enabled": True, "key": "*", "prefix": "9"}, overflow=[])
    config["site"]["languages"] = ["en"]
    config["numbers"] += [{"number": SALES, "application": "queue", "target": queue["name"]}, {"number": SERVICE, "application": "queue", "target": "service"}]
    config["announcements"] = [{"name": "closed", "prompt": "greeting", "queues": ["service"]}]
    config["thresholds"] = [{"name": "waiting", "queue": "service", "figure": "waiting", "limit": 0, "severity": "minor"}]
    config["teams"] = [{"name": "red", "agents": ["1001", "1002"], "queues": [queue["name"], "service"]}]
    config["users"] = [{"name": "anna", "role": "agent", "agent": "1001"}]
    for agent in config["agents"]:
        agent["queues"] = [{"queue": queue["name"]}]


@pytest.fixture(scope="module")
def floor(house):
    made = Floor(house)
    made.configure(prepared)
    return made


def test_a_supervisors_floor_on_live_calls_over_a_kill(house, floor):
    """Moving an agent, announcements, early warning, messages, callbacks."""
    house.available("1001")
    house.wait_agent_idle("1001", WAIT_S)
    floor.strowger("announcement", "closed", "on", "--by", "chief")
    assert [(row["name"], row["on"]) for row in floor.product.get("/announcements")["announcements"]] == [("closed", True)]
    name, call = floor.caller(SERVICE)
    house.wait(lambda s: any(c["call"] == call and c["state"] == "announcing" for c in s["calls"]), WAIT_S, "a caller who hears the announcement")
    house.wait(lambda s: any(q["name"] == "service" and q["waiting"] == 1 for q in s["queues"]), WAIT_S, "the caller in a queue that nobody serves")
    house.wait(lambda s: s["thresholds"][0]["state"] == "raised", WAIT_S, "the early warning")
    floor.strowger("threshold-ack", "waiting", "--note", "seen")
    message = floor.strowger("broadcast", "two more come", "--teams", "red", "--urgent")
    assert sorted(message["agents"]) == ["1001", "1002"]
    asked = floor.product.post("/callbacks", {"queue": "service", "number": PERSON, "at_ms": int(time.time() * 1000) + 3600_000})
    floor.killed()
    (told,) = floor.strowger("announcements")["announcements"]
    assert told["on"] and told["by"] == "chief"
    (alarm,) = floor.strowger("thresholds")["thresholds"]
    assert alarm["state"] == "raised" and alarm["acked"]
    assert [row["broadcast"] for row in floor.strowger("broadcasts", "--agent", "1002")["broadcasts"]] == [message["broadcast"]]
    assert [row["callback"] for row in floor.strowger("callbacks")["callbacks"]] == [asked["callback"]]
    floor.product.post("/callbacks/%s/cancel" % asked["callback"], {})
    assert floor.strowger("callbacks")["callbacks"] == []
    asked = floor.product.post("/callbacks", {"queue": "service", "number": PERSON, "at_ms": int(time.time() * 1000) + 3600_000})
    floor.strowger("callback-cancel", asked["callback"])
    assert floor.product.get("/callbacks")["callbacks"] == []
    floor.strowger("broadcast-seen", message["broadcast"], "1001")
    assert floor.product.get("/broadcasts?agent=1001")["broadcasts"] == [] != floor.product.get("/broadcasts?agent=1002")["broadcasts"]
    floor.strowger("broadcast-withdraw", message["broadcast"])
    assert floor.product.get("/broadcasts")["broadcasts"] == []
    floor.strowger("announcement", "closed", "off")
    house.wait(lambda s: any(a["name"] == "1001" and a["registered"] for a in s["agents"]), WAIT_S, "agent 1001's telephone")
    floor.strowger("assign", "1001", "service:2")       # now somebody serves the one who waits
    talking = house.wait_call("talking", WAIT_S)
    assert (talking["call"], talking["agent"]) == (call, "1001")
    assert next(a for a in floor.product.get("/state")["agents"] if a["name"] == "1001")["queues"] == ["service"]
    house.kill("control")
    assert house.wait(lambda s: next((a for a in s["agents"] if a["name"] == "1001" and a["queues"] == ["service"] and a["state"] == "talking"), None), WAIT_S, "the order")
    floor.product.post("/agents/1001/queues", {"queues": None})
    assert next(a for a in floor.strowger("state")["agents"] if a["name"] == "1001")["queues"] == [house.state()["queues"][0]["name"]]
    house.far.hangup(name)
    house.cdr(call, WAIT_S)
    house.wait(lambda s: s["thresholds"][0]["state"] != "raised", WAIT_S, "the end of the warning")
    (past,) = floor.strowger("threshold-history")["alarms"]
    assert past["name"] == "waiting" and past["cleared_ms"]


def test_the_desk_by_command_on_a_live_call_over_a_kill(house, floor):
    """Customers, dispositions, articles, shifts, staffing; what the pages have a test of their own for."""
    house.available("1001")
    house.wait_agent_idle("1001", WAIT_S)
    known = floor.strowger("customer-put", "name=Wang Xiaoming", "numbers=" + PERSON, "company=Huadong")["customer"]
    floor.strowger("customer-put", "--id", known, "name=Wang Daming")
    article = floor.strowger("article-put", "Refunds", str(_written(house, "article.txt", "within three days")), "--tags", "sales")["article"]
    floor.product.post("/articles/%s" % article, {"title": "Refunds", "body": "within five days"})
    name, call = floor.caller(SALES)
    assert house.wait_call("talking", WAIT_S)["call"] == call
    assert house.wait(lambda s: floor.strowger("pop", call).get("customer"), WAIT_S, "who calls")["name"] == "Wang Daming"
    floor.strowger("note", call, "wants the blue one", "--agent", "1001")
    floor.strowger("dispose", call, "sold", "--agent", "1001")
    today = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))).date().isoformat()       # of the site
    floor.product.post("/schedule", {"agent": "1002", "date": today, "shifts": [{"from": "00:00", "to": "23:00"}]})
    shifts = "agent,date,from,to,activity\n1001,%s,00:00,12:00,\n1001,%s,12:00,23:00,\n" % (today, today)
    assert floor.strowger("schedule-import", str(_written(house, "shifts.csv", shifts)))["shifts"] == 2
    floor.killed()
    assert house.wait_call("talking", WAIT_S)["call"] == call
    assert floor.product.get("/customers/" + known)["name"] == "Wang Daming"
    assert [row["code"] for row in floor.product.get("/dispositions")["dispositions"]] == ["sold"] == [row["code"] for row in floor.strowger("dispositions")["dispositions"]]
    assert floor.strowger("article", str(article))["body"] == "within five days"
    assert [row["title"] for row in floor.product.get("/articles?text=refunds")["articles"]] == ["Refunds"]
    floor.strowger("article-remove", str(article))
    assert floor.strowger("articles")["articles"] == []
    assert len(floor.product.get("/schedule?from=%s&to=%s" % (today, today))["shifts"]) == 3 == len(floor.strowger("schedule", "--from", today, "--to", today)["shifts"])
    for found in (floor.product.get("/schedule/adherence"), floor.strowger("adherence")):
        assert {row["agent"] for row in found["rows"]} >= {"1001", "1002"}
    assert len(floor.strowger("coverage", "sales", today)["intervals"]) == 96 == len(floor.product.get("/schedule/coverage?queue=sales&day=" + today)["intervals"])
    assert floor.strowger("staffing", "--calls", "100", "--handle-s", "180")["agents"] == 14 == floor.product.get("/staffing?calls=100&handle_s=180")["agents"]
    one = {"calls": 100, "handle_s": 180, "agents": 14, "runs": 2}
    assert floor.strowger("staffing-simulation", *(word for name, value in one.items() for word in ("--" + name.replace("_", "-"), str(value)))) == floor.product.get(
        "/staffing/simulation?" + "&".join("%s=%s" % pair for pair in one.items()))
    landing = floor.product.get("/configuration")["configuration"]["numbers"][0]["number"]
    through = floor.strowger("staffing-flows", "--calls", landing + "=30", "--handle-s", "120", "--runs", "2")
    assert through == floor.product.post("/staffing/flows", {"calls": {landing: 30}, "handle_s": 120, "runs": 2}) and through["flows"][0]["version"]
    house.far.hangup(name)
    house.cdr(call, WAIT_S)
    floor.strowger("customer-erase", known)
    with pytest.raises(ProductError, match="no customer"):
        floor.product.get("/customers/" + known)


def test_what_is_kept_by_command_over_a_kill(house, floor):
    """Users, prompts, documents, exports, retention, what was set aside."""
    floor.strowger("user-password", "anna", given="anna is here today\n")
    assert {row["name"]: row["must_change"] for row in floor.product.get("/users")["users"]}["anna"]
    anna = Product(house.product.url, "anna is here today")
    assert b"choose your own" in _refused(anna, "anna").lower()
    sound = house.files["agent"]
    for version in (1, 2):
        assert floor.strowger("prompt", "put", "en", "notice", str(sound))["version"] == version
    floor.strowger("prompt", "rollback", "en", "notice", "1")
    if PAGE.exists():
        floor.strowger("document", "put", "offer", str(PAGE))
    floor.killed()
    assert [row["current"] for row in floor.product.get("/prompts")["prompts"]] == [1] == [row["current"] for row in floor.strowger("prompts")["prompts"]]
    floor.strowger("prompt", "remove", "en", "notice")
    assert floor.product.get("/prompts")["prompts"] == []
    if PAGE.exists():
        floor.strowger("document", "get", "offer", str(house.folder / "offer.tif"))
        assert floor.product.octets("/api/v1/documents/offer/file") == (house.folder / "offer.tif").read_bytes()
        floor.strowger("document", "remove", "offer")
        assert floor.product.get("/documents")["documents"] == []
    assert {row["name"] for row in floor.strowger("users")["users"]} == {"admin", "anna"}
    floor.strowger("user-remove", "anna")
    assert [row["name"] for row in floor.product.get("/users")["users"]] == ["admin"]
    assert b"sign in first" in _refused(anna, "anna").lower()
    assert floor.strowger("set-aside") == {"count": 0, "rows": []} == floor.product.get("/set_aside")
    floor.strowger("set-aside", "--clear")
    floor.strowger("retention", "--prune")
    assert floor.product.get("/retention")["pruned"] == {"rows": 0, "calls": 0}
    floor.strowger("export", "journal", str(house.folder / "journal.jsonl"))
    kinds = {json.loads(line)["kind"] for line in (house.folder / "journal.jsonl").read_text().splitlines()}
    assert {"agent.status", "line.registered"} <= kinds
    assert floor.product.octets("/api/v1/export/calls?format=csv").startswith(b"\xef\xbb\xbfcall,started_ms")


def test_alarms_and_the_configuration_over_a_kill(house, floor):
    """An alarm of the box keeps its begin and who has seen it; one that ended while control was away is told as ended; who changed what, and back again."""
    running = floor.strowger("config", "show")
    before = running["configuration"]["site"]["name"]
    running["configuration"]["site"]["name"] = "Elsewhere"
    file = _written(house, "new.json", json.dumps(running["configuration"]))
    assert [row["path"] for row in floor.strowger("config", "check", str(file))["changes"]] == ["site.name"]
    floor.strowger("config", "apply", str(file))
    for span in (1, 2):
        house.far.line(span, "cut")
    alarms = house.wait(lambda s: (found := {tuple(a["members"]): a for a in floor.product.get("/alarms")["alarms"] if a["kind"] == "los"}) and {
        ("span 1",), ("span 2",)} <= set(found) and found, WAIT_S, "two alarms")
    first, second = alarms["span 1",], alarms["span 2",]
    floor.strowger("alarm-ack", str(first["id"]), "--note", "the cable is being laid")
    assert "stands" in floor.strowger("alarm-ack", "99999", fails=True)
    house.far.line(2, "normal")
    house.kill("control")
    house.wait(lambda s: s, WAIT_S, "control after the kill")
    there = next(a for a in floor.strowger("alarms")["alarms"] if a["id"] == first["id"])
    assert (there["raised_ms"], there["acked"]["note"]) == (first["raised_ms"], "the cable is being laid")
    house.wait(lambda s: not any(a["id"] == second["id"] for a in floor.product.get("/alarms")["alarms"]), WAIT_S, "the end of the other")
    assert next(a for a in floor.strowger("alarms", "--history")["alarms"] if a["id"] == second["id"])["cleared_ms"]
    house.far.line(1, "normal")
    house.wait(lambda s: not any(a["id"] == first["id"] for a in floor.product.get("/alarms")["alarms"]), WAIT_S, "the end of the alarm")
    assert next(a for a in floor.product.get("/alarms/history")["alarms"] if a["id"] == first["id"])["acked"]["note"] == "the cable is being laid"
    changes = floor.product.get("/configuration/history")["changes"]
    assert changes[0]["paths"] == ["site.name"] and changes == floor.strowger("config", "history")["changes"]
    revision = changes[0]["revision"]
    assert floor.strowger("config", "diff", str(revision))["changes"] == [{"path": "site.name", "old": before, "new": "Elsewhere"}]
    floor.strowger("config", "rollback", str(revision - 1))
    floor.killed()
    assert floor.product.get("/configuration")["configuration"]["site"]["name"] == before
    changed = floor.product.get("/configuration/history")["changes"][0]
    assert (changed["revision"], changed["back_to"], changed["paths"]) == (revision + 1, revision - 1, ["site.name"])


def test_a_campaign_calls_its_numbers_over_kills(house, floor):
    """One number is reached while control is killed during its ringing, one is on a list, one is busy; paused over another kill; nobody is called twice."""
    def numbers():
        return {row["number"]: row for row in floor.product.get("/campaigns/spring")["numbers"]}
    queue = house.state()["queues"][0]["name"]
    floor.configure(lambda config: config.update(caller_lists=[{"name": "robinson", "treatment": "do_not_call", "numbers": ["13900000002"]}]))
    assert "line 3, number" in floor.strowger("campaign-load", "spring", queue, str(_written(house, "bad.csv", "number,note\n13900000001,Li\n12,x\n")), fails=True)
    assert floor.product.get("/campaigns")["campaigns"] == []
    file = _written(house, "spring.csv", "number,note\n13900000001,Li\n13900000002,Wang\n13900000003,\n")
    assert floor.strowger("campaign-load", "spring", queue, str(file))["numbers"] == 3
    house.far.policy(incoming="manual")
    begin = house.far.mark()
    house.available("1001")
    house.wait_agent_idle("1001", WAIT_S)
    floor.product.post("/campaigns/spring/start", {})
    first = house.far.wait_for("incoming", WAIT_S, since=begin)
    assert first["called"] == "13900000001"
    house.far.alert(first["id"])
    floor.killed()                              # while the number rings
    assert numbers()["13900000001"]["state"] == "out" and floor.strowger("campaigns")["campaigns"][0]["state"] == "running"
    house.wait(lambda s: any(a["name"] == "1001" and a["registered"] for a in s["agents"]), WAIT_S, "agent 1001's telephone")
    house.far.answer(first["id"])
    call = house.wait_call("talking", WAIT_S)
    assert call["agent"] == "1001"
    house.far.policy(incoming="refuse", cause=17)
    floor.strowger("dispose", call["call"], "sold", "--agent", "1001")
    house.far.hangup(first["id"])
    house.cdr(call["call"], WAIT_S)
    house.wait(lambda s: numbers()["13900000003"]["attempts"] == 1, WAIT_S, "the busy number")
    found = numbers()
    assert {number: row["state"] for number, row in found.items()} == {"13900000001": "reached", "13900000002": "do_not_call", "13900000003": "new"}
    assert (found["13900000001"]["disposition"], found["13900000001"]["call"]) == ("sold", call["call"])
    floor.strowger("campaign-pause", "spring")
    floor.killed()
    assert floor.strowger("campaign", "spring")["numbers"] == list(numbers().values()) == list(found.values())
    assert floor.product.get("/campaigns")["campaigns"][0]["state"] == "paused"
    floor.strowger("campaign-start", "spring")
    floor.strowger("campaign-stop", "spring")
    assert numbers()["13900000003"]["state"] == "not_called" and len(house.far.events("incoming", since=begin)) == 2
    floor.strowger("campaign-remove", "spring")
    assert floor.product.get("/campaigns")["campaigns"] == []
    house.far.policy()


def test_the_rest_is_the_same_after_a_kill(house, floor):
    """What only reads answers as before; what was taken away does not come back; a malicious caller is registered before and after, on the same call."""
    today = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))).date().isoformat()       # of the site
    config = floor.product.get("/configuration")["configuration"]
    flow = next(row["target"] for row in config["numbers"] if row["application"] == "ivr")
    definition = floor.product.get("/flows/" + flow)["flow"]
    for node in definition["nodes"].values():
        if node["type"] == "menu":
            node["timeout_s"] = 6
    assert floor.product.put("/flows/" + flow, {"flow": definition})["version"] > 1        # a version to compare with
    text = _written(house, "flow.json", json.dumps(definition))
    article = floor.strowger("article-put", "Short", str(_written(house, "short.txt", "of no use")))["article"]
    floor.strowger("article-remove", str(article))
    message = floor.strowger("broadcast", "nothing", "--agents", "1002")["broadcast"]
    floor.strowger("broadcast-withdraw", message)
    for version in (1, 2):
        floor.strowger("prompt", "put", "en", "other", str(house.files["agent"]))
    floor.strowger("prompt", "put", "en", "gone", str(house.files["agent"]))
    floor.strowger("prompt", "remove", "en", "gone")
    if PAGE.exists():
        floor.strowger("document", "put", "offer", str(PAGE))
        floor.strowger("document", "remove", "offer")
    house.available("1001")
    house.wait_agent_idle("1001", WAIT_S)
    name, call = floor.caller(SALES)
    house.wait_call("talking", WAIT_S)

    def registered():
        return [row["data"]["outcome"] for row in floor.product.get("/calls/" + call)["records"] if row["kind"] == "leg.malicious"]

    def look():
        reads = {path: floor.product.get(path) for path in ("/me", "/desk/setup", "/flows/%s/diff" % flow, "/prompts", "/articles", "/broadcasts", "/documents", "/set_aside",
                                                             "/users", "/staffing?calls=100&handle_s=180", "/staffing/simulation?calls=100&handle_s=180&agents=14&runs=2",
                                                             "/schedule/coverage?queue=sales&day=" + today, "/routes/913912345678?line=1001", "/spans/1/timeslots/1")}
        words = {each: floor.strowger(*each) for each in (("me",), ("flow", "diff", flow), ("flow", "check", flow, str(text)), ("prompts",), ("articles",), ("broadcasts",),
                                                          ("documents",), ("set-aside",), ("users",), ("staffing", "--calls", "100", "--handle-s", "180"),
                                                          ("staffing-simulation", "--calls", "100", "--handle-s", "180", "--agents", "14", "--runs", "2"),
                                                          ("coverage", "sales", today), ("route", "913912345678", "--line", "1001"), ("timeslot", "1", "1"))}
        return reads, words, floor.product.octets("/api/v1/prompts/en/other/audio")
    floor.strowger("malicious", call)
    house.wait(lambda s: "registered" in registered(), WAIT_S, "the network's word")
    before = look()
    floor.strowger("export", "journal", str(house.folder / "before.jsonl"))
    floor.killed()
    assert house.wait_call("talking", WAIT_S)["call"] == call and registered() == ["asked", "registered"]
    assert look() == before
    floor.strowger("export", "journal", str(house.folder / "after.jsonl"))
    lines = (house.folder / "before.jsonl").read_text().splitlines()
    assert len(lines) > 10 and (house.folder / "after.jsonl").read_text().splitlines()[:len(lines)] == lines
    floor.product.post("/calls/%s/malicious" % call, {})
    house.wait(lambda s: registered().count("registered") == 2, WAIT_S, "the network's word again")
    house.far.hangup(name)
    house.cdr(call, WAIT_S)
    floor.strowger("prompt", "remove", "en", "other")


def test_a_person_is_erased_and_no_file_has_the_number(house, floor):
    """The one who called above, on a call just now: it is waited for; asked twice it is one erasure; control is killed."""
    house.available("1001")
    house.wait_agent_idle("1001", WAIT_S)
    name, call = floor.caller(SALES)
    house.wait_call("talking", WAIT_S)
    assert PERSON.encode() in b"".join(_files(house).values())
    assert "is in call" in floor.strowger("erase", PERSON, "--confirm", PERSON, fails=True)
    first = floor.strowger("erase", PERSON, "--confirm", PERSON, "--later", "--reason", "asked")
    assert floor.product.post("/erasures", {"number": PERSON, "confirm": PERSON, "later": True})["erasure"] == first["erasure"]
    floor.killed()
    (row,) = floor.strowger("erasures")["erasures"]
    assert row["waits"] and row["erasure"] == first["erasure"]
    house.far.hangup(name)
    house.wait(lambda s: not s["calls"], WAIT_S, "the end of the call")
    house.wait(lambda s: not floor.product.get("/erasures")["erasures"] and not floor.product.get("/retention")["busy"], 120, "the erasure")
    callers = {row["caller"] for row in floor.product.get("/calls")["calls"]}
    assert "erased-" + first["erasure"] in callers and PERSON not in callers       # others were called by the campaign
    floor.killed()
    assert floor.product.post("/reports/check", {}) == {"differed": []}
    held = [path for path, octets in _files(house).items() if PERSON.encode() in octets or b"the blue one" in octets]
    assert held == [], "the person is still in %s" % held


def _written(house, name, text):
    path = house.folder / name
    path.write_text(text, encoding="utf-8")
    return path


def _files(house):
    """{path: octets} of what the house keeps."""
    return {str(path): path.read_bytes() for folder in (house.data_dir, house.run_dir) for path in pathlib.Path(folder).rglob("*")
            if path.is_file() and not path.is_symlink() and "board" not in path.parts}


def _refused(product, user):
    """What somebody with a given password is told."""
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=ssl._create_unverified_context()))
    token = base64.b64encode(("%s:%s" % (user, product.password)).encode()).decode()
    with pytest.raises(urllib.error.HTTPError) as caught:
        opener.open(urllib.request.Request(product.url + "/api/v1/me", headers={"Authorization": "Basic " + token}), timeout=WAIT_S)
    return caught.value.read()
