"""A carrier by hand at a SIP trunk of the switch, with its row and the calls over it."""

from tests.proto.sip_world import OFFER, Phone, endpoint

FIRST, SECOND = ("10.0.0.1", 5060), ("10.0.0.2", 5070)
ROW = {"name": "telco", "label": "", "trunk_group": "carrier", "kind": "peer", "addresses": [FIRST], "channels": 2, "domain": "",
       "user": "", "password": "", "incoming_user": "", "incoming_password": "", "register_s": 600, "options_s": 0, "from": "number",
       "identity": "asserted", "trusted": True, "plus": True, "called_in": "request", "called_rules": [], "caller_rules": [],
       "diversion": "both", "reliable": "supported", "session_s": 1800}
CALLER = {"number": "02150801000", "type": "unknown", "presentation": "allowed"}
CALLED = {"number": "8613912345678", "type": "international", "plan": "isdn"}
T0 = 1000000


def trunk(**more):
    return dict(ROW, **more)


def started(row, **config):
    switch = endpoint(trunks=[row], **config)
    return switch, switch.resume(T0) + switch.expire(T0)


class Far(Phone):
    """The carrier."""

    def __init__(self, switch, address=FIRST):
        Phone.__init__(self, switch, "carrier", "x", address)
        self.now_ms = T0

    def taken(self):
        """What has been sent to us."""
        return [octets for octets, destination in self.switch.take_output() if destination == self.address]

    def pass_ms(self, ms):
        """Time passes in steps; returns events and what came to us."""
        events, got, end = [], [], self.now_ms + ms
        while True:
            deadline = self.switch.deadline_ms()
            self.now_ms = end if deadline is None or deadline > end else max(self.now_ms, deadline)
            events += self.switch.expire(self.now_ms)
            got += self.taken()
            if self.now_ms == end:
                return events, got

    def reply(self, request, code, **more):
        return self.send(self.respond(request, code, **more))


def call(switch, leg="l1", **more):
    primitive = {"kind": "invite_request", "leg": leg, "trunk": "telco", "called": CALLED, "caller": CALLER, "caller_name": "Zoe",
                 "redirecting": None, "sdp": OFFER}
    primitive.update(more)
    return switch.request(primitive, T0)


def incoming(far, user="+862150801000", extra=(), body=OFFER, **more):
    return far.request("INVITE", "sip:%s@127.0.0.1:15060" % user, [("Contact", "<sip:gw@10.0.0.1:5060>"), (
        "Content-Type", "application/sdp")] + list(extra), body, **more)
