"""Cuts a piece out of the ring as pcapng; a process of its own at the lowest priority, so that nothing of the switch waits for it.

    python -m firmware.trace FOLDER  < question  > file

question: one JSON object {"since_us", "until_us", "spans"?: [..], "legs"?: see calls.py, "wide"?: 24-bit point codes, "comment"?}.
"""

import json
import os
import sys

from firmware.trace import calls, ring
from firmware.trace.pcapng import PcapngWriter

OCTETS_MOST = 256 << 20         # of one answer; ours


def main():
    os.nice(19)
    question = json.load(sys.stdin)
    out = sys.stdout.buffer
    writer = PcapngWriter(out, question.get("comment") or "")
    found = ring.records(sys.argv[1], question["since_us"], question["until_us"])
    if question.get("legs") is not None:
        chosen = calls.of_legs(list(found), [dict(leg, codes=leg.get("codes") and frozenset(leg["codes"])) for leg in question["legs"]],
                               question.get("wide", False))
    else:
        spans = question.get("spans")
        chosen = (record for record in found if spans is None or record[1] in spans)
    octets = 0
    for record in chosen:
        octets += len(record[5]) + 64
        if octets > OCTETS_MOST:
            break
        writer.put(record)
    out.flush()


if __name__ == "__main__":
    main()
