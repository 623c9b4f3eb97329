"""A scripted exchange of China's SS7: what libss7 cannot (preventive cyclic retransmission, changeover, inhibiting, YDN 038).

    far = ScriptedSS7(run_dir, spans=[1, 2], links=[(1, 16, 0, "basic"), (2, 5, 1, "pcr")], own=CODE, other=CODE, trace_dir=...)
    far.start(); far.wait_for("in_service", 20, slc=0)
    far.iam(33, called="1000", caller="13912345678"); far.wait_isup("ANM", 33)
    far.isup(33, "REL"); far.wait_isup("RLC", 33)
    far.links[0].send(far.management(0, COO, bytes([7])))       # any message of level 3

The line, the framing and the HDLC are far-ss7's (spandsp; hil/far/ss7_link.c); levels 2, 3 and ISUP are here, written from Q.703, Q.704,
Q.707, Q.763 and YDN 038 without the product's code.  What an exchange answers by itself it answers: SLTM, COO, CBD, LIN and their kin,
GRS, CGB, CGU, BLO, UBL, RSC, REL.  Nothing else happens unless a script says so.

Events beside client.py's: in_service{slc} failed{slc, reason}  mtp{slc, name, octets}: messages of levels 3 that came
    isup{cic, name, octets, slc}: hex from the message type on   repeated{slc, fsn}: an MSU came again"""

import itertools
import queue
import threading
import time

from hil.far.client import BINARY, FarExchange

SIOS, SIO, SIN, SIE, SIPO, SIB = 3, 0, 1, 2, 4, 5           # Q.703 11.1.2: status field
COO, COA, ECO, ECA, CBD, CBA = 0x11, 0x21, 0x12, 0x22, 0x51, 0x61       # Q.704 15: H1 in the high half, H0 in the low one
LIN, LUN, LIA, LUA, LID, LFU, LLT, LRT = 0x16, 0x26, 0x36, 0x46, 0x56, 0x66, 0x76, 0x86
TFP, TFA, TRA, SLTM, SLTA = 0x14, 0x54, 0x17, 0x11, 0x21
MANAGEMENT = {COO: "COO", COA: "COA", ECO: "ECO", ECA: "ECA", CBD: "CBD", CBA: "CBA", LIN: "LIN", LUN: "LUN", LIA: "LIA", LUA: "LUA", LID: "LID",
              LFU: "LFU", LLT: "LLT", LRT: "LRT", TFP: "TFP", TFA: "TFA", TRA: "TRA"}
ISUP = {"IAM": 1, "SAM": 2, "COT": 5, "ACM": 6, "CON": 7, "ANM": 9, "REL": 0x0C, "SUS": 0x0D, "RES": 0x0E, "RLC": 0x10, "RSC": 0x12, "BLO": 0x13,
        "UBL": 0x14, "BLA": 0x15, "UBA": 0x16, "GRS": 0x17, "CGB": 0x18, "CGU": 0x19, "CGBA": 0x1A, "CGUA": 0x1B, "GRA": 0x29, "CPG": 0x2C,
        "UPT": 0x34, "UPA": 0x35, "CCL": 0xFC, "MPM": 0xFD, "OPR": 0xFE}
NAMES = {code: name for name, code in ISUP.items()}
ANSWERS = {"RSC": "RLC", "BLO": "BLA", "UBL": "UBA", "UPT": "UPA"}
NORMAL = "0284900000"       # REL: pointer to the cause, no optional part; cause 16, location 4 is written by rel()


def rel(cause=16):
    """The body of a REL: Q.763 table 33."""
    return bytes([2, 0, 2, 0x84, 0x80 | cause])


