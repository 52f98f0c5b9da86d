/**
 * The story of a machine's last boots: which step came when, at which server, and why it went no further. Steps in, boots out; time is given. What a
 * server keeps of all machines is in `bootring.ts`; what a person is told of one, in `explain.ts`. Pure.
 */
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import type { Read } from './model.ts';

/** In the order of a boot. `config`: what the client in the initramfs is told, with its token. `end`: it left, or fell silent. */
export const BOOT_STEPS = [
  'discover',
  'offer',
  'tftp',
  'script',
  'kernel',
  'config',
  'initrd',
  'login',
  'attach',
  'running',
  'end',
] as const;
export type BootStepName = (typeof BOOT_STEPS)[number];

/** Characters of what is kept of a message or a name. */
const MAX_TEXT = 300;
const time = Type.Integer({ minimum: 0 });
const text = Type.String({ maxLength: MAX_TEXT });
const mac = Type.String({ pattern: '^[0-9a-f]{2}(:[0-9a-f]{2}){5}$' });
const stepName = Type.Unsafe<BootStepName>({ type: 'string', enum: [...BOOT_STEPS] });
const reason = Type.Object({ code: text, message: text });

const BootStep = Type.Object({
  step: stepName,
  server: text,
  /** Unix milliseconds: when it came first and last; the same step with the same end is one, however often it comes. */
  at: time,
  lastAt: time,
  times: Type.Integer({ minimum: 1 }),
  /** The file, the version, or the server that it was sent to. */
  detail: Type.Optional(text),
  /** Why it went no further; absent: it was as it should be. */
  reason: Type.Optional(reason),
});
export type BootStep = Read<Static<typeof BootStep>>;

const Boot = Type.Object({ steps: Type.Array(BootStep, { minItems: 1 }) });
export type Boot = Read<Static<typeof Boot>>;

/** What a machine says of itself. */
const facts = {
  /** SMBIOS UUID, lower case. */
  uuid: Type.Optional(text),
  /** Of option 93 (RFC 4578): 0 is a BIOS, 7 and 9 are 64-bit UEFI. */
  architecture: Type.Optional(time),
  /** The relay that it was heard behind. */
  relay: Type.Optional(text),
  /** Where it asked from. */
  address: Type.Optional(text),
};

export const BootRecord = Type.Object({
  mac,
  /** The farm knew the machine when it was heard last. */
  known: Type.Boolean(),
  ...facts,
  firstAt: time,
  lastAt: time,
  /** The oldest first. */
  boots: Type.Array(Boot),
});
export type BootRecord = Read<Static<typeof BootRecord>>;
export type MachineFacts = Pick<BootRecord, 'uuid' | 'architecture' | 'relay' | 'address'>;

/** A machine that the farm does not know. */
export const UnknownMachine = Type.Object({
  mac,
  ...facts,
  firstAt: time,
  lastAt: time,
  /** How far it came. */
  step: stepName,
  reason: Type.Optional(reason),
  /** Who heard it, in order of name. */
  servers: Type.Array(text),
});
export type UnknownMachine = Read<Static<typeof UnknownMachine>>;

export const isBootRecord = (value: unknown): value is BootRecord => Value.Check(BootRecord, value);

export interface BootLimits {
  readonly boots: number;
  /** Of one boot. */
  readonly steps: number;
}
/** Of a machine of the farm: a boot over one server has about ten steps, and twice as many with a chained iPXE and a move. */
export const BOOT_LIMITS: BootLimits = { boots: 5, steps: 24 };

/** The same step again after so long is another one; firmware that says nothing for so long was switched off. */
const PAUSE_MS = 10 * 60_000;
/** Clocks of two servers may differ by so much, and no machine is back at its first DISCOVER sooner. */
const SKEW_MS = 10_000;

/** Cut to what is kept. */
export const clipped = (words: string): string =>
  words.length > MAX_TEXT ? `${words.slice(0, MAX_TEXT - 1)}…` : words;

const orderOf = (step: BootStepName): number => BOOT_STEPS.indexOf(step);

export const lastAtOf = ({ steps }: Boot): number => Math.max(...steps.map(({ lastAt }) => lastAt));

/** The boots with one step more, which is none older than theirs. */
export function withStep(boots: readonly Boot[], step: BootStep, limits: BootLimits = BOOT_LIMITS): readonly Boot[] {
  if (step.step === 'end') return ended(boots, step, limits.steps);
  const last = boots.at(-1);
  if (!last || !continues(last, step)) return [...boots, { steps: [step] }].slice(-limits.boots);
  return [...boots.slice(0, -1), { steps: added(last.steps, step, limits.steps) }];
}

/** A session that falls silent ends the boot in which it attached, though the machine may be in its next one by then. */
function ended(boots: readonly Boot[], step: BootStep, most: number): readonly Boot[] {
  const at = boots.findLastIndex(({ steps }) =>
    steps.some((before) => before.step === 'attach' && before.server === step.server),
  );
  const boot = boots[at];
  return boot ? boots.with(at, { steps: added(boot.steps, step, most) }) : boots;
}

