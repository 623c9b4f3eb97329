"""Who calls whom on a trunk: the numbers in a message, and the headers that say ours.

P-Asserted-Identity, P-Preferred-Identity and Privacy (RFC 3325, 3323), Remote-Party-ID (of gateways that are older than
those), Diversion (RFC 5806), History-Info (RFC 7044), tel URIs (RFC 3966), P-Called-Party-ID (RFC 7315).

A party is {"number", "type": "international"|"unknown"|..., "presentation": "allowed"|"restricted"|"unavailable"},
as in call/outside.py; its number has no +.
"""

from firmware.errors import RemoteError
from firmware.proto.numbers import apply_rule, best_rule
from firmware.proto.sip.headers import Address, parse_addresses
from firmware.proto.sip.text import display, octet_text, unescape
from firmware.proto.sip.uri import parse_uri, scheme_of, user_uri

ANONYMOUS = "sip:anonymous@anonymous.invalid"       # RFC 3323 4.1.1.3
SEPARATORS = "-.() "                                # RFC 3966 3
NUMBER = "0123456789*#"
MAX_NUMBER = 32                                     # ours, as in call/outside.py
# Reason of a diversion (RFC 5806 4) and SIP status that History-Info gives as the reason (RFC 7044 10.4), by ours
REASONS = {"unconditional": ("unconditional", 302), "busy": ("user-busy", 486), "no_reply": ("no-answer", 408),
           "unknown": ("unknown", 302), "deflection": ("deflection", 302), "out_of_order": ("out-of-service", 503)}


def user_of(uri):
    """The user part of a sip, sips or tel URI without its parameters, escapes undone; "" where there is none."""
    if scheme_of(uri) == "tel":
        return unescape(uri[4:].split(";")[0])
    try:
        return parse_uri(uri).plain_user().split(";")[0]
    except RemoteError:
        return ""


def plain(text):
    """A number without visual separators, or "" where it is none; a leading + stays."""
    number = "".join([character for character in text if character not in SEPARATORS])
    digits = number[1:] if number[:1] == "+" else number
    if not digits or len(digits) > MAX_NUMBER or any([character not in NUMBER for character in digits]):
        return ""
    return number


def rewritten(rules, number):
    """(number without +, whether it was international) by the rules of a configuration: the longest that fits."""
    rule = best_rule(rules, number)
    out = number if rule is None else apply_rule(rule, number)
    return (out[1:], True) if out[:1] == "+" else (out, False)


def _addresses(message, name):
    try:
        return parse_addresses(message.all(name), name)
    except RemoteError:
        return []           # a header that only informs is no reason to refuse a call


def called_of(message, row):
    """The number that was called, rewritten.  row: of the configuration.  Falls back from the account's own name to To."""
    user = user_of(message.uri)
    named = _addresses(message, "P-Called-Party-ID")
    other = user_of(named[0].uri) if named else user_of(message.to_address.uri)
    if row.get("called_in") == "to" or not user or (user == row.get("user") and plain(other)):
        user = other or user
    number = plain(user)
    return rewritten(row.get("called_rules"), number)[0] if number else display(user)[:MAX_NUMBER]


def is_anonymous(address):
    """Whether a From names nobody (RFC 3323 4.1.1.3)."""
    return user_of(address.uri).lower() == "anonymous" or ".invalid" in address.uri.lower()


def wants_privacy(message):
    """Whether a caller asks that the number is not shown (RFC 3323 4.2, RFC 3325 9.3)."""
    privacy = [word.strip().lower() for value in message.all("Privacy") for word in value.split(";")]
    return any([word in privacy for word in ("id", "user", "header")]) or is_anonymous(message.from_address)


def caller_of(message, row):
    """(party, display name) of a caller."""
    sender, restricted = message.from_address, wants_privacy(message)
    found = sender
    if row.get("trusted"):
        asserted = _addresses(message, "P-Asserted-Identity")
        remote = _addresses(message, "Remote-Party-ID")
        if asserted:
            numbered = [address for address in asserted if plain(user_of(address.uri))]
            found = (numbered or asserted)[0]
        elif remote:
            found = remote[0]
            restricted = restricted or (found.parameter("privacy") or "off") not in ("off", "no")
    raw = plain(user_of(found.uri))
    if found is sender and is_anonymous(sender):
        raw = ""
    number, international = rewritten(row.get("caller_rules"), raw) if raw else ("", False)
    presentation = "restricted" if restricted else "allowed" if number else "unavailable"
    return ({"number": number, "type": "international" if international else "unknown", "presentation": presentation},
            display(found.display)[:80])


