import { expect, test } from '@jest/globals';
import { array, assert, constantFrom, nat, property, tuple } from 'fast-check';
import { eventReader } from './sse.ts';

const WHOLE =
  'id: a.1\nevent: reset\ndata: {"reason":"x"}\n\n: still here\n\nid: a.2\nevent: changes\ndata: one\ndata: two\n\ndata: bare\n\n';
const EVENTS = [
  { id: 'a.1', event: 'reset', data: '{"reason":"x"}' },
  { id: 'a.2', event: 'changes', data: 'one\ntwo' },
  { id: '', event: 'message', data: 'bare' },
];

test('events are those of the stream, however it is cut', () => {
  expect(eventReader()(WHOLE)).toEqual(EVENTS);
  assert(
    property(array(nat(WHOLE.length), { maxLength: 8 }), (cuts) => {
      const read = eventReader();
      const at = [0, ...cuts.toSorted((a, b) => a - b), WHOLE.length];
      expect(at.slice(1).flatMap((end, index) => read(WHOLE.slice(at[index], end)))).toEqual(EVENTS);
    }),
    { seed: 16 },
  );
});

test('what is not whole yet is no event, and a heartbeat never is', () => {
  const read = eventReader();
  expect(read('data: a\n')).toEqual([]);
  expect(read(': still here\n\n')).toEqual([{ id: '', event: 'message', data: 'a' }]);
  expect(read(': still here\n\n')).toEqual([]);
  assert(
    property(array(tuple(constantFrom('id', 'event', 'data', ''), constantFrom('', ' x', ':', 'y'))), (lines) => {
      const text = `${lines.map(([name, value]) => `${name}:${value}`).join('\n')}\n\n`;
      for (const event of eventReader()(text)) expect(event.data).toEqual(expect.any(String));
    }),
    { seed: 16 },
  );
});
