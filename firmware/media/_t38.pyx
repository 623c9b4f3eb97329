# distutils: libraries = spandsp
"""T.38 gateway of one leg: sound of a fax machine on one side, IFP packets on the other.  ITU-T T.38, by spandsp (LGPL 2.1).

    gateway = Gateway(ecm=True, rate=14400, version=0)
    gateway.hear(samples)             # int16 (n,), 8 kHz: what the machine on the line says
    gateway.speak(samples)            # int16 (n,), filled with what it is to hear; silence where there is nothing
    gateway.packets()                 # [ifp octets] to send since the last time; one that is to be sent again stands there again
    gateway.receive(ifp, number)      # one packet of the far end, in order, its number in UDPTL; False: no IFP packet
    gateway.statistics()              # {"bit_rate", "ecm", "pages"}

hear and speak run without the GIL and without Python calls, so that a tick may call them.  spandsp allocates when a gateway is made only.
Raises LocalError where spandsp gives none, or a rate is none of a fax machine's.
"""

from libc.stdint cimport int16_t, uint8_t, uint16_t
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

cdef enum:
    PACKETS = 64            # that wait to be fetched: each tick makes a few at most
    OCTETS = 400            # of one IFP packet

RATES = {4800: 1, 9600: 3, 14400: 7}        # bit/s -> how many of V.27ter, V.29, V.17 it takes, as bits


cdef struct Out:
    uint8_t octets[PACKETS][OCTETS]
    int length[PACKETS]
    int head                # next to be written
    int tail                # next to be fetched
    int dropped


cdef int _put(t38_core_state_t *core, void *user_data, const uint8_t *buf, int count, int times) noexcept nogil:
    cdef Out *out = <Out *>user_data
    cdef int place
    while times > 0:
        times -= 1
        if count > OCTETS or (out.head + 1) % PACKETS == out.tail:
            out.dropped += 1
            continue
        place = out.head
        memcpy(&out.octets[place][0], buf, count)
        out.length[place] = count
        out.head = (place + 1) % PACKETS
    return 0


cdef class Gateway:
    """See the module's docstring.  One object belongs to one thread at a time."""

    cdef t38_gateway_state_t *_state
    cdef Out _out

    def __cinit__(self, bint ecm=True, int rate=14400, int version=0, int most_octets=400):
        cdef int modems = 0
        if rate not in RATES:
            raise LocalError("T.38: %d bit/s is no rate of a fax machine; use one of %s" % (rate, ", ".join(map(str, RATES))))
        memset(&self._out, 0, sizeof(Out))
        self._state = t38_gateway_init(NULL, _put, &self._out)
        if self._state == NULL:
            raise LocalError("T.38: spandsp gives no gateway; memory is short")
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

    def hear(self, int16_t[::1] samples not None):
        """What the machine on the line says; samples: int16 (n,), left as they are."""
        cdef int count = <int>samples.shape[0]
        if count:
            with nogil:
                t38_gateway_rx(self._state, &samples[0], count)

    def speak(self, int16_t[::1] samples not None):
        """Fill samples, int16 (n,), with what the machine on the line is to hear."""
        cdef int count = <int>samples.shape[0], made
        if count:
            with nogil:
                made = t38_gateway_tx(self._state, &samples[0], count)
                if made < count:
                    memset(&samples[made], 0, (count - made) * sizeof(int16_t))

    def packets(self):
        """IFP packets to send, octets each, in order."""
        found = []
        while self._out.tail != self._out.head:
            found.append((<char *>&self._out.octets[self._out.tail][0])[:self._out.length[self._out.tail]])
            self._out.tail = (self._out.tail + 1) % PACKETS
        return found

    def receive(self, bytes ifp not None, int number):
        """One packet of the far end.  Whether it was one."""
        return t38_core_rx_ifp_packet(t38_gateway_get_t38_core_state(self._state), <const uint8_t *><char *>ifp, <int>len(ifp), <uint16_t>(number & 0xFFFF)) == 0

    def statistics(self):
        """{"bit_rate": of the image now, "ecm": error correction is used, "pages", "dropped": packets that nobody fetched in time}."""
        cdef t38_stats_t told
        t38_gateway_get_transfer_statistics(self._state, &told)
        return {"bit_rate": told.bit_rate, "ecm": bool(told.error_correcting_mode), "pages": told.pages_transferred, "dropped": self._out.dropped}
