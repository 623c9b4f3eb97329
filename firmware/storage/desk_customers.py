"""Customers of the desk: lookup by number, changes, import by CSV, erasure.  db: the connection of desk.py; all in its thread.

A number is kept as the digits that are dialled in the country: "+86 139-1234-5678", "0086139..." and "0139..." (some carriers put the 0
before a mobile number) are one.  A caller's number is looked for in each of the forms that it may have been kept in."""

import csv
import io
import json
import re
import secrets

from firmware.errors import LocalError
from firmware.storage.desk import transaction

FIELDS = ("name", "company", "level", "email", "address", "note")        # of the body; others as desk.customer_fields says
LONGEST = 500
MOST_NUMBERS = 20
MOST_ROWS = 100_000
MOST_ERRORS = 100
SCANNED = 2000          # rows of words looked through at a time by an erasure; ours
COUNTRY = "86"
# What a cell begins with that the export guarded against spreadsheets.
_GUARDED = re.compile(r"'[=+\-@\t\r]")


class BadRows(LocalError):
    """Rows that cannot be taken; errors: [{"line", "field", "advice"}]."""

    def __init__(self, errors):
        super().__init__("line %(line)s, %(field)s: %(advice)s" % errors[0])
        self.errors = errors


def plain(number, country=COUNTRY):
    """A number in the form in which it is kept, or None where it is none."""
    text = re.sub(r"[\s().\-/]", "", number or "")
    if not re.fullmatch(r"\+?[0-9*#]{2,32}", text):
        return None
    if text.startswith("+" + country):
        text = text[len(country) + 1:]
    elif text.startswith("00" + country):
        text = text[len(country) + 2:]
    elif text.startswith("+"):
        text = "00" + text[1:]
    if country == "86" and re.fullmatch(r"0?1[3-9][0-9]{9}", text):
        return text[-11:]
    if country == "86" and re.fullmatch(r"[2-9][0-9]{9,10}", text):        # an area code that has lost its 0 abroad
        return "0" + text
    return text


def _row(db, row):
    if row is None:
        return None
    numbers = [one[0] for one in db.execute("SELECT number FROM customer_number WHERE customer = ? ORDER BY place", (row[0],))]
    return {"customer": row[0], "revision": row[1], "external": row[2], "owner": row[3], "changed_ms": row[4], "numbers": numbers,
            **json.loads(row[5])}


def get(db, key):
    """A customer as plain data, or None."""
    return _row(db, db.execute("SELECT * FROM customer WHERE id = ?", (key,)).fetchone())


def by_number(db, number, country=COUNTRY):
    """Ids of the customers who have a number, the one changed last first."""
    forms = {plain(number, country), number}
    marks = ",".join("?" * len(forms))
    return [row[0] for row in db.execute(
        "SELECT DISTINCT c.id FROM customer_number n JOIN customer c ON c.id = n.customer WHERE n.number IN (%s) "
        "ORDER BY c.changed_ms DESC, c.id LIMIT 10" % marks, tuple(forms))]


def page(db, text=None, after=None, limit=50):
    """Customers in order of their ids; text: in name, company, number or key of the own system."""
    where, values = ["id > ?"], [after or ""]
    if text:
        like = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        where.append("(body LIKE ? ESCAPE '\\' OR external LIKE ? ESCAPE '\\' OR id IN (SELECT customer FROM customer_number WHERE number LIKE ? ESCAPE '\\'))")
        values += [like, like, like]
    rows = db.execute("SELECT * FROM customer WHERE %s ORDER BY id LIMIT ?" % " AND ".join(where), (*values, limit)).fetchall()
    return [_row(db, row) for row in rows]


