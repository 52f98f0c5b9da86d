/*
 * A fresh boot token from one of several servers, by GET. It runs in a process of its own (bootfarm-http), which the parent makes at the start:
 * whatever HTTP waits for, no read waits for it.
 */
#pragma once
#include "config.h"

/* Of one try, over all its servers: the client asks again after TOKEN_TRY_US. */
enum { HTTP_DEADLINE_MS = 10000, HTTP_SERVER_MS = 2000 };

/* What is sent for each byte that comes; token_bytes 0: no server gave one in time. */
struct fresh_token {
    uint16_t token_bytes;
    uint8_t token[MAX_TOKEN_BYTES];
    char manifest[MANIFEST_TEXT];
};

/* Answers at the socket until its other end is gone; gives the exit code. */
int http_run(int socket, const struct config *config);
