/* Server entries of the wire as socket addresses and as text. */
#pragma once
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "packet.h"

enum { ADDRESS_TEXT = INET6_ADDRSTRLEN + 8 };

static inline socklen_t address_of(const struct entry *e, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    if (e->family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(e->port);
        memcpy(&in->sin_addr, e->address, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(e->port);
    memcpy(&in6->sin6_addr, e->address, 16);
    return sizeof *in6;
}

static inline struct entry entry_of(const struct sockaddr_storage *from) {
    struct entry e = {0};
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)from;
        e.family = 4;
        e.port = ntohs(in->sin_port);
        memcpy(e.address, &in->sin_addr, 4);
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
        e.family = 6;
        e.port = ntohs(in6->sin6_port);
        memcpy(e.address, &in6->sin6_addr, 16);
    }
    return e;
}

static inline const char *address_text(const struct entry *e, char out[ADDRESS_TEXT]) {
    char host[INET6_ADDRSTRLEN] = "";
    if (e->family == 0) {
        out[0] = 0;
        return out;
    }
    inet_ntop(e->family == 4 ? AF_INET : AF_INET6, e->address, host, sizeof host);
    snprintf(out, ADDRESS_TEXT, e->family == 4 ? "%s:%u" : "[%s]:%u", host, e->port);
    return out;
}
