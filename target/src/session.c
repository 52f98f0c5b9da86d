/* Which server: login, the one that serves, the one that stands by, and where to go when one is silent or asks to leave. */
#include "session.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "invariant.h"

const char *const DROP_NAMES[DROPS] = {"malformed", "stranger", "session", "tag", "size", "late", "duplicate", "answerTag", "replayed"};

void drop(struct session *s, enum drop reason) { s->identity->counters.drops[reason]++; }

/* Within 20 % around us. */
int64_t jitter(struct session *s, int64_t us) {
    uint8_t byte;
    s->effects.random(s->effects.context, &byte, 1);
    return us * 4 / 5 + us * byte * 2 / 5 / 255;
}

static void say(struct session *s, const struct entry *server, const char *text) { s->effects.say(s->effects.context, server, text); }

void session_refusal(struct session *s, const struct entry *server, const struct packet *p) {
    char text[MAX_TEXT_BYTES + 1];
    for (unsigned i = 0; i < p->text_bytes; i++) text[i] = (p->text[i] & 0x7f) < ' ' || p->text[i] == 0x7f ? ' ' : p->text[i];
    text[p->text_bytes] = '\0';
    say(s, server, text); /* a line of the console is one line, whoever wrote it */
}

bool session_refusal_signed(const struct session *s, const uint8_t *bytes, size_t n) {
    uint8_t key[16];
    if (s->identity->ticket_bytes == 0) return false;
    attach_key(key, s->identity->session_key);
    return signed_by(bytes, n, key);
}

int64_t session_retry(const struct packet *p, int64_t otherwise) {
    const int64_t us = (int64_t)p->retry_ms * 1000;
    return us == 0 ? otherwise : us < RETRY_MAX_US ? us : RETRY_MAX_US;
}

static int link_of(const struct session *s, const struct entry *server) {
    for (int i = 0; i < LINKS; i++)
        if (s->links[i].server.family != 0 && entry_same(&s->links[i].server, server)) return i;
    return NONE;
}

