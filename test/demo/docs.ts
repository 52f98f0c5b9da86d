/**
 * The pages of `docs/` that say how a task is done, run on a farm that serves: each `sh` block as it stands, by one shell a page, with `kubectl`, `helm` and
 * `bootfarm` of the farm's site. What a page makes, its last block takes away. `test/e2e/farm.test.ts` runs them.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { scriptOf, type Values } from '../check/pages.ts';
import { runAsync } from '../cluster/run.ts';
import { type DemoFarm, NAMESPACE, OPERATOR_NAMESPACE, STORE_FOLDER } from './farm.ts';
import type { OwnSite } from './site.ts';

const root = join(import.meta.dirname, '../..');

/** It begins with no farm, and chooses the namespace of the context itself: all others take that for done. */
const FIRST = 'first-farm.md';
/** Pages that touch nothing of each other run beside each other: most of their time is waiting. */
const LANES: readonly (readonly string[])[] = [
  [FIRST, 'add-machines.md', 'upgrade.md', 'lost-server.md'],
  ['new-version.md'],
  ['take-a-store.md'],
];
/** The first of these takes the database away, and copies of the operator see seconds apart that it is back: what follows edits nothing. */
const ALONE = ['no-database.md', 'read-the-status.md'] as const;
export const TASKS: readonly string[] = [...LANES.flat(), ...ALONE];

/** Of a page. Seconds. */
const LONGEST_S = 240;

/** What the pages say in capitals, as the farm has it. */
function valuesOf({ site: { image, nodes } }: DemoFarm): Values {
  const [, REGISTRY = '', TAG = ''] = /^(.+)\/[^/]+:([^:/]+)$/.exec(image) ?? [];
  const [NODE = '', OTHER = ''] = nodes.map(({ name }) => name);
  return { REGISTRY, TAG, NODE, OTHER, DATANODE: nodes.at(-1)?.name ?? '', VDISK };
}

/** A vDisk of the store `local` of which pages make versions: those of `lab` are for other tests, and a number that was used once keeps its content. */
const VDISK = 'spare';
/** The folder of a store, and the vDisk in it, that a page finds there. */
const [ARCHIVE, ARCHIVED] = ['/srv/archive', 'tools'];
const ENDS = ['vhdx', 'vmlinuz', 'initrd'] as const;
/** Of the disk. No machine boots it. */
const SMALL_BYTES = 16 << 20;
/** No server waits for the end of a copy that is so old. */
const OLD = new Date(Date.now() - 3_600_000);

/** What the pages say that is there before. */
async function placeVDisks(farm: DemoFarm<OwnSite>): Promise<void> {
  const { site } = farm;
  const [NODE = '', OTHER = ''] = site.nodes.map(({ name }) => name);
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-docs-'));
  for (const name of [VDISK, ARCHIVED]) {
    const [disk = '', ...others] = ENDS.map((end) => join(folder, `${name}.${end}`));
    await runAsync('qemu-img', 'create', '-q', '-f', 'vhdx', '-o', 'subformat=dynamic', disk, String(SMALL_BYTES));
    for (const path of others) writeFileSync(path, `${path.split('.').at(-1)} of ${name}\n`);
    const files = ENDS.map((end) => `${name}.${end}`);
    const target = name === VDISK ? STORE_FOLDER : ARCHIVE;
    await site.placeFiles(folder, files, target, [NODE]);
    await site.placeFiles(folder, [], target, [OTHER]);
    for (const file of files) utimesSync(site.nodePath?.(NODE, join(target, file)) ?? '', OLD, OLD);
  }
  rmSync(folder, { recursive: true });
  const [metadata, farmRef, storeRef] = [{ name: VDISK }, { name: 'farm' }, { name: 'local' }];
  const spec = { farmRef, storeRef, fileName: VDISK };
  await farm.apply(JSON.stringify({ apiVersion: 'bootfarm.io/v1alpha1', kind: 'VDisk', metadata, spec }));
  await farm.waitReady([`vd/${VDISK}`]);
}

async function removeVDisks(farm: DemoFarm<OwnSite>): Promise<void> {
  await farm.kubectl('delete', `vd/${VDISK}`);
  for (const { name } of farm.site.nodes) {
    rmSync(farm.site.nodePath?.(name, ARCHIVE) ?? '', { recursive: true, force: true });
    const store = farm.site.nodePath?.(name, STORE_FOLDER) ?? '';
    for (const file of filesIn(farm, name)) if (file.startsWith(`${VDISK}.`)) rmSync(join(store, file));
  }
}

/** Of the store of a node, by name; what begins with a dot is the farm's own. */
function filesIn({ site }: DemoFarm<OwnSite>, node: string): readonly string[] {
  try {
    const names = readdirSync(site.nodePath?.(node, STORE_FOLDER) ?? '');
    return names.filter((name) => !name.startsWith('.')).sort();
  } catch {
    return [];
  }
}

