/* Reads: asked within a server's window, put together from segments, asked again where bytes are missing, hedged, checked as a whole. */
#include <sodium.h>
#include <string.h>

#include "invariant.h"
#include "session.h"

enum {
    MAX_HOLES = 8,
    OLD_ASKS = MAX_HOLES, /* earlier ones of an answer, given up, that may still be answered */
    HOLE_US = 2000,
    EVEN_TRIES = 3, /* time-outs in a row that are not doubled: three in a row are loss as often as a way that is too full */
    HEDGE_COST = 20,
    HEDGE_CREDIT_MAX = 160,
    SECTOR = SECTOR_BYTES
};

static bool has(const struct assembly *a, uint32_t byte) { return a->have[byte / GRAIN / 64] >> (byte / GRAIN % 64) & 1; }

static void ask_end(struct session *s, struct ask *ask, bool answered) {
    struct link *l = &s->links[s->assemblies[ask->assembly].link];
    window_done(&l->window, ask->counted, answered);
    ask->assembly = NONE;
    ASSERT(l->asks > 0);
    l->asks--;
}

static void assembly_asks_end(struct session *s, int index, bool answered) {
    for (int i = 0; i < ASKS; i++)
        if (s->asks[i].assembly == index) ask_end(s, &s->asks[i], answered);
}

static void assembly_end(struct session *s, int index, bool answered) {
    struct assembly *a = &s->assemblies[index];
    ASSERT(a->read != NONE);
    assembly_asks_end(s, index, answered);
    struct read *read = &s->reads[a->read];
    for (int k = 0; k < 2; k++)
        if (read->answers[k] == index) read->answers[k] = NONE;
    a->read = NONE;
}

static bool announced(const struct assembly *a) { return a->wait_us > a->asked_us; }

/* What is announced comes from a disk, and is given time as one. All else is not waited for longer than for a silent server: one that is not is heard. */
static int64_t timeout_of(const struct session *s, const struct assembly *a) {
    const struct link *l = &s->links[a->link];
    if (announced(a)) return rtt_timeout(&l->disk, a->tries);
    const int64_t once = rtt_timeout(&l->rtt, 0), most = once > LEAVE_AFTER_US ? once : LEAVE_AFTER_US;
    const int64_t us = rtt_timeout(&l->rtt, a->tries > EVEN_TRIES ? a->tries - EVEN_TRIES : 0);
    return us < most ? us : most;
}

/*
 * When it is late, by what is usual at that server: what is in its memory by the round trip, what is announced by its disk. Each read that another had to
 * answer for it halves the patience with it, until it answers one.
 */
static int64_t late_us(const struct session *s, const struct assembly *a) {
    const struct link *l = &s->links[a->link];
    const struct rtt *rtt = a->waited ? &l->disk : &l->rtt;
    const int64_t usual = rtt->smoothed_us == 0 ? 0 : rtt_timeout(rtt, 0);
    const int64_t patience = l->failing < FAILING_READS ? HEDGE_AFTER_US >> l->failing : 0;
    const int64_t least = patience > RTO_MIN_US ? patience : RTO_MIN_US;
    return a->begun_us + (usual > least ? usual : least);
}

static bool late(const struct session *s, int index, int64_t now) { return index != NONE && now >= late_us(s, &s->assemblies[index]); }

/* A free place; else that of the oldest question that is given up. */
static struct ask *place_for_ask(struct session *s) {
    struct ask *old = NULL;
    for (int i = 0; i < ASKS; i++) {
        struct ask *ask = &s->asks[i];
        if (ask->assembly == NONE) return ask;
        if (ask->counted == 0 && (old == NULL || ask->sent_us < old->sent_us)) old = ask;
    }
    if (old != NULL) ask_end(s, old, false);
    return old;
}

/* One READ for a range of the assembly. False when there is no place for it: the next time-out tries again. */
static bool ask_range(struct session *s, int index, uint32_t begin, uint32_t length, int64_t now) {
    struct assembly *a = &s->assemblies[index];
    const struct read *read = &s->reads[a->read];
    struct link *l = &s->links[a->link];
    struct ask *ask = place_for_ask(s);
    if (ask == NULL) return false;
    link_owes(l, now);
    a->asked_us = now;
    *ask = (struct ask){.assembly = index, .number = ++l->number, .begin = begin, .length = length, .counted = length, .sent_us = now};
    l->asks++;
    window_sent(&l->window, length);
    uint8_t bytes[MAX_PACKET_BYTES];
    const size_t n = packet_read(bytes, l->session, ask->number, read->offset + begin, length, a->link == s->current ? 0 : READ_HEDGED);
    sign(bytes, n, l->keys.client_tag);
    memcpy(ask->tag, bytes + n - TAG_BYTES, TAG_BYTES);
    s->effects.send(s->effects.context, &l->server, bytes, n);
    return true;
}

