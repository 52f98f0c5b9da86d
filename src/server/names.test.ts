import { expect, jest, test } from '@jest/globals';
import { type Lookup, NAME_LIFE_MS, Names } from './names.ts';

const at = (host: string, port = 6910) => ({ host, port });
const failing: Lookup = async () => {
  throw Object.assign(new Error('getaddrinfo failed'), { code: 'ENOTFOUND' });
};

test.each([
  { what: 'an address stays as it is', host: '10.0.0.1', told: ['10.0.0.1'], says: undefined },
  {
    what: 'a name becomes each of its addresses',
    host: 'two.example',
    told: ['10.0.0.7', '10.0.0.8'],
    says: undefined,
  },
  { what: 'a name of IPv6 alone is left out', host: 'six.example', told: [], says: /six\.example, which cannot be/ },
  { what: 'an IPv6 address is left out', host: 'fd00::1', told: [], says: /fd00::1, and this release/ },
  { what: 'a name that nobody knows is left out', host: 'no.example', told: [], says: /no\.example.*\(ENOTFOUND\)/ },
])('$what', async ({ host, told, says }) => {
  const answers: Record<string, string[]> = {
    'two.example': ['10.0.0.8', '10.0.0.7', 'fd00::7'],
    'six.example': ['fd00::6'],
  };
  const names = new Names(async (name) => answers[name] ?? failing(name));
  const resolved = await names.resolve([at(host, 7000), at('10.9.9.9')]);
  expect(resolved).toEqual([...told.map((address) => at(address, 7000)), at('10.9.9.9')]);
  expect(names.faults.map(({ advisory }) => advisory)).toEqual(says ? [true] : []);
  if (says) expect(names.faults[0]?.message).toMatch(says);
});

test('a name server that never answers costs a deadline once, and one question at a time', async () => {
  let asked = 0;
  const names = new Names(() => {
    asked++;
    return new Promise(() => undefined);
  });
  const many = Array.from({ length: 32 }, (_, index) => at(`server-${index}.example`));
  jest.useFakeTimers();
  for (const servers of [[...many, at('10.0.0.1')], many]) {
    const resolving = names.resolve(servers, 20);
    await jest.advanceTimersByTimeAsync(20);
    expect(await resolving).toEqual(servers.slice(32));
  }
  jest.useRealTimers();
  expect(asked).toBe(1);
  expect(names.faults).toHaveLength(32);
  expect(names.faults[0]?.message).toContain('no answer yet');
});

test('an answer is kept for its life, and for longer while the name server is away', async () => {
  let [now, asked, lookup]: [number, number, Lookup] = [0, 0, async () => ['10.0.0.7']];
  const names = new Names(
    (name) => {
      asked++;
      return lookup(name);
    },
    () => now,
  );
  const resolve = async () => {
    const resolved = await names.resolve([at('one.example')]);
    await new Promise(setImmediate); // what is asked meanwhile has its answer
    return resolved;
  };
  await resolve();
  await resolve();
  expect(asked).toBe(1);
  lookup = failing;
  now += NAME_LIFE_MS + 1;
  expect(await resolve()).toEqual([at('10.0.0.7')]);
  now += NAME_LIFE_MS + 1;
  expect(await resolve()).toEqual([at('10.0.0.7')]);
  expect(asked).toBe(3);
  expect(names.faults).toEqual([]);
  expect(await names.resolve([])).toEqual([]);
});
