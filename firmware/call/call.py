"""A call: the caller's whole visit, from the first digit to the last leg's end.

State, and who moves it on:

    collecting   digits are coming in (overlap), or the number is being looked up
    ivr          answered; the interpreter speaks and listens
    announcing   answered; hears an announcement that is switched on, before it goes on
    queued       waiting in a queue; an agent may be offered meanwhile (offer)
    ringing      an agent, a line or the outside is called directly (target_leg)
    talking      bridged with the agent, the called line or the outside
    mailbox      leaves a message, or hears those of a mailbox
    parked       waits in a numbered place for whoever fetches it
    testing      a test call: answered, chassis/test_calls.py plays and measures
    home         the box has called an agent's ordinary telephone (control/core_home.py)
    closing      the end is decided; the caller hears the goodbye or the busy tone
    clearing     every leg is released or being released; ends with the last one

    collecting -> ivr | queued | ringing -> ... -> talking -> clearing -> gone
    talking -> ringing | queued | ivr (transfer) | parked
    any -> closing -> clearing;  any -> clearing

Plain data: only the fold over records (firmware/control/core_state.py) changes it.
"""

UNRESTRICTED = "unrestricted_digital"       # bearer of a call that is data (Q.931 4.5.5), not sound

COLLECTING = "collecting"
IVR = "ivr"
ANNOUNCING = "announcing"
QUEUED = "queued"
RINGING = "ringing"
TALKING = "talking"
PARKED = "parked"
MAILBOX = "mailbox"
TESTING = "testing"
HOME = "home"
CLOSING = "closing"
CLEARING = "clearing"

# What a call remembers.  signal: {token, purpose, items, repeat} that plays to the caller, or None.
# offers: [{agent, leg}] of the agents of the queue who are offered the call, the first offered first.  position: the IVR's, kept after it was left.
# outside: {digits, ways, way, attempts, limit, tried, cause, ring_ms} of a call to the outside (control/core_outside.py).
# since_ms: since when the caller waits, over all queues that gave the call on; queue_entered_ms: in this one.
# talked: [ms, queue]: since then in conversation with agents whose telephones failed, and the queue to which the caller came back, or None.
# given: {priority?, skills?} by the flow.  skills: {skill: level} needed now; relax: [[at_ms, less], ...] still to come; hops, hops_ms: overflows in one moment.
# bridge: also before the answer, while the caller hears the called side.
# held: the caller hears music while the agent's side keeps the call.  consult: {leg, bridge, state("ringing"|"talking"|"waiting": with music), agent, to, target, join}
# of the party whom the agent asks meanwhile (join: comes into the conversation as soon as it answers).  members: further legs of a conference.
# monitors: [[leg, mode, agent]] of supervisors who listen.  place: where it is parked.  recall: the agent who gets a call back that nobody took.
# comfort: messages still to come while it waits (acd/comfort.py).
# screening: the called leg that was answered, as long as it is not known by whom.
# announcing: {name, then, to} of the announcement that the caller hears, or heard last; announced: names of all that were heard.
# tiers: [[at_ms, level], ...] of the queue that are asked later.  reserved: [agent, until_ms]: until then this agent alone is asked.
# entry_load: what was before it at the entry (control/core_ahead.py), None: somebody was ready.
# callback: id of the callback that this call is.  failed_cause: why the telephone that was called last did not answer.
# recorded_as: what a person asked for, None, "off" or {format, channels}.
# received: {number, type} of the caller as the trunk told it, where rules rewrote it (arriving.py), or None.
# carried: what it brought besides numbers (carriage.py), or None.
# duty: {name, tried, asked(leg of who shall press the key)} while a chain of persons on duty has the call.
# mailbox: {name, mode(leave|listen), step, tries, index, list?, recording?, own_path?} of voicemail.
# flow_keys: {flow: key of the version that this call has}.  variables: of its flows.  request: {token, ask} of a service or program that has the call;
# requests: how many there were.  message: recording of the caller's words that runs.  after: node at which the caller goes on when the agent has
# hung up.  last_agent: who talked last.  room: of a conference that it began.
# customer: {customer, source, key} of who calls, {} while it is asked.  seeking: {of(leg), trunk[span, timeslot], group, target, join, count, late} while a
# circuit is taken from another call, so that an agent can consult an emergency number (control/core_emergency.py).
# register: {leg, step, input} while digits of a telephone are for what its hook flash began (control/core_flash.py).
# dead_air: since when it is known that nobody speaks, or None (control/core_dead_air.py).
# secret: {agent, length, tries} while a log-in at the telephone asks for digits that are written nowhere.
FIELDS = ("id", "order", "state", "legs", "caller_leg", "caller", "caller_presentation", "called", "called_complete",
          "redirecting", "application", "target", "label", "languages", "started_ms", "answered_ms",
          "signal", "signals", "flow_key", "position",
          "queue", "queue_entered_ms", "overflow", "overdue", "offers", "waited",
          "target_leg", "failed", "agent", "agent_leg", "agent_answered_ms", "bridge", "recording",
          "closing", "result", "caller_type", "bearer", "outside", "since_ms", "priority", "given", "skills", "relax", "hops", "hops_ms",
          "held", "consult", "members", "monitors", "place", "recall", "secret", "announcing", "announced", "comfort", "duty",
          "tiers", "reserved", "entry_load", "callback", "failed_cause", "screening", "recorded_as", "carried", "mailbox",
          "flow_keys", "variables", "request", "requests", "message", "after", "last_agent", "room", "customer", "seeking", "register", "talked", "dead_air",
          "received")


