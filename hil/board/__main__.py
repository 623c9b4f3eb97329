"""The board emulator: `python -m hil.board --run DIR [--spans 64]`.

Prints one line when it is ready.  SIGTERM or SIGINT ends it; exit code 0.
Exit code 1 and one sentence when it cannot start."""

import argparse
import os
import signal
import sys

try:
    from hil.board.server import BoardServer
    from hil.board.window_file import BoardBusy
except ModuleNotFoundError as error:
    sys.exit("board: %s: build the native modules first (make setup)" % error)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m hil.board", description="Emulate the TDM board.")
    parser.add_argument("--run", default=os.environ.get("STROWGER_RUN"),
                        help="directory for board/window and lines/<span>.sock (default $STROWGER_RUN)")
    parser.add_argument("--spans", type=int, default=64, help="number of spans, 1 to 64 (default 64)")
    options = parser.parse_args(arguments)
    if not options.run:
        parser.error("give --run DIR or set STROWGER_RUN")
    if not 1 <= options.spans <= 64:
        parser.error("--spans is %d: 1 to 64" % options.spans)
    try:
        server = BoardServer(options.run, options.spans)
    except BoardBusy as error:
        print("board: %s" % error, file=sys.stderr)
        return 1
    except OSError as error:
        print("board: cannot start in %s: %s" % (options.run, error), file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    print("board: ready, %d spans, window %s" % (options.spans, os.path.join(options.run, "board", "window")), flush=True)
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
