"""Mail about voicemail messages, and the files of deleted ones: what may wait, beside the control loop.

Which messages are to be mailed is in the switchboard's state, so a kill -9 loses none: it is tried again at the next start.
What holds: **at least once** for each recipient whom the server ever takes.  Once the server has said 250 to the mail it is not sent
again, whatever becomes of the connection afterwards; recipients whom it took in one try are not in the next, which is for
those alone whom it refused.  What cannot be excluded is a server that took the mail and whose 250 never came (or a kill before
that was written down): then it comes twice, octet for octet with the same Message-ID, Date and MIME boundary, by which mail
readers and servers know it (RFC 5322 3.6.4).  One mail at a time, in a
thread, each with a time limit; a server that refuses or is away is tried again after AGAIN_S, in growing steps.
"""

import asyncio
import contextlib
import email.message
import email.utils
import logging
import os
import smtplib
import ssl
import struct
import time

from firmware.errors import LocalError

log = logging.getLogger(__name__)

LOOK_S = 1.0
TIMEOUT_S = 20.0
AGAIN_S = (30, 120, 600, 3600, 4 * 3600, 12 * 3600, 24 * 3600)      # invented; then it is given up
ATTACHED_OCTETS = 20 << 20


def mono(path):
    """One side of a stereo A-law WAV file as a mono one; any other file as it is.  Raises OSError, LocalError."""
    if os.path.getsize(path) > ATTACHED_OCTETS:
        raise LocalError("%s is larger than %d MB" % (path, ATTACHED_OCTETS >> 20))
    with open(path, "rb") as file:
        data = file.read()
    at, form = 12, None
    while at + 8 <= len(data) and data[:4] == b"RIFF":
        name, length = struct.unpack_from("<4sI", data, at)
        if name == b"fmt " and at + 24 <= len(data):
            form = struct.unpack_from("<HHIIHH", data, at + 8)
        elif name == b"data":
            if form is None or form[:2] != (6, 2):
                break
            sound = data[at + 8:at + 8 + length][::2]
            sound += b"\x00" * (len(sound) & 1)
            return (struct.pack("<4sI4s4sIHHIIHHH4sII4sI", b"RIFF", 50 + len(sound), b"WAVE", b"fmt ", 18, 6, 1, 8000, 8000, 1, 8, 0,
                                b"fact", 4, len(sound), b"data", len(sound)) + sound)
        at += 8 + length + (length & 1)
    return data


