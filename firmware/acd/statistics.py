"""ACD statistics, computed from journal records and from nothing else.

Definitions (../shared/reference/numbers-and-tones.md), each a function below:

  service level   the event of a caller is the first of answer, abandon, threshold T.
                  N answered within T, A abandoned within T, O events:
                  ignore N/(O-A), negative N/O, positive (N+A)/O
  short abandon   left before the short threshold: offered and short, not abandoned, and
                  (by default) no service-level event
  abandon rate    abandoned / queued
  ASA             sum of wait of answered / answered; wait is from queue entry to answer
  AHT             (talk + hold + after-call work) / handled, booked when after-call work ends
  occupancy       handle / (handle + available); ringing counts as available
  utilization     (handle + available) / paid time

Figures are booked in buckets of `interval_ms` (a day by default) of the site's time,
each at the time of its event: an entry when the caller enters, an answer when it is
answered, a service-level event at the first of the three moments.  So a caller who
still waits after T has already made the event: figures(…, now_ms) counts it, and
nothing is counted a second time when that caller leaves.  A caller who leaves by
overflow before T has made none of the three events.  One who comes back to the queue because the agent's telephone
failed is queued, answered and handled once for it, with the handling time of all its agents.  State times are split where a
bucket ends.  The last two buckets are kept; reports use the same fold with buckets of a quarter of an hour,
whose sums are taken out (take) and stored (storage/figures.py).
"""

from firmware.acd.trunk_figures import TRUNK_COUNTS, TrunkFigures

DAY_MS = 86400000
FOREVER = 1 << 60
IGNORE = "ignore"
NEGATIVE = "negative"
POSITIVE = "positive"

QUEUE_COUNTS = ("queued", "answered", "answer_wait_ms", "abandoned", "short_abandoned", "overflowed", "failed",
                "events", "events_answered", "events_abandoned", "handled", "handle_ms", "expected", "expected_error_ms", "expected_bias_ms",
                "callbacks", "callbacks_reached")
AGENT_COUNTS = ("offered", "missed", "connected", "handled", "handle_ms", "talking_ms", "holding_ms", "wrap_up_ms", "available_ms",
                "on_break_ms", "busy_ms")


def ratio(part, whole):
    """part / whole, or None when there is nothing to divide by."""
    return part / whole if whole else None


def service_level(answered, abandoned, events, way=IGNORE):
    """N, A, O and the way abandons count -> 0..1, or None without events."""
    if way == IGNORE:
        return ratio(answered, events - abandoned)
    if way == NEGATIVE:
        return ratio(answered, events)
    return ratio(answered + abandoned, events)


def abandon_rate(abandoned, queued):
    """Abandoned / queued."""
    return ratio(abandoned, queued)


def average_speed_of_answer_ms(answer_wait_ms, answered):
    """ASA."""
    return ratio(answer_wait_ms, answered)


def average_handle_time_ms(handle_ms, handled):
    """AHT; handle_ms is talk, hold and after-call work of the handled calls."""
    return ratio(handle_ms, handled)


def occupancy(handle_ms, available_ms):
    """Handle / (handle + available)."""
    return ratio(handle_ms, handle_ms + available_ms)


def utilization(handle_ms, available_ms, paid_ms):
    """(Handle + available) / paid time (COPC's sense)."""
    return ratio(handle_ms + available_ms, paid_ms)


