"""Alarms of linksets: one for each linkset that lacks links, which names them and says why; not one for each link.

    linkset_lost        no link carries traffic: the neighbour is reached over others, or not at all
    linkset_degraded    some links do not: there is less room, or nothing in reserve

The source is "linkset NAME of POINT".  A link that a person deactivated is what that person wanted and counts only where it leaves
the linkset without any.  A new point has SETTLE_MS for its first alignments (T4 alone takes 8.2 s, Q.703 12.3)."""

from firmware.proto.mtp3.table import ACTIVE, ALIGNING, TESTING

SETTLE_MS = 20000           # ours
LOST, DEGRADED = "linkset_lost", "linkset_degraded"


def why_out(link):
    """Why a signalling link carries no traffic, in a few words."""
    if link.state != ACTIVE:
        return {ALIGNING: "is being aligned", TESTING: "is being tested"}.get(link.state, "is out of service")
    words = [word for word, on in (("the far end's processor is out", link.far_outage), ("inhibited by us", link.inhibit.local),
                                   ("inhibited by the far end", link.inhibit.remote)) if on]
    return " and ".join(words) or "carries no traffic"


class LinksetAlarms:
    """The part of SS7Points that reports linksets.  report_alarm: Keeper.signalling, or None."""

    def _linkset_alarms(self, point, now_ms, again=False):
        """Report what changed.  again: everything, after a start."""
        if self.report_alarm is None:
            return
        if point.settles_ms is None:
            point.settles_ms = 0 if point.restored else now_ms + SETTLE_MS
        if not any(self._lacks(point, linkset) for linkset in point.mtp3.linksets.values()):
            point.settles_ms = 0
        if point.settles_ms > now_ms and point.closing_ms is None:
            self._deadlines[point.name] = point.deadline_ms()
            return
        point.settles_ms = 0
        for name, linkset in point.mtp3.linksets.items():
            said = self._lacks(point, linkset)
            if again or point.lacking.get(name, {}) != said:
                point.lacking[name] = said
                self.report_alarm(_source(point, name), said, now_ms)

    @staticmethod
    def _lacks(point, linkset):
        """{kind: sentence} of a linkset, {} where all is well."""
        out = [link for link in linkset.links if not link.usable]
        if point.closing_ms is not None or not out or all(link.name in point.deactivated for link in linkset.links):
            return {}
        unwanted = [link for link in out if link.name not in point.deactivated]
        if len(out) < len(linkset.links) and not unwanted:
            return {}
        words = ["%s (SLC %d) %s" % (link.name, link.slc, "was deactivated" if link.name in point.deactivated else why_out(link)) for link in out]
        return {LOST if len(out) == len(linkset.links) else DEGRADED: "%d of %d links: %s" % (len(out), len(linkset.links), "; ".join(words))}

    def linkset_sources(self):
        """The sources of all linksets."""
        return [_source(point, name) for point in self.points.values() for name in point.mtp3.linksets]

    def _forget_alarms(self, point, now_ms):
        """A point is no more."""
        if self.report_alarm is not None:
            for name in point.mtp3.linksets:
                self.report_alarm(_source(point, name), None, now_ms)


def _source(point, linkset):
    return "linkset %s of %s" % (linkset, point.name)
