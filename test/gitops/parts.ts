/** What `make test-gitops` runs beside a real API server: git over HTTP, a registry with one chart, Argo CD and Flux as processes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { binary } from '../cluster/cluster.ts';
import { run } from '../cluster/run.ts';
import type { ApiServer } from '../integration/api-server.ts';
import { freePorts } from '../setup/ports.ts';

const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'bootfarm/gitops');
/** By the beginning of its name: build.sh puts the version behind it. */
function built(name: string): string {
  const found = readdirSync(cache).find((file) => file.startsWith(`${name}-v`) && !file.endsWith('.partial'));
  if (!found) throw new Error(`${name} is not built: test/gitops/build.sh controllers`);
  return join(cache, found);
}

async function listen(handler: RequestListener): Promise<{ readonly server: Server; readonly address: string }> {
  const server = createServer(handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return { server, address: `127.0.0.1:${typeof address === 'object' && address ? address.port : 0}` };
}

export interface Site {
  readonly url: string;
  /** Texts by path; undefined removes the file. */
  commit(files: Readonly<Record<string, string | undefined>>): void;
  close(): void;
}

/** A repository with the branch main, served by git's own CGI program. */
export async function startGit(folder: string): Promise<Site> {
  const work = join(folder, 'work');
  const git = (...args: string[]): string =>
    run('git', '-C', work, '-c', 'user.name=test', '-c', 'user.email=test@localhost', ...args);
  mkdirSync(work, { recursive: true });
  git('init', '--quiet', '--initial-branch=main');
  run('git', 'init', '--quiet', '--bare', '--initial-branch=main', join(folder, 'site.git'));
  const program = join(run('git', '--exec-path').trim(), 'git-http-backend');
  const { server, address } = await listen((request, response) => {
    const [path = '', query = ''] = (request.url ?? '').split('?');
    const child = spawn(program, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: {
        PATH: process.env['PATH'],
        GIT_PROJECT_ROOT: folder,
        GIT_HTTP_EXPORT_ALL: '1',
        GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
        PATH_INFO: path,
        QUERY_STRING: query,
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        HTTP_CONTENT_ENCODING: String(request.headers['content-encoding'] ?? ''),
      },
    });
    request.pipe(child.stdin);
    const parts: Buffer[] = [];
    child.stdout.on('data', (part) => parts.push(part));
    child.stdout.on('end', () => {
      const all = Buffer.concat(parts);
      const end = all.indexOf('\r\n\r\n');
      for (const line of all.subarray(0, end).toString().split('\r\n')) {
        const [name = '', value = ''] = line.split(': ');
        if (name === 'Status') response.statusCode = Number.parseInt(value, 10);
        else response.setHeader(name, value);
      }
      response.end(all.subarray(end + 4));
    });
  });
  return {
    url: `http://${address}/site.git`,
    commit(files) {
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(work, path)), { recursive: true });
        if (text === undefined) rmSync(join(work, path));
        else writeFileSync(join(work, path), text);
      }
      git('add', '--all');
      git('commit', '--quiet', '--message', 'change');
      git('push', '--quiet', join(folder, 'site.git'), 'main');
    },
    close: () => void server.close(),
  };
}

/** A registry that has one chart, under each name and its version: what a client needs to read it. */
export async function startRegistry(
  chart: string,
  version: string,
): Promise<{ readonly address: string; close(): void }> {
  const layer = readFileSync(chart);
  const config = Buffer.from(JSON.stringify({ name: 'bootfarm', version, apiVersion: 'v2' }));
  const described = (mediaType: string, content: Buffer) => ({
    mediaType,
    digest: `sha256:${createHash('sha256').update(content).digest('hex')}`,
    size: content.length,
  });
  const of = (mediaType: string, content: Buffer) => ({ content, ...described(mediaType, content) });
  const blobs = [
    of('application/vnd.cncf.helm.config.v1+json', config),
    of('application/vnd.cncf.helm.chart.content.v1.tar+gzip', layer),
  ];
  const [configPart, layerPart] = blobs.map(({ content: _, ...rest }) => rest);
  const type = 'application/vnd.oci.image.manifest.v1+json';
  const text = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: type, config: configPart, layers: [layerPart] }),
  );
  const manifest = of(type, text);
  const { server, address } = await listen((request, response) => {
    const path = request.url ?? '';
    const blob = blobs.find(({ digest }) => path.endsWith(`/blobs/${digest}`));
    const found = blob ?? (path.includes('/manifests/') ? manifest : undefined);
    const json = path.includes('/tags/list') ? { name: 'charts/bootfarm', tags: [version] } : {};
    const body = found?.content ?? Buffer.from(JSON.stringify(json));
    response.setHeader('content-type', blob ? 'application/octet-stream' : (found?.mediaType ?? 'application/json'));
    if (found) response.setHeader('docker-content-digest', found.digest);
    response.setHeader('content-length', body.length);
    response.end(request.method === 'HEAD' ? undefined : body);
  });
  return { address, close: () => void server.close() };
}

