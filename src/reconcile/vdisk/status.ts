/** The status of a VDisk from what servers hold and what is right. Pure. */

import type { CopyReport, StoreReport, WorkReport } from '../../control/status.ts';
import { type CopyVerdict, rightContent, verdictOnCopy } from '../../farm/copies.ts';
import type { Version, VersionFile, VersionOverride } from '../../farm/model.ts';
import { rightProperties } from '../../farm/properties.ts';
import { overrideOf, type VersionChoice, type VersionState, versionFor, versionStates } from '../../farm/version.ts';
import { byNumbers } from '../../kit/numbered.ts';
import type { Recorded } from '../../operator/rows.ts';
import {
  type Claim,
  conditionsOf,
  type Hindrance,
  type Reason,
  rfc3339,
  type Statement,
  type Verdict,
} from '../../resources/conditions.ts';
import type { VDisk } from '../../resources/kinds.ts';
import { vdiskRow, versionsOf } from '../projection.ts';
import { roomFault } from '../store/room.ts';
import { type Errand, errandsOf, errandWords, type StoreServers } from './files.ts';
import { type MergeRule, mergeClaim, mergeOf } from './merge.ts';
import { workStatus } from './work.ts';

export interface CopyHolder {
  readonly server: string;
  /** Where the store lies on it. */
  readonly folder: string;
  readonly reachable: boolean;
  /** It cannot look into its folder: what it does not show may lie there. */
  readonly isBlind?: boolean;
  /** How long it has not answered; 0: it does. */
  readonly silentMs: number;
  readonly reports: readonly CopyReport[];
  /** Names of images of this vDisk that lie there and that no version needs. */
  readonly unmanaged: readonly string[];
  /** Jobs on its files there. */
  readonly work: readonly WorkReport[];
  /** The store on it, as it said last; absent: it has not looked yet. */
  readonly store?: Pick<StoreReport, 'state' | 'freeBytes' | 'totalBytes' | 'isAbsent' | 'needBytes'>;
  readonly devices?: number;
  readonly powerRating?: number;
}

export interface VDiskFindings {
  /** Servers that should have copies. */
  readonly holders: readonly CopyHolder[];
  /** What is right by the database, by version. */
  readonly recorded: ReadonlyMap<number, Recorded>;
  readonly overrides: readonly VersionOverride[];
  readonly devices: number;
  /** Of its Store, as its status says; absent: it has none. */
  readonly storeServers?: StoreServers;
  /** Absent: every server of the store keeps a copy. */
  readonly wanted?: CopiesWanted;
  /** `spec.versions` of its Farm. */
  readonly rule?: MergeRule;
  readonly nowSeconds: number;
  readonly fault?: Hindrance;
}

export interface CopiesWanted {
  readonly count: number;
  /** Servers copy by themselves. */
  readonly replicates: boolean;
  readonly replaceAfterSeconds: number;
}

export interface CopyJudged extends CopyVerdict {
  readonly server: string;
  readonly silentMs: number;
  readonly verifiedAt?: number;
  readonly lacksBootFiles?: string;
  /** Until it is copied. */
  readonly secondsLeft?: number;
  /** Of its files as they are, and these; absent: they are not whole, or nobody can be asked. */
  readonly manifest?: string;
  readonly files?: readonly VersionFile[];
  /** More than are wanted. */
  readonly surplus?: true;
}

export interface VersionJudged extends Omit<Version, 'content'> {
  readonly right?: string;
  /** Servers hold different files, and nothing says which are right. */
  readonly conflict?: boolean;
  /** The manifest that the database has: by that servers serve. */
  readonly known?: string;
  /** The right files, when some server shows them and the database has not recorded them yet. */
  readonly content?: { readonly manifest: string; readonly files: readonly VersionFile[] };
  readonly diskBytes: number;
  /** Undefined: no server shows it. */
  readonly type?: 'Base' | 'Differencing';
  /** Of the servers that should have one. */
  readonly copies: readonly CopyJudged[];
  /** Of others that have one. */
  readonly others?: readonly CopyJudged[];
}

export function judge(vdisk: VDisk, { holders, recorded }: VDiskFindings): readonly VersionJudged[] {
  return versionsOf(vdisk).map((version) => {
    const reports = holders.map((holder) => ({
      ...holder,
      report: holder.reports.find((found) => found.vdisk === vdisk.metadata.name && found.version === version.number),
    }));
    const stated = vdisk.spec.versions.find(({ number }) => number === version.number)?.sha256;
    const { manifest: known, settledAt } = recorded.get(version.number) ?? {};
    const shown = reports.flatMap(({ server, reachable, report }) =>
      reachable && report?.state === 'Present' && report.manifest ? [{ ...report, server }] : [],
    );
    const agreed = rightContent(
      stated,
      known,
      shown.filter(({ fresh }) => !fresh).map(({ manifest }) => manifest ?? ''),
    );
    const found = (stated ?? known) === undefined && isDisputed(vdisk, version, reports) ? { conflict: true } : agreed;
    // Who computes its digest first is not right for that alone, nor is what is still being put there.
    const waitsFor =
      (stated ?? known) === undefined
        ? reports.filter(
            ({ reachable, report }) => reachable && (!report || report.state === 'Hashing' || report.fresh),
          )
        : [];
    const { right, conflict } = waitsFor.length > 0 ? { conflict: found.conflict } : found;
    const properties = rightProperties(
      shown.flatMap(({ server, manifest, properties }) =>
        properties && manifest === right ? [{ ...properties, server }] : [],
      ),
    );
    const example = shown.find(({ manifest }) => manifest === right);
    return {
      ...version,
      ...(settledAt === undefined || known !== right ? {} : { settledAt }),
      ...(known === undefined ? {} : { known }),
      ...(right === undefined ? {} : { right }),
      ...(conflict ? { conflict } : {}),
      ...(example && right !== undefined && known !== right
        ? { content: { manifest: right, files: example.files } }
        : {}),
      diskBytes: example?.diskBytes ?? 0,
      ...(example ? { type: example.differenceOf === undefined ? 'Base' : 'Differencing' } : {}),
      copies: reports.map(({ server, folder, reachable, silentMs, report }) => ({
        ...{ server, silentMs },
        ...(report?.verifiedAt === undefined ? {} : { verifiedAt: report.verifiedAt }),
        ...lacksOf(report?.lacksBootFiles),
        ...(reachable && report?.manifest ? { manifest: report.manifest, files: report.files } : {}),
        ...verdictOnCopy({
          ...{ server, folder, version: version.number, reachable, conflict },
          waitsFor: waitsFor.map((holder) => holder.server),
          ...(report ? { report } : {}),
          ...(right === undefined ? {} : { right }),
          ...(example ? { example } : {}),
          ...(properties ? { properties } : {}),
        }),
      })),
    };
  });
}

