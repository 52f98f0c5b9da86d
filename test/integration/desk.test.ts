/**
 * The command of the desk against the real API of a farm, on a real API server: found by its Service, reached through port-forwards that a kubelet of
 * the test answers, and as the package that people install.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Command } from 'commander';
import { makeAuthority, makeCertificate } from '../../src/control/certificates.ts';
import { addDevices, listDevices } from '../../src/database/devices.ts';
import type { Desk } from '../../src/desk/desk.ts';
import type { Streams } from '../../src/desk/exec.ts';
import { makeProgram } from '../../src/desk/program.ts';
import { wayTo } from '../../src/desk/way.ts';
import { patternBytes } from '../../src/image/pattern/pattern.ts';
import { given } from '../../src/kit/given.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { Refusal } from '../../src/terminal/refusal.ts';
import { binary } from '../cluster/cluster.ts';
import { fakeDesk } from '../fakes/desk.ts';
import { type FakeKubelet, startKubelet } from '../fakes/kubelet.ts';
import { fakeTerminal, type Said } from '../fakes/terminal.ts';
import { until } from '../setup/time.ts';
import {
  api,
  ca,
  DEVICES,
  database,
  hear,
  informers,
  kube,
  LAB,
  removeAll,
  startFarm,
  stopFarm,
  value,
  who,
} from './api-farm.ts';

const directory = mkdtempSync(join(tmpdir(), 'bootfarm-desk-'));
let kubelet: FakeKubelet;
/** Undefined: nobody listens. */
let target: number | undefined;

const kubectl = (args: readonly string[], input?: object | readonly object[]) =>
  execFileSync(binary('kubectl'), ['--kubeconfig', kube.kubeconfig, ...args], {
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
    input: [input ?? []]
      .flat()
      .map((object) => JSON.stringify(object))
      .join('\n---\n'),
  });

const LABELS = {
  'app.kubernetes.io/name': 'bootfarm',
  'app.kubernetes.io/instance': 'bootfarm',
  'app.kubernetes.io/component': 'operator',
};
const NAMESPACE = 'bootfarm';

/** A node whose kubelet is the test's, and a copy of the operator on it, as the chart makes one. */
function makeRelease(): void {
  const meta = (name: string) => ({ name, namespace: NAMESPACE, labels: LABELS });
  const v1 = (kind: string, rest: object) => ({ apiVersion: 'v1', kind, ...rest });
  kubectl(
    ['apply', '-f', '-'],
    [
      v1('ServiceAccount', { metadata: { name: 'default', namespace: NAMESPACE } }),
      v1('Node', { metadata: { name: 'node-o' } }),
      v1('Service', {
        metadata: meta('bootfarm-api'),
        spec: { selector: LABELS, ports: [{ name: 'https', port: 8443, targetPort: 'api' }] },
      }),
      v1('Pod', {
        metadata: meta('bootfarm-0'),
        spec: {
          nodeName: 'node-o',
          automountServiceAccountToken: false,
          containers: [{ name: 'operator', image: 'bootfarm', ports: [{ name: 'api', containerPort: 8443 }] }],
        },
      }),
      ...['viewer', 'operator', 'administrator', 'bound'].map((name) => ({
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name, namespace: NAMESPACE },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'bootfarm-desk' },
        subjects: [{ kind: 'ServiceAccount', name, namespace: LAB }],
      })),
    ],
  );
  const patch = (what: readonly string[], status: object) =>
    kubectl(['patch', ...what, '--subresource=status', '--type=merge', '-p', JSON.stringify({ status })]);
  patch(['node', 'node-o'], {
    addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
    daemonEndpoints: { kubeletEndpoint: { Port: kubelet.port } },
  });
  setReady(true);
}

const setReady = (isReady: boolean) =>
  kubectl([
    ...['patch', 'pod', 'bootfarm-0', '-n', NAMESPACE, '--subresource=status', '--type=merge', '-p'],
    JSON.stringify({
      status: { phase: 'Running', conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }] },
    }),
  ]);

/** As one of these would have it at home. `user`: of the kubeconfig, in place of their token. */
function kubeconfigOf(account: string, user?: object): string {
  const file = join(directory, `${account}.kubeconfig`);
  const clusters = [
    {
      name: 'test',
      cluster: {
        server: `https://127.0.0.1:${kube.port}`,
        'certificate-authority': join(kube.kubeconfig, '../ca.crt'),
      },
    },
  ];
  const { token } = who[account] ?? {};
  const config = {
    ...{ apiVersion: 'v1', kind: 'Config', clusters, 'current-context': 'desk' },
    users: [{ name: account, user: user ?? { token } }],
    contexts: [{ name: 'desk', context: { cluster: 'test', user: account } }],
  };
  writeFileSync(file, JSON.stringify(config));
  return file;
}

