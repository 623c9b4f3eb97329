"""A scripted exchange opposite to one ISUP node: it says what a test tells it to, and keeps what it heard.

Exchange A is ours (point code 100), B is scripted (200), so that B controls the even CICs.
Q.784.1's texts are not in the tree: a case stands for the number and purpose in conformance.tsv;
where a purpose has letters without words (1.3.1.1a ...), the docstring says what was taken."""

import json
import shutil
import struct
import subprocess

import pytest

from firmware.proto.isup import messages
from firmware.proto.isup.node import ISUP
from firmware.proto.mtp3 import messages as mtp3

A, B = 100, 200
HEARD = {"itu": [], "ansi": [], "china": []}             # every message that we sent in a session, for tshark

CAUSE = {"coding": 0, "location": 4, "cause": 16, "diagnostics": ""}
BACKWARD = {"charge": "charge", "status": "none", "category": "ordinary", "isup": True, "isdn_access": True}
DEFAULTS = {
    "IAM": {"nature_of_connection": {}, "forward_call_indicators": {"isup": True, "isdn_access": True},
            "calling_party_category": {"value": "ordinary"}, "transmission_medium": {"value": "3.1khz_audio"},
            "called_party_number": {"number": "2150801000", "complete": True}},
    "SAM": {"subsequent_number": {"number": "5", "complete": False}},
    "COT": {"continuity_indicators": {"success": True}},
    "ACM": {"backward_call_indicators": BACKWARD}, "CON": {"backward_call_indicators": BACKWARD},
    "CPG": {"event_information": {"event": "alerting"}}, "REL": {"cause_indicators": CAUSE},
    "CFN": {"cause_indicators": dict(CAUSE, cause=97)},
    "SUS": {"suspend_resume_indicators": {"by": "network"}}, "RES": {"suspend_resume_indicators": {"by": "network"}},
    "INR": {"information_request_indicators": {"calling_address": True}},
    "INF": {"information_indicators": {"calling_address": "included"}},
    "USR": {"user_to_user_information": {"octets": "0401"}}, "MPM": {"charge_information": {"value": 3}},
}


STANDARD = {"itu": "ITU", "ansi": "ANSI", "china": "Chinese ITU"}


