/**
 * The boot record of this server: what protocols tell, in memory (`farm/bootring.ts`) and now and then in the state directory. It is told of steps of
 * boots alone, never of a READ; to be told of one costs the main thread 10 to 25 µs (10,000 machines with four boots each), and waits for nothing.
 */
import type { BootAnswer, UnknownAnswer } from '../control/boots.ts';
import { bootsFile, readBoots, writeBoots } from '../control/bootsfile.ts';
import type { DhcpEvent } from '../dhcp/session.ts';
import { clipped } from '../farm/bootrecord.ts';
import { BootRing } from '../farm/bootring.ts';
import type { HttpBootEvent } from '../httpboot/server.ts';
import { errorMessage } from '../kit/errors.ts';
import type { LoginAnswer, LoginRequest } from '../stream/login.ts';
import type { SessionEvent } from '../stream/shard.ts';
import type { Logger } from '../telemetry/log.ts';
import type { TftpEvent } from '../tftp/server.ts';
import { ofDhcp, ofHttp, ofLogin, ofSession, ofTftp, type Story, type Told } from './bootsteps.ts';

export interface BootsOptions {
  readonly server: string;
  readonly stateDirectory: string;
  /** Of an address the network card, where it is of our own networks. */
  readonly macOf: (address: string) => Promise<string | undefined>;
  readonly log: Logger;
  /** Unix milliseconds. */
  readonly now?: () => number;
}

/** A restart that nobody asked for loses so much of the story. */
const WRITE_EVERY_MS = 30_000;
/** Requests that wait for the name of their machine: more come in a flood alone, and are not told of. */
const MAX_ASKED = 64;
/** Addresses with steps of TFTP that nobody has been found for, until they ask by HTTP; and for how long whose an address is. */
const MAX_WAITING = 512;
const MAX_WAITING_STEPS = 4;
const MAX_ADDRESSES = 4_096;
const WAITING_MS = 10 * 60_000;
/** Unknown machines in one answer. */
const MAX_UNKNOWN = 512;

