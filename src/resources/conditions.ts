/**
 * Condition types and reasons of the four kinds: all of them, once. Programs (kstatus, Argo CD, `kubectl wait`) read types and reasons,
 * people read messages.
 *
 * | Ready | Reconciling | Stalled | what it means                                            |
 * | ----- | ----------- | ------- | -------------------------------------------------------- |
 * | True  | absent      | absent  | it serves; Degraded=True says what is worse than wanted  |
 * | True  | True        | absent  | it serves, and a newer spec is being put into effect     |
 * | False | True        | absent  | not yet: work goes on, or will be tried again            |
 * | False | absent      | True    | never, until a person acts: in the spec, or as it says   |
 *
 * Reconciling, Stalled and Degraded are there only while True (kstatus' rule: abnormal conditions are absent when all is well).
 */

export const TYPES = {
  /** It serves. Always present after the first reconcile. */
  Ready: 'Ready',
  /** Work goes on, or will be tried again. */
  Reconciling: 'Reconciling',
  /** Only a person can help: by the spec, or by what the message names, such as a file. */
  Stalled: 'Stalled',
  /** It works, and something is worse than wanted. */
  Degraded: 'Degraded',
  /** Farm: the farm database answers. */
  DatabaseReachable: 'DatabaseReachable',
  /** Farm: the replica holds what the database holds. */
  ReplicaInSync: 'ReplicaInSync',
  /** Store: every server that should offer it reaches it. */
  Accessible: 'Accessible',
  /** VDisk: every copy of every version is right. */
  Replicated: 'Replicated',
  /** VDisk: `bootfarm rollback` chose another version than the spec. */
  Overridden: 'Overridden',
  /** VDisk: its files go to the Store that the spec names. */
  Moving: 'Moving',
  /** VDisk: its chain is longer than `spec.versions.maxChain` of the Farm. */
  MergePending: 'MergePending',
  /** StreamingServer: devices are spread fairly. */
  Balanced: 'Balanced',
  /** StreamingServer: `spec.autoscaling` chooses the number of servers, `spec.replicas` is not looked at. */
  Autoscaling: 'Autoscaling',
  /** StreamingServer: the largest server can be lost without exceeding limits. */
  FailoverCapacity: 'FailoverCapacity',
  /** StreamingServer: servers run an older image or setting, and the message says what they wait for. */
  RolloutPending: 'RolloutPending',
} as const;
export type ConditionType = keyof typeof TYPES;

