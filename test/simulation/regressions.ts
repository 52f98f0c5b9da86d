/** Scenes that failed once, each by a fault that is mended. As scenes, not as seeds: what a seed makes changes with scene.ts. */
import type { Scene } from './scene.ts';

export const REGRESSIONS: Readonly<Record<string, Scene>> = {
  /**
   * Seed 9012. All disks are slow, so the read is asked of the stand-by, too. The server that serves is then attached anew, for packets that fit the way: the
   * read was left with the stand-by alone, whose packets did not arrive, and waited on and on beside a server that had it.
   */
  'a hedged read whose server is attached anew': {
    ...{ seed: 9012, mode: 'Trusted', servers: 3, diskBytes: 1 << 20, begins: 'ticket', renewUs: 3.5 * 86_400e6 },
    ...{ segmentBytes: 8_896, serverSegmentBytes: 8_896, tripsUs: [315, 20_835, 406], jitterUs: 46, mtu: 1_500 },
    reads: [
      { atUs: 67_059, offset: 902_144, length: 3_072 },
      { atUs: 563_677, offset: 43_520, length: 1_024 },
      { atUs: 1_238_494, offset: 801_280, length: 1_536 },
      { atUs: 1_248_438, offset: 742_400, length: 2_048 },
      { atUs: 1_927_479, offset: 610_304, length: 1_024 },
      { atUs: 2_410_054, offset: 234_496, length: 512 },
      { atUs: 7_060_630, offset: 386_048, length: 1_536 },
    ],
    faults: [0, 1, 2].map((server) => {
      const kind = 'slowDisk';
      return { kind, fromUs: 321_159, untilUs: 7_060_629, server, delayUs: 48_487 };
    }),
    healedUs: 7_060_629,
  },
};
