"""Faxes between an E1 line and a SIP line by T.38, live: cases of tests/live/test_fax.py, which share its house.

The E1's machine is spandsp's T.30 in the far exchange (libpri), the SIP line's is spandsp's T.38 terminal in a process of its own (hil/far/t38.py), whose UDPTL
is another one than the product's.  Pages are compared pel by pel, by ffmpeg and Pillow; tshark reads every datagram."""

import subprocess

import numpy as np
import pytest
from PIL import Image

from hil.phone.fax_phone import FaxGateway, FaxPhone

INBOX = "02150801082"
LINE, FAX_NUMBER, OWN, TRUNK_NUMBER, OUTSIDE = "1003", "02150801079", "02150801080", "02150801081", "13912345678"
ROWS = 400


def configure(house, t38="gateway", **sip):
    running = house.product.get("/configuration")
    config = running["configuration"]
    next(row for row in config["lines"] if row["name"] == LINE)["t38"] = t38
    config["sip"].update(sip)
    if not any(row["number"] == FAX_NUMBER for row in config["numbers"]):
        config["numbers"].append({"number": FAX_NUMBER, "application": "line", "target": LINE})
    house.product.post("/configuration/apply", running)


@pytest.fixture(scope="module")
def sheet(pages, house):
    """(TIFF, pels) of the top of a page of the ITU."""
    image = Image.open(pages["itu1"]).convert("1").crop((0, 0, 1728, ROWS))
    image.save(house.folder / "sheet.tif", compression="group4", dpi=(204, 196))
    return house.folder / "sheet.tif", np.asarray(image)


@pytest.fixture
def adapter(house):
    configure(house, t38_on="flags", t38_recovery="redundancy")
    password = next(row for row in house.product.get("/configuration")["configuration"]["lines"] if row["name"] == LINE)["password"]
    house.available("1001", "logged_out")
    phone = FaxPhone(LINE, password, house.sip_port).start()
    yield phone
    phone.stop()
    house.far.policy()
    house.wait_idle(30)


def pels(path):
    return np.asarray(Image.open(path).convert("1"))


def legs_of(house):
    return {leg["leg"]: leg for call in house.state()["calls"] for leg in call["legs"]}


def the_cdr(house, call):
    return house.wait(lambda s: (lambda c: c if c and c["quality"] and any("t38" in q for q in c["quality"].values()) else None)(
        house.product.get(f"/calls/{call}")["cdr"]), 60, "the CDR with the fax")


def decoded(path):
    """Rows of tshark: every datagram is UDPTL of T.38, none is malformed."""
    shown = subprocess.run(["tshark", "-r", path, "-d", "udp.port==1-65535,t38", "-T", "fields", "-e", "t38.seq_number", "-e", "_ws.malformed", "-e", "_ws.expert.message"],
                           capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split("\t") for line in shown]
    # tshark says this of the end of a signal that had no data, which T.38 has after training.
    return [row for row in rows if row[0]], [row for row in rows if row[1] and "W/OUT ANY FRAGMENT DATA" not in row[2]]


def call_from_the_line(house, adapter, mark):
    """The SIP line dials out; the far exchange answers: (its name there, call)."""
    house.far.policy(alerting_ms=50, answer_ms=100)
    far_mark = house.far.mark()
    adapter.dial("9" + OUTSIDE)
    incoming = house.far.wait_for("incoming", 30, since=far_mark)
    adapter.wait_for("answered", 30, since=mark)
    return incoming["id"], house.wait_call("talking", 30)["call"]


