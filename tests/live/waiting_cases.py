"""A call that waits at a telephone that talks (lines[].call_waiting): played in the house of test_sip_transports.py.

baresip talks, a second caller rings there, is told so, and is answered; sipp watches the lamp (RFC 4235)."""

import re
import shutil

import pytest

from hil.phone.phone import Phone
from hil.phone.probe import ProbePhone
from hil.phone.sipp import Sipp
from tests.live.join_cases import watching

LINE, FIRST, WATCHER = "1003", "1002", "1004"


def configure(house, most):
    running = house.product.get("/configuration")
    for row in running["configuration"]["lines"]:
        row["call_waiting"] = most if row["name"] == LINE else 0
    house.product.post("/configuration/apply", running)
    return {row["name"]: row["password"] for row in running["configuration"]["lines"]}


def agent(house, name=LINE):
    return next(row for row in house.state()["agents"] if row["name"] == name)


@pytest.mark.skipif(not shutil.which("baresip") or not shutil.which("sipp"), reason="baresip or sipp is not installed (Debian: baresip-core, sip-tester)")
@pytest.mark.conformance("RFC 7462", "live baresip", "who calls a telephone that talks hears ringing with Alert-Info urn:alert:service:call-waiting; the telephone rings too, and busy where nobody may wait")
def test_a_call_waits_at_a_telephone_that_talks(house):
    for name in (LINE, FIRST, WATCHER):
        house.available(name, "logged_out")
    password = configure(house, 1)
    first, second = (ProbePhone(name, password[name], house.sip_port) for name in (FIRST, WATCHER))
    lamp = Sipp(house.sip_port, house.folder / "waiting-lamp")
    try:
        first.start()
        second.start()
        with Phone(LINE, password[LINE], house.sip_port, answer="manual", calls=4) as phone:
            lamp.start(watching(LINE, password[WATCHER]))
            mark = phone.mark()
            first.dial(LINE)
            phone.wait_for("incoming", 20, since=mark)
            phone.answer()
            first.wait_for("answered", 20)
            call = house.wait_call("talking", 20)["call"]
            assert (agent(house)["state"], agent(house)["call"]) == ("talking", call)
            mark, rings = phone.mark(), second.mark()
            second.dial(LINE)
            phone.wait_for("incoming", 20, since=mark)
            second.wait_for("ringing", 20, since=rings)
            told = [octets for _, way, octets in list(second.log) if way == "rx" and octets.startswith(b"SIP/2.0 180 ")]
            assert re.search(rb"(?i)\r\nalert-info: <urn:alert:service:call-waiting>\r\n", told[-1]), told
            assert (agent(house)["state"], agent(house)["call"]) == ("talking", call), "who talks, talks on"
            house.wait(lambda s: {"confirmed", "early"} <= set(re.findall(r"<state>(\w+)</state>", lamp.messages().rsplit("<dialog-info", 1)[-1])), 20, "both calls in the lamp")
            phone.answer()
            second.wait_for("answered", 20, since=rings)
            house.wait(lambda s: len([c for c in s["calls"] if c["state"] == "talking"]) == 2, 20, "both calls")
            first.hangup()
            house.wait(lambda s: len(s["calls"]) == 1, 20, "the first call's end")
            assert agent(house)["state"] == "talking" and agent(house)["call"] != call
            second.hangup()
            house.wait(lambda s: agent(house)["state"] == "idle" and not s["calls"], 20, "an idle agent")
            lamp.stop()
            configure(house, 0)
            mark = phone.mark()
            first.dial(LINE)
            phone.wait_for("incoming", 20, since=mark)
            phone.answer()
            house.wait_call("talking", 20)
            rings = second.mark()
            second.dial(LINE)
            assert second.wait_for("refused", 20, since=rings)["status"] == 486
            first.hangup()
        house.wait_idle(30)
    finally:
        for each in (first, second, lamp):
            each.stop()
        configure(house, 0)
