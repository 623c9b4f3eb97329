"""Feeds an outside recorder (SIPREC) with conversations: the adapter around proto/sip/recording.py.

What should be recorded follows from the switchboard's state: each conversation of two of the chosen queues and trunk groups.  After
each commit that may have changed that, the sessions are made to agree: two RTP terminations that hear a leg each (media's `tap`), an INVITE
with both, BYE when the conversation is over.  So nothing of it stands in the journal: a control process that starts anew ends the sessions of the one
before (their dialogs are saved) and begins new ones, and the conversation hears nothing of either.

A recorder that is away costs no call: there is a sentence among the faults, and each conversation is tried again after AGAIN_MS."""

import asyncio
import base64
import datetime
import logging
import os
import socket

from firmware.call import call as calls
from firmware.config.siprec import address_of
from firmware.links.adapter import Adapter
from firmware.links.sip_legs import own_address
from firmware.proto.sip.dialog import Dialog, Identity
from firmware.proto.sip.recording import RecordingClient, metadata
from firmware.proto.sip.timers import durations_ms

log = logging.getLogger(__name__)

AGAIN_MS = 5000                 # ours
IP_RECVERR = 11                 # linux/in.h
CHANGES = ("call.bridged", "call.unbridged", "call.clearing", "call.ended", "call.turned", "leg.released", "media.back", "media.lost", "core.resumed")
LABELS = ("1", "2")


def _new_id():
    return base64.b64encode(os.urandom(16)).decode()


