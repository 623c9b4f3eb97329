"""Bit error tests in timeslots: commands bert_start, bert_stop, bert_insert, berts.

 bert_start{id, span, timeslots:[...], pattern, octet?}    a test of those timeslots as one stream of bits
 bert_insert{id, errors}                                   wrong bits, one an octet, counted exactly by whoever receives
 bert_stop{id}                                             the timeslots are idle again
 berts{} -> {"berts": [figures]}

A timeslot that is in use refuses a test, one under test refuses to be used (cause 44).  Figures count from the start:
bits and errors while in step, es and ses in seconds of 100 blocks (G.821: 10^-3 is a severely errored second), losses of step."""

import secrets

from firmware.media.checks import check_id, number, refuse

PATTERNS = ("prbs9", "prbs11", "prbs15", "prbs23", "qrss", "fixed")


class Berts:
    """All tests.  engine: Engine; table: Table, which knows what is in use."""

    def __init__(self, engine, table, most):
        self._engine, self._table = engine, table
        self._free = list(range(most - 1, -1, -1))
        self._running = {}              # id: (index, serial, rows, parameters)

    def bert_start(self, p):
        """Begin a test; the same again changes nothing."""
        name = check_id(p.get("id"), "bert_start: id")
        pattern = p.get("pattern", "prbs15")
        if pattern not in PATTERNS:
            refuse("bert_start: pattern is %r; use one of %s" % (str(pattern)[:20], ", ".join(PATTERNS)))
        octet = number(p.get("octet", 0xFF), "bert_start: octet", 0, 255)
        span = number(p.get("span"), "bert_start: span", 1, 64)
        timeslots = p.get("timeslots")
        if not isinstance(timeslots, list) or not timeslots:
            refuse("bert_start: timeslots are missing; give a list of numbers from 1 to 31")
        timeslots = sorted({number(timeslot, "bert_start: timeslot", 1, 31) for timeslot in timeslots})
        parameters = {"span": span, "timeslots": timeslots, "pattern": pattern, "octet": octet if pattern == "fixed" else None}
        if name in self._running:
            if self._running[name][3] == parameters:
                return {}
            refuse("bert_start: test %s runs with other parameters; stop it first" % name)
        if not self._free:
            refuse("all %d tests are in use; stop one" % len(self._running), 47)
        rows = []
        try:
            for timeslot in timeslots:
                rows.append(self._table.take_row(span, timeslot, "test " + name))
        except Exception:
            for row in rows:
                del self._table.rows[row]
            raise
        index, serial = self._free.pop(), secrets.randbits(31) | 1
        self._engine.bert(index, serial, span - 1, sum(1 << timeslot for timeslot in timeslots), PATTERNS.index(pattern), octet)
        self._engine.commit()
        self._running[name] = (index, serial, rows, parameters)
        return {}

    def bert_stop(self, p):
        """End a test; one that is not there is no error.  Returns its last figures."""
        held = self._running.pop(check_id(p.get("id"), "bert_stop: id"), None)
        if held is None:
            return {}
        last = self._figures(p["id"], held)
        index, _, rows, _ = held
        self._engine.bert(index, 0, 0, 0, 0, 0)
        for row in rows:
            del self._table.rows[row]
        self._table.later(lambda: self._free.append(index))
        return {"bert": last}

    def bert_insert(self, p):
        """Send wrong bits."""
        held = self._running.get(check_id(p.get("id"), "bert_insert: id"))
        if held is None:
            refuse("bert_insert: no test %s runs" % str(p.get("id"))[:40], 98)
        self._engine.bert_insert(held[0], number(p.get("errors", 1), "bert_insert: errors", 1, 100000))
        self._engine.commit()
        return {}

    def berts(self, p):
        """Figures of all."""
        return {"berts": [self._figures(name, held) for name, held in sorted(self._running.items())]}

    def _figures(self, name, held):
        return {"id": name, **held[3], **self._engine.bert_figures(held[0], held[1])}
