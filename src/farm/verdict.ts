/** The first thing that stands in a machine's way to its root file system, and what to do: what the farm says now, then how far it came. Pure. */
import { type BootDecision, decideBoot } from './boot.ts';
import { BOOT_STEPS, type Boot, type BootRecord, type BootStep, type BootStepName, lastAtOf } from './bootrecord.ts';
import type { Copy, Device, FarmSnapshot, Session } from './model.ts';

export interface ExplainFacts {
  /** Of the machine; of a device all of its own. */
  readonly macs: readonly string[];
  /** Absent: the farm has no device with that MAC. */
  readonly device?: Device | undefined;
  readonly snapshot: FarmSnapshot;
  /** What the operator judged last; absent: it is not known here. */
  readonly copies?: readonly Copy[] | undefined;
  /** Its session that has not ended; undefined: it has none. */
  readonly session: Session | 'Unknown' | undefined;
  /** Of all servers that answered, as one. */
  readonly record?: BootRecord | undefined;
  /** Servers that were asked and did not answer. */
  readonly silent: readonly SilentServer[];
  /** How many answered. */
  readonly answered: number;
  /** Unix milliseconds. */
  readonly nowMs: number;
}

export interface SilentServer {
  readonly server: string;
  readonly message: string;
}

export interface Verdict {
  readonly code: VerdictCode;
  readonly step: BootStepName | 'farm';
  readonly message: string;
  /** Empty: nothing. */
  readonly todo: string;
}

export type VerdictCode =
  | 'Running'
  | 'Starting'
  | 'UnknownMachine'
  | Extract<BootDecision, { kind: 'refused' }>['code']
  | 'NoCopy'
  | 'NoServerAnswers'
  | 'NeverHeard'
  | 'NotAnswered'
  | 'LocalDisk'
  | 'TftpNeverAsked'
  | 'TftpNeverAcknowledged'
  | 'TftpFailed'
  | 'HttpNeverAsked'
  | 'ScriptRefused'
  | 'KernelNeverAsked'
  | 'FileRefused'
  | 'InitrdNeverAsked'
  | 'NeverLoggedIn'
  | 'DatabaseAway'
  | 'ServerFull'
  | 'LoginRefused'
  | 'NeverAttached'
  | 'SilentAfterAttach'
  | 'WentSilent'
  | 'Left';

const MINUTE_MS = 60_000;

export const messageOf = (decision: BootDecision | undefined, { device, snapshot }: ExplainFacts): string =>
  decision?.kind === 'refused'
    ? decision.message
    : `farm ${snapshot.farm.name} has no site for collection ${device?.collection}: correct spec.collections of the Farm`;

/** By the site whose servers heard it last; where nobody did, by that of its collection. */
export function decisionOf({ device, snapshot, record, nowMs }: ExplainFacts): BootDecision | undefined {
  const own = snapshot.collections.find(({ name }) => name === device?.collection)?.site;
  const heard = (record?.boots.at(-1)?.steps ?? []).flatMap(
    ({ server }) => snapshot.servers.find(({ name }) => name === server)?.site ?? [],
  );
  const site = own === undefined || (heard.length > 0 && !heard.includes(own)) ? (heard.at(-1) ?? '') : own;
  return decideBoot(snapshot, site || (snapshot.sites[0]?.name ?? ''), device, Math.floor(nowMs / 1_000));
}

export function verdictOf(facts: ExplainFacts): Verdict {
  const boot = facts.record?.boots.at(-1);
  const live = liveOf(boot, facts);
  const farm = farmVerdict(facts);
  // What streams goes on, but for who is disabled: that ends it within seconds.
  if (live && (!farm || !ENDS_IT.includes(farm.code))) return live;
  return farm ?? copyVerdict(facts) ?? unheardVerdict(facts) ?? (boot ? bootVerdict(boot, facts) : unheard(facts));
}

