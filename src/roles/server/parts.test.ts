/** Keys, configuration and addresses: what a server reads from its node. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { chooseAddress, readConfig } from './config.ts';
import { readKeys } from './keys.ts';

const folder = mkdtempSync(join(tmpdir(), 'bootfarm-server-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('keys', () => {
  const files = (given: Record<string, string | Buffer>): string => {
    const own = mkdtempSync(join(folder, 'keys-'));
    for (const [name, data] of Object.entries(given)) writeFileSync(join(own, name), data);
    return own;
  };
  const key = Buffer.alloc(32, 1);

  test('the current key seals, the others open', () => {
    const read = readKeys(files({ current: '2\n', 'key-1': key, 'key-2': key }));
    expect(read).toMatchObject({ ok: true, value: { current: 2 } });
    expect(read.ok && [...read.value.keys.keys()]).toEqual([1, 2]);
  });

  test.each([
    { what: 'no folder', given: undefined, says: 'cannot read' },
    {
      what: 'a key of another length',
      given: { current: '1', 'key-1': key.subarray(1) },
      says: 'has 31 bytes, not 32',
    },
    { what: 'no current', given: { 'key-1': key }, says: 'current' },
    { what: 'a current that is not there', given: { current: '7', 'key-1': key }, says: 'no key-7' },
  ])('$what is named', ({ given, says }) => {
    const read = readKeys(given ? files(given) : join(folder, 'nowhere'));
    expect(read).toMatchObject({ ok: false, error: { code: 'KeysInvalid', message: expect.stringContaining(says) } });
  });
});

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
  { what: 'that is no JSON', text: '{', says: 'JSON' },
  { what: 'without its fields', text: '{"name":"node-a"}', says: 'must have required properties' },
])('a configuration $what is named', ({ text, says }) => {
  const path = join(folder, 'server.json');
  rmSync(path, { force: true });
  if (text !== undefined) writeFileSync(path, text);
  expect(readConfig(path)).toMatchObject({
    ok: false,
    error: { code: 'ConfigInvalid', message: expect.stringContaining(says) },
  });
});
