"""Configuration changes of PRI spans: in place where that is possible, else an orderly end and a new beginning.

in place  what the machine can take while calls are up (LIVING, the trunk group's settings).
restart   everything else, and a span that goes: `_close` tells the switchboard that its calls are over,
          releases each of them at the far end (cause 38) and refuses SETUPs (44, 38).  When the
          last call is gone, or after CLOSING_MS, media is asked to close the link; only its answer
          makes the span go.  If the configuration wants it still, it begins anew, with a RESTART:
          nothing of ours is up on it, and the far end shall not believe otherwise.

A kill in the middle: the row that a span was opened with and the end of its closing stand in its
dump; one whose row is not what the configuration has is closed by the next process.
All this goes on by timers, so a far end that says nothing costs CLOSING_MS and two LINGER_MS.
"""

import logging

from firmware.links.pri_span import ROWS, Span
from firmware.proto.q931 import codes

log = logging.getLogger(__name__)

LIVING = ("trunk_group",)   # settings of a span that need no restart of it
OTHERS = LIVING + ("r2", "cas")     # ... and those of another signalling
# What a row of before there were these settings meant.
SINCE = {"nfas": {"group": "", "interface": 0, "d_channel": "primary"}, "timers": {}, "restart_ignored": "alarm", "channel_numbering": "timeslot", "channel_form": "number"}
CLOSING_MS = 10000          # ours: T308 twice and the answers; a far end silent for longer meets the RESTART
LINGER_MS = 500             # ours: our last message and its layer 2 acknowledgement
CLOSE_AGAIN_MS = 1000       # ours: while media has not confirmed link_close


def wanted_spans(config):
    """{span number: (row, trunk group)} of the PRI spans in service that have a D channel of their own.

    The row of an NFAS group is that of the primary, with "members": the rows of all its spans, the primary's first."""
    groups = {group["name"]: group for group in config["trunk_groups"]}
    rows = [row for row in config["spans"] if row["enabled"] and row["signalling"] == "pri"]
    wanted = {}
    for row in rows:
        nfas = row.get("nfas") or {}
        if not nfas.get("group"):
            wanted[row["span"]] = (row, groups[row["trunk_group"]])
        elif nfas["d_channel"] == "primary":
            others = [other for other in rows if other is not row and (other.get("nfas") or {}).get("group") == nfas["group"]]
            wanted[row["span"]] = (dict(row, members=[row, *others]), groups[row["trunk_group"]])
    return wanted


def needs_restart(old, new):
    """Whether a span must restart to get from one row to another."""
    old = {"bearer": new.get("bearer"), **old}          # a dump of before there were bearers
    old, new = {**SINCE, **old}, {**SINCE, **new}
    return {key: old[key] for key in old if key not in OTHERS} != {key: new.get(key) for key in {**old, **new} if key not in OTHERS}


class SpanChanges:
    """The half of SpanLinks that follows the configuration."""

    def _load_spans(self, machines, config):
        """At the start of the process: the spans of the dumps, and those that have none."""
        self._wanted = wanted_spans(config)
        saved = [int(name[5:]) for name in machines.names("q931/") if name.count("/") == 1]
        for number in sorted(set(saved) | set(self._wanted)):
            if number in saved:
                self._load_span(machines, number)
            else:
                self._new_span(number)

    def _load_span(self, machines, number):
        prefix = "q931/%d/" % number
        saved, wanted = machines.load(prefix[:-1]), self._wanted.get(number)
        row = saved.get("row") or (machines.load("%s%d" % (ROWS, number)) or {}).get("row")
        if row is None and wanted is not None:      # a dump of before rows were kept
            row = dict(wanted[0], side=saved["side"], variant=saved["variant"])
        if row is None:
            self._removed.append(prefix[:-1])
            return
        stays = wanted is not None and not needs_restart(row, wanted[0])
        calls = {name[len(prefix):]: machines.load(name) for name in machines.names(prefix)}
        span = Span(*(wanted if stays else (row, None)), saved, calls)
        span.condemned = not stays and span.closing_ms is None
        self._add(span)

    def _new_span(self, number):
        span = Span(*self._wanted[number])
        span.machine.restart(0)                     # sent when the link is up
        self._add(span)

    def configure(self, config, now_ms):
        """Spans added, changed or removed."""
        self._wanted = wanted_spans(config)
        for number, span in sorted(self.spans.items()):
            wanted = self._wanted.get(number)
            if wanted is None or needs_restart(span.row, wanted[0]):
                self._close(span, now_ms)
            elif span.closing_ms is None:
                span.condemned = False
                span.change(*wanted)
                self._touch(span)
        self._begin_new(now_ms)

    def _begin_new(self, now_ms):
        for number in sorted(set(self._wanted) - set(self.spans)):
            self._new_span(number)
            if self.media.serving:
                self._open(self.spans[number], True, now_ms)

    def _close(self, span, now_ms):
        """Begin to end a span: nobody is left waiting, no SETUP is taken."""
        span.condemned = False
        if span.closing_ms is not None:
            return
        log.warning("span %d: closing for a change of the configuration, %d calls are released", span.number,
                    len(span.calls))
        span.closing_ms = now_ms + CLOSING_MS
        span.machine.blocked = list(span.machine.config["timeslots"])
        for call in sorted(span.calls):
            self._gone(span, call, codes.NETWORK_OUT_OF_ORDER, "near")
            if span.machine.up:
                self._request(span, "release_request", call, now_ms, cause=codes.NETWORK_OUT_OF_ORDER)
        self._tell(span)
        self._take(span, [], now_ms)

    def _hasten(self, span, now_ms):
        """After each step: a closing span waits no longer than it has calls that can be released."""
        if span.closing_ms is not None and not span.closed:
            wait_ms = 0 if not span.machine.up else LINGER_MS if not span.machine.calls() else CLOSING_MS
            span.closing_ms = min(span.closing_ms, now_ms + wait_ms)

    def _shut(self, span, now_ms):
        """The link goes: first DISC, then the link in media, again until that has said so."""
        if span.machine.up and not span.farewell:
            if span.machine.calls():
                log.error("span %d: the far end did not release %d calls in %d s", span.number,
                          len(span.machine.calls()), CLOSING_MS // 1000)
            span.farewell = True
            span.closing_ms = now_ms + LINGER_MS
            self._out += [(link, "dl_release_request", b"") for link in sorted(span.links)]     # DISC: the far end knows at once
            self._touch(span)
            return
        span.closed = True
        span.closing_ms = now_ms + CLOSE_AGAIN_MS
        self._touch(span)

        left = set(span.links)

        def done(link):
            def closed(reply, now_ms):
                left.discard(link)
                if not left and self.spans.get(span.number) is span:
                    self._forget_span(span)
                    self._begin_new(now_ms)
            return closed
        for link in sorted(span.links):
            self.media.command("link_close", done(link), link=link)

    def _forget_span(self, span):
        number = span.number
        del self.spans[number]
        self._deadlines.pop(number, None)
        self._touched.pop(number, None)
        self._removed.append("q931/%d" % number)
        self._out = [row for row in self._out if row[0] not in span.links]
