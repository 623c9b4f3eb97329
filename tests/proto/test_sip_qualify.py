"""Telephones that give no answer: not called, asked by OPTIONS, called again when they answer or register."""

import pytest

from tests.proto.sip_world import ANSWER, OFFER, Phone, endpoint, header, method, restart

EVERY_S = 60


def switch_and_phone(qualify_s=EVERY_S, **config):
    switch = endpoint(qualify_s=qualify_s, **config)
    phone = Phone(switch)
    phone.register(expires=3600)
    return switch, phone


def until(switch, phone, stop, limit_ms=600000):
    """Let timers run until stop(octets or event) is true of something; returns it."""
    end_ms = phone.now_ms + limit_ms
    while switch.deadline_ms() is not None and switch.deadline_ms() <= end_ms:
        phone.now_ms = switch.deadline_ms()
        events = switch.expire(phone.now_ms)
        for found in events + [octets for octets, _ in switch.take_output()]:
            if stop(found):
                return found
    return None


def options(found):
    return isinstance(found, bytes) and method(found) == "OPTIONS"


def of_kind(kind):
    return lambda found: isinstance(found, dict) and found["kind"] == kind


def call(switch, phone, leg):
    return switch.request({"kind": "invite_request", "leg": leg, "line": "1001", "sdp": OFFER, "caller": "1"}, phone.now_ms)


@pytest.mark.conformance("RFC 3261", "17.1.1.2", "timer B without any response: the contact is not offered until it is heard of")
@pytest.mark.parametrize("released", [False, True])
def test_an_invite_without_any_response_makes_the_contact_silent(released):
    switch, phone = switch_and_phone(qualify_s=0)
    began_ms = phone.now_ms
    call(switch, phone, "l1")
    if released:                                    # the queue gave up after 15 s; the INVITE cannot be cancelled yet (9.1)
        phone.now_ms += 15000
        switch.expire(phone.now_ms)
        switch.request({"kind": "release_request", "leg": "l1", "cause": 20}, phone.now_ms)
    assert until(switch, phone, of_kind("line_unregistered"))["contacts"] == []
    assert phone.now_ms == began_ms + 32000 and switch.is_silent("1001") and switch.counters["silent_contacts"] == 1
    assert switch.registered_lines() == ["1001"] and switch.contacts("1001") == []
    events = call(switch, phone, "l2")
    assert (events[0]["kind"], events[0]["status"], events[0]["cause"]) == ("rejected", 480, 20)
    events, answer = phone.register(expires=3600)
    assert events[0]["kind"] == "line_registered" and not switch.is_silent("1001")
    assert call(switch, phone, "l3") == []


def test_a_phone_that_said_anything_or_registered_meanwhile_is_not_silent():
    switch, phone = switch_and_phone(qualify_s=0)
    call(switch, phone, "l1")
    phone.send(phone.respond(switch.take_output()[0][0], 100))
    until(switch, phone, lambda found: False, 60000)
    switch.request({"kind": "release_request", "leg": "l1"}, phone.now_ms)
    until(switch, phone, lambda found: False, 60000)
    assert not switch.is_silent("1001")
    call(switch, phone, "l2")
    phone.now_ms += 31000
    switch.expire(phone.now_ms)
    switch.take_output()
    phone.register(expires=3600)                    # it started again while the INVITE ran
    assert until(switch, phone, of_kind("rejected"))["status"] == 408
    assert not switch.is_silent("1001")


@pytest.mark.conformance("RFC 3261", "11", "OPTIONS outside a dialog tells whether a registered contact is there")
def test_a_ping_finds_the_dead_and_the_revived():
    switch, phone = switch_and_phone()
    began_ms = phone.now_ms
    ping = until(switch, phone, options)
    assert EVERY_S * 500 <= phone.now_ms - began_ms <= EVERY_S * 1000
    assert ping.startswith(b"OPTIONS sip:1001@127.0.0.1:15070 SIP/2.0\r\n") and header(ping, "To") == "<sip:1001@127.0.0.1:15070>"
    assert phone.send(phone.respond(ping, 486)) == ([], [])        # a refusal is a sign of life
    asked_ms = phone.now_ms
    ping = until(switch, phone, options)
    assert phone.now_ms == asked_ms + EVERY_S * 1000
    assert until(switch, phone, of_kind("line_unregistered")) and phone.now_ms == asked_ms + EVERY_S * 1000 + 32000
    switch = phone.switch = restart(switch, 7, phone.now_ms)       # silence is kept
    switch.resume(phone.now_ms)
    assert switch.is_silent("1001") and call(switch, phone, "l1")[0]["status"] == 480
    ping = until(switch, phone, options)
    events, _ = phone.send(phone.respond(ping, 200))
    assert events[0]["kind"] == "line_registered" and switch.take_changes()["line/1001"]["bindings"][0]["silent"] is False
    assert call(switch, phone, "l2") == []
    assert until(switch, phone, of_kind("line_unregistered"), 40000), "the INVITE ran out"


def test_one_of_two_phones_is_dead():
    switch, phone = switch_and_phone(qualify_s=0)
    other = Phone(switch, address=("127.0.0.1", 15071))
    other.cseq = 100
    other.register(contact="<sip:1001@127.0.0.1:15071>;expires=3600")
    call(switch, phone, "l1")
    invite = [octets for octets, to in switch.take_output() if to == other.address][0]
    other.send(other.respond(invite, 200, body=ANSWER))
    contacts = until(switch, phone, of_kind("line_registered"))["contacts"]
    assert [contact["uri"] for contact in contacts] == ["sip:1001@127.0.0.1:15071"] and not switch.is_silent("1001")
    call(switch, phone, "l2")
    assert {to for _, to in switch.take_output()} == {other.address}


def test_the_interval_changes_and_questions_are_spread():
    switch = endpoint(lines={"%d" % line: "p" for line in range(1001, 1041)}, qualify_s=0)
    for number in range(40):
        phone = Phone(switch, "%d" % (1001 + number), "p", ("127.0.0.1", 20000 + number))
        phone.register(expires=3600)
    assert until(switch, phone, options, 300000) is None
    switch.set_qualify(20, phone.now_ms)
    start_ms, moments = phone.now_ms, []
    while switch.deadline_ms() <= start_ms + 20000:
        phone.now_ms = switch.deadline_ms()
        switch.expire(phone.now_ms)
        moments += [phone.now_ms - start_ms for octets, _ in switch.take_output() if method(octets) == "OPTIONS" and phone.now_ms]
        if switch.counters["pings"] == 40:
            break
    assert switch.counters["pings"] == 40 and len(set(moments)) >= 40 and min(moments) >= 10000
    switch.set_qualify(0, phone.now_ms)
    assert switch.counters["pings"] == 40 and until(switch, phone, lambda f: options(f) and b"CSeq: 1 OPTIONS" not in f) is None
    assert switch.counters["pings"] == 40
