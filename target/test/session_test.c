/* The session in virtual time against servers of a few lines: who serves, what is asked again, what is dropped, and how long a read takes. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "check.h"
#include "device.h"
#include "pieces.h"

#define MS(n) ((int64_t)(n) * 1000)
enum { FARM = 3, QUEUE = 4096, SEGMENT = 1408, DISK_MIB = 64, TRIP_US = 200, SEED = 20261123 };
enum { LARGE_BYTES = 8192 };
enum {
    DATAGRAM_BYTES = MAX_SEGMENT_BYTES + DATA_HEADER_BYTES,
    HELD_READS = 32 /* of a session, by a server whose disk is slow: those above are dropped */
};

enum trouble { NO_TROUBLE, FORGED_DATA, WRONG_SESSION, SHORT_SEGMENT, WRONG_OFFSET, TWICE, STRANGER };

/* Servers share a ticket; each keeps one session. */
static struct server {
    struct entry entry;
    bool dead;
    uint32_t session;
    uint64_t number, instance;
    uint16_t segment;
    bool serves; /* its session, or stands by, or has none */
    unsigned loses_attached; /* so many of its ATTACHED do not arrive */
    uint32_t way; /* data in the largest packet that arrives from it; 0: any */
    unsigned held; /* reads that wait for its disk */
    unsigned forged; /* so many of its next answers are spoiled on the way */
    unsigned bad_told, bad_pings; /* bad reads, as the last PING of its session told; PINGs that told of more than the one before */
    struct traffic_keys keys;
    unsigned reads, pings, byes, logins, lists, attaches;
    uint16_t login_flags;
} servers[FARM];
/* What every server says of all. */
static uint32_t list_version;
static uint64_t bad_from, bad_to; /* what a server of unreads[] cannot read, and one of spoils[] reads wrong */
static bool unreads[FARM], spoils[FARM], without_disk;
static uint32_t retry_ms; /* what a REFUSE says */
static bool listed[FARM], revoked, forgets, unsigned_refusals;
static enum { GRANTS, REFUSES, REFUSES_UNSIGNED, FORGES, SENDS_AWAY, IS_REFUSED_FOR } renewals; /* what is answered to a renewal */
static uint16_t logins_refused; /* the code that every LOGIN is refused with, or 0 */
static unsigned tokens; /* fetched over HTTP */
static uint16_t token_given; /* bytes; 0: none is */
static const char *manifest_given;

static struct {
    int64_t at;
    int from;
    size_t n;
    uint8_t bytes[DATAGRAM_BYTES];
} queue[QUEUE];
static int queued; /* places behind it are free: an hour without packets costs nothing */

static struct session *s;
static struct identity identity;
static int64_t now;
static enum mode mode;
static enum suite suite = SUITE_AEAD; /* of mode Authenticated */
static uint8_t odd_suite; /* what ATTACHED says instead; 0: what is so */
static unsigned done, large_done, unread, loss_in_100; /* large_done: of more than LARGE_BYTES; unread: those that ended in failed() */
static int64_t disk_from; /* no disk answers before, */
static int disk_of;       /* or that of this server alone; NONE: of all */
static enum trouble trouble;
static uint16_t own_segment; /* what the client's own end takes */
static uint8_t session_key[32];
static char last_said[128], alerted[256];
static unsigned alerts, hushes, wrong_said;
static bool hushed;

static uint8_t content(uint64_t at) { return (uint8_t)(at ^ at >> 9 ^ at >> 17); }

static void arrive(int from, const uint8_t *bytes, size_t n, int64_t delay) {
    if (loss_in_100 > 0 && (unsigned)random() % 100 < loss_in_100) return;
    for (int i = 0; i < QUEUE; i++) {
        if (queue[i].n > 0) continue;
        queue[i].at = now + delay;
        queue[i].from = from;
        queue[i].n = n;
        memcpy(queue[i].bytes, bytes, n);
        if (i >= queued) queued = i + 1;
        return;
    }
}

static void answer_header(uint8_t *out, size_t n, const struct server *server, uint8_t type, uint64_t number) {
    memset(out, 0, n);
    out[0] = type;
    out[1] = 1;
    put32(out + 4, server->session);
    put64(out + 8, number);
}

static void put_entry(uint8_t *out, const struct entry *entry) {
    out[0] = entry->family;
    out[1] = entry->state;
    put16(out + 2, entry->port);
    memcpy(out + 4, entry->address, 16);
}

static unsigned put_list(uint8_t *out) {
    unsigned count = 0;
    for (int i = 0; i < FARM; i++)
        if (listed[i]) put_entry(out + count++ * ENTRY_BYTES, &servers[i].entry);
    return count;
}

/* By the attach key, or with zeros where a tag belongs, as of somebody who does not know it. */
static void refuse(int index, const uint8_t *bytes, uint16_t code, const char *why, bool tagged) {
    uint8_t out[MAX_PACKET_BYTES] = {REFUSE, 1}, key[16];
    const size_t text = strlen(why), n = 40 + text + TAG_BYTES;
    memcpy(out + 16, bytes + 16, 16);
    put16(out + 32, code);
    put16(out + 34, (uint16_t)text);
    put32(out + 36, retry_ms);
    memcpy(out + 40, why, text);
    attach_key(key, session_key);
    if (tagged) sign(out, n, key);
    arrive(index, out, n, TRIP_US);
}

static void on_login(int index, const uint8_t *bytes, size_t n_bytes) {
    uint8_t out[MAX_PACKET_BYTES] = {TICKET, 1}, secret[32], key[16];
    servers[index].logins++;
    servers[index].login_flags = get16(bytes + 54);
    const bool renew = (servers[index].login_flags & LOGIN_RENEW) != 0;
    if (logins_refused != 0) {
        refuse(index, bytes, logins_refused, "no", false);
        return;
    }
    attach_key(key, session_key);
    if (renew) CHECK(signed_by(bytes, n_bytes, key), "a renewal proves the key of its ticket");
    if (renew && (renewals == REFUSES || renewals == REFUSES_UNSIGNED)) {
        refuse(index, bytes, REFUSAL_UNKNOWN_DEVICE, "the farm is\nbeing moved", renewals == REFUSES);
        return;
    }
    if (renew && renewals == IS_REFUSED_FOR) refuse(index, bytes, REFUSAL_TICKET_INVALID, "no", false); /* somebody on the path is faster */
    if (renew && renewals == SENDS_AWAY) {
        out[0] = REDIRECT;
        memcpy(out + 16, bytes + 16, 16);
        put_entry(out + 32, &servers[(index + 1) % FARM].entry);
        arrive(index, out, 52, TRIP_US);
        return;
    }
    const unsigned count = put_list(out + 96);
    const size_t n = 88 + 8 + count * ENTRY_BYTES + TAG_BYTES;
    memset(secret, 7, sizeof secret);
    memcpy(out + 16, bytes + 16, 16);
    crypto_scalarmult_base(out + 32, secret);
    put64(out + 64, (uint64_t)DISK_MIB << 20);
    put32(out + 72, 512);
    out[76] = (uint8_t)mode;
    out[77] = 1;
    put16(out + 78, 8);
    put32(out + 80, list_version);
    put16(out + 84, (uint16_t)count);
    memcpy(out + 88, "a ticket", 8);
    uint8_t shared[32], salt[96], both[48];
    if (crypto_scalarmult(shared, secret, bytes + 56) != 0) abort();
    memcpy(salt, bytes + 56, 32);
    memcpy(salt + 32, out + 32, 32);
    memcpy(salt + 64, session_key, 32);
    const bool knows = renew && renewals != FORGES;
    hkdf(both, sizeof both, shared, 32, salt, knows ? 96 : 64, (const uint8_t *)"bootfarm session 1", 18);
    if (!renew || knows) memcpy(session_key, both, 32);
    memcpy(key, both + 32, 16);
    sign(out, n, key);
    arrive(index, out, n, TRIP_US);
}

static void on_attach(int index, const uint8_t *bytes) {
    struct server *server = &servers[index];
    uint8_t out[88], nonce[16];
    servers[index].attaches++;
    if (without_disk) {
        refuse(index, bytes, REFUSAL_NO_COPY, "no disk", true);
        return;
    }
    if (unsigned_refusals || revoked || forgets) {
        const uint16_t code = revoked ? REFUSAL_UNKNOWN_DEVICE : REFUSAL_TICKET_INVALID;
        refuse(index, bytes, code, "no", !forgets && !unsigned_refusals);
        if (!unsigned_refusals) return;
    }
    memset(nonce, index + 1, sizeof nonce);
    server->session = (uint32_t)random() | 1;
    server->instance = 1000 + (uint64_t)index;
    server->number = 1;
    traffic_keys(&server->keys, session_key, bytes + 16, nonce, server->instance);
    answer_header(out, sizeof out, server, ATTACHED, 1);
    memcpy(out + 16, bytes + 16, 16);
    memcpy(out + 32, nonce, 16);
    put64(out + 48, server->instance);
    server->segment = get16(bytes + 54);
    put16(out + 56, server->segment);
    out[58] = (uint8_t)mode;
    out[59] = odd_suite != 0 ? odd_suite : (uint8_t)(mode == MODE_AUTHENTICATED ? suite : SUITE_AEAD);
    server->bad_told = 0;
    put32(out + 60, list_version);
    put64(out + 64, (uint64_t)DISK_MIB << 20);
    sign(out, sizeof out, server->keys.server_tag);
    server->serves = bytes[AT_ATTACH_ROLE] == ROLE_SERVE;
    if (server->loses_attached > 0) server->loses_attached--;
    else arrive(index, out, sizeof out, TRIP_US);
}

static int64_t disk_us(int index) { return disk_from > now && (disk_of == NONE || disk_of == index) ? disk_from - now : 0; }

/* False when there is no place for one more READ that waits for the disk. */
static bool waits_for_disk(int index, const uint8_t *bytes) {
    struct server *server = &servers[index];
    uint8_t out[40];
    if (disk_us(index) == 0) {
        server->held = 0;
        return true;
    }
    if (server->held++ >= HELD_READS) return false;
    answer_header(out, sizeof out, server, WAIT, ++server->number);
    memcpy(out + 16, bytes + 8, 8);
    sign(out, sizeof out, server->keys.server_tag);
    arrive(index, out, sizeof out, TRIP_US);
    return true;
}

/* The answer tag in mode Authenticated, of DATA_SIGNED_BYTES and `length` bytes. */
static void answer_tag(uint8_t tag[TAG_BYTES], const struct server *server, const uint8_t *whole, uint32_t length) {
    uint8_t nonce[12] = {0}, nothing[1], text[DATA_SIGNED_BYTES + PIECES_MOST(MAX_READ_BYTES) * PIECE_HASH_BYTES];
    if (suite == SUITE_AEAD) {
        memcpy(nonce + 4, whole + AT_NUMBER, 8);
        crypto_aead_chacha20poly1305_ietf_encrypt_detached(nothing, tag, NULL, NULL, 0, whole, DATA_SIGNED_BYTES + length, NULL, nonce,
                                                           server->keys.server_data);
        return;
    }
    memcpy(text, whole, DATA_SIGNED_BYTES);
    const unsigned count = pieces_hash(text + DATA_SIGNED_BYTES, get64(whole + AT_DATA_OFFSET), whole + DATA_SIGNED_BYTES, length);
    crypto_shorthash_siphashx24(tag, text, DATA_SIGNED_BYTES + count * PIECE_HASH_BYTES, server->keys.server_data);
}

