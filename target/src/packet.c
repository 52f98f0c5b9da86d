#include "packet.h"

#include <string.h>

#include "bytes.h"

enum { VERSION = 1 };

struct entry entry_parse(const uint8_t *bytes) {
    struct entry entry = {.family = bytes[0], .state = bytes[1], .port = get16(bytes + 2)};
    memcpy(entry.address, bytes + 4, sizeof entry.address);
    return entry;
}

static bool parse_ticket(const uint8_t *b, size_t n, struct packet *p) {
    if (n < 88 + TAG_BYTES) return false;
    p->share = b + 32;
    p->disk_bytes = get64(b + 64);
    p->block_bytes = get32(b + 72);
    p->mode = b[76];
    p->suite = b[77];
    p->ticket_bytes = get16(b + 78);
    p->list_version = get32(b + 80);
    p->entries = get16(b + 84);
    if (p->ticket_bytes == 0 || p->ticket_bytes > MAX_TOKEN_BYTES) return false;
    if (p->entries == 0 || p->entries > MAX_SERVERS) return false;
    if (n != 88u + p->ticket_bytes + (size_t)p->entries * ENTRY_BYTES + TAG_BYTES) return false;
    p->ticket = b + 88;
    p->entry_bytes = b + 88 + p->ticket_bytes;
    return p->disk_bytes > 0 && p->disk_bytes % 512 == 0 && (p->block_bytes == 512 || p->block_bytes == 4096);
}

static bool parse_refuse(const uint8_t *b, size_t n, struct packet *p) {
    if (n < 40 + TAG_BYTES) return false;
    p->code = get16(b + 32);
    p->text_bytes = get16(b + 34);
    p->retry_ms = get32(b + 36);
    p->text = (const char *)b + 40;
    return p->text_bytes <= MAX_TEXT_BYTES && n == 40u + p->text_bytes + TAG_BYTES;
}

static bool parse_attached(const uint8_t *b, size_t n, struct packet *p) {
    if (n != 88 || p->session == 0) return false;
    p->server_nonce = b + 32;
    p->instance = get64(b + 48);
    p->segment_bytes = get16(b + 56);
    p->mode = b[58];
    p->suite = b[59];
    p->list_version = get32(b + 60);
    p->disk_bytes = get64(b + 64);
    return p->segment_bytes >= 64 && p->segment_bytes % 64 == 0;
}

static bool parse_data(const uint8_t *b, size_t n, struct packet *p) {
    if (n <= DATA_HEADER_BYTES) return false;
    p->request = get64(b + 16);
    p->offset = get64(b + 24);
    p->length = get32(b + 32);
    p->tag = b + 40;
    p->position = get32(b + 56);
    p->data = b + DATA_HEADER_BYTES;
    p->data_bytes = n - DATA_HEADER_BYTES;
    return p->length <= 65536 && p->position < p->length && p->data_bytes <= p->length - p->position;
}

static bool parse_list(const uint8_t *b, size_t n, struct packet *p) {
    if (n < 24 + TAG_BYTES) return false;
    p->list_version = get32(b + 16);
    p->entries = get16(b + 20);
    p->entry_bytes = b + 24;
    return p->entries <= MAX_SERVERS && n == 24u + (size_t)p->entries * ENTRY_BYTES + TAG_BYTES;
}

bool packet_parse(const uint8_t *b, size_t n, struct packet *p) {
    memset(p, 0, sizeof *p);
    if (n < HEADER_BYTES || b[1] != VERSION) return false;
    p->type = b[0];
    p->session = get32(b + 4);
    p->number = get64(b + 8);
    p->nonce = b + HEADER_BYTES; /* where there is one; every type below checks the length first */
    switch (p->type) {
    case COOKIE:
        p->cookie = b + 32;
        return n == 52;
    case TICKET:
        return parse_ticket(b, n, p);
    case REDIRECT:
        if (n != 52) return false;
        p->server = entry_parse(b + 32);
        return true;
    case REFUSE:
        return parse_refuse(b, n, p);
    case ATTACHED:
        return parse_attached(b, n, p);
    case DATA:
        return parse_data(b, n, p);
    case WAIT:
        if (n != 40) return false;
        p->request = get64(b + 16);
        return true;
    case READ_ERROR:
        if (n != 48) return false;
        p->request = get64(b + 16);
        p->code = get16(b + 24);
        p->retry_ms = get32(b + 28);
        return true;
    case PONG:
        if (n != 48) return false;
        p->state = b[16];
        p->load = b[17];
        p->list_version = get32(b + 20);
        p->opaque = get64(b + 24);
        return true;
    case LIST:
        return parse_list(b, n, p);
    case MOVE:
        if (n != 56) return false;
        p->server = entry_parse(b + 16);
        p->retry_ms = get32(b + 36);
        return true;
    case UNKNOWN:
        p->tag = b + 16;
        return n == 32;
    case BYE:
        return n == 40;
    default:
        return false;
    }
}

static void header(uint8_t *out, size_t n, uint8_t type, uint32_t session, uint64_t number) {
    memset(out, 0, n);
    out[0] = type;
    out[1] = VERSION;
    put32(out + 4, session);
    put64(out + 8, number);
}

size_t packet_login(uint8_t *out, const uint8_t *nonce, const uint8_t *cookie, uint16_t flags, const uint8_t *share,
                    const uint8_t *token, uint16_t token_bytes) {
    header(out, 88, LOGIN, 0, 0);
    memcpy(out + 16, nonce, NONCE_BYTES);
    memcpy(out + 32, cookie, COOKIE_BYTES);
    put16(out + 52, token_bytes);
    put16(out + 54, flags);
    memcpy(out + 56, share, SHARE_BYTES);
    memcpy(out + 88, token, token_bytes);
    return 88u + token_bytes + ((flags & LOGIN_RENEW) != 0 ? TAG_BYTES : 0);
}

size_t packet_attach(uint8_t *out, const uint8_t *nonce, const uint8_t *cookie, uint16_t segment_bytes, uint8_t role,
                     const uint8_t *ticket, uint16_t ticket_bytes) {
    header(out, 64, ATTACH, 0, 0);
    memcpy(out + 16, nonce, NONCE_BYTES);
    memcpy(out + 32, cookie, COOKIE_BYTES);
    put16(out + 52, ticket_bytes);
    put16(out + 54, segment_bytes);
    out[60] = role;
    memcpy(out + 64, ticket, ticket_bytes);
    return 64u + ticket_bytes + TAG_BYTES;
}

size_t packet_read(uint8_t *out, uint32_t session, uint64_t number, uint64_t offset, uint32_t length, uint32_t flags) {
    header(out, 48, READ, session, number);
    put64(out + 16, offset);
    put32(out + 24, length);
    put32(out + 28, flags);
    return 48;
}

size_t packet_ping(uint8_t *out, uint32_t session, uint64_t number, uint8_t role, uint32_t list_version, uint64_t opaque) {
    header(out, 48, PING, session, number);
    out[16] = role;
    put32(out + 20, list_version);
    put64(out + 24, opaque);
    return 48;
}

size_t packet_servers(uint8_t *out, uint32_t session, uint64_t number, uint32_t list_version) {
    header(out, 40, SERVERS, session, number);
    put32(out + 16, list_version);
    return 40;
}

size_t packet_bye(uint8_t *out, uint32_t session, uint64_t number, uint8_t reason) {
    header(out, 40, BYE, session, number);
    out[16] = reason;
    return 40;
}
