/** 100,000 random and mutated packets at the decoders of DHCP and TFTP, and at what reads their packets: a packet or a fault, never a throw. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as dhcp from '../../src/dhcp/packet.ts';
import { reading } from '../../src/dhcp/reading.ts';
import * as dhcpSession from '../../src/dhcp/session.ts';
import { ownOf } from '../../src/net/source.ts';
import * as tftp from '../../src/tftp/packet.ts';
import { aBoot } from '../builders/farm.ts';
import { mutated, mutations } from '../builders/mutations.ts';
import { readGolden } from '../golden/golden.ts';

const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_123);
const PACKETS = 100_000;
const seeds = (protocol: 'dhcp' | 'tftp'): Buffer[] =>
  ['bios', 'uefi', 'uefi-ipxe']
    .flatMap(readGolden)
    .flatMap((golden) => (golden.protocol === protocol ? [golden.bytes] : []));

test(`dhcp, FUZZ_SEED=${SEED}`, () => {
  const self = { address: '10.99.0.1', httpPort: 8069 };
  const bootstrap = { farm: 'farm', site: 'default', boot: aBoot(), loginServers: [], httpServers: [] };
  let state = dhcpSession.start(self, ownOf(self.address, [67, 4011], {}));
  const source = { address: '0.0.0.0', port: 68 };
  const seen = { packets: 0, faults: 0, answers: 0 };
  let now = 0;
  for (const bytes of mutations(seeds('dhcp'), SEED, PACKETS)) {
    now += 1_001; // so that no machine has had its answers
    const decoded = dhcp.decode(bytes);
    seen[decoded.ok ? 'packets' : 'faults'] += 1;
    if (decoded.ok) {
      reading(decoded.value);
      const again = dhcp.encode(decoded.value, 65_535);
      if (!again.ok) throw new Error(again.error.message);
      expect(JSON.stringify(dhcp.decode(again.value))).toBe(JSON.stringify(decoded));
    }
    const asked = dhcpSession.step(state, { kind: 'packet', listener: now % 2 ? 'dhcp' : 'pxe', bytes, source }, now);
    state = asked.state;
    const [effect] = asked.effects;
    if (effect?.kind !== 'ask') continue;
    const judged = dhcpSession.step(
      state,
      { kind: 'verdict', id: effect.id, verdict: { kind: 'known' }, bootstrap },
      now,
    );
    state = judged.state;
    seen.answers += judged.effects.filter(({ kind }) => kind === 'send').length;
  }
  console.info(`dhcp fuzz: seed ${SEED}, ${JSON.stringify(seen)}`);
  expect(Math.min(seen.packets, seen.faults, seen.answers)).toBeGreaterThan(1_000);
});

test(`tftp, FUZZ_SEED=${SEED}`, () => {
  const seen = { packets: 0, faults: 0 };
  const reads = fc.property(mutated(seeds('tftp')), (bytes) => {
    const decoded = tftp.decode(bytes);
    seen[decoded.ok ? 'packets' : 'faults'] += 1;
    if (!decoded.ok) return;
    tftp.reading(decoded.value);
    expect(JSON.stringify(tftp.decode(tftp.encode(decoded.value)))).toBe(JSON.stringify(decoded));
  });
  fc.assert(reads, { seed: SEED, numRuns: PACKETS });
  console.info(`tftp fuzz: seed ${SEED}, ${JSON.stringify(seen)}`);
  expect(Math.min(seen.packets, seen.faults)).toBeGreaterThan(1_000);
});
