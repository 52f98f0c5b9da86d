/**
 * A command in a container through a WebSocket of `exec` (subprotocol v5.channel.k8s.io): the first byte of a message is its channel, 0 what goes in, 1 what comes out, 2 what is said beside it,
 * 3 how it ended; 255 and a channel end that one. Each end is held back by the other: what comes is not read while nobody takes what came.
 */
import { Refusal } from '../terminal/refusal.ts';
import { EXIT } from './exit.ts';
import type { Socket } from './forward.ts';

export interface Streams {
  /** Absent: nothing goes in. */
  readonly input?: AsyncIterable<Uint8Array> | undefined;
  /** The next comes when it was taken. */
  readonly out: (bytes: Buffer) => Promise<void> | void;
  readonly err: (bytes: Buffer) => Promise<void> | void;
}

export interface Execution {
  /** The status of the command. A refusal: it was not run to its end. */
  readonly ended: Promise<number>;
  attach(socket: Socket): void;
  /** A message, without its first byte. */
  take(channel: number, data: Buffer): void;
}

const [INPUT, OUTPUT, ERROR, STATUS, END] = [0, 1, 2, 3, 255];

/** `to`: for messages. What comes before the socket is attached is kept. */
export function executed(to: string, { input, out, err }: Streams): Execution {
  const { promise: ended, resolve, reject } = Promise.withResolvers<number>();
  ended.catch(() => undefined); // it is waited for once the socket is open
  let socket: Socket | undefined;
  let taken = Promise.resolve();
  let waiting = 0;
  let isOver = false;
  const end = (refusal: Refusal): void => {
    isOver = true;
    reject(refusal);
    socket?.terminate();
  };
  const fail = (message: string, status: number): void => end(new Refusal(`${to}: ${message}`, status));
  /** Who gives or takes may say it better. */
  const failBy = (thrown: Error, message: string): void =>
    thrown instanceof Refusal ? end(thrown) : fail(message, EXIT.refused);
  const give = (bytes: Buffer, taker: Streams['out']): void => {
    waiting++;
    socket?.pause();
    taken = taken
      .then(() => taker(bytes))
      .then(
        () => {
          if (--waiting === 0) socket?.resume();
        },
        (thrown: Error) => failBy(thrown, `what it gave cannot be written: ${thrown.message}`),
      );
  };
  return {
    ended,
    attach(opened) {
      socket = opened;
      opened.on('error', (error) => fail(error.message, EXIT.noAnswer));
      // All that came is taken first.
      opened.on('close', () => void taken.then(() => !isOver && fail('the connection broke off', EXIT.noAnswer)));
      void put(opened, input, () => isOver).catch((thrown: Error) => failBy(thrown, thrown.message));
    },
    take(channel, data) {
      if (isOver || data.length === 0) return;
      if (channel === OUTPUT) give(data, out);
      if (channel === ERROR) give(data, err);
      if (channel !== STATUS) return;
      const status = statusOf(data.toString('utf8'));
      void taken.then(() => {
        if (typeof status !== 'number') return fail(status.message, status.exit);
        isOver = true;
        resolve(status);
        socket?.close();
      });
    },
  };
}

async function put(socket: Socket, input: Streams['input'], isOver: () => boolean): Promise<void> {
  const send = (channel: number, bytes: Uint8Array): Promise<void> =>
    new Promise((done) => socket.send(Buffer.concat([Buffer.of(channel), bytes]), () => done())); // a fault is told by the socket
  for await (const bytes of input ?? []) {
    if (isOver()) return;
    await send(INPUT, bytes);
  }
  if (!isOver()) await send(END, Buffer.of(INPUT));
}

interface Status {
  readonly status?: string;
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly message?: string }[] };
}

/** Why no status of the command is known, and how this one ends. */
interface NotRun {
  readonly message: string;
  readonly exit: number;
}

/** Kubernetes `metav1.Status`. `InternalError`: it was not the command that failed, but what runs it, as when its container dies. Pure. */
export function statusOf(text: string): number | NotRun {
  const { status, reason, message = 'it was not run', details } = parsed(text);
  if (status === 'Success') return 0;
  const code = details?.causes?.find((cause) => cause.reason === 'ExitCode')?.message ?? '';
  if (reason === 'NonZeroExitCode' && /^\d{1,3}$/.test(code)) return Number(code);
  return { message, exit: reason === 'InternalError' || status === undefined ? EXIT.noAnswer : EXIT.refused };
}

function parsed(text: string): Status {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch {} // said below
  return { message: `how it ended was not told: ${text.slice(0, MOST_SHOWN) || 'nothing came'}` };
}
const MOST_SHOWN = 200;
