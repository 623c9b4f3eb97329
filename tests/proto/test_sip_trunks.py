"""SIP trunks against a far end that is scripted by hand: registration, failover, identity, 100rel, session timers, restart."""

import hashlib

import pytest

from tests.proto.sip_world import ANSWER, OFFER, Phone, digest, endpoint, header, headers, message, method, restart, status

FIRST, SECOND = ("10.0.0.1", 5060), ("10.0.0.2", 5070)
ROW = {"name": "telco", "label": "", "trunk_group": "carrier", "kind": "peer", "addresses": [FIRST], "channels": 2, "domain": "",
       "user": "", "password": "", "incoming_user": "", "incoming_password": "", "register_s": 600, "options_s": 0, "from": "number",
       "identity": "asserted", "trusted": True, "plus": True, "called_in": "request", "called_rules": [], "caller_rules": [],
       "diversion": "both", "reliable": "supported", "session_s": 1800}
CALLER = {"number": "02150801000", "type": "unknown", "presentation": "allowed"}
CALLED = {"number": "8613912345678", "type": "international", "plan": "isdn"}
T0 = 1000000


def trunk(**more):
    return dict(ROW, **more)


def started(row, **config):
    switch = endpoint(trunks=[row], **config)
    return switch, switch.resume(T0) + switch.expire(T0)


class Far(Phone):
    """The carrier."""

    def __init__(self, switch, address=FIRST):
        Phone.__init__(self, switch, "carrier", "x", address)
        self.now_ms = T0

    def taken(self):
        """What has been sent to us."""
        return [octets for octets, destination in self.switch.take_output() if destination == self.address]

    def pass_ms(self, ms):
        """Time passes in steps; returns events and what came to us."""
        events, got, end = [], [], self.now_ms + ms
        while True:
            deadline = self.switch.deadline_ms()
            self.now_ms = end if deadline is None or deadline > end else max(self.now_ms, deadline)
            events += self.switch.expire(self.now_ms)
            got += self.taken()
            if self.now_ms == end:
                return events, got

    def reply(self, request, code, **more):
        return self.send(self.respond(request, code, **more))


def call(switch, leg="l1", **more):
    primitive = {"kind": "invite_request", "leg": leg, "trunk": "telco", "called": CALLED, "caller": CALLER, "caller_name": "Zoe",
                 "redirecting": None, "sdp": OFFER}
    primitive.update(more)
    return switch.request(primitive, T0)


def kinds(events):
    return [event["kind"] for event in events]


def incoming(far, user="+862150801000", extra=(), body=OFFER, **more):
    return far.request("INVITE", "sip:%s@127.0.0.1:15060" % user, [("Contact", "<sip:gw@10.0.0.1:5060>"), (
        "Content-Type", "application/sdp")] + list(extra), body, **more)


# Numbers, identity and privacy on the way out.

def test_outgoing_call_bears_numbers_identity_and_diversion():
    switch, events = started(trunk())
    assert kinds(events) == ["trunk_up"]
    far = Far(switch)
    call(switch, redirecting={"number": "4008001000", "type": "unknown", "presentation": "allowed", "reason": "unconditional"})
    invite = far.taken()[0]
    assert invite.startswith(b"INVITE sip:+8613912345678@10.0.0.1 SIP/2.0")
    assert header(invite, "From").startswith('"Zoe" <sip:02150801000@10.0.0.1>;tag=')
    assert header(invite, "P-Asserted-Identity") == '"Zoe" <sip:02150801000@10.0.0.1>' and header(invite, "Privacy") is None
    assert header(invite, "Diversion") == "<sip:4008001000@10.0.0.1>;reason=unconditional;privacy=off;counter=1"
    assert headers(invite, "History-Info")[0].endswith(";index=1") and len(headers(invite, "History-Info")) == 2
    assert header(invite, "Supported") == "100rel, timer" and header(invite, "Session-Expires") == "1800"


@pytest.mark.conformance("RFC 3325", "9.1", "a withheld number goes only to a trusted far end, with Privacy: id")
@pytest.mark.parametrize("trusted", (True, False))
def test_withheld_number(trusted):
    switch, _ = started(trunk(trusted=trusted))
    far = Far(switch)
    call(switch, caller=dict(CALLER, presentation="restricted"))
    invite = far.taken()[0]
    assert header(invite, "From").startswith('"Anonymous" <sip:anonymous@anonymous.invalid>;tag=')
    assert header(invite, "Privacy") == "id"
    assert (header(invite, "P-Asserted-Identity") is not None) == trusted
    assert trusted or b"02150801000" not in invite.split(b"\r\n\r\n")[0]


