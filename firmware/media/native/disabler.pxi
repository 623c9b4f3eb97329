# 2100 Hz on an enhanced leg, in either direction (G.168 clause 7, V.25, V.8 ANSam).
# Included by _engine.pyx.
#
#   plain tone           the canceller stays, its non-linear processor, noise
#                        reduction, level control and speech detection go off
#   with phase reversal  the canceller goes off too
#   signal gone          all back after GONE_BLOCKS below -36 dBm0 both ways
#
# A block of 80 samples holds 21 whole cycles of 2100 Hz, so the correlation of
# each block has the same phase; a tone that is off by up to 21 Hz turns it by a
# constant angle a block, which is learnt while the tone is steady.  Noise
# reduction delays by those same 21 cycles: switching it off does not break the tone.
# PURE and the number of blocks are ours: G.168 7.2 wants -31 dBm0 found within 1 s.

cdef extern from *:
    """
    #include <math.h>
    enum { TONE_BLOCKS = 30, STEADY_BLOCKS = 3, GONE_BLOCKS = 25 };
    static const float PURE = 0.7f;                 /* share of the block's power; 0.86 at 21 Hz off */
    static int16_t disabler_cos[80], disabler_sin[80];
    static void disabler_prepare(void)
    {
        for (int i = 0; i < 80; i++) {
            disabler_cos[i] = (int16_t)lrint(256 * cos(2 * M_PI * 2100 * i / 8000));
            disabler_sin[i] = (int16_t)lrint(256 * sin(2 * M_PI * 2100 * i / 8000));
        }
    }
    /* Energy of a block and, where it reaches the least of a tone, correlation (scaled to samples); sums stay below 2^31.
       The engine is built for the oldest processors; this is done for each leg twice a tick. */
    #if defined(__x86_64__)
    __attribute__((target_clones("avx2", "default")))
    #endif
    static void disabler_measure(const int16_t *restrict x, float least, float *c, float *energy)
    {
        int32_t re = 0, im = 0, sum = 0;
        for (int i = 0; i < 80; i++) { int16_t y = x[i] >> 3; sum += y * y; }
        *energy = sum * 64.0f;
        if (*energy < least)
            return;
        for (int i = 0; i < 80; i++) re += x[i] * disabler_cos[i];
        for (int i = 0; i < 80; i++) im += x[i] * disabler_sin[i];
        c[0] = re / 256.0f;
        c[1] = im / 256.0f;
    }
    """
    enum: TONE_BLOCKS
    enum: STEADY_BLOCKS
    enum: GONE_BLOCKS
    float PURE
    void disabler_prepare()
    void disabler_measure(const int16_t *, float, float *, float *) noexcept nogil
    float sqrtf(float) noexcept nogil

cdef enum:
    TONE_ENERGY = 16000000             # of 80 samples: -31 dBm0 with 1 dB to spare
    SIGNAL_ENERGY = 5200000            # -36 dBm0

disabler_prepare()


cdef int disabler_hear(Disabler *d, int way, const int16_t *x) noexcept nogil:
    """One block of one direction; returns whether there is any signal."""
    cdef float c[2]
    cdef float energy, size, before, re, im
    disabler_measure(x, TONE_ENERGY, c, &energy)
    if energy < TONE_ENERGY or 2 * (c[0] * c[0] + c[1] * c[1]) < PURE * 80 * energy:
        # One block may hold the reversal itself.
        if d.missed[way] or d.run[way] < STEADY_BLOCKS:
            d.run[way] = d.missed[way] = 0
        else:
            d.missed[way] = 1
            re = d.last[way][0] * d.turn[way][0] - d.last[way][1] * d.turn[way][1]
            d.last[way][1] = d.last[way][0] * d.turn[way][1] + d.last[way][1] * d.turn[way][0]
            d.last[way][0] = re
        return energy > SIGNAL_ENERGY
    size = sqrtf(c[0] * c[0] + c[1] * c[1])
    c[0] /= size
    c[1] /= size
    if d.run[way] == 0:
        d.turn[way][0] = 1
        d.turn[way][1] = 0
    else:
        # How far this block has turned beyond what the last ones lead to expect.
        re = d.last[way][0] * d.turn[way][0] - d.last[way][1] * d.turn[way][1]
        im = d.last[way][0] * d.turn[way][1] + d.last[way][1] * d.turn[way][0]
        before = c[0] * re + c[1] * im
        if before < -0.6 and d.run[way] >= TONE_BLOCKS:
            d.reversed[way] = 1        # believed when the tone goes on so
        elif before > 0.6:
            if d.reversed[way]:
                d.reversed[way] += 1
        else:
            d.reversed[way] = 0
        if not d.missed[way] and (before > 0.6 or d.run[way] < 2):
            # The turn between neighbours, slowly.
            re = c[0] * d.last[way][0] + c[1] * d.last[way][1]
            im = c[1] * d.last[way][0] - c[0] * d.last[way][1]
            if d.run[way] > 1:
                re = 0.75 * d.turn[way][0] + 0.25 * re
                im = 0.75 * d.turn[way][1] + 0.25 * im
                size = sqrtf(re * re + im * im)
                if size > 0:
                    re /= size
                    im /= size
            d.turn[way][0] = re
            d.turn[way][1] = im
    d.missed[way] = 0
    d.last[way][0] = c[0]
    d.last[way][1] = c[1]
    if d.run[way] < 255:
        d.run[way] += 1
    return 1


cdef int disabler_block(Disabler *d, const int16_t *near, const int16_t *far) noexcept nogil:
    """One block of both directions (far NULL: none); returns the state."""
    cdef int way, signal
    signal = disabler_hear(d, 0, near)
    if far != NULL:
        signal |= disabler_hear(d, 1, far)
    for way in range(2):
        if d.run[way] >= TONE_BLOCKS and d.state == 0:
            d.state = 1
        if d.reversed[way] > STEADY_BLOCKS:
            d.state = 2
    if d.state:
        d.gone = 0 if signal else d.gone + 1
        if d.gone >= GONE_BLOCKS:
            memset(d, 0, sizeof(Disabler))
    return d.state
