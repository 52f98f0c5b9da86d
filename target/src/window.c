#include "window.h"

void window_reset(struct window *window) { *window = (struct window){.bytes = WINDOW_MIN, .halved_us = INT64_MIN / 2}; }

bool window_admits(const struct window *window, uint32_t bytes) { return window->outstanding == 0 || window->outstanding + bytes <= window->bytes; }

void window_sent(struct window *window, uint32_t bytes) { window->outstanding += bytes; }

void window_done(struct window *window, uint32_t bytes, bool answered) {
    window->outstanding -= bytes < window->outstanding ? bytes : window->outstanding;
    if (!answered) return;
    window->bytes += (uint32_t)((uint64_t)WINDOW_STEP * bytes / window->bytes);
    if (window->bytes > WINDOW_MAX) window->bytes = WINDOW_MAX;
}

void window_lost(struct window *window, int64_t now_us, int64_t rtt_us) {
    if (now_us - window->halved_us < rtt_us) return;
    window->halved_us = now_us;
    window->bytes = window->bytes / 2 > WINDOW_MIN ? window->bytes / 2 : WINDOW_MIN;
}
