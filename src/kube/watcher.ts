import { type Backoff, backoffMs } from '../kit/backoff.ts';
import { never } from '../kit/result.ts';
import type { ApiFault } from './fault.ts';
import type { KubeObject } from './object.ts';
import type { WatchEvent } from './watch-event.ts';

/**
 * Where a watcher is. Each state has only what it needs to go on:
 *
 *     Start ──► Listing ──last page──► Listed ──opened──► Watching
 *       ▲          │ Gone                │ Gone, refused     │ Gone in HTTP or as an ERROR event, or time for a relist
 *       └──────────┴─────────────────────┴───────────────────┘
 *                                        ▲                   │ ended, broken, silent
 *                                        └───────────────────┘
 */
export type WatcherState<T extends KubeObject = KubeObject> =
  | { readonly kind: 'Start' }
  | { readonly kind: 'Listing'; readonly items: readonly T[]; readonly continue: string }
  | { readonly kind: 'Listed'; readonly resourceVersion: string }
  | { readonly kind: 'Watching'; readonly resourceVersion: string };

/** What came back from the API, or from the clock. */
export type WatcherInput<T extends KubeObject = KubeObject> =
  | {
      readonly kind: 'Page';
      readonly items: readonly T[];
      readonly resourceVersion: string;
      readonly continue?: string;
    }
  | { readonly kind: 'Opened' }
  | { readonly kind: 'Event'; readonly event: WatchEvent<T> }
  | { readonly kind: 'Ended' }
  | { readonly kind: 'Silent' }
  | { readonly kind: 'Relist' }
  | { readonly kind: 'Failed'; readonly fault: ApiFault };

/** What the cache learns. `Snapshot` is everything there is: what it does not name is gone. */
export type Change<T extends KubeObject = KubeObject> =
  | { readonly kind: 'Snapshot'; readonly objects: readonly T[] }
  | { readonly kind: 'Put'; readonly object: T }
  | { readonly kind: 'Remove'; readonly object: T };

/** `failed`: the next request should wait; `healthy`: the watch speaks, the waits start over. */
export interface WatcherStep<T extends KubeObject = KubeObject> {
  readonly state: WatcherState<T>;
  readonly change?: Change<T>;
  readonly health?: 'healthy' | 'failed';
}

/** Waits between requests that fail: 0.5 s × 2ⁿ up to 30 s, half of it at random, so that a returning API server is not stormed. */
const RECONNECT_BACKOFF: Backoff = { baseMs: 500, maxMs: 30_000 };

/** How long the watcher waits after `failures` failures in a row; longer when the API asks for it. */
export const reconnectMs = (failures: number, fault?: ApiFault, random: () => number = Math.random): number =>
  Math.max(fault?.retryAfterMs ?? 0, backoffMs(RECONNECT_BACKOFF, failures, random));

const start = { kind: 'Start' } as const;

/** One step of the watcher; pure. A state that can't get an input is a bug of the driver and throws. */
export function step<T extends KubeObject>(state: WatcherState<T>, input: WatcherInput<T>): WatcherStep<T> {
  switch (state.kind) {
    case 'Start':
    case 'Listing': {
      const items = state.kind === 'Listing' ? state.items : [];
      if (input.kind === 'Page') return page(items, input);
      // A page that failed is asked for again; a continue token that is Gone starts the list over.
      if (input.kind === 'Failed') return { state: input.fault.code === 'Gone' ? start : state, health: 'failed' };
      break;
    }
    case 'Listed':
      if (input.kind === 'Opened') return { state: { kind: 'Watching', resourceVersion: state.resourceVersion } };
      if (input.kind === 'Failed') return { state: canResume(input.fault) ? state : start, health: 'failed' };
      break;
    case 'Watching': {
      const listed = { kind: 'Listed', resourceVersion: state.resourceVersion } as const;
      if (input.kind === 'Event') return seen(state.resourceVersion, input.event);
      if (input.kind === 'Ended') return { state: listed };
      if (input.kind === 'Silent') return { state: listed, health: 'failed' };
      if (input.kind === 'Relist') return { state: start };
      break;
    }
    default:
      return never(state);
  }
  throw new Error(`a watcher that is ${state.kind} got ${input.kind}`);
}

function page<T extends KubeObject>(
  before: readonly T[],
  input: Extract<WatcherInput<T>, { kind: 'Page' }>,
): WatcherStep<T> {
  const items = [...before, ...input.items];
  if (input.continue) return { state: { kind: 'Listing', items, continue: input.continue } };
  return {
    state: { kind: 'Listed', resourceVersion: input.resourceVersion },
    change: { kind: 'Snapshot', objects: items },
  };
}

function seen<T extends KubeObject>(resourceVersion: string, event: WatchEvent<T>): WatcherStep<T> {
  switch (event.type) {
    case 'BOOKMARK':
      return { state: { kind: 'Watching', resourceVersion: event.resourceVersion }, health: 'healthy' };
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED': {
      const { object } = event;
      const at = object.metadata.resourceVersion ?? resourceVersion;
      const change = { kind: event.type === 'DELETED' ? 'Remove' : 'Put', object } as const;
      return { state: { kind: 'Watching', resourceVersion: at }, change, health: 'healthy' };
    }
    case 'ERROR': {
      const state = canResume(event.fault) ? ({ kind: 'Listed', resourceVersion } as const) : start;
      return { state, health: 'failed' };
    }
  }
}

/** Whether a watch may be opened again where it was. Anything else the API said about that version: list again. */
function canResume({ code }: ApiFault): boolean {
  switch (code) {
    case 'Unreachable':
    case 'TimedOut':
    case 'ServerError':
    case 'TooManyRequests':
    case 'Unauthorized':
    case 'Forbidden':
    case 'Aborted':
      return true;
    case 'Gone':
    case 'NotFound':
    case 'AlreadyExists':
    case 'Conflict':
    case 'Invalid':
    case 'Refused':
      return false;
    default:
      return never(code);
  }
}
