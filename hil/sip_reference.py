"""What Debian's Kamailio needs for its part of the load of hil/sip_load.py, in the same run: calls through a stateful proxy without media or CDR, and registrations
kept in memory.  GPL, a process of its own.

    cpu_s_per_1000_calls(folder)        # None where it is not installed
    register_cpu_s(folder)
"""

import contextlib
import pathlib
import shutil
import signal
import subprocess
import time

from hil import sip_load
from hil.ports import free_port
from hil.rig import die_with_us
from hil.sip_load import TICKS, last_row

FIRST = 20000
HEAD = """\
#!KAMAILIO
debug=0
log_stderror=yes
fork=yes
children=1
disable_tcp=yes
listen=udp:127.0.0.1:%d
"""
PROXY = """\
request_route {
    if (has_totag()) { t_relay(); exit; }       # the caller sends it here, its Request-URI is the far end's Contact
    $du = "sip:127.0.0.1:%d";
    t_relay();
}
"""
REGISTRAR = """\
modparam("usrloc", "db_mode", 0)
request_route {
    if (!pv_www_authenticate("bench", "secret", "0")) { www_challenge("bench", "1"); exit; }
    save("location");
}
"""


def configuration(port, modules, rest):
    """Kamailio's file: one worker on UDP."""
    return HEAD % port + "".join('loadmodule "%s.so"\n' % module for module in modules) + rest


def _common(folder):
    return {"cwd": folder, "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "preexec_fn": die_with_us}


@contextlib.contextmanager
def kamailio(folder, configured):
    """It runs meanwhile; the value is a function: its processor seconds so far."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kamailio.cfg").write_text(configured)
    process = subprocess.Popen(["kamailio", "-DD", "-E", "-f", str(folder / "kamailio.cfg"), "-Y", str(folder), "-w", str(folder), "-m", "64"],
                               start_new_session=True, **_common(folder))
    try:
        time.sleep(2)
        yield lambda: sum(sum(int(field) for field in pathlib.Path("/proc/%s/stat" % pid).read_text().rsplit(")", 1)[1].split()[11:13])
                          for pid in _family(process.pid)) / TICKS
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _family(pid):
    """A process and its children."""
    children = pathlib.Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split()
    return [str(pid), *children]


def _sipp(folder, port, own_port, scenario, count, rate, *more, timeout_s):
    """The last row of its statistics after so many calls of a scenario."""
    uac = subprocess.Popen(["sipp", "127.0.0.1:%d" % port, "-sf", scenario, "-i", "127.0.0.1", "-p", str(own_port), "-nostdin", "-trace_stat", "-stf", "stat.csv", "-fd", "1",
                            "-m", str(count), "-r", str(rate), *more], **_common(folder))
    uac.wait(timeout_s)
    return last_row(folder / "stat.csv")


def cpu_s_per_1000_calls(folder, rate=60, seconds=8):
    """Processor seconds of a stateful proxy for 1,000 of the calls of SIPLoad.calls()."""
    if not shutil.which("kamailio"):
        return None
    folder, ports = pathlib.Path(folder), [free_port() for _ in range(3)]
    with kamailio(folder, configuration(ports[0], ("tm", "sl", "rr", "pv", "siputils", "textops"), PROXY % ports[1])) as used:
        (folder / "call.xml").write_text(sip_load.CALL)
        uas = subprocess.Popen(["sipp", "-sn", "uas", "-i", "127.0.0.1", "-p", str(ports[1]), "-nostdin"], **_common(folder))
        try:
            row = _sipp(folder, ports[0], ports[2], "call.xml", rate * seconds, rate, "-s", "777", "-recv_timeout", "10000", timeout_s=seconds + 60)
        finally:
            uas.send_signal(signal.SIGTERM)
            uas.wait(20)
        good = int(row["SuccessfulCall(C)"])
        return used() / good * 1000 if good else None


def register_cpu_s(folder, lines=sip_load.LINES - 4, rate=120):
    """Processor seconds for the registrations that SIPLoad.register() makes, challenge included.  All have one password: it looks nothing up."""
    if not shutil.which("kamailio"):
        return None
    folder, ports = pathlib.Path(folder), [free_port() for _ in range(2)]
    with kamailio(folder, configuration(ports[0], ("sl", "pv", "siputils", "usrloc", "registrar", "auth"), REGISTRAR)) as used:
        (folder / "register.xml").write_text(sip_load.REGISTER)
        (folder / "lines.csv").write_text("SEQUENTIAL\n" + "".join("%d;[authentication username=%d password=secret]\n" % (FIRST + n, FIRST + n) for n in range(lines)))
        row = _sipp(folder, ports[0], ports[1], "register.xml", lines, rate, "-inf", "lines.csv", timeout_s=lines // rate + 60)
        return used() if int(row["SuccessfulCall(C)"]) == lines else None
