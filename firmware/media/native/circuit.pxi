# Circuits with channel-associated signalling: their ABCD bits in the board window, and the
# tones between registers (R2, R1, keypad).  Included by _engine.pyx.
#
# Bits are read once a block of the board, so their recognition is counted in the board's
# time and not in that of a process that the host may stop: a pattern that was read `hold` times
# more after the first time is told, once.  With hold 2 it stood for 20 to 30 ms (Q.422: 20 +/- 7 ms),
# with 1 for 10 to 20 ms (dial pulses).  What is sent is written anew in each block, so a board
# that began anew, or a media process that took over its window, sends what control wants and
# never what stood there before.

cdef void cas_switch(Engine_ *e, int row, int on, int bits, int hold) noexcept nogil:
    """Begin or end to follow a circuit; the first pattern that stands is told."""
    cdef CasCircuit *c = &e.cas[row]
    cdef int i
    c.sent = bits
    if on and not c.on:
        c.on = 1
        c.told = c.seen = 0xFF
        c.run = 0
        e.cas_row[e.n_cas] = row
        e.n_cas += 1
    elif not on and c.on:
        c.on = 0
        for i in range(e.n_cas):
            if e.cas_row[i] == row:
                e.n_cas -= 1
                e.cas_row[i] = e.cas_row[e.n_cas]
                break
        if e.bearer[row // 32] != NULL:
            e.bearer_abcd_out[row] = <uint8_t>bits
        elif e.w.base != NULL and row < <int>e.w.spans * 32:
            e.w.cas_tx[row] = <uint8_t>bits
    c.hold = hold


cdef void cas_tick(Engine_ *e, int board) noexcept nogil:
    """One block: bits out, bits in.  board: whether it is there."""
    cdef CasCircuit *c
    cdef int i, row
    cdef uint8_t bits
    for i in range(e.n_cas):
        row = e.cas_row[i]
        c = &e.cas[row]
        if e.bearer[row // 32] != NULL:
            e.bearer_abcd_out[row] = c.sent
            bits = e.bearer_abcd_in[row] & 15
        elif board and row < <int>e.w.spans * 32:
            e.w.cas_tx[row] = c.sent
            bits = e.w.cas_rx[row] & 15
        else:
            continue
        if bits != c.seen:
            c.seen = bits
            c.run = 0
        elif c.run < c.hold:
            c.run += 1
        if c.seen != c.told and c.run >= c.hold:
            c.told = c.seen
            add_event(e, EV_CAS, row, 0, c.told, 0, 0)


cdef void mf_detect_tick(Engine_ *e) noexcept nogil:
    """All MF receivers, after the expansion of this tick's octets."""
    cdef Plan *p = &e.plan
    cdef int64_t i, n
    cdef int k
    cdef MFEvent *v
    for k in range(MF_KINDS):
        if not p.n_mf[k]:
            continue
        n = e.k.mf_detect(e.mf_table[k], e.k.mf_state, &p.mf[k][0], &p.mf[k][0], p.n_mf[k], e.linear_in, BLOCK, e.mf_event, 2 * TERMS)
        for i in range(n):
            v = &e.mf_event[i]
            add_event(e, EV_MF, v.slot, e.term[v.slot].serial, v.signal if v.on else 0, k, <uint64_t><int64_t>v.at)


cdef void mf_sound(Engine_ *e, int slot, int tone, int lasting) noexcept nogil:
    """Begin a tone of the register table in this block, or (-1) end the one that sounds.  lasting: a tone that ends by command only."""
    cdef Term *t = &e.term[slot]
    cdef int i
    if tone < 0:
        if t.sounding == SOUNDING:
            t.sounding = FADING
        return
    if lasting and t.sounding == SOUNDING and t.register_tone == tone:
        return          # ordered again, as by a control process that took over: a new phase would be a gap to the far register, and the digit would count twice
    t.register_tone = tone
    e.k.tone_start(e.k.tone_state, TERMS + slot, tone, 0)      # timeslots have no telephone-events, whose state it is
    t.sounding = SOUNDING
    for i in range(e.n_sounding):
        if e.sounding[i] == slot:
            return
    e.sounding[e.n_sounding] = slot
    e.n_sounding += 1


cdef void mf_sound_tick(Engine_ *e) noexcept nogil:
    """Tones between registers go instead of whatever else a leg would hear."""
    cdef int i = 0, j
    cdef int32_t slot32, zero = 0, produced
    cdef int16_t x[BLOCK]
    cdef Term *t
    while i < e.n_sounding:
        t = &e.term[e.sounding[i]]
        if t.kind != TIMESLOT or not t.sounding:
            e.n_sounding -= 1
            e.sounding[i] = e.sounding[e.n_sounding]
            continue
        memset(x, 0, sizeof(x))
        slot32 = TERMS + e.sounding[i]
        produced = 0
        e.k.tone_generate(e.mf_tones, e.k.tone_state, &slot32, &zero, 1, x, BLOCK, BLOCK if t.sounding == SOUNDING else FADE, &produced)
        if t.sounding == FADING:
            for j in range(FADE):              # no click that a receiver could take for energy of another frequency
                x[j] = <int16_t>(x[j] * (FADE - j) // (FADE + 1))
        e.k.compress(t.law, x, e.octets_out + t.out_row * BLOCK, BLOCK)
        if t.sounding == FADING or produced < BLOCK:
            t.sounding = 0
        i += 1
