/* Which server: login, the one that serves, the one that stands by, and where to go when one is silent or asks to leave. */
#include "session.h"

#include <sodium.h>
#include <string.h>

const char *const DROP_NAMES[DROPS] = {"malformed", "stranger", "session", "tag", "size", "late", "duplicate", "answerTag"};

void drop(struct session *s, enum drop reason) { s->identity->counters.drops[reason]++; }

/* Within 20 % around us. */
int64_t jitter(struct session *s, int64_t us) {
    uint8_t byte;
    s->effects.random(s->effects.context, &byte, 1);
    return us * 4 / 5 + us * byte * 2 / 5 / 255;
}

static void say(struct session *s, const struct entry *server, const char *text) {
    s->effects.say(s->effects.context, server, text);
}

void session_refusal(struct session *s, const struct entry *server, const struct packet *p) {
    char text[MAX_TEXT_BYTES + 1];
    memcpy(text, p->text, p->text_bytes);
    text[p->text_bytes] = '\0';
    say(s, server, text);
}

static int link_of(const struct session *s, const struct entry *server) {
    for (int i = 0; i < MAX_SERVERS; i++)
        if (s->links[i].server.family != 0 && entry_same(&s->links[i].server, server)) return i;
    return NONE;
}

/* The place of that server, a new one if need be; NONE when all are taken by servers that are in use. */
static int link_for(struct session *s, const struct entry *server) {
    const int found = link_of(s, server);
    if (found != NONE) return found;
    for (int i = 0; i < MAX_SERVERS; i++) {
        struct link *l = &s->links[i];
        if (l->server.family != 0) continue;
        *l = (struct link){.server = *server};
        return i;
    }
    return NONE;
}

/* A server that left the list stays only while it is in use. */
static void forget_unlisted(struct session *s, int link) {
    struct link *l = &s->links[link];
    if (l->state == AWAY && !server_list_has(&s->identity->servers, &l->server)) l->server.family = 0;
}

/* Links for the servers of the list. */
static void take_list(struct session *s, int64_t now) {
    const struct server_list *list = &s->identity->servers;
    for (int i = 0; i < MAX_SERVERS; i++) forget_unlisted(s, i);
    for (unsigned i = 0; i < list->count; i++) {
        const bool known = link_of(s, &list->entries[i]) != NONE;
        const int at = link_for(s, &list->entries[i]);
        if (at == NONE) continue;
        s->links[at].server.state = list->entries[i].state;
        if (!known) s->links[at].next_us = now;
    }
}

static void publish(struct session *s) {
    static const struct entry NOBODY = {0};
    struct counters *counters = &s->identity->counters;
    counters->current = s->current == NONE ? NOBODY : s->links[s->current].server;
    counters->standby = s->standby == NONE || s->links[s->standby].state != UP ? NOBODY : s->links[s->standby].server;
    if (s->current != NONE) s->identity->preferred = counters->current;
}

static void make_current(struct session *s, int link, int64_t now) {
    s->current = link;
    if (s->standby == link) s->standby = NONE;
    if (s->moving == link) s->moving = NONE;
    s->links[link].role = SERVE;
    link_ping(s, link, now); /* says the role, also when nothing is read */
    say(s, &s->links[link].server, "serves");
    publish(s);
    reads_pump(s, now);
}

void session_attached(struct session *s, int link, int64_t now) {
    struct link *l = &s->links[link];
    const int old = s->current;
    if (old == NONE) {
        for (int i = 0; i < MAX_SERVERS; i++)
            if (s->links[i].fails == 0) s->links[i].next_us = now; /* the others waited for the one that was preferred */
        make_current(s, link, now);
    } else if (s->moving == link) {
        reads_forget(s, old);
        link_bye(s, old, 1);
        s->identity->counters.moves++;
        s->links[old].state = AWAY;
        s->links[old].next_us = now + PROBE_MAX_US;
        forget_unlisted(s, old);
        make_current(s, link, now);
    } else if (s->standby == NONE || s->standby == link) {
        s->standby = link;
        l->role = STANDBY;
        l->ping_us = now; /* it may have been attached to serve, when nobody did */
        say(s, &l->server, "stands by");
        publish(s);
    } else {
        link_bye(s, link, 0);
        l->state = AWAY;
        l->next_us = now + PROBE_MAX_US;
    }
}

