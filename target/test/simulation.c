/*
 * The client as a shared library, for test/simulation: session.c and device.c in the process of the servers that they talk with, in virtual time, with a
 * kernel of a few lines. What it sends, says and answers is written into memory that the caller has given (`out`), who reads it after each call: no call
 * leads back. One client at a time. An assertion that fails ends the call, not the process.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "bytes.h"
#include "device.h"
#include "invariant.h"
#include "simulation.h"

enum {
    HEADER_AT = 0, /* doubles, in the order of enum header: test/simulation/client.ts reads them */
    PACKET_AT = 128, /* what simulation_receive takes, and every other piece of bytes */
    PACKET_ROOM = 16 << 10,
    OUT_AT = PACKET_AT + PACKET_ROOM,
    MOST_REQUESTS = 1024,
};
enum header { OUT_BYTES, AT_US, WAKE_US, TURNS, SERVED };
enum kind { SENT = 1, ANSWERED, SAID, WANTS_TOKEN, BROKEN };
enum verdict { RIGHT, WRONG_BYTES, IO_ERROR, NOT_ASKED };

static struct session session;
static struct device device;
static struct identity identity;

static uint8_t *arena;
static size_t arena_bytes, out_used;
static const uint8_t *disk;
static uint64_t random_state;
static jmp_buf broken;

/* What the kernel has asked for and has no answer to. */
static struct {
    bool open;
    uint64_t offset;
    uint32_t length;
} requests[MOST_REQUESTS];
static uint8_t asking[MOST_REQUESTS * NBD_REQUEST_BYTES];
static size_t asking_from, asking_to;
static struct {
    uint64_t handle, wrong_at;
    uint32_t done, length;
    enum verdict verdict;
} reply;

static double *header(void) { return (double *)(void *)(arena + HEADER_AT); }

/* kind 4, bytes 4, a 4, b 4, bytes padded to 8. */
static void tell(enum kind kind, uint32_t a, uint32_t b, const void *bytes, size_t n) {
    const uint32_t words[4] = {kind, (uint32_t)n, a, b};
    const size_t padded = (n + 7) / 8 * 8;
    ASSERT(OUT_AT + out_used + sizeof words + padded <= arena_bytes);
    uint8_t *at = arena + OUT_AT + out_used;
    memcpy(at, words, sizeof words);
    if (n > 0) memcpy(at + sizeof words, bytes, n);
    out_used += sizeof words + padded;
    header()[OUT_BYTES] = (double)out_used;
}

void assertion_failed(const char *file, int line, const char *what) {
    char text[256];
    out_used = 0;
    const int n = snprintf(text, sizeof text, "%s:%d: not so: %s", file, line, what);
    tell(BROKEN, 0, 0, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
    longjmp(broken, 1);
}

static uint32_t host_of(const struct entry *server) { return server == NULL ? 0 : get32(server->address); }

static void on_send(void *context, const struct entry *to, const uint8_t *bytes, size_t n) {
    (void)context;
    tell(SENT, host_of(to), to->port, bytes, n);
}

static void on_filled(void *context, unsigned read) {
    (void)context;
    device_filled(&device, read);
}

static void on_failed(void *context, unsigned read) {
    (void)context;
    device_failed(&device, read);
}

static void on_say(void *context, const struct entry *subject, const char *text) {
    (void)context;
    tell(SAID, host_of(subject), 0, text, strlen(text));
}

static void on_alert(void *context, const char *text) { on_say(context, NULL, text); }

static void on_hush(void *context, bool quiet) {
    (void)context;
    (void)quiet;
}

/* SplitMix64. */
static void on_random(void *context, uint8_t *out, size_t n) {
    (void)context;
    for (size_t i = 0; i < n; i++) {
        uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        out[i] = (uint8_t)(z ^ z >> 31);
    }
}

/* The kernel's end of the socket pair: device.c is compiled with these names. */
ssize_t kernel_recv(int fd, void *to, size_t n, int flags) {
    (void)fd;
    (void)flags;
    const size_t have = asking_to - asking_from;
    if (have == 0) {
        asking_from = asking_to = 0;
        errno = EAGAIN;
        return -1;
    }
    if (n > have) n = have;
    memcpy(to, asking + asking_from, n);
    asking_from += n;
    return (ssize_t)n;
}

static void reply_begins(const uint8_t *bytes, size_t n) {
    ASSERT(n == NBD_REPLY_BYTES && get32(bytes) == NBD_REPLY_MAGIC);
    memset(&reply, 0, sizeof reply);
    reply.handle = get64(bytes + 8);
    const bool known = reply.handle < MOST_REQUESTS && requests[reply.handle].open;
    reply.verdict = !known ? NOT_ASKED : get32(bytes + 4) != 0 ? IO_ERROR : RIGHT;
    reply.length = reply.verdict == RIGHT ? requests[reply.handle].length : 0;
}

static void reply_goes_on(const uint8_t *bytes, size_t n) {
    ASSERT(n <= reply.length - reply.done);
    const uint64_t at = requests[reply.handle].offset + reply.done;
    if (reply.verdict == RIGHT && memcmp(bytes, disk + at, n) != 0) {
        reply.verdict = WRONG_BYTES;
        while (disk[at + reply.wrong_at] == bytes[reply.wrong_at]) reply.wrong_at++;
        reply.wrong_at += at;
    }
    reply.done += (uint32_t)n;
}

ssize_t kernel_sendmsg(int fd, const struct msghdr *message, int flags) {
    (void)fd;
    (void)flags;
    ssize_t total = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        const struct iovec *piece = &message->msg_iov[i];
        total += (ssize_t)piece->iov_len;
        if (reply.done == reply.length) reply_begins(piece->iov_base, piece->iov_len);
        else reply_goes_on(piece->iov_base, piece->iov_len);
        if (reply.done < reply.length) continue;
        const uint64_t wrong_at = reply.wrong_at;
        if (reply.verdict != NOT_ASKED) requests[reply.handle].open = false;
        tell(ANSWERED, (uint32_t)reply.handle, reply.verdict, &wrong_at, sizeof wrong_at);
        reply.done = reply.length = 0;
    }
    return total;
}

