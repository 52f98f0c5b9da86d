import { expect, test } from '@jest/globals';
import { databaseSet, replicaSet } from './objects.ts';

/** Words of a command as the kubelet hands them over: `$$` is how a single `$` is written, and `$(NAME)` of no variable stays. */
const asTheKubeletReads = (word: string): string => word.replaceAll('$$', '$');

test.each([
  ['database', databaseSet],
  ['replica', replicaSet],
])('what the pod of a %s runs is what is written', (_, make) => {
  const set = make({ farm: 'farm', image: 'i', embedded: { storage: { hostPath: '/srv' } } }) as {
    spec: { template: { spec: Record<'initContainers' | 'containers', { command: string[] }[]> } };
  };
  const { initContainers, containers } = set.spec.template.spec;
  const commands = [...initContainers, ...containers].map(({ command }) => command);
  expect(commands.length).toBeGreaterThan(1);
  expect(commands).toEqual(commands.map((words) => words.map(asTheKubeletReads)));
});