const ENDS_IT: readonly VerdictCode[] = ['UnknownMachine', 'Disabled', 'VDiskDisabled'];
const STREAMING: readonly BootStepName[] = ['login', 'attach', 'running', 'end'];

const newestOf = (steps: readonly BootStep[]): BootStep | undefined =>
  steps.reduce<BootStep | undefined>(
    (last, step) => (last && (last.lastAt > step.lastAt || isBefore(step, last)) ? last : step),
    undefined,
  );
const isBefore = (a: BootStep, b: BootStep): boolean =>
  a.lastAt === b.lastAt && BOOT_STEPS.indexOf(a.step) < BOOT_STEPS.indexOf(b.step);

/** It reads: it did not end since at the server where it attached last, or by the farm's word has its session. */
function liveOf(boot: Boot | undefined, { session: known, nowMs }: ExplainFacts): Verdict | undefined {
  const steps = boot?.steps ?? [];
  const ended = (server: string, sinceMs: number): boolean =>
    steps.some((each) => each.step === 'end' && each.server === server && each.lastAt >= sinceMs);
  const session = known !== undefined && known !== 'Unknown' && !ended(known.server, known.since) ? known : undefined;
  const attach = newestOf(steps.filter(({ step }) => step === 'attach'));
  // A server that died told of no end. Its device has a session where it went on.
  const isLost = known === undefined && (attach?.lastAt ?? 0) < nowMs - MINUTE_MS;
  const reads = attach && !isLost && !ended(attach.server, attach.lastAt);
  if (!reads && !session) return undefined;
  const where = reads ? attach.server : session?.server;
  const ran = steps.some(({ step }) => step === 'running');
  if (ran || (session && session.since < nowMs - MINUTE_MS))
    return { code: 'Running', step: 'running', message: `it runs, and reads from ${where}`, todo: '' };
  return {
    ...{ code: 'Starting', step: 'attach', message: `it reads from ${where}, and has not read much yet` },
    todo: 'wait: a kernel that finds its root file system reads hundreds of blocks within seconds',
  };
}

function farmVerdict(facts: ExplainFacts): Verdict | undefined {
  const { device, macs } = facts;
  const step = furthestOf(facts.record?.boots.at(-1));
  if (!device)
    return {
      ...{ code: 'UnknownMachine', step, message: `the farm has no device with MAC ${macs.join(' ')}` },
      todo: `add it: bootfarm device add NAME --mac ${macs[0] ?? 'MAC'} --collection COLLECTION`,
    };
  const decision = decisionOf(facts);
  if (decision?.kind === 'boot') return undefined;
  const code = decision?.kind === 'refused' ? decision.code : 'OtherSite';
  return { code, step: 'farm', message: messageOf(decision, facts), todo: FARM_TODO[code](device) };
}

const FARM_TODO: Readonly<Record<Extract<BootDecision, { kind: 'refused' }>['code'], (device: Device) => string>> = {
  OtherSite: ({ name }) =>
    `move it to a collection of the site where it stands: bootfarm device set ${name} --collection COLLECTION`,
  Disabled: ({ name }) => `bootfarm device set ${name} --enabled`,
  NoVDisk: () => 'set the vDisk of the collection in spec.collections of the Farm, and see that this VDisk is there',
  VDiskDisabled: () => 'set spec.enabled of the VDisk to true',
  NoVersion: () => 'release a version: bootfarm vdisk promote',
  NoContent: () => 'put the files of the version into its store: kubectl describe bfv says which',
  Suspended: () => 'set spec.suspend of the Farm to false',
};

/** Copies that are served: properties beside an image stop nothing. */
const SERVED: readonly Copy['state'][] = ['UpToDate', 'PropertiesMissing', 'PropertiesOutOfDate'];

