/* Retransmission time-out after RFC 6298, in microseconds, with the limits of src/stream/README.md. */
#pragma once
#include <stdint.h>

enum { RTO_FIRST_US = 200000, RTO_MIN_US = 20000, RTO_MAX_US = 5000000, RTO_DOUBLINGS = 8 };

struct rtt {
    int64_t smoothed_us, variation_us; /* 0: nothing measured yet */
};

/* One round trip of a request that was sent once (Karn's rule is the caller's). */
void rtt_measured(struct rtt *rtt, int64_t us);
/* Time-out of the n-th try, n from 0: doubled at each, RTO_MAX_US at most: a way that is mended is seen to be so by then. */
int64_t rtt_timeout(const struct rtt *rtt, unsigned tries);
