/** A server of the copy bench: gives what it has, and at the word `go` on standard input pulls a file. It ends with its input. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Manifests } from '../../../src/transfer/keep.ts';
import { type PeerAddress, peerAt } from '../../../src/transfer/peer.ts';
import { pull } from '../../../src/transfer/pull.ts';
import { type Farm, giver } from '../../fakes/transfer.ts';

export interface NodeTask {
  readonly farm: Farm;
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** Where manifests are kept. */
  readonly state: string;
  readonly holds: readonly { readonly sha256: string; readonly path: string }[];
  readonly pull?: {
    readonly path: string;
    readonly wanted: { readonly sha256: string; readonly sizeBytes: number; readonly root?: string };
    readonly base?: { readonly sha256: string; readonly path: string };
    readonly peers: readonly PeerAddress[];
    /** Of its threads. Default: 0, as rsync has. */
    readonly nice?: number;
  };
}

/** On standard output, when it is here. */
export interface PullReport {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peerBytes: Readonly<Record<string, number>>;
  readonly localBytes: number;
}

const task: NodeTask = JSON.parse(process.argv[2] ?? '');
const manifests = new Manifests(task.state);
const server = await giver(task.farm, task.name, { address: task.address, port: task.port });
for (const { sha256, path } of task.holds) {
  const manifest = await manifests.of(sha256);
  if (manifest) server.holdings.offer({ manifest, path, has: 'all' });
}
console.log('ready');
const input = createInterface({ input: process.stdin });
input.once('line', () => void work());
await once(input, 'close');
process.exit();

async function work(): Promise<void> {
  if (!task.pull) return;
  const { path, wanted, base, peers, nice = 0 } = task.pull;
  const all = peers.map((peer) => peerAt(peer, task.farm.identity));
  const began = performance.now();
  const cpu = process.cpuUsage();
  const manifest = base && (await manifests.of(base.sha256));
  const bases = base ? [{ path: base.path, ...(manifest && { manifest }) }] : [];
  const pulled = await pull(path, wanted, { peers: all, bases, holdings: server.holdings, nice });
  const seconds = (performance.now() - began) / 1_000;
  if (!pulled.ok) throw new Error(pulled.error.message);
  server.holdings.offer({ manifest: pulled.value.manifest, path, has: 'all' });
  const { user, system } = process.cpuUsage(cpu);
  const { peerBytes, localBytes, blamed } = pulled.value;
  if (blamed.length > 0) throw new Error(JSON.stringify(blamed));
  console.log(
    JSON.stringify({ seconds, cpuSeconds: (user + system) / 1e6, peerBytes, localBytes } satisfies PullReport),
  );
}
