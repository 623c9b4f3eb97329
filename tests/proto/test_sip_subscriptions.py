"""Busy lamps and message waiting: SUBSCRIBE and NOTIFY with a scripted telephone; bodies read by an XML parser of others."""

import xml.etree.ElementTree

import pytest

from tests.proto.sip_world import Phone, endpoint, header, method, restart, status

SPACE = "{urn:ietf:params:xml:ns:dialog-info}"


@pytest.fixture
def switch():
    made = endpoint(digest_algorithms=("MD5",))
    made.resume(1000000)
    return made


def subscribe(phone, watched="1002", event="dialog", expires=600, call_id=None, **more):
    events, output, _ = phone.challenged("SUBSCRIBE", "sip:%s@strowger" % watched, [
        ("Event", event), ("Expires", str(expires)), ("Contact", "<%s>" % phone.contact())], call_id=call_id or "sub-%s-%s" % (watched, event), **more)
    assert not events
    return output


def notified(phone):
    """NOTIFYs that are due, answered."""
    phone.now_ms += 20
    phone.switch.expire(phone.now_ms)
    got = [octets for octets, destination in phone.switch.take_output() if destination == phone.address and method(octets) == "NOTIFY"]
    for octets in got:
        phone.send(phone.respond(octets, 200))
    return got


def states(octets):
    root = xml.etree.ElementTree.fromstring(octets.split(b"\r\n\r\n", 1)[1])
    assert root.tag == SPACE + "dialog-info" and root.get("state") == "full"
    return int(root.get("version")), root.get("entity"), [(row.get("direction"), row.find(SPACE + "state").text) for row in root]


@pytest.mark.conformance("RFC 4235", "3.10", "the whole state at once, then at each change, with a version that rises")
def test_busy_lamp(switch):
    phone = Phone(switch)
    output = subscribe(phone)
    assert status(output[0]) == 200 and header(output[0], "Expires") == "600" and method(output[1]) == "NOTIFY"
    assert header(output[1], "Subscription-State") == "active;expires=600" and states(output[1]) == (0, "sip:1002@127.0.0.1", [])
    phone.send(phone.respond(output[1], 200))
    switch.subscriptions.show_dialogs("1002", [("l1", "recipient", "early")], phone.now_ms)
    got = notified(phone)
    assert [states(octets)[::2] for octets in got] == [(1, [("recipient", "early")])]
    # two changes while a NOTIFY is under way: one more, with the last state
    for state in ("confirmed", "early"):
        switch.subscriptions.show_dialogs("1002", [("l1", "recipient", state)], phone.now_ms)
    switch.subscriptions.show_dialogs("1002", [], phone.now_ms)
    assert [states(octets)[2] for octets in notified(phone)] == [[]]
    assert notified(phone) == []
    refresh = phone.request("SUBSCRIBE", "sip:strowger@127.0.0.1", [("Event", "dialog"), ("Expires", "0"), ("Contact", "<%s>" % phone.contact())],
                            to=header(output[0], "To"), call_id="sub-1002-dialog")
    _, output = phone.send(refresh)
    assert status(output[0]) == 200 and header(output[1], "Subscription-State") == "terminated;reason=timeout"
    assert not switch.subscriptions.all and not switch.subscriptions.of


@pytest.mark.conformance("RFC 4235", "4.1.2", "Call-ID and tags of a call, seen from the watched telephone, for who may join it, and for nobody else")
def test_names_of_calls_are_for_who_may_join(switch):
    watched = Phone(switch, "1002", "secret-2", ("10.1.1.2", 5060))
    events, _ = watched.invite("5001")
    leg = events[0]["leg"]
    phone, names = Phone(switch), dict(zip(("call-id", "remote-tag", "local-tag"), switch.dialog_name(leg)))
    assert names["call-id"] == watched.call_id
    for may in (False, True):
        switch.subscriptions.may_name = lambda line, other: may and (line, other) == ("1001", "1002")
        switch.subscriptions.show_dialogs("1002", [(leg, "initiator", "early")], watched.now_ms)
        output = subscribe(phone, call_id="sub-%s" % may)
        row, = xml.etree.ElementTree.fromstring(output[1].split(b"\r\n\r\n", 1)[1])
        assert {name: row.get(name) for name in names} == (names if may else dict.fromkeys(names))


@pytest.mark.conformance("RFC 3842", "5.2", "message summary of the subscriber's own line")
def test_message_waiting(switch):
    phone = Phone(switch)
    output = subscribe(phone, "1001", "message-summary")
    assert b"Messages-Waiting: no\r\n" in output[1]
    phone.send(phone.respond(output[1], 200))
    switch.subscriptions.show_messages("1001", 2, 1, phone.now_ms)
    assert b"Messages-Waiting: yes\r\nMessage-Account: sip:1001@127.0.0.1\r\nVoice-Message: 2/1 (0/0)" in notified(phone)[0]
    assert status(subscribe(phone, "1002", "message-summary", to="<sip:1002@strowger>")[0]) == 403


