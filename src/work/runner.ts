/** Work in a process of its own: what it takes, and how it ends, is its own. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { errorMessage } from '../kit/errors.ts';
import type { PullOrder } from '../store/pullfile.ts';
import type { Order } from './job.ts';
import type { Told, Worker } from './keeper.ts';
import type { Ending } from './queue.ts';

/** What a process of its own does: a job, or a file that comes from other servers. */
export type Work = Order | PullOrder;

/** What it is told after its order: the version is written down. */
const NOTED = 'noted';

/** What the process says. */
export type Word =
  | { readonly kind: 'progress'; readonly doneBytes: number; readonly totalBytes: number }
  | { readonly kind: 'again'; readonly why: string }
  | { readonly kind: 'version'; readonly version: number }
  | { readonly kind: 'ending'; readonly ending: Ending };

/** The build renames the file. */
const WORKER = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url));
/** A disk in pieces of a sector makes millions of small objects: 355 MiB without this and the young generation of the container (`NODE_OPTIONS`), 190 with. */
const GATHERS_LITTLE = '--heap-growing-percent=60';
/** To take away what it wrote. */
const CANCEL_MS = 10_000;

const unnoted = (version: number, thrown: unknown): string =>
  `that it makes version ${version} cannot be written down, so nothing of it was made: ${errorMessage(thrown)}: make room in the state directory of the server, and order it again`;

/** `jobs`: the folder of jobs of a server; what a person has without one has none. */
export function startWorker(order: Work, { onProgress, onAgain, onVersion }: Partial<Told>, jobs?: string): Worker {
  // A group of its own: programs that it runs end with it.
  const child = fork(WORKER, jobs === undefined ? [] : [jobs], {
    detached: true,
    execArgv: ['--disable-warning=ExperimentalWarning', GATHERS_LITTLE],
  });
  const kill = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {} // it is gone
  };
  let said: Ending | undefined;
  let timer: NodeJS.Timeout | undefined;
  child.on('message', (word: Word) => {
    if (word.kind === 'progress') onProgress?.(word.doneBytes, word.totalBytes);
    else if (word.kind === 'again') onAgain?.(word.why);
    else if (word.kind === 'version') void noted(word.version);
    else said = word.ending;
  });
  const noted = async (version: number): Promise<void> => {
    try {
      await onVersion?.(version);
      child.send(NOTED, () => undefined); // it may be gone
    } catch (thrown) {
      said = { kind: 'fault', code: 'WriteFailed', message: unnoted(version, thrown) };
      kill();
    }
  };
  const { promise: ending, resolve } = Promise.withResolvers<Ending>();
  const end = (message: string): void => {
    clearTimeout(timer);
    resolve(said ?? { kind: 'crash', message });
  };
  child.once('error', (error) => end(`its process could not be started: ${error.message}`));
  child.once('close', (code, signal) => {
    kill();
    const how = signal === null ? `ended with ${code}` : `was ended by ${signal}`;
    end(
      `its process ${how} without a word${signal === 'SIGKILL' ? ' (memory?)' : ''}: see the log of its container; ordered again, it goes on with what was written`,
    );
  });
  child.send(order, () => undefined); // one that is gone is told by its end
  return {
    ending,
    cancel() {
      child.kill('SIGTERM');
      timer ??= setTimeout(kill, CANCEL_MS);
    },
    kill,
  };
}
