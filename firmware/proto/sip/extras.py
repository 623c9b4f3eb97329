"""Headers of a trunk's calls that are no numbers: those that go through by rule, and what carriers and IMS charge by (RFC 7315).

pass_headers of a trunk names what its calls may bring along and what calls to it may have: a header goes from one trunk to the other
where both name it.  set_headers are put into each call to it (P-Access-Network-Info, RFC 7315 4.4, is one).  charging: our name
(orig-ioi); each call to the trunk then has a P-Charging-Vector (4.6) with the identifier that the call brought, or a new one.
"""

from firmware.proto.sip.headers import canonical
from firmware.proto.sip.text import display, hexadecimal, octet_text, quote

MOST_HEADERS, MOST_VALUE = 16, 512          # ours; a call keeps them in the journal
MOST_ICID = 128


def of_call(message, row):
    """{"headers": [[name, value]], "charging": identifier} of a call that came in; without what is not there."""
    out, found = {}, []
    for rule in row.get("pass_headers") or ():
        for value in message.all(canonical(rule["name"])):
            if len(found) < MOST_HEADERS and len(value) <= MOST_VALUE:
                found.append([rule["name"], display(value)])
    if found:
        out["headers"] = found
    icid = _icid(message.get("P-Charging-Vector"))
    if icid:
        out["charging"] = icid
    return out


def _icid(value):
    """The identifier of a P-Charging-Vector, or None."""
    for piece in (value or "").split(";"):
        name, _, text = piece.partition("=")
        if name.strip().lower() == "icid-value":
            text = display(text.strip().strip('"'))[:MOST_ICID]
            return text if text and all([32 < ord(letter) < 127 and letter not in '"\\' for letter in text]) else None
    return None


def dress(message, carried, row, agent):
    """Put them into an INVITE to a trunk."""
    ours = [rule["name"].lower() for rule in row.get("pass_headers") or ()]
    for name, value in carried.get("headers") or ():
        if name.lower() in ours:
            message.add(name, octet_text(value))
    for rule in row.get("set_headers") or ():
        message.add(rule["name"], octet_text(rule["value"]))
    if row.get("charging"):
        icid = carried.get("charging") or hexadecimal(agent.random(16))
        message.add("P-Charging-Vector", "icid-value=%s;icid-generated-at=%s;orig-ioi=%s" % (quote(icid), agent.identity.address, row["charging"]))
