# distutils: libraries = srtp2 crypto opus
# distutils: include_dirs = drivers/tdm/native firmware/media/native
# distutils: depends = drivers/tdm/native/bearer.h firmware/media/native/fax_line.h firmware/media/native/srtp_ciphers.h
"""The native half of the media process: one tick each 10 ms, without the GIL.

    engine = Engine(kernels)            # firmware.media.kernels.load()
    engine.run()                        # in a thread of its own; returns after engine.stop()

One other thread (the command thread) calls the methods under "Commands"; each
fills an entry of the command ring, commit() makes all of them visible at once
and returns their number.  done() tells how many commands the tick has applied:
memory that a command took away (items of a player, an RTP leg) may be freed
when its number is reached.  events() returns what the tick has to say;
event_fd and frame_fd are eventfds that become readable then.
The disk thread calls only the record_* methods named there, the layer 2 thread
only frames() and put_frame().

The files in native/ are parts of this module: types (structures), bert (bit error tests), playout
(jitter buffer), quality (R-factor), srtp, fax (T.38 in place of sound), bundle (sending), rtp, ring and gather (receiving), watch (missing sound), rtcp, player, disabler (2100 Hz), conference,
plan (bridges and mixing), enhance (echo, noise, level, speech), tapes (memory of recordings), record, stream (to and from services), command, circuit (CAS bits, register
signals), bearer (spans that the board does not carry), continuity (check of circuits), hear (modem tones, progress, caller identification,
answers), units (threads), tick,
objects (RtpLeg, Playlist, BoardWindow, Playout).
"""

import os
from math import pi

from cpython.pycapsule cimport PyCapsule_GetPointer

from firmware.errors import LocalError

include "native/ring.pxi"
include "native/tapes.pxi"
include "native/types.pxi"
include "native/playout.pxi"
include "native/quality.pxi"
include "native/codec.pxi"
include "native/srtp.pxi"
include "native/fax.pxi"
include "native/bundle.pxi"
include "native/passed.pxi"
include "native/rtp.pxi"
include "native/gather.pxi"
include "native/watch.pxi"
include "native/rtcp.pxi"
include "native/record.pxi"
include "native/stream.pxi"
include "native/player.pxi"
include "native/disabler.pxi"
include "native/conference.pxi"
include "native/keys.pxi"
include "native/plan.pxi"
include "native/files.pxi"
include "native/bert.pxi"
include "native/command.pxi"
include "native/circuit.pxi"
include "native/continuity.pxi"
include "native/hear.pxi"
include "native/enhance.pxi"
include "native/units.pxi"
include "native/bearer.pxi"
include "native/tick.pxi"

CAPACITY = {"terminations": TERMS, "bridges": BRIDGES, "legs_per_bridge": MEMBERS,
            "recordings": RECORDINGS, "streams": STREAMS, "links": LINKS, "berts": BERTS}
TDM_ROW_COUNT = TDM_ROWS
UNITS_MOST, UNIT_SLOTS = UNITS, UNIT
LONG_TAILS = {"places": LONGS, "group": LONG_GROUP, "unit": UNIT}
RINGED = {"octets": RINGED_OCTETS, "packet": sizeof(ringed), "ring": RING_OCTETS}
GAIN_UNITY, LOUDEST = UNITY, LOUDEST_MOST
STRETCH_OCTETS = STRETCH
STREAM_LAYOUT = {"page": sizeof(StreamPage), "out": STREAM_OUT, "in": STREAM_IN}
RECORD_CHUNK_FRAMES = CHUNK
RECORD_FORMS = {"alaw": FORM_A, "ulaw": FORM_U, "pcm16": FORM_PCM, "ima": FORM_IMA, "g726": FORM_G726, "vox": FORM_VOX}
CODECS = {"G722": (CODEC_G722, 0, 1), "AAL2-G726-32": (CODEC_G726, 2, 1), "G726-32": (CODEC_G726, 1, 1), "OPUS": (CODEC_OPUS, 0, 6),
          "G729": (CODEC_PASSED, 0, 1)}     # kind, packing, clock
RECORD_MARKS = {MARK_PAUSED: "paused", MARK_RESUMED: "resumed", MARK_LEGS: "segment"}
EVENT_NAMES = {EV_SIGNAL: "signal_complete", EV_DIGIT: "digit", EV_RTP_STARTED: "rtp_started",
               EV_RTP_TIMEOUT: "rtp_timeout", EV_RECORD_CLOSED: "record_stopped", EV_BOARD: "board",
               EV_VOICE: "voice", EV_TONE_2100: "tone_2100", EV_MODEM: "modem_tone", EV_ANSWER: "answer", EV_PROGRESS: "progress", EV_FSK: "caller_id", EV_CAS: "cas", EV_MF: "mf", EV_CHECK: "check", EV_KEY: "key",
               EV_AUDIO: "audio", EV_RECORD_MARK: "record_mark"}
AUDIO_REASONS = ("nothing", "foreign", "type", "sent", "silent", "unheard", "refused")     # types.pxi AudioReason
ENHANCEMENTS = {"echo": ECHO, "noise": NOISE, "level": LEVEL, "vad": VAD}       # bits of Engine.enhance
KEYS_BY = ("sound", "event", "control")             # KeysBy, how a far end is told of keys
MF_PLANS = ("r2_forward", "r2_backward", "r1")      # kinds of receivers of register signals, by their number
FSK_PLANS = ("bell202", "v23")                      # of caller identification
REASONS = ("done", "stopped", "replaced")

