/* The hashes of pieces: BLAKE3's published vectors, and what each set of the processor's instructions makes of the same bytes. */
#include <blake3.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "pieces.h"

enum { SEED = 20261129, LONGEST = 1 << 20, EACH_LENGTH = 16385, CUTS = 3000 };

/* Of blake3_dispatch.c, which is compiled for tests with its choice in the open. Its bits are those of its own list. */
extern unsigned g_cpu_features;
static const struct {
    const char *name;
    unsigned features;
} ALL[] = {
#ifdef __x86_64__
    {"portable", 0}, {"SSE2", 1}, {"SSE4.1", 1 | 2 | 4}, {"AVX2", 1 | 2 | 4 | 8 | 16}, {"AVX-512", 1 | 2 | 4 | 8 | 16 | 32 | 64},
#else
    {"this machine's own", 0},
#endif
};
enum { MOST_PATHS = sizeof ALL / sizeof *ALL };
static unsigned paths[MOST_PATHS], path_count; /* those of this processor; the first is what the others are compared with */

static void use(unsigned path) { g_cpu_features = ALL[path].features; }

static uint8_t *end_of_bytes; /* LONGEST random ones; behind them nothing can be read */

static void set_up(void) {
    pieces_lanes(); /* looks at the processor */
    const unsigned here = g_cpu_features;
    for (unsigned i = 0; i < MOST_PATHS; i++)
        if ((ALL[i].features & here) == ALL[i].features) paths[path_count++] = i;
    for (unsigned i = 0; i < path_count; i++) printf("%s%s", i > 0 ? ", " : "on this processor: ", ALL[paths[i]].name);
    printf("; seed %d\n", SEED);
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *bytes = mmap(NULL, LONGEST + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED || mprotect(bytes + LONGEST, page, PROT_NONE) != 0) abort();
    srandom(SEED);
    for (size_t i = 0; i < LONGEST; i++) bytes[i] = (uint8_t)random();
    end_of_bytes = bytes + LONGEST;
}

static void ordinary(uint8_t *out, const uint8_t *bytes, size_t length) {
    blake3_hasher hasher;
    blake3_hasher_init(&hasher);
    blake3_hasher_update(&hasher, bytes, length);
    blake3_hasher_finalize(&hasher, out, PIECE_HASH_BYTES);
}

/* What pieces_hash is to give, a piece after the other. */
static unsigned ordinary_pieces(uint8_t *out, uint64_t offset, const uint8_t *bytes, uint32_t length) {
    unsigned count = 0;
    for (uint32_t at = 0; at < length; count++) {
        const uint32_t room = PIECE_BYTES - (uint32_t)((offset + at) % PIECE_BYTES), n = length - at < room ? length - at : room;
        ordinary(out + (size_t)count * PIECE_HASH_BYTES, bytes + at, n);
        at += n;
    }
    return count;
}

