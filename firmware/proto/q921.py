"""LAPD, the data link layer of a D channel, point to point (SAPI 0, fixed TEI).

    link = Q921Link("user", keep_up_ms=5000)
    events = link.request("dl_establish_request", now_ms)
    for octets in link.take_output(): hdlc.send(octets)
    events = link.receive(octets, now_ms)

Frames in and out are octets without flags and FCS.  Events are tuples:
    ("dl_establish_indication",)  ("dl_establish_confirm",)
    ("dl_release_indication",)    ("dl_release_confirm",)
    ("dl_data_indication", octets)  ("dl_unit_data_indication", octets)
    ("mdl_error_indication", code)   code: a letter of Q.921 Appendix II
Call take_output() after each receive, request, expire, set_busy: it also puts
the acknowledgement (RR) that no I frame has carried.

The states are those of Q.921 Annex B for a fixed TEI, so TEI management
(states 1-3) does not exist here:
    TEI_ASSIGNED -> AWAITING_ESTABLISHMENT -> MULTIPLE_FRAME_ESTABLISHED
    <-> TIMER_RECOVERY;  AWAITING_RELEASE on the way back.
One list holds all I frames: those of numbers V(A)..V(S)-1 wait for their
acknowledgement, those behind wait for the window.  Going back (REJ, timer
recovery) is therefore "V(S) = V(A)" and nothing else.

Source: Q.921 (09/1997), ETSI EN 300 402; portable.
"""

from firmware.errors import LocalError
from firmware.proto import q921_frames as frames
from firmware.proto.machine import Machine
from firmware.proto.q921_table import (
    AWAITING_ESTABLISHMENT, MULTIPLE_FRAME_ESTABLISHED, PARAMETERS, TABLE, TEI_ASSIGNED, UP)


