"""Load on the SIP side of a whole house by sipp: 2,000 lines that register, calls a second through two trunks.

    with SIPLoad(folder) as load:
        load.register(2000, rate)       # {"registered", "seconds", "failed", "retransmissions", "cpu_s"}
        load.calls(rate, seconds)       # {"rate", "offered", "good", "failed", "retransmissions", "cpu_s_per_1000", ...}

A call: sipp calls over trunk "in" a number that goes out again over trunk "out" to another sipp, which answers at once and is
hung up after HOLD_MS, each from another number: two legs, routing, hunting, two RTP terminations and their bridge, journal and CDR.  The far ends
send no RTP; what comes to them is taken and thrown away, as a telephone would take it (a port that refuses is an alarm for each call).
Asterisk's figure for the same (SIP to SIP, answered, hung up; media through the box, CDR on): 150 a second clean, 3.1-4.1 CPU seconds
per 1,000 calls (../shared/reference/peer-figures.md), measured on another machine.
"""

import contextlib
import csv
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

from hil import scratch
from hil.ports import UDP, free_block, free_port
from hil.rig import Rig, die_with_us

LINES, REGISTER_RATE = 2000, 60
RE_REGISTER_RATE = 40   # lines a second beside calls: 2,000 in 50 s, where the issue gives 60
HOLD_MS = 1000
STANDING = 500          # calls that are up while all lines register, as the issue asks
TICKS = os.sysconf("SC_CLK_TCK")
MEDIA_PORT = 40000      # of all callers and agents; sipp opens its callee's itself
SDP = """v=0
o=load 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio %d RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
""" % MEDIA_PORT
FIELDS = """Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
From: <sip:%(user)s@[local_ip]>;tag=[pid]t[call_number]
To: <sip:%(to)s@[remote_ip]>%(tag)s
Call-ID: [call_id]
CSeq: %(cseq)s
Contact: <sip:%(user)s@[local_ip]:[local_port]>
Max-Forwards: 70
"""


def _message(method, uri, cseq, user, to, extra="", body="", tag="", retrans=True):
    head = FIELDS % {"user": user, "to": to, "tag": tag, "cseq": "%d %s" % (cseq, method)}
    kind = "Content-Type: application/sdp\n" if body else ""
    return '<send%s><![CDATA[\n\n%s %s SIP/2.0\n%s%s%sContent-Length: [len]\n\n%s\n]]></send>' % (
        ' retrans="500"' if retrans else "", method, uri, head, extra, kind, body)


REGISTER = ('<?xml version="1.0"?><scenario name="register">'
            + _message("REGISTER", "sip:[remote_ip]", 1, "[field0]", "[field0]", "Expires: 3600\n")
            + '<recv response="401" auth="true"></recv>'
            + _message("REGISTER", "sip:[remote_ip]", 2, "[field0]", "[field0]", "Expires: 3600\n[field1]\n")
            + '<recv response="200"></recv></scenario>')
CALL = ('<?xml version="1.0"?><scenario name="call">'
        + _message("INVITE", "sip:[service]@[remote_ip]:[remote_port]", 1, "139[call_number]", "[service]", body=SDP)
        + '<recv response="100" optional="true"></recv><recv response="180" optional="true"></recv><recv response="183" optional="true"></recv>'
          '<recv response="200" rrs="true" rtd="true"></recv>'
        + _message("ACK", "[next_url]", 1, "139[call_number]", "[service]", tag="[peer_tag_param]", retrans=False)
        + '<pause milliseconds="%d"/>' % HOLD_MS
        + _message("BYE", "[next_url]", 2, "139[call_number]", "[service]", tag="[peer_tag_param]")
        + '<recv response="200"></recv></scenario>')


def listener(port):
    """A socket that takes RTP, unread; several rigs may have one.  None where another program listens there."""
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        ear.bind(("127.0.0.1", port))
    except OSError:
        ear.close()
        return None
    return ear


