import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { chooseAddress, readConfig } from './config.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('the address that serves', () => {
  const ipv4 = (cidr: string) => ({
    address: cidr.split('/')[0] ?? '',
    netmask: '',
    family: 'IPv4' as const,
    mac: '',
    internal: false,
    cidr,
  });
  const interfaces = { lo: [ipv4('127.0.0.1/8')], eth0: [ipv4('10.77.0.11/24')], eth1: [ipv4('192.168.7.2/16')] };

  test.each([
    {
      what: 'the node’s own',
      config: {},
      node: '10.77.0.11',
      is: { address: '10.77.0.11', prefixLength: 24, interface: 'eth0' },
    },
    {
      what: 'that of an interface',
      config: { interface: 'eth1' },
      node: '10.77.0.11',
      is: { address: '192.168.7.2', prefixLength: 16 },
    },
    { what: 'one of a network', config: { cidrs: ['192.168.0.0/16'] }, node: '10.77.0.11', is: { interface: 'eth1' } },
  ])('is $what', ({ config, node, is }) => {
    expect(chooseAddress(config, node, interfaces)).toMatchObject({ ok: true, value: is });
  });

  test.each([
    { config: { interface: 'eth9' }, node: undefined, says: 'interface eth9' },
    { config: { cidrs: ['10.9.0.0/16'] }, node: undefined, says: '10.77.0.11 on eth0' },
    { config: {}, node: '10.9.9.9', says: '10.9.9.9' },
    { config: {}, node: undefined, says: 'set network of the StreamingServer' },
  ])('is missing: $says', ({ config, node, says }) => {
    expect(chooseAddress(config, node, interfaces)).toMatchObject({
      ok: false,
      error: { code: 'NoAddress', message: expect.stringContaining(says) },
    });
  });
});

test.each([
  { what: 'that is not there', text: undefined, says: 'ENOENT' },
  { what: 'that cannot be read', text: '{"name":"node-a"}', says: 'server.json: / must have required properties' },
])('a configuration $what is named', ({ text, says }) => {
  const path = join(folder, 'server.json');
  rmSync(path, { force: true });
  if (text !== undefined) writeFileSync(path, text);
  expect(readConfig(path)).toMatchObject({
    ok: false,
    error: { code: 'ConfigInvalid', message: expect.stringContaining(says) },
  });
});
