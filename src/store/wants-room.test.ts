import { expect, test } from '@jest/globals';
import type { PullReport } from './pulls.ts';
import type { WantedFile } from './wants.ts';
import { needBytes } from './wants-room.ts';

const file = (name: string, sizeBytes: number): WantedFile => ({ name, sizeBytes, sha256: 'a'.repeat(64), bases: [] });
const pull = (name: string, state: PullReport['state'], doneBytes: number, fill = 'a') => ({
  ...{ path: `/srv/${name}`, sha256: fill.repeat(64), state, doneBytes },
});
const FILES = [file('lab.initrd', 10), file('lab.raw', 1_000)];

test.each<[string, readonly WantedFile[], readonly ReturnType<typeof pull>[], number]>([
  ['nothing is lacking', [], [], 0],
  ['nothing has come yet', FILES, [], 1_010],
  ['one waits', FILES, [pull('lab.raw', 'Waiting', 0)], 1_010],
  ['one comes: its room is reserved', FILES, [pull('lab.raw', 'Running', 3)], 10],
  ['one begins: its room is being reserved', FILES, [pull('lab.raw', 'Running', 0)], 10],
  ['one came in part and failed: its room is reserved', FILES, [pull('lab.raw', 'Failed', 300)], 10],
  ['one came in part and waits', FILES, [pull('lab.raw', 'Waiting', 300)], 10],
  ['one failed before anything came', FILES, [pull('lab.raw', 'Failed', 0)], 1_010],
  ['one failed, of another content', FILES, [pull('lab.raw', 'Failed', 300, 'b')], 1_010],
  ['more came than it has', FILES, [pull('lab.raw', 'Failed', 3_000)], 10],
])('room that is needed: %s', (_, files, pulls, needed) => {
  expect(needBytes({ folder: '/srv', files }, pulls)).toBe(needed);
});
