"""SIP trunks in the switch: their calls as trunks of a trunk group, their state as that of a span.

A trunk of the trunk group is (name, channel), channels from 1.  The switchboard chooses the channel of a call that goes
out; one that comes in gets the highest that is free, so that both meet late.  The state of a SIP trunk goes
to the switchboard as "span.state" under the name of the trunk.

What the caller hears before the answer: a provisional response with a session description is something to hear.
"""

import ipaddress
import logging

from firmware.call import carriage
from firmware.errors import LocalError
from firmware.config.field import is_name
from firmware.links.pri_span import enhancement
from firmware.proto import sdp
from firmware.proto.sip.transport import address_of

log = logging.getLogger(__name__)

NETWORK_OUT_OF_ORDER, NO_CIRCUIT, SUBSCRIBER_ABSENT = 38, 34, 20    # Q.850


def named_entries(config):
    """[(name, port, transport)] of far ends that DNS must find."""
    return [_entry(entry) for row in config["sip_trunks"] if row["enabled"] for entry in row["addresses"] if is_name(entry["address"])]


def _entry(entry):
    return entry["address"], entry["port"], entry["transport"]


def trunk_rows(config, names=None):
    """What SIPEndpoint wants as "trunks"; the configuration's rows with addresses and sources made ready.  names: Names (sip_names.py)."""
    rows = []
    for row in config["sip_trunks"]:
        if row["enabled"]:
            made = dict(row)
            made["addresses"], made["names"], faults = [], {}, []
            for entry in row["addresses"]:
                if not is_name(entry["address"]):
                    made["addresses"].append(address_of(*_entry(entry)))
                    continue
                made["named"] = True
                made["domain"] = made["domain"] or entry["address"]        # RFC 3263 4: who is meant, not where he is
                for address in names.addresses(_entry(entry)) if names is not None else ():
                    made["addresses"].append(address)
                    made["names"][address[0]] = entry["address"]
                faults += [fault for fault in [names.fault(_entry(entry)) if names is not None else None] if fault]
            made["addresses"] = list(dict.fromkeys(made["addresses"]))
            made["unresolved"] = "; ".join(faults) or None
            made["is_source"] = _matcher([entry["network"] for entry in row["sources"]])
            rows.append(made)
    return rows


def _matcher(networks):
    """Function(host) -> whether it lies in one of them."""
    known = [ipaddress.ip_network(network, strict=False) for network in networks]

    def is_source(host):
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in known)
    return is_source if known else None


