import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MAX_BLOCK_BYTES, MAX_SENDS, MAX_SENDS_UNHEARD, MAX_TRANSFER_MS, MAX_WINDOW_BLOCKS } from './limits.ts';
import type { TftpOption } from './packet.ts';
import { agree, type Effect, lastBlock, type State, type Step, start, step, type Way } from './session.ts';

const ack = (state: State, block: number, nowMs = 0): Step => step(state, { kind: 'ack', block }, nowMs);
const tick = (state: State, nowMs: number): Step => step(state, { kind: 'tick' }, nowMs);
const data = (first: number, last = first): Effect => ({ kind: 'data', first, last });
const WINDOW_4: TftpOption[] = [['windowsize', '4']];

describe('options', () => {
  test.each<[string, TftpOption[], object]>([
    ['none', [], { blockBytes: 512, windowBlocks: 1, timeoutMs: 1_000, accepted: [] }],
    ['a block size', [['blksize', '1432']], { blockBytes: 1_432, accepted: [['blksize', '1432']] }],
    [
      'too large a block gets a smaller one',
      [['blksize', '65464']],
      { blockBytes: MAX_BLOCK_BYTES, accepted: [['blksize', '1468']] },
    ],
    ['blocks of 7 are out of range', [['blksize', '7']], { blockBytes: 512, accepted: [] }],
    ['the size is told', [['tsize', '0']], { accepted: [['tsize', '1300']] }],
    ['a time-out', [['timeout', '3']], { timeoutMs: 3_000, accepted: [['timeout', '3']] }],
    ['a time-out may not be changed: too long is left out', [['timeout', '255']], { timeoutMs: 1_000, accepted: [] }],
    ['a window', WINDOW_4, { windowBlocks: 4, accepted: WINDOW_4 }],
    [
      'too large a window gets a smaller one',
      [['windowsize', '65535']],
      { windowBlocks: MAX_WINDOW_BLOCKS, accepted: [['windowsize', '16']] },
    ],
    [
      'no numbers',
      [
        ['blksize', '1e3'],
        ['timeout', '-1'],
        ['windowsize', ''],
      ],
      { accepted: [] },
    ],
    [
      'unknown ones are left out, order is kept',
      [
        ['tsize', '0'],
        ['multicast', ''],
        ['blksize', '512'],
      ],
      {
        accepted: [
          ['tsize', '1300'],
          ['blksize', '512'],
        ],
      },
    ],
  ])('%s', (_, options, expected) => {
    expect(agree(options, 1_300)).toMatchObject(expected);
  });
});

const asked = (bytes: string): TftpOption[] => [['blksize', bytes]];
test.each<[string, TftpOption[], Way, number]>([
  ['Ethernet', asked('1468'), { mtu: 1_500 }, 1_468],
  ['an overlay: 32 bytes of headers less', asked('1468'), { mtu: 1_450 }, 1_418],
  ['an overlay, a block that fits', asked('1400'), { mtu: 1_450 }, 1_400],
  ['jumbo frames: a switch on the way may have none', asked('8192'), { mtu: 9_000 }, 1_468],
  ['loopback', asked('65464'), { mtu: 65_536 }, 1_468],
  ['the smallest of IPv4', asked('512'), { mtu: 68 }, 36],
  ['one that has no room: RFC 2348’s least', asked('512'), { mtu: 20 }, 8],
  ['one that is not known', asked('1468'), {}, 1_468],
  [
    'Ethernet, and a tunnel behind it that a person knows of',
    asked('1468'),
    { mtu: 1_500, maxBlockBytes: 1_248 },
    1_248,
  ],
  ['an overlay that has less than the tunnel', asked('1468'), { mtu: 1_280, maxBlockBytes: 1_400 }, 1_248],
  ['jumbo frames, whatever is said', asked('1468'), { mtu: 9_000, maxBlockBytes: 8_968 }, 1_468],
  ['none asked: RFC 1350 knows no other', [], { mtu: 500, maxBlockBytes: 512 }, 512],
])('blocks fit the MTU of %s', (_, options, way, blockBytes) => {
  const terms = agree(options, 1_300, way);
  const accepted = options.map(([name]) => [name, String(blockBytes)]);
  expect([terms.blockBytes, terms.accepted]).toEqual([blockBytes, accepted]);
});

test.each([
  [0, 1],
  [511, 1],
  [512, 2],
  [513, 2],
  [512 * 65_536, 65_537],
])('a file of %d bytes has %d blocks', (sizeBytes, blocks) => {
  expect(lastBlock({ sizeBytes, terms: agree([], sizeBytes) })).toBe(blocks);
});

