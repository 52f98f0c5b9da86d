/* The files of test/golden/wire, one a message: what a server says is taken apart as they tell it, what we say has their bytes. */
#include <sodium.h>
#include <string.h>

#include "check.h"
#include "packet.h"

enum { FILE_BYTES = 8192, TEXT_BYTES = 4096 };

static struct {
    uint8_t bytes[MAX_PACKET_BYTES];
    size_t n;
    char fields[FILE_BYTES]; /* lines of name and value */
} golden;
static char told[FILE_BYTES];
static size_t told_bytes;

static void read_golden(const char *name) {
    char path[64], hex[TEXT_BYTES] = "";
    snprintf(path, sizeof path, "../test/golden/wire/%s.txt", name);
    memset(&golden, 0, sizeof golden);
    FILE *file = fopen(path, "r");
    if (file != NULL && fscanf(file, "bytes %4095s\n", hex) == 1) fread(golden.fields, 1, sizeof golden.fields - 1, file);
    if (file != NULL) fclose(file);
    sodium_hex2bin(golden.bytes, sizeof golden.bytes, hex, strlen(hex), NULL, &golden.n, NULL);
    CHECK(golden.n > 0 && golden.fields[0] != 0, "%s is a golden file", path);
}

/* The value of a field; zeros after its end. */
static const char *field(const char *name) {
    static char value[TEXT_BYTES];
    const size_t n = strlen(name);
    memset(value, 0, sizeof value);
    for (const char *line = golden.fields; line != NULL && *line != 0; line = strchr(line, '\n'), line += line != NULL) {
        if (strncmp(line, name, n) != 0 || line[n] != ' ') continue;
        memcpy(value, line + n + 1, strcspn(line + n + 1, "\n"));
        return value;
    }
    CHECK(false, "there is a field %s", name);
    return value;
}

static uint64_t number(const char *name) {
    unsigned long long value = 0;
    sscanf(field(name), "%llu", &value);
    return value;
}
static bool truth(const char *name) { return strcmp(field(name), "true") == 0; }
static size_t bytes_of(const char *name, uint8_t *out, size_t room) {
    size_t n = 0;
    const char *hex = field(name);
    sodium_hex2bin(out, room, hex, strlen(hex), NULL, &n, NULL);
    return n;
}

static const char *const MODES[] = {"", "Trusted", "Authenticated"};
static const char *const SUITES[] = {"", "Aead", "", "HashThenMac"};
static const char *const ROLES[] = {"serve", "standby"};
static const char *const STATES[] = {"Unknown", "Streaming", "Draining", "Unreachable"};
static const char *const ERRORS[] = {"", "BadRange", "ReadFailed", "Revoked"};
static const char *const BYES[] = {"Leaving", "Moved", "Drained"};
static const char *const REFUSALS[] = {"",     "TokenInvalid",  "TokenExpired", "UnknownDevice", "NoCopy",         "NoServer",
                                       "Busy", "TicketInvalid", "Draining",     "Offline",       "SegmentTooSmall"};

static uint8_t named(const char *name, const char *const *names, uint8_t count) {
    const char *value = field(name);
    uint8_t at = 0;
    while (at < count && strcmp(names[at], value) != 0) at++;
    CHECK(at < count, "%s is a value of %s", value, name);
    return at;
}
#define NAMED(name, names) named(name, names, (uint8_t)(sizeof names / sizeof *names))

static void tell(const char *name, const char *value) {
    told_bytes += (size_t)snprintf(told + told_bytes, sizeof told - told_bytes, "%s %s\n", name, value);
}
static void tell_number(const char *name, uint64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    tell(name, text);
}
static void tell_bytes(const char *name, const uint8_t *bytes, size_t n) {
    char hex[TEXT_BYTES];
    sodium_bin2hex(hex, sizeof hex, bytes, n);
    tell(name, hex);
}
static void tell_number_bytes(const char *name, uint64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)value);
    tell(name, text);
}
static void tell_server(const char *name, struct entry e) {
    char text[128] = "any";
    size_t n = 3;
    if (e.family == 4) n = (size_t)snprintf(text, sizeof text, "%u.%u.%u.%u", e.address[0], e.address[1], e.address[2], e.address[3]);
    if (e.family == 6) {
        n = 0;
        for (int i = 0; i < 16; i += 2)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%x", i > 0 ? ":" : "", (unsigned)(e.address[i] << 8 | e.address[i + 1]));
    }
    snprintf(text + n, sizeof text - n, " %u %s", e.port, STATES[e.state % 4]);
    tell(name, text);
}
static void tell_servers(const struct packet *p) {
    for (size_t i = 0; i < p->entries; i++) tell_server("servers", entry_parse(p->entry_bytes + i * ENTRY_BYTES));
}

