"""A span of any card that Linux drives through DAHDI, as a bearer: channels in blocks, HDLC and CAS by its ABI (<dahdi/user.h>).

    card = DAHDISpan(2, {"kind": "dahdi", "dahdi_span": 1, "type": "e1", ...})
    engine.set_bearer(span index, card.address)     # the tick takes and gives its blocks from now on
    card.status()                                   # {"alarms": {kind: sentence}, "figures": {...}, ...}
    card.order(loop="remote")
    card.leave(); card.close()                      # the channels are free; after the tick has let go of them

The card's own settings (framing, CRC-4, which channel is what) are made by dahdi_cfg from /etc/dahdi/system.conf; here each channel is
taken as it was configured: clear ("bchan") gives octets, "dchan" and "hardhdlc" give HDLC frames, which become the bits of their
timeslot again (native/dahdi_hdlc.h), "cas" gives octets and ABCD bits.  So media's layer 2 works on a D channel of either kind.

A card that is removed while in use fails its reads: it is not asked any more, the alarm "card" says which, and media opens it anew
once it is back.  A card that cannot be had is said to be absent, not set up, or another program's (`DriverError`)."""

import contextlib
import errno
import fcntl
import os
import struct

from drivers.tdm import _dahdi
from firmware.errors import DriverError, LocalError

LOOPS = tuple(_dahdi.LOOPS)
IDLE = {"e1": 0xD5, "t1": 0x7F, "j1": 0x7F}
BLOCK, BUFFERS = 80, 32             # octets; a block is 10 ms.  Buffers of a channel: media may stand still for 0.3 s; native/dahdi_span.h
FRAME_MOST, FRAME_BUFFERS = 544, 16     # of a D channel: 260 octets of Q.921 and some; ours

SPANS_MOST = 128                    # DAHDI_MAX_SPANS
CODE = 0xDA
PARAMS = struct.Struct("=12i40s11iI")       # struct dahdi_params
BUFINFO = struct.Struct("=6i")              # struct dahdi_bufferinfo: tx and rx policy, number, size, readable, writable
SPANINFO = struct.Struct("=i20s40si2i4i5I7i40s40s40s40sii6s")       # struct dahdi_spaninfo, packed
# DAHDI_SIG_...: clear 1 << 7; of HDLC that with 1 << 8 (raw), 1 << 9 (FCS), 1 << 19 (by the card)
CLEAR, RAW, FCS, HARD, CAS = 1 << 7, 1 << 8, 1 << 9, 1 << 19, 1 << 15
ALARMS = ((1 << 8, "los"), (1 << 3, "lfa"), (1 << 4, "ais"), (1 << 2, "rai"))     # DAHDI_ALARM_LOS, RED, BLUE, YELLOW
TOLD = {"los": "no signal", "lfa": "red alarm", "ais": "blue alarm", "rai": "yellow alarm"}
OPENED, LOOPED = 1 << 5, 1 << 1             # DAHDI_ALARM_NOTOPEN, _LOOPBACK


def _request(way, number, size):
    return {"none": 0, "w": 1, "r": 2, "wr": 3}[way] << 30 | size << 16 | CODE << 8 | number


SET_BLOCKSIZE, GET_PARAMS, GET_EVENT = _request("w", 1, 4), _request("wr", 5, PARAMS.size), _request("r", 8, 4)
SPANSTAT, SET_BUFINFO, FLUSH = _request("wr", 10, SPANINFO.size), _request("w", 27, BUFINFO.size), _request("w", 3, 4)
AUDIOMODE, HDLCFCSMODE, SPECIFY, SETLAW = (_request("w", number, 4) for number in (32, 37, 38, 39))
GETRXBITS, SETTXBITS = _request("r", 43, 4), _request("w", 43, 4)
IMMEDIATE, ALAW, MULAW = 0, 2, 1


