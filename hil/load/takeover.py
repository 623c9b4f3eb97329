"""Control killed while many SIP calls are up: what their far ends hear, and whether their dialogs go on.

    python -m hil.load.takeover [CALLS [HEARD]]  # build/takeover.json
    found = measure(folder, calls=500)           # as below; results() for make bench

sipp calls over one SIP trunk a number that goes out over another, where sipp answers.  Both halves' sound goes to two far ends (a C program,
sound_ends.c): each sends, by its own clock, a packet every 20 ms to each leg that it hears of, and notes each packet of every leg by the kernel's
time stamp.  Control is killed (SIGKILL) while all stand.  Later the trunk's session timers run (RFC 4028, re-INVITE or UPDATE of the switch),
sipp changes each session by a re-INVITE and ends it by BYE; sipp's own counts say how many calls did all of that, the CDRs how each ended.

A gap is the longest time between two packets of a leg at its far end, from the kill on ("longest_gap_before_ms": in the same time before it, which
is this machine's matter, as are media's late ticks of the host); apart from it, numbers of packets that never came.  What the far ends' own
sockets threw away is told apart ("dropped_here"): it is not lost by the switch.  So is how late the far ends themselves were ("late_here_ms").
"Back" is the first answer to OPTIONS after the kill.
"""

import collections
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import time

from hil import scratch, sip_load
from hil.ports import UDP, free_block
from hil.rig import CHECKOUT, RigError, die_with_us
from hil.sip_load import MEDIA_PORT, SDP, SIPLoad, _message, last_row

RATE, SESSION_S = 25, 90        # calls a second while they are set up; session timer (the least of RFC 4028)
KILL_AFTER_S = 6                # since all stand
PACKET_MS = 20
PROGRAM = CHECKOUT / "build/hil/sound-ends"


