/** This server's clock against those of its peers: pure. Boot tokens, tickets and `releaseAt` go by wall clocks. */
import type { ServerFault } from './status.ts';

/** Far above what NTP leaves, far below the ten minutes of a boot token. */
const MAX_SKEW_MS = 5_000;
/** Peers that the message names. */
const NAMED = 3;

export interface Skew {
  readonly name: string;
  /** By how much the peer's clock is ahead of ours; negative: behind. */
  readonly skewMs: number;
}

/** Who is off the median of its peers is told; so of three servers it is the one that is wrong, of two both. */
export function clockFault(server: string, skews: readonly Skew[]): ServerFault | undefined {
  const ahead = median(skews.map(({ skewMs }) => skewMs));
  if (ahead === undefined || Math.abs(ahead) <= MAX_SKEW_MS) return undefined;
  const peers = skews.slice(0, NAMED).map(({ name, skewMs }) => `${name} ${skewMs < 0 ? '' : '+'}${seconds(skewMs)} s`);
  const more = skews.length > NAMED ? `, and ${skews.length - NAMED} more` : '';
  return {
    code: 'ClockSkew',
    advisory: true,
    message: `the clock of server ${server} is at least ${seconds(Math.abs(ahead))} s ${ahead > 0 ? 'behind' : 'ahead of'} the median of its peers (${peers.join(', ')}${more}): let NTP set the clock of that node${skews.length === 1 ? ', or of the other, whichever is wrong' : ''}`,
  };
}

function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}

/** In steps: a clock that drifts would else say something new each second, and with it the status of the pool. */
const STEPS = [0, 1, 5, 10, 30, 60, 300, 1_800, 3_600, 86_400];
const seconds = (ms: number): number => Math.sign(ms) * (STEPS.findLast((step) => step <= Math.abs(ms) / 1_000) ?? 0);
