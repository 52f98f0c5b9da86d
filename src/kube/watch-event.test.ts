import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { anObject } from '../../test/builders/kube.ts';
import { parseWatchLine } from './watch-event.ts';

const line = (type: string, object: unknown) => JSON.stringify({ type, object });

test.each(['ADDED', 'MODIFIED', 'DELETED'] as const)('%s carries its object', (type) => {
  expect(parseWatchLine(line(type, anObject()), '')).toEqual({ type, object: anObject() });
});

test('a bookmark says how far the watch has come', () => {
  const bookmark = { kind: 'ConfigMap', metadata: { resourceVersion: '77' } };
  expect(parseWatchLine(line('BOOKMARK', bookmark), '')).toEqual({ type: 'BOOKMARK', resourceVersion: '77' });
});

test('an ERROR carries the fault of its status', () => {
  const status = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
  const fault = { code: 'Gone', message: 'too old resource version' };
  expect(parseWatchLine(line('ERROR', status), '')).toEqual({ type: 'ERROR', fault });
});

test.each([
  '',
  'null',
  '5',
  '{}',
  '{"type":"ADDED"}',
  line('ADDED', { metadata: { name: 'a' } }),
  line('BOOKMARK', {}),
])('a line that is no event (%s) is an ERROR', (text) => {
  expect(parseWatchLine(text, 'GET /x')).toMatchObject({ type: 'ERROR', fault: { code: 'ServerError' } });
});

test('no line makes it throw', () => {
  const cut = fc.nat().map((n) => line('ADDED', anObject()).slice(0, n % 90));
  const anything = fc.oneof(
    fc.string(),
    fc.json(),
    cut,
    fc.json().map((json) => `{"type":"ADDED","object":${json}}`),
  );
  fc.assert(
    fc.property(anything, (text) => void parseWatchLine(text, '')),
    { seed: 3, numRuns: 5_000 },
  );
});
