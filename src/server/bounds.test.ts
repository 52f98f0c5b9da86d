/**
 * Every bound of the resources whose value reaches a device, walked to the last byte that reads it: the client in C, a packet, iPXE, the kernel.
 * The largest values are read from the schemas, so that a bound which grows there fails here.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { aBoot, aBootDecision, aDevice, aServer, aSnapshot, aVDisk, aVersion } from '../../test/builders/farm.ts';
import { aRequest } from '../../test/builders/pxe.ts';
import { answerPacket } from '../dhcp/answer.ts';
import { MAX_PACKET_BYTES } from '../dhcp/limits.ts';
import { encode as encodeDhcp } from '../dhcp/packet.ts';
import { decideBoot } from '../farm/boot.ts';
import { MAX_LISTED_SERVERS } from '../farm/shortlist.ts';
import { sealBootToken, sealTicket } from '../farm/token.ts';
import { bootConfig, CONFIG_PATH } from '../httpboot/config.ts';
import { cpio } from '../httpboot/cpio.ts';
import { MAX_URL_CHARACTERS } from '../httpboot/limits.ts';
import { deviceScript } from '../httpboot/script.ts';
import type { KeyRing } from '../kit/seal.ts';
import { FarmKind } from '../resources/farm.ts';
import { VDiskKind } from '../resources/vdisk.ts';
import { MAX_SERVERS } from '../stream/limits.ts';
import { decode, encode, type ServerEntry } from '../stream/packet.ts';
import { Names } from './names.ts';
import { httpServers, listFor, loginServers, serverList } from './site.ts';

/** A number of the C client's headers. */
function ofClient(header: string, name: string): number {
  const text = readFileSync(join(import.meta.dirname, '../../target/src', header), 'utf8');
  const [, value] = new RegExp(`\\b${name} = (\\d+)`).exec(text) ?? [];
  if (value === undefined) throw new Error(`target/src/${header} has no ${name}`);
  return Number(value);
}

/** `maxLength`, `maximum` or `maxItems` of a field by its path in a spec. */
function bound(kind: { readonly spec: unknown }, path: string, name: string): number {
  let at: unknown = kind.spec;
  for (const step of path.split('.')) {
    const { properties, items } = at as { properties?: Record<string, unknown>; items?: unknown };
    at = step === '[]' ? items : properties?.[step];
  }
  const value = (at as Record<string, unknown>)[name];
  if (typeof value !== 'number') throw new Error(`${path} has no ${name}`);
  return value;
}

/** IPv4: the longest there is. */
const address = (index: number): string =>
  `192.168.1${String(index >> 6).padStart(2, '0')}.1${String(index & 63).padStart(2, '0')}`;
/** What one server of a site may be named, and 256 of them: pools have no bound, so more than any list holds. */
const SITE_SERVERS = 256;
const LABEL = 63;
const ETHERNET_UDP_BYTES = 1_472;
/** Linux on x86: 2,048 with the zero at the end; a longer one is cut, and the last words go. */
const COMMAND_LINE_BYTES = 2_047;
/** iPXE for BIOS has a heap of 512 KiB, in which the script and a line of it lie while the kernel comes. */
const SCRIPT_BYTES = 64 << 10;
const INT32_MAX = 2 ** 31 - 1;

const label = (letter: string): string => letter.repeat(LABEL);
const fileName = 'f'.repeat(bound(VDiskKind, 'fileName', 'maxLength'));
const number = bound(VDiskKind, 'versions.[].number', 'maximum');
const manifest = 'a'.repeat(64);
const files = ['raw', 'vmlinuz', 'initrd'].map((end) => ({
  name: `${fileName}.${number}.${end}`,
  sizeBytes: Number.MAX_SAFE_INTEGER,
  sha256: manifest,
}));
const vdisk = aVDisk({
  name: label('v'),
  fileName,
  overlayMiB: bound(VDiskKind, 'writeCache.sizeMiB', 'maximum'),
  commandLine: 'c'.repeat(bound(VDiskKind, 'os.linux.commandLine', 'maxLength')),
});
const servers = Array.from({ length: SITE_SERVERS }, (_, index) =>
  aServer({
    name: `${index}.${label('n')}`,
    address: address(index),
    ports: { stream: 65_535, http: 65_535, control: 65_535 },
  }),
);
/** 999999 hours, minutes and 8 digits of seconds: what the pattern of a duration takes. */
const afterSeconds = 999_999 * 3_600 + 999_999 * 60 + 99_999_999;
const boot = aBoot({
  noServer: { action: 'Reboot', afterSeconds },
  loginServers: Array.from({ length: bound(FarmKind, 'boot.loginServers', 'maxItems') }, (_, index) => ({
    host: `${index}.`.padEnd(bound(FarmKind, 'boot.loginServers.[].host', 'maxLength'), 'h'),
    port: 65_535,
  })),
});
const snapshot = aSnapshot({
  servers,
  vdisks: [vdisk],
  versions: [aVersion({ vdisk: vdisk.name, number, content: { manifest, files } })],
  collections: [{ name: label('c'), site: label('s'), vdisk: vdisk.name, class: 'Production', template: {} }],
  sites: [{ name: label('s'), boot }],
});
const sited = { ...snapshot, servers: servers.map((server) => ({ ...server, site: label('s') })) };
const device = aDevice({ name: label('d'), collection: label('c') });
const decision = aBootDecision(decideBoot(sited, label('s'), device, 0));
const own = { host: address(200), port: 65_535 };
const machine = { mac: 'ff:ff:ff:ff:ff:ff', uuid: 'ffffffff-ffff-ffff-ffff-ffffffffffff' };
const ring: KeyRing = { current: 2 ** 16 - 1, keys: new Map([[2 ** 16 - 1, Buffer.alloc(32, 1)]]) };
const ref = {
  device: device.name,
  ...machine,
  site: label('s'),
  vdisk: vdisk.name,
  version: number,
  manifest,
  expires: 99_999_999_999,
};
const token = sealBootToken(ring, ref);
const ticket = sealTicket(ring, {
  ...ref,
  sizeBytes: Number.MAX_SAFE_INTEGER,
  key: Buffer.alloc(32).toString('base64'),
});

