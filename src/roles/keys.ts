/** `bootfarm keys rotate`: asks the operator for a new key of a farm, by an annotation that GitOps may write as well, and tells how it goes. */
import { setTimeout as delay } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { Command, Option } from 'commander';
import { type Client, createClient } from '../kube/client.ts';
import { kinds } from '../kube/kinds.ts';
import { all, at, type KubeObject } from '../kube/object.ts';
import { ROTATE_KEYS_ANNOTATION } from '../reconcile/farm/rotation.ts';
import type { Farm } from '../resources/kinds.ts';
import { parse } from '../resources/parse.ts';
import { type Terminal, terminalOfProcess } from './terminal.ts';

interface Flags {
  readonly farm?: string;
  readonly output: 'text' | 'json';
  readonly timeout: string;
}

const POLL_MS = 1_000;

/** Ends the command with a message; not a bug. */
class Refusal extends Error {}

export function keysCommand(terminal: Terminal = terminalOfProcess, connect = clientOfProcess): Command {
  const command = new Command('keys').description('keys of a farm').configureOutput({
    writeOut: terminal.out,
    writeErr: terminal.err,
  });
  command
    .command('rotate')
    .description('give a farm a new key, while its machines stream; while one is on its way, that one is waited for')
    .option('--farm <namespace/name>', 'which farm; may be left out where there is one')
    .option('--timeout <seconds>', 'how long to wait until every server has it', '600')
    .addOption(new Option('-o, --output <format>', 'how').choices(['text', 'json']).default('text'))
    .addHelpText(
      'after',
      `
Run it in the operator's pod, or where your kubeconfig may patch Farms:
  kubectl exec -n bootfarm deploy/bootfarm -- bootfarm keys rotate --farm lab/main

The same by hand or by GitOps: annotate the Farm with ${ROTATE_KEYS_ANNOTATION}, any new text; status.keys says how it goes.
The old key opens what it sealed for seven days and an hour, then it goes.`,
    )
    .action(async (flags: Flags) => {
      const client = connect();
      try {
        await rotate(client, flags, terminal);
      } catch (thrown) {
        if (!(thrown instanceof Refusal)) throw thrown;
        terminal.err(`error: ${thrown.message}\n`);
        terminal.fail();
      } finally {
        await client.close();
      }
    });
  return command;
}

function clientOfProcess(): Client {
  const config = new KubeConfig();
  config.loadFromDefault();
  return createClient(config);
}

async function rotate(client: Client, { farm: named, output, timeout }: Flags, terminal: Terminal): Promise<void> {
  const say = (text: string): void => (output === 'json' ? terminal.err : terminal.out)(`${text}\n`);
  const seconds = Number(timeout);
  if (!(seconds >= 0)) throw new Refusal(`--timeout ${timeout} is no number of seconds`);
  const target = at(kinds.Farm, ...(await farmOf(client, named)));
  const before = await readFarm(client, target);
  const under = before.metadata.annotations?.[ROTATE_KEYS_ANNOTATION];
  const isUnderWay =
    before.status?.keys?.state === 'Distributing' || (under ?? '') !== (before.status?.keys?.request ?? '');
  const request = isUnderWay && under ? under : new Date().toISOString();
  if (request !== under) {
    const asked = await client.patch(target, { metadata: { annotations: { [ROTATE_KEYS_ANNOTATION]: request } } });
    if (!asked.ok) throw new Refusal(asked.error.message);
  }
  say(
    request === under
      ? `a new key is on its way already, asked for by ${request}`
      : `a new key was asked for: ${request}`,
  );
  const end = performance.now() + seconds * 1_000;
  for (let said = ''; ; ) {
    const { keys } = (await readFarm(client, target)).status ?? {};
    const isDone = keys?.request === request && keys.state !== 'Distributing';
    const text = isDone
      ? `key ${keys.current} seals now. ${keys.message ?? ''}`.trim()
      : (keys?.message ?? 'waiting for the operator');
    if (text !== said) say(text);
    said = text;
    if (isDone) return output === 'json' ? terminal.out(`${JSON.stringify(keys, undefined, 2)}\n`) : undefined;
    if (performance.now() > end)
      throw new Refusal(
        `not done after ${seconds} s; it goes on: see status.keys of the Farm, or give this command again`,
      );
    await delay(POLL_MS);
  }
}

async function farmOf(client: Client, named: string | undefined): Promise<[namespace: string, name: string]> {
  const [namespace, name, ...more] = named?.split('/') ?? [];
  if (namespace && name && more.length === 0) return [namespace, name];
  if (named !== undefined) throw new Refusal(`--farm ${named}: write it as NAMESPACE/NAME`);
  const found = await client.listAll<KubeObject>(all(kinds.Farm));
  if (!found.ok) throw new Refusal(found.error.message);
  const farms = found.value.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  const [only = '', ...others] = farms;
  if (only === '' || others.length > 0)
    throw new Refusal(`say which farm by --farm NAMESPACE/NAME: ${farms.join(', ') || 'there is none'}`);
  return only.split('/') as [string, string];
}

async function readFarm(client: Client, target: ReturnType<typeof at>): Promise<Farm> {
  const found = await client.get<KubeObject>(target);
  if (!found.ok) throw new Refusal(found.error.message);
  const parsed = parse('Farm', found.value);
  if (!parsed.ok) throw new Refusal(parsed.error.message);
  return parsed.value;
}
