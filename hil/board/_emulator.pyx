# distutils: sources = hil/board/e1.c hil/board/e1_registers.c hil/board/t1.c hil/board/t1_registers.c hil/board/liu.c hil/board/port.c hil/board/tick.c
# distutils: include_dirs = hil/board
# distutils: depends = hil/board/liu.h hil/board/liu.c hil/board/e1.h hil/board/e1_registers.h hil/board/t1.h hil/board/t1.c hil/board/t1_registers.c hil/board/port.h hil/board/port.c hil/board/tick.h hil/board/layout.h
"""The native half of the board emulator: a thin shell around e1.c and tick.c.

Emulator owns the window's mapping, the lines and the tick; run() blocks without
the GIL.  layout() is hil/'s table of the window, for the test that compares it."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

cdef extern from "layout.h":
    cdef struct window_header:
        uint32_t generation
        uint64_t rx_head, tx_head, late_media_frames, moved_time_base, tx_written
        uint32_t media_owner, control_owner
    enum: WINDOW_MAGIC, BLOCK_OCTETS

cdef extern from "e1.h":
    cdef struct e1_counters:
        uint32_t fec, cec, ebc
    cdef struct e1:
        uint32_t tx_crc_errors, tx_fas_errors, rx_crc_errors
        uint8_t force_rai

cdef extern from "t1.h":
    cdef struct t1:
        uint32_t tx_crc_errors, tx_fas_errors, rx_crc_errors
        uint8_t force_rai

cdef extern from "port.h":
    cdef struct port_t "port":
        int t1_mode, absent
        uint8_t identity
        e1 e1
        t1 t1
    void port_reset(port_t *port, uint8_t idle)
    void port_transmit(port_t *port, const uint8_t *frames, const uint8_t *cas, uint8_t *out)
    void port_receive(port_t *port, const uint8_t *block, uint8_t *out, uint8_t *cas)
    int port_read(port_t *port, uint32_t address, uint32_t *data)
    int port_write(port_t *port, uint32_t address, uint32_t data)
    void port_second(port_t *port)
    size_t port_line_octets(const port_t *port)
    uint8_t port_frs0(const port_t *port)
    uint8_t port_frs1(const port_t *port)
    const e1_counters *port_total(const port_t *port)

cdef extern from "liu.h":
    liu_result liu_look(const liu_t *liu, const uint8_t *reg, int t1, int connected)
    cdef struct liu_t "liu":
        double rx_loss_db, tx_loss_db
        int rx_open, tx_open, tx_short, exchanged, cable_ohm
        double far_least_db, far_most_db
    cdef struct liu_result:
        int rx_lost, tx_lost
        double level_db, rx_errors, tx_errors
        uint8_t res, frs1

cdef extern from "tick.h":
    cdef struct bit_errors:
        double rate, next
        uint32_t count
        int timeslot
        uint64_t done
    cdef struct line_t "line":
        port_t port
        int fd, rx_fault, tx_fault, plug, rx_from, own_clock
        bit_errors rx_errors, tx_errors, rx_weak, tx_weak
        liu_t liu
        liu_result seen
        uint64_t changed[8]
        uint32_t looked
        double crc_rate, ppm, drift
        uint64_t slips_out, slips_twice
        uint64_t sent, late, wrong_length, not_taken, connections
    cdef struct witness:
        uint64_t stalls
    cdef struct board_t "board":
        window_header *header
        uint32_t spans
        int stop, fifo, reference
        double ppm
        uint64_t ticks, served, busy_ns, worst_late_ns, stood_ns, behind_ns
        uint32_t witnesses
        witness witness[64]
        line_t lines[64]
    size_t board_window_octets(uint32_t spans)
    void board_init(board_t *board, void *window, uint32_t spans, uint8_t idle)
    int board_attach(board_t *board, uint32_t span, int fd)
    void board_run(board_t *board) nogil

cdef extern from *:
    """
    #include "layout.h"
    typedef struct { const char *name; uint32_t offset, octets; } layout_row;
    #define ROW(field) { #field, offsetof(struct window_header, field), sizeof(((struct window_header *)0)->field) }
    static const layout_row layout_rows[] = {
        ROW(magic), ROW(version), ROW(spans), ROW(ring_frames), ROW(frame_rate_hz), ROW(timeslots),
        ROW(rx_offset), ROW(tx_offset), ROW(cas_rx_offset), ROW(cas_tx_offset), ROW(request_offset),
        ROW(request_entries), ROW(burst_frames), ROW(generation), ROW(idle_code), ROW(rx_head), ROW(tx_head),
        ROW(late_media_frames), ROW(request_next), ROW(moved_time_base), ROW(tx_written), ROW(media_owner),
        ROW(media_generation), ROW(control_owner), ROW(span_idle), { NULL, 0, 0 } };
    """
    ctypedef struct layout_row:
        const char *name
        uint32_t offset
        uint32_t octets
    const layout_row layout_rows[]

FAULTS = ("none", "los", "ais", "lof")


def layout():
    """Rows (name, offset, octets) of the window's header."""
    rows = []
    cdef int n = 0
    while layout_rows[n].name != NULL:
        rows.append((layout_rows[n].name.decode(), layout_rows[n].offset, layout_rows[n].octets))
        n += 1
    return rows


