#include "keys.h"

#include <sodium.h>
#include <string.h>

#include "bytes.h"
#include "invariant.h"
#include "pieces.h"
#include "wire.h"

void hkdf(uint8_t *out, size_t out_bytes, const uint8_t *secret, size_t secret_bytes, const uint8_t *salt, size_t salt_bytes, const uint8_t *info,
          size_t info_bytes) {
    ASSERT(out_bytes <= 255 * 32);
    uint8_t prk[32], block[32];
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, salt, salt_bytes);
    crypto_auth_hmacsha256_update(&state, secret, secret_bytes);
    crypto_auth_hmacsha256_final(&state, prk);
    size_t done = 0;
    for (uint8_t i = 1; done < out_bytes; i++) {
        crypto_auth_hmacsha256_init(&state, prk, sizeof prk);
        if (i > 1) crypto_auth_hmacsha256_update(&state, block, sizeof block);
        crypto_auth_hmacsha256_update(&state, info, info_bytes);
        crypto_auth_hmacsha256_update(&state, &i, 1);
        crypto_auth_hmacsha256_final(&state, block);
        const size_t n = out_bytes - done < sizeof block ? out_bytes - done : sizeof block;
        memcpy(out + done, block, n);
        done += n;
    }
    sodium_memzero(prk, sizeof prk);
    sodium_memzero(block, sizeof block);
}

#define INFO(text) (const uint8_t *)(text), sizeof(text) - 1

bool login_keys(uint8_t session_key[32], uint8_t login_key[16], const uint8_t secret[32], const uint8_t own_share[32], const uint8_t server_share[32],
                const uint8_t *renewed) {
    uint8_t shared[32], salt[96], out[48];
    if (crypto_scalarmult(shared, secret, server_share) != 0) return false;
    memcpy(salt, own_share, 32);
    memcpy(salt + 32, server_share, 32);
    if (renewed != NULL) memcpy(salt + 64, renewed, 32);
    hkdf(out, sizeof out, shared, sizeof shared, salt, renewed != NULL ? 96 : 64, INFO("bootfarm session 1"));
    memcpy(session_key, out, 32);
    memcpy(login_key, out + 32, 16);
    sodium_memzero(shared, sizeof shared);
    sodium_memzero(salt, sizeof salt);
    sodium_memzero(out, sizeof out);
    return true;
}

void attach_key(uint8_t key[16], const uint8_t session_key[32]) { hkdf(key, 16, session_key, 32, (const uint8_t *)"", 0, INFO("bootfarm attach 1")); }

void traffic_keys(struct traffic_keys *keys, const uint8_t session_key[32], const uint8_t client_nonce[16], const uint8_t server_nonce[16],
                  uint64_t instance) {
    static const char LABEL[] = "bootfarm traffic 1";
    uint8_t salt[32], info[sizeof LABEL - 1 + 8];
    memcpy(salt, client_nonce, 16);
    memcpy(salt + 16, server_nonce, 16);
    memcpy(info, LABEL, sizeof LABEL - 1);
    put64(info + sizeof LABEL - 1, instance);
    hkdf((uint8_t *)keys, sizeof *keys, session_key, 32, salt, sizeof salt, info, sizeof info);
}

void sign(uint8_t *packet, size_t n, const uint8_t key[16]) {
    ASSERT(n >= 16);
    crypto_shorthash_siphashx24(packet + n - 16, packet, n - 16, key);
}

bool signed_by(const uint8_t *packet, size_t n, const uint8_t key[16]) {
    uint8_t tag[16];
    if (n < 16) return false;
    crypto_shorthash_siphashx24(tag, packet, n - 16, key);
    return sodium_memcmp(tag, packet + n - 16, 16) == 0;
}

/* ChaCha20-Poly1305 of an empty text, as RFC 8439 (2.8) puts it together: libsodium's own wants the associated data in one piece, which is a copy of it. */
static void aead_tag(uint8_t tag[16], const uint8_t key[32], const uint8_t *data_header, const uint8_t *data, uint32_t length) {
    static const uint8_t NO_BYTES[16];
    uint8_t nonce[12] = {0}, once[32], lengths[16] = {0};
    const uint64_t all = DATA_SIGNED_BYTES + (uint64_t)length;
    crypto_onetimeauth_poly1305_state state;
    memcpy(nonce + 4, data_header + AT_NUMBER, 8);
    crypto_stream_chacha20_ietf(once, sizeof once, nonce, key);
    crypto_onetimeauth_poly1305_init(&state, once);
    crypto_onetimeauth_poly1305_update(&state, data_header, DATA_SIGNED_BYTES);
    crypto_onetimeauth_poly1305_update(&state, data, length);
    crypto_onetimeauth_poly1305_update(&state, NO_BYTES, -all % 16);
    for (unsigned i = 0; i < 8; i++) lengths[i] = (uint8_t)(all >> 8 * i); /* little-endian, as nothing else on our wire */
    crypto_onetimeauth_poly1305_update(&state, lengths, sizeof lengths);
    crypto_onetimeauth_poly1305_final(&state, tag);
    sodium_memzero(once, sizeof once);
    sodium_memzero(&state, sizeof state);
}

/* SipHash of the header and the hashes of the pieces. */
static void pieces_tag(uint8_t tag[16], const uint8_t key[16], const uint8_t *data_header, const uint8_t *data, uint32_t length) {
    uint8_t text[DATA_SIGNED_BYTES + PIECES_MOST(MAX_READ_BYTES) * PIECE_HASH_BYTES];
    ASSERT(length <= MAX_READ_BYTES);
    memcpy(text, data_header, DATA_SIGNED_BYTES);
    const unsigned count = pieces_hash(text + DATA_SIGNED_BYTES, get64(data_header + AT_DATA_OFFSET), data, length);
    crypto_shorthash_siphashx24(tag, text, DATA_SIGNED_BYTES + count * PIECE_HASH_BYTES, key);
}

bool answer_tag_right(uint8_t suite, const uint8_t key[32], const uint8_t *data_header, const uint8_t *data, uint32_t length, const uint8_t tag[16]) {
    uint8_t wanted[16];
    if (suite == SUITE_HASH_THEN_MAC) pieces_tag(wanted, key, data_header, data, length);
    else aead_tag(wanted, key, data_header, data, length);
    return sodium_memcmp(wanted, tag, sizeof wanted) == 0;
}
