import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { aBoot, aDevice, aSnapshot } from '../../test/builders/farm.ts';
import { bootsFile, readBoots, writeBoots } from '../control/bootsfile.ts';
import { decideBoot } from '../farm/boot.ts';
import { type BootRecord, mergedRecord } from '../farm/bootrecord.ts';
import type { UnknownDevices } from '../farm/model.ts';
import { fail, ok } from '../kit/result.ts';
import type { SessionEvent } from '../stream/shard.ts';
import { silentLogger } from '../telemetry/log.ts';
import type { TftpEvent } from '../tftp/server.ts';
import { Boots } from './boots.ts';
import { ofDhcp, ofHttp, ofLogin, ofSession, ofTftp, type Story, type Told } from './bootsteps.ts';

const MAC = '52:54:00:00:00:01';
const ADDRESS = '10.77.0.50';
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(`${tmpdir()}/bootfarm-boots-`);
});
afterAll(() => rmSync(folder, { recursive: true }));

const machine = { mac: MAC, architecture: 7, uuid: 'u' };
const decided = (device: Parameters<typeof decideBoot>[2], unknownDevices: UnknownDevices = 'Screen') => {
  const snapshot = aSnapshot({ sites: [{ name: 'default', boot: aBoot({ unknownDevices }) }] });
  const decision = decideBoot(snapshot, 'default', device, 0);
  if (!decision) throw new Error('no site');
  return ok(decision);
};
const asked = { machine: { mac: MAC, address: ADDRESS } };
const unknown = { kind: 'unknown', action: 'Ignore' } as const;
const token = { device: 'pc0001', mac: MAC, site: 'default', vdisk: 'lab', version: 0, manifest: '', expires: 0 };
const login = { token, renew: false, redirected: false, from: { host: ADDRESS, port: 1 }, now: 0 };
const ticket = { kind: 'ticket', sizeBytes: 1, blockSize: 512, servers: [], listVersion: 1 } as const;
const aSession: SessionEvent = {
  ...{ type: 'attached', device: 'pc0001', mac: MAC, vdisk: 'lab', version: 0, role: 'serve' },
  ...{ address: { host: ADDRESS, port: 1 }, session: 1, at: 5 },
};
const tftp = { kind: 'ended', name: 'undionly.kpxe', address: ADDRESS, sizeBytes: 9, durationMs: 1 } as const;

const inShort = (steps: readonly Told[]): string =>
  steps.map(({ step, detail, reason }) => [step, reason?.code ?? detail].filter(Boolean).join(':')).join(' ');
const inWords = (story: Story | undefined): string =>
  story ? `${{ true: 'known', false: 'unknown', undefined: '?' }[`${story.known}`]} ${inShort(story.steps)}` : '-';

