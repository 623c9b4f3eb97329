# Sound that is missing in one direction.  Included by _engine.pyx.
#
# A leg is watched from the answer on, in the directions that its session has.  Nothing for WATCH_TICKS is missing
# sound, told at once with what is known about why; the first packet (or report) after it is its end.

cdef enum:
    FROM_FAR = 1                       # bits of Audio.watch and Audio.missing
    TO_FAR = 2
    WATCH_TICKS = 400                  # ours: 4 s, so that an alarm is there within 5
    REFUSED_LEAST = 4                  # ours: hosts send few ICMP messages (Linux: 6 at once, then one a second)
    REFUSED_TICKS = 300                # ours: 3 s without one are the end of it
    REPORT_TICKS = 900                 # ours: a report that is older says nothing about now


cdef void audio_event(Engine_ *e, int slot, int direction, int missing, int why) noexcept nogil:
    add_event(e, EV_AUDIO, slot, e.term[slot].serial, direction, missing, why)


cdef int why_nothing_comes(Engine_ *e, Rtp *r) noexcept nogil:
    if r.strangers != r.audio.strangers_prior:
        return WHY_FOREIGN
    if r.garbage != r.audio.garbage_prior:
        return WHY_TYPE
    if r.rtcp.sr_middle and e.tick - r.rtcp.sr_tick < REPORT_TICKS:
        return WHY_SENT if r.rtcp.far_sends else WHY_SILENT
    if r.audio.refused >= REFUSED_LEAST:
        return WHY_REFUSED
    return WHY_NOTHING


cdef void watch_audio(Engine_ *e, int slot, Rtp *r) noexcept nogil:
    cdef Audio *a = &r.audio
    cdef uint64_t last = r.last_tick if r.last_tick > a.since_tick else a.since_tick
    cdef int gone
    if a.watch & FROM_FAR:
        gone = e.tick - last >= WATCH_TICKS
        if gone and not a.missing & FROM_FAR:
            a.missing |= FROM_FAR
            audio_event(e, slot, 0, 1, why_nothing_comes(e, r))
        elif not gone:
            if a.missing & FROM_FAR:
                a.missing &= ~FROM_FAR
                audio_event(e, slot, 0, 0, 0)
            if r.last_tick == e.tick:
                a.garbage_prior = r.garbage
                a.strangers_prior = r.strangers
    if a.watch & TO_FAR:
        if a.refused and e.tick - a.refused_tick > REFUSED_TICKS:
            a.refused = 0
        if a.refused >= REFUSED_LEAST:
            if not a.missing & TO_FAR:
                a.missing |= TO_FAR
                audio_event(e, slot, 1, 1, WHY_REFUSED)
        elif r.rtcp.far_deaf >= 2:
            if not a.missing & TO_FAR:
                a.missing |= TO_FAR
                audio_event(e, slot, 1, 1, WHY_UNHEARD)
        elif a.missing & TO_FAR and a.refused == 0 and r.rtcp.far_deaf == 0:
            a.missing &= ~TO_FAR
            audio_event(e, slot, 1, 0, 0)


cdef void audio_set(Engine_ *e, Rtp *r, int watch) noexcept nogil:
    """Which directions count from now on."""
    if watch != r.audio.watch:
        r.audio.watch = watch
        r.audio.missing &= watch
        r.audio.since_tick = e.tick
        r.audio.garbage_prior = r.garbage
        r.audio.strangers_prior = r.strangers
        r.audio.refused = 0
        r.rtcp.far_deaf = 0
