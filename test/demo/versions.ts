/** A version that git releases, and the night when it must go back. `test/e2e/farm.test.ts` asserts it. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execInContainer, inLan, inNode, signalControlPlane } from '../cluster/cluster.ts';
import { runAsync, until } from '../cluster/run.ts';
import { type DemoFarm, STORE_FOLDER, type VDiskStatus } from './farm.ts';
import type { OwnSite } from './site.ts';
import type { Booted } from './steps.ts';

const MINUTE = 60_000;
const HTTP_PORT = 8069;
const OPERATOR_METRICS_PORT = 8080;

/** A command in the container of a node's server that may write to its store. */
export async function work(farm: DemoFarm, node: string, ...command: string[]): Promise<string> {
  const { metadata } = await farm.serverPod(node);
  return farm.kubectl('exec', metadata.name, '-c', 'work', '--', 'bootfarm', 'vdisk', ...command);
}

/** The disk as it is after somebody worked on it, beside the store's vDisk of a node: its release is 2. */
export async function updateDisk({ site }: DemoFarm<OwnSite>, node: string, disk: string): Promise<string> {
  const updated = storePath(site, node, 'updated.raw');
  const scratch = mkdtempSync(join(tmpdir(), 'bootfarm-update-'));
  const release = join(scratch, 'lab-release');
  const edit = join(scratch, 'edit');
  writeFileSync(release, '2\n');
  writeFileSync(edit, `rm /etc/lab-release\nwrite ${release} /etc/lab-release\n`);
  await runAsync('cp', '--sparse=always', disk, updated);
  await runAsync('debugfs', '-w', '-f', edit, updated);
  rmSync(scratch, { recursive: true });
  return updated;
}

/** Version 1 on one node: what the updated disk has otherwise. */
export const makeVersion = (farm: DemoFarm, node: string): Promise<string> =>
  work(farm, node, 'new-version', `${STORE_FOLDER}/lab`, '--from', `${STORE_FOLDER}/updated.raw`);

/** Of the disk that the machine runs from. */
export const releaseOf = async ({ machine }: Booted): Promise<number> =>
  (await machine.ask<{ release: number }>('ping')).release;

/** One more, a difference of it with nothing in it. */
export const makeNextVersion = (farm: DemoFarm, node: string): Promise<string> =>
  work(farm, node, 'new-version', `${STORE_FOLDER}/lab`);

/** Chains may have one difference: a server makes a base of a longer one. The kubelet takes a minute or so to hand it the order. */
export async function mergedByFarm(farm: DemoFarm<OwnSite>, image: string): Promise<string> {
  await farm.kubectl('patch', 'farm/farm', '--type=merge', '--patch', '{"spec":{"versions":{"maxChain":1}}}');
  await until(`${image} on a server`, 5 * MINUTE, async () => {
    const { unmanaged, work, conditions, copies } = await farm.status<VDiskStatus>('vd/lab');
    if (!unmanaged?.includes(image)) throw new Error(JSON.stringify({ unmanaged, work, conditions, copies }));
    return true;
  });
  const { cluster } = farm.site;
  return cluster.nodes.map((node) => storePath(farm.site, node, image)).find((path) => existsSync(path)) ?? image;
}

export const storePath = (site: OwnSite, node: string, name: string): string =>
  join(site.nodePath?.(node, STORE_FOLDER) ?? '', name);

/** As a commit in git would: all of these are Production. */
export async function release(farm: DemoFarm, numbers: readonly number[]): Promise<void> {
  const versions = numbers.map((number) => ({ number, access: 'Production' }));
  await farm.kubectl('patch', 'vd/lab', '--type=merge', '--patch', JSON.stringify({ spec: { versions } }));
}

/** The version, once it is in that state. */
export async function versionIn(
  farm: DemoFarm,
  state: string,
  number: number,
  vdisk = 'lab',
): Promise<NonNullable<VDiskStatus['versions']>[number] | undefined> {
  let found: NonNullable<VDiskStatus['versions']>[number] | undefined;
  await until(`version ${number} of ${vdisk} ${state}`, 2 * MINUTE, async () => {
    found = (await farm.status<VDiskStatus>(`vd/${vdisk}`)).versions?.find((version) => version.number === number);
    return found?.state === state;
  });
  return found;
}

/** Until each server tells this machine to boot that version. */
export async function tellsVersion({ site }: DemoFarm<OwnSite>, mac: string, number: number): Promise<void> {
  const curl = [...inLan(site.cluster), 'curl', '--silent', '--max-time', '5'] as const;
  const servers = site.nodes.slice(0, 2);
  await until(`version ${number} in the script of each server`, MINUTE, async () => {
    const scripts = servers.map(({ address }) => runAsync(...curl, `http://${address}:${HTTP_PORT}/boot?mac=${mac}`));
    return (await Promise.all(scripts)).every((script) => script.includes(`file/lab/${number}/`));
  });
}

/** By its own metrics, asked on its node. */
async function isLeading({ site }: DemoFarm<OwnSite>, { node, address }: Operator): Promise<boolean> {
  const curl = ['curl', '--silent', '--max-time', '5', `http://${address}:${OPERATOR_METRICS_PORT}/metrics`];
  return /^leader_election_master_status\{.*\} 1$/m.test(await runAsync(...inNode(site.cluster, node), ...curl));
}

type Operator = Awaited<ReturnType<DemoFarm['operators']>>[number];

/** `bootfarm rollback`, on the node of the database, while the Kubernetes API is away, and so long that no operator leads any more. */
export async function rollBackWithoutApi(
  farm: DemoFarm<OwnSite>,
  words: readonly string[],
  meanwhile: () => Promise<void>,
): Promise<string> {
  const { cluster } = farm.site;
  const pod = JSON.parse(await farm.kubectl('get', 'pod/farm-database-0', '-o', 'json'));
  const { containerID } = pod.status.containerStatuses[0];
  const operators = await farm.operators();
  signalControlPlane(cluster, 'kube-apiserver', 'SIGSTOP');
  try {
    await until('no operator leads', MINUTE, async () => {
      const leads = await Promise.all(operators.map((one) => isLeading(farm, one)));
      return !leads.includes(true);
    });
    const said = await execInContainer(cluster, pod.spec.nodeName, containerID, 'bootfarm', 'rollback', ...words);
    await meanwhile();
    return said;
  } finally {
    signalControlPlane(cluster, 'kube-apiserver', 'SIGCONT');
  }
}
