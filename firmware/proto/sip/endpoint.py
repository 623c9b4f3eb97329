"""One SIP user agent with its registrar: everything control needs of SIP.

Sans-I/O and portable: octets and the time come in as parameters, octets go out
through take_output().  receive(), request() and expire() never raise for what
the far end did; request() raises LocalError when our own caller asks for
something that cannot be (unknown leg, wrong state, missing field).

    endpoint = SIPEndpoint(config, random, hash_functions, new_leg)
    endpoint = SIPEndpoint.restore(dump, config, random, hash_functions, new_leg, now_ms)
    events   = endpoint.receive(octets, (host, port), now_ms)
    events   = endpoint.request({"kind": ..., "leg": ...}, now_ms)
    events   = endpoint.expire(now_ms)           # when deadline_ms() has come
    changes  = endpoint.take_changes()           # persist these FIRST ...
    output   = endpoint.take_output()            # ... then send [(octets, (host, port))]

config: {"address": own IP address in Via and Contact, "port": own UDP port,
  "realm": digest realm, "lines": {name: password, or {"MD5": HA1, "SHA-256": HA1} in hex},
  optional: "user_agent", "digest_algorithms" (order of the challenges), "digest_max_age_ms",
  "register_min_s", "register_default_s", "register_max_s", "contacts_per_line", "max_legs",
  "max_message_octets", "credentials": {realm: [user, password]} for challenges put to us,
  "trunks": [rows as in trunks.py], "ports": {transport: port of ours where it is not "port"},
  "qualify_s" (contacts are asked by OPTIONS this often, 0: never; qualify.py), "t1_ms", "t2_ms", "t4_ms"}.  DEFAULTS below holds every default with its reason.
random(n): n random octets (os.urandom).  hash_functions: {"MD5": f, "SHA-256": f}, f(octets) ->
digest octets.  new_leg(): a leg id for an incoming INVITE (ids.next("l")); never repeats.
now_ms: one clock for everything, UTC milliseconds, so that restored bindings expire rightly.

Primitives (request); sdp is bytes.  Every leg primitive needs "leg".
  invite_request   {leg, line | uri, sdp, sdp_web?, caller, caller_name?, destination?, auto_answer?, referred_by?, waiting?}  calls every contact of a
                   line at once (first answer wins; sdp_web: the offer to those on WebSockets), or one uri; the host of uri must be an IP
                   address unless destination [host, port] is given.  Over a trunk instead:
                   {leg, trunk, called: party, sdp, caller: party | None, caller_name?, redirecting: party | None}
  alerting_request {leg, sdp?, waiting?}   180 to an incoming INVITE (183 with status: 183); waiting, there and here: who is called talks (RFC 7462)
  answer_request   {leg, sdp}         200 to an incoming INVITE
  reject_request   {leg, status?, cause?}   final error; each is derived from the other when missing
  release_request  {leg, cause?}      ends a leg in whatever state: CANCEL, BYE or reject as fits;
                   the Reason header carries the Q.850 cause.  bye_request and cancel_request are
                   other names of it.  Returns the released event (by "near") at once; the rest
                   (late 200: ACK and BYE) is done here.  cause 26: CANCEL says "answered elsewhere"
  reinvite_response {leg, sdp} | {leg, status}   answers a reinvite event
  reinvite_request {leg, sdp}         our own re-INVITE (hold, new media address)
  refer_outcome {leg, status}         how a refer event ended (referring.py)
  info_request {leg, digit, duration_ms?}   tells the far end of a digit by INFO (info.py)
  probe_request {leg, until_ms?}      OPTIONS in the dialog; released{by "failure"} where nobody has it any more, or nobody answers at until_ms or later

Events (plain dicts, "kind" first):
  line_registered   {line, contacts: [{uri, source, expires_ms, user_agent}]}  contact set is new
                    or changed (not on a mere refresh)
  line_unregistered {line, contacts: [], left}    the last contact went (left: by its own word), expired or gives no answer (is_silent(line))
  invite_indication {leg, line, called, caller, caller_name, sdp | None}  from a registered line,
                    digest checked (joins or replaces: the leg that it names, joining.py; carried: {referred_by} where it names one;
                    caller_presentation "restricted": it withholds its number), or from a trunk: line None, and trunk, caller_type,
                    caller_presentation, redirecting, carried; 100 Trying is already out.  sdp None: answer_request carries
                    the offer and the far end's answer comes as sdp_answer
  trunk_up, trunk_down {trunk, why}    a SIP trunk can carry calls, or cannot (trunks.py)
  refresh           {leg}                      a re-INVITE with the session as it is is wanted (session_timer.py)
  alerting          {leg, status: 180..199, sdp | None}
  answered          {leg, sdp}                 the ACK is out
  rejected          {leg, status, cause, text, contacts}  an outgoing leg ended before its answer; cause is
                    the Q.850 Reason of the far end, else mapped (causes.py); contacts of a 3xx
  released          {leg, cause, by: "far" | "near" | "failure", sip_status?}
  reinvite          {leg, sdp | None, host?}   owes a reinvite_response; host: who sent an INVITE that replaces the leg's dialog, or what rings
  taken             {leg}                      by the reinvite_response, another telephone of the line has answered what rang
  flow_lost, flow_back {leg}                   the connection that a telephone's call stands over is gone; the same telephone has one again
  reinvited         {leg, sdp}                 our re-INVITE was accepted
  reinvite_failed   {leg, status}              ... was refused; the session is as it was
  sdp_answer        {leg, sdp}                 answer that came in an ACK
  refer             {leg, called, other, by}   a telephone wants its call transferred: to a number, or to the party of
                    leg "other"; by: whom it says (Referred-By), else its line; owes a refer_outcome
  dtmf              {leg, digit, duration_ms}  INFO with a digit, or a hook flash: "!" (info.py)
Exactly one of rejected, released ends a leg; afterwards its id is unknown here.

Persistence: dump() -> {key: JSON-able dict}; keys "leg/<leg>", "line/<name>", "trunk/<name>",
"subscription/<number>" and "publication/<line>".
take_changes() -> {key: dict, or None for removed} since the last call: store them in one row each,
in the same transaction as the journal.  restore(dump, ...) rebuilds; then resume(now_ms) -> events:
confirmed and incoming legs live on, a pending outgoing INVITE is cancelled (released, by
"failure", cause 41), an unfinished BYE is sent again.  live_legs() -> [{leg, direction
"in" | "out", state "calling" | "alerting" | "accepted" | "confirmed", line}].

set_lines(lines, now_ms) -> events: new table of lines, bindings of removed ones go.
contacts(line) -> list as in line_registered.  counters: {name: number} of faults, dropped messages,
retransmissions; take_faults() -> [(name, sentence, source)], the first of each name and source.

Its parts: what comes in (requests.py), connections (flows.py), the tables of trunks, lines and dialogs (trunk_table.py, line_table.py,
dialog_table.py), what is stored (persistence.py).
Addresses are (host, port) for UDP and (host, port, transport) else: transport.py.
Sources: RFC 3261, 3264, 3326, 3581, 6026, 7616, 8760.
"""

