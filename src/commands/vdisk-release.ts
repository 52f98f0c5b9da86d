/** `bootfarm vdisk promote|revert`: the edit of a VDisk that a person would make in git, as a patch, or made. */
import { type Command, Option } from 'commander';
import type { Result } from '../kit/result.ts';
import type { Client } from '../kube/client.ts';
import { apiOfProcess } from '../kube/config.ts';
import type { ApiFault } from '../kube/fault.ts';
import { kinds } from '../kube/kinds.ts';
import { at, type KubeObject } from '../kube/object.ts';
import { ACCESSES } from '../resources/common.ts';
import type { VDisk } from '../resources/kinds.ts';
import { parse } from '../resources/parse.ts';
import { type Edit, type EditFault, promote, revert } from '../resources/release.ts';
import { withClient } from './farm-of.ts';
import { must, Refusal, versionNumber } from './refusal.ts';
import type { Terminal } from './terminal.ts';

interface Flags {
  readonly apply?: true;
  readonly output: 'text' | 'json';
}

type Access = (typeof ACCESSES)[number];
type MakeEdit = (spec: VDisk['spec']) => Result<Edit, EditFault>;

export function addReleaseCommands(command: Command, terminal: Terminal, connect = apiOfProcess): void {
  const edited = (name: string, description: string): Command =>
    command
      .command(name)
      .description(description)
      .argument('<namespace/name>', 'the VDisk')
      .option('--apply', 'make the edit; git, where it keeps the VDisk, makes it undone')
      .addOption(new Option('-o, --output <format>', 'how').choices(['text', 'json']).default('text'));
  const run = (named: string, flags: Flags, make: MakeEdit): Promise<void> =>
    withClient(connect, terminal, (client) => edit(client, terminal, named, flags, make));

  edited('promote', 'let a class of devices boot a version: prints the edit of the VDisk')
    .argument('<version>', 'its number')
    .addOption(new Option('--access <access>', 'for whom').choices([...ACCESSES]).default('Production'))
    .option('--release-at <time>', 'when, such as 2026-12-01T06:00:00Z (default: at once)')
    .addHelpText('after', '\nExample:\n  bootfarm vdisk promote lab/win 3 --release-at 2026-12-01T06:00:00Z')
    .action((named: string, version: string, flags: Flags & { access: Access; releaseAt?: string }) =>
      run(named, flags, (spec) => {
        const { access, releaseAt } = flags;
        return promote(spec, { number: versionNumber('version', version), access, ...releasedOf(releaseAt) });
      }),
    );
  edited('revert', 'let machines boot the version before: prints the edit of the VDisk')
    .addHelpText('after', '\nExample:\n  bootfarm vdisk revert lab/win --apply\n\nWithout git: bootfarm rollback')
    .action((named: string, flags: Flags) => run(named, flags, (spec) => revert(spec, Date.now())));
}

async function edit(
  client: Client,
  terminal: Terminal,
  named: string,
  { apply, output }: Flags,
  make: MakeEdit,
): Promise<void> {
  const [namespace = '', name = '', ...more] = named.split('/');
  if (!namespace || !name || more.length > 0) throw new Refusal(`${named}: write the VDisk as NAMESPACE/NAME`);
  const target = at(kinds.VDisk, namespace, name);
  const object = must(ofVDisk(named, await client.get<KubeObject>(target)));
  const { patch, says } = must(ofVDisk(named, make(must(parse('VDisk', object)).spec)));
  const isSame = Object.keys(patch).length === 0;
  const body = { spec: patch };
  // What somebody wrote meanwhile is not written over.
  const { resourceVersion } = object.metadata;
  if (apply && !isSame) must(await client.patch(target, { ...body, metadata: { resourceVersion } }));
  if (output === 'json') {
    terminal.out(`${JSON.stringify({ vdisk: named, applied: apply === true, says, patch: body }, undefined, 2)}\n`);
    return;
  }
  terminal.out(`${named}: ${says}${isSame ? ': unchanged' : ''}\n`);
  if (!apply && !isSame)
    terminal.out(
      `put that into git, or give --apply, or:\n  kubectl patch vd ${name} -n ${namespace} --type=merge --patch '${quoted(JSON.stringify(body))}'\n`,
    );
}

/** Within single quotes of a shell. */
const quoted = (text: string): string => text.replaceAll("'", `'\\''`);

/** A fault of which the message says of what. */
const ofVDisk = <T, F extends ApiFault | EditFault>(named: string, answer: Result<T, F>): Result<T, F> =>
  answer.ok ? answer : { ok: false, error: { ...answer.error, message: `VDisk ${named}: ${answer.error.message}` } };

function releasedOf(text: string | undefined): { readonly releaseAt?: string } {
  if (text === undefined) return {};
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(Date.parse(text)))
    return { releaseAt: text };
  throw new Refusal(`--release-at ${text}: write it as 2026-12-01T06:00:00Z`);
}