class Statistics:
    """Figures of queues and agents as a fold over records.

    utc_offset_ms: function(utc_ms) -> offset of the site's time; short_counts: whether short
    abandons are service-level events."""

    def __init__(self, utc_offset_ms=None, interval_ms=DAY_MS, short_counts=False, kept=2):
        self._kept = kept     # buckets of each, None: all
        self._offset = utc_offset_ms or _utc
        self._interval_ms = interval_ms
        self._short_counts = short_counts
        self._queues = {}     # queue -> {bucket: counts}
        self._agents = {}     # agent -> {bucket: counts}
        self._trunk_groups = {}
        self.trunks = TrunkFigures(self._book_trunk, self._book_trunk_time)
        self._waiting = {}    # queue -> {call: [entered_ms, threshold_ms, short_ms]}
        self._modes = {}      # agent -> {"status", "state", "mode", "since_ms", "queue", "handle_ms"}

    def bucket(self, ts_ms):
        """Number of the interval that a moment lies in."""
        return (ts_ms + self._offset(ts_ms)) // self._interval_ms

    def apply(self, record):
        """Take one record."""
        kind = record["kind"]
        if kind == "core.checkpoint":
            self.load(record["data"]["statistics"])
        elif kind == "queue.entered" and record["data"].get("callback") is None and record["data"].get("talked_ms") is None:
            data = record["data"]
            self._wait(record["queue"], record["call"], [record["ts_ms"], data["service_level_ms"], data["short_abandon_ms"], data.get("expected_ms")])
            self._count(self._queues, QUEUE_COUNTS, record["queue"], record["ts_ms"])["queued"] += 1
        elif kind == "queue.left":
            self._leave(record)
        elif kind == "callback.ended" and record["data"]["outcome"] == "reached" and record["data"].get("campaign") is None:
            counts = self._count(self._queues, QUEUE_COUNTS, record["queue"], record["ts_ms"])
            counts["callbacks_reached"] = counts.get("callbacks_reached", 0) + 1
        elif kind in _LEG_MOVES:
            self.trunks.apply(record, kind)
        elif kind in _AGENT_MOVES and record["agent"] is not None:
            self._agent(record, kind)
        elif kind in ("leg.held", "leg.retrieved", "call.held", "call.retrieved"):
            mode = self._modes.get(record["agent"])
            if mode is not None and mode["mode"] in ("talking", "holding"):
                self._move(record["agent"], mode, record["ts_ms"], "holding" if kind[-5:] == ".held" else "talking")

    def _wait(self, queue, call, waiting):
        if queue not in self._waiting:
            self._waiting[queue] = {}
        self._waiting[queue][call] = waiting

    def _leave(self, record):
        queue = record["queue"]
        waiting = self._waiting.get(queue, {}).pop(record["call"], None)
        if waiting is None:
            return
        entered_ms, threshold_ms, short_ms = waiting[:3]
        expected_ms = waiting[3] if len(waiting) > 3 else None      # a checkpoint of before has none
        ts_ms = record["ts_ms"]
        reason = record["data"]["reason"]
        wait_ms = record["data"]["wait_ms"]
        counts = self._count(self._queues, QUEUE_COUNTS, queue, ts_ms)
        short = reason == "abandoned" and wait_ms < short_ms
        if reason == "answered":
            counts["answered"] += 1
            counts["answer_wait_ms"] += wait_ms
            if expected_ms is not None:
                for name, amount in (("expected", 1), ("expected_error_ms", abs(wait_ms - expected_ms)), ("expected_bias_ms", wait_ms - expected_ms)):
                    counts[name] = counts.get(name, 0) + amount
        elif short:
            counts["short_abandoned"] += 1
        elif reason == "abandoned":
            counts["abandoned"] += 1
        elif reason == "overflow":
            counts["overflowed"] += 1
        elif reason == "callback":
            counts["callbacks"] = counts.get("callbacks", 0) + 1
        else:
            counts["failed"] += 1
        if wait_ms > threshold_ms:
            self._count(self._queues, QUEUE_COUNTS, queue, entered_ms + threshold_ms)["events"] += 1
        elif reason == "answered":
            counts["events"] += 1
            counts["events_answered"] += 1
        elif reason == "abandoned" and (not short or self._short_counts):
            counts["events"] += 1
            counts["events_abandoned"] += 1

    def _agent(self, record, kind):
        name = record["agent"]
        ts_ms = record["ts_ms"]
        mode = self._modes.get(name)
        if mode is None:
            mode = {"status": "logged_out", "state": "idle", "mode": "out", "since_ms": ts_ms, "queue": None, "handle_ms": 0}
            self._modes[name] = mode
        if kind == "agent.status":
            mode["status"] = record["data"]["status"]
        else:
            mode["state"] = _AGENT_MOVES[kind]
        if kind == "agent.offered":
            self._count(self._agents, AGENT_COUNTS, name, ts_ms)["offered"] += 1
        elif kind == "agent.offer_ended" and record["data"]["outcome"] in ("no_answer", "rejected", "failed"):
            self._count(self._agents, AGENT_COUNTS, name, ts_ms)["missed"] += 1
        elif kind == "agent.connected":
            mode["queue"], mode["again"] = record["queue"], bool(record["data"].get("again"))
            counts = self._count(self._agents, AGENT_COUNTS, name, ts_ms)
            counts["connected"] = counts.get("connected", 0) + 1        # checkpoints of before have none
        self._move(name, mode, ts_ms, _mode_of(mode))
        if kind == "agent.idle" and mode["queue"] is not None:
            for counts, handled in ((self._count(self._agents, AGENT_COUNTS, name, ts_ms), 1),
                                    (self._count(self._queues, QUEUE_COUNTS, mode["queue"], ts_ms), 0 if mode.get("again") else 1)):
                counts["handled"] += handled
                counts["handle_ms"] += mode["handle_ms"]
            mode["queue"] = None
            mode["handle_ms"] = 0

    def _move(self, name, mode, ts_ms, new_mode):
        """Book the time in the present mode, then change it."""
        if mode["mode"] in ("talking", "holding", "wrap_up") and ts_ms > mode["since_ms"]:
            mode["handle_ms"] += ts_ms - mode["since_ms"]
        self._book(name, mode, ts_ms)
        mode["mode"] = new_mode
        mode["since_ms"] = ts_ms

    def _book(self, name, mode, until_ms):
        field = mode["mode"] + "_ms"
        start_ms = mode["since_ms"]
        if field == "out_ms":
            return
        while start_ms < until_ms:
            end_ms = min(until_ms, self._bucket_end(start_ms))
            self._count(self._agents, AGENT_COUNTS, name, start_ms)[field] += end_ms - start_ms
            start_ms = end_ms

    def _bucket_end(self, ts_ms):
        offset = self._offset(ts_ms)
        end_ms = (self.bucket(ts_ms) + 1) * self._interval_ms - offset
        return end_ms if end_ms > ts_ms else ts_ms + self._interval_ms

    def _count(self, table, names, key, ts_ms):
        buckets = table.get(key)
        if buckets is None:
            buckets = table[key] = {}
        bucket = self.bucket(ts_ms)
        counts = buckets.get(bucket)
        if counts is None:
            counts = buckets[bucket] = {}
            for name in names:
                counts[name] = 0
            while self._kept is not None and len(buckets) > self._kept and min(buckets) < bucket - 1:
                del buckets[min(buckets)]
        return counts

    def _book_trunk(self, group, field, ts_ms, amount):
        self._count(self._trunk_groups, TRUNK_COUNTS, group, ts_ms)[field] += amount

    def _book_trunk_time(self, group, field, start_ms, until_ms):
        while start_ms < until_ms:
            end_ms = min(until_ms, self._bucket_end(start_ms))
            self._count(self._trunk_groups, TRUNK_COUNTS, group, start_ms)[field] += end_ms - start_ms
            start_ms = end_ms

    def take(self):
        """What was booked since the last time: {"queues"|"agents"|"trunk_groups": {name: {bucket: counts}}}; sums begin anew."""
        taken = {"queues": self._queues, "agents": self._agents, "trunk_groups": self._trunk_groups}
        self._queues, self._agents, self._trunk_groups = {}, {}, {}
        return taken

    def running(self, now_ms):
        """What would be booked if all that runs ended now, in the shape of take(): callers who wait for longer than T, the
        time in present states, trunks that are held.  Changes nothing."""
        apart = Statistics(self._offset, self._interval_ms, self._short_counts, None)
        for queue in sorted(self._waiting):
            for call in sorted(self._waiting[queue]):
                entered_ms, threshold_ms, short_ms = self._waiting[queue][call][:3]
                if entered_ms + threshold_ms < now_ms:
                    apart._count(apart._queues, QUEUE_COUNTS, queue, entered_ms + threshold_ms)["events"] += 1
        for name in sorted(self._modes):
            apart._book(name, self._modes[name], now_ms)
        for group, since_ms in self.trunks.running():
            apart._book_trunk_time(group, "seized_ms", since_ms, now_ms)
        return apart.take()

    def queue_figures(self, queue, now_ms):
        """Counts and ratios of a queue in the interval of now_ms, callers past T who still wait included."""
        figures = dict(self._queues.get(queue, {}).get(self.bucket(now_ms)) or [(name, 0) for name in QUEUE_COUNTS])
        for entered_ms, threshold_ms, short_ms in [waiting[:3] for waiting in self._waiting.get(queue, {}).values()]:
            if entered_ms + threshold_ms < now_ms and self.bucket(entered_ms + threshold_ms) == self.bucket(now_ms):
                figures["events"] += 1
        counted = figures["events_answered"], figures["events_abandoned"], figures["events"]
        figures["service_level"] = service_level(*counted)
        figures["service_level_negative"] = service_level(*counted, way=NEGATIVE)
        figures["service_level_positive"] = service_level(*counted, way=POSITIVE)
        figures["abandon_rate"] = abandon_rate(figures["abandoned"], figures["queued"])
        figures["average_speed_of_answer_ms"] = average_speed_of_answer_ms(figures["answer_wait_ms"], figures["answered"])
        figures["expected_error_average_ms"] = ratio(figures.get("expected_error_ms", 0), figures.get("expected", 0))
        figures["average_handle_time_ms"] = average_handle_time_ms(figures["handle_ms"], figures["handled"])
        return figures

    def agent_figures(self, agent, now_ms):
        """Counts and ratios of an agent in the interval of now_ms, the running state's time included."""
        figures = dict(self._agents.get(agent, {}).get(self.bucket(now_ms)) or [(name, 0) for name in AGENT_COUNTS])
        mode = self._modes.get(agent)
        if mode is not None and mode["mode"] != "out":
            start_ms = mode["since_ms"]
            while start_ms < now_ms and self.bucket(start_ms) != self.bucket(now_ms):
                start_ms = self._bucket_end(start_ms)
            figures[mode["mode"] + "_ms"] += max(0, now_ms - start_ms)
        handle_ms = figures["talking_ms"] + figures["holding_ms"] + figures["wrap_up_ms"]
        figures["occupancy"] = occupancy(handle_ms, figures["available_ms"])
        figures["average_handle_time_ms"] = average_handle_time_ms(figures["handle_ms"], figures["handled"])
        return figures

    def agent_times(self, agent, now_ms):
        """What strategies compare, in the interval of now_ms: (calls of queues taken, handle_ms, available_ms, since when the agent is
        available besides, FOREVER: is not)."""
        counts = self._agents.get(agent, {}).get(self.bucket(now_ms)) or {}
        handle_ms = counts.get("talking_ms", 0) + counts.get("holding_ms", 0) + counts.get("wrap_up_ms", 0)
        mode = self._modes.get(agent)
        start_ms = FOREVER
        if mode is not None and mode["mode"] == "available":
            start_ms = mode["since_ms"]
            while start_ms < now_ms and self.bucket(start_ms) != self.bucket(now_ms):
                start_ms = self._bucket_end(start_ms)
        return counts.get("connected", 0), handle_ms, counts.get("available_ms", 0), start_ms

    def agent_load(self, agent, now_ms):
        """(calls of queues taken, parts in a million of handle / (handle + available)) in the interval of now_ms."""
        calls, handle_ms, available_ms, since_ms = self.agent_times(agent, now_ms)
        whole_ms = handle_ms + available_ms + max(0, now_ms - since_ms)
        return calls, handle_ms * 1000000 // whole_ms if whole_ms else 0

    def dump(self):
        """As plain data with string keys, for a checkpoint."""
        return {"queues": _packed(self._queues), "agents": _packed(self._agents),
                "waiting": [[queue, call] + self._waiting[queue][call] for queue in sorted(self._waiting)
                            for call in sorted(self._waiting[queue])],
                "modes": [[name, dict(self._modes[name])] for name in sorted(self._modes)],
                "trunk_groups": _packed(self._trunk_groups), "held": self.trunks.dump()}

    def load(self, dumped):
        """Take dump() back."""
        self._queues = _unpacked(dumped["queues"])
        self._agents = _unpacked(dumped["agents"])
        self._trunk_groups = _unpacked(dumped.get("trunk_groups") or [])     # checkpoints of before have none
        self.trunks.load(dumped.get("held") or [])
        self._waiting = {}
        for row in dumped["waiting"]:
            self._wait(row[0], row[1], list(row[2:]))
        self._modes = {}
        for name, mode in dumped["modes"]:
            self._modes[name] = dict(mode)


_LEG_MOVES = ("leg.offered", "leg.created", "leg.answered", "leg.released")
# Record kinds that move an agent's state, and to which.
_AGENT_MOVES = {"agent.status": None, "agent.offered": "offered", "agent.offer_ended": "idle", "agent.busy": "busy",
                "agent.connected": "talking", "agent.wrap_up": "wrap_up", "agent.idle": "idle"}


def _mode_of(mode):
    if mode["state"] in ("talking", "wrap_up", "busy"):
        return mode["mode"] if mode["mode"] == "holding" and mode["state"] == "talking" else mode["state"]
    if mode["status"] == "available":
        return "available"
    return "on_break" if mode["status"] == "on_break" else "out"


def _utc(ts_ms):
    return 0


def _packed(table):
    rows = []
    for key in sorted(table):
        for bucket in sorted(table[key]):
            rows.append([key, bucket, dict(table[key][bucket])])
    return rows


def _unpacked(rows):
    table = {}
    for key, bucket, counts in rows:
        table.setdefault(key, {})[bucket] = dict(counts)
    return table
