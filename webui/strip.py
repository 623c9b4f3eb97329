"""The strip chart of a span: what each timeslot was over some hours, as places in a picture (templates/part_strip.html draws it)."""

WIDTH, ROW, LEFT, TOP = 960, 12, 34, 16        # the picture's units; LEFT: for the numbers of the timeslots, TOP: for the time
CALLS = ("seized", "connected", "clearing")
QUIET = ("idle", "in_service")              # nothing is drawn for these
PERIODS = (60, 360, 1440, 10080)            # minutes that the page offers
TICKS = 6


def strip(told):
    """told: GET /v1/spans/N/history.  Returns {"rows": [{"timeslot", "y", "bars"}], "ticks": [{"x", "at_ms"}], "width", "height"}.

    A bar: {"x", "width", "kind"(the state), "part", "why", "call", "from_ms", "to_ms"}.  What is shorter than a unit is one unit wide; of several calls in one
    unit the first is drawn."""
    from_ms, to_ms = told["from_ms"], told["to_ms"]
    span_ms = max(1, to_ms - from_ms)

    def x(at_ms):
        return (min(max(at_ms, from_ms), to_ms) - from_ms) * WIDTH / span_ms
    rows = []
    for row in told["timeslots"]:
        bars = []
        for part in ("service", "call", "event"):
            bars += _bars([one for one in row["states"] if one["part"] == part], to_ms, x)
        rows.append({"timeslot": row["timeslot"], "y": TOP + len(rows) * ROW, "bars": bars})
    ticks = [{"x": round(LEFT + WIDTH * n / TICKS, 1), "at_ms": from_ms + span_ms * n // TICKS} for n in range(TICKS)]
    return {"rows": rows, "ticks": ticks, "width": LEFT + WIDTH, "height": TOP + len(rows) * ROW + 2, "top": TOP, "row": ROW}


def _bars(states, to_ms, x):
    found, drawn = [], -1.0
    for one, after in zip(states, [*states[1:], None]):
        ends_ms = one["at_ms"] if one["part"] == "event" else after["at_ms"] if after else to_ms
        if one["state"] in QUIET or one["part"] == "call" and x(ends_ms) < drawn:
            continue
        begin, width = x(one["at_ms"]), max(1.0, x(ends_ms) - x(one["at_ms"]))
        drawn = begin + width
        found.append({"x": round(LEFT + begin, 1), "width": round(width, 1), "kind": one["state"], "part": one["part"], "why": one["why"], "call": one["call"],
                      "from_ms": one["at_ms"], "to_ms": ends_ms})
    return found
