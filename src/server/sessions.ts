/** What the stream's sessions are to the farm: the load of this server, and the rows that say who streams what. */
import type { ServerConfig } from '../control/config.ts';
import type { PeerLoad } from '../control/peer.ts';
import type { ServerStatus } from '../control/status.ts';
import type { Session } from '../farm/model.ts';
import type { SessionWriter } from '../replica/sessions.ts';
import type { SessionSnapshot } from '../stream/server.ts';
import type { SessionEvent } from '../stream/shard.ts';
import type { NodeAddress } from './config.ts';
import type { Readable } from './copies.ts';
import { manifestPrefix } from './site.ts';

/** A device counts as booting for so long after its first ATTACH. */
const BOOTING_MS = 60_000;

/** `now` in Unix milliseconds. Stand-bys are no load. */
export function loadOf(
  { name, limits, powerRating }: ServerConfig,
  { prefixLength }: NodeAddress,
  draining: boolean,
  sessions: readonly SessionSnapshot[],
  copies: readonly Readable[],
  now: number,
): PeerLoad {
  const served = sinceOfDevices(sessions);
  return {
    name,
    draining,
    loadPercent: Math.min(100, Math.round((served.size / limits.maxDevices) * 100)),
    prefixLength,
    devices: served.size,
    booting: [...served.values()].filter((since) => since > now - BOOTING_MS).length,
    powerRating,
    maxDevices: limits.maxDevices,
    maxBooting: limits.maxBooting,
    manifests: copies.map(({ manifest }) => manifestPrefix(manifest)),
  };
}

/** How many devices stream which vDisk, each counted once. */
export function usesOf(sessions: readonly SessionSnapshot[]): NonNullable<ServerStatus['uses']> {
  const devices = new Map<string, Set<string>>();
  for (const { role, vdisk, device } of sessions)
    if (role === 'serve') devices.set(vdisk, (devices.get(vdisk) ?? new Set()).add(device));
  return [...devices].map(([vdisk, served]) => ({ vdisk, devices: served.size }));
}

/** Devices that are served, however many sessions each has, with the oldest of these. */
function sinceOfDevices(sessions: readonly SessionSnapshot[]): ReadonlyMap<string, number> {
  const since = new Map<string, number>();
  for (const session of sessions)
    if (session.role === 'serve')
      since.set(session.device, Math.min(session.since, since.get(session.device) ?? session.since));
  return since;
}

/**
 * A device that is served has a row of this server. When it leaves, or only stands by here, what this server wrote ends, and no more than that: by
 * then another server may have written its own.
 */
export class SessionRows {
  readonly #writer: SessionWriter;
  readonly #server: string;
  /** What was written and has not ended, by session of the stream. */
  readonly #written = new Map<string, Session>();
  /** The last of each device: a clock that was set back must not make the next one older. */
  readonly #epochs = new Map<string, number>();

  constructor(writer: SessionWriter, server: string) {
    this.#writer = writer;
    this.#server = server;
  }

  /** One a device: a device that came again from another address counts by its newest session. */
  current(): readonly Session[] {
    const newest = new Map<string, Session>();
    for (const session of this.#written.values())
      if (session.epoch >= (newest.get(session.device)?.epoch ?? 0)) newest.set(session.device, session);
    return [...newest.values()];
  }

  record({ type, session, device, vdisk, version, role, at }: SessionEvent): void {
    if (type === 'running') return;
    const key = `${device} ${session}`;
    if (role === 'serve' && (type === 'attached' || type === 'role')) {
      const epoch = Math.max(at, (this.#epochs.get(device) ?? 0) + 1);
      const row: Session = { device, server: this.#server, vdisk, version, since: at, epoch, protocol: 'stream' };
      this.#epochs.set(device, epoch);
      this.#written.set(key, row);
      void this.#writer.write(row);
      return;
    }
    const written = this.#written.get(key);
    if (!written) return;
    this.#written.delete(key);
    void this.#writer.end(device, written.epoch);
  }
}
