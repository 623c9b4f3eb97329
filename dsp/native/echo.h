/* Line echo canceller on lanes; the method is told in dsp/echo.py, which names the same steps.

   All arrays of a tick are on the stack; the state of a group is three runs of memory
   (a ring of far samples, two sets of taps) and a record of control values.  Memory is the
   bound at full density, so the taps are kept in half precision where a processor widens
   them as it loads (F16C); what that rounds away lies 70 dB below a bin, and 30 dB below
   what A-law leaves of an echo.  Sums are always single precision.  For the same reason
   walks through a spectrum are fused: each array is gone through as seldom as can be.

   echo_state.h: the memory of a group; echo_spectra.h: transforms, filtering, the change of taps; echo_solve.h: correlation and
   equations; here: control, processor and the functions that are called. */

#ifndef STROWGER_ECHO_H
#define STROWGER_ECHO_H
#include "echo_solve.h"
#include "echo_spectra.h"

/* Step 8.  A lane is fresh in its first so many blocks of far speech; the kinds of lanes that are due, each in one
   of so many blocks, by what the flags ask to be spared. */
enum { FRESH = 1000, GATHERED = 24 /* blocks: what lies before has faded to 2 % */ };
typedef struct { int young, rescued, fresh, unsettled, settled_fresh, settled; } schedule;
static const schedule SCHEDULE[4] = {{1, 1, 1, 4, 4, 8}, {1, 1, 2, 4, 8, 8}, {2, 2, 4, 4, 8, 8}, {4, 4, 4, 4, 8, 8}};

