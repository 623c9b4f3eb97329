"""SIP trunks: which address of the far end is alive, registration there, whose calls are whose.

A trunk has one or more addresses in order of choice.  Each is asked by OPTIONS every options_s (RFC 3261 11); two questions
without any answer, or a 503, make it dead, one answer makes it alive.  The trunk uses the first that is alive,
and goes back to it when it comes back.  A trunk that registers (10.2) is up while its registration stands; a registrar
that does not answer or refuses for now is replaced by the next address.  A peer that is never asked counts as there;
an INVITE without any answer makes that address dead for UNASKED_DEAD_MS.

A trunk that keeps flows registers over each address at once: trunk_flows.py.

A PBX that registers here for its numbers (kind "pbx", bulk.py) has the address of its registration, and none without one.

A far end with a name ("named") has the addresses that DNS says (links/sip_names.py): none before the first answer; they may change while
the trunk runs (readdress()), and those that stay keep their state.

A trunk: row, the configuration's (config/sip_trunk.py) with addresses as [(host, port) or (host, port, transport)] and
"is_source": function(host) -> whether its calls may come from there.  state: "up" or "down"; why: a sentence.
"""

from firmware.proto.sip import extras, parties
from firmware.proto.sip.dialog import Dialog
from firmware.proto.sip.digest import ha1
from firmware.proto.sip.referring import referrer_of
from firmware.proto.sip.session import SDP
from firmware.proto.sip.transport import transport_of
from firmware.proto.sip.trunk_flows import REFUSED, TrunkFlows
from firmware.proto.sip.trunk_registration import Question, Registration
from firmware.proto.sip.uri import bracketed_host, host_port

UP, DOWN = "up", "down"
ANSWER_MS = 3000                 # ours: an OPTIONS without an answer for so long counts as unanswered (timer F: 32 s)
DEAD_AGAIN_MS = 5000             # ours: a dead address is asked this often
MISSES = 2                       # ours: unanswered questions that make an address dead
UNASKED_DEAD_MS = 30000          # ours
REGISTER_AGAIN_MS = (5000, 15000, 30000, 60000)     # ours: pauses after all registrars failed, the last one for ever
REFUSED_AGAIN_MS = 60000         # ours: after a refusal that another try will hardly change
NOWHERE = ("0.0.0.0", 5060)      # of a name that DNS has not answered yet: such a trunk is down