export interface Controllers {
  stop(): Promise<void>;
}

type Start = (name: string, program: string, args: readonly string[], env?: Readonly<Record<string, string>>) => void;

/** Each process writes NAME.log into the folder, and ends by SIGKILL. The first is the garbage collector, by which foreground deletions end. */
function processes(folder: string, kubeconfig: string): Controllers & { readonly start: Start } {
  mkdirSync(join(folder, 'bin'), { recursive: true });
  const children: ChildProcess[] = [];
  const start: Start = (name, program, args, env = {}) => {
    const log = openSync(join(folder, `${name}.log`), 'a');
    const own = {
      HOME: folder,
      TMPDIR: folder,
      KUBECONFIG: kubeconfig,
      PATH: `${join(folder, 'bin')}:${process.env['PATH']}`,
    };
    children.push(
      spawn(program, args, { argv0: name, stdio: ['ignore', log, log], cwd: folder, env: { ...own, ...env } }),
    );
  };
  const collector = ['--controllers=garbage-collector-controller', '--leader-elect=false', '--secure-port=0'];
  start('kube-controller-manager', binary('kube-controller-manager'), ['--kubeconfig', kubeconfig, ...collector]);
  return {
    start,
    async stop() {
      await Promise.all(
        children.map(async (child) => {
          if (child.exitCode !== null || child.signalCode !== null) return;
          child.kill('SIGKILL');
          await once(child, 'exit');
        }),
      );
    },
  };
}

/** Its controllers in the namespace argocd, which is there with argocd-cm. */
export async function startArgo(api: ApiServer, folder: string): Promise<Controllers> {
  const { start, stop } = processes(folder, api.kubeconfig);
  const [redis, repo, ...more] = (await freePorts(8)).map(String);
  // Argo CD calls programs of these names.
  const shim = (name: string, line: string) =>
    writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  shim('helm', `exec ${binary('helm')} "$@"`);
  shim('kustomize', `[ "$1" = build ] && shift; exec ${binary('kubectl')} kustomize "$@"`);
  start('redis-server', 'redis-server', ['--port', redis ?? '', '--bind', '127.0.0.1', '--save', '', '--dir', folder]);
  const env = {
    ARGOCD_FAKE_IN_CLUSTER: 'true',
    ARGOCD_GPG_ENABLED: 'false',
    ARGOCD_TLS_DATA_PATH: folder,
    ARGOCD_SSH_DATA_PATH: folder,
    ARGOCD_RECONCILIATION_JITTER: '0',
  };
  const program = built('argocd');
  start(
    'argocd-repo-server',
    program,
    ['--disable-tls', '--redis', `127.0.0.1:${redis}`, '--port', repo ?? '', '--metrics-port', more[0] ?? ''],
    env,
  );
  const repoServer = ['--repo-server-plaintext', '--namespace', 'argocd'];
  start(
    'argocd-application-controller',
    program,
    [
      ...repoServer,
      `--kubeconfig=${api.kubeconfig}`,
      `--repo-server=127.0.0.1:${repo}`,
      `--redis=127.0.0.1:${redis}`,
      `--metrics-port=${more[1]}`,
      '--app-resync=5',
      '--self-heal-timeout-seconds=1',
      '--persist-resource-health',
    ],
    env,
  );
  start(
    'argocd-applicationset-controller',
    program,
    [
      ...repoServer,
      `--kubeconfig=${api.kubeconfig}`,
      `--argocd-repo-server=127.0.0.1:${repo}`,
      `--metrics-addr=127.0.0.1:${more[2]}`,
      `--probe-addr=127.0.0.1:${more[3]}`,
      `--webhook-addr=127.0.0.1:${more[4]}`,
    ],
    env,
  );
  return { stop };
}

/** Its controllers, which look at all namespaces. */
export async function startFlux(api: ApiServer, folder: string): Promise<Controllers> {
  const { start, stop } = processes(folder, api.kubeconfig);
  const [storage] = await freePorts(1);
  const common = ['--metrics-addr=127.0.0.1:0', '--health-addr=127.0.0.1:0', '--events-addr='];
  const env = { RUNTIME_NAMESPACE: 'flux-system' };
  const address = `127.0.0.1:${storage}`;
  mkdirSync(join(folder, 'storage'), { recursive: true });
  const where = [
    `--storage-path=${join(folder, 'storage')}`,
    `--storage-addr=${address}`,
    `--storage-adv-addr=${address}`,
  ];
  start('source-controller', built('source-controller'), [...common, ...where], env);
  start('kustomize-controller', built('kustomize-controller'), [...common, '--requeue-dependency=2s'], env);
  start('helm-controller', built('helm-controller'), common, env);
  return { stop };
}