@pytest.mark.conformance("T.38", "gateway", "live: an E1 fax sends a page to a T.38 terminal, 0 and 5 % of the packets lost, redundancy and FEC")
@pytest.mark.parametrize("loss, recovery", [(0, "redundancy"), (0.05, "redundancy"), (0, "fec")])
def test_a_page_from_the_e1_to_a_t38_terminal(house, box, sheet, adapter, loss, recovery):
    configure(house, t38_on="cng", t38_recovery=recovery)
    got, wire = house.folder / ("ip-%s-%s.tif" % (loss, recovery)), house.folder / ("wire-%s-%s.pcap" % (loss, recovery))
    adapter.machine(print=got, loss=loss, capture=wire)
    mark = adapter.mark()
    name = house.place(called=FAX_NUMBER)
    adapter.wait_for("answered", 30, since=mark)
    call = house.wait_call("talking", 30)["call"]
    house.far.fax(name, send=sheet[0], calls=True, station="13912345678")
    offer = adapter.wait_for("t38", 60, since=mark)["text"]
    assert "m=audio 0 " in offer and "a=T38FaxUdpEC:t38UDP" + {"redundancy": "Redundancy", "fec": "FEC"}[recovery] in offer, offer
    house.wait(lambda s: "on" in [leg["t38"] for leg in legs_of(house).values()], 30, "the leg's T.38 in the state")
    done = adapter.wait_for("fax_done", 240, since=mark)
    assert done["status"] == 0 and bool(done["thrown"]) == bool(loss), done
    there = house.far.wait_for("fax_done", 60, id=name)
    assert there["status"] == 0 and there["pages"] == 1, there
    house.far.hangup(name)
    cdr = the_cdr(house, call)
    (told,) = [q["t38"] for q in cdr["quality"].values() if "t38" in q]
    assert (told["pages"], told["ecm"], told["garbage"]) == (1, True, 0) and told["bit_rate"] == there["rate"], told
    assert [(row["state"], row["by"]) for row in cdr["t38"]] == [("on", "us")]
    assert np.array_equal(pels(got), sheet[1])
    rows, malformed = decoded(wire)
    assert len(rows) == done["sent"] + done["received"] and not malformed, malformed[:3]


def test_a_page_from_a_t38_terminal_to_the_e1_over_a_kill_of_control(house, box, sheet, adapter):
    """The E1's machine answers: its flags make us ask.  Control is killed while the page is under way; junk and strangers all the time."""
    adapter.machine(send=sheet[0], calls=True, junk=1, loss=0.05)
    mark = adapter.mark()
    name, call = call_from_the_line(house, adapter, mark)
    house.far.fax(name, print=house.folder / "e1.tif", station="13912345678")
    adapter.wait_for("t38", 60, since=mark)
    house.kill("control")
    done = adapter.wait_for("fax_done", 240, since=mark)
    there = house.far.wait_for("fax_done", 60, id=name)
    assert (done["status"], there["status"], there["pages"]) == (0, 0, 1), (done, there)
    assert np.array_equal(pels(house.folder / "e1.tif"), sheet[1])
    adapter.hangup()                                    # the dialog is the new process's
    house.far.wait_for("released", 30, id=name)
    cdr = the_cdr(house, call)
    (told,) = [q["t38"] for q in cdr["quality"].values() if "t38" in q]
    assert told["pages"] == 1 and told["garbage"] > 0 and told["mended"] >= 0, told
    assert cdr["released_by"] == "caller" and cdr["cause"] == 16, cdr


@pytest.mark.parametrize("single", (False, True))
def test_the_far_end_asks_itself_and_goes_back_to_sound(house, box, sheet, adapter, single):
    configure(house, t38="accept", t38_on="flags")
    adapter.single = single
    adapter.machine(print=house.folder / "never.tif")
    mark = adapter.mark()
    name = house.place(called=FAX_NUMBER)
    adapter.wait_for("answered", 30, since=mark)
    call = house.wait_call("talking", 30)["call"]
    adapter.to_t38()
    adapter.wait_for("t38", 30, since=mark)
    house.wait(lambda s: "on" in [leg["t38"] for leg in legs_of(house).values()], 30, "the leg's T.38 in the state")
    adapter.to_sound()
    sound = adapter.wait_for("sound", 30, since=mark)["text"]
    assert "m=audio 0" not in sound and ("m=image 0 udptl t38" in sound) == (not single), sound
    house.wait(lambda s: "off" in [leg["t38"] for leg in legs_of(house).values()], 30, "sound again")
    came = len(adapter.stream.packets)
    house.wait(lambda s: len(adapter.stream.packets) > came + 20, 30, "RTP again")
    house.far.hangup(name)
    assert [(row["state"], row["by"]) for row in the_cdr(house, call)["t38"]] == [("on", "far"), ("off", "far")]


