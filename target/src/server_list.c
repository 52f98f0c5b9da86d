#include "server_list.h"

#include <sodium.h>
#include <string.h>

#include "bytes.h"

uint64_t server_weight(const char *device, const struct entry *server) {
    static const uint8_t KEY[16] = "bootfarm standby";
    uint8_t text[64 + 18] = {0}, hash[8];
    const size_t n = strnlen(device, 64);
    memcpy(text, device, n);
    put16(text + n, server->port);
    memcpy(text + n + 2, server->address, 16);
    crypto_shorthash(hash, text, n + 18, KEY);
    return get64(hash);
}

void server_list_take(struct server_list *list, const uint8_t *entries, unsigned count, uint32_t version) {
    list->version = version;
    list->count = 0;
    for (unsigned i = 0; i < count && list->count < MAX_SERVERS; i++) {
        const struct entry entry = entry_parse(entries + (size_t)i * ENTRY_BYTES);
        if (entry.family == 4 && entry.port != 0) list->entries[list->count++] = entry;
    }
}

bool server_list_has(const struct server_list *list, const struct entry *server) {
    for (unsigned i = 0; i < list->count; i++)
        if (entry_same(&list->entries[i], server)) return true;
    return false;
}
