"""R2 line signalling, digital version: every state and every abnormal case by Recommendation and subject (Q.421, Q.422, Q.424)."""

import pytest

from firmware.errors import LocalError
from firmware.proto.cas import r2_table as t
from firmware.proto.cas.r2_line import REQUESTS, R2Line

IDLE, SEIZE, ACK, ANSWER = 0b1001, 0b0001, 0b1101, 0b0101
CLEAR_BACK, FORWARD_FAULT = ACK, 0b0101


def r2(number, purpose):
    return pytest.mark.conformance("R2", number, purpose)


class End:
    """One end, and the time."""

    def __init__(self, **timers):
        self.line = R2Line(timers)
        self.now = 0
        self.line.start(0)
        self.out = self.line.take_output()
        self.hear(IDLE)
        assert self.line.seizable

    def hear(self, bits, ms=30):
        self.line.bits(bits, self.now)
        return self.run(ms)

    def run(self, ms):
        end, events = self.now + ms, self.line.take_events()
        while self.line.deadline_ms() is not None and self.line.deadline_ms() <= end:
            self.now = max(self.now, self.line.deadline_ms())
            events += self.line.expire(self.now)
        self.now = end
        self.out += self.line.take_output()
        return events

    def ask(self, *primitives):
        for primitive in primitives:
            self.line.request(primitive, self.now)
        self.out += self.line.take_output()
        return self.line.take_events()


@pytest.fixture
def end():
    return End()


def calling(end):
    end.ask("seize_request")
    assert end.hear(ACK) == [("acknowledged",)]


def called(end):
    assert end.hear(SEIZE) == [("seized",)] and end.out[-1] == ACK


@r2("Q.421 outgoing", "the codes of an outgoing call from seizure to release guard")
def test_outgoing_codes(end):
    end.ask("seize_request")
    assert end.out == [IDLE, SEIZE]
    assert end.hear(ACK) == [("acknowledged",)]
    assert end.hear(ANSWER) == [("answered",)]
    assert end.hear(CLEAR_BACK) == [("cleared_back",)]
    assert end.hear(ANSWER) == [("answered",)]              # re-answer
    end.ask("release_request")
    assert end.out[-1] == IDLE and end.line.state == t.RELEASING
    assert end.hear(IDLE, 200) == [("idle",)] and end.line.seizable


@r2("Q.421 incoming", "the codes of an incoming call from seizure to release guard")
def test_incoming_codes(end):
    called(end)
    end.ask("answer_request")
    assert end.out[-1] == ANSWER
    end.ask("clear_back_request")
    assert end.out[-1] == CLEAR_BACK
    end.ask("answer_request")
    assert end.hear(IDLE) == [("cleared_forward",)] and end.out[-1] == ANSWER
    end.ask("release_request")
    assert end.out[-1] == IDLE and end.run(200) == [("idle",)]


@r2("Q.421 C and D", "the bits not used are 0 and 1; a national variant may have others; received they mean nothing")
def test_other_bits(end):
    called(end)
    assert end.hear(SEIZE | 0b0010) == [] and end.hear(SEIZE & 0b1100) == []
    china = R2Line(fixed=3)
    china.start(0)
    assert china.take_output() == [0b1011]
    upside = R2Line(invert=0b1100)
    upside.start(0)
    assert upside.take_output() == [0b0101] and upside.pattern(0b0101) == "10"


@r2("Q.422 recognition time", "a change that stands 13 ms is none, 27 ms is one; bursts of noise are none")
def test_recognition(end):
    assert end.hear(SEIZE, 13) == [] and end.hear(IDLE, 100) == [] and end.line.state == t.IDLE
    for bits in (SEIZE, ACK, SEIZE, ANSWER) * 20:
        assert end.hear(bits, 7) == []
    assert end.hear(IDLE, 100) == [] and end.line.counters == {}
    assert end.hear(SEIZE, 27) == [("seized",)]


@r2("Q.422 seizing a", "no acknowledgement in time: alarm, the seizure stands; late acknowledgement: clear-forward")
def test_no_acknowledgement():
    end = End(T_SEIZE=200)
    end.ask("seize_request")
    assert end.run(199) == [] and end.run(1) == [("seize_failed", "timeout")]
    assert end.line.sent == "00" and end.line.trouble() == "not_acknowledged"
    assert end.run(5000) == []
    end.ask("release_request")
    assert end.line.sent == "00"
    assert end.hear(ACK) == [] and end.line.sent == "10"
    assert end.hear(IDLE, 200) == [("idle",)]


