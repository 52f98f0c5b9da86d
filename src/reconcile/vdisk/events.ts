/** What people are told of copies whose state changed: an Event a version and state, whatever the number of servers. Pure. */
import type { CopyState } from '../../farm/model.ts';
import type { EventSaying } from '../../kube/events.ts';
import type { VDisk } from '../../resources/kinds.ts';
import { type VersionJudged, wordOf } from './judge.ts';

type Judged = Pick<VersionJudged, 'number' | 'copies'>;

/** Of each copy, `VERSION/SERVER`. */
export const statesNow = (versions: readonly Judged[]): ReadonlyMap<string, CopyState> =>
  new Map(versions.flatMap(({ number, copies }) => copies.map(({ server, state }) => [keyOf(number, server), state])));

/** As the status has it: of a version that it tells of, a copy that it leaves out is right. */
export function statesTold(status: VDisk['status'], versions: readonly Judged[]): ReadonlyMap<string, CopyState> {
  const told = new Map(status?.copies?.map(({ server, version, state }) => [keyOf(version, server), state]));
  const counted = new Set(status?.versions?.filter(({ copies }) => (copies ?? 0) > 0).map(({ number }) => number));
  const known = versions.filter(({ number }) => counted.has(number));
  return new Map<string, CopyState>([...known.flatMap(leftOut), ...told]);
}

const leftOut = ({ number, copies }: Judged): readonly [string, CopyState][] =>
  copies.map(({ server }) => [keyOf(number, server), 'UpToDate']);

const keyOf = (version: number, server: string): string => `${version}/${server}`;

/** A server that starts anew, or has not looked yet, is no news. */
const LASTS_MS: Partial<Record<CopyState, number>> = { ServerUnreachable: 60_000, Copying: 10_000 };
export const lastsMs = (state: CopyState): number => LASTS_MS[state] ?? 0;

const NORMAL: readonly CopyState[] = ['UpToDate', 'Copying'];
const NAMED = 5;

/** Of those of `news`; what is bad first, for an object may make so many. */
export function copyEvents(versions: readonly Judged[], news: readonly string[]): readonly EventSaying[] {
  const changed = new Set(news);
  const sayings = versions.flatMap(({ number, copies }): EventSaying[] => {
    const groups = Map.groupBy(
      copies.filter(({ server }) => changed.has(keyOf(number, server))),
      ({ state }) => state,
    );
    return [...groups].map(([state, group]) => ({
      type: NORMAL.includes(state) ? 'Normal' : 'Warning',
      reason: `Copy${state}`,
      action: 'Compare',
      note: `version ${number} on ${serversOf(group)}: ${state}${why(state, group, copies)}`,
    }));
  });
  return sayings.toSorted((a, b) => (a.type === b.type ? 0 : a.type === 'Warning' ? -1 : 1));
}

function why(state: CopyState, [first]: Judged['copies'], all: Judged['copies']): string {
  if (state === 'UpToDate') return `, as ${all.filter((copy) => copy.state === state).length} of ${all.length} are`;
  return first?.message ? `: ${wordOf(first)}` : '';
}

function serversOf(copies: Judged['copies']): string {
  const names = copies.map(({ server }) => server);
  return `${names.slice(0, NAMED).join(', ')}${names.length > NAMED ? ` and ${names.length - NAMED} more` : ''}`;
}
