# distutils: extra_compile_args = -Wno-psabi -Wno-unused-function
# distutils: include_dirs = dsp/native
# distutils: depends = dsp/native/voice.h
"""Voice activity of groups of channels; the public side, the method and the reference are dsp/vad.py."""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t

from dsp import vad as _constants

cdef extern from *:
    """
    #include "voice.h"

    enum { BANDS = 7, SPLITS = 6, SPEECH = 2 };

    typedef struct { lanes x[3], y[2]; } split_state;

    typedef struct {
        split_state split[SPLITS];
        lanes high_pass[2];
        lanes energy[BANDS], noise[BANDS], ratio[BANDS];
        lanes score, run, hold, blocks;     /* blocks counts up to learn_blocks */
    } vad_group;

    static float all_pass[2], high_pass[2], weights[BANDS], energy_keep, ratio_keep, score_keep, noise_keep, learn_keep,
        learn_blocks, noise_rise, noise_lowest, sure, ratio_highest, likelihood_highest, threshold, burst_blocks, hangover_blocks;

    /* n pairs in, n samples of the lower and of the upper half out; in place where low == even. */
    #define SPLIT(s, n, EVEN, ODD, low, high) do { \\
        lanes e1 = (s)->x[0], o1 = (s)->x[1], o2 = (s)->x[2], y0 = (s)->y[0], y1 = (s)->y[1]; \\
        for (int i = 0; i < (n); i++) { \\
            lanes even = (EVEN), odd = (ODD); \\
            /* the recursion is one multiply-add long: what does not depend on the last output comes first */ \\
            y0 = (all_pass[0] * even + e1) - all_pass[0] * y0; \\
            y1 = (all_pass[1] * o1 + o2) - all_pass[1] * y1; \\
            e1 = even; o2 = o1; o1 = odd; \\
            (low)[i] = 0.5f * (y0 + y1); \\
            (high)[i] = 0.5f * (y0 - y1); \\
        } \\
        (s)->x[0] = e1; (s)->x[1] = o1; (s)->x[2] = o2; (s)->y[0] = y0; (s)->y[1] = y1; \\
    } while (0)

    static inline lanes energy_of(const lanes *x, int n)
    {
        lanes total = x[0] * x[0];
        for (int i = 1; i < n; i++)
            total += x[i] * x[i];
        return total * ((float)BLOCK / n);
    }

    static void bands_of(vad_group *g, const lanes_int *pairs, lanes *energy)
    {
        lanes low[40], high[40], a[20], b[20], c[20], d[20], e[10], f[10], h[10], k[10];
        SPLIT(&g->split[0], 40, even_samples(pairs[i]), odd_samples(pairs[i]), low, high);
        SPLIT(&g->split[1], 20, low[2 * i], low[2 * i + 1], a, b);
        SPLIT(&g->split[2], 20, high[2 * i], high[2 * i + 1], c, d);
        energy[6] = energy_of(c, 20);       /* the upper half is mirrored, so its lower part is the upper one */
        energy[5] = energy_of(d, 20);
        SPLIT(&g->split[3], 10, a[2 * i], a[2 * i + 1], e, f);
        SPLIT(&g->split[4], 10, b[2 * i], b[2 * i + 1], h, k);
        energy[2] = energy_of(f, 10);
        energy[4] = energy_of(h, 10);
        energy[3] = energy_of(k, 10);
        SPLIT(&g->split[5], 5, e[2 * i], e[2 * i + 1], a, b);
        energy[1] = energy_of(b, 5);
        for (int i = 0; i < 5; i++) {
            g->high_pass[1] = high_pass[0] * (a[i] - g->high_pass[0]) + high_pass[1] * g->high_pass[1];
            g->high_pass[0] = a[i];
            a[i] = g->high_pass[1];
        }
        energy[0] = energy_of(a, 5);
    }

    static lanes detect_group(vad_group *g, const lanes_int *pairs)
    {
        lanes now[BANDS], score = all_lanes(0);
        bands_of(g, pairs, now);
        for (int k = 0; k < BANDS; k++) {
            g->energy[k] = now[k] + energy_keep * (g->energy[k] - now[k]);
            lanes gamma = lower(g->energy[k] * reciprocal(g->noise[k]), all_lanes(ratio_highest));
            lanes fresh = higher(gamma - 1, all_lanes(0));
            lanes xi = fresh + ratio_keep * (g->ratio[k] - fresh);
            g->ratio[k] = xi * reciprocal(1 + xi) * gamma;
            score += weights[k] * lower(g->ratio[k] - logarithm_2(1 + xi) * 0.693147181f, all_lanes(likelihood_highest));
        }
        g->score = score = score + score_keep * (g->score - score);
        lanes square = higher(score, all_lanes(0));
        square *= square;
        lanes_int learning = g->blocks < learn_blocks;
        lanes p = choose(learning, all_lanes(0), square * reciprocal(square + sure * sure));
        lanes share = choose(learning, all_lanes(learn_keep), all_lanes(1 - noise_keep));
        for (int k = 0; k < BANDS; k++) {
            lanes expected = now[k] + p * (g->noise[k] * noise_rise - now[k]);
            g->noise[k] = higher(g->noise[k] + share * (expected - g->noise[k]), all_lanes(noise_lowest));
        }
        g->blocks = lower(g->blocks + 1, all_lanes(learn_blocks + 1));
        lanes_int on = (score > threshold) & (g->blocks > learn_blocks);
        g->run = choose(on, lower(g->run + 1, all_lanes(burst_blocks)), all_lanes(0));
        lanes kept = choose(on, g->hold, higher(g->hold - 1, all_lanes(0)));
        g->hold = choose(on & (g->run >= burst_blocks), all_lanes(hangover_blocks), kept);
        return choose(on, all_lanes(SPEECH), choose(g->hold > 0, all_lanes(1), all_lanes(0)));
    }

    static void detect_rows(void *state, const int32_t *slot, const int32_t *row, int64_t n, const int16_t *x, int64_t x_stride,
                            uint8_t *speech, float *score)
    {
        unsigned int denormals = flush_denormals();
        for (int64_t i = 0; i < n;) {
            int16_t other[BLOCK] = {0}, *rows[LANES];
            lanes_int pairs[PAIRS], named;
            int64_t group, taken = next_group(slot + i, row + i, n - i, (int16_t *)x, x_stride, other, rows, &named, &group);
            vad_group *g = (vad_group *)state + group;
            lanes found, scores;
            rows_to_lanes(rows, pairs);
            if (taken == LANES) {
                found = detect_group(g, pairs);
                scores = g->score;
            } else {
                vad_group work = *g;
                found = detect_group(&work, pairs);
                scores = work.score;
                keep_others((lanes *)g, (lanes *)&work, sizeof work / sizeof(lanes), named);
            }
            for (int64_t j = i; j < i + taken; j++) {
                speech[slot[j]] = (uint8_t)found[slot[j] % LANES];
                if (score)
                    score[slot[j]] = scores[slot[j] % LANES];
            }
            i += taken;
        }
        restore_denormals(denormals);
    }

    static void reset_lane(void *state, int32_t slot)
    {
        vad_group *g = (vad_group *)state + slot / LANES;
        float *lane = (float *)g + slot % LANES;
        for (int64_t i = 0; i < (int64_t)(sizeof *g / sizeof(lanes)); i++)
            lane[i * LANES] = 0;
        for (int k = 0; k < BANDS; k++)
            g->noise[k][slot % LANES] = noise_lowest;
    }
    enum { GROUP_SIZE = sizeof(vad_group), LANES_HERE = LANES };
    """
    float all_pass[2]
    float high_pass[2]
    float weights[7]
    float energy_keep, ratio_keep, score_keep, noise_keep, learn_keep, learn_blocks, noise_rise, noise_lowest, sure
    float ratio_highest, likelihood_highest, threshold, burst_blocks, hangover_blocks
    int GROUP_SIZE, LANES_HERE
    void detect_rows(void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, uint8_t *, float *) noexcept nogil
    void reset_lane(void *, int32_t) noexcept nogil

