/**
 * ProxyDHCP as a machine: `step(state, event, now)` gives the next state and what to do. A packet becomes a question, the question waits for the
 * verdict, the verdict becomes an answer or silence. No sockets, no clock.
 */
import type { Bootstrap } from '../farm/bootstrap.ts';
import { never } from '../kit/result.ts';
import {
  answerPacket,
  type Boot,
  bootOf,
  type Door,
  destination,
  type Endpoint,
  type Machine,
  question,
  type Self,
  type Silence,
  type Verdict,
} from './answer.ts';
import { ANSWER_BURST, ANSWERS_PER_SECOND, MAX_PACKET_BYTES, MAX_PENDING, MAX_VERDICT_MS } from './limits.ts';
import { decode, encode, type Packet } from './packet.ts';

interface Pending {
  readonly packet: Packet;
  readonly machine: Machine;
  readonly door: Door;
  readonly source: Endpoint;
  readonly sinceMs: number;
}

export interface State {
  readonly self: Self;
  readonly nextId: number;
  /** By id, oldest first. */
  readonly pending: ReadonlyMap<number, Pending>;
  readonly budget: { readonly answers: number; readonly atMs: number };
}

export type Event =
  | { readonly kind: 'packet'; readonly door: Door; readonly bytes: Uint8Array; readonly source: Endpoint }
  | {
      readonly kind: 'verdict';
      readonly id: number;
      readonly verdict: Verdict;
      /** Undefined: the farm's data is not there. */
      readonly bootstrap: Bootstrap | undefined;
    }
  /** The verdict could not be had. */
  | { readonly kind: 'noVerdict'; readonly id: number; readonly message: string };

export type Effect =
  | { readonly kind: 'ask'; readonly id: number; readonly machine: Machine }
  | { readonly kind: 'send'; readonly door: Door; readonly bytes: Uint8Array; readonly to: Endpoint }
  | { readonly kind: 'note'; readonly event: DhcpEvent };

/** What happened, for counters, the log and the story of a machine's boot. */
export type DhcpEvent =
  | { readonly kind: 'answered'; readonly door: Door; readonly machine: Machine; readonly boot: Boot }
  | { readonly kind: 'silent'; readonly door: Door; readonly reason: Silence; readonly machine?: Machine }
  | { readonly kind: 'malformed'; readonly door: Door; readonly code: string }
  | {
      readonly kind: 'dropped';
      readonly reason: 'Flood' | 'NoBootstrap' | 'NoVerdict' | 'Unencodable';
      readonly message?: string;
    };

export interface Step {
  readonly state: State;
  readonly effects: readonly Effect[];
}

export const start = (self: Self, nowMs: number): State => ({
  self,
  nextId: 1,
  pending: new Map(),
  budget: { answers: ANSWER_BURST, atMs: nowMs },
});

/** `nowMs` is of a clock that never goes back. */
export function step(state: State, event: Event, nowMs: number): Step {
  switch (event.kind) {
    case 'packet':
      return received(state, event, nowMs);
    case 'verdict': {
      const pending = state.pending.get(event.id);
      return pending ? judged(without(state, event.id), pending, event, nowMs) : stay(state);
    }
    case 'noVerdict':
      return state.pending.has(event.id)
        ? note(without(state, event.id), { kind: 'dropped', reason: 'NoVerdict', message: event.message })
        : stay(state);
    default:
      return never(event);
  }
}

function received(state: State, event: Extract<Event, { kind: 'packet' }>, nowMs: number): Step {
  const { door, source } = event;
  const decoded = decode(event.bytes);
  if (!decoded.ok) return note(state, { kind: 'malformed', door, code: decoded.error.code });
  const packet = decoded.value;
  const asked = question(packet, door, state.self.address);
  if ('silence' in asked) return note(state, { kind: 'silent', door, reason: asked.silence });
  const fresh = [...state.pending].filter(([, { sinceMs }]) => nowMs - sinceMs < MAX_VERDICT_MS);
  if (fresh.length >= MAX_PENDING) return note(state, { kind: 'dropped', reason: 'Flood' });
  const { machine } = asked;
  const id = state.nextId;
  const pending = new Map([...fresh, [id, { packet, machine, door, source, sinceMs: nowMs }]]);
  return { state: { ...state, nextId: id + 1, pending }, effects: [{ kind: 'ask', id, machine }] };
}

function judged(state: State, pending: Pending, event: Extract<Event, { kind: 'verdict' }>, nowMs: number): Step {
  const { packet, machine, door, source, sinceMs } = pending;
  if (nowMs - sinceMs >= MAX_VERDICT_MS)
    return note(state, { kind: 'dropped', reason: 'NoVerdict', message: 'too late' });
  if (!event.bootstrap) return note(state, { kind: 'dropped', reason: 'NoBootstrap' });
  const boot = bootOf(packet, event.verdict, event.bootstrap, state.self);
  if (typeof boot === 'string') return note(state, { kind: 'silent', door, reason: boot, machine });
  const encoded = encode(answerPacket(packet, boot, state.self), MAX_PACKET_BYTES);
  if (!encoded.ok) return note(state, { kind: 'dropped', reason: 'Unencodable', message: encoded.error.message });
  const { answers, atMs } = state.budget;
  const left = Math.min(ANSWER_BURST, answers + ((nowMs - atMs) * ANSWERS_PER_SECOND) / 1_000);
  if (left < 1) return note(state, { kind: 'dropped', reason: 'Flood' });
  return {
    state: { ...state, budget: { answers: left - 1, atMs: nowMs } },
    effects: [
      { kind: 'send', door, bytes: encoded.value, to: destination(packet, source) },
      { kind: 'note', event: { kind: 'answered', door, machine, boot } },
    ],
  };
}

function without(state: State, id: number): State {
  const pending = new Map(state.pending);
  pending.delete(id);
  return { ...state, pending };
}

const stay = (state: State): Step => ({ state, effects: [] });
const note = (state: State, event: DhcpEvent): Step => ({ state, effects: [{ kind: 'note', event }] });