from firmware.errors import LocalError, RemoteError
from firmware.proto.sip.dialog import Identity
from firmware.proto.sip.dialog_table import DialogTable
from firmware.proto.sip.digest import DigestServer
from firmware.proto.sip.flows import Flows
from firmware.proto.sip.guard import Guard
from firmware.proto.sip.line_table import LineTable
from firmware.proto.sip.message import MAX_MESSAGE_OCTETS
from firmware.proto.sip.outgoing import OutgoingSession
from firmware.proto.sip.persistence import Persistence
from firmware.proto.sip.publications import Publications
from firmware.proto.sip.qualify import Qualifier
from firmware.proto.sip.registrar import Registrar
from firmware.proto.sip.requests import Requests
from firmware.proto.sip.session import ENDED
from firmware.proto.sip.subscriptions import Subscriptions
from firmware.proto.sip.transport import destination_of
from firmware.proto.sip.timers import T1_MS, T2_MS, T4_MS, TimerQueue, durations_ms
from firmware.proto.sip.transaction import NOBODY, TransactionLayer
from firmware.proto.sip.trunk_calls import TrunkSession
from firmware.proto.sip.trunk_table import TrunkTable
from firmware.proto.sip.trunks import Trunk
from firmware.proto.sip.uri import parse_uri

