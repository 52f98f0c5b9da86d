/*
 * bootfarm-client: makes the farm's disk appear as /dev/nbd0 and keeps it there.
 *
 *   caller ── waits for the disk ──► exits 0
 *      └─ parent: holds what must survive a client (struct identity), brings both back, writes the status file
 *            ├─ http: http.c
 *            └─ client: edge.c
 *
 * All block every signal: a signal in the middle of a read would end the root file system. Their names begin with an @, by
 * which systemd knows what must live until the end of a shutdown (systemd: "Storage daemons for the root file system").
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "edge.h"
#include "http.h"
#include "memory.h"
#include "nbd.h"
#include "status.h"

enum { MAX_READ_KIB = 256, REQUEST_PATIENCE_MS = 1000, RECONFIGURE_TRIES = 500, STATUS_MS = 1000, RESTART_MS = 200 };

static const char USAGE[] =
    "usage: bootfarm-client [options]\n"
    "Makes the vDisk of this machine's farm appear as /dev/nbd0, and returns when it is there.\n"
    "  --config FILE     boot configuration (default /bootfarm/boot)\n"
    "  --nbd INDEX       number of the nbd device (default 0)\n"
    "  --state FOLDER    where the file `status` is written, each second at most (default /run/bootfarm)\n"
    "  --segment BYTES   data in one packet, a multiple of 64 from 448 (default: from the MTU of the way)\n"
    "  --kernel FD       for tests: instead of setting up a device, send the kernel's end of each socket pair over this socket;\n"
    "                    stays in the foreground\n"
    "  --help\n";

struct options {
    const char *config, *state;
    int nbd, kernel, console, folder, patience, printk;
    uint16_t segment;
};

static bool read_config(const char *path, struct config *config) {
    static char text[CONFIG_BYTES + 1];
    char message[192] = "";
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (fd >= 0) close(fd);
    if (n < 0) fprintf(stderr, "bootfarm-client: %s: %s\n", path, strerror(errno));
    else if (n > CONFIG_BYTES) fprintf(stderr, "bootfarm-client: %s is longer than %d bytes\n", path, CONFIG_BYTES);
    else if (config_parse(config, text, (size_t)n, message, sizeof message)) {
        if (config->left_out > 0)
            fprintf(stderr, "bootfarm-client: %s: %u servers left out, the first is %s: only IPv4 addresses with a port are used, and %d of them\n",
                    path, config->left_out, config->first_left_out, MAX_SERVERS);
        return true;
    } else fprintf(stderr, "bootfarm-client: %s: %s\n", path, message);
    return false;
}

static struct identity *new_identity(const struct config *config) {
    struct identity *identity = mmap(NULL, sizeof *identity, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (identity == MAP_FAILED) return NULL;
    memcpy(identity->token, config->token, config->token_bytes);
    identity->token_bytes = config->token_bytes;
    snprintf(identity->device, sizeof identity->device, "%s", config->mac);
    memcpy(identity->manifest, config->manifest, sizeof identity->manifest);
    memcpy(identity->servers.entries, config->server, config->servers * sizeof *config->server);
    identity->servers.count = config->servers;
    return identity;
}

/* What fetches boot tokens, on one end of `pair`. */
static pid_t start_http(const struct config *config, const int pair[2]) {
    const pid_t pid = fork();
    if (pid != 0) return pid;
    close(pair[0]); /* ours and the client's: when both are gone, so are we */
    _exit(http_run(pair[1], config));
}

/* A client on one end of a new socket pair; the other end is for the kernel. */
static pid_t start_client(const struct options *o, struct config *config, struct identity *identity, const int http[2], int ready, int *kernel_end) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return -1;
    const pid_t pid = fork();
    if (pid == 0) {
        close(pair[1]);
        close(http[1]);
        if (o->console >= 0) dup2(o->console, STDERR_FILENO); /* where an assertion tells */
        const struct edge_options options = {config, identity, pair[0], http[0], ready, o->console, o->printk, o->segment};
        _exit(edge_run(&options));
    }
    close(pair[0]);
    if (pid < 0) close(pair[1]);
    *kernel_end = pair[1];
    return pid;
}