@r2("Q.422 seizing b", "no clear-forward before the acknowledgement")
def test_release_before_acknowledgement(end):
    end.ask("seize_request", "release_request")
    assert end.line.sent == "00"
    end.hear(ACK)
    assert end.line.sent == "10" and end.hear(IDLE, 200) == [("idle",)]


@r2("Q.422 seizing c", "a seizure that is never acknowledged is taken back in the end (ours)")
def test_abandoned_seizure(end):
    end.ask("seize_request", "release_request")
    events = end.run(61000)
    assert [event[0] for event in events] == ["fault", "idle"] and end.line.seizable


@r2("Q.422 seizing d", "an answer before the acknowledgement ends the attempt")
def test_answer_before_acknowledgement(end):
    end.ask("seize_request")
    assert end.hear(ANSWER) == [("seize_failed", "protocol")] and end.line.sent == "10"


@r2("Q.422 double seizing", "both ends seize: each keeps it 1250 ms, then idle, then 100 ms before the next try")
def test_double_seizing():
    a, b = End(), End()
    for end in (a, b):
        end.ask("seize_request")
    for end in (a, b):
        assert end.hear(SEIZE) == [("seize_failed", "collision")]
        assert end.run(1200) == [] and end.line.sent == "00"
        assert end.run(100) == [] and end.line.sent == "10"
    for end in (a, b):
        assert end.hear(IDLE, 25) == [] and not end.line.seizable
        assert end.run(100) == [("idle",)] and end.line.seizable and end.line.counters["double_seizures"] == 1


@r2("Q.422 answering", "answer without a seizure of ours means nothing; a second answer neither")
def test_answer_out_of_place(end):
    events = end.hear(ANSWER)
    assert [event[0] for event in events] == ["fault"] and end.line.state == t.IDLE
    end.hear(IDLE)
    calling(end)
    end.hear(ANSWER)
    assert end.hear(ANSWER) == []


@r2("Q.422 clear-forward a", "in every state of an outgoing call the release is clear-forward and waits for idle")
@pytest.mark.parametrize("before", ([], [ANSWER], [ANSWER, CLEAR_BACK], [0b0001]))
def test_clear_forward(end, before):
    calling(end)
    for bits in before:
        end.hear(bits)
    end.ask("release_request", "release_request")
    assert end.line.sent == "10" and not end.line.seizable
    end.hear(ACK)
    end.hear(ANSWER)
    assert end.line.state == t.RELEASING
    assert end.hear(IDLE, 200)[-1] == ("idle",)


@r2("Q.422 clear-forward b", "in every state of an incoming call idle is clear-forward; release guard only when we are free")
@pytest.mark.parametrize("before", ([], ["answer_request"], ["answer_request", "clear_back_request"],
                                    ["forced_release_request"], ["answer_request", "meter_request"]))
def test_clear_forward_seen(end, before):
    called(end)
    end.ask(*before)
    sent = end.line.sent
    assert end.hear(IDLE) == [("cleared_forward",)] and end.line.sent == sent
    assert end.run(5000) == [] and end.line.sent == sent
    end.ask("answer_request", "clear_back_request")         # they cross; nothing is sent
    assert end.line.sent == sent
    end.ask("release_request")
    assert end.line.sent == "10"


@r2("Q.422 clear-forward c", "a release guard that does not come is told to maintenance, and still waited for")
def test_release_guard_late(end):
    calling(end)
    end.ask("release_request")
    assert [event[0] for event in end.run(11000)] == ["fault"] and end.line.state == t.RELEASING
    assert end.hear(IDLE, 200) == [("idle",)]


@r2("Q.422 abnormal a", "the incoming end goes idle in a call: the call is over")
@pytest.mark.parametrize("before", ([], [ANSWER], [ANSWER, CLEAR_BACK]))
def test_far_end_idle(end, before):
    calling(end)
    for bits in before:
        end.hear(bits)
    assert end.hear(IDLE, 200) == [("far_idle",), ("idle",)] and end.line.sent == "10" and end.line.seizable


@r2("Q.422 abnormal b", "forward fault code (b 1) in a call is told, the call stands")
def test_forward_fault(end):
    called(end)
    events = end.hear(FORWARD_FAULT)
    assert [event[0] for event in events] == ["fault"] and end.line.state == t.SEIZED


@r2("Q.422 blocking a", "blocked by the far end: no seizure; unblocked: good again after 100 ms")
def test_blocked(end):
    assert end.hear(ACK) == [("blocked",)] and not end.line.seizable and end.line.trouble() == "blocked"
    with pytest.raises(LocalError):
        end.ask("seize_request")
    assert end.hear(IDLE, 25) == [("unblocked",)] and not end.line.seizable
    end.run(100)
    assert end.line.seizable


