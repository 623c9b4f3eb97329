"""The emulated box: `python -m hil.chassis --run DIR`.  Prints one line when it is ready; SIGTERM or SIGINT ends it."""

import argparse
import os
import signal
import sys

from hil.chassis.server import BoxServer


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m hil.chassis", description="Emulate the box: sensors, fans, supplies.")
    parser.add_argument("--run", default=os.environ.get("STROWGER_RUN"), help="directory for board/i2c.sock and board/box.sock")
    options = parser.parse_args(arguments)
    if not options.run:
        parser.error("give --run DIR or set STROWGER_RUN")
    try:
        server = BoxServer(options.run)
    except OSError as error:
        print("box: cannot start in %s: %s" % (options.run, error), file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    print("box: ready, %s" % os.path.join(options.run, "board", "i2c.sock"), flush=True)
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
