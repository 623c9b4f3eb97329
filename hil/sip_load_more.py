"""More of the load on the SIP side: calls through a queue to agents, overload, memory; Kamailio for comparison.

    with QueueLoad(folder) as load:
        load.sign_on(agents)                # their phones register; sipp answers for them
        load.queue_calls(rate, seconds)     # {..., "p99_ms": from the caller's INVITE to the agent's}
        load.overload(capacity, factor, seconds)
        load.memory_of_calls(count)
    results()                               # rows for make bench

A queue call: sipp calls over the trunk "in" a number that is a queue; the switch answers, offers the call to the longest idle agent,
records both sides; sipp hangs up after HOLD_MS.  When each INVITE left and arrived is written down by the two sipps (their log
action), told apart by the caller's number.  Refusals in overload are counted apart from failures, and timed.
"""

import csv
import html
import math
import pathlib
import re
import shutil
import signal
import subprocess
import time

from hil import sip_load
from hil.ports import free_port
from hil.rig import die_with_us
from hil.sip_load import SDP, TICKS, SIPLoad, _message, last_row

AGENTS, FIRST = 240, 20000
QUEUE_NUMBER = "8880"
HOLD_MS = 1500
ASKED_RATE = 60         # calls a second at which the issue asks for the 99th percentile
STAMP = re.compile(r"(\d{10}\.\d+) (\d+)")
PICTURE = "build/sip_overload.svg"
LOG = '<nop><action><log message="[timestamp] %s"/></action></nop>'
REFUSED = ("480", "486", "500", "503")


def caller_scenario(service, hold_ms, log=False, refusals=False):
    """sipp's caller: the call's own number is who calls."""
    user = "139[call_number]"
    invite = _message("INVITE", "sip:%s@[remote_ip]:[remote_port]" % service, 1, user, service, body=SDP)
    if refusals:
        invite = invite.replace("<send ", '<send start_rtd="2" ', 1)
    out = ['<?xml version="1.0"?><scenario name="caller">', LOG % "[call_number]" if log else "", invite]
    out += ['<recv response="%d" optional="true"></recv>' % status for status in (100, 180, 183)]
    if refusals:
        out += ['<recv response="%s" optional="true" rtd="2" counter="1" next="9"></recv>' % status for status in REFUSED]
    out += ['<recv response="200" rrs="true" rtd="1"></recv>', _message("ACK", "[next_url]", 1, user, service, tag="[peer_tag_param]", retrans=False),
            '<pause milliseconds="%d"/>' % hold_ms, _message("BYE", "[next_url]", 2, user, service, tag="[peer_tag_param]"),
            '<recv response="200"></recv>']
    if refusals:
        out += ['<label id="8"/><nop next="7"/><label id="9"/>',
                '<send><![CDATA[\n\nACK sip:%s@[remote_ip]:[remote_port] SIP/2.0\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\nCSeq: 1 ACK\n'
                'Max-Forwards: 70\nContent-Length: 0\n\n]]></send><label id="7"/>' % service]
    return "".join(out) + "</scenario>"


AGENT = ('<?xml version="1.0"?><scenario name="agent"><recv request="INVITE"><action>'
         '<ereg regexp="sip:139([0-9]+)@" search_in="hdr" header="From:" assign_to="1,2"/><log message="[timestamp] [$2]"/></action></recv>'
         + "".join('<send%s><![CDATA[\n\nSIP/2.0 %s\n[last_Via:]\n[last_From:]\n[last_To:];tag=[pid]a[call_number]\n[last_Call-ID:]\n[last_CSeq:]\n'
                   'Contact: <sip:[local_ip]:[local_port]>\n%sContent-Length: [len]\n\n%s\n]]></send>'
                   % (' retrans="500"' if body else "", line, "Content-Type: application/sdp\n" if body else "", body)
                   for line, body in (("180 Ringing", ""), ("200 OK", SDP)))
         + '<recv request="ACK"></recv><recv request="BYE"></recv>'
           '<send><![CDATA[\n\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n\n]]></send>'
           '<Reference variables="1"/></scenario>')


