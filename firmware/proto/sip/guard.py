"""What a message must pass before anything is spent on it: bans, limits of each source, overload.

Who has shown a right password from an address is *proven* there (host and port) for PROVEN_MS; far ends of trunks are trusted.
Neither is limited or banned, whatever comes in their name, so a forged sender turns nothing against them.

    ban       wrong_passwords wrong answers to challenges that went to that very host (the nonce is bound to it, so the guesser
              reads our answers and is no forgery) within WRONG_WINDOW_MS ban the host for ban_s: nothing is answered.  Proven
              telephones behind the same NAT go on
    limit     new requests of a host without proof: source_rate a second, in bursts of twice that; what is more is dropped
    scanners  that name themselves are never answered
    overload  new work waits longer than OVERLOAD_MS for us (smoothed), for a while: new calls and registrations of telephones get 503 with
              Retry-After, trunks' calls are refused one by one (480, Reason 42; a 503 would keep all of a carrier's calls away),
              by copying header lines, without parsing.  What belongs to a call, and calls to emergency numbers, go on.
              Which of the new work is refused, so that the rest fills the processor: intake.py
"""

from firmware.proto.sip.causes import phrase, reason_value
from firmware.proto.sip.intake import BEGINNINGS, is_new_work
from firmware.proto.sip.text import octets as to_octets

PROVEN_MS = 3900000              # ours: above the longest registration
MOST_PROVEN = 16384              # ours
MOST_HOSTS = 8192                # ours: hosts whose rates are kept; the oldest goes
WRONG_WINDOW_MS = 300000         # ours
OVERLOAD_MS = 250                # ours: waiting time of messages above which new work is refused ...
OVERLOAD_FOR_MS = 600            # ... once it has been so for this long (a host that stood still for a moment is none, nor is what it leaves behind) ...
RELIEF_MS = 20                   # ... until it is below this one ...
TOO_LATE_MS = 1000               # ours: new work that has waited so long is refused in overload; its sender thinks that it is lost
CALM_MS = 1000                   # ... and nothing had to be refused for this long
SMOOTHING = 8                    # ours: messages over which the waiting time is averaged
# What scanners call themselves where nobody changed it (sipvicious and its copies, sipsak, sundayddr and others)
SCANNERS = (b"friendly-scanner", b"sipvicious", b"sundayddr", b"sip-scan", b"sipcli", b"vaxsipuseragent", b"iwar", b"pplsip")
REFUSED_TAG = b";tag=ovl"        # begins our tags of refusals in overload: their ACKs cost nothing
VIA = (b"via", b"v")
COPIED = ((b"from", b"f"), (b"to", b"t"), (b"call-id", b"i"), (b"cseq",))
KINDS = {}                       # first letters of those
for _letter in b"vftic":
    KINDS[bytes([_letter])] = KINDS[bytes([_letter]).upper()] = True
CARRIER = (to_octets("SIP/2.0 480 " + phrase(480)), to_octets("Reason: " + reason_value(42)))
TELEPHONE = (to_octets("SIP/2.0 503 " + phrase(503)), b"Retry-After: %d")