/* retry_us 0: with back-off. */
void session_leave(struct session *s, int link, const char *why, int64_t retry_us, int64_t now) {
    struct link *l = &s->links[link];
    if (why != NULL) say(s, &l->server, why);
    const int64_t pause = (int64_t)PROBE_MIN_US << (l->fails < 6 ? l->fails : 6);
    reads_forget(s, link);
    l->state = AWAY;
    l->asks = 0;
    l->pinged = l->owes = false;
    l->fails++;
    l->next_us = now + jitter(s, retry_us > 0 ? retry_us : pause < PROBE_MAX_US ? pause : PROBE_MAX_US);
    if (s->moving == link) s->moving = NONE;
    if (s->standby == link) s->standby = NONE;
    if (s->current == link) {
        s->current = NONE;
        s->identity->counters.failovers++;
        if (s->standby != NONE && s->links[s->standby].state == UP) make_current(s, s->standby, now);
        else s->standby = NONE;
    }
    forget_unlisted(s, link);
    publish(s);
}

void session_listed(struct session *s, const struct packet *p, int64_t now) {
    s->list_wanted = false;
    struct server_list list;
    server_list_take(&list, p->entry_bytes, p->entries, p->list_version);
    s->identity->servers.version = list.version;
    if (list.count == 0) return; /* a server that sees nobody is no reason to forget everybody */
    s->identity->servers = list;
    take_list(s, now);
}

/* The server that this device would rather have as its stand-by than the others, of those that may be asked now. */
static int next_standby(const struct session *s, int64_t now) {
    int best = NONE;
    uint64_t best_weight = 0;
    for (int i = 0; i < MAX_SERVERS; i++) {
        const struct link *l = &s->links[i];
        if (l->server.family == 0 || i == s->current || l->state != AWAY || now < l->next_us) continue;
        if (l->server.state == STATE_DRAINING) continue;
        const uint64_t weight = server_weight(s->identity->device, &l->server);
        if (best == NONE || weight > best_weight) {
            best = i;
            best_weight = weight;
        }
    }
    return best;
}

void session_move(struct session *s, int link, const struct packet *p, int64_t now) {
    if (link != s->current) {
        link_bye(s, link, 1);
        session_leave(s, link, "does not stand by any longer", PROBE_MAX_US, now);
        return;
    }
    if (s->moving != NONE) return; /* on the way already */
    int to = s->standby != NONE ? s->standby : next_standby(s, now);
    if (p->server.family == 4) to = link_for(s, &p->server);
    if (to == NONE || to == link) return;
    s->links[link].server.state = STATE_DRAINING;
    s->moving = to;
    if (s->links[to].state == UP) session_attached(s, to, now);
    else if (s->links[to].state == AWAY) link_attach(s, to, SERVE, now);
}

static void login_send(struct session *s, int64_t now) {
    struct login *login = &s->login;
    const struct identity *id = s->identity;
    uint8_t bytes[MAX_PACKET_BYTES];
    const uint16_t flags = (uint16_t)((login->renew ? LOGIN_RENEW : 0) | (login->redirected ? LOGIN_REDIRECTED : 0));
    const size_t n = packet_login(bytes, login->nonce, login->cookie, flags, login->share, login->renew ? id->ticket : id->token,
                                  login->renew ? id->ticket_bytes : id->token_bytes);
    login->next_us = now + jitter(s, LOGIN_AGAIN_US << login->tries);
    s->effects.send(s->effects.context, &login->server, bytes, n);
}

static void login_start(struct session *s, const struct entry *server, int64_t now) {
    struct login *login = &s->login;
    login->server = *server;
    login->state = ASKING;
    login->tries = 0;
    memset(login->cookie, 0, sizeof login->cookie);
    s->effects.random(s->effects.context, login->nonce, sizeof login->nonce);
    s->effects.random(s->effects.context, login->secret, sizeof login->secret);
    crypto_scalarmult_base(login->share, login->secret);
    login_send(s, now);
}

/* At the next server of the list. */
static void login_next(struct session *s, int64_t now) {
    const struct server_list *list = &s->identity->servers;
    s->login.redirected = false;
    s->login.redirects = 0;
    login_start(s, &list->entries[s->login.at++ % list->count], now);
}

