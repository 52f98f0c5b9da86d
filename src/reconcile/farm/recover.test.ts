/** Whether keys are given to a farm: every case of what it has, what the copies are of, and what the database says. */
import { expect, test } from '@jest/globals';
import type { RecoveryCopy } from '../../farm/recovery.ts';
import { passwordsOf, planRecover, type RecoverFacts, type RecoverPlan } from './recover.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const aCopy = (more: Partial<RecoveryCopy> = {}, password = 'old'): RecoveryCopy => ({
  farm: 'lab/farm',
  id: 'a',
  uid: 'u',
  secrets: { keys: { current: base64('1'), 'key-1': base64('k') }, database: { password: base64(password) } },
  sealedAt: '2026-11-28T12:00:00Z',
  ...more,
});
const held = (password: string, key = 'new') => ({
  keys: { current: Buffer.from('1'), 'key-1': Buffer.from(key), 'key-2': Buffer.from('later') },
  database: { password: Buffer.from(password), 'tls.crt': Buffer.from('c') },
});
const [first, second] = [aCopy(), aCopy({ id: 'b', sealedAt: '2026-11-28T13:00:00Z' }, 'second')];
const restored = {
  keys: { current: Buffer.from('1'), 'key-1': Buffer.from('k') },
  database: { password: Buffer.from('old'), 'tls.crt': Buffer.from('c') },
};
const facts = (more: Partial<RecoverFacts> = {}): RecoverFacts => ({
  farm: 'lab/farm',
  wanted: 'lab/farm',
  copies: [first],
  held: held('new'),
  current: 'Refuses',
  verdicts: new Map([[first, 'Takes']]),
  ...more,
});
const short = (plan: RecoverPlan): string => (plan.kind === 'Refuse' ? plan.message : `${plan.kind} ${plan.copy.id}`);

test.each<[what: string, given: Partial<RecoverFacts>, is: string | RegExp]>([
  ['one that the database takes', {}, 'Write a'],
  ['nobody can ask the database', { verdicts: new Map() }, 'Write a'],
  [
    'the database refuses it',
    { verdicts: new Map([[first, 'Refuses']]) },
    /does not take the passwords of farm a of Farm lab\/farm/,
  ],
  ['the database takes what is there', { current: 'Takes' }, /nothing is overwritten/],
  ['nobody knows whether it does', { current: 'Unknown' }, /wait until it answers/],
  ['nobody knows, and nothing is there', { current: 'Unknown', held: { keys: {}, database: {} } }, 'Write a'],
  ['it is there', { held: restored, current: 'Takes' }, 'There a'],
  ['it is there, and nobody knows', { held: restored, current: 'Unknown' }, 'There a'],
  ['the first half of it is there', { held: { ...held('new'), keys: restored.keys } }, 'Write a'],
  [
    'of another Farm',
    { copies: [aCopy({ farm: 'old/farm' })] },
    /is of Farm old\/farm, not of lab\/farm: .* say --of old\/farm/,
  ],
  ['of another Farm that is wanted', { copies: [aCopy({ farm: 'old/farm' })], wanted: 'old/farm' }, 'Write a'],
  ['two, the database takes one', { copies: [first, second] }, 'Write a'],
  [
    'two, the database refuses one',
    {
      copies: [first, second],
      verdicts: new Map([
        [first, 'Refuses'],
        [second, 'Unknown'],
      ]),
    },
    'Write b',
  ],
  [
    'two, the database takes both: the newer',
    {
      copies: [first, second],
      verdicts: new Map([
        [first, 'Takes'],
        [second, 'Takes'],
      ]),
    },
    'Write b',
  ],
  [
    'two, and it does not answer',
    { copies: [first, second], verdicts: new Map() },
    /there are 2 copies, .*farm a .*12:00.*; farm b .*13:00/,
  ],
])('%s', (_, given, is) => {
  const plan = planRecover(facts(given));
  if (typeof is === 'string') expect(short(plan)).toBe(is);
  else expect(short(plan)).toMatch(is);
});

test('what is written brings the Secrets to the copy; certificates stay', () => {
  expect(planRecover(facts())).toMatchObject({
    keys: { 'key-1': Buffer.from('k'), 'key-2': undefined },
    database: { password: Buffer.from('old') },
  });
  const { database } = planRecover(facts()) as RecoverPlan & { kind: 'Write' };
  expect(Object.keys(database)).toEqual(['password']);
});

test('no message tells a password', () => {
  for (const current of ['Takes', 'Unknown'] as const)
    expect(short(planRecover(facts({ current, held: held('planted') })))).not.toContain('planted');
});

test('the owner of the database may have either password while it changes', () => {
  const database = { password: base64('one'), 'password-next': base64('two') };
  expect(passwordsOf(aCopy({ secrets: { keys: {}, database } }))).toEqual(['one', 'two']);
  expect(passwordsOf(aCopy({ secrets: { keys: {}, database: {} } }))).toEqual([]);
});
