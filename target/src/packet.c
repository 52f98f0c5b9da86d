#include "packet.h"

#include <string.h>

#include "bytes.h"
#include "invariant.h"

/* Whatever the table of the wire becomes, what is held here has to hold it. */
#define SAME(a, b) _Static_assert((size_t)(a) == (size_t)(b), #a " is " #b)
SAME(AT_TYPE, 0);
SAME(AT_VERSION, 1);
SAME(AT_NUMBER + 8, HEADER_BYTES);
SAME(AT_COOKIE_NONCE, HEADER_BYTES); /* packet_parse finds every nonce there */
SAME(AT_TICKET_NONCE, HEADER_BYTES);
SAME(AT_REDIRECT_NONCE, HEADER_BYTES);
SAME(AT_REFUSE_NONCE, HEADER_BYTES);
SAME(AT_ATTACHED_NONCE, HEADER_BYTES);
SAME(BYTES_COOKIE_NONCE, NONCE_BYTES);
SAME(BYTES_TICKET_NONCE, NONCE_BYTES);
SAME(BYTES_REDIRECT_NONCE, NONCE_BYTES);
SAME(BYTES_REFUSE_NONCE, NONCE_BYTES);
SAME(BYTES_ATTACH_NONCE, NONCE_BYTES);
SAME(BYTES_ATTACHED_NONCE, NONCE_BYTES);
SAME(BYTES_ATTACHED_SERVER_NONCE, NONCE_BYTES);
SAME(BYTES_COOKIE_COOKIE, COOKIE_BYTES);
SAME(BYTES_ATTACH_COOKIE, COOKIE_BYTES);
SAME(BYTES_TICKET_SHARE, SHARE_BYTES);
SAME(BYTES_REDIRECT_SERVER, ENTRY_BYTES);
SAME(ENTRY_BYTES, 4 + sizeof((struct entry){0}.address));
SAME(BYTES_DATA_ANSWER_TAG, TAG_BYTES);
SAME(BYTES_UNKNOWN_ECHO, TAG_BYTES);
SAME(AT_DATA_ANSWER_TAG, DATA_SIGNED_BYTES);
SAME(BYTES_TICKET_SIZE_BYTES, 8);
SAME(BYTES_ATTACHED_SIZE_BYTES, 8);
SAME(BYTES_ATTACHED_INSTANCE, 8);
SAME(BYTES_READ_OFFSET, 8);
SAME(BYTES_READ_LENGTH, 4);
SAME(BYTES_READ_FLAGS, 4);
SAME(BYTES_DATA_REQUEST, 8);
SAME(BYTES_DATA_OFFSET, 8);
SAME(BYTES_DATA_LENGTH, 4);
SAME(BYTES_DATA_POSITION, 4);
SAME(BYTES_ATTACH_MAX_SEGMENT_BYTES, 2);
SAME(BYTES_PING_BAD_READS, 2);
SAME(BYTES_ATTACHED_SEGMENT_BYTES, 2);
_Static_assert(MIN_MTU <= 576, "RFC 791: every way takes the smallest segment");
_Static_assert(SIZE_LOGIN + MAX_TOKEN_BYTES + TAG_BYTES <= MAX_PACKET_BYTES, "LOGIN has room");
_Static_assert(SIZE_LOGIN + MAX_TOKEN_BYTES + TAG_BYTES <= 1280 - 48,
               "LOGIN and ATTACH leave whole, and fit what IPv6 and every tunnel for it takes");
_Static_assert(SIZE_TICKET + MAX_TOKEN_BYTES + MAX_SERVERS * (int)ENTRY_BYTES + TAG_BYTES <= MAX_PACKET_BYTES, "TICKET has room");

struct entry entry_parse(const uint8_t *bytes) {
    struct entry entry = {.family = bytes[0], .state = bytes[1], .port = get16(bytes + 2)};
    memcpy(entry.address, bytes + 4, sizeof entry.address);
    return entry;
}

static bool parse_ticket(const uint8_t *b, size_t n, struct packet *p) {
    if (n < SIZE_TICKET + TAG_BYTES) return false;
    p->share = b + AT_TICKET_SHARE;
    p->disk_bytes = get64(b + AT_TICKET_SIZE_BYTES);
    p->block_bytes = get32(b + AT_TICKET_BLOCK_SIZE);
    p->mode = b[AT_TICKET_MODE];
    p->suite = b[AT_TICKET_SUITE];
    p->ticket_bytes = get16(b + AT_TICKET_TICKET_BYTES);
    p->list_version = get32(b + AT_TICKET_LIST_VERSION);
    p->entries = get16(b + AT_TICKET_COUNT);
    if (p->ticket_bytes == 0 || p->ticket_bytes > MAX_TOKEN_BYTES) return false;
    if (p->entries == 0 || p->entries > MAX_SERVERS) return false;
    if (n != (size_t)SIZE_TICKET + p->ticket_bytes + (size_t)p->entries * ENTRY_BYTES + TAG_BYTES) return false;
    p->ticket = b + SIZE_TICKET;
    p->entry_bytes = b + SIZE_TICKET + p->ticket_bytes;
    return p->disk_bytes > 0 && p->disk_bytes % SECTOR_BYTES == 0 && (p->block_bytes == 512 || p->block_bytes == 4096);
}

