"""SIP trunks against a carrier by hand: numbers and identity both ways, what is demanded and refused, a restart."""

import pytest

from tests.proto.sip_carrier import CALLER, T0, Far, call, incoming, started, trunk
from tests.proto.sip_world import ANSWER, digest, header, headers, kinds, method, restart, status


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
    switch.set_guard({}, ["862150801000"])
    events, _ = far.send(incoming(far, call_id="c10", tag="t10"))
    assert events[0]["called"] == "862150801000", "an emergency number: no limit holds for it"


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