/* The place of that server, a new one if need be; NONE when all are taken by servers that are in use. */
static int link_for(struct session *s, const struct entry *server) {
    const int found = link_of(s, server);
    if (found != NONE) return found;
    for (int i = 0; i < LINKS; i++) {
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
    for (int i = 0; i < LINKS; i++) forget_unlisted(s, i);
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
    s->waits.served_us = now;
    if (s->standby == link) s->standby = NONE;
    if (s->moving == link) s->moving = NONE;
    s->links[link].role = ROLE_SERVE;
    link_ping(s, link, now); /* says the role, also when nothing is read */
    say(s, &s->links[link].server, "serves");
    publish(s);
    reads_pump(s, now);
}

void session_attached(struct session *s, int link, int64_t now) {
    struct link *l = &s->links[link];
    const int old = s->current;
    s->identity->counters.refused = false;
    if (!s->login.renew) s->login.state = LOGGED_IN; /* the ticket opens: no other is asked for */
    if (old == link) reads_pump(s, now);
    else if (old == NONE) {
        for (int i = 0; i < LINKS; i++)
            if (s->links[i].fails == 0) s->links[i].next_us = now; /* the others waited for the one that was preferred */
        make_current(s, link, now);
    } else if (s->moving == link) {
        reads_forget(s, old);
        link_bye(s, old, BYE_MOVED);
        s->identity->counters.moves++;
        s->links[old].state = AWAY;
        if (!s->links[old].rejoining) s->links[old].next_us = now + PROBE_MAX_US; /* else it has a new session for us, which would wait for its end */
        forget_unlisted(s, old);
        make_current(s, link, now);
    } else if (s->standby == NONE || s->standby == link) {
        s->standby = link;
        l->role = ROLE_STANDBY;
        l->ping_us = now; /* it may have been attached to serve, when nobody did */
        say(s, &l->server, "stands by");
        publish(s);
    } else {
        link_bye(s, link, BYE_LEAVING);
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
    l->pinged = l->owes = l->rejoining = l->hinted = false;
    l->fails++;
    l->next_us = now + jitter(s, retry_us > 0 ? retry_us : pause < PROBE_MAX_US ? pause : PROBE_MAX_US);
    if (s->moving == link) s->moving = NONE;
    if (s->standby == link) s->standby = NONE;
    if (s->current == link) {
        s->current = NONE;
        s->waits.alone_us = now;
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

/* Of those that may be asked now, the server that this device would rather have as its stand-by than the others. One that drains comes last: it may
 * have been restarted since, and no list says so when it is the list of before. */
static int next_standby(const struct session *s, int64_t now) {
    int best = NONE;
    bool best_drains = false;
    uint64_t best_weight = 0;
    for (int i = 0; i < LINKS; i++) {
        const struct link *l = &s->links[i];
        if (l->server.family == 0 || i == s->current || l->state != AWAY || now < l->next_us) continue;
        const bool drains = l->server.state == STATE_DRAINING;
        const uint64_t weight = server_weight(s->identity->device, &l->server);
        const bool better = drains == best_drains ? weight > best_weight : best_drains;
        if (best != NONE && !better) continue;
        best = i;
        best_drains = drains;
        best_weight = weight;
    }
    return best;
}

void session_other_standby(struct session *s, int64_t now) {
    const int standby = s->standby;
    if (standby == NONE || s->links[standby].state != UP || now - s->other_us < OTHER_STANDBY_US || next_standby(s, now) == NONE) return;
    s->other_us = now;
    link_bye(s, standby, BYE_LEAVING);
    session_leave(s, standby, NULL, PROBE_MAX_US, now);
}

void session_move(struct session *s, int link, const struct packet *p, int64_t now) {
    if (link != s->current) {
        link_bye(s, link, BYE_MOVED);
        session_leave(s, link, "does not stand by any longer", PROBE_MAX_US, now);
        return;
    }
    if (s->moving != NONE) return; /* on the way already */
    int to = s->standby != NONE ? s->standby : next_standby(s, now);
    if (p->server.family == 4) to = link_for(s, &p->server);
    if (to == NONE || to == link) return;
    s->links[link].server.state = STATE_DRAINING;
    s->moving = to;
    if (s->links[to].state == AWAY) link_attach(s, to, ROLE_SERVE, now);
    else if (s->links[to].state == UP && !s->links[to].pinged)
        link_ping(s, to, now); /* it may have died since its last word: its answer ends the move */
}

static void login_send(struct session *s, int64_t now) {
    struct login *login = &s->login;
    const struct identity *id = s->identity;
    uint8_t bytes[MAX_PACKET_BYTES];
    const uint16_t flags = (uint16_t)((login->renew ? LOGIN_RENEW : 0) | (login->redirected ? LOGIN_REDIRECTED : 0));
    const size_t n = packet_login(bytes, login->nonce, login->cookie, flags, login->share, login->renew ? id->ticket : id->token,
                                  login->renew ? id->ticket_bytes : id->token_bytes);
    if (login->renew) {
        uint8_t key[16];
        attach_key(key, id->session_key);
        sign(bytes, n, key);
    }
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

static void login_want_token(struct session *s, int64_t us, int64_t now) {
    s->login.state = WANTING;
    s->login.renew = false;
    s->login.next_us = now + (us > 0 ? jitter(s, us) : 0);
}

/* The session runs on, and the ticket is good for as long again. */
static void renew_later(struct session *s, int64_t now) {
    s->login.state = LOGGED_IN;
    s->login.renew = false;
    s->identity->renew_us = now + jitter(s, RENEW_AGAIN_US);
}

/* The next time that a machine which holds a ticket asks for a boot token. */
static void token_later(struct session *s, int64_t now) {
    int64_t *pause = &s->login.token_pause_us;
    login_want_token(s, *pause, now);
    *pause = *pause * 2 < TOKEN_MAX_US ? *pause * 2 : TOKEN_MAX_US;
}

/* A login by a boot token is anonymous: in mode Authenticated it takes the place of no ticket that lives, or who stands on the path would
 * only have to say that it does not open. */
static bool may_log_in_anew(const struct session *s, int64_t now) {
    const struct identity *id = s->identity;
    return id->ticket_bytes == 0 || id->mode == MODE_TRUSTED || now >= id->ends_us;
}

static void want_token(struct session *s, int64_t us, int64_t now) {
    if (s->login.state != LOGGED_IN && !s->login.renew) return; /* on the way already */
    s->login.token_pause_us = TOKEN_MIN_US;
    login_want_token(s, us, now);
}

void session_ticket_refused(struct session *s, bool proven, int64_t now) {
    if (s->current != NONE) return;
    if (proven) s->identity->ends_us = now;
    want_token(s, 0, now);
}

void session_refused(struct session *s, int64_t now) {
    if (s->current != NONE) return;
    if (!s->identity->counters.refused)
        say(s, NULL, "no server may serve this machine: are its device and vDisk known and enabled? It asks again and goes on by itself");
    s->identity->counters.refused = true;
    want_token(s, TOKEN_MIN_US, now);
}

/* Another disk under a mounted root: never. */
static void another_disk(struct session *s, int64_t now) {
    say(s, NULL, "the farm has another disk or version for this machine now: restart it to boot that");
    token_later(s, now);
}

static void ticket(struct session *s, const struct packet *p, const uint8_t *bytes, size_t n, int64_t now) {
    struct identity *id = s->identity;
    const bool renew = s->login.renew;
    uint8_t session_key[32], key[16];
    if (!login_keys(session_key, key, s->login.secret, s->login.share, p->share, renew ? id->session_key : NULL) || !signed_by(bytes, n, key)) {
        drop(s, DROP_TAG);
        return;
    }
    if (id->disk_bytes > 0 && p->disk_bytes != id->disk_bytes) {
        drop(s, DROP_SIZE);
        if (renew) renew_later(s, now);
        else another_disk(s, now);
        return;
    }
    id->ticket_bytes = 0; /* whoever dies in between logs in again */
    memcpy(id->ticket, p->ticket, p->ticket_bytes);
    memcpy(id->session_key, session_key, sizeof session_key);
    id->disk_bytes = p->disk_bytes;
    id->block_bytes = p->block_bytes;
    id->mode = p->mode;
    id->renew_us = now + RENEW_US;
    id->ends_us = now + TICKET_US;
    struct server_list list;
    server_list_take(&list, p->entry_bytes, p->entries, p->list_version);
    if (list.count > 0) id->servers = list;
    id->ticket_bytes = p->ticket_bytes;
    s->login.state = LOGGED_IN;
    s->login.renew = false;
    sodium_memzero(s->login.secret, sizeof s->login.secret);
    take_list(s, now);
    if (s->current != NONE) return;
    id->preferred = id->servers.entries[0];
    for (int i = 0; i < LINKS; i++) s->links[i].next_us = now + PREFER_US;
    const int first = link_of(s, &id->preferred);
    if (first != NONE && s->links[first].state == AWAY) link_attach(s, first, ROLE_SERVE, now);
}

static void login_refused(struct session *s, const struct packet *p, const uint8_t *bytes, size_t n, int64_t now) {
    if (s->login.renew && !session_refusal_signed(s, bytes, n)) {
        drop(s, DROP_TAG); /* the true answer may come yet; if not, another server is asked */
        return;
    }
    session_refusal(s, &s->login.server, p);
    if (s->login.renew) renew_later(s, now);
    else if (s->identity->ticket_bytes > 0) token_later(s, now);
    else if (p->code == REFUSAL_TOKEN_INVALID || p->code == REFUSAL_TOKEN_EXPIRED || p->code == REFUSAL_TICKET_INVALID) login_want_token(s, 0, now);
    else login_pause(s, session_retry(p, REFUSED_US), now);
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
        if (login->renew) drop(s, DROP_MALFORMED); /* a renewal is never redirected, so no server said that */
        else if (p->server.family != 4 || ++login->redirects > MAX_REDIRECTS) login_pause(s, REFUSED_US, now);
        else {
            login->redirected = true;
            login_start(s, &p->server, now);
        }
        break;
    case REFUSE:
        login_refused(s, p, bytes, n, now);
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
        login->asked = 1;
        login_start(s, &s->links[s->current].server, now);
        break;
    case ASKING:
        if (now < login->next_us) break;
        if (++login->tries < LOGIN_TRIES) login_send(s, now);
        else if (login->renew && login->asked++ >= RENEW_SERVERS) renew_later(s, now);
        else login_next(s, now);
        break;
    case WANTING:
        break;
    case PAUSED:
        if (now >= login->next_us) login_next(s, now);
    }
}

bool session_wants_token(struct session *s, int64_t now) {
    if (s->login.state != WANTING || now < s->login.next_us) return false;
    s->login.next_us = now + TOKEN_TRY_US;
    return true;
}

void session_token(struct session *s, const uint8_t *token, uint16_t bytes, const char *manifest, int64_t now) {
    struct identity *id = s->identity;
    if (s->login.state != WANTING) return; /* its time was over */
    const bool running = id->disk_bytes > 0;
    if (bytes == 0 || bytes > sizeof id->token) {
        if (running) token_later(s, now);
        else login_pause(s, REFUSED_US, now);
        return;
    }
    if (running && id->manifest[0] != 0 && manifest[0] != 0 && strcmp(id->manifest, manifest) != 0) {
        another_disk(s, now);
        return;
    }
    memcpy(id->token, token, bytes);
    id->token_bytes = bytes;
    snprintf(id->manifest, sizeof id->manifest, "%s", manifest);
    if (may_log_in_anew(s, now)) {
        login_pause(s, TOKEN_FRESH_US, now);
        return;
    }
    for (int i = 0; i < LINKS; i++) s->links[i].next_us = s->links[i].state == AWAY ? now : s->links[i].next_us;
    token_later(s, now); /* the farm knows this machine: it may take the ticket again */
}

/* What holds between two calls. The identity is memory that an earlier client has written, too. */
static void check(const struct session *s) {
    const struct identity *id = s->identity;
    ASSERT(id->token_bytes <= MAX_TOKEN_BYTES);
    ASSERT(id->ticket_bytes <= MAX_TOKEN_BYTES);
    ASSERT(id->servers.count > 0 && id->servers.count <= MAX_SERVERS);
    ASSERT(id->ticket_bytes == 0 || id->disk_bytes > 0);
    ASSERT(id->path_bytes == 0 || (id->path_bytes >= MIN_SEGMENT_BYTES && id->path_bytes % GRAIN == 0));
    ASSERT(s->current >= NONE && s->current < LINKS);
    ASSERT(s->standby >= NONE && s->standby < LINKS);
    ASSERT(s->moving >= NONE && s->moving < LINKS);
    ASSERT(s->current == NONE || (s->current != s->standby && s->current != s->moving));
    ASSERT(s->current == NONE || s->links[s->current].state == UP);
    reads_check(s);
}

void session_init(struct session *s, const struct effects *effects, struct identity *identity, uint16_t segment_bytes, int64_t now) {
    memset(s, 0, sizeof *s);
    s->effects = *effects;
    s->identity = identity;
    s->segment_bytes = segment_bytes;
    s->current = s->standby = s->moving = NONE;
    s->ticked_us = s->waits.alone_us = now;
    s->waits.hushed = true; /* the client before may have been killed in a wait: the first tick says what is so */
    memset(identity->counters.waits_for, 0, sizeof identity->counters.waits_for);
    s->login.token_pause_us = TOKEN_MIN_US;
    for (int i = 0; i < ASSEMBLIES; i++) s->assemblies[i].read = NONE;
    for (int i = 0; i < ASKS; i++) s->asks[i].assembly = NONE;
    ASSERT(segment_bytes >= MIN_SEGMENT_BYTES && segment_bytes % GRAIN == 0);
    check(s);
    take_list(s, now);
    if (identity->ticket_bytes == 0) {
        login_next(s, now);
        return;
    }
    for (int i = 0; i < LINKS; i++) s->links[i].next_us = now + PREFER_US;
    const int first = link_of(s, &identity->preferred);
    if (first != NONE) link_attach(s, first, ROLE_SERVE, now);
}

void session_receive(struct session *s, const struct entry *from, const uint8_t *bytes, size_t n, int64_t now) {
    struct packet p;
    if (!packet_parse(bytes, n, &p)) {
        drop(s, DROP_MALFORMED);
        return;
    }
    const bool echo = p.type == COOKIE || p.type == TICKET || p.type == REDIRECT || p.type == REFUSE;
    if (echo && s->login.state == ASKING && entry_same(from, &s->login.server) && sodium_memcmp(p.nonce, s->login.nonce, NONCE_BYTES) == 0) {
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
        for (int i = 0; i < LINKS; i++) {
            const int64_t since = s->links[i].waiting_us + gap;
            s->links[i].waiting_us = since < now ? since : now;
        }
    check(s);
    s->ticked_us = now;
    login_tick(s, now);
    for (int i = 0; i < LINKS; i++) {
        struct link *l = &s->links[i];
        if (l->server.family == 0) continue;
        link_tick(s, i, now);
        if (s->current == NONE && l->state == AWAY && now >= l->next_us && s->identity->ticket_bytes > 0) link_attach(s, i, ROLE_SERVE, now);
    }
    if (s->current != NONE && s->standby == NONE) {
        s->standby = next_standby(s, now);
        if (s->standby != NONE) link_attach(s, s->standby, ROLE_STANDBY, now);
    }
    if (s->current != NONE && s->list_wanted && now >= s->list_us) link_ask_list(s, s->current, now);
    reads_tick(s, now);
    waits_tell(s, now);
}

static void sooner(int64_t *wake, int64_t us) {
    if (us < *wake) *wake = us;
}

int64_t session_wake(const struct session *s, int64_t now) {
    int64_t wake = now + PAUSED_US / 2; /* tells our own pauses from a server's silence */
    if (s->login.state != LOGGED_IN) sooner(&wake, s->login.next_us);
    for (int i = 0; i < LINKS; i++) {
        const struct link *l = &s->links[i];
        if (l->server.family == 0) continue;
        if (l->state == ATTACHING || l->rejoining || (l->state == AWAY && s->standby == NONE)) sooner(&wake, l->next_us);
        if (l->state != UP) continue;
        sooner(&wake, l->ping_us);
        if (l->bad_told != l->bad_reads) sooner(&wake, l->bad_us);
        sooner(&wake, path_due(&l->path, l->heard_us, link_round_us(l)));
        if (!l->owes) continue;
        if (now - l->waiting_us < HEDGE_AFTER_US) sooner(&wake, l->waiting_us + HEDGE_AFTER_US);
        sooner(&wake, l->waiting_us + LEAVE_AFTER_US);
    }
    sooner(&wake, reads_due(s, now));
    return wake > now ? wake : now + 1000;
}

void session_bye(struct session *s) {
    for (int i = 0; i < LINKS; i++)
        if (s->links[i].state == UP) link_bye(s, i, BYE_LEAVING);
}
