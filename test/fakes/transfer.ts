/** Servers of one farm that give each other files, over mutual TLS on loopback. */
import { createHash } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { fastify } from 'fastify';
import { type KeyPair, makeAuthority, makeCertificate } from '../../src/control/certificates.ts';
import { openRegular } from '../../src/kit/file.ts';
import { ok } from '../../src/kit/result.ts';
import { bitmapOf, type Held, type Holdings, type Offers } from '../../src/transfer/holdings.ts';
import { ManifestMaker } from '../../src/transfer/maker.ts';
import { chunkBytesOf, type Manifest } from '../../src/transfer/manifest.ts';
import { type Peer, type PeerIdentity, peerAt } from '../../src/transfer/peer.ts';
import { addTransferRoutes, type GiveLimits } from '../../src/transfer/routes.ts';
import { MAX_RUNS_CHARACTERS } from '../../src/transfer/wire.ts';

export interface Farm {
  readonly authority: KeyPair;
  readonly identity: PeerIdentity;
}

export async function makeFarm(): Promise<Farm> {
  const authority = await makeAuthority('farm', Date.now());
  const own = await makeCertificate(authority, { names: ['puller'], use: 'client' }, Date.now());
  return { authority, identity: { ca: authority.cert, ...own } };
}

export interface Giver {
  readonly holdings: MemoryHoldings;
  readonly peer: Peer;
  readonly address: { readonly host: string; readonly port: number };
  /** That are open to it. */
  connections(): Promise<number>;
  /** With its connections. */
  close(): Promise<void>;
}

interface Offered {
  readonly manifest: Manifest;
  readonly path: string;
  readonly has: Uint8Array | 'all';
}

/** Of one process: what it pulls it gives on at once. */
export class MemoryHoldings implements Holdings, Offers {
  readonly #offered = new Map<string, Set<Offered>>();

  offer(one: Offered): () => void {
    const { sha256 } = one.manifest;
    const all = this.#offered.get(sha256) ?? new Set();
    this.#offered.set(sha256, all.add(one));
    return () => void all.delete(one);
  }

  /** The one that is whole before others. */
  async of(sha256: string): Promise<Held | undefined> {
    const all = [...(this.#offered.get(sha256) ?? [])];
    const found = all.find(({ has }) => has === 'all') ?? all[0];
    if (!found) return undefined;
    const { manifest, path, has } = found;
    return {
      ...{ manifest, path, has: has === 'all' ? has : bitmapOf(has) },
      async open() {
        const opened = await openRegular(path);
        return opened.ok ? ok(opened.value.file) : opened;
      },
      encoded: async () => manifest.encoded,
    };
  }
}

export async function giver(
  farm: Farm,
  name: string,
  options: { limits?: GiveLimits; address?: string; port?: number } = {},
): Promise<Giver> {
  const { address = '127.0.0.1', port = 0, limits } = options;
  const { cert, key } = await makeCertificate(farm.authority, { names: [name], use: 'server' }, Date.now());
  const tls = {
    cert,
    key,
    ca: farm.authority.cert,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
  } as const;
  const app = fastify<Server>({
    serverFactory: (handler: RequestListener) => createServer(tls, handler),
    forceCloseConnections: true,
    routerOptions: { maxParamLength: MAX_RUNS_CHARACTERS },
  });
  const holdings = new MemoryHoldings();
  addTransferRoutes(app, holdings, limits && (() => limits));
  await app.listen({ host: address, port });
  const bound = (app.server.address() as AddressInfo).port;
  const peer = peerAt({ name, host: address, port: bound }, farm.identity, 2_000);
  return {
    ...{ holdings, peer, address: { host: address, port: bound } },
    connections: () =>
      new Promise((resolve, reject) =>
        app.server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      ),
    async close() {
      peer.close();
      await app.close();
    },
  };
}

export function manifestOf(content: Uint8Array): Manifest {
  const maker = new ManifestMaker(content.length, chunkBytesOf(content.length) ?? 0);
  maker.add(content);
  return maker.finish(createHash('sha256').update(content).digest('hex'));
}