def redirecting_of(message, row):
    """The number that the call was forwarded from last, or None."""
    found = _addresses(message, "Diversion")
    if found:
        uri = found[0].uri
    else:
        entries = []
        for address in _addresses(message, "History-Info"):
            index = [piece for piece in (address.parameter("index") or "").split(".")]
            if all([piece and all([c in "0123456789" for c in piece]) for piece in index]):
                entries.append(([int(piece[:6]) for piece in index], len(entries), address.uri))
        if len(entries) < 2:
            return None
        entries.sort()
        uri = entries[-2][2].split("?")[0]
    number = plain(user_of(uri))
    return rewritten(row.get("called_rules"), number)[0] if number else None


def written(party, row):
    """The number of a party as the far end gets it."""
    return ("+" if party.get("type") == "international" and row.get("plus") else "") + party["number"]


def request_uri(called, row, domain):
    """URI of the called number."""
    return user_uri(octet_text(written(called, row)), domain)


def sender_of(caller, name, row, domain):
    """From without its tag, as text.  caller: a party, or None where no number is to be shown."""
    own = row.get("user") or ""
    if row.get("from") == "user" and own:
        return str(Address(user_uri(octet_text(own), domain), octet_text(name or "") if caller else ""))
    if caller is None or caller["presentation"] != "allowed":
        return str(Address(ANONYMOUS, "Anonymous"))
    return str(Address(user_uri(octet_text(written(caller, row)), domain), octet_text(name or "")))


def identify(message, caller, name, redirecting, called, row, domain, redirections=1):
    """Put identity, privacy and diversion into an INVITE."""
    way = row.get("identity", "asserted")
    withheld = caller is not None and caller["presentation"] != "allowed"
    if withheld:
        message.add("Privacy", "id")
    if caller is not None and caller["number"] and way != "none" and (not withheld or row.get("trusted")):
        address = Address(user_uri(octet_text(written(caller, row)), domain), "" if withheld else octet_text(name or ""))
        if way == "remote_party":
            address.parameters = [("party", "calling"), ("privacy", "full" if withheld else "off"), ("screen", "yes")]
            message.add("Remote-Party-ID", str(address))
        else:
            message.add("P-Asserted-Identity" if way == "asserted" else "P-Preferred-Identity", str(address))
    if redirecting is not None and redirecting.get("number"):
        word, status = REASONS.get(redirecting.get("reason") or "unknown", REASONS["unknown"])
        how = row.get("diversion", "diversion")
        uri = user_uri(octet_text(written(redirecting, row)), domain)
        hidden = redirecting.get("presentation", "allowed") != "allowed"
        if how in ("diversion", "both"):
            message.add("Diversion", str(Address(uri, "", [("reason", word), ("privacy", "full" if hidden else "off"), ("counter", str(redirections))])))
        if how in ("history", "both"):
            privacy = "&Privacy=history" if hidden else ""
            message.add("History-Info", "<%s?Reason=SIP%%3Bcause%%3D%d%s>;index=1" % (uri, status, privacy))
            message.add("History-Info", "<%s>;index=1.1;mp=1" % request_uri(called, row, domain))


# What goes through the switch besides numbers: call/carriage.py

WORDS = dict([(REASONS[reason][0], reason) for reason in sorted(REASONS)])
UUI_MOST = 256              # hex digits: 128 octets, Q.763 3.61


def user_user_of(message):
    """User-to-User (RFC 7433) as hex, or None: only its hex form is ours."""
    pieces = [piece.strip() for piece in (message.get("User-to-User") or "").split(";")]
    value = pieces[0].lower()
    if "encoding=hex" not in pieces[1:] or not value or len(value) > UUI_MOST or len(value) % 2 or any([c not in "0123456789abcdef" for c in value]):
        return None
    return value


def carried_of(message, row, name):
    """What an INVITE brings besides numbers: a dict of call/carriage.py, with "forwards" (Max-Forwards) for its hops."""
    diverted, count = None, None
    found = _addresses(message, "Diversion")
    number = redirecting_of(message, row)
    if number:
        word = (found[0].parameter("reason") or "unknown").strip('"').lower() if found else "unknown"
        diverted = {"number": number, "type": "unknown", "presentation": "restricted" if found and found[0].parameter("privacy") not in (None, "off") else "allowed",
                    "reason": WORDS.get(word, "unknown")}
        count = sum([int(text) if text.isdigit() and len(text) < 4 else 1 for text in [address.parameter("counter") or "1" for address in found]]) or 1
    forwards = message.get("Max-Forwards")
    return {"caller_name": name, "forwards": int(forwards) if forwards else None, "redirecting": diverted, "redirections": count,
            "user_user": user_user_of(message)}


def carry(message, carried):
    """Put what a call brings into an INVITE."""
    if carried.get("forwards") is not None:
        message.replace("Max-Forwards", str(carried["forwards"]))
    if carried.get("user_user"):
        message.add("User-to-User", carried["user_user"] + ";encoding=hex")