class Q921Link(Machine):
    """One data link.

    side: "user" or "network".  parameters: {"T200": ms, "N200": count, ...}
    over PARAMETERS.  keep_up_ms: when not None, the link is established anew
    that long after it failed or the far end released it, until
    dl_release_request.  counters: {name: number} since the start."""

    TABLE = TABLE
    INITIAL = TEI_ASSIGNED

    def __init__(self, side, tei=0, sapi=0, parameters=None, keep_up_ms=None):
        if side not in ("user", "network"):
            raise LocalError("side of a Q.921 link is user or network, not %r" % (side,))
        values = {}
        for name in PARAMETERS:
            values[name] = PARAMETERS[name][0]
        values.update(parameters or {})
        values["KEEP_UP"] = keep_up_ms
        super().__init__(values)
        self.side = side
        self.network = side == "network"
        self.tei = tei
        self.sapi = sapi
        self.values = values
        self.counters = {}
        self.busy_wanted = False
        self._kept_up = False
        self._saved = None              # a primitive that must wait (Annex B "save")
        self._frames = []               # I frames from V(A) on; the first _sent are on their way
        self._output = []
        self._layer_3_initiated = False
        self._lost = 0                  # frames under way when the link was reset
        self._retry_count = 0           # RC
        self._va = 0
        self._vr = 0
        self._clear_exceptions()

    # The outside

    @property
    def established(self):
        """Whether multiple frame operation is up."""
        return self.state in UP

    @property
    def queued_frames(self):
        """I frames not yet acknowledged: what waits if the far end is stuck."""
        return len(self._frames)

    def receive(self, octets, now_ms):
        """Take one frame.  Returns events.  Never raises on what the far end sent."""
        self._count("frames_received")
        try:
            frame = frames.decode(octets, not self.network, self.values["N201"])
        except frames.FrameError as error:
            # Another link's or a cut frame must not bring ours down.
            ours = len(octets) > 2 and octets[0] >> 2 == self.sapi and octets[1] >> 1 == self.tei
            if error.error and ours:
                self.step("frame_error", now_ms, error.error)
            else:
                self._count("invalid_frames")
            return self._finish(now_ms)
        if frame.sapi != self.sapi or frame.tei != self.tei:
            self._count("other_address_frames")
            return self.take_events()
        self.step(frame.kind, now_ms, frame)
        return self._finish(now_ms)

    def request(self, primitive, now_ms, octets=None):
        """dl_establish_request, dl_release_request, dl_data_request.  Returns events.

        Raises LocalError on an unknown primitive or information over N201."""
        if primitive == "dl_data_request":
            if octets is None or len(octets) > self.values["N201"]:
                raise LocalError("dl_data_request wants 0 to %d octets" % self.values["N201"])
            self.step(primitive, now_ms, bytes(octets))
        elif primitive in ("dl_establish_request", "dl_release_request"):
            self._kept_up = primitive == "dl_establish_request"
            self.timers.stop("KEEP_UP")
            self.step(primitive, now_ms)
        else:
            raise LocalError("Q.921 has no primitive %r" % (primitive,))
        return self._finish(now_ms)

    def expire(self, now_ms):
        """Let the timers that have fallen due act.  Returns events."""
        events = super().expire(now_ms)
        return events + self._finish(now_ms)

    def set_busy(self, busy):
        """Tell the far end to stop (RNR) or to go on (RR).  5.6.6."""
        self.busy_wanted = bool(busy)
        self._apply_busy()

    def take_output(self):
        """Return the frames to send, as a list of bytes."""
        if self._acknowledge_pending:
            self._supervisory("RNR" if self._own_busy else "RR", False, 0)
        output, self._output = self._output, []
        return output

    def illegal(self, name, now_ms, *details):
        """No row: a timer or primitive of another state."""
        self._count("unexpected_inputs")

    # Helpers

    def _count(self, name):
        self.counters[name] = self.counters.get(name, 0) + 1

    def _clear_exceptions(self):
        """Clear peer busy, reject, own busy and pending acknowledgement; V(S)=V(A)=V(R)=0."""
        self._peer_busy = False
        self._reject = False
        self._own_busy = False
        self._acknowledge_pending = False
        self._sent = 0                  # V(S) - V(A)

    def _reset_numbers(self):
        self._va = 0
        self._vr = 0
        self._sent = 0

    def _finish(self, now_ms):
        """Send what the window allows, arm KEEP_UP, and hand the events over."""
        if self.state == MULTIPLE_FRAME_ESTABLISHED:
            self._apply_busy()
            self._send_window(now_ms)
        if self._saved is not None and self.state in (TEI_ASSIGNED, MULTIPLE_FRAME_ESTABLISHED):
            saved, self._saved = self._saved, None
            self.step(saved, now_ms)
        if (self.state == TEI_ASSIGNED and self._kept_up and self.values["KEEP_UP"] is not None
                and not self.timers.running("KEEP_UP")):
            self.timers.start("KEEP_UP", now_ms)
        elif self.state != TEI_ASSIGNED:
            self.timers.stop("KEEP_UP")
        return self.take_events()

    def _apply_busy(self):
        if self.established and self.busy_wanted != self._own_busy:
            self._own_busy = self.busy_wanted
            self._supervisory("RNR" if self._own_busy else "RR", False, 0)

    def _send_window(self, now_ms):
        while (self._sent < len(self._frames) and self._sent < self.values["K"]
               and not self._peer_busy):
            frame = frames.Frame("I", True, 0, (self._va + self._sent) % 128, self._vr,
                                 self._frames[self._sent])
            self._sent += 1
            self._acknowledge_pending = False
            self._put(frame)
            if not self.timers.running("T200"):
                self.timers.stop("T203")
                self.timers.start("T200", now_ms)

    def _put(self, frame):
        frame.sapi = self.sapi
        frame.tei = self.tei
        self._count("frames_sent")
        self._output.append(frames.encode(frame, self.network))

    def _unnumbered(self, kind, command, poll):
        self._put(frames.Frame(kind, command, poll))

    def _supervisory(self, kind, command, poll):
        self._acknowledge_pending = False
        self._put(frames.Frame(kind, command, poll, 0, self._vr))

    def _error(self, code):
        self._count("errors_" + code)
        self.emit("mdl_error_indication", code)

    def _acceptable(self, nr):
        """Whether V(A) <= N(R) <= V(S)."""
        return (nr - self._va) % 128 <= self._sent

    def _acknowledged(self, nr):
        number = (nr - self._va) % 128
        self._frames = self._frames[number:]
        self._sent -= number
        self._va = nr

    def _go_back(self):
        """Invoke retransmission: everything not acknowledged is to be sent again."""
        if self._sent:
            self._count("retransmissions")
        self._sent = 0

    def _establish(self, now_ms):
        self._clear_exceptions()
        self._retry_count = 0
        self._unnumbered("SABME", True, 1)
        self.timers.stop("T203")
        self.timers.start("T200", now_ms)

    def _reestablish(self, now_ms):
        """The far end or the numbers went wrong: 5.7.  Frames on their way are lost."""
        self._count("reestablishments")
        self._lost = self._sent
        self._establish(now_ms)
        self._layer_3_initiated = False
        return AWAITING_ESTABLISHMENT

    def _enquiry(self, now_ms):
        self._supervisory("RNR" if self._own_busy else "RR", True, 1)
        self.timers.start("T200", now_ms)

    # Primitives

    def _establish_by_layer_3(self, now_ms):
        self._frames = []
        self._establish(now_ms)
        self._layer_3_initiated = True

    def _establish_again(self, now_ms):
        self._frames = []
        self._saved = None
        self._layer_3_initiated = True

    def _save_establish(self, now_ms):
        self._saved = "dl_establish_request"

    def _save_release(self, now_ms):
        self._saved = "dl_release_request"

    def _cancel_saved(self, now_ms):
        self._saved = None

    def _confirm_release(self, now_ms):
        self.emit("dl_release_confirm")

    def _release(self, now_ms):
        self._frames = []
        self._sent = 0
        self._retry_count = 0
        self._unnumbered("DISC", True, 1)
        self.timers.stop("T203")
        self.timers.start("T200", now_ms)

    def _queue(self, now_ms, octets):
        self._frames.append(octets)

    def _refuse_data(self, now_ms, octets):
        self._count("data_requests_without_link")

    # Unnumbered frames

    def _answer_ua(self, now_ms, frame):
        self._unnumbered("UA", False, frame.poll)

    def _answer_dm(self, now_ms, frame):
        self._unnumbered("DM", False, frame.poll)

    def _accept_establishment(self, now_ms, frame):
        self._unnumbered("UA", False, frame.poll)
        self._clear_exceptions()
        self._reset_numbers()
        self._frames = []
        self.emit("dl_establish_indication")
        self.timers.start("T203", now_ms)

    def _accept_reestablishment(self, now_ms, frame):
        self._unnumbered("UA", False, frame.poll)
        self._error("F")
        lost = self._sent
        self._clear_exceptions()
        self._reset_numbers()
        if lost:                        # only then does layer 3 have to know
            self._frames = []
            self.emit("dl_establish_indication")
        self.timers.stop("T200")
        self.timers.start("T203", now_ms)

    def _accept_release(self, now_ms, frame):
        self._unnumbered("UA", False, frame.poll)
        self._drop_link()

    def _drop_link(self):
        self._frames = []
        self._sent = 0
        self._acknowledge_pending = False
        self.emit("dl_release_indication")
        self.timers.stop("T200")
        self.timers.stop("T203")

    def _unsolicited_ua(self, now_ms, frame):
        self._error("C" if frame.poll else "D")

    def _established(self, now_ms, frame):
        if not frame.poll:
            self._error("D")
            return None
        if self._layer_3_initiated:
            self.emit("dl_establish_confirm")
        elif self._lost:
            self._frames = []
            self.emit("dl_establish_indication")
        self.timers.stop("T200")
        self.timers.start("T203", now_ms)
        self._reset_numbers()
        return MULTIPLE_FRAME_ESTABLISHED

    def _released(self, now_ms, frame):
        if not frame.poll:
            if frame.kind == "UA":
                self._error("D")
            return None
        self.timers.stop("T200")
        self.emit("dl_release_confirm")
        return TEI_ASSIGNED

    def _dm_tei_assigned(self, now_ms, frame):
        if frame.poll:
            return None
        self._establish_by_layer_3(now_ms)
        return AWAITING_ESTABLISHMENT

    def _dm_awaiting_establishment(self, now_ms, frame):
        if not frame.poll:
            return None
        self._drop_link()
        return TEI_ASSIGNED

    def _dm_established(self, now_ms, frame):
        if frame.poll:
            self._error("B")
            return None
        self._error("E")
        return self._reestablish(now_ms)

    def _dm_timer_recovery(self, now_ms, frame):
        self._error("B" if frame.poll else "E")
        return self._reestablish(now_ms)

    def _frmr(self, now_ms, frame):
        self._error("K")
        return self._reestablish(now_ms)

    def _unit_data(self, now_ms, frame):
        self.emit("dl_unit_data_indication", frame.octets)

    def _discard(self, now_ms, frame):
        self._count("discarded_frames")

    def _report_frame_error(self, now_ms, code):
        self._error(code)

    def _frame_error(self, now_ms, code):
        self._error(code)
        return self._reestablish(now_ms)

    # I and supervisory frames

    def _take_information(self, frame):
        """The receiving half of an I frame: 5.6.2.  The same in states 7 and 8."""
        if self._own_busy:
            if frame.poll:
                self._supervisory("RNR", False, 1)
        elif frame.ns == self._vr:
            self._vr = (self._vr + 1) % 128
            self._reject = False
            self.emit("dl_data_indication", frame.octets)
            if frame.poll:
                self._supervisory("RR", False, 1)
            else:
                self._acknowledge_pending = True
        elif self._reject:
            if frame.poll:
                self._supervisory("RR", False, 1)
        else:
            self._reject = True
            self._count("rejects_sent")
            self._supervisory("REJ", False, frame.poll)

    def _information(self, now_ms, frame):
        self._take_information(frame)
        if not self._acceptable(frame.nr):
            return self._number_error(now_ms)
        if self._peer_busy:
            self._acknowledged(frame.nr)
        else:
            self._acknowledge(now_ms, frame.nr)
        return None

    def _information_recovery(self, now_ms, frame):
        self._take_information(frame)
        if not self._acceptable(frame.nr):
            return self._number_error(now_ms)
        self._acknowledged(frame.nr)
        return None

    def _acknowledge(self, now_ms, nr):
        """5.6.3: T200 guards the oldest frame, T203 an idle link."""
        if nr == (self._va + self._sent) % 128:
            self._acknowledged(nr)
            self.timers.stop("T200")
            self.timers.start("T203", now_ms)
        elif nr != self._va:
            self._acknowledged(nr)
            self.timers.start("T200", now_ms)

    def _number_error(self, now_ms):
        self._error("J")
        return self._reestablish(now_ms)

    def _answer_poll(self, frame):
        """A command with P = 1 is answered; a response with F = 1 was not asked for."""
        if frame.command:
            if frame.poll:
                self._supervisory("RNR" if self._own_busy else "RR", False, 1)
        elif frame.poll:
            self._error("A")

    def _rr(self, now_ms, frame):
        self._peer_busy = False
        self._answer_poll(frame)
        if not self._acceptable(frame.nr):
            return self._number_error(now_ms)
        self._acknowledge(now_ms, frame.nr)
        return None

    def _rej(self, now_ms, frame):
        self._peer_busy = False
        self._count("rejects_received")
        self._answer_poll(frame)
        if not self._acceptable(frame.nr):
            return self._number_error(now_ms)
        self._acknowledged(frame.nr)
        self.timers.stop("T200")
        self.timers.start("T203", now_ms)
        self._go_back()
        return None

    def _rnr(self, now_ms, frame):
        self._peer_busy = True
        self._answer_poll(frame)
        if not self._acceptable(frame.nr):
            return self._number_error(now_ms)
        self._acknowledged(frame.nr)
        self.timers.stop("T203")
        self.timers.start("T200", now_ms)
        return None

    def _in_recovery(self, now_ms, frame):
        """State 8: only the answer to our enquiry ends the recovery.  Returns whether it was."""
        if frame.command and frame.poll:
            self._supervisory("RNR" if self._own_busy else "RR", False, 1)
        self._acknowledged(frame.nr)
        if frame.command or not frame.poll:
            return False
        self._go_back()
        return True

    def _ready_recovery(self, now_ms, frame):
        self._peer_busy = False
        if not self._acceptable(frame.nr):
            return self._number_error(now_ms)
        if not self._in_recovery(now_ms, frame):
            return None
        self.timers.stop("T200")
        self.timers.start("T203", now_ms)
        return MULTIPLE_FRAME_ESTABLISHED

    def _rnr_recovery(self, now_ms, frame):
        self._peer_busy = True
        if not self._acceptable(frame.nr):
            return self._number_error(now_ms)
        if not self._in_recovery(now_ms, frame):
            return None
        self.timers.start("T200", now_ms)
        return MULTIPLE_FRAME_ESTABLISHED

    # Timers

    def _repeat_sabme(self, now_ms):
        if self._retry_count >= self.values["N200"]:
            self._error("G")
            self._drop_link()
            return TEI_ASSIGNED
        self._retry_count += 1
        self._unnumbered("SABME", True, 1)
        self.timers.start("T200", now_ms)
        return None

    def _repeat_disc(self, now_ms):
        if self._retry_count >= self.values["N200"]:
            self._error("H")
            self.emit("dl_release_confirm")
            return TEI_ASSIGNED
        self._retry_count += 1
        self._unnumbered("DISC", True, 1)
        self.timers.start("T200", now_ms)
        return None

    def _recover(self, now_ms):
        self._retry_count = 0
        self.timers.stop("T203")
        self._enquiry(now_ms)
        self._retry_count += 1

    def _enquire_again(self, now_ms):
        if self._retry_count >= self.values["N200"]:
            self._error("I")
            return self._reestablish(now_ms)
        self._enquiry(now_ms)
        self._retry_count += 1
        return None
