# Enhancement of what a leg says: echo canceller, noise reduction, speech
# detection, level control, each switched per leg.  Included by _engine.pyx.
#
# All work in place on linear_in; what they leave is made octets again in
# octets_in, so bridges, recordings and conversions need not know of them, and a
# leg with none of them keeps its octets bit by bit.  States are arrays by slot,
# made at start; a function that is switched on begins with a clean one.
#
# A canceller reaches 64 ms, or 128 ms where its leg has a place among the few that are kept for such (LONGS): their states
# lie elsewhere, in groups that belong to one unit each, so that no two threads work on one.
#
# Far-end reference.  What is written in tick n the board takes at its next
# instant and puts on the line until the one after; what comes back at once is
# received in tick n + 2.  far[] therefore holds the output of two ticks ago; where
# the board did not get it in time, idle code went out, and far[] is silent.

cdef enum:
    SPARE_STEP_NS = 700000             # ours: above 5.6, 6.3 and 7.0 ms of the tick thread's time
    SPARE_FROM = 7
    SPARE_TICKS = 100
    SPARE_AFTER = 4


cdef void enhance_switch(Engine_ *e, int slot, int wanted, int preset, int long_place) noexcept nogil:
    """wanted: bits of Enhancement; preset of the level control; long_place: 1 + place of a canceller with a long tail, or 0."""
    cdef Term *t = &e.term[slot]
    cdef int new = wanted & ~t.enhance
    cdef float *q = e.level_preset[preset]
    cdef int i
    if wanted & ECHO and long_place != t.long_place:
        new |= ECHO                    # another tail: it begins anew
    if new & ECHO:
        if long_place:
            e.k.echo_reset(e.k.long_state, long_place - 1, LONG_PARTITIONS)
        else:
            e.k.echo_reset(e.k.echo_state, slot, PARTITIONS)
        for i in range(LOOP_BLOCKS):
            memset(&e.far[i][slot * BLOCK], 0, 2 * BLOCK)
    if new & (ECHO | NOISE):
        e.hold[slot] = FLOOR_BLOCKS if wanted & ECHO else 0
    if new & NOISE:
        e.k.noise_reset(e.k.noise_state, slot)
    if wanted & (LEVEL | VAD) and not (t.enhance & (LEVEL | VAD) or t.answer):
        e.k.vad_reset(e.k.vad_state, slot)
        e.speech[slot] = 0
    if new & VAD:
        e.said[slot] = 0
    if wanted & LEVEL and (new & LEVEL or preset != t.level):
        e.k.level_configure(e.k.level_state, slot, q[0], q[1], q[2], q[3], q[4])
    if wanted and not t.enhance:
        memset(&e.disabler[slot], 0, sizeof(Disabler))
    t.enhance = wanted
    t.level = preset
    t.long_place = long_place


cdef void plan_long(Engine_ *e, int slot) noexcept nogil:
    """The place of a canceller with a long tail: after those of its unit with a lower one, since kernels want ascending slots."""
    cdef Plan *p = &e.plan
    cdef Term *t = &e.term[slot]
    cdef int i = p.n_long
    while i and p.long_slot[i - 1] // UNIT == slot // UNIT and p.long_place[i - 1] > t.long_place - 1:
        p.long_slot[i] = p.long_slot[i - 1]
        p.long_place[i] = p.long_place[i - 1]
        p.long_out_row[i] = p.long_out_row[i - 1]
        p.long_law[i] = p.long_law[i - 1]
        i -= 1
    p.long_slot[i] = slot
    p.long_place[i] = t.long_place - 1
    p.long_out_row[i] = t.out_row
    p.long_law[i] = t.law
    p.n_long += 1


cdef void enhance_plan(Engine_ *e, int slot) noexcept nogil:
    """The place of a leg in the index arrays."""
    cdef Plan *p = &e.plan
    cdef Term *t = &e.term[slot]
    if t.enhance & ECHO and t.long_place:
        plan_long(e, slot)
    elif t.enhance & ECHO:
        p.echo[p.n_echo] = slot
        p.echo_out_row[p.n_echo] = t.out_row
        p.echo_law[p.n_echo] = t.law
        p.n_echo += 1
    if t.enhance & NOISE:
        p.noise[p.n_noise] = slot
        p.n_noise += 1
    if t.enhance & (LEVEL | VAD) or t.answer:
        p.vad[p.n_vad] = slot
        p.n_vad += 1
    if t.enhance & LEVEL:
        p.level[p.n_level] = slot
        p.n_level += 1
    if t.enhance & (ECHO | NOISE | LEVEL):
        p.back_slot[p.n_back] = slot
        p.back_row[p.n_back] = t.in_row
        p.back_law[p.n_back] = t.law
        p.n_back += 1


