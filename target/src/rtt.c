#include "rtt.h"

void rtt_measured(struct rtt *rtt, int64_t us) {
    if (us < 1) us = 1;
    if (rtt->smoothed_us == 0) {
        rtt->smoothed_us = us;
        rtt->variation_us = us / 2;
        return;
    }
    const int64_t error = us > rtt->smoothed_us ? us - rtt->smoothed_us : rtt->smoothed_us - us;
    rtt->variation_us += (error - rtt->variation_us) / 4;
    rtt->smoothed_us += (us - rtt->smoothed_us) / 8;
    if (rtt->smoothed_us < 1) rtt->smoothed_us = 1;
}

int64_t rtt_timeout(const struct rtt *rtt, unsigned tries) {
    int64_t us = rtt->smoothed_us == 0 ? RTO_FIRST_US : rtt->smoothed_us + 4 * rtt->variation_us;
    if (us < RTO_MIN_US) us = RTO_MIN_US;
    us <<= tries < RTO_DOUBLINGS ? tries : RTO_DOUBLINGS;
    return us < RTO_MAX_US ? us : RTO_MAX_US;
}
