/** Farms with their sites, servers, vDisks and stores, as their resources say they are: no database is asked, but for copies and files. */
import { vdiskCopies } from '../../database/pages.ts';
import { snapshot } from '../../database/project.ts';
import type { Copy, Version } from '../../farm/model.ts';
import { ok, type Result } from '../../kit/result.ts';
import type { OpenFarm } from '../farms.ts';
import { farmOf, type Named, poolOf, serversOf, storeOf, vdiskOf } from '../given.ts';
import { type After, orderOf, type PageQuery, pageOf } from '../page.ts';
import { type Problem, problem } from '../problem.ts';
import { type Asked, FARM, type Handled, type Route, route } from '../route.ts';
import {
  CopyShape,
  FarmShape,
  FileShape,
  ListQuery,
  NoQuery,
  PoolShape,
  pageOfShape,
  ServerShape,
  SiteShape,
  StoreShape,
  VDiskShape,
} from '../schema.ts';

/** Of few things: all are in memory. `inOf`: what a name is unique in. */
function listed<T extends Named>(
  items: readonly T[],
  query: PageQuery & { readonly search?: string },
  inOf: (item: T) => string = () => '',
): Result<{ body: object }, Problem> {
  const order = orderOf(query, ['name']);
  if (!order.ok) return order;
  const { search } = query;
  const found = search === undefined ? items : items.filter(({ name }) => name.includes(search));
  return ok({ body: pageOf(found, order.value, (item) => ({ key: item.name, name: inOf(item) })) });
}

const farms = route({
  id: 'listFarms',
  method: 'GET',
  path: '/farms',
  summary: 'Farms of this operator, in the namespaces where the caller may list them',
  right: 'Everybody',
  query: ListQuery,
  answer: { status: 200, shape: pageOfShape(FarmShape) },
  async handle({ farms: known, reviews, caller, query }) {
    const all = known.list();
    const allowed = new Set<string>();
    for (const namespace of new Set(all.map(({ metadata }) => metadata.namespace))) {
      const may = await reviews.may(caller, { namespace, resource: 'farms', verb: 'list' });
      if (!may.ok) return may;
      if (may.value) allowed.add(namespace);
    }
    const seen = all.filter(({ metadata }) => allowed.has(metadata.namespace));
    if (all.length > 0 && seen.length === 0)
      return problem(
        'Forbidden',
        `${caller.username} may list farms in none of the namespaces that this operator looks after: ask an administrator for a RoleBinding to a ClusterRole of the chart`,
      );
    const order = orderOf(query, ['name']);
    if (!order.ok) return order;
    const { search } = query;
    const found = search === undefined ? seen : seen.filter(({ metadata }) => metadata.name.includes(search));
    const page = pageOf(found, order.value, ({ metadata }) => ({ key: metadata.name, name: metadata.namespace }));
    return ok({ body: { ...page, items: page.items.map(farmOf) } });
  },
});

const farm = route({
  id: 'getFarm',
  method: 'GET',
  path: FARM,
  summary: 'A farm: its conditions, database and replica',
  right: { resource: 'farms', verb: 'get', by: 'farm' },
  query: NoQuery,
  answer: { status: 200, shape: FarmShape },
  handle: async ({ farm: { farm: found } }) => ok({ body: farmOf(found) }),
});

const sites = route({
  id: 'listSites',
  method: 'GET',
  path: `${FARM}/sites`,
  summary: 'Sites: servers that can stand in for each other',
  right: { resource: 'farms', verb: 'get', by: 'farm' },
  query: ListQuery,
  answer: { status: 200, shape: pageOfShape(SiteShape) },
  async handle({ farm: open, query }) {
    const { spec } = open.farm;
    const names = spec.sites.length > 0 ? spec.sites.map(({ name }) => name) : ['default'];
    const servers = serversOf(open.pools());
    const all = names.map((name) => {
      const here = servers.filter(({ site }) => site === name);
      return {
        name,
        servers: here.length,
        streaming: here.filter(({ state }) => state === 'Streaming').length,
        devices: here.reduce((sum, { devices }) => sum + devices, 0),
        collections: open.collections.filter((collection) => open.siteOf(collection) === name),
      };
    });
    return listed(all, query);
  },
});

const servers = route({
  id: 'listServers',
  method: 'GET',
  path: `${FARM}/servers`,
  summary: 'Streaming servers with their load and the number of their sessions',
  right: { resource: 'servers', verb: 'list' },
  query: ListQuery,
  answer: { status: 200, shape: pageOfShape(ServerShape) },
  handle: async ({ farm: open, query }) => listed(serversOf(open.pools()), query, ({ pool }) => pool),
});

const pools = route({
  id: 'listPools',
  method: 'GET',
  path: `${FARM}/pools`,
  summary: 'Pools of servers: each is a StreamingServer',
  right: { resource: 'servers', verb: 'list' },
  query: ListQuery,
  answer: { status: 200, shape: pageOfShape(PoolShape) },
  handle: async ({ farm: open, query }) => listed(open.pools().map(poolOf), query),
});

const server = route({
  id: 'getServer',
  method: 'GET',
  path: `${FARM}/servers/{server}`,
  summary: 'A streaming server',
  right: { resource: 'servers', verb: 'get' },
  query: NoQuery,
  answer: { status: 200, shape: ServerShape },
  handle: async ({ farm: open, params }) => one('server', serversOf(open.pools()), params['server']),
});

