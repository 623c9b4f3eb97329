# Players: one playlist per termination, given out as law octets.
# Included by _engine.pyx.  Items belong to the command thread, which frees
# them only after the tick has applied the command that took them away.

cdef int player_fill(Engine_ *e, int slot, Player *p, int law, uint8_t *out) noexcept nogil:
    """Fill 80 octets; returns how many of them are the playlist's (80: it goes on)."""
    cdef int done = 0, n, room
    cdef int32_t slot32 = slot, zero = 0, produced
    cdef int16_t x[BLOCK]
    cdef Item *item
    cdef int idle_items = 0            # guard: a round without a sample must end
    while done < BLOCK:
        if p.current >= p.n_items:
            p.round += 1
            p.current = 0
            p.at = 0
            p.started = 0
            if (p.repeat and p.round >= p.repeat) or idle_items >= p.n_items:
                p.n_items = 0
                break
        item = &p.items[p.current]
        room = BLOCK - done
        n = room
        if item.length >= 0 and item.length - p.at < n:
            n = <int>(item.length - p.at)
        if n > 0:
            if item.kind == ITEM_LAW:
                if item.law == law:
                    memcpy(out + done, item.data + p.at, n)
                else:
                    e.k.convert(item.law, item.data + p.at, out + done, n)
            elif item.kind == ITEM_LINEAR:
                e.k.compress(law, <const int16_t *>item.data + p.at, out + done, n)
            elif item.kind == ITEM_TONE:
                if not p.started:
                    e.k.tone_start(e.k.tone_state, slot, item.tone, p.at)
                    p.started = 1
                produced = 0
                e.k.tone_generate(item.data, e.k.tone_state, &slot32, &zero, 1, x, BLOCK, n, &produced)
                if produced < n:
                    room = n           # the tone has ended: the item ends here
                    n = produced
                e.k.compress(law, x, out + done, n)
            elif item.kind == ITEM_STREAM:
                n = stream_play(e, <StreamPage *>item.data, law, out + done, n)
                if n < room:
                    room = n + 1       # the service has said its last: the item ends here
            else:
                memset(out + done, silence(law), n)
        p.at += n
        p.played += n
        done += n
        idle_items = 0 if n > 0 else idle_items
        if n < room:
            if p.at == 0:              # it had nothing; one that ended with the last block had
                idle_items += 1
            p.current += 1
            p.at = 0
            p.started = 0
    memset(out + done, silence(law), BLOCK - done)
    return done


cdef int player_block(Engine_ *e, int slot, Player *p, int law, uint8_t *out) noexcept nogil:
    """As player_fill, at the player's speed."""
    cdef int n
    cdef int16_t x[BLOCK]
    cdef uint8_t octets[BLOCK]
    if p.stretch == NULL:
        return player_fill(e, slot, p, law, out)
    while not e.k.wsola_block(p.stretch, p.speed, x):
        n = player_fill(e, slot, p, law, octets) if p.n_items else 0
        if n == 0:
            memset(octets, silence(law), BLOCK)
        p.padded += BLOCK - n
        e.k.expand(law, octets, x, BLOCK)
        e.k.wsola_put(p.stretch, x, BLOCK)
    e.k.compress(law, x, out, BLOCK)
    p.ahead = e.k.wsola_ahead(p.stretch) - p.padded
    if p.ahead < 0:
        p.ahead = 0
    return BLOCK if p.ahead or p.n_items else 0


cdef void player_seek(Player *p, int64_t start) noexcept nogil:
    """Go to start samples behind the beginning; whole rounds are left out."""
    cdef int i
    cdef int64_t total = 0
    p.played = start
    for i in range(p.n_items):
        if p.items[i].length < 0:      # an endless tone: nothing lies behind it
            total = 0
            break
        total += p.items[i].length
    if total > 0:
        p.round = <int32_t>(start // total) if start // total < 0x7FFFFFFF else 0x7FFFFFFE
        if p.repeat and p.round >= p.repeat:
            p.current = p.n_items
            p.round = p.repeat - 1
            return
        start %= total
    while p.current < p.n_items:
        if p.items[p.current].length < 0 or start < p.items[p.current].length:
            p.at = start
            return
        start -= p.items[p.current].length
        p.current += 1


cdef void player_end(Engine_ *e, int slot, int reason) noexcept nogil:
    """Report the end of what plays on a termination, if anything does."""
    cdef Player *p = &e.term[slot].player
    if p.serial:
        add_event(e, EV_SIGNAL, slot, e.term[slot].serial, reason, p.played - p.ahead, p.serial)
        p.serial = 0
        p.n_items = 0


cdef void players_tick(Engine_ *e) noexcept nogil:
    """Lay what plays over what the bridges gave: alone it is copied, with a
    bridge's audio it is added."""
    cdef int i = 0, j, slot, n
    cdef uint8_t octets[BLOCK]
    cdef uint8_t *out
    cdef int16_t a[BLOCK]
    cdef int16_t b[BLOCK]
    cdef Term *t
    while i < e.n_playing:
        slot = e.playing[i]
        t = &e.term[slot]
        if t.kind == FREE or t.player.serial == 0:
            e.n_playing -= 1
            e.playing[i] = e.playing[e.n_playing]
            continue
        if t.player.paused:
            i += 1
            continue
        out = e.octets_out + t.out_row * BLOCK
        if e.plan.heard[slot] or t.player.gain != UNITY:
            n = player_block(e, slot, &t.player, t.law, octets)
            e.k.expand(t.law, octets, a, BLOCK)
            for j in range(BLOCK):
                a[j] = clip(<int32_t>a[j] * t.player.gain >> 10)
            e.k.expand(t.law, out, b, BLOCK)
            for j in range(BLOCK):
                a[j] = clip(<int32_t>a[j] + b[j])
            e.k.compress(t.law, a, out, BLOCK)
        else:
            n = player_block(e, slot, &t.player, t.law, out)
        if n < BLOCK or t.player.n_items == 0 and t.player.stretch == NULL:
            player_end(e, slot, DONE)
        i += 1
