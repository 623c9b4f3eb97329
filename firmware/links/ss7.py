"""SS7 legs: joins the MTP3 and ISUP machines of each signalling point to MTP2 in media, and to the switchboard.

One Point (ss7_point.py) for each row of the configuration's "ss7".  MTP2 lives in media and outlives this
process: after a restart the machines are rebuilt from their dumps and told which links are in service; nothing
that is up is reset.  GRS goes out once, when a new point first reaches the other exchange.

What the machines send goes through the outbox, as with PRI: committed with the event that caused it, then handed to
media.  Calls: ss7_calls.py, ss7_release.py; alarms of linksets: ss7_linksets.py; continuity: ss7_continuity.py; changes of the configuration: ss7_change.py; management: ss7_manage.py.

A span in alarm costs its signalling links at once (MTP2 hears only errors) and, after HARDWARE_MS, its circuits:
they are blocked for hardware failure, which ends their calls at both ends, until the alarm is over."""

import logging

from firmware.call.signalling_points import code_text
from firmware.errors import LocalError
from firmware.links.adapter import Adapter
from firmware.links.enhancement import renew
from firmware.links.ss7_calls import Calls
from firmware.links.ss7_change import PointChanges
from firmware.links.ss7_continuity import Continuity
from firmware.links.ss7_linksets import LinksetAlarms
from firmware.links.ss7_manage import Management
from firmware.links.ss7_release import ReleaseControl
from firmware.proto.isup import codes
from firmware.proto.mtp3.table import ALIGNING, INACTIVE

log = logging.getLogger(__name__)

RETRY_MS = 1000             # ours: between attempts to open a link in media
PREFIX = "mtp2_"
# What media says of a link -> the event of MTP2 that MTP3 takes, and the field that goes with it.
FIELDS = {"out_of_service": "reason", "message": "octets", "retrieved_message": "octets", "congestion": "on", "bsnt": "number"}


