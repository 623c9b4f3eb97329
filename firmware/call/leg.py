"""A leg: one party of a call, its signalling and its media.

A leg is born when the far side offers it (leg.offered) or when we create it
(leg.created), and it is gone only when its adapter says leg.released: between
our decision to end it and that word it is RELEASING and still holds its
timeslot or its line.  That is why a trunk is never seized twice, and why a
call ends after its last leg and not before.

    OFFERED --> PROCEEDING --> ALERTING --> ANSWERED      inbound: what we told the far side
    CREATED ----------------> ALERTING --> ANSWERED      outbound: what the far side told us
        any of these --> RELEASING --> gone
"""

OFFERED = "offered"
CREATED = "created"
PROCEEDING = "proceeding"
ALERTING = "alerting"
ANSWERED = "answered"
RELEASING = "releasing"

CALLER = "caller"    # the inbound party whose visit the call is
AGENT = "agent"      # an agent that a queue offers the call to
CALLEE = "callee"    # an agent, a line or a number outside that was called directly, or asked into the call
MONITOR = "monitor"  # a supervisor's telephone that listens

TRUNK_TECHS = ("pri", "ss7", "r2", "cas")      # legs on a timeslot of a span

FIELDS = ("id", "call", "role", "tech", "state", "line", "trunk_group", "span", "timeslot", "held", "rtp_lost", "away", "missing", "cause", "agent", "fax", "hears", "enhance", "heard", "streams", "cls", "t38")


class Leg:
    """One party.  Plain data; only the fold over records changes it."""

    __slots__ = FIELDS

    def __init__(self, leg, call, role, tech, state):
        self.id = leg
        self.call = call
        self.role = role
        self.tech = tech
        self.state = state
        self.line = None
        self.trunk_group = None
        self.span = None
        self.timeslot = None
        self.held = False
        self.rtp_lost = False
        self.away = None        # while a browser's page is gone: {"holds": whether the call is held for it}
        self.missing = []       # directions without sound: "in" (from the far side), "out" (to it)
        self.cause = None       # the cause that we release it with
        self.fax = []           # tones of fax machines and modems that were heard, each once
        self.t38 = None         # of a SIP leg: "on" (a fax as packets), "off" (sound again), "refused"
        self.hears = {}         # what is listened for by command
        self.enhance = {}       # what works on its sound by command, before the configuration
        self.streams = {}       # by command: {stream: {service, other}}
        self.heard = {}         # kind -> the last that was heard of it
        self.cls = None         # to the outside: class of the route that it was dialled by (outside.CLASSES)
        self.agent = None       # whose telephone it was when the leg began

    def dump(self):
        """As a plain dict."""
        dumped = {}
        for name in FIELDS:
            dumped[name] = getattr(self, name)
        dumped["fax"] = list(self.fax)
        for name in ("hears", "enhance", "heard", "streams"):
            dumped[name] = dict(dumped[name])
        return dumped


def load(dumped):
    """A leg from dump()."""
    leg = Leg(dumped["id"], dumped["call"], dumped["role"], dumped["tech"], dumped["state"])
    for name in FIELDS:
        setattr(leg, name, dumped.get(name))
    leg.fax = list(leg.fax or ())       # a dump of before there was such a field
    leg.hears, leg.enhance, leg.heard = dict(leg.hears or {}), dict(leg.enhance or {}), dict(leg.heard or {})
    leg.streams = dict(leg.streams or {})
    return leg
