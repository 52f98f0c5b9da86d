/** The limits of TFTP, each with its reason. */

/** 1,500 bytes of Ethernet less IP, UDP and TFTP headers: larger blocks travel in fragments, which firmware loses. A client may ask for more and gets this. */
export const MAX_BLOCK_BYTES = 1_468;
/** Of IP, UDP and TFTP: what an MTU is larger than the block that fits. */
export const HEADER_BYTES = 32;
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
 * A transfer that was never heard is an object of some 2 KiB; one that was heard holds a read of memory, too, unless its file is in memory as boot files
 * are. When all places are taken, the oldest that was never heard gives way: in a flood of 5,000 requests a second a client has 800 ms for its first
 * ACK, and says it within a millisecond.
 */
export const MAX_TRANSFERS = 4_096;
/** Unheard transfers, a room switched on. With more of them no first packet is sent again: in a flood it would be most of what is sent, and clients ask again. */
export const CROWD = 1_024;
/**
 * Transfers that begin: a room at once, then so many a second. Each costs about 70 µs of the thread that DHCP, HTTP and logins share, so a flood of requests
 * takes a fifth of it and no more. Above it a request gets silence, and the firmware asks again.
 */
export const STARTS = { burst: 2_048, perSecond: 3_000 };
/**
 * Requests taken in a turn of the event loop, which HTTP boot and logins share: each costs it some 0.15 ms, with the look at who asks, so about a millisecond. What
 * waits beyond is a room at once. Packets of transfers that run wait for no turn.
 */
export const TURN = { perTurn: 8, waiting: 1_024 };
/** Of one address: twice what `UNHEARD` has answered. One sender takes a fiftieth of `STARTS`, however fast it asks; only who forges addresses takes all. */
export const STARTS_OF_SOURCE = { burst: 128, perSecond: 64, keys: 16_384 };
/** A machine has one transfer and firmware that starts again two; machines behind one address translator share this. Within it, too, the unheard give way. */
export const MAX_TRANSFERS_PER_SOURCE = 16;
/** Ports that transfers share. A client's port has two at most: one that was heard, and one that takes its place when it is. */
export const PORTS = MAX_TRANSFERS_PER_SOURCE;

/**
 * Packets to one address of which no transfer was heard there, of at most 516 bytes: who forges requests of somebody has him sent 17 kB a second. Rooms
 * behind one address translator share it, and ask again. The addresses that are remembered are more than ask within the two seconds that fill it again.
 */
export const UNHEARD = { burst: 64, perSecond: 32, keys: 16_384 };

/**
 * Asked of the kernel for each port of transfers, where packets wait for neighbours that do not say ARP: its default holds 277. The port of requests
 * keeps the default: what waits longer in a flood is asked again anyway.
 */
export const SEND_BUFFER_BYTES = 4_194_304;

/** Sources whose way to write names is remembered as told. One that is forgotten is told of again, and all of them at most once in ten seconds. */
export const ODD_NAMES = { burst: 1, perSecond: 0, keys: 4_096 };

/** Mode and options included; firmware sends under 100. RFC 2347: a request is at most 512 octets. */
export const MAX_REQUEST_BYTES = 512;

/** Netascii is converted in memory: scripts and menus, not images. */
export const MAX_NETASCII_BYTES = 1_048_576;