static bool parse_refuse(const uint8_t *b, size_t n, struct packet *p) {
    if (n < SIZE_REFUSE + TAG_BYTES) return false;
    p->code = get16(b + AT_REFUSE_CODE);
    p->text_bytes = get16(b + AT_REFUSE_TEXT_BYTES);
    p->retry_ms = get32(b + AT_REFUSE_RETRY_AFTER_MS);
    p->text = (const char *)b + SIZE_REFUSE;
    return p->text_bytes <= MAX_TEXT_BYTES && n == (size_t)SIZE_REFUSE + p->text_bytes + TAG_BYTES;
}

static bool parse_attached(const uint8_t *b, size_t n, struct packet *p) {
    if (n != SIZE_ATTACHED + TAG_BYTES || p->session == 0) return false;
    p->server_nonce = b + AT_ATTACHED_SERVER_NONCE;
    p->instance = get64(b + AT_ATTACHED_INSTANCE);
    p->segment_bytes = get16(b + AT_ATTACHED_SEGMENT_BYTES);
    p->mode = b[AT_ATTACHED_MODE];
    p->suite = b[AT_ATTACHED_SUITE];
    p->list_version = get32(b + AT_ATTACHED_LIST_VERSION);
    p->disk_bytes = get64(b + AT_ATTACHED_SIZE_BYTES);
    return p->segment_bytes >= MIN_SEGMENT_BYTES && p->segment_bytes % SEGMENT_GRAIN_BYTES == 0;
}

static bool parse_data(const uint8_t *b, size_t n, struct packet *p) {
    if (n <= DATA_HEADER_BYTES) return false;
    p->request = get64(b + AT_DATA_REQUEST);
    p->offset = get64(b + AT_DATA_OFFSET);
    p->length = get32(b + AT_DATA_LENGTH);
    p->tag = b + AT_DATA_ANSWER_TAG;
    p->position = get32(b + AT_DATA_POSITION);
    p->data = b + DATA_HEADER_BYTES;
    p->data_bytes = n - DATA_HEADER_BYTES;
    return p->length <= MAX_READ_BYTES && p->position < p->length && p->data_bytes <= p->length - p->position;
}

static bool parse_list(const uint8_t *b, size_t n, struct packet *p) {
    if (n < SIZE_LIST + TAG_BYTES) return false;
    p->list_version = get32(b + AT_LIST_LIST_VERSION);
    p->entries = get16(b + AT_LIST_COUNT);
    p->entry_bytes = b + SIZE_LIST;
    return p->entries <= MAX_SERVERS && n == SIZE_LIST + (size_t)p->entries * ENTRY_BYTES + TAG_BYTES;
}

bool packet_parse(const uint8_t *b, size_t n, struct packet *p) {
    memset(p, 0, sizeof *p);
    if (n < HEADER_BYTES || b[AT_VERSION] != VERSION) return false;
    p->type = b[AT_TYPE];
    p->session = get32(b + AT_SESSION);
    p->number = get64(b + AT_NUMBER);
    p->nonce = b + HEADER_BYTES; /* where there is one; every type below checks the length first */
    switch (p->type) {
    case COOKIE:
        p->cookie = b + AT_COOKIE_COOKIE;
        return n == SIZE_COOKIE;
    case TICKET:
        return parse_ticket(b, n, p);
    case REDIRECT:
        if (n != SIZE_REDIRECT) return false;
        p->server = entry_parse(b + AT_REDIRECT_SERVER);
        return true;
    case REFUSE:
        return parse_refuse(b, n, p);
    case ATTACHED:
        return parse_attached(b, n, p);
    case DATA:
        return parse_data(b, n, p);
    case WAIT:
        if (n != SIZE_WAIT + TAG_BYTES) return false;
        p->request = get64(b + AT_WAIT_REQUEST);
        return true;
    case ERROR:
        if (n != SIZE_ERROR + TAG_BYTES) return false;
        p->request = get64(b + AT_ERROR_REQUEST);
        p->code = get16(b + AT_ERROR_CODE);
        p->retry_ms = get32(b + AT_ERROR_RETRY_AFTER_MS);
        return true;
    case PONG:
        if (n != SIZE_PONG + TAG_BYTES) return false;
        p->state = b[AT_PONG_STATE];
        p->load = b[AT_PONG_LOAD_PERCENT];
        p->list_version = get32(b + AT_PONG_LIST_VERSION);
        p->opaque = get64(b + AT_PONG_OPAQUE);
        return true;
    case LIST:
        return parse_list(b, n, p);
    case MOVE:
        if (n != SIZE_MOVE + TAG_BYTES) return false;
        p->server = entry_parse(b + AT_MOVE_SERVER);
        p->retry_ms = get32(b + AT_MOVE_WITHIN_MS);
        return true;
    case UNKNOWN:
        p->tag = b + AT_UNKNOWN_ECHO;
        return n == SIZE_UNKNOWN;
    case BYE:
        if (n != SIZE_BYE + TAG_BYTES) return false;
        p->code = b[AT_BYE_REASON];
        return true;
    default:
        return false;
    }
}