describe('a transfer', () => {
  test('without options starts with block 1 and goes on block by block', () => {
    const first = start([], 600, 0);
    expect(first.effects).toEqual([data(1)]);
    const second = ack(first.state, 1);
    expect(second.effects).toEqual([data(2)]);
    const last = ack(second.state, 2);
    expect(last.effects).toEqual([{ kind: 'end', outcome: 'Completed' }]);
    expect(ack(last.state, 2).effects).toEqual([]);
  });

  test('with options starts with an offer, taken up by ACK 0', () => {
    const offer = start([['tsize', '0']], 600, 0);
    expect(offer.effects).toEqual([{ kind: 'offer', options: [['tsize', '600']] }]);
    expect(ack(offer.state, 1).effects).toEqual([]);
    expect(ack(offer.state, 0).effects).toEqual([data(1)]);
  });

  test('a second ACK of the same block sends nothing (the Sorcerer’s Apprentice)', () => {
    const { state } = ack(start([], 5_000, 0).state, 1);
    expect(ack(state, 1)).toEqual({ state, effects: [] });
  });

  test('an ACK of what was never sent is nothing', () => {
    const { state } = start([], 5_000, 0);
    expect(ack(state, 2).effects).toEqual([]);
    expect(ack(state, 65_535).effects).toEqual([]);
  });

  test('the block counter goes round', () => {
    const size = 512 * 70_000;
    let { state } = start([], size, 0);
    for (let block = 1; block <= 65_535; block += 1) state = ack(state, block).state;
    expect(state.acked).toBe(65_535);
    const round = ack(state, 0);
    expect([round.state.acked, round.effects]).toEqual([65_536, [data(65_537)]]);
  });

  test('an error of the client ends it without a word', () => {
    expect(step(start([], 600, 0).state, { kind: 'error', code: 8 }, 0).effects).toEqual([
      { kind: 'end', outcome: 'ClientError' },
    ]);
  });

  test('has an end in time', () => {
    expect(ack(start([], 600, 0).state, 1, MAX_TRANSFER_MS).effects).toEqual([{ kind: 'end', outcome: 'TooSlow' }]);
  });
});

describe('windows', () => {
  const open = ack(start(WINDOW_4, 512 * 10, 0).state, 0);
  test('a window is sent at once and acknowledged once', () => {
    expect(open.effects).toEqual([data(1, 4)]);
    expect(ack(open.state, 4).effects).toEqual([data(5, 8)]);
  });

  test('an ACK within the window says what was lost: go on from there', () => {
    expect(ack(open.state, 2).effects).toEqual([data(3, 6)]);
  });

  test('an ACK of the window before says the first was lost: again, once', () => {
    const again = ack(open.state, 0);
    expect(again.effects).toEqual([data(1, 4)]);
    expect(ack(again.state, 0).effects).toEqual([]);
  });

  test('the last window is as short as the file', () => {
    const third = ack(ack(open.state, 4).state, 8);
    expect(third.effects).toEqual([data(9, 11)]);
    expect(ack(third.state, 11).effects).toEqual([{ kind: 'end', outcome: 'Completed' }]);
  });
});

describe('a client that does not answer', () => {
  const sendsUntilEnd = (state: State): number => {
    let sends = 1;
    let now = 0;
    for (let at = state; ; ) {
      now += 1_000;
      const { state: next, effects } = tick(at, now);
      if (effects.some(({ kind }) => kind === 'end')) return sends;
      sends += effects.length;
      at = next;
    }
  };

  test.each([
    ['the first block', start([], 600, 0).state, MAX_SENDS_UNHEARD],
    ['the offer', start([['tsize', '0']], 600, 0).state, MAX_SENDS_UNHEARD],
    ['a later block', ack(start([], 600, 0).state, 1).state, MAX_SENDS],
  ])('gets %s so many times', (_, state, sends) => {
    expect(sendsUntilEnd(state)).toBe(sends);
  });

  test('is not asked before its time-out', () => {
    expect(tick(start([], 600, 0).state, 999).effects).toEqual([]);
    expect(tick(start([], 600, 0).state, 1_000).effects).toEqual([data(1)]);
  });

  test('cannot be made to be flooded by ACKs that are too late or too early', () => {
    let { state } = start([], 600, 0);
    for (const block of [0, 2, 3, 65_535, 0]) {
      const next = ack(state, block);
      expect(next.effects).toEqual([]);
      state = next.state;
    }
  });
});

test('over a link that loses anything, a client that follows the RFCs gets the whole file', () => {
  fc.assert(
    fc.property(
      fc.nat(6_000),
      fc.integer({ min: 1, max: 6 }),
      fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
      (size, window, losses) => {
        let now = 0;
        let lost = 0;
        const lose = (): boolean => losses[lost++] ?? false;
        let { state, effects } = start([['windowsize', String(window)]], size, now);
        let have = -1;
        const last = lastBlock(state);
        for (let round = 0; round < 500 && state.phase === 'sending'; round += 1) {
          let heard = false;
          for (const effect of effects) {
            if (effect.kind === 'end') continue;
            const [first, end] = effect.kind === 'offer' ? [0, 0] : [effect.first, effect.last];
            for (let block = first; block <= end; block += 1) {
              if (lose()) continue;
              heard = true;
              if (block === have + 1) have = block;
            }
          }
          if (heard && have >= 0 && !lose())
            ({ state, effects } = step(state, { kind: 'ack', block: have & 0xffff }, now));
          else effects = [];
          if (effects.length === 0 && state.phase === 'sending') {
            now = state.deadlineMs;
            ({ state, effects } = step(state, { kind: 'tick' }, now));
          }
          const silent = effects.some((effect) => effect.kind === 'end' && effect.outcome === 'ClientSilent');
          if (silent) return;
        }
        expect([state.phase, have]).toEqual(['done', last]);
      },
    ),
    { seed: 20_261_123, numRuns: 1_000 },
  );
});