describe('what protocols tell, as steps', () => {
  const dhcp = { listener: 'dhcp', machine } as const;
  test.each<[what: string, story: Story | undefined, words: string]>([
    [
      'an offer of a file',
      ofDhcp({ ...dhcp, kind: 'answered', verdict: { kind: 'known' }, boot: { kind: 'file', file: 'snponly.efi' } }),
      'known discover offer:snponly.efi',
    ],
    [
      'silence to an unknown machine',
      ofDhcp({ ...dhcp, kind: 'silent', verdict: unknown, reason: 'UnknownDevice' }),
      'unknown discover offer:UnknownDevice',
    ],
    [
      'silence to a machine of another site, which the farm knows',
      ofDhcp({
        ...{ ...dhcp, kind: 'silent', reason: 'UnknownDevice' },
        verdict: { ...unknown, reason: { code: 'OtherSite', message: 'lyon' } },
      }),
      'known discover offer:OtherSite',
    ],
    [
      'silence while the data is away',
      ofDhcp({
        ...{ ...dhcp, kind: 'silent', reason: 'UnknownDevice' },
        verdict: { ...unknown, reason: { code: 'NotLoaded', message: 'later' } },
      }),
      '? discover offer:NotLoaded',
    ],
    [
      'an answer that the kernel did not send',
      ofDhcp({ kind: 'dropped', reason: 'NotSent', message: 'EPERM', machine, verdict: { kind: 'known' } }),
      'known discover offer:NotSent',
    ],
    ['a packet of nobody', ofDhcp({ kind: 'dropped', reason: 'GaveWay' }), '-'],
    ['a script', ofHttp({ ...asked, kind: 'script', decided: decided(aDevice()) }), 'known script:lab version 0'],
    [
      'a script that says why not',
      ofHttp({ ...asked, kind: 'script', decided: decided(aDevice({ enabled: false })) }),
      'known script:Disabled',
    ],
    [
      'an unknown machine',
      ofHttp({ ...asked, kind: 'script', decided: decided(undefined) }),
      'unknown script:UnknownDevice',
    ],
    ['no word', ofHttp({ ...asked, kind: 'silent', decided: fail('NotLoaded', 'later') }), '? script:NotLoaded'],
    [
      'a configuration',
      ofHttp({ ...asked, kind: 'config', decided: decided(aDevice()) }),
      'known config:lab version 0',
    ],
    ['a kernel', ofHttp({ ...asked, kind: 'file', name: 'lab.vmlinuz', bytes: 1 }), 'known kernel:lab.vmlinuz'],
    [
      'an initrd that is not there',
      ofHttp({ ...asked, kind: 'noFile', name: 'lab.initrd', decided: decided(aDevice()) }),
      'known initrd:NoFile',
    ],
    ['a ticket', ofLogin(login, ticket), 'known login'],
    [
      'a redirect',
      ofLogin(login, { kind: 'redirect', server: { host: '10.77.0.12', port: 1, state: 'Streaming' } }),
      'known login:sent to 10.77.0.12',
    ],
    [
      'a refusal, by the finest word for it',
      ofLogin(login, { kind: 'refuse', code: 'NoServer', reason: 'AllFull', retryAfterMs: 1, text: 'full' }),
      'known login:AllFull',
    ],
    ['a renewal', ofLogin({ ...login, renew: true }, ticket), '-'],
    ['an attach', ofSession(aSession), 'known attach:lab version 0'],
    ['a stand-by', ofSession({ ...aSession, role: 'standby' }), '-'],
    ['that it runs', ofSession({ ...aSession, type: 'running' }), 'known running:lab version 0'],
    ['its BYE', ofSession({ ...aSession, type: 'left' }), 'known end'],
    ['its silence', ofSession({ ...aSession, type: 'silent' }), 'known end:Silent'],
  ])('%s', (_, story, words) => {
    expect(inWords(story)).toBe(words);
  });

  test.each<[what: string, event: TftpEvent, words: string]>([
    ['a file taken', { ...tftp, outcome: 'Completed', heard: true }, 'tftp:undionly.kpxe'],
    ['no packet acknowledged', { ...tftp, outcome: 'ClientSilent', heard: false }, 'tftp:NeverAcknowledged'],
    ['one that asked again instead', { ...tftp, outcome: 'GaveWay', heard: false }, 'tftp:NeverAcknowledged'],
    ['silence in the middle', { ...tftp, outcome: 'ClientSilent', heard: true }, 'tftp:ClientSilent'],
    ['its size asked alone', { ...tftp, outcome: 'ClientError', heard: true }, ''],
    ['a file that is not there', { kind: 'refused', name: 'x', address: ADDRESS, code: 'NotFound' }, 'tftp:NotFound'],
    ['a flood', { kind: 'silent', name: '', address: ADDRESS, code: 'TooManyStarts' }, ''],
  ])('TFTP: %s', (_, event, words) => {
    const told = ofTftp(event);
    expect(told ? inShort([told]) : '').toBe(words);
  });
});

const boots = (name: string, macOf: (address: string) => string | undefined = () => undefined, now = () => 1_000) =>
  new Boots({
    server: 'a',
    stateDirectory: `${folder}/${name}`,
    macOf: async (of) => macOf(of),
    log: silentLogger,
    now,
  });
const steps = (of: Boots): string =>
  inShort(mergedRecord(of.records([MAC]).records)?.boots.flatMap((boot) => boot.steps) ?? []);
const settled = () => new Promise(setImmediate);

