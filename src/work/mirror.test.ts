import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { until } from '../../test/setup/time.ts';
import { MARK, OWNER_FILE, readMark } from '../store/mark.ts';
import { PULLS_FILE, parsePulls } from '../store/pulls.ts';
import { type StoreWants, WANTS_FILE } from '../store/wants.ts';
import { silentLogger } from '../telemetry/log.ts';
import { partialOf } from '../transfer/target.ts';
import { Mirror, type MirrorOptions } from './mirror.ts';
import { STUCK_MS } from './pulls.ts';
import type { Ending } from './queue.ts';

let home: string;
let folder: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'bootfarm-mirror-'));
  folder = join(home, 'srv');
  for (const name of ['srv', 'wants', 'work']) mkdirSync(join(home, name));
});
afterEach(() => rmSync(home, { recursive: true }));

const HOUR = 3_600_000;
const say = (...stores: readonly Partial<StoreWants>[]): void => {
  const store: StoreWants = {
    ...{ store: 'images', folder, sources: [], parallel: 2, keepStaleSeconds: 7_200, whole: ['lab.raw'], files: [] },
  };
  writeFileSync(join(home, WANTS_FILE), JSON.stringify(stores.map((one) => ({ ...store, ...one }))));
};
const wholeStore = (): void => say({});

const wants = (...sha256: readonly string[]): void => {
  const store: StoreWants = {
    ...{ store: 'images', folder, sources: [], parallel: 2, keepStaleSeconds: 0, whole: [] },
    files: sha256.map((one) => ({ name: 'lab.raw', sha256: one, sizeBytes: 1_000, bases: [] })),
  };
  writeFileSync(join(home, WANTS_FILE), JSON.stringify([store]));
};

const mirrorOf = (start: MirrorOptions['start'], now = () => 0): Mirror =>
  new Mirror({
    ...{ folder: join(home, 'work'), stateDirectory: home, tlsDirectory: home, log: silentLogger },
    ...{ start, now },
  });

test('what came of a file goes, also where what came of another of its name is being removed', async () => {
  const [a, b, c] = ['a', 'b', 'c'].map((digit) => digit.repeat(64)) as [string, string, string];
  const endings: ((ending: Ending) => void)[] = [];
  const mirror = mirrorOf(({ file, folder: to }) => {
    writeFileSync(partialOf(join(to, file.name), file.sha256), 'some');
    const { promise: ending, resolve } = Promise.withResolvers<Ending>();
    endings.push(resolve);
    return { ending, cancel: () => undefined, kill: () => undefined };
  });
  for (const one of [a, b, c]) {
    wants(one);
    await mirror.look();
  }
  const there = (): string[] => [a, b, c].filter((one) => existsSync(partialOf(join(folder, 'lab.raw'), one)));
  expect(there()).toEqual([a, b, c]);
  for (const end of endings.slice(0, 2)) end({ kind: 'crash', message: 'killed' });
  await until('what nobody wants is gone', () => there().join() === c);
  endings[2]?.({ kind: 'crash', message: 'killed' });
  await mirror.stop();
});

const never: MirrorOptions['start'] = () => {
  throw new Error('nothing is to be begun');
};

test('what was put aside goes when it lay there for long enough, over a restart, too, whatever its name says', async () => {
  const [old, ahead] = ['2001-01-01T00-00-00Z', '2999-01-01T00-00-00Z'].map((time) =>
    join(folder, `lab.raw.${time}.stale`),
  );
  for (const path of [join(folder, 'lab.raw'), old, ahead]) writeFileSync(path ?? '', 'x');
  wholeStore();
  let clock = 0;
  const there = (): number => readdirSync(folder).filter((name) => name.endsWith('.stale')).length;
  const kept = (): unknown => JSON.parse(readFileSync(join(home, 'work', 'stale.json'), 'utf8'));
  const turn = async (mirror: Mirror, ms: number, ages: number): Promise<void> => {
    clock += ms;
    await mirror.look();
    await until(
      'it is counted',
      () => JSON.stringify(kept()) === JSON.stringify({ [old ?? '']: ages, [ahead ?? '']: ages }),
    );
  };
  const first = mirrorOf(never, () => clock);
  await turn(first, 0, 0);
  await turn(first, HOUR, HOUR);
  await first.stop();
  clock = 5;
  const second = mirrorOf(never, () => clock);
  await second.takeUp();
  await turn(second, 0, HOUR);
  await turn(second, HOUR - 1, 2 * HOUR - 1);
  expect(there()).toBe(2);
  clock += HOUR;
  await second.look();
  await until('both are gone', () => there() === 0);
  await second.stop();
});