function copyVerdict(facts: ExplainFacts): Verdict | undefined {
  const { copies, snapshot } = facts;
  const decision = decisionOf(facts);
  if (!copies || decision?.kind !== 'boot') return undefined;
  const { vdisk, version, bootstrap } = decision;
  const servers = snapshot.servers.filter(({ site }) => site === bootstrap.site).map(({ name }) => name);
  const own = copies.filter((copy) => copy.vdisk === vdisk.name && copy.version === version.number);
  const here = own.filter(({ server }) => servers.includes(server));
  if (here.length === 0 || here.some(({ state }) => SERVED.includes(state))) return undefined;
  const states = here.map(({ server, state }) => `${server} ${state}`).sort();
  const message = `no server of site ${bootstrap.site} has version ${version.number} of vDisk ${vdisk.name} right: ${states.join(', ')}`;
  return {
    code: 'NoCopy',
    step: 'login',
    message,
    todo: `bootfarm replication ${vdisk.name} says what each copy lacks`,
  };
}

const unheardVerdict = ({ record, answered, silent }: ExplainFacts): Verdict | undefined =>
  record || answered > 0 || silent.length === 0
    ? undefined
    : {
        ...{ code: 'NoServerAnswers', step: 'farm' },
        message: `no server answers: ${silent.map(({ message }) => message).join('; ')}`,
        todo: 'see the servers: kubectl get bfs,pods',
      };

function unheard({ silent, snapshot }: ExplainFacts): Verdict {
  const but = silent.length > 0 ? `, but ${silent.map(({ server }) => server).join(', ')} did not answer` : '';
  const none = snapshot.servers.length === 0 ? ' (the farm has no server yet)' : '';
  return {
    ...{ code: 'NeverHeard', step: 'discover', message: `no server has heard it${none}${but}` },
    todo: 'switch it on. If it is: let its firmware boot from this network card, and its DHCP broadcasts reach a server (same network, or a relay to each server)',
  };
}

function furthestOf(boot: Boot | undefined): BootStepName {
  const reached = boot?.steps.map(({ step }) => BOOT_STEPS.indexOf(step)) ?? [];
  return BOOT_STEPS[Math.max(0, ...reached)] ?? 'discover';
}

/** A system that starts is judged by what came last; firmware, which begins again and again, by how far it came. */
function bootVerdict(boot: Boot, facts: ExplainFacts): Verdict {
  const streaming = newestOf(boot.steps.filter(({ step }) => STREAMING.includes(step)));
  if (streaming) return streamVerdict(streaming, boot);
  const step = furthestOf(boot);
  const last = newestOf(boot.steps.filter((each) => each.step === step));
  return last ? firmwareVerdict(last, boot, facts) : unheard(facts);
}

function streamVerdict(last: BootStep, { steps }: Boot): Verdict {
  const { step, reason, detail, server } = last;
  if (step === 'end') {
    const attach = newestOf(steps.filter((each) => each.step === 'attach' && each.server === server));
    const ran = steps.some((each) => each.step === 'running' && each.lastAt >= (attach?.at ?? 0));
    if (!reason) return verdict('Left', step, 'it left: it was shut down or is starting again');
    return ran
      ? verdict('WentSilent', step, `it ran, and fell silent at ${server}`)
      : verdict('SilentAfterAttach', step, `its kernel attached at ${server}, read little and fell silent`);
  }
  if (step === 'login' && reason) {
    const code = LOGIN_CODES[reason.code] ?? 'LoginRefused';
    return verdict(code, step, `${server} refused its login: ${reason.message}`);
  }
  if (step !== 'login') return verdict('WentSilent', step, `it read from ${server}, and no server streams to it now`);
  return verdict('NeverAttached', step, `it may log in${detail ? ` (${detail})` : ''}, and attached nowhere`);
}

const LOGIN_CODES: Readonly<Record<string, VerdictCode>> = {
  Offline: 'DatabaseAway',
  AllFull: 'ServerFull',
  NoCopy: 'NoCopy',
};

