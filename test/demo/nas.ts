/** Stores of the farm on a NAS, by NFS and by a claim of a CSI driver, each with a vDisk and a room of its own. */
import { constants, copyFileSync, mkdirSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { CSI_DRIVER, type Nas, startClusterNas, startCsiDriver } from '../cluster/nas.ts';
import { runAsync, until } from '../cluster/run.ts';
import type { DemoFarm, StoreStatus } from './farm.ts';
import type { OwnSite } from './site.ts';
import { diskFolder } from './steps.ts';

export const NAS_STORES = ['nas', 'csi'] as const;
type NasStore = (typeof NAS_STORES)[number];

/** Of the disk: its file system and some filler, so that it is read in seconds. */
const DISK_MIB = 576;

const meta = (apiVersion: string, kind: string, name: string) => ({ apiVersion, kind, metadata: { name } });
const bootfarm = (kind: string, name: string) => meta('bootfarm.io/v1alpha1', kind, name);

/** What a person applies who has a NAS. */
function objects({ address, folder }: Nas & { readonly address: string }): readonly object[] {
  const [farmRef, share] = [{ name: 'farm' }, (store: NasStore): string => join(folder, store)];
  return [
    { ...bootfarm('Store', 'nas'), spec: { farmRef, nfs: { server: address, path: share('nas') } } },
    { ...meta('storage.k8s.io/v1', 'CSIDriver', CSI_DRIVER), spec: { attachRequired: false } },
    {
      ...meta('v1', 'PersistentVolume', 'csi'),
      spec: {
        ...{ capacity: { storage: '1Gi' }, accessModes: ['ReadWriteMany'], storageClassName: '' },
        csi: { driver: CSI_DRIVER, volumeHandle: 'csi', volumeAttributes: { server: address, share: share('csi') } },
      },
    },
    {
      ...meta('v1', 'PersistentVolumeClaim', 'csi'),
      spec: {
        ...{ accessModes: ['ReadWriteMany'], storageClassName: '', volumeName: 'csi' },
        resources: { requests: { storage: '1Gi' } },
      },
    },
    { ...bootfarm('Store', 'csi'), spec: { farmRef, persistentVolumeClaim: { claimName: 'csi' } } },
    ...NAS_STORES.map((name) => ({
      ...bootfarm('VDisk', name),
      spec: {
        ...{ farmRef, storeRef: { name }, fileName: 'lab' },
        os: { linux: { commandLine: 'console=ttyS0 quiet panic=-1' } },
      },
    })),
  ];
}

export const nasResources: readonly string[] = NAS_STORES.flatMap((name) => [
  `stores.bootfarm.io/${name}`,
  `vd/${name}`,
]);

/** Until both vDisks are right on all servers. */
export async function openNasStores(farm: DemoFarm<OwnSite>): Promise<Nas> {
  const { cluster } = farm.site;
  const nas = await startClusterNas(cluster);
  await startCsiDriver(cluster);
  await placeSmallDisk(NAS_STORES.map((store) => join(nas.folder, store)));
  for (const object of objects(nas)) await farm.apply(JSON.stringify(object));
  await roomsOf(farm, ['lab', ...NAS_STORES]);
  await farm.waitReady(nasResources);
  return nas;
}

/** The disk of the machines with less filler. */
async function placeSmallDisk([folder = '', ...others]: readonly string[]): Promise<void> {
  for (const path of [folder, ...others]) mkdirSync(path, { recursive: true });
  const [from, raw] = [diskFolder(), join(folder, 'small.partial')];
  await runAsync('cp', '--sparse=always', join(from, 'lab.raw'), raw);
  truncateSync(raw, DISK_MIB << 20);
  const convert = [
    'convert',
    '-f',
    'raw',
    '-O',
    'vhdx',
    '-o',
    'subformat=dynamic',
    raw,
    join(folder, 'lab.vhdx.partial'),
  ];
  await runAsync('qemu-img', ...convert);
  rmSync(raw);
  await runAsync('mv', join(folder, 'lab.vhdx.partial'), join(folder, 'lab.vhdx'));
  for (const name of ['lab.vmlinuz', 'lab.initrd']) copyFileSync(join(from, name), join(folder, name));
  for (const other of others)
    for (const name of ['lab.vhdx', 'lab.vmlinuz', 'lab.initrd'])
      copyFileSync(join(folder, name), join(other, name), constants.COPYFILE_FICLONE);
}

/** A collection for each vDisk: `room-101` boots the first. */
async function roomsOf(farm: DemoFarm<OwnSite>, vdisks: readonly string[]): Promise<void> {
  const collections = vdisks.map((vdisk, index) => ({ name: `room-${101 + index}`, vdisk, class: 'Production' }));
  await farm.kubectl('patch', 'farm/farm', '--type=merge', '--patch', JSON.stringify({ spec: { collections } }));
}

export const roomOf = (store: NasStore): string => `room-${102 + NAS_STORES.indexOf(store)}`;

type Servers = NonNullable<StoreStatus['servers']>;

/** What the Store says of each server. */
export async function nasStates(farm: DemoFarm<OwnSite>, store: NasStore): Promise<Servers> {
  const { servers = [] } = await farm.status<StoreStatus>(`stores.bootfarm.io/${store}`);
  return servers;
}

/** Of what was applied; the claim's volume stays with nobody. */
export async function removeNasStores(farm: DemoFarm<OwnSite>): Promise<void> {
  // A machine that was ended a moment ago has its vDisk still.
  for (const resource of nasResources)
    if ((await farm.kubectl('get', resource, '-o', 'name', '--ignore-not-found')) !== '')
      await farm.kubectl('annotate', resource, 'bootfarm.io/confirm-delete=yes', '--overwrite');
  for (const resource of [...nasResources.toReversed(), 'pvc/csi', 'pv/csi', `csidriver/${CSI_DRIVER}`])
    await farm.kubectl('delete', resource, '--wait=false', '--ignore-not-found');
  const mountPods = ['get', 'pods', '-l', 'app.kubernetes.io/component=mount', '-o', 'name'];
  await until('the mount pods gone', 60_000, async () => (await farm.kubectl(...mountPods)) === '');
  await roomsOf(farm, ['lab']);
}
