"""The order in which messages are looked at: what belongs to calls first, new work behind it, refused early where it would wait too long.

    intake = Intake(endpoint)
    intake.take(octets, source, waited_ms, now_ms)       # each message, as soon as it is here; costs microseconds
    for octets, source, waited_ms in intake.some(now_ms): endpoint.receive(octets, source, now_ms, waited_ms, True)
    intake.waiting()                                     # how many are left: come back at once
    output = intake.refusals()                           # [(octets, destination)], to be sent at once: they are no state

New work is a request that would begin something: INVITE, REGISTER, SUBSCRIBE, OPTIONS and so on without a tag in To.
Responses, ACK, BYE, CANCEL, re-INVITE, calls to emergency numbers and what a trunk marks as urgent (Priority, RFC 3261 20.26;
Resource-Priority, RFC 4412) come first, however much new work waits.

How long new work would wait is the length of its row times what one costs, which is measured while a row stands.  What would
wait more than REFUSE_MS is refused in overload (guard.py says when that begins); CERTAIN_MS is overload at once, whatever the clock
says.  A host that stood still leaves a short row behind and is none.  A refusal leaves within REFUSED_WITHIN_MS or not at all: what waited while
nobody knew of the overload is served, late.

A request that is in the row already (the far end repeats it each half second) is dropped; a CANCEL takes its INVITE along.
"""

from firmware.proto import stun
from firmware.proto.sip.headers import parse_via
from firmware.errors import RemoteError
from firmware.proto.sip.text import text

REFUSE_MS = 100              # ours: in overload, new work that would wait longer is refused
CERTAIN_MS, CERTAIN_ROW = 450, 32    # ours: a row that would take so long, and is so long, is overload without doubt; below T1 (500 ms), so that
                             # nothing is repeated meanwhile.  Beside 150 calls a second a standstill of 0.15 s makes a row of 0.3 s that goes by itself
REFUSED_WITHIN_MS = 90       # what has waited longer when overload is noticed is served: its refusal would come too late to be one ...
SERVED_LATE_MS = 900         # ... unless it would wait for so long; ours
FIRST_GUESS_MS = 5.0         # ours: what new work costs until it is measured
LEAST_MS, MOST_MS = 0.3, 60.0    # ours: bounds of that figure; one long standstill must not move it far
SMOOTHING = 16
LEAST_ROW = 8                # ours: a row so short is let stand, whatever it is thought to cost
MOST_ROW = 4096              # ours: messages; what comes beyond is refused, or dropped
FIRST_AT_ONCE = 64           # messages of calls that share a turn, and its commit
NEW_AT_ONCE = 4              # new work in a turn: then what came meanwhile for calls that stand has its turn
OVERLOADED_AT_ONCE = (16, 2)     # both in overload: the socket is read, and refusals leave, between two turns only
TAKEN_MS = 32000             # for so long a request is repeated (timers B and F)

BEGINNINGS = (b"INVITE ", b"REGISTER ", b"OPTIONS ", b"SUBSCRIBE ", b"MESSAGE ", b"PUBLISH ", b"NOTIFY ", b"REFER ")
URGENT = (b"\npriority: emergency", b"\nresource-priority: esnet", b"\nresource-priority: ets.", b"\nresource-priority: wps.")
SOS = b"INVITE urn:service:sos"              # RFC 5031
HEAD_OCTETS = 2048           # in which those stand


def value_of(octets, name, compact):
    """The value of the first header of a name, by its octets ("To", "t"); None where it is not there.  Folded lines: not seen."""
    at = octets.find(b"\r\n" + name + b":")
    if at >= 0:
        at += len(name) + 3
    else:
        at = octets.find(b"\r\n" + compact + b":")
        if at >= 0:
            at += len(compact) + 3
        else:
            lower = octets[:HEAD_OCTETS].lower()
            for form in (name.lower(), compact):
                for end in (b":", b" "):
                    at = lower.find(b"\r\n" + form + end)
                    if at >= 0:
                        at += len(form) + 2
                        at = octets.find(b":", at) + 1
                        break
                if at > 0:
                    break
            else:
                return None
    end = octets.find(b"\r\n", at)
    return octets[at:end if end >= 0 else len(octets)]


