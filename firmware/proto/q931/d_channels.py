"""The two D channels of an NFAS group with back-up: which of them carries the calls (Q.931 Annex F, National ISDN).

Both data links are kept up; one D channel is in service, the other stands by.  SERVICE and SERVICE ACKNOWLEDGE (maintenance.py) of a D
channel, sent on that D channel, bring it in service; the calls that stand go on over it.

    d = DChannels({0: "primary", 1: "backup"}, discriminator, encode)
    d.link(interface, up, now_ms)           # a data link came up or failed
    d.service(told, interface, now_ms)      # what Q931Link.on_d_channel tells, and on which D channel it came
    d.switch(now_ms)                        # by hand: the one that stands by takes over
    d.take_output() -> [(interface, octets)]; d.take_events() -> ["up" | "switched" | "down"]
    d.active -> interface, or None; d.deadline_ms(); d.expire(now_ms); d.dump(); DChannels.load(...)

States, as Annex F names them:
    out_of_service   no data link
    standby          a data link, no calls
    wait             SERVICE sent, its acknowledgement awaited (T321)
    in_service       carries the calls
"up": calls can be made; "switched": another D channel carries those that stand; "down": none does, Q.931 5.8.9 applies (T309).

Annex F leaves to agreement who begins: ours: either end, on the primary at once, on the back-up when the primary has not come
for TPRIMARY or has failed; two SERVICE messages that cross are both acknowledged.  A primary that comes back stands by: it is no
reason to move calls twice.  A far end that answers no SERVICE (T321 twice) is taken at its data link's word: "ours", since a
trunk that could carry calls is worth more than a procedure.
"""

from firmware.proto.machine import Timers

OUT_OF_SERVICE, STANDBY, WAIT, IN_SERVICE = "out_of_service", "standby", "wait", "in_service"
TIMERS = {
    "T321": 30000,                      # D-channel failure, Q.931 9.2; the answer to SERVICE
    "TPRIMARY": 5000,                   # ours: the back-up alone is up, and no D channel has carried calls yet
}
TRIES = 2


