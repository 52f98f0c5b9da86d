import { expect, test } from '@jest/globals';
import { aVDisk } from '../../../test/builders/resources.ts';
import { type FarmOrder, orderId } from '../../farm/orders.ts';
import type { VDisk } from '../../resources/kinds.ts';
import { errandsOf, errandWords, type FileFacts, fileOrders } from './files.ts';

const NOW = Date.parse('2026-11-29T12:30:00Z') / 1_000;
const GIB = 2 ** 30;
const SHA = 'a'.repeat(64);
const url = 'https://me:secret@images.example/lab.vhdx?signature=secret';
const SERVERS = ['node-a', 'node-b', 'node-c'];

type Status = FileFacts['status'];
type Copy = NonNullable<Status['copies']>[number];
type Job = NonNullable<Status['work']>[number];
type State = Copy['state'];

/** What it says of all three, or of each. */
const copies = (states: State | readonly State[], more: Partial<Copy> = {}): Copy[] =>
  SERVERS.map((server, at) => ({
    ...{ server, version: 0, state: typeof states === 'string' ? states : (states[at] ?? 'Missing'), ...more },
  }));
const idOf = (server: string, hoursAgo = 0, what = `fetch ${SHA} ${url}`): string =>
  orderId(`uid ${what} ${server}`, NOW - 3_600 * hoursAgo);
const job = (server: string, state: Job['state'], id = idOf(server)): Job => ({
  ...{ server, id, kind: 'fetch', state, message: `${server} says why` },
});
const store = (server: string, more: Partial<FileFacts['servers'][number]> = {}) => ({
  ...{ name: server, state: 'ReadOnly' as const, freeBytes: 64 * GIB, totalBytes: 100 * GIB, ...more },
});
const TAKES = 'boot-files 0 5f0c11d2';
const image = { lacksBootFiles: '5f0c11d2' };

interface Given {
  readonly status?: Partial<Status>;
  readonly servers?: FileFacts['servers'];
  readonly source?: boolean;
  readonly versions?: VDisk['spec']['versions'];
}

const factsOf = ({
  status = {},
  servers = SERVERS.map((name) => store(name)),
  source = true,
  versions = [],
}: Given) => ({
  ...{ status: { copies: copies('Missing'), ...status }, servers, nowSeconds: NOW },
  vdisk: aVDisk({
    metadata: { uid: 'uid' },
    spec: { versions, ...(source ? { source: { http: { url, sha256: SHA, sizeBytes: 40 * GIB } } } : {}) },
  }),
});
const ordered = (given: Given): Record<string, readonly FarmOrder[]> => {
  const facts = factsOf(given);
  const errands = errandsOf(facts);
  return Object.fromEntries(
    SERVERS.map((server) => [server, fileOrders(server, facts.vdisk, errands, `/${server}`)] as const).filter(
      ([, orders]) => orders.length > 0,
    ),
  );
};
/** `fetch by node-b`, or nothing. */
const inWords = (orders: ReturnType<typeof ordered>): string =>
  Object.entries(orders)
    .flatMap(([server, all]) => all.map(({ kind }) => `${kind} by ${server}`))
    .join(', ');
const [first = '', second = '', third = ''] = ((): string[] => {
  const chosen: string[] = [];
  for (let state: State[] = []; chosen.length < 3; ) {
    const [server = ''] = Object.keys(ordered({ status: { copies: copies(state) } }));
    chosen.push(server);
    state = SERVERS.map((name) => (chosen.includes(name) ? 'ServerUnreachable' : 'Missing'));
  }
  return chosen;
})();

test('one server fetches what no server has, into its own folder', () => {
  const order = { kind: 'fetch', folder: `/${first}`, fileName: 'lab', url, sha256: SHA, sizeBytes: 40 * GIB };
  expect(ordered({})).toEqual({ [first]: [{ ...order, id: idOf(first) }] });
  expect(new Set([first, second, third]).size).toBe(3);
});

