"""The media process: `python -m firmware.media`.

Environment: $STROWGER_TICK_HELPERS (0 to 3), $STROWGER_RTP_BUNDLES (0: each packet by its leg's socket), $STROWGER_RTP_STEERING (0: each is read from it), $STROWGER_ADMISSION (0: nobody is refused for want of time; benches only), $STROWGER_RUN (sockets), $STROWGER_BOARD (window), $STROWGER_PROMPTS
(read into memory at start), $STROWGER_RTP_PORTS ("20000-29999"), $STROWGER_DATA (trace/ is the ring of all signalling), $STROWGER_TRACE_MB.
Threads: tick (native, SCHED_FIFO), layer2 (Q.921), disk (recordings) and the
main one (commands).  When it serves it writes $STROWGER_RUN/media.ready; SIGTERM or SIGINT
ends it with all recordings closed.  Exit codes: firmware/exits.py.
"""

import gc
import logging
import os
import pathlib
import resource
import signal
import sys
import threading

from firmware.errors import StrowgerError
from firmware.exits import EX_CONFIG, exit_code
from firmware.heartbeat import Heart
from firmware.media import _engine, packet_rings, steering
from firmware.media.board import BoardFollower
from firmware.media.kernels import Kernels
from firmware.media.server import Server
from firmware.media.threads import ask_realtime, lock_memory, name_thread
from firmware.trace import ring

log = logging.getLogger("firmware.media")

STACK_OCTETS = 1 << 20
HELPERS_MOST = 3                # ours: of the tick; beyond, the parts that one thread does alone are most of it
REDUCED = 1024                  # ours: terminations admitted without real-time priority or locked memory


def raise_file_limit():
    """Two sockets an RTP leg and a file a recording."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16384 if hard == resource.RLIM_INFINITY else min(hard, 16384)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < 10000:
        log.warning("only %d files may be open: about %d RTP legs; raise the limit of open files", wanted, wanted // 3)


def trace_ring():
    """The ring of all signalling below $STROWGER_DATA, of $STROWGER_TRACE_MB (512); without a data folder none."""
    folder, megabytes = os.environ.get("STROWGER_DATA"), os.environ.get("STROWGER_TRACE_MB", "512")
    if not folder or not megabytes.isdecimal() or not int(megabytes):
        return ring.Nothing()
    return ring.Writer(os.path.join(folder, "trace"), "media", int(megabytes) * (1 << 20) // ring.SEGMENT_OCTETS)


def tick_thread(engine, stats, asked):
    """Body of the tick's thread.  asked: event, set when the kernel has answered."""
    name_thread("tick")
    stats.realtime = ask_realtime()
    stats.tid = threading.get_native_id()
    asked.set()
    engine.run()


def helpers_wanted(processors, wanted):
    """How many helpers of the tick.  wanted: $STROWGER_TICK_HELPERS.

    One a processor beside the tick's own, of which one is left to all other processes from three on.  On two the
    helper shares the second with them: it works only in the first 6 ms of a tick that needs it (native/units.pxi)."""
    if wanted in ("0", "1", "2", "3"):
        return int(wanted)
    return min(HELPERS_MOST, max(processors - 2, processors > 1))


def start_helpers(engine, wanted):
    """Start so many; returns their threads.  Without the tick's priority there are none: one that has
    to wait for a processor in the middle of its work would make the tick wait."""
    def body(granted):
        name_thread("tick-helper")
        granted.append(ask_realtime())
        asked.release()
        if granted[0]:
            engine.help()
    asked, helpers = threading.Semaphore(0), []
    for _ in range(wanted):
        granted = []
        helper = threading.Thread(target=body, args=(granted,), name="tick-helper", daemon=True)
        helper.start()
        asked.acquire()
        helpers += [helper] * granted[0]
    return helpers


def main():
    """Returns the exit code."""
    logging.basicConfig(level=os.environ.get("STROWGER_LOG", "INFO"),
                        format="%(asctime)s media %(levelname)s %(name)s: %(message)s")
    run_dir = os.environ.get("STROWGER_RUN")
    if not run_dir:
        print("media: STROWGER_RUN is not set; set it to the directory for the sockets", file=sys.stderr)
        return EX_CONFIG
    try:
        raise_file_limit()
        threading.stack_size(STACK_OCTETS)      # locked memory: small stacks
        engine = _engine.Engine(Kernels())
        steered = steering.start(engine, _engine.UNITS_MOST)
        ringed = steered is not None and packet_rings.attach(engine, steered.sockets)
        server = Server(run_dir, engine, BoardFollower(engine), trace=trace_ring())
        prompts = os.environ.get("STROWGER_PROMPTS", "build/prompts")
        log.info("%d prompts in memory", server.player.prompts.preload(prompts))
    except (StrowgerError, OSError, ImportError) as error:
        print(f"media: {error}", file=sys.stderr)
        return exit_code(error)
    server.stats.locked = lock_memory()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.stop)
    asked = threading.Event()
    tick = threading.Thread(target=tick_thread, args=(engine, server.stats, asked), name="tick", daemon=True)
    tick.start()
    asked.wait()
    helpers = start_helpers(engine, helpers_wanted(len(os.sched_getaffinity(0)), os.environ.get("STROWGER_TICK_HELPERS", "")))
    server.table.admission.threads = 1 + len(helpers)
    server.table.admission.gathered(steered is not None, ringed)
    if os.environ.get("STROWGER_ADMISSION") == "0":
        server.table.admission.refuses = False
        log.warning("admission is off (STROWGER_ADMISSION=0): more legs than the machine carries make all calls late; for benches only")
    if not (server.stats.realtime and server.stats.locked):
        server.table.limit = REDUCED
        server.table.admission.realtime(False)
        log.warning("%d terminations are admitted instead of %d", REDUCED, _engine.CAPACITY["terminations"])
    gc.freeze()
    ready = pathlib.Path(run_dir, "media.ready")
    ready.write_text(f"{os.getpid()}\n", encoding="ascii")
    log.info("ready, boot %s", server.boot_id)
    server.run(Heart(ready))
    engine.stop()
    for thread in (tick, *helpers):
        thread.join(1)
    ready.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