class QueueLoad(SIPLoad):
    """A house with AGENTS agents of one queue besides what SIPLoad has."""

    def __init__(self, folder):
        super().__init__(folder)
        self.seconds = []           # of each overload: (factor, per_second())

    def __enter__(self):
        super().__enter__()
        running = self.rig.product.get("/configuration")
        config = running["configuration"]
        for agent in config["agents"]:
            agent["initial_status"] = "logged_out"
        names = [str(FIRST + number) for number in range(AGENTS)]
        config["queues"].append({"name": "load", "label": "Load"})
        config["agents"] += [{"name": name, "label": name, "line": name, "wrap_up_s": 0, "initial_status": "available",
                              "queues": [{"queue": "load", "level": 1}]} for name in names]
        config["numbers"].append({"number": QUEUE_NUMBER, "application": "queue", "target": "load"})
        config["recording"]["enabled"] = True
        self.rig.product.post("/configuration/apply", running)
        time.sleep(1)
        return self

    def sign_on(self):
        """The agents' phones register from one port, then sipp answers there."""
        self.ports["agents"] = free_port()
        path = self.folder / "agents.csv"
        path.write_text("SEQUENTIAL\n" + "".join("%d;[authentication username=%d password=secret-%d]\n" % (FIRST + n, FIRST + n, n) for n in range(AGENTS)))
        (self.folder / "register.xml").write_text(sip_load.REGISTER)
        process, _ = self._sipp("sign-on", "-sf", str(self.folder / "register.xml"), "-inf", str(path), "-m", str(AGENTS), "-r", "60",
                                "-p", str(self.ports["agents"]))
        process.wait(120)
        (self.folder / "agent.xml").write_text(AGENT)
        self.agents, self.agents_folder = self._sipp("agents", "-sf", str(self.folder / "agent.xml"), "-p", str(self.ports["agents"]), "-trace_logs",
                                                     "-log_file", "agents.log")
        for name in range(FIRST, FIRST + AGENTS):
            self.rig.product.put("/agents/%d/status" % name, {"status": "available"})

    def _callers(self, name, scenario, rate, count, *more):
        path = self.folder / (name + ".xml")
        path.write_text(scenario)
        return self._sipp(name, "-sf", str(path), "-p", str(self.ports["in"]), "-m", str(count), "-r", str(rate), "-l", "20000", "-recv_timeout", "20000",
                          *more)

    def queue_calls(self, rate, seconds):
        """Calls through the queue at a rate."""
        name, count, before = "queue-%d" % rate, rate * seconds, self.cpu_s()
        process, folder = self._callers(name, caller_scenario(QUEUE_NUMBER, HOLD_MS, log=True), rate, count, "-trace_logs", "-log_file", "callers.log")
        began = time.time()
        process.wait(seconds + 120)
        after, row = self.cpu_s(), last_row(folder / "stat.csv")
        good = int(row["SuccessfulCall(C)"])
        return {"rate": rate, "good": good, "failed": int(row["FailedCall(C)"]), "retransmissions": int(row["Retransmissions(C)"]),
                "cpu_s_per_1000": sum(after[n] - before[n] for n in (0, 1)) / max(1, good) * 1000, "p99_ms": self._p99_ms(folder / "callers.log", began)}

    def _p99_ms(self, path, began):
        left = {number: float(when) for when, number in STAMP.findall(path.read_text())} if path.exists() else {}
        delays = []
        for when, number in STAMP.findall((self.agents_folder / "agents.log").read_text()):
            if float(when) >= began - 1 and number in left:
                delays.append((float(when) - left.pop(number)) * 1000)
        delays.sort()
        return delays[math.ceil(len(delays) * 0.99) - 1] if delays else None

    def overload(self, capacity, factor, seconds):
        """Trunk-to-trunk calls at factor times the capacity: what comes through, how fast the rest is refused."""
        rate = max(1, round(capacity * factor))
        uas, _ = self._sipp("overload-uas-%d" % rate, "-sn", "uas", "-p", str(self.ports["out"]))
        time.sleep(0.5)
        process, folder = self._callers("overload-%d" % rate, caller_scenario("777%d" % rate, 1000, refusals=True), rate, rate * seconds)
        began = time.monotonic()
        process.wait(seconds + 180)
        took = max(seconds, time.monotonic() - began - 1)       # the last calls stand for a second; what waited longer came late
        uas.terminate()
        uas.wait(10)
        row = last_row(folder / "stat.csv")
        refused = int(row.get("GenericCounter1(C)") or 0)
        self.seconds.append((factor, per_second(folder / "stat.csv")))
        good = int(row["SuccessfulCall(C)"]) - refused
        return {"factor": factor, "rate": rate, "good": good, "refused": refused, "failed": int(row["FailedCall(C)"]),
                "goodput": good / took, "ratio": good / took / capacity, "refusal_ms": seconds_of(row.get("ResponseTime2(C)")) * 1000}

    def rss_mb(self):
        """Resident memory of control and media: (control, media)."""
        pids = self.rig.pids()
        return [int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path("/proc/%d/status" % pids[name]).read_text()).group(1)) / 1024 for name in ("control", "media")]

    def memory_of_calls(self, count, rate):
        """MB for `count` calls that are up at once."""
        uas, _ = self._sipp("memory-uas", "-sn", "uas", "-aa", "-p", str(self.ports["out"]))
        time.sleep(0.5)
        before = self.rss_mb()
        hold_ms = int(count / rate * 1000) + 15000
        process, _ = self._callers("memory", caller_scenario("7771", hold_ms), rate, count, "-aa")
        up, after, end = 0, before, time.monotonic() + hold_ms / 1000
        while up < count and time.monotonic() < end and process.poll() is None:
            time.sleep(0.5)
            calls = len(self.rig.state()["calls"])
            if calls > up:
                up, after = calls, self.rss_mb()
        process.wait(180)
        uas.terminate()
        uas.wait(10)
        return {"calls": up, "control_mb": after[0] - before[0], "media_mb": after[1] - before[1]}


