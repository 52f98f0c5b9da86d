import { expect, test } from '@jest/globals';
import { aServerPlan, aStreamingServer, type Written } from '../../../test/builders/resources.ts';
import { parseConfig } from '../../control/config.ts';
import type { StreamingServerSpec } from '../../resources/kinds.ts';
import { type ServerPlan, serverConfig } from './objects.ts';

const plan = (spec: Written<StreamingServerSpec> = {}): ServerPlan =>
  aServerPlan({ pool: aStreamingServer({ spec }), httpPort: 8_080 });

test.each<{ what: string; spec: Written<StreamingServerSpec> }>([
  { what: 'the defaults', spec: {} },
  { what: 'the least', spec: { powerRating: 0.1, limits: { maxDevices: 1, maxBooting: 1 }, drain: { timeout: '0s' } } },
  { what: 'the most', spec: { powerRating: 1_000, ports: { stream: 65_535, control: 65_534, telemetry: 65_533 } } },
  { what: 'an interface', spec: { network: { interface: 'eth1' }, logLevel: 'debug' } },
  { what: 'networks', spec: { network: { cidrs: ['10.0.0.0/24'] } } },
  { what: 'a node of its own', spec: { nodes: [{ name: 'node-a', powerRating: 4 }] } },
])('a server reads what the operator writes of $what', ({ spec }) => {
  const config = serverConfig(plan(spec));
  expect(parseConfig(JSON.stringify(config))).toEqual({ ok: true, value: config });
});
