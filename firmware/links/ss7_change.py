"""Configuration changes of SS7 points: in place where that is possible, else an orderly end and a new beginning.

in place  trunk groups and their settings.
restart   everything else, and a point that goes: the switchboard is told that its calls are over, each is released
          at the far end (cause 38); when the last circuit is free, or after CLOSING_MS, the links are
          stopped (SIOS) and closed in media; a point that the configuration still wants begins anew,
          with a reset of its circuits.

A kill in the middle: what a point was made of and the end of its closing stand in its dump."""

import logging

from firmware.links.ss7_point import Point, basis
from firmware.proto.isup import codes

log = logging.getLogger(__name__)

CLOSING_MS = 5000           # ours: REL and its answers; a far exchange silent for longer meets the reset
LINGER_MS = 300             # ours: the stop of the links reaches the line
CLOSE_AGAIN_MS = 1000       # ours: while media has not confirmed link_close


def wanted_points(config):
    """{name: (basis, {span: (row, trunk group)})} of the points in service."""
    groups = {group["name"]: group for group in config["trunk_groups"]}
    spans = {row["span"]: (row, groups[row["trunk_group"]]) for row in config["spans"] if row["signalling"] == "ss7"}
    return {row["name"]: (basis(row, config), spans) for row in config.get("ss7") or [] if row["enabled"]}


class PointChanges:
    """The half of SS7Points that follows the configuration."""

    def _load_points(self, machines, config):
        """At the start of the process: the points of the dumps, and those that have none."""
        self._wanted = wanted_points(config)
        saved = [name[4:] for name in machines.names("ss7/") if name.count("/") == 1]
        for name in sorted(set(saved) | set(self._wanted)):
            if name in saved:
                self._load_point(machines, name)
            else:
                self._add(Point(*self._wanted[name]))

    def _load_point(self, machines, name):
        prefix = "ss7/%s/" % name
        made_of, wanted = machines.load(prefix[:-1]), self._wanted.get(name)
        circuits = {key[len(prefix):]: machines.load(key) for key in machines.names(prefix)}
        saved = circuits.pop("node")
        point = Point(made_of, wanted[1] if wanted else {}, saved, circuits)
        point.condemned = (wanted is None or wanted[0] != made_of) and point.closing_ms is None
        self._add(point)

    def _add(self, point):
        self.points[point.name] = point
        point.alarms = {span: alarms for span, alarms in self.known_alarms.items() if span in point.types}
        point.alarm_since = {span: 0 for span in point.alarms if point.in_alarm(span)}
        for call, entry in point.calls.items():
            if entry["leg"] is not None:
                self.legs[entry["leg"]] = (point.name, call)
        self._touch(point)

    def configure(self, config, now_ms):
        """Points added, changed or removed."""
        self._wanted = wanted_points(config)
        for name, point in sorted(self.points.items()):
            wanted = self._wanted.get(name)
            if wanted is None or wanted[0] != point.made_of:
                self._close(point, now_ms)
            elif point.closing_ms is None:
                point.condemned = False
                point.spans = wanted[1]
        self._begin_new(now_ms)

    def _begin_new(self, now_ms):
        busy = {link for point in self.points.values() for link in point.links}
        for name in sorted(set(self._wanted) - set(self.points)):
            point = Point(*self._wanted[name])
            if busy & set(point.links) or self._shares_spans(point):
                continue                # another one is about to end: this is asked again then
            self._add(point)
            self._tell(point)
            if self.media.serving:
                self._open(point, now_ms)

    def _shares_spans(self, point):
        return any(set(other.places) & set(point.places) for other in self.points.values() if other.closing_ms is not None)

    def _close(self, point, now_ms):
        """Begin to end a point: nobody is left waiting, no call is taken."""
        point.condemned = False
        if point.closing_ms is not None:
            return
        log.warning("ss7 %s: closing for a change of the configuration, %d calls are released", point.name, len(point.calls))
        point.closing_ms = now_ms + CLOSING_MS
        for circuit in point.isup.all_circuits():
            circuit.local_hardware = True           # of this process alone: an IAM is not taken any more
        for call in sorted(point.calls):
            self._gone(point, {"call": call}, codes.NETWORK_OUT_OF_ORDER, "near")
            self._isup(point, point.isup.request("release_request", call, now_ms, cause=codes.NETWORK_OUT_OF_ORDER), now_ms)
        self._tell(point)
        self._isup(point, [], now_ms)

    def _hasten(self, point, now_ms):
        """After each step: a closing point waits no longer than it has calls to release."""
        if point.closing_ms is not None and point.closed_ms is None and not [
                c for c in point.isup.all_circuits() if c.state in codes.CLEARING]:
            point.closing_ms = min(point.closing_ms, now_ms + LINGER_MS)

    def _shut(self, point, now_ms):
        """The links go: first SIOS, then the links in media, again until that has said so."""
        if point.closed_ms is None:
            point.closed_ms = now_ms
            point.closing_ms = now_ms + LINGER_MS
            for name in sorted(point.opened):
                self._mtp3(point, point.mtp3.request("deactivate", now_ms, link=name), now_ms)
            return
        point.closing_ms = now_ms + CLOSE_AGAIN_MS
        left = sorted(point.opened)
        if not left:
            self._forget_point(point, now_ms)

        def done(name):
            def closed(reply, now_ms):
                if self.points.get(point.name) is point:
                    point.opened.discard(name)
                    if not point.opened:
                        self._forget_point(point, now_ms)
            return closed
        for name in left:
            self.media.command("link_close", done(name), link=name)

    def _forget_point(self, point, now_ms):
        name = point.name
        self._forget_alarms(point, now_ms)
        del self.points[name]
        self._deadlines.pop(name, None)
        self._touched.pop(name, None)
        self._removed.append("ss7/" + name)
        self._out = [row for row in self._out if row[0] not in point.links]
        self._begin_new(now_ms)
