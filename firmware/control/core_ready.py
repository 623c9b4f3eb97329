"""Who is ready, for each queue: kept from record to record, so that a decision need not look at a thousand agents.

The index is no state: it is made of the state, and of the configuration, when it is asked for.  A record marks the
agents that it may have changed (its agent, and those of its leg's or its own line); the next question looks at these
again.  What is not emitted here (a replay, a new configuration) marks all.

    ready.of(queue) -> {agent: Candidate}       of the ready members; do not change it
"""

from firmware.acd.strategy import Candidate


class Ready:
    """core: the Core."""

    def __init__(self, core):
        self._core = core
        self._marked = set()
        self._all = True
        self._queues = {}
        self._day = None

    def mark_all(self):
        """Everything may be different."""
        self._all = True

    def mark(self, record, line):
        """A record was applied.  line: of its leg, as it was before or after, or None."""
        if record["agent"] is not None:
            self._marked.add(record["agent"])
        line = record["data"].get("line") or line
        if isinstance(line, str):
            core = self._core
            for name in (core.agent_of_line.get(line), core.state.seats.get(line)):
                if name is not None:
                    self._marked.add(name)

    def of(self, queue):
        """The ready members of a queue, {agent: Candidate}."""
        if self._all or self._marked:
            self._look()
        return self._queues.get(queue) or {}

    def with_figures(self, queue):
        """The same, the figures of today true."""
        day = self._core.state.statistics.bucket(self._core.now_ms)
        if day != self._day:
            self._day, self._all = day, True
        return self.of(queue)

    def _look(self):
        core = self._core
        if self._all:
            self._queues = dict([(queue, {}) for queue in core.members])
            names = core.agent_names
        else:
            names = sorted(self._marked)
        self._all, self._marked = False, set()
        for name in names:
            rows = core.memberships.get(name)
            if not rows:
                continue
            if not core.is_ready(name):
                for queue, level, place, weight in rows:
                    self._queues[queue].pop(name, None)
                continue
            agent = core.state.agent(name)
            has = core.agent_configs[name].get("skills") or {}
            figures = core.state.statistics.agent_times(name, core.now_ms)
            for queue, level, place, weight in rows:
                self._queues[queue][name] = Candidate(name, level, place, weight, agent.idle_since_ms, agent.idle_order, has, *figures)
