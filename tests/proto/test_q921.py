"""Q.921 data link: the machine against itself, scripted frames and random octets.

Interoperability is in test_q931_libpri.py (libpri's own LAPD at the far end)."""

import random

import pytest
from hypothesis import given, settings, strategies as st

from firmware.errors import LocalError
from firmware.proto import q921_frames as frames
from firmware.proto.machine import Timers, transitions
from firmware.proto.q921 import Q921Link


def mark(clause, purpose):
    return pytest.mark.conformance("Q.921", clause, purpose)


def up(side="user", **options):
    """A link brought up by a scripted far end; returns it at time 0."""
    link = Q921Link(side, **options)
    link.request("dl_establish_request", 0)
    assert [send(link, octets).kind for octets in link.take_output()] == ["SABME"]
    assert link.receive(far(link, "UA", False, 1), 0) == [("dl_establish_confirm",)]
    return link


def far(link, kind, command, poll=0, ns=0, nr=0, octets=b""):
    """Octets of a frame that the far end of `link` sends."""
    return frames.encode(frames.Frame(kind, command, poll, ns, nr, octets), not link.network)


def send(link, octets):
    """Decode what `link` sent."""
    return frames.decode(octets, link.network)


def out(link):
    return [send(link, octets) for octets in link.take_output()]


def summary(link):
    return [(f.kind, f.poll, f.ns, f.nr) for f in out(link)]


def carry(a, b, now_ms, lose=lambda: False):
    """Move frames both ways until nothing is left; returns both sides' events."""
    events = {a: [], b: []}
    while True:
        moved = [(b, octets) for octets in a.take_output()] + [(a, octets) for octets in b.take_output()]
        if not moved:
            return events[a], events[b]
        for to, octets in moved:
            if not lose():
                events[to] += to.receive(octets, now_ms)


@mark("5.5.1.2", "establishment: SABME, UA, first I frame, address octets of both sides")
def test_octets_of_the_first_frames():
    """5.5.1: the octets on the wire, both sides (address 02 01 network, 00 01 user)."""
    network, user = Q921Link("network"), Q921Link("user")
    network.request("dl_establish_request", 0)
    sabme = network.take_output()
    assert sabme == [bytes.fromhex("02017f")]
    assert user.receive(sabme[0], 0) == [("dl_establish_indication",)]
    assert user.take_output() == [bytes.fromhex("020173")]
    user.request("dl_data_request", 0, b"\x08")
    assert user.take_output() == [bytes.fromhex("0001000008")]