static bool in_bad_range(const uint8_t *read) { return get64(read + 16) < bad_to && get64(read + 16) + get32(read + 24) > bad_from; }

static void on_read(int index, const uint8_t *bytes) {
    struct server *server = &servers[index];
    const int64_t waits_us = disk_us(index);
    static uint8_t whole[DATA_SIGNED_BYTES + MAX_READ_BYTES];
    uint8_t head[64];
    const uint64_t offset = get64(bytes + 16), number = ++server->number;
    const uint32_t length = get32(bytes + 24);
    server->reads++;
    if (!waits_for_disk(index, bytes)) return;
    answer_header(head, sizeof head, server, DATA, number);
    memcpy(head + 16, bytes + 8, 8);
    put64(head + 24, offset);
    put32(head + 32, length);
    memcpy(whole, head, DATA_SIGNED_BYTES);
    for (uint32_t i = 0; i < length; i++) whole[DATA_SIGNED_BYTES + i] = content(offset + i);
    if (mode == MODE_TRUSTED) memcpy(head + 40, bytes + 32, 16);
    else answer_tag(head + 40, server, whole, length);
    const bool rotten = spoils[index] && in_bad_range(bytes);
    if (rotten) whole[DATA_SIGNED_BYTES + (bad_from > offset ? bad_from - offset : 0)] ^= 0x40;
    if (server->forged > 0) whole[DATA_SIGNED_BYTES + (uint32_t)random() % length] ^= 0x40;
    if (server->forged > 0) server->forged--;
    for (uint32_t at = 0; at < length; at += server->segment) {
        uint8_t out[DATAGRAM_BYTES];
        const uint32_t n = length - at < server->segment ? length - at : server->segment;
        if (server->way != 0 && n > server->way) continue;
        memcpy(out, head, 64);
        put32(out + 56, at);
        memcpy(out + 64, whole + DATA_SIGNED_BYTES + at, n);
        const bool spoil = trouble != NO_TROUBLE && at == 0 && random() % 2 == 0;
        if (spoil) {
            uint8_t bad[DATAGRAM_BYTES];
            size_t bad_n = 64 + n;
            memcpy(bad, out, bad_n);
            if (trouble == FORGED_DATA) bad[70] ^= 1;
            if (trouble == FORGED_DATA && mode == MODE_TRUSTED) bad[41] ^= 1; /* whoever is off the path cannot know the tag */
            if (trouble == WRONG_SESSION) bad[5] ^= 1;
            if (trouble == SHORT_SEGMENT) bad_n -= 64;
            if (trouble == WRONG_OFFSET) bad[30] ^= 2;
            arrive(trouble == STRANGER ? FARM : index, bad, bad_n, TRIP_US / 2);
        }
        arrive(index, out, 64 + n, waits_us + TRIP_US + at / 100);
    }
}

static bool unreadable(int index, const uint8_t *bytes) { return unreads[index] && in_bad_range(bytes); }

static void answer_error(int index, const uint8_t *bytes, uint16_t code) {
    struct server *server = &servers[index];
    uint8_t out[48];
    answer_header(out, sizeof out, server, ERROR, ++server->number);
    memcpy(out + 16, bytes + 8, 8);
    put16(out + 24, code);
    sign(out, sizeof out, server->keys.server_tag);
    arrive(index, out, sizeof out, TRIP_US);
}

static void on_servers(int index) {
    struct server *server = &servers[index];
    uint8_t out[24 + FARM * ENTRY_BYTES + TAG_BYTES];
    answer_header(out, sizeof out, server, LIST, ++server->number);
    const unsigned count = put_list(out + 24);
    const size_t n = 24 + count * ENTRY_BYTES + TAG_BYTES;
    put32(out + 16, list_version);
    put16(out + 20, (uint16_t)count);
    sign(out, n, server->keys.server_tag);
    server->lists++;
    arrive(index, out, n, TRIP_US);
}

static void on_send(void *context, const struct entry *to, const uint8_t *bytes, size_t n) {
    (void)context;
    for (int i = 0; i < FARM; i++) {
        struct server *server = &servers[i];
        if (!entry_same(&server->entry, to) || server->dead) continue;
        if (loss_in_100 > 0 && (unsigned)random() % 100 < loss_in_100) return;
        if (bytes[0] == LOGIN) on_login(i, bytes, n);
        if (bytes[0] == ATTACH) on_attach(i, bytes);
        if (bytes[0] < READ) return;
        uint8_t out[56];
        if (get32(bytes + 4) != server->session || !signed_by(bytes, n, server->keys.client_tag)) {
            answer_header(out, 32, server, UNKNOWN, get64(bytes + 8));
            memcpy(out + 4, bytes + 4, 4);
            memcpy(out + 16, bytes + n - 16, 16);
            if (bytes[0] != BYE) arrive(i, out, 32, TRIP_US);
        } else if ((revoked && (bytes[0] == READ || bytes[0] == PING)) || (without_disk && bytes[0] == READ)) answer_error(i, bytes, ERROR_REVOKED);
        else if (bytes[0] == READ && unreadable(i, bytes)) answer_error(i, bytes, ERROR_READ_FAILED);
        else if (bytes[0] == READ) on_read(i, bytes);
        else if (bytes[0] == SERVERS) on_servers(i);
        else if (bytes[0] == BYE) {
            server->byes++;
            server->serves = false;
        } else if (bytes[0] == PING) {
            server->pings++;
            server->serves = bytes[AT_PING_ROLE] == ROLE_SERVE;
            server->bad_pings += get16(bytes + AT_PING_BAD_READS) > server->bad_told;
            server->bad_told = get16(bytes + AT_PING_BAD_READS);
            answer_header(out, 48, server, PONG, ++server->number);
            out[16] = STATE_STREAMING;
            put32(out + 20, list_version);
            memcpy(out + 24, bytes + 24, 8);
            sign(out, 48, server->keys.server_tag);
            arrive(i, out, 48, TRIP_US);
        }
    }
}

enum { HANDLES = 128, REPLIES_BYTES = 32 << 20 /* nobody reads while the device writes */ };

/* The kernel, where a test has one: `depth` requests at a time of what is good, and some that it waits for beside them. */
static struct {
    struct device *device; /* NULL: reads are the session's alone */
    int socket;
    bool busy; /* what is answered is followed by the next */
    unsigned depth, answered, waiting; /* waiting: requests beside the depth that are not answered */
    uint64_t next;
    uint32_t length[HANDLES]; /* 0: not open */
    uint64_t offset[HANDLES];
    size_t have; /* bytes of replies that are not whole */
} kernel;

static void kernel_ask(unsigned handle, uint64_t offset, uint32_t length) {
    uint8_t bytes[NBD_REQUEST_BYTES] = {0};
    put32(bytes, NBD_REQUEST_MAGIC);
    put64(bytes + 8, handle);
    put64(bytes + 16, offset);
    put32(bytes + 24, length);
    CHECK(send(kernel.socket, bytes, sizeof bytes, MSG_DONTWAIT) == sizeof bytes, "the kernel's request %u", handle);
    kernel.offset[handle] = offset;
    kernel.length[handle] = length;
}

/* Below 2 MiB, where nothing is bad. */
static void kernel_next(unsigned handle) { kernel_ask(handle, kernel.next++ % 512 * 4096, 4096); }

/* A reply may come in pieces: a request larger than all reads is written as it comes. */
static void kernel_take(void) {
    static uint8_t in[8 << 20];
    if (kernel.have == sizeof in) abort();
    const ssize_t n = recv(kernel.socket, in + kernel.have, sizeof in - kernel.have, MSG_DONTWAIT);
    if (n > 0) kernel.have += (size_t)n;
    size_t used = 0;
    while (kernel.have - used >= NBD_REPLY_BYTES) {
        const uint8_t *reply = in + used, *data = reply + NBD_REPLY_BYTES;
        const unsigned handle = (unsigned)get64(reply + 8);
        if (handle >= HANDLES) abort();
        const uint32_t length = kernel.length[handle];
        CHECK(get32(reply + 4) == 0 && length > 0, "an answer to what was asked: %u", handle);
        if (kernel.have - used < NBD_REPLY_BYTES + length) break;
        uint32_t right = 0;
        while (right < length && data[right] == content(kernel.offset[handle] + right)) right++;
        CHECK(right == length, "byte %u of request %u at %llu is wrong", right, handle, (unsigned long long)kernel.offset[handle]);
        used += NBD_REPLY_BYTES + length;
        kernel.length[handle] = 0;
        kernel.answered++;
        if (handle >= kernel.depth) kernel.waiting--;
        else if (kernel.busy) kernel_next(handle);
    }
    kernel.have -= used;
    if (used > 0) memmove(in, in + used, kernel.have);
}

static void kernel_turn(void) {
    if (kernel.device == NULL) return;
    device_write(kernel.device, now);
    kernel_take();
    device_take(kernel.device, now);
}

static void on_failed(void *context, unsigned read) {
    (void)context;
    unread++;
    if (kernel.device != NULL) device_failed(kernel.device, read);
    else session_release(s, read);
}

static void on_filled(void *context, unsigned read) {
    (void)context;
    if (kernel.device != NULL) {
        device_filled(kernel.device, read);
        return;
    }
    const struct read *r = &s->reads[read];
    const uint8_t *data = session_data(s, read);
    uint32_t right = 0;
    while (right < r->length && data[right] == content(r->offset + right)) right++;
    CHECK(right == r->length, "byte %u of a read of %u at %llu is wrong", right, r->length, (unsigned long long)r->offset);
    done++;
    large_done += r->length > LARGE_BYTES;
    session_release(s, read);
}

static void on_say(void *context, const struct entry *subject, const char *text) {
    (void)context;
    (void)subject;
    snprintf(last_said, sizeof last_said, "%s", text);
    wrong_said += strncmp(text, "gives wrong data at byte ", 25) == 0;
}

static void on_alert(void *context, const char *text) {
    (void)context;
    snprintf(alerted, sizeof alerted, "%s", text);
    alerts++;
}

static void on_hush(void *context, bool quiet) {
    (void)context;
    hushed = quiet;
    hushes++;
}

static void on_random(void *context, uint8_t *bytes, size_t n) {
    (void)context;
    while (n-- > 0) *bytes++ = (uint8_t)random();
}