def test_account_in_from_and_remote_party():
    switch, _ = started(trunk(**{"from": "user", "user": "acc1", "password": "p", "identity": "remote_party", "domain": "telco.example"}))
    far = Far(switch)
    call(switch)
    invite = far.taken()[0]
    assert header(invite, "From").startswith('"Zoe" <sip:acc1@telco.example>')
    assert header(invite, "Remote-Party-ID") == '"Zoe" <sip:02150801000@telco.example>;party=calling;privacy=off;screen=yes'
    assert invite.startswith(b"INVITE sip:+8613912345678@telco.example SIP/2.0")


# Calls that come in.

def test_incoming_call_is_known_by_its_address():
    switch, _ = started(trunk())
    far = Far(switch)
    events, output = far.send(incoming(far, extra=[
        ("P-Asserted-Identity", '"Wang" <sip:+8613912345678@telco>'), ("Diversion", "<sip:4008001000@telco>;reason=no-answer")]))
    assert status(output[0]) == 100 and kinds(events) == ["invite_indication"]
    event = events[0]
    assert (event["trunk"], event["line"], event["called"], event["caller"], event["caller_type"], event["caller_presentation"],
            event["redirecting"], event["caller_name"]) == ("telco", None, "862150801000", "8613912345678", "international", "allowed",
                                                            "4008001000", "Wang")


def test_numbers_are_rewritten_and_history_is_read():
    switch, _ = started(trunk(called_rules=[{"number": "+86.", "strip": 3, "prefix": "0"}],
                              caller_rules=[{"number": "+86.", "strip": 3, "prefix": "0"}, {"number": "+861xxxxxxxxxx", "strip": 3, "prefix": ""}]))
    far = Far(switch)
    events, _ = far.send(incoming(far, extra=[
        ("P-Asserted-Identity", "<tel:+86-139-1234-5678>"), ("Privacy", "id"),
        ("History-Info", "<sip:+864008001000@telco>;index=1, <sip:+862150801000@telco>;index=1.1")]))
    event = events[0]
    assert (event["called"], event["caller"], event["caller_presentation"], event["redirecting"]) == (
        "02150801000", "13912345678", "restricted", "04008001000")


def test_identity_of_an_untrusted_far_end_is_not_believed():
    switch, _ = started(trunk(trusted=False))
    far = Far(switch)
    events, _ = far.send(incoming(far, extra=[("P-Asserted-Identity", "<sip:110@police>")]))
    assert events[0]["caller"] is None and events[0]["caller_presentation"] == "unavailable"    # From names no number


def test_a_stranger_is_challenged_as_before():
    switch, _ = started(trunk())
    stranger = Far(switch, ("10.9.9.9", 5060))
    events, output = stranger.send(incoming(stranger))
    assert not events and status(output[0]) == 401


def test_incoming_credentials_are_demanded_where_configured():
    switch, _ = started(trunk(incoming_user="tel", incoming_password="secret"))
    far = Far(switch)
    events, output = far.send(incoming(far))
    assert not events and status(output[0]) == 401
    challenge = [value for value in headers(output[0], "WWW-Authenticate") if "MD5" in value][0]
    for password, taken in (("wrong", False), ("secret", True)):
        value = digest(challenge, "INVITE", "sip:+862150801000@127.0.0.1:15060", "tel", password)
        events, _ = far.send(incoming(far, extra=[("Authorization", value)]))
        assert bool(events) == taken
    # ... and they are nobody's telephone
    assert not switch.registered_lines()


def test_calls_above_the_channels_are_refused_one_by_one():
    switch, _ = started(trunk())
    far = Far(switch)
    for number in range(2):
        events, _ = far.send(incoming(far, call_id="c%d" % number, tag="t%d" % number))
        assert events
    events, output = far.send(incoming(far, call_id="c9", tag="t9"))
    assert not events and status(output[0]) == 486 and header(output[0], "Reason").startswith("Q.850;cause=34")


