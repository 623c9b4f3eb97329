"""Control killed while many SIP calls are up: what their far ends hear, and whether their dialogs go on.

    python -m hil.load.takeover [CALLS]          # build/takeover.json
    found = measure(folder, calls=500)           # as below; results() for make bench

sipp calls over one SIP trunk a number that goes out over another, where sipp answers.  Both halves' sound goes to two reflectors of our own
(processes apart): each sends, by its own clock, a packet every 20 ms to each leg that it hears of, and keeps the arrival of each packet by
the kernel's time stamp.  Control is killed (SIGKILL) while all stand.  Later the trunk's session timers run (RFC 4028, re-INVITE or UPDATE of
the switch), sipp changes each session by a re-INVITE and ends it by BYE; sipp's own counts say how many calls did all of that.

A gap is the longest time between two packets of a leg at its far end, and apart from it: numbers of packets that never came.
"""

import json
import multiprocessing
import pathlib
import shutil
import socket
import struct
import sys
import tempfile
import time

from hil import sip_load
from hil.ports import UDP, free_block
from hil.sip_load import SDP, SIPLoad, _message, last_row

RATE, SESSION_S = 25, 90        # calls a second while they are set up; session timer (the least of RFC 4028)
KILL_AFTER_S = 6                # since all stand
PACKET_MS, OCTETS = 20, 160
SO_TIMESTAMPNS = 35
BEGAN = "began"


