"""`make test`: the whole suite as two runs of pytest beside one another.

The tests in real time mostly wait for the wires' own clock; the others compute.  So the
computing ones run beside them at a low priority, which the real-time threads of the rigs do not feel, and
report when both are done.  Each run has two workers, which take whole files: a house serves one file.  Ends with 0 only if both passed.  Ctrl-C and SIGTERM end both.
"""

import os
import pathlib
import signal
import subprocess
import sys

from tests.conftest import REAL_TIME

ROOT = pathlib.Path(__file__).resolve().parents[1]
LOG = ROOT / "build" / "tests-computing.log"
NO_TESTS = 5             # pytest's exit code
NICE = 15
WORKERS = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")


def hear_interrupts():
    """Between fork and exec: a shell's background job ignores SIGINT, and so would pytest."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def main(arguments):
    pytest = [sys.executable, "-m", "pytest", "-q", *WORKERS, *arguments]
    folders = [folder.rstrip("/") for folder in REAL_TIME]
    LOG.parent.mkdir(exist_ok=True)
    with open(LOG, "wb") as log:
        computing = subprocess.Popen(["nice", "-n", str(NICE), *pytest, "tests", *[f"--ignore={f}" for f in folders]],
                                     cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                     preexec_fn=hear_interrupts)
        real_time = subprocess.Popen([*pytest, *folders], cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=True,
                                     preexec_fn=hear_interrupts)
        both = {"the tests in real time": real_time, "the computing tests": computing}

        def end(signum, _frame):
            for process in both.values():
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)     # pytest tears its houses down
            for process in both.values():
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()                         # its rigs end with it
            sys.exit(128 + signum)

        signal.signal(signal.SIGINT, end)
        signal.signal(signal.SIGTERM, end)
        print(f"The tests in real time; the others run beside them ({LOG.relative_to(ROOT)}).", flush=True)
        real_time.wait()
        if computing.poll() is None:
            print("The others are not done yet.", flush=True)
            computing.wait()
    print("The other tests:", flush=True)
    sys.stdout.buffer.write(LOG.read_bytes())
    sys.stdout.flush()
    failed = [name for name, process in both.items() if process.returncode not in (0, NO_TESTS)]
    if failed:
        print(f"Failed: {' and '.join(failed)}; what failed stands above.", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
