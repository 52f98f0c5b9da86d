/* GET of a small text from one of several servers: only for a fresh boot token. */
#pragma once
#include "config.h"

/* Gives the bytes of the body, or -1 when no server gave one; blocks for 2 s a server at most. */
int http_boot_config(const struct config *config, char *out, size_t room);
