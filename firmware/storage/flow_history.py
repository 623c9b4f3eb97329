"""What callers did in flows, by the journal: which keys they pressed at which node, how often a service answered; which numbers they called, by the CDRs.

For forecasts (control/api_flow_staffing.py).  Nothing that a caller entered is looked at beyond the key of a menu or survey."""

import collections
import json

from firmware.storage.personal import told

MOST_ROWS = 20_000          # of flows that are read, the first of the time asked for: the reading is beside the calls; invented
HANG_UP = "hang up"


def calls_by_number(connection, from_ms, to_ms):
    """{number that was called: calls} of a time."""
    called = [row[0] for row in connection.execute("SELECT called FROM cdr WHERE started_ms >= ? AND started_ms < ? AND called IS NOT NULL", (from_ms, to_ms))]
    return dict(collections.Counter(told(connection, called)))


def seq_at(connection, ts_ms):
    """The number of the first record that is not before a moment (by halves: the moments of records grow with their numbers), or the next one to come."""
    low, high = (value or 0 for value in tuple(connection.execute("SELECT min(seq), max(seq) FROM journal").fetchone()))
    high += 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute("SELECT seq, ts_ms FROM journal WHERE seq >= ? ORDER BY seq LIMIT 1", (middle,)).fetchone()
        if row is None or row[1] >= ts_ms:
            high = middle
        else:
            low = row[0] + 1
    return low


def choices(connection, from_ms, to_ms):
    """({(flow, node): {key: times; "": none, "hang up"}}, {(flow, node): [answered, not answered]}) of a time."""
    keys, answers, at = {}, {}, {}
    rows = connection.execute("SELECT kind, call, data FROM journal WHERE seq >= ? AND seq < ? AND kind IN ('ivr.moved', 'ivr.left', 'call.clearing') ORDER BY seq LIMIT ?",
                              (seq_at(connection, from_ms), seq_at(connection, to_ms), MOST_ROWS)).fetchall()
    for (kind, call, _), text in zip(rows, told(connection, [row[2] for row in rows])):
        before = at.pop(call, None)
        if kind == "ivr.left":
            continue
        data = json.loads(text)
        if kind == "call.clearing":
            if before is not None and data.get("released_by") == "caller":
                _count(keys, before, HANG_UP)
            continue
        given, position = data.get("input") or {}, data["position"]
        if before is not None and "digit" in given:
            _count(keys, before, given["digit"])
        elif before is not None and given.get("timeout"):
            _count(keys, before, "")
        elif before is not None and "answer" in given:
            answers.setdefault(before, [0, 0])[0 if given.get("ok") else 1] += 1
        at[call] = (position.get("flow"), position["node"])
    return keys, answers


def _count(keys, where, key):
    found = keys.setdefault(where, {})
    found[key] = found.get(key, 0) + 1
