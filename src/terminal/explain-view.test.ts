import { expect, test } from '@jest/globals';
import { explanationText, unknownText } from './explain-view.ts';

const at = Date.UTC(2026, 10, 30, 5, 0, 0);

test('a machine is told line by line, and last what is in its way and what to do', () => {
  const text = explanationText({
    device: 'pc0001',
    macs: ['52:54:00:00:00:01'],
    sentences: [
      { step: 'discover', at, servers: ['node-a', 'node-b'], text: 'it asked by DHCP what to boot', isRight: true },
      {
        step: 'script',
        at,
        lastAt: at + 5_000,
        times: 2,
        servers: ['node-a'],
        text: 'it was given no script',
        isRight: false,
      },
      { step: 'farm', servers: [], text: 'device pc0001 is disabled', isRight: false },
    ],
    verdict: {
      code: 'Disabled',
      step: 'farm',
      message: 'device pc0001 is disabled',
      todo: 'bootfarm device set pc0001 --enabled',
    },
    boots: [{ steps: [] }, { steps: [] }],
    silent: [{ server: 'node-c', message: 'server node-c did not answer within 2 s' }],
  });
  expect(text).toBe(`device pc0001, MAC 52:54:00:00:00:01, the last of 2 boots that are remembered
2026-11-30T05:00:00Z    discover  it asked by DHCP what to boot (node-a, node-b)
2026-11-30T05:00:00Z  ! script    it was given no script (node-a; 2 times, last 2026-11-30T05:00:05Z)
now                   ! farm      device pc0001 is disabled
no answer: server node-c did not answer within 2 s

At farm, Disabled: device pc0001 is disabled.
What to do: bootfarm device set pc0001 --enabled.
`);
});

test('unknown machines are a table, as wide as what is in it', () => {
  const machine = { mac: '52:54:00:00:00:99', firstAt: at - 60_000, lastAt: at, servers: ['node-a'] } as const;
  const told = { more: 7, answered: ['node-a'], silent: [] };
  const reason = { code: 'UnknownDevice', message: '' };
  expect(
    unknownText(
      {
        ...told,
        machines: [
          { ...machine, step: 'offer', reason, architecture: 7, relay: '10.0.0.1' },
          { ...machine, step: 'script', address: '10.0.0.7', uuid: '6d3c8a62-0000-4000-8000-000000000001' },
        ],
      },
      at + 5_000,
    ),
  ).toBe(`MAC                LAST    FIRST   CAME TO               FIRMWARE  FROM            SERVERS  UUID
52:54:00:00:00:99  5s ago  1m ago  offer: UnknownDevice  UEFI      relay 10.0.0.1  node-a   -
52:54:00:00:00:99  5s ago  1m ago  script                -         10.0.0.7        node-a   6d3c8a62-0000-4000-8000-000000000001
and 7 more
`);
});