function firmwareVerdict(last: BootStep, boot: Boot, { nowMs }: ExplainFacts): Verdict {
  const { step, reason, detail = '', server } = last;
  const say = (code: VerdictCode, message: string): Verdict => verdict(code, step, message);
  switch (step) {
    case 'discover':
    case 'offer':
      if (reason || step === 'discover')
        return say('NotAnswered', `${server} heard it and did not answer: ${reason?.message ?? 'no answer was sent'}`);
      if (detail === 'its own disk') return say('LocalDisk', 'it was told to boot from its own disk');
      return detail === 'the script'
        ? say('HttpNeverAsked', 'its iPXE was told of the script, and never asked for it by HTTP')
        : say('TftpNeverAsked', `it was told to load ${detail}, and never asked for it by TFTP`);
    case 'tftp':
      if (reason?.code === 'NeverAcknowledged')
        return say('TftpNeverAcknowledged', `it asked ${server} for ${detail} by TFTP, and acknowledged no packet`);
      return reason
        ? say('TftpFailed', `it asked ${server} for ${detail} by TFTP: ${reason.message}`)
        : say('HttpNeverAsked', `it took ${detail} by TFTP, and never asked for its script by HTTP`);
    case 'script':
      return reason
        ? say('ScriptRefused', `${server} gave it no script: ${reason.message}`)
        : say('KernelNeverAsked', 'it has its script, and never asked for the kernel');
    default:
      if (reason)
        return say('FileRefused', `${server} did not give it ${detail || 'its configuration'}: ${reason.message}`);
      if (nowMs - lastAtOf(boot) < MINUTE_MS)
        return { code: 'Starting', step, message: 'it has just fetched what it boots with', todo: 'wait' };
      return step === 'initrd'
        ? say('NeverLoggedIn', 'it fetched kernel and initrd, and never logged in')
        : say('InitrdNeverAsked', 'it fetched the kernel, and never all of the rest');
  }
}

const verdict = (code: VerdictCode, step: BootStepName, message: string): Verdict => ({
  ...{ code, step, message },
  todo: TODO[code] ?? '',
});

const TODO: Readonly<Partial<Record<VerdictCode, string>>> = {
  NotAnswered: 'do what the message says, and switch it on again',
  LocalDisk: 'add it to the farm if it is to boot from it, or set boot.unknownDevices of its site',
  TftpNeverAsked:
    'let UDP port 69 of the servers be reached from its network; if another server answers its DHCP, see which boot file that one names',
  TftpNeverAcknowledged:
    'let UDP pass both ways between its network and the servers: port 69, and all ports above 1024 that answers come from. Behind a tunnel set boot.tftp.maxBlockSize',
  TftpFailed: 'do what the message says: see boot.bootFiles of the Farm',
  HttpNeverAsked:
    'let TCP port boot.http.port of the servers be reached from its network, and see on its screen whether iPXE got an address',
  ScriptRefused: 'nothing stands in its way now: a machine at its screen asks again each 5 s, else switch it on',
  KernelNeverAsked: 'see its screen: the script may say why it waits; switch it on again',
  FileRefused: 'see the files of that version: bootfarm replication, and status of the VDisk',
  InitrdNeverAsked: 'see its screen; too little memory for kernel and initrd is the usual reason',
  NeverLoggedIn:
    'see its console: the initrd may lack the driver of its network card or the client of bootfarm, or UDP ports.stream of the servers is not reached',
  DatabaseAway: 'bring the farm database back, or set spec.offline.enabled of the Farm to true',
  ServerFull: 'add a server (spec.replicas of the StreamingServer), or raise spec.limits.maxDevices',
  NoCopy: 'bootfarm replication says what each copy lacks',
  LoginRefused: 'do what the message says; it asks again by itself',
  NeverAttached: 'let UDP ports.stream of that server be reached from its network',
  SilentAfterAttach:
    'see its console for a kernel panic: the command line, the root file system in the image, and its memory are the usual reasons',
  WentSilent: 'switch it on, or see its console: it was switched off, lost its network, or its kernel stopped',
  Left: 'switch it on',
};
