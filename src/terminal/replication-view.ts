/** Where each version lies, as text: rows are versions, columns servers. Pure. */
import type { Copy, Version } from '../farm/model.ts';
import { byNumbers } from '../kit/numbered.ts';
import { inShort } from '../kit/units.ts';
import type { Looked } from './watch.ts';

/** A version that a VDisk names, with what is recorded of its copies. */
export interface VersionCopies {
  readonly vdisk: string;
  readonly version: number;
  /** By server. */
  readonly copies: readonly Copy[];
}

/** Versions that no VDisk names are none of them. `vdisk`: of this one alone. */
export function versionCopies(
  { versions }: { readonly versions: readonly Pick<Version, 'vdisk' | 'number'>[] },
  copies: readonly Copy[],
  vdisk?: string,
): readonly VersionCopies[] {
  const byVersion = Map.groupBy(copies, keyOf);
  return versions
    .filter((version) => vdisk === undefined || version.vdisk === vdisk)
    .map(({ vdisk: name, number }) => ({
      ...{ vdisk: name, version: number },
      copies: (byVersion.get(`${name}/${number}`) ?? []).toSorted((a, b) => byNumbers(a.server, b.server)),
    }))
    .sort((a, b) => byNumbers(a.vdisk, b.vdisk) || a.version - b.version);
}

const keyOf = ({ vdisk, version }: Pick<Copy, 'vdisk' | 'version'>): string => `${vdisk}/${version}`;

const isRight = ({ state }: Copy): boolean => state === 'UpToDate';
/** Each copy is recorded as UpToDate, and there is one. */
export const areRight = (versions: readonly VersionCopies[]): boolean =>
  versions.every(({ copies }) => copies.length > 0 && copies.every(isRight));

const GAP = '   ';

