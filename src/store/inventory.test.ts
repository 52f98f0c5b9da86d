import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  type StatsFs,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Format } from '../image/disk.ts';
import { openRegular, PARTIAL } from '../kit/file.ts';
import { fail, ok } from '../kit/result.ts';
import { FOLDER_CALLS, type FolderCalls, lookInto, type Probed } from './inventory.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bootfarm-inventory-'));
  writeFileSync(join(folder, 'lab.raw'), Buffer.alloc(512));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** As on a node that gives this process no processor. */
function stop(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test('a server that stood still for longer than the time-out has no store that hangs', async () => {
  const looked = lookInto(folder, { timeoutMs: 100 });
  for (let again = 0; again < 4; again++) {
    stop(150);
    await new Promise(setImmediate);
  }
  expect(await looked).toMatchObject({ state: 'Accessible', files: [{ name: 'lab.raw', sizeBytes: 512 }] });
});

test('a folder that falls silent within a look is unreachable when it has said nothing for as long as it may', async () => {
  jest.useFakeTimers();
  try {
    const space = { type: 0xef53 } as StatsFs;
    const statfs = (): Promise<StatsFs> => new Promise((resolve) => setTimeout(() => resolve(space), 100));
    const silent = (): Promise<never> => new Promise(() => undefined);
    const calls = { ...FOLDER_CALLS, leadsTo: async (path: string) => path, statfs, readdir: silent };
    const looked = lookInto('/silent', { timeoutMs: 5_000, calls }).then(({ state }) => state);
    await jest.advanceTimersByTimeAsync(5_000);
    expect(await Promise.race([looked, 'waits'])).toBe('waits');
    await jest.advanceTimersByTimeAsync(1_100);
    expect(await Promise.race([looked, 'waits'])).toBe('Unreachable');
  } finally {
    jest.useRealTimers();
  }
});

/** `make`: at the path of the file. */
const STRANGE: readonly { what: string; make: (path: string) => void; code: string; says: string }[] = [
  { what: 'a folder', make: (path) => mkdirSync(path), code: 'NotRegular', says: 'is a folder' },
  { what: 'a pipe', make: (path) => execFileSync('mkfifo', [path]), code: 'NotRegular', says: 'is a named pipe' },
  { what: 'a link to /dev/zero', make: (path) => symlinkSync('/dev/zero', path), code: 'NotRegular', says: 'device' },
  { what: 'a link to a folder', make: (path) => symlinkSync('/', path), code: 'NotRegular', says: 'is a folder' },
  { what: 'a link to nowhere', make: (path) => symlinkSync('/gone', path), code: 'LinkBroken', says: 'link to /gone' },
  {
    what: 'a link through a file',
    make: (path) => symlinkSync(`${import.meta.filename}/x`, path),
    code: 'LinkBroken',
    says: 'is not there',
  },
  { what: 'a link to itself', make: (path) => symlinkSync(path, path), code: 'LinkBroken', says: 'in a circle' },
];

test.each(STRANGE.flatMap((strange) => ['lab.initrd', 'new.raw'].map((name) => ({ name, ...strange }))))(
  '$name that is $what is a fault of that file, and the others are seen',
  async ({ name, make, code, says }) => {
    make(join(folder, name));
    const { state, files } = await lookInto(folder);
    expect(state).toBe('Accessible');
    expect(files.find((file) => file.name === 'lab.raw')).toMatchObject({ sizeBytes: 512, image: { ok: true } });
    const message = expect.stringContaining(says);
    expect(files.find((file) => file.name === name)).toMatchObject({ fault: { code, message } });
  },
);

describe('where the server is allowed some folders only', () => {
  let other: string;
  beforeEach(() => {
    other = mkdtempSync(join(tmpdir(), 'bootfarm-outside-'));
    writeFileSync(join(other, 'big.raw'), Buffer.alloc(512));
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'sub', 'near.raw'), Buffer.alloc(512));
  });
  afterEach(() => rmSync(other, { recursive: true }));
  const linked = async (target: string, through = folder) => {
    symlinkSync(target, join(folder, 'new.raw'));
    const { files } = await lookInto(through, { roots: [folder] });
    return files.find(({ name }) => name === 'new.raw');
  };

  test.each<{ what: string; target: () => string; end: () => string }>([
    { what: 'a file elsewhere', target: () => join(other, 'big.raw'), end: () => join(other, 'big.raw') },
    { what: 'a file that this pod does not see', target: () => '/data/big.raw', end: () => '/data/big.raw' },
    { what: 'a way up', target: () => '../../etc/hostname', end: () => '/etc/hostname' },
  ])('a link to $what is refused by name, and the others are seen', async ({ target, end }) => {
    const message = `${join(folder, 'new.raw')} leads to ${end()}, which is outside of storeRoots (${folder}): put the file itself there`;
    expect(await linked(target())).toEqual({
      ...{ name: 'new.raw', sizeBytes: 0, identity: '' },
      fault: { code: 'LinkOutside', message },
    });
    const { files } = await lookInto(folder, { roots: [folder] });
    expect(files.find(({ name }) => name === 'lab.raw')).toMatchObject({ sizeBytes: 512, image: { ok: true } });
  });

  test.each([
    { what: 'a file beside it', target: 'lab.raw' },
    { what: 'a file in a folder below', target: 'sub/near.raw' },
  ])('a link to $what is followed', async ({ target }) => {
    expect(await linked(target)).toMatchObject({ sizeBytes: 512, image: { ok: true } });
  });

  test('a root that is a link itself is as good as what it leads to', async () => {
    const root = join(other, 'root');
    symlinkSync(folder, root);
    const { state, files } = await lookInto(root, { roots: [root] });
    expect([state, files.map(({ name }) => name)]).toEqual(['Accessible', ['lab.raw']]);
  });

  describe('and another of those hangs', () => {
    /** What lies below this folder never answers. `asked`: how often it was. */
    const hangs = (below: string) => {
      const asked: string[] = [];
      const never = new Promise<never>(() => {});
      const leadsTo: FolderCalls['leadsTo'] = (path) => {
        if (!path.startsWith(below)) return FOLDER_CALLS.leadsTo(path);
        asked.push(path);
        return never;
      };
      return { asked, calls: { ...FOLDER_CALLS, leadsTo } };
    };

    test.each([
      { what: 'a link out of them is refused', code: 'LinkOutside', target: () => join(other, 'big.raw') },
      {
        what: 'a link into a third, which is a link itself, is followed',
        code: undefined,
        target: () => join(other, 'led', 'far.raw'),
      },
    ])('$what, the others are seen, and who hangs is asked once', async ({ code, target }) => {
      const [led, third] = [join(other, 'led'), join(other, 'third')];
      mkdirSync(led);
      writeFileSync(join(led, 'far.raw'), Buffer.alloc(512));
      symlinkSync(led, third);
      const hung = join(other, 'hung');
      const { asked, calls } = hangs(hung);
      for (const name of ['new.raw', 'newer.raw']) symlinkSync(target(), join(folder, name));
      for (let look = 0; look < 2; look++) {
        const { state, files } = await lookInto(folder, { roots: [hung, folder, third], calls, timeoutMs: 100 });
        const faults = Object.fromEntries(files.map(({ name, fault }) => [name, fault?.code]));
        expect([state, faults]).toEqual(['Accessible', { 'lab.raw': undefined, 'new.raw': code, 'newer.raw': code }]);
      }
      expect(asked).toEqual([hung]);
    });

    test('a folder whose own root is a link is as good as what that leads to', async () => {
      const root = join(other, 'root');
      symlinkSync(folder, root);
      symlinkSync('lab.raw', join(folder, 'new.raw'));
      const { asked, calls } = hangs(join(other, 'hung'));
      const roots = [join(other, 'hung'), root];
      const { state, files } = await lookInto(root, { roots, calls, timeoutMs: 100 });
      expect([state, files.map(({ fault }) => fault)]).toEqual(['Accessible', [undefined, undefined]]);
      expect(asked).toEqual([]);
    });

    test('a link into one that answered before is judged as it said then', async () => {
      const [led, third] = [join(other, 'led'), join(other, 'third')];
      mkdirSync(led);
      writeFileSync(join(led, 'far.raw'), Buffer.alloc(512));
      symlinkSync(led, third);
      symlinkSync(join(led, 'far.raw'), join(folder, 'new.raw'));
      for (const calls of [FOLDER_CALLS, hangs(third).calls]) {
        const { state, files } = await lookInto(folder, { roots: [folder, third], calls, timeoutMs: 100 });
        expect([state, files.map(({ fault }) => fault)]).toEqual(['Accessible', [undefined, undefined]]);
      }
    });
  });

  test('a folder that leads outside is missing, and says why', async () => {
    const led = join(folder, 'led');
    symlinkSync(other, led);
    expect(await lookInto(led, { roots: [folder] })).toMatchObject({
      state: 'Missing',
      message: `${led} leads to ${other}, which is outside of storeRoots (${folder}): put the folder itself there, or add its root`,
    });
  });
});