class ScriptedLink:
    """Level 2 of one link, as far as a far end needs it; correction: "basic" or "pcr"."""

    def __init__(self, far, span, timeslot, slc, correction="basic"):
        self.far, self.span, self.timeslot, self.slc, self.pcr = far, span, timeslot, slc, correction == "pcr"
        self.state, self.lose = "out", 0            # lose: so many new MSUs are taken for spoiled
        self.held = False                           # acknowledgements are held back
        self.allowed = True                         # traffic goes over it
        self._clear()

    def _clear(self):
        self.fsn = self.bsn = 127
        self.fib = self.bib = 1
        self.unacknowledged = []                    # [(fsn, SIO and SIF)]
        self.acknowledged = 127
        self.lost = []

    def _unit(self, fsn, body=b"", length=None):
        head = bytes([self.bsn | self.bib << 7, fsn | self.fib << 7, min(63, len(body)) if length is None else length])
        return (head + body).hex()

    def _send(self, hexes):
        self.far.post("unit", slc=self.slc, octets=hexes)

    def status(self, value):
        """Send an LSSU from now on."""
        self._cycle(())
        self._send(self._unit(self.fsn, bytes([value]), 1))

    def _cycle(self, units):
        self.far.post("cycle", slc=self.slc, octets=" ".join(units))

    def start(self):
        """Begin an emergency alignment: SIO."""
        self.state = "aligning"
        self._clear()
        self.status(SIO)

    def stop(self):
        """SIOS: out of service."""
        self.state = "out"
        self.status(SIOS)

    def fill(self):
        """Say what stands: a FISU, and under PCR the messages that nobody has acknowledged, in turn (Q.703 6.3)."""
        self._send(self._unit(self.fsn))
        if self.pcr:
            self._cycle([self._unit(fsn, body) for fsn, body in self.unacknowledged])

    def send(self, body):
        """One MSU: SIO and SIF."""
        with self.far.lock:
            self.fsn = (self.fsn + 1) % 128
            self.unacknowledged.append((self.fsn, body))
            self._send(self._unit(self.fsn, body))
            self.fill()

    def take(self, unit):
        """One unit that differs from the one before."""
        kind = unit[2] & 63
        if kind in (1, 2):
            self._status(unit[3] & 7)
        elif self.state == "in_service" or (self.state == "proved" and kind == 0):
            if self.state == "proved":
                self._up()
            self._numbered(unit, kind)

    def _status(self, value):
        if self.state == "aligning" and value in (SIO, SIN, SIE):
            self.status(SIE)
            self.state = "proved" if value != SIO else "aligning"
        elif self.state == "proved" and value == SIO:
            self.status(SIE)
        elif self.state == "in_service" and value in (SIO, SIN, SIE, SIOS):
            self.state = "out"
            self.far.tell("failed", slc=self.slc, reason={SIO: "SIO", SIN: "SIN", SIE: "SIE", SIOS: "SIOS"}[value])
            if self.far.realign:
                self.far.at(0.3, self.start)
            else:
                self.status(SIOS)

    def _up(self):
        self.state = "in_service"
        self.fill()
        self.far.tell("in_service", slc=self.slc)
        self.far.linked(self)

    def _numbered(self, unit, kind):
        bsn, bib, fsn = unit[0] & 127, unit[0] >> 7, unit[1] & 127
        before = len(self.unacknowledged)
        ahead = (self.fsn - bsn) % 128              # what the other end has not taken
        if ahead <= before:
            self.unacknowledged = self.unacknowledged[before - ahead:]
        changed = len(self.unacknowledged) != before
        if not self.pcr and bib != self.fib:        # 5.3: all from there again
            self.fib = bib
            for number, body in self.unacknowledged:
                self._send(self._unit(number, body))
        taken = None
        if kind:
            if fsn == (self.bsn + 1) % 128 and not self.held:
                if self.lose:
                    self.lose -= 1
                    self.lost.append(fsn)
                    if not self.pcr:
                        self.bib ^= 1               # 5.2: negative acknowledgement
                        changed = True
                else:
                    self.bsn, taken, changed = fsn, unit[3:], True
            elif fsn != self.bsn and not self.held:
                pass                                # behind one that was lost: it comes again
            else:
                self.far.tell("repeated", slc=self.slc, fsn=fsn)
        if changed:
            self.fill()
        if taken is not None:
            self.far.message(self, taken)


