/** What goes wrong with a PostgreSQL, as a closed set of codes. */
import type { Fault } from '../kit/result.ts';

/**
 * - `Unreachable`: no connection, or the server is starting, stopping, full or read-only. Try again.
 * - `AuthenticationFailed`: it refuses our user or password. Only a new secret helps.
 * - `TimedOut`: it took longer than 2 s, which counts as dead.
 * - `Refused`: it works and says no: a missing database or table, a right we lack.
 * - `Invalid`: it cannot hold a value that it was given.
 * - `Conflict`: the rows that are there do not allow it, or somebody changed them at the same moment.
 * - `Fenced`: a leader writes that does not lead this database, or no longer.
 * - `DatabaseForeign`, `DatabaseBehind`: it works, and it is not the farm's, or an old state of it. Taken for away: neither read nor written.
 */
export type DatabaseFault = Fault<
  | 'Unreachable'
  | 'AuthenticationFailed'
  | 'TimedOut'
  | 'Refused'
  | 'Invalid'
  | 'Conflict'
  | 'Fenced'
  | 'DatabaseForeign'
  | 'DatabaseBehind'
>;

/** A fault, and whether it says that the database as a whole is no use now. */
export interface Classified {
  readonly fault: DatabaseFault;
  readonly trips: boolean;
}

/** What a violated constraint means to the person who caused it. */
const CONSTRAINTS: Readonly<Record<string, string>> = {
  farm_one_key: 'the database already holds a farm',
  collection_site_fkey: 'a collection needs its site',
  device_pkey: 'a device of this name exists',
  device_name_check: 'a device name is 1 to 63 of a-z, 0-9 and -, and neither begins nor ends with -',
  device_uuid_key: 'another device has this UUID',
  device_collection_fkey: 'a device needs its collection',
  device_properties_check: 'the properties of a device are at most 64 KiB',
  device_mac_pkey: 'another device has this MAC',
  device_mac_mac_check: 'a MAC is written aa:bb:cc:dd:ee:ff',
  device_mac_position_check: 'a device has at most 8 MACs',
};

/** SQLSTATEs and classes of Appendix A of the PostgreSQL manual; the longest prefix wins. */
const STATES: readonly (readonly [prefix: string, code: DatabaseFault['code'], trips: boolean])[] = [
  ['25006', 'Unreachable', true], // read_only_sql_transaction: a standby, or a primary that was demoted
  ['28', 'AuthenticationFailed', true],
  ['57014', 'TimedOut', true], // query_canceled: the statement timeout
  ['55P03', 'Conflict', false], // lock_not_available: of NOWAIT and lock_timeout
  ['25P03', 'TimedOut', true], // idle_in_transaction_session_timeout
  ['57P', 'Unreachable', true], // shutdown, crash, starting up
  ['08', 'Unreachable', true],
  ['53', 'Unreachable', true], // too many connections, out of memory or disk
  ['3D000', 'Refused', true], // no such database
  ['22', 'Invalid', false], // data exceptions
  ['23', 'Conflict', false],
  ['40', 'Conflict', false], // serialization failure, deadlock
];

const ADVICE: Readonly<Record<string, string>> = {
  '28': ': check user and password in its secret',
  '42501': ': its user must own the database, or have CREATE on the schema public',
  '42P01': ': the operator makes the tables when a Farm names this database',
  '3D000': ': create it, or correct the uri',
  '55P03': ': somebody else writes it at this moment, ask again',
};

/** What `pg` itself says, having no code. */
const MESSAGES: readonly (readonly [pattern: RegExp, code: DatabaseFault['code']])[] = [
  [
    /^timeout exceeded when trying to connect|^Query read timeout|due to connection timeout|^timeout expired/,
    'TimedOut',
  ],
  [/^SASL|password must be a string/, 'AuthenticationFailed'],
  [/SSL|certificate|TLS/, 'Refused'],
  [
    /Connection terminated|connection error|not queryable|Client was closed|after calling end on the pool/,
    'Unreachable',
  ],
];

/** What OpenSSL has against the signer; the words beside it are advice to who starts Node. */
const UNPROVEN = /^(UNABLE_TO_(VERIFY|GET_ISSUER)|(DEPTH_ZERO_)?SELF_SIGNED_CERT)/;
const PROOF = 'put that of its authority as ca.crt beside the uri, in the same Secret';

/**
 * Reads what `pg`, Node's sockets or TLS threw; undefined when it is nothing of the kind, hence a bug.
 * @param place host, port and database, without the secret.
 */
export function classify(thrown: unknown, place: string): Classified | undefined {
  if (!isError(thrown)) return undefined;
  const { code, severity, constraint } = thrown;
  const say = (fault: DatabaseFault['code'], trips: boolean, message: string): Classified => ({
    fault: { code: fault, message: `database ${place}: ${message}` },
    trips,
  });
  if (severity !== undefined && code !== undefined) {
    const [, fault, trips] = STATES.find(([prefix]) => code.startsWith(prefix)) ?? ['', 'Refused', false];
    const meaning = constraint === undefined ? undefined : CONSTRAINTS[constraint];
    const advice = ADVICE[code] ?? ADVICE[code.slice(0, 2)] ?? '';
    // Its detail has values of other rows, which are not for all who ask.
    return say(fault, trips, (meaning ?? thrown.message) + advice);
  }
  if (code !== undefined && UNPROVEN.test(code))
    return say('Refused', true, `nobody that is trusted here signed its certificate (${code}): ${PROOF}`);
  const spoken = MESSAGES.find(([pattern]) => pattern.test(thrown.message));
  if (spoken) return say(spoken[1], true, thrown.message);
  if (code !== undefined && /CERT|TLS|SSL/.test(code)) return say('Refused', true, `${code}: ${thrown.message}`);
  if (code !== undefined && /^E[A-Z_]+$/.test(code) && !code.startsWith('ERR_'))
    return say('Unreachable', true, thrown.message || code); // an AggregateError of several addresses has no message
  return undefined;
}

interface PostgresError extends Error {
  readonly code?: string;
  readonly severity?: string;
  readonly constraint?: string;
}

/** By shape: an error of Node's own is of another realm where tests run in a context. */
const isError = (thrown: unknown): thrown is PostgresError =>
  typeof thrown === 'object' && thrown !== null && 'message' in thrown && 'stack' in thrown;
