/**
 * Why a machine does not boot: what was heard of it as sentences in order, and at the end the first thing that stands in its way and what to do
 * (`verdict.ts`), or that it runs. From the farm's data as it is now, and the boot records of its servers. Pure.
 */
import type { Boot, BootStep, BootStepName } from './bootrecord.ts';
import { decisionOf, type ExplainFacts, messageOf, type SilentServer, type Verdict, verdictOf } from './verdict.ts';

export interface Sentence {
  readonly step: BootStepName | 'farm';
  /** Unix milliseconds; absent: it is so now. */
  readonly at?: number;
  /** When it was so last, where it was so more than once. */
  readonly lastAt?: number;
  readonly times?: number;
  readonly servers: readonly string[];
  readonly text: string;
  readonly isRight: boolean;
}

export interface Explanation {
  readonly device?: string;
  readonly macs: readonly string[];
  /** Of the last boot, and of the farm. */
  readonly sentences: readonly Sentence[];
  readonly verdict: Verdict;
  /** All that is remembered, the oldest first. */
  readonly boots: readonly Boot[];
  readonly silent: readonly SilentServer[];
}

export function explain(facts: ExplainFacts): Explanation {
  const { device, macs, record, silent } = facts;
  const boots = record?.boots ?? [];
  return {
    ...(device ? { device: device.name } : {}),
    macs,
    sentences: [...sentencesOf(boots.at(-1)), ...ofFarm(facts)],
    verdict: verdictOf(facts),
    boots,
    silent,
  };
}

/** A step of several servers is one sentence. */
function sentencesOf(boot: Boot | undefined): readonly Sentence[] {
  const alike = Map.groupBy(boot?.steps ?? [], ({ step, detail, reason }) => `${step} ${detail} ${reason?.code}`);
  return [...alike.values()].map(sentenceOf);
}

function sentenceOf(steps: readonly BootStep[]): Sentence {
  const [first] = steps as [BootStep, ...BootStep[]];
  const { step, at } = first;
  const newest = steps.reduce((last, each) => (each.lastAt > last.lastAt ? each : last), first);
  const times = Math.max(...steps.map((each) => each.times));
  return {
    ...{ step, at, text: newest.reason ? refusedText(newest) : WORDS[step](newest.detail ?? '') },
    ...(times > 1 ? { lastAt: newest.lastAt, times } : {}),
    servers: [...new Set(steps.map(({ server }) => server))].sort(),
    isRight: !newest.reason,
  };
}

const WORDS: Readonly<Record<BootStepName, (detail: string) => string>> = {
  discover: () => 'it asked by DHCP what to boot',
  offer: (what) => `it was told to load ${what}`,
  tftp: (file) => `it took ${file} by TFTP`,
  script: (what) => `it was given its script by HTTP: ${what}`,
  kernel: (file) => `it fetched the kernel ${file}`,
  config: () => 'it was given its configuration and a token',
  initrd: (file) => `it fetched the initrd ${file}`,
  login: (where) => (where === '' ? 'it logged in' : `its login was ${where}`),
  attach: (what) => `it attached and reads ${what}`,
  running: () => 'it runs: it has read hundreds of blocks',
  end: () => 'it left, as at a shut-down or a move',
};

/** What did not happen, before why. */
const REFUSED: Readonly<Record<BootStepName, string>> = {
  discover: 'its question by DHCP was not read',
  offer: 'it was not answered',
  tftp: 'its boot file did not arrive',
  script: 'it was given no script to boot by',
  kernel: 'it was not given the kernel',
  config: 'it was not given its configuration',
  initrd: 'it was not given the initrd',
  login: 'its login was refused',
  attach: 'it could not attach',
  running: 'it does not run',
  end: 'it fell silent',
};
const refusedText = ({ step, reason }: BootStep): string => `${REFUSED[step]}: ${reason?.message ?? ''}`;

/** What the farm says of it now. */
function ofFarm(facts: ExplainFacts): readonly Sentence[] {
  const { device } = facts;
  const session = facts.session === 'Unknown' ? undefined : facts.session;
  const say = (text: string, isRight: boolean): Sentence => ({ step: 'farm', servers: [], text, isRight });
  if (!device) return [say(`the farm has no device with MAC ${facts.macs.join(' ')}`, false)];
  const decision = decisionOf(facts);
  const may = (): Sentence => {
    if (decision?.kind !== 'boot') return say(messageOf(decision, facts), false);
    return say(`device ${device.name} may boot ${decision.vdisk.name} version ${decision.version.number} now`, true);
  };
  const streams = session
    ? [say(`it streams ${session.vdisk} version ${session.version} from ${session.server}`, true)]
    : [];
  return [may(), ...streams];
}
