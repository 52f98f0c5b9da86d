/** What each role loads: a server has no Kubernetes client in its memory, and no key of the farm's authority is made where none is needed. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { unfit } from './server.ts';

const root = join(import.meta.dirname, '../..');
const HOOK = `import { registerHooks } from 'node:module';
registerHooks({ load(url, context, next) { process.stderr.write(url + '\\n'); return next(url, context); } });`;

/** Folders of src and packages whose modules were loaded. */
function loadedBy(...args: readonly string[]): {
  readonly folders: readonly string[];
  readonly packages: readonly string[];
} {
  const hook = `data:text/javascript,${encodeURIComponent(HOOK)}`;
  // What a hook writes goes to a pipe: all of it is there when the process has ended.
  const text = execFileSync('sh', ['-c', '"$@" 2>&1 >/dev/null', 'sh', process.execPath, '--import', hook, ...args], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 16 << 20,
  });
  const paths = text
    .split('\n')
    .flatMap((line) => (line.startsWith(`file://${root}/`) ? [line.slice(`file://${root}/`.length)] : []));
  const named = (expression: RegExp) => [...new Set(paths.flatMap((path) => expression.exec(path)?.[1] ?? []))].sort();
  return { folders: named(/^src\/([a-z]+)\//), packages: named(/^.*node_modules\/((?:@[^/]+\/)?[^/]+)\//) };
}

const SERVER_FOLDERS = [
  'control',
  'database',
  'dhcp',
  'export',
  'farm',
  'httpboot',
  'image',
  'kit',
  'net',
  'replica',
  'server',
  'store',
  'stream',
  'telemetry',
  'tftp',
  'transfer',
  'work',
];

test('a server loads its folders, and none of reconcile, kube and resources', () => {
  const { folders, packages } = loadedBy('-e', `await import('${root}/src/server/server.ts')`);
  expect(folders).toEqual(SERVER_FOLDERS);
  expect(packages).toEqual(expect.arrayContaining(['fastify', 'ioredis', 'koffi', 'pg']));
  for (const stranger of [
    '@kubernetes/client-node',
    '@dot-i/k8s-operator',
    '@peculiar/x509',
    'yaml',
    'reflect-metadata',
    'undici',
  ])
    expect(packages).not.toContain(stranger);
});

test.each([
  { word: 'server', of: 'roles', strangers: ['kube', 'reconcile', 'resources', 'stream'] },
  { word: 'work', of: 'roles', strangers: ['kube', 'reconcile', 'resources', 'stream', 'server', 'database'] },
  {
    word: 'mount',
    of: 'roles',
    strangers: ['kube', 'reconcile', 'resources', 'stream', 'server', 'database', 'image'],
  },
  { word: 'device', of: 'commands', strangers: ['kube', 'reconcile', 'resources', 'stream'] },
  { word: 'vdisk', of: 'commands', strangers: ['kube', 'reconcile', 'stream'] },
  { word: 'operator', of: 'roles', strangers: ['stream', 'dhcp', 'tftp', 'httpboot', 'store', 'image'] },
])('bootfarm $word --help loads nothing of $strangers', ({ word, of, strangers }) => {
  const { folders } = loadedBy('src/main.ts', word, '--help');
  expect(folders).toContain(of);
  expect(folders.filter((folder) => strangers.includes(folder))).toEqual([]);
});

describe('a machine that cannot run a server', () => {
  test.each([
    ['linux', 'x64', undefined],
    ['linux', 'arm64', undefined],
    ['linux', 'arm', /Linux on x64 or arm64, and this machine is linux on arm: choose other nodes by spec.placement/],
    ['linux', 's390x', /s390x/],
    ['darwin', 'arm64', /darwin/],
  ] as const)('%s on %s', (platform, architecture, says) => {
    const reason = unfit(platform, architecture);
    if (says) expect(reason).toMatch(says);
    else expect(reason).toBeUndefined();
  });
});
