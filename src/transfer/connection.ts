/**
 * A connection to a peer: HTTP/1.1 over TLS, one question at a time, the answer laid where it belongs as it comes. Of a client that makes a Buffer of each 16 KiB, V8
 * collects garbage for a third of the time; here all are read into one (`onread`). It knows no more of HTTP than `routes.ts` answers: a status, and a length.
 */
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { errorMessage } from '../kit/errors.ts';

export interface Answered {
  readonly status: number;
  readonly body: Uint8Array;
}

/** Where a body of this length goes; undefined: it is not wanted, and the connection ends. */
export type Place = (status: number, length: number) => Uint8Array | undefined;

const READ_BYTES = 64 << 10;
const MAX_HEAD_BYTES = 8 << 10;
const HEAD_END = '\r\n\r\n';

interface Question {
  readonly place: Place;
  readonly resolve: (answer: Answered) => void;
  readonly reject: (error: Error) => void;
  head: Buffer;
  status: number;
  body: Uint8Array | undefined;
  filled: number;
}

export class Connection {
  readonly #socket: TLSSocket;
  readonly #host: string;
  #question: Question | undefined;

  /** Nothing for `timeoutMs` ends it, also while it connects. */
  constructor({ host, port, ...tls }: ConnectionOptions & { host: string; port: number }, timeoutMs: number) {
    this.#host = `${host}:${port}`;
    const onread = {
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback: (length: number, bytes: Uint8Array): boolean => {
        this.#read(Buffer.from(bytes.buffer, bytes.byteOffset, length));
        return true;
      },
    };
    this.#socket = connect({ ...tls, host, port, onread } as ConnectionOptions);
    this.#socket.setNoDelay();
    this.#socket.setTimeout(timeoutMs, () => this.#socket.destroy(new Error(`nothing came for ${timeoutMs} ms`)));
    let why: Error | undefined;
    this.#socket.on('error', (error) => {
      why = error;
    });
    this.#socket.once('close', () => this.#question?.reject(why ?? new Error('the connection was closed')));
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  /** One at a time. Rejects with why there is no answer; the connection has ended then. */
  async ask(path: string, place: Place, signal?: AbortSignal): Promise<Answered> {
    const { promise, resolve, reject } = Promise.withResolvers<Answered>();
    this.#question = { place, resolve, reject, head: Buffer.alloc(0), status: 0, body: undefined, filled: 0 };
    const abort = () => this.#socket.destroy(new Error('it is not needed any more'));
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort);
    if (this.#socket.destroyed) reject(new Error('the connection was closed'));
    else this.#socket.write(`GET ${path} HTTP/1.1\r\nhost: ${this.#host}\r\n\r\n`);
    try {
      return await promise;
    } catch (thrown) {
      this.close();
      throw thrown;
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#question = undefined;
    }
  }

  /** Idempotent. */
  close(): void {
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    const question = this.#question;
    try {
      if (!question) throw new Error('it spoke unasked');
      const rest = question.body ? bytes : this.#readHead(question, bytes);
      const { body } = question;
      if (!rest || !body) return;
      if (rest.length > body.length - question.filled) throw new Error('it sent more than it had said');
      body.set(rest, question.filled);
      question.filled += rest.length;
      if (question.filled === body.length) question.resolve({ status: question.status, body });
    } catch (thrown) {
      this.#socket.destroy(new Error(errorMessage(thrown)));
    }
  }

  /** What of the body came with it; undefined: it is not whole yet. */
  #readHead(question: Question, bytes: Buffer): Buffer | undefined {
    const head = Buffer.concat([question.head, bytes]);
    const end = head.indexOf(HEAD_END);
    if (end < 0 && head.length <= MAX_HEAD_BYTES) {
      question.head = head;
      return undefined;
    }
    const text = head.toString('latin1', 0, Math.max(0, end));
    const status = /^HTTP\/1\.1 (\d{3}) /.exec(text);
    const length = /\r\ncontent-length: *(\d{1,15})(?:\r\n|$)/i.exec(text);
    if (!status || !length) throw new Error('it answered without a status and a length');
    question.status = Number(status[1]);
    question.body = question.place(question.status, Number(length[1]));
    if (!question.body) throw new Error(`it answered ${status[1]} with ${length[1]} bytes`);
    return head.subarray(end + HEAD_END.length);
  }
}
