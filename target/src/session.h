/*
 * The client as a machine: packets, reads and the time in; packets and finished reads out. It opens no socket, asks no clock and
 * allocates nothing, so that a test runs hours of it in virtual time. Times are microseconds of a clock that never jumps.
 *
 * session.c decides which server; link.c talks with one server; reads.c puts answers together; waits.c tells what is waited for.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "keys.h"
#include "packet.h"
#include "path.h"
#include "rtt.h"
#include "server_list.h"
#include "window.h"

enum {
    READS = 32,      /* reads at a time: 2 MiB, twice the window */
    ASSEMBLIES = 48, /* answers being put together: hedged reads have two */
    ASKS = 192,      /* READ packets that may still be answered */
    GRAIN = SEGMENT_GRAIN_BYTES,

    HEDGE_AFTER_US = 150000,
    LEAVE_AFTER_US = 500000,
    PING_IDLE_US = 1000000,
    PING_STANDBY_US = 5000000,
    PING_AGAIN_US = 120000, /* so that a lost PING alone is no silence */
    PING_BAD_US = 1000000,  /* a server is told of its wrong answers at once, but not more often */
    ATTACH_AGAIN_US = 100000,
    ATTACH_TRIES = 3,
    PROBE_MIN_US = 100000,
    PROBE_MAX_US = 5000000,
    REJOIN_US = 1000000, /* an UNKNOWN is a hint that anybody on the path can make: at most one new ATTACH for it in this time */
    PREFER_US = 200000, /* what the server that was named first gets as a start before the others are asked too */
    LOGIN_AGAIN_US = 250000,
    LOGIN_TRIES = 3,
    REFUSED_US = 1000000, /* where a refusal names no time */
    RETRY_MAX_US = 60000000, /* whatever time a refusal names: 32 bits of milliseconds are 49 days */
    RENEW_SERVERS = 3,       /* asked for a renewal, one after the other, before it is tried again later */
    TOKEN_FRESH_US = 100000, /* so that a token refused again and again is no loop */
    TOKEN_TRY_US = 15000000, /* a fresh token comes within HTTP_DEADLINE_MS, or whoever fetches it was killed */
    TOKEN_MIN_US = 5000000,  /* a machine that is refused asks again, for ever, */
    TOKEN_MAX_US = 60000000, /* with back-off */
    LINKS = MAX_SERVERS + 3, /* the list, and what may have left it: the one that serves, its stand-by and where it moves to */
    WAIT_TOLD_US = 5000000, /* what is waited for so long is told, */
    WAIT_AGAIN_US = 60000000, /* and again after so long: each of what is waited for in turn, as a login and a token, once in this time */
    WAIT_TEXT = 128,
    HUSH_AFTER_US = 800000, /* before nbd tells of each request that waits, once a second: nbd_xmit_timeout */
    PAUSED_US = 100000, /* a gap in our own running as long as this is not the server's silence */
    MAX_REDIRECTS = 4,
    FAILING_READS = 8,       /* in a row that a server could not read and its stand-by could: its whole copy is bad */
    WRONG_ANSWERS = 2,       /* in a row to one read: a forged segment spoils one, what a server reads wrong is wrong again */
    WRONG_SAID_US = 60000000, /* what a server gives wrong is said once in this time */
    OTHER_STANDBY_US = 1000000, /* what neither server can read may be read elsewhere: another stand-by, at most one in this time */
};
enum wait {
    WAITS_FOR_NOTHING,
    WAITS_FOR_SERVER,
    WAITS_FOR_LOGIN,
    WAITS_FOR_TOKEN,
    WAITS_FOR_RIGHT,
    WAITS_FOR_DATA,
    WAITS_FOR_COPY,
    WAITS_FOR_GOOD_COPY
};
enum { WAITS = WAITS_FOR_GOOD_COPY + 1 };
/* A ticket lives 7 days and is renewed at half of them; a renewal that fails is tried again each 3 hours. */
#define TICKET_US (INT64_C(604800) * 1000000)
#define RENEW_US (TICKET_US / 2)
#define RENEW_AGAIN_US (RENEW_US / 28)

