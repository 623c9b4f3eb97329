"""Shifts of agents and how they kept to them.  db: the connection of desk.py; all in its thread.  Times in UTC.

A shift is (agent, start_s, end_s, activity).  What an agent really did is in `presence`, a projection of the records agent.status.  Adherence:

    planned      time of shifts that is over
    in adherence planned time in which the agent did what was planned: `work` means available (talking and after-call work included), `break` any
                 break or being logged out, another activity a break with that reason, or being logged out
    adherence    in adherence / planned
    conformance  time available, planned or not / planned work: above 1 somebody worked longer than planned"""

import csv
import io
import re

from firmware.errors import LocalError
from firmware.storage.desk import transaction
from firmware.storage.desk_customers import MOST_ERRORS, BadRows

WORK, BREAK = "work", "break"
COLUMNS = ("agent", "date", "from", "to", "activity")
FORMULAS = {"adherence": "planned time in which the agent did what was planned / planned time that is over; work: available, talking and after-call work "
                         "included; break: on a break or logged out; else a break with that reason, or logged out",
            "conformance": "time available / planned work; above 1: longer than planned"}
MOST_ROWS = 100_000
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\Z")


def minute(text, last=False):
    """Minutes since midnight of "08:30", or None; last: 24:00 is one, too."""
    if last and text == "24:00":
        return 1440
    match = _CLOCK.match(text or "")
    return int(match.group(1)) * 60 + int(match.group(2)) if match else None


def check(row, agents, day_of, others=()):
    """((agent, day, start_s, end_s, activity), errors [(field, advice)]) of {"agent", "date", "from", "to", "activity"}.

    agents: whose shifts may be planned; others: who is there besides.  day_of(date, minutes) -> UTC seconds of a moment of a day, None where the date is none."""
    errors = []
    agent, activity = row.get("agent"), row.get("activity") or WORK
    if not isinstance(agent, str) or agent not in agents:
        errors.append(("agent", ("%r is in none of your teams; only an administrator or who looks after that team plans these shifts" if agent in others else
                                 "there is no agent %r; create the agent first") % str(agent or "")[:40]))
    start, end = (minute(row.get("from") if isinstance(row.get("from"), str) else None),
                  minute(row.get("to") if isinstance(row.get("to"), str) else None, True))
    for name, value in (("from", start), ("to", end)):
        if value is None:
            errors.append((name, "%r is no time of the day; give hours and minutes, for example 08:30" % str(row.get(name) or "")[:20]))
    if not isinstance(activity, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,32}", activity):
        errors.append(("activity", "give work, break or the name of a reason for a break"))
    date = row.get("date")
    day = day_of(date, 0) if isinstance(date, str) else None
    if day is None:
        errors.append(("date", "%r is no date; give it as 2026-11-23" % str(date or "")[:20]))
    if errors:
        return None, errors
    if start == end:
        return None, [("to", "is the same as from; leave the line out, or give 24:00")]
    return (agent, date, day_of(date, start), day_of(date, end if end > start else end + 1440), activity), []


