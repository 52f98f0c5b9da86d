/** What servers hold of a VDisk, judged by what is right. Pure. */
import type { CopyReport, StoreReport, WorkReport } from '../../control/status.ts';
import { type CopyVerdict, rightContent, verdictOnCopy } from '../../farm/copies.ts';
import type { Version, VersionFile, VersionOverride } from '../../farm/model.ts';
import { rightProperties } from '../../farm/properties.ts';
import type { Place, Recorded } from '../../operator/rows.ts';
import type { Hindrance } from '../../resources/conditions.ts';
import type { VDisk } from '../../resources/kinds.ts';
import { versionsOf } from '../projection.ts';
import type { StoreServers } from './files.ts';
import type { MergeRule } from './merge.ts';

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
  /** Of its folder. Absent: it is not known. */
  readonly volume?: string;
  /** Devices that stream this vDisk from it; absent: it does not say. */
  readonly streams?: number;
}

/** A server of a store from which the vDisk moves. */
export interface LeftHolder extends CopyHolder {
  readonly of: string;
}

export interface VDiskFindings {
  /** Servers that should have copies. */
  readonly holders: readonly CopyHolder[];
  /** Where servers know it to be; absent: in the store that the spec names. */
  readonly place?: Place;
  /** Of the stores from which it moves. */
  readonly left?: readonly LeftHolder[];
  /** What is right by the database, by version. */
  readonly recorded: ReadonlyMap<number, Recorded>;
  readonly overrides: readonly VersionOverride[];
  readonly devices: number;
  /** Its Store is one of which all servers see the same files. */
  readonly isShared?: boolean;
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

/** In a store from which the vDisk moves. */
export interface LeftJudged extends CopyJudged {
  readonly of: string;
  /** Its server cannot look there: what it does not show may be there. */
  readonly isBlind: boolean;
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
  /** In the stores from which it moves. */
  readonly left?: readonly LeftJudged[];
}

/** What is right is learned of all places where it may lie. */
export function judge(vdisk: VDisk, { holders, left = [], recorded }: VDiskFindings): readonly VersionJudged[] {
  return versionsOf(vdisk).map((version) => {
    const reported = <Holder extends CopyHolder>(holder: Holder) => ({
      ...holder,
      report: holder.reports.find((found) => found.vdisk === vdisk.metadata.name && found.version === version.number),
    });
    const [here, there] = [holders.map(reported), left.map(reported)];
    const reports = [...here, ...there];
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
    const judged = ({ server, folder, reachable, silentMs, report }: (typeof reports)[number]): CopyJudged => ({
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
    });
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
      copies: here.map(judged),
      ...(there.length > 0
        ? { left: there.map((one) => ({ ...judged(one), of: one.of, isBlind: one.isBlind ?? false })) }
        : {}),
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
export const lacksOf = (lacksBootFiles: string | undefined): { readonly lacksBootFiles?: string } =>
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

export type Rule = Pick<VDisk['spec'], 'copies' | 'minCopies'>;

export function enough(
  copies: VersionJudged['copies'],
  { copies: asked, minCopies }: Rule,
): { readonly right: boolean; readonly wanted: number } {
  const heard = copies.filter(({ silentMs }) => silentMs < GONE_MS).length;
  const wanted = minCopies ?? Math.max(1, asked === 'all' ? heard : Math.min(heard, asked));
  return { right: copies.filter(isRight).length >= wanted, wanted };
}

/** By its content: properties keep nothing from being served. */
export const isRight = ({ state }: Pick<CopyVerdict, 'state'>): boolean =>
  state === 'UpToDate' || isOtherInProperties({ state });
export const isOtherInProperties = ({ state }: Pick<CopyVerdict, 'state'>): boolean =>
  state === 'PropertiesMissing' || state === 'PropertiesOutOfDate';
/** It becomes right by itself, or may: its digest is being computed, its server comes back. In each other state files wait for a person. */
export const isPending = ({ state }: CopyVerdict): boolean => state === 'Copying' || state === 'ServerUnreachable';

/** Of which server it is said. */
export const wordOf = ({ server, message = '' }: { readonly server: string; readonly message?: string }): string =>
  message.startsWith(`server ${server}`) ? message : `server ${server}: ${message}`;
