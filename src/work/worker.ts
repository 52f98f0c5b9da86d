/** The process of one piece of work: it is told its order, does it at low priority, and says how far it is. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { type Fault, ok, type Result } from '../kit/result.ts';
import type { Outcome, Running } from './run.ts';
import type { Word, Work } from './runner.ts';

/** Of what a piece of a disk more is, hundreds a second. */
const TOLD_EVERY_MS = 250;

const say = (word: Word): boolean => process.send?.(word) ?? false;

setPriority(constants.priority.PRIORITY_LOW);
try {
  // Where memory lacks, it goes first, and the keeper tells.
  writeFileSync('/proc/self/oom_score_adj', '1000');
} catch {} // then any may
// Nobody is there to tell: the next keeper begins it again, and goes on with what was written.
process.once('disconnect', () => process.exit(1));

/** What it does alone is loaded: of small files hundreds come, a process each. */
async function run(order: Work, running: Running): Promise<Result<Outcome, Fault>> {
  if (order.kind !== 'pull') return (await import('./run.ts')).runOrder(order, running);
  const { pullFile } = await import('../store/pullfile.ts');
  const made = await pullFile(order, running);
  return made.ok ? ok({ made: made.value, words: [] }) : made;
}

process.once('message', async (order: Work) => {
  const cancelled = new AbortController();
  process.once('SIGTERM', () => cancelled.abort());
  let toldMs = Number.NEGATIVE_INFINITY;
  const answer = await run(order, {
    signal: cancelled.signal,
    jobs: process.argv[2],
    onAgain: (why) => say({ kind: 'again', why }),
    onVersion: async (version) => {
      const noted = once(process, 'message');
      say({ kind: 'version', version });
      await noted;
    },
    onProgress: (doneBytes, totalBytes) => {
      const now = performance.now();
      if (now - toldMs < TOLD_EVERY_MS) return;
      toldMs = now;
      say({ kind: 'progress', doneBytes, totalBytes });
    },
  });
  const ending = answer.ok
    ? ({ kind: 'made', ...answer.value } as const)
    : ({ kind: 'fault', ...answer.error } as const);
  process.send?.({ kind: 'ending', ending } satisfies Word, () => process.exit(0));
});
