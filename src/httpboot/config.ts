/** What the client in the initramfs is told: lines `key=value`, in the file `/bootfarm/boot` (`target/README.md`). */

import type { BootDecision } from '../farm/boot.ts';
import { authority } from '../farm/bootstrap.ts';

/** The place of the file in the initramfs. */
export const CONFIG_PATH = 'bootfarm/boot';

export function bootConfig(
  { device, vdisk, bootstrap }: Extract<BootDecision, { kind: 'boot' }>,
  mac: string,
  token: Uint8Array,
): string {
  const lines = {
    version: '1',
    token: Buffer.from(token).toString('base64url'),
    servers: bootstrap.loginServers.map(authority).join(','),
    http: bootstrap.httpServers.map((server) => `http://${authority(server)}`).join(','),
    device: device.name,
    mac,
    overlayMiB: String(vdisk.overlayMiB),
  };
  return Object.entries(lines)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
}
