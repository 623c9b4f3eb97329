"""What is personal in the journal and the CDRs stands in rows of its own: the table `personal`.

At the border of this room a record's telephone numbers, and what a caller keyed, said or was called by, are replaced by keys; whoever
reads gets them back at the same border, so nobody above knows of it.  A row that is erased keeps its key and says so in place of
the value: every record, CDR and export that names the key reads "erased-e7", or nothing of the same kind, and is not written anew.

    number   any 5 digits or more in any text, at any depth, names of fields included; not ids ("c12345").  In the text: MARK key MARK
    value    a field that is personal by its name, of a record of a call or of a number that is to be called, as JSON; numbers in it are keyed
             again.  "MARK = key MARK"
    MARK     a character that Unicode keeps from being text (U+FDD0); one that comes in all the same is written as MARK ! MARK

A row belongs to one call, or to one record without a call, and goes with the last row that names it (storage/retention.py).  A number has
a row in each call that names it, so the index on numbers finds a person's calls, and nothing is looked up when a record is written: which
keys a call has already is remembered for the newest calls (Keys, on the writing connection); a second row for the same number does no harm.
Values are written in the transaction of the record that names them.  Rows that older firmware wrote hold what is personal themselves and no
MARK: they are read as they are, and erased in place (storage/erasure.py).
Checkpoints, dumps of machines and turns that wait for a full disk hold numbers openly: they are replaced while they are in use, and
a machine could not work with keys.
"""

import json
import re
import sqlite3

from firmware.jsontext import encoder

ENCODE = encoder()

MARK = "\ufdd0"
LITERAL = MARK + "!" + MARK
ODD = re.compile("[0-9]{5}|" + MARK).search
# Digits that stand alone, and are no id: one letter of core.ids at the beginning of a word.
NUMBER = re.compile("(?<![0-9])(?<!^[a-z])(?<![^0-9A-Za-z][a-z])[0-9]{5,}")
KNOWN = 20_000          # numbers of calls whose keys are remembered, about 4 MB; invented

# Fields that hold what is personal beside the number, of records and CDRs of the person's calls.
PERSONAL = frozenset(("caller_name", "names", "carried", "user_to_user", "text", "note", "words", "variables", "set", "input", "entry", "ahead", "error"))
FLOW = frozenset(("ivr.moved", "ivr.told", "ivr.asked", "ivr.answered"))
# ... of which these stay: where the caller was, not what was keyed, said or answered.
PLACES = frozenset(("position", "node", "waiting", "language", "flow", "token", "ask", "service", "ok", "deadline_ms"))
# Records that may be of no call: all in them is about one number; rows of numbers with a note each.
OF_NUMBER, LISTED = frozenset(("callback.asked", "fax.asked")), "campaign.loaded"
NUMBERS, FIELDS, STEP = range(3)
PLAIN, PLAIN_MOST = set(), 32       # names of fields, not longer than this, in which no number stands: a service's names (variables) may be of any length
# In the JSON text of data: a number in a string (an integer stands behind a name's `":`), and a field of PERSONAL that is not empty.
FIVE = re.compile("[0-9][0-9][0-9][0-9][0-9]").search           # asked first: it takes a tenth of the time of what follows
IN_TEXT = re.compile(r'(?<![0-9])(?<![0-9A-Za-z_]":)(?<![^0-9A-Za-z][a-z])[0-9]{5}').search
NAMED = re.compile(r'"(?:%s)":(?!null|""|\[\]|\{\}|false)' % "|".join(sorted(PERSONAL))).search
NAMES = frozenset(("trunk_group", "service", "node", "flow", "token"))      # of the configuration, and of ours: no person's


def _is_odd(name):
    """Whether a number or a MARK may stand in the name of a field."""
    if type(name) is not str:
        return False
    if ODD(name):
        return True
    if len(name) <= PLAIN_MOST and len(PLAIN) < KNOWN:
        PLAIN.add(name)
    return False


def suspect(text):
    """Whether split() may find something in data, by their JSON text: a number, a personal field, MARK, or an escape, behind which any of these may hide.
    Most records have none, and this costs a tenth of a split."""
    return "\\" in text or MARK in text or FIVE(text) is not None and IN_TEXT(text) is not None or NAMED(text) is not None