@pytest.mark.parametrize("refusal", (488, 415, 606, "both"))
def test_refused_it_goes_on_as_sound(house, box, adapter, refusal):
    adapter.refusal = refusal
    mark = adapter.mark()
    name, call = call_from_the_line(house, adapter, mark)
    house.far.fax(name, print=house.folder / "nothing.tif", station="13912345678")
    adapter.wait_for("asked", 60, since=mark)
    house.wait(lambda s: "refused" in [leg["t38"] for leg in legs_of(house).values()], 30, "the refusal in the state")
    if refusal == "both":
        assert "m=audio 0" not in adapter.wait_for("sound", 30, since=mark)["text"]
    came = len(adapter.stream.packets)
    house.wait(lambda s: len(adapter.stream.packets) > came + 20, 30, "RTP goes on")
    row = house.product.get(f"/calls/{call}")
    told = [record["data"] for record in row["records"] if record["kind"] == "leg.t38"]
    assert told[0]["state"] == "refused" and "refuses T.38 with %s" % (488 if refusal == "both" else refusal) in told[0]["why"], told
    adapter.hangup()
    house.far.wait_for("released", 30, id=name)


def test_both_ask_at_once(house, box, sheet, adapter):
    """Glare: 491 to each, then one of them comes through, once."""
    adapter.glare = True
    adapter.machine(send=sheet[0], calls=True)
    mark = adapter.mark()
    name, call = call_from_the_line(house, adapter, mark)
    house.far.fax(name, print=house.folder / "glare.tif", station="13912345678")
    adapter.wait_for("t38", 60, since=mark)
    done = adapter.wait_for("fax_done", 240, since=mark)
    assert done["status"] == 0 and np.array_equal(pels(house.folder / "glare.tif"), sheet[1])
    adapter.hangup()
    house.far.wait_for("released", 30, id=name)
    assert len([row for row in the_cdr(house, call)["t38"] if row["state"] == "on"]) == 1


def test_where_it_is_off_it_is_refused_and_media_that_dies_ends_the_call(house, box, adapter):
    configure(house, t38="off")
    adapter.machine(print=house.folder / "off.tif")
    mark = adapter.mark()
    name = house.place(called=FAX_NUMBER)
    adapter.wait_for("answered", 30, since=mark)
    adapter.to_t38()
    assert adapter.wait_for("refused_t38", 30, since=mark)["status"] == 488
    house.far.hangup(name)
    adapter.wait_for("closed", 30, since=mark)
    house.wait_idle(30)
    configure(house, t38="accept")
    mark = adapter.mark()
    name = house.place(called=FAX_NUMBER)
    house.far.wait_for("connect", 30, id=name)
    adapter.to_t38()
    adapter.wait_for("t38", 30, since=mark)
    house.kill("media")
    house.far.wait_for("released", 30, id=name)
    adapter.wait_for("closed", 30, since=mark)


def test_a_document_of_ours_goes_to_a_sip_line_by_t38(house, box, sheet, adapter):
    """The switch's own machine (a flow's fax node) speaks T.30 in sound; the leg's gateway makes packets of it."""
    assert box("document", "put", "sheet", str(sheet[0])) is not None
    assert house.product.put("/flows/fax-direct", {"flow": {"version": 1, "languages": ["en"], "start": "send", "nodes": {
        "send": {"type": "fax", "document": "sheet", "role": "calls", "station": "02150801000", "next": "end", "failed": "end"}, "end": {"type": "hangup"}}}})["version"]
    configure(house, t38="accept")
    running = house.product.get("/configuration")
    if not any(row["number"] == OWN for row in running["configuration"]["numbers"]):
        running["configuration"]["numbers"].append({"number": OWN, "application": "ivr", "target": "fax-direct"})
        house.product.post("/configuration/apply", running)
    adapter.machine(print=house.folder / "own.tif")
    mark = adapter.mark()
    adapter.dial(OWN)
    adapter.wait_for("answered", 30, since=mark)
    call = house.newest_call()["call"]
    adapter.to_t38()
    adapter.wait_for("t38", 30, since=mark)
    done = adapter.wait_for("fax_done", 240, since=mark)
    assert done["status"] == 0 and np.array_equal(pels(house.folder / "own.tif"), sheet[1]), done
    adapter.wait_for("closed", 60, since=mark)
    cdr = the_cdr(house, call)
    assert cdr["fax"][0]["ok"] and cdr["fax"][0]["pages"] == 1 and cdr["t38"][0]["state"] == "on", cdr


