/** Store: a named place for vDisk files. */
import { farmRef, readOnly, secretRef, statusHead } from './common.ts';
import { defineKind } from './kind.ts';
import {
  count,
  defaulted,
  dnsName,
  duration,
  exactlyOne,
  flag,
  group,
  integer,
  label,
  listBy,
  message,
  object,
  oneOf,
  optional,
  path,
  pattern,
  quantity,
  rule,
  setOf,
  text,
} from './schema.ts';

const STORE_STATES = ['Accessible', 'ReadOnly', 'Missing', 'Unreachable'] as const;

const fsType = optional(
  text('File system of the LUN, such as gfs2, ocfs2, or ext4 mounted read-only. Default: ext4.', 32),
);
const lun = integer('Number of the LUN.', 0, 16_383);
const clusterFilesystem = optional(
  flag(
    'The LUN has a file system that several nodes may mount at once for writing, such as gfs2 or ocfs2. Default: false.',
  ),
);
/** Two nodes that write to one ext4 destroy it. */
const mayBeShared = rule(
  '(has(self.readOnly) && self.readOnly) || (has(self.clusterFilesystem) && self.clusterFilesystem)',
  'several nodes mount this LUN: set readOnly: true, or clusterFilesystem: true where its file system is one for that, such as gfs2 or ocfs2',
);

const local = object('A folder on each server, below one of its storeRoots. Copies are compared by content.', {
  path: path('Absolute path of the folder.'),
  nodes: defaulted(
    listBy(
      'Nodes where the folder lies elsewhere.',
      ['name'],
      256,
      object('A node.', {
        name: dnsName('Name of the node.'),
        path: path('Absolute path of the folder on this node.'),
      }),
    ),
    [],
  ),
});

const nfs = object('A folder of an NFS server, shared by all servers.', {
  server: text('Host name or IP address.'),
  path: pattern('Exported path.', 1024, '^/[^ ]*$'),
  readOnly,
});

const persistentVolumeClaim = object(
  'A claim that many nodes can mount: SMB and every other CSI driver come this way.',
  {
    claimName: dnsName('Name of the PersistentVolumeClaim, in the same namespace.'),
    readOnly,
  },
);

const iscsi = object(
  'An iSCSI LUN with a cluster file system, or mounted read-only; as in a pod.',
  {
    targetPortal: text('Portal: address or address:port.'),
    portals: optional(setOf('More portals, for multipath.', 16, text('Portal: address or address:port.'))),
    iqn: text('Name of the target: iqn.…, eui.… or naa.…', 223),
    lun,
    iscsiInterface: optional(text('Interface of the initiator. Default: default.', 128)),
    initiatorName: optional(text('Name of the initiator, where it is not that of the node.', 223)),
    fsType,
    readOnly,
    clusterFilesystem,
    chapAuthDiscovery: optional(flag('Whether discovery uses CHAP.')),
    chapAuthSession: optional(flag('Whether sessions use CHAP.')),
    secretRef: optional(secretRef('Secret with the CHAP user and password.')),
  },
  mayBeShared,
);

const fc = object(
  'A Fibre Channel LUN with a cluster file system, or mounted read-only; as in a pod.',
  {
    targetWWNs: optional(setOf('World-wide names of the target.', 16, text('A world-wide name.', 64))),
    lun: optional(lun),
    wwids: optional(setOf('World-wide identifiers of the volume.', 16, text('An identifier.', 128))),
    fsType,
    readOnly,
    clusterFilesystem,
  },
  mayBeShared,
  rule(
    'has(self.wwids) != (has(self.targetWWNs) && has(self.lun)) && has(self.targetWWNs) == has(self.lun)',
    'name the LUN in one way: either wwids, or targetWWNs together with lun',
  ),
);

