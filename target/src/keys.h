/* Keys and tags of the stream protocol: src/stream/README.md, "Keys". */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct traffic_keys {
    uint8_t client_tag[16], server_tag[16], server_data[32], client_data[32];
};
_Static_assert(sizeof(struct traffic_keys) == 16 + 16 + 32 + 32, "it is filled as one piece");

/* HKDF-SHA256 of RFC 5869; out_bytes at most 255 × 32. */
void hkdf(uint8_t *out, size_t out_bytes, const uint8_t *secret, size_t secret_bytes, const uint8_t *salt, size_t salt_bytes, const uint8_t *info,
          size_t info_bytes);

/* False when the server's share is no usable point. renewed: the session key that is renewed, 32 bytes, which only a server that opens the
 * old ticket knows; NULL at a first login, which is anonymous. */
bool login_keys(uint8_t session_key[32], uint8_t login_key[16], const uint8_t secret[32], const uint8_t own_share[32], const uint8_t server_share[32],
                const uint8_t *renewed);
void attach_key(uint8_t key[16], const uint8_t session_key[32]);
void traffic_keys(struct traffic_keys *keys, const uint8_t session_key[32], const uint8_t client_nonce[16], const uint8_t server_nonce[16],
                  uint64_t instance);

/* Signs the last 16 of n bytes over those before; checks the same in constant time. */
void sign(uint8_t *packet, size_t n, const uint8_t key[16]);
bool signed_by(const uint8_t *packet, size_t n, const uint8_t key[16]);

/* Whether an answer tag of mode Authenticated is right, in a session of that suite: over the first 40 bytes of a DATA packet, whose packet number is the
 * answer's and which say where on the disk it lies, and over the whole data of the answer (MAX_READ_BYTES at most). Copies none of it. */
bool answer_tag_right(uint8_t suite, const uint8_t key[32], const uint8_t *data_header, const uint8_t *data, uint32_t length, const uint8_t tag[16]);
