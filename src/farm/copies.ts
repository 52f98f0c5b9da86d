/** The verdict on one copy: what a server reported, against what is right. Pure; the first rule that holds says it. */
import type { CopyState } from './model.ts';

export interface CopyReportFacts {
  readonly state: 'Present' | 'Hashing' | 'Missing' | 'Faulty';
  readonly progressPercent: number;
  readonly manifest?: string;
  readonly message: string;
}

export interface CopyFacts {
  readonly server: string;
  readonly reachable: boolean;
  /** What the server last said of it; absent: it does not know this version yet. */
  readonly report?: CopyReportFacts;
  /** Digest of the right manifest; absent: not known yet, or there is a conflict. */
  readonly right?: string;
  /** Servers hold different files, and nothing says which are right. */
  readonly conflict: boolean;
  /** Servers whose digests must be there before it is known what is right. */
  readonly waitsFor: readonly string[];
}

export interface CopyVerdict {
  readonly state: CopyState;
  readonly progressPercent?: number;
  readonly message: string;
}

/** In steps of 10, so that a status is not written for each percent. */
const coarse = (percent: number): number => Math.floor(percent / 10) * 10;

export function verdictOnCopy({ server, reachable, report, right, conflict, waitsFor }: CopyFacts): CopyVerdict {
  if (!reachable) return { state: 'ServerUnreachable', message: `server ${server} does not answer` };
  if (!report) return { state: 'Copying', progressPercent: 0, message: `server ${server} has not looked yet` };
  switch (report.state) {
    case 'Missing':
      return { state: 'Missing', message: report.message };
    case 'Faulty':
      return { state: 'Corrupt', message: report.message };
    case 'Hashing':
      return { state: 'Copying', progressPercent: coarse(report.progressPercent), message: report.message };
    case 'Present':
      if (conflict)
        return {
          state: 'Conflict',
          message: `server ${server} holds ${short(report.manifest)}, others hold something else, and nothing says which is right: set sha256 of the version in the VDisk`,
        };
      if (right === undefined)
        return {
          state: 'Copying',
          progressPercent: 100,
          message: `what is right is known when every server has computed its digest: it waits for ${waitsFor.join(', ') || 'the first'}`,
        };
      if (report.manifest === right) return { state: 'UpToDate', message: '' };
      return {
        state: 'OutOfDate',
        message: `server ${server} holds ${short(report.manifest)}, right is ${short(right)}: copy the right files there, or set sha256 of the version in the VDisk`,
      };
  }
}

const short = (digest: string | undefined): string => digest?.slice(0, 12) ?? 'nothing';

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
