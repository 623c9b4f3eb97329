"""What a message must pass before anything is spent on it: bans, limits of each source, overload.

Who has shown a right password from an address is *proven* there (host and port) for PROVEN_MS; far ends of trunks are trusted.
Neither is limited or banned, whatever comes in their name, so a forged sender turns nothing against them.

    ban       wrong_passwords wrong answers to challenges that went to that very host (the nonce is bound to it, so the guesser
              reads our answers and is no forgery) within WRONG_WINDOW_MS ban the host for ban_s: nothing is answered.  Proven
              telephones behind the same NAT go on
    limit     new requests of a host without proof: source_rate a second, in bursts of twice that; what is more is dropped
    scanners  that name themselves are never answered
    overload  messages wait longer than OVERLOAD_MS for us (smoothed), for a while: new calls and registrations of telephones get 503 with
              Retry-After, trunks' calls are refused one by one (480, Reason 42; a 503 would keep all of a carrier's calls away),
              by copying header lines, without parsing.  What belongs to a call, and calls to emergency numbers, go on
"""

from firmware.proto.sip.causes import phrase, reason_value
from firmware.proto.sip.text import octets as to_octets

PROVEN_MS = 3900000              # ours: above the longest registration
MOST_PROVEN = 16384              # ours
MOST_HOSTS = 8192                # ours: hosts whose rates are kept; the oldest goes
WRONG_WINDOW_MS = 300000         # ours
OVERLOAD_MS = 150                # ours: waiting time of messages above which new work is refused ...
OVERLOAD_FOR_MS = 400            # ... once it has been so for this long (a host that stood still for a moment is none) ...
RELIEF_MS = 50                   # ... until it is below this one
SMOOTHING = 8                    # ours: messages over which the waiting time is averaged
NEW_WORK = (b"INVITE ", b"REGISTER ", b"OPTIONS ", b"SUBSCRIBE ", b"MESSAGE ", b"PUBLISH ", b"NOTIFY ", b"REFER ")
# What scanners call themselves where nobody changed it (sipvicious and its copies, sipsak, sundayddr and others)
SCANNERS = (b"friendly-scanner", b"sipvicious", b"sundayddr", b"sip-scan", b"sipcli", b"vaxsipuseragent", b"iwar", b"pplsip")
TAG = "ovl"                      # begins our tags of refusals in overload: their ACKs cost nothing
COPIED = ((b"via:", b"v:"), (b"from:", b"f:"), (b"to:", b"t:"), (b"call-id:", b"i:"), (b"cseq:",))


