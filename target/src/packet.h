/* The packets of the stream protocol, version 1: src/stream/README.md has the byte tables, wire.h their numbers. Building and taking apart, no state. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

enum {
    NONCE_BYTES = BYTES_LOGIN_NONCE,
    COOKIE_BYTES = BYTES_LOGIN_COOKIE,
    SHARE_BYTES = BYTES_LOGIN_SHARE,
    ENTRY_BYTES = BYTES_MOVE_SERVER,
    MAX_PACKET_BYTES = 2048, /* but DATA */
    IP_UDP_BYTES = 28,
    MAX_SEGMENT_BYTES = 8896, /* an Ethernet of 9000 */
    MIN_MTU = IP_UDP_BYTES + DATA_HEADER_BYTES + MIN_SEGMENT_BYTES,
};

/* A server as the wire names it; family 0: any other server. */
struct entry {
    uint8_t family; /* 4 or 6 */
    uint8_t state;
    uint16_t port;
    uint8_t address[16];
};

static inline bool entry_same(const struct entry *a, const struct entry *b) {
    const size_t n = a->family == 4 ? 4 : 16;
    if (a->family != b->family || a->port != b->port) return false;
    for (size_t i = 0; i < n; i++)
        if (a->address[i] != b->address[i]) return false;
    return true;
}

/* What a server says, taken apart. Pointers lie within the packet; only the fields of its type are set. */
struct packet {
    uint8_t type;
    uint32_t session;
    uint64_t number;
    const uint8_t *nonce; /* COOKIE, TICKET, REDIRECT, REFUSE, ATTACHED: ours, echoed */
    const uint8_t *cookie; /* COOKIE */
    const uint8_t *share, *ticket; /* TICKET */
    uint16_t ticket_bytes;
    uint64_t disk_bytes; /* TICKET, ATTACHED */
    uint32_t block_bytes;
    uint8_t mode, suite;
    uint32_t list_version;
    uint16_t entries; /* TICKET, LIST */
    const uint8_t *entry_bytes;
    struct entry server; /* REDIRECT, MOVE */
    uint16_t code; /* REFUSE, ERROR; BYE: its reason */
    uint32_t retry_ms; /* REFUSE, ERROR; MOVE: within */
    const char *text; /* REFUSE */
    uint16_t text_bytes;
    const uint8_t *server_nonce; /* ATTACHED */
    uint64_t instance;
    uint16_t segment_bytes;
    uint64_t request; /* DATA, WAIT, ERROR */
    uint64_t offset; /* DATA */
    uint32_t length, position;
    const uint8_t *tag; /* DATA: the answer's; UNKNOWN: of the packet it answers */
    const uint8_t *data; /* DATA */
    size_t data_bytes;
    uint8_t state, load; /* PONG */
    uint64_t opaque; /* PONG */
};

/* False for anything that is no whole packet of a server. Reads nothing outside bytes[0..n). */
bool packet_parse(const uint8_t *bytes, size_t n, struct packet *packet);
struct entry entry_parse(const uint8_t *bytes);
/* The most data that one DATA packet carries over a way of that MTU; below MIN_MTU it comes in fragments. */
uint16_t packet_segment(int mtu);

/* Each writes a whole packet into out (MAX_PACKET_BYTES) and gives its length; those with a tag leave its 16 bytes for the caller to sign.
 * A LOGIN has one when its flags say LOGIN_RENEW. */
size_t packet_login(uint8_t *out, const uint8_t *nonce, const uint8_t *cookie, uint16_t flags, const uint8_t *share, const uint8_t *token,
                    uint16_t token_bytes);
size_t packet_attach(uint8_t *out, const uint8_t *nonce, const uint8_t *cookie, uint16_t segment_bytes, uint8_t role, const uint8_t *ticket,
                     uint16_t ticket_bytes);
size_t packet_read(uint8_t *out, uint32_t session, uint64_t number, uint64_t offset, uint32_t length, uint32_t flags);
size_t packet_ping(uint8_t *out, uint32_t session, uint64_t number, uint8_t role, uint16_t bad_reads, uint32_t list_version, uint64_t opaque);
size_t packet_servers(uint8_t *out, uint32_t session, uint64_t number, uint32_t list_version);
size_t packet_bye(uint8_t *out, uint32_t session, uint64_t number, uint8_t reason);
