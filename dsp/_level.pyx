# distutils: extra_compile_args = -Wno-psabi -Wno-unused-function
# distutils: include_dirs = dsp/native
# distutils: depends = dsp/native/voice.h
"""Level control of rows; the public side, the method and the reference are dsp/level.py.

Samples are measured and scaled along the row; only the sums and the state
records of LANES rows are turned to lanes, where the gains are found.  So slots
may be in any order.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t

from dsp import level as _constants

cdef extern from *:
    """
    #include "voice.h"

    enum { RECORD = 16, RUN = 16, GAIN = 0, WANTED, LEVEL, NOISE, HEARD, TARGET, HIGHEST, LOWEST, RISE, FALL };
    typedef int16_t samples __attribute__((vector_size(2 * LANES)));

    static float limit, mean_blocks, start_blocks, start_rise, noise_share, recover, pause_fall, quiet_power;

    static inline lanes load_samples(const int16_t *x) { samples v; memcpy(&v, x, sizeof v); return __builtin_convertvector(__builtin_convertvector(v, lanes_int), lanes); }
    #if LANES == 16
    #define LANE_NUMBER ((lanes){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
    static inline void store_samples(int16_t *x, lanes_int y) { _mm256_storeu_si256((__m256i *)x, _mm512_cvtepi32_epi16((__m512i)y)); }
    #else
    #define LANE_NUMBER ((lanes)LANE_NUMBERS)
    #if LANES == 8
    #define LANE_NUMBERS {0, 1, 2, 3, 4, 5, 6, 7}
    #else
    #define LANE_NUMBERS {0, 1, 2, 3}
    #endif
    static inline void store_samples(int16_t *x, lanes_int y) { samples v = __builtin_convertvector(y, samples); memcpy(x, &v, sizeof v); }
    #endif
    static inline lanes root(lanes a) { return power_of_2(0.5f * logarithm_2(a)); }

    /* Mean square and greatest magnitude of LANES rows. */
    static inline void measure(int16_t *const *row, lanes *power, lanes *peak)
    {
        lanes_int sums[LANES], peaks[LANES];
        for (int r = 0; r < LANES; r++) {
            lanes s = all_lanes(0), p = all_lanes(0);
            for (int i = 0; i < BLOCK; i += LANES) {
                lanes x = load_samples(row[r] + i);
                s += x * x;
                p = higher(p, higher(x, -x));
            }
            sums[r] = (lanes_int)s;
            peaks[r] = (lanes_int)p;
        }
        turn_square(sums);
        turn_square(peaks);
        *power = (lanes)sums[0];
        *peak = (lanes)peaks[0];
        for (int i = 1; i < LANES; i++) {
            *power += (lanes)sums[i];
            *peak = higher(*peak, (lanes)peaks[i]);
        }
        *power *= 1.0f / BLOCK;
    }

    static inline void turn_records(float *const *record, lanes *field)
    {
        for (int part = 0; part < RECORD; part += LANES) {
            for (int r = 0; r < LANES; r++)
                memcpy(&field[part + r], record[r] + part, sizeof(lanes));
            turn_square((lanes_int *)field + part);
        }
    }

    static inline void turn_records_back(lanes *field, float *const *record)
    {
        for (int part = 0; part < RECORD; part += LANES) {
            turn_square((lanes_int *)field + part);
            for (int r = 0; r < LANES; r++)
                memcpy(record[r] + part, &field[part + r], sizeof(lanes));
        }
    }

    /* The gain at the end of the block; flag: 0 pause, 1 hangover, 2 speech. */
    static inline lanes next_gain(lanes *f, lanes power, lanes flag)
    {
        lanes_int speech = (flag == 2) & (power >= 1), pause = flag == 0;
        lanes heard = lower(f[HEARD] + 1, all_lanes(mean_blocks));
        lanes level = f[LEVEL] + (power - f[LEVEL]) * reciprocal(heard);
        lanes rise = choose(f[HEARD] < start_blocks, all_lanes(start_rise), f[RISE]);
        lanes ideal = root(f[TARGET] * reciprocal(higher(level, all_lanes(0.01f))));
        ideal = higher(lower(ideal, f[HIGHEST]), f[LOWEST]);
        ideal = higher(lower(ideal, f[WANTED] * rise), f[WANTED] * f[FALL]);
        f[HEARD] = choose(speech, heard, f[HEARD]);
        f[LEVEL] = choose(speech, level, f[LEVEL]);
        f[WANTED] = choose(speech, ideal, f[WANTED]);
        f[NOISE] = choose(pause, f[NOISE] + noise_share * (power - f[NOISE]), f[NOISE]);
        lanes quiet = root(quiet_power * reciprocal(higher(f[NOISE], all_lanes(1e-3f))));
        lanes low = lower(f[WANTED], higher(quiet, all_lanes(1)));
        low = higher(low, lower(f[WANTED], f[GAIN] * pause_fall));
        return lower(choose(pause, low, f[WANTED]), f[GAIN] * recover);
    }

    /* x times a line from gain to end. */
    static inline void scale(int16_t *x, int n, float gain, float end)
    {
        float slope = (end - gain) * (n == BLOCK ? 1.0f / BLOCK : 1.0f / RUN);
        lanes at = gain + slope * LANE_NUMBER, step = all_lanes(slope * LANES);
        for (int i = 0; i < n; i += LANES, at += step) {
            lanes_int y = __builtin_convertvector(nearest(load_samples(x + i) * at), lanes_int);
            store_samples(x + i, y);
        }
    }

    /* The same where the line would lead above the limit; returns the gain at the end. */
    static float scale_limited(int16_t *x, float gain, float end)
    {
        float allowed[BLOCK / RUN], node = 0;
        for (int i = 0; i < BLOCK / RUN; i++) {
            int peak = 1;
            for (int k = 0; k < RUN; k++) {
                int y = x[RUN * i + k] < 0 ? -x[RUN * i + k] : x[RUN * i + k];
                peak = y > peak ? y : peak;
            }
            allowed[i] = limit / peak;
        }
        for (int i = 0; i <= BLOCK / RUN; i++) {
            float next = gain + (end - gain) * i / (BLOCK / RUN);
            if (i < BLOCK / RUN && allowed[i] < next)
                next = allowed[i];
            if (i > 0 && allowed[i - 1] < next)
                next = allowed[i - 1];
            if (i > 0)
                scale(x + RUN * (i - 1), RUN, node, next);
            node = next;
        }
        return node;
    }

    static void control_rows(void *state, const int32_t *slot, const int32_t *row, int64_t n, int16_t *x, int64_t x_stride,
                             const uint8_t *speech)
    {
        unsigned int denormals = flush_denormals();
        for (int64_t i = 0; i < n; i += LANES) {
            int16_t other[BLOCK] = {0}, *rows[LANES];
            float nobody[RECORD] = {0}, *record[LANES];
            lanes field[RECORD], flag = all_lanes(2), power, peak;
            int here = n - i < LANES ? n - i : LANES;
            for (int r = 0; r < LANES; r++) {
                rows[r] = r < here ? x + x_stride * row[i + r] : other;
                record[r] = r < here ? (float *)state + RECORD * slot[i + r] : nobody;
                if (speech && r < here)
                    flag[r] = speech[slot[i + r]];
            }
            measure(rows, &power, &peak);
            turn_records(record, field);
            lanes begin = field[GAIN], end = next_gain(field, power, flag);
            lanes_int loud = peak * higher(begin, end) > limit;
            field[GAIN] = end;
            turn_records_back(field, record);
            for (int r = 0; r < here; r++) {
                if (loud[r])
                    record[r][GAIN] = scale_limited(rows[r], begin[r], end[r]);
                else
                    scale(rows[r], BLOCK, begin[r], end[r]);
            }
        }
        restore_denormals(denormals);
    }

    static void configure_slot(void *state, int32_t slot, float target, float highest, float lowest, float rise, float fall)
    {
        float *record = (float *)state + RECORD * slot;
        memset(record, 0, RECORD * sizeof *record);
        record[GAIN] = record[WANTED] = 1;
        record[TARGET] = target;
        record[HIGHEST] = highest;
        record[LOWEST] = lowest;
        record[RISE] = rise;
        record[FALL] = fall;
    }
    """
    float limit, mean_blocks, start_blocks, start_rise, noise_share, recover, pause_fall, quiet_power
    void control_rows(void *, const int32_t *, const int32_t *, int64_t, int16_t *, int64_t, const uint8_t *) noexcept nogil
    void configure_slot(void *, int32_t, float, float, float, float, float) noexcept nogil


def take_constants():
    """Copy the constants of dsp/level.py, so that kernel and reference have one source."""
    global limit, mean_blocks, start_blocks, start_rise, noise_share, recover, pause_fall, quiet_power
    c = _constants
    limit, mean_blocks, start_blocks, start_rise = c.LIMIT, c.MEAN_BLOCKS, c.START_BLOCKS, c.ratio(c.START_RISE_DB)
    noise_share, recover, pause_fall = c.NOISE_SHARE, c.ratio(c.RECOVER_DB), c.ratio(-c.PAUSE_FALL_DB)
    quiet_power = c.FULL_0_DBM0 * c.ratio(c.QUIET_DBM0) ** 2


take_constants()


cdef void control(void *state, const int32_t *slot, const int32_t *row, int64_t n, int16_t *x, int64_t x_stride,
                  const uint8_t *speech) noexcept nogil:
    control_rows(state, slot, row, n, x, x_stride, speech)


cdef void configure(void *state, int32_t slot, float target, float highest, float lowest, float rise, float fall) noexcept nogil:
    configure_slot(state, slot, target, highest, lowest, rise, fall)


capi = {
    "control": PyCapsule_New(<void *>control, "void (void *, const int32_t *, const int32_t *, int64_t, int16_t *, int64_t, const uint8_t *)", NULL),
    "configure": PyCapsule_New(<void *>configure, "void (void *, int32_t, float, float, float, float, float)", NULL),
}


def call_control(uint8_t[::1] state, const int32_t[::1] slot, const int32_t[::1] row, int16_t[:, ::1] x, const uint8_t[::1] speech):
    """x: int16 (n_rows, 80), in place; speech (or None) by slot; see dsp/level.py."""
    cdef const uint8_t *flags = NULL
    if speech is not None:
        flags = &speech[0]
    with nogil:
        control_rows(&state[0], &slot[0], &row[0], slot.shape[0], &x[0, 0], x.shape[1], flags)


def call_configure(uint8_t[::1] state, int32_t slot, float target, float highest, float lowest, float rise, float fall):
    configure_slot(&state[0], slot, target, highest, lowest, rise, fall)
