/**
 * One stream server on one file, for clients under test:
 *
 *   node test/fakes/serve.ts --file PATH --address 127.0.0.1 --port 6910 --key HEX64 [--mode trusted|authenticated] [--native auto|native|plain]
 *       [--leaves] [--content NAME] [--quiet] [--threads N] [--list HOST:PORT,…] [--redirect HOST:PORT] [--refuse CODE[:RETRY_MS]] [--wait-ms N] [--segment BYTES]
 *
 * When it serves it prints one JSON line: {"address","port","kind","token" (a sealed boot token, base64url; good for an hour),"sizeBytes","pid"}.
 * Then a line for each session event (not with `--quiet`), and for each bad read (`badCopy`). Servers with the same key and file (or `--content`, where copies lie in several files) stand in for each
 * other; `--list` is what TICKET and LIST say (default: itself). `--leaves` gives the disk its leaf table (suite 3). `--redirect` and `--refuse` answer every LOGIN so; `--wait-ms` makes each read miss the cache for that long. SIGTERM drains (to the
 * second of the list, or any), SIGUSR1 takes the disk away (ERROR 3), SIGUSR2 gives it back, SIGWINCH refuses the device, or takes it again, SIGINT ends at once; SIGKILL is the honest test.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type BootToken, sealBootToken } from '../../src/farm/token.ts';
import type { Disk } from '../../src/image/disk.ts';
import { formatOf } from '../../src/image/formats.ts';
import { openImage } from '../../src/image/images.ts';
import { openRaw } from '../../src/image/raw/raw.ts';
import type { KeyRing } from '../../src/kit/seal.ts';
import type { LoginAnswer } from '../../src/stream/login.ts';
import type { Refusal, ServerEntry } from '../../src/stream/packet.ts';
import { startStreamServer } from '../../src/stream/server.ts';
import { REFUSALS } from '../../src/stream/wire.ts';
import { tableOf, withLeaves } from '../setup/leaves.ts';

const { values } = parseArgs({
  options: {
    file: { type: 'string' },
    address: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '6910' },
    key: { type: 'string', default: '01'.repeat(32) },
    mode: { type: 'string', default: 'trusted' },
    native: { type: 'string', default: 'auto' },
    leaves: { type: 'boolean', default: false },
    threads: { type: 'string', default: '1' },
    list: { type: 'string' },
    redirect: { type: 'string' },
    refuse: { type: 'string' },
    'wait-ms': { type: 'string' },
    segment: { type: 'string' },
    content: { type: 'string' },
    quiet: { type: 'boolean', default: false },
  },
});

const TOKEN_LIFE_SECONDS = 3_600;
const DRAIN_MS = 10_000;

function entry(text: string): ServerEntry {
  const [host = '', port = ''] = text.split(':');
  return { host, port: Number(port), state: 'Streaming' };
}

/** The same disk behind a slow read, without extents: every read is announced by WAIT. */
function slow(disk: Disk, ms: number): Disk {
  return {
    sizeBytes: disk.sizeBytes,
    blockSize: disk.blockSize,
    read: async (offset, length) => {
      await new Promise((resolve) => setTimeout(resolve, ms));
      return disk.read(offset, length);
    },
    close: () => disk.close(),
  };
}

/** Its table is gone when it is open: many servers have the same file. */
async function proved(disk: Disk): Promise<Disk> {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-leaves-'));
  const layered = await withLeaves(disk, await tableOf(disk, folder));
  rmSync(folder, { recursive: true });
  return layered;
}

function fatal(message: string): never {
  console.error(message);
  process.exit(1);
}

const { file = fatal('--file is missing'), address, key } = values;
const ring: KeyRing = { current: 1, keys: new Map([[1, Buffer.from(key, 'hex')]]) };
/** What is not named as an image is a raw one. */
const opened = await (formatOf(file) ? openImage(file) : openRaw(file));
if (!opened.ok) fatal(opened.error.message);
const plain = values['wait-ms'] === undefined ? opened.value : slow(opened.value, Number(values['wait-ms']));
const disk = values.leaves ? await proved(plain) : plain;
/** Not a digest of the content: the same for servers of the same file, which is all a test needs. */
const ref = {
  vdisk: 'lab',
  version: 0,
  manifest: createHash('sha256')
    .update(values.content ?? file)
    .digest('hex'),
};

/** Itself is known when the port is. */
let servers: readonly ServerEntry[] = values.list?.split(',').map(entry) ?? [];

function decide(): LoginAnswer {
  if (values.redirect !== undefined) return { kind: 'redirect', server: entry(values.redirect) };
  if (values.refuse !== undefined) {
    const [number = '', retry = '0'] = values.refuse.split(':');
    const code = (Object.keys(REFUSALS) as Refusal[]).find((name) => REFUSALS[name] === Number(number)) ?? 'NoServer';
    return { kind: 'refuse', code, retryAfterMs: Number(retry), text: `asked for by --refuse ${values.refuse}` };
  }
  return { kind: 'ticket', sizeBytes: disk.sizeBytes, blockSize: disk.blockSize, servers, listVersion: 1 };
}

const log = {
  debug: () => undefined,
  info: () => undefined,
  warn: (fields: object, message: string) => console.error(JSON.stringify({ message, ...fields })),
  error: (fields: object, message: string) => console.error(JSON.stringify({ message, ...fields })),
};
const native = values.native === 'plain' || values.native === 'native' ? values.native : 'auto';
const started = await startStreamServer({
  address,
  port: Number(values.port),
  threads: Number(values.threads),
  ring: () => ring,
  mode: values.mode === 'authenticated' ? 'Authenticated' : 'Trusted',
  site: 'default',
  ...(values.segment === undefined ? {} : { maxSegmentBytes: Number(values.segment) }),
  login: async () => decide(),
  onSession: (event) => {
    if (!values.quiet) console.log(JSON.stringify({ event }));
  },
  onBadCopy: (_, why, reads) => console.log(JSON.stringify({ badCopy: why, reads })),
  onFailure: (error) => fatal(error.message),
  log,
  native,
});
if (!started.ok) fatal(started.error.message);
const server = started.value;
if (servers.length === 0) servers = [{ host: address, port: server.port, state: 'Streaming' }];
await server.setServers(1, servers);
await server.setExports([{ ...ref, disk }]);

const token: BootToken = {
  ...ref,
  device: 'pc1',
  mac: '52:54:00:00:00:01',
  site: 'default',
  expires: Math.floor(Date.now() / 1000) + TOKEN_LIFE_SECONDS,
};
console.log(
  JSON.stringify({
    address,
    port: server.port,
    kind: server.kind,
    token: Buffer.from(sealBootToken(ring, token)).toString('base64url'),
    sizeBytes: disk.sizeBytes,
    pid: process.pid,
  }),
);

async function end(): Promise<void> {
  await server.close();
  await disk.close();
}
process.once(
  'SIGTERM',
  () =>
    void server
      .drain(() => servers.find((other) => other.host !== address || other.port !== server.port), DRAIN_MS)
      .then(end),
);
process.once('SIGINT', () => void end());
process.on('SIGUSR1', () => void server.setExports([]));
process.on('SIGUSR2', () => void server.setExports([{ ...ref, disk }]));
let refused = false;
process.on('SIGWINCH', () => {
  refused = !refused;
  void server.setRefused(refused ? [token] : []);
});
