import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  decodePing,
  echoFor,
  encodePing,
  heard,
  isAlive,
  MAX_MANIFESTS,
  OTHERS_KEPT,
  type OwnToken,
  PEER_ALIVE_MS,
  type Peer,
  type PeerPing,
  PING_INTERVAL_MS,
  TOKENS_KEPT,
} from './peer.ts';

const key = new Uint8Array(32).fill(1);
const ping: PeerPing = {
  name: 'node-b',
  draining: false,
  loadPercent: 12,
  prefixLength: 24,
  devices: 3,
  booting: 1,
  powerRating: 2.5,
  maxDevices: 4_000,
  maxBooting: 500,
  manifests: ['0123456789abcdef', 'ffffffffffffffff'],
  instance: 7n,
  token: 100n,
  echo: 0n,
  counter: 1n,
  wallMs: 1_790_000_000_000,
};
const at = (monotonicMs: number) => ({ monotonicMs, wallMs: ping.wallMs + monotonicMs });
const own = (...tokens: readonly bigint[]): OwnToken[] => tokens.map((token) => ({ token, wallMs: ping.wallMs }));

test('a ping comes back as it was, to whom it is for', () => {
  const bytes = encodePing(ping, key, 'node-a');
  expect(decodePing(bytes, key, 'node-a')).toEqual({ ok: true, value: ping });
  expect(decodePing(bytes, key, 'node-c')).toMatchObject({ ok: false, error: { code: 'PingForged' } });
});

test('another key, any flipped bit, any cut, anything more: dropped, never thrown', () => {
  const bytes = encodePing(ping, key, 'a');
  expect(decodePing(bytes, new Uint8Array(32), 'a')).toMatchObject({ ok: false, error: { code: 'PingForged' } });
  for (let length = 0; length < bytes.length; length++)
    expect(decodePing(bytes.subarray(0, length), key, 'a').ok).toBe(false);
  expect(decodePing(Buffer.concat([bytes, Buffer.alloc(9_000)]), key, 'a').ok).toBe(false);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (offset, flip) => {
      const bad = Buffer.from(bytes);
      bad[offset] = (bad[offset] ?? 0) ^ flip;
      return !decodePing(bad, key, 'a').ok;
    }),
    { seed: 4 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_000 }), (random) => !decodePing(Buffer.from(random), key, 'a').ok),
    { seed: 5 },
  );
});

test('the longest ping fits a packet, and numbers beyond their fields are told as the largest', () => {
  const name = 'n'.repeat(300);
  const manifests = new Array(MAX_MANIFESTS + 50).fill('ab'.repeat(8));
  const big = {
    ...ping,
    name,
    manifests,
    maxDevices: 2 ** 40,
    devices: Number.NaN,
    loadPercent: 300.5,
    powerRating: -1,
  };
  const bytes = encodePing(big, key, 'a');
  expect(bytes.length).toBeLessThanOrEqual(1_472);
  expect(decodePing(bytes, key, 'a')).toMatchObject({
    value: { name: 'n'.repeat(253), maxDevices: 0xffff_ffff, devices: 0, loadPercent: 255, powerRating: 0 },
  });
});

test('a peer lives once it echoes our token; a ping counts once', () => {
  const first = heard(undefined, ping, own(500n), at(0));
  expect(isAlive(first, 0)).toBe(false);
  const proving = { ...ping, echo: 500n, counter: 2n, devices: 9 };
  const second = heard(first, proving, own(501n, 500n), at(250));
  expect([isAlive(second, 250), second.proven?.load.devices]).toEqual([true, 9]);
  expect(heard(second, proving, own(501n, 500n), at(500))).toBe(second);
  expect(heard(second, { ...proving, counter: 1n, token: 66n }, own(500n), at(500))).toBe(second);
});

test('an old ping of an earlier start takes nothing from the one that lives: it is echoed on', () => {
  const lives = heard(undefined, { ...ping, instance: 8n, token: 200n, echo: 500n }, own(500n), at(0));
  const replayed = heard(lives, { ...ping, counter: 1_000n, token: 100n, echo: 400n }, own(501n, 500n), at(100));
  expect([isAlive(replayed, 100), echoFor(replayed, 1, 100)]).toEqual([true, 200n]);
});

test('a start that proves itself takes the place of the one before, whose pings do not come back', () => {
  const before = heard(undefined, { ...ping, echo: 500n, counter: 90n }, own(500n), at(0));
  const after = heard(before, { ...ping, instance: 8n, echo: 501n, counter: 1n }, own(501n, 500n), at(250));
  expect(after.proven?.instance).toBe(8n);
  expect(heard(after, { ...ping, echo: 500n, counter: 90n }, own(501n, 500n), at(300))).toBe(after);
});