def test_release_before_the_answer_bears_the_cause():
    switch, _ = started(trunk())
    far = Far(switch)
    events, _ = far.send(incoming(far))
    switch.request({"kind": "release_request", "leg": events[0]["leg"], "cause": 1}, T0)
    refusal = far.taken()[-1]
    assert status(refusal) == 404 and header(refusal, "Reason") == 'Q.850;cause=1;text="Unallocated number"'


def test_cause_of_a_refusal_comes_from_its_reason():
    switch, _ = started(trunk())
    far = Far(switch)
    call(switch)
    invite = far.taken()[0]
    far.reply(invite, 100, tag=None)
    events, _ = far.reply(invite, 503, extra=[("Reason", "Q.850;cause=34")])
    assert (events[0]["kind"], events[0]["status"], events[0]["cause"]) == ("rejected", 503, 34)


# Registration.

def test_registration_with_credentials_and_refresh():
    switch, events = started(trunk(kind="register", user="acc", password="pw", domain="telco.example"))
    far = Far(switch)
    assert not events
    first = far.taken()[0]
    assert first.startswith(b"REGISTER sip:telco.example SIP/2.0") and header(first, "Contact") == "<sip:acc@127.0.0.1:15060>"
    challenge = 'Digest realm="telco", nonce="n1", algorithm=MD5, qop="auth"'
    events, output = far.reply(first, 401, extra=[("WWW-Authenticate", challenge)])
    second = output[0]
    fields = dict(piece.split("=", 1) for piece in header(second, "Authorization")[7:].split(", "))
    h = lambda text: hashlib.md5(text.encode()).hexdigest()
    right = h(":".join((h("acc:telco:pw"), "n1", "00000001", fields["cnonce"].strip('"'), "auth", h("REGISTER:sip:telco.example"))))
    assert fields["response"].strip('"') == right and header(second, "CSeq") == "2 REGISTER"
    events, _ = far.reply(second, 200, extra=[("Contact", "<sip:other@9.9.9.9>;expires=9, <sip:acc@127.0.0.1:15060>;expires=120"),
                                              ("Service-Route", "<sip:edge.telco.example;lr>")])
    assert kinds(events) == ["trunk_up"] and switch.trunks["telco"].expires_ms == T0 + 120000
    _, got = far.pass_ms(90100)
    assert [method(octets) for octets in got] == ["REGISTER"]
    # the way of the registration is the way of calls (RFC 3608), and calls for our account say in To what was called
    call(switch)
    assert header(far.taken()[0], "Route") == "<sip:edge.telco.example;lr>"
    events, _ = far.send(incoming(far, "acc", to="<sip:02150801000@telco.example>"))
    assert events[0]["called"] == "02150801000"


def test_wrong_password_is_said_and_not_repeated_in_haste():
    switch, _ = started(trunk(kind="register", user="acc", password="pw"))
    far = Far(switch)
    request = far.taken()[0]
    for number in range(2):
        events, output = far.reply(request, 401, extra=[("WWW-Authenticate", 'Digest realm="t", nonce="%d", algorithm=MD5' % number)])
        request = output[0]
    far.reply(request, 401, extra=[("WWW-Authenticate", 'Digest realm="t", nonce="9", algorithm=MD5')])
    assert switch.trunks["telco"].state == "down" and "look at user and password" in switch.trunks["telco"].why
    assert not far.pass_ms(50000)[1]
    assert [method(octets) for octets in far.pass_ms(20000)[1]][:1] == ["REGISTER"]


def test_registration_moves_to_the_next_address():
    switch, _ = started(trunk(kind="register", user="acc", password="pw", addresses=[FIRST, SECOND]))
    far, second = Far(switch), Far(switch, SECOND)
    request = far.taken()[0]
    far.switch.receive(far.respond(request, 503), FIRST, T0)
    switch.expire(T0)
    got = second.taken()
    assert method(got[0]) == "REGISTER"
    events, _ = second.reply(got[0], 200)
    assert kinds(events) == ["trunk_up"] and switch.trunks["telco"].address == SECOND


def test_brief_interval_is_lengthened():
    switch, _ = started(trunk(kind="register", user="acc", password="pw", register_s=60))
    far = Far(switch)
    _, output = far.reply(far.taken()[0], 423, extra=[("Min-Expires", "1800")])
    assert header(output[0], "Expires") == "1800"


