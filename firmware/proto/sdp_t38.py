"""T.38 in session descriptions: the image block, what its attributes mean, and what an answer may say of them.  ITU-T T.38 (2015) Annex D, RFC 3264.

    lines(port, wanted)                    # lines of an image block that offers wanted
    settled, lines = read(media, wanted)   # of an image block of the far end: what both sides will do, and the lines of our answer
    wanted, settled: {"version", "rate" (bit/s), "recovery": "redundancy" | "fec" | "none", "most_octets": of a datagram}

In settled "most_octets" is what the far end takes (T38FaxMaxDatagram is declared, not agreed on, D.2.3.1); all else is what both have.  An attribute that an
offer has not is not in the answer, but for those that declare.  Names are compared without regard to case, since senders differ; MaxBitRate is written with
and without "Fax".  Over UDP the training is transferred (D.2.3.5); nobody transcodes, and fill bits stay.  Portable.
"""

RECOVERIES = {"redundancy": "t38UDPRedundancy", "fec": "t38UDPFEC", "none": "t38UDPNoEC"}
RATES = (4800, 9600, 14400)         # what spandsp's gateway knows apart: V.27ter, V.29, V.17
VERSION = 0                         # the syntax of 1998, which everybody has
MOST_BUFFER = 2000                  # ours: octets of fax data that we hold for the modem
LEAST_OCTETS, MOST_OCTETS = 60, 1400        # ours: of a datagram; below the first no signal fits


def lines(port, wanted):
    """Lines of an offer's image block."""
    return ["m=image %d udptl t38" % port, "a=T38FaxVersion:%d" % wanted["version"], "a=T38MaxBitRate:%d" % wanted["rate"],
            "a=T38FaxRateManagement:transferredTCF", "a=T38FaxMaxBuffer:%d" % MOST_BUFFER, "a=T38FaxMaxDatagram:%d" % wanted["most_octets"],
            "a=T38FaxUdpEC:" + RECOVERIES[wanted["recovery"]]]


def is_usable(media, wanted):
    """Whether an image block is T.38 over UDPTL that we can do."""
    if wanted is None or media.kind != "image" or media.protocol.lower() != "udptl" or [text.lower() for text in media.formats] != ["t38"]:
        return False
    management = _attributes(media).get("t38faxratemanagement")
    return management is None or management.lower() == "transferredtcf"


def read(media, wanted):
    """(settled, lines of our answer behind its m= line).  media: is_usable."""
    given = _attributes(media)
    version = min(wanted["version"], _number(given.get("t38faxversion"), 0))
    rate = min(wanted["rate"], _number(given.get("t38maxbitrate") or given.get("t38faxmaxbitrate"), RATES[-1]))
    rate = max([known for known in RATES if known <= max(rate, RATES[0])])
    theirs = (given.get("t38faxudpec") or "").lower()
    recovery = ([name for name, word in RECOVERIES.items() if word.lower() == theirs] or ["none"])[0]
    octets = _number(given.get("t38faxmaxdatagram"), 0) or wanted["most_octets"]
    settled = {"version": version, "rate": rate, "recovery": recovery if wanted["recovery"] != "none" else "none",
               "most_octets": max(LEAST_OCTETS, min(octets, MOST_OCTETS))}
    answer = ["a=T38FaxVersion:%d" % version, "a=T38MaxBitRate:%d" % rate, "a=T38FaxRateManagement:transferredTCF",
              "a=T38FaxMaxBuffer:%d" % MOST_BUFFER, "a=T38FaxMaxDatagram:%d" % wanted["most_octets"]]
    if theirs:
        answer.append("a=T38FaxUdpEC:" + RECOVERIES[settled["recovery"]])
    return settled, answer


def _attributes(media):
    """{name in lower case: value}, the first of a name."""
    found = {}
    for name, value in media.attributes:
        found.setdefault(name.lower(), (value or "").strip())
    return found


def _number(text, otherwise):
    """A number of an attribute, or what counts where it has none, or nonsense."""
    if not text or len(text) > 6 or [c for c in text if c not in "0123456789"]:
        return otherwise
    return int(text)