def per_second(path):
    """[(calls begun, refused, come through, ms of the refusals)] of each second of a statistics file of sipp."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))[:-1]
    out = []
    for row in rows:
        refused = int(row.get("GenericCounter1(P)") or 0)
        out.append((int(row["OutgoingCall(P)"]), refused, max(0, int(row["SuccessfulCall(P)"]) - refused), seconds_of(row.get("ResponseTime2(P)")) * 1000))
    return out


def seconds_of(text):
    """sipp's "00:00:00:012000" in seconds."""
    found = re.match(r"(\d+):(\d+):(\d+):(\d+)", text or "")
    return int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3]) + int(found[4]) / 1e6 if found else 0.0


KAMAILIO = """\
#!KAMAILIO
debug=0
log_stderror=yes
fork=yes
children=1
disable_tcp=yes
listen=udp:127.0.0.1:%d
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "siputils.so"
loadmodule "textops.so"
request_route {
    if (has_totag()) { t_relay(); exit; }       # the caller sends it here, its Request-URI is the far end's Contact
    $du = "sip:127.0.0.1:%d";
    t_relay();
}
"""


def kamailio_cpu_s_per_1000(folder, rate=60, seconds=8):
    """Processor seconds of Debian's Kamailio, a stateful proxy without media or CDR, for 1,000 of the same calls; None where it is not installed."""
    if not shutil.which("kamailio"):
        return None
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    ports = [free_port() for _ in range(3)]
    (folder / "kamailio.cfg").write_text(KAMAILIO % (ports[0], ports[1]))
    (folder / "call.xml").write_text(sip_load.CALL)
    common = {"cwd": folder, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "preexec_fn": die_with_us}
    proxy = subprocess.Popen(["kamailio", "-DD", "-E", "-f", str(folder / "kamailio.cfg"), "-Y", str(folder), "-w", str(folder), "-m", "64"],
                             start_new_session=True, **common)
    uas = subprocess.Popen(["sipp", "-sn", "uas", "-i", "127.0.0.1", "-p", str(ports[1]), "-nostdin"], **common)
    try:
        time.sleep(2)
        uac = subprocess.Popen(["sipp", "127.0.0.1:%d" % ports[0], "-sf", "call.xml", "-s", "777", "-i", "127.0.0.1", "-p", str(ports[2]), "-nostdin", "-trace_stat",
                                "-stf", "stat.csv", "-fd", "1", "-m", str(rate * seconds), "-r", str(rate), "-recv_timeout", "10000"], **common)
        uac.wait(seconds + 60)
        good = int(last_row(folder / "stat.csv")["SuccessfulCall(C)"])
        used = sum(sum(int(field) for field in pathlib.Path("/proc/%s/stat" % pid).read_text().rsplit(")", 1)[1].split()[11:13])
                   for pid in _family(proxy.pid)) / TICKS
        return used / good * 1000 if good else None
    finally:
        for process in (proxy, uas):
            process.send_signal(signal.SIGTERM)
            process.wait(20)