static int start(struct session *s, int read, int link, int64_t now) {
    for (int i = 0; i < ASSEMBLIES; i++) {
        struct assembly *a = &s->assemblies[i];
        if (a->read != NONE) continue;
        memset(a, 0, offsetof(struct assembly, data));
        a->read = read;
        a->link = link;
        a->length = s->reads[read].length;
        a->begun_us = now;
        a->deadline_us = now + rtt_timeout(&s->links[link].rtt, 0);
        if (ask_range(s, i, 0, a->length, now)) return i;
        a->read = NONE;
        return NONE;
    }
    return NONE;
}

static bool open_to(const struct session *s, int link, uint32_t bytes) {
    return link != NONE && s->links[link].state == UP && window_admits(&s->links[link].window, bytes);
}

static bool failed_at(const struct read *read, int link) { return link != NONE && (read->failed >> link & 1) != 0; }

/* Where a read is asked: the server that serves, or its stand-by when that one cannot read this. NONE: both have said so, or there is no stand-by. */
static int place_of(const struct session *s, const struct read *read) {
    if (!failed_at(read, s->current)) return s->current;
    return s->standby != NONE && s->links[s->standby].state == UP && !failed_at(read, s->standby) ? s->standby : NONE;
}

static void fail(struct session *s, int index, int64_t now) {
    s->reads[index].state = FAILED;
    session_other_standby(s, now);
    s->effects.failed(s->effects.context, (unsigned)index);
}

static void hedge(struct session *s, int index, int64_t now) {
    struct read *read = &s->reads[index];
    const int other = s->standby;
    if (read->answers[1] != NONE || failed_at(read, other) || !open_to(s, other, read->length)) return;
    if (read->answers[0] != NONE && s->assemblies[read->answers[0]].link == other) return;
    read->answers[1] = start(s, index, other, now);
    if (read->answers[1] != NONE) s->identity->counters.hedges++;
}

/* The open read that is next in order after `after`, or NONE. */
static int next_open(const struct session *s, uint64_t after) {
    int found = NONE;
    for (int i = 0; i < READS; i++)
        if (s->reads[i].state == OPEN && s->reads[i].order > after && (found == NONE || s->reads[i].order < s->reads[found].order)) found = i;
    return found;
}

/* Something that the current server was asked for is late. */
static bool holds_up(const struct session *s, int64_t now) {
    for (int i = 0; i < ASSEMBLIES; i++) {
        const struct assembly *a = &s->assemblies[i];
        if (a->read != NONE && a->link == s->current && s->reads[a->read].state == OPEN && late(s, i, now)) return true;
    }
    return false;
}

void reads_pump(struct session *s, int64_t now) {
    if (s->current == NONE || s->links[s->current].state != UP) return;
    const bool silent = link_silent(&s->links[s->current], HEDGE_AFTER_US, now), held_up = holds_up(s, now);
    bool nobody_has = false;
    uint32_t full = 0; /* links whose window has no room for a read: later ones do not pass it, or a long one waits for ever */
    ASSERT(LINKS <= 32);
    for (int i = next_open(s, 0); i != NONE; i = next_open(s, s->reads[i].order)) {
        struct read *read = &s->reads[i];
        const int place = place_of(s, read), hedged = read->answers[1];
        if (read->answers[0] == NONE && hedged != NONE && (place == NONE || s->assemblies[hedged].link == place)) {
            read->answers[0] = hedged; /* the hedge is left, and its server is asked now. Else the current one has only attached anew */
            read->answers[1] = NONE;
        }
        if (read->answers[0] == NONE && place == NONE) {
            fail(s, i, now);
            continue;
        }
        if (read->answers[0] == NONE && (hedged == NONE || late(s, hedged, now)) && (full >> place & 1) == 0) {
            if (open_to(s, place, read->length)) read->answers[0] = start(s, i, place, now);
            if (read->answers[0] == NONE) full |= UINT32_C(1) << place;
        }
        const int asked = read->answers[0];
        if (asked == NONE ? silent || held_up : silent || late(s, asked, now)) hedge(s, i, now);
        if (late(s, asked, now) && late(s, read->answers[1], now)) nobody_has = true;
    }
    if (nobody_has) session_other_standby(s, now);
}

