/** `bootfarm keys …`: `rotate` is here. It asks the operator for new keys, passwords or certificates, by an annotation that GitOps may write as well, and tells how it goes. */
import { setTimeout as delay } from 'node:timers/promises';
import { Command, Option } from 'commander';
import type { Fault, Result } from '../kit/result.ts';
import type { Client } from '../kube/client.ts';
import { apiOfProcess } from '../kube/config.ts';
import { kinds } from '../kube/kinds.ts';
import { at } from '../kube/object.ts';
import { ROTATE_KEYS_ANNOTATION } from '../reconcile/farm/rotation.ts';
import { isHurried, NOW, ROTATE_CA_ANNOTATION, ROTATE_PASSWORDS_ANNOTATION } from '../reconcile/farm/turn.ts';
import type { Farm } from '../resources/kinds.ts';
import { Refusal } from '../terminal/refusal.ts';
import { type Input, inputOfProcess, type Terminal, terminalOfProcess } from '../terminal/terminal.ts';
import { farmOf, readFarm, withClient } from './farm-of.ts';
import { recoverCommand } from './keys-recover.ts';
import { recoveryCommand } from './keys-recovery.ts';

interface Flags {
  readonly farm?: string;
  readonly passwords?: true;
  readonly ca?: true;
  readonly now?: true;
  readonly output: 'text' | 'json';
  readonly timeout: string;
}

const POLL_MS = 1_000;

type KeysStatus = NonNullable<NonNullable<Farm['status']>['keys']>;
type Status = Pick<KeysStatus, 'state' | 'request' | 'message'>;

interface What {
  readonly annotation: string;
  /** Says what was asked for. */
  readonly name: string;
  of(keys: KeysStatus): Status | undefined;
  done(keys: KeysStatus): string;
}

const KEYS: What = {
  annotation: ROTATE_KEYS_ANNOTATION,
  name: 'a new key',
  of: (keys) => keys,
  done: ({ current, message = '' }) => `key ${current} seals now. ${message}`.trim(),
};
const PASSWORDS: What = {
  annotation: ROTATE_PASSWORDS_ANNOTATION,
  name: 'new passwords',
  of: ({ passwords }) => passwords,
  done: () => 'all use the new passwords; the old ones let nobody in',
};
const AUTHORITY: What = {
  annotation: ROTATE_CA_ANNOTATION,
  name: 'a new authority',
  of: ({ ca }) => ca,
  done: () => 'all show certificates of the new authority; the old one is believed by nobody',
};

export function keysCommand(
  terminal: Terminal = terminalOfProcess,
  connect: () => Result<Client, Fault> = apiOfProcess,
  input: Input = inputOfProcess,
): Command {
  const command = new Command('keys').description('keys of a farm').configureOutput({
    writeOut: terminal.out,
    writeErr: terminal.err,
  });
  command
    .command('rotate')
    .description('give a farm a new key, while its machines stream; while one is on its way, that one is waited for')
    .addOption(
      new Option('--passwords', 'of the farm database and the replica new passwords, instead of the key').conflicts(
        'ca',
      ),
    )
    .option('--ca', 'a new authority, and certificates of it, instead of the key')
    .option('--now', 'what leaked: the old one ends within seconds, and nobody is waited for')
    .option('--farm <namespace/name>', 'which farm; may be left out where there is one, and who asks may list all')
    .option('--timeout <seconds>', 'how long to wait until it is done', '600')
    .addOption(new Option('-o, --output <format>', 'how').choices(['text', 'json']).default('text'))
    .addHelpText(
      'after',
      `
Run it in the operator's pod, or where your kubeconfig may patch Farms:
  kubectl exec -n bootfarm deploy/bootfarm -- bootfarm keys rotate --farm lab/main

The same by hand or by GitOps: annotate the Farm with any new text; status.keys says how it goes.
  ${ROTATE_KEYS_ANNOTATION}       the old key opens what it sealed for seven days and an hour, then it goes
  ${ROTATE_PASSWORDS_ANNOTATION}  servers take them up one after the other, as a new setting; those of a database or a login
                               that a Secret of yours names are yours to change: servers take up what you write there
  ${ROTATE_CA_ANNOTATION}         servers are started again three times, one after the other; the old authority is believed until
                               nobody shows a certificate of it
A text that ends with ${NOW}, which is --now, waits for nobody and ends what is under way, too. Machines that stream go on; until a server has
the new one it does without: key, no boot or ticket of the old one is taken; password, it does without the database and the replica's primary,
and keeps what it has; authority, the operator cannot ask it, and it does without both.`,
    )
    .action((flags: Flags) => withClient(connect, terminal, (client) => rotate(client, flags, terminal)));
  command.addCommand(recoveryCommand(terminal, connect)).addCommand(recoverCommand(terminal, connect, input));
  return command;
}

async function rotate(client: Client, flags: Flags, terminal: Terminal): Promise<void> {
  const { farm: named, output, timeout } = flags;
  const what = flags.passwords ? PASSWORDS : flags.ca ? AUTHORITY : KEYS;
  const say = (text: string): void => (output === 'json' ? terminal.err : terminal.out)(`${text}\n`);
  const seconds = Number(timeout);
  if (!(seconds >= 0)) throw new Refusal(`--timeout ${timeout} is no number of seconds`);
  const target = at(kinds.Farm, ...(await farmOf(client, named)));
  const before = await readFarm(client, target);
  const under = before.metadata.annotations?.[what.annotation];
  const known = before.status?.keys && what.of(before.status.keys);
  const isUnderWay = known?.state === 'Distributing' || (under ?? '') !== (known?.request ?? '');
  const isJoined = isUnderWay && (!flags.now || isHurried(under));
  const request = isJoined && under ? under : `${new Date().toISOString()}${flags.now ? NOW : ''}`;
  if (request !== under) {
    const asked = await client.patch(target, { metadata: { annotations: { [what.annotation]: request } } });
    if (!asked.ok) throw new Refusal(asked.error.message);
  }
  say(
    request === under
      ? `${what.name}: on the way already, asked for by ${request}`
      : `${what.name}: asked for by ${request}`,
  );
  const end = performance.now() + seconds * 1_000;
  for (let said = ''; ; ) {
    const { keys } = (await readFarm(client, target)).status ?? {};
    const found = keys && what.of(keys);
    const done = keys && found?.request === request && found.state !== 'Distributing' ? what.done(keys) : undefined;
    const text = done ?? found?.message ?? 'waiting for the operator';
    if (text !== said) say(text);
    said = text;
    if (done !== undefined)
      return output === 'json' ? terminal.out(`${JSON.stringify(found, undefined, 2)}\n`) : undefined;
    if (performance.now() > end)
      throw new Refusal(
        `not done after ${seconds} s; it goes on: see status.keys of the Farm, or give this command again`,
      );
    await delay(POLL_MS);
  }
}