async function one<T extends Named>(what: string, all: readonly T[], name: string | undefined): Handled {
  const found = all.find((item) => item.name === name);
  if (found) return ok({ body: found });
  return problem(
    'NotFound',
    `the farm has no ${what} ${name}; it has ${
      all
        .map((item) => item.name)
        .join(', ')
        .slice(0, 500) || 'none'
    }`,
  );
}

const vdisks = route({
  id: 'listVDisks',
  method: 'GET',
  path: `${FARM}/vdisks`,
  summary: 'vDisks with their versions',
  right: { resource: 'vdisks', verb: 'list' },
  query: ListQuery,
  answer: { status: 200, shape: pageOfShape(VDiskShape) },
  handle: async ({ farm: open, query }) => listed(open.vdisks().map(vdiskOf), query),
});

const vdisk = route({
  id: 'getVDisk',
  method: 'GET',
  path: `${FARM}/vdisks/{vdisk}`,
  summary: 'A vDisk with its versions',
  right: { resource: 'vdisks', verb: 'get' },
  query: NoQuery,
  answer: { status: 200, shape: VDiskShape },
  handle: async ({ farm: open, params }) => one('vDisk', open.vdisks().map(vdiskOf), params['vdisk']),
});

const copies = route({
  id: 'listCopies',
  method: 'GET',
  path: `${FARM}/vdisks/{vdisk}/copies`,
  summary: 'Every copy of every version of a vDisk, as the operator judged it last',
  right: { resource: 'vdisks', verb: 'get' },
  query: ListQuery,
  answer: { status: 200, shape: pageOfShape(CopyShape) },
  async handle(asked) {
    const { vdisk: name = '' } = asked.params;
    if (!asked.farm.vdisks().some(({ metadata }) => metadata.name === name))
      return one('vDisk', asked.farm.vdisks().map(vdiskOf), name);
    const read = await asked.farm.read(
      (database) => vdiskCopies(database, name),
      (replica) => replica.copies.filter((copy) => copy.vdisk === name),
    );
    if (!read.ok) return read;
    const at = ({ server: of, version }: Copy): After => {
      const key = `${String(version).padStart(10, '0')}/${of}`;
      return { key, name: key };
    };
    return inPages(asked, read.value.value, at, read.value.stale);
  },
});

/** `search` looks into the key. */
function inPages<T>(
  { query }: Asked<PageQuery & { readonly search?: string }>,
  items: readonly T[],
  at: (item: T) => After,
  stale: object | undefined,
): Result<{ body: object }, Problem> {
  const order = orderOf(query, ['name']);
  if (!order.ok) return order;
  const { search } = query;
  const found = search === undefined ? items : items.filter((item) => at(item).key.includes(search));
  const page = pageOf(found, order.value, at);
  return ok({ body: { ...page, ...(stale ? { stale } : {}) } });
}

const stores = route({
  id: 'listStores',
  method: 'GET',
  path: `${FARM}/stores`,
  summary: 'Stores, as each server sees them',
  right: { resource: 'stores', verb: 'list' },
  query: ListQuery,
  answer: { status: 200, shape: pageOfShape(StoreShape) },
  handle: async ({ farm: open, query }) => listed(open.stores().map(storeOf), query),
});

const store = route({
  id: 'getStore',
  method: 'GET',
  path: `${FARM}/stores/{store}`,
  summary: 'A store, as each server sees it',
  right: { resource: 'stores', verb: 'get' },
  query: NoQuery,
  answer: { status: 200, shape: StoreShape },
  handle: async ({ farm: open, params }) => one('store', open.stores().map(storeOf), params['store']),
});

const files = route({
  id: 'listFiles',
  method: 'GET',
  path: `${FARM}/stores/{store}/files`,
  summary: 'Files of the versions that belong into a store, as they must be',
  right: { resource: 'stores', verb: 'get' },
  query: ListQuery,
  answer: { status: 200, shape: pageOfShape(FileShape) },
  async handle(asked) {
    const { farm: open, params } = asked;
    const found = await one('store', open.stores().map(storeOf), params['store']);
    if (!found.ok) return found;
    const read = await open.read<readonly Version[]>(
      async (database) => {
        const rows = await snapshot(database);
        return rows.ok ? ok(rows.value?.versions ?? []) : rows;
      },
      (replica) => replica.snapshot.versions,
    );
    if (!read.ok) return read;
    const all = filesOf(open, params['store'] ?? '', read.value.value);
    // Of different vDisks, or versions, they may have one name.
    return inPages(
      asked,
      all,
      ({ name, vdisk: of, version }) => ({ key: name, name: `${of}/${version}` }),
      read.value.stale,
    );
  },
});

function filesOf(open: OpenFarm, storeName: string, versions: readonly Version[]) {
  const here = new Set(
    open
      .vdisks()
      .filter(({ spec }) => spec.storeRef.name === storeName)
      .map(({ metadata }) => metadata.name),
  );
  return versions.flatMap(({ vdisk: of, number, content }) =>
    here.has(of) ? (content?.files ?? []).map((file) => ({ ...file, vdisk: of, version: number })) : [],
  );
}

export const farmRoutes: readonly Route[] = [
  farms,
  farm,
  sites,
  pools,
  servers,
  server,
  vdisks,
  vdisk,
  copies,
  stores,
  store,
  files,
];