/** `columns`: of the terminal; where servers do not fit beside each other, they follow in further tables. */
export function tableText(versions: readonly VersionCopies[], nowSeconds: number, columns = Infinity): string {
  const servers = [...new Set(versions.flatMap(({ copies }) => copies.map(({ server }) => server)))].sort(byNumbers);
  const names = ['VERSION', ...versions.map(keyOf)];
  const cells = servers.map((server) => [
    server,
    ...versions.map(({ copies }) => {
      const copy = copies.find((one) => one.server === server);
      return copy ? cellOf(copy, nowSeconds) : '-';
    }),
  ]);
  const tables = blocksOf(cells, columns - widthOf(names)).map((block) => linesOf([names, ...block]));
  return `${tables.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

/** Columns that fit into a width; at least one each. */
function blocksOf(columns: readonly (readonly string[])[], width: number): readonly (readonly (readonly string[])[])[] {
  const blocks: (readonly string[])[][] = [[]];
  let left = width;
  for (const column of columns) {
    const needed = GAP.length + widthOf(column);
    const block = blocks.at(-1) ?? [];
    if (needed > left && block.length > 0) {
      blocks.push([column]);
      left = width - needed;
      continue;
    }
    block.push(column);
    left -= needed;
  }
  return blocks;
}

const widthOf = (column: readonly string[]): number => Math.max(...column.map((cell) => cell.length));

/** Of columns of the same height. */
function linesOf(columns: readonly (readonly string[])[]): readonly string[] {
  const widths = columns.map(widthOf);
  return (columns[0] ?? []).map((_, row) =>
    columns
      .map((column, at) => (column[row] ?? '').padEnd(widths[at] ?? 0))
      .join(GAP)
      .trimEnd(),
  );
}

function cellOf(copy: Copy, nowSeconds: number): string {
  const { state, progressPercent } = copy;
  const left = secondsLeft(copy, nowSeconds);
  return [
    state,
    ...(progressPercent === undefined ? [] : [`${progressPercent} %`]),
    ...(left === undefined ? [] : [inShort(left)]),
  ].join(' ');
}

/** What was left when it was told, less what has gone by. */
function secondsLeft({ secondsLeft: then, reportedAt }: Copy, nowSeconds: number): number | undefined {
  const left = then === undefined ? 0 : then - Math.max(0, nowSeconds - reportedAt);
  return left > 0 ? left : undefined;
}

/** A line each. */
export function wideText(versions: readonly VersionCopies[], nowSeconds: number): string {
  const copies = versions.flatMap((version) => version.copies);
  const column = (title: string, cell: (copy: Copy) => string): readonly string[] => [title, ...copies.map(cell)];
  const ago = (seconds: number | undefined): string =>
    seconds === undefined ? '-' : inShort(Math.max(0, nowSeconds - seconds));
  const lines = linesOf([
    column('VERSION', keyOf),
    column('SERVER', ({ server }) => server),
    column('STATE', (copy) => cellOf(copy, nowSeconds)),
    column('FOR', ({ since }) => ago(since)),
    column('VERIFIED', ({ verifiedAt }) => ago(verifiedAt)),
    column('MANIFEST', ({ manifest }) => manifest ?? '-'),
  ]);
  return `${lines.join('\n')}\n`;
}

const NAMED = 5;

/** What is not right, a line each; what is the same of several versions of a server is said once. */
export function whatIsWrong(versions: readonly VersionCopies[], nowSeconds: number): readonly string[] {
  const unknown = versions.filter(({ copies }) => copies.length === 0).map(keyOf);
  const wrong = versions.flatMap(({ copies }) => copies.filter((copy) => !isRight(copy)));
  const groups = Map.groupBy(wrong, ({ server, state, message }) => JSON.stringify([server, state, message]));
  return [
    ...(unknown.length > 0 ? [`${someOf(unknown)}: nothing is recorded of it yet`] : []),
    ...[...groups.values()].flatMap((copies) => {
      const [first] = copies;
      if (!first) return [];
      const { server, state, message } = first;
      const since = Math.min(...copies.map((copy) => copy.since));
      const said = message.startsWith(`server ${server}: `) ? message.slice(`server ${server}: `.length) : message;
      const where = `${someOf(copies.map(keyOf))} on ${server}`;
      return [`${where}: ${state} for ${inShort(Math.max(0, nowSeconds - since))}${said && `: ${said}`}`];
    }),
  ];
}

const someOf = (all: readonly string[]): string =>
  `${all.slice(0, NAMED).join(', ')}${all.length > NAMED ? ` and ${all.length - NAMED} more` : ''}`;

/** For a program: times as RFC 3339. */
export const versionsJson = (versions: readonly VersionCopies[]): readonly object[] =>
  versions.map(({ vdisk, version, copies }) => ({
    ...{ vdisk, version, upToDate: copies.filter(isRight).length },
    copies: copies.map(({ vdisk: _, version: _of, since, reportedAt, verifiedAt, ...copy }) => ({
      ...copy,
      since: timeOf(since),
      reportedAt: timeOf(reportedAt),
      ...(verifiedAt === undefined ? {} : { verifiedAt: timeOf(verifiedAt) }),
    })),
  }));

const timeOf = (seconds: number): string => new Date(1_000 * seconds).toISOString().replace('.000Z', 'Z');

/** With `--exit-code`. */
export const NOT_RIGHT = 3;
export type ReplicationOutput = 'table' | 'wide' | 'json';

/** A leader confirms each second that the replica is the database's state. */
const OLD_MS = 60_000;

/** What `bootfarm replication` shows of one reading. `asOf`: when it was the state of the database, Unix milliseconds; absent: it is now. */
export function replicationLook(
  versions: readonly VersionCopies[],
  { output, watch = false }: { readonly output: ReplicationOutput; readonly watch?: boolean },
  nowMs: number,
  asOf: number | undefined,
  columns: number | undefined,
): Looked & { readonly isRight: boolean } {
  const nowSeconds = Math.floor(nowMs / 1_000);
  const ageMs = asOf === undefined ? 0 : nowMs - asOf;
  const note =
    ageMs > OLD_MS
      ? `as the database was ${inShort(Math.floor(ageMs / 1_000))} ago: it, or the operator, does not answer\n`
      : versions.length === 0
        ? 'the farm has no vDisk\n'
        : '';
  const found = versionsJson(versions);
  const looked = { note, isRight: areRight(versions), news: JSON.stringify([found, ageMs > OLD_MS]) };
  if (output === 'json') {
    const value = {
      ...(asOf === undefined ? {} : { asOf: new Date(asOf).toISOString() }),
      versions: found,
    };
    return { ...looked, text: `${watch ? JSON.stringify(value) : JSON.stringify(value, undefined, 2)}\n` };
  }
  const table = output === 'wide' ? wideText(versions, nowSeconds) : tableText(versions, nowSeconds, columns);
  const wrong = whatIsWrong(versions, nowSeconds);
  return { ...looked, text: wrong.length > 0 ? `${table}\n${wrong.join('\n')}\n` : table };
}
