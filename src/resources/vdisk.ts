/** VDisk: a disk image with a name, a format and a chain of versions. */

import { Type } from 'typebox';
import { NOT_CARRIED } from '../farm/commandline.ts';
import type { CopyState } from '../farm/model.ts';
import { ACCESSES, type VersionState } from '../farm/version.ts';
import { farmRef, statusHead } from './common.ts';
import { defineKind } from './kind.ts';
import {
  count,
  countOrAll,
  defaulted,
  dnsName,
  exactlyOne,
  flag,
  group,
  immutable,
  integer,
  label,
  listBy,
  listOf,
  message,
  object,
  oneOf,
  optional,
  pattern,
  rule,
  rules,
  setOf,
  sha256,
  text,
  time,
} from './schema.ts';

export const COPY_STATES = [
  'UpToDate',
  'Missing',
  'OutOfDate',
  'PropertiesMissing',
  'PropertiesOutOfDate',
  'ServerUnreachable',
  'Copying',
  'Corrupt',
  'Conflict',
] as const satisfies readonly CopyState[];

const VERSION_STATES = [
  'Maintenance',
  'Test',
  'Pending',
  'Production',
  'Default',
  'Override',
] as const satisfies readonly VersionState['state'][];

const WORK_KINDS = [
  'convert',
  'new-version',
  'merge',
  'import',
  'fetch',
  'boot-files',
  'give-back',
  'export',
  'upload',
] as const;
const WORK_STATES = ['Queued', 'Running', 'Done', 'Failed', 'Cancelled'] as const;

const versionNumber = (description: string) => integer(description, 0, 999_999);

const loadBalancing = group(
  'How devices are spread over servers.',
  {
    algorithm: optional(
      oneOf('LeastBusy (default): the server with the fewest devices for its power rating.', ['LeastBusy']),
    ),
    server: optional(dnsName('Name of the one server that serves this vDisk. Pinned: there is no failover.')),
    subnetAffinity: defaulted(
      oneOf(
        'Whether a device prefers a server of its own subnet. None (default), BestEffort, or Fixed: or is refused.',
        ['None', 'BestEffort', 'Fixed'],
      ),
      'None',
    ),
    rebalance: optional(
      object('Moves running devices from busy servers to idle ones.', {
        enabled: optional(flag('Default: false.')),
        triggerPercent: optional(integer('How far over its fair share a server must be. Default: 25.', 5, 500)),
      }),
    ),
  },
  rule(
    '!(has(self.algorithm) && has(self.server))',
    'say either algorithm or server: a vDisk that is pinned to a server is not balanced',
  ),
  rule(
    '!has(self.server) || !(has(self.subnetAffinity) || has(self.rebalance))',
    'a vDisk that is pinned to a server is not balanced: leave out subnetAffinity and rebalance, or leave out server',
  ),
);

const versions = listBy(
  'Versions that devices may boot. Promoting one is a change of access here. Leaving an entry out never deletes a file. Empty: version 0 is Production.',
  ['number'],
  256,
  object('A version.', {
    number: versionNumber('Number of the version: 0 is the base file.'),
    access: oneOf('Which class of device may boot it.', ACCESSES),
    releaseAt: optional(time('When a Production version is released. Absent: at once.')),
    sha256: optional(
      sha256(
        'Digest of its manifest: what `sha256sum FILES | LC_ALL=C sort -k 2 | sha256sum` gives for its image, kernel and initrd, in their folder. Absent: what the farm database says.',
      ),
    ),
    description: optional(message('What is new in it, for people.', 1024)),
  }),
);

const os = object(
  'How the disk boots. Absent: linux.',
  {
    linux: optional(
      object('Kernel and initrd lie beside the image (lab.3.vmlinuz, lab.3.initrd) and belong to its version.', {
        commandLine: optional(
          pattern(
            'Added to the command line of the kernel. iPXE carries it, and takes some of it for its own: see the rule.',
            1024,
            '^[ -~]*$',
            rules(
              rule(
                `!self.matches(r'${NOT_CARRIED}')`,
                'commandLine has what iPXE reads itself, so that the kernel would not get it: ${, two blanks in a row, a word that begins with #, or &&, || or ; between blanks',
              ),
            ),
          ),
        ),
      }),
    ),
    firmware: optional(object('The loader on the disk itself.', {})),
  },
  rule(exactlyOne('linux', 'firmware'), 'say either linux or firmware: a disk boots in one way'),
);