int kernel_poll(struct pollfd *fds, nfds_t count, int timeout) {
    (void)fds;
    (void)timeout;
    return (int)count;
}

static struct entry entry_at(uint32_t host, uint16_t port) {
    struct entry entry = {.family = 4, .state = STATE_STREAMING, .port = port};
    put32(entry.address, host);
    return entry;
}

/* A machine that knows nothing yet. The memory stays the caller's, at its place; `at` holds OUT_AT and what a client says at a time. */
int simulation_reset(uint8_t *at, uint64_t bytes, const uint8_t *content, uint64_t seed, const char *mac) {
    arena = at;
    arena_bytes = bytes;
    disk = content;
    random_state = seed;
    asking_from = asking_to = 0;
    memset(&identity, 0, sizeof identity);
    memset(requests, 0, sizeof requests);
    snprintf(identity.device, sizeof identity.device, "%s", mac);
    return sodium_init() < 0 ? -1 : 0;
}

void simulation_server(uint32_t host, uint16_t port) {
    if (identity.servers.count < MAX_SERVERS) identity.servers.entries[identity.servers.count++] = entry_at(host, port);
}

/* Before the start: what the boot script gave. After it: what came over HTTP; 0 bytes when nothing did. */
void simulation_token(uint32_t bytes, bool started, int64_t now) {
    if (setjmp(broken) != 0) return;
    if (started) session_token(&session, arena + PACKET_AT, (uint16_t)bytes, "", now);
    else {
        memcpy(identity.token, arena + PACKET_AT, bytes);
        identity.token_bytes = (uint16_t)bytes;
    }
}

/* What an earlier client has left: a session key and behind it its ticket. */
void simulation_ticket(uint32_t bytes, uint8_t mode, uint64_t disk_bytes, int64_t renew_us, int64_t ends_us) {
    memcpy(identity.session_key, arena + PACKET_AT, sizeof identity.session_key);
    memcpy(identity.ticket, arena + PACKET_AT + sizeof identity.session_key, bytes);
    identity.ticket_bytes = (uint16_t)bytes;
    identity.mode = mode;
    identity.block_bytes = SECTOR_BYTES;
    identity.disk_bytes = disk_bytes;
    identity.renew_us = renew_us;
    identity.ends_us = ends_us;
    identity.preferred = identity.servers.entries[0];
}

/* The first client, and each that comes after one that was killed. */
void simulation_start(uint16_t segment_bytes, int64_t now) {
    const struct effects effects = {NULL, on_send, on_filled, on_failed, on_say, on_alert, on_hush, on_random};
    out_used = 0;
    header()[OUT_BYTES] = 0;
    asking_from = asking_to = 0;
    memset(&reply, 0, sizeof reply);
    if (setjmp(broken) != 0) return;
    session_init(&session, &effects, &identity, segment_bytes, now);
    device_init(&device, &session, 0);
}

/* Also what was asked of a client that was killed. False: the kernel has no place for it. */
bool simulation_request(uint32_t handle, uint64_t offset, uint32_t length) {
    if (handle >= MOST_REQUESTS || asking_to + NBD_REQUEST_BYTES > sizeof asking) return false;
    uint8_t *out = asking + asking_to;
    memset(out, 0, NBD_REQUEST_BYTES);
    put32(out, NBD_REQUEST_MAGIC);
    put64(out + 8, handle);
    put64(out + 16, offset);
    put32(out + 24, length);
    asking_to += NBD_REQUEST_BYTES;
    requests[handle].open = true;
    requests[handle].offset = offset;
    requests[handle].length = length;
    return true;
}

void simulation_receive(uint32_t host, uint16_t port, uint32_t bytes, int64_t now) {
    const struct entry from = entry_at(host, port);
    if (setjmp(broken) != 0) return;
    session_receive(&session, &from, arena + PACKET_AT, bytes, now);
}

static void turns(int64_t now, int64_t until) {
    for (;;) {
        device_write(&device, now);
        device_take(&device, now);
        session_tick(&session, now);
        device_write(&device, now);
        if (session_wants_token(&session, now)) tell(WANTS_TOKEN, 0, 0, NULL, 0);
        const int64_t wake = session_wake(&session, now);
        header()[TURNS] += 1;
        header()[SERVED] = session.current != NONE;
        header()[AT_US] = (double)now;
        header()[WAKE_US] = (double)wake;
        if (out_used > 0 || wake >= until) return;
        now = wake;
    }
}

/* The turns of edge_run, from now on until the client has something to tell, or would sleep beyond `until`. */
void simulation_run(int64_t now, int64_t until) {
    if (setjmp(broken) == 0) turns(now, until);
}

/* The caller has read `out`. */
void simulation_read(void) {
    out_used = 0;
    header()[OUT_BYTES] = 0;
}

uint64_t simulation_drops(void) {
    uint64_t sum = 0;
    for (int i = 0; i < DROPS; i++) sum += identity.counters.drops[i];
    return sum;
}

uint64_t simulation_counter(uint32_t which) {
    const struct counters *c = &identity.counters;
    const uint64_t all[] = {c->reads, c->retransmissions, c->hedges, c->failovers, c->moves, simulation_drops()};
    return which < sizeof all / sizeof *all ? all[which] : 0;
}
