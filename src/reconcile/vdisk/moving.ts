/** A VDisk that moves from one Store to another: how far it is, what is told of it, and what servers are told next (`farm/moving.ts`). Pure. */
import type { Moving } from '../../farm/model.ts';
import { writerOf } from '../../farm/moving.ts';
import type { Claim, Reason } from '../../resources/conditions.ts';
import type { VDisk } from '../../resources/kinds.ts';
import { roomFault } from '../store/room.ts';
import {
  type CopyHolder,
  enough,
  GONE_MS,
  isRight,
  type LeftHolder,
  type LeftJudged,
  type VDiskFindings,
  type VersionJudged,
  wordOf,
} from './judge.ts';
import { tokenOf } from './volumes.ts';

export interface Move {
  readonly to: string;
  readonly from: readonly string[];
  /** What it waits for; or, of `Over`, nothing. */
  readonly step: 'Begins' | 'Comes' | 'Leaves' | 'Remains' | 'Over';
  readonly reason: Reason;
  readonly message: string;
  /** It does not go on by itself, as far as it is known. */
  readonly isHeldUp: boolean;
  /** Of every version that comes so many servers have it right in the new store, when all of it is there. */
  readonly arrived?: number;
}

type Findings = Pick<VDiskFindings, 'holders' | 'left' | 'place' | 'storeServers' | 'nowSeconds'>;

/** Undefined: all of it is where it is to be. */
export function moveOf({ spec }: VDisk, findings: Findings, versions: readonly VersionJudged[]): Move | undefined {
  const { place = { store: spec.storeRef.name }, holders, left = [] } = findings;
  const { store, moving } = place;
  if (store !== spec.storeRef.name) {
    const from = [...(moving?.from ?? []), store].filter((name) => name !== spec.storeRef.name);
    const message = `it is about to move from store ${store} to store ${spec.storeRef.name}`;
    return { to: store, from, step: 'Begins', reason: 'Copying', message, isHeldUp: false };
  }
  if (!moving) return undefined;
  const { from } = moving;
  const way = `from store ${from.join(', ')} to store ${store}`;
  const at = { to: store, from, isHeldUp: false };
  const coming = versions.filter((version) => !isThere(spec, version));
  if (coming.length > 0) {
    const held = holdUp(spec, findings, coming);
    const there = `${versions.length - coming.length} of ${versions.length} versions are there`;
    const message = [`it moves ${way}: ${there}`, ...(held ? [held.message] : [])].join('; ');
    const { arrived } = moving;
    const reason = held?.reason ?? 'Copying';
    return { ...at, step: 'Comes', reason, message, isHeldUp: held !== undefined, ...(arrived && { arrived }) };
  }
  const counts = versions.map(({ copies }) => copies.filter(isRight).length).filter((count) => count > 0);
  const arrived = moving.arrived ?? (counts.length === 0 ? 1 : Math.min(...counts));
  const rightHere = new Set(
    holders.map(({ server }) => server).filter((name) => versions.every((version) => !hasLeft(version, name))),
  );
  const readers = left.filter(({ server, silentMs }) => !rightHere.has(server) && silentMs < GONE_MS);
  const streaming = readers.filter(({ streams }) => streams === undefined || streams > 0);
  if (moving.arrived === undefined || streaming.length > 0) {
    const devices = streaming.reduce((sum, { streams = 0 }) => sum + streams, 0);
    const who = [...new Set(streaming.map(({ server }) => server))].sort().join(', ');
    const what = streaming.length > 0 ? `${devices} devices still read it from server ${who}` : 'devices are told';
    return { ...at, step: 'Leaves', reason: 'HandingOver', message: `it moved ${way}: ${what}`, arrived };
  }
  const remains = spec.movePolicy === 'Delete' ? remaining(versions, holders, left) : [];
  if (remains.length > 0) {
    const words = remains.map(({ of, server }) => `store ${of} of server ${server}`);
    const message = `it moved ${way}: its files in ${[...new Set(words)].join(', ')} go (status.work; movePolicy: Retain lets them stay)`;
    return { ...at, step: 'Remains', reason: 'GivingBack', message, arrived };
  }
  return { ...at, step: 'Over', reason: 'HandingOver', message: `it moved ${way}`, arrived };
}

