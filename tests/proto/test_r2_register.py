"""R2 interregister signalling: the compelled cycle, the code and the time-outs by Recommendation and subject (Q.440 to Q.480)."""

import pytest

from boardconfig.r2_variants import load_r2, r2_variants
from firmware.errors import ConfigError, LocalError
from firmware.proto.r2 import table as t
from firmware.proto.r2.incoming import IncomingRegister
from firmware.proto.r2.outgoing import OutgoingRegister
from firmware.proto.r2.variant import A_MEANINGS, Variant

TIMES = {name: row[0] for name, row in t.TIMERS.items()}
ITU = load_r2("itu")


def r2(number, purpose):
    return pytest.mark.conformance("R2", number, purpose)


class Rig:
    def run(self, ms):
        end, events = self.now + ms, self.register.take_events()
        while self.register.deadline_ms() is not None and self.register.deadline_ms() <= end:
            self.now = max(self.now, self.register.deadline_ms())
            events += self.register.expire(self.now)
        self.now = end
        self.out += self.register.take_output()
        return events

    def hear(self, signal, ms=40):
        self.register.tone(signal, self.now)
        return self.run(ms)


class Outgoing(Rig):
    """Our outgoing register; asked(n) plays one whole backward signal and gives what is sent then."""

    def __init__(self, called="1234", variant=ITU, start=True, **given):
        self.register = OutgoingRegister(Variant(variant), dict(TIMES))
        self.register.load_call(called, **given)
        self.now, self.out = 0, []
        self.events = []
        if start:
            self.register.start(0)
        self.run(0)

    def asked(self, signal):
        assert self.hear(signal) == [] and self.register.sending is None
        self.events += self.hear(None)
        return self.register.sending


class Incoming(Rig):
    """Our incoming register; plays(n) is one whole forward signal and gives what we send to it."""

    def __init__(self, variant=ITU, **config):
        self.register = IncomingRegister(Variant(variant), dict(TIMES), config)
        self.now, self.out = 0, []
        self.events = []
        self.register.start(0)
        self.run(0)

    def plays(self, signal):
        self.events += self.hear(signal)
        answer = self.register.sending
        if answer is not None:
            self.events += self.hear(None)
            assert self.register.sending is None
        return answer

    def names(self):
        return [event[0] for event in self.events]


@r2("Q.440 compelled outgoing", "a forward signal stays until a backward one; the next comes after that has ended")
def test_compelled_outgoing():
    o = Outgoing("12")
    assert o.out == [1]
    o.run(14000)
    assert o.out == [1]
    o.hear(1)
    assert o.out == [1, None]
    o.run(5000)
    assert o.out == [1, None]
    o.hear(None)
    assert o.out == [1, None, 2]


@r2("Q.440 compelled incoming", "a backward signal stays until the forward one has ended")
def test_compelled_incoming():
    i = Incoming(called_length=4)
    i.hear(1)
    assert i.out == [1]
    i.run(5000)
    assert i.out == [1]
    i.hear(None)
    assert i.out == [1, None]


@r2("Q.441 Group I", "digits 1 to 9, signal 10 is 0")
def test_digits():
    o = Outgoing("1234567890")
    sent = [o.out[0]]
    for _ in range(9):
        sent.append(o.asked(1))
    assert sent == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    i = Incoming(called_length=10, caller="none")
    assert [i.plays(n) for n in sent] == [1] * 9 + [3]
    assert i.register.called == "1234567890"


@r2("Q.441 I-15", "end of pulsing after the last digit; it completes the number at the incoming end")
def test_end_of_pulsing():
    o = Outgoing("12")
    assert [o.asked(1), o.asked(1)] == [2, 15]
    i = Incoming(called_length=9, caller="none")
    assert [i.plays(n) for n in (1, 2, 15)] == [1, 1, 3] and i.register.called == "12"


@r2("Q.441 A-1", "send the next digit")
def test_a1():
    assert Outgoing("12").asked(1) == 2


@r2("Q.441 A-2", "send the last but one digit (n-1), and go on from there")
def test_a2():
    o = Outgoing("12345")
    assert [o.asked(n) for n in (1, 1, 2, 1, 1)] == [2, 3, 2, 3, 4]


@r2("Q.441 A-7, A-8", "send the digit n-2, n-3")
def test_a7_a8():
    o = Outgoing("123456")
    assert [o.asked(n) for n in (1, 1, 1, 7, 1, 1, 8)] == [2, 3, 4, 2, 3, 4, 1]
    assert Outgoing("123").asked(8) == 1                    # there is none so far back: the first


