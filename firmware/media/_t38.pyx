# distutils: libraries = spandsp
# distutils: include_dirs = firmware/media/native
# distutils: depends = firmware/media/native/fax_line.h
"""T.38 gateway of one leg: sound of a fax machine on one side, IFP packets on the other.  ITU-T T.38, by spandsp (LGPL 2.1).

    gateway = Gateway(ecm=True, rate=14400, version=0)
    gateway.hear(samples)             # int16 (n,), 8 kHz: what the machine on the line says
    gateway.speak(samples)            # int16 (n,), filled with what it is to hear; silence where there is nothing
    gateway.packets()                 # [ifp octets] to send since the last time; one that is to be sent again stands there again
    gateway.receive(ifp, number)      # one packet of the far end, in order, its number in UDPTL; heeded at the next speak; False: no room
    gateway.statistics()              # {"bit_rate", "ecm", "pages"}
    gateway.line                      # address of the struct fax_line by which a tick hears and speaks (native/fax_line.h)

hear and speak belong to one thread, without the GIL and without Python calls, packets and receive to another: two rings lie between them.  spandsp
allocates when a gateway is made only.
Raises LocalError where spandsp gives none, or a rate is none of a fax machine's.
"""

from libc.stdint cimport int16_t, uint8_t, uint16_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from firmware.errors import LocalError

cdef extern from "spandsp.h" nogil:
    ctypedef struct t38_core_state_t:
        pass
    ctypedef struct t38_gateway_state_t:
        pass
    ctypedef struct t38_stats_t:
        int bit_rate
        int error_correcting_mode
        int pages_transferred
    ctypedef int (*t38_tx_packet_handler_t)(t38_core_state_t *s, void *user_data, const uint8_t *buf, int len, int count)
    t38_gateway_state_t *t38_gateway_init(t38_gateway_state_t *s, t38_tx_packet_handler_t handler, void *user_data)
    int t38_gateway_free(t38_gateway_state_t *s)
    int t38_gateway_rx(t38_gateway_state_t *s, int16_t *amp, int len)
    int t38_gateway_tx(t38_gateway_state_t *s, int16_t *amp, int max_len)
    void t38_gateway_set_ecm_capability(t38_gateway_state_t *s, int allowed)
    void t38_gateway_set_transmit_on_idle(t38_gateway_state_t *s, int transmit)
    void t38_gateway_set_supported_modems(t38_gateway_state_t *s, int modems)
    void t38_gateway_get_transfer_statistics(t38_gateway_state_t *s, t38_stats_t *t)
    t38_core_state_t *t38_gateway_get_t38_core_state(t38_gateway_state_t *s)
    int t38_core_rx_ifp_packet(t38_core_state_t *s, const uint8_t *buf, int len, uint16_t number)
    void t38_set_t38_version(t38_core_state_t *s, int version)
    void t38_set_max_datagram_size(t38_core_state_t *s, int octets)
    int T30_SUPPORT_V27TER
    int T30_SUPPORT_V29
    int T30_SUPPORT_V17

cdef extern from "fax_line.h" nogil:
    struct fax_line:
        void *state
        void (*speak)(void *, int16_t *, int) noexcept nogil
        int (*hear)(void *, const int16_t *, int) noexcept nogil

cdef extern from *:
    """
    #define LOAD_INT(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define STORE_INT(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    """
    int load_int "LOAD_INT"(int *) noexcept nogil
    void store_int "STORE_INT"(int *, int) noexcept nogil

cdef enum:
    PACKETS = 64            # that wait to be fetched: each tick makes a few at most
    OCTETS = 400            # of one IFP packet

RATES = {4800: 1, 9600: 3, 14400: 7}        # bit/s -> how many of V.27ter, V.29, V.17 it takes, as bits


cdef struct Ring:           # one thread writes, another reads
    uint8_t octets[PACKETS][OCTETS]
    int length[PACKETS]
    int number[PACKETS]
    int head                # next to be written
    int tail                # next to be read
    int dropped

cdef struct Both:
    t38_gateway_state_t *state
    Ring out                # to the far end
    Ring come               # from it


cdef int ring_put(Ring *r, const uint8_t *octets, int count, int number) noexcept nogil:
    cdef int place = r.head
    if count > OCTETS or (place + 1) % PACKETS == load_int(&r.tail):
        r.dropped += 1
        return 0
    memcpy(&r.octets[place][0], octets, count)
    r.length[place] = count
    r.number[place] = number
    store_int(&r.head, (place + 1) % PACKETS)
    return 1


