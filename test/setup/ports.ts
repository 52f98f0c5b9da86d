/**
 * Ports for what tests start. From below those that the kernel gives to clients (32,768 and up, net.ipv4.ip_local_port_range): a server that is started
 * again on its port finds it free, whatever connections others have opened meanwhile.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

const FIRST = 10_000;
const COUNT = 20_000;

/** Processes of tests begin at different places: none looks at a port that another has just chosen. */
let next = (process.pid * 1_009) % COUNT;

/** Free for TCP and UDP on all addresses; not one that this process was given before. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < COUNT; tried += 1) {
    const port = FIRST + next;
    next = (next + 1) % COUNT;
    if (await isFree(port)) return port;
  }
  throw new Error(`no port from ${FIRST} to ${FIRST + COUNT - 1} is free`);
}

export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort());
  return ports;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const socket = createSocket('udp4');
  try {
    await Promise.all([once(server.listen(port), 'listening'), once(socket.bind(port), 'listening')]);
    return true;
  } catch {
    return false;
  } finally {
    await Promise.all([
      new Promise<void>((done) => server.close(() => done())),
      new Promise<void>((done) => socket.close(done)),
    ]);
  }
}
