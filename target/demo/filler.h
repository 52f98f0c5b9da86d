/*
 * The part of the demo's disk behind its file system: each 8 bytes are a function of their place, so that a reader inside the machine can
 * tell a right block from a wrong one, or from one of another place, without a table. splitmix64 (Steele, Lea, Flood 2014) of the place,
 * little-endian as the machine has it.
 */
#pragma once
#include <stdint.h>

enum { FILLER_OFFSET_MIB = 512 };

static inline uint64_t filler_word(uint64_t index) {
    uint64_t z = (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
