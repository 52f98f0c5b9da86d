/**
 * The road of a booting machine without a cluster: ProxyDHCP, TFTP, HTTP boot and the block stream of one server, in one process, for one known
 * machine. Arguments: address, interface, folder of the disk, MAC, largest block of TFTP. Prints a JSON line {"at","event"} (Unix milliseconds) for what happens; the
 * first event is where the files are.
 */
import { join } from 'node:path';
import { startProxyDhcp } from '../../../src/dhcp/server.ts';
import { type BootDecision, decideBoot } from '../../../src/farm/boot.ts';
import { bootstrapOf } from '../../../src/farm/bootstrap.ts';
import { sealBootToken } from '../../../src/farm/token.ts';
import { startHttpBoot } from '../../../src/httpboot/server.ts';
import { openRaw } from '../../../src/image/raw/raw.ts';
import { ok, type Result } from '../../../src/kit/result.ts';
import type { KeyRing } from '../../../src/kit/seal.ts';
import { bootFile } from '../../../src/server/bootfiles.ts';
import { startStreamServer } from '../../../src/stream/server.ts';
import { silentLogger as log } from '../../../src/telemetry/log.ts';
import { startTftp } from '../../../src/tftp/server.ts';
import { aDevice, aServer, aSnapshot, aVDisk } from '../../builders/farm.ts';

const [address = '', network = '', folder = '', mac = '', maxBlockSize = ''] = process.argv.slice(2);
const ports = { dhcp: 67, pxe: 4011, tftp: 69, http: 8069, stream: 6910 };
const site = 'default';
const ring: KeyRing = { current: 1, keys: new Map([[1, Buffer.alloc(32, 1)]]) };
const snapshot = aSnapshot({
  servers: [aServer({ address })],
  vdisks: [aVDisk({ commandLine: 'console=ttyS0 quiet panic=-1' })],
});
const device = aDevice({ macs: [mac] });
const decision = decideBoot(snapshot, site, device, Math.floor(Date.now() / 1_000)) as BootDecision;
if (decision.kind !== 'boot') throw new Error(`the machine would not boot: ${JSON.stringify(decision)}`);

const say = (event: string): void => console.log(JSON.stringify({ at: Date.now(), event }));
const must = <T>(result: Result<T, { readonly message: string }>): T => {
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
};

const disk = must(await openRaw(join(folder, 'lab.raw')));
const ref = { vdisk: decision.vdisk.name, version: decision.version.number, manifest: decision.manifest };
const entry = { host: address, port: ports.stream, state: 'Streaming' } as const;
const stream = must(
  await startStreamServer({
    address,
    port: ports.stream,
    threads: 1,
    ring: () => ring,
    mode: 'Authenticated',
    site,
    login: async () => ({
      kind: 'ticket',
      sizeBytes: disk.sizeBytes,
      blockSize: disk.blockSize,
      servers: [entry],
      listVersion: 1,
    }),
    onSession: ({ type }) => say(`session ${type}`),
    onFailure: (error) => {
      throw error;
    },
    log,
    native: 'auto',
  }),
);
await stream.setServers(1, [entry]);
await stream.setExports([{ ...ref, disk }]);
must(
  await startHttpBoot({
    address,
    port: ports.http,
    decide: async () => ok(decision),
    lookUp: async () => ok(decision),
    token: () => {
      const expires = Math.floor(Date.now() / 1_000) + 3_600;
      return sealBootToken(ring, { ...ref, device: device.name, mac, site, expires });
    },
    loginServers: async () => [{ host: address, port: ports.stream }],
    servers: () => [{ host: address, port: ports.http }],
    file: (_vdisk, _version, name) => join(folder, name),
    onEvent: (event) => say(`http ${event.kind}`),
    log,
  }),
);
must(
  await startTftp({
    ...{ address, port: ports.tftp, open: bootFile, log },
    maxBlockBytes: () => Number(maxBlockSize),
    onEvent: ({ kind }) => say(`tftp ${kind}`),
  }),
);
must(
  await startProxyDhcp({
    address,
    interface: network,
    ports,
    httpPort: ports.http,
    bootstrap: () => bootstrapOf(snapshot, site),
    verdict: (machine) => (machine.mac === mac ? { kind: 'known' } : { kind: 'unknown', action: 'Ignore' }),
    onEvent: ({ kind }) => say(`dhcp ${kind}`),
    log,
  }),
);
say(`http://${address}:${ports.http}/boot/file/${ref.vdisk}/${ref.version}`);
