/* What is asked for when large packets do not arrive, and when larger ones are tried again. */
#include "path.h"

#include "check.h"
#include "packet.h"

static void sizes(void) {
    static const struct {
        uint16_t bytes, smaller, larger;
    } CASES[] = {{8896, 1408, 8896}, {1472, 1408, 8896}, {1408, 1280, 8896}, {1344, 1280, 1408},
                 {1280, 1152, 1408}, {1152, 448, 1280},  {512, 448, 1152},   {448, 0, 1152}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        CHECK(path_smaller(CASES[i].bytes) == CASES[i].smaller, "below %u: %u", CASES[i].bytes, path_smaller(CASES[i].bytes));
        CHECK(path_larger(CASES[i].bytes, 8896) == CASES[i].larger, "above %u: %u", CASES[i].bytes, path_larger(CASES[i].bytes, 8896));
    }
    CHECK(path_larger(1152, 1216) == 1216, "never more than our own end takes");
    for (uint16_t bytes = 8896; bytes > 0; bytes = path_smaller(bytes))
        CHECK(bytes % SEGMENT_GRAIN_BYTES == 0 && bytes >= MIN_SEGMENT_BYTES, "%u is one that servers take", bytes);
}

/* A way that takes `way`, from both ends at 8896: what is asked for after so many turns of losing and trying. */
static uint16_t settles(struct path *path, uint16_t way, uint16_t most, unsigned turns, int64_t *now) {
    uint16_t bytes = path->limit != 0 ? path->limit : most;
    for (unsigned i = 0; i < turns; i++, *now += 1000000) {
        uint16_t next = 0;
        if (bytes <= way) {
            path_arrived(path, bytes, bytes, most, *now);
            next = path_trial(path, bytes, most, *now);
        } else next = path_lower(path, bytes, 0, *now);
        if (next == 0) continue;
        path->asked = bytes = next;
        path_attached(path, bytes, most, *now);
    }
    return path->limit;
}

static void it_settles_at_what_arrives(void) {
    static const struct {
        uint16_t way, limit;
    } CASES[] = {{9000, 0}, {8896, 0}, {8895, 1408}, {1408, 1408}, {1407, 1280}, {1152, 1152}, {1000, 448}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct path path = {0};
        int64_t now = 1;
        CHECK(settles(&path, CASES[i].way, 8896, 50, &now) == CASES[i].limit, "a way of %u: %u", CASES[i].way, path.limit);
        settles(&path, CASES[i].way, 8896, 7200, &now);
        CHECK(path.limit == CASES[i].limit, "two hours later, of %u: %u", CASES[i].way, path.limit);
        settles(&path, 9000, 8896, 2 * 3600, &now);
        CHECK(path.limit == 0 && !path.trial, "mended, of %u: %u", CASES[i].way, path.limit);
    }
}

static void larger_ones_are_tried_ever_less(void) {
    struct path path = {0};
    unsigned trials = 0;
    uint16_t bytes = path_lower(&path, 8896, 0, 0);
    path.asked = bytes;
    path_attached(&path, bytes, 8896, 0);
    for (int64_t now = 0; now < INT64_C(86400) * 1000000; now += 1000000) {
        const uint16_t next = path_trial(&path, bytes, 8896, now);
        if (next == 0) continue;
        trials++;
        path.asked = next;
        path_attached(&path, next, 8896, now);
        CHECK(path.trial && path_lower(&path, next, 0, now) == 1408, "back to what arrives");
        path.asked = 1408;
        path_attached(&path, 1408, 8896, now);
    }
    CHECK(trials >= 24 && trials <= 32, "in a day: %u", trials);
}

static void rounds_that_count(void) {
    struct path path = {0};
    for (int64_t now = 0; now < 2000000; now += 20000) CHECK(!path_lost(&path, false, false, 20000, now), "nothing is heard of the server");
    CHECK(!path_lost(&path, true, false, 20000, 2000000), "the first");
    CHECK(!path_lost(&path, true, false, 20000, 2000000), "one that was asked for with it");
    CHECK(path_lost(&path, true, false, 20000, 2020000), "the second");
    path_arrived(&path, 8896, 1408, 8896, 2020000);
    CHECK(path_lost(&path, true, false, 20000, 2040000), "a small packet says nothing");
    path_arrived(&path, 8896, 1409, 8896, 2050000);
    for (int64_t i = 1; i < PATH_WAITED_ROUNDS; i++)
        CHECK(!path_lost(&path, true, true, 20000, 2050000 + i * 20000), "a large one does, and a disk may be slow");
    CHECK(path_lost(&path, true, true, 20000, 3000000), "but not for ever");
    path = (struct path){.limit = 1408, .trial = true};
    CHECK(!path_lost(&path, false, false, 20000, 0) && path_lost(&path, false, false, 20000, 20000), "what is tried is given up sooner");
}

static void a_server_that_gives_less(void) {
    struct path path = {.asked = 8896};
    path_attached(&path, 1408, 8896, 0);
    CHECK(path.limit == 0 && path_trial(&path, 1408, 8896, INT64_MAX / 2) == 0, "its own limit is none of the way");
    CHECK(path_lower(&path, 8896, 1152, 0) == 1152, "what is known of another server comes first");
}

int main(void) {
    sizes();
    it_settles_at_what_arrives();
    larger_ones_are_tried_ever_less();
    a_server_that_gives_less();
    rounds_that_count();
    return report();
}