def tshark(path, variant, octets):
    """Dissect ISUP messages; [(message type, what tshark calls malformed or warns of)]."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 141))
        for one in octets:
            unit = mtp3.encode_label(variant, mtp3.Label(5, 2, B, A, one[0] & 15)) + one
            file.write(struct.pack("<IIII", 0, 0, len(unit), len(unit)) + unit)
    out = subprocess.run(["tshark", "-n", "-r", str(path), "-o", "mtp3.standard:" + STANDARD[variant], "-T", "fields",
                          "-e", "isup.message_type", "-e", "_ws.malformed", "-e", "_ws.expert.message", "-e", "_ws.expert.severity",
                          "-E", "separator=|"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(out) == len(octets)
    rows = []
    for row in out:
        number, malformed, text, severity = row.split("|")
        serious = [s for s in severity.split(",") if s and int(s) >= 0x600000]         # warnings and errors
        rows.append((int(number, 0), malformed + (text if serious else "")))
    return rows


@pytest.fixture(scope="module")
def dissected(tmp_path_factory):
    """At the end of a module tshark reads what we sent in it (but for messages that we only passed on)."""
    for variant in HEARD:
        HEARD[variant].clear()
    yield
    for variant in HEARD:
        known = [o for o in HEARD[variant] if o[2] not in (0xA0, 0xFC, 0xFD, 0xFE)]     # tshark has no Chinese messages
        if known and shutil.which("tshark"):
            rows = tshark(tmp_path_factory.mktemp("isup") / "heard.pcap", variant, known)
            assert [(o.hex(), row) for o, row in zip(known, rows) if row[1] or row[0] != o[2]] == []


def case(number, purpose):
    return pytest.mark.conformance("Q.784.1", number, purpose)


def config(variant="itu", own=A, far=B, timers=None, count=15, node=None, **group):
    row = {"name": "a", "destination": far, "circuits": [[1, 1, 1, count], [17, 1, 17, 15]]}
    row.update(group)
    made = {"variant": variant, "point_code": own, "groups": [row], "timers": timers or {}}
    made.update(node or {})
    return made


class Rig:
    def __init__(self, variant="itu", **more):
        self.config = config(variant, **more)
        self.variant = variant
        self.node = ISUP(self.config)
        self.now_ms = 0
        self.events, self.heard = [], []

    def _after(self, events):
        self.events += events
        for dpc, sls, octets in self.node.take_output():
            message = messages.decode(self.variant, octets)
            assert dpc == B and sls == message.cic & (31 if self.variant == "ansi" else 15) and message.faults == []
            self.heard.append(message)
            HEARD[self.variant].append(octets)
        json.dumps(events)

    def octets(self, octets):
        """B sends octets."""
        self._after(self.node.receive(B, octets, self.now_ms))

    def say(self, kind, cic=1, unknown=(), **parameters):
        """B sends a message; parameters over the usual ones."""
        content = json.loads(json.dumps(DEFAULTS.get(kind, {})))
        if self.variant == "ansi" and kind == "IAM":
            del content["transmission_medium"]
            content["user_service_information"] = {"octets": "9090a2"}
        for name in parameters:
            if isinstance(content.get(name), dict) and isinstance(parameters[name], dict):
                content[name].update(parameters[name])
            else:
                content[name] = parameters[name]
        message = messages.Message(kind, cic, content)
        message.unknown = [list(row) for row in unknown]
        self.octets(messages.encode(self.variant, message))

    def ask(self, primitive, call, **given):
        self._after(self.node.request(primitive, call, self.now_ms, **given))

    def circuit(self, primitive, name="a.1", **given):
        self._after(self.node.circuit_request(primitive, name, self.now_ms, **given))

    def group(self, primitive, cics=None, hardware=False):
        self._after(self.node.group_request(primitive, "a", self.now_ms, cics, hardware))

    def mtp(self, **event):
        self._after(self.node.mtp_event(event, self.now_ms))

    def wait(self, milliseconds):
        end = self.now_ms + milliseconds
        while self.node.deadline_ms() is not None and self.node.deadline_ms() <= end:
            self.now_ms = self.node.deadline_ms()
            self._after(self.node.expire(self.now_ms))
        self.now_ms = end

    def kill(self):
        """kill -9: the node of after it."""
        self.node = ISUP.restore(json.loads(json.dumps(self.node.dump())), self.config)
        self._after(self.node.audit(self.now_ms))

    def kinds(self):
        """Kinds of the messages that B heard since it was asked last."""
        found = [m.kind for m in self.heard]
        self.last = self.heard[-1] if self.heard else None
        self.heard = []
        return found

    def took(self, *names):
        """Events since they were asked for last: of these names, or of calls if none is given."""
        events, self.events = self.events, []
        return [e for e in events if (e["event"] in names if names else e["call"] is not None)]

    def names(self):
        """Names of the call events since they were asked for last."""
        return [e["event"] for e in self.took()]

    def state(self, cic=1):
        return self.node.circuits[(B, cic)].state

    def blocking(self, cic=1):
        return self.node.circuits[(B, cic)].blocking()

    # Calls up to a point

    def out(self, upto="answered", cic=1, **given):
        """A call of ours: "iam", "acm" or "answered".  Returns its id."""
        call = self.node.new_call("a", cic)
        given.setdefault("called", "2150801000")
        self.ask("setup_request", call, **given)
        if upto in ("acm", "answered"):
            self.say("ACM", cic)
        if upto == "answered":
            self.say("ANM", cic)
        self.kinds()
        self.took()
        return call

    def come(self, upto="answered", cic=1, unknown=(), **parameters):
        """A call of B's: "iam", "acm" or "answered".  Returns its id."""
        self.say("IAM", cic, unknown, **parameters)
        call = self.took("setup_indication")[0]["call"]
        if upto in ("acm", "answered"):
            self.ask("alerting_request", call)
        if upto == "answered":
            self.ask("setup_response", call)
        self.kinds()
        self.took()
        return call

    def clear_near(self, call, cic=1):
        """We release: REL, RLC."""
        self.ask("release_request", call, cause=16)
        assert self.kinds() == ["REL"] and self.last.get("cause_indicators")["cause"] == 16
        self.say("RLC", cic)
        self.over(call, cic, "near")

    def clear_far(self, call, cic=1):
        """B releases: REL, RLC."""
        self.say("REL", cic)
        assert self.kinds() == [] and [e["cause"] for e in self.took("disconnect_indication")] == [16]
        self.ask("release_request", call)
        assert self.kinds() == ["RLC"]
        self.over(call, cic, "far")

    def over(self, call, cic, by):
        found = self.took("released")
        assert [(e["call"], e["by"]) for e in found] == [(call, by)]
        assert self.state(cic) == "IDLE" and not self.node.call_state(call)
