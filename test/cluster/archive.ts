/** A container image of one static program, as a docker-archive: the sandbox image, which comes from nowhere else. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

/** One entry of a tar archive in the ustar format (POSIX.1-1988). */
function entry(name: string, mode: number, type: '0' | '5', data: Uint8Array): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write(`${mode.toString(8).padStart(7, '0')}\0`, 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${data.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write('        ', 148);
  header.write(type, 156);
  header.write('ustar\0', 257);
  header.write('00', 263);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, data, Buffer.alloc(-data.length & 511)]);
}

const END = Buffer.alloc(1_024);
const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

export function writePauseImage(path: string, reference: string, program = '/bin/busybox'): void {
  const layer = Buffer.concat([
    entry('bin/', 0o755, '5', Buffer.alloc(0)),
    entry('bin/busybox', 0o755, '0', readFileSync(program)),
    END,
  ]);
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: { Entrypoint: ['/bin/busybox', 'sleep', '100000000'], Env: ['PATH=/bin'] },
      rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] },
    }),
  );
  const configName = `${sha256(config)}.json`;
  const manifest = Buffer.from(JSON.stringify([{ Config: configName, RepoTags: [reference], Layers: ['layer.tar'] }]));
  const files = [
    ['layer.tar', layer],
    [configName, config],
    ['manifest.json', manifest],
  ] as const;
  writeFileSync(path, Buffer.concat([...files.map(([name, data]) => entry(name, 0o644, '0', data)), END]));
}
