/** `bootfarm keys recover`: opens a recovery copy and gives a farm that was made again the keys of its data. */
import { setTimeout as delay } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { logsIn, withUser } from '../database/roles.ts';
import {
  findPrivateKey,
  openCopies,
  publicTextOf,
  type RecoveryCopy,
  type RecoveryFault,
  type RecoveryKey,
} from '../farm/recovery.ts';
import { type Fault, fail, type Result } from '../kit/result.ts';
import type { Client } from '../kube/client.ts';
import { kinds } from '../kube/kinds.ts';
import { at } from '../kube/object.ts';
import { ownerAccess } from '../reconcile/farm/database.ts';
import { DATABASE_OWNER } from '../reconcile/farm/objects.ts';
import { passwordsOf, planRecover, type RecoverFacts, type Verdict } from '../reconcile/farm/recover.ts';
import {
  isCopyFile,
  predecessorText,
  RECOVERED_ANNOTATION,
  RECOVERY_KEY_ANNOTATION,
} from '../reconcile/farm/recovery.ts';
import { databaseName, keysName, labelsOf, recoveryName } from '../reconcile/names.ts';
import { keepSecret, readSecret, type SecretChange } from '../reconcile/secrets.ts';
import type { Farm } from '../resources/kinds.ts';
import { must, Refusal } from '../terminal/refusal.ts';
import type { Input, Terminal } from '../terminal/terminal.ts';
import { farmOf, readFarm, withClient } from './farm-of.ts';

interface Flags {
  readonly farm?: string;
  readonly copy?: string;
  readonly key?: string;
  readonly of?: string;
  readonly output: 'text' | 'json';
  readonly timeout: string;
}

const POLL_MS = 500;
const DEADLINE_MS = 10_000;

export const recoverCommand = (terminal: Terminal, connect: () => Result<Client, Fault>, input: Input): Command =>
  new Command('recover')
    .description('give a farm that was made again the keys of its data, from a sealed copy')
    .option('--farm <namespace/name>', 'which farm; may be left out where there is one, and who asks may list all')
    .option('--copy <file>', 'the sealed copy; - or absent: standard input, or else the Secret FARM-recovery')
    .option('--key <file>', 'the recovery key; absent: standard input, or it is asked for')
    .option('--of <namespace/name>', 'the Farm that the copy is of, where it had another name')
    .option('--timeout <seconds>', 'how long to wait until the database is used', '180')
    .addOption(new Option('-o, --output <format>', 'how').choices(['text', 'json']).default('text'))
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
    .addHelpText(
      'after',
      `
Make the Farm again as it was, over its old data: it says DatabasePasswordLost. Then, with the recovery key in recovery.key:
  { cat recovery.key; kubectl exec -n lab sts/main-database -- sh -c 'cat /data/recovery/*.sealed'; } |
    kubectl exec -i -n bootfarm deploy/bootfarm -- bootfarm keys recover --farm lab/main
Key and copy are found in standard input wherever they stand. Nothing is written unless the copy is of that farm, opens by that key, and its database takes
no other password. Given again, the command does what is still to be done.`,
    )
    .action((flags: Flags) => withClient(connect, terminal, (client) => recover(client, flags, terminal, input)));

async function recover(client: Client, flags: Flags, terminal: Terminal, input: Input): Promise<void> {
  const say = (text: string): void => (flags.output === 'json' ? terminal.err : terminal.out)(`${text}\n`);
  const seconds = Number(flags.timeout);
  if (!(seconds >= 0)) throw new Refusal(`--timeout ${flags.timeout} is no number of seconds`);
  const [namespace, name] = await farmOf(client, flags.farm);
  const target = at(kinds.Farm, namespace, name);
  const farm = await readFarm(client, target);
  const { key, copies } = await given(client, namespace, name, flags, input);
  const [keys = {}, database = {}] = [
    must(await readSecret(client, namespace, keysName(name))),
    must(await readSecret(client, namespace, databaseName(name))),
  ];
  const asked = await ask(client, farm, copies);
  const plan = planRecover({
    farm: `${namespace}/${name}`,
    wanted: flags.of ?? `${namespace}/${name}`,
    copies,
    held: { keys, database },
    ...asked,
  });
  if (plan.kind === 'Refuse') throw new Refusal(plan.message);
  const { copy } = plan;
  await mark(client, target, farm, key, copy);
  if (plan.kind === 'Write') {
    const write = async (secret: string, component: string, change: SecretChange): Promise<void> => {
      const labels = labelsOf(name, component);
      const written = await keepSecret(client, namespace, secret, labels, () => change);
      if (!written.ok) throw new Refusal(`Secret ${secret}: ${written.error.message}. Give the command again`);
    };
    await write(keysName(name), 'secret', plan.keys);
    await write(databaseName(name), 'database', plan.database); // last: until then the database takes none, and the command may be given again
  }
  const sealed = `the keys of farm ${copy.id}, sealed ${copy.sealedAt}`;
  say(plan.kind === 'There' ? `${sealed}, are there already` : `${sealed}, are written. Waiting for the operator`);
  await waitFor(client, target, copy, seconds, say);
  say('The database is used again. Servers take up the keys one after the other; machines boot from them as before.');
  if (flags.output === 'json')
    terminal.out(
      `${JSON.stringify({ farm: `${namespace}/${name}`, id: copy.id, sealedAt: copy.sealedAt }, undefined, 2)}\n`,
    );
}

