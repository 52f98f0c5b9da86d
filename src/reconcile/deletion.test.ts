/** A deletion that cannot be told goes on, and the log has why. */
import { expect, test } from '@jest/globals';
import { aStore } from '../../test/builders/resources.ts';
import { fail, ok } from '../kit/result.ts';
import type { Context } from './context.ts';
import { reportDeleting } from './deletion.ts';
import { Quiet } from './quiet.ts';

const BUSY = 'the API is busy';
const busy = fail('ServerError', BUSY);

test.each([
  { what: 'is told', answers: [ok({}), ok({})], logged: [] },
  { what: 'that cannot be told is logged once', answers: [busy, busy], logged: [BUSY] },
  {
    what: 'is logged again for another reason',
    answers: [busy, fail('Forbidden', 'no')],
    logged: [BUSY, 'no'],
  },
  { what: 'of what is gone needs no telling', answers: [fail('NotFound', 'gone'), busy], logged: [BUSY] },
])('a deletion $what', async ({ answers, logged }) => {
  const said: string[] = [];
  const left = [...answers];
  const context = {
    client: { applyStatus: async () => left.shift() },
    quiet: new Quiet(),
    log: { warn: ({ message }: { message: string }) => said.push(message) },
  } as unknown as Context;
  const store = aStore();
  for (const _ of answers)
    await reportDeleting(context, 'Store', store, store, 'its rows', new AbortController().signal);
  expect(said).toEqual(logged);
});
