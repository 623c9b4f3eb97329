"""The board window: frames, CAS bits and registers of the TDM board.

The window is one shared-memory region: BAR of the TDM FPGA, ivshmem in QEMU,
a file on a desktop.  `Window(path)` maps it; `HEADER` is the layout (the table
of hil/ is its twin, a test compares them).  Frames flow without Python: native
code takes `window.address` and the offsets in `window.offsets` once and then
works on memory alone.

Timing.  Every 10 ms the board takes the 80 frames [tx_head, tx_head + 80) out
of the tx ring, advances tx_head, then puts 80 frames into the rx ring and
advances rx_head.  Media waits for rx_head to move, then reads tx_head and
writes the frames [tx_head, tx_head + 80), then stores tx_written = tx_head + 80.
tx_written is the transmit heartbeat: the board sends a frame from the ring only
if tx_head < tx_written <= tx_head + ring_frames, all others as idle code.

Reset.  The board increments `generation` last at each reset; the heads start
at 0 again, tx_written is 0.  A board that leaves sets magic to 0: map again.

Memory order: heads are stored with release order after the data they cover and
are to be loaded with acquire order; on x86-64 plain aligned accesses do that.
"""

import mmap
import os
import time

import numpy

from firmware.errors import DriverError, LocalError

MAGIC = 0x57525453                      # "STRW" read as little-endian
VERSION = 1
HEADER_OCTETS = 4096

# name, offset, octets, writer.  Little-endian, naturally aligned.
HEADER = (
    ("magic", 0x000, 4, "board"),
    ("version", 0x004, 4, "board"),
    ("spans", 0x008, 4, "board"),
    ("ring_frames", 0x00C, 4, "board"),
    ("frame_rate_hz", 0x010, 4, "board"),
    ("timeslots", 0x014, 4, "board"),
    ("rx_offset", 0x018, 4, "board"),
    ("tx_offset", 0x01C, 4, "board"),
    ("cas_rx_offset", 0x020, 4, "board"),
    ("cas_tx_offset", 0x024, 4, "board"),
    ("request_offset", 0x028, 4, "board"),
    ("request_entries", 0x02C, 4, "board"),
    ("burst_frames", 0x030, 4, "board"),
    ("generation", 0x034, 4, "board"),
    ("idle_code", 0x038, 4, "board"),
    ("rx_head", 0x040, 8, "board"),
    ("tx_head", 0x048, 8, "board"),
    ("late_media_frames", 0x050, 8, "board"),
    ("request_next", 0x058, 4, "board"),     # entry of the request ring the board serves next
    ("moved_time_base", 0x060, 8, "board"),  # times the board itself came late and moved its time base
    ("tx_written", 0x080, 8, "media"),
    ("media_owner", 0x088, 4, "media"),
    ("media_generation", 0x08C, 4, "media"),
    ("control_owner", 0x0C0, 4, "control"),
    ("span_idle", 0x100, 64, "board"),       # idle code of each span, uint8; 0 on a board that does not tell: idle_code
)

# Request ring entry: four u32.
REQUEST_OCTETS = 16
FREE, ASKED, DONE, REFUSED = 0, 1, 2, 3
READ, WRITE = 0, 1


def window_path():
    """Where the window is: $STROWGER_BOARD, or board/window below $STROWGER_RUN."""
    path = os.environ.get("STROWGER_BOARD")
    if path:
        return path
    run = os.environ.get("STROWGER_RUN")
    if not run:
        raise LocalError("neither STROWGER_BOARD nor STROWGER_RUN is set: "
                         "set STROWGER_RUN to the directory that holds board/window")
    return os.path.join(run, "board", "window")


class Window:
    """A mapped board window.

    address: int, base address of the mapping in this process (page aligned).
    size: octets mapped.  offsets: dict name -> int, header fields by their offset
    and besides "rx", "tx", "cas_rx", "cas_tx", "request": start of the regions.
    spans, timeslots, ring_frames, burst_frames: int, fixed until the next reset.
    rx, tx: uint8 (ring_frames, spans, timeslots) views; frame n is row n % ring_frames.
    cas_rx, cas_tx: uint8 (spans, timeslots) views, low nibble ABCD.
    Raises DriverError when the file is missing or is no window of this version."""

    def __init__(self, path=None):
        self.path = path or window_path()
        try:
            with open(self.path, "r+b", buffering=0) as file:
                self.size = os.fstat(file.fileno()).st_size
                if self.size < HEADER_OCTETS:
                    raise DriverError(self.path, "map", "the window has %d octets, its header alone needs %d: "
                                      "start the board" % (self.size, HEADER_OCTETS))
                self._map = mmap.mmap(file.fileno(), self.size, mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0))
        except OSError as error:
            raise DriverError(self.path, "map", "%s: start the board (on a desktop: python -m hil.board)"
                              % error.strerror) from error
        octets = numpy.frombuffer(self._map, numpy.uint8)
        self.address = octets.ctypes.data
        self._u32 = memoryview(octets[:HEADER_OCTETS]).cast("I")
        self._u64 = memoryview(octets[:HEADER_OCTETS]).cast("Q")
        self._fields = {name: (offset, width) for name, offset, width, _ in HEADER}
        self._check()
        self.spans, self.timeslots = self.get("spans"), self.get("timeslots")
        self.ring_frames, self.burst_frames = self.get("ring_frames"), self.get("burst_frames")
        self.offsets = {name: offset for name, offset, _, _ in HEADER}
        for region in ("rx", "tx", "cas_rx", "cas_tx", "request"):
            self.offsets[region] = self.get(region + "_offset")
        ring = (self.ring_frames, self.spans, self.timeslots)
        bits = (self.spans, self.timeslots)
        self.rx = self._view(octets, "rx", ring)
        self.tx = self._view(octets, "tx", ring)
        self.cas_rx = self._view(octets, "cas_rx", bits)
        self.cas_tx = self._view(octets, "cas_tx", bits)
        entries = (self.get("request_entries"), REQUEST_OCTETS)
        self.request = self._view(octets, "request", entries).view("<u4")

    def _check(self):
        if self.get("magic") != MAGIC:
            raise DriverError(self.path, "map", "magic is %08x, not %08x: the board is not ready, try again"
                              % (self.get("magic"), MAGIC))
        if self.get("version") != VERSION:
            raise DriverError(self.path, "map", "window version %d, this firmware knows %d: update the board's FPGA image"
                              % (self.get("version"), VERSION))

    def _view(self, octets, region, shape):
        start, length = self.offsets[region], int(numpy.prod(shape))
        if start < HEADER_OCTETS or start + length > self.size:
            raise DriverError(self.path, "map", "region %s (%d octets at %#x) lies outside the window of %d octets"
                              % (region, length, start, self.size))
        return octets[start:start + length].reshape(shape)

    def get(self, name):
        """Value of a header field: one aligned load."""
        offset, width = self._fields[name]
        return self._u64[offset >> 3] if width == 8 else self._u32[offset >> 2]

    def set(self, name, value):
        """Store a header field: one aligned store.  Only its writer may do this."""
        offset, width = self._fields[name]
        if width == 8:
            self._u64[offset >> 3] = value
        else:
            self._u32[offset >> 2] = value

    def present(self):
        """Whether the board is still behind this window (else map it again)."""
        return self.get("magic") == MAGIC


