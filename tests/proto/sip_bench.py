"""What the SIP endpoint alone costs: signalling of calls and registrations, records included.

A run is recorded once with a scripted telephone, then replayed to a fresh endpoint with the same
random source, so that only the endpoint is on the clock.  No socket, no journal, no media.
"""

import json
import time

from tests.proto.sip_world import ANSWER, Phone, endpoint, method

CALLS = 300
LINES = 200
STEP_MS = 10


class Tape:
    """Records what goes into an endpoint; plays it to another one."""

    def __init__(self, switch):
        self.rows = []
        self.switch = switch

    def receive(self, octets, source, now_ms):
        self.rows.append((0, octets, source, now_ms))
        return self.switch.receive(octets, source, now_ms)

    def request(self, primitive, now_ms):
        self.rows.append((1, primitive, None, now_ms))
        return self.switch.request(primitive, now_ms)

    def expire(self, now_ms):
        self.rows.append((2, None, None, now_ms))
        return self.switch.expire(now_ms)

    def take_output(self):
        return self.switch.take_output()

    def play(self, switch):
        """CPU seconds, datagrams in and out, octets of records."""
        store = 0
        datagrams = 0
        began = time.process_time()
        for kind, what, source, now_ms in self.rows:
            if kind == 0:
                switch.receive(what, source, now_ms)
                datagrams += 1
            elif kind == 1:
                switch.request(what, now_ms)
            else:
                switch.expire(now_ms)
            for record in switch.take_changes().values():
                store += len(json.dumps(record))
            datagrams += len(switch.take_output())
        return time.process_time() - began, datagrams, store


def fresh():
    return endpoint({"%d" % (1000 + number): "secret" for number in range(LINES)}, digest_algorithms=("MD5",))


def registrations():
    """Every line registers: challenge, credentials, binding."""
    tape = Tape(fresh())
    for number in range(LINES):
        phone = Phone(tape, "%d" % (1000 + number), "secret", ("127.0.0.1", 20000 + number))
        phone.register()
    return tape


def calls(incoming):
    """Calls of 40 s mean length at 100 a second, ended by the telephone."""
    tape = Tape(fresh())
    up = []
    for number in range(LINES):
        Phone(tape, "%d" % (1000 + number), "secret", ("127.0.0.1", 20000 + number)).register()
    for number in range(CALLS):
        line = number % LINES
        phone = Phone(tape, "%d" % (1000 + line), "secret", ("127.0.0.1", 20000 + line))
        phone.now_ms += number * STEP_MS
        phone.call_id = "call-%d" % number
        phone.branches = 1000 * (number + 1)
        leg = "l%d" % (number + 1)
        tape.expire(phone.now_ms)
        tape.take_output()
        if incoming:
            events, _ = phone.invite("5001")
            leg = events[0]["leg"]
            tape.request({"kind": "alerting_request", "leg": leg}, phone.now_ms)
            tape.request({"kind": "answer_request", "leg": leg, "sdp": ANSWER}, phone.now_ms)
            last = [octets for octets, _ in tape.take_output()][-1]
            phone.send(phone.in_dialog(last, "ACK", cseq=phone.cseq))
        else:
            tape.request({"kind": "invite_request", "leg": leg, "line": phone.line, "sdp": ANSWER, "caller": "139",
                          "caller_name": "x"}, phone.now_ms)
            last = [octets for octets, _ in tape.take_output() if method(octets) == "INVITE"][0]
            phone.send(phone.respond(last, 100))
            phone.send(phone.respond(last, 180))
            phone.send(phone.respond(last, 200, body=ANSWER))
        up.append((phone, last))
        if len(up) > 50:
            phone, last = up.pop(0)
            phone.now_ms = 1000000 + number * STEP_MS
            phone.send(phone.in_dialog(last, "BYE"))
    return tape


def results():
    """Rows for make bench."""
    out = []
    for name, tape, count in (("sip.registrations_per_cpu_second", registrations(), LINES),
                              ("sip.incoming_legs_per_cpu_second", calls(True), CALLS),
                              ("sip.outgoing_legs_per_cpu_second", calls(False), CALLS)):
        best = min(tape.play(fresh())[0] for _ in range(3))
        out.append({"name": name, "value": count / best, "unit": "1/s", "reference": None, "reference_value": None,
                    "ratio": None})
    return out


if __name__ == "__main__":
    for tape, count in ((registrations(), LINES), (calls(True), CALLS), (calls(False), CALLS)):
        seconds, datagrams, store = tape.play(fresh())
        print("%d: %.2f ms each, %.0f us a datagram, %d octets of records each" % (
            count, seconds / count * 1000, seconds / datagrams * 1e6, store / count))
