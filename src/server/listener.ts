/**
 * A listener that is kept up: it starts when it can, says why it could not, and tries again; so a port that becomes free needs no restart. What its
 * code throws and nobody catches (guard.ts) closes it, and it is started anew.
 */
import { type Backoff, backoffMs } from '../kit/backoff.ts';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, type Result } from '../kit/result.ts';
import type { Logger } from '../telemetry/log.ts';
import { guarded, type Thrown } from './guard.ts';

export interface Closable {
  close(): Promise<void> | void;
}

const RETRY: Backoff = { baseMs: 500, maxMs: 5_000 };
/** One that ran so long and threw is started again as quickly as at first. */
const WELL_MS = 60_000;

export class Listener<T extends Closable> {
  readonly name: string;
  readonly #start: (thrown: Thrown) => Promise<Result<T, Fault>>;
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

  /** `start` may say by `thrown` itself that what it started is broken. `onStarted` gives it what it must know; it is `value` by then, so that a change meanwhile finds it. */
  constructor(
    name: string,
    start: (thrown: Thrown) => Promise<Result<T, Fault>>,
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
    this.#attempt = 0;
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
    if (this.#value && !(this.#wanted && this.#startedWith === this.#setting)) await this.#end();
    if (this.#value || !this.#wanted) return;
    this.#startedWith = this.#setting;
    const broken = Promise.withResolvers<Fault>();
    const thrown = (error: unknown): void => broken.resolve(this.#crash(error));
    const starting = guarded(thrown, async () => this.#start(thrown)).catch(
      (error: unknown): Result<never, Fault> => fail('StartFailed', errorMessage(error)),
    );
    const started = await Promise.race([starting, broken.promise.then((fault) => fail(fault.code, fault.message))]);
    if (!started.ok) {
      void starting.then((late) => late.ok && late.value.close());
      return this.#later(started.error);
    }
    const { value } = started;
    this.#value = value;
    this.#fault = undefined;
    const startedAt = performance.now();
    void broken.promise.then((fault) => this.#crashed(value, fault, performance.now() - startedAt));
    try {
      await guarded(thrown, () => this.#onStarted(value));
    } catch (error) {
      return thrown(error);
    }
    this.#log.info({ listener: this.name }, 'listener started');
  }

  #crash(error: unknown): Fault {
    const message = `${this.name} failed and was closed; it is started again by itself: ${errorMessage(error)}`;
    return { code: 'Crashed', message };
  }

  #crashed(value: T, why: Fault, ranMs: number): void {
    if (ranMs >= WELL_MS) this.#attempt = 0;
    this.#turn = this.#turn.then(async () => {
      if (this.#value !== value) return;
      await this.#end();
      if (this.#wanted) this.#later(why);
    });
  }

  async #end(): Promise<void> {
    const running = this.#value;
    this.#value = undefined;
    try {
      await running?.close();
    } catch (error) {
      this.#log.warn({ listener: this.name, error: errorMessage(error) }, 'listener did not close well');
    }
  }

  #later(why: Fault): void {
    if (why.message !== this.#fault?.message) this.#log.warn({ listener: this.name, ...why }, 'listener does not run');
    this.#fault = why;
    this.#timer = setTimeout(() => void this.#next(), backoffMs(RETRY, this.#attempt++));
  }
}