class Guard:
    """agent: the endpoint.  settings: {"source_rate", "wrong_passwords", "ban_s"}; 0 switches each off."""

    def __init__(self, agent, settings):
        self.agent = agent
        self.settings = settings
        self.proven = {}             # (host, port) -> until ms
        self.told = None             # function(address): a right password came over that connection
        self.rates = {}              # host -> [thousandths of requests left, at ms]
        self.wrong = {}              # host -> [number, since ms]
        self.banned = {}             # host -> until ms
        self.trusted = {}            # host -> bool, of trunks
        self.emergency = ()          # numbers
        self.waited_ms = 0.0
        self.overloaded = False
        self.above_since_ms = None
        self.refused_ms = 0          # when something was refused last

    def admit(self, octets, source, waited_ms, now_ms, welcome=False):
        """Whether a message may be read.  False: it has been dropped or refused here.  welcome: welcome() has said so."""
        if not welcome and not self.welcome(octets, source, now_ms):
            return False
        if self.overloaded and octets.startswith(b"ACK ") and self.is_of_a_refusal(octets):
            return False
        new = is_new_work(octets, self.emergency, self.is_trusted(source[0]))
        if new or not welcome:
            self._measure(waited_ms, now_ms)
        if new and self.overloaded and waited_ms > (TOO_LATE_MS if welcome else OVERLOAD_MS):
            answer = self.refusal(octets, source, now_ms)
            if answer is not None:
                self.agent.send(answer, source)
                return False
        return True

    def welcome(self, octets, source, now_ms):
        """Whether the sender may speak: not banned, not too much, no scanner."""
        host = source[0]
        if not self.is_trusted(host) and self.proven.get(source[:2], 0) <= now_ms:
            if self.banned:
                until_ms = self.banned.get(host)
                if until_ms is not None:
                    if until_ms > now_ms:
                        self.agent.count("banned")
                        return False
                    del self.banned[host]
            if octets.startswith(BEGINNINGS) and not self._is_within_rate(octets, host, now_ms):
                return False
        return True

    def may_ask(self, source, now_ms):
        """Whether a keep-alive of a host is answered: not of one that is banned, no more than its new requests."""
        host = source[0]
        if self.is_trusted(host) or self.proven.get(source[:2], 0) > now_ms:
            return True
        return self.banned.get(host, 0) <= now_ms and self._is_within_rate(b"", host, now_ms)

    def is_trusted(self, host):
        """Whether a trunk's messages come from there."""
        trusted = self.trusted.get(host)
        if trusted is None:
            trusted = self.trusted[host] = self.agent.is_trunk_host(host)
            if len(self.trusted) > MOST_HOSTS:
                self.trusted = {}
        return trusted

    def is_of_a_refusal(self, octets):
        """An ACK to a refusal of ours in overload: nobody waits for it."""
        if REFUSED_TAG not in octets:
            return False
        self.agent.count("overload_acks")
        return True

    def is_certain(self):
        """Overload without doubt: so much waits that no moment's standstill explains it."""
        if not self.overloaded:
            self._begin()

    def _begin(self):
        self.overloaded = True
        self.above_since_ms = None
        self.waited_ms = max(self.waited_ms, OVERLOAD_MS)        # relief must be earned
        self.agent.count("overloads")

    def _measure(self, waited_ms, now_ms):
        self.waited_ms += (waited_ms - self.waited_ms) / SMOOTHING
        if self.overloaded:
            self.overloaded = self.waited_ms > RELIEF_MS or now_ms - self.refused_ms < CALM_MS
        elif self.waited_ms <= OVERLOAD_MS:
            self.above_since_ms = None
        elif self.above_since_ms is None:
            self.above_since_ms = now_ms
        elif now_ms - self.above_since_ms >= OVERLOAD_FOR_MS:
            self._begin()

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

    def is_known(self, source):
        """Whether a right password came from there, over the connection that stands; or it is a trunk."""
        return source[:2] in self.proven or self.is_trusted(source[0])

    def new_connection(self, source):
        """A connection was opened from there: what was shown over an earlier one proves nothing of it."""
        self.proven.pop(source[:2], None)

    def right(self, source, now_ms):
        """A right password came from there."""
        if len(self.proven) >= MOST_PROVEN:
            kept = {}
            for key in self.proven:
                if self.proven[key] > now_ms:
                    kept[key] = self.proven[key]
            self.proven = kept if len(kept) < MOST_PROVEN else {}
        self.proven[source[:2]] = now_ms + PROVEN_MS
        if self.told is not None and len(source) > 2:
            self.told(source)

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

    def refusal(self, octets, source, now_ms):
        """The answer that refuses new work in overload, made of its lines; None where it is folded or broken: the parser's matter."""
        end = octets.find(b"\r\n\r\n")
        head = octets if end < 0 else octets[:end]
        if b"\r\n " in head or b"\r\n\t" in head or not octets.startswith((b"INVITE ", b"REGISTER ", b"SUBSCRIBE ", b"PUBLISH ", b"OPTIONS ")):
            return None
        vias, parts = [], [None] * len(COPIED)
        for line in head.split(b"\r\n")[1:]:
            kind = KINDS.get(line[:1])
            if kind is None:
                continue
            name = line[:line.find(b":")].strip().lower()
            if name in VIA:
                vias.append(line)
            else:
                for index, names in enumerate(COPIED):
                    if name in names and parts[index] is None:
                        parts[index] = line
        if not vias or None in parts:
            return None
        self.refused_ms = now_ms
        self.agent.count("overload_refused")
        number = self.agent.counters["overload_refused"]
        if octets.startswith(b"INVITE ") and self.is_trusted(source[0]):
            first, more = CARRIER
        else:
            first, more = TELEPHONE[0], TELEPHONE[1] % (5 + number % 11)
        parts[1] += b"%s%d" % (REFUSED_TAG, number)
        vias[0] = _received(vias[0], source)
        return b"\r\n".join([first] + vias + parts + [more, b"Content-Length: 0", b"", b""])


def _received(via, source):
    """The top Via with what RFC 3581 wants, without parsing: received and rport."""
    if b";rport" in via and b";rport=" not in via:
        via = via.replace(b";rport", (";rport=%d" % source[1]).encode(), 1)
    return via + b";received=" + to_octets(source[0])