static void tell_packet(const struct packet *p) {
    tell_number("session", p->session);
    tell_number("number", p->number);
    if (p->type == COOKIE || p->type == TICKET || p->type == REDIRECT || p->type == REFUSE || p->type == ATTACHED)
        tell_bytes("nonce", p->nonce, NONCE_BYTES);
    if (p->type == DATA || p->type == WAIT || p->type == ERROR) tell_number("request", p->request);
    switch (p->type) {
    case COOKIE:
        tell_bytes("cookie", p->cookie, COOKIE_BYTES);
        break;
    case TICKET:
        tell_bytes("share", p->share, SHARE_BYTES);
        tell_number("sizeBytes", p->disk_bytes);
        tell_number("blockSize", p->block_bytes);
        tell("mode", MODES[p->mode % 3]);
        tell("suite", SUITES[p->suite % 4]);
        tell_number("listVersion", p->list_version);
        tell_bytes("ticket", p->ticket, p->ticket_bytes);
        tell_servers(p);
        break;
    case REDIRECT:
        tell_server("server", p->server);
        break;
    case REFUSE:
        tell("code", REFUSALS[p->code % 11]);
        tell_number("retryAfterMs", p->retry_ms);
        told_bytes += (size_t)snprintf(told + told_bytes, sizeof told - told_bytes, "text %.*s\n", p->text_bytes, p->text);
        break;
    case ATTACHED:
        tell_bytes("serverNonce", p->server_nonce, NONCE_BYTES);
        tell_number_bytes("instance", p->instance);
        tell_number("segmentBytes", p->segment_bytes);
        tell("mode", MODES[p->mode % 3]);
        tell("suite", SUITES[p->suite % 4]);
        tell_number("listVersion", p->list_version);
        tell_number("sizeBytes", p->disk_bytes);
        break;
    case DATA:
        tell_number("offset", p->offset);
        tell_number("length", p->length);
        tell_bytes("answerTag", p->tag, TAG_BYTES);
        tell_number("position", p->position);
        tell_bytes("data", p->data, p->data_bytes);
        break;
    case ERROR:
        tell("code", ERRORS[p->code % 4]);
        tell_number("retryAfterMs", p->retry_ms);
        break;
    case PONG:
        tell("state", STATES[p->state % 4]);
        tell_number("loadPercent", p->load);
        tell_number("listVersion", p->list_version);
        tell_number_bytes("opaque", p->opaque);
        break;
    case LIST:
        tell_number("listVersion", p->list_version);
        tell_servers(p);
        break;
    case MOVE:
        tell_server("server", p->server);
        tell_number("withinMs", p->retry_ms);
        break;
    case UNKNOWN:
        tell_bytes("echo", p->tag, TAG_BYTES);
        break;
    case BYE:
        tell("reason", BYES[p->code % 3]);
        break;
    default:
        break;
    }
}

static void what_a_server_says(const char *name, uint8_t type) {
    struct packet p;
    read_golden(name);
    told_bytes = 0;
    CHECK(packet_parse(golden.bytes, golden.n, &p) && p.type == type, "%s is a packet", name);
    tell_packet(&p);
    CHECK(strcmp(told, golden.fields) == 0, "%s says\n%s, and not\n%s", name, golden.fields, told);
}

static size_t make(uint8_t type, uint8_t *out) {
    uint8_t nonce[NONCE_BYTES], cookie[COOKIE_BYTES], share[SHARE_BYTES], sealed[MAX_TOKEN_BYTES], opaque[8];
    const bool before = type == LOGIN || type == ATTACH;
    if (before) bytes_of("nonce", nonce, sizeof nonce);
    if (before) bytes_of("cookie", cookie, sizeof cookie);
    const uint32_t session = (uint32_t)number("session");
    const uint64_t count = number("number");
    uint64_t value = 0;
    switch (type) {
    case LOGIN: {
        const uint16_t n = (uint16_t)bytes_of("token", sealed, sizeof sealed);
        bytes_of("share", share, sizeof share);
        const uint16_t flags = (uint16_t)((truth("renew") ? LOGIN_RENEW : 0) | (truth("redirected") ? LOGIN_REDIRECTED : 0));
        return packet_login(out, nonce, cookie, flags, share, sealed, n);
    }
    case ATTACH: {
        const uint16_t n = (uint16_t)bytes_of("ticket", sealed, sizeof sealed);
        return packet_attach(out, nonce, cookie, (uint16_t)number("maxSegmentBytes"), NAMED("role", ROLES), sealed, n);
    }
    case READ:
        return packet_read(out, session, count, number("offset"), (uint32_t)number("length"), truth("hedged") ? READ_HEDGED : 0);
    case PING:
        bytes_of("opaque", opaque, sizeof opaque);
        for (int i = 0; i < 8; i++) value = value << 8 | opaque[i];
        return packet_ping(out, session, count, NAMED("role", ROLES), (uint16_t)number("badReads"), (uint32_t)number("listVersion"), value);
    case SERVERS:
        return packet_servers(out, session, count, (uint32_t)number("listVersion"));
    default:
        return packet_bye(out, session, count, NAMED("reason", BYES));
    }
}

/* Without its tag: the file has zeros there, and so has what the caller signs. */
static void what_we_say(const char *name, uint8_t type) {
    uint8_t out[MAX_PACKET_BYTES];
    read_golden(name);
    memset(out, 0xff, sizeof out);
    const size_t n = make(type, out);
    CHECK(n == golden.n && memcmp(out, golden.bytes, n) == 0, "%s has the bytes of its file", name);
}

int main(void) {
    if (sodium_init() < 0) return 1;
#define SERVER(type) what_a_server_says(#type, type)
#define CLIENT(type) what_we_say(#type, type)
    SERVER(COOKIE);
    SERVER(TICKET);
    SERVER(REDIRECT);
    SERVER(REFUSE);
    SERVER(ATTACHED);
    SERVER(DATA);
    SERVER(WAIT);
    SERVER(ERROR);
    SERVER(PONG);
    SERVER(LIST);
    SERVER(MOVE);
    SERVER(UNKNOWN);
    SERVER(BYE);
    CLIENT(LOGIN);
    CLIENT(ATTACH);
    CLIENT(READ);
    CLIENT(PING);
    CLIENT(SERVERS);
    CLIENT(BYE);
    return report();
}
