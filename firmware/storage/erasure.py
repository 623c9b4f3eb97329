"""Erasing one person: every place of a number in the journal and the CDRs becomes a name that says nothing ("erased-e7").

Figures stay true: the sums of reports name no callers, and one name for one person keeps their counts.  What a caller keyed, said or was
called by in the person's calls goes as well, by the kinds of records and the names of fields in storage/personal.py; answers of surveys stay.
Both stand in rows of the table `personal`, which are found by indexes: numbers_of(), values_of(), erase().  Rows of the journal and CDRs
that older firmware wrote hold them themselves (plain_upto()): these are looked through and written anew.
secure_delete lets SQLite overwrite what was there.
"""

import json
import re

from firmware.storage.cdr import CDRs, of_callers
from firmware.storage.documents import call_of
from firmware.storage.journal import CHECKPOINT
from firmware.storage.personal import ENCODE, FLOW, LISTED, OF_NUMBER, PERSONAL, PLACES, forget, named

WIDE = 20_000           # rows looked through at once
# Dumps that end with their call (links/), and what pruning keeps of calls that were open (retention.py)
OF_CALLS = re.compile(r"sip/leg/|sip-leg/|siprec$|q931/[0-9]+/|ss7/[^/]+/(?!node$)|cas/[0-9]+/|retention$")


