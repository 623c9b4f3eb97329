/* A fax machine on a call: T.30 by spandsp's audio terminal, that prints to a TIFF or sends one. */
#include <stdlib.h>

#include "far.h"

static void over(t30_state_t *t30, void *data, int status)
{
    struct fax *f = data;
    f->over = true;
    f->status = status;
}

struct fax *fax_new(bool calls, const char *send, const char *print, const char *station)
{
    struct fax *f = calloc(1, sizeof *f);
    f->state = fax_init(NULL, calls);
    t30_state_t *t30 = fax_get_t30_state(f->state);
    fax_set_transmit_on_idle(f->state, true);
    t30_set_supported_modems(t30, T30_SUPPORT_V27TER | T30_SUPPORT_V29 | T30_SUPPORT_V17);
    t30_set_supported_compressions(t30, T30_SUPPORT_T4_1D_COMPRESSION | T30_SUPPORT_T4_2D_COMPRESSION | T30_SUPPORT_T6_COMPRESSION);
    t30_set_supported_resolutions(t30, T30_SUPPORT_STANDARD_RESOLUTION | T30_SUPPORT_FINE_RESOLUTION | T30_SUPPORT_R8_RESOLUTION);
    t30_set_supported_image_sizes(t30, T30_SUPPORT_215MM_WIDTH | T30_SUPPORT_255MM_WIDTH | T30_SUPPORT_UNLIMITED_LENGTH);
    t30_set_ecm_capability(t30, true);
    t30_set_tx_ident(t30, station);
    t30_set_phase_e_handler(t30, over, f);
    if (*send) t30_set_tx_file(t30, send, -1, -1);
    if (*print) t30_set_rx_file(t30, print, -1);
    return f;
}

void fax_block(struct fax *f, uint8_t *samples)
{
    int16_t x[FRAMES];
    for (int i = 0; i < FRAMES; i++) x[i] = alaw_to_linear(samples[i]);
    fax_rx(f->state, x, FRAMES);
    int n = fax_tx(f->state, x, FRAMES);
    for (int i = 0; i < FRAMES; i++) samples[i] = i < n ? linear_to_alaw(x[i]) : 0xD5;
}

void fax_figures(struct fax *f, char *text, size_t room)
{
    t30_stats_t stats;
    t30_state_t *t30 = fax_get_t30_state(f->state);
    const char *station = t30_get_rx_ident(t30);
    t30_get_transfer_statistics(t30, &stats);
    snprintf(text, room, "\"status\":%d,\"pages\":%d,\"rate\":%d,\"ecm\":%s,\"bad_rows\":%d,\"resent\":%d,\"station\":%s", f->status,
             stats.pages_rx > stats.pages_tx ? stats.pages_rx : stats.pages_tx, stats.bit_rate, stats.error_correcting_mode ? "true" : "false",
             stats.bad_rows, stats.error_correcting_mode_retries, json_quote(station ? station : ""));
}

void fax_end(struct fax *f)
{
    if (f) fax_free(f->state);
    free(f);
}
