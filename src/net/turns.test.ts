import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Turns } from './turns.ts';

test('sources take turns; when it is full, the oldest of the source with the most gives way', () => {
  const turns = new Turns<string>(4);
  const gone = ['a1', 'a2', 'a3', 'b1', 'a4', 'c1'].map((name) => turns.push(name.slice(0, 1), name));
  expect(gone).toEqual([undefined, undefined, undefined, undefined, 'a1', 'a2']);
  expect(Array.from({ length: 5 }, () => turns.shift())).toEqual(['a3', 'b1', 'c1', 'a4', undefined]);
});

type Item = { readonly source: string; readonly number: number };

test('whatever comes: nothing is lost or doubled, a source keeps its order, and nobody passes one who waits twice', () => {
  const sources = ['a', 'b', 'c', 'd'];
  const steps = fc.array(fc.option(fc.constantFrom(...sources), { nil: undefined, freq: 2 }), {
    maxLength: 100,
    size: 'max',
  });
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 12 }), (all, most) => {
      const turns = new Turns<Item>(most);
      let waiting: readonly Item[] = [];
      /** By who waits: of whom something was taken since its own last. */
      const passedBy = new Map<string, string[]>();
      const of = (source: string): readonly Item[] => waiting.filter((item) => item.source === source);
      const leaves = (item: Item): void => {
        expect(of(item.source)[0]).toBe(item);
        waiting = waiting.filter((other) => other !== item);
      };
      for (const [number, source] of all.entries()) {
        if (source === undefined) {
          const item = turns.shift();
          expect(item === undefined).toBe(waiting.length === 0);
          if (!item) continue;
          leaves(item);
          passedBy.delete(item.source);
          for (const other of sources) {
            if (of(other).length === 0) passedBy.delete(other);
            else if (other !== item.source) passedBy.set(other, [...(passedBy.get(other) ?? []), item.source]);
          }
          for (const passed of passedBy.values()) expect(new Set(passed).size).toBe(passed.length);
          continue;
        }
        const longest = Math.max(...sources.map((name) => of(name).length));
        const item = { source, number };
        const gone = turns.push(source, item);
        expect(gone && of(gone.source).length).toBe(waiting.length === most ? longest : undefined);
        if (gone) leaves(gone);
        for (const other of sources) if (of(other).length === 0) passedBy.delete(other);
        waiting = [...waiting, item];
        expect(turns.size).toBe(waiting.length);
      }
    }),
  );
});
