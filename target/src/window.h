/* Bytes that may be outstanding at one server: additive increase, multiplicative decrease. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { WINDOW_MIN = 64 << 10, WINDOW_MAX = 1 << 20, WINDOW_STEP = 64 << 10 };

struct window {
    uint32_t bytes, outstanding;
    int64_t halved_us;
};

void window_reset(struct window *window);
/* A request larger than the whole window may go when it is alone. */
bool window_admits(const struct window *window, uint32_t bytes);
void window_sent(struct window *window, uint32_t bytes);
/* The request is over, answered or given up; an answered one opens the window by WINDOW_STEP a round trip. */
void window_done(struct window *window, uint32_t bytes, bool answered);
/* Something was lost; counts once a round trip. */
void window_lost(struct window *window, int64_t now_us, int64_t rtt_us);