interface Shown {
  readonly reachable: boolean;
  readonly isBlind?: boolean;
  readonly report: CopyReport | undefined;
}

/** Servers disagreed, and not each shows now what it holds, or that it holds nothing: who is left says nothing about who is right. */
const isDisputed = ({ status }: VDisk, version: { readonly number: number }, reports: readonly Shown[]): boolean =>
  (reports.length === 0 || !reports.every(isPlain)) &&
  (status?.versions ?? []).some(({ number, conflict }) => number === version.number && conflict === true);

const isPlain = ({ reachable, isBlind, report }: Shown): boolean =>
  reachable && !isBlind && !report?.fresh && (report?.state === 'Present' || report?.state === 'Missing');

/** A server says it: what is none is left out. */
const lacksOf = (lacksBootFiles: string | undefined): { readonly lacksBootFiles?: string } =>
  lacksBootFiles !== undefined && /^[0-9a-f]{8}$/.test(lacksBootFiles) ? { lacksBootFiles } : {};

/** Numbers of those that are Production and that enough servers have right for the first time since: they may be the default from now on. */
export const nowSettled = ({ spec }: VDisk, versions: readonly VersionJudged[]): readonly number[] =>
  versions
    .filter(({ access, settledAt }) => access === 'Production' && settledAt === undefined)
    .filter(({ copies }) => enough(copies, spec).right)
    .map(({ number }) => number);

/** Of those of which something else is right by now: what enough servers had is another version. */
export const nowUnsettled = ({ recorded }: VDiskFindings, versions: readonly VersionJudged[]): readonly number[] =>
  versions
    .filter(({ number, known, right }) => recorded.get(number)?.settledAt !== undefined && right !== known)
    .map(({ number }) => number);

/** A server that is away for longer is waited for no more: one that restarts, or misses a question, is. */
export const GONE_MS = 300_000;

type Rule = Pick<VDisk['spec'], 'copies' | 'minCopies'>;

function enough(
  copies: VersionJudged['copies'],
  { copies: asked, minCopies }: Rule,
): { readonly right: boolean; readonly wanted: number } {
  const heard = copies.filter(({ silentMs }) => silentMs < GONE_MS).length;
  const wanted = minCopies ?? Math.max(1, asked === 'all' ? heard : Math.min(heard, asked));
  return { right: copies.filter(isRight).length >= wanted, wanted };
}

type VDiskStatus = NonNullable<VDisk['status']>;
/** By its content: properties keep nothing from being served. */
export const isRight = ({ state }: Pick<CopyVerdict, 'state'>): boolean =>
  state === 'UpToDate' || isOtherInProperties({ state });
const isOtherInProperties = ({ state }: Pick<CopyVerdict, 'state'>): boolean =>
  state === 'PropertiesMissing' || state === 'PropertiesOutOfDate';
/** It becomes right by itself, or may: its digest is being computed, its server comes back. In each other state files wait for a person. */
const isPending = ({ state }: CopyVerdict): boolean => state === 'Copying' || state === 'ServerUnreachable';

/** `chosen`: servers that keep a copy; absent: all do. */
export function vdiskStatus(
  vdisk: VDisk,
  findings: VDiskFindings,
  judged: readonly VersionJudged[],
  now: Date,
  chosen?: VDiskStatus['chosen'],
): VDiskStatus {
  const generation = vdisk.metadata.generation ?? 0;
  const files = { ...unmanagedOf(findings.holders), ...workStatus(findings.holders) };
  const errands = comingOf(vdisk, findings, judged, files);
  const versions = judged.map((version) => withErrand(version, errands.get(version.number)));
  const { overrides, nowSeconds } = findings;
  const isKnown = ({ known, content }: VersionJudged): boolean => known !== undefined || content !== undefined;
  const asked = { vdisk: vdiskRow(vdisk), versions, overrides, nowSeconds, isKnown };
  const choice = versionFor(asked, 'Production');
  const states = versionStates(asked);
  const overridden = overrideOf(asked);
  const boots = choice.kind === 'version' ? choice.version : undefined;
  const right = boots?.copies.filter(isRight).length ?? 0;
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
        ...waitingFor(versions, states, vdisk, verdict(vdisk, findings, choice, right, errands)),
        claims: [
          replicated(vdisk, all, findings),
          ...overriddenClaim(overridden),
          ...merging(vdisk, findings, { ...files, versions: told, ...(boots ? { bootVersion: boots.number } : {}) }),
        ],
        generation,
      },
      now,
    ),
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

/** Of which server it is said. */
export const wordOf = ({ server, message = '' }: { readonly server: string; readonly message?: string }): string =>
  message.startsWith(`server ${server}`) ? message : `server ${server}: ${message}`;

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