@pytest.mark.parametrize("watched,event,expires,code", [
    ("1002", "presence.winfo", 600, 489), ("nobody", "dialog", 600, 404), ("1002", "dialog", 5, 423)])
def test_refusals(switch, watched, event, expires, code):
    output = subscribe(Phone(switch), watched, event, expires)
    assert status(output[0]) == code and len(output) == 1 and not switch.subscriptions.all


def test_a_stranger_sees_nothing(switch):
    stranger = Phone(switch, "1001", "wrong")
    output = subscribe(stranger)
    assert status(output[0]) == 401 and not switch.subscriptions.all


def test_it_outlives_a_kill_and_ends_with_its_time(switch):
    phone = Phone(switch)
    output = subscribe(phone)
    phone.send(phone.respond(output[1], 200))
    new = restart(switch, 2, phone.now_ms + 500)
    phone.switch, phone.now_ms = new, phone.now_ms + 500
    new.resume(phone.now_ms)
    version, _, rows = states(notified(phone)[0])
    assert version > 0 and rows == []
    phone.now_ms += 600000
    last = notified(phone)[-1]
    assert header(last, "Subscription-State") == "terminated;reason=timeout" and not new.subscriptions.all


def test_a_refused_notify_ends_it_and_a_line_has_so_many(switch):
    phone = Phone(switch)
    output = subscribe(phone)
    phone.send(phone.respond(output[1], 481))
    assert not switch.subscriptions.all
    for number in range(70):
        phone.call_id = "many"
        events, output, _ = phone.challenged("SUBSCRIBE", "sip:1002@strowger", [
            ("Event", "dialog"), ("Contact", "<%s>" % phone.contact())], call_id="many-%d" % number)
        assert status(output[0]) == 200
    assert len(switch.subscriptions.all) == 64
    switch.set_lines({"1002": "secret-2"}, phone.now_ms)
    assert not switch.subscriptions.all and not switch._dialogs


PIDF, RPID, MODEL = ("{urn:ietf:params:xml:ns:pidf%s}" % part for part in ("", ":rpid", ":data-model"))


def presence(octets):
    """(entity, basic, activities, note) of a PIDF document."""
    assert header(octets, "Content-Type") == "application/pidf+xml"
    root = xml.etree.ElementTree.fromstring(octets.split(b"\r\n\r\n", 1)[1])
    assert root.tag == PIDF + "presence"
    return (root.get("entity"), root.find("%stuple/%sstatus/%sbasic" % (PIDF, PIDF, PIDF)).text,
            [row.tag.split("}")[1] for row in root.findall("%sperson/%sactivities/" % (MODEL, RPID))], root.findtext("%stuple/%snote" % (PIDF, PIDF)))


@pytest.mark.conformance("RFC 3856", "6", "presence of a line as PIDF: registered or not, on the phone, what its agent does; only changes are told")
def test_presence(switch):
    seat = [None]
    switch.subscriptions.agent_of = lambda line: seat[0] if line == "1002" else None
    phone, other = Phone(switch), Phone(switch, "1002", "secret-2", ("127.0.0.1", 15090))
    output = subscribe(phone, event="presence")
    assert status(output[0]) == 200 and presence(output[1]) == ("sip:1002@127.0.0.1", "closed", [], None)
    phone.send(phone.respond(output[1], 200))
    other.register()
    assert [presence(octets)[1] for octets in notified(phone)] == ["open"]
    switch.subscriptions.show_dialogs("1002", [("l1", "recipient", "early")], phone.now_ms)
    assert [presence(octets)[2] for octets in notified(phone)] == [["on-the-phone"]]
    switch.subscriptions.show_dialogs("1002", [("l1", "recipient", "confirmed")], phone.now_ms)
    assert notified(phone) == []                 # nothing new for who watches the person
    switch.subscriptions.show_dialogs("1002", [], phone.now_ms)
    notified(phone)
    seat[0] = (True, "away", "on break: lunch <&>")
    switch.subscriptions.show_presence("1002", phone.now_ms)
    assert [presence(octets)[1:] for octets in notified(phone)] == [("open", ["away"], "on break: lunch <&>")]
    seat[0] = (False, None, "logged out")
    switch.subscriptions.show_presence("1002", phone.now_ms)
    assert [presence(octets)[1] for octets in notified(phone)] == ["closed"]
    assert status(subscribe(phone, watched="9999", event="presence")[0]) == 404
