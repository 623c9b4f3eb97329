"""The control process: `python -m firmware.control`.

Layer 3 signalling, SIP, calls, IVR, ACD, agents, journal, configuration and the local API.
Directories: $STROWGER_RUN, $STROWGER_DATA, $STROWGER_PROMPTS.  SIGTERM ends it and leaves every
call as it is.  Exit codes: 0 ended, 75 another control process runs or took over, 78 configuration or
database that cannot be used: a person must act, another start would end the same.
"""

import asyncio
import fcntl
import logging
import os
import signal
import sqlite3
import sys

from firmware.control.compose import make_adapters, make_core
from firmware.control.house import House
from firmware.errors import ConfigError, StrowgerError
from firmware.ivr.flow import check as check_flow
from firmware.storage.database import Unusable
from firmware.storage.stores import path_of

EX_TEMPFAIL, EX_CONFIG = 75, 78


async def serve(run_dir, data_dir, prompts_dir):
    """Run until SIGTERM or SIGINT.  Returns the exit code."""
    house = House(run_dir, data_dir, prompts_dir, make_core, make_adapters, check_flow=check_flow)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await house.start()
    waits = [asyncio.ensure_future(ended.wait()), asyncio.ensure_future(house.superseded.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    await house.stop()
    return EX_TEMPFAIL if house.superseded.is_set() else 0


def main():
    logging.basicConfig(level=os.environ.get("STROWGER_LOG", "INFO"), stream=sys.stderr,
                        format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    run_dir, data_dir = os.environ.get("STROWGER_RUN"), os.environ.get("STROWGER_DATA")
    if not run_dir or not data_dir:
        print("control: set STROWGER_RUN (sockets) and STROWGER_DATA (configuration, database)", file=sys.stderr)
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
    except sqlite3.DatabaseError as error:      # damage that only the replay came upon
        print("control: %s" % Unusable.because(path_of(data_dir), error), file=sys.stderr)
        return EX_CONFIG
    except (ConfigError, Unusable) as error:
        print("control: %s" % error, file=sys.stderr)
        return EX_CONFIG
    except StrowgerError as error:
        print("control: %s" % error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