const spec = object(
  'What you want.',
  {
    farmRef,
    storeRef: Type.Object(
      { name: label('Name of the Store, in the same namespace.') },
      {
        description:
          'The Store that holds the files. Another one: they go there while devices read them (status.movingFrom), and stay where they were, too.',
        'x-kubernetes-map-type': 'atomic',
      },
    ),
    fileName: Type.String({
      description:
        'Name of the files without extension: lab stands for lab.raw, lab.vhdx or lab.vhd, for lab.1.raw, lab.1.avhdx and so on, and for their kernels and initrds. Immutable.',
      minLength: 1,
      maxLength: 128,
      pattern: '^[A-Za-z0-9_][A-Za-z0-9._-]*$',
      ...rules(
        immutable('fileName', 'make a new VDisk for the other files'),
        rule(
          "!self.matches('[.][0-9]+$')",
          'fileName ends like the number of a version (lab.1 is version 1 of lab): choose a name that does not end in a dot and digits',
        ),
      ),
    }),
    source: optional(
      object(
        'Where the base (version 0) is fetched from where no server has an image of it. One server does it, then finds kernel and initrd in it, unless they lie there already.',
        {
          http: object('A download.', {
            url: pattern(
              'Address of the image: .vhdx, .vhd or .raw as it is; qcow2, VMDK or VDI are imported (as .vhdx where the address ends so), anything else is a raw disk.',
              2048,
              '^https?://[^ ]+$',
            ),
            sha256: sha256('Digest of the file that is fetched.'),
            sizeBytes: optional(count('Size of the file, bytes. Absent: as the server says.')),
          }),
        },
      ),
    ),
    enabled: defaulted(flag('Whether devices may boot it.'), true),
    copies: defaulted(
      countOrAll(
        'How many servers of a local store keep a copy: all (default), or so many, which the operator chooses by room and load and keeps (status.chosen). A shared store has one.',
        256,
      ),
      'all',
    ),
    minCopies: optional(
      integer(
        'Servers that must have a right copy before the VDisk is Ready (absent: 1), and before a newer version becomes the default (absent: every server that should have one, but one that did not answer for five minutes).',
        1,
        256,
      ),
    ),
    loadBalancing,
    writeCache: group('Where the writes of a device go.', {
      type: defaulted(
        oneOf('DeviceRAM (default), DeviceDisk, DeviceRAMWithOverflow (to the disk of the device) or Server.', [
          'DeviceRAM',
          'DeviceDisk',
          'DeviceRAMWithOverflow',
          'Server',
        ]),
        'DeviceRAM',
      ),
      sizeMiB: defaulted(integer('Most memory or disk that it takes, MiB.', 16, 16_777_216), 512),
    }),
    bootVersion: optional(
      versionNumber(
        'The version that Production devices boot, whoever has it. Absent: the newest released Production version that enough servers have had right (minCopies).',
      ),
    ),
    versions: defaulted(versions, []),
    deletionPolicy: defaulted(
      oneOf('Whether deleting this VDisk deletes its files. Retain (default) or Delete.', ['Retain', 'Delete']),
      'Retain',
    ),
    movePolicy: defaulted(
      oneOf(
        'What becomes of its files in a Store from which it moves, when the new one is proved to have all of them. Retain (default) or Delete.',
        ['Retain', 'Delete'],
      ),
      'Retain',
    ),
    os: optional(os),
  },
  rule(
    '!has(self.minCopies) || !has(self.copies) || type(self.copies) != int || self.minCopies <= int(self.copies)',
    'minCopies is more than copies: say at most as many as there are to be',
  ),
  rule(
    "!has(self.bootVersion) || (has(self.versions) && self.versions.size() > 0 ? self.versions.exists(v, v.number == self.bootVersion && v.access == 'Production') : self.bootVersion == 0)",
    'bootVersion must name an entry of versions with access Production (without versions: 0): add or promote that version first',
  ),
);

