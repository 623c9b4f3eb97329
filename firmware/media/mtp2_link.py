"""One SS7 signalling link of layer 2: the MTP2 machine between HDLC and the signalling socket.

What link.py's Signalling asks of a link is here answered for MTP2.  Kinds of messages:

up    mtp2_<event of proto/mtp2.py>: mtp2_in_service, mtp2_out_of_service{reason}, mtp2_message{octets},
      mtp2_remote_processor_outage, mtp2_remote_processor_recovered, mtp2_congestion{on}, mtp2_bsnt{number},
      mtp2_retrieved_message{octets}, mtp2_retrieval_complete
down  mtp2_<request of level 3>: start, stop, emergency, emergency_ceases, flush_buffers, message, retrieve_bsnt, retrieve

A control that is away is a processor that is out (Q.703 clause 8): the link stays aligned and sends SIPO from
AWAY_MS on, and the far end sends again what we threw away.  A control that is there and does not acknowledge is
congestion first (SIB, clause 9), and an outage before the far end's T6 (3 s at least) would end the link.

HDLC repeats FISU and LSSU by itself and hands up each only when it differs from the one before (dsp/hdlc.py): a
link that idles costs this thread nothing.
"""

from firmware.media.checks import number, refuse
from firmware.proto.mtp2 import MTP2Link
from firmware.proto.mtp2_table import IN_SERVICE, PARAMETERS, PROCESSOR_OUTAGE
from firmware.trace.ring import MTP2, Nothing

# Ours: messages that control has not acknowledged; link_open's up_most says another bound, and half of it is where congestion ends.  Calls bring a
# message of about 22 octets with its frame (IAM 50, ACM to RLC 15 to 20), so a link of 8000 octets a second at 0.4 Erlang, as it is planned for,
# brings 145 a second: 64, a D channel's bound, in the half second in which control begins anew, and a far end that knows no SIB (libss7) then ends
# the link by its T7; 580 in AWAY_MS, after which SIPO holds it.  1024 of the longest (272 octets) are 0.6 MB of Python a link, measured.
UP_MOST, UP_LEAST, UP_BOUND = 1024, 8, 8192
AWAY_MS = 4000                  # ours: a restart of control takes about one second
BUSY_MS = 2000                  # ours: less than the least T6 (Q.703 12.3)
ROOM_OCTETS = 160               # ours: two ticks; what waits in HDLC cannot be overtaken
QUEUE_OCTETS = 8190             # of an empty send queue of HDLC
TOP_UP_MS = 10                  # a tick
ERRORS_MOST = 64                # at once: as many as end any link (SUERM, 10.2.3)
PREFIX = "mtp2_"
DATA = ("mtp2_message", "mtp2_retrieved_message")
DOWN = tuple(PREFIX + name for name in ("start", "stop", "emergency", "emergency_ceases", "flush_buffers", "message",
                                        "retrieve_bsnt", "retrieve"))
FIELDS = {"out_of_service": "reason", "message": "octets", "retrieved_message": "octets", "congestion": "on", "bsnt": "number"}


def mtp2_parameters(p):
    """Check the parameters of link_open for kind mtp2; returns a plain dict."""
    result = {"kind": "mtp2", "span": p.get("span"), "timeslot": p.get("timeslot")}
    for name, choices in (("variant", ("itu", "china", "ansi")), ("correction", ("basic", "pcr")), ("monitor", ("suerm", "eim"))):
        result[name] = p.get(name, choices[0])
        if result[name] not in choices:
            refuse(f"link_open: {name} is {str(result[name])[:40]!r}, not one of {', '.join(choices)}")
    values = p.get("parameters") or {}
    if not isinstance(values, dict):
        refuse("link_open: parameters is no map of names to numbers")
    for name in values:
        if name not in PARAMETERS:
            refuse(f"link_open: Q.703 has no parameter {str(name)[:40]!r}")
        number(values[name], "link_open: " + name, 1, 1000000)
    result["parameters"] = values
    result["up_most"] = number(p.get("up_most", UP_MOST), "link_open: up_most", UP_LEAST, UP_BOUND)
    return result


