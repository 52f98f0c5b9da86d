import { describe, expect, test } from '@jest/globals';
import { aDevice, aSnapshot } from '../../test/builders/farm.ts';
import { otherOrder } from '../farm/address.ts';
import type { BootRecord, BootStepName } from '../farm/bootrecord.ts';
import { fail, ok } from '../kit/result.ts';
import { askBoots, askUnknown } from './boots.ts';
import { type ExplainSources, explainMachine, stillUnknown } from './explain.ts';

const MAC = '52:54:00:00:00:01';
const UUID = '6d3c8a62-1b5f-4d0c-9c3e-0123456789ab';
const NEW_CARD = '52:54:00:00:00:77';
const servers = ['a', 'b', 'c'].map((name) => ({ name, address: '10.77.0.1', port: 6911 }));
const aRecord = (server: string, heard: readonly (readonly [BootStepName, number])[]): BootRecord => ({
  ...{ mac: MAC, known: true, firstAt: heard[0]?.[1] ?? 0, lastAt: heard.at(-1)?.[1] ?? 0 },
  boots: [{ steps: heard.map(([step, at]) => ({ step, server, at, lastAt: at, times: 1 })) }],
});

describe('all servers are asked at once', () => {
  test('a boot that moved between them is one, and who does not answer is named', async () => {
    const told = await askBoots(
      {
        boots: async ({ name }, macs) => {
          expect(macs).toEqual([MAC]);
          if (name === 'a')
            return ok({
              records: [
                aRecord('a', [
                  ['discover', 0],
                  ['offer', 1],
                ]),
              ],
            });
          if (name === 'b')
            return ok({
              records: [
                aRecord('b', [
                  ['discover', 1],
                  ['tftp', 900],
                  ['script', 2_000],
                ]),
              ],
            });
          return fail('ServerUnreachable', 'server c at 10.77.0.1:6911: away');
        },
      },
      servers,
      [MAC],
    );
    expect(
      told.record?.boots.map(({ steps }) => steps.map(({ step, server }) => `${step}@${server}`).join(' ')),
    ).toEqual(['discover@a discover@b offer@a tftp@b script@b']);
    expect(told.answered).toEqual(['a', 'b']);
    expect(told.silent).toEqual([{ server: 'c', message: 'server c at 10.77.0.1:6911: away' }]);
  });

  test('one that hangs holds up nobody longer than the deadline', async () => {
    const machine = { mac: MAC, firstAt: 1, lastAt: 2, step: 'offer', servers: ['a'] } as const;
    const told = await askUnknown(
      {
        unknown: ({ name }) =>
          name === 'a' ? Promise.resolve(ok({ machines: [machine], more: 3 })) : new Promise(() => undefined),
      },
      servers,
      20,
    );
    expect(told).toEqual({
      ...{ machines: [machine], more: 3, answered: ['a'] },
      silent: ['b', 'c'].map((server) => ({ server, message: `server ${server} did not answer within 0.02 s` })),
    });
    expect(stillUnknown(told, new Set(aDevice().macs)).machines).toEqual([]);
  });
});

test.each([
  ['a device by name', 'pc0001', { device: 'pc0001', code: 'HttpNeverAsked', asked: [MAC, '52:54:00:00:00:02'] }],
  [
    'a device by a MAC, however it is written',
    '52-54-00-00-00-01',
    { device: 'pc0001', code: 'HttpNeverAsked', asked: [MAC, '52:54:00:00:00:02'] },
  ],
  ['a device with a new card, by its UUID', NEW_CARD, { device: 'pc0001', code: 'HttpNeverAsked', asked: [NEW_CARD] }],
  [
    'a device by its UUID',
    UUID.toUpperCase(),
    { device: 'pc0001', code: 'HttpNeverAsked', asked: [MAC, '52:54:00:00:00:02'] },
  ],
  [
    'a device whose name looks like a MAC',
    '52-54-00-00-00-02',
    { device: '52-54-00-00-00-02', asked: ['52:54:00:00:00:03'] },
  ],
  ['a machine that is none', '52:54:00:00:00:99', { code: 'UnknownMachine', asked: ['52:54:00:00:00:99'] }],
  ['a name that nobody has', 'pc9', { fault: /no device pc9.*by its MAC/ }],
])('%s is explained', async (_, wanted, { device, code, asked, fault }: Record<string, unknown>) => {
  let macs: readonly string[] = [];
  const lookalike = aDevice({ name: '52-54-00-00-00-02', macs: ['52:54:00:00:00:03'] });
  const known = aDevice({ macs: [MAC, '52:54:00:00:00:02'] });
  const sources: ExplainSources = {
    data: {
      snapshot: async () => ok(aSnapshot()),
      deviceByName: async (name) => ok([known, lookalike].find((one) => name === one.name)),
      deviceByMac: async (mac) => ok(known.macs.includes(mac) ? known : undefined),
      deviceByUuid: async (uuid) => ok(uuid === otherOrder(UUID) ? known : undefined),
      sessionOf: async () => ok(undefined),
    },
    copies: async () => fail('Unreachable', 'away'),
    boots: async (of) => {
      macs = of;
      const uuid = of[0] === NEW_CARD ? { uuid: UUID } : {};
      const record = {
        ...aRecord('a', [
          ['discover', 0],
          ['tftp', 900],
        ]),
        ...uuid,
      };
      return { answered: ['a'], silent: [], record };
    },
  };
  const explained = await explainMachine(sources, wanted, 1_000);
  if (fault) {
    expect(explained).toMatchObject({ ok: false, error: { message: expect.stringMatching(fault as RegExp) } });
    return;
  }
  expect(explained).toMatchObject({ ok: true, value: { verdict: code === undefined ? {} : { code } } });
  expect(explained.ok && explained.value.device).toBe(device);
  expect(macs).toEqual(asked);
});