class SIPLoad:
    """See the top."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.rig = Rig(self.folder / "house")
        self.processes = []
        self.ear = None

    @staticmethod
    def is_there():
        """Whether sipp is installed."""
        return bool(shutil.which("sipp"))

    def __enter__(self):
        self.ear = listener(MEDIA_PORT)
        rig = self.rig.start(exchange=False)
        self.ports = {"in": free_port(), "out": free_port()}
        running = rig.product.get("/configuration")
        config = running["configuration"]
        config["sip"].update(source_rate=0, qualify_s=0)            # all of the load comes from one host
        config["lines"] += [{"name": "%d" % (20000 + number), "password": "secret-%d" % number} for number in range(LINES - len(config["lines"]))]
        config["trunk_groups"] += [{"name": "load-in", "classes": ["national"]}, {"name": "load-out", "caller_number": "02150809000"}]
        config["sip_trunks"] = [{"name": name, "trunk_group": "load-" + name, "channels": 2000, "options_s": 0,
                                 "addresses": [{"address": "127.0.0.1", "port": self.ports[name]}]} for name in ("in", "out")]
        config["routes"].append({"number": "777.", "choices": [{"trunk_group": "load-out"}]})
        config["recording"]["enabled"] = False
        self.more(config)
        rig.product.post("/configuration/apply", running)
        time.sleep(1)
        return self

    def more(self, config):
        """What a house of another load has besides."""

    def __exit__(self, *_):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
                process.wait(10)
        self.rig.stop()
        if self.ear is not None:
            self.ear.close()

    def _sipp(self, name, *arguments):
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen(["sipp", "127.0.0.1:%d" % self.rig.sip_port, "-i", "127.0.0.1", "-nostdin", "-trace_stat", "-stf", "stat.csv",
                                    "-fd", "1", *arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   preexec_fn=die_with_us)
        self.processes.append(process)
        return process, folder

    def cpu_s(self):
        """CPU seconds that control and media have used: (control, media)."""
        pids = self.rig.pids()
        used = []
        for name in ("control", "media"):
            fields = pathlib.Path("/proc/%d/stat" % pids[name]).read_text().rsplit(")", 1)[1].split()
            used.append((int(fields[11]) + int(fields[12])) / TICKS)
        return used

    def refused(self):
        """Messages that the switch has refused in overload so far."""
        return self.rig.state()["system"]["sip"]["counters"].get("overload_refused", 0)

    def register(self, rate=REGISTER_RATE):
        """All lines register, each with its challenge."""
        path = self.folder / "lines.csv"
        path.write_text("SEQUENTIAL\n" + "".join("%d;[authentication username=%d password=secret-%d]\n" % (20000 + n, 20000 + n, n)
                                                 for n in range(LINES - 4)))
        (self.folder / "register.xml").write_text(REGISTER)
        before, began = self.cpu_s(), time.monotonic()
        process, folder = self._sipp("register", "-sf", str(self.folder / "register.xml"), "-inf", str(path), "-m", str(LINES - 4), "-r", str(rate))
        process.wait(300)
        took, after = time.monotonic() - began, self.cpu_s()
        registered = sum(1 for line in self.rig.state()["lines"] if line["registered"])
        row = last_row(folder / "stat.csv")
        return {"registered": registered, "seconds": took, "failed": int(row["FailedCall(C)"]), "retransmissions": int(row["Retransmissions(C)"]),
                "cpu_s": after[0] - before[0]}

    @contextlib.contextmanager
    def standing(self, calls, rate):
        """Inside so many calls with sound (a packet a second each way) stand, set up at a rate; then their far ends are gone."""
        from hil.load.takeover import SoundEnds, scenarios      # it is built upon this module
        ports = [free_block({UDP: (0,)}) for _ in range(2)]
        paths = [self.folder / name for name in ("standing-caller.xml", "standing-callee.xml")]
        for path, text in zip(paths, scenarios(ports, 600000, 1000)):
            path.write_text(re.sub("Require: timer\nSession-Expires: .*\n", "", text))
        ends = SoundEnds(ports, 0)
        uas, _ = self._sipp("standing-uas", "-sf", str(paths[1]), "-aa", "-p", str(self.ports["out"]))
        time.sleep(0.5)
        uac, _ = self._sipp("standing-uac", "-aa", "-sf", str(paths[0]), "-p", str(self.ports["in"]), "-s", "7775", "-m", str(calls), "-r", str(rate), "-l", str(calls))
        end = time.monotonic() + calls / rate + 20
        while time.monotonic() < end and len(self.rig.state()["calls"]) < calls:
            time.sleep(0.3)
        try:
            yield
        finally:
            for process in (uac, uas):
                process.kill()
                process.wait(10)
            ends.stop()

    def register_beside_calls(self, calls, rate=REGISTER_RATE, call_rate=50):
        """All lines register while so many calls stand; as register(), and "calls": how many stood before and after."""
        with self.standing(calls, call_rate):
            before, counted = len(self.rig.state()["calls"]), self.refused()
            found = self.register(rate)
            found["refused"] = self.refused() - counted
            found["calls"] = (before, len(self.rig.state()["calls"]))
        end = time.monotonic() + 90             # calls without sound and without a far end are ended by the switch
        while time.monotonic() < end and self.rig.state()["calls"]:
            time.sleep(1)
        return found

    def calls(self, rate, seconds):
        """Calls at a rate."""
        (self.folder / "call.xml").write_text(CALL)
        uas, _ = self._sipp("uas", "-sn", "uas", "-p", str(self.ports["out"]))
        time.sleep(0.5)
        count, before, began = rate * seconds, self.cpu_s(), time.monotonic()
        process, folder = self._sipp("uac-%d" % rate, "-sf", str(self.folder / "call.xml"), "-p", str(self.ports["in"]), "-s", "777%d" % rate,
                                     "-m", str(count), "-r", str(rate), "-l", "4000", "-recv_timeout", "20000")
        process.wait(seconds + 120)
        took, after = time.monotonic() - began, self.cpu_s()
        uas.terminate()
        uas.wait(10)
        row = last_row(folder / "stat.csv")
        good, answered = int(row["SuccessfulCall(C)"]), re.sub(r"[^\d:.]", "", row.get("ResponseTime1(C)", "0"))
        return {"rate": rate, "offered": count, "good": good, "failed": int(row["FailedCall(C)"]), "retransmissions": int(row["Retransmissions(C)"]),
                "seconds": took, "set_up": answered, "control_cpu_s_per_1000": (after[0] - before[0]) / max(1, good) * 1000,
                "media_cpu_s_per_1000": (after[1] - before[1]) / max(1, good) * 1000}


def row(name, value, unit, reference=None, reference_value=None):
    """One row of build/bench.json."""
    return {"name": name, "value": value, "unit": unit, "reference": reference, "reference_value": reference_value,
            "ratio": value / reference_value if reference_value and value is not None else None}


def last_row(path):
    """The last line of a statistics file of sipp."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    return rows[-1]


