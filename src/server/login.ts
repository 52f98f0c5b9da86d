/** Logins at this server: gathers what `farm/login.ts` decides on, and remembers for a moment whom it sent where. */
import type { PeerLoad } from '../control/peer.ts';
import type { Database } from '../database/connection.ts';
import type { FarmAnswer, FarmData } from '../farm/data.ts';
import { decideLogin } from '../farm/login.ts';
import type { Candidate } from '../farm/place.ts';
import type { LoginAnswer, LoginRequest } from '../stream/login.ts';
import type { Readable } from './copies.ts';
import { candidates, listFor, type Self, serverList, serversOf } from './site.ts';
import type { FarmView } from './view.ts';

export interface LoginOptions {
  readonly self: () => Self;
  readonly streamPort: number;
  readonly view: FarmView;
  readonly data: FarmData;
  readonly database: Database;
  /** When a leading operator last confirmed the replica, Unix milliseconds. */
  readonly replicaCheckedAt: () => FarmAnswer<number>;
  readonly alive: (name: string) => PeerLoad | undefined;
  readonly served: () => readonly Readable[];
}

/** Until a placed device shows in the load of its server: a ping's interval, its way, and the device's ATTACH. */
const PLACED_COUNTS_MS = 2_000;
const BLOCK_BYTES = 512;

export class Logins {
  readonly #options: LoginOptions;
  #placed: readonly { readonly device: string; readonly server: string; readonly at: number }[] = [];

  constructor(options: LoginOptions) {
    this.#options = options;
  }

  readonly decide = async ({ token, redirected, renew, from, now }: LoginRequest): Promise<LoginAnswer> => {
    const { view, data, database, served } = this.#options;
    const self = this.#options.self();
    const { snapshot } = view;
    if (!snapshot) return refuse('Busy', 'the farm data is not loaded yet', 1_000);
    const [devices, checkedAt] = await Promise.all([
      data.devicesByName([token.device]),
      this.#options.replicaCheckedAt(),
    ]);
    const { state } = database;
    const decision = decideLogin(
      { token, address: from.host, redirected, renew },
      {
        snapshot,
        self: self.name,
        candidates: this.#withPlaced(
          candidates(snapshot, self, this.#options.alive, token.manifest),
          token.device,
          now,
        ),
        known: (devices.ok && devices.value.get(token.device)) || { removed: false },
        databaseReachable: state.reachable,
        replicaAgeMs: state.reachable ? 0 : now - (checkedAt.ok ? checkedAt.value : state.since),
      },
    );
    if (decision.kind === 'refuse') {
      const { code, message, retryAfterMs, reason } = decision;
      return { ...refuse(code, message, retryAfterMs), ...(reason === undefined ? {} : { reason }) };
    }
    if (decision.kind === 'redirect') return this.#redirect(token.device, decision.server, now);

    const copy = served().find(
      ({ vdisk, version, manifest }) =>
        vdisk === token.vdisk && version === token.version && manifest === token.manifest,
    );
    if (!copy)
      return refuse(
        'NoCopy',
        `server ${self.name} has no UpToDate copy of ${token.vdisk} version ${token.version}`,
        5_000,
      );
    this.#place(token.device, self.name, now);
    const list = serverList(snapshot, self, this.#options.alive);
    const here = { host: self.address, port: this.#options.streamPort, state: 'Streaming' } as const;
    return {
      kind: 'ticket',
      sizeBytes: copy.sizeBytes,
      blockSize: BLOCK_BYTES,
      servers: listFor(token.device, list, here),
      listVersion: list.version,
    };
  };

  #redirect(device: string, name: string, now: number): LoginAnswer {
    const { snapshot } = this.#options.view;
    const server = snapshot && serversOf(snapshot, this.#options.self().site).find((found) => found.name === name);
    if (!server) return refuse('Busy', `server ${name} left the farm just now`, 1_000);
    this.#place(device, name, now);
    return { kind: 'redirect', server: { host: server.address, port: server.ports.stream, state: 'Streaming' } };
  }

  #place(device: string, server: string, at: number): void {
    this.#placed = [...this.#recent(at).filter((placed) => placed.device !== device), { device, server, at }];
  }

  #recent(now: number) {
    return this.#placed.filter(({ at }) => now - at < PLACED_COUNTS_MS);
  }

  /** Devices that were placed and do not show in the loads yet count as there; the one that asks again does not count against itself. */
  #withPlaced(all: readonly Candidate[], device: string, now: number): readonly Candidate[] {
    const recent = this.#recent(now).filter((placed) => placed.device !== device);
    return all.map((candidate) => {
      const more = recent.filter(({ server }) => server === candidate.name).length;
      return more === 0
        ? candidate
        : { ...candidate, devices: candidate.devices + more, booting: candidate.booting + more };
    });
  }
}

const refuse = (
  code: Extract<LoginAnswer, { kind: 'refuse' }>['code'],
  text: string,
  retryAfterMs: number,
): LoginAnswer => ({
  kind: 'refuse',
  code,
  text,
  retryAfterMs,
});
