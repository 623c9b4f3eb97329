"""Interoperability of our MTP2 and MTP3 with libss7 2.0: ITU, ANSI, and the Chinese labels through a rewriter.

libss7 is one reading of the standard that we did not write.  Where it differs, the standard wins:
- libss7 drops a message about a link that comes over another one ("Received message for slc"), so it
  acknowledges neither COO nor CBD sent as Q.704 5.4 and 6.3.2 want, and does not take our COA for its own
  COO.  Both sides then go on by T2, T4 and T5: what the tests see here; the orders are proved in test_mtp3_changeover.py.
- libss7 sends its CBD over the link that traffic goes back to.
- libss7 in ANSI mode writes COO, COA, LIN and their answers as ITU does, without an SLC of their own.
After each test tshark reads every unit that we sent."""

import shutil

import pytest

from tests.proto import mtp_world

PEER = mtp_world.build_peer()
pytestmark = pytest.mark.skipif(PEER is None, reason="cc or libss7-dev is not installed")

US, THEM = 100, 200
HIGH = 0x0B4000                         # what the rewriter adds to a point code
SENT_BACK = {"BLO": 0x13, "BLA": 0x15}


class Chinese(mtp_world.Libss7):
    """libss7 in ITU mode behind a rewriter: 4 octets of label here, 7 there; 14 bits of destination here, 24 there."""

    def receive(self, i, octets, now_ms):
        if octets[2] & 63 > 2:
            content = octets[3:]
            dpc, opc = (int.from_bytes(content[k:k + 3], "little") & 0x3FFF for k in (1, 4))
            rest = content[8:]
            if content[0] & 15 == 0 and rest[0] & 15 == 4:
                rest = rest[:1] + (int.from_bytes(rest[1:4], "little") & 0x3FFF).to_bytes(2, "little") + rest[4:]
            content = content[:1] + (dpc | opc << 14 | content[7] << 28).to_bytes(4, "little") + rest
            octets = octets[:2] + bytes([min(63, len(content))]) + content
        super().receive(i, octets, now_ms)

    def take_output(self):
        return [(i, self.widen(octets)) for i, octets in super().take_output()]

    @staticmethod
    def widen(octets):
        if octets[2] & 63 < 3:
            return octets
        content = octets[3:]
        word = int.from_bytes(content[1:5], "little")
        dpc, opc = word & 0x3FFF | HIGH, word >> 14 & 0x3FFF | HIGH
        content = content[:1] + dpc.to_bytes(3, "little") + opc.to_bytes(3, "little") + bytes([word >> 28]) + content[5:]
        return octets[:2] + bytes([min(63, len(content))]) + content


class Rig:
    def __init__(self, variant, links=2):
        self.variant = variant
        self.us, self.them = (US | HIGH, THEM | HIGH) if variant == "china" else (US, THEM)
        self.near = mtp_world.Ours(self.us, self.them, links, variant)
        peer = Chinese if variant == "china" else mtp_world.Libss7
        self.far = peer(PEER, "ansi" if variant == "ansi" else "itu", THEM, US, links)
        self.line = mtp_world.Lines(self.near, self.far)
        self.near.start(0)
        self.far.start(0)
        self.line.run(15000)

    def blo(self, cic, sls, kind="BLO"):
        """Send an ISUP message of one octet of type about a circuit."""
        self.near.ask("transfer", self.line.now_ms, dpc=self.them, si=5, sls=sls, octets=bytes([cic, 0, SENT_BACK[kind]]))
        self.line.run(100)

    def there_and_back(self, shares=16):
        """A BLO in each share, and the BLA for it."""
        self.near.took("")
        self.far.took("")
        for sls in range(shares):
            self.blo(sls + 1, sls)
        assert self.far.took("ISUP_EVENT_BLO") == ["ISUP_EVENT_BLO %d" % (i + 1) for i in range(shares)]
        back = self.near.took("transfer_indication")
        assert [e["octets"] for e in back] == [bytes([i + 1, 0, 0x15]) for i in range(shares)]
        assert {(e["opc"], e["dpc"], e["si"], e["ni"]) for e in back} == {(self.them, self.us, 5, 2)}


