/** Takes a file of a version from other servers: an order of `work/mirror.ts`, done. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, copyFile, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { identityOf, sameFile } from '../image/identity.ts';
import { PartialFile } from '../image/partial.ts';
import type { WriteFault } from '../image/writer.ts';
import { errorCode, errorMessage } from '../kit/errors.ts';
import { openRegular, statRegular } from '../kit/file.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';
import type { Base } from '../transfer/fill.ts';
import { Manifests } from '../transfer/keep.ts';
import { ManifestMaker } from '../transfer/maker.ts';
import { LEAST_CHUNK_BYTES, type Manifest } from '../transfer/manifest.ts';
import { type PeerIdentity, peerAt } from '../transfer/peer.ts';
import { type Pulled, pull } from '../transfer/pull.ts';
import { PullingWriter } from '../transfer/pulling.ts';
import { partialOf } from '../transfer/target.ts';
import { claim, foreignTo, type Owner, vanished } from './mark.ts';
import { isProperties, MAX_PROPERTIES_BYTES } from './properties.ts';
import { putAside } from './stale.ts';
import { parseWants, type StoreWants, WANTS_FILE, type WantedFile } from './wants.ts';

export interface PullOrder extends Pick<StoreWants, 'folder' | 'sources' | 'bytesPerSecond'> {
  readonly kind: 'pull';
  readonly file: WantedFile;
  /** With `peer.crt`, `peer.key` and `ca.crt`. */
  readonly tlsDirectory: string;
  /** Of the server, with its chunk manifests. */
  readonly stateDirectory: string;
  /** Where what was verified of it is told meanwhile, so that the server gives it on. */
  readonly pulling: string;
  /** Where another farm writes nothing is written. Absent: it is not known for whom. */
  readonly owner?: Owner;
  /** Of the folder, as it was when it was marked (`deviceOf`). Absent: it was not yet. */
  readonly device?: string;
}