uint16_t packet_segment(int mtu) {
    const int room = mtu - IP_UDP_BYTES - DATA_HEADER_BYTES, bytes = room - room % SEGMENT_GRAIN_BYTES;
    if (bytes < MIN_SEGMENT_BYTES) return MIN_SEGMENT_BYTES;
    return (uint16_t)(bytes < MAX_SEGMENT_BYTES ? bytes : MAX_SEGMENT_BYTES);
}

static void header(uint8_t *out, size_t n, uint8_t type, uint32_t session, uint64_t number) {
    memset(out, 0, n);
    out[AT_TYPE] = type;
    out[AT_VERSION] = VERSION;
    put32(out + AT_SESSION, session);
    put64(out + AT_NUMBER, number);
}

size_t packet_login(uint8_t *out, const uint8_t *nonce, const uint8_t *cookie, uint16_t flags, const uint8_t *share, const uint8_t *token,
                    uint16_t token_bytes) {
    ASSERT(token_bytes > 0 && token_bytes <= MAX_TOKEN_BYTES);
    const size_t n = (size_t)SIZE_LOGIN + token_bytes + ((flags & LOGIN_RENEW) != 0 ? TAG_BYTES : 0);
    header(out, n, LOGIN, 0, 0);
    memcpy(out + AT_LOGIN_NONCE, nonce, NONCE_BYTES);
    memcpy(out + AT_LOGIN_COOKIE, cookie, COOKIE_BYTES);
    put16(out + AT_LOGIN_TOKEN_BYTES, token_bytes);
    put16(out + AT_LOGIN_FLAGS, flags);
    memcpy(out + AT_LOGIN_SHARE, share, SHARE_BYTES);
    memcpy(out + SIZE_LOGIN, token, token_bytes);
    return n;
}

size_t packet_attach(uint8_t *out, const uint8_t *nonce, const uint8_t *cookie, uint16_t segment_bytes, uint8_t role, const uint8_t *ticket,
                     uint16_t ticket_bytes) {
    ASSERT(ticket_bytes > 0 && ticket_bytes <= MAX_TOKEN_BYTES);
    ASSERT(segment_bytes >= MIN_SEGMENT_BYTES && segment_bytes % SEGMENT_GRAIN_BYTES == 0);
    const size_t n = (size_t)SIZE_ATTACH + ticket_bytes + TAG_BYTES;
    header(out, n, ATTACH, 0, 0);
    memcpy(out + AT_ATTACH_NONCE, nonce, NONCE_BYTES);
    memcpy(out + AT_ATTACH_COOKIE, cookie, COOKIE_BYTES);
    put16(out + AT_ATTACH_TICKET_BYTES, ticket_bytes);
    put16(out + AT_ATTACH_MAX_SEGMENT_BYTES, segment_bytes);
    out[AT_ATTACH_ROLE] = role;
    memcpy(out + SIZE_ATTACH, ticket, ticket_bytes);
    return n;
}

size_t packet_read(uint8_t *out, uint32_t session, uint64_t number, uint64_t offset, uint32_t length, uint32_t flags) {
    ASSERT(offset % SECTOR_BYTES == 0 && length % SECTOR_BYTES == 0);
    ASSERT(length > 0 && length <= MAX_READ_BYTES);
    header(out, SIZE_READ + TAG_BYTES, READ, session, number);
    put64(out + AT_READ_OFFSET, offset);
    put32(out + AT_READ_LENGTH, length);
    put32(out + AT_READ_FLAGS, flags);
    return SIZE_READ + TAG_BYTES;
}

size_t packet_ping(uint8_t *out, uint32_t session, uint64_t number, uint8_t role, uint16_t bad_reads, uint32_t list_version, uint64_t opaque) {
    header(out, SIZE_PING + TAG_BYTES, PING, session, number);
    out[AT_PING_ROLE] = role;
    put16(out + AT_PING_BAD_READS, bad_reads);
    put32(out + AT_PING_LIST_VERSION, list_version);
    put64(out + AT_PING_OPAQUE, opaque);
    return SIZE_PING + TAG_BYTES;
}

size_t packet_servers(uint8_t *out, uint32_t session, uint64_t number, uint32_t list_version) {
    header(out, SIZE_SERVERS + TAG_BYTES, SERVERS, session, number);
    put32(out + AT_SERVERS_LIST_VERSION, list_version);
    return SIZE_SERVERS + TAG_BYTES;
}

size_t packet_bye(uint8_t *out, uint32_t session, uint64_t number, uint8_t reason) {
    header(out, SIZE_BYE + TAG_BYTES, BYE, session, number);
    out[AT_BYE_REASON] = reason;
    return SIZE_BYE + TAG_BYTES;
}
