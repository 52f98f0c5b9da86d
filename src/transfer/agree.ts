/** Which manifest a file has, as peers say it. One that lies can say anything: so the most agree first, and the file's own digest judges. */
import { setTimeout as delay } from 'node:timers/promises';
import { inTime } from '../kit/patience.ts';
import type { Result } from '../kit/result.ts';
import { decode, type Manifest } from './manifest.ts';
import type { Peer, PeerFault } from './peer.ts';

export interface Wanted {
  /** Of the file: 64 hex digits. */
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Of its manifest, where it was recorded with the digest: then each chunk that fits it is proved by itself, and the whole needs not be read again. */
  readonly root?: string;
}

/** Who is late joins while it is pulled. */
const PATIENCE_MS = 3_000;
/** One that gives as much as may be is asked again so often, and so long after. */
const BUSY_TRIES = 5;
const BUSY_MS = 1_000;
/** For a manifest, whoever trickles it: another has it, too. */
const MANIFEST_MS = 60_000;

export interface Agreed {
  readonly manifest: Manifest;
  /** Who says so. */
  readonly peers: readonly Peer[];
}

/** Undefined: nobody has it, but for those that say what was disproved. `blame` is told of who gave another manifest than it had said, or one of another file. */
export async function agree(
  wanted: Wanted,
  peers: readonly Peer[],
  disproved: ReadonlySet<string>,
  blame: (peer: string, why: string) => void,
  signal?: AbortSignal,
): Promise<Agreed | undefined> {
  const said = await Promise.all(
    peers.map(async (peer) => ({ peer, facts: await inTime(peer.facts(wanted.sha256, 0, signal), PATIENCE_MS) })),
  );
  const byRoot = Map.groupBy(
    said.flatMap(({ peer, facts }) => (facts?.ok ? [{ peer, root: facts.value.root }] : [])),
    ({ root }) => root,
  );
  const ranked = [...byRoot]
    .filter(([root]) => isEligible(root, wanted, disproved))
    .sort(([, one], [, other]) => other.length - one.length);
  for (const [root, holders] of ranked) {
    const givers = holders.map(({ peer }) => peer);
    for (const peer of givers) {
      const manifest = await manifestOf(peer, wanted, root, blame, signal);
      if (manifest) return { manifest, peers: givers };
    }
  }
  return undefined;
}

const isEligible = (root: string, wanted: Wanted, disproved: ReadonlySet<string>): boolean =>
  (wanted.root === undefined || root === wanted.root) && !disproved.has(root);

async function manifestOf(
  peer: Peer,
  { sha256, sizeBytes }: Wanted,
  root: string,
  blame: (peer: string, why: string) => void,
  signal?: AbortSignal,
): Promise<Manifest | undefined> {
  const answer = await whenFree(peer, sha256, signal);
  if (!answer.ok) return undefined;
  const manifest = decode(answer.value);
  if (!manifest.ok) blame(peer.name, manifest.error.message);
  else if (manifest.value.root !== root) blame(peer.name, 'it gave another manifest than it had said');
  else if (manifest.value.sha256 !== sha256 || manifest.value.sizeBytes !== sizeBytes)
    blame(peer.name, 'it gave the manifest of another file');
  else return manifest.value;
  return undefined;
}

async function whenFree(peer: Peer, sha256: string, cancel?: AbortSignal): Promise<Result<Buffer, PeerFault>> {
  const late = AbortSignal.timeout(MANIFEST_MS);
  const signal = cancel ? AbortSignal.any([cancel, late]) : late;
  for (let tries = 1; ; tries++) {
    const answer = await peer.manifest(sha256, signal);
    if (answer.ok || answer.error.code !== 'Busy' || tries === BUSY_TRIES || signal.aborted) return answer;
    await delay(BUSY_MS * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined);
  }
}
