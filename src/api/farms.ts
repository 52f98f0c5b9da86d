/** The farms of this operator as the API sees them: resources from the caches, rows from the database, or from the replica while that is away. */

import { sql } from 'kysely';
import { connect, type Database, type DatabaseAccess } from '../database/connection.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import { shared } from '../kit/shared.ts';
import type { Client } from '../kube/client.ts';
import type { InformerView } from '../kube/informers.ts';
import { type KubeObject, key } from '../kube/object.ts';
import { ofFarm, resource, resources } from '../reconcile/context.ts';
import { type ReplicaFarm, replicaFarm } from '../replica/devices.ts';
import type { RedisAccess } from '../replica/link.ts';
import type { Farm, Store, StreamingServer, VDisk } from '../resources/kinds.ts';
import { awayProblem, refusalOf } from './away.ts';
import { type Problem, problem } from './problem.ts';
import { type FarmServers, ServerLink, type ServersOf } from './servers.ts';

export interface Resources {
  readonly farms: InformerView;
  readonly stores: InformerView;
  readonly vdisks: InformerView;
  readonly pools: InformerView;
}

export interface FarmAccess {
  readonly database: DatabaseAccess;
  /** Absent: there is none yet. */
  readonly replica?: RedisAccess;
}

export type AccessOf = (farm: Farm, signal: AbortSignal) => Promise<Result<FarmAccess, Fault>>;

/** What was read, and since when it may be old. */
export interface Reading<T> {
  readonly value: T;
  readonly stale?: Stale;
}

export interface Stale {
  /** RFC 3339: up to then it was what the database held. */
  readonly since: string;
  readonly reason: string;
}

/** Passwords turn: what a farm is reached by is asked for again so often, and when it is refused. */
const ACCESS_LIFE_MS = 60_000;
const ACCESS_TIMEOUT_MS = 2_000;
/** All questions of this time share one reading of a replica: of 10,000 devices it takes 100 ms. */
const REPLICA_LIFE_MS = 1_000;
const CONNECTIONS = 4;

export class Farms {
  readonly #resources: Resources;
  readonly #accessOf: AccessOf;
  readonly #serversOf: ServersOf;
  readonly #client: Client;
  readonly #open = new Map<string, OpenFarm>();

  constructor(client: Client, resources: Resources, accessOf: AccessOf, serversOf: ServersOf) {
    this.#client = client;
    this.#resources = resources;
    this.#accessOf = accessOf;
    this.#serversOf = serversOf;
  }