class ScriptedSS7(FarExchange):
    """own, other: 24-bit point codes.  links: [(span, timeslot, SLC, correction)].  realign: links that fail begin again."""

    def __init__(self, run_dir, spans, links, own, other, network=2, **more):
        places = ",".join("%d:%d:%d" % link[:3] for link in links)
        super().__init__(run_dir, spans, binary=BINARY.with_name("far-ss7"), options=["--ss7", "script," + places], **more)
        self.own, self.other, self.network, self.realign = own, other, network, True
        self.links = {slc: ScriptedLink(self, span, timeslot, slc, correction) for span, timeslot, slc, correction in links}
        self.lock = threading.RLock()
        self.answers = True                         # False: COO, CBD and LIN are left to the script
        self.listener = self._event
        self._inbox, self._due, self._numbers = queue.SimpleQueue(), [], itertools.count(1 << 40)
        self._ending = threading.Event()
        self._tests = {}

    def start(self, timeout_s=10.0):
        super().start(timeout_s)
        self._worker = threading.Thread(target=self._work, name="far ss7", daemon=True)
        self._worker.start()
        for link in self.links.values():
            link.start()
        return self

    def stop(self, timeout_s=5.0):
        self._ending.set()
        self._inbox.put(None)
        super().stop(timeout_s)

    # -- plumbing --

    def post(self, do, **fields):
        """A command whose reply nobody waits for."""
        import json
        line = json.dumps({"do": do, "seq": next(self._numbers), **fields}) + "\n"
        try:
            self._socket.sendall(line.encode())
        except (OSError, AttributeError):
            pass                                    # it is ending

    def tell(self, kind, **fields):
        """An event of the script's own."""
        with self._changed:
            last = self._events[-1]["n"] if self._events else 0
            self._events.append({"event": kind, "n": last, "time": time.time(), "mono": time.monotonic(), **fields})
            self._number_events()
            self._changed.notify_all()

    def _number_events(self):
        self._count = getattr(self, "_count", 0) + 1
        self._events[-1]["n"] = self._count

    def _event(self, event):
        if event["event"] == "unit":
            self._inbox.put(event)
        else:
            self._events.append(event)
            self._number_events()

    def at(self, delay_s, action):
        """Later, in the worker."""
        self._due.append((time.monotonic() + delay_s, action))
        self._inbox.put({})

    def _work(self):
        while not self._ending.is_set():
            wait = min([due for due, _ in self._due], default=time.monotonic() + 1) - time.monotonic()
            try:
                item = self._inbox.get(timeout=max(0.001, wait))
            except queue.Empty:
                item = {}
            if item is None:
                return
            with self.lock:
                for due in [row for row in self._due if row[0] <= time.monotonic()]:
                    self._due.remove(due)
                    due[1]()
                if item:
                    self.links[item["slc"]].take(bytes.fromhex(item["octets"]))

    # -- level 3 --

    def _label(self, service, sls):
        return bytes([self.network << 6 | service]) + self.other.to_bytes(3, "little") + self.own.to_bytes(3, "little") + bytes([sls])

    def management(self, slc, heading, body=b"", service=0):
        """A message about a link: SIO, label with the link's code, heading."""
        return self._label(service, slc) + bytes([heading]) + body

    def linked(self, link):
        """A link is in service: its test, and TRA (this exchange does not wait)."""
        link.send(self.management(link.slc, SLTM, bytes([0x40, 0xA5, 0x5A, 0xC3, 0x3C]), 1))
        link.send(self.management(link.slc, TRA))

    def message(self, link, octets):
        """SIO and SIF of a message that came over a link."""
        service, label, rest = octets[0] & 15, octets[1:8], octets[8:]
        slc = label[6] & 15
        if int.from_bytes(label[:3], "little") != self.own:
            return
        if service == 1:
            if rest[0] == SLTM:
                link.send(self.management(slc, SLTA, rest[1:], 1))
            self.tell("mtp", slc=slc, over=link.slc, name="SLTM" if rest[0] == SLTM else "SLTA", octets=rest.hex())
        elif service == 0:
            self._managed(link, slc, rest)
        elif service == 5:
            self._isup(link, rest)

    def _managed(self, link, slc, rest):
        name, target = MANAGEMENT.get(rest[0], "%02x" % rest[0]), self.links.get(slc)
        self.tell("mtp", slc=slc, over=link.slc, name=name, octets=rest.hex())
        if not self.answers:
            return
        reply = {"COO": COA, "ECO": ECA, "CBD": CBA, "LIN": LIA, "LUN": LUA}.get(name)
        if name in ("COO", "ECO"):
            target.allowed = False
            body = bytes([target.bsn]) if name == "COO" else b""
            link.send(self.management(slc, COA if name == "COO" else ECA, body))
            self.move(target, rest[1] & 127 if name == "COO" else None)
        elif name == "CBD":
            target.allowed = True
            link.send(self.management(slc, CBA, rest[1:2]))
        elif reply is not None:
            target.allowed = name == "LUN"
            link.send(self.management(slc, reply))

    def move(self, link, taken):
        """5.5: the messages that the other end has not taken go out again over another link.  taken: its number; None: unknown."""
        left = link.unacknowledged if taken is not None else []
        left = [body for fsn, body in left if (fsn - (taken or 0)) % 128 in range(1, 64)]
        link.unacknowledged = []
        for body in left:
            if body[0] & 15 > 2:
                self.path(body[7] & 15).send(body)

    def path(self, sls):
        """The link for a message: of those that may carry traffic, by SLS."""
        usable = [link for _, link in sorted(self.links.items()) if link.state == "in_service" and link.allowed]
        if not usable:
            raise RuntimeError("No signalling link of the scripted exchange carries traffic: %s."
                               % {slc: (link.state, link.allowed) for slc, link in self.links.items()})
        return usable[sls % len(usable)]

    # -- ISUP --

    def isup(self, cic, name, body=b"", over=None):
        """Send a message.  name: of ISUP, or its code; body: what follows the message type."""
        with self.lock:
            link = self.links[over] if over is not None else self.path(cic & 15)
            kind = ISUP.get(name, name)
            link.send(self._label(5, cic & 15) + cic.to_bytes(2, "little") + bytes([kind]) + body)

    def iam(self, cic, called, caller=""):
        """An IAM of a national number with ST, and perhaps a caller: Q.763 table 32."""
        def digits(text):
            codes = [int(c) for c in text] + ([0] if len(text) % 2 else [])
            return bytes([codes[i] | codes[i + 1] << 4 for i in range(0, len(codes), 2)])

        def with_st(text):
            codes = [int(c) for c in text] + [15]
            odd = len(codes) % 2
            codes += [0] * odd
            return bytes([odd << 7 | 3, 0x10]) + bytes([codes[i] | codes[i + 1] << 4 for i in range(0, len(codes), 2)])
        number = with_st(called)
        optional = b""
        if caller:
            content = bytes([len(caller) % 2 << 7 | 3, 0x13]) + digits(caller)
            optional = bytes([0x0A, len(content)]) + content + b"\0"
        fixed = bytes([0x00, 0x20, 0x01, 0x0A, 0x03])            # no satellite; ISUP all the way, ISDN access; ordinary; 3.1 kHz audio
        body = fixed + bytes([2, len(number) + 2 if optional else 0, len(number)]) + number + optional
        self.isup(cic, "IAM", body)

    def _isup(self, link, rest):
        cic, kind = int.from_bytes(rest[:2], "little"), rest[2]
        name = NAMES.get(kind, "%02x" % kind)
        self.tell("isup", cic=cic, name=name, octets=rest[2:].hex(), slc=link.slc)
        if name in ANSWERS:
            self.isup(cic, ANSWERS[name])
        elif name == "REL":
            self.isup(cic, "RLC", b"\0")
        elif name == "GRS":                         # pointer, length, range; the answer has a status of zeros behind
            size = rest[5]
            self.isup(cic, "GRA", bytes([1, 1 + (size + 8) // 8, size]) + bytes((size + 8) // 8))
        elif name in ("CGB", "CGU"):
            self.isup(cic, name + "A", rest[3:])

    def wait_isup(self, name, cic, since=0, timeout_s=30):
        """The next such message of a circuit."""
        return self.wait_for("isup", timeout_s, since=since, name=name, cic=cic)

    @staticmethod
    def called(iam):
        """The digits of the called number of an IAM that was told (Q.763 3.9); ST is none."""
        octets = bytes.fromhex(iam["octets"])
        at = 6 + octets[6]
        digits = "".join("%x%x" % (octet & 15, octet >> 4) for octet in octets[at + 3:at + 1 + octets[at]])
        return (digits[:-1] if octets[at + 1] & 0x80 else digits).rstrip("f")

    def seat(self, id, span, timeslot, record=None, proof=None, caller=False):
        """Ears and mouth of a circuit: then play(), dtmf() by id; unseat() closes the recording.

        proof: code of the tone that this end says and of the one that it listens for (proof.h), caller: whose end it is; `released` then has
        the blocks of 10 ms that were heard, silent or other, and the breaks."""
        return self.command("seat", id=id, cic=32 * self.spans.index(span) + timeslot, record=None if record is None else str(record),
                            proof=-1 if proof is None else proof, caller=caller)

    def unseat(self, id):
        self.command("unseat", id=id)
