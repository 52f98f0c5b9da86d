/** What happened in the protocols, as steps of a machine's boot. Pure; limits and memory are elsewhere. */
import type { Boot } from '../dhcp/answer.ts';
import type { DhcpEvent } from '../dhcp/session.ts';
import type { BootDecision } from '../farm/boot.ts';
import type { BootStepName, MachineFacts } from '../farm/bootrecord.ts';
import type { HttpBootEvent } from '../httpboot/server.ts';
import type { Fault, Result } from '../kit/result.ts';
import type { LoginAnswer, LoginRequest } from '../stream/login.ts';
import type { SessionEvent } from '../stream/shard.ts';
import type { TftpEvent } from '../tftp/server.ts';

export interface Told {
  readonly step: BootStepName;
  readonly detail?: string;
  readonly reason?: Fault;
}

/** Of one machine. */
export interface Story extends MachineFacts {
  readonly mac: string;
  /** Undefined: nobody knows now. */
  readonly known: boolean | undefined;
  readonly steps: readonly Told[];
}

const SCRIPT = 'the script';

const bootDetail = (boot: Boot): string =>
  boot.kind === 'file' ? boot.file : boot.kind === 'script' ? SCRIPT : 'its own disk';

/** Why ProxyDHCP said nothing. */
const SILENT: Readonly<Record<string, string>> = {
  UnknownDevice: 'the farm does not know this machine, and boot.unknownDevices of its site is Ignore',
  NoBootFile: 'there is no boot file for this kind of firmware: see boot.bootFiles of the Farm',
  TftpDisabled: 'the machine needs a boot file by TFTP, and boot.tftp of its site is false',
  HttpDisabled: 'the machine needs its script by HTTP, and boot.http.enabled of its site is false',
  ProxyDHCPDisabled: 'boot.proxyDHCP of its site is false',
  Flood: 'it was answered as often as a machine may be, or others ask in its name',
  FloodOfUnknown: 'more unknown machines ask than are answered',
  NoBootstrap: "the farm's data is not loaded at this server",
  Unencodable: 'the answer does not fit into what the firmware takes',
  NotSent: 'the kernel did not send the answer',
};

export function ofDhcp(event: DhcpEvent): Story | undefined {
  if (event.kind === 'malformed' || !event.machine || !event.verdict) return undefined;
  const { machine, verdict, relay } = event;
  const { mac, uuid, architecture } = machine;
  const why = verdict.kind === 'unknown' ? verdict.reason : undefined;
  return {
    ...{ mac, architecture, known: isKnown(verdict.kind, why) },
    ...(uuid === undefined ? {} : { uuid }),
    ...(relay === undefined ? {} : { relay }),
    steps: [{ step: 'discover' }, offer(event, why)],
  };
}

function isKnown(kind: 'known' | 'unknown', why: Fault | undefined): boolean | undefined {
  if (kind === 'known' || why?.code === 'OtherSite') return true;
  return why ? undefined : false;
}

function offer(event: Exclude<DhcpEvent, { kind: 'malformed' }>, why: Fault | undefined): Told {
  if (event.kind === 'answered') return { step: 'offer', detail: bootDetail(event.boot) };
  const { reason: code } = event;
  const more = event.kind === 'dropped' && event.message !== undefined ? `: ${event.message}` : '';
  return { step: 'offer', reason: why ?? { code, message: `${SILENT[code] ?? code}${more}` } };
}

export function ofHttp(event: HttpBootEvent): Story {
  const { mac, uuid, address } = event.machine;
  const decided = 'decided' in event ? event.decided : undefined;
  return {
    mac,
    known: decided ? knownBy(decided) : true,
    ...(uuid === undefined ? {} : { uuid }),
    ...(address === undefined ? {} : { address }),
    steps: [httpStep(event)],
  };
}

const knownBy = (decided: Result<BootDecision, Fault>): boolean | undefined =>
  decided.ok ? decided.value.kind !== 'unknown' : undefined;