enum drop { DROP_MALFORMED, DROP_STRANGER, DROP_SESSION, DROP_TAG, DROP_SIZE, DROP_LATE, DROP_DUPLICATE, DROP_ANSWER_TAG, DROP_REPLAYED, DROPS };
extern const char *const DROP_NAMES[DROPS];

/* Written by the client, read by its parent, which shows them. */
struct counters {
    uint64_t reads, bytes, retransmissions, hedges, failovers, moves, restarts, drops[DROPS];
    int64_t longest_stall_us;
    struct entry current, standby; /* family 0: none */
    uint64_t bad_reads; /* given up at a server whose answer was wrong twice, */
    struct entry bad;   /* and which one that was last; family 0: none */
    bool refused; /* no server may serve this device now */
    char waits_for[WAIT_TEXT]; /* for more than WAIT_TOLD_US; empty: for nothing */
};

/* What must outlive a killed client process: lies in memory that its parent shares. */
struct identity {
    uint8_t token[MAX_TOKEN_BYTES], ticket[MAX_TOKEN_BYTES], session_key[32];
    uint16_t token_bytes, ticket_bytes; /* ticket_bytes 0: not logged in */
    uint8_t mode;
    uint32_t block_bytes;
    uint64_t disk_bytes;
    int64_t renew_us, ends_us;
    char manifest[MANIFEST_TEXT]; /* of the version that is mounted; empty: the server names none */
    struct entry preferred;
    struct server_list servers;
    struct counters counters;
    char device[18]; /* the MAC: what the rendezvous hash knows the device by */
    uint16_t path_bytes; /* the most data in a packet that is known to arrive from a server, where that is less than our own end takes; or 0 */
    uint8_t console_level; /* the kernel's, before it was lowered; 0: it is not */
};

struct effects {
    void *context;
    void (*send)(void *context, const struct entry *to, const uint8_t *bytes, size_t n);
    /* session_data(read) is whole and right; give it back by session_release. */
    void (*filled)(void *context, unsigned read);
    /* No server that is there can read it: give it back by session_release, and ask again later. */
    void (*failed)(void *context, unsigned read);
    /* For the console: "bootfarm: 10.0.0.11:6910 was silent for 500 ms". subject may be NULL. */
    void (*say)(void *context, const struct entry *subject, const char *text);
    /* The same for what somebody should see whose console is quiet: what the machine waits for. */
    void (*alert)(void *context, const char *text);
    /* Whether the kernel's messages of level info stay off the console: while something is waited for, nbd has one a second for each request. */
    void (*hush)(void *context, bool quiet);
    void (*random)(void *context, uint8_t *bytes, size_t n);
};

enum link_state { AWAY, ATTACHING, UP };

struct link {
    struct entry server; /* family 0: no link in this place */
    enum link_state state;
    uint8_t role, mode, suite;
    unsigned tries, fails;
    int64_t next_us; /* AWAY: when to attach; ATTACHING or rejoining: when to ask again */
    bool hinted;     /* somebody says that the ticket does not open */
    bool rejoining;  /* UP, and attaching anew: somebody says that the server was restarted, or for packets of another size */
    int64_t rejoined_us;
    uint8_t nonce[NONCE_BYTES], cookie[COOKIE_BYTES];
    uint32_t session;
    uint64_t number;
    uint16_t segment_bytes;
    uint64_t instance; /* of the server's process */
    struct path path;
    struct {
        uint64_t first, last; /* their packet numbers, with those of other packets between; first 0: none */
        uint64_t offset;
    } probes; /* READs that ask about the way */
    struct traffic_keys keys;
    struct rtt rtt, disk; /* of what it has in memory, and of what a WAIT announces */
    struct window window;
    unsigned asks, failing;
    uint16_t bad_reads, bad_told; /* of this session: reads that it answered wrong twice in a row; those that a PING has told it of */
    int64_t bad_us, wrong_said_us; /* when it may be told of more; when somebody in front of the machine was; 0: never */
    uint64_t heard_number, heard_mask; /* of its signed packets: the highest, and which of the 64 before it came */
    bool owes;          /* something was sent after its last word, be it answered by another server since */
    int64_t waiting_us; /* since when: its silence */
    int64_t heard_us, ping_us;
    bool pinged;
    int64_t pinged_us, trip_us; /* of the last PING, and until its PONG; 0: none yet */
    uint64_t ping_number;
    uint8_t ping_tag[TAG_BYTES];
};

