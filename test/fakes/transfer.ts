/** Servers of one farm that give each other files, over mutual TLS on loopback. */
import { createHash } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { fastify } from 'fastify';
import { type KeyPair, makeAuthority, makeCertificate } from '../../src/control/certificates.ts';
import { Holdings } from '../../src/transfer/holdings.ts';
import { ManifestMaker } from '../../src/transfer/maker.ts';
import { chunkBytesOf, type Manifest } from '../../src/transfer/manifest.ts';
import { type Peer, type PeerIdentity, peerAt } from '../../src/transfer/peer.ts';
import { addTransferRoutes, type GiveLimits } from '../../src/transfer/routes.ts';

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
  readonly holdings: Holdings;
  readonly peer: Peer;
  readonly address: { readonly host: string; readonly port: number };
  /** That are open to it. */
  connections(): Promise<number>;
  /** With its connections. */
  close(): Promise<void>;
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
  });
  const holdings = new Holdings();
  addTransferRoutes(app, holdings, limits);
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
