# distutils: libraries = spandsp tiff
# cython: boundscheck=False
"""A facsimile terminal of group 3 on a leg's audio: ITU-T T.30 with V.21, V.27ter, V.29 and V.17, by spandsp (LGPL, a shared library).

    terminal = Terminal(calls=True, send=path)      calls: we are who called (CNG, the other machine says first what it can: T.30 3.1)
    terminal.receive(x)                             int16 (n_samples,), 8 kHz, what the line says
    terminal.transmit(n) -> int16 (n,)              what goes to the line in the same time, silence where there is nothing
    terminal.over, terminal.status                  whether the procedure has ended, and T30_ERR_ of spandsp's t30.h (0: all went well)
    terminal.figures()                              {"pages", "rate", "ecm", "station", "bad_rows", "resent"}
    terminal.close()                                files are closed; nothing but over and status may be asked of it afterwards

Not fit for several threads.  The files are TIFF, one picture a page, 1 bit, 1728 pels (T.4 2.1) or wider."""

import numpy

from libc.stdint cimport int16_t
from libc.string cimport memset


cdef extern from "spandsp.h" nogil:
    ctypedef struct fax_state_t:
        pass
    ctypedef struct t30_state_t:
        pass
    ctypedef struct t30_stats_t:
        int bit_rate
        int error_correcting_mode
        int pages_tx
        int pages_rx
        int bad_rows
        int error_correcting_mode_retries
    fax_state_t *fax_init(fax_state_t *s, int calling_party)
    int fax_free(fax_state_t *s)
    int fax_rx(fax_state_t *s, int16_t *amp, int n)
    int fax_tx(fax_state_t *s, int16_t *amp, int most)
    void fax_set_transmit_on_idle(fax_state_t *s, int on)
    t30_state_t *fax_get_t30_state(fax_state_t *s)
    int t30_set_tx_ident(t30_state_t *s, const char *text)
    int t30_set_tx_page_header_info(t30_state_t *s, const char *text)
    const char *t30_get_rx_ident(t30_state_t *s)
    void t30_set_tx_file(t30_state_t *s, const char *path, int start, int stop)
    void t30_set_rx_file(t30_state_t *s, const char *path, int stop)
    int t30_set_ecm_capability(t30_state_t *s, int enabled)
    int t30_set_supported_compressions(t30_state_t *s, int which)
    int t30_set_supported_resolutions(t30_state_t *s, int which)
    int t30_set_supported_image_sizes(t30_state_t *s, int which)
    int t30_set_supported_modems(t30_state_t *s, int which)
    void t30_set_phase_e_handler(t30_state_t *s, void (*handler)(t30_state_t *, void *, int), void *data)
    void t30_get_transfer_statistics(t30_state_t *s, t30_stats_t *stats)
    int T30_SUPPORT_V27TER, T30_SUPPORT_V29, T30_SUPPORT_V17
    int T30_SUPPORT_T4_1D_COMPRESSION, T30_SUPPORT_T4_2D_COMPRESSION, T30_SUPPORT_T6_COMPRESSION
    int T30_SUPPORT_STANDARD_RESOLUTION, T30_SUPPORT_FINE_RESOLUTION, T30_SUPPORT_SUPERFINE_RESOLUTION
    int T30_SUPPORT_R8_RESOLUTION, T30_SUPPORT_R16_RESOLUTION
    int T30_SUPPORT_215MM_WIDTH, T30_SUPPORT_255MM_WIDTH, T30_SUPPORT_303MM_WIDTH, T30_SUPPORT_UNLIMITED_LENGTH


cdef struct Ended:
    int over, status


cdef void _ended(t30_state_t *s, void *data, int status) noexcept nogil:
    (<Ended *>data).over = 1
    (<Ended *>data).status = status


cdef class Terminal:
    """See the module's docstring.  station: our number as the other machine shows it, at most 20 characters of T.30 5.3.6.2.4."""
    cdef fax_state_t *_fax
    cdef t30_state_t *_t30
    cdef Ended _told

    def __cinit__(self, bint calls, str send=None, str receive=None, str station="", str header="", bint ecm=True):
        self._told.over = self._told.status = 0
        self._fax = fax_init(NULL, calls)
        if self._fax == NULL:
            raise MemoryError
        self._t30 = fax_get_t30_state(self._fax)
        fax_set_transmit_on_idle(self._fax, 1)
        t30_set_phase_e_handler(self._t30, <void (*)(t30_state_t *, void *, int) noexcept nogil>_ended, &self._told)
        t30_set_supported_modems(self._t30, T30_SUPPORT_V27TER | T30_SUPPORT_V29 | T30_SUPPORT_V17)
        t30_set_supported_compressions(self._t30, T30_SUPPORT_T4_1D_COMPRESSION | T30_SUPPORT_T4_2D_COMPRESSION | T30_SUPPORT_T6_COMPRESSION)
        t30_set_supported_resolutions(self._t30, T30_SUPPORT_STANDARD_RESOLUTION | T30_SUPPORT_FINE_RESOLUTION | T30_SUPPORT_SUPERFINE_RESOLUTION
                                      | T30_SUPPORT_R8_RESOLUTION | T30_SUPPORT_R16_RESOLUTION)
        t30_set_supported_image_sizes(self._t30, T30_SUPPORT_215MM_WIDTH | T30_SUPPORT_255MM_WIDTH | T30_SUPPORT_303MM_WIDTH | T30_SUPPORT_UNLIMITED_LENGTH)
        t30_set_ecm_capability(self._t30, ecm)
        if station:
            t30_set_tx_ident(self._t30, station.encode("ascii", "replace")[:20])
        if header:
            t30_set_tx_page_header_info(self._t30, header.encode("ascii", "replace")[:50])
        if send is not None:
            t30_set_tx_file(self._t30, send.encode(), -1, -1)
        if receive is not None:
            t30_set_rx_file(self._t30, receive.encode(), -1)

    def __dealloc__(self):
        if self._fax != NULL:
            fax_free(self._fax)

    def close(self):
        """See the module's docstring; once more does nothing."""
        if self._fax != NULL:
            fax_free(self._fax)
            self._fax = NULL
            self._t30 = NULL

    def receive(self, int16_t[::1] x):
        """What the line says."""
        cdef int16_t *at
        cdef int n = <int>x.shape[0]
        if n:
            at = &x[0]
            with nogil:
                fax_rx(self._fax, at, n)

    def transmit(self, int n):
        """What goes to the line."""
        made = numpy.zeros(n, numpy.int16)
        cdef int16_t[::1] y = made
        cdef int16_t *at
        cdef int count = 0, more
        if n:
            at = &y[0]
            with nogil:
                while count < n:
                    more = fax_tx(self._fax, at + count, n - count)
                    if more <= 0:
                        break
                    count += more
                if count < n:
                    memset(at + count, 0, 2 * (n - count))
        return made

    @property
    def over(self):
        return bool(self._told.over)

    @property
    def status(self):
        return self._told.status

    def figures(self):
        """See the module's docstring; pages are those that the other side has confirmed, or sent."""
        cdef t30_stats_t stats
        memset(&stats, 0, sizeof(stats))
        t30_get_transfer_statistics(self._t30, &stats)
        cdef const char *name = t30_get_rx_ident(self._t30)
        station = (<bytes>name).decode("latin-1").strip() if name != NULL else ""
        return {"pages": max(stats.pages_tx, stats.pages_rx), "rate": stats.bit_rate, "ecm": bool(stats.error_correcting_mode), "station": station,
                "bad_rows": stats.bad_rows, "resent": stats.error_correcting_mode_retries}
