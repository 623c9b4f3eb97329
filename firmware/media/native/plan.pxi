# The plan: what every termination hears, as index arrays for the kernels.
# Included by _engine.pyx.  Made anew in the tick that applied a change.
#
# One source of the same law is copied octet by octet (bit exact); one source of
# the other law goes through the conversion tables of G.711; only true mixes and
# detectors are expanded to linear samples.

cdef enum:
    VOICE_SAMPLED = 8                  # ours


cdef void plan_single(Engine_ *e, int to, int source) noexcept nogil:
    cdef Plan *p = &e.plan
    cdef Term *t = &e.term[to]
    cdef Term *s = &e.term[source]
    p.heard[to] = 1
    if t.law == s.law:
        p.copy_from[p.n_copy] = s.in_row
        p.copy_to[p.n_copy] = t.out_row
        p.n_copy += 1
    else:
        p.convert_from[p.n_convert] = s.in_row
        p.convert_to[p.n_convert] = t.out_row
        p.convert_law[p.n_convert] = s.law
        p.n_convert += 1


cdef void plan_linear_out(Engine_ *e, int slot) noexcept nogil:
    cdef Plan *p = &e.plan
    p.heard[slot] = 1
    p.compress_slot[p.n_compress] = slot
    p.compress_row[p.n_compress] = e.term[slot].out_row
    p.compress_law[p.n_compress] = e.term[slot].law
    p.n_compress += 1


cdef void plan_bridge(Engine_ *e, Bridge *b, uint8_t *linear) noexcept nogil:
    cdef Plan *p = &e.plan
    cdef int i, j, n, start, only
    if b.conference and b.n > 1:
        p.conference[p.n_conferences] = <int32_t>(b - e.bridge)
        p.n_conferences += 1
        for i in range(b.n):
            linear[b.member[i]] = 1
            plan_linear_out(e, b.member[i])
        return
    if b.n > 2 and not b.special:
        start = p.bridge_start[p.n_bridges]
        for i in range(b.n):
            p.bridge_member[start + i] = b.member[i]
            linear[b.member[i]] = 1
            plan_linear_out(e, b.member[i])
        p.n_bridges += 1
        p.bridge_start[p.n_bridges] = start + b.n
        return
    for i in range(b.n):
        n = 0
        only = -1
        for j in range(b.n):
            if hears(b, i, j):
                n += 1
                only = b.member[j]
        if n == 1:
            plan_single(e, b.member[i], only)
        elif n > 1:
            start = p.route_start[p.n_routes]
            for j in range(b.n):
                if hears(b, i, j):
                    p.route_source[start] = b.member[j]
                    linear[b.member[j]] = 1
                    start += 1
            p.route_out[p.n_routes] = b.member[i]
            p.n_routes += 1
            p.route_start[p.n_routes] = start
            plan_linear_out(e, b.member[i])


cdef void unit_starts(const int32_t *slots, int n, int32_t *starts) noexcept nogil:
    """Where each unit begins in an ascending list of slots."""
    cdef int u, i = 0
    for u in range(UNITS + 1):
        while i < n and slots[i] < u * UNIT:
            i += 1
        starts[u] = i


cdef void plan_units(Plan *p) noexcept nogil:
    """Cut all lists into units."""
    cdef int u
    unit_starts(p.rtp, p.n_rtp, p.rtp_from)
    unit_starts(p.expand_slot, p.n_expand, p.expand_from)
    unit_starts(p.detect, p.n_detect, p.detect_from)
    unit_starts(p.modem, p.n_modem, p.modem_from)
    unit_starts(p.amd, p.n_amd, p.amd_from)
    unit_starts(p.progress, p.n_progress, p.progress_from)
    for u in range(FSK_KINDS):
        unit_starts(&p.fsk[u][0], p.n_fsk[u], &p.fsk_from[u][0])
    unit_starts(p.coded, p.n_coded, p.coded_from)
    unit_starts(p.echo, p.n_echo, p.echo_from)
    unit_starts(p.long_slot, p.n_long, p.long_from)
    unit_starts(p.noise, p.n_noise, p.noise_from)
    unit_starts(p.level, p.n_level, p.level_from)
    unit_starts(p.vad, p.n_vad, p.vad_from)
    unit_starts(p.back_slot, p.n_back, p.back_from)
    p.n_units = 0
    for u in range(UNITS):
        if p.rtp_from[u] != p.rtp_from[u + 1] or p.expand_from[u] != p.expand_from[u + 1]:
            p.unit[p.n_units] = u
            p.n_units += 1


