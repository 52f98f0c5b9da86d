/* Which servers there are, and in which order a device prefers them as its stand-by. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "packet.h"

struct server_list {
    uint32_t version; /* compared for equality only */
    unsigned count;
    struct entry entries[MAX_SERVERS];
};

/* Rendezvous hash: the device's stand-by is the server with the highest weight, so that the stand-bys of many devices spread,
 * and a server that goes moves only its own devices. device is the MAC, in text. */
uint64_t server_weight(const char *device, const struct entry *server);
/* Entries of a TICKET or LIST. Those of another family than IPv4 are left out: this client has no IPv6 socket yet. */
void server_list_take(struct server_list *list, const uint8_t *entries, unsigned count, uint32_t version);
bool server_list_has(const struct server_list *list, const struct entry *server);
