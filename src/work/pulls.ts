/** Which files are taken next, what becomes of a try that ended, and what is told of it. Pure. */
import { basename, dirname, join } from 'node:path';
import type { PullReport, Pulls } from '../store/pulls.ts';
import type { StoreWants, WantedFile } from '../store/wants.ts';
import type { Ending } from './queue.ts';

/** In processes of their own: of one server, whatever its stores say. */
const MAX_AT_ONCE = 4;
/** After the first failure, and doubled after each. */
const RETRY_MS = 2_000;
const MAX_RETRY_MS = 60_000;
/** What came is seen by the server in a look, and digested: until then it is still wanted. */
const SEEN_MS = 30_000;
/** What came in part of a file that is not wanted any more stays so long: a store that is away for a moment wants nothing. */
export const FORSAKEN_MS = 60_000;

export interface PullTask extends Pick<StoreWants, 'folder' | 'sources' | 'bytesPerSecond'> {
  readonly file: WantedFile;
  readonly state: 'Waiting' | 'Running' | 'Failed' | 'Done' | 'Forsaken';
  /** Of a monotonic clock: since when it runs, when it is tried again, or since when it is done or forsaken. */
  readonly atMs: number;
  readonly failures: number;
  readonly doneBytes: number;
  /** When it began to run, and what was there then. */
  readonly began?: { readonly ms: number; readonly bytes: number };
  readonly message: string;
}

export interface PullPlan {
  /** By path. */
  readonly tasks: ReadonlyMap<string, PullTask>;
  readonly start: readonly PullTask[];
  /** They end now; what they wrote stays. */
  readonly kill: readonly string[];
  /** What was written of them goes. */
  readonly remove: readonly string[];
}

/** A store that `wants` does not name is away: what runs there goes on, and nothing begins. */
export function planPulls(wants: readonly StoreWants[], tasks: ReadonlyMap<string, PullTask>, nowMs: number): PullPlan {
  const next = new Map<string, PullTask>();
  const kill: string[] = [];
  const remove: string[] = [];
  const folders = new Set(wants.map(({ folder }) => folder));
  const wanted = new Map(
    wants.flatMap((store) => store.files.map((file) => [join(store.folder, file.name), taskOf(store, file)] as const)),
  );
  for (const [path, task] of tasks) {
    if (!folders.has(task.folder)) {
      next.set(path, task);
      continue;
    }
    const now = wanted.get(path);
    if (now && isSame(now.file, task.file)) next.set(path, { ...kept(task, nowMs), sources: now.sources });
    else {
      if (task.state === 'Running') kill.push(path);
      if (task.state === 'Done') continue;
      const since = task.state === 'Forsaken' ? task.atMs : nowMs;
      if (now) continue;
      if (nowMs - since > FORSAKEN_MS) remove.push(path);
      else next.set(path, { ...task, state: 'Forsaken', atMs: since });
    }
  }
  for (const [path, task] of wanted) if (!next.has(path)) next.set(path, task);
  const start: PullTask[] = [];
  let room = MAX_AT_ONCE - [...next.values()].filter(({ state }) => state === 'Running').length;
  for (const store of wants) {
    const own = store.files.flatMap((file) => next.get(join(store.folder, file.name)) ?? []);
    let free = Math.min(room, store.parallel - own.filter(({ state }) => state === 'Running').length);
    for (const task of own) {
      if (free <= 0) break;
      if (!isDue(task, nowMs)) continue;
      free--;
      room--;
      const share = store.bytesPerSecond;
      start.push({
        ...task,
        ...(share === undefined ? {} : { bytesPerSecond: Math.max(1, Math.floor(share / store.parallel)) }),
      });
    }
  }
  return { tasks: next, start, kill, remove };
}

const taskOf = ({ folder, sources }: StoreWants, file: WantedFile): PullTask => ({
  ...{ folder, sources, file },
  ...{ state: 'Waiting', atMs: Number.NEGATIVE_INFINITY, failures: 0, doneBytes: 0, message: '' },
});

/** Of an earlier process: of what it wrote nothing is believed. */
export const forsaken = ({ path, sha256, totalBytes }: PullReport, nowMs: number): PullTask => ({
  ...{ folder: dirname(path), sources: [], file: { name: basename(path), sha256, sizeBytes: totalBytes, bases: [] } },
  ...{ state: 'Forsaken', atMs: nowMs, failures: 0, doneBytes: 0, message: '' },
});

/** What it replaces may be another file by now: then the try that runs would leave that one, and is begun anew. */
const isSame = (one: WantedFile, other: WantedFile): boolean =>
  one.sha256 === other.sha256 && one.sizeBytes === other.sizeBytes && one.replaces === other.replaces;

/** It is wanted again, or still. */
function kept(task: PullTask, nowMs: number): PullTask {
  if (task.state === 'Forsaken') return { ...task, state: 'Waiting', atMs: Number.NEGATIVE_INFINITY };
  if (task.state === 'Done' && nowMs - task.atMs > SEEN_MS)
    return { ...task, state: 'Waiting', atMs: Number.NEGATIVE_INFINITY, doneBytes: 0 };
  return task;
}

const isDue = ({ state, atMs }: PullTask, nowMs: number): boolean =>
  (state === 'Waiting' || state === 'Failed') && atMs <= nowMs;

export const pullStarted = (task: PullTask, nowMs: number): PullTask => {
  const { began: _, ...rest } = task;
  return { ...rest, state: 'Running', atMs: nowMs };
};

export const pullFurther = (task: PullTask, doneBytes: number, nowMs: number): PullTask => ({
  ...task,
  doneBytes,
  began: task.began ?? { ms: nowMs, bytes: doneBytes },
});

export function pullEnded(task: PullTask, ending: Ending, nowMs: number): PullTask {
  if (task.state === 'Forsaken') return task;
  if (ending.kind === 'made')
    return { ...task, state: 'Done', atMs: nowMs, failures: 0, doneBytes: task.file.sizeBytes, message: '' };
  const failures = task.failures + 1;
  const waitMs = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** (failures - 1));
  return { ...task, state: 'Failed', atMs: nowMs + waitMs, failures, message: ending.message };
}

/** What the server is told. */
export function reportsOf(tasks: ReadonlyMap<string, PullTask>, nowMs: number): Pulls['pulls'] {
  return [...tasks].flatMap(([path, task]): PullReport[] => {
    const { file, doneBytes, message } = task;
    if (task.state === 'Forsaken') return [];
    // Until the server has seen it.
    const state = task.state === 'Done' ? 'Running' : task.state;
    const left = task.state === 'Running' ? secondsLeft(task, nowMs) : undefined;
    return [
      {
        ...{
          path,
          sha256: file.sha256,
          state,
          doneBytes,
          totalBytes: file.sizeBytes,
          message: message.slice(0, 4_000),
        },
        ...(left === undefined ? {} : { secondsLeft: left }),
      },
    ];
  });
}

function secondsLeft({ began, doneBytes, file }: PullTask, nowMs: number): number | undefined {
  const came = doneBytes - (began?.bytes ?? doneBytes);
  if (!began || came <= 0) return undefined;
  return Math.ceil(((file.sizeBytes - doneBytes) * (nowMs - began.ms)) / came / 1_000);
}
