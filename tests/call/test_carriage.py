"""What a call carries between protocols, as a table: each way of each pair, by the protocols' own codecs; causes by RFC 3398's tables."""

import itertools

import pytest

from firmware.call import carriage
from firmware.links.span_outgoing import _carried as to_pri
from firmware.links.ss7_calls import carried_of, carry
from firmware.proto.isup import fields, messages
from firmware.proto.q931 import messages as q931
from firmware.proto.q931 import parameters
from firmware.proto.q931.variants import VARIANTS
from firmware.proto.sip import causes, parties
from firmware.proto.sip.message import SIPMessage

CALLER = {"number": "13900001111", "type": "national", "presentation": "allowed"}
FULL = {"caller_name": "Wang", "hops": 17, "redirecting": {"number": "4008001000", "type": "unknown", "presentation": "allowed", "reason": "busy"},
        "redirections": 3, "subaddresses": {"called": "80323030", "calling": "8031"}, "user_user": "0448656c6c6f"}
# What each protocol can tell.  PRI has no counters; ISUP of ITU no name; SIP no sub-addresses (RFC 4904 and the like are not ours).
TELLS = {"pri": ("caller_name", "redirecting", "subaddresses", "user_user"), "ss7": ("hops", "redirecting", "redirections", "subaddresses", "user_user"),
         "sip": ("caller_name", "hops", "redirecting", "redirections", "user_user")}
ROW = {"trusted": True, "identity": "asserted", "diversion": "diversion"}


def over_pri(redirecting, carried):
    """SETUP to the network's side, decoded: what the next exchange has of the call."""
    given = to_pri({"carried": carried, "caller": CALLER})
    content = parameters.setup_content(dict(given, called="110", caller=CALLER, redirecting=redirecting), 2, VARIANTS["etsi"], "network")
    found = parameters.setup_fields(q931.decode(q931.encode(q931.Message("SETUP", 1, 0, content))), False)
    other = found["redirecting"]
    return carriage.known({"caller_name": found["caller_name"] or found["display"], "redirecting": other, "redirections": 1 if other else None,
                           "subaddresses": found["subaddresses"], "user_user": found["user_user"]})


def over_ss7(redirecting, carried):
    content = fields.iam_content("itu", {"law": "A"}, dict(carry(carried), called={"number": "110"}, caller=CALLER, redirecting=redirecting))
    message = messages.decode("itu", messages.encode("itu", messages.Message("IAM", 1, content)))
    return carried_of(fields.setup_fields(message))


def over_sip(redirecting, carried):
    message = SIPMessage("INVITE", "sip:110@example.com")
    message.add("Max-Forwards", "70")
    given = carriage.to_sip(carried)
    parties.identify(message, CALLER, carried.get("caller_name"), redirecting, {"number": "110"}, ROW, "example.com", carried.get("redirections") or 1)
    parties.carry(message, given)
    message.add("From", parties.sender_of(CALLER, carried.get("caller_name"), ROW, "example.com") + ";tag=1")
    name = parties.caller_of(message, ROW)[1]
    return carriage.of_sip(parties.carried_of(message, ROW, name))


OVER = {"pri": over_pri, "ss7": over_ss7, "sip": over_sip}


def plain(carried):
    """Without what the codecs add to a number (plan, screening)."""
    found = dict(carried or {})
    if "redirecting" in found:
        found["redirecting"] = {key: found["redirecting"][key] for key in ("number", "presentation", "reason")}
    return found


@pytest.mark.parametrize("came, goes", list(itertools.product(TELLS, TELLS)))
def test_a_call_passed_on(came, goes):
    """Nothing that both protocols can tell is lost; each exchange on the way costs a hop."""
    given = {key: FULL[key] for key in TELLS[came]}
    if came == "pri":
        given["redirections"] = 1
    redirecting, carried = carriage.onward(given, None)
    found = plain(OVER[goes](redirecting, carried))
    for key in TELLS[goes]:
        if key in given:
            wanted = {"hops": 16}.get(key, plain(given)[key])
            assert found.get(key) == wanted, (came, goes, key)
    if goes == "sip" and came == "pri":
        assert found["hops"] == 31, "Max-Forwards 70 where nothing is known"


