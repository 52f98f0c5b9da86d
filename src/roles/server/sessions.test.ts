import { expect, test } from '@jest/globals';
import type { SessionWriter } from '../../replica/sessions.ts';
import type { SessionSnapshot } from '../../stream/server.ts';
import type { SessionEvent } from '../../stream/session.ts';
import type { ServerConfig } from './config.ts';
import { loadOf, recordSession } from './sessions.ts';

const NOW = 1_767_225_600_000;
const config = { name: 'node-a', powerRating: 2, limits: { maxDevices: 3, maxBooting: 2 } } as ServerConfig;
const node = { address: '10.77.0.11', prefixLength: 24, interface: 'eth0' };
const aSession = (more: Partial<SessionSnapshot> = {}) => ({ role: 'serve', since: NOW, ...more }) as SessionSnapshot;

test.each([
  { what: 'nobody', sessions: [], load: { devices: 0, booting: 0, loadPercent: 0 } },
  { what: 'stand-bys', sessions: [aSession({ role: 'standby' })], load: { devices: 0, booting: 0, loadPercent: 0 } },
  {
    what: 'devices, of which one boots',
    sessions: [aSession(), aSession({ since: NOW - 60_000 })],
    load: { devices: 2, booting: 1, loadPercent: 67 },
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

test.each([
  { type: 'attached', role: 'serve', row: 'written' },
  { type: 'role', role: 'serve', row: 'written' },
  { type: 'attached', role: 'standby', row: 'as it was' },
  { type: 'role', role: 'standby', row: 'ended' },
  { type: 'left', role: 'serve', row: 'ended' },
  { type: 'silent', role: 'serve', row: 'ended' },
] as const)('$type as $role: the row is $row', ({ type, role, row }) => {
  let seen = 'as it was';
  const writer = {
    write: async (session) => {
      seen = session.server === 'node-a' && session.epoch === NOW ? 'written' : 'wrong';
      return 'Database';
    },
    end: async (device, epoch) => {
      seen = device === 'pc0001' && epoch === NOW ? 'ended' : 'wrong';
      return 'Database';
    },
  } as SessionWriter;
  recordSession(writer, 'node-a', { type, role, device: 'pc0001', vdisk: 'lab', version: 0, at: NOW } as SessionEvent);
  expect(seen).toBe(row);
});
