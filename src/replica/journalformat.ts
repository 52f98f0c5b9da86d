/**
 * The text of a journal. Pure.
 *
 * ```
 * one line each:  crc32, 8 hex digits │ space │ JSON │ \n
 *   {kind: Session, number, id, at, farm, change}    an entry: it takes the place of the one that its device had
 *   {kind: Forgotten, through}                 the database has every entry up to this number
 * ```
 * A line whose sum is wrong is dropped and counted, the lines around it stay good. What stands behind the last \n was never acknowledged.
 */
import { crc32 } from 'node:zlib';
import type { SessionChange } from '../database/servers.ts';
import { parseSession } from '../farm/parse.ts';

export interface JournalEntry {
  /** Later kinds join here, and every reader is made to look at them. */
  readonly kind: 'Session';
  /** Grows by one with each entry of a file. */
  readonly number: number;
  /** UUID: the database applies each once. */
  readonly id: string;
  /** Unix milliseconds, by this node's clock: for people. */
  readonly at: number;
  /** Whose session it is: id of the farm. Absent: this server did not know then. */
  readonly farm?: string;
  readonly change: SessionChange;
}

export interface ForgottenMark {
  readonly kind: 'Forgotten';
  readonly through: number;
}

/** What waits: one entry a device, in the order of their numbers. */
export class Pending {
  readonly #byDevice = new Map<string, { readonly entry: JournalEntry; readonly bytes: number }>();
  /** What their lines take. */
  bytes = 0;

  get size(): number {
    return this.#byDevice.size;
  }

  get(device: string): JournalEntry | undefined {
    return this.#byDevice.get(device)?.entry;
  }

  bytesOf(device: string): number {
    return this.#byDevice.get(device)?.bytes ?? 0;
  }

  first(count: number): readonly JournalEntry[] {
    const found: JournalEntry[] = [];
    for (const { entry } of this.#byDevice.values()) {
      if (found.length >= count) break;
      found.push(entry);
    }
    return found;
  }

  /** The entry becomes its device's, and the last of all. */
  put(entry: JournalEntry, bytes: number): void {
    this.#drop(entry.change.device);
    this.#byDevice.set(entry.change.device, { entry, bytes });
    this.bytes += bytes;
  }

  /** Costs what it forgets. */
  forgetThrough(number: number): void {
    for (const [device, { entry }] of this.#byDevice) {
      if (entry.number > number) return;
      this.#drop(device);
    }
  }

  #drop(device: string): void {
    this.bytes -= this.bytesOf(device);
    this.#byDevice.delete(device);
  }
}

export interface Decoded {
  readonly pending: Pending;
  /** The highest number seen. */
  readonly last: number;
  /** Up to the last end of a line: what is behind it goes. */
  readonly wholeBytes: number;
  readonly dropped: number;
}

export function encodeLine(line: JournalEntry | ForgottenMark): Buffer {
  const json = JSON.stringify(line);
  return Buffer.from(`${sum(json)} ${json}\n`);
}

/** Total: any bytes give the entries whose sums are right. */
export function decodeJournal(bytes: Buffer): Decoded {
  const pending = new Pending();
  let last = 0;
  let dropped = 0;
  let start = 0;
  for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
    const line = decodeLine(bytes.toString('utf8', start, end));
    const length = end + 1 - start;
    start = end + 1;
    if (!line) dropped++;
    else if (line.kind === 'Forgotten') pending.forgetThrough(line.through);
    else pending.put(line, length);
    if (line) last = Math.max(last, line.kind === 'Forgotten' ? line.through : line.number);
  }
  return { pending, last, wholeBytes: start, dropped: dropped + (start < bytes.length ? 1 : 0) };
}

const NEWLINE = 0x0a;

const sum = (json: string): string => crc32(json).toString(16).padStart(8, '0');

function decodeLine(line: string): JournalEntry | ForgottenMark | undefined {
  const json = line.slice(9);
  if (line.slice(0, 9) !== `${sum(json)} `) return undefined;
  try {
    const value: unknown = JSON.parse(json);
    return isEntry(value) || isMark(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const fields = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

function isEntry(value: unknown): value is JournalEntry {
  const { kind, number, id, at, farm, change } = fields(value);
  return (
    kind === 'Session' &&
    Number.isSafeInteger(number) &&
    Number.isSafeInteger(at) &&
    typeof id === 'string' &&
    UUID.test(id) &&
    (farm === undefined || typeof farm === 'string') &&
    isSessionChange(change)
  );
}

function isMark(value: unknown): value is ForgottenMark {
  const { kind, through } = fields(value);
  return kind === 'Forgotten' && Number.isSafeInteger(through);
}

function isSessionChange(value: unknown): value is SessionChange {
  const { device, epoch, ended, session } = fields(value);
  return (
    typeof device === 'string' &&
    Number.isSafeInteger(epoch) &&
    typeof ended === 'boolean' &&
    (session === undefined || parseSession(JSON.stringify(session)).ok)
  );
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
