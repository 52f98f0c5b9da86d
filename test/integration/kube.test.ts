import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { applyChanged } from '../../src/kube/apply.ts';
import { type Client, createClient } from '../../src/kube/client.ts';
import { Controller } from '../../src/kube/controller.ts';
import { eventRecorder } from '../../src/kube/events.ts';
import { INFORMER_TIMES, Informer } from '../../src/kube/informer.ts';
import { kinds } from '../../src/kube/kinds.ts';
import { type Lease, LeaseElection } from '../../src/kube/lease.ts';
import { all, at, type KubeObject, keyOf } from '../../src/kube/object.ts';
import { outcomeOf, settled } from '../../src/kube/outcome.ts';
import { controllerRef, ownedBy } from '../../src/kube/owner.ts';
import { KubeConfig } from '../../src/kube/upstream.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { quietClock, until as within } from '../setup/time.ts';
import { type ApiServer, adminToken, startApiServer } from './api-server.ts';

jest.setTimeout(90_000);

const directory = mkdtempSync(join(tmpdir(), 'bootfarm-kube-'));
let server: ApiServer;
let client: Client;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  server = await startApiServer(directory);
  client = createClient(configOf(server.port));
});
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});
afterAll(async () => {
  await client?.close();
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});

function configOf(port: number): KubeConfig {
  const config = new KubeConfig();
  config.loadFromFile(server.kubeconfig);
  config.clusters = config.clusters.map((cluster) => ({ ...cluster, server: `https://127.0.0.1:${port}` }));
  return config;
}

const until = <T>(what: string, holds: () => Promise<T> | T, deadlineMs = 30_000) => within(what, holds, deadlineMs);

const map = (name: string) => at(kinds.ConfigMap, 'default', name);
const good = <T>(answer: { ok: true; value: T } | { ok: false; error: { message: string } }): T => {
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
};

/** A way to the API server that can be cut (connections break, none are taken) or made deaf (nothing passes, nothing breaks). */
class Wire {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #state: 'open' | 'cut' | 'deaf' = 'open';
  connections = 0;

  constructor() {
    this.#server = createServer((inner) => {
      if (this.#state === 'cut') return inner.destroy();
      this.connections += 1;
      const outer = connect(server.port, '127.0.0.1');
      for (const [from, to] of [
        [inner, outer],
        [outer, inner],
      ] as const) {
        this.#sockets.add(from);
        from.on('data', (data) => this.#state !== 'deaf' && to.write(data));
        from.on('error', () => {});
        from.on('close', () => to.destroy());
      }
      return undefined;
    });
  }

