"""Q.921 clause by clause: what a data link answers in each of its states, played by a scripted far end.

A case is (clause, purpose, state it begins in, steps).  Steps:
    "> SABME p1"  the far end sends a frame: p a command, f a response, its P or F bit; "s1 r0" N(S) and N(R); "=aa" octets
    "< UA f1"     what we sent, all of it, frames parted by commas; "< -" nothing
    "! event"     events of the step before, by name (mdl_error_indication with its letter), "! -" none
    "? primitive" a request of layer 3, octets behind it;  "+ T200": time passes to our next timer, which is this one
    "= 7"         the state, by its number in Annex B; "busy", "free": our own receiver

What stands here against our own machine alone is checked against libpri's LAPD in test_q931_libpri.py."""

import re
import shutil

import pytest

from firmware.proto import q921_frames as frames
from firmware.proto.q921 import Q921Link
from firmware.proto.q921_table import PARAMETERS
from tests.proto.isdn import tshark, write_pcap

STATES = {"TEI_ASSIGNED": 4, "AWAITING_ESTABLISHMENT": 5, "AWAITING_RELEASE": 6, "MULTIPLE_FRAME_ESTABLISHED": 7, "TIMER_RECOVERY": 8}
TO = {4: [], 5: ["? dl_establish_request", "< SABME p1"], 7: ["? dl_establish_request", "< SABME p1", "> UA f1"]}
TO[6] = [*TO[7], "? dl_release_request", "< DISC p1"]
TO[8] = [*TO[7], "? dl_data_request aa", "< I p0 s0 r0 =aa", "+ T200", "< RR p1 r0"]

