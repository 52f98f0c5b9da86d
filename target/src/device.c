#include "device.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "invariant.h"

void device_init(struct device *d, struct session *session, int socket) {
    memset(d, 0, sizeof *d);
    d->session = session;
    d->socket = socket;
    d->writing = NONE;
}

/* Waits for the kernel when it must: its receiver always reads. */
static void write_all(struct device *d, struct iovec *iov, size_t count) {
    while (count > 0) {
        const struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
        ssize_t n = sendmsg(d->socket, &message, MSG_NOSIGNAL);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
            poll(&(struct pollfd){.fd = d->socket, .events = POLLOUT}, 1, -1);
            continue;
        }
        if (n < 0) {
            d->ended = true;
            return;
        }
        for (; count > 0 && (size_t)n >= iov->iov_len; iov++, count--) n -= (ssize_t)iov->iov_len;
        if (count > 0) {
            iov->iov_base = (uint8_t *)iov->iov_base + n;
            iov->iov_len -= (size_t)n;
        }
    }
}

/*
 * The next to be asked for, of those that are not wholly asked for, and not parked; NONE. One that was begun comes before all others, and else what was taken
 * first: so one alone holds reads without having all that it needs, and gets those of the others, which end. Two of them could hold all reads for ever.
 * What is being written comes before even those: the others are held until its end.
 */
static int next_to_ask(const struct device *d, int64_t now) {
    int found = NONE;
    const struct request *written = d->writing != NONE ? &d->requests[d->writing] : NULL;
    if (written != NULL && written->asked < written->length && now >= written->again_us) return d->writing;
    for (int i = 0; i < REQUESTS; i++) {
        const struct request *r = &d->requests[i];
        if (!r->used || r->asked == r->length || now < r->again_us) continue;
        const bool begun = r->count > 0, other = found != NONE && d->requests[found].count > 0;
        if (found == NONE || (begun && !other) || (begun == other && r->order < d->requests[found].order)) found = i;
    }
    return found;
}

/* Hands requests to the session in their order, while it has room. */
static void ask(struct device *d, int64_t now) {
    if (d->writing != NONE && now < d->requests[d->writing].again_us)
        return; /* what others read could not be written, and would keep its reads from it */
    for (int i; (i = next_to_ask(d, now)) != NONE;) {
        struct request *r = &d->requests[i];
        const uint32_t left = r->length - r->asked, n = left < MAX_READ_BYTES ? left : MAX_READ_BYTES;
        const int read = r->count < REQUEST_READS ? session_read(d->session, r->offset + r->asked, n, now) : NONE;
        if (read == NONE) return;
        ASSERT(read < READS && r->count <= REQUEST_READS - 1 && n > 0);
        d->filled[read] = false;
        r->reads[(r->first + r->count++) % REQUEST_READS] = read;
        r->asked += n;
    }
}

static void refuse(struct device *d, uint64_t handle) {
    uint8_t header[NBD_REPLY_BYTES];
    block_reply(header, handle, EINVAL);
    write_all(d, &(struct iovec){header, sizeof header}, 1);
}

/* The device is read-only and the kernel knows its size, so that only a bug is refused here, and never because of a server. */
static bool servable(const struct device *d, const struct block_request *r) {
    const uint64_t size = d->session->identity->disk_bytes;
    return r->type == NBD_READ && r->length > 0 && r->length % SECTOR_BYTES == 0 && r->offset % SECTOR_BYTES == 0 && r->offset <= size &&
           r->length <= size - r->offset;
}

bool device_take(struct device *d, int64_t now) {
    for (;;) {
        size_t used = 0;
        for (; d->input_bytes - used >= NBD_REQUEST_BYTES; used += NBD_REQUEST_BYTES) {
            struct block_request in;
            if (!block_request_parse(d->input + used, &in) || in.type == NBD_DISCONNECT) {
                d->ended = true;
                return true;
            }
            int place = 0;
            while (place < REQUESTS && d->requests[place].used) place++;
            if (place == REQUESTS) break;
            if (servable(d, &in))
                d->requests[place] = (struct request){
                    .used = true, .handle = in.handle, .offset = in.offset, .length = in.length, .order = ++d->orders, .since_us = now};
            else if (d->writing == NONE) refuse(d, in.handle);
            else break;
        }
        ASSERT(used <= d->input_bytes && d->input_bytes <= sizeof d->input);
        d->input_bytes -= used;
        memmove(d->input, d->input + used, d->input_bytes);
        ask(d, now);
        if (d->input_bytes >= NBD_REQUEST_BYTES) return false;
        const ssize_t n = recv(d->socket, d->input + d->input_bytes, sizeof d->input - d->input_bytes, MSG_DONTWAIT);
        if (n == 0) d->ended = true;
        if (n <= 0) return true;
        d->input_bytes += (size_t)n;
    }
}

