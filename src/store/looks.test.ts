import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { until } from '../../test/setup/time.ts';
import { FOLDER_CALLS, type FolderCalls } from './inventory.ts';
import { Looks, slowness } from './looks.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bootfarm-looks-'));
  for (const folder of ['slow', 'well']) {
    mkdirSync(join(root, folder));
    writeFileSync(join(root, folder, 'lab.raw'), Buffer.alloc(512));
  }
});
afterEach(() => rmSync(root, { recursive: true }));

/** Each call into the folder `slow` waits for this first. */
function callsAfter(wait: () => Promise<unknown>): FolderCalls {
  const slowly =
    <T>(call: (path: string) => Promise<T>) =>
    async (path: string): Promise<T> => {
      if (path.startsWith(join(root, 'slow'))) await wait();
      return call(path);
    };
  const { statfs, readdir, leadsTo, stat, mayWrite } = FOLDER_CALLS;
  return {
    ...{ statfs: slowly(statfs), readdir: slowly(readdir), leadsTo: slowly(leadsTo) },
    ...{ stat: slowly(stat), mayWrite: slowly(mayWrite) },
  };
}

test('a folder whose first look goes on is unknown, and holds up no other', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const looks = new Looks({ calls: callsAfter(() => promise) }, 10);
  const both = () => Promise.all(['slow', 'well'].map((name) => looks.into(join(root, name))));
  await until('the other is seen', async () => (await both())[1]?.state === 'Accessible');
  expect((await both())[0]).toBeUndefined();
  resolve();
});

test('a folder that became slow is as its last look found it, until the next one ends', async () => {
  let gate: Promise<void> = Promise.resolve();
  const looks = new Looks({ calls: callsAfter(() => gate) }, 10);
  const names = async (): Promise<unknown> =>
    (await looks.into(join(root, 'slow')))?.files.map(({ name }) => name).sort();
  await until('it is seen', names);
  const { promise, resolve } = Promise.withResolvers<void>();
  gate = promise;
  writeFileSync(join(root, 'slow', 'new.raw'), Buffer.alloc(512));
  for (let round = 0; round < 5; round++) expect(await names()).toEqual(['lab.raw']);
  resolve();
  await until('the new file is seen', async () => (await looks.into(join(root, 'slow')))?.files.length === 2);
});

test('a folder that answers nothing for longer than the time-out is Unreachable, and so again at once', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const looks = new Looks({ calls: callsAfter(() => promise), timeoutMs: 30 }, 1_000);
  for (let round = 0; round < 3; round++)
    expect(await looks.into(join(root, 'slow'))).toMatchObject({ state: 'Unreachable', files: [] });
  resolve();
});

test('many files, each of which takes long, are looked at to their end; slow is said of two looks in a row', async () => {
  for (let file = 0; file < 60; file++) writeFileSync(join(root, 'slow', `lab.${file}.initrd`), '');
  let clock = 0;
  const wait = (): Promise<unknown> => {
    clock += 10_000 / 60;
    return delay(5);
  };
  const looks = new Looks({ calls: callsAfter(wait), timeoutMs: 100 }, 10_000, () => clock);
  const look = () => looks.into(join(root, 'slow'));
  expect(await look()).toMatchObject({ state: 'Accessible', message: '', files: { length: 61 } });
  expect(await look()).toMatchObject({
    message: expect.stringContaining('is slow: a look at its files takes more than 10 s'),
  });
});

test.each([
  { ms: 1_999, says: '' },
  { ms: 2_000, says: 'more than 2 s' },
  { ms: 4_999, says: 'more than 2 s' },
  { ms: 7_000, says: 'more than 5 s' },
  { ms: 10_000, says: 'more than 10 s' },
  { ms: 123_000, says: 'more than 100 s' },
])('$ms ms a look: $says', ({ ms, says }) => {
  if (says === '') expect(slowness('/srv', ms)).toBe('');
  else expect(slowness('/srv', ms)).toContain(`/srv is slow: a look at its files takes ${says}`);
});

test('a look that began before another file system was mounted there says nothing of that one', async () => {
  let mount = 'old';
  let gate: Promise<void> = Promise.resolve();
  let reached = 0;
  /** Its last question: by then it has seen all files. */
  const mayWrite = async (path: string): Promise<boolean> => {
    reached++;
    await gate;
    return FOLDER_CALLS.mayWrite(path);
  };
  const looks = new Looks({ calls: { ...FOLDER_CALLS, mayWrite } }, 10);
  const look = async (): Promise<number | undefined> =>
    (await looks.into(join(root, 'slow'), () => mount))?.files.length;
  await until('the old one is seen', async () => (await look()) === 1);
  const { promise, resolve } = Promise.withResolvers<void>();
  gate = promise;
  const before = reached;
  await until('another look waits', async () => (await look()) === 1 && reached > before);
  mount = 'new';
  writeFileSync(join(root, 'slow', 'new.raw'), Buffer.alloc(512));
  const seen = [await look()];
  resolve();
  await until('the new one is seen', async () => seen.push(await look()) > 0 && seen.at(-1) === 2);
  expect(new Set(seen)).toEqual(new Set([undefined, 2]));
});

test('of a folder of very many files a change is seen at once where the kernel tells of it, and else by a look that is rare', async () => {
  const many = Array.from({ length: 5_001 }, (_, at) => ({ name: `${at}.initrd`, isSymbolicLink: () => false }));
  let clock = 0;
  let reads = 0;
  const calls: FolderCalls = {
    ...FOLDER_CALLS,
    async readdir(path) {
      reads++;
      clock += 1_000;
      return [...many, ...(await FOLDER_CALLS.readdir(path))];
    },
    stat: async () => FOLDER_CALLS.stat(join(root, 'well', 'lab.raw')),
  };
  const looks = new Looks({ calls }, 60_000, () => clock);
  const folder = join(root, 'well');
  const look = async (): Promise<number> => (await looks.into(folder))?.files.length ?? 0;
  const before = await look();
  expect([await look(), await look(), reads]).toEqual([before, before, 1]);
  clock += 4_000;
  expect([await look(), await look(), reads]).toEqual([before, before, 2]);
  for (let file = 0; file < 100; file++) writeFileSync(join(folder, `new-${file}.initrd`), '');
  await until('they are seen, and the clock stands', async () => (await look()) === before + 100);
  expect(reads).toBeLessThanOrEqual(4);
  looks.close();
});
