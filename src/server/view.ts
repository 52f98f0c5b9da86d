/** The farm as this server sees it now: the last snapshot of its source, kept while the source is away. */
import type { FarmData, FarmDataFault } from '../farm/data.ts';
import type { FarmSnapshot } from '../farm/model.ts';
import type { Logger } from '../telemetry/log.ts';

export class FarmView {
  readonly #data: FarmData;
  readonly #log: Logger;
  readonly #listeners = new Set<(snapshot: FarmSnapshot) => void>();
  readonly #stop: () => void;
  #snapshot: FarmSnapshot | undefined;
  #fault: FarmDataFault | undefined;
  #reading: Promise<void> | undefined;
  #again = false;

  constructor(data: FarmData, log: Logger) {
    this.#data = data;
    this.#log = log;
    this.#stop = data.onChange(() => void this.read());
  }

  /** Undefined until the source was whole once. */
  get snapshot(): FarmSnapshot | undefined {
    return this.#snapshot;
  }

  /** Why the source gives nothing now; the last snapshot stays in use. */
  get fault(): FarmDataFault | undefined {
    return this.#fault;
  }

  /** Called after each snapshot that was read. */
  onSnapshot(listener: (snapshot: FarmSnapshot) => void): void {
    this.#listeners.add(listener);
  }

  /** Reads now; a change during a read is read again after it. */
  read(): Promise<void> {
    this.#again = this.#reading !== undefined;
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
      if (this.#again) void this.read();
    });
    return this.#reading;
  }

  close(): void {
    this.#stop();
    this.#listeners.clear();
  }

  async #read(): Promise<void> {
    const answer = await this.#data.snapshot();
    if (!answer.ok) {
      if (answer.error.code !== this.#fault?.code) this.#log.warn({ ...answer.error }, 'farm data not readable');
      this.#fault = answer.error;
      return;
    }
    this.#fault = undefined;
    const { leftOut = [] } = answer.value;
    const before = this.#snapshot?.leftOut ?? [];
    for (const entry of leftOut)
      if (!before.includes(entry)) this.#log.error({ entry }, 'entry of the farm data left out');
    this.#snapshot = answer.value;
    for (const listener of this.#listeners) listener(answer.value);
  }
}