class SS7Points(Calls, ReleaseControl, PointChanges, Management, LinksetAlarms, Continuity, Adapter):
    """The adapter of all signalling points."""

    name = "ss7"

    def __init__(self, house):
        self.turns, self.media, self.ids = house.turns, house.media, house.stores.counters
        self.outbox = house.stores.outbox
        self.points = {}
        self.known_alarms = {}      # span -> what the framer said last
        self.legs = {}              # leg -> (point's name, call)
        self._out, self._committed = [], []
        self._touched = {}          # point's name -> circuits whose dump is to be written
        self._removed = []
        self._deadlines = {}
        self.report_alarm = None    # Keeper's, once it is there (compose.py): (source, {kind: sentence}, now_ms)
        self.media.listeners.update(check=self._check_heard)
        self._load_points(house.stores.machines, house.config.running())

    def _touch(self, point):
        """Note that a point changed: its output, its dumps, its next timer."""
        # For a link that media has not got: nothing; _begin_link activates it anew.
        self._out += [(link, PREFIX + primitive, octets or b"") for link, primitive, octets in point.mtp3.take_output()
                      if link in point.opened]
        self._touched.setdefault(point.name, set()).update(point.isup.take_changed())
        self._deadlines[point.name] = point.deadline_ms()

    # -- layer 2 --

    def _point_of(self, link):
        for point in self.points.values():
            if link in point.links:
                return point
        return None

    def owns_link(self, link):
        """Links are named by their place, "s1.16"."""
        return isinstance(link, str) and self._point_of(link) is not None

    def signalling(self, message, now_ms):
        """One message of MTP2."""
        point, kind = self._point_of(message["link"]), message["kind"]
        if kind.startswith(PREFIX):
            name = kind[len(PREFIX):]
            event = (name, message.get(FIELDS[name])) if name in FIELDS else (name,)
            self._mtp3(point, point.mtp3.link_event(message["link"], event, now_ms), now_ms)

    def _open(self, point, now_ms):
        """Open the links in media that it has not got."""
        for name, row in sorted(point.links.items()):
            if name in point.opened or row["span"] not in point.enabled:
                continue

            def opened(reply, now_ms, name=name):
                if self.points.get(point.name) is point and point.closed_ms is None:
                    point.opened.add(name)
                    self._begin_link(point, name, now_ms)

            def refused(error, now_ms):
                if self.points.get(point.name) is point:
                    point.retry_ms = now_ms + RETRY_MS
                    self._touch(point)
            self.media.command("link_open", opened, refused, link=name, span=row["span"], timeslot=row["timeslot"], kind="mtp2",
                               variant=point.row["variant"], correction=row["correction"],
                               parameters=point.row["mtp2_parameters"])

    def _begin_link(self, point, name, now_ms):
        """A link is there: activate it; one whose start went nowhere is started again."""
        if point.mtp3.links[name].state == ALIGNING:
            self._mtp3(point, point.mtp3.request("deactivate", now_ms, link=name), now_ms)
        if point.mtp3.links[name].state == INACTIVE and point.closing_ms is None and name not in point.deactivated:
            self._mtp3(point, point.mtp3.request("activate", now_ms, link=name), now_ms)
        self._tell(point)
        self._touch(point)

    # -- level 3 --

    def _mtp3(self, point, events, now_ms):
        """Events of MTP3, in order."""
        for event in events:
            kind = event["event"]
            if kind in ("transfer_indication", "pause", "resume", "status"):
                self._isup(point, point.isup.mtp_event(event, now_ms), now_ms)
                if kind == "resume":
                    self._reached(point, event["destination"], now_ms)
            elif kind == "link_state":
                log.warning("ss7 %s: link %s %s (%s)", point.name, event["link"],
                            "carries traffic" if event["available"] else "is out", event["reason"])
            elif kind == "inhibit":
                log.warning("ss7 %s: inhibiting of link %s: %s", point.name, event["link"], event["result"])
            if kind in ("pause", "resume"):
                log.warning("ss7 %s: %s can%s be reached", point.name, code_text(event["destination"], point.row["variant"]),
                            "" if kind == "resume" else "not")
        if point.reach_changed() or any(event["event"] != "transfer_indication" for event in events):
            self._tell(point)
            self._linkset_alarms(point, now_ms)
        self._touch(point)

    def _isup(self, point, events, now_ms):
        """Events of ISUP, in order; a failing one costs its call only.  Then what ISUP sends goes to MTP3."""
        for event in events:
            handler = getattr(self, "_on_" + event["event"], None)
            entry = point.calls.get(event["call"])
            if handler is not None:
                self.turns.guard(event, entry and entry["leg"], handler, point, event, now_ms)
        for dpc, sls, octets in point.isup.take_output():
            try:
                answer = point.mtp3.request("transfer", now_ms, dpc=dpc, si=5, sls=sls, octets=octets)
            except LocalError as error:
                point.isup.count("messages_not_sent")
                log.error("ss7 %s: a message was not sent: %s", point.name, error)
                continue
            self._mtp3(point, answer, now_ms)
        self._hasten(point, now_ms)
        self._touch(point)

    def _reached(self, point, code, now_ms):
        """A far exchange is there: a new point resets its circuits first."""
        due = [name for name in point.resets if point.isup.groups[name]["destination"] == code]
        point.resets = [name for name in point.resets if name not in due]
        for name in due:
            if point.isup.group_circuits(name):
                self._isup(point, point.isup.group_request("reset", name, now_ms), now_ms)
        if due:
            for span in sorted(point.hardware):
                self._hardware(point, span, True, now_ms)

    def _hardware(self, point, span, block, now_ms):
        """Block or unblock the circuits of a span for hardware reasons."""
        (point.hardware.add if block else point.hardware.discard)(span)
        groups = {}
        for circuit in point.circuits_on(span):
            groups.setdefault(circuit.group["name"], []).append(circuit.cic)
        for name, cics in sorted(groups.items()):
            self._isup(point, point.isup.group_request("block" if block else "unblock", name, now_ms, cics, hardware=True), now_ms)
        self._touch(point)

    def alarms(self, number, alarms, now_ms):
        """What the framer sees on a span; a turn's function."""
        self.known_alarms[number] = alarms
        for point in list(self.points.values()):
            if number not in point.types or point.alarms.get(number) == alarms:
                continue
            point.alarms[number] = alarms
            if point.in_alarm(number):
                point.alarm_since.setdefault(number, now_ms)
            else:
                point.alarm_since.pop(number, None)
                if number in point.hardware:
                    self._hardware(point, number, False, now_ms)
            self._tell(point)
            self._touch(point)

    def _tell(self, point, again=False):
        """The switchboard hears of each change of a span."""
        for span in sorted(point.types):
            told = [point.span_state(span), list(point.alarms.get(span) or [])]
            if again or point.told.get(span) != told:
                point.told[span] = told
                self.turns.post({"kind": "span.state", "span": span, "state": told[0], "alarms": told[1]})

    # -- the turn --

    def dirty(self):
        """Machines that changed, messages to hand over, points that are gone."""
        return bool(self._out or self._removed or self._touched)

    def save(self, stores):
        """Write dumps and the outbox (inside the transaction)."""
        for name in self._removed:
            for key in [name, *stores.machines.names(name + "/")]:
                stores.machines.save(key, None)
        for name, circuits in self._touched.items():
            point = self.points.get(name)
            if point is None:
                continue
            if not point.kept:
                stores.machines.save("ss7/" + name, point.made_of)
            stores.machines.save("ss7/%s/node" % name, point.dump())
            for circuit in sorted(circuits):
                stores.machines.save("ss7/%s/%s" % (name, circuit), point.dump_circuit(circuit))
        stores.outbox.put(self._out)

    def saved(self):
        """They are committed."""
        for name in self._touched:
            if name in self.points:
                self.points[name].kept = True
        self._touched = {}
        self._removed = []

    def flush(self):
        """Hand the messages to media."""
        self._committed += self._out
        self._out = []
        try:
            while self._committed and self.media.client.connected:
                self.media.client.send_signalling(*self._committed[0])
                del self._committed[0]
        except LocalError as error:
            log.warning("ss7: %s", error)

    def holds_output(self):
        """Some of the outbox is not handed over."""
        return bool(self._committed)

    def deadline_ms(self):
        """The next timer of a point."""
        return min((at for at in self._deadlines.values() if at is not None), default=None)

    def expire(self, now_ms):
        """Timers of the machines, links to open again, alarms that last."""
        for name, deadline in list(self._deadlines.items()):
            point = self.points.get(name)
            if point is None or deadline is None or deadline > now_ms:
                continue
            self._mtp3(point, point.mtp3.expire(now_ms), now_ms)
            self._isup(point, point.isup.expire(now_ms), now_ms)
            for at, span in point.soaks():
                if at <= now_ms:
                    log.error("ss7 %s: span %d is in alarm (%s): its circuits are blocked", point.name, span,
                              ", ".join(point.alarms[span]))
                    self._hardware(point, span, True, now_ms)
            self._clocks_due(point, now_ms)
            self._linkset_alarms(point, now_ms)
            if point.condemned:
                self._close(point, now_ms)
            elif point.closing_ms is not None and point.closing_ms <= now_ms:
                self._shut(point, now_ms)
            elif point.retry_ms is not None and point.retry_ms <= now_ms:
                point.retry_ms = None
                if self.media.serving:
                    self._open(point, now_ms)
            self._touch(point)

    # -- life --

    def resume(self, now_ms):
        """After a restart: messages that were committed and perhaps not handed over go first."""
        self._committed = [row for row in self.outbox.pending() if self.owns_link(row[0])] + self._committed

    def live_legs(self):
        """{leg: {"state"}} of the legs that stand."""
        live = {}
        for leg, (name, call) in self.legs.items():
            state = self.points[name].isup.call_state(call)
            if state is not None:
                live[leg] = {"state": codes.LEG_STATES.get(state["state"], "setup")}
        return live

    def media_found(self, audit, now_ms):
        """Open the links; rebuild what media does not have of ours."""
        there = {row["id"] for row in audit.get("terminations") or []}
        rows = {row["link"]: row for row in audit.get("links") or [] if row.get("kind") == "mtp2"}
        for link in rows:
            if not self.owns_link(link):
                self.media.command("link_close", link=link)     # of a point that is gone
        for point in list(self.points.values()):
            in_service = {name: rows.get(name, {}).get("state") == "up" for name in point.links}
            point.opened = {name for name in point.links if name in rows}
            self._mtp3(point, point.mtp3.audit(now_ms, in_service), now_ms)
            self._isup(point, point.isup.audit(now_ms, point.mtp3.state()["destinations"]), now_ms)
            for name in sorted(point.opened):
                if point.mtp3.links[name].state == INACTIVE:
                    self._begin_link(point, name, now_ms)
            if point.closing_ms is None and not point.condemned:
                self._open(point, now_ms)
            for call, entry in sorted(point.calls.items()):
                if entry["leg"] is not None and entry["leg"] not in there:
                    self._terminate(point, call)
                    audit.setdefault("terminations", []).append({"id": entry["leg"]})
            self._found_checks(point, there)
            own = set(point.checks.values())         # terminations that the switchboard does not know
            audit["terminations"] = [row for row in audit.get("terminations") or [] if row["id"] not in own]
            renew(self.media, audit, {entry["leg"]: self._enhance(point, entry["span"]) for entry in point.calls.values()
                                     if not entry.get("data")})
            self._tell(point, again=True)
            self._linkset_alarms(point, now_ms, True)

    def media_lost(self, now_ms):
        """Level 2 died with media: every link is out, what was not handed over is void."""
        self._committed, self._out = [], []
        for point in self.points.values():
            point.opened, point.retry_ms = set(), None
            for name in sorted(point.links):
                self._mtp3(point, point.mtp3.link_event(name, ("out_of_service", "media is gone"), now_ms), now_ms)
        self._out = []              # for links that are not there

    def describe(self, state, legs):
        """GET /v1/state: spans and points."""
        described = {row["span"] for row in state["spans"]}
        for _, point in sorted(self.points.items()):
            state["spans"] += [point.describe_span(span, legs) for span in sorted(point.types) if span not in described]
            described |= set(point.types)
        state["spans"].sort(key=lambda row: row["span"])
        if self.points:
            state["ss7"] = [point.describe() for _, point in sorted(self.points.items())]