def test_two_sip_lines_pass_packets_on_untouched(house, box, sheet, adapter):
    """One side asks; the switch takes the other along, and demodulates nothing."""
    running = house.product.get("/configuration")
    other_line = next(row for row in running["configuration"]["lines"] if row["name"] == "1002")
    other_line["t38"] = "gateway"
    house.product.post("/configuration/apply", running)
    other = FaxPhone("1002", other_line["password"], house.sip_port).start()
    try:
        adapter.machine(send=sheet[0], calls=True)
        other.machine(print=house.folder / "through.tif")
        mark, its_mark = adapter.mark(), other.mark()
        adapter.dial("1002")
        adapter.wait_for("answered", 30, since=mark)
        call = house.wait_call("talking", 30)["call"]
        adapter.to_t38()
        adapter.wait_for("t38", 30, since=mark)
        other.wait_for("t38", 30, since=its_mark)
        assert adapter.wait_for("fax_done", 240, since=mark)["status"] == 0
        assert other.wait_for("fax_done", 60, since=its_mark)["status"] == 0
        assert np.array_equal(pels(house.folder / "through.tif"), sheet[1])
        adapter.hangup()
        other.wait_for("closed", 30, since=its_mark)
        cdr = the_cdr(house, call)
        assert sorted((row["state"], row["by"]) for row in cdr["t38"]) == [("on", "far"), ("on", "us")]
        assert all(q["t38"]["pages"] == 0 for q in cdr["quality"].values()), "no gateway has seen a page: the packets went through as they were"
    finally:
        other.stop()


@pytest.fixture
def fax_trunk(house, box):
    """A SIP trunk with T.38 by which a fax gateway calls; 6 leads there.  Yields the gateway."""
    gateway = FaxGateway("gateway", "none", house.sip_port).start()
    running = house.product.get("/configuration")
    config = running["configuration"]
    before = {part: list(config[part]) for part in ("trunk_groups", "sip_trunks", "routes", "numbers")}
    config["trunk_groups"].append({"name": "fax-trunk", "classes": ["national"]})
    config["sip_trunks"].append({"name": "fax", "trunk_group": "fax-trunk", "channels": 4, "options_s": 0, "t38": "gateway", "addresses": [{"address": "127.0.0.1", "port": gateway.port}]})
    config["routes"].append({"number": "6.", "choices": [{"trunk_group": "fax-trunk", "strip": 1}]})
    config["sip"].update(t38_on="ced", t38_recovery="redundancy")
    house.product.post("/configuration/apply", running)
    yield gateway
    gateway.stop()
    house.far.policy()
    house.wait_idle(30)
    running = house.product.get("/configuration")
    running["configuration"].update(before)
    house.product.post("/configuration/apply", running)


RECEIVES = {"version": 1, "languages": ["en"], "start": "take", "nodes": {
    "take": {"type": "fax", "document": "inbox", "role": "receives", "station": "02150801082", "into": "came", "next": "end", "failed": "end"}, "end": {"type": "hangup"}}}


def receives(house):
    """A number that is a fax mailbox."""
    assert house.product.put("/flows/fax-inbox", {"flow": RECEIVES})["version"]
    running = house.product.get("/configuration")
    running["configuration"]["numbers"].append({"number": INBOX, "application": "ivr", "target": "fax-inbox"})
    house.product.post("/configuration/apply", running)


def assert_kept(house, box, call, sheet, by):
    """The CDR names the document, and it is the page that was sent."""
    cdr = house.wait(lambda s: house.product.get(f"/calls/{call}")["cdr"], 60, "the CDR")
    (fax,) = cdr["fax"]
    assert fax["ok"] and fax["pages"] == 1 and fax["document"].startswith("inbox-" + call), fax
    assert [(row["state"], row["by"]) for row in cdr.get("t38") or []] == by, cdr
    assert any(row.split()[:2] == [fax["document"], "1"] for row in box("documents").splitlines())
    kept = house.folder / (fax["document"] + ".tif")
    kept.write_bytes(house.product.octets("/api/v1/documents/%s/file" % fax["document"]))
    assert np.array_equal(pels(kept), sheet[1])


