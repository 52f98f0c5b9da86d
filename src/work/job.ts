/** A job: work on the files of a store that a person ordered, and how far it is. One JSON file; whoever reads it may be of another release. */
import { basename, dirname, parse } from 'node:path';
import { type Static, Type } from 'typebox';
import { readJson } from '../kit/json.ts';
import { ACCESSES } from '../store/pvs/manifest.ts';

const path = Type.String({ minLength: 1, maxLength: 4_096, pattern: '^/' });
const name = Type.String({ minLength: 1, maxLength: 255, pattern: '^[^/]+$' });
const whole = Type.Integer({ minimum: 0 });
const time = Type.String({ maxLength: 64 });

/** As `store/pvs/export.ts` has it. */
const Stated = Type.Object({
  number: whole,
  access: Type.Unsafe<(typeof ACCESSES)[number]>({ type: 'string', enum: ACCESSES }),
  description: Type.String(),
  scheduledAt: Type.Optional(Type.Number()),
});

/** What is to be done. Paths are absolute: who does it has a working directory of its own. `number`: the version that an earlier try began, and no other. */
export const Order = Type.Union([
  Type.Object({
    kind: Type.Literal('convert'),
    source: path,
    target: path,
    fixed: Type.Optional(Type.Literal(true)),
    blockBytes: Type.Optional(whole),
  }),
  Type.Object({
    kind: Type.Literal('new-version'),
    folder: path,
    fileName: name,
    from: Type.Optional(path),
    number: Type.Optional(whole),
  }),
  Type.Object({
    kind: Type.Literal('merge'),
    folder: path,
    fileName: name,
    into: Type.Union([Type.Literal('base'), Type.Literal('updates')]),
    /** Only where this is the newest; absent: whichever is. */
    version: Type.Optional(whole),
    number: Type.Optional(whole),
  }),
  Type.Object({ kind: Type.Literal('import'), source: path, target: path }),
  /** `version` absent: the newest. */
  Type.Object({ kind: Type.Literal('boot-files'), folder: path, fileName: name, version: Type.Optional(whole) }),
  /** Of the server of this name, and of the folder of this mark (`farm/orders.ts`). The farm orders it, and no person. */
  Type.Object({ kind: Type.Literal('give-back'), folder: path, fileName: name, server: name, volume: name }),
  Type.Object({
    kind: Type.Literal('export'),
    folder: path,
    fileName: name,
    to: path,
    numbers: Type.Optional(Type.Array(whole)),
    stated: Type.Optional(Type.Array(Stated)),
  }),
  Type.Object({
    kind: Type.Literal('fetch'),
    /** One that is signed is long. */
    url: Type.String({ minLength: 1, maxLength: 16_384 }),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    sizeBytes: Type.Optional(whole),
    target: path,
    /** Of a vDisk: imported where another program made it, and with its kernel and initrd (`store/base.ts`). */
    asBase: Type.Optional(Type.Literal(true)),
  }),
  /** From standard input: the process that has it does the work, and nobody else can. */
  Type.Object({ kind: Type.Literal('upload'), target: path }),
]);
export type Order = Readonly<Static<typeof Order>>;

/**
 * - `Queued`: it waits for its turn, or, with `waitsUntilMs`, for somebody else's work in the folder.
 * - `Cancelled`: a person ended it, and nothing is left of it.
 */
const STATES = ['Queued', 'Running', 'Done', 'Failed', 'Cancelled'] as const;
export type JobState = (typeof STATES)[number];

export const Job = Type.Object({
  id: Type.String({ pattern: '^[0-9a-f]{8}$' }),
  order: Order,
  /** Of the store: one job at a time works in it. */
  folder: path,
  /** `fileName` of the VDisk whose version is made; absent: the target is named as none. */
  fileName: Type.Optional(name),
  /** Of what is made; absent: not known yet. */
  version: Type.Optional(whole),
  state: Type.Unsafe<JobState>({ type: 'string', enum: STATES }),
  /** Of the disk, or of what comes; 0 of 0: it did not say yet. */
  doneBytes: whole,
  totalBytes: whole,
  orderedAt: time,
  startedAt: Type.Optional(time),
  endedAt: Type.Optional(time),
  /** How often it was running when the keeper ended without a word: its memory may be why. */
  crashes: whole,
  waitsUntilMs: Type.Optional(Type.Number()),
  /** Why it failed, or what it waits for. */
  message: Type.String(),
  /** The operator ordered it, and may take it back. */
  byFarm: Type.Optional(Type.Literal(true)),
  /** What a person is told of what was made, and what `-o json` prints. */
  words: Type.Array(Type.String()),
  made: Type.Optional(Type.Unknown()),
});
export type Job = Readonly<Static<typeof Job>>;

/** Undefined: it is none. */
export const parseJob = (text: string): Job | undefined => readJson(Job, text);

export const newJob = (id: string, order: Order, nowMs: number): Job => ({
  id,
  order,
  ...placeOf(order),
  state: 'Queued',
  doneBytes: 0,
  totalBytes: 0,
  orderedAt: timeAt(nowMs),
  crashes: 0,
  message: '',
  words: [],
});

export const timeAt = (ms: number): string => new Date(ms).toISOString();

export const isEnded = ({ state }: Pick<Job, 'state'>): boolean =>
  state === 'Done' || state === 'Failed' || state === 'Cancelled';

/** Whole percent; undefined: it did not say how much there is to do. */
export const percentOf = ({ state, doneBytes, totalBytes }: Pick<Job, 'state' | 'doneBytes' | 'totalBytes'>) =>
  state === 'Done' ? 100 : totalBytes === 0 ? undefined : Math.min(100, Math.floor((100 * doneBytes) / totalBytes));

/** Where it works, and on what, as far as its order says it. */
export function placeOf(order: Order): Pick<Job, 'folder' | 'fileName' | 'version'> {
  if (order.kind === 'boot-files') {
    const { folder, fileName, version } = order;
    return { folder, fileName, ...(version !== undefined && { version }) };
  }
  if (order.kind !== 'convert' && order.kind !== 'import' && order.kind !== 'fetch' && order.kind !== 'upload')
    return { folder: order.folder, fileName: order.fileName };
  const stem = parse(basename(order.target)).name;
  const [, fileName = stem, digits = '0'] = /^(.+)\.([1-9]\d{0,8})$/.exec(stem) ?? [];
  return { folder: dirname(order.target), ...(fileName && { fileName, version: Number(digits) }) };
}
