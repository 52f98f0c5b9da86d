import { describe, expect, test } from '@jest/globals';
import { aBoot, aBootDecision, aDevice, aSnapshot } from '../../test/builders/farm.ts';
import { createFakeFarmData } from '../../test/fakes/farmdata.ts';
import type { Database } from '../database/connection.ts';
import type { Device, FarmSnapshot, UnknownDevices } from '../farm/model.ts';
import { openBootToken } from '../farm/token.ts';
import { fail, ok } from '../kit/result.ts';
import type { KeyRing } from '../kit/seal.ts';
import { silentLogger } from '../telemetry/log.ts';
import { AutoAdd } from './autoadd.ts';
import { type BootOptions, bootToken, decide, dhcpVerdict, lookUp, tftpMayAnswer } from './boot.ts';
import { Uuids } from './uuids.ts';
import { FarmView } from './view.ts';

const UUID = '6d3c8a62-0000-4000-8000-000000000001';
const known = aDevice({ uuid: UUID });
const stranger = { mac: '52:54:00:00:00:99' };
const autoAdd = { collection: 'room-101', namePrefix: 'pc', digits: 4, maxDevices: 1_000, maxPerMinute: 10 };
const ring: KeyRing = { current: 1, keys: new Map([[1, Buffer.alloc(32, 1)]]) };

const unknownAre = (unknownDevices: UnknownDevices, farm: Partial<FarmSnapshot['farm']> = {}): FarmSnapshot =>
  aSnapshot({
    sites: [{ name: 'default', boot: aBoot({ unknownDevices }) }],
    farm: { ...aSnapshot().farm, ...farm },
  });

/** `add` is what becomes of a device that is added. */
async function scene(
  snapshot: FarmSnapshot | undefined,
  add: 'added' | 'away' = 'away',
  site = 'default',
  heard = true,
) {
  const data = createFakeFarmData();
  if (snapshot) data.load({ snapshot, devices: [known], sessions: [] });
  const view = new FarmView(data, silentLogger);
  await view.read();
  const added = aDevice({ name: 'pc0002', macs: [stranger.mac] });
  const run = async () => (add === 'added' ? ok(ok(added)) : fail('Unreachable', 'away'));
  const database = { run } as unknown as Database;
  const adding = new AutoAdd({ server: 'node-a', database, log: silentLogger });
  if (heard) adding.heard.byDhcp(stranger.mac, performance.now());
  const options: BootOptions = {
    ...{ site, data, view, ring: () => ring, autoAdd: adding },
    uuids: new Uuids({ database, data, log: silentLogger, lookMs: 1 }),
  };
  return { options, data };
}

describe('a machine is found', () => {
  test.each([
    { what: 'by its MAC', machine: { mac: '52:54:00:00:00:01' }, kind: 'boot' },
    {
      what: 'by its MAC, whatever its UUID',
      machine: { mac: '52:54:00:00:00:01', uuid: UUID.replace('6', '7') },
      kind: 'boot',
    },
    { what: 'by its UUID, with a new card', machine: { ...stranger, uuid: UUID }, kind: 'boot' },
    {
      what: 'by its UUID as SMBIOS wrote it before 2.6',
      machine: { ...stranger, uuid: '628a3c6d-0000-0040-8000-000000000001' },
      kind: 'boot',
    },
    { what: 'by neither', machine: { ...stranger, uuid: UUID.replace('6', '7') }, kind: 'unknown' },
  ])('$what', async ({ machine, kind }) => {
    const { options } = await scene(aSnapshot());
    expect(await lookUp(options, machine)).toMatchObject({ ok: true, value: { kind } });
  });

  test.each([
    { what: 'the farm is not loaded', snapshot: undefined, site: 'default', code: 'NotLoaded' },
    { what: 'the farm has no such site', snapshot: aSnapshot(), site: 'lyon', code: 'SiteUnknown' },
  ])('or not, because $what', async ({ snapshot, site, code }) => {
    const { options } = await scene(snapshot, 'away', site);
    expect(await lookUp(options, stranger)).toMatchObject({ ok: false, error: { code } });
  });
});

describe('ProxyDHCP', () => {
  const lyon = aSnapshot({
    collections: [{ name: 'room-101', site: 'lyon', vdisk: 'lab', class: 'Production', template: {} }],
  });
  /** And why, for the story of its boot. */
  const silence = (code: string) => ({
    kind: 'unknown',
    action: 'Ignore',
    reason: { code, message: expect.anything() },
  });
  test.each([
    { what: 'answers a device', snapshot: aSnapshot(), machine: { mac: '52:54:00:00:00:01' }, is: { kind: 'known' } },
    {
      what: 'answers a device that may not boot: the script says why',
      snapshot: aSnapshot({ vdisks: [] }),
      machine: { mac: '52:54:00:00:00:01' },
      is: { kind: 'known' },
    },
    {
      what: 'leaves a device of another site alone',
      snapshot: lyon,
      machine: { mac: '52:54:00:00:00:01' },
      is: silence('OtherSite'),
    },
    {
      what: 'does as the site says with a stranger',
      snapshot: unknownAre('Screen'),
      machine: stranger,
      is: { kind: 'unknown', action: 'Screen' },
    },
    {
      what: 'is silent while the farm is not loaded',
      snapshot: undefined,
      machine: stranger,
      is: silence('NotLoaded'),
    },
  ])('$what', async ({ snapshot, machine, is }) => {
    const { options } = await scene(snapshot);
    expect(await dhcpVerdict(options, machine)).toEqual(is);
  });

  test('is silent when the data cannot be asked, though the farm was read once', async () => {
    const { options, data } = await scene(unknownAre('Screen'));
    data.breakWith({ code: 'Unreachable', message: 'away' });
    expect(await dhcpVerdict(options, stranger)).toEqual(silence('Unreachable'));
  });
});

