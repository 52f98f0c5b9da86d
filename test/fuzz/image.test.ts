/** Images with what they say of themselves changed: each is a disk or a fault with a name, soon, and neither reads anything else. `make torture` goes on with it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { cpuMs } from '../setup/time.ts';
import { Random } from '../simulation/random.ts';
import { attempt } from './image/attempt.ts';
import { ChangingFile } from './image/bytes.ts';
import { mutate } from './image/mutate.ts';
import { makeStore, TARGETS } from './image/targets.ts';

const SEED = 14;
const RUNS = 100;
const SLOW_MS = 1_000;

let top: string;
let store: string;
beforeAll(() => {
  top = mkdtempSync(join(tmpdir(), 'bootfarm-fuzz-image-'));
  store = makeStore(top);
});
afterAll(() => rmSync(top, { recursive: true }));

test.each(TARGETS)('$name, changed in what it says of itself, is a disk or a fault', async (target) => {
  const path = join(store, target.name);
  const file = new ChangingFile(path, target.bytes);
  expect(await attempt(path)).toBe('disk');
  const ended = { disk: 0, fault: 0 };
  let slowestMs = 0;
  for (let run = 0; run < RUNS; run++) {
    mutate(file, target, new Random(SEED, `${target.name} ${run}`));
    const ms = await cpuMs(async () => ended[await attempt(path)]++);
    slowestMs = Math.max(slowestMs, ms);
    file.restore();
  }
  file.close();
  expect(slowestMs).toBeLessThan(SLOW_MS);
  expect(ended.disk).toBeGreaterThan(RUNS / 20);
  expect(ended.fault).toBeGreaterThan(RUNS / 10);
});
