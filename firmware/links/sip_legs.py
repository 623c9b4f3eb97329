"""SIP legs: joins the SIP endpoint to the switchboard and to media.

A call out of the house from a registered line is an incoming leg here: 180 while the called party rings, 183 with
our answer where the network lets something be heard (early media), 200 with the same answer.

Outgoing (an agent's or a line's phone): leg.create -> RTP termination in media -> INVITE with our
offer -> alerting, answered or released.  Incoming (a registered line calls): INVITE -> RTP
termination -> leg.offered; leg.answer -> 200 with our answer.  Either way the termination
has its far address before the switchboard hears "answered", so that a bridge carries at once.

A leg here: {"direction": "out"|"in", "state": "allocating"|"setup"|"alerting"|"answered"|"releasing",
"line", "host", "port" (ours), "session", "version" (of our SDP), "offer" (theirs, as text, or None),
"far" (what proto/sdp.py chose), "held"}.  It is stored with the endpoint's own dumps in
the turn's transaction; a leg that was still allocating when control was killed is allocated again
(incoming) or given up with cause 41 (outgoing).

RTP terminations and what the session descriptions say: sip_media.py.  A telephone that died: sip_probe.py; a page that was closed: sip_browsers.py.
"""

import hashlib
import logging
import os
import socket

from firmware.call.outside import EMERGENCY
from firmware.call import carriage
from firmware.errors import LocalError, RemoteError
from firmware.links.adapter import Adapter
from firmware.links.enhancement import enhancement, renew
from firmware.links.sip_browsers import SIPBrowsers
from firmware.links.sip_certificates import Certificates
from firmware.links.sip_fax import SIPFax
from firmware.links.resolver import Resolver
from firmware.links.sip_keys import SIPKeys
from firmware.links.sip_media import SIPMedia, carried, is_browser, new_credentials
from firmware.links.sip_names import Names
from firmware.links.sip_passing import SIPPassing
from firmware.links.sip_presence import Presence
from firmware.links.sip_probe import DEAD_S
from firmware.links.sip_streams import SIPStreams
from firmware.links.sip_trace import SIPTrace
from firmware.links.sip_trunks import SIPTrunks, named_entries, trunk_rows
from firmware.links.sip_udp import SIPUDPLink
from firmware.proto import sdp
from firmware.proto.sip.endpoint import SIPEndpoint

log = logging.getLogger(__name__)

HASHES = {"MD5": lambda octets: hashlib.md5(octets).digest(), "SHA-256": lambda octets: hashlib.sha256(octets).digest()}
DIGESTS = {"md5": ("MD5",), "sha256": ("SHA-256",), "both": ("SHA-256", "MD5")}
LAMPS = {"setup": "trying", "alerting": "early", "answered": "confirmed"}     # states of legs as RFC 4235 3.7.1 names them
SAY_AGAIN_MS = 60000        # of one line's refused calls; invented
LIVE = {"calling": "setup", "alerting": "alerting", "accepted": "answered", "confirmed": "answered"}


def endpoint_config(config):
    """What SIPEndpoint wants, from the configuration."""
    sip = config["sip"]
    return {"address": own_address(sip["address"]), "port": sip["port"], "realm": sip["realm"],
            "digest_algorithms": DIGESTS[sip["digest"]], "qualify_s": sip["qualify_s"], "publish": sip["publish"],
            "guard": {part: sip[part] for part in ("source_rate", "wrong_passwords", "ban_s")},
            "emergency": [row["number"] for row in config["routes"] if row["class"] == EMERGENCY],
            "lines": {line["name"]: line["password"] for line in config["lines"] if not (line.get("home") or {}).get("number")},
            "trunks": trunk_rows(config),
            "group_enhance": {row["name"]: enhancement(row) for row in config["trunk_groups"]},
            "encryption": {line["name"]: line.get("encryption", "off") for line in config["lines"]},
            "codecs": {line["name"]: line.get("codecs") for line in config["lines"]},
            "g726_upper_first": {line["name"]: line.get("g726_upper_first", False) for line in config["lines"]},
            "calls_most": {line["name"]: line.get("calls_most", 0) for line in config["lines"]},
            "t38": {line["name"]: line.get("t38", "off") for line in config["lines"]},
            "dead_s": {line["name"]: line.get("dead_s", DEAD_S) for line in config["lines"]},
            "dtmf": {line["name"]: line.get("dtmf", "auto") for line in config["lines"]},
            "fax": {name[4:]: sip[name] for name in sip if name.startswith("t38_")},
            "enhance": {line["name"]: enhancement(line) for line in config["lines"]}}


