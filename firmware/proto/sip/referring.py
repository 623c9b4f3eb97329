"""Transfer as telephones ask for it: REFER within a call, its progress by NOTIFY.  RFC 3515, 3891, 3892, 4488, 6665 4.1.

The half of Session that takes a REFER: it is accepted (202), control hears {"kind": "refer", "leg", "called", "other",
"by"}: the number, or the leg of the second call that Replaces names; and control says how it ended by refer_outcome, which the
telephone hears as the final NOTIFY (message/sipfrag).  The subscription is over with it.

Referred-By (RFC 3892): the call that a REFER brings about names who asked for it, the line of the telephone, which has shown its password; so
does a call that comes in with one, from a telephone or a trusted trunk, as it goes on to telephones and trusted trunks.  The token that proves it
by S/MIME (RFC 3892 4) is neither made nor passed on, so a value that points to one (cid) loses that parameter; nobody is asked for one (429).
"""

from firmware.errors import RemoteError
from firmware.proto.sip.causes import phrase
from firmware.proto.sip.headers import parse_address
from firmware.proto.sip.parties import user_of
from firmware.proto.sip.text import display, octet_text, unescape
from firmware.proto.sip.text import octets as to_octets
from firmware.proto.sip.uri import user_uri

SIPFRAG = "message/sipfrag;version=2.0"
LIFE_S = 60                      # ours: of the implicit subscription; the outcome comes at once
OPTION = "norefersub"            # RFC 4488


def target_of(message):
    """(number, Replaces value or None) of Refer-To.  Raises RemoteError(400)."""
    values = message.all("Refer-To")
    if len(values) != 1:
        raise RemoteError("REFER needs exactly one Refer-To", status=400)
    uri = parse_address(values[0], "Refer-To").uri
    plain, _, rest = uri.partition("?")
    replaces = None
    for part in rest.split("&") if rest else ():
        name, _, value = part.partition("=")
        if name.lower() == "replaces":
            replaces = unescape(value)
    number = display(user_of(plain))
    if not number and replaces is None:
        raise RemoteError("Refer-To names no number", status=400)
    return number, replaces


def parse_replaces(value):
    """(Call-ID, to-tag, from-tag, whether early-only) of a Replaces (RFC 3891 6.1) or Join value (RFC 3911 7.1).  Raises RemoteError(400), for
    two values and for a tag that is there twice, too."""
    pieces = [piece.strip() for piece in value.split(";")]
    tags = {}
    for piece in pieces[1:]:
        name, _, tag = piece.partition("=")
        tags[name.strip().lower()] = tag.strip()
    if not pieces[0] or not tags.get("to-tag") or not tags.get("from-tag") or len(tags) < len(pieces) - 1 or "," in value:
        raise RemoteError("Replaces or Join: no call and tags", status=400)
    return pieces[0], tags["to-tag"], tags["from-tag"], "early-only" in tags


MOST_REFERRER = 200              # ours: a call keeps it in the journal


def referrer_of(message):
    """The Referred-By of a request as text, without its token; None: there is none that can be read, and one that only informs refuses no call."""
    values = message.all("Referred-By")
    try:
        address = parse_address(values[0], "Referred-By") if len(values) == 1 else None
    except RemoteError:
        address = None
    if address is None or not user_of(address.uri):
        return None
    address.parameters = [row for row in address.parameters if row[0] != "cid"]
    text = display(str(address))
    return text if len(text) <= MOST_REFERRER else None


def name_referrer(message, who, identity):
    """Put who has transferred the call into its INVITE.  who: as carried (call/carriage.py), or None."""
    if who:
        message.add("Referred-By", octet_text(who) if "<" in who else "<%s>" % user_uri(octet_text(who), identity.address))


class Referring:
    """See the top.  referred: [CSeq of the REFER, whether it is notified], until its outcome."""

    referred = None

    def receive_refer(self, transaction, now_ms):
        """REFER in the dialog."""
        message = transaction.request
        tag = message.to_tag
        if self.line is None:
            # a far end of a trunk shall not have us call at our cost
            self.agent.respond(transaction, 403, now_ms, tag=tag)
            return
        if self.state != "confirmed" or self.referred is not None:
            self.agent.respond(transaction, 491, now_ms, tag=tag)
            return
        other = None
        try:
            number, replaces = target_of(message)
            if replaces is not None:
                other = self.agent.leg_of_dialog(*parse_replaces(replaces)[:3])
        except RemoteError as error:
            self.agent.fault("bad_request", str(error), transaction.source)
            self.agent.respond(transaction, 400, now_ms, tag=tag)
            return
        if replaces is not None:
            if other is None or other == self.leg:
                self.agent.respond(transaction, 481, now_ms, tag=tag)
                return
        quiet = (message.get("Refer-Sub") or "").strip().lower() == "false"
        self.referred = [message.cseq[0], not quiet]
        response = self.agent.response(message, 202, tag, transaction.source)
        self.fill(response, None)
        if quiet:
            response.add("Refer-Sub", "false")
        transaction.reply(response, now_ms)
        self._tell_refer(100, "active;expires=%d" % LIFE_S, now_ms)
        self.agent.emit({"kind": "refer", "leg": self.leg, "called": number, "other": other, "by": self._referrer(message)})

    def _referrer(self, message):
        """Who asks: what the telephone says of itself where that is its line, else the line."""
        said = referrer_of(message)
        return said if said is not None and user_of(parse_address(said, "Referred-By").uri) == self.line else self.line

    def do_refer_outcome(self, request, now_ms):
        """How the transfer ended."""
        if self.referred is not None:
            self._tell_refer(request["status"], "terminated;reason=noresource", now_ms)
            self.referred = None

    def _tell_refer(self, status, state, now_ms):
        if not self.referred[1]:
            return
        message = self.dialog.request("NOTIFY", self.agent.identity)
        message.add("Contact", self.agent.identity.contact_of(message.via.transport))
        message.add("Event", "refer;id=%d" % self.referred[0])
        message.add("Subscription-State", state)
        message.add("Content-Type", SIPFRAG)
        message.body = to_octets("SIP/2.0 %d %s\r\n" % (status, phrase(status)))
        self.send_request(message, now_ms)
