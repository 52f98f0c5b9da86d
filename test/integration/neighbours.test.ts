/** The kernel's ARP table, as TFTP asks it: the card of who has just asked is in it, before a word of ours. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

test('the card of a neighbour is known with its first packet, our own address has none', async () => {
  const script = new URL('neighbours-lan.ts', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)('unshare', ['--net', '--kill-child', process.execPath, script], {
    timeout: 300_000,
  });
  expect(JSON.parse(stdout)).toEqual({ theirs: '52:54:00:00:00:21', ours: 'unknown' });
});