/** What still lies where it was, and is to go. Of a folder with a file that is not right nothing goes: it is a person's. One that is the new store's, too, is no other. */
function remaining(
  versions: readonly VersionJudged[],
  holders: readonly CopyHolder[],
  left: readonly LeftHolder[],
): readonly LeftJudged[] {
  const isSame = (one: LeftJudged): boolean => {
    const { volume } = left.find(({ of, server }) => of === one.of && server === one.server) ?? {};
    return volume !== undefined && holders.some((holder) => tokenOf(holder.volume) === tokenOf(volume));
  };
  const isWrong = (one: LeftJudged): boolean =>
    versions.some(({ left: copies = [] }) =>
      copies.some(
        ({ of, server, state }) =>
          of === one.of && server === one.server && (state === 'OutOfDate' || state === 'Corrupt'),
      ),
    );
  return versions.flatMap(({ left: copies = [] }) =>
    copies.filter((copy) => !isSame(copy) && !isGone(copy) && !isWrong(copy)),
  );
}

const isGone = ({ isBlind, state, lacksBootFiles }: LeftJudged): boolean =>
  !isBlind && state === 'Missing' && lacksBootFiles === undefined;

/** It reads what it serves of a version where that was: its own in the new store is not right. */
const hasLeft = ({ copies, left = [] }: VersionJudged, server: string): boolean =>
  left.some((copy) => copy.server === server && isRight(copy)) &&
  !copies.some((copy) => copy.server === server && isRight(copy));

/** Enough servers have it right in the new store, as for a version that becomes the default; or there is none where it was. */
function isThere(spec: VDisk['spec'], { copies, left = [], right }: VersionJudged): boolean {
  const whole = copies.filter((copy) => copy.state !== 'PropertiesMissing');
  const { wanted } = enough(copies, spec);
  if (right !== undefined && whole.filter(isRight).length >= wanted) return true;
  return left.length > 0 && left.every((copy) => isNowhere(copy, right));
}

/** Its server answers, and what is there, if anything is, is not it. */
const isNowhere = ({ isBlind, state, lacksBootFiles }: LeftJudged, right: string | undefined): boolean =>
  !isBlind && ((state === 'Missing' && (right !== undefined || lacksBootFiles === undefined)) || state === 'OutOfDate');

/** Why it does not come, as far as it is known. */
function holdUp(
  { storeRef }: VDisk['spec'],
  { holders, left = [], storeServers = [], place }: Findings,
  coming: readonly VersionJudged[],
): { readonly reason: Reason; readonly message: string } | undefined {
  if (holders.length === 0)
    return {
      reason: 'NoServers',
      message: `no server offers store ${storeRef.name}: correct spec.servers of the Store`,
    };
  const lacking = new Set(
    coming.flatMap(({ copies }) => copies.filter((copy) => !isRight(copy)).map(({ server }) => server)),
  );
  const full = storeServers.filter(({ name }) => lacking.has(name)).flatMap((server) => roomFault(server) ?? []);
  if (full.length > 0) return { reason: 'NoRoom', message: `store ${storeRef.name}: ${full.join('; ')}` };
  const lost = coming.find(({ copies, left: old = [] }) => ![...copies, ...old].some(isRight));
  if (!lost) return undefined;
  const others = (place?.moving?.from ?? []).join(', ');
  const away = [...(lost.left ?? [])].filter((copy) => copy.isBlind || copy.state !== 'Missing');
  const why =
    left.length === 0 ? 'no server offers it' : away.map(wordOf).join('; ') || 'nobody knows what is right of it';
  return {
    reason: 'FilesMissing',
    message: `version ${lost.number} is right on no server that answers: store ${others}: ${why}. Bring that back, or put the files into store ${storeRef.name}; where they are lost, delete Store ${others} (annotated bootfarm.io/confirm-delete), and the move is over`,
  };
}

/** Present while it moves. */
export const moveClaim = (move: Move | undefined): Omit<Claim, 'observedGeneration'>[] =>
  move ? [{ type: 'Moving', status: 'True', reason: move.reason, message: move.message }] : [];

/** What servers are told next: `Over` is undefined, and what is as it was the same. */
export function nextMoving(
  moving: Moving,
  move: Move,
  holders: readonly CopyHolder[],
  isShared: boolean,
): Moving | undefined {
  if (move.step === 'Over') return undefined;
  const by = isShared ? writerOf(moving, holders.map(writer)) : undefined;
  const { from } = moving;
  return {
    from,
    ...(move.arrived === undefined ? {} : { arrived: move.arrived }),
    ...(by === undefined ? {} : { by }),
  };
}

const writer = ({ server, reachable, isBlind, silentMs }: CopyHolder) => ({
  ...{ name: server, isAble: reachable && isBlind !== true, silentSeconds: Math.floor(silentMs / 1_000) },
});