def pattern(forms):
    """Finds a number that stands alone, not as part of a longer one."""
    return re.compile("(?<![0-9])(?:%s)(?![0-9])" % "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))


def cleaned(value, numbers, name):
    """Plain data with a name in place of numbers.  numbers: pattern()."""
    if isinstance(value, str):
        return numbers.sub(name, value)
    if isinstance(value, dict):
        return {numbers.sub(name, key) if isinstance(key, str) else key: cleaned(inner, numbers, name) for key, inner in value.items()}
    if isinstance(value, list):
        return [cleaned(inner, numbers, name) for inner in value]
    return value


def emptied(value):
    """The same kind of value with nothing in it."""
    return {} if isinstance(value, dict) else [] if isinstance(value, list) else "" if isinstance(value, str) else None


def without_person(value):
    """Data of the person's own call: personal fields are empty, at any depth."""
    if isinstance(value, dict):
        return {key: emptied(inner) if key in PERSONAL else without_person(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_person(inner) for inner in value]
    return value


def places(data):
    """What stays of a record of a flow."""
    return {name: places(data[name]) if isinstance(data[name], dict) else data[name] for name in data if name in PLACES}


def new_text(kind, text, numbers, name, own):
    """The JSON that a row has from now on.  own: the row is of a call of the person's."""
    data = cleaned(json.loads(text), numbers, name)
    if own:
        data = places(data) if kind in FLOW else without_person(data)
        if kind == "leg.streamed":
            data["value"] = {}          # what was recognised, or any message that the service made of it
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def calls_of(connection, forms):
    """Ids of the calls of a number as caller, by indexes."""
    return [row[0] for row in of_callers(connection, sorted(forms), -1)]


def faxes_of(connection, calls, forms):
    """Names of the documents that were received in those of the calls that came from a number or its fax machine, or went to it."""
    found, ends = [], tuple(forms)
    for cdr in filter(None, map(CDRs(connection).get, calls)):
        faxes = cdr.get("fax") or []
        if any((number or "").endswith(ends) for number in (cdr.get("caller"), cdr.get("called"), *(fax.get("station") for fax in faxes))):
            found += [fax["document"] for fax in faxes if call_of(fax["document"]) == cdr["call"]]
    return found


def plain_upto(connection):
    """(number of the last row of the journal, of the last CDR) that may hold what is personal themselves; 0: none does."""
    found = dict(connection.execute("SELECT name, value FROM counter WHERE name IN ('plain.journal', 'plain.cdr')").fetchall())
    return found.get("plain.journal", 0), found.get("plain.cdr", 0)


def newest_key(connection):
    """What is written from now on is not the erased person's any more."""
    return connection.execute("SELECT coalesce(max(key), 0) FROM personal").fetchone()[0]


def numbers_of(connection, forms, upto):
    """[(key, its call or None)] of a number, with keys up to one; first what ends in it in the same calls: as it was dialled, behind a prefix of ours or a carrier's."""
    marks, ends = ",".join("?" * len(forms)), tuple(forms)
    found = [tuple(row) for row in connection.execute("SELECT key, call FROM personal WHERE number IN (%s) AND key <= ? ORDER BY key" % marks, (*forms, upto))]
    dialled = [(key, call) for call in sorted({call for _, call in found if call is not None})
               for key, number in connection.execute("SELECT key, number FROM personal WHERE call = ? AND number IS NOT NULL AND key <= ?", (call, upto)).fetchall()
               if number not in ends and number.endswith(ends)]
    return dialled + found


def values_of(connection, call):
    """[(key, JSON that is read from now on)] of all that a caller keyed, said or was called by in a call, and of the numbers in it."""
    return _without(connection.execute("SELECT key, value FROM personal WHERE call = ? AND value IS NOT NULL AND erased IS NULL", (call,)).fetchall())


def notes_of(connection, keys):
    """The same of what was noted beside numbers in records of no call.  keys: of the numbers."""
    found = set()
    for key in keys:
        row = connection.execute("SELECT kind, data FROM journal WHERE seq = (SELECT seq FROM personal WHERE key = ?)", (key,)).fetchone()
        if row is not None and row[0] == LISTED:
            found.update(inner for number, note in json.loads(row[1])["rows"] if key in named(number) for inner in named(note))
        elif row is not None and row[0] in OF_NUMBER and key in named(row[1]):
            found |= named(row[1])
    return _without(connection.execute("SELECT key, value FROM personal WHERE key IN (SELECT value FROM json_each(?)) AND value IS NOT NULL AND erased IS NULL",
                                       (json.dumps(sorted(found)),)).fetchall())


def _without(rows):
    found = []
    for key, value in rows:
        found.append((key, ENCODE(emptied(json.loads(value)))))
        found += [(inner, "") for inner in sorted(named(value))]
    return found


def erase(connection, rows, erasure):
    """rows: [(key, what is read from now on)] (inside the caller's transaction)."""
    connection.executemany("UPDATE personal SET number = NULL, value = ?, erased = ? WHERE key = ?", [(text, erasure, key) for key, text in rows])
    forget(connection)


def rows_with(connection, forms, after, upto):
    """([(seq, kind, call, data)] of the journal's rows in (after, after + WIDE] that hold the number, the last number looked at)."""
    end = min(after + WIDE, upto)
    having = " OR ".join(["instr(data, ?)"] * len(forms))
    rows = connection.execute("SELECT seq, kind, call, data FROM journal WHERE seq > ? AND seq <= ? AND kind <> ? AND (%s)" % having,
                              (after, end, CHECKPOINT, *forms))
    return [tuple(row) for row in rows], end


def alone(forms):
    """Finds a number in a dump that is no part of a longer one, nor of a tag or Call-ID in hexadecimal; behind an escape of a URI (%2B) it is one."""
    return re.compile("(?:(?<![0-9A-Fa-f])|(?<=%%[0-9A-Fa-f]{2}))(?:%s)(?![0-9A-Fa-f])" % "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))


def _unescaped(text):
    """JSON without escapes: \\u4e2d ends in hexadecimal.  What cannot be read stays as it is."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except ValueError:
        return text


def machines_with(connection, forms):
    """(how many dumps of calls, and messages that may not have left, hold the number, names of other dumps that do: lines, trunks, telephones).

    The former end with the call, or with the next base of what was pruned; the latter may stand for ever."""
    text = " OR ".join(["instr(state, ?)"] * len(forms))
    octets = " OR ".join(["instr(octets, ?)"] * len(forms))
    stands = alone(forms)
    names = [name for name, state in connection.execute("SELECT name, state FROM machine WHERE " + text, tuple(forms))
             if stands.search(_unescaped(state))]
    ending = [name for name in names if OF_CALLS.match(name)]
    return (len(ending) + connection.execute("SELECT count(*) FROM outbox WHERE " + octets, tuple(form.encode() for form in forms)).fetchone()[0],
            sorted(set(names) - set(ending)))


def rows_of(connection, call, upto):
    """[(seq, kind, call, data)] of a call."""
    return [tuple(row) for row in connection.execute("SELECT seq, kind, call, data FROM journal WHERE call = ? AND seq <= ? ORDER BY seq", (call, upto))]


def cdrs_with(connection, forms, after, upto):
    """([(number, call, body)] of the next WIDE CDRs, up to a number, that hold the number, the last number looked at or None at the end)."""
    last = connection.execute("SELECT max(number) FROM (SELECT number FROM cdr WHERE number > ? AND number <= ? ORDER BY number LIMIT ?)", (after, upto, WIDE)).fetchone()[0]
    if last is None:
        return [], None
    having = " OR ".join(["instr(body, ?)"] * len(forms))
    rows = connection.execute("SELECT number, call, body FROM cdr WHERE number > ? AND number <= ? AND (%s)" % having, (after, last, *forms))
    return [tuple(row) for row in rows], last


def write_rows(connection, rows):
    """rows: [(seq, text)] (inside the caller's transaction)."""
    connection.executemany("UPDATE journal SET data = ? WHERE seq = ?", [(text, seq) for seq, text in rows])


def write_cdr(connection, number, text):
    """One CDR anew (inside the caller's transaction)."""
    body = json.loads(text)
    connection.execute("UPDATE cdr SET caller = ?, called = ?, body = ? WHERE number = ?", (
        body.get("caller"), body.get("called"), json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True), number))
