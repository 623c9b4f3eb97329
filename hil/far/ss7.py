"""Driver of the SS7 far exchange: an exchange of libss7 on lines, with signalling links in any timeslot.

    far = FarSS7(run_dir, spans=[1, 2], links=[(1, 16, 0), (2, 7, 1)], own=200, other=100, trace_dir="/tmp/t/trace")
    far.start()
    far.wait_for("ss7_up", 20)
    far.call("x1", span=1, called="02150801000", caller="13912345678")    # IAM; events as of hil/far/client.py
    far.command("blo", first=5); far.command("grs", first=1, last=15); far.command("links")

variant: "itu" (14-bit point codes), "ansi", or "china": ITU with the labels rewritten to 24 bits, own and other being the low 14
bits and HIGH the others.  CIC 32 k + t is timeslot t of the k-th span.  Commands and events of calls are those of the PRI exchange (client.py); further
    link_up link_down            a signalling link in service, out of service; ss7_up, ss7_down: the other exchange
    grs cgb cgb_hardware cgu cgu_hardware blo ubl ...    first, last: CICs that a message of the box names
    reset                        RSC; isup: any other message, by libss7's name
Trace: ss7.pcap, signal units of both directions (link type 139: with direction and link), each fill-in unit once.
libss7 is GPL: it is a program of its own (hil/far/ss7_link.c, ss7_calls.c)."""

from hil.far.client import BINARY, FarExchange

HIGH = 0x0B4000


class FarSS7(FarExchange):
    """links: [(span, timeslot, SLC)].  own, other: point codes.  crc4, trace_dir: as FarExchange."""

    def __init__(self, run_dir, spans, links, own=200, other=100, variant="itu", **more):
        places = ",".join("%d:%d:%d" % link for link in links)
        super().__init__(run_dir, spans, binary=BINARY.with_name("far-ss7"),
                         options=["--ss7", f"{variant},{own},{other},{places}"], **more)

    def link_figures(self):
        """{slc: {"received", "repeated", "sent", "errors"}} of the signalling links."""
        mark = self.mark()
        self.command("links")
        return {e["slc"]: e for e in self.events("link", since=mark)}
