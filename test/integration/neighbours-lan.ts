/**
 * Run by neighbours.test.ts in a network namespace of its own: a neighbour (in a namespace too), to whom we have never sent a word, sends one packet.
 * Prints what is known of its card when the packet is here, and what of ourselves.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { Neighbours } from '../../src/net/neighbours.ts';

const [OURS, THEIRS, MAC] = ['10.88.0.11', '10.88.0.21', '52:54:00:00:00:21'];
const ip = (line: string): void => void execFileSync('ip', line.split(' '));

const asleep = spawn('unshare', ['--net', '--kill-child', 'sh', '-c', 'echo ready; exec sleep 60'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
await once(asleep.stdout, 'data');
const within = (command: string): void =>
  void execFileSync('nsenter', [`--net=/proc/${asleep.pid}/ns/net`, 'bash', '-c', command]);
try {
  ip('link set lo up');
  ip('link add boot type veth peer name pc');
  ip(`link set pc netns ${asleep.pid}`);
  ip(`addr add ${OURS}/24 dev boot`);
  ip('link set boot up');
  within(`ip link set pc address ${MAC}; ip addr add ${THEIRS}/24 dev pc; ip link set pc up`);
  const socket = createSocket('udp4').bind(69, OURS);
  await once(socket, 'listening');
  const asked = once(socket, 'message', { signal: AbortSignal.timeout(60_000) });
  within(`echo hello > /dev/udp/${OURS}/69`);
  const [, source] = await asked;
  const neighbours = new Neighbours();
  const [theirs, ours] = [await neighbours.macOf(source.address), await neighbours.macOf(OURS)];
  console.log(JSON.stringify({ theirs, ours: ours ?? 'unknown' }));
} finally {
  asleep.kill('SIGKILL');
}
process.exit(0);
