"""Voicemail on the switchboard: leaving, hearing, deleting, greetings, lamps, over kills.

The rig replays the whole journal after every step and compares, so each of these tests is one of replay too."""

import copy

import pytest

from firmware.config.schema import check
from tests.control.switchboard_rig import CONFIG, Rig
from tests.control.test_acd import SALES, to

NIGHT, BOSS = "02150801008", "02150801002"


def world(sales=None, **box):
    config = copy.deepcopy(CONFIG)
    config["mailboxes"] = [dict({"name": "night", "pin": "4711", "keep_days": 2}, **box), {"name": "boss", "lines": ["2001"], "email": ["a@b.example"]}]
    config["numbers"].append({"number": NIGHT, "application": "mailbox", "target": "night"})
    config["feature_codes"] = [{"code": "*98", "action": "messages"}]
    config["queues"][0].update(sales or {})
    return Rig(config)


def leave(rig, leg="p1", seconds=10, called=NIGHT, timeslot=1, **more):
    """A caller leaves a message and hangs up; its id."""
    rig.offer(leg, called=called, timeslot=timeslot, **more)
    rig.played(leg)
    rig.wait(seconds * 1000)
    rig.hang_up(leg)
    return close(rig, seconds * 1000)


def close(rig, duration_ms):
    recording = rig.closed
    rig.do("media.record_closed", recording=recording, octets=16 * duration_ms, duration_ms=duration_ms)
    return max(rig.sb.core.state.messages, key=lambda name: int(name[1:]), default=None)


def lamps(rig):
    return [(action["line"], action["new"], action["old"]) for action in rig.actions_of("line.messages")]


def test_a_caller_leaves_a_message_and_ends_it_with_a_key():
    rig = world()
    rig.offer("p1", called=NIGHT)
    assert rig.call()["state"] == "mailbox" and rig.heard() == ["voicemail_greeting zh_CN", "voicemail_greeting en", "ringback 300"]
    rig.kill()
    rig.played()
    action = rig.last("media.record")
    assert (action["path"], action["left"]) == ("voicemail/night/m101.wav", "p1")
    rig.wait(5000)
    rig.kill()                                  # media records on
    assert len(rig.actions_of("media.record")) == 1 and action["recording"] in rig.media["recordings"]
    rig.press("#")
    assert rig.heard()[0] == "voicemail_saved zh_CN"
    close(rig, 5000)
    rig.played()
    rig.wait(1000)
    rig.finished()
    assert rig.cdrs[0]["result"] == "voicemail" and rig.cdrs[0]["recording"] == [action["recording"]]
    message, = rig.sb.core.state.messages.values()
    assert (message["state"], message["duration_ms"], message["caller"], message["mail"]) == ("new", 5000, "13912345678", False)
    assert rig.sb.snapshot(rig.now)["mailboxes"][0]["new"] == 1
    rig.sb.checkpoint(rig.now)
    rig.settle()
    rig.sb = rig.replayed(rig.journal[-1:])
    rig.wait(2 * 86400000 + 1000)               # kept for two days
    assert rig.sb.core.state.messages == {} and [record["data"]["reason"] for record in rig.journal if record["kind"] == "message.deleted"] == ["retention"]


def test_what_is_too_short_begun_anew_or_too_long():
    rig = world(max_s=10)
    assert leave(rig, seconds=1) is None
    rig.offer("p1", called=NIGHT)
    rig.played()
    rig.wait(3000)
    rig.press("*")                              # not so: again
    close(rig, 3000)
    assert rig.heard()[0] == "voicemail_greeting zh_CN" and rig.sb.core.state.messages == {}
    rig.played()
    rig.wait(11000)
    assert rig.heard()[0] == "voicemail_saved zh_CN"
    assert close(rig, 10000) is not None


def test_media_dies_during_a_message_what_is_there_is_kept():
    rig = world()
    rig.offer("p1", called=NIGHT)
    rig.played()
    rig.wait(5000)
    rig.do("media.lost")
    row, = rig.sb.core.state.messages.values()
    assert (row["state"], row["duration_ms"]) == ("new", None)


def test_a_full_mailbox_takes_no_more():
    rig = world(most=1)
    leave(rig)
    rig.offer("p2", called=NIGHT, timeslot=2)
    assert rig.heard("p2")[0] == "voicemail_full zh_CN"


@pytest.mark.parametrize("rule, before", [
    (to("closed", "night", kind="mailbox"), {"hours": [{"days": "7", "from": "01:00", "to": "02:00"}]}),
    (to("wait", "night", 30, kind="mailbox"), {})])
def test_callers_of_a_queue_come_to_its_mailbox(rule, before):
    rig = world(sales=dict(before, overflow=[rule], announce_position_s=0))
    for name in ("1001", "1002"):
        rig.do("agent.status", agent=name, status="on_break", reason="r")
    rig.offer("p1", called=SALES)
    if not before:
        rig.played()
        rig.wait(31000)
    assert rig.call()["state"] == "mailbox" and rig.heard()[0] == "voicemail_greeting zh_CN"
    rig.played()
    rig.wait(4000)
    rig.hang_up()
    assert close(rig, 4000) and rig.cdrs[0]["result"] == "voicemail"


