"""The whole house for a test module: board, product, far exchange, phones.

Nothing here imports the product: it is a process behind wires.
"""

import contextlib
import itertools

import pytest

from hil import speech
from hil.rig import Rig

LANDING, CALLER, REDIRECTING = "02150801000", "13912345678", "4008001000"


class House(Rig):
    """A rig with the moves that the tests share."""

    numbers = itertools.count(1)

    def prepare(self):
        """Start everything; agent 1001 has a phone that answers by itself, the others are logged out."""
        self.start()
        self.files = {name: speech.make(self.folder / f"{name}.wav", seed=seed, seconds=40)
                      for seed, name in ((11, "caller"), (22, "agent"))}
        for agent in ("1002", "1003", "1004"):
            self.product.put(f"/agents/{agent}/status", {"status": "logged_out"})
        running = self.product.get("/configuration")
        for agent in running["configuration"]["agents"]:
            agent["wrap_up_s"] = 1                    # the tests' time is dear
        self.product.post("/configuration/apply", running)
        self.agent_file = self.folder / "agent-heard.wav"
        self.agent_phone = self.phone("1001", play_file=self.files["agent"], record_file=self.agent_file)
        self.wait(lambda s: any(a["name"] == "1001" and a["registered"] for a in s["agents"]), 10, "agent 1001's phone")
        return self

    def place(self, span=1, overlap=None, record=True, **options):
        """Place a call; returns its id at the far exchange."""
        name = f"x{next(self.numbers)}"
        options.setdefault("called", LANDING)
        self.far.call(name, span=span, caller=CALLER, redirecting=REDIRECTING, overlap=overlap,
                      record=self.folder / f"{name}.wav" if record else None, **options)
        return name

    def place_and_choose(self, digit="1", **options):
        """Place a call, wait for CONNECT, press a key."""
        name = self.place(**options)
        self.far.wait_for("connect", 10, id=name)
        self.far.dtmf(name, digit)
        self.far.wait_for("dtmf_done", 5, id=name)    # what is played next must not fall into the key press
        return name

    def available(self, agent="1001", status="available"):
        self.product.put(f"/agents/{agent}/status", {"status": status})

    def newest_call(self):
        """The newest call that is up."""
        calls = self.state()["calls"]
        return max(calls, key=lambda c: c["started_ms"]) if calls else None

    def wait_call(self, state, timeout_s=15):
        """Wait until some call is in a state; returns that call."""
        return self.wait(lambda s: next((c for c in s["calls"] if c["state"] == state), None), timeout_s,
                         f"a call in state {state}")

    def wait_agent_idle(self, agent="1001", timeout_s=15):
        self.wait(lambda s: any(a["name"] == agent and a["state"] == "idle" and a["status"] == "available"
                                and a["registered"] for a in s["agents"]), timeout_s, f"agent {agent} idle")

    def far_events(self, *names, since=0):
        """Events of the far exchange with one of the names, after its event number `since`."""
        return [e for e in self.far.events(since=since) if e["event"] in names]


@pytest.fixture(scope="module")
def house(tmp_path_factory, request):
    """A module may say with RIG what its house is like: options of Rig."""
    with House(tmp_path_factory.mktemp("house"), **getattr(request.module, "RIG", {})) as rig:
        yield rig.prepare()


@pytest.fixture(autouse=True)
def settled(request):
    """After a test, whatever became of it: no call is left at the far exchange, each agent is as before it."""
    if "house" not in request.fixturenames:
        yield
        return
    rig = request.getfixturevalue("house")
    if "phone" in request.fixturenames:
        request.getfixturevalue("phone")        # what it does with the agents comes before the look at them
    before = {agent["name"]: agent["status"] for agent in rig.state()["agents"]}
    yield
    with contextlib.suppress(Exception):
        for call in rig.far.status()["calls"]:
            rig.far.hangup(call["id"])
        for agent in rig.state()["agents"]:
            if agent["status"] != before[agent["name"]]:
                rig.available(agent["name"], before[agent["name"]])
