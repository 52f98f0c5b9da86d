/** An edit of a VDisk, asked of its spec as the Kubernetes API has it: said, as a patch for a shell, or made. */
import type { Fault, Result } from '../kit/result.ts';
import type { Client } from '../kube/client.ts';
import { apiOfProcess } from '../kube/config.ts';
import type { ApiFault } from '../kube/fault.ts';
import { kinds } from '../kube/kinds.ts';
import { all, at, type KubeObject } from '../kube/object.ts';
import type { ResourceByName, VDisk } from '../resources/kinds.ts';
import type { MoveFault } from '../resources/move.ts';
import { parse } from '../resources/parse.ts';
import type { Edit, EditFault } from '../resources/release.ts';
import { must, Refusal } from '../terminal/refusal.ts';
import { type EditFlags, editText } from '../terminal/release-words.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { withClient } from './farm-of.ts';

/** What else may be asked for an edit. */
interface Around {
  readonly client: Client;
  readonly vdisk: VDisk;
}
type Made = Result<Edit, EditFault | MoveFault>;
export type MakeEdit = (spec: VDisk['spec'], around: Around) => Made | Promise<Made>;
export type Connect = () => Result<Client, Fault>;

/** `named`: NAMESPACE/NAME. `after`: when it is said, and made if it is to be. */
export const editVDisk = (
  terminal: Terminal,
  named: string,
  flags: EditFlags,
  make: MakeEdit,
  connect: Connect = apiOfProcess,
  after: (client: Client) => Promise<void> = async () => undefined,
): Promise<void> =>
  withClient(connect, terminal, async (client) => {
    await edit(client, terminal, named, flags, make);
    await after(client);
  });

const targetOf = (named: string): ReturnType<typeof at> => {
  const [namespace = '', name = '', ...more] = named.split('/');
  if (!namespace || !name || more.length > 0) throw new Refusal(`${named}: write the VDisk as NAMESPACE/NAME`);
  return at(kinds.VDisk, namespace, name);
};

export const readVDisk = async (client: Client, named: string): Promise<VDisk> =>
  must(parse('VDisk', must(ofVDisk(named, await client.get<KubeObject>(targetOf(named))))));

/** Those of a namespace that can be read. */
export async function resourcesOf<K extends 'Store' | 'VDisk'>(
  client: Client,
  kind: K,
  namespace: string,
): Promise<readonly ResourceByName<K>[]> {
  const found = must(await client.listAll<KubeObject>(all(kinds[kind], namespace)));
  return found.flatMap((object) => {
    const parsed = parse(kind, object);
    return parsed.ok ? [parsed.value] : [];
  });
}

async function edit(
  client: Client,
  terminal: Terminal,
  named: string,
  { apply, output }: EditFlags,
  make: MakeEdit,
): Promise<void> {
  const target = targetOf(named);
  const object = must(ofVDisk(named, await client.get<KubeObject>(target)));
  const vdisk = must(parse('VDisk', object));
  const { patch, says } = must(ofVDisk(named, await make(vdisk.spec, { client, vdisk })));
  const unchanged = Object.keys(patch).length === 0;
  const body = { spec: patch };
  // What somebody wrote meanwhile is not written over.
  const { resourceVersion } = object.metadata;
  if (apply && !unchanged) must(await client.patch(target, { ...body, metadata: { resourceVersion } }));
  if (output === 'json') {
    terminal.out(`${JSON.stringify({ vdisk: named, applied: apply === true, says, patch: body }, undefined, 2)}\n`);
    return;
  }
  terminal.out(editText({ vdisk: named, says, unchanged, patch: body, applied: apply === true }));
}

/** A fault of which the message says of what. */
const ofVDisk = <T, F extends ApiFault | EditFault | MoveFault>(named: string, answer: Result<T, F>): Result<T, F> =>
  answer.ok ? answer : { ok: false, error: { ...answer.error, message: `VDisk ${named}: ${answer.error.message}` } };
