/*
 * Plays the kernel for a client on the host: no nbd module is needed.
 *
 *   kernel FILE CLIENT ARGUMENT…     starts `CLIENT ARGUMENT… --kernel FD` and takes the socket that it sends; prints {"client": pid}
 *   read DEPTH MS MAX_KIB [MIB [PER_SECOND]]   on stdin: random reads, DEPTH at a time, each compared with FILE; one line of JSON when done. MIB: below
 *                                    that alone (0: everywhere). PER_SECOND: no more than these (0: as many as are answered)
 *   wait KIB AT_KIB                  one more read of KIB at AT_KIB, whose answer nobody waits for: "waiting" says whether it came
 *   (end of stdin)                   disconnects, as a shutdown does; the exit code is the client's
 *
 * When the socket ends it takes the next one and asks again for what is open, as the kernel does after a reconfigure.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../src/bytes.h"
#include "../src/nbd.h"

enum { MAX_DEPTH = 128, MAX_BYTES = 4 << 20, WAITS = MAX_DEPTH - 1 /* the place of what `wait` asks for */ };

static struct {
    bool open;
    uint64_t offset;
    uint32_t length;
    double since;
} requests[MAX_DEPTH];
static int control, device = -1, file;
static uint64_t file_bytes;
static unsigned long reads, wrong, failed, sockets;
static double longest;
static uint8_t data[MAX_BYTES], wanted[MAX_BYTES];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void take_socket(void) {
    char byte, space[CMSG_SPACE(sizeof device)];
    struct iovec iov = {&byte, 1};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    if (device >= 0) close(device);
    if (recvmsg(control, &message, MSG_CMSG_CLOEXEC) != 1 || CMSG_FIRSTHDR(&message) == NULL) die("the client gave no socket");
    memcpy(&device, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof device);
    sockets++;
}

static bool send_request(unsigned i) {
    uint8_t bytes[NBD_REQUEST_BYTES] = {0};
    put32(bytes, NBD_REQUEST_MAGIC);
    put64(bytes + 8, i);
    put64(bytes + 16, requests[i].offset);
    put32(bytes + 24, requests[i].length);
    return send(device, bytes, sizeof bytes, MSG_NOSIGNAL) == sizeof bytes;
}

static void again(void) {
    for (bool sent = false; !sent;) {
        take_socket();
        sent = true;
        for (unsigned i = 0; i < MAX_DEPTH; i++) sent = sent && (!requests[i].open || send_request(i));
    }
}

static bool receive(uint8_t *to, size_t n) {
    for (size_t have = 0; have < n;) {
        const ssize_t got = recv(device, to + have, n - have, 0);
        if (got <= 0) return false;
        have += (size_t)got;
    }
    return true;
}

static void take_reply(void) {
    uint8_t header[NBD_REPLY_BYTES];
    if (!receive(header, sizeof header)) {
        again();
        return;
    }
    const uint64_t i = get64(header + 8);
    if (get32(header) != NBD_REPLY_MAGIC || i >= MAX_DEPTH || !requests[i].open) {
        fprintf(stderr, "kernel: a reply that was not asked for\n");
        exit(1);
    }
    if (get32(header + 4) != 0) failed++;
    else if (!receive(data, requests[i].length)) {
        again();
        return;
    } else {
        const ssize_t got = pread(file, wanted, requests[i].length, (off_t)requests[i].offset);
        if (got != (ssize_t)requests[i].length || memcmp(data, wanted, requests[i].length) != 0) wrong++;
    }
    reads++;
    requests[i].open = false;
    if (now() - requests[i].since > longest) longest = now() - requests[i].since;
}

/* False: no reply came before `until`. */
static bool wait_reply(double until) {
    struct pollfd reply = {.fd = device, .events = POLLIN};
    const double seconds = until - now();
    return poll(&reply, 1, seconds > 0 ? (int)(seconds * 1000) + 1 : 0) > 0;
}

static void ask(unsigned i, unsigned max_kib, uint64_t below) {
    const uint64_t blocks = 1 + (uint64_t)random() % (max_kib * 2);
    requests[i].length = (uint32_t)blocks * 512;
    requests[i].offset = (uint64_t)random() % (below / 512 - blocks + 1) * 512;
    requests[i].since = now();
    requests[i].open = true;
    if (!send_request(i)) again();
}

static void run(unsigned depth, unsigned ms, unsigned max_kib, uint64_t below, unsigned per_second) {
    const double begin = now(), end = begin + ms / 1000.0, each = per_second > 0 ? 1.0 / per_second : 0;
    double next = begin;
    unsigned open = 0;
    reads = wrong = failed = 0;
    longest = 0;
    if (depth > WAITS) depth = WAITS;
    if (max_kib > MAX_BYTES >> 10) max_kib = MAX_BYTES >> 10;
    do {
        open = 0;
        for (unsigned i = 0; i < depth; i++) {
            if (!requests[i].open && now() < end && now() >= next) {
                ask(i, max_kib, below);
                next += each;
            }
            open += requests[i].open;
        }
        const bool asks_later = each > 0 && open < depth && now() < end;
        if (asks_later ? wait_reply(next) : open > 0) take_reply();
    } while (open > 0 || now() < end);
    printf("{\"reads\":%lu,\"wrong\":%lu,\"failed\":%lu,\"perSecond\":%.0f,\"longestStallMs\":%.1f,\"sockets\":%lu,\"waiting\":%s}\n", reads, wrong,
           failed, (double)reads / (now() - begin), longest * 1000, sockets, requests[WAITS].open ? "true" : "false");
    fflush(stdout);
}

static void ask_and_go_on(unsigned kib, unsigned at_kib) {
    requests[WAITS].offset = (uint64_t)at_kib << 10;
    requests[WAITS].length = kib << 10;
    requests[WAITS].since = now();
    requests[WAITS].open = true;
    if (!send_request(WAITS)) again();
}

int main(int argc, char **argv) {
    int pair[2], how = 0;
    struct stat about;
    if (argc < 3 || argc > 60) return 2;
    file = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &about) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) die(argv[1]);
    file_bytes = (uint64_t)about.st_size;
    const pid_t client = fork();
    if (client == 0) {
        static char option[] = "--kernel";
        char *arguments[64] = {0}, number[16];
        close(pair[0]);
        snprintf(number, sizeof number, "%d", pair[1]);
        int n = 0;
        for (int i = 2; i < argc; i++) arguments[n++] = argv[i];
        arguments[n++] = option;
        arguments[n++] = number;
        execv(arguments[0], arguments);
        die(arguments[0]);
    }
    close(pair[1]);
    control = pair[0];
    printf("{\"client\":%d}\n", client);
    fflush(stdout);
    take_socket();
    printf("{\"ready\":true}\n");
    fflush(stdout);
    unsigned depth, ms, max_kib, below, per_second, kib, at_kib;
    for (char line[128]; fgets(line, sizeof line, stdin) != NULL;) {
        below = per_second = 0;
        if (sscanf(line, "read %u %u %u %u %u", &depth, &ms, &max_kib, &below, &per_second) >= 3)
            run(depth, ms, max_kib, below > 0 ? (uint64_t)below << 20 : file_bytes, per_second);
        else if (sscanf(line, "wait %u %u", &kib, &at_kib) == 2) ask_and_go_on(kib, at_kib);
    }
    close(device);
    return waitpid(client, &how, 0) == client && WIFEXITED(how) ? WEXITSTATUS(how) : 1;
}
