/** Which files are taken next, what becomes of a try that ended, and what is told of it. Pure. */
import { basename, dirname, join } from 'node:path';
import { sameFile } from '../image/identity.ts';
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
  readonly remove: readonly { readonly path: string; readonly sha256: string }[];
}

/** A store that is away is wanted of as it was seen last (`server/wants.ts`): one that is not named any more is none of this server's. */
export function planPulls(wants: readonly StoreWants[], tasks: ReadonlyMap<string, PullTask>, nowMs: number): PullPlan {
  const next = new Map<string, PullTask>();
  const kill: string[] = [];
  const remove: { path: string; sha256: string }[] = [];
  const wanted = wantedTasks(wants);
  for (const [path, task] of tasks) {
    const now = wanted.get(path);
    if (now && isSame(now.file, task.file))
      next.set(path, { ...kept(task, nowMs), sources: now.sources, file: now.file });
    else {
      if (task.state === 'Running') kill.push(path);
      if (task.state === 'Done') continue;
      const { sha256 } = task.file;
      const since = task.state === 'Forsaken' ? task.atMs : nowMs;
      if (now?.file.sha256 === sha256) continue;
      if (now || nowMs - since > FORSAKEN_MS) remove.push({ path, sha256 });
      else next.set(path, { ...task, state: 'Forsaken', atMs: since });
    }
  }
  for (const [path, task] of wanted) if (!next.has(path)) next.set(path, task);
  const start: PullTask[] = [];
  let room = MAX_AT_ONCE - [...next.values()].filter(({ state }) => state === 'Running').length;
  for (const store of wants) {
    const all = store.files.flatMap((file) => next.get(join(store.folder, file.name)) ?? []);
    // What nobody gives keeps nothing waiting that somebody has.
    const own = all.toSorted((a, b) => a.failures - b.failures);
    let free = Math.min(room, store.parallel - own.filter(({ state }) => state === 'Running').length);
    for (const task of own) {
      if (free <= 0) break;
      if (!isDue(task, nowMs) || start.some((one) => one.folder === task.folder && one.file === task.file)) continue;
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

/** By path. One of which two stores say different things, in one folder, is neither's. */
function wantedTasks(wants: readonly StoreWants[]): ReadonlyMap<string, PullTask> {
  const all = wants.flatMap((store) =>
    store.files.map((file) => [join(store.folder, file.name), taskOf(store, file)] as const),
  );
  const said = Map.groupBy(all, ([path]) => path);
  return new Map(
    [...said.values()].flatMap(([first, ...others]) =>
      first && others.every(([, { file }]) => file.sha256 === first[1].file.sha256) ? [first] : [],
    ),
  );
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
  one.sha256 === other.sha256 &&
  one.sizeBytes === other.sizeBytes &&
  (one.replaces === undefined) === (other.replaces === undefined) &&
  sameFile(one.replaces ?? '', other.replaces ?? '');

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
    const { file, doneBytes, message, began, failures } = task;
    const state = toldOf(task.state, failures > 0 && !began);
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

/** What came is coming until the server has seen it; what failed before has failed until something comes. */
function toldOf(state: PullTask['state'], hasNothingCome: boolean): PullReport['state'] {
  if (state === 'Done') return 'Running';
  return state === 'Running' && hasNothingCome ? 'Failed' : state;
}

function secondsLeft({ began, doneBytes, file }: PullTask, nowMs: number): number | undefined {
  const came = doneBytes - (began?.bytes ?? doneBytes);
  if (!began || came <= 0) return undefined;
  return Math.ceil(((file.sizeBytes - doneBytes) * (nowMs - began.ms)) / came / 1_000);
}