@pytest.mark.parametrize("goes", TELLS)
def test_a_call_diverted_here(goes):
    ours = {"number": "02150801000", "type": "unknown", "presentation": "allowed", "reason": "unconditional"}
    redirecting, carried = carriage.onward(FULL, ours)
    found = plain(OVER[goes](redirecting, carried))
    assert found["redirecting"] == {key: ours[key] for key in ("number", "presentation", "reason")}
    if "redirections" in TELLS[goes]:
        assert found["redirections"] == 4


@pytest.mark.parametrize("carried, diverted, alike, word", [
    (None, True, 0, None), ({"hops": 2}, False, 0, None), ({"hops": 1}, False, 0, "hop counter"), ({"hops": 0}, False, 0, "hop counter"),
    ({"redirections": 5}, False, 0, None), ({"redirections": 5}, True, 0, "diverted 5 times"), ({}, False, 2, None), ({}, False, 3, "comes back")])
def test_loops(carried, diverted, alike, word):
    why = carriage.refusal(carried, diverted, alike)
    assert why is None if word is None else word in why


@pytest.mark.parametrize("octets", ["", "7", "7180", "71ff00", "6d0000", "7c03808080", "71" + "05" + "80"])
def test_access_transport_that_is_cut(octets):
    event = {"elements": {"access_transport": {"octets": octets if len(octets) % 2 == 0 else ""}}, "redirecting": None, "hop_counter": None}
    assert carried_of(event) in (None, {"subaddresses": {"calling": ""}}, {"subaddresses": {"called": ""}})


@pytest.mark.parametrize("value, wanted", [("0448;encoding=hex", "0448"), ("0448", None), ("044;encoding=hex", None), ("zz;encoding=hex", None),
                                           ("04" * 129 + ";encoding=hex", None), (";encoding=hex", None)])
def test_user_to_user_of_sip(value, wanted):
    message = SIPMessage("INVITE", "sip:110@example.com")
    message.add("User-to-User", value)
    assert parties.user_user_of(message) == wanted


# RFC 3398 8.2.6.1 (status to cause) and 7.2.4.1 (cause to status), as the tables stand there.
TO_CAUSE = {400: 41, 401: 21, 402: 21, 403: 21, 404: 1, 405: 63, 406: 79, 407: 21, 408: 102, 410: 22, 413: 127, 414: 127, 415: 79, 416: 127, 420: 127, 421: 127,
            423: 127, 480: 18, 481: 41, 482: 25, 483: 25, 484: 28, 485: 1, 486: 17, 500: 41, 501: 79, 502: 38, 503: 41, 504: 102, 505: 127, 513: 127, 600: 17, 603: 21, 604: 1}
TO_STATUS = {1: 404, 2: 404, 3: 404, 17: 486, 18: 408, 19: 480, 20: 480, 21: 403, 22: 410, 23: 410, 26: 404, 27: 502, 28: 484, 29: 501, 31: 480, 34: 503, 38: 503, 41: 503,
             42: 503, 47: 503, 55: 403, 57: 403, 58: 503, 65: 488, 70: 488, 79: 501, 87: 403, 88: 503, 102: 504, 111: 500, 127: 500}


@pytest.mark.conformance("RFC 3398", "8.2.6.1", "the cause of a final response, by the table")
def test_status_to_cause():
    assert {status: causes.cause_of_status(status) for status in TO_CAUSE} == TO_CAUSE


@pytest.mark.conformance("RFC 3398", "7.2.4.1", "the final response of a cause, by the table")
def test_cause_to_status():
    assert {cause: causes.status_of_cause(cause) for cause in TO_STATUS} == TO_STATUS
