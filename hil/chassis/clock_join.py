"""Joins the clock of the emulated box to that of the emulated board: what the DPLL follows, the board follows.

The wiring is that of the reference board: received clocks of the first span of three framers, and an external clock.  A
span that receives nothing gives its input no signal.  Where nothing is followed, the board keeps its last frequency."""

import json
import os
import socket

WIRES = {0: 1, 1: 9, 2: 17}         # input of the DPLL: span whose received clock it gets
EXTERNAL = 3
TIMEOUT_S = 1.0


class ClockJoin:
    """run_dir: of the board.  external_ppm: the external clock's offset, None where nothing is plugged in."""

    def __init__(self, run_dir, external_ppm=None):
        self._path, self.external_ppm = os.path.join(run_dir, "board", "control.sock"), external_ppm
        self._told, self.lost = None, 0

    def step(self, dpll):
        """Let time pass.  dpll: chips.Si5345.  A board that does not answer changes nothing."""
        try:
            with socket.socket(socket.AF_UNIX) as board:
                board.settimeout(TIMEOUT_S)
                board.connect(self._path)
                answers = board.makefile()
                for number, span in WIRES.items():
                    dpll.signal[number] = self._receives(self._ask(board, answers, do="status", span=span))
                dpll.signal[EXTERNAL] = self.external_ppm is not None
                followed = dpll.following
                wanted = {"span": WIRES.get(followed, 0)}
                if followed == EXTERNAL:
                    wanted["ppm"] = self.external_ppm
                if wanted != self._told:
                    self._ask(board, answers, do="clock", **wanted)
                    self._told = wanted
        except (OSError, ValueError, KeyError):
            self._told = None
            self.lost += 1

    @staticmethod
    def _ask(board, answers, **request):
        board.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(answers.readline())

    @staticmethod
    def _receives(answer):
        """Whether a clock can be had from a line."""
        line, = answer["lines"]
        return bool(line["connected"]) and not {"los"} & set(line["alarms"])
