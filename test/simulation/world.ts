/** One scene from its beginning until every read is there. What must hold is judged here: README.md has the list. */
import { sealBootToken, sealTicket } from '../../src/farm/token.ts';
import { patternBytes } from '../../src/image/pattern/pattern.ts';
import type { KeyRing } from '../../src/kit/seal.ts';
import { TICK_MS } from '../../src/stream/limits.ts';
import type { ServerEntry } from '../../src/stream/packet.ts';
import { MESSAGES } from '../../src/stream/wire.ts';
import { BOUND_US, calm } from './bound.ts';
import { Client, type ClientCounters, type Verdict } from './client.ts';
import { Clock } from './clock.ts';
import { Network, nameOf } from './network.ts';
import { Random } from './random.ts';
import type { Fault, Scene, Way } from './scene.ts';
import { DEVICE, type Farm, hostOf, PORT, REF, Server, SITE, WALL_MS } from './server.ts';

export interface Outcome {
  /** Turns of the client, and everything else that happened. */
  readonly steps: number;
  readonly virtualUs: number;
  readonly packets: number;
  /** The longest that a read waited from when it was asked for, or, if that was later, from when a server was well. */
  readonly longestUs: number;
  readonly counters: ClientCounters;
  /** Undefined: all that must hold did. */
  readonly failure: string | undefined;
}

const PEER = { host: '10.0.1.1', port: 5_000 };
const RING: KeyRing = { current: 1, keys: new Map([[1, Buffer.alloc(32, 7)]]) };
const CONTENT = patternBytes(0, 1 << 20);
const SESSION_KEY = Buffer.alloc(32, 4);
const DISKS = new Map<number, Uint8Array>();
/** nbd's own time-out: what a client that was killed had taken is then asked of the next one. */
const ASKED_AGAIN_US = 1e6;
/** Its parent starts the next one at once. */
const STARTED_AGAIN_US = 20_000;
/** How long the others take to hear of a server: they ask each other each 250 ms. */
const HEARD_US = [20_000, 500_000] as const;
/** Packets that the client's edge takes between two looks at its timers, and that its socket holds. */
const BATCH = 256;
const CLIENT_BUFFERED = 2_048;
/** The wait for the first server, which is no read. */
const BOOT = -1;
/** A scene that has more is a storm of packets. */
const MOST_STEPS = 400_000;

/** Packets that prove who has sent them. DATA is judged by what comes of it. */
const PROVEN = new Set<number>(
  (['TICKET', 'ATTACHED', 'WAIT', 'ERROR', 'PONG', 'LIST', 'MOVE', 'BYE'] as const).map((name) => MESSAGES[name].type),
);

export async function play(scene: Scene, trace?: (line: string) => void): Promise<Outcome> {
  const world = new World(scene, trace);
  return await world.run();
}

class World implements Farm {
  readonly scene: Scene;
  readonly clock = new Clock();
  readonly random: Random;
  readonly ring = RING;
  readonly content = CONTENT;
  readonly peer = PEER;
  listVersion = 1;
  readonly #trace: ((line: string) => void) | undefined;
  readonly #network: Network;
  readonly #servers: Server[] = [];
  readonly #client: Client;
  /** Reads that are not answered, since when. */
  readonly #open = new Map<number, number>([[BOOT, 0]]);
  /** Those that the kernel would ask for if it had its disk. */
  #early: number[] | undefined = [];
  #left: number;
  readonly #faults = new Set<Fault>();
  /** Since when some server is well, and none half well. */
  #wellUs = 0;
  #deaf: (() => void)[] | undefined;
  #wakeUs = 0;
  #running = false;
  /** Of the client's process. */
  #life = 0;
  #steps = 0;
  #longestUs = 0;
  #pending: Promise<void>[] = [];
  #failure: string | undefined;