  async listen(): Promise<void> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  set(state: 'open' | 'cut' | 'deaf'): void {
    this.#state = state;
    if (state === 'cut') for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.set('cut');
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** An informer over the wire on the ConfigMaps with label `of`, and what it told. */
async function listening(of: string, wire: Wire, times = INFORMER_TIMES) {
  const own = createClient(configOf(wire.port));
  const lists: number[] = [];
  const onList = (changes: number) => lists.push(changes);
  const informer = new Informer({
    client: own,
    kind: kinds.ConfigMap,
    namespace: 'default',
    labelSelector: `of=${of}`,
    logger: silentLogger,
    times,
    onList,
  });
  const told: string[] = [];
  informer.onDelta(({ kind, object }) => told.push(`${kind} ${object.metadata.name}`));
  open.push(own, informer);
  informer.start();
  await informer.synced;
  return { informer, told, lists };
}

const put = async (name: string, of: string, value: string) =>
  good(await client.apply(map(name), { metadata: { labels: { of } }, data: { value } }));

describe('an informer', () => {
  let wire: Wire;
  beforeEach(async () => {
    wire = new Wire();
    await wire.listen();
    open.push(wire);
  });

  test('sees what is there, what comes, changes and goes', async () => {
    await put('see-a', 'see', '1');
    const { told, informer } = await listening('see', wire);
    await put('see-b', 'see', '1');
    await put('see-a', 'see', '2');
    good(await client.delete(map('see-b')));
    await until('the deletion', () => told.includes('Deleted see-b'));
    expect(told).toEqual(['Added see-a', 'Added see-b', 'Updated see-a', 'Deleted see-b']);
    expect(informer.list().map(keyOf)).toEqual(['default/see-a']);
  });

  test('lists in pages', async () => {
    await Promise.all(Array.from({ length: 5 }, (_, n) => put(`page-${n}`, 'page', '1')));
    const target = all(kinds.ConfigMap, 'default');
    const first = good(await client.list(target, { limit: 2, labelSelector: 'of=page' }));
    expect([first.items.length, first.items[0]?.kind]).toEqual([2, 'ConfigMap']);
    expect(good(await client.listAll(target, { labelSelector: 'of=page' }))).toHaveLength(5);
    const rest = await client.list(target, { limit: 2, continue: first.continue ?? '', labelSelector: 'of=page' });
    expect(good(rest).items.map(({ metadata }) => metadata.name)).toEqual(['page-2', 'page-3']);
  });

  test('survives the API server being killed: it goes on where it was', async () => {
    const { told, lists } = await listening('kill', wire);
    await put('kill-a', 'kill', '1');
    await until('the first', () => told.length === 1);
    await server.crash();
    await server.restart();
    await put('kill-b', 'kill', '1');
    await until('what came after', () => told.length === 2);
    expect(told).toEqual(['Added kill-a', 'Added kill-b']);
    expect(lists.every((changes) => changes === 0)).toBe(true);
  });

  test('lists again when its version is compacted away, and tells what vanished meanwhile', async () => {
    await put('gone-a', 'gone', '1');
    await put('gone-b', 'gone', '1');
    const { told, lists, informer } = await listening('gone', wire);
    wire.set('cut');
    good(await client.delete(map('gone-a')));
    await put('gone-b', 'gone', '2');
    await put('gone-c', 'gone', '1');
    await server.crash();
    await server.compact();
    await server.restart(); // its own memory of versions is gone, too
    expect(told).toEqual(['Added gone-a', 'Added gone-b']);
    wire.set('open');
    await until('the list', () => lists.length > 0);
    expect(told.slice(2)).toEqual(['Deleted gone-a', 'Updated gone-b', 'Added gone-c']);
    expect(lists).toEqual([3]);
    await put('gone-c', 'gone', '2');
    await until('the watch after the list', () => told.includes('Updated gone-c'));
    expect(informer.list()).toHaveLength(2);
  });

  test('leaves a watch that has gone silent', async () => {
    const times = { ...INFORMER_TIMES, silence: [1_000, 1_500] } as const;
    const { told } = await listening('deaf', wire, times);
    await put('deaf-a', 'deaf', '1');
    await until('the watch', () => told.length === 1);
    wire.set('deaf');
    await put('deaf-b', 'deaf', '1');
    const before = wire.connections;
    await until('a new connection', () => wire.connections > before);
    wire.set('open');
    await until('the news', () => told.includes('Added deaf-b'));
  });
});

test('faults have names, and server-side apply changes nothing twice', async () => {
  const first = await put('faults', 'faults', '1');
  const second = await put('faults', 'faults', '1');
  expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
  const code = (answer: { ok: boolean; error?: { code: string } }) => answer.error?.code;
  expect(code(await client.create(map('faults'), {}))).toBe('AlreadyExists');
  expect(code(await client.patch(map('faults'), { metadata: { resourceVersion: '1', labels: {} } }))).toBe('Conflict');
  expect(code(await client.get(map('absent')))).toBe('NotFound');
  expect(code(await client.delete(map('faults'), { preconditions: { uid: 'another' } }))).toBe('Conflict');
  expect(code(await client.create(map('Not A Name'), {}))).toBe('Invalid');
  const expired = { resourceVersion: '1', timeoutSeconds: 5 };
  const watch = await client.watch(all(kinds.ConfigMap), expired);
  const events = watch.ok ? watch.value : [];
  for await (const event of events) {
    expect(event).toMatchObject({ type: 'ERROR', fault: { code: 'Gone' } });
    break;
  }
  const nowhere = createClient(configOf(1));
  expect(code(await nowhere.get(map('faults')))).toBe('Unreachable');
  await nowhere.close();
});

const exec = (command: string, ...args: string[]) => ({
  exec: { apiVersion: 'client.authentication.k8s.io/v1', command, args },
});
const credential = (token: string) =>
  JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status: { token } });