describe('TFTP', () => {
  const KNOWN = '52:54:00:00:00:01';
  test.each<{ what: string; unknownDevices?: UnknownDevices; mac: string | undefined; heard?: boolean; is: boolean }>([
    { what: 'answers a device of the farm', mac: KNOWN, is: true },
    { what: 'is silent to a neighbour that is none', mac: stranger.mac, is: false },
    { what: 'answers who was answered by ProxyDHCP, by its UUID perhaps', mac: stranger.mac, heard: true, is: true },
    { what: 'answers who is behind a router: nobody can know its card', mac: undefined, is: true },
    { what: 'takes no card for one that cannot be', mac: '00:00:00:00:00:00', is: true },
    { what: 'answers everybody where the site does', unknownDevices: 'Screen', mac: stranger.mac, is: true },
    { what: 'answers everybody where the site adds', unknownDevices: 'AutoAdd', mac: stranger.mac, is: true },
  ])('$what', async ({ unknownDevices = 'Ignore', mac, heard = false, is }) => {
    const { options } = await scene(unknownAre(unknownDevices), 'away', 'default', heard);
    expect(await tftpMayAnswer(options, async () => mac, '10.0.0.9')).toBe(is);
  });

  test('is silent to a neighbour while nobody can say whose it is', async () => {
    const { options, data } = await scene(unknownAre('Ignore'));
    data.breakWith({ code: 'Unreachable', message: 'away' });
    expect(await tftpMayAnswer(options, async () => KNOWN, '10.0.0.9')).toBe(false);
  });
});

describe('a stranger', () => {
  test.each([
    {
      what: 'is added where the site says so, and boots at once',
      snapshot: unknownAre('AutoAdd', { autoAdd }),
      add: 'added',
      is: { ok: true, value: { kind: 'boot', device: { name: 'pc0002' } } },
    },
    {
      what: 'is told why it cannot be added',
      snapshot: unknownAre('AutoAdd', { autoAdd }),
      add: 'away',
      is: { ok: false, error: { code: 'Unreachable', message: expect.stringContaining(stranger.mac) } },
    },
    {
      what: 'is not added when the farm does not say how',
      snapshot: unknownAre('AutoAdd'),
      add: 'added',
      is: { ok: false, error: { code: 'AutoAddUnset' } },
    },
    {
      what: 'is not added elsewhere',
      snapshot: unknownAre('Screen', { autoAdd }),
      add: 'added',
      is: { ok: true, value: { kind: 'unknown', action: 'Screen' } },
    },
  ] as const)('$what', async ({ snapshot, add, is }) => {
    const { options } = await scene(snapshot, add);
    expect(await decide(options, stranger)).toMatchObject(is);
  });
});

describe('of two machines with one UUID', () => {
  const [own, other, third] = ['52:54:00:00:00:01', stranger.mac, '52:54:00:00:00:98'];
  test.each([
    { what: 'the second is not the first', asks: [own, other, other], kinds: ['boot', 'unknown', 'unknown'] },
    {
      what: 'a second that was taken for the first is so no more',
      asks: [other, own, other],
      kinds: ['boot', 'boot', 'unknown'],
    },
    {
      what: 'none is the device, which is neither',
      asks: [other, third, other],
      kinds: ['boot', 'unknown', 'unknown'],
    },
    { what: 'one with a new card is still itself', asks: [other, other], kinds: ['boot', 'boot'] },
    {
      what: 'one with two cards is still itself',
      asks: ['52:54:00:00:00:02', own, '52:54:00:00:00:02'],
      kinds: ['boot', 'boot', 'boot'],
    },
  ])('$what', async ({ asks, kinds }) => {
    const { options, data } = await scene(aSnapshot());
    data.load({ snapshot: aSnapshot(), devices: [{ ...known, macs: [own, '52:54:00:00:00:02'] }], sessions: [] });
    const decided: string[] = [];
    for (const mac of asks) {
      const answer = await lookUp(options, { mac, uuid: UUID });
      decided.push(answer.ok ? answer.value.kind : answer.error.code);
    }
    expect(decided).toEqual(kinds);
  });
});

