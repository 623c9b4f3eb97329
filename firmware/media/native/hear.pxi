# What a leg says beside digits: tones of fax machines and modems (dsp/modem.py), tones of the
# call's progress (dsp/progress.py), caller identification (dsp/fsk.py) and who
# answered, a person or a machine (dsp/amd.py).  Included by _engine.pyx.
#
# Tones and octets are looked for in what came, before the enhancement, which would take a steady
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


cdef void progress_plan(Engine_ *e, const void *table, uint32_t serial) noexcept nogil:
    """Another country's tones: all detectors begin anew."""
    cdef int i
    e.progress_table = table
    e.progress_plan = serial
    for i in range(TERMS):
        if e.term[i].kind != FREE and e.term[i].progress:
            e.k.progress_reset(e.k.progress_state, i)


cdef void hear_progress(Engine_ *e, int u) noexcept nogil:
    cdef Plan *p = &e.plan
    cdef ProgressEvent found[2 * UNIT]
    cdef int first = p.progress_from[u]
    cdef int64_t i, n = p.progress_from[u + 1] - first
    if n and e.progress_table != NULL:
        n = e.k.progress_detect(e.progress_table, e.k.progress_state, p.progress + first, p.progress + first, n, e.linear_in, BLOCK,
                                found, 2 * UNIT)
        for i in range(n):
            add_event(e, EV_PROGRESS, found[i].slot, e.term[found[i].slot].serial, found[i].tone, found[i].on, e.progress_plan)


cdef void hear_octets(Engine_ *e, int u) noexcept nogil:
    cdef Plan *p = &e.plan
    cdef FSKEvent found[FSK_EVENTS * UNIT]
    cdef int k, first
    cdef int64_t i, n
    for k in range(FSK_KINDS):
        first = p.fsk_from[k][u]
        n = p.fsk_from[k][u + 1] - first
        if n:
            n = e.k.fsk_detect(e.fsk_table[k], e.k.fsk_state, &p.fsk[k][first], &p.fsk[k][first], n, e.linear_in, BLOCK,
                               found, FSK_EVENTS * UNIT)
            for i in range(n):
                add_event(e, EV_FSK, found[i].slot, e.term[found[i].slot].serial, found[i].kind, found[i].octet, found[i].gap)


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