class Guard:
    """agent: the endpoint.  settings: {"source_rate", "wrong_passwords", "ban_s"}; 0 switches each off."""

    def __init__(self, agent, settings):
        self.agent = agent
        self.settings = settings
        self.proven = {}             # (host, port) -> until ms
        self.rates = {}              # host -> [thousandths of requests left, at ms]
        self.wrong = {}              # host -> [number, since ms]
        self.banned = {}             # host -> until ms
        self.trusted = {}            # host -> bool, of trunks
        self.emergency = ()          # numbers
        self.waited_ms = 0.0
        self.overloaded = False
        self.above_since_ms = None

    def admit(self, octets, source, waited_ms, now_ms):
        """Whether a message may be read.  False: it has been dropped or refused here."""
        self._measure(waited_ms, now_ms)
        host = source[0]
        trusted = self.trusted.get(host)
        if trusted is None:
            trusted = self.trusted[host] = self.agent.is_trunk_host(host)
            if len(self.trusted) > MOST_HOSTS:
                self.trusted = {}
        if not trusted and self.proven.get(source[:2], 0) <= now_ms:
            if self.banned:
                until_ms = self.banned.get(host)
                if until_ms is not None:
                    if until_ms > now_ms:
                        self.agent.count("banned")
                        return False
                    del self.banned[host]
            if octets.startswith(NEW_WORK) and not self._is_within_rate(octets, host, now_ms):
                return False
        if self.overloaded and self._refused(octets, source, trusted):
            return False
        return True

    def _measure(self, waited_ms, now_ms):
        self.waited_ms += (waited_ms - self.waited_ms) / SMOOTHING
        if self.overloaded:
            self.overloaded = self.waited_ms > RELIEF_MS
        elif self.waited_ms <= OVERLOAD_MS:
            self.above_since_ms = None
        elif self.above_since_ms is None:
            self.above_since_ms = now_ms
        elif now_ms - self.above_since_ms >= OVERLOAD_FOR_MS:
            self.overloaded = True
            self.above_since_ms = None
            self.agent.count("overloads")

    def _is_within_rate(self, octets, host, now_ms):
        head = octets[:1500].lower()
        for name in SCANNERS:
            if name in head:
                self.agent.count("scanners")
                return False
        rate = self.settings["source_rate"]
        if not rate:
            return True
        row = self.rates.get(host)
        if row is None:
            if len(self.rates) >= MOST_HOSTS:
                self.rates = {}
            row = self.rates[host] = [rate * 2000, now_ms]
        row[0] = min(rate * 2000, row[0] + rate * max(0, now_ms - row[1]))
        row[1] = now_ms
        if row[0] < 1000:
            self.agent.count("limited")
            return False
        row[0] -= 1000
        return True

    def right(self, source, now_ms):
        """A right password came from there."""
        if len(self.proven) >= MOST_PROVEN:
            kept = {}
            for key in self.proven:
                if self.proven[key] > now_ms:
                    kept[key] = self.proven[key]
            self.proven = kept if len(kept) < MOST_PROVEN else {}
        self.proven[source[:2]] = now_ms + PROVEN_MS

    def guessed(self, source, now_ms):
        """A wrong password for a challenge that went to that host."""
        host, most = source[0], self.settings["wrong_passwords"]
        if not most or self.trusted.get(host):
            return
        row = self.wrong.get(host)
        if row is None or now_ms - row[1] > WRONG_WINDOW_MS:
            if len(self.wrong) >= MOST_HOSTS:
                self.wrong = {}
            row = self.wrong[host] = [0, now_ms]
        row[0] += 1
        if row[0] >= most:
            del self.wrong[host]
            self.banned[host] = now_ms + self.settings["ban_s"] * 1000
            self.agent.count("bans")
            self.agent.fault("scanner_banned", "%d wrong passwords; nothing of it is answered for %d s" % (most, self.settings["ban_s"]), source)

    def _refused(self, octets, source, trusted):
        """Refuse new work in overload, by its lines."""
        if octets.startswith(b"ACK "):
            if (";tag=" + TAG).encode() in octets:
                self.agent.count("overload_acks")
                return True
            return False
        if not octets.startswith((b"INVITE ", b"REGISTER ", b"SUBSCRIBE ", b"OPTIONS ")):
            return False
        if octets.startswith(b"INVITE sip:"):
            number = octets[11:60].split(b"@")[0]
            if number in self.emergency:
                return False
        lines, found = octets.split(b"\r\n\r\n", 1)[0].split(b"\r\n"), []
        for names in COPIED:
            for line in lines[1:]:
                if line[:8].lower().startswith(names):
                    found.append(line)
                    if names[0] == b"to:":
                        if b"tag=" in line.lower():
                            return False         # within a call
                        found[-1] = line + (";tag=%s%d" % (TAG, self.agent.counters.get("overload_refused", 0))).encode()
        if len(found) < 5 or any([line[:1] in (b" ", b"\t") for line in lines[1:]]):
            return False                         # folded or broken: the parser's matter
        self.agent.count("overload_refused")
        carrier = trusted and octets.startswith(b"INVITE ")
        status = 480 if carrier else 503
        more = "Reason: %s" % reason_value(42) if carrier else "Retry-After: %d" % (5 + self.agent.counters["overload_refused"] % 11)
        head = "SIP/2.0 %d %s" % (status, phrase(status))
        self.agent.send(b"\r\n".join([to_octets(head)] + [_received(line, source) if index == 0 else line for index, line in enumerate(found)]
                                     + [to_octets(more), b"Content-Length: 0", b"", b""]), source)
        return True


def _received(via, source):
    """The top Via with what RFC 3581 wants, without parsing: received and rport."""
    if b";rport" in via and b";rport=" not in via:
        via = via.replace(b";rport", (";rport=%d" % source[1]).encode(), 1)
    return via + b";received=" + to_octets(source[0])
