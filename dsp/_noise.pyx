# distutils: extra_compile_args = -Wno-psabi -Wno-unused-function
# distutils: include_dirs = dsp/native
# distutils: depends = dsp/native/voice.h dsp/native/fft128.h
"""Noise reduction of groups of channels; the public side, the method and the reference are dsp/noise.py.

A real FFT of 256 points is a complex one of 128 on pairs of samples.  Each pair
of bins k, 128 - k is separated, judged, weighted and put together again in
place, so a frame of a group is one buffer of 128 points that stays in the
first-level cache; a group's state is read and written once a frame.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t

from dsp import noise as _constants

cdef extern from *:
    """
    #include "fft128.h"

    enum { BINS = 129, HISTORY = 88 };

    typedef struct {
        lanes_int bins[BINS];           /* noise power above, last clean power below; kept small because memory is the bound */
        lanes_int history[HISTORY];     /* 176 samples */
        lanes_int tail[PAIRS];
        lanes share, frames;            /* frames counts up to learn_frames */
    } group_state;

    static float analysis[256], synthesis[256];     /* synthesis holds the scale of the transforms */
    static float turn256[65][2];
    static float xi_speech, noise_keep, learn_keep, learn_frames, noise_rise, share_keep, share_pause,
        share_scale, past_pause, past_change, over_pause, noise_lowest, ratio_highest, exponent_highest, floor_pause,
        floor_change, mean_scale;
    static int mean_first, mean_end;

    static void prepare_turns(void)
    {
        fft_prepare();
        for (int k = 0; k <= 64; k++) {
            turn256[k][0] = (float)cos(2 * M_PI * k / 256);
            turn256[k][1] = (float)-sin(2 * M_PI * k / 256);
        }
    }

    /* What a frame keeps at hand between the two walks through its bins. */
    typedef struct {
        lanes fresh, trust;     /* share of the new estimate; 0 in the first frames, which are noise, then 1 */
        lanes s, over, floor;
        lanes noise[BINS], p[BINS];
    } frame_view;

    /* Step 2: speech probability and noise power of a bin. */
    static inline lanes judge(const group_state *g, frame_view *v, int k, lanes power)
    {
        lanes noise = packed_high(g->bins[k]);
        lanes exponent = lower(power * reciprocal(noise) * (xi_speech / (1 + xi_speech)), all_lanes(exponent_highest));
        lanes p = reciprocal(1 + (1 + xi_speech) * power_of_2(exponent * -1.44269504f));
        lanes expected = power + p * v->trust * (noise * noise_rise - power);
        v->noise[k] = higher(noise + v->fresh * (expected - noise), all_lanes(noise_lowest));
        v->p[k] = p;
        return p;
    }

    /* Steps 4 and 5: the weight of a bin. */
    static inline lanes weight(group_state *g, const frame_view *v, int k, lanes power)
    {
        lanes per_noise = reciprocal(v->noise[k] * v->over);
        lanes past = past_pause - past_change * v->s * v->p[k];
        lanes fresh = higher(lower(power * per_noise, all_lanes(ratio_highest)) - 1, all_lanes(0));
        lanes xi = fresh + past * (packed_low(g->bins[k]) * per_noise - fresh);
        lanes wiener = xi * reciprocal(1 + xi);
        g->bins[k] = pack(v->noise[k], wiener * wiener * power);
        return higher(wiener * (wiener + v->s * (1 - wiener)), v->floor);
    }

    static inline lanes power_of(point a) { return a.re * a.re + a.im * a.im; }

    /* The state of the next group is fetched meanwhile, little by little: that of 4,096 channels is far larger than
       any cache, and without this a third of the time is spent waiting for it. */
    enum { FETCHES = 32 + 64, FETCHED = (sizeof(group_state) / 64 + FETCHES) / FETCHES };   /* lines each time */
    static inline void fetch_next(const group_state *g, int turn)
    {
        for (int i = 0; i < FETCHED; i++)
            __builtin_prefetch((const char *)(g + 1) + 64 * (FETCHED * turn + i), 1, 2);
    }

    /* 40 new pairs in, 40 out, one frame of a group. */
    static void reduce_group(group_state *g, const group_state *now, lanes_int *pairs)
    {
        point z[128];
        lanes_int tail[PAIRS];
        frame_view v;
        for (int j = 0; j < 32; j++) {
            point in[4];
            fetch_next(now, j);
            for (int i = 0; i < 4; i++) {
                int at = j + 32 * i;
                lanes_int two = at < HISTORY ? g->history[at] : pairs[at - HISTORY];
                in[i].re = even_samples(two) * analysis[2 * at];
                in[i].im = odd_samples(two) * analysis[2 * at + 1];
            }
            butterfly(z + j, 32, j, in[0], in[1], in[2], in[3]);
        }
        for (int i = 0; i < HISTORY; i++)
            g->history[i] = i + PAIRS < HISTORY ? g->history[i + PAIRS] : pairs[i + PAIRS - HISTORY];
        fft_rest(z);

        lanes_int learning = g->frames < learn_frames;
        v.trust = choose(learning, all_lanes(0), all_lanes(1));
        v.fresh = choose(learning, all_lanes(1 - learn_keep), all_lanes(1 - noise_keep));
        g->frames = lower(g->frames + 1, all_lanes(learn_frames));

        /* Bins k and 128 - k from points k and 128 - k; factor 2 left in (the windows take it out). */
        lanes mean = all_lanes(0);
        point first = z[0];
        z[0].re = first.re + first.im;
        z[0].im = first.re - first.im;      /* bins 0 and 128 are real */
        z[0].re *= 2;
        z[0].im *= 2;
        judge(g, &v, 0, z[0].re * z[0].re);
        judge(g, &v, 128, z[0].im * z[0].im);
        for (int k = 1; k <= 64; k++) {
            point *low = z + fft_place[k], *high = z + fft_place[128 - k];
            fetch_next(now, 31 + k);
            point a = *low, b = *high;
            lanes even_re = a.re + b.re, even_im = a.im - b.im, odd_re = a.im + b.im, odd_im = b.re - a.re;
            float c = turn256[k][0], s = turn256[k][1];
            lanes re = odd_re * c - odd_im * s, im = odd_re * s + odd_im * c;
            point x = {even_re + re, even_im + im}, y = {even_re - re, even_im - im};
            *high = y;      /* conjugated */
            *low = x;
            lanes p = judge(g, &v, k, power_of(x));
            if (k >= mean_first && k < mean_end)
                mean += p;
            if (k < 64) {
                p = judge(g, &v, 128 - k, power_of(y));
                if (128 - k >= mean_first && 128 - k < mean_end)
                    mean += p;
            }
        }
        mean *= mean_scale;
        g->share = higher(mean, mean + share_keep * (g->share - mean));
        v.s = clamp((g->share - share_pause) * share_scale, 0, 1);
        v.s *= v.s * (3 - 2 * v.s);
        v.over = 1 + over_pause * (1 - v.s);
        v.floor = power_of_2(floor_pause + floor_change * v.s);

        lanes low_weight = weight(g, &v, 0, z[0].re * z[0].re) * z[0].re;
        lanes high_weight = weight(g, &v, 128, z[0].im * z[0].im) * z[0].im;
        z[0].re = low_weight + high_weight;
        z[0].im = low_weight - high_weight;
        for (int k = 1; k <= 64; k++) {
            point *low = z + fft_place[k], *high = z + fft_place[128 - k];
            point x = *low, y = *high;
            lanes w = weight(g, &v, k, power_of(x));
            x.re *= w;
            x.im *= w;
            if (k < 64) {
                w = weight(g, &v, 128 - k, power_of(y));
                y.re *= w;
                y.im *= w;
            } else {        /* both are bin 64 */
                y.re = x.re;
                y.im = -x.im;
            }
            lanes even_re = x.re + y.re, even_im = x.im + y.im, re = x.re - y.re, im = x.im - y.im;
            float c = turn256[k][0], s = turn256[k][1];
            lanes odd_re = re * c + im * s, odd_im = im * c - re * s;
            *high = (point){even_re + odd_im, odd_re - even_im};
            *low = (point){even_re - odd_im, even_im + odd_re};
        }

        fft_rest_back(z);
        for (int j = 0; j < 32; j++) {
            point out[4];
            butterfly_back(z + j, 32, j, out);
            for (int i = 1; i < 4; i++) {
                int at = j + 32 * i;
                if (at < 48)
                    continue;
                lanes even = out[i].re * synthesis[2 * at], odd = out[i].im * synthesis[2 * at + 1];
                int to = at - 48;
                if (at < HISTORY)
                    pairs[to] = pair_of(even_samples(g->tail[to]) + even, odd_samples(g->tail[to]) + odd);
                else
                    tail[to - PAIRS] = pair_of(even, odd);
            }
        }
        for (int i = 0; i < PAIRS; i++)
            g->tail[i] = tail[i];
    }

    static void reduce_rows(void *state, const int32_t *slot, const int32_t *row, int64_t n, int16_t *x, int64_t x_stride)
    {
        unsigned int denormals = flush_denormals();
        for (int64_t i = 0; i < n;) {
            int16_t other[BLOCK] = {0}, *rows[LANES];
            lanes_int pairs[PAIRS], named;
            int64_t group, taken = next_group(slot + i, row + i, n - i, x, x_stride, other, rows, &named, &group);
            group_state *g = (group_state *)state + group;
            rows_to_lanes(rows, pairs);
            if (taken == LANES) {
                reduce_group(g, g, pairs);
            } else {
                group_state work = *g;
                reduce_group(&work, g, pairs);
                keep_others((lanes *)g, (lanes *)&work, sizeof work / sizeof(lanes), named);
            }
            lanes_to_rows(pairs, rows);
            i += taken;
        }
        restore_denormals(denormals);
    }

    static void reset_lane(void *state, int32_t slot)
    {
        group_state *g = (group_state *)state + slot / LANES;
        float *lane = (float *)g + slot % LANES;
        for (int64_t i = 0; i < (int64_t)(sizeof *g / sizeof(lanes)); i++)
            lane[i * LANES] = 0;
        lanes_int nothing = pack(all_lanes(noise_lowest), all_lanes(0));
        for (int k = 0; k < BINS; k++)
            g->bins[k][slot % LANES] = nothing[0];
    }
    enum { GROUP_SIZE = sizeof(group_state), LANES_HERE = LANES };
    """
    float analysis[256]
    float synthesis[256]
    float xi_speech, noise_keep, learn_keep, learn_frames, noise_rise, share_keep, share_pause
    float share_scale, past_pause, past_change, over_pause, noise_lowest, ratio_highest, exponent_highest, floor_pause
    float floor_change, mean_scale
    int mean_first, mean_end, GROUP_SIZE, LANES_HERE
    void prepare_turns() noexcept nogil
    void reduce_rows(void *, const int32_t *, const int32_t *, int64_t, int16_t *, int64_t) noexcept nogil
    void reset_lane(void *, int32_t) noexcept nogil

GROUP_OCTETS, LANES = GROUP_SIZE, LANES_HERE


def take_constants():
    """Copy the constants of dsp/noise.py, so that kernel and reference have one source."""
    global xi_speech, noise_keep, learn_keep, learn_frames, noise_rise, share_keep, share_pause
    global share_scale, past_pause, past_change, over_pause, noise_lowest, ratio_highest, exponent_highest, floor_pause
    global floor_change, mean_scale, mean_first, mean_end
    c = _constants
    for i in range(256):
        analysis[i] = c.ANALYSIS[i] / 2                 # the bins are made twice too large
        synthesis[i] = c.SYNTHESIS[i] / 128 / 2         # two halves of a pair, 128 points
    xi_speech, noise_keep, learn_keep, learn_frames = c.XI_SPEECH, c.NOISE_KEEP, c.LEARN_KEEP, c.LEARN_FRAMES
    noise_rise, share_keep, share_pause = 1 + c.NOISE_RISE, c.SHARE_KEEP, c.SHARE_PAUSE
    share_scale = 1 / (c.SHARE_SPEECH - c.SHARE_PAUSE)
    past_pause, past_change, over_pause = c.PAST_PAUSE, c.PAST_PAUSE - c.PAST_SPEECH, c.OVER_PAUSE
    noise_lowest, ratio_highest, exponent_highest = c.NOISE_LOWEST, c.RATIO_HIGHEST, c.EXPONENT_HIGHEST
    floor_pause = c.FLOOR_PAUSE_DB / 6.020599913        # as powers of two
    floor_change = (c.FLOOR_SPEECH_DB - c.FLOOR_PAUSE_DB) / 6.020599913
    mean_first, mean_end = c.MEAN_BINS
    mean_scale = 1.0 / (mean_end - mean_first)
    prepare_turns()


take_constants()


cdef void reduce(void *state, const int32_t *slot, const int32_t *row, int64_t n, int16_t *x, int64_t x_stride) noexcept nogil:
    reduce_rows(state, slot, row, n, x, x_stride)


cdef void reset(void *state, int32_t slot) noexcept nogil:
    reset_lane(state, slot)


capi = {
    "reduce": PyCapsule_New(<void *>reduce, "void (void *, const int32_t *, const int32_t *, int64_t, int16_t *, int64_t)", NULL),
    "reset": PyCapsule_New(<void *>reset, "void (void *, int32_t)", NULL),
}


def call_reduce(uint8_t[::1] state, const int32_t[::1] slot, const int32_t[::1] row, int16_t[:, ::1] x):
    """x: int16 (n_rows, 80), in place; see dsp/noise.py."""
    with nogil:
        reduce_rows(&state[0], &slot[0], &row[0], slot.shape[0], &x[0, 0], x.shape[1])


def call_reset(uint8_t[::1] state, int32_t slot):
    reset_lane(&state[0], slot)