/* Lets time pass: packets in their order, and timers when the session wants them. */
static void pass(int64_t us) {
    const int64_t end = now + us;
    while (now < end) {
        int next = NONE;
        while (queued > 0 && queue[queued - 1].n == 0) queued--;
        for (int i = 0; i < queued; i++)
            if (queue[i].n > 0 && (next == NONE || queue[i].at < queue[next].at)) next = i;
        const int64_t wake = session_wake(s, now);
        if (next != NONE && queue[next].at <= wake && queue[next].at <= end) {
            now = queue[next].at > now ? queue[next].at : now;
            const struct entry nobody = {.family = 4, .port = 1};
            const int from = queue[next].from;
            if (from >= FARM || !servers[from].dead)
                session_receive(s, from < FARM ? &servers[from].entry : &nobody, queue[next].bytes, queue[next].n, now);
            queue[next].n = 0;
            kernel_turn();
        } else {
            now = wake < end ? wake : end;
            session_tick(s, now);
            kernel_turn();
            if (!session_wants_token(s, now)) continue;
            tokens++;
            session_token(s, (const uint8_t *)"fresh", token_given, manifest_given, now);
        }
    }
}

static void nothing_travels(void) {
    for (int i = 0; i < QUEUE; i++) queue[i].n = 0;
}

static const struct effects EFFECTS = {NULL, on_send, on_filled, on_failed, on_say, on_alert, on_hush, on_random};

/* The client was killed, or says so. */
static void next_client(void) { session_init(s, &EFFECTS, &identity, own_segment, now); }

static void begin(enum mode wanted) {
    memset(servers, 0, sizeof servers);
    nothing_travels();
    memset(&identity, 0, sizeof identity);
    memset(unreads, 0, sizeof unreads);
    memset(spoils, 0, sizeof spoils);
    without_disk = false;
    retry_ms = UINT32_MAX; /* 49 days */
    mode = wanted;
    loss_in_100 = done = large_done = unread = 0;
    disk_from = 0;
    disk_of = NONE;
    trouble = NO_TROUBLE;
    renewals = GRANTS;
    revoked = forgets = unsigned_refusals = false;
    tokens = token_given = logins_refused = 0;
    manifest_given = "";
    list_version = 1;
    now = MS(1000);
    for (int i = 0; i < FARM; i++) {
        listed[i] = true;
        servers[i].entry = (struct entry){.family = 4, .state = STATE_STREAMING, .port = 6910, .address = {10, 0, 0, (uint8_t)(11 + i)}};
        identity.servers.entries[i] = servers[i].entry;
    }
    identity.servers.count = FARM;
    identity.servers.version = 1;
    identity.token_bytes = 5;
    strcpy(identity.device, "52:54:00:00:00:01");
    alerts = hushes = wrong_said = 0;
    next_client();
    pass(MS(50));
}

/* With a kernel on a device; the first `count` servers are the farm. */
static void begin_device(enum mode wanted, int count, unsigned depth) {
    int pair[2];
    begin(wanted);
    for (int i = count; i < FARM; i++) servers[i].dead = true, listed[i] = false;
    list_version = 2;
    pass(MS(14000));
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) abort();
    if (setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &(int){REPLIES_BYTES}, sizeof(int)) != 0) abort();
    memset(&kernel, 0, sizeof kernel);
    kernel.device = calloc(1, sizeof *kernel.device);
    kernel.socket = pair[1];
    kernel.depth = depth;
    device_init(kernel.device, s, pair[0]);
}

static void end_device(void) {
    close(kernel.device->socket);
    close(kernel.socket);
    free(kernel.device);
    kernel.device = NULL;
}

/* One more that the kernel waits for. */
static void kernel_waits(unsigned handle, uint64_t offset, uint32_t length) {
    kernel.waiting++;
    kernel_ask(handle, offset, length);
    kernel_turn();
}

static unsigned answered_in(int64_t us) {
    const unsigned before = kernel.answered;
    kernel.busy = true;
    for (unsigned i = 0; i < kernel.depth; i++)
        if (kernel.length[i] == 0) kernel_next(i);
    kernel_turn();
    pass(us);
    kernel.busy = false;
    return kernel.answered - before;
}

static int server_of(int link) {
    for (int i = 0; i < FARM && link != NONE; i++)
        if (entry_same(&servers[i].entry, &s->links[link].server)) return i;
    return NONE;
}

/* One read, asked anew when no server can read it; gives the milliseconds it took, or −1 when it was not done within the limit. */
static int64_t read_ms(uint64_t offset, uint32_t length, int64_t limit_ms) {
    const unsigned before = done;
    const int64_t start = now;
    session_read(s, offset, length, now);
    while (done == before && now - start < MS(limit_ms)) {
        const unsigned failed = unread;
        pass(MS(1));
        if (unread != failed) session_read(s, offset, length, now);
    }
    return done > before ? (now - start) / 1000 : -1;
}

static void it_has_a_stand_by_from_the_start(void) {
    begin(MODE_AUTHENTICATED);
    CHECK(server_of(s->current) == 0, "the first of the list serves: %d", s->current);
    CHECK(s->standby != NONE && s->links[s->standby].state == UP, "another stands by");
    CHECK(read_ms(4096, 32768, 100) >= 0, "a read");
    CHECK(servers[0].reads == 1 && servers[1].reads + servers[2].reads == 0, "only from the one that serves");
}

/* Nothing that such a server says could be judged. */
static void a_suite_that_it_does_not_know_is_no_session(void) {
    static const struct {
        enum mode mode;
        uint8_t suite;
        bool known;
    } CASES[] = {{MODE_TRUSTED, 1, true},        {MODE_TRUSTED, 3, false},      {MODE_AUTHENTICATED, 1, true},
                 {MODE_AUTHENTICATED, 2, false}, {MODE_AUTHENTICATED, 3, true}, {MODE_AUTHENTICATED, 4, false}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        odd_suite = CASES[i].suite;
        begin(CASES[i].mode);
        CHECK((s->current != NONE) == CASES[i].known, "mode %u, suite %u", CASES[i].mode, CASES[i].suite);
        CHECK((identity.counters.drops[DROP_SIZE] > 0) == !CASES[i].known, "mode %u, suite %u is counted", CASES[i].mode, CASES[i].suite);
    }
    odd_suite = 0;
}

static void a_silent_server_is_left(enum mode wanted) {
    begin(wanted);
    const int dead = server_of(s->current), other = server_of(s->standby);
    servers[dead].dead = true;
    const int64_t first = read_ms(0, 32768, 2000);
    CHECK(first >= 150 && first < 165, "hedged after 150 ms: %lld", (long long)first);
    CHECK(read_ms(65536, 32768, 2000) < 10, "the next is hedged at once");
    pass(MS(600));
    CHECK(server_of(s->current) == other && identity.counters.failovers == 1, "left after 500 ms");
    CHECK(s->standby != NONE && server_of(s->standby) != dead, "the third stands by");
    servers[dead].dead = false;
    CHECK(read_ms(0, 512, 100) >= 0, "and it goes on");
}

static void nothing_is_an_error_when_nobody_answers(void) {
    begin(MODE_TRUSTED);
    for (int i = 0; i < FARM; i++) servers[i].dead = true;
    session_read(s, 0, 4096, now);
    pass(MS(1000) * 3600);
    CHECK(done == 0 && s->current == NONE, "an hour without servers");
    servers[2].dead = false;
    pass(MS(6500));
    CHECK(done == 1 && server_of(s->current) == 2, "within the longest pause of one that is back");
}

static void a_restarted_server_is_attached_again(void) {
    begin(MODE_AUTHENTICATED);
    const int restarted = server_of(s->current);
    servers[restarted].session = 0;
    CHECK(read_ms(0, 4096, 1000) < 5, "UNKNOWN: no time-out is waited for");
    pass(MS(50));
    CHECK(s->standby != NONE && s->links[s->standby].state == UP, "two servers again");
}

static void a_move_attaches_there_first(void) {
    begin(MODE_AUTHENTICATED);
    const int from = server_of(s->current);
    const int to = 3 - from - server_of(s->standby); /* the one that is neither */
    uint8_t out[56];
    answer_header(out, sizeof out, &servers[from], MOVE, ++servers[from].number);
    put_entry(out + 16, &servers[to].entry);
    put32(out + 36, 10000);
    sign(out, sizeof out, servers[from].keys.server_tag);
    out[50] ^= 1;
    arrive(from, out, sizeof out, TRIP_US);
    pass(MS(5));
    CHECK(server_of(s->current) == from && identity.counters.drops[DROP_TAG] == 1, "a MOVE that is not the server's");
    out[50] ^= 1;
    arrive(from, out, sizeof out, TRIP_US);
    pass(MS(5));
    CHECK(server_of(s->current) == to && servers[from].byes == 1, "moved, and said so");
    CHECK(identity.counters.moves == 1 && identity.counters.failovers == 0, "which is no failover");
}

/* The stand-by is heard each 5 s: what died since may not be what a server that drains hands over to. */
static void a_move_to_a_standby_that_has_died(void) {
    begin(MODE_AUTHENTICATED);
    const int from = server_of(s->current), to = server_of(s->standby);
    servers[to].dead = true;
    for (int n = 0; n < 8; n++) {
        uint8_t out[56];
        answer_header(out, sizeof out, &servers[from], MOVE, ++servers[from].number);
        put_entry(out + 16, &servers[to].entry);
        put32(out + 36, 10000);
        sign(out, sizeof out, servers[from].keys.server_tag);
        arrive(from, out, sizeof out, TRIP_US);
        if (n == 4) servers[to].dead = false;
        for (int k = 0; k < 5; k++) {
            pass(MS(45));
            CHECK(read_ms(0, 4096, 1000) < 5, "the server that drains serves until another does");
        }
    }
    CHECK(server_of(s->current) == to && identity.counters.moves == 1 && identity.counters.failovers == 0, "it moves when that one is back");
}

/* Somebody says that this server was restarted, so the client attaches to it anew beside the session. */
static void attaches_anew(int index) {
    const struct link *l = &s->links[index];
    uint8_t out[32];
    link_ping(s, index, now);
    nothing_travels(); /* its PONG is lost */
    const int server = server_of(index);
    answer_header(out, sizeof out, &servers[server], UNKNOWN, l->ping_number);
    put32(out + 4, l->session);
    memcpy(out + 16, l->ping_tag, 16);
    session_receive(s, &servers[server].entry, out, sizeof out, now);
    CHECK(l->rejoining, "it attaches anew to server %d", server);
}