# OPTIONS and failover.

def test_dead_address_is_left_and_taken_again():
    switch, events = started(trunk(addresses=[FIRST, SECOND], options_s=30))
    far, second = Far(switch), Far(switch, SECOND)
    output = switch.take_output()
    assert {destination for _, destination in output} == {FIRST, SECOND} and not events
    for octets, destination in output:
        switch.receive((far if destination == FIRST else second).respond(octets, 200), destination, T0)
    assert switch.trunks["telco"].state == "up" and switch.trunks["telco"].address == FIRST
    # the first falls silent, the second answers
    seen = []
    for _ in range(100):
        deadline = switch.deadline_ms()
        if deadline > T0 + 60000:
            break
        far.now_ms = second.now_ms = deadline
        seen += switch.expire(deadline)
        for octets, destination in switch.take_output():
            if destination == SECOND and method(octets) == "OPTIONS":
                switch.receive(second.respond(octets, 404), SECOND, deadline)       # a refusal is a sign of life
    assert switch.trunks["telco"].address == SECOND and switch.trunks["telco"].state == "up"
    call(switch)
    assert [destination for octets, destination in switch.take_output() if method(octets) == "INVITE"] == [SECOND]
    # it comes back
    while switch.trunks["telco"].address != FIRST:
        deadline = switch.deadline_ms()
        assert deadline < T0 + 120000
        switch.expire(deadline)
        for octets, destination in switch.take_output():
            if method(octets) == "OPTIONS":
                switch.receive((far if destination == FIRST else second).respond(octets, 200), destination, deadline)


def test_trunk_is_down_when_all_addresses_are_dead():
    switch, _ = started(trunk(options_s=30))
    far = Far(switch)
    far.reply(far.taken()[0], 200)
    events, _ = far.pass_ms(60000)
    assert kinds(events) == ["trunk_down"] and "10.0.0.1:5060 does not answer OPTIONS" in events[0]["why"]
    events, got = far.pass_ms(5000)
    events, _ = far.reply([octets for octets in got if method(octets) == "OPTIONS"][-1], 200)
    assert kinds(events) == ["trunk_up"]


def test_call_goes_to_the_next_address_at_once():
    switch, _ = started(trunk(addresses=[FIRST, SECOND]))
    far, second = Far(switch), Far(switch, SECOND)
    call(switch)
    invite = [octets for octets, _ in switch.take_output()][0]
    switch.receive(far.respond(invite, 503), FIRST, T0)
    again = second.taken()[0]
    assert method(again) == "INVITE" and header(again, "Call-ID") != header(invite, "Call-ID")
    second.reply(again, 180)
    events, output = second.reply(again, 200, body=ANSWER)
    assert kinds(events) == ["answered"] and method(output[0]) == "ACK"


def test_silent_address_is_left_after_four_seconds_and_its_late_answer_is_ended():
    switch, _ = started(trunk(addresses=[FIRST, SECOND]))
    far, second = Far(switch), Far(switch, SECOND)
    call(switch)
    invite = far.taken()[0]
    output = []
    while not [1 for octets, destination in output if destination == SECOND]:
        switch.expire(switch.deadline_ms())
        output += switch.take_output()
    assert switch.trunks["telco"].address == SECOND      # calls that follow do not wait
    again = [octets for octets, destination in output if destination == SECOND][0]
    far.now_ms = second.now_ms = T0 + 4000
    events, _ = second.reply(again, 200, body=ANSWER)
    assert kinds(events) == ["answered"]
    events, output = far.reply(invite, 200, body=ANSWER)
    assert not events and [method(octets) for octets in output] == ["ACK", "BYE"]


# 100rel and UPDATE.