/* Steps 1 to 6 for one group: far and near are pairs of this tick; near is replaced. */
static void cancel_group(echo_group *g, int64_t group, int64_t partitions, const lanes_int *new_far, lanes_int *near,
                         lanes_int named, lanes_int closed, lanes_int linear, lanes_int frozen, lanes_int quiet, int spare)
{
    /* Some points of room after each, so that they do not fall on the same places of the first-level cache. */
    point x[MOST_PARTITIONS][FRAME_PAIRS + 6], z[FRAME_PAIRS + 6], fore_sum[FRAME_PAIRS + 6], back_sum[FRAME_PAIRS + 6];
    lanes d[BLOCK], fore[BLOCK], back[BLOCK], recent[LONG_ORDER + BLOCK], step[BLOCK];
    lanes_int *far = far_of(g, partitions);
    tap *fore_taps = fore_of(g, partitions), *back_taps = back_of(g, partitions);
    control *c = &g->c;
    lanes *correlation = g->rest;
    const int ring = (int)ring_pairs(partitions), order = order_of(partitions);
    const float scale = 1.0f / 256;     /* of spectra: taps are kept twice too large */

    /* 1: the far samples, and the near ones without their mean */
    const int64_t ahead = echo_group_octets(partitions);
    g->turn += 1;
    const int newest = (int)((uint32_t)g->turn[0] % (uint32_t)(ring / PAIRS)) * PAIRS, past = newest + PAIRS;
    for (int i = 0; i < PAIRS; i++) far[newest + i] = new_far[i];
    for (int i = 0; i < PAIRS; i++) {
        d[2 * i] = even_samples(near[i]) - c->offset;
        d[2 * i + 1] = odd_samples(near[i]) - c->offset;
    }

    /* 4, the newest part of it: how loud the far party has been */
    const float fading = partitions > 3 ? 0.94f : 0.85f, root_fading = partitions > 3 ? 0.969535971f : 0.921954446f;
    for (int i = 0; i < PAIRS; i++) {
        recent[order + 2 * i] = even_samples(new_far[i]);
        recent[order + 1 + 2 * i] = odd_samples(new_far[i]);
    }
    lanes far_now = energy(recent + order);
    lanes far_sum = correlation[0] * fading + far_now * BLOCK + 1;
    c->far_peak = higher(far_now, c->far_peak * 0.8f);
    lanes_int active = (far_sum > 400.0f * 800) & ~frozen & ~closed;

    /* 8: who learns in this block */
    const int32_t block = g->turn[0] + (int32_t)group;
    const lanes_int window = (lanes_int){0} - (((block + 36 * (int32_t)group) & 511) < 16);
    lanes_int foreign = c->foreign != 0, unsettled = c->settled == 0, due = {0};
    const schedule *often = &SCHEDULE[spare];
    if (block % often->young == 0)
        due |= unsettled & (c->young != 0);
    if (block % often->fresh == 0)
        due |= unsettled & (c->age < FRESH);
    if (block % often->rescued == 0)
        due |= unsettled & (c->rescue != 0) & (c->tries > 1.99f);
    if (block % often->unsettled == 0)
        due |= unsettled;
    if (block % often->settled_fresh == 0)
        due |= (~foreign & (c->age < FRESH)) | window;
    if (block % often->settled == 0)
        due |= ~foreign;
    due &= active;
    const int learning = !none_of(due);

    /* Where no lane has taps of any value there is nothing to filter; and nothing to correlate, unless somebody may learn
       soon: lanes without echo in their windows, before which the correlation is gathered from nothing; others when
       the far party speaks, who is not heard now. */
    const int asleep = !learning && none_of(named & (c->blank == 0));
    const int soon = ((block + 36 * (int32_t)group + GATHERED) & 511) < GATHERED + 16;
    if (asleep && !soon && none_of(named & active & (~foreign | (c->rescue != 0)))) {
        correlation[0] = far_sum - 1;
        for (int i = 1; i <= order; i++) correlation[i] = all_lanes(0);
    } else {
        for (int i = 0; i < order / 2; i++) {
            int at = newest - order / 2 + i;
            lanes_int pair = far[at < 0 ? at + ring : at];
            recent[2 * i] = even_samples(pair) * root_fading;
            recent[2 * i + 1] = odd_samples(pair) * root_fading;
        }
        (partitions > 3 ? correlate_long : correlate_block)(recent, correlation, fading);
    }

    /* 2, 3: both echo estimates; a group that does not learn needs the spectra no longer */
    for (int q = 0; q < partitions && !asleep; q++) {
        int start = past - FRAME_PAIRS - TAP_PAIRS * q;
        start = start < 0 ? start + ring : start;
        const char *record = (const char *)g + ahead + 32 * FETCHED * q;
        if (learning)
            filter_twice(x[q], far, start, ring, fore_taps + FRAME_PAIRS * q, fore_sum, back_taps + FRAME_PAIRS * q, back_sum, q == 0, ahead, record);
        else
            filter_once(far, start, ring, fore_taps + FRAME_PAIRS * q, fore_sum, q == 0, ahead, record);
    }
    if (asleep) {
        memcpy(fore, d, sizeof fore);
        for (unsigned i = 0; i < sizeof(echo_group) + sizeof(lanes) * (order + 1); i += 64) __builtin_prefetch((const char *)g + ahead + i, 1, 2);
    } else {
        values_of_block(fore_sum, fore);
        for (int i = 0; i < BLOCK; i++) fore[i] = d[i] - fore[i] * scale;
    }
    lanes apart = {0}, mean = {0};
    for (int i = 0; i < BLOCK; i++) mean += fore[i];
    if (learning) {
        values_of_block(back_sum, back);
        for (int i = 0; i < BLOCK; i++) {
            back[i] = d[i] - back[i] * scale;
            lanes between = fore[i] - back[i];
            apart += between * between;
        }
        apart *= 1.0f / BLOCK;
    }
    /* Of the error, since the echo has low frequencies of its own; in small steps, since near speech has, too. */
    c->offset += clamp(mean * (0.01f / BLOCK), -0.1f, 0.1f);
    lanes fore_now = energy(fore), back_now = learning ? energy(back) : fore_now, near_now = energy(d);

    /* Control, step 6 */
    lanes now = lower(choose(due, lower(fore_now, back_now), fore_now), near_now);
    c->floor_mean = choose(c->ticks == 0, now, c->floor_mean * 0.6f + now * 0.4f);
    c->floor_now = lower(c->floor_now, c->floor_mean);
    c->ticks += 1;
    lanes_int turn = c->ticks > 100;
    c->floor_past = choose(turn, c->floor_now, c->floor_past);
    c->floor_now = choose(turn, c->floor_mean, c->floor_now);
    c->ticks = choose(turn, all_lanes(1), c->ticks);
    c->floor = lower(c->floor_past, c->floor_now);
    lanes noise = higher(near_now * 4e-4f + 20, c->floor * 1.5f);
    lanes_int rescue = c->rescue != 0, young = c->young != 0;
    c->fore_power = c->fore_power * 0.8f + fore_now;
    c->seen = choose(due, c->seen * 0.8f + fore_now, c->seen);
    c->back_power = choose(due, c->back_power * 0.8f + back_now, c->back_power);
    c->apart_power = choose(due, c->apart_power * 0.8f + apart, c->apart_power);
    c->expected_power = c->expected_power * 0.8f + choose(rescue, c->p_before, c->p) * far_sum + noise;
    c->fore_slow = c->fore_slow * 0.9f + fore_now;
    c->back_slow = choose(due, c->back_slow * 0.9f + back_now, c->back_slow);
    c->near_slow = c->near_slow * 0.9f + near_now;
    c->far_power = c->far_power * 0.8f + far_sum;
    lanes_int better_fine = (c->seen - c->back_power > 0.5f * c->apart_power) & (c->apart_power > 1e-3f * c->seen) & (back_now <= fore_now);
    lanes_int better_rescue = (c->back_slow < 0.25f * c->fore_slow) & (back_now < 0.5f * fore_now) & (c->since > 8);
    lanes_int better = due & ((rescue & better_rescue) | (~rescue & better_fine));
    lanes_int worse = ((c->back_power > 1.5f * c->seen + 100) | (back_now > 4 * fore_now + 400)) & due;
    /* Twice the taps take twice as long: what a rescue of a long tail has learnt by the first pause of the far party is no reason to end it. */
    const float patience = partitions > 3 ? 100 : 40, trial = partitions > 3 ? 80 : 10;
    if (partitions > 3)
        worse &= ~(rescue & (c->since <= trial));
    c->since = choose(active, c->since + 1, c->since);
    c->surprise = choose(active, choose(c->fore_power > 8 * c->expected_power, c->surprise + 1, all_lanes(0)), c->surprise);
    lanes_int rescued = better & rescue;
    lanes_int end = ~better & rescue & due & ((c->since > patience) | (worse & (c->since > trial)));
    lanes_int start = ~better & ~rescue & ~young & due & ((foreign & window) | (~foreign & (c->surprise > 6) & ((c->tries >= 1) | window)));
    lanes_int again = ~better & (end | start | worse);
    /* better: the background becomes the foreground */
    c->fore_power = choose(better, c->back_power, c->fore_power);
    c->seen = choose(better, c->back_power, c->seen);
    c->fore_slow = choose(better, c->back_slow, c->fore_slow);
    /* again: the foreground becomes the background */
    c->back_power = choose(again, c->seen, c->back_power);
    c->back_slow = choose(again, c->fore_slow, c->back_slow);
    c->apart_power = choose(better | again, all_lanes(0), c->apart_power);
    c->young = choose(rescued, all_lanes(1), c->young);
    c->converged = choose(rescued, all_lanes(0), c->converged);
    c->age = choose(rescued, all_lanes(0), c->age);
    c->hits = choose(rescued, all_lanes(0), c->hits);
    c->surprise = choose(better | end, all_lanes(0), c->surprise);
    c->since = choose(better | end | start, all_lanes(0), c->since);
    c->tries = choose(active, lower(c->tries + 1.0f / 1000, all_lanes(3)), c->tries);
    c->tries = choose(end, higher(c->tries - 1, all_lanes(0)), c->tries);
    c->rescue = choose(better | end, all_lanes(0), choose(start, all_lanes(1), c->rescue));
    lanes grown = lower(higher(c->fore_power * reciprocal(c->far_power + 1), c->p), all_lanes(2e-4f));
    c->p_before = choose(start, c->p, c->p_before);
    c->p = choose(end, c->p_before, choose(start, grown, c->p));
    if (!none_of(better))
        copy_chosen(fore_taps, back_taps, FRAME_PAIRS * partitions, better);
    c->blank = choose(better, all_lanes(0), c->blank);
    if (!none_of(again))
        copy_chosen(back_taps, fore_taps, FRAME_PAIRS * partitions, again);
    if (!none_of(better | again))
        for (int i = 0; i < BLOCK; i++) {
            back[i] = choose(again, fore[i], back[i]);
            fore[i] = choose(better, back[i], fore[i]);
        }
    back_now = choose(again, fore_now, back_now);
    fore_now = choose(better, back_now, fore_now);
    young = c->young != 0;
    rescue = c->rescue != 0;
    lanes evidence = 0.3f * (c->back_power * 0.2f - 2 * noise) * reciprocal(c->far_power * 0.2f + 1);
    c->p = choose(due & young, clamp(higher(c->p, evidence), 1e-12f, 2e-4f), c->p);
    c->converged = choose(active & young & (near_now > 100 * noise),
                          choose(c->fore_slow < 0.02f * c->near_slow, c->converged + 1, all_lanes(0)), c->converged);
    lanes_int vain = young & (c->age > 400);
    c->hits = choose(due & (back_now < 0.25f * near_now) & (near_now > 10 * noise), c->hits + 1, c->hits);
    lanes_int useless = vain & (c->hits < 10);
    c->foreign = choose(useless, all_lanes(1), choose(rescued, all_lanes(0), c->foreign));
    c->p = choose(useless, all_lanes(1e-8f), c->p);
    if (!none_of(useless))
        clear_chosen(fore_taps, FRAME_PAIRS * partitions, useless);
    c->blank = choose(useless, all_lanes(1), c->blank);
    c->young = choose((c->converged > 15) | vain, all_lanes(0), c->young);
    lanes doubt = choose(rescue | young, noise, higher(noise, back_now - 8 * c->p * far_sum));

    /* 5: the step */
    if (learning) {
        lanes load = doubt * reciprocal(higher(c->p, all_lanes(1e-12f)));
        load += correlation[0] * 60 * clamp(1 - 100 * unpredicted(correlation), 0, 1);
        load = lower(load, all_lanes(1e25f));
        lanes share = BLOCK - (partitions > 3 ? solve_long : solve)(correlation, load, back, step);
        share = clamp(share * (1.0f / (TAPS * partitions)), 0, 1.0f / 7);
        c->p = choose(due, c->p * (1 - 0.5f * share), c->p);
        lanes size = {0};
        spectrum_of_block(step, any(due) * 2, z);
        for (int64_t q = 0; q < partitions; q++)
            learn(back_taps + FRAME_PAIRS * q, x[q], z, &size);
        size *= 1.0f / (512 * 512);
        c->size = choose(due, size, c->size);
        c->p = choose(due, clamp(c->p + 1e-5f * higher(size, all_lanes(1e-6f)), 1e-12f, 2e-4f), c->p);
    }

    /* 8: who rests: nothing surprises, and little is to be learnt or nothing has ever been */
    lanes_int little = (c->p < 1e-3f * c->size) | (c->p * far_sum < noise);
    lanes_int explained = (fore_now < 3 * noise) | ((c->surprise > 0) & (c->tries < 1));
    c->settled = any(~rescue & ~young & ((little & explained) | (c->foreign != 0)));
    c->learnt += any(due);

    /* 7: non-linear processor and comfort noise */
    lanes_int talking = c->far_peak > 400;
    c->spoken = choose(talking, lower(c->spoken + 1, all_lanes(1000)), c->spoken);
    c->age = choose(talking, lower(c->age + 1, all_lanes(FRESH)), c->age);
    lanes_int fresh = young & (c->spoken < 150);
    lanes_int near_talk = ((fore_now > 0.02f * c->near_hold) | fresh) & ((near_now > 0.25f * c->far_peak) | ~fresh) & (fore_now > 6 * c->floor + 400);
    c->near_hold = higher(near_now, c->near_hold * 0.8f);
    lanes to_gain = choose((talking & ~near_talk) & ~linear, all_lanes(0), all_lanes(1));
    lanes gain = c->gain, gain_step = (to_gain - gain) * (1.0f / 40);
    /* uniform noise: 12^0.5 of its deviation wide; the minimum lies some 0.8 dB below the mean */
    lanes wide = c->floor * 1.2f * 12, root = power_of_2(0.5f * logarithm_2(wide + 1e-6f)) * (1.0f / 4294967296.0f);
    root = choose(quiet, all_lanes(0), root);
    lanes_int seed = c->seed;
    for (int i = 0; i < PAIRS; i++) {
        lanes out[2];
        gain = i < 39 ? gain + gain_step : to_gain;
        for (int k = 0; k < 2; k++) {
            seed = seed * 1664525 + 1013904223;
            lanes comfort = __builtin_convertvector(seed, lanes) * root;
            out[k] = gain * fore[2 * i + k] + (1 - gain) * comfort;
        }
        near[i] = (near[i] & closed) | (pair_of(out[0], out[1]) & ~closed);
    }
    c->gain = to_gain;
    c->seed = seed;
    c->active = any(active);
    c->back_better = any(better);
}