enum { NONE = -1 };

struct read {
    enum { FREE, OPEN, DONE, FAILED } state;
    uint32_t failed; /* a bit for each link that said it cannot read this, or that answers wrong */
    bool wrong;      /* one of them answered wrong */
    uint64_t offset, order;
    int64_t since_us;
    uint32_t length;
    int answers[2]; /* assemblies: the first asked, and a hedge */
};

struct assembly {
    int read, link; /* read NONE: free. A DONE read keeps its one assembly for the data */
    uint32_t length, got;
    unsigned tries, wrong; /* in a row: time-outs without data, and wrong answers */
    bool waited, headed;
    int64_t begun_us, asked_us, wait_us, deadline_us; /* the first and last time that it was asked for, and announced by a WAIT */
    uint8_t header[DATA_SIGNED_BYTES], tag[TAG_BYTES]; /* of the answer whose tag covers all: mode Authenticated */
    uint64_t have[MAX_READ_BYTES / GRAIN / 64];
    uint8_t data[MAX_READ_BYTES];
};

struct ask {
    int assembly; /* NONE: free */
    uint64_t number;
    uint32_t begin, length; /* within the assembly */
    uint32_t counted;       /* of the window */
    int64_t sent_us;
    uint8_t tag[TAG_BYTES];
};

struct login {
    enum { LOGGED_IN, ASKING, PAUSED, WANTING } state;
    bool renew, redirected;
    unsigned tries, redirects, at; /* at: whose turn it is */
    unsigned asked;                /* servers, for this renewal */
    struct entry server;
    int64_t next_us, token_pause_us;
    uint8_t nonce[NONCE_BYTES], cookie[COOKIE_BYTES], secret[32], share[SHARE_BYTES];
};

/* What is waited for, and what was told of it. */
struct waits {
    int64_t alone_us;  /* since when no server serves */
    int64_t served_us; /* since when one does */
    int64_t parked_us; /* since when no server can read what lies at parked_at; 0: none that is wanted */
    uint64_t parked_at;
    bool parked_wrong; /* one that was asked answers wrong */
    enum wait shown; /* in the status */
    bool told;       /* of the wait that is not over: its end is told, too */
    int64_t since_us;
    int64_t again_us[WAITS]; /* when each may be told again */
    int64_t next_us;         /* WAIT_AGAIN_US more for each outage whose end was told */
    bool hushed;
};

struct session {
    struct effects effects;
    struct identity *identity;
    struct login login;
    struct waits waits;
    struct link links[LINKS];
    int current, standby, moving; /* places in links */
    bool list_wanted;
    int64_t list_us, ticked_us, other_us;
    unsigned hedge_credit; /* in twentieths of a read */
    uint64_t orders;
    uint16_t segment_bytes; /* the largest that fits the way */
    struct read reads[READS];
    struct assembly assemblies[ASSEMBLIES];
    struct ask asks[ASKS];
};

/* identity: of an earlier client, or zero but for token, servers and device. segment_bytes: the most data that one DATA packet may carry. */
void session_init(struct session *s, const struct effects *effects, struct identity *identity, uint16_t segment_bytes, int64_t now_us);
/* True once for each try: a fresh boot token is to be fetched, and session_token told what came. */
bool session_wants_token(struct session *s, int64_t now_us);
/* bytes 0: no server gave one. manifest: of the version that it is for, or empty. */
void session_token(struct session *s, const uint8_t *token, uint16_t bytes, const char *manifest, int64_t now_us);
void session_receive(struct session *s, const struct entry *from, const uint8_t *bytes, size_t n, int64_t now_us);
/* Timers. Give it every packet that waits first, or a server is blamed for our own sleep. */
void session_tick(struct session *s, int64_t now_us);
/* When to tick at the latest. */
int64_t session_wake(const struct session *s, int64_t now_us);
/* Starts a read; NONE when READS are open. It ends in filled(), be it after hours, or in failed(). */
int session_read(struct session *s, uint64_t offset, uint32_t length, int64_t now_us);
const uint8_t *session_data(const struct session *s, unsigned read);
/* A read that is done, that failed, or that nobody wants any more. */
void session_release(struct session *s, unsigned read);