def called_of(octets):
    """The user part of an INVITE's Request-URI, by its octets."""
    uri = octets[7:octets.find(b" ", 7)]
    uri = uri[uri.find(b":") + 1:]
    for mark in (b"@", b";", b"?"):
        at = uri.find(mark)
        if at >= 0:
            uri = uri[:at]
    return uri


def is_new_work(octets, emergency=(), trusted=False):
    """Whether a message would begin something that can wait.  emergency: numbers, as octets.  trusted: it comes from a trunk."""
    if not octets.startswith(BEGINNINGS):
        return False
    to = value_of(octets, b"To", b"t")
    if to is not None and b"tag=" in to:
        return False
    if octets.startswith(b"INVITE "):
        if octets.startswith(SOS) or (emergency and called_of(octets) in emergency):
            return False
        if trusted:
            head = octets[:HEAD_OCTETS].lower()
            for mark in URGENT:
                if mark in head:
                    return False
    return not (trusted and octets.startswith(b"OPTIONS "))      # a trunk asks whether we are there: 503 would say no


def branch_of(octets):
    """The branch of the topmost Via, by its octets; b"" where there is none."""
    via = value_of(octets, b"Via", b"v")
    at = -1 if via is None else via.find(b"branch=")
    if at < 0:
        return b""
    end = at + 7
    while end < len(via) and via[end] not in b";, \t":
        end += 1
    return via[at + 7:end]