class MTP2Layer:
    """One link.  parameters: what mtp2_parameters gave.  engine: of the tick.  now_ms: monotonic, as everywhere here."""

    kind = "mtp2"
    data_kinds = DATA
    down_kinds = DOWN

    def __init__(self, name, index, serial, parameters, engine, now_ms, trace=None):
        self.id, self.index, self.serial, self.parameters = name, index, serial, parameters
        self.machine = MTP2Link(parameters["parameters"], parameters["variant"], parameters["correction"], parameters["monitor"])
        self.up_most = parameters["up_most"]
        self.unacknowledged = self.others = self.dropped_frames = 0
        self.overflowed = self.ready = self.up = False
        self._engine, self._trace = engine, trace or Nothing()
        self._status = [None, None]     # LSSU kept last, received and sent
        self._told = None
        self._away_ms = None            # control is away since
        self._topped_ms = now_ms        # HDLC was given units last
        self._busy_ms = None            # it does not acknowledge since
        self.machine.request("power_on", now_ms)

    @property
    def queued(self):
        """Messages that the far end has not acknowledged."""
        return self.machine.queued_messages

    def control(self, present, now_ms):
        """Control came or went.  Returns events."""
        self._away_ms = None if present else now_ms
        return self._patience(now_ms)

    def _patience(self, now_ms):
        """Congestion and outage, as far as control is to blame.  Returns events."""
        machine, events = self.machine, []
        if self._busy_ms is None and self.unacknowledged >= self.up_most:
            self._busy_ms = now_ms
            events += machine.request("congestion_accept", now_ms)
        elif self._busy_ms is not None and self.unacknowledged < self.up_most // 2:
            self._busy_ms = None
            events += machine.request("no_congestion", now_ms)
        out = (self._away_ms is not None and now_ms >= self._away_ms + AWAY_MS) or (
            self._busy_ms is not None and now_ms >= self._busy_ms + BUSY_MS)
        if out != machine.local_outage:
            events += machine.request("local_processor_outage" if out else "local_processor_recovered", now_ms)
        return events

    def take(self, octets, repeats, errors, now_ms):
        """What HDLC handed up.  Returns events."""
        events = []
        if repeats:
            events += self.machine.receive_repeats(repeats, now_ms)
        if errors and self.machine.monitors_errors:
            for _ in range(min(errors, ERRORS_MOST)):
                events += self.machine.receive_error(now_ms)
        if octets:
            self._keep(octets, 0)
            events += self.machine.receive(octets, now_ms)
        return events

    def _keep(self, unit, sent):
        """Into the trace: messages, and LSSU that differ from the one before; FISU only acknowledge."""
        length = unit[2] & 63 if len(unit) > 2 else 0
        if length == 0 or (length < 3 and unit[3:] == self._status[sent]):
            return
        self._status[sent] = bytes(unit[3:]) if length < 3 else None
        self._trace.put(MTP2, self.parameters["span"] or 0, self.parameters["timeslot"] or 0, sent, bytes(unit))

    def deadline_ms(self):
        """When expire() is wanted, or None."""
        found = [self.machine.deadline_ms()]
        if self.machine.has_more:
            found.append(self._topped_ms + TOP_UP_MS)
        if not self.machine.local_outage:
            found += [since + limit for since, limit in ((self._away_ms, AWAY_MS), (self._busy_ms, BUSY_MS)) if since is not None]
        return min((at for at in found if at is not None), default=None)

    def expire(self, now_ms):
        """Timers; returns events."""
        return self.machine.expire(now_ms) + self._patience(now_ms)

    def start(self):
        """The tick runs the HDLC now; after() gives it its first unit."""

    def down(self, kind, octets, now_ms):
        """A request of level 3.  Returns events; raises LocalError."""
        return self.machine.request(kind[len(PREFIX):], now_ms, octets or None)

    def after(self, events, now_ms):
        """Units out; returns [(kind, fields)] for control."""
        events = events + self._patience(now_ms)
        if self.ready:
            self._topped_ms = now_ms
            waiting = QUEUE_OCTETS - self._engine.link_room(self.index)
            for octets in self.machine.take_output(max(0, ROOM_OCTETS - waiting)):
                self._keep(octets, 1)
                if not self._engine.put_frame(self.index, octets):
                    self.dropped_frames += 1
            told = (self.machine.monitors_errors, self.machine.attentive)
            if told != self._told:
                self._told = told
                self._engine.kernels.tell(self.index, *told)
        return [(PREFIX + event[0], {FIELDS[event[0]]: event[1]} if event[0] in FIELDS else {}) for event in events]

    @property
    def is_up(self):
        """Whether the link is aligned and carries messages, or would if no processor were out."""
        return self.machine.state in (IN_SERVICE, PROCESSOR_OUTAGE)

    def state_kind(self):
        """What to say when control may have missed changes."""
        return "mtp2_in_service" if self.is_up else "mtp2_out_of_service"

    def row(self):
        """For the audit."""
        return {"link": self.id, "kind": self.kind, "span": self.parameters["span"], "timeslot": self.parameters["timeslot"],
                "state": "up" if self.up else "down", "mtp2": self.machine.state, "unacknowledged": self.unacknowledged,
                "queued": self.queued, "dropped_frames": self.dropped_frames, "counters": dict(self.machine.counters)}