def open_window(path=None, wait_s=0.0):
    """Map the window, waiting up to wait_s seconds for the board to come up."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return Window(path)
        except DriverError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)


class RequestRing:
    """Registers of the board through the request ring; control's chassis is its only writer.

    Blocks up to 11 ms for a batch (any number of accesses up to the ring's size), so
    an event loop calls it in an executor, from one thread at a time, and reads many spans
    in one batch (drivers.framer.base.status_of_all).

    The board serves the entries strictly in ring order from `request_next`, each
    millisecond while requests come, else each 10 ms.  address = span index (0..63) << 16 | register.

    Taking the ring: store our pid in control_owner, void what a dead owner left,
    wait until a request the board was just serving is over, void again.  The
    newest owner wins: an older one that is still alive finds another pid in
    control_owner and raises DriverError instead of touching entries again."""

    ANSWER_TIMEOUT_MS = 500              # measured: 1-11 ms; a board that needs longer has stopped
    ANSWER_LOOKS = 200                   # and who looked less often did not run himself: a host under load is no dead board

    def __init__(self, window, owner=None, sleep=time.sleep):
        self._window = window
        self._owner = owner or os.getpid()
        self._sleep = sleep
        self._generation = None

    def take(self):
        """Become the owner of the ring; entries of the owner before are void.

        Blocks 25 ms, so that a request in the board's hands has been answered."""
        self._window.set("control_owner", self._owner)
        self._window.request[:, 0] = FREE
        self._sleep(0.025)
        self._window.request[:, 0] = FREE
        self._generation = self._window.get("generation")

    def read(self, span, register):
        """Read an 8-bit register of a span (1..64); returns its value."""
        return self.batch(((READ, span, register, 0),))[0]

    def write(self, span, register, value):
        """Write an 8-bit register of a span (1..64)."""
        self.batch(((WRITE, span, register, value),))

    def batch(self, requests, refused=None):
        """Carry out (op, span, register, value) in order; returns the data of each.

        refused: what stands for one that the board refuses; None: that raises.  Raises DriverError if the board refuses one or does not
        answer in time."""
        results = []
        size = self._window.request.shape[0]
        requests = list(requests)
        for start in range(0, len(requests), size):
            results += self._chunk(requests[start:start + size], refused)
        return results

    def _chunk(self, requests, instead):
        window, entries = self._window, self._window.request
        self._check_owner()
        first = window.get("request_next")
        places = [(first + n) % len(entries) for n in range(len(requests))]
        for place, (op, span, register, value) in zip(places, requests):
            entries[place, 1:] = (op, (span - 1) << 16 | register, value)
            entries[place, 0] = ASKED
        deadline, looks = time.monotonic() + self.ANSWER_TIMEOUT_MS / 1000, 0
        while entries[places[-1], 0] == ASKED:
            self._check_owner()
            looks += 1
            if looks > self.ANSWER_LOOKS and time.monotonic() > deadline:
                for place in places:
                    entries[place, 0] = FREE
                raise DriverError(window.path, "register access", "no answer in %d ms: the board has stopped"
                                  % self.ANSWER_TIMEOUT_MS)
            self._sleep(0.0005)
        results = []
        refused = None
        for place, request in zip(places, requests):
            if entries[place, 0] == REFUSED and refused is None:
                refused = request
            results.append(int(entries[place, 3]) if entries[place, 0] != REFUSED or instead is None else instead)
            entries[place, 0] = FREE
        if refused and instead is None:
            raise DriverError("span %d" % refused[1], "%s of register %02X" % ("write" if refused[0] else "read", refused[2]),
                              "the board knows no such register")
        return results

    def _check_owner(self):
        if self._window.get("control_owner") != self._owner:
            raise DriverError(self._window.path, "register access", "process %d owns the request ring now: "
                              "this control process has been replaced" % self._window.get("control_owner"))
        if self._window.get("generation") != self._generation:
            raise DriverError(self._window.path, "register access",
                              "the board was reset: take the ring again and configure every span")