static void login_pause(struct session *s, int64_t us, int64_t now) {
    s->login.state = PAUSED;
    s->login.next_us = now + jitter(s, us);
}

static void login_want_token(struct session *s, int64_t now) {
    s->login.state = WANTING;
    s->login.next_us = now;
}

void session_relogin(struct session *s, int64_t now) {
    if (s->login.state != LOGGED_IN) return;
    s->login.renew = false;
    login_want_token(s, now);
}

static void ticket(struct session *s, const struct packet *p, const uint8_t *bytes, size_t n, int64_t now) {
    struct identity *id = s->identity;
    uint8_t session_key[32], key[16];
    if (!login_keys(session_key, key, s->login.secret, s->login.share, p->share) || !signed_by(bytes, n, key)) {
        drop(s, DROP_TAG);
        return;
    }
    const bool renewed = id->ticket_bytes > 0;
    if (renewed && p->disk_bytes != id->disk_bytes) {
        drop(s, DROP_SIZE); /* another disk under a mounted root: never */
        return;
    }
    id->ticket_bytes = 0; /* whoever dies in between logs in again */
    memcpy(id->ticket, p->ticket, p->ticket_bytes);
    memcpy(id->session_key, session_key, sizeof session_key);
    id->disk_bytes = p->disk_bytes;
    id->block_bytes = p->block_bytes;
    id->mode = p->mode;
    id->renew_us = now + RENEW_US;
    struct server_list list;
    server_list_take(&list, p->entry_bytes, p->entries, p->list_version);
    if (list.count > 0) id->servers = list;
    id->ticket_bytes = p->ticket_bytes;
    s->login.state = LOGGED_IN;
    sodium_memzero(s->login.secret, sizeof s->login.secret);
    take_list(s, now);
    if (s->current != NONE) return;
    id->preferred = id->servers.entries[0];
    for (int i = 0; i < MAX_SERVERS; i++) s->links[i].next_us = now + PREFER_US;
    const int first = link_of(s, &id->preferred);
    if (first != NONE && s->links[first].state == AWAY) link_attach(s, first, SERVE, now);
}

static void login_refused(struct session *s, const struct packet *p, int64_t now) {
    session_refusal(s, &s->login.server, p);
    if (s->login.renew) {
        s->login.state = LOGGED_IN; /* the ticket is good for as long again */
        s->identity->renew_us = now + RENEW_US / 28;
    } else if (p->code == TOKEN_INVALID || p->code == TOKEN_EXPIRED || p->code == TICKET_INVALID) login_want_token(s, now);
    else login_pause(s, p->retry_ms > 0 ? (int64_t)p->retry_ms * 1000 : REFUSED_US, now);
}

static void login_receive(struct session *s, const struct packet *p, const uint8_t *bytes, size_t n, int64_t now) {
    struct login *login = &s->login;
    switch (p->type) {
    case COOKIE:
        if (sodium_memcmp(p->cookie, login->cookie, COOKIE_BYTES) == 0) break;
        memcpy(login->cookie, p->cookie, COOKIE_BYTES);
        login_send(s, now);
        break;
    case TICKET:
        ticket(s, p, bytes, n, now);
        break;
    case REDIRECT:
        if (p->server.family != 4 || ++login->redirects > MAX_REDIRECTS) login_pause(s, REFUSED_US, now);
        else {
            login->redirected = true;
            login_start(s, &p->server, now);
        }
        break;
    case REFUSE:
        login_refused(s, p, now);
        break;
    default:
        drop(s, DROP_MALFORMED);
    }
}

static void login_tick(struct session *s, int64_t now) {
    struct login *login = &s->login;
    switch (login->state) {
    case LOGGED_IN:
        if (now < s->identity->renew_us || s->current == NONE) break;
        login->renew = true;
        login_start(s, &s->links[s->current].server, now);
        break;
    case ASKING:
        if (now < login->next_us) break;
        if (++login->tries < LOGIN_TRIES) login_send(s, now);
        else login_next(s, now);
        break;
    case WANTING:
        break;
    case PAUSED:
        if (now >= login->next_us) login_next(s, now);
    }
}

bool session_wants_token(const struct session *s, int64_t now) { return s->login.state == WANTING && now >= s->login.next_us; }