test.each([
  { what: 'the same', wall: 0, skew: 0 },
  { what: 'within the way there and back', wall: -300, skew: 0 },
  { what: 'ahead', wall: 9_000, skew: 9_000 },
  { what: 'behind', wall: -9_000, skew: -8_600 },
])('a clock that is $what is skewed by $skew ms', ({ wall, skew }) => {
  const proving = { ...ping, echo: 500n, wallMs: ping.wallMs + 400 + wall };
  expect(heard(undefined, proving, own(500n), at(400)).proven?.skewMs).toBe(skew);
});

/** Two servers in virtual time, between them a network that loses, delays, doubles, and sends again whatever was ever sent. */
class Node {
  readonly pings: PeerPing[] = [];
  peer: Peer | undefined;
  #instance = 0n;
  #counter = 0n;
  #tokens: readonly OwnToken[] = [];
  readonly #seed: bigint;

  constructor(seed: bigint) {
    this.#seed = seed;
    this.start();
  }
  start(): void {
    this.#instance += this.#seed;
    this.#counter = 0n;
    this.#tokens = [];
    this.peer = undefined;
  }
  tick(now: number): PeerPing {
    this.#counter += 1n;
    const token = this.#instance * 1_000_000n + this.#counter;
    this.#tokens = [{ token, wallMs: at(now).wallMs }, ...this.#tokens].slice(0, TOKENS_KEPT);
    const echo = echoFor(this.peer, Number(this.#counter), now);
    const sent = { ...ping, instance: this.#instance, token, echo, counter: this.#counter, wallMs: at(now).wallMs };
    this.pings.push(sent);
    return sent;
  }
  hear(heardPing: PeerPing, now: number): void {
    this.peer = heard(this.peer, heardPing, this.#tokens, at(now));
  }
}

/** What happens in one tick, to the one or the other. */
const event = fc.record({
  what: fc.constantFrom('good', 'good', 'lost', 'late', 'twice', 'restart', 'replay', 'replay'),
  who: fc.nat(1),
  which: fc.nat(1_000),
});

test('after any losses, delays, doubles, restarts and replays two servers that hear each other know each other, though replays go on', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), fc.array(fc.nat(1_000), { maxLength: 8 }), (events, replays) => {
      const nodes = [new Node(1_000n), new Node(7_000_000n)] as const;
      const late: { to: number; ping: PeerPing }[] = [];
      let now = 0;
      const again = (to: number, which: number): void => {
        const { pings } = nodes[1 - to] as Node;
        const old = pings[which % Math.max(1, pings.length)];
        if (old) nodes[to]?.hear(old, now);
      };
      const turn = (lost: number | undefined, twice: boolean, delayed: number | undefined): void => {
        const sent = nodes.map((node) => node.tick(now));
        for (const { to, ping: old } of late.splice(0)) nodes[to]?.hear(old, now);
        for (const [from, one] of sent.entries()) {
          if (from === lost) continue;
          if (from === delayed) late.push({ to: 1 - from, ping: one });
          else for (let times = twice ? 2 : 1; times > 0; times--) nodes[1 - from]?.hear(one, now + 1);
        }
        now += PING_INTERVAL_MS;
      };
      for (const { what, who, which } of events) {
        if (what === 'restart') nodes[who]?.start();
        if (what === 'replay') again(who, which);
        turn(what === 'lost' ? who : undefined, what === 'twice', what === 'late' ? who : undefined);
      }
      const settled = 2 * (OTHERS_KEPT + 1) + 4;
      for (let tick = 0; tick < settled + 20; tick++) {
        // Each is sent old pings, before and after the good one.
        for (const which of replays) again(tick % 2, which);
        turn(undefined, false, undefined);
        for (const which of replays) again(1 - (tick % 2), which);
        if (tick >= settled) expect(nodes.map(({ peer }) => isAlive(peer, now))).toEqual([true, true]);
      }
      // One of them ends: nothing that was ever sent makes it live on.
      const end = now;
      for (; now <= end + PEER_ALIVE_MS; now += PING_INTERVAL_MS) {
        nodes[0].tick(now);
        for (let which = 0; which < nodes[1].pings.length; which++) again(0, which);
      }
      expect(isAlive(nodes[0].peer, now)).toBe(false);
    }),
    { seed: 11, numRuns: 200 },
  );
});
