"""Presence (RFC 3856) as softphones show it: played in the house of test_sip_transports.py.

baresip and linphone watch an agent's line; what they tell the person in front of them is what is looked at."""

import re
import shutil

import pytest

from hil.phone.linphone import Linphone
from hil.phone.phone import Phone
from hil.phone.probe import ProbePhone
from tests.conftest import WHOLE_ONLY

WATCHED, WATCHER, OTHER = "1001", "1004", "1003"


@WHOLE_ONLY
@pytest.mark.skipif(not shutil.which("baresip") or not Linphone.is_there(), reason="baresip or linphonec is not installed (Debian: baresip-core, linphone-cli)")
@pytest.mark.conformance("RFC 3856", "live baresip, linphone", "both show an agent's line online, in a call, away and offline, over a kill of control")
def test_two_softphones_watch_an_agent(house):
    for agent in (WATCHED, WATCHER, OTHER):
        house.available(agent, "logged_out")
    password = {row["name"]: row["password"] for row in house.product.get("/configuration")["configuration"]["lines"]}
    server = "127.0.0.1:%d" % house.sip_port
    friend = Linphone(OTHER, password[OTHER], house.sip_port, house.folder / "linphone-watches", friends=["sip:%s@%s" % (WATCHED, server)])
    with Phone(WATCHER, password[WATCHER], house.sip_port, watches=[WATCHED]) as watcher:
        def shows(word):
            house.wait(lambda s: re.search(r"%s\S*\s+.*<sip:%s@" % (word, WATCHED), watcher.command("contacts")), 30, "baresip showing " + word)

        def friend_shows(word):
            house.wait(lambda s: re.findall(r"Friend .*%s.* is (.+)" % WATCHED, friend.told())[-1:] == [word], 30, "linphone showing " + word)
        try:
            shows("Offline")                    # the agent has logged out
            friend.start()
            friend_shows("Offline")
            house.available(WATCHED)
            shows("Online")
            friend_shows("Online")
            caller = ProbePhone("1002", password["1002"], house.sip_port).start()
            caller.dial(WATCHED)
            caller.wait_for("answered", 30)
            shows("Busy")
            friend_shows("On the phone")
            house.kill("control")
            house.wait(lambda s: s["calls"], 30, "the call after the kill")
            caller.hangup()
            shows("Online")
            friend_shows("Online")
            caller.stop()
            house.available(WATCHED, "on_break")
            shows("Offline")                    # baresip has no word for away
            friend_shows("Away")
            house.available(WATCHED, "logged_out")
            shows("Offline")
            friend_shows("Offline")
        finally:
            friend.stop()