cdef void make_plan(Engine_ *e) noexcept nogil:
    """Rebuild all index arrays from terminations, bridges, links and recordings."""
    cdef Plan *p = &e.plan
    cdef uint8_t linear[TERMS]
    cdef uint8_t keyed[TERMS]
    cdef uint8_t used[64]
    cdef int i
    cdef Term *t
    memset(linear, 0, sizeof(linear))
    memset(keyed, 0, sizeof(keyed))
    memset(p.key_from, 0xFF, sizeof(p.key_from))       # -1
    memset(used, 0, sizeof(used))
    memset(p.heard, 0, sizeof(p.heard))
    p.n_timeslots = p.n_rtp = p.n_expand = p.n_detect = p.n_copy = p.n_convert = p.n_idle = 0
    for i in range(MF_KINDS):
        p.n_mf[i] = 0
    p.n_coded = p.n_told = 0
    p.n_modem = p.n_amd = p.n_progress = p.n_check = 0
    for i in range(FSK_KINDS):
        p.n_fsk[i] = 0
    p.n_conferences = p.n_echo = p.n_long = p.n_noise = p.n_level = p.n_vad = p.n_back = 0
    p.n_compress = p.n_bridges = p.n_routes = p.n_links = p.n_spans = p.n_recordings = 0
    p.bridge_start[0] = 0
    p.route_start[0] = 0
    for i in range(BRIDGES):
        if e.bridge[i].n:
            plan_bridge(e, &e.bridge[i], linear)
            plan_keys(e, i, keyed)
    for i in range(TERMS):
        t = &e.term[i]
        if t.kind == FREE:
            continue
        if t.kind == TIMESLOT:
            used[t.in_row >> 5] = 1
            p.timeslot[p.n_timeslots] = i
            p.n_timeslots += 1
        else:
            p.rtp[p.n_rtp] = i
            p.n_rtp += 1
            if t.rtp.codec != NULL:
                p.coded[p.n_coded] = i
                p.n_coded += 1
            if t.rtp.keys == BY_CONTROL:
                p.told[p.n_told] = i
                p.n_told += 1
        if t.modem:
            p.modem[p.n_modem] = i
            p.n_modem += 1
            linear[i] = 1
        if t.progress:
            p.progress[p.n_progress] = i
            p.n_progress += 1
            linear[i] = 1
        if t.fsk:
            p.fsk[t.fsk - 1][p.n_fsk[t.fsk - 1]] = i
            p.n_fsk[t.fsk - 1] += 1
            linear[i] = 1
        if t.answer:
            p.amd[p.n_amd] = i
            p.n_amd += 1
        if t.enhance or t.answer:
            enhance_plan(e, i)
            linear[i] = 1
        if keyed[i] and not (t.keyed or t.detect):
            e.k.dtmf_reset(e.k.dtmf_state, i)
        t.keyed = keyed[i]
        if t.detect or t.keyed:
            p.detect[p.n_detect] = i
            p.n_detect += 1
            linear[i] = 1
        elif t.kind != RTP or not t.rtp.event_active:
            e.keys_down[i] = 0           # nobody looks any more
        if t.tap and not p.heard[i] and e.term[t.tap - 1].kind != FREE:
            plan_single(e, i, t.tap - 1)
        if t.loop and not p.heard[i]:
            plan_single(e, i, i)
        if t.check:
            p.check[p.n_check] = i
            p.n_check += 1
            linear[i] = 1
        if t.mf:
            p.mf[t.mf - 1][p.n_mf[t.mf - 1]] = i
            p.n_mf[t.mf - 1] += 1
            linear[i] = 1
        if linear[i]:
            p.expand_row[p.n_expand] = t.in_row
            p.expand_slot[p.n_expand] = i
            p.expand_law[p.n_expand] = t.law
            p.n_expand += 1
        if not p.heard[i]:
            p.idle_row[p.n_idle] = t.out_row
            p.idle_law[p.n_idle] = t.law
            p.n_idle += 1
    for i in range(LINKS):
        if e.link[i].serial:
            used[e.link[i].row >> 5] = 1
            p.link_slot[p.n_links] = i
            p.link_row[p.n_links] = e.link[i].row
            p.n_links += 1
    for i in range(BERTS):
        if e.bert[i].serial:
            used[e.bert[i].span] = 1
    for i in range(64):
        if used[i]:
            p.span[p.n_spans] = i
            p.n_spans += 1
    for i in range(RECORDINGS):
        if e.recording[i].serial and not e.recording[i].stopped:
            p.recording[p.n_recordings] = i
            p.n_recordings += 1
    p.n_streams = 0
    for i in range(STREAMS):
        if e.stream[i].serial:
            p.stream[p.n_streams] = i
            p.n_streams += 1
    plan_units(p)
    e.dirty = 0


