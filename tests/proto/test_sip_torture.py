"""RFC 4475 and RFC 5118: every message of the corpus gets its verdict.

A verdict is what our user agent and registrar answer.  Where a message needs credentials before its own
point is reached, the test answers the challenge (the Authorization is added to the corpus octets).
"""

import re

import pytest

from firmware.proto.sip.message import parse
from tests.corpus import FOLDER, needs
from tests.proto.sip_world import digest, endpoint, headers, method, status

TORTURE = FOLDER / "sip-torture"
NEEDS = needs("sip-torture")

# (file, section, verdict): a status; "drop": no answer and no effect; "pass": a well-formed response
RFC4475 = (
    ("wsinv", "3.1.1.1", 481),          # well-formed; its To tag names a dialog that we do not have
    ("intmeth", "3.1.1.2", 501),
    ("esc01", "3.1.1.3", "invite"),
    ("escnull", "3.1.1.4", 200),
    ("esc02", "3.1.1.5", 501),
    ("lwsdisp", "3.1.1.6", 200),
    ("longreq", "3.1.1.7", "invite"),
    ("dblreq", "3.1.1.8", 200),
    ("semiuri", "3.1.1.9", 200),
    ("transports", "3.1.1.10", 200),
    ("mpart01", "3.1.1.11", 405),       # well-formed; MESSAGE is known and not served
    ("unreason", "3.1.1.12", "pass"),
    ("noreason", "3.1.1.13", "pass"),
    ("badinv01", "3.1.2.1", 400),
    ("clerr", "3.1.2.2", 400),
    ("ncl", "3.1.2.3", 400),
    ("scalar02", "3.1.2.4", 400),
    ("scalarlg", "3.1.2.5", "drop"),
    ("quotbal", "3.1.2.6", 400),
    ("ltgtruri", "3.1.2.7", 400),
    ("lwsruri", "3.1.2.8", 400),
    ("lwsstart", "3.1.2.9", 400),
    ("trws", "3.1.2.10", 400),
    ("escruri", "3.1.2.11", 400),
    ("baddate", "3.1.2.12", "invite"),  # the Date is of no use here and is ignored
    ("regbadct", "3.1.2.13", 400),
    ("badaspec", "3.1.2.14", 200),      # tolerated: spaces inside the brackets
    ("baddn", "3.1.2.15", 400),         # the archive's file lacks its blank line
    ("badvers", "3.1.2.16", 505),
    ("mismatch01", "3.1.2.17", 400),
    ("mismatch02", "3.1.2.18", 400),
    ("bigcode", "3.1.2.19", "drop"),
    ("badbranch", "3.2.1", 200),        # matched as RFC 2543 does
    ("insuf", "3.3.1", 400),
    ("unkscm", "3.3.2", 416),
    ("novelsc", "3.3.3", 416),
    ("unksm2", "3.3.4", 400),
    ("bext01", "3.3.5", 420),
    ("invut", "3.3.6", 415),
    ("regaut01", "3.3.7", 401),
    ("multi01", "3.3.8", 400),
    ("mcl01", "3.3.9", 400),
    ("bcast", "3.3.10", "drop"),
    ("zeromf", "3.3.11", 200),
    ("cparam01", "3.3.12", 200),
    ("cparam02", "3.3.13", 200),
    ("regescrt", "3.3.14", 200),
    ("sdp01", "3.3.15", 406),
    ("inv2543", "3.4.1", "invite"),
)
RFC5118 = (
    ("ipv6-good", "4.1", 200),
    ("ipv6-bad", "4.2", 400),
    ("port-ambiguous", "4.3", 200),
    ("port-unambiguous", "4.4", 200),
    ("via-received-param-with-delim", "4.5", 481),      # a BYE of a dialog that we do not have
    ("via-received-param-no-delim", "4.5", 200),
    ("ipv6-in-sdp", "4.6", 400),        # its Content-Length is 17 too high; put right, see below: "invite"
    ("mult-ip-in-header", "4.7", 481),
    ("mult-ip-in-sdp", "4.8", "invite"),
    ("ipv4-mapped-ipv6", "4.9", "invite"),
    ("ipv6-bug-abnf-3-colons", "4.10", 200),
    ("ipv6-correct-abnf-2-colons", "4.10", 200),
)
SOURCE = ("192.0.2.77", 5060)
PASSWORD = "torture"


def verdict(octets):
    """What the endpoint makes of a message: (verdict, answer octets or None, endpoint, events)."""
    parsed = parse(octets)
    try:
        address = parsed.to_address if parsed.method == "REGISTER" else parsed.from_address
        user = re.match(r"sips?:([^@;]+)@", address.uri).group(1)
    except Exception:
        user = "nobody"
    from firmware.proto.sip.text import unescape
    user = unescape(user)
    switch = endpoint({user: PASSWORD}, register_min_s=1)
    events = switch.receive(octets, SOURCE, 1000000)
    output = switch.take_output()
    if output and status(output[0][0]) == 401 and parsed.get("Authorization") is None:
        challenge = headers(output[0][0], "WWW-Authenticate")[1]
        line = b"Authorization: %s\r\n" % digest(challenge, parsed.method, parsed.uri, user, PASSWORD).encode("latin-1")
        first, _, rest = octets.partition(b"\r\n")
        events = switch.receive(first + b"\r\n" + line + rest, SOURCE, 1000001)
        output = switch.take_output()
    assert switch.counters.get("internal_error", 0) == 0, switch.take_faults()
    if any(event["kind"] == "invite_indication" for event in events):
        assert status(output[0][0]) == 100
        return "invite", output[0][0], switch, events
    if not output:
        known = parsed.fault is None and parsed.status
        return "pass" if known and not switch.counters.get("bad_response") else "drop", None, switch, events
    assert len(output) == 1 and method(output[0][0]) is None
    return status(output[0][0]), output[0][0], switch, events


