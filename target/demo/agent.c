/*
 * The tests' hand inside a demo machine: a line in on a serial port, a line of JSON out.
 *
 *   ping                  {"hostname", "release" of the disk, "uptimeSeconds"}
 *   sha256                of the whole disk, by direct reads: {"sha256", "bytes", "seconds"}
 *   read RATE SECONDS     RATE direct reads a second of 4 to 32 KiB at random places of the filler, each compared with what must be there:
 *                         {"reads", "wrong", "failed", "perSecond", "longestStallMs", "stallsOver100Ms"}
 *   read RATE SECONDS MS  the same, and after MS milliseconds the client process is killed (SIGKILL; its parent lives)
 *   status                the client's status file
 *   kill-client           SIGKILL of the client process: {"killed": pid}
 *   loglevel N            of the kernel's console
 *   poweroff
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "filler.h"

enum { CHUNK = 1 << 20, BLOCK = 4096, MAX_BLOCKS = 8 };
static const char DISK[] = "/dev/nbd0";
static const char STATUS[] = "/run/bootfarm/status";
static const char RELEASE[] = "/etc/lab-release";
static uint8_t *buffer; /* CHUNK bytes, aligned for direct reads */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int open_disk(uint64_t *bytes) {
    const int fd = open(DISK, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (fd >= 0 && ioctl(fd, BLKGETSIZE64, bytes) != 0) *bytes = 0;
    return fd;
}

static void fault(FILE *out, const char *what) { fprintf(out, "{\"error\":\"%s: %s\"}\n", what, strerror(errno)); }

static void answer_sha256(FILE *out) {
    uint64_t bytes = 0, at = 0;
    const int fd = open_disk(&bytes);
    if (fd < 0) {
        fault(out, DISK);
        return;
    }
    crypto_hash_sha256_state state;
    uint8_t digest[32];
    char hex[65];
    const double begin = now();
    crypto_hash_sha256_init(&state);
    while (at < bytes) {
        const ssize_t n = pread(fd, buffer, CHUNK, (off_t)at);
        if (n <= 0) break;
        crypto_hash_sha256_update(&state, buffer, (size_t)n);
        at += (uint64_t)n;
    }
    close(fd);
    if (at < bytes) {
        fault(out, "read of the whole disk");
        return;
    }
    crypto_hash_sha256_final(&state, digest);
    fprintf(out, "{\"sha256\":\"%s\",\"bytes\":%llu,\"seconds\":%.1f}\n", sodium_bin2hex(hex, sizeof hex, digest, sizeof digest),
            (unsigned long long)bytes, now() - begin);
}

static int filler_right(uint64_t offset, size_t n) {
    for (size_t i = 0; i < n / 8; i++) {
        uint64_t word;
        memcpy(&word, buffer + i * 8, sizeof word);
        if (word != filler_word(offset / 8 + i)) return 0;
    }
    return 1;
}

static void answer_read(FILE *out, unsigned rate, unsigned seconds) {
    uint64_t bytes = 0;
    const int fd = open_disk(&bytes);
    const uint64_t first = (uint64_t)FILLER_OFFSET_MIB << 20;
    if (fd < 0 || bytes <= first || rate == 0) {
        fault(out, DISK);
        return;
    }
    const uint32_t places = (uint32_t)((bytes - first) / BLOCK - MAX_BLOCKS);
    unsigned long reads = 0, wrong = 0, failed = 0, stalls = 0;
    double longest = 0, due = now();
    const double begin = due, end = due + seconds;
    while (due < end) {
        const uint64_t offset = first + (uint64_t)randombytes_uniform(places) * BLOCK;
        const size_t n = (size_t)(1 + randombytes_uniform(MAX_BLOCKS)) * BLOCK;
        const double asked = now();
        const ssize_t got = pread(fd, buffer, n, (off_t)offset);
        const double took = now() - asked;
        reads++;
        if (got != (ssize_t)n) failed++;
        else if (!filler_right(offset, n)) wrong++;
        if (took > longest) longest = took;
        if (took > 0.1) stalls++;
        due += 1.0 / rate;
        const double left = due - now();
        if (left < -1) due = now(); /* no burst to catch up after a stall */
        if (left > 0) nanosleep(&(struct timespec){.tv_sec = (time_t)left, .tv_nsec = (long)((left - (double)(time_t)left) * 1e9)}, NULL);
    }
    close(fd);
    fprintf(out, "{\"reads\":%lu,\"wrong\":%lu,\"failed\":%lu,\"perSecond\":%.1f,\"longestStallMs\":%.1f,\"stallsOver100Ms\":%lu}\n", reads, wrong,
            failed, (double)reads / (now() - begin), longest * 1000, stalls);
}

static void answer_status(FILE *out) {
    FILE *file = fopen(STATUS, "re");
    if (file == NULL) {
        fault(out, STATUS);
        return;
    }
    for (int c; (c = fgetc(file)) != EOF;)
        if (c != '\n') fputc(c, out);
    fputc('\n', out);
    fclose(file);
}

/* Parent of a process of the client, whose first letter of argv[0] became an @; 0 when it is none. */
static pid_t client_parent(pid_t pid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    text[n > 0 ? n : 0] = '\0';
    if (text[0] != '@' || strstr(text, "ootfarm-client") == NULL) return 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *after_name = strrchr(text, ')');
    int parent = 0;
    return after_name != NULL && sscanf(after_name + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

/* Of the parent's children the one that streams: the other fetches tokens. */
static int streams(pid_t pid) {
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return 0;
    if (fgets(name, sizeof name, file) == NULL) name[0] = '\0';
    fclose(file);
    return strcmp(name, "bootfarm-stream\n") == 0;
}

/* The client process: the one that streams, whose parent is one of the client's too. 0 when there is none. */
static pid_t find_client(void) {
    DIR *processes = opendir("/proc");
    pid_t found = 0;
    for (const struct dirent *entry; processes != NULL && found == 0 && (entry = readdir(processes)) != NULL;) {
        const pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;
        const pid_t parent = pid > 0 ? client_parent(pid) : 0;
        if (parent != 0 && client_parent(parent) != 0 && streams(pid)) found = pid;
    }
    if (processes != NULL) closedir(processes);
    return found;
}

static void answer_kill(FILE *out) {
    const pid_t client = find_client();
    if (client == 0) fprintf(out, "{\"error\":\"no client process whose parent is one too\"}\n");
    else if (kill(client, SIGKILL) != 0) fault(out, "kill");
    else fprintf(out, "{\"killed\":%d}\n", client);
}

/* From a process of its own, so that a read may be under way. */
static void kill_later(unsigned ms) {
    if (fork() != 0) return;
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
    const pid_t client = find_client();
    if (client != 0) kill(client, SIGKILL);
    _exit(0);
}

static void answer_ping(FILE *out) {
    char name[65] = "";
    int release = 0;
    struct timespec up;
    gethostname(name, sizeof name - 1);
    clock_gettime(CLOCK_BOOTTIME, &up);
    FILE *file = fopen(RELEASE, "re");
    if (file != NULL && fscanf(file, "%d", &release) != 1) release = 0;
    if (file != NULL) fclose(file);
    fprintf(out, "{\"hostname\":\"%s\",\"release\":%d,\"uptimeSeconds\":%.1f}\n", name, release, (double)up.tv_sec + (double)up.tv_nsec / 1e9);
}

static void answer_loglevel(FILE *out, unsigned level) {
    FILE *file = fopen("/proc/sys/kernel/printk", "we");
    if (file == NULL || fprintf(file, "%u\n", level) < 0 || fclose(file) != 0) fault(out, "loglevel");
    else fprintf(out, "{\"loglevel\":%u}\n", level);
}

static void answer(FILE *out, const char *line) {
    unsigned rate = 0, seconds = 0, kill_after_ms = 0, level = 0;
    const int numbers = sscanf(line, "read %u %u %u", &rate, &seconds, &kill_after_ms);
    if (numbers == 3) kill_later(kill_after_ms);
    if (strcmp(line, "ping") == 0) answer_ping(out);
    else if (strcmp(line, "sha256") == 0) answer_sha256(out);
    else if (numbers >= 2) answer_read(out, rate, seconds);
    else if (sscanf(line, "loglevel %u", &level) == 1) answer_loglevel(out, level);
    else if (strcmp(line, "status") == 0) answer_status(out);
    else if (strcmp(line, "kill-client") == 0) answer_kill(out);
    else if (strcmp(line, "poweroff") == 0) reboot(RB_POWER_OFF);
    else fprintf(out, "{\"error\":\"unknown command\"}\n");
    fflush(out);
}

int main(int argc, char **argv) {
    const int port = argc == 2 ? open(argv[1], O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
    struct termios raw;
    void *memory = NULL;
    if (port < 0 || sodium_init() < 0 || posix_memalign(&memory, BLOCK, CHUNK) != 0) {
        fprintf(stderr, "usage: agent SERIAL_PORT: %s\n", strerror(errno));
        return 1;
    }
    buffer = memory;
    signal(SIGCHLD, SIG_IGN);
    if (tcgetattr(port, &raw) == 0) {
        cfmakeraw(&raw);
        cfsetspeed(&raw, B115200);
        tcsetattr(port, TCSANOW, &raw);
    }
    FILE *in = fdopen(port, "r"), *out = fdopen(dup(port), "w");
    char line[256];
    if (in == NULL || out == NULL) return 1;
    while (fgets(line, sizeof line, in) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0') answer(out, line);
    }
    return 0;
}
