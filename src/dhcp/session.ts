/**
 * ProxyDHCP as a machine: `step(state, event, now)` gives the next state and what to do. A packet becomes a question, the question waits for the
 * verdict, the verdict becomes an answer or silence. No sockets, no clock; the tables are changed in place.
 */
import type { Bootstrap } from '../farm/bootstrap.ts';
import { never } from '../kit/result.ts';
import { badSource, type Own } from '../net/source.ts';
import {
  answerBytes,
  type Boot,
  bootOf,
  destination,
  type Endpoint,
  type Listener,
  type Machine,
  question,
  type Self,
  type Silence,
  type Verdict,
} from './answer.ts';
import { MAX_ASKING, MAX_PENDING, MAX_VERDICT_MS } from './limits.ts';
import { NO_RELAY, Pace } from './pace.ts';
import { decode, type Packet } from './packet.ts';

interface Pending {
  readonly packet: Packet;
  readonly machine: Machine;
  readonly listener: Listener;
  readonly source: Endpoint;
  readonly sinceMs: number;
}

export interface State {
  readonly self: Self;
  readonly own: Own;
  readonly nextId: number;
  /** By id, oldest first. */
  readonly pending: Map<number, Pending>;
  /** Those that were not asked yet, oldest first. */
  readonly unasked: Set<number>;
  /** Verdicts under way; each ends with one event, whether its question still waits or not. */
  readonly asking: number;
  /** The id of the question that a machine waits with. */
  readonly waiting: Map<string, number>;
  readonly pace: Pace;
}

export type Event =
  | { readonly kind: 'packet'; readonly listener: Listener; readonly bytes: Uint8Array; readonly source: Endpoint }
  | {
      readonly kind: 'verdict';
      readonly id: number;
      readonly verdict: Verdict;
      /** Undefined: the farm's data is not there. */
      readonly bootstrap: Bootstrap | undefined;
      /** Of our interface, where it is known. */
      readonly mtu?: number | undefined;
      /** Our own question: no flood may silence it. */
      readonly probe?: boolean;
    }
  /** The verdict could not be had. */
  | { readonly kind: 'noVerdict'; readonly id: number; readonly message: string };

export type Effect =
  | { readonly kind: 'ask'; readonly id: number; readonly machine: Machine; readonly source: Endpoint }
  | {
      readonly kind: 'send';
      readonly listener: Listener;
      readonly bytes: Uint8Array;
      readonly to: Endpoint;
      /** Noted when it was sent, not before. */
      readonly sent: Answered;
    }
  | { readonly kind: 'note'; readonly event: DhcpEvent };

/** What happened, for counters, the log and the story of a machine's boot. */
export type DhcpEvent =
  | Answered
  | ({ readonly kind: 'silent'; readonly listener: Listener; readonly reason: Silence } & Partial<Heard>)
  | { readonly kind: 'malformed'; readonly listener: Listener; readonly code: string }
  | ({
      readonly kind: 'dropped';
      readonly reason: 'Flood' | 'FloodOfUnknown' | 'GaveWay' | 'NoBootstrap' | 'NoVerdict' | 'Unencodable' | 'NotSent';
      readonly message?: string;
    } & Partial<Heard>);

export interface Answered extends Heard {
  readonly kind: 'answered';
  readonly listener: Listener;
  readonly boot: Boot;
}

/** Whose question it was. */
export interface Heard {
  readonly machine: Machine;
  readonly verdict: Verdict;
  /** The relay that it came by; absent: none. */
  readonly relay?: string;
  /** The machine's own address, as its packet says; absent: it has none yet, or a relay hides it. */
  readonly from?: string;
}

export interface Step {
  readonly state: State;
  readonly effects: readonly Effect[];
}

export const start = (self: Self, own: Own): State => ({
  self,
  own,
  nextId: 1,
  pending: new Map(),
  unasked: new Set(),
  asking: 0,
  waiting: new Map(),
  pace: new Pace(),
});

/** `nowMs` is of a clock that never goes back. */
export function step(state: State, event: Event, nowMs: number): Step {
  switch (event.kind) {
    case 'packet':
      return received(state, event, nowMs);
    case 'verdict': {
      const pending = state.pending.get(event.id);
      forget(state, event.id);
      return then(pending ? judged(state, pending, event, nowMs) : stay(state), answered);
    }
    case 'noVerdict': {
      const dropped = { kind: 'dropped', reason: 'NoVerdict', message: event.message } as const;
      return then(forget(state, event.id) ? note(state, dropped) : stay(state), answered);
    }
    default:
      return never(event);
  }
}