/* The server that drains, or the one it hands over to, has just been asked for another session. */
static void a_move_while_it_attaches_anew(void) {
    static const struct {
        const char *name;
        bool from, to;
        unsigned lost;
    } CASES[] = {{"none", false, false, 0},
                 {"at the one that drains", true, false, 0},
                 {"at the one that drains, and its answer is lost", true, false, 1},
                 {"at the one it goes to", false, true, 0},
                 {"at the one it goes to, and its answer is lost", false, true, 1},
                 {"at both", true, true, 0}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        begin(MODE_AUTHENTICATED);
        pass(MS(1500));
        const int from = server_of(s->current), to = server_of(s->standby);
        uint8_t out[56];
        answer_header(out, sizeof out, &servers[from], MOVE, ++servers[from].number);
        put_entry(out + 16, &servers[to].entry);
        put32(out + 36, 10000);
        sign(out, sizeof out, servers[from].keys.server_tag);
        if (CASES[i].from) servers[from].loses_attached = CASES[i].lost;
        if (CASES[i].to) servers[to].loses_attached = CASES[i].lost;
        if (CASES[i].from) attaches_anew(s->current);
        if (CASES[i].to) attaches_anew(s->standby);
        session_receive(s, &servers[from].entry, out, sizeof out, now);
        const int64_t start = now;
        while (server_of(s->current) != to && now - start < MS(5000)) pass(MS(1));
        CHECK(now - start < MS(300), "%s: it moves after %lld ms", CASES[i].name, (long long)(now - start) / 1000);
        CHECK(identity.counters.moves == 1 && identity.counters.failovers == 0, "%s: once", CASES[i].name);
        pass(MS(500));
        CHECK(!servers[from].serves, "%s: the server that drains has nobody to serve any more", CASES[i].name);
        CHECK(read_ms(0, 65536, 1000) < 5, "%s: it reads", CASES[i].name);
    }
}

/* It sends its device away, ends and is back after `away_ms`. With `told`, lists of the others say so meanwhile. */
static void roll(int index, int64_t away_ms, bool told) {
    const uint32_t version = list_version;
    uint8_t out[56];
    if (server_of(s->current) == index) {
        answer_header(out, sizeof out, &servers[index], MOVE, ++servers[index].number);
        sign(out, sizeof out, servers[index].keys.server_tag);
        arrive(index, out, sizeof out, TRIP_US);
    }
    servers[index].entry.state = STATE_DRAINING;
    if (told) list_version = version + 1;
    pass(MS(20));
    servers[index].dead = true;
    servers[index].session = 0;
    servers[index].entry.state = STATE_UNREACHABLE;
    if (told) list_version = version + 2;
    pass(MS(away_ms));
    servers[index].dead = false;
    servers[index].entry.state = STATE_STREAMING;
    list_version = version; /* a hash of what all say: the list of before */
}

static void a_rolling_change_leaves_two_servers(void) {
    static const struct {
        int farm;
        int64_t away_ms;
        bool told;
    } CASES[] = {{2, 300, false}, {2, 3000, false}, {2, 3000, true}, {2, 40000, true}, {3, 300, false}, {3, 3000, true}, {3, 40000, true}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        begin(MODE_AUTHENTICATED);
        if (CASES[i].farm == 2) {
            listed[2] = false;
            servers[2].dead = true;
            list_version = 2;
            pass(MS(14000));
        }
        for (int index = 0; index < CASES[i].farm; index++) {
            roll(index, CASES[i].away_ms, CASES[i].told);
            pass(MS(13000)); /* two of its longest pauses, and a ping */
            CHECK(s->current != NONE && s->standby != NONE && s->links[s->standby].state == UP, "case %zu: a stand-by after server %d", i, index);
        }
        CHECK(read_ms(0, 4096, 100) >= 0, "case %zu: and it reads", i);
    }
}

static void a_server_that_drains_is_the_last_choice(void) {
    begin(MODE_AUTHENTICATED);
    const int serving = server_of(s->current), standby = server_of(s->standby), third = 3 - serving - standby;
    servers[third].entry.state = STATE_DRAINING;
    servers[standby].entry.state = STATE_STREAMING;
    list_version = 2;
    pass(MS(7000));
    servers[standby].dead = true;
    pass(MS(6000));
    CHECK(server_of(s->standby) == third, "the one that drains, when no other is there");
    servers[standby].dead = false;
    servers[third].dead = true;
    pass(MS(14000));
    CHECK(server_of(s->standby) == standby && s->links[s->standby].state == UP, "the other again");
}

static void bad_answers_are_dropped_and_counted(enum mode wanted) {
    static const struct {
        enum trouble trouble;
        enum drop drop;
    } CASES[] = {{WRONG_SESSION, DROP_SESSION}, {SHORT_SEGMENT, DROP_SIZE}, {WRONG_OFFSET, DROP_SIZE},
                 {TWICE, DROP_DUPLICATE},       {STRANGER, DROP_STRANGER},  {FORGED_DATA, DROP_ANSWER_TAG}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        begin(wanted);
        trouble = CASES[i].trouble;
        for (unsigned k = 0; k < 40; k++) CHECK(read_ms(k * 65536, 65536, 3000) >= 0, "trouble %u, read %u", trouble, k);
        const enum drop reason = wanted == MODE_TRUSTED && trouble == FORGED_DATA ? DROP_TAG : CASES[i].drop;
        CHECK(identity.counters.drops[reason] > 0, "trouble %u is counted as %s", trouble, DROP_NAMES[reason]);
    }
}

static void loss_costs_time_and_nothing_else(enum mode wanted) {
    begin(wanted);
    loss_in_100 = 5;
    int64_t longest = 0;
    for (unsigned k = 0; k < 300; k++) {
        const int64_t took = read_ms(k * 65536, 65536, 5000);
        CHECK(took >= 0, "read %u of 5 %% loss", k);
        if (took > longest) longest = took;
    }
    CHECK(longest < 500, "the longest took %lld ms", (long long)longest);
    CHECK(identity.counters.retransmissions > 0, "asked again");
    CHECK(identity.counters.hedges <= 300 / 20 + 8, "hedged at most 5 %%: %llu", (unsigned long long)identity.counters.hedges);
}

static void our_own_sleep_is_not_the_servers_silence(void) {
    begin(MODE_AUTHENTICATED);
    session_read(s, 0, 4096, now);
    now += MS(5000); /* the machine had no CPU, and what came was lost */
    nothing_travels();
    pass(MS(50));
    CHECK(identity.counters.failovers == 0 && done == 1, "nobody is left: %s", last_said);
}

static void a_new_client_goes_on_with_the_ticket(void) {
    begin(MODE_AUTHENTICATED);
    next_client();
    pass(MS(5));
    CHECK(s->current != NONE && s->login.state == LOGGED_IN, "attached without a login");
    CHECK(read_ms(0, 4096, 100) >= 0, "and reads");
}

static void a_new_list_is_fetched_and_followed(void) {
    begin(MODE_AUTHENTICATED);
    const int gone = server_of(s->standby), serving = server_of(s->current);
    const int third = 3 - gone - serving;
    const unsigned asked = servers[third].reads;
    list_version = 2;
    listed[gone] = false;
    pass(MS(7000)); /* a PONG of the stand-by or of the one that serves tells the version */
    CHECK(servers[serving].lists == 1, "asked for once, of the one that serves: %u", servers[serving].lists);
    CHECK(identity.servers.count == 2 && identity.servers.version == 2, "two are left");
    CHECK(server_of(s->current) == serving && identity.counters.failovers == 0, "nobody is left for it");
    servers[gone].dead = true; /* it ends and is there again */
    pass(MS(7000));
    servers[gone].dead = false;
    pass(MS(7000));
    CHECK(server_of(s->standby) == third && s->links[s->standby].state == UP, "the one that left is not asked again");
    listed[gone] = true;
    servers[third].dead = true;
    list_version = 3;
    pass(MS(14000));
    CHECK(server_of(s->standby) == gone && s->links[s->standby].state == UP, "a server that joined is taken: %d", server_of(s->standby));
    CHECK(servers[third].reads == asked && read_ms(0, 4096, 100) >= 0, "and reads go on");
}

static void an_empty_list_is_not_believed(void) {
    begin(MODE_AUTHENTICATED);
    list_version = 2;
    memset(listed, 0, sizeof listed);
    pass(MS(7000));
    CHECK(identity.servers.count == FARM, "a server that sees nobody is no reason to forget everybody");
    CHECK(s->current != NONE && s->standby != NONE, "both stay");
}

static void a_ticket_is_renewed_at_half_its_life(void) {
    begin(MODE_AUTHENTICATED);
    const int serving = server_of(s->current), standby = server_of(s->standby);
    CHECK(identity.renew_us > now + MS(1000) * 3600 * 24 * 3 && identity.renew_us < now + MS(1000) * 3600 * 24 * 4, "3.5 days");
    uint8_t before[32];
    memcpy(before, identity.session_key, sizeof before);
    identity.renew_us = now;
    pass(MS(200));
    CHECK(servers[serving].logins == 2 && servers[serving].login_flags == LOGIN_RENEW, "by the ticket, of the one that serves");
    CHECK(memcmp(before, identity.session_key, sizeof before) != 0 && identity.renew_us > now, "another key, for as long again");
    CHECK(read_ms(0, 4096, 100) < 5 && identity.counters.failovers == 0, "sessions that are there stay");
    servers[standby].dead = true;
    pass(MS(12000));
    CHECK(s->standby != NONE && s->links[s->standby].state == UP && server_of(s->standby) != standby, "new ones are made with the new key");
}

static void a_renewal_that_is_refused_is_tried_again_later(void) {
    begin(MODE_AUTHENTICATED);
    const int serving = server_of(s->current);
    renewals = REFUSES;
    identity.renew_us = now;
    pass(MS(5000));
    CHECK(strcmp(last_said, "the farm is being moved") == 0, "on one line of the console: %s", last_said);
    CHECK(servers[serving].logins == 2, "once, not again and again: %u", servers[serving].logins);
    CHECK(identity.renew_us > now + MS(1000) * 3600 && identity.renew_us < now + MS(1000) * 3600 * 4, "in three hours");
    CHECK(identity.ticket_bytes == 8 && read_ms(0, 4096, 100) >= 0, "the ticket is as good as before");
}

/* Somebody on the path answers the renewal, without any key; then the farm does. */
static void a_renewal_that_is_forged_changes_nothing(void) {
    for (unsigned forged = REFUSES_UNSIGNED; forged <= SENDS_AWAY; forged++) {
        begin(MODE_AUTHENTICATED);
        renewals = forged;
        uint8_t before[32];
        memcpy(before, identity.session_key, sizeof before);
        identity.renew_us = now;
        pass(MS(15000));
        CHECK(memcmp(before, identity.session_key, sizeof before) == 0 && identity.ticket_bytes == 8, "%u: the key stays", forged);
        CHECK(s->current != NONE && read_ms(0, 4096, 100) >= 0 && identity.counters.failovers == 0, "%u: the session runs on", forged);
        CHECK(s->login.state == LOGGED_IN && tokens == 0, "%u: no login that anybody could answer", forged);
        CHECK(identity.renew_us > now + MS(1000) * 3600, "%u: and it is tried again later", forged);
        renewals = GRANTS;
        now = identity.renew_us; /* three hours and nothing else */
        nothing_travels();
        pass(MS(500));
        CHECK(memcmp(before, identity.session_key, sizeof before) != 0, "%u: then it is granted", forged);
    }
}

