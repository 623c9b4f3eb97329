"""Spans that the board does not carry: commands bearers_set, bearer_order, bearers.

 bearers_set{rows: [{"span", "kind", ...}]} -> {"faults": {span as text: sentence}}     all of them: what is not named is the board's
 bearer_order{span, loop?, timeslot?, rai?, ais?}      loops and forced alarms of one, until the next order or the end of this process
 bearers{} -> {"ticks", "rows": [{"span", "row", "alarms", "figures", "ppm", ...}]}

Rows are those of boardconfig/bearers.py with the span's "type" and "crc4"; control has checked them.  A row that is the same again
is left alone, so a control that starts anew disturbs nobody.  A bearer that cannot be opened leaves its span without any:
control asks again.  A span in packets reserves its part of the tick as a leg does (admission.py), used or not."""

import logging

from drivers.tdm.cesopsn import Pseudowire
from drivers.tdm.dahdi import DAHDISpan
from firmware.errors import LocalError, StrowgerError
from firmware.media.checks import number, refuse

log = logging.getLogger("firmware.media.bearers")

PSEUDOWIRES = ("cesopsn", "satop")
OPENERS = {"cesopsn": Pseudowire, "satop": Pseudowire, "dahdi": DAHDISpan}
AGAIN_LOOKS = 10                # of control's, five a second: how often a card that was taken out is tried again; ours


class Bearers:
    """engine: Engine; table: Table, which tells when the tick has let go."""

    def __init__(self, engine, table, openers=None):
        self._engine, self._table = engine, table
        self._openers = openers or OPENERS
        self.running = {}               # span: bearer
        self._gone = {}                 # span: looks since its card was tried
        self._costs = {}                # span: ns a tick that are reserved for it

    def bearers_set(self, p):
        """Make it so; returns what cannot be."""
        rows = p.get("rows")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            refuse("bearers_set: rows is no list of bearers")
        wanted = {}
        for row in rows:
            span = number(row.get("span"), "bearers_set: span", 1, 64)
            if row.get("kind") not in self._openers:
                refuse("bearers_set: span %d is to be carried by %r; use one of %s" % (span, str(row.get("kind"))[:20], ", ".join(self._openers)))
            wanted[span] = {name: value for name, value in row.items() if name != "span"}
        for span in [span for span, bearer in self.running.items() if bearer.row != wanted.get(span)]:
            self._end(span)
        faults = {}
        for span, row in sorted(wanted.items()):
            if span in self.running:
                continue
            try:
                self._reserve(span, row)
                bearer = self._openers[row["kind"]](span, row)
            except (StrowgerError, KeyError, TypeError, ValueError) as error:
                self._release(span)
                faults[str(span)] = str(error) if isinstance(error, StrowgerError) else "media cannot use this bearer: %r" % error
                continue
            self.running[span] = bearer
            self._engine.set_bearer(span - 1, bearer.address)
            log.info("span %d: carried by %s", span, row)
        self._engine.commit()
        return {"faults": faults}

    def _reserve(self, span, row):
        """Room in the tick for a span in packets.  Raises LocalError where there is none."""
        if row["kind"] in PSEUDOWIRES:
            cost = self._table.admission.pseudowire_cost(row["packet_ms"])
            self._table.admission.reserve(0, cost, "span %d over packets" % span)
            self._costs[span] = cost

    def _release(self, span):
        cost = self._costs.pop(span, 0)
        if cost:
            self._table.admission.release(cost)

    def _end(self, span):
        bearer = self.running.pop(span)
        self._release(span)
        self._engine.set_bearer(span - 1, 0)
        bearer.leave()                  # its port may be wanted at once
        self._table.later(bearer.close)
        log.info("span %d: no longer carried by %s", span, bearer.row["kind"])

    def _again(self, span, old):
        try:
            bearer = self._openers[old.row["kind"]](span, old.row)
        except StrowgerError:
            return
        self.running[span] = bearer
        self._engine.set_bearer(span - 1, bearer.address)
        self._engine.commit()
        old.leave()
        self._table.later(old.close)
        self._gone.pop(span, None)
        log.warning("span %d: its card is back", span)

    def bearer_order(self, p):
        """Loops and forced alarms."""
        span = number(p.get("span"), "bearer_order: span", 1, 64)
        if span not in self.running:
            raise LocalError("span %d has no bearer of its own" % span)
        self.running[span].order(**{name: p[name] for name in ("loop", "timeslot", "rai", "ais") if name in p})
        return {}

    def bearers(self, p):
        """What is seen of all; a card that was taken out is tried again."""
        for span, bearer in list(self.running.items()):
            if getattr(bearer, "gone", False):
                self._gone[span] = self._gone.get(span, 0) + 1
                if self._gone[span] % AGAIN_LOOKS == 0:
                    self._again(span, bearer)
        return {"rows": [{"span": span, "row": bearer.row, **bearer.status()} for span, bearer in sorted(self.running.items())],
                "ticks": self._engine.ticks()}
