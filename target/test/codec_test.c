/* Packets, keys, timers, window, list and configuration: tables of what must hold, and bytes that must do no harm. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bytes.h"
#include "check.h"
#include "config.h"
#include "invariant.h"
#include "keys.h"
#include "nbd.h"
#include "packet.h"
#include "pieces.h"
#include "rtt.h"
#include "server_list.h"
#include "window.h"

enum { SEED = 20261123, RANDOM_PACKETS = 200000 };

static void hkdf_is_rfc_5869(void) {
    uint8_t secret[22], salt[13], info[10], out[42];
    char hex[85];
    memset(secret, 0x0b, sizeof secret);
    for (uint8_t i = 0; i < sizeof salt; i++) salt[i] = i;
    for (uint8_t i = 0; i < sizeof info; i++) info[i] = (uint8_t)(0xf0 + i);
    hkdf(out, sizeof out, secret, sizeof secret, salt, sizeof salt, info, sizeof info);
    sodium_bin2hex(hex, sizeof hex, out, sizeof out);
    CHECK(strcmp(hex, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865") == 0, "A.1: %s", hex);
}

static void an_assertion_tells_and_ends_the_process(void) {
    char said[256] = "";
    int pipe_of[2], how = 0;
    if (pipe(pipe_of) != 0) abort();
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(pipe_of[1], STDERR_FILENO);
        ASSERT(pid == 0);
        ASSERT(pid == 1);
        _exit(0);
    }
    close(pipe_of[1]);
    CHECK(read(pipe_of[0], said, sizeof said - 1) > 0 && strstr(said, "pid == 1: starts again\n") != NULL, "it said %s", said);
    CHECK(strstr(said, "test/codec_test.c:") != NULL, "it said %s", said);
    CHECK(waitpid(pid, &how, 0) == pid && WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL, "no core, no exit handler: %d", how);
    close(pipe_of[0]);
}

static void tags_are_siphash_2_4_128(void) {
    uint8_t key[16], tag[16];
    char hex[33];
    for (uint8_t i = 0; i < 16; i++) key[i] = i;
    sign(tag, sizeof tag, key); /* of nothing */
    sodium_bin2hex(hex, sizeof hex, tag, sizeof tag);
    CHECK(strcmp(hex, "a3817f04ba25a8e66df67214c7550293") == 0, "the reference vector: %s", hex);
    CHECK(signed_by(tag, sizeof tag, key), "its own tag");
    tag[3] ^= 1;
    CHECK(!signed_by(tag, sizeof tag, key), "a changed tag");
    CHECK(!signed_by(tag, 15, key), "too short for a tag");
}

/* One value of test/golden/stream-keys.txt, which the server's tests make again. Gives its bytes. */
static size_t golden(const char *name, uint8_t *out, size_t room) {
    char key[32], hex[2 * MAX_PACKET_BYTES];
    size_t n = 0;
    FILE *file = fopen("../test/golden/stream-keys.txt", "r");
    while (file != NULL && n == 0 && fscanf(file, "%31s %4095s", key, hex) == 2)
        if (strcmp(key, name) == 0) sodium_hex2bin(out, room, hex, strlen(hex), NULL, &n, NULL);
    if (file != NULL) fclose(file);
    CHECK(n > 0, "%s is in the golden file", name);
    return n;
}