def check(given, agents, extra=(), country=COUNTRY):
    """(row to be kept, errors [(field, advice)]) of a customer as plain data."""
    errors, body = [], {}
    known = {"numbers", "external", "owner", *FIELDS, *extra}
    for name in given:
        if name not in known:
            errors.append((name, "is no field of a customer; use %s" % ", ".join(sorted(known))))
    for name in (*FIELDS, *extra):
        value = given.get(name) or ""
        if not isinstance(value, str) or len(value) > LONGEST or any(ord(c) < 32 and c not in "\n\t" for c in value):
            errors.append((name, "must be a text of at most %d characters" % LONGEST))
        elif value:
            body[name] = value
    numbers = given.get("numbers") or []
    if not isinstance(numbers, list) or len(numbers) > MOST_NUMBERS:
        errors.append(("numbers", "must be a list of at most %d numbers" % MOST_NUMBERS))
        numbers = []
    kept = []
    for number in numbers:
        found = plain(number, country) if isinstance(number, str) else None
        if found is None:
            errors.append(("numbers", "%r is no telephone number; give digits, with + in front if you like" % str(number)[:40]))
        elif found not in kept:
            kept.append(found)
    external, owner = given.get("external") or None, given.get("owner") or None
    if external is not None and (not isinstance(external, str) or len(external) > 64 or not external.isprintable()):
        errors.append(("external", "must be a text of at most 64 printable characters"))
    if owner is not None and (not isinstance(owner, str) or owner not in agents):
        errors.append(("owner", "there is no agent %r; create the agent first or leave it empty" % str(owner)[:40]))
    if not body.get("name") and not kept and not errors:
        errors.append(("name", "is empty, and so are the numbers; give one of them"))
    return {"external": external, "owner": owner, "numbers": kept, "body": body}, errors


def _write(db, key, revision, row, now_ms):
    db.execute("INSERT INTO customer VALUES (?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET revision=excluded.revision, external=excluded.external, "
               "owner=excluded.owner, changed_ms=excluded.changed_ms, body=excluded.body",
               (key, revision, row["external"], row["owner"], now_ms, json.dumps(row["body"], ensure_ascii=False)))
    db.execute("DELETE FROM customer_number WHERE customer = ?", (key,))
    db.executemany("INSERT INTO customer_number VALUES (?,?,?)", [(number, key, place) for place, number in enumerate(row["numbers"])])


def put(db, key, row, now_ms, revision=None):
    """Write a customer; returns (key, revision).  key None: a new one.  revision: that the change began from.  Raises LocalError."""
    with transaction(db):
        before = db.execute("SELECT revision FROM customer WHERE id = ?", (key,)).fetchone() if key else None
        if key and before is None:
            raise LocalError("there is no customer %s" % key)
        if before and revision is not None and before[0] != revision:
            raise LocalError("customer %s was changed meanwhile (revision %d, yours began from %d); load it again and repeat the change" % (
                key, before[0], revision))
        other = db.execute("SELECT id FROM customer WHERE external = ? AND id <> ?", (row["external"], key or "")).fetchone()
        if other:
            raise LocalError("customer %s has the key %s already; change that one, or choose another key" % (other[0], row["external"]))
        key, revision = key or "p" + secrets.token_hex(6), before[0] + 1 if before else 1
        _write(db, key, revision, row, now_ms)
    return key, revision


