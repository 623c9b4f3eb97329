"""Fax on real PRI calls: a flow sends a stored document to the fax machine of the caller (spandsp's T.30 in the far exchange), the box calls a number and sends
one there; control is killed meanwhile.

The printed page is compared pel by pel with the ITU test page, read by ffmpeg."""

import subprocess
import sys

import pytest

from hil.rig import CHECKOUT
from tests.conftest import WHOLE_ONLY
from tests.corpus import part
from tests.live.sound_fax_cases import *      # noqa: F403  these share this house
from tests.live.t38_cases import *      # noqa: F403

pytestmark = [pytest.mark.live, WHOLE_ONLY]

NUMBER, POLLED = "02150801077", "02150801078"
PAGES = ("itu1", "itu5")


def flow(role):
    return {"version": 1, "languages": ["en"], "start": "ask", "nodes": {
        "ask": {"type": "collect", "prompts": ["greeting"], "into": "wanted", "length": 4, "next": "send", "failed": "sorry"},
        "send": {"type": "fax", "document": "offer-{wanted}", "role": role, "station": "02150801000", "into": "fax", "next": "thanks", "failed": "sorry"},
        "thanks": {"type": "hangup"},
        "sorry": {"type": "hangup", "prompts": ["goodbye"]}}}


@pytest.fixture(scope="module")
def pages():
    """{name: (width, lines, rows)} of the ITU's test pages."""
    return {name: part(f"fax/{name}.pbm") for name in PAGES}


@pytest.fixture(scope="module")
def box(house, pages):
    def strowger(*words, fails=False):
        done = subprocess.run([sys.executable, "-m", "firmware.cli", "--run", str(house.run_dir), *words], cwd=CHECKOUT, capture_output=True, text=True)
        assert (done.returncode != 0) == fails, done
        return (done.stderr if fails else done.stdout).strip()
    for number, role in ((NUMBER, "calls"), (POLLED, "answers")):
        assert house.product.put("/flows/fax-%s" % role, {"flow": flow(role)})["version"] == 1
        running = house.product.get("/configuration")
        running["configuration"]["numbers"].append({"number": number, "application": "ivr", "target": "fax-%s" % role})
        house.product.post("/configuration/apply", running)
    assert "no usable" not in strowger("document", "put", "offer-1234", str(pages["itu1"]))
    strowger("document", "put", "offer-5678", str(pages["itu5"]))
    (house.folder / "bad.tif").write_bytes(b"II*\0" + bytes(40))
    assert "TIFF has no page" in strowger("document", "put", "offer-1234", str(house.folder / "bad.tif"), fails=True)
    assert [row.split()[:2] for row in strowger("documents").splitlines()[1:]] == [["offer-1234", "1"], ["offer-5678", "1"]]
    return strowger


def dial(house, number, digits):
    """A caller who has heard which document and has keyed it: (name at the far exchange, call)."""
    name = house.place(called=number)
    house.far.wait_for("connect", 30, id=name)
    call = house.wait(lambda s: next((c for c in s["calls"] if c["node"] == "ask" and c["called"] == number), None), 60, "a caller who is asked")["call"]
    house.far.dtmf(name, digits)
    house.wait(lambda s: any(c["call"] == call and c["node"] == "send" for c in s["calls"]), 30, "the fax node")
    return name, call


def printed(path):
    """The pels of a TIFF's first page, 0 black, as ffmpeg reads them: (width, octets)."""
    done = subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-"], capture_output=True, check=True)
    return done.stdout