test('TFTP has no MAC: it is of the neighbour with that address, else of who asks next from there by HTTP', async () => {
  const near = boots('near', (address) => (address === ADDRESS ? MAC : undefined));
  near.tftp({ ...tftp, outcome: 'ClientSilent', heard: false });
  await settled();
  expect(steps(near)).toBe('tftp:NeverAcknowledged');

  let nowMs = 1_000;
  const asker = boots('asker', undefined, () => nowMs);
  const heard = { kind: 'answered', listener: 'pxe', machine, verdict: { kind: 'known' }, from: ADDRESS } as const;
  asker.dhcp({ ...heard, boot: { kind: 'file', file: 'undionly.kpxe' } });
  asker.tftp({ ...tftp, outcome: 'Completed', heard: true });
  await settled();
  expect(steps(asker)).toBe('discover offer:undionly.kpxe tftp:undionly.kpxe');
  nowMs += 10 * 60_000;
  asker.tftp({ ...tftp, name: 'later', outcome: 'Completed', heard: true });
  await settled();
  expect(steps(asker)).toBe('discover offer:undionly.kpxe tftp:undionly.kpxe');

  nowMs = 1_000;
  const far = boots('far', undefined, () => nowMs);
  far.tftp({ ...tftp, outcome: 'Completed', heard: true });
  far.tftp({ ...tftp, outcome: 'Completed', heard: true, address: '10.77.0.51' });
  await settled();
  expect(steps(far)).toBe('');
  nowMs = 4_000;
  far.http({ ...asked, kind: 'script', decided: decided(aDevice()) });
  expect(steps(far)).toBe('tftp:undionly.kpxe script:lab version 0');
  expect(far.records([MAC]).records[0]?.boots[0]?.steps[0]).toMatchObject({ at: 1_000, server: 'a' });
  nowMs = 4_000 + 11 * 60_000;
  far.http({
    machine: { mac: '52:54:00:00:00:02', address: '10.77.0.51' },
    kind: 'script',
    decided: decided(aDevice()),
  });
  expect(far.records(['52:54:00:00:00:02']).records[0]?.boots[0]?.steps.map(({ step }) => step)).toEqual(['script']);
});

test('a machine that was reset and is back before its last session falls silent runs on', () => {
  const own = boots('reset', undefined, () => 10_000);
  const tells = (type: SessionEvent['type'], session: number, at: number, role: SessionEvent['role'] = 'serve') =>
    own.session({ ...aSession, type, session, at, role });
  tells('attached', 1, 1_000);
  own.http({ ...asked, kind: 'script', decided: decided(aDevice()) });
  tells('attached', 2, 20_000);
  tells('silent', 1, 31_000);
  expect(steps(own)).toBe('attach:lab version 0 script:lab version 0 attach:lab version 0');
  tells('role', 2, 32_000, 'standby');
  tells('left', 2, 33_000, 'standby');
  tells('attached', 3, 34_000);
  tells('left', 3, 35_000);
  expect(steps(own)).toBe('attach:lab version 0 script:lab version 0 attach:lab version 0 end');
});

describe('its file', () => {
  const record = (n: number): BootRecord => ({
    ...{ mac: `52:54:00:00:00:${String(n).padStart(2, '0')}`, known: n % 2 === 0, firstAt: n, lastAt: n },
    boots: [{ steps: [{ step: 'discover', server: 'a', at: n, lastAt: n, times: 1 }] }],
  });

  test('holds what was heard through a restart, and what was heard since counts', async () => {
    const path = bootsFile(folder);
    const kept = Array.from({ length: 99 }, (_, n) => record(n));
    await writeBoots(path, kept);
    expect(await readBoots(path)).toEqual({ ok: true, value: kept });

    const again = new Boots({ server: 'a', stateDirectory: folder, macOf: async () => undefined, log: silentLogger });
    again.session({ ...aSession, mac: record(2).mac, at: 99 });
    await again.start();
    expect(again.records([record(2).mac, record(4).mac]).records.map(({ lastAt }) => lastAt)).toEqual([99, 4]);
    expect(again.unknown().machines).toHaveLength(49);
    again.session({ ...aSession, mac: record(4).mac, at: 100 });
    await again.close();
    const written = await readBoots(path);
    expect(written.ok && written.value.find(({ mac }) => mac === record(4).mac)?.lastAt).toBe(100);
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(101);
  });

  test.each([
    ['nothing', ''],
    ['another first line', '{"bootRecords":2}\n'],
    ['a line that is cut', `{"bootRecords":1}\n${JSON.stringify(record(1))}\n{"mac":"52:`],
    ['a record of no time', `{"bootRecords":1}\n${JSON.stringify({ ...record(1), lastAt: -1 })}\n`],
    ['no text at all', '\u0000\u0001\u0002'],
  ])('with %s is none, and the log says so', async (name, text) => {
    const warned: unknown[] = [];
    const path = bootsFile(folder);
    writeFileSync(path, text);
    const log = { ...silentLogger, warn: (fields: unknown) => warned.push(fields) };
    const broken = new Boots({ server: 'a', stateDirectory: folder, macOf: async () => undefined, log });
    await broken.start();
    expect(warned).toEqual([{ code: 'BootsUnreadable', message: expect.stringContaining(`${path}: `) }]);
    expect(broken.unknown()).toEqual({ machines: [], more: 0 });
    expect(name).toBeTruthy();
    await broken.close();
  });
});