/** Root may read everything. */
async function asNobody<T>(what: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return what();
  process.seteuid?.(65_534);
  return what().finally(() => process.seteuid?.(0));
}

test.each([
  { what: 'a folder that may not be entered', at: '', mode: 0o744 },
  { what: 'a file that may not be read', at: 'lab.raw', mode: 0o200 },
])('$what is a fault of its files', async ({ at, mode }) => {
  chmodSync(folder, 0o755);
  chmodSync(join(folder, at), mode);
  const [file] = await asNobody(async () => {
    const { files } = await lookInto(folder);
    const opened = await openRegular(join(folder, 'lab.raw'));
    return [...files.flatMap(({ fault }) => fault ?? []), ...(opened.ok ? [] : [opened.error])];
  });
  expect(file).toMatchObject({ code: 'NoPermission', message: expect.stringMatching(/lab\.raw: permission denied/) });
});

test('what is named as not whole yet is not seen', async () => {
  for (const name of ['new.raw', 'new.vhdx', 'new.3.avhd', 'new.vmlinuz', 'new.initrd'])
    writeFileSync(join(folder, name + PARTIAL), 'half');
  expect((await lookInto(folder)).files.map(({ name }) => name)).toEqual(['lab.raw']);
});

test.each([
  { what: 'a moment ago', ageMs: 0, fresh: true },
  { what: 'nearly so long ago', ageMs: 9_999, fresh: true },
  { what: 'long enough ago', ageMs: 10_000, fresh: undefined },
  { what: 'by a clock that is a little ahead, as that of a server of NFS may be', ageMs: -1_000, fresh: true },
  { what: 'by a clock that is nearly so far ahead', ageMs: -9_999, fresh: true },
  { what: 'by a clock that is wrong', ageMs: -10_000, fresh: undefined },
])('of a file that was written $what, fresh: $fresh', async ({ ageMs, fresh }) => {
  utimesSync(join(folder, 'lab.raw'), 1_000_000, 1_000_000);
  const { files } = await lookInto(folder, { clock: () => 1_000_000_000 + ageMs });
  expect(files.map((file) => file.fresh)).toEqual([fresh]);
});

