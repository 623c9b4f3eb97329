"""Start and supervise the three processes: media, control, web.

    python -m firmware

Used by `make run`, the demonstration and the tests; on the appliance systemd
does the same with a unit each.  The supervisor holds the sockets that must
outlive control (SIP, CTI, HTTPS), starts again what dies, and stops all in
order at SIGTERM or Ctrl-C.  Where things lie: $STROWGER_RUN (sockets, pids in
supervisor.json), $STROWGER_DATA (configuration, databases, recordings, log/).
Calls need media and control only: where web alone does not come up, the others
stay, and web is tried on.
Exit code: 0 stopped, 2 could not start (one sentence says why).
"""

import contextlib
import ctypes
import json
import os
import pathlib
import secrets
import signal
import subprocess
import sys
import time

from firmware import first_boot, sockets
from firmware.config import demo, sip
from firmware.config.store import ConfigStore
from firmware.errors import StrowgerError
from firmware.exits import EX_CONFIG
from firmware.heartbeat import Watch
from firmware.ivr.flow import check as check_flow
from firmware.logfile import LogFile

PROCESSES = {"media": "firmware.media", "control": "firmware.control", "web": "webui"}
HASTY, HASTE = ("media", "control"), -10        # nice; invented
CALLS_NEED = ("media", "control")
READY_S = 60            # a start that takes longer has failed; invented
BACKOFF_S = (0, 0.2, 0.5, 1, 2, 5)
STEADY_S = 20           # after this life time the back-off begins anew
PERSON_S = 60           # after EX_CONFIG we look whether a person has acted, this often; invented
STOP_ORDER = ("web", "control", "media")
PR_SET_PDEATHSIG = 1


