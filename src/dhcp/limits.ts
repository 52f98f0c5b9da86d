/** The limits of ProxyDHCP, each with its reason. */

/** The largest UDP payload of an Ethernet frame without fragments: no PXE ROM sends more, and none puts fragments together. */
export const MAX_PACKET_BYTES = 1_472;

/** Of IP and UDP, which option 57 counts: RFC 2131 section 2 calls the message that it limits an IP datagram. */
export const HEADER_BYTES = 28;

/** RFC 2132 9.10: option 57 says no less, and RFC 2131 section 2 has every client take so much, whether it says so or not. */
export const MIN_DATAGRAM_BYTES = 576;

/** BOOTP's fixed 300 bytes (RFC 951): older ROMs and relays drop anything shorter. */
export const MIN_PACKET_BYTES = 300;

/**
 * Questions wait for a verdict in memory: 1,024 machines at once is a room switched on. When more come, the oldest gives way: a flood cannot keep out
 * those that come after it. A machine that asks again takes the place of its own first question.
 */
export const MAX_PENDING = 1_024;

/**
 * Packets taken in a turn of the event loop, which HTTP boot and logins share: each costs some 0.12 ms of it with its verdict and answer, so a millisecond. What
 * waits beyond is as many as `MAX_PENDING`, machines behind one relay and all that have no address yet among them.
 */
export const TURN = { perTurn: 8, waiting: 1_024 };

/** Questions asked of the farm's data at once: one connection answers them in order, and what is asked is not taken back. The rest wait here. */
export const MAX_ASKING = 128;

/** A verdict that takes longer is of no use: the ROM has asked again (PXE 2.1, table 2-1: first retry after 4 s). */
export const MAX_VERDICT_MS = 4_000;

/**
 * Answers to one MAC in one place (`pace.ts`; it has three): a boot has four questions (DISCOVER, REQUEST, and the chained iPXE's) within seconds, and a
 * machine that is switched off and on begins again. Forged packets of one machine cost that machine alone, and behind another relay not even it.
 */
export const ANSWERS_OF_MACHINE = { burst: 16, perSecond: 2, keys: 16_384 };

/** A relay keeps its own budget until it was not heard of for so long: a machine that is carried elsewhere is at home there after a pause. */
export const RELAY_KEPT_MS = 10 * 60_000;

/** Relays with a budget of their own for machines that the farm does not know: more than a site has. All others share one. */
export const RELAYS = 64;

/**
 * Answers to all machines that the farm does not know, by the relay they come from (or the own network): made-up MACs cost nothing, so that they would
 * make us a reflector; known ones are as many as the farm has.
 */
export const ANSWERS_TO_UNKNOWN = { burst: 1_000, perSecond: 100, keys: RELAYS + 2 };