static void keys_and_renewal_are_the_servers(void) {
    uint8_t secret[32], own[32], server[32], old[32], attach[16], session[32], login[16], wanted[MAX_PACKET_BYTES], made[MAX_PACKET_BYTES];
    uint8_t nonce[NONCE_BYTES], cookie[COOKIE_BYTES], token[40];
    golden("clientSecret", secret, sizeof secret);
    golden("clientShare", own, sizeof own);
    golden("serverShare", server, sizeof server);
    golden("oldSessionKey", old, sizeof old);
    CHECK(login_keys(session, login, secret, own, server, NULL), "a first login");
    CHECK(golden("loginSessionKey", wanted, sizeof wanted) == 32 && memcmp(wanted, session, 32) == 0, "its session key");
    CHECK(golden("loginLoginKey", wanted, sizeof wanted) == 16 && memcmp(wanted, login, 16) == 0, "its login key");
    CHECK(login_keys(session, login, secret, own, server, old), "a renewal");
    CHECK(golden("renewalSessionKey", wanted, sizeof wanted) == 32 && memcmp(wanted, session, 32) == 0, "its session key");
    CHECK(golden("renewalLoginKey", wanted, sizeof wanted) == 16 && memcmp(wanted, login, 16) == 0, "its login key");
    attach_key(attach, old);
    CHECK(golden("oldAttachKey", wanted, sizeof wanted) == 16 && memcmp(wanted, attach, 16) == 0, "the attach key");

    memset(nonce, 4, sizeof nonce);
    memset(cookie, 5, sizeof cookie);
    for (uint8_t i = 0; i < sizeof token; i++) token[i] = i;
    const size_t n = packet_login(made, nonce, cookie, LOGIN_RENEW, own, token, sizeof token);
    sign(made, n, attach);
    CHECK(golden("renewalLogin", wanted, sizeof wanted) == n && memcmp(wanted, made, n) == 0, "LOGIN of a renewal");

    struct packet p;
    size_t bytes = golden("renewalTicket", wanted, sizeof wanted);
    CHECK(packet_parse(wanted, bytes, &p) && signed_by(wanted, bytes, login) && p.ticket_bytes == 50 && p.entries == 1, "its TICKET");
    bytes = golden("refuseSigned", wanted, sizeof wanted);
    CHECK(packet_parse(wanted, bytes, &p) && signed_by(wanted, bytes, attach) && p.code == REFUSAL_BUSY && p.retry_ms == 700, "a signed REFUSE");
    bytes = golden("refuseUnsigned", wanted, sizeof wanted);
    CHECK(packet_parse(wanted, bytes, &p) && !signed_by(wanted, bytes, attach), "a REFUSE without a tag");
}

/* The answer of the golden file: three pieces, of 1,024, 4,096 and 1,024 bytes, each of them i % 251. */
static void answer_tags_are_the_servers(void) {
    enum { FIRST = 1024, LENGTH = FIRST + PIECE_BYTES + FIRST };
    static const uint8_t SUITES[] = {SUITE_AEAD, SUITE_HASH_THEN_MAC};
    static const char *const TAGS[] = {"aeadTag", "piecesTag"};
    uint8_t key[32], header[DATA_SIGNED_BYTES], hashes[3 * PIECE_HASH_BYTES], made[PIECES_MOST(LENGTH) * PIECE_HASH_BYTES], data[LENGTH],
        tag[TAG_BYTES];
    for (uint32_t i = 0; i < LENGTH; i++) data[i] = (uint8_t)((i < FIRST ? i : (i - FIRST) % PIECE_BYTES) % 251);
    golden("answerKey", key, sizeof key);
    golden("answerHeader", header, sizeof header);
    golden("answerHashes", hashes, sizeof hashes);
    CHECK(pieces_hash(made, get64(header + AT_DATA_OFFSET), data, LENGTH) == 3 && memcmp(made, hashes, sizeof hashes) == 0, "three pieces");
    for (unsigned k = 0; k < 2; k++) {
        const uint8_t suite = SUITES[k], other = SUITES[1 - k];
        golden(TAGS[k], tag, sizeof tag);
        CHECK(answer_tag_right(suite, key, header, data, LENGTH, tag), "%s", TAGS[k]);
        CHECK(!answer_tag_right(other, key, header, data, LENGTH, tag), "%s in a session of the other suite", TAGS[k]);
        CHECK(!answer_tag_right(suite, key, header, data, LENGTH - 512, tag), "%s of a shorter answer", TAGS[k]);
        for (uint32_t at = 0; at < LENGTH; at += 331) {
            data[at] ^= 0x10;
            CHECK(!answer_tag_right(suite, key, header, data, LENGTH, tag), "%s with another byte %u", TAGS[k], at);
            data[at] ^= 0x10;
        }
        for (unsigned at = 0; at < sizeof header; at++) {
            header[at] ^= 1;
            CHECK(!answer_tag_right(suite, key, header, data, LENGTH, tag), "%s with another byte %u of the header", TAGS[k], at);
            header[at] ^= 1;
        }
        for (unsigned at = 0; at < sizeof tag; at++) {
            tag[at] ^= 0x80;
            CHECK(!answer_tag_right(suite, key, header, data, LENGTH, tag), "%s with its byte %u changed", TAGS[k], at);
            tag[at] ^= 0x80;
        }
    }
}

