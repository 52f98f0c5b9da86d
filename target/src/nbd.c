#include "nbd.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"

/* After so long without a client the device fails its requests: an hour, for its parent brings it back within a second. */
enum { DEAD_CONNECTION_S = 3600, MESSAGE_BYTES = 1024, ATTRIBUTE_HEADER = 4, FLAG_HAS_FLAGS = 1, FLAG_READ_ONLY = 2 };

bool block_request_parse(const uint8_t b[NBD_REQUEST_BYTES], struct block_request *r) {
    if (get32(b) != NBD_REQUEST_MAGIC) return false;
    *r =
        (struct block_request){.flags = get16(b + 4), .type = get16(b + 6), .handle = get64(b + 8), .offset = get64(b + 16), .length = get32(b + 24)};
    return true;
}

void block_reply(uint8_t out[NBD_REPLY_BYTES], uint64_t handle, uint32_t error) {
    put32(out, NBD_REPLY_MAGIC);
    put32(out + 4, error);
    put64(out + 8, handle);
}

/* A netlink message that grows: header, generic header, attributes. */
struct message {
    _Alignas(NLMSG_ALIGNTO) uint8_t bytes[MESSAGE_BYTES];
    size_t n;
};

static void begin(struct message *m, uint16_t type, uint8_t command) {
    memset(m, 0, sizeof *m);
    struct nlmsghdr *h = (struct nlmsghdr *)m->bytes;
    h->nlmsg_type = type;
    h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    struct genlmsghdr *g = (struct genlmsghdr *)(m->bytes + NLMSG_HDRLEN);
    g->cmd = command;
    g->version = 1;
    m->n = NLMSG_HDRLEN + GENL_HDRLEN;
}

static size_t open_attribute(struct message *m, uint16_t type) {
    const size_t at = m->n;
    ((struct nlattr *)(m->bytes + at))->nla_type = type;
    m->n += ATTRIBUTE_HEADER;
    return at;
}

static void close_attribute(struct message *m, size_t at) {
    ((struct nlattr *)(m->bytes + at))->nla_len = (uint16_t)(m->n - at);
    m->n = NLMSG_ALIGN(m->n);
}

static void attribute(struct message *m, uint16_t type, const void *data, size_t n) {
    const size_t at = open_attribute(m, type);
    memcpy(m->bytes + m->n, data, n);
    m->n += n;
    close_attribute(m, at);
}

static void attribute32(struct message *m, uint16_t type, uint32_t value) { attribute(m, type, &value, sizeof value); }
static void attribute64(struct message *m, uint16_t type, uint64_t value) { attribute(m, type, &value, sizeof value); }

/* Sends and waits for the acknowledgement; a message that comes before it stays in m. 0, or a negative errno. */
static int call(int fd, struct message *m) {
    ((struct nlmsghdr *)m->bytes)->nlmsg_len = (uint32_t)m->n;
    if (send(fd, m->bytes, m->n, 0) < 0) return -errno;
    uint8_t answer[MESSAGE_BYTES];
    for (;;) {
        const ssize_t n = recv(fd, answer, sizeof answer, 0);
        if (n < 0) return -errno;
        size_t left = (size_t)n;
        for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)answer; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_type == NLMSG_ERROR) return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
            m->n = h->nlmsg_len;
            memcpy(m->bytes, h, h->nlmsg_len);
        }
    }
}

static int family_id(int fd) {
    struct message m;
    begin(&m, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
    attribute(&m, CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME, sizeof NBD_GENL_FAMILY_NAME);
    const int error = call(fd, &m);
    if (error < 0) return error;
    for (size_t at = NLMSG_HDRLEN + GENL_HDRLEN; at + ATTRIBUTE_HEADER <= m.n;) {
        const struct nlattr *a = (const struct nlattr *)(m.bytes + at);
        uint16_t id;
        if (a->nla_type == CTRL_ATTR_FAMILY_ID) {
            memcpy(&id, m.bytes + at + ATTRIBUTE_HEADER, sizeof id);
            return id;
        }
        at += NLMSG_ALIGN((size_t)(a->nla_len ? a->nla_len : ATTRIBUTE_HEADER));
    }
    return -ENOENT;
}

static void sockets(struct message *m, int server) {
    const size_t list = open_attribute(m, NBD_ATTR_SOCKETS | NLA_F_NESTED);
    const size_t item = open_attribute(m, NBD_SOCK_ITEM | NLA_F_NESTED);
    attribute32(m, NBD_SOCK_FD, (uint32_t)server);
    close_attribute(m, item);
    close_attribute(m, list);
}

static int command(uint8_t which, int index, int server, uint64_t disk_bytes, uint32_t block_bytes) {
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
    if (fd < 0) return -errno;
    int result = family_id(fd);
    if (result >= 0) {
        struct message m;
        begin(&m, (uint16_t)result, which);
        attribute32(&m, NBD_ATTR_INDEX, (uint32_t)index);
        if (which == NBD_CMD_CONNECT) {
            attribute64(&m, NBD_ATTR_SIZE_BYTES, disk_bytes);
            attribute64(&m, NBD_ATTR_BLOCK_SIZE_BYTES, block_bytes);
            attribute64(&m, NBD_ATTR_SERVER_FLAGS, FLAG_HAS_FLAGS | FLAG_READ_ONLY);
        }
        attribute64(&m, NBD_ATTR_TIMEOUT, 0); /* a request waits for as long as it takes */
        attribute64(&m, NBD_ATTR_DEAD_CONN_TIMEOUT, DEAD_CONNECTION_S);
        sockets(&m, server);
        result = call(fd, &m);
    }
    close(fd);
    return result;
}

int nbd_connect(int index, int server, uint64_t disk_bytes, uint32_t block_bytes) {
    return command(NBD_CMD_CONNECT, index, server, disk_bytes, block_bytes);
}

int nbd_reconfigure(int index, int server) { return command(NBD_CMD_RECONFIGURE, index, server, 0, 0); }
