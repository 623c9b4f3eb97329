"""The time of the emulated board, for far ends that do not sit on one of its lines.

    clock = BoardClock(run_dir)
    clock.frames()              # 8000 a second of the board's own time, in steps of 80

The board's time stands still while the host does (hil/README.md), so what is paced
and measured by it does not feel that other work took the processor away.
"""

import mmap
import os
import pathlib
import struct

RX_HEAD = 0x40                # its offset in the window: hil/README.md
STEP = 80


class BoardClock:
    """Reads rx_head of the window below run_dir.  Raises FileNotFoundError where there is no board."""

    def __init__(self, run_dir):
        with open(pathlib.Path(run_dir) / "board" / "window", "rb") as window:
            self._memory = mmap.mmap(window.fileno(), os.sysconf("SC_PAGE_SIZE"), prot=mmap.PROT_READ)

    def frames(self):
        """Frames that the board has put into its receive ring so far; begins anew at a reset of the board."""
        return struct.unpack_from("<Q", self._memory, RX_HEAD)[0]
