"""A facsimile on a leg: in place of a service this process itself is the machine (ITU-T T.30, firmware/streaming/_fax.pyx).

The leg's audio is taken in steps of the pump, and as many samples as came go out, so both ways keep the time of the line.  LEAD_MS of silence go
ahead: so long may this process, or media's thread, stand still without a hole in what a modem sends.  What is told:

    opened      the machine listens
    page        pages: confirmed so far, by whoever receives
    fax         role, ok, pages, rate (bit/s), ecm, station (who the far end says it is), why (a sentence where ok is false)"""

import numpy

from dsp import g711

LEAD_MS = 300               # ours: above the stalls of a shared machine; T.30 waits 3 s for an answer (T4)
SILENCE = 0xD5              # A-law
STEP = 160
# T30_ERR_ of spandsp 0.0.6 (t30.h), by their place; what an administrator can do something with is said, the rest is named.
WHY = {1: "the other machine's answer tone does not end", 2: "no machine answered in time", 3: "nothing was heard of a fax machine in time",
       6: "the modems do not understand each other; the line is too bad", 8: "the other machine cannot do what we can",
       9: "the other machine cannot receive", 10: "the other machine cannot send", 11: "the other machine cannot print this resolution",
       12: "the other machine cannot print this width", 14: "the other machine refused all speeds", 15: "the other machine hung up after a page",
       17: "the other machine hung up before it began", 20: "the other machine gives no answer to what we send", 21: "the other machine gave no answer after a page",
       42: "the document cannot be opened", 44: "the document is no picture that a fax machine prints", 49: "the other machine hung up after all tries",
       50: "the call ended"}


def sentence(status):
    """What went wrong."""
    return WHY.get(status, "the procedure ended with T.30 status %d of spandsp" % status)


class FaxSession:
    """order: what media/streams.py sends (document, role, station, header).  page: rings.Page.  say(what, **fields)."""

    purpose = "fax"

    def __init__(self, order, page, say):
        from firmware.streaming._fax import Terminal
        self.order, self.page, self._say = order, page, say
        way = "receive" if order["role"] == "receives" else "send"
        self._terminal = Terminal(calls=order["role"] == "calls", station=order["station"], header=order["header"], **{way: order["document"]})
        self._lost, self._pages, self._told = page.lost, 0, False
        self._rest = numpy.zeros(0, numpy.int16)
        page.put(bytes([SILENCE]) * (LEAD_MS * 8))
        say("opened")

    def pump(self):
        """Each 20 ms; never waits."""
        if self._told:
            return
        law = numpy.frombuffer(self.page.take(), numpy.uint8).reshape(-1, 2)[:, 0]
        heard = g711.expand(numpy.ascontiguousarray(law), 0) if len(law) else numpy.zeros(0, numpy.int16)
        lost, self._lost = self.page.lost - self._lost, self.page.lost
        if lost:                        # we stood still for seconds: time goes on for the procedure all the same
            heard = numpy.concatenate([numpy.zeros(min(lost // 2, 8000), numpy.int16), heard])
        for at in range(0, len(heard), STEP):
            piece = numpy.ascontiguousarray(heard[at:at + STEP])
            self._terminal.receive(piece)
            octets = g711.compress(self._terminal.transmit(len(piece)), 0).tobytes()
            self.page.put(octets[:self.page.room()])
            if self._terminal.over:
                break
        self._tell()

    def _tell(self):
        figures = self._terminal.figures()
        if figures["pages"] > self._pages:
            self._pages = figures["pages"]
            self._say("page", pages=self._pages)
        if self._terminal.over:
            self._told = True
            ok = self._terminal.status == 0
            self._terminal.close()          # what was received is a whole file before it is told
            self._say("fax", role=self.order["role"], ok=ok, why=None if ok else sentence(self._terminal.status),
                      **{name: figures[name] for name in ("pages", "rate", "ecm", "station")})
            self.page.end()

    def tell(self, message):
        """Nothing can be told to a fax machine."""

    def close(self):
        """The page is not touched from now on.  Returns a coroutine."""
        self._told = True
        self._terminal.close()
        return _nothing()


async def _nothing():
    return None
