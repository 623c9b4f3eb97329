"""The half of a Circuit that checks continuity: Q.764 (12/1999) 2.1.8, 2.8.1; Q.724 7 for the tone.

The machine has no tone.  It tells management
    continuity_tone{circuit, on}    send 2000 Hz (ITU; ANSI 2010 Hz) and listen for it; answer with
                                    circuit_request("continuity_result", circuit, ok=True) within T24
    continuity_loop{circuit, on}    send what you hear
Portable.
"""

from firmware.proto.isup import codes


class ContinuityProcedures:
    """See the module."""

    tone_on = False
    loop_on_circuit = False

    def transceiver(self, on):
        """Put the check tone on the circuit, or take it off."""
        if self.tone_on != on:
            self.tone_on = on
            self.tell("continuity_tone", {"on": on})

    def loop(self, on):
        """Loop the circuit, or end that."""
        if self.loop_on_circuit != on:
            self.loop_on_circuit = on
            self.tell("continuity_loop", {"on": on})

    def start_check(self, now_ms):
        """The tone goes on, T24 runs."""
        self.timers.start("T24", now_ms)
        self.transceiver(True)

    def _cot(self, success):
        self.send("COT", {"continuity_indicators": {"success": success}})

    # Our check

    def check_done(self, now_ms, given):
        if not given.get("ok"):
            return self.check_failed(now_ms)
        self.timers.stop("T24")
        self.transceiver(False)
        self.failures = 0
        self._cot(True)
        self.timers.start("T7", now_ms)
        return codes.OUT_WAIT_ACM

    def check_failed(self, now_ms):
        """COT (failed); the call looks for another circuit, this one is checked again."""
        self.stop_call_timers()
        self.failures = 1
        self._cot(False)
        self.end(codes.TEMPORARY_FAILURE, "failure", reattempt=True)
        self.tell("circuit_fault", {"text": "the continuity check failed"})
        self.timers.start("T25", now_ms)
        return codes.OUT_RECHECK_WAIT

    def previous_check_done(self, now_ms, given):
        """The layer above has heard how the check of the circuit before went."""
        self._cot(bool(given.get("ok")))

    def send_ccr(self, now_ms, *given):
        self.stop_call_timers()
        self.send("CCR")
        self.start_check(now_ms)

    def loop_confirmed(self, now_ms, message):
        self.node.count("loops_confirmed")

    def recheck_done(self, now_ms, given):
        if not given.get("ok"):
            return self.recheck_failed(now_ms)
        self.failures = 0
        self.tell("continuity_confirm", {"ok": True})
        return self.begin_release(now_ms, codes.NORMAL, "near")

    def recheck_failed(self, now_ms):
        self.stop_call_timers()
        self.failures += 1
        self._cot(False)
        self.tell("continuity_confirm", {"ok": False})
        self.tell("circuit_fault", {"text": "the continuity check failed %d times" % self.failures})
        self.timers.start("T26", now_ms)
        return codes.OUT_RECHECK_WAIT

    # The far end's check

    def continuity_received(self, now_ms, message):
        self.timers.stop("T8")
        looped = self.loop_on_circuit
        self.loop(False)
        if message.get("continuity_indicators")["success"]:
            return self.after_continuity(now_ms)
        if not looped:                  # a circuit before this one failed: REL will come
            self.timers.start("T8", now_ms)
            return None
        self.timers.start("T27", now_ms)
        return codes.IN_RECHECK

    def continuity_timeout(self, now_ms):
        self.begin_release(now_ms, codes.TEMPORARY_FAILURE)

    def take_ccr(self, now_ms, message):
        self.timers.stop("T27")
        self.timers.start("T36", now_ms)
        self.loop(True)
        if self.group.get("loop_acknowledge", self.node.variant == "ansi"):
            self.send("LPA")

    def recheck_received(self, now_ms, message):
        self.timers.stop("T36")
        if message.get("continuity_indicators")["success"]:
            self.timers.start("T36", now_ms)            # REL follows
            return None
        self.loop(False)
        self.timers.start("T27", now_ms)
        return codes.IN_RECHECK

    def check_over(self, now_ms, message):
        """REL behind a check."""
        self.stop_call_timers()
        self.send("RLC")

    # Two at once

    def dual_seizure(self, now_ms, message):
        """2.9.1.4: both sent IAM.  Who controls the circuit goes on, the other one tries another circuit."""
        self.node.count("dual_seizures")
        if self.node.controls(self):
            return None
        self.stop_call_timers()
        self.end(codes.CIRCUIT_NOT_AVAILABLE, "far", reattempt=True)
        return self.take_iam(now_ms, message) or codes.IDLE

    def take_iam_after_check(self, now_ms, message):
        """2.9.1.4: a call comes where we wanted to check."""
        self.stop_call_timers()
        return self.take_iam(now_ms, message) or codes.IDLE
