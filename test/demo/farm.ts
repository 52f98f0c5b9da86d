/** The farm of the demo on a cluster: what is asked of it and what is done to it. The story is in `steps.ts`. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { READER_USER } from '../../src/replica/config.ts';
import { runAsync, until } from '../cluster/run.ts';
import type { Site } from './site.ts';

export const NAMESPACE = 'bootfarm-demo';
export const OPERATOR_NAMESPACE = 'bootfarm';
export const STORE_FOLDER = '/srv/vdisks';
export const DISK_FILES = ['lab.vhdx', 'lab.vmlinuz', 'lab.initrd'] as const;
const COLLECTION = 'room-101';
const root = join(import.meta.dirname, '../..');
const MINUTE = 60_000;

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}
interface Status {
  readonly conditions?: readonly Condition[];
}
export interface ServerStatus {
  readonly name: string;
  readonly addresses?: readonly string[];
  readonly state: string;
  readonly bootstrapHash?: string;
  readonly devices?: number;
  readonly message?: string;
}
export interface PoolStatus extends Status {
  readonly observedGeneration?: number;
  readonly readyReplicas?: number;
  readonly updatedReplicas?: number;
  readonly servers?: readonly ServerStatus[];
}
export interface VDiskStatus extends Status {
  readonly copies?: readonly {
    readonly server: string;
    readonly state: string;
    readonly progressPercent?: number;
    readonly message?: string;
  }[];
  readonly bootVersion?: number;
  readonly unmanaged?: readonly string[];
  readonly work?: readonly object[];
  readonly versions?: readonly {
    readonly number: number;
    readonly state?: string;
    readonly message?: string;
    readonly upToDate?: number;
    readonly copies?: number;
  }[];
}
export interface StoreStatus extends Status {
  readonly servers?: readonly { readonly name: string; readonly state: string; readonly message?: string }[];
}
export interface FarmStatus extends Status {
  readonly database?: { readonly state?: string; readonly offlineSince?: string; readonly message?: string };
  readonly replica?: { readonly state?: string };
  readonly devices?: { readonly booting?: number; readonly streaming?: number };
}
interface Pod {
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: { readonly nodeName?: string; readonly containers: readonly { readonly image: string }[] };
  readonly status: {
    readonly containerStatuses?: readonly {
      readonly name: string;
      readonly containerID?: string;
      readonly ready: boolean;
    }[];
  };
}

interface OperatorPod {
  readonly spec: { readonly nodeName: string };
  readonly status: { readonly podIP: string };
}

interface Written {
  readonly resourceVersion: string;
  readonly status?: unknown;
}
interface KubeObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
  readonly status?: unknown;
}

export type Say = (line: string) => void;

/** The four resources of deploy/samples, as kubectl names them. */
export const RESOURCES = ['farm/farm', 'stores.bootfarm.io/local', 'vd/lab', 'bfs/main'] as const;

/** The node of the samples that holds the data of the database and of the replica. */
const SAMPLE_NODE = 'node-c';
/** Of the samples. */
const DATA_FOLDER = '/var/lib/bootfarm';

/** The operator by Helm, with a Role in each of these namespaces; again: an upgrade. */
export async function installOperator(
  { helm: [helm, ...before], image }: Site,
  namespaces: readonly string[],
): Promise<void> {
  const [, repository = '', tag = ''] = /^(.+):([^:/]+)$/.exec(image) ?? [];
  await runAsync(
    ...[helm, ...before, 'upgrade', '--install', 'bootfarm', join(root, 'charts/bootfarm')],
    ...['--namespace', OPERATOR_NAMESPACE, '--create-namespace', '--wait', '--timeout', '3m'],
    ...['--set', `image.repository=${repository}`, '--set', `image.tag=${tag}`],
    ...['--set', `farmNamespaces={${namespaces.join()}}`],
  );
}

export class DemoFarm<S extends Site = Site> {
  readonly site: S;
  readonly say: Say;
  readonly namespace: string;
  /** Of the last server: as of `performance.now()`. */
  killedAt = 0;

  constructor(site: S, say: Say, namespace = NAMESPACE) {
    this.site = site;
    this.say = say;
    this.namespace = namespace;
  }

  kubectl(...args: string[]): Promise<string> {
    const [program, ...before] = this.site.kubectl;
    return runAsync(program, ...before, '-n', this.namespace, ...args);
  }

