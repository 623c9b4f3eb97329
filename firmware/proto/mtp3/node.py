"""MTP level 3 of one signalling point without transfer function.

    node = MTP3(config)
    events = node.start(now_ms)                         # activate every link
    events = node.link_event("k1", ("in_service",), now_ms)      # what MTP2 of that link said
    events = node.request("transfer", now_ms, dpc=200, si=5, sls=3, octets=isup)
    for link, primitive, octets in node.take_output(): ...       # for MTP2Link.request
    node.deadline_ms(), node.expire(now_ms)

config: {"variant": "itu"|"ansi"|"china", "network_indicator": 2, "point_code": 100,
    "linksets": [{"name": "a", "adjacent": 200, "links": [{"name": "k1", "slc": 0}, ...]}],
    "routes": [{"destination": 200, "linkset": "a", "priority": 0}, ...],
    "users": [5] or None (all service indicators), "restart": True, "timers": {"T1": 800}}
A linkset's adjacent point is a destination without saying so.

Requests: transfer{dpc, si, sls, octets, opc?, priority?}; activate{link}, deactivate{link},
    inhibit{link}, uninhibit{link}.
Events are dictionaries with "event":
    transfer_indication{opc, dpc, sls, si, ni, octets}
    pause{destination} resume{destination}
    status{destination, cause: "congestion" {level} | "user_unavailable" {user, reason}}
    link_state{link, available, reason} inhibit{link, result, local, remote} restarted{}

Ours, not Q.704's: "restart": False lets the node answer TRA at once when it
starts, without waiting up to T20 for the others; a message for another point
is counted and thrown away, as an end point has to.
Not here: 24-bit changeover numbers (Q.2210), data link allocation (12.3, 12.4).
dump() after each step and restore() rebuild the node; see audit().
Source: Q.704 (07/1996), Q.707 (11/1988); portable.
"""

from firmware.errors import LocalError
from firmware.proto.mtp3 import messages
from firmware.proto.mtp3.destination import PROHIBITED, Destination
from firmware.proto.mtp3.link import Link
from firmware.proto.mtp3.linkset import Linkset
from firmware.proto.mtp3.table import ACTIVE, ALIGNING, DOWN, INACTIVE, RESTARTING, TESTING, TIMERS, UP

MAX_DATA = {"itu": 268, "ansi": 265, "china": 265}      # 272 octets of SIF less the label