/* libsodium puts the same tag together from one piece, whatever the length. */
static void the_tag_of_suite_1_is_libsodiums(void) {
    static uint8_t text[DATA_SIGNED_BYTES + MAX_READ_BYTES];
    uint8_t key[32], tag[TAG_BYTES], nonce[12] = {0}, none[1];
    for (unsigned i = 0; i < 200; i++) {
        const uint32_t length = i < 40 ? i : (uint32_t)random() % (MAX_READ_BYTES + 1);
        for (size_t k = 0; k < sizeof key; k++) key[k] = (uint8_t)random();
        for (size_t k = 0; k < DATA_SIGNED_BYTES + length; k++) text[k] = (uint8_t)random();
        memcpy(nonce + 4, text + AT_NUMBER, 8);
        crypto_aead_chacha20poly1305_ietf_encrypt_detached(none, tag, NULL, NULL, 0, text, DATA_SIGNED_BYTES + length, NULL, nonce, key);
        CHECK(answer_tag_right(SUITE_AEAD, key, text, text + DATA_SIGNED_BYTES, length, tag), "%u bytes, seed %d", length, SEED);
    }
}

/* A whole packet of each type that a server sends. Gives its length. */
static size_t sample(uint8_t *out, uint8_t type) {
    static const struct {
        uint8_t type;
        uint16_t bytes;
    } LENGTHS[] = {
        {COOKIE, 52}, {TICKET, 88 + 9 + 20 + 16}, {REDIRECT, 52}, {REFUSE, 43 + 16}, {ATTACHED, 88}, {DATA, 64 + 512}, {WAIT, 40}, {ERROR, 48},
        {PONG, 48},   {LIST, 24 + 40 + 16},       {MOVE, 56},     {UNKNOWN, 32},     {BYE, 40}};
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        if (LENGTHS[i].type != type) continue;
        memset(out, 0, LENGTHS[i].bytes);
        out[0] = type;
        out[1] = 1;
        put32(out + 4, 77);
        if (type == TICKET) {
            put64(out + 64, 1 << 20);
            put32(out + 72, 512);
            put16(out + 78, 9);
            put16(out + 84, 1);
        }
        if (type == REFUSE) put16(out + 34, 3);
        if (type == ATTACHED) put16(out + 56, 1408);
        if (type == DATA) put32(out + 32, 512);
        if (type == LIST) put16(out + 20, 2);
        return LENGTHS[i].bytes;
    }
    return 0;
}

static void packets(void) {
    struct packet p;
    uint8_t bytes[MAX_PACKET_BYTES];
    for (uint8_t type = 0; type < 40; type++) {
        const size_t n = sample(bytes, type);
        if (n == 0) continue;
        CHECK(packet_parse(bytes, n, &p) && p.type == type && (type == UNKNOWN || p.session == 77), "type %u is a packet", type);
        for (size_t cut = 0; cut < n; cut++) {
            uint8_t *exact = malloc(cut ? cut : 1); /* so that a read beyond its end is seen */
            memcpy(exact, bytes, cut);
            const bool parsed = packet_parse(exact, cut, &p);
            CHECK(!parsed || type == DATA, "type %u cut to %zu is none", type, cut);
            free(exact);
        }
        if (type != DATA) CHECK(!packet_parse(bytes, n + 1, &p), "type %u with one more byte is none", type);
        bytes[1] = 2;
        CHECK(!packet_parse(bytes, n, &p), "type %u of another version is none", type);
    }
    sample(bytes, DATA);
    put32(bytes + 56, 64);
    CHECK(!packet_parse(bytes, 64 + 512, &p), "a segment beyond the end of its answer");
    put32(bytes + 56, 0xffffffc0);
    CHECK(!packet_parse(bytes, 64 + 64, &p), "a position that wraps around");
}

