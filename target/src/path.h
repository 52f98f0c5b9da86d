/*
 * How large the packets of one way are: smaller ones are asked for when large ones do not arrive and nothing says so, larger ones tried again later.
 *
 * A packet proves sizes up to its own. What does not prove a narrow way is one answer that is not there in time: packets are lost on wide ways, too. It is a
 * doubt, and questions are put: PATH_PROBES READs whose answers are one packet of the size in doubt, one whose answer is smaller, and a PING. A round of them
 * of which the small packets alone come is evidence, and the first packet of the size in doubt ends it.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum {
    PATH_PROBES = 4, /* in each round: where one packet in five is lost, both ways, none of four is answered once in 60 times, */
    PATH_ROUNDS = 3, /* and of three rounds in a row once in 200,000 */
    PATH_ANNOUNCED_US = 3000000, /* for so long after a WAIT no data at all is a slow disk: its server drops what it has no place for */
    PATH_LATELY_US = 20000, /* the largest packet of this time stands for all of it */
    PATH_NEXT_US = 1000000, /* after a larger size that arrives, the next */
    PATH_LARGER_MIN_US = 60000000,
};
#define PATH_LARGER_MAX_US (INT64_C(3600) * 1000000)

struct path {
    uint16_t limit; /* the most data in a packet that is asked for; 0: what our own end takes */
    uint16_t asked; /* in the last ATTACH */
    bool trial; /* the session's packets are larger than what is known to arrive */
    uint16_t doubt; /* packets of so much data may not arrive; 0: no doubt */
    unsigned rounds; /* of questions of which the small packets alone came */
    unsigned without_data; /* of these: not even data that is smaller, but a PONG. The next is longer: it may be a server that has too much to do */
    int64_t round_us; /* when the questions of this round left */
    int64_t smaller_us; /* when data came that was smaller than what is in doubt */
    int64_t announced_us; /* when a WAIT came */
    uint16_t largest; /* data of a packet that came lately */
    int64_t largest_us;
    int64_t larger_us, pause_us; /* when a larger size is tried, and after how long again */
};

enum path_round {
    PATH_OPEN, /* or no doubt */
    PATH_ASK_AGAIN, /* it is over, and another is wanted */
    PATH_NARROW, /* what is in doubt does not arrive */
};

/* The next smaller size, for ways that are seen (tunnels, 1280, 576); 0: none. */
uint16_t path_smaller(uint16_t bytes);
/* The next larger one, `most` at most, which our own end takes. */
uint16_t path_larger(uint16_t bytes, uint16_t most);
/* An answer with packets of `bytes`, last asked for at asked_us, was not there in time. True: a round of questions is to be put. */
bool path_doubts(struct path *path, uint16_t bytes, int64_t asked_us);
/* When a round is over. heard_us: when the server was heard last, by whatever packet: until then it says nothing. */
int64_t path_due(const struct path *path, int64_t heard_us, int64_t timeout_us);
enum path_round path_round(struct path *path, int64_t heard_us, int64_t timeout_us, int64_t now_us);
/* No answer to the questions is waited for any more, and nothing is concluded. */
void path_settle(struct path *path);
/* After PATH_NARROW: the size to ask for now, or 0 when there is no smaller one. known: of another server of the farm, or 0. */
uint16_t path_lower(struct path *path, uint16_t known, int64_t now_us);
/* What was attached takes packets of `bytes`; asked for was path.asked. */
void path_attached(struct path *path, uint16_t bytes, uint16_t most, int64_t now_us);
/* A packet of `data` came where the largest are `bytes`. True: a trial has proved that size. */
bool path_arrived(struct path *path, uint16_t bytes, uint64_t data, uint16_t most, int64_t now_us);
/* The size to try now, or 0: that until it is time again. */
uint16_t path_trial(struct path *path, uint16_t bytes, uint16_t most, int64_t now_us);