def hasten():
    """Signalling goes before what people do on the box.  With autogroups each session has the same share of a processor
    whatever its processes' nice values are (sched(7)), so the session's own is set too.  Refused: go on without."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, HASTE)
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w", encoding="ascii") as file:
        file.write(str(HASTE))


class Supervisor:
    """Runs the processes; run() returns the exit code."""

    def __init__(self, run_dir, data_dir):
        self.run_dir, self.data_dir = run_dir, data_dir
        self.log_dir = data_dir / "log"
        self.logs = {name: LogFile(self.log_dir / f"{name}.log") for name in PROCESSES}
        self.watch, self.watched_s = Watch(run_dir), 0.0
        self.children = {}
        self.started_s = {}
        self.deaths = dict.fromkeys(PROCESSES, 0)
        self.restart_at = {}
        self.environment = {}
        self.descriptors = []
        self.libc = ctypes.CDLL(None, use_errno=True)

    def prepare(self):
        """Directories, configuration, sockets.  Raises StrowgerError with a sentence."""
        sockets.check_folder(self.run_dir)
        os.umask(0o027)     # recordings, numbers and passwords are nobody else's
        for folder in (self.run_dir, self.data_dir, self.log_dir):
            folder.mkdir(parents=True, exist_ok=True)
        self._refuse_second_start()
        store = ConfigStore(self.data_dir / "configuration.json", self._first_configuration(), check_flow)
        self.configuration = config = store.running()
        self.first_boot_password = first_boot.password(self.data_dir)
        held = {"sip-udp": ("udp", config["sip"]), "cti-tcp": ("tcp", config["cti"]),
                "web-https": ("tcp", config["web"])}
        opened = {name: sockets.open_listener(name, kind, part["address"], part["port"])
                  for name, (kind, part) in held.items()}
        for transport, port in sip.stream_ports(config).items():
            try:
                name = sip.STREAMS[transport]
                opened[name] = sockets.open_listener(name, "tcp", config["sip"]["address"], port)
            except StrowgerError as error:      # the others carry the calls
                print(f"strowger: SIP goes on without {transport}: {error}", file=sys.stderr, flush=True)
        for error in sip.clashes(config):
            print(f"strowger: SIP goes on without TCP: {error}", file=sys.stderr, flush=True)
        self.environment, self.descriptors = sockets.park_for_children(opened)
        for name in PROCESSES:
            (self.run_dir / f"{name}.ready").unlink(missing_ok=True)
        (self.run_dir / "web.fault").unlink(missing_ok=True)

    def _refuse_second_start(self):
        path = self.run_dir / "supervisor.json"
        try:
            pid = json.loads(path.read_text())["supervisor"]
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError, KeyError, TypeError):
            return
        if pid != os.getpid() and b"\0-m\0firmware\0" in command:
            raise StrowgerError(f"Strowger already runs here (process {pid}, {self.run_dir}). "
                                "Stop it first, or give this one its own $STROWGER_RUN and $STROWGER_DATA.")

    def _first_configuration(self):
        data = demo.configuration({name: secrets.token_urlsafe(9) for name in demo.AGENTS})
        for part, field, variable in (("sip", "port", "SIP"), ("sip", "tls_port", "SIP_TLS"), ("web", "port", "WEB"), ("cti", "port", "CTI")):
            port = os.environ.get(f"STROWGER_{variable}_PORT")
            if port:                # what is no number of a port is refused with all else that is not usable
                plain = port.isascii() and port.isdecimal() and len(port) < 6
                data.setdefault(part, {})[field] = int(port) if plain else port[:20]
        return data

    def start(self, name):
        def in_child():
            os.setsid()
            if name in HASTY:
                hasten()
            self.libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD))

        self.logs[name].begin()
        with open(self.logs[name].path, "ab") as output:
            self.children[name] = subprocess.Popen(
                [sys.executable, "-m", PROCESSES[name]], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, **self.environment, "STROWGER_RUN": str(self.run_dir),
                     "STROWGER_DATA": str(self.data_dir), "PYTHONUNBUFFERED": "1"},
                pass_fds=self.descriptors, preexec_fn=in_child)
        self.started_s[name] = time.monotonic()
        self._publish()

    def _publish(self):
        beside = self.run_dir / "supervisor.json.new"
        try:
            beside.write_text(json.dumps({"supervisor": os.getpid(),
                                          **{name: child.pid for name, child in self.children.items()}}))
            os.replace(beside, self.run_dir / "supervisor.json")
        except OSError as error:        # a full disk must not end the switch
            print(f"strowger: {beside} cannot be written: {error}", file=sys.stderr, flush=True)

    def run(self):
        signals = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        for name in PROCESSES:
            self.start(name)
        announced, without_web, began = False, False, time.monotonic()
        while True:
            got = signal.sigtimedwait(signals, 0.05 if self.restart_at or not announced else 1.0)
            if got and got.si_signo in (signal.SIGTERM, signal.SIGINT):
                self.stop()
                return 0
            self._collect()
            self._look_after()
            if announced and not without_web:
                continue
            waiting = [name for name in PROCESSES if not (self.run_dir / f"{name}.ready").exists()]
            if not waiting or without_web:
                if "web" not in waiting:
                    print(self.ready_line(), flush=True)
                    announced, without_web = True, False
                continue
            vital = [name for name in waiting if name in CALLS_NEED]
            if self._hopeless(vital or waiting, began):
                print(self._why_not(vital or waiting), file=sys.stderr, flush=True)
                if vital:
                    self.stop()
                    return 2
                print("strowger: calls, SIP and CTI are served without web, which is tried again and again.",
                      file=sys.stderr, flush=True)
                announced = without_web = True

    def _hopeless(self, waiting, began):
        """Whether the processes that are not ready will not be soon.  began: time.monotonic() of the start."""
        return bool(waiting) and (time.monotonic() - began > READY_S or any(self.deaths[name] > 5 for name in waiting)
                                  or any(self.children[name].returncode == EX_CONFIG for name in waiting))

    def _collect(self):
        """Start again what died, with a growing pause when it dies again and again."""
        now = time.monotonic()
        for name, child in self.children.items():
            if name not in self.restart_at and child.poll() is not None:
                steady = now - self.started_s[name] > STEADY_S
                self.deaths[name] = 1 if steady else self.deaths[name] + 1
                pause = BACKOFF_S[min(self.deaths[name] - 1, len(BACKOFF_S) - 1)]
                if child.returncode == EX_CONFIG:
                    pause = PERSON_S
                elif name == "web":
                    self._say_web_ended(child.returncode)
                print(f"strowger: {name} ended ({describe_exit(child.returncode)}); "
                      f"started again{f' in {pause} s' if pause else ''}", file=sys.stderr, flush=True)
                self.restart_at[name] = now + pause
        for name in [n for n, at in self.restart_at.items() if at <= now]:
            del self.restart_at[name]
            self.start(name)

    def _say_web_ended(self, code):
        """For control's health: web itself had no time to say why it ended."""
        said = self.logs["web"].last_words()
        try:
            (self.run_dir / "web.fault").write_text(
                f"the web process ended ({describe_exit(code)}) and is started again"
                + (f"; its last words: {said}" if said else ""), encoding="utf-8")
        except OSError:
            pass                    # it is on the console

    def _look_after(self):
        """Once a second: logs are bounded, and a process that stands still is ended, to be started again."""
        now = time.monotonic()
        if now - self.watched_s < 1:
            return
        self.watched_s = now
        for log in self.logs.values():
            log.bound()
        for name in self.watch.hung():
            child = self.children[name]
            if child.poll() is None:
                print(f"strowger: {name} (process {child.pid}) has stood still for {self.watch.looks[name]} s and is ended",
                      file=sys.stderr, flush=True)
                child.kill()

    def ready_line(self):
        config = self.configuration
        web, sip, cti = config["web"], config["sip"], config["cti"]
        password = (f"admin, first-boot password {self.first_boot_password}" if self.first_boot_password
                    else "your own password")
        return (f"Strowger is ready: web https://{sockets.place(web)}/ ({password}) | "
                f"SIP {sockets.place(sip)}/udp | CTI {sockets.place(cti)}/tcp")

    def _why_not(self, waiting):
        name = max(waiting, key=lambda n: (self.children[n].returncode == EX_CONFIG, self.deaths[n]))
        said = self.logs[name].last_words()
        return (f"strowger: {name} did not come up" + (f"; its last words: {said.rstrip('.')}" if said else "")
                + f". The whole log is {self.logs[name].path}.")

    def stop(self):
        for name in STOP_ORDER:
            child = self.children.get(name)
            if child is None or child.poll() is not None:
                continue
            child.terminate()
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for name in ("supervisor.json", *(f"{process}.ready" for process in PROCESSES)):
            (self.run_dir / name).unlink(missing_ok=True)


def describe_exit(code):
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def main():
    root = pathlib.Path.cwd() / "var"
    supervisor = Supervisor(pathlib.Path(os.environ.get("STROWGER_RUN", root / "run")),
                            pathlib.Path(os.environ.get("STROWGER_DATA", root / "data")))
    try:
        supervisor.prepare()
    except StrowgerError as error:
        print(f"strowger: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"strowger: {error.filename or 'a file'} cannot be used ({error.strerror}); give the right to it, "
              "or set $STROWGER_RUN and $STROWGER_DATA to folders of your own.", file=sys.stderr)
        return 2
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