# The functions that the engine calls: (kernel, function, signature).
SIGNATURES = (
    ("_rows", "frames_to_rows", "void (const uint8_t *, int64_t, uint8_t *, int64_t, int64_t, int64_t)"),
    ("_rows", "rows_to_frames", "void (const uint8_t *, int64_t, uint8_t *, int64_t, int64_t, int64_t)"),
    ("_g711", "expand_rows", "void (const uint8_t *, int64_t, const int32_t *, int16_t *, int64_t, const int32_t *, const uint8_t *, int64_t, int64_t)"),
    ("_g711", "compress_rows", "void (const int16_t *, int64_t, const int32_t *, uint8_t *, int64_t, const int32_t *, const uint8_t *, int64_t, int64_t)"),
    ("_g711", "expand", "void (int64_t, const uint8_t *, int16_t *, int64_t)"),
    ("_g711", "compress", "void (int64_t, const int16_t *, uint8_t *, int64_t)"),
    ("_g711", "convert", "void (int64_t, const uint8_t *, uint8_t *, int64_t)"),
    ("_wsola", "block", "int32_t (void *, int32_t, int16_t *)"),
    ("_wsola", "put", "void (void *, const int16_t *, int32_t)"),
    ("_wsola", "ahead", "int32_t (const void *)"),
    ("_ima", "encode", "void (int32_t, void *, const int32_t *, const int16_t *, int64_t, const int32_t *, uint8_t *, int64_t, const int32_t *, int64_t, int64_t)"),
    ("_g726", "encode", "void (int32_t, int32_t, void *, const int32_t *, const int16_t *, int64_t, const int32_t *, uint8_t *, int64_t, const int32_t *, int64_t, int64_t)"),
    ("_g726", "reset", "void (void *, int32_t)"),
    ("_g726", "decode", "void (int32_t, int32_t, void *, const int32_t *, const uint8_t *, int64_t, const int32_t *, int16_t *, int64_t, const int32_t *, int64_t, int64_t)"),
    ("_g722", "encode", "void (int32_t, void *, const int32_t *, const int16_t *, int64_t, const int32_t *, uint8_t *, int64_t, const int32_t *, int64_t, int64_t)"),
    ("_g722", "decode", "void (int32_t, int32_t, void *, const int32_t *, const uint8_t *, int64_t, const int32_t *, int16_t *, int64_t, const int32_t *, int64_t, int64_t)"),
    ("_g722", "reset", "void (void *, int32_t)"),
    ("_mix", "bridges", "void (const int16_t *, int64_t, int16_t *, int64_t, const int32_t *, const int32_t *, int64_t, int64_t)"),
    ("_mix", "routes", "void (const int16_t *, int64_t, int16_t *, int64_t, const int32_t *, const int32_t *, const int32_t *, const int32_t *, int64_t, int64_t)"),
    ("_dtmf", "detect", "int64_t (void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, uint8_t *, void *, int64_t)"),
    ("_dtmf", "reset", "void (void *, int32_t)"),
    ("_mf", "detect", "int64_t (const void *, void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, void *, int64_t)"),
    ("_mf", "reset", "void (void *, int32_t)"),
    ("_progress", "detect", "int64_t (const void *, void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, void *, int64_t)"),
    ("_progress", "reset", "void (void *, int32_t)"),
    ("_fsk", "detect", "int64_t (const void *, void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, void *, int64_t)"),
    ("_fsk", "rx_reset", "void (void *, int32_t)"),
    ("_tone", "start", "void (void *, int32_t, int32_t, int64_t)"),
    ("_tone", "generate", "void (const void *, void *, const int32_t *, const int32_t *, int64_t, int16_t *, int64_t, int64_t, int32_t *)"),
    ("_plc", "conceal", "void (void *, const int32_t *, const int32_t *, const uint8_t *, int64_t, int16_t *, int64_t)"),
    ("_plc", "reset", "void (void *, int32_t)"),
    ("_hdlc", "receive", "int64_t (void *, const int32_t *, const int32_t *, int64_t, const uint8_t *, int64_t, int64_t, uint8_t *, int64_t, void *, int64_t)"),
    ("_hdlc", "transmit", "void (void *, const int32_t *, const int32_t *, int64_t, uint8_t *, int64_t, int64_t)"),
    ("_hdlc", "put", "int32_t (void *, int32_t, const uint8_t *, int64_t)"),
    ("_hdlc", "room", "int64_t (void *, int32_t)"),
    ("_hdlc", "rx_reset", "void (void *, int32_t)"),
    ("_hdlc", "tx_reset", "void (void *, int32_t)"),
    ("_echo", "cancel", "void (void *, const int32_t *, const int32_t *, const int32_t *, const uint8_t *, int64_t, const int16_t *, int64_t, int16_t *, int64_t, int64_t)"),
    ("_echo", "reset", "void (void *, int32_t, int64_t)"),
    ("_noise", "reduce", "void (void *, const int32_t *, const int32_t *, int64_t, int16_t *, int64_t)"),
    ("_noise", "reset", "void (void *, int32_t)"),
    ("_level", "control", "void (void *, const int32_t *, const int32_t *, int64_t, int16_t *, int64_t, const uint8_t *)"),
    ("_level", "configure", "void (void *, int32_t, float, float, float, float, float)"),
    ("_modem", "detect", "int64_t (void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, uint8_t *, void *, int64_t)"),
    ("_modem", "reset", "void (void *, int32_t)"),
    ("_amd", "detect", "int64_t (void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, const uint8_t *, void *, int64_t)"),
    ("_amd", "start", "void (void *, int32_t, const int32_t *)"),
    ("_vad", "detect", "void (void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, uint8_t *, float *)"),
    ("_vad", "reset", "void (void *, int32_t)"),
)
STATES = (("echo", TERMS), ("long", LONGS), ("noise", TERMS), ("level", TERMS), ("vad", TERMS), ("dtmf", TERMS), ("modem", TERMS), ("amd", TERMS), ("mf", TERMS), ("progress", TERMS), ("fsk", TERMS), ("tone", 2 * TERMS), ("plc", TERMS), ("g722", 2 * TERMS), ("g726", 2 * TERMS),
          ("hdlc_rx", LINKS), ("hdlc_tx", LINKS))
