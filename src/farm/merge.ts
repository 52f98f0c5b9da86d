/** When a chain of differences becomes a new base by itself: `spec.versions` of the Farm. Pure. */

export interface ChainVersion {
  readonly number: number;
  /** Absent: no server has said what it is. */
  readonly type?: 'Base' | 'Differencing' | 'Merged' | undefined;
}

export interface MergeFacts {
  /** Those that the VDisk names. */
  readonly versions: readonly ChainVersion[];
  /** What Production devices boot; absent: nothing. */
  readonly boots: number | undefined;
  /** Images that lie on a server and that no version needs. */
  readonly unmanaged: readonly { readonly number: number; readonly isDifference: boolean }[];
  readonly maxChain: number;
  /** `HH:MM`, UTC; absent: at any time. */
  readonly mergeAt?: string;
  /** Somebody works on its files now. */
  readonly isBusy: boolean;
  readonly nowSeconds: number;
}

export type MergeVerdict =
  | { readonly kind: 'None' }
  /** A newer base is there, which waits to be released; or a newer difference, which somebody works on. */
  | { readonly kind: 'Made' | 'Waits'; readonly version: number }
  | { readonly kind: 'Due' | 'Working' }
  /** Seconds since 1970. */
  | { readonly kind: 'Later'; readonly at: number };

const DAY_SECONDS = 86_400;
/** After `mergeAt` it may begin for so long: an operator that starts at noon begins nothing that was meant for the night. */
const WINDOW_SECONDS = 3_600;

/** Merged is the chain of what machines boot, and only while it is the newest: a version that is tested may still be thrown away. */
export function mergeVerdict(facts: MergeFacts): MergeVerdict {
  const { versions, boots, unmanaged, maxChain, isBusy, nowSeconds } = facts;
  const newest = Math.max(...versions.map(({ number }) => number));
  if (boots === undefined || boots !== newest || chainLength(versions) <= maxChain) return { kind: 'None' };
  const newer = unmanaged.toSorted((a, b) => b.number - a.number).find(({ number }) => number > newest);
  if (newer) return { kind: newer.isDifference ? 'Waits' : 'Made', version: newer.number };
  if (isBusy) return { kind: 'Working' };
  const at = windowAt(facts);
  return at > nowSeconds ? { kind: 'Later', at } : { kind: 'Due' };
}

/** Differences of the newest version on the base below them. */
export function chainLength(versions: readonly ChainVersion[]): number {
  const newestFirst = versions.toSorted((a, b) => b.number - a.number);
  const base = newestFirst.findIndex(({ type }) => type !== 'Differencing');
  return base < 0 ? newestFirst.length : base;
}

/** When the next window begins, or the one that is open began. */
function windowAt({ mergeAt, nowSeconds }: Pick<MergeFacts, 'mergeAt' | 'nowSeconds'>): number {
  if (mergeAt === undefined) return nowSeconds;
  const [hours = 0, minutes = 0] = mergeAt.split(':').map(Number);
  const today = nowSeconds - (nowSeconds % DAY_SECONDS) + hours * 3_600 + minutes * 60;
  const began = today > nowSeconds ? today - DAY_SECONDS : today;
  return nowSeconds - began < WINDOW_SECONDS ? began : began + DAY_SECONDS;
}

/** For `orderId`: another newest version is another merge. */
export const mergeSubject = (uid: string, version: number): string => `${uid} ${version}`;
