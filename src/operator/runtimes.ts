/** The runtimes of all farms that this operator leads. One is made anew when what it was made from changes. */
import { connect } from '../database/connection.ts';
import type { Fault } from '../kit/result.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Infrastructure } from './infrastructure.ts';
import { FarmRuntime } from './runtime.ts';

/** By the farm's key. */
export class FarmRuntimes {
  readonly #byKey = new Map<string, FarmRuntime>();
  /** Of a leadership that ended. */
  readonly #resting = new Map<string, FarmRuntime>();
  readonly #log: Logger;
  readonly #listeners = new Set<(key: string) => void>();

  constructor(log: Logger) {
    this.#log = log;
  }

  get(key: string): FarmRuntime | undefined {
    return this.#byKey.get(key);
  }

  /** Calls it with the key of a farm of which a server began or ceased to answer, or is in another state; the answer ends that. */
  onServers(listener: (key: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** That of this very Farm: one of another Farm of its name, which is gone, knows nothing of it, and ends. */
  async of(key: string, uid: string | undefined): Promise<FarmRuntime | undefined> {
    const known = this.#byKey.get(key);
    if (!known || known.inputs.farmUid === uid) return known;
    await this.end(key);
    return undefined;
  }

  /** The runtime made from these inputs, in place of another one, which ends. A fault says what is wrong with the inputs. */
  async ensure(key: string, inputs: Infrastructure): Promise<FarmRuntime | Fault> {
    const known = this.#byKey.get(key);
    if (known && JSON.stringify(known.inputs) === JSON.stringify(inputs)) return known;
    const database = connect({ ...inputs.database, applicationName: 'bootfarm operator' });
    if (!database.ok) return database.error;
    const onServers = (): void => {
      for (const listener of this.#listeners) listener(key);
    };
    const made = new FarmRuntime(inputs, database.value, this.#log, onServers, known);
    this.#byKey.set(key, made);
    await known?.close();
    return made;
  }

  async end(key: string): Promise<void> {
    const known = this.#byKey.get(key);
    this.#byKey.delete(key);
    await known?.close();
  }

  /**
   * Another may lead, or the Kubernetes API is away and nobody does: each replica is kept up to date until a later leader fences its projector, so that what is
   * written to a farm's database reaches its servers all the same. Whoever leads next, this operator too, begins with runtimes of its own.
   */
  rest(): void {
    for (const [key, runtime] of this.#byKey) {
      void this.#resting.get(key)?.close();
      this.#resting.set(key, runtime);
      void runtime.rest().finally(() => {
        if (this.#resting.get(key) === runtime) this.#resting.delete(key);
      });
    }
    this.#byKey.clear();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#byKey.keys()].map((key) => this.end(key)));
    await Promise.all([...this.#resting.values()].map((runtime) => runtime.close()));
  }
}