  constructor(scene: Scene, trace?: (line: string) => void) {
    this.scene = scene;
    this.#trace = trace;
    this.random = new Random(scene.seed, 'world');
    this.#left = scene.reads.length;
    this.#network = new Network(scene, this.clock, new Random(scene.seed, 'network'), (server, way, bytes, forged) =>
      this.#deliver(server, way, bytes, forged),
    );
    const clientSeed = new Random(scene.seed, 'client').word();
    this.#client = new Client(CONTENT, clientSeed, DEVICE.mac, {
      send: (host, port, bytes) => this.#sent(host, port, bytes),
      answered: (request, verdict, wrongAt) => this.#answered(request, verdict, wrongAt),
      said: (host, text) => this.note(() => `client: ${host === 0 ? '' : `server ${(host & 255) - 1} `}${text}`),
      wantsToken: () => this.#wantsToken(),
      broken: (text) => this.broken(`the client's assertion ${text}`),
    });
    for (let index = 0; index < scene.servers; index++) this.#servers.push(new Server(index, this));
    for (const server of this.#servers) server.hear(this.servers(), this.listVersion);
    this.#plan();
    this.#begin();
  }

  /** What the scene says. */
  #plan(): void {
    for (const fault of this.scene.faults) {
      this.clock.at(fault.fromUs, () => this.#turn(fault, true));
      this.clock.at(fault.untilUs, () => this.#turn(fault, false));
    }
    for (const [request, { atUs }] of this.scene.reads.entries()) this.clock.at(atUs, () => this.#ask(request));
    const tick = (): void => {
      for (const server of this.#servers) server.tick();
      this.clock.after(TICK_MS * 1_000, tick);
    };
    this.clock.after(TICK_MS * 1_000, tick);
  }

  #begin(): void {
    const { begins, mode, diskBytes, renewUs } = this.scene;
    for (const { index } of this.#servers) this.#client.server(hostNumber(index), PORT);
    if (begins === 'token') this.#client.token(bootToken(0), false, 0);
    else {
      const ticket = ticketOf(diskBytes);
      this.#client.ticket({ sessionKey: SESSION_KEY, ticket, mode, diskBytes, renewUs, endsUs: 7 * 86_400e6 });
    }
    this.#startClient();
  }

  #startClient(): void {
    this.#client.start(this.scene.segmentBytes, this.clock.nowUs);
    this.#running = true;
    this.#look(this.clock.nowUs);
  }

  async run(): Promise<Outcome> {
    while (this.#failure === undefined && (this.#left > 0 || this.clock.nowUs < this.scene.healedUs)) {
      this.#step();
      if (this.#pending.length > 0) await Promise.all(this.#pending.splice(0));
    }
    return {
      steps: this.#steps + this.#client.turns,
      virtualUs: this.clock.nowUs,
      packets: this.#network.packets,
      longestUs: this.#longestUs,
      counters: this.#client.counters,
      failure: this.#failure,
    };
  }

  /** The client's next turn, or what is due before it. */
  #step(): void {
    const nextUs = this.clock.nextUs;
    try {
      if (this.#running && !this.#deaf && this.#wakeUs < nextUs) this.#look(this.#wakeUs);
      else {
        this.#steps++;
        this.clock.step();
      }
    } catch (thrown) {
      this.broken(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
    }
    if (this.#steps > MOST_STEPS) this.broken(`a storm: ${MOST_STEPS} steps, ${this.#network.packets} packets`);
    this.#judgeWaits();
  }

  /** Its turns from now on, up to what is due next. */
  #look(nowUs: number): void {
    this.#client.run(nowUs, this.clock.nextUs);
    this.clock.nowUs = Math.max(this.clock.nowUs, this.#client.atUs);
    this.#wakeUs = this.#client.wakeUs;
    this.#client.listen();
    if (this.#early && this.#client.served) this.#ready(this.#early);
  }

  /** The first server serves: the kernel has its disk, and asks. */
  #ready(early: readonly number[]): void {
    this.#early = undefined;
    const since = this.#open.get(BOOT);
    this.#open.delete(BOOT);
    if (since !== undefined) this.#judgeWait(BOOT, since);
    for (const request of early) this.clock.after(0, () => this.#ask(request));
  }

  #turn(fault: Fault, begins: boolean): void {
    this.note(() => `${begins ? 'begins' : 'ends'}: ${describe(fault)}`);
    if (begins) this.#faults.add(fault);
    else this.#faults.delete(fault);
    this.#wellUs = calm(this.#faults, this.scene.servers) ? this.clock.nowUs : Number.POSITIVE_INFINITY;
    for (const part of [this.#network, ...this.#servers]) {
      if (begins) part.begin(fault);
      else part.end(fault);
    }
    if (fault.kind === 'clientPause' && begins) this.#deaf ??= [];
    if (fault.kind === 'clientPause' && !begins) this.#wake();
    if (fault.kind === 'clientKill' && begins) this.#kill();
  }

  /** What came meanwhile, as the edge takes it. */
  #wake(): void {
    const heard = this.#deaf ?? [];
    this.#deaf = undefined;
    if (!this.#running) return;
    for (const [count, packet] of heard.entries()) {
      packet();
      if (count % BATCH === BATCH - 1) this.#look(this.clock.nowUs);
    }
    this.#look(this.clock.nowUs);
  }

  #kill(): void {
    this.#running = false;
    this.#deaf = undefined;
    const life = ++this.#life;
    const taken = new Set([...this.#open.keys()].filter((request) => request !== BOOT));
    this.clock.after(STARTED_AGAIN_US, () => {
      if (life !== this.#life) return;
      this.#startClient();
      for (const request of this.#open.keys()) if (request !== BOOT && !taken.has(request)) this.#request(request);
      this.clock.after(ASKED_AGAIN_US, () => {
        for (const request of taken) if (life === this.#life && this.#open.has(request)) this.#request(request);
      });
    });
  }

  #ask(request: number): void {
    if (this.#early) {
      this.#early.push(request);
      return;
    }
    this.#open.set(request, this.clock.nowUs);
    this.note(() => `asks for ${this.#name(request)}`);
    if (this.#running) this.#request(request);
  }

  #request(request: number): void {
    const read = this.scene.reads[request];
    if (!read) return;
    if (!this.#client.request(request, read.offset, read.length)) this.broken('the kernel has no place for a request');
    if (!this.#deaf) this.#look(this.clock.nowUs);
  }

  #name(request: number): string {
    const read = this.scene.reads[request];
    if (request === BOOT) return 'the machine';
    return `read ${request} (${read?.length} bytes at ${read?.offset})`;
  }

  #answered(request: number, verdict: Verdict, wrongAt: number): void {
    const since = this.#open.get(request);
    this.note(() => `has ${this.#name(request)}: ${verdict}`);
    if (verdict === 'WrongBytes') this.broken(`wrong bytes: ${this.#name(request)}, first at ${wrongAt}`);
    else if (verdict !== 'Right') this.broken(`${this.#name(request)} is answered: ${verdict}`);
    if (since === undefined) return;
    this.#open.delete(request);
    this.#left--;
    this.#judgeWait(request, since);
  }

  #judgeWait(request: number, since: number): void {
    const waitedUs = this.clock.nowUs - Math.max(since, this.#wellUs);
    if (waitedUs > this.#longestUs) this.#longestUs = waitedUs;
    if (waitedUs > BOUND_US)
      this.broken(`${this.#name(request)} waits for more than ${BOUND_US / 1e6} s though a server is well`);
  }

  #judgeWaits(): void {
    const [first] = this.#open;
    if (first && this.clock.nowUs - Math.max(first[1], this.#wellUs) > BOUND_US) this.#judgeWait(...first);
  }

  #sent(host: number, port: number, bytes: Buffer): void {
    const server = (host & 255) - 1;
    const known = port === PORT && host === hostNumber(server);
    const name = this.#trace && nameOf(bytes);
    const fate = known ? this.#network.send(server, 'to', bytes) : 'goes nowhere';
    this.note(() => `client → ${server} ${name} (${bytes.length}) ${fate}`);
  }

  send(server: number, bytes: Buffer): void {
    const fate = this.#network.send(server, 'from', bytes);
    this.note(() => `${server} → client ${nameOf(bytes)} (${bytes.length}) ${fate}`);
  }

  #deliver(server: number, way: Way, bytes: Buffer, forged: boolean): void {
    if (way === 'to') {
      this.#servers[server]?.receive(bytes, forged);
      return;
    }
    if (!this.#running) return;
    if (this.#deaf) {
      if (this.#deaf.length < CLIENT_BUFFERED) this.#deaf.push(() => this.#hear(server, bytes, forged));
      return;
    }
    this.#hear(server, bytes, forged);
    this.#look(this.clock.nowUs);
  }

  #hear(server: number, bytes: Buffer, forged: boolean): void {
    const judged = forged && PROVEN.has(bytes[0] ?? 0);
    const before = judged ? this.#client.drops : 0;
    this.#client.receive(hostNumber(server), PORT, bytes, this.clock.nowUs);
    if (judged && this.#client.drops === before)
      this.broken(`the client believes a ${nameOf(bytes)} that was changed on its way`);
  }

  #wantsToken(): void {
    const nothing = [...this.#faults].some(({ kind }) => kind === 'noHttp');
    this.note(() => `asks for a boot token${nothing ? ' and gets none' : ''}`);
    this.clock.after(this.random.scale(1_000, 200_000), () => {
      const take = (): void =>
        this.#client.token(nothing ? undefined : bootToken(this.clock.nowUs), true, this.clock.nowUs);
      if (this.#deaf) this.#deaf.push(take);
      else if (this.#running) {
        take();
        this.#look(this.clock.nowUs);
      }
    });
  }

  servers(): readonly ServerEntry[] {
    return this.#servers.map(({ index, state }) => ({ host: hostOf(index), port: PORT, state }));
  }

  changed(): void {
    this.listVersion++;
    for (const server of this.#servers)
      this.clock.after(this.random.between(...HEARD_US), () => server.hear(this.servers(), this.listVersion));
  }

  pending(work: Promise<void>): void {
    this.#pending.push(work);
  }

  note(text: () => string): void {
    this.#trace?.(`${(this.clock.nowUs / 1e6).toFixed(6).padStart(10)}  ${text()}`);
  }

  broken(text: string): void {
    this.note(() => text);
    this.#failure ??= text;
  }
}

const hostNumber = (server: number): number => 0x0a000001 + server;

/** Made once: a seal is dear. */
function ticketOf(sizeBytes: number): Uint8Array {
  const made =
    DISKS.get(sizeBytes) ??
    sealTicket(RING, {
      ...{ ...REF, ...DEVICE, site: SITE, sizeBytes, key: SESSION_KEY.toString('base64') },
      expires: WALL_MS / 1_000 + 7 * 86_400,
    });
  DISKS.set(sizeBytes, made);
  return made;
}

const bootToken = (nowUs: number): Uint8Array =>
  sealBootToken(RING, { ...REF, ...DEVICE, site: SITE, expires: Math.floor(WALL_MS / 1_000 + nowUs / 1e6) + 600 });

/** A fault in a line. */
export function describe(fault: Fault): string {
  const { kind, fromUs, untilUs, ...rest } = fault;
  const more = Object.entries(rest).map(([name, value]) => `${name} ${value}`);
  return [kind, ...more, `from ${(fromUs / 1e6).toFixed(3)} s to ${(untilUs / 1e6).toFixed(3)} s`].join(', ');
}