static void a_renewal_waits_for_the_true_answer(void) {
    begin(MODE_AUTHENTICATED);
    renewals = IS_REFUSED_FOR;
    uint8_t before[32];
    memcpy(before, identity.session_key, sizeof before);
    identity.renew_us = now;
    pass(MS(200));
    CHECK(memcmp(before, identity.session_key, sizeof before) != 0 && identity.counters.drops[DROP_TAG] > 0, "it is granted all the same");
}

static void a_refusal_without_a_tag_is_only_a_hint(void) {
    begin(MODE_AUTHENTICATED);
    const int serving = server_of(s->current);
    unsigned_refusals = true; /* each ATTACH is refused by somebody on the path, and then answered */
    servers[serving].session = 0;
    CHECK(read_ms(0, 4096, 1000) < 5 && server_of(s->current) == serving, "the true answer counts");
    next_client();
    pass(MS(500));
    CHECK(s->current != NONE && s->standby != NONE && identity.ticket_bytes == 8 && tokens == 0, "nothing is lost");
}

/* Nobody opens the ticket: a farm with another key, or somebody on the path. */
static void a_ticket_that_nobody_opens(enum mode wanted) {
    begin(wanted);
    forgets = true;
    token_given = 5;
    for (int i = 0; i < FARM; i++) servers[i].session = 0;
    session_read(s, 0, 4096, now);
    const unsigned logins = servers[0].logins + servers[1].logins + servers[2].logins;
    pass(MS(60000));
    CHECK(tokens > 0 && identity.ticket_bytes == 8, "a fresh token is asked for, the ticket kept");
    const unsigned more = servers[0].logins + servers[1].logins + servers[2].logins - logins;
    if (wanted == MODE_AUTHENTICATED) CHECK(more == 0 && tokens < 8, "no login that anybody could answer: %u, %u tokens", more, tokens);
    else CHECK(more > 0, "mode Trusted logs in again");
    identity.ends_us = now; /* its life is over */
    forgets = false;
    if (wanted == MODE_AUTHENTICATED) {
        memset(session_key, 9, sizeof session_key);
        forgets = true;
        pass(MS(130000));
        CHECK(servers[0].logins + servers[1].logins + servers[2].logins > logins, "a ticket that is over is no ticket");
        forgets = false;
    }
    pass(MS(130000));
    CHECK(done == 1 && s->current != NONE, "and it reads again");
}

static void a_revoked_machine_goes_on_when_it_is_added_again(enum mode wanted) {
    begin(wanted);
    revoked = true;
    session_read(s, 0, 4096, now);
    pass(MS(2000));
    CHECK(s->current == NONE && identity.counters.refused && strncmp(last_said, "no", 2) == 0, "it stops, and says so: %s", last_said);
    pass(MS(1000) * 3600);
    CHECK(done == 0 && tokens > 40 && tokens < 120, "it asks each minute, for ever: %u", tokens);
    CHECK(servers[0].attaches < 150, "and no server more often: %u", servers[0].attaches);
    const unsigned logins = servers[0].logins;
    revoked = false;
    token_given = 5;
    pass(MS(75000));
    CHECK(done == 1 && s->current != NONE && !identity.counters.refused, "added again, it goes on");
    CHECK(wanted == MODE_TRUSTED || servers[0].logins == logins, "by its ticket");
    const unsigned asked = tokens;
    pass(MS(200000));
    CHECK(tokens == asked, "and asks no more");
}

static void another_version_under_a_mounted_root_is_not_taken(void) {
    begin(MODE_TRUSTED);
    memcpy(identity.manifest, "aaaa", 5);
    revoked = true;
    session_read(s, 0, 4096, now);
    token_given = 5;
    manifest_given = "bbbb";
    const unsigned logins = servers[0].logins + servers[1].logins + servers[2].logins;
    pass(MS(120000));
    CHECK(tokens > 1 && servers[0].logins + servers[1].logins + servers[2].logins == logins, "a token of another version is not used");
    CHECK(identity.token_bytes == 5 && strcmp(identity.manifest, "aaaa") == 0, "nor kept");
    revoked = false;
    pass(MS(75000));
    CHECK(done == 1, "its own version it reads again");
}

static void an_unknown_is_a_hint(void) {
    begin(MODE_AUTHENTICATED);
    const int serving = server_of(s->current);
    const unsigned attaches = servers[serving].attaches;
    for (unsigned k = 0; k < 300; k++) { /* somebody who sees our packets says so again and again */
        uint8_t out[32];
        link_ping(s, s->current, now);
        answer_header(out, sizeof out, &servers[serving], UNKNOWN, s->links[s->current].ping_number);
        memcpy(out + 16, s->links[s->current].ping_tag, 16);
        arrive(serving, out, sizeof out, 1);
        CHECK(read_ms(k * 4096, 4096, 100) >= 0, "read %u", k);
        pass(MS(10));
    }
    CHECK(server_of(s->current) == serving && identity.counters.failovers == 0, "the server is not left for it");
    CHECK(servers[serving].attaches - attaches <= 5, "and asked once a second: %u", servers[serving].attaches - attaches);
}

static void what_is_sent_again_keeps_no_server_alive(void) {
    begin(MODE_AUTHENTICATED);
    const int dead = server_of(s->current);
    uint8_t out[48];
    answer_header(out, sizeof out, &servers[dead], PONG, ++servers[dead].number);
    out[16] = STATE_STREAMING;
    put32(out + 20, list_version);
    sign(out, sizeof out, servers[dead].keys.server_tag);
    session_receive(s, &servers[dead].entry, out, sizeof out, now);
    servers[dead].dead = true;
    session_read(s, 0, 4096, now);
    for (unsigned k = 0; k < 100; k++) {
        pass(MS(10));
        session_receive(s, &servers[dead].entry, out, sizeof out, now);
    }
    CHECK(server_of(s->current) != dead && done == 1, "a captured PONG is heard once");
    CHECK(identity.counters.drops[DROP_REPLAYED] > 0, "and counted");
}

static void a_refusal_for_49_days_is_for_a_minute(void) {
    begin(MODE_AUTHENTICATED);
    memset(&identity.counters, 0, sizeof identity.counters);
    identity.ticket_bytes = 0;
    identity.disk_bytes = 0;
    next_client();
    uint8_t login[32] = {0};
    memcpy(login + 16, s->login.nonce, 16);
    nothing_travels();
    refuse(0, login, REFUSAL_BUSY, "later", false);
    pass(MS(1));
    CHECK(s->login.state == PAUSED && s->login.next_us < now + MS(75000), "%lld", (long long)(s->login.next_us - now));
}

static void a_move_to_a_server_that_is_in_no_list(void) {
    begin(MODE_AUTHENTICATED);
    struct server_list *list = &identity.servers;
    for (list->count = 0; list->count < MAX_SERVERS; list->count++)
        list->entries[list->count] = (struct entry){.family = 4, .state = STATE_STREAMING, .port = 6910, .address = {10, 0, 1, (uint8_t)list->count}};
    list->entries[0] = servers[0].entry;
    list->entries[1] = servers[1].entry;
    next_client();
    pass(MS(2000));
    const int from = server_of(s->current);
    uint8_t out[56];
    answer_header(out, sizeof out, &servers[from], MOVE, ++servers[from].number);
    put_entry(out + 16, &servers[2].entry);
    put32(out + 36, 10000);
    sign(out, sizeof out, servers[from].keys.server_tag);
    arrive(from, out, sizeof out, TRIP_US);
    pass(MS(5));
    CHECK(server_of(s->current) == 2 && read_ms(0, 4096, 100) >= 0, "the list is full, and it moves there: %d", server_of(s->current));
}

static void a_ticket_of_another_disk_is_not_taken(void) {
    begin(MODE_AUTHENTICATED);
    identity.disk_bytes += 512;
    identity.renew_us = now;
    pass(MS(5000));
    CHECK(identity.counters.drops[DROP_SIZE] > 0, "another disk under a mounted root");
    CHECK(s->current != NONE && read_ms(0, 4096, 100) >= 0, "and it goes on as it was");
}

enum { BAD_FROM = 6 << 20, BAD_TO = BAD_FROM + (1 << 20) };

/* The sectors of [BAD_FROM, BAD_TO) at each server that is named. */
static void sectors_go_bad(bool first, bool second, bool third) {
    bad_from = BAD_FROM;
    bad_to = BAD_TO;
    unreads[0] = first, unreads[1] = second, unreads[2] = third;
}

static void what_nobody_can_read_costs_nothing_else(enum mode wanted) {
    static const struct {
        int farm;
        unsigned waiting;
        uint32_t length;
    } CASES[] = {{1, 1, 4096}, {2, 1, 4096}, {3, 1, 4096}, {1, 1, 4 << 20}, {2, 100, 4096}, {2, 100, 262144}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        begin_device(wanted, CASES[i].farm, 4);
        const unsigned before = answered_in(MS(200));
        const int serving = s->current;
        sectors_go_bad(true, true, true);
        for (unsigned k = 0; k < CASES[i].waiting; k++) kernel_waits(16 + k, BAD_FROM + k % 16 * 4096 * (k % 4 + 1), CASES[i].length);
        const unsigned with = answered_in(MS(200));
        CHECK(with >= before * 9 / 10, "case %zu: %u reads in 200 ms, %u with what nobody can read", i, before, with);
        pass(MS(7000));
        const unsigned later = answered_in(MS(200));
        CHECK(later >= before * 9 / 10, "case %zu: %u reads in 200 ms, %u seven seconds later", i, before, later);
        CHECK(s->current == serving && kernel.waiting == CASES[i].waiting, "case %zu: it is waited for, and no server left", i);
        sectors_go_bad(false, false, false);
        pass(PARK_MAX_US + MS(200));
        CHECK(kernel.waiting == 0, "case %zu: it is there when it can be read: %u", i, kernel.waiting);
        end_device();
    }
}

/* A request larger than all reads is written as it comes, and cannot be read in its middle. Those that wait beside it came first, and are woken with it. */
static void what_is_being_written_is_read_before_all_else(void) {
    enum { BESIDE = 60, LARGE = 3 << 20 };
    begin_device(MODE_TRUSTED, 1, 0);
    sectors_go_bad(true, false, false);
    for (unsigned k = 0; k < BESIDE; k++) kernel_waits(16 + k, BAD_FROM + k * 4096, 65536);
    kernel_waits(16 + BESIDE, BAD_FROM - LARGE + 524288, LARGE);
    pass(MS(1000));
    CHECK(kernel.waiting == BESIDE + 1 && kernel.device->writing != NONE, "it is begun: %u wait", kernel.waiting);
    sectors_go_bad(false, false, false);
    pass(PARK_MAX_US + MS(200));
    CHECK(kernel.waiting == 0, "all are there when all can be read: %u are not", kernel.waiting);
    end_device();
}

