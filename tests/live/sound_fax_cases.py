"""Fax machines behind an analog gateway that knows no T.38: cases of tests/live/test_fax.py, which share its house.

Both machines are spandsp's T.30, one in the far exchange of the E1, one behind the gateway in G.711; whole pages of the ITU, compared pel by pel."""

import numpy as np
import pytest
from PIL import Image

from hil.board.clock import BoardClock
from hil.phone.sound_fax import SoundFaxPhone

LINE, NUMBER, INBOX, OUTSIDE = "1003", "02150801090", "02150801091", "13912345678"
INTO = {"version": 1, "languages": ["en"], "start": "take", "nodes": {
    "take": {"type": "fax", "document": "socket", "role": "receives", "station": INBOX, "into": "came", "next": "end", "failed": "end"}, "end": {"type": "hangup"}}}


@pytest.fixture(scope="module")
def tiffs(pages, house):
    """{name: (TIFF, pels)} of whole pages."""
    made = {}
    for name, path in pages.items():
        image = Image.open(path).convert("1")
        image.save(house.folder / ("whole-%s.tif" % name), compression="group4", dpi=(204, 196))
        made[name] = house.folder / ("whole-%s.tif" % name), np.asarray(image)
    return made


@pytest.fixture
def socket(house, box):
    """The machine's socket; T.38 of the line is off."""
    assert house.product.put("/flows/fax-socket", {"flow": INTO})["version"]
    running = house.product.get("/configuration")
    config = running["configuration"]
    line = next(row for row in config["lines"] if row["name"] == LINE)
    line["t38"] = "off"
    known = [row["number"] for row in config["numbers"]]
    config["numbers"] += [row for row in ({"number": NUMBER, "application": "line", "target": LINE}, {"number": INBOX, "application": "ivr", "target": "fax-socket"})
                          if row["number"] not in known]
    house.product.post("/configuration/apply", running)
    phone = SoundFaxPhone(LINE, line["password"], house.sip_port, clock=BoardClock(house.run_dir)).start()
    yield phone
    phone.stop()
    house.far.policy()
    house.wait_idle(30)


def page_of(path):
    return np.asarray(Image.open(path).convert("1"))


def over(house, phone, name, call):
    """Both have hung up: the CDR, in which nothing of T.38 stands."""
    phone.hangup()
    house.far.wait_for("released", 30, id=name)
    cdr = house.wait(lambda s: house.product.get(f"/calls/{call}")["cdr"], 60, "the CDR")
    assert cdr["result"] == "answered" and not cdr.get("t38"), cdr
    return cdr


def test_a_page_from_a_gateway_s_socket_to_the_e1_over_a_kill_of_control(house, tiffs, socket):
    house.far.policy(alerting_ms=50, answer_ms=100)
    far_mark, mark = house.far.mark(), socket.mark()
    socket.dial("9" + OUTSIDE)
    name = house.far.wait_for("incoming", 30, since=far_mark)["id"]
    socket.wait_for("answered", 30, since=mark)
    call = house.wait_call("talking", 30)["call"]
    house.far.fax(name, print=house.folder / "from-socket.tif", station=OUTSIDE)
    socket.machine(send=tiffs["itu1"][0], calls=True)
    house.kill("control")
    there = house.far.wait_for("fax_done", 240, id=name)
    assert (socket.finish(60), there["status"], there["pages"]) == (0, 0, 1), there
    assert np.array_equal(page_of(house.folder / "from-socket.tif"), tiffs["itu1"][1])
    over(house, socket, name, call)


def test_a_page_from_the_e1_to_a_gateway_s_socket(house, tiffs, socket):
    mark = socket.mark()
    name = house.place(called=NUMBER)
    socket.wait_for("answered", 30, since=mark)
    call = house.wait_call("talking", 30)["call"]
    socket.machine(print=house.folder / "to-socket.tif")
    house.far.fax(name, send=tiffs["itu5"][0], calls=True, station=OUTSIDE)
    there = house.far.wait_for("fax_done", 240, id=name)
    assert (socket.finish(60), there["status"], there["pages"]) == (0, 0, 1), there
    assert np.array_equal(page_of(house.folder / "to-socket.tif"), tiffs["itu5"][1])
    over(house, socket, name, call)


def test_a_page_from_a_gateway_s_socket_into_a_mailbox(house, tiffs, socket):
    mark = socket.mark()
    socket.dial(INBOX)
    socket.wait_for("answered", 30, since=mark)
    call = house.newest_call()["call"]
    socket.machine(send=tiffs["itu1"][0], calls=True)
    socket.wait_for("closed", 240, since=mark)          # by the box, as soon as it has heard DCN (T.30 5.3.6.1.8)
    cdr = house.wait(lambda s: house.product.get(f"/calls/{call}")["cdr"], 60, "the CDR")
    (fax,) = cdr["fax"]
    assert fax["ok"] and fax["pages"] == 1, fax
    kept = house.folder / (fax["document"] + ".tif")
    kept.write_bytes(house.product.octets("/api/v1/documents/%s/file" % fax["document"]))
    assert np.array_equal(page_of(kept), tiffs["itu1"][1])
