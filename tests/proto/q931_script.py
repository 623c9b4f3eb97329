"""Cases of Q.931 as text: a scripted far end, our link, virtual time.

A case is (clause, purpose, side, steps); sides "user", "network" or "both".  Steps, one string each:
    "> KIND name=value ..."  the far end sends a message of the call, its mandatory elements filled in
    ">hex 08..."             the far end sends these octets
    "< KIND name=value ..."  the next message of ours; "< -" there is none
    "? primitive a=b ..."    a request of the layer above (called is the call that is there, or a new one)
    "! event a=b ..."        an event since the last look, in order; "! -" none is left
    "+ T303"                 time passes to the expiry of that timer, which must be the next
    "= 3"                    the number of the call's state; "= -" the call is gone
    "up", "down"             the data link
Values of messages: cause, state (call_state), ch (timeslot of Channel identification), excl, diag, progress, digits, complete."""

from firmware.proto.q931 import codes, messages
from firmware.proto.q931.link import Q931Link

BEARER = {"coding": 0, "capability": "3.1khz_audio", "mode": 0, "rate": 16, "layer_1": "g711_a"}
DIGITS = {"type": "unknown", "plan": "isdn"}
# How to bring a call to a state: by side and number.
INCOMING, OUTGOING = ["> SETUP ch=1 excl=1 complete=1"], ["? setup_request called=1234 timeslot=1", "< SETUP"]
TO = {
    ("user", 1): OUTGOING, ("user", 2): [*OUTGOING, "> SETUP_ACKNOWLEDGE"], ("user", 3): [*OUTGOING, "> CALL_PROCEEDING"],
    ("user", 4): [*OUTGOING, "> ALERTING"], ("user", 6): INCOMING, ("user", 25): [*INCOMING, "? setup_ack_request", "< SETUP_ACKNOWLEDGE"],
    ("user", 9): [*INCOMING, "? proceeding_request", "< CALL_PROCEEDING"], ("user", 7): [*INCOMING, "? alerting_request", "< ALERTING"],
    ("user", 8): [*INCOMING, "? setup_response", "< CONNECT"], ("user", 10): [*OUTGOING, "> CONNECT", "< CONNECT_ACKNOWLEDGE"],
    ("user", 11): [*OUTGOING, "> CONNECT", "< CONNECT_ACKNOWLEDGE", "? release_request cause=16", "< DISCONNECT"],
    ("user", 12): [*OUTGOING, "> CONNECT", "< CONNECT_ACKNOWLEDGE", "> DISCONNECT cause=16"],
    ("user", 19): [*OUTGOING, "> CONNECT", "< CONNECT_ACKNOWLEDGE", "> DISCONNECT cause=16", "? release_request", "< RELEASE"],
    ("network", 1): INCOMING, ("network", 2): [*INCOMING, "? setup_ack_request", "< SETUP_ACKNOWLEDGE"],
    ("network", 3): [*INCOMING, "? proceeding_request", "< CALL_PROCEEDING"], ("network", 4): [*INCOMING, "? alerting_request", "< ALERTING"],
    ("network", 6): OUTGOING, ("network", 25): [*OUTGOING, "> SETUP_ACKNOWLEDGE"], ("network", 9): [*OUTGOING, "> CALL_PROCEEDING"],
    ("network", 7): [*OUTGOING, "> ALERTING"], ("network", 10): [*INCOMING, "? setup_response", "< CONNECT"],
    ("network", 12): [*INCOMING, "? setup_response", "< CONNECT", "? release_request cause=16", "< DISCONNECT"],
    ("network", 11): [*INCOMING, "? setup_response", "< CONNECT", "> DISCONNECT cause=16"],
    ("network", 19): [*INCOMING, "? setup_response", "< CONNECT", "> DISCONNECT cause=16", "? release_request", "< RELEASE"],
}
MANDATORY_CAUSE = ("DISCONNECT", "RELEASE", "STATUS")


def _pairs(text):
    return dict(pair.split("=", 1) for pair in text.split())


