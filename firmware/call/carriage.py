"""What a call carries through the switch besides numbers, whatever its two protocols are; and when it goes round in circles.

carried: plain data of a call, each key only where the protocol that it came by told it:
    caller_name   text
    hops          how many exchanges it may still pass, in the scale of ISUP's hop counter, 1 to 31 (Q.763 3.80)
    redirecting   {"number", "type", "plan", "presentation", "reason"} of the last diversion
    redirections  how often it has been diverted (Q.763 3.45, RFC 5806 counter)
    subaddresses  {"called" | "calling": hex of the element's contents (Q.931 4.5.9, 4.5.11)}
    referred_by   who has transferred it: a Referred-By of SIP (RFC 3892 3), or the name of a line of ours
    user_user     hex of the contents of User-user (Q.931 4.5.30), Q.763 3.61, RFC 7433)

A loop is found by what is told (a counter that is used up), and where nothing is told (PRI, R2) by the same caller
and number in set-up more than LOOP_MOST times at once.  Either ends the call with cause 25, exchange routing error
(Q.764 2.16, EN 300 207 for diversions).  Portable.
"""

ROUTING_ERROR = 25
HOPS_MOST = 31              # Q.763 3.80: 5 bits
FORWARDS_A_HOP = 2          # ours; Q.1912.5 has Max-Forwards as the hop counter times a factor that the network chooses
FORWARDS_MOST = 70          # RFC 3261 8.1.1.6
REDIRECTIONS_MOST = 5       # Q.732.2, EN 300 207: five diversions
LOOP_MOST = 3               # ours: so many set-ups of one caller to one number at the same time are a loop


def of_sip(given):
    """A carried dict of what an INVITE brings; given: the same with "forwards", its Max-Forwards, or None."""
    if given is None:
        return None
    given = dict(given)
    forwards = given.pop("forwards", None)
    if forwards is not None:
        given["hops"] = min(HOPS_MOST, forwards // FORWARDS_A_HOP)
    return known(given)


def to_sip(carried):
    """The other way; without "hops" an INVITE's own Max-Forwards stands."""
    given = dict(carried or {})
    hops = given.pop("hops", None)
    if hops is not None:
        given["forwards"] = min(FORWARDS_MOST, hops * FORWARDS_A_HOP)
    return given


def known(given):
    """A carried dict without what is not told, or None where nothing is."""
    carried = {}
    for key in sorted(given):
        if given[key] not in (None, "", {}):
            carried[key] = given[key]
    return carried or None


def referrer(carried):
    """What a call of a telephone of ours takes along to the outside: who transferred it."""
    return known({"referred_by": (carried or {}).get("referred_by")}) or {}


def refusal(carried, diverted, alike):
    """Why a call may not go on to another exchange, as a sentence, or None.

    diverted: a number of ours diverts it.  alike: set-ups of the same caller to the same number that are under way."""
    carried = carried or {}
    if carried.get("hops") is not None and carried["hops"] <= 1:
        return "the call has passed as many exchanges as it may (hop counter); it goes round in circles, look at the routes"
    if diverted and carried.get("redirections", 0) >= REDIRECTIONS_MOST:
        return "the call has been diverted %d times, that is as often as it may" % carried["redirections"]
    if alike >= LOOP_MOST:
        return "the same caller calls the same number %d times at once: the call comes back to us, look at the routes" % (alike + 1)
    return None


def onward(carried, diverted):
    """What goes out with the next leg.  diverted: {"number", ...} of ours that diverts it, or None.

    Returns (redirecting or None, carried)."""
    out = dict(carried or {})
    redirecting, count = out.pop("redirecting", None), out.pop("redirections", 0)
    if "hops" in out:
        out["hops"] = out["hops"] - 1
    if diverted is not None:
        redirecting, count = diverted, count + 1
    if redirecting is not None:
        out["redirections"] = max(1, count)
    return redirecting, out
