"""Legs that carry a fax as packets: T.38 over UDPTL on the port of an RTP leg.

The setting "t38" of a leg (command modify) puts a gateway (_t38.pyx) in the place of its sound, null takes it out again:
  {"recovery": "redundancy" | "fec" | "none", "depth", "span", "entries": of it (proto/udptl.py), "rate": 4800 | 9600 | 14400, "ecm": bool,
   "version": of T.38, "most_octets": of a datagram that the far end takes}
The tick hears and speaks through the gateway, so bridges, recordings and the fax machine of flows know of nothing.  Datagrams pass through here, in the
command thread: from the tick (engine.others()), which lets only the far end's host and that of its signalling in, to the gateway's ring, and back.  Packets
are tens of milliseconds apart and the modems have their own buffers, so this thread's time does not matter; control is not needed at all.

Where both legs of a bridge are faxes, packets go from one to the other as they are, with each side's own numbers and recovery: nothing is demodulated twice.

Who is answered: the first port of an admitted host that sent a packet of T.38, the signalled one until then; another port must send two in a row after
a silence of 2 s.  What is no UDPTL, or no packet in it, is counted ("garbage")."""

import logging
import socket
import time

from firmware.errors import LocalError, RemoteError
from firmware.media._t38 import RATES, Gateway
from firmware.media.checks import boolean, number, refuse
from firmware.proto.udptl import MOST_ENTRIES, MOST_OCTETS, UDPTL, ifp_length

log = logging.getLogger("firmware.media.faxes")

DEFAULTS = {"recovery": "redundancy", "depth": 3, "span": 3, "entries": 3, "rate": 14400, "ecm": True, "version": 0, "most_octets": 400}
RECOVERIES = ("redundancy", "fec", "none")
RELATCH_S = 2.0         # ours: a port that was silent for so long may be followed by another one of its host
FAXES_MOST = 128        # ours: a gateway is some 100 kB and a modem's work


def setting(given):
    """A checked "t38" setting, None for sound.  Raises LocalError."""
    if given is None:
        return None
    if not isinstance(given, dict) or not set(given) <= set(DEFAULTS):
        refuse(f"modify: t38 is not null or a map of {', '.join(DEFAULTS)}")
    chosen = dict(DEFAULTS, **given)
    if chosen["recovery"] not in RECOVERIES:
        refuse(f"modify: t38 recovery is {str(chosen['recovery'])[:20]!r}, not one of {', '.join(RECOVERIES)}")
    number(chosen["depth"], "modify: t38 depth", 0, MOST_ENTRIES)
    for name in ("span", "entries"):
        number(chosen[name], f"modify: t38 {name}", 1, 4)
    if chosen["rate"] not in RATES or isinstance(chosen["rate"], bool):
        refuse(f"modify: t38 rate is {str(chosen['rate'])[:20]}, not one of {', '.join(map(str, RATES))}")
    number(chosen["version"], "modify: t38 version", 0, 3)
    number(chosen["most_octets"], "modify: t38 most_octets", 60, MOST_OCTETS)
    boolean(chosen["ecm"], "modify: t38 ecm")
    return chosen


class Fax:
    """One leg.  given: its setting; remote: (host, port) that is answered, None: nobody is known."""

    def __init__(self, term, given):
        self.term, self.given = term, given
        self.gateway = Gateway(given["ecm"], given["rate"], given["version"], given["most_octets"])
        self.line = UDPTL(given["recovery"], given["depth"], given["span"], given["entries"], given["most_octets"], given["version"])
        self.signalled = self.remote = self.rival = None
        self.heard_s = 0.0              # monotonic, when the latched port was heard; 0: never
        self.sent = self.received = self.garbage = self.strangers = self.send_errors = 0

    def figures(self):
        """What there is to know of it."""
        return dict(self.gateway.statistics(), sent=self.sent, received=self.received, lost=self.line.lost, mended=self.line.mended, garbage=self.garbage,
                    strangers=self.strangers, send_errors=self.send_errors)


