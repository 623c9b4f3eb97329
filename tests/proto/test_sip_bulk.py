"""Registration for many numbers (RFC 6140), either side, and a trunk's further headers (RFC 7315 among them).  Scripted far ends."""

import pytest

from tests.proto.sip_carrier import CALLED, FIRST, T0, Far, call, incoming, started, trunk
from tests.proto.sip_world import digest, header, headers, kinds, message, method, restart, status

PBX = ("192.0.2.100", 5060)
ROW = trunk(name="pbx", kind="pbx", addresses=[], incoming_user="pbx", incoming_password="gin-secret", domain="")


class Box(Far):
    """A PBX that registers."""

    def __init__(self, switch, address=PBX):
        Far.__init__(self, switch, address)
        self.number = 0

    def register(self, contact="<sip:192.0.2.100:5060;bnc>", password="gin-secret", expires=7200, require="gin", user="pbx", extra=()):
        """As the example of RFC 6140 4.2; returns (events, the final response)."""
        answer, events = None, []
        for again in (False, True):
            self.number += 1
            fields = [("Via", "SIP/2.0/UDP %s:%d;branch=z9hG4bKnashds%d" % (*self.address, self.number)), ("Max-Forwards", "70"),
                      ("To", "<sip:%s@ssp.example.com>" % user), ("From", "<sip:%s@ssp.example.com>;tag=a23589" % user),
                      ("Call-ID", "843817637684230@998sdasdh09"), ("CSeq", "%d REGISTER" % (1825 + self.number)), ("Proxy-Require", "gin"), ("Require", require),
                      ("Supported", "path"), ("Contact", contact), ("Expires", str(expires)), *extra]
            if again:
                fields.append(("Authorization", digest(header(answer, "WWW-Authenticate"), "REGISTER", "sip:ssp.example.com", user, password)))
            events, output = self.send(message("REGISTER sip:ssp.example.com SIP/2.0", fields))
            answer = output[0]
            if status(answer) != 401:
                break
        return events, answer


def house(**more):
    return started(dict(ROW, **more), digest_algorithms=("MD5",))[0]


@pytest.mark.conformance("RFC 6140", "5.2", "a PBX registers one Contact with bnc for all its numbers; the 200 bears no user part; calls to a number go there")
def test_a_pbx_registers_for_its_numbers():
    switch = house()
    box = Box(switch)
    assert call(switch, trunk="pbx", leg="l0") is not None and switch.trunks["pbx"].state == "down"
    switch.take_output()
    events, answer = box.register()
    assert status(answer) == 200 and header(answer, "Contact") == "<sip:192.0.2.100:5060;bnc>;expires=7200"
    box.switch.expire(T0)
    assert switch.trunks["pbx"].state == "up"
    for one in (switch, restart(switch, 2, T0 + 1000)):          # the registration outlives the process
        one.resume(T0 + 1000)
        box.switch = one
        one.expire(T0 + 1000)
        call(one, trunk="pbx", leg="l%d" % (7 if one is switch else 8))
        invite, = [octets for octets in box.taken() if method(octets) == "INVITE"]
        assert invite.startswith(b"INVITE sip:+8613912345678@192.0.2.100:5060 SIP/2.0") and b"bnc" not in invite       # 5.3


@pytest.mark.conformance("RFC 6140", "5.2 (errors)", "a user part beside bnc is 400, other Contacts beside it too; a wrong password and an unknown PBX get the same challenge")
def test_what_a_pbx_may_not():
    switch = house()
    box = Box(switch)
    assert status(box.register("<sip:pbx@192.0.2.100:5060;bnc>")[1]) == 400
    assert status(box.register("<sip:192.0.2.100:5060;bnc>, <sip:192.0.2.101:5060;bnc>")[1]) == 400
    assert status(box.register("<sip:192.0.2.100:5060>")[1]) == 400
    assert status(box.register(password="wrong")[1]) == 401 and status(box.register(user="nobody")[1]) == 401
    assert status(box.register(expires=10)[1]) == 423 and status(box.register(require="gin, other")[1]) == 420
    assert switch.trunks["pbx"].state == "down" and switch.trunks["pbx"].row["addresses"] == []


def test_a_bulk_registration_that_is_refused_leaves_no_transaction():
    switch = house()
    box = Box(switch)
    for _ in range(5):
        assert status(box.register(expires=10)[1]) == 423
    assert status(box.register("<sip:pbx@192.0.2.100:5060;bnc>")[1]) == 400
    box.pass_ms(40000)                                           # Timer J: 32 s
    assert not switch.transactions.servers and not switch.transactions.merging


def test_calls_of_a_pbx_are_challenged_and_the_registration_ends():
    switch = house()
    box = Box(switch)
    box.register(expires=120)
    switch.expire(T0)
    _, output = box.send(incoming(box))
    assert status(output[-1]) == 401
    answer = digest(header(output[-1], "WWW-Authenticate"), "INVITE", "sip:+862150801000@127.0.0.1:15060", "pbx", "gin-secret")
    events, _ = box.send(incoming(box, extra=[("Authorization", answer)]))
    assert [(event["trunk"], event["called"]) for event in events if event["kind"] == "invite_indication"] == [("pbx", "862150801000")]
    box.pass_ms(121000)
    assert switch.trunks["pbx"].state == "down" and "expired" in switch.trunks["pbx"].why
    box.register()
    _, gone = box.register(expires=0)
    assert status(gone) == 200 and switch.trunks["pbx"].why == "the PBX has taken its registration back"


