"""A channel bank, and the exchange behind one, on channels of DAHDI: the robbed-bit state machines and the DTMF and MF senders are the kernel's own.

    line = Line(25, "fxo_loop")         # the product's protocol; the channel is set up as its other end (OTHER_END)
    line.call("8001")                   # a call to the product: seized, the number given
    other.take("4321")                  # a call of the product's with this number: answered
    line.answered()
    line.say(samples); line.heard()
    line.hang_up(); other.ended(); line.close()

A thread reads what comes; what is said goes into the card's buffers at once, at other times they are empty, since DAHDI sends its own tones
only then.  Meanings of hooks and events: <dahdi/user.h>; ours is only which of them a call needs (GR-506; feature groups: GR-690; digits that come
are found by hil/em.py and hil/probes/dtmf.py)."""

import errno
import fcntl
import os
import struct
import threading
import time

import numpy

from hil.em import mf_text, ulaw
from hil.far.dahdi import ELAST, GETEVENT, SET_BUFINFO, SPECIFY
from hil.probes import dtmf, wav

HOOK, SETLAW, DIAL = 0x4004DA07, 0x4004DA27, 0x4104DA1F
ON, OFF, WINK, START, RING = 0, 1, 2, 4, 5
ONHOOK, RINGOFFHOOK, WINKFLASH, DIALCOMPLETE, RINGBEGIN = 1, 2, 3, 9, 18
MULAW, BLOCK, BUFFERS, REPLACE = 1, 80, 32, 2
# protocol of ours: what dahdi_cfg calls the other end.  fxoks: loop start of an exchange that opens the feed when it clears.
OTHER_END = {"em_wink": "e&m", "fxo_loop": "fxoks", "fxs_loop": "fxsls", "fxo_ground": "fxogs", "fxs_ground": "fxsgs", "em_immediate": "e&m", "fgb": "e&m",
             "fgd": "e&m"}
WAIT_S = 30                     # of the machine's time


class Line:
    """channel: its number; protocol: of the product's end."""

    def __init__(self, channel, protocol):
        self.protocol, self._events, self._say, self._heard = protocol, [], b"", []
        self._lock, self._ending = threading.Lock(), threading.Event()
        self.fd = os.open("/dev/dahdi/channel", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.fd, SPECIFY, struct.pack("=i", channel))
        fcntl.ioctl(self.fd, SETLAW, struct.pack("=i", MULAW))
        fcntl.ioctl(self.fd, SET_BUFINFO, struct.pack("=6i", 0, 0, BUFFERS, BLOCK, 0, 0))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        """Also on-hook: DAHDI hangs up what is closed."""
        self._ending.set()
        self._thread.join()
        os.close(self.fd)

    # -- the wire --

    def _move(self, move):
        """What a read or write gives; None where it has nothing, or no room.  Events come in between."""
        while True:
            try:
                return move()
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    return None
                if error.errno != ELAST:
                    raise
                event = bytearray(4)
                fcntl.ioctl(self.fd, GETEVENT, event)
                with self._lock:
                    self._events.append(struct.unpack("=i", event)[0])

    def _run(self):
        while not self._ending.is_set():
            while (octets := self._move(lambda: os.read(self.fd, BLOCK))) is not None:
                with self._lock:
                    self._heard.append(octets)
            while self._say and self._move(lambda: os.write(self.fd, self._say[:BLOCK])) is not None:
                with self._lock:
                    self._say = self._say[BLOCK:]
            time.sleep(0.01)

    def say(self, samples):
        """Begin to say int16 samples."""
        with self._lock:
            self._say = ulaw(samples).tobytes()

    def listen(self):
        """What is heard from now on counts."""
        with self._lock:
            self._heard = []

    def heard(self):
        """int16 samples since listen()."""
        with self._lock:
            return wav.ulaw_expand(numpy.frombuffer(b"".join(self._heard), numpy.uint8))

    # -- the kernel's signalling --

    def hook(self, what):
        """One of the hooks above; what lasts goes on by itself."""
        try:
            fcntl.ioctl(self.fd, HOOK, struct.pack("=i", what))
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                raise

    def dial(self, text):
        """Digits, sent by the kernel; text begins with T (DTMF) or M (MF of R1, * is KP and # is ST)."""
        fcntl.ioctl(self.fd, DIAL, struct.pack("=i256s", REPLACE, text.encode()))
        self.wait(DIALCOMPLETE)

    def forget(self):
        """Events of before, and what was heard."""
        with self._lock:
            self._events.clear()
            self._heard = []

    def _until(self, condition, what, look_s=0.02):
        deadline = time.monotonic() + WAIT_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("%s: waited in vain for %s; DAHDI's events were %s; %d samples were heard" % (
                    self.protocol, what, self._events, len(self.heard())))
            time.sleep(look_s)

    def wait(self, event):
        """Wait for an event of DAHDI's; those before it are forgotten."""
        def come():
            with self._lock:
                there = event in self._events
                if there:
                    del self._events[:self._events.index(event) + 1]
                return there
        self._until(come, "event %d" % event)

    def _wink(self):
        self.hook(WINK)
        time.sleep(0.3)

    def _loud(self):
        """Whether the last 100 ms are."""
        heard = self.heard()
        return len(heard) >= 1600 and numpy.sqrt(numpy.mean(heard[-800:].astype(float) ** 2)) > 300

    # -- calls --

    def call(self, number, caller=""):
        """Seize, and give the number where the protocol does."""
        kind = self.protocol
        if kind[:3] == "fxo":
            self.hook(RING)
            return
        if kind[:3] == "fxs":
            self.hook(START if kind == "fxs_ground" else OFF)
            self._until(self._loud, "dial tone", 0.1)
            self.dial("T" + number)
            return
        self.hook(START)
        if kind == "em_immediate":
            time.sleep(0.3)
        else:
            self.wait(WINKFLASH)
            time.sleep(0.1)
        self.dial("T" + number if kind[:2] == "em" else "M*%s#" % number if kind == "fgb" else "M*00%s#*%s#" % (caller, number))
        if kind == "fgd":
            self.wait(WINKFLASH)            # the acknowledgement

    def answered(self):
        """Wait for the answer of a call(); there is none towards a telephone."""
        if self.protocol[:3] != "fxs":
            self.wait(RINGOFFHOOK)
        if self.protocol[:3] == "fxo":
            self.hook(OFF)                  # the end of ringing

    def take(self, wanted):
        """Answer a call of the product's, after its digits where they come.  wanted: their text, of MF with "K" for KP and "S" for ST.  Raises TimeoutError."""
        kind = self.protocol
        if kind[:3] == "fxs":
            self.wait(RINGBEGIN)
            time.sleep(0.5)
            self.hook(OFF)
            return
        self.wait(RINGOFFHOOK)              # a seizure
        if kind[:3] == "fxo":
            self.hook(OFF)                  # ground start: tip ground
        elif kind != "em_immediate":
            self._wink()
        self._until(lambda: (mf_text if kind[:2] == "fg" else dtmf.text)(self.heard()) == wanted, "the digits " + wanted, 0.5)
        if kind == "fgd":
            self._wink()
        if kind[:3] != "fxo":
            time.sleep(0.5)
            self.hook(OFF)

    def hang_up(self):
        """End the call."""
        self.hook(ON)

    def ended(self):
        """Wait until the product has ended the call; a loop-start telephone is not told."""
        if self.protocol != "fxs_loop":
            self.wait(ONHOOK)
        self.hook(ON)