def own_address(address):
    """The address to write into messages: a wildcard becomes the address of the default route."""
    if address not in ("0.0.0.0", "::"):
        return address
    probe = socket.socket(socket.AF_INET6 if address == "::" else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.connect(("2001:db8::1" if address == "::" else "192.0.2.1", 9))
        return probe.getsockname()[0]
    except OSError:
        return "::1" if address == "::" else "127.0.0.1"
    finally:
        probe.close()


class SIPLegs(SIPMedia, SIPKeys, SIPFax, SIPPassing, SIPTrunks, SIPBrowsers, Presence, Adapter):
    """The adapter of SIP.  sock: its UDP socket; read by links/sip_udp.py after start().  streams: {transport: listening socket}."""

    name = "sip"

    def __init__(self, house, sock, streams=None):
        self.turns, self.media, self.ids = house.turns, house.media, house.stores.counters
        self.config = endpoint_config(house.config.running())
        streams = streams or {}
        self.config["ports"] = {transport: listener.getsockname()[1] for transport, listener in streams.items() if transport != "web"}
        machines = house.stores.machines
        dump = {name[4:]: machines.load(name) for name in machines.names("sip/")}
        arguments = (self.config, os.urandom, HASHES, self._new_leg)
        self.endpoint = (SIPEndpoint.restore(dump, *arguments, house.clock.now_ms()) if dump
                         else SIPEndpoint(*arguments))
        self.legs = {name[8:]: machines.load(name) for name in machines.names("sip-leg/")}
        self._trunk_legs = {}       # trunk -> {its legs: channel}
        for leg, state in self.legs.items():
            if state.get("trunk") is not None:
                self._trunk_legs.setdefault(state["trunk"], {})[leg] = state["channel"]
        self._changed = set()
        self._changes = {}
        self._lamps = set()         # lines whose calls changed in this turn
        self._referring = set()     # legs whose REFER this turn decides
        self._begin_passed()
        self.now_ms = house.clock.now_ms
        self._refused = {}          # line or trunk -> (calls refused since it was said, when)
        self._probe_at = {}         # leg -> when its silent telephone is asked again
        self._given_up_at = {}      # leg of a page that is gone -> when it ends
        self._reading = self._sending = False
        self.media.listeners["dtls_failed"] = self._dtls_failed
        self.media.listeners["dtls_closed"] = self._dtls_closed
        self.media.listeners["key"] = self._tell_key
        self._begin_presence(house)
        self.house_config = house.config.running
        running = house.config.running()
        self.names = Names(Resolver([(row["address"], row["port"]) for row in running["sip"]["name_servers"]]), self._names_changed)
        self.names.want(named_entries(running))
        self.link = SIPUDPLink(self.endpoint, sock, house.clock.now_ms, self._heard)
        self.trace = SIPTrace(os.path.join(house.data_dir, "trace"), running["trace"]["sip_mb"], self.config, self.endpoint.leg_of_call)
        self.link.trace, self.link.trace_refused = self.trace.put, self.trace.refused
        sip = running["sip"]
        pair = (sip["certificate"], sip["key"]) if sip["key"] else (os.path.join(house.data_dir, "tls", name + ".pem") for name in ("certificate", "key"))
        self.link.streams = SIPStreams(streams, Certificates(*pair, sip["authorities"]), self._tls_peer, self.link.hear, self.link.lost, self.link.back,
                                       self.endpoint.guard)

    def _new_leg(self):
        return self.ids.next("l")

    # -- from the network --

    def _heard(self, events):
        """A batch of datagrams or timers went into the endpoint: one turn.  Under load it shares a commit with others.

        False: it is not committed yet, so nothing of it may be sent; flush() will say when."""
        if self._sending:
            return True
        self._reading = True
        try:
            with self.turns.together():
                self.turns.run({"sip": events}, self._take, events)
        finally:
            self._reading = False
        return not self.turns.is_open()

    def _take(self, events, now_ms):
        for event in events:
            self.turns.guard(event, event.get("leg"), getattr(self, "_on_" + event["kind"]), event, now_ms)

    def _on_line_registered(self, event, now_ms):
        self.turns.post({"kind": "line.registered", "line": event["line"]})

    def _on_line_unregistered(self, event, now_ms):
        if event["left"]:
            self._telephone_left(event["line"], now_ms)
        self.turns.post({"kind": "line.unregistered", "line": event["line"]})

    def _on_invite_indication(self, event, now_ms):
        leg, offer = event["leg"], event["sdp"]
        most = self.config["calls_most"].get(event["line"], 0)
        if most and event["called"] not in self.media.emergency and sum(1 for state in self.legs.values() if state["line"] == event["line"]) >= most:
            self._say_refused(event["line"], "it has %d calls already (lines[].calls_most)" % most, now_ms)
            self._take(self.endpoint.request({"kind": "reject_request", "leg": leg, "status": 486, "cause": 17}, now_ms), now_ms)
            return
        state = self._begin(leg, "in", event["line"], now_ms)
        state.update({name: event[name] for name in ("joins", "replaces") if event.get(name)})
        state.update(sip_host=event.get("host"), called=event["called"], caller=event["caller"], caller_name=event.get("caller_name"),
                     trunk=event.get("trunk"), channel=None, caller_type=event.get("caller_type"),
                     caller_presentation=event.get("caller_presentation"), redirecting=event.get("redirecting"), carried=carriage.of_sip(event.get("carried")),
                     offer=None if offer is None else offer.decode("utf-8", "surrogateescape"))
        if state["trunk"] is not None:
            state["channel"] = self._free_channel(state["trunk"], state["called"])
            self._trunk_legs.setdefault(state["trunk"], {})[leg] = state["channel"]
            if state["channel"] is None:
                self._forget(leg)
                self._take(self.endpoint.request({"kind": "reject_request", "leg": leg, "status": 486, "cause": 34}, now_ms), now_ms)
                return
        if offer is not None:
            if is_browser(offer):
                state["web"] = new_credentials()
            try:
                state["far"] = carried(self._first_answer(state, offer))
            except RemoteError as error:
                self._say_refused(event["line"] or "trunk %s" % event.get("trunk"), error, now_ms)
                self._forget(leg)
                self._take(self.endpoint.request(
                    {"kind": "reject_request", "leg": leg, "status": error.status or 488}, now_ms), now_ms)
                return
        self._allocate(leg)

    def _first_answer(self, state, offer):
        """What an INVITE's description settles.  Raises RemoteError."""
        try:
            return sdp.answer(offer, self._local(state, web=True))[1]
        except RemoteError as error:
            return self._only_passed(state, error)

    def _say_refused(self, who, error, now_ms):
        """A telephone that offers what cannot be carried does so at each call: one line a minute, with the count."""
        count, said_ms = self._refused.get(who, (0, None))
        if said_ms is None or now_ms - said_ms >= SAY_AGAIN_MS:
            log.warning("sip: call of %s refused%s: %s", who, " (and %d before)" % count if count else "", error)
            count, said_ms = 0, now_ms
        else:
            count += 1
        self._refused[who] = (count, said_ms)

    def _on_alerting(self, event, now_ms):
        if self.legs.get(event["leg"], {}).get("trunk") is not None:
            self._trunk_rings(event, now_ms)
            return
        self._set(event["leg"], state="alerting")
        self.turns.post({"kind": "leg.alerting", "leg": event["leg"]})

    def _on_answered(self, event, now_ms):
        leg = event["leg"]
        self._set(leg, sip_host=event.get("host"))
        if not self._far(leg, event["sdp"]):
            self._release(leg, 88, now_ms)          # Q.850: incompatible destination
            return
        self._note_answered(leg)

    def _on_taken(self, event, now_ms):
        """Another telephone of the line has taken what rang; what it wants to hear is known (_on_reinvite), or comes with its ACK."""
        self._note_answered(event["leg"])

    def _note_answered(self, leg):
        self._set(leg, state="answered")
        self._watch(leg)
        self.turns.post({"kind": "leg.answered", "leg": leg})
        self._tell_fax(leg)

    def _on_sdp_answer(self, event, now_ms):
        if not self._far(event["leg"], event["sdp"]):
            self._release(event["leg"], 88, now_ms)

    def _on_rejected(self, event, now_ms):
        self._ended(event["leg"], event["cause"], "far", event["status"])

    def _on_released(self, event, now_ms):
        self._ended(event["leg"], event["cause"], event["by"], event.get("sip_status"))

    def _on_reinvite(self, event, now_ms):
        leg, offer = event["leg"], event["sdp"]
        state = self.legs.get(leg)
        if state is None:
            return
        self._set(leg, version=state["version"] + 1, **({"sip_host": event["host"]} if event.get("host") else {}))
        response = {"kind": "reinvite_response", "leg": leg}
        try:
            if offer is None:
                response["sdp"] = sdp.offer(dict(self._local(state), fax=bool((state["far"] or {}).get("t38"))))
            else:
                body, far = self._answer_offer(leg, offer)
                self._join(leg, carried(far))
                self._speaks_again(leg)
                response["sdp"] = body
        except RemoteError as error:
            response["status"] = error.status or 488
        self._take(self.endpoint.request(response, now_ms), now_ms)

    def _on_reinvited(self, event, now_ms):
        if self.legs.get(event["leg"], {}).get("sounding"):
            usable = event["sdp"] is None or self._far(event["leg"], event["sdp"])
            self._sounding_ended(event["leg"], 200 if usable else 488, now_ms)
        elif event["sdp"] is not None and not self._far(event["leg"], event["sdp"]):
            self._fax_refused(event["leg"], 488, now_ms, answered=True)

    def _on_reinvite_failed(self, event, now_ms):
        log.info("sip: our re-INVITE on %s was refused with %s", event["leg"], event["status"])
        if self._sounding_ended(event["leg"], event["status"], now_ms):
            self._fax_refused(event["leg"], event["status"], now_ms)

    def _on_refer(self, event, now_ms):
        """A telephone transfers its call: done where the switchboard takes the leg away from it in this turn."""
        self._referring.add(event["leg"])
        self.turns.post({"kind": "leg.transfer", "leg": event["leg"], "called": event["called"] or None, "other": event["other"],
                         "referred_by": event["by"]})

    def _refer_ended(self, leg, status, now_ms):
        if leg in self._referring:
            self._referring.discard(leg)
            try:
                self._take(self.endpoint.request({"kind": "refer_outcome", "leg": leg, "status": status}, now_ms), now_ms)
            except LocalError:
                pass                # it has hung up meanwhile

    # -- from the switchboard --

    def creates(self, action):
        """Outgoing SIP legs are ours."""
        return action["tech"] == "sip"

    def owns(self, leg):
        """Whether a leg is ours."""
        return leg in self.legs

    def carry_out(self, action, now_ms):
        """One leg.* action."""
        getattr(self, "_do_" + action["do"].split(".")[1])(action, now_ms)

    def _do_create(self, action, now_ms):
        leg = action["leg"]
        if leg in self.legs:
            return
        if action.get("span") is not None:
            self._create_trunk_leg(action, now_ms)
            return
        state = self._begin(leg, "out", action["line"], now_ms)
        state.update(caller=action["caller"], caller_name=action.get("caller_name"))
        state.update({name: True for name in ("auto_answer", "waiting") if action.get(name)})
        call = self._core().state.calls.get(action.get("call"))
        if call is not None and call.carried:
            state.update(carriage.referrer(call.carried))
        if self._begin_passing(leg, state, action.get("call")):
            self._allocate(leg)

    def _do_messages(self, action, now_ms):
        """A line's lamp for messages (RFC 3842)."""
        self.endpoint.subscriptions.show_messages(action["line"], action["new"], action["old"], now_ms)

    def _do_proceeding(self, action, now_ms):
        """The 100 is out already."""

    def _do_need_more_digits(self, action, now_ms):
        """A SIP line sends whole numbers: what is incomplete stays so."""

    def _do_alerting(self, action, now_ms):
        """180.  With a tone from beyond a telephone gets 183, else it would make its own; an exchange is told that it rings all the same (Q.1912.5: ACM
        with "subscriber free" is 180)."""
        state = self.legs[action["leg"]]
        untold = state.get("trunk") is not None and state.get("early")
        if action.get("inband") and self._early(action["leg"], now_ms, 183 if state.get("trunk") is None else 180) and not untold:
            return
        if state["state"] == "setup" or untold:
            self._take(self.endpoint.request({"kind": "alerting_request", "leg": action["leg"], "waiting": action.get("waiting")}, now_ms), now_ms)
            self._set(action["leg"], state="alerting")

    def _do_progress(self, action, now_ms):
        if action["inband"]:
            self._early(action["leg"], now_ms)

    def _early(self, leg, now_ms, status=183):
        """A provisional response with our half of the session: the phone listens before the answer.  False where its INVITE had no offer."""
        state = self.legs[leg]
        if state["offer"] is None or state["direction"] == "out":
            return False
        if state["state"] in ("setup", "alerting") and not state.get("early"):
            body = self._answered_as(leg)
            if body is None:
                return False
            self._take(self.endpoint.request({"kind": "alerting_request", "leg": leg, "status": status, "sdp": body}, now_ms), now_ms)
            self._set(leg, state="alerting", early=True)
        return True

    def _do_answer(self, action, now_ms):
        leg = action["leg"]
        state = self.legs[leg]
        if state["direction"] == "out" or state["state"] not in ("setup", "alerting"):
            return
        offer = state["offer"]
        body = sdp.offer(self._local(state)) if offer is None else self._answered_as(leg)
        if body is None:
            self._say_refused(state["line"] or "trunk %s" % state.get("trunk"), "its telephone offers G.729 alone, which only another SIP leg that has it too can take", now_ms)
            self._release(leg, 65, now_ms)
            return
        self._take(self.endpoint.request({"kind": "answer_request", "leg": leg, "sdp": body}, now_ms), now_ms)
        self._set(leg, state="answered")
        self._watch(leg)
        self._tell_fax(leg)

    def _do_release(self, action, now_ms):
        self._release(action["leg"], action["cause"], now_ms)

    def _release(self, leg, cause, now_ms):
        """End a leg in whatever state; the switchboard gets its leg.released."""
        state = self.legs.get(leg)
        if state is None:
            return
        if state["direction"] == "out" and state["state"] == "allocating":
            self._ended(leg, cause, "near")
            return
        self._refer_ended(leg, 200, now_ms)
        try:
            self._take(self.endpoint.request({"kind": "release_request", "leg": leg, "cause": cause}, now_ms), now_ms)
        except LocalError as error:
            log.warning("sip: release of %s: %s", leg, error)
        if leg in self.legs:
            self._ended(leg, cause, "near")

    # -- the table of legs --

    def _begin(self, leg, direction, line, now_ms):
        self.legs[leg] = {"direction": direction, "state": "allocating", "line": line, "host": self.config["address"],
                          "port": None, "session": now_ms, "version": 1, "offer": None, "far": None, "held": False}
        self._changed.add(leg)
        return self.legs[leg]

    def _set(self, leg, **values):
        if leg in self.legs:
            self.legs[leg].update(values)
            self._changed.add(leg)
            if "state" in values and self.legs[leg]["line"] is not None:
                self._lamps.add(self.legs[leg]["line"])

    def _forget(self, leg):
        state = self.legs.pop(leg, None)
        if state is not None and state.get("trunk") is not None:
            self._trunk_legs.get(state["trunk"], {}).pop(leg, None)
        if state is not None and state["line"] is not None:
            self._lamps.add(state["line"])
        self._probe_at.pop(leg, None)
        self._given_up_at.pop(leg, None)
        self._note_passed(leg, None)
        self._changed.add(leg)

    def _ended(self, leg, cause, by, sip_status=None):
        known = leg in self.legs
        self._forget(leg)
        self.media.subtract(leg)
        if known:
            self.turns.post({"kind": "leg.released", "leg": leg, "cause": cause, "by": by, "sip_status": sip_status})

    # -- the turn --

    def dirty(self):
        """Dumps that changed."""
        for leg in sorted(self._referring):     # it still has its leg: the switchboard would not transfer
            self._refer_ended(leg, 603, self.now_ms())
        for line in sorted(self._lamps):
            self.endpoint.subscriptions.show_dialogs(line, self._dialogs_of(line), self.now_ms())
        self._lamps.clear()
        self._changes.update(self.endpoint.take_changes())
        return bool(self._changes or self._changed)

    def _dialogs_of(self, line):
        """The calls of a line for busy lamps (RFC 4235)."""
        return [(leg, "initiator" if state["direction"] == "in" else "recipient", LAMPS[state["state"]])
                for leg, state in sorted(self.legs.items()) if state["line"] == line and state["state"] in LAMPS]

    def save(self, stores):
        """Write them (inside the transaction)."""
        for key, state in self._changes.items():
            stores.machines.save("sip/" + key, state)
        for leg in self._changed:
            stores.machines.save("sip-leg/" + leg, self.legs.get(leg))

    def saved(self):
        """They are committed."""
        self._changes = {}
        self._changed.clear()

    def flush(self):
        """Send the datagrams of this turn."""
        if not self._reading:       # else the link sends by itself when the turn is over
            self._sending = True
            try:
                self.link.settle([])
            finally:
                self._sending = False

    def drop(self, leg, now_ms):
        """Handling of a leg failed: end it without telling the switchboard, which is told already."""
        if leg in self.legs:
            self._forget(leg)
            self.endpoint.request({"kind": "release_request", "leg": leg, "cause": 41}, now_ms)

    def committed(self, records):
        """Records that have just been committed."""
        super().committed(records)
        self._presence_changed(records, self.now_ms())
        self._look_at_passing()

    # -- life --

    def start(self):
        """Read the socket: also what came while no control process was there."""
        self.link.start()
        self.names.start()

    def stop(self):
        """Leave the socket; phones repeat until the next control process reads it."""
        self.names.stop()
        self.link.close()
        self.trace.close()

    def resume(self, now_ms):
        """After a restart: pending calls to phones end, the others go on."""
        self._take(self.endpoint.resume(now_ms), now_ms)
        self._tell_trunks()
        self._lamps.update(state["line"] for state in self.legs.values() if state["line"] is not None)
        self._resume_probes(now_ms)
        alive = {row["leg"] for row in self.endpoint.live_legs()}
        for leg in sorted(self.legs):
            state = self.legs[leg]
            if state["direction"] == "out" and state["state"] == "allocating":
                self._ended(leg, 41, "failure")
            elif leg not in alive:
                self._ended(leg, 41, "failure")
            elif state["state"] == "allocating":
                self._allocate(leg)

    def live_legs(self):
        """{leg: {"state"}} of the legs that stand."""
        return {row["leg"]: {"state": LIVE[row["state"]]} for row in self.endpoint.live_legs()
                if row["leg"] in self.legs and self.legs[row["leg"]]["state"] != "allocating"}

    def media_found(self, audit, now_ms):
        """Say again where each far end listens: a kill may have kept it from media."""
        there = {row["id"] for row in audit.get("terminations") or []}
        for leg, state in sorted(self.legs.items()):
            if state["far"] is not None and leg in there:
                self._join(leg, state["far"])
        renew(self.media, audit, {leg: self.config["enhance"].get(state["line"], {}) for leg, state in self.legs.items()})

    def configure(self, config, now_ms):
        """New lines and passwords; address and port need a restart (schema: impact)."""
        self.config.update({part: endpoint_config(config)[part] for part in ("lines", "enhance", "encryption", "codecs", "g726_upper_first", "calls_most", "dtmf", "t38", "dead_s", "fax")})
        self.endpoint.set_realm(config["sip"]["realm"])
        self.endpoint.set_digest(DIGESTS[config["sip"]["digest"]])
        self.endpoint.set_publish(config["sip"]["publish"])
        self.endpoint.set_qualify(config["sip"]["qualify_s"], now_ms)
        fresh = endpoint_config(config)
        self.endpoint.set_guard(fresh["guard"], fresh["emergency"])
        self._take(self.endpoint.set_lines(self.config["lines"], now_ms), now_ms)
        self._configure_trunks(config, now_ms)
        self.trace.resize(config["trace"]["sip_mb"])

    def describe(self, state, legs):
        """Where each line's phones are; the trunks."""
        self._describe_trunks(state, legs)
        known = self.endpoint.call_ids()
        for line in state.get("lines", []):
            line["contacts"] = self.endpoint.contacts(line["name"])
            line["silent"] = self.endpoint.is_silent(line["name"])
            line["published"] = self.endpoint.publications.describe(line["name"], known)
        for agent in state.get("agents", []):
            agent["silent"] = self.endpoint.is_silent(agent["line"])
        state["system"]["sip"] = {"counters": dict(self.endpoint.counters), "send_errors": self.link.send_errors,
                                  "streams": self.link.streams.describe(), "banned": len(self.endpoint.guard.banned),
                                  "waited_ms": round(self.endpoint.guard.waited_ms, 1), "overloaded": self.endpoint.guard.overloaded,
                                  "new_work_ms": round(self.link.intake.cost_ms, 2)}
