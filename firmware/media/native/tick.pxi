# The tick thread: follow the board's heads, process 80 frames, sleep.
# Included by _engine.pyx.
#
# The board hands over 80 frames each 10 ms and takes the 80 that follow
# tx_head.  If several blocks have come since we last looked (we were late), each is
# processed, so that recordings, detectors and RTP miss nothing; only the last
# one's output can still reach the line, the rest has gone out as idle code, and no
# delay is carried on.  Without a board the tick runs from the system clock.

cdef enum:
    POLL_NS = 250000                   # how often the head is looked at
    SLEEP_NS = 5000000                 # from one block until looking begins: an emulated board may make up for time
    TICK_NS = 10000000
    OWN_NS = 8000000                   # ours: a tick that is late, and has not computed for so long, was kept from it
    BEHIND_NS = 100000000              # the clock's ticks that are later than this are left out
    BOARD_GONE_LOOKS = 1000            # no block at so many looks, 250 ms at least: the clock takes over (a stall of ours is no look)
    BACKLOG_MOST = 20                  # blocks caught up with; the ring holds 25

cdef void sleep_until(uint64_t ns) noexcept nogil:
    cdef timespec t
    t.tv_sec = <long>(ns // 1000000000)
    t.tv_nsec = <long>(ns % 1000000000)
    clock_nanosleep(CLOCK_MONOTONIC, 1, &t, NULL)


cdef void board_in(Engine_ *e, uint64_t frame) noexcept nogil:
    """octets_in from the 80 frames that start at `frame` of the rx ring."""
    cdef int i, span, first
    cdef uint32_t at = <uint32_t>(frame % e.w.ring_frames)
    cdef int64_t stride = <int64_t>e.w.spans * 32
    first = <int>(e.w.ring_frames - at)
    if first > BLOCK:
        first = BLOCK
    for i in range(e.plan.n_spans):
        span = e.plan.span[i]
        e.k.frames_to_rows(e.w.rx + at * stride + span * 32, stride, e.octets_in + span * 32 * BLOCK, BLOCK, first, 32)
        if first < BLOCK:
            e.k.frames_to_rows(e.w.rx + span * 32, stride, e.octets_in + span * 32 * BLOCK + first, BLOCK,
                               BLOCK - first, 32)


cdef void follow_idle(Engine_ *e) noexcept nogil:
    """Idle codes as the board tells them: a span that became T1 idles otherwise from now on."""
    cdef int span
    e.idle = <uint8_t>load32(e.w.idle_code)
    if not memcmp(e.span_idle, e.w.span_idle, SPANS_MOST):
        return
    for span in range(SPANS_MOST):
        if e.span_idle[span] != e.w.span_idle[span]:
            e.span_idle[span] = e.w.span_idle[span]
            if e.bearer[span] != NULL:
                continue
            memset(e.octets_out + span * 32 * BLOCK, idle_of(e, span * 32), 32 * BLOCK)


cdef void board_out(Engine_ *e) noexcept nogil:
    """Write the 80 frames that the board takes next, then the heartbeat."""
    cdef uint64_t frame = load64(e.w.tx_head)
    cdef int64_t lead = <int64_t>(frame - e.rx_next)
    # Both heads advance together.  A tx_head that is further on has taken this tick's place
    # already, and what is written now goes one block later or is overwritten by the next tick.
    if lead != e.tx_lead:
        e.tx_lost = 1
        e.tx_strange += 1
        if e.tx_strange >= 3:
            e.tx_lead = lead           # no accident: the board counts so
    else:
        e.tx_strange = 0
    cdef uint32_t at = <uint32_t>(frame % e.w.ring_frames)
    cdef int64_t stride = <int64_t>e.w.spans * 32
    cdef int i, span, first
    first = <int>(e.w.ring_frames - at)
    if first > BLOCK:
        first = BLOCK
    memset(e.w.tx + at * stride, e.idle, first * stride)
    memset(e.w.tx, e.idle, (BLOCK - first) * stride)
    for span in range(<int>e.w.spans):
        if e.span_idle[span] and e.span_idle[span] != e.idle:
            for i in range(BLOCK):
                memset(e.w.tx + (at + i) % e.w.ring_frames * stride + span * 32, e.span_idle[span], 32)
    for i in range(e.plan.n_spans):
        span = e.plan.span[i]
        if e.bearer[span] != NULL:
            continue
        e.k.rows_to_frames(e.octets_out + span * 32 * BLOCK, BLOCK, e.w.tx + at * stride + span * 32, stride, first, 32)
        if first < BLOCK:
            e.k.rows_to_frames(e.octets_out + span * 32 * BLOCK + first, BLOCK, e.w.tx + span * 32, stride,
                               BLOCK - first, 32)
    store64(e.w.tx_written, frame + BLOCK)
    if load64(e.w.tx_head) != frame:
        e.tx_lost = 1
        count_late(e, 1)               # the board took the frames while they were being written


cdef void links_tick(Engine_ *e, int received, int send) noexcept nogil:
    """HDLC of all D channels: frames to the layer 2 thread, queued frames to the line."""
    cdef Plan *p = &e.plan
    cdef int64_t i, n
    cdef int all_in = p.n_links, all_out = p.n_links
    cdef int32_t *slots_in = p.link_slot
    cdef int32_t *rows_in = p.link_row
    cdef int32_t *slots_out = p.link_slot
    cdef int32_t *rows_out = p.link_row
    cdef HDLCFrame *f
    if not p.n_links:
        return
    if e.n_bearers and not (received and send):
        n = links_of_bearers(e, e.bearer_link_slot, e.bearer_link_row)
        if not received:
            all_in, slots_in, rows_in = <int>n, e.bearer_link_slot, e.bearer_link_row
        if not send:
            all_out, slots_out, rows_out = <int>n, e.bearer_link_slot, e.bearer_link_row
        received = send = 1
    if received and all_in:
        n = e.k.hdlc_receive(e.k.hdlc_rx_state, slots_in, rows_in, all_in, e.octets_in, BLOCK, BLOCK,
                             e.hdlc, sizeof(e.hdlc), e.hdlc_index, LINKS * 32)
        for i in range(n):
            f = &e.hdlc_index[i]
            if not put_frame(e, f.slot, e.hdlc + f.offset, f):
                e.frames_lost += 1     # layer 2 repeats it
                if e.link[f.slot].mtp2:
                    e.k.hdlc_rx_reset(e.k.hdlc_rx_state, f.slot)       # else its repetitions would be held back
        if n:
            wake(e.frame_fd)
    if send and all_out:               # a frame is not spent on a block that goes nowhere
        e.k.hdlc_transmit(e.k.hdlc_tx_state, slots_out, rows_out, all_out, e.octets_out, BLOCK, BLOCK)


cdef int put_frame(Engine_ *e, int slot, const uint8_t *octets, HDLCFrame *f) noexcept nogil:
    """{u32 serial, slot, length, repeats, errors, octets, padding to 4} in the frame ring; a record never wraps.  0: it is full."""
    cdef uint64_t head = e.frame_head
    cdef uint32_t length = f.length
    cdef uint32_t size = 20 + ((length + 3) & ~3)
    cdef uint32_t at = <uint32_t>(head & (FRAME_RING - 1))
    cdef uint32_t skip = FRAME_RING - at if FRAME_RING - at < size else 0
    cdef uint32_t *p
    if head + size + skip - load64(&e.frame_tail) > FRAME_RING:
        return 0
    if skip:
        (<uint32_t *>(e.frame + at))[0] = 0
        head += skip
        at = 0
    p = <uint32_t *>(e.frame + at)
    p[0] = e.link[slot].serial
    p[1] = slot
    p[2] = length
    p[3] = f.repeats
    p[4] = f.errors
    memcpy(p + 5, octets, length)
    store64(&e.frame_head, head + size)
    return 1


cdef void tick(Engine_ *e, int received, int send) noexcept nogil:
    """One block.  received: octets_in holds new timeslots; send: the board takes our output."""
    e.tick += 1
    if e.steer_clock != NULL:
        store32(e.steer_clock, <uint32_t>e.tick)
    if e.plan.n_rtp:
        find_sockets(e)
    all_units(e, PHASE_IN)
    mf_detect_tick(e)
    check_tick(e)
    mix_tick(e)
    players_tick(e)
    keys_tick(e)
    mf_sound_tick(e)
    links_tick(e, received, send)
    bert_tick(e, received, send)
    e.tx_lost = 0
    if send:
        board_out(e)
    bearers_out(e)
    if e.n_bearers or (send and received):
        cas_tick(e, send and received)
    e.sent = send and not e.tx_lost
    all_units(e, PHASE_OUT)
    record_tick(e)
    stream_tick(e)
    if e.wake_events:
        e.wake_events = 0
        wake(e.event_fd)
    bearers_look(e)


cdef void count_late(Engine_ *e, uint64_t blocks) noexcept nogil:
    """A tick came too late for the board: was it the host or ourselves?

    Ourselves where this thread has computed for most of a tick in this one or the last; else it was kept from
    its processor (by the host, or by what the kernel did there)."""
    cdef uint64_t now = clock_ns(CLOCK_THREAD_CPUTIME_ID) - e.spent_ns if e.spent_ns else 0
    e.late_ticks += blocks
    if now < OWN_NS and e.cpu_last_ns < OWN_NS:
        e.late_by_host += blocks


cdef void silence_timeslots(Engine_ *e) noexcept nogil:
    """No board: every timeslot is silent."""
    cdef int i
    cdef Term *t
    for i in range(e.plan.n_timeslots):
        t = &e.term[e.plan.timeslot[i]]
        memset(e.octets_in + t.in_row * BLOCK, silence(t.law), BLOCK)


cdef void start_tick(Engine_ *e) noexcept nogil:
    cdef uint64_t real = clock_ns(CLOCK_REALTIME)
    store64(&e.now_ns, clock_ns(CLOCK_MONOTONIC))
    e.now_ms = real // 1000000
    e.real_ns = real - e.now_ns
    e.spent_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID)
    apply_commands(e)


