/* Sound of a call: what its timeslot carries, block by block. */
#include <string.h>

#include "calls.h"

void call_play(struct call *c, struct sound *sound, int64_t from, bool repeat)
{
    c->play = sound;
    c->play_from = from;
    c->repeat = repeat;
    call_tell(c, "play_started", "\"file\":%s,\"tx_sample\":%lld,\"samples\":%lld", json_quote(sound->path),
         (long long)from, (long long)sound->samples);
}

static void fill(struct call *c, int64_t now, uint8_t *out)
{
    memset(out, IDLE, FRAMES);
    if (c->play) {
        struct sound *s = c->play;
        int64_t at = now - c->play_from;
        for (int i = 0; i < FRAMES; i++, at++) {
            if (at < 0) continue;
            if (at < s->samples) out[i] = s->alaw[at];
            else if (c->repeat) out[i] = s->alaw[at % s->samples];
        }
        if (at >= s->samples && !c->repeat) {
            c->play = NULL;
            call_tell(c, "play_done", "\"file\":%s,\"tx_sample\":%lld", json_quote(s->path), (long long)(c->play_from + s->samples));
        }
    }
    if (c->dtmf_on) {
        /* A key pressed silences the microphone. */
        int16_t tone[FRAMES];
        int n = dtmf_tx(c->dtmf, tone, FRAMES);
        for (int i = 0; i < n; i++) out[i] = linear_to_alaw(tone[i]);
        if (n < FRAMES) {
            c->dtmf_on = false;
            call_tell(c, "dtmf_done", "\"digits\":%s,\"tx_sample\":%lld", json_quote(c->dtmf_digits), (long long)(now + n));
            c->dtmf_digits[0] = 0;
        }
    }
}

void calls_block(struct span *s, const uint8_t *rx, uint8_t *tx)
{
    uint8_t samples[FRAMES];
    for (int t = 1; t < TIMESLOTS; t++) {
        struct call *c = s->by_timeslot[t];
        if (!c) continue;
        if (c->recorder) {
            for (int f = 0; f < FRAMES; f++) samples[f] = rx[f * TIMESLOTS + t];
            recorder_write(c->recorder, samples, FRAMES);
        }
        if (c->proof && c->state == ACTIVE) {
            for (int f = 0; f < FRAMES; f++) samples[f] = rx[f * TIMESLOTS + t];
            proof_check(c->proof, samples);
            proof_send(c->proof, samples);
            for (int f = 0; f < FRAMES; f++) tx[f * TIMESLOTS + t] = samples[f];
        } else if (c->fax && !c->fax->over) {
            for (int f = 0; f < FRAMES; f++) samples[f] = rx[f * TIMESLOTS + t];
            fax_block(c->fax, samples);
            for (int f = 0; f < FRAMES; f++) tx[f * TIMESLOTS + t] = samples[f];
            if (c->fax->over) {
                char figures[400];
                fax_figures(c->fax, figures, sizeof figures);
                call_tell(c, "fax_done", "%s", figures);
            }
        } else if (c->bert) {
            for (int f = 0; f < FRAMES; f++) {
                uint8_t in = rx[f * TIMESLOTS + t], out = 0;
                for (int bit = 7; bit >= 0; bit--) {
                    bert_put_bit(c->bert, in >> bit & 1);
                    out = out << 1 | (bert_get_bit(c->pattern) & 1);
                }
                tx[f * TIMESLOTS + t] = out;
            }
        } else if (c->play || c->dtmf_on) {
            fill(c, span_sample(s), samples);
            for (int f = 0; f < FRAMES; f++) tx[f * TIMESLOTS + t] = samples[f];
        }
    }
}