test('a device whose UUID two machines had is found by it again once it was removed and added', async () => {
  const { options, data } = await scene(aSnapshot(), 'added');
  const kindFor = async (mac: string) => {
    const answer = await lookUp(options, { mac, uuid: UUID });
    return answer.ok ? answer.value.kind : answer.error.code;
  };
  const own = known.macs[0] ?? '';
  const devices = (device: Device) => data.load({ snapshot: aSnapshot(), devices: [device], sessions: [] });
  for (const time of ['first', 'second']) {
    expect([time, await kindFor(own), await kindFor(stranger.mac)]).toEqual([time, 'boot', 'unknown']);
    // The database has it, and this server's data not yet.
    expect([time, await kindFor(stranger.mac)]).toEqual([time, 'unknown']);
    devices({ ...known, uuidSharedWith: stranger.mac });
    expect([time, await kindFor(own), await kindFor(stranger.mac)]).toEqual([time, 'boot', 'unknown']);
    devices(known);
    expect([time, await kindFor(stranger.mac), await kindFor(stranger.mac)]).toEqual([time, 'boot', 'boot']);
  }
});

test('of two unknown machines with one UUID the second is not the device that the first became', async () => {
  const { options, data } = await scene(unknownAre('AutoAdd', { autoAdd }));
  const [first, second] = ['52:54:00:00:00:98', stranger.mac];
  const uuid = UUID.replace('6', '7');
  const kindFor = async (mac: string) => {
    const answer = await lookUp(options, { mac, uuid });
    return answer.ok ? answer.value.kind : answer.error.code;
  };
  expect(await kindFor(first)).toBe('unknown');
  const added = aDevice({ name: 'pc0002', macs: [first], uuid });
  data.load({ snapshot: aSnapshot(), devices: [known, added], sessions: [] });
  expect([await kindFor(second), await kindFor(first), await kindFor(second)]).toEqual(['unknown', 'boot', 'unknown']);
});

test('what a server has seen of a UUID holds until the data that it reads says so, and no longer', async () => {
  const { options, data } = await scene(aSnapshot(), 'added');
  const own = known.macs[0] ?? '';
  const sharedFor = (mac: string, now: number) =>
    options.uuids.isShared(known, { uuid: UUID, mac, own: mac === own ? known.macs : [] }, now);
  let onLook = (): void => {};
  const looked = () =>
    new Promise<void>((resolve) => {
      onLook = resolve;
    });
  const { deviceByName } = data;
  data.deviceByName = (name) => deviceByName(name).finally(() => setImmediate(onLook));
  expect([sharedFor(own, 0), sharedFor(stranger.mac, 1)]).toEqual([false, true]);
  for (let look = 0; look < 3; look++) await looked();
  expect(sharedFor(stranger.mac, 3_600_000)).toBe(true);
  data.load({ snapshot: aSnapshot(), devices: [{ ...known, uuidSharedWith: stranger.mac }], sessions: [] });
  await looked();
  data.load({ snapshot: aSnapshot(), devices: [known], sessions: [] });
  expect(sharedFor(stranger.mac, 3_600_001)).toBe(false);
});

test('a stranger of whom nothing but the question over HTTP was heard is not added, however often it asks', async () => {
  const { options } = await scene(unknownAre('AutoAdd', { autoAdd }), 'added', 'default', false);
  for (let n = 0; n < 3; n += 1)
    expect(await decide(options, stranger)).toMatchObject({ ok: false, error: { code: 'AutoAddNotHeard' } });
  options.autoAdd.heard.byTftp('10.0.0.9', performance.now());
  for (let n = 0; n < 2; n += 1)
    expect(await decide(options, { ...stranger, address: '10.0.0.9' })).toMatchObject({ ok: true });
});

test('ten strangers a minute are added, the eleventh is told to wait, and the status says so', async () => {
  const { options } = await scene(unknownAre('AutoAdd', { autoAdd }), 'added');
  const asked = async (n: number) => {
    const mac = `52:54:00:00:01:${String(n).padStart(2, '0')}`;
    options.autoAdd.heard.byDhcp(mac, performance.now());
    const decided = await decide(options, { mac });
    return decided.ok ? 'added' : decided.error.code;
  };
  for (let n = 0; n < 10; n += 1) expect(await asked(n)).toBe('added');
  // Before the replica shows it.
  expect(await asked(0)).toBe('added');
  expect(options.autoAdd.faults).toEqual([]);
  expect(await asked(10)).toBe('AutoAddTooFast');
  expect(options.autoAdd.faults).toMatchObject([{ code: 'AutoAddTooFast', advisory: true }]);
});

test('a boot token opens with the farm’s key, says all that a login needs, and ends after ten minutes', async () => {
  const { options } = await scene(aSnapshot());
  const looked = await lookUp(options, { mac: '52:54:00:00:00:01' });
  const decision = aBootDecision(looked.ok ? looked.value : undefined);
  const now = Math.floor(Date.now() / 1_000);
  const token = bootToken(options, decision, '52:54:00:00:00:01');
  expect(openBootToken(ring, token, now)).toMatchObject({
    ok: true,
    value: {
      device: 'pc0001',
      mac: '52:54:00:00:00:01',
      site: 'default',
      vdisk: 'lab',
      version: 0,
      manifest: decision.manifest,
    },
  });
  expect(openBootToken(ring, token, now + 602)).toMatchObject({ ok: false, error: { code: 'TokenExpired' } });
});
