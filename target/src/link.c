/* One server: attach, keys, pings, and what it says. A packet counts only with the right session and tag. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "invariant.h"
#include "session.h"

void link_owes(struct link *l, int64_t now) {
    if (!l->owes) l->waiting_us = now;
    l->owes = true;
}

bool link_silent(const struct link *l, int64_t us, int64_t now) { return l->state == UP && l->owes && now - l->waiting_us >= us; }

static void send_attach(struct session *s, struct link *l, int64_t now) {
    uint8_t bytes[MAX_PACKET_BYTES], key[16];
    const struct identity *id = s->identity;
    /* With a stale cookie, or none, the server answers by a COOKIE: the same round trips as with a HELLO, and one state less. */
    const size_t n = packet_attach(bytes, l->nonce, l->cookie, l->path.asked, l->role, id->ticket, id->ticket_bytes);
    attach_key(key, id->session_key);
    sign(bytes, n, key);
    l->next_us = now + jitter(s, ATTACH_AGAIN_US << l->tries);
    s->effects.send(s->effects.context, &l->server, bytes, n);
}

/* What is known to arrive from that server, else from another: they are mostly behind the same narrow place. */
static uint16_t known_size(const struct session *s, const struct link *l) {
    const uint16_t known = l->path.limit != 0 ? l->path.limit : s->identity->path_bytes;
    return known != 0 && known < s->segment_bytes ? known : s->segment_bytes;
}

void link_attach(struct session *s, int index, uint8_t role, int64_t now) {
    ASSERT(index >= 0 && index < LINKS && s->links[index].server.family != 0);
    struct link *l = &s->links[index];
    l->state = ATTACHING;
    l->role = role;
    l->tries = 0;
    l->path.asked = known_size(s, l);
    s->effects.random(s->effects.context, l->nonce, sizeof l->nonce);
    send_attach(s, l, now);
}

/* The session that is there runs on until the server itself has said, signed, that there is another. */
static void rejoin(struct session *s, struct link *l, uint16_t segment_bytes, int64_t now) {
    l->rejoining = true;
    l->tries = 0;
    l->path.asked = segment_bytes;
    path_settle(&l->path); /* what was asked of the session before is answered no more */
    s->effects.random(s->effects.context, l->nonce, sizeof l->nonce);
    send_attach(s, l, now);
}

/* Somebody says that the server was restarted. */
static void rejoin_hinted(struct session *s, struct link *l, int64_t now) {
    if (l->rejoining || (l->rejoined_us > 0 && now - l->rejoined_us < REJOIN_US)) return;
    l->rejoined_us = now;
    rejoin(s, l, known_size(s, l), now);
}

static void send_signed(struct session *s, struct link *l, uint8_t *bytes, size_t n) {
    sign(bytes, n, l->keys.client_tag);
    s->effects.send(s->effects.context, &l->server, bytes, n);
}

void link_ping(struct session *s, int index, int64_t now) {
    struct link *l = &s->links[index];
    uint8_t bytes[MAX_PACKET_BYTES];
    link_owes(l, now);
    l->pinged = true;
    l->pinged_us = now;
    l->ping_us = now + PING_AGAIN_US;
    l->ping_number = ++l->number;
    if (l->bad_told != l->bad_reads) l->bad_us = now + PING_BAD_US;
    l->bad_told = l->bad_reads;
    const size_t n = packet_ping(bytes, l->session, l->ping_number, l->role, l->bad_reads, s->identity->servers.version, l->ping_number);
    send_signed(s, l, bytes, n);
    memcpy(l->ping_tag, bytes + n - TAG_BYTES, TAG_BYTES);
}

void link_wrong(struct session *s, int index, uint64_t offset, int64_t now) {
    struct link *l = &s->links[index];
    struct counters *counters = &s->identity->counters;
    if (l->bad_reads < UINT16_MAX) l->bad_reads++;
    counters->bad_reads++;
    counters->bad = l->server;
    if (l->wrong_said_us != 0 && now - l->wrong_said_us < WRONG_SAID_US) return;
    l->wrong_said_us = now;
    char text[96];
    snprintf(text, sizeof text, "gives wrong data at byte %llu: its copy is bad, or the way alters it", (unsigned long long)offset);
    s->effects.say(s->effects.context, &l->server, text);
}

void link_bye(struct session *s, int index, uint8_t reason) {
    struct link *l = &s->links[index];
    uint8_t bytes[MAX_PACKET_BYTES];
    send_signed(s, l, bytes, packet_bye(bytes, l->session, ++l->number, reason));
}

