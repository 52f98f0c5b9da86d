/* fill FILE SIZE_MIB: makes FILE that large and writes the filler of filler.h from FILLER_OFFSET_MIB to its end. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "filler.h"

int main(int argc, char **argv) {
    static uint64_t words[1 << 17]; /* 1 MiB */
    const uint64_t mib = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
    const int fd = mib > FILLER_OFFSET_MIB ? open(argv[1], O_WRONLY | O_CREAT | O_CLOEXEC, 0644) : -1;
    if (fd < 0 || ftruncate(fd, (off_t)(mib << 20)) != 0) {
        fprintf(stderr, "usage: fill FILE SIZE_MIB: more than %d MiB, FILE must be writable\n", FILLER_OFFSET_MIB);
        return 1;
    }
    for (uint64_t at = FILLER_OFFSET_MIB; at < mib; at++) {
        for (uint64_t i = 0; i < 1 << 17; i++) words[i] = filler_word((at << 17) + i);
        if (pwrite(fd, words, sizeof words, (off_t)(at << 20)) != (ssize_t)sizeof words) {
            perror(argv[1]);
            return 1;
        }
    }
    return close(fd);
}
