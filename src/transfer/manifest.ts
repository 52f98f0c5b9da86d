/**
 * The chunk manifest of a file: what its pieces of one size are, so that each can come from elsewhere and be proved by itself. Big-endian.
 *
 * ```
 * 0  "bfchunk1"   8  bytes a chunk, u32   12  bytes of the file, u64   20  SHA-256 of the file, 32 bytes
 * 52  a bit a chunk, the highest first: it is zeros, and has no digest       then 32 bytes a chunk that is not: its SHA-256
 * ```
 *
 * Its root is the SHA-256 of all of that. Who knows the root knows each chunk; who knows the file's digest alone believes the manifest when the whole file was
 * made by it and has that digest.
 */
import { hash } from 'node:crypto';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';

export interface Manifest {
  readonly sizeBytes: number;
  /** The last chunk may be shorter. */
  readonly chunkBytes: number;
  readonly chunks: number;
  /** Of the whole file: 64 hex digits. */
  readonly sha256: string;
  /** Of the encoded manifest: 64 hex digits. */
  readonly root: string;
  /** 32 bytes a chunk; shared between threads. Those of zeros are zeros. */
  readonly digests: Uint8Array<SharedArrayBuffer>;
  /** A byte a chunk: 1 where it is zeros. */
  readonly zeros: Uint8Array<SharedArrayBuffer>;
  readonly encoded: Buffer;
}

/** What is said of a file without its manifest. */
export type ManifestFacts = Pick<Manifest, 'sizeBytes' | 'chunkBytes' | 'chunks' | 'sha256' | 'root'>;

export const DIGEST_BYTES = 32;
/**
 * Of 4 GiB with 5 % of its pages changed, chunks of 64, 256 and 1,024 KiB carry 5.5, 7.1 and 13.3 % where clusters are up to 4 MiB, and 9.6, 23 and 59 % where they are
 * up to 256 KiB. SHA-256 takes 1.36 GB/s of 64 KiB, and 1.45 of 1 MiB. A manifest is 0.05 % of its file.
 */
export const LEAST_CHUNK_BYTES = 64 << 10;
const MOST_CHUNK_BYTES = 2 << 20;
/** What is asked for, and held, at once. */
export const MAX_SLOT_BYTES = 2 << 20;
/** 32 MiB of manifest. Files beyond 64 GiB have larger chunks. */
const MAX_CHUNKS = 1 << 20;
const MAX_FILE_BYTES = MAX_CHUNKS * MOST_CHUNK_BYTES;
const MAGIC = Buffer.from('bfchunk1');
const AT = { chunkBytes: 8, sizeBytes: 12, sha256: 20, zeros: 52 } as const;
/** Of what `decodeHead` reads. */
export const HEAD_BYTES = AT.zeros;
export const MAX_MANIFEST_BYTES = AT.zeros + MAX_CHUNKS / 8 + MAX_CHUNKS * DIGEST_BYTES;

export type ManifestFault = Fault<'ManifestInvalid'>;

/** The same for all who have a file of that size. Undefined: a file so large has no manifest. */
export function chunkBytesOf(sizeBytes: number): number | undefined {
  if (sizeBytes > MAX_FILE_BYTES) return undefined;
  let bytes = LEAST_CHUNK_BYTES;
  while (bytes * MAX_CHUNKS < sizeBytes) bytes *= 2;
  return bytes;
}

type Shape = Pick<Manifest, 'sizeBytes' | 'chunkBytes'>;

export const lengthOf = ({ sizeBytes, chunkBytes }: Shape, chunk: number): number =>
  Math.min(chunkBytes, sizeBytes - chunk * chunkBytes);

export const countOf = ({ sizeBytes, chunkBytes }: Shape): number => Math.ceil(sizeBytes / chunkBytes);

export interface Parts extends Shape {
  /** 64 hex digits. */
  readonly sha256: string;
  readonly digests: Uint8Array;
  readonly zeros: Uint8Array;
}

export function encode(parts: Parts): Manifest {
  const chunks = countOf(parts);
  const data = parts.zeros.subarray(0, chunks).reduce((sum, zero) => sum + 1 - zero, 0);
  const bitmapBytes = Math.ceil(chunks / 8);
  const encoded = Buffer.alloc(AT.zeros + bitmapBytes + data * DIGEST_BYTES);
  encoded.set(MAGIC);
  encoded.writeUInt32BE(parts.chunkBytes, AT.chunkBytes);
  encoded.writeBigUInt64BE(BigInt(parts.sizeBytes), AT.sizeBytes);
  encoded.write(parts.sha256, AT.sha256, 'hex');
  for (let chunk = 0; chunk < chunks; chunk++)
    if (parts.zeros[chunk] === 1)
      encoded[AT.zeros + (chunk >> 3)] = (encoded[AT.zeros + (chunk >> 3)] ?? 0) | (0x80 >> (chunk & 7));
  let to = AT.zeros + bitmapBytes;
  for (const [from, end] of dataRuns(parts.zeros, chunks)) {
    encoded.set(parts.digests.subarray(from * DIGEST_BYTES, end * DIGEST_BYTES), to);
    to += (end - from) * DIGEST_BYTES;
  }
  return read(encoded, parts);
}

