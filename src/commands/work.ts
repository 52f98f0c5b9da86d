/** Work on images as a command: at low priority, with its progress, ended by a person or a signal, and its outcome in words or as JSON. */
import { Option } from 'commander';
import type { Fault, Result } from '../kit/result.ts';
import { progressOn } from './progress.ts';
import type { Terminal } from './terminal.ts';

export interface Flags {
  readonly output: 'text' | 'json';
}

export const output = () => new Option('-o, --output <format>', 'how').choices(['text', 'json']).default('text');

/** What work is given: its end, and whom it tells. */
interface Running {
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

/** At low priority, until it ends or is interrupted, with its progress for a person. */
export async function runWork<T>(
  terminal: Terminal,
  { output }: Flags,
  work: (running: Running) => Promise<Result<T, Fault>>,
  words: (made: T) => readonly string[],
): Promise<void> {
  terminal.stepBack();
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const progress = progressOn(terminal);
  const made = await work({ signal: interrupted.signal, onProgress: progress.tell }).finally(() => {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    progress.end();
  });
  if (!made.ok) {
    terminal.err(`error: ${made.error.message}\n`);
    return terminal.fail();
  }
  terminal.out(
    output === 'json' ? `${JSON.stringify(made.value ?? null, undefined, 2)}\n` : `${words(made.value).join('\n')}\n`,
  );
}
