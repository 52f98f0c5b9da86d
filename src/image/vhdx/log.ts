/**
 * The log of a VHDX that was not closed: what is written in it and not yet in its place. It is laid over the file in memory, and the file stays as it is.
 * Little-endian. Source: [MS-VHDX] 2.3. Pure.
 *
 * ```
 * ring of sectors of 4 KiB    [entry 7: head sector │ data │ data][entry 8: head sector │ data][older entries …]
 * entry        0 "loge" (4)  4 checksum of it all (4)  8 its bytes (4)  12 tail: where the first entry that is still needed begins (4)
 *              16 sequence number (8)  24 descriptors (4)  28 (4)  32 log GUID (16)  48 flushed file offset (8)  56 last file offset (8)
 * descriptors  from 64 on, 32 bytes each, on into as many sectors as they need
 *   data       0 "desc" (4)  4 last 4 bytes of the page (4)  8 its first 8 bytes (8)  16 file offset (8)  24 sequence number (8)
 *   zeros      0 "zero" (4)  4 (4)  8 length (8)  16 file offset (8)  24 sequence number (8)
 * data sector  0 "data" (4)  4 high half of the sequence number (4)  8 the page without its first 8 and last 4 bytes (4084)  4092 low half (4)
 * ```
 */
import { fail, ok, type Result } from '../../kit/result.ts';
import type { ImageFault } from '../disk.ts';
import { PAGE_BYTES, type Pages } from '../file.ts';
import { checksumOf } from './crc32c.ts';
import { guidAt } from './guid.ts';
import type { Header } from './header.ts';

/** Held in memory while it is read; Windows and qemu make logs of 1 MiB. */
export const MAX_LOG_BYTES = 32 << 20;
/** That are laid over the file, each as often as it is: 1 GiB of zeros, or as many pages as a log holds. */
const MAX_PAGES = 262_144;
/** Checksums of entries that lie over each other, as only somebody makes them, are computed for so many times the log. */
const MAX_CHECKED = 8;

/** From entry to entry, in all that is tried: one that is newer than a torn one begins where that did, so each try may be as long as the log. */
const MAX_STEPS = 1_000_000;

const HEAD_BYTES = 64;
const DESCRIPTOR_BYTES = 32;
const SECTOR_BYTES = PAGE_BYTES;

export interface Replayed {
  readonly pages: Pages;
  /** At least so long the file is with them: it may have grown, and that not have reached the disk. */
  readonly sizeBytes: number;
}

interface Entry {
  readonly at: number;
  readonly length: number;
  readonly tail: number;
  readonly sequence: bigint;
  readonly flushedBytes: bigint;
  readonly lastBytes: bigint;
}

/** `log`: all of it. Which entries count is 2.3.3: the newest that is whole, and all from its tail on. `fileBytes`: of the file as it is. */
export function replay(
  log: Buffer,
  { guid, version }: NonNullable<Header['log']>,
  fileBytes: number,
): Result<Replayed, ImageFault> {
  if (version !== 0) return fail('NotSupported', `its log has version ${version}, and this release reads version 0`);
  const active = activeSequence(log, guid);
  const head = active.at(-1);
  if (!head)
    return fail(
      'ImageInvalid',
      'it was not closed, and its log has no entry that is whole: copy it again after it was closed',
    );
  if (head.flushedBytes > BigInt(fileBytes))
    return fail(
      'FileCut',
      `it has ${fileBytes} bytes, and had ${head.flushedBytes} when its log was written: it was cut; copy it again`,
    );
  const most = BigInt(fileBytes) + BigInt(MAX_PAGES * PAGE_BYTES);
  const longest = active.find(({ lastBytes }) => lastBytes > most);
  if (longest) return fail('NotSupported', tooMuch(`makes the file ${longest.lastBytes} bytes long`));
  const pages = new Map<number, Buffer | undefined>();
  const budget = { pages: MAX_PAGES };
  for (const entry of active)
    if (!layEntry(log, entry, pages, budget)) return fail('NotSupported', tooMuch('has more than 1 GiB'));
  return ok({ pages, sizeBytes: Math.max(fileBytes, ...active.map(({ lastBytes }) => Number(lastBytes))) });
}

const tooMuch = (what: string): string =>
  `it was not closed, and its log ${what}: attach and detach it where it was made, then copy it again`;

/** The longest of them that ends with the newest entry is found at once: newest first, each from its own tail. */
function activeSequence(log: Buffer, guid: string): readonly Entry[] {
  const entries = new Map(entriesOf(log, guid).map((entry) => [entry.at, entry]));
  const budget = { bytes: Math.max(MAX_CHECKED * log.length, MAX_LOG_BYTES) };
  const whole = new Map<number, boolean>();
  const isWhole = (entry: Entry): boolean => {
    const known = whole.get(entry.at) ?? check(log, entry, budget);
    whole.set(entry.at, known);
    return known;
  };
  const steps = { left: MAX_STEPS };
  const newestFirst = [...entries.values()].sort(
    (a, b) => Number(b.sequence > a.sequence) - Number(b.sequence < a.sequence),
  );
  for (const head of newestFirst) {
    const sequence = fromTail(head, entries, log.length, (entry) => whole.get(entry.at) === false, steps);
    if (sequence?.every(isWhole)) return sequence;
  }
  return [];
}