const spec = object(
  'What you want. Exactly one of local, nfs, persistentVolumeClaim, iscsi and fc says where the files are.',
  {
    farmRef,
    site: optional(label('The site whose servers offer the store. Absent: the whole farm.')),
    servers: group('Which servers of the site offer the store. Absent: all.', {
      pools: defaulted(setOf('All servers of these pools.', 64, label('Name of a StreamingServer.')), []),
      names: defaulted(setOf('These servers.', 256, dnsName('Name of a server.')), []),
    }),
    local: optional(local),
    nfs: optional(nfs),
    persistentVolumeClaim: optional(persistentVolumeClaim),
    iscsi: optional(iscsi),
    fc: optional(fc),
    replication: optional(
      object('How copies of a local store are kept equal.', {
        mode: optional(
          oneOf(
            'Auto (default): each server takes what it lacks, or has wrong, from others that have it right; what was wrong is kept beside it. Report: copies are compared only.',
            ['Auto', 'Report'],
          ),
        ),
        parallel: optional(integer('Files that one server takes at once. Default: 2.', 1, 16)),
        bandwidth: optional(quantity('Most bits a second that one server takes, such as 2G. Absent: no limit.')),
        keepStale: optional(
          duration(
            'How long a wrong file that was replaced stays beside the right one, as NAME.TIME.stale. Default: 168h.',
            { of: 'keepStale', is: '1h' },
          ),
        ),
        replaceAfter: optional(
          duration(
            'Of VDisks that say how many copies they want: how long a chosen server may be away, or get no copy, before another one is chosen. Default: 30m.',
            { of: 'replaceAfter', is: '1m' },
          ),
        ),
        verifyEvery: optional(
          duration(
            'How often each file is read again and compared with its digests, at 64 MiB a second at most. Default: 24h.',
            { of: 'verifyEvery', is: '1h' },
          ),
        ),
      }),
    ),
    writeCache: optional(
      object('Where write caches on the server go.', {
        path: path('Absolute path of a folder on the server. Absent: a folder of the store.'),
      }),
    ),
  },
  rule(
    exactlyOne('local', 'nfs', 'persistentVolumeClaim', 'iscsi', 'fc'),
    'say where the files are: set exactly one of local, nfs, persistentVolumeClaim, iscsi and fc',
  ),
  rule(
    '!has(self.replication) || has(self.local)',
    'replication is for local stores: servers of a shared store read the same files, so leave replication out',
  ),
);

const status = object('What is.', {
  ...statusHead,
  accessible: optional(text('Servers that reach the store, of those that should, such as 2/2.', 16)),
  devices: optional(count('Devices that stream vDisks of it: whose session has not ended, as far as it is known.')),
  movingAway: optional(count('VDisks whose files go from it to another Store: until they are there it is in use.')),
  servers: optional(
    listBy(
      'The store on each server.',
      ['name'],
      256,
      object('The store on a server.', {
        name: dnsName('Name of the server.'),
        state: oneOf('Accessible, ReadOnly, Missing or Unreachable.', STORE_STATES),
        freeBytes: optional(count('Free space, bytes, rounded so that a settled store is silent.')),
        totalBytes: optional(count('Size of the file system, bytes.')),
        files: optional(count('Image files found.')),
        needBytes: optional(
          count('Room that files need which it still lacks, bytes: at most, for holes take none. Absent: none.'),
        ),
        message: optional(message('What is wrong with it, and what to do.')),
      }),
    ),
  ),
});

export const StoreKind = defineKind({
  kind: 'Store',
  plural: 'stores',
  shortName: 'bst',
  description: 'A store: a named place for vDisk files, local on each server or shared.',
  spec,
  status,
  columns: [
    { name: 'Farm', type: 'string', path: '.spec.farmRef.name', description: 'Its farm', priority: 1 },
    { name: 'Site', type: 'string', path: '.spec.site', description: 'Its site', priority: 1 },
    {
      name: 'Servers',
      type: 'string',
      path: '.status.accessible',
      description: 'Servers that reach it, of all that should',
    },
  ],
});
