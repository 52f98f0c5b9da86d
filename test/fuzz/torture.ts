/**
 * Images changed in what they say of themselves, by a seed: `node test/fuzz/torture.ts --runs 100000 --seed 7`; one run of it by `--only N`. It ends with 1
 * when one crashes a reader, hangs it for a second, takes more than 64 MiB of memory, or leads it to another file; the seed and the number say it again.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { Random } from '../simulation/random.ts';
import { attempt, type Outcome, watchOpens } from './image/attempt.ts';
import { ChangingFile } from './image/bytes.ts';
import { mutate } from './image/mutate.ts';
import { makeStore, TARGETS } from './image/targets.ts';

const SLOW_MS = 1_000;
const MOST_BYTES = 64 << 20;
/** Runs whose memory is looked at together; where it is too much, each again by itself. */
const BATCH = 200;
/** Failures after which it gives up. */
const MOST_FAILURES = 10;
/** After which a run that hangs for ever is ended by the other thread. */
const HUNG_MS = 30_000;

interface Task {
  readonly seed: number;
  readonly from: number;
  readonly runs: number;
  readonly top: string;
  /** The number of the run that is being done. */
  readonly at: SharedArrayBuffer;
}

async function watch(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      runs: { type: 'string', default: '10000' },
      only: { type: 'string' },
    },
  });
  const seed = Number(values.seed);
  const [from, runs] = values.only === undefined ? [0, Number(values.runs)] : [Number(values.only), 1];
  console.log(`seed ${seed}, ${runs} runs`);
  const top = mkdtempSync(join(tmpdir(), 'bootfarm-torture-'));
  const at = new SharedArrayBuffer(4);
  const worker = new Worker(new URL(import.meta.url), { workerData: { seed, from, runs, top, at } satisfies Task });
  let last = -1;
  const watching = setInterval(() => {
    const now = Atomics.load(new Int32Array(at), 0);
    if (now === last) {
      console.log(`run ${now}: it has hung for ${HUNG_MS / 1_000} s\n  ${again(seed, now)}`);
      rmSync(top, { recursive: true });
      process.exit(1);
    }
    last = now;
  }, HUNG_MS);
  worker.on('exit', (code) => {
    clearInterval(watching);
    rmSync(top, { recursive: true });
    process.exitCode = code;
  });
}

function again(seed: number, run: number): string {
  return `again: node test/fuzz/torture.ts --seed ${seed} --only ${run}`;
}

interface Ended {
  readonly outcome: Outcome;
  readonly ms: number;
}

async function work({ seed, from, runs, top, at }: Task): Promise<void> {
  const [store, files, opens] = begin(top);
  const sum = { runs: 0, disks: 0, faults: 0, failures: 0, slowestMs: 0, mostMiB: 0 };
  const fail = (run: number, what: string): void => {
    sum.failures++;
    console.log(`run ${run} (${targetOf(run).name}): ${what}\n  ${again(seed, run)}`);
  };
  const one = async (run: number): Promise<Ended> => {
    const target = targetOf(run);
    const file = files.get(target);
    if (!file) throw new Error(`${target.name} has no file`);
    mutate(file, target, new Random(seed, `run ${run}`));
    const began = performance.now();
    try {
      const outcome = await attempt(join(store, target.name));
      return { outcome, ms: performance.now() - began };
    } finally {
      file.restore();
    }
  };
  const tried = async (run: number): Promise<void> => {
    try {
      let ended = await one(run);
      // Another process may have had the processor.
      for (let once = 0; once < 2 && ended.ms > SLOW_MS; once++) ended = await one(run);
      sum[ended.outcome === 'disk' ? 'disks' : 'faults']++;
      sum.slowestMs = Math.max(sum.slowestMs, Math.round(ended.ms));
      if (ended.ms > SLOW_MS) fail(run, `it took ${Math.round(ended.ms)} ms`);
    } catch (thrown) {
      fail(run, thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
    }
    for (const path of opens.strangers.splice(0)) fail(run, `it opened ${path}`);
  };
  const start = process.cpuUsage();
  for (let batch = from; batch < from + runs && sum.failures < MOST_FAILURES; batch += BATCH) {
    const end = Math.min(batch + BATCH, from + runs);
    const before = freshPeak();
    for (let run = batch; run < end; run++) {
      Atomics.store(new Int32Array(at), 0, run);
      await tried(run);
    }
    sum.runs += end - batch;
    const took = peakBytes() - before;
    if (took <= MOST_BYTES) sum.mostMiB = Math.max(sum.mostMiB, Math.round(took / 2 ** 20));
    else
      for (let run = batch; run < end; run++) {
        const alone = freshPeak();
        await one(run).catch(() => undefined);
        const bytes = peakBytes() - alone;
        sum.mostMiB = Math.max(sum.mostMiB, Math.round(bytes / 2 ** 20));
        if (bytes > MOST_BYTES) fail(run, `it took ${Math.round(bytes / 2 ** 20)} MiB`);
      }
  }
  const { user, system } = process.cpuUsage(start);
  opens.stop();
  for (const file of files.values()) file.close();
  console.log(JSON.stringify({ seed, ...sum, cpuSeconds: Math.round((user + system) / 1e6) }));
  if (sum.failures > 0) process.exitCode = 1;
}

function begin(top: string) {
  const store = makeStore(top);
  const files = new Map(TARGETS.map((target) => [target, new ChangingFile(join(store, target.name), target.bytes)]));
  return [store, files, watchOpens(store)] as const;
}

function targetOf(run: number) {
  const target = TARGETS[run % TARGETS.length];
  if (!target) throw new Error('there is no target');
  return target;
}

/** Of this process; from here on the peak is counted anew (proc(5), `clear_refs`). */
function freshPeak(): number {
  collect();
  writeFileSync('/proc/self/clear_refs', '5');
  return peakBytes();
}

function peakBytes(): number {
  const [, kib = '0'] = /^VmHWM:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return Number(kib) * 1_024;
}

function collect(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
}

if (isMainThread) await watch();
else await work(workerData as Task);