class SIPTrunks:
    """The half of SIPLegs that deals with trunks."""

    def _group_of(self, trunk):
        row = self.endpoint.trunks.get(trunk)
        return row.row["trunk_group"] if row is not None else None

    def _enhancement_of(self, state):
        """What media does to the sound of a leg: by its line, or by the trunk group of its trunk."""
        if state.get("trunk") is not None:
            return self.config["group_enhance"].get(self._group_of(state["trunk"]), {})
        return self.config["enhance"].get(state["line"], {})

    def _free_channel(self, trunk, called):
        """The highest channel that no leg has, or None; for an emergency number one above all."""
        taken, most = set(self._trunk_legs.get(trunk, {}).values()), self.endpoint.trunks[trunk].row["channels"]
        for channel in range(most, 0, -1):
            if channel not in taken:
                return channel
        return max(taken | {most}) + 1 if called in self.media.emergency else None

    def _tls_peer(self, address):
        """Whose certificate a far end must show: that of the trunk which has it."""
        for _, trunk in sorted(self.endpoint.trunks.items()):
            if any(known[0] == address[0] for known in trunk.row["addresses"]):
                return {"name": trunk.row["domain"] or trunk.row["names"].get(address[0]) or address[0], "verify": trunk.row["verify"]}
        return {"name": address[0], "verify": True}

    # -- state --

    def _on_trunk_up(self, event, now_ms):
        log.info("sip: trunk %s is up: %s", event["trunk"], event["why"])
        self._tell_trunk(event["trunk"], "up")

    def _on_trunk_down(self, event, now_ms):
        log.warning("sip: trunk %s is down: %s", event["trunk"], event["why"])
        self._tell_trunk(event["trunk"], "down")

    def _on_flow_kept(self, event, now_ms):
        self.link.streams.keep(event["address"], event["every_s"])

    def _tell_trunk(self, name, state):
        self.turns.post({"kind": "span.state", "span": name, "state": state, "alarms": []})

    def _tell_trunks(self, gone=()):
        """After a restart or a new configuration: the switchboard shall think what is."""
        for name in sorted(gone):
            self._tell_trunk(name, "down")
        for name, trunk in sorted(self.endpoint.trunks.items()):
            self._tell_trunk(name, trunk.state)

    # -- calls --

    def _create_trunk_leg(self, action, now_ms):
        """leg.create over a trunk: a termination first, then the INVITE."""
        state = self._begin(action["leg"], "out", None, now_ms)
        self._trunk_legs.setdefault(action["span"], {})[action["leg"]] = action["timeslot"]
        state.update(trunk=action["span"], channel=action["timeslot"], called=action["called"], caller=action["caller"],
                     caller_name=(action.get("carried") or {}).get("caller_name") or action.get("caller_name") or "",
                     redirecting=action.get("redirecting"), carried=action.get("carried"), **({"urgent": True} if action.get("priority") else {}))
        trunk = self.endpoint.trunks.get(action["span"])
        if trunk is None or trunk.state != "up":
            self._ended(action["leg"], NETWORK_OUT_OF_ORDER, "failure")
            return
        if self._begin_passing(action["leg"], state, action.get("call")):
            self._allocate(action["leg"])

    def _invite_trunk(self, leg, state, now_ms):
        try:
            events = self.endpoint.request({"kind": "invite_request", "leg": leg, "trunk": state["trunk"], "called": state["called"],
                                            "caller": state["caller"], "caller_name": state["caller_name"],
                                            "redirecting": state["redirecting"], "carried": carriage.to_sip(state.get("carried")),
                                            "sdp": sdp.offer(self._local(state))}, now_ms)
        except LocalError as error:
            log.warning("sip: trunk %s cannot be called: %s", state["trunk"], error)
            self._ended(leg, NETWORK_OUT_OF_ORDER, "failure")
            return
        self._take(events, now_ms)

    def _offer_trunk(self, leg, state):
        """A call that came in over a trunk: the switchboard may have it."""
        self.turns.post({"kind": "leg.offered", "leg": leg, "tech": "sip", "trunk_group": self._group_of(state["trunk"]),
                         "span": state["trunk"], "timeslot": state["channel"], "caller": state["caller"],
                         "caller_presentation": state["caller_presentation"], "caller_type": state["caller_type"],
                         "called": state["called"], "called_complete": True, "redirecting": state["redirecting"], "carried": state.get("carried"),
                         "bearer": "speech", "line": None})

    def _trunk_rings(self, event, now_ms):
        """A provisional response of a trunk.  True: something is to be heard of it."""
        leg, state = event["leg"], self.legs[event["leg"]]
        if event["sdp"] is not None and not state.get("early"):
            if not self._far(leg, event["sdp"]):
                return
            self._set(leg, early=True)
        inband = bool(state.get("early"))
        if event["status"] == 180:
            self._set(leg, state="alerting")
            self.turns.post({"kind": "leg.alerting", "leg": leg, "inband": inband})
        else:
            self.turns.post({"kind": "leg.progress", "leg": leg, "inband": inband})

    def _on_refresh(self, event, now_ms):
        """The session timer wants a re-INVITE with what stands."""
        state = self.legs.get(event["leg"])
        if state is not None and state["state"] == "answered":
            self._take(self.endpoint.request({"kind": "reinvite_request", "leg": event["leg"],
                                              "sdp": sdp.offer(dict(self._local(state), fax=bool((state["far"] or {}).get("t38"))))}, now_ms), now_ms)

    # -- configuration and the page --

    def _names_changed(self):
        """DNS says something else of a trunk: a turn of its own."""
        self.turns.run("names of SIP trunks", self._rename)
        self.link.settle([])

    def _rename(self, now_ms):
        config = self.house_config()
        self._take(self.endpoint.set_trunks(trunk_rows(config, self.names), now_ms), now_ms)
        self._tell_trunks()

    def trunk_faults(self):
        """{trunk: (worst, sentence)}: "down" where it carries no calls, "part" where only some of its addresses do."""
        faults = {}
        for name, trunk in self.endpoint.trunks.items():
            dead = [trunk.spoken(index) for index, alive in enumerate(trunk.alive) if alive is False]
            if trunk.state == "down":
                if trunk.why != "not asked yet":
                    faults[name] = ("down", trunk.row.get("unresolved") if not trunk.row["addresses"] and trunk.row.get("unresolved") else trunk.why)
            elif dead:
                faults[name] = ("part", "%s does not answer; calls go over %s" % (", ".join(dead), trunk.spoken(trunk.at)))
            elif trunk.row.get("unresolved"):
                faults[name] = ("part", "%s; its addresses of before stay in use" % trunk.row["unresolved"])
        return faults

    def trunk_names(self):
        """All that there are."""
        return set(self.endpoint.trunks)

    def _configure_trunks(self, config, now_ms):
        servers = [(row["address"], row["port"]) for row in config["sip"]["name_servers"]]
        if servers != self.names.resolver.servers:
            self.names.again(servers)
        self.names.want(named_entries(config))
        rows = trunk_rows(config, self.names)
        gone = set(self.endpoint.trunks) - {row["name"] for row in rows}
        self.config["group_enhance"] = {row["name"]: enhancement(row) for row in config["trunk_groups"]}
        self._take(self.endpoint.set_trunks(rows, now_ms), now_ms)
        self._tell_trunks(gone)

    def _describe_trunks(self, state, legs):
        rows = []
        for _, trunk in sorted(self.endpoint.trunks.items()):
            row = trunk.describe()
            row["calls"] = sorted(({"leg": leg, "call": legs.get(leg), "channel": known["channel"], "direction": known["direction"]}
                                   for leg, known in self.legs.items() if known.get("trunk") == trunk.name),
                                  key=lambda entry: entry["channel"])
            rows.append(row)
        state["sip_trunks"] = rows
