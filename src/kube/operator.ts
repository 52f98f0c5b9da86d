import { readFile } from 'node:fs/promises';
import type { ResourceEvent, ResourceMeta } from '@dot-i/k8s-operator';
import type { KubeConfig, V1CustomResourceDefinition } from '@kubernetes/client-node';
import { parse } from 'yaml';
import { ok } from '../kit/result.ts';
import type { Logger } from '../telemetry/log.ts';
import { applyStatusChanged } from './apply.ts';
import { type Answer, type Client, createClient } from './client.ts';
import { Controller, type ControllerOptions } from './controller.ts';
import { finalizerCase } from './finalizer.ts';
import { Informer, type InformerOptions } from './informer.ts';
import { kinds } from './kinds.ts';
import { LeaseElection, type LeaseTimes } from './lease.ts';
import { eventReconcile, librarysLogger, metaOf, targetOf, thrown } from './library.ts';
import type { EngineMetrics } from './metrics.ts';
import { all, at, type Kind, type KubeObject } from './object.ts';
import { requestPath } from './path.ts';
import { library } from './upstream.ts';

export interface OperatorOptions {
  /** Absent = as kubectl finds it, or in the cluster. */
  readonly kubeConfig?: KubeConfig;
  readonly logger: Logger;
  readonly metrics?: EngineMetrics;
  /** Absent = no election: this process is the only one. */
  readonly lease?: {
    readonly namespace: string;
    readonly name: string;
    readonly identity: string;
    readonly times?: LeaseTimes;
  };
}

/** What `control` needs beside what the operator has. */
export type Control = Omit<ControllerOptions, 'logger' | 'metrics'>;

/**
 * The operator class of @dot-i/k8s-operator on our engine. Subclasses say in `init` what they watch: by `informer` and
 * `control` (a reconciler by key), or by the library's own `watchResource` (a callback by event). Informers run
 * everywhere, so that a stand-by is warm; controllers run only where the lease is held.
 *
 * What the library does and this does not: end the process when a watch breaks, handle one event at a time for all
 * kinds, swallow what a handler throws, miss what happened while it was away.
 */