/** What must be afterwards as it was: what was asked for, who serves, who is served, and what lies on the nodes. */
export async function standing(farm: DemoFarm<OwnSite>): Promise<object> {
  const kinds = 'farms,stores.bootfarm.io,vdisks,streamingservers';
  const { items }: { readonly items: readonly { kind: string; metadata: { name: string }; spec: object }[] } =
    JSON.parse(await farm.kubectl('get', kinds, '-o', 'json'));
  const [helm, ...before] = farm.site.helm;
  return {
    specs: items.map(({ kind, metadata: { name }, spec }) => ({ kind, name, spec })),
    values: JSON.parse(
      await runAsync(helm, ...before, 'get', 'values', 'bootfarm', '-n', OPERATOR_NAMESPACE, '-o', 'json'),
    ),
    operators: (await farm.operators()).map(({ address }) => address).sort(),
    servers: (await farm.serverPods()).map(({ name }) => name).sort(),
    streaming: (await farm.streaming()).map(({ name }) => name).sort(),
    devices: await farm.devices(),
    // Of which server is the farm's own business: it evens out what the servers have.
    streams: (await farm.sessions()).map((session) => session.split(' ')[0]).sort(),
    files: farm.site.nodes.map(({ name }) => [name, filesIn(farm, name)]),
  };
}

/** All of them, on one farm. */
export async function runPages(farm: DemoFarm<OwnSite>): Promise<void> {
  await placeVDisks(farm);
  const ended = await Promise.allSettled(LANES.map((lane) => runLane(farm, lane)));
  const [failed, ...others] = ended.flatMap((one) => (one.status === 'rejected' ? [one.reason as Error] : []));
  if (failed) throw new Error([failed, ...others].map(({ message }) => message).join('\n\n'));
  await runLane(farm, ALONE);
  await removeVDisks(farm);
}

async function runLane(farm: DemoFarm<OwnSite>, pages: readonly string[]): Promise<void> {
  for (const page of pages) {
    const began = performance.now();
    await runPage(farm, page);
    farm.say(`docs/${page}: all of it ran, in ${Math.round((performance.now() - began) / 1_000)} s`);
  }
}

/** In a folder of its own, from which `charts` and `deploy` are seen as from the project's. Throws with the page, the command, and all that was said. */
async function runPage(farm: DemoFarm<OwnSite>, page: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-page-'));
  try {
    for (const name of ['charts', 'deploy']) symlinkSync(join(root, name), join(folder, name));
    await makeCommands(farm, folder, page !== FIRST);
    writeFileSync(join(folder, 'updated.raw'), Buffer.alloc(SMALL_BYTES).fill('updated\n', 0, 1 << 20));
    const script = join(folder, page);
    // The first line of a page is its title.
    const told = `trap 'echo "docs/${page}, line $LINENO: $BASH_COMMAND: ended with $?"' ERR`;
    writeFileSync(script, told + scriptOf(readFileSync(join(root, 'docs', page), 'utf8'), valuesOf(farm)));
    const said = join(folder, 'said');
    const file = openSync(said, 'w');
    const bash = ['bash', '-Eeuv', '-o', 'pipefail', script];
    const shell = spawn('timeout', ['--kill-after=10', String(LONGEST_S), ...bash], {
      cwd: folder,
      env: { ...process.env, PATH: `${join(folder, 'bin')}:${process.env['PATH']}` },
      stdio: ['ignore', file, file],
    });
    const [status] = await once(shell, 'exit');
    closeSync(file);
    if (status === 0) return;
    const why = status === 124 ? `took more than ${LONGEST_S} s` : `ended with ${status}`;
    throw new Error(`docs/${page} ${why}:\n${readFileSync(said, 'utf8').replaceAll(/\n{2,}/g, '\n')}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** `kubectl`, `helm` and `bootfarm`, first on the PATH, by a copy of the kubeconfig: pages may change its context. */
async function makeCommands({ site }: DemoFarm<OwnSite>, folder: string, isChosen: boolean): Promise<void> {
  const kubeconfig = join(folder, 'kubeconfig');
  const [kubectl, ...before] = site.kubectl;
  const text = await runAsync(kubectl, ...before, 'config', 'view', '--raw', '--flatten');
  writeFileSync(kubeconfig, text, { mode: 0o600 });
  mkdirSync(join(folder, 'bin'));
  for (const [name, command] of Object.entries({ kubectl: site.kubectl, helm: site.helm, bootfarm: site.desk })) {
    // Of an option that is given twice the last one holds.
    const line = [...command, '--kubeconfig', kubeconfig].map((word) => `'${word}'`).join(' ');
    writeFileSync(join(folder, 'bin', name), `#!/bin/sh\nexec ${line} "$@"\n`, { mode: 0o755 });
  }
  if (isChosen)
    await runAsync(join(folder, 'bin/kubectl'), 'config', 'set-context', '--current', `--namespace=${NAMESPACE}`);
}
