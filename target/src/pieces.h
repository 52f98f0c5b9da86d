/* The hashes of an answer's pieces: src/stream/README.md, "Pieces". Shared with the server, as libpieces.so. */
#pragma once
#include <stdint.h>

enum { PIECE_BYTES = 4096, PIECE_HASH_BYTES = 32 };
#define PIECES_MOST(bytes) ((bytes) / PIECE_BYTES + 2) /* at any offset */

#define EXPORTED __attribute__((visibility("default")))

/*
 * Writes the BLAKE3 of each piece of `data`, which lies at `offset` of the disk, 32 bytes each in their order, and gives how many there are. Any length
 * is taken; out has room for PIECES_MOST(length). Allocates nothing, and any number of threads may call it.
 */
EXPORTED unsigned pieces_hash(uint8_t *out, uint64_t offset, const uint8_t *data, uint32_t length);
/* So many are hashed at a time on this processor: 16 (AVX-512), 8 (AVX2), 4 (SSE2, SSE4.1, NEON) or 1. */
EXPORTED unsigned pieces_lanes(void);