/** In place of a server's container: its command runs here. Undefined: the connection breaks off after so many bytes, either way. */
let breaksAfter: number | undefined;
const askedOf: string[] = [];

const runIn: Desk['runIn'] = async (_place, at, [, ...words], { input, out, err }) => {
  askedOf.push(`${at.namespace}/${at.pool}/${at.server}`);
  const main = join(import.meta.dirname, '../../src/main.ts');
  const child = spawn(process.execPath, [main, ...words], { stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = once(child, 'close');
  let passed = 0;
  const breaks = (bytes: Uint8Array): boolean => {
    passed += bytes.length;
    return breaksAfter !== undefined && passed > breaksAfter;
  };
  child.stdin.on('error', () => undefined); // it may not read what it is given
  const put = async (): Promise<void> => {
    for await (const bytes of input ?? []) {
      if (breaks(bytes)) break;
      await given(child.stdin, bytes);
    }
    child.stdin.end();
  };
  const take = async (from: Readable, taker: Streams['out']): Promise<void> => {
    for await (const bytes of from) if (!breaks(bytes)) await taker(bytes);
  };
  await Promise.all([put(), take(child.stdout, out), take(child.stderr, err)]);
  const [code] = await ended;
  if (breaksAfter === undefined || passed <= breaksAfter) return code;
  breaksAfter = undefined;
  throw new Refusal('pod lab/main-node-a: the connection broke off', 5);
};

interface Run {
  readonly columns?: number;
  readonly stdin?: string;
  readonly left?: () => AbortSignal;
}

function deskOf({ columns, stdin = '', left = () => AbortSignal.abort() }: Run): { said: Said; desk: Desk } {
  const { said, terminal } = fakeTerminal(undefined, columns);
  return {
    said,
    desk: fakeDesk({
      terminal,
      input: {
        readAll: async () => stdin,
        file: async (path) => readFileSync(path, 'utf8'),
        bytes: async function* () {
          yield Buffer.from(stdin);
        },
      },
      ...{ wayTo, runIn, left, watchMs: 100 },
      give: async (bytes) => terminal.out(Buffer.from(bytes).toString('latin1')),
    }),
  };
}

/** Commander's own end of the process is an exception. */
function quiet(command: Command): void {
  command.exitOverride();
  for (const word of command.commands) quiet(word);
}

async function bootfarm(as: string, args: readonly string[], run: Run = {}): Promise<Said> {
  const { said, desk } = deskOf(run);
  const program = makeProgram(desk, '0');
  quiet(program);
  await program.parseAsync(['--kubeconfig', kubeconfigOf(as), ...args], { from: 'user' });
  return said;
}

beforeAll(async () => {
  await startFarm();
  const own = await makeCertificate(
    await makeAuthority('kubelet', Date.now()),
    { names: ['node-o'], use: 'server' },
    Date.now(),
  );
  target = api.port;
  kubelet = await startKubelet(own, () => target ?? 1);
  makeRelease();
});

afterAll(async () => {
  await kubelet?.close();
  await stopFarm();
  rmSync(directory, { recursive: true, force: true });
});

/** A database that a busy machine did not let answer is asked again. */
const putBack = async (): Promise<boolean> => {
  await removeAll();
  return (await addDevices(database, DEVICES, { source: 'command', who: 'test' })).ok;
};
beforeEach(() => until('the devices are as they were', putBack, 50_000));

describe('the way', () => {
  test('a kubeconfig is enough: the Service is found, a pod is reached, and the API is proved', async () => {
    const before = kubelet.forwards();
    const said = await bootfarm('viewer', ['device', 'list', '-o', 'name']);
    expect(said).toEqual({ out: 'pc0001\npc0002\npc0003\npc0004\n', err: '', failed: false, status: 0 });
    // One way for all that a word asks.
    expect(kubelet.forwards() - before).toBe(1);
  });

  test('a client certificate of the kubeconfig says who asks, in the hand-shake with the API', async () => {
    const file = kubeconfigOf('admin', {
      'client-certificate': join(kube.kubeconfig, '../admin.crt'),
      'client-key': join(kube.kubeconfig, '../admin.key'),
    });
    const said = await bootfarm('viewer', ['--kubeconfig', file, 'device', 'list', '-o', 'name', '--search', 'pc0001']);
    expect(said).toMatchObject({ out: 'pc0001\n', status: 0 });
  });

  test('an exec plugin gives the token', async () => {
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: who['viewer']?.token },
    };
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: 'echo',
      args: [JSON.stringify(credential)],
      interactiveMode: 'Never',
    };
    const file = kubeconfigOf('plugin', { exec });
    expect(await bootfarm('viewer', ['--kubeconfig', file, 'device', 'list', '-o', 'name'])).toMatchObject({
      status: 0,
    });
  });

  test('an address of its own, with a token and an authority from files', async () => {
    const token = join(directory, 'token');
    const authority = join(directory, 'api-ca.crt');
    writeFileSync(token, `${who['viewer']?.token}\n`);
    writeFileSync(authority, ca);
    const { said, desk } = deskOf({});
    const server = ['--server', `https://localhost:${api.port}`, '--token-file', token];
    await makeProgram(desk, '0').parseAsync([...server, '--ca-file', authority, 'device', 'list', '-o', 'name'], {
      from: 'user',
    });
    expect(said).toMatchObject({ out: expect.stringContaining('pc0001'), status: 0 });

    const other = deskOf({});
    await makeProgram(other.desk, '0').parseAsync([...server, 'device', 'list'], { from: 'user' });
    expect(other.said).toMatchObject({
      status: 5,
      out: '',
      err: expect.stringContaining('does not prove to be the API'),
    });
  });

  test.each<[string, string[], number, RegExp]>([
    ['none', ['status'], 4, /you may not list the Services.*--release NAMESPACE\/NAME.*Role of the chart/],
    ['none', ['--release', 'bootfarm/bootfarm', 'status'], 4, /services is forbidden/],
    ['viewer', ['--release', 'other', 'status'], 4, /you may not list the Services.*neither namespace other/],
    [
      'viewer',
      ['--release', 'bootfarm/other', 'status'],
      1,
      /has no release bootfarm\/other: it has bootfarm\/bootfarm/,
    ],
    ['expired token', ['status'], 4, /Unauthorized/],
    ['viewer', ['--context', 'moon', 'status'], 1, /has no context moon; it has desk/],
    ['viewer', ['--farm', 'lab/none', 'server', 'list'], 1, /there is no Farm none in namespace lab/],
    ['viewer', ['--farm', 'other', 'server', 'list'], 1, /there is no farm other that you may list: lab\/farm/],
    ['viewer', ['-n', 'moon', 'server', 'list'], 1, /there is no farm in namespace moon that you may list: lab\/farm/],
    ['bound', ['server', 'list'], 4, /say which farm by --farm NAMESPACE\/NAME/],
    ['viewer', ['audit'], 4, /may not list audit/],
  ])('%s: bootfarm %j ends with %d', async (as, args, status, says) => {
    expect(await bootfarm(as, args)).toMatchObject({ status, out: '', err: expect.stringMatching(says) });
  });

  test('who asks as somebody else by the kubeconfig is told that the API does not', async () => {
    const file = kubeconfigOf('as', { token: who['viewer']?.token, as: 'system:admin' });
    const said = await bootfarm('viewer', ['--kubeconfig', file, 'status']);
    expect(said).toMatchObject({ status: 4, err: expect.stringContaining('asks as system:admin') });
  });

  test('no copy is ready, then nobody listens in it: both are said, and status 5', async () => {
    setReady(false);
    expect(await bootfarm('viewer', ['status'])).toMatchObject({
      status: 5,
      err: expect.stringMatching(
        /no copy of the operator is ready behind Service bootfarm\/bootfarm-api \(bootfarm-0\)/,
      ),
    });
    setReady(true);
    target = 1;
    try {
      expect(await bootfarm('viewer', ['status'])).toMatchObject({
        status: 5,
        err: expect.stringMatching(/error forwarding port 1: connect ECONNREFUSED/),
      });
    } finally {
      target = api.port;
    }
  });

  test('somebody else behind the pod gets no token: they have not the key of the ConfigMap', async () => {
    const other = await makeCertificate(
      await makeAuthority('other', Date.now()),
      { names: ['bootfarm-api.bootfarm.svc'], use: 'server' },
      Date.now(),
    );
    const asked: string[] = [];
    const { createServer } = await import('node:https');
    const impostor = createServer(other, (request) => asked.push(request.headers.authorization ?? ''));
    await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve));
    const bound = impostor.address();
    target = typeof bound === 'object' && bound ? bound.port : 0;
    try {
      expect(await bootfarm('viewer', ['status'])).toMatchObject({
        status: 5,
        err: expect.stringContaining('does not prove to be the API'),
      });
      expect(asked).toEqual([]);
    } finally {
      target = api.port;
      impostor.close();
    }
  });
});

