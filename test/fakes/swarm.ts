/** Servers that pull one file from each other, in virtual time: links of a given speed, sources that lie, crawl, hang or die. Each puller decides by `src/transfer/plan.ts`. */
import { LIMITS, type Limits, Plan, type Request } from '../../src/transfer/plan.ts';
import type { Random } from '../simulation/random.ts';

export interface Server {
  readonly name: string;
  /** Bytes a millisecond, each way. */
  readonly bytesPerMs: number;
  /** It has all of the file at the start; who has not pulls it. */
  readonly isWhole: boolean;
  /** `lies`: what it sends is wrong. `hangs`: it takes questions and answers none. */
  readonly kind: 'honest' | 'lies' | 'hangs';
  /** Of virtual time; it answers nothing from then on. */
  readonly diesAtMs?: number;
  /** A share of its answers is that it is busy. */
  readonly busy?: number;
}

export interface Ended {
  readonly name: string;
  readonly atMs: number;
  /** By the chunks that were kept. */
  readonly isRight: boolean;
  readonly left: readonly string[];
}

const LATENCY_MS = 1;
const POLL_MS = 500;
const TIMEOUT_MS = 10_000;

interface Node {
  readonly server: Server;
  readonly has: Uint8Array;
  upFreeAt: number;
  downFreeAt: number;
  plan: Plan | undefined;
  readonly open: Set<number>;
}

export class Swarm {
  readonly #nodes: Map<string, Node>;
  readonly #chunkBytes: number;
  readonly #random: Random;
  readonly #events: { readonly at: number; readonly run: () => void }[] = [];
  readonly #ended: Ended[] = [];
  sentBytes = new Map<string, number>();
  now = 0;

  constructor(servers: readonly Server[], chunks: number, chunkBytes: number, random: Random, limits: Limits = LIMITS) {
    this.#chunkBytes = chunkBytes;
    this.#random = random;
    const chance = () => random.share();
    this.#nodes = new Map(
      servers.map((server) => {
        const has = new Uint8Array(chunks).fill(server.isWhole ? 1 : 0);
        const plan = server.isWhole ? undefined : new Plan(new Uint8Array(chunks).fill(1), chunkBytes, limits, chance);
        return [server.name, { server, has, upFreeAt: 0, downFreeAt: 0, plan, open: new Set<number>() }];
      }),
    );
  }

  /** Until every honest puller that lives has all, or `untilMs`. */
  run(untilMs: number): readonly Ended[] {
    for (const node of this.#nodes.values()) {
      if (!node.plan) continue;
      this.#poll(node);
      this.#tick(node);
    }
    for (let event = this.#pop(); event && event.at <= untilMs && this.#busy(); event = this.#pop()) {
      this.now = event.at;
      event.run();
    }
    return this.#ended;
  }

  #busy(): boolean {
    return [...this.#nodes.values()].some((node) => node.plan && this.#lives(node) && node.plan.missing > 0);
  }

  #lives({ server }: Node): boolean {
    return this.now < (server.diesAtMs ?? Number.POSITIVE_INFINITY);
  }

  #at(at: number, run: () => void): void {
    let place = this.#events.length;
    this.#events.push({ at, run });
    for (let above = (place - 1) >> 1; place > 0 && this.#key(above) > at; above = (place - 1) >> 1) {
      this.#swap(place, above);
      place = above;
    }
  }

  #pop(): { readonly at: number; readonly run: () => void } | undefined {
    const first = this.#events[0];
    const last = this.#events.pop();
    if (!first || !last || first === last) return first;
    this.#events[0] = last;
    for (let place = 0; ; ) {
      const below = 2 * place + 1;
      const least = this.#key(below + 1) < this.#key(below) ? below + 1 : below;
      if (this.#key(least) >= this.#key(place)) return first;
      this.#swap(place, least);
      place = least;
    }
  }

  #key(place: number): number {
    return this.#events[place]?.at ?? Number.POSITIVE_INFINITY;
  }

  #swap(one: number, other: number): void {
    const event = this.#events[one];
    const instead = this.#events[other];
    if (!event || !instead) return;
    this.#events[one] = instead;
    this.#events[other] = event;
  }

  #poll(node: Node): void {
    const { plan } = node;
    if (!plan || plan.missing === 0 || !this.#lives(node)) return;
    for (const other of this.#nodes.values()) {
      if (other === node || !this.#lives(other)) continue;
      plan.has(other.server.name, other.has.every((one) => one === 1) ? 'all' : other.has.slice());
    }
    this.#ask(node);
    this.#at(this.now + POLL_MS * (0.8 + 0.4 * this.#random.share()), () => this.#poll(node));
  }

  #tick(node: Node): void {
    const { plan } = node;
    if (!plan || plan.missing === 0 || !this.#lives(node)) return;
    this.#ask(node);
    this.#at(Math.max(this.now + 1, plan.wakeAt(this.now)), () => this.#tick(node));
  }

  #ask(node: Node): void {
    for (const request of node.plan?.next(this.now) ?? []) {
      node.open.add(request.id);
      this.#send(node, request);
    }
  }

  #send(node: Node, request: Request): void {
    const source = this.#nodes.get(request.source);
    if (!source) throw new Error(`${request.source} was asked, and is nobody`);
    const bytes = request.chunks.length * this.#chunkBytes;
    const fails = (atMs: number, why: 'Dead' | 'Busy') => this.#at(atMs, () => this.#answer(node, request, why));
    if (source.server.kind === 'hangs' || !this.#lives(source)) {
      fails(this.now + TIMEOUT_MS, 'Dead');
      return;
    }
    if (this.#random.chance(source.server.busy ?? 0)) {
      fails(this.now + 2 * LATENCY_MS, 'Busy');
      return;
    }
    const sent = Math.max(this.now + LATENCY_MS, source.upFreeAt) + bytes / source.server.bytesPerMs;
    source.upFreeAt = sent;
    this.#at(sent, () => {
      const received = Math.max(sent + LATENCY_MS, node.downFreeAt + bytes / node.server.bytesPerMs);
      node.downFreeAt = received;
      if (!this.#lives(source)) {
        fails(received, 'Dead');
        return;
      }
      this.sentBytes.set(source.server.name, (this.sentBytes.get(source.server.name) ?? 0) + bytes);
      this.#at(received, () => this.#answer(node, request, source.server.kind === 'lies' ? 'Lying' : undefined));
    });
  }

  #answer(node: Node, { id, chunks }: Request, why: 'Dead' | 'Busy' | 'Lying' | undefined): void {
    const { plan } = node;
    if (!plan || !node.open.delete(id) || !this.#lives(node) || plan.missing === 0) return;
    if (why === 'Dead' || why === 'Busy') plan.failed(id, why, this.now);
    else {
      const lies = why === 'Lying';
      plan.came(id, { right: lies ? [] : chunks, wrong: lies ? chunks : [], now: this.now });
      if (!lies) for (const chunk of chunks) node.has[chunk] = 1;
    }
    for (const needless of plan.needless()) {
      node.open.delete(needless);
      plan.failed(needless, 'Busy', this.now);
    }
    if (plan.missing > 0) {
      this.#ask(node);
      return;
    }
    const isRight = node.has.every((one) => one === 1);
    this.#ended.push({ name: node.server.name, atMs: this.now, isRight, left: plan.left });
  }
}
