"""A linkset of 16 signalling links, the most that there can be (Q.704 2.2), with 16 calls up: load sharing, changeover, changeback.

The far end is the scripted exchange of China's network: libss7 takes no more than eight.  SLC 0 to 7 lie in span 1, 8 to 15 in span 2.  Each
call comes in on span 1 and goes out on span 2, with a tone of its own each way that the far end compares octet by octet (hil/far/proof.h)
from the answer to the release, so whatever signalling does to a call's sound is seen."""

import collections

import pytest

from hil.far.ss7_script import BINARY, rel
from tests.live.conftest import CALLER
from tests.live.ss7_script_house import ANSWERED, OURS, THEIRS, ScriptHouse
from tests.live.ss7_trace import messages_by_link, units_of_ours

pytestmark = [pytest.mark.live, pytest.mark.skipif(not BINARY.with_name("far-ss7").exists(), reason="libss7-dev is not installed: no far-ss7")]
LINKS, FIRST_TIMESLOT = 16, 24
CALLS = range(1, LINKS + 1)             # CICs of span 1 by which calls come in: each SLS once; those of span 2 by which they go out as well
SPARE = range(17, 24)                   # idle circuits of span 1, of SLS 1 to 7
CUT = range(8)                          # the links of span 1
LAST = 15