CASES = [
    # 5.4 unacknowledged, 5.5 establishment and release
    ("5.2.2", "UI carries information outside of multiple frame operation", 4, ["> UI p0 =31", "! dl_unit_data_indication", "< -", "= 4"]),
    ("5.2.2/7", "UI carries information within multiple frame operation, and counts for nothing", 7, ["> UI p0 =31", "! dl_unit_data_indication", "< -"]),
    ("5.4", "XID is taken without harm", 7, ["> XID p0", "! -", "< -", "= 7"]),
    ("5.5.1.1", "establishment: SABME with P = 1, T200 runs", 4, ["? dl_establish_request", "< SABME p1", "= 5", "+ T200", "< SABME p1"]),
    ("5.5.1.2/UA", "UA with F = 1 establishes", 5, ["> UA f1", "! dl_establish_confirm", "= 7", "< -"]),
    ("5.5.1.2/UA0", "UA with F = 0 does not establish", 5, ["> UA f0", "! mdl_error_indication:D", "= 5"]),
    ("5.5.1.2/DM", "DM with F = 1 refuses", 5, ["> DM f1", "! dl_release_indication", "= 4"]),
    ("5.5.1.2/DM0", "DM with F = 0 is ignored while establishing", 5, ["> DM f0", "! -", "= 5"]),
    ("5.5.1.2/P0", "SABME with P = 0 is answered with F = 0", 4, ["> SABME p0", "! dl_establish_indication", "< UA f0", "= 7"]),
    ("5.5.1.2/I", "numbers begin at 0", 4, ["> SABME p1", "< UA f1", "? dl_data_request aa", "< I p0 s0 r0 =aa", "> I p0 s0 r1 =bb", "! dl_data_indication", "< RR f0 r1"]),
    ("5.5.1.3/again", "SABME is repeated with T200 until UA comes", 5, ["+ T200", "< SABME p1", "+ T200", "< SABME p1", "> UA f1", "! dl_establish_confirm"]),
    ("5.5.2", "information is sent only in multiple frame operation", 4, ["? dl_data_request aa", "< -", "= 4"]),
    ("5.5.2/5", "information given while establishing goes out after UA", 5, ["? dl_data_request aa", "< -", "> UA f1", "< I p0 s0 r0 =aa"]),
    ("5.5.3.1", "release: DISC with P = 1, UA", 7, ["? dl_release_request", "< DISC p1", "= 6", "> UA f1", "! dl_release_confirm", "= 4"]),
    ("5.5.3.1/DM", "DM with F = 1 releases as well", 6, ["> DM f1", "! dl_release_confirm", "= 4"]),
    ("5.5.3.1/UA0", "UA with F = 0 does not release", 6, ["> UA f0", "! mdl_error_indication:D", "= 6"]),
    ("5.5.3.1/4", "release of what is not established is confirmed at once", 4, ["? dl_release_request", "! dl_release_confirm", "< -", "= 4"]),
    ("5.5.3.1/I", "information that comes during release is thrown away", 6, ["> I p0 s0 r0 =aa", "! -", "< -", "= 6"]),
    ("5.5.3.2", "DISC from the far end is answered with UA", 7, ["> DISC p1", "! dl_release_indication", "< UA f1", "= 4"]),
    ("5.5.3.2/8", "DISC in timer recovery", 8, ["> DISC p1", "! dl_release_indication", "< UA f1", "= 4"]),
    ("5.5.3.3", "DISC is repeated with T200, N200 times, then released all the same", 6,
     ["+ T200", "< DISC p1", "+ T200", "< DISC p1", "+ T200", "< DISC p1", "+ T200", "! mdl_error_indication:H dl_release_confirm", "= 4", "< -"]),
    ("5.5.4/DISC", "DISC while released is answered with DM", 4, ["> DISC p1", "< DM f1", "= 4"]),
    ("5.5.4/DISC0", "... with the same bit", 4, ["> DISC p0", "< DM f0"]),
    ("5.5.4/UA", "UA while released is an error", 4, ["> UA f1", "! mdl_error_indication:C", "= 4"]),
    ("5.5.4/I", "I and supervisory frames while released are thrown away", 4, ["> I p1 s0 r0 =aa", "< -", "> RR p1 r0", "< -", "> REJ p1 r0", "< -", "> RNR p1 r0", "< -", "= 4"]),
    ("5.5.4/DM", "DM with F = 0 while released asks to establish", 4, ["> DM f0", "< SABME p1", "= 5"]),
    ("5.5.4/DM1", "DM with F = 1 while released is ignored", 4, ["> DM f1", "< -", "= 4"]),
    ("5.5.5.1/5", "SABME while we establish is answered with UA, and ours waits on", 5, ["> SABME p1", "< UA f1", "= 5", "> UA f1", "! dl_establish_confirm", "= 7"]),
    ("5.5.5.1/6", "DISC while we release is answered with UA", 6, ["> DISC p1", "< UA f1", "= 6", "> UA f1", "! dl_release_confirm"]),
    ("5.5.5.2/5", "DISC while we establish is answered with DM", 5, ["> DISC p1", "< DM f1", "= 5"]),
    ("5.5.5.2/6", "SABME while we release is answered with DM", 6, ["> SABME p1", "< DM f1", "= 6"]),

    # 5.6 information transfer
    ("5.6.1/T200", "T200 starts with the first I frame, T203 is stopped", 7, ["? dl_data_request aa", "< I p0 s0 r0 =aa", "+ T200", "< RR p1 r0", "= 8"]),
    ("5.6.2.1", "I with P = 1 is answered with RR, F = 1", 7, ["> I p1 s0 r0 =aa", "! dl_data_indication", "< RR f1 r1"]),
    ("5.6.2.1/busy", "I with P = 1 is answered with RNR, F = 1, while we are busy; its octets are thrown away", 7,
     ["busy", "< RNR f0 r0", "> I p1 s0 r0 =aa", "! -", "< RNR f1 r0"]),
    ("5.6.2.2", "I with P = 0 is acknowledged by RR", 7, ["> I p0 s0 r0 =aa", "< RR f0 r1"]),
    ("5.6.2.2/order", "frames in sequence are given up in order", 7, ["> I p0 s0 r0 =aa", "! dl_data_indication", "> I p0 s1 r0 =bb", "! dl_data_indication", "< RR f0 r2"]),
    ("5.6.3.1", "RR acknowledges: T200 stops, T203 runs", 7, ["? dl_data_request aa", "< I p0 s0 r0 =aa", "> RR f0 r1", "+ T203", "< RR p1 r0"]),
    ("5.6.3.1/part", "RR of a part restarts T200", 7, ["? dl_data_request aa", "? dl_data_request bb", "< I p0 s0 r0 =aa, I p0 s1 r0 =bb", "> RR f0 r1", "+ T200", "< RR p1 r0"]),
    ("5.6.3.1/I", "N(R) of an I frame acknowledges", 7, ["? dl_data_request aa", "< I p0 s0 r0 =aa", "> I p0 s0 r1 =bb", "< RR f0 r1", "+ T203", "< RR p1 r1"]),
    ("5.6.3.2", "RR command with P = 1 is answered with RR, F = 1", 7, ["> RR p1 r0", "< RR f1 r0"]),
    ("5.6.3.2/busy", "... with RNR while we are busy", 7, ["busy", "< RNR f0 r0", "> RR p1 r0", "< RNR f1 r0", "free", "< RR f0 r0"]),
    ("5.6.4", "REJ: everything from its N(R) again", 7,
     ["? dl_data_request aa", "? dl_data_request bb", "< I p0 s0 r0 =aa, I p0 s1 r0 =bb", "> REJ f0 r0", "< I p0 s0 r0 =aa, I p0 s1 r0 =bb"]),
    ("5.6.4/part", "REJ acknowledges what is below its N(R)", 7,
     ["? dl_data_request aa", "? dl_data_request bb", "< I p0 s0 r0 =aa, I p0 s1 r0 =bb", "> REJ f0 r1", "< I p0 s1 r0 =bb"]),
    ("5.6.4/P", "REJ command with P = 1 is answered with F = 1", 7, ["> REJ p1 r0", "< RR f1 r0"]),
    ("5.6.4/busy", "REJ ends peer receiver busy", 7, ["> RNR f0 r0", "? dl_data_request aa", "< -", "> REJ f0 r0", "< I p0 s0 r0 =aa"]),
    ("5.6.5/hold", "RNR holds new frames", 7, ["> RNR f0 r0", "? dl_data_request aa", "< -", "> RR f0 r0", "< I p0 s0 r0 =aa"]),
    ("5.6.5/T200", "peer busy: T200 expires, RR with P = 1 asks", 7, ["> RNR f0 r0", "+ T200", "< RR p1 r0", "= 8", "> RNR f1 r0", "= 7", "+ T200", "< RR p1 r0"]),
    ("5.6.5/ack", "RNR acknowledges", 7, ["? dl_data_request aa", "< I p0 s0 r0 =aa", "> RNR f0 r1", "> RR f0 r1", "+ T203", "< RR p1 r0"]),
    ("5.6.6/free", "end of our own busy: RR", 7, ["busy", "< RNR f0 r0", "free", "< RR f0 r0"]),
    ("5.6.6/ack", "while busy N(R) still acknowledges", 7, ["? dl_data_request aa", "< I p0 s0 r0 =aa", "busy", "< RNR f0 r0", "> RR f0 r1", "+ T203", "< RNR p1 r0"]),
    ("5.6.7/RR", "timer recovery: RR with F = 1 repeats from its N(R)", 8, ["> RR f1 r0", "= 7", "< I p0 s0 r0 =aa"]),
    ("5.6.7/ack", "timer recovery: RR with F = 1 that acknowledges all", 8, ["> RR f1 r1", "= 7", "< -", "+ T203", "< RR p1 r0"]),
    ("5.6.7/RR0", "timer recovery: RR with F = 0 does not end it", 8, ["> RR f0 r1", "= 8", "< -"]),
    ("5.6.7/REJ", "timer recovery: REJ with F = 1 ends it", 8, ["> REJ f1 r0", "= 7", "< I p0 s0 r0 =aa"]),
    ("5.6.7/RNR", "timer recovery: RNR with F = 1 ends it, frames are held", 8, ["> RNR f1 r0", "= 7", "< -", "> RR f0 r0", "< I p0 s0 r0 =aa"]),
    ("5.6.7/I", "timer recovery: I frames are taken", 8, ["> I p0 s0 r0 =bb", "! dl_data_indication", "< RR f0 r1", "= 8"]),
    ("5.6.7/P", "timer recovery: a command with P = 1 is answered", 8, ["> RR p1 r0", "< RR f1 r0", "= 8"]),
    ("5.6.7/N200", "timer recovery: N200 enquiries, then establishment anew", 8,
     ["+ T200", "< RR p1 r0", "+ T200", "< RR p1 r0", "+ T200", "! mdl_error_indication:I", "< SABME p1", "= 5"]),

    # 5.7 establishment anew, 5.8 exceptions
    ("5.7.1/SABME", "SABME on an idle link: UA, layer 3 need not know", 7, ["> SABME p1", "! mdl_error_indication:F", "< UA f1", "= 7"]),
    ("5.7.1/lost", "SABME with frames under way: layer 3 hears of it", 8, ["> SABME p1", "! mdl_error_indication:F dl_establish_indication", "< UA f1", "= 7"]),
    ("5.7.1/request", "layer 3 may ask for establishment anew", 7, ["? dl_establish_request", "< SABME p1", "= 5", "> UA f1", "! dl_establish_confirm"]),
    ("5.7.2", "numbers are 0 after establishment anew", 7,
     ["> I p0 s0 r0 =aa", "< RR f0 r1", "> SABME p1", "< UA f1", "> I p0 s0 r0 =bb", "! dl_data_indication", "< RR f0 r1"]),
    ("5.8.1/REJ", "N(S) out of sequence: one REJ", 7, ["> I p0 s1 r0 =bb", "! -", "< REJ f0 r0", "> I p0 s2 r0 =cc", "! -", "< -"]),
    ("5.8.1/P", "... with F = 1 where the frame had P = 1", 7, ["> I p1 s1 r0 =bb", "< REJ f1 r0"]),
    ("5.8.1/again", "a second out of sequence with P = 1 is answered with RR", 7, ["> I p0 s1 r0 =bb", "< REJ f0 r0", "> I p1 s2 r0 =cc", "< RR f1 r0"]),
    ("5.8.1/over", "the frame that was missing ends the condition", 7,
     ["> I p0 s1 r0 =bb", "< REJ f0 r0", "> I p0 s0 r0 =aa", "! dl_data_indication", "< RR f0 r1", "> I p0 s2 r0 =cc", "< REJ f0 r1"]),
    ("5.8.1/ack", "N(R) of a frame out of sequence still acknowledges", 7, ["? dl_data_request aa", "< I p0 s0 r0 =aa", "> I p0 s5 r1 =bb", "< REJ f0 r0", "+ T203", "< RR p1 r0"]),
    ("5.8.2", "N(R) error in RR: establishment anew", 7, ["> RR f0 r3", "! mdl_error_indication:J", "< SABME p1", "= 5"]),
    ("5.8.2/I", "N(R) error in an I frame: its octets are given up, then establishment anew", 7,
     ["> I p0 s0 r9 =aa", "! dl_data_indication mdl_error_indication:J", "< SABME p1", "= 5"]),
    ("5.8.2/8", "N(R) error in timer recovery", 8, ["> RR f1 r9", "! mdl_error_indication:J", "< SABME p1", "= 5"]),
    ("5.8.2/REJ", "N(R) error in REJ and RNR", 7, ["> REJ f0 r3", "! mdl_error_indication:J", "< SABME p1", "> UA f1", "> RNR f0 r3", "! mdl_error_indication:J", "< SABME p1"]),
    ("5.8.6/FRMR", "FRMR: establishment anew", 7, ["> FRMR f1 =0000000000", "! mdl_error_indication:K", "< SABME p1", "= 5"]),
    ("5.8.6/4", "FRMR while released is thrown away", 4, ["> FRMR f1 =0000000000", "! -", "< -", "= 4"]),
    ("5.8.7/RR", "unsolicited response with F = 1: told, nothing else", 7, ["> RR f1 r0", "! mdl_error_indication:A", "< -", "= 7"]),
    ("5.8.7/UA", "unsolicited UA with F = 1", 7, ["> UA f1", "! mdl_error_indication:C", "= 7"]),
    ("5.8.7/UA0", "unsolicited UA with F = 0", 7, ["> UA f0", "! mdl_error_indication:D", "= 7"]),
    ("5.8.7/DM8", "unsolicited DM in timer recovery: establishment anew", 8, ["> DM f1", "! mdl_error_indication:B", "< SABME p1", "= 5"]),
    ("5.10.1", "T203 asks an idle link with RR, P = 1; the answer ends it", 7, ["+ T203", "< RR p1 r0", "= 8", "> RR f1 r0", "= 7", "+ T203", "< RR p1 r0"]),
    ("5.10.2", "any acknowledgement starts T203 anew", 7, ["> RR p1 r0", "< RR f1 r0", "+ T203", "< RR p1 r0"]),
    ("5.9.5", "no more than k = 7 frames without acknowledgement", 7,
     ["? dl_data_request aa"] * 8 + ["< " + ", ".join("I p0 s%d r0 =aa" % n for n in range(7)), "> RR f0 r1", "< I p0 s7 r0 =aa"]),
    ("B.4/release", "release asked for while establishing waits for UA", 5, ["? dl_release_request", "< -", "> UA f1", "! dl_establish_confirm", "< DISC p1", "= 6"]),
    ("B.5/establish", "establishment asked for while releasing waits for UA", 6, ["? dl_establish_request", "< -", "> UA f1", "! dl_release_confirm", "< SABME p1", "= 5"]),
]

