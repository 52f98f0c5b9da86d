/*
 * BLAKE3 of the pieces of a disk, several at a time: an answer is many small inputs, and the ordinary hasher has only the four chunks of one of them to
 * put into the lanes of the processor. Compression, and which instructions this processor has, are the reference code's.
 *
 *   piece   chunk 0   chunk 1   chunk 2   chunk 3      four steps: chunk c of all pieces, each with counter c
 *               \      /            \      /
 *                parent              parent            one step: both parents of all pieces
 *                      \            /
 *                           root                       one step: the roots, which are the hashes
 *
 * ns a byte of 32 KiB, on a core of Zen 4 where libsodium's ChaCha20-Poly1305 takes 0.31: AVX-512 0.22 (of 64 KiB 0.16: half its lanes are empty before),
 * AVX2 0.29, SSE4.1 0.57, SSE2 0.68, portable 1.45. Of 32 KiB that begin within a piece: AVX-512 0.34, AVX2 0.49.
 */
#include "pieces.h"

#include <blake3_impl.h>

enum { MOST_LANES = 16, CHUNKS = PIECE_BYTES / BLAKE3_CHUNK_LEN, PAIR_BYTES = 2 * BLAKE3_OUT_LEN };
_Static_assert(CHUNKS == 4 && PIECE_HASH_BYTES == BLAKE3_OUT_LEN, "the tree of a piece has two levels");

/* The two levels above the chunks of `count` pieces. */
static void hash_parents(uint8_t *out, const uint8_t chunks[][CHUNKS * BLAKE3_OUT_LEN], unsigned count) {
    uint8_t parents[MOST_LANES][PAIR_BYTES];
    const uint8_t *inputs[2 * MOST_LANES];
    for (unsigned i = 0; i < 2 * count; i++) inputs[i] = chunks[i / 2] + i % 2 * PAIR_BYTES;
    blake3_hash_many(inputs, 2 * count, 1, IV, 0, false, PARENT, 0, 0, parents[0]);
    for (unsigned i = 0; i < count; i++) inputs[i] = parents[i];
    blake3_hash_many(inputs, count, 1, IV, 0, false, PARENT | ROOT, 0, 0, out);
}

/* One whole piece, its four chunks side by side. */
static void hash_one(uint8_t *out, const uint8_t *data) {
    uint8_t chunks[1][CHUNKS * BLAKE3_OUT_LEN];
    const uint8_t *inputs[CHUNKS];
    for (unsigned c = 0; c < CHUNKS; c++) inputs[c] = data + c * BLAKE3_CHUNK_LEN;
    blake3_hash_many(inputs, CHUNKS, BLAKE3_CHUNK_LEN / BLAKE3_BLOCK_LEN, IV, 0, true, 0, CHUNK_START, CHUNK_END, chunks[0]);
    hash_parents(out, chunks, 1);
}

/* So many whole pieces side by side. */
static void hash_group(uint8_t *out, const uint8_t *data, unsigned count) {
    uint8_t chunks[MOST_LANES][CHUNKS * BLAKE3_OUT_LEN], step[MOST_LANES][BLAKE3_OUT_LEN];
    const uint8_t *inputs[MOST_LANES];
    for (unsigned c = 0; c < CHUNKS; c++) {
        for (unsigned i = 0; i < count; i++) inputs[i] = data + i * PIECE_BYTES + c * BLAKE3_CHUNK_LEN;
        blake3_hash_many(inputs, count, BLAKE3_CHUNK_LEN / BLAKE3_BLOCK_LEN, IV, c, false, 0, CHUNK_START, CHUNK_END, step[0]);
        for (unsigned i = 0; i < count; i++) memcpy(chunks[i] + c * BLAKE3_OUT_LEN, step[i], BLAKE3_OUT_LEN);
    }
    hash_parents(out, chunks, count);
}

static void hash_part(uint8_t *out, const uint8_t *data, uint32_t length) {
    blake3_hasher hasher;
    blake3_hasher_init(&hasher);
    blake3_hasher_update(&hasher, data, length);
    blake3_hasher_finalize(&hasher, out, PIECE_HASH_BYTES);
}

/* How many of so many whole pieces go together. Fewer than eight fill no more lanes than the four chunks of each by itself. */
static unsigned group_of(uint32_t pieces) { return pieces >= MOST_LANES ? MOST_LANES : pieces >= MOST_LANES / 2 ? MOST_LANES / 2 : 1; }

unsigned pieces_hash(uint8_t *out, uint64_t offset, const uint8_t *data, uint32_t length) {
    unsigned count = 0;
    while (length > 0) {
        const uint32_t room = PIECE_BYTES - (uint32_t)(offset % PIECE_BYTES), part = length < room ? length : room;
        const unsigned group = part == PIECE_BYTES ? group_of(length / PIECE_BYTES) : 1;
        uint8_t *to = out + (size_t)count * PIECE_HASH_BYTES;
        if (part < PIECE_BYTES) hash_part(to, data, part);
        else if (group == 1) hash_one(to, data);
        else hash_group(to, data, group);
        count += group;
        data += group * part;
        offset += group * part;
        length -= group * part;
    }
    return count;
}

unsigned pieces_lanes(void) { return (unsigned)blake3_simd_degree(); }
