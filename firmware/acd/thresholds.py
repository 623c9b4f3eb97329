"""Traffic early warning: when a live figure is over its limit, for how long, and when it is over.  Pure rules, time passed in.

    judge(row, value, warning, now_ms) -> None or what is to be written down: "crossed", "back", "raised", "cleared"

row: of the configuration's thresholds.  warning: {"state": "pending"|"raised", "since_ms", ...} or None.  Hysteresis: it is raised beyond `limit`
after for_s, and ends at `clear`.  A figure that cannot be told (None: too few callers in the interval) is on the good side."""

from firmware.acd.statistics import abandon_rate, service_level

COUNTED = ("service_level", "abandon_rate")         # per cent of the callers of an interval
FIGURES = ("waiting", "longest_wait", "expected_wait", "agents_ready", "agents_logged_in", "callbacks") + COUNTED
UNITS = {"longest_wait": " s", "expected_wait": " s", "service_level": " %", "abandon_rate": " %"}


def is_beyond(row, value):
    """Whether a value is on the bad side of the limit."""
    if value is None:
        return False
    return value > row["limit"] if row["when"] == "above" else value < row["limit"]


def is_over(row, value):
    """Whether a value ends an alarm that stands."""
    if value is None:
        return True
    clear = row["limit"] if row["clear"] < 0 else row["clear"]
    return value <= clear if row["when"] == "above" else value >= clear


def judge(row, value, warning, now_ms):
    """See the module's docstring."""
    if warning is None:
        if not is_beyond(row, value):
            return None
        return "raised" if row["for_s"] == 0 else "crossed"
    if warning["state"] == "pending":
        if not is_beyond(row, value):
            return "back"
        return "raised" if now_ms - warning["since_ms"] >= row["for_s"] * 1000 else None
    return "cleared" if is_over(row, value) else None


def step_due(steps, warning, now_ms):
    """Index of the next step of a plan that is due, or None.  A step counts from the raising; acknowledged: none is."""
    place = warning["step"]
    if warning["acked"] is not None or place >= len(steps) or now_ms < warning["raised_ms"] + steps[place]["after_min"] * 60000:
        return None
    return place


def counted(figure, counts, abandons):
    """(per cent or None, callers that count) of sums of a queue, by the reports' definitions.  abandons: how the service level counts them."""
    if figure == "abandon_rate":
        share, callers = abandon_rate(counts.get("abandoned", 0), counts.get("queued", 0)), counts.get("queued", 0)
    else:
        callers = counts.get("events", 0)
        share = service_level(counts.get("events_answered", 0), counts.get("events_abandoned", 0), callers, abandons)
    return (None if share is None else round(share * 1000) / 10), callers


def shown(figure, value):
    """A value with its unit."""
    return "-" if value is None else "%s%s" % ("%.1f" % value if isinstance(value, float) and value != int(value) else "%d" % value, UNITS.get(figure, ""))
