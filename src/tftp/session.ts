/**
 * One transfer as a machine: `step(state, event, now)` gives the next state and what to do. Blocks are counted without end here and cut to 16 bits on
 * the wire, so a file may have any number of them. The OACK is block 0. No sockets, no clock, no file.
 */
import { never } from '../kit/result.ts';
import {
  DEFAULT_BLOCK_BYTES,
  DEFAULT_TIMEOUT_MS,
  HEADER_BYTES,
  MAX_BLOCK_BYTES,
  MAX_SENDS,
  MAX_SENDS_UNHEARD,
  MAX_TIMEOUT_MS,
  MAX_TRANSFER_MS,
  MAX_WINDOW_BLOCKS,
  MIN_BLOCK_BYTES,
} from './limits.ts';
import type { TftpOption } from './packet.ts';

export interface Terms {
  readonly blockBytes: number;
  readonly windowBlocks: number;
  readonly timeoutMs: number;
  /** What the OACK says; empty: there is none. */
  readonly accepted: readonly TftpOption[];
}

export interface State {
  readonly phase: 'sending' | 'done';
  readonly terms: Terms;
  readonly sizeBytes: number;
  /** Highest block that the client has; -1 before the OACK was acknowledged. */
  readonly acked: number;
  /** Highest block sent. */
  readonly sent: number;
  /** Of what is under way. */
  readonly sends: number;
  readonly heard: boolean;
  /** This window was sent again because the client said so: once is enough (RFC 1350's duplicate storm). */
  readonly repeated: boolean;
  readonly startedMs: number;
  /** When the client is taken as deaf. */
  readonly deadlineMs: number;
}

export type Event =
  | { readonly kind: 'ack'; readonly block: number }
  | { readonly kind: 'error'; readonly code: number }
  /** Time has passed: look at the deadline. */
  | { readonly kind: 'tick' };

export type Outcome = 'Completed' | 'ClientError' | 'ClientSilent' | 'TooSlow';

export type Effect =
  | { readonly kind: 'offer'; readonly options: readonly TftpOption[] }
  /** Blocks `first` to `last`, each of `terms.blockBytes` but the last of the file. */
  | { readonly kind: 'data'; readonly first: number; readonly last: number }
  | { readonly kind: 'end'; readonly outcome: Outcome };

export interface Step {
  readonly state: State;
  readonly effects: readonly Effect[];
}

/** Of the way to a client, where it is known. */
export interface Way {
  /** Of our interface: tunnels and overlays have a smaller one than Ethernet. */
  readonly mtu?: number | undefined;
  /** What a person says of the way behind our interface, bytes. */
  readonly maxBlockBytes?: number | undefined;
}

/** What fits into one packet of it. */
const mostBytes = ({ mtu = Number.POSITIVE_INFINITY, maxBlockBytes = MAX_BLOCK_BYTES }: Way): number =>
  Math.max(MIN_BLOCK_BYTES, Math.min(MAX_BLOCK_BYTES, maxBlockBytes, mtu - HEADER_BYTES));

/** RFC 2347: an option that is unknown or out of its range is as if it were not there; a block size too large gets a smaller one. */
export function agree(options: readonly TftpOption[], sizeBytes: number, way: Way = {}): Terms {
  const wanted = (name: string, min: number, max: number): number | undefined => {
    const text = options.find(([known]) => known === name)?.[1];
    const value = text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  };
  const block = wanted('blksize', MIN_BLOCK_BYTES, 65_464);
  const window = wanted('windowsize', 1, 65_535);
  // RFC 2349: the server may not change a time-out, only leave it out.
  const timeout = wanted('timeout', 1, MAX_TIMEOUT_MS / 1_000);
  const blockBytes = block === undefined ? DEFAULT_BLOCK_BYTES : Math.min(block, mostBytes(way));
  const windowBlocks = Math.min(window ?? 1, MAX_WINDOW_BLOCKS);
  const accepted = options.flatMap(([name]): TftpOption[] => {
    if (name === 'blksize' && block !== undefined) return [[name, String(blockBytes)]];
    if (name === 'windowsize' && window !== undefined) return [[name, String(windowBlocks)]];
    if (name === 'timeout' && timeout !== undefined) return [[name, String(timeout)]];
    if (name === 'tsize') return [[name, String(sizeBytes)]];
    return [];
  });
  return {
    blockBytes,
    windowBlocks,
    timeoutMs: timeout === undefined ? DEFAULT_TIMEOUT_MS : timeout * 1_000,
    accepted,
  };
}

/** A file whose size is a multiple of the block size ends with an empty block. */
export const lastBlock = ({ sizeBytes, terms }: Pick<State, 'sizeBytes' | 'terms'>): number =>
  Math.floor(sizeBytes / terms.blockBytes) + 1;

export function start(options: readonly TftpOption[], sizeBytes: number, nowMs: number, way: Way = {}): Step {
  const terms = agree(options, sizeBytes, way);
  const offers = terms.accepted.length > 0;
  const acked = offers ? -1 : 0;
  return send(
    {
      phase: 'sending',
      terms,
      sizeBytes,
      acked,
      sent: acked,
      sends: 0,
      heard: false,
      repeated: false,
      startedMs: nowMs,
      deadlineMs: 0,
    },
    nowMs,
  );
}

export function step(state: State, event: Event, nowMs: number): Step {
  if (state.phase === 'done') return { state, effects: [] };
  if (nowMs - state.startedMs >= MAX_TRANSFER_MS) return end(state, 'TooSlow');
  switch (event.kind) {
    case 'ack':
      return acknowledged(state, event.block, nowMs);
    case 'error':
      return end(state, 'ClientError');
    case 'tick': {
      if (nowMs < state.deadlineMs) return { state, effects: [] };
      if (state.sends >= (state.heard ? MAX_SENDS : MAX_SENDS_UNHEARD)) return end(state, 'ClientSilent');
      return send(state, nowMs);
    }
    default:
      return never(event);
  }
}

function acknowledged(state: State, block: number, nowMs: number): Step {
  const ahead = (block - state.acked) & 0xffff;
  const underWay = state.sent - state.acked;
  if (ahead > underWay) return { state, effects: [] };
  if (ahead === 0) {
    // With single blocks a second ACK of the same block is only late, and answering it doubles every block from here on. With windows it says that
    // the first block of this window was lost (RFC 7440 section 4).
    if (state.terms.windowBlocks === 1 || state.repeated || !state.heard) return { state, effects: [] };
    return send({ ...state, repeated: true }, nowMs);
  }
  const acked = state.acked + ahead;
  const progressed: State = { ...state, acked, sends: 0, heard: true, repeated: false };
  return acked === lastBlock(state) ? end(progressed, 'Completed') : send(progressed, nowMs);
}

/** Everything after the last acknowledged block, as far as the window goes. */
function send(state: State, nowMs: number): Step {
  const { terms, acked } = state;
  const sent = acked === -1 ? 0 : Math.min(acked + terms.windowBlocks, lastBlock(state));
  return {
    state: { ...state, sent, sends: state.sends + 1, deadlineMs: nowMs + terms.timeoutMs },
    effects: [
      acked === -1 ? { kind: 'offer', options: terms.accepted } : { kind: 'data', first: acked + 1, last: sent },
    ],
  };
}

const end = (state: State, outcome: Outcome): Step => ({
  state: { ...state, phase: 'done' },
  effects: [{ kind: 'end', outcome }],
});
