import { expect, test } from '@jest/globals';
import { awayProblem, refusalOf } from './away.ts';

test.each([
  ['Conflict', false, undefined, 'Conflict'],
  ['Invalid', false, undefined, 'Invalid'],
  ['Unreachable', false, /^it is not known whether it was changed: why/, undefined],
  ['TimedOut', false, /^it is not known/, undefined],
  ['Unreachable', true, /^nothing was changed: why/, undefined],
  ['DatabaseForeign', false, /^nothing was changed/, undefined],
  ['Refused', false, /^nothing was changed/, undefined],
])('%s, away before: %p', (code, wasAway, edit, read) => {
  const fault = { code, message: 'why' };
  const away = awayProblem(fault, wasAway);
  if (edit === undefined) expect(away).toBeUndefined();
  else expect(away).toMatchObject({ code: 'DatabaseAway', message: expect.stringMatching(edit) });
  expect(refusalOf(fault)?.code).toBe(read);
});
