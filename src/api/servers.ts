/** The servers of a farm, as the API asks them: at their control ports, by the operator's own certificate. */
import { type AskedServer, type ControlClient, type ControlIdentity, controlClient } from '../control/client.ts';
import { type Fault, ok, type Result } from '../kit/result.ts';
import type { Farm } from '../resources/kinds.ts';
import { type Problem, problem } from './problem.ts';

export interface ServersOf {
  /** Those that should be there. */
  readonly list: (farm: Farm) => readonly AskedServer[];
  readonly identity: (farm: Farm, signal: AbortSignal) => Promise<Result<ControlIdentity, Fault>>;
}

export interface FarmServers {
  readonly control: ControlClient;
  readonly places: readonly AskedServer[];
}

/** Certificates turn. */
const IDENTITY_LIFE_MS = 60_000;
const IDENTITY_TIMEOUT_MS = 2_000;

/** One pooled client a farm, made anew when its certificate is another one. */
export class ServerLink {
  readonly #of: ServersOf;
  #held: { readonly identity: ControlIdentity; readonly control: ControlClient; readonly atMs: number } | undefined;
  #making: Promise<Result<ControlClient, Problem>> | undefined;
  #closed = false;

  constructor(of: ServersOf) {
    this.#of = of;
  }

  async open(farm: Farm): Promise<Result<FarmServers, Problem>> {
    const control = await this.#control(farm);
    return control.ok ? ok({ control: control.value, places: this.#of.list(farm) }) : control;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#making?.catch(() => {});
    await this.#held?.control.close();
    this.#held = undefined;
  }

  #control(farm: Farm): Promise<Result<ControlClient, Problem>> {
    const { namespace, name } = farm.metadata;
    if (this.#closed)
      return Promise.resolve(
        problem('ServersAway', `Farm ${namespace}/${name} is gone, or another one by now: ask again`),
      );
    const held = this.#held;
    if (held && performance.now() - held.atMs < IDENTITY_LIFE_MS) return Promise.resolve(ok(held.control));
    this.#making ??= this.#make(farm).finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #make(farm: Farm): Promise<Result<ControlClient, Problem>> {
    const held = this.#held;
    const identity = await this.#of.identity(farm, AbortSignal.timeout(IDENTITY_TIMEOUT_MS));
    if (!identity.ok)
      return held
        ? ok(held.control) // what they were asked by still serves, most likely
        : problem('ServersAway', `it is not known by what certificate servers are asked: ${identity.error.message}`);
    const atMs = performance.now();
    if (held && JSON.stringify(held.identity) === JSON.stringify(identity.value)) {
      this.#held = { ...held, atMs };
      return ok(held.control);
    }
    const control = controlClient(identity.value);
    this.#held = { identity: identity.value, control, atMs };
    void held?.control.close();
    return ok(control);
  }
}
