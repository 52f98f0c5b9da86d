import { describe, expect, test } from '@jest/globals';
import { aDevice, aLoad, aSnapshot, aVDisk, aVersion } from '../../test/builders/farm.ts';
import { createFakeFarmData } from '../../test/fakes/farmdata.ts';
import type { Database } from '../database/connection.ts';
import { explain } from '../farm/explain.ts';
import type { FarmSnapshot } from '../farm/model.ts';
import type { BootToken } from '../farm/token.ts';
import type { VerdictCode } from '../farm/verdict.ts';
import { fail, ok } from '../kit/result.ts';
import { silentLogger } from '../telemetry/log.ts';
import { Boots } from './boots.ts';
import type { Readable } from './copies.ts';
import { Logins } from './login.ts';
import { FarmView } from './view.ts';

const NOW = 1_767_225_600_000;
const DAY_MS = 86_400_000;
const manifest = aVersion().content?.manifest ?? '';
const manifests = [manifest.slice(0, 16)];
const copy = { vdisk: 'lab', version: 0, manifest, sizeBytes: 4_096 } satisfies Readable;
const reachable = { reachable: true, since: NOW } as const;
const away = { reachable: false, since: NOW - 1_000, fault: { code: 'Unreachable', message: 'away' } } as const;
const a = { host: '10.77.0.11', port: 6910, state: 'Streaming' };
const b = { host: '10.77.0.12', port: 6910, state: 'Streaming' };

interface Scene {
  readonly snapshot?: FarmSnapshot | undefined;
  readonly enabled?: boolean;
  /** Devices of this server and of its peer; a peer without does not answer. */
  readonly devices?: readonly [number, number?];
  readonly served?: readonly Readable[];
  readonly state?: Database['state'];
  /** How old the replica is, if it can be asked. */
  readonly ageMs?: number | undefined;
}

async function scene(given: Scene = {}) {
  const {
    snapshot,
    enabled = true,
    devices = [2],
    served = [copy],
    state = reachable,
    ageMs,
  } = {
    snapshot: aSnapshot(),
    ageMs: 0,
    ...given,
  };
  const data = createFakeFarmData();
  if (snapshot) data.load({ snapshot, devices: [aDevice({ enabled })], sessions: [] });
  const view = new FarmView(data, silentLogger);
  await view.read();
  const [own, peer] = devices;
  const logins = new Logins({
    self: () => ({ ...aLoad({ devices: own, manifests }), address: a.host, site: 'default', pool: 'main' }),
    streamPort: a.port,
    view,
    data,
    database: { state } as Database,
    replicaCheckedAt: async () => (ageMs === undefined ? fail('Unreachable', 'the follower is away') : ok(NOW - ageMs)),
    alive: (name) => (peer === undefined ? undefined : aLoad({ name, devices: peer, manifests })),
    served: () => served,
  });
  return (device = 'pc0001', more: { redirected?: boolean; renew?: boolean; now?: number } = {}) =>
    logins.decide({
      token: tokenOf(device),
      renew: false,
      redirected: false,
      from: { host: '10.77.0.50', port: 4000 },
      now: NOW,
      ...more,
    });
}

function tokenOf(device: string): BootToken {
  return { device, mac: '52:54:00:00:00:01', site: 'default', vdisk: 'lab', version: 0, manifest, expires: 0 };
}

const NEVER = { enabled: false, maxAgeSeconds: 60 };
const offline = (maxAgeSeconds: number) =>
  aSnapshot({ farm: { ...aSnapshot().farm, offline: { enabled: true, maxAgeSeconds } } });
const ticket = { kind: 'ticket', sizeBytes: 4_096, blockSize: 512 };
const refused = (code: string) => ({ kind: 'refuse', code });