@pytest.mark.conformance("RFC 3262", "4", "a reliable provisional response is acknowledged by PRACK once; BYE goes on counting")
def test_reliable_progress_of_the_far_end():
    switch, _ = started(trunk())
    far = Far(switch)
    call(switch)
    invite = far.taken()[0]
    reliable = [("Require", "100rel"), ("RSeq", "77"), ("Record-Route", "<sip:10.0.0.1;lr>")]
    events, output = far.reply(invite, 183, body=ANSWER, extra=reliable)
    assert (events[0]["kind"], events[0]["status"], events[0]["sdp"]) == ("alerting", 183, ANSWER)
    prack = output[0]
    assert method(prack) == "PRACK" and header(prack, "RAck") == "77 1 INVITE" and header(prack, "CSeq") == "2 PRACK"
    assert header(prack, "Route") == "<sip:10.0.0.1;lr>"
    far.reply(prack, 200)
    assert far.reply(invite, 183, body=ANSWER, extra=reliable) == ([], [])                  # repeated
    assert far.reply(invite, 180, extra=[("Require", "100rel"), ("RSeq", "79")]) == ([], [])      # one is missing
    events, output = far.reply(invite, 180, extra=[("Require", "100rel"), ("RSeq", "78")])
    assert events[0]["status"] == 180 and header(output[0], "RAck") == "78 1 INVITE"
    # an UPDATE with another session before the answer (RFC 3311)
    events, _ = far.send(far.in_dialog(invite, "UPDATE", [("Contact", "<sip:gw@10.0.0.1>")], OFFER, cseq=5))
    assert kinds(events) == ["reinvite"]
    switch.request({"kind": "reinvite_response", "leg": "l1", "sdp": ANSWER}, T0)
    assert status(far.taken()[-1]) == 200
    events, output = far.reply(invite, 200)
    assert events[0]["sdp"] == ANSWER and header(output[0], "CSeq") == "1 ACK"
    switch.request({"kind": "release_request", "leg": "l1"}, T0)
    assert header(far.taken()[-1], "CSeq") == "4 BYE"


@pytest.mark.conformance("RFC 3262", "3", "our reliable provisional response is repeated until its PRACK; the answer waits for it")
def test_our_reliable_progress():
    switch, _ = started(trunk())
    far = Far(switch)
    invite = incoming(far, extra=[("Supported", "100rel")])
    events, _ = far.send(invite)
    leg = events[0]["leg"]
    switch.request({"kind": "alerting_request", "leg": leg, "status": 183, "sdp": ANSWER}, T0)
    progress = far.taken()[-1]
    assert status(progress) == 183 and header(progress, "Require") == "100rel"
    rseq = header(progress, "RSeq")
    switch.request({"kind": "alerting_request", "leg": leg}, T0)            # 180 must wait
    switch.request({"kind": "answer_request", "leg": leg, "sdp": ANSWER}, T0)      # so must the answer
    assert not far.taken()
    _, got = far.pass_ms(1600)
    assert got == [progress, progress]                                     # after 0.5 and 1 s more
    wrong = far.in_dialog(progress, "PRACK", [("RAck", "%d 1 INVITE" % (int(rseq) + 1))])
    assert status(far.send(wrong)[1][0]) == 481
    _, output = far.send(far.in_dialog(progress, "PRACK", [("RAck", "%s %s" % (rseq, header(invite, "CSeq")))]))
    assert [status(octets) for octets in output] == [200, 200] and header(output[0], "CSeq").endswith("PRACK")
    assert header(output[1], "CSeq").endswith("INVITE")
    far.send(far.in_dialog(output[1], "ACK", cseq=int(header(invite, "CSeq").split()[0])))
    assert switch.live_legs()[0]["state"] == "confirmed"


def test_no_prack_ends_the_call():
    switch, _ = started(trunk())
    far = Far(switch)
    events, _ = far.send(incoming(far, extra=[("Require", "100rel")]))
    switch.request({"kind": "alerting_request", "leg": events[0]["leg"]}, T0)
    far.taken()
    events, got = far.pass_ms(33000)
    assert kinds(events) == ["released"] and [status(octets) for octets in got if status(octets) >= 300][:1] == [504]


# Session timers.

@pytest.mark.conformance("RFC 4028", "7.1", "422 is answered by a new INVITE with the longer interval")
def test_interval_too_small():
    switch, _ = started(trunk(session_s=90))
    far = Far(switch)
    call(switch)
    _, output = far.reply(far.taken()[0], 422, extra=[("Min-SE", "300")])
    again = [octets for octets in output if method(octets) == "INVITE"][0]
    assert header(again, "Session-Expires") == "300" and header(again, "Min-SE") == "300" and header(again, "P-Asserted-Identity")


