"""E1 over IP: a span's timeslots in UDP packets, CESoPSN (RFC 5086) or SAToP (RFC 4553).

    wire = Pseudowire(2, {"kind": "cesopsn", "local": "127.0.0.1:2142", "remote": "127.0.0.1:2143", "timeslots": "1-31",
                          "cas": False, "packet_ms": 1, "jitter_ms": 20, "rtp": False, "rtp_payload_type": 96,
                          "type": "e1", "crc4": False})
    engine.set_bearer(span index, wire)           # the tick takes and gives its blocks from now on
    wire.status()                                 # {"alarms": {kind: sentence}, "figures": {...}}
    wire.order(loop="local")                      # as of a framer: loop, timeslot, rai, ais
    wire.leave(); wire.close()                    # the port is free; after the tick has let go of it

The far end's clock is estimated from the level of the jitter buffer (adaptive recovery, RFC 4197 4.3.2): `ppm` of the
figures, faster is positive, true to within `within_ppm`.  The box's clock does not follow it: its timeslots are played at the box's
clock, and what that costs is counted as slips of a frame.  To follow a far end's clock, a span of the board must bring it.

Kinds of alarms are those of drivers/framer/base.py where a framer would show them, and "pw_stranger" (somebody else sends
to our port), "pw_mismatch" (the far end's packets are not what is configured here)."""

import contextlib
import os
import secrets
import socket

import numpy

from drivers.tdm import _pseudowire
from firmware.errors import DriverError, LocalError

LOOPS = tuple(_pseudowire.LOOPS)
IDLE = {"e1": 0xD5, "t1": 0x7F, "j1": 0x7F}
RECENT_TICKS = 500          # how long after the last of them strangers and misfits are told; ours
LEAST_S = 10                # seconds of levels that an estimate of the clock needs; ours
MISFITS = {"bits": "the first four bits of their control word are not zero; if they begin with an RTP header, set rtp alike at both ends", "fragment": "their parts of a multiframe do not fit: set cas and packet_ms alike at both ends",
           "rtp": "their RTP header is missing or of another payload type: set rtp alike at both ends"}


def _slots(text):
    slots = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        slots += range(int(first), int(last or first) + 1)
    return slots


def _place(host, port):
    return "%d.%d.%d.%d:%d" % (*host.to_bytes(4, "big"), port)


def clock_of(levels, frames):
    """(ppm, within_ppm) of the far end's clock from mean levels a second apart, or (None, None).  frames: of a packet."""
    if len(levels) < LEAST_S:
        return None, None
    seconds = numpy.arange(len(levels), dtype=float) - (len(levels) - 1) / 2
    level = numpy.asarray(levels, dtype=float)
    slope = float((seconds * (level - level.mean())).sum() / (seconds * seconds).sum())
    rest = level - level.mean() - slope * seconds
    error = float(numpy.sqrt((rest * rest).sum() / max(1, len(level) - 2) / (seconds * seconds).sum()))
    # what a level does not show: where within a packet the far end is
    hidden = frames / len(levels)
    return slope * 125.0, (2 * error + hidden) * 125.0


