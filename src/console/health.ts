/** How the farm is, in sentences, worst first: out of what its resources say of themselves. Pure. */
import { adviceOf } from './advice.ts';
import type { PageName } from './route.ts';
import type { Condition, Farm, Server, Store, VDisk } from './shapes.ts';
import { counted, sentence } from './words.ts';

/** From the worst: it does not serve; it serves, and worse than wanted; something is under way; good to know. */
export const SEVERITIES = ['broken', 'worse', 'working', 'note'] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Finding {
  readonly severity: Severity;
  /** `vDisk lab`. */
  readonly subject: string;
  readonly says: string;
  /** Unix milliseconds. */
  readonly since?: number;
  readonly todo?: string;
  readonly page: PageName;
  readonly rest: readonly string[];
}

export interface Seen {
  readonly farm: Farm;
  readonly servers: readonly Server[];
  readonly stores: readonly Store[];
  readonly vdisks: readonly VDisk[];
  /** Kinds that the API lists conditions of beside these: pools of servers. */
  readonly pools?: readonly { readonly name: string; readonly conditions: readonly Condition[] }[];
}

interface Subject {
  readonly subject: string;
  readonly page: PageName;
  readonly rest: readonly string[];
}

/** What of a condition is worth a word, by type and status. */
const WORTH: Readonly<Record<string, Severity>> = {
  'Stalled True': 'broken',
  'Degraded True': 'worse',
  'Reconciling True': 'working',
  'DatabaseReachable False': 'worse',
  'ReplicaInSync False': 'worse',
  'Accessible False': 'worse',
  'Replicated False': 'worse',
  'FailoverCapacity False': 'worse',
  'Balanced False': 'note',
  'RolloutPending True': 'working',
  'Overridden True': 'note',
  'MergePending True': 'note',
};

/** More of one kind, for one reason, are one sentence. */
const TOGETHER = 4;
const NAMED = 3;

export function findings({ farm, servers, stores, vdisks, pools = [] }: Seen): readonly Finding[] {
  const all = [
    ...ofConditions({ subject: `Farm ${farm.name}`, page: 'farm', rest: [] }, farm.conditions),
    ...(farm.suspend ? [suspended(farm)] : []),
    ...ofServers(servers),
    ...pools.flatMap(({ name, conditions }) =>
      ofConditions({ subject: `pool ${name}`, page: 'resources', rest: ['StreamingServer', name] }, conditions),
    ),
    ...stores.flatMap(({ name, conditions }) =>
      ofConditions({ subject: `store ${name}`, page: 'servers', rest: [] }, conditions),
    ),
    ...vdisks.flatMap((vdisk) => [
      ...ofConditions({ subject: `vDisk ${vdisk.name}`, page: 'vdisks', rest: [vdisk.name] }, vdisk.conditions),
      ...ofWork(vdisk),
    ]),
  ];
  return together(all)
    .toSorted((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity))
    .map(({ reason: _, ...finding }) => finding);
}

type Found = Finding & { readonly reason: string };

const timeOf = (text: string | undefined): { readonly since?: number } => {
  const since = Date.parse(text ?? '');
  return Number.isNaN(since) ? {} : { since };
};

function ofConditions(about: Subject, conditions: readonly Condition[]): readonly Found[] {
  const ready = conditions.find(({ type }) => type === 'Ready');
  const found = conditions.flatMap((condition): readonly Found[] => {
    const severity = WORTH[`${condition.type} ${condition.status}`];
    if (severity === undefined) return [];
    // Not ready yet is not the same as ready and becoming another.
    const isDown = condition.type === 'Reconciling' && ready?.status === 'False';
    return [findingOf(about, isDown ? 'broken' : severity, condition)];
  });
  // Of the same words the worst counts: Degraded repeats what Accessible or Replicated says.
  const worstFirst = found.toSorted((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));
  return worstFirst.filter(({ says }, index) => worstFirst.findIndex((other) => other.says === says) === index);
}

function findingOf(about: Subject, severity: Severity, { reason, message, lastTransitionTime }: Condition): Found {
  const todo = adviceOf(reason);
  return {
    ...about,
    severity,
    reason,
    says: sentence(message === '' ? reason : message),
    ...timeOf(lastTransitionTime),
    ...(todo === undefined ? {} : { todo }),
  };
}