class Script:
    """A link of ours under a script.  said: all messages of ours, octets; heard: those of the far end."""

    def __init__(self, side, variant="etsi", **config):
        self.link, self.now_ms, self.call = Q931Link(side, variant, {"overlap_receiving": True, **config}), 0, None
        self.side, self.flag, self.reference = side, 0, 1
        self.events, self.waiting, self.said, self.heard = [], [], [], []
        self.link.link_up(0)

    def _note(self, events):
        self.events += events
        for event in events:
            if event["event"] == "setup_indication":
                self.call = event["call"]
        fresh = self.link.take_output()
        self.said += fresh
        self.waiting += [messages.decode(octets) if octets[0] == 8 else octets for octets in fresh]

    def _message(self, kind, given):
        content = {}
        if "cause" in given or kind in MANDATORY_CAUSE:
            content["cause"] = {"cause": int(given.get("cause", 30 if kind == "STATUS" else 16)), "location": 2 if self.side == "user" else 1}
        if kind == "STATUS":
            content["call_state"] = {"state": int(given.get("state", 10))}
        if kind == "SETUP":
            content.update(bearer_capability=BEARER, called_party_number=dict(DIGITS, number=given.get("digits", "1234")))
        elif "digits" in given:
            content["called_party_number"] = dict(DIGITS, number=given["digits"])
        if kind == "NOTIFY":
            content["notification_indicator"] = {"description": int(given.get("description", 0))}
        if "progress" in given or kind == "PROGRESS":
            content["progress_indicator"] = [{"location": 2, "description": int(given.get("progress", 8))}]
        if "ch" in given:
            content["channel_identification"] = {"selection": "any", "exclusive": False} if given["ch"] == "any" else {
                "selection": "indicated", "exclusive": given.get("excl", "1") == "1", "channels": [int(given["ch"])]}
        if given.get("complete") == "1":
            content["sending_complete"] = True
        return messages.encode(messages.Message(kind, self.reference, self.flag, content))

    def _expect(self, rest):
        if rest == "-":
            assert not self.waiting, "not expected: %s" % self.waiting[0].kind
            return
        kind, _, wanted = rest.partition(" ")
        assert self.waiting, "nothing was sent"
        message = self.waiting.pop(0)
        assert message.kind == kind, "%s was sent" % message.kind
        found = {"cause": (message.get("cause") or {}).get("cause"), "diag": (message.get("cause") or {}).get("diagnostics"),
                 "state": (message.get("call_state") or {}).get("state"), "flag": message.flag, "ref": message.reference,
                 "progress": ",".join(str(row["description"]) for row in message.elements.get("progress_indicator", [])),
                 "digits": (message.get("called_party_number") or {}).get("number"), "complete": int("sending_complete" in message.elements)}
        channel = message.get("channel_identification")
        if channel:
            found.update(ch=",".join(map(str, channel["channels"])) if channel["selection"] == "indicated" else channel["selection"], excl=int(channel["exclusive"]))
        for name, value in _pairs(wanted).items():
            assert str(found.get(name)) == value, "%s is %s" % (name, found.get(name))

    def step(self, text):
        mark, _, rest = text.partition(" ")
        if mark == ">hex":
            self.heard.append(bytes.fromhex(rest.replace(" ", "")))
            self._note(self.link.receive(self.heard[-1], self.now_ms))
        elif mark == ">":
            kind, _, given = rest.partition(" ")
            if kind == "SETUP":
                self.flag = 0
            self.heard.append(self._message(kind, _pairs(given)))
            self._note(self.link.receive(self.heard[-1], self.now_ms))
        elif mark == "?":
            primitive, _, given = rest.partition(" ")
            given = {name: int(value) if name in ("timeslot", "cause", "description") else value == "1" if name in ("inband", "complete", "exclusive") else value
                     for name, value in _pairs(given).items()}
            if primitive == "restart":
                self._note(self.link.restart(self.now_ms, [given["timeslot"]] if "timeslot" in given else None))
                return
            if primitive == "setup_request":
                self.call, self.flag = self.link.new_call(), 1
            self._note(self.link.request(primitive, self.call, self.now_ms, **given))
        elif mark == "<":
            self._expect(rest)
        elif mark == "!":
            if rest == "-":
                assert not self.events, self.events[0]
                return
            name, _, wanted = rest.partition(" ")
            assert self.events, "nothing was told"
            event = self.events.pop(0)
            assert event["event"] == name, "%s was told" % event["event"]
            for key, value in _pairs(wanted).items():
                assert str(event.get(key)) == value, "%s is %s" % (key, event.get(key))
        elif mark == "+":
            due = self.link.deadline_ms()
            assert due is not None, "no timer runs"
            assert due - self.now_ms <= self.link.timers_ms[rest], "the next timer is another one"
            running = [row[0] for c in self.link._calls.values() for row in c.timers.dump() if row[1] == due]
            running += [row[0] for row in self.link._timers.dump()]
            assert rest in running, "%s runs, not %s" % (running, rest)
            self.now_ms = due
            self._note(self.link.expire(due))
        elif mark == "=":
            state = self.link.call_state(self.call)
            number = "-" if state is None else str(codes.state_number(state["state"]))
            assert number == rest, "the state is %s" % number
        elif text in ("up", "down"):
            self._note(self.link.link_up(self.now_ms) if text == "up" else self.link.link_down(self.now_ms))
        else:
            raise ValueError(text)


def play(side, steps, state=None, **config):
    """Run a case, from a state.  Returns the Script."""
    script = Script(side, **config)
    for text in TO[side, state] if state is not None else []:
        script.step(text)
    script.events = []
    for text in steps:
        try:
            script.step(text)
        except AssertionError as error:
            raise AssertionError("%s side%s: at %r: %s" % (side, "" if state is None else ", state %d" % state, text, error)) from error
    return script
