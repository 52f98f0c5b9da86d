#include "path.h"

#include <stddef.h>

/* Data in a packet at an MTU of 1500, of 1372 and more (WireGuard, VXLAN, PPPoE), of 1280 (the least of IPv6), of 576 (the least of IPv4). */
static const uint16_t SIZES[] = {1408, 1280, 1152, 448};
enum { COUNT = sizeof SIZES / sizeof *SIZES };

uint16_t path_smaller(uint16_t bytes) {
    for (size_t i = 0; i < COUNT; i++)
        if (SIZES[i] < bytes) return SIZES[i];
    return 0;
}

uint16_t path_larger(uint16_t bytes, uint16_t most) {
    for (size_t i = COUNT; i > 0; i--)
        if (SIZES[i - 1] > bytes) return SIZES[i - 1] < most ? SIZES[i - 1] : most;
    return most;
}

static void again_later(struct path *path, int64_t now) {
    if (path->pause_us == 0) path->pause_us = PATH_LARGER_MIN_US;
    path->larger_us = now + path->pause_us;
    path->pause_us = path->pause_us * 2 < PATH_LARGER_MAX_US ? path->pause_us * 2 : PATH_LARGER_MAX_US;
}

bool path_lost(struct path *path, bool answers, bool waited, int64_t timeout_us, int64_t now) {
    if (!answers && !path->trial) return false;
    if (path->rounds > 0 && now - path->round_us < timeout_us) return false; /* many that were asked for at a time are one round */
    path->rounds++;
    path->round_us = now;
    return path->rounds >= (waited ? PATH_WAITED_ROUNDS : PATH_ROUNDS);
}

uint16_t path_lower(struct path *path, uint16_t bytes, uint16_t known, int64_t now) {
    const uint16_t next = path->trial ? path->limit : known > 0 && known < bytes ? known : path_smaller(bytes);
    if (next == 0) return 0;
    if (!path->trial) again_later(path, now);
    path->limit = next;
    return next;
}

void path_attached(struct path *path, uint16_t bytes, uint16_t most, int64_t now) {
    path->rounds = 0;
    path->trial = path->limit != 0 && path->asked > path->limit && bytes > path->limit;
    if (path->trial) return;
    path->limit = path->asked < most ? path->asked : 0; /* a server that gives less than what was asked for has its own reason */
    if (path->limit != 0 && path->larger_us <= now) again_later(path, now);
}

bool path_arrived(struct path *path, uint16_t bytes, uint64_t data, uint16_t most, int64_t now) {
    if (data > path_smaller(bytes)) path->rounds = 0;
    if (!path->trial || data <= path->limit) return false;
    path->trial = false;
    path->limit = path->asked < most ? path->asked : 0;
    path->pause_us = 0;
    path->larger_us = now + PATH_NEXT_US;
    return true;
}

uint16_t path_trial(struct path *path, uint16_t bytes, uint16_t most, int64_t now) {
    if (path->limit == 0 || path->trial || now < path->larger_us) return 0;
    again_later(path, now);
    return path_larger(bytes, most);
}
