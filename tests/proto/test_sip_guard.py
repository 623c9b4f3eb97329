"""Overload and abuse: who is limited, banned or refused, and that a forged sender cannot have it done to others."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.proto.sip_carrier import FIRST, Far, incoming, trunk
from tests.proto.sip_world import ANSWER, OFFER, Phone, digest, endpoint, header, headers, status

LIMITS = {"source_rate": 10, "wrong_passwords": 5, "ban_s": 600}
HOST = "198.51.100.7"


def switch(**more):
    made = endpoint(digest_algorithms=("MD5",), guard=dict(LIMITS), **more)
    made.resume(1000000)
    return made


def phone(made, line="1001", port=5060, host=HOST, password="secret-1"):
    return Phone(made, line, password, (host, port))


def guess(one, password="wrong", challenge=None):
    """One REGISTER with a wrong password.  challenge: of somebody else."""
    one.now_ms += 1000
    uri = "sip:strowger"
    if challenge is None:
        _, output = one.send(one.request("REGISTER", uri, to="<sip:%s@strowger>" % one.line))
        if not output:
            return None
        challenge = header(output[0], "WWW-Authenticate")
    _, output = one.send(one.request("REGISTER", uri, [("Authorization", digest(challenge, "REGISTER", uri, one.line, password))],
                                     to="<sip:%s@strowger>" % one.line))
    return output


def test_a_guesser_is_banned_and_the_telephone_behind_the_same_nat_goes_on():
    made = switch()
    good, bad = phone(made, port=5061), phone(made, "1002", 40000)
    good.register()
    assert [bool(guess(bad)) for _ in range(8)] == [True] * 5 + [False] * 3
    assert made.counters["bans"] == 1 and [row[0] for row in made.take_faults() if row[0] == "scanner_banned"]
    good.now_ms = bad.now_ms
    assert good.register()[1] and good.invite()[0][0]["kind"] == "invite_indication"
    assert phone(made, "1002", 40001).send(bad.request("OPTIONS", "sip:x"))[1] == []         # the whole host, but for who is proven
    bad.now_ms += 601000
    assert guess(bad)


def test_a_forged_sender_bans_nobody():
    made = switch()
    forger = phone(made, port=6000, host="203.0.113.66")
    _, output = forger.send(forger.request("REGISTER", "sip:strowger", to="<sip:1001@strowger>"))
    challenge = header(output[0], "WWW-Authenticate")          # the forger reads only its own challenges
    victim = phone(made, port=5060)
    for _ in range(20):
        guess(victim, challenge=challenge)                     # ... and sends in the victim's name
        guess(victim, challenge=challenge.replace('nonce="', 'nonce="0'))
    assert "bans" not in made.counters
    victim.now_ms += 10000
    assert victim.register()[0]


def test_a_trunk_is_neither_banned_nor_limited():
    made = switch(trunks=[trunk(incoming_user="t", incoming_password="p", channels=100)])
    far = Far(made)
    for number in range(60):
        _, output = far.send(incoming(far, call_id="c%d" % number, tag="t%d" % number))
        assert status(output[0]) == 401
        value = digest(headers(output[0], "WWW-Authenticate")[0], "INVITE", "sip:+862150801000@127.0.0.1:15060", "t", "guess")
        assert far.send(incoming(far, call_id="d%d" % number, tag="t%d" % number, extra=[("Authorization", value)]))[1]
    assert not made.guard.banned and "limited" not in made.counters


def test_rates_are_each_hosts_own_and_the_proven_are_free():
    made = switch()
    good, flood, other = phone(made, port=5061), phone(made, "nobody", 7000), phone(made, "1002", 5060, "198.51.100.8", "secret-2")
    good.register()
    answered = sum(bool(flood.send(flood.request("OPTIONS", "sip:x"))[1]) for _ in range(200))
    assert 15 <= answered <= 20
    assert other.register()[0] and good.register()[1]
    flood.now_ms += 1000
    assert sum(bool(flood.send(flood.request("OPTIONS", "sip:x"))[1]) for _ in range(50)) == 10


@pytest.mark.parametrize("name", ("friendly-scanner", "sipvicious 0.3", "sipcli/v1.8"))
def test_scanners_hear_nothing(name):
    made = switch()
    one = phone(made)
    assert one.send(one.request("OPTIONS", "sip:100@x", [("User-Agent", name)])) == ([], [])
    assert made.counters["scanners"] == 1 and not made.guard.banned


def test_known_and_unknown_users_get_the_same_answer_for_the_same_work():
    made = switch()
    calls = []
    for name in list(made.hash_functions):
        function = made.hash_functions[name]
        made.hash_functions[name] = made.digest._hash[name] = lambda octets, function=function: calls.append(1) or function(octets)
    made.digest._mac = made.hash_functions["SHA-256"]
    seen = {}
    for line in ("1001", "1999"):
        one, counts, answers = phone(made, line, 5060), [], []
        for name in ("REGISTER", "INVITE"):
            uri, extra = ("sip:strowger" if name == "REGISTER" else "sip:9@strowger"), []
            for _ in range(2):
                calls.clear()
                _, output = one.send(one.request(name, uri, extra, to="<sip:%s@strowger>" % line if name == "REGISTER" else None))
                counts.append(len(calls))
                answers.append((status(output[0]), [row.split(":")[0] for row in output[0].decode().split("\r\n")]))
                extra = [("Authorization", digest(header(output[0], "WWW-Authenticate"), name, uri, line, "guess"))]
        seen[line] = counts, answers
    assert seen["1001"] == seen["1999"]


# Overload.

def busy(made, now_ms=1000000):
    """Messages wait for a second."""
    for step in range(0, 2000, 100):
        made.guard.admit(b"SIP/2.0 200 OK\r\n\r\n", ("192.0.2.1", 5060), 1000, now_ms + step)
    assert made.guard.overloaded


def test_overload_refuses_new_work_of_telephones_before_looking_at_it():
    made = switch(emergency=("110",))
    one = phone(made)
    one.register()
    events, output = one.invite()
    leg = events[0]["leg"]
    busy(made)

    def send(octets):
        events = made.receive(octets, one.address, one.now_ms, 1000)
        return events, [octets for octets, _ in made.take_output()]
    _, output = send(one.request("INVITE", "sip:9@strowger", [("Contact", "<%s>" % one.contact())], OFFER, call_id="new"))
    assert status(output[0]) == 503 and 5 <= int(header(output[0], "Retry-After")) <= 15
    assert ";tag=ovl" in header(output[0], "To") and "received=198.51.100.7" in header(output[0], "Via")
    assert ";rport=5060" in header(output[0], "Via")
    acknowledgement = one.request("ACK", "sip:9@strowger", to=header(output[0], "To"), call_id="new")
    assert send(acknowledgement) == ([], []) and made.counters["overload_acks"] == 1
    assert status(send(one.request("REGISTER", "sip:strowger", to="<sip:1001@strowger>"))[1][0]) == 503
    # what belongs to the call goes on, so do emergency calls
    made.request({"kind": "answer_request", "leg": leg, "sdp": ANSWER}, one.now_ms)
    answer = [octets for octets, _ in made.take_output()][-1]
    send(one.in_dialog(answer, "ACK", cseq=one.cseq))
    events, output = send(one.in_dialog(answer, "BYE"))
    assert events[0]["kind"] == "released" and status(output[0]) == 200
    assert status(send(one.request("INVITE", "sip:110@strowger", [("Contact", "<%s>" % one.contact())], OFFER, call_id="e"))[1][0]) == 401
    for _ in range(60):
        made.receive(b"\r\n\r\n", one.address, one.now_ms, 0)
    assert made.guard.overloaded                 # something was refused just now
    made.receive(b"\r\n\r\n", one.address, one.now_ms + 2000, 0)
    assert not made.guard.overloaded


def test_overload_refuses_calls_of_carriers_one_by_one():
    made = switch(trunks=[trunk()])
    far = Far(made)
    busy(made)
    made.receive(incoming(far), FIRST, far.now_ms, 1000)
    refusal = [octets for octets, destination in made.take_output() if destination == FIRST][-1]
    assert status(refusal) == 480 and header(refusal, "Reason").startswith("Q.850;cause=42") and header(refusal, "Retry-After") is None


def test_a_moment_of_standstill_is_no_overload():
    made = switch()
    for _ in range(50):
        made.guard.admit(b"SIP/2.0 200 OK\r\n\r\n", ("192.0.2.1", 5060), 900, 1000000)
    assert not made.guard.overloaded


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"INVITE sip:", b"REGISTER ", b"ACK ", b"OPTIONS ", b""]), st.lists(
    st.sampled_from([b"Via: SIP/2.0/UDP x;rport", b"v: y", b"From: <sip:a@b>", b"To: <sip:c@d>", b"Call-ID: 1", b"CSeq: 1 INVITE", b" folded",
                     b"t", b":", b""]), max_size=9))
def test_whatever_comes_in_overload_costs_at_most_one_answer(junk, start, lines):
    made = switch()
    made.guard.overloaded = True
    made.guard.waited_ms = 1000.0
    octets = start + b"\r\n".join([junk[:50]] + lines) + b"\r\n\r\n" + junk
    made.receive(octets, (HOST, 5060), 1000000, 1000)
    assert len(made.take_output()) <= 1 and "internal_error" not in made.counters
