import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { until } from '../../test/setup/services.ts';
import { type StoreWants, WANTS_FILE } from '../store/wants.ts';
import { silentLogger } from '../telemetry/log.ts';
import { partialOf } from '../transfer/target.ts';
import { Mirror, type MirrorOptions } from './mirror.ts';
import type { Ending } from './queue.ts';

let home: string;
let folder: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'bootfarm-mirror-'));
  folder = join(home, 'srv');
  for (const name of ['srv', 'wants', 'work']) mkdirSync(join(home, name));
});
afterEach(() => rmSync(home, { recursive: true }));

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
