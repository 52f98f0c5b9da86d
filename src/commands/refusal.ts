/** Why a command does not do what it was told to. */
import type { Fault, Result } from '../kit/result.ts';

/** Ends a command with a message; not a bug. */
export class Refusal extends Error {}

export function must<T>(answer: Result<T, Fault>): T {
  if (!answer.ok) throw new Refusal(answer.error.message);
  return answer.value;
}
