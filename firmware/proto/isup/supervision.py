"""The half of a Circuit that blocks and resets it: Q.764 (12/1999) 2.8.2, 2.9.3.1, 2.9.5.1 d to f.

Blocking has two reasons that do not mix: maintenance (BLO, CGB type 0), which
lets calls end by themselves, and hardware failure (CGB type 1), which ends
them.  Each has a local and a remote side.  Portable.
"""

from firmware.proto.isup import codes

SUPERVISION_TIMERS = ("T12", "T13", "T14", "T15")


class SupervisionProcedures:
    """See the module."""

    def blocking(self):
        """{"local", "remote", "local_hardware", "remote_hardware"}: words and bools."""
        return {"local": self.local, "remote": self.remote, "local_hardware": self.local_hardware,
                "remote_hardware": self.remote_hardware}

    def available(self, urgent=False):
        """Whether a new call of ours may take it.  An urgent one may where only maintenance of ours has it blocked: the IAM ends that at the far
        end (2.8.2.3), which is told again with its next call on the circuit."""
        return (self.state == codes.IDLE and self.local in (("unblocked", "blocked") if urgent else ("unblocked",)) and not self.remote and not self.local_hardware
                and not self.remote_hardware and not self.unequipped)

    def _stop(self):
        """No order about blocking is under way any more, neither ours alone nor as one of a group."""
        for name in SUPERVISION_TIMERS:
            self.timers.stop(name)
        if self.node.pending:
            self.node.take_back(("CGB", "CGU"), self.dpc, [self.cic], "maintenance")

    def _changed(self):
        self.tell("circuit_state", self.blocking())

    # Ours

    def block(self, now_ms):
        """BLO, unless it is on its way or done."""
        if self.local in ("unblocked", "unblocking"):
            self._stop()
            self.local = "blocking"
            self.send("BLO")
            self.timers.start("T12", now_ms)
            self.timers.start("T13", now_ms)
            self._changed()

    def unblock(self, now_ms):
        """UBL, unless it is on its way or done."""
        if self.local in ("blocked", "blocking"):
            self._stop()
            self.local = "unblocking"
            self.send("UBL")
            self.timers.start("T14", now_ms)
            self.timers.start("T15", now_ms)
            self._changed()

    def supervision_timer(self, name, now_ms):
        """T12 to T15: once more; the long ones tell maintenance."""
        if name in ("T12", "T14"):
            if self.timers.running("T13") or self.timers.running("T15"):
                self.send("BLO" if name == "T12" else "UBL")
                self.timers.start(name, now_ms)
            return
        self.timers.stop("T12" if name == "T13" else "T14")
        self.send("BLO" if name == "T13" else "UBL")
        self.timers.start(name, now_ms)
        self.tell("circuit_fault", {"text": "%s is not acknowledged (%s)" % ("BLO" if name == "T13" else "UBL", name)})

    # Messages.  They have no state: each is taken in any state of a call.

    def receive_supervision(self, message, now_ms):
        """BLO, BLA, UBL, UBA, or UCIC outside of a set-up."""
        if message.kind == "UCIC":
            self.unequipped_there()
        else:
            getattr(self, "_take_" + message.kind.lower())(now_ms)
        self.node.touch(self)

    def _take_blo(self, now_ms):
        changed = not self.remote
        self.remote = True
        self.send("BLA")
        if changed:
            self._changed()
        if self.state in (codes.OUT_WAIT_COT, codes.OUT_WAIT_ACM):      # 2.8.2.1: IAM and BLO crossed
            self.state = self.begin_release(now_ms, codes.CIRCUIT_NOT_AVAILABLE, "failure", "", True)

    def _take_ubl(self, now_ms):
        changed = self.remote
        self.remote = False
        self.send("UBA")
        if changed:
            self._changed()

    def _take_bla(self, now_ms):
        if self.local == "blocking":
            self._stop()
            self.local = "blocked"
            self._changed()
            self.blocked_now(now_ms)
        elif self.local == "unblocked":                 # 2.9.5.1 e
            self.local = "blocked"
            self.unblock(now_ms)

    def _take_uba(self, now_ms):
        if self.local == "unblocking":
            self._stop()
            self.local = "unblocked"
            self.unequipped = False
            self._changed()
        elif self.local == "blocked":                   # 2.9.5.1 f
            self.local = "unblocked"
            self.block(now_ms)

    def iam_on_blocked(self, now_ms):
        """An IAM where we have blocked: say so again."""
        self.node.count("calls_to_blocked_circuits")
        if self.local == "blocked":
            self.send("BLO")
        else:
            self.node.repeat_hardware(self, now_ms)

    def set_remote(self, hardware, on, now_ms):
        """CGB, CGU, GRA, CQR: what the far end's blocking is."""
        was = self.remote_hardware if hardware else self.remote
        if hardware:
            self.remote_hardware = on
        else:
            self.remote = on
        if was != on:
            self._changed()
        if on and self.state in (codes.OUT_WAIT_COT, codes.OUT_WAIT_ACM):
            self.state = self.begin_release(now_ms, codes.CIRCUIT_NOT_AVAILABLE, "failure", "", True)
        elif on and hardware and self.state in codes.OUTGOING + codes.INCOMING:         # 2.8.2.2: the call is lost
            self.state = self.begin_release(now_ms, codes.TEMPORARY_FAILURE)
        self.node.touch(self)

    # Reset

    def take_rsc(self, now_ms, message):
        """RSC: 2.9.3.1 a to f."""
        reattempt = self.state in (codes.OUT_WAIT_COT, codes.OUT_WAIT_ACM)
        self.stop_call_timers()
        self.end(codes.TEMPORARY_FAILURE, "far", reattempt=reattempt)
        self.unequipped = False
        if self.remote:
            self.remote = False
            self._changed()
        if self.local in ("blocked", "blocking"):
            self.local = "unblocked"
            self.block(now_ms)
        elif self.local == "unblocking":                # 2.9.3.1: nothing of it is known there any more
            self._stop()
            self.local = "unblocked"
            self._changed()
        self.send("RLC")
        self.tell("reset_indication")

    def _give_up_call(self, cause):
        reattempt = self.state in (codes.OUT_WAIT_COT, codes.OUT_WAIT_ACM)
        self.stop_call_timers()
        self.end(cause, "failure", reattempt=reattempt)

    def reset(self, now_ms, *given):
        """Send RSC."""
        self._give_up_call(codes.TEMPORARY_FAILURE)
        self.send("RSC")
        self.timers.start("T16", now_ms)
        self.timers.start("T17", now_ms)

    def reset_maintenance(self, now_ms):
        self.tell("circuit_fault", {"text": "no CCR after a failed continuity check (T27)"})
        self.reset(now_ms)

    def repeat_rsc(self, now_ms):
        self.send("RSC")
        self.timers.start("T16", now_ms)

    def reset_failed(self, now_ms):
        self.timers.stop("T16")
        self.send("RSC")
        self.timers.start("T17", now_ms)
        self.tell("circuit_fault", {"text": "RSC is not answered (T17)"})

    def reset_confirmed(self, now_ms, *details):
        self.unequipped = False
        if self.remote and details and details[0] != "group":           # the far end says BLO if it still blocks
            self.remote = False
            self._changed()
        self.tell("reset_confirm")

    def group_reset(self, now_ms, *details):
        """GRS names this circuit.  Returns nothing; the group answers."""
        reattempt = self.state in (codes.OUT_WAIT_COT, codes.OUT_WAIT_ACM)
        self.stop_call_timers()
        self.end(codes.TEMPORARY_FAILURE, "far", reattempt=reattempt)
        self.unequipped = False
        if self.remote or self.remote_hardware:
            self.remote = self.remote_hardware = False
            self._changed()
        if self.local == "blocking":    # GRA tells it: 2.9.3.2
            self._stop()
            self.local = "blocked"
        elif self.local == "unblocking":
            self._stop()
            self.local = "unblocked"

    def group_reset_sent(self, now_ms, *details):
        self._give_up_call(codes.TEMPORARY_FAILURE)

    def indicator(self):
        """The state for CQR: 3.14."""
        if self.unequipped:
            return {"call": "unequipped", "maintenance": "none", "hardware": "none"}
        call = "idle"
        if self.state in codes.INCOMING:
            call = "incoming"
        elif self.state in codes.OUTGOING:
            call = "outgoing"
        elif self.state != codes.IDLE:
            return {"call": "transient", "maintenance": "none", "hardware": "none"}
        local = self.local in ("blocked", "blocking")
        hardware = _both(self.local_hardware, self.remote_hardware)
        if hardware != "none":
            call = "idle"
        return {"call": call, "maintenance": _both(local, self.remote), "hardware": hardware}


def _both(local, remote):
    return {(False, False): "none", (True, False): "local", (False, True): "remote", (True, True): "both"}[(local, remote)]
