"""Loop start and ground start over T1, the station's side (FXO) and the office's (FXS).

Neither has an answer signal towards the station: StationLine takes assume_answer
from the layer above (after the digits, or when it hears speech).  Source: ANSI
T1.403.02 for the codes, see t1_table.py.  Portable.
"""

from firmware.proto.cas import t1_table as t
from firmware.proto.cas.t1_line import T1Line

LOOP_OPEN, LOOP_CLOSED, RING_GROUND_CODE = "01", "11", "00"
FEED, FEED_OPEN, RING = "01", "11", "00"


class StationLine(T1Line):
    """We look like a telephone to a central office.  ground: ground start."""

    TABLE = t.STATION
    ON, OFF = LOOP_OPEN, LOOP_CLOSED
    WATCHES = ("T_TIP_GROUND", "T_DISCONNECT", "T_RING_GONE")

    def __init__(self, timers=None, ground=False):
        super().__init__(timers, 2)
        self.ground = ground
        self.IDLE_SEEN = (FEED_OPEN,) if ground else (FEED,)

    def step(self, name, now_ms, *details):
        if name == "RECOGNITION" and self.ground and self._raw == FEED:
            self.seen = self._raw
            name = "tip_ground"
        super().step(name, now_ms, *details)

    def _idle(self, now_ms):
        self.emit("idle")
        if self.seen == RING or (self.ground and self.seen == FEED):
            self._rung(now_ms)
            return t.RINGING
        return None

    def _block(self, now_ms):
        self.stop_timers()
        self.send(RING_GROUND_CODE if self.ground else LOOP_CLOSED)

    def _stay_busy(self, now_ms):
        self.send(LOOP_CLOSED)

    def _seize(self, now_ms):
        if self.ground:
            self.send(RING_GROUND_CODE)
            self.timers.start("T_TIP_GROUND", now_ms)
            return t.RING_GROUND
        self.send(LOOP_CLOSED)
        self.timers.start("T_DIAL_TONE", now_ms)
        return t.START_DELAY

    def _tip_grounded(self, now_ms):
        self.stop_timers()
        self.send(LOOP_CLOSED)
        self.timers.start("T_DIAL_TONE", now_ms)

    def _no_line(self, now_ms):
        self.emit("seize_failed", "timeout")
        return self._free(now_ms)

    def _collision(self, now_ms):
        self.stop_timers()
        self.count("double_seizures")
        self.emit("seize_failed", "collision")
        self.send(LOOP_OPEN)
        self._rung(now_ms)
        return t.RINGING

    def _feed_open(self, now_ms):
        if self.seen == RING and not self.ground:
            return                      # ringing while off-hook: the tail of it
        self.timers.start("T_DISCONNECT", now_ms)

    def _feed_back(self, now_ms):
        self.timers.stop("T_DISCONNECT")

    def _far_gone_out(self, now_ms):
        self.stop_timers()
        self.emit("cleared_back")

    def _far_gone_in(self, now_ms):
        self.stop_timers()
        self.emit("cleared_forward")
        return t.CLEARED

    def _open_loop(self, now_ms):
        return self._free(now_ms)

    def _rung(self, now_ms):
        self.stop_timers()
        self.emit("seized")
        self._ring_pause(now_ms)

    def _rings(self, now_ms):
        self.stop_timers()
        self.emit("ringing")

    def _ring_pause(self, now_ms):
        self.timers.stop("T_DISCONNECT")
        self.timers.start("T_RING_GONE", now_ms)

    def _no_tip_ground(self, now_ms):
        self.timers.start("T_DISCONNECT", now_ms)

    def _answer(self, now_ms):
        self.stop_timers()
        self.send(LOOP_CLOSED)


class OfficeLine(T1Line):
    """We look like a central office to a telephone or a PBX.  ground: ground start."""

    TABLE = t.OFFICE
    IDLE_SEEN = (LOOP_OPEN,)
    WATCHES = ("T_TIP_GROUND", "T_DISCONNECT")

    def __init__(self, timers=None, ground=False):
        super().__init__(timers, 2)
        self.ground = ground
        self.ON = FEED_OPEN if ground else FEED

    def pattern(self, bits):
        """Some stations send 1 0 for ring ground."""
        text = super().pattern(bits)
        return RING_GROUND_CODE if text == "10" else text

    def _block(self, now_ms):
        self.stop_timers()
        self.send(FEED_OPEN)

    def _ring(self, now_ms):
        self.send(RING)
        self.timers.start("T_RING_ON", now_ms)
        self.emit("ringing")

    def _ring_off(self, now_ms):
        self.send(FEED)
        self.timers.start("T_RING_OFF", now_ms)

    def _ring_tripped(self, now_ms):
        self.stop_timers()
        self.send(FEED)
        self.emit("answered")

    def _ring_grounded(self, now_ms):
        if not self.ground:
            self.emit("fault", "the station sends ring ground on a loop-start line")
            return t.IDLE
        self.send(FEED)
        self.timers.start("T_TIP_GROUND", now_ms)
        return None

    def _ring_ground_gone(self, now_ms):
        return self._free(now_ms)

    def _seized(self, now_ms):
        self.stop_timers()
        self.pulses_heard = 0
        self.send(FEED)
        self.emit("seized")

    def _feed_open(self, now_ms):
        self.stop_timers()
        if self.seen == LOOP_OPEN:
            return self._free(now_ms)
        self.send(FEED_OPEN)
        self.timers.start("T_OPEN", now_ms)
        return None

    def _feed_again(self, now_ms):
        if self.seen == LOOP_OPEN:
            return self._free(now_ms)
        self.send(self.ON)
        self.timers.start("T_RELEASE", now_ms)
        return None

    def _quiet(self, now_ms):
        return self._free(now_ms)