def parse(text, agents, day_of, others=()):
    """[(line, shift)] of a CSV file.  Raises BadRows; nothing is written here."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    ended, errors, rows, ends = 0, [], [], {}       # ended: the line in which the row before has its end

    def wrong(line, field, advice):
        errors.append({"line": line, "field": field, "advice": advice})
        if len(errors) >= MOST_ERRORS:
            raise BadRows(errors)
    try:
        heads = [head.strip() for head in next(reader, [])]
        for head in heads:
            if head not in COLUMNS or heads.count(head) > 1:
                wrong(1, head[:40] or "(empty)", "is no column, or stands twice; the columns are %s" % ", ".join(COLUMNS))
        for head in COLUMNS[:4]:
            if head not in heads:
                wrong(1, head, "is missing; the first line names the columns %s" % ", ".join(COLUMNS))
        ended = reader.line_num
        for cells in [] if errors else reader:
            line, ended = ended + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(heads):
                wrong(line, "(line)", "has %d cells, the head has %d" % (len(cells), len(heads)))
                continue
            shift, bad = check(dict(zip(heads, [cell.strip() for cell in cells])), agents, day_of, others)
            for field, advice in bad:
                wrong(line, field, advice)
            if shift is not None:
                for other, (start_s, end_s) in ends.get(shift[0], ()):
                    if shift[2] < end_s and start_s < shift[3]:
                        wrong(line, "from", "the time overlaps that of line %d; an agent does one thing at a time" % other)
                        break
                ends.setdefault(shift[0], []).append((line, shift[2:4]))
                rows.append((line, shift))
                if len(rows) > MOST_ROWS:
                    wrong(line, "(file)", "has more than %d shifts; import it in parts" % MOST_ROWS)
                    raise BadRows(errors)
    except csv.Error as error:
        wrong(ended + 1, "(line)", "is no CSV: %s; look for a quote that is not closed, or is followed by something else than a comma" % error)
    if errors:
        raise BadRows(errors)
    return rows


def load(db, shifts, day_of, also=()):
    """Write shifts, all or none: they replace whatever these agents had on these days.  also: (agent, date) that are emptied besides."""
    days = {(shift[0], shift[1]) for shift in shifts} | set(also)
    with transaction(db):
        for agent, date in days:
            db.execute("DELETE FROM shift WHERE agent = ? AND start_s >= ? AND start_s < ?", (agent, day_of(date, 0), day_of(date, 1440)))
        for agent, date, start_s, end_s, activity in shifts:
            other = db.execute("SELECT start_s FROM shift WHERE agent = ? AND start_s < ? AND end_s > ?", (agent, end_s, start_s)).fetchone()
            if other:
                raise LocalError("a shift of agent %s on %s overlaps one that stands; send both days, or change that one" % (agent, date))
            db.execute("INSERT INTO shift VALUES (?,?,?,?)", (agent, start_s, end_s, activity))
    return {"shifts": len(shifts), "days": len(days)}


def page(db, from_s, to_s, agent=None):
    """Shifts that touch a time: [{"agent", "start_s", "end_s", "activity"}], by agent and time."""
    rows = db.execute("SELECT agent, start_s, end_s, activity FROM shift WHERE start_s < ? AND end_s > ? AND start_s > ? %s ORDER BY agent, start_s"
                      % ("AND agent = ?" if agent else ""), (to_s, from_s, from_s - 2 * 86400, *([agent] if agent else [])))
    return [dict(zip(("agent", "start_s", "end_s", "activity"), row)) for row in rows]


def presences(db, agent, from_ms, to_ms):
    """[(start_ms, end_ms, status, reason)] of an agent, cut to a time."""
    rows = db.execute("SELECT ts_ms, status, reason FROM presence WHERE agent = ? AND ts_ms <= ? ORDER BY ts_ms DESC, seq DESC LIMIT 1", (agent, from_ms)).fetchall()
    rows += db.execute("SELECT ts_ms, status, reason FROM presence WHERE agent = ? AND ts_ms > ? AND ts_ms < ? ORDER BY ts_ms, seq", (agent, from_ms, to_ms)).fetchall()
    found = []
    for place, (ts_ms, status, reason) in enumerate(rows):
        start_ms, end_ms = max(ts_ms, from_ms), rows[place + 1][0] if place + 1 < len(rows) else to_ms
        if start_ms < end_ms:
            found.append((start_ms, end_ms, status, reason))
    return found


def keeps(activity, status, reason):
    """Whether an agent who is in a status does what was planned."""
    if activity == WORK:
        return status == "available"
    return status == "logged_out" or status == "on_break" and (activity == BREAK or reason == activity)


def adherence(db, from_ms, to_ms, agents):
    """[{"agent", "planned_ms", "adhered_ms", "planned_work_ms", "available_ms", "adherence", "conformance"}] up to to_ms, of who has shifts there."""
    found = []
    for agent in agents:
        shifts = page(db, from_ms // 1000, -(-to_ms // 1000), agent)
        if not shifts:
            continue
        known = presences(db, agent, from_ms, to_ms)
        planned = adhered = work = 0
        for shift in shifts:
            start_ms, end_ms = max(shift["start_s"] * 1000, from_ms), min(shift["end_s"] * 1000, to_ms)
            planned += max(0, end_ms - start_ms)
            work += max(0, end_ms - start_ms) if shift["activity"] == WORK else 0
            adhered += sum(max(0, min(end_ms, until_ms) - max(start_ms, since_ms)) for since_ms, until_ms, status, reason in known
                           if keeps(shift["activity"], status, reason))
            if shift["activity"] != WORK:               # before the first record of all nobody was logged in
                first_ms = known[0][0] if known else end_ms
                adhered += max(0, min(end_ms, first_ms) - start_ms)
        available = sum(end_ms - start_ms for start_ms, end_ms, status, _ in known if status == "available")
        found.append({"agent": agent, "planned_ms": planned, "adhered_ms": adhered, "planned_work_ms": work, "available_ms": available,
                      "adherence": adhered / planned if planned else None, "conformance": available / work if work else None})
    return found
