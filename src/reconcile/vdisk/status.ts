/** The status of a VDisk from what servers hold and what is right. Pure. */

import type { CopyVerdict } from '../../farm/copies.ts';
import type { VersionOverride } from '../../farm/model.ts';
import { overrideOf, type VersionChoice, type VersionState, versionFor, versionStates } from '../../farm/version.ts';
import { byNumbers } from '../../kit/numbered.ts';
import {
  type Claim,
  conditionsOf,
  type Reason,
  rfc3339,
  type Statement,
  type Verdict,
} from '../../resources/conditions.ts';
import type { VDisk } from '../../resources/kinds.ts';
import { vdiskRow } from '../projection.ts';
import { roomFault } from '../store/room.ts';
import { type Errand, errandsOf, errandWords } from './files.ts';
import {
  type CopyHolder,
  type CopyJudged,
  enough,
  isOtherInProperties,
  isPending,
  isRight,
  lacksOf,
  type Rule,
  type VDiskFindings,
  type VersionJudged,
  wordOf,
} from './judge.ts';
import { mergeClaim, mergeOf } from './merge.ts';
import { type Move, moveClaim, moveOf } from './moving.ts';
import { workStatus } from './work.ts';

type VDiskStatus = NonNullable<VDisk['status']>;

/** `chosen`: servers that keep a copy; absent: all do. */
export function vdiskStatus(
  vdisk: VDisk,
  findings: VDiskFindings,
  judged: readonly VersionJudged[],
  now: Date,
  chosen?: VDiskStatus['chosen'],
): VDiskStatus {
  const generation = vdisk.metadata.generation ?? 0;
  const { holders, left = [] } = findings;
  const files = { ...unmanagedOf(holders), ...workStatus([...holders, ...left]) };
  const move = moveOf(vdisk, findings, judged);
  // What is to be fetched, or found in an image, may lie where it moves from.
  const errands: ReturnType<typeof comingOf> = move ? new Map() : comingOf(vdisk, findings, judged, files);
  const versions = judged.map((version) => withErrand(version, errands.get(version.number)));
  const { overrides, nowSeconds } = findings;
  const isKnown = ({ known, content }: VersionJudged): boolean => known !== undefined || content !== undefined;
  const asked = { vdisk: vdiskRow(vdisk), versions, overrides, nowSeconds, isKnown };
  const choice = versionFor(asked, 'Production');
  const states = versionStates(asked);
  const overridden = overrideOf(asked);
  const boots = choice.kind === 'version' ? choice.version : undefined;
  const right = boots?.copies.filter(isRight).length ?? 0;
  const serving = servingOf(boots);
  const all = versions.flatMap(({ number, copies }) => copies.map((copy) => ({ ...copy, version: number })));
  const others = versions.flatMap(({ number, others = [] }) => others.map((copy) => ({ ...copy, version: number })));
  const shown = [
    ...all.filter((copy) => copy.version === boots?.number || copy.state !== 'UpToDate'),
    ...others.filter(({ surplus, state }) => !surplus || state !== 'ServerUnreachable'),
  ].slice(0, 512);
  const told = versions.map(({ number, type, access, settledAt, right: digest, conflict, copies }) => ({
    number,
    ...typeOf(type ?? vdisk.status?.versions?.find((told) => told.number === number)?.type),
    access,
    ...stateStatus(states.get(number), copies, vdisk.spec),
    ...(settledAt === undefined ? {} : { settledAt: atSeconds(settledAt) }),
    ...(digest === undefined ? {} : { sha256: digest }),
    ...(conflict ? { conflict } : {}),
    upToDate: copies.filter(isRight).length,
    copies: copies.length,
  }));
  return {
    observedGeneration: generation,
    conditions: conditionsOf(
      vdisk.status?.conditions ?? [],
      {
        ...movingOn(
          move,
          serving,
          waitingFor(versions, states, vdisk, verdict(vdisk, findings, choice, serving, errands)),
        ),
        claims: [
          replicated(vdisk, all, findings),
          ...moveClaim(move),
          ...overriddenClaim(overridden),
          ...merging(vdisk, findings, { ...files, versions: told, ...(boots ? { bootVersion: boots.number } : {}) }),
        ],
        generation,
      },
      now,
    ),
    ...placeStatus(move, findings, vdisk.spec),
    ...(boots ? { bootVersion: boots.number, upToDate: `${right}/${boots.copies.length}` } : {}),
    ...(boots && boots.diskBytes > 0
      ? { sizeBytes: boots.diskBytes }
      : vdisk.status?.sizeBytes === undefined
        ? {}
        : { sizeBytes: vdisk.status.sizeBytes }),
    devices: findings.devices,
    ...(overridden?.version ? { override: overrideStatus(overridden.override) } : {}),
    versions: told,
    ...files,
    ...(chosen ? { chosen } : {}),
    copies: shown.map(({ server, version, state, surplus, progressPercent, verifiedAt, lacksBootFiles, message }) => ({
      server,
      version,
      state,
      ...(surplus ? { surplus } : {}),
      ...lacksOf(lacksBootFiles),
      ...(progressPercent === undefined ? {} : { progressPercent }),
      ...verifiedOf(verifiedAt),
      ...(message ? { message } : {}),
    })),
  };
}