/**
 * From which step on a machine that does this again has begun anew: it asks DHCP and TFTP before its script, and is given scripts and files before a system
 * runs. Undefined: a system that runs does it, too, as when it moves to another server.
 */
const BEGINS_BEHIND: Readonly<Partial<Record<BootStepName, BootStepName>>> = {
  discover: 'script',
  offer: 'script',
  tftp: 'script',
  script: 'login',
  kernel: 'login',
  initrd: 'login',
};

function continues(boot: Boot, { step, at, server }: BootStep): boolean {
  const behind = BEGINS_BEHIND[step];
  if (behind === undefined) return true;
  if (at - lastAtOf(boot) > PAUSE_MS) return false;
  return !boot.steps.some(
    (before) => orderOf(before.step) >= orderOf(behind) && (before.server === server || before.at < at - SKEW_MS),
  );
}

function added(steps: readonly BootStep[], step: BootStep, most: number): readonly BootStep[] {
  const same = steps.findLastIndex((before) => isSame(before, step));
  const before = steps[same];
  if (before && step.at - before.lastAt <= PAUSE_MS) {
    const { reason = before.reason } = step;
    const lastAt = Math.max(before.lastAt, step.lastAt);
    return steps.with(same, { ...before, lastAt, times: before.times + step.times, ...(reason ? { reason } : {}) });
  }
  // How it began stays, and what came last.
  const all = [...steps, step];
  return all.length > most ? all.toSpliced(1, 1) : all;
}

const isSame = (a: BootStep, b: BootStep): boolean =>
  a.step === b.step && a.server === b.server && a.detail === b.detail && a.reason?.code === b.reason?.code;

/**
 * One machine as several servers saw it, with one or several cards: their steps in order of time, told apart into boots anew. Each server hears the
 * DISCOVER; the rest is of one or another. Undefined: nobody saw it.
 */
export function mergedRecord(records: readonly BootRecord[]): BootRecord | undefined {
  const newest = records.toSorted((a, b) => b.lastAt - a.lastAt);
  const [first] = newest;
  if (!first) return undefined;
  const steps = records.flatMap(({ boots }) => boots.flatMap((boot) => boot.steps));
  const ordered = steps.toSorted((a, b) => a.at - b.at || orderOf(a.step) - orderOf(b.step));
  const limits = { ...BOOT_LIMITS, steps: BOOT_LIMITS.steps * 2 };
  return {
    ...factsOf(newest),
    mac: first.mac,
    known: records.some(({ known }) => known),
    firstAt: Math.min(...records.map(({ firstAt }) => firstAt)),
    lastAt: first.lastAt,
    boots: ordered.reduce<readonly Boot[]>((boots, step) => withStep(boots, step, limits), []),
  };
}

/** The newest word counts. */
function factsOf(newestFirst: readonly MachineFacts[]): MachineFacts {
  const found = <Key extends keyof MachineFacts>(key: Key): Pick<MachineFacts, Key> => {
    const has = newestFirst.find((each) => each[key] !== undefined);
    return (has ? { [key]: has[key] } : {}) as Pick<MachineFacts, Key>;
  };
  return { ...found('uuid'), ...found('architecture'), ...found('relay'), ...found('address') };
}

/** What is told of a record in a list of unknown machines. */
export function unknownOf({ known: _, boots, ...machine }: BootRecord): UnknownMachine {
  const steps = boots.at(-1)?.steps ?? [];
  const furthest = steps.reduce<BootStep | undefined>(
    (far, step) => (far && orderOf(far.step) > orderOf(step.step) ? far : step),
    undefined,
  );
  return {
    ...machine,
    step: furthest?.step ?? 'discover',
    ...(furthest?.reason ? { reason: furthest.reason } : {}),
    servers: [...new Set(steps.map(({ server }) => server))].sort(),
  };
}

/** The same machines as several servers list them, the one that was heard last first. */
export function mergedUnknown(lists: readonly (readonly UnknownMachine[])[]): readonly UnknownMachine[] {
  const byMac = Map.groupBy(lists.flat(), ({ mac: of }) => of);
  return [...byMac.values()].map(oneUnknown).sort((a, b) => b.lastAt - a.lastAt || (a.mac < b.mac ? -1 : 1));
}

function oneUnknown(seen: readonly UnknownMachine[]): UnknownMachine {
  const newest = seen.toSorted((a, b) => b.lastAt - a.lastAt);
  const [furthest] = seen.toSorted((a, b) => orderOf(b.step) - orderOf(a.step) || b.lastAt - a.lastAt);
  const { mac: of, step, reason: why } = furthest as UnknownMachine;
  return {
    ...factsOf(newest),
    mac: of,
    firstAt: Math.min(...seen.map(({ firstAt }) => firstAt)),
    lastAt: Math.max(...seen.map(({ lastAt }) => lastAt)),
    step,
    ...(why ? { reason: why } : {}),
    servers: [...new Set(seen.flatMap(({ servers }) => servers))].sort(),
  };
}
