"""Reports: the stored sums of an interval and what runs now, as figures by the definitions, as rows or as CSV.

    make(connection, running, part, from_s, to_s, interval, offset_ms, abandons, name)
        part "queues"|"agents"|"trunk_groups"; interval "quarter"|"half"|"hour"|"day"|"month"|"whole" of the site's time
        -> {"part", "interval", "from_s", "to_s", "rows": [{"name", "start_s", "end_s", figures...}], "formulas", "booked"}

An interval is cut where the asked time begins or ends.  running: storage.figures.Figures.running(now_ms), taken in the moment
in which the connection's view of the database was fixed: so live figures and reports never disagree.
CSV: UTF-8 with a mark, CRLF, times in RFC 3339, and no cell that a spreadsheet would take for a formula."""

import csv
import datetime
import io

from firmware.acd.report import BOOKED, FORMULAS, add, figures
from firmware.storage.figures import DAY_S, HOUR_S, QUARTER_S, Figures

PIECES_S = {"quarter": QUARTER_S, "half": 1800, "hour": 3600}
INTERVALS = (*PIECES_S, "day", "month", "whole")
MOST_ROWS = 200_000


def _starts(interval, start_s, from_s, offset):
    """The beginning, in UTC, of the interval of the site's time that a moment lies in."""
    if interval == "whole":
        return from_s
    shift = offset(start_s * 1000) // 1000
    local = start_s + shift
    if interval in PIECES_S or interval == "day":
        length = PIECES_S.get(interval, DAY_S)
        return max(from_s, local // length * length - shift)
    day = datetime.datetime.fromtimestamp(local, datetime.timezone.utc)
    first = day.replace(day=1, hour=0, minute=0, second=0)
    return max(from_s, int(first.timestamp()) - offset(int(first.timestamp()) * 1000 - shift * 1000) // 1000)


def _after(interval, start_s, to_s, offset):
    """The end of an interval that begins at start_s."""
    if interval == "whole":
        return to_s
    shift = offset(start_s * 1000) // 1000
    local = start_s + shift
    if interval == "month":
        day = datetime.datetime.fromtimestamp(local, datetime.timezone.utc)
        first = (day.replace(day=1, hour=0, minute=0, second=0) + datetime.timedelta(days=32)).replace(day=1)
        end = int(first.timestamp()) - shift
    else:
        length = PIECES_S.get(interval, DAY_S)
        end = (local // length + 1) * length - shift
    return min(to_s, end)


def _begins(length, at_s, offset):
    """Whether a moment is the beginning of an hour or a day of the site."""
    return (at_s + offset(at_s * 1000) // 1000) % length == 0


def make(connection, running, part, from_s, to_s, interval, offset, abandons=None, name=None):
    """See the module's docstring.  offset: function(utc_ms) of the site's time in ms; abandons: {queue: way of counting}."""
    def whole(length):
        return _begins(length, from_s, offset) and _begins(length, to_s, offset)
    length = QUARTER_S
    if interval in ("day", "month", "whole") and whole(DAY_S):
        length = DAY_S
    elif interval not in ("quarter", "half") and whole(HOUR_S) and Figures.has_hours(connection):
        length = HOUR_S
    sums = {}
    if interval == "whole":
        for one, counts in Figures.total(connection, part, length, from_s, to_s, name):
            add(sums.setdefault((one, from_s), {}), counts)
    else:
        known = {}
        for one, start_s, counts in Figures.sums(connection, part, length, from_s, to_s, name):
            if start_s not in known:
                known[start_s] = _starts(interval, start_s, from_s, offset)
            key = (one, known[start_s])
            if key in sums:
                add(sums[key], counts)
            else:
                sums[key] = counts
    for (of, its_length, one, start_s), counts in running.items():
        if of == part and its_length == length and from_s <= start_s < to_s and name in (None, one):
            add(sums.setdefault((one, _starts(interval, start_s, from_s, offset)), {}), counts)
    rows, ends = [], {}
    for one, start_s in sorted(sums):
        if start_s not in ends:
            ends[start_s] = _after(interval, start_s, to_s, offset)
        rows.append({"name": one, "start_s": start_s, "end_s": ends[start_s],
                     **figures(part, sums[one, start_s], (abandons or {}).get(one, "ignore"), ends[start_s] - start_s)})
    return {"part": part, "interval": interval, "from_s": from_s, "to_s": to_s, "rows": rows, "formulas": FORMULAS[part], "booked": BOOKED}


def cell(value):
    """A value as a cell that no spreadsheet calculates."""
    if value is None:
        return ""
    text = "%.6g" % value if isinstance(value, float) else str(value)
    return "'" + text if isinstance(value, str) and text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def as_csv(report, offset):
    """The report as octets."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    names = [key for key in report["rows"][0] if key not in ("start_s", "end_s")] if report["rows"] else ["name"]
    writer.writerow(["start", "end", *names])
    for row in report["rows"]:
        writer.writerow([moment(row["start_s"], offset), moment(row["end_s"], offset), *(cell(row[key]) for key in names)])
    writer.writerow([])
    for key, formula in report["formulas"].items():
        for way, sentence in formula.items() if isinstance(formula, dict) else (("", formula),):
            writer.writerow([("%s (%s)" % (key, way)) if way else key, sentence])
    writer.writerow(["booked", report["booked"]])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def moment(at_s, offset):
    """RFC 3339 with the site's offset."""
    zone = datetime.timezone(datetime.timedelta(milliseconds=offset(at_s * 1000)))
    return datetime.datetime.fromtimestamp(at_s, zone).isoformat(timespec="seconds")