/** Servers that have it right, wherever. */
const servingOf = (boots: VersionJudged | undefined): number =>
  new Set([...(boots?.copies ?? []), ...(boots?.left ?? [])].filter(isRight).map(({ server }) => server)).size;

/** Of a status. */
const MAX_PLACES = 16;

const placeStatus = (
  move: Move | undefined,
  { place }: VDiskFindings,
  { storeRef }: VDisk['spec'],
): Pick<VDiskStatus, 'store' | 'movingFrom' | 'arrived'> => ({
  store: move?.step === 'Begins' ? (move.from.at(-1) ?? move.to) : storeRef.name,
  ...(move ? { movingFrom: move.from.slice(0, MAX_PLACES) } : {}),
  // As servers know it.
  ...(move && place?.moving?.arrived !== undefined ? { arrived: place.moving.arrived } : {}),
});

/** It serves meanwhile, and the spec is being put into effect. */
function movingOn(
  move: Move | undefined,
  servers: number,
  found: ReturnType<typeof verdict>,
): ReturnType<typeof verdict> {
  if (!move || found.verdict.kind !== 'ready' || found.verdict.reason === 'Disabled') return found;
  const { reason, message } = move;
  const progress = { reason: 'Moving', message } as const;
  const told = `${servers} server${servers === 1 ? ' has' : 's have'} what devices boot; ${message}`;
  return {
    verdict: { ...found.verdict, message: told, progress },
    ...(move.isHeldUp ? { degraded: { reason, message } } : {}),
  };
}

const lacksKernel = ({ state, lacksBootFiles }: CopyJudged): boolean =>
  state === 'Missing' && lacksBootFiles !== undefined;

function comingOf(
  vdisk: VDisk,
  { storeServers = [], nowSeconds }: VDiskFindings,
  versions: readonly VersionJudged[],
  files: Pick<VDiskStatus, 'work' | 'unmanaged'>,
): ReadonlyMap<number, Errand> {
  const status = {
    ...files,
    versions: versions.map(({ number, right, copies }) => ({
      number,
      ...(right === undefined ? {} : { sha256: right }),
      upToDate: copies.filter(isRight).length,
    })),
    // As `countedCopies` has them: an image without kernel is one wherever it lies.
    copies: versions.flatMap(({ number, copies, others = [] }) =>
      [...copies, ...others.filter(lacksKernel)].map(({ server, state, lacksBootFiles }) => ({
        ...lacksOf(lacksBootFiles),
        server,
        version: number,
        state,
      })),
    ),
  };
  return errandsOf({ vdisk, status, servers: storeServers, nowSeconds });
}

/** The server that brings its files says so; one that could not, why. */
function withErrand(version: VersionJudged, errand: Errand | undefined): VersionJudged {
  if (!errand || errand.kind === 'NobodyAble') return version;
  const wordsOf = (server: string): string | undefined => {
    if (errand.kind === 'Ordered') return errand.server === server ? errandWords(errand).message : undefined;
    const failed = errand.failed.filter((job) => job.server === server);
    return failed.length > 0 ? errandWords({ ...errand, failed }).message : undefined;
  };
  const copies = version.copies.map((copy) => {
    const words = copy.state === 'Missing' ? wordsOf(copy.server) : undefined;
    return words === undefined ? copy : { ...copy, message: `${copy.message}; ${words}` };
  });
  return { ...version, copies };
}

