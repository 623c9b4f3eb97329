"""What a conformance test's machines said and heard, as a file: build/conformance/<standard>/<test>.pcapng, named in its row.

A pytest plugin of tests/conformance.py.  While a marked test runs, the borders of the sans-I/O machines are listened at: frames of Q.921 and signal units of Q.703 as they
are; what tests give to layer 3 alone (Q.931, Q.704, Q.763) gets a bare frame around it (an I frame, an MSU with sequence numbers 0); line states and
register signals are text.  Times are counted, 1 ms a record: these tests have a clock of their own.  Live tests keep the wire's own trace for tshark in their house."""

import functools
import os
import pathlib
import re

import pytest

from firmware.proto.cas.line import Line
from firmware.proto.isup.node import ISUP
from firmware.proto.mtp2 import MTP2Link
from firmware.proto.mtp3.node import MTP3
from firmware.proto.q921 import Q921Link
from firmware.proto.q931.link import Q931Link
from firmware.proto.r2.incoming import IncomingRegister
from firmware.proto.r2.outgoing import OutgoingRegister
from firmware.trace import pcapng, ring

BUILD = pathlib.Path(os.environ.get("STROWGER_CONFORMANCE") or pathlib.Path(__file__).resolve().parents[1] / "build")     # of conformance.json
MOST = 5000             # records of a test: mutations would fill the disk
# part of a test's path: its far end.  The rest: the test's own script.
PEERS = (("libpri", "libpri 1.6.0"), ("libss7", "libss7 2.0.0"), ("openr2", "libopenr2 1.3.3"), ("live/test_ss7_script", "scripted (hil/far/ss7_script.py)"),
         ("live/test_ss7", "libss7 2.0.0"), ("live/test_cas", "libopenr2 1.3.3"), ("live/pri_", "libpri 1.6.0"), ("live/test_outgoing", "libpri 1.6.0"))


def peer_of(nodeid):
    """Who was at the other end."""
    return next((peer for part, peer in PEERS if part in nodeid), "scripted (%s)" % nodeid.partition("::")[0])


def _frame(machine, octets, sent):
    """An I frame around a layer 3 message: SAPI 0, TEI 0, both numbers 0 (Q.921 2.2)."""
    command = (machine.side == "network") == sent
    return bytes([machine.side == "network", 2 if command else 0, 1, 0, 0]) + octets


def _unit(octets):
    return bytes([0x80, 0x80, min(63, len(octets))]) + octets


def _isup(far, sls, octets, sent):
    """SIO and label of 14-bit codes, ours 0 (Q.704 2.2, 14.2)."""
    dpc, opc = (far, 0) if sent else (0, far)
    return _unit(b"\x85" + (dpc & 0x3FFF | (opc & 0x3FFF) << 14 | (sls & 15) << 28).to_bytes(4, "little") + octets)


class Evidence:
    """The plugin.  paths: {node id of a test: its file}; of one that said nothing there is none."""

    def __init__(self):
        self.paths, self._records = {}, None

    def note(self, kind, payload, sent, span=1):
        if self._records is not None and len(self._records) < MOST:
            self._records.append((kind, span, 16 if kind in (ring.LAPD, ring.MTP2) else 1, int(sent), 1000 * len(self._records), payload))

    def listen(self):
        """At the borders of the machines."""
        def heard(owner, name, told):
            def listening(before):
                @functools.wraps(before)
                def receive(machine, *arguments, **more):
                    for kind, payload in told(machine, *arguments):
                        self.note(kind, payload, False)
                    return before(machine, *arguments, **more)
                return receive
            setattr(owner, name, listening(getattr(owner, name)))

        def said(owner, told):
            def listening(before):
                @functools.wraps(before)
                def take_output(machine, *arguments, **more):
                    output = before(machine, *arguments, **more)
                    for item in output:
                        for kind, payload in told(machine, item):
                            self.note(kind, payload, True)
                    return output
                return take_output
            owner.take_output = listening(owner.take_output)

        side = {True: b"\1", False: b"\0"}
        heard(Q921Link, "receive", lambda link, octets, *_: [(ring.LAPD, side[link.side == "network"] + octets)])
        said(Q921Link, lambda link, octets: [(ring.LAPD, side[link.side == "network"] + octets)])
        heard(Q931Link, "receive", lambda link, octets, *_: [(ring.LAPD, _frame(link, octets, False))])
        said(Q931Link, lambda link, octets: [(ring.LAPD, _frame(link, octets, True))])
        heard(MTP2Link, "receive", lambda link, octets, *_: [(ring.MTP2, bytes(octets))])
        said(MTP2Link, lambda link, octets: [(ring.MTP2, bytes(octets))])
        heard(MTP3, "link_event", lambda node, link, event, *_: [(ring.MTP2, _unit(event[1]))] if event[0] == "message" else [])
        said(MTP3, lambda node, item: [(ring.MTP2, _unit(item[2]))] if item[1] == "message" and item[2] else [])
        heard(ISUP, "receive", lambda node, opc, octets, *_: [(ring.MTP2, _isup(opc, 0, octets, False))])
        said(ISUP, lambda node, item: [(ring.MTP2, _isup(item[0], item[1], item[2], True))])
        heard(Line, "bits", lambda line, bits, *_: [(ring.CAS, bytes([bits & 15]))])
        said(Line, lambda line, bits: [(ring.CAS, bytes([bits & 15]))])
        for register, theirs, ours in ((IncomingRegister, "forward", "backward"), (OutgoingRegister, "backward", "forward")):
            heard(register, "tone", lambda register, signal, *_, way=theirs: [(ring.REGISTER, ("r2_%s signal %s" % (way, signal or "ends")).encode())])
            said(register, lambda register, signal, way=ours: [(ring.REGISTER, ("r2_%s signal %s" % (way, signal or "ends")).encode())])

    def pytest_sessionstart(self, session):
        self.listen()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item):
        marker = item.get_closest_marker("conformance")
        self._records = [] if marker is not None else None
        yield
        records, self._records = self._records, None
        if records:
            path = BUILD / "conformance" / re.sub(r"[^\w.-]+", "_", marker.args[0]) / (re.sub(r"[^\w.-]+", "_", item.nodeid.partition("tests/")[2])[:180] + ".pcapng")
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "wb") as out:
                writer = pcapng.PcapngWriter(out, "%s %s" % marker.args[:2])
                for record in records:
                    writer.put(record)
            self.paths[item.nodeid] = str(path.relative_to(BUILD))