/** The key and what it opens: from files, from standard input, typed, or from what the cluster has. */
async function given(client: Client, namespace: string, name: string, flags: Flags, input: Input) {
  const inFile = async (path: string): Promise<string> => {
    try {
      return await input.file(path);
    } catch (thrown) {
      throw new Refusal(`${path}: ${(thrown as Error).message}`);
    }
  };
  const copyFile = flags.copy === '-' ? undefined : flags.copy;
  const isFed = !input.isTyped && !(flags.key && copyFile);
  const fed = isFed ? await input.readAll() : '';
  const typed = input.isTyped && !flags.key ? await input.ask('recovery key: ') : '';
  const key = must(findPrivateKey(flags.key ? await inFile(flags.key) : fed + typed));
  const opened = openCopies(copyFile ? await inFile(copyFile) : fed, key);
  if (opened.ok || opened.error.code !== 'CopyMissing' || flags.copy) return { key, copies: must(opened) };
  const held = must(await readSecret(client, namespace, recoveryName(name))) ?? {};
  const texts = Object.entries(held).flatMap(([file, bytes]) => (isCopyFile(file) ? [bytes.toString()] : []));
  const kept: Result<readonly RecoveryCopy[], RecoveryFault> =
    texts.length > 0
      ? openCopies(texts.join(''), key)
      : fail('CopyMissing', `${opened.error.message}. Secret ${recoveryName(name)} has none, either`);
  return { key, copies: must(kept) };
}

/** What the database says to the Secrets that the farm has, and to each copy. The passwords of an external one are in neither. */
async function ask(
  client: Client,
  farm: Farm,
  copies: readonly RecoveryCopy[],
): Promise<Pick<RecoverFacts, 'current' | 'verdicts'>> {
  const { conditions, database } = farm.status ?? {};
  const verdicts = new Map<RecoveryCopy, Verdict>();
  if (database?.state === 'Reachable') return { current: 'Takes', verdicts };
  if (farm.spec.database.external) return { current: 'Refuses', verdicts };
  const reason = conditions?.find(({ type }) => type === 'DatabaseReachable')?.reason;
  const told = reason === 'DatabasePasswordLost' ? 'Refuses' : 'Unknown';
  const access = await ownerAccess(client, farm, AbortSignal.timeout(DEADLINE_MS));
  if (!access.ok) return { current: told, verdicts };
  const tried = async (password?: string): Promise<Verdict> => {
    const { uri, ca = '' } = access.value;
    const as = password === undefined ? uri : withUser(uri, DATABASE_OWNER, password);
    const answer = await logsIn({ uri: as, ca });
    return answer.ok ? 'Takes' : answer.error.code === 'AuthenticationFailed' ? 'Refuses' : 'Unknown';
  };
  const now = await tried();
  for (const copy of copies) {
    const said = await Promise.all(passwordsOf(copy).map(tried));
    verdicts.set(copy, said.find((one) => one === 'Takes') ?? said.find((one) => one === 'Unknown') ?? 'Refuses');
  }
  return { current: now === 'Unknown' ? told : now, verdicts };
}

/** That this Farm goes on as that one, for the operator; and the recovery key, where the Farm that was made again has none. */
async function mark(
  client: Client,
  target: ReturnType<typeof at>,
  { metadata }: Farm,
  key: RecoveryKey,
  { id, uid }: RecoveryCopy,
): Promise<void> {
  const annotations = {
    ...(metadata.annotations?.[RECOVERY_KEY_ANNOTATION] ? {} : { [RECOVERY_KEY_ANNOTATION]: publicTextOf(key) }),
    ...(metadata.uid === uid ? {} : { [RECOVERED_ANNOTATION]: predecessorText({ farm: id, uid }) }),
  };
  if (Object.entries(annotations).some(([name, text]) => metadata.annotations?.[name] !== text))
    must(await client.patch(target, { metadata: { annotations } }));
}

async function waitFor(
  client: Client,
  target: ReturnType<typeof at>,
  { id }: RecoveryCopy,
  seconds: number,
  say: (text: string) => void,
): Promise<void> {
  const end = performance.now() + seconds * 1_000;
  let said: string | undefined;
  for (;;) {
    const { status } = await readFarm(client, target);
    if (status?.database?.state === 'Reachable' && status.database.farmID === id) return;
    const message = status?.conditions?.find(({ type }) => type === 'Ready')?.message ?? '';
    if (said !== undefined && message !== said) say(message); // what was wrong before is no news
    said = message;
    if (performance.now() > end)
      throw new Refusal(`the keys are there, and after ${seconds} s the database is not used yet: ${message}`);
    await delay(POLL_MS);
  }
}