@pytest.mark.conformance("T.38", "reception", "live: a page from a SIP trunk's T.38 terminal into a fax mailbox, 0 and 5 % of its packets lost, control killed before it asks for T.38, or meanwhile")
@pytest.mark.parametrize("drop, killed", [(0, "meanwhile"), (0.05, "before")])
def test_a_fax_from_a_sip_trunk_comes_into_a_mailbox(house, box, sheet, fax_trunk, drop, killed):
    receives(house)
    fax_trunk.machine(send=sheet[0], calls=True, drop=drop)
    mark = fax_trunk.mark()
    fax_trunk.dial(INBOX)
    fax_trunk.wait_for("answered", 30, since=mark)
    call = house.newest_call()["call"]
    if killed == "before":
        house.kill("control")
    fax_trunk.to_t38()
    fax_trunk.wait_for("t38", 60, since=mark)
    if killed == "meanwhile":
        house.kill("control")
    assert fax_trunk.wait_for("fax_done", 240, since=mark)["status"] == 0
    fax_trunk.wait_for("closed", 60, since=mark)
    assert_kept(house, box, call, sheet, [("on", "far")])


def test_a_fax_from_the_e1_comes_into_a_mailbox(house, box, sheet, fax_trunk):
    receives(house)
    name = house.place(called=INBOX)
    house.far.wait_for("connect", 30, id=name)
    call = house.newest_call()["call"]
    house.far.fax(name, send=sheet[0], calls=True, station="13912345678")
    house.far.wait_for("released", 240, id=name)        # by the box, as soon as it has heard DCN (T.30 5.3.6.1.8)
    assert_kept(house, box, call, sheet, [])


@pytest.mark.conformance("T.38", "SIP trunk", "live: a page from a trunk's T.38 terminal to an E1 machine whose answer tone makes us ask, and one the other way")
def test_pages_over_a_sip_trunk_both_ways(house, box, sheet, fax_trunk):
    gateway = fax_trunk
    running = house.product.get("/configuration")
    running["configuration"]["numbers"].append({"number": TRUNK_NUMBER, "application": "outside", "target": "6" + OUTSIDE})
    house.product.post("/configuration/apply", running)
    house.far.policy(alerting_ms=50, answer_ms=100)
    gateway.machine(send=sheet[0], calls=True)
    mark, far_mark = gateway.mark(), house.far.mark()
    gateway.dial("9" + OUTSIDE)
    name = house.far.wait_for("incoming", 30, since=far_mark)["id"]
    gateway.wait_for("answered", 30, since=mark)
    call = house.wait_call("talking", 30)["call"]
    house.far.fax(name, print=house.folder / "trunk-e1.tif", station="13912345678")
    gateway.wait_for("t38", 60, since=mark)
    heard = [tone for leg in legs_of(house).values() for tone in leg["fax"]]
    assert gateway.wait_for("fax_done", 240, since=mark)["status"] == 0
    assert house.far.wait_for("fax_done", 60, id=name)["status"] == 0
    assert np.array_equal(pels(house.folder / "trunk-e1.tif"), sheet[1]) and heard, heard
    gateway.hangup()
    house.far.wait_for("released", 30, id=name)
    cdr = the_cdr(house, call)
    assert [(row["state"], row["by"]) for row in cdr["t38"]] == [("on", "us")] and cdr["span"] == "fax", cdr

    house.wait_idle(30)
    gateway.machine(print=house.folder / "trunk-ip.tif")
    mark = gateway.mark()
    name = house.place(called=TRUNK_NUMBER)
    gateway.wait_for("answered", 30, since=mark)
    call = house.wait_call("talking", 30)["call"]
    gateway.to_t38()                    # as the answering gateway does that hears its machine's tone itself
    gateway.wait_for("t38", 60, since=mark)
    house.far.fax(name, send=sheet[0], calls=True, station="13912345678")
    assert gateway.wait_for("fax_done", 240, since=mark)["status"] == 0
    assert np.array_equal(pels(house.folder / "trunk-ip.tif"), sheet[1])
    house.far.hangup(name)
    cdr = the_cdr(house, call)
    assert cdr["out_span"] == "fax" and [(row["state"], row["by"]) for row in cdr["t38"]] == [("on", "far")], cdr