cdef void follow_pressure(Engine_ *e, uint64_t spent_ns) noexcept nogil:
    """A tick that comes near its end lets the cancellers learn more rarely: some calls' echo is learnt more slowly, none is late.

    Learning is two thirds of a canceller, and channels that have all begun together all learn at once.  It is asked
    for when SPARE_AFTER ticks in a row were long, so that no stall of the host does it, and given back step by step."""
    cdef int wanted = <int>(spent_ns // SPARE_STEP_NS) - SPARE_FROM
    if wanted > 3:
        wanted = 3
    e.pressed = e.pressed + 1 if wanted > e.spare else 0
    if e.pressed >= SPARE_AFTER:
        e.spare = wanted
        e.spare_ticks = SPARE_TICKS
        e.pressed = 0
    elif e.spare:
        e.spare_ticks -= 1
        if not e.spare_ticks:
            e.spare -= 1
            e.spare_ticks = SPARE_TICKS
    e.spared += e.spare != 0


cdef int without_tone(Engine_ *e, const int32_t *slots, int n, int32_t *now) noexcept nogil:
    """Of these slots those without 2100 Hz, in now."""
    cdef int i, count = 0
    for i in range(n):
        if e.disabler[slots[i]].state == 0:
            now[count] = slots[i]
            count += 1
    return count


cdef void flags_of(Engine_ *e, const int32_t *slots, int n, uint8_t *flags) noexcept nogil:
    """What the cancellers of these slots are told in this tick."""
    cdef int spare = (e.spare if e.spare > e.spare_least else e.spare_least) * 16      # dsp/echo.py SPARE
    cdef int i, state
    for i in range(n):
        state = e.disabler[slots[i]].state
        flags[i] = spare | (0 if state == 0 else (2 if state == 1 else 1))     # dsp/echo.py NLP_OFF, CLOSED


cdef void enhance_unit(Engine_ *e, int u) noexcept nogil:
    """The enhanced legs of a unit, after the expansion of this tick's octets."""
    cdef Plan *p = &e.plan
    cdef int16_t *far = e.far[e.tick % LOOP_BLOCKS]
    cdef int32_t *now = e.now + u * UNIT
    cdef int i, n, slot, state, before
    cdef int first = p.echo_from[u]
    cdef Term *t
    for i in range(p.back_from[u], p.back_from[u + 1]):
        slot = p.back_slot[i]
        t = &e.term[slot]
        before = e.disabler[slot].state
        state = disabler_block(&e.disabler[slot], e.linear_in + slot * BLOCK,
                               far + slot * BLOCK if t.enhance & ECHO else NULL)
        if state != before:
            add_event(e, EV_TONE_2100, slot, t.serial, state, 0, 0)
    n = p.echo_from[u + 1] - first
    if n:
        flags_of(e, p.echo + first, n, e.echo_flags + first)
        e.k.echo_cancel(e.k.echo_state, p.echo + first, p.echo + first, p.echo + first, e.echo_flags + first, n, far, BLOCK,
                        e.linear_in, BLOCK, PARTITIONS)
    first = p.long_from[u]
    n = p.long_from[u + 1] - first
    if n:
        flags_of(e, p.long_slot + first, n, e.long_flags + first)
        e.k.echo_cancel(e.k.long_state, p.long_place + first, p.long_slot + first, p.long_slot + first, e.long_flags + first, n, far, BLOCK,
                        e.linear_in, BLOCK, LONG_PARTITIONS)
    n = 0
    for i in range(p.noise_from[u], p.noise_from[u + 1]):
        slot = p.noise[i]
        if e.hold[slot]:
            e.hold[slot] -= 1
        elif e.disabler[slot].state == 0:
            now[n] = slot
            n += 1
    if n:
        e.k.noise_reduce(e.k.noise_state, now, now, n, e.linear_in, BLOCK)
    n = without_tone(e, p.vad + p.vad_from[u], p.vad_from[u + 1] - p.vad_from[u], now)
    if n:
        e.k.vad_detect(e.k.vad_state, now, now, n, e.linear_in, BLOCK, e.speech, NULL)
        for i in range(n):
            slot = now[i]
            t = &e.term[slot]
            if t.enhance & VAD and (e.speech[slot] != 0) != e.said[slot]:
                e.said[slot] = e.speech[slot] != 0
                add_event(e, EV_VOICE, slot, t.serial, e.said[slot], 0, 0)
    n = without_tone(e, p.level + p.level_from[u], p.level_from[u + 1] - p.level_from[u], now)
    if n:
        e.k.level_control(e.k.level_state, now, now, n, e.linear_in, BLOCK, e.speech)
    first = p.back_from[u]
    n = p.back_from[u + 1] - first
    if n:
        e.k.compress_rows(e.linear_in, BLOCK, p.back_slot + first, e.octets_in, BLOCK, p.back_row + first,
                          p.back_law + first, n, BLOCK)


cdef void forget_unsent(Engine_ *e, const int32_t *slots, int n, int16_t *far) noexcept nogil:
    cdef int i
    if e.sent:
        return
    for i in range(n):
        if e.term[slots[i]].kind == TIMESLOT:
            memset(far + slots[i] * BLOCK, 0, 2 * BLOCK)


cdef void remember_sent(Engine_ *e, int u) noexcept nogil:
    """Keep what this tick has sent to legs of a unit with a canceller; silence where the board has it not in time."""
    cdef Plan *p = &e.plan
    cdef int16_t *far = e.far[e.tick % LOOP_BLOCKS]
    cdef int first = p.echo_from[u], n = p.echo_from[u + 1] - p.echo_from[u]
    if n:
        e.k.expand_rows(e.octets_out, BLOCK, p.echo_out_row + first, far, BLOCK, p.echo + first, p.echo_law + first, n, BLOCK)
        forget_unsent(e, p.echo + first, n, far)
    first = p.long_from[u]
    n = p.long_from[u + 1] - first
    if n:
        e.k.expand_rows(e.octets_out, BLOCK, p.long_out_row + first, far, BLOCK, p.long_slot + first, p.long_law + first, n, BLOCK)
        forget_unsent(e, p.long_slot + first, n, far)
