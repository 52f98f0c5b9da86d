/** Why a command does not do what it was told to. */
import type { Fault, Result } from '../kit/result.ts';
import type { Terminal } from './terminal.ts';

/** Ends a command with a message and a status; not a bug. */
export class Refusal extends Error {
  readonly status: number;

  constructor(message: string, status = 1) {
    super(message);
    this.status = status;
  }
}

/** Ends it as well, where what there is to say was said, or nobody hears it any more. */
export class Ended extends Refusal {
  constructor(status = 1) {
    super('it ended', status);
  }
}

export function must<T>(answer: Result<T, Fault>): T {
  if (!answer.ok) throw new Refusal(answer.error.message);
  return answer.value;
}

/** A refusal becomes one line, and a status. */
export async function attempt(terminal: Terminal, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    if (!(thrown instanceof Refusal)) throw thrown;
    if (!(thrown instanceof Ended)) terminal.err(`error: ${thrown.message}\n`);
    terminal.fail(thrown.status);
  }
}

/** Of a time that begins with its day: Node takes the 30th of February for one in March. */
export const hasRealDay = (text: string): boolean => {
  const ms = Date.parse(`${text.slice(0, 10)}T00:00:00Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text.slice(0, 10));
};

const MAX_VERSION = 999_999;

/** The number of a version that was typed as `named`. */
export function versionNumber(named: string, text: string): number {
  if (/^\d+$/.test(text) && Number(text) <= MAX_VERSION) return Number(text);
  throw new Refusal(`${named} ${text}: it must be a number from 0 to ${MAX_VERSION}`);
}