/* Asks for what is missing: at most MAX_HOLES ranges of whole sectors, the last of them up to the end of what lacks. */
static void ask_missing(struct session *s, int index, int64_t now) {
    struct assembly *a = &s->assemblies[index];
    struct {
        uint32_t begin, end;
    } holes[MAX_HOLES];
    unsigned count = 0;
    for (uint32_t at = 0; at < a->length; at += GRAIN) {
        if (has(a, at)) continue;
        const uint32_t begin = at / SECTOR * SECTOR, end = begin + SECTOR;
        if (count > 0 && (begin <= holes[count - 1].end || count == MAX_HOLES)) holes[count - 1].end = end;
        else {
            holes[count].begin = begin;
            holes[count++].end = end;
        }
    }
    for (unsigned i = 0; i < count; i++) ask_range(s, index, holes[i].begin, holes[i].end - holes[i].begin, now);
}

/* Earlier questions may still be answered, but no longer count as being on their way. */
static void give_up_waiting(struct session *s, int index) {
    struct link *l = &s->links[s->assemblies[index].link];
    int mine = 0, oldest = NONE;
    for (int i = 0; i < ASKS; i++) {
        if (s->asks[i].assembly != index) continue;
        window_done(&l->window, s->asks[i].counted, false);
        s->asks[i].counted = 0;
        mine++;
        if (oldest == NONE || s->asks[i].number < s->asks[oldest].number) oldest = i;
    }
    if (mine > OLD_ASKS) ask_end(s, &s->asks[oldest], false);
}

int64_t reads_due(const struct session *s, int64_t now) {
    int64_t due = INT64_MAX;
    for (int i = 0; i < ASSEMBLIES; i++) {
        const struct assembly *a = &s->assemblies[i];
        if (a->read == NONE || s->reads[a->read].state != OPEN) continue;
        if (a->deadline_us < due) due = a->deadline_us;
        if (!late(s, i, now) && late_us(s, a) < due) due = late_us(s, a);
    }
    return due;
}

void reads_tick(struct session *s, int64_t now) {
    for (int i = 0; i < ASSEMBLIES; i++) {
        struct assembly *a = &s->assemblies[i];
        if (a->read == NONE || s->reads[a->read].state != OPEN || now < a->deadline_us) continue;
        struct link *l = &s->links[a->link];
        a->tries++;
        a->deadline_us = now + timeout_of(s, a);
        s->identity->counters.retransmissions++;
        if (!announced(a)) window_lost(&l->window, now, l->rtt.smoothed_us);
        if (!announced(a) && a->tries > 1) link_lost(s, a, now);
        give_up_waiting(s, i);
        ask_missing(s, i, now);
        if (a->tries > 1 && s->hedge_credit >= HEDGE_COST && s->reads[a->read].answers[1] == NONE) {
            hedge(s, a->read, now);
            if (s->reads[a->read].answers[1] != NONE) s->hedge_credit -= HEDGE_COST;
        }
    }
    reads_pump(s, now);
}

static struct ask *ask_of(struct session *s, int link, uint64_t number) {
    for (int i = 0; i < ASKS; i++)
        if (s->asks[i].assembly != NONE && s->asks[i].number == number && s->assemblies[s->asks[i].assembly].link == link) return &s->asks[i];
    return NULL;
}

bool reads_asked(const struct session *s, int link, uint64_t number, const uint8_t *tag) {
    const struct ask *ask = ask_of((struct session *)s, link, number);
    return ask != NULL && sodium_memcmp(ask->tag, tag, TAG_BYTES) == 0;
}

/* This server cannot read it: it is asked elsewhere by the next reads_pump. */
static void give_up(struct session *s, int index) {
    const struct assembly *a = &s->assemblies[index];
    s->reads[a->read].failed |= UINT32_C(1) << a->link;
    assembly_end(s, index, false);
}

/*
 * Some segment was not what the server has, and nobody can say which: it is asked for again as a whole, once. Twice in a row is no accident: the server
 * reads it wrong, or somebody on the way to it alters all that it says; that is as good as an ERROR.
 */
static void answered_wrong(struct session *s, int index, int64_t now) {
    struct assembly *a = &s->assemblies[index];
    drop(s, DROP_ANSWER_TAG);
    if (++a->wrong >= WRONG_ANSWERS) {
        s->reads[a->read].wrong = true;
        link_wrong(s, a->link, s->reads[a->read].offset, now);
        give_up(s, index);
        return;
    }
    memset(a->have, 0, sizeof a->have);
    a->got = 0;
    a->headed = false;
    a->tries++;
    a->deadline_us = now + timeout_of(s, a);
    assembly_asks_end(s, index, false);
    ask_range(s, index, 0, a->length, now);
}