class Siprec(Adapter):
    """house: turns, switchboard, config, media."""

    name = "siprec"

    def __init__(self, house):
        self.house = house
        self.row = dict(house.config.running()["siprec"])
        self.sessions = {}              # call: {"legs", "ports", "state"}
        self.left = {}                  # dialogs that a process before left open: {call: dump}
        self.again = {}                 # call: not before
        self.fault, self.fed, self.lost = None, 0, 0
        self._output, self._sock, self._client, self._timer = [], None, None, None
        self._changed = self._unsaved = False

    # -- the socket --

    def start(self):
        """In the running loop: the first look."""
        self.left = self.house.stores.machines.load("siprec") or {}
        if self.left or self.row["enabled"]:
            self._soon()

    def _open(self):
        """The client and its socket, once they are needed."""
        if self._client is None:
            address = own_address(self.house.config.running()["sip"]["address"])
            self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._sock.setblocking(False)
            self._sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
            self._sock.bind((address, 0))
            self._client = RecordingClient(Identity(address, self._sock.getsockname()[1], "Strowger", os.urandom), durations_ms())
            asyncio.get_running_loop().add_reader(self._sock, self._readable)
        return self._client

    def _readable(self):
        for _ in range(64):
            try:
                octets, source = self._sock.recvfrom(65536)
            except BlockingIOError:
                return
            except OSError:
                self._refusals()
                continue
            self.house.turns.run("recorder", self._received, octets, source)

    def _refusals(self):
        """The recorder's host, or a router, has sent something of ours back (ip(7), IP_RECVERR): it need not be waited for."""
        try:
            _, _, _, destination = self._sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
        except OSError:
            return
        self.house.turns.run("recorder", self._unreachable, destination)

    def _unreachable(self, destination, now_ms):
        self._client.unreachable(destination, now_ms)
        self._settle(now_ms)

    def _received(self, octets, source, now_ms):
        self._client.receive(octets, source, now_ms)
        self._settle(now_ms)

    # -- the turn --

    def committed(self, records):
        """Something of conversations may be another thing now."""
        if (self.row["enabled"] or self.sessions) and any(record["kind"] in CHANGES for record in records):
            self._soon()

    def _soon(self):
        if not self._changed:
            self._changed = True
            asyncio.get_running_loop().call_soon(self.house.turns.run, "recorder", self._look)

    def _look(self, now_ms):
        self._changed = False
        for call, dump in list(self.left.items()):
            self._leave(call, dump, now_ms)
        wanted = self._wanted() if self.row["enabled"] and self.house.media.serving else {}
        for call in list(self.sessions):
            if wanted.get(call) != self.sessions[call]["legs"]:
                self._end(call, now_ms)
        for call, legs in wanted.items():
            if call not in self.sessions and self.again.get(call, 0) <= now_ms:
                self._begin(call, legs)
        for call in [call for call in self.again if call not in wanted]:
            del self.again[call]
        if self._client is not None:
            self._settle(now_ms)

    def _wanted(self):
        """{call: (leg, leg)} of conversations to be recorded."""
        state = self.house.switchboard.core.state
        queues, groups = ({row["name"] for row in self.row[part]} for part in ("queues", "trunk_groups"))
        found = {}
        for call in state.calls.values():
            if call.state != calls.TALKING or call.agent_leg not in state.legs or call.caller_leg not in state.legs:
                continue
            theirs = {state.legs[leg].trunk_group for leg in (call.caller_leg, call.agent_leg)}
            if not queues and not groups or call.queue in queues or theirs & groups:
                found[call.id] = (call.caller_leg, call.agent_leg)
        return found

    def _leave(self, call, dump, now_ms):
        """End a session of the process before."""
        del self.left[call]
        client = self._open()
        client.adopt("left-" + call, Dialog.restore(dump))
        client.end("left-" + call, now_ms)

    # -- sessions --

    def _begin(self, call, legs):
        self.sessions[call] = {"legs": legs, "ports": {}, "state": "allocating"}
        address = own_address(self.house.config.running()["sip"]["address"])
        for label, leg in zip(LABELS, legs):
            name = "rs-%s-%s" % (call, label)
            self.house.media.command("add", lambda reply, now_ms, label=label: self._allocated(call, legs, label, reply, now_ms),
                                     lambda error, now_ms: self._failed(call, "media refused: %s" % error, now_ms),
                                     id=name, kind="rtp", address=address, timeout_ms=0, latch=False, send=False)
            self.house.media.command("tap", id=name, source=leg)

    def _allocated(self, call, legs, label, reply, now_ms):
        session = self.sessions.get(call)
        if session is None or session["legs"] != legs:
            return
        session["ports"][label] = (reply["address"], reply["port"])
        if len(session["ports"]) < len(LABELS):
            return
        state = self.house.switchboard.core.state
        known = state.calls.get(call)
        if known is None:
            return
        site = self.house.config.running()["site"]["name"]
        parties = [("sip:%s@%s" % (known.shown_caller() or "anonymous", "strowger"), known.shown_caller() or "anonymous"),
                   ("sip:%s@%s" % (known.agent or known.called or "agent", "strowger"), known.agent or known.called or site)]
        began = datetime.datetime.fromtimestamp(now_ms / 1000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        session["state"] = "calling"
        client = self._open()
        client.begin(call, self.row["user"], address_of(self.row["address"]), metadata(_new_id, parties, began, call),
                     [session["ports"][each] for each in LABELS], now_ms)
        self._settle(now_ms)

    def _end(self, call, now_ms):
        session = self.sessions.pop(call)
        for label in LABELS:
            self.house.media.command("subtract", id="rs-%s-%s" % (call, label))
        if self._client is not None and session["state"] != "allocating":
            self._client.end(call, now_ms)

    def _failed(self, call, why, now_ms):
        if call not in self.sessions:
            return
        self._end(call, now_ms)
        self.lost += 1
        self.fault = "the recorder at %s gets nothing: %s. Look after it; calls go on without it" % (self.row["address"], why)
        log.error("siprec: call %s: %s", call, self.fault)
        self.again[call] = now_ms + AGAIN_MS

    def _settle(self, now_ms):
        """What the client has to say and to send."""
        client = self._client
        events, client.events = client.events, []
        for event in events:
            what, name = event[:2]
            if what == "answered" and name in self.sessions:
                self._answered(name, event[2])
            elif what == "failed":
                self._failed(name, event[2], now_ms)
        output, client.output = client.output, []
        self._output += output
        self._unsaved = self._unsaved or bool(output)
        self._set_timer(now_ms)

    def _answered(self, call, streams):
        self.sessions[call]["state"] = "open"
        self.fault = None
        self.fed += 1
        for label, stream in zip(LABELS, streams):
            if stream is not None:
                self.house.media.command("modify", id="rs-%s-%s" % (call, label), remote=[stream[0], stream[1]], payload_type=stream[2], send=True)

    def flush(self):
        """After the commit: datagrams leave."""
        output, self._output = self._output, []
        for octets, destination in output:
            try:
                self._sock.sendto(octets, tuple(destination))
            except OSError as error:    # the transaction says it again, or gives up
                log.info("siprec: not sent to %s: %s", destination, error)

    # -- timers: of transactions, and of conversations that are tried again --

    def _set_timer(self, now_ms):
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        moments = [moment for moment in (self._client.deadline_ms(), *self.again.values()) if moment is not None]
        if moments:
            self._timer = asyncio.get_running_loop().call_later(max(0.01, (min(moments) - now_ms) / 1000), self._due)

    def _due(self):
        self._timer = None
        self.house.turns.run("recorder", self._expired)

    def _expired(self, now_ms):
        self._client.expire(now_ms)
        self._look(now_ms)

    # -- life --

    def dirty(self):
        """Dialogs are saved with each turn that has any."""
        return self._unsaved

    def save(self, stores):
        """Dialogs, so that the next process can end them."""
        stores.machines.save("siprec", self._client.dump())

    def saved(self):
        """They are on the disk."""
        self._unsaved = False

    def media_lost(self, now_ms):
        """Terminations are gone; calls are, too."""
        for call in list(self.sessions):
            session = self.sessions.pop(call)
            if self._client is not None and session["state"] != "allocating":
                self._client.end(call, now_ms)
        if self._client is not None:
            self._settle(now_ms)

    def configure(self, config, now_ms):
        """Another recorder, other conversations, or none: sessions to another address begin anew."""
        row = dict(config["siprec"])
        if (row["address"], row["user"], row["enabled"]) != (self.row["address"], self.row["user"], self.row["enabled"]):
            for call in list(self.sessions):
                self._end(call, now_ms)
            self.fault = None
            self.again.clear()
            if self._client is not None:
                self._settle(now_ms)
        self.row = row
        self._soon()

    def describe(self, state, legs):
        """How many conversations are fed."""
        state["siprec"] = {"enabled": self.row["enabled"], "open": sum(s["state"] == "open" for s in self.sessions.values()), "fed": self.fed,
                           "lost": self.lost, "calls": sorted(self.sessions)}

    def stop(self):
        """End of the process; sessions stay, for the next one to end them."""
        if self._timer is not None:
            self._timer.cancel()
        if self._sock is not None:
            asyncio.get_running_loop().remove_reader(self._sock)
            self._sock.close()
