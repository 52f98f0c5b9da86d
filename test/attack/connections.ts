/** Attacks by TCP connections: who never reads, who never ends his header, who asks too much. */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { MAX_PACKET_BYTES } from '../../src/dhcp/limits.ts';
import { encode as encodeDhcp } from '../../src/dhcp/packet.ts';
import { aRequest } from '../builders/pxe.ts';
import { type Field, macBytes, pick, randomMac } from './field.ts';

/** Of one attacker, each kind: three of them are more than any edge holds. */
const HELD = 500;
/** One that got nowhere is left, and another opened. */
const LEFT_MS = 60_000;

interface Guest {
  readonly port: 'http' | 'control' | 'telemetry';
  readonly from: string;
  readonly to: string;
  /** Said at once. */
  readonly says?: string | Uint8Array;
  /** Then a byte of this each second. */
  readonly trickles?: string;
  readonly reads: boolean;
}

/** Opens one, and says by the promise that it is gone. */
function guest(field: Field, { port, from, to, says, trickles, reads }: Guest): Promise<void> {
  return new Promise((resolve) => {
    const socket: Socket = connect({ host: to, port: field.options.ports[port], localAddress: from });
    field.sent += 1;
    socket.setTimeout(LEFT_MS, () => socket.destroy());
    socket.on('error', () => undefined).on('close', () => resolve());
    let at = 0;
    const timer = setInterval(() => {
      if (field.over) socket.destroy();
      else if (trickles && socket.writable) socket.write(trickles[at++ % trickles.length] ?? 'x');
    }, 1_000);
    socket.on('close', () => clearInterval(timer)).on('connect', () => says && socket.write(says));
    if (reads) socket.resume();
    else socket.pause();
  });
}

/** So many at once, each opened anew when it was ended, but no more than `perSecond`. */
async function crowd(field: Field, most: number, perSecond: number, make: (number: number) => Guest): Promise<void> {
  let held = 0;
  let number = 0;
  await field.pace(perSecond, () => {
    if (held >= most) return;
    held += 1;
    void guest(field, make(number++)).finally(() => held--);
  });
}

/** The longest file there is, asked for and left lying; headers that do not end; connections that say nothing. */
export async function slow(field: Field): Promise<void> {
  const { mac } = field;
  const half = 'GET /boot?mac=52:54:00:00:00:01 HTTP/1.1\r\nhost: b';
  const kinds: readonly Pick<Guest, 'says' | 'trickles'>[] = [
    { says: `GET /boot/file/lab/0/lab.initrd?mac=${mac} HTTP/1.1\r\nhost: bootfarm\r\n\r\n` },
    { says: half },
    { says: half, trickles: 'x' },
    {},
  ];
  await crowd(field, HELD, 200, (number) => ({
    ...{ port: 'http', from: field.source(number), to: field.server(number >> 1), reads: false },
    ...pick(kinds, number),
  }));
}

/** Idle ones, rubbish in the place of a TLS hand-shake, and `/readyz`, `/metrics` in crowds. */
export async function control(field: Field): Promise<void> {
  const ask = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: bootfarm\r\nconnection: close\r\n\r\n`;
  const kinds: readonly Omit<Guest, 'from' | 'to'>[] = [
    { port: 'control', reads: false },
    { port: 'control', says: randomBytes(400), reads: true },
    { port: 'control', says: Buffer.from('160301020001', 'hex'), reads: false },
    { port: 'telemetry', reads: false },
    { port: 'telemetry', says: ask('/readyz'), reads: true },
    { port: 'telemetry', says: ask('/metrics'), reads: false },
  ];
  await crowd(field, HELD, 200, (n) => ({ from: field.source(n), to: field.server(n >> 1), ...pick(kinds, n) }));
}

/** Boot scripts of machines that are not there, each after a DISCOVER of it: where AutoAdd is on, only machines that were seen so are added. */
export async function boots(field: Field): Promise<void> {
  const { ports } = field.options;
  await crowd(field, HELD, 300, (number) => {
    const [mac, from, to] = [randomMac(), field.source(number), field.server(number)];
    const asked = encodeDhcp(aRequest({}, { chaddr: macBytes(mac) }), MAX_PACKET_BYTES);
    if (!asked.ok) throw new Error(asked.error.message);
    field.raw({ address: from, port: 68 }, { address: to, port: ports.dhcp }, asked.value);
    const says = `GET /boot?mac=${mac} HTTP/1.1\r\nhost: bootfarm\r\nconnection: close\r\n\r\n`;
    return { port: 'http', from, to, says, reads: true };
  });
}
