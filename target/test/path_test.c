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

/* Packets of so much data were judged not to arrive. */
static uint16_t lowered(struct path *path, uint16_t bytes, uint16_t known, int64_t now) {
    path->doubt = bytes;
    return path_lower(path, known, now);
}

/* A way that takes `way`, from both ends at 8896: what is asked for after so many turns of losing and trying. */
static uint16_t settles(struct path *path, uint16_t way, uint16_t most, unsigned turns, int64_t *now) {
    uint16_t bytes = path->limit != 0 ? path->limit : most;
    for (unsigned i = 0; i < turns; i++, *now += 1000000) {
        uint16_t next = 0;
        if (bytes <= way) {
            path_arrived(path, bytes, bytes, most, *now);
            next = path_trial(path, bytes, most, *now);
        } else next = lowered(path, bytes, 0, *now);
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
    uint16_t bytes = lowered(&path, 8896, 0, 0);
    path.asked = bytes;
    path_attached(&path, bytes, 8896, 0);
    for (int64_t now = 0; now < INT64_C(86400) * 1000000; now += 1000000) {
        const uint16_t next = path_trial(&path, bytes, 8896, now);
        if (next == 0) continue;
        trials++;
        path.asked = next;
        path_attached(&path, next, 8896, now);
        CHECK(path.trial && lowered(&path, next, 0, now) == 1408, "back to what arrives");
        path.asked = 1408;
        path_attached(&path, 1408, 8896, now);
    }
    CHECK(trials >= 24 && trials <= 32, "in a day: %u", trials);
}

enum { ROUND_US = 20000, ROUNDS_MAX = 4 };

/* What comes in each round of questions about one size, and what is concluded at its end. */
static void what_is_evidence(void) {
    static const struct {
        const char *name;
        uint16_t limit, doubt; /* limit: it is a trial */
        uint16_t data[ROUNDS_MAX]; /* in the packet that comes; 0: none */
        bool silent; /* no PONG comes either */
        bool announced; /* a WAIT came before */
        enum path_round says[ROUNDS_MAX];
    } CASES[] = {
        {"smaller ones alone", 0, 8896, {4096, 512, 8832}, false, false, {PATH_ASK_AGAIN, PATH_ASK_AGAIN, PATH_NARROW}},
        {"one of that size, and none after it", 0, 8896, {4096, 4096, 8896, 4096}, false, false, {PATH_ASK_AGAIN, PATH_ASK_AGAIN, PATH_OPEN}},
        {"a larger one", 0, 1408, {512, 8896}, false, false, {PATH_ASK_AGAIN, PATH_OPEN}},
        {"smaller ones, and no PONG", 0, 1408, {512, 512, 512}, true, false, {PATH_ASK_AGAIN, PATH_ASK_AGAIN, PATH_NARROW}},
        {"a PONG, and no data", 0, 512, {0, 0, 0}, false, false, {PATH_ASK_AGAIN, PATH_ASK_AGAIN, PATH_NARROW}},
        {"a PONG, and no data, of a slow disk", 0, 1408, {0, 0, 0}, false, true, {PATH_OPEN, PATH_OPEN, PATH_OPEN}},
        {"smaller data of a slow disk", 0, 1408, {512, 512, 512}, false, true, {PATH_ASK_AGAIN, PATH_ASK_AGAIN, PATH_NARROW}},
        {"nothing", 0, 1408, {0, 0, 0}, true, false, {PATH_OPEN, PATH_OPEN, PATH_OPEN}},
        {"a trial that fails", 1408, 8896, {4096}, false, false, {PATH_NARROW}},
        {"a trial of which nothing is heard", 1408, 8896, {0, 4096}, true, false, {PATH_OPEN, PATH_NARROW}},
        {"a trial that is proved", 1408, 8896, {8896}, false, false, {PATH_OPEN}},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct path path = {.limit = CASES[i].limit, .trial = CASES[i].limit > 0};
        const uint16_t bytes = CASES[i].limit > 0 ? CASES[i].doubt : 8896;
        int64_t now = 1000000, heard = 0;
        if (CASES[i].announced) path.announced_us = now;
        CHECK(path_doubts(&path, CASES[i].doubt, now), "%s: it is doubted", CASES[i].name);
        CHECK(!path_doubts(&path, CASES[i].doubt, now), "%s: once", CASES[i].name);
        path.round_us = now;
        for (unsigned k = 0; k < ROUNDS_MAX && path.doubt != 0; k++) {
            CHECK(path_round(&path, heard, ROUND_US, now + ROUND_US - 1) == PATH_OPEN, "%s: round %u is not over", CASES[i].name, k);
            if (!CASES[i].silent) heard = now + 1000;
            if (CASES[i].data[k] > 0) path_arrived(&path, bytes, CASES[i].data[k], 8896, now + 1000);
            const enum path_round says = path_round(&path, heard, ROUND_US, now + ROUND_US);
            CHECK(says == CASES[i].says[k], "%s: round %u says %u", CASES[i].name, k, says);
            if (says == PATH_NARROW) path_settle(&path);
            if (says == PATH_OPEN && CASES[i].data[k] == 0) continue; /* the same round goes on */
            now += ROUND_US;
            path.round_us = now;
        }
    }
}

/* A time-out is no doubt where packets of that size came after it was asked for. */
static void what_is_doubted(void) {
    static const struct {
        uint16_t came, lost;
        int64_t came_us, asked_us;
        bool doubted;
    } CASES[] = {{1408, 1408, 500, 400, false}, {1408, 1408, 500, 600, true}, {1344, 1408, 500, 400, true},
                 {8896, 4096, 500, 400, false}, {4096, 8896, 500, 400, true}, {0, 512, 0, 400, true}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct path path = {0};
        if (CASES[i].came > 0) path_arrived(&path, 8896, CASES[i].came, 8896, CASES[i].came_us);
        CHECK(path_doubts(&path, CASES[i].lost, CASES[i].asked_us) == CASES[i].doubted, "case %zu", i);
    }
}

static void the_disk_is_slow_for_a_while_only(void) {
    struct path path = {.doubt = 448, .round_us = 1000000, .announced_us = 900000};
    CHECK(path_due(&path, 1000001, ROUND_US) == 900000 + PATH_ANNOUNCED_US, "after its last word on that");
    CHECK(path_due(&path, 1000000, ROUND_US) == INT64_MAX, "when something is heard");
    path.smaller_us = 1000001;
    CHECK(path_due(&path, 1000000, ROUND_US) == 1000000 + ROUND_US, "data is what a slow disk does not give");
}

static void a_server_that_gives_less(void) {
    struct path path = {.asked = 8896};
    path_attached(&path, 1408, 8896, 0);
    CHECK(path.limit == 0 && path_trial(&path, 1408, 8896, INT64_MAX / 2) == 0, "its own limit is none of the way");
    CHECK(lowered(&path, 8896, 1152, 0) == 1152, "what is known of another server comes first");
}

int main(void) {
    sizes();
    it_settles_at_what_arrives();
    larger_ones_are_tried_ever_less();
    a_server_that_gives_less();
    what_is_evidence();
    what_is_doubted();
    the_disk_is_slow_for_a_while_only();
    return report();
}
