"""More of the load on the SIP side: calls through a queue to agents, memory; Kamailio (sip_reference.py) for comparison.

    with QueueLoad(folder) as load:
        load.sign_on(agents)                # their phones register; sipp answers for them
        load.queue_calls(rate, seconds)     # {..., "p99_ms": from the caller's INVITE to the agent's}
        load.memory_of_calls(count, rate)   # MB of control and media
    results()                               # rows for make bench

A queue call: sipp calls over the trunk "in" a number that is a queue; the switch answers, offers the call to the longest idle agent,
records both sides; sipp hangs up after HOLD_MS.  When each INVITE left and arrived is written down by the two sipps (their log
action), told apart by the caller's number.  Overload: sip_overload.py.
"""

import math
import pathlib
import re
import time

from hil import scratch, sip_load, sip_reference
from hil.ports import free_port
from hil.sip_load import SDP, SIPLoad, _message, last_row, row

AGENTS, FIRST = 240, 20000
QUEUE_NUMBER = "8880"
HOLD_MS = 1500
ASKED_RATE = 60         # calls a second at which the issue asks for the 99th percentile
STAMP = re.compile(r"(\d{10}\.\d+) (\d+)")
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

    def rss_mb(self):
        """Resident memory of control and media: (control, media)."""
        pids = self.rig.pids()
        return [int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path("/proc/%d/status" % pids[name]).read_text()).group(1)) / 1024 for name in ("control", "media")]

    def memory_of_calls(self, count, rate):
        """MB before and for `count` calls that are up at once, with sound and recorded: {"calls", "base_mb", "control_mb", "media_mb"}."""
        before = self.rss_mb()
        with self.standing(count, rate):
            after, up = self.rss_mb(), len(self.rig.state()["calls"])
        return {"calls": up, "base_mb": sum(before), "control_mb": after[0] - before[0], "media_mb": after[1] - before[1]}


def results(ladder=(20, 40, 60, 80, 100, 120, 150), seconds=8):
    """Rows for make bench: the highest rate of a ladder without a failure or retransmission, then for a minute (or three quarters of it)."""
    rows, best, asked, minute = [], None, None, None
    with scratch.folder("sip-load-") as folder:
        kamailio = sip_reference.cpu_s_per_1000_calls(pathlib.Path(folder) / "kamailio")
        registrar = sip_reference.register_cpu_s(pathlib.Path(folder) / "registrar")
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
            for rate in (best["rate"], best["rate"] * 3 // 4) if best else ():
                minute = load.queue_calls(rate, 60)
                if rate == ASKED_RATE:
                    asked = minute
                if not minute["failed"] and not minute["retransmissions"]:
                    break
            memory = load.memory_of_calls(400, 20)
    rows.append(row("sip.kamailio_cpu_s_per_1000_calls", kamailio, "s", "Debian's Kamailio 5.6.3, same calls, no media, no CDR"))
    rows.append(row("sip.kamailio_register_2000_cpu", registrar, "s", "Debian's Kamailio 5.6.3, the same registrations; ours is sip.register_2000_cpu"))
    rows.append(row("sip.memory_per_registration_kb", (sum(after) - sum(idle)) * 1024 / max(1, registered["registered"]), "KiB"))
    rows.append(row("sip.memory_base_mb", sum(idle), "MB", "Asterisk 22.10, peer-figures.md: 2,000 endpoints", 93.0))
    rows.append(row("sip.memory_per_1000_calls_mb", (memory["control_mb"] + memory["media_mb"]) / max(1, memory["calls"]) * 1000, "MB",
                    "Asterisk 22.10, peer-figures.md", 420.0))
    clean = None
    if minute is not None:
        clean = None if minute["failed"] or minute["retransmissions"] else minute["rate"]
        rows.append(row("sip.queue_60_s.failed", minute["failed"], "of %d calls" % (minute["rate"] * 60)))
        rows.append(row("sip.queue_60_s.retransmissions", minute["retransmissions"], "of %d calls" % (minute["rate"] * 60)))
        rows.append(row("sip.queue_cpu_s_per_1000_calls", minute["cpu_s_per_1000"], "s", "Asterisk 22.10: 8.3-17.5, another machine", 12.9))
        rows.append(row("sip.invite_to_agent_p99_ms", asked["p99_ms"], "ms", "aim of the issue at %d a second; here at %d" % (ASKED_RATE, asked["rate"]), 50.0))
    rows.append(row("sip.queue_calls_per_second", clean, "1/s", "Asterisk 22.10 (prompt, queue, recording; for 40 s), another machine", 60.0))
    return rows


if __name__ == "__main__":
    import json
    import sys
    print(json.dumps(results(ladder=tuple(int(word) for word in sys.argv[1].split(",")) if len(sys.argv) > 1 else (20, 40, 60, 80, 100, 120, 150)), indent=1))