def compose(row, box, mail, site, when, sound):
    """The mail.  row: of the state's messages; sound: octets of the attachment, or None."""
    message = email.message.EmailMessage()
    label = box.get("label") or box["name"]
    message["Subject"] = "%s: voicemail from %s" % (label, row["caller"] or "an unknown number")
    message["From"] = mail["from"]
    message["To"] = ", ".join(box["email"])
    message["Date"] = email.utils.formatdate(row["left_ms"] / 1000)
    message["Message-ID"] = "<%s.%d@%s>" % (row["id"], row["left_ms"], mail["from"].partition("@")[2])
    message["Auto-Submitted"] = "auto-generated"        # RFC 3834: nobody's holiday notice answers
    seconds = "" if row["duration_ms"] is None else "\nLength: %d s" % ((row["duration_ms"] + 500) // 1000)
    link = "\n%s%s/audio" % (mail["link"], row["id"]) if mail["link"] else ""
    message.set_content("%s\nMailbox: %s\nFrom: %s\nDialled: %s\nAt: %s%s%s\n" % (site, label, row["caller"] or "unknown", row["called"] or "-", when,
                                                                                 seconds, link))
    if sound is not None:
        message.add_attachment(sound, maintype="audio", subtype="wav", filename="%s.wav" % row["id"])
        message.set_boundary("strowger-%s-%d" % (row["id"], row["left_ms"]))
    return message


def send(message, mail, recipients=None, timeout_s=TIMEOUT_S):
    """Give a mail to the server.  recipients: default those in To.  Runs in a thread.

    Returns {recipient: (code, octets)} of those whom the server refused; raises OSError or smtplib.SMTPException where it took
    the mail for nobody."""
    context = ssl.create_default_context() if mail["security"] != "none" else None
    if mail["security"] == "tls":
        server = smtplib.SMTP_SSL(mail["host"], mail["port"], timeout=timeout_s, context=context)
    else:
        server = smtplib.SMTP(mail["host"], mail["port"], timeout=timeout_s)
    try:
        if mail["security"] == "starttls":
            server.starttls(context=context)
        if mail["user"]:
            server.login(mail["user"], mail["password"])
        refused = server.send_message(message, to_addrs=recipients)
        with contextlib.suppress(OSError, smtplib.SMTPException):     # it has the mail: how it says goodbye is no matter
            server.docmd("QUIT")
        return refused
    finally:
        server.close()


class Mailer:
    """house: the House."""

    def __init__(self, house):
        self.house = house
        self.sent = self.failed = 0
        self.why = None             # sentence of the last failure, until one is sent

    def faults(self):
        """Sentences for health."""
        return ["mail about voicemail cannot be sent: %s. Look at the settings below mail and at the server" % self.why] if self.why else []

    async def run(self):
        """Look for ever."""
        await self.house.resumed.wait()
        if self._state() is None:
            return
        await asyncio.to_thread(self._sweep, self._wanted())
        while True:
            await asyncio.sleep(LOOK_S)
            now_ms = self.house.clock.now_ms()
            due = [row for row in self._messages().values() if row["mail"] and (row["again_ms"] or 0) <= now_ms]
            if due:
                await self._mail(min(due, key=lambda row: (row["again_ms"] or 0, row["left_ms"], row["id"])))

    def _state(self):
        return getattr(getattr(self.house.switchboard, "core", None), "state", None)

    def _wanted(self):
        state = self._state()
        return ({row["path"] for row in state.messages.values()} | set(state.greetings.values())
                | {row["path"] for row in state.recordings.values()})

    def _messages(self):
        return self._state().messages

    async def _mail(self, row):
        config = self.house.config.running()
        box = next((one for one in config["mailboxes"] if one["name"] == row["mailbox"]), None)
        error, refused, had = None, {}, set(row.get("mailed_to") or ())
        if box is None or not box["email"] or not config["mail"]["host"]:
            self.house.turns.handle({"kind": "message.mailed", "message": row["id"], "ok": False, "error": "no mail is wanted any more", "again_ms": None})
            return
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime((row["left_ms"] + self.house.utc_offset_ms(row["left_ms"])) / 1000))
        wanted = [address for address in box["email"] if address not in had]
        try:
            if wanted:
                refused = await asyncio.to_thread(self._send, row, box, config, when, wanted)
        except smtplib.SMTPRecipientsRefused as failure:
            refused = failure.recipients
        except Exception as failure:    # of the network, the server, the file; or a fault of ours: it is said, and the next mail goes
            error = ("%s: %s" % (type(failure).__name__, failure))[:300]
            if not isinstance(failure, (OSError, smtplib.SMTPException, LocalError, ValueError)):
                log.exception("mail: message %s", row["id"])
        took = [] if error is not None else [address for address in wanted if address not in refused]
        if refused:
            error = ("the server refuses %s" % ", ".join("%s (%s %s)" % (address, answer[0], answer[1].decode("utf-8", "replace"))
                                                         for address, answer in sorted(refused.items())))[:300]
        again_ms = None
        if error is None:
            self.sent, self.why = self.sent + 1, None
        else:
            self.failed, self.why = self.failed + 1, error.rstrip(".")
            log.warning("mail: message %s: %s", row["id"], error)
            if row["mail_tries"] < len(AGAIN_S):
                again_ms = self.house.clock.now_ms() + AGAIN_S[row["mail_tries"]] * 1000
        self.house.turns.handle({"kind": "message.mailed", "message": row["id"], "ok": error is None, "error": error, "again_ms": again_ms,
                                 "to": took})

    def _send(self, row, box, config, when, wanted):
        path = os.path.join(self.house.data_dir, row["path"])
        sound = mono(path) if box["attach"] else None
        return send(compose(row, box, config["mail"], config["site"]["name"], when, sound), config["mail"], wanted)

    # -- files --

    def committed(self, records):
        """After a commit: deleted messages lose their files, an old greeting too."""
        gone = [record["data"] for record in records if record["kind"] == "message.deleted"]
        if gone:
            self.house.spawn(self._remove(gone))

    async def _remove(self, gone):
        await asyncio.to_thread(lambda: [self._unlink(row["path"]) for row in gone])
        self.house.turns.run("deleted messages", lambda now_ms: self.house.media.forget_recordings([row["recording"] for row in gone]))

    def _unlink(self, path):
        try:
            os.unlink(os.path.join(self.house.data_dir, path))
        except FileNotFoundError:
            pass
        except OSError as error:
            log.error("voicemail: %s of a deleted message cannot be removed: %s", path, error)

    def _sweep(self, wanted):
        """At a start: files of messages that the journal deleted just before a kill."""
        root = os.path.join(self.house.data_dir, "voicemail")
        for folder, _, names in os.walk(root):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), self.house.data_dir)
                if path not in wanted and name.endswith(".wav"):
                    self._unlink(path)