test.each([
  { what: 'before the look at it', after: 0 },
  { what: 'while it was looked at', after: 15_000 },
])('a file that was written $what is fresh, however long the look at the folder takes', async ({ after }) => {
  let now = 1_000_000_000;
  const slowly =
    <T>(call: (path: string) => Promise<T>) =>
    (path: string) => {
      now += 20_000;
      return call(path);
    };
  const calls: FolderCalls = {
    ...FOLDER_CALLS,
    readdir: slowly(FOLDER_CALLS.readdir),
    stat: slowly(async (path) => {
      const seconds = (now - 20_000 + after) / 1_000;
      utimesSync(path, seconds, seconds);
      return FOLDER_CALLS.stat(path);
    }),
    mayWrite: slowly(FOLDER_CALLS.mayWrite),
  };
  const { files } = await lookInto(folder, { calls, clock: () => now });
  expect(files.map((file) => file.fresh)).toEqual([true]);
});

test('a folder that is not there is said to be missing', async () => {
  expect(await lookInto(join(folder, 'gone'))).toMatchObject({ state: 'Missing', files: [] });
});

test('what an image says of itself is asked again when it changes, and while it cannot be read', async () => {
  let asked = 0;
  let answer: ReturnType<Format['probe']> = Promise.resolve(fail('FileUnreadable', 'EIO'));
  const probe: Format['probe'] = () => {
    asked++;
    return answer;
  };
  const formats: readonly Format[] = [{ extension: '.raw', probe, open: () => Promise.reject() }];
  const probed = new Map<string, Probed>();
  const looks = async (times: number): Promise<number> => {
    for (let look = 0; look < times; look++) await lookInto(folder, { formats, probed });
    return asked;
  };
  expect(await looks(2)).toBe(2);
  answer = Promise.resolve(ok({ sizeBytes: 512 }));
  expect(await looks(3)).toBe(3);
  writeFileSync(join(folder, 'lab.raw'), Buffer.alloc(1_024));
  expect(await looks(3)).toBe(4);
});

