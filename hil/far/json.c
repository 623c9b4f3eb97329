/* Flat JSON objects: one line a command, members are text, numbers, true, false, null. */
#include <stdlib.h>
#include <string.h>

#include "far.h"

static char *skip(char *p) { while (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n') p++; return p; }

static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        int c = p[i], d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (d < 0) return -1;
        v = v << 4 | d;
    }
    return v;
}

static char *put_utf8(char *out, unsigned c)
{
    if (c < 0x80) *out++ = c;
    else if (c < 0x800) { *out++ = 0xC0 | c >> 6; *out++ = 0x80 | (c & 63); }
    else if (c < 0x10000) { *out++ = 0xE0 | c >> 12; *out++ = 0x80 | (c >> 6 & 63); *out++ = 0x80 | (c & 63); }
    else { *out++ = 0xF0 | c >> 18; *out++ = 0x80 | (c >> 12 & 63); *out++ = 0x80 | (c >> 6 & 63); *out++ = 0x80 | (c & 63); }
    return out;
}

/* p stands behind the opening quote; the text is decoded in place. Returns what follows, or NULL. */
static char *string(char *p, char **text)
{
    char *out = *text = p;
    for (;; p++) {
        if (!*p) return NULL;
        if (*p == '"') { *out = 0; return p + 1; }
        if (*p != '\\') { *out++ = *p; continue; }
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        const char *at;
        p++;
        if (*p == 'u') {
            int c = hex4(p + 1), low;
            if (c < 0) return NULL;
            p += 4;
            if (c >= 0xD800 && c < 0xDC00 && p[1] == '\\' && p[2] == 'u' && (low = hex4(p + 3)) >= 0xDC00) {
                c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
                p += 6;
            }
            if (c == 0) return NULL;
            out = put_utf8(out, c);
        } else if (*p && (at = strchr(from, *p)) != NULL) {
            *out++ = to[at - from];
        } else {
            return NULL;
        }
    }
}

const char *json_parse(char *line, struct json *j)
{
    char *p = skip(line);
    j->n = 0;
    if (*p++ != '{') return "a command is one JSON object a line";
    p = skip(p);
    if (*p == '}') return NULL;
    for (;;) {
        if (j->n == 32) return "a command has at most 32 members";
        struct json_member *m = &j->member[j->n];
        char *text, *end;
        if (*p != '"' || !(p = string(p + 1, &text))) return "a member's name is wanted";
        m->name = text;
        p = skip(p);
        if (*p++ != ':') return "a colon is wanted after a member's name";
        p = skip(p);
        m->text = NULL; m->number = 0;
        if (*p == '"') {
            if (!(p = string(p + 1, &text))) return "a text does not end";
            m->kind = JSON_STRING; m->text = text;
        } else if (!strncmp(p, "null", 4)) { m->kind = JSON_NULL; p += 4; }
        else if (!strncmp(p, "true", 4)) { m->kind = JSON_TRUE; p += 4; }
        else if (!strncmp(p, "false", 5)) { m->kind = JSON_FALSE; p += 5; }
        else {
            m->number = strtod(p, &end);
            if (end == p) return "a member's value is text, a number, true, false or null";
            m->kind = JSON_NUMBER; p = end;
        }
        j->n++;
        p = skip(p);
        if (*p == '}') return *skip(p + 1) ? "something follows the object" : NULL;
        if (*p++ != ',') return "a comma is wanted between members";
        p = skip(p);
    }
}

const struct json_member *json_get(const struct json *j, const char *name)
{
    for (int i = 0; i < j->n; i++)
        if (!strcmp(j->member[i].name, name)) return j->member[i].kind == JSON_NULL ? NULL : &j->member[i];
    return NULL;
}

const char *json_text(const struct json *j, const char *name, const char *otherwise)
{
    const struct json_member *m = json_get(j, name);
    return m && m->kind == JSON_STRING ? m->text : otherwise;
}

double json_number(const struct json *j, const char *name, double otherwise)
{
    const struct json_member *m = json_get(j, name);
    return m && m->kind == JSON_NUMBER ? m->number : otherwise;
}

bool json_true(const struct json *j, const char *name)
{
    const struct json_member *m = json_get(j, name);
    return m && m->kind == JSON_TRUE;
}

const char *json_quote(const char *text)
{
    static char ring[8][1400];
    static int turn;
    char *start = ring[turn++ & 7], *out = start, *end = start + sizeof ring[0] - 10;
    *out++ = '"';
    for (; *text && out < end; text++) {
        unsigned char c = *text;
        if (c == '"' || c == '\\') { *out++ = '\\'; *out++ = c; }
        else if (c < 0x20) out += sprintf(out, "\\u%04x", c);
        else *out++ = c;
    }
    *out++ = '"';
    *out = 0;
    return start;
}
