import { expect, test } from '@jest/globals';
import { inTurns } from './hear.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Packets are numbers; what is taken is told as `address number`. */
function scene(terms: { perTurn: number; waiting: number }) {
  const taken: string[] = [];
  const gone: string[] = [];
  const take = inTurns(terms, ({ address }) => gone.push(address))((bytes, { address }) => {
    taken.push(`${address} ${bytes[0]}`);
  });
  const packet = (address: string, number: number): void => take(Buffer.of(number), { address, port: 7 });
  return { taken, gone, packet };
}

test('so many packets a turn of the event loop; the rest waits, and sources take turns', async () => {
  const { taken, gone, packet } = scene({ perTurn: 2, waiting: 4 });
  for (const number of [1, 2, 3, 4, 5, 6]) packet('a', number);
  packet('b', 7);
  packet('c', 8);
  expect([taken, gone]).toEqual([
    ['a 1', 'a 2'],
    ['a', 'a'],
  ]);
  await turn();
  expect(taken.slice(2)).toEqual(['a 5', 'b 7']);
  packet('d', 9); // this turn's are taken already
  expect(taken.length).toBe(4);
  await turn();
  expect(taken.slice(4)).toEqual(['c 8', 'a 6']);
  await turn();
  expect(taken.slice(6)).toEqual(['d 9']);
  await turn();
  packet('e', 10);
  expect(taken.slice(7)).toEqual(['e 10']);
});
