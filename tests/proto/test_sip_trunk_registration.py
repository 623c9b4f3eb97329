"""SIP trunks against a carrier by hand: registration, its addresses, which of them is alive."""

import hashlib

from tests.proto.sip_carrier import FIRST, SECOND, T0, Far, call, incoming, started, trunk
from tests.proto.sip_world import ANSWER, endpoint, header, kinds, method, restart


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
    far.reply(got[0], 200)
    call(switch, "l9")
    assert header(far.taken()[0], "Route") is None, "the newest registration told no way (RFC 3608 5)"


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
