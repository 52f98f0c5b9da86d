import { describe, expect, test } from '@jest/globals';
import { aBoot, aDevice, aServer, aSnapshot, aVDisk, aVersion } from '../../test/builders/farm.ts';
import { type BootRecord, type BootStep, type BootStepName, withStep } from './bootrecord.ts';
import { explain } from './explain.ts';
import type { Copy, FarmSnapshot, Session } from './model.ts';
import type { ExplainFacts, VerdictCode } from './verdict.ts';

const NOW = 1_800_000_000_000;
const MAC = '52:54:00:00:00:01';

type Heard = readonly [step: BootStepName, more?: Partial<BootStep>];
const because = (code: string, message: string) => ({ reason: { code, message } });

/** A second a step; the last was ten minutes ago. */
function aRecord(heard: readonly Heard[], more: Partial<BootRecord> = {}): BootRecord {
  const steps = heard.map(([step, own], index): BootStep => {
    const at = NOW - 600_000 - (heard.length - index) * 1_000;
    return { step, server: 'node-a', at, lastAt: at, times: 1, ...own };
  });
  const boots = steps.reduce<BootRecord['boots']>((all, step) => withStep(all, step), []);
  return { mac: MAC, known: true, firstAt: steps[0]?.at ?? 0, lastAt: steps.at(-1)?.at ?? 0, boots, ...more };
}

const facts = (heard: readonly Heard[] | undefined, more: Partial<ExplainFacts> = {}): ExplainFacts => ({
  macs: [MAC],
  device: aDevice(),
  snapshot: aSnapshot(),
  session: 'Unknown',
  silent: [],
  answered: 2,
  nowMs: NOW,
  ...(heard ? { record: aRecord(heard) } : {}),
  ...more,
});

const aCopy = (server: string, state: Copy['state']): Copy => ({
  ...{ vdisk: 'lab', version: 0, server, state, message: '', since: 0, reportedAt: 0 },
});
const aSession: Session = {
  ...{ device: 'pc0001', server: 'node-b', vdisk: 'lab', version: 0, since: 5, epoch: 5, protocol: 'stream' },
};
const ofFarm = (more: Partial<FarmSnapshot>): Partial<ExplainFacts> => ({ snapshot: aSnapshot(more) });

const ROM: readonly Heard[] = [['discover'], ['offer', { detail: 'undionly.kpxe' }]];
const IPXE: readonly Heard[] = [...ROM, ['tftp', { detail: 'undionly.kpxe' }], ['offer', { detail: 'the script' }]];
const LOADED: readonly Heard[] = [
  ...IPXE,
  ['script', { detail: 'lab version 0' }],
  ['kernel', { detail: 'lab.vmlinuz' }],
  ['config'],
  ['initrd', { detail: 'lab.initrd' }],
];
const ATTACHED: readonly Heard[] = [...LOADED, ['login'], ['attach', { detail: 'lab version 0' }]];
const offline = { ...aSnapshot().farm, offline: { enabled: false, maxAgeSeconds: 60 } };

