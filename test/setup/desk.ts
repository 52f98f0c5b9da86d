/**
 * `make desk`: the package for a desk, .build/desk/bootfarm-VERSION.tgz, and the manifest for krew beside it. One file is bundled from src/desk/main.ts, with the
 * licences of all that is in it; nothing of the server may be, and it may have no more than 5 MB.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';

const root = join(import.meta.dirname, '../..');
const target = join(root, '.build/desk');
const folder = join(target, 'package');

/** What of `src` a desk may hold. */
const FOLDERS = ['desk', 'terminal', 'devices', 'farm', 'kit'];
const MAX_BYTES = 5_000_000;
/** Where releases lie, for krew: the package of this version is below it. */
const ADDRESS = process.argv[2] ?? 'https://RELEASES';

const { version, description, license, engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/**
 * The library's KubeConfig is wanted for kubeconfigs, credentials and WebSockets alone; the clients that it can make of all kinds of Kubernetes, and
 * the HTTP that they ask by, are three quarters of the file, which is read whole at each start. A name that is missed here fails the build.
 */
const SLIM: Plugin = {
  name: 'slim',
  setup({ onResolve, onLoad }) {
    const unused = ({ path, importer }: { path: string; importer: string }) =>
      /client-node\/dist\/config\.js$/.test(importer) ? { path, namespace: 'unused' } : undefined;
    onResolve({ filter: /^(undici|\.\/gen\/index\.js)$/ }, unused);
    onLoad({ filter: /./, namespace: 'unused' }, () => ({
      contents: `const unused = () => { throw new Error('it is not in this package'); };
        export { unused as Agent, unused as ProxyAgent, unused as createConfiguration, unused as ServerConfiguration };`,
    }));
  },
};

/** Paths of all that went into it. */
async function bundle(): Promise<readonly string[]> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ['src/desk/main.ts'],
    outfile: join(folder, 'bootfarm.cjs'),
    bundle: true,
    minify: true,
    platform: 'node',
    // With ES modules all that Node has of HTTP and TLS would be loaded at each start.
    format: 'cjs',
    target: `node${engines.node.replace(/\D/g, '')}`,
    define: { BOOTFARM_VERSION: JSON.stringify(version) },
    legalComments: 'none',
    plugins: [SLIM],
    metafile: true,
    logLevel: 'warning',
  });
  const [out] = Object.values(metafile.outputs);
  return Object.entries(out?.inputs ?? {}).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : []));
}

function refuseServer(inputs: readonly string[]): void {
  const wrong = inputs.filter((path) => path.startsWith('src/') && !FOLDERS.includes(path.split('/')[1] ?? ''));
  if (wrong.length > 0) throw new Error(`the package for a desk holds code of the server: ${wrong.join(', ')}`);
}

/** By package, the text under which it may be given away. */
function notices(inputs: readonly string[]): string {
  const packages = new Set(inputs.flatMap((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []));
  const texts = [...packages].sort().map((path) => {
    const { name, version: of, license: under } = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8'));
    const file = readdirSync(join(root, path)).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? readFileSync(join(root, path, file), 'utf8').trim() : '';
    return `${name} ${of} (${under})\n\n${text}\n`;
  });
  return `bootfarm is under the Apache License 2.0: see LICENSE. This package holds works of others, under their own licences:\n\n${texts.join(`\n${'-'.repeat(80)}\n\n`)}`;
}

function manifest(sha256: string): string {
  const template = readFileSync(join(root, 'deploy/krew/bootfarm.yaml'), 'utf8');
  return template.replaceAll('VERSION', version).replaceAll('ADDRESS', ADDRESS).replaceAll('SHA256', sha256);
}

rmSync(target, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const inputs = await bundle();
refuseServer(inputs);
chmodSync(join(folder, 'bootfarm.cjs'), 0o755);
copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
copyFileSync(join(root, 'docs/desk.md'), join(folder, 'README.md'));
writeFileSync(join(folder, 'NOTICE'), notices(inputs));
const bin = { bootfarm: 'bootfarm.cjs', 'kubectl-bootfarm': 'bootfarm.cjs' };
writeFileSync(
  join(folder, 'package.json'),
  `${JSON.stringify({ name: 'bootfarm', version, description, license, bin, engines }, undefined, 2)}\n`,
);
const npm = join(root, 'node_modules/.bin/npm');
execFileSync(existsSync(npm) ? npm : 'npm', ['pack', '--silent', '--pack-destination', target], {
  cwd: folder,
  stdio: ['ignore', 'ignore', 'inherit'],
});
const tarball = join(target, `bootfarm-${version}.tgz`);
const bytes = readFileSync(tarball);
const unpacked = readFileSync(join(folder, 'bootfarm.cjs')).length;
if (unpacked > MAX_BYTES) throw new Error(`the package for a desk has ${unpacked} bytes, and may have ${MAX_BYTES}`);
writeFileSync(join(target, 'bootfarm.yaml'), manifest(createHash('sha256').update(bytes).digest('hex')));
console.log(`.build/desk/bootfarm-${version}.tgz: ${bytes.length} bytes, ${unpacked} unpacked`);
