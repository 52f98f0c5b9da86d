import { expect, test } from '@jest/globals';
import { aDevice, aServer, aSnapshot, aVDisk } from '../../test/builders/farm.ts';
import { decideLogin, type LoginDecision, type LoginFacts } from './login.ts';
import type { Candidate } from './place.ts';

const token = {
  device: 'pc0001',
  mac: '52:54:00:00:00:01',
  site: 'default',
  vdisk: 'lab',
  version: 0,
  manifest: 'a'.repeat(64),
  expires: 0,
};
const candidate = (name: string, more: Partial<Candidate> = {}): Candidate => ({
  name,
  address: aServer({ name }).address,
  prefixLength: 24,
  alive: true,
  draining: false,
  devices: 0,
  booting: 0,
  powerRating: 1,
  maxDevices: 10,
  maxBooting: 5,
  holdsCopy: true,
  ...more,
});
const facts = (more: Partial<LoginFacts> = {}): LoginFacts => ({
  snapshot: aSnapshot(),
  self: 'node-a',
  candidates: [candidate('node-a'), candidate('node-b', { devices: 5 })],
  known: { device: aDevice(), removed: false },
  databaseReachable: true,
  replicaAgeMs: 0,
  ...more,
});
const away = { databaseReachable: false, replicaAgeMs: 60_000 };
const farm = aSnapshot().farm;

test.each<{
  what: string;
  given: LoginFacts;
  redirected?: boolean;
  renew?: boolean;
  site?: string;
  is: Partial<LoginDecision>;
}>([
  { what: 'is served here when here is best', given: facts(), is: { kind: 'serve' } },
  {
    what: 'is sent to the less busy server',
    given: facts({ candidates: [candidate('node-a', { devices: 5 }), candidate('node-b')] }),
    is: { kind: 'redirect', server: 'node-b' },
  },
  {
    what: 'that was sent here stays here',
    given: facts({ candidates: [candidate('node-a', { devices: 5 }), candidate('node-b')] }),
    redirected: true,
    is: { kind: 'serve' },
  },
  {
    what: 'that was sent here goes on when here has no copy',
    given: facts({ candidates: [candidate('node-a', { holdsCopy: false }), candidate('node-b')] }),
    redirected: true,
    is: { kind: 'redirect', server: 'node-b' },
  },
  { what: 'is served while the database is away', given: facts(away), is: { kind: 'serve' } },
  {
    what: 'is refused offline where the farm says so',
    given: facts({
      ...away,
      snapshot: aSnapshot({ farm: { ...farm, offline: { enabled: false, maxAgeSeconds: 100 } } }),
    }),
    is: { kind: 'refuse', code: 'Offline' },
  },
  {
    what: 'is refused when the replica is too old',
    given: facts({
      ...away,
      snapshot: aSnapshot({ farm: { ...farm, offline: { enabled: true, maxAgeSeconds: 59 } } }),
    }),
    is: { kind: 'refuse', code: 'Offline' },
  },
  {
    what: 'of a disabled device is refused',
    given: facts({ known: { device: aDevice({ enabled: false }), removed: false } }),
    is: { kind: 'refuse', code: 'UnknownDevice' },
  },
  {
    what: 'of another site is refused for good',
    given: facts(),
    site: 'lyon',
    is: { kind: 'refuse', code: 'TokenInvalid', retryAfterMs: 0 },
  },
  {
    what: 'for a disabled vDisk is refused',
    given: facts({ snapshot: aSnapshot({ vdisks: [aVDisk({ enabled: false })] }) }),
    is: { kind: 'refuse', code: 'NoServer' },
  },
  {
    what: 'of a device that was removed is refused',
    given: facts({ known: { removed: true } }),
    is: { kind: 'refuse', code: 'UnknownDevice' },
  },
  {
    what: 'to a suspended farm is refused',
    given: facts({ snapshot: aSnapshot({ farm: { ...farm, suspend: true } }) }),
    is: { kind: 'refuse', code: 'NoServer' },
  },
  {
    what: 'that renews stays here, whatever placement says',
    given: facts({ candidates: [candidate('node-a', { devices: 10, booting: 5 }), candidate('node-b')] }),
    renew: true,
    is: { kind: 'serve' },
  },
  {
    what: 'that renews is refused where a first one is: the farm is suspended',
    given: facts({ snapshot: aSnapshot({ farm: { ...farm, suspend: true } }) }),
    renew: true,
    is: { kind: 'refuse', code: 'NoServer', retryAfterMs: 10_000 },
  },
  {
    what: 'that renews is refused where a first one is: the device was removed',
    given: facts({ known: { removed: true } }),
    renew: true,
    is: { kind: 'refuse', code: 'UnknownDevice' },
  },
  {
    what: 'in a boot storm is told when to come back',
    given: facts({ candidates: [candidate('node-a', { booting: 5 })] }),
    is: { kind: 'refuse', code: 'Busy', retryAfterMs: 2_000 },
  },
])('a login $what', ({ given, redirected = false, renew = false, site = 'default', is }) => {
  expect(decideLogin({ token: { ...token, site }, address: '10.77.0.50', redirected, renew }, given)).toMatchObject(is);
});
