#include "http.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"

enum { PATIENCE_MS = 2000, ANSWER_BYTES = 8192 };

static int get(const struct entry *server, const char *mac, char *out, size_t room) {
    struct sockaddr_storage to;
    const socklen_t to_bytes = address_of(server, &to);
    char request[256], answer[ANSWER_BYTES];
    size_t have = 0;
    int body = -1;
    const int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience); /* bounds connect too */
    const int n = snprintf(request, sizeof request, "GET /boot/config?mac=%s HTTP/1.0\r\nHost: bootfarm\r\n\r\n", mac);
    if (connect(fd, (struct sockaddr *)&to, to_bytes) == 0 && send(fd, request, (size_t)n, MSG_NOSIGNAL) == n)
        for (ssize_t got; have < sizeof answer - 1 && (got = recv(fd, answer + have, sizeof answer - 1 - have, 0)) > 0;) have += (size_t)got;
    close(fd);
    answer[have] = 0;
    const char *start = strstr(answer, "\r\n\r\n");
    if (start && strncmp(answer, "HTTP/1.", 7) == 0 && strncmp(answer + 8, " 200", 4) == 0) {
        body = (int)(answer + have - (start + 4));
        if ((size_t)body > room) body = -1;
        else memcpy(out, start + 4, (size_t)body);
    }
    return body;
}

int http_boot_config(const struct config *config, char *out, size_t room) {
    for (unsigned i = 0; i < config->https; i++) {
        const int n = get(&config->http[i], config->mac, out, room);
        if (n > 0) return n;
    }
    return -1;
}
