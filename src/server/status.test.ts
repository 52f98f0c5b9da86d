import { expect, test } from '@jest/globals';
import { aBoot, aLoad, aSnapshot } from '../../test/builders/farm.ts';
import type { ServerConfig } from '../control/config.ts';
import type { Boot } from '../farm/model.ts';
import { httpPortFault, type StatusFacts, serverStatus } from './status.ts';

const ports = { stream: 6910, http: 8069, control: 6911, telemetry: 6912, dhcp: 67, pxe: 4011, tftp: 69 };
const config = { name: 'node-a', site: 'default', pool: 'main', ports } as ServerConfig;
const facts = (more: Partial<StatusFacts> = {}): StatusFacts => ({
  config,
  node: { address: '10.77.0.11', prefixLength: 24, interface: 'eth0' },
  instance: '01'.repeat(8),
  load: aLoad(),
  uses: [],
  streaming: true,
  snapshot: aSnapshot(),
  dataFault: undefined,
  database: { reachable: true, since: 0 },
  held: undefined,
  listenerFaults: [],
  journalEntries: 0,
  advisories: [],
  keys: [1, 2],
  stores: [],
  copies: [],
  work: [],
  ...more,
});
const site = (boot: Partial<Boot>) => aSnapshot({ sites: [{ name: 'default', boot: aBoot(boot) }] });
const taken = { code: 'PortTaken', message: 'UDP port 69 is taken' };
const skewed = { code: 'ClockSkew', advisory: true, message: 'the clock of server node-a is 7.0 s behind' } as const;
const foreign = { code: 'DatabaseForeign', message: 'the database is that of farm b' } as const;
const notLoaded = { code: 'NotLoaded', message: 'the replica holds no farm yet' } as const;

test.each<{ what: string; more: Partial<StatusFacts>; state: string; faults: object[] }>([
  { what: 'streams', more: {}, state: 'Streaming', faults: [] },
  { what: 'starts', more: { streaming: false }, state: 'Starting', faults: [] },
  {
    what: 'drains, whatever else',
    more: { load: aLoad({ draining: true }), streaming: false },
    state: 'Draining',
    faults: [],
  },
  {
    what: 'lacks the farm',
    more: { snapshot: undefined, dataFault: notLoaded, streaming: false },
    state: 'Starting',
    faults: [notLoaded],
  },
  { what: 'lives on its last snapshot', more: { dataFault: notLoaded }, state: 'Streaming', faults: [] },
  { what: 'has a wrong clock', more: { advisories: [skewed] }, state: 'Streaming', faults: [skewed] },
  {
    what: 'meets a database that is not the farm’s',
    more: { database: { reachable: false, since: 0, fault: foreign } },
    state: 'Streaming',
    faults: [{ ...foreign, advisory: true }],
  },
  {
    what: 'meets no database',
    more: { database: { reachable: false, since: 0, fault: { code: 'Unreachable', message: '' } } },
    state: 'Streaming',
    faults: [],
  },
  { what: 'lacks a port', more: { listenerFaults: [taken] }, state: 'Streaming', faults: [taken] },
])('a server that $what says so', ({ more, state, faults }) => {
  expect(serverStatus(facts(more))).toMatchObject({ state, faults });
});

test('the hash of the bootstrap is there as soon as the farm is, and changes with it', () => {
  const hash = (more: Partial<StatusFacts>) => serverStatus(facts(more)).bootstrapHash;
  expect(hash({ snapshot: undefined })).toBeUndefined();
  expect(hash({})).toMatch(/^[0-9a-f]{64}$/);
  expect(hash({ snapshot: site({ verbose: true }) })).not.toBe(hash({}));
});

test.each([
  { what: 'the farm is not known', snapshot: undefined },
  { what: 'it is the same', snapshot: site({}) },
  { what: 'HTTP boot is off', snapshot: site({ http: { enabled: false, port: 80 } }) },
  { what: 'the farm has no such site', snapshot: aSnapshot({ sites: [] }) },
])('the HTTP port is no fault when $what', ({ snapshot }) => {
  expect(httpPortFault(snapshot, config)).toBeUndefined();
});

test('an HTTP port of the Farm that the server was not started with is a fault that names both', () => {
  expect(httpPortFault(site({ http: { enabled: true, port: 8080 } }), config)).toMatchObject({
    code: 'HttpPortDiffers',
    advisory: true,
    message: expect.stringMatching(/boot\.http\.port is 8080.*started with 8069/),
  });
});
