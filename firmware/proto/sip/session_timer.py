"""Session timers: a session whose far end is gone ends, also where its BYE was lost.  RFC 4028.

The half of Session that agrees on an interval, refreshes (UPDATE without an offer where the far end allows
it, else control is asked for a re-INVITE by the event "refresh") or waits for the far end's refresh.
"""

from firmware.errors import RemoteError
from firmware.proto.sip.headers import find_parameter, parse_parameters
from firmware.proto.sip.text import number

MIN_SE_S = 90                    # RFC 4028 4: the least interval
AGAIN_S = 15                     # ours: a refresh that was refused for now is tried again
LONGEST_S = 86400                # ours


def session_expires(message):
    """(interval in s or None, refresher "uac"|"uas"|None) of a message; a malformed one counts as absent."""
    value = message.get("Session-Expires")
    if value is None:
        return None, None
    text, _, rest = value.partition(";")
    seconds = number(text.strip(), 2 ** 31)
    try:
        refresher = find_parameter(parse_parameters(";" + rest if rest else "", "Session-Expires"), "refresher")
    except RemoteError:
        refresher = None
    return seconds, refresher if refresher in ("uac", "uas") else None


def min_se(message):
    """Seconds of Min-SE, at least the standard's."""
    value = (message.get("Min-SE") or "").split(";")[0].strip()
    return max(MIN_SE_S, number(value, LONGEST_S) or 0)


def too_brief(message):
    """Whether a request asks for less than we take: 422 (RFC 4028 9); only of one that knows 422."""
    seconds = session_expires(message)[0]
    return seconds is not None and seconds < MIN_SE_S and "timer" in [token.lower() for token in message.tokens("Supported")]


class SessionTimer:
    """See the top.  wanted_s: what we ask for, 0: nothing; asked_s: after a 422."""

    wanted_s = 0
    timer_s = None               # agreed interval
    timer_ours = False           # we refresh
    timer_at_ms = None           # when to refresh, or to end
    timer_entry = None
    least_s = MIN_SE_S
    peer_updates = False         # the far end allows UPDATE
    refresh = None               # client transaction of our UPDATE

    def ask_timer(self, message):
        """Headers of an INVITE or UPDATE of ours."""
        seconds = self.timer_s or self.wanted_s
        if seconds:
            message.add("Session-Expires", "%d%s" % (max(seconds, self.least_s), self._roles(True) if self.timer_s else ""))
            if self.least_s > MIN_SE_S:
                message.add("Min-SE", "%d" % self.least_s)

    def _roles(self, client):
        return ";refresher=" + ("uac" if self.timer_ours == client else "uas")

    def note_allow(self, message):
        """What the far end allows."""
        allowed = message.tokens("Allow")
        if allowed:
            self.peer_updates = "UPDATE" in [name.upper() for name in allowed]

    def grant_timer(self, request, response, now_ms):
        """Our 2xx to an INVITE or UPDATE: say and start the interval (9)."""
        self.note_allow(request)
        seconds, refresher = session_expires(request)
        knows = "timer" in [token.lower() for token in request.tokens("Supported") + request.tokens("Require")]
        if seconds is None:
            seconds = max(self.timer_s or self.wanted_s, min_se(request)) if (self.timer_s or self.wanted_s) else None
            refresher = "uas"    # who did not ask is not relied upon
        if seconds is None:
            self.stop_timer()
            return
        seconds = min(max(seconds, MIN_SE_S), LONGEST_S)
        if not knows:
            refresher = "uas"
        elif refresher is None:
            refresher = "uac"
        response.add("Session-Expires", "%d;refresher=%s" % (seconds, refresher))
        if knows:
            response.add("Supported", "timer")
            if refresher == "uac":
                response.add("Require", "timer")
        self.start_timer(seconds, refresher == "uas", now_ms)

    def accept_timer(self, response, now_ms):
        """A 2xx to an INVITE or UPDATE of ours (7.2)."""
        self.note_allow(response)
        seconds, refresher = session_expires(response)
        if seconds is None:
            if self.timer_s or self.wanted_s:
                # it does not know timers: we refresh all the same, so that a dead far end is found (7.2)
                self.start_timer(self.timer_s or self.wanted_s, True, now_ms)
            return
        self.start_timer(min(max(seconds, MIN_SE_S), LONGEST_S), refresher != "uas", now_ms)

    def start_timer(self, seconds, ours, now_ms):
        """Count from now: half of it to our refresh, all but a grace to the end (10)."""
        self.timer_s = seconds
        self.timer_ours = ours
        wait_s = seconds // 2 if ours else seconds - min(32, seconds // 3)
        self._start_at(now_ms + wait_s * 1000)

    def _start_at(self, at_ms):
        self.agent.timers.cancel(self.timer_entry)
        self.timer_at_ms = at_ms
        self.timer_entry = self.agent.timers.start(at_ms, self, "session timer")

    def stop_timer(self):
        """No interval any more."""
        self.agent.timers.cancel(self.timer_entry)
        self.timer_s = self.timer_at_ms = self.timer_entry = None

    def timer_due(self, now_ms):
        """Refresh, or give the session up."""
        if self.state != "confirmed" or self.timer_s is None:
            return
        if not self.timer_ours:
            self.agent.count("sessions_expired")
            self.end("failure", 102, now_ms, 408)
            self.send_bye(102, now_ms)
            return
        self._start_at(now_ms + AGAIN_S * 1000)         # until its answer says more
        if self.ours is not None or self.pending is not None or self.answer is not None or self.refresh is not None:
            return
        self.agent.count("session_refreshes")
        if self.peer_updates:
            self.send_update(None, now_ms)
        else:
            self.agent.emit({"kind": "refresh", "leg": self.leg})

    def send_update(self, authorization, now_ms):
        """UPDATE without an offer (RFC 3311 5.1)."""
        message = self.dialog.request("UPDATE", self.agent.identity)
        self.fill(message, None)
        message.add("Supported", "timer")
        self.ask_timer(message)
        if authorization:
            message.add(authorization[0], authorization[1])
        self.refresh = self.send_request(message, now_ms)

    def updated(self, response, now_ms):
        """The answer to our UPDATE."""
        status = response.status
        if status < 200:
            return
        request, self.refresh = self.refresh.request, None
        if self.state != "confirmed":
            return
        if status < 300:
            self.challenged.pop("UPDATE", None)
            self.accept_timer(response, now_ms)
        elif status in (401, 407):
            authorization = self.authorization(response, request, now_ms)
            if authorization is not None:
                self.send_update(authorization, now_ms)
        elif status == 422:
            self.least_s = min_se(response)
            self.timer_s = max(self.timer_s, self.least_s)
            self.send_update(None, now_ms)
        elif status in (408, 481):
            self.end("failure", 41, now_ms, status)
            self.send_bye(41, now_ms)
        elif status in (405, 501):
            self.peer_updates = False

    def dump_timer(self):
        """For the record of the leg."""
        return [self.timer_s, self.timer_ours, self.timer_at_ms, self.least_s, self.peer_updates, self.wanted_s]

    def load_timer(self, record):
        """The inverse."""
        if record:
            self.timer_s, self.timer_ours, at_ms, self.least_s, self.peer_updates, self.wanted_s = record
            if at_ms is not None:
                self._start_at(at_ms)
