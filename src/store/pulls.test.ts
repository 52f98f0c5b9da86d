import { expect, test } from '@jest/globals';
import type { VersionFile } from '../farm/model.ts';
import { copyingOf, type PullReport, parsePulls } from './pulls.ts';

const MIB = 1 << 20;
const file = (name: string, mib: number): VersionFile => ({
  name,
  sizeBytes: mib * MIB,
  sha256: name.repeat(64).slice(0, 64),
});
const RAW = file('a', 80);
const INITRD = file('b', 20);
const wanted = (...files: readonly VersionFile[]) => ({
  folder: '/srv',
  files: files.map((one) => ({ ...one, bases: [] })),
});
const pull = (of: VersionFile, more: Partial<PullReport>): PullReport => ({
  ...{
    path: `/srv/${of.name}`,
    sha256: of.sha256,
    state: 'Running',
    doneBytes: 0,
    totalBytes: of.sizeBytes,
    message: '',
  },
  ...more,
});

test.each<{ what: string; wants: readonly VersionFile[]; pulls: readonly PullReport[]; says: unknown }>([
  { what: 'nothing is lacking', wants: [], pulls: [], says: undefined },
  { what: 'what is lacking is another version’s', wants: [file('c', 1)], pulls: [], says: undefined },
  {
    what: 'nothing began: what is here counts',
    wants: [RAW],
    pulls: [],
    says: { progressPercent: 20, message: 'a: 80.0 MiB of 100 MiB come from other servers' },
  },
  {
    what: 'half of the image came',
    wants: [RAW],
    pulls: [pull(RAW, { doneBytes: 40 * MIB, secondsLeft: 7 })],
    says: { progressPercent: 60, secondsLeft: 7 },
  },
  {
    what: 'all came, and is not looked at yet',
    wants: [RAW],
    pulls: [pull(RAW, { doneBytes: 80 * MIB })],
    says: { progressPercent: 99 },
  },
  {
    what: 'one failed, and another comes',
    wants: [RAW, INITRD],
    pulls: [pull(RAW, { state: 'Failed', message: 'full' }), pull(INITRD, { doneBytes: 10 * MIB })],
    says: { progressPercent: 10, message: 'a, b: 100 MiB of 100 MiB come from other servers' },
  },
  {
    what: 'one failed, and nothing comes',
    wants: [RAW, INITRD],
    pulls: [pull(RAW, { state: 'Failed', message: 'full' })],
    says: { progressPercent: 0, message: 'full; it is tried again by itself', fails: true },
  },
  {
    what: 'what comes is another content',
    wants: [RAW],
    pulls: [pull(RAW, { sha256: '9'.repeat(64), doneBytes: 5 })],
    says: { progressPercent: 20 },
  },
  {
    what: 'what comes is in another store',
    wants: [RAW],
    pulls: [pull(RAW, { path: '/data/a', doneBytes: 5 })],
    says: { progressPercent: 20 },
  },
])('$what', ({ wants, pulls, says }) => {
  const copying = copyingOf([RAW, INITRD], wanted(...wants), pulls);
  if (says === undefined) expect(copying).toBeUndefined();
  else expect(copying).toMatchObject(says as object);
});

test.each(['', '[]', '{}', '{"pulls":[{"path":"a"}],"copiedBytes":0,"blamed":0}'])('%j is no list of pulls', (text) =>
  expect(parsePulls(text)).toBeUndefined(),
);