test.each([
  { by: 'a token', user: { token: adminToken }, answer: 'ok' },
  {
    by: 'a token file, as in a pod',
    user: { authProvider: { name: 'tokenFile', config: { tokenFile: 'FILE' } } },
    answer: 'ok',
  },
  { by: 'an exec plugin', user: exec('echo', credential(adminToken)), answer: 'ok' },
  { by: 'a wrong token', user: { token: 'wrong' }, answer: 'Unauthorized' },
  { by: 'an exec plugin that fails', user: exec('false'), answer: 'Unreachable' },
])('a request by $by is answered: $answer', async ({ user, answer }) => {
  const file = join(directory, 'token');
  writeFileSync(file, adminToken);
  const config = configOf(server.port);
  config.users = [{ name: 'admin', ...JSON.parse(JSON.stringify(user).replace('"FILE"', JSON.stringify(file))) }];
  const own = createClient(config);
  open.push(own);
  const got = await own.list(all(kinds.Namespace));
  expect(got.ok ? 'ok' : got.error.code).toBe(answer);
});

test('a controller makes a child for each object, mends it when it is changed, and a settled one causes no request', async () => {
  const requests: string[] = [];
  const own = createClient(configOf(server.port), {
    onAnswer: (method, status) => requests.push(`${method} ${status}`),
  });
  const selection = { client: own, namespace: 'default', labelSelector: 'of=child', logger: silentLogger };
  const parents = new Informer({ ...selection, kind: kinds.ConfigMap });
  const children = new Informer<KubeObject & { data?: unknown }>({ ...selection, kind: kinds.Secret });
  let looks = 0;
  const controller = new Controller({
    name: 'configmap',
    informer: parents,
    sources: [{ informer: children, keysOf: ownedBy(kinds.ConfigMap) }],
    logger: silentLogger,
    reconcile: async (key, signal) => {
      looks += 1;
      const parent = parents.get(key);
      if (!parent) return settled;
      const body = {
        metadata: { labels: { of: 'child' }, ownerReferences: [controllerRef(kinds.ConfigMap, parent)] },
        data: { value: 'eA==' },
      };
      const target = at(kinds.Secret, 'default', parent.metadata.name);
      const applied = await applyChanged(own, target, body, children.get(key), { signal });
      return applied.ok ? settled : outcomeOf(applied.error);
    },
  });
  open.push(own, parents, children, controller);
  parents.start();
  children.start();
  expect(await controller.start()).toBe(true);
  await put('parent', 'child', '1');
  const value = () => children.get('default/parent')?.data;
  await until('the child', () => value() !== undefined);
  expect(value()).toEqual({ value: 'eA==' });
  good(await client.patch(at(kinds.Secret, 'default', 'parent'), { data: { value: 'eHg=' } }));
  await until('the mending', () => requests.filter((request) => request.startsWith('PATCH')).length === 2);
  await until('the mended child', () => JSON.stringify(value()) === '{"value":"eA=="}');
  const settledAt = requests.length;
  const before = looks;
  for (let n = 0; n < 5; n += 1) controller.touch('default/parent');
  await until('another look', () => looks > before);
  await wait(100);
  expect(requests.slice(settledAt)).toEqual([]);
});

test('events are made, and a word said twice is one', async () => {
  const object = await put('event', 'event', '1');
  const record = eventRecorder({ client, logger: silentLogger, instance: 'test-0' });
  for (let n = 0; n < 3; n += 1) {
    record(object, {
      type: 'Warning',
      reason: 'Missing',
      action: 'Look',
      note: `the file is missing ${'é'.repeat(600)}`,
    });
  }
  const events = async () =>
    good(await client.listAll(all(kinds.Event, 'default'), { fieldSelector: 'regarding.name=event' }));
  await until('it is there', async () => (await events()).length > 0);
  const found = await events();
  expect(found).toHaveLength(1);
  expect(found[0]).toMatchObject({ reason: 'Missing', reportingController: 'bootfarm.io/operator' });
});

