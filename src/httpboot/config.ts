/** What the client in the initramfs is told: lines `key=value`, in the file `/bootfarm/boot` (`target/README.md`). */

import type { BootDecision } from '../farm/boot.ts';
import { authority } from '../farm/bootstrap.ts';
import type { Endpoint } from '../farm/model.ts';
import { shortlist } from '../farm/shortlist.ts';

/** The place of the file in the initramfs. */
export const CONFIG_PATH = 'bootfarm/boot';

/** `stream` and `http`: this server first, and no more than the client holds. */
export interface BootServers {
  readonly stream: readonly Endpoint[];
  readonly http: readonly Endpoint[];
}

export function bootConfig(
  { device, vdisk, manifest }: Extract<BootDecision, { kind: 'boot' }>,
  { mac, uuid }: { readonly mac: string; readonly uuid?: string },
  token: Uint8Array,
  servers: BootServers,
): string {
  const lines = {
    version: '1',
    token: Buffer.from(token).toString('base64url'),
    servers: servers.stream.map(authority).join(','),
    http: shortlist(device.name, servers.http, servers.http[0])
      .map((server) => `http://${authority(server)}`)
      .join(','),
    device: device.name,
    mac,
    ...(uuid === undefined ? {} : { uuid }),
    /** A running machine takes no token for another version than the one that it mounted. */
    manifest,
    overlayMiB: String(vdisk.overlayMiB),
  };
  return Object.entries(lines)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
}