EVENT_DIGITS = "0123456789*#ABCD"      # by event code of RFC 4733 3.2


cdef void *function(kernels, kernel, name) except NULL:
    for k, n, signature in SIGNATURES:
        if k == kernel and n == name:
            return PyCapsule_GetPointer(kernels.capsule(kernel, name), signature.encode())
    raise LocalError(f"media: the engine knows no kernel {kernel}.{name}")


cdef class Engine:
    """See the module docstring.

    kernels: object with capsule(kernel, name), states ({"dtmf": uint8 array, ...}
    of the sizes in STATES), mf_tables (by MF_PLANS), fsk_tables (by FSK_PLANS) and register_table (tones), digit_table (uint8 array of tones), digit_tones
    ({"5": tone number}) and level_presets (up to 3 times 5 numbers of dsp/level.py).  It is kept alive with the engine."""

    cdef Engine_ *e
    cdef readonly object kernels
    cdef tuple windows
    cdef uint64_t head                  # commands written, not all committed
    cdef int recordings                 # that are open
    cdef readonly int event_fd
    cdef readonly int frame_fd

    def __cinit__(self, kernels):
        self.e = <Engine_ *>large_calloc(sizeof(Engine_))
        if self.e == NULL:
            raise MemoryError("media: no memory for the engine's tables")
        self.event_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.frame_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.e.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        if self.e.epoll_fd < 0:
            raise OSError(errno, "media: no epoll descriptor")
        for i in range(UNITS):
            self.e.gather_fd[i] = -1
        self.kernels = kernels
        self.windows = (None, None)
        cdef Kernels *k = &self.e.k
        k.frames_to_rows = <FramesToRows>function(kernels, "_rows", "frames_to_rows")
        k.rows_to_frames = <FramesToRows>function(kernels, "_rows", "rows_to_frames")
        k.expand_rows = <ExpandRows>function(kernels, "_g711", "expand_rows")
        k.compress_rows = <CompressRows>function(kernels, "_g711", "compress_rows")
        k.expand = <Expand>function(kernels, "_g711", "expand")
        k.compress = <Compress>function(kernels, "_g711", "compress")
        k.convert = <Convert>function(kernels, "_g711", "convert")
        k.wsola_block = <WSOLABlock>function(kernels, "_wsola", "block")
        k.wsola_put = <WSOLAPut>function(kernels, "_wsola", "put")
        k.wsola_ahead = <WSOLAAhead>function(kernels, "_wsola", "ahead")
        k.ima_encode = <IMAEncode>function(kernels, "_ima", "encode")
        k.g726_encode = <G726Encode>function(kernels, "_g726", "encode")
        k.g726_reset = <ResetSlot>function(kernels, "_g726", "reset")
        k.g726_decode = <G726Decode>function(kernels, "_g726", "decode")
        k.g722_encode = <G722Encode>function(kernels, "_g722", "encode")
        k.g722_decode = <G726Decode>function(kernels, "_g722", "decode")
        k.g722_reset = <ResetSlot>function(kernels, "_g722", "reset")
        k.g722_state = self.address(kernels.states["g722"])
        k.g726_state = self.address(kernels.states["g726"])
        k.mix_bridges = <MixBridges>function(kernels, "_mix", "bridges")
        k.mix_routes = <MixRoutes>function(kernels, "_mix", "routes")
        k.dtmf_detect = <DTMFDetect>function(kernels, "_dtmf", "detect")
        k.dtmf_reset = <ResetSlot>function(kernels, "_dtmf", "reset")
        k.mf_detect = <MFDetect>function(kernels, "_mf", "detect")
        k.mf_reset = <ResetSlot>function(kernels, "_mf", "reset")
        k.progress_detect = <MFDetect>function(kernels, "_progress", "detect")
        k.progress_reset = <ResetSlot>function(kernels, "_progress", "reset")
        k.progress_state = self.address(kernels.states["progress"])
        k.fsk_detect = <MFDetect>function(kernels, "_fsk", "detect")
        k.fsk_reset = <ResetSlot>function(kernels, "_fsk", "rx_reset")
        k.fsk_state = self.address(kernels.states["fsk"])
        k.tone_start = <ToneStart>function(kernels, "_tone", "start")
        k.tone_generate = <ToneGenerate>function(kernels, "_tone", "generate")
        k.plc_conceal = <PLCConceal>function(kernels, "_plc", "conceal")
        k.plc_reset = <ResetSlot>function(kernels, "_plc", "reset")
        k.hdlc_receive = <HDLCReceive>function(kernels, "_hdlc", "receive")
        k.hdlc_transmit = <HDLCTransmit>function(kernels, "_hdlc", "transmit")
        k.hdlc_put = <HDLCPut>function(kernels, "_hdlc", "put")
        k.hdlc_room = <HDLCRoom>function(kernels, "_hdlc", "room")
        k.hdlc_rx_reset = <ResetSlot>function(kernels, "_hdlc", "rx_reset")
        k.hdlc_tx_reset = <ResetSlot>function(kernels, "_hdlc", "tx_reset")
        k.echo_cancel = <EchoCancel>function(kernels, "_echo", "cancel")
        k.echo_reset = <EchoReset>function(kernels, "_echo", "reset")
        k.noise_reduce = <NoiseReduce>function(kernels, "_noise", "reduce")
        k.noise_reset = <ResetSlot>function(kernels, "_noise", "reset")
        k.level_control = <LevelControl>function(kernels, "_level", "control")
        k.level_configure = <LevelConfigure>function(kernels, "_level", "configure")
        k.modem_detect = <DTMFDetect>function(kernels, "_modem", "detect")
        k.modem_reset = <ResetSlot>function(kernels, "_modem", "reset")
        k.amd_detect = <AMDDetect>function(kernels, "_amd", "detect")
        k.amd_start = <AMDStart>function(kernels, "_amd", "start")
        k.modem_state = self.address(kernels.states["modem"])
        k.amd_state = self.address(kernels.states["amd"])
        k.vad_detect = <VADDetect>function(kernels, "_vad", "detect")
        k.vad_reset = <ResetSlot>function(kernels, "_vad", "reset")
        k.echo_state = self.address(kernels.states["echo"])
        k.long_state = self.address(kernels.states["long"])
        k.noise_state = self.address(kernels.states["noise"])
        k.level_state = self.address(kernels.states["level"])
        k.vad_state = self.address(kernels.states["vad"])
        for preset, numbers in enumerate(kernels.level_presets):
            for i, value in enumerate(numbers):
                self.e.level_preset[preset][i] = value
        k.dtmf_state = self.address(kernels.states["dtmf"])
        k.mf_state = self.address(kernels.states["mf"])
        for kind, plan in enumerate(MF_PLANS):
            self.e.mf_table[kind] = self.address(kernels.mf_tables[plan])
        for kind, plan in enumerate(FSK_PLANS):
            self.e.fsk_table[kind] = self.address(kernels.fsk_tables[plan])
        self.e.mf_tones = <const uint8_t *>self.address(kernels.register_table)
        k.tone_state = self.address(kernels.states["tone"])
        k.plc_state = self.address(kernels.states["plc"])
        k.hdlc_rx_state = self.address(kernels.states["hdlc_rx"])
        k.hdlc_tx_state = self.address(kernels.states["hdlc_tx"])
        self.e.tone_table = <const uint8_t *>self.address(kernels.digit_table)
        for code, digit in enumerate(EVENT_DIGITS):
            self.e.digit_tone[code] = kernels.digit_tones.get(digit, -1)
        self.e.event_fd = self.event_fd
        self.e.frame_fd = self.frame_fd
        sem_init(&self.e.work, 0, 0)
        self.e.idle = SILENCE_A
        memset(self.e.octets_in, SILENCE_A, sizeof(self.e.octets_in))
        memset(self.e.octets_out, SILENCE_A, sizeof(self.e.octets_out))

    def __dealloc__(self):
        if self.e != NULL:
            if self.e.stream_page != NULL:
                munmap(self.e.stream_page, sizeof(StreamPage) * STREAMS)
            os.close(self.event_fd)
            os.close(self.frame_fd)
            os.close(self.e.epoll_fd)
            for u in range(UNITS):
                ring_unmap(&self.e.ring[u])
            for i in range(RECORDINGS):
                free(self.e.recording[i].coder)
            for i in range(self.e.tapes.reels):
                large_free(self.e.tapes.reel[i], LARGE_PAGE)
            large_free(self.e, sizeof(Engine_))

    cdef void *address(self, array) except NULL:
        return <void *><uintptr_t>array.ctypes.data

    # The tick thread

    def run(self):
        """Run ticks until stop(); the GIL is released all the time."""
        with nogil:
            run(self.e)

    def help(self):
        """Body of a helper's thread: take parts of the ticks until stop(); the GIL is released all the time."""
        with nogil:
            help(self.e)

    def stop(self):
        """Ask run() and help() to return; they do within 10 ms."""
        cdef uint32_t i
        store32(<uint32_t *>&self.e.stop, 1)
        for i in range(self.e.helpers):
            sem_post(&self.e.work)

    # Commands.  All arguments have been checked by the caller.

    cdef Command *entry(self, int op, int slot, uint32_t serial=0) except NULL:
        if self.head - load64(&self.e.command_tail) >= COMMANDS:
            raise LocalError("media: the command ring is full, the tick has not run for a long time; try again")
        cdef Command *c = &self.e.command[self.head & (COMMANDS - 1)]
        memset(c, 0, sizeof(Command))
        c.op = op
        c.slot = slot
        c.serial = serial
        self.head += 1
        return c

    def room(self):
        """Commands that fit into the ring now."""
        return COMMANDS - (self.head - load64(&self.e.command_tail))

    def commit(self):
        """Let the tick see all commands since the last commit; returns their number so far."""
        store64(&self.e.command_head, self.head)
        return self.head

    def done(self):
        """How many commands the tick has applied."""
        return load64(&self.e.command_tail)

    def add_timeslot(self, int slot, serial, int row, int law):
        """row: span index * 32 + timeslot; law 0 A, 1 mu."""
        cdef Command *c = self.entry(OP_ADD, slot, serial)
        c.a = TIMESLOT
        c.b = law
        c.c = row

    def add_rtp(self, int slot, serial, RtpLeg leg):
        """The leg's memory stays the caller's, until the subtraction is done()."""
        cdef Command *c = self.entry(OP_ADD, slot, serial)
        c.a = RTP
        c.b = leg.r.law
        c.c = TDM_ROWS + slot
        c.pointer = leg.r

    def gather(self, fds, table, clock):
        """Sockets that the legs of the units are gathered in, addresses of the kernel's tables (steering.py); before the tick runs, for good."""
        for i, fd in enumerate(fds):
            self.e.gather_fd[i] = fd
        self.e.steered = <Steered *><uintptr_t>table
        self.e.steer_clock = <uint32_t *><uintptr_t>clock

    def ring(self, int unit, int fd):
        """The ring that the kernel writes a unit's packets into (packet_rings.py), its socket gets what does not fit; after gather(), before the tick runs, for good."""
        if ring_map(&self.e.ring[unit], fd) < 0:
            raise OSError(errno, "media: no memory for a ring of packets")
        watch_socket(self.e.epoll_fd, self.e.gather_fd[unit], <uint64_t>(unit * UNIT) | OF_UNIT)

    def subtract(self, int slot):
        """Remove a termination; what plays on it ends with reason stopped."""
        self.entry(OP_SUBTRACT, slot)

    def set_rtp(self, int slot, remote, int payload_type, int dtmf_payload_type, int ptime_ms, int jitter_ms,
                int latch, int send, int timeout_ms, int rtcp_mux=0, int rtcp_port=0, int watch=0, int jitter_most_ms=200,
                source_host=0, int browser=0, int dtmf_clock_hz=8000, int keys=0, int tones=1):
        """remote: (IPv4 address as int, port) or None; dtmf_payload_type 255 for none; rtcp_port 0: the one above
        RTP's; watch: 1 sound must come, 2 must arrive there; source_host: the only host besides the remote one that may be latched, 0: any;
        browser: STUN and DTLS that come on the port go to others(); dtmf_clock_hz: of the durations of telephone-events; keys: place in KEYS_BY;
        tones: 0 where those of a keypad in its sound are no digits."""
        cdef Command *c = self.entry(OP_RTP, slot)
        c.a = payload_type
        c.b = dtmf_payload_type
        c.c = ptime_ms // 10 | latch << 4 | send << 5 | rtcp_mux << 6 | watch << 7 | browser << 9 | rtcp_port << 16
        c.number = jitter_ms * 8 | <int64_t>(timeout_ms // 10) << 16 | <int64_t>(jitter_most_ms * 8) << 40
        c.mask[1] = htonl(source_host)
        c.member[0] = dtmf_clock_hz // 1000
        c.member[1] = keys | (not tones) << 2
        if remote is not None:
            c.mask[0] = 1
            c.address.sin_family = AF_INET
            c.address.sin_addr.s_addr = htonl(remote[0])
            c.address.sin_port = htons(remote[1])

    def set_remote(self, int slot, host, int port):
        """Where RTP and RTCP go from now on.  host: IPv4 address as int."""
        cdef Command *c = self.entry(OP_REMOTE, slot)
        c.mask[0] = host
        c.a = port

    def set_codec(self, int slot, RtpCodec codec):
        """What an RTP leg speaks besides G.711, None for that.  It must live until it is replaced or subtracted, and that is done()."""
        self.entry(OP_CODEC, slot).pointer = NULL if codec is None else codec.c

    def set_passed(self, int slot, from_slot):
        """Whose packets go out on a leg whose codec is only passed on; None: nobody's."""
        self.entry(OP_PASSED, slot).a = 0 if from_slot is None else from_slot + 1

    def set_fax(self, int slot, address):
        """An RTP leg's fax: address of a struct fax_line, 0 for sound.  It must live until it is replaced or subtracted, and that is done()."""
        self.entry(OP_FAX, slot).pointer = <void *><uintptr_t>address

    def set_srtp(self, int slot, int inbound, SRTPSession session):
        """One direction; None: in the clear.  The session must live until it is replaced or subtracted, and that is done()."""
        cdef Command *c = self.entry(OP_SRTP, slot)
        c.a = 1 if inbound else 0
        c.pointer = NULL if session is None else session.session

    def set_srtp_only(self, int slot, int only):
        """Whether nothing may go or come in the clear."""
        cdef Command *c = self.entry(OP_SRTP, slot)
        c.a = 2
        c.b = only

    def set_bridge(self, int bridge, slots):
        """Members of a bridge, everybody hearing everybody else."""
        cdef Command *c = self.entry(OP_BRIDGE, bridge)
        c.a = len(slots)
        for i, slot in enumerate(slots):
            c.member[i] = slot

    def set_hear(self, int bridge, int member, mask):
        """mask: bit m set: the member at this place hears the one at place m."""
        cdef Command *c = self.entry(OP_HEAR, bridge)
        c.a = member
        c.mask[0] = mask & 0xFFFFFFFFFFFFFFFF
        c.mask[1] = mask >> 64

    def set_conference(self, int bridge, loudest, gains):
        """Make a bridge a conference, or (loudest -1) a plain one.  loudest: how many are heard, 0 all;
        gains: by place, UNITY for 0 dB, 0 for one who is not heard."""
        cdef Command *c = self.entry(OP_CONFERENCE, bridge)
        c.a = loudest
        for i, gain in enumerate(gains):
            c.member[i] = gain

    def play(self, int slot, serial, Playlist playlist, int repeat, start_samples):
        """Replace what plays; the playlist must live until its end event and done()."""
        cdef Command *c = self.entry(OP_PLAY, slot, serial)
        c.pointer = playlist.items
        c.a = playlist.n
        c.b = repeat
        c.number = start_samples

    def set_player(self, int slot, serial, int paused, int gain, seek_samples, int speed=1024, Playlist playlist=None):
        """What plays under this serial: stand still, GAIN_UNITY for 0 dB, go to a place (-1: go on), speed in 1 / 1024;
        playlist: its own, once the speed was ever another one."""
        cdef void *stretch = NULL if playlist is None else playlist.stretched()
        cdef Command *c = self.entry(OP_PLAYER, slot, serial)
        c.c = speed
        c.pointer = stretch
        c.a = paused
        c.b = gain
        c.number = seek_samples

    def stop_play(self, int slot, serial=0):
        """serial 0: whatever plays."""
        self.entry(OP_STOP, slot, serial)

    def detect(self, int slot, int on):
        """DTMF detection on a termination's received audio."""
        self.entry(OP_DETECT, slot).a = on

    def press(self, int slot, int code, int ticks):
        """An RTP leg presses a key (code of RFC 4733) for so long: its tone is heard, or told as an event; no event "digit" of it follows."""
        cdef Command *c = self.entry(OP_PRESS, slot)
        c.a = code
        c.b = ticks

    def circuit(self, int row, int on, int bits, int hold):
        """Follow the ABCD bits of a timeslot (on), and what is sent there from now on.  hold: how often a pattern
        must be read again until it is told."""
        cdef Command *c = self.entry(OP_CAS, row)
        c.a = on
        c.b = bits
        c.c = hold

    def mf_listen(self, int slot, int kind):
        """Register signals on a timeslot's received audio: place in MF_PLANS, -1 for none."""
        self.entry(OP_MF_LISTEN, slot).a = kind + 1

    def mf_send(self, int slot, int tone, int lasting):
        """A tone of kernels.register_table towards the far register, until another or (-1) none.

        lasting: it does not end by itself; ordered again while it sounds, it goes on."""
        cdef Command *c = self.entry(OP_MF_SEND, slot)
        c.a = tone
        c.b = lasting

    def check(self, int slot, int kind):
        """Listen for the tone of a continuity check: 1 2000 Hz, 2 2010 Hz, 0 no more."""
        self.entry(OP_CHECK, slot).a = kind

    def loop(self, int slot, int on):
        """Send what is heard."""
        self.entry(OP_LOOP, slot).a = on

    def tap(self, int slot, int source):
        """Hear what another leg says, outside of any bridge; -1: no more."""
        self.entry(OP_TAP, slot).a = source

    def hear(self, int slot, int modem, int answer, blocks):
        """Tones of modems on a termination's received audio, and who answers; blocks: dsp/amd.py's parameters."""
        cdef Command *c = self.entry(OP_HEAR_TONES, slot)
        c.a = modem
        c.b = answer
        for i, count in enumerate(blocks):
            c.member[i] = count

    def progress(self, int slot, int on):
        """Call progress tones on a termination's received audio."""
        self.entry(OP_PROGRESS, slot).a = on

    def set_progress(self, table, serial):
        """The tones that are told: a table of dsp/progress.py, which must live until another is done()."""
        self.entry(OP_PROGRESS_PLAN, 0, serial).pointer = self.address(table)

    def fsk(self, int slot, int kind):
        """Octets of caller identification on a termination's received audio: place in FSK_PLANS, -1 for none."""
        self.entry(OP_FSK, slot).a = kind + 1

    def enhance(self, int slot, int bits, int preset, int long_place=0):
        """What works on a termination's received audio: bits of ENHANCEMENTS; level preset: place in
        kernels.level_presets; long_place: 1 + place of a canceller of 128 ms, 0: of 64 ms.  What is switched on begins anew, what stays on is left alone."""
        cdef Command *c = self.entry(OP_ENHANCE, slot)
        c.a = bits
        c.b = preset
        c.c = long_place

    def record(self, int index, serial, int left, int right):
        """Begin to fill a recording that record_open prepared; slots, -1 for silence."""
        cdef Command *c = self.entry(OP_RECORD, index, serial)
        c.a = left
        c.b = right

    def record_stop(self, int index, serial):
        """The last block is written before the event record_stopped."""
        self.entry(OP_RECORD_STOP, index, serial)

    def record_legs(self, int index, serial, int left, int right):
        """Other legs from the next tick on, with a mark."""
        cdef Command *c = self.entry(OP_RECORD_LEG, index, serial)
        c.a = left
        c.b = right

    def record_pause(self, int index, serial, int paused):
        """Silence in place of both legs, with a mark where it begins and ends."""
        self.entry(OP_RECORD_PAUSE, index, serial).a = paused

    def stream_memory(self, int fd):
        """The rings of all streams: a file of CAPACITY["streams"] pages of STREAM_LAYOUT, mapped for good.  Once, before the first stream."""
        cdef void *at
        if self.e.stream_page == NULL:
            at = mmap(NULL, sizeof(StreamPage) * STREAMS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
            if at == MAP_FAILED:
                raise OSError(errno, "media: no memory for streams")
            self.e.stream_page = <StreamPage *>at

    def stream(self, int index, serial, int left, int right):
        """Fill a stream's ring from now on; slots, -1 for silence; serial 0: no more."""
        cdef Command *c = self.entry(OP_STREAM, index, serial)
        c.a = left
        c.b = right

    def stream_clear(self, int index):
        """Empty the rings of a stream that neither the tick nor the other process uses."""
        memset(&self.e.stream_page[index], 0, 128)

    def stream_address(self, int index):
        """For an item of a Playlist."""
        return <uintptr_t>&self.e.stream_page[index]

    def stream_state(self, int index):
        """(octets out, lost, octets played, frames of silence for want of any)."""
        cdef StreamPage *p = &self.e.stream_page[index]
        return load64(&p.out_head), load64(&p.out_lost), load64(&p.in_tail), load64(&p.starved)

    def open_link(self, int index, serial, int row, int mtp2=0):
        """HDLC on a timeslot; the kernel's slot has been set to frames or signal units (Kernels.set_mtp2)."""
        cdef Command *c = self.entry(OP_LINK, index, serial)
        c.a = row
        c.b = mtp2

    def close_link(self, int index):
        """The timeslot goes idle."""
        self.entry(OP_LINK_CLOSE, index)

    def bert(self, int index, serial, int span, uint32_t mask, int kind, int octet):
        """Begin a bit error test of span index 0..63, timeslots by bits of mask; mask 0 ends it."""
        cdef Command *c = self.entry(OP_BERT, index, serial)
        c.number = mask
        c.a = span
        c.b = kind
        c.c = octet

    def bert_insert(self, int index, int errors):
        """Send wrong bits in a test."""
        self.entry(OP_BERT_INSERT, index).a = errors

    def bert_figures(self, int index, serial):
        """Counters of a test; zeros until the tick has begun it."""
        cdef Bert *t = &self.e.bert[index]
        if t.serial != serial:
            return {"synced": False, "bits": 0, "errors": 0, "inserted": 0, "losses": 0, "seconds": 0, "es": 0, "ses": 0,
                    "unsynced_seconds": 0, "elapsed_ms": 0}
        return {"synced": bool(t.synced), "bits": t.bits, "errors": t.errors, "inserted": t.inserted, "losses": t.losses,
                "seconds": t.seconds, "es": t.es, "ses": t.ses, "unsynced_seconds": t.unsynced_seconds,
                "elapsed_ms": t.ticks * 10}

    def spare(self, int least):
        """How far cancellers spare work in any case, 0 to 3: they follow a change of the echo more slowly."""
        self.e.spare_least = least

    def ticks(self):
        """How many there were."""
        return self.e.tick

    def set_window(self, BoardWindow window):
        """Follow another board window, or none (None); the old one may be unmapped when done()."""
        cdef BoardWindow target = NO_WINDOW if window is None else window
        self.windows = (target, self.windows[0])        # the tick may still be in the one before
        self.entry(OP_WINDOW, 0).pointer = &target.w

    def set_bearer(self, int span, address):
        """Who carries a span (index 0..63): address of a struct bearer, 0 for the board; it must live until another is done()."""
        self.entry(OP_BEARER, span).pointer = <void *><uintptr_t>address

    # What the tick says

    def events(self, int most=512):
        """Take events: [(name, slot, serial, a, number, other, tick_ms), ...]."""
        cdef list result = []
        cdef uint64_t tail = self.e.event_tail
        cdef uint64_t head = load64(&self.e.event_head)
        cdef Event *v
        while tail != head and len(result) < most:
            v = &self.e.event[tail & (EVENTS - 1)]
            result.append((EVENT_NAMES[v.kind], v.slot, v.serial, v.a, v.number, v.other, v.tick_ms))
            tail += 1
        store64(&self.e.event_tail, tail)
        return result

    def others(self):
        """Take what came on ports of browsers and of faxes and is no RTP: [(serial, (IPv4 address as int, port), octets), ...]."""
        cdef list result = []
        cdef uint64_t tail = self.e.other_tail
        cdef uint64_t head = load64(&self.e.other_head)
        cdef Other *o
        while tail != head:
            o = &self.e.other[tail & (OTHERS - 1)]
            result.append((o.serial, (o.host, o.port), (<char *>o.data)[:o.n]))
            tail += 1
        store64(&self.e.other_tail, tail)
        return result

    def position(self, int slot):
        """(serial of what plays on a slot or 0, samples played)."""
        return self.e.term[slot].player.serial, self.e.term[slot].player.played - self.e.term[slot].player.ahead

    def figures(self):
        """Counters of the tick since the start; histograms: counts in steps of 10 us; cpu_: processor time of the tick thread."""
        cdef Engine_ *e = self.e
        return {"ticks": e.tick, "ticks_with_board": e.ticks_board, "ticks_without_board": e.ticks_free,
                "late_ticks": e.late_ticks, "late_ticks_by_host": e.late_by_host, "blocks_lost": e.blocks_lost,
                "gathered_packets": e.gathered, "ringed_packets": e.ringed, "events_lost": e.events_lost, "frames_lost": e.frames_lost, "busy_ns": e.busy_ns,
                "voice_ns": e.voice_ns, "helped_units": e.helped, "helped_ns": e.helped_ns, "helped_cpu_ns": e.helped_cpu_ns, "sparing_ticks": e.spared,
                "longest_ns": e.longest_ns, "histogram": [e.histogram[i] for i in range(HISTOGRAM)],
                "cpu_ns": e.cpu_ns, "cpu_longest_ns": e.cpu_longest_ns, "cpu_histogram": [e.cpu_histogram[i] for i in range(HISTOGRAM)]}

    def clear_figures(self):
        """Start the histogram anew (benchmarks); the tick may lose a count meanwhile."""
        memset(self.e.histogram, 0, sizeof(self.e.histogram))
        memset(self.e.cpu_histogram, 0, sizeof(self.e.cpu_histogram))
        self.e.longest_ns = self.e.cpu_longest_ns = self.e.cpu_ns = 0
        self.e.busy_ns = 0
        self.e.voice_ns = 0

    # The disk thread

    def record_open(self, int index, int fd, int form=FORM_A, int channels=2, int bits=0, bytes header=b"", int fact_at=0):
        """Command thread: prepare a free recording before record(); fd -1: the file comes later.
        form, bits, header, fact_at: formats.Form."""
        cdef Recording *r = &self.e.recording[index]
        if r.coder == NULL:
            r.coder = <uint8_t *>aligned_alloc(64, CODER)
            if r.coder == NULL:
                raise MemoryError("media: no memory for one more recording")
        self.recordings += 1
        self.record_memory()
        memset(r.coder, 0, CODER)
        if form == FORM_G726:
            self.e.k.g726_reset(r.coder, 0)
        r.form = form
        r.channels = channels
        r.bits = bits
        r.header_size = <int>min(len(header), sizeof(r.header))
        r.fact_at = fact_at
        memcpy(r.header, <const char *>header, r.header_size)
        r.frames = r.octets = 0
        r.fd = fd
        r.error = 0
        r.overrun = 0
        store64(&r.head, 0)            # the tick leaves a free one alone
        store64(&r.tail, 0)

    def record_header(self, int index):
        """Write the header of an empty recording; raises OSError."""
        cdef Recording *r = &self.e.recording[index]
        cdef int error
        with nogil:
            error = write_header(r)
        if error:
            raise OSError(error, os.strerror(error))

    def record_file(self, int index, int fd):
        """The file of a recording that the tick writes already; -1: none yet."""
        self.e.recording[index].fd = fd

    def record_drain(self, indexes, int last=0):
        """Bring what the tick has written to files; last: they end, what does not fill a block too.  Returns [(index, errno)] of those that have failed now.  No GIL during the writing."""
        cdef int index, before, error
        cdef list failed = []
        for index in indexes:
            if self.e.recording[index].fd == -1:
                continue
            before = self.e.recording[index].error
            with nogil:
                error = record_drain(self.e, &self.e.recording[index], last)
            if error and not before:
                failed.append((index, error))
        return failed

    def record_fail(self, int index, int error):
        """From now on what the tick writes is thrown away."""
        self.e.recording[index].error = error
        self.e.recording[index].fd = -2

    def record_state(self, int index):
        """(octets of both legs: written by the tick, brought to disk, lost since the disk was too far behind; of the file: octets of audio, frames)."""
        cdef Recording *r = &self.e.recording[index]
        return load64(&r.head), load64(&r.tail), r.overrun, r.octets, r.frames

    def record_free(self, int index):
        """After its file is closed: the index may be used again, and its tapes."""
        cdef Recording *r = &self.e.recording[index]
        if r.first != NULL:
            tapes_give(&self.e.tapes, r.first, r.last)
        r.first = r.last = NULL
        r.serial = 0
        self.recordings -= 1

    def record_memory(self):
        """Command thread, in each of its turns: make what recordings may soon want.  Returns the octets that were ever made."""
        cdef void *reel
        while tapes_few(&self.e.tapes, self.recordings):
            reel = large_calloc(LARGE_PAGE)
            if reel == NULL:
                raise MemoryError("media: no memory for what recordings have not on disk yet")
            tapes_cut(&self.e.tapes, reel, LARGE_PAGE)
        return tapes_made(&self.e.tapes) * sizeof(tape)

    # The layer 2 thread

    def frames(self):
        """Take received HDLC frames: [(link index, serial, octets without FCS, repeats, errors), ...].

        repeats, errors: of signal units, see dsp/hdlc.py; octets may be b"" there."""
        cdef list result = []
        cdef uint64_t tail = self.e.frame_tail
        cdef uint64_t head = load64(&self.e.frame_head)
        cdef uint32_t *p
        cdef uint32_t at
        while tail != head:
            at = <uint32_t>(tail & (FRAME_RING - 1))
            p = <uint32_t *>(self.e.frame + at)
            if FRAME_RING - at < 20 or p[0] == 0:
                tail += FRAME_RING - at
                continue
            result.append((p[1], p[0], (<char *>(p + 5))[:p[2]], p[3], p[4]))
            tail += 20 + ((p[2] + 3) & ~3)
        store64(&self.e.frame_tail, tail)
        return result

    def put_frame(self, int index, bytes octets):
        """Queue a frame for sending; False when the queue is full."""
        return bool(self.e.k.hdlc_put(self.e.k.hdlc_tx_state, index, <const uint8_t *><char *>octets, len(octets)))

    def link_room(self, int index):
        """Octets that the send queue of a link takes still; each frame costs 4 besides its own."""
        return self.e.k.hdlc_room(self.e.k.hdlc_tx_state, index)


include "native/objects.pxi"