@r2("Q.422 blocking b", "we block an idle circuit, and one in use when it is free again")
def test_blocking(end):
    end.ask("block_request")
    assert end.out[-1] == ACK and end.line.trouble() == "blocking"
    end.ask("unblock_request")
    assert end.out[-1] == IDLE
    end.run(200)
    called(end)
    end.ask("block_request")
    end.ask("answer_request")
    assert end.line.sent == "01"
    end.hear(IDLE)
    end.ask("release_request")
    assert end.line.sent == "10"                            # the release guard comes first
    end.run(100)
    assert end.line.sent == "11" and end.line.state == t.BLOCKING
    end.ask("unblock_request")
    assert end.line.sent == "10"


@r2("Q.422 blocking c", "a seizure that crosses our blocking is taken")
def test_seizure_crosses_blocking(end):
    end.ask("block_request")
    assert end.hear(SEIZE) == [("seized",)]
    end.hear(IDLE)
    end.ask("release_request")
    end.run(100)
    assert end.line.sent == "11"


@r2("Q.422 release guard", "a circuit that has just been released is not seized by us for 100 ms, but may be by the far end")
def test_guard(end):
    calling(end)
    end.ask("release_request")
    end.hear(IDLE, 25)
    with pytest.raises(LocalError):
        end.ask("seize_request")
    assert end.hear(SEIZE) == [("seized",)]


@r2("Q.424 alarm a", "bits during an alarm of the span mean nothing; what we send stays")
@pytest.mark.parametrize("outgoing", (True, False))
def test_alarm_freezes(end, outgoing):
    (calling if outgoing else called)(end)
    if outgoing:
        end.hear(ANSWER)
    else:
        end.ask("answer_request")
    state, sent = end.line.state, end.line.sent
    end.line.alarm(True, end.now)
    assert end.hear(0b1111, 3000) == [] and end.hear(IDLE, 3000) == []
    assert (end.line.state, end.line.sent) == (state, sent) and end.line.trouble() == "alarm"
    end.line.alarm(False, end.now)
    assert end.hear(ANSWER if outgoing else SEIZE, 200) == [] and end.line.state == state


@r2("Q.424 alarm b", "what changed during the alarm is recognised after it")
def test_alarm_ends(end):
    called(end)
    end.line.alarm(True, end.now)
    end.run(1000)
    end.line.alarm(False, end.now)
    assert end.hear(IDLE) == [("cleared_forward",)]


@r2("Q.424 alarm c", "a change that was being recognised when the alarm came is void")
def test_alarm_voids_recognition(end):
    end.hear(SEIZE, 10)
    end.line.alarm(True, end.now)
    assert end.run(1000) == [] and end.line.state == t.IDLE


@r2("national metering a", "a clear-back shorter than the longest pulse is a metering pulse, a longer one is clear-back")
def test_metering_received():
    end = End(T_METERING=400)
    calling(end)
    end.hear(ANSWER)
    for _ in range(3):
        assert end.hear(CLEAR_BACK, 150) == [] and end.hear(ANSWER, 850) == [("metered",)]
    assert end.hear(CLEAR_BACK, 1000) == [("cleared_back",)]


@r2("national metering b", "we send a pulse of 150 ms; clear-forward in it is seen")
def test_metering_sent(end):
    called(end)
    end.ask("answer_request", "meter_request")
    assert end.line.sent == "11" and end.run(149) == []
    end.run(1)
    assert end.line.sent == "01"
    end.ask("meter_request")
    assert end.hear(IDLE) == [("cleared_forward",)] and end.run(1000) == []


@r2("national forced release", "0 0 from the called end ends the call at once")
def test_forced_release(end):
    calling(end)
    end.hear(ANSWER)
    assert end.hear(0b0001) == [("forced_release",)]
    end.ask("release_request")
    assert end.hear(IDLE, 200)[-1] == ("idle",)


@r2("national double answer", "answer, clear-back 1 s, answer: a collect call is refused by the network")
def test_double_answer(end):
    called(end)
    end.ask("double_answer_request")
    end.run(5000)
    assert end.out[-4:] == [ACK, ANSWER, CLEAR_BACK, ANSWER]


def test_requests_out_of_place_and_dump(end):
    for primitive in REQUESTS:
        if primitive not in ("seize_request", "block_request", "unblock_request"):
            with pytest.raises(LocalError):
                end.ask(primitive)
    with pytest.raises(LocalError):
        end.ask("nonsense")
    calling(end)
    saved = end.line.dump()
    other = R2Line()
    other.load(saved)
    other.send_again()
    assert other.dump() == saved and other.take_output() == [SEIZE]
    for row in t.TIMERS.values():
        assert len(row) == 3 and row[1] and row[2]
