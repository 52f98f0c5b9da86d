#include "config.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* host:port or [host]:port */
static bool endpoint(struct entry *entry, const char *text, size_t n) {
    char copy[64], *host = copy, *colon;
    if (n >= sizeof copy) return false;
    memcpy(copy, text, n);
    copy[n] = 0;
    colon = strrchr(copy, ':');
    if (!colon) return false;
    *colon = 0;
    const int port = atoi(colon + 1);
    if (port <= 0 || port > 65535) return false;
    *entry = (struct entry){.family = 4, .port = (uint16_t)port};
    if (inet_pton(AF_INET, host, entry->address) == 1) return true;
    if (*host != '[' || colon[-1] != ']') return false;
    colon[-1] = 0;
    entry->family = 6;
    return inet_pton(AF_INET6, host + 1, entry->address) == 1;
}

/* Comma-separated; each may begin with prefix. Gives how many, or -1. */
static int endpoints(struct entry *entries, const char *text, size_t n, const char *prefix) {
    int count = 0;
    for (const char *end = text + n; text < end;) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        const char *stop = comma ? comma : end;
        if ((size_t)(stop - text) > strlen(prefix) && memcmp(text, prefix, strlen(prefix)) == 0) text += strlen(prefix);
        if (count == MAX_SERVERS || !endpoint(&entries[count], text, (size_t)(stop - text))) return -1;
        count++;
        text = stop + 1;
    }
    return count;
}

static void text_of(char *out, size_t room, const char *text, size_t n) {
    if (n >= room) n = room - 1;
    memcpy(out, text, n);
    out[n] = 0;
}

static bool set(struct config *c, const char *key, size_t key_bytes, const char *value, size_t n) {
    int count;
    size_t bytes;
#define IS(name) (key_bytes == sizeof(name) - 1 && memcmp(key, name, key_bytes) == 0)
    if (IS("version")) return n == 1 && *value == '1';
    if (IS("token")) {
        if (sodium_base642bin(c->token, sizeof c->token, value, n, NULL, &bytes, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0) return false;
        c->token_bytes = (uint16_t)bytes;
        return bytes > 0;
    }
    if (IS("servers")) {
        count = endpoints(c->server, value, n, "");
        if (count > 0) c->servers = (unsigned)count;
        return count > 0;
    }
    if (IS("http")) {
        count = endpoints(c->http, value, n, "http://");
        if (count >= 0) c->https = (unsigned)count;
        return count >= 0;
    }
    if (IS("device")) text_of(c->device, sizeof c->device, value, n);
    if (IS("mac")) text_of(c->mac, sizeof c->mac, value, n);
#undef IS
    return true; /* keys of later releases are for others */
}

bool config_parse(struct config *config, const char *text, size_t n, char *message, size_t message_bytes) {
    memset(config, 0, sizeof *config);
    unsigned line = 0;
    for (const char *end = text + n; text < end;) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline ? newline : end;
        const char *equals = memchr(text, '=', (size_t)(stop - text));
        line++;
        if (equals && !set(config, text, (size_t)(equals - text), equals + 1, (size_t)(stop - equals - 1))) {
            snprintf(message, message_bytes, "line %u of the boot configuration: %.*s is wrong", line, (int)(equals - text), text);
            return false;
        }
        text = stop + 1;
    }
    if (config->token_bytes == 0 || config->servers == 0) {
        snprintf(message, message_bytes, "the boot configuration has no %s", config->servers ? "token" : "servers");
        return false;
    }
    return true;
}