const ADMIN = 'administrator';
const devicesNow = async () => value(await listDevices(database));

describe('devices', () => {
  test('added, added again, changed, shown, given another card, removed; each in the words of the pod', async () => {
    const add = ['device', 'add', 'pc0009', '--mac', '52:54:00:00:00:99', '--collection', 'room-101'];
    const run = (...args: string[]) => bootfarm(ADMIN, ['device', ...args]);
    expect(await bootfarm(ADMIN, [...add, '--dry-run'])).toMatchObject({
      out: 'dry run: device pc0009 added to collection room-101\n',
    });
    expect(await devicesNow()).toHaveLength(4);
    expect((await bootfarm(ADMIN, add)).out).toBe('device pc0009 added to collection room-101\n');
    expect((await bootfarm(ADMIN, add)).out).toBe('device pc0009 is there already: unchanged\n');
    expect((await run('set', 'pc0009', '--class', 'Test', '--property', 'seat=A1', '--dry-run')).out).toBe(
      "dry run: device pc0009: class: the collection's -> Test; property seat: none -> A1\n",
    );
    expect((await run('set', 'pc0009', '--class', 'Test', '--property', 'seat=A1')).out).toBe(
      "device pc0009: class: the collection's -> Test; property seat: none -> A1\n",
    );
    expect((await run('set', 'pc0009', '--class', 'Test')).out).toBe('device pc0009: unchanged\n');
    expect(JSON.parse((await run('set', 'pc0009', '--disabled', '--dry-run', '-o', 'json')).out)).toMatchObject({
      ...{ dryRun: true, changed: true, device: { name: 'pc0009', enabled: false } },
    });
    expect((await run('replace-nic', 'pc0009', '52:54:00:00:00:9a')).out).toBe(
      'device pc0009: MAC: 52:54:00:00:00:99 -> 52:54:00:00:00:9a\n',
    );
    expect((await run('show', 'pc0009')).out).toBe(
      [
        'name            pc0009',
        'MAC             52:54:00:00:00:9a',
        'collection      room-101, site default',
        'class           Test',
        'may boot        yes',
        'streams         nothing',
        'property seat   A1',
        '',
      ].join('\n'),
    );
    expect(JSON.parse((await run('show', 'pc0009', '-o', 'json')).out)).toMatchObject({
      name: 'pc0009',
      site: 'default',
    });
    expect((await run('remove', 'pc0009', '--dry-run')).out).toMatch(/^dry run: /);
    expect((await run('remove', 'pc0009')).out).toBe(
      'device pc0009 (MAC 52:54:00:00:00:9a) removed from collection room-101\n',
    );
    expect(await run('remove', 'pc0009')).toMatchObject({
      status: 1,
      err: 'error: the farm has no device pc0009: `bootfarm device list` shows all\n',
    });
  });

  test.each<[string, string[], number, RegExp]>([
    [
      ADMIN,
      ['add', 'pc5', '--mac', '52:54:00:00:00:01', '--collection', 'room-101'],
      1,
      /MAC 52:54:00:00:00:01 belongs to device pc0001/,
    ],
    [
      ADMIN,
      ['add', 'pc5', '--mac', '52:54:00:00:00:01', '--collection', 'room-101', '--dry-run'],
      1,
      /belongs to device pc0001/,
    ],
    [ADMIN, ['add', 'pc5', '--mac', 'zz', '--collection', 'room-101'], 1, /mac "zz": a MAC is six bytes/],
    [ADMIN, ['set', 'pc0001'], 1, /say what is to change/],
    [ADMIN, ['set', 'pc0001', '--collection', 'moon'], 1, /no collection moon; it has room-101, room-102/],
    [ADMIN, ['list', '--collection', 'moon'], 1, /the farm has no collection moon; it has room-101, room-102/],
    [ADMIN, ['list', '--site', 'moon'], 1, /the farm has no site moon; it has default/],
    ['viewer', ['remove', 'pc0001'], 4, /may not delete devices/],
    [ADMIN, ['import', '/nowhere/machines.csv'], 1, /cannot read \/nowhere\/machines.csv/],
  ])('%s: device %j ends with %d', async (as, args, status, says) => {
    expect(await bootfarm(as, ['device', ...args])).toMatchObject({ status, err: expect.stringMatching(says) });
    expect(await devicesNow()).toHaveLength(4);
  });

  test('who is bound to a collection sees it, by the farm named', async () => {
    const said = await bootfarm('bound', ['--farm', `${LAB}/farm`, 'device', 'list', '-o', 'name']);
    expect(said).toMatchObject({ out: 'pc0001\npc0002\n', status: 0 });
  });

  test('a table fits the screen; JSON and YAML are the same list', async () => {
    const wide = await bootfarm(ADMIN, ['device', 'list'], { columns: 200 });
    expect(wide.out.split('\n').slice(0, 2)).toEqual([
      'NAME     MAC                 COLLECTION   CLASS   ENABLED   SERVER   UUID',
      'pc0001   52:54:00:00:00:01   room-101     -       true      node-a   -',
    ]);
    const narrow = await bootfarm(ADMIN, ['device', 'list'], { columns: 60 });
    expect(Math.max(...narrow.out.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(60);
    const json = JSON.parse((await bootfarm(ADMIN, ['device', 'list', '-o', 'json'])).out);
    const { parse } = await import('yaml');
    expect(parse((await bootfarm(ADMIN, ['device', 'list', '-o', 'yaml'])).out)).toEqual(json);
    expect(json).toHaveLength(4);
  });

  test('a file goes out and comes back byte for byte, in a pipe; bad lines are named, or left out', async () => {
    const { out } = await bootfarm(ADMIN, ['device', 'export']);
    await removeAll();
    expect(await bootfarm(ADMIN, ['device', 'import', '-'], { stdin: out })).toMatchObject({
      out: '4 added, 0 unchanged\n',
    });
    const same = await bootfarm(ADMIN, ['device', 'import', '-', '-o', 'json'], { stdin: out });
    expect(JSON.parse(same.out)).toEqual({ dryRun: false, added: 0, unchanged: 4, skipped: 0 });
    expect((await bootfarm(ADMIN, ['device', 'export'])).out).toBe(out);
    const file = join(directory, 'machines.csv');
    writeFileSync(
      file,
      [
        'name,mac,collection,property.note',
        'pc0005,52:54:00:00:00:05,room-101,"two\nlines"',
        'pc0006,zz,room-101,',
        'pc0007,52:54:00:00:00:01,room-101,',
        'pc0008,52:54:00:00:00:08,room-101,',
        '',
      ].join('\n'),
    );
    const bad = [
      `${file}: line 4, column mac, value "zz": a MAC is six bytes in hex, like 52:54:00:12:34:56, neither all zeros nor a multicast address`,
      `${file}: line 5, column mac, value "52:54:00:00:00:01": MAC 52:54:00:00:00:01 belongs to device pc0001: remove that one, or add this one without it`,
    ];
    expect(await bootfarm(ADMIN, ['device', 'import', file])).toMatchObject({
      status: 1,
      err: `${bad.join('\n')}\nerror: nothing was imported: 2 lines bad, 2 good. Correct them, or use --skip-bad\n`,
    });
    expect(await bootfarm(ADMIN, ['device', 'import', file, '--skip-bad', '--dry-run'])).toMatchObject({
      out: 'dry run: 2 added, 0 unchanged, 2 lines skipped\n',
    });
    expect(await devicesNow()).toHaveLength(4);
    expect(await bootfarm(ADMIN, ['device', 'import', file, '--skip-bad'])).toMatchObject({
      status: 0,
      out: '2 added, 0 unchanged, 2 lines skipped\n',
      err: `${bad.join('\n')}\n`,
    });
    expect(await devicesNow()).toHaveLength(6);
  });

  test('why a machine does not boot, and who is unknown: told, and added with its UUID', async () => {
    const mac = '52:54:00:00:00:77';
    hear(mac, false, {}, { uuid: '6d3c8a62-1b5f-4d0c-9c3e-000000000077' });
    const explained = await bootfarm(ADMIN, ['device', 'explain', mac]);
    expect(explained.out).toMatch(/^no device, MAC 52:54:00:00:00:77/);
    expect(explained.out).toMatch(/UnknownMachine/);
    expect((await bootfarm(ADMIN, ['device', 'unknown', '-o', 'name'])).out).toBe(`${mac}\n`);
    expect((await bootfarm(ADMIN, ['device', 'unknown'])).err).toMatch(/^no answer: .*node-b/);
    const add = ['device', 'unknown', '--add', mac, '--name', 'pc0077', '--collection', 'room-101'];
    expect((await bootfarm(ADMIN, add)).out).toBe('device pc0077 added to collection room-101\n');
    expect((await devicesNow()).find(({ name }) => name === 'pc0077')).toMatchObject({
      uuid: '6d3c8a62-1b5f-4d0c-9c3e-000000000077',
    });
    expect(await bootfarm(ADMIN, ['device', 'explain', 'nobody'])).toMatchObject({ status: 1 });
  });
});

describe('files of a server', () => {
  const folder = mkdtempSync(join(directory, 'files-'));
  const file = (name: string): string => join(folder, name);
  const vdisk = (...words: string[]) => bootfarm(ADMIN, ['vdisk', ...words]);
  const disk = patternBytes(0, 8 << 20);

  test('a disk goes to a server and comes back, going on where it broke off; its bytes are compared', async () => {
    writeFileSync(file('disk.raw'), disk);
    askedOf.length = 0;
    breaksAfter = 3 << 20;
    const up = await vdisk('upload', file('disk.raw'), file('lab.raw'));
    expect(up).toMatchObject({ failed: false, err: expect.stringContaining('the connection broke off: it goes on') });
    expect(readFileSync(file('lab.raw')).equals(disk)).toBe(true);
    expect([...new Set(askedOf)]).toEqual(['lab/main/node-a']);
    breaksAfter = 3 << 20;
    const down = await vdisk('download', file('lab'), file('got.raw'), '--on', 'node-a');
    expect(down).toMatchObject({ failed: false, out: expect.stringContaining('as the server has it') });
    expect(readFileSync(file('got.raw')).equals(disk)).toBe(true);
  });

  test('a download writes over nothing, leaves nothing where it is refused, and says its digest as JSON', async () => {
    writeFileSync(file('backup.raw'), 'a backup');
    expect(await vdisk('download', file('lab'), file('backup.raw'))).toMatchObject({
      status: 1,
      err: expect.stringContaining('backup.raw is there already, and is not written over'),
    });
    expect(readFileSync(file('backup.raw'), 'utf8')).toBe('a backup');
    for (const [name, ...more] of [['none'], ['lab', '--version', '9']] as const)
      expect(await vdisk('download', file(name), file('new.raw'), ...more)).toMatchObject({
        status: 1,
        err: expect.stringMatching(/^error: [^\n]*(no version|none)[^\n]*\n$/),
      });
    expect(readdirSync(folder).filter((name) => name.startsWith('new.raw'))).toEqual([]);
    writeFileSync(file('new.raw.partial'), disk.subarray(7, 1 << 20)); // of something else
    const got = await vdisk('download', file('lab'), file('new.raw'), '-o', 'json');
    expect(got.err).toContain('all of it is taken anew');
    const sha256 = createHash('sha256').update(disk).digest('hex');
    expect(JSON.parse(got.out)).toEqual({ file: file('new.raw'), sizeBytes: disk.length, sha256 });
    expect(readFileSync(file('new.raw')).equals(disk)).toBe(true);
  });

  test('an image that was made, and went when all of it had come, is made anew', async () => {
    writeFileSync(file('made.vhdx.partial'), Buffer.alloc(1 << 20));
    const made = await vdisk('download', file('lab'), file('made.vhdx'), '--format', 'vhdx');
    expect(made).toMatchObject({ failed: false, err: expect.stringContaining('all of it is taken anew') });
    expect(made.err).not.toContain('--offset');
    const info = await vdisk('info', file('made.vhdx'), '-o', 'json');
    expect(JSON.parse(info.out)).toMatchObject({ images: [{ format: 'vhdx', diskBytes: disk.length }] });
  });

  test('to standard output goes what a file would have', async () => {
    const { out, err } = await vdisk('download', file('lab'), '-');
    expect(Buffer.from(out, 'latin1').equals(disk)).toBe(true);
    expect(err).toMatch(/^standard output: 8.0 MiB, SHA-256 [0-9a-f]{64}, as the server has it\n$/);
  });

  test('a file that the server does not take is not read', async () => {
    expect(await vdisk('upload', file('disk.raw'), `${folder}/`)).toMatchObject({
      ...{ status: 1, out: '' },
      err: expect.stringMatching(/^error: [^\n]*names a folder[^\n]*\n$/),
    });
    const json = await vdisk('upload', file('disk.raw'), file('again.raw'), '-o', 'json');
    expect(JSON.parse(json.out)).toMatchObject({ path: file('again.raw'), sizeBytes: disk.length });
  });

  test('what works on files runs there as it was typed, and ends as it ends', async () => {
    const info = await vdisk('info', file('lab.raw'), '-o', 'json');
    expect(JSON.parse(info.out)).toMatchObject({ images: [{ format: 'raw', diskBytes: 8 << 20 }] });
    expect(await vdisk('check', file('none.raw'))).toMatchObject({
      status: 1,
      err: expect.stringContaining('none.raw'),
    });
    expect((await vdisk('convert', '--help', '--on', 'node-a')).out).toContain('--block-size');
    expect((await vdisk('info', file('lab.raw'), '--farm', `${LAB}/farm`)).status).toBe(0);
    expect(await vdisk('info', file('lab.raw'), '--on', 'moon')).toMatchObject({
      status: 1,
      err: expect.stringContaining('the farm has no server moon: it has node-a'),
    });
    expect(await vdisk('upload', file('none'), '/srv/x.raw')).toMatchObject({ status: 1 });
  });
});

describe('what a farm has', () => {
  test('servers, sessions, vDisks, copies, audit', async () => {
    const out = async (...args: string[]) => (await bootfarm(ADMIN, args)).out;
    expect(await out('server', 'list')).toMatch(/^NAME +POOL.*\nnode-a +main +default +Streaming +1/);
    expect(await out('session', 'list', '-o', 'name')).toBe('pc0001\n');
    expect(await out('vdisk', 'list')).toMatch(/^NAME +STORE.*\nlab +local/);
    expect(await out('vdisk', 'show', 'lab')).toMatch(/^name +lab\nstore +local, files lab\n/);
    expect(JSON.parse(await out('replication', '-o', 'json'))).toHaveProperty('versions');
    expect(await out('audit', '--kind', 'device', '--limit', '1', '-o', 'name')).toMatch(/^device\/pc000\d\n$/);
    expect(await bootfarm(ADMIN, ['audit', '--limit', '0'])).toMatchObject({ status: 1 });
  });

  test('a version is released by an edit that is said, and everything goes back for a night and comes again', async () => {
    const run = (...args: string[]) => bootfarm(ADMIN, args);
    const promote = ['vdisk', 'promote', 'lab', '1', '--access', 'Test'];
    expect((await run(...promote)).out).toMatch(
      /^lab\/lab: .*Test.*\nput that into git, or give --apply, or:\n {2}kubectl patch vd lab -n lab --type=merge --patch '\{"spec":/,
    );
    expect(JSON.parse((await run(...promote, '-o', 'json')).out)).toMatchObject({ vdisk: 'lab/lab', applied: false });
    for (const [args, says] of [
      [['vdisk', 'revert', 'other/lab'], 'write NAME or lab/NAME'],
      [['vdisk', 'promote', 'lab', '1', '--release-at', 'soon'], 'write it as 2026-12-01T06:00:00Z'],
      [['vdisk', 'accept', 'lab', '1', '--server', 'c'], 'name one of none'],
      [['rollback'], 'Say either --all or --vdisk NAME'],
      [['rollback', '--vdisk', 'nowhere'], 'no vDisk nowhere'],
    ] as const)
      expect([args, await run(...args)]).toMatchObject([args, { status: 1, err: expect.stringContaining(says) }]);
    await run('rollback', '--clear', '--all');
    const back = ['rollback', '--vdisk', 'lab', '--version', '0', '--for', '1h'];
    expect((await run(...back, '--dry-run')).out).toMatch(/^lab: machines would boot version 0 .*, until 20.*Z\n$/);
    expect((await run('rollback', '--list')).err).toBe('nothing is rolled back\n');
    expect(await bootfarm('viewer', back)).toMatchObject({ status: 4 });
    expect((await run(...back)).out).toMatch(/^lab: machines boot version 0 /);
    expect((await run('rollback', '--list')).out).toMatch(/^lab: machines boot version 0, until 20.*Z\n$/);
    const clear = ['rollback', '--clear', '--vdisk', 'lab'];
    expect((await run(...clear, '--dry-run')).out).toBe('lab: machines would boot what its VDisk says again\n');
    expect((await run(...clear)).out).toBe('lab: machines boot what its VDisk says again\n');
    expect((await run(...clear)).out).toBe('nothing was rolled back: unchanged\n');
    expect((await run('vdisk', 'jobs')).err).toBe('no job waits, runs or ended lately\n');
  });

  test('status walks the farm, and ends with what is in the way and with status 3; with 0 when all is well', async () => {
    const bad = await bootfarm('viewer', ['status']);
    expect(bad).toMatchObject({ status: 3, err: '' });
    expect(bad.out).toMatch(/In the way of farm lab\/farm: Farm farm, Unknown/);
    const ready = [
      { type: 'Ready', status: 'True', reason: 'Settled', message: '', lastTransitionTime: '2026-11-30T00:00:00Z' },
    ] as const;
    const before = Object.values(informers).flatMap((informer) =>
      informer.list().map((object) => [informer, object] as const),
    );
    for (const [informer, object] of before) {
      const { status, metadata } = object as KubeObject & { readonly status?: object };
      const now = { ...metadata, resourceVersion: `${metadata.resourceVersion}-ready` };
      informer.put({ ...object, metadata: now, status: { ...status, conditions: ready } } as KubeObject);
    }
    try {
      const well = await bootfarm('viewer', ['status']);
      expect(well.out).toMatch(/Farm lab\/farm: all is well\.\n$/);
      expect(well.status).toBe(0);
    } finally {
      for (const [informer, object] of before) informer.put(object);
    }
  });

  test('--watch in a pipe tells what is new, a line each', async () => {
    const left = new AbortController();
    const { said, desk } = deskOf({ left: () => left.signal });
    const args = ['--kubeconfig', kubeconfigOf(ADMIN), 'device', 'list', '-w', '-o', 'json'];
    const watching = makeProgram(desk, '0').parseAsync(args, { from: 'user' });
    const lines = () => said.out.split('\n').filter(Boolean);
    await until('the first look', () => lines().length === 1, 10_000);
    await bootfarm(ADMIN, ['device', 'set', 'pc0001', '--disabled']);
    await until('the change', () => lines().length === 2, 10_000);
    left.abort();
    await watching;
    expect(JSON.parse(lines()[1] ?? '')[0]).toMatchObject({ name: 'pc0001', enabled: false });
  });
});

describe('console', () => {
  interface Heard {
    readonly status: number;
    readonly text: string;
    readonly cookie: string;
  }
  const ask = (address: URL, path: string, headers: Readonly<Record<string, string>>, method = 'GET', body = '') =>
    new Promise<Heard>((resolve, reject) => {
      const sent = {
        host: address.host,
        ...(body === '' ? {} : { 'content-length': String(body.length) }),
        ...headers,
      };
      const asked = request(
        { host: '127.0.0.1', port: address.port, path, method, headers: sent, agent: false },
        (answer) => {
          let text = '';
          answer.setEncoding('utf8').on('data', (data) => (text += data));
          const cookie = (answer.headers['set-cookie'] ?? []).join().split(';')[0] ?? '';
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text, cookie }));
        },
      );
      asked.on('error', reject).end(body);
    });

  test('one browser asks the API by the identity of the kubeconfig; it edits, is told of changes, and others are refused', async () => {
    const left = new AbortController();
    const { said, desk } = deskOf({ left: () => left.signal });
    const running = makeProgram(desk, '0').parseAsync(['--kubeconfig', kubeconfigOf(ADMIN), 'console'], {
      from: 'user',
    });
    await until('the address', () => said.out.includes('\n'), 10_000);
    const address = new URL(said.out.trim());
    expect(address.host).toMatch(/^bootfarm-[0-9a-f]{16}\.localhost:\d+$/);
    expect(await ask(address, '/api/v1/farms', {})).toMatchObject({ status: 401 });
    const { cookie, status } = await ask(address, `${address.pathname}${address.search}`, {});
    expect(status).toBe(303);
    const own = { cookie, origin: address.origin };
    expect(JSON.parse((await ask(address, '/api/v1/farms', own)).text).items).toHaveLength(1);
    const edit = { ...own, 'content-type': 'application/json' };
    const device = `/api/v1/farms/${LAB}/farm/devices/pc0001`;
    expect(await ask(address, device, edit, 'PATCH', '{"enabled":false}')).toMatchObject({ status: 200 });
    expect((await devicesNow()).find(({ name }) => name === 'pc0001')).toMatchObject({ enabled: false });
    expect(await ask(address, device, { ...edit, origin: 'https://evil.example' }, 'DELETE')).toMatchObject({
      status: 403,
    });
    expect(await ask(address, device, { ...own, authorization: 'Bearer x' })).toMatchObject({ status: 200 });

    let events = '';
    const stream = request({
      ...{ host: '127.0.0.1', port: address.port, path: `/api/v1/farms/${LAB}/farm/events`, agent: false },
      headers: { host: address.host, ...own },
    });
    stream.on('response', (answer) =>
      answer
        .setEncoding('utf8')
        .on('data', (data) => (events += data))
        .on('error', () => {}),
    );
    stream.on('error', () => {}).end();
    await until('the stream', () => events.includes('event: reset'), 10_000);
    await bootfarm(ADMIN, ['device', 'set', 'pc0002', '--disabled']);
    await until('the change', () => events.includes('pc0002'), 10_000);

    expect(await ask(address, `/${address.search}`, {})).toMatchObject({ status: 403 });
    expect(said.err).toContain('so this console is over');
    expect(await ask(address, '/api/v1/farms', own)).toMatchObject({ status: 401 });
    left.abort();
    await running;
    await expect(ask(address, '/', own)).rejects.toThrow('ECONNREFUSED');
  });

  test('who may not is told so on the terminal, and no port is opened', async () => {
    expect(await bootfarm('expired token', ['console'])).toMatchObject({ status: 4, out: '' });
    expect(await bootfarm(ADMIN, ['console', '--port', '70000'])).toMatchObject({ status: 1, out: '' });
  });
});

