import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { changes } from './difference.ts';

const sectors = fc.array(fc.constantFrom(0, 1, 2), { minLength: 1, maxLength: 300 });

test('what differs is told to the sector, and nothing else', () => {
  fc.assert(
    fc.property(sectors, sectors, fc.constantFrom(512, 4_096), (one, other, sectorBytes) => {
      const many = Math.min(one.length, other.length);
      const bytes = (of: readonly number[]) =>
        Buffer.concat(of.slice(0, many).map((byte) => Buffer.alloc(sectorBytes, byte)));
      const changed = new Set<number>();
      let end = 0;
      for (const { from, to } of changes(bytes(one), bytes(other), sectorBytes)) {
        expect(from).toBeGreaterThanOrEqual(end);
        for (let at = from; at < to; at += sectorBytes) changed.add(at / sectorBytes);
        end = to;
      }
      const wanted = Array.from({ length: many }, (_, sector) => sector).filter((at) => one[at] !== other[at]);
      expect([...changed]).toEqual(wanted);
    }),
    { seed: 14, numRuns: 200 },
  );
});
