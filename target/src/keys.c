#include "keys.h"

#include <sodium.h>
#include <string.h>

#include "bytes.h"
#include "invariant.h"

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

bool answer_tag_right(const uint8_t key[32], const uint8_t *data_header, uint64_t number, const uint8_t *data, size_t length, const uint8_t tag[16],
                      uint8_t *scratch) {
    uint8_t nonce[12] = {0}, none[1] = {0};
    put64(nonce + 4, number);
    memcpy(scratch, data_header, 40);
    memcpy(scratch + 40, data, length);
    return crypto_aead_chacha20poly1305_ietf_decrypt_detached(none, NULL, none, 0, tag, scratch, 40 + length, nonce, key) == 0;
}
