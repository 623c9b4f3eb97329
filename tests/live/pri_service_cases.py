"""Live supplementary services of PRI: hold, explicit transfer, malicious caller, connected number; collected in test_outgoing.py, in the house of pri_house.py."""

import pytest

from tests.conftest import WHOLE_ONLY
from tests.live.pri_house import bits_pass, hang_up, talk_through


@pytest.mark.conformance("Q.931", "EN 300 141/far", "the far end holds a call and retrieves it: acknowledged, over a restart of control too, then sound both ways; libpri")
@pytest.mark.conformance("Q.931", "EN 300 130/user", "malicious call identification asked for by a person: FACILITY with mCIDRequest, which libpri reads and answers")
@pytest.mark.conformance("Q.931", "EN 300 097", "connected number of who answered goes through to the caller; restricted, only that it is")
def test_hold_malicious_caller_and_connected_number(house, phone):
    house.far.policy(connected="13900001111")
    mark = house.far.mark()
    name, out = talk_through(house, 1, 12, record=False)
    told = house.far.wait_for("connected_line", 30, since=mark, id=name)
    assert told["number"] == "13900001111"
    call = house.wait_call("talking")["call"]
    house.far.command("hold", id=name)
    house.far.wait_for("hold_ack", 30, since=mark, id=name)
    house.kill("control")
    house.wait(lambda s: s["calls"], 30, "the call after the kill")
    house.far.command("retrieve", id=name)
    house.far.wait_for("retrieve_ack", 30, since=mark, id=name)
    bits_pass(house, name, out["id"])
    kinds = [row["kind"] for row in house.product.get(f"/calls/{call}")["records"]]
    assert kinds.count("leg.held") == kinds.count("leg.retrieved") == 1
    house.product.post(f"/calls/{call}/malicious", {})
    house.far.wait_for("mcid", 30, since=mark, id=name)
    house.wait(lambda s: [row for row in house.product.get(f"/calls/{call}")["records"] if row["kind"] == "leg.malicious" and
                          row["data"]["outcome"] in ("registered", "failed")], 30, "the network's answer")
    outcomes = [row["data"]["outcome"] for row in house.product.get(f"/calls/{call}")["records"] if row["kind"] == "leg.malicious"]
    hang_up(house, name, out["id"])
    assert outcomes == ["asked", "registered"] and house.cdr(call)["cdr"]["connected"]["number"] == "13900001111"
    house.far.policy(connected="13900001111", connected_restricted=True)
    mark = house.far.mark()
    name, out = talk_through(house, 1, 12, record=False)
    told = house.far.events("connected_line", mark, id=name)
    assert told[0]["presentation"] & 0x60 == 0x20, "a carrier is told that it is restricted"
    hang_up(house, name, out["id"])
    mark = house.far.mark()
    name, out = talk_through(house, 3, 12, record=False)        # whom we are the network of: not the number
    assert not [each for each in house.far.events("connected_line", mark, id=name) if each["number"]]
    hang_up(house, name, out["id"])
    house.far.policy()


def told_by_the_network(house, call, verb):
    """The outcomes in the journal of what the network was asked for."""
    return [row["data"]["outcome"] for row in house.product.get(f"/calls/{call}")["records"] if row["kind"] == "leg.network" and row["data"]["verb"] == verb]


@WHOLE_ONLY
@pytest.mark.conformance("Q.931", "EN 300 141/user", "we hold a call and retrieve it, control killed meanwhile; the network refuses to hold: the call stands; libpri")
@pytest.mark.conformance("Q.931", "EN 300 369/user", "explicit call transfer: HOLD, FACILITY with ectExecute; libpri joins the two calls and clears both; refused: RETRIEVE, and the parties hear each other on")
def test_two_trunks_are_joined_by_their_network(house, phone):
    def ask(call, verb, outcomes, **more):
        house.product.post(f"/calls/{call}/network", {"verb": verb, **more})
        house.wait(lambda s: told_by_the_network(house, call, verb) == outcomes, 30, f"{outcomes} of {verb}")

    house.far.policy()
    mark = house.far.mark()
    name, out = talk_through(house, 12, 12, record=False)
    call = house.wait_call("talking")["call"]
    ask(call, "hold", ["asked", "done"], leg="agent")
    house.far.wait_for("hold", 30, since=mark, id=out["id"])
    house.kill("control")
    house.wait(lambda s: s["calls"], 30, "the call after the kill")
    ask(call, "retrieve", ["asked", "done"], leg="agent")
    house.far.wait_for("retrieve", 30, since=mark, id=out["id"])
    house.far.policy(refuse_hold=True)
    ask(call, "transfer", ["asked", "failed"])
    house.far.policy(refuse_transfer=True)
    ask(call, "transfer", ["asked", "failed"] * 2)
    assert len(house.far.events("transfer", mark)) == 1, "libpri was asked"
    house.wait(lambda s: len(house.far.events("retrieve", mark)) == 2, 30, "the caller taken back")
    bits_pass(house, name, out["id"])
    house.far.policy()
    last = house.far.mark()
    house.product.post(f"/calls/{call}/network", {"verb": "transfer"})
    told = house.far.wait_for("transfer", 30, since=last)
    assert {told["first"], told["second"]} == {name, out["id"]} and told["first_held"] != told["second_held"], told
    for each in (name, out["id"]):
        house.far.wait_for("released", 30, since=mark, id=each)
    house.wait_idle(30)
    assert told_by_the_network(house, call, "transfer")[-2:] == ["asked", "done"]
    assert house.cdr(call)["cdr"]["result"] == "answered"
