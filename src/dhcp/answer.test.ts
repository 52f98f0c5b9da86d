import { describe, expect, test } from '@jest/globals';
import { aBoot } from '../../test/builders/farm.ts';
import { aRequest, BROADCAST_FLAG, PC_MAC } from '../../test/builders/pxe.ts';
import type { Boot as BootSettings } from '../farm/model.ts';
import { answerBytes, answerPacket, bootOf, destination, question, type Verdict } from './answer.ts';
import { decode, inner, messageType, option, type Packet, text } from './packet.ts';

const SELF = { address: '10.0.0.11', httpPort: 8069 };
const KNOWN: Verdict = { kind: 'known' };
const URL = 'http://10.0.0.11:8069/boot';
const bootstrap = (more: Partial<BootSettings> = {}) => ({
  farm: 'farm',
  site: 'default',
  boot: aBoot(more),
  loginServers: [],
  httpServers: [],
});
const OURS = [10, 0, 0, 11];
const FLAGGED = { flags: BROADCAST_FLAG };

describe('which packets are questions for us', () => {
  const machine = { mac: PC_MAC, architecture: 0 };
  test.each([
    ['a DISCOVER on 67', aRequest(), 'dhcp' as const, { machine }],
    ['a REQUEST on 4011', aRequest({ type: 'REQUEST' }), 'pxe' as const, { machine }],
    ['a REQUEST on 67 that names us', aRequest({ type: 'REQUEST', serverId: OURS }), 'dhcp' as const, { machine }],
    [
      'a REQUEST on 67 that takes another server’s offer',
      aRequest({ type: 'REQUEST', serverId: [10, 0, 0, 1] }),
      'dhcp' as const,
      { silence: 'ForAnotherServer' },
    ],
    [
      'a REQUEST on 67 that renews a lease',
      aRequest({ type: 'REQUEST' }),
      'dhcp' as const,
      { silence: 'ForAnotherServer' },
    ],
    ['a DISCOVER on 4011', aRequest(), 'pxe' as const, { silence: 'NotDiscoverOrRequest' }],
    ['a RELEASE', aRequest({ type: 'RELEASE' }), 'dhcp' as const, { silence: 'NotDiscoverOrRequest' }],
    ['a reply', aRequest({}, { op: 'reply' }), 'dhcp' as const, { silence: 'NotARequest' }],
    ['a running system', aRequest({ vendorClass: 'MSFT 5.0' }), 'dhcp' as const, { silence: 'NotPXEClient' }],
    ['no Ethernet address', aRequest({}, { htype: 32 }), 'dhcp' as const, { silence: 'NoMac' }],
  ])('%s', (_, packet, listener, expected) => {
    expect(question(packet, listener, SELF.address)).toEqual(expected);
  });
});

