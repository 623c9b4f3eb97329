"""A carrier's name server: Debian's dnsmasq, a process of its own, on loopback.

    with NameServer(["--srv-host=_sip._udp.carrier.test,edge.carrier.test,5060,10", "--host-record=edge.carrier.test,127.0.0.2"]) as server:
        server.port             # UDP and TCP of 127.0.0.1
        server.change([...])    # other records, at the same port
"""

import shutil
import socket
import subprocess
import time

from hil.rig import die_with_us

QUESTION = bytes.fromhex("000101000001000000000000") + b"\7version\4bind\0\0\x10\0\3"       # CHAOS TXT: dnsmasq answers for itself


class NameServer:
    """See the top.  records: dnsmasq's own options.  Raises RuntimeError with its last words."""

    def __init__(self, records, ttl_s=5):
        self.records, self.ttl_s, self.port, self.process = list(records), ttl_s, None, None

    @staticmethod
    def is_there():
        """Whether dnsmasq is installed."""
        return bool(shutil.which("dnsmasq") or shutil.which("/usr/sbin/dnsmasq"))

    def __enter__(self):
        for _ in range(10):                 # somebody may take the port before dnsmasq does
            self.port = self._free_port()
            if self._start():
                return self
        raise RuntimeError("dnsmasq does not come up: %s" % self.words)

    def __exit__(self, *_):
        self._stop()

    def change(self, records):
        """Other records from now on."""
        self._stop()
        self.records = list(records)
        for _ in range(10):
            if self._start():
                return
            time.sleep(0.2)
        raise RuntimeError("dnsmasq does not come up again at port %d: %s" % (self.port, self.words))

    @staticmethod
    def _free_port():
        while True:
            with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                tcp.bind(("127.0.0.1", 0))
                try:
                    udp.bind(tcp.getsockname())
                except OSError:
                    continue
                return tcp.getsockname()[1]

    def _start(self):
        program = shutil.which("dnsmasq") or "/usr/sbin/dnsmasq"
        self.process = subprocess.Popen(
            [program, "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--no-daemon", "--user=", "--group=", "--pid-file=",
             "--listen-address=127.0.0.1", "--bind-interfaces", "--port=%d" % self.port, "--local-ttl=%d" % self.ttl_s, "--auth-ttl=%d" % self.ttl_s, "--local=/test/", *self.records],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=die_with_us)
        end = time.monotonic() + 30
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.2)
            while time.monotonic() < end and self.process.poll() is None:
                try:
                    sock.sendto(QUESTION, ("127.0.0.1", self.port))
                    sock.recv(512)
                    return True
                except OSError:
                    time.sleep(0.05)
        self._stop()
        return False

    def _stop(self):
        if self.process is not None:
            self.process.terminate()
            self.words = self.process.communicate(timeout=30)[1].decode(errors="replace")[-500:]
            self.process = None