static void what_one_cannot_read_is_read_elsewhere(enum mode wanted) {
    for (int farm = 2; farm <= FARM; farm++)
        for (int good = 0; good < farm; good++) {
            begin_device(wanted, farm, 4);
            const int serving = s->current;
            sectors_go_bad(good != 0, good != 1, good != 2);
            for (unsigned k = 0; k < 5; k++) {
                kernel_waits(16, BAD_FROM + k * 65536, 65536);
                pass(k == 0 ? MS(150) : MS(5)); /* a third server is attached after the first pause */
                CHECK(kernel.waiting == 0, "of %d servers %d can read it", farm, good);
                if (kernel.waiting > 0) break;
            }
            CHECK(s->current == serving, "and it serves on: %d of %d", good, farm);
            end_device();
        }
}

static void a_server_that_can_read_nothing_is_left(void) {
    begin_device(MODE_TRUSTED, 2, 4);
    const int serving = server_of(s->current);
    sectors_go_bad(serving == 0, serving == 1, false);
    bad_from = 0;
    bad_to = (uint64_t)DISK_MIB << 20;
    CHECK(answered_in(MS(100)) > 500, "its stand-by reads it all");
    CHECK(server_of(s->current) == 1 - serving && servers[serving].byes == 1, "and serves");
    end_device();
}

/* What each server that is named gives of [BAD_FROM, BAD_TO) is not what its tag says. */
static void sectors_go_wrong(bool first, bool second, bool third) {
    sectors_go_bad(false, false, false);
    spoils[0] = first, spoils[1] = second, spoils[2] = third;
}

/* Whoever is on the way can do that much. */
static void one_wrong_answer_alone_is_asked_for_again(void) {
    begin(MODE_AUTHENTICATED);
    const int serving = server_of(s->current);
    for (unsigned k = 1; k <= 40; k++) {
        servers[serving].forged = 1;
        CHECK(read_ms(k * 12288 + 512, 65536 - k * 512, 100) >= 0, "read %u", k);
        CHECK(identity.counters.drops[DROP_ANSWER_TAG] == k, "it was wrong once: %llu", (unsigned long long)identity.counters.drops[DROP_ANSWER_TAG]);
    }
    pass(MS(2000));
    CHECK(identity.counters.bad_reads == 0 && wrong_said == 0 && servers[serving].bad_told == 0, "no server is blamed for it");
    CHECK(server_of(s->current) == serving && servers[serving].reads == 80, "and no other asked: %u", servers[serving].reads);
}

static void what_one_gives_wrong_is_read_elsewhere(void) {
    for (int farm = 2; farm <= FARM; farm++)
        for (int good = 0; good < farm; good++) {
            enum { WRONG = 5 };
            begin_device(MODE_AUTHENTICATED, farm, 4);
            const int serving = server_of(s->current);
            const bool third = good != serving && good != server_of(s->standby); /* it stands by only after both have failed once */
            sectors_go_wrong(good != 0, good != 1, good != 2);
            for (unsigned k = 0; k < WRONG; k++) {
                kernel_waits(16, BAD_FROM + k * 65536, 65536);
                pass(k == 0 ? MS(150) : MS(5)); /* a third server is attached after the first pause */
                CHECK(kernel.waiting == 0, "of %d servers %d gives it right", farm, good);
                if (kernel.waiting > 0) break;
            }
            CHECK(server_of(s->current) == serving, "and it serves on: %d of %d", good, farm);
            CHECK((identity.counters.bad_reads > 0) == (serving != good), "%llu were wrong", (unsigned long long)identity.counters.bad_reads);
            const unsigned told_at_once = servers[serving].bad_told;
            CHECK(serving == good || told_at_once > 0, "the server is told at once");
            pass(MS(1500));
            CHECK(servers[serving].bad_told == (serving == good ? 0U : (unsigned)WRONG + third), "and of all within a second: %u",
                  servers[serving].bad_told);
            CHECK(servers[serving].bad_pings <= 2, "by a PING a second: %u", servers[serving].bad_pings);
            CHECK(answered_in(MS(100)) > 100, "all else is read");
            end_device();
        }
}

static void what_all_give_wrong_is_waited_for(void) {
    static const char WORDS[] = "for data at byte 6291456: no server gives it right";
    for (int farm = 1; farm <= FARM; farm++) {
        begin_device(MODE_AUTHENTICATED, farm, 4);
        const unsigned before = answered_in(MS(200));
        const int serving = s->current;
        sectors_go_wrong(true, true, true);
        kernel_waits(16, BAD_FROM, 262144);
        const unsigned with = answered_in(MS(200));
        CHECK(with >= before * 9 / 10, "of %d: %u reads in 200 ms, %u beside what all give wrong", farm, before, with);
        pass(MS(7000));
        CHECK(alerts == 1 && strstr(alerted, WORDS) != NULL, "of %d: %u: %s", farm, alerts, alerted);
        CHECK(strncmp(identity.counters.waits_for, WORDS + 4, sizeof WORDS - 5) == 0, "the status says so, too: %s", identity.counters.waits_for);
        pass(MS(1000) * 601);
        CHECK(alerts == 11, "once a minute: %u", alerts);
        CHECK(wrong_said >= 11 && wrong_said <= 12 * (unsigned)farm, "and of each server, which: %u", wrong_said);
        CHECK(identity.counters.bad.family == 4, "which was the last is in the status");
        CHECK(s->current == serving && kernel.waiting == 1, "of %d: it is waited for, and no server left", farm);
        sectors_go_wrong(false, false, false);
        pass(PARK_MAX_US + MS(200));
        CHECK(kernel.waiting == 0 && strncmp(alerted, "goes on after 6", 15) == 0, "of %d: %s", farm, alerted);
        end_device();
    }
}

static void bad_reads_are_those_of_a_session(void) {
    begin_device(MODE_AUTHENTICATED, 2, 4);
    const int serving = server_of(s->current);
    sectors_go_wrong(serving == 0, serving == 1, false);
    for (unsigned k = 0; k < 3; k++, pass(MS(1100))) kernel_waits(16, BAD_FROM + k * 65536, 65536);
    CHECK(servers[serving].bad_told == 3, "%u", servers[serving].bad_told);
    servers[serving].session = 0; /* it is restarted */
    answered_in(MS(1500));
    kernel_waits(16, BAD_FROM, 65536);
    pass(MS(1100));
    CHECK(server_of(s->current) == serving && servers[serving].bad_told == 1, "%u", servers[serving].bad_told);
    CHECK(identity.counters.bad_reads == 4, "the status has all: %llu", (unsigned long long)identity.counters.bad_reads);
    end_device();
}

static void a_server_that_gives_all_wrong_is_left(void) {
    begin_device(MODE_AUTHENTICATED, 2, 4);
    const int serving = server_of(s->current);
    sectors_go_wrong(serving == 0, serving == 1, false);
    bad_from = 0;
    bad_to = (uint64_t)DISK_MIB << 20;
    CHECK(answered_in(MS(100)) > 200, "its stand-by reads it all: %u", kernel.answered);
    CHECK(server_of(s->current) == 1 - serving && servers[serving].byes == 1, "and serves");
    end_device();
}

static void bad_reads_are_counted_up_to_16_bits(void) {
    begin_device(MODE_AUTHENTICATED, 2, 4);
    const int serving = server_of(s->current);
    sectors_go_wrong(serving == 0, serving == 1, false);
    s->links[s->current].bad_reads = UINT16_MAX - 1;
    for (unsigned k = 0; k < 3; k++, pass(MS(1100))) kernel_waits(16, BAD_FROM + k * 65536, 65536);
    CHECK(servers[serving].bad_told == UINT16_MAX && kernel.waiting == 0, "%u", servers[serving].bad_told);
    const unsigned pings = servers[serving].pings;
    pass(MS(5000));
    CHECK(servers[serving].pings - pings <= 6, "and then the server has no more PINGs than before: %u", servers[serving].pings - pings);
    end_device();
}

/* Who gives what wrong, and who cannot read it, changes all the time; in the end all is right. That no wrong byte comes out is looked at in every reply. */
static void wrong_data_never_reaches_the_device(void) {
    uint64_t wrong = 0;
    for (unsigned round = 0; round < 24; round++) {
        begin_device(MODE_AUTHENTICATED, 1 + (int)(round % 3), 4);
        for (unsigned k = 0; k < 60; k++) {
            sectors_go_bad(random() % 4 == 0, random() % 4 == 0, random() % 4 == 0);
            for (int i = 0; i < FARM; i++) spoils[i] = random() % 2 == 0, servers[i].forged = (unsigned)random() % 3;
            bad_from = (uint64_t)random() % (12 << 20);
            bad_to = bad_from + (uint64_t)random() % (4 << 20);
            const unsigned handle = 16 + (unsigned)random() % 100;
            const uint32_t length = random() % 30 == 0 ? 3 << 20 : 512 * (1 + (uint32_t)random() % 200);
            if (kernel.length[handle] == 0) kernel_waits(handle, (uint64_t)random() % 24000 * 512, length);
            loss_in_100 = random() % 4 == 0 ? 5 : 0;
            pass(random() % MS(30));
        }
        loss_in_100 = 0;
        sectors_go_wrong(false, false, false);
        for (int i = 0; i < FARM; i++) servers[i].forged = 0;
        pass(PARK_MAX_US + MS(1000));
        CHECK(kernel.waiting == 0, "round %u: %u are not there", round, kernel.waiting);
        wrong += identity.counters.bad_reads;
        end_device();
    }
    CHECK(wrong > 100, "much of it was wrong: %llu", (unsigned long long)wrong);
}

/* Which server can read what changes all the time; in the end all can. */
static void sectors_that_come_and_go(void) {
    for (unsigned round = 0; round < 12; round++) {
        begin_device(round % 2 == 0 ? MODE_TRUSTED : MODE_AUTHENTICATED, 1 + (int)(round % 3), 4);
        for (unsigned k = 0; k < 60; k++) {
            sectors_go_bad(random() % 2, random() % 2, random() % 2);
            bad_from = (uint64_t)random() % (12 << 20);
            bad_to = bad_from + (uint64_t)random() % (4 << 20);
            const unsigned handle = 16 + (unsigned)random() % 100;
            const uint32_t length = random() % 30 == 0 ? 3 << 20 : 512 * (1 + (uint32_t)random() % 200);
            if (kernel.length[handle] == 0) kernel_waits(handle, (uint64_t)random() % 24000 * 512, length);
            loss_in_100 = random() % 4 == 0 ? 5 : 0;
            pass(random() % MS(30));
        }
        loss_in_100 = 0;
        sectors_go_bad(false, false, false);
        pass(PARK_MAX_US + MS(1000));
        CHECK(kernel.waiting == 0, "round %u: %u are not there", round, kernel.waiting);
        end_device();
    }
}

