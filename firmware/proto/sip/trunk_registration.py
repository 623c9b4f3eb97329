"""One registration of a SIP trunk at its registrar.  RFC 3261 10.2, RFC 3608, RFC 5626 4.2, RFC 6140.

A Registration keeps the dialog, asks, answers the challenge and tells its trunk how it ended: trunk.registered(registration, answer, now_ms) or
trunk.not_registered(registration, status, answer, now_ms).  When to ask, and where, is the trunk's (trunks.py, trunk_flows.py).
"""

from firmware.errors import RemoteError
from firmware.proto.sip.bulk import GIN
from firmware.proto.sip.dialog import Dialog
from firmware.proto.sip.digest import answer_challenge
from firmware.proto.sip.headers import parse_addresses, parse_list
from firmware.proto.sip.text import display, hexadecimal, number
from firmware.proto.sip.transport import transport_of
from firmware.proto.sip.uri import bracketed_host, host_port, parse_uri, user_uri

ANSWER_MS = 6000                 # ours: without an answer for so long it counts as unanswered (timer F: 32 s)
LEAST_REGISTER_S = 30            # ours: a far end that grants less is asked no more often


class Question:
    """Owner of one request of a trunk: says once how it ended."""

    def __init__(self, tell):
        self.tell = tell

    def response(self, transaction, message, now_ms):
        """A final response."""
        if message.status >= 200:
            self._end(message, now_ms)

    def failed(self, transaction, status, now_ms):
        """Timer F, or no way there."""
        self._end(None, now_ms)

    def fire(self, name, now_ms):
        """Waited long enough."""
        self._end(None, now_ms)

    def _end(self, message, now_ms):
        tell, self.tell = self.tell, None
        if tell is not None:
            tell(message, now_ms)

    def unacknowledged(self, transaction, now_ms):
        """Not of a client."""

    def finished(self, transaction, now_ms):
        """Nothing is kept."""