@pytest.mark.conformance("RFC 4028", "10", "the refresher refreshes at half the interval; without refresh the other side ends the session")
def test_refresh_by_update_and_expiry():
    switch, _ = started(trunk(session_s=120))
    far = Far(switch)
    call(switch)
    invite = far.taken()[0]
    far.reply(invite, 200, body=ANSWER, extra=[("Session-Expires", "120;refresher=uac"), ("Require", "timer"), ("Allow", "INVITE, UPDATE")])
    _, got = far.pass_ms(60000)
    update = [octets for octets in got if method(octets) == "UPDATE"][0]
    assert header(update, "Session-Expires") == "120;refresher=uac" and b"\r\n\r\n" == update[-4:]
    far.reply(update, 200, extra=[("Session-Expires", "120;refresher=uas")])        # now it is theirs
    events, got = far.pass_ms(87000)
    assert not got
    events, got = far.pass_ms(2000)
    assert events[0]["kind"] == "released" and events[0]["by"] == "failure" and method(got[0]) == "BYE"


def test_refresh_by_reinvite_where_update_is_not_allowed():
    switch, _ = started(trunk(session_s=120))
    far = Far(switch)
    call(switch)
    far.reply(far.taken()[0], 200, body=ANSWER)
    events, _ = far.pass_ms(60000)
    assert {"kind": "refresh", "leg": "l1"} in events
    switch.request({"kind": "reinvite_request", "leg": "l1", "sdp": OFFER}, far.now_ms)
    again = far.taken()[0]
    assert header(again, "Session-Expires") == "120;refresher=uac"


@pytest.mark.conformance("RFC 4028", "9", "the UAS answers 422 below the minimum, else says who refreshes")
def test_timer_of_an_incoming_call():
    switch, _ = started(trunk(session_s=0))
    far = Far(switch)
    _, output = far.send(incoming(far, extra=[("Supported", "timer"), ("Session-Expires", "60")]))
    assert status(output[0]) == 422 and header(output[0], "Min-SE") == "90"
    events, _ = far.send(incoming(far, extra=[("Supported", "timer"), ("Session-Expires", "90")], call_id="again"))
    switch.request({"kind": "answer_request", "leg": events[0]["leg"], "sdp": ANSWER}, T0)
    answer = far.taken()[-1]
    assert header(answer, "Session-Expires") == "90;refresher=uac" and header(answer, "Require") == "timer"


# Restart.

def test_calls_set_ups_and_registration_outlive_a_kill():
    switch, _ = started(trunk(kind="register", user="acc", password="pw"))
    far = Far(switch)
    far.reply(far.taken()[0], 200)
    call(switch, "l1")
    first = far.taken()[0]
    far.reply(first, 200, body=ANSWER, extra=[("Session-Expires", "1800;refresher=uac"), ("Allow", "UPDATE")])
    call(switch, "l2")
    second = far.taken()[0]
    far.reply(second, 183, body=ANSWER, extra=[("Require", "100rel"), ("RSeq", "5")])
    far.taken()
    new = restart(switch, 2, T0 + 300, trunks=switch.config["trunks"])
    events = new.resume(T0 + 300)
    assert not events and new.trunks["telco"].state == "up"
    far.switch, far.now_ms = new, T0 + 300
    assert not far.taken()
    events, output = far.reply(second, 200, body=ANSWER)
    assert kinds(events) == ["answered"] and [method(octets) for octets in output] == ["ACK"]
    _, got = far.pass_ms(900000)
    assert len([octets for octets in got if method(octets) == "UPDATE"]) >= 1
    for leg in ("l1", "l2"):
        new.request({"kind": "release_request", "leg": leg}, far.now_ms)
    assert [header(octets, "CSeq").split()[1] for octets in far.taken()].count("BYE") == 2


# Transfer by a telephone.

def talking(switch, line, port):
    """A telephone in a call that it made: (phone, leg, our 200)."""
    phone = Phone(switch, line, "secret-" + line[-1], ("10.1.1.1", port))
    events, _ = phone.invite("5001")
    switch.request({"kind": "answer_request", "leg": events[0]["leg"], "sdp": ANSWER}, phone.now_ms)
    answer = [octets for octets, _ in switch.take_output()][-1]
    phone.send(phone.in_dialog(answer, "ACK", cseq=phone.cseq))
    return phone, events[0]["leg"], answer


