/** The edge of one transfer: its timer and file. What it sends is decided in `session.ts`. */
import { never } from '../kit/result.ts';
import { READ_AHEAD_BYTES } from './limits.ts';
import { decode, ERRORS, type ErrorName, encode, type Packet, type TftpOption } from './packet.ts';
import {
  type Effect,
  type Event,
  lastBlock,
  type Outcome,
  type State,
  type Step,
  start,
  step,
  type Way,
} from './session.ts';

/** What a file is to TFTP: a name in a table of the farm's boot files, never a path. Of one object, the netascii is made once. */
export interface TftpFile {
  readonly sizeBytes: number;
  /** `length` bytes from `offset`, both within the file. */
  read(offset: number, length: number): Promise<Uint8Array> | Uint8Array;
  /** Called once, when the transfer has ended. */
  close?(): void;
}

export type Ending = Outcome | 'ReadFailed' | 'Closed' | 'GaveWay';

/** Bytes of the file that were read at once. */
interface Ahead {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

const NOTHING: Ahead = { offset: 0, bytes: new Uint8Array(0) };

/** What a transfer is given. */
export interface Wiring {
  readonly file: TftpFile;
  /** To its client. */
  readonly way: Way;
  readonly send: (bytes: Uint8Array) => void;
  /** Called once, when the client is known to be there. */
  readonly onHeard: () => void;
  /** Milliseconds, never going back. */
  readonly now: () => number;
}

export class Transfer {
  readonly #wiring: Wiring;
  readonly #ended = Promise.withResolvers<Ending>();
  #ahead: Ahead = NOTHING;
  #state: State | undefined;
  #timer: NodeJS.Timeout | undefined;
  #over = false;

  constructor(wiring: Wiring) {
    this.#wiring = wiring;
  }

  /** Resolves when it has ended. */
  run(options: readonly TftpOption[]): Promise<Ending> {
    const { file, now, way } = this.#wiring;
    this.#obey(start(options, file.sizeBytes, now(), way));
    return this.#ended.promise;
  }

  /** Without a word: its client was never heard, or asks for something else by now. */
  giveWay(): void {
    this.#end('GaveWay');
  }

  close(): void {
    this.#send({ type: 'ERROR', code: ERRORS.Undefined, message: 'server ends, ask another' });
    this.#end('Closed');
  }

  /** A packet of its client. */
  take(bytes: Uint8Array): void {
    const packet = decode(bytes);
    if (!packet.ok) return;
    if (packet.value.type === 'ACK') this.#step({ kind: 'ack', block: packet.value.block });
    else if (packet.value.type === 'ERROR') this.#step({ kind: 'error', code: packet.value.code });
  }

  #step(event: Event): void {
    if (this.#state && !this.#over) this.#obey(step(this.#state, event, this.#wiring.now()));
  }

  #obey({ state, effects }: Step): void {
    const first = state.heard && !this.#state?.heard;
    this.#state = state;
    if (first) this.#wiring.onHeard();
    for (const effect of effects) this.#run(effect, state);
    if (effects.length > 0) this.#wait(state.deadlineMs);
  }

  /** A timer may fire early by a millisecond: it is set again whatever the step said, as the deadline may have passed since. */
  #wait(deadlineMs: number): void {
    clearTimeout(this.#timer);
    if (this.#over) return;
    const tick = (): void => {
      this.#step({ kind: 'tick' });
      if (this.#state) this.#wait(this.#state.deadlineMs);
    };
    this.#timer = setTimeout(tick, Math.max(1, deadlineMs - this.#wiring.now()));
  }

  #run(effect: Effect, state: State): void {
    switch (effect.kind) {
      case 'offer':
        this.#send({ type: 'OACK', options: effect.options });
        return;
      case 'data':
        void this.#data(effect.first, effect.last, state);
        return;
      case 'end':
        this.#end(effect.outcome);
        return;
      default:
        never(effect);
    }
  }

  #holds(offset: number, length: number): boolean {
    const { offset: from, bytes } = this.#ahead;
    return length <= 0 || (offset >= from && length <= from + bytes.length - offset);
  }

  async #fill(offset: number, sizeBytes: number): Promise<Ahead> {
    const length = Math.min(READ_AHEAD_BYTES, sizeBytes - offset);
    const bytes = await this.#wiring.file.read(offset, length);
    if (bytes.length !== length) throw new Error(`read ${bytes.length} of ${length} bytes at ${offset}`);
    this.#ahead = { offset, bytes };
    return this.#ahead;
  }

  async #data(first: number, last: number, state: State): Promise<void> {
    const { blockBytes } = state.terms;
    const offset = (first - 1) * blockBytes;
    const length = Math.min(last * blockBytes, state.sizeBytes) - offset;
    try {
      // Without await when the bytes are there: a block at a time, the turn of the event loop costs more than the block.
      const ahead = this.#holds(offset, length) ? this.#ahead : await this.#fill(offset, state.sizeBytes);
      const bytes = ahead.bytes.subarray(offset - ahead.offset, offset - ahead.offset + length);
      for (let block = first; block <= Math.min(last, lastBlock(state)); block += 1) {
        const at = (block - first) * blockBytes;
        this.#send({ type: 'DATA', block: block & 0xffff, data: bytes.subarray(at, at + blockBytes) });
      }
    } catch {
      this.#send({ type: 'ERROR', code: ERRORS.Undefined, message: 'the file cannot be read, ask another server' });
      this.#end('ReadFailed');
    }
  }

  #send(packet: Packet): void {
    if (!this.#over) this.#wiring.send(encode(packet));
  }

  #end(outcome: Ending): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#wiring.file.close?.();
    this.#ended.resolve(outcome);
  }
}

export const errorBytes = (error: ErrorName, message: string): Buffer =>
  encode({ type: 'ERROR', code: ERRORS[error], message });
