import { expect, test } from '@jest/globals';
import type { ServerConfig } from '../control/config.ts';
import type { SessionWriter } from '../replica/sessions.ts';
import type { SessionSnapshot } from '../stream/server.ts';
import type { SessionEvent } from '../stream/shard.ts';
import { loadOf, SessionRows, usesOf } from './sessions.ts';

const NOW = 1_767_225_600_000;
const config = { name: 'node-a', powerRating: 2, limits: { maxDevices: 3, maxBooting: 2 } } as ServerConfig;
const node = { address: '10.77.0.11', prefixLength: 24, interface: 'eth0' };
let devices = 0;
const aSession = (more: Partial<SessionSnapshot> = {}) =>
  ({ device: `pc${devices++}`, role: 'serve', since: NOW, ...more }) as SessionSnapshot;

test.each([
  { what: 'nobody', sessions: [], load: { devices: 0, booting: 0, loadPercent: 0 } },
  { what: 'stand-bys', sessions: [aSession({ role: 'standby' })], load: { devices: 0, booting: 0, loadPercent: 0 } },
  {
    what: 'devices, of which one boots',
    sessions: [aSession(), aSession({ since: NOW - 60_000 })],
    load: { devices: 2, booting: 1, loadPercent: 67 },
  },
  {
    what: 'a device on 400 ports, which is one',
    sessions: Array.from({ length: 400 }, (_, n) => aSession({ device: 'pc', since: NOW - 60_000 + n })),
    load: { devices: 1, booting: 0, loadPercent: 33 },
  },
  {
    what: 'more than its limit',
    sessions: [aSession(), aSession(), aSession(), aSession()],
    load: { devices: 4, booting: 4, loadPercent: 100 },
  },
])('the load of $what', ({ sessions, load }) => {
  const copy = { manifest: 'ab'.repeat(32) } as never;
  expect(loadOf(config, node, false, sessions, [copy], NOW)).toEqual({
    ...{ name: 'node-a', draining: false, prefixLength: 24, powerRating: 2, maxDevices: 3, maxBooting: 2 },
    manifests: ['ab'.repeat(8)],
    ...load,
  });
});

test('a device uses its vDisk once, from however many ports, and not where it stands by', () => {
  const sessions = [
    aSession({ device: 'pc1', vdisk: 'lab' }),
    aSession({ device: 'pc1', vdisk: 'lab' }),
    aSession({ device: 'pc2', vdisk: 'lab' }),
    aSession({ device: 'pc3', vdisk: 'office' }),
    aSession({ device: 'pc4', vdisk: 'office', role: 'standby' }),
  ];
  expect(usesOf(sessions)).toEqual([
    { vdisk: 'lab', devices: 2 },
    { vdisk: 'office', devices: 1 },
  ]);
});

type Told = Pick<SessionEvent, 'type' | 'role' | 'at'> & { readonly session?: number };

test.each<{ what: string; events: readonly Told[]; written: readonly string[] }>([
  {
    what: 'attaches and leaves',
    events: [
      { type: 'attached', role: 'serve', at: 1 },
      { type: 'left', role: 'serve', at: 9 },
    ],
    written: ['write 1', 'end 1'],
  },
  {
    what: 'stands by and leaves',
    events: [
      { type: 'attached', role: 'standby', at: 1 },
      { type: 'left', role: 'standby', at: 9 },
    ],
    written: [],
  },
  {
    what: 'stood by, is served, stands by and falls silent',
    events: [
      { type: 'attached', role: 'standby', at: 1 },
      { type: 'role', role: 'serve', at: 2 },
      { type: 'role', role: 'standby', at: 3 },
      { type: 'silent', role: 'standby', at: 9 },
    ],
    written: ['write 2', 'end 2'],
  },
  {
    what: 'comes again from another address before its first session falls silent',
    events: [
      { type: 'attached', role: 'serve', at: 1 },
      { type: 'attached', role: 'serve', at: 2, session: 8 },
      { type: 'silent', role: 'serve', at: 9 },
    ],
    written: ['write 1', 'write 2', 'end 1'],
  },
])('of a device that $what, this server ends what it wrote and nothing newer', ({ events, written }) => {
  const seen: string[] = [];
  const writer = {
    write: async ({ device, server, epoch, since }) => {
      seen.push(device === 'pc0001' && server === 'node-a' && since === epoch ? `write ${epoch}` : 'wrong');
      return 'Database';
    },
    end: async (device, epoch) => {
      seen.push(device === 'pc0001' ? `end ${epoch}` : 'wrong');
      return 'Database';
    },
  } as SessionWriter;
  const rows = new SessionRows(writer, 'node-a');
  for (const event of events)
    rows.record({ session: 7, device: 'pc0001', vdisk: 'lab', version: 0, ...event } as SessionEvent);
  expect(seen).toEqual(written);
});