test('a lease has one holder; one that can not renew says so in time', async () => {
  const times = { durationMs: 3_000, renewDeadlineMs: 2_000, retryMs: 400 };
  const wire = new Wire();
  await wire.listen();
  const cutOff = createClient(configOf(wire.port));
  const said: string[] = [];
  const election = (identity: string, through: Client) =>
    new LeaseElection({
      client: through,
      namespace: 'default',
      name: 'lease-test',
      identity,
      logger: silentLogger,
      times,
      onLead: () => said.push(`${identity} leads`),
      onLost: () => said.push(`${identity} lost`),
    });
  const a = election('a', cutOff);
  const b = election('b', client);
  open.push(cutOff, wire, a, b);
  a.start();
  await until('a leads', () => a.leads);
  b.start();
  await wait(1_500);
  expect(said).toEqual(['a leads']);
  wire.set('cut');
  await until('b leads', () => b.leads, 30_000);
  expect(said).toEqual(['a leads', 'a lost', 'b leads']);
  wire.set('open');
  await b.close();
  const passed = quietClock();
  await until('a leads again', () => a.leads, 30_000);
  expect(passed()).toBeLessThan(times.durationMs); // it was given up, not waited for
});

test('a lease is given up whatever its renewal was doing when it was closed', async () => {
  const target = at(kinds.Lease, 'default', 'lease-closed');
  const holders: unknown[] = [];
  for (let round = 0; round < 20; round += 1) {
    const election = new LeaseElection({
      client,
      namespace: 'default',
      name: 'lease-closed',
      identity: `closed-${round}`,
      logger: silentLogger,
      times: { durationMs: 3_000, renewDeadlineMs: 2_000, retryMs: 1 }, // it renews all the time
      onLead: () => {},
      onLost: () => {},
    });
    open.push(election);
    election.start();
    await until('it leads', () => election.leads);
    await wait(round);
    await election.close();
    holders.push(good(await client.get<Lease>(target)).spec?.holderIdentity);
  }
  expect(holders).toEqual(Array(20).fill(undefined));
});

const crd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'gadgets.test.bootfarm.io' },
  spec: {
    group: 'test.bootfarm.io',
    scope: 'Namespaced',
    names: { plural: 'gadgets', singular: 'gadget', kind: 'Gadget', listKind: 'GadgetList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};

/** kube-operator.ts in a process of its own. */
function runOperator(identity: string) {
  const file = join(directory, 'crd.yaml');
  writeFileSync(file, JSON.stringify(crd));
  const program = join(import.meta.dirname, 'kube-operator.ts');
  const child: ChildProcess = spawn(process.execPath, [program, server.kubeconfig, identity, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said: { says: string; [field: string]: unknown }[] = [];
  if (child.stdout) createInterface(child.stdout).on('line', (line) => said.push(JSON.parse(line)));
  const end = async (signal: 'SIGKILL' | 'SIGTERM') => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  };
  open.push({ close: () => end('SIGKILL') });
  return { child, said, end, heard: (says: string) => said.some((line) => line.says === says) };
}

test('two operators: one works; it is killed, the other goes on; its watches outlive the API server', async () => {
  const gadget = at({ apiVersion: 'test.bootfarm.io/v1', kind: 'Gadget', plural: 'gadgets' }, 'default', 'g');
  const a = runOperator('a');
  await until('a leads', () => a.heard('leads') && a.heard('started'));
  const b = runOperator('b');
  await until('b is warm', () => b.heard('started'));
  good(await client.create(gadget, { spec: { size: 1 } }));
  await until('the status', () => a.said.some((line) => JSON.stringify(line['status']) === '{"seen":true}'));
  const seen = good(await client.get(gadget));
  expect(seen.metadata.finalizers).toEqual(['test.bootfarm.io/done']);
  expect(seen.status).toEqual({ seen: true });
  expect(b.heard('ADDED') || b.heard('look')).toBe(false);

  await a.end('SIGKILL');
  await until('b leads', () => b.heard('leads'), 30_000);
  await until('b looks at what is there', () => b.heard('ADDED') && b.heard('look'));

  await server.crash();
  await server.restart();
  expect(b.child.exitCode).toBeNull();
  good(await client.delete(gadget));
  await until('the clean-up', () => b.heard('cleaned up'));
  await until('the deletion', () => b.heard('DELETED'));
  expect(await client.get(gadget)).toMatchObject({ ok: false, error: { code: 'NotFound' } });

  await b.end('SIGTERM');
  expect([b.heard('closed'), b.child.exitCode]).toEqual([true, 0]);
  const lease = good(await client.get<KubeObject & { spec: object }>(at(kinds.Lease, 'default', 'gadgets')));
  expect(lease.spec).not.toHaveProperty('holderIdentity');
});