@mark("5.6.1", "window of k = 7, sequence numbers modulo 128")
def test_window_and_numbers_wrap():
    a, b = Q921Link("user"), Q921Link("network")
    a.request("dl_establish_request", 0)
    carry(a, b, 0)
    wanted = [("dl_data_indication", bytes([i % 256, i // 256])) for i in range(300)]
    for event in wanted:
        a.request("dl_data_request", 1, event[1])
    assert len(a.take_output()) == 7 and a.queued_frames == 300      # k = 7
    events, now = [], 1
    while a.queued_frames:
        now += 1001
        a.expire(now)
        events += carry(a, b, now)[1]
    assert events == wanted


@mark("5.5.5.1", "SABME from both ends at once")
def test_simultaneous_establishment():
    """5.5.5.1: SABME from both ends is answered by both."""
    a, b = Q921Link("user"), Q921Link("network")
    a.request("dl_establish_request", 0)
    b.request("dl_establish_request", 0)
    assert carry(a, b, 0) == ([("dl_establish_confirm",)], [("dl_establish_confirm",)])


@mark("5.5.1.3", "SABME repeated N200 times after T200")
def test_sabme_is_repeated_n200_times_then_the_link_is_given_up():
    link = Q921Link("user")
    link.request("dl_establish_request", 0)
    events = []
    times = []
    while link.deadline_ms() is not None:
        now = link.deadline_ms()
        times.append(now)
        events += link.expire(now)
    assert times == [1000, 2000, 3000, 4000]
    assert [f.kind for f in out(link)] == ["SABME"] * 4
    assert events == [("mdl_error_indication", "G"), ("dl_release_indication",)]


def test_keep_up_establishes_again():
    link = Q921Link("user", keep_up_ms=5000)
    link.request("dl_establish_request", 0)
    while link.timers.running("T200"):
        link.expire(link.deadline_ms())
    link.take_output()
    assert link.deadline_ms() == 9000
    link.expire(9000)
    assert summary(link) == [("SABME", 1, 0, 0)]
    link.receive(far(link, "UA", False, 1), 9001)
    link.receive(far(link, "DISC", True, 1), 9100)
    assert link.deadline_ms() == 14100
    link.request("dl_release_request", 9200)
    assert link.deadline_ms() is None


@mark("5.8.1", "N(S) sequence error: one REJ, retransmission")
def test_reject_recovers_a_lost_frame():
    """5.8.1: one REJ a gap, then everything from there again."""
    a, b = up("user"), Q921Link("network")
    b.receive(bytes.fromhex("00017f"), 0)
    b.take_output()
    for i in range(4):
        a.request("dl_data_request", 0, bytes([i]))
    sent = a.take_output()
    got = []
    for octets in sent[:1] + sent[2:]:
        got += b.receive(octets, 0)
    answers = b.take_output()
    assert [send(b, o).kind for o in answers] == ["REJ"]
    assert send(b, answers[0]).nr == 1
    a.receive(answers[0], 0)
    again = a.take_output()
    assert [send(a, o).ns for o in again] == [1, 2, 3]
    for octets in again:
        got += b.receive(octets, 0)
    assert [e[1] for e in got] == [b"\0", b"\1", b"\2", b"\3"]


@mark("5.6.7", "T200 on I frames: enquiry and retransmission")
def test_timer_recovery_asks_and_repeats():
    """5.6.7: T200, RR with P = 1, retransmission from the N(R) of the answer."""
    link = up()
    link.request("dl_data_request", 100, b"one")
    link.request("dl_data_request", 100, b"two")
    link.take_output()
    link.expire(1100)
    assert summary(link) == [("RR", 1, 0, 0)] and link.state == "TIMER_RECOVERY"
    link.request("dl_data_request", 1150, b"three")
    assert out(link) == []                               # nothing new in state 8
    link.receive(far(link, "RR", False, 1, nr=1), 1200)
    assert [(f.ns, f.octets) for f in out(link)] == [(1, b"two"), (2, b"three")]
    link.receive(far(link, "RR", False, 0, nr=3), 1250)
    assert link.deadline_ms() == 1250 + 10000


@mark("5.10.3", "T203, N200 enquiries, re-establishment")
def test_timer_recovery_gives_up_and_reestablishes():
    link = up()
    link.expire(10000)                                   # T203
    events = []
    while link.state == "TIMER_RECOVERY":
        events += link.expire(link.deadline_ms())
    assert events == [("mdl_error_indication", "I")]
    assert [f.kind for f in out(link)] == ["RR", "RR", "RR", "SABME"]
    # Nothing was under way: layer 3 need not hear of it.
    assert link.receive(far(link, "UA", False, 1), 14000) == []
    assert link.established


@mark("5.8.6", "FRMR: re-establishment")
def test_reestablishment_with_lost_frames_tells_layer_3():
    link = up()
    link.request("dl_data_request", 0, b"lost")
    link.take_output()
    link.receive(far(link, "FRMR", False, octets=bytes(5)), 10)
    assert link.receive(far(link, "UA", False, 1), 20) == [("dl_establish_indication",)]
    assert link.queued_frames == 0


@mark("5.6.5", "peer receiver busy")
def test_peer_busy_holds_and_goes_on():
    link = up()
    link.receive(far(link, "RNR", True, 1), 0)
    assert summary(link) == [("RR", 1, 0, 0)]
    link.request("dl_data_request", 0, b"wait")
    assert out(link) == []
    now = 0
    for _ in range(20):                                  # busy for 20 s: enquiries, never a reset
        now = link.deadline_ms()
        link.expire(now)
        assert summary(link) == [("RR", 1, 0, 0)]
        link.receive(far(link, "RNR", False, 1), now)
        assert link.state == "MULTIPLE_FRAME_ESTABLISHED"
    link.receive(far(link, "RR", True, 0), now)
    assert summary(link) == [("I", 0, 0, 0)]


@mark("5.6.6", "own receiver busy")
def test_own_busy():
    """5.6.6: RNR at once, information dropped while busy, RR afterwards, sender repeats."""
    link = up()
    link.set_busy(True)
    assert summary(link) == [("RNR", 0, 0, 0)]
    assert link.receive(far(link, "I", True, 1, 0, 0, b"x"), 1) == []
    assert summary(link) == [("RNR", 1, 0, 0)]
    link.set_busy(False)
    assert summary(link) == [("RR", 0, 0, 0)]
    assert link.receive(far(link, "I", True, 0, 0, 0, b"x"), 1) == [("dl_data_indication", b"x")]


def test_busy_before_the_link_is_up():
    link = Q921Link("user")
    link.set_busy(True)
    assert out(link) == []
    link.receive(far(link, "SABME", True, 1), 0)
    assert summary(link) == [("UA", 1, 0, 0), ("RNR", 0, 0, 0)]


def test_acknowledgement_rides_on_an_i_frame():
    link = up()
    link.receive(far(link, "I", True, 0, 0, 0, b"a"), 0)
    link.request("dl_data_request", 0, b"b")
    assert summary(link) == [("I", 0, 0, 1)]


@mark("5.5.3", "release")
def test_release_both_ways():
    a, b = Q921Link("user"), Q921Link("network")
    a.request("dl_establish_request", 0)
    carry(a, b, 0)
    a.request("dl_release_request", 1)
    assert carry(a, b, 1) == ([("dl_release_confirm",)], [("dl_release_indication",)])
    assert a.deadline_ms() is None and b.deadline_ms() is None


def test_primitives_that_must_wait():
    """Annex B: release while establishing, establish while releasing."""
    link = Q921Link("user")
    link.request("dl_establish_request", 0)
    link.request("dl_release_request", 0)
    link.take_output()
    assert link.receive(far(link, "UA", False, 1), 1) == [("dl_establish_confirm",)]
    assert summary(link) == [("DISC", 1, 0, 0)]
    link.request("dl_establish_request", 2)
    assert link.receive(far(link, "UA", False, 1), 3) == [("dl_release_confirm",)]
    assert summary(link) == [("SABME", 1, 0, 0)]


@mark("5.8.5", "frame rejection conditions")
@pytest.mark.parametrize("octets, code", [
    ("000100" + "10", "J"),                              # N(R) that we never sent
    ("00010110aa", "N"),                                 # RR with information
    ("00010d00", "L"),                                   # undefined supervisory
    ("000177", "L"),                                     # undefined unnumbered
    ("02019700", "N"),                                   # FRMR too short
])
def test_frame_errors(octets, code):
    """5.8: an error brings the link up anew, an invalid frame does nothing."""
    link = up("network")
    assert ("mdl_error_indication", code) in link.receive(bytes.fromhex(octets), 5)
    assert link.state == "AWAITING_ESTABLISHMENT"


@mark("2.9", "invalid frames")
@pytest.mark.parametrize("octets", ["", "00", "0001", "010101", "000000", "00ff7f", "fc017f", "000101"])
def test_invalid_frames_do_nothing(octets):
    link = up("network")
    assert link.receive(bytes.fromhex(octets), 5) == []
    assert link.state == "MULTIPLE_FRAME_ESTABLISHED" and out(link) == []


@mark("5.8.7", "unsolicited DM")
@pytest.mark.parametrize("poll, code, state", [(1, "B", "MULTIPLE_FRAME_ESTABLISHED"),
                                               (0, "E", "AWAITING_ESTABLISHMENT")])
def test_dm_on_an_established_link(poll, code, state):
    link = up()
    assert link.receive(far(link, "DM", False, poll), 1) == [("mdl_error_indication", code)]
    assert link.state == state


def test_local_errors():
    link = up()
    with pytest.raises(LocalError):
        link.request("dl_data_request", 0, bytes(261))
    with pytest.raises(LocalError):
        link.request("dl_flush_request", 0)
    with pytest.raises(LocalError):
        Q921Link("carrier")


def test_transition_table_refuses_doubles():
    with pytest.raises(ValueError):
        transitions(((("A", "B"), "x", None, None, ""), ("B", "x", None, None, "")))


def test_timers_fall_due_in_order():
    timers = Timers({"T1": 10, "T2": 10})
    timers.start("T2", 0)
    timers.start("T1", 0)
    saved = timers.dump()
    again = Timers({})
    again.restore(saved)
    for t in (timers, again):
        assert t.due(9) is None
        assert [t.due(10), t.due(10), t.due(10)] == ["T2", "T1", None]


@pytest.mark.parametrize("seed", range(8))
def test_nothing_lost_or_doubled_over_a_bad_line(seed):
    """30 % of the frames are lost both ways: what arrives is in order and complete
    as long as no re-establishment is reported."""
    rng = random.Random(seed)
    a, b = Q921Link("user", parameters={"N200": 50}), Q921Link("network", parameters={"N200": 50})
    a.request("dl_establish_request", 0)
    carry(a, b, 0)
    sent = {a: [], b: []}
    got = {a: [], b: []}
    now = 0
    for i in range(200):
        now += rng.choice((1, 20, 300))
        for link in (a, b):
            if rng.random() < 0.5:
                octets = bytes([i, rng.randrange(256)])
                sent[link].append(octets)
                link.request("dl_data_request", now, octets)
            got[link] += link.expire(now)
        for link, events in zip((a, b), carry(a, b, now, lambda: rng.random() < 0.3)):
            got[link] += events
    while a.queued_frames or b.queued_frames:
        now = min(d for d in (a.deadline_ms(), b.deadline_ms()) if d is not None)
        for link in (a, b):
            got[link] += link.expire(now)
        for link, events in zip((a, b), carry(a, b, now, lambda: rng.random() < 0.3)):
            got[link] += events
    assert [e for e in got[a] + got[b] if e[0] not in ("dl_data_indication", "mdl_error_indication")] == []
    assert [e[1] for e in got[b] if e[0] == "dl_data_indication"] == sent[a]
    assert [e[1] for e in got[a] if e[0] == "dl_data_indication"] == sent[b]


frame_strategy = st.builds(
    lambda kind, command, poll, ns, nr, octets: frames.Frame(
        kind, kind in frames.COMMANDS_ONLY or (command and kind not in frames.RESPONSES_ONLY), poll,
        ns if kind == "I" else 0, nr if kind in ("I", "RR", "RNR", "REJ") else 0,
        octets if kind in ("I", "UI", "XID") else bytes(5) if kind == "FRMR" else b""),
    st.sampled_from(["I", "RR", "RNR", "REJ", "SABME", "DM", "UI", "DISC", "UA", "FRMR", "XID"]),
    st.booleans(), st.integers(0, 1), st.integers(0, 127), st.integers(0, 127), st.binary(max_size=260))


@given(frame_strategy, st.booleans())
def test_round_trip(frame, network):
    octets = frames.encode(frame, network)
    again = frames.decode(octets, network)
    assert repr(again) == repr(frame) and frames.encode(again, network) == octets


@settings(max_examples=150)
@given(st.lists(st.one_of(st.binary(max_size=12),
                          frame_strategy.map(lambda f: frames.encode(f, True)),
                          st.integers(0, 12000)), max_size=40), st.data())
def test_any_octets_are_survived(steps, data):
    link = Q921Link("user", keep_up_ms=5000)
    now = 0
    link.request("dl_establish_request", now)
    for step in steps:
        if isinstance(step, int):
            now += step
            link.expire(now)
        else:
            link.receive(step, now)
        if data.draw(st.booleans()):
            link.request("dl_data_request", now, b"data")
        for octets in link.take_output():
            frames.decode(octets, False)
        assert 0 <= link._sent <= min(7, len(link._frames))