class Card:
    """The device files of DAHDI; tests have others."""

    ioctls = (GET_EVENT, GETRXBITS, SETTXBITS, FLUSH)

    def __init__(self, folder="/dev/dahdi"):
        self.folder = folder

    def info(self, span):
        """{"name", "alarms", "channels", "first": number of its first channel, ...} of a span.  Raises OSError."""
        first = 1
        with self._control() as control:
            for number in range(1, span):
                with contextlib.suppress(OSError):              # a number that no card has
                    first += self._stat(control, number)[18]    # totalchans
            row = self._stat(control, span)
        base = self._first(span)
        return {"name": row[1].split(b"\0")[0].decode("ascii", "replace"), "alarms": row[3], "bpv": row[6], "crc4": row[7], "ebit": row[8],
                "fas": row[9], "channels": row[18], "first": first if base is None else base}

    def spans(self):
        """Numbers of the spans that there are.  Raises OSError."""
        found = []
        with self._control() as control:
            for number in range(1, SPANS_MOST + 1):
                with contextlib.suppress(OSError):
                    self._stat(control, number)
                    found.append(number)
        return found

    @contextlib.contextmanager
    def _control(self):
        control = os.open(os.path.join(self.folder, "ctl"), os.O_RDWR | os.O_CLOEXEC)
        try:
            yield control
        finally:
            os.close(control)

    @staticmethod
    def _stat(control, span):
        octets = bytearray(SPANINFO.pack(span, *[b"" if kind == "s" else 0 for kind in "ss" + "i" * 3 + "i" * 4 + "I" * 5 + "i" * 7 + "ssss" + "ii" + "s"]))
        fcntl.ioctl(control, SPANSTAT, octets)
        return SPANINFO.unpack(bytes(octets))

    @staticmethod
    def _first(span):
        """The span's first channel as sysfs has it, or None."""
        try:
            with open("/sys/bus/dahdi_spans/devices/span-%d/basechan" % span, encoding="ascii") as file:
                return int(file.read())
        except (OSError, ValueError):
            return None

    def open(self, channel, law):
        """(descriptor, "octets", "frames" or "cas") of a channel that is set up for blocks.  Raises OSError."""
        fd = os.open(os.path.join(self.folder, "channel"), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _set(fd, SPECIFY, channel)
            params = bytearray(PARAMS.size)
            fcntl.ioctl(fd, GET_PARAMS, params)
            signalling = PARAMS.unpack(bytes(params))[3]
            kind = "frames" if signalling & CLEAR and signalling & (RAW | FCS | HARD) else "cas" if signalling & CAS else "octets"
            if kind == "frames":
                fcntl.ioctl(fd, SET_BUFINFO, BUFINFO.pack(IMMEDIATE, IMMEDIATE, FRAME_BUFFERS, FRAME_MOST, 0, 0))
                return fd, kind
            if signalling & CLEAR:
                _set(fd, AUDIOMODE, 1)      # the others have it always, and refuse it
            _set(fd, SETLAW, ALAW if law == "A" else MULAW)
            fcntl.ioctl(fd, SET_BUFINFO, BUFINFO.pack(IMMEDIATE, IMMEDIATE, BUFFERS, BLOCK, 0, 0))
            _set(fd, SET_BLOCKSIZE, BLOCK)
            return fd, kind
        except OSError:
            os.close(fd)
            raise


def _set(fd, request, value):
    fcntl.ioctl(fd, request, struct.pack("=i", value))


def _channels_of(info, law):
    """(timeslot, number of its channel) of a span."""
    for slot in range(1, min(info["channels"] + (info["channels"] == 30), 31 if law == "A" else 24) + 1):
        if info["channels"] == 30 and law == "A" and slot == 16:
            continue                # a card that keeps timeslot 16 for its CAS
        yield slot, info["first"] + slot - 1 - (info["channels"] == 30 and slot > 16)


def _why_not(error, slot, channel):
    """What to do about a channel that cannot be opened."""
    place = "its channel %d (timeslot %d)" % (channel, slot)
    if error.errno == errno.EBUSY:
        return place + " is in use by another program; end that one"
    if error.errno in (errno.ENXIO, errno.ENODEV):
        return place + " is not set up; name every channel of the span in /etc/dahdi/system.conf and run dahdi_cfg"
    return "%s fails (%s); run dahdi_cfg with every channel of the span in /etc/dahdi/system.conf" % (
        place, os.strerror(error.errno) if error.errno < 500 else "an event waits")


class DAHDISpan:
    """span: ours; row: a bearer with all fields of boardconfig/bearers.py, checked, and "type" of its span.  card: for tests.

    Raises DriverError where the card, or one of its channels, cannot be had."""

    def __init__(self, span, row, card=None):
        self.span, self.row, self._card = span, dict(row), card or Card()
        self._number, self._channels = row["dahdi_span"], {}
        self.place = "DAHDI span %d" % self._number
        law = "A" if row.get("type", "e1") == "e1" else "U"
        try:
            info = self._card.info(self._number)
        except OSError as error:
            raise self._refused(self._why_absent(error)) from error
        self.place += " (%s)" % info["name"]
        for slot, channel in _channels_of(info, law):
            try:
                self._channels[slot] = self._card.open(channel, law)
            except OSError as error:
                if slot == 16 and error.errno == errno.ENXIO and all(kind == "cas" for _, kind in self._channels.values()):
                    continue            # the card's own, for its CAS
                self._close_all()
                raise self._refused(_why_not(error, slot, channel)) from error
        if not any(kind != "frames" for _, kind in self._channels.values()):
            self._close_all()
            raise self._refused("none of its channels gives octets; name the bearers as bchan in /etc/dahdi/system.conf")
        self._native = _dahdi.Span(self._channels, IDLE[row.get("type", "e1")], self._card.ioctls)
        self.orders = {"loop": "none", "timeslot": None, "rai": False, "ais": False}

    def _refused(self, sentence):
        return DriverError("span %d" % self.span, "open %s" % self.place, sentence)

    def _why_absent(self, error):
        if error.errno == errno.ENOENT:
            return "there is no %s; load DAHDI and the card's driver" % getattr(self._card, "folder", "/dev/dahdi")
        if error.errno in (errno.EACCES, errno.EPERM):
            return "this program may not use DAHDI (%s); put its user into the group dahdi" % os.strerror(error.errno)
        there = []
        with contextlib.suppress(OSError):
            there = self._card.spans()
        return "DAHDI has no such span (%s), only %s; give a number that lsdahdi shows, or load the card's driver" % (
            os.strerror(error.errno), ", ".join(map(str, there)) or "none")

    def _close_all(self):
        for fd, _ in self._channels.values():
            with contextlib.suppress(OSError):
                os.close(fd)
        self._channels = {}

    @property
    def address(self):
        """Of the native bearer."""
        return self._native.address

    @property
    def wire(self):
        """The native half, for tests that play the tick."""
        return self._native

    @property
    def gone(self):
        """Whether the card has failed for good: it must be opened anew."""
        return self._native.figures()["gone"]

    def leave(self):
        """Give the channels back now: what the tick may still do fails."""
        nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        for fd, _ in self._channels.values():
            with contextlib.suppress(OSError):
                os.dup2(nothing, fd, inheritable=False)
        os.close(nothing)

    def close(self):
        """The tick has let go of the bearer."""
        self._close_all()

    def order(self, **orders):
        """Change orders: loop (one of LOOPS), timeslot; rai and ais are the card's own business.  Raises LocalError."""
        wanted = {**self.orders, **orders}
        if wanted["loop"] not in LOOPS:
            raise LocalError("loop %r: use one of %s" % (wanted["loop"], ", ".join(LOOPS)))
        if wanted["loop"] != "timeslot":
            wanted["timeslot"] = None
        elif wanted["timeslot"] not in range(1, 32):
            raise LocalError("loop of timeslot %r: give one from 1 to 31" % (wanted["timeslot"],))
        if wanted["rai"] or wanted["ais"]:
            raise LocalError("span %d: RAI and AIS of %s are sent by the card itself; use dahdi_maint" % (self.span, self.place))
        self._native.order(wanted["loop"], wanted["timeslot"] or 0)
        self.orders = wanted

    def status(self):
        """{"alarms": {kind: sentence}, "figures": counters, "ppm", "within_ppm", "level_ms", "loop", ...}."""
        figures = self._native.figures()
        figures.update(slips_repeated=figures["missing"], slips_left_out=figures["left_out"], frames_missing=figures["missing"] * BLOCK,
                       frames_played=figures["blocks"] * BLOCK)
        return {"alarms": self._alarms(figures), "figures": figures, "ppm": None, "within_ppm": None, "level_ms": 10.0 * figures["queued"],
                **self.orders}

    def _alarms(self, figures):
        if figures["gone"]:
            return {"card": "%s does not answer any more (%s): the card was taken out, or its driver unloaded" % (
                self.place, os.strerror(figures["errno"]))}
        try:
            info = self._card.info(self._number)
        except OSError as error:
            return {"card": "%s is not there any more (%s): the card was taken out, or its driver unloaded" % (self.place, os.strerror(error.errno))}
        for bit, kind in ALARMS:
            if info["alarms"] & bit:
                return {kind: "%s has %s" % (self.place, TOLD[kind])}
        if figures["silent"]:
            return {"los": "no blocks come from %s: its clock stands" % self.place}
        return {}
