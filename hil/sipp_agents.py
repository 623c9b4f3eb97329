"""Agents' telephones by sipp: one process that registers some lines and answers for all of them.

    agents = SippAgents(folder, rig, {"2001": "password", ...}).start()
    agents.answered()      # Call-IDs whose 200 with a session description was acknowledged: what sipp itself wrote down
    agents.stop()

A telephone rings for RING_MS, is answered, echoes the sound that it hears (one RTP port for all), and hangs up after
LONGEST_MS where the other side has not.  A CANCEL while it rings gets its 487.
"""

import pathlib
import re
import subprocess

from hil.ports import UDP, free_block, free_port
from hil.rig import die_with_us
from hil.sip_load import REGISTER

RING_MS, LONGEST_MS = 400, 4000
BACK = "[last_Via:]\n[last_From:]\n[last_To:]%s\n[last_Call-ID:]\n"
TAG = ";tag=[pid]a[call_number]"
SCENARIO = """<?xml version="1.0"?><scenario name="agents">
<recv request="INVITE" rrs="true"><action><ereg regexp="[0-9]+" search_in="hdr" header="CSeq:" assign_to="cseq"/></action></recv>
<send><![CDATA[

SIP/2.0 180 Ringing
{ringing}[last_CSeq:]
Contact: <sip:[local_ip]:[local_port]>
Content-Length: 0

]]></send>
<recv request="CANCEL" timeout="{ring}" ontimeout="1"></recv>
<send><![CDATA[

SIP/2.0 200 OK
{plain}[last_CSeq:]
Content-Length: 0

]]></send>
<send><![CDATA[

SIP/2.0 487 Request Terminated
{ringing}CSeq: [$cseq] INVITE
Content-Length: 0

]]></send>
<recv request="ACK" next="9"></recv>
<label id="1"/>
<send retrans="500"><![CDATA[

SIP/2.0 200 OK
{ringing}CSeq: [$cseq] INVITE
Contact: <sip:[local_ip]:[local_port]>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=agents 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
]]></send>
<recv request="ACK"><action>
<ereg regexp=".*" search_in="hdr" header="From:" assign_to="far"/><ereg regexp=".*" search_in="hdr" header="To:" assign_to="near"/>
</action></recv>
<recv request="BYE" timeout="{longest}" ontimeout="2"></recv>
<send next="9"><![CDATA[

SIP/2.0 200 OK
{plain}[last_CSeq:]
Content-Length: 0

]]></send>
<label id="2"/>
<send retrans="500"><![CDATA[

BYE [next_url] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
From:[$near]
To:[$far]
[last_Call-ID:]
CSeq: 100 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200"></recv>
<label id="9"/>
</scenario>
""".format(ringing=BACK % TAG, plain=BACK % "", ring=RING_MS, longest=LONGEST_MS)


class SippAgents:
    """lines: {name: password}."""

    def __init__(self, folder, rig, lines):
        self.folder, self.rig, self.lines = pathlib.Path(folder), rig, lines
        self.process = None

    def start(self):
        """Answer, then register."""
        self.folder.mkdir(parents=True, exist_ok=True)
        port, media = free_port(), free_block({UDP: (0, 1, 2, 3)}, step=4)
        self.process = self._sipp("agents", SCENARIO, port, "-mp", str(media), "-rtp_echo", "-trace_msg", "-message_file", "messages.log")
        (self.folder / "lines.csv").write_text("SEQUENTIAL\n" + "".join(
            "%s;[authentication username=%s password=%s]\n" % (name, name, password) for name, password in self.lines.items()))
        scenario = REGISTER.replace("@[local_ip]:[local_port]>", "@[local_ip]:%d>" % port)
        registering = self._sipp("register", scenario, free_port(), "-inf", str(self.folder / "lines.csv"), "-m", str(len(self.lines)), "-r", "20")
        if registering.wait(30) != 0:
            raise RuntimeError("sipp could not register its %d lines; its errors are in %s" % (len(self.lines), self.folder))
        return self

    def _sipp(self, name, scenario, port, *more):
        (self.folder / (name + ".xml")).write_text(scenario)
        return subprocess.Popen(["sipp", "127.0.0.1:%d" % self.rig.sip_port, "-sf", name + ".xml", "-i", "127.0.0.1", "-p", str(port), "-nostdin",
                                 "-trace_err", "-error_file", name + ".errors", *more], cwd=self.folder, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_us)

    def answered(self):
        """Set of Call-IDs."""
        offered, acknowledged = set(), set()
        for message in re.split(r"(?m)^-{20,}.*$", (self.folder / "messages.log").read_text(errors="replace")):
            found = re.search(r"(?mi)^Call-ID:\s*(\S+)", message)
            if found is None:
                continue
            if "SIP/2.0 200 OK" in message and "m=audio" in message:
                offered.add(found[1])
            elif re.search(r"(?m)^ACK sip:", message):
                acknowledged.add(found[1])
        return offered & acknowledged

    def stop(self):
        """End sipp; its log is whole then."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