static void echo_cancel(void *state, const int32_t *slot, const int32_t *far_row, const int32_t *near_row,
                        const uint8_t *flags, int64_t n, const int16_t *far, int64_t far_stride,
                        int16_t *near, int64_t near_stride, int64_t partitions)
{
    unsigned int denormals = flush_denormals();
    for (int64_t i = 0; i < n;) {
        int16_t other[BLOCK] = {0}, silence[BLOCK] = {0}, *near_rows[LANES], *far_rows[LANES];
        lanes_int far_pairs[PAIRS], near_pairs[PAIRS], named, far_named, closed, linear, frozen, quiet;
        int64_t group, taken = next_group(slot + i, near_row + i, n - i, near, near_stride, other, near_rows, &named, &group);
        next_group(slot + i, far_row + i, taken, (int16_t *)far, far_stride, silence, far_rows, &far_named, &group);
        int32_t given[LANES];
        for (int k = 0; k < LANES; k++) given[k] = CLOSED;
        for (int64_t k = 0; k < taken; k++) given[slot[i + k] % LANES] = flags[i + k];
        lanes_int flag;
        memcpy(&flag, given, sizeof flag);
        closed = (flag & CLOSED) != 0;
        linear = (flag & NLP_OFF) != 0;
        frozen = (flag & FREEZE) != 0;
        quiet = (flag & NOISE_OFF) != 0;
        rows_to_lanes(far_rows, far_pairs);
        rows_to_lanes(near_rows, near_pairs);
        echo_group *g = group_at(state, group, partitions);
        cancel_group(g, group, partitions, far_pairs, near_pairs, named, closed, linear, frozen, quiet, flags[i] / SPARE & 3);
        lanes_to_rows(near_pairs, near_rows);
        i += taken;
    }
    restore_denormals(denormals);
}

