/** vDisks whose copies are in every state that a copy can be in, made by what people do to a folder. `test/e2e/badinput.test.ts` asserts it. */
import { randomBytes } from 'node:crypto';
import { readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aPvp } from '../builders/pvs.ts';
import { nodePath } from '../cluster/cluster.ts';
import { until } from '../cluster/run.ts';
import { type DemoFarm, STORE_FOLDER, type VDiskStatus } from './farm.ts';
import type { OwnSite } from './site.ts';

const DISK_BYTES = 64 << 10;
/** Long enough on its way, at `BANDWIDTH`, to be seen. */
const LARGE_BYTES = 24 << 20;
/** Bits a second. */
export const BANDWIDTH = '16Mi';
const MINUTE = 60_000;
const HOUR_SECONDS = 3_600;

/** Name and content of each file in a folder, and when it was written, if not now. */
interface Written {
  readonly files: Readonly<Record<string, Buffer>>;
  readonly hoursAgo?: number;
}

/** What lies on the first node, and then on the second; nothing on the third. */
interface Scene {
  readonly vdisk: string;
  /** Of the copy on the second. */
  readonly state: string;
  readonly first: Written;
  readonly second: Written;
}

const filesOf = (vdisk: string, bytes = DISK_BYTES): Readonly<Record<string, Buffer>> =>
  Object.fromEntries(
    ['raw', 'vmlinuz', 'initrd'].map((kind) => [`${vdisk}.${kind}`, randomBytes(kind === 'raw' ? bytes : 512)]),
  );

function scene(
  vdisk: string,
  state: string,
  second: (right: Readonly<Record<string, Buffer>>) => Written,
  more: Readonly<Record<string, Buffer>> = {},
): Scene {
  const right = filesOf(vdisk, vdisk === 'large' ? LARGE_BYTES : DISK_BYTES);
  return { vdisk, state, first: { files: { ...right, ...more } }, second: second(right) };
}

const SCENES: readonly Scene[] = [
  scene('even', 'UpToDate', (files) => ({ files })),
  scene('large', 'Missing', () => ({ files: {} })),
  scene('older', 'OutOfDate', (files) => ({ files: { ...files, 'older.raw': randomBytes(DISK_BYTES) }, hoursAgo: 1 })),
  scene('cut', 'Corrupt', (files) => ({ files: { ...files, 'cut.raw': randomBytes(1_000) } })),
  scene('plain', 'PropertiesMissing', (files) => ({ files }), { 'plain.pvp': aPvp({ version: 1 }) }),
  scene('changed', 'PropertiesOutOfDate', (files) => ({ files: { ...files, 'changed.pvp': aPvp({ version: 1 }) } }), {
    'changed.pvp': aPvp({ version: 2 }),
  }),
  scene('torn', 'Conflict', () => ({ files: filesOf('torn') })),
];

/** Both at once for what is in conflict: else the first that is whole would be right. */
export async function makeScenes(farm: DemoFarm<OwnSite>, [first, second]: readonly [string, string]): Promise<void> {
  const put = (node: string, { files, hoursAgo = 0 }: Written): void => {
    const at = Date.now() / 1_000 - hoursAgo * HOUR_SECONDS;
    for (const [name, bytes] of Object.entries(files)) {
      const path = join(nodePath(farm.site.cluster, node, STORE_FOLDER), name);
      writeFileSync(path, bytes);
      utimesSync(path, at, at);
    }
  };
  for (const { first: written } of SCENES) put(first, written);
  for (const { state, second: written } of SCENES) if (state === 'Conflict') put(second, written);
  for (const { vdisk } of SCENES)
    await farm.apply(
      JSON.stringify({
        ...{ apiVersion: 'bootfarm.io/v1alpha1', kind: 'VDisk', metadata: { name: vdisk } },
        spec: { farmRef: { name: 'farm' }, storeRef: { name: 'local' }, fileName: vdisk },
      }),
    );
  await statesOn(farm, first, ({ state }) => (state === 'Conflict' ? state : 'UpToDate'));
  for (const { state, second: written } of SCENES) if (state !== 'Conflict') put(second, written);
}

/** Until the copy of each vDisk on this node is in the state that is wanted. */
export async function statesOn(farm: DemoFarm, node: string, wanted: (scene: Scene) => string): Promise<void> {
  const told = new Map<string, string>();
  await until(`the state of each copy on ${node}`, 2 * MINUTE, async () => {
    const right = await Promise.all(
      SCENES.map(async (scene) => {
        const { copies = [] } = await farm.status<VDiskStatus>(`vd/${scene.vdisk}`);
        const state = copies.find(({ server }) => server === node)?.state ?? 'none';
        if (told.get(scene.vdisk) !== state) farm.say(`copy of ${scene.vdisk} on ${node}: ${state}`);
        told.set(scene.vdisk, state);
        return state === wanted(scene);
      }),
    );
    return right.every(Boolean);
  });
}

/**
 * Until `bootfarm replication` says so of the copies on a node: in the server of the first, as the operator may be where a link is cut, and from its
 * follower.
 */
export async function replicationSays(farm: DemoFarm, node: string, wanted: (scene: Scene) => string): Promise<void> {
  const { metadata } = await farm.serverPod(farm.site.nodes[0]?.name ?? '');
  const ask = ['exec', metadata.name, '-c', 'server', '--', 'bootfarm', 'replication', '-o', 'json'];
  await until(`bootfarm replication, of ${node}`, MINUTE, async () => {
    const { versions }: { readonly versions: readonly Row[] } = JSON.parse(await farm.kubectl(...ask));
    const stateOf = (name: string) =>
      versions.find(({ vdisk }) => vdisk === name)?.copies.find(({ server }) => server === node)?.state;
    const other = SCENES.filter((scene) => stateOf(scene.vdisk) !== wanted(scene));
    if (other.length > 0) throw new Error(other.map(({ vdisk }) => `${vdisk}: ${stateOf(vdisk)}`).join(', '));
    return true;
  });
}

interface Row {
  readonly vdisk: string;
  readonly copies: readonly { readonly server: string; readonly state: string }[];
}

/** The states of the large copy on a node, as they come until it is right. */
export async function growsOn(farm: DemoFarm, node: string): Promise<readonly string[]> {
  const seen: string[] = [];
  await until(`the large copy on ${node}`, 2 * MINUTE, async () => {
    const { copies = [] } = await farm.status<VDiskStatus>('vd/large');
    const copy = copies.find(({ server }) => server === node);
    const part = (copy?.progressPercent ?? 0) > 0 ? 'in part' : '';
    const said = `${copy?.state} ${part}`.trim();
    if (seen.at(-1) !== said) seen.push(said);
    return copy?.state === 'UpToDate';
  });
  return seen;
}

/** Wrong files that were put aside. */
export const staleOn = ({ site }: DemoFarm<OwnSite>, node: string): readonly string[] =>
  readdirSync(nodePath(site.cluster, node, STORE_FOLDER)).filter((name) => name.endsWith('.stale'));
