"""Cuts a piece out of the ring as pcapng; a process of its own at the lowest priority, so that nothing of the switch waits for it.

    python -m firmware.trace FOLDER  < question  > file

question: one JSON object {"since_us", "until_us", "spans"?: [..], "legs"?: see calls.py, "hosts"?: [addresses or networks of a SIP
trunk], "wide"?: 24-bit point codes, "comment"?}.  Frames are written as they are found, a segment of the ring at a time in memory; of a
call only what could be its is held.
"""

import ipaddress
import json
import os
import sys

from firmware.trace import calls, ring, sip
from firmware.trace.pcapng import PcapngWriter

OCTETS_MOST = 2 << 30           # of one answer; ours: it is streamed


def of_hosts(records, hosts):
    """The SIP messages to and from addresses or networks."""
    networks = [ipaddress.ip_network(host, strict=False) for host in hosts]
    for record in records:
        known = sip.unpack(record[5]) if record[0] == ring.SIP else sip.refusals(record[5]) if record[0] == ring.REFUSED else None
        if known is None:
            continue
        addresses = known[1] if record[0] == ring.REFUSED else [end[0] for end in known[1:3]]
        if any(address in network for address in addresses for network in networks if network.version == address.version):
            yield record


def chosen(folder, question):
    """The records that a question asks for, in order."""
    def found():
        return ring.records(folder, question["since_us"], question["until_us"])
    if question.get("legs") is not None:
        legs = [dict(leg, codes=leg.get("codes") and frozenset(leg["codes"])) for leg in question["legs"]]
        wide = question.get("wide", False)
        known = calls.call_ids(found(), legs) if any(leg["tech"] == "sip" for leg in legs) else set()
        return calls.of_legs(list(calls.candidates(found(), legs, wide, known)), legs, wide)
    if question.get("hosts") is not None:
        return of_hosts(found(), question["hosts"])
    spans = question.get("spans")
    return (record for record in found() if spans is None or record[1] in spans)


def main():
    os.nice(19)
    question = json.load(sys.stdin)
    out = sys.stdout.buffer
    writer = PcapngWriter(out, question.get("comment") or "")
    out.flush()                 # whoever waits knows that it begins
    octets = 0
    try:
        for record in chosen(sys.argv[1], question):
            octets += len(record[5]) + 64
            if octets > OCTETS_MOST:
                break
            writer.put(record)
        out.flush()
    except BrokenPipeError:     # nobody wants it any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    main()