class LinksetHouse(ScriptHouse):
    """Circuits in timeslots 1 to 23 of both spans, links in the eight others of each."""

    links = [(1 + slc // 8, FIRST_TIMESLOT + slc % 8, slc, "basic") for slc in range(LINKS)]
    circuits = 46

    def arrange(self, config):
        config["trunk_groups"][0]["classes"] = ["national"]
        config["trunk_groups"].append({"name": "second", "selection": "ascending"})
        config["spans"][1]["trunk_group"] = "second"
        config["routes"] = [{"number": "8.", "class": "national", "choices": [{"trunk_group": "second", "strip": 1}]}]
        config["ss7"] = [{
            "name": "cn", "variant": "china", "point_code": OURS,
            "linksets": [{"name": "a", "adjacent": THEIRS, "links": self.link_rows()}],
            "circuit_groups": [{"name": "in", "destination": THEIRS, "circuits": [{"cic": 1, "span": 1, "timeslot": 1, "count": 23}]},
                               {"name": "out", "destination": THEIRS, "circuits": [{"cic": 33, "span": 2, "timeslot": 1, "count": 23}]}]}]

    def connect(self, cics):
        """Calls in on these circuits, each answered at its other end.  Returns {CIC in: CIC out}."""
        far, mark, through = self.far, self.far.mark(), {}
        for cic in cics:
            far.iam(cic, "81390000%04d" % cic, CALLER)
        self.until(lambda: len(far.events("isup", since=mark, name="IAM")) == len(cics), "%d calls out" % len(cics))
        for iam in far.events("isup", since=mark, name="IAM"):
            cic, out = int(far.called(iam)[-4:]), iam["cic"]
            through[cic] = out
            far.seat("in%d" % cic, 1, cic, proof=cic, caller=True)
            far.seat("out%d" % cic, 2, out - 32, proof=cic)
            for name, body in ANSWERED:
                far.isup(out, name, body)
        for cic in cics:
            far.wait_isup("ANM", cic, mark)
        return through

    def clear(self, through):
        """The callers hang up.  Returns what each end has heard, 10 ms a block."""
        far, mark = self.far, self.far.mark()
        for cic in through:
            far.unseat("in%d" % cic)
            far.unseat("out%d" % cic)
        for cic in through:
            far.isup(cic, "REL", rel())
        for cic, out in through.items():
            far.wait_isup("RLC", cic, mark)
            far.wait_isup("REL", out, mark)
        return far.events("released", since=mark)

    def links_of(self, mark, *names):
        """{SLS: links} by which messages of ISUP came since."""
        found = collections.defaultdict(set)
        for event in self.far.events("isup", since=mark):
            if not names or event["name"] in names:
                found[event["cic"] & 15].add(event["slc"])
        return dict(found)

    def order(self, do, cics):
        for cic in cics:
            self.product.post("/ss7/cn/circuits/in", {"do": do, "cics": [cic]})

    def stop_links(self, slcs):
        """SIOS on all of them at once; they stay out."""
        self.far.realign = False
        with self.far.lock:
            for slc in slcs:
                self.far.links[slc].stop()
                self.far.links[slc].held = False

    def start_links(self):
        """What is out comes back."""
        self.far.realign = True
        with self.far.lock:
            for link in self.far.links.values():
                if link.state == "out":
                    link.start()


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with LinksetHouse(tmp_path_factory.mktemp("linkset")) as rig:
        yield rig.start()


@pytest.fixture(autouse=True)
def settled(house):
    """Instead of conftest.py's: calls are the script's."""
    yield
    house.start_links()
    for cic in (*CALLS, *SPARE) if house.state()["calls"] else ():
        house.far.isup(cic, "RSC")
    house.order("unblock", SPARE)
    house.wait_idle(60)
    house.up(60)


def own_links(slss):
    """When all is well each SLS has a link of its own (Q.704 4.3)."""
    return {sls: {sls} for sls in slss}


@pytest.mark.conformance("Q.704", "4 load sharing (live)", "16 links, 16 calls: the signalling of each goes by the link of its SLS")
@pytest.mark.conformance("Q.704", "5.3 to 5.5 changeover (live)", "eight of 16 links fail at once: what they had not delivered comes once, over the eight others, shared by all of them; "
                         "15 of 16 fail: the last one carries everything; no call is lost or disturbed")
@pytest.mark.conformance("Q.704", "6 changeback (live)", "15 of 16 links come back: each SLS returns to its link")
def test_sixteen_calls_over_sixteen_links_of_which_fifteen_fail_and_come_back(house):
    far, mark = house.far, house.far.mark()
    through = house.connect(CALLS)
    assert {out & 15 for out in through.values()} == set(range(LINKS))
    assert house.links_of(mark) == own_links(range(LINKS))

    for slc in CUT:
        far.links[slc].held = True      # what the box says over them from now on is not taken
    mark = far.mark()
    house.order("block", SPARE)
    house.until(lambda: {e["slc"] for e in far.events("repeated", since=mark)} >= {cic & 15 for cic in SPARE}, "BLO on seven links")
    assert not house.links_of(mark)
    house.stop_links(CUT)
    for slc in CUT:
        far.wait_for("mtp", 30, since=mark, name="COO", slc=slc)
    house.until(lambda: len(far.events("isup", since=mark, name="BLO")) >= len(SPARE), "BLO by other links")
    carriers = house.links_of(mark)
    assert sorted(e["cic"] for e in far.events("isup", since=mark)) == list(SPARE), "each once"
    assert all(len(links) == 1 and not links & set(CUT) for links in carriers.values()), carriers
    assert len(set.union(*carriers.values())) == len(SPARE), "they share what the others carried: %s" % carriers
    house.until(lambda: len(house.alarms()) == 1, "the alarm")
    assert "8 of 16 links" in house.alarms()[0]["detail"]["linkset a of cn"]
    house.kill("control")
    house.wait(lambda s: len(s["calls"]) == len(CALLS) and sum(link["usable"] for link in s["ss7"][0]["links"]) == LINKS - len(CUT), 30, "all as it was")

    house.stop_links(range(LAST))
    house.wait(lambda s: [link["slc"] for link in s["ss7"][0]["links"] if link["usable"]] == [LAST], 30, "one link")
    mark = far.mark()
    house.order("unblock", SPARE)
    house.until(lambda: house.group(house.state(), "in")["available"] == len(SPARE), "none blocked")
    more = house.connect([SPARE[0]])
    assert set.union(*house.links_of(mark).values()) == {LAST}

    house.start_links()
    house.wait(lambda s: all(link["usable"] for link in s["ss7"][0]["links"]), 60, "all links")
    for slc in range(LAST):
        far.wait_for("mtp", 30, since=mark, name="CBD", slc=slc)
    assert not far.events("isup", since=mark, name="REL") and len(house.state()["calls"]) == len(CALLS) + 1
    mark = far.mark()
    heard = house.clear({**through, **more})
    assert house.links_of(mark) == own_links(range(LINKS))
    assert len(heard) == 2 * len(CALLS) + 2 and all(end["heard"] > 100 for end in heard)
    assert [end for end in heard if end["breaks"] or end["silent"] or end["other"]] == [], "each call's own tone all the time"
    house.until(lambda: not house.alarms(), "the end of the alarm")


def test_the_trace_shows_each_link_at_work(house):
    """Last of the module: what the far end's trace has, and that tshark has nothing against it."""
    units = units_of_ours(house, "linkset", "Chinese ITU")
    assert [complaint for _, complaint, _ in units if complaint] == []
    kinds = collections.Counter(word for info, _, _ in units for word in info.split())
    assert kinds["COO"] >= LAST and kinds["CBD"] >= LAST, kinds
    shares = messages_by_link(house, "linkset")
    assert all(shares[link][link] >= 5 for link in range(LINKS)), "ACM, ANM, RLC, and of the call out IAM and REL: %s" % dict(shares)
