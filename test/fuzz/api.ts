/**
 * schemathesis over the document that the API serves, against the API itself on a real API server, PostgreSQL and Redis: no answer is a 5xx, and none is
 * another than the document states. `make api-fuzz`; `SCHEMATHESIS` is its command.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { api, ca, hear, LAB, startFarm, stopFarm, who } from '../integration/api-farm.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    examples: { type: 'string', default: '20' },
    only: { type: 'string' },
  },
});
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
];
/** What most names would miss. */
const PARAMETERS = {
  namespace: LAB,
  farm: 'farm',
  vdisk: 'lab',
  store: 'local',
  server: 'node-a',
  pool: 'main',
  device: 'pc0001',
};

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-api-fuzz-'));
try {
  await startFarm();
  hear('52:54:00:00:09:01', false, { step: 'offer' });
  writeFileSync(join(folder, 'ca.crt'), ca);
  const lines = Object.entries(PARAMETERS).map(([name, is]) => `"path.${name}" = "${is}"`);
  writeFileSync(join(folder, 'schemathesis.toml'), `[parameters]\n${lines.join('\n')}\n`);
  const url = `https://localhost:${api.port}`;
  const began = performance.now();
  const child = spawn(
    process.env['SCHEMATHESIS'] ?? 'schemathesis',
    [
      ...['--config-file', join(folder, 'schemathesis.toml'), 'run', `${url}/api/v1/openapi.json`, '--url', url],
      ...['--checks', CHECKS.join(), '--tls-verify', join(folder, 'ca.crt'), '--no-color'],
      ...['--header', `Authorization: Bearer ${who['administrator']?.token ?? ''}`],
      ...['--max-examples', values.examples, '--seed', values.seed, '--phases', 'examples,coverage,fuzzing'],
      // It never ends.
      ...['--exclude-path-regex', '/events$', '--continue-on-failure', '--request-timeout', '20'],
      ...(values.only === undefined ? [] : ['--include-path-regex', values.only]),
    ],
    { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const [code] = await once(child, 'exit');
  process.stdout.write(`api-fuzz: ${((performance.now() - began) / 1_000).toFixed(0)} s, seed ${values.seed}\n`);
  process.exitCode = code === 0 ? 0 : 1;
} finally {
  await stopFarm();
  rmSync(folder, { recursive: true });
}