@pytest.fixture
def rig(tmp_path):
    rigs = []

    def make(*args, **kwargs):
        rigs.append(Rig(*args, **kwargs))
        return rigs[-1]

    yield make
    for r in rigs:
        r.far.close()
        if shutil.which("tshark"):
            # libss7's own COO and LIN family lack the SLC that T1.111.4 puts into them: only ours are judged
            units = [octets for _, end, _, octets in r.line.units if end == 0]
            rows = mtp_world.tshark(tmp_path / "line.pcap", units, r.variant)
            assert len(rows) == len(units) and [row for row in rows if row[1]] == []


VARIANTS = ("itu", "ansi", "china")


@pytest.mark.parametrize("variant", VARIANTS)
def test_up_and_traffic(rig, variant):
    r = rig(variant)
    assert r.near.node.state()["destinations"] == {r.them: True} and not r.near.node.restarting
    assert [e for e in r.far.events if e == "MTP2_LINK_UP"] == ["MTP2_LINK_UP"] * 2 and "SS7_EVENT_UP" in r.far.events
    r.there_and_back()
    used = {link for _, end, link, octets in r.line.units if end == 0 and octets[2] & 63 > 2 and octets[3] & 15 == 5}
    assert used == {0, 1}
    r.far.command("block", 7)
    r.line.run(100)
    assert {e["octets"] for e in r.near.took("transfer_indication")} == {bytes([7, 0, 0x13])}
    r.blo(7, 3, "BLA")
    assert r.far.took("ISUP_EVENT_BLA") == ["ISUP_EVENT_BLA 7"]
    r.line.run(150000)                  # both sides test the links on their own
    assert r.near.node.links["k0"].usable and r.near.node.links["k1"].usable
    assert r.near.node.counters.get("link_tests_failed", 0) == 0
    r.there_and_back()


@pytest.mark.parametrize("variant", VARIANTS)
def test_one_link_cut(rig, variant):
    r = rig(variant)
    r.line.cut = {0}
    r.far.command("alarm", 0)
    r.line.run(3000)
    assert not r.near.node.links["k0"].usable and r.near.took("pause") == []
    r.there_and_back()
    r.line.cut = set()
    r.far.command("noalarm", 0)
    r.line.run(30000)
    assert r.near.node.links["k0"].usable
    r.there_and_back()


@pytest.mark.parametrize("variant", VARIANTS)
def test_linkset_cut(rig, variant):
    r = rig(variant)
    r.line.cut = {0, 1}
    r.far.command("alarm", 0)
    r.far.command("alarm", 1)
    r.line.run(5000)
    assert [e["destination"] for e in r.near.took("pause")] == [r.them] and "SS7_EVENT_DOWN" in r.far.events
    r.line.cut = set()
    r.far.command("noalarm", 0)
    r.far.command("noalarm", 1)
    r.line.run(100000)
    assert [e["destination"] for e in r.near.took("resume")] == [r.them]
    r.there_and_back()


@pytest.mark.parametrize("variant", VARIANTS)
def test_inhibit(rig, variant):
    r = rig(variant)
    r.near.ask("inhibit", r.line.now_ms, link="k0")
    r.line.run(3000)
    assert [e["result"] for e in r.near.took("inhibit")] == ["inhibited"]
    mark = len(r.line.units)
    r.there_and_back()
    assert {link for _, end, link, octets in r.line.units[mark:] if octets[2] & 63 > 2 and octets[3] & 15 == 5} == {1}
    r.near.ask("uninhibit", r.line.now_ms, link="k0")
    r.line.run(5000)
    assert [e["result"] for e in r.near.took("inhibit")] == ["uninhibited"]
    r.there_and_back()


@pytest.mark.parametrize("variant", VARIANTS)
def test_control_killed(rig, variant):
    r = rig(variant)
    r.near.kill()
    r.there_and_back()
    r.line.run(70000)
    r.near.kill()
    r.line.run(70000)
    r.there_and_back()
    assert not [e for e in r.far.events if "DOWN" in e]


def test_four_links(rig):
    """As many as libss7 has room for."""
    r = rig("itu", 4)
    r.there_and_back()
    used = {link for _, end, link, octets in r.line.units if end == 0 and octets[2] & 63 > 2 and octets[3] & 15 == 5}
    assert used == set(range(4))