test.each<{ what: string; given: Given; is: string }>([
  { what: 'with no source', given: { source: false }, is: '' },
  {
    what: 'of which the first server is gone',
    given: { status: { copies: copies(SERVERS.map((name) => (name === first ? 'ServerUnreachable' : 'Missing'))) } },
    is: `fetch by ${second}`,
  },
  {
    what: 'that is being fetched',
    given: { status: { work: [job(third, 'Running', idOf(third, 3))] } },
    is: `fetch by ${third}`,
  },
  { what: 'that waits for its turn', given: { status: { work: [job(second, 'Queued')] } }, is: `fetch by ${second}` },
  {
    what: 'that is fetched from another address, by what was ordered before',
    given: { status: { work: [job(third, 'Running', orderId(`uid fetch ${SHA} http://other ${third}`, NOW))] } },
    is: '',
  },
  { what: 'on which somebody works', given: { status: { work: [job(third, 'Running', '00000000')] } }, is: '' },
  {
    what: 'that could not be fetched by one',
    given: { status: { work: [job(first, 'Failed')] } },
    is: `fetch by ${second}`,
  },
  {
    what: 'that could not be fetched by two, an hour ago by one of them',
    given: { status: { work: [job(first, 'Failed', idOf(first, 1)), job(second, 'Cancelled')] } },
    is: `fetch by ${third}`,
  },
  { what: 'that nobody could fetch', given: { status: { work: SERVERS.map((name) => job(name, 'Failed')) } }, is: '' },
  {
    what: 'that is being fetched by a server that is silent',
    given: { status: { copies: copies('ServerUnreachable'), work: [job(first, 'Running')] } },
    is: `fetch by ${first}`,
  },
  { what: 'that a server has', given: { status: { copies: copies(['Missing', 'UpToDate']) } }, is: '' },
  { what: 'that a server reads', given: { status: { copies: copies(['Missing', 'Copying']) } }, is: '' },
  { what: 'that a server has, and wrong', given: { status: { copies: copies(['Missing', 'Corrupt']) } }, is: '' },
  { what: 'that servers had', given: { status: { versions: [{ number: 0, sha256: SHA }] } }, is: '' },
  {
    what: 'whose right content is stated',
    given: {
      versions: [{ number: 0, access: 'Production', sha256: SHA }],
      status: { versions: [{ number: 0, sha256: SHA, upToDate: 0 }] },
    },
    is: `fetch by ${first}`,
  },
  { what: 'beside which an image lies', given: { status: { unmanaged: ['lab.1.vhdx'] } }, is: '' },
  { what: 'whose version 0 is not named', given: { versions: [{ number: 1, access: 'Production' }] }, is: '' },
  {
    what: 'for which the first server has no room',
    given: { servers: [store(first, { freeBytes: 37 * GIB }), store(second), store(third)] },
    is: `fetch by ${second}`,
  },
  {
    what: 'whose store is reached by one server alone',
    given: { servers: [store(first, { state: 'Missing' }), store(third)] },
    is: `fetch by ${third}`,
  },
  { what: 'whose store nobody reaches', given: { servers: [] }, is: '' },
  {
    what: 'whose image lies there without a kernel',
    given: {
      status: { copies: copies('Missing').map((copy) => (copy.server === third ? { ...copy, ...image } : copy)) },
    },
    is: `boot-files by ${third}`,
  },
  {
    what: 'that was fetched, and whose kernel the same job takes out',
    given: { status: { copies: copies('Missing', image), work: [job(third, 'Running')] } },
    is: `fetch by ${third}`,
  },
  {
    what: 'put there by hand on all servers without a kernel',
    given: { source: false, status: { copies: copies('Missing', image) } },
    is: `boot-files by ${first}`,
  },
  {
    what: 'in which one found no kernel',
    given: {
      source: false,
      status: { copies: copies('Missing', image), work: [job(first, 'Failed', idOf(first, 0, TAKES))] },
    },
    is: `boot-files by ${second}`,
  },
  {
    what: 'put there anew after that',
    given: {
      source: false,
      status: {
        copies: copies('Missing', { lacksBootFiles: '00000000' }),
        work: SERVERS.map((name) => job(name, 'Failed', idOf(name, 0, TAKES))),
      },
    },
    is: `boot-files by ${first}`,
  },
  {
    what: 'put there by hand, and written still',
    given: { source: false, status: { copies: copies('Copying', image) } },
    is: '',
  },
  {
    what: 'put there by hand, where another server has all of it',
    given: { source: false, status: { copies: copies(['Missing', 'UpToDate'], image) } },
    is: '',
  },
  {
    what: 'put there by hand, of which it is known what is right',
    given: { source: false, status: { copies: copies('Missing', image), versions: [{ number: 0, sha256: SHA }] } },
    is: '',
  },
])('of a vDisk $what: $is', ({ given, is }) => {
  expect(inWords(ordered(given))).toBe(is);
});

test.each<{ given: Given; says: RegExp; reason: string; comes: boolean }>([
  {
    given: {},
    says: /^server node-. fetches version 0 from https:\/\/images\.example\/lab\.vhdx: status\.work says/,
    ...{ reason: 'Fetching', comes: true },
  },
  {
    given: { status: { work: SERVERS.map((name) => job(name, 'Failed')) } },
    says: /^nobody could fetch version 0 from https:\/\/images\.example\/lab\.vhdx, .* each hour: .*server node-a: node-a says why/,
    ...{ reason: 'FetchFailed', comes: true },
  },
  { given: { servers: [] }, says: /reaches the store, with room/, reason: 'FilesMissing', comes: false },
  {
    given: { status: { copies: copies('Missing', image) } },
    says: /^server node-. takes kernel and initrd of version 0 out of its image/,
    ...{ reason: 'TakingBootFiles', comes: true },
  },
  {
    given: {
      status: {
        copies: copies('Missing', image),
        work: SERVERS.map((name) => job(name, 'Failed', idOf(name, 0, TAKES))),
      },
    },
    says: /^nobody could take kernel and initrd of version 0 .* each day: .*node-a says why/,
    ...{ reason: 'FilesMissing', comes: false },
  },
])('it says $reason', ({ given, says, reason, comes }) => {
  const errand = errandsOf(factsOf(given)).get(0);
  const words = errand && errandWords(errand);
  expect(words).toEqual({ reason, comes, message: expect.stringMatching(says) });
  expect(words?.message).not.toContain('secret');
});