KAMAILIO_REGISTRAR = """\
#!KAMAILIO
debug=0
log_stderror=yes
fork=yes
children=1
disable_tcp=yes
listen=udp:127.0.0.1:%d
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
request_route {
    if (!pv_www_authenticate("bench", "secret", "0")) { www_challenge("bench", "1"); exit; }
    save("location");
}
"""


def kamailio_register_cpu_s(folder, lines=sip_load.LINES - 4, rate=120):
    """Processor seconds of Debian's Kamailio for the registrations that SIPLoad.register() makes, challenge included, kept in memory only; None
    where it is not installed.  All have one password: it looks nothing up."""
    if not shutil.which("kamailio"):
        return None
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    ports = [free_port() for _ in range(2)]
    (folder / "kamailio.cfg").write_text(KAMAILIO_REGISTRAR % ports[0])
    (folder / "register.xml").write_text(sip_load.REGISTER)
    (folder / "lines.csv").write_text("SEQUENTIAL\n" + "".join("%d;[authentication username=%d password=secret]\n" % (FIRST + n, FIRST + n) for n in range(lines)))
    common = {"cwd": folder, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "preexec_fn": die_with_us}
    registrar = subprocess.Popen(["kamailio", "-DD", "-E", "-f", str(folder / "kamailio.cfg"), "-Y", str(folder), "-w", str(folder), "-m", "64"],
                                 start_new_session=True, **common)
    try:
        time.sleep(2)
        uac = subprocess.Popen(["sipp", "127.0.0.1:%d" % ports[0], "-sf", "register.xml", "-inf", "lines.csv", "-i", "127.0.0.1", "-p", str(ports[1]), "-nostdin",
                                "-trace_stat", "-stf", "stat.csv", "-fd", "1", "-m", str(lines), "-r", str(rate)], **common)
        uac.wait(lines // rate + 60)
        good = int(last_row(folder / "stat.csv")["SuccessfulCall(C)"])
        used = sum(sum(int(field) for field in pathlib.Path("/proc/%s/stat" % pid).read_text().rsplit(")", 1)[1].split()[11:13])
                   for pid in _family(registrar.pid)) / TICKS
        return used if good == lines else None
    finally:
        registrar.send_signal(signal.SIGTERM)
        registrar.wait(20)


def _family(pid):
    """A process and its children."""
    children = pathlib.Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split()
    return [str(pid), *children]


def draw(rows, capacity, path, seconds=()):
    """Bars: what came through, was refused, failed, in calls a second, at each factor of overload; below them each second of it.

    seconds: [(factor, per_second())], the calm after the overload last, with factor 0."""
    width, base = 640, 290
    height = 340 + (200 if seconds else 0)
    most = max(row["rate"] for row in rows)
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">' % (width, height),
             '<rect width="%d" height="%d" fill="#ffffff"/><text x="20" y="22" font-size="15">Overload: calls a second; capacity %g</text>' % (width, height, capacity)]
    for place, row in enumerate(rows):
        x, y = 60 + place * 150, base
        for name, value, colour in (("through", row["goodput"], "#1c7c3c"), ("refused", row["rate"] * row["refused"] / max(1, row["good"] + row["refused"] + row["failed"]), "#b26a00"),
                                    ("failed", row["rate"] * row["failed"] / max(1, row["good"] + row["refused"] + row["failed"]), "#b3261e")):
            tall = 240 * value / most
            y -= tall
            parts.append('<rect x="%d" y="%.1f" width="70" height="%.1f" fill="%s"><title>%s %.1f</title></rect>' % (x, y, tall, colour, html.escape(name), value))
        parts.append('<text x="%d" y="%d">%gx: %.0f of %d through, refusals %.0f ms</text>' % (x - 30, base + 18 + 16 * (place % 2), row["factor"], row["goodput"], row["rate"], row["refusal_ms"]))
    if seconds:
        flat = [(factor, number, *row) for factor, series in seconds for number, row in enumerate(series)]
        top = max([row[4] for row in flat] + [1]) * 1.2
        slowest = max([row[5] for row in flat] + [100])
        wide = 560 / max(1, len(flat))
        parts.append('<text x="20" y="362">each second: come through (green, calls), mean time of a refusal (red, ms; the line is 100 ms)</text>')
        parts.append('<line x1="60" x2="620" y1="%.1f" y2="%.1f" stroke="#b3261e" stroke-dasharray="4"/>' % ((520 - 140 * 100 / slowest,) * 2))
        for place, (factor, number, _, _, through, ms) in enumerate(flat):
            x = 60 + wide * place
            parts.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#1c7c3c"/>' % (x, 520 - 140 * through / top, wide * 0.5, 140 * through / top))
            parts.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#b3261e"/>' % (x + wide * 0.5, 520 - 140 * ms / slowest, wide * 0.4, 140 * ms / slowest))
            if not number:
                parts.append('<text x="%.1f" y="535">%s</text>' % (x, "%gx" % factor if factor else "calm"))
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text("".join(parts) + "</svg>")


