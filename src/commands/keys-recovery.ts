/** `bootfarm keys recovery`: makes the key that a farm's keys are sealed for, prints it once, and keeps the public half alone. */
import { setTimeout as delay } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { makeRecoveryKey, parsePublicKey } from '../farm/recovery.ts';
import type { Fault, Result } from '../kit/result.ts';
import type { Client } from '../kube/client.ts';
import { kinds } from '../kube/kinds.ts';
import { at } from '../kube/object.ts';
import { isCopyFile, RECOVERY_KEY_ANNOTATION, recoveryKeyOf } from '../reconcile/farm/recovery.ts';
import { recoveryName } from '../reconcile/names.ts';
import { readSecret } from '../reconcile/secrets.ts';
import { must, Refusal } from '../terminal/refusal.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { farmOf, readFarm, withClient } from './farm-of.ts';

interface Flags {
  readonly farm?: string;
  readonly replace?: true;
  readonly showCopy?: true;
  readonly output: 'text' | 'json';
  readonly timeout: string;
}

const POLL_MS = 500;

export const recoveryCommand = (terminal: Terminal, connect: () => Result<Client, Fault>): Command =>
  new Command('recovery')
    .description('make the recovery key of a farm: printed once, to be kept off the cluster')
    .option('--farm <namespace/name>', 'which farm; may be left out where there is one, and who asks may list all')
    .option('--replace', 'another one: copies are sealed for it from now on, and the one before opens no new copy')
    .addOption(new Option('--show-copy', 'print the newest sealed copy instead').conflicts('replace'))
    .option('--timeout <seconds>', 'how long to wait for the first copy', '60')
    .addOption(new Option('-o, --output <format>', 'how').choices(['text', 'json']).default('text'))
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
    .addHelpText(
      'after',
      `
A farm's data is of no use without its keys: the password of its database, and what its machines were given. They are in Secrets, which go with their
namespace. This command makes a key pair. The operator seals the keys for the public half, whenever they change, into the Secret FARM-recovery; the pod of
an embedded database keeps the sealed text beside the data, in /data/recovery. Only the private half opens it: the line on standard output.
bootfarm keeps it nowhere. bootfarm keys recover takes both, and gives a farm that was made again its keys back.

  kubectl exec -n bootfarm deploy/bootfarm -- bootfarm keys recovery --farm lab/main >recovery.key     and put it into your vault
The public half is the Farm's annotation ${RECOVERY_KEY_ANNOTATION}. Like the sealed text, it may stand in git; where it does not, the Secret
remembers it. The annotation with an empty text ends it.`,
    )
    .action((flags: Flags) =>
      withClient(connect, terminal, (client) =>
        flags.showCopy ? showCopy(client, flags, terminal) : makeKey(client, flags, terminal),
      ),
    );

async function makeKey(client: Client, { farm: named, ...flags }: Flags, terminal: Terminal): Promise<void> {
  const seconds = Number(flags.timeout);
  if (!(seconds >= 0)) throw new Refusal(`--timeout ${flags.timeout} is no number of seconds`);
  const [namespace, name] = await farmOf(client, named);
  const target = at(kinds.Farm, namespace, name);
  const farm = `${namespace}/${name}`;
  const found = await readFarm(client, target);
  const { metadata } = found;
  const before = must(await recoveryKeyOf(client, found));
  if (before && !flags.replace) {
    const known = parsePublicKey(before);
    throw new Refusal(
      `Farm ${farm} has a recovery key${known.ok ? `, ${known.value.id}` : ''}: who has it needs no other. ` +
        '--replace makes another one; the one before opens only copies that were made before',
    );
  }
  const { id, publicText, privateText } = makeRecoveryKey();
  const annotations = { [RECOVERY_KEY_ANNOTATION]: publicText };
  must(await client.patch(target, { metadata: { resourceVersion: metadata.resourceVersion, annotations } }));
  terminal.out(
    flags.output === 'json'
      ? `${JSON.stringify({ farm, id, publicKey: publicText, privateKey: privateText }, undefined, 2)}\n`
      : `${privateText}\n`,
  );
  terminal.err(
    `Recovery key ${id} of Farm ${farm} is on standard output, this once: put it into your vault, off this cluster. bootfarm keeps it nowhere.\n`,
  );
  const end = performance.now() + seconds * 1_000;
  for (;;) {
    const recovery = (await readFarm(client, target)).status?.keys?.recovery;
    if (recovery?.key === id) break;
    if (performance.now() > end)
      throw new Refusal(
        `there is no copy yet: ${recovery?.message ?? 'the operator has not sealed one'}. It is made once the database answers: see status.keys.recovery of the Farm`,
      );
    await delay(POLL_MS);
  }
  terminal.err(
    `The first copy is sealed, in Secret ${recoveryName(name)}. An embedded database has it beside its data within two minutes:\n` +
      `  kubectl exec -n ${namespace} sts/${name}-database -- ls -l /data/recovery\n` +
      'For an external database keep the copy with its backups: bootfarm keys recovery --show-copy\n',
  );
}

async function showCopy(client: Client, { farm: named, output }: Flags, terminal: Terminal): Promise<void> {
  const [namespace, name] = await farmOf(client, named);
  const held = must(await readSecret(client, namespace, recoveryName(name))) ?? {};
  const copies = Object.entries(held).flatMap(([file, bytes]) => (isCopyFile(file) ? [bytes.toString()] : []));
  if (copies.length === 0)
    throw new Refusal(`Farm ${namespace}/${name} has no copy: bootfarm keys recovery makes the key that it needs`);
  terminal.out(
    output === 'json' ? `${JSON.stringify({ farm: `${namespace}/${name}`, copies }, undefined, 2)}\n` : copies.join(''),
  );
}
