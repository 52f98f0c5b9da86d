#include "config.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void text_of(char *out, size_t room, const char *text, size_t n) {
    if (n >= room) n = room - 1;
    memcpy(out, text, n);
    out[n] = 0;
}

/* host:port, an IPv4 address and a number: this client has no IPv6 socket and asks no name server. */
static bool endpoint(struct entry *entry, const char *text, size_t n) {
    char host[INET_ADDRSTRLEN];
    const char *colon = memchr(text, ':', n);
    if (colon == NULL || (size_t)(colon - text) >= sizeof host) return false;
    text_of(host, sizeof host, text, (size_t)(colon - text));
    unsigned port = 0;
    for (const char *digit = colon + 1; digit < text + n; digit++) {
        if (*digit < '0' || *digit > '9' || port > 65535) return false;
        port = port * 10 + (unsigned)(*digit - '0');
    }
    if (port == 0 || port > 65535) return false;
    *entry = (struct entry){.family = 4, .port = (uint16_t)port};
    return inet_pton(AF_INET, host, entry->address) == 1;
}

/* Comma-separated; each may begin with prefix. Takes what it can use, counts what it leaves out, and gives how many it took. */
static unsigned endpoints(struct config *c, struct entry *entries, const char *text, size_t n, const char *prefix) {
    const size_t prefix_bytes = strlen(prefix);
    unsigned count = 0;
    for (const char *end = text + n; text < end;) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        const char *stop = comma ? comma : end;
        if ((size_t)(stop - text) > prefix_bytes && memcmp(text, prefix, prefix_bytes) == 0) text += prefix_bytes;
        const size_t bytes = (size_t)(stop - text);
        if (count < MAX_SERVERS && endpoint(&entries[count], text, bytes)) count++;
        else if (c->left_out++ == 0) text_of(c->first_left_out, sizeof c->first_left_out, text, bytes);
        text = stop + 1;
    }
    return count;
}

static bool set(struct config *c, const char *key, size_t key_bytes, const char *value, size_t n) {
    size_t bytes;
#define IS(name) (key_bytes == sizeof(name) - 1 && memcmp(key, name, key_bytes) == 0)
    if (IS("version")) return n == 1 && *value == '1';
    if (IS("token")) {
        if (sodium_base642bin(c->token, sizeof c->token, value, n, NULL, &bytes, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0) return false;
        c->token_bytes = (uint16_t)bytes;
        return bytes > 0;
    }
    if (IS("servers")) c->servers = endpoints(c, c->server, value, n, "");
    if (IS("http")) c->https = endpoints(c, c->http, value, n, "http://");
    if (IS("device")) text_of(c->device, sizeof c->device, value, n);
    if (IS("mac")) text_of(c->mac, sizeof c->mac, value, n);
    if (IS("uuid")) text_of(c->uuid, sizeof c->uuid, value, n);
    if (IS("manifest")) text_of(c->manifest, sizeof c->manifest, value, n);
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
        snprintf(message, message_bytes, "the boot configuration has no %s", config->servers ? "token" : "server with an IPv4 address and a port");
        return false;
    }
    return true;
}