static void segments_fit_the_way(void) {
    static const struct {
        int mtu, bytes;
    } CASES[] = {{68, 448}, {539, 448}, {540, 448}, {576, 448}, {603, 448}, {604, 512}, {1492, 1344}, {1500, 1408}, {9000, 8896}, {65536, 8896}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        CHECK(packet_segment(CASES[i].mtu) == CASES[i].bytes, "MTU %d: %u", CASES[i].mtu, packet_segment(CASES[i].mtu));
    struct packet p;
    uint8_t bytes[MAX_PACKET_BYTES];
    const size_t n = sample(bytes, ATTACHED);
    put16(bytes + AT_ATTACHED_SEGMENT_BYTES, 448);
    CHECK(packet_parse(bytes, n, &p) && p.segment_bytes == 448, "the smallest segment");
    put16(bytes + AT_ATTACHED_SEGMENT_BYTES, 384);
    CHECK(!packet_parse(bytes, n, &p), "none is smaller");
}

static void random_bytes_do_no_harm(void) {
    unsigned taken = 0;
    srandom(SEED);
    for (unsigned i = 0; i < RANDOM_PACKETS; i++) {
        uint8_t base[MAX_PACKET_BYTES];
        struct packet p;
        size_t n = sample(base, (uint8_t)(random() % 20));
        if (n == 0) n = (size_t)random() % 200;
        for (long changes = random() % 4; changes > 0 && n > 0; changes--) base[(size_t)random() % n] = (uint8_t)random();
        if (random() % 4 == 0) n = (size_t)random() % (n + 1);
        uint8_t *exact = malloc(n ? n : 1);
        memcpy(exact, base, n);
        if (packet_parse(exact, n, &p)) {
            taken++;
            unsigned sum = 0; /* everything it points to can be read */
            for (size_t k = 0; k < p.ticket_bytes; k++) sum += p.ticket[k];
            for (size_t k = 0; k < (size_t)p.entries * ENTRY_BYTES; k++) sum += p.entry_bytes[k];
            for (size_t k = 0; k < p.text_bytes; k++) sum += (unsigned char)p.text[k];
            for (size_t k = 0; k < p.data_bytes; k++) sum += p.data[k];
            CHECK(sum < UINT32_MAX, "seed %d", SEED);
        }
        free(exact);
    }
    CHECK(taken > RANDOM_PACKETS / 20, "the fuzz meets whole packets too: %u", taken);
}

static void timers(void) {
    struct rtt rtt = {0};
    CHECK(rtt_timeout(&rtt, 0) == RTO_FIRST_US, "before any measurement");
    rtt_measured(&rtt, 1000);
    CHECK(rtt.smoothed_us == 1000 && rtt.variation_us == 500, "RFC 6298, 2.2");
    CHECK(rtt_timeout(&rtt, 0) == RTO_MIN_US, "never below the least");
    rtt_measured(&rtt, 100000);
    CHECK(rtt.smoothed_us == 1000 + 99000 / 8 && rtt.variation_us == 500 + (99000 - 500) / 4, "RFC 6298, 2.3");
    CHECK(rtt_timeout(&rtt, 2) == 4 * rtt_timeout(&rtt, 0), "doubles");
    CHECK(rtt_timeout(&rtt, 40) == rtt_timeout(&rtt, RTO_DOUBLINGS), "and does not overflow");
}

static void windows(void) {
    struct window w;
    window_reset(&w);
    CHECK(window_admits(&w, 1 << 20), "one request may always go");
    window_sent(&w, 65536);
    CHECK(!window_admits(&w, 512), "no more than the window");
    window_done(&w, 65536, true);
    CHECK(w.bytes == WINDOW_MIN + WINDOW_STEP && w.outstanding == 0, "a step a window");
    for (int i = 0; i < 1000; i++) window_done(&w, 65536, true);
    CHECK(w.bytes == WINDOW_MAX, "at most");
    window_lost(&w, 1000, 100);
    window_lost(&w, 1050, 100);
    CHECK(w.bytes == WINDOW_MAX / 2, "halved once a round trip");
    for (int i = 2; i < 100; i++) window_lost(&w, i * 1000, 100);
    CHECK(w.bytes == WINDOW_MIN, "at least");
}

static void standbys_spread(void) {
    unsigned hits[4] = {0};
    for (unsigned device = 0; device < 1000; device++) {
        char mac[18];
        snprintf(mac, sizeof mac, "52:54:00:00:%02x:%02x", device / 256, device % 256);
        unsigned best = 0;
        uint64_t most = 0;
        for (unsigned i = 0; i < 4; i++) {
            const struct entry server = {.family = 4, .port = 6910, .address = {10, 0, 0, (uint8_t)i}};
            const uint64_t weight = server_weight(mac, &server);
            if (weight > most) best = i;
            if (weight > most) most = weight;
        }
        hits[best]++;
    }
    for (unsigned i = 0; i < 4; i++) CHECK(hits[i] > 200 && hits[i] < 300, "server %u has %u of 1000", i, hits[i]);
}

static void configurations(void) {
    static const struct {
        const char *text;
        bool good;
    } CASES[] = {{"version=1\ntoken=AAEC\nservers=10.0.0.1:6910,10.0.0.2:6911\nhttp=http://10.0.0.1:8069\ndevice=pc1\nmac=52:54:00:00:00:01\n", true},
                 {"token=AAEC\nservers=10.0.0.1:6910\nsomethingNew=1\n", true},
                 {"version=2\ntoken=AAEC\nservers=10.0.0.1:6910\n", false},
                 {"token=A!\nservers=10.0.0.1:6910\n", false},
                 {"token=AAEC\nservers=10.0.0.1\n", false},
                 {"token=AAEC\nservers=10.0.0.1:0\n", false},
                 {"token=AAEC\nservers=10.0.0.1:70000\n", false},
                 {"token=AAEC\nservers=ten.example:6910\n", false},
                 {"token=AAEC\nservers=[fd00::1]:6910\n", false},
                 {"token=AAEC\nservers=10.0.0.1:69x\n", false},
                 {"token=AAEC\nservers=10.0.0.1:4294967297\n", false},
                 {"token=AAEC\nservers=,,:,10.0.0.1:\n", false},
                 {"token=AAEC\nservers=\n", false},
                 {"token=AAEC\nservers=ten.example:6910,[fd00::1]:6910,10.0.0.1:6910,10.0.0.1.2:1,300.0.0.1:1,\n", true},
                 {"servers=10.0.0.1:6910\n", false},
                 {"token=AAEC\n", false},
                 {"", false}};
    struct config config;
    char message[128];
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        CHECK(config_parse(&config, CASES[i].text, strlen(CASES[i].text), message, sizeof message) == CASES[i].good, "case %zu", i);
    config_parse(&config, CASES[0].text, strlen(CASES[0].text), message, sizeof message);
    CHECK(config.servers == 2 && config.server[1].port == 6911 && config.token_bytes == 3 && config.token[2] == 2, "what it says");
}

/* Whatever the farm sends: the client takes what it can use, and says what it cannot. */
static void what_cannot_be_used_is_left_out(void) {
    static const struct {
        unsigned good, bad;
    } CASES[] = {{1, 0}, {20, 0}, {21, 0}, {256, 0}, {1, 1}, {19, 1}, {20, 5}, {0, 3}};
    static char text[CONFIG_BYTES];
    struct config config;
    char message[128];
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        int n = snprintf(text, sizeof text, "token=AAEC\nservers=");
        for (unsigned k = 0; k < CASES[i].bad; k++) n += snprintf(text + n, sizeof text - (size_t)n, "server-%u.example:6910,", k);
        for (unsigned k = 0; k < CASES[i].good; k++) n += snprintf(text + n, sizeof text - (size_t)n, "10.0.0.%u:6910,", k);
        const unsigned taken = CASES[i].good < MAX_SERVERS ? CASES[i].good : MAX_SERVERS;
        CHECK(config_parse(&config, text, (size_t)n, message, sizeof message) == (taken > 0), "%u good: %s", CASES[i].good, message);
        CHECK(config.servers == taken, "%u good and %u bad: %u taken", CASES[i].good, CASES[i].bad, config.servers);
        CHECK(config.left_out == CASES[i].good - taken + CASES[i].bad, "%u left out", config.left_out);
        if (CASES[i].bad > 0) CHECK(strcmp(config.first_left_out, "server-0.example:6910") == 0, "%s", config.first_left_out);
    }
}