def window_octets(spans):
    """Size of the window of a board with that many spans."""
    return board_window_octets(spans)


def look_at_cable(registers, t1=False, connected=True, double rx_loss_db=0, double tx_loss_db=0, rx_open=False, tx_open=False, tx_short=False,
                  exchanged=False, int cable_ohm=0, double far_least_db=0, double far_most_db=0):
    """What the line interface of a port makes of a cable, for tests.  registers: {offset: value} of the port.  The fields of struct liu_result."""
    cdef uint8_t reg[256]
    cdef liu_t liu
    for n in range(256):
        reg[n] = registers.get(n, 0)
    liu.rx_loss_db, liu.tx_loss_db, liu.cable_ohm = rx_loss_db, tx_loss_db, cable_ohm
    liu.rx_open, liu.tx_open, liu.tx_short, liu.exchanged = rx_open, tx_open, tx_short, exchanged
    liu.far_least_db, liu.far_most_db = far_least_db, far_most_db
    return liu_look(&liu, reg, t1, connected)


cdef class Emulator:
    """The board behind a window.  window: writable buffer of window_octets(spans)."""

    cdef board_t *_board
    cdef uint8_t[::1] _window

    def __cinit__(self, window, uint32_t spans, uint8_t idle=0xD5):
        if not 1 <= spans <= 64:
            raise ValueError("spans is %d: a board has 1 to 64" % spans)
        self._window = window
        if self._window.shape[0] < board_window_octets(spans):
            raise ValueError("the window has %d octets, %d spans need %d"
                             % (self._window.shape[0], spans, board_window_octets(spans)))
        self._board = <board_t *>calloc(1, sizeof(board_t))
        if self._board == NULL:
            raise MemoryError()
        board_init(self._board, &self._window[0], spans, idle)

    def __dealloc__(self):
        free(self._board)

    def run(self):
        """Tick until stop(); blocks, without the GIL."""
        with nogil:
            board_run(self._board)

    def stop(self):
        """Let run() return within a tick."""
        self._board.stop = 1

    def attach(self, int span, int fd):
        """Give a connected socket to span 1..64; the board closes it.  False when one is connected."""
        return board_attach(self._board, span - 1, fd) == 0

    def connected(self, int span):
        """Whether somebody is connected to span 1..64."""
        return self._board.lines[span - 1].fd >= 0

    def fault(self, int span, direction, what):
        """Replace the signal of a direction ("rx", "tx"): "none", "los" (zeros), "ais" (ones), "lof" (no frames)."""
        cdef int value = FAULTS.index(what)
        if direction == "rx":
            self._board.lines[span - 1].rx_fault = value
        else:
            self._board.lines[span - 1].tx_fault = value

    def force_rai(self, int span, on):
        """Report a received A bit although none came."""
        self._board.lines[span - 1].port.e1.force_rai = self._board.lines[span - 1].port.t1.force_rai = bool(on)

    def crc_errors(self, int span, direction, int count):
        """Spoil `count` CRC blocks of a direction."""
        cdef port_t *port = &self._board.lines[span - 1].port
        if direction == "rx" and port.t1_mode:
            port.t1.rx_crc_errors += count
        elif direction == "rx":
            port.e1.rx_crc_errors += count
        elif port.t1_mode:
            port.t1.tx_crc_errors += count
        else:
            port.e1.tx_crc_errors += count

    def crc_rate(self, int span, double a_second):
        """So many received CRC blocks a second are wrong, until 0."""
        self._board.lines[span - 1].crc_rate = a_second

    def fas_errors(self, int span, int count):
        """Spoil `count` frame alignment signals sent to the line."""
        self._board.lines[span - 1].port.e1.tx_fas_errors += count
        self._board.lines[span - 1].port.t1.tx_fas_errors += count

    def bit_errors(self, int span, direction, double rate, int count, int timeslot):
        """Wrong bits of a direction: at random at a rate (errors a bit), until 0, and `count` more, one a frame; neither: no more of either."""
        cdef bit_errors *errors = &self._board.lines[span - 1].rx_errors
        if direction == "tx":
            errors = &self._board.lines[span - 1].tx_errors
        errors.timeslot = timeslot
        errors.count = errors.count + count if count or rate > 0 else 0
        errors.next = 0
        errors.rate = rate

    def chip(self, int span, absent, int identity):
        """No framer where this span's should be; or one that has another identity, 0: the right one."""
        self._board.lines[span - 1].port.absent = bool(absent)
        self._board.lines[span - 1].port.identity = identity

    def plug(self, int span, on):
        """A loop plug in place of the cable."""
        self._board.lines[span - 1].plug = bool(on)

    def cross(self, int span, int other):
        """The receive pairs of two spans are exchanged; the same span twice: as they belong."""
        cdef int before = self._board.lines[span - 1].rx_from
        self._board.lines[before].rx_from = before
        self._board.lines[span - 1].rx_from = span - 1
        before = self._board.lines[other - 1].rx_from
        self._board.lines[before].rx_from = before
        self._board.lines[span - 1].rx_from = other - 1
        self._board.lines[other - 1].rx_from = span - 1

    def cable(self, int span, **more):
        """The analogue side of a line: fields of struct liu that change."""
        cdef liu_t *liu = &self._board.lines[span - 1].liu
        fields = liu[0]
        if set(more) - set(fields):
            raise ValueError("a cable has no %s" % ", ".join(sorted(set(more) - set(fields))))
        liu[0] = {**fields, **more}
        self._board.lines[span - 1].looked = 0

    def clock(self, int span, own, double ppm):
        """The far end of a span has a clock of its own, so many ppm too fast; or follows ours."""
        cdef line_t *line = &self._board.lines[span - 1]
        line.ppm = ppm
        line.own_clock = bool(own)

    def reference(self, int span, ppm=None):
        """Which span's clock the board follows, 0 for none; ppm: the board's own then, None: as it was."""
        self._board.reference = span - 1
        if ppm is not None:
            self._board.ppm = ppm

    def ticks(self):
        """Instants of the board so far, 100 a second of its own time."""
        return self._board.ticks

    def board_status(self):
        """Figures of the whole board, plain data.  Reading resets worst_late_us."""
        cdef window_header *h = self._board.header
        worst = self._board.worst_late_ns
        self._board.worst_late_ns = 0
        return {"spans": self._board.spans, "generation": h.generation, "ticks": self._board.ticks, "requests": self._board.served,
                "rx_head": h.rx_head, "tx_head": h.tx_head, "tx_written": h.tx_written,
                "late_media_frames": h.late_media_frames, "moved_time_base": h.moved_time_base,
                "media_owner": h.media_owner, "control_owner": h.control_owner,
                "real_time": bool(self._board.fifo), "cpu_ms": self._board.busy_ns // 1000000,
                "worst_late_us": worst // 1000, "stood_ms": self._board.stood_ns // 1000000,
                "behind_ms": self._board.behind_ns // 1000000, "watched_processors": self._board.witnesses,
                "reference": self._board.reference + 1, "ppm": self._board.ppm,
                "host_stalls": sum(self._board.witness[n].stalls for n in range(self._board.witnesses))}

    def line_status(self, int span):
        """Figures of one span, plain data."""
        cdef line_t *line = &self._board.lines[span - 1]
        cdef const e1_counters *total = port_total(&line.port)
        return {"span": span, "type": "t1" if line.port.t1_mode else "e1", "connected": line.fd >= 0,
                "frs0": port_frs0(&line.port), "frs1": port_frs1(&line.port),
                "blocks": line.sent, "late": line.late, "wrong_length": line.wrong_length,
                "not_taken": line.not_taken, "connections": line.connections,
                "fas_errors": total.fec, "crc_errors": total.cec, "e_bits": total.ebc,
                "rx_fault": FAULTS[line.rx_fault], "tx_fault": FAULTS[line.tx_fault],
                "rx_bit_errors": line.rx_errors.done, "tx_bit_errors": line.tx_errors.done,
                "slips_left_out": line.slips_out, "slips_repeated": line.slips_twice,
                "level_db": None if line.seen.rx_lost else round(line.seen.level_db, 1), "arrives": not line.seen.tx_lost,
                "changed_ticks": [line.changed[n] for n in range(8)], "weak_errors": line.rx_weak.done + line.tx_weak.done,
                "ppm": line.ppm if line.own_clock else None, "plug": bool(line.plug), "receives_from": line.rx_from + 1}