export abstract class EngineOperator extends library.default {
  protected readonly client: Client;
  protected readonly log: Logger;
  readonly #metrics: EngineMetrics | undefined;
  readonly #leaseName: string;
  readonly #election: LeaseElection | undefined;
  readonly #informers = new Map<string, Informer>();
  readonly #controls: Control[] = [];
  #controllers: Controller[] = [];
  /** Starting and ending controllers, one after the other. */
  #turn: Promise<void> = Promise.resolve();
  #started: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor({ kubeConfig, logger, metrics, lease }: OperatorOptions) {
    super(librarysLogger(logger));
    if (kubeConfig) this.kubeConfig = kubeConfig;
    this.log = logger;
    this.#metrics = metrics;
    this.#leaseName = lease?.name ?? 'none';
    this.client = createClient(this.kubeConfig, metrics ? { onAnswer: metrics.answered } : {});
    this.#election =
      lease &&
      new LeaseElection({
        ...lease,
        client: this.client,
        logger,
        onLead: () => this.#lead(),
        onLost: () => this.#rest(),
      });
  }

  /** Calls `init`, then starts what it registered. Resolves before the informers are synced: see `synced`. */
  override start(): Promise<void> {
    this.#started ??= this.#start();
    return this.#started;
  }

  async #start(): Promise<void> {
    await super.start();
    for (const informer of this.#informers.values()) informer.start();
    if (this.#election) this.#election.start();
    else this.#lead();
  }

  /** The same as `close`, for callers of the library's class. */
  override stop(): void {
    void this.close();
  }

  /** Ends the reconciles under way, gives the lease up, ends the watches and the connections. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#rest();
    await this.#turn;
    await this.ended();
    await this.#election?.close();
    await Promise.all([...this.#informers.values()].map((informer) => informer.close()));
    await this.client.close();
  }

  /** True once every informer's cache is whole; false when the operator was closed before. */
  get synced(): Promise<boolean> {
    const all = [...this.#informers.values()].map((informer) => informer.synced);
    return Promise.all(all).then((synced) => !synced.includes(false));
  }

  get leads(): boolean {
    return this.#election ? this.#election.leads : this.#started !== undefined && this.#closed === undefined;
  }

  /** For `init`: the one informer of a kind and selection; every caller of the same gets the same. */
  protected informer<T extends KubeObject = KubeObject>(
    kind: Kind,
    selection: Pick<InformerOptions, 'namespace' | 'labelSelector' | 'fieldSelector' | 'times'> = {},
  ): Informer<T> {
    const { namespace, labelSelector, fieldSelector } = selection;
    const id = JSON.stringify([kind.apiVersion, kind.plural, namespace, labelSelector, fieldSelector]);
    const known = this.#informers.get(id);
    if (known) return known as unknown as Informer<T>;
    const onList = (changes: number) => this.#metrics?.relisted(kind.kind, changes);
    const informer = new Informer<T>({ ...selection, kind, client: this.client, logger: this.log, onList });
    this.#informers.set(id, informer as unknown as Informer);
    return informer;
  }

  /** For `init`: registers a reconciler, which runs whenever this process leads. */
  protected control(control: Control): void {
    this.#controls.push(control);
  }

  /** Called when this process leads no more and no reconciler runs: what a subclass keeps for the leader alone ends here. */
  protected async rested(): Promise<void> {}
  /** It leads no more, and never will: before its lease is given up. */
  protected async ended(): Promise<void> {}

  // From here: the library's own calls, on the engine.

  protected override async watchResource(
    group: string,
    version: string,
    plural: string,
    onEvent: (event: ResourceEvent) => Promise<void>,
    namespace?: string,
  ): Promise<void> {
    const apiVersion = group ? `${group}/${version}` : version;
    const informer = this.informer({ apiVersion, kind: plural, plural }, namespace ? { namespace } : {});
    const reconcile = eventReconcile(informer, onEvent);
    this.control({ name: plural, informer, reconcile, isNews: () => true });
  }

  protected override getCustomResourceApiUri(group: string, version: string, plural: string, namespace = ''): string {
    const apiVersion = group ? `${group}/${version}` : version;
    const server = this.kubeConfig.getCurrentCluster()?.server ?? '';
    return server + requestPath(all({ apiVersion, kind: '', plural }, namespace));
  }

  /** Applies a CRD from a YAML file, whether it exists or not. */
  protected override async registerCustomResourceDefinition(crdFile: string) {
    const crd = parse(await readFile(crdFile, 'utf8')) as V1CustomResourceDefinition;
    const name = crd.metadata?.name;
    if (crd.kind !== 'CustomResourceDefinition' || !name) throw new Error(`${crdFile} is no CustomResourceDefinition`);
    const applied = await this.client.apply(at(kinds.CustomResourceDefinition, undefined, name), crd);
    if (!applied.ok) throw thrown(applied.error);
    const { group, versions, names } = crd.spec;
    return { group, versions, plural: names.plural };
  }

  /** Makes the status equal to this one; no request when it is. Null when the object is gone; throws other faults. */
  protected override async setResourceStatus(meta: ResourceMeta, status: unknown): Promise<ResourceMeta | null> {
    const target = targetOf(meta);
    const live = await this.client.get(target);
    if (!live.ok) return this.#metaOrNull(target, live);
    const written = await applyStatusChanged(this.client, target, status as object, live.value);
    return this.#metaOrNull(target, written.ok ? ok(written.value.object) : written);
  }

  /** Merges into the status (RFC 7386). Null when the object is gone; throws other faults. */
  protected override async patchResourceStatus(meta: ResourceMeta, status: unknown): Promise<ResourceMeta | null> {
    const target = targetOf(meta);
    return this.#metaOrNull(target, await this.client.patch(target, { status }, { subresource: 'status' }));
  }

  /** True when the event needs no more work. Throws when the API refuses, so that the event comes again. */
  protected override async handleResourceFinalizer(
    event: ResourceEvent,
    finalizer: string,
    deleteAction: (event: ResourceEvent) => Promise<void>,
  ): Promise<boolean> {
    if (event.type === library.ResourceEventType.Deleted) return false;
    const { metadata } = event.object as unknown as KubeObject;
    const others = metadata.finalizers?.filter((other) => other !== finalizer) ?? [];
    switch (finalizerCase({ metadata }, finalizer, Date.now(), Number.POSITIVE_INFINITY)) {
      case 'Reconcile':
        return false;
      case 'Leave':
        return true;
      case 'Add':
        await this.setResourceFinalizers(event.meta, [...others, finalizer]);
        return true;
      case 'CleanUp':
      case 'LastTry':
        await deleteAction(event);
        await this.setResourceFinalizers(event.meta, others);
        return true;
    }
  }

  /** A Conflict, thrown, when the object is not the one of `meta` any more: the list is written whole. */
  protected override async setResourceFinalizers(meta: ResourceMeta, finalizers: string[]): Promise<void> {
    const target = targetOf(meta);
    const { resourceVersion } = meta;
    this.#metaOrNull(target, await this.client.patch(target, { metadata: { resourceVersion, finalizers } }));
  }

  #metaOrNull(kind: Kind, answer: Awaited<Answer<KubeObject>>): ResourceMeta | null {
    if (answer.ok) return metaOf(kind, answer.value);
    if (answer.error.code === 'NotFound') return null;
    throw thrown(answer.error);
  }

  #lead(): void {
    this.#metrics?.leads(this.#leaseName, true);
    this.#turn = this.#turn.then(() => {
      if (this.#closed || this.#controllers.length > 0) return;
      this.#controllers = this.#controls.map((control) => new Controller(this.#whole(control)));
      for (const controller of this.#controllers) void controller.start();
    });
  }

  #rest(): void {
    this.#metrics?.leads(this.#leaseName, false);
    this.#turn = this.#turn.then(async () => {
      const controllers = this.#controllers;
      this.#controllers = [];
      await Promise.all(controllers.map((controller) => controller.close()));
      await this.rested();
    });
  }

  #whole(control: Control): ControllerOptions {
    return { ...control, logger: this.log, ...(this.#metrics ? { metrics: this.#metrics } : {}) };
  }
}