cdef int _put(t38_core_state_t *core, void *user_data, const uint8_t *buf, int count, int times) noexcept nogil:
    while times > 0:
        times -= 1
        ring_put(&(<Both *>user_data).out, buf, count, 0)
    return 0


cdef void _speak(void *state, int16_t *samples, int count) noexcept nogil:
    cdef Both *both = <Both *>state
    cdef Ring *r = &both.come
    cdef int made
    while r.tail != load_int(&r.head):
        t38_core_rx_ifp_packet(t38_gateway_get_t38_core_state(both.state), &r.octets[r.tail][0], r.length[r.tail], <uint16_t>r.number[r.tail])
        store_int(&r.tail, (r.tail + 1) % PACKETS)
    made = t38_gateway_tx(both.state, samples, count)
    if made < count:
        memset(&samples[made], 0, (count - made) * sizeof(int16_t))


cdef int _hear(void *state, const int16_t *samples, int count) noexcept nogil:
    cdef Both *both = <Both *>state
    t38_gateway_rx(both.state, <int16_t *>samples, count)       # it takes the direct current out in place
    return both.out.head != load_int(&both.out.tail)


cdef class Gateway:
    """See the module's docstring."""

    cdef t38_gateway_state_t *_state
    cdef Both *_both
    cdef fax_line _line

    def __cinit__(self, bint ecm=True, int rate=14400, int version=0, int most_octets=400):
        cdef int modems = 0
        if rate not in RATES:
            raise LocalError("T.38: %d bit/s is no rate of a fax machine; use one of %s" % (rate, ", ".join(map(str, RATES))))
        self._both = <Both *>calloc(1, sizeof(Both))
        self._state = t38_gateway_init(NULL, _put, self._both) if self._both != NULL else NULL
        if self._state == NULL:
            raise LocalError("T.38: spandsp gives no gateway; memory is short")
        self._both.state = self._state
        self._line.state, self._line.speak, self._line.hear = self._both, _speak, _hear
        modems = T30_SUPPORT_V27TER
        if RATES[rate] & 2:
            modems |= T30_SUPPORT_V29
        if RATES[rate] & 4:
            modems |= T30_SUPPORT_V17
        t38_gateway_set_supported_modems(self._state, modems)
        t38_gateway_set_ecm_capability(self._state, ecm)
        t38_gateway_set_transmit_on_idle(self._state, 1)
        t38_set_t38_version(t38_gateway_get_t38_core_state(self._state), version)
        t38_set_max_datagram_size(t38_gateway_get_t38_core_state(self._state), most_octets)

    def __dealloc__(self):
        if self._state != NULL:
            t38_gateway_free(self._state)
        free(self._both)

    @property
    def line(self):
        """For Engine.set_fax; this object must outlive it there."""
        return <uintptr_t>&self._line

    def hear(self, int16_t[::1] samples not None):
        """What the machine on the line says; samples: int16 (n,); their mean is taken out in place."""
        cdef int count = <int>samples.shape[0]
        if count:
            with nogil:
                _hear(self._both, &samples[0], count)

    def speak(self, int16_t[::1] samples not None):
        """Fill samples, int16 (n,), with what the machine on the line is to hear."""
        cdef int count = <int>samples.shape[0]
        if count:
            with nogil:
                _speak(self._both, &samples[0], count)

    def packets(self):
        """IFP packets to send, octets each, in order."""
        cdef Ring *r = &self._both.out
        found = []
        while r.tail != load_int(&r.head):
            found.append((<char *>&r.octets[r.tail][0])[:r.length[r.tail]])
            store_int(&r.tail, (r.tail + 1) % PACKETS)
        return found

    def receive(self, bytes ifp not None, int number):
        """One packet of the far end.  Whether there was room for it."""
        return bool(ring_put(&self._both.come, <const uint8_t *><char *>ifp, <int>len(ifp), number & 0xFFFF))

    def statistics(self):
        """{"bit_rate": of the image now, "ecm": error correction is used, "pages", "dropped": packets that nobody fetched in time}."""
        cdef t38_stats_t told
        t38_gateway_get_transfer_statistics(self._state, &told)
        return {"bit_rate": told.bit_rate, "ecm": bool(told.error_correcting_mode), "pages": told.pages_transferred, "dropped": self._both.out.dropped + self._both.come.dropped}
