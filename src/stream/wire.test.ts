/** The golden files of the wire, one a message: the C client's tests read the same (`target/test/wire_test.c`). */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { wireText } from '../../test/golden/wire.ts';
import { decode, encode } from './packet.ts';
import { HEADER, HEADER_BYTES, messages, type PacketName, rowsOf, TYPES } from './wire.ts';

const FOLDER = join(import.meta.dirname, '../../test/golden/wire');
const NAMES = Object.keys(TYPES) as PacketName[];

test('every message has a golden file', () => {
  expect(readdirSync(FOLDER).sort()).toEqual(NAMES.map((name) => `${name}.txt`).sort());
});

test.each(NAMES)('golden: %s', (name) => {
  const text = readFileSync(join(FOLDER, `${name}.txt`), 'utf8');
  const bytes = Buffer.from(text.slice('bytes '.length, text.indexOf('\n')), 'hex');
  const decoded = decode(bytes);
  if (!decoded.ok) throw new Error(decoded.error.message);
  expect(decoded.value.type).toBe(name);
  expect(wireText(decoded.value, bytes)).toBe(text);
  expect(encode(decoded.value)).toEqual(bytes);
});

test.each(messages())('no byte of %s is of two fields, and none lies outside', (_, message) => {
  let next = HEADER_BYTES;
  for (const { at, bytes, flag } of rowsOf(message)) {
    if (flag && at < next) continue;
    expect(at).toBeGreaterThanOrEqual(typeof bytes === 'number' ? next : message.fixed);
    if (typeof bytes === 'number') next = at + bytes;
  }
  expect(next).toBeLessThanOrEqual(message.fixed);
  expect(Object.values(HEADER).flatMap((field) => field.rows(''))).toHaveLength(4);
});