cdef void voice_unit(Engine_ *e, int u) noexcept nogil:
    """Expand, enhance, detect: the inputs of a unit."""
    cdef Plan *p = &e.plan
    cdef uint64_t began = 0
    cdef int i, first = p.expand_from[u]
    cdef int64_t n = p.expand_from[u + 1] - first
    cdef DTMFEvent *d
    cdef Term *t
    if not n:
        return
    # Reading this clock is a system call: one unit in VOICE_SAMPLED is measured, another one in each tick.
    if (<uint64_t>u + e.tick) % VOICE_SAMPLED == 0:
        began = clock_ns(CLOCK_THREAD_CPUTIME_ID)
    e.k.expand_rows(e.octets_in, BLOCK, p.expand_row + first, e.linear_in, BLOCK, p.expand_slot + first,
                    p.expand_law + first, n, BLOCK)
    hear_modems(e, u)
    hear_progress(e, u)
    hear_octets(e, u)
    enhance_unit(e, u)
    hear_answers(e, u)
    first = p.detect_from[u]
    n = p.detect_from[u + 1] - first
    if n:
        n = e.k.dtmf_detect(e.k.dtmf_state, p.detect + first, p.detect + first, n, e.linear_in, BLOCK, NULL,
                            e.dtmf + 2 * UNIT * u, 2 * UNIT)
        for i in range(<int>n):
            d = &e.dtmf[2 * UNIT * u + i]
            t = &e.term[d.slot]
            if t.kind == RTP and t.rtp.events_used:
                continue               # a sender of telephone-events has said it already
            key_found(e, d)
            if not d.on and t.detect:
                add_event(e, EV_DIGIT, d.slot, t.serial, d.digit, d.duration_ms, 0)
    if began:
        add64(&e.voice_ns, VOICE_SAMPLED * (clock_ns(CLOCK_THREAD_CPUTIME_ID) - began))


cdef void mix_tick(Engine_ *e) noexcept nogil:
    """Copy, mix, compress: all outputs of bridges."""
    cdef Plan *p = &e.plan
    cdef int i
    for i in range(p.n_idle):
        memset(e.octets_out + p.idle_row[i] * BLOCK, silence(p.idle_law[i]), BLOCK)
    for i in range(p.n_copy):
        memcpy(e.octets_out + p.copy_to[i] * BLOCK, e.octets_in + p.copy_from[i] * BLOCK, BLOCK)
    for i in range(p.n_convert):
        e.k.convert(p.convert_law[i], e.octets_in + p.convert_from[i] * BLOCK,
                    e.octets_out + p.convert_to[i] * BLOCK, BLOCK)
    if p.n_bridges:
        e.k.mix_bridges(e.linear_in, BLOCK, e.linear_out, BLOCK, p.bridge_start, p.bridge_member, p.n_bridges, BLOCK)
    if p.n_routes:
        e.k.mix_routes(e.linear_in, BLOCK, e.linear_out, BLOCK, p.route_out, p.route_start, p.route_source, NULL,
                       p.n_routes, BLOCK)
    for i in range(p.n_conferences):
        conference_tick(e, &e.bridge[p.conference[i]])
    if p.n_compress:
        e.k.compress_rows(e.linear_out, BLOCK, p.compress_slot, e.octets_out, BLOCK, p.compress_row, p.compress_law,
                          p.n_compress, BLOCK)