cdef class Framer:
    """One port without a board, for tests: blocks in, blocks out."""

    cdef port_t _port
    cdef uint8_t _cas_rx[32]
    cdef uint8_t _cas_tx[32]

    def __cinit__(self, uint8_t idle=0xD5):
        port_reset(&self._port, idle)
        for n in range(32):
            self._cas_rx[n], self._cas_tx[n] = 0xF, 0xD

    def write(self, uint32_t address, uint32_t value):
        if port_write(&self._port, address, value):
            raise ValueError("no register %02X" % address)

    def read(self, uint32_t address):
        cdef uint32_t value
        if port_read(&self._port, address, &value):
            raise ValueError("no register %02X" % address)
        return value

    def second(self):
        port_second(&self._port)

    def transmit(self, const uint8_t[::1] frames not None):
        """80x32 octets of payload -> block for the line."""
        if frames.shape[0] != BLOCK_OCTETS:
            raise ValueError("%d octets, not %d" % (frames.shape[0], BLOCK_OCTETS))
        out = bytearray(port_line_octets(&self._port))
        cdef uint8_t[::1] view = out
        port_transmit(&self._port, &frames[0], self._cas_tx, &view[0])
        return bytes(out)

    def receive(self, const uint8_t[::1] block not None):
        """Block from the line -> 80x32 aligned octets."""
        if <size_t>block.shape[0] != port_line_octets(&self._port):
            raise ValueError("%d octets, not %d" % (block.shape[0], port_line_octets(&self._port)))
        out = bytearray(BLOCK_OCTETS)
        cdef uint8_t[::1] view = out
        port_receive(&self._port, &block[0], &view[0], self._cas_rx)
        return bytes(out)

    def set_cas(self, bytes nibbles):
        for n in range(32):
            self._cas_tx[n] = nibbles[n]

    def cas(self):
        return bytes(self._cas_rx[:32])
