import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Backlog } from './backlog.ts';

test('it gives what it was given, in order, and says when it is full', () => {
  const packet = fc.uint8Array({ minLength: 1, maxLength: 40 });
  const name = fc.uint8Array({ minLength: 16, maxLength: 16 });
  fc.assert(
    fc.property(fc.array(fc.option(fc.record({ packet, name }))), (steps) => {
      const backlog = new Backlog(5, 40, 16);
      const model: { packet: Uint8Array; name: Uint8Array }[] = [];
      for (const step of steps) {
        if (step) {
          expect(backlog.push(step.packet, step.name, step.packet.length)).toBe(model.length < 5);
          if (model.length < 5) model.push(step);
        } else {
          const [given, wanted] = [backlog.shift(), model.shift()];
          expect(given && [...given.packet]).toEqual(wanted && [...wanted.packet]);
          expect(given && [...given.name]).toEqual(wanted && [...wanted.name]);
          expect(given?.cameMs).toBe(wanted?.packet.length);
        }
        expect(backlog.length).toBe(model.length);
      }
    }),
    { seed: 20_261_129 },
  );
});