def marked(standard, rows):
    """Rows as parameters that bear the standard's number."""
    return [pytest.param(*row, id=row[1] + "-" + row[0],
                         marks=pytest.mark.conformance(standard, row[1], "torture message " + row[0])) for row in rows]


@NEEDS
@pytest.mark.parametrize("name, section, expected", marked("RFC 4475", RFC4475))
def test_rfc4475(name, section, expected):
    octets = (TORTURE / "rfc4475" / (name + ".dat")).read_bytes()
    got, answer, switch, events = verdict(octets)
    if name == "bcast":
        # well-formed, but no transaction of ours: nothing is sent anywhere
        assert got == "pass" and not switch.take_output() and switch.counters["stray_responses"] == 1
        return
    assert got == expected, (answer, switch.take_faults())


@NEEDS
@pytest.mark.parametrize("name, section, expected", marked("RFC 5118", RFC5118))
def test_rfc5118(name, section, expected):
    octets = (TORTURE / "rfc5118-wire" / (name + ".sip")).read_bytes()
    got, answer, switch, _ = verdict(octets)
    assert got == expected, (answer, switch.take_faults())


@NEEDS
def test_every_file_of_the_corpus_has_a_verdict():
    assert {path.stem for path in (TORTURE / "rfc4475").iterdir()} == {row[0] for row in RFC4475} | {"test"}
    assert {path.stem for path in (TORTURE / "rfc5118-wire").iterdir()} == {row[0] for row in RFC5118}


def corpus(name):
    return (TORTURE / "rfc4475" / (name + ".dat")).read_bytes()


@NEEDS
def test_details_behind_the_verdicts():
    """What the sections ask beyond the status."""
    # 3.1.1.8: the INVITE behind the REGISTER is never executed
    _, _, switch, events = verdict(corpus("dblreq"))
    assert [event["kind"] for event in events] in ([], ["line_registered"]) and not switch.sessions
    # 3.1.1.4: the escaped NUL is data
    _, answer, switch, _ = verdict(corpus("escnull"))
    assert {c["uri"] for c in switch.contacts("null-\0-null")} == {"sip:%00@host5.example.com",
                                                                  "sip:%00%00@host5.example.com"}
    # 3.1.1.11: binary body kept whole
    message = parse(corpus("mpart01"))
    assert message.fault is None and b"\0" in message.body and len(message.body) == int(message.get("Content-Length"))
    # 3.3.12, 13, 14: what belongs to the URI stays with it
    _, _, switch, _ = verdict(corpus("cparam01"))
    assert switch.contacts("watson")[0]["uri"] == "sip:+19725552222@gw1.example.net"
    _, _, switch, _ = verdict(corpus("cparam02"))
    assert switch.contacts("watson")[0]["uri"] == "sip:+19725552222@gw1.example.net;unknownparam"
    _, _, switch, _ = verdict(corpus("regescrt"))
    assert switch.contacts("user")[0]["uri"] == "sip:user@example.com?Route=%3Csip:sip.example.com%3E"
    # 3.3.5, 3.3.6: the refusals name what would do
    assert headers(verdict(corpus("bext01"))[1], "Unsupported") == ["nothingSupportsThis, nothingSupportsThisEither"]
    assert headers(verdict(corpus("invut"))[1], "Accept") == ["application/sdp"]
    # 3.1.1.3: escapes are undone before the user is looked at
    _, _, _, events = verdict(corpus("esc01"))
    assert events[0]["called"] == "sips:user@example.com" and events[0]["caller"] == "I have spaces"
    # 3.1.1.9: the semicolon belongs to the user part
    from firmware.proto.sip.uri import parse_uri
    assert parse_uri(parse(corpus("semiuri")).uri).plain_user() == "user;par=u@example.net"
    # 3.1.2.15: the same message whole is tolerated
    assert verdict(corpus("baddn").rstrip(b"\r\n") + b"\r\n\r\n")[0] == 200
    # 5118 4.6: the file announces 268 octets and holds 251
    octets = (TORTURE / "rfc5118-wire" / "ipv6-in-sdp.sip").read_bytes()
    assert verdict(octets.replace(b"Content-Length: 268", b"Content-Length: 251"))[0] == "invite"
    # 5118 4.3, 4.4: what belongs to the address and what to the port
    assert parse_uri("sip:[2001:db8::10:5070]").port is None and parse_uri("sip:[2001:db8::10]:5070").port == 5070
