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

void path_settle(struct path *path) {
    path->doubt = 0;
    path->rounds = path->without_data = 0;
}

bool path_doubts(struct path *path, uint16_t bytes, int64_t asked_us) {
    if (path->doubt != 0 || (path->largest >= bytes && path->largest_us >= asked_us)) return false;
    path->doubt = bytes;
    return true;
}

static bool data_came(const struct path *path) { return path->smaller_us > path->round_us; }

int64_t path_due(const struct path *path, int64_t heard_us, int64_t timeout_us) {
    const int64_t due = path->round_us + timeout_us, quiet = path->announced_us + PATH_ANNOUNCED_US;
    if (path->doubt == 0) return INT64_MAX;
    if (data_came(path)) return due;
    if (heard_us <= path->round_us) return INT64_MAX;
    return path->announced_us == 0 || due > quiet ? due : quiet;
}

enum path_round path_round(struct path *path, int64_t heard_us, int64_t timeout_us, int64_t now) {
    if (now < path_due(path, heard_us, timeout_us)) return PATH_OPEN;
    path->rounds++;
    path->without_data += data_came(path) ? 0 : 1;
    return path->trial || path->rounds >= PATH_ROUNDS ? PATH_NARROW : PATH_ASK_AGAIN; /* that a trial fails is no surprise */
}

uint16_t path_lower(struct path *path, uint16_t known, int64_t now) {
    const uint16_t lost = path->doubt;
    path_settle(path);
    const uint16_t next = path->trial ? path->limit : known > 0 && known < lost ? known : path_smaller(lost);
    if (next == 0) return 0;
    if (!path->trial) again_later(path, now);
    path->limit = next;
    return next;
}

void path_attached(struct path *path, uint16_t bytes, uint16_t most, int64_t now) {
    path_settle(path);
    path->largest = 0;
    path->trial = path->limit != 0 && path->asked > path->limit && bytes > path->limit;
    if (path->trial) return;
    path->limit = path->asked < most ? path->asked : 0; /* a server that gives less than what was asked for has its own reason */
    if (path->limit != 0 && path->larger_us <= now) again_later(path, now);
}

bool path_arrived(struct path *path, uint16_t bytes, uint64_t data, uint16_t most, int64_t now) {
    if (data >= path->largest || now - path->largest_us > PATH_LATELY_US) {
        path->largest = (uint16_t)data;
        path->largest_us = now;
    }
    if (data >= path->doubt) path_settle(path);
    else path->smaller_us = now;
    if (!path->trial || data < bytes) return false;
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
