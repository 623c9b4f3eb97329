"""PRI legs: joins the Q.931 machine of each span to layer 2 in media, and to the switchboard.

One Span for each configured PRI span.  Layer 2 lives in media and outlives this process: after a
restart the machine is rebuilt from its dump and `audit`ed (STATUS ENQUIRY where in doubt); SABME is
asked for only where media says that the link is not up.

Layer 3 messages go through the outbox: committed with the event that caused them, then handed
to media, then deleted.  While the data link is down Q.931 loses its messages (5.8.9), so
the release of an answered call is kept and made when the link is up again; the
switchboard hears "released" at once, the timeslot stays busy until the far end has let go.
Outgoing calls: span_outgoing.py.  Hold, transfer and malicious call identification: span_services.py.  Changes of the configuration:
span_change.py.  What people command: span_manage.py.
"""

import logging

from firmware.call import carriage
from firmware.errors import LocalError
from firmware.links.adapter import Adapter
from firmware.links.enhancement import CLEAR, renew
from firmware.links.pri_span import ROWS, law_for, link_is_up
from firmware.links.span_change import SpanChanges
from firmware.links.span_manage import Management
from firmware.links.span_outgoing import OutgoingCalls
from firmware.links.span_services import NetworkServices
from firmware.proto.q931 import codes

log = logging.getLogger(__name__)

RETRY_MS = 1000             # between attempts to open or establish a link; invented
TYPES = ("international", "national", "network", "subscriber")
PRESENTATION = {"allowed": "allowed", "restricted": "restricted"}
UP = ("dl_establish_indication", "dl_establish_confirm")
DOWN = ("dl_release_indication", "dl_release_confirm")
LIVE = {4: "alerting", 7: "alerting", 8: "answered", 10: "answered", 11: "releasing", 12: "releasing", 19: "releasing"}
# action: (primitive, states of an incoming call in which it fits: user side, network side)
ACTIONS = {
    "leg.need_more_digits": ("setup_ack_request", (6, 1)),
    "leg.proceeding": ("proceeding_request", (6, 25, 1, 2)),
    "leg.alerting": ("alerting_request", (6, 25, 9, 1, 2, 3)),
    "leg.progress": ("progress_request", (25, 9, 7, 2, 3, 4)),
    "leg.answer": ("setup_response", (6, 25, 9, 7, 1, 2, 3, 4)),
}