/* Says goodbye to the servers. */
void session_bye(struct session *s);

/* Between the four files. */
void drop(struct session *s, enum drop reason);
/* Tells a REFUSE's own words. */
void session_refusal(struct session *s, const struct entry *server, const struct packet *p);
void session_leave(struct session *s, int link, const char *why, int64_t retry_us, int64_t now_us);
void session_attached(struct session *s, int link, int64_t now_us);
/* The ticket does not open any more, or so it is said; proven: by one who opened it. */
void session_ticket_refused(struct session *s, bool proven, int64_t now_us);
/* The last server that was left has said that this device may not read. */
void session_refused(struct session *s, int64_t now_us);
/* Whether a REFUSE is of one who knows the session key: all others are hints. */
bool session_refusal_signed(const struct session *s, const uint8_t *bytes, size_t n);
int64_t session_retry(const struct packet *p, int64_t otherwise_us);
void session_listed(struct session *s, const struct packet *p, int64_t now_us);
void session_move(struct session *s, int link, const struct packet *p, int64_t now_us);
/* What the current server and its stand-by cannot read: another stand-by may, if there is another server. */
void session_other_standby(struct session *s, int64_t now_us);
int64_t jitter(struct session *s, int64_t us);

void link_attach(struct session *s, int link, uint8_t role, int64_t now_us);
void link_receive(struct session *s, int link, const struct packet *p, const uint8_t *bytes, size_t n, int64_t now_us);
void link_tick(struct session *s, int link, int64_t now_us);
void link_ping(struct session *s, int link, int64_t now_us);
void link_bye(struct session *s, int link, uint8_t reason);
void link_ask_list(struct session *s, int link, int64_t now_us);
/* An answer was not there in time: it may be that its large packets do not arrive. */
void link_lost(struct session *s, const struct assembly *a, int64_t now_us);
/* A packet of so much data came. */
void link_arrived(struct session *s, int link, uint64_t data, int64_t now_us);
/* What answers no read: true when it answers a question about the way. */
bool link_probe_data(struct session *s, int link, const struct packet *p, int64_t now_us);
/* The same of a WAIT or an ERROR. */
bool link_probe_no_data(struct session *s, int link, const struct packet *p);
/* How long a round of such questions is: a time-out, or what a PONG says of one where no data has come yet. */
int64_t link_round_us(const struct link *l);
/* It answered a read wrong, twice in a row: it is told, and somebody in front of the machine. */
void link_wrong(struct session *s, int link, uint64_t offset, int64_t now_us);
void link_owes(struct link *l, int64_t now_us);
bool link_silent(const struct link *l, int64_t us, int64_t now_us);

void reads_data(struct session *s, int link, const struct packet *p, const uint8_t *bytes, int64_t now_us);
void reads_wait(struct session *s, int link, const struct packet *p, int64_t now_us);
/* A server cannot read what one READ asks for: that read is asked elsewhere, and all others go on. */
void reads_error(struct session *s, int link, const struct packet *p, int64_t now_us);
bool reads_asked(const struct session *s, int link, uint64_t number, const uint8_t *tag);
/* Forgets what was asked of a link; its reads are asked elsewhere by the next reads_pump. */
void reads_forget(struct session *s, int link);
void reads_pump(struct session *s, int64_t now_us);
void reads_tick(struct session *s, int64_t now_us);
/* When to tick at the latest for them: something is to be asked again, or is late. */
int64_t reads_due(const struct session *s, int64_t now_us);
/* Asserts what holds of its state between two calls. */
void reads_check(const struct session *s);

/* Tells waits of more than WAIT_TOLD_US, each kind once in WAIT_AGAIN_US however they alternate, and the end of what was told. */
void waits_tell(struct session *s, int64_t now_us);