def test_who_does_not_answer_has_a_mailbox_its_lamp_and_mail():
    rig = world()
    rig.offer("p1", called=BOSS)
    assert rig.call()["state"] == "ringing"
    rig.wait(61000)
    assert rig.call()["state"] == "mailbox" and rig.adapter["p1"] == "answered"
    rig.played()
    rig.wait(5000)
    rig.hang_up()
    message = close(rig, 5000)
    assert lamps(rig)[-1] == ("2001", 1, 0) and rig.sb.core.state.messages[message]["mailed"] == "wanted"
    assert rig.do("message.mailed", message=message, ok=False, error="away", again_ms=rig.now + 30000)
    assert rig.sb.core.state.messages[message]["mail"] and rig.sb.core.state.messages[message]["mail_tries"] == 1
    assert rig.do("message.mailed", message=message, ok=True)
    assert rig.sb.core.state.messages[message]["mailed"] == "sent" and not rig.do("message.mailed", message=message, ok=True)
    rig.kill()
    assert lamps(rig)[-1] == ("2001", 1, 0)     # said again after a restart
    rig.do("line.unregistered", line="2001")
    rig.offer("p2", called=BOSS, timeslot=2)
    assert rig.call()["state"] == "mailbox"     # not there at all
    rig.hang_up("p2")
    assert rig.command("command.message_state", message=message, state="read") is None and lamps(rig)[-1] == ("2001", 0, 1)
    assert rig.command("command.message_delete", message=message, by="boss") is None and lamps(rig)[-1] == ("2001", 0, 0)
    assert "no message" in rig.command("command.message_delete", message=message)


def test_the_owner_listens_by_telephone():
    rig = world()
    rig.now += 1000
    first, second = leave(rig, "p1", 10), leave(rig, "p2", 20, timeslot=2)
    rig.offer("p3", called=NIGHT, timeslot=3)
    rig.press("*", "p3")
    assert rig.heard("p3")[0] == "enter_code zh_CN"
    for key in "1234":
        rig.press(key, "p3")
    assert rig.heard("p3")[0] == "enter_code zh_CN" and rig.call()["mailbox"]["tries"] == 1
    for key in "4711":
        rig.press(key, "p3")
    assert "4711" not in str(rig.journal)
    assert rig.heard("p3") == ["voicemail_you_have zh_CN", "2 zh_CN", "voicemail_new_messages zh_CN", "voicemail_message zh_CN", "1 zh_CN",
                               "voicemail/night/%s.wav" % first]
    rig.kill()
    rig.played("p3")
    assert rig.heard("p3") == ["voicemail_menu zh_CN"] and rig.sb.core.state.messages[first]["state"] == "read"
    rig.press("2", "p3")
    assert rig.heard("p3")[-1] == "voicemail/night/%s.wav" % second
    rig.press("1", "p3")
    assert rig.heard("p3")[-1] == "voicemail/night/%s.wav" % second
    rig.press("3", "p3")                        # delete: the one after does not exist
    assert second not in rig.sb.core.state.messages and rig.heard("p3") == ["voicemail_no_more zh_CN"]
    rig.press("4", "p3")
    assert rig.heard("p3")[-1] == "voicemail/night/%s.wav" % first
    rig.press("9", "p3")
    rig.played("p3")
    path = rig.last("media.record")["path"]
    rig.wait(4000)
    rig.press("#", "p3")
    rig.do("media.record_closed", recording=rig.closed, octets=9, duration_ms=4000)
    rig.press("#", "p3")
    assert rig.heard("p3")[0] == "goodbye zh_CN"
    rig.played("p3")
    rig.offer("p4", called=NIGHT, timeslot=4)
    assert rig.heard("p4")[0] == path           # the own greeting


def test_the_code_is_wrong_and_nobody_presses_keys():
    rig = world()
    rig.offer("p1", called=NIGHT)
    rig.press("*")
    for key in "123412341234":
        rig.press(key)
    assert rig.heard()[0] == "goodbye zh_CN"
    rig.offer("p2", called=NIGHT, timeslot=2)
    rig.press("*", "p2")
    rig.wait(11000)
    assert rig.heard("p2")[0] == "goodbye zh_CN"


def test_from_the_own_telephone_without_a_code():
    rig = world()
    rig.offer("p1", called=BOSS)
    rig.wait(61000)
    rig.played()
    rig.wait(5000)
    rig.hang_up()
    close(rig, 5000)
    rig.dial("2001", "*98", "s1")
    assert rig.heard("s1")[:2] == ["voicemail_you_have zh_CN", "1 zh_CN"]
    rig.played("s1")
    for _ in range(3):
        rig.played("s1") if "s1" in rig.media["signals"] else None
        rig.wait(10100)
    assert lamps(rig)[-1] == ("2001", 0, 1)
    rig.dial("1001", "*98", "s2")
    assert rig.heard("s2") == ["not_possible zh_CN"]


@pytest.mark.parametrize("row, path, words", [
    ({"name": "a b"}, "mailboxes[0].name", "letters"), ({"pin": "12"}, "mailboxes[0].pin", "4 to 12"), ({"lines": ["9"]}, "mailboxes[0].lines[0]", "no line"),
    ({"email": ["x"]}, "mailboxes[0].email[0]", "no mail address"), ({"lines": 1}, "mailboxes[0].lines", "list"), ({"min_s": 20, "max_s": 10}, "mailboxes[0].min_s", "less")])
def test_what_cannot_be_is_said(row, path, words):
    errors = check({"mailboxes": [dict({"name": "m"}, **row)], "mail": {"host": "mail.example", "from": "a@b.example"}})[1]
    assert [error.path for error in errors] == [path] and words in errors[0].advice


def test_mail_needs_a_server_and_no_password_in_clear():
    assert [error.path for error in check({"mailboxes": [{"name": "m", "email": ["a@b.example"]}]})[1]] == ["mailboxes[0].email"]
    assert [error.path for error in check({"mail": {"user": "u"}})[1]] == ["mail.security"]
    assert check({"numbers": [{"number": "1", "application": "mailbox", "target": "m"}]})[1][0].path == "numbers[0].target"
