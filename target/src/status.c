#include "status.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "address.h"

void status_write(int folder, const char *name, const struct identity *identity, bool client_alive) {
    char text[2048], current[ADDRESS_TEXT], standby[ADDRESS_TEXT], bad[ADDRESS_TEXT];
    const struct counters *c = &identity->counters;
    int n = snprintf(text, sizeof text,
                     "{\"current\":\"%s\",\"standby\":\"%s\",\"clientAlive\":%s,\"refused\":%s,\"waitsFor\":\"%s\",\"mode\":\"%s\",\"diskBytes\":%"
                     "llu,\"servers\":%u,"
                     "\"longestStallMs\":%.1f,\"reads\":%llu,\"bytes\":%llu,\"retransmissions\":%llu,\"hedges\":%llu,"
                     "\"failovers\":%llu,\"moves\":%llu,\"restarts\":%llu,\"badReads\":%llu,\"badReadsOf\":\"%s\",\"drops\":{",
                     address_text(&c->current, current), address_text(&c->standby, standby), client_alive ? "true" : "false",
                     c->refused ? "true" : "false", c->waits_for, identity->mode == MODE_TRUSTED ? "Trusted" : "Authenticated",
                     (unsigned long long)identity->disk_bytes, identity->servers.count, (double)c->longest_stall_us / 1000,
                     (unsigned long long)c->reads, (unsigned long long)c->bytes, (unsigned long long)c->retransmissions,
                     (unsigned long long)c->hedges, (unsigned long long)c->failovers, (unsigned long long)c->moves, (unsigned long long)c->restarts,
                     (unsigned long long)c->bad_reads, address_text(&c->bad, bad));
    for (int i = 0; i < DROPS; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s\"%s\":%llu", i > 0 ? "," : "", DROP_NAMES[i], (unsigned long long)c->drops[i]);
    n += snprintf(text + n, sizeof text - (size_t)n, "}}\n");
    const int fd = openat(folder, ".status.partial", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0444);
    if (fd < 0) return;
    const bool whole = write(fd, text, (size_t)n) == n;
    close(fd);
    if (whole) renameat(folder, ".status.partial", folder, name);
}
