"""What is before a waiting caller: those who will be served earlier by the same agents.

An agent who becomes free takes who ranks first over all queues that the agent serves (core_dispatch.py), so the place in the own queue says little:
callers of other queues with the same agents are before one, too.  Each counts with the share of that queue's agents who serve this one; who is being
offered has an agent already.  A short-lived object: it holds what it looked up for one moment.

    ahead = Ahead(core)
    ahead.load(queue, entry.rank(), needs)      for acd/expected.py
"""

import bisect

from firmware.acd import agent as agents
from firmware.acd import expected, skills

LEAST_SHARE = 50        # thousandths; a queue that shares fewer of its agents is left out; invented
MOST_RIVALS = 16        # queues that are looked at; invented
SAMPLE = 64             # of a larger queue's agents every n-th is asked what else they serve, so that this many or twice as many are; invented


def rivals(core, queue):
    """[(queue, thousandths of its agents who serve this queue)], the own queue first; kept until somebody is moved."""
    found = core.rivals.get(queue)
    if found is None:
        counts, all_names = {}, list(core.places.get(queue) or ())
        asked = all_names[::max(1, len(all_names) // SAMPLE)]
        for name in asked:
            for other in core.queues_of(name):
                counts[other] = counts.get(other, 0) + 1
        shares = sorted([(-min(1000, 1000 * counts[other] * len(all_names) // (len(asked) * len(core.members[other]))), other) for other in counts if other != queue])
        found = core.rivals[queue] = [(queue, 1000)] + [(other, -share) for share, other in shares[:MOST_RIVALS] if -share >= LEAST_SHARE]
    return found


class Ahead:
    """core: the Core."""

    def __init__(self, core):
        self._core = core
        self._ranks = {}        # queue -> ranks of who waits and is not being offered, in order
        self._busy = {}         # (queue, needs) -> agents at work

    def _of(self, queue):
        if queue not in self._ranks:
            known = self._core.state.calls
            self._ranks[queue] = [entry.rank() for entry in self._core.state.queues.get(queue) or () if not known[entry.call].offers]
        return self._ranks[queue]

    def busy(self, queue, needs):
        """How many agents of a queue who fit the needs talk or work after a call."""
        key = (queue, skills.key(needs))
        if key not in self._busy:
            core, count = self._core, 0
            for name in core.places.get(queue) or ():
                if core.state.agent(name).state in (agents.TALKING, agents.WRAP_UP) and (
                        not needs or skills.fits(core.agent_configs[name].get("skills") or {}, needs)):
                    count += 1
            self._busy[key] = count
        return self._busy[key]

    def load(self, queue, rank, needs):
        """Of a caller with a rank (acd/queue.py) and needs, in tenths of a second."""
        before = 1000
        for other, share in rivals(self._core, queue):
            before += share * bisect.bisect_left(self._of(other), rank)
        return expected.load_of(before, self.busy(queue, needs))