@pytest.mark.conformance("RFC 3515", "2.4", "REFER is accepted with 202, its progress and end are told by NOTIFY with a sipfrag")
@pytest.mark.parametrize("outcome", (200, 603))
def test_blind_transfer(outcome):
    switch, _ = started(trunk())
    phone, leg, answer = talking(switch, "1001", 5060)
    assert "REFER" in header(answer, "Allow") and header(answer, "Supported") == "replaces, join"
    events, output = phone.send(phone.in_dialog(answer, "REFER", [("Refer-To", "<sip:1002@strowger>"), ("Referred-By", "<sip:1001@strowger>")]))
    assert events == [{"kind": "refer", "leg": leg, "called": "1002", "other": None, "by": "<sip:1001@strowger>"}]
    assert status(output[0]) == 202 and method(output[1]) == "NOTIFY" and b"SIP/2.0 100 Trying" in output[1]
    number = header(answer, "CSeq").split()[0]
    assert header(output[1], "Event").startswith("refer;id=") and header(output[1], "Subscription-State").startswith("active")
    switch.request({"kind": "refer_outcome", "leg": leg, "status": outcome}, phone.now_ms)
    last = [octets for octets, _ in switch.take_output() if method(octets) == "NOTIFY"][-1]
    assert header(last, "Subscription-State").startswith("terminated") and b"SIP/2.0 %d " % outcome in last and number


@pytest.mark.conformance("RFC 3891", "3", "Replaces in Refer-To names the second call by its tags, in either order")
def test_attended_transfer():
    switch, _ = started(trunk())
    phone, leg, answer = talking(switch, "1001", 5060)
    phone.call_id = "second-call"
    events, _ = phone.invite("5002")
    other = events[0]["leg"]
    switch.request({"kind": "answer_request", "leg": other, "sdp": ANSWER}, phone.now_ms)
    second = [octets for octets, _ in switch.take_output()][-1]
    tags = [header(second, name).split(";tag=")[1] for name in ("To", "From")]
    for one, two in (tags, tags[::-1]):
        refer = "<sip:5002@strowger?Replaces=second-call%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s>" % (one, two)
        events, _ = phone.send(phone.in_dialog(answer, "REFER", [("Refer-To", refer)]))
        assert (events[0]["kind"], events[0]["other"]) == ("refer", other)
        switch.request({"kind": "refer_outcome", "leg": leg, "status": 603}, phone.now_ms)
        switch.take_output()
    events, output = phone.send(phone.in_dialog(answer, "REFER", [("Refer-To", refer.replace("second", "no"))]))
    assert not events and status(output[0]) == 481


def test_who_may_not_refer():
    switch, _ = started(trunk())
    far = Far(switch)
    call(switch)
    invite = far.taken()[0]
    far.reply(invite, 200, body=ANSWER)
    events, output = far.send(far.in_dialog(invite, "REFER", [("Refer-To", "<sip:premium@x>")], cseq=9))
    assert not events and status(output[0]) == 403
    stranger = Phone(switch, "1001", "secret-1", ("10.1.1.1", 5060))
    _, output = stranger.send(stranger.request("REFER", "sip:x@strowger", [("Refer-To", "<sip:1@x>")]))
    assert status(output[0]) == 403
    phone, leg, answer = talking(switch, "1001", 5060)
    for bad in ((), (("Refer-To", "<sip:1@x>"), ("Refer-To", "<sip:2@x>")), (("Refer-To", "<sip:x"),), (("Refer-To", "<sip:strowger>"),)):
        events, output = phone.send(phone.in_dialog(answer, "REFER", list(bad)))
        assert not events and status(output[0]) == 400


def test_a_registrar_that_comes_back_is_registered_at_at_once():
    switch, _ = started(trunk(kind="register", user="acc", password="pw", options_s=5))
    far = Far(switch)
    for octets in far.taken():
        far.reply(octets, 200)
    assert switch.trunks["telco"].state == "up"
    events, _ = far.pass_ms(20000)
    assert kinds(events) == ["trunk_down"]
    _, got = far.pass_ms(5000)
    far.reply([octets for octets in got if method(octets) == "OPTIONS"][-1], 200)
    _, got = far.pass_ms(1)
    events, _ = far.reply([octets for octets in got if method(octets) == "REGISTER"][0], 200)
    assert kinds(events) == ["trunk_up"]