void session_token(struct session *s, int64_t now) { login_pause(s, TOKEN_FRESH_US, now); }

void session_init(struct session *s, const struct effects *effects, struct identity *identity, uint16_t segment_bytes, int64_t now) {
    memset(s, 0, sizeof *s);
    s->effects = *effects;
    s->identity = identity;
    s->segment_bytes = segment_bytes;
    s->current = s->standby = s->moving = NONE;
    s->ticked_us = now;
    for (int i = 0; i < ASSEMBLIES; i++) s->assemblies[i].read = NONE;
    for (int i = 0; i < ASKS; i++) s->asks[i].assembly = NONE;
    take_list(s, now);
    if (identity->ticket_bytes == 0) {
        login_next(s, now);
        return;
    }
    for (int i = 0; i < MAX_SERVERS; i++) s->links[i].next_us = now + PREFER_US;
    const int first = link_of(s, &identity->preferred);
    if (first != NONE) link_attach(s, first, SERVE, now);
}

void session_receive(struct session *s, const struct entry *from, const uint8_t *bytes, size_t n, int64_t now) {
    struct packet p;
    if (!packet_parse(bytes, n, &p)) {
        drop(s, DROP_MALFORMED);
        return;
    }
    const bool echo = p.type == COOKIE || p.type == TICKET || p.type == REDIRECT || p.type == REFUSE;
    if (echo && s->login.state == ASKING && entry_same(from, &s->login.server) &&
        sodium_memcmp(p.nonce, s->login.nonce, NONCE_BYTES) == 0) {
        login_receive(s, &p, bytes, n, now);
        return;
    }
    const int link = link_of(s, from);
    if (link == NONE) drop(s, DROP_STRANGER);
    else if (p.type == TICKET || p.type == REDIRECT) drop(s, DROP_LATE);
    else link_receive(s, link, &p, bytes, n, now);
}

void session_tick(struct session *s, int64_t now) {
    const int64_t gap = now - s->ticked_us;
    if (gap > PAUSED_US)
        for (int i = 0; i < MAX_SERVERS; i++) {
            const int64_t since = s->links[i].waiting_us + gap;
            s->links[i].waiting_us = since < now ? since : now;
        }
    s->ticked_us = now;
    login_tick(s, now);
    for (int i = 0; i < MAX_SERVERS; i++) {
        struct link *l = &s->links[i];
        if (l->server.family == 0) continue;
        link_tick(s, i, now);
        if (s->current == NONE && l->state == AWAY && now >= l->next_us && s->identity->ticket_bytes > 0) link_attach(s, i, SERVE, now);
    }
    if (s->current != NONE && s->standby == NONE) {
        s->standby = next_standby(s, now);
        if (s->standby != NONE) link_attach(s, s->standby, STANDBY, now);
    }
    if (s->current != NONE && s->list_wanted && now >= s->list_us) link_ask_list(s, s->current, now);
    reads_tick(s, now);
}

static void sooner(int64_t *wake, int64_t us) {
    if (us < *wake) *wake = us;
}

int64_t session_wake(const struct session *s, int64_t now) {
    int64_t wake = now + PAUSED_US / 2; /* tells our own pauses from a server's silence */
    if (s->login.state != LOGGED_IN) sooner(&wake, s->login.next_us);
    for (int i = 0; i < MAX_SERVERS; i++) {
        const struct link *l = &s->links[i];
        if (l->server.family == 0) continue;
        if (l->state == ATTACHING || (l->state == AWAY && s->standby == NONE)) sooner(&wake, l->next_us);
        if (l->state != UP) continue;
        sooner(&wake, l->ping_us);
        if (!l->owes) continue;
        if (now - l->waiting_us < HEDGE_AFTER_US) sooner(&wake, l->waiting_us + HEDGE_AFTER_US);
        sooner(&wake, l->waiting_us + LEAVE_AFTER_US);
    }
    for (int i = 0; i < ASSEMBLIES; i++)
        if (s->assemblies[i].read != NONE && s->reads[s->assemblies[i].read].state == OPEN) sooner(&wake, s->assemblies[i].deadline_us);
    return wake > now ? wake : now + 1000;
}

void session_bye(struct session *s) {
    for (int i = 0; i < MAX_SERVERS; i++)
        if (s->links[i].state == UP) link_bye(s, i, 0);
}
