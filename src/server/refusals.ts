/** Devices that stream here and may not any more: told to the stream within seconds, and lifted as soon. What is decided is decided in farm/. */
import type { FarmData } from '../farm/data.ts';
import type { FarmSnapshot } from '../farm/model.ts';
import { type Claimant, claimOf, type KnownDevice, refusalOf } from '../farm/refusal.ts';
import type { StreamServer } from '../stream/server.ts';
import type { Logger } from '../telemetry/log.ts';
import type { FarmView } from './view.ts';

/** With the replica's own delay, a device is Revoked within 10 s of the change. */
const SWEEP_MS = 5_000;

export interface RefusalsOptions {
  readonly data: FarmData;
  readonly view: Pick<FarmView, 'snapshot'>;
  /** Its sessions, and whom it is told to refuse. */
  readonly stream: () => Pick<StreamServer, 'sessions' | 'setRefused'> | undefined;
  readonly log: Logger;
}

export class Refusals {
  readonly #options: RefusalsOptions;
  readonly #timer: NodeJS.Timeout;
  /** By claim: their sessions may be over while their tickets are not. */
  #refused: ReadonlyMap<string, Claimant> = new Map();
  /** Which stream was told; one that opened anew was told nothing. */
  #told: object | undefined;
  /** To be looked at, by claim. */
  #due = new Map<string, Claimant>();
  #looking: Promise<void> | undefined;

  constructor(options: RefusalsOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.sweep(), SWEEP_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** A session that begins now. */
  look(claimant: Claimant): Promise<void> {
    this.#due.set(claimOf(claimant), claimant);
    return this.#wake();
  }

  /** All that have a session, and all that are refused. */
  sweep(): Promise<void> {
    for (const [claim, claimant] of this.#refused) this.#due.set(claim, claimant);
    for (const session of this.#options.stream()?.sessions() ?? []) this.#due.set(claimOf(session), session);
    return this.#wake();
  }

  #wake(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** What cannot be read changes nothing, and is looked at by the next sweep. */
  async #look(): Promise<void> {
    await Promise.resolve(); // sessions that begin in one turn of the event loop share a question
    while (this.#due.size > 0) {
      const claimants = this.#due;
      this.#due = new Map();
      const answer = await this.#options.data.devicesByName([
        ...new Set([...claimants.values()].map(({ device }) => device)),
      ]);
      const { snapshot } = this.#options.view;
      if (answer.ok && snapshot) await this.#judge(claimants, answer.value, snapshot);
    }
  }

  async #judge(
    claimants: ReadonlyMap<string, Claimant>,
    known: ReadonlyMap<string, KnownDevice>,
    snapshot: FarmSnapshot,
  ): Promise<void> {
    const refused = new Map(this.#refused);
    for (const [claim, claimant] of claimants) {
      const refusal = refusalOf(claimant, known.get(claimant.device) ?? { removed: false }, snapshot);
      if (!refusal) refused.delete(claim);
      else if (!refused.has(claim)) {
        refused.set(claim, claimant);
        const { device, mac, vdisk } = claimant;
        this.#options.log.info({ device, mac, vdisk, reason: refusal.message }, 'device refused');
      }
    }
    const stream = this.#options.stream();
    const same = refused.size === this.#refused.size && [...refused.keys()].every((claim) => this.#refused.has(claim));
    this.#refused = refused;
    if (!stream || (same && this.#told === stream)) return;
    await stream.setRefused([...refused.values()]);
    this.#told = stream;
  }
}