def pels(path):
    """The same of a PBM."""
    octets = path.read_bytes()
    width, lines = (int(word) for word in octets.split(maxsplit=3)[1:3])
    rows = octets[-((width + 7) // 8 * lines):]
    return bytes(0 if octet >> bit & 1 else 255 for octet in rows for bit in range(7, -1, -1))


def test_a_document_is_printed_pel_by_pel_over_a_kill_of_control(house, box, pages):
    name, call = dial(house, NUMBER, "1234")
    house.far.fax(name, print=house.folder / "got.tif", station="13912345678")       # the caller presses start
    assert any(record["kind"] == "fax.started" for record in house.product.get(f"/calls/{call}")["records"])
    house.kill("control")                       # while the modems train or send
    done = house.far.wait_for("fax_done", 240, id=name)
    assert done["status"] == 0 and done["pages"] == 1 and done["station"] == "02150801000", done
    house.far.wait_for("released", 60, id=name)
    cdr = house.wait(lambda s: house.product.get(f"/calls/{call}")["cdr"], 60, "the CDR")
    (fax,) = cdr["fax"]
    assert fax["document"] == "offer-1234" and fax["ok"] and fax["pages"] == 1 and fax["station"] == "13912345678" and fax["rate"] == done["rate"], fax
    kinds = [record["kind"] for record in house.product.get(f"/calls/{call}")["records"]]
    assert [kind for kind in kinds if kind.startswith("fax.")] == ["fax.started", "fax.page", "fax.ended"]
    assert printed(house.folder / "got.tif") == pels(pages["itu1"])


def test_a_machine_that_polls_gets_the_document(house, box, pages):
    name, call = dial(house, POLLED, "5678")
    house.far.fax(name, print=house.folder / "polled.tif", calls=True, station="13912345678")
    done = house.far.wait_for("fax_done", 240, id=name)
    assert done["status"] == 0 and done["pages"] == 1, done
    house.far.wait_for("released", 60, id=name)
    assert printed(house.folder / "polled.tif") == pels(pages["itu5"])


def test_a_caller_who_hangs_up_in_the_middle_and_a_document_that_is_not_there(house, box):
    name, call = dial(house, NUMBER, "1234")
    house.far.fax(name, print=house.folder / "half.tif")
    house.far.hangup(name)
    house.far.wait_for("released", 30, id=name)
    (fax,) = house.wait(lambda s: house.product.get(f"/calls/{call}")["cdr"], 60, "the CDR")["fax"]
    assert (fax["ok"], fax["pages"], fax["why"]) == (False, 0, "the call ended")
    house.wait(lambda s: s["services"]["streams"] == 0, 30, "the stream's end")
    name = house.place(called=NUMBER)
    house.far.wait_for("connect", 30, id=name)
    call = house.wait(lambda s: next((c for c in s["calls"] if c["node"] == "ask" and c["called"] == NUMBER), None), 60, "a caller who is asked")["call"]
    house.far.dtmf(name, "9999")
    house.far.wait_for("released", 60, id=name)             # good-bye
    (fax,) = house.wait(lambda s: house.product.get(f"/calls/{call}")["cdr"], 60, "the CDR")["fax"]
    assert not fax["ok"] and "there is no document offer-9999" in fax["why"], fax


FROM_FLOW = {"version": 1, "languages": ["en"], "start": "ask", "nodes": {
    "ask": {"type": "collect", "prompts": ["greeting"], "into": "number", "length": 11, "next": "send", "failed": "end"},
    "send": {"type": "send_fax", "document": "offer-5678", "number": "{number}", "next": "end", "failed": "end"},
    "end": {"type": "hangup"}}}


def sent(house, name):
    """The row of a document that is sent to a number."""
    return next((row for row in house.product.get("/faxes")["faxes"] if row["fax"] == name), None)


def state_of(house, name, wanted, timeout_s=60):
    return house.wait(lambda s: (row := sent(house, name)) and row["state"] == wanted and row, timeout_s, "fax %s %s" % (name, wanted))


def take(house, known):
    """The far exchange's next call from the box is let ring."""
    call = house.far.wait_for("incoming", 60, since=known)
    house.far.alert(call["id"])
    return call


def test_a_document_goes_to_a_number_over_a_kill_with_a_retry(house, box, pages):
    assert house.product.put("/flows/fax-later", {"flow": FROM_FLOW})["version"] == 1
    running = house.product.get("/configuration")
    running["configuration"]["fax"] = {"enabled": True, "prefix": "9", "retry_s": 10, "attempts": 3, "station": "02150801000"}
    running["configuration"]["numbers"].append({"number": "02150801079", "application": "ivr", "target": "fax-later"})
    house.product.post("/configuration/apply", running)
    assert "at least 5" in box("fax", "offer-1234", "12", fails=True) and "no document" in box("fax", "nothing", "13987654321", fails=True)
    house.far.policy(incoming="refuse", cause=17)
    begin = house.far.mark()
    name = box("fax", "offer-1234", "13987654321").split()[1]
    row = house.wait(lambda s: (row := sent(house, name)) and row["attempts"] == 1 and row, 30, "a refused call")
    assert row["state"] == "waiting" and "cause 17" in row["why"]
    house.far.policy(incoming="manual")
    known = house.far.mark()
    house.kill("control")                       # while it waits
    call = take(house, known)
    assert call["called"] == "13987654321"
    state_of(house, name, "calling")
    house.kill("control")                       # while the number rings
    house.wait(lambda s: s, 30, "control after the kill")
    house.far.answer(call["id"])
    house.far.fax(call["id"], print=house.folder / "there.tif", station="13987654321")
    state_of(house, name, "sending")
    house.kill("control")                       # while the modems train or send
    done = house.far.wait_for("fax_done", 240, id=call["id"])
    assert done["status"] == 0 and done["pages"] == 1 and done["station"] == "02150801000", done
    row = state_of(house, name, "sent")
    assert (row["pages"], row["attempts"], row["document"]) == (1, 1, "offer-1234") and "sent" in box("faxes")
    cdr = house.wait(lambda s: house.product.get(f"/calls/{row['call']}")["cdr"], 60, "the CDR")
    assert (cdr["application"], cdr["called"], cdr["dialled"], cdr["fax"][0]["ok"]) == ("fax", "13987654321", "13987654321", True)
    assert printed(house.folder / "there.tif") == pels(pages["itu1"])
    assert len(house.far.events("incoming", since=begin)) == 2           # nobody was called twice for one attempt
    known = house.far.mark()
    caller = house.place(called="02150801079")  # a caller keys the number of a machine
    house.far.wait_for("connect", 30, id=caller)
    house.wait(lambda s: any(c["node"] == "ask" for c in s["calls"]), 60, "a caller who is asked")
    house.far.dtmf(caller, "13900001111")
    call = take(house, known)
    assert call["called"] == "13900001111"
    (row,) = [row for row in house.product.get("/faxes")["faxes"] if row["number"] == "13900001111"]
    assert (row["document"], row["by"], row["state"]) == ("offer-5678", "flow", "calling")
    box("fax-cancel", row["fax"])
    house.far.wait_for("released", 30, id=call["id"])
    house.product.post("/faxes", {"document": "offer-5678", "number": "13900001111", "at_ms": 1 << 46})
    assert [row["state"] for row in house.product.get("/faxes")["faxes"]] == ["waiting", "cancelled", "sent"]
    house.far.policy()
