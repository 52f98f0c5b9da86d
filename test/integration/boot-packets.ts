/**
 * Run by tftp.test.ts in namespaces of its own, where the loopback interface has an MTU of 1,450: TFTP, ProxyDHCP and HTTP boot are asked, and raw
 * sockets hear their answers as they were on the wire. Prints one JSON object.
 */
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { startProxyDhcp } from '../../src/dhcp/server.ts';
import { startHttpBoot } from '../../src/httpboot/server.ts';
import { fail, ok } from '../../src/kit/result.ts';
import { AF_INET, libc, MSG_DONTWAIT } from '../../src/net/libc.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { decode, encode } from '../../src/tftp/packet.ts';
import { startTftp } from '../../src/tftp/server.ts';
import { aBoot } from '../builders/farm.ts';

const ADDRESS = '127.0.0.1';
const SOCK_RAW = 3;
const IPPROTO_UDP = 17;
const IPPROTO_TCP = 6;
const DF = 0x40;
/** Of a packet of TCP without data: its two headers, options and all. */
const CONTROL_BYTES = 80;

execFileSync('mount', ['-t', 'sysfs', 'sysfs', '/sys']); // that of this network namespace
execFileSync('ip', ['link', 'set', 'lo', 'up', 'mtu', '1450']);
const loaded = libc();
if (!loaded.ok) throw new Error(loaded.error.message);
const c = loaded.value;
const wires = [IPPROTO_UDP, IPPROTO_TCP].map((protocol) => c.socket(AF_INET, SOCK_RAW, protocol));
const log = { debug() {}, warn: console.warn };
const tftp = await startTftp({
  ...{ address: ADDRESS, port: 0, log },
  open: () => ok({ sizeBytes: 9_999, read: (_, length) => Buffer.alloc(length) }),
});
const dhcp = await startProxyDhcp({
  ...{ address: ADDRESS, ports: { dhcp: 0, pxe: 0 }, httpPort: 8069, log },
  bootstrap: () => ({ farm: 'farm', site: 'default', boot: aBoot(), loginServers: [], httpServers: [] }),
  verdict: () => ({ kind: 'known' }),
});
const unavailable = async () => fail('Away', 'x'.repeat(9_999));
const http = await startHttpBoot({
  ...{ address: ADDRESS, port: 0, decide: unavailable, lookUp: unavailable, log: silentLogger },
  ...{
    token: () => Buffer.alloc(0),
    loginServers: async () => [],
    servers: () => [],
    file: () => undefined,
    onEvent() {},
  },
});
if (!tftp.ok || !dhcp.ok || !http.ok) throw new Error('not started');

const client = createSocket('udp4').bind(0, ADDRESS);
await once(client, 'listening');
const next = async () => {
  const [bytes, { port }] = await once(client, 'message', { signal: AbortSignal.timeout(60_000) });
  const packet = decode(bytes);
  if (!packet.ok) throw new Error(packet.error.message);
  return { packet: packet.value, port };
};
client.send(
  encode({ type: 'RRQ', name: 'a', mode: 'octet', options: [['blksize', '1468']] }),
  tftp.value.port,
  ADDRESS,
);
const { packet: offer, port } = await next();
client.send(encode({ type: 'ACK', block: 0 }), port, ADDRESS);
const { packet: data } = await next();
client.send(encode({ type: 'WRQ', name: 'a', mode: 'octet', options: [] }), tftp.value.port, ADDRESS);
await next();
const selfTest = await dhcp.value.selfTest();
const script = await (await fetch(`http://${ADDRESS}:${http.value.port}/boot?mac=52:54:00:00:00:01`)).text();

/** How many packets each port sent, and how many of them that carry anything had the DF bit: the kernel sets it in what it says of TCP alone (RST). */
const sent = new Map<number, { packets: number; df: number }>();
const bytes = Buffer.alloc(4_096);
for (const wire of wires)
  for (;;) {
    const length = c.recv(wire, c.addressOf(bytes), bytes.length, MSG_DONTWAIT);
    if (length <= 0) break;
    const from = bytes.readUInt16BE(((bytes[0] ?? 0) & 15) * 4);
    const known = sent.get(from) ?? { packets: 0, df: 0 };
    known.packets += 1;
    if (length > CONTROL_BYTES && ((bytes[6] ?? 0) & DF) !== 0) known.df += 1;
    sent.set(from, known);
  }
const of = (own: number) => sent.get(own);
console.log(
  JSON.stringify({
    offer: offer.type === 'OACK' && offer.options,
    dataBytes: data.type === 'DATA' && data.data.length,
    selfTest: selfTest.ok,
    requests: of(tftp.value.port),
    transfer: of(port),
    script: script.startsWith('#!ipxe'),
    http: of(http.value.port),
    pxe: of(dhcp.value.ports.pxe),
  }),
);
process.exit(0);