void device_filled(struct device *d, unsigned read) {
    ASSERT(read < READS && !d->filled[read]);
    d->filled[read] = true;
}

/* Of `read`, which is not free. */
static struct request *request_of(struct device *d, int read) {
    for (int i = 0; i < REQUESTS; i++)
        for (unsigned k = 0; d->requests[i].used && k < d->requests[i].count; k++)
            if (d->requests[i].reads[(d->requests[i].first + k) % REQUEST_READS] == read) return &d->requests[i];
    return NULL;
}

void device_failed(struct device *d, unsigned read) {
    ASSERT(read < READS && !d->filled[read]);
    struct request *r = request_of(d, (int)read);
    ASSERT(r != NULL);
    r->failed = true;
    r->wrong = d->session->reads[read].wrong;
}

/* Gives its reads back: what is not written is asked for again later. */
static void park(struct device *d, struct request *r, int64_t now) {
    for (; r->count > 0; r->count--, r->first = (r->first + 1) % REQUEST_READS) session_release(d->session, (unsigned)r->reads[r->first]);
    const int64_t pause = (int64_t)PARK_MIN_US << (r->fails < 6 ? r->fails : 6);
    r->again_us = now + (pause < PARK_MAX_US ? pause : PARK_MAX_US);
    r->asked = r->written;
    r->failed = false;
    r->fails++;
}

/* Writes the reads of a request that are there, in order, the reply's header before the first. */
static void pass_on(struct device *d, struct request *r) {
    uint8_t header[NBD_REPLY_BYTES];
    struct iovec iov[1 + REQUEST_READS];
    size_t count = 0;
    unsigned reads = 0;
    uint32_t bytes = 0;
    if (r->written == 0) {
        block_reply(header, r->handle, 0);
        iov[count++] = (struct iovec){header, sizeof header};
    }
    for (; reads < r->count; reads++) {
        const int read = r->reads[(r->first + reads) % REQUEST_READS];
        if (!d->filled[read]) break;
        const uint32_t n = d->session->reads[read].length;
        iov[count++] = (struct iovec){(void *)(uintptr_t)session_data(d->session, (unsigned)read), n};
        bytes += n;
    }
    ASSERT(bytes <= r->asked - r->written && r->asked <= r->length);
    if (reads == 0) return;
    write_all(d, iov, count);
    r->written += bytes;
    for (; reads > 0; reads--, r->count--, r->first = (r->first + 1) % REQUEST_READS) session_release(d->session, (unsigned)r->reads[r->first]);
}

static bool whole(const struct device *d, const struct request *r) {
    if (!r->used || r->failed || r->asked < r->length) return false;
    for (unsigned i = 0; i < r->count; i++)
        if (!d->filled[r->reads[(r->first + i) % REQUEST_READS]]) return false;
    return true;
}

/* For whoever tells what the machine waits for. */
static void tell_parked(struct device *d) {
    struct waits *waits = &d->session->waits;
    waits->parked_us = 0;
    for (int i = 0; i < REQUESTS; i++) {
        const struct request *r = &d->requests[i];
        if (!r->used || r->fails == 0 || (waits->parked_us != 0 && r->since_us >= waits->parked_us)) continue;
        waits->parked_us = r->since_us;
        waits->parked_at = r->offset;
        waits->parked_wrong = r->wrong;
    }
}

static void end(struct device *d, struct request *r, int64_t now) {
    struct counters *counters = &d->session->identity->counters;
    if (now - r->since_us > counters->longest_stall_us) counters->longest_stall_us = now - r->since_us;
    r->used = false;
}

void device_write(struct device *d, int64_t now) {
    bool more = true;
    while (more && !d->ended) {
        more = false;
        for (int i = 0; i < REQUESTS; i++)
            if (d->requests[i].used && d->requests[i].failed) park(d, &d->requests[i], now);
        if (d->writing == NONE)
            for (int i = 0; i < REQUESTS; i++)
                if (whole(d, &d->requests[i])) {
                    pass_on(d, &d->requests[i]);
                    end(d, &d->requests[i], now);
                }
        /* One that fits in all reads is not begun to be written before it is there: what it lacks may be what no server can read. */
        if (d->writing == NONE) d->writing = next_to_ask(d, now);
        if (d->writing != NONE && d->requests[d->writing].length <= READS * MAX_READ_BYTES) d->writing = NONE;
        if (d->writing != NONE) {
            struct request *r = &d->requests[d->writing];
            const uint32_t before = r->written;
            pass_on(d, r);
            if (r->written == r->length) {
                end(d, r, now);
                d->writing = NONE;
                more = true;
            } else if (r->written == 0) d->writing = NONE;
            else more = r->written > before;
        }
        ask(d, now);
    }
    tell_parked(d);
}
