/** A version that git releases, and the night when it must go back. `test/e2e/farm.test.ts` asserts it. */
import { linkSync } from 'node:fs';
import { join } from 'node:path';
import { execInContainer, inLan, signalControlPlane } from '../cluster/cluster.ts';
import { runAsync, until } from '../cluster/run.ts';
import { type DemoFarm, DISK_FILES, STORE_FOLDER, type VDiskStatus } from './farm.ts';
import type { OwnSite } from './site.ts';

const MINUTE = 60_000;
const HTTP_PORT = 8069;

/** The files of a version in the store of a node: those of the base under its names. */
export function placeVersion({ site }: DemoFarm<OwnSite>, node: string, number: number): void {
  const folder = site.nodePath?.(node, STORE_FOLDER) ?? '';
  for (const name of DISK_FILES) linkSync(join(folder, name), join(folder, name.replace('lab.', `lab.${number}.`)));
}

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
): Promise<NonNullable<VDiskStatus['versions']>[number] | undefined> {
  let found: NonNullable<VDiskStatus['versions']>[number] | undefined;
  await until(`version ${number} ${state}`, 2 * MINUTE, async () => {
    found = (await farm.status<VDiskStatus>('vd/lab')).versions?.find((version) => version.number === number);
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

/** `bootfarm rollback`, on the node of the database, while the Kubernetes API is away. */
export async function rollBackWithoutApi(
  farm: DemoFarm<OwnSite>,
  words: readonly string[],
  meanwhile: () => Promise<void>,
): Promise<string> {
  const { cluster } = farm.site;
  const pod = JSON.parse(await farm.kubectl('get', 'pod/farm-database-0', '-o', 'json'));
  const { containerID } = pod.status.containerStatuses[0];
  signalControlPlane(cluster, 'kube-apiserver', 'SIGSTOP');
  try {
    const said = await execInContainer(cluster, pod.spec.nodeName, containerID, 'bootfarm', 'rollback', ...words);
    await meanwhile();
    return said;
  } finally {
    signalControlPlane(cluster, 'kube-apiserver', 'SIGCONT');
  }
}
