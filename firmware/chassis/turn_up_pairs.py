"""Which far end answers to which span: all ones go out on each span at times of its own, and the far end that loses its frames says so at once.

A far end that receives AIS sends RAI (G.732 4.2, table 2), whatever equipment and signalling it is.  So each span gets a word: AIS in half of
all turns, no two spans in the same ones.  Where the RAI that comes back on a span has the word of another one, the transmit pair of that one
and the receive pair of this one go to the same far end: the pairs are exchanged between two cables.  A turn that was seen wrongly makes no
word of any span (all have the same weight), so nothing is said rather than something false.

E1 only: a T1 waits seconds before it says that it receives AIS, and goes on saying so for more than ten (T1.403).  Calls on the span would
be cut, so turn-up asks for it with the loop only, and keeps the timeslots meanwhile."""

import asyncio
import itertools
import math

from firmware.chassis.line_orders import TURN_UP
from firmware.chassis.turn_up_held import to_its_end

TURNS_LEAST = 6             # so that a span with faults of its own hardly has a word by chance; ours
LOOKS = 3                   # at all framers, after which a turn is seen; the first may have begun before
TURN_S = 5.0                # a board that does not look meanwhile has other troubles; invented


def words(spans):
    """{span: (True where it sends all ones, a turn each)}, no two alike, each with as many turns as another."""
    turns = TURNS_LEAST
    while math.comb(turns, turns // 2) < len(spans):
        turns += 2
    chosen = itertools.combinations(range(turns), turns // 2)
    return {span: tuple(turn in ones for turn in range(turns)) for span, ones in zip(spans, chosen)}


def read(sent, heard):
    """{span: the span whose word came back on it}; spans on which no word came back are left out.  heard: {span: (True where RAI came, ...)}."""
    spans = {word: span for span, word in sent.items()}
    return {span: spans[tuple(word)] for span, word in heard.items() if tuple(word) in spans}


async def ask(spans, framers, keeper):
    """Send the words on these spans, which carry no calls.  Returns read()'s answer; raises StrowgerError where an order is not taken."""
    sent = words(spans)
    heard, now = {span: [] for span in spans}, dict.fromkeys(spans, False)
    try:
        for turn in range(len(next(iter(sent.values()), ()))):
            change = [span for span in spans if sent[span][turn] != now[span]]
            await asyncio.gather(*(framers.force(span, False, sent[span][turn], TURN_UP) for span in change))
            now.update((span, sent[span][turn]) for span in change)
            await _looked(keeper)
            for span in spans:
                heard[span].append("rai" in keeper.defects(span))
    finally:
        await to_its_end(asyncio.gather(*(framers.force(span, False, False, TURN_UP) for span in spans), return_exceptions=True))
    return read(sent, heard)


async def _looked(keeper):
    """Until the framers have been looked at LOOKS times."""
    until = keeper.looks + LOOKS
    deadline = asyncio.get_running_loop().time() + TURN_S
    while keeper.looks < until and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.05)
