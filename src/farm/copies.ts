/** The verdict on one copy: what a server reported, against what is right. Pure; the first rule that holds says it. */
import { PARTIAL } from '../kit/file.ts';
import type { CopyState, VersionFile } from './model.ts';
import { type PropertiesFacts, type RightProperties, verdictOnProperties } from './properties.ts';

export interface CopyReportFacts {
  readonly state: 'Present' | 'Hashing' | 'Missing' | 'Faulty';
  readonly progressPercent: number;
  readonly files: readonly VersionFile[];
  readonly manifest?: string;
  /** A file of it was written a moment ago. */
  readonly fresh?: true;
  /** It makes itself, from what other servers have; with `fails`, why it does not. */
  readonly copying?: {
    readonly progressPercent: number;
    readonly secondsLeft?: number;
    readonly message: string;
    readonly fails?: true;
  };
  /** Files whose content changed, and their size and time did not. */
  readonly rotten?: readonly string[];
  readonly properties?: PropertiesFacts | null;
  readonly message: string;
}

export interface CopyFacts {
  readonly server: string;
  readonly version: number;
  /** Where the store lies on this server. */
  readonly folder: string;
  readonly reachable: boolean;
  /** What the server last said of it; absent: it does not know this version yet. */
  readonly report?: CopyReportFacts;
  /** Digest of the right manifest; absent: not known yet, or there is a conflict. */
  readonly right?: string;
  /** A server that shows the right files, and these. Absent: none that answers does. */
  readonly example?: { readonly server: string; readonly files: readonly VersionFile[] };
  /** Absent: no server that answers has any. */
  readonly properties?: RightProperties;
  /** Servers hold different files, and nothing says which are right. */
  readonly conflict: boolean;
  /** Servers whose digests must be there, of files that were not written a moment ago, before it is known what is right. */
  readonly waitsFor: readonly string[];
}

export interface CopyVerdict {
  readonly state: CopyState;
  readonly progressPercent?: number;
  /** Of what comes from other servers. */
  readonly secondsLeft?: number;
  readonly message: string;
}

/** In steps of 10, so that a status is not written for each percent. */
const coarse = (percent: number): number => Math.floor(percent / 10) * 10;

export function verdictOnCopy(facts: CopyFacts): CopyVerdict {
  const { server, reachable, report, right, conflict, waitsFor } = facts;
  if (!reachable) return { state: 'ServerUnreachable', message: `server ${server} does not answer` };
  if (!report) return { state: 'Copying', progressPercent: 0, message: `server ${server} has not looked yet` };
  // What is still being put there is judged when it is: nobody is told to mend it, or to take it for right.
  const isRight = report.state === 'Present' && report.manifest !== undefined && report.manifest === right;
  if (report.fresh && report.state !== 'Hashing' && !isRight)
    return {
      state: 'Copying',
      progressPercent: report.progressPercent,
      message: `files of it in ${facts.folder} were written a moment ago: it is judged when nobody writes them any more${report.message ? ` (now: ${report.message})` : ''}`,
    };
  switch (report.state) {
    case 'Missing':
      return coming(report) ?? { state: 'Missing', message: withFailure(report.message, report) };
    case 'Faulty':
      return corrupt(report.message, report);
    case 'Hashing':
      return { state: 'Copying', progressPercent: coarse(report.progressPercent), message: report.message };
    case 'Present':
      if (conflict) return { state: 'Conflict', message: inConflict(facts, report) };
      if (right === undefined)
        return {
          state: 'Copying',
          progressPercent: 100,
          message: `what is right is known when every server has computed its digest of files that nobody writes any more: it waits for ${waitsFor.join(', ') || 'the first'}`,
        };
      if (isRight)
        return verdictOnProperties(facts, report.properties, facts.properties) ?? { state: 'UpToDate', message: '' };
      if (report.rotten?.length) return corrupt(rotten(facts, report.rotten), report);
      return coming(report) ?? { state: 'OutOfDate', message: withFailure(outOfDate(facts, report, right), report) };
  }
}