class Faxes:
    """engine: Engine.  peer: function(Termination) -> the only other one of its bridge, or None.  later: Table.later."""

    def __init__(self, engine, peer, later, clock_s=time.monotonic):
        self._engine, self._peer, self._later, self._clock_s = engine, peer, later, clock_s
        self._legs = {}                 # serial: Fax
        self._over = {}                 # serial: figures of a fax that is over while its leg goes on

    def room(self, term, given):
        """Raises LocalError where there are too many already."""
        if given is not None and term.serial not in self._legs and len(self._legs) >= FAXES_MOST:
            refuse(f"modify: {FAXES_MOST} legs carry a fax by T.38 already; {term.id} goes on in sound", 47)

    def configure(self, term, given, remote):
        """A leg's setting, new or changed.  remote: [host, port] as signalled, or None."""
        fax = self._legs.get(term.serial)
        if given is None:
            if fax is not None:
                self._end(term, fax)
            return
        if fax is None or fax.given != given:
            if fax is not None:
                self._over[term.serial] = fax.figures()
            former, fax = fax, Fax(term, given)
            self._legs[term.serial] = fax
            self._engine.set_fax(term.slot, fax.gateway.line)
            self._engine.commit()
            self._later(lambda: former)         # the tick may be in it until then
        if remote is not None and tuple(remote) != fax.signalled:
            fax.signalled = fax.remote = tuple(remote)
            fax.heard_s, fax.rival = 0.0, None

    def _end(self, term, fax):
        del self._legs[term.serial]
        self._over[term.serial] = fax.figures()
        self._engine.set_fax(term.slot, 0)
        self._engine.commit()
        self._later(lambda: fax)

    def forget(self, term):
        """The leg goes; the engine has been told.  Returns the figures of its fax, None where it had none."""
        fax = self._legs.pop(term.serial, None)
        before = self._over.pop(term.serial, None)
        if fax is None:
            return before
        self._later(lambda: fax)
        return fax.figures()

    def figures(self, term):
        """Of its fax, that which runs or the last one; None without."""
        fax = self._legs.get(term.serial)
        return fax.figures() if fax is not None else self._over.get(term.serial)

    def take(self, serial, source, octets):
        """A datagram that the tick put aside.  source: (IPv4 address as int, port).  False: the leg carries no fax."""
        fax = self._legs.get(serial)
        if fax is None:
            return False
        source = socket.inet_ntoa(source[0].to_bytes(4, "big")), source[1]
        if source != fax.remote and not self._may_follow(fax, source, octets):
            fax.strangers += 1
            return True
        try:
            packets = fax.line.receive(octets)
        except RemoteError:
            fax.garbage += 1
            return True
        packets = [(count, ifp) for count, ifp in packets if ifp_length(ifp, fax.given["version"]) == len(ifp) or not self._bad(fax)]
        if packets:
            fax.remote, fax.heard_s, fax.rival = source, self._clock_s(), None
        fax.received += len(packets)
        peer = self._fax_peer(fax)
        for count, ifp in packets:
            if peer is not None:
                self._send(peer, ifp)
            else:
                fax.gateway.receive(ifp, count)
        return True

    @staticmethod
    def _bad(fax):
        fax.garbage += 1
        return True

    def _may_follow(self, fax, source, octets):
        """Whether another port of an admitted host is believed: at once while nobody was heard, else as the module's docstring says."""
        if fax.remote is None or not fax.heard_s:
            return True
        first, fax.rival = fax.rival, (source, octets[:2])
        return (self._clock_s() - fax.heard_s > RELATCH_S and first is not None and first[0] == source
                and int.from_bytes(octets[:2], "big") - int.from_bytes(first[1], "big") & 0xFFFF == 1)

    def _fax_peer(self, fax):
        other = self._peer(fax.term)
        return self._legs.get(other.serial) if other is not None else None

    def pump(self):
        """Send what the gateways have made."""
        for fax in list(self._legs.values()):
            packets = fax.gateway.packets()
            if packets and self._fax_peer(fax) is None:
                for ifp in packets:
                    self._send(fax, ifp)

    def _send(self, fax, ifp):
        try:
            datagram = fax.line.send(ifp)
            if fax.remote is not None and fax.term.settings["send"]:
                fax.term.sockets[0].sendto(datagram, fax.remote)
                fax.sent += 1
        except (OSError, LocalError):
            fax.send_errors += 1        # as the network may lose it; the next ones carry it too
