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
/** So long nothing of its disk answered it: what only its sources owe it waits less (`transfer/fill.ts`). */
export const STUCK_MS = 120_000;

export interface PullTask extends Pick<StoreWants, 'folder' | 'sources' | 'bytesPerSecond'> {
  readonly file: WantedFile;
  /** `Stuck`: its process was ended, and is not over yet: a system call of it does not return. */
  readonly state: 'Waiting' | 'Running' | 'Stuck' | 'Failed' | 'Done' | 'Forsaken';
  /** Of a monotonic clock: since when it runs, when it is tried again, or since when it is stuck, done or forsaken. */
  readonly atMs: number;
  /** When its process said last that its disk answers. */
  readonly heardMs?: number;
  /** The last try got stuck, and nothing has been heard of this one: it takes no place of others. */
  readonly hung?: true;
  readonly failures: number;
  /** Of this try. */
  readonly doneBytes: number;
  /** The most that came in a try that failed. */
  readonly farthestBytes: number;
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
  /** They shall end, and are waited for. */
  readonly stuck: readonly string[];
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
      if (task.state === 'Running' || task.state === 'Stuck') kill.push(path);
      if (task.state === 'Done') continue;
      const { sha256 } = task.file;
      const since = task.state === 'Forsaken' ? task.atMs : nowMs;
      if (now?.file.sha256 === sha256) continue;
      if (now || nowMs - since > FORSAKEN_MS) remove.push({ path, sha256 });
      else next.set(path, { ...task, state: 'Forsaken', atMs: since });
    }
  }
  for (const [path, task] of wanted)
    if (!next.has(path)) next.set(path, { ...task, ...(tasks.get(path)?.hung ? { hung: true } : {}) });
  const stuck = [...next].filter(([, task]) => isSilent(task, nowMs)).map(([path]) => path);
  for (const path of stuck) {
    const task = next.get(path);
    if (task) next.set(path, pullStuck(task, nowMs));
  }
  return { tasks: next, start: startOf(wants, next, nowMs), kill, stuck, remove };
}

const isSilent = ({ state, atMs, heardMs }: PullTask, nowMs: number): boolean =>
  state === 'Running' && nowMs - (heardMs ?? atMs) > STUCK_MS;

/** What is begun: whose turn it is has the fewest that run. A store that hangs has one beside all others, so that it is seen when it answers again. */
function startOf(wants: readonly StoreWants[], tasks: ReadonlyMap<string, PullTask>, nowMs: number): PullTask[] {
  const start: PullTask[] = [];
  let room = MAX_AT_ONCE - [...tasks.values()].filter(({ state, hung }) => state === 'Running' && !hung).length;
  const lanes = wants.map((store) => laneOf(store, tasks, nowMs));
  for (;;) {
    const ready = lanes.filter(({ due, free, isHung }) => due.length > 0 && free > 0 && (room > 0 || isHung));
    const [lane] = ready.toSorted((a, b) => a.running - b.running);
    const task = lane?.due.shift();
    if (!lane || !task) return start;
    // Two stores may have one folder.
    if (start.some((one) => one.folder === task.folder && one.file === task.file)) continue;
    lane.free--;
    lane.running++;
    if (!lane.isHung) room--;
    start.push({ ...task, ...lane.share });
  }
}

interface Lane {
  readonly due: PullTask[];
  readonly isHung: boolean;
  readonly share: Pick<PullTask, 'bytesPerSecond'>;
  free: number;
  running: number;
}

function laneOf(store: StoreWants, tasks: ReadonlyMap<string, PullTask>, nowMs: number): Lane {
  const all = store.files.flatMap((file) => tasks.get(join(store.folder, file.name)) ?? []);
  // What nobody gives keeps nothing waiting that somebody has.
  const own = all.toSorted((a, b) => a.failures - b.failures);
  const hung = own.filter((task) => task.hung);
  const running = own.filter(({ state }) => state === 'Running' || state === 'Stuck').length;
  const { parallel, bytesPerSecond } = store;
  return {
    due: (hung.length > 0 ? hung : own).filter((task) => isDue(task, nowMs)),
    isHung: hung.length > 0,
    share: bytesPerSecond === undefined ? {} : { bytesPerSecond: Math.max(1, Math.floor(bytesPerSecond / parallel)) },
    free: (hung.length > 0 ? 1 : parallel) - running,
    running,
  };
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
  ...{ state: 'Waiting', atMs: Number.NEGATIVE_INFINITY, failures: 0, doneBytes: 0, farthestBytes: 0, message: '' },
});