const suspended = ({ name }: Farm): Found => ({
  severity: 'note',
  reason: 'Suspended',
  subject: `Farm ${name}`,
  says: 'It is suspended: the operator changes nothing of it, and what streams goes on.',
  todo: 'Take spec.suspend out of the Farm when you are done.',
  page: 'resources',
  rest: ['Farm', name],
});

const SERVER_STATES: Readonly<Record<string, readonly [Severity, string]>> = {
  Unreachable: ['worse', 'It does not answer'],
  Refused: ['worse', 'It takes no devices'],
  Starting: ['working', 'It is starting'],
  Draining: ['working', 'It is being drained: its devices move to others'],
};

function ofServers(servers: readonly Server[]): readonly Found[] {
  return servers.flatMap((server): readonly Found[] => {
    const [severity, words] = SERVER_STATES[server.state] ?? [];
    if (severity === undefined || words === undefined) return [];
    const isAlone = !servers.some(({ site, state }) => site === server.site && state === 'Streaming');
    const todo = adviceOf(`Server${server.state}`);
    return [
      {
        severity: isAlone && severity === 'worse' ? 'broken' : severity,
        reason: `Server${server.state}`,
        subject: `server ${server.name}`,
        says: `${words}${server.message === '' ? '' : `: ${server.message}`}${isAlone ? `; nobody else streams in site ${server.site}` : ''}.`,
        ...(todo === undefined ? {} : { todo }),
        page: 'servers',
        rest: [],
      },
    ];
  });
}

function ofWork({ name, work }: VDisk): readonly Found[] {
  return work
    .filter(({ state }) => state === 'Failed')
    .map(({ server, kind, message = '', id }) => ({
      severity: 'worse',
      reason: `Work ${kind}`,
      subject: `vDisk ${name}`,
      says: sentence(`${kind} at server ${server} failed${message === '' ? '' : `: ${message}`}`),
      todo: `Look at job ${id} of that server, mend what it names, and order it again.`,
      page: 'vdisks',
      rest: [name],
    }));
}

/** A hundred vDisks that wait for one server are one sentence. */
function together(all: readonly Found[]): readonly Found[] {
  const alike = Map.groupBy(all, ({ severity, reason, subject }) => `${severity} ${reason} ${subject.split(' ')[0]}`);
  return [...alike.values()].flatMap((group) => {
    const [first] = group;
    if (!first || group.length < TOGETHER) return group;
    const [kind = ''] = first.subject.split(' ');
    const names = group.map(({ subject }) => subject.slice(kind.length + 1));
    const since = Math.min(...group.map((each) => each.since ?? Number.POSITIVE_INFINITY));
    return [
      {
        ...first,
        subject: counted(group.length, kind),
        says: `${names.slice(0, NAMED).join(', ')} and ${group.length - NAMED} more. ${first.says}`,
        rest: [],
        ...(Number.isFinite(since) ? { since } : {}),
      },
    ];
  });
}

/** The first line of the page. */
export function summary(
  { farm, servers }: Seen,
  found: readonly Finding[],
): { readonly severity: Severity | 'good'; readonly text: string } {
  const { devices } = farm;
  const streams = servers.filter(({ state }) => state === 'Streaming').length;
  const facts = devices
    ? `${counted(streams, 'server')} ${streams === 1 ? 'streams' : 'stream'} to ${counted(devices.streaming, 'device')}`
    : `${counted(streams, 'server')} ${streams === 1 ? 'streams' : 'stream'}`;
  const of = (severity: Severity) => found.filter((finding) => finding.severity === severity).length;
  const [broken, worse, working] = [of('broken'), of('worse'), of('working')];
  if (broken > 0)
    return {
      severity: 'broken',
      text: `${counted(broken, 'thing does', 'things do')} not work${worse > 0 ? `, and ${worse} more ${worse === 1 ? 'is' : 'are'} worse than wanted` : ''}. ${facts}.`,
    };
  if (worse > 0)
    return {
      severity: 'worse',
      text: `The farm serves, and ${counted(worse, 'thing is', 'things are')} worse than wanted. ${facts}.`,
    };
  if (working > 0) return { severity: 'working', text: `The farm serves, and something is under way. ${facts}.` };
  return { severity: 'good', text: `All is well. ${facts}.` };
}