export const REASONS = {
  // any kind
  /** All is as the spec says. */
  Settled: 'Settled',
  /** Work goes on. */
  Progressing: 'Progressing',
  /** The spec can't be put into effect as it is: the message names the field. */
  SpecInvalid: 'SpecInvalid',
  /** The spec asks for what this release can't do yet. */
  NotSupported: 'NotSupported',
  /** spec.farmRef names a Farm that is not there. */
  FarmMissing: 'FarmMissing',
  /** The Farm is there and not Ready yet. */
  FarmNotReady: 'FarmNotReady',
  /** The spec names a site that the Farm does not have, or none while the Farm has several. */
  SiteUnknown: 'SiteUnknown',
  /** A Secret, or its key, is not there or can't be read. */
  SecretMissing: 'SecretMissing',
  /** An object of this name is there and belongs to somebody else. */
  NameTaken: 'NameTaken',
  /** The Kubernetes API refused a change. */
  ApplyRefused: 'ApplyRefused',
  /** The Kubernetes API, the database or a server did not answer: it will be tried again. */
  TemporaryFailure: 'TemporaryFailure',
  /** An image or host path that the operator's allow-list does not hold. */
  NotAllowed: 'NotAllowed',
  /** The resource is being deleted, and the message says what it waits for. */
  Deleting: 'Deleting',
  // Farm
  /** The farm database answers and refuses what the operator writes: rights that lack, or a row in the way. */
  DatabaseRefuses: 'DatabaseRefuses',
  /** The volume of the embedded database finds no storage: the message says what to name. */
  VolumePending: 'VolumePending',
  /** A pod is not made or does not start: the message gives the reason that Kubernetes has. */
  PodFaulty: 'PodFaulty',
  /** The farm database answers. */
  DatabaseAnswers: 'DatabaseAnswers',
  /** The farm database is being made or does not answer. */
  DatabaseUnreachable: 'DatabaseUnreachable',
  /** The farm database refused the user or password. */
  DatabaseRefused: 'DatabaseRefused',
  /** The data of the embedded database was made with another password than its Secret has. The message says the ways back. */
  DatabasePasswordLost: 'DatabasePasswordLost',
  /** The database is another farm's, or empty while the farm is known: nothing is written. The message says the two ways out. */
  DatabaseForeign: 'DatabaseForeign',
  /** The database of the farm was restored to the past, or lost its devices: nothing is written. The message says the two ways out. */
  DatabaseBehind: 'DatabaseBehind',
  /** The schema of the database is newer than this release. */
  DatabaseTooNew: 'DatabaseTooNew',
  /** The replica holds what the database holds. */
  ReplicaCurrent: 'ReplicaCurrent',
  /** The replica is behind. */
  ReplicaLagging: 'ReplicaLagging',
  /** The replica is being filled anew. */
  ReplicaRebuilding: 'ReplicaRebuilding',
  /** The replica does not answer. */
  ReplicaUnreachable: 'ReplicaUnreachable',
  /** Servers of one site would tell devices different things. */
  BootstrapDiffers: 'BootstrapDiffers',
  /** spec.suspend is true. */
  Suspended: 'Suspended',
  // StreamingServer
  /** Servers are being placed or started. */
  ServersStarting: 'ServersStarting',
  /** Servers keep their image and settings until spec.rollout.policy is Automatic. */
  RolloutOnDemand: 'RolloutOnDemand',
  /** Servers are draining before they end. */
  ServersDraining: 'ServersDraining',
  /** A server does not answer. */
  ServerUnreachable: 'ServerUnreachable',
  /** A server can't take devices: a port is taken, it has no address that fits. */
  ServerFaulty: 'ServerFaulty',
  /** Too few nodes match spec.placement. */
  TooFewNodes: 'TooFewNodes',
  /** Devices are spread fairly. */
  LoadFair: 'LoadFair',
  /** A server has more than its share. */
  LoadUneven: 'LoadUneven',
  /** The largest server can be lost. */
  CapacitySuffices: 'CapacitySuffices',
  /** The largest server can't be lost. */
  CapacityShort: 'CapacityShort',
  /** The number of servers comes from spec.autoscaling. */
  ReplicasIgnored: 'ReplicasIgnored',
  /** spec.rollout.policy is OnDemand. */
  WaitsForCommand: 'WaitsForCommand',
  /** The rollout goes on, one server after another. */
  RollingOut: 'RollingOut',
  // Store
  /** Every server reaches the store. */
  AllServersAccess: 'AllServersAccess',
  /** Some servers don't reach the store. */
  SomeServersLackAccess: 'SomeServersLackAccess',
  /** No server reaches the store. */
  NoServerAccess: 'NoServerAccess',
  /** No server should offer the store: no pool, site or name fits. */
  NoServers: 'NoServers',
  /** The claim of the store is one that several nodes cannot mount. */
  ClaimNotShared: 'ClaimNotShared',
  /** A server has no room for what it is to have: before it is copied. */
  NoRoom: 'NoRoom',
  /** A path that no storeRoots of a pool holds. */
  PathOutsideRoots: 'PathOutsideRoots',
  // VDisk
  /** spec.storeRef names a Store that is not there. */
  StoreMissing: 'StoreMissing',
  /** The version that devices should boot is on no server. */
  FilesMissing: 'FilesMissing',
  /** A file can't be an image: cut, or its header is wrong. */
  FilesFaulty: 'FilesFaulty',
  /** Digests are being computed. */
  Verifying: 'Verifying',
  /** Copies are being made. */
  Copying: 'Copying',
  /** Servers hold different files, and nothing says which is right. */
  CopiesConflict: 'CopiesConflict',
  /** Fewer right copies than spec.minCopies. */
  TooFewCopies: 'TooFewCopies',
  /** Some copies are not right. */
  CopiesBehind: 'CopiesBehind',
  /** The content of all copies is right, and the properties (.pvp) of some are not those of another server. */
  PropertiesBehind: 'PropertiesBehind',
  /** Every copy is right. */
  CopiesCurrent: 'CopiesCurrent',
  /** Nothing is released that a Production device may boot. */
  NoVersion: 'NoVersion',
  /** spec.enabled is false. */
  Disabled: 'Disabled',
  /** An override of `bootfarm rollback` is in effect. */
  RolledBack: 'RolledBack',
  /** Its files go to the Store that the spec names, and devices read them meanwhile. */
  Moving: 'Moving',
  /** Its files are in the new Store, and devices go there. */
  HandingOver: 'HandingOver',
  /** Its files in the old Store go, as movePolicy says. */
  GivingBack: 'GivingBack',
  /** A server fetches the base from `spec.source`, or is about to. */
  Fetching: 'Fetching',
  /** No server could fetch it: it is tried again, an hour after it failed. */
  FetchFailed: 'FetchFailed',
  /** A server takes kernel and initrd out of an image, or is about to. */
  TakingBootFiles: 'TakingBootFiles',
  /** A server merges a chain, or is about to. */
  Merging: 'Merging',
  /** A chain is merged at another time of the day. */
  MergeLater: 'MergeLater',
  /** A chain is merged: the new base waits to be named in the spec. */
  MergeReady: 'MergeReady',
} as const;
export type Reason = keyof typeof REASONS;

