"""A home agent at an ordinary telephone, over PRI: played in the house of test_outgoing.py, which has a span that answers calls out."""

import pathlib
import subprocess
import sys
import time

from hil.probes import exact
from tests.conftest import WHOLE_ONLY
from tests.live import probe_moves

HOME, DESK = "1003", "02150801077"
SECONDS = 3
CHECKOUT = pathlib.Path(__file__).resolve().parents[2]


def configure(house, **home):
    """Line 1003 is a telephone outside; a number leads to its queue."""
    running = house.product.get("/configuration")
    config = running["configuration"]
    next(line for line in config["lines"] if line["name"] == HOME)["home"] = home
    agent = next(agent for agent in config["agents"] if agent["name"] == HOME)
    agent.update(line=HOME, pin="4711", queues=[{"queue": "sales", "level": 1}])
    config["numbers"] = [row for row in config["numbers"] if row["number"] != DESK] + [{"number": DESK, "application": "queue", "target": "sales"}]
    house.product.post("/configuration/apply", running)


def telephone(house, state, timeout_s=30):
    """What the API says of the telephone, when it is in a state."""
    return house.wait(lambda s: next((line["home"] for line in s["lines"] if line["name"] == HOME and line["home"] and line["home"]["state"] == state), None),
                      timeout_s, f"the home telephone {state}")


def agent_of(house):
    return next(agent for agent in house.state()["agents"] if agent["name"] == HOME)


def command(house, *words, typed=None):
    done = subprocess.run([sys.executable, "-m", "firmware.cli", "--run", str(house.run_dir), *words], cwd=CHECKOUT, capture_output=True, text=True, input=typed)
    assert done.returncode == 0, done.stderr
    return done.stdout


def heard(house, name, said):
    """Whether a recording of the far exchange holds what was said."""
    octets = (house.folder / f"{name}.wav").read_bytes()
    return exact.match(said, octets[octets.index(b"data") + 8:])


@WHOLE_ONLY
def test_a_home_agent_on_an_ordinary_telephone(house, phone):
    """Called at log-in over PRI, code entered, kept up over two calls and a kill of control, audio bit for bit, dropped: away."""
    path, caller_path = house.folder / "home-says.wav", house.folder / "home-caller-says.wav"
    agent_says, caller_says = probe_moves.material(91, SECONDS, path), probe_moves.material(92, SECONDS, caller_path)
    configure(house, number="9" + "13700001111", mode="nailed", confirm="pin")
    house.far.policy(record_dir=house.folder, alerting_ms=50, answer_ms=100)
    house.available(phone.user, "logged_out")
    far_mark = house.far.mark()
    command(house, "log-in", HOME, HOME, "--pin", typed="4711\n")
    incoming = house.far.wait_for("incoming", 30, since=far_mark)
    assert incoming["called"] == "13700001111" and incoming["span"] == 2
    telephone(house, "asking")
    assert not agent_of(house)["registered"]
    house.far.dtmf(incoming["id"], "4711")
    house.far.wait_for("dtmf_done", 30, id=incoming["id"])
    up = telephone(house, "up")

    def measure(kill=False):
        house.wait_agent_idle(HOME, 30)
        name = house.place(span=1, called=DESK)
        house.far.wait_for("connect", 30, id=name)
        call = house.wait(lambda s: next((c for c in s["calls"] if c["state"] == "talking" and c["agent"] == HOME), None), 30, "the talking call")
        time.sleep(0.1)
        if kill:
            house.kill("control")
            house.wait(lambda s: [c for c in s["calls"] if c["call"] == call["call"] and c["state"] == "talking"], 30, "the call after the kill")
        house.far.play(name, caller_path)
        house.far.play(incoming["id"], path)
        for each in (name, incoming["id"]):
            house.far.wait_for("play_done", 30, id=each)
        time.sleep(0.2)
        house.far.hangup(name)
        house.far.wait_for("record_closed", 30, id=name)
        found = heard(house, name, agent_says)
        assert found.exact, f"home telephone to caller: {found}"
        return call["call"]
    first = probe_moves.undisturbed(measure, house)
    second = probe_moves.undisturbed(lambda: measure(kill=True), house)
    assert telephone(house, "up")["leg"] == up["leg"], "one leg has carried both calls, and outlived the kill"
    for call in (first, second):
        cdr = house.cdr(call)["cdr"]
        assert (cdr["result"], cdr["agent"], cdr["application"]) == ("answered", HOME, "queue") and len(cdr["recording"]) == 1
    house.far.hangup(incoming["id"])
    down = telephone(house, "down")
    assert (agent_of(house)["status"], agent_of(house)["reason"]) == ("on_break", "telephone lost"), down
    assert "913700001111 down: " in command(house, "agents")
    house.far.wait_for("record_closed", 30, id=incoming["id"])
    found = heard(house, incoming["id"], caller_says)
    assert found.exact, f"caller to home telephone: {found}"
    mine = [cdr for cdr in house.product.get("/calls?limit=20")["calls"] if cdr["application"] == "home"]
    assert mine and (mine[0]["agent"], mine[0]["dialled"], mine[0]["out_span"]) == (HOME, "13700001111", 2)
    records = str(house.cdr(mine[0]["call"])["records"])
    assert "4711" not in records, "the code stands nowhere"
    house.available(HOME, "logged_out")
    house.available(phone.user)
