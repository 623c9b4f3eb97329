"""The half of a Circuit that ends calls: REL, RLC, suspend and resume, and who controls the release.

A release of the far end is told (disconnect_indication) and RLC goes when the
layer above has let go of the circuit (release_request), since the far end may
seize it at once.  A release of ours ends with RLC.  `released` comes once for each
call that the layer above knows, and is its last event.
Source: Q.764 (12/1999) 2.3, 2.4, 2.9.6; Q.118; YDN 038 (release control).  Portable.
"""

from firmware.proto.isup import codes


class ReleaseProcedures:
    """See the module."""

    def cause(self, value, diagnostics=""):
        """A cause parameter with our location."""
        return {"coding": 0, "location": self.node.location, "cause": value, "diagnostics": diagnostics}

    def end(self, cause, by, location=None, diagnostics="", reattempt=False, maintenance=False):
        """Tell the layer above that the call is over, once."""
        self.event("released", {"cause": cause, "by": by, "location": location, "diagnostics": diagnostics,
                                "reattempt": reattempt, "maintenance": maintenance})
        self.call_over = True

    def stop_call_timers(self):
        """Stop every timer but those of blocking; take tone and loop off."""
        for row in self.timers.dump():
            if row[0] not in ("T12", "T13", "T14", "T15"):
                self.timers.stop(row[0])
        self.transceiver(False)
        self.loop(False)

    # We release

    def begin_release(self, now_ms, cause, by="failure", diagnostics="", reattempt=False):
        """Send REL.  Returns the state in which we wait."""
        self.stop_call_timers()
        self.clear = {"cause": cause, "by": by, "location": None, "diagnostics": diagnostics, "reattempt": reattempt}
        self.send_release(self.cause(cause, diagnostics))
        self.timers.start("T1", now_ms)
        self.timers.start("T5", now_ms)
        if by != "near":
            self.event("disconnect_indication", {"cause": cause, "location": self.node.location, "by": by,
                                                 "inband": False, "reattempt": reattempt})
        return codes.WAIT_RLC

    def send_release(self, cause):
        """REL, with the automatic congestion level if we are congested (2.10)."""
        content = {"cause_indicators": cause}
        if self.node.congestion_level:
            content["automatic_congestion_level"] = {"value": self.node.congestion_level}
        self.send("REL", content)

    def send_rel(self, now_ms, given):
        self.begin_release(now_ms, given.get("cause", codes.NORMAL), "near", given.get("diagnostics", ""))

    def clear_by_user(self, given):
        """What goes instead of REL where the other party controls the release, or None."""
        if self.state == codes.OUT_ANSWERED and self.control == "called" and self.node.variant == "china":
            return "CCL", {}
        if self.state == codes.IN_ANSWERED and self.control == "caller":
            return "SUS", {"suspend_resume_indicators": {"by": "network"}}
        return None

    def clear_request_rel(self, now_ms, given):
        """Our party hung up."""
        message = self.clear_by_user(given)
        if message is None:
            self.send_rel(now_ms, given)
            return codes.WAIT_RLC
        self.send(*message)
        return None

    def setup_timeout(self, now_ms):
        self.begin_release(now_ms, codes.NORMAL_UNSPECIFIED)

    def no_answer(self, now_ms):
        self.begin_release(now_ms, codes.NO_ANSWER)

    def timeout(self, now_ms):
        self.begin_release(now_ms, codes.NORMAL_UNSPECIFIED)

    def suspend_timeout(self, now_ms):
        self.begin_release(now_ms, codes.TIMER_EXPIRY)

    def overloaded(self, now_ms, message):
        self.timers.start("T3", now_ms)

    def released_without_rel(self, now_ms, message):
        """2.9.5.1 c: RLC on a circuit with a call."""
        self.node.count("unreasonable_messages")
        self.begin_release(now_ms, codes.NORMAL_UNSPECIFIED)

    def repeat_rel(self, now_ms):
        self.send_release(self.cause(self.clear["cause"], self.clear["diagnostics"]))
        self.timers.start("T1", now_ms)

    def release_failed(self, now_ms):
        """T5: nobody answers REL."""
        self.timers.stop("T1")
        self.end(self.clear["cause"], self.clear["by"], maintenance=True)
        self.tell("circuit_fault", {"text": "REL was not answered (T5)"})
        self.send("RSC")
        self.timers.start("T17", now_ms)

    def release_complete(self, now_ms, message):
        clear = self.clear
        self.end(clear["cause"], clear["by"], clear["location"], clear["diagnostics"], clear["reattempt"])

    def collision(self, now_ms, message):
        """2.3.1 e: both sent REL."""
        self.send("RLC")

    def unequipped_there(self):
        """The far end does not have this circuit."""
        self.unequipped = True
        self.tell("circuit_fault", {"text": "the far end says that it does not have this circuit (UCIC)"})

    def take_ucic(self, now_ms, message):
        """2.12: another circuit for the call, this one out of service."""
        self.stop_call_timers()
        self.end(codes.CIRCUIT_NOT_AVAILABLE, "far", reattempt=True)
        self.unequipped_there()

    # The far end releases

    def far_released(self, now_ms, message):
        self.stop_call_timers()
        cause = message.get("cause_indicators")
        self.clear = {"cause": cause["cause"], "by": "far", "location": cause["location"],
                      "diagnostics": cause["diagnostics"], "reattempt": False,
                      "confused": [row[0] for row in message.unknown] if not self.transit else []}
        level = message.get("automatic_congestion_level")
        if level is not None:
            self.node.far_congested(self.dpc, level["value"], now_ms)
        if self.call_over:              # the layer above never heard of it
            self.answer_rlc()
            return codes.IDLE
        self.event("disconnect_indication", {
            "cause": cause["cause"], "location": cause["location"], "by": "far", "inband": False, "reattempt": False,
            "elements": {} if level is None else {"automatic_congestion_level": level}})
        return None

    def answer_rlc(self):
        """RLC; 2.9.5.3.2: with cause 99 if REL had something that nobody here knows."""
        confused = (self.clear or {}).get("confused")
        content = {}
        if confused:
            content["cause_indicators"] = self.cause(codes.PARAMETER_NOT_IMPLEMENTED, bytes(confused).hex())
        self.send("RLC", content)

    def send_rlc(self, now_ms, given):
        self.answer_rlc()
        clear = self.clear
        self.end(clear["cause"], "far", clear["location"], clear["diagnostics"])

    def answer_rel(self, now_ms, message):
        """REL where there is no call."""
        self.send("RLC")

    def remove_from_service(self, now_ms, given):
        """2.9.6: the circuit cannot be made idle: block it first, RLC on BLA."""
        self.rlc_waits = True
        self.tell("circuit_fault", {"text": "the circuit could not be released, it is taken out of service"})
        self.block(now_ms)

    def blocked_now(self, now_ms):
        """BLA has come."""
        if self.rlc_waits and self.state == codes.FAR_RELEASED:
            self.rlc_waits = False
            self.step("release_request", now_ms, {})

    # Suspend, resume

    def suspend_received(self, now_ms, message):
        by = message.get("suspend_resume_indicators")["by"]
        if by not in self.suspensions:
            self.suspensions.append(by)
        if self.state == codes.OUT_ANSWERED:            # we control: 2.4.1, 2.4.3
            self.timers.start("T2" if by == "user" else "T6", now_ms)
        self.event("suspend_indication", {"by": by})

    def resume_received(self, now_ms, message):
        by = message.get("suspend_resume_indicators")["by"]
        if by in self.suspensions:
            self.suspensions.remove(by)
        self.timers.stop("T2" if by == "user" else "T6")
        self.event("resume_indication", {"by": by})

    def send_sus(self, now_ms, given):
        self.send("SUS", {"suspend_resume_indicators": {"by": given.get("by", "network")}})

    def send_res(self, now_ms, given):
        self.send("RES", {"suspend_resume_indicators": {"by": given.get("by", "network")}})
