/** Limits of the HTTP boot server, each with its reason. */

/** A boot storm of 500 machines opens one connection each; more than twice that is no boot storm. */
export const MAX_CONNECTIONS = 1_024;
/** iPXE sends its question at once. */
export const REQUEST_TIMEOUT_MS = 10_000;
/** Between two downloads of one machine lies its own unpacking; keep-alive beyond that only holds memory. */
export const KEEP_ALIVE_MS = 15_000;
/** A machine that takes no byte for so long is gone. */
export const IDLE_TIMEOUT_MS = 60_000;
/** Nobody has to send us anything. */
export const MAX_BODY_BYTES = 1_024;
/** Ours are below 200 characters. */
export const MAX_URL_CHARACTERS = 2_048;