describe('what a machine loads next', () => {
  const file = (name: string) => ({ kind: 'file', file: name });
  const script = { kind: 'script', url: URL };
  const listed = (...types: number[]): Packet => {
    const { options, ...packet } = aRequest();
    const data = Uint8Array.from(types.flatMap((type) => [type >> 8, type & 255]));
    return { ...packet, options: options.map((each) => (each.code === 93 ? { ...each, data } : each)) };
  };
  const ipxe = (more = {}) => ({ userClass: 'iPXE', ...more });
  test.each<[string, Packet, Verdict, Partial<BootSettings>, unknown]>([
    ['a BIOS ROM: undionly', aRequest(), KNOWN, {}, file('undionly.kpxe')],
    ['a BIOS ROM that wants broadcasts: undionly', aRequest({}, FLAGGED), KNOWN, {}, file('undionly.kpxe')],
    ['x86-64 EFI (7): snponly', aRequest({ architecture: 7 }), KNOWN, {}, file('snponly.efi')],
    [
      'EFI byte code (9), which firmware of x86-64 says: snponly',
      aRequest({ architecture: 9 }),
      KNOWN,
      {},
      file('snponly.efi'),
    ],
    ['arm64 EFI: there is no file', aRequest({ architecture: 11 }), KNOWN, {}, 'NoBootFile'],
    ['32-bit EFI: there is no file', aRequest({ architecture: 6 }), KNOWN, {}, 'NoBootFile'],
    ['32-bit EFI that loads 64-bit files too: snponly', listed(6, 7), KNOWN, {}, file('snponly.efi')],
    ['HTTP boot, then a BIOS: undionly', listed(16, 0), KNOWN, {}, file('undionly.kpxe')],
    ['two types that we have no file for', listed(6, 11), KNOWN, {}, 'NoBootFile'],
    ['iPXE in a BIOS ROM, no address yet: undionly', aRequest(ipxe()), KNOWN, {}, file('undionly.kpxe')],
    ['iPXE that a loader gave an address: the script', aRequest(ipxe(), FLAGGED), KNOWN, {}, script],
    ['iPXE with our class: the script', aRequest(ipxe({ userClass: 'bootfarm' })), KNOWN, {}, script],
    ['iPXE of EFI cannot be told from snponly: the script', aRequest(ipxe({ architecture: 7 })), KNOWN, {}, script],
    ['iPXE that has no HTTP: undionly', aRequest(ipxe({ ipxe: 'plain' }), FLAGGED), KNOWN, {}, file('undionly.kpxe')],
    [
      'EFI iPXE that has no HTTP: snponly',
      aRequest(ipxe({ ipxe: 'plain', architecture: 7 })),
      KNOWN,
      {},
      file('snponly.efi'),
    ],
    ['another user class', aRequest({ userClass: 'kiosk' }, FLAGGED), KNOWN, {}, file('undionly.kpxe')],
    ['TFTP off, ROM', aRequest(), KNOWN, { tftp: false }, 'TftpDisabled'],
    ['TFTP off, script', aRequest(ipxe(), FLAGGED), KNOWN, { tftp: false }, script],
    ['HTTP off', aRequest(ipxe(), FLAGGED), KNOWN, { http: { enabled: false, port: 8069 } }, 'HttpDisabled'],
    ['ProxyDHCP off', aRequest(), KNOWN, { proxyDHCP: false }, 'ProxyDHCPDisabled'],
    ['unknown, Ignore', aRequest(), { kind: 'unknown', action: 'Ignore' }, {}, 'UnknownDevice'],
    [
      'unknown, Ignore, though it says bootfarm',
      aRequest(ipxe({ userClass: 'bootfarm' })),
      { kind: 'unknown', action: 'Ignore' },
      {},
      'UnknownDevice',
    ],
    ['unknown, Screen', aRequest(), { kind: 'unknown', action: 'Screen' }, {}, file('undionly.kpxe')],
    ['unknown, AutoAdd', aRequest(), { kind: 'unknown', action: 'AutoAdd' }, {}, file('undionly.kpxe')],
    ['unknown, LocalDisk, ROM', aRequest(), { kind: 'unknown', action: 'LocalDisk' }, {}, { kind: 'localDisk' }],
    ['unknown, LocalDisk, iPXE', aRequest(ipxe()), { kind: 'unknown', action: 'LocalDisk' }, {}, script],
  ])('%s', (_, packet, verdict, settings, expected) => {
    expect(bootOf(packet, verdict, bootstrap(settings), SELF)).toEqual(expected);
  });
});

