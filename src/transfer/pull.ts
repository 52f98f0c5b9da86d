/**
 * Brings a file here, by content: from what an earlier try left, from files that are here, and from peers, each chunk proved before it counts. Whole, right and by
 * its name, or not there.
 */

import { CANCELLED } from '../image/copy.ts';
import type { MakeWay } from '../image/partial.ts';
import type { WriteFault } from '../image/writer.ts';
import { errorCode, errorMessage } from '../kit/errors.ts';
import { type Fault, ok, type Result } from '../kit/result.ts';
import { type Agreed, agree, type Wanted } from './agree.ts';
import { type Filled, type FillOptions, fill } from './fill.ts';
import type { Manifest } from './manifest.ts';
import type { Peer } from './peer.ts';
import { openTarget, type Target } from './target.ts';

/** `NoSource`: nobody who answers has all of it. What came stays, and is gone on with. */
export type PullFault = WriteFault | Fault<'Cancelled' | 'NoSource'>;

/** Who was left, and why. */
export interface Blame {
  readonly peer: string;
  readonly why: string;
}

export interface PullOptions extends FillOptions {
  /** Another file has the name: it is asked to go when the right one is whole. Absent: the name has to be free. */
  readonly makeWay?: MakeWay;
}

export interface Pulled {
  readonly manifest: Manifest;
  /** Bytes that each peer gave, by its name, and that were here. */
  readonly peerBytes: Readonly<Record<string, number>>;
  readonly localBytes: number;
  readonly blamed: readonly Blame[];
}

export async function pull(path: string, wanted: Wanted, options: PullOptions): Promise<Result<Pulled, PullFault>> {
  const opened = await openTarget(path, wanted.sha256, options.makeWay);
  if (!opened.ok) return opened;
  const target = opened.value;
  const cancelled = () => options.signal?.aborted === true;
  try {
    const made = await make(target, wanted, options);
    if (!made.ok) {
      await (made.error.code === 'Cancelled' ? target.remove() : target.leave());
      return made;
    }
    if (cancelled()) {
      await target.remove();
      return { ok: false, error: CANCELLED };
    }
    const fault = await target.finish(wanted.sizeBytes);
    return fault ? { ok: false, error: fault } : made;
  } catch (thrown) {
    const disk = diskFault(path, thrown);
    if (!disk) throw thrown;
    return { ok: false, error: disk };
  } finally {
    await target.leave();
  }
}

/** By one manifest after another, until the file that one makes has its digest. */
async function make(target: Target, wanted: Wanted, options: PullOptions): Promise<Result<Pulled, PullFault>> {
  const blamed = new Map<string, string>();
  const blame = (peer: string, why: string) => void blamed.set(peer, why);
  const disproved = new Set<string>();
  for (;;) {
    const peers = options.peers.filter(({ name }) => !blamed.has(name));
    const agreed = ownOf(wanted, options, disproved) ?? (await agree(wanted, peers, disproved, blame, options.signal));
    if (options.signal?.aborted) return { ok: false, error: CANCELLED };
    if (!agreed) return { ok: false, error: noSource(wanted, options.peers, blamed) };
    const filled = await fill(target, wanted, agreed.manifest, { ...options, peers }, blame);
    if (!filled.ok) {
      const { error } = filled;
      return { ok: false, error: error.code === 'NoSource' ? noSource(wanted, options.peers, blamed) : error };
    }
    if (filled.value.isProved) return ok(pulled(agreed, filled.value, blamed));
    disproved.add(agreed.manifest.root);
    for (const { name } of filled.value.believers)
      blame(name, `the file that its manifest makes has not the SHA-256 ${wanted.sha256}`);
  }
}

/** The same file is here, and this server made its manifest: nobody has to be asked. */
function ownOf({ sha256, sizeBytes, root }: Wanted, { bases = [] }: PullOptions, disproved: ReadonlySet<string>) {
  const [manifest] = bases.flatMap(({ manifest: one }) =>
    one?.sha256 === sha256 && one.sizeBytes === sizeBytes && !disproved.has(one.root) ? [one] : [],
  );
  return manifest && (root ?? manifest.root) === manifest.root ? { manifest, peers: [] } : undefined;
}

const pulled = (
  { manifest }: Agreed,
  { peerBytes, localBytes }: Filled,
  blamed: ReadonlyMap<string, string>,
): Pulled => ({
  ...{ manifest, peerBytes, localBytes },
  blamed: [...blamed].map(([peer, why]) => ({ peer, why })),
});

function noSource({ sha256 }: Wanted, peers: readonly Peer[], blamed: ReadonlyMap<string, string>): Fault<'NoSource'> {
  const left = [...blamed].map(([peer, why]) => `; ${peer} was left: ${why}`).join('');
  const asked = peers.map(({ name }) => name).join(', ') || 'nobody';
  return {
    code: 'NoSource',
    message: `no server gives all of the file with the SHA-256 ${sha256} (asked: ${asked})${left}`,
  };
}

function diskFault(path: string, thrown: unknown): WriteFault | undefined {
  const code = errorCode(thrown);
  if (code === 'ENOSPC' || code === 'EDQUOT') return noSpace(path);
  if (!code.startsWith('E') || code.startsWith('ERR_')) return undefined;
  return { code: 'WriteFailed', message: `${path} cannot be written: ${errorMessage(thrown)}` };
}

const noSpace = (path: string): WriteFault => ({
  code: 'NoSpace',
  message: `${path}: its file system is full: make room there`,
});
