import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { freePorts } from '../setup/ports.ts';

/** A real API server on a real etcd, without nodes, for tests that crash it: the cluster has no such thing. */
export interface ApiServer {
  readonly kubeconfig: string;
  readonly port: number;
  /** SIGKILL to the API server; etcd goes on. */
  crash(): Promise<void>;
  /** Starts it again and waits until it is ready. */
  restart(): Promise<void>;
  /** Makes etcd forget every version but the newest. */
  compact(): Promise<void>;
  stop(): Promise<void>;
}

/** A bearer token that the API server takes for an administrator's. */
export const adminToken = 'token-of-the-test';

const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
const binary = (name: string) => join(cache, 'bootfarm', 'bin', 'v1.34.4', name);

/** `directory` is made and keeps certificates, logs and etcd's data. Services have addresses of `serviceRange`. */
export async function startApiServer(directory: string, serviceRange = '10.96.0.0/16'): Promise<ApiServer> {
  mkdirSync(directory, { recursive: true });
  const [port = 0, etcdPort = 0, peerPort = 0] = await freePorts(3);
  certificates(directory);
  const kubeconfig = join(directory, 'kubeconfig');
  writeFileSync(kubeconfig, JSON.stringify(configFor(directory, port)));
  const run = (name: string, args: readonly string[]): ChildProcess => {
    const log = openSync(join(directory, `${name}.log`), 'a');
    return spawn(binary(name), args, { stdio: ['ignore', log, log], cwd: directory });
  };
  writeFileSync(join(directory, 'tokens.csv'), `${adminToken},token-admin,1,system:masters\n`);
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const etcd = run('etcd', [
    '--data-dir=etcd',
    '--unsafe-no-fsync',
    `--listen-client-urls=${etcdUrl}`,
    `--advertise-client-urls=${etcdUrl}`,
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
  ]);
  const apiArguments = [
    `--etcd-servers=${etcdUrl}`,
    `--secure-port=${port}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    '--endpoint-reconciler-type=none',
    '--tls-cert-file=server.crt',
    '--tls-private-key-file=server.key',
    '--client-ca-file=ca.crt',
    '--token-auth-file=tokens.csv',
    '--service-account-issuer=https://kubernetes.default.svc',
    '--service-account-key-file=ca.key',
    '--service-account-signing-key-file=ca.key',
    `--service-cluster-ip-range=${serviceRange}`,
    '--allow-privileged=true',
    '--authorization-mode=RBAC',
  ];
  let api: ChildProcess | undefined;
  const end = async (child: ChildProcess | undefined) => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  const server: ApiServer = {
    kubeconfig,
    port,
    crash: () => end(api),
    async restart() {
      api = run('kube-apiserver', apiArguments);
      await ready(directory, port);
    },
    async compact() {
      const call = async (path: string, body: object) => {
        const answer = await fetch(`${etcdUrl}/v3/kv/${path}`, { method: 'POST', body: JSON.stringify(body) });
        return (await answer.json()) as { readonly header?: { readonly revision: string } };
      };
      const { header } = await call('range', { key: 'AA==' });
      await call('compaction', { revision: header?.revision, physical: true });
    },
    async stop() {
      await end(api);
      await end(etcd);
    },
  };
  try {
    await server.restart();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

const configFor = (directory: string, port: number) => ({
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [
    {
      name: 'test',
      cluster: { server: `https://127.0.0.1:${port}`, 'certificate-authority': join(directory, 'ca.crt') },
    },
  ],
  users: [
    {
      name: 'admin',
      user: { 'client-certificate': join(directory, 'admin.crt'), 'client-key': join(directory, 'admin.key') },
    },
  ],
  contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
  'current-context': 'test',
});

function certificates(directory: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' });
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
    '-subj',
    '/CN=test-ca',
  );
  const certificate = (name: string, subject: string, names: string) => {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
    openssl('req', ...key, '-out', `${name}.csr`, '-subj', subject);
    writeFileSync(join(directory, `${name}.ext`), `subjectAltName=${names}\n`);
    const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', `${name}.ext`];
    openssl('x509', '-req', '-in', `${name}.csr`, ...signed, '-out', `${name}.crt`);
  };
  certificate('server', '/CN=kube-apiserver', 'DNS:localhost,IP:127.0.0.1');
  certificate('admin', '/O=system:masters/CN=admin', 'DNS:admin');
}

/** Ready is status 200: checks that fail print "ok" lines, too. */
async function ready(directory: string, port: number): Promise<void> {
  const deadline = performance.now() + 60_000;
  const certs = ['--cacert', 'ca.crt', '--cert', 'admin.crt', '--key', 'admin.key'];
  const curl = ['-s', '-o', '/dev/null', '-m', '2', '-w', '%{http_code}', ...certs, `https://127.0.0.1:${port}/readyz`];
  while (performance.now() < deadline) {
    const code = await new Promise<string>((resolve) => {
      const child = spawn('curl', curl, { cwd: directory });
      let out = '';
      child.stdout.on('data', (data) => {
        out += data;
      });
      child.on('close', () => resolve(out));
    });
    if (code === '200') return;
    await wait(50);
  }
  throw new Error(`the API server was not ready in 60 s: see ${directory}/kube-apiserver.log`);
}
