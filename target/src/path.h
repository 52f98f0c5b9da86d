/* How large the packets of one way are: lowered when large ones do not arrive and nothing says so, tried upward again later. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum {
    PATH_ROUNDS = 2, /* time-outs of answers, without a large packet between them, though their server answers: the way does not take those */
    PATH_WAITED_ROUNDS = 4, /* where it has announced them by a WAIT: its disk may be slow */
    PATH_NEXT_US = 1000000, /* after a larger size that arrives, the next */
    PATH_LARGER_MIN_US = 60000000,
};
#define PATH_LARGER_MAX_US (INT64_C(3600) * 1000000)

struct path {
    uint16_t limit; /* the most data in a packet that is asked for; 0: what our own end takes */
    uint16_t asked; /* in the last ATTACH */
    bool trial; /* the session's packets are larger than what is known to arrive */
    unsigned rounds; /* since one came for which the next smaller size has no room */
    int64_t round_us; /* the last of these */
    int64_t larger_us, pause_us; /* when a larger size is tried, and after how long again */
};

/* The next smaller size, for ways that are seen (tunnels, 1280, 576); 0: none. */
uint16_t path_smaller(uint16_t bytes);
/* The next larger one, `most` at most, which our own end takes. */
uint16_t path_larger(uint16_t bytes, uint16_t most);
/* An answer with large packets was not there in time; answers: the server has been heard since it was asked for. True: its large packets do not arrive. */
bool path_lost(struct path *path, bool answers, bool waited, int64_t timeout_us, int64_t now_us);
/* Its largest packets do not arrive: the size to ask for now, or 0 when there is no smaller one. known: of another server of the farm, or 0. */
uint16_t path_lower(struct path *path, uint16_t bytes, uint16_t known, int64_t now_us);
/* What was attached takes packets of `bytes`; asked for was path.asked. */
void path_attached(struct path *path, uint16_t bytes, uint16_t most, int64_t now_us);
/* A packet of `data` came where the largest are `bytes`. True: a trial has proved that size. */
bool path_arrived(struct path *path, uint16_t bytes, uint64_t data, uint16_t most, int64_t now_us);
/* The size to try now, or 0: that until it is time again. */
uint16_t path_trial(struct path *path, uint16_t bytes, uint16_t most, int64_t now_us);