test.each<{ what: string; given: Scene; is: object }>([
  {
    what: 'the only server that answers serves it',
    given: {},
    is: { ...ticket, servers: [a, { ...b, state: 'Unreachable' }] },
  },
  { what: 'the emptier server serves it', given: { devices: [1, 5] }, is: { ...ticket, servers: [a, b] } },
  { what: 'a fuller server sends it on', given: { devices: [5, 1] }, is: { kind: 'redirect', server: b } },
  { what: 'before the farm is known', given: { snapshot: undefined }, is: refused('Busy') },
  { what: 'a device that is disabled', given: { enabled: false }, is: refused('UnknownDevice') },
  {
    what: 'a vDisk that is disabled',
    given: { snapshot: aSnapshot({ vdisks: [aVDisk({ enabled: false })] }) },
    is: refused('NoServer'),
  },
  { what: 'a copy that went a moment ago', given: { served: [] }, is: refused('NoCopy') },
  { what: 'offline, with a replica that is young', given: { state: away, ageMs: DAY_MS }, is: ticket },
  {
    what: 'offline, with a replica that is too old',
    given: { state: away, ageMs: 31 * DAY_MS },
    is: refused('Offline'),
  },
  { what: 'offline, with a replica that does not say its age', given: { state: away, ageMs: undefined }, is: ticket },
  {
    what: 'offline for longer than maxAge, with a replica that does not say its age',
    given: { state: { ...away, since: NOW - 11_000 }, ageMs: undefined, snapshot: offline(10) },
    is: refused('Offline'),
  },
])('$what', async ({ given, is }) => {
  const login = await scene(given);
  expect(await login()).toMatchObject(is);
});

test('a device that streams already gets its ticket anew wherever it is, placed or not, unless it may not go on', async () => {
  const login = await scene({ devices: [5, 1] });
  expect(await login('pc0001', { renew: true })).toMatchObject(ticket);
  const disabled = await scene({ devices: [5, 1], enabled: false });
  expect(await disabled('pc0001', { renew: true })).toMatchObject(refused('UnknownDevice'));
});

test.each<{ what: string; given: Scene; code: VerdictCode; says: RegExp }>([
  {
    what: 'every server is full',
    given: { devices: [10, 10] },
    code: 'ServerFull',
    says: /node-a 10 of 10, node-b 10/,
  },
  {
    what: 'the database is away, and offline is off',
    given: { state: away, snapshot: aSnapshot({ farm: { ...aSnapshot().farm, offline: NEVER } }) },
    ...{ code: 'DatabaseAway', says: /spec\.offline\.enabled of farm farm is false/ },
  },
  { what: 'the copy has gone', given: { served: [] }, code: 'NoCopy', says: /no UpToDate copy of lab version 0/ },
  { what: 'the farm is not known yet', given: { snapshot: undefined }, code: 'LoginRefused', says: /not loaded yet/ },
])('a machine is explained by why its login was refused: $what', async ({ given, code, says }) => {
  const answer = await (await scene(given))();
  const boots = new Boots({ server: 'node-a', stateDirectory: '', macOf: async () => undefined, log: silentLogger });
  boots.login({ token: tokenOf('pc0001'), renew: false, redirected: false, from: a, now: NOW }, answer);
  const device = aDevice();
  const { records } = boots.records(device.macs);
  const facts = { macs: device.macs, device, snapshot: aSnapshot(), record: records[0] };
  const { verdict } = explain({ ...facts, session: undefined, silent: [], answered: 1, nowMs: NOW });
  expect(verdict).toMatchObject({ code, step: 'login', message: expect.stringMatching(says) });
});

test('a device that another server sent here stays here', async () => {
  const login = await scene({ devices: [5, 1] });
  expect(await login('pc0001', { redirected: true })).toMatchObject(ticket);
});

describe('devices that were placed a moment ago', () => {
  const devices = ['1', '2', '3', '4', '5', '6', '7', '8'].map((number) => `pc000${number}`);
  const two = () => scene({ devices: [2, 2] });

  test('count, until the pings show them; who asks again does not count twice', async () => {
    const login = await two();
    const ask = async (): Promise<readonly string[]> => {
      const kinds: string[] = [];
      for (const device of devices) kinds.push((await login(device)).kind);
      return kinds;
    };
    const first = await ask();
    expect(first.filter((kind) => kind === 'ticket')).toHaveLength(4);
    expect(await ask()).toEqual(first);
  });

  test('count for two seconds', async () => {
    const alone = await Promise.all(devices.map(async (device) => (await (await two())(device)).kind));
    const [one = '', other = ''] = devices.filter((_, index) => alone[index] === 'ticket');
    const login = await two();
    expect((await login(one)).kind).toBe('ticket');
    expect((await login(other, { now: NOW + 1_999 })).kind).toBe('redirect');
    const again = await two();
    await again(one);
    expect((await again(other, { now: NOW + 2_000 })).kind).toBe('ticket');
  });
});
