"""The verb `report` of the command `strowger`.

    report queues|agents|trunk_groups [--from M] [--to M] [--interval I] [--name N] [--csv]
    report check                      fold the whole journal again and compare
"""

import datetime

COLUMNS = {
    "queues": ("queued", "answered", "abandoned", "short_abandoned", "overflowed", "service_level", "average_speed_of_answer_ms",
               "average_handle_time_ms"),
    "agents": ("offered", "missed", "connected", "talking_ms", "holding_ms", "wrap_up_ms", "available_ms", "on_break_ms", "occupancy",
               "average_handle_time_ms"),
    "trunk_groups": ("in_calls", "in_answered", "out_attempts", "out_answered", "erlang")}
INTERVALS = ("quarter", "half", "hour", "day", "month", "whole")


def add(verbs, common):
    """Add the verb.  verbs: argparse's sub-parsers; common: the parent with --json."""
    report = verbs.add_parser("report", parents=[common])
    report.add_argument("part", choices=(*COLUMNS, "check"))
    report.add_argument("--from", dest="since", help="2026-11-22 or 2026-11-22T08:30; default: today")
    report.add_argument("--to")
    report.add_argument("--interval", choices=INTERVALS, default="whole")
    report.add_argument("--name")
    report.add_argument("--csv", action="store_true")


def _shown(key, value):
    if value is None:
        return None
    if key.endswith("_ms"):
        return "%d:%02d" % divmod(round(value / 1000), 60)
    return "%.1f %%" % (value * 100) if key in ("service_level", "occupancy") else "%.2f" % value if isinstance(value, float) else value


def carry_out(client, options, table):
    """Returns (the API's answer, function that shows it)."""
    if options.part == "check":
        answer = client.post("/v1/reports/check")
        return answer, lambda a: "%d sums differ from the journal" % len(a["differed"]) if a["differed"] else "the sums are what the journal gives"
    answer = client.get("/v1/reports/%s" % options.part, **{"from": options.since, "to": options.to, "interval": options.interval,
                                                             "name": options.name, "format": "csv" if options.csv else None})
    if options.csv:
        return {}, lambda a: answer.decode("utf-8").rstrip("\r\n")
    columns = COLUMNS[options.part]

    def show(a):
        rows = [[row["name"], datetime.datetime.fromtimestamp(row["start_s"]).astimezone().isoformat(timespec="minutes"),
                 *(_shown(key, row[key]) for key in columns)] for row in a["rows"]]
        heads = ["NAME", "BEGINS", *(key.upper().removesuffix("_MS").replace("_", " ") for key in columns)]
        return "\n".join([table(heads, rows), *("%s: %s" % pair for pair in a["formulas"].items()), a["booked"]])
    return answer, show