cdef void end_tick(Engine_ *e) noexcept nogil:
    cdef uint64_t took = clock_ns(CLOCK_MONOTONIC) - e.now_ns
    cdef uint64_t spent = clock_ns(CLOCK_THREAD_CPUTIME_ID) - e.spent_ns
    cdef uint64_t step = took // 10000
    cdef uint64_t helped = load64(&e.helped_ns)
    if took + helped - e.helped_before > HELP_FROM_NS:
        e.help_ticks = HELP_TICKS
    elif e.help_ticks:
        e.help_ticks -= 1
    e.helped_before = helped
    follow_pressure(e, spent)
    e.spent_ns = 0
    e.cpu_last_ns = spent
    e.cpu_ns += spent
    if spent > e.cpu_longest_ns:
        e.cpu_longest_ns = spent
    e.cpu_histogram[spent // 10000 if spent // 10000 < HISTOGRAM else HISTOGRAM - 1] += 1
    e.histogram[step if step < HISTOGRAM else HISTOGRAM - 1] += 1
    e.busy_ns += took
    if took > e.longest_ns:
        e.longest_ns = took


cdef int follow_board(Engine_ *e) noexcept nogil:
    """Blocks waiting in the rx ring; takes notice of a board that started anew."""
    cdef uint64_t head
    cdef uint32_t generation
    if e.w.base == NULL or load32(e.w.magic) != 0x57525453:
        return 0
    generation = load32(e.w.generation)
    head = load64(e.w.rx_head)
    if not e.attached or generation != e.board_generation or head < e.rx_next:
        if e.attached != 2:
            e.attached = 2             # wait for its first block before believing in it
            e.board_generation = generation
            e.rx_next = head
            return 0
        e.board_generation = generation
        e.rx_next = head
        return 0
    return <int>((head - e.rx_next) // BLOCK) if (head - e.rx_next) // BLOCK < 1000000 else 1000000


cdef void run(Engine_ *e) noexcept nogil:
    """The loop of the tick thread until e.stop."""
    cdef uint64_t now, due
    cdef int blocks, alive = 0, looks = 0
    flush_denormals()
    due = clock_ns(CLOCK_MONOTONIC)
    while not load32(<uint32_t *>&e.stop):
        blocks = follow_board(e)
        now = clock_ns(CLOCK_MONOTONIC)
        if blocks:
            if not alive:
                alive = 1
                e.attached = 1
                e.now_ms = clock_ns(CLOCK_REALTIME) // 1000000
                add_event(e, EV_BOARD, 0, 0, 1, e.board_generation, 0)
                e.wake_events = 1
                e.rx_next = load64(e.w.rx_head) - BLOCK
                blocks = 1
            if blocks > BACKLOG_MOST:
                e.blocks_lost += blocks - 1
                e.rx_next += <uint64_t>(blocks - 1) * BLOCK
                count_late(e, blocks - 1)
                blocks = 1
            elif blocks > 1:
                count_late(e, blocks - 1)
            while blocks:
                start_tick(e)
                if e.w.base == NULL or not e.attached:
                    break              # the window was just exchanged
                follow_idle(e)
                board_in(e, e.rx_next)
                bearers_in(e)
                e.rx_next += BLOCK
                blocks -= 1
                tick(e, 1, blocks == 0)
                e.ticks_board += 1
                end_tick(e)
            looks = 0
            due = now + TICK_NS
            sleep_until(now + SLEEP_NS)
        elif alive and looks < BOARD_GONE_LOOKS:
            looks += 1
            sleep_until(now + POLL_NS)
        else:
            if alive:
                alive = 0
                due = now
                e.now_ms = clock_ns(CLOCK_REALTIME) // 1000000
                add_event(e, EV_BOARD, 0, 0, 0, e.board_generation, 0)
                e.attached = 0
            if now < due:
                sleep_until(due if due < now + POLL_NS * 4 else now + POLL_NS * 4)
                continue
            start_tick(e)
            silence_timeslots(e)
            bearers_in(e)
            tick(e, 0, 0)
            e.ticks_free += 1
            end_tick(e)
            due += TICK_NS
            if now > due + BEHIND_NS:
                due = now
