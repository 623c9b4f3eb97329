# What a leg says beside digits: tones of fax machines and modems (dsp/modem.py) and who
# answered, a person or a machine (dsp/amd.py).  Included by _engine.pyx.
#
# Modem tones are looked for in what came, before the enhancement, which would take a steady
# tone for noise; the answer in what is left, with the decision of the speech detector.

cdef void hear_switch(Engine_ *e, int slot, int modem, int answer, const uint16_t *blocks) noexcept nogil:
    """blocks: the parameters of dsp/amd.py, times in blocks; an answer that is being waited for goes on."""
    cdef Term *t = &e.term[slot]
    cdef int32_t parameters[7]
    cdef int i
    if modem and not t.modem:
        e.k.modem_reset(e.k.modem_state, slot)
    if answer and not t.answer:
        for i in range(7):
            parameters[i] = blocks[i]
        e.k.amd_start(e.k.amd_state, slot, parameters)
        if not t.enhance & (LEVEL | VAD):
            e.k.vad_reset(e.k.vad_state, slot)
            e.speech[slot] = 0
    t.modem = modem
    t.answer = answer


cdef void hear_modems(Engine_ *e, int u) noexcept nogil:
    cdef Plan *p = &e.plan
    cdef int first = p.modem_from[u]
    cdef int64_t i, n = p.modem_from[u + 1] - first
    cdef ModemEvent *v
    if n:
        n = e.k.modem_detect(e.k.modem_state, p.modem + first, p.modem + first, n, e.linear_in, BLOCK, NULL,
                             e.modem_event + 4 * UNIT * u, 4 * UNIT)
        for i in range(n):
            v = &e.modem_event[4 * UNIT * u + i]
            add_event(e, EV_MODEM, v.slot, e.term[v.slot].serial, v.tone, v.on, 0)


cdef void hear_answers(Engine_ *e, int u) noexcept nogil:
    cdef Plan *p = &e.plan
    cdef int first = p.amd_from[u]
    cdef int64_t i, n = p.amd_from[u + 1] - first
    cdef AMDEvent *v
    if n:
        n = e.k.amd_detect(e.k.amd_state, p.amd + first, p.amd + first, n, e.linear_in, BLOCK, e.speech,
                           e.amd_event + 2 * UNIT * u, 2 * UNIT)
        for i in range(n):
            v = &e.amd_event[2 * UNIT * u + i]
            add_event(e, EV_ANSWER, v.slot, e.term[v.slot].serial, v.kind, v.hz_or_ms, v.words)
