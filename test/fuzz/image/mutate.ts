/** Changes of what an image says of itself, by chance. The same for the same `Random`. */
import type { Random } from '../../simulation/random.ts';
import type { ChangingFile } from './bytes.ts';
import type { Field } from './fields.ts';
import { IDS, PATHS, type Target } from './targets.ts';

const NUMBERS = [
  0n,
  1n,
  2n,
  7n,
  511n,
  512n,
  1_536n,
  4_096n,
  65_536n,
  ...[16, 20, 21, 31, 32, 40, 47, 53, 63, 64].flatMap(around),
];

function around(power: number): bigint[] {
  return [2n ** BigInt(power) - 1n, 2n ** BigInt(power), 2n ** BigInt(power) + 512n];
}

/** How often checksums are made right again, each copy of a structure is changed alike, and the file is cut or longer. */
const [SUMMED, ALIKE, CUT] = [0.9, 0.7, 0.04];
/** How often it is a locator that is changed, of an image that has one. */
const TEXTS = 0.3;

/** Writes the file. */
export function mutate(file: ChangingFile, { fields, sum, name }: Target, random: Random): void {
  const many = random.between(1, 4);
  const texts = fields.filter(({ kind }) => kind === 'text');
  for (let change = 0; change < many; change++) {
    const field = random.of(texts.length > 0 && random.chance(TEXTS) ? texts : fields);
    changeField(file, field, random, name.includes('vhdx'));
  }
  if (random.chance(SUMMED)) sum(file);
  const size = file.bytes.length;
  file.write(random.chance(CUT) ? random.of([random.between(0, size), random.between(0, 4_096), size + 4_096]) : size);
}

function changeField(file: ChangingFile, field: Field, random: Random, littleEndian: boolean): void {
  const old = Buffer.from(file.bytes.subarray(field.at[0], (field.at[0] ?? 0) + field.bytes));
  const places = random.chance(ALIKE) ? field.at : [random.of(field.at)];
  const bytes = valueFor(field, old, random, littleEndian);
  for (const at of places) file.set(at, bytes);
}

function valueFor({ kind, bytes }: Field, old: Buffer, random: Random, littleEndian: boolean): Buffer {
  if (random.chance(0.1)) return flipped(old, random);
  switch (kind) {
    case 'number':
      return numberBytes(
        random.of([...NUMBERS, ...near(old, littleEndian), BigInt(random.word())]),
        bytes,
        littleEndian,
      );
    case 'table':
      return numberBytes(entry(old, random, littleEndian), bytes, littleEndian);
    case 'id':
      return random.of(IDS);
    case 'text':
      return textBytes(random.of(PATHS), bytes, random, littleEndian);
    case 'bytes':
      return random.bytes(bytes);
  }
}

function flipped(old: Buffer, random: Random): Buffer {
  const bytes = Buffer.from(old);
  const at = random.between(0, bytes.length - 1);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random.between(0, 7));
  return bytes;
}

const near = (old: Buffer, littleEndian: boolean): bigint[] => {
  const value = numberIn(old, littleEndian);
  return [value + 1n, value - 1n, value * 2n, value / 2n, value + 512n];
};

/** Of a VHDX state and MiB, of a VHD a sector: places where other things lie, of each other, and beyond the file. */
function entry(old: Buffer, random: Random, littleEndian: boolean): bigint {
  if (random.chance(0.2)) return random.of(NUMBERS);
  if (littleEndian) return (BigInt(random.between(0, 10)) << 20n) | BigInt(random.between(0, 7));
  return random.chance(0.3) ? 0xffffffffn : numberIn(old, false) + BigInt(random.between(-130, 130));
}

function numberIn(bytes: Buffer, littleEndian: boolean): bigint {
  const ordered = littleEndian ? bytes.toReversed() : bytes;
  return BigInt(`0x${Buffer.from(ordered).toString('hex') || '0'}`);
}

function numberBytes(value: bigint, bytes: number, littleEndian: boolean): Buffer {
  const hex = BigInt.asUintN(8 * bytes, value)
    .toString(16)
    .padStart(2 * bytes, '0');
  const big = Buffer.from(hex, 'hex');
  return littleEndian ? big.reverse() : big;
}

/** UTF-16 as the format has it, now and then the other way round; zeros behind it, or not. */
function textBytes(text: string, bytes: number, random: Random, littleEndian: boolean): Buffer {
  const utf16 = Buffer.from(text, 'utf16le').subarray(0, bytes - (bytes % 2));
  if (random.chance(0.1) || (!littleEndian && bytes === 512)) utf16.swap16();
  return random.chance(0.7) ? Buffer.concat([utf16, Buffer.alloc(bytes)], bytes) : utf16;
}