def results():
    """Rows for make bench: the highest rate of a ladder without a failure or retransmission, then for a minute (or three quarters of it)."""
    rows, best = [], None
    with scratch.folder("sip-load-") as folder, SIPLoad(folder) as load:
        registered = load.register_beside_calls(STANDING, RE_REGISTER_RATE)
        for rate in (40, 80, 100, 120, 150, 180, 200):
            got = load.calls(rate, 10)
            if got["failed"] or got["retransmissions"]:
                break
            best = got
        minute = None
        for rate in (best["rate"], best["rate"] * 3 // 4) if best else ():
            minute = load.calls(rate, 60)
            if not minute["failed"] and not minute["retransmissions"]:
                break
    reference = "Asterisk 22.10, peer-figures.md, another machine"
    rows.append({"name": "sip.register_2000_s", "value": registered["seconds"], "unit": "s", "reference": "aim of the issue", "reference_value": 60.0,
                 "ratio": registered["seconds"] / 60})
    rows.append({"name": "sip.register_2000_calls_lost", "value": registered["calls"][0] - registered["calls"][1], "unit": "of %d calls" % registered["calls"][0]})
    rows.append({"name": "sip.register_2000_failed", "value": registered["failed"], "unit": "lines"})
    rows.append({"name": "sip.register_2000_cpu", "value": registered["cpu_s"], "unit": "s", "of": "sip.kamailio_register_2000_cpu"})
    rows.append(row("sip.register_2000_refused", registered["refused"], "messages", "503 of overload"))
    clean = None
    if minute is not None:
        clean = None if minute["failed"] or minute["retransmissions"] else minute["rate"]
        used = minute["control_cpu_s_per_1000"] + minute["media_cpu_s_per_1000"]
        rows.append(row("sip.calls_60_s.failed", minute["failed"], "of %d calls" % minute["offered"]))
        rows.append(row("sip.calls_60_s.retransmissions", minute["retransmissions"], "of %d calls" % minute["offered"]))
        rows.append(row("sip.cpu_s_per_1000_calls", used, "s", reference, 3.6))
    rows.append(row("sip.calls_per_second", clean, "1/s", reference, 150.0))
    return rows