const merging = ({ metadata, spec }: VDisk, { rule, nowSeconds }: VDiskFindings, status: Partial<VDiskStatus>) =>
  rule ? mergeClaim(metadata, mergeOf(spec.fileName, status, rule, nowSeconds), rule.maxChain) : [];

/** In an order that does not depend on who answered first; what is left out is old. */
function unmanagedOf(holders: readonly CopyHolder[]): { readonly unmanaged?: string[] } {
  const names = new Set(holders.flatMap(({ unmanaged }) => unmanaged));
  return names.size === 0
    ? {}
    : {
        unmanaged: [...names]
          .sort((a, b) => byNumbers(b, a))
          .slice(0, 64)
          .sort(),
      };
}

/** A server says it: what is no time is left out. */
function verifiedOf(ms: number | undefined): { readonly lastVerified?: string } {
  const at = new Date(ms ?? Number.NaN);
  return Number.isNaN(at.getTime()) ? {} : { lastVerified: rfc3339(at) };
}

const atSeconds = (seconds: number): string => rfc3339(new Date(1_000 * seconds));

const overrideStatus = ({ version, until }: VersionOverride): NonNullable<VDiskStatus['override']> => ({
  version,
  ...(until === undefined ? {} : { until: atSeconds(until) }),
});

function stateStatus(known: VersionState | undefined, copies: VersionJudged['copies'], spec: Rule) {
  if (known?.state !== 'Pending') return known ? { state: known.state } : {};
  const { state, waitsFor } = known;
  if (waitsFor !== 'copies') return { state, message: `is released at ${atSeconds(waitsFor.releaseAt)}` };
  const right = copies.filter(isRight).length;
  const message = `becomes the default when ${enough(copies, spec).wanted} servers have it right: ${right} have`;
  const lacks = worst(copies);
  return { state, message: lacks ? `${message}; ${lacks.message}` : message };
}

/** Present while there is an override. */
function overriddenClaim(overridden: ReturnType<typeof overrideOf>): Omit<Claim, 'observedGeneration'>[] {
  if (!overridden) return [];
  const { override, version } = overridden;
  const { vdisk, until } = override;
  const ends = until === undefined ? 'until it is cleared' : `until ${atSeconds(until)}`;
  const clear = `\`bootfarm rollback --clear --vdisk ${vdisk}\` ends it`;
  const message = version
    ? `devices boot version ${override.version}, whatever the spec says, ${ends}: ${clear}`
    : `version ${override.version} of a rollback is not in spec.versions any more: devices boot what the spec says. ${clear}`;
  return [{ type: 'Overridden', status: version ? 'True' : 'False', reason: 'RolledBack', message }];
}

const typeOf = <Type>(type: Type | undefined) => (type === undefined ? {} : { type });

/** While a version becomes the default, the spec is being put into effect; where a person has to bring its files, that is told. */
function waitingFor(
  versions: readonly VersionJudged[],
  states: ReadonlyMap<number, VersionState>,
  { spec }: VDisk,
  found: ReturnType<typeof verdict>,
): ReturnType<typeof verdict> {
  const next = versions.find(({ number }) => {
    const known = states.get(number);
    return known?.state === 'Pending' && known.waitsFor === 'copies';
  });
  if (!next || found.verdict.kind !== 'ready') return found;
  const { message = '' } = stateStatus(states.get(next.number), next.copies, spec);
  const lacks = worst(next.copies.filter((copy) => !isPending(copy)));
  const progress = { reason: 'CopiesBehind', message: `version ${next.number} ${message}` } as const;
  return { ...(lacks ? { degraded: lacks } : {}), ...found, verdict: { ...found.verdict, progress } };
}

/** What a person is told of when no copy is right, the worst first. */
const WORST: readonly { readonly state: CopyVerdict['state']; readonly reason: Reason }[] = [
  { state: 'Conflict', reason: 'CopiesConflict' },
  { state: 'Corrupt', reason: 'FilesFaulty' },
  { state: 'Missing', reason: 'FilesMissing' },
  { state: 'OutOfDate', reason: 'CopiesBehind' },
  { state: 'Copying', reason: 'Verifying' },
  { state: 'ServerUnreachable', reason: 'ServerUnreachable' },
];