static void echo_reset(void *state, int32_t slot, int64_t partitions)
{
    echo_group *g = group_at(state, slot / LANES, partitions);
    float *lane = (float *)g + slot % LANES;
    half *taps = (half *)fore_of(g, partitions);
    for (int64_t i = 0; i < (int64_t)((char *)taps - (char *)g) / (int64_t)sizeof(lanes); i++)
        if (i != (int64_t)(offsetof(echo_group, turn) / sizeof(lanes)))
            lane[i * LANES] = 0;
    for (int64_t i = 0; i < 4 * FRAME_PAIRS * partitions; i++)
        taps[i][slot % LANES] = 0;
    int k = slot % LANES;
    g->c.p[k] = 2e-4f;
    g->c.young[k] = 1;
    g->c.blank[k] = 1;
    g->c.tries[k] = 3;
    g->c.gain[k] = 1;
    g->c.seed[k] = (int32_t)((uint32_t)slot * 747796405u + 1);
}

enum { LANES_HERE = LANES, CONTROL_LANES = sizeof(control) / sizeof(lanes) };

static void echo_control(const void *state, int32_t slot, int64_t partitions, float *out)
{
    const echo_group *g = group_at((void *)state, slot / LANES, partitions);
    for (int i = 0; i < CONTROL_LANES; i++)
        out[i] = ((const float *)&g->c)[i * LANES + slot % LANES];
}

static void echo_response(const void *state, int32_t slot, int64_t partitions, float *out)
{
    lanes values[TAPS];
    for (int64_t q = 0; q < partitions; q++) {
        taps_of(fore_of(group_at((void *)state, slot / LANES, partitions), partitions) + FRAME_PAIRS * q, values);
        for (int i = 0; i < TAPS; i++) out[TAPS * q + i] = values[i][slot % LANES];
    }
}
#endif