/* In place of the kernel, whoever tests gets the socket. */
static int send_end(int to, int kernel_end) {
    char byte = 'd', control[CMSG_SPACE(sizeof kernel_end)] = {0};
    struct iovec iov = {&byte, 1};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof kernel_end);
    memcpy(CMSG_DATA(c), &kernel_end, sizeof kernel_end);
    return sendmsg(to, &message, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static int open_queue(int index, const char *name) {
    char path[96];
    snprintf(path, sizeof path, "/sys/block/nbd%d/queue/%s", index, name);
    return open(path, O_WRONLY | O_CLOEXEC);
}

static void write_queue(int fd, int value) {
    char text[16];
    const int n = snprintf(text, sizeof text, "%d", value);
    if (fd >= 0 && pwrite(fd, text, (size_t)n, 0) < 0) {} /* only makes reads and restarts faster */
}

/* What a client took and did not answer before it was killed is sent to the next one only when this time is over: drivers/block/nbd.c,
 * nbd_xmit_timeout. Each NBD_ATTR_TIMEOUT of 0, in a connect and in a reconfigure, sets it to 30 s: so it is set after each of them. */
static void set_patience(const struct options *o) { write_queue(o->patience, REQUEST_PATIENCE_MS); }

static int connect_kernel(const struct options *o, const struct identity *identity, int kernel_end) {
    if (o->kernel >= 0) return send_end(o->kernel, kernel_end);
    const int error = nbd_connect(o->nbd, kernel_end, identity->disk_bytes, identity->block_bytes);
    if (error < 0) return error;
    set_patience(o);
    const int largest = open_queue(o->nbd, "max_sectors_kb");
    write_queue(largest, MAX_READ_KIB);
    if (largest >= 0) close(largest);
    return 0;
}

/* The kernel takes a new socket only once it has seen that the old one is dead. */
static int reconnect_kernel(const struct options *o, int kernel_end) {
    if (o->kernel >= 0) return send_end(o->kernel, kernel_end);
    int error = nbd_reconfigure(o->nbd, kernel_end);
    for (int i = 0; error < 0 && i < RECONFIGURE_TRIES; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        error = nbd_reconfigure(o->nbd, kernel_end);
    }
    if (error == 0) set_patience(o);
    return error;
}

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Never returns but for an error before the disk is there: brings the client back whenever it is gone. */
static int parent(const struct options *o, struct config *config, struct identity *identity, int told) {
    int ready[2], http[2], kernel_end = -1;
    sigset_t child_gone;
    sigemptyset(&child_gone);
    sigaddset(&child_gone, SIGCHLD);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, http) != 0) return 1;
    pid_t fetcher = start_http(config, http);
    if (pipe2(ready, O_CLOEXEC) != 0) return 1;
    pid_t client = start_client(o, config, identity, http, ready[1], &kernel_end);
    close(ready[1]);
    char byte;
    if (client < 0 || read(ready[0], &byte, 1) != 1) return 1;
    close(ready[0]);
    const int error = connect_kernel(o, identity, kernel_end);
    close(kernel_end);
    if (error < 0) {
        fprintf(stderr, "bootfarm-client: /dev/nbd%d: %s: is the module nbd loaded?\n", o->nbd, strerror(-error));
        kill(client, SIGKILL);
        return 1;
    }
    stay_in_memory("bootfarm-parent");
    status_write(o->folder, "status", identity, true);
    if (write(told, "c", 1) < 0) return 1;
    close(told);
    for (int64_t again_ms = 0;;) {
        const struct timespec alive = {.tv_sec = STATUS_MS / 1000}, gone = {.tv_nsec = RESTART_MS * 1000000};
        sigtimedwait(&child_gone, NULL, client > 0 ? &alive : &gone);
        int how = 0;
        if (client > 0 && waitpid(client, &how, WNOHANG) == client) {
            client = 0;
            if (o->kernel >= 0 && WIFEXITED(how)) return WEXITSTATUS(how); /* the test closed its end */
        }
        if (fetcher <= 0 || waitpid(fetcher, NULL, WNOHANG) == fetcher) fetcher = start_http(config, http);
        if (client <= 0 && now_ms() >= again_ms) {
            again_ms = now_ms() + RESTART_MS; /* one that dies at once is no loop */
            identity->counters.restarts++;
            client = start_client(o, config, identity, http, -1, &kernel_end);
            if (client > 0) {
                if (reconnect_kernel(o, kernel_end) < 0) kill(client, SIGKILL); /* another try with the next one */
                close(kernel_end);
            }
        }
        status_write(o->folder, "status", identity, client > 0);
    }
}