/** Compared at once: of a million chunks nearly all are alike. */
const ALIKE = 1 << 10;

/** Chunks that are not the same in both, in order; all of them where the chunks are others. */
export function differing(one: Manifest, other: Manifest): number[] {
  if (one.sizeBytes !== other.sizeBytes || one.chunkBytes !== other.chunkBytes)
    return Array.from({ length: one.chunks }, (_, chunk) => chunk);
  const found: number[] = [];
  // What is zeros has a digest of zeros, and nothing else has.
  const same = (from: number, to: number) => Buffer.compare(digestsOf(one, from, to), digestsOf(other, from, to)) === 0;
  for (let from = 0; from < one.chunks; from += ALIKE) {
    const to = Math.min(one.chunks, from + ALIKE);
    if (same(from, to)) continue;
    for (let chunk = from; chunk < to; chunk++) if (!same(chunk, chunk + 1)) found.push(chunk);
  }
  return found;
}

const digestsOf = ({ digests }: Manifest, from: number, to: number): Uint8Array =>
  digests.subarray(from * DIGEST_BYTES, to * DIGEST_BYTES);

const invalid = (what: string) => fail('ManifestInvalid', `a chunk manifest ${what}`);

/** What its first bytes say of the file. Whether the rest fits is not looked at. */
export function decodeHead(encoded: Buffer): Result<Omit<ManifestFacts, 'root'>, ManifestFault> {
  if (encoded.length < AT.zeros) return invalid(`has ${encoded.length} bytes, and ${AT.zeros} at least`);
  if (!encoded.subarray(0, MAGIC.length).equals(MAGIC)) return invalid(`begins with "${MAGIC}", and this does not`);
  const chunkBytes = encoded.readUInt32BE(AT.chunkBytes);
  if (chunkBytes < LEAST_CHUNK_BYTES || chunkBytes > MOST_CHUNK_BYTES || (chunkBytes & (chunkBytes - 1)) !== 0)
    return invalid(`has chunks of a power of two from ${LEAST_CHUNK_BYTES} to ${MOST_CHUNK_BYTES}, not ${chunkBytes}`);
  const size = encoded.readBigUInt64BE(AT.sizeBytes);
  if (size > BigInt(chunkBytes) * BigInt(MAX_CHUNKS)) return invalid(`has ${MAX_CHUNKS} chunks at most: ${size} bytes`);
  const shape = { sizeBytes: Number(size), chunkBytes };
  return ok({ ...shape, chunks: countOf(shape), sha256: encoded.toString('hex', AT.sha256, AT.zeros) });
}

/** Total: any bytes give a manifest or a fault. One that is decoded encodes to the same bytes. */
export function decode(encoded: Buffer): Result<Manifest, ManifestFault> {
  const head = decodeHead(encoded);
  if (!head.ok) return head;
  const { chunks } = head.value;
  const bitmap = encoded.subarray(AT.zeros, AT.zeros + Math.ceil(chunks / 8));
  let zeros = 0;
  for (let bit = 0; bit < bitmap.length * 8; bit++) {
    if (!isSet(bitmap, bit)) continue;
    if (bit >= chunks) return invalid(`says of chunk ${bit} that it is zeros, and has ${chunks}`);
    zeros++;
  }
  const length = AT.zeros + Math.ceil(chunks / 8) + (chunks - zeros) * DIGEST_BYTES;
  if (encoded.length !== length) return invalid(`of ${chunks} chunks has ${length} bytes, not ${encoded.length}`);
  return ok(read(encoded, head.value));
}

const isSet = (bitmap: Uint8Array, bit: number): boolean => ((bitmap[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0;

/** Chunks that have digests, from the one to before the other: of 64 GiB each by itself took 130 ms, and these take 56. */
function* dataRuns(all: Uint8Array, chunks: number): Generator<readonly [from: number, end: number]> {
  const zeros = all.subarray(0, chunks);
  for (let end = 0; ; ) {
    const from = zeros.indexOf(0, end);
    if (from < 0) return;
    const next = zeros.indexOf(1, from);
    end = next < 0 ? chunks : next;
    yield [from, end];
  }
}

/** Of bytes that were judged. */
function read(encoded: Buffer, { sizeBytes, chunkBytes }: Shape): Manifest {
  const chunks = countOf({ sizeBytes, chunkBytes });
  const digests = new Uint8Array(new SharedArrayBuffer(chunks * DIGEST_BYTES));
  const zeros = new Uint8Array(new SharedArrayBuffer(chunks));
  const bitmap = encoded.subarray(AT.zeros);
  let from = AT.zeros + Math.ceil(chunks / 8);
  for (let chunk = 0; chunk < chunks; chunk++) if (isSet(bitmap, chunk)) zeros[chunk] = 1;
  for (const [first, end] of dataRuns(zeros, chunks)) {
    const bytes = (end - first) * DIGEST_BYTES;
    digests.set(encoded.subarray(from, from + bytes), first * DIGEST_BYTES);
    from += bytes;
  }
  const sha256 = encoded.toString('hex', AT.sha256, AT.zeros);
  const root = hash('sha256', encoded, 'hex');
  return { sizeBytes, chunkBytes, chunks, sha256, root, digests, zeros, encoded };
}
