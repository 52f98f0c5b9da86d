/** A listener that is kept up: it starts when it can, says why it could not, and tries again; so a port that becomes free needs no restart. */
import { type Backoff, backoffMs } from '../../kit/backoff.ts';
import { errorMessage } from '../../kit/errors.ts';
import type { Fault, Result } from '../../kit/result.ts';
import type { Logger } from '../../telemetry/log.ts';

export interface Closable {
  close(): Promise<void> | void;
}

const RETRY: Backoff = { baseMs: 500, maxMs: 5_000 };

export class Listener<T extends Closable> {
  readonly name: string;
  readonly #start: () => Promise<Result<T, Fault>>;
  readonly #log: Logger;
  readonly #onStarted: (value: T) => Promise<void> | void;
  #wanted = false;
  #setting = '';
  /** The setting that `value` was started with. */
  #startedWith = '';
  #value: T | undefined;
  #fault: Fault | undefined;
  #attempt = 0;
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> = Promise.resolve();

  /** `onStarted` gives it what it must know; it is `value` by then, so that a change meanwhile finds it. */
  constructor(
    name: string,
    start: () => Promise<Result<T, Fault>>,
    log: Logger,
    onStarted: (value: T) => Promise<void> | void = () => undefined,
  ) {
    this.name = name;
    this.#start = start;
    this.#log = log;
    this.#onStarted = onStarted;
  }

  /** What runs; undefined while it does not. */
  get value(): T | undefined {
    return this.#value;
  }

  /** Why it does not run although it is wanted. */
  get fault(): Fault | undefined {
    return this.#wanted ? this.#fault : undefined;
  }

  /** Idempotent; settles when the change was tried once. What runs with another setting is ended and started anew. */
  want(wanted: boolean, setting = ''): Promise<void> {
    if (wanted === this.#wanted && setting === this.#setting) return this.#turn;
    this.#wanted = wanted;
    this.#setting = setting;
    return this.#next();
  }

  /** Stops it for good or until wanted again. */
  close(): Promise<void> {
    return this.want(false);
  }

  #next(): Promise<void> {
    clearTimeout(this.#timer);
    this.#turn = this.#turn.then(() => this.#change());
    return this.#turn;
  }

  async #change(): Promise<void> {
    if (!this.#wanted) this.#fault = undefined;
    if (this.#value && !(this.#wanted && this.#startedWith === this.#setting)) {
      const running = this.#value;
      this.#value = undefined;
      await running.close();
    }
    if (this.#value || !this.#wanted) return;
    this.#startedWith = this.#setting;
    const started = await this.#start().catch(
      (error: unknown): Result<never, Fault> => ({
        ok: false,
        error: { code: 'StartFailed', message: errorMessage(error) },
      }),
    );
    if (started.ok) {
      this.#value = started.value;
      this.#fault = undefined;
      this.#attempt = 0;
      await this.#onStarted(started.value);
      this.#log.info({ listener: this.name }, 'listener started');
      return;
    }
    if (started.error.message !== this.#fault?.message)
      this.#log.warn({ listener: this.name, ...started.error }, 'listener did not start');
    this.#fault = started.error;
    this.#timer = setTimeout(() => void this.#next(), backoffMs(RETRY, this.#attempt++));
  }
}
