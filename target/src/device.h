/* The kernel's side: its requests, cut into reads of the session, answered in NBD's simple replies. */
#pragma once
#include "nbd.h"
#include "session.h"

enum {
    REQUESTS = 128, /* nbd's queue depth */
    REQUEST_READS = READS,
    PARK_MIN_US = 100000, /* what no server can read is asked again, for ever, with back-off */
    PARK_MAX_US = 5000000,
};

struct request {
    bool used;
    uint64_t handle, offset, order;
    uint32_t length, asked, written; /* bytes handed to the session; bytes written to the kernel */
    int64_t since_us;
    bool failed;      /* one of its reads is one that no server can read now, */
    bool wrong;       /* and that a server answers wrong */
    unsigned fails;   /* so often */
    int64_t again_us; /* parked until then: it holds no read meanwhile, so that all others go on */
    unsigned first, count; /* of reads[], a ring: not written yet, in order */
    int reads[REQUEST_READS];
};

struct device {
    struct session *session;
    int socket;
    bool ended; /* the kernel disconnected */
    uint64_t orders;
    int writing; /* a request larger than all reads together is written as it comes, and others wait for its end, however long; or NONE */
    struct request requests[REQUESTS];
    bool filled[READS];
    uint8_t input[REQUESTS * NBD_REQUEST_BYTES];
    size_t input_bytes;
};

void device_init(struct device *d, struct session *session, int socket);
/* Takes the requests that wait in the socket. False when there is no room for more. */
bool device_take(struct device *d, int64_t now_us);
/* A read is there; device_write passes on what is ready. */
void device_filled(struct device *d, unsigned read);
/* No server can read it now; device_write parks its request. */
void device_failed(struct device *d, unsigned read);
void device_write(struct device *d, int64_t now_us);