/** A metav1.Condition. */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  /** RFC 3339, whole seconds. */
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number;
}

/** What a reconciler says; the rest is kept or filled in. */
export interface Claim {
  readonly type: ConditionType;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: Reason;
  readonly message: string;
  readonly observedGeneration?: number;
}

const MAX_MESSAGE = 32_768;
export const rfc3339 = (now: Date): string => now.toISOString().replace(/\.\d{3}Z$/, 'Z');

/** The list with this condition in place: at its old position, or at the end. `lastTransitionTime` moves only when status changes. */
export function setCondition(list: readonly Condition[], claim: Claim, now: Date): Condition[] {
  const before = list.find(({ type }) => type === claim.type);
  const condition: Condition = {
    ...claim,
    message: claim.message.slice(0, MAX_MESSAGE),
    lastTransitionTime: before?.status === claim.status ? before.lastTransitionTime : rfc3339(now),
  };
  return before ? list.map((item) => (item === before ? condition : item)) : [...list, condition];
}

export const removeCondition = (list: readonly Condition[], type: ConditionType): Condition[] =>
  list.filter((item) => item.type !== type);

/** What one reconcile found, in the words of the status contract. */
export type Verdict =
  | { readonly kind: 'ready'; readonly message: string; readonly reason?: Reason; readonly progress?: Statement }
  | { readonly kind: 'reconciling'; readonly reason: Reason; readonly message: string }
  | { readonly kind: 'stalled'; readonly reason: Reason; readonly message: string };

/** Why a resource is not served: until work is done, or until its spec is another. */
export type Hindrance = Extract<Verdict, { readonly kind: 'reconciling' | 'stalled' }>;

export interface Statement {
  readonly reason: Reason;
  readonly message: string;
}

export interface Observed {
  readonly verdict: Verdict;
  readonly degraded?: Statement;
  /** The conditions of the kind itself: Accessible, Replicated, … */
  readonly claims?: readonly Omit<Claim, 'observedGeneration'>[];
  /** `metadata.generation` that was judged. */
  readonly generation: number;
}

/**
 * The whole condition list after a reconcile: Ready, the kind's own, and Reconciling, Stalled and Degraded while they hold. What was in the
 * list and is not said again is gone. The same again gives an equal list, so that a settled farm writes nothing.
 */
export function conditionsOf(before: readonly Condition[], observed: Observed, now: Date): Condition[] {
  const { verdict } = observed;
  const claims: Omit<Claim, 'observedGeneration'>[] = [
    {
      type: 'Ready',
      status: verdict.kind === 'ready' ? 'True' : 'False',
      reason: verdict.reason ?? 'Settled',
      message: verdict.message,
    },
  ];
  const abnormal = (type: ConditionType, statement: Statement | undefined): void => {
    if (statement) claims.push({ type, status: 'True', reason: statement.reason, message: statement.message });
  };
  if (verdict.kind === 'ready') abnormal('Reconciling', verdict.progress);
  else abnormal(verdict.kind === 'stalled' ? 'Stalled' : 'Reconciling', verdict);
  abnormal('Degraded', observed.degraded);
  claims.push(...(observed.claims ?? []));
  const kept = before.filter(({ type }) => claims.some((claim) => claim.type === type));
  return claims.reduce<readonly Condition[]>(
    (list, claim) => setCondition(list, { ...claim, observedGeneration: observed.generation }, now),
    kept,
  ) as Condition[];
}