GROUP_OCTETS, LANES = GROUP_SIZE, LANES_HERE


def take_constants():
    """Copy the constants of dsp/vad.py, so that kernel and reference have one source."""
    global energy_keep, ratio_keep, score_keep, noise_keep, learn_keep, learn_blocks, noise_rise, noise_lowest, sure
    global ratio_highest, likelihood_highest, threshold, burst_blocks, hangover_blocks
    c = _constants
    for i in range(2):
        all_pass[i], high_pass[i] = c.ALL_PASS[i], c.HIGH_PASS[i]
    for i in range(7):
        weights[i] = c.WEIGHTS[i]
    energy_keep, ratio_keep, score_keep, noise_keep, learn_keep = c.ENERGY_KEEP, c.RATIO_KEEP, c.SCORE_KEEP, c.NOISE_KEEP, c.LEARN_KEEP
    learn_blocks, noise_rise, noise_lowest, sure = c.LEARN_BLOCKS, 1 + c.NOISE_RISE, c.NOISE_LOWEST, c.SURE
    ratio_highest, likelihood_highest, threshold = c.RATIO_HIGHEST, c.LIKELIHOOD_HIGHEST, c.THRESHOLD
    burst_blocks, hangover_blocks = c.BURST_BLOCKS, c.HANGOVER_BLOCKS


take_constants()


cdef void detect(void *state, const int32_t *slot, const int32_t *row, int64_t n, const int16_t *x, int64_t x_stride,
                 uint8_t *speech, float *score) noexcept nogil:
    detect_rows(state, slot, row, n, x, x_stride, speech, score)


cdef void reset(void *state, int32_t slot) noexcept nogil:
    reset_lane(state, slot)


capi = {
    "detect": PyCapsule_New(<void *>detect, "void (void *, const int32_t *, const int32_t *, int64_t, const int16_t *, int64_t, uint8_t *, float *)", NULL),
    "reset": PyCapsule_New(<void *>reset, "void (void *, int32_t)", NULL),
}


def call_detect(uint8_t[::1] state, const int32_t[::1] slot, const int32_t[::1] row, const int16_t[:, ::1] x,
                uint8_t[::1] speech, float[::1] score):
    """x: int16 (n_rows, 80); speech and score (or None) by slot, written; see dsp/vad.py."""
    cdef float *scores = NULL
    if score is not None:
        scores = &score[0]
    with nogil:
        detect_rows(&state[0], &slot[0], &row[0], slot.shape[0], &x[0, 0], x.shape[1], &speech[0], scores)


def call_reset(uint8_t[::1] state, int32_t slot):
    reset_lane(&state[0], slot)
