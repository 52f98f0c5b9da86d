/**
 * What every UDP edge does with packets that no honest neighbour sends. Needs root, for a network namespace and a raw socket. A new edge: a line in
 * `UDP_EDGES` of udp-edges.ts, and a call here from a test.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { SAMPLES, type UDP_EDGES } from './udp-edges.ts';

export type UdpEdgeName = keyof typeof UDP_EDGES;

async function run(what: 'sources' | 'samples', edge: UdpEdgeName): Promise<unknown> {
  const script = new URL('udp-edge-lan.ts', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(
    'unshare',
    ['--net', '--kill-child', process.execPath, script, what, edge],
    { timeout: 300_000 },
  );
  return JSON.parse(stdout);
}

/** A source that nobody can have: dropped, counted, nothing sent, and the next is answered. */
export function sourceContract(edge: UdpEdgeName): void {
  test(`${edge}: a packet from where nobody is gets no answer and does no harm`, async () => {
    const dropped = { counted: 1, answered: 0 };
    expect(await run('sources', edge)).toEqual({
      'port 0': dropped,
      'the limited broadcast': dropped,
      'the broadcast of the network': dropped,
      multicast: dropped,
      reserved: dropped,
      'loopback, at a socket of the network': dropped,
      'the edge itself': dropped,
    });
  });
}

/** Two correct servers never talk for ever: what a server says is never answered, and all answers are what a server says. */
export function loopContract(edges: readonly UdpEdgeName[]): void {
  describe('whatever one server sends to another', () => {
    const said = SAMPLES.filter(({ by }) => by === 'server').map(({ name }) => name);
    test.each(edges)('%s does not answer, and what it answers to clients no edge answers', async (edge) => {
      const seen = Object.entries(Object(await run('samples', edge)) as Record<string, string[]>);
      expect(seen.filter(([name, answers]) => said.includes(name) && answers.length > 0)).toEqual([]);
      expect(seen.flatMap(([, answers]) => answers).filter((answer) => !said.includes(answer))).toEqual([]);
    });
  });
}
