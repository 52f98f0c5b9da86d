/** What GitOps does to a farm in its life: deleted by the way, deleted on purpose, followed by another of that name, made again. `test/e2e/life.test.ts` asserts it. */
import { execFileSync } from 'node:child_process';
import { inLan, inNode } from '../cluster/cluster.ts';
import { attempt, run, runAsync, until } from '../cluster/run.ts';
import { type DemoFarm, OPERATOR_NAMESPACE, type PoolStatus, RESOURCES } from './farm.ts';
import type { OwnSite } from './site.ts';

const MINUTE = 60_000;
/** What a machine asks when it boots: DHCP, PXE, TFTP. */
const BOOT_PORTS = [67, 4011, 69] as const;
const HTTP_PORT = 8069;

/** What kubectl complains of; '' where it does as it is told. */
export async function refusal(farm: DemoFarm, ...args: string[]): Promise<string> {
  try {
    await farm.kubectl(...args);
    return '';
  } catch (error) {
    return String((error as { readonly stderr?: unknown }).stderr);
  }
}

const apply = ({ site, namespace }: DemoFarm, objects: readonly object[]): void => {
  const [kubectl, ...args] = site.kubectl;
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
  execFileSync(kubectl, [...args, '-n', namespace, 'apply', '-f', '-'], {
    input,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
};

/** The four resources, and it is confirmed that machines use them. Their Secrets and the folders of the nodes stay. */
export async function deleteFarm(farm: DemoFarm, cascade?: Cascade): Promise<void> {
  await askToDelete(farm, cascade);
  await deleted(farm);
}

/** In the foreground, as Argo CD prunes, the garbage collector takes what belongs to a resource first. */
export type Cascade = 'background' | 'foreground';

/** Asked for; whether the operator is there to do it or not. */
export async function askToDelete(farm: DemoFarm, cascade: Cascade = 'background'): Promise<void> {
  for (const resource of RESOURCES)
    await farm.kubectl('annotate', resource, 'bootfarm.io/confirm-delete=yes', '--overwrite');
  await farm.kubectl('delete', ...RESOURCES, '--wait=false', `--cascade=${cascade}`);
}

export async function deleted(farm: DemoFarm): Promise<void> {
  await until('the four resources gone', 2 * MINUTE, async () => {
    const kinds = RESOURCES.map((resource) => resource.split('/')[0]).join();
    return (await farm.kubectl('get', kinds, '-o', 'name')) === '';
  });
  await noServers(farm);
}

/** The operator goes while something happens, and returns. */
export async function withoutOperator({ site }: DemoFarm, meanwhile: () => Promise<void>): Promise<void> {
  const [kubectl, ...args] = site.kubectl;
  const operator = (...words: string[]) => runAsync(kubectl, ...args, '-n', OPERATOR_NAMESPACE, ...words);
  await operator('scale', 'deployment/bootfarm', '--replicas=0');
  await operator('wait', 'pod', '-l', 'app.kubernetes.io/name=bootfarm', '--for=delete', '--timeout=90s');
  await meanwhile();
  await operator('scale', 'deployment/bootfarm', '--replicas=2');
}

const noServers = (farm: DemoFarm): Promise<unknown> =>
  until('every server gone', 2 * MINUTE, async () => {
    const pods = await farm.kubectl('get', 'pods', '-l', 'app.kubernetes.io/component=server', '-o', 'name');
    return pods.trim() === '';
  });

/** A farm of another name, whose database no node takes, with a pool of the same name on the same nodes. */
export function otherFarm(farm: DemoFarm): void {
  const apiVersion = 'bootfarm.io/v1alpha1';
  const nowhere = { nodeSelector: { 'kubernetes.io/hostname': 'nowhere' } };
  const embedded = (folder: string) => ({
    embedded: { storage: { hostPath: `/var/lib/bootfarm/${folder}` }, ...nowhere },
  });
  apply(farm, [
    {
      ...{ apiVersion, kind: 'Farm', metadata: { name: 'other' } },
      spec: { database: embedded('other-database'), replica: embedded('other-replica') },
    },
    {
      ...{ apiVersion, kind: 'StreamingServer', metadata: { name: 'main' } },
      spec: { farmRef: { name: 'other' }, replicas: 2, storeRoots: ['/srv'], drain: { timeout: '5s' } },
    },
  ]);
}

/** The nodes where a process listens to what a machine asks when it boots. */
export function nodesThatBoot({ site: { cluster } }: DemoFarm<OwnSite>, nodes: readonly string[]): readonly string[] {
  const listens = (node: string, kind: 'udp' | 'tcp', port: number): boolean => {
    const [command, ...enter] = inNode(cluster, node);
    return (
      run(command, ...enter, 'ss', '--no-header', '--listening', `--${kind}`, '--numeric', `sport = :${port}`) !== ''
    );
  };
  return nodes.filter(
    (node) => listens(node, 'tcp', HTTP_PORT) || BOOT_PORTS.some((port) => listens(node, 'udp', port)),
  );
}

/** The nodes whose servers tell this machine how it boots; the others say nothing. */
export function nodesThatKnow({ site: { cluster, nodes } }: DemoFarm<OwnSite>, mac: string): readonly string[] {
  const [command, ...enter] = inLan(cluster);
  const curl = [...enter, 'curl', '--silent', '--fail', '--max-time', '5'];
  const script = (address: string) => attempt(command, ...curl, `http://${address}:${HTTP_PORT}/boot?mac=${mac}`);
  return nodes.filter(({ address }) => script(address)?.startsWith('#!ipxe')).map(({ name }) => name);
}

/** Each server's pod runs this image and is Ready. */
export const runImage = (farm: DemoFarm, image: string): Promise<unknown> =>
  until(`every server of ${farm.namespace} runs ${image}`, 4 * MINUTE, async () => {
    const pods = await farm.serverPods();
    return pods.length > 0 && pods.every((pod) => pod.ready && pod.image === image);
  });

/** The definitions go, confirmed, and with them every farm of the cluster as an object. */
export async function deleteDefinitions(farm: DemoFarm): Promise<void> {
  const names = (await farm.kubectl('get', 'crd', '-o', 'name'))
    .split('\n')
    .filter((name) => /bootfarm\.io$/.test(name));
  for (const name of names) await farm.kubectl('annotate', name, 'bootfarm.io/confirm-delete=yes');
  await farm.kubectl('delete', ...names, '--timeout=120s');
}

/** The nodes of two servers that run, and say that they hold no farm. */
export async function emptyServers(farm: DemoFarm): Promise<readonly string[]> {
  let servers: PoolStatus['servers'] = [];
  await until('two servers that hold no farm yet', 2 * MINUTE, async () => {
    servers = (await farm.status<PoolStatus>('bfs/main')).servers ?? [];
    return servers.length === 2 && servers.every(({ message }) => message?.includes('holds no farm yet'));
  }).catch((error: unknown) => {
    throw new Error(`the servers say ${JSON.stringify(servers)}`, { cause: error });
  });
  return servers.map(({ name }) => name);
}

export async function deleteOther(farm: DemoFarm): Promise<void> {
  await farm.kubectl('delete', 'bfs/main', 'farm/other', '--timeout=120s');
  await noServers(farm);
}

/** With the Secrets in it, and it is confirmed. Argo CD does this when the Namespace is part of the application that is deleted. */
export async function deleteNamespace(farm: DemoFarm): Promise<void> {
  await farm.kubectl('annotate', 'namespace', farm.namespace, 'bootfarm.io/confirm-delete=yes');
  await farm.kubectl('delete', 'namespace', farm.namespace, '--timeout=120s');
}

/** Key and copy, one after the other, as docs/recovery.md says it. */
export async function recover(farm: DemoFarm, key: string): Promise<void> {
  const copy = await farm.kubectl('exec', 'sts/farm-database', '--', 'sh', '-c', 'cat /data/recovery/*.sealed');
  const [program, ...args] = farm.inOperator('keys', 'recover');
  farm.say(execFileSync(program, args, { encoding: 'utf8', input: `${key}${copy}` }).trim());
}
