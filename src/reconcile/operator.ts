/** The operator: informers of the four kinds and of what they stand on, and a reconciler for each kind. */
import type { AskedServer } from '../control/client.ts';
import { type Client, createClient } from '../kube/client.ts';
import { eventRecorder, type RecordEvent } from '../kube/events.ts';
import { type JoinedInformers, joinInformers } from '../kube/informers.ts';
import { kinds } from '../kube/kinds.ts';
import { type Key, type Kind, type KubeObject, key as keyFor, keyOf } from '../kube/object.ts';
import { EngineOperator, type OperatorOptions } from '../kube/operator.ts';
import { ownedBy } from '../kube/owner.ts';
import { FarmRuntimes } from '../operator/runtimes.ts';
import type { Farm } from '../resources/kinds.ts';
import type { Context, Informers, Settings } from './context.ts';
import { controlIdentity, farmAccess } from './farm/access.ts';
import { reconcileFarm } from './farm/reconcile.ts';
import { reconcileMember } from './member.ts';
import type { ResourceMetrics } from './metrics.ts';
import { FARM_LABEL } from './names.ts';
import { Quiet } from './quiet.ts';
import { serversOfFarm } from './servers.ts';
import { storeMember } from './store/reconcile.ts';
import { poolMember } from './streamingserver/reconcile.ts';
import { vdiskMember } from './vdisk/reconcile.ts';

export interface BootfarmOperatorOptions extends OperatorOptions {
  /** Empty: every namespace. */
  readonly namespaces: readonly string[];
  /** Who speaks in Events: the pod's name. */
  readonly instance: string;
  readonly settings: Settings;
  readonly resourceMetrics?: ResourceMetrics;
}

/** The farm that a resource names, in its own namespace. */
const farmOf = (object: KubeObject): readonly Key[] => {
  const name = (object.spec as { readonly farmRef?: { readonly name?: string } } | undefined)?.farmRef?.name;
  return name ? [keyFor(object.metadata.namespace, name)] : [];
};

interface Seen {
  readonly client: Client;
  readonly resources: Pick<Informers, 'farms' | 'stores' | 'vdisks' | 'pools'>;
  readonly accessOf: (farm: Farm, signal: AbortSignal) => ReturnType<typeof farmAccess>;
  readonly serversOf: {
    readonly list: (farm: Farm) => readonly AskedServer[];
    readonly identity: (farm: Farm, signal: AbortSignal) => ReturnType<typeof controlIdentity>;
  };
}

export class BootfarmOperator extends EngineOperator {
  readonly #options: BootfarmOperatorOptions;
  readonly #runtimes: FarmRuntimes;
  readonly #quiet = new Quiet();
  readonly #record: RecordEvent;
  #informers: Informers | undefined;
  #clientOfApi: Client | undefined;

  constructor(options: BootfarmOperatorOptions) {
    super(options);
    this.#options = options;
    this.#runtimes = new FarmRuntimes(options.logger);
    this.#record = eventRecorder({ client: this.client, logger: options.logger, instance: options.instance });
  }

  /** Another copy leads, or nobody: what is written, and who is asked, is the next leader's matter. */
  protected override async rested(): Promise<void> {
    this.#quiet.rest();
    this.#runtimes.rest();
  }

  protected override async ended(): Promise<void> {
    await Promise.all([this.#runtimes.close(), this.#clientOfApi?.close()]);
  }

  /** What every copy of the operator sees, whoever leads: once it was started. Its client has connections of its own: the lease waits behind no question of people. */
  get seen(): Seen {
    if (!this.#informers) throw new Error('the operator was not started');
    const { metrics } = this.#options;
    this.#clientOfApi ??= createClient(this.kubeConfig, metrics ? { onAnswer: metrics.answered } : {});
    const client = this.#clientOfApi;
    const accessOf: Seen['accessOf'] = (farm, signal) => farmAccess(client, farm, signal);
    const informers = this.#informers;
    const serversOf: Seen['serversOf'] = {
      list: (farm) =>
        serversOfFarm({ informers }, farm).map(({ name, address, controlPort: port }) => ({ name, address, port })),
      identity: (farm, signal) => controlIdentity(client, farm, signal),
    };
    return { client, resources: informers, accessOf, serversOf };
  }

  protected override async init(): Promise<void> {
    const { namespaces, settings } = this.#options;
    const watched = <T extends KubeObject>(kind: Kind, labelSelector?: string): JoinedInformers<T> => {
      const selection = labelSelector === undefined ? {} : { labelSelector };
      const [first, ...others] = namespaces.map((namespace) => this.informer<T>(kind, { ...selection, namespace }));
      return joinInformers(first ? [first, ...others] : [this.informer<T>(kind, selection)]);
    };
    const informers: Informers = {
      farms: watched(kinds.Farm),
      stores: watched(kinds.Store),
      vdisks: watched(kinds.VDisk),
      pools: watched(kinds.StreamingServer),
      nodes: this.informer(kinds.Node),
      deployments: watched(kinds.Deployment, FARM_LABEL),
      pods: watched(kinds.Pod, FARM_LABEL),
    };
    this.#informers = informers;
    const context: Context = {
      client: this.client,
      informers,
      runtimes: this.#runtimes,
      settings,
      quiet: this.#quiet,
      record: this.#record,
      log: this.log,
    };
    this.#options.resourceMetrics?.watch(informers);
    const members = [informers.stores, informers.vdisks, informers.pools];
    // No look begins before all is there that it may read: what is not there yet looks like what is gone.
    const read = Object.values(informers).map((informer) => ({ informer, keysOf: () => [] }));
    this.control({
      name: 'farm',
      informer: informers.farms,
      sources: [...read, ...members.map((informer) => ({ informer, keysOf: farmOf }))],
      reconcile: (key, signal) => reconcileFarm(context, key, signal),
    });
    this.control({
      name: 'streamingserver',
      informer: informers.pools,
      sources: [...read, { informer: informers.deployments, keysOf: ownedBy(kinds.StreamingServer) }],
      // A server that was killed ends its connection long before its kubelet tells of it.
      news: (touch) =>
        this.#runtimes.onServers((farm) => {
          for (const pool of informers.pools.list()) if (farmOf(pool).includes(farm)) touch(keyOf(pool));
        }),
      reconcile: (key, signal) => reconcileMember(context, poolMember, key, signal),
    });
    this.control({
      name: 'store',
      informer: informers.stores,
      sources: [...read, { informer: informers.deployments, keysOf: ownedBy(kinds.Store) }],
      reconcile: (key, signal) => reconcileMember(context, storeMember, key, signal),
    });
    this.control({
      name: 'vdisk',
      informer: informers.vdisks,
      sources: read,
      reconcile: (key, signal) => reconcileMember(context, vdiskMember, key, signal),
    });
  }
}
