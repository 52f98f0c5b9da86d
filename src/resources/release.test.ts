import { expect, test } from '@jest/globals';
import { type Edit, promote, revert } from './release.ts';

type Spec = Parameters<typeof promote>[0];
const entry = (number: number, access: 'Production' | 'Test' | 'Maintenance' = 'Production', more: object = {}) => ({
  number,
  access,
  ...more,
});
const AT = '2026-12-01T06:00:00Z';

test.each<{ what: string; spec: Spec; to: Parameters<typeof promote>[1]; patch: Edit['patch']; says: string | RegExp }>(
  [
    {
      what: 'a version that was not named, beside the base that nobody named',
      spec: { versions: [] },
      to: entry(1),
      patch: { versions: [entry(0), entry(1)] },
      says: 'version 1 becomes Production',
    },
    {
      what: 'one that was Test, with what it had beside',
      spec: { versions: [entry(2, 'Test', { description: 'mended', releaseAt: AT }), entry(0)] },
      to: entry(2),
      patch: { versions: [entry(0), entry(2, 'Production', { description: 'mended' })] },
      says: 'version 2 becomes Production',
    },
    {
      what: 'one that is so already',
      spec: { versions: [entry(0)] },
      to: entry(0),
      patch: {},
      says: 'version 0 is Production',
    },
    {
      what: 'one for a date',
      spec: { versions: [entry(0), entry(1)] },
      to: entry(1, 'Production', { releaseAt: AT }),
      patch: { versions: [entry(0), entry(1, 'Production', { releaseAt: AT })] },
      says: `version 1 becomes Production, released at ${AT}`,
    },
    {
      what: 'one where machines are pinned to another',
      spec: { versions: [entry(0), entry(1)], bootVersion: 0 },
      to: entry(1),
      patch: { bootVersion: 1 },
      says: 'version 1 is Production, and bootVersion 0 becomes 1, which waits for no copies',
    },
    {
      what: 'one behind a newer one',
      spec: { versions: [entry(1, 'Test'), entry(5), entry(2)] },
      to: entry(1),
      patch: { versions: [entry(1), entry(2), entry(5)] },
      says: /machines boot version 5, which is newer: revert that one, or set bootVersion$/,
    },
    {
      what: 'one to Test, which moves no pin',
      spec: { versions: [entry(0)], bootVersion: 0 },
      to: entry(1, 'Test'),
      patch: { versions: [entry(0), entry(1, 'Test')] },
      says: 'version 1 becomes Test',
    },
  ],
)('promotes $what', ({ spec, to, patch, says }) => {
  const value = { patch, says: typeof says === 'string' ? says : expect.stringMatching(says) };
  expect(promote(spec, to)).toEqual({ ok: true, value });
});

test.each<{ what: string; spec: Spec; to: Parameters<typeof promote>[1] }>([
  { what: 'to Test what machines are pinned to', spec: { versions: [entry(1)], bootVersion: 1 }, to: entry(1, 'Test') },
  {
    what: 'for a date where machines are pinned',
    spec: { versions: [entry(0)], bootVersion: 0 },
    to: entry(1, 'Production', { releaseAt: AT }),
  },
])('promotes not $what', ({ spec, to }) => {
  expect(promote(spec, to)).toMatchObject({ ok: false, error: { code: 'Pinned' } });
});

test.each<{ what: string; spec: Spec; patch?: Edit['patch']; says: string }>([
  {
    what: 'the newest',
    spec: { versions: [entry(2), entry(0), entry(1)] },
    patch: { versions: [entry(2, 'Test'), entry(0), entry(1)] },
    says: 'version 2 becomes Test: machines boot version 1 at their next start',
  },
  {
    what: 'a pin',
    spec: { versions: [entry(0), entry(1), entry(2)], bootVersion: 1 },
    patch: { bootVersion: 0 },
    says: 'bootVersion 1 becomes 0',
  },
  {
    what: 'what machines boot, and not what is for later',
    spec: { versions: [entry(0), entry(1), entry(2, 'Production', { releaseAt: AT })] },
    patch: { versions: [entry(0), entry(1, 'Test'), entry(2, 'Production', { releaseAt: AT })] },
    says: 'version 1 becomes Test: machines boot version 0 at their next start',
  },
  { what: 'not the only one', spec: { versions: [entry(0), entry(1, 'Test')] }, says: 'before 0: there is 0' },
  { what: 'not the base', spec: { versions: [] }, says: 'before 0: there is 0' },
  { what: 'not a pin that is the first', spec: { versions: [entry(0), entry(1)], bootVersion: 0 }, says: 'is 0, 1' },
])('reverts $what', ({ spec, patch, says }) => {
  const edit = revert(spec, Date.parse(AT) - 1);
  expect(edit.ok ? edit.value.says : edit.error.message).toContain(says);
  expect(edit.ok ? edit.value.patch : undefined).toEqual(patch);
});
