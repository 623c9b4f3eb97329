"""Agents: reasons, log-in at any line, after-call work, missed offers, feature codes of the telephone.

The rig replays the whole journal after every step and compares, so each of these tests is one of replay too."""

from tests.control.switchboard_rig import Rig
from tests.control.test_acd import answer, ring, world

CODES = [{"code": "*41", "action": "log_in"}, {"code": "*40", "action": "log_out"}, {"code": "*42", "action": "available"},
         {"code": "*43", "action": "break", "reason": "lunch"}, {"code": "*44", "action": "break_reason"},
         {"code": "*45", "action": "wrap_up_end"}, {"code": "*46", "action": "wrap_up_extend"},
         {"code": "*8", "action": "pick_up"}, {"code": "*7", "action": "unpark"}]
REASONS = [{"name": "lunch"}, {"name": "meeting"}]


def desk(agents=None, sales=None, **more):
    rig = world(agents, sales, **more)
    rig.sb.configure(dict(rig.config, feature_codes=CODES, break_reasons=REASONS), rig.now)
    rig.config = rig.sb.core.config
    rig.settle()
    return rig


def dialled(rig, line, code, leg):
    """Dial a code; what the telephone hears, then it is released."""
    rig.dial(line, code, leg)
    heard = rig.heard(leg)
    if leg in rig.media["signals"]:
        rig.played(leg)
    return heard


def statuses(rig, agent):
    return [(r["data"]["status"], r["data"]["reason"], r["data"]["by"]) for r in rig.journal if r["kind"] == "agent.status" and r["agent"] == agent]


def test_a_break_needs_a_configured_reason_and_a_supervisor_is_named():
    rig = desk()
    assert "lunch, meeting" in rig.command("agent.status", agent="1001", status="on_break", reason="tired")
    assert "lunch" in rig.command("agent.status", agent="1001", status="on_break")
    assert rig.command("agent.status", agent="1001", status="on_break", reason="lunch") is None
    assert rig.command("agent.status", agent="1001", status="logged_out", by="supervisor") is None
    assert statuses(rig, "1001")[-2:] == [("on_break", "lunch", "agent"), ("logged_out", None, "supervisor")]


def test_a_forced_log_out_lets_the_call_end_first():
    rig = desk()
    ring(rig, "p1")
    answer(rig)
    rig.command("agent.status", agent="1001", status="logged_out", by="supervisor")
    assert rig.call()["state"] == "talking" and rig.agent("1001")["state"] == "talking"
    rig.hang_up("p1")
    assert (rig.agent("1001")["state"], rig.agent("1001")["status"]) == ("idle", "logged_out")
    assert ring(rig, "p2") == "1002"


def test_logging_in_at_another_line():
    rig = desk(register=("1001", "1002", "2001"))
    assert "no telephone" not in (rig.command("command.log_in", agent="1003", line="2001") or "")
    assert rig.agent("1003")["line"] == "2001" and rig.agent("1003")["registered"]
    assert [ring(rig, "p%d" % n) for n in (1, 2, 3)] == ["1001", "1002", "2001"]
    answer(rig)
    assert rig.call(2)["agent"] == "1003"
    rig.kill()
    assert "in a call" in rig.command("command.log_in", agent="1003", line="1003")
    assert rig.command("agent.status", agent="1003", status="logged_out") is None
    assert rig.agent("1003")["line"] == "2001", "stays until the call is over"
    rig.hang_up("p3")
    assert rig.agent("1003")["line"] == "1003" and rig.agent("1003")["seat"] is None