describe('the package', () => {
  test('asks from a folder of its own, as kubectl plugin too, and holds nothing of the server', async () => {
    const root = join(import.meta.dirname, '../..');
    execFileSync(process.execPath, [join(root, 'test/setup/desk.ts')], { cwd: root, stdio: 'pipe' });
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    execFileSync('tar', ['-xzf', join(root, `.build/desk/bootfarm-${version}.tgz`), '-C', directory]);
    const entry = join(directory, 'package/bootfarm.cjs');
    const run = (args: readonly string[]) =>
      new Promise<{ out: string; status: number | null }>((resolve) => {
        const child = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
        let out = '';
        for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (out += data));
        child.on('close', (status) => resolve({ out, status }));
      });
    const kubeconfig = ['--kubeconfig', kubeconfigOf('viewer')];
    expect(await run([...kubeconfig, 'device', 'list', '-o', 'name'])).toEqual({
      out: 'pc0001\npc0002\npc0003\npc0004\n',
      status: 0,
    });
    expect(await run([...kubeconfig, 'device', 'remove', 'pc0001'])).toMatchObject({ status: 4 });
    expect(await run(['device', 'list', '--moon'])).toMatchObject({ status: 1 });
    expect(await run(['--version'])).toEqual({ out: `${version}\n`, status: 0 });
  });
});