/** Where the next begins, the last one ended, and its number is one more. Undefined: the head is not reached, or beyond one that is known to be torn. */
function fromTail(
  head: Entry,
  entries: ReadonlyMap<number, Entry>,
  logBytes: number,
  isTorn: (entry: Entry) => boolean,
  steps: { left: number },
): readonly Entry[] | undefined {
  const sequence: Entry[] = [];
  for (let entry = entries.get(head.tail); entry; entry = entries.get((entry.at + entry.length) % logBytes)) {
    if (isTorn(entry) || steps.left-- === 0) return undefined;
    const last = sequence.at(-1);
    if (last && entry.sequence !== last.sequence + 1n) return undefined;
    sequence.push(entry);
    if (entry === head) return sequence;
  }
  return undefined;
}

/** By their heads alone: at any sector, also what is left of older ones. */
function entriesOf(log: Buffer, guid: string): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; at + SECTOR_BYTES <= log.length; at += SECTOR_BYTES) {
    if (log.toString('latin1', at, at + 4) !== 'loge' || guidAt(log, at + 32) !== guid) continue;
    const length = log.readUInt32LE(at + 8);
    const sequence = log.readBigUInt64LE(at + 16);
    if (length === 0 || length % SECTOR_BYTES !== 0 || length > log.length || sequence === 0n) continue;
    const [flushedBytes, lastBytes] = [log.readBigUInt64LE(at + 48), log.readBigUInt64LE(at + 56)];
    entries.push({ at, length, tail: log.readUInt32LE(at + 12), sequence, flushedBytes, lastBytes });
  }
  return entries;
}

/** A write that was torn has a wrong checksum, or a sector of another sequence number. */
function check(log: Buffer, entry: Entry, budget: { bytes: number }): boolean {
  budget.bytes -= entry.length;
  if (budget.bytes < 0) return false;
  const bytes = bytesOf(log, entry);
  return bytes.readUInt32LE(4) === checksumOf(bytes, 4) && descriptorsOf(bytes, entry) !== undefined;
}

/** In one piece, also where it goes on at the beginning of the ring. */
function bytesOf(log: Buffer, { at, length }: Entry): Buffer {
  const end = at + length;
  return end <= log.length
    ? log.subarray(at, end)
    : Buffer.concat([log.subarray(at), log.subarray(0, end - log.length)]);
}

interface Descriptor {
  readonly offset: bigint;
  readonly length: bigint;
  /** Undefined: zeros. */
  readonly page?: Buffer;
}

/** Undefined: one of them is none. */
function descriptorsOf(bytes: Buffer, { sequence }: Entry): readonly Descriptor[] | undefined {
  const many = bytes.readUInt32LE(24);
  if (many > (bytes.length - HEAD_BYTES) / DESCRIPTOR_BYTES) return undefined;
  let data = Math.ceil((HEAD_BYTES + many * DESCRIPTOR_BYTES) / SECTOR_BYTES) * SECTOR_BYTES;
  const found: Descriptor[] = [];
  for (let index = 0; index < many; index++) {
    const at = HEAD_BYTES + index * DESCRIPTOR_BYTES;
    const what = bytes.toString('latin1', at, at + 4);
    const offset = bytes.readBigUInt64LE(at + 16);
    const length = what === 'zero' ? bytes.readBigUInt64LE(at + 8) : BigInt(PAGE_BYTES);
    const isRight = bytes.readBigUInt64LE(at + 24) === sequence && inPages(offset) && inPages(length);
    if (!isRight || (what !== 'zero' && what !== 'desc')) return undefined;
    if (what === 'zero') {
      found.push({ offset, length });
      continue;
    }
    const page = pageOf(bytes.subarray(at, at + DESCRIPTOR_BYTES), bytes.subarray(data, data + SECTOR_BYTES), sequence);
    if (!page) return undefined;
    found.push({ offset, length, page });
    data += SECTOR_BYTES;
  }
  return found;
}

const inPages = (bytes: bigint): boolean => bytes % BigInt(PAGE_BYTES) === 0n;

/** Its first and last bytes are in the descriptor, for a signature and the number take their place in the sector. */
function pageOf(descriptor: Buffer, sector: Buffer, sequence: bigint): Buffer | undefined {
  if (sector.length < SECTOR_BYTES || sector.toString('latin1', 0, 4) !== 'data') return undefined;
  const number = (BigInt(sector.readUInt32LE(4)) << 32n) | BigInt(sector.readUInt32LE(SECTOR_BYTES - 4));
  if (number !== sequence) return undefined;
  return Buffer.concat([descriptor.subarray(8, 16), sector.subarray(8, SECTOR_BYTES - 4), descriptor.subarray(4, 8)]);
}

/** Later entries lie over earlier ones. False: it lays more pages than there may be. */
function layEntry(
  log: Buffer,
  entry: Entry,
  pages: Map<number, Buffer | undefined>,
  budget: { pages: number },
): boolean {
  for (const { offset, length, page } of descriptorsOf(bytesOf(log, entry), entry) ?? []) {
    const many = length / BigInt(PAGE_BYTES);
    if (many > BigInt(budget.pages) || offset > BigInt(Number.MAX_SAFE_INTEGER)) return false;
    budget.pages -= Number(many);
    const first = Number(offset) / PAGE_BYTES;
    for (let number = first; number < first + Number(many); number++) pages.set(number, page);
  }
  return true;
}