def reflector(port, orders, answers):
    """One far end for the sound of all calls: runs in a process of its own."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, 8 << 20)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.bind(("127.0.0.1", port))
    sock.setblocking(False)
    legs, sequence, payload = {}, 0, bytes([0xD5]) * OCTETS
    due, watching, space = time.monotonic(), False, socket.CMSG_SPACE(16)
    while True:
        if orders.poll():
            order = orders.recv()
            if order == "end":
                return
            if order == BEGAN:
                watching = True
                for leg in legs.values():
                    leg[2:] = [0, 0.0, 0]
            elif order == "count":
                answers.send([(leg[2], leg[3], leg[4]) for leg in legs.values()])
            elif order == "legs":
                answers.send(len(legs))
        while True:
            try:
                octets, ancillary, _, source = sock.recvmsg(2048, space)
            except BlockingIOError:
                break
            if len(octets) < 12 or octets[0] >> 6 != 2 or 200 <= octets[1] <= 207:
                continue
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
            at, number = seconds + nanoseconds / 1e9, octets[2] << 8 | octets[3]
            leg = legs.get(source)
            if leg is None:
                legs[source] = [at, number, 0, 0.0, 0]
                continue
            if watching:                # [last arrival, last number, packets, longest gap, numbers missing]
                leg[2] += 1
                leg[3] = max(leg[3], at - leg[0])
                leg[4] += (number - leg[1] - 1) & 0xFFFF if (number - leg[1]) & 0xFFFF < 0x8000 else 0
            leg[0], leg[1] = at, number
        now = time.monotonic()
        if now >= due:
            due = due + PACKET_MS / 1000 if now - due < 0.2 else now + PACKET_MS / 1000
            sequence = sequence + 1 & 0xFFFF
            packet = struct.pack(">BBHII", 0x80, 8, sequence, sequence * OCTETS & 0xFFFFFFFF, 0x5157) + payload
            for source in legs:
                try:
                    sock.sendto(packet, source)
                except OSError:
                    pass                # its port is gone: the call has ended
        else:
            time.sleep(min(0.002, due - now))


def scenarios(ports, hold_ms, rest_ms):
    """(caller, callee) of sipp.  The callee takes what refreshes a session."""
    said = [SDP.replace("m=audio 40000", "m=audio %d" % port) for port in ports]
    tag = "[peer_tag_param]"
    caller = ('<?xml version="1.0"?><scenario name="caller">'
              + _message("INVITE", "sip:[service]@[remote_ip]:[remote_port]", 1, "139[call_number]", "[service]", body=said[0])
              + "".join('<recv response="%d" optional="true"></recv>' % status for status in (100, 180, 183))
              + '<recv response="200" rrs="true"></recv>' + _message("ACK", "[next_url]", 1, "139[call_number]", "[service]", tag=tag, retrans=False)
              + '<pause milliseconds="%d"/>' % hold_ms
              + _message("INVITE", "[next_url]", 2, "139[call_number]", "[service]", body=said[0].replace("o=load 1 1", "o=load 1 2"), tag=tag)
              + '<recv response="100" optional="true"></recv><recv response="200" rrs="true" counter="2"></recv>'
              + _message("ACK", "[next_url]", 2, "139[call_number]", "[service]", tag=tag, retrans=False)
              + '<pause milliseconds="%d"/>' % rest_ms
              + _message("BYE", "[next_url]", 3, "139[call_number]", "[service]", tag=tag) + '<recv response="200"></recv></scenario>')
    back = "[last_Via:]\n[last_From:]\n[last_To:]%s\n[last_Call-ID:]\n[last_CSeq:]\n"
    ours = "Contact: <sip:[local_ip]:[local_port]>\nRequire: timer\nSession-Expires: %d;refresher=uac\nContent-Type: application/sdp\nContent-Length: [len]\n\n%s\n" % (
        SESSION_S, said[1])
    callee = ('<?xml version="1.0"?><scenario name="callee"><recv request="INVITE"></recv>'
              '<send retrans="500"><![CDATA[\n\nSIP/2.0 200 OK\n' + back % ";tag=[pid]t[call_number]" + ours + ']]></send><recv request="ACK"></recv>'
              '<label id="1"/><recv request="INVITE" optional="true" counter="1" next="2"></recv><recv request="UPDATE" optional="true" counter="1" next="3"></recv>'
              '<recv request="BYE" next="4"></recv>'
              '<label id="2"/><send retrans="500"><![CDATA[\n\nSIP/2.0 200 OK\n' + back % "" + ours + ']]></send><recv request="ACK" next="1"></recv>'
              '<label id="3"/><send next="1"><![CDATA[\n\nSIP/2.0 200 OK\n' + back % "" + "Contact: <sip:[local_ip]:[local_port]>\nRequire: timer\n"
              "Session-Expires: %d;refresher=uac\nContent-Length: 0\n\n]]></send>" % SESSION_S
              + '<label id="4"/><send><![CDATA[\n\nSIP/2.0 200 OK\n' + back % "" + "Content-Length: 0\n\n]]></send></scenario>")
    return caller, callee


class Takeover(SIPLoad):
    """A house with two SIP trunks, whose session timers run."""

    def __enter__(self):
        super().__enter__()
        running = self.rig.product.get("/configuration")
        for trunk in running["configuration"]["sip_trunks"]:
            trunk["session_s"] = SESSION_S if trunk["name"] == "out" else 0       # sipp's caller refreshes nothing and waits for nothing
        self.rig.product.post("/configuration/apply", running)
        time.sleep(1)
        return self


def finished(rig):
    """All CDRs, page by page; one that came twice is there twice."""
    rows, page = [], rig.product.get("/calls?limit=500")["calls"]
    while page:
        rows += page
        page = rig.product.get("/calls?limit=500&before=%s" % page[-1]["call"])["calls"] if len(page) == 500 else []
    return rows


def measure(folder, calls=500, rate=RATE):
    """{"calls", "legs", "longest_gap_ms", "gap_p99_ms", "lost", "packets", "refreshed", "reinvited", "ended", "failed", "cdrs"}."""
    with Takeover(folder) as load:
        ports = [free_block({UDP: (0,)}) for _ in range(2)]
        pipes = [(multiprocessing.Pipe(), multiprocessing.Pipe()) for _ in ports]
        ends = [multiprocessing.Process(target=reflector, args=(port, orders[1], answers[0]), daemon=True)
                for port, (orders, answers) in zip(ports, pipes)]
        for end in ends:
            end.start()

        def ask(order):
            for orders, _ in pipes:
                orders[0].send(order)
            return [answers[1].recv() for _, answers in pipes]
        set_up_s = calls / rate
        hold_ms = int((set_up_s + SESSION_S / 2 + 15) * 1000)
        paths = [load.folder / name for name in ("caller.xml", "callee.xml")]
        for path, text in zip(paths, scenarios(ports, hold_ms, 5000)):
            path.write_text(text)
        known = len(finished(load.rig))
        uas, uas_folder = load._sipp("takeover-uas", "-sf", str(paths[1]), "-p", str(load.ports["out"]), "-aa")
        time.sleep(0.5)
        uac, folder_ = load._sipp("takeover-uac", "-sf", str(paths[0]), "-p", str(load.ports["in"]), "-s", "7779", "-m", str(calls), "-r", str(rate),
                                  "-l", str(calls), "-aa", "-recv_timeout", "30000")
        end_at = time.monotonic() + set_up_s + 30
        while time.monotonic() < end_at and len(load.rig.state()["calls"]) < calls:
            time.sleep(0.5)
        standing = len(load.rig.state()["calls"])
        time.sleep(2)
        legs = ask("legs")
        for orders, _ in pipes:
            orders[0].send(BEGAN)
        began = time.monotonic()
        time.sleep(KILL_AFTER_S)
        load.rig.kill("control")
        load.rig.wait(lambda s: len(s["calls"]) >= standing, 60, "the calls after the kill")
        took_s = time.monotonic() - began - KILL_AFTER_S
        time.sleep(4)
        watched_s = time.monotonic() - began
        rows = [row for part in ask("count") for row in part]
        uac.wait(hold_ms / 1000 + 120)
        time.sleep(1.5)
        row, far = last_row(folder_ / "stat.csv"), last_row(uas_folder / "stat.csv")
        uas.terminate()
        uas.wait(10)
        for orders, _ in pipes:
            orders[0].send("end")
        load.rig.wait(lambda s: not s["calls"], 90, "the end of the calls")
        cdrs = len(finished(load.rig)) - known
        gaps = sorted(one[1] * 1000 for one in rows)
        return {"calls": standing, "legs": sum(legs), "watched_s": watched_s, "back_s": took_s, "packets": sum(one[0] for one in rows),
                "lost": sum(one[2] for one in rows), "longest_gap_ms": gaps[-1] if gaps else None, "gap_median_ms": gaps[len(gaps) // 2] if gaps else None,
                "refreshed": int(far.get("GenericCounter1(C)") or 0), "reinvited": int(row.get("GenericCounter2(C)") or 0),
                "ended": int(row["SuccessfulCall(C)"]), "failed": int(row["FailedCall(C)"]), "cdrs": cdrs}


def results(calls=500):
    """Rows for make bench."""
    with tempfile.TemporaryDirectory() as folder:
        found = measure(folder, calls)
    path = pathlib.Path("build/takeover.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")

    def row(name, value, unit, reference, reference_value):
        return {"name": "sip.takeover_%d.%s" % (calls, name), "value": value, "unit": unit, "reference": reference, "reference_value": reference_value, "ratio": None}
    whole = "all of them"
    return [row("packets_lost", found["lost"], "packets", "none of %d" % found["packets"], 0), row("longest_gap", found["longest_gap_ms"], "ms", "a packet each 20 ms", 20),
            row("refreshed", found["refreshed"], "calls", whole, found["calls"]), row("reinvited", found["reinvited"], "calls", whole, found["calls"]),
            row("ended_in_order", found["ended"], "calls", whole, found["calls"]), row("cdrs", found["cdrs"], "CDRs", whole, found["calls"]),
            row("control_back", found["back_s"], "s", None, None)]


if __name__ == "__main__":
    if not shutil.which("sipp") or sip_load is None:
        sys.exit("sipp is not installed (Debian: sip-tester)")
    print(json.dumps(results(int(sys.argv[1]) if len(sys.argv) > 1 else 500), indent=1))