/* What lies between takes no packet with more data than that from the first `count` servers, and nobody is told. */
static void narrow(int count, uint32_t way) {
    for (int i = 0; i < FARM; i++) servers[i].way = i < count ? way : 0;
}

static void large_packets_that_do_not_arrive(enum mode wanted) {
    static const struct {
        uint32_t way;
        uint16_t finds;
        int64_t within_ms;
    } CASES[] = {{1500, 1408, 2000}, {1300, 1280, 4000}, {1200, 1152, 5000}, {500, 448, 7000}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        own_segment = 1920;
        begin(wanted);
        const int serving = server_of(s->current);
        narrow(FARM, CASES[i].way);
        const int64_t first = read_ms(4096, 4096, 40000);
        CHECK(first >= 0 && first < CASES[i].within_ms, "a way of %u: the first read takes %lld ms", CASES[i].way, (long long)first);
        CHECK(read_ms(8192, 65536, 1000) < 10 && identity.path_bytes == CASES[i].finds, "then %u bytes, at once", identity.path_bytes);
        CHECK(server_of(s->current) == serving && identity.counters.failovers == 0, "and no server is left for it");
        next_client();
        pass(MS(50));
        CHECK(read_ms(0, 65536, 1000) < 10, "the next client knows it");
        servers[serving].dead = true;
        CHECK(read_ms(0, 65536, 5000) < 1000, "and of the stand-by, too");
        servers[serving].dead = false;
        for (int64_t longest = 0, k = 0; k < 300; k++, pass(MS(1000))) { /* larger ones are tried meanwhile */
            const int64_t took = read_ms(0, 65536, 5000);
            if (took < 0 || took > longest) longest = took;
            CHECK(took >= 0 && took < 150, "second %lld: %lld ms", (long long)k, (long long)took);
        }
        CHECK(identity.path_bytes == CASES[i].finds, "it is as narrow as before: %u", identity.path_bytes);
        narrow(0, 0);
        for (unsigned k = 0; k < 700; k++, pass(MS(1000))) read_ms(0, 65536, 1000);
        CHECK(identity.path_bytes == 0 && s->links[s->current].segment_bytes == 1920, "mended, it is wide again: %u", identity.path_bytes);
        own_segment = SEGMENT;
    }
}

/* The longest that one of the large reads takes in that time, while small ones go on; −1: none is done. */
static int64_t longest_large_ms(uint32_t small, int64_t each_us, int64_t us) {
    int64_t longest = -1, begun = now;
    unsigned before = large_done;
    session_read(s, 0, 32768, now);
    for (const int64_t end = now + us; now < end; pass(each_us)) {
        session_read(s, 1 << 20, small, now);
        if (large_done == before) continue;
        if ((now - begun) / 1000 > longest) longest = (now - begun) / 1000;
        begun = now;
        before = large_done;
        session_read(s, 0, 32768, now);
    }
    return now - begun > MS(1000) ? -1 : longest;
}

/* What is lost decides how long it takes where one packet in ten is: of 1,000 beginnings 989 take less than a second, half of them less than 290 ms. */
static void large_packets_do_not_arrive_and_others_are_lost(enum mode wanted) {
    enum { BEGINNINGS = 100 };
    unsigned within = 0;
    for (unsigned i = 0; i < BEGINNINGS; i++) {
        own_segment = MAX_SEGMENT_BYTES;
        begin(wanted);
        narrow(FARM, 1408);
        loss_in_100 = 10;
        const int64_t first = longest_large_ms(1024, MS(10), MS(2000));
        within += first >= 0 && first < 1000;
        loss_in_100 = 0;
        own_segment = SEGMENT;
    }
    CHECK(within * 20 >= BEGINNINGS * 19, "a way of 1408, 10 %% loss: %u of %u large reads take less than a second", within, BEGINNINGS);
}

/* That small packets arrive says nothing of large ones, wherever the way ends between them. */
static void large_packets_do_not_arrive_beside_small_ones(enum mode wanted) {
    static const struct {
        uint32_t way, small;
        uint16_t finds;
    } CASES[] = {{8408, 4096, 1408}, {8408, 8192, 1408}, {4308, 4096, 1408}, {2958, 2048, 1408},
                 {1408, 1024, 1408}, {1300, 1024, 1280}, {484, 512, 448}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        for (unsigned loss = 0; loss <= 10; loss += 10) {
            own_segment = MAX_SEGMENT_BYTES;
            begin(wanted);
            narrow(FARM, CASES[i].way);
            loss_in_100 = loss;
            const int64_t first = longest_large_ms(CASES[i].small, loss > 0 ? MS(10) : MS(2), MS(2000));
            if (loss == 0) CHECK(first >= 0 && first < 1000, "a way of %u beside %u: %lld ms", CASES[i].way, CASES[i].small, (long long)first);
            CHECK(identity.path_bytes == CASES[i].finds, "a way of %u: asks for %u", CASES[i].way, identity.path_bytes);
            loss_in_100 = 0;
            const int64_t later = longest_large_ms(CASES[i].small, MS(100), MS(65000));
            CHECK(later >= 0 && later < 150, "a way of %u, larger ones are tried meanwhile: %lld ms", CASES[i].way, (long long)later);
            own_segment = SEGMENT;
        }
}

/* A window that is as small as it gets has room for a long read only when nothing else is out. */
static void a_long_read_is_not_passed_for_ever(void) {
    begin(MODE_TRUSTED);
    const unsigned before = large_done;
    session_read(s, 1 << 20, 4096, now);
    session_read(s, 0, 65536, now);
    for (unsigned k = 0; k < 1000 && large_done == before; k++, pass(50)) {
        s->links[s->current].window.bytes = WINDOW_MIN;
        session_read(s, 1 << 20, 4096, now);
    }
    CHECK(large_done > before, "a read of 64 KiB is done beside small ones that never end");
}

/* What is read in that time, always so many at once. fixed: the client never doubts the way. */
static unsigned reads_in(int64_t us, unsigned depth, uint32_t length, bool fixed) {
    const unsigned before = done;
    unsigned asked = before;
    for (const int64_t end = now + us; now < end; pass(MS(1))) {
        for (; asked - done < depth; asked++) session_read(s, asked % 512 * 65536, length, now);
        for (int i = 0; fixed && i < LINKS; i++) s->links[i].path.rounds = 0;
    }
    return done - before;
}

/* Runs as short as these differ by the luck of what is lost, so the reads are compared over all of them: longer ones have as many. */
static void loss_is_no_narrow_way(enum mode wanted) {
    static const struct {
        unsigned loss, depth;
        uint32_t length;
        uint16_t segment;
    } CASES[] = {{10, 1, 4096, 1408},  {20, 1, 4096, 1408},  {10, 16, 4096, 1408}, {20, 16, 4096, 1408}, {10, 1, 65536, 1408},
                 {20, 1, 65536, 1408}, {20, 8, 65536, 1408}, {10, 1, 4096, 8896},  {20, 1, 4096, 8896},  {20, 16, 4096, 8896},
                 {10, 1, 65536, 8896}, {20, 1, 65536, 8896}, {20, 1, 512, 1408},   {20, 16, 512, 1408}};
    enum { COUNT = sizeof CASES / sizeof *CASES };
    unsigned percent = 0;
    for (size_t i = 0; i < COUNT; i++) {
        unsigned reads[2];
        for (unsigned fixed = 0; fixed < 2; fixed++) {
            own_segment = CASES[i].segment;
            begin(wanted);
            loss_in_100 = CASES[i].loss;
            reads[fixed] = reads_in(MS(CASES[i].depth > 1 ? 500 : 4000), CASES[i].depth, CASES[i].length, fixed);
            CHECK(fixed || identity.path_bytes == 0, "case %zu: %u %% of loss, %u reads of %u at once: asks for %u", i, CASES[i].loss, CASES[i].depth,
                  CASES[i].length, identity.path_bytes);
            own_segment = SEGMENT;
        }
        percent += 100 * reads[0] / reads[1];
    }
    CHECK(percent >= 80 * COUNT, "%u %% of the reads where the size is fixed", percent / COUNT);
}

/* All its places for reads that wait are taken, so what is asked next is not even announced. */
static void a_slow_disk_is_no_narrow_way(void) {
    static const int64_t SLOW_MS[] = {50, 300, 1000, 2500};
    for (size_t i = 0; i < sizeof SLOW_MS / sizeof *SLOW_MS; i++)
        for (unsigned depth = 1; depth <= READS; depth *= 32) {
            begin(MODE_AUTHENTICATED);
            const int serving = s->current;
            disk_from = now + MS(SLOW_MS[i]);
            for (unsigned k = 0; k < depth; k++) session_read(s, k * 65536, 4096, now);
            pass(MS(SLOW_MS[i]) + MS(6000));
            CHECK(done == depth, "a disk that takes %lld ms: %u of %u are read", (long long)SLOW_MS[i], done, depth);
            CHECK(identity.path_bytes == 0 && s->current == serving, "a disk that takes %lld ms, %u reads: asks for %u", (long long)SLOW_MS[i], depth,
                  identity.path_bytes);
        }
}

/* It answers PINGs and announces what it never reads. */
static void a_disk_that_hangs_is_read_elsewhere(enum mode wanted) {
    enum { TOGETHER = 16 };
    begin(wanted);
    const int serving = server_of(s->current);
    read_ms(0, 4096, 100);
    disk_of = serving;
    disk_from = now + MS(60000);
    const int64_t first = read_ms(4096, 65536, 2000);
    CHECK(first >= 150 && first < 160, "a read is asked of the stand-by after 150 ms: %lld", (long long)first);
    const unsigned before = done;
    for (unsigned k = 0; k < TOGETHER; k++) session_read(s, k * 65536, 65536, now);
    pass(MS(400));
    CHECK(done - before == TOGETHER, "%u of %u reads in 400 ms, though they wait for one another's place in the window", done - before, TOGETHER);
    for (unsigned k = 0; k < 8; k++) read_ms(0, 4096, 1000);
    CHECK(server_of(s->current) != serving && servers[serving].byes == 1, "it is left");
    CHECK(read_ms(4096, 65536, 1000) < 10, "at once");
}

/* Its reads are not even asked of the third before the second, too, is late. */
static void two_disks_that_hang_leave_the_third(void) {
    begin(MODE_AUTHENTICATED);
    disk_from = now + MS(60000);
    session_read(s, 0, 4096, now);
    pass(MS(200));
    CHECK(done == 0, "the disk of its stand-by hangs, too");
    disk_of = server_of(s->current);
    for (int i = 0; i < FARM; i++) servers[i].way = i == server_of(s->standby); /* of the data that it would have now nothing arrives */
    pass(MS(300));
    CHECK(done == 1, "the third has it");
}

/* Each way of each server loses 30 % of its packets: a cable of the machine's own. */
static void what_loss_costs(enum mode wanted) {
    static const struct {
        unsigned depth;
        uint32_t length;
        unsigned reads; /* READ packets for one read, at most */
    } CASES[] = {{1, 4096, 10}, {1, 65536, 25}, {4, 32768, 20}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        int64_t longest = 0;
        unsigned asked = 0, round;
        begin(wanted);
        read_ms(0, 65536, 100);
        for (int k = 0; k < FARM; k++) servers[k].reads = 0;
        loss_in_100 = 30;
        for (round = 0; round < 400; round++) {
            const int64_t start = now;
            const unsigned before = done;
            for (unsigned k = 0; k < CASES[i].depth; k++) session_read(s, k * 65536, CASES[i].length, now);
            while (done - before < CASES[i].depth && now - start < MS(5000)) pass(MS(1));
            if (now - start > longest) longest = now - start;
        }
        for (int k = 0; k < FARM; k++) asked += servers[k].reads;
        CHECK(longest < MS(800), "%u reads of %u: the longest took %lld ms", CASES[i].depth, CASES[i].length, (long long)(longest / 1000));
        CHECK(asked < CASES[i].reads * CASES[i].depth * round, "%u reads of %u: %u READs arrive for each", CASES[i].depth, CASES[i].length,
              asked / round / CASES[i].depth);
        loss_in_100 = 0;
        pass(MS(100));
        CHECK(read_ms(0, 65536, 1000) < 5, "%u reads of %u: as before when nothing is lost any more", CASES[i].depth, CASES[i].length);
    }
}

static void a_server_whose_data_does_not_arrive_is_left(void) {
    begin(MODE_AUTHENTICATED);
    const int serving = server_of(s->current);
    narrow(0, 0);
    servers[serving].way = 1;
    const int64_t first = read_ms(0, 4096, 20000);
    CHECK(first >= 0 && first < 7000, "%lld ms", (long long)first);
    for (unsigned k = 0; k < 10; k++) pass(MS(1000)), read_ms(0, 4096, 1000);
    CHECK(server_of(s->current) != serving, "its stand-by serves");
    CHECK(read_ms(4096, 65536, 1000) < 10, "at once");
}

static void a_disk_that_is_away_for_a_moment(void) {
    for (int64_t away_ms = 50; away_ms <= 3200; away_ms *= 2) {
        begin_device(MODE_AUTHENTICATED, 1, 0);
        retry_ms = 1000; /* as servers say that have no copy yet */
        for (unsigned time = 0; time < 2; time++) {
            without_disk = true;
            kernel_waits(16, 0, 4096);
            pass(MS(away_ms));
            without_disk = false;
            pass(MS(1300));
            CHECK(kernel.waiting == 0, "away for %lld ms, time %u: it is read within a second of its coming back", (long long)away_ms, time);
            pass(MS(2000));
        }
        end_device();
    }
}

static void every_wait_is_told(void) {
    begin_device(MODE_TRUSTED, 1, 0);
    narrow(1, 1);
    kernel_waits(16, 4096, 4096);
    pass(MS(4900));
    CHECK(alerts == 0, "nothing is told of a short one");
    pass(MS(200));
    CHECK(alerts == 1 && strncmp(alerted, "has waited 5 s for data at byte 4096: its server answers", 56) == 0, "%u: %s", alerts, alerted);
    CHECK(strncmp(identity.counters.waits_for, "data at byte 4096", 17) == 0, "the status says so, too");
    pass(MS(1000) * 602);
    CHECK(alerts == 11, "once a minute: %u", alerts);
    narrow(0, 0);
    pass(MS(10000));
    CHECK(kernel.waiting == 0 && alerts == 12 && strncmp(alerted, "goes on after 6", 15) == 0, "%u: %s", alerts, alerted);
    CHECK(identity.counters.waits_for[0] == 0, "and waits for nothing");
    sectors_go_bad(true, false, false);
    kernel_waits(16, BAD_FROM, 4096);
    pass(MS(10000));
    CHECK(alerts == 13 && strstr(alerted, "at byte 6291456: no server can read it") != NULL, "%u: %s", alerts, alerted);
    sectors_go_bad(false, false, false);
    pass(MS(6000));
    CHECK(alerts == 14 && kernel.waiting == 0, "%u: %s", alerts, alerted);
    for (unsigned time = 0; time < 2; time++) {
        servers[0].dead = true;
        kernel_waits(16, 0, 4096);
        pass(MS(700));
        CHECK(!hushed, "a short wait is nothing for the console");
        pass(MS(200));
        CHECK(hushed, "nbd's line for each request, once a second, stays off it");
        pass(MS(19100));
        CHECK(alerts == 15 + 2 * time && strstr(alerted, "for a server: none of 1 answers") != NULL, "%u: %s", alerts, alerted);
        servers[0].dead = false;
        pass(MS(10000));
        CHECK(!hushed && hushes < 20, "and its level is as before: %u", hushes);
        CHECK(alerts == 16 + 2 * time && kernel.waiting == 0, "two lines for an outage of 20 s: %u: %s", alerts, alerted);
    }
    revoked = true;
    pass(MS(20000));
    CHECK(strstr(alerted, "no server may serve") != NULL, "%s", alerted);
    end_device();
    begin(MODE_TRUSTED);
    identity.ticket_bytes = 0;
    identity.disk_bytes = 0;
    for (int i = 0; i < FARM; i++) servers[i].dead = true;
    next_client();
    pass(MS(6000));
    CHECK(strstr(alerted, "to log in at") != NULL, "%s", alerted);
}

/* What is waited for changes all the time, or a wait ends and begins: the console stays readable, the status is right. */
static void waits_that_alternate_are_told_once_a_minute(void) {
    static const struct {
        const char *name;
        uint16_t refused;
        int64_t away_ms, back_ms;
        unsigned most;
    } CASES[] = {{"a login and a token in turn", REFUSAL_TOKEN_INVALID, 0, 0, 20},
                 {"a login that is refused", REFUSAL_BUSY, 0, 0, 10},
                 {"a server that comes and goes", 0, 7000, 3000, 38}};
    enum { MINUTES = 10 };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        begin(MODE_AUTHENTICATED);
        for (int k = 1; k < FARM; k++) servers[k].dead = true;
        pass(MS(2000));
        alerts = 0;
        logins_refused = CASES[i].refused;
        retry_ms = 1000;
        if (logins_refused != 0) {
            memset(&identity.counters, 0, sizeof identity.counters);
            identity.ticket_bytes = 0;
            identity.disk_bytes = 0;
            next_client();
        }
        for (const int64_t end = now + MS(60000) * MINUTES; now < end;) {
            servers[0].dead = CASES[i].away_ms > 0;
            pass(MS(CASES[i].away_ms));
            servers[0].dead = false;
            pass(MS(CASES[i].back_ms > 0 ? CASES[i].back_ms : 1000));
        }
        CHECK(alerts >= MINUTES && alerts <= CASES[i].most + 2, "%s: %u lines in %d minutes", CASES[i].name, alerts, MINUTES);
        logins_refused = 0;
        token_given = 5;
        pass(MS(90000));
        CHECK(s->current != NONE && identity.counters.waits_for[0] == 0, "%s: it ends, and the status says so", CASES[i].name);
        CHECK(strncmp(alerted, "goes on", 7) == 0, "%s: %s", CASES[i].name, alerted);
    }
}