DEFAULTS = {
    "user_agent": "Strowger",
    # RFC 8760 wants SHA-256 offered first; telephones in the field (libre up to 1.x among them) give up
    # at a challenge of an algorithm they do not know, in any order, so an installer asks for it
    "digest_algorithms": ("MD5",),
    "digest_max_age_ms": 300000,        # ours: a telephone registers every few minutes at most
    "register_min_s": 60, "register_default_s": 600, "register_max_s": 3600,     # ours
    "contacts_per_line": 8,             # ours
    "max_legs": 4096,                   # 1,920 trunk circuits and 2,000 lines
    "max_transactions": 65536,          # 64 s of 1,000 requests a second
    "max_message_octets": MAX_MESSAGE_OCTETS,
    "credentials": {},
    "guard": {"source_rate": 0, "wrong_passwords": 0, "ban_s": 600},     # guard.py
    "emergency": (),                    # numbers that are called in overload too
    "trunks": (), "ports": None,
    "qualify_s": 0,
    "publish": True,                    # telephones may say how they are: publications.py
    "t1_ms": T1_MS, "t2_ms": T2_MS, "t4_ms": T4_MS,
}
_RELEASES = ("release_request", "bye_request", "cancel_request")
_FIELDS = {                             # what a primitive must bring besides its leg
    "invite_request": ("sdp",), "answer_request": ("sdp",), "reinvite_request": ("sdp",), "alerting_request": (),
    "reject_request": (), "release_request": (), "reinvite_response": (), "probe_request": (), "refer_outcome": ("status",),
    "info_request": ("digit",),
}


