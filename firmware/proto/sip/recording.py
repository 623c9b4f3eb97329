"""The session recording client (SRC) of SIPREC: RFC 7866, with metadata of RFC 7865.  Sans I/O, UDP.

    client = RecordingClient(identity, durations)
    client.begin(name, "srs", ("10.0.0.9", 5060), metadata, [("10.0.0.5", 20000), ("10.0.0.5", 20002)], now_ms)    an INVITE with two sendonly streams
    client.end(name, now_ms)                    BYE, or CANCEL's like: a session that is answered late is ended at once
    client.receive(octets, source, now_ms); client.expire(now_ms); client.deadline_ms()
    client.output      [(octets, destination)] since the last look;  client.events: [(what, name, ...)]
        ("answered", name, [(host, port, payload type) or None for each stream])    ("failed", name, sentence)    ("ended", name)

Clause 6.1 of RFC 7866: the option tag siprec is required, the Contact bears +sip.src, streams are labelled (RFC 4574), the
metadata is application/rs-metadata+xml beside the SDP.  Requests of the recorder in the dialog: BYE ends the session, OPTIONS is answered,
a re-INVITE or UPDATE is refused with 488 (what is recorded is ours to say).
"""

from firmware.errors import RemoteError
from firmware.proto import sdp
from firmware.proto.sip.dialog import Dialog
from firmware.proto.sip.message import SIPMessage, parse
from firmware.proto.sip.timers import TimerQueue
from firmware.proto.sip.transaction import TransactionLayer

BOUNDARY = "strowger-recording"
CONTACT_FEATURE = ";+sip.src"
LAWS = ((8, "PCMA"), (0, "PCMU"))


class _Session:
    """One recording session; owner of its transactions."""

    def __init__(self, client, name, dialog):
        self.client, self.name, self.dialog = client, name, dialog
        self.state = "calling"          # "open", "leaving", "over"
        self.cseq = self.ack = None

    def response(self, transaction, message, now_ms):
        self.client.responded(self, transaction, message, now_ms)

    def failed(self, transaction, status, now_ms):
        if transaction.method == "INVITE":
            self.client.over(self, "failed", "the recorder does not answer" if status == 408 else "nobody listens there")
        else:
            self.client.over(self, "ended", None)

    def unacknowledged(self, transaction, now_ms):
        """No server INVITE is ever accepted."""

    def finished(self, transaction, now_ms):
        """Nothing is kept of a transaction."""


def description(identity, streams, number):
    """SDP of two or more streams that are only sent (RFC 7866 7.1.1).  streams: [(host, port)]."""
    lines = ["v=0", "o=strowger %d 1 IN IP4 %s" % (number, streams[0][0]), "s=-", "c=IN IP4 %s" % streams[0][0], "t=0 0"]
    for index in range(len(streams)):
        lines.append("m=audio %d RTP/AVP %s" % (streams[index][1], " ".join([str(payload) for payload, _ in LAWS])))
        lines += ["a=rtpmap:%d %s/8000" % law for law in LAWS] + ["a=ptime:20", "a=label:%d" % (index + 1), "a=sendonly"]
    return "\r\n".join(lines) + "\r\n"


def escaped(text):
    """A text as it stands in XML."""
    out = ""
    for character in text:
        if ord(character) >= 32 and character not in "\ufffe\uffff":
            out += {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\"": "&quot;"}.get(character, character)
    return out


def metadata(ids, parties, began, call):
    """RFC 7865: a recording with one communication session, its participants and the stream of each.

    ids: function() -> a new identifier (base64 of 16 octets, 6.10); parties: [(address of record, name)], in the order of the streams' labels;
    began: RFC 3339 time; call: our name of the call."""
    session, people, streams = ids(), [ids() for _ in parties], [ids() for _ in parties]
    xml = ["<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "<recording xmlns=\"urn:ietf:params:xml:ns:recording:1\">", "<datamode>complete</datamode>",
           "<session session_id=\"%s\"><sipSessionID>%s</sipSessionID><start-time>%s</start-time></session>" % (session, escaped(call), began)]
    for index in range(len(parties)):
        xml.append("<participant participant_id=\"%s\"><nameID aor=\"%s\"><name>%s</name></nameID></participant>"
                   % (people[index], escaped(parties[index][0]), escaped(parties[index][1])))
    for index in range(len(parties)):
        xml.append("<stream stream_id=\"%s\" session_id=\"%s\"><label>%d</label></stream>" % (streams[index], session, index + 1))
    xml.append("<sessionrecordingassoc session_id=\"%s\"><associate-time>%s</associate-time></sessionrecordingassoc>" % (session, began))
    for index in range(len(parties)):
        xml.append("<participantsessionassoc participant_id=\"%s\" session_id=\"%s\"><associate-time>%s</associate-time></participantsessionassoc>"
                   % (people[index], session, began))
        # send: what the participant says; recv: what it hears, the other streams
        heard = "".join(["<recv>%s</recv>" % streams[other] for other in range(len(parties)) if other != index])
        xml.append("<participantstreamassoc participant_id=\"%s\"><send>%s</send>%s</participantstreamassoc>" % (people[index], streams[index], heard))
    xml.append("</recording>")
    return "\r\n".join(xml) + "\r\n"


