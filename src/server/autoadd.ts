/** Unknown machines that become devices at this server: gathers what `farm/autoadd.ts` decides on, and says in the status what it refused lately. */
import type { ServerFault } from '../control/status.ts';
import type { Database } from '../database/connection.ts';
import { enrolDevice } from '../database/devices.ts';
import { type Asker, AUTO_ADDED, Heard, mayAutoAdd, PACE_MS } from '../farm/autoadd.ts';
import type { Device, Farm } from '../farm/model.ts';
import type { Fault, Result } from '../kit/result.ts';
import type { Logger } from '../telemetry/log.ts';

export interface AutoAddOptions {
  readonly server: string;
  readonly database: Database;
  readonly log: Logger;
  /** Milliseconds, never going back. */
  readonly now?: () => number;
}

/** A machine asks each 5 s: the refusal stands as long as it does, and a little longer. */
const TOLD_MS = 60_000;
/** Refusals that a person has to do something about. */
const TELLING: readonly string[] = ['AutoAddTooFast', 'AutoAddFull', 'AutoAddUnset'];

export class AutoAdd {
  readonly heard = new Heard();
  readonly #options: AutoAddOptions;
  readonly #now: () => number;
  /** When, by MAC. */
  #added: ReadonlyMap<string, number> = new Map();
  #refused: { readonly fault: ServerFault; readonly atMs: number } | undefined;

  constructor(options: AutoAddOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Of the last minute; none keeps a device from being served. */
  get faults(): readonly ServerFault[] {
    return this.#refused && this.#now() - this.#refused.atMs < TOLD_MS ? [this.#refused.fault] : [];
  }

  async add(farm: Farm, machine: Asker & { readonly uuid?: string }): Promise<Result<Device, Fault>> {
    const { mac, uuid } = machine;
    const nowMs = this.#now();
    const others = [...this.#added].filter(([other, at]) => other !== mac && nowMs - at < PACE_MS);
    const heard = this.heard.has(machine, nowMs);
    if (heard) this.heard.asks(machine, nowMs);
    const rule = mayAutoAdd({ farm, mac, heard, addedLately: others.length });
    if (!rule.ok) return this.#refuse(rule.error);
    this.#added = new Map([...others, [mac, nowMs]]);
    const { server, database, log } = this.#options;
    const { collection, maxDevices } = rule.value;
    const wanted = { macs: [mac], ...(uuid === undefined ? {} : { uuid }), collection, enabled: true };
    const properties = { ...AUTO_ADDED };
    const actor = { source: 'auto-add', who: server } as const;
    const added = await enrolDevice(database, { ...wanted, properties }, { ...rule.value, most: maxDevices }, actor);
    if (!added.ok) {
      this.#added = new Map([...this.#added].filter(([other]) => other !== mac));
      const { code, message } = added.error;
      return this.#refuse({ code, message: `machine ${mac} could not be added to the farm: ${message}` });
    }
    log.info({ device: added.value.name, ...machine }, 'device added');
    return added;
  }

  #refuse(fault: Fault): Result<never, Fault> {
    if (TELLING.includes(fault.code)) {
      if (this.faults[0]?.code !== fault.code) this.#options.log.warn({ ...fault }, 'device not added');
      this.#refused = { fault: { ...fault, advisory: true }, atMs: this.#now() };
    }
    return { ok: false, error: fault };
  }
}
