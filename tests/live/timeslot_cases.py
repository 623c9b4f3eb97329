"""Live: the history of timeslots, with libpri as the far end; collected in test_outgoing.py, in the house of pri_house.py."""

import subprocess
import sys
import time

from hil.browser import Person
from hil.rig import CHECKOUT
from tests.live.pri_house import channels, hang_up, slot, talk_through

SPAN, TIMESLOT = 12, 5


def states(house, part, timeslot=TIMESLOT):
    """[(state, why, call)] of a part of a timeslot, oldest first."""
    rows = house.product.get(f"/spans/{SPAN}/timeslots/{timeslot}")["states"]
    return [(row["state"], row["why"], row["call"]) for row in rows[::-1] if row["part"] == part]


def wait_for(house, told):
    """Until told() is true; its answer."""
    return house.wait(lambda s: told(), 30, "the history")


def test_a_timeslot_s_history_over_a_kill(house, phone):
    """A call that the far end begins, a lock by hand, RESTART, control killed in the middle of the second call; the command and the page show the same."""
    house.far.policy()
    begun = len(states(house, "call"))
    name, out = talk_through(house, SPAN, 3, timeslot=TIMESLOT, record=False)
    call = house.newest_call()["call"]
    assert states(house, "call")[begun:] == [("seized", "in", call), ("connected", None, call)]
    hang_up(house, name, out["id"])
    assert states(house, "call")[begun:][-1] == ("idle", "cause 16", call)
    channels(house, SPAN, "lock", TIMESLOT)
    wait_for(house, lambda: states(house, "service")[-1][:2] == ("locked", ""))
    assert slot(house, SPAN, TIMESLOT)["state"] == "blocked"
    channels(house, SPAN, "unlock", TIMESLOT)
    wait_for(house, lambda: states(house, "service")[-1][:2] == ("in_service", ""))
    restarts = len(states(house, "event"))
    channels(house, SPAN, "restart", TIMESLOT)
    wait_for(house, lambda: states(house, "event")[restarts:] == [("restarted", "out", None)])
    name, out = talk_through(house, SPAN, 3, timeslot=TIMESLOT, record=False)
    second = house.newest_call()["call"]
    house.kill("control")
    house.wait(lambda s: s["calls"], 30, "the call after the kill")
    hang_up(house, name, out["id"])
    rows = states(house, "call")[begun + 3:]
    assert rows == [("seized", "in", second), ("connected", None, second), ("idle", "cause 16", second)], rows
    assert states(house, "event")[restarts:] == [("restarted", "out", None)] and states(house, "service")[-1][:2] == ("in_service", "")
    told = house.product.get(f"/spans/{SPAN}/history?minutes=5")
    (row,) = [row for row in told["timeslots"] if row["timeslot"] == TIMESLOT]
    assert [each["at_ms"] for each in row["states"]] == sorted(each["at_ms"] for each in row["states"]) and told["whole"]
    assert abs(row["states"][-1]["at_ms"] / 1000 - time.time()) < 120
    shown = subprocess.run([sys.executable, "-m", "firmware.cli", "--run", str(house.run_dir), "span-history", str(SPAN), "--minutes", "5"], cwd=CHECKOUT,
                           capture_output=True, text=True, check=True).stdout
    assert second in shown and "restarted" in shown and "locked" in shown
    with Person(house.web_url) as person:
        person.sign_in("admin", house.product.password)
        person.driver.get(person.url + f"/lines/{SPAN}?minutes=5")
        strip = f"#strip g[data-timeslot='{TIMESLOT}']"
        for kind in ("connected", "locked", "restarted"):
            person.see(f"{strip} .{kind}")
        assert second in person.driver.execute_script("return document.querySelector(arguments[0]).textContent", strip)
        person.driver.save_screenshot(str(house.folder / "strip.png"))
