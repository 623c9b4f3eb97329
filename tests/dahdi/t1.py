"""The whole house with a T1 of robbed-bit circuits on DAHDI, inside the virtual machine of hil/dahdi/vm.sh: E&M, loop and ground start, feature groups.

The far end is DAHDI itself (hil/dahdi/bank.py): its state machines for FXO, FXS and E&M channels, and its DTMF and MF senders, none of them ours.
Each protocol has two calls, from one circuit of the bank through the product to the other: in on the one, out on the other, then the other way;
sound both ways on both.  The first is ended by its caller, the second by the called party.  The product has no other span, and no board."""

import time

import numpy

from hil.dahdi.bank import OTHER_END, Line
from hil.probes.pieces import share
from tests.dahdi import cards
from tests.dahdi.house import LONG_S, House

CALLED, DIALLED, ANI, OURS, SECONDS, HEARD = "8001", "4321", "2125550100", "2000", 1.5, 0.8
PLACES = {protocol: 1 + 2 * at for at, protocol in enumerate(OTHER_END)}        # the first of two timeslots
CHANNELS = 24
SETTLED_S = 2.5                     # of DAHDI: off-hook within 1.25 s of on-hook is a flash, ringing within 2 s of it no ringing


class Bank(House):
    """Span 2 is a T1 on DAHDI."""

    @staticmethod
    def routes(config):
        config["trunk_groups"].append({"name": "bank", "label": "Bank", "caller_number": OURS})
        config["spans"] = [{"span": 2, "type": "t1", "signalling": "cas", "trunk_group": "bank", "cas": {"protocol": "em_wink", "circuits": "1-2"}}]
        config["routes"] = [{"number": "9.", "choices": [{"trunk_group": "bank", "strip": 1}]}]
        config["numbers"].append({"number": CALLED, "application": "outside", "target": "9" + DIALLED})

    def start_board(self):
        self.run_dir.mkdir(parents=True, exist_ok=True)         # and no board

    def start(self):
        return super().start(exchange=False)

    def give(self, protocol):
        """Span 2 has this protocol."""
        first = PLACES[protocol]
        running = self.product.get("/configuration")
        running["configuration"]["spans"][0]["cas"] = {"protocol": protocol, "circuits": "%d-%d" % (first, first + 1), **(
            {"pilot": CALLED, "answer_after_s": 1} if protocol[:3] == "fxo" else {"called_length": len(CALLED)})}
        self.product.post("/configuration/apply", running)

    def free(self, first):
        self.wait(lambda s: not s["calls"] and [slot["state"] for row in s["spans"] for slot in row["timeslots"]
                                                if slot["timeslot"] in (first, first + 1)] == ["idle"] * 2, LONG_S, "two idle circuits")
        time.sleep(SETTLED_S)

    def protocol(self, protocol):
        """Its two calls."""
        first = PLACES[protocol]
        lines = [Line(CHANNELS + first + at, protocol) for at in range(2)]
        try:
            self.give(protocol)
            for caller, called in (lines, lines[::-1]):
                self.free(first)
                self.call(protocol, first + lines.index(caller), caller, called, caller is lines[0])
            self.free(first)
        finally:
            for line in lines:
                line.close()

    def call(self, protocol, timeslot, caller, called, caller_ends):
        name = "%s, in on timeslot %d" % (protocol, timeslot)
        for line in (caller, called):
            line.forget()
        caller.call(CALLED, ANI)
        called.take({"fgb": "K%sS" % DIALLED, "fgd": "K00%sSK%sS" % (ANI, DIALLED)}.get(protocol, DIALLED))
        caller.answered()
        found = [(row["called"], row["caller"], row["timeslot"]) for row in self.state()["calls"]]
        self.check(name + ": called, caller, timeslot", found == [(CALLED, ANI if protocol == "fgd" else "", timeslot)], found)
        time.sleep(0.5)
        noise = numpy.random.default_rng(timeslot)
        said = [noise.normal(0, 3000, int(8000 * SECONDS)).clip(-20000, 20000).astype(numpy.int16) for _ in range(2)]
        for line, samples in zip((caller, called), said, strict=True):
            line.listen()
            line.say(samples)
        time.sleep(SECONDS + 0.5)
        found = {"the called heard": share(said[0], called.heard()), "the caller heard": share(said[1], caller.heard())}
        self.check(name + ": sound both ways", min(found.values()) >= HEARD, found)
        first, last = (caller, called) if caller_ends else (called, caller)
        first.hang_up()
        last.ended()
        self.check(name + ": ended by the " + ("caller" if caller_ends else "called"), True)


def run(result, say, protocols=tuple(OTHER_END)):
    """Returns what is wrong."""
    cards.load()
    ends = ["%s=%d-%d" % (OTHER_END[protocol], CHANNELS + first, CHANNELS + first + 1) for protocol, first in PLACES.items()]
    cards.settle(["dynamic=loc,1:0,%d,0" % CHANNELS, "dynamic=loc,1:1,%d,0" % CHANNELS, "cas=1-%d:0000" % CHANNELS, *ends,
                  "cas=%d-%d:0000" % (CHANNELS + 2 * len(PLACES) + 1, 2 * CHANNELS)], law="mulaw=1-%d" % (2 * CHANNELS))
    with Bank("/tmp/t1", say) as house:
        house.begin()
        for protocol in protocols:
            try:
                house.protocol(protocol)
            except Exception as error:              # the other protocols still tell
                house.check(protocol, False, "%s: %s" % (type(error).__name__, error))
                house.tell("calls: %s" % house.state()["calls"])
                house.tell("spans: %s" % house.state()["spans"])
                for name in ("media", "control"):
                    print((house.data_dir / "log" / f"{name}.log").read_text(errors="replace")[-1500:], flush=True)
        result["seen"] = house.seen
    cards.destroy()
    cards.unload()
    return house.wrong