class Pseudowire:
    """span: number; row: a bearer with all fields of boardconfig/bearers.py, checked, and "type" and "crc4" of its span.

    Raises DriverError where the local address cannot be had."""

    def __init__(self, span, row):
        self.span, self.row = span, dict(row)
        host, _, port = row["local"].rpartition(":")
        far, _, far_port = row["remote"].rpartition(":")
        self.remote = row["remote"]
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)         # expedited forwarding
            self._socket.setblocking(False)
            self._socket.bind((host, int(port)))
        except OSError as error:
            self._socket.close()
            raise DriverError("span %d" % span, "open %s" % row["local"], "%s: name an address of this box and a UDP port that nobody has"
                              % os.strerror(error.errno)) from error
        slots = _slots(row["timeslots"]) if row["kind"] == "cesopsn" else list(range(32))
        self._wire = _pseudowire.Pseudowire(
            row["kind"], self._socket.fileno(), (int.from_bytes(socket.inet_aton(far), "big"), int(far_port)), slots,
            row["packet_ms"] * 8, row["jitter_ms"] * 8, IDLE[row.get("type", "e1")], row["rtp_payload_type"] if row["rtp"] else None,
            row["cas"], bool(row.get("crc4")), secrets.randbits(16), secrets.randbits(32), secrets.randbits(32))
        self._seen = {}
        self.orders = {"loop": "none", "timeslot": None, "rai": False, "ais": False}

    @property
    def address(self):
        """Of the native bearer."""
        return self._wire.address

    @property
    def wire(self):
        """The native half, for tests that play the tick."""
        return self._wire

    def leave(self):
        """Give the port back now: what the tick may still send fails, and nothing comes."""
        with contextlib.suppress(OSError):
            nobody = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            os.dup2(nobody.fileno(), self._socket.fileno(), inheritable=False)
            nobody.close()

    def close(self):
        """The tick has let go of the bearer."""
        self._socket.close()

    def order(self, **orders):
        """Change orders: loop (one of LOOPS; "payload" is "remote": there is no line), timeslot, rai, ais.  Raises LocalError."""
        wanted = {**self.orders, **orders}
        if wanted["loop"] not in LOOPS:
            raise LocalError("loop %r: use one of %s" % (wanted["loop"], ", ".join(LOOPS)))
        if wanted["loop"] != "timeslot":
            wanted["timeslot"] = None
        elif wanted["timeslot"] not in range(1, 32):
            raise LocalError("loop of timeslot %r: give one from 1 to 31" % (wanted["timeslot"],))
        self._wire.order(wanted["loop"], wanted["timeslot"] or 0, bool(wanted["rai"]), bool(wanted["ais"]))
        self.orders = wanted

    def _recent(self, name, count, tick):
        """Whether a counter grew within RECENT_TICKS."""
        known, at = self._seen.get(name, (0, None))
        if count > known:
            self._seen[name] = (count, tick)
            return True
        return at is not None and tick - at < RECENT_TICKS

    def status(self):
        """{"alarms": {kind: sentence}, "figures": counters, "ppm", "within_ppm", "delay_ms", "loop", ...}."""
        figures = self._wire.figures()
        ppm, within = clock_of(self._wire.levels(), self.row["packet_ms"] * 8)
        stranger = figures.pop("stranger")
        figures["stranger"] = _place(*stranger) if stranger else None
        return {"alarms": self._alarms(figures), "figures": figures, "ppm": None if ppm is None else round(ppm, 3),
                "within_ppm": None if within is None else round(within, 3), "level_ms": figures["level_frames"] / 8, **self.orders}

    def _alarms(self, figures):
        far, tick = self.remote, figures["ticks"]
        alarms = {}
        if figures["silent"]:
            alarms["los"] = "no packets come from %s" % far
        elif figures["bad"]:
            alarms["ais"] = "%s says that the line behind it has failed (L bit)" % far
        elif "framing" in figures:
            self._framing(alarms, figures["framing"], far)
        if figures["remote_loss"]:
            alarms["rai"] = "%s does not get our packets (R bit)" % far
        elif figures["remote_rdi"]:
            alarms["rai"] = "the equipment behind %s gets no good signal from us (M bits)" % far
        if self._recent("strangers", figures["strangers"], tick):
            alarms["pw_stranger"] = "packets come from %s, which is not the far end %s; they are thrown away" % (figures["stranger"], far)
        wrong = [name for name, count in figures["wrong"].items() if self._recent(name, count, tick)]
        if wrong:
            alarms["pw_mismatch"] = "packets of %s are thrown away: %s" % (far, "; and ".join(self._misfit(name, figures) for name in wrong))
        return alarms

    def _misfit(self, name, figures):
        if name != "size":
            return MISFITS[name]
        got, wanted = figures["wrong_size"], self._wire.sizes()[0]
        hint = "set timeslots, cas and packet_ms alike at both ends"
        if abs(got - wanted) == 12:
            hint = "the far end sends %s RTP header: set rtp alike at both ends" % ("an" if got > wanted else "no")
        return "they have %d octets where %d are expected; %s" % (got, wanted, hint)

    def _framing(self, alarms, seen, far):
        if not seen["aligned"]:
            if seen["ais"]:
                alarms["ais"] = "%s sends all ones" % far
            else:
                alarms["lfa"] = "the bits of %s hold no frames" % far
            return
        if seen["rai"]:
            alarms["rai"] = "the equipment behind %s does not understand what we send" % far
        if self.row.get("crc4") and not seen["multiframe"] and seen["searched_frames"] > 3200:      # 400 ms: G.706 4.2
            alarms["no_crc4"] = "no CRC-4 multiframes come from behind %s" % far
        if self.row["cas"]:
            for kind, on in (("cas_ais", seen["cas_ones"]), ("cas_los", seen["cas_zeros"]), ("cas_lfa", not seen["cas_found"]),
                             ("cas_rai", seen["cas_rai"])):
                if on:
                    alarms[kind] = "in timeslot 16 from behind %s" % far
                    break