class Call:
    """One caller's visit."""

    __slots__ = FIELDS

    def __init__(self, call, order):
        for name in FIELDS:
            setattr(self, name, None)
        self.id = call
        self.order = order      # number in the order of arrival: sort keys end in it
        self.state = COLLECTING
        self.legs = []
        self.offers = []
        self.called_complete = False
        self.languages = []
        self.signals = 0        # signals played so far: makes tokens
        self.overdue = False    # the longest wait passed while an agent's phone rang
        self.waited = False     # has been in a queue or has rung somebody

    @property
    def is_data(self):
        """Whether its octets are data: they go through as they are, and nothing is played, heard or recorded."""
        return self.bearer == UNRESTRICTED

    @property
    def language(self):
        """The language that the caller chose, or None."""
        return self.position["language"] if self.position else None

    @property
    def offer(self):
        """The first of the offers, or None."""
        return self.offers[0] if self.offers else None

    def offer_at(self, leg):
        """The offer whose telephone a leg is, or None."""
        for offer in self.offers:
            if offer["leg"] == leg:
                return offer
        return None

    def offer_to(self, agent):
        """The offer to an agent, or None."""
        for offer in self.offers:
            if offer["agent"] == agent:
                return offer
        return None

    @property
    def waits_since_ms(self):
        """Since when the caller waits, over all queues that gave the call on."""
        return self.queue_entered_ms if self.since_ms is None else self.since_ms

    def spoken(self):
        """Languages to speak to this caller, in order."""
        return [self.language] if self.language else self.languages

    def shown_caller(self):
        """The number that a telephone may show."""
        return self.caller if self.caller_presentation == "allowed" and self.caller else "anonymous"

    def shown_name(self):
        """The name that came with the call and may be shown, or ""."""
        return (self.carried or {}).get("caller_name", "") if self.caller_presentation == "allowed" else ""

    def dump(self):
        """As a plain dict.  Of the nested values only the legs are copied: records replace the others, never change them."""
        dumped = {}
        for name in FIELDS:
            dumped[name] = getattr(self, name)
        dumped["legs"] = list(self.legs)
        dumped["offers"] = list(self.offers)
        return dumped


def load(dumped):
    """A call from dump()."""
    call = Call(dumped["id"], dumped["order"])
    for name in FIELDS:
        value = dumped.get(name)        # None: a dump of before there was such a field
        setattr(call, name, list(value) if isinstance(value, list) else dict(value) if isinstance(value, dict) else value)
    if call.offers is None:             # likewise: there was one offer at most
        call.offers = [dict(dumped["offer"])] if dumped.get("offer") else []
    if call.flow_key is not None and call.flow_keys is None:
        call.flow_keys = {call.flow_key.split("@")[0]: call.flow_key}
    return call
