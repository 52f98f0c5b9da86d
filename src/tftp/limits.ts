/** The limits of TFTP, each with its reason. */

/** 1,500 bytes of Ethernet less IP, UDP and TFTP headers: larger blocks travel in fragments, which firmware loses. A client may ask for more and gets this. */
export const MAX_BLOCK_BYTES = 1_468;
export const DEFAULT_BLOCK_BYTES = 512;
/** RFC 2348. */
export const MIN_BLOCK_BYTES = 8;

/** 16 blocks are 23 kB: more than a switch port buffers for a machine at 100 Mbit/s, and bounds the memory of a transfer. */
export const MAX_WINDOW_BLOCKS = 16;

export const DEFAULT_TIMEOUT_MS = 1_000;
/** RFC 2349 allows 1 to 255 s; a machine that asks for more than 8 has left before. */
export const MAX_TIMEOUT_MS = 8_000;

/** Sends of one packet before anything was heard from the client: its address may be forged, and this is all it can be flooded with. */
export const MAX_SENDS_UNHEARD = 3;
/** Sends of one window without progress, once the client was heard. */
export const MAX_SENDS = 6;

/** undionly at 512-byte blocks on the slowest link takes seconds; a client that trickles is ended. */
export const MAX_TRANSFER_MS = 300_000;

/** Read from the file at once: more than the largest window (23 kB), little enough for every transfer to hold one. */
export const READ_AHEAD_BYTES = 65_536;

/**
 * Each transfer has a socket and one read of memory: 1,024 are 64 MiB, and a room of a thousand machines switched on at once. When all are taken, the
 * oldest that was never heard gives way: whoever forges addresses cannot keep machines out, as these say ACK within a millisecond.
 */
export const MAX_TRANSFERS = 1_024;
/**
 * Transfers that begin: a room at once, then so many a second. Each costs a socket, some 100 µs of the thread that DHCP, HTTP and logins share: a flood of
 * requests takes a twentieth of it and no more. Above it a request gets silence, and the firmware asks again.
 */
export const STARTS = { burst: 1_024, perSecond: 500, keys: 1 };
/** A machine has one transfer and firmware that starts again two; machines behind one address translator share this. Within it, too, the unheard give way. */
export const MAX_TRANSFERS_PER_SOURCE = 16;

/** Mode and options included; firmware sends under 100. RFC 2347: a request is at most 512 octets. */
export const MAX_REQUEST_BYTES = 512;

/** Netascii is converted in memory: scripts and menus, not images. */
export const MAX_NETASCII_BYTES = 1_048_576;

export const SELF_TEST_MS = 2_000;
