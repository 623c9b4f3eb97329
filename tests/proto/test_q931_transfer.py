"""Explicit call transfer asked of us, the network (EN 300 369-1): which calls are joined, what is answered and when; octets by hand."""

import pytest

from tests.proto.q931_rig import build, link, names

ECT, EXPLICIT_ECT, LINK_ID = 6, 7, 10
MARK = pytest.mark.conformance("Q.931", "EN 300 369-1/joined", "as the network: ectExecute of a held and an active call, explicitEctExecute with the identifier of ectLinkIdRequest; "
                               "the result with the DISCONNECT, an error where nobody is joined")


def invoke(operation, identity=5, argument=""):
    content = "0201%02x0201%02x%s" % (identity, operation, argument)
    return {"facility": [{"octets": "91a1%02x%s" % (len(content) // 2, content)}]}


def world(count=2, **config):
    """A network side with answered calls of a PBX, the first of them held."""
    made = link("network", **{"hold": True, **config})
    for n in range(1, count + 1):
        made.receive(bytes.fromhex("080200%02x0504038090a31803a983%02x7005a131323334a1" % (n, 0x80 | n)), 0)
        made.request("proceeding_request", "f%d" % n, 0)
        made.request("setup_response", "f%d" % n, 0)
    made.receive(build("HOLD", 1), 0)
    made.take_output()
    return made


@MARK
@pytest.mark.parametrize("asked_on", [1, 2])
def test_the_held_and_the_active_call(asked_on):
    made = world()
    events = made.receive(build("FACILITY", asked_on, **invoke(ECT)), 0)
    assert [(event["event"], event["held"], event["active"]) for event in events] == [("ect_indication", "f1", "f2")] and made.take_output() == []
    for n in (1, 2):
        made.request("disconnect_request", "f%d" % n, 10, cause=16)
        assert (bytes.fromhex("1c0691a203020105") in made.take_output()[0]) == (n == asked_on), "the result is where it was asked for"


@MARK
def test_by_link_identifier():
    made = world(3)
    made.receive(build("FACILITY", 1, **invoke(LINK_ID, 6)), 0)
    assert made.take_output()[0].endswith(bytes.fromhex("1c0f" "91a20c" "020106" "3007" "02010a" "02020002"))
    events = made.receive(build("FACILITY", 3, **invoke(EXPLICIT_ECT, 7, "02020002")), 0)
    assert [(event["event"], event["held"], event["active"]) for event in events] == [("ect_indication", "f1", "f3")]
    made.request("disconnect_request", "f3", 10, cause=16)
    assert bytes.fromhex("1c0691a203020107") in made.take_output()[0]


@MARK
def test_nobody_is_joined():
    """Two calls could be meant, none is held, an identifier of none, nobody does it in 5 s, twice at once, not allowed: errors 7, and 3; the calls stand."""
    refused = "1c0991a306020105" + "0201%02x"
    for made, message, number in ((world(3), build("FACILITY", 1, **invoke(ECT)), 7), (world(1), build("FACILITY", 1, **invoke(ECT)), 7),
                                  (world(), build("FACILITY", 2, **invoke(EXPLICIT_ECT, 5, "02024711")), 7), (world(hold=False), build("FACILITY", 1, **invoke(ECT)), 3)):
        assert "ect_indication" not in names(made.receive(message, 0))
        assert made.take_output()[-1].endswith(bytes.fromhex(refused % number))
        assert len(made.active_calls()) == len(made.calls())
    made = world()
    made.receive(build("FACILITY", 1, **invoke(ECT)), 0)
    made.receive(build("FACILITY", 1, **invoke(ECT)), 1)
    assert made.take_output()[0].endswith(bytes.fromhex(refused % 7))
    made.expire(5000)
    assert made.take_output()[0].endswith(bytes.fromhex(refused % 3)) and made.calls() == ["f1", "f2"]
    made.request("disconnect_request", "f1", 6000, cause=16)
    assert b"\x1c" not in made.take_output()[0][5:]
