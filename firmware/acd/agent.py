"""An agent: status is what the person chose, state is what the switch sees.

    status   logged_out | available | on_break (with a reason)
    state    idle | offered | talking | wrap_up

The two are independent: an agent who chooses a break while talking finishes the
call first.  Only the combination decides whether a queue may offer a call:

    ready = status available, state idle, line registered, no leg on the line

"No leg" matters: between our BYE and its answer the line still holds the old call,
and a second INVITE there would give one agent two calls.

idle_since_ms is what "longest idle" compares.  It is set when work ends (a call, a
wrap-up) or when the person becomes available, and not by an offer that the caller
or the switch took back: who was passed over without a fault keeps the place.
idle_order breaks ties, since two agents can become idle in the same millisecond.

seat is the line at which the person has logged in, None where it is the configured one.  missed
counts offers that were not taken, in a row; who rests after one is not asked until the pause is over.
"""

LOGGED_OUT = "logged_out"
AVAILABLE = "available"
ON_BREAK = "on_break"
STATUSES = (LOGGED_OUT, AVAILABLE, ON_BREAK)

IDLE = "idle"
OFFERED = "offered"
TALKING = "talking"
WRAP_UP = "wrap_up"

FIELDS = ("name", "status", "reason", "status_known", "state", "since_ms", "idle_since_ms", "idle_order", "leg", "call", "queue",
          "wrapped", "seat", "missed", "rests", "extended", "locked", "disposed", "undone")


class Agent:
    """One agent.  Plain data; only the fold over records changes it."""

    __slots__ = FIELDS

    def __init__(self, name, status=LOGGED_OUT):
        self.name = name
        self.status = status
        self.reason = None
        self.status_known = False   # a record has said so; before that it is the configuration's initial status
        self.state = IDLE
        self.since_ms = 0
        self.idle_since_ms = 0
        self.idle_order = 0
        self.leg = None             # the leg on the agent's line, until it is released
        self.call = None
        self.queue = None           # the queue that the present work came from
        self.wrapped = None         # the call that the wrap-up belongs to
        self.seat = None
        self.missed = 0
        self.rests = False
        self.locked = False         # a supervisor has set the status: the person may not change it
        self.disposed = None        # the call that the person gave a disposition of last
        self.undone = False         # the wrap-up's time is over, a disposition is missing
        self.extended = 0           # how often the present wrap-up was made longer

    def is_ready(self, registered):
        """Whether a queue may offer a call now.  registered: the agent's line is."""
        return registered and self.status == AVAILABLE and self.state == IDLE and self.leg is None and not self.rests

    def dump(self):
        """As a plain dict."""
        dumped = {}
        for name in FIELDS:
            dumped[name] = getattr(self, name)
        return dumped


def load(dumped):
    """An agent from dump()."""
    agent = Agent(dumped["name"])
    for name in FIELDS:
        if name in dumped:          # else a dump of before there was such a field
            setattr(agent, name, dumped[name])
    return agent
