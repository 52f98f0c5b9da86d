/** Parts that several kinds share: references, storage, pod settings, conditions. */
import { Type } from 'typebox';
import {
  defaulted,
  dnsName,
  flag,
  immutable,
  integer,
  label,
  listBy,
  listOf,
  mapOf,
  message,
  object,
  oneOf,
  optional,
  pattern,
  quantity,
  rules,
  text,
  time,
} from './schema.ts';

/** Where a farm must be named: once, for ever. */
export const farmRef = Type.Object(
  { name: label('Name of the Farm, in the same namespace.') },
  {
    description: 'The Farm that this belongs to. Immutable.',
    'x-kubernetes-map-type': 'atomic',
    ...rules(immutable('farmRef', 'make a new resource for the other farm and delete this one')),
  },
);

export const secretKeyRef = (description: string) =>
  Type.Object(
    {
      name: dnsName('Name of the Secret, in the same namespace.'),
      key: defaulted(pattern('Key in the Secret.', 253, '^[-._a-zA-Z0-9]+$'), 'uri'),
    },
    { description, 'x-kubernetes-map-type': 'atomic' },
  );

export const secretRef = (description: string) =>
  Type.Object(
    { name: dnsName('Name of the Secret, in the same namespace.') },
    { description, 'x-kubernetes-map-type': 'atomic' },
  );

export const image = (description: string) => pattern(description, 512, '^[a-zA-Z0-9][-a-zA-Z0-9._:/@]*$');

export const resourceRequirements = (description: string) =>
  object(description, {
    requests: optional(mapOf('What the scheduler keeps free for it: cpu, memory.', 16, quantity('How much.'))),
    limits: optional(mapOf('The most it may use: cpu, memory.', 16, quantity('How much.'))),
  });

export const nodeSelector = Type.Unsafe<Record<string, string>>({
  ...mapOf('Labels that a node must have.', 32, message('Value of the label.', 63)),
  'x-kubernetes-map-type': 'atomic',
});

export const tolerations = listOf(
  'Taints of nodes that are accepted, as in a pod.',
  32,
  object('A taint that is accepted.', {
    key: optional(text('Key of the taint. Absent: every key, with operator Exists.', 316)),
    operator: optional(oneOf('How value is compared. Default: Equal.', ['Equal', 'Exists'])),
    value: optional(message('Value of the taint.', 63)),
    effect: optional(oneOf('Effect of the taint. Absent: all.', ['NoSchedule', 'PreferNoSchedule', 'NoExecute'])),
    tolerationSeconds: optional(integer('For how long NoExecute is accepted, seconds.', 0, 2_147_483_647)),
  }),
);

export const priorityClassName = dnsName('Priority class of the pods.');

const condition = object('What is true of this resource, since when and why.', {
  type: pattern('What it is about, such as Ready.', 316, '^[A-Za-z][A-Za-z0-9]*$'),
  status: oneOf('True, False or Unknown.', ['True', 'False', 'Unknown']),
  reason: pattern('Why, as one word for programs.', 1024, '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$'),
  message: message('Why, for people: names the thing, the value and what to do.', 32_768),
  lastTransitionTime: time('When status changed last.'),
  observedGeneration: optional(integer('The generation of spec that this was judged by.', 0, Number.MAX_SAFE_INTEGER)),
});

export const conditionList = listBy(
  'What is true of this resource. Ready is always there after the first reconcile.',
  ['type'],
  32,
  condition,
);

/** Fields that the status of every kind begins with. -1 = never looked at yet (the default of the whole status). */
export const statusHead = {
  observedGeneration: optional(
    integer('The generation of spec that this status was judged by; -1: none yet.', -1, Number.MAX_SAFE_INTEGER),
  ),
  conditions: optional(conditionList),
};

export const readOnly = optional(flag('Mount it read-only. Default: false.'));
