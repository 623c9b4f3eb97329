"""What a report shows of the sums of an interval: the figures, each by its formula.

    figures("queues", counts, "ignore", 900) -> {"offered": 12, ..., "service_level": 0.778, ...}
    FORMULAS["queues"]["service_level"]      -> the sentence that every report prints

counts: sums by the names of acd/statistics.py and acd/trunk_figures.py.  Times are in ms, ratios from 0 to 1, None
where there is nothing to divide by.  Definitions: acd/statistics.py.
"""

from firmware.acd import statistics
from firmware.acd.trunk_figures import TRUNK_COUNTS

PARTS = {"queues": statistics.QUEUE_COUNTS, "agents": statistics.AGENT_COUNTS, "trunk_groups": TRUNK_COUNTS}

FORMULAS = {
    "queues": {
        "service_level": {"ignore": "answered within T / (events - abandoned within T)", "negative": "answered within T / events",
                          "positive": "(answered + abandoned within T) / events"},
        "abandon_rate": "abandoned / queued; who leaves before the short threshold counts as short, not as abandoned",
        "average_speed_of_answer_ms": "sum of the wait of answered callers (queue and ring) / answered",
        "average_handle_time_ms": "(talk + hold + after-call work) / handled, booked when after-call work ends",
        "expected_wait_error_ms": "sum of |waited - expected at the entry| / answered callers who had to wait and for whom there was an estimate",
        "expected_wait_bias_ms": "sum of (waited - expected at the entry) / the same callers; above 0: they were told too little"},
    "agents": {
        "occupancy": "(talk + hold + after-call work) / (that + available); ringing counts as available",
        "average_handle_time_ms": "(talk + hold + after-call work) / handled, booked when after-call work ends",
        "logged_in_ms": "talk + hold + after-call work + available + calls not from queues + breaks"},
    "trunk_groups": {
        "erlang": "time for which trunks were held / length of the interval",
        "answer_seizure_ratio": "answered / seizures of calls out (ITU-T E.425)"},
}
BOOKED = "an event counts in the interval in which it happens; a service-level event at the first of answer, abandon and T; times are split where an interval ends"


ZEROS = dict([(part, dict([(name, 0) for name in PARTS[part]])) for part in PARTS])


def figures(part, counts, abandons, length_s):
    """The sums and what follows from them.  abandons: how the service level counts them; length_s: of the interval."""
    made = dict(ZEROS[part])
    made.update(counts)
    if len(made) > len(PARTS[part]):
        made = dict([(name, made[name]) for name in PARTS[part]])
    if part == "queues":
        made["service_level"] = statistics.service_level(made["events_answered"], made["events_abandoned"], made["events"], abandons)
        ratio = statistics.ratio        # looked up once: a month by hours of 200 queues is 144,000 rows
        made["abandon_rate"] = ratio(made["abandoned"], made["queued"])
        made["average_speed_of_answer_ms"] = ratio(made["answer_wait_ms"], made["answered"])
        made["average_handle_time_ms"] = ratio(made["handle_ms"], made["handled"])
        made["expected_wait_error_ms"] = ratio(made["expected_error_ms"], made["expected"])
        made["expected_wait_bias_ms"] = ratio(made["expected_bias_ms"], made["expected"])
    elif part == "agents":
        handle_ms = made["talking_ms"] + made["holding_ms"] + made["wrap_up_ms"]
        made["occupancy"] = statistics.occupancy(handle_ms, made["available_ms"])
        made["average_handle_time_ms"] = statistics.average_handle_time_ms(made["handle_ms"], made["handled"])
        made["logged_in_ms"] = handle_ms + made["available_ms"] + made["busy_ms"] + made["on_break_ms"]
    else:
        made["erlang"] = made["seized_ms"] / (length_s * 1000)
        made["answer_seizure_ratio"] = statistics.ratio(made["out_answered"], made["out_attempts"])
    return made


def add(into, counts):
    """Add sums to sums."""
    for name in counts:
        into[name] = into.get(name, 0) + counts[name]
    return into