class MTP3:
    """One signalling point."""

    def __init__(self, config):
        self.config = config
        self.variant = config.get("variant", messages.ITU)
        if self.variant not in messages.VARIANTS:
            raise LocalError("variant of MTP3 is itu, ansi or china, not %r" % (self.variant,))
        self.point_code = self._code(config["point_code"])
        self.network_indicator = config.get("network_indicator", 2)
        self.users = config.get("users")
        self.durations_ms = {}
        for name in TIMERS:
            self.durations_ms[name] = TIMERS[name][0]
        self.durations_ms.update(config.get("timers") or {})
        self.counters = {}
        self._events = []
        self._output = []
        self.restarting = bool(config.get("restart", True))
        self.restart_at_ms = None       # T20
        self.links = {}
        self.linksets = {}
        self.destinations = {}
        self._link_order = []
        self._linkset_order = []
        for row in config["linksets"]:
            self._add_linkset(row)
        self._add_destinations(config.get("routes") or [])

    # Configuration

    def _code(self, code):
        if not 0 <= code <= messages.max_point_code(self.variant):
            raise LocalError("point code %r does not fit variant %s" % (code, self.variant))
        return code

    def _add_linkset(self, row):
        linkset = Linkset(self, row["name"], self._code(row["adjacent"]))
        if row["name"] in self.linksets or not 1 <= len(row["links"]) <= 16:
            raise LocalError("linkset %s: a name of its own and 1 to 16 links" % (row["name"],))
        used = []
        for entry in row["links"]:
            if entry["name"] in self.links or entry["slc"] in used or not 0 <= entry["slc"] <= 15:
                raise LocalError("link %s: a name and an SLC (0 to 15) of its own" % (entry["name"],))
            used.append(entry["slc"])
            link = Link(self, linkset, entry["name"], entry["slc"])
            linkset.links.append(link)
            self.links[link.name] = link
            self._link_order.append(link.name)
        self.linksets[linkset.name] = linkset
        self._linkset_order.append(linkset.name)

    def _add_destinations(self, rows):
        routes, order = {}, []
        for name in self._linkset_order:
            code = self.linksets[name].adjacent
            if code not in routes:
                routes[code] = []
                order.append(code)
            routes[code].append((name, 0))
        for row in rows:
            code = self._code(row["destination"])
            if row["linkset"] not in self.linksets:
                raise LocalError("route to %d: there is no linkset %s" % (code, row["linkset"]))
            if code not in routes:
                routes[code] = []
                order.append(code)
            if row["linkset"] not in [r[0] for r in routes[code]]:
                routes[code].append((row["linkset"], row.get("priority", 0)))
        for code in order:
            self.destinations[code] = Destination(self, code, routes[code])
        self._destination_order = order

    # The outside

    def start(self, now_ms):
        """Activate every link.  Returns events."""
        for name in self._link_order:
            self.links[name].handle("activate", now_ms)
        return self._take_events()

    def request(self, primitive, now_ms, **given):
        """Carry out a primitive of a user or of management.  Returns events; raises LocalError."""
        if primitive == "transfer":
            self._transfer(now_ms, given)
        elif primitive in ("activate", "deactivate"):
            self._link(given).handle(primitive, now_ms)
        elif primitive in ("inhibit", "uninhibit"):
            self._link(given).inhibit.handle(primitive, now_ms)
        else:
            raise LocalError("MTP3 has no primitive %r" % (primitive,))
        return self._take_events()

    def link_event(self, name, event, now_ms):
        """Take an event of a link's MTP2 as it gave it.  Returns events."""
        link = self.links.get(name)
        if link is None:
            raise LocalError("there is no signalling link %s" % (name,))
        kind = event[0]
        if kind == "message":
            self._message(link, event[1], now_ms)
        elif kind == "bsnt":
            link.changeover.step("bsnt", now_ms, event[1])
        elif kind == "retrieved_message":
            link.changeover.step("retrieved", now_ms, event[1])
        elif kind == "retrieval_complete":
            link.changeover.step(kind, now_ms)
        elif kind == "congestion":
            link.congested = event[1]
        elif kind == "out_of_service" and link.state == INACTIVE:
            pass                        # what we asked for
        elif kind in ("in_service", "out_of_service", "remote_processor_outage", "remote_processor_recovered"):
            link.handle(kind, now_ms)
        else:
            self.count("unknown_link_events")
        return self._take_events()

    def take_output(self):
        """Return [(link, primitive of MTP2Link.request, octets or None), ...] in order."""
        output, self._output = self._output, []
        return output

    def _parts(self):
        for name in self._link_order:
            for part in self.links[name].parts:
                yield part
        for name in self._linkset_order:
            yield self.linksets[name]
        for code in self._destination_order:
            yield self.destinations[code]

    def deadline_ms(self):
        """When to call expire(), or None."""
        found = [self.restart_at_ms] if self.restart_at_ms is not None else []
        for part in self._parts():
            deadline_ms = part.deadline_ms()
            if deadline_ms is not None:
                found.append(deadline_ms)
        return min(found) if found else None

    def expire(self, now_ms):
        """Let the timers that have fallen due act.  Returns events."""
        if self.restart_at_ms is not None and self.restart_at_ms <= now_ms:
            self._own_restart_done(now_ms)
        for part in self._parts():
            deadline_ms = part.deadline_ms()
            if deadline_ms is not None and deadline_ms <= now_ms:
                part.expire(now_ms)
        return self._take_events()

    # For the parts

    def count(self, name, number=1):
        """Add to a counter."""
        self.counters[name] = self.counters.get(name, 0) + number

    def emit(self, event):
        """Add an event for the layer above."""
        self._events.append(event)

    def put(self, link, primitive, octets=None):
        """Hand something to a link's MTP2."""
        self._output.append((link, primitive, octets))

    def management(self, dpc, name, slc=0, **fields):
        """Return a whole management or test message."""
        si = messages.NETWORK_MANAGEMENT
        if name in messages.TEST_HEADINGS:
            si = messages.TEST_SPECIAL if self.variant == messages.ANSI else messages.TEST
        label = messages.Label(si, self.network_indicator, dpc, self.point_code, slc,
                               3 if self.variant == messages.ANSI else 0)
        return messages.encode_label(self.variant, label) + messages.encode_management(
            self.variant, name, slc=slc, **fields)

    def path_around(self, link):
        """A link towards the far end of `link` that is not it: a name, or None.  Other linksets also do."""
        for other in link.linkset.usable_links():
            if other is not link:
                return other.name
        destination = self.destinations[link.linkset.adjacent]
        for name, _ in destination.routes:
            linkset = self.linksets[name]
            if linkset is not link.linkset and linkset.state == UP and destination.status.get(name) != PROHIBITED:
                for other in linkset.usable_links():
                    return other.name
        return None

    def send_around(self, link, name, now_ms, **fields):
        """Send a message about a link over another one.  Returns that one's name, or None."""
        other = self.path_around(link)
        if other is None:
            self.count("management_without_path")
        else:
            self.put(other, "message", self.management(link.linkset.adjacent, name, link.slc, **fields))
        return other

    def carrier_lost(self, name, now_ms):
        """A link carries no traffic any more: changeover orders that went by it go by another."""
        for other in self._link_order:
            self.links[other].changeover.carrier_lost(name, now_ms)

    def send_near(self, link, name, now_ms):
        """Send a message about a link over it, over another of its linkset, or around."""
        spoken = link.linkset.spoken_links()
        if link.carries_management:     # libss7 hears of a link only over that link
            spoken = [link]
        other = spoken[0].name if spoken else self.path_around(link)
        if other is None:
            self.count("management_without_path")
        else:
            self.put(other, "message", self.management(link.linkset.adjacent, name, link.slc))

    def _send_over(self, linkset, dpc, name, **fields):
        spoken = linkset.spoken_links()
        if spoken:                      # the SLC says nothing here (15.2); libss7 takes only its link's own
            self.put(spoken[0].name, "message", self.management(dpc, name, spoken[0].slc, **fields))

    def send_tra(self, linkset, now_ms):
        """9: traffic may come."""
        self._send_over(linkset, linkset.adjacent, "TRA")

    def send_route_test(self, destination, linkset, name, now_ms):
        """13.5: is that route still prohibited, still restricted?"""
        linkset = self.linksets[linkset]
        self._send_over(linkset, linkset.adjacent, name, destination=destination.point_code)

    def send_test_of_congestion(self, destination, level, now_ms):
        """13.9: RCT, with the priority that the congestion would let pass."""
        label = messages.Label(0, self.network_indicator, destination.point_code, self.point_code, 0, level)
        destination.send(0, messages.encode_label(self.variant, label)
                         + messages.encode_management(self.variant, "RCT"), now_ms)

    def may_inhibit(self, link):
        """10.2: no destination may become inaccessible by it."""
        if [other for other in link.linkset.usable_links() if other is not link]:
            return True
        for code in self._destination_order:
            destination = self.destinations[code]
            if destination.accessible and destination.choose() == [link.linkset.name]:
                others = [row for row in destination.routes if row[0] != link.linkset.name
                          and self.linksets[row[0]].state == UP and destination.status.get(row[0]) != PROHIBITED]
                if not others:
                    return False
        return True

    def force_uninhibit(self, destination, now_ms):
        """10.3.2: nothing leads there any more, but an inhibited link would."""
        for name, _ in destination.routes:
            for link in self.linksets[name].links:
                if link.state == ACTIVE and not link.far_outage:
                    if link.inhibit.local:
                        link.inhibit.handle("uninhibit", now_ms)
                    if link.inhibit.remote:
                        link.inhibit.handle("force", now_ms)

    def routes_changed(self, now_ms, reason):
        """Let every destination look at its routes."""
        for code in self._destination_order:
            self.destinations[code].update(now_ms, reason)

    def link_released(self, name, octets_list, now_ms):
        """A link's changeover is done, these messages are left."""
        self.reroute(octets_list, now_ms)
        for code in self._destination_order:
            self.destinations[code].link_released(name, now_ms)

    def reroute(self, octets_list, now_ms):
        """Send whole messages by the routes of now."""
        for octets in octets_list:
            try:
                label, _ = messages.decode(self.variant, octets)
            except messages.MessageError:
                continue
            destination = self.destinations.get(label.dpc)
            if label.si <= 2:           # what was said about links is out of date
                self.count("management_not_repeated")
            elif destination is not None:
                # Kept messages come before those that the destination holds.
                held, waiting = destination.held, destination.waiting
                if waiting is not None and waiting.startswith("link:"):
                    destination.waiting = None
                    destination.current = destination.choose() or destination.current
                    destination.held = []
                    destination.send(label.sls, octets, now_ms)
                    destination.held = destination.held + held
                    destination.waiting = waiting
                else:
                    destination.send(label.sls, octets, now_ms)

    # Restart: 9

    def own_restart(self, now_ms):
        """A linkset has its first link.  Returns whether our own restart goes on."""
        if self.restarting and self.restart_at_ms is None:
            self.restart_at_ms = now_ms + self.durations_ms["T20"]
        return self.restarting

    def own_restart_progress(self, now_ms):
        """TRA came during our restart: done when all that can have said so."""
        if not [1 for name in self._linkset_order
                if self.linksets[name].state == RESTARTING and not self.linksets[name].tra]:
            self._own_restart_done(now_ms)

    def _own_restart_done(self, now_ms):
        self.restart_at_ms = None
        self.restarting = False
        for name in self._linkset_order:
            if self.linksets[name].state == RESTARTING:
                self.send_tra(self.linksets[name], now_ms)
        self.emit({"event": "restarted"})
        for name in self._linkset_order:
            if self.linksets[name].state == RESTARTING:
                self.linksets[name].step("own_restart_done", now_ms)

    def linkset_lost(self, linkset, now_ms):
        """An adjacent point is out of direct reach."""
        for code in self._destination_order:
            self.destinations[code].linkset_lost(linkset.name)
        if not [1 for name in self._linkset_order if self.linksets[name].state != DOWN]:
            self.restart_at_ms = None
            self.restarting = bool(self.config.get("restart", True))     # 9.2: isolated

    # Messages

    def _link(self, given):
        link = self.links.get(given.get("link"))
        if link is None:
            raise LocalError("there is no signalling link %r" % (given.get("link"),))
        return link

    def _transfer(self, now_ms, given):
        octets = bytes(given["octets"])
        sls = given["sls"]
        if not 1 <= len(octets) <= MAX_DATA[self.variant] or not 3 <= given["si"] <= 15:
            raise LocalError("transfer wants 1 to %d octets and a service indicator 3 to 15" % MAX_DATA[self.variant])
        if not 0 <= sls <= messages.max_sls(self.variant):
            raise LocalError("SLS %r does not fit variant %s" % (sls, self.variant))
        label = messages.Label(given["si"], self.network_indicator, self._code(given["dpc"]),
                               self._code(given.get("opc", self.point_code)), sls, given.get("priority", 0))
        destination = self.destinations.get(label.dpc)
        if destination is None:
            raise LocalError("no route leads to point code %d: add one to the routes" % label.dpc)
        destination.send(sls, messages.encode_label(self.variant, label) + octets, now_ms)

    def _message(self, link, octets, now_ms):
        """Discrimination and distribution: 2.4."""
        try:
            label, rest = messages.decode(self.variant, octets)
            if label.ni != self.network_indicator:
                self.count("other_network")
            elif label.dpc != self.point_code:
                self.count("messages_for_others")
            elif label.si in (messages.NETWORK_MANAGEMENT, messages.TEST, messages.TEST_SPECIAL):
                name, fields = messages.decode_management(self.variant, label.si, rest)
                self._managed(link, name, label, fields, now_ms)
            elif self.users is not None and label.si not in self.users:
                self.count("user_unavailable")
                self._user_unavailable(label, now_ms)
            elif self.restarting or link.linkset.state != UP:
                self.count("messages_before_restart")           # 9.5
            else:
                self.emit({"event": "transfer_indication", "opc": label.opc, "dpc": label.dpc, "sls": label.sls,
                           "si": label.si, "ni": label.ni, "octets": rest})
        except messages.MessageError:
            self.count("invalid_messages")

    def _user_unavailable(self, label, now_ms):
        """11.2.7: UPU, cause 1 unequipped remote user."""
        destination = self.destinations.get(label.opc)
        if destination is not None and destination.accessible:
            destination.send(0, self.management(label.opc, "UPU", destination=self.point_code, user=label.si, cause=1), now_ms)

    def _managed(self, link, name, label, fields, now_ms):
        if name in messages.TEST_HEADINGS:
            link.test_message(name, label, fields, now_ms)
            return
        if name in messages.LINK_MESSAGES:
            self._about_link(link, name, label, fields, now_ms)
            return
        if name == "UPU":
            self.emit({"event": "status", "destination": fields["destination"], "cause": "user_unavailable",
                       "user": fields["user"], "reason": fields["cause"]})
        elif name == "TFC":
            destination = self.destinations.get(fields["destination"])
            if destination is None:
                self.count("transfer_messages_ignored")
            else:
                destination.controlled(fields["status"], now_ms)
        else:
            linksets = [n for n in self._linkset_order if self.linksets[n].adjacent == label.opc]
            if not linksets:
                self.count("messages_of_strangers")
            elif name == "TRA":
                for n in linksets:
                    self.linksets[n].step("TRA", now_ms)
            elif name in ("TFP", "TFR", "TFA"):
                destination = self.destinations.get(fields["destination"])
                if destination is None:
                    self.count("transfer_messages_ignored")
                else:
                    for n in linksets:
                        destination.transfer(name, n, now_ms)
            else:                       # RST, RSR, RCT: for points that transfer
                self.count("messages_for_transfer_points")

    def _about_link(self, arrived, name, label, fields, now_ms):
        slc = fields.get("slc", label.sls & 15)
        link = None
        for n in self._linkset_order:
            if self.linksets[n].adjacent == label.opc:
                for candidate in self.linksets[n].links:
                    if candidate.slc == slc and (link is None or candidate.linkset is arrived.linkset):
                        link = candidate
        if link is None:
            self.count("messages_about_unknown_links")
        elif name in ("COO", "ECO"):
            if link.state == ACTIVE:
                link.handle("changeover_order", now_ms)
            link.changeover.step(name, now_ms, fields.get("fsn"))
        elif name in ("COA", "ECA"):
            link.changeover.step(name, now_ms, fields.get("fsn"))
        elif name == "CBD":
            self.put(arrived.name, "message", self.management(label.opc, "CBA", slc, code=fields["code"]))
        elif name == "CBA":
            link.changeback.step("CBA", now_ms, fields["code"])
        else:
            link.inhibit.handle(name, now_ms)

    # Survival

    def _take_events(self):
        events, self._events = self._events, []
        return events

    def state(self):
        """What a display shows: {"links": {name: state}, "linksets": ..., "destinations": {code: accessible}}."""
        return {"restarting": self.restarting,
                "links": dict([(n, {"state": self.links[n].state, "usable": self.links[n].usable,
                                    "inhibited": [self.links[n].inhibit.local, self.links[n].inhibit.remote]})
                               for n in self._link_order]),
                "linksets": dict([(n, self.linksets[n].state) for n in self._linkset_order]),
                "destinations": dict([(c, self.destinations[c].accessible) for c in self._destination_order])}

    def dump(self):
        """Return plain data: everything but events and output not yet taken."""
        return {"restarting": self.restarting, "restart_at_ms": self.restart_at_ms, "counters": dict(self.counters),
                "parts": [part.dump() for part in self._parts()]}

    @classmethod
    def restore(cls, saved, config):
        """Rebuild from dump() and the same configuration.  Raises LocalError if it is another."""
        node = cls(config)
        parts = list(node._parts())
        if len(parts) != len(saved["parts"]):
            raise LocalError("the saved state of MTP3 is of another configuration: start anew")
        for part, data in zip(parts, saved["parts"]):
            part.load(data)
        node.restarting = saved["restarting"]
        node.restart_at_ms = saved["restart_at_ms"]
        node.counters = saved["counters"]
        return node

    def audit(self, now_ms, in_service):
        """After restore(): in_service tells of each link whether its MTP2 is in service.  Returns events."""
        for name in self._link_order:
            link = self.links[name]
            if in_service.get(name):
                if link.state == INACTIVE:
                    self.put(name, "stop")
                elif link.state not in (TESTING, ACTIVE):
                    link.timers.stop("T17")
                    link.state = ALIGNING
                    link.handle("in_service", now_ms)
            elif link.state in (TESTING, ACTIVE):
                link.handle("out_of_service", now_ms)
            elif link.state == ALIGNING:
                self.put(name, "start")
        return self._take_events()