const status = object('What is.', {
  ...statusHead,
  store: optional(label('The Store of which its copies are told.')),
  movingFrom: optional(
    setOf(
      'Stores from which its files go to that of the spec: they are in use until it is over.',
      16,
      label('Name of the Store.'),
    ),
  ),
  arrived: optional(
    count('So many servers had all of it in that Store when devices were told to go there; absent: not yet.'),
  ),
  bootVersion: optional(versionNumber('The version that Production devices boot.')),
  override: optional(
    object('What `bootfarm rollback` chose in place of the spec. Absent: nothing.', {
      version: versionNumber('The version that Production devices boot.'),
      until: optional(time('When it ends. Absent: when it is cleared.')),
    }),
  ),
  sizeBytes: optional(count('Size of the disk that devices see, bytes.')),
  devices: optional(count('Devices that stream it: whose session has not ended, as far as it is known.')),
  upToDate: optional(
    text('Servers with a right copy of the boot version, of those that should have one, such as 2/2.', 16),
  ),
  versions: optional(
    listBy(
      'Versions as they are.',
      ['number'],
      256,
      object('A version.', {
        number: versionNumber('Number of the version.'),
        type: optional(oneOf('Base, Differencing or Merged.', ['Base', 'Differencing', 'Merged'])),
        access: optional(oneOf('Which class of device may boot it.', ACCESSES)),
        state: optional(
          oneOf(
            'Maintenance, Test or Production (released), and of the Production ones: Default, which devices boot now; Override, the same by `bootfarm rollback`; Pending, which becomes the default by itself.',
            VERSION_STATES,
          ),
        ),
        message: optional(message('What a version that is Pending waits for.')),
        settledAt: optional(time('Since when enough servers had it right, so that it may be the default.')),
        sizeBytes: optional(count('Size of its files, bytes.')),
        sha256: optional(sha256('Digest of its manifest.')),
        conflict: optional(
          flag(
            'Servers hold different files of it, and nothing says which are right. It stays so while one of them is away.',
          ),
        ),
        upToDate: optional(count('Servers with a right copy.')),
        copies: optional(count('Servers that should have a copy.')),
      }),
    ),
  ),
  chosen: optional(
    listBy(
      'Servers that keep a copy, where spec.copies is a number. Absent: every server of the store.',
      ['name'],
      256,
      object('A server that was chosen.', {
        name: dnsName('Name of the server.'),
        since: time('Since when.'),
        awaySince: optional(
          time(
            'Since when it is away, or gets no copy. After replication.replaceAfter of the Store another one is chosen beside it.',
          ),
        ),
      }),
    ),
  ),
  copies: optional(
    listBy(
      'Copies of the boot version, and every other copy that is not UpToDate; bounded.',
      ['server', 'version'],
      512,
      object('The files of one version on one server.', {
        server: dnsName('Name of the server.'),
        version: versionNumber('Number of the version.'),
        state: oneOf('State of the copy, judged by content.', COPY_STATES),
        surplus: optional(flag('More than spec.copies asks for: it goes when the chosen servers have theirs.')),
        lacksBootFiles: optional(
          text('Its image is there, and its kernel or initrd is not: which image that is, in 8 hex digits.', 8),
        ),
        progressPercent: optional(integer('How far it is copied or read, in steps of 10.', 0, 100)),
        lastVerified: optional(time('When all of its files were read and their digests computed last.')),
        message: optional(message('What is wrong with it, and what to do.')),
      }),
    ),
  ),
  work: optional(
    listBy(
      'Work on its files in the servers that have them: what waits, what runs, and what ended less than ten minutes ago (where the operator ordered it and it failed: until it is tried again).',
      ['server', 'id'],
      32,
      object('A job of `bootfarm vdisk`.', {
        server: dnsName('Name of the server.'),
        id: text('Its id: `bootfarm vdisk follow ID`, `cancel ID` in the container `work` of the server.', 16),
        kind: oneOf('What is done.', WORK_KINDS),
        version: optional(versionNumber('The version that is made, once it is known.')),
        state: oneOf('Queued, Running, Done, Failed or Cancelled.', WORK_STATES),
        progressPercent: optional(integer('How far it is, in steps of 5.', 0, 100)),
        message: optional(message('What it waits for, why it failed, or what it made.')),
      }),
    ),
  ),
  unmanaged: optional(
    setOf(
      'Images of this vDisk that lie on a server, belong to no entry of versions and are below none; no Production device boots them.',
      64,
      text('Name of the file.'),
    ),
  ),
  locks: optional(
    listOf(
      'Who holds a version for writing. Absent in this release.',
      64,
      object('A lock.', {
        version: versionNumber('Number of the version.'),
        holder: text('The device or server that holds it.'),
        reason: optional(message('What for.')),
        since: optional(time('Since when.')),
      }),
    ),
  ),
});

export const VDiskKind = defineKind({
  kind: 'VDisk',
  plural: 'vdisks',
  shortName: 'vd',
  description: 'A vDisk: a disk image with a name, a format and a chain of versions, in a store.',
  spec,
  status,
  columns: [
    { name: 'Farm', type: 'string', path: '.spec.farmRef.name', description: 'Its farm', priority: 1 },
    { name: 'Store', type: 'string', path: '.spec.storeRef.name', description: 'Its store', priority: 1 },
    {
      name: 'Version',
      type: 'integer',
      path: '.status.bootVersion',
      description: 'The version that Production devices boot',
    },
    {
      name: 'Copies',
      type: 'string',
      path: '.status.upToDate',
      description: 'Right copies of that version, of all that should be',
    },
    {
      name: 'Replicated',
      type: 'string',
      path: '.status.conditions[?(@.type=="Replicated")].status',
      description: 'Whether every copy of every version is right',
    },
    { name: 'Devices', type: 'integer', path: '.status.devices', description: 'Devices that stream it' },
  ],
});