def row(name, value, unit, reference=None, reference_value=None):
    """One row of build/bench.json."""
    return {"name": name, "value": value, "unit": unit, "reference": reference, "reference_value": reference_value,
            "ratio": value / reference_value if reference_value and value is not None else None}


def results(ladder=(20, 40, 60, 80, 100, 120, 150), overload=(1.5, 3, 10), seconds=8):
    """Rows for make bench."""
    import tempfile
    rows, best, asked, capacity = [], None, None, None
    with tempfile.TemporaryDirectory() as folder:
        kamailio = kamailio_cpu_s_per_1000(pathlib.Path(folder) / "kamailio")
        registrar = kamailio_register_cpu_s(pathlib.Path(folder) / "registrar")
        with QueueLoad(folder) as load:
            idle = load.rss_mb()
            registered = load.register()
            after = load.rss_mb()
            load.sign_on()
            for rate in ladder:
                got = load.queue_calls(rate, seconds)
                if got["failed"] or got["retransmissions"]:
                    break
                best = got
                if rate <= ASKED_RATE or asked is None:
                    asked = got
            for rate in ladder:
                got = load.calls(rate, seconds)
                if got["failed"] or got["retransmissions"]:
                    break
                capacity = got
            memory = load.memory_of_calls(400, 20)
            worse = [load.overload(capacity["rate"], factor, seconds) for factor in overload] if capacity else []
            calm = load.calls(max(5, (capacity or {"rate": 10})["rate"] // 2), 4)
            load.seconds.append((0, per_second(pathlib.Path(folder) / ("uac-%d" % calm["rate"]) / "stat.csv")))
    rows.append(row("sip.kamailio_cpu_s_per_1000_calls", kamailio, "s", "Debian's Kamailio 5.6.3, same calls, no media, no CDR"))
    rows.append(row("sip.kamailio_register_2000_cpu", registrar, "s", "Debian's Kamailio 5.6.3, the same registrations; ours is sip.register_2000_cpu"))
    rows.append(row("sip.memory_per_registration_kb", (sum(after) - sum(idle)) * 1024 / max(1, registered["registered"]), "KiB"))
    rows.append(row("sip.memory_per_1000_calls_mb", (memory["control_mb"] + memory["media_mb"]) / max(1, memory["calls"]) * 1000, "MB",
                    "Asterisk 22.10, peer-figures.md", 420.0))
    if best is not None:
        rows.append(row("sip.queue_calls_per_second", best["rate"], "1/s", "Asterisk 22.10 (prompt, queue, recording), another machine", 60.0))
        rows.append(row("sip.queue_cpu_s_per_1000_calls", best["cpu_s_per_1000"], "s"))
        rows.append(row("sip.invite_to_agent_p99_ms", asked["p99_ms"], "ms", "aim of the issue at %d a second; here at %d" % (ASKED_RATE, asked["rate"]), 50.0))
    if capacity is not None:
        rows.append(row("sip.failures", capacity["failed"], "calls", "at %d calls a second" % capacity["rate"]))
        draw(worse, capacity["rate"], PICTURE, load.seconds)
        for one, aim in zip(worse, (0.9, 0.85, 0.8)):
            rows.append(row("sip.overload_%gx.goodput_ratio" % one["factor"], one["ratio"], "", "aim of the issue", aim))
            rows.append(row("sip.overload_%gx.refusal_ms" % one["factor"], one["refusal_ms"], "ms", "aim of the issue", 100.0))
        rows.append(row("sip.overload_after.failures", calm["failed"], "calls", "at half the capacity, right after 10x"))
    return rows


if __name__ == "__main__":
    import json
    import sys
    print(json.dumps(results(ladder=tuple(int(word) for word in sys.argv[1].split(",")) if len(sys.argv) > 1 else (20, 40, 60, 80, 100, 120, 150)), indent=1))