interface Running {
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

/** Of `errno`: what was wrong and put aside may go, and there is room. */
const NO_SPACE: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT']);

/** Of `transfer/pull.ts`, but for the manifest. */
export type PulledFile = Omit<Pulled, 'manifest'>;

export async function pullFile(order: PullOrder, running: Running): Promise<Result<PulledFile, Fault>> {
  const { folder, file, sources, bytesPerSecond } = order;
  const identity = await readIdentity(order.tlsDirectory);
  if (!identity.ok) return identity;
  try {
    const { device, stateDirectory } = order;
    const gone = device === undefined ? undefined : await vanished(folder, { device, system: stateDirectory });
    if (gone !== undefined) return fail('StoreVanished', gone);
    // On a node that is new nobody has made it.
    await mkdir(folder, { recursive: true });
    const foreign = order.owner && (await claim(folder, order.owner));
    if (foreign !== undefined) return fail('StoreForeign', foreign);
  } catch (thrown) {
    const code = NO_SPACE.has(errorCode(thrown)) ? 'NoSpace' : 'WriteFailed';
    return fail(code, `${folder} cannot be made or written: ${errorMessage(thrown)}`);
  }
  const { replaces } = file;
  if (replaces !== undefined && !(await isStill(join(folder, file.name), replaces)))
    return fail('FileChanged', `${join(folder, file.name)} is another file than the one that was found wrong`);
  const peers = sources.map((source) => peerAt(source, identity.value));
  const path = join(folder, file.name);
  const bases = await basesOf(order);
  await cloneOf(path, file, bases);
  const holdings = new PullingWriter(order.pulling);
  try {
    const pulled = await pull(path, file, {
      ...running,
      peers,
      bases,
      holdings,
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
      ...(replaces === undefined ? {} : { makeWay: () => makeWay(order, replaces) }),
    });
    if (!pulled.ok) return pulled;
    const { manifest, ...rest } = pulled.value;
    holdings.whole({ manifest, path });
    return ok(rest);
  } finally {
    for (const peer of peers) peer.close();
  }
}

/** What a try left of this file goes, if nobody writes it, and no other farm has the folder. */
export async function removePartial(path: string, sha256: string, owner?: Owner): Promise<void> {
  if (owner && (await foreignTo(dirname(path), owner)) !== undefined) return;
  const options = { partial: partialOf(path, sha256), makeWay: async () => undefined };
  const partial = await PartialFile.open(path, options);
  if (partial.ok) await partial.value.remove();
}

interface KnownBase extends Base {
  readonly sha256?: string;
}

async function basesOf({ folder, file, stateDirectory }: PullOrder): Promise<readonly KnownBase[]> {
  const kept = new Manifests(stateDirectory);
  // Of one that cannot be read nothing is known, and most of it may be right: a sector that fails is no reason to take all of it from others.
  const own = file.replaces !== undefined && !file.bases.some(({ name, folder }) => name === file.name && !folder);
  const others = await Promise.all(
    file.bases.map(async ({ name, sha256, folder: other }): Promise<KnownBase> => {
      const path = join(other ?? folder, name);
      if (sha256 === undefined) return { path };
      const manifest = (await kept.of(sha256)) ?? (isProperties(name) ? await manifestOf(path, sha256) : undefined);
      return { path, sha256, ...(manifest ? { manifest } : {}) };
    }),
  );
  return [...(own ? [{ path: join(folder, file.name) }] : []), ...others];
}

/** Of a small file, of which none is kept. Undefined: it is another one by now. */
async function manifestOf(path: string, sha256: string): Promise<Manifest | undefined> {
  const opened = await openRegular(path);
  if (!opened.ok) return undefined;
  await using file = opened.value.file;
  const content = Buffer.alloc(MAX_PROPERTIES_BYTES);
  const { bytesRead } = await file.read(content, 0, content.length, 0);
  const bytes = content.subarray(0, bytesRead);
  if (createHash('sha256').update(bytes).digest('hex') !== sha256) return undefined;
  const maker = new ManifestMaker(bytes.length, LEAST_CHUNK_BYTES);
  maker.add(bytes);
  return maker.finish(sha256);
}

/** Where the file system can, the same file in another store lends all of its blocks. Believed no more than what an earlier try left: each chunk of it is read and proved. */
async function cloneOf(path: string, { sha256 }: WantedFile, bases: readonly KnownBase[]): Promise<void> {
  const partial = partialOf(path, sha256);
  const { COPYFILE_EXCL, COPYFILE_FICLONE_FORCE } = constants;
  for (const base of bases.filter((one) => one.sha256 === sha256)) {
    try {
      const found = await statRegular(base.path);
      if (!found.ok) continue;
      await copyFile(base.path, partial, COPYFILE_EXCL | COPYFILE_FICLONE_FORCE);
      await chmod(partial, 0o644);
      return;
    } catch {} // there already, or another file system, or one that lends nothing: it is copied
  }
}

/** Also where nothing is any more: then the name is free. */
async function isStill(path: string, identity: string): Promise<boolean> {
  const found = await statRegular(path);
  return found.ok ? sameFile(identityOf(found.value), identity) : found.error.code === 'FileMissing';
}

/** What is right may have become something else since it was begun: what lies there may be just that. */
async function isWanted({ folder, file, stateDirectory }: PullOrder): Promise<boolean> {
  // Of properties the server says what it has, and who takes them what it lacks.
  if (isProperties(file.name)) return true;
  const wants = parseWants(await readFile(join(stateDirectory, WANTS_FILE), 'utf8').catch(() => ''));
  const files = wants?.filter((store) => store.folder === folder).flatMap((store) => store.files) ?? [];
  return files.some(
    ({ name, sha256, replaces }) =>
      name === file.name && sha256 === file.sha256 && sameFile(replaces ?? '', file.replaces ?? ''),
  );
}

async function makeWay(order: PullOrder, identity: string): Promise<WriteFault | undefined> {
  const { folder, file } = order;
  const path = join(folder, file.name);
  if (!(await isWanted(order)))
    return { code: 'FileExists', message: `${path} stays: what was to take its place is not wanted any more` };
  try {
    const aside = await putAside(folder, file.name, identity, Date.now());
    return aside.ok ? undefined : { code: 'FileExists', message: aside.error.message };
  } catch (thrown) {
    return { code: 'WriteFailed', message: `${path} cannot be put aside: ${errorMessage(thrown)}` };
  }
}

export async function readIdentity(directory: string): Promise<Result<PeerIdentity, Fault<'CertificateInvalid'>>> {
  const read = (name: string): Promise<string> => readFile(join(directory, name), 'utf8');
  try {
    const [cert, key, ca] = await Promise.all([read('peer.crt'), read('peer.key'), read('ca.crt')]);
    return ok({ cert, key, ca });
  } catch (thrown) {
    return fail('CertificateInvalid', `cannot read the certificate in ${directory}: ${errorMessage(thrown)}`);
  }
}
