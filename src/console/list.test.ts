import { expect, test } from '@jest/globals';
import { List, type View } from './list.ts';
import type { Page } from './shapes.ts';

interface Row {
  readonly name: string;
  readonly n: number;
}
const put = (row: Row) => [row.name, () => row] as const;
const gone = (name: string) => [name, () => undefined] as const;

/** A list whose pages come when the test says so. */
function aList() {
  const views: View<Row>[] = [];
  const waiting: { resolve: (page: Page<Row>) => void; reject: (why: Error) => void }[] = [];
  const list = new List<Row, Row>({
    async *read() {
      for (let more = true; more; ) {
        const { promise, resolve, reject } = Promise.withResolvers<Page<Row>>();
        waiting.push({ resolve, reject });
        const page = await promise;
        yield page;
        more = page.continue !== undefined;
      }
    },
    keyOf: ({ name }) => name,
    itemOf: (row) => row,
    publish: (view) => views.push({ ...view, items: new Map(view.items) }),
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const next = async () => {
    await turn();
    const [first] = waiting.splice(0, 1);
    if (!first) throw new Error('nothing is read');
    return first;
  };
  return {
    list,
    views,
    page: async (rows: readonly Row[], more = false) => {
      (await next()).resolve({ items: rows, ...(more ? { continue: 'x' } : {}) });
      await turn();
    },
    fails: async (message: string) => {
      (await next()).reject(new Error(message));
      await turn();
    },
    last: () => {
      const view = views.at(-1);
      return `${view?.state}: ${[...(view?.items.values() ?? [])].map(({ name, n }) => `${name}${n}`).join(' ')}${view?.problem ? ` (${view.problem})` : ''}`;
    },
  };
}

test('the first pages are shown as they come, a later reading when it is whole', async () => {
  const { list, page, last } = aList();
  void list.read();
  await page([{ name: 'a', n: 1 }], true);
  expect(last()).toBe('some: a1');
  await page([{ name: 'b', n: 1 }]);
  expect(last()).toBe('all: a1 b1');
  void list.read();
  await page([{ name: 'a', n: 2 }], true);
  expect(last()).toBe('all: a1 b1');
  await page([{ name: 'c', n: 2 }]);
  expect(last()).toBe('all: a2 c2');
});

test('a change that came while it was read is not undone by what was read before it', async () => {
  const { list, page, last } = aList();
  void list.read();
  list.edit([put({ name: 'a', n: 9 }), gone('b')]);
  await page([
    { name: 'a', n: 1 },
    { name: 'b', n: 1 },
  ]);
  expect(last()).toBe('all: a9');
  list.edit([put({ name: 'd', n: 1 })]);
  expect(last()).toBe('all: a9 d1');
});

test('wishes that come while it is read are one more reading', async () => {
  const { list, page, last } = aList();
  const done = [list.read(), list.read(), list.read()];
  await page([{ name: 'a', n: 1 }]);
  await page([{ name: 'a', n: 2 }]);
  await Promise.all(done);
  expect(last()).toBe('all: a2');
});

test('what cannot be read is said; what was read before stays', async () => {
  const { list, page, fails, last } = aList();
  void list.read();
  await fails('you may not');
  expect(last()).toBe('refused:  (you may not)');
  void list.read();
  await page([{ name: 'a', n: 1 }]);
  void list.read();
  await fails('it is away');
  expect(last()).toBe('all: a1 (it is away)');
});

test('changes of a list that nobody reads are not kept', () => {
  const { list, views } = aList();
  list.edit([put({ name: 'a', n: 1 })]);
  expect(views).toEqual([]);
});
