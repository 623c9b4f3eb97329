"""Scenarios of SIP's intake: what comes first, what is refused; run under CPython and MicroPython."""

from firmware.proto.sip.endpoint import SIPEndpoint
from firmware.proto.sip.intake import Intake

CONFIG = {"address": "127.0.0.1", "port": 15060, "realm": "strowger", "lines": {"1001": "secret"}, "digest_algorithms": ["MD5"]}
HOST = ("198.51.100.7", 5060)


def message(method, number, tag=""):
    return ("%s sip:9@x SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK%d;rport\r\nFrom: <sip:1001@x>;tag=f\r\nt : <sip:9@x>%s\r\n"
            "Call-ID: c%d\r\nCSeq: 1 %s\r\nContent-Length: 0\r\n\r\n" % (method, number, tag, number, method)).encode()


def run():
    trace = []
    endpoint = SIPEndpoint(CONFIG, lambda number: bytes(range(number)), {"MD5": lambda octets: bytes([octets[0], len(octets) & 255] * 8)}, lambda: "l1")
    intake = Intake(endpoint)
    endpoint.guard.is_certain()
    intake.cost_ms = 20.0
    for number in range(12):
        intake.take(message("INVITE", number), HOST, 0, 1000)
    intake.take(message("BYE", 50, ";tag=x"), HOST, 0, 1000)
    intake.take(message("CANCEL", 3), HOST, 0, 1000)
    trace.append([octets.decode() for octets, _ in intake.refusals()])
    assert len(trace[0]) == 4 and trace[0][0].startswith("SIP/2.0 503")
    now_ms = 1000
    while intake.waiting():
        work = intake.some(now_ms)
        trace.append([octets.decode().split(" ")[0] for octets, _, _ in work])
        for octets, source, waited_ms in work:
            endpoint.receive(octets, source, now_ms, waited_ms, True)
        now_ms += 30
    assert trace[1][:3] == ["BYE", "INVITE", "CANCEL"]
    return trace
