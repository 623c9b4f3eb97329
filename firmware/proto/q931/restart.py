"""RESTART and the global call reference: Q.931 5.5, on top of a Q931Link.

A restart ends the calls of its timeslots at once on both sides.  Ours is
repeated once after T316; when nobody answers, restart_failed says so: the
timeslots should then be taken out of service (an exchange that ignores RESTART
often has them blocked).  A received one is answered in the same step.
"""

from firmware.proto.q931 import codes, messages


class RestartProcedures:
    """The half of a Q931Link that has to do with call reference 0."""

    def _receive_global(self, message, now_ms):
        expected_flag = {"RESTART": 0, "RESTART_ACKNOWLEDGE": 1}
        if message.kind in expected_flag and message.flag == expected_flag[message.kind]:
            self._receive_restart(message, now_ms)
        elif message.kind == "STATUS":
            self.count("global_status")
        else:                           # 5.8.3.2 f, g
            state = codes.REST1 if self._timers.running("T316") else codes.REST0
            self._send_for(message, "STATUS", codes.INVALID_CALL_REFERENCE, state)

    def _receive_restart(self, message, now_ms):
        indicator = message.get("restart_indicator")
        channel = message.get("channel_identification")
        faults = dict([(identifier, fault) for fault, identifier in message.faults])
        if indicator is None or (indicator["class"] == 0 and channel is None):
            identifier = 0x79 if indicator is None else 0x18
            cause = 100 if identifier in faults else 96
            self._send_for(message, "STATUS", cause, codes.REST0, bytes([identifier]).hex())
            return
        timeslots = list(self.config["timeslots"])
        if indicator["class"] == 0:
            timeslots = self.timeslots_of(channel)
        elif indicator["class"] == 6:               # one interface: the D channel's where none is named (5.5)
            timeslots = [t for t in timeslots if t >> 8 == self.interface_of(channel)]
        if message.kind == "RESTART_ACKNOWLEDGE":
            self._restart_acknowledged(timeslots, now_ms)
            return
        known = [t for t in timeslots if t in self.config["timeslots"]]
        if not known:
            self._send_for(message, "STATUS", codes.CHANNEL_DOES_NOT_EXIST, codes.REST0)
            return
        for timeslot in known:
            self.far_status.pop(timeslot, None)         # a restarted channel is in service
        for identity in self.calls():
            if self._calls[identity].timeslot in known:
                self._calls[identity].step("restart", now_ms)
                self._touch(identity)
        content = {"restart_indicator": indicator}
        if channel is not None:
            content["channel_identification"] = channel
        self.send(messages.encode(messages.Message(
            "RESTART_ACKNOWLEDGE", 0, 1, content, message.reference_octets)))
        self.events.append({"event": "restart_indication", "call": None, "timeslots": known})

    def restart(self, now_ms, timeslots=None):
        """Ask the far end to restart timeslots (None: all).  Their calls end here at once."""
        whole, before = timeslots is None, len(self._restarts)
        wanted = list(self.config["timeslots"] if whole else timeslots)
        if whole:
            self._restarts.append([wanted, True, 0])
        else:                                       # a Channel identification names one interface
            for interface in sorted(set([t >> 8 for t in wanted])):
                self._restarts.append([[t for t in wanted if t >> 8 == interface], False, 0])
        for identity in self.calls():
            if self._calls[identity].timeslot in wanted:
                self._calls[identity].step("restart", now_ms)
                self._touch(identity)
        if self.up and not before and self._restarts:
            self._send_restart(now_ms)
        return self._finish()

    def _send_restart(self, now_ms):
        """Send the first one that waits.  One whose timeslots have calls by now is given up: it would end them."""
        while self._restarts and self._in_use(self._restarts[0][0]):
            failed = self._restarts.pop(0)
            self.events.append({"event": "restart_failed", "call": None, "timeslots": failed[0]})
        if not self._restarts:
            self._timers.stop("T316")
            return
        timeslots, whole, _ = self._restarts[0]
        self._restarts[0][2] += 1
        content = {"restart_indicator": {"class": 7 if whole else 0}}
        if not whole:
            content["channel_identification"] = self.channels(timeslots)
        self.send(messages.encode(messages.Message(
            "RESTART", 0, 0, content, self.config["reference_octets"])))
        self._timers.start("T316", now_ms)

    def _in_use(self, timeslots):
        return bool([c for c in self._calls.values() if c.number != 0 and c.timeslot in timeslots])

    def _restart_acknowledged(self, timeslots, now_ms):
        if not self._restarts or not self._timers.running("T316"):
            self.count("unexpected_restart_acknowledge")
            return
        done = self._restarts.pop(0)
        self._timers.stop("T316")
        name = "restart_confirm" if [t for t in done[0] if t in timeslots] == done[0] else "restart_failed"
        self.events.append({"event": name, "call": None, "timeslots": done[0]})
        if self._restarts:
            self._send_restart(now_ms)

    def _restart_interrupted(self):
        """The data link fails: a RESTART without an answer may not have arrived; it is sent anew when the link is up, and counted from there."""
        self._timers.stop("T316")
        if self._restarts:
            self._restarts[0][2] = 0

    def _restart_timeout(self, now_ms):
        if self._restarts and self._restarts[0][2] >= codes.N316_RESTARTS:
            failed = self._restarts.pop(0)
            self.events.append({"event": "restart_failed", "call": None, "timeslots": failed[0]})
        if self._restarts and self.up:
            self._send_restart(now_ms)