FRAME = re.compile(r"(\w+) ([pf])([01])(?: s(\d+))?(?: r(\d+))?(?: =(\w+))?$")


class Far:
    """One link of ours, and a far end that does what a case says.  told: frames sent, for tshark."""

    def __init__(self, side):
        self.link, self.now_ms, self.events, self.sent, self.told = Q921Link(side), 0, [], [], []
        self.network = self.link.network

    def step(self, text):
        mark, _, rest = text.partition(" ")
        if text in ("busy", "free"):
            self.link.set_busy(text == "busy")
        elif mark == ">":
            self.sent = []
            kind, command, poll, ns, nr, octets = FRAME.match(rest).groups()
            frame = frames.Frame(kind, command == "p", int(poll), int(ns or 0), int(nr or 0), bytes.fromhex(octets or ""))
            self.events = self.link.receive(frames.encode(frame, not self.network), self.now_ms)
        elif mark == "?":
            primitive, _, octets = rest.partition(" ")
            self.events = self.link.request(primitive, self.now_ms, bytes.fromhex(octets) if octets else None)
        elif mark == "+":
            assert self.link.timers.dump() and self.link.deadline_ms() <= self.now_ms + PARAMETERS[rest][0]
            running = [row[0] for row in self.link.timers.dump()]
            assert rest in running, (rest, running)
            self.now_ms = self.link.deadline_ms()
            self.events = self.link.expire(self.now_ms)
        elif mark == "!":
            assert " ".join(":".join(event[:2]) if event[0] == "mdl_error_indication" else event[0] for event in self.events) == rest.replace("-", ""), self.events
        elif mark == "=":
            assert STATES[self.link.state] == int(rest), self.link.state
        else:
            octets = self.link.take_output()
            self.told += [(self.now_ms, self.network, frame) for frame in octets]
            found = [frames.decode(frame, self.network) for frame in octets]
            assert ", ".join(map(written, found)) == rest.replace("-", ""), text


