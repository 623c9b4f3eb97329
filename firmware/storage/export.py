"""Writes a part of the journal or the CDRs as JSON lines or CSV to standard output; a process of its own at the lowest priority.

    python -m firmware.storage.export DATABASE  < question  > file

question: {"what": "journal"|"calls"|"surveys", "format": "jsonl"|"csv", "since_ms", "until_ms"}.  Rows of since_ms <= time < until_ms, in the
order of the journal, of the call's number; calls count by their end.  CSV: UTF-8 with a mark, CRLF, no cell that a spreadsheet would calculate.
"""

import csv
import io
import itertools
import json
import os
import sqlite3
import sys

from firmware.storage.journal import CHECKPOINT, COLUMNS, as_records
from firmware.storage.personal import told
from firmware.storage.reporting import cell

PIECE = 1000            # rows between two flushes
JOURNAL = ("seq", "ts_ms", "kind", "call", "leg", "agent", "queue", "data")
CALLS = ("call", "started_ms", "answered_ms", "ended_ms", "caller", "called", "queue", "agent", "application", "trunk_group", "result", "cause", "wait_ms",
         "talk_ms", "released_by", "recording")
SURVEYS = ("seq", "ts_ms", "call", "agent", "queue", "survey", "question", "answer")


def first_seq(connection, since_ms):
    """Number from which on the journal's rows are of a moment or later: by halving, since rows lie in time."""
    low, high = connection.execute("SELECT coalesce(min(seq), 1), coalesce(max(seq), 0) + 1 FROM journal").fetchone()
    while low < high:
        middle = (low + high) // 2
        row = connection.execute("SELECT ts_ms FROM journal WHERE seq >= ? AND kind <> ? ORDER BY seq LIMIT 1", (middle, CHECKPOINT)).fetchone()
        if row is None or row[0] >= since_ms:
            high = middle
        else:
            low = middle + 1
    return low


def journal(connection, since_ms, until_ms, kind=None):
    """Records of a time."""
    where, values = (" AND kind = ?", (kind,)) if kind else ("", ())
    rows = connection.execute("SELECT %s FROM journal WHERE seq >= ? AND kind <> ?%s ORDER BY seq" % (COLUMNS, where),
                              (first_seq(connection, since_ms), CHECKPOINT, *values))
    yield from as_records(connection, (row for row in itertools.takewhile(lambda row: row[1] < until_ms, rows) if row[1] >= since_ms))


def calls(connection, since_ms, until_ms):
    """CDRs of a time."""
    rows = connection.execute("SELECT body FROM cdr WHERE ended_ms >= ? AND ended_ms < ? ORDER BY number", (since_ms, until_ms))
    while piece := [row[0] for row in itertools.islice(rows, PIECE)]:
        yield from map(json.loads, told(connection, piece))


def surveys(connection, since_ms, until_ms):
    """Answers of surveys, flat."""
    rows = connection.execute("SELECT %s FROM journal WHERE kind = 'ivr.survey' AND ts_ms >= ? AND ts_ms < ? ORDER BY seq" % COLUMNS, (since_ms, until_ms))
    for record in as_records(connection, rows):
        yield {**{name: record[name] for name in SURVEYS[:5]}, **record["data"]}


PARTS = {"journal": (JOURNAL, journal), "calls": (CALLS, calls), "surveys": (SURVEYS, surveys)}


def write(out, names, rows, form):
    """Rows (dicts) to a binary file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    if form == "csv":
        out.write(b"\xef\xbb\xbf")
        writer.writerow(names)
    out.flush()                     # whoever waits knows that it begins
    count = 0
    for count, row in enumerate(rows, 1):
        if form == "csv":
            writer.writerow([cell(value if not isinstance(value, (dict, list, bool)) else json.dumps(value, ensure_ascii=False))
                             for value in (row.get(name) for name in names)])
        else:
            text.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
        if count % PIECE == 0:
            out.write(text.getvalue().encode("utf-8", "replace"))
            text.seek(0)
            text.truncate()
    out.write(text.getvalue().encode("utf-8", "replace"))
    out.flush()
    return count


def main():
    os.nice(19)
    question = json.load(sys.stdin)
    connection = sqlite3.connect("file:%s?mode=ro" % sys.argv[1], uri=True, isolation_level=None, timeout=5)
    names, rows = PARTS[question["what"]]
    try:
        write(sys.stdout.buffer, names, rows(connection, question["since_ms"], question["until_ms"]), question["format"])
    except BrokenPipeError:         # nobody wants it any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    main()
