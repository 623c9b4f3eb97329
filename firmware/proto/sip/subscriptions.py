"""Subscriptions of telephones: busy lamps (dialog-info, RFC 4235), presence (RFC 3856) and message waiting (RFC 3842).  RFC 6665.

A telephone of ours subscribes, its digest checked, to "dialog" or "presence" of any line, or to "message-summary" of its own.
Presence is a PIDF document (RFC 3863): open while the line is registered and its agent, if it has one, has not logged out; what the
person does is said in RPID's words (RFC 4480) and in a note.  agent_of(line), given by control, says who sits there.  It hears the
whole state at once and at each change (full state, so that a lost NOTIFY does no harm).  A telephone that does not take
a NOTIFY has its subscription ended.  Subscriptions outlive a restart (records "subscription/<number>").
"""

from firmware.proto.sip.dialog import Dialog
from firmware.proto.sip.digest import answer_challenge
from firmware.proto.sip.headers import media_type
from firmware.proto.sip.text import hexadecimal, number, octet_text
from firmware.proto.sip.text import octets as to_octets
from firmware.proto.sip.uri import parse_uri, user_uri

DIALOG, MESSAGES, PRESENCE = "dialog", "message-summary", "presence"
PACKAGES = {DIALOG: "application/dialog-info+xml", MESSAGES: "application/simple-message-summary", PRESENCE: "application/pidf+xml"}
ALLOW_EVENTS = "dialog, message-summary, presence, refer"
DEFAULT_S, LEAST_S, MOST_S = 3600, 60, 86400     # RFC 4235 4.3 and RFC 3842 3.4 name 3,600 s; the rest ours
MOST_OF_LINE = 64                                # ours
MOST = 16384                                     # ours: 2,000 lines with eight lamps
AT_ONCE = 50                                     # ours: NOTIFYs that leave in one moment; the others within the next


def escaped(string):
    """Text as an XML attribute takes it."""
    return string.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def dialog_info(watched, host, version, dialogs, name_of=None):
    """Body of RFC 4235 4.1.  dialogs: [(id, "initiator"|"recipient", "trying"|"early"|"confirmed")].

    name_of(id): (Call-ID, our tag, the watched telephone's tag or None) for who may name the call in an INVITE, or None."""
    rows = ['<dialog id="%s"%s direction="%s"><state>%s</state></dialog>' % (escaped(name), _named(name_of and name_of(name)), direction, state)
            for name, direction, state in dialogs]
    return to_octets('<?xml version="1.0"?>\r\n<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="%d" state="full" '
                     'entity="%s">%s</dialog-info>\r\n' % (version, escaped(user_uri(octet_text(watched), host)), "".join(rows)))


def _named(known):
    """Attributes that name a dialog, seen from the watched telephone (4.1.2)."""
    if known is None:
        return ""
    rows = [("call-id", known[0]), ("local-tag", known[2]), ("remote-tag", known[1])]
    return "".join([' %s="%s"' % (name, escaped(octet_text(value))) for name, value in rows if value])


def pidf(watched, host, is_open, activities, note):
    """Body of RFC 3863 4.1 with RFC 4479 and 4480: activities: elements of RPID; note: text or None."""
    person = "".join(["<rpid:%s/>" % activity for activity in activities])
    entity = escaped(user_uri(octet_text(watched), host))
    return to_octets('<?xml version="1.0" encoding="UTF-8"?>\r\n<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:'
                     'data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="%s"><tuple id="line"><status><basic>%s</basic></status>'
                     '<contact>%s</contact>%s</tuple>%s</presence>\r\n' % (
                         entity, "open" if is_open else "closed", entity, "<note>%s</note>" % escaped(octet_text(note)) if note else "",
                         '<dm:person id="person"><rpid:activities>%s</rpid:activities></dm:person>' % person if person else ""))


def message_summary(account, new, old):
    """Body of RFC 3842 5.2."""
    return to_octets("Messages-Waiting: %s\r\nMessage-Account: %s\r\nVoice-Message: %d/%d (0/0)\r\n" % (
        "yes" if new else "no", account, new, old))


