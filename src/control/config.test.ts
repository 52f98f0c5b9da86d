import { expect, test } from '@jest/globals';
import { parseConfig, ServerConfig } from './config.ts';

/** What each release writes, and so what each may ask for. A field that is not here has a default, or may be absent. */
const WRITTEN = {
  name: 'node-a',
  farm: 'farm',
  lineage: '00112233aabbccdd',
  site: 'default',
  pool: 'main',
  powerRating: 1,
  limits: { maxDevices: 100, maxBooting: 50 },
  drainTimeoutSeconds: 20,
  storeRoots: ['/srv'],
  stateDirectory: '/var/lib/bootfarm/lab/main.00112233aabbccdd',
  ports: { stream: 6910, http: 8080, control: 6911, telemetry: 9464, dhcp: 67, pxe: 4011, tftp: 69 },
  replicaSocket: '/run/bootfarm/redis.sock',
  databaseUriFile: '/etc/bootfarm/server/database-uri',
  keysDirectory: '/etc/bootfarm/keys',
  tlsDirectory: '/etc/bootfarm/server',
};
const parsed = (value: object) => parseConfig(JSON.stringify(value));

test('what another release writes is read: what lacks has a default, what is not known is passed over', () => {
  expect(parsed(WRITTEN)).toEqual({ ok: true, value: { ...WRITTEN, logLevel: 'info' } });
  const later = { ...WRITTEN, logLevel: 'debug', of: 'a later release', limits: { ...WRITTEN.limits, of: 'it' } };
  expect(parsed(later)).toEqual({ ok: true, value: later });
});

test('nothing is asked for that an earlier release does not write', () => {
  const asked = Object.entries(ServerConfig.properties).flatMap(([name, field]) =>
    ServerConfig.required.some((required) => required === name) && !('default' in field) ? [name] : [],
  );
  expect(asked.sort()).toEqual(Object.keys(WRITTEN).sort());
  expect(Object.keys(ServerConfig.properties.ports.properties).sort()).toEqual(Object.keys(WRITTEN.ports).sort());
  expect(Object.keys(ServerConfig.properties.limits.properties).sort()).toEqual(Object.keys(WRITTEN.limits).sort());
});

test.each([
  { what: 'that is no JSON', text: '{', says: 'JSON' },
  { what: 'of nothing', text: 'null', says: '/ must be object' },
  { what: 'without its fields', text: '{"name":"node-a"}', says: 'must have required properties' },
  {
    what: 'with a port of nowhere',
    text: JSON.stringify({ ...WRITTEN, ports: { ...WRITTEN.ports, http: 65_536 } }),
    says: '/ports/http must be <= 65535',
  },
  {
    what: 'with a lineage that would be a path',
    text: JSON.stringify({ ...WRITTEN, lineage: '../../../etc/pki' }),
    says: '/lineage must match',
  },
])('a configuration $what is named', ({ text, says }) => {
  expect(parseConfig(text)).toMatchObject({
    ok: false,
    error: { code: 'ConfigInvalid', message: expect.stringContaining(says) },
  });
});