class RecordingClient:
    """See the module docstring.  identity: dialog.Identity of our socket; durations: timers.durations_ms()."""

    def __init__(self, identity, durations):
        self.identity = identity
        self.timers = TimerQueue()
        self.output, self.events = [], []
        self.transactions = TransactionLayer(self._send, self.timers, durations, lambda name: None)
        self.sessions = {}              # name: _Session
        self._dialogs = {}              # call id: _Session
        self._number = 0

    def _send(self, octets, destination):
        self.output.append((octets, destination))

    def begin(self, name, user, address, document, streams, now_ms):
        """Invite the recorder.  streams: [(our host, our port)] in the order of the document's labels."""
        self._number += 1
        uri = "sip:%s@%s:%d" % (user, address[0], address[1])
        ours = self.identity.contact_of("UDP")
        dialog = Dialog(self.identity.call_id(), self.identity.tag(), ours, "<%s>" % uri, uri)
        dialog.peer = tuple(address)
        session = self.sessions[name] = _Session(self, name, dialog)
        self._dialogs[dialog.call_id] = session
        message = dialog.request("INVITE", self.identity)
        message.replace("Contact", ours + CONTACT_FEATURE)
        message.add("Require", "siprec")
        message.add("Accept", "application/sdp, application/rs-metadata")
        message.add("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS")
        body = ("--%s\r\nContent-Type: application/sdp\r\n\r\n%s\r\n--%s\r\nContent-Type: application/rs-metadata+xml\r\nContent-Disposition: "
                "recording-session\r\n\r\n%s\r\n--%s--\r\n" % (BOUNDARY, description(self.identity, streams, self._number), BOUNDARY, document, BOUNDARY))
        message.add("Content-Type", "multipart/mixed;boundary=%s" % BOUNDARY)
        message.body = body.encode("utf-8")
        session.cseq = dialog.local_cseq
        self.transactions.request(message, tuple(address), session, now_ms)

    def adopt(self, name, dialog):
        """A session that is open, from dump(): to be ended."""
        session = self.sessions[name] = _Session(self, name, dialog)
        session.state = "open"
        self._dialogs[dialog.call_id] = session

    def dump(self):
        """{name: dialog} of the sessions that the recorder has taken, JSON-able."""
        return dict([(name, self.sessions[name].dialog.dump()) for name in self.sessions if self.sessions[name].dialog.remote_tag])

    def end(self, name, now_ms):
        """The conversation is over."""
        session = self.sessions.get(name)
        if session is None:
            return
        if session.state == "open":
            self._bye(session, now_ms)
        elif session.state == "calling":
            session.state = "leaving"   # BYE when it is answered; a recorder that never answers needs none

    def _bye(self, session, now_ms):
        session.state = "leaving"
        self.transactions.request(session.dialog.request("BYE", self.identity), session.dialog.next_hop(), session, now_ms)

    def over(self, session, what, why):
        """A session is gone."""
        if session.state != "over":
            session.state = "over"
            if self.sessions.get(session.name) is session:
                del self.sessions[session.name]
            self._dialogs.pop(session.dialog.call_id, None)
            self.events.append((what, session.name) + ((why,) if why is not None else ()))

    def responded(self, session, transaction, message, now_ms):
        """A response of the recorder."""
        if transaction.method == "BYE":
            if message.status >= 200:
                self.over(session, "ended", None)
            return
        if message.status < 200:
            return
        if message.status >= 300:
            self.over(session, "failed", "the recorder refused with %d %s" % (message.status, message.reason[:60]))
            return
        if session.ack is None:
            session.dialog.established(message, session.dialog.peer)
            session.ack = session.dialog.request("ACK", self.identity, session.cseq).serialise()
        self._send(session.ack, session.dialog.next_hop())
        if session.state == "leaving":
            self._bye(session, now_ms)
        elif session.state == "calling":
            try:
                self.events.append(("answered", session.name, self._streams(message.body)))
                session.state = "open"
            except RemoteError as error:
                self._bye(session, now_ms)
                self.events.append(("failed", session.name, "the recorder's answer is no use: %s" % error))

    @staticmethod
    def _streams(body):
        found = []
        for media in sdp.parse(body).media:
            payloads = [int(text) for text in media.formats if text in ("0", "8")]
            found.append((media.host, media.port, payloads[0]) if media.kind == "audio" and media.port and payloads else None)
        if not [stream for stream in found if stream]:
            raise RemoteError("it takes no stream", status=488)
        return found

    def receive(self, octets, source, now_ms):
        """A datagram from anywhere."""
        message = parse(octets)
        if message.fault is not None or message.method is None and message.status is None:
            return
        try:
            if message.status is not None:
                transaction = self.transactions.find_client(message)
                if transaction is not None:
                    what = "1xx" if message.status < 200 else "2xx" if message.status < 300 else "refusal"
                    transaction.step(what, message, now_ms)
                return
            self._request(message, source, now_ms)
        except RemoteError:
            pass                        # what cannot be read cannot be answered

    def _request(self, message, source, now_ms):
        known = self.transactions.find_server(message)
        if known is not None:
            known.step("ACK" if message.method == "ACK" else "request", message, now_ms)
            return
        session = self._dialogs.get(message.call_id)
        if message.method == "ACK":
            return
        transaction = self.transactions.serve(message, source, tuple(source), session or _Session(self, None, None))
        good = session is not None and message.to_tag == session.dialog.local_tag and message.from_tag == session.dialog.remote_tag
        status, reason = (481, "Call/Transaction Does Not Exist") if not good else (200, "OK") if message.method in ("BYE", "OPTIONS") else (488, "Not Acceptable Here")
        reply = SIPMessage(status=status, reason=reason)
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            for value in message.all(name):
                reply.add(name, value)
        transaction.reply(reply, now_ms)
        if good and message.method == "BYE":
            self.over(session, "failed", "the recorder ended the session")

    def unreachable(self, destination, now_ms):
        """Nothing can be sent there."""
        self.transactions.unreachable(tuple(destination), now_ms)

    def expire(self, now_ms):
        """Timers that are due."""
        self.timers.fire(now_ms)

    def deadline_ms(self):
        """When expire() is wanted, or None."""
        return self.timers.deadline_ms()
