"""Reliable provisional responses, both sides.  RFC 3262.

ReliableSender is the half of IncomingSession that sends them: one at a time, repeated until its PRACK; the answer
waits for the PRACK of one that carried a session description (5).  ReliableReceiver is the half of OutgoingSession that
acknowledges them: each far end that rings behind a proxy has an early dialog of its own.
"""

from firmware.proto.sip.dialog import Dialog
from firmware.proto.sip.text import number
from firmware.proto.sip.text import octets as to_octets
from firmware.proto.sip.text import text as to_text
from firmware.proto.sip.transaction import NOBODY

EXTENSION = "100rel"
MAX_EARLY = 8                    # ours: far ends that may ring behind one INVITE
MAX_WAITING = 8                  # ours: provisional responses that wait for the PRACK of the one before


def _knows(message, name):
    return EXTENSION in [token.lower() for token in message.tokens(name)]


class ReliableSender:
    """reliably: whether provisional responses are to be sent so; set at the start."""

    reliably = False
    rseq = 0
    unacknowledged = None        # [octet text, RSeq, carries a session description]
    sdp_settled = False          # our answer has been acknowledged: offers may come by UPDATE

    def begin_reliable(self, invite, policy):
        """policy: "off"|"supported"|"required" of the configuration."""
        self.waiting_1xx = []
        self.waiting_answer = None
        self.again_1xx = self.no_prack = None
        self.interval_1xx_ms = 0
        self.reliably = _knows(invite, "Require") or (policy != "off" and _knows(invite, "Supported"))

    def send_reliably(self, status, sdp, now_ms):
        """A provisional response, or later, when the one before is acknowledged (3)."""
        if self.unacknowledged is not None:
            if len(self.waiting_1xx) < MAX_WAITING:
                self.waiting_1xx.append((status, sdp))
            return
        drawn = self.agent.random(3)
        self.rseq = self.rseq + 1 if self.rseq else 1 + drawn[0] + 256 * drawn[1] + 65536 * drawn[2]
        response = self._response(status, sdp)
        response.add("Require", EXTENSION)
        response.add("RSeq", "%d" % self.rseq)
        self.invite.reply(response, now_ms)
        self.unacknowledged = [to_text(self.invite.octets), self.rseq, bool(sdp)]
        self._watch_prack(now_ms)

    def _watch_prack(self, now_ms):
        self.interval_1xx_ms = self.agent.durations["T1"]
        self.again_1xx = self.agent.timers.start(now_ms + self.interval_1xx_ms, self, "1xx again")
        self.no_prack = self.agent.timers.start(now_ms + self.agent.durations["H"][0], self, "no prack")

    def stop_reliable(self):
        """No provisional response any more."""
        self.agent.timers.cancel(self.again_1xx)
        self.agent.timers.cancel(self.no_prack)
        self.unacknowledged = None
        self.waiting_1xx = []

    def fire_reliable(self, name, now_ms):
        """A timer of this half."""
        if self.unacknowledged is None or self.invite is None:
            return
        if name == "1xx again":
            self.agent.count("retransmissions")
            self.agent.send(to_octets(self.unacknowledged[0]), self.invite.destination)
            self.interval_1xx_ms *= 2
            self.again_1xx = self.agent.timers.start(now_ms + self.interval_1xx_ms, self, name)
        else:
            self.agent.count("without_prack")
            self.waiting_answer = None
            self.refuse(504, 102, "failure", now_ms)

    def receive_prack(self, transaction, now_ms):
        """PRACK: 200 where it means the response that waits, else 481."""
        request = transaction.request
        pieces = (request.get("RAck") or "").split()
        waits = self.unacknowledged
        if (waits is None or self.invite is None or len(pieces) != 3 or number(pieces[0], 2 ** 32) != waits[1]
                or number(pieces[1], 2 ** 31) != self.invite.request.cseq[0] or pieces[2] != "INVITE"):
            self.agent.respond(transaction, 481, now_ms, tag=self.dialog.local_tag)
            return
        self.agent.timers.cancel(self.again_1xx)
        self.agent.timers.cancel(self.no_prack)
        self.unacknowledged = None
        self.sdp_settled = self.sdp_settled or waits[2]
        self.agent.respond(transaction, 200, now_ms, tag=self.dialog.local_tag)
        if self.waiting_answer is not None:
            answer, self.waiting_answer = self.waiting_answer, None
            self.waiting_1xx = []
            self.do_answer({"sdp": answer}, now_ms)
        elif self.waiting_1xx:
            status, sdp = self.waiting_1xx.pop(0)
            self.send_reliably(status, sdp, now_ms)

    def dump_reliable(self):
        """For the record of the leg."""
        return [self.reliably, self.rseq, self.unacknowledged, self.sdp_settled,
                None if self.waiting_answer is None else to_text(self.waiting_answer)]

    def load_reliable(self, record, now_ms):
        """The inverse."""
        self.waiting_1xx, self.waiting_answer = [], None
        self.again_1xx = self.no_prack = None
        if record:
            self.reliably, self.rseq, self.unacknowledged, self.sdp_settled, answer = record
            self.waiting_answer = None if answer is None else to_octets(answer)
            if self.unacknowledged is not None:
                self._watch_prack(now_ms)


class ReliableReceiver:
    """fork.early: {To tag: [Dialog, last RSeq]} of the far ends that ring."""

    def take_reliable(self, fork, response, now_ms):
        """A provisional response.  Acknowledges it.  False: it is a repeated one, or comes out of order (4)."""
        value = number((response.get("RSeq") or "").strip(), 2 ** 32)
        if not _knows(response, "Require") or not value or not response.to_tag:
            return True
        row = fork.early.get(response.to_tag)
        if row is None:
            if len(fork.early) >= MAX_EARLY:
                return False
            dialog = Dialog.restore(fork.dialog.dump())
            dialog.local_cseq = response.cseq[0]
            dialog.established(response, fork.destination)
            row = fork.early[response.to_tag] = [dialog, None]
        dialog, last = row
        if last is not None and value != last + 1:
            return False
        row[1] = value
        message = dialog.request("PRACK", self.agent.identity)
        message.add("RAck", "%d %d INVITE" % (value, response.cseq[0]))
        hop = dialog.hop()
        if hop is not None:
            self.agent.transactions.request(message, hop, NOBODY, now_ms)
        return True

    def early_dialog(self, tag):
        """The early dialog of a far end's tag, or None."""
        for fork in self.forks:
            row = fork.early.get(tag)
            if row is not None and not fork.cancelled:
                return row[0]
        return None


def dump_early(early):
    """fork.early for the record."""
    return [[tag, early[tag][0].dump(), early[tag][1]] for tag in early]


def load_early(record):
    """The inverse."""
    out = {}
    for tag, dialog, last in record or ():
        out[tag] = [Dialog.restore(dialog), last]
    return out