class Trunk(TrunkFlows):
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
        self.registration = Registration(self)       # ours, or what stands for that of a PBX
        self.failures = 0
        self.bulk = None             # registration of a PBX: {"call_id", "cseq", "target"}
        self.timers = {}
        self.instance = _uuid(agent.random(16))      # RFC 5626 4.1
        self._begin_flows()

    def _begin_flows(self):
        """One for each address, where the trunk keeps flows."""
        wanted = self.row["kind"] == "register" and self.row.get("flows")
        self.flows = [Registration(self, place) for place in range(len(self.row["addresses"]))] if wanted else []

    # what calls use

    @property
    def expires_ms(self):
        """When the registration ends, or None."""
        return max([flow.expires_ms or 0 for flow in self.standing]) if self.standing else self.registration.expires_ms

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
        if self.standing:
            return [flow.address for flow in self.standing]
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
                self._at(self.registration.expires_ms, "expired")
                self._asks(now_ms)
            return
        if not self.row["addresses"]:
            self._set(DOWN, self.row.get("unresolved") or "its name is being looked up")
            return
        if self.row["kind"] == "register":
            wait_ms = max(0, self.expires_ms - 30000 - now_ms) if restored and self.state == UP and self.expires_ms and not self.flows else 0
            for registration in self.flows or [self.registration]:
                self._at(now_ms + wait_ms, registration.timer)      # connections of flows have died with the process before
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
        self.row["addresses"], self.bulk, self.registration.service_route = [address], bulk, list(path)
        self.registration.expires_ms = now_ms + seconds * 1000
        if not known:
            self.at, self.alive, self.misses = 0, [None], [0]
            self.agent.guard.trusted = {}
        self._at(self.registration.expires_ms, "expired")
        if not known or self.state != UP:
            self._asks(now_ms)
        self.agent.trunk_changed(self)

    def unbind(self, why, now_ms):
        """The registration of a PBX is over."""
        self.stop()
        self.row = dict(self.row)
        self.row["addresses"], self.bulk, self.alive, self.misses, self.at = [], None, [], [], 0
        self.registration = Registration(self)
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
        if self.flows or self.row.get("flows"):
            self.stop()
            self._begin_flows()
        if not runs:
            return
        if not old or not self.timers:
            self.start(now_ms)
            return
        if not stays:
            if self.row["kind"] == "register":
                self.registration.waiting = None
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
        for registration in [self.registration] + self.flows:
            registration.waiting = None

    def leave(self, now_ms):
        """The trunk goes out of the configuration: its registration is taken back (10.2.2)."""
        if self.row["kind"] == "register" and self.state == UP:
            for registration in self.standing or [self.registration]:
                registration.leave(now_ms)
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
        elif name[:8] == "register":
            (self.flows[int(name[8:])] if name[8:] else self.registration).begin(now_ms)
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
        if self.flows and self.alive[index] is False:
            self.flow_heard(self.flows[index], now_ms)
        elif self.row["kind"] == "register" and self.state == DOWN and self.alive[index] is False and self.registration.waiting is None:
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
        if self.flows:
            self.flow_lost(index, why, now_ms)
        elif index == self.at or self.state != UP:
            self._choose(why, now_ms)

    def _choose(self, why, now_ms=None):
        """Use the first address that is not dead.  A trunk that registers moves its registration there."""
        if self.flows:
            return                       # each for itself
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

    def registered(self, registration, answer, now_ms):
        """A registration stands."""
        if self.flows:
            self.flow_up(registration, answer, now_ms)
            return
        self.failures = 0
        self.misses[self.at] = 0
        self.alive[self.at] = True
        self._at(registration.refresh_at_ms(now_ms), registration.timer)
        self._set(UP, "registered at %s" % self.spoken(self.at))
        self.agent.trunk_changed(self)

    def not_registered(self, registration, status, answer, now_ms):
        """Another registrar where this one is dead or refuses for now; else again later."""
        why, expired, wait_ms = registration.why_not(status, answer), registration.expires_ms is None or registration.expires_ms <= now_ms, REFUSED_AGAIN_MS
        self.agent.count("trunk_registrations_failed")
        if self.flows:
            self.flow_lost(registration.place, why, now_ms, status in REFUSED)
            return
        if status in (408, 500, 502, 503, 504):
            self.alive[self.at] = False if status == 408 else self.alive[self.at]
            self.failures += 1
            count = len(self.alive)
            wait_ms = 0 if self.failures % count else REGISTER_AGAIN_MS[min(self.failures // count, len(REGISTER_AGAIN_MS)) - 1]
            self.at = (self.at + 1) % count
        else:
            expired = True               # it knows us no more, so it sends us nothing
        self._at(now_ms + wait_ms, registration.timer)
        if expired or status == 408:
            self._set(DOWN, why)

    # parties and persistence

    def parties(self, message):
        """What the event of an incoming call says."""
        caller, name = parties.caller_of(message, self.row)
        return {"trunk": self.name, "called": parties.called_of(message, self.row), "caller": caller["number"] or None,
                "caller_type": caller["type"], "caller_presentation": caller["presentation"], "caller_name": name,
                "redirecting": parties.redirecting_of(message, self.row), "carried": dict(parties.carried_of(message, self.row, name), referred_by=referrer_of(message) if self.row.get("trusted") else None,
                                **extras.of_call(message, self.row))}

    def dump(self):
        """JSON-able record."""
        return dict(self.registration.dump(), at=self.at, state=self.state, why=self.why, alive=list(self.alive), bulk=self.bulk, instance=self.instance,
                    addresses=[list(address) for address in self.row["addresses"]], flows=[dict(flow.dump(), up_ms=flow.up_ms) for flow in self.flows])

    def load(self, record, now_ms):
        """Take over what dump() made, as far as it fits the configuration of today."""
        self.registration.load(dict(record, expires_ms=None, service_route=()))
        self.instance = record.get("instance") or self.instance
        if self.row.get("named") and not self.row["addresses"]:
            self.row = dict(self.row)                # what DNS said before, until it says more
            self.row["addresses"] = [tuple(address) for address in record["addresses"]]
            self.alive, self.misses = [None] * len(record["addresses"]), [0] * len(record["addresses"])
            self._begin_flows()
        if self.row["kind"] == "pbx":
            if record.get("bulk") is None or (record["expires_ms"] or 0) <= now_ms or any([len(address) > 2 for address in record["addresses"]]):
                return False                 # a connection died with the process before; the PBX opens another one and registers
            self.row = dict(self.row)
            self.row["addresses"], self.bulk = [tuple(address) for address in record["addresses"]], record["bulk"]
            self.misses = [0]
        if record["addresses"] != [list(address) for address in self.row["addresses"]]:
            return False
        for flow, kept in zip(self.flows, record.get("flows") or ()):
            flow.load(kept)
            flow.up_ms = kept["up_ms"] if (flow.expires_ms or 0) > now_ms else None
        if self.row["kind"] == "register" and not self.standing and (self.flows or (record["expires_ms"] or 0) <= now_ms):
            return False
        self.at, self.state, self.why, self.alive = record["at"], record["state"], record["why"], list(record["alive"])
        self.registration.load(record)
        return True

    def describe(self):
        """For people: GET /v1/state."""
        return {"lookup": self.row.get("unresolved"), "trunk": self.name, "label": self.row.get("label") or self.name, "kind": self.row["kind"], "state": self.state,
                "why": self.why, "trunk_group": self.row["trunk_group"], "channels": self.row["channels"],
                "associated": list((self.standing or [self.registration])[0].associated),
                "registered_until_ms": self.expires_ms if self.row["kind"] in ("register", "pbx") and self.state == UP else None,
                "addresses": [{"address": self.spoken(index), "alive": self.alive[index], "in_use": self._in_use(index)}
                              for index in range(len(self.alive))]}

    def _in_use(self, index):
        return self.flows[index].up_ms is not None if self.flows else index == self.at and self.state == UP


def _uuid(octets):
    """A random UUID (RFC 9562 5.4) as a URN."""
    text = "".join(["%02x" % octet for octet in octets])
    return "urn:uuid:%s-%s-4%s-%x%s-%s" % (text[:8], text[8:12], text[13:16], 8 + octets[8] % 4, text[17:20], text[20:32])
