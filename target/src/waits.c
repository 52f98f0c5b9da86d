/* What the machine waits for, as somebody in front of it is told. */
#include <stdio.h>
#include <string.h>

#include "session.h"

/* What has been waited for longest, and since when. */
static enum wait waits_for(const struct session *s, int64_t now, int64_t *since, uint64_t *at) {
    enum wait found = WAITS_FOR_NOTHING;
    *since = s->current == NONE ? s->waits.alone_us : now;
    for (int i = 0; i < READS; i++)
        if (s->reads[i].state == OPEN && s->reads[i].since_us < *since) {
            *since = s->reads[i].since_us;
            *at = s->reads[i].offset;
            found = WAITS_FOR_DATA;
        }
    if (s->current == NONE) {
        if (s->identity->counters.refused) return WAITS_FOR_RIGHT;
        if (s->login.state == WANTING) return WAITS_FOR_TOKEN;
        return s->identity->ticket_bytes == 0 ? WAITS_FOR_LOGIN : WAITS_FOR_SERVER;
    }
    if (s->waits.parked_us == 0 || s->waits.parked_us >= *since) return found;
    *since = s->waits.parked_us;
    *at = s->waits.parked_at;
    return s->waits.parked_wrong ? WAITS_FOR_GOOD_COPY : WAITS_FOR_COPY;
}

static void describe_wait(const struct session *s, enum wait wait, uint64_t at, char text[WAIT_TEXT]) {
    const unsigned servers = s->identity->servers.count;
    switch (wait) {
    case WAITS_FOR_SERVER:
        snprintf(text, WAIT_TEXT, "a server: none of %u answers", servers);
        break;
    case WAITS_FOR_LOGIN:
        snprintf(text, WAIT_TEXT, "a server to log in at: none of %u takes this machine", servers);
        break;
    case WAITS_FOR_TOKEN:
        snprintf(text, WAIT_TEXT, "a fresh boot token, by HTTP");
        break;
    case WAITS_FOR_RIGHT:
        snprintf(text, WAIT_TEXT, "the right to read: no server may serve this machine");
        break;
    case WAITS_FOR_DATA:
        snprintf(text, WAIT_TEXT, "data at byte %llu: its server answers, and the data does not come", (unsigned long long)at);
        break;
    case WAITS_FOR_COPY:
        snprintf(text, WAIT_TEXT, "data at byte %llu: no server can read it", (unsigned long long)at);
        break;
    case WAITS_FOR_GOOD_COPY:
        snprintf(text, WAIT_TEXT, "data at byte %llu: no server gives it right: their copies are bad, or the way alters it", (unsigned long long)at);
        break;
    case WAITS_FOR_NOTHING:
        text[0] = '\0';
    }
}

void waits_tell(struct session *s, int64_t now) {
    struct waits *w = &s->waits;
    char text[WAIT_TEXT + 64];
    int64_t since;
    uint64_t at = 0;
    enum wait wait = waits_for(s, now, &since, &at);
    const bool hush = wait != WAITS_FOR_NOTHING && now - since >= HUSH_AFTER_US;
    if (hush != w->hushed) s->effects.hush(s->effects.context, hush);
    w->hushed = hush;
    if (now - since < WAIT_TOLD_US) wait = WAITS_FOR_NOTHING;
    if (wait == WAITS_FOR_DATA && now - w->served_us < WAIT_TOLD_US) return; /* that server has just been asked for it */
    if (wait != w->shown) describe_wait(s, wait, at, s->identity->counters.waits_for);
    w->shown = wait;
    if (wait == WAITS_FOR_NOTHING) {
        if (!w->told) return;
        if (w->next_us <= now + 2 * WAIT_AGAIN_US) { /* the next outage is one of its own: three in a row are told, and one a minute */
            w->next_us = (w->next_us > now ? w->next_us : now) + WAIT_AGAIN_US;
            memset(w->again_us, 0, sizeof w->again_us);
        }
        snprintf(text, sizeof text, "goes on after %lld s", (long long)(now - w->since_us) / 1000000);
    } else {
        if (now < w->again_us[wait]) return;
        w->again_us[wait] = now + WAIT_AGAIN_US;
        describe_wait(s, wait, at, s->identity->counters.waits_for);
        snprintf(text, sizeof text, "has waited %lld s for %s", (long long)(now - since) / 1000000, s->identity->counters.waits_for);
        if (!w->told) w->since_us = since;
    }
    w->told = wait != WAITS_FOR_NOTHING;
    s->effects.alert(s->effects.context, text);
}