/* The whole is there. Mode Trusted has checked each segment already. */
static void finish(struct session *s, int index, int64_t now) {
    struct assembly *a = &s->assemblies[index];
    ASSERT(a->got == a->length);
    ASSERT(s->reads[a->read].state == OPEN);
    struct link *l = &s->links[a->link];
    if (l->mode == MODE_AUTHENTICATED && !(a->headed && answer_tag_right(l->suite, l->keys.server_data, a->header, a->data, a->length, a->tag))) {
        answered_wrong(s, index, now);
        return;
    }
    assembly_asks_end(s, index, true);
    const int number = a->read;
    struct read *read = &s->reads[number];
    const int other = read->answers[0] == index ? read->answers[1] : read->answers[0];
    const bool held_up = late(s, other, now);
    if (other != NONE) assembly_end(s, other, false);
    read->answers[0] = index;
    read->answers[1] = NONE;
    read->state = DONE;
    s->identity->counters.reads++;
    s->identity->counters.bytes += a->length;
    if (s->hedge_credit < HEDGE_CREDIT_MAX) s->hedge_credit++;
    const bool instead = a->link != s->current && (failed_at(read, s->current) || held_up);
    l->failing = 0;
    s->effects.filled(s->effects.context, (unsigned)number);
    if (!instead || ++s->links[s->current].failing < FAILING_READS) return;
    link_bye(s, s->current, BYE_LEAVING);
    session_leave(s, s->current, held_up ? "leaves waiting what its stand-by has" : "cannot read its copy", PROBE_MAX_US, now);
}

/* What was asked before that and has no answer yet was lost, on its way or on the way back: it is asked again as soon as what comes late has had its time. */
static void overtaken(struct session *s, const struct ask *by, int64_t now) {
    const int link = s->assemblies[by->assembly].link;
    const int64_t again_us = now + s->links[link].rtt.variation_us + HOLE_US;
    for (int i = 0; i < ASKS; i++) {
        const struct ask *ask = &s->asks[i];
        if (ask->assembly == NONE || ask->number >= by->number || ask->sent_us == 0 || ask->counted == 0) continue;
        struct assembly *a = &s->assemblies[ask->assembly];
        if (a->link == link && !announced(a) && a->deadline_us > again_us) a->deadline_us = again_us;
    }
}

void reads_data(struct session *s, int link, const struct packet *p, const uint8_t *bytes, int64_t now) {
    struct link *l = &s->links[link];
    struct ask *ask = ask_of(s, link, p->request);
    if (ask == NULL) {
        if (!link_probe_data(s, link, p, now)) drop(s, DROP_LATE);
        return;
    }
    const int index = ask->assembly;
    struct assembly *a = &s->assemblies[index];
    const uint32_t left = ask->length - (p->position < ask->length ? p->position : ask->length);
    const uint32_t want = left < l->segment_bytes ? left : l->segment_bytes;
    if (p->offset != s->reads[a->read].offset + ask->begin || p->length != ask->length || p->position % l->segment_bytes != 0 ||
        p->data_bytes != want || want == 0) {
        drop(s, DROP_SIZE);
        return;
    }
    if (l->mode == MODE_TRUSTED && sodium_memcmp(p->tag, ask->tag, TAG_BYTES) != 0) {
        drop(s, DROP_TAG);
        return;
    }
    if (l->mode == MODE_AUTHENTICATED && ask->begin == 0 && ask->length == a->length && !a->headed) {
        a->headed = true;
        memcpy(a->header, bytes, DATA_SIGNED_BYTES);
        memcpy(a->tag, p->tag, TAG_BYTES);
    }
    l->heard_us = l->waiting_us = now;
    link_arrived(s, link, p->data_bytes, now);
    if (a->waited && a->got == 0) rtt_measured(&l->disk, now - a->begun_us);
    if (!a->waited && ask->sent_us != 0)
        rtt_measured(&l->rtt, now - ask->sent_us); /* no other READ has its number: what was asked again counts, too */
    if (ask->sent_us != 0) overtaken(s, ask, now);
    ask->sent_us = 0; /* measured once */
    const uint32_t at = ask->begin + p->position;
    ASSERT(at + want <= a->length); /* it lies in its own answer, and in no memory behind */
    uint32_t fresh = 0;
    for (uint32_t i = 0; i < want; i += GRAIN) {
        if (has(a, at + i)) continue;
        const uint32_t n = want - i < GRAIN ? want - i : GRAIN;
        memcpy(a->data + at + i, p->data + i, n);
        a->have[(at + i) / GRAIN / 64] |= UINT64_C(1) << ((at + i) / GRAIN % 64);
        fresh += n;
    }
    a->got += fresh;
    if (fresh > 0) a->tries = 0; /* RFC 9002, 6.2.1: the way carries */
    if (fresh == 0) drop(s, DROP_DUPLICATE);
    if (a->got == a->length) {
        finish(s, index, now);
        reads_pump(s, now);
        return;
    }
    const bool hole = p->position + want == ask->length; /* the end came, and something before it did not */
    a->deadline_us = now + (hole ? l->rtt.variation_us + HOLE_US : timeout_of(s, a));
}

