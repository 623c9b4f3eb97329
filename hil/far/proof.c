/* Tones that prove the way of a call: proof.h. */
#include <math.h>
#include <spandsp.h>
#include <stdlib.h>
#include <string.h>

#include "proof.h"

enum { LOW = 648, LOWS = 180, HIGH = 840, STEPS = PROOF_PERIOD };      /* in steps of 10/3 Hz: 2,160 to 2,757 Hz, 2,800 to 3,170 Hz */

static const double LEVEL = 3000;       /* of each; -11 dBm0 */

static void tone(int code, bool from_caller, uint8_t *out)
{
    static double wave[STEPS];
    int n = 2 * code + from_caller, low = LOW + n % LOWS, high = HIGH + n / LOWS;
    if (!wave[1])
        for (int i = 0; i < STEPS; i++) wave[i] = LEVEL * sin(2 * 3.14159265358979323846 * i / STEPS);
    for (int i = 0; i < PROOF_PERIOD; i++)
        out[i] = linear_to_alaw((int16_t)(wave[i * low % STEPS] + wave[i * high % STEPS]));
    memcpy(out + PROOF_PERIOD, out, PROOF_BLOCK);
}

int proof_code(const char *called)
{
    size_t n = strspn(called, "0123456789");            /* an SS7 number may end with ST */
    return n < 4 ? -1 : (int)strtol((char[5]){called[n - 4], called[n - 3], called[n - 2], called[n - 1], 0}, NULL, 10);
}

struct proof *proof_new(int code, bool caller)
{
    if (code < 0 || code >= PROOF_CODES) return NULL;
    struct proof *p = calloc(1, sizeof *p);
    tone(code, caller, p->send);
    tone(code, !caller, p->expect);
    p->place = p->first = -1;
    return p;
}

void proof_send(struct proof *p, uint8_t *block)
{
    memcpy(block, p->send + p->sent, PROOF_BLOCK);
    p->sent = (p->sent + PROOF_BLOCK) % PROOF_PERIOD;
}

void proof_check(struct proof *p, const uint8_t *block)
{
    if (p->place >= 0 && !memcmp(block, p->expect + p->place, PROOF_BLOCK)) {
        p->heard++;
        p->place = (p->place + PROOF_BLOCK) % PROOF_PERIOD;
        return;
    }
    if (p->place >= 0) p->breaks++;
    p->place = -1;
    for (int at = 0; at < PROOF_PERIOD; at++)
        if (block[0] == p->expect[at] && !memcmp(block, p->expect + at, PROOF_BLOCK)) {
            if (p->first < 0) p->first = p->before;
            p->heard++;
            p->place = (at + PROOF_BLOCK) % PROOF_PERIOD;
            return;
        }
    if (p->first < 0) {
        p->before++;
        return;
    }
    bool still = true;
    for (int i = 1; i < PROOF_BLOCK && still; i++) still = block[i] == block[0];
    if (still) p->silent++;
    else p->other++;
}