test.each([
  'a b.raw',
  `it's "so".raw`,
  'two\nlines.raw',
  ' .raw',
  '-rf.raw',
  '$(x).raw',
  'é.raw',
  '\u{1f4be}.raw',
  `${'n'.repeat(251)}.raw`,
])('a file %j is as any other', async (name) => {
  writeFileSync(join(folder, name), Buffer.alloc(1_024));
  const { state, files, message } = await lookInto(folder);
  expect([state, message, files.find((file) => file.name === name)]).toMatchObject([
    'Accessible',
    '',
    { sizeBytes: 1_024, image: { ok: true } },
  ]);
});

test('two names of one vDisk, in two forms of Unicode, are told, and both files are seen', async () => {
  for (const name of ['\u00e9.raw', 'e\u0301.raw', '\u00e8.raw']) writeFileSync(join(folder, name), Buffer.alloc(512));
  const { state, files, message } = await lookInto(folder);
  expect([state, files.length]).toEqual(['Accessible', 4]);
  expect(message).toContain('two forms of Unicode');
  for (const hex of ['c3a92e726177', '65cc812e726177']) expect(message).toContain(hex);
});

test('a name that is not UTF-8 is a fault of that file', async () => {
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/lab`), Buffer.of(0xff), Buffer.from('.raw')]), Buffer.alloc(512));
  const { files } = await lookInto(folder);
  expect(files.find(({ fault }) => fault)).toMatchObject({
    fault: { code: 'NameInvalid', message: expect.stringContaining('its name is not UTF-8: rename it') },
  });
  expect(files.find(({ name }) => name === 'lab.raw')).toMatchObject({ image: { ok: true } });
});

test.each([
  { files: 100, ffree: 0, says: 'has no inodes left' },
  { files: 100, ffree: 1, says: undefined },
  { files: 0, ffree: 0, says: undefined },
])('of $files inodes $ffree are free: $says', async ({ files, ffree, says }) => {
  const statfs: FolderCalls['statfs'] = async (path) =>
    Object.assign(await FOLDER_CALLS.statfs(path), { files, ffree });
  const { state, message } = await lookInto(folder, { calls: { ...FOLDER_CALLS, statfs } });
  expect([state, message.includes(says ?? 'inodes')]).toEqual(['Accessible', says !== undefined]);
});
