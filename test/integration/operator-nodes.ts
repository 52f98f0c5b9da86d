/**
 * What a cluster's controllers and kubelets would do to the operator's Deployments, on an API server that has none: each gets a status as the
 * Deployment controller writes it, and a real control port on a loopback address of its node. What happened when is kept, to be asserted.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type BootSource, type ControlServer, startControl } from '../../src/control/server.ts';
import type { ServerStatus } from '../../src/control/status.ts';
import type { Database } from '../../src/database/connection.ts';
import { registerServer } from '../../src/database/servers.ts';
import type { Client } from '../../src/kube/client.ts';
import { kinds } from '../../src/kube/kinds.ts';
import { all, at, type KubeObject } from '../../src/kube/object.ts';
import { NO_BOOTS } from '../fakes/boots.ts';

const LOOK_MS = 50;
const NODE_ANNOTATION = 'bootfarm.io/node';

interface Running {
  readonly node: string;
  /** The generation of its Deployment that it runs. */
  readonly generation: number;
  readonly control: ControlServer;
}

export class Nodes {
  /** `up node-a`, `down node-a`, in order. */
  readonly happened: string[] = [];
  /** What every server says of itself, beside its name. */
  says: Partial<ServerStatus> = {};
  /** What a server heard of machines. */
  boots: (server: string) => BootSource = () => NO_BOOTS;
  /** Servers that start stay down while this is set. */
  held = false;
  readonly #client: Client;
  readonly #namespace: string;
  readonly #folder: string;
  readonly #database: Database;
  readonly #running = new Map<string, Running>();
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;

  constructor(client: Client, namespace: string, folder: string, database: Database) {
    this.#client = client;
    this.#namespace = namespace;
    this.#folder = folder;
    this.#database = database;
    this.#loop = this.#run();
  }

  /** Ready nodes `node-a`, `node-b`, … at 127.0.7.1, 127.0.7.2, … */
  static async add(client: Client, names: readonly string[]): Promise<void> {
    for (const [index, name] of names.entries()) {
      const target = at(kinds.Node, undefined, name);
      const status = {
        addresses: [{ type: 'InternalIP', address: `127.0.7.${index + 1}` }],
        conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: new Date().toISOString() }],
      };
      const made = await client.create(target, { metadata: { labels: { 'kubernetes.io/hostname': name } } });
      if (!made.ok) throw new Error(made.error.message);
      await client.patch(target, { status }, { subresource: 'status' });
    }
  }

  get running(): readonly string[] {
    return [...this.#running.keys()].sort();
  }

  /** Its container ends; gives what starts it again, as the kubelet would. */
  async crash(node: string): Promise<() => void> {
    const running = this.#running.get(node);
    await running?.control.close();
    return () => {
      if (this.#running.get(node) === running) this.#running.delete(node);
    };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    for (const { control } of this.#running.values()) await control.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const list = await this.#client.listAll(all(kinds.Deployment, this.#namespace), { signal });
      for (const deployment of list.ok ? list.value : []) await this.#look(deployment).catch(() => undefined);
      const sets = await this.#client.listAll(all(kinds.StatefulSet, this.#namespace), { signal });
      for (const set of sets.ok ? sets.value : []) await this.#roll(set);
      await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #look(deployment: KubeObject): Promise<void> {
    const { name, generation = 1, deletionTimestamp, annotations = {} } = deployment.metadata;
    const node = annotations[NODE_ANNOTATION] ?? '';
    const target = at(kinds.Deployment, this.#namespace, name);
    const running = this.#running.get(node);
    if (running && (deletionTimestamp || running.generation !== generation)) {
      this.#running.delete(node);
      await running.control.close();
      this.happened.push(`down ${node}`);
      const status = { observedGeneration: generation, replicas: 0, updatedReplicas: 0, readyReplicas: 0 };
      await this.#client.patch(target, { status }, { subresource: 'status' });
    }
    // Foreground deletion: the garbage collector lets it go when its pods are gone.
    if (deletionTimestamp) return void (await this.#client.patch(target, { metadata: { finalizers: null } }));
    if (this.held || this.#running.has(node)) return;
    const control = await this.#start(name, node);
    this.#running.set(node, { node, generation, control });
    this.happened.push(`up ${node}`);
    const status = { observedGeneration: generation, replicas: 1, updatedReplicas: 1, readyReplicas: 1 };
    await this.#client.patch(target, { status }, { subresource: 'status' });
  }

  /** Whatever a StatefulSet asks for is so at once. */
  async #roll({ metadata: { name, generation = 1 }, status }: KubeObject): Promise<void> {
    if ((status as { readonly observedGeneration?: number } | undefined)?.observedGeneration === generation) return;
    const patch = { status: { observedGeneration: generation, replicas: 1, readyReplicas: 1 } };
    await this.#client.patch(at(kinds.StatefulSet, this.#namespace, name), patch, { subresource: 'status' });
  }

  /** From its Secret alone, as a pod has it. */
  async #start(name: string, node: string): Promise<ControlServer> {
    const secret = await this.#client.get<KubeObject & { data: Record<string, string> }>(
      at(kinds.Secret, this.#namespace, `bootfarm-server-${name}`),
    );
    if (!secret.ok) throw new Error(secret.error.message);
    const tlsDirectory = join(this.#folder, name);
    mkdirSync(tlsDirectory, { recursive: true });
    const file = (key: string): string => Buffer.from(secret.value.data[key] ?? '', 'base64').toString();
    for (const key of ['tls.crt', 'tls.key', 'ca.crt']) writeFileSync(join(tlsDirectory, key), file(key));
    const config = JSON.parse(file('server.json'));
    const found = await this.#client.get<KubeObject & { status: { addresses: { address: string }[] } }>(
      at(kinds.Node, undefined, node),
    );
    const address = (found.ok && found.value.status.addresses[0]?.address) || '';
    const instance = `${node}-${this.happened.length}`;
    const control = await startControl({
      address,
      port: config.ports.control,
      tlsDirectory,
      boots: {
        records: (macs) => this.boots(node).records(macs),
        unknown: () => this.boots(node).unknown(),
      },
      holdings: { of: async () => undefined },
      status: () => ({
        name: node,
        instance,
        release: 'dev',
        site: config.site,
        pool: config.pool,
        address,
        state: 'Streaming',
        bootstrapHash: 'a'.repeat(64),
        devices: 0,
        booting: 0,
        powerRating: config.powerRating,
        loadPercent: 0,
        journalEntries: 0,
        faults: [],
        stores: [],
        copies: [],
        ...this.says,
      }),
    });
    if (!control.ok) throw new Error(control.error.message);
    await registerServer(this.#database, {
      name: node,
      site: config.site,
      pool: config.pool,
      address,
      ports: config.ports,
      powerRating: config.powerRating,
    });
    return control.value;
  }
}
