/** A disk of another program on its way to a machine: made here, uploaded through kubectl, imported where the files are. `make big-disk` has it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runAsync } from '../cluster/run.ts';
import { type DemoFarm, STORE_FOLDER } from './farm.ts';
import type { OwnSite } from './site.ts';
import { work } from './versions.ts';

const root = join(import.meta.dirname, '../..');
const SIZE_MIB = 4_096;
/** Of the demo's disk; filler comes after it. */
const FILE_SYSTEM_MIB = 512;

/** The demo's disk with filler up to 4 GiB, all of it data, as a qcow2 that lies on a node as `big.qcow2`. */
export async function uploadBigDisk(farm: DemoFarm<OwnSite>, node: string, disk: string): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'bootfarm-big-'));
  const [raw, qcow2] = [join(scratch, 'big.raw'), join(scratch, 'big.qcow2')];
  try {
    await runAsync(join(root, 'target/build/fill'), raw, String(SIZE_MIB));
    await runAsync('dd', `if=${disk}`, `of=${raw}`, 'bs=1M', `count=${FILE_SYSTEM_MIB}`, 'conv=notrunc', 'status=none');
    await runAsync('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, qcow2);
    const [sha256 = ''] = (await runAsync('sha256sum', qcow2)).split(' ');
    await upload(farm, node, qcow2, sha256);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

async function upload(farm: DemoFarm<OwnSite>, node: string, file: string, sha256: string): Promise<void> {
  const { metadata } = await farm.serverPod(node);
  const [kubectl, ...before] = farm.site.kubectl;
  const exec = spawn(
    kubectl,
    [
      ...[...before, '-n', farm.namespace, 'exec', '-i', metadata.name, '-c', 'work', '--'],
      ...['bootfarm', 'vdisk', 'upload', `${STORE_FOLDER}/big.qcow2`],
      ...['--size', String(statSync(file).size), '--sha256', sha256],
    ],
    { stdio: ['pipe', 'ignore', 'inherit'] },
  );
  createReadStream(file, { highWaterMark: 1 << 20 }).pipe(exec.stdin);
  const [code] = await once(exec, 'exit');
  if (code !== 0) throw new Error(`upload ended with ${code}`);
}

/** `big.qcow2` as the vDisk `big` of that node, which machines of the collection room-102 boot by the kernel in it. */
export async function openBigDisk(farm: DemoFarm<OwnSite>, node: string): Promise<void> {
  await work(farm, node, 'import', `${STORE_FOLDER}/big.qcow2`, `${STORE_FOLDER}/big.vhdx`);
  const { spec } = JSON.parse(await farm.kubectl('get', 'vd/lab', '-o', 'json'));
  const { farmRef, storeRef, os } = spec;
  const big = {
    apiVersion: 'bootfarm.io/v1alpha1',
    kind: 'VDisk',
    metadata: { name: 'big' },
    spec: { farmRef, storeRef, os, fileName: 'big', minCopies: 1 },
  };
  await farm.apply(JSON.stringify(big));
  const collections = [
    { name: 'room-101', vdisk: 'lab', class: 'Production' },
    { name: 'room-102', vdisk: 'big', class: 'Production' },
  ];
  await farm.kubectl('patch', 'farm/farm', '--type=merge', '--patch', JSON.stringify({ spec: { collections } }));
}
