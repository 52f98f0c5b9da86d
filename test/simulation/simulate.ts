/**
 * Scenes by seed: `node test/simulation/simulate.ts --seed 7 --trace` plays one, `--seeds 10000` so many from `--seed` on, `--steps 10000000` as many as it
 * takes, `--regressions` those that failed once. A scene that fails is told with what happened last, and with as few of its faults as make it fail.
 */
import { parseArgs } from 'node:util';
import type { ClientCounters } from './client.ts';
import { Random } from './random.ts';
import { REGRESSIONS } from './regressions.ts';
import { makeScene, type Scene } from './scene.ts';
import { describe, type Outcome, play } from './world.ts';

const LAST_LINES = 60;
/** Failures after which it gives up. */
const MOST_FAILURES = 5;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string' },
    steps: { type: 'string' },
    without: { type: 'string', default: '' },
    trace: { type: 'boolean', default: false },
    regressions: { type: 'boolean', default: false },
  },
});

const sceneOf = (seed: number): Scene => makeScene(seed, new Random(seed, 'scene'));

/** Without those of its faults. */
const without = (scene: Scene, left: ReadonlySet<number>): Scene => ({
  ...scene,
  faults: scene.faults.filter((_, index) => !left.has(index)),
});

/** Faults that it fails without. */
async function needless(scene: Scene, failure: string): Promise<Set<number>> {
  const left = new Set<number>();
  for (let index = scene.faults.length - 1; index >= 0; index--) {
    left.add(index);
    const { failure: still } = await play(without(scene, left));
    if (kindOf(still) !== kindOf(failure)) left.delete(index);
  }
  return left;
}

/** The same failure of another read is the same. */
const kindOf = (failure: string | undefined): string | undefined => failure?.replace(/\d+/g, '');

async function tell(scene: Scene, failure: string): Promise<void> {
  const left = await needless(scene, failure);
  const small = without(scene, left);
  const lines: string[] = [];
  await play(small, (line) => lines.push(line));
  console.log(`seed ${scene.seed}: ${failure}`);
  console.log(`  ${JSON.stringify(small)}`);
  for (const fault of small.faults) console.log(`  ${describe(fault)}`);
  for (const line of lines.slice(-LAST_LINES)) console.log(`  ${line}`);
  const option = left.size > 0 ? ` --without ${[...left].sort((a, b) => a - b).join(',')}` : '';
  console.log(`  again: node test/simulation/simulate.ts --seed ${scene.seed}${option} --trace\n`);
}

async function one(seed: number): Promise<void> {
  const left = new Set(values.without.split(',').filter(Boolean).map(Number));
  const scene = without(sceneOf(seed), left);
  if (values.trace) console.log(JSON.stringify(scene));
  const outcome = await play(scene, values.trace ? (line) => console.log(line) : undefined);
  console.log(JSON.stringify({ seed, ...outcome }));
  if (outcome.failure !== undefined) process.exitCode = 1;
}

async function regressions(): Promise<void> {
  for (const [name, scene] of Object.entries(REGRESSIONS)) {
    const { failure } = await play(scene);
    console.log(`${failure === undefined ? 'ok  ' : 'FAIL'} ${name}${failure === undefined ? '' : `: ${failure}`}`);
    if (failure !== undefined) process.exitCode = 1;
  }
}

async function many(from: number, most: number, mostSteps: number): Promise<void> {
  const start = process.cpuUsage();
  const sum = { seeds: 0, steps: 0, packets: 0, virtualSeconds: 0, longestSeconds: 0, longestSeed: 0, failures: 0 };
  const counters: Record<keyof ClientCounters, number> = {
    ...{ reads: 0, retransmissions: 0, hedges: 0, failovers: 0, moves: 0, drops: 0 },
  };
  for (let seed = from; sum.seeds < most && sum.steps < mostSteps && sum.failures < MOST_FAILURES; seed++) {
    const scene = sceneOf(seed);
    const outcome: Outcome = await play(scene);
    sum.seeds++;
    sum.steps += outcome.steps;
    sum.packets += outcome.packets;
    sum.virtualSeconds += outcome.virtualUs / 1e6;
    if (outcome.longestUs / 1e6 > sum.longestSeconds)
      Object.assign(sum, { longestSeconds: outcome.longestUs / 1e6, longestSeed: seed });
    for (const name of Object.keys(counters) as (keyof ClientCounters)[]) counters[name] += outcome.counters[name];
    if (outcome.failure === undefined) continue;
    sum.failures++;
    await tell(scene, outcome.failure);
  }
  const { user, system } = process.cpuUsage(start);
  const virtualSeconds = Math.round(sum.virtualSeconds);
  console.log(JSON.stringify({ from, ...sum, virtualSeconds, cpuSeconds: (user + system) / 1e6, ...counters }));
  if (sum.failures > 0) process.exitCode = 1;
}

const [seed, seeds, steps] = [values.seed, values.seeds, values.steps].map((value) => Number(value ?? Infinity));
if (values.regressions) await regressions();
else if (values.seeds === undefined && values.steps === undefined) await one(Number(seed));
else await many(Number(seed), Number(seeds), Number(steps));