static bool parse(struct options *o, int argc, char **argv) {
    static const struct option LONG[] = {
        {"config", 1, 0, 'c'}, {"nbd", 1, 0, 'n'}, {"state", 1, 0, 's'}, {"segment", 1, 0, 'g'}, {"kernel", 1, 0, 'k'}, {"help", 0, 0, 'h'}, {0}};
    for (int key; (key = getopt_long(argc, argv, "h", LONG, NULL)) != -1;) switch (key) {
        case 'c':
            o->config = optarg;
            break;
        case 'n':
            o->nbd = atoi(optarg);
            break;
        case 's':
            o->state = optarg;
            break;
        case 'g':
            if (atoi(optarg) < MIN_SEGMENT_BYTES || atoi(optarg) > MAX_SEGMENT_BYTES || atoi(optarg) % GRAIN != 0) {
                fprintf(stderr, "bootfarm-client: --segment %s: a multiple of %d, %d to %d\n", optarg, GRAIN, MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES);
                return false;
            }
            o->segment = (uint16_t)atoi(optarg);
            break;
        case 'k':
            o->kernel = atoi(optarg);
            break;
        case 'h':
            fputs(USAGE, stdout);
            exit(0);
        default:
            fputs(USAGE, stderr);
            return false;
        }
    return true;
}

int main(int argc, char **argv) {
    struct options o = {.config = "/bootfarm/boot", .state = "/run/bootfarm", .kernel = -1};
    static struct config config;
    int told[2];
    char byte;
    if (!parse(&o, argc, argv)) return 2;
    if (sodium_init() < 0 || !read_config(o.config, &config)) return 1;
    struct identity *identity = new_identity(&config);
    mkdir(o.state, 0755);
    /* Opened now: once the root has been switched, these paths lead nowhere for us. */
    o.folder = open(o.state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    o.console = o.kernel >= 0 ? STDERR_FILENO : open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
    o.printk = o.kernel >= 0 ? -1 : open("/proc/sys/kernel/printk", O_RDWR | O_CLOEXEC);
    o.patience = o.kernel >= 0 ? -1 : open_queue(o.nbd, "io_timeout");
    if (identity == NULL || o.folder < 0 || pipe2(told, O_CLOEXEC) != 0) {
        fprintf(stderr, "bootfarm-client: %s: %s\n", o.state, strerror(errno));
        return 1;
    }
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        close(told[0]);
        argv[0][0] = '@';
        setsid();
        prctl(PR_SET_NAME, "bootfarm-parent");
        _exit(parent(&o, &config, identity, told[1]));
    }
    close(told[1]);
    if (o.kernel >= 0) {
        int how;
        return waitpid(pid, &how, 0) == pid && WIFEXITED(how) ? WEXITSTATUS(how) : 1;
    }
    return read(told[0], &byte, 1) == 1 ? 0 : 1;
}
