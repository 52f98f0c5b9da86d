import { expect, test } from '@jest/globals';
import { farmAmong } from './farm.ts';

const farms = (...names: readonly string[]) =>
  names.map((text) => {
    const [namespace = '', name = ''] = text.split('/');
    return { namespace, name };
  });
const TWO = farms('lab/farm', 'ops/farm');

test.each<[ReturnType<typeof farms>, Parameters<typeof farmAmong>[1], string | undefined, string]>([
  [farms('lab/farm'), {}, undefined, 'lab/farm'],
  [farms('lab/farm'), {}, 'default', 'lab/farm'],
  [TWO, {}, 'ops', 'ops/farm'],
  [TWO, { namespace: 'lab' }, 'ops', 'lab/farm'],
  [farms('lab/a', 'lab/b'), { name: 'b' }, 'default', 'lab/b'],
])('of %j, asked for %j in the context of %s: %s', (all, wanted, context, found) => {
  expect(farmAmong(all, wanted, context)).toEqual(farms(found)[0]);
});

test.each<[ReturnType<typeof farms>, Parameters<typeof farmAmong>[1], string]>([
  [TWO, {}, 'say which farm by --farm NAMESPACE/NAME: lab/farm, ops/farm'],
  [TWO, { name: 'farm' }, 'say which farm by --farm NAMESPACE/NAME: lab/farm, ops/farm'],
  [TWO, { name: 'moon' }, 'there is no farm moon that you may list: lab/farm, ops/farm'],
  [TWO, { namespace: 'moon' }, 'there is no farm in namespace moon that you may list: lab/farm, ops/farm'],
  [[], {}, 'there is no farm that you may list: there is none'],
])('of %j, asked for %j: %s', (all, wanted, says) => {
  expect(() => farmAmong(all, wanted, 'default')).toThrow(says);
});
