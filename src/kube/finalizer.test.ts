import { describe, expect, test } from '@jest/globals';
import { anObject } from '../../test/builders/kube.ts';
import { ok } from '../kit/result.ts';
import type { Client } from './client.ts';
import { finalizerCase, withFinalizer } from './finalizer.ts';
import { kinds } from './kinds.ts';
import { at } from './object.ts';
import { type Outcome, requeueAfter, retry, settled, waitForChange } from './outcome.ts';

const ours = 'bootfarm.io/cleanup';
const deletedAt = Date.parse('2026-01-01T00:00:00Z');
const deletionTimestamp = '2026-01-01T00:00:00Z';

test.each([
  { metadata: {}, is: 'Add' },
  { metadata: { finalizers: ['other'] }, is: 'Add' },
  { metadata: { finalizers: ['other', ours] }, is: 'Reconcile' },
  { metadata: { finalizers: [ours], deletionTimestamp }, is: 'CleanUp' },
  { metadata: { finalizers: [ours], deletionTimestamp }, later: 60_000, is: 'LastTry' },
  { metadata: { finalizers: ['other'], deletionTimestamp }, is: 'Leave' },
])('an object with $metadata is a case of $is', ({ metadata, later = 0, is }) => {
  expect(finalizerCase(anObject(metadata), ours, deletedAt + later, 60_000)).toBe(is);
});

/** Runs the finalizer over an object; what was patched and called. */
async function run(metadata: object, cleaned: Outcome, ageMs = 0, letGo?: Outcome) {
  const said: unknown[] = [];
  const object = anObject({ resourceVersion: '7', ...metadata });
  const client = {
    patch: async (_target: unknown, body: { metadata: { finalizers: readonly string[]; resourceVersion: string } }) => {
      said.push({ finalizers: body.metadata.finalizers, at: body.metadata.resourceVersion });
      return ok(anObject({ finalizers: body.metadata.finalizers }));
    },
  } as unknown as Client;
  const outcome = await withFinalizer({
    client,
    target: at(kinds.ConfigMap, 'lab', 'a'),
    object,
    finalizer: ours,
    maxWaitMs: 60_000,
    reconcile: async ({ metadata: { finalizers } }) => {
      said.push(`reconcile with ${finalizers}`);
      return settled;
    },
    ...(letGo && {
      letGo: async () => {
        said.push('let go');
        return letGo;
      },
    }),
    cleanUp: async () => {
      said.push('clean up');
      return cleaned;
    },
    onGiveUp: () => said.push('give up'),
    epochMs: () => deletedAt + ageMs,
  });
  return { said, outcome };
}

describe('a finalizer', () => {
  const deleted = { finalizers: ['other', ours], deletionTimestamp };
  const gone = { finalizers: ['other'], at: '7' };

  test('is added before the first reconcile, at the version that was seen', async () => {
    const { said } = await run({ finalizers: ['other'] }, settled);
    expect(said).toEqual([{ finalizers: ['other', ours], at: '7' }, `reconcile with other,${ours}`]);
  });

  test.each<[string, Outcome, number, unknown[], Outcome]>([
    ['goes when all is cleaned up', settled, 0, ['clean up', gone], settled],
    ['stays while it is not', retry('Busy', 'x'), 0, ['clean up'], retry('Busy', 'x')],
    ['does not sleep past the end of the wait', requeueAfter(1e9), 50_000, ['clean up'], requeueAfter(10_000)],
    ['does not wait for a change for ever', waitForChange('Wrong', 'x'), 50_000, ['clean up'], requeueAfter(10_000)],
    [
      'goes after the wait, with a last try and a word',
      retry('Busy', 'x'),
      60_000,
      ['clean up', 'give up', gone],
      settled,
    ],
    ['goes after the wait without a word when the last try works', settled, 60_000, ['clean up', gone], settled],
  ])('%s', async (_, cleaned, ageMs, said, outcome) => {
    expect(await run(deleted, cleaned, ageMs)).toEqual({ said, outcome });
  });

  test.each([0, 60_000, 3_600_000])(
    'stays until all is let go that must not be lost, also after %i ms',
    async (ageMs) => {
      const held = retry('Forbidden', 'a policy');
      expect(await run(deleted, settled, ageMs, held)).toEqual({ said: ['let go'], outcome: held });
      expect(await run(deleted, settled, ageMs, settled)).toEqual({
        said: ['let go', 'clean up', gone],
        outcome: settled,
      });
    },
  );

  test('of somebody else is left alone', async () => {
    expect(await run({ finalizers: ['other'], deletionTimestamp }, settled)).toEqual({ said: [], outcome: settled });
  });
});