describe('the answer', () => {
  const uuid = { code: 97, data: new Uint8Array(17).fill(3) };
  const relay = { code: 82, data: Uint8Array.of(1, 1, 9) };
  const file = { kind: 'file', file: 'undionly.kpxe' } as const;

  test('offers the file itself, and no address', () => {
    const answer = answerPacket(aRequest({ more: [uuid] }, FLAGGED), file, SELF);
    expect(messageType(answer)).toBe('OFFER');
    expect(answer).toMatchObject({
      op: 'reply',
      xid: 0x01020304,
      flags: BROADCAST_FLAG,
      yiaddr: '0.0.0.0',
      siaddr: '10.0.0.11',
      file: 'undionly.kpxe',
    });
    expect(text(option(answer, 'vendorClass'))).toBe('PXEClient');
    expect(inner(answer, 'vendorOptions', 6)).toEqual(Buffer.of(8));
    expect(text(option(answer, 'tftpServer'))).toBe('10.0.0.11');
    expect(text(option(answer, 'bootFile'))).toBe('undionly.kpxe');
    expect(option(answer, 'clientUuid')).toEqual(uuid.data);
    expect(option(answer, 'leaseSeconds')).toBeUndefined();
  });

  test('echoes the client’s identifier, as RFC 6842 says and some clients want', () => {
    const data = Uint8Array.of(1, 0x52, 0x54, 0, 0, 0, 1);
    expect(option(answerPacket(aRequest({ more: [{ code: 61, data }] }), file, SELF), 'clientId')).toEqual(data);
    expect(option(answerPacket(aRequest(), file, SELF), 'clientId')).toBeUndefined();
  });

  test.each<[string, Packet, number[]]>([
    ['file name, which ends the answer', aRequest(), [255]],
    ['file name, before another option', aRequest({ userClass: 'iPXE' }), [77]],
    ['file name, before the relay’s', aRequest({ more: [relay] }), [82]],
  ])('has a zero behind the %s: ROMs read it as a C string', (_, request, next) => {
    const answer = answerBytes(request, file, SELF);
    const options = Buffer.from(answer.ok ? answer.value : []).subarray(240);
    const behind = (name: string): number[] =>
      [...options.subarray(options.lastIndexOf(name) + name.length)].slice(0, 2);
    expect(behind('undionly.kpxe')).toEqual([0, ...next]);
    expect(behind(SELF.address)).toEqual([0, 67]);
  });

  const bytes = (code: number, length: number) => ({ code, data: new Uint8Array(length).fill(7) });
  const says = (most: number) => ({ code: 57, data: Uint8Array.of(most >> 8, most & 255) });
  test.each<[string, Packet, number, number[]]>([
    ['says nothing: RFC 2131’s 576', aRequest({ more: [bytes(82, 160), bytes(61, 100)] }), 548, [61, 82]],
    ['says 1,472', aRequest({ more: [says(1_472), bytes(82, 150), bytes(61, 100)] }), 1_444, [61, 66, 67, 82]],
    ['says 300, which is none', aRequest({ more: [says(300)] }), 548, [66, 67]],
    ['says 65,280', aRequest({ more: [says(65_280), bytes(61, 200), bytes(82, 600)] }), 1_472, [61, 66, 67, 82]],
    ['has a relay that adds too much', aRequest({ more: [bytes(61, 150), bytes(82, 200)] }), 548, [61]],
  ])('is no larger than the client takes that %s', (_, request, most, there) => {
    const answer = answerBytes(request, file, SELF);
    const packet = decode(answer.ok ? answer.value : new Uint8Array(0));
    if (!answer.ok || !packet.ok) throw new Error('no answer');
    expect(answer.value.length).toBeLessThanOrEqual(most);
    expect([packet.value.file, packet.value.siaddr]).toEqual(['undionly.kpxe', SELF.address]);
    const codes = packet.value.options.map(({ code }) => code).filter((code) => [61, 66, 67, 82].includes(code));
    expect(codes).toEqual(there);
  });

  test.each([
    { mtu: 1_280, relay: 500, most: 1_252, kept: 500 },
    { mtu: 1_280, relay: 900, most: 1_252, kept: 0 },
    { mtu: 9_000, relay: 900, most: 1_472, kept: 900 },
    { mtu: 68, relay: 300, most: 548, kept: 0 }, // what every client takes, in fragments
  ])('behind an MTU of $mtu has at most $most bytes: $kept of the $relay of a relay', ({ mtu, relay, most, kept }) => {
    const answer = answerBytes(aRequest({ more: [says(65_280), bytes(61, 200), bytes(82, relay)] }), file, SELF, mtu);
    const packet = decode(answer.ok ? answer.value : new Uint8Array(0));
    if (!answer.ok || !packet.ok) throw new Error('no answer');
    expect(answer.value.length).toBeLessThanOrEqual(most);
    expect(option(packet.value, 'relayAgent')?.length ?? 0).toBe(kept);
  });

  test('that no sparing makes small enough for its client is a fault', () => {
    expect(answerBytes(aRequest({ more: [bytes(61, 400)] }), file, SELF)).toMatchObject({ error: { code: 'TooLong' } });
  });

  test('to a REQUEST is an ACK with the same content', () => {
    const offer = answerPacket(aRequest(), file, SELF);
    const ack = answerPacket(aRequest({ type: 'REQUEST' }), file, SELF);
    expect(messageType(ack)).toBe('ACK');
    expect({ ...ack, options: ack.options.slice(1) }).toEqual({ ...offer, options: offer.options.slice(1) });
  });

  test('carries the relay’s option last, and its address', () => {
    const answer = answerPacket(aRequest({ more: [relay, uuid] }, { giaddr: '10.9.9.1' }), file, SELF);
    expect(answer.options.at(-1)).toEqual(relay);
    expect(answer.giaddr).toBe('10.9.9.1');
  });

  test('gives only an iPXE that loads another the class that ends the loop', () => {
    expect(text(option(answerPacket(aRequest({ userClass: 'iPXE' }), file, SELF), 'userClass'))).toBe('bootfarm');
    expect(option(answerPacket(aRequest(), file, SELF), 'userClass')).toBeUndefined();
  });

  test('local disk is a menu of one entry of type 0 without a wait, and no file', () => {
    const answer = answerPacket(aRequest(), { kind: 'localDisk' }, SELF);
    expect([answer.file, answer.siaddr, option(answer, 'bootFile')]).toEqual(['', '0.0.0.0', undefined]);
    expect(Buffer.from(inner(answer, 'vendorOptions', 9) ?? []).toString('latin1')).toBe('\0\0\x0aLocal disk');
    expect(inner(answer, 'vendorOptions', 10)?.[0]).toBe(0);
  });
});