class Intake:
    """See the top.  endpoint: its guard says who may speak at all."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.guard = endpoint.guard
        self.first = []              # [(octets, source, arrived ms)]
        self.new = []                # the same, MOST_ROW at most; a CANCEL takes its INVITE out
        self.cost_ms = FIRST_GUESS_MS
        self.since_ms = None         # when new work was taken up last, while a row was left ...
        self.taken = 0               # ... and how much of it
        self._places = {}            # (source, branch) -> entry in the row
        self._taken = ({}, {})       # the same, of what was taken out of it: within TAKEN_MS, and before
        self._turned_ms = None       # when those were exchanged last, at first when the first was taken
        self._knows_all = False      # a process before may have taken what is repeated now
        self._refusals = []

    def waiting(self):
        """How many messages wait."""
        return len(self.first) + len(self.new)

    def would_wait_ms(self):
        """How long new work that comes now would wait."""
        return len(self.new) * self.cost_ms

    def refusals(self):
        """What is to be sent at once."""
        out = self._refusals
        self._refusals = []
        return out

    def take(self, octets, source, waited_ms, now_ms):
        """A message is here.  It waits, has been refused, or is dropped."""
        guard = self.guard
        if octets[:2] == b"\x00\x01" and len(source) == 2:
            self._keep_alive(octets, source, now_ms)
            return
        if not guard.welcome(octets, source, now_ms):
            self.endpoint.count("received")
            return
        entry = (octets, source, now_ms - waited_ms)
        if not is_new_work(octets, guard.emergency, guard.is_trusted(source[0])):
            if octets.startswith(b"CANCEL ") and self._places:
                self._bring_forward(octets, source)
            if octets.startswith(b"ACK ") and guard.is_of_a_refusal(octets):
                self.endpoint.count("received")
                return
            self.first.append(entry)
            return
        key = (source, branch_of(octets))
        if key in self._places:
            self.endpoint.count("received")
            self.endpoint.count("overload_again")
            return
        wait_ms = self.would_wait_ms()
        if wait_ms > CERTAIN_MS and len(self.new) >= CERTAIN_ROW:
            guard.is_certain()
        if (guard.overloaded and wait_ms > REFUSE_MS and len(self.new) >= LEAST_ROW or len(self.new) >= MOST_ROW) and self._refuse(entry, now_ms):
            return
        if len(self.new) >= MOST_ROW:       # no answer can be made of it, or it repeats what is served
            self.endpoint.count("received")
            self.endpoint.count("overload_dropped")
            return
        self.new.append(entry)
        if key[1]:
            self._places[key] = entry

    def _keep_alive(self, octets, source, now_ms):
        """A telephone keeps its flow by STUN (RFC 5626 4.4.2): answered at once, without state, within the limits of its host."""
        self.endpoint.count("received")
        answer = stun.keep_alive_answer(octets, source) if self.guard.may_ask(source, now_ms) else None
        if answer is not None:
            self.endpoint.count("sent")
            self.endpoint.count("stun_keep_alives")
            self._refusals.append((answer, source))

    def _refuse(self, entry, now_ms):
        """Whether it was refused: what repeats a request that is being served is not, nor what has waited too long for it."""
        octets, source, arrived_ms = entry
        if now_ms - arrived_ms > REFUSED_WITHIN_MS and self.would_wait_ms() < SERVED_LATE_MS:
            return False
        key = (source, branch_of(octets))
        if (not key[1] or not self._knows_all or key in self._taken[0] or key in self._taken[1]) and self._is_served(octets):
            return False
        answer = self.guard.refusal(octets, source, now_ms)
        if answer is None:
            return False
        self.endpoint.count("received")
        self.endpoint.count("sent")
        self._refusals.append((answer, source))
        return True

    def _is_served(self, octets):
        via = value_of(octets, b"Via", b"v")
        try:
            via = parse_via(text(via).split(",")[0].strip())
        except (RemoteError, TypeError, AttributeError):
            return False
        method = text(octets[:octets.find(b" ")])
        return (via.parameter("branch") or "", via.host, via.port or 5060, method) in self.endpoint.transactions.servers

    def _bring_forward(self, octets, source):
        """The INVITE of a CANCEL leaves the row, to be there before it."""
        key = (source, branch_of(octets))
        entry = self._places.pop(key, None)
        if entry is not None:
            self.new.remove(entry)
            self.first.append(entry)
            self._taken[0][key] = True

    def _trim(self, now_ms):
        """Overload has begun: what would wait too long is refused, the last first."""
        keep = max(LEAST_ROW, int(REFUSE_MS / self.cost_ms))
        row, self.new = self.new[keep:], self.new[:keep]
        for entry in row:
            if self._refuse(entry, now_ms):
                self._places.pop((entry[1], branch_of(entry[0])), None)
            else:
                self.new.append(entry)

    def some(self, now_ms):
        """What is looked at next: [(octets, source, waited_ms)]."""
        first_at_once, new_at_once = OVERLOADED_AT_ONCE if self.guard.overloaded else (FIRST_AT_ONCE, NEW_AT_ONCE)
        out = self.first[:first_at_once]
        self.first = self.first[len(out):]
        if self.guard.overloaded and self.would_wait_ms() > 2 * REFUSE_MS:
            self._trim(now_ms)
        if self.since_ms is not None:
            if self.taken:
                each_ms = min(MOST_MS, max(LEAST_MS, (now_ms - self.since_ms) / self.taken))
                self.cost_ms += (each_ms - self.cost_ms) / SMOOTHING
                self.since_ms, self.taken = now_ms, 0
        if self.new and not self.first:
            taken = self.new[:new_at_once]
            self.new = self.new[len(taken):]
            if self._turned_ms is None:
                self._turned_ms = now_ms
            elif now_ms - self._turned_ms > TAKEN_MS:
                self._taken, self._turned_ms, self._knows_all = ({}, self._taken[0]), now_ms, True
            for entry in taken:
                key = (entry[1], branch_of(entry[0]))
                self._places.pop(key, None)
                self._taken[0][key] = True
            out = out + taken
            self.since_ms, self.taken = (now_ms, len(taken)) if self.new else (None, 0)
            if not self.new:
                self._places = {}
        return [(octets, source, max(0, now_ms - arrived_ms)) for octets, source, arrived_ms in out]
