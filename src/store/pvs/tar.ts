/**
 * Files as a tar archive, by POSIX pax (IEEE 1003.1-2017, "pax", "ustar Interchange Format"): a block of 512 bytes says what comes, its data follow in whole
 * blocks, two of zeros are the end. A size that 11 octal digits do not hold, and a name that is not 100 letters of ASCII at most, stand before it in records of
 * their own (`19 size=8589934592`, the record's own length first).
 *
 * ```
 * [x: records] [file: name, size, time] [data … zeros] [file …] … [zeros] [zeros]
 * ```
 *
 * Holes of a file are zeros here, which every reader knows.
 */
import { ok, type Result } from '../../kit/result.ts';

const BLOCK_BYTES = 512;
const MOST_OCTAL_BYTES = 8 ** 11 - 1;
const MOST_NAME_BYTES = 100;

export interface TarFile<Fault> {
  readonly name: string;
  /** As many as its chunks have. */
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  readonly chunks: AsyncIterable<Result<Buffer, Fault>>;
}

type About = Omit<TarFile<never>, 'chunks'>;

/** A fault of a file is the last: what came is no archive. */
export async function* tarOf<Fault>(files: readonly TarFile<Fault>[]): AsyncGenerator<Result<Buffer, Fault>> {
  for (const { chunks, ...about } of files) {
    yield ok(header(about));
    for await (const chunk of chunks) {
      yield chunk;
      if (!chunk.ok) return;
    }
    yield ok(Buffer.alloc(paddingOf(about.sizeBytes)));
  }
  yield ok(Buffer.alloc(2 * BLOCK_BYTES));
}

export const tarBytes = (files: readonly About[]): number =>
  files.reduce(
    (sum, about) => sum + header(about).length + about.sizeBytes + paddingOf(about.sizeBytes),
    2 * BLOCK_BYTES,
  );

const paddingOf = (bytes: number): number => (BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES;

function header({ name, sizeBytes, modifiedMs }: About): Buffer {
  const isLarge = sizeBytes > MOST_OCTAL_BYTES;
  const isOdd = name.length > MOST_NAME_BYTES || /[^\x20-\x7e]/.test(name);
  const records = (isOdd ? record('path', name) : '') + (isLarge ? record('size', `${sizeBytes}`) : '');
  const file = block({ name, sizeBytes: isLarge ? 0 : sizeBytes, modifiedMs }, '0');
  if (records === '') return file;
  const data = Buffer.from(records);
  const before = block({ name: 'PaxHeader', sizeBytes: data.length, modifiedMs }, 'x');
  return Buffer.concat([before, data, Buffer.alloc(paddingOf(data.length)), file]);
}

/** Its length counts the digits of itself. */
function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(rest);
  const digits = [1, 2, 3, 4].find((many) => `${bytes + many}`.length === many) ?? 5;
  return `${bytes + digits}${rest}`;
}

const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`;

/** Owner and group are nobody's: who unpacks it has the files. */
function block({ name, sizeBytes, modifiedMs }: About, type: '0' | 'x'): Buffer {
  const bytes = Buffer.alloc(BLOCK_BYTES);
  bytes.write(name, 0, MOST_NAME_BYTES);
  bytes.write(octal(0o644, 7) + octal(0, 7) + octal(0, 7), 100);
  bytes.write(octal(sizeBytes, 11) + octal(Math.max(0, Math.floor(modifiedMs / 1_000)), 11), 124);
  bytes.write(`${' '.repeat(8)}${type}`, 148);
  bytes.write('ustar\x0000', 257);
  const sum = bytes.reduce((all, byte) => all + byte, 0);
  bytes.write(`${octal(sum, 6)} `, 148);
  return bytes;
}