def test_an_agents_own_line_taken_by_another():
    rig = desk()
    assert "1002 is logged in" in rig.command("command.log_in", agent="1003", line="1002")
    rig.do("agent.status", agent="1002", status="logged_out")
    assert rig.command("command.log_in", agent="1003", line="1002") is None
    assert rig.agent("1002")["line"] is None and rig.agent("1003")["line"] == "1002"
    assert "at no line" in rig.command("agent.status", agent="1002", status="available")
    assert rig.command("command.log_in", agent="1002", line="1003") is None       # they change places
    assert [ring(rig, "p%d" % n) for n in (1, 2, 3)] == ["1001", "1002", "1003"]
    assert [rig.call(n)["offered_agent"] for n in range(3)] == ["1001", "1003", "1002"]
    rig.kill()
    for name in ("1002", "1003"):
        rig.do("agent.status", agent=name, status="logged_out")
    assert rig.agent("1003")["line"] == "1003" and rig.agent("1002")["line"] == "1002"
    for bad, words in (({"agent": "9", "line": "2001"}, "no agent"), ({"agent": "1001", "line": "9"}, "no line")):
        assert words in rig.command("command.log_in", **bad)


def test_after_call_work_is_made_longer_a_limited_number_of_times():
    rig = desk({"1001": {"wrap_up_s": 10, "wrap_up_extension_s": 20, "wrap_up_extensions": 2}})
    ring(rig, "p1")
    answer(rig)
    assert "no after-call work" in rig.command("command.wrap_up", agent="1001")
    rig.hang_up("p1")
    assert rig.command("command.wrap_up", agent="1001") is None and rig.command("command.wrap_up", agent="1001") is None
    assert "2 times" in rig.command("command.wrap_up", agent="1001")
    rig.wait(49999)
    rig.kill(away_ms=0)
    assert rig.agent("1001")["state"] == "wrap_up" and rig.agent("1001")["wrap_up_until_ms"] == rig.now + 1
    rig.wait(1)
    assert rig.agent("1001")["state"] == "idle"
    rig = desk({"1001": {"wrap_up_s": 10}}, {"wrap_up_s": 0})
    ring(rig, "p1")
    answer(rig)
    rig.hang_up("p1")
    assert rig.agent("1001")["state"] == "idle", "the queue's setting counts"
    rig = desk({"1001": {"wrap_up_s": 10}})
    ring(rig, "p1")
    answer(rig)
    rig.hang_up("p1")
    assert rig.command("command.wrap_up", agent="1001", end=True) is None and rig.agent("1001")["state"] == "idle"


def test_missed_offers_pause_then_set_away():
    rig = desk(sales={"missed_offers": 2, "missed_pause_s": 8, "offer_timeout_s": 10}, register=("1001", "1002"))
    assert ring(rig, "p1") == "1001"
    rig.do("leg.alerting", leg=rig.last("leg.create")["leg"])
    rig.wait(10000)
    assert rig.last("leg.create")["line"] == "1002" and rig.agent("1001")["rests"] and rig.agent("1001")["missed"] == 1
    assert rig.agent("1001")["status"] == "available"
    rig.do("leg.alerting", leg=rig.last("leg.create")["leg"])
    rig.kill(away_ms=7999)                  # 1002's telephone was cancelled and rings again
    assert rig.agent("1001")["rests"]
    rig.do("leg.alerting", leg=rig.last("leg.create")["leg"])
    rig.wait(1)
    assert not rig.agent("1001")["rests"]
    rig.wait(10000)
    assert rig.last("leg.create")["line"] == "1001"
    rig.do("leg.released", leg=rig.last("leg.create")["leg"], cause=21, by="far")
    assert (rig.agent("1001")["status"], rig.agent("1001")["reason"]) == ("on_break", "offer refused")
    rig.do("agent.status", agent="1001", status="available")
    assert rig.agent("1001")["missed"] == 0
    answer(rig)
    assert rig.call()["state"] == "talking"