void link_ask_list(struct session *s, int index, int64_t now) {
    struct link *l = &s->links[index];
    uint8_t bytes[MAX_PACKET_BYTES];
    send_signed(s, l, bytes, packet_servers(bytes, l->session, ++l->number, s->identity->servers.version));
    s->list_us = now + PING_IDLE_US;
}

/* READs whose answers are thrown away: of the size in doubt, and behind them what is answered by smaller packets. A disk has all of it in one place. */
static void ask_round(struct session *s, int index, int64_t now) {
    struct link *l = &s->links[index];
    const uint32_t flags = index == s->current ? 0 : READ_HEDGED, whole = (l->path.doubt + SECTOR_BYTES - 1u) / SECTOR_BYTES * SECTOR_BYTES;
    uint8_t bytes[MAX_PACKET_BYTES];
    l->path.round_us = now;
    for (unsigned i = 0; i < PATH_PROBES; i++) send_signed(s, l, bytes, packet_read(bytes, l->session, ++l->number, l->probes.offset, whole, flags));
    if (whole > SECTOR_BYTES) send_signed(s, l, bytes, packet_read(bytes, l->session, ++l->number, l->probes.offset, SECTOR_BYTES, flags));
    l->probes.last = l->number;
    link_ping(s, index, now);
}

static void doubt(struct session *s, int index, uint32_t bytes, uint64_t offset, int64_t asked_us, int64_t now) {
    struct link *l = &s->links[index];
    if (l->rejoining || !path_doubts(&l->path, (uint16_t)bytes, asked_us)) return;
    l->probes.first = l->number + 1;
    l->probes.offset = offset;
    ask_round(s, index, now);
}

void link_lost(struct session *s, const struct assembly *a, int64_t now) {
    const struct link *l = &s->links[a->link];
    doubt(s, a->link, a->length < l->segment_bytes ? a->length : l->segment_bytes, s->reads[a->read].offset, a->asked_us, now);
}

/* Another size: whether it arrives is asked at once, and no read that is long enough waited for. */
static void doubt_new_size(struct session *s, int index, int64_t now) {
    const struct link *l = &s->links[index];
    const uint64_t most = s->identity->disk_bytes, bytes = l->segment_bytes + SECTOR_BYTES, before = l->probes.offset;
    if (bytes > most) return;
    doubt(s, index, l->segment_bytes, before <= most - bytes ? before : 0, now, now);
}

/* Packets of the size in doubt do not arrive. */
static void narrow(struct session *s, int index, int64_t now) {
    struct link *l = &s->links[index];
    const bool trial = l->path.trial;
    const uint16_t lost = l->path.doubt, next = path_lower(&l->path, s->identity->path_bytes, now);
    if (next != 0) {
        char text[96];
        snprintf(text, sizeof text, "answers, but packets of %u bytes of data do not arrive: asks for %u", lost, next);
        if (!trial) s->effects.say(s->effects.context, &l->server, text);
        s->identity->path_bytes = next;
        rejoin(s, l, next, now);
    } else if (index == s->current && s->standby != NONE && s->links[s->standby].state == UP) {
        link_bye(s, index, BYE_LEAVING);
        session_leave(s, index, "answers, but none of its data arrives", PROBE_MAX_US, now);
    }
}

static void judge_path(struct session *s, int index, int64_t now) {
    struct link *l = &s->links[index];
    switch (path_round(&l->path, l->heard_us, link_round_us(l), now)) {
    case PATH_OPEN:
        break;
    case PATH_ASK_AGAIN:
        ask_round(s, index, now);
        break;
    case PATH_NARROW:
        narrow(s, index, now);
    }
}

int64_t link_round_us(const struct link *l) {
    struct rtt rtt = l->rtt;
    if (rtt.smoothed_us == 0 && l->trip_us > 0) rtt_measured(&rtt, l->trip_us);
    return rtt_timeout(&rtt, l->path.without_data);
}

static bool is_probe(const struct link *l, uint64_t request) {
    return l->probes.first != 0 && request >= l->probes.first && request <= l->probes.last;
}

void link_arrived(struct session *s, int index, uint64_t data, int64_t now) {
    struct link *l = &s->links[index];
    if (path_arrived(&l->path, l->segment_bytes, data, s->segment_bytes, now)) s->identity->path_bytes = l->path.limit;
}

bool link_probe_data(struct session *s, int index, const struct packet *p, int64_t now) {
    if (!is_probe(&s->links[index], p->request)) return false;
    link_arrived(s, index, p->data_bytes, now);
    return true;
}

bool link_probe_no_data(struct session *s, int index, const struct packet *p) {
    struct link *l = &s->links[index];
    if (!is_probe(l, p->request)) return false;
    path_settle(&l->path);
    return true;
}