/** Of an earlier process: of what it wrote nothing is believed. */
export const forsaken = ({ path, sha256, totalBytes }: PullReport, nowMs: number): PullTask => ({
  ...{ folder: dirname(path), sources: [], file: { name: basename(path), sha256, sizeBytes: totalBytes, bases: [] } },
  ...{ state: 'Forsaken', atMs: nowMs, failures: 0, doneBytes: 0, farthestBytes: 0, message: '' },
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
  const { began: _, heardMs: __, ...rest } = task;
  return { ...rest, state: 'Running', atMs: nowMs };
};

/** Its disk answers. */
export function pullFurther(task: PullTask, doneBytes: number, nowMs: number): PullTask {
  if (task.state !== 'Running') return task;
  const { hung: _, ...rest } = task;
  const began = task.began ?? (doneBytes > 0 ? { ms: nowMs, bytes: doneBytes } : undefined);
  return { ...rest, doneBytes, heardMs: nowMs, ...(began && { began }) };
}

const pullStuck = ({ began: _, ...task }: PullTask, nowMs: number): PullTask => ({
  ...task,
  ...{ state: 'Stuck', atMs: nowMs, hung: true, failures: task.failures + 1, farthestBytes: farthest(task) },
  message: `${task.folder} did not answer for ${STUCK_MS / 1_000} s while ${task.file.name} was written there: check its disk or mount; of this store one file at a time is tried until it does`,
});

const farthest = ({ doneBytes, farthestBytes }: PullTask): number => Math.max(doneBytes, farthestBytes);

export function pullEnded(task: PullTask, ending: Ending, nowMs: number): PullTask {
  if (task.state === 'Forsaken') return task;
  if (task.state === 'Stuck') return { ...task, state: 'Failed', atMs: nowMs + retryMs(task.failures) };
  const { hung: _, ...rest } = task;
  if (ending.kind === 'made')
    return {
      ...{ ...rest, state: 'Done', atMs: nowMs, failures: 0, message: '' },
      ...{ doneBytes: task.file.sizeBytes, farthestBytes: 0 },
    };
  const failures = task.failures + 1;
  return {
    ...{ ...rest, state: 'Failed', atMs: nowMs + retryMs(failures), failures },
    ...{ farthestBytes: farthest(task), message: ending.message },
  };
}

const retryMs = (failures: number): number => Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** (failures - 1));

/** What the server is told. */
export function reportsOf(tasks: ReadonlyMap<string, PullTask>, nowMs: number): Pulls['pulls'] {
  return [...tasks].flatMap(([path, task]): PullReport[] => {
    const { file, doneBytes, farthestBytes, message, failures } = task;
    const state = toldOf(task.state, failures > 0 && doneBytes <= farthestBytes);
    const left = task.state === 'Running' ? secondsLeft(task, nowMs) : undefined;
    return [
      {
        ...{
          path,
          sha256: file.sha256,
          state,
          doneBytes: farthest(task),
          totalBytes: file.sizeBytes,
          message: message.slice(0, 4_000),
        },
        ...(left === undefined ? {} : { secondsLeft: left }),
      },
    ];
  });
}

/** What came is coming until the server has seen it; what failed before has failed until more comes than did before: a try reads what is there first, and may fail where the last one did. */
function toldOf(state: PullTask['state'], isNoFarther: boolean): PullReport['state'] {
  if (state === 'Done') return 'Running';
  if (state === 'Stuck') return 'Failed';
  return state === 'Running' && isNoFarther ? 'Failed' : state;
}

function secondsLeft({ began, doneBytes, file }: PullTask, nowMs: number): number | undefined {
  const came = doneBytes - (began?.bytes ?? doneBytes);
  if (!began || came <= 0) return undefined;
  return Math.ceil(((file.sizeBytes - doneBytes) * (nowMs - began.ms)) / came / 1_000);
}
