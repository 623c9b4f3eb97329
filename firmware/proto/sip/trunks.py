"""SIP trunks: which address of the far end is alive, registration there, whose calls are whose.

A trunk has one or more addresses in order of choice.  Each is asked by OPTIONS every options_s (RFC 3261 11); two questions
without any answer, or a 503, make it dead, one answer makes it alive.  The trunk uses the first that is alive,
and goes back to it when it comes back.  A trunk that registers (10.2) is up while its registration stands; a registrar
that does not answer or refuses for now is replaced by the next address.  A peer that is never asked counts as there;
an INVITE without any answer makes that address dead for UNASKED_DEAD_MS.

A PBX that registers here for its numbers (kind "pbx", bulk.py) has the address of its registration, and none without one.

A far end with a name ("named") has the addresses that DNS says (links/sip_names.py): none before the first answer; they may change while
the trunk runs (readdress()), and those that stay keep their state.

A trunk: row, the configuration's (config/sip_trunk.py) with addresses as [(host, port) or (host, port, transport)] and
"is_source": function(host) -> whether its calls may come from there.  state: "up" or "down"; why: a sentence.
"""

from firmware.errors import RemoteError
from firmware.proto.sip import extras, parties
from firmware.proto.sip.dialog import Dialog
from firmware.proto.sip.digest import answer_challenge, ha1
from firmware.proto.sip.bulk import GIN
from firmware.proto.sip.headers import parse_addresses, parse_list
from firmware.proto.sip.session import SDP
from firmware.proto.sip.text import display, hexadecimal, number
from firmware.proto.sip.transport import transport_of
from firmware.proto.sip.uri import bracketed_host, host_port, parse_uri, user_uri

UP, DOWN = "up", "down"
ANSWER_MS = 3000                 # ours: an OPTIONS without an answer for so long counts as unanswered (timer F: 32 s)
DEAD_AGAIN_MS = 5000             # ours: a dead address is asked this often
MISSES = 2                       # ours: unanswered questions that make an address dead
UNASKED_DEAD_MS = 30000          # ours
REGISTER_AGAIN_MS = (5000, 15000, 30000, 60000)     # ours: pauses after all registrars failed, the last one for ever
REFUSED_AGAIN_MS = 60000         # ours: after a refusal that another try will hardly change
NOWHERE = ("0.0.0.0", 5060)      # of a name that DNS has not answered yet: such a trunk is down
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