  list(): readonly Farm[] {
    return resources('Farm', this.#resources.farms);
  }

  /** Undefined: there is no such Farm, or one that this release cannot read. */
  get(namespace: string, name: string): OpenFarm | undefined {
    const id = key(namespace, name);
    const found = resource('Farm', this.#resources.farms, id);
    const known = this.#open.get(id);
    if (!found?.parsed.ok || found.parsed.value.metadata.uid !== known?.uid) {
      this.#open.delete(id);
      void known?.close();
    }
    if (!found?.parsed.ok) return undefined;
    const open =
      this.#open.get(id) ??
      new OpenFarm(found.parsed.value, this.#client, this.#resources, this.#accessOf, this.#serversOf);
    open.farm = found.parsed.value;
    this.#open.set(id, open);
    return open;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map((farm) => farm.close()));
    this.#open.clear();
  }
}

interface Link {
  readonly access: FarmAccess;
  readonly farmId: string;
  readonly database: Database;
  readonly replica: () => ReturnType<typeof replicaFarm>;
  readonly atMs: number;
}

export class OpenFarm {
  /** As it is now. */
  farm: Farm;
  readonly uid: string | undefined;
  readonly client: Client;
  readonly #resources: Resources;
  readonly #accessOf: AccessOf;
  readonly #servers: ServerLink;
  #link: Link | undefined;
  #linking: Promise<Result<Link, Problem>> | undefined;
  #closed = false;

  constructor(farm: Farm, client: Client, resources: Resources, accessOf: AccessOf, serversOf: ServersOf) {
    this.farm = farm;
    this.client = client;
    this.uid = farm.metadata.uid;
    this.#resources = resources;
    this.#accessOf = accessOf;
    this.#servers = new ServerLink(serversOf);
  }

  get name(): string {
    return `${this.farm.metadata.namespace}/${this.farm.metadata.name}`;
  }

  get collections(): readonly string[] {
    return this.farm.spec.collections.map(({ name }) => name);
  }

  /** Of a collection. The only one, where the Farm names none. */
  siteOf(collection: string): string | undefined {
    const { collections, sites } = this.farm.spec;
    return collections.find(({ name }) => name === collection)?.site ?? sites[0]?.name ?? 'default';
  }

  pools(): readonly StreamingServer[] {
    return this.#of(resources('StreamingServer', this.#resources.pools, this.farm.metadata.namespace));
  }

  stores(): readonly Store[] {
    return this.#of(resources('Store', this.#resources.stores, this.farm.metadata.namespace));
  }

  vdisks(): readonly VDisk[] {
    return this.#of(resources('VDisk', this.#resources.vdisks, this.farm.metadata.namespace));
  }

  /** As the Kubernetes API has it, with the marks of who keeps it. */
  object(of: keyof Resources, name: string): KubeObject | undefined {
    return this.#resources[of].get(key(this.farm.metadata.namespace, name));
  }

  /** Whether it is this farm's, and this release reads it. */
  has(of: keyof Resources, name: string): boolean {
    if (of === 'farms') return name === this.farm.metadata.name;
    return this[of]().some(({ metadata }) => metadata.name === name);
  }

  /** To be asked, each by a question of its own. */
  servers(): Promise<Result<FarmServers, Problem>> {
    return this.#servers.open(this.farm);
  }

  #of<T extends { readonly spec: { readonly farmRef: { readonly name: string } } }>(all: readonly T[]): readonly T[] {
    return all.filter(ofFarm(this.farm.metadata.name));
  }

  /** From the database; while that is away from the replica, where `ofReplica` says what of it. */
  async read<T>(
    ofDatabase: (database: Database) => Promise<Result<T, Fault>>,
    ofReplica?: (replica: ReplicaFarm) => T,
  ): Promise<Result<Reading<T>, Problem>> {
    const link = await this.#linked();
    if (!link.ok) return link;
    const { database } = link.value;
    const answer = await this.#ask(link.value, ofDatabase);
    if (answer.ok) return ok({ value: answer.value });
    const refused = refusalOf(answer.error);
    if (refused) return { ok: false, error: refused };
    const reason = answer.error.message;
    if (!ofReplica) return problem('DatabaseAway', `${reason}. The replica does not hold this: ask again`);
    const replica = await link.value.replica();
    if (!replica.ok) return problem('ReplicaAway', `${reason}; ${replica.error.message}. Ask again`);
    const { meta } = replica.value;
    if (meta.farm !== link.value.farmId)
      return problem('ReplicaAway', `${reason}; the replica holds another farm (${meta.farm}). Ask again`);
    const since = new Date(meta.checkedAt ?? database.state.since).toISOString();
    return ok({ value: ofReplica(replica.value), stale: { since, reason } });
  }

  /** What the database refuses of an edit is the edit's own matter; that it is away is ours. */
  async edit<T, F extends Fault>(
    work: (database: Database) => Promise<Result<T, F>>,
  ): Promise<Result<Result<T, F>, Problem>> {
    const link = await this.#linked();
    if (!link.ok) return link;
    const wasAway = !link.value.database.state.reachable;
    const done = await this.#ask(link.value, work);
    const away = done.ok ? undefined : awayProblem(done.error, wasAway);
    return away ? { ok: false, error: away } : ok(done);
  }

  async #ask<T, F extends Fault>(
    link: Link,
    work: (database: Database) => Promise<Result<T, F>>,
  ): Promise<Result<T, F>> {
    const answer = await work(link.database);
    // Another password by now.
    if (!answer.ok && answer.error.code === 'AuthenticationFailed' && this.#link === link)
      this.#link = { ...link, atMs: Number.NEGATIVE_INFINITY };
    return answer;
  }

  #linked(): Promise<Result<Link, Problem>> {
    // A pool that is opened now would be closed by nobody.
    if (this.#closed)
      return Promise.resolve(problem('DatabaseAway', `Farm ${this.name} is gone, or another one by now: ask again`));
    const { farmID } = this.farm.status.database ?? {};
    if (farmID === undefined)
      return Promise.resolve(
        problem(
          'DatabaseAway',
          `the operator has not taken up the database of Farm ${this.name} yet: see its conditions`,
        ),
      );
    const known = this.#link;
    if (known?.farmId === farmID && performance.now() - known.atMs < ACCESS_LIFE_MS) return Promise.resolve(ok(known));
    this.#linking ??= this.#makeLink(farmID).finally(() => {
      this.#linking = undefined;
    });
    return this.#linking;
  }

  async #makeLink(farmId: string): Promise<Result<Link, Problem>> {
    const known = this.#link;
    const access = await this.#accessOf(this.farm, AbortSignal.timeout(ACCESS_TIMEOUT_MS));
    if (!access.ok) {
      // What it was reached by still serves, most likely.
      if (known?.farmId === farmId) return ok(known);
      return problem(
        'DatabaseAway',
        `it is not known how the database of Farm ${this.name} is reached: ${access.error.message}`,
      );
    }
    const isSame = known?.farmId === farmId && JSON.stringify(known.access) === JSON.stringify(access.value);
    if (isSame) {
      this.#link = { ...known, atMs: performance.now() };
      return ok(this.#link);
    }
    const database = openDatabase(access.value.database, farmId);
    if (!database.ok) return problem('DatabaseAway', database.error.message);
    void known?.database.close();
    const { replica } = access.value;
    this.#link = {
      access: access.value,
      farmId,
      database: database.value,
      replica: shared(
        async () => (replica ? replicaFarm(replica) : fail('Unreachable', `Farm ${this.name} has no replica yet`)),
        REPLICA_LIFE_MS,
      ),
      atMs: performance.now(),
    };
    return ok(this.#link);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#servers.close();
    await this.#linking?.catch(() => {});
    await this.#link?.database.close();
    this.#link = undefined;
  }
}

/** Nothing is read of, nor written to, a database that is not the farm's. */
const openDatabase = (access: DatabaseAccess, farmId: string) =>
  connect({
    ...access,
    maxConnections: CONNECTIONS,
    applicationName: 'bootfarm api',
    prove: async (db) => {
      const { rows } = await sql<{ id: string }>`select id::text as id from farm`.execute(db);
      const found = rows[0]?.id;
      if (found === farmId) return undefined;
      const message = `the database holds ${found === undefined ? 'no farm' : `farm ${found}`}, not ${farmId}: see the conditions of the Farm`;
      return { code: 'DatabaseForeign', message };
    },
  });
