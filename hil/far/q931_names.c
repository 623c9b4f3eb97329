/* Names of Q.931 messages (table 4-2) and of Q.921 unnumbered frames (table 5). For events only. */
#include "far.h"

static const struct { int type; const char *name; } MESSAGES[] = {
    {0x01, "ALERTING"}, {0x02, "CALL_PROCEEDING"}, {0x03, "PROGRESS"}, {0x05, "SETUP"},
    {0x07, "CONNECT"}, {0x0D, "SETUP_ACKNOWLEDGE"}, {0x0F, "CONNECT_ACKNOWLEDGE"},
    {0x20, "USER_INFORMATION"}, {0x21, "SUSPEND_REJECT"}, {0x22, "RESUME_REJECT"}, {0x24, "HOLD"},
    {0x25, "SUSPEND"}, {0x26, "RESUME"}, {0x28, "HOLD_ACKNOWLEDGE"}, {0x2D, "SUSPEND_ACKNOWLEDGE"},
    {0x2E, "RESUME_ACKNOWLEDGE"}, {0x30, "HOLD_REJECT"}, {0x31, "RETRIEVE"},
    {0x33, "RETRIEVE_ACKNOWLEDGE"}, {0x37, "RETRIEVE_REJECT"},
    {0x45, "DISCONNECT"}, {0x46, "RESTART"}, {0x4D, "RELEASE"}, {0x4E, "RESTART_ACKNOWLEDGE"},
    {0x5A, "RELEASE_COMPLETE"}, {0x60, "SEGMENT"}, {0x62, "FACILITY"}, {0x6E, "NOTIFY"},
    {0x75, "STATUS_ENQUIRY"}, {0x79, "CONGESTION_CONTROL"}, {0x7B, "INFORMATION"}, {0x7D, "STATUS"},
};

const char *q931_name(int type)
{
    for (size_t i = 0; i < sizeof MESSAGES / sizeof *MESSAGES; i++)
        if (MESSAGES[i].type == type) return MESSAGES[i].name;
    return "unknown";
}

/* NULL for what is not worth an event (RR, RNR, REJ, I, UI). */
const char *q921_name(int control)
{
    switch (control & ~0x10) {
    case 0x6F: return "SABME";
    case 0x0F: return "DM";
    case 0x43: return "DISC";
    case 0x63: return "UA";
    case 0x87: return "FRMR";
    default: return NULL;
    }
}
