"""PRI channels managed by people, and those whose RESTART nobody answers.

    lock      no new calls on a channel, its call is released (cause 41); SETUP for it is refused with 44 where it is exclusive (Q.931
              5.2.3.1), and moved where it is preferred; a variant with SERVICE tells the far end "out of service"
    drain     the same, but a call that stands goes on
    unlock    in service again
              either lets an emergency call in (SETUP with the whole number), and out where no other circuit is to be had
    restart   RESTART of the channels (5.5): their calls end
    switch    the D channel that stands by takes over (NFAS with back-up)

A RESTART that the far end ignores (T316 twice, 5.5.1.1) raises the alarm restart_ignored of the span; where its configuration says "block", the
channels are out of service until a person unlocks them or the far end answers a later RESTART.  What is locked and why is in the span's
dump: a restart of control forgets none of it.
"""

import logging

from firmware.errors import LocalError
from firmware.links.adapter import tell_restarted

log = logging.getLogger(__name__)

CHANNEL_VERBS = ("lock", "drain", "unlock", "restart")
LOCKED, IGNORED = "locked", "restart_ignored"       # why a channel is out of service
TEMPORARY_FAILURE = 41
SIDES = {"user": "no data link; we are the user side, the far end must be the network", "network": "no data link; we are the network side, the far end must be the user"}