class Keys:
    """Gives keys.  connection: the writing one."""

    def __init__(self, connection):
        self._db, self._next, self._known = connection, None, {}
        self._call, self._rows, self._inner = None, [], False
        self._suspect = {}          # kind of record: whether the last one was worth a split

    def clear(self):
        """What was written may be gone, or erased: no key is used again."""
        self._known.clear()

    def split(self, kind, call, data):
        """(data with keys, [(key, call, number, value)] to be written with it).  kind: of a record; None: a CDR.  The data stay as they are."""
        self._call, self._rows = call, []
        if kind == LISTED:
            found = {**self._dict({name: inner for name, inner in data.items() if name != "rows"}, NUMBERS), "rows": [[self._one(number, NUMBERS), self._value(note) if note else note] for number, note in data["rows"]]}
        elif call is None and kind not in OF_NUMBER:
            found = self._dict(data, NUMBERS)
        elif kind in FLOW:
            found = self._dict(data, STEP)
        elif kind == "leg.streamed" and data.get("value"):      # what was recognised, or any message that the service made of it
            found = {**self._dict({name: inner for name, inner in data.items() if name != "value"}, FIELDS), "value": self._value(data["value"])}
        else:
            found = self._dict(data, FIELDS)
        return found, self._rows

    def encoded(self, kind, call, data):
        """(JSON text of the data with keys, rows as split() gives them) of a record."""
        if not self._suspect.get(kind) and kind not in FLOW and kind != LISTED and kind != "leg.streamed":
            text = ENCODE(data)
            if not suspect(text):
                return text, None
        found, rows = self.split(kind, call, data)
        self._suspect[kind] = found is not data
        return ENCODE(found), rows

    def write(self, seq, rows):
        """Rows of split() (inside the caller's transaction).  seq: of the record."""
        self._db.executemany("INSERT INTO personal (seq, key, call, number, value) VALUES (?, ?, ?, ?, ?)", [(seq, *row) for row in rows])

    def _new(self):
        if self._next is None:
            self._next = self._db.execute("SELECT coalesce(max(key), 0) FROM personal").fetchone()[0]
        self._next += 1
        return self._next

    def _number(self, match):
        mine = (self._call, match.group(), self._inner)
        key = self._known.get(mine)
        if key is None:
            key = self._new()
            self._rows.append((key, self._call, match.group(), None))
            if self._call is not None:
                if len(self._known) >= KNOWN:           # the oldest half; calls are short
                    self._known = dict(list(self._known.items())[KNOWN // 2:])
                self._known[mine] = key
        return "%s%d%s" % (MARK, key, MARK)

    def _value(self, value):
        self._inner = True          # a number in it is not shared with fields that stay when the value is erased
        try:
            text = ENCODE(self._one(value, NUMBERS))
        finally:
            self._inner = False
        key = self._new()
        self._rows.append((key, self._call, None, text))
        return "%s=%d%s" % (MARK, key, MARK)

    def _text(self, text):
        if MARK in text:
            text = text.replace(MARK, LITERAL)
        return NUMBER.sub(self._number, text)

    def _dict(self, value, way):
        """A dict with keys in place of what is personal; itself where nothing is.  way: NUMBERS; FIELDS that are personal by name, too; STEP: the same of a flow."""
        new, odd = None, False
        for name, old in value.items():
            if name not in PLAIN and _is_odd(name):
                odd = True
            kind = type(old)
            if way == FIELDS and name in PERSONAL:
                if not old:
                    continue
                found = self._value(old)
            elif way == STEP and name not in PLACES:
                if not old or kind is int or kind is float or kind is bool:         # as such they are counts
                    continue
                found = self._value(old)
            elif kind is str:
                if len(old) < 5 and old.isascii() or not ODD(old) or name in NAMES and MARK not in old:
                    continue
                found = self._text(old)
            elif kind is dict:
                found = self._dict(old, way)
            elif kind is list or kind is tuple:
                found = self._list(old, NUMBERS if way == STEP else way)
            else:
                continue
            if found is not old:
                if new is None:
                    new = dict(value)
                new[name] = found
        if odd:
            new = {self._text(name) if type(name) is str else name: found for name, found in (new or value).items()}
        return value if new is None else new

    def _list(self, value, way):
        new = [self._one(inner, way) for inner in value]
        return new if any(a is not b for a, b in zip(new, value)) else value

    def _one(self, value, way):
        kind = type(value)
        if kind is str:
            return self._text(value) if ODD(value) else value
        if kind is dict:
            return self._dict(value, way)
        return self._list(value, way) if kind is list or kind is tuple else value


class Writing(sqlite3.Connection):
    """The writing connection, with the keys that it knows."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.keys = Keys(self)


def keys_of(connection):
    """The keys of a connection that writes; of one that is not the Database's nothing is remembered."""
    return connection.keys if isinstance(connection, Writing) else Keys(connection)


def forget(connection):
    """Rows of `personal` were changed: what is remembered of them counts no more."""
    if isinstance(connection, Writing):
        connection.keys.clear()


def _parts(text):
    """[text, token, text, token ... text] of a text; of one that older firmware wrote, with a MARK of somebody's own, itself alone."""
    parts = text.split(MARK)
    if len(parts) % 2 and all(token == "!" or token.removeprefix("=").isdecimal() for token in parts[1::2]):
        return parts
    return [text]


def named(text):
    """Keys that a text names, as a set."""
    return {int(token.removeprefix("=")) for token in _parts(text)[1::2] if token != "!"}


def told(connection, texts):
    """Texts (JSON, or columns of a CDR, or None) with what is personal in place of keys; as they are where they name none."""
    marked = [_parts(text) if text is not None and MARK in text else None for text in texts]
    wanted = {int(token.removeprefix("=")) for parts in marked if parts for token in parts[1::2] if token != "!"}
    found = {}
    while wanted:
        rows = connection.execute("SELECT key, coalesce(number, value) FROM personal WHERE key IN (SELECT value FROM json_each(?))",
                                  (json.dumps(list(wanted)),)).fetchall()
        found.update([(row[0], row[1]) for row in rows])
        wanted = {key for row in rows if MARK in row[1] for key in named(row[1])}.difference(found) if rows else None
    return [text if parts is None else _joined(parts, found) for text, parts in zip(texts, marked)]


def _joined(parts, found):
    for at in range(1, len(parts), 2):
        token = parts[at]
        if token == "!":
            parts[at] = MARK
        elif token[0] == "=":           # a whole string, with its quotes
            parts[at - 1], parts[at + 1] = parts[at - 1][:-1], parts[at + 1][1:]
            text = found.get(int(token[1:]), "null")            # null: it was pruned while this was read
            parts[at] = _joined(_parts(text), found) if MARK in text else text
        else:
            parts[at] = found.get(int(token), "erased")
    return "".join(parts)
