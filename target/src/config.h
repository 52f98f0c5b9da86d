/* The boot configuration: lines key=value in /bootfarm/boot, made by the HTTP boot server (src/httpboot/config.ts). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"

enum {
    CONFIG_BYTES = 8192,  /* the whole text; the server makes less than half of it (src/httpboot/limits.ts) */
    MANIFEST_TEXT = 65,   /* 64 hex digits */
    ENDPOINT_TEXT = 64,   /* as much of one that is left out is shown */
};

struct config {
    uint8_t token[MAX_TOKEN_BYTES];
    uint16_t token_bytes;
    struct entry server[MAX_SERVERS];
    unsigned servers;
    struct entry http[MAX_SERVERS];
    unsigned https;
    unsigned left_out;                  /* servers that this client cannot use: names, IPv6, more than it holds */
    char first_left_out[ENDPOINT_TEXT]; /* for the console */
    char device[64], mac[18], uuid[37], manifest[MANIFEST_TEXT];
};

/* False, and a message in words, when the text cannot be used: it has no token or no server that this client can reach. */
bool config_parse(struct config *config, const char *text, size_t n, char *message, size_t message_bytes);