/* test_vectors.json of BLAKE3: byte i of an input is i % 251; of its outputs the first 32 bytes of the plain hash. */
static const struct {
    uint32_t length;
    const char *hash;
} VECTORS[] = {
    {0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
    {1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"},
    {1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11"},
    {1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"},
    {1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"},
    {2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a"},
    {2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030"},
    {3072, "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2"},
    {3073, "7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3"},
    {4096, "015094013f57a5277b59d8475c0501042c0b642e531b0a1c8f58d2163229e969"},
    {4097, "9b4052b38f1c5fc8b1f9ff7ac7b27cd242487b3d890d15c96a1c25b8aa0fb995"},
    {5120, "9cadc15fed8b5d854562b26a9536d9707cadeda9b143978f319ab34230535833"},
    {5121, "628bd2cb2004694adaab7bbd778a25df25c47b9d4155a55f8fbd79f2fe154cff"},
    {6144, "3e2e5b74e048f3add6d21faab3f83aa44d3b2278afb83b80b3c35164ebeca205"},
    {6145, "f1323a8631446cc50536a9f705ee5cb619424d46887f3c376c695b70e0f0507f"},
    {7168, "61da957ec2499a95d6b8023e2b0e604ec7f6b50e80a9678b89d2628e99ada77a"},
    {7169, "a003fc7a51754a9b3c7fae0367ab3d782dccf28855a03d435f8cfe74605e7817"},
    {8192, "aae792484c8efe4f19e2ca7d371d8c467ffb10748d8a5a1ae579948f718a2a63"},
    {8193, "bab6c09cb8ce8cf459261398d2e7aef35700bf488116ceb94a36d0f5f1b7bc3b"},
    {16384, "f875d6646de28985646f34ee13be9a576fd515f76b5b0a26bb324735041ddde4"},
    {31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47"},
    {102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"},
};

static void the_published_vectors(unsigned path) {
    enum { MOST = 102400 };
    uint8_t *input = malloc(MOST), hash[PIECE_HASH_BYTES];
    char hex[2 * PIECE_HASH_BYTES + 1];
    for (uint32_t i = 0; i < MOST; i++) input[i] = (uint8_t)(i % 251);
    for (size_t i = 0; i < sizeof VECTORS / sizeof *VECTORS; i++) {
        const uint32_t length = VECTORS[i].length;
        ordinary(hash, input, length);
        sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
        CHECK(strcmp(hex, VECTORS[i].hash) == 0, "%s: %u bytes: %s", ALL[path].name, length, hex);
        if (length == 0 || length > PIECE_BYTES) continue;
        memset(hash, 0, sizeof hash);
        CHECK(pieces_hash(hash, 8 * PIECE_BYTES, input, length) == 1, "one piece");
        sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
        CHECK(strcmp(hex, VECTORS[i].hash) == 0, "%s: a piece of %u bytes: %s", ALL[path].name, length, hex);
    }
    free(input);
}

/* Room for exactly the pieces that there are, so that one hash too many is seen. */
static unsigned hashed(uint8_t **out, uint64_t offset, const uint8_t *bytes, uint32_t length) {
    const unsigned count = length == 0 ? 0 : (unsigned)((offset + length - 1) / PIECE_BYTES - offset / PIECE_BYTES + 1);
    *out = malloc(count > 0 ? (size_t)count * PIECE_HASH_BYTES : 1);
    return pieces_hash(*out, offset, bytes, length);
}

static void compare(unsigned path, uint64_t offset, uint32_t length) {
    static uint8_t wanted[PIECES_MOST(LONGEST) * PIECE_HASH_BYTES];
    const uint8_t *bytes = end_of_bytes - length;
    uint8_t *given;
    use(paths[0]);
    const unsigned count = ordinary_pieces(wanted, offset, bytes, length);
    use(path);
    const unsigned given_count = hashed(&given, offset, bytes, length);
    CHECK(given_count == count && memcmp(given, wanted, (size_t)count * PIECE_HASH_BYTES) == 0, "%s: %u bytes at %llu: %u pieces", ALL[path].name,
          length, (unsigned long long)offset, given_count);
    free(given);
}

static void every_length(unsigned path) {
    for (uint32_t length = 0; length <= EACH_LENGTH; length++) {
        uint8_t wanted[PIECE_HASH_BYTES], given[PIECE_HASH_BYTES];
        use(paths[0]);
        ordinary(wanted, end_of_bytes - length, length);
        use(path);
        ordinary(given, end_of_bytes - length, length);
        CHECK(memcmp(wanted, given, sizeof given) == 0, "%s: %u bytes", ALL[path].name, length);
        compare(path, 0, length);
    }
}

static void any_cut(unsigned path) {
    for (unsigned i = 0; i < CUTS; i++) {
        const uint64_t sectors = (uint64_t)random() << 20 | (uint64_t)random();
        const uint64_t offset = i % 3 == 0 ? sectors * PIECE_BYTES : i % 3 == 1 ? sectors * 512 : sectors;
        compare(path, offset, (uint32_t)random() % (i % 4 == 0 ? PIECE_BYTES * 2 : 65536 + 1));
    }
    for (uint32_t pieces = 1; pieces <= 40; pieces++) compare(path, PIECE_BYTES, pieces * PIECE_BYTES);
    compare(path, 512, LONGEST - 512);
    compare(path, 0, LONGEST);
}

/* What an answer of 64 KiB has at most, as the client and the README say. */
static void an_answer_has_17_pieces_at_most(void) {
    uint8_t *out;
    CHECK(hashed(&out, PIECE_BYTES - 512, end_of_bytes - 65536, 65536) == 17, "at any other offset");
    free(out);
    CHECK(hashed(&out, PIECE_BYTES, end_of_bytes - 65536, 65536) == 16, "at a multiple of 4,096");
    free(out);
    CHECK(hashed(&out, UINT64_MAX - 511, end_of_bytes - 512, 512) == 1, "at the end of what 64 bits reach");
    free(out);
}

int main(void) {
    if (sodium_init() < 0) return 1;
    set_up();
    for (unsigned i = 0; i < path_count; i++) {
        use(paths[i]);
        the_published_vectors(paths[i]);
        every_length(paths[i]);
        any_cut(paths[i]);
    }
    an_answer_has_17_pieces_at_most();
    munmap(end_of_bytes - LONGEST, LONGEST);
    return report();
}