class DChannels:
    """kinds: {interface: "primary" | "backup"}; encode(kind, flag, status, interface) -> octets of a maintenance message."""

    def __init__(self, kinds, encode):
        self.kinds, self._encode = kinds, encode
        self.states = dict([(interface, OUT_OF_SERVICE) for interface in sorted(kinds)])
        self.active = None
        self.tries = 0
        self.counters = {"switched": 0, "unanswered": 0}
        self._timers = Timers(TIMERS)
        self._output, self._events = [], []

    @property
    def primary(self):
        """The interface of the primary."""
        return [interface for interface in sorted(self.kinds) if self.kinds[interface] == "primary"][0]

    def is_up(self, interface):
        """Whether a D channel has its data link."""
        return self.states[interface] != OUT_OF_SERVICE

    def link(self, interface, up, now_ms):
        """A data link came up (again: it was reset), or failed."""
        if up:
            if self.states[interface] == OUT_OF_SERVICE:
                self.states[interface] = STANDBY
                self._look(now_ms)
            return
        before, self.states[interface] = self.states[interface], OUT_OF_SERVICE
        if before == WAIT:
            self._timers.stop("T321")
        if interface == self.active:
            self.active = None
        if before in (WAIT, IN_SERVICE):
            self._look(now_ms, failed=True)

    def _look(self, now_ms, failed=False):
        """Bring a D channel in service where none is or comes."""
        if self.active is not None or WAIT in self.states.values():
            return
        ready = [interface for interface in sorted(self.kinds) if self.states[interface] == STANDBY]
        if not ready:
            self._timers.stop("TPRIMARY")
            if failed:
                self._events.append("down")
            return
        if self.primary in ready:
            self._ask(self.primary, now_ms)
        elif failed:
            self._ask(ready[0], now_ms)
        elif not self._timers.running("TPRIMARY"):
            self._timers.start("TPRIMARY", now_ms)

    def _ask(self, interface, now_ms):
        self._timers.stop("TPRIMARY")
        self.tries = self.tries + 1 if self.states[interface] == WAIT else 1
        self.states[interface] = WAIT
        self._output.append((interface, self._encode("SERVICE", 0, "in_service", interface)))
        self._timers.start("T321", now_ms)

    def _serve(self, interface):
        """A D channel carries the calls from now on."""
        self._timers.stop("T321")
        self._timers.stop("TPRIMARY")
        for other in self.states:
            if other != interface and self.states[other] != OUT_OF_SERVICE:
                self.states[other] = STANDBY
        self.states[interface] = IN_SERVICE
        if self.active != interface:
            self.active = interface
            self.counters["switched"] += 1
            self._events.append("switched")

    def service(self, told, on, now_ms):
        """A SERVICE or SERVICE ACKNOWLEDGE about a D channel.  on: the D channel on which it came."""
        about = told["interface"]
        if about not in self.states:
            return
        if told["kind"] == "SERVICE":
            self._output.append((on, self._encode("SERVICE_ACKNOWLEDGE", 1, told["status"], about)))
            if told["status"] == "in_service" and self.states[about] != OUT_OF_SERVICE:
                self._serve(about)
            elif told["status"] != "in_service" and about == self.active:
                self.active, self.states[about] = None, STANDBY
                others = [other for other in sorted(self.states) if other != about and self.states[other] == STANDBY]
                if others:
                    self._ask(others[0], now_ms)
                else:
                    self._events.append("down")
        elif told["status"] == "in_service" and self.states[about] == WAIT:
            self._serve(about)

    def switch(self, now_ms):
        """Have the D channel that stands by take over.  Whether there is one."""
        ready = [interface for interface in sorted(self.states) if self.states[interface] == STANDBY]
        if not ready or WAIT in self.states.values():
            return False
        self._ask(ready[0], now_ms)
        return True

    def expire(self, now_ms):
        """T321: SERVICE once more, then without an answer; TPRIMARY: the back-up begins."""
        while True:
            name = self._timers.due(now_ms)
            if name is None:
                return
            if name == "TPRIMARY":
                self._look(now_ms, failed=True)
                continue
            waiting = [interface for interface in sorted(self.states) if self.states[interface] == WAIT]
            if waiting and self.tries < TRIES:
                self._ask(waiting[0], now_ms)
            elif waiting:
                self.counters["unanswered"] += 1
                if self.active is None:
                    self._serve(waiting[0])
                else:
                    self.states[waiting[0]] = STANDBY       # by hand, and the far end does not want it: all stays

    def deadline_ms(self):
        """When to call expire(), or None."""
        return self._timers.deadline_ms()

    def take_output(self):
        """[(interface of the D channel, octets)] to be sent."""
        output, self._output = self._output, []
        return output

    def take_events(self):
        """What became of the calls' D channel."""
        events, self._events = self._events, []
        return events

    def dump(self):
        """As a JSON-able dict."""
        return {"states": sorted([[i, s] for i, s in self.states.items()]), "active": self.active, "tries": self.tries,
                "counters": dict(self.counters), "timers": self._timers.dump()}

    def load(self, saved):
        """Take what dump() gave."""
        for interface, state in saved["states"]:
            if interface in self.states:
                self.states[interface] = state
        self.active = saved["active"] if saved["active"] in self.states else None
        self.tries = saved["tries"]
        self.counters.update(saved["counters"])
        self._timers.restore(saved["timers"])

    def audit(self, up, now_ms):
        """After a restart.  up: {interface: whether its data link is up}: what was missed happens now, what was asked is asked again."""
        for interface in sorted(self.states):
            if not up.get(interface):
                if self.states[interface] != OUT_OF_SERVICE:
                    self.link(interface, False, now_ms)
            elif self.states[interface] == OUT_OF_SERVICE:
                self.link(interface, True, now_ms)
            elif self.states[interface] == WAIT:
                self._ask(interface, now_ms)
