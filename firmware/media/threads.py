"""What the threads of the media process ask of the kernel."""

import ctypes
import logging
import os
import signal

log = logging.getLogger("firmware.media")

TICK_PRIORITY = 45              # emulator 40, far exchange 42
MCL_CURRENT, MCL_FUTURE = 1, 2
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15


def name_thread(name):
    """Name the calling thread in /proc, for ps and the benchmark."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


def lock_memory():
    """Ask for locked memory.  Returns whether it was granted."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(MCL_CURRENT | MCL_FUTURE) == 0:
        return True
    log.warning("locked memory was refused (%s): a page fault may delay a tick; give CAP_IPC_LOCK or raise memlock",
                os.strerror(ctypes.get_errno()))
    return False


def ask_realtime():
    """Ask for SCHED_FIFO for the calling thread.  Returns whether it was granted."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(TICK_PRIORITY))
        return True
    except OSError as error:
        log.warning("real-time priority was refused (%s): ticks may come late under load; give CAP_SYS_NICE",
                    error.strerror)
        return False


def die_with_parent():
    """Between fork and exec (preexec_fn): this process ends when the thread that started it does, however that ends.

    For benches and tests: a media process that outlived them would send RTP into the next one's ports."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
