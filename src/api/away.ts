/** What a fault of the database means to who asked: pure. */
import type { Fault } from '../kit/result.ts';
import type { Problem } from './problem.ts';

/** Codes of `database/fault.ts` that say nothing of what was asked; and whether an edit may have been made all the same, as nobody heard the end of it. */
const AWAY: ReadonlyMap<string, 'MaybeDone' | 'NotDone'> = new Map([
  ['Unreachable', 'MaybeDone'],
  ['TimedOut', 'MaybeDone'],
  ['AuthenticationFailed', 'NotDone'],
  ['DatabaseForeign', 'NotDone'],
  ['DatabaseBehind', 'NotDone'],
  ['Refused', 'NotDone'],
]);

/** Of a question. Undefined: the database is away, and the replica may know. */
export function refusalOf({ code, message }: Fault): Problem | undefined {
  if (AWAY.has(code)) return undefined;
  return { code: code === 'Invalid' ? 'Invalid' : 'Conflict', message };
}

/** Of an edit. `wasAway`: it was known before, so nothing was sent. Undefined: what the database refuses is the edit's own matter. */
export function awayProblem({ code, message }: Fault, wasAway: boolean): Problem | undefined {
  const done = AWAY.get(code);
  if (done === undefined) return undefined;
  const isKnown = wasAway || done === 'NotDone';
  return {
    code: 'DatabaseAway',
    message: isKnown
      ? `nothing was changed: ${message}. Ask again when the database answers`
      : `it is not known whether it was changed: ${message}. Read it when the database answers, then decide`,
  };
}