function httpStep(event: HttpBootEvent): Told {
  switch (event.kind) {
    case 'script':
    case 'config':
    case 'silent': {
      const step = event.kind === 'config' ? 'config' : 'script';
      return { step, ...judged(event.decided) };
    }
    case 'file':
      return { step: fileStep(event.name), detail: event.name };
    case 'noFile': {
      const { name, decided } = event;
      const { reason } = judged(decided);
      const message = `${name} is not there, or not what this machine boots now`;
      return { step: fileStep(name), detail: name, reason: reason ?? { code: 'NoFile', message } };
    }
  }
}

const fileStep = (name: string): BootStepName => (name.endsWith('.initrd') ? 'initrd' : 'kernel');

function judged(decided: Result<BootDecision, Fault>): Pick<Told, 'detail' | 'reason'> {
  if (!decided.ok) return { reason: decided.error };
  const { value } = decided;
  if (value.kind === 'boot') return { detail: `${value.vdisk.name} version ${value.version.number}` };
  if (value.kind === 'refused') return { reason: value };
  return { reason: { code: 'UnknownDevice', message: `the farm does not know this machine (${value.action})` } };
}

/** Of whom is at that address. Undefined: it is of nobody's boot, as when firmware asks for a size alone. */
export function ofTftp(event: TftpEvent): Told | undefined {
  if (event.kind === 'refused')
    return { step: 'tftp', detail: event.name, reason: refusedFile(event.name, event.code) };
  if (event.kind === 'silent' && event.code === 'UnknownDevice')
    return { step: 'tftp', detail: event.name, reason: { code: event.code, message: SILENT['UnknownDevice'] ?? '' } };
  if (event.kind !== 'ended' || event.outcome === 'ClientError' || event.outcome === 'Closed') return undefined;
  const { name: detail, outcome, heard } = event;
  if (outcome === 'Completed') return { step: 'tftp', detail };
  if (!heard) {
    const message = 'it asked for the file, and acknowledged nothing of what was sent';
    return { step: 'tftp', detail, reason: { code: 'NeverAcknowledged', message } };
  }
  const message = outcome === 'ReadFailed' ? 'the file cannot be read here' : 'it stopped in the middle of the file';
  return { step: 'tftp', detail, reason: { code: outcome, message } };
}

const refusedFile = (name: string, code: string): Fault => ({ code, message: `there is no file ${name} here` });

/** A renewal is of a system that runs: only that it is refused is told. */
export function ofLogin({ token, renew, from }: LoginRequest, answer: LoginAnswer): Story | undefined {
  if (renew && answer.kind !== 'refuse') return undefined;
  const { mac, uuid } = token;
  const step: Told = { step: 'login', ...loginEnd(answer) };
  return { mac, known: true, address: from.host, ...(uuid === undefined ? {} : { uuid }), steps: [step] };
}

function loginEnd(answer: LoginAnswer): Pick<Told, 'detail' | 'reason'> {
  switch (answer.kind) {
    case 'ticket':
      return {};
    case 'redirect':
      return { detail: `sent to ${answer.server.host}` };
    case 'refuse':
      return { reason: { code: answer.reason ?? answer.code, message: answer.text } };
  }
}

/** A stand-by is no step. */
export function ofSession({ type, mac, uuid, vdisk, version, role, address }: SessionEvent): Story | undefined {
  if (role !== 'serve') return undefined;
  const step = SESSION_STEPS[type];
  const detail = step === 'end' ? {} : { detail: `${vdisk} version ${version}` };
  const reason = type === 'silent' ? { reason: { code: 'Silent', message: 'it said nothing for 30 s' } } : {};
  const machine = { mac, known: true, address: address.host, ...(uuid === undefined ? {} : { uuid }) };
  return { ...machine, steps: [{ step, ...detail, ...reason }] };
}

const SESSION_STEPS: Readonly<Record<SessionEvent['type'], BootStepName>> = {
  attached: 'attach',
  role: 'attach',
  running: 'running',
  left: 'end',
  silent: 'end',
};