def written(frame):
    """A frame as the cases write it."""
    text = "%s %s%d" % (frame.kind, "p" if frame.command else "f", frame.poll)
    if frame.kind == "I":
        text += " s%d" % frame.ns
    if frame.kind in ("I", "RR", "RNR", "REJ"):
        text += " r%d" % frame.nr
    return text + (" =" + frame.octets.hex() if frame.octets else "")


@pytest.mark.parametrize("clause, purpose, state, steps", [
    pytest.param(*case, id=case[0], marks=pytest.mark.conformance("Q.921", case[0], case[1])) for case in CASES])
@pytest.mark.parametrize("side", ["user", "network"])
def test_clause(side, clause, purpose, state, steps):
    far = Far(side)
    for step in TO[state] + ["= %d" % state] + steps:
        try:
            far.step(step)
        except AssertionError as error:
            raise AssertionError("%s, %s: at %r: %s" % (clause, purpose, step, error)) from error


def test_no_case_has_the_number_of_another():
    assert len({case[0] for case in CASES}) == len(CASES) >= 60


@pytest.mark.conformance("Q.921", "2", "every frame of the cases is read by tshark without complaint")
def test_tshark_reads_every_frame(tmp_path):
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    told = []
    for side in ("user", "network"):
        for _, _, state, steps in CASES:
            far = Far(side)
            for step in TO[state] + steps:
                far.step(step)
            told += far.told
    write_pcap(tmp_path / "lapd.pcap", told)
    rows = tshark(tmp_path / "lapd.pcap")
    # What the I frames carry here is no Q.931.
    bad = [(told[i][2].hex(), row) for i, row in enumerate(rows) if row[1] and told[i][2][2] & 1]
    assert len(rows) == len(told) and not bad