class Management:
    """The half of SpanLinks that people command.  Raises LocalError with a sentence; a turn's functions."""

    report_alarm = None         # function(span, sentence or None, now_ms) of who keeps the alarms

    def _say_ignored(self, span, now_ms):
        for number in sorted(span.members) if self.report_alarm is not None else ():
            slots = [span.place(channel)[1] for channel in span.restarts_failed if span.place(channel)[0] == number]
            self.report_alarm(number, "RESTART of timeslots %s was not answered twice%s" % (
                ", ".join(map(str, slots)), "; they are out of service" if span.row.get("restart_ignored") == "block" else "") if slots else None, now_ms)

    def data_links(self):
        """{span with a D channel: a sentence where none of its group has a data link though the line is good, "" where that is not so, None: not known}.

        One that a person locked, or that comes to its end, is what was wanted.  Of a group one span is told: the first whose line is good."""
        found = {}
        for span in self.spans.values():
            if span.closing_ms is not None or span.condemned or span.open_links or {channel for channel, why in span.locked if why == LOCKED} >= set(
                    span.machine.config["timeslots"]):
                found.update(dict.fromkeys(span.links, ""))
            elif not span.opened or any(link not in span.alarmed for link in span.links):
                found.update(dict.fromkeys(span.links))
            else:
                good = [link for link in sorted(span.links) if span.state_of(link) != "alarm"]
                found.update({link: SIDES[span.row["side"]] if link in good[:1] else "" for link in span.links})
        return found

    def _managed(self, number):
        span = self.span_with(number) if isinstance(number, int) else None
        if span is None or span.closing_ms is not None:
            raise LocalError("there is no PRI span %s in service" % str(number)[:20])
        return span

    def manage_channels(self, number, verb, timeslots, now_ms):
        """One of CHANNEL_VERBS for some timeslots of a span (None: all)."""
        span = self._managed(number)
        if verb not in CHANNEL_VERBS:
            raise LocalError("channels take %s, not %r" % (", ".join(CHANNEL_VERBS), str(verb)[:40]))
        mine = [channel for channel in span.machine.config["timeslots"] if span.place(channel)[0] == number]
        chosen = mine if timeslots is None else [span.channel(number, timeslot) for timeslot in timeslots]
        for channel in chosen:
            if channel not in mine:
                raise LocalError("span %s has no bearer in timeslot %d" % (number, channel & 0xFF))
        log.warning("span %s: %s of %s, by hand", number, verb, "all timeslots" if timeslots is None else "timeslots %s" % timeslots)
        if verb == "restart":
            self._take(span, span.machine.restart(now_ms, chosen), now_ms)
            return
        if verb == "unlock":
            span.restarts_failed = [channel for channel in span.restarts_failed if channel not in chosen]
            self._say_ignored(span, now_ms)
        self._serve(span, chosen, None if verb == "unlock" else LOCKED, now_ms)
        if verb == "lock":
            for call in sorted(span.calls):
                if span.calls[call]["timeslot"] in chosen and span.calls[call]["leg"] is not None:
                    self._gone(span, call, TEMPORARY_FAILURE, "near")
                    if span.up:
                        self._request(span, "release_request", call, now_ms, cause=TEMPORARY_FAILURE)
                    else:
                        span.calls[call]["orphan"] = TEMPORARY_FAILURE
                        self._touch(span, call)

    def _serve(self, span, channels, why, now_ms):
        """Take channels out of service on our side for a reason, or (None) put them in service."""
        kept = [row for row in span.locked if row[0] not in channels]
        before = [row[0] for row in span.locked]
        span.locked = sorted(kept + [[channel, why] for channel in channels if why is not None])
        locked = [row[0] for row in span.locked]
        others = [channel for channel in span.machine.blocked if channel not in before]
        span.machine.blocked = sorted(set(others + locked))
        if span.machine.rules["maintenance"] is not None and why != IGNORED:
            for channel in channels:
                if why is not None or channel in before or channel in span.machine.near_status:
                    self._take(span, span.machine.service(now_ms, channel, "in_service" if why is None else "out_of_service"), now_ms)
        self._tell(span)
        self._touch(span)

    def switch_d_channel(self, number, now_ms):
        """The D channel that stands by takes over."""
        span = self._managed(number)
        if span.d_channels is None:
            raise LocalError("span %s has no back-up D channel" % number)
        if not span.d_channels.switch(now_ms):
            raise LocalError("no D channel of the group stands by; both data links must be up")
        log.warning("span %s: switch-over of the D channel, by hand", number)
        self._d_channels(span, now_ms)

    def described(self):
        """GET /v1/pri."""
        rows = []
        for _, span in sorted(self.spans.items()):
            for row in span.describe({}):
                member = span.members[row["span"]]
                rows.append({"span": row["span"], "variant": member["variant"], "side": member["side"], "state": row["state"], "alarms": row["alarms"],
                             "nfas": row.get("nfas"), "counters": row["counters"],
                             "timeslots": [{"timeslot": slot["timeslot"], "state": slot["state"], **slot.get("service", {"near": None, "far": None})}
                                           for slot in row["timeslots"] if slot["state"] != "d"]})
        return rows

    # -- events of the machine --

    def _on_restart_failed(self, span, event, now_ms):
        channels = event["timeslots"]
        log.error("span %d: the far end ignores RESTART of %d channels (T316 twice)", span.number, len(channels))
        span.restarts_failed = sorted(set(span.restarts_failed + channels))
        if span.row.get("restart_ignored") == "block":
            known = [row[0] for row in span.locked]
            self._serve(span, [channel for channel in channels if channel not in known], IGNORED, now_ms)
        self._say_ignored(span, now_ms)
        self._tell(span)

    def _on_restart_confirm(self, span, event, now_ms):
        self._restarted(span, event["timeslots"], now_ms, "out")

    def _restarted(self, span, channels, now_ms, by):
        """A RESTART went through, whoever sent it (by: "in", "out"): what was out of service for want of one is in service."""
        tell_restarted(self.turns, [span.place(channel) for channel in channels], by)
        if not set(channels) & set(span.restarts_failed):
            return
        span.restarts_failed = [channel for channel in span.restarts_failed if channel not in channels]
        self._serve(span, [row[0] for row in span.locked if row[0] in channels and row[1] == IGNORED], None, now_ms)
        self._say_ignored(span, now_ms)

    def _on_service_failed(self, span, event, now_ms):
        log.error("span %d: the far end does not answer SERVICE (%s of channels %s)", span.number, event["status"], event["timeslots"])