def test_a_pbx_behind_a_proxy_and_a_new_configuration():
    switch = house()
    box = Box(switch, ("192.0.2.50", 5060))
    path = ("Path", "<sip:token@192.0.2.50;lr>")
    _, answer = box.register(extra=(path,))
    assert header(answer, "Path") == path[1]
    switch.expire(T0)
    switch.set_trunks([dict(ROW)], T0)                           # unchanged: the registration stands
    call(switch, trunk="pbx")
    invite = [octets for octets in box.taken() if method(octets) == "INVITE"][0]
    assert header(invite, "Route") == path[1] and invite.startswith(b"INVITE sip:+8613912345678@192.0.2.100:5060 ")
    switch.set_trunks([dict(ROW, channels=5)], T0)
    assert switch.trunks["pbx"].state == "down" and switch.trunks["pbx"].row["addresses"] == []


@pytest.mark.conformance("RFC 6140", "5.1", "we register for all numbers: Require and Proxy-Require gin, a Contact with bnc and without user part")
def test_we_register_for_all_numbers():
    switch, _ = started(trunk(kind="register", bulk=True, user="pbx", password="p", domain="ssp.example.com"))
    far = Far(switch)
    request = far.taken()[0]
    assert (header(request, "Require"), header(request, "Proxy-Require"), header(request, "Contact")) == ("gin", "gin", "<sip:127.0.0.1:15060;bnc>")
    assert request.startswith(b"REGISTER sip:ssp.example.com SIP/2.0") and header(request, "To") == "<sip:pbx@ssp.example.com>"
    far.reply(request, 200, extra=[("Contact", "<sip:127.0.0.1:15060;bnc>;expires=7200"),
                                   ("P-Associated-URI", "<sip:+12145550100@ssp.example.com>, <sip:+12145550105@ssp.example.com>")])
    trunk_ = switch.trunks["telco"]
    assert trunk_.state == "up" and trunk_.expires_ms == T0 + 7200000
    assert trunk_.describe()["associated"] == ["sip:+12145550100@ssp.example.com", "sip:+12145550105@ssp.example.com"]
    events, _ = far.send(incoming(far, "+12145550105"))
    assert [event["called"] for event in events if event["kind"] == "invite_indication"] == ["12145550105"]


def test_a_carrier_that_cannot():
    switch, _ = started(trunk(kind="register", bulk=True, user="pbx", password="p"))
    far = Far(switch)
    far.reply(far.taken()[0], 420, extra=[("Unsupported", "gin")])
    assert "switch bulk off" in switch.trunks["telco"].why


@pytest.mark.conformance("RFC 7315", "4.6", "P-Charging-Vector: the identifier of the call that came goes on, a call of ours gets a new one; P-Access-Network-Info by rule")
def test_charging_and_headers_by_rule():
    rules = {"pass_headers": [{"name": "X-Tenant"}, {"name": "P-Visited-Network-ID"}], "charging": "strowger.example",
             "set_headers": [{"name": "P-Access-Network-Info", "value": "IEEE-802.3; eth-location=1"}]}
    switch, _ = started(trunk(**rules))
    far = Far(switch)
    events, _ = far.send(incoming(far, extra=[
        ("P-Charging-Vector", 'icid-value="AyretyU0dm+6O2IrT5tAFrbHLso=023551024";orig-ioi=home1.net'), ("X-Tenant", "Müller".encode().decode("latin-1")),
        ("X-Other", "no"), ("p-visited-network-id", "other.net")]))
    carried = [event for event in events if event["kind"] == "invite_indication"][0]["carried"]
    assert carried["headers"] == [["X-Tenant", "Müller"], ["P-Visited-Network-ID", "other.net"]]
    assert carried["charging"] == "AyretyU0dm+6O2IrT5tAFrbHLso=023551024"            # the icid of RFC 7315 8
    call(switch, leg="l77", carried=carried)
    invite = [octets for octets in far.taken() if method(octets) == "INVITE"][0]
    assert headers(invite, "X-Tenant") == ["Müller".encode().decode("latin-1")] and header(invite, "X-Other") is None
    assert header(invite, "P-Access-Network-Info") == "IEEE-802.3; eth-location=1"
    assert header(invite, "P-Charging-Vector") == 'icid-value="AyretyU0dm+6O2IrT5tAFrbHLso=023551024";icid-generated-at=127.0.0.1;orig-ioi=strowger.example'
    plain, _ = started(trunk(charging="strowger.example"))
    call(plain, carried=carried)
    invite = Far(plain).taken()[0]
    assert header(invite, "X-Tenant") is None                    # this trunk does not name it
    fresh, _ = started(trunk(charging="strowger.example"), seed=9)
    call(fresh)
    icid = header(Far(fresh).taken()[0], "P-Charging-Vector")
    assert len(icid.split('"')[1]) == 32 and CALLED and FIRST and kinds(events)
    for bad in ("icid-value=\x01", "orig-ioi=x", 'icid-value="a b"', "icid-value="):
        far.branches += 1
        events, _ = far.send(incoming(far, extra=[("P-Charging-Vector", bad)], call_id="bad" + bad.replace("\x01", "x").replace(" ", "").replace('"', "")))
        assert "charging" not in ([event for event in events if event["kind"] == "invite_indication"] or [{"carried": {}}])[0]["carried"]


@pytest.mark.conformance("RFC 7433", "live headers", "User-to-User of a message from the wire is taken")
def test_user_to_user_of_a_real_message():
    switch, _ = started(trunk())
    far = Far(switch)
    events, _ = far.send(incoming(far, extra=[("user-to-USER", "56a390f3d2b7310023a2;encoding=hex")]))
    assert [event for event in events if event["kind"] == "invite_indication"][0]["carried"]["user_user"] == "56a390f3d2b7310023a2"
