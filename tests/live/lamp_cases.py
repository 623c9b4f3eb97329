"""A busy lamp on somebody else's key: played in the house of test_sip_transports.py.  sipp subscribes to the calls of a line (RFC 4235) and writes down what it is told."""

import re
import shutil
import subprocess
import time

import pytest

from hil.phone.probe import ProbePhone
from hil.ports import UDP, free_block
from hil.rig import die_with_us
from tests.conftest import WHOLE_ONLY

WATCHER, WATCHED, CALLER, HOST = "1004", "1001", "1003", "127.0.0.1"
SUBSCRIBE = """  <send><![CDATA[
SUBSCRIBE sip:%(watched)s@%(host)s:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: <sip:%(watcher)s@%(host)s>;tag=lamp
To: <sip:%(watched)s@%(host)s>
Call-ID: [call_id]
CSeq: %(number)d SUBSCRIBE
Contact: <sip:%(watcher)s@[local_ip]:[local_port]>
Event: dialog
Accept: application/dialog-info+xml
Expires: 120%(proof)s
Content-Length: 0

]]></send>
"""
SCENARIO = """<?xml version="1.0" encoding="UTF-8"?>
<scenario name="lamp">
%s  <recv response="401" auth="true"/>
%s  <recv response="200"/>
  <label id="1"/>
  <recv request="NOTIFY" timeout="20000"/>
  <send next="1"><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
</scenario>
"""


def states(path):
    """The states of dialogs that sipp was told, in order; "" of a NOTIFY without any."""
    told = re.findall(r"\nNOTIFY .*?(?=\n-{10,}|\Z)", path.read_text(errors="replace").replace("\r", ""), re.S) if path.exists() else []
    return [(re.findall(r"<state[^>]*>\s*(\w+)\s*</state>", notify) or [""])[-1] for notify in told]


@WHOLE_ONLY
@pytest.mark.skipif(not shutil.which("sipp"), reason="sipp is not installed (Debian: sip-tester)")
@pytest.mark.conformance("RFC 4235", "live sipp", "a subscriber is told that a line rings, talks and is idle again, over a kill of control in the talk")
def test_a_busy_lamp(house):
    for agent in (WATCHED, CALLER, WATCHER):
        house.available(agent, "logged_out")
    passwords = {row["name"]: row["password"] for row in house.product.get("/configuration")["configuration"]["lines"]}
    fields = {"host": HOST, "watcher": WATCHER, "watched": WATCHED}
    folder = house.folder / "lamp"
    folder.mkdir()
    (folder / "lamp.xml").write_text(SCENARIO % (SUBSCRIBE % dict(fields, number=1, proof=""), SUBSCRIBE % dict(
        fields, number=2, proof="\n[authentication username=%s password=%s]" % (WATCHER, passwords[WATCHER]))))
    told = folder / "messages.log"
    sipp = subprocess.Popen(["sipp", "%s:%d" % (HOST, house.sip_port), "-sf", str(folder / "lamp.xml"), "-i", HOST, "-p", str(free_block({UDP: (0,)})), "-m", "1", "-nostdin",
                             "-trace_msg", "-message_file", str(told)], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            preexec_fn=die_with_us)
    caller = ProbePhone(CALLER, passwords[CALLER], house.sip_port)
    try:
        caller.start()
        house.wait(lambda s: states(told), 30, "the first NOTIFY")
        caller.dial(WATCHED)
        caller.wait_for("answered", 30)
        house.wait(lambda s: states(told)[-1] == "confirmed", 30, "the lamp of a line that talks")
        house.kill("control")
        time.sleep(1)
        caller.hangup()
        house.wait(lambda s: states(told)[-1] in ("terminated", "") and not s["calls"], 30, "the lamp of an idle line")
        seen = states(told)
        assert seen[0] == "" and "early" in seen[:seen.index("confirmed")], seen
    finally:
        caller.stop()
        sipp.terminate()
        sipp.wait(10)