describe('the first thing that stands in the way', () => {
  test.each<{
    what: string;
    heard?: readonly Heard[];
    more?: Partial<ExplainFacts>;
    code: VerdictCode;
    step: BootStepName | 'farm';
    says: RegExp;
    todo: RegExp;
  }>([
    {
      what: 'an unknown MAC',
      heard: [['discover'], ['offer', because('UnknownDevice', 'boot.unknownDevices of its site is Ignore')]],
      more: { device: undefined },
      ...{ code: 'UnknownMachine', step: 'offer', says: /no device with MAC 52:54/ },
      todo: /device add NAME --mac 52:54:00:00:00:01/,
    },
    {
      what: 'disabled',
      heard: [...IPXE, ['script', because('Disabled', 'device pc0001 is disabled')]],
      more: { device: aDevice({ enabled: false }) },
      ...{ code: 'Disabled', step: 'farm', says: /pc0001 is disabled/, todo: /device set pc0001 --enabled/ },
    },
    {
      what: 'disabled while it streams: that ends it',
      heard: ATTACHED,
      more: { device: aDevice({ enabled: false }) },
      ...{ code: 'Disabled', step: 'farm', says: /disabled/, todo: /--enabled/ },
    },
    {
      what: 'another site',
      heard: [
        ['discover', { server: 'lyon-a' }],
        ['offer', { server: 'lyon-a', ...because('OtherSite', 'not of lyon') }],
      ],
      more: ofFarm({
        sites: [...aSnapshot().sites, { name: 'lyon', boot: aBoot() }],
        servers: [aServer(), aServer({ name: 'lyon-a', site: 'lyon' })],
      }),
      ...{ code: 'OtherSite', step: 'farm', says: /site default, not lyon/, todo: /device set pc0001 --collection/ },
    },
    {
      what: 'no vDisk',
      heard: [],
      more: ofFarm({ vdisks: [] }),
      ...{ code: 'NoVDisk', step: 'farm', says: /room-101.*has no vDisk lab/, todo: /spec\.collections/ },
    },
    {
      what: 'a vDisk that is disabled',
      more: ofFarm({ vdisks: [aVDisk({ enabled: false })] }),
      ...{ code: 'VDiskDisabled', step: 'farm', says: /lab is disabled/, todo: /spec\.enabled/ },
    },
    {
      what: 'no version that it may boot',
      more: ofFarm({ versions: [aVersion({ access: 'Test' })] }),
      ...{ code: 'NoVersion', step: 'farm', says: /lab/, todo: /promote/ },
    },
    {
      what: 'a farm that is suspended',
      more: ofFarm({ farm: { ...aSnapshot().farm, suspend: true } }),
      ...{ code: 'Suspended', step: 'farm', says: /suspended/, todo: /spec\.suspend/ },
    },
    {
      what: 'no copy, as the operator judged them',
      heard: [...IPXE],
      more: { copies: [aCopy('node-a', 'Missing'), aCopy('node-b', 'Corrupt')] },
      ...{ code: 'NoCopy', step: 'login', says: /node-a Missing, node-b Corrupt/, todo: /bootfarm replication lab/ },
    },
    {
      what: 'no copy, as its login was told',
      heard: [...LOADED, ['login', because('NoCopy', 'no server has an UpToDate copy')]],
      more: { copies: [aCopy('node-a', 'UpToDate')] },
      ...{ code: 'NoCopy', step: 'login', says: /node-a refused its login: no server has/, todo: /replication/ },
    },
    {
      what: 'a server that is full',
      heard: [...LOADED, ['login', because('AllFull', 'at limits.maxDevices: node-a 10 of 10')]],
      ...{ code: 'ServerFull', step: 'login', says: /10 of 10/, todo: /limits\.maxDevices/ },
    },
    {
      what: 'the database away, with offline off',
      heard: [...LOADED, ['login', because('Offline', 'the farm database is away')]],
      more: ofFarm({ farm: offline }),
      ...{ code: 'DatabaseAway', step: 'login', says: /database is away/, todo: /spec\.offline\.enabled/ },
    },
    {
      what: 'a login that is refused for another reason',
      heard: [...LOADED, ['login', because('OtherSubnet', 'subnetAffinity is Fixed')]],
      ...{ code: 'LoginRefused', step: 'login', says: /subnetAffinity is Fixed/, todo: /message/ },
    },
    {
      what: 'TFTP never asked',
      heard: ROM,
      ...{ code: 'TftpNeverAsked', step: 'offer', says: /undionly\.kpxe, and never asked/, todo: /UDP port 69/ },
    },
    {
      what: 'TFTP never acknowledged, however often it begins again',
      heard: [
        ...ROM,
        ['tftp', { detail: 'undionly.kpxe', ...because('NeverAcknowledged', 'nothing acknowledged') }],
        ...ROM,
      ],
      ...{ code: 'TftpNeverAcknowledged', step: 'tftp', says: /acknowledged no packet/, todo: /UDP pass both ways/ },
    },
    {
      what: 'a file that TFTP does not have',
      heard: [...ROM, ['tftp', { detail: 'x.efi', ...because('NotFound', 'there is no file x.efi here') }]],
      ...{ code: 'TftpFailed', step: 'tftp', says: /no file x\.efi/, todo: /boot\.bootFiles/ },
    },
    {
      what: 'HTTP never asked, its iPXE loaded',
      heard: IPXE,
      ...{ code: 'HttpNeverAsked', step: 'tftp', says: /never asked for its script/, todo: /boot\.http\.port/ },
    },
    {
      what: 'HTTP never asked, by an iPXE in ROM',
      heard: [['discover'], ['offer', { detail: 'the script' }]],
      ...{ code: 'HttpNeverAsked', step: 'offer', says: /never asked for it by HTTP/, todo: /boot\.http\.port/ },
    },
    {
      what: 'an answer that did not leave',
      heard: [['discover'], ['offer', because('NotSent', 'the kernel did not send the answer')]],
      ...{ code: 'NotAnswered', step: 'offer', says: /did not send/, todo: /switch it on again/ },
    },
    {
      what: 'a script that was refused before somebody mended the farm',
      heard: [...IPXE, ['script', because('Disabled', 'device pc0001 is disabled')]],
      ...{ code: 'ScriptRefused', step: 'script', says: /pc0001 is disabled/, todo: /nothing stands in its way now/ },
    },
    {
      what: 'a kernel that is not there',
      heard: [
        ...IPXE,
        ['script'],
        ['kernel', { detail: 'lab.vmlinuz', ...because('NoFile', 'lab.vmlinuz is not there') }],
      ],
      ...{ code: 'FileRefused', step: 'kernel', says: /lab\.vmlinuz is not there/, todo: /replication/ },
    },
    {
      what: 'a script, and nothing after it',
      heard: [...IPXE, ['script']],
      ...{ code: 'KernelNeverAsked', step: 'script', says: /never asked for the kernel/, todo: /screen/ },
    },
    {
      what: 'a kernel without its initrd',
      heard: [...IPXE, ['script'], ['kernel'], ['config']],
      ...{ code: 'InitrdNeverAsked', step: 'config', says: /never all of the rest/, todo: /memory/ },
    },
    {
      what: 'a kernel that never logs in',
      heard: LOADED,
      ...{ code: 'NeverLoggedIn', step: 'initrd', says: /never logged in/, todo: /driver of its network card/ },
    },
    {
      what: 'a ticket that is not used',
      heard: [...LOADED, ['login', { detail: 'sent to 10.77.0.12' }]],
      ...{ code: 'NeverAttached', step: 'login', says: /sent to 10\.77\.0\.12/, todo: /ports\.stream/ },
    },
    {
      what: 'a kernel panic: silence after attach',
      heard: [...ATTACHED, ['end', because('Silent', 'it said nothing for 30 s')]],
      ...{ code: 'SilentAfterAttach', step: 'end', says: /read little and fell silent/, todo: /kernel panic/ },
    },
    {
      what: 'a machine that ran and was switched off',
      heard: [...ATTACHED, ['running'], ['end', because('Silent', 'it said nothing for 30 s')]],
      ...{ code: 'WentSilent', step: 'end', says: /it ran, and fell silent/, todo: /switched off/ },
    },
    {
      what: 'a machine that was shut down',
      heard: [...ATTACHED, ['running'], ['end']],
      ...{ code: 'Left', step: 'end', says: /shut down/, todo: /switch it on/ },
    },
    {
      what: 'a machine whose server died with it',
      heard: [...ATTACHED, ['running']],
      more: { session: undefined },
      ...{ code: 'WentSilent', step: 'running', says: /no server streams to it now/, todo: /switch it on/ },
    },
    {
      what: 'a machine whose session is told to have ended, and not to the farm yet',
      heard: [...ATTACHED, ['end']],
      more: { session: { ...aSession, server: 'node-a' } },
      ...{ code: 'Left', step: 'end', says: /it left/, todo: /switch it on/ },
    },
    {
      what: 'a machine that starts',
      heard: ATTACHED,
      ...{ code: 'Starting', step: 'attach', says: /has not read much yet/, todo: /wait/ },
    },
    {
      what: 'nothing: it runs well, whatever the farm says of its next boot',
      heard: [...ATTACHED, ['running']],
      more: ofFarm({ vdisks: [] }),
      ...{ code: 'Running', step: 'running', says: /runs, and reads from node-a/, todo: /^$/ },
    },
    {
      what: 'nothing: it moved to another server, which it left the first one for',
      heard: [...ATTACHED, ['running'], ['attach', { server: 'node-b' }], ['running', { server: 'node-b' }], ['end']],
      ...{ code: 'Running', step: 'running', says: /reads from node-b/, todo: /^$/ },
    },
    {
      what: 'nothing: its session is known, and no server remembers its boot',
      more: { session: aSession },
      ...{ code: 'Running', step: 'running', says: /node-b/, todo: /^$/ },
    },
    {
      what: 'nobody heard it',
      more: { silent: [{ server: 'node-b', message: 'server node-b: away' }] },
      ...{
        code: 'NeverHeard',
        step: 'discover',
        says: /no server has heard it, but node-b did not answer/,
        todo: /relay/,
      },
    },
    {
      what: 'no server answers',
      more: { answered: 0, silent: [{ server: 'node-b', message: 'server node-b: away' }] },
      ...{ code: 'NoServerAnswers', step: 'farm', says: /server node-b: away/, todo: /kubectl/ },
    },
  ])('$what', ({ heard, more, code, step, says, todo }) => {
    const { verdict } = explain(facts(heard, more));
    expect(verdict).toEqual({ code, step, message: expect.stringMatching(says), todo: expect.stringMatching(todo) });
  });
});

test('what was heard is told in order, a step of several servers once, and what the farm says last', () => {
  const { sentences } = explain(
    facts([
      ['discover'],
      ['offer', { detail: 'undionly.kpxe' }],
      ['discover', { server: 'node-b' }],
      ['offer', { server: 'node-b', detail: 'undionly.kpxe', times: 3 }],
      ['script', because('Disabled', 'device pc0001 is disabled')],
    ]),
  );
  expect(
    sentences.map(({ step, servers, text, isRight, times }) => [step, servers.join(), text, isRight, times]),
  ).toEqual([
    ['discover', 'node-a,node-b', 'it asked by DHCP what to boot', true, undefined],
    ['offer', 'node-a,node-b', 'it was told to load undionly.kpxe', true, 3],
    ['script', 'node-a', 'it was given no script to boot by: device pc0001 is disabled', false, undefined],
    ['farm', '', 'device pc0001 may boot lab version 0 now', true, undefined],
  ]);
});