static void random_configurations_do_no_harm(void) {
    static const char BASE[] =
        "version=1\ntoken=AAEC\nservers=10.0.0.1:6910,ten.example:6910\nhttp=http://10.0.0.1:8069\nmac=52:54:00:00:00:01\nuuid=4c4c4544-0042\n";
    for (unsigned i = 0; i < RANDOM_PACKETS / 10; i++) {
        struct config config;
        char message[128];
        const size_t n = (size_t)random() % sizeof BASE;
        char *exact = malloc(n ? n : 1);
        memcpy(exact, BASE, n);
        for (long changes = random() % 6; changes > 0 && n > 0; changes--) exact[(size_t)random() % n] = "=,:\n[]/.0x\0"[random() % 11];
        config_parse(&config, exact, n, message, sizeof message);
        CHECK(config.servers <= MAX_SERVERS && config.https <= MAX_SERVERS, "seed %d", SEED);
        free(exact);
    }
}

int main(void) {
    if (sodium_init() < 0) return 1;
    hkdf_is_rfc_5869();
    an_assertion_tells_and_ends_the_process();
    tags_are_siphash_2_4_128();
    segments_fit_the_way();
    keys_and_renewal_are_the_servers();
    answer_tags_are_the_servers();
    the_tag_of_suite_1_is_libsodiums();
    packets();
    random_bytes_do_no_harm();
    timers();
    windows();
    standbys_spread();
    configurations();
    what_cannot_be_used_is_left_out();
    random_configurations_do_no_harm();
    return report();
}