class Subscription:
    """One.  As a session to the endpoint: dialog_for(), receive_request(), receive_ack()."""

    def __init__(self, owner, name, line, package, watched):
        self.owner = owner
        self.agent = owner.agent
        self.name = name
        self.line = line
        self.package = package
        self.watched = watched
        self.dialog = None
        self.event_id = None
        self.expires_ms = 0
        self.version = 0
        self.timer = None
        self.waits = False           # for the answer to a NOTIFY; another one follows it
        self.dirty = False
        self.tries = 0
        self.said = None             # the body of the last NOTIFY of presence

    def dialog_for(self, tag):
        """The dialog, where it is that of the far end's tag."""
        return self.dialog if self.dialog.remote_tag == tag else None

    def receive_ack(self, message, now_ms):
        """Not of a subscription."""

    def late_success(self, message, source, now_ms):
        """Nor this."""

    def receive_request(self, message, source, now_ms):
        """A refresh, or the end (RFC 6665 4.2.1.2)."""
        dialog = self.dialog
        if dialog.remote_cseq is not None and message.cseq[0] <= dialog.remote_cseq:
            self.agent.reply(message, source, 500, now_ms, tag=dialog.local_tag)
            return
        dialog.remote_cseq = message.cseq[0]
        if dialog.peer is not None:
            dialog.peer = source
        if message.method != "SUBSCRIBE":
            self.agent.reply(message, source, 405, now_ms, tag=dialog.local_tag)
            return
        seconds = asked_s(message)
        if seconds and seconds < LEAST_S:
            self.agent.reply(message, source, 423, now_ms, headers=(("Min-Expires", "%d" % LEAST_S),))
            return
        self.owner.grant(self, message, source, seconds, now_ms)

    def prolong(self, seconds, now_ms):
        """Live on from now."""
        self.expires_ms = now_ms + seconds * 1000
        self.agent.timers.cancel(self.timer)
        self.timer = self.agent.timers.start(self.expires_ms, self, "expired")

    def fire(self, name, now_ms):
        """Not refreshed in time."""
        self.owner.end(self, "timeout", now_ms)

    def notify(self, now_ms, reason=None, authorization=None):
        """The state as it is; reason: of the end."""
        if self.waits and reason is None:
            self.dirty = True
            return
        left_s = max(0, (self.expires_ms - now_ms + 999) // 1000)
        message = self.dialog.request("NOTIFY", self.agent.identity)
        message.add("Contact", self.agent.identity.contact_of(message.via.transport))
        message.add("Event", self.package + (";id=" + self.event_id if self.event_id else ""))
        message.add("Subscription-State", "terminated;reason=" + reason if reason else "active;expires=%d" % left_s)
        if authorization:
            message.add(authorization[0], authorization[1])
        message.add("Content-Type", PACKAGES[self.package])
        message.body = self.owner.body(self)
        if self.package == PRESENCE:
            self.said = message.body
        self.version += 1
        self.waits = reason is None
        self.dirty = False
        hop = self.dialog.hop()
        if hop is None:
            self.owner.forget(self)
            return
        self.agent.transactions.request(message, hop, self, now_ms)

    def response(self, transaction, response, now_ms):
        """The answer to a NOTIFY."""
        if response.status < 200 or not self.owner.has(self):
            return
        self.waits = False
        if response.status in (401, 407) and self.tries < 2:
            self.tries += 1
            proxy = response.status == 407
            value = answer_challenge(response.all("Proxy-Authenticate" if proxy else "WWW-Authenticate"), "NOTIFY",
                                     transaction.request.uri, self.agent.credentials, self.agent.hash_functions,
                                     hexadecimal(self.agent.random(8)))
            if value is not None:
                self.notify(now_ms, None, ("Proxy-Authorization" if proxy else "Authorization", value))
                return
        if response.status >= 300:
            self.owner.forget(self)          # RFC 6665 4.2.2: a NOTIFY that is refused ends it
            return
        self.tries = 0
        if self.dirty:
            self.notify(now_ms)
        self.owner.touch(self)

    def failed(self, transaction, status, now_ms):
        """Nobody took the NOTIFY."""
        self.owner.forget(self)

    def unacknowledged(self, transaction, now_ms):
        """Not of a client."""

    def finished(self, transaction, now_ms):
        """Nothing is kept."""

    def dump(self):
        """JSON-able record."""
        return {"line": self.line, "package": self.package, "watched": self.watched, "dialog": self.dialog.dump(),
                "event_id": self.event_id, "expires_ms": self.expires_ms, "version": self.version}


def asked_s(message):
    """Seconds of Expires, at most ours."""
    value = message.get("Expires")
    seconds = None if value is None else number(value.strip(), 2 ** 32)
    return DEFAULT_S if seconds is None else min(seconds, MOST_S)


class Subscriptions:
    """All of an endpoint's.  agent: the endpoint."""

    def __init__(self, agent):
        self.agent = agent
        self.all = {}                # name -> Subscription
        self.of = {}                 # (package, watched) -> [names]
        self.dialogs = {}            # line -> [(id, direction, state)]
        self.messages = {}           # line -> (new, old)
        self.agent_of = lambda line: None        # (logged in, RPID activity or None, note) of the agent who sits at a line, or None
        self.may_name = lambda line, watched: False      # whether a line is told the names of another one's calls, by which it could join them
        self.due = {}                # names that are to be notified soon
        self._number = 0
        self._timer = None

    def has(self, subscription):
        """Whether it stands."""
        return self.all.get(subscription.name) is subscription

    def touch(self, subscription):
        """Its record is to be stored."""
        self.agent.subscription_changed(subscription.name)

    def subscribe(self, message, line, source, now_ms):
        """A new SUBSCRIBE of a line, its digest checked.  Raises RemoteError."""
        agent = self.agent
        event = message.get("Event") or ""
        package = media_type(event)
        if package not in PACKAGES:
            agent.reply(message, source, 489, now_ms, headers=(("Allow-Events", ALLOW_EVENTS),))
            return
        accepted = [media_type(item) for item in message.tokens("Accept")]
        if accepted and not any([item in (PACKAGES[package], "application/*", "*/*") for item in accepted]):
            agent.reply(message, source, 406, now_ms)
            return
        watched = parse_uri(message.uri).plain_user()
        if package == MESSAGES and watched != line:
            watched = parse_uri(message.to_address.uri).plain_user()
        if not agent.has_line(watched) or (package == MESSAGES and watched != line):
            agent.reply(message, source, 403 if package == MESSAGES else 404, now_ms)
            return
        seconds = asked_s(message)
        if seconds and seconds < LEAST_S:
            agent.reply(message, source, 423, now_ms, headers=(("Min-Expires", "%d" % LEAST_S),))
            return
        mine = [one for one in self.all.values() if one.line == line]
        if len(mine) >= MOST_OF_LINE or len(self.all) >= MOST:
            mine.sort(key=lambda one: (one.expires_ms, one.name))
            if not mine:
                agent.reply(message, source, 503, now_ms, headers=(("Retry-After", "60"),))
                return
            self.forget(mine[0])             # a telephone that starts anew leaves its old ones behind
        self._number += 1
        subscription = Subscription(self, "%d-%s" % (self._number, agent.identity.tag()), line, package, watched)
        subscription.dialog = Dialog.from_request(message, agent.identity.tag(), source)
        for piece in event.split(";")[1:]:
            key, _, value = piece.partition("=")
            if key.strip().lower() == "id":
                subscription.event_id = value.strip()[:64]
        self._learn(subscription)
        self.grant(subscription, message, source, seconds, now_ms)

    def _learn(self, subscription):
        self.all[subscription.name] = subscription
        self.of.setdefault((subscription.package, subscription.watched), []).append(subscription.name)
        self.agent.learn_dialog(subscription.dialog, subscription)

    def grant(self, subscription, message, source, seconds, now_ms):
        """200, then the state."""
        agent = self.agent
        transaction = agent.serve(message, source, subscription)
        response = agent.response(message, 200, subscription.dialog.local_tag, source)
        response.add("Contact", agent.identity.contact_of(message.via.transport))
        response.add("Expires", "%d" % seconds)
        transaction.reply(response, now_ms)
        if not seconds:
            self.end(subscription, "timeout", now_ms)
            return
        subscription.prolong(seconds, now_ms)
        subscription.notify(now_ms)
        if self.has(subscription):
            self.touch(subscription)

    def end(self, subscription, reason, now_ms):
        """The last NOTIFY."""
        subscription.notify(now_ms, reason)
        self.forget(subscription)

    def forget(self, subscription):
        """It is over."""
        if not self.has(subscription):
            return
        del self.all[subscription.name]
        self.due.pop(subscription.name, None)
        self.agent.timers.cancel(subscription.timer)
        names = self.of.get((subscription.package, subscription.watched), [])
        if subscription.name in names:
            names.remove(subscription.name)
        if not names:
            self.of.pop((subscription.package, subscription.watched), None)
        self.agent.forget_dialog(subscription.dialog)
        self.touch(subscription)

    def body(self, subscription):
        """The state of what is watched."""
        host = self.agent.identity.address
        if subscription.package == DIALOG:
            name_of = self.agent.dialog_name if self.may_name(subscription.line, subscription.watched) else None
            return dialog_info(subscription.watched, host, subscription.version, self.shown(subscription.watched), name_of)
        if subscription.package == PRESENCE:
            return self._presence(subscription.watched, host)
        new, old = self.messages.get(subscription.watched, (0, 0))
        return message_summary(user_uri(octet_text(subscription.watched), host), new, old)

    def _presence(self, line, host):
        seat = self.agent_of(line)
        says_open, said, note = self.agent.publications.presence(line)
        is_open = bool(self.agent.registrar.contacts(line)) and (seat is None or seat[0]) and says_open
        activities = ["on-the-phone"] if self.shown(line) else [seat[1]] if seat is not None and seat[1] else said
        return pidf(line, host, is_open, activities, note if seat is None else seat[2])

    def shown(self, line):
        """Its calls, and those that its telephones say they have elsewhere."""
        return list(self.dialogs.get(line, ())) + self.agent.publications.dialogs(line)

    def show_published(self, line, now_ms):
        """A telephone has said how it is."""
        self._tell((DIALOG, line), now_ms)
        self.show_presence(line, now_ms)

    def show_presence(self, line, now_ms):
        """A telephone came or went, or the person who sits there does something else."""
        if (PRESENCE, line) in self.of:
            self._tell((PRESENCE, line), now_ms)

    def show_dialogs(self, line, dialogs, now_ms):
        """The calls of a line, as in dialog_info(); who watches it hears of it."""
        if self.dialogs.get(line, []) != dialogs:
            if dialogs:
                self.dialogs[line] = dialogs
            else:
                self.dialogs.pop(line, None)
            self._tell((DIALOG, line), now_ms)
            self.show_presence(line, now_ms)

    def show_messages(self, line, new, old, now_ms):
        """Messages that wait for a line."""
        if self.messages.get(line, (0, 0)) != (new, old):
            self.messages[line] = (new, old)
            self._tell((MESSAGES, line), now_ms)

    def _tell(self, key, now_ms):
        for name in self.of.get(key, ()):
            self.due[name] = True
        if self.due and self._timer is None:
            self._timer = self.agent.timers.start(now_ms, self, "tell")

    def fire(self, name, now_ms):
        """Notify some of those that are due, the others in a moment: a lamp that all watch is no storm."""
        self._timer = None
        for name in sorted(self.due)[:AT_ONCE]:
            del self.due[name]
            one = self.all[name]
            if one.package != PRESENCE or one.said is None or self.body(one) != one.said:
                one.notify(now_ms)
        if self.due:
            self._timer = self.agent.timers.start(now_ms + 10, self, "tell")

    def restore(self, name, record, now_ms):
        """From dump().  False: it has expired."""
        if record["expires_ms"] <= now_ms or record["package"] not in PACKAGES:
            return False
        subscription = Subscription(self, name, record["line"], record["package"], record["watched"])
        subscription.dialog = Dialog.restore(record["dialog"])
        if subscription.dialog.peer is not None and len(subscription.dialog.peer) > 2:
            return False                     # its connection died with the process before
        subscription.event_id, subscription.version = record["event_id"], record["version"] + 1
        self._number = max(self._number, number(name.split("-")[0], 2 ** 31) or 0)
        self._learn(subscription)
        subscription.expires_ms = record["expires_ms"]
        subscription.timer = self.agent.timers.start(record["expires_ms"], subscription, "expired")
        return True

    def drop_line(self, line):
        """A line is gone."""
        for subscription in [one for one in self.all.values() if line in (one.line, one.watched)]:
            self.forget(subscription)

    def tell_all(self, now_ms):
        """After a restart: what was changed meanwhile."""
        for name in self.all:
            self.due[name] = True
        if self.due and self._timer is None:
            self._timer = self.agent.timers.start(now_ms, self, "tell")
