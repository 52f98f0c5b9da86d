/** An edit of a VDisk, asked of its spec as the Kubernetes API has it: said, as a patch for a shell, or made. */
import type { Fault, Result } from '../kit/result.ts';
import type { Client } from '../kube/client.ts';
import { apiOfProcess } from '../kube/config.ts';
import type { ApiFault } from '../kube/fault.ts';
import { kinds } from '../kube/kinds.ts';
import { at, type KubeObject } from '../kube/object.ts';
import type { VDisk } from '../resources/kinds.ts';
import { parse } from '../resources/parse.ts';
import type { Edit, EditFault } from '../resources/release.ts';
import { withClient } from './farm-of.ts';
import { must, Refusal } from './refusal.ts';
import type { Terminal } from './terminal.ts';

export interface Flags {
  readonly apply?: true;
  readonly output: 'text' | 'json';
}

export type MakeEdit = (spec: VDisk['spec']) => Result<Edit, EditFault>;
export type Connect = () => Result<Client, Fault>;

/** `named`: NAMESPACE/NAME. */
export const editVDisk = (
  terminal: Terminal,
  named: string,
  flags: Flags,
  make: MakeEdit,
  connect: Connect = apiOfProcess,
): Promise<void> => withClient(connect, terminal, (client) => edit(client, terminal, named, flags, make));

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
