/** The limits of ProxyDHCP, each with its reason. */

/** The largest UDP payload of an Ethernet frame without fragments: no PXE ROM sends more, and none puts fragments together. */
export const MAX_PACKET_BYTES = 1_472;

/** BOOTP's fixed 300 bytes (RFC 951): older ROMs and relays drop anything shorter. */
export const MIN_PACKET_BYTES = 300;

/** Answers wait for a verdict in memory: 1,024 machines at once is a room switched on; more is a flood, and ROMs ask again. */
export const MAX_PENDING = 1_024;

/** A verdict that takes longer is of no use: the ROM has asked again (PXE 2.1, table 2-1: first retry after 4 s). */
export const MAX_VERDICT_MS = 4_000;

/** Answers a second, burst and refill: a thousand machines at 4 packets each within 4 s, and no reflector for a forger. */
export const ANSWERS_PER_SECOND = 1_000;
export const ANSWER_BURST = 4_000;

/** The server asks itself; on one machine an answer takes microseconds. */
export const SELF_TEST_MS = 2_000;