class SpanLinks(OutgoingCalls, NetworkServices, SpanChanges, Management, Adapter):
    """The adapter of all PRI spans."""

    name = "spans"

    def __init__(self, house):
        self.turns, self.media, self.ids = house.turns, house.media, house.stores.counters
        self.legs = {}              # leg -> (span number, call)
        self.spans = {}
        self.outbox = house.stores.outbox
        self._out, self._committed = [], []
        self._touched = {}          # span number -> calls whose dump is to be written
        self._removed = []
        self._deadlines = {}
        self._load_spans(house.stores.machines, house.config.running())

    def _add(self, span):
        self.spans[span.number] = span
        span.machine.is_urgent = lambda digits: digits in self.media.emergency
        self._touch(span)
        for call, entry in span.calls.items():
            if entry["leg"] is not None:
                self.legs[entry["leg"]] = (span.number, call)

    def span_with(self, number):
        """The Span that serves a span of the configuration, or None."""
        found = [span for span in self.spans.values() if number in span.members]
        return ([span for span in found if span.closing_ms is None] or found or [None])[0]

    def _touch(self, span, call=None):
        """Note that a machine changed: its output, its dumps, its next timer.

        Between two D channels layer 3 messages are lost, as 5.8.9 has it; the new one asks for what matters."""
        link = span.link
        for octets in span.machine.take_output():
            if link is not None:
                self._out.append((link, "dl_data_request", octets))
            else:
                span.machine.count("messages_without_link")
        for interface, octets in span.d_channels.take_output() if span.d_channels else ():
            self._out += [(link, "dl_data_request", octets) for link in span.links if span.links[link] == interface]
        changed = self._touched.setdefault(span.number, set())
        changed.update(span.machine.take_changed())
        if call is not None:
            changed.add(call)
        self._deadlines[span.number] = span.deadline_ms()

    def _retry(self, span, at_ms):
        span.retry_ms = at_ms
        self._touch(span)

    # -- layer 2 --

    def owns_link(self, link):
        """Links are numbered as their spans."""
        return self._of_link(link) is not None

    def _of_link(self, link):
        found = [span for span in self.spans.values() if link in span.links]
        return ([span for span in found if span.closing_ms is None] or found or [None])[0]

    def signalling(self, message, now_ms):
        """One primitive of layer 2."""
        link, kind = message["link"], message["kind"]
        span = self._of_link(link)
        machine = span.machine
        if kind == "dl_data_indication":
            span.came_on = link
            self._take(span, machine.receive(message["octets"], now_ms), now_ms)
            self._d_channels(span, now_ms)
        elif kind in UP + DOWN:
            up = kind in UP
            (span.open_links.add if up else span.open_links.discard)(link)
            self._retry(span, None if len(span.open_links) == len(span.links) else now_ms + RETRY_MS)
            if span.d_channels is None:
                self._take(span, machine.link_up(now_ms) if up else machine.link_down(now_ms), now_ms)
                return
            reset = up and link == span.link
            span.d_channels.link(span.links[link], up, now_ms)
            self._tell(span)
            if reset:
                self._take(span, machine.link_up(now_ms), now_ms)
            self._d_channels(span, now_ms)
        elif kind != "link_state":      # connectionless frames, Q.921 errors: no business of a call's
            count = span.machine.count("ignored_primitives")
            if count == 1 or count % 1000 == 0:
                log.info("span %d: %s ignored (%d so far)", span.number, kind, count)

    def _d_channels(self, span, now_ms):
        """What the two D channels of an NFAS group have come to."""
        for event in span.d_channels.take_events() if span.d_channels else ():
            log.warning("span %d: D channels: %s, that of interface %s carries the calls", span.number, event, span.d_channels.active)
            was_up = span.machine.up
            # A D channel that takes over: established calls stay and are asked for, as after a reset (Annex F, 5.8.8).
            self._take(span, span.machine.link_down(now_ms) if event == "down" else span.machine.link_up(now_ms), now_ms)
            if was_up == span.machine.up:
                self._tell(span)
        self._touch(span)

    def _open(self, span, establish, now_ms):
        for link in sorted(span.links):
            if link not in span.open_links:
                self._open_link(span, link, establish)

    def _open_link(self, span, link, establish):
        def opened(reply, now_ms):
            if self.spans.get(span.number) is not span or span.closing_ms is not None:
                return
            span.opened = True
            if establish and link not in span.open_links:
                self._out.append((link, "dl_establish_request", b""))
                self._retry(span, now_ms + 10 * RETRY_MS)       # a lost request; T200 and N200 need 4 s

        def refused(error, now_ms):
            if self.spans.get(span.number) is span:
                self._retry(span, now_ms + RETRY_MS)
        self.media.command("link_open", opened, refused, link=link, span=link,
                           timeslot=span.members[link]["d_timeslot"], kind="lapd", side=span.row["side"], tei=0)

    # -- events of the machines --

    def _take(self, span, events, now_ms):
        """Events of one machine, in order; a failing one costs its call only."""
        for event in events:
            handler = getattr(self, "_on_" + event["event"], None)
            entry = span.calls.get(event["call"])
            if handler is not None:
                self.turns.guard(event, entry and entry["leg"], handler, span, event, now_ms)
        self._hasten(span, now_ms)
        self._touch(span)

    def _on_setup_indication(self, span, event, now_ms):
        leg = self.ids.next("l")
        caller, redirecting = event["caller"] or {}, event["redirecting"] or {}
        span.calls[event["call"]] = {"leg": leg, "digits": event["called_digits"], "law": law_for(span.row, event["bearer"], event["law"]),
                                     "timeslot": event["timeslot"], "orphan": None}
        self.legs[leg] = (span.number, event["call"])
        self._terminate(span, event["call"])
        number, timeslot = span.place(event["timeslot"])
        self.turns.post({
            "kind": "leg.offered", "leg": leg, "tech": "pri", "trunk_group": span.row["trunk_group"],
            "span": number, "timeslot": timeslot, "caller": caller.get("number") or None,
            "caller_presentation": PRESENTATION.get(caller.get("presentation", "allowed" if caller else None),
                                                    "unavailable"),
            "caller_type": caller.get("type") if caller.get("type") in TYPES else None, "bearer": event["bearer"],
            "called": event["called_digits"], "called_complete": event["called_complete"],
            "redirecting": redirecting.get("number") or None, "carried": carriage.known({
                "caller_name": event["caller_name"], "redirecting": event["redirecting"], "redirections": 1 if redirecting else None,
                "subaddresses": {key: value for key, value in event["subaddresses"].items() if key in ("called", "calling")},
                "user_user": event["user_user"]})})

    def _terminate(self, span, call):
        """Give a call its timeslot termination."""
        entry = span.calls[call]

        def refused(error, now_ms):
            self._release(entry["leg"], error.cause, now_ms)
        number, timeslot = span.place(entry["timeslot"])
        self.media.command("add", None, refused, id=entry["leg"], kind="timeslot", span=number, timeslot=timeslot, law=entry["law"], **span.sound(entry),
                           **self.media.urgent(entry["digits"], entry.get("urgent", False)))

    def _on_information_indication(self, span, event, now_ms):
        entry = span.calls[event["call"]]
        entry["digits"] += event["digits"]
        self._digits(entry, event["complete"])

    def _on_digits_timeout(self, span, event, now_ms):
        self._digits(span.calls[event["call"]], True)

    def _digits(self, entry, complete):
        if entry["leg"] is not None:
            self.turns.post({"kind": "leg.digits", "leg": entry["leg"], "called": entry["digits"],
                             "called_complete": complete})

    def _on_disconnect_indication(self, span, event, now_ms):
        if self._announces(span, event):
            return
        self._gone(span, event["call"], event["cause"], event["by"])
        self._request(span, "release_request", event["call"], now_ms)

    def _on_released(self, span, event, now_ms):
        if event["call"] in span.calls:
            self._gone(span, event["call"], event["cause"], event["by"])
            del span.calls[event["call"]]
        if event["maintenance"]:
            log.error("span %d: timeslot %s: the far end did not answer RELEASE twice (T308)",
                      span.number, event["timeslot"])

    def _gone(self, span, call, cause, by):
        """The switchboard hears once that a leg is over."""
        entry = span.calls[call]
        leg, entry["leg"] = entry["leg"], None
        if leg is not None:
            self.legs.pop(leg, None)
            self.turns.post({"kind": "leg.released", "leg": leg, "cause": cause, "by": by})

    def _on_link_state(self, span, event, now_ms):
        log.info("span %d: D channel %s", span.number, "up" if event["up"] else "down")
        self._tell(span)
        if event["up"]:
            for call in sorted(span.calls):
                if span.calls[call]["orphan"] is not None:
                    self._request(span, "release_request", call, now_ms, cause=span.calls[call]["orphan"])

    def _tell(self, span):
        for number in sorted(span.members):
            self.turns.post({"kind": "span.state", "span": number, "state": span.state_of(number), "alarms": span.alarms_of(number)})

    def _on_call_lost(self, span, event, now_ms):
        log.warning("span %d: call %s: the far end does not answer STATUS ENQUIRY", span.number, event["call"])

    def _on_protocol_error(self, span, event, now_ms):
        count = span.machine.counters.get("protocol_errors", 0)
        if count <= 3 or count % 1000 == 0:
            log.warning("span %d: call %s: %s (answered with cause %s; %d so far)", span.number, event["call"],
                        event["text"], event["cause"], count)

    def _on_restart_indication(self, span, event, now_ms):
        log.warning("span %d: the far end restarted timeslots %s", span.number, event["timeslots"])
        self._restarted(span, event["timeslots"], now_ms, "in")

    def _on_service_indication(self, span, event, now_ms):
        log.warning("span %d: the far end says %s of timeslots %s", span.number, event["status"], event["timeslots"])

    # -- actions of the switchboard --

    def owns(self, leg):
        """Whether a leg is ours."""
        return leg in self.legs

    def carry_out(self, action, now_ms):
        """One leg.* action."""
        do, leg = action["do"], action["leg"]
        if do == "leg.create":
            self._create(action, now_ms)
            return
        if do == "leg.release":
            self._release(leg, action["cause"], now_ms)
            return
        if do == "leg.digits":
            self._dial_on(leg, action["digits"], action["complete"], now_ms)
            return
        number, call = self.legs[leg]
        span = self.spans[number]
        if do == "leg.mcid":
            self._malicious(span, call, leg, now_ms)
            return
        if do == "leg.network":
            self._network(span, call, action, now_ms)
            return
        primitive, states = ACTIONS[do]
        if codes.state_number(span.machine.call_state(call)["state"]) in states:     # else it is done, or too late
            given = {"inband": True} if action.get("inband") else {}
            if action.get("connected"):
                given["connected"] = dict(action["connected"], plan="isdn", screening="user_passed")
            self._request(span, primitive, call, now_ms, **given)

    def _release(self, leg, cause, now_ms):
        if leg not in self.legs:
            return
        number, call = self.legs[leg]
        span = self.spans[number]
        if not span.up:
            span.calls[call]["orphan"] = cause
            self._touch(span, call)
            self._gone(span, call, cause, "near")
            return
        self._request(span, "release_request", call, now_ms, cause=cause)

    def _request(self, span, primitive, call, now_ms, **given):
        self._take(span, span.machine.request(primitive, call, now_ms, **given), now_ms)

    # -- the turn --

    def dirty(self):
        """Machines that changed, messages to hand over, spans that are gone."""
        return bool(self._out or self._removed or self._touched)

    def save(self, stores):
        """Write dumps and the outbox (inside the transaction)."""
        for name in self._removed:
            for key in [name, name.replace("q931/", ROWS), *stores.machines.names(name + "/")]:
                stores.machines.save(key, None)
        for number, calls in self._touched.items():
            span = self.spans.get(number)
            if span is None:
                continue
            if span.row is not span.kept_row:
                stores.machines.save("%s%d" % (ROWS, number), {"row": span.row})
            stores.machines.save("q931/%d" % number, span.dump_link())
            for call in sorted(calls):
                stores.machines.save("q931/%d/%s" % (number, call), span.dump_call(call))
        stores.outbox.put(self._out)

    def saved(self):
        """They are committed."""
        for number in self._touched:
            if number in self.spans:
                self.spans[number].kept_row = self.spans[number].row
        self._touched = {}
        self._removed = []

    def flush(self):
        """Hand the layer 3 messages to media."""
        self._committed += self._out
        self._out = []
        try:
            while self._committed and self.media.client.connected:
                self.media.client.send_signalling(*self._committed[0])
                del self._committed[0]
        except LocalError as error:
            log.warning("spans: %s", error)

    def holds_output(self):
        """Some of the outbox is not handed over."""
        return bool(self._committed)

    def deadline_ms(self):
        """The next timer of a machine or a retry."""
        return min((at for at in self._deadlines.values() if at is not None), default=None)

    def expire(self, now_ms):
        """Timers of the machines; links that are not up are tried again."""
        for number, deadline in list(self._deadlines.items()):
            if deadline is None or deadline > now_ms:
                continue
            span = self.spans[number]
            self._take(span, span.machine.expire(now_ms), now_ms)
            if span.d_channels is not None:
                span.d_channels.expire(now_ms)
                self._d_channels(span, now_ms)
            if span.condemned:
                self._close(span, now_ms)
            elif span.closing_ms is not None:
                if span.closing_ms <= now_ms:
                    self._shut(span, now_ms)
            elif span.retry_ms is not None and span.retry_ms <= now_ms:
                self._retry(span, None)
                if self.media.serving:
                    self._open(span, True, now_ms)

    def drop(self, leg, now_ms):
        """Handling of a leg failed; the switchboard is told by the turn."""
        if leg in self.legs:
            number, call = self.legs.pop(leg)
            span = self.spans[number]
            span.calls[call]["leg"] = None
            span.calls[call]["orphan"] = 41
            self._touch(span, call)
            if span.machine.up:
                self._request(span, "release_request", call, now_ms, cause=41)

    # -- life --

    def resume(self, now_ms):
        """After a restart: messages that were committed and perhaps not handed over go first."""
        self._committed = [row for row in self.outbox.pending() if self.owns_link(row[0])] + self._committed

    def live_legs(self):
        """{leg: {"state"}} of the legs that stand."""
        live = {}
        for leg, (number, call) in self.legs.items():
            state = self.spans[number].machine.call_state(call)
            if state is not None:
                live[leg] = {"state": LIVE.get(codes.state_number(state["state"]), "setup")}
        return live

    def media_found(self, audit, now_ms):
        """Open the links; rebuild what media does not have of ours."""
        there = {row["id"] for row in audit.get("terminations") or []}
        mine = {number for span in self.spans.values() for number in span.members}
        for row in audit.get("terminations") or []:
            if isinstance(row, dict) and row.get("span") in mine and row["id"] not in self.legs:
                log.warning("span %s: media had timeslot %s for leg %s, which no call owns; it is taken down", row["span"],
                            row.get("timeslot"), row["id"])
        for row in audit.get("links") or []:
            if row.get("kind", "lapd") == "lapd" and self._of_link(row["link"]) is None:
                self.media.command("link_close", link=row["link"])      # of a span that is gone
        for span in self.spans.values():
            span.open_links = {link for link in span.links if link_is_up(audit, link)}
            if span.d_channels is None:
                self._take(span, span.machine.audit(now_ms, bool(span.open_links)), now_ms)
            else:
                span.d_channels.audit({interface: link in span.open_links for link, interface in span.links.items()}, now_ms)
                if span.d_channels.active is not None:
                    span.d_channels.take_events()
                    self._take(span, span.machine.audit(now_ms, True), now_ms)
                self._d_channels(span, now_ms)
            span.opened = span.opened or bool(span.open_links)
            if span.closing_ms is None and not span.condemned:
                for link in sorted(span.links):         # harmless where it is open
                    self._open_link(span, link, link not in span.open_links)
            for call, entry in sorted(span.calls.items()):
                if entry["leg"] is not None and entry["timeslot"] is not None and entry["leg"] not in there:
                    self._terminate(span, call)
                    audit.setdefault("terminations", []).append({"id": entry["leg"]})
            renew(self.media, audit, {entry["leg"]: span.enhance for entry in span.calls.values() if entry["law"] != CLEAR})
            self._forgotten(span, audit, now_ms)
            self._tell(span)

    def _forgotten(self, span, audit, now_ms):
        """Calls of turns that no disk took: the far end may still hold them, a RESTART of their channels ends them (Q.931 5.5).

        Only when turns are known to be lost: else the call was cleared, and the channel may have the next one."""
        owned = {entry["timeslot"] for entry in span.calls.values()}
        lost = sorted(span.channel(row["span"], row["timeslot"]) for row in audit.get("terminations") or []
                      if isinstance(row, dict) and row.get("span") in span.members and row["id"] not in self.legs and
                      span.channel(row["span"], row.get("timeslot")) not in owned)
        if lost and self.media.stores.unwritten.gap:
            log.error("span %d: calls on timeslots %s are unknown, because turns were lost on a full disk; the far end is asked "
                      "to clear them (RESTART)", span.number, ", ".join(map(str, lost)))
            self._take(span, span.machine.restart(now_ms, lost), now_ms)

    def media_lost(self, now_ms):
        """Layer 2 died with media: the links are down, what was not handed over is void."""
        self._committed, self._out = [], []
        for span in self.spans.values():
            span.opened, span.retry_ms, span.open_links = False, None, set()
            for interface in sorted(span.links.values()) if span.d_channels else ():
                span.d_channels.link(interface, False, now_ms)
                span.d_channels.take_output()
            if span.d_channels:
                span.d_channels.take_events()
            self._take(span, span.machine.link_down(now_ms), now_ms)
            self._tell(span)

    def alarms(self, number, alarms, now_ms):
        """What the framer sees on a span; a turn's function."""
        span = self.span_with(number)
        if span is not None and span.alarmed.get(number) != alarms:
            span.alarmed[number] = alarms
            self._tell(span)

    def describe(self, state, legs):
        """GET /v1/state: spans and their timeslots."""
        rows = {row["span"]: row for _, span in sorted(self.spans.items()) for row in span.describe(legs)}
        state["spans"] += [rows[number] for number in sorted(rows)]