export class Boots {
  readonly #options: BootsOptions;
  readonly #now: () => number;
  readonly #file: string;
  readonly #ring = new BootRing();
  /** By address, the oldest first. */
  readonly #waiting = new Map<string, { readonly atMs: number; readonly told: Told }[]>();
  /** Of machines that asked DHCP from an address of their own. */
  readonly #addresses = new Map<string, { readonly mac: string; readonly atMs: number }>();
  /** Those that serve, by MAC: as many as the stream has. */
  readonly #sessions = new Map<string, Set<string>>();
  #asked = 0;
  #isChanged = false;
  #isTold = false;
  #loaded: Promise<void> | undefined;
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: BootsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#file = bootsFile(options.stateDirectory);
  }

  /** What was heard before a restart. Steps that were told meanwhile stay. */
  start(): Promise<void> {
    this.#timer = setInterval(() => void this.write(), WRITE_EVERY_MS).unref();
    this.#loaded = this.#load();
    return this.#loaded;
  }

  async #load(): Promise<void> {
    const before = await readBoots(this.#file);
    if (!before.ok) this.#options.log.warn({ ...before.error }, 'boot records not read');
    else for (const record of before.value) if (!this.#ring.record(record.mac)) this.#ring.put(record);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#loaded;
    await this.#writing;
    await this.write();
  }

  readonly dhcp = (event: DhcpEvent): void => {
    if (event.kind !== 'malformed' && event.from !== undefined && event.machine)
      remember(this.#addresses, event.from, { mac: event.machine.mac, atMs: this.#now() }, MAX_ADDRESSES);
    this.#hear(ofDhcp(event));
  };

  readonly session = (event: SessionEvent): void => {
    const isEnd = event.type === 'left' || event.type === 'silent';
    const others = this.#serving(event, !isEnd && event.role === 'serve');
    // Its boot goes on in the session that came after.
    if (!isEnd || others === 0) this.#hear(ofSession(event), event.at);
  };

  readonly login = (request: LoginRequest, answer: LoginAnswer): void => this.#hear(ofLogin(request, answer));

  /** Who asks by HTTP names its MAC, and so whose the files were that its address took before. */
  readonly http = (event: HttpBootEvent): void => {
    const story = ofHttp(event);
    const { address } = story;
    const waiting = address === undefined ? undefined : this.#waiting.get(address);
    if (address !== undefined && waiting) {
      this.#waiting.delete(address);
      for (const { told, atMs } of waiting)
        if (this.#now() - atMs < WAITING_MS) this.#hear({ ...story, steps: [told] }, atMs);
    }
    this.#hear(story);
  };

  /** A request has no MAC in it: the kernel knows it of neighbours, and of others what they asked of DHCP, or ask next. */
  readonly tftp = (event: TftpEvent): void => {
    const told = ofTftp(event);
    if (!told || this.#asked >= MAX_ASKED) return;
    const { address } = event;
    const atMs = this.#now();
    this.#asked += 1;
    void this.#options.macOf(address).then((neighbour) => {
      this.#asked -= 1;
      const mac = neighbour ?? this.#askedFrom(address, atMs);
      if (mac === undefined) this.#wait(address, told, atMs);
      else this.#hear({ mac, known: undefined, address, steps: [told] }, atMs);
    });
  };

  records(macs: readonly string[]): BootAnswer {
    return { records: macs.flatMap((mac) => this.#ring.record(mac) ?? []) };
  }

  unknown(): UnknownAnswer {
    return this.#ring.unknown(MAX_UNKNOWN);
  }

  /** How many sessions serve the machine now, beside that one. */
  #serving({ mac, session, address: { host, port } }: SessionEvent, serves: boolean): number {
    const own = this.#sessions.get(mac) ?? new Set<string>();
    const key = `${session} ${host} ${port}`;
    own.delete(key);
    const others = own.size;
    if (serves) this.#sessions.set(mac, own.add(key));
    else if (others === 0) this.#sessions.delete(mac);
    return others;
  }

  /** Nothing when nothing was heard since. */
  async write(): Promise<void> {
    if (!this.#isChanged || this.#writing) return;
    this.#isChanged = false;
    this.#writing = writeBoots(this.#file, this.#ring.records())
      .then(
        () => {
          this.#isTold = false;
        },
        (thrown) => {
          this.#isChanged = true;
          if (!this.#isTold) this.#options.log.warn({ error: errorMessage(thrown) }, 'boot records not written');
          this.#isTold = true;
        },
      )
      .finally(() => {
        this.#writing = undefined;
      });
    await this.#writing;
  }

  /** The machine that asked DHCP from there lately: an address is another's after a while. */
  #askedFrom(address: string, nowMs: number): string | undefined {
    const found = this.#addresses.get(address);
    return found && nowMs - found.atMs < WAITING_MS ? found.mac : undefined;
  }

  #wait(address: string, told: Told, atMs: number): void {
    const waiting = this.#waiting.get(address) ?? [];
    remember(this.#waiting, address, [...waiting, { atMs, told }].slice(-MAX_WAITING_STEPS), MAX_WAITING);
  }

  #hear(story: Story | undefined, at = this.#now()): void {
    if (!story) return;
    this.#isChanged = true;
    const { steps, ...machine } = story;
    const { server } = this.#options;
    for (const { step, detail, reason } of steps)
      this.#ring.hear({
        ...machine,
        step: {
          ...{ step, server, at, lastAt: at, times: 1 },
          ...(detail === undefined ? {} : { detail: clipped(detail) }),
          ...(reason ? { reason: { code: reason.code, message: clipped(reason.message) } } : {}),
        },
      });
  }
}

/** What was remembered longest ago goes first. */
function remember<T>(table: Map<string, T>, key: string, value: T, most: number): void {
  table.delete(key);
  table.set(key, value);
  if (table.size > most) table.delete(table.keys().next().value ?? key);
}
