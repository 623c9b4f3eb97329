"""STATUS and STATUS_ENQUIRY of a call: what the far end thinks, and how two states are brought together.

The procedure of Q.931 5.8.10 and 5.8.11, used when the data link was down or
reset, when an odd STATUS comes, and by audit() after a restart of the process:
a message that was decided but never left is found missing and sent again.
"""

from firmware.proto.q931 import codes, messages, parameters

_CLEARING = (11, 12, 19, 22)

# How far a set-up has come.  A network side that sent SETUP should tell N6, N25,
# N9, N7 in STATUS, but libpri, and what is built on it, tells the numbers of the
# user side (1, 2, 3, 4), and the other way round: both are understood.
_PROGRESS = {1: 0, 6: 0, 2: 1, 25: 1, 3: 2, 9: 2, 4: 3, 7: 3, 8: 4, 10: 5}


def reconcile(originating, ours, theirs):
    """What two state numbers mean for a call: 5.8.11, and recovery of a lost message.

    Returns "same", "resend" (the far end has not had our last message),
    "connected" (we have not had its CONNECT or CONNECT_ACKNOWLEDGE) or
    "mismatch".  5.8.11 leaves it open which states are compatible; ours: both
    ends stand in the same set-up, and nobody has missed an answer."""
    if theirs in _CLEARING:
        return "same"                   # a clearing far end goes on by its own timers
    if ours in (11, 12):
        return "resend"
    if ours not in _PROGRESS or theirs not in _PROGRESS:
        return "mismatch"
    near, far = _PROGRESS[ours], _PROGRESS[theirs]
    if originating:
        if ours == 10:
            return "same" if far == 5 else "resend" if theirs == 8 else "mismatch"
        return "connected" if far >= 4 else "same"
    if far < near:
        # Between our U10 and its N8 there is nothing that we could send.
        return "same" if theirs == 8 else "resend"
    if theirs == 10 and ours != 10:
        return "connected" if ours == 8 else "mismatch"
    return "same"


class StatusProcedures:
    """The half of a Call that asks and answers about states."""

    def enquire(self, now_ms, given=None):
        """Ask the far end for its state; one question at a time."""
        self.timers.stop("T309")
        if not self.timers.running("T322"):
            self.enquiries = 0
            self._ask(now_ms)

    def _ask(self, now_ms):
        self.enquiries += 1
        self.enquired_state = self.state
        self.send("STATUS_ENQUIRY", {})
        self.timers.start("T322", now_ms)

    def enquiry_timeout(self, now_ms):
        if self.enquiries < codes.N322_ENQUIRIES:
            self._ask(now_ms)
            return None
        if self.number in (11, 12, 19):
            return None                 # clearing ends by its own timers
        self.event("call_lost", {"cause": codes.TEMPORARY_FAILURE})
        return self.begin_disconnect(now_ms, codes.TEMPORARY_FAILURE)

    def answer_enquiry(self, now_ms, message):
        self.send_status(codes.RESPONSE_TO_STATUS_ENQUIRY)

    def take_status(self, now_ms, message):
        """Compare the states.  Returns the state to go to, or None."""
        theirs = message.get("call_state")
        cause = message.get("cause")["cause"]
        solicited = cause == codes.RESPONSE_TO_STATUS_ENQUIRY and self.timers.running("T322")
        self.event("status_indication", {"cause": cause, "call_state": theirs["state"]})
        if theirs["coding"] != 0 or (self.number == 19 and theirs["state"] != 0):
            return None
        if solicited:
            self.timers.stop("T322")
            self.enquiries = 0
        if theirs["state"] == 0:
            return self._far_has_no_call(now_ms)
        if theirs["state"] in _CLEARING and self.number not in (11, 12, 19):
            return self._far_clears(now_ms, message)
        ours = codes.state_number(self.enquired_state) if solicited else self.number
        verdict = reconcile(self.originating, ours, theirs["state"])
        if not solicited:
            # A message may be on its way past this STATUS: ask before anything is cleared.
            if verdict != "same" and self.number not in (11, 12):
                self.enquire(now_ms)
            return None
        if ours != self.number and verdict != "same":
            self._ask(now_ms)           # we moved on since the question
            return None
        return self._heal(now_ms, verdict, theirs["state"])

    def _far_has_no_call(self, now_ms):
        """5.8.11: a far end in state 0.  A SETUP that never left is sent by T303."""
        if self.number in (1, 6) and self.originating:
            return None
        if self.audited:
            self.event("call_lost", {"cause": codes.TEMPORARY_FAILURE})
        self.end(codes.TEMPORARY_FAILURE, "failure")
        return self.INITIAL

    def _far_clears(self, now_ms, message):
        """5.8.11: its DISCONNECT or RELEASE left before this STATUS and is lost, with the data link.

        Left alone it would clear by its timers, up to 30 s later, if it still runs them."""
        self.audited = False
        self._begin_clearing(codes.NORMAL_UNSPECIFIED, "far", self.link.far_location)
        fields = parameters.progress_fields(message)
        fields.update(self.clear)
        self.event("disconnect_indication", fields)
        self._release(now_ms, self._cause(codes.MESSAGE_NOT_COMPATIBLE))
        return codes.state_name(self.link.role, 19)

    def _heal(self, now_ms, verdict, theirs):
        self.audited = False
        if verdict == "mismatch":
            self.event("call_lost", {"cause": codes.MESSAGE_NOT_COMPATIBLE})
            return self.begin_disconnect(now_ms, codes.MESSAGE_NOT_COMPATIBLE)
        self.event("call_confirmed", {"call_state": theirs, "repaired": verdict != "same"})
        if verdict == "resend":
            return self._resend(now_ms)
        if verdict == "connected":
            refused = None
            if self.originating:
                refused = self.connected(now_ms, messages.Message("CONNECT", self.reference, 1))
            else:
                self.connect_acknowledged(now_ms, None)
            return refused or codes.state_name(self.link.role, 10)
        return None

    def _resend(self, now_ms):
        """The far end has not had our last message (the process died before it left)."""
        message = messages.decode(bytes.fromhex(self.last_sent))
        if self.number in (11, 12) and message.kind != "DISCONNECT":
            return None                 # it was the far end that disconnected
        if message.kind in ("SETUP_ACKNOWLEDGE", "CALL_PROCEEDING", "ALERTING", "CONNECT"):
            message.elements["channel_identification"] = self.link.channel(self.timeslot, True)
        self.link.send(messages.encode(message))
        if message.kind == "CONNECT" and self.link.role == "user":
            self.timers.start("T313", now_ms)
            return codes.state_name("user", 8)
        return None