  async status<T extends Status>(resource: string): Promise<T> {
    const object: { readonly status?: T } = JSON.parse(await this.kubectl('get', resource, '-o', 'json'));
    return object.status ?? ({} as T);
  }

  /** Whether servers take from each other what they lack, and how many bits a second at most. */
  async replicate(mode: 'Auto' | 'Report', bandwidth?: string): Promise<void> {
    const patch = JSON.stringify({ spec: { replication: { mode, bandwidth } } });
    await this.kubectl('patch', 'stores.bootfarm.io/local', '--type=merge', '--patch', patch);
  }

  /** The disk and its kernel, put on these nodes by hand; absent: on every one. */
  placeDisk(
    folder: string,
    { files = DISK_FILES, nodes }: { readonly files?: readonly string[]; readonly nodes?: readonly string[] } = {},
  ): Promise<void> {
    // Of a size that is no multiple of 4, as three of four are: the EFI stub of a kernel joins archives as they are.
    const initrd = join(folder, 'lab.initrd');
    if (statSync(initrd).size % 4 === 0) appendFileSync(initrd, '\0');
    return this.site.placeFiles(folder, files, STORE_FOLDER, nodes ?? this.site.nodes.map(({ name }) => name));
  }

  /** The namespace of the farm, the operator with a Role in it, and the samples. */
  async install(): Promise<void> {
    await this.makeNamespace();
    await installOperator(this.site, [this.namespace]);
    await this.make();
  }

  /** That of deploy/samples, which says that it may hold farms. */
  makeNamespace(): Promise<void> {
    return this.apply(readFileSync(join(root, 'deploy/samples/namespace.yaml'), 'utf8'));
  }

  /** The samples, one after the other in this order. Farms of two namespaces have folders of their own for their data. */
  async make(order: readonly string[] = ['Farm', 'Store', 'VDisk', 'StreamingServer'], replicas = 1): Promise<void> {
    const [kubectl, ...args] = this.site.kubectl;
    const samples = await runAsync(kubectl, ...args, 'kustomize', join(root, 'deploy/samples'));
    const text = samples
      .replaceAll(SAMPLE_NODE, this.site.nodes.at(-1)?.name ?? SAMPLE_NODE)
      .replace('replicas: 1', `replicas: ${replicas}`)
      .replaceAll(`${DATA_FOLDER}/`, this.namespace === NAMESPACE ? '$&' : `$&${this.namespace}-`);
    const byKind = new Map(parseAllDocuments(text).map((document) => [document.get('kind'), String(document)]));
    for (const kind of order) await this.apply(byKind.get(kind) ?? '');
  }

  async apply(text: string): Promise<void> {
    const [kubectl, ...args] = this.site.kubectl;
    execFileSync(kubectl, [...args, '-n', this.namespace, 'apply', '-f', '-'], {
      input: text.replaceAll(NAMESPACE, this.namespace),
      stdio: ['pipe', 'ignore', 'inherit'],
    });
  }

  /** Tells every change of what is waited for. */
  async waitReady(resources: readonly string[] = RESOURCES, deadlineMs = 4 * MINUTE): Promise<void> {
    const told = new Map<string, string>();
    await until(`Ready: ${resources.join(', ')}`, deadlineMs, async () => {
      const ready = await Promise.all(
        resources.map(async (resource) => {
          const { conditions } = await this.status<Status>(resource);
          const condition = conditions?.find(({ type }) => type === 'Ready');
          const line = `${resource}: ${condition ? `Ready=${condition.status} ${condition.reason}: ${condition.message}` : 'not looked at yet'}`;
          if (told.get(resource) !== line) this.say(line);
          told.set(resource, line);
          return condition?.status === 'True';
        }),
      );
      return ready.every(Boolean);
    });
  }

  async scale(replicas: number): Promise<void> {
    await this.kubectl('scale', 'bfs/main', `--replicas=${replicas}`);
    await until(
      `${replicas} servers that stream`,
      2 * MINUTE,
      async () => (await this.streaming()).length === replicas,
    );
  }

  async streaming(): Promise<readonly ServerStatus[]> {
    const { servers } = await this.status<PoolStatus>('bfs/main');
    return (servers ?? []).filter(({ state }) => state === 'Streaming');
  }

