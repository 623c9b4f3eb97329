"""What the tests of the Q.931 machine share: links without a data link below, and messages by hand."""

import pytest

from firmware.proto.q931 import messages
from firmware.proto.q931.link import Q931Link


def mark(clause, purpose):
    return pytest.mark.conformance("Q.931", clause, purpose)


def link(side="user", **config):
    made = Q931Link(side, "etsi", config)
    made.link_up(0)
    made.take_output()
    return made


def build(kind, reference=1, flag=0, **content):
    return messages.encode(messages.Message(kind, reference, flag, content))


SETUP = bytes.fromhex("08020001" "05" "04038090a3" "1803a98381" "7005a131323334" "a1")
CAUSE_16 = {"cause": 16, "location": 2}


def sent(made):
    """Messages that went out, decoded."""
    return [messages.decode(octets) for octets in made.take_output()]


def kinds(made):
    return [m.kind for m in sent(made)]


def names(events):
    return [e["event"] for e in events]


def incoming(made, now_ms=0, octets=SETUP):
    """A call from the far end; returns its id."""
    events = made.receive(octets, now_ms)
    assert names(events) == ["setup_indication"]
    return events[0]["call"]


def talking(made, now_ms=0):
    """An answered call from the far end."""
    call = incoming(made, now_ms)
    made.request("proceeding_request", call, now_ms)
    made.request("setup_response", call, now_ms)
    made.receive(build("CONNECT_ACKNOWLEDGE"), now_ms)
    made.take_output()
    assert made.call_state(call)["state"].endswith("10_ACTIVE")
    return call


class Pair:
    """Our user side and our network side, joined without a data link."""

    def __init__(self, **config):
        self.user, self.network = link("user", **config), link("network", **config)
        self.events = {"user": [], "network": []}
        self.now_ms = 0

    def settle(self):
        while True:
            up, down = self.user.take_output(), self.network.take_output()
            if not up and not down:
                return
            for octets in up:
                self.events["network"] += self.network.receive(octets, self.now_ms)
            for octets in down:
                self.events["user"] += self.user.receive(octets, self.now_ms)

    def request(self, side, primitive, call, **given):
        made = getattr(self, side)
        self.events[side] += made.request(primitive, call, self.now_ms, **given)
        self.settle()

    def take(self, side):
        events, self.events[side] = self.events[side], []
        return events
