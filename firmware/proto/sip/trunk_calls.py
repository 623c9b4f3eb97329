"""Outgoing calls of SIP trunks: one address after the other, identity, session timer, 100rel.

The next address of the trunk is tried where one gives no answer at all within FAILOVER_MS, or refuses for itself (5xx, 408)
before the called party rings; what it still says is cancelled or ended.  A restart of control does not end such a
set-up: its transactions go on (dump of the fork).
"""

from firmware.proto.sip import extras, parties
from firmware.proto.sip.bulk import target_of
from firmware.proto.sip.causes import phrase
from firmware.proto.sip.dialog import Dialog
from firmware.proto.sip.outgoing import Fork, OutgoingSession
from firmware.proto.sip.referring import name_referrer
from firmware.proto.sip.session import ALERTING, CALLING
from firmware.proto.sip.text import octets as to_octets
from firmware.proto.sip.text import text as to_text
from firmware.proto.sip.uri import parse_uri

BIG_OCTETS = 1300                # RFC 3261 18.1.1: longer requests go over a connection
FAILOVER_MS = 4000               # ours: an address that is alive says 100 within 200 ms (17.2.1)
OF_THE_ADDRESS = (408, 500, 502, 503, 504)


class TrunkSession(OutgoingSession):
    """A leg that we call over a trunk.  order: the invite_request, without its leg."""

    __slots__ = ("row", "domain", "service_route", "bulk", "left", "datagrams_only")

    def __init__(self, agent, leg, trunk):
        OutgoingSession.__init__(self, agent, leg, None)
        self.trunk = trunk.name
        self.row = trunk.row
        self.domain = trunk.domain
        self.service_route = trunk.route_over(trunk.address)
        self.bulk = trunk.bulk
        self.wanted_s = trunk.row.get("session_s") or 0
        self.order = None
        self.left = []               # addresses not tried yet
        self.datagrams_only = False  # a connection for a big INVITE was refused

    def start(self, request, trunk, now_ms):
        """Send the INVITE to the first address."""
        self.order = {"called": request["called"], "caller": request.get("caller"), "caller_name": request.get("caller_name") or "",
                      "redirecting": request.get("redirecting"), "carried": request.get("carried"), "sdp": to_text(request["sdp"])}
        self.left = [list(address) for address in trunk.destinations()]
        self._next(now_ms)

    def _next(self, now_ms):
        address = tuple(self.left.pop(0))
        message, dialog = self._invite(address)
        if len(address) == 2 and len(message.serialise()) > BIG_OCTETS and not self.datagrams_only:
            self.left.insert(0, list(address))
            address = address + ("TCP",)
            message, dialog = self._invite(address)
        agent = self.agent
        fork = Fork(len(self.forks), dialog, message, address)
        self.forks.append(fork)
        agent.learn(dialog, self)
        fork.transaction = agent.transactions.request(message, address, self, now_ms)
        if self.left:
            agent.timers.start(now_ms + FAILOVER_MS, self, "failover %d" % fork.number)

    def _invite(self, address):
        """(INVITE, its dialog) to an address."""
        agent, order, identity = self.agent, self.order, self.agent.identity
        self.challenged = {}
        if self.trunk in agent.trunks:
            self.service_route = agent.trunks[self.trunk].route_over(address)
        if len(self.row["addresses"]) > 1 and not self.row.get("domain"):
            self.domain = address[0]
        uri = parties.request_uri(order["called"], self.row, self.domain)
        if self.bulk is not None:
            uri = target_of(self.bulk, parse_uri(uri).user)
        elif not self.row.get("domain") and (address[1] != 5060 or len(address) > 2):
            uri += ":%d" % address[1] + (";transport=%s" % address[2].lower() if len(address) > 2 else "")
        dialog = Dialog(identity.call_id(), identity.tag(),
                        parties.sender_of(order["caller"], order["caller_name"], self.row, self.domain),
                        "<%s>" % parties.request_uri(order["called"], self.row, self.domain), uri)
        message = dialog.request("INVITE", identity, hop=address)
        self.dress(message)
        self.fill(message, to_octets(order["sdp"]))
        if self.row.get("flows"):
            message.replace("Contact", identity.contact_of(message.via.transport, more=";ob"))       # RFC 5626 4.3
        return message, dialog

    def dress(self, message):
        """Identity, extensions, session timer, the way of our registration (RFC 3608)."""
        order = self.order
        for route in self.service_route:
            message.add("Route", route)
        parties.identify(message, order["caller"], order["caller_name"], order["redirecting"], order["called"], self.row, self.domain,
                         (order.get("carried") or {}).get("redirections") or 1)
        parties.carry(message, order.get("carried") or {})
        if self.row.get("trusted"):
            name_referrer(message, (order.get("carried") or {}).get("referred_by"), self.agent.identity)
        extras.dress(message, order.get("carried") or {}, self.row, self.agent)
        policy = self.row.get("reliable", "off")
        supported = (["100rel"] if policy != "off" else []) + (["timer"] if self.wanted_s else [])
        if supported:
            message.add("Supported", ", ".join(supported))
        if policy == "required":
            message.add("Require", "100rel")
        self.ask_timer(message)

    def fire(self, name, now_ms):
        """A timer of the session."""
        if name[:8] == "failover":
            fork = [fork for fork in self.forks if fork.number == int(name[9:])]
            if fork and self.left and self.state == CALLING and not (fork[0].provisional or fork[0].done or fork[0].cancelled):
                self._unanswered(fork[0], now_ms)
                fork[0].cancelled = True         # a late answer of it is cancelled, or ended
                fork[0].done = True
                self._next(now_ms)
            self.agent.touch(self)
            return
        OutgoingSession.fire(self, name, now_ms)

    def fork_failed(self, fork, status, cause, words, contacts, now_ms):
        """The next address where this one has refused for itself."""
        if fork.done:
            return
        if self.state == CALLING and status in OF_THE_ADDRESS and self.left:
            fork.done = True
            self._next(now_ms)
            return
        OutgoingSession.fork_failed(self, fork, status, cause, words, contacts, now_ms)

    def failed(self, transaction, status, now_ms):
        """No final response came."""
        fork = self.fork_of(transaction)
        if fork is not None and not fork.provisional and not fork.done:
            self._unanswered(fork, now_ms)
        OutgoingSession.failed(self, transaction, status, now_ms)

    def _unanswered(self, fork, now_ms):
        if len(fork.destination) > 2 and self.left and self.left[0] == list(fork.destination[:2]):
            self.datagrams_only = True      # the connection for a big INVITE; its datagrams may pass
        else:
            self.agent.trunk_unanswered(self.trunk, fork.destination, now_ms)

    def dump(self):
        """JSON-able record."""
        record = OutgoingSession.dump(self)
        record["order"] = self.order if self.state in (CALLING, ALERTING) else None
        record["left"] = self.left
        record["domain"] = self.domain
        return record

    def load(self, record, now_ms):
        """Take over what dump() made."""
        OutgoingSession.load(self, record, now_ms)
        self.order, self.left, self.domain = record.get("order"), record.get("left") or [], record.get("domain") or self.domain

    def resume(self, record, now_ms):
        """A set-up goes on where its INVITE is still under way."""
        if self.state in (CALLING, ALERTING) and self.order is not None and any([not fork.done for fork in self.forks]):
            return
        if self.state in (CALLING, ALERTING):
            self.end("failure", 41, now_ms)
            self.agent.fault("not_restored", "leg %s: %s" % (self.leg, phrase(500)), None)
        OutgoingSession.resume(self, record, now_ms)
