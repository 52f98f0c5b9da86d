/* The whole of our test harness: CHECK, and a count at the end. */
#pragma once
#include <stdio.h>

static unsigned checks, failures;

#define CHECK(what, ...)                                                                                                                             \
    do {                                                                                                                                             \
        checks++;                                                                                                                                    \
        if (!(what)) {                                                                                                                               \
            failures++;                                                                                                                              \
            printf("%s:%d: not so: %s: ", __FILE__, __LINE__, #what);                                                                                \
            printf(__VA_ARGS__);                                                                                                                     \
            printf("\n");                                                                                                                            \
        }                                                                                                                                            \
    } while (0)

static inline int report(void) {
    printf("%u checks, %u failed\n", checks, failures);
    return failures > 0;
}