function verdict(
  { spec }: VDisk,
  { fault }: VDiskFindings,
  choice: VersionChoice<VersionJudged>,
  right: number,
  errands: ReadonlyMap<number, Errand>,
): { verdict: Verdict; degraded?: Statement } {
  if (fault) return { verdict: fault };
  if (spec.enabled === false)
    return { verdict: { kind: 'ready', reason: 'Disabled', message: 'spec.enabled is false: no device may boot it' } };
  if (choice.kind === 'none')
    return {
      verdict: { kind: 'stalled', reason: 'NoVersion', message: `${choice.message}: promote one in spec.versions` },
    };
  const boots = choice.version;
  const wrong = worst(boots.copies);
  const told = `${right} of ${boots.copies.length} copies of version ${boots.number} are right`;
  const minCopies = spec.minCopies ?? 1;
  if (right >= minCopies) return { verdict: { kind: 'ready', message: told }, ...(wrong ? { degraded: wrong } : {}) };
  const errand = errands.get(boots.number);
  const words = errand && errandWords(errand);
  if (words) {
    const { reason, message, comes } = words;
    const why = { reason, message: `${told}, ${minCopies} are wanted; ${message}` };
    return { verdict: comes ? { kind: 'reconciling', ...why } : { kind: 'stalled', ...why } };
  }
  const pending = boots.copies.filter(isPending);
  // Copies that no person has to touch may be enough, and a resource that needs nobody is not Stalled.
  const tooFew = boots.copies.length > right + pending.length && right + pending.length < minCopies;
  const needsPerson = tooFew || boots.copies.some(({ state }) => state === 'Conflict');
  const why: Statement = {
    reason: (needsPerson ? wrong : worst(pending))?.reason ?? 'TooFewCopies',
    message: `${told}, ${minCopies} are wanted${wrong ? `; ${wrong.message}` : ''}`,
  };
  return { verdict: needsPerson ? { kind: 'stalled', ...why } : { kind: 'reconciling', ...why } };
}

function worst(copies: readonly (CopyVerdict & { readonly server: string })[]): Statement | undefined {
  for (const { state, reason } of WORST) {
    const found = copies.filter((copy) => copy.state === state);
    if (found.length > 0)
      return {
        reason,
        message: found.map(wordOf).join('; '),
      };
  }
  return undefined;
}

function replicated(
  { spec }: VDisk,
  copies: readonly (CopyJudged & { readonly version: number })[],
  { wanted, storeServers = [] }: VDiskFindings,
): Omit<Claim, 'observedGeneration'> {
  const right = copies.filter(isRight).length;
  const others = copies.filter(isOtherInProperties).length;
  const servers = new Set(copies.map(({ server }) => server)).size;
  const lacking = new Set(copies.filter((copy) => !isRight(copy)).map(({ server }) => server));
  const full = storeServers
    .filter(({ name }) => lacking.has(name))
    .flatMap((server) => roomFault(server) ?? [])
    .map((words) => `store ${spec.storeRef.name}: ${words}`);
  const message = [
    `${right} of ${copies.length} copies of all versions are right`,
    ...(others > 0 ? [`${others} of them lack the right properties (.pvp)`] : []),
    ...(wanted && servers < wanted.count ? [tooFew(servers, wanted.count)] : []),
    ...full,
  ].join('; ');
  const isWhole = right === copies.length && servers >= (wanted?.count ?? 1);
  if (isWhole && others === 0) return { type: 'Replicated', status: 'True', reason: 'CopiesCurrent', message };
  const reason =
    (full.length > 0 ? 'NoRoom' : worst(copies)?.reason) ?? (isWhole ? 'PropertiesBehind' : 'TooFewCopies');
  return { type: 'Replicated', status: 'False', reason, message };
}

const tooFew = (servers: number, wanted: number): string =>
  `spec.copies asks for ${wanted} and ${servers} server${servers === 1 ? '' : 's'} of the store may keep one: let more offer it, or ask for fewer`;