function received(state: State, event: Extract<Event, { kind: 'packet' }>, nowMs: number): Step {
  const { listener, source } = event;
  const decoded = decode(event.bytes);
  if (!decoded.ok) return note(state, { kind: 'malformed', listener, code: decoded.error.code });
  const packet = decoded.value;
  const asked = question(packet, listener, state.self.address);
  if ('silence' in asked) return note(state, { kind: 'silent', listener, reason: asked.silence });
  if (packet.giaddr !== NO_RELAY && badSource({ address: packet.giaddr, port: RELAY_PORT }, state.own))
    return note(state, { kind: 'silent', listener, reason: 'BadRelay' });
  const { machine } = asked;
  const key = keyOf(listener, machine, packet);
  const earlier = state.waiting.get(key);
  if (earlier !== undefined) forget(state, earlier);
  const full = state.pending.size >= MAX_PENDING && forget(state, leastOf(state));
  const id = state.nextId;
  state.pending.set(id, { packet, machine, listener, source, sinceMs: nowMs });
  state.waiting.set(key, id);
  state.unasked.add(id);
  return then({ state: { ...state, nextId: id + 1 }, effects: full ? [GAVE_WAY] : [] }, ask);
}

/**
 * Who gives way: the oldest that was not asked. Were it the oldest of all, a flood that is faster than verdicts would push out each question
 * just before its verdict comes, and nobody would be answered.
 */
const leastOf = ({ unasked, pending }: State): number =>
  unasked.keys().next().value ?? pending.keys().next().value ?? 0;

/** Asks for the verdict on the question that waits longest, if one more may be under way. */
function ask(state: State): Step {
  const [id = 0] = state.unasked;
  const pending = state.pending.get(id);
  if (!pending || state.asking >= MAX_ASKING) return stay(state);
  state.unasked.delete(id);
  const { machine, source } = pending;
  return { state: { ...state, asking: state.asking + 1 }, effects: [{ kind: 'ask', id, machine, source }] };
}

const answered = (state: State): Step => ask({ ...state, asking: Math.max(0, state.asking - 1) });

function then(first: Step, next: (state: State) => Step): Step {
  const second = next(first.state);
  return { state: second.state, effects: [...first.effects, ...second.effects] };
}

function judged(state: State, pending: Pending, event: Extract<Event, { kind: 'verdict' }>, nowMs: number): Step {
  const { packet, machine, listener, source, sinceMs } = pending;
  if (nowMs - sinceMs >= MAX_VERDICT_MS)
    return note(state, { kind: 'dropped', reason: 'NoVerdict', message: 'too late' });
  const { verdict } = event;
  const heard: Heard = { machine, verdict, ...wayOf(packet, source) };
  if (!event.bootstrap) return note(state, { kind: 'dropped', reason: 'NoBootstrap', ...heard });
  const boot = bootOf(packet, verdict, event.bootstrap, state.self);
  if (typeof boot === 'string') return note(state, { kind: 'silent', listener, reason: boot, ...heard });
  const encoded = answerBytes(packet, boot, state.self, event.mtu);
  if (!encoded.ok)
    return note(state, { kind: 'dropped', reason: 'Unencodable', message: encoded.error.message, ...heard });
  const asking = { mac: machine.mac, relay: packet.giaddr, known: verdict.kind === 'known' };
  const flood = event.probe ? undefined : state.pace.overspent(asking, nowMs);
  if (flood) return note(state, { kind: 'dropped', reason: flood, ...heard });
  return {
    state,
    effects: [
      {
        ...{ kind: 'send', listener, bytes: encoded.value, to: destination(packet, source, listener) },
        sent: { kind: 'answered', listener, boot, ...heard },
      },
    ],
  };
}

const RELAY_PORT = 67;
const NO_ADDRESS = '0.0.0.0';

function wayOf({ giaddr }: Packet, { address }: Endpoint): Pick<Heard, 'relay' | 'from'> {
  if (giaddr !== NO_RELAY) return { relay: giaddr };
  return address === NO_ADDRESS ? {} : { from: address };
}
const GAVE_WAY: Effect = { kind: 'note', event: { kind: 'dropped', reason: 'GaveWay' } };

const keyOf = (listener: Listener, { mac }: Machine, { giaddr }: Packet): string => `${listener} ${mac} ${giaddr}`;

/** False when it was forgotten already. The tables are the state's own: to copy a thousand entries for each packet is what a flood would have us do. */
function forget(state: State, id: number): boolean {
  const pending = state.pending.get(id);
  if (!pending) return false;
  state.pending.delete(id);
  state.unasked.delete(id);
  const key = keyOf(pending.listener, pending.machine, pending.packet);
  if (state.waiting.get(key) === id) state.waiting.delete(key);
  return true;
}

const stay = (state: State): Step => ({ state, effects: [] });
const note = (state: State, event: DhcpEvent): Step => ({ state, effects: [{ kind: 'note', event }] });
