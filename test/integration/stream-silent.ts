/**
 * Run by stream.test.ts in the namespace of the devices. Two of them have attached, read on, and do not answer ARP any more; a third reads as always.
 * Prints how many reads the third one had in each second.
 */
import { execFileSync } from 'node:child_process';
import { StreamClient } from '../contract/stream-client.ts';

const SECONDS = 6;
const READS_A_TURN = 20;
const TURN_MS = 100;

const [host = '', port = '', token = '', honestAddress = '', silent = '', namespace = '', device = ''] =
  process.argv.slice(2);
const at = { host, port: Number(port) };

async function attached(address: string) {
  const client = await StreamClient.open(address);
  return client.attach(at, await client.login(at, Buffer.from(token, 'base64url')));
}

const honest = await attached(honestAddress);
const others = await Promise.all(silent.split(',').map(attached));
for (const address of silent.split(','))
  execFileSync('ip', ['-n', namespace, 'neigh', 'del', address, 'dev', device], { stdio: 'ignore' });

const flood = setInterval(() => {
  for (const session of others)
    for (let n = 0; n < READS_A_TURN; n++)
      session.send(session.packet({ type: 'READ', offset: n * 65_536, length: 65_536, hedged: false }));
}, TURN_MS);
const reads = new Array<number>(SECONDS).fill(0);
const start = performance.now();
for (let second = 0; second < SECONDS; second = Math.floor((performance.now() - start) / 1000)) {
  await honest.read(0, 4_096);
  reads[second] = (reads[second] ?? 0) + 1;
}
clearInterval(flood);
console.log(JSON.stringify(reads));
process.exit(0);
