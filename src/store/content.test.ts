import { expect, test } from '@jest/globals';
import type { VersionFile } from '../farm/model.ts';
import { contentOf } from './content.ts';
import type { Digest } from './digests.ts';
import type { FileFacts, Inventory } from './inventory.ts';

const [GOOD, BAD] = ['a'.repeat(64), 'b'.repeat(64)];
const IDENTITY = '1:512:5:5';
const file = (more: Partial<FileFacts> = {}): FileFacts => ({
  name: 'lab.raw',
  sizeBytes: 512,
  identity: IDENTITY,
  ...more,
});
const folder = (files: readonly FileFacts[], state: Inventory['state'] = 'Accessible'): Inventory => ({
  state,
  files,
  freeBytes: 0,
  totalBytes: 0,
  message: '',
});
const right: readonly VersionFile[] = [{ name: 'lab.raw', sizeBytes: 512, sha256: GOOD }];
const ready: Digest = { kind: 'ready', sha256: GOOD };

test.each<{ what: string; inventory?: Inventory; digest?: Digest; is: string }>([
  { what: 'whose folder was not looked into', is: 'Unseen' },
  { what: 'whose folder is silent', inventory: folder([], 'Unreachable'), is: 'Unseen' },
  { what: 'whose folder is gone', inventory: folder([], 'Missing'), is: 'Elsewhere' },
  { what: 'that was removed', inventory: folder([]), is: 'Elsewhere' },
  { what: 'that was replaced', inventory: folder([file({ identity: '2:512:5:7' })]), is: 'Elsewhere' },
  {
    what: 'in whose place is a folder',
    inventory: folder([file({ fault: { code: 'NotRegular', message: '' } })]),
    is: 'Elsewhere',
  },
  { what: 'that is right', inventory: folder([file()]), is: 'Right' },
  { what: 'that is wrong', inventory: folder([file()]), digest: { kind: 'ready', sha256: BAD }, is: 'Wrong' },
  {
    what: 'that is read for its digest',
    inventory: folder([file()]),
    digest: { kind: 'hashing', progressPercent: 1 },
    is: 'Hashing',
  },
  {
    what: 'that cannot be read for its digest',
    inventory: folder([file()]),
    digest: { kind: 'failed', message: 'EIO' },
    is: 'Elsewhere',
  },
])('the content of an open file $what: $is', ({ inventory, digest = ready, is }) => {
  expect(contentOf([{ name: 'lab.raw', identity: IDENTITY }], right, inventory, () => digest)).toBe(is);
});

test('of several files the worst is said', () => {
  const files = [file(), file({ name: 'base.raw' })];
  const digestOf = ({ name }: FileFacts): Digest => (name === 'lab.raw' ? ready : { kind: 'ready', sha256: BAD });
  expect(contentOf(files, right, folder(files), digestOf)).toBe('Wrong');
});