@r2("Q.441 A-3", "address complete, change to Group B: a Group II signal follows")
def test_a3():
    o = Outgoing("1", category="priority")
    assert o.asked(3) == 2 and o.register.group == "B"


@r2("Q.441 A-4, A-15", "congestion ends the call")
@pytest.mark.parametrize("signal", (4, 15))
def test_a4(signal):
    o = Outgoing("1")
    assert o.asked(signal) is None and o.events == [("refused", 42, o.events[0][2])]


@r2("Q.441 A-5", "send the calling party's category; again: the caller's number (national); its end")
def test_a5():
    o = Outgoing("12", caller="90", category="subscriber")
    assert [o.asked(n) for n in (5, 5, 5, 5, 1, 3)] == [1, 9, 10, 15, 2, 1]
    withheld = Outgoing("12", caller=None)
    assert [withheld.asked(n) for n in (5, 5, 1)] == [1, 12, 2]


@r2("Q.441 A-6", "address complete, charge, set up speech: no Group B signal follows")
def test_a6():
    o = Outgoing("1")
    assert o.asked(6) is None and o.events == [("proceeding", "free_charge")] and o.register.state == t.DONE


@r2("Q.441 A-9, A-10", "signals without a meaning here end the attempt")
@pytest.mark.parametrize("signal", (9, 10))
def test_spare(signal):
    o = Outgoing("1")
    assert o.asked(signal) is None and o.events[0][:2] == ("failed", 111)


@r2("Q.441 A-11 to A-14", "country code indicator, language digit, nature of circuit, echo suppressor")
def test_international():
    o = Outgoing("1", options={"language": 2, "satellite": True})
    assert [o.asked(n) for n in (11, 12, 13, 14)] == [12, 2, 14, 14]
    assert Outgoing("1").asked(13) == 13
    assert Outgoing("44", options={"country_code_indicator": 14}).out == [14]
    assert Outgoing("1").asked(12) == 12                    # no language digit: not possible
    assert Outgoing("1", load_r2("br")).asked(12) is None   # Brazil has no A-12


@r2("Q.441 Group B, Q.474", "each Group B signal means what the table says")
@pytest.mark.parametrize("signal, event", (
    (2, ("refused", 4)), (3, ("refused", 17)), (4, ("refused", 42)), (5, ("refused", 1)),
    (6, ("proceeding", "free_charge")), (7, ("proceeding", "free_no_charge")), (8, ("refused", 27)), (11, ("failed", 111))))
def test_group_b(signal, event):
    o = Outgoing("1")
    o.asked(3)
    assert o.asked(signal) is None and o.events[0][:2] == event


@r2("Q.441 Group II", "categories both ways")
def test_categories():
    for name, signal in ITU["categories"].items():
        o = Outgoing("1", category=name)
        assert o.asked(5) == signal
        i = Incoming(called_length=1, caller="category")
        assert [i.plays(1), i.plays(signal)] == [5, 3]
        i.hear(1)
        assert i.register.category == name
    assert Outgoing("1", category="no such").asked(5) == 1


@r2("Q.464 caller", "the caller is asked for after n digits or after the last; the number goes on where it stopped")
@pytest.mark.parametrize("after, asked", ((None, [1, 5, 5, 5, 3]), (1, [5, 5, 5, 1, 3])))
def test_caller_asked(after, asked):
    i = Incoming(called_length=2, caller_after=after)
    order = [1, 2, 1, 9, 15] if after is None else [1, 1, 9, 15, 2]
    assert [i.plays(n) for n in order] == asked
    assert (i.register.called, i.register.caller, i.register.caller_state) == ("12", "9", "ended")
    i = Incoming(called_length=1, caller_length=2)
    assert [i.plays(n) for n in (1, 1, 4, 5)] == [5, 5, 5, 3] and i.register.caller == "45"
    i = Incoming(called_length=1)
    assert [i.plays(n) for n in (1, 1, 12)] == [5, 5, 3] and i.register.caller_state == "restricted"


@r2("Q.474 answers", "the called line's state as the B signal of each variant")
@pytest.mark.parametrize("variant", r2_variants())
def test_variant_answers(variant):
    v = Variant(load_r2(variant))
    for cause in (1, 17, 27, 28, 34, 42, 21, 22, 102, 999):
        signal = v.refusal("B", cause)
        assert signal is not None and not set(v.meanings("B", signal)) & {"free", "free_charge", "free_no_charge"}
    for meaning in ("free_charge", "free_no_charge"):
        i = Incoming(load_r2(variant), called_length=1, caller="none")
        i.plays(3)
        i.hear(1)
        i.register.accept(meaning, i.now)
        i.run(40)
        assert v.meanings("B", i.register.sending)[0].startswith("free")
        i.hear(None)
        assert ("done", True) in i.events + i.run(0) or i.register.state == t.DONE