class Registration:
    """place: which address of the trunk, where each has a flow of its own (RFC 5626); None: the one in use."""

    def __init__(self, trunk, place=None):
        self.trunk, self.place = trunk, place
        self.dialog = None           # Call-ID, tag and CSeq
        self.expires_ms = None
        self.service_route = []
        self.associated = []         # P-Associated-URI (RFC 7315 4.1)
        self.tries = 0
        self.least_s = 0
        self.waiting = None          # the question that is out
        self.up_ms = None            # of a flow: since when it stands
        self.failures = 0            # of a flow: in a row

    @property
    def index(self):
        """Of its address."""
        return self.trunk.at if self.place is None else self.place

    @property
    def address(self):
        """Where it registers."""
        return self.trunk.address if self.place is None else self.trunk.row["addresses"][self.place]

    @property
    def timer(self):
        """Name of its timer in the trunk."""
        return "register" + ("" if self.place is None else str(self.place))

    def begin(self, now_ms):
        """Register, or refresh."""
        self.tries = 0
        self._send(None, now_ms)

    def leave(self, now_ms):
        """Take it back (10.2.2)."""
        trunk = self.trunk
        if self.dialog is not None:
            trunk.agent.transactions.request(self._message(0), self.address, Question(lambda answer, now: None), now_ms)

    def refresh_at_ms(self, now_ms):
        """When to ask again, some time before it ends."""
        granted_s = (self.expires_ms - now_ms) // 1000
        return now_ms + max(LEAST_REGISTER_S, min(granted_s - 30, granted_s * 4 // 5)) * 1000

    def _message(self, seconds, authorization=None):
        trunk, identity, address = self.trunk, self.trunk.agent.identity, self.address
        account = "<%s>" % user_uri(trunk.row["user"], trunk.domain)
        if self.dialog is None:
            self.dialog = Dialog(identity.call_id(), identity.tag(), account, account, "sip:" + trunk.domain)
        self.dialog.local = self.dialog.remote = account
        self.dialog.target = "sip:" + (trunk.row.get("domain") or host_port(bracketed_host(address[0]), address[1]))
        message = self.dialog.request("REGISTER", identity, hop=address)
        contact = self._contact()
        if self.place is not None:
            contact += ";reg-id=%d;+sip.instance=\"<%s>\"" % (self.place + 1, trunk.instance)
        message.add("Contact", contact)
        message.add("Expires", "%d" % seconds)
        message.add("Supported", "path" if self.place is None else "path, outbound")
        if trunk.row.get("bulk"):
            message.add("Require", GIN)
            message.add("Proxy-Require", GIN)
        message.add("Allow", trunk.agent.allow)
        if authorization:
            message.add(authorization[0], authorization[1])
        return message

    def _contact(self):
        trunk, transport = self.trunk, transport_of(self.address)
        if trunk.row.get("bulk"):
            return trunk.agent.identity.contact_of(transport, None, ";bnc")
        return trunk.agent.identity.contact_of(transport, parse_uri(user_uri(trunk.row["user"], "x")).user)

    def _send(self, authorization, now_ms):
        agent = self.trunk.agent
        message = self._message(max(self.trunk.row["register_s"], self.least_s), authorization)
        question = Question(lambda answer, now: self._answered(question, message, answer, now))
        self.waiting = question
        agent.timers.start(now_ms + ANSWER_MS, question, "no answer")
        agent.transactions.request(message, self.address, question, now_ms)
        agent.trunk_changed(self.trunk)

    def _answered(self, question, request, answer, now_ms):
        if self.waiting is not question:
            return
        self.waiting = None
        status = 408 if answer is None else answer.status
        if status < 300:
            self.expires_ms = now_ms + self._granted_s(answer) * 1000
            self.service_route = parse_list(answer.all("Service-Route"), "Service-Route")[:8]
            self.associated = _associated(answer)
            self.trunk.registered(self, answer, now_ms)
        elif status in (401, 407) and self.tries < 2 and self._authorized(status, answer, request, now_ms):
            pass
        elif status == 423 and self.tries < 2:
            self.tries += 1
            self.least_s = min(number((answer.get("Min-Expires") or "").strip(), 86400) or 0, 86400)
            self._send(None, now_ms)
        else:
            self.trunk.not_registered(self, status, answer, now_ms)

    def _authorized(self, status, answer, request, now_ms):
        """Whether a challenge could be answered."""
        self.tries += 1
        proxy, agent = status == 407, self.trunk.agent
        value = answer_challenge(answer.all("Proxy-Authenticate" if proxy else "WWW-Authenticate"), "REGISTER", request.uri,
                                 self.trunk.credentials, agent.hash_functions, hexadecimal(agent.random(8)))
        if value is not None:
            self._send(("Proxy-Authorization" if proxy else "Authorization", value), now_ms)
        return value is not None

    def _granted_s(self, answer):
        """Seconds of our own binding in the 200 (10.2.4)."""
        wanted = max(self.trunk.row["register_s"], self.least_s)
        ours = parse_uri(self._contact()[1:-1])
        text = answer.get("Expires")
        try:
            for contact in answer.contacts():
                flow = contact.parameter("reg-id")
                if parse_uri(contact.uri).same_as(ours) and (self.place is None or flow in (None, "%d" % (self.place + 1))):
                    text = contact.parameter("expires") or text
        except RemoteError:
            pass
        granted = None if text is None else number(text.strip(), 2 ** 31)
        return max(LEAST_REGISTER_S, wanted if granted is None else granted)

    def why_not(self, status, answer):
        """A sentence about a registration that failed."""
        reason = "does not answer REGISTER" if answer is None else "refuses our registration (%d %s)" % (status, display(answer.reason[:60]))
        why = "%s %s" % (self.trunk.spoken(self.index), reason)
        if status in (401, 403, 407):
            why += "; look at user and password"
        elif status == 420 and self.trunk.row.get("bulk"):
            why += "; it cannot register all numbers at once (RFC 6140), switch bulk off"
        elif status == 404:
            why += "; it does not know our user"
        elif status == 439:
            why += "; the proxy before it keeps no flows (RFC 5626), switch flows off"
        return why

    def dump(self):
        """JSON-able record."""
        return {"dialog": None if self.dialog is None else self.dialog.dump(), "expires_ms": self.expires_ms, "service_route": list(self.service_route)}

    def load(self, record):
        """Take over what dump() made."""
        self.dialog = None if record["dialog"] is None else Dialog.restore(record["dialog"])
        self.expires_ms, self.service_route = record["expires_ms"], list(record["service_route"])


def _associated(answer):
    """The addresses that a registrar says are ours as well (RFC 7315 4.1); a header that cannot be read costs no registration."""
    try:
        return [display(one.uri)[:200] for one in parse_addresses(answer.all("P-Associated-URI"), "P-Associated-URI")[:64]]
    except RemoteError:
        return []