void reads_wait(struct session *s, int link, const struct packet *p, int64_t now) {
    const struct ask *ask = ask_of(s, link, p->request);
    s->links[link].path.announced_us = now;
    if (ask == NULL) {
        if (!link_probe_no_data(s, link, p)) drop(s, DROP_LATE);
        return;
    }
    struct assembly *a = &s->assemblies[ask->assembly];
    a->waited = true;
    a->wait_us = now;
    a->deadline_us = now + timeout_of(s, a);
}

void reads_error(struct session *s, int link, const struct packet *p, int64_t now) {
    const struct ask *ask = ask_of(s, link, p->request);
    if (ask == NULL) {
        if (!link_probe_no_data(s, link, p)) drop(s, DROP_LATE);
        return;
    }
    give_up(s, ask->assembly);
    reads_pump(s, now);
}

void reads_forget(struct session *s, int link) {
    for (int i = 0; i < ASSEMBLIES; i++)
        if (s->assemblies[i].read != NONE && s->assemblies[i].link == link && s->reads[s->assemblies[i].read].state == OPEN)
            assembly_end(s, i, false);
}

int session_read(struct session *s, uint64_t offset, uint32_t length, int64_t now) {
    ASSERT(length > 0 && length <= MAX_READ_BYTES && length % SECTOR == 0 && offset % SECTOR == 0);
    ASSERT(offset <= s->identity->disk_bytes && length <= s->identity->disk_bytes - offset);
    for (int i = 0; i < READS; i++) {
        if (s->reads[i].state != FREE) continue;
        s->reads[i] =
            (struct read){.state = OPEN, .offset = offset, .order = ++s->orders, .since_us = now, .length = length, .answers = {NONE, NONE}};
        reads_pump(s, now);
        return i;
    }
    return NONE;
}

const uint8_t *session_data(const struct session *s, unsigned read) {
    ASSERT(read < READS && s->reads[read].state == DONE && s->reads[read].answers[0] != NONE);
    return s->assemblies[s->reads[read].answers[0]].data;
}

void session_release(struct session *s, unsigned read) {
    ASSERT(read < READS && s->reads[read].state != FREE);
    for (int k = 0; k < 2; k++)
        if (s->reads[read].answers[k] != NONE) assembly_end(s, s->reads[read].answers[k], false);
    s->reads[read].state = FREE;
}

void reads_check(const struct session *s) {
    unsigned asks[LINKS] = {0};
    uint32_t outstanding[LINKS] = {0};
    for (int i = 0; i < ASSEMBLIES; i++) {
        const struct assembly *a = &s->assemblies[i];
        if (a->read == NONE) continue;
        ASSERT(a->read >= 0 && a->read < READS && a->link >= 0 && a->link < LINKS);
        ASSERT(a->length == s->reads[a->read].length && a->got <= a->length);
        ASSERT(s->reads[a->read].state != FREE && (s->reads[a->read].answers[0] == i || s->reads[a->read].answers[1] == i));
    }
    for (int i = 0; i < ASKS; i++) {
        const struct ask *ask = &s->asks[i];
        if (ask->assembly == NONE) continue;
        ASSERT(ask->assembly >= 0 && ask->assembly < ASSEMBLIES);
        const struct assembly *a = &s->assemblies[ask->assembly];
        ASSERT(a->read != NONE && s->reads[a->read].state == OPEN);
        ASSERT(ask->begin < a->length && ask->length <= a->length - ask->begin && ask->counted <= ask->length);
        asks[a->link]++;
        outstanding[a->link] += ask->counted;
    }
    for (int i = 0; i < LINKS; i++) {
        if (s->links[i].server.family == 0) continue;
        ASSERT(s->links[i].asks == asks[i]);
        ASSERT(s->links[i].window.outstanding == outstanding[i]);
    }
}
