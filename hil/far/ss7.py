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
    continuity{loop} ccr cot{passed} digits    checks of circuits (policy deaf=CIC: one without a loop), SAM (policy overlap=True: ACM waits for ST)
    message{cic, octets}         what libss7 cannot read, as hex from its type on; all messages after command watch
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

    def call(self, id, span, called, caller="", *, timeslot=None, redirecting=None, overlap=None, initial_digits=0, play=None,
             record=None, repeat=False, continuity=False, open=False):
        """As client.py.  continuity: the IAM asks for a check of its circuit, whose COT is ours to send (raw);
        open: the number ends without ST, SAMs follow (raw)."""
        return self.command("call", id=id, span=span, called=called, caller=caller, timeslot=timeslot, redirecting=redirecting,
                            play=None if play is None else str(play), record=None if record is None else str(record), repeat=repeat,
                            continuity=continuity, open=open)

    def raw(self, cic, octets):
        """Send a message that libss7 cannot make, over its MTP: octets from the message type on."""
        return self.command("raw", cic=cic, octets=bytes(octets).hex())

    def link_figures(self):
        """{slc: {"received", "repeated", "sent", "errors"}} of the signalling links."""
        mark = self.mark()
        self.command("links")
        return {e["slc"]: e for e in self.events("link", since=mark)}
