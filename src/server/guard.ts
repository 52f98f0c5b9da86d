/**
 * The last guard: what the code of one protocol throws, in a handler, a timer or a promise that nobody awaits, costs that protocol, never the
 * process and the other protocols in it. Node keeps the context of `AsyncLocalStorage` through all of these, so that the process knows whose
 * the exception is. What belongs to no protocol ends the process, as without a guard.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { errorMessage } from '../kit/errors.ts';
import type { Logger } from '../telemetry/log.ts';

export type Thrown = (error: unknown) => void;

const owner = new AsyncLocalStorage<Thrown>();

/** Runs `work`; what it, or what it sets going, throws and nobody catches goes to `thrown`. */
export const guarded = <T>(thrown: Thrown, work: () => T): T => owner.run(thrown, work);

/** Once a process. */
export function guardProcess(log: Logger): void {
  process.on('uncaughtException', (error) => {
    const thrown = owner.getStore();
    const stack = error instanceof Error ? error.stack : undefined;
    log.error({ error: errorMessage(error), stack }, thrown ? 'protocol threw' : 'process ends: uncaught exception');
    if (thrown) thrown(error);
    else process.exit(1);
  });
}
