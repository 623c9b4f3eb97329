"""A whole rig on one machine: board emulator, product, far exchange, phones.

    with Rig(folder) as rig:
        rig.start()
        phone = rig.phone("1001", play=..., record=...)
        rig.far.call("x1", span=1, called="02150801000", ...)

The product is a process like any other here: it is started by its command,
spoken to over wires (lines, SIP, HTTPS) and stopped by its process id.  Every
port is free at the start; nothing outside `folder` is written.
"""

import ctypes
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

from hil.chassis.clock_join import ClockJoin
from hil.chassis.server import BoxServer
from hil.far.client import FarExchange
from hil.ports import free_port
from hil.product import Product, ProductError

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]
PR_SET_PDEATHSIG = 1
SPANS = (1, 2)
CRC4_SPANS = (1,)
PASSWORD = "rig-password-1"
READY = re.compile(r"web (https://\S+?)/ \((?:admin, first-boot password (\S+?)|your own password)\) "
                   r"\| SIP (\S+):(\d+)/udp \| CTI (\S+):(\d+)/tcp")


def die_with_us():
    """Between fork and exec: SIGTERM to the child when this process dies, however it dies."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class RigError(Exception):
    """A part of the rig did not come up; the sentence says which and what it said."""


class Rig:
    """folder: everything lies below it.  echo: print what the product says on its console.

    environment: further variables of the product.  t1: those of the spans that are T1 with NI2.
    tls: SIP is served over TLS too, at tls_port.  box: with the emulated box (sensors, fans, supplies, clock).
    far: further options of the far exchange's command; linked: spans whose data link is waited for (default: all);
    configure: function(configuration) that changes it before the far exchange comes."""

    def __init__(self, folder, echo=False, environment=None, spans=SPANS, crc4=CRC4_SPANS, t1=(), tls=False, box=False,
                 far=(), linked=None, configure=None):
        self.folder = pathlib.Path(folder).resolve()
        self.run_dir, self.data_dir = self.folder / "run", self.folder / "data"
        self.echo, self.spans, self.crc4, self.t1 = echo, spans, crc4, t1
        self.environment = environment or {}
        self.tls, self.tls_port = tls, None
        self.far_options, self.linked, self.configure = far, spans if linked is None else linked, configure
        self.with_box, self.box = box, None
        self.board = self.supervisor = self.far = self.product = None
        self.console, self.phones = [], []
        self.web_url = self.sip_port = self.cti_port = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self, password=PASSWORD, exchange=True):
        """Start all parts; returns self.  password: the administrator's, set at first boot; None: leave it."""
        self.start_board()
        self.start_product(password)
        if self.t1 or self.configure:
            self.set_t1()
        if exchange:
            self.start_exchange()
            for span in self.linked:
                self.far.wait_for("link_up", 30, span=span)
        return self

    # -- the parts --

    def start_board(self):
        for folder in (self.folder, self.run_dir):
            folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "board.log", "ab") as log:
            self.board = subprocess.Popen([sys.executable, "-m", "hil.board", "--run", str(self.run_dir)],
                                          cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          start_new_session=True, preexec_fn=die_with_us)
        self._until(lambda: (self.run_dir / "board" / "window").exists(), 10, self.board,
                    "The board emulator", self.folder / "board.log")
        if self.with_box:
            self.box = BoxServer(str(self.run_dir), join=ClockJoin(str(self.run_dir))).start()

    def start_product(self, password=PASSWORD, ports=None):
        """ports: {"SIP": n, "WEB": n, "CTI": n} for the first configuration; default: free ones."""
        if not (self.data_dir / "configuration.json").exists():
            if ports is None:
                ports = {}
                names = ("SIP", "WEB", "CTI") + (("SIP_TLS",) if self.tls else ())
                while len(set(ports.values())) < len(names):        # none may be the same
                    ports = {name: free_port() for name in names}
            self.tls_port = ports.get("SIP_TLS")
            for name, port in ports.items():
                self.environment[f"STROWGER_{name}_PORT"] = str(port)
        environment = {**os.environ, **self.environment, "STROWGER_RUN": str(self.run_dir),
                       "STROWGER_DATA": str(self.data_dir), "STROWGER_PROMPTS": str(CHECKOUT / "build/prompts")}
        self.console.clear()
        self.supervisor = subprocess.Popen([sys.executable, "-m", "firmware"], cwd=CHECKOUT, env=environment,
                                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                           text=True, start_new_session=True, preexec_fn=die_with_us)
        threading.Thread(target=self._read_console, args=(self.supervisor,), daemon=True).start()
        self._until(lambda: self._ready() is not None, 70, self.supervisor, "The product")
        url, first, _, sip_port, _, cti_port = self._ready().groups()
        self.web_url, self.sip_port, self.cti_port = url, int(sip_port), int(cti_port)
        self.product = Product(url, password)
        self.first_boot_password = first
        if first and password:
            self.product.change_first_password(first, password)

    def start_exchange(self):
        self.far = FarExchange(self.run_dir, self.spans, crc4=list(self.crc4), t1=self.t1,
                               trace_dir=self.folder / "trace", options=self.far_options).start()

    def set_t1(self):
        """Make the spans of `t1` T1 spans in the configuration."""
        running = self.product.get("/configuration")
        if self.configure:
            self.configure(running["configuration"])
        for row in running["configuration"]["spans"]:
            if row["span"] in self.t1 and row["span"] in SPANS:
                row.update(type="t1", variant="ni2", d_timeslot=24)
        self.product.post("/configuration/apply", running)

    def phone(self, line, **options):
        """A baresip phone registered as that line.  options: hil.phone.Phone's."""
        from hil.phone.phone import Phone
        lines = {entry["name"]: entry["password"] for entry in self.product.get("/configuration")["configuration"]["lines"]}
        phone = Phone(line, lines[line], self.sip_port, **options)
        self.phones.append(phone)
        phone.start()
        return phone

    # -- looking and waiting --

    def pids(self):
        """The process ids of the product: {"supervisor", "media", "control", "web"}."""
        return json.loads((self.run_dir / "supervisor.json").read_text())

    def kill(self, name):
        """kill -9 of one process of the product; returns time.monotonic()."""
        os.kill(self.pids()[name], signal.SIGKILL)
        return time.monotonic()

    def state(self):
        return self.product.get("/state")

    def wait(self, condition, timeout_s, what):
        """Wait until condition(state) is true; returns what it returned.  Raises RigError."""
        deadline, last = time.monotonic() + timeout_s, None
        while time.monotonic() < deadline:
            try:
                last = self.state()
                found = condition(last)
                if found:
                    return found
            except ProductError as error:
                last = str(error)
            time.sleep(0.05)
        raise RigError(f"Waited {timeout_s} s in vain for {what}. The last state: {json.dumps(last)[:2000]}")

    def wait_idle(self, timeout_s=10):
        """Wait until no call is up and no timeslot is taken."""
        return self.wait(lambda s: not s["calls"] and all(slot["state"] in ("idle", "d", "blocked")
                         for span in s["spans"] for slot in span["timeslots"]), timeout_s, "an idle switch")

    def cdr(self, call, timeout_s=10):
        """The answer of /calls/{id} once the call has its CDR and its recordings are closed."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = self.product.get(f"/calls/{call}")
            if found["cdr"] and all(r["state"] != "recording" for r in found["recordings"]):
                return found
            if time.monotonic() > deadline:
                raise RigError(f"Call {call} has no CDR, or an open recording, after {timeout_s} s.")
            time.sleep(0.05)

    # -- the end --

    def stop(self):
        """End every part by its process id, phones first."""
        for phone in self.phones:
            phone.stop()
        self.phones.clear()
        if self.far is not None:
            self.far.stop()
            self.far = None
        for process in (self.supervisor, self.board):
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        if self.box is not None:
            self.box.stop()
            self.box = None

    def _read_console(self, process):
        for line in process.stdout:
            self.console.append(line.rstrip("\n"))
            if self.echo:
                print(line, end="", flush=True)

    def _ready(self):
        return next((match for match in map(READY.search, list(self.console)) if match), None)

    def _until(self, condition, timeout_s, process, what, log=None):
        deadline = time.monotonic() + timeout_s
        while not condition():
            ended = process.poll() is not None
            if ended or time.monotonic() > deadline:
                time.sleep(0.1)
                words = log.read_text(errors="replace").splitlines() if log else self.console
                raise RigError(f"{what} {'ended at once' if ended else 'did not come up'}: "
                               f"{words[-1] if words else 'it said nothing.'}")
            time.sleep(0.02)