class Trunk:
    """One trunk.  agent: the endpoint."""

    def __init__(self, agent, row):
        self.agent = agent
        self.name = row["name"]
        self.row = row
        self.at = 0
        self.state = DOWN
        self.why = "not asked yet"
        self.alive = [None] * len(row["addresses"])
        self.misses = [0] * len(row["addresses"])
        self.expires_ms = None
        self.dialog = None           # of our registration: Call-ID, tag and CSeq
        self.service_route = []
        self.failures = 0
        self.tries = 0
        self.least_s = 0
        self.registering = None
        self.bulk = None             # registration of a PBX: {"call_id", "cseq", "target"}
        self.associated = []         # P-Associated-URI of our registration (RFC 7315 4.1)
        self.timers = {}

    # what calls use

    @property
    def address(self):
        """The address in use."""
        return self.row["addresses"][self.at] if self.row["addresses"] else NOWHERE

    @property
    def domain(self):
        """Host part of the addresses that we write."""
        return self.row.get("domain") or self.address[0]

    @property
    def credentials(self):
        """For challenges put to us."""
        return {"*": [self.row["user"], self.row["password"]]} if self.row.get("user") else {}

    def destinations(self):
        """Addresses for a call: the one in use, then the others that are not dead."""
        rows = self.row["addresses"]
        if not rows:
            return [self.address]        # nowhere: such a trunk is down, its call fails
        order = [self.at] + [index for index in range(len(rows)) if index != self.at]
        live = [rows[index] for index in order if self.alive[index] is not False]
        return live or [self.address]

    def secret(self, user, algorithm):
        """HA1 of what we demand of its calls, or None."""
        row = self.row
        if not row.get("incoming_user") or user != row["incoming_user"]:
            return None
        return ha1(self.agent.hash_functions[algorithm], user, self.agent.config["realm"], row["incoming_password"])

    def sends_from(self, host):
        """Whether a message from there may be this trunk's."""
        for address in self.row["addresses"]:
            if address[0] == host:
                return True
        return bool(self.row.get("is_source") and self.row["is_source"](host))

    # life

    def start(self, now_ms, restored=False):
        """Begin, or go on after a restart."""
        if self.row["kind"] == "pbx":
            if self.bulk is None:
                self._set(DOWN, "the PBX has not registered")
            else:
                self._at(self.expires_ms, "expired")
                self._asks(now_ms)
            return
        if not self.row["addresses"]:
            self._set(DOWN, self.row.get("unresolved") or "its name is being looked up")
            return
        if self.row["kind"] == "register":
            wait_ms = max(0, self.expires_ms - 30000 - now_ms) if restored and self.state == UP and self.expires_ms else 0
            self._at(now_ms + wait_ms, "register")
        elif not self.row["options_s"]:
            self._set(UP, "in use without being asked")
        if self.row["options_s"]:
            self._at(now_ms, "options")

    def _asks(self, now_ms):
        if self.row["options_s"]:
            self._at(now_ms, "options")
        else:
            self._set(UP, "registered from %s" % self.spoken(0))

    def bind(self, address, path, bulk, seconds, now_ms):
        """A PBX has registered, its password checked.  bulk: as above."""
        known = self.bulk is not None and self.row["addresses"] == [address]
        self.row = dict(self.row)
        self.row["addresses"], self.bulk, self.service_route = [address], bulk, list(path)
        self.expires_ms = now_ms + seconds * 1000
        if not known:
            self.at, self.alive, self.misses = 0, [None], [0]
            self.agent.guard.trusted = {}
        self._at(self.expires_ms, "expired")
        if not known or self.state != UP:
            self._asks(now_ms)
        self.agent.trunk_changed(self)

    def unbind(self, why, now_ms):
        """The registration of a PBX is over."""
        self.stop()
        self.row = dict(self.row)
        self.row["addresses"], self.bulk, self.service_route, self.alive, self.misses, self.at, self.expires_ms = [], None, [], [], [], 0, None
        self.agent.guard.trusted = {}
        self._set(DOWN, why)
        self.agent.trunk_changed(self)

    def readdress(self, row, now_ms, runs=True):
        """DNS has answered: other addresses, or another order.  An empty answer changes nothing that works."""
        old, new = self.row["addresses"], row["addresses"] or self.row["addresses"]
        self.row = dict(row)
        self.row["addresses"] = new
        if new == old:
            if not new and runs:
                self._set(DOWN, row.get("unresolved") or "its name is being looked up")
            return
        in_use = old[self.at] if old else None
        known = {}
        for index, address in enumerate(old):
            known[tuple(address)] = (self.alive[index], self.misses[index])
        self.alive = [known.get(tuple(address), (None, 0))[0] for address in new]
        self.misses = [known.get(tuple(address), (None, 0))[1] for address in new]
        stays = in_use in new
        self.at = new.index(in_use) if stays else 0
        self.agent.trunk_changed(self)
        if not runs:
            return
        if not old or not self.timers:
            self.start(now_ms)
            return
        if not stays:
            if self.row["kind"] == "register":
                self.registering = None
                self._at(now_ms, "register")
            elif True in self.alive:
                self._choose("its name leads elsewhere", now_ms)
        if self.row["options_s"]:
            self._at(now_ms, "options")

    def stop(self):
        """No timers any more."""
        for name in self.timers:
            self.agent.timers.cancel(self.timers[name])
        self.timers = {}
        self.registering = None

    def leave(self, now_ms):
        """The trunk goes out of the configuration: its registration is taken back (10.2.2)."""
        if self.row["kind"] == "register" and self.state == UP and self.dialog is not None:
            message = self._register(0)
            self.agent.transactions.request(message, self.address, Question(lambda answer, now: None), now_ms)
        self.stop()

    def _at(self, deadline_ms, name):
        self.agent.timers.cancel(self.timers.get(name))
        self.timers[name] = self.agent.timers.start(deadline_ms, self, name)

    def fire(self, name, now_ms):
        """A timer of the trunk."""
        self.timers.pop(name, None)
        if name == "options":
            for index in range(len(self.alive)):
                self._ask(index, now_ms)
            wait_ms = self.row["options_s"] * 1000
            if any([alive is False for alive in self.alive]) or (None in self.alive):
                wait_ms = min(wait_ms, DEAD_AGAIN_MS)
            self._at(now_ms + wait_ms, "options")
        elif name == "expired":
            self.unbind("the registration of the PBX has expired", now_ms)
        elif name == "register":
            self.tries = 0
            self._send_register(None, now_ms)
        elif name[:5] == "alive":
            index = int(name[5:])
            if index < len(self.alive):
                self.alive[index] = None
                self._choose("in use without being asked")

    def _set(self, state, why):
        changed = state != self.state
        if changed or why != self.why:
            self.state, self.why = state, why
            self.agent.trunk_changed(self)
        if changed:
            self.agent.emit({"kind": "trunk_up" if state == UP else "trunk_down", "trunk": self.name, "why": why})

    # OPTIONS

    def _ask(self, index, now_ms):
        identity = self.agent.identity
        address = self.row["addresses"][index]
        uri = "sip:" + host_port(bracketed_host(address[0]), address[1])
        dialog = Dialog(identity.call_id(), identity.tag(), "<sip:strowger@%s>" % identity.host_of(transport_of(address)),
                        "<%s>" % uri, uri)
        message = dialog.request("OPTIONS", identity, hop=address)
        message.add("Accept", SDP)
        message.add("Contact", identity.contact_of(transport_of(address)))
        question = Question(lambda answer, now: self._asked(address, answer, now))
        self.agent.count("trunk_pings")
        self.agent.timers.start(now_ms + ANSWER_MS, question, "no answer")
        self.agent.transactions.request(message, address, question, now_ms)

    def _asked(self, address, answer, now_ms):
        if address not in self.row["addresses"] or not self.timers:
            return
        index = self.row["addresses"].index(address)
        if answer is not None and answer.status not in (408, 503):
            self.misses[index] = 0
            self.heard(index, now_ms)
            return
        self.misses[index] += 1
        if answer is not None or self.misses[index] >= MISSES or self.alive[index] is None:
            self._dead(index, "%s refuses work (503)" % self.spoken(index) if answer is not None and answer.status == 503 else
                       "%s does not answer OPTIONS" % self.spoken(index), now_ms)

    def spoken(self, index):
        """An address for people."""
        address = self.row["addresses"][index]
        return "%s:%d%s" % (bracketed_host(address[0]), address[1], " (%s)" % address[2] if len(address) > 2 else "")

    def heard(self, index, now_ms):
        """An address is alive.  A registrar that was away may have forgotten us."""
        if self.row["kind"] == "register" and self.state == DOWN and self.alive[index] is False and self.registering is None:
            self.at = index
            self._at(now_ms, "register")
        if self.alive[index] is not True:
            self.alive[index] = True
            self._choose("%s answers" % self.spoken(index))
            self.agent.trunk_changed(self)

    def _dead(self, index, why, now_ms):
        if self.alive[index] is not False:
            self.alive[index] = False
            self.agent.trunk_changed(self)
        if index == self.at or self.state != UP:
            self._choose(why, now_ms)

    def _choose(self, why, now_ms=None):
        """Use the first address that is not dead.  A trunk that registers moves its registration there."""
        index = 0
        while index < len(self.alive) and self.alive[index] is False:
            index += 1
        if self.row["kind"] == "register":
            if self.alive[self.at] is False and now_ms is not None:
                if index < len(self.alive) and index != self.at:
                    self.at = index
                    self._at(now_ms, "register")
                self._set(DOWN, why)
            return
        if index == len(self.alive):
            self._set(DOWN, why)
        elif self.row["options_s"] and self.alive[index] is None:
            return                       # its first answer decides
        else:
            self.at = index
            self._set(UP, "%s is in use" % self.spoken(index))

    def unanswered(self, address, now_ms):
        """An INVITE to an address had no answer at all."""
        for index, known in enumerate(self.row["addresses"]):
            if known == address:
                self._dead(index, "%s does not answer calls" % self.spoken(index), now_ms)
                if not self.row["options_s"]:
                    self._at(now_ms + UNASKED_DEAD_MS, "alive%d" % index)

    # REGISTER

    def _register(self, seconds, authorization=None):
        identity = self.agent.identity
        address = self.address
        account = "<%s>" % user_uri(self.row["user"], self.domain)
        if self.dialog is None:
            self.dialog = Dialog(identity.call_id(), identity.tag(), account, account, "sip:" + self.domain)
        self.dialog.local = self.dialog.remote = account
        self.dialog.target = "sip:" + (self.row.get("domain") or host_port(bracketed_host(address[0]), address[1]))
        message = self.dialog.request("REGISTER", identity, hop=address)
        message.add("Contact", self._contact(address))
        message.add("Expires", "%d" % seconds)
        message.add("Supported", "path")
        if self.row.get("bulk"):
            message.add("Require", GIN)
            message.add("Proxy-Require", GIN)
        message.add("Allow", self.agent.allow)
        if authorization:
            message.add(authorization[0], authorization[1])
        return message

    def _contact(self, address):
        if self.row.get("bulk"):
            return self.agent.identity.contact_of(transport_of(address), None, ";bnc")
        return self.agent.identity.contact_of(transport_of(address), parse_uri(user_uri(self.row["user"], "x")).user)

    def _send_register(self, authorization, now_ms):
        message = self._register(max(self.row["register_s"], self.least_s), authorization)
        question = Question(lambda answer, now: self._registered(question, message, answer, now))
        self.registering = question
        self.agent.timers.start(now_ms + 2 * ANSWER_MS, question, "no answer")
        self.agent.transactions.request(message, self.address, question, now_ms)
        self.agent.trunk_changed(self)

    def _registered(self, question, request, answer, now_ms):
        if self.registering is not question:
            return
        self.registering = None
        status = 408 if answer is None else answer.status
        if status < 300:
            self.failures = 0
            self.misses[self.at] = 0
            granted_s = self._granted_s(answer)
            self.expires_ms = now_ms + granted_s * 1000
            self.service_route = parse_list(answer.all("Service-Route"), "Service-Route")[:8]
            self.alive[self.at] = True
            self.associated = _associated(answer)
            wait_s = max(LEAST_REGISTER_S, min(granted_s - 30, granted_s * 4 // 5))
            self._at(now_ms + wait_s * 1000, "register")
            self._set(UP, "registered at %s" % self.spoken(self.at))
            self.agent.trunk_changed(self)
            return
        if status in (401, 407) and self.tries < 2:
            self.tries += 1
            proxy = status == 407
            value = answer_challenge(answer.all("Proxy-Authenticate" if proxy else "WWW-Authenticate"), "REGISTER", request.uri,
                                     self.credentials, self.agent.hash_functions, hexadecimal(self.agent.random(8)))
            if value is not None:
                self._send_register(("Proxy-Authorization" if proxy else "Authorization", value), now_ms)
                return
        if status == 423 and self.tries < 2:
            self.tries += 1
            self.least_s = min(number((answer.get("Min-Expires") or "").strip(), 86400) or 0, 86400)
            self._send_register(None, now_ms)
            return
        self._not_registered(status, answer, now_ms)

    def _granted_s(self, answer):
        """Seconds of our own binding in the 200 (10.2.4)."""
        wanted = max(self.row["register_s"], self.least_s)
        ours = parse_uri(self._contact(self.address)[1:-1])
        text = answer.get("Expires")
        try:
            for contact in answer.contacts():
                if parse_uri(contact.uri).same_as(ours):
                    text = contact.parameter("expires") or text
        except RemoteError:
            pass
        granted = None if text is None else number(text.strip(), 2 ** 31)
        return max(LEAST_REGISTER_S, wanted if granted is None else granted)

    def _not_registered(self, status, answer, now_ms):
        """Another registrar where this one is dead or refuses for now; else again later."""
        reason = "does not answer REGISTER" if answer is None else "refuses our registration (%d %s)" % (
            status, display(answer.reason[:60]))
        why = "%s %s" % (self.spoken(self.at), reason)
        if status in (401, 403, 407):
            why += "; look at user and password"
        elif status == 420 and self.row.get("bulk"):
            why += "; it cannot register all numbers at once (RFC 6140), switch bulk off"
        elif status == 404:
            why += "; it does not know our user"
        expired = self.expires_ms is None or self.expires_ms <= now_ms
        wait_ms = REFUSED_AGAIN_MS
        if status in (408, 500, 502, 503, 504):
            self.alive[self.at] = False if status == 408 else self.alive[self.at]
            self.failures += 1
            count = len(self.alive)
            if self.failures % count:
                self.at = (self.at + 1) % count
                wait_ms = 0
            else:
                self.at = (self.at + 1) % count
                wait_ms = REGISTER_AGAIN_MS[min(self.failures // count, len(REGISTER_AGAIN_MS)) - 1]
        else:
            expired = True               # it knows us no more, so it sends us nothing
        self._at(now_ms + wait_ms, "register")
        if expired or status == 408:
            self._set(DOWN, why)
        self.agent.count("trunk_registrations_failed")

    # parties and persistence

    def parties(self, message):
        """What the event of an incoming call says."""
        caller, name = parties.caller_of(message, self.row)
        return {"trunk": self.name, "called": parties.called_of(message, self.row), "caller": caller["number"] or None,
                "caller_type": caller["type"], "caller_presentation": caller["presentation"], "caller_name": name,
                "redirecting": parties.redirecting_of(message, self.row), "carried": dict(parties.carried_of(message, self.row, name), **extras.of_call(message, self.row))}

    def dump(self):
        """JSON-able record."""
        return {"at": self.at, "state": self.state, "why": self.why, "alive": list(self.alive), "expires_ms": self.expires_ms,
                "addresses": [list(address) for address in self.row["addresses"]], "service_route": list(self.service_route), "bulk": self.bulk,
                "dialog": None if self.dialog is None else self.dialog.dump()}

    def load(self, record, now_ms):
        """Take over what dump() made, as far as it fits the configuration of today."""
        self.dialog = None if record["dialog"] is None else Dialog.restore(record["dialog"])
        if self.row.get("named") and not self.row["addresses"]:
            self.row = dict(self.row)                # what DNS said before, until it says more
            self.row["addresses"] = [tuple(address) for address in record["addresses"]]
            self.alive, self.misses = [None] * len(record["addresses"]), [0] * len(record["addresses"])
        if self.row["kind"] == "pbx":
            if record.get("bulk") is None or (record["expires_ms"] or 0) <= now_ms or any([len(address) > 2 for address in record["addresses"]]):
                return False                 # a connection died with the process before; the PBX opens another one and registers
            self.row = dict(self.row)
            self.row["addresses"], self.bulk = [tuple(address) for address in record["addresses"]], record["bulk"]
            self.misses = [0]
        if record["addresses"] != [list(address) for address in self.row["addresses"]]:
            return False
        if self.row["kind"] == "register" and (record["expires_ms"] or 0) <= now_ms:
            return False
        self.at, self.state, self.why, self.alive = record["at"], record["state"], record["why"], list(record["alive"])
        self.expires_ms, self.service_route = record["expires_ms"], list(record["service_route"])
        return True

    def describe(self):
        """For people: GET /v1/state."""
        return {"lookup": self.row.get("unresolved"), "trunk": self.name, "label": self.row.get("label") or self.name, "kind": self.row["kind"], "state": self.state,
                "why": self.why, "trunk_group": self.row["trunk_group"], "channels": self.row["channels"],
                "associated": list(self.associated),
                "registered_until_ms": self.expires_ms if self.row["kind"] in ("register", "pbx") and self.state == UP else None,
                "addresses": [{"address": self.spoken(index), "alive": self.alive[index], "in_use": index == self.at and self.state == UP}
                              for index in range(len(self.alive))]}


def _associated(answer):
    """The addresses that a registrar says are ours as well (RFC 7315 4.1); a header that cannot be read costs no registration."""
    try:
        return [display(one.uri)[:200] for one in parse_addresses(answer.all("P-Associated-URI"), "P-Associated-URI")[:64]]
    except RemoteError:
        return []
