/** Every limit of the protocol and of a server, with its reason. */

import { PIECE_BYTES } from '../image/tree/pieces.ts';

export const SECTOR_BYTES = 512;

/** One READ. Larger ones would need more than two sends of 65,507 bytes, and hold a client's window for too long. */
export const MAX_READ_BYTES = 65_536;
/** Pieces of an answer: one more where it begins within one. */
export const MAX_PIECES = MAX_READ_BYTES / PIECE_BYTES + 1;

/** A boot token or ticket: so that LOGIN and ATTACH stay in one packet of an Ethernet (1,472 bytes). */
export const MAX_TICKET_BYTES = 1_024;

/** Entries of a server list on the wire: with a ticket of 600 bytes, TICKET stays in one packet. */
export const MAX_SERVERS = 20;

export const MAX_TEXT_BYTES = 200;

/** Segment sizes are multiples of it: a client keeps a bit for so many bytes. */
export const SEGMENT_GRAIN_BYTES = 64;
/** Of IPv4, UDP and DATA: what an MTU is larger than the segment that fits. */
export const SEGMENT_HEADER_BYTES = 92;
/** Every host takes an IPv4 datagram of 576 bytes (RFC 791, 3.1): that less IPv4, UDP and DATA headers, cut to the grain. 64 KiB are 147 packets then. */
export const MIN_SEGMENT_BYTES = 448;
/** 65,507 (what a UDP datagram holds) less the DATA header, cut to a multiple of 64. */
export const MAX_SEGMENT_BYTES = 65_408;

/** Linux: what one send takes, whole (`EMSGSIZE` above it), and segments that UDP_SEGMENT cuts at most (64 before Linux 6.9, 128 since). */
export const MAX_SEND_BYTES = 65_507;
export const MAX_SEND_SEGMENTS = 64;

/** Packet numbers that a session remembers: at 32 KiB a read, 32 MiB of reordering. */
export const REPLAY_WINDOW = 1_024;

/** A cookie's slot; a cookie is accepted in its slot and the next one. */
export const COOKIE_SLOT_SECONDS = 64;

/** A session that says nothing for so long is gone: six missed pings of a stand-by. */
export const SILENT_MS = 30_000;
/** How often all sessions are looked at for it: 40,000 of them take some ms. */
export const SILENT_LOOK_MS = 1_000;
/**
 * A device that has sent so many packets in a session has its root file system: a kernel that finds none reads some dozen blocks of the partition table and falls
 * silent, one that starts reads hundreds within seconds.
 */
export const RUNNING_PACKETS = 256;

/** Sessions of one thread: 20,000 devices and as many stand-bys, with room. */
export const MAX_SESSIONS = 65_536;

/** LOGINs of one thread being decided. Each costs an X25519 (50 µs) and a placement; a device asks again. */
export const MAX_PENDING_LOGINS = 1_024;

/** Sessions of one device here: it is served by one, and may have left another behind at a restart, twice. The oldest goes. */
export const MAX_DEVICE_SESSIONS = 3;

/** Addresses that a thread remembers for each of these: 20,000 devices do not log in within the seconds that it takes to fill a bucket again. */
const RATED_SOURCES = 4_096;
/** LOGINs of one thread by source address: a device needs one, a redirect or a server that went more. A room behind one address is let in a little later. */
export const LOGIN_RATE = { perSecond: 16, burst: 64, keys: RATED_SOURCES };
/** ATTACHes: one to each server that the device tries, and again when servers restart. */
export const ATTACH_RATE = { perSecond: 32, burst: 128, keys: RATED_SOURCES };
/** All of them together: half of a thread's time at most (a login costs 0.2 ms in all, an attach 0.06), so that READs go on. 20,000 devices are back in 2 s. */
export const LOGIN_RATE_OF_ALL = { perSecond: 1_000, burst: 2_000 };
export const ATTACH_RATE_OF_ALL = { perSecond: 8_000, burst: 8_000 };

/** Nonces of ATTACHes that a session remembers of those before it: a device that was told UNKNOWN attaches again, a few times in a cookie's life at most. */
export const EARLIER_NONCES = 8;

/** A session's change of role is told at most so often: each is an entry in the journal of sessions. */
export const ROLE_EVERY_MS = 1_000;

/** A LOGIN that is not decided by then is Busy: what never answers would keep its place among MAX_PENDING_LOGINS for ever. */
export const LOGIN_DECIDE_MS = 3_000;

/** Reads of one session that wait for a disk: at 32 KiB all of a client's window. A READ above it is dropped. */
export const MAX_SESSION_READS = 32;

/** Reads of one thread that wait for a disk; how they are shared is said in `reads.ts`. Above it a READ is dropped, and the client's time-out doubles. */
export const MAX_PENDING_READS = 1_024;

/**
 * UNKNOWNs of one thread by source address: a device whose server restarted needs one for each of its packets under way, a room behind one address of
 * 256 machines is told at once. The address is not proven: who forges somebody's makes him wait for his own time-out, no longer.
 */
export const UNKNOWN_RATE = { perSecond: 128, burst: 256, keys: RATED_SOURCES };
/** All of them together: a crowd of restarted sessions is told quickly, a flood is not answered. */
export const UNKNOWN_RATE_OF_ALL = { perSecond: 2_000, burst: 2_000 };

/**
 * The extents of one disk, 32 bytes each, in the memory that all threads share: 2,097,152 of them, which is 4 TiB in blocks of 2 MiB, or 64 TiB in those of
 * 32 MiB. What a disk has beyond it is read through the main thread.
 */
export const MAX_EXTENT_TABLE_BYTES = 64 << 20;

export const MOVE_EVERY_MS = 250;

/** How often a thread looks at its timers. */
export const TICK_MS = 100;

/** What a client is told to wait when a limit here is met. */
export const BUSY_RETRY_MS = 1_000;

/** What a device is told to wait whose right to stream ended: a person may give it back at any time. */
export const REFUSED_RETRY_MS = 5_000;
