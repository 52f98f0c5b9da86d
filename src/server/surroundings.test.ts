import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { someNumbers } from '../../test/builders/metrics.ts';
import { makeAuthority } from '../control/certificates.ts';
import { type Surroundings, surroundingsMetrics } from './surroundings.ts';

const NOW = Date.UTC(2026, 10, 30);
const DAY = 86_400;
const tlsDirectory = mkdtempSync(join(tmpdir(), 'bootfarm-surroundings-'));
beforeAll(async () => writeFileSync(join(tlsDirectory, 'ca.crt'), (await makeAuthority('farm', NOW)).cert));
afterAll(() => rmSync(tlsDirectory, { recursive: true }));

async function told(around: Partial<Surroundings>): Promise<ReadonlyMap<string, number>> {
  const registry = new Registry();
  surroundingsMetrics(registry, someNumbers(around), () => NOW);
  const lines = (await registry.metrics()).matchAll(/^(bootfarm_\S+) (\S+)$/gm);
  return new Map([...lines].map(([, name = '', value]) => [name, Number(value)]));
}

test('faults are counted by codes that are known, and all else is Other', async () => {
  const faults = ['ClockSkew', 'BadCopy', 'BadCopy', 'OfNextYear'].map((code) => ({ code, message: '' }));
  const found = await told({ faults: () => faults });
  expect([...found].filter(([name, value]) => name.includes('_faults') && value > 0)).toEqual([
    ['bootfarm_server_faults{code="BadCopy"}', 2],
    ['bootfarm_server_faults{code="ClockSkew"}', 1],
    ['bootfarm_server_faults{code="Other"}', 1],
  ]);
});

test('ages are seconds, and what nobody says is absent', async () => {
  const away = await told({ databaseAwaySince: () => NOW - 90_000, replicaCheckedAt: async () => NOW - 2_500 });
  expect(away.get('bootfarm_server_database_away_seconds')).toBe(90);
  expect(away.get('bootfarm_server_replica_age_seconds')).toBe(2.5);
  const well = await told({});
  expect(well.get('bootfarm_server_database_away_seconds')).toBe(0);
  expect(well.has('bootfarm_server_replica_age_seconds')).toBe(false);
});

test('a store is in one state, and one that is away has no size', async () => {
  const store = (name: string, state: 'Accessible' | 'Missing', totalBytes: number) => ({
    ...{ name, state, totalBytes },
    freeBytes: totalBytes / 2,
  });
  const found = await told({ stores: () => [store('images', 'Accessible', 10), store('gone', 'Missing', 0)] });
  expect([...found].filter(([name]) => name.startsWith('bootfarm_store_'))).toEqual([
    ['bootfarm_store_state{store="images",state="Accessible"}', 1],
    ['bootfarm_store_state{store="images",state="ReadOnly"}', 0],
    ['bootfarm_store_state{store="images",state="Missing"}', 0],
    ['bootfarm_store_state{store="images",state="Unreachable"}', 0],
    ['bootfarm_store_state{store="gone",state="Accessible"}', 0],
    ['bootfarm_store_state{store="gone",state="ReadOnly"}', 0],
    ['bootfarm_store_state{store="gone",state="Missing"}', 1],
    ['bootfarm_store_state{store="gone",state="Unreachable"}', 0],
    ['bootfarm_store_free_bytes{store="images"}', 5],
    ['bootfarm_store_size_bytes{store="images"}', 10],
  ]);
});

test('a certificate is told by its end, and one that cannot be read by 0', async () => {
  const found = await told({ tlsDirectory });
  expect(found.get('bootfarm_certificate_expiry_timestamp_seconds{certificate="ca"}')).toBe(NOW / 1_000 + 3_650 * DAY);
  expect(found.get('bootfarm_certificate_expiry_timestamp_seconds{certificate="server"}')).toBe(0);
});