/** Undefined: it does not make itself. */
function coming({ copying }: CopyReportFacts): CopyVerdict | undefined {
  if (!copying || copying.fails) return undefined;
  const { progressPercent, secondsLeft, message } = copying;
  return {
    ...{ state: 'Copying', progressPercent: coarse(progressPercent), message },
    ...(secondsLeft === undefined ? {} : { secondsLeft }),
  };
}

/** It stays so until it is whole: somebody wants to know that a disk rots. */
function corrupt(message: string, { copying }: CopyReportFacts): CopyVerdict {
  if (!copying) return { state: 'Corrupt', message };
  if (copying.fails) return { state: 'Corrupt', message: `${message}; ${copying.message}` };
  const progressPercent = coarse(copying.progressPercent);
  return { state: 'Corrupt', progressPercent, message: `${message}; it is repaired: ${copying.message}` };
}

const rotten = ({ server, folder }: CopyFacts, names: readonly string[]): string =>
  `server ${server}: the content of ${names.join(', ')} in ${folder} changed, and size and time did not: its disk may rot`;

const withFailure = (message: string, { copying }: CopyReportFacts): string =>
  copying?.fails ? `${message}; it does not come from other servers: ${copying.message}` : message;

const namesOf = (files: readonly VersionFile[]): string => files.map(({ name }) => name).join(', ');

const inConflict = ({ server, folder, version }: CopyFacts, { files, manifest }: CopyReportFacts): string =>
  `server ${server}: ${namesOf(files)} in ${folder} have the manifest ${manifest}, other servers hold other files of version ${version}, and nothing says which are right: ` +
  `\`bootfarm vdisk accept\` those of a server, or set sha256 of version ${version} in spec.versions to the manifest of those that are`;

/** The digests come last: they are long, and a status has no room for more than so much. */
function outOfDate(facts: CopyFacts, { files, manifest }: CopyReportFacts, right: string): string {
  const { server, folder, version, example } = facts;
  const orElse = `or, if it holds what is right, set sha256 of version ${version} in spec.versions to ${manifest}`;
  if (!example)
    return (
      `server ${server}: ${namesOf(files)} in ${folder} are not the files of version ${version}, and no server that answers has those: ` +
      `put each there as NAME${PARTIAL}, then rename it; ${orElse}. Right is the manifest ${right}, as ` +
      `\`cd ${folder} && sha256sum ${files.map(({ name }) => name).join(' ')} | LC_ALL=C sort -k 2 | sha256sum\` gives it`
    );
  const here = new Map(files.map(({ name, sha256 }) => [name, sha256]));
  const wrong = example.files.filter(({ name, sha256 }) => here.get(name) !== sha256);
  // Of an image in another format, or one more image that it is a difference of.
  const needless = files.filter(({ name }) => !example.files.some((file) => file.name === name));
  const digests = wrong.map(({ name, sha256 }) => `${name} ${here.get(name) ?? 'nothing'}, right is ${sha256}`);
  return (
    `server ${server}: not what server ${example.server} has of version ${version}: ${namesOf([...wrong, ...needless])} in ${folder}: ` +
    `copy ${namesOf(wrong)} from there, each as NAME${PARTIAL}, then rename it` +
    `${needless.length > 0 ? `; ${namesOf(needless)} is no file of it` : ''}; ${orElse}. SHA-256 here: ${digests.join('; ')}`
  );
}

/** What is right: what the spec says, else what the database recorded, else what every server that has the files agrees on. */
export function rightContent(
  spec: string | undefined,
  recorded: string | undefined,
  present: readonly string[],
): { readonly right?: string; readonly conflict: boolean } {
  const stated = spec ?? recorded;
  if (stated !== undefined) return { right: stated, conflict: false };
  const [first, ...others] = [...new Set(present)];
  if (first === undefined) return { conflict: false };
  return others.length > 0 ? { conflict: true } : { right: first, conflict: false };
}
