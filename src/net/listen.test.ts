import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from '@jest/globals';
import { heldIn } from './holder.ts';
import { listen, listenFault, listenUdp, type Place } from './listen.ts';

const at = (protocol: Place['protocol'], port: number, address = '127.0.0.1'): Place => ({
  ...{ protocol, address, port },
  instead: 'choose another',
});

test.each([
  ['EADDRINUSE', 'PortTaken', /is taken by .*: stop it, or choose another; it is tried again by itself$/],
  ['EADDRNOTAVAIL', 'AddressNotAvailable', /no such address or interface, see network of the StreamingServer/],
  ['ENODEV', 'AddressNotAvailable', /ENODEV/],
  ['EACCES', 'NoPermission', /NET_BIND_SERVICE/],
  ['EPERM', 'NoPermission', /EPERM/],
  ['EMFILE', 'ListenFailed', /cannot be opened: EMFILE$/],
])('%s is %s', async (errno, code, says) => {
  const fault = await listenFault({ ...at('UDP', 67), device: 'eth7' }, errno);
  expect(fault).toEqual({ code, message: expect.stringMatching(says) });
  expect(fault.message).toMatch(/^UDP port 67 of 127.0.0.1 on eth7 /);
});

test('whose port it is', async () => {
  const udp = createSocket('udp4').bind(0, '127.0.0.1');
  const tcp = createServer().listen(0);
  await Promise.all([once(udp, 'listening'), once(tcp, 'listening')]);
  const ours = `is taken by node (process ${process.pid}): stop it`;
  const address = tcp.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const second = createServer();
  const begin = async (): Promise<void> => {
    second.listen(port, '127.0.0.1');
    await once(second, 'listening');
  };
  for (const refused of [
    await listenUdp(createSocket('udp4'), at('UDP', udp.address().port)),
    await listenUdp(createSocket('udp4'), at('UDP', udp.address().port, '0.0.0.0')),
    await listen(at('TCP', port), begin),
  ])
    expect(refused).toMatchObject({ ok: false, error: { code: 'PortTaken', message: expect.stringContaining(ours) } });
  udp.close();
  tcp.close();
});

test('what the kernel says of an address that is not here, and of a port that is free', async () => {
  const refused = await listenUdp(createSocket('udp4'), at('UDP', 0, '203.0.113.7'));
  expect(refused).toMatchObject({ ok: false, error: { code: 'AddressNotAvailable' } });
  const opened = await listenUdp(createSocket('udp4'), at('UDP', 0));
  expect(opened.ok && opened.value.address().port > 0).toBe(true);
  if (opened.ok) opened.value.close();
});

const TABLE = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  958: 0B04580A:0045 00000000:0000 07 00000000:00000000 00:00000000 00000000   104        0 7001 2 000000003aad1f35 0
  959: 00000000:0FAB 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 7002 2 000000003aad1f35 0
  960: 0B04580A:0FAC 00000000:0000 06 00000000:00000000 00:00000000 00000000     0        0 0 2 000000003aad1f35 0
  961: 00000000000000000000000000000000:0FAD 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     7        0 7003 2 0 0
`;

test.each([
  ['the address itself', '10.88.4.11', 69, '104'],
  ['another address', '10.88.4.12', 69, undefined],
  ['every address is wanted', '0.0.0.0', 69, '104'],
  ['a socket of every address', '10.88.4.11', 4011, '0'],
  ['one of both families', '10.88.4.11', 4013, '7'],
  ['a connection that is over', '10.88.4.11', 4012, undefined],
  ['another port', '10.88.4.11', 70, undefined],
])('the table of sockets: %s', (_, address, port, user) => {
  expect(heldIn(TABLE, { address, port })?.user).toBe(user);
});