/* Nobody answered who knows the session key. */
static void not_attached(struct session *s, int index, int64_t now) {
    const bool hinted = s->links[index].hinted;
    session_leave(s, index, hinted ? "says that the ticket of this machine does not open: if every server does, restart it" : NULL, 0, now);
    if (hinted) session_ticket_refused(s, false, now);
}

void link_tick(struct session *s, int index, int64_t now) {
    struct link *l = &s->links[index];
    if ((l->state == ATTACHING || l->rejoining) && now >= l->next_us) {
        if (++l->tries < ATTACH_TRIES) send_attach(s, l, now);
        else if (l->rejoining) l->rejoining = false;
        else not_attached(s, index, now);
        if (l->state != UP) return;
    }
    if (link_silent(l, LEAVE_AFTER_US, now)) {
        session_leave(s, index, "was silent for 500 ms", 0, now);
        return;
    }
    if (l->state != UP) return;
    judge_path(s, index, now);
    if (l->state != UP) return; /* left for what does not arrive */
    const uint16_t larger = index == s->current && !l->rejoining ? path_trial(&l->path, l->segment_bytes, s->segment_bytes, now) : 0;
    if (larger != 0) rejoin(s, l, larger, now);
    if (!l->pinged && link_silent(l, HEDGE_AFTER_US, now)) link_ping(s, index, now); /* what was asked may be answered elsewhere by now */
    if (l->bad_told != l->bad_reads && now >= l->bad_us) link_ping(s, index, now);
    if (now < l->ping_us) return;
    if (index == s->current && !l->pinged && now - l->heard_us < PING_IDLE_US) l->ping_us = l->heard_us + PING_IDLE_US;
    else link_ping(s, index, now);
}

/* Whether we can tell the answers of such a session from others. */
static bool judgeable(uint8_t mode, uint8_t suite) {
    return (mode == MODE_TRUSTED && suite == SUITE_AEAD) || (mode == MODE_AUTHENTICATED && (suite == SUITE_AEAD || suite == SUITE_HASH_THEN_MAC));
}

static void attached(struct session *s, int index, const struct packet *p, const uint8_t *bytes, size_t n, int64_t now) {
    struct link *l = &s->links[index];
    struct traffic_keys keys;
    traffic_keys(&keys, s->identity->session_key, l->nonce, p->server_nonce, p->instance);
    if (!signed_by(bytes, n, keys.server_tag)) {
        drop(s, DROP_TAG);
        return;
    }
    if (p->disk_bytes != s->identity->disk_bytes || !judgeable(p->mode, p->suite) || p->segment_bytes > l->path.asked) {
        drop(s, DROP_SIZE);
        return;
    }
    const bool resized = l->state == UP && p->instance == l->instance;
    if (l->state == UP) reads_forget(s, index); /* nothing that it was asked in the session before is answered any more */
    if (l->state == UP && !resized) s->effects.say(s->effects.context, &l->server, "was restarted");
    ASSERT(l->asks == 0); /* their packet numbers are those of another session */
    l->keys = keys;
    l->session = p->session;
    l->mode = p->mode;
    l->suite = p->suite;
    l->instance = p->instance;
    l->segment_bytes = p->segment_bytes;
    path_attached(&l->path, l->segment_bytes, s->segment_bytes, now);
    l->number = 0;
    l->heard_number = p->number;
    l->heard_mask = 0;
    l->asks = l->failing = 0;
    l->bad_reads = l->bad_told = 0;
    l->pinged = l->owes = l->rejoining = l->hinted = false;
    l->fails = 0;
    l->state = UP;
    l->heard_us = l->waiting_us = now;
    l->ping_us = now + PING_IDLE_US;
    if (!resized) l->rtt = l->disk = (struct rtt){0};
    if (!resized) l->trip_us = 0;
    if (!resized) window_reset(&l->window);
    s->list_wanted |= p->list_version != s->identity->servers.version;
    l->probes.first = l->probes.last = 0;
    if (resized) doubt_new_size(s, index, now);
    if (resized) reads_pump(s, now);
    else session_attached(s, index, now);
}

/* An unsigned refusal is a hint: whoever can open the ticket signs, and may answer yet. */
static void refused(struct session *s, int index, const struct packet *p, const uint8_t *bytes, size_t n, int64_t now) {
    struct link *l = &s->links[index];
    if (!session_refusal_signed(s, bytes, n)) {
        drop(s, DROP_TAG);
        l->hinted |= p->code == REFUSAL_TICKET_INVALID && l->state == ATTACHING;
        return;
    }
    int64_t pause = PROBE_MAX_US;
    if (p->code == REFUSAL_UNKNOWN_DEVICE) pause <<= l->fails < 4 ? l->fails : 4;
    session_refusal(s, &l->server, p);
    session_leave(s, index, NULL, session_retry(p, pause < RETRY_MAX_US ? pause : RETRY_MAX_US), now);
    if (p->code == REFUSAL_TICKET_INVALID) session_ticket_refused(s, true, now);
    if (p->code == REFUSAL_UNKNOWN_DEVICE) session_refused(s, now);
}