static void in_each_suite(void (*test)(void)) {
    test();
    suite = SUITE_HASH_THEN_MAC;
    test();
    suite = SUITE_AEAD;
}

static void in_each_way(void (*test)(enum mode)) {
    test(MODE_TRUSTED);
    test(MODE_AUTHENTICATED);
    suite = SUITE_HASH_THEN_MAC;
    test(MODE_AUTHENTICATED);
    suite = SUITE_AEAD;
}

int main(void) {
    if (sodium_init() < 0 || (s = calloc(1, sizeof *s)) == NULL) return 1;
    srandom(SEED);
    own_segment = SEGMENT;
    it_has_a_stand_by_from_the_start();
    a_suite_that_it_does_not_know_is_no_session();
    a_rolling_change_leaves_two_servers();
    a_server_that_drains_is_the_last_choice();
    in_each_way(a_silent_server_is_left);
    in_each_way(bad_answers_are_dropped_and_counted);
    in_each_way(loss_costs_time_and_nothing_else);
    nothing_is_an_error_when_nobody_answers();
    a_restarted_server_is_attached_again();
    a_move_attaches_there_first();
    a_move_to_a_standby_that_has_died();
    a_move_while_it_attaches_anew();
    our_own_sleep_is_not_the_servers_silence();
    a_new_client_goes_on_with_the_ticket();
    a_new_list_is_fetched_and_followed();
    an_empty_list_is_not_believed();
    a_ticket_is_renewed_at_half_its_life();
    a_renewal_that_is_refused_is_tried_again_later();
    a_ticket_of_another_disk_is_not_taken();
    a_renewal_that_is_forged_changes_nothing();
    a_renewal_waits_for_the_true_answer();
    a_refusal_without_a_tag_is_only_a_hint();
    for (enum mode wanted = MODE_TRUSTED; wanted <= MODE_AUTHENTICATED; wanted++) {
        a_ticket_that_nobody_opens(wanted);
        a_revoked_machine_goes_on_when_it_is_added_again(wanted);
    }
    another_version_under_a_mounted_root_is_not_taken();
    an_unknown_is_a_hint();
    what_is_sent_again_keeps_no_server_alive();
    a_refusal_for_49_days_is_for_a_minute();
    a_move_to_a_server_that_is_in_no_list();
    in_each_way(what_nobody_can_read_costs_nothing_else);
    what_is_being_written_is_read_before_all_else();
    in_each_way(what_one_cannot_read_is_read_elsewhere);
    a_server_that_can_read_nothing_is_left();
    sectors_that_come_and_go();
    in_each_suite(one_wrong_answer_alone_is_asked_for_again);
    in_each_suite(what_one_gives_wrong_is_read_elsewhere);
    in_each_suite(what_all_give_wrong_is_waited_for);
    in_each_suite(a_server_that_gives_all_wrong_is_left);
    in_each_suite(bad_reads_are_counted_up_to_16_bits);
    in_each_suite(bad_reads_are_those_of_a_session);
    in_each_suite(wrong_data_never_reaches_the_device);
    for (enum mode wanted = MODE_TRUSTED; wanted <= MODE_AUTHENTICATED; wanted++) {
        large_packets_that_do_not_arrive(wanted);
        large_packets_do_not_arrive_beside_small_ones(wanted);
        large_packets_do_not_arrive_and_others_are_lost(wanted);
        loss_is_no_narrow_way(wanted);
    }
    a_long_read_is_not_passed_for_ever();
    a_slow_disk_is_no_narrow_way();
    in_each_way(a_disk_that_hangs_is_read_elsewhere);
    two_disks_that_hang_leave_the_third();
    in_each_way(what_loss_costs);
    a_server_whose_data_does_not_arrive_is_left();
    a_disk_that_is_away_for_a_moment();
    every_wait_is_told();
    waits_that_alternate_are_told_once_a_minute();
    free(s);
    return report();
}
