"""Debian's sipp as a far end: one address and port, one scenario after the other.

    sipp = Sipp(registrar_port, folder)
    sipp.register("1004", "secret")                       # a telephone; bulk=True: a PBX with all its numbers (RFC 6140)
    sipp.start(scenario, "-rtp_echo")                     # XML text; runs beside
    sipp.messages()                                       # what it has sent and received so far
    sipp.finish(30)                                       # waits for its end; raises RuntimeError where the scenario failed
    sipp.stop()

Imports nothing of the product."""

import pathlib
import subprocess

from hil.ports import UDP, free_block
from hil.rig import die_with_us

HOST = "127.0.0.1"
REQUEST = """<send retrans="500"><![CDATA[
%(method)s %(uri)s SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: <sip:%(user)s@%(host)s>;tag=[call_number]-sipp
To: <%(to)s>%(peer)s
Call-ID: [call_id]
CSeq: %(number)d %(method)s
Contact: <sip:%(contact)s[local_ip]:[local_port]%(mark)s>%(more)s
Content-Length: [len]

%(body)s]]></send>
"""


def request(method, uri, user, number, to=None, contact=None, mark="", more=(), body="", peer=""):
    """A <send> of a scenario.  contact: user part of our Contact, "" for none; more: further header lines."""
    contact = user if contact is None else contact
    return REQUEST % {"method": method, "uri": uri, "user": user, "host": HOST, "to": to or uri, "number": number, "contact": contact and contact + "@", "mark": mark,
                      "more": "".join("\n" + line for line in more), "body": body, "peer": peer}


def proof(user, password):
    """The header line that answers the challenge before."""
    return "[authentication username=%s password=%s]" % (user, password)


class Sipp:
    """See the top.  folder: new, for all that it writes."""

    def __init__(self, registrar_port, folder):
        self.registrar, self.folder = "%s:%d" % (HOST, registrar_port), pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.port = free_block({UDP: (0, 2, 3)}, step=4)
        self.process, self.count = None, 0

    def register(self, user, password, bulk=False):
        """As a telephone, or as a PBX whose Contact has no user and is marked bnc."""
        more = ["Expires: 3600"] + (["Require: gin", "Proxy-Require: gin", "Supported: path"] if bulk else [])
        there = dict(to="sip:%s@%s" % (user, HOST), contact="" if bulk else user, mark=";bnc" if bulk else "")
        self.start("<scenario name=\"register\">%s<recv response=\"401\" auth=\"true\"/>%s<recv response=\"200\"/></scenario>" % (
            request("REGISTER", "sip:" + HOST, user, 1, more=more, **there),
            request("REGISTER", "sip:" + HOST, user, 2, more=[*more, proof(user, password)], **there)))
        self.finish(15)

    def start(self, scenario, *options, calls=1):
        """Run a scenario, so many times; it listens at the port as long."""
        self.count += 1
        path = self.folder / ("%d.xml" % self.count)
        path.write_text('<?xml version="1.0" encoding="UTF-8"?>\n' + scenario)
        self.process = subprocess.Popen(["sipp", self.registrar, "-sf", str(path), "-i", HOST, "-p", str(self.port), "-mi", HOST, "-mp", str(self.port + 2), "-m", str(calls),
                                         "-nostdin", "-trace_msg", "-message_file", str(self.folder / ("%d.log" % self.count)), "-trace_err", "-error_file",
                                         str(self.folder / ("%d.errors" % self.count)), *options],
                                        cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_us)

    def messages(self):
        """What went to and fro in the present scenario."""
        path = self.folder / ("%d.log" % self.count)
        return path.read_text(errors="replace").replace("\r", "") if path.exists() else ""

    def finish(self, timeout_s):
        """Wait for the end of the scenario."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = "no end"
        if code != 0:
            errors = self.folder / ("%d.errors" % self.count)
            raise RuntimeError("sipp: %s: %s\n%s" % (code, errors.read_text(errors="replace")[-1500:] if errors.exists() else "", self.messages()[-3000:]))

    def stop(self):
        """End it, whatever it does."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)