def test_addresses_of_a_name_may_change_and_what_stays_keeps_its_state():
    row = trunk(named=True, options_s=30, addresses=[], unresolved="carrier.example is being looked up")
    made = endpoint(trunks=[row])
    assert [event["kind"] for event in made.resume(1000000)] == [] and made.trunks["telco"].why == "carrier.example is being looked up"
    made.set_trunks([dict(row, addresses=[FIRST, SECOND], unresolved=None)], 1000000)
    made.expire(1000000)
    asked = [octets for octets, where in made.take_output() if where == FIRST]
    assert method(asked[0]) == "OPTIONS" and made.trunks["telco"].state == "down"
    made.receive(answer_to(asked[0]), FIRST, 1000100)
    assert made.trunks["telco"].state == "up"
    assert made.set_trunks([dict(row, addresses=[SECOND, FIRST], unresolved=None)], 1000200) == []      # another order: the one in use stays
    assert made.trunks["telco"].address == FIRST and made.trunks["telco"].alive == [None, True]
    made.set_trunks([dict(row, addresses=[], unresolved="no name server answers")], 1000300)        # DNS is away: what works stays
    assert made.trunks["telco"].address == FIRST and made.trunks["telco"].state == "up"
    again = restart(made, 2, 1000400, trunks=[row])
    again.resume(1000400)
    assert again.trunks["telco"].state == "up" and again.trunks["telco"].row["addresses"] == [SECOND, FIRST]
    made.set_trunks([dict(row, addresses=[SECOND], unresolved=None)], 1000500)
    assert made.trunks["telco"].address == SECOND and "internal_error" not in made.counters


def answer_to(octets):
    """200 to a request."""
    lines = [line for line in octets.decode().split("\r\n\r\n")[0].split("\r\n")[1:] if line.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")]
    return ("\r\n".join(["SIP/2.0 200 OK"] + [line + (";tag=far" if line.startswith("To:") else "") for line in lines]) + "\r\nContent-Length: 0\r\n\r\n").encode()


def named_world():
    """A telephone's call and another telephone: (switch, leg, other telephone, {name: value of a header that names the call})."""
    switch, _ = started(trunk())
    phone, leg, answer = talking(switch, "1001", 5060)
    other = Phone(switch, "1002", "secret-2", ("10.1.1.9", 5060))
    other.register()
    tags = [header(answer, name).split(";tag=")[1] for name in ("To", "From")]
    return switch, leg, other, "%s;to-tag=%s;from-tag=%s" % (header(answer, "Call-ID"), *tags)


@pytest.mark.conformance("RFC 3911", "4", "an INVITE with Join names a call by Call-ID and tags; Require: join is known; what it cannot name is 481, two names are 400")
@pytest.mark.conformance("RFC 3891", "4", "Replaces in an INVITE, early-only of an answered call is 486")
def test_an_invite_that_names_a_call():
    switch, leg, other, name = named_world()
    for kind, value, wanted in (("Join", name, "joins"), ("Replaces", name, "replaces")):
        other.call_id = "names-" + kind
        events, output = other.invite("1001", fields=[(kind, value), ("Require", kind.lower())])
        assert [event.get(wanted) for event in events if event["kind"] == "invite_indication"] == [leg], (kind, events, output)
        switch.request({"kind": "reject_request", "leg": events[-1]["leg"], "status": 603}, other.now_ms)
        switch.take_output()
    for fields, wanted in (([("Join", name.replace("to-tag=", "to-tag=x"))], 481), ([("Join", "nobody;to-tag=1;from-tag=2")], 481), ([("Join", "nobody")], 400),
                           ([("Join", name), ("Replaces", name)], 400), ([("Replaces", name + ";early-only")], 486)):
        other.call_id += "x"
        events, output = other.invite("1001", fields=fields)
        assert not events and status(output[-1]) == wanted, (fields, output)


def test_a_trunk_names_no_calls():
    switch, leg, other, name = named_world()
    far = Far(switch)
    events, output = far.send(incoming(far, extra=[("Require", "join"), ("Join", name)]))
    assert not events and status(output[-1]) == 420 and header(output[-1], "Unsupported") == "join"