static void handshake(struct session *s, int index, const struct packet *p, const uint8_t *bytes, size_t n, int64_t now) {
    struct link *l = &s->links[index];
    if ((l->state != ATTACHING && !l->rejoining) || sodium_memcmp(p->nonce, l->nonce, NONCE_BYTES) != 0) {
        drop(s, DROP_LATE);
        return;
    }
    switch (p->type) {
    case COOKIE:
        if (sodium_memcmp(p->cookie, l->cookie, COOKIE_BYTES) == 0) break; /* the timer asks again, not a loop of two packets */
        memcpy(l->cookie, p->cookie, COOKIE_BYTES);
        send_attach(s, l, now);
        break;
    case ATTACHED:
        attached(s, index, p, bytes, n, now);
        break;
    case REFUSE:
        refused(s, index, p, bytes, n, now);
        break;
    default:
        break;
    }
}

static void pong(struct session *s, int index, const struct packet *p, int64_t now) {
    struct link *l = &s->links[index];
    l->server.state = p->state;
    if (l->pinged && p->opaque == l->ping_number) l->trip_us = now - l->pinged_us;
    l->pinged = false;
    l->ping_us = now + (index == s->current ? PING_IDLE_US : jitter(s, PING_STANDBY_US));
    s->list_wanted |= p->list_version != s->identity->servers.version;
    if (index == s->moving) session_attached(s, index, now);
}

/* What was captured and is sent again would else keep a dead server alive. DATA needs an open request instead. */
static bool first_time(struct link *l, uint64_t number) {
    if (number > l->heard_number) {
        const uint64_t ahead = number - l->heard_number;
        l->heard_mask = (ahead < 64 ? l->heard_mask << ahead : 0) | (ahead <= 64 ? UINT64_C(1) << (ahead - 1) : 0);
        l->heard_number = number;
        return true;
    }
    const uint64_t behind = l->heard_number - number;
    if (behind == 0 || behind > 64 || (l->heard_mask >> (behind - 1) & 1) != 0) return false;
    l->heard_mask |= UINT64_C(1) << (behind - 1);
    return true;
}

static void receive(struct session *s, int index, const struct packet *p, const uint8_t *bytes, size_t n, int64_t now) {
    struct link *l = &s->links[index];
    if (p->type == COOKIE || p->type == ATTACHED || p->type == REFUSE) {
        handshake(s, index, p, bytes, n, now);
        return;
    }
    if (l->state != UP || p->session != l->session) {
        drop(s, DROP_SESSION);
        return;
    }
    if (p->type == DATA) {
        reads_data(s, index, p, bytes, now);
        return;
    }
    if (p->type == UNKNOWN) {
        const bool ours = reads_asked(s, index, p->number, p->tag) ||
                          (l->pinged && p->number == l->ping_number && sodium_memcmp(p->tag, l->ping_tag, TAG_BYTES) == 0);
        if (ours) rejoin_hinted(s, l, now); /* whoever sees our packets can say so: a hint */
        else drop(s, DROP_TAG);
        return;
    }
    if (!signed_by(bytes, n, l->keys.server_tag)) {
        drop(s, DROP_TAG);
        return;
    }
    if (!first_time(l, p->number)) {
        drop(s, DROP_REPLAYED);
        return;
    }
    l->heard_us = l->waiting_us = now;
    switch (p->type) {
    case WAIT:
        reads_wait(s, index, p, now);
        break;
    case ERROR:
        if (p->code != ERROR_REVOKED) {
            reads_error(s, index, p, now);
            break;
        }
        session_leave(s, index, "may not serve this machine any longer", session_retry(p, 0),
                      now); /* for how long not, its answer to an ATTACH says */
        session_refused(s, now);
        break;
    case PONG:
        pong(s, index, p, now);
        break;
    case LIST:
        session_listed(s, p, now);
        break;
    case MOVE:
        session_move(s, index, p, now);
        break;
    case BYE:
        session_leave(s, index, "said goodbye", PROBE_MIN_US, now);
        break;
    default:
        drop(s, DROP_MALFORMED);
    }
}

void link_receive(struct session *s, int index, const struct packet *p, const uint8_t *bytes, size_t n, int64_t now) {
    struct link *l = &s->links[index];
    receive(s, index, p, bytes, n, now);
    if (l->heard_us == now) l->owes = l->asks > 0 || l->pinged;
}