describe('where the answer goes', () => {
  test.each([
    [
      'no address yet: to all on the link',
      {},
      { address: '0.0.0.0', port: 68 },
      { address: '255.255.255.255', port: 68 },
    ],
    [
      'through a relay: to the relay',
      { giaddr: '10.1.0.1' },
      { address: '10.1.0.1', port: 67 },
      { address: '10.1.0.1', port: 67 },
    ],
    [
      'with an address: to the sender',
      { ciaddr: '10.0.0.77' },
      { address: '10.0.0.77', port: 68 },
      { address: '10.0.0.77', port: 68 },
    ],
    [
      'a ciaddr of somebody else: still to the sender',
      { ciaddr: '10.0.0.99' },
      { address: '10.0.0.77', port: 4011 },
      { address: '10.0.0.77', port: 4011 },
    ],
    [
      'it hears broadcasts alone, and sends from an address of another network: to all',
      FLAGGED,
      { address: '192.168.77.5', port: 68 },
      { address: '255.255.255.255', port: 68 },
    ],
    [
      'it hears broadcasts alone, behind a relay: to the relay',
      { ...FLAGGED, giaddr: '10.1.0.1' },
      { address: '10.1.0.1', port: 67 },
      { address: '10.1.0.1', port: 67 },
    ],
    [
      'the flag of a machine that has an address says nothing',
      { ...FLAGGED, ciaddr: '10.0.0.77' },
      { address: '10.0.0.77', port: 68 },
      { address: '10.0.0.77', port: 68 },
    ],
    [
      'without the flag: to the sender',
      {},
      { address: '192.168.77.5', port: 68 },
      { address: '192.168.77.5', port: 68 },
    ],
  ])('%s', (_, fields, source, expected) => {
    expect(destination(aRequest({}, fields), source, 'dhcp')).toEqual(expected);
  });

  test.each([
    ['a relay that hears where it sends from (RFC 8357): there', [19, 0], '10.1.0.1', 5_067],
    ['one that does not say so', [1, 1, 9], '10.1.0.1', 67],
    ['another machine that says so of it', [19, 0], '10.1.0.66', 67],
  ])('%s', (_, data, address, port) => {
    const request = aRequest({ more: [{ code: 82, data: Uint8Array.from(data) }] }, { giaddr: '10.1.0.1' });
    expect(destination(request, { address, port: 5_067 }, 'dhcp')).toEqual({ address: '10.1.0.1', port });
  });

  test('on 4011 to the sender, whatever its flag; to all where it has no address', () => {
    const request = aRequest({ type: 'REQUEST' }, FLAGGED);
    const source = { address: '10.0.0.77', port: 4011 };
    expect(destination(request, source, 'pxe')).toEqual(source);
    expect(destination(request, { address: '0.0.0.0', port: 68 }, 'pxe').address).toBe('255.255.255.255');
  });
});
