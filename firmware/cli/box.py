"""What the command `strowger` shows of the box: alarms, performance, chassis."""

import datetime


def clock(ms):
    """UTC ms as RFC 3339 in the local zone, or a dash."""
    return "-" if ms is None else datetime.datetime.fromtimestamp(ms / 1000).astimezone().isoformat(timespec="seconds")


def runs(members):
    """Sources in short: ["span 1", "span 2", "span 3", "psu 1"] -> "span 1-3, psu 1"."""
    parts, last = [], None
    for member in members:
        name, _, number = member.rpartition(" ")
        number = int(number) if name and number.isdigit() else None
        if last and number is not None and last[0] == name and number == last[2] + 1:
            last[2] = number
        else:
            last = [name, number, number] if number is not None else [member, None, None]
            parts.append(last)
    return ", ".join(name if first is None else "%s %d" % (name, first) if first == end else "%s %d-%d" % (name, first, end)
                     for name, first, end in parts)


def _acknowledged(acked):
    return "" if not acked else "%s %s%s" % (clock(acked["ts_ms"]), acked["by"] or "somebody", ": " + acked["note"] if acked["note"] else "")


def show_alarms(answer, table):
    """One line an alarm, and what to do below it."""
    if not answer["alarms"]:
        return "no alarms"
    rows = [[a["id"], a["severity"], runs(a["members"]), a["text"], clock(a["raised_ms"]), clock(a["cleared_ms"]),
             _acknowledged(a.get("acked"))] for a in answer["alarms"]]
    lines = [table(["ID", "SEVERITY", "WHERE", "WHAT", "SINCE", "CLEARED", "ACKNOWLEDGED"], rows)]
    for alarm in answer["alarms"]:
        if alarm["cleared_ms"] is None:
            detail = "; ".join("%s: %s" % pair for pair in list(alarm["detail"].items())[:4])
            lines.append("%d: %s.%s" % (alarm["id"], alarm["advice"], " " + detail if detail else ""))
    return "\n".join(lines)


HEADS = ["ES", "SES", "BBE", "UAS", "FE ES", "FE SES", "SLIPS", "COUNTED S"]
NAMES = ("es", "ses", "bbe", "uas", "fe_es", "fe_ses", "slips", "seconds")


def show_performance(answer, table):
    """One line a span: the quarter that runs and the week."""
    rows = [[span, "yes" if row["available"] else "NO", *(row.get("quarter", {}).get(name) for name in NAMES),
             *((row["week"] or {}).get(name) for name in ("es", "ses", "uas"))] for span, row in answer["spans"].items()]
    return table(["SPAN", "AVAILABLE", *HEADS, "WEEK ES", "SES", "UAS"], rows)


def show_span(answer, table):
    """One line a bin, newest first; a bin that is not whole has a star."""
    newest = answer["bins"][0]["start_s"] if answer["bins"] else None
    rows = [[clock(row["start_s"] * 1000) + ("*" if row["seconds"] < answer["length_s"] and row["start_s"] != newest else ""),
             *(row[name] for name in NAMES)] for row in answer["bins"]]
    return table(["BEGINS", *HEADS], rows)


def show_clock(answer, table):
    """What the clock doctor found, then each span."""
    lines = ["the box %s%s" % ({"locked": "follows ", "holdover": "keeps its last frequency (holdover)", "freerun": "runs on its own oscillator"}[answer["mode"]],
                               answer["reference"] or "" if answer["mode"] == "locked" else "")]
    lines += ["%s\n    do: %s" % (row["text"], row["advice"]) for row in answer["findings"]] or ["nothing has been watched long enough yet"]
    rows = [[span, "%+.2f" % row["ppm"], row["within_ppm"], row["slips"], row["errored"], row["seconds"]] for span, row in answer["spans"].items()]
    return "\n".join([*lines, table(["SPAN", "PPM", "+-", "SLIPS", "ERRORED S", "WATCHED S"], rows)] if rows else lines)


def show_chassis(answer, table):
    """The box on a screen."""
    clocks = answer["clock"]
    lines = ["clock      %s, %s" % (clocks.get("mode", "no DPLL"), clocks["why"])]
    lines += ["  %-10s %-8s priority %d %s" % (s["source"], s["state"], s["priority"], s["reason"]) for s in clocks["sources"]]
    if not answer["present"]:
        return "\n".join(["no box here: " + answer["why"], *lines])
    identity = answer["identity"] or {}
    lines.append("board      %s, serial number %s" % (identity.get("product", "?"), identity.get("serial", "not known")))
    lines += ["%-10s %.1f C" % pair for pair in answer["celsius"].items()]
    lines.append("fans       %d %%: %s" % (answer["drive_percent"], ", ".join(
        "%d %s" % (f["fan"], "FAILED" if f["failed"] else "%d rpm" % f["rpm"]) for f in answer["fans"] or []) or "do not answer"))
    for supply in answer["supplies"]:
        lines.append("supply %d   %s" % (supply["number"], "good, %.2f V, %.0f W" % (supply["output_v"], supply.get("output_w", 0))
                                          if supply["ok"] else "; ".join(supply["faults"])))
    lines += ["FAULT      " + sentence for sentence in answer["faults"].values()]
    return "\n".join(lines)
