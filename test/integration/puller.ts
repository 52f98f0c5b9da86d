/** A process that pulls a file and tells of it by files, as the container `work` does. Standard input ends it. */
import { readFileSync } from 'node:fs';
import type { Wanted } from '../../src/transfer/agree.ts';
import { type PeerAddress, peerAt } from '../../src/transfer/peer.ts';
import { pull } from '../../src/transfer/pull.ts';
import { PullingWriter } from '../../src/transfer/pulling.ts';

export interface PullerTask {
  /** With peer.crt, peer.key and ca.crt. */
  readonly secrets: string;
  readonly folder: string;
  readonly path: string;
  readonly wanted: Wanted;
  readonly peers: readonly PeerAddress[];
}

const { secrets, folder, path, wanted, peers }: PullerTask = JSON.parse(process.argv[2] ?? '');
const file = (name: string): string => readFileSync(`${secrets}/${name}`, 'utf8');
const identity = { cert: file('peer.crt'), key: file('peer.key'), ca: file('ca.crt') };
process.stdin.on('end', () => process.exit(1)).resume();
const holdings = new PullingWriter(folder);
const pulled = await pull(path, wanted, { peers: peers.map((peer) => peerAt(peer, identity)), holdings });
if (!pulled.ok) console.error(pulled.error.message);
process.exit(pulled.ok ? 0 : 1);
