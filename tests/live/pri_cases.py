"""Live calls of PRI beyond the plain one; collected in test_outgoing.py, whose house they share.

Spans: 1, 2 ETSI user side; 3 ETSI network side; 4, 5 National ISDN; 6, 7 QSIG; 8, 9 5ESS; 10, 11 DMS-100 (even: we are the user).
The far end is libpri on each."""

import time

import pytest

from hil.probes import exact
from tests.live import probe_moves

VARIANTS = {4: "ni2", 5: "ni2", 6: "qsig", 7: "qsig", 8: "5ess", 9: "5ess", 10: "dms100", 11: "dms100"}
NETWORK = (3, 5, 7, 9, 11)              # spans on which we are the network
T1 = (4, 5, 8, 9, 10, 11)
SPANS = tuple(range(1, 12))
DATA_IN, DATA_TO_A_TELEPHONE = "02150801064", "02150801000"


def configure(configuration):
    """The spans beyond the first two, each a trunk group of its own; a route "8" + span to each."""
    for number in SPANS[2:]:
        configuration["spans"].append({
            "span": number, "type": "t1" if number in T1 else "e1", "crc4": False, "trunk_group": f"span{number}",
            "d_timeslot": 24 if number in T1 else 16, "variant": VARIANTS.get(number, "etsi"),
            "side": "network" if number in NETWORK else "user"})
        configuration["trunk_groups"].append({"name": f"span{number}", "caller_number": "02150803000", "data_calls": number in (3, 4)})
        configuration["routes"].append({"number": f"8{number:02d}.", "choices": [{"trunk_group": f"span{number}", "strip": 3}]})
    configuration["trunk_groups"][0]["data_calls"] = True
    for number in SPANS[2:]:
        configuration["numbers"].append({"number": f"0215080{1900 + number}", "application": "outside", "target": f"8{number:02d}13912345678"})


RIG = {"spans": SPANS, "t1": T1, "configure": configure, "far": [
    "--other-side", ",".join(map(str, NETWORK)),
    *(word for span, name in VARIANTS.items() for word in ("--variant", f"{name}:{span}"))]}


def talk_through(house, span, out_span, **options):
    """A tandem call from a span to another: (id of the calling end, id of the called end), connected."""
    mark = house.far.mark()
    name = house.place(span=span, called=f"0215080{1900 + out_span}", **options)
    out = house.far.wait_for("incoming", 30, since=mark, span=out_span)
    house.far.wait_for("connect", 30, id=name)
    return name, out


def hang_up(house, *names):
    house.far.hangup(names[0])
    for name in names:
        house.far.wait_for("released", 30, id=name)
    house.wait_idle(30)


@pytest.mark.conformance("Q.931", "4.5.5/unrestricted", "64 kbit/s unrestricted is carried bit for bit from PRI to PRI: E1 to E1, E1 to T1; libpri at both ends")
@pytest.mark.parametrize("out_span", [3, 4])
def test_data_goes_through_bit_by_bit(house, phone, out_span):
    """2^11-1 of O.152 at 64 kbit/s in both directions, judged by spandsp; a T1 in between converts no law."""
    def measure():
        house.far.policy()
        name, out = talk_through(house, 1, out_span, record=False, capability="data")
        assert (out["capability"], out["layer1"]) == (8, -1)
        both = (name, out["id"])
        for each in both:
            house.far.bert(each)
        time.sleep(0.3)
        for each in both:                   # again, once the pattern comes from the other side: what is counted is whole
            house.far.bert(each)
        time.sleep(1.5)
        call = house.newest_call()
        assert call["recording"] is None
        figures = [house.far.bert_figures(each) for each in both]
        hang_up(house, *both)
        for row in figures:
            assert row["bits"] > 40000 and (row["bad_bits"], row["resyncs"]) == (0, 0), figures
        return call["call"]
    cdr = house.cdr(probe_moves.undisturbed(measure, house))["cdr"]
    assert (cdr["result"], cdr["recording"]) == ("answered", [])


@pytest.mark.conformance("Q.931", "5.1.5.2/bearer", "a data call to an application that speaks is refused: 88 by the user side, 65 by the network side")
def test_data_for_a_telephone_is_refused(house, phone):
    for span, cause in ((1, 88), (3, 65)):
        name = house.place(span=span, called=DATA_TO_A_TELEPHONE, capability="data", record=False)
        assert house.far.wait_for("hangup", 30, id=name)["cause"] == cause
        house.far.wait_for("released", 30, id=name)
    name = house.place(span=5, called=DATA_TO_A_TELEPHONE, capability="data", record=False)     # a group that has no data calls
    assert house.far.wait_for("hangup", 30, id=name)["cause"] == 65
    house.far.wait_for("released", 30, id=name)
    mark = house.far.mark()
    name = house.place(span=1, called="02150801907", capability="data", record=False)           # a way that does not carry them
    assert house.far.wait_for("hangup", 30, id=name)["cause"] == 65
    assert not house.far.events("incoming", mark, span=7)
    house.wait_idle(30)
