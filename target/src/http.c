#include "http.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "memory.h"

enum { ANSWER_BYTES = CONFIG_BYTES + 1024 /* of header */ };

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* False when the time is over first. */
static bool ready(int fd, short events, int64_t end_ms) {
    struct pollfd p = {.fd = fd, .events = events};
    for (int64_t left; (left = end_ms - now_ms()) > 0;) {
        const int n = poll(&p, 1, (int)left);
        if (n > 0) return true;
        if (n < 0 && errno != EINTR) return false;
    }
    return false;
}

static bool connected(int fd, const struct entry *server, int64_t end_ms) {
    struct sockaddr_storage to;
    int error = 0;
    socklen_t error_bytes = sizeof error;
    const socklen_t to_bytes = address_of(server, &to);
    if (connect(fd, (struct sockaddr *)&to, to_bytes) == 0) return true;
    return errno == EINPROGRESS && ready(fd, POLLOUT, end_ms) && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_bytes) == 0 && error == 0;
}

/* The whole answer until its end; 0 when it does not end in time or in room. */
static size_t exchange(int fd, const char *request, char *answer, size_t room, int64_t end_ms) {
    const size_t n = strlen(request);
    if (!ready(fd, POLLOUT, end_ms) || send(fd, request, n, MSG_NOSIGNAL) != (ssize_t)n) return 0;
    for (size_t have = 0; have < room && ready(fd, POLLIN, end_ms);) {
        const ssize_t got = recv(fd, answer + have, room - have, 0);
        if (got == 0) return have;
        if (got > 0) have += (size_t)got;
        else if (errno != EAGAIN && errno != EINTR) return 0;
    }
    return 0;
}

/* The body of a 200 that is as long as its header says; NULL for all else. answer ends with a zero byte. */
static const char *body_of(const char *answer, size_t n, size_t *body_bytes) {
    const char *blank = strstr(answer, "\r\n\r\n");
    if (blank == NULL || strncmp(answer, "HTTP/1.", 7) != 0 || strncmp(answer + 8, " 200", 4) != 0) return NULL;
    *body_bytes = n - (size_t)(blank + 4 - answer);
    static const char LENGTH[] = "\r\ncontent-length:";
    for (const char *line = answer; line < blank; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line, LENGTH, sizeof LENGTH - 1) == 0 && strtoul(line + sizeof LENGTH - 1, NULL, 10) != *body_bytes) return NULL;
    return blank + 4;
}

static bool ask(const struct entry *server, const struct config *config, int64_t end_ms, struct fresh_token *fresh) {
    static char answer[ANSWER_BYTES + 1];
    static struct config answered;
    char request[256], message[128];
    size_t bytes = 0;
    const int fd = socket(server->family == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    snprintf(request, sizeof request, "GET /boot/config?mac=%s%s%s HTTP/1.0\r\nHost: bootfarm\r\n\r\n", config->mac,
             config->uuid[0] != 0 ? "&uuid=" : "", config->uuid);
    const size_t n = connected(fd, server, end_ms) ? exchange(fd, request, answer, ANSWER_BYTES, end_ms) : 0;
    close(fd);
    answer[n] = 0;
    const char *body = body_of(answer, n, &bytes);
    if (body == NULL || !config_parse(&answered, body, bytes, message, sizeof message)) return false;
    fresh->token_bytes = answered.token_bytes;
    memcpy(fresh->token, answered.token, answered.token_bytes);
    memcpy(fresh->manifest, answered.manifest, sizeof fresh->manifest);
    return true;
}

int http_run(int socket, const struct config *config) {
    static struct fresh_token fresh;
    char byte;
    unsigned at = 0; /* the next try begins where the last one ended: every server has its turn */
    stay_in_memory("bootfarm-http");
    while (recv(socket, &byte, 1, 0) == 1) {
        const int64_t end = now_ms() + HTTP_DEADLINE_MS;
        memset(&fresh, 0, sizeof fresh);
        for (unsigned i = 0; i < config->https && now_ms() < end; i++) {
            const int64_t own = now_ms() + HTTP_SERVER_MS;
            if (ask(&config->http[at % config->https], config, own < end ? own : end, &fresh)) break;
            at++;
        }
        if (send(socket, &fresh, sizeof fresh, MSG_NOSIGNAL) < 0) return 1;
    }
    return 0;
}