@r2("Q.474 refusal", "busy known at the last digit: A-3, Group II, then B-3; congestion: A-4 at once")
def test_refusals():
    i = Incoming(caller="none")
    i.hear(1)
    i.register.refuse(17, i.now)
    assert [i.run(40), i.register.sending] == [[], 3]
    i.hear(None)
    assert i.plays(1) == 3 and ("done", False) in i.events
    i = Incoming(caller="none")
    i.hear(1)
    i.register.refuse(34, i.now)
    i.run(40)
    assert i.register.sending == 4
    china = Incoming(load_r2("cn"), caller="none")
    china.hear(1)
    china.register.refuse(1, china.now)
    china.run(40)
    assert china.register.sending == 5                      # China's A-5 is a vacant number


@r2("Q.442 pulse a", "no more digits: A-3 by a pulse of 150 ms, 100 ms after the last signal at the earliest; deaf for 300 ms")
def test_pulse():
    i = Incoming(called_length=9, caller="none")
    i.plays(1)
    i.plays(2)
    start = i.now
    del i.out[:]
    i.run(TIMES["T_DIGIT"] + 50)
    assert i.out == [] and i.register.state == t.GAP
    i.run(100)
    assert i.out == [3] and i.now - start >= 100
    i.hear(7, 100)                                          # an echo of ours during the pulse
    i.hear(None, 100)
    assert i.out == [3, None] and i.register.state == t.DEAF
    i.run(200)
    assert i.plays(2) is None and i.register.stage == "offer" and i.register.called == "12"


@r2("Q.442 pulse b", "a forward signal that begins while we are deaf is taken afterwards")
def test_pulse_early_answer():
    i = Incoming(called_length=9, caller="none")
    i.plays(1)
    i.run(TIMES["T_DIGIT"] + 100 + 160)
    i.hear(1, 30)
    assert i.register.state == t.DEAF
    i.run(200)
    assert i.register.state == t.DECIDING and i.register.stage == "offer"


@r2("Q.442 outgoing", "out of digits and silent, a pulsed signal is taken as any other")
@pytest.mark.parametrize("signal, then", ((3, 1), (4, None), (6, None)))
def test_pulse_heard(signal, then):
    o = Outgoing("12", load_r2("ar"))
    assert o.asked(1) == 2 and o.asked(1) is None and o.register.state == t.SILENT
    o.hear(signal, 150)
    o.events += o.hear(None)
    assert o.register.sending == then


@r2("Q.460 overlap", "digits that come later are sent when they are there")
def test_overlap():
    o = Outgoing("1", complete=False)
    assert o.asked(1) is None and o.events == [("digits_wanted",)]
    o.register.add_digits("23", False, o.now)
    assert [o.register.sending, o.asked(1), o.asked(1)] == [2, 3, None]
    o.register.add_digits("", True, o.now)
    assert o.register.sending == 15


@r2("Q.476 T1", "a forward signal without an answer ends after 15 s")
def test_t1():
    o = Outgoing("1")
    assert o.run(14999) == []
    assert o.run(1)[0][:2] == ("failed", 102) and o.register.sending is None


@r2("Q.476 T2", "silence, or a backward signal without an end, ends after 24 s")
def test_t2():
    o = Outgoing("1", load_r2("br"))
    o.asked(1)
    assert o.run(23900) == [] and o.run(200)[0][0] == "failed"
    o = Outgoing("1")
    o.hear(1)
    assert o.run(24000)[0][0] == "failed"


@r2("Q.476 T3 a", "no forward signal for 15 s: A-4 by a pulse, released")
def test_t3():
    i = Incoming(called_length=4)
    events = i.run(15000)
    assert events[0][:2] == ("failed", 102)
    i.run(200)
    assert i.out == [4]
    i.run(1000)
    assert i.out == [4, None] and i.register.state == t.DONE


@r2("Q.476 T3 b", "a forward signal without an end: released")
def test_t3_stuck():
    i = Incoming(called_length=4)
    i.hear(1)
    assert i.run(16000)[0][0] == "failed" and i.register.sending is None


