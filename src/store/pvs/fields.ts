/** Structures of fixed size with fields at fixed places: read, and written over bytes whose rest stays as it is. Little-endian. Pure. */

export type Field =
  | { readonly kind: 'number'; readonly at: number; readonly bytes: 1 | 2 | 4 }
  | { readonly kind: 'big'; readonly at: number }
  /** UTF-16, ended by a zero where there is room for one. */
  | { readonly kind: 'text'; readonly at: number; readonly characters: number };

export type Fields = Readonly<Record<string, Field>>;

export type Values<F extends Fields> = {
  readonly [Name in keyof F]: F[Name] extends { readonly kind: 'text' }
    ? string
    : F[Name] extends { readonly kind: 'big' }
      ? bigint
      : number;
};

export const number = <At extends number>(at: At, bytes: 1 | 2 | 4) => ({ kind: 'number', at, bytes }) as const;
export const big = (at: number) => ({ kind: 'big', at }) as const;
export const text = (at: number, characters: number) => ({ kind: 'text', at, characters }) as const;

export function readFields<F extends Fields>(fields: F, bytes: Buffer): Values<F> {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, read(field, bytes)])) as Values<F>;
}

function read(field: Field, bytes: Buffer): number | bigint | string {
  switch (field.kind) {
    case 'number':
      return bytes.readUIntLE(field.at, field.bytes);
    case 'big':
      return bytes.readBigInt64LE(field.at);
    case 'text':
      return textIn(bytes.toString('utf16le', field.at, field.at + 2 * field.characters));
  }
}

const textIn = (characters: string): string => {
  const end = characters.indexOf('\0');
  return end < 0 ? characters : characters.slice(0, end);
};

/**
 * The name of the first value that its field has no room for; else undefined, and `bytes` has all of them. What is as it was is not touched: a text may lack
 * its zero, and have something behind it.
 */
export function writeFields<F extends Fields>(fields: F, values: Values<F>, bytes: Buffer): string | undefined {
  const changed = Object.entries(fields).filter(([name, field]) => read(field, bytes) !== values[name]);
  const unfit = changed.find(([name, field]) => !fits(field, values[name]));
  if (unfit) return unfit[0];
  for (const [name, field] of changed) write(field, values[name], bytes);
  return undefined;
}

/** A text has its zero. */
function fits(field: Field, value: unknown): boolean {
  switch (field.kind) {
    case 'number':
      return Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** (8 * field.bytes);
    case 'big':
      return typeof value === 'bigint' && BigInt.asIntN(64, value) === value;
    case 'text':
      return typeof value === 'string' && value.length < field.characters && !value.includes('\0');
  }
}

function write(field: Field, value: unknown, bytes: Buffer): void {
  if (field.kind === 'number') bytes.writeUIntLE(Number(value), field.at, field.bytes);
  else if (field.kind === 'big') bytes.writeBigInt64LE(BigInt(value as bigint), field.at);
  else {
    bytes.fill(0, field.at, field.at + 2 * field.characters);
    bytes.write(String(value), field.at, 'utf16le');
  }
}
