/** The Farm that a command is about, as the Kubernetes API has it. */
import type { Fault, Result } from '../kit/result.ts';
import type { Client } from '../kube/client.ts';
import { kinds } from '../kube/kinds.ts';
import { all, type at, type KubeObject } from '../kube/object.ts';
import type { Farm } from '../resources/kinds.ts';
import { parse } from '../resources/parse.ts';
import { attempt, must, Refusal } from '../terminal/refusal.ts';
import type { Terminal } from '../terminal/terminal.ts';

/** Runs a command with a client that is closed afterwards; a refusal is what it says at the end. */
export async function withClient(
  connect: () => Result<Client, Fault>,
  terminal: Terminal,
  work: (client: Client) => Promise<void>,
): Promise<void> {
  const client = connect();
  try {
    await attempt(terminal, async () => work(must(client)));
  } finally {
    if (client.ok) await client.value.close();
  }
}

/** `named`: NAMESPACE/NAME; absent: the only one there is. */
export async function farmOf(client: Client, named: string | undefined): Promise<[namespace: string, name: string]> {
  const [namespace, name, ...more] = named?.split('/') ?? [];
  if (namespace && name && more.length === 0) return [namespace, name];
  if (named !== undefined) throw new Refusal(`--farm ${named}: write it as NAMESPACE/NAME`);
  const found = await client.listAll<KubeObject>(all(kinds.Farm));
  if (!found.ok)
    throw new Refusal(
      found.error.code === 'Forbidden'
        ? 'say which farm by --farm NAMESPACE/NAME: who asks may not list the farms of every namespace'
        : found.error.message,
    );
  const farms = found.value.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  const [only = '', ...others] = farms;
  if (only === '' || others.length > 0)
    throw new Refusal(`say which farm by --farm NAMESPACE/NAME: ${farms.join(', ') || 'there is none'}`);
  return only.split('/') as [string, string];
}

export const readFarm = async (client: Client, target: ReturnType<typeof at>): Promise<Farm> =>
  must(parse('Farm', must(await client.get<KubeObject>(target))));