@r2("Q.458 reliability", "another signal without a gap is a failure at the incoming end, and the last counts at the outgoing")
def test_no_gap():
    i = Incoming(called_length=4)
    i.hear(1)
    assert i.hear(2)[0][:2] == ("failed", 111)
    o = Outgoing("12")
    o.hear(2)
    o.hear(1)
    o.hear(None)
    assert o.register.sending == 2


@r2("Q.475 release", "after the end nothing is sent and nothing heard")
def test_released():
    o = Outgoing("1")
    o.register.stop()
    assert o.register.sending is None
    for signal in range(1, 16):
        assert o.hear(signal) == [] and o.hear(None) == []
    assert o.register.sending is None and o.register.deadline_ms() is None


def test_undecided():
    """Nobody has said whether the line is free: that is told, the far register's signal still waits (test_r2_circuit.py)."""
    i = Incoming(called_length=1, caller="none")
    i.plays(1)
    i.hear(1)
    i.run(TIMES["T_DECIDE"])
    assert i.register.sending is None and i.register.state == "DECIDING"


@r2("China No.1 KA, A-6", "A-6 brings KA, A-1 the caller's digits to 15, then the called number goes on; A-2 begins anew")
def test_china_caller():
    o = Outgoing("123", load_r2("cn"), caller="85", category="subscriber")
    assert [o.asked(n) for n in (1, 6, 1, 1, 1, 1, 2, 1)] == [2, 1, 8, 5, 15, 3, 1, 2]
    i = Incoming(load_r2("cn"), called_length=3, caller_after=1)
    assert [i.plays(n) for n in (1, 1, 8, 5, 15, 2, 3)] == [6, 1, 1, 1, 1, 1, 3]
    assert (i.register.called, i.register.caller) == ("123", "85")


@r2("China No.1 KC, KE", "KC and KE signals ahead of the digits are kept for the layer above")
def test_china_prefixes():
    i = Incoming(load_r2("cn"), called_length=2, caller="none")
    assert [i.plays(n) for n in (13, 1, 2)] == [1, 1, 3] and i.register.prefixes == [13]


@r2("China No.1 KD", "A-3 brings KD, which is not KA")
def test_china_kd():
    assert Outgoing("1", load_r2("cn"), category="subscriber").asked(3) == 3
    i = Incoming(load_r2("cn"), called_length=1, caller="none")
    i.plays(1)
    i.hear(2)
    assert i.register.category == "toll_automatic"


@r2("China No.1 A1 to A6, B1 to B6", "no backward signal above 6 exists: two of four frequencies")
def test_china_six():
    v = Variant(load_r2("cn"))
    assert [n for g in "AB" for n in range(7, 16) if v.meanings(g, n)] == []
    assert all(v.meanings(g, n) for g in "AB" for n in range(1, 7))


@r2("Mexico Group C", "A-6 changes to Group C, C-1 the caller's digits, C-5 back to the number, C-3 to Group II")
def test_mexico():
    o = Outgoing("12", load_r2("mx"), caller="7")
    assert [o.asked(n) for n in (6, 1, 1, 5, 3)] == [1, 7, 15, 2, 1]
    i = Incoming(load_r2("mx"), called_length=2, caller_after=1)
    assert [i.plays(n) for n in (1, 1, 7, 15, 2)] == [6, 1, 1, 5, 3]


def test_accept_out_of_place():
    i = Incoming(called_length=4)
    with pytest.raises(LocalError):
        i.register.accept("free_charge", 0)


@pytest.mark.parametrize("change", (
    {"backward": None}, {"backward": {"A": {}}}, {"backward": {"A": {}, "B": {}}}, {"backward": {"A": {"1": "no"}, "B": {}}},
    {"backward": {"A": {"16": "next_digit"}, "B": {}}}, {"backward": {"A": {"x": "next_digit"}, "B": {}}},
    {"backward": {"A": {"1": "next_digit"}, "B": {}, "D": {}}}, {"categories": {}}, {"categories": {"king": 1}},
    {"caller_end": 0}, {"end_of_pulsing": 99}))
def test_bad_variant(change):
    with pytest.raises(ConfigError):
        Variant({**ITU, **change})
    with pytest.raises(ConfigError):
        Variant([])


def test_variants_name_their_source():
    assert len(r2_variants()) >= 11 and len(set(A_MEANINGS)) == len(A_MEANINGS)
    for name in r2_variants():
        data = load_r2(name)
        assert data["variant"] == name and len(data["source"]) > 20 and data["name"]
        Variant(data)
    with pytest.raises(ConfigError):
        load_r2("atlantis")
