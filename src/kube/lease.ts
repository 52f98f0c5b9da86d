import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '../telemetry/log.ts';
import type { Client } from './client.ts';
import type { ApiFault } from './fault.ts';
import { kinds } from './kinds.ts';
import { microTime } from './micro-time.ts';
import { at, type KubeObject, type Target } from './object.ts';

/** client-go's: others wait 15 s for a silent leader, the leader gives up after 10 s, tries are 2 s apart. */
export interface LeaseTimes {
  readonly durationMs: number;
  readonly renewDeadlineMs: number;
  readonly retryMs: number;
}

export const LEASE_TIMES: LeaseTimes = { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 };

export interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

export interface Lease extends KubeObject {
  readonly spec?: LeaseSpec;
}

/** What was read last, and when (by our own monotonic clock) it was first read so: nobody's wall clock is trusted. */
export interface Observed {
  readonly lease: Lease | undefined;
  readonly sinceMs: number;
}

export type LeaseAction =
  | { readonly kind: 'Create'; readonly spec: LeaseSpec }
  | { readonly kind: 'Write'; readonly spec: LeaseSpec }
  | { readonly kind: 'Wait' };

/** What to do about a lease; pure. `epochMs` is only written down for people. */
export function decide(
  { lease, sinceMs }: Observed,
  identity: string,
  { durationMs }: LeaseTimes,
  nowMs: number,
  epochMs: number,
): LeaseAction {
  const time = microTime(epochMs);
  const spec = { holderIdentity: identity, leaseDurationSeconds: Math.ceil(durationMs / 1_000), renewTime: time };
  if (!lease) return { kind: 'Create', spec: { ...spec, acquireTime: time, leaseTransitions: 0 } };
  const { holderIdentity, leaseDurationSeconds, leaseTransitions = 0 } = lease.spec ?? {};
  if (holderIdentity === identity) return { kind: 'Write', spec };
  const heldMs = leaseDurationSeconds === undefined ? durationMs : leaseDurationSeconds * 1_000;
  if (holderIdentity && nowMs - sinceMs < heldMs) return { kind: 'Wait' };
  return { kind: 'Write', spec: { ...spec, acquireTime: time, leaseTransitions: leaseTransitions + 1 } };
}

export interface LeaseOptions {
  readonly client: Client;
  readonly namespace: string;
  readonly name: string;
  /** Unique to this process: two with one identity both lead. */
  readonly identity: string;
  readonly logger: Logger;
  readonly times?: LeaseTimes;
  readonly onLead: () => void;
  /** Somebody else may lead within 5 s: end every write now. The election goes on, and may lead again. */
  readonly onLost: () => void;
}

/** Campaigns for a Lease, keeps it, and gives it up when closed. */
export class LeaseElection {
  readonly #options: LeaseOptions;
  readonly #times: LeaseTimes;
  readonly #target: Target;
  readonly #stop = new AbortController();
  #observed: Observed = { lease: undefined, sinceMs: 0 };
  /** When our last good renewal was sent; undefined while somebody else leads. */
  #renewedMs: number | undefined;
  #run: Promise<void> | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#times = options.times ?? LEASE_TIMES;
    this.#target = at(kinds.Lease, options.namespace, options.name);
  }

  get leads(): boolean {
    return this.#renewedMs !== undefined;
  }

  start(): void {
    this.#run ??= this.#loop();
  }

  /** Gives the lease up, so that the next leader need not wait for its end. End your writes before. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#run;
    if (!this.leads) return;
    this.#renewedMs = undefined;
    const fault = await this.#release(AbortSignal.timeout(this.#times.renewDeadlineMs / 2));
    if (fault) this.#options.logger.warn({ ...fault }, 'the lease was not released');
  }

  /** The renewal that the close cut short may have been written, or be written yet: what is given up is read first, and again after a conflict. */
  async #release(signal: AbortSignal): Promise<ApiFault | undefined> {
    const { client, identity } = this.#options;
    const read = await client.get<Lease>(this.#target, { signal });
    if (!read.ok) return read.error;
    const { metadata, spec } = read.value;
    if (spec?.holderIdentity !== identity) return undefined;
    const given = { holderIdentity: null, leaseDurationSeconds: 1, renewTime: microTime(Date.now()) };
    const body = { metadata: { resourceVersion: metadata.resourceVersion }, spec: given };
    const written = await client.patch(this.#target, body, { signal });
    if (written.ok) return undefined;
    return written.error.code === 'Conflict' ? this.#release(signal) : written.error;
  }

  async #loop(): Promise<void> {
    const { retryMs } = this.#times;
    while (!this.#stop.signal.aborted) {
      await this.#try();
      // Candidates spread a little; the leader renews evenly, and does not sleep past its deadline.
      const pauseMs = this.leads ? Math.min(retryMs, this.#leftMs()) : retryMs * (1 + 0.2 * Math.random());
      await wait(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => {});
    }
  }

  /** The time in which the leader must renew; a candidate has all of it. */
  #leftMs(): number {
    const { renewDeadlineMs } = this.#times;
    const usedMs = this.#renewedMs === undefined ? 0 : performance.now() - this.#renewedMs;
    return Math.max(0, renewDeadlineMs - usedMs);
  }

  async #try(): Promise<void> {
    const beganMs = performance.now();
    const limitMs = Math.min(this.#times.renewDeadlineMs / 2, this.#leftMs());
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(Math.max(1, Math.ceil(limitMs)))]);
    const fault = await this.#attempt(signal, beganMs);
    if (this.#stop.signal.aborted) return;
    if (fault) this.#options.logger.warn({ leads: this.leads, ...fault }, 'a try for the lease failed');
    if (this.leads && this.#leftMs() === 0) this.#lose('no renewal in time');
  }

  /** One turn and what follows from it. The fault of a request that failed. */
  async #attempt(signal: AbortSignal, beganMs: number): Promise<ApiFault | undefined> {
    const { client, identity } = this.#options;
    const read = await client.get<Lease>(this.#target, { signal });
    if (!read.ok && read.error.code !== 'NotFound') return read.error;
    this.#see(read.ok ? read.value : undefined);
    const holder = this.#observed.lease?.spec?.holderIdentity;
    if (this.leads && holder !== identity) this.#lose(`${holder ?? 'nobody'} holds it`);
    const action = decide(this.#observed, identity, this.#times, performance.now(), Date.now());
    if (action.kind === 'Wait') return undefined;
    const resourceVersion = this.#observed.lease?.metadata.resourceVersion;
    const written =
      action.kind === 'Create'
        ? await client.create<Lease>(this.#target, { spec: action.spec }, { signal })
        : await client.patch<Lease>(this.#target, { metadata: { resourceVersion }, spec: action.spec }, { signal });
    if (!written.ok) {
      // Somebody was faster: that is an election, no trouble.
      return written.error.code === 'Conflict' || written.error.code === 'AlreadyExists' ? undefined : written.error;
    }
    this.#see(written.value);
    const led = this.leads;
    this.#renewedMs = beganMs;
    if (!led) {
      this.#options.logger.info({ identity }, 'leads');
      this.#options.onLead();
    }
    return undefined;
  }

  #see(lease: Lease | undefined): void {
    const known = this.#observed.lease?.metadata.resourceVersion;
    if (lease && lease.metadata.resourceVersion === known) return;
    this.#observed = { lease, sinceMs: performance.now() };
  }

  #lose(reason: string): void {
    this.#renewedMs = undefined;
    this.#options.logger.warn({ reason }, 'leads no more');
    this.#options.onLost();
  }
}
