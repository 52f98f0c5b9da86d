/** Run by guard.test.ts: two UDP protocols under listeners, of which one is made to throw. Prints one JSON object. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { ok } from '../../src/kit/result.ts';
import { guardProcess } from '../../src/server/guard.ts';
import { Listener } from '../../src/server/listener.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { until } from '../setup/time.ts';

const ADDRESS = '127.0.0.1';
const [where = ''] = process.argv.slice(2);
guardProcess(silentLogger);

/** Answers every packet with itself, but throws at one that says where. */
function protocol(name: string) {
  return new Listener(
    name,
    async () => {
      const socket = createSocket('udp4').bind(0, ADDRESS);
      await once(socket, 'listening');
      const boom = (): never => {
        throw new Error(`from the ${where}`);
      };
      socket.on('message', (bytes, source) => {
        const said = bytes.toString();
        if (said === 'handler') boom();
        else if (said === 'timer') setTimeout(boom, 1);
        else if (said === 'promise') void Promise.resolve().then(boom);
        else socket.send(bytes, source.port, source.address);
      });
      return ok({ socket, close: () => void socket.close() });
    },
    silentLogger,
  );
}

const [one, other] = [protocol('one'), protocol('other')];
await Promise.all([one.want(true), other.want(true)]);
if (where === 'nobody') setTimeout(() => Promise.reject(new Error('of nobody')), 1);
await say(one, where);
await until('the fault is told', () => one.fault !== undefined);
const { fault } = one;
const otherAnswers = await answers(other);
await until('it is back', () => one.value !== undefined);
console.log(
  JSON.stringify({ fault, otherAnswers, startedAgain: one.fault === undefined, answersAgain: await answers(one) }),
);
process.exit(0);

async function say({ value }: ReturnType<typeof protocol>, text: string) {
  const client = createSocket('udp4');
  client.send(text, value?.socket.address().port ?? 0, ADDRESS);
  return client;
}

async function answers(listener: ReturnType<typeof protocol>): Promise<boolean> {
  const client = await say(listener, 'hello');
  const [bytes] = await once(client, 'message', { signal: AbortSignal.timeout(60_000) });
  return String(bytes) === 'hello';
}