  /** Every object of the farm as it was written last, by kind and name. */
  async written(): Promise<Readonly<Record<string, Written>>> {
    const kinds = 'farms,stores.bootfarm.io,vdisks,streamingservers,secrets,services,deployments,statefulsets,events';
    const { items } = JSON.parse(await this.kubectl('get', kinds, '-o', 'json')) as { readonly items: KubeObject[] };
    return Object.fromEntries(
      items.map(({ kind, metadata: { name, resourceVersion }, status }) => [
        `${kind} ${name}`,
        { resourceVersion, status },
      ]),
    );
  }

  /** The name of the node whose address this is, with or without a port. */
  nodeAt(address: string): string {
    const host = address.replace(/:\d+$/, '');
    const found = this.site.nodes.find((node) => node.address === host);
    if (!found) throw new Error(`no node has the address ${address}`);
    return found.name;
  }

  async #pods(): Promise<readonly Pod[]> {
    const text = await this.kubectl('get', 'pods', '-l', 'app.kubernetes.io/component=server', '-o', 'json');
    return (JSON.parse(text) as { readonly items: readonly Pod[] }).items;
  }

  /** Of all servers; one that goes is there until it is gone. */
  async serverPods(): Promise<readonly { readonly name: string; readonly ready: boolean; readonly image?: string }[]> {
    return (await this.#pods()).map(
      ({ metadata: { name }, spec: { containers }, status: { containerStatuses = [] } }) => {
        const ready = containerStatuses.length > 0 && containerStatuses.every(({ ready }) => ready);
        return { name, ready, ...(containers[0] ? { image: containers[0].image } : {}) };
      },
    );
  }

  async serverPod(node: string): Promise<Pod> {
    const pod = (await this.#pods()).find(({ spec }) => spec.nodeName === node);
    if (!pod) throw new Error(`no server is on ${node}`);
    return pod;
  }

  /** SIGKILL to the server's process; the kubelet starts it again by itself. */
  async killServer(node: string): Promise<void> {
    const { status, metadata } = await this.serverPod(node);
    const id = status.containerStatuses?.find(({ name }) => name === 'server')?.containerID;
    if (id === undefined) throw new Error(`pod ${metadata.name} has no container that runs`);
    await this.site.kill(node, id);
    this.killedAt = performance.now();
  }

  /** `bootfarm device`, in the operator's pod: its service account may read the Secret of the farm's database. */
  device(...args: string[]): Promise<string> {
    return runAsync(...this.inOperator('device', ...args));
  }

  /** `bootfarm keys`, there too. */
  keys(...args: string[]): Promise<string> {
    return runAsync(...this.inOperator('keys', ...args));
  }

  /** `bootfarm replication`, there too. */
  replication(...args: string[]): Promise<string> {
    return runAsync(...this.inOperator('replication', ...args));
  }

  /** `bootfarm rollback`, there too. */
  rollback(...args: string[]): Promise<string> {
    return runAsync(...this.inOperator('rollback', ...args));
  }

  /** The command line of a command of bootfarm for this farm, in the operator's pod. */
  inOperator(...command: string[]): [string, ...string[]] {
    const exec = ['-n', OPERATOR_NAMESPACE, 'exec', '-i', 'deploy/bootfarm', '--', 'bootfarm'];
    return [...this.site.kubectl, ...exec, ...command, '--farm', `${this.namespace}/farm`];
  }

  /** Where the copies of the operator run. */
  async operators(): Promise<readonly { readonly node: string; readonly address: string }[]> {
    const [kubectl, ...before] = this.site.kubectl;
    const get = ['-n', OPERATOR_NAMESPACE, 'get', 'pods', '-l', 'app.kubernetes.io/component=operator', '-o', 'json'];
    const { items }: { readonly items: readonly OperatorPod[] } = JSON.parse(
      await runAsync(kubectl, ...before, ...get),
    );
    return items.map(({ spec, status }) => ({ node: spec.nodeName, address: status.podIP }));
  }

  /** `bootfarm` as a person has it, by the API and the kubeconfig. */
  desk(...args: string[]): Promise<string> {
    const [program, ...before] = this.site.desk;
    return runAsync(program, ...before, ...args, '--farm', `${this.namespace}/farm`);
  }

  async addDevice(name: string, mac: string, collection = COLLECTION): Promise<void> {
    this.say((await this.desk('device', 'add', name, '--mac', mac, '--collection', collection)).trim());
  }

  async stopDatabase(): Promise<void> {
    await this.kubectl('scale', 'statefulset/farm-database', '--replicas=0');
    await this.kubectl('wait', 'pod/farm-database-0', '--for=delete', '--timeout=90s');
  }

  async startDatabase(): Promise<void> {
    await this.kubectl('scale', 'statefulset/farm-database', '--replicas=1');
    await this.kubectl(
      'wait',
      'statefulset/farm-database',
      '--for=jsonpath={.status.readyReplicas}=1',
      '--timeout=120s',
    );
  }

  /**
   * The folder of the database's data goes under the name `away`, and the one that is kept as `now` comes in its place; without `now` it is empty, as a
   * lost volume is. On a cluster of our own alone.
   */
  async swapDatabase(away: string, now?: string): Promise<void> {
    await this.stopDatabase();
    const folder = this.databaseFolder();
    renameSync(folder, `${folder}.${away}`);
    if (now === undefined) mkdirSync(folder);
    else renameSync(`${folder}.${now}`, folder);
    await this.startDatabase();
  }

  /** A copy, as a backup of a database that is stopped: of the one in use, or of one that is kept. */
  async keepDatabase(as: string, of?: string): Promise<void> {
    const folder = this.databaseFolder();
    await runAsync('cp', '--archive', of === undefined ? folder : `${folder}.${of}`, `${folder}.${as}`);
  }

  /** The folder of the samples, where it lies on this machine. */
  databaseFolder(): string {
    if (!this.site.nodePath) throw new Error("the nodes of this cluster are not this machine's");
    return this.site.nodePath(this.site.nodes.at(-1)?.name ?? SAMPLE_NODE, `${DATA_FOLDER}/database`);
  }

  /** Condition Ready, once it is False for that reason. */
  async notReady(reason: string): Promise<Condition> {
    let ready: Condition | undefined;
    await until(`Ready False, reason ${reason}`, 2 * MINUTE, async () => {
      const { conditions } = await this.status<Status>('farm/farm');
      ready = conditions?.find(({ type }) => type === 'Ready');
      return ready?.status === 'False' && ready.reason === reason;
    });
    return ready as Condition;
  }

  /** Names of the devices that a server knows from its own follower. */
  async devices(): Promise<readonly string[]> {
    const [server] = await this.streaming();
    if (!server) throw new Error('no server streams');
    const { metadata } = await this.serverPod(server.name);
    const text = await this.kubectl('exec', metadata.name, '-c', 'server', '--', 'bootfarm', 'device', 'export');
    const [, ...rows] = text.trim().split('\n');
    return rows.map((row) => row.split(',')[0] ?? '').sort();
  }

  /** Device and server of every session in the farm database, `pc0001 node-a`, sorted. */
  sessions(): Promise<readonly string[]> {
    return this.#query("select device || ' ' || server from session where not ended order by device");
  }

  /**
   * Until every server's replica knows in which state the database is. It is told seconds later: what a database lost that was not told is taken for the
   * last moments of a fail-over, not for a restore.
   */
  async settled(): Promise<void> {
    const revisionAt = async (name: string): Promise<string> => {
      const { metadata } = await this.serverPod(name);
      const user = ['--user', READER_USER, '--pass', READER_USER, '--no-auth-warning'];
      const meta = ['redis-cli', '-s', '/run/bootfarm/redis.sock', ...user, 'hget', 'bootfarm:meta', 'revision'];
      return (await this.kubectl('exec', metadata.name, '-c', 'server', '--', ...meta)).trim();
    };
    await until('the revision of the database at every server', MINUTE, async () => {
      const [revision] = await this.#query('select revision from feed_cursor');
      const servers = await this.streaming();
      return (await Promise.all(servers.map(({ name }) => revisionAt(name)))).every((seen) => seen === revision);
    });
  }

  async #query(sql: string): Promise<readonly string[]> {
    const psql = `psql -h /tmp -U postgres -d bootfarm -tAc "${sql}"`;
    const text = await this.kubectl('exec', 'farm-database-0', '-c', 'postgres', '--', 'sh', '-c', psql);
    return text.split('\n').filter(Boolean);
  }
}
