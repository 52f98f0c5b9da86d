#include "edge.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "device.h"
#include "http.h"
#include "memory.h"

enum {
    BATCH = 32,
    DATAGRAM_BYTES = (int)MAX_SEGMENT_BYTES + (int)DATA_HEADER_BYTES,
    RECEIVE_BUFFER = 4 << 20, /* four windows: nothing is lost between two looks */
};

/* Mapped once: nothing is allocated after the start, and the parent need not hold it. */
struct edge {
    const struct edge_options *options;
    struct session session;
    struct device device;
    int network;
    bool told_ready;
    uint8_t datagram[BATCH][DATAGRAM_BYTES];
};

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void on_send(void *context, const struct entry *to, const uint8_t *bytes, size_t n) {
    struct edge *edge = context;
    struct sockaddr_storage address;
    const socklen_t address_bytes = address_of(to, &address);
    sendto(edge->network, bytes, n, MSG_DONTWAIT, (struct sockaddr *)&address, address_bytes); /* what is lost is asked for again */
}

static void on_random(void *context, uint8_t *out, size_t n) {
    (void)context;
    for (ssize_t got; n > 0; out += got, n -= (size_t)got)
        if ((got = getrandom(out, n, 0)) < 0) got = 0;
}

static void on_filled(void *context, unsigned read) {
    struct edge *edge = context;
    device_filled(&edge->device, read);
}

static void on_failed(void *context, unsigned read) {
    struct edge *edge = context;
    device_failed(&edge->device, read);
}

static void on_say(void *context, const struct entry *subject, const char *text) {
    struct edge *edge = context;
    char line[512], name[ADDRESS_TEXT] = "";
    if (subject != NULL) address_text(subject, name);
    const int n = snprintf(line, sizeof line, "bootfarm: %s%s%s\n", name, subject != NULL ? " " : "", text);
    if (edge->options->console >= 0 && write(edge->options->console, line, (size_t)n) < 0) {} /* nobody listens: no harm */
}

static void on_alert(void *context, const char *text) {
    struct edge *edge = context;
    char line[512];
    const bool kernel_log = edge->options->console != STDERR_FILENO; /* <3>: shown when the kernel is quiet, too */
    const int n = snprintf(line, sizeof line, "%sbootfarm: %s\n", kernel_log ? "<3>" : "", text);
    if (edge->options->console >= 0 && write(edge->options->console, line, (size_t)n) < 0) {} /* nobody listens: no harm */
}

/* One digit is enough: a number alone sets the level of the console. What is lowered is told to the client after us, which may have to put it back. */
static void on_hush(void *context, bool quiet) {
    enum { NO_INFO = 6 };
    struct edge *edge = context;
    uint8_t *before = &edge->options->identity->console_level;
    char digit = 0;
    if (edge->options->printk < 0 || quiet == (*before != 0) || pread(edge->options->printk, &digit, 1, 0) != 1) return;
    const int level = digit - '0';
    if (quiet && level > NO_INFO && level <= 9) {
        *before = (uint8_t)level;
        digit = '0' + NO_INFO;
    } else if (!quiet) {
        digit = (char)('0' + *before);
        *before = 0;
        if (level != NO_INFO) return; /* somebody has set another since */
    } else return;
    if (pwrite(edge->options->printk, &digit, 1, 0) < 0) {} /* only makes the console easier to read */
}

static void take_packets(struct edge *edge, int64_t now) {
    struct mmsghdr messages[BATCH];
    struct iovec iov[BATCH];
    struct sockaddr_storage from[BATCH];
    for (int rounds = 0; rounds < 8; rounds++) { /* a flood does not keep us from the timers */
        for (int i = 0; i < BATCH; i++) {
            iov[i] = (struct iovec){edge->datagram[i], DATAGRAM_BYTES};
            messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &iov[i], .msg_iovlen = 1};
        }
        const int count = recvmmsg(edge->network, messages, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < count; i++) {
            const struct entry sender = entry_of(&from[i]);
            session_receive(&edge->session, &sender, edge->datagram[i], messages[i].msg_len, now);
        }
        if (count < BATCH) return;
    }
}

/* What one DATA packet may carry on the way to the first server. */
static uint16_t segment_of(struct edge *edge, const struct entry *server) {
    struct sockaddr_storage to;
    int mtu = 1500;
    socklen_t bytes = sizeof mtu;
    const socklen_t to_bytes = address_of(server, &to);
    const int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&to, to_bytes) == 0) getsockopt(fd, IPPROTO_IP, IP_MTU, &mtu, &bytes);
    close(fd);
    if (mtu < MIN_MTU) {
        char text[96];
        snprintf(text, sizeof text, "is reached with an MTU of %d: packets of %d bytes come in fragments", mtu, MIN_MTU);
        on_say(edge, server, text);
    }
    return packet_segment(mtu);
}

/* Asked and answered between two looks at the network: reads go on. */
static void fresh_token(struct edge *edge, int64_t now) {
    struct fresh_token fresh;
    if (session_wants_token(&edge->session, now)) {
        on_say(edge, NULL, "asks for a fresh boot token");
        send(edge->options->http, "?", 1, MSG_DONTWAIT | MSG_NOSIGNAL); /* unheard: the session asks again */
    }
    if (recv(edge->options->http, &fresh, sizeof fresh, MSG_DONTWAIT) == sizeof fresh)
        session_token(&edge->session, fresh.token, fresh.token_bytes, fresh.manifest, now);
}

/* NULL: this machine has no memory or no network. */
static struct edge *start(const struct edge_options *options) {
    const int size = RECEIVE_BUFFER;
    struct edge *edge = mmap(NULL, sizeof *edge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (edge == MAP_FAILED) return NULL;
    edge->options = options;
    edge->network = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (edge->network < 0) return NULL;
    if (setsockopt(edge->network, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        setsockopt(edge->network, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    stay_in_memory("bootfarm-stream");
    const uint16_t segment = options->segment_bytes ? options->segment_bytes : segment_of(edge, &options->config->server[0]);
    const struct effects effects = {edge, on_send, on_filled, on_failed, on_say, on_alert, on_hush, on_random};
    session_init(&edge->session, &effects, options->identity, segment, now_us());
    device_init(&edge->device, &edge->session, options->device);
    return edge;
}

int edge_run(const struct edge_options *options) {
    struct edge *edge = start(options);
    if (edge == NULL) return 1;
    bool room = true;
    while (!edge->device.ended) {
        int64_t now = now_us();
        take_packets(edge, now); /* before the timers, or a server is blamed for our own sleep */
        session_tick(&edge->session, now);
        device_write(&edge->device, now);
        fresh_token(edge, now);
        if (!edge->told_ready && edge->session.current != NONE) {
            edge->told_ready = true;
            if (options->ready >= 0 && write(options->ready, "r", 1) < 0) return 1;
        }
        const int64_t wait = session_wake(&edge->session, now) - now;
        const struct timespec timeout = {.tv_nsec = wait * 1000};
        struct pollfd fds[3] = {
            {.fd = edge->network, .events = POLLIN}, {.fd = options->device, .events = room ? POLLIN : 0}, {.fd = options->http, .events = POLLIN}};
        if (ppoll(fds, 3, &timeout, NULL) < 0 && errno != EINTR) return 1;
        now = now_us();
        take_packets(edge, now);
        device_write(&edge->device, now);
        room = device_take(&edge->device, now);
        if (fds[1].revents & (POLLHUP | POLLERR) && !(fds[1].revents & POLLIN)) break;
    }
    session_bye(&edge->session);
    return 0;
}