/** Every name of loginServers has eight addresses. */
const names = new Names(async (host) =>
  Array.from({ length: 8 }, (_, index) => `203.113.1${host.split('.')[0]?.padStart(2, '0')}.10${index}`),
);
const stream = await loginServers(decision, own, names, sited.servers);
const http = httpServers(sited, label('s'), own);
const config = bootConfig(decision, machine, token, { stream, http });
const script = deviceScript(decision, http);
const entries = listFor(
  device.name,
  serverList(sited, { name: 'x', site: label('s'), draining: false }, () => undefined),
  {
    ...own,
    state: 'Streaming',
  },
);
const packets = {
  LOGIN: encode({
    type: 'LOGIN',
    session: 0,
    number: 0,
    nonce: Buffer.alloc(16),
    cookie: Buffer.alloc(20),
    renew: true,
    redirected: false,
    share: Buffer.alloc(32),
    token: ticket,
  }),
  TICKET: encode({
    type: 'TICKET',
    session: 0,
    number: 0,
    nonce: Buffer.alloc(16),
    share: Buffer.alloc(32),
    sizeBytes: 2 ** 50,
    blockSize: 512,
    mode: 'Authenticated',
    suite: 'HashThenMac',
    ticket,
    listVersion: 1,
    servers: entries,
  }),
  LIST: encode({ type: 'LIST', session: 1, number: 1, listVersion: 1, servers: entries }),
  REFUSE: encode({
    type: 'REFUSE',
    session: 0,
    number: 0,
    nonce: Buffer.alloc(16),
    code: 'NoCopy',
    retryAfterMs: INT32_MAX,
    text: '€'.repeat(2_000),
  }),
} as const;
const kernelLine = script.split('\n').find((line) => line.startsWith('kernel ')) ?? '';
const rounds = /iseq \$\{rounds\} (\S+)/.exec(script)?.[1];
const lineOf = (key: string): string => new RegExp(`^${key}=(.*)$`, 'm').exec(config)?.[1] ?? '';

test.each<[string, number, number]>([
  ['servers of the boot configuration', stream.length, ofClient('wire.h', 'MAX_SERVERS')],
  ['its HTTP servers', lineOf('http').split(',').length, ofClient('wire.h', 'MAX_SERVERS')],
  ['its bytes', Buffer.byteLength(config), ofClient('config.h', 'CONFIG_BYTES') / 2],
  ['its archive', cpio(CONFIG_PATH, Buffer.from(config)).length, ofClient('config.h', 'CONFIG_BYTES')],
  ['the name of a device', lineOf('device').length, 63],
  ['a manifest', lineOf('manifest').length, ofClient('config.h', 'MANIFEST_TEXT') - 1],
  ['a UUID', lineOf('uuid').length, 36],
  ['a boot token', token.length, ofClient('wire.h', 'MAX_TOKEN_BYTES')],
  ['a ticket', ticket.length, ofClient('wire.h', 'MAX_TOKEN_BYTES')],
  ['servers of a list', entries.length, ofClient('wire.h', 'MAX_SERVERS')],
  ['LOGIN', packets.LOGIN.length, ofClient('packet.h', 'MAX_PACKET_BYTES')],
  ['TICKET', packets.TICKET.length, ETHERNET_UDP_BYTES],
  ['LIST', packets.LIST.length, ETHERNET_UDP_BYTES],
  ['REFUSE', packets.REFUSE.length, 40 + ofClient('wire.h', 'MAX_TEXT_BYTES') + 16],
  [
    'the command line of the kernel',
    kernelLine.slice(kernelLine.indexOf('boot=')).replace(/ \|\| .*/, '').length,
    COMMAND_LINE_BYTES,
  ],
  ['a URL', own.host.length + (kernelLine.split(' ')[3] ?? '').length, MAX_URL_CHARACTERS],
  ['servers of a script', script.split('set base ').length - 1, MAX_LISTED_SERVERS],
  ['a script', Buffer.byteLength(script), SCRIPT_BYTES],
  ['rounds of a script', Number(rounds), INT32_MAX],
])('%s: %i is within %i', (_, value, limit) => {
  expect(value).toBeGreaterThan(0);
  expect(value).toBeLessThanOrEqual(limit);
});

test('both sides hold lists of the same length, and every packet is whole', () => {
  expect([MAX_LISTED_SERVERS, MAX_SERVERS]).toEqual([
    ofClient('wire.h', 'MAX_SERVERS'),
    ofClient('wire.h', 'MAX_SERVERS'),
  ]);
  for (const packet of Object.values(packets)) expect(decode(packet)).toMatchObject({ ok: true });
  expect(new Set(entries.map(({ host }: ServerEntry) => host)).size).toBe(MAX_LISTED_SERVERS);
  expect(rounds).toMatch(/^\d+$/);
});

test.each(['boot.bootFiles', 'sites.[].boot.bootFiles'].flatMap((path) => [`${path}.bios`, `${path}.efi64`]))(
  '%s fits into the field of an offer',
  (path) => {
    const file = 'f'.repeat(bound(FarmKind, path, 'maxLength'));
    const offer = answerPacket(aRequest(), { kind: 'file', file }, { address: '192.168.100.100', httpPort: 65_535 });
    expect(encodeDhcp(offer, MAX_PACKET_BYTES)).toMatchObject({ ok: true });
  },
);