def test_feature_codes():
    rig = desk({"1001": {"wrap_up_s": 60}}, {"strategy": "linear"})
    assert dialled(rig, "1001", "*43", "s1") == ["done zh_CN"]
    assert (rig.agent("1001")["status"], rig.agent("1001")["reason"], rig.agent("1001")["state"]) == ("on_break", "lunch", "idle")
    assert dialled(rig, "1001", "*442", "s2") == ["done zh_CN"] and rig.agent("1001")["reason"] == "meeting"
    assert dialled(rig, "1001", "*449", "s3") == ["not_possible zh_CN"]
    dialled(rig, "1001", "*42", "s4")
    assert rig.agent("1001")["status"] == "available"
    ring(rig, "p1")
    answer(rig)
    rig.hang_up("p1")
    dialled(rig, "1001", "*46", "s5")
    assert rig.agent("1001")["state"] == "wrap_up" and rig.agent("1001")["wrap_up_until_ms"] == rig.now + 90000
    dialled(rig, "1001", "*45", "s6")
    assert rig.agent("1001")["state"] == "idle"
    assert dialled(rig, "2001", "*42", "s7") == ["not_possible zh_CN"], "nobody's line"
    dialled(rig, "1001", "*40", "s8")
    assert dialled(rig, "2001", "*411001", "s9") == ["done zh_CN"]
    assert rig.agent("1001")["line"] == "2001" and rig.agent("1001")["status"] == "available"
    done = [r["data"] for r in rig.journal if r["kind"] == "call.feature"]
    assert [d["done"] for d in done] == [True, True, False, True, True, True, False, True, True] and "number 9" in done[2]["why"]
    rig.offer("p9", called="*42")
    assert rig.adapter.get("p9") is None, "from a trunk they are unknown numbers"
    assert rig.cdrs[-1]["result"] == "rejected"


def test_the_code_of_a_log_in_is_written_nowhere():
    rig = desk({"1003": {"pin": "8642"}})
    rig.do("agent.status", agent="1003", status="logged_out")
    rig.dial("2001", "*411003", "s1")
    assert rig.heard("s1") == ["enter_code zh_CN"]
    for key in "8643":
        rig.press(key, "s1")
    assert rig.heard("s1") == ["enter_code zh_CN"] and rig.agent("1003")["line"] == "1003"
    for key in "8642":
        rig.press(key, "s1")
    assert rig.heard("s1") == ["done zh_CN"] and rig.agent("1003")["line"] == "2001"
    rig.played("s1")
    rig.finished()
    assert "864" not in str([r for r in rig.journal if r["kind"] != "flow.loaded"])
    rig.do("agent.status", agent="1003", status="logged_out")
    assert "code" in rig.command("command.log_in", agent="1003", line="2001", pin="1")
    assert rig.command("command.log_in", agent="1003", line="2001", pin="8642") is None
    rig.do("agent.status", agent="1003", status="logged_out")
    rig.dial("2001", "*411003", "s2")
    rig.press("8", "s2")
    rig.wait(15000)
    assert rig.heard("s2") == ["not_possible zh_CN"]
    rig.played("s2")
    rig.dial("2001", "*411003", "s3")
    rig.press("8", "s3")
    rig.kill()
    rig.wait(5000)
    rig.finished()


def test_auto_answer_is_asked_for():
    rig = desk({"1001": {"auto_answer": True}})
    ring(rig, "p1")
    assert rig.last("leg.create")["auto_answer"] is True
    ring(rig, "p2")
    assert "auto_answer" not in rig.last("leg.create")


def test_a_status_that_a_supervisor_has_locked_is_a_supervisors_to_change():
    rig = Rig()
    assert rig.command("agent.status", agent="1001", status="on_break", reason="coaching", by="supervisor", locked=True) is None
    assert rig.agent("1001")["locked"]
    for status in ("available", "logged_out"):
        assert "only a supervisor" in rig.command("agent.status", agent="1001", status=status)
    assert "only a supervisor" in rig.command("command.log_in", agent="1001", line="2001")
    rig.kill()
    rig.sb.checkpoint(rig.now)
    rig.settle()
    rig.sb = rig.replayed(rig.journal[-1:])
    assert rig.agent("1001")["locked"] and "only a supervisor" in rig.command("agent.status", agent="1001", status="available")
    assert rig.command("agent.status", agent="1001", status="available", by="supervisor") is None
    assert not rig.agent("1001")["locked"] and rig.command("agent.status", agent="1001", status="logged_out") is None
