/* The boot configuration: lines key=value in /bootfarm/boot, made by the HTTP boot server (src/httpboot/config.ts). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"

struct config {
    uint8_t token[MAX_TOKEN_BYTES];
    uint16_t token_bytes;
    struct entry server[MAX_SERVERS];
    unsigned servers;
    struct entry http[MAX_SERVERS];
    unsigned https;
    char device[64], mac[18];
};

/* False, and a message in words, when the text cannot be used. */
bool config_parse(struct config *config, const char *text, size_t n, char *message, size_t message_bytes);