class SoundEnds:
    """The far ends of all sound: hil/load/sound_ends.c, one end for each port.

    heard: how many legs of each end get a packet each 20 ms; the others one a second, which keeps their calls alive."""

    def __init__(self, ports, heard):
        if not PROGRAM.exists():
            raise RigError("There is no %s; `make -C hil` makes it." % PROGRAM)
        self.process = subprocess.Popen([str(PROGRAM), *map(str, ports), "every", str(1000 // PACKET_MS), "beyond", str(heard)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_us)
        self.ask("legs")            # the ports are open

    def ask(self, order):
        """"legs", "watch" or "count": an answer for each port."""
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RigError("The far ends of the sound have ended.")
        return json.loads(line)

    def stop(self):
        """End it."""
        self.process.stdin.close()
        self.process.wait(10)


def answers_after(port, from_port, timeout_s=60):
    """Seconds until SIP is answered: an OPTIONS each 50 ms, outside of all dialogs.  Raises RigError."""
    began = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", from_port))
        sock.settimeout(0.05)
        number = 0
        while time.monotonic() - began < timeout_s:
            number += 1
            name = "%d-%d" % (from_port, number)
            sock.sendto(("OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bK%s;rport\r\nFrom: <sip:rig@127.0.0.1>;tag=%s\r\n"
                         "To: <sip:127.0.0.1>\r\nCall-ID: %s@rig\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
                         % (from_port, name, name, name)).encode(), ("127.0.0.1", port))
            try:
                if sock.recv(65536).startswith(b"SIP/2.0 "):
                    return time.monotonic() - began
            except TimeoutError:
                pass
    raise RigError("No answer to OPTIONS in %g s after control was killed." % timeout_s)


def scenarios(ports, hold_ms, rest_ms):
    """(caller, callee) of sipp.  The callee takes what refreshes a session."""
    said = [SDP.replace("m=audio %d" % MEDIA_PORT, "m=audio %d" % port) for port in ports]
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


def measure(folder, calls=500, rate=RATE, heard=None):
    """{"calls", "legs", "packets", "lost", "longest_gap_ms", "back_s", "refreshed", "reinvited", "ended", "failed", "cdrs", "causes", ...}.

    heard: how many calls have sound from their far ends all the time; None: all."""
    with Takeover(folder) as load:
        ports = [free_block({UDP: (0,)}) for _ in range(2)]
        ends = SoundEnds(ports, calls if heard is None else heard)
        try:
            return _measured(load, ends, ports, calls, rate)
        finally:
            ends.stop()


def _measured(load, ends, ports, calls, rate):
    rig, set_up_s = load.rig, calls / rate
    hold_ms = int((set_up_s + SESSION_S / 2 + 15) * 1000)
    paths = [load.folder / name for name in ("caller.xml", "callee.xml")]
    for path, text in zip(paths, scenarios(ports, hold_ms, 5000)):
        path.write_text(text)
    known = len(finished(rig))
    uas, uas_folder = load._sipp("takeover-uas", "-sf", str(paths[1]), "-p", str(load.ports["out"]), "-aa", "-trace_err")
    time.sleep(0.5)
    uac, uac_folder = load._sipp("takeover-uac", "-sf", str(paths[0]), "-p", str(load.ports["in"]), "-s", "7779", "-m", str(calls), "-r", str(rate),
                                 "-l", str(calls), "-aa", "-recv_timeout", "30000", "-trace_err")
    end_at = time.monotonic() + set_up_s + 30
    while time.monotonic() < end_at and len(rig.state()["calls"]) < calls:
        time.sleep(1)           # the answer names 2,000 lines: asked more often, it would be the load
    standing = len(rig.state()["calls"])
    time.sleep(2)
    legs = ends.ask("legs")
    ends.ask("watch")
    began = time.monotonic()
    time.sleep(KILL_AFTER_S)
    before, ticks = ends.ask("count"), rig.product.get("/media")["tick"]
    ends.ask("watch")           # in the same breath: the last arrivals stay
    rig.kill("control")
    back_s = answers_after(rig.sip_port, free_block({UDP: (0,)}))
    time.sleep(4)
    counted, watched_s = ends.ask("count"), time.monotonic() - began
    ticks = {name: value - ticks[name] for name, value in rig.product.get("/media")["tick"].items() if name[:10] == "late_ticks"}
    stand_after = len(rig.wait(lambda s: s["calls"], 60, "the calls after the kill"))
    rows, rows_before = ([row for end in ends_ for row in end["legs"]] for ends_ in (counted, before))
    uac.wait(hold_ms / 1000 + 120)
    time.sleep(1.5)
    row, far = last_row(uac_folder / "stat.csv"), last_row(uas_folder / "stat.csv")
    uas.terminate()
    uas.wait(10)
    rig.wait(lambda s: not s["calls"], 90, "the end of the calls")
    cdrs = finished(rig)
    cdrs = cdrs[:len(cdrs) - known]
    gaps, gaps_before = (sorted(one[1] / 1000 for one in part) or [None] for part in (rows, rows_before))
    missing, dropped = sum(one[2] for one in rows + rows_before), sum(end["dropped"] for end in counted + before)
    return {"calls": standing, "after": stand_after, "legs": sum(legs), "watched_s": watched_s, "back_s": back_s, "packets": sum(one[0] for one in rows + rows_before),
            "missing": missing, "dropped_here": dropped, "lost": max(0, missing - dropped), "late_here_ms": max(end["late_us"] for end in counted) / 1000,
            "longest_gap_ms": gaps[-1], "gap_median_ms": gaps[len(gaps) // 2], "longest_gap_before_ms": gaps_before[-1], **ticks,
            "refreshed": int(far.get("GenericCounter1(C)") or 0), "reinvited": int(row.get("GenericCounter2(C)") or 0),
            "ended": int(row["SuccessfulCall(C)"]), "failed": int(row["FailedCall(C)"]), "cdrs": len(cdrs),
            "causes": dict(collections.Counter("%s, cause %s by %s" % (cdr["result"], cdr["cause"], cdr["released_by"]) for cdr in cdrs))}


def results(calls=500, heard=None):
    """Rows for make bench."""
    with scratch.folder("takeover-") as folder:
        found = measure(folder, calls, heard=heard)
    path = pathlib.Path("build/takeover.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")

    def row(name, value, unit, reference, reference_value):
        return {"name": "sip.takeover_%d.%s" % (calls, name), "value": value, "unit": unit, "reference": reference, "reference_value": reference_value, "ratio": None}
    whole = "all of them"
    return [row("packets_lost", found["lost"], "packets", "none of %d" % found["packets"], 0), row("longest_gap", found["longest_gap_ms"], "ms", "in the seconds before the kill", found["longest_gap_before_ms"]),
            row("refreshed", found["refreshed"], "calls", whole, found["calls"]), row("reinvited", found["reinvited"], "calls", whole, found["calls"]),
            row("ended_in_order", found["ended"], "calls", whole, found["calls"]), row("cdrs", found["cdrs"], "CDRs", whole, found["calls"]),
            row("control_back", found["back_s"], "s", None, None)]


if __name__ == "__main__":
    if not shutil.which("sipp") or sip_load is None:
        sys.exit("sipp is not installed (Debian: sip-tester)")
    print(json.dumps(results(*map(int, sys.argv[1:3])), indent=1))
