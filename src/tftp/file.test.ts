import { expect, test } from '@jest/globals';
import { fail, ok } from '../kit/result.ts';
import { fileFor } from './file.ts';
import type { TftpFile } from './transfer.ts';

const FILE: TftpFile = { sizeBytes: 3, read: () => Buffer.from('abc') };
const open = (name: string) => (['undionly.kpxe', 'Odd Name'].includes(name) ? ok(FILE) : fail('NotFound', name));

/** What is served by this name: `as sent`, the name it was mended to, or the fault. */
async function served(name: string): Promise<string> {
  let by = 'as sent';
  const file = await fileFor({ type: 'RRQ', name, mode: 'octet', options: [] }, open, (known) => {
    by = known;
  });
  return file.ok ? by : file.error.code;
}

test.each([
  ['as DHCP gave it', 'undionly.kpxe', 'as sent'],
  ['a name that the table has in upper case', 'Odd Name', 'as sent'],
  ['with the end of the options behind it', 'undionly.kpxe\xff', 'undionly.kpxe'],
  ['with the option behind it', 'undionly.kpxe\xff\x01 abc\n', 'undionly.kpxe'],
  ['with a line end', 'undionly.kpxe\r\n', 'undionly.kpxe'],
  ['with a root', '/undionly.kpxe', 'undionly.kpxe'],
  ['with a root of Windows', '\\undionly.kpxe', 'undionly.kpxe'],
  ['with two', '//undionly.kpxe', 'undionly.kpxe'],
  ['in upper case', 'UNDIONLY.KPXE', 'undionly.kpxe'],
  ['all of it', '\\UnDIonly.kpxe\xff', 'undionly.kpxe'],
  ['with letters behind it: another name', 'undionly.kpxex', 'NotFound'],
  ['in a folder: another name', '/boot/undionly.kpxe', 'NotFound'],
  ['nothing but what is cut', '/\xff', 'NotFound'],
])('a name %s', async (_, name, expected) => {
  expect(await served(name)).toBe(expected);
});
