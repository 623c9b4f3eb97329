"""The control process: `python -m firmware.control`.

Layer 3 signalling, SIP, calls, IVR, ACD, agents, journal, configuration and the local API.
Directories: $STROWGER_RUN, $STROWGER_DATA, $STROWGER_PROMPTS.  SIGTERM ends it and leaves every
call as it is.  Exit codes (firmware/exits.py): 75 where another control process runs or took over, a damaged database
was set aside or the disk has room again; 78 for a configuration or database that cannot be used.
"""

import asyncio
import contextlib
import fcntl
import gc
import logging
import os
import signal
import sqlite3
import sys
import time

from firmware import sockets
from firmware.control.compose import make_adapters, make_core
from firmware.control.house import House
from firmware.errors import ConfigError, LocalError, StrowgerError
from firmware.exits import EX_CONFIG, EX_TEMPFAIL
from firmware.heartbeat import BEAT_S, Heart
from firmware.ivr.flow import check as check_flow
from firmware.storage.database import Unusable, damage, set_aside
from firmware.storage.stores import path_of

# What a call leaves behind is freed by its reference counts, but its transactions stand for 32 s (RFC 3261), and the collector takes them for what grows.  It
# looks at young objects only, 3 ms at a time: with 20,000 of them it held the loop for 28 ms, and for 195 ms where it looked at all (measured at 90 calls a
# second).  What a start has built is out of its sight; all else it sees when nobody calls.
COLLECT = (2_000, 1_000_000, 1_000_000)
SWEEP_LOOK_S, SWEEP_S, SWEEP_LATEST_S = 10, 3600, 86400     # all objects are looked at each hour without a call, each day in any case; invented

async def serve(run_dir, data_dir, prompts_dir):
    """Run until SIGTERM or SIGINT.  Returns the exit code.  Raises what keeps the database from working."""
    house = House(run_dir, data_dir, prompts_dir, make_core, make_adapters, check_flow=check_flow)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await house.start()
    gc.freeze()
    gc.set_threshold(*COLLECT)
    beside = [asyncio.ensure_future(beat(os.path.join(run_dir, "control.ready"))), asyncio.ensure_future(sweep(house))]
    waits = [asyncio.ensure_future(event.wait()) for event in (ended, house.superseded, house.again)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in beside:
        task.cancel()
    await house.stop()
    if house.again.is_set() and house.turns.hopeless and damage(house.turns.hopeless[0]):
        raise house.turns.hopeless[0]
    return EX_TEMPFAIL if house.superseded.is_set() or house.again.is_set() else 0


async def beat(mark):
    """Show the supervisor that the loop turns."""
    heart = Heart(mark)
    while True:
        heart.beat()
        await asyncio.sleep(BEAT_S)


async def sweep(house):
    """Look for what reference counts do not free, when it disturbs nobody."""
    swept = time.monotonic()
    while True:
        await asyncio.sleep(SWEEP_LOOK_S)
        since_s = time.monotonic() - swept
        if since_s >= (SWEEP_LATEST_S if house.calls else SWEEP_S):
            gc.collect()
            swept = time.monotonic()


def say(sentence):
    """To the log, which may lie on a full disk."""
    with contextlib.suppress(OSError):
        print("control: %s" % sentence, file=sys.stderr, flush=True)


def give_up(data_dir, error):
    """An exception that ends the process.  Returns the exit code."""
    path = path_of(data_dir)
    if damage(error):
        try:
            kept = set_aside(path)
        except OSError as second:
            say("the database %s is damaged (%s) and cannot be set aside (%s); move it away" % (path, error, second))
            return EX_CONFIG
        say("THE DATABASE WAS DAMAGED (%s). It lies in %s now and an empty one is begun: calls that stood are cleared, "
            "agents choose their status again, earlier calls are missing in the list; recordings and configuration "
            "stay. Look at the data disk; restore a backup if you have one" % (error, kept))
        return EX_TEMPFAIL
    if isinstance(error, sqlite3.Error):
        error = Unusable.because(path, error)
    say(error)
    return EX_CONFIG if isinstance(error, (ConfigError, Unusable)) else 1


def main():
    logging.basicConfig(level=os.environ.get("STROWGER_LOG", "INFO"), stream=sys.stderr,
                        format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    run_dir, data_dir = os.environ.get("STROWGER_RUN"), os.environ.get("STROWGER_DATA")
    if not run_dir or not data_dir:
        print("control: set STROWGER_RUN (sockets) and STROWGER_DATA (configuration, database)", file=sys.stderr)
        return EX_CONFIG
    try:
        sockets.check_folder(run_dir)
    except LocalError as error:
        say(error)
        return EX_CONFIG
    os.makedirs(run_dir, exist_ok=True)
    os.makedirs(data_dir, exist_ok=True)
    lock = os.open(os.path.join(data_dir, "control.lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("control: another control process uses %s; stop it first" % data_dir, file=sys.stderr)
        return EX_TEMPFAIL
    try:
        return asyncio.run(serve(run_dir, data_dir, os.environ.get("STROWGER_PROMPTS", "build/prompts")))
    except (sqlite3.Error, StrowgerError) as error:     # a sqlite3.Error: what only the replay came upon
        return give_up(data_dir, error)


if __name__ == "__main__":
    sys.exit(main())
