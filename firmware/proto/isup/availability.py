"""Whether the far end can be reached, and how much traffic it takes.

Q.764 (12/1999) 2.13 (availability of the user part), 2.11 (signalling network
congestion, T29 and T30), 2.10 (automatic congestion control).  MTP-PAUSE keeps
every call and stops new ones; nothing is sent until MTP-RESUME, then what waits for
its answer is said again at once (the timers would do so after up to 15 s).  Portable.
"""

from firmware.proto.isup import codes, messages

WAITING = {codes.WAIT_RLC: "T1", codes.RESETTING: "T16"}      # state of a circuit: the timer that repeats its message
GROUP_WAITING = {"CGB": "T18", "CGU": "T20", "GRS": "T22"}

# Share of new calls refused, in sixteenths, at each step of congestion.  Ours: the standard leaves it open (2.11.2).
STEPS = (0, 4, 8, 12, 15)
LEVELS = {1: 8, 2: 14}                  # automatic congestion level: ours too


class Destination:
    """What is known of a far exchange."""

    __slots__ = ("point_code", "available", "user_available", "step", "level", "offered")

    def __init__(self, point_code):
        self.point_code = point_code
        self.available = self.user_available = True
        self.step = self.level = self.offered = 0

    def refuses(self):
        """Whether the next new call is one of those that congestion costs."""
        share = max(STEPS[self.step], LEVELS.get(self.level, 0))
        before = self.offered * share // 16
        self.offered += 1
        return self.offered * share // 16 > before

    def dump(self):
        """A JSON-able list."""
        return [self.point_code, self.available, self.user_available, self.step, self.level, self.offered]

    def load(self, row):
        """Take what dump() gave."""
        _, self.available, self.user_available, self.step, self.level, self.offered = row


class AvailabilityProcedures:
    """The half of a node.ISUP that listens to MTP."""

    def mtp_event(self, event, now_ms):
        """An event of the MTP3 machine, as it gave it.  Returns events."""
        kind = event["event"]
        if kind == "transfer_indication":
            if event.get("si", 5) != 5:
                return []
            return self.receive(event["opc"], event["octets"], now_ms)
        destination = self.destinations.get(event.get("destination"))
        if destination is None:
            return []
        self.node_changed = True
        if kind == "pause":
            self._pause(destination)
        elif kind == "resume":
            self._resume(destination, now_ms)
        elif kind == "status" and event["cause"] == "congestion":
            self._congested(destination, now_ms)
        elif kind == "status" and event.get("user", 5) == 5:
            self._user_unavailable(destination, now_ms)
        return self.finish()

    def _tell(self, destination, **more):
        event = {"event": "destination_state", "call": None, "destination": destination.point_code,
                 "available": destination.available and destination.user_available, "step": destination.step,
                 "level": destination.level}
        event.update(more)
        self.events.append(event)

    def _pause(self, destination):
        if destination.available:
            destination.available = False
            self._tell(destination)

    def _resume(self, destination, now_ms):
        if not destination.available:
            destination.available = True
            destination.user_available = True           # 2.13.1: RESUME says nothing else
            self.timers.stop("T4 %d" % destination.point_code)
            self._tell(destination)
            self._say_again(destination.point_code, now_ms)

    def _say_again(self, point_code, now_ms):
        """What may have been lost while the destination could not be reached."""
        for circuit in self.all_circuits():
            timer = WAITING.get(circuit.state)
            if circuit.dpc == point_code and timer is not None and circuit.timers.running(timer):
                circuit.step(timer, now_ms)
        for row in [row for row in self.pending if row["dpc"] == point_code and row["kind"] in GROUP_WAITING]:
            timer = GROUP_WAITING[row["kind"]]
            if self.timers.running("%s %d" % (timer, row["id"])):
                self.group_timer("%s %d" % (timer, row["id"]), now_ms)

    def _user_unavailable(self, destination, now_ms):
        """MTP-STATUS: the far ISUP is not there."""
        if destination.user_available:
            destination.user_available = False
            self._tell(destination)
            self.send_test(destination, now_ms)

    def send_test(self, destination, now_ms):
        """UPT; T4."""
        circuits = [c for c in self.all_circuits() if c.dpc == destination.point_code]
        if circuits and self.variant != "ansi":         # T1.113 has no test: T4 alone
            self.send(destination.point_code, messages.Message("UPT", circuits[0].cic))
        self.timers.start("T4 %d" % destination.point_code, now_ms, self.durations_ms["T4"])

    def user_heard(self, destination, now_ms):
        """2.13.2: any message of the far ISUP shows that it is there."""
        if not destination.user_available:
            destination.user_available = True
            self.timers.stop("T4 %d" % destination.point_code)
            self.node_changed = True
            self._tell(destination)

    def _congested(self, destination, now_ms):
        """2.11.2: the first indication, or one behind T29, is a step."""
        code = destination.point_code
        if self.timers.running("T29 %d" % code):
            return
        destination.step = min(len(STEPS) - 1, destination.step + 1)
        self.timers.start("T29 %d" % code, now_ms, self.durations_ms["T29"])
        self.timers.start("T30 %d" % code, now_ms, self.durations_ms["T30"])
        self._tell(destination)

    def far_congested(self, point_code, level, now_ms):
        """REL with an automatic congestion level: 2.10."""
        destination = self.destinations[point_code]
        if level not in LEVELS:
            self.count("congestion_levels_unknown")
            return
        destination.level = level
        self.timers.start("ACL %d" % point_code, now_ms, self.durations_ms["ACL"])
        self.node_changed = True
        self._tell(destination)

    def destination_timer(self, name, now_ms):
        """T4, T29, T30 and that of the automatic congestion level."""
        timer, code = name.split(" ")
        destination = self.destinations[int(code)]
        self.node_changed = True
        if timer == "T4" and self.variant == "ansi":
            self.user_heard(destination, now_ms)
        elif timer == "T4":
            self.send_test(destination, now_ms)
        elif timer == "ACL":
            destination.level = 0
            self._tell(destination)
        elif timer == "T30" and destination.step:
            destination.step -= 1
            if destination.step:
                self.timers.start(name, now_ms, self.durations_ms["T30"])
            self._tell(destination)

    def set_congestion(self, level):
        """How congested we are: 0, 1 or 2, told in each REL (2.10)."""
        self.congestion_level = level
        self.node_changed = True