class SIPEndpoint(Requests, Flows, TrunkTable, LineTable, DialogTable, Persistence):
    """See the top of this module."""

    def __init__(self, config, random, hash_functions, new_leg):
        self.config = dict(DEFAULTS)
        self.config.update(config)
        config = self.config
        Requests.__init__(self, hash_functions, random)
        self.new_leg = new_leg
        self.credentials = config["credentials"]
        self.identity = Identity(config["address"], config["port"], config["user_agent"], random, config["ports"])
        self.durations = durations_ms(config["t1_ms"], config["t2_ms"], config["t4_ms"])
        self.timers = TimerQueue()
        self.transactions = TransactionLayer(self.send, self.timers, self.durations, self.count)
        self.digest = DigestServer(config["realm"], config["digest_algorithms"], hash_functions, random,
                                   config["digest_max_age_ms"])
        self.registrar = Registrar(config)
        self.guard = Guard(self, config["guard"])
        self.guard.emergency = tuple([number.encode() for number in config["emergency"]])
        self.qualifier = Qualifier(self, config["qualify_s"] * 1000)
        self.sessions = {}
        DialogTable.__init__(self)
        Flows.__init__(self)
        Persistence.__init__(self)
        self.subscriptions = Subscriptions(self)
        self.publications = Publications(self)
        self.publications.enabled = config["publish"]
        self.nobody = NOBODY
        self.trunks = {}
        self.standing = {}               # legs that have not ended: True; those that have stay in sessions while an INVITE may bring a 2xx once more
        self.trunk_legs = {}             # trunk -> the same of its legs
        for row in config["trunks"]:
            self.trunks[row["name"]] = Trunk(self, row)
        self._trunks_run = False
        LineTable.__init__(self, config.get("lines") or {})

    # surface

    def receive(self, octets, source, now_ms, waited_ms=0, welcome=False):
        """One message from source (transport.py).  waited_ms: how long it lay here unread.  welcome: it came by the
        intake (intake.py), which has looked at its sender.  Returns events; never raises."""
        self.count("received")
        try:
            if self.guard.admit(octets, source, waited_ms, now_ms, welcome):
                self._receive(octets, source, now_ms)
        except RemoteError as error:
            self.fault("dropped", str(error), source)
        except Exception as error:       # a fault of ours must cost one message, not the service
            self.fault("internal_error", "%s: %s" % (type(error).__name__, error), source)
        return self._take_events()

    def request(self, primitive, now_ms):
        """One primitive of control.  Returns events.  Raises LocalError."""
        kind = primitive.get("kind")
        leg = primitive.get("leg")
        if kind in _RELEASES:
            primitive = dict(primitive)
            primitive["kind"] = kind = "release_request"
        if kind not in _FIELDS or not leg:
            raise LocalError("SIP primitive %r is not known or names no leg" % (kind,))
        for name in _FIELDS[kind]:
            if not primitive.get(name):
                raise LocalError("leg %s: %s lacks %s" % (leg, kind, name))
        if kind == "invite_request":
            self._invite(primitive, now_ms)
        else:
            session = self.sessions.get(leg)
            if session is None or session.state == ENDED:
                if kind != "release_request":
                    raise LocalError("leg %s: %s for a leg that is not there" % (leg, kind))
            else:
                session.primitive(primitive, now_ms)
        return self._take_events()

    def expire(self, now_ms):
        """Let all timers that are due take effect.  Returns events; never raises."""
        while True:
            try:
                self.timers.fire(now_ms)
                break
            except Exception as error:   # the timer that failed has left the queue; the rest goes on
                self.fault("internal_error", "timer: %s: %s" % (type(error).__name__, error), None)
        return self._take_events()

    def deadline_ms(self):
        """When expire is to be called next, or None."""
        return self.timers.deadline_ms()

    def take_output(self):
        """Datagrams to send since the last call: [(octets, (host, port))]."""
        output = self._output
        self._output = []
        return output

    def take_faults(self):
        """[(name, sentence, source)] since the last call, each name and source host once."""
        faults = self._faults
        self._faults = []
        return faults

    def live_legs(self):
        """[{leg, direction, state, line}] of the legs that control may still use."""
        out = []
        for leg in sorted(self.sessions):
            session = self.sessions[leg]
            if session.state != ENDED:
                out.append({"leg": leg, "direction": session.direction, "state": session.state,
                            "line": session.line})
        return out

    def set_qualify(self, seconds, now_ms):
        """Ask contacts at another interval."""
        self.qualifier.set_interval(seconds * 1000, now_ms)

    def set_publish(self, enabled):
        """Whether telephones may say how they are; what they have said stands until it expires."""
        self.publications.enabled = enabled

    def set_guard(self, settings, emergency):
        """New limits; numbers that are called in overload too."""
        self.guard.settings = settings
        self.guard.emergency = tuple([number.encode() for number in emergency])

    # what sessions use

    def touch(self, session):
        """A session changed: its record is to be stored; a finished one goes."""
        self._note_standing(session)
        if self.sessions.get(session.leg) is not session:
            return
        self._changed["leg/" + session.leg] = True
        if session.is_finished():
            del self.sessions[session.leg]
            self._forget_dialogs_of(session.leg)

    def _note_standing(self, session):
        """Count a leg, in all and of its trunk, until it ends."""
        stands = session.state != ENDED and self.sessions.get(session.leg) is session
        of_trunk = self.standing if session.trunk is None else self.trunk_legs.setdefault(session.trunk, {})
        for legs in (self.standing, of_trunk):
            if stands:
                legs[session.leg] = True
            else:
                legs.pop(session.leg, None)

    def unanswered(self, line, uri, now_ms, way=None):
        """An INVITE to a contact ran out (timer B) without a response."""
        self.qualifier.silent(line, uri, now_ms - self.durations["B"][0], way)

    # inside

    def _take_events(self):
        events = self._events
        self._events = []
        return events

    def _invite(self, primitive, now_ms):
        leg = primitive["leg"]
        if leg in self.sessions:
            raise LocalError("leg %s is there already; every leg id is used once" % leg)
        line = primitive.get("line")
        if primitive.get("trunk") is not None:
            trunk = self.trunks.get(primitive["trunk"])
            if trunk is None:
                raise LocalError("leg %s: there is no SIP trunk %r" % (leg, primitive["trunk"]))
            session = TrunkSession(self, leg, trunk)
            self.sessions[leg] = session
            session.start(primitive, trunk, now_ms)
            self.touch(session)
            return
        if line is not None:
            telephones = self.registrar.telephones(line)
        else:
            uri = primitive.get("uri")
            if not uri:
                raise LocalError("leg %s: invite_request lacks line or uri" % leg)
            try:
                destination = primitive.get("destination") or destination_of(parse_uri(uri))
                parse_uri(uri)
            except RemoteError as error:
                raise LocalError("leg %s: invite_request: %s" % (leg, error))
            telephones = [[(uri, tuple(destination), primitive.get("destination") is not None, [])]]
        if not telephones:
            self.emit({"kind": "rejected", "leg": leg, "status": 480, "cause": 20,
                       "text": "the line is not registered", "contacts": []})
            return
        session = OutgoingSession(self, leg, line)
        self.sessions[leg] = session
        session.start(primitive, telephones, now_ms)
        self.touch(session)
