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
  | { readonly is: 'Start' }
  | { readonly is: 'Listing'; readonly items: readonly T[]; readonly continue: string }
  | { readonly is: 'Listed'; readonly resourceVersion: string }
  | { readonly is: 'Watching'; readonly resourceVersion: string };

/** What came back from the API, or from the clock. */
export type WatcherInput<T extends KubeObject = KubeObject> =
  | { readonly is: 'Page'; readonly items: readonly T[]; readonly resourceVersion: string; readonly continue?: string }
  | { readonly is: 'Opened' }
  | { readonly is: 'Event'; readonly event: WatchEvent<T> }
  | { readonly is: 'Ended' }
  | { readonly is: 'Silent' }
  | { readonly is: 'Relist' }
  | { readonly is: 'Failed'; readonly fault: ApiFault };

/** What the cache learns. `Snapshot` is everything there is: what it does not name is gone. */
export type Change<T extends KubeObject = KubeObject> =
  | { readonly is: 'Snapshot'; readonly objects: readonly T[] }
  | { readonly is: 'Put'; readonly object: T }
  | { readonly is: 'Remove'; readonly object: T };

/** `failed`: the next request should wait; `healthy`: the watch speaks, the waits start over. */
export interface WatcherStep<T extends KubeObject = KubeObject> {
  readonly state: WatcherState<T>;
  readonly change?: Change<T>;
  readonly health?: 'healthy' | 'failed';
}

/** Waits between requests that fail: 0.5 s × 2ⁿ up to 30 s, half of it at random, so that a returning API server is not stormed. */
const reconnectBackoff: Backoff = { baseMs: 500, maxMs: 30_000 };

/** How long the watcher waits after `failures` failures in a row; longer when the API asks for it. */
export const reconnectMs = (failures: number, fault?: ApiFault, random: () => number = Math.random): number =>
  Math.max(fault?.retryAfterMs ?? 0, backoffMs(reconnectBackoff, failures, random));

const start = { is: 'Start' } as const;

/** One step of the watcher; pure. A state that can't get an input is a bug of the driver and throws. */
export function step<T extends KubeObject>(state: WatcherState<T>, input: WatcherInput<T>): WatcherStep<T> {
  switch (state.is) {
    case 'Start':
    case 'Listing': {
      const items = state.is === 'Listing' ? state.items : [];
      if (input.is === 'Page') return page(items, input);
      // A page that failed is asked for again; a continue token that is Gone starts the list over.
      if (input.is === 'Failed') return { state: input.fault.code === 'Gone' ? start : state, health: 'failed' };
      break;
    }
    case 'Listed':
      if (input.is === 'Opened') return { state: { is: 'Watching', resourceVersion: state.resourceVersion } };
      if (input.is === 'Failed') return { state: canResume(input.fault) ? state : start, health: 'failed' };
      break;
    case 'Watching': {
      const listed = { is: 'Listed', resourceVersion: state.resourceVersion } as const;
      if (input.is === 'Event') return seen(state.resourceVersion, input.event);
      if (input.is === 'Ended') return { state: listed };
      if (input.is === 'Silent') return { state: listed, health: 'failed' };
      if (input.is === 'Relist') return { state: start };
      break;
    }
    default:
      return never(state);
  }
  throw new Error(`a watcher that is ${state.is} got ${input.is}`);
}

function page<T extends KubeObject>(
  before: readonly T[],
  input: Extract<WatcherInput<T>, { is: 'Page' }>,
): WatcherStep<T> {
  const items = [...before, ...input.items];
  if (input.continue) return { state: { is: 'Listing', items, continue: input.continue } };
  return {
    state: { is: 'Listed', resourceVersion: input.resourceVersion },
    change: { is: 'Snapshot', objects: items },
  };
}

function seen<T extends KubeObject>(resourceVersion: string, event: WatchEvent<T>): WatcherStep<T> {
  switch (event.type) {
    case 'BOOKMARK':
      return { state: { is: 'Watching', resourceVersion: event.resourceVersion }, health: 'healthy' };
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED': {
      const { object } = event;
      const at = object.metadata.resourceVersion ?? resourceVersion;
      const change = { is: event.type === 'DELETED' ? 'Remove' : 'Put', object } as const;
      return { state: { is: 'Watching', resourceVersion: at }, change, health: 'healthy' };
    }
    case 'ERROR': {
      const state = canResume(event.fault) ? ({ is: 'Listed', resourceVersion } as const) : start;
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
