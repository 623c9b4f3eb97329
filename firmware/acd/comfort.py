"""When a waiting caller is told what: the comfort messages of a queue, each with a first delay and an interval.

A schedule is a list of [at_ms, prompt, every_ms], the next one first; every_ms 0: once.  Plain data, kept in records.
"""

# Invented: a message that falls into another announcement comes so much later.
AGAIN_MS = 5000


def schedule(rows, now_ms):
    """The schedule of who joins now.  rows: [{"prompt", "after_s", "every_s"?}] of the queue's setting."""
    return sorted([[now_ms + row["after_s"] * 1000, row["prompt"], (row.get("every_s") or 0) * 1000] for row in rows])


def step(plan, now_ms, speaks):
    """(prompt to say now or None, the schedule from now on).  plan: not empty, its first entry due; speaks: something is being said."""
    at_ms, prompt, every_ms = plan[0]
    if speaks:
        return None, sorted(plan[1:] + [[now_ms + AGAIN_MS, prompt, every_ms]])
    return prompt, sorted(plan[1:] + ([[now_ms + every_ms, prompt, every_ms]] if every_ms else []))
