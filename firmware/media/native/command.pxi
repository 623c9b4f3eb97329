# Command and event rings between the command thread and the tick: single
# producer, single consumer, fixed structures.  Included by _engine.pyx.
# The command thread has checked everything; applying cannot fail.

cdef void add_event(Engine_ *e, uint32_t kind, int slot, uint32_t serial, uint32_t a, uint64_t number,
                    uint64_t other) noexcept nogil:
    cdef Event *v
    lock(&e.event_lock)
    if e.event_head - load64(&e.event_tail) >= EVENTS:
        e.events_lost += 1             # the command thread has stood still for long: audit shows the truth
    else:
        v = &e.event[e.event_head & (EVENTS - 1)]
        v.kind = kind
        v.slot = slot
        v.serial = serial
        v.a = a
        v.number = number
        v.other = other
        v.tick_ms = e.now_ms
        store64(&e.event_head, e.event_head + 1)
        e.wake_events = 1
    unlock(&e.event_lock)


cdef inline uint8_t idle_of(Engine_ *e, int row) noexcept nogil:
    """What a row says that nobody uses: a T1 span has another idle code than an E1 span."""
    if 0 <= row < TDM_ROWS and e.bearer[row // 32] != NULL:
        return e.bearer[row // 32].idle
    return e.span_idle[row // 32] if 0 <= row < TDM_ROWS and e.span_idle[row // 32] else e.idle


cdef void forget_leg(Engine_ *e, int slot) noexcept nogil:
    cdef int i
    cdef Recording *r
    for i in range(RECORDINGS):
        r = &e.recording[i]
        if r.left == slot:
            r.left = -1
        if r.right == slot:
            r.right = -1
    if e.term[slot].tap:
        e.term[slot].tap = 0
        e.taps -= 1
    if e.taps > 0:                     # nobody else's voice when the slot is used again
        for i in range(TERMS):
            if e.term[i].tap == slot + 1:
                e.term[i].tap = 0
                e.taps -= 1
    for i in range(STREAMS):
        if e.stream[i].left == slot:
            e.stream[i].left = -1
        if e.stream[i].right == slot:
            e.stream[i].right = -1


cdef void apply_command(Engine_ *e, Command *c) noexcept nogil:
    cdef Term *t = &e.term[c.slot] if 0 <= c.slot < TERMS else NULL
    cdef Rtp *r
    cdef Bridge *b
    cdef Recording *rec
    cdef Player *p
    cdef int i
    e.dirty = 1
    if c.op == OP_ADD:
        memset(t, 0, sizeof(Term))
        e.keys_down[c.slot] = 0
        t.kind = c.a
        t.law = c.b
        t.serial = c.serial
        t.in_row = t.out_row = c.c
        t.rtp = <Rtp *>c.pointer
        if t.kind == RTP:
            t.rtp.last_tick = e.tick
            rtcp_start(e, t.rtp)
            watch_socket(e.epoll_fd, t.rtp.fd, <uint64_t>c.slot)
            steer_leg(e, c.slot, t.rtp)
            if t.rtp.rtcp_fd >= 0:
                watch_socket(e.epoll_fd, t.rtp.rtcp_fd, <uint64_t>c.slot | OF_RTCP)
    elif c.op == OP_SUBTRACT:
        player_end(e, c.slot, STOPPED)
        forget_leg(e, c.slot)
        if t.kind == RTP:
            rtcp_report(e, t.rtp, 1)
            unsteer_leg(e, t.rtp)
            unwatch_socket(e.epoll_fd, t.rtp.fd)
            unwatch_socket(e.epoll_fd, t.rtp.rtcp_fd)
        memset(e.octets_out + t.out_row * BLOCK, idle_of(e, t.out_row), BLOCK)
        memset(e.octets_in + t.in_row * BLOCK, SILENCE_A, BLOCK)
        t.kind = FREE
        t.rtp = NULL
    elif c.op == OP_RTP:
        r = t.rtp
        r.payload_type = c.a & 127
        t.law = r.law = 1 if r.payload_type == 0 else 0
        r.dtmf_payload_type = <uint8_t>c.b
        r.event_clock = <uint8_t>c.member[0]
        if r.keys != c.member[1] & 3:
            r.keys = c.member[1] & 3
            r.key = r.key_next = r.key_ends = 0
        if c.member[1] & 4:
            r.events_used = 1
        r.ptime_ticks = c.c & 15
        r.latch = (c.c >> 4) & 1
        r.sending = (c.c >> 5) & 1
        r.rtcp.mux = (c.c >> 6) & 1
        r.browser = (c.c >> 9) & 1
        r.rtcp.port = <uint16_t>(c.c >> 16)
        r.trusted = <uint32_t>c.mask[1]
        audio_set(e, r, (c.c >> 7) & 3)
        r.jitter_samples = c.number & 0xFFFF
        r.timeout_ticks = <int32_t>((c.number >> 16) & 0xFFFFFF)
        r.most_samples = <int32_t>(c.number >> 40)
        r.tx_fill = 0
        if c.mask[0] and not same_address(&c.address, &r.signalled):
            # A newly signalled address: what was latched before is forgotten.
            r.remote = c.address
            r.signalled = c.address
            r.source.sin_port = 0
            r.rtcp.source.sin_port = 0
            r.tx_marker = 1
        r.timed_out &= 2
        r.last_tick = e.tick
    elif c.op == OP_CODEC:
        r = t.rtp
        r.codec = <Codec *>c.pointer
        r.tx_fill = 0
        if r.codec != NULL:
            r.law = t.law = 0
            for i in range(2):
                e.k.g722_reset(e.k.g722_state, c.slot + i * TERMS)
                e.k.g726_reset(e.k.g726_state, c.slot + i * TERMS)
            if r.codec.kind == CODEC_PASSED:
                r.playing = 0
                r.plc_left = -1
    elif c.op == OP_PASSED:
        if t.rtp.codec != NULL:
            t.rtp.codec.peer = c.a
    elif c.op == OP_FAX:
        fax_switch(e, t.rtp, <fax_line *>c.pointer)
    elif c.op == OP_REMOTE:
        r = t.rtp
        r.remote.sin_family = AF_INET
        r.remote.sin_addr.s_addr = htonl(<uint32_t>c.mask[0])
        r.remote.sin_port = htons(<uint16_t>c.a)
        r.signalled = r.remote
        r.tx_marker = 1
    elif c.op == OP_SRTP:
        if c.a == 0:
            t.rtp.srtp_out = c.pointer
        elif c.a == 1:
            t.rtp.srtp_in = c.pointer
        else:
            t.rtp.srtp_only = c.b
    elif c.op == OP_BRIDGE:
        b = &e.bridge[c.slot]
        conference_members(b, c)
        b.n = c.a
        b.special = 0
        for i in range(b.n):
            b.member[i] = c.member[i]
            b.hear[i][0] = b.hear[i][1] = ~<uint64_t>0
    elif c.op == OP_HEAR:
        b = &e.bridge[c.slot]
        b.hear[c.a][0] = c.mask[0]
        b.hear[c.a][1] = c.mask[1]
        b.special = 1
    elif c.op == OP_CONFERENCE:
        conference_set(&e.bridge[c.slot], c)
    elif c.op == OP_PLAY:
        player_end(e, c.slot, REPLACED)
        p = &t.player
        memset(p, 0, sizeof(Player))
        p.serial = c.serial
        p.items = <Item *>c.pointer
        p.n_items = c.a
        p.repeat = c.b
        p.gain = UNITY
        player_seek(p, c.number)
        for i in range(e.n_playing):
            if e.playing[i] == c.slot:
                break
        else:
            e.playing[e.n_playing] = c.slot
            e.n_playing += 1
    elif c.op == OP_PLAYER:
        p = &t.player
        if p.serial == c.serial:
            p.paused = c.a
            p.gain = c.b
            if c.pointer != NULL:
                p.stretch = c.pointer
            p.speed = c.c
            if c.number >= 0:
                if p.stretch != NULL:
                    memset(p.stretch, 0, STRETCH)
                p.padded = p.ahead = 0
                p.round = p.current = p.started = 0
                p.at = 0
                player_seek(p, c.number)
    elif c.op == OP_STOP:
        if c.serial == 0 or t.player.serial == c.serial:
            player_end(e, c.slot, STOPPED)
    elif c.op == OP_DETECT:
        if c.a and not (t.detect or t.keyed):
            e.k.dtmf_reset(e.k.dtmf_state, c.slot)
        t.detect = c.a
    elif c.op == OP_PRESS:
        if t.kind == RTP:
            press_key(e, c.slot, t.rtp, c.a, c.b)
    elif c.op == OP_HEAR_TONES:
        hear_switch(e, c.slot, c.a, c.b, c.member)
    elif c.op == OP_PROGRESS:
        if c.a and not t.progress:
            e.k.progress_reset(e.k.progress_state, c.slot)
        t.progress = c.a
    elif c.op == OP_PROGRESS_PLAN:
        progress_plan(e, c.pointer, c.serial)
    elif c.op == OP_FSK:
        if c.a and c.a != t.fsk:
            e.k.fsk_reset(e.k.fsk_state, c.slot)
        t.fsk = c.a
    elif c.op == OP_ENHANCE:
        enhance_switch(e, c.slot, c.a, c.b, c.c)
    elif c.op == OP_RECORD:
        rec = &e.recording[c.slot]
        rec.left = c.a
        rec.right = c.b
        rec.stopped = rec.paused = 0
        rec.serial = c.serial
    elif c.op == OP_RECORD_LEG or c.op == OP_RECORD_PAUSE:
        rec = &e.recording[c.slot]
        if rec.serial == c.serial and not rec.stopped:
            if c.op == OP_RECORD_LEG:
                rec.left = c.a
                rec.right = c.b
            else:
                rec.paused = c.a
            add_event(e, EV_RECORD_MARK, c.slot, c.serial, MARK_LEGS if c.op == OP_RECORD_LEG else MARK_PAUSED if c.a else MARK_RESUMED,
                      rec.head // 2, 0)
    elif c.op == OP_RECORD_STOP:
        if e.recording[c.slot].serial == c.serial and not e.recording[c.slot].stopped:
            e.recording[c.slot].stopped = 1
            add_event(e, EV_RECORD_CLOSED, c.slot, c.serial, 0, e.recording[c.slot].head, 0)
    elif c.op == OP_STREAM:
        e.stream[c.slot].left = c.a
        e.stream[c.slot].right = c.b
        e.stream[c.slot].serial = c.serial
    elif c.op == OP_LINK:
        e.k.hdlc_rx_reset(e.k.hdlc_rx_state, c.slot)
        e.k.hdlc_tx_reset(e.k.hdlc_tx_state, c.slot)
        e.link[c.slot].row = c.a
        e.link[c.slot].mtp2 = c.b
        e.link[c.slot].serial = c.serial
    elif c.op == OP_LINK_CLOSE:
        e.link[c.slot].serial = 0
        memset(e.octets_out + e.link[c.slot].row * BLOCK, idle_of(e, e.link[c.slot].row), BLOCK)
    elif c.op == OP_CAS:
        cas_switch(e, c.slot, c.a, c.b, c.c)
    elif c.op == OP_MF_LISTEN:
        if c.a and c.a != t.mf:
            e.k.mf_reset(e.k.mf_state, c.slot)
        t.mf = c.a
    elif c.op == OP_CHECK:
        t.check = c.a
        t.check_heard = t.check_run = 0
    elif c.op == OP_LOOP:
        t.loop = c.a
    elif c.op == OP_TAP:
        e.taps += (c.a >= 0) - (t.tap != 0)
        t.tap = c.a + 1
    elif c.op == OP_MF_SEND:
        mf_sound(e, c.slot, c.a, c.b)
    elif c.op == OP_BERT:
        bert_switch(e, c.slot, c.serial, <uint32_t>c.number, c.a, c.b, <uint8_t>c.c)
    elif c.op == OP_BERT_INSERT:
        e.bert[c.slot].insert += c.a
    elif c.op == OP_WINDOW:
        e.w = (<Window *>c.pointer)[0]
        e.attached = 0
    elif c.op == OP_BEARER:
        bearer_switch(e, c.slot, <bearer *>c.pointer)


cdef void apply_commands(Engine_ *e) noexcept nogil:
    cdef uint64_t head = load64(&e.command_head)
    cdef uint64_t tail = e.command_tail
    cdef int resets = 0
    while tail != head and resets < RESETS_MOST:
        resets += e.command[tail & (COMMANDS - 1)].op == OP_ENHANCE
        apply_command(e, &e.command[tail & (COMMANDS - 1)])
        tail += 1
    if tail != e.command_tail:
        if e.dirty:
            make_plan(e)
        store64(&e.command_tail, tail)


cdef void wake(int fd) noexcept nogil:
    cdef uint64_t one = 1
    write(fd, &one, 8)                 # an eventfd that is full is awake already