def parse(text, agents, extra=(), country=COUNTRY):
    """[(line, row)] of a CSV file with a head line.  Raises BadRows; nothing is written here."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    ended, errors, rows, seen, alone = 0, [], [], {}, {}      # ended: the line in which the row before has its end

    def wrong(line, field, advice):
        errors.append({"line": line, "field": field, "advice": advice})
        if len(errors) >= MOST_ERRORS:
            raise BadRows(errors)
    try:
        heads = [head.strip() for head in next(reader, [])]
        known = ("numbers", "external", "owner", *FIELDS, *extra)
        for head in heads:
            if head not in known or heads.count(head) > 1:
                wrong(1, head[:40] or "(empty)", "is no column, or stands twice; the columns are %s" % ", ".join(known))
        if not heads:
            wrong(1, "(head)", "is missing; the first line names the columns: %s" % ", ".join(known))
        ended = reader.line_num
        for cells in reader:
            line, ended = ended + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(heads):
                wrong(line, "(line)", "has %d cells, the head has %d; put cells with commas in quotes" % (len(cells), len(heads)))
                continue
            given = {head: (cell[1:] if _GUARDED.match(cell) else cell).strip() for head, cell in zip(heads, cells)}
            given["numbers"] = [number for number in re.split(r"[;\n]|\s{2,}", given.get("numbers") or "") if number.strip()]
            row, bad = check(given, agents, extra, country)
            for field, advice in bad:
                wrong(line, field, advice)
            if row["external"] is not None and row["external"] in seen:
                wrong(line, "external", "%s stands in line %d already; keep one of them" % (row["external"], seen[row["external"]]))
            seen.setdefault(row["external"], line)
            if row["external"] is None and row["numbers"]:          # load() would put this row in the place of the other
                if row["numbers"][0] in alone:
                    wrong(line, "numbers", "%s stands in line %d already, and neither has a key in external; give both one, or keep one of them" % (
                        row["numbers"][0], alone[row["numbers"][0]]))
                for number in row["numbers"]:
                    alone.setdefault(number, line)
            rows.append((line, row))
            if len(rows) > MOST_ROWS:
                wrong(line, "(file)", "has more than %d customers; import it in parts" % MOST_ROWS)
                raise BadRows(errors)
    except csv.Error as error:
        wrong(ended + 1, "(line)", "is no CSV: %s; look for a quote that is not closed, or is followed by something else than a comma" % error)
    if errors:
        raise BadRows(errors)
    return rows


def load(db, rows, now_ms):
    """Write imported rows, all or none: who has the same key in the own system, or without one the same numbers, is replaced.
    Returns {"added", "changed"}."""
    added = changed = 0
    with transaction(db):
        for _, row in rows:
            found = None
            if row["external"] is not None:
                found = db.execute("SELECT id, revision FROM customer WHERE external = ?", (row["external"],)).fetchone()
            elif row["numbers"]:
                found = db.execute("SELECT c.id, c.revision FROM customer c JOIN customer_number n ON n.customer = c.id WHERE n.number = ? AND "
                                   "c.external IS NULL ORDER BY c.id LIMIT 1", (row["numbers"][0],)).fetchone()
            if found:
                changed += 1
                _write(db, found[0], found[1] + 1, row, now_ms)
            else:
                added += 1
                _write(db, "p" + secrets.token_hex(6), 1, row, now_ms)
    return {"added": added, "changed": changed}


def erase(db, key):
    """Erase a customer and every text that names the customer.  Returns how many texts; raises LocalError where there is none."""
    with transaction(db):
        if not db.execute("DELETE FROM customer WHERE id = ?", (key,)).rowcount:
            raise LocalError("there is no customer %s" % key)
        db.execute("DELETE FROM customer_number WHERE customer = ?", (key,))
        texts = db.execute("DELETE FROM text WHERE customer = ? OR key IN (SELECT key FROM ticket WHERE customer = ?)", (key, key)).rowcount
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")       # nor does it stay in the log file
    return texts


def erase_calls(db, calls):
    """Erase the texts that belong to calls: notes, what a lookup said.  Returns how many."""
    with transaction(db):
        texts = sum(db.execute("DELETE FROM text WHERE call = ?", (call,)).rowcount for call in calls)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return texts


def forget(db, table, after, clean):
    """Change what others' words say of a person, SCANNED rows of `text` or `customer` at a time.  clean(plain data) -> the same without the person.
    Returns (rows changed, where to go on or None)."""
    name = {"text": "key", "customer": "id"}[table]
    rows = db.execute("SELECT %s, body FROM %s WHERE %s > ? ORDER BY %s LIMIT ?" % (name, table, name, name), (after, SCANNED)).fetchall()
    changed = []
    for key, body in rows:
        new = json.dumps(clean(json.loads(body)), ensure_ascii=False)
        if new != json.dumps(json.loads(body), ensure_ascii=False):
            changed.append((new, key))
    with transaction(db):
        db.executemany("UPDATE %s SET body = ? WHERE %s = ?" % (table, name), changed)
    if changed:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return len(changed), rows[-1][0] if len(rows) == SCANNED else None


def export(db, extra=()):
    """All customers as CSV: UTF-8 with a mark, CRLF, no cell that a spreadsheet would calculate."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    heads = ("external", "numbers", "owner", *FIELDS, *extra)
    writer.writerow(heads)
    for row in db.execute("SELECT * FROM customer ORDER BY id").fetchall():
        customer = _row(db, row)
        customer["numbers"] = ";".join(customer["numbers"])
        writer.writerow([("'" + cell if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell) for cell in
                         (str(customer.get(head) or "") for head in heads)])
    return b"\xef\xbb\xbf" + out.getvalue().encode()
