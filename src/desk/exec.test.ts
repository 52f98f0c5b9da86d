import { EventEmitter } from 'node:events';
import { expect, test } from '@jest/globals';
import { Refusal } from '../terminal/refusal.ts';
import { executed, type Streams, statusOf } from './exec.ts';
import type { Socket } from './forward.ts';

const OK = Buffer.from('{"status":"Success"}');
const tick = () => new Promise(setImmediate);

/** A socket that keeps what was sent. */
function aSocket() {
  const events = new EventEmitter();
  const sent: string[] = [];
  const state = { paused: false, closed: false };
  const socket: Socket = {
    send(data, done) {
      sent.push(`${data[0]}:${data.subarray(1).toString('latin1')}`);
      setImmediate(done);
    },
    pause: () => void Object.assign(state, { paused: true }),
    resume: () => void Object.assign(state, { paused: false }),
    close: () => void Object.assign(state, { closed: true }),
    terminate: () => void Object.assign(state, { closed: true }),
    on: (event: string, then: (error: Error) => void) => void events.on(event, then),
  };
  return { socket, sent, state, events };
}

function run(streams: Partial<Streams> = {}) {
  const came: string[] = [];
  const take = (name: string) => (bytes: Buffer) => void came.push(`${name}:${bytes}`);
  const execution = executed('pod lab/p', { out: take('out'), err: take('err'), ...streams });
  return { ...execution, came, ...aSocket() };
}

test('what goes in is ended, what comes out is taken in order, and its status is told behind that', async () => {
  async function* input() {
    yield Buffer.from('one');
    yield Buffer.from('two');
  }
  const { take, attach, socket, sent, ended, came, state } = run({ input: input() });
  take(1, Buffer.from('a')); // before anybody holds the socket
  attach(socket);
  take(2, Buffer.from('b'));
  take(1, Buffer.from('c'));
  while (sent.length < 3) await tick();
  expect(sent).toEqual(['0:one', '0:two', '255:\0']);
  take(3, OK);
  expect([await ended, came, state.closed]).toEqual([0, ['out:a', 'err:b', 'out:c'], true]);
});

test('nothing more is read while nobody takes what came', async () => {
  let taken: () => void = () => undefined;
  const out = () => new Promise<void>((done) => (taken = done));
  const { take, attach, socket, state, ended } = run({ out });
  attach(socket);
  take(1, Buffer.from('much'));
  await tick();
  expect(state.paused).toBe(true);
  taken();
  await tick();
  expect(state.paused).toBe(false);
  take(3, OK);
  expect(await ended).toBe(0);
});

test.each<{ what: string; goes: (from: ReturnType<typeof run>) => void; says: string; status: number }>([
  {
    what: 'a connection that ends without a status',
    goes: ({ events }) => events.emit('close'),
    says: 'broke off',
    status: 5,
  },
  { what: 'one that fails', goes: ({ events }) => events.emit('error', new Error('reset')), says: 'reset', status: 5 },
  {
    what: 'a container that dies, or cannot run it',
    goes: ({ take }) => take(3, Buffer.from('{"status":"Failure","reason":"InternalError","message":"no such file"}')),
    ...{ says: 'no such file', status: 5 },
  },
  {
    what: 'a status that says nothing',
    goes: ({ take }) => take(3, Buffer.from('null')),
    ...{ says: 'how it ended was not told: null', status: 5 },
  },
])('$what is a refusal', async ({ goes, says, status }) => {
  const execution = run();
  execution.attach(execution.socket);
  goes(execution);
  await expect(execution.ended).rejects.toMatchObject({ status, message: expect.stringContaining(says) });
});

test('what cannot be written ends it', async () => {
  const { take, attach, socket, ended, state } = run({ out: () => Promise.reject(new Error('ENOSPC')) });
  attach(socket);
  take(1, Buffer.from('a'));
  await expect(ended).rejects.toMatchObject({ status: 1, message: expect.stringContaining('ENOSPC') });
  expect(state.closed).toBe(true);
});

test('who takes may say better why it cannot be written', async () => {
  const { take, attach, socket, ended } = run({ out: () => Promise.reject(new Refusal('lab.raw: the disk is full')) });
  attach(socket);
  take(1, Buffer.from('a'));
  await expect(ended).rejects.toMatchObject({ message: 'lab.raw: the disk is full', status: 1 });
});

const exited = (code: string): string =>
  JSON.stringify({
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: 'command terminated',
    details: { causes: [{ reason: 'ExitCode', message: code }] },
  });

test.each<[string, unknown]>([
  ['{"status":"Success"}', 0],
  [exited('3'), 3],
  [exited(''), { message: 'command terminated', exit: 1 }],
  [exited('abc'), { message: 'command terminated', exit: 1 }],
  ['{"status":"Failure","message":"unable to upgrade"}', { message: 'unable to upgrade', exit: 1 }],
  ['{"status":"Failure","reason":"InternalError","message":"gone"}', { message: 'gone', exit: 5 }],
  ['', { message: 'how it ended was not told: nothing came', exit: 5 }],
  ['null', { message: 'how it ended was not told: null', exit: 5 }],
  ['{', { message: 'how it ended was not told: {', exit: 5 }],
])('a status %j is a number of the command, or why there is none', (text, status) => {
  expect(statusOf(text)).toEqual(status);
});
