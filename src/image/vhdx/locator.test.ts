import { expect, test } from '@jest/globals';
import { cpuMs } from '../../../test/setup/time.ts';
import { decodeLocator } from './locator.ts';

const ENTRIES_AT = 20;
const ENTRY_BYTES = 12;

function locator(entries: readonly (readonly [key: string, value: string])[]): Buffer {
  const texts = entries.flatMap(([key, value]) => [Buffer.from(key, 'utf16le'), Buffer.from(value, 'utf16le')]);
  const head = Buffer.alloc(ENTRIES_AT + entries.length * ENTRY_BYTES);
  Buffer.from('b7ef4ab09ed1814ab78925b8e9445913', 'hex').copy(head);
  head.writeUInt16LE(entries.length, 18);
  let at = head.length;
  texts.forEach((text, index) => {
    const entry = ENTRIES_AT + Math.floor(index / 2) * ENTRY_BYTES;
    head.writeUInt32LE(at, entry + (index % 2) * 4);
    head.writeUInt16LE(text.length, entry + 8 + (index % 2) * 2);
    at += text.length;
  });
  return Buffer.concat([head, ...texts]);
}

const LINKAGE = ['parent_linkage', '{83ed7fd4-7b1e-4a5f-8f2b-1b2c3d4e5f60}'] as const;

test('it names its parent; other keys say nothing', () => {
  const decoded = decodeLocator(locator([['x', 'y'], LINKAGE, ['relative_path', '.\\\\base.vhdx']]));
  expect(decoded).toMatchObject({ ok: true, value: { names: ['base.vhdx'] } });
});

test('keys and values without end, each over the others, cost nothing', async () => {
  const bytes = Buffer.alloc(1 << 20, 'ab');
  locator([LINKAGE]).copy(bytes);
  bytes.writeUInt16LE(65_535, 18);
  for (let index = 1; index < 65_535; index++) {
    const entry = ENTRIES_AT + index * ENTRY_BYTES;
    bytes.writeUInt32LE(786_500 + 2 * (index % 80_000), entry);
    bytes.writeUInt32LE(786_500 + 2 * (index % 80_000), entry + 4);
    bytes.writeUInt16LE(65_534, entry + 8);
    bytes.writeUInt16LE(65_534, entry + 10);
  }
  const before = process.memoryUsage().heapUsed;
  const ms = await cpuMs(() => decodeLocator(bytes));
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 << 20);
  expect(ms).toBeLessThan(1_000);
});