describe('of two stores with one folder', () => {
  const file = { name: 'new.raw', sha256: 'a'.repeat(64), sizeBytes: 1_000, bases: [] };
  const NO_SPACE = { kind: 'fault', code: 'NoSpace', message: 'full' } as const;
  const full: MirrorOptions['start'] = () => ({
    ...{ ending: Promise.resolve(NO_SPACE), cancel: () => undefined, kill: () => undefined },
  });
  const names = ['lab', 'old', 'new'].map((name) => `${name}.raw.2001-01-01T00-00-00Z.stale`);
  const there = (): readonly string[] => names.filter((name) => existsSync(join(folder, name)));
  const other = { store: 'others', whole: ['old.raw', 'new.raw'], keepStaleSeconds: 10_800 };
  beforeEach(() => {
    for (const name of ['lab.raw', 'old.raw', 'new.raw', ...names]) writeFileSync(join(folder, name), 'x');
  });

  test('what was put aside goes by what is right for either, when both kept it for long enough', async () => {
    say({}, other);
    let clock = 0;
    const mirror = mirrorOf(never, () => clock);
    const ages = (): string => readFileSync(join(home, 'work', 'stale.json'), 'utf8');
    await mirror.look();
    await until('it is counted', () => ages().includes(':0'));
    clock += 3 * HOUR - 1;
    await mirror.look();
    await until('it is older', () => ages().includes(`:${clock}`));
    expect(there()).toEqual(names);
    clock += HOUR;
    await mirror.look();
    await until('all are gone', () => there().length === 0);
    await mirror.stop();
  });

  test('room is made of what either has put aside, but not of what one of them lacks', async () => {
    say({ files: [file], whole: [] }, other);
    let clock = 0;
    const mirror = mirrorOf(full, () => clock);
    await until('one is gone', async () => {
      clock += 1_000;
      await mirror.look();
      return there().length === 2;
    });
    expect(there()).toEqual([names[0], names[2]]);
    await mirror.stop();
  });
});

test('a folder is marked as this farm’s; of one that is another’s nothing goes', async () => {
  const owner = { farm: 'lab', lineage: '0123456789abcdef' };
  writeFileSync(join(home, OWNER_FILE), JSON.stringify(owner));
  wholeStore();
  let clock = 0;
  const mirror = mirrorOf(never, () => clock);
  await mirror.look();
  await until('it is marked', async () => (await readMark(folder))?.lineage === owner.lineage);
  const mark = { farm: 'office', lineage: 'fedcba9876543210', token: '0'.repeat(36) };
  writeFileSync(join(folder, MARK), JSON.stringify(mark));
  const aside = join(folder, 'lab.raw.2001-01-01T00-00-00Z.stale');
  for (const path of [join(folder, 'lab.raw'), aside]) writeFileSync(path, 'x');
  for (let turn = 0; turn < 4; turn++) {
    clock += 10 * HOUR;
    await mirror.look();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await mirror.stop();
  expect(existsSync(aside)).toBe(true);
});

test('what came is given on until the server has read it', async () => {
  const sha256 = 'a'.repeat(64);
  const record = join(home, 'work', 'pulls', `${sha256}.json`);
  const mirror = mirrorOf(({ pulling }) => {
    mkdirSync(pulling, { recursive: true });
    writeFileSync(record, '{}');
    return {
      ...{ cancel: () => undefined, kill: () => undefined },
      ending: Promise.resolve({
        kind: 'made',
        words: [],
        made: { peerBytes: {}, localBytes: 0, blamed: [] },
      } as Ending),
    };
  });
  wants(sha256);
  await mirror.look();
  wants();
  await mirror.look();
  expect(existsSync(record)).toBe(true);
  wholeStore();
  await mirror.look();
  expect(existsSync(record)).toBe(false);
  await mirror.stop();
});

test('one whose disk does not answer is ended, and told as what hangs, also while its process is not over', async () => {
  let clock = 0;
  let kills = 0;
  const mirror = mirrorOf(
    () => ({ ending: new Promise(() => {}), cancel: () => undefined, kill: () => void kills++ }),
    () => clock,
  );
  wants('a'.repeat(64));
  await mirror.look();
  for (const ms of [STUCK_MS, 1, 1_000]) {
    clock += ms;
    await mirror.look();
  }
  const told = parsePulls(readFileSync(join(home, 'work', PULLS_FILE), 'utf8'));
  expect([kills, told?.pulls.map(({ state }) => state)]).toEqual([1, ['Failed']]);
  expect(told?.pulls[0]?.message).toContain(`${folder} did not answer for 120 s`);
});
