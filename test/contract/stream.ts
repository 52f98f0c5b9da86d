/**
 * What every transport of the stream server does: run by dgram.test.ts and native/native.test.ts in src/stream. With several threads only what
 * threads could break runs again: many sessions at a time, and the end.
 */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { type BootToken, sealBootToken, sealTicket } from '../../src/farm/token.ts';
import type { Disk } from '../../src/image/disk.ts';
import { openImage } from '../../src/image/images.ts';
import { patternBytes, patternDisk, patternMismatch } from '../../src/image/pattern/pattern.ts';
import { openRaw } from '../../src/image/raw/raw.ts';
import type { KeyRing } from '../../src/kit/seal.ts';
import { loginKeys, makeShare, sign } from '../../src/stream/keys.ts';
import type { LoginAnswer } from '../../src/stream/login.ts';
import { decode, encode, type Mode, type Packet, type ServerEntry, type Suite } from '../../src/stream/packet.ts';
import { type StreamServer, type StreamServerOptions, startStreamServer } from '../../src/stream/server.ts';
import type { SessionEvent } from '../../src/stream/shard.ts';
import { siphash } from '../../src/stream/siphash.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { imageName, writeChain } from '../builders/chain.ts';
import { shownBy } from '../builders/image.ts';
import { tableOf, withLeaves } from '../setup/leaves.ts';
import { until } from '../setup/time.ts';
import { CHAINS, openWithTable, placesOf } from './chains.ts';
import {
  attachPacket,
  type ClientSession,
  type LoginOptions,
  loginPacket,
  Refused,
  StreamClient,
  type TicketFacts,
} from './stream-client.ts';

const SIZE = 1 << 20;
const REF = { vdisk: 'lab', version: 3, manifest: 'ab'.repeat(32) };
const CLAIMANT = { device: 'pc1', mac: '52:54:00:00:00:01', vdisk: REF.vdisk };
const RING: KeyRing = { current: 1, keys: new Map([[1, Buffer.alloc(32, 7)]]) };
const HOST = '127.0.0.1';
const NONCE = Buffer.alloc(16, 9);
const OTHER: ServerEntry = { host: '10.0.0.2', port: 6910, state: 'Streaming' };

const aToken = (fields: Partial<BootToken> = {}): Buffer =>
  Buffer.from(
    sealBootToken(RING, {
      ...REF,
      device: 'pc1',
      mac: '52:54:00:00:00:01',
      site: 'paris',
      expires: Math.floor(Date.now() / 1000) + 60,
      ...fields,
    }),
  );

export function streamContract(native: 'native' | 'plain', threads = 1): void {
  const closers: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function aFile(bytes = SIZE): Promise<{ disk: Disk; path: string }> {
    const folder = mkdtempSync(join(tmpdir(), 'bootfarm-stream-'));
    closers.push(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'lab.raw');
    writeFileSync(path, patternBytes(0, bytes));
    const opened = await openRaw(path);
    if (!opened.ok) throw new Error(opened.error.message);
    closers.push(() => opened.value.close());
    return { disk: opened.value, path };
  }

  /** With its leaf table. */
  async function proved(disk: Disk): Promise<Disk> {
    const folder = mkdtempSync(join(tmpdir(), 'bootfarm-leaves-'));
    closers.push(() => rmSync(folder, { recursive: true }));
    const layered = await withLeaves(disk, await tableOf(disk, folder));
    closers.push(() => layered.close());
    return layered;
  }

  interface Served {
    readonly server: StreamServer;
    readonly at: { host: string; port: number };
    readonly client: StreamClient;
    readonly events: SessionEvent[];
  }

  async function serve(
    disk: Disk,
    options: Partial<StreamServerOptions> = {},
    answer: () => LoginAnswer | Promise<LoginAnswer> = () => ({
      kind: 'ticket',
      sizeBytes: SIZE,
      blockSize: 512,
      servers: [OTHER],
      listVersion: 4,
    }),
  ): Promise<Served> {
    const events: SessionEvent[] = [];
    const started = await startStreamServer({
      address: HOST,
      port: 0,
      threads,
      ring: () => RING,
      mode: 'Trusted',
      site: 'paris',
      login: async () => answer(),
      onSession: (event) => events.push(event),
      onFailure: (error) => {
        throw error;
      },
      log: silentLogger,
      native,
      ...options,
    });
    if (!started.ok) throw new Error(started.error.message);
    closers.push(() => started.value.close());
    await started.value.setServers(4, [OTHER]);
    await started.value.setExports([{ ...REF, disk }]);
    return { server: started.value, at: { host: HOST, port: started.value.port }, client: await aClient(), events };
  }

  async function aClient(host = HOST): Promise<StreamClient> {
    const client = await StreamClient.open(host);
    closers.push(() => client.close());
    return client;
  }

  async function attached(
    served: Served,
    options: Parameters<StreamClient['attach']>[2] = {},
    device = 'pc1',
    client = served.client,
  ): Promise<ClientSession> {
    return client.attach(served.at, await client.login(served.at, aToken({ device })), options);
  }

  /** What the server answers to these bytes: all that comes before the COOKIE of a HELLO sent after them. */
  async function answersTo(client: StreamClient, at: Served['at'], ...packets: Uint8Array[]): Promise<Packet[]> {
    const before = client.received.length;
    for (const packet of packets) client.send(packet, at);
    await client.cookie(at);
    const others = client.received.slice(before).filter((received) => !client.isOwnCookie(received));
    return others.map(({ packet }) => packet);
  }

  const pattern = (): Disk => patternDisk({ sizeBytes: SIZE });
  const refusal = (thrown: unknown): unknown => (thrown instanceof Refused ? thrown.packet : thrown);

  const alone = threads === 1 ? describe : describe.skip;

  alone('before a session', () => {
    test('HELLO is answered by a shorter COOKIE; a shorter HELLO by nothing', async () => {
      const { client, at } = await serve(pattern());
      const hello = encode({ type: 'HELLO', session: 0, number: 0, nonce: NONCE });
      const answers = await answersTo(client, at, hello, hello.subarray(0, 63), hello.subarray(0, 15));
      expect(answers).toMatchObject([{ type: 'COOKIE', nonce: NONCE }]);
    });

    test('a LOGIN gives a ticket, disk facts and servers', async () => {
      const { client, at } = await serve(pattern());
      expect(await client.login(at, aToken())).toMatchObject({ sizeBytes: SIZE, servers: [OTHER] });
    });

    test.each<{ name: string; token: () => Buffer; answer?: LoginAnswer; gives: object }>([
      { name: 'a foreign token', token: () => Buffer.alloc(60, 1), gives: { type: 'REFUSE', code: 'TokenInvalid' } },
      { name: 'an old token', token: () => aToken({ expires: 5 }), gives: { type: 'REFUSE', code: 'TokenExpired' } },
      { name: 'a token of another site', token: () => aToken({ site: 'rome' }), gives: { code: 'TokenInvalid' } },
      {
        name: 'a device for another server',
        token: aToken,
        answer: { kind: 'redirect', server: OTHER },
        gives: { type: 'REDIRECT', server: OTHER },
      },
      {
        name: 'a device that has to wait',
        token: aToken,
        answer: { kind: 'refuse', code: 'Busy', retryAfterMs: 700, text: 'boot pacing: 500 boot here' },
        gives: { type: 'REFUSE', code: 'Busy', retryAfterMs: 700, text: 'boot pacing: 500 boot here' },
      },
    ])('LOGIN of $name', async ({ token, answer, gives }) => {
      const { client, at } = await serve(pattern(), {}, answer && (() => answer));
      expect(refusal(await client.login(at, token()).catch((thrown: unknown) => thrown))).toMatchObject(gives);
    });

    test('a placement that fails is Busy, not silence', async () => {
      const { client, at } = await serve(pattern(), {}, () => Promise.reject(new Error('no replica')));
      expect(refusal(await client.login(at, aToken()).catch((thrown: unknown) => thrown))).toMatchObject({
        code: 'Busy',
      });
    });

    test('a placement that never ends is Busy within seconds, and keeps no place among those that wait', async () => {
      const { client, at } = await serve(pattern(), {}, () => new Promise(() => undefined));
      await expect(client.login(at, aToken())).rejects.toMatchObject({ packet: { code: 'Busy' } });
    });

    test('a ticket is renewed by itself', async () => {
      const { client, at } = await serve(pattern());
      const first = await client.login(at, aToken());
      const renewed = await client.renew(at, first);
      expect(renewed.sessionKey).not.toEqual(first.sessionKey);
      await client.attach(at, renewed);
    });

    test('LOGIN and ATTACH without a good cookie get a COOKIE', async () => {
      const { client, at } = await serve(pattern());
      const { ticket, sessionKey } = await client.login(at, aToken());
      const cookie = Buffer.alloc(20);
      const share = Buffer.alloc(32, 9);
      const login = encode({
        type: 'LOGIN',
        session: 0,
        number: 0,
        nonce: NONCE,
        cookie,
        renew: false,
        redirected: false,
        share,
        token: aToken(),
      });
      const attach = attachPacket(sessionKey, ticket, cookie);
      const answers = await answersTo(client, at, login, attach);
      // The login was asked again where the first TICKET was late.
      expect(answers.filter(({ type }) => type !== 'TICKET')).toMatchObject([
        { type: 'COOKIE', nonce: NONCE },
        { type: 'COOKIE', nonce: attach.subarray(16, 32) },
      ]);
    });

    test("another address's cookie is not taken", async () => {
      const { client, at } = await serve(pattern());
      const { ticket, sessionKey } = await client.login(at, aToken());
      const stranger = await aClient();
      const attach = attachPacket(sessionKey, ticket, await client.cookie(at));
      expect(await answersTo(stranger, at, attach)).toMatchObject([{ type: 'COOKIE' }]);
    });

    test('ATTACH with a wrong tag gets nothing, with a foreign ticket TicketInvalid', async () => {
      const { client, at } = await serve(pattern());
      const { ticket, sessionKey } = await client.login(at, aToken());
      const cookie = await client.cookie(at);
      expect(await answersTo(client, at, attachPacket(Buffer.alloc(32, 5), ticket, cookie))).toEqual([]);
      expect(await answersTo(client, at, attachPacket(sessionKey, Buffer.alloc(300, 5), cookie))).toMatchObject([
        { type: 'REFUSE', code: 'TicketInvalid' },
      ]);
    });

    test('ATTACH for a version that is not here gets NoCopy', async () => {
      const { client, at, server } = await serve(pattern());
      const ticket = await client.login(at, aToken());
      await server.setExports([{ ...REF, manifest: 'cd'.repeat(32), disk: pattern() }]);
      expect(refusal(await client.attach(at, ticket).catch((thrown: unknown) => thrown))).toMatchObject({
        code: 'NoCopy',
      });
    });

    test('the same ATTACH twice gets the same ATTACHED, and is one session', async () => {
      const { client, at, server } = await serve(pattern());
      const { ticket, sessionKey } = await client.login(at, aToken());
      const attach = attachPacket(sessionKey, ticket, await client.cookie(at));
      const [first, second] = await answersTo(client, at, attach, attach);
      expect(first).toMatchObject({ type: 'ATTACHED' });
      expect(second).toEqual(first);
      await until('one session', () => server.sessions().length === 1);
    });

    test('a key of the ring that is not the current one opens still, an unknown one does not', async () => {
      const { client, at } = await serve(pattern());
      const { ticket, sessionKey } = await client.login(at, aToken());
      const foreign: KeyRing = { current: 2, keys: new Map([[2, Buffer.alloc(32, 8)]]) };
      const key = Buffer.from(sessionKey).toString('base64');
      const forged = sealTicket(foreign, {
        ...REF,
        device: 'pc1',
        mac: '',
        site: 'paris',
        sizeBytes: SIZE,
        key,
        expires: 9e9,
      });
      await client.attach(at, { ticket, sessionKey });
      await expect(client.attach(at, { ticket: forged, sessionKey })).rejects.toThrow('TicketInvalid');
    });
  });

  alone('an attacker on the path of a renewal', () => {
    async function aRenewal(answer?: () => LoginAnswer): Promise<Served & { held: TicketFacts }> {
      let first = true;
      const served = await serve(pattern(), { mode: 'Authenticated' }, () => {
        if (!first && answer) return answer();
        first = false;
        return { kind: 'ticket', sizeBytes: SIZE, blockSize: 512, servers: [OTHER], listVersion: 4 };
      });
      return { ...served, held: await served.client.login(served.at, aToken()) };
    }
    const renewal = ({ client, at }: Served, held: TicketFacts, onPath: LoginOptions['onPath'] = {}) =>
      client.login(at, held.ticket, { renews: held.sessionKey, onPath });

    test('who puts a share of his own into the LOGIN is not answered', async () => {
      const served = await aRenewal();
      const { client, at, held, server } = served;
      const mine = makeShare();
      const login = loginPacket(await client.cookie(at), mine.bytes, held.ticket, { renews: held.sessionKey });
      makeShare().bytes.forEach((byte, index) => {
        login[56 + index] = byte;
      });
      expect(await answersTo(client, at, login)).toEqual([]);
      expect(server.counters()).toMatchObject({ dropWrongTag: 1, logins: 1 });
    });

    test('who puts a share of his own into the TICKET, with keys that he can know, is not believed', async () => {
      const served = await aRenewal();
      let clientShare = new Uint8Array();
      const forge = (bytes: Buffer): Uint8Array => {
        const ticket = decode(bytes);
        if (!ticket.ok || ticket.value.type !== 'TICKET') throw new Error('no TICKET');
        const mine = makeShare();
        const keys = loginKeys(mine, clientShare, clientShare, mine.bytes);
        if (!keys.ok) throw new Error(keys.error.message);
        return sign(siphash, keys.value.loginKey, encode({ ...ticket.value, share: mine.bytes }));
      };
      const onPath = {
        login: (bytes: Buffer) => {
          clientShare = Uint8Array.from(bytes.subarray(56, 88));
          return bytes;
        },
        answer: forge,
      };
      await expect(renewal(served, served.held, onPath)).rejects.toThrow('wrong tag');
      // The same attack on a first login, which is anonymous, is not seen: it is what the renewal must not repeat.
      await served.client.login(served.at, aToken(), { onPath });
    });

    test('who captured a ticket, and not its session key, gets no other for it', async () => {
      const { client, at, held, server } = await aRenewal();
      const share = makeShare().bytes;
      for (const renews of [Buffer.alloc(32), Buffer.alloc(32, 7)]) {
        const login = loginPacket(await client.cookie(at), share, held.ticket, { renews });
        expect(await answersTo(client, at, login)).toEqual([]);
        // Without the flag it is a boot token, which it is not; without the tag it is no packet.
        login.writeUInt16BE(0, 54);
        expect(await answersTo(client, at, login.subarray(0, -16))).toMatchObject([{ code: 'TokenInvalid' }]);
        login.writeUInt16BE(1, 54);
        expect(await answersTo(client, at, login.subarray(0, -16))).toEqual([]);
      }
      expect(server.counters()).toMatchObject({ logins: 1 });
    });

    test('who sends a captured renewal again, from there or from elsewhere, gets nothing that he can use', async () => {
      const { client, at, held } = await aRenewal();
      const login = loginPacket(await client.cookie(at), makeShare().bytes, held.ticket, { renews: held.sessionKey });
      expect(await answersTo(await aClient(), at, login)).toMatchObject([{ type: 'COOKIE' }]);
    });

    test('who forges REFUSE is known by its tag; REFUSE of the server is signed, to LOGIN and to ATTACH', async () => {
      const busy = { kind: 'refuse', code: 'Busy', retryAfterMs: 700, text: 'boot pacing' } as const;
      const served = await aRenewal(() => busy);
      const { client, at, held, server } = served;
      await expect(renewal(served, held)).rejects.toMatchObject({ signed: true, packet: { code: 'Busy' } });
      const forged = (bytes: Buffer): Uint8Array => {
        const nonce = bytes.subarray(16, 32);
        const fields = { session: 0, number: 0, nonce, code: 'UnknownDevice', retryAfterMs: 0, text: '' } as const;
        return encode({ type: 'REFUSE', ...fields });
      };
      await expect(renewal(served, held, { answer: forged })).rejects.toMatchObject({ signed: false });
      await server.setExports([]);
      await expect(client.attach(at, held)).rejects.toMatchObject({ signed: true, packet: { code: 'NoCopy' } });
      // Nobody knows a key yet.
      await expect(client.login(at, aToken())).rejects.toMatchObject({ signed: false, packet: { code: 'Busy' } });
      const foreign = { ...held, ticket: Buffer.alloc(300, 5) };
      await expect(client.attach(at, foreign)).rejects.toMatchObject({ signed: false });
      await expect(client.renew(at, foreign)).rejects.toMatchObject({ signed: false });
    });

    test('REDIRECT, which has no tag, is never sent to a renewal', async () => {
      const served = await aRenewal(() => ({ kind: 'redirect', server: OTHER }));
      await expect(renewal(served, served.held)).rejects.toMatchObject({ signed: true, packet: { code: 'Busy' } });
    });
  });

  alone.each<{ mode: Mode; suite: Suite }>([
    { mode: 'Trusted', suite: 'Aead' },
    { mode: 'Authenticated', suite: 'Aead' },
    { mode: 'Authenticated', suite: 'HashThenMac' },
  ])('reads in mode $mode, suite $suite', ({ mode, suite }) => {
    const tables = (disk: Disk) => (suite === 'HashThenMac' ? proved(disk) : disk);
    test.each([448, 512, 576, 1_408, 8_832, 32_768, 65_408])(
      'in segments of %i bytes: every byte is right',
      async (segment) => {
        const served = await serve(await tables((await aFile()).disk), { mode });
        const session = await attached(served, { maxSegmentBytes: segment });
        expect(session.attached).toMatchObject({ segmentBytes: segment, mode, suite, sizeBytes: SIZE, listVersion: 4 });
        for (const [offset, length] of [
          [0, 512],
          [512, 4_096],
          [1_536, 32_768],
          [65_536, 65_536],
          [SIZE - 65_536, 65_536],
          [SIZE - 512, 512],
        ] as const)
          expect(patternMismatch(await session.read(offset, length), offset)).toBeUndefined();
      },
    );

    test('a disk without extents is read by the main thread', async () => {
      const session = await attached(await serve(await tables(pattern()), { mode }));
      expect(patternMismatch(await session.read(4_096, 32_768), 4_096)).toBeUndefined();
    });
  });

  /** Flips a bit of the file, as a page or a block does that rots. */
  function rot(path: string, at: number): void {
    const fd = openSync(path, 'r+');
    const byte = Buffer.alloc(1);
    readSync(fd, byte, 0, 1, at);
    writeSync(fd, Buffer.from([byte.readUInt8(0) ^ 4]), 0, 1, at);
    closeSync(fd);
  }

  alone.each(CHAINS)('a disk in $what, in suite 3', ({ kind, layers }) => {
    async function aChain() {
      const folder = mkdtempSync(join(tmpdir(), 'bootfarm-chain-'));
      closers.push(() => rmSync(folder, { recursive: true }));
      const disk = await openWithTable(writeChain(folder, kind, layers), folder);
      closers.push(() => disk.close());
      const model = shownBy(layers);
      const told: string[] = [];
      const onBadCopy: StreamServerOptions['onBadCopy'] = (_, why) => told.push(why);
      const served = await serve(disk, { mode: 'Authenticated', onBadCopy }, () => ({
        ...{ kind: 'ticket', sizeBytes: model.length, blockSize: 512, servers: [OTHER], listVersion: 4 },
      }));
      const session = await attached(served);
      const isRight = async (offset: number, length: number): Promise<boolean> =>
        (await session.read(offset, length)).equals(model.subarray(offset, offset + length));
      return { disk, folder, model, session, told, isRight };
    }

    test('what is read is what is flat, wherever it lies', async () => {
      const { model, session, told, isRight } = await aChain();
      expect(session.attached).toMatchObject({ suite: 'HashThenMac', sizeBytes: model.length });
      const wrong: unknown[] = [];
      for (const [offset, length] of placesOf(model.length))
        if (!(await isRight(offset, length))) wrong.push([offset, length]);
      expect([wrong, told]).toEqual([[], []]);
    });

    test('a bit that rots in any of its images is found, and gives no wrong byte', async () => {
      const { disk, folder, session, told, isRight } = await aChain();
      const opened = await openImage(join(folder, imageName(kind, layers.length - 1)));
      const mapped = opened.ok ? await opened.value.map?.(0, disk.sizeBytes) : undefined;
      if (opened.ok) await opened.value.close();
      for (const depth of layers.keys()) {
        const piece = mapped?.ok ? mapped.value.find((found) => found.depth === depth && found.at) : undefined;
        if (!piece?.at) throw new Error(`image ${depth} shows nothing`);
        const { offset, at } = piece;
        const first = offset - (offset % 4_096);
        expect(await isRight(offset, 512)).toBe(true);
        rot(at.file.path, at.offset + 100);
        for (const [from, length] of [
          [offset, 512],
          [first, 4_096],
          [first, 32_768],
        ] as const)
          await expect(session.read(from, length)).rejects.toThrow();
        expect(await isRight(first + 4_096, 4_096)).toBe(true);
        rot(at.file.path, at.offset + 100);
        expect(await isRight(first, 32_768)).toBe(true);
      }
      expect(told.length).toBeGreaterThan(0);
    });

    test('a page of its table that rots under a session costs no read', async () => {
      const { folder, isRight } = await aChain();
      const path = join(folder, `table${layers.length - 1}.leaves`);
      for (let at = 0; at < 6 * 4_096; at += 1_000) rot(path, at);
      expect([await isRight(0, 65_536), await isRight(512, 4_096)]).toEqual([true, true]);
    });
  });

  alone('a copy that rots, in suite 3', () => {
    test('gives no wrong byte: reads of the piece fail or have a wrong tag, all others are right; it is told', async () => {
      const { disk, path } = await aFile();
      const told: string[] = [];
      const onBadCopy: StreamServerOptions['onBadCopy'] = ({ vdisk, version }, why) =>
        told.push(`${vdisk}/${version}: ${why}`);
      const served = await serve(await proved(disk), { mode: 'Authenticated', onBadCopy });
      const session = await attached(served);
      expect(patternMismatch(await session.read(65_536, 65_536), 65_536)).toBeUndefined();
      rot(path, 70_000);
      for (const [offset, length] of [
        [65_536, 65_536],
        [69_632, 4_096],
        [69_632, 512],
        [70_144, 512],
        [66_048, 8_192],
      ] as const)
        await expect(session.read(offset, length)).rejects.toThrow();
      for (const [offset, length] of [
        [0, 65_536],
        [65_536, 4_096],
        [73_728, 512],
      ] as const)
        expect(patternMismatch(await session.read(offset, length), offset)).toBeUndefined();
      expect(told[0]).toContain('lab/3: ');
      rot(path, 70_000);
      expect(patternMismatch(await session.read(65_536, 65_536), 65_536)).toBeUndefined();
    });

    test('a session whose disk loses its table reads on', async () => {
      const { disk } = await aFile();
      const served = await serve(await proved(disk), { mode: 'Authenticated' });
      const session = await attached(served);
      await served.server.setExports([{ ...REF, disk }]);
      for (const [offset, length] of [
        [0, 65_536],
        [512, 4_096],
      ] as const)
        expect(patternMismatch(await session.read(offset, length), offset)).toBeUndefined();
      expect((await attached(served, {}, 'pc2', await aClient())).attached.suite).toBe('Aead');
    });

    test('what a device tells of it in PING is told', async () => {
      const told: unknown[] = [];
      const onBadCopy: StreamServerOptions['onBadCopy'] = ({ vdisk }, why, reads) => told.push([vdisk, why, reads]);
      const served = await serve(await proved((await aFile()).disk), { mode: 'Authenticated', onBadCopy });
      const session = await attached(served);
      const opaque = Buffer.alloc(8);
      served.client.send(
        session.packet({ type: 'PING', role: 'serve', badReads: 2, listVersion: 0, opaque }),
        served.at,
      );
      await until('it was told', () => told.length > 0);
      expect(told).toEqual([['lab', 'pc1 got wrong data', 2]]);
      expect(served.server.counters().badReads).toBe(2);
    });
  });

  describe('many devices', () => {
    test('many reads at a time', async () => {
      const served = await serve((await aFile()).disk, { mode: 'Authenticated' });
      const sessions = await Promise.all(
        Array.from({ length: 8 }, async (_, n) => attached({ ...served, client: await aClient() }, {}, `pc${n}`)),
      );
      await Promise.all(
        sessions.map(async (session, index) => {
          for (let n = 0; n < 20; n++) {
            const offset = ((index * 20 + n) * 4_096) % SIZE;
            expect(patternMismatch(await session.read(offset, 4_096), offset)).toBeUndefined();
          }
        }),
      );
      await until('160 reads counted', () => served.server.counters().reads >= 160);
      const { dropMalformed, dropWrongTag } = served.server.counters();
      expect({ dropMalformed, dropWrongTag }).toEqual({ dropMalformed: 0, dropWrongTag: 0 });
    });
  });

  describe('what one device may take', () => {
    test('a device on many ports has three sessions; the oldest end, with BYE', async () => {
      const served = await serve((await aFile()).disk);
      const { server, at } = served;
      const other = await attached(served, {}, 'pc2');
      const ticket = await served.client.login(at, aToken());
      const sessions: ClientSession[] = [];
      for (let n = 0; n < 10; n++) {
        sessions.push(await (await aClient()).attach(at, ticket));
        await until('attached', () => served.events.filter(({ type }) => type === 'attached').length === n + 2);
      }
      await until('three sessions, and that of the other device', () => server.sessions().length === 4);
      const byes = (): boolean[] =>
        sessions.map(({ client }) => client.received.some(({ packet }) => packet.type === 'BYE'));
      await until('seven BYEs', () => byes().filter(Boolean).length === 7);
      expect(byes()).toEqual([...Array(7).fill(true), ...Array(3).fill(false)]);
      expect(await sessions.at(-1)?.read(0, 512)).toHaveLength(512);
      expect(await other.read(0, 512)).toHaveLength(512);
    });
  });

  alone('what one sender may take', () => {
    test('READs that miss wait 32 at a time; what is above is dropped, and another device has its place', async () => {
      const asked: number[] = [];
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      const fast = pattern();
      const read: Disk['read'] = (offset, length) => {
        asked.push(offset);
        return held.then(() => fast.read(offset, length));
      };
      const served = await serve({ ...fast, read });
      const session = await attached(served);
      const other = await attached({ ...served, client: await aClient() }, {}, 'pc2');
      for (let n = 0; n < 100; n++)
        session.send(session.packet({ type: 'READ', offset: 512 * n, length: 512, hedged: false }));
      await until('68 dropped', () => served.server.counters().dropBusy === 68);
      other.send(other.packet({ type: 'READ', offset: 65_536, length: 512, hedged: false }));
      await until('the READ of the other', () => asked.includes(65_536));
      expect(asked).toHaveLength(33);
      release();
      expect(patternMismatch(await session.read(512, 512), 512)).toBeUndefined();
    });

    test('roles that flip are told at most once a second', async () => {
      const served = await serve(pattern());
      const session = await attached(served);
      const start = performance.now();
      for (let n = 0; n < 200; n++) await session.ping(n % 2 ? 'serve' : 'standby');
      const seconds = Math.ceil((performance.now() - start) / 1000);
      const roles = served.events.filter(({ type }) => type === 'role');
      expect(roles.length).toBeGreaterThan(0);
      expect(roles.length).toBeLessThanOrEqual(1 + seconds);
    });

    test('LOGINs and ATTACHes of one address have a budget; another address has its own', async () => {
      let decided = 0;
      const served = await serve(pattern(), {}, () => {
        decided++;
        return { kind: 'ticket', sizeBytes: SIZE, blockSize: 512, servers: [OTHER], listVersion: 4 };
      });
      const { client, at, server } = served;
      const ticket = await client.login(at, aToken());
      const cookie = await client.cookie(at);
      const start = performance.now();
      // One at a time: what a socket's buffer drops, the budget has not.
      for (let n = 0; n < 400; n += 20) {
        const logins = Array.from({ length: 20 }, () => loginPacket(cookie, makeShare().bytes, aToken()));
        const attaches = logins.map(() => attachPacket(ticket.sessionKey, ticket.ticket, cookie));
        await answersTo(client, at, ...logins, ...attaches);
      }
      const seconds = (performance.now() - start) / 1000;
      const { attaches, dropBusy } = server.counters();
      expect(decided).toBeLessThanOrEqual(64 + 16 * seconds + 1);
      expect(attaches).toBeLessThanOrEqual(128 + 32 * seconds + 1);
      expect(dropBusy).toBeGreaterThan(0);
      const other = await aClient('127.0.0.2');
      await other.attach(at, await other.login(at, aToken({ device: 'pc2' })));
    });

    test('LOGINs whose token does not open never cross to the main thread', async () => {
      let decided = 0;
      const { client, at, server } = await serve(pattern(), {}, () => {
        decided++;
        return { kind: 'refuse', code: 'Busy', retryAfterMs: 1, text: '' };
      });
      const cookie = await client.cookie(at);
      const expired = aToken({ expires: 5 });
      const altered = aToken();
      altered[40] = (altered[40] ?? 0) ^ 1;
      for (const token of [expired, altered, Buffer.alloc(300, 1), Buffer.alloc(1, 1), aToken({ site: 'rome' })])
        expect(await answersTo(client, at, loginPacket(cookie, makeShare().bytes, token))).toMatchObject([
          { type: 'REFUSE', code: expect.stringMatching('Token') },
        ]);
      expect([decided, server.counters().logins]).toEqual([0, 0]);
    });
  });

  alone('in a session', () => {
    test('the server cuts segments to its own limit', async () => {
      const session = await attached(await serve(pattern(), { maxSegmentBytes: 1_024 }), { maxSegmentBytes: 8_896 });
      expect(session.attached.segmentBytes).toBe(1_024);
      expect(await session.read(0, 65_536)).toHaveLength(65_536);
    });

    test('a range beyond the end is BadRange', async () => {
      const session = await attached(await serve(pattern()));
      await expect(session.read(SIZE, 512)).rejects.toThrow('BadRange');
      await expect(session.read(SIZE - 512, 1_024)).rejects.toThrow('BadRange');
      await expect(session.read(2 ** 53 - 512, 512)).rejects.toThrow('BadRange');
    });

    test('replayed, altered, cut, long, foreign: not answered, and counted', async () => {
      const served = await serve((await aFile()).disk);
      const { server, client, at } = served;
      const session = await attached(served);
      const read = session.packet({ type: 'READ', offset: 0, length: 512, hedged: false });
      session.send(read);
      await until('DATA', () => client.received.some(({ packet }) => packet.type === 'DATA'));
      const altered = Buffer.from(session.packet({ type: 'READ', offset: 0, length: 512, hedged: false }));
      altered[20] = 1;
      const foreign = session.packet({
        type: 'PONG',
        state: 'Streaming',
        loadPercent: 0,
        listVersion: 0,
        opaque: Buffer.alloc(8),
      });
      const long = Buffer.concat([read, Buffer.alloc(2_000)]);
      expect(await answersTo(client, at, read, altered, read.subarray(0, 47), long, foreign)).toEqual([]);
      await until('two malformed packets', () => server.counters().dropMalformed === 2);
      expect(server.counters()).toMatchObject({
        dropReplayed: 1,
        dropWrongTag: 1,
        dropMalformed: 2,
        dropUnexpected: 1,
      });
    });

    test('a packet that meets a bug costs itself alone', async () => {
      const served = await serve((await aFile()).disk);
      const session = await attached(served);
      // No number of 32 bits: the answer cannot be written.
      await served.server.setServers(-1, []);
      const servers = session.packet({ type: 'SERVERS', listVersion: 0 });
      expect(await answersTo(served.client, served.at, servers)).toEqual([]);
      await until('one fault counted', () => served.server.counters().dropFault === 1);
      await expect(served.client.login(served.at, aToken())).resolves.toBeDefined();
      await served.server.setServers(4, [OTHER]);
      await session.ping();
      expect(await session.read(0, 512)).toHaveLength(512);
    });

    test.each(['READ', 'PING', 'SERVERS'] as const)(
      '%s of no session is answered by a shorter UNKNOWN',
      async (type) => {
        const served = await serve(pattern());
        const session = await attached(served);
        const fields = {
          offset: 0,
          length: 512,
          hedged: false,
          role: 'serve',
          listVersion: 0,
          opaque: Buffer.alloc(8),
        };
        const stranger = await aClient();
        const packet = session.packet({ type, ...fields });
        expect(await answersTo(stranger, served.at, packet)).toMatchObject([
          { type: 'UNKNOWN', session: session.id, number: session.number, echo: packet.subarray(-16) },
        ]);
        session.bye();
        // A READ that comes with it may be answered before it.
        await until('the session gone', () => served.events.some(({ type: told }) => told === 'left'));
        expect(await answersTo(served.client, served.at, session.packet({ type, ...fields }))).toMatchObject([
          { type: 'UNKNOWN' },
        ]);
      },
    );

    test('a BYE of no session is not answered', async () => {
      const served = await serve(pattern());
      const session = await attached(served);
      const bye = session.packet({ type: 'BYE', reason: 'Leaving' });
      expect(await answersTo(served.client, served.at, bye, bye)).toEqual([]);
    });

    test('PING tells state and load, SERVERS the list', async () => {
      const served = await serve(pattern());
      await served.server.setLoad(41.6);
      const session = await attached(served);
      expect(await session.ping()).toMatchObject({ state: 'Streaming', loadPercent: 42, listVersion: 4 });
      expect(await session.list()).toMatchObject({ listVersion: 4, servers: [OTHER] });
    });

    test('each PING is answered by a PONG of its own, whose number was never sent before', async () => {
      const served = await serve((await aFile()).disk);
      const session = await attached(served);
      const opaques = Array.from({ length: 100 }, (_, index) => Buffer.alloc(8, index));
      const pings = opaques.map((opaque) =>
        session.packet({ type: 'PING', role: 'serve', badReads: 0, listVersion: 9, opaque }),
      );
      const pongs = await answersTo(served.client, served.at, ...pings);
      expect(pongs).toHaveLength(100);
      expect(pongs).toEqual(opaques.map((opaque) => expect.objectContaining({ type: 'PONG', opaque })));
      await session.read(0, 512);
      const numbers = served.client.received.flatMap(({ packet }) => (packet.number > 0 ? [packet.number] : []));
      expect(new Set(numbers).size).toBe(numbers.length);
      await until('all are counted', () => served.server.counters().packetsOut >= 103);
    });

    test('PINGs that are replayed, altered, old, or of no role are not answered, change nothing, and are counted', async () => {
      const served = await serve((await aFile()).disk);
      const { server, client, at, events } = served;
      const session = await attached(served);
      const fields = {
        type: 'PING',
        role: 'standby',
        badReads: 0,
        listVersion: 0,
        opaque: Buffer.alloc(8, 5),
      } as const;
      const ping = session.packet({ ...fields, role: 'serve' }, 2_000);
      expect(await answersTo(client, at, ping)).toMatchObject([{ type: 'PONG', opaque: fields.opaque }]);
      const [altered, role] = [session.packet(fields, 2_001), session.packet(fields, 2_002)];
      altered[20] = 1;
      role[16] = 7;
      sign(siphash, session.keys.clientTag, role);
      const beyond = session.packet(fields, 2_003);
      beyond.fill(0xff, 8, 16);
      sign(siphash, session.keys.clientTag, beyond);
      const old = [0, 1, 2_000 - 1_024].map((number) => session.packet(fields, number));
      expect(await answersTo(client, at, ping, altered, role, beyond, ...old)).toEqual([]);
      await until('four replayed packets', () => server.counters().dropReplayed === 4);
      expect(server.counters()).toMatchObject({ dropWrongTag: 1, dropMalformed: 2, dropFault: 0 });
      await session.ask('PONG', () => session.packet({ ...fields, role: 'serve' }, 3_000), 1);
      await until('it is told', () => events.length > 0);
      expect(events.map(({ type }) => type)).toEqual(['attached']);
    });

    test.each([20, 21, 256])('of %i servers a device hears of 20, in TICKET and LIST', async (many) => {
      const servers = Array.from({ length: many }, (_, index) => ({ ...OTHER, port: 1_000 + index }));
      const answer = { kind: 'ticket', sizeBytes: SIZE, blockSize: 512, servers, listVersion: 4 } as const;
      const served = await serve(pattern(), {}, () => answer);
      await served.server.setServers(5, servers);
      const ticket = await served.client.login(served.at, aToken());
      expect(ticket.servers).toEqual(servers.slice(0, 20));
      const session = await served.client.attach(served.at, ticket);
      const told = (await session.list()).servers;
      expect(told).toHaveLength(20);
      expect(servers).toEqual(expect.arrayContaining([...told])); // which of them: farm/shortlist.test.ts
    });

    test('roles: a stand-by becomes served by reading, not by a hedge; PING says it again', async () => {
      const served = await serve((await aFile()).disk);
      const session = await attached(served, { role: 'standby' });
      await session.read(0, 512, { hedged: true });
      await session.ping('standby');
      await session.read(0, 512);
      await session.ping('standby');
      await until('three events', () => served.events.length === 3);
      session.bye();
      await until('BYE', () => served.events.some(({ type }) => type === 'left'));
      expect(served.events.map(({ type, role }) => `${type} ${role}`)).toEqual([
        'attached standby',
        'role serve',
        'role standby',
        'left standby',
      ]);
      expect(served.events[0]).toMatchObject({ device: 'pc1', mac: '52:54:00:00:00:01', vdisk: 'lab', version: 3 });
    });

    test('a new ATTACH from the same address replaces its session', async () => {
      const served = await serve(pattern());
      await attached(served);
      const second = await attached(served);
      await second.ping();
      await until('three events', () => served.events.length === 3);
      expect(served.events.map(({ type }) => type)).toEqual(['attached', 'left', 'attached']);
      expect(served.server.sessions()).toHaveLength(1);
    });

    test('a slow disk is announced by WAIT, and others are served meanwhile', async () => {
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      const fast = pattern();
      const slow: Disk = { ...fast, read: async (offset, length) => held.then(() => fast.read(offset, length)) };
      const served = await serve(slow);
      const session = await attached(served);
      const read = session.packet({ type: 'READ', offset: 512, length: 512, hedged: false });
      session.send(read);
      const seen = (type: string): boolean => served.client.received.some(({ packet }) => packet.type === type);
      await until('WAIT', () => seen('WAIT'));
      await session.ping();
      expect(seen('DATA')).toBe(false);
      release();
      await until('DATA', () => seen('DATA'));
      await until('one WAIT counted', () => served.server.counters().waits === 1);
    });

    test('a disk whose read throws is ReadFailed for that READ, and nothing more', async () => {
      const whole = pattern();
      const read: Disk['read'] = (offset, length) =>
        offset === 0 ? Promise.reject(new Error('a bug of the format')) : whole.read(offset, length);
      const session = await attached(await serve({ ...whole, read }));
      for (let n = 0; n < 40; n++) await expect(session.read(0, 512)).rejects.toThrow('ReadFailed');
      expect(patternMismatch(await session.read(512, 512), 512)).toBeUndefined();
    });

    test.each([
      { where: 'between two pages', end: 65_536 },
      { where: 'within a page, which is zeros then', end: 66_048 },
    ])('a file that was cut $where is ReadFailed beyond its new end, and served before it', async ({ end }) => {
      const { disk, path } = await aFile();
      const session = await attached(await serve(disk));
      // The second read is of a file that answered before.
      for (const offset of [0, 65_536])
        expect(patternMismatch(await session.read(offset, 4_096), offset)).toBeUndefined();
      truncateSync(path, end);
      for (const [offset, length] of [
        [end, 512],
        [end, 4_096],
        [end - 4_096, 8_192],
        [end - 512, 1_024],
      ] as const)
        await expect(session.read(offset, length)).rejects.toThrow('ReadFailed');
      expect(patternMismatch(await session.read(end - 4_096, 4_096), end - 4_096)).toBeUndefined();
    });

    test('a disk that lies in scattered pieces of a file, and partly in none, reads as it was written', async () => {
      const [pieceBytes, pieces] = [16_384, SIZE / 16_384];
      const placeOf = (piece: number): number => ((piece * 11) % pieces) * pieceBytes;
      const { path } = await aFile();
      const scattered = Buffer.alloc(SIZE);
      for (let piece = 0; piece < pieces; piece++)
        patternBytes(piece * pieceBytes, pieceBytes).copy(scattered, placeOf(piece));
      writeFileSync(path, scattered);
      const file = await open(path);
      closers.push(() => file.close());
      const disk: Disk = {
        ...pattern(),
        *extents() {
          for (let piece = 0; piece < pieces; piece++)
            if (piece % 5 !== 0)
              yield { offset: piece * pieceBytes, length: pieceBytes, fd: file.fd, fileOffset: placeOf(piece) };
        },
      };
      const session = await attached(await serve(disk));
      for (let offset = 0; offset < SIZE; offset += pieceBytes / 2)
        for (const length of [512, pieceBytes, 2 * pieceBytes].filter((bytes) => bytes <= SIZE - offset))
          expect(patternMismatch(await session.read(offset, length), offset)).toBeUndefined();
    });

    test('a disk is asked for its extents once, and read on while others come and go', async () => {
      const { disk } = await aFile();
      let asked = 0;
      const counted: Disk = {
        ...pattern(),
        extents: (offset, length) => {
          asked++;
          return disk.extents?.(offset, length) ?? [];
        },
      };
      const served = await serve(counted);
      const session = await attached(served);
      const entry = { ...REF, disk: counted };
      const other = { ...REF, version: 4, disk: pattern() };
      for (const entries of [[entry, other], [entry, { ...other, disk: pattern() }], [entry]]) {
        await served.server.setExports(entries);
        expect(patternMismatch(await session.read(512, 512), 512)).toBeUndefined();
      }
      expect(asked).toBe(1);
    });

    test('another disk of the same version is read in its place', async () => {
      const served = await serve((await aFile()).disk);
      const session = await attached(served);
      await session.read(0, 512);
      await served.server.setExports([{ ...REF, disk: patternDisk({ sizeBytes: SIZE, seed: 7 }) }]);
      expect(patternMismatch(await session.read(0, 512), 0, 7)).toBeUndefined();
    });

    test('a disk taken away is Revoked for who reads it, until it is back', async () => {
      const { disk } = await aFile();
      const served = await serve(disk);
      const session = await attached(served);
      await served.server.setExports([]);
      await expect(session.read(0, 512)).rejects.toThrow('Revoked');
      await served.server.setExports([{ ...REF, disk }]);
      expect(await session.read(0, 512)).toHaveLength(512);
    });
  });

  alone('a device whose right to read ended', () => {
    test('gets Revoked to READs and PINGs, cached or not, until it is lifted; others read on', async () => {
      const served = await serve((await aFile()).disk);
      const { server, at, client } = served;
      const session = await attached(served);
      const other = await aClient();
      const token = aToken({ device: 'pc2', mac: '52:54:00:00:00:02' });
      const honest = await other.attach(at, await other.login(at, token));
      await session.read(0, 512);
      await server.setRefused([CLAIMANT]);
      await expect(session.read(0, 512)).rejects.toThrow('Revoked');
      const ping = session.packet({
        type: 'PING',
        role: 'serve',
        badReads: 0,
        listVersion: 0,
        opaque: Buffer.alloc(8),
      });
      expect(await answersTo(client, at, ping)).toMatchObject([
        { type: 'ERROR', request: session.number, code: 'Revoked' },
      ]);
      expect(await honest.read(0, 512)).toHaveLength(512);
      await honest.ping();
      await server.setRefused([]);
      expect(await session.read(0, 512)).toHaveLength(512);
      await session.ping();
    });

    test('gets Revoked to a READ that waits for its disk', async () => {
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      const fast = pattern();
      const served = await serve({
        ...fast,
        read: async (offset, length) => held.then(() => fast.read(offset, length)),
      });
      const session = await attached(served);
      session.send(session.packet({ type: 'READ', offset: 0, length: 512, hedged: false }));
      await until('WAIT', () => served.client.received.some(({ packet }) => packet.type === 'WAIT'));
      await served.server.setRefused([CLAIMANT]);
      release();
      await until('ERROR', () => served.client.received.some(({ packet }) => packet.type === 'ERROR'));
      expect(served.client.received.some(({ packet }) => packet.type === 'DATA')).toBe(false);
    });

    test('a stand-by of it is not made a served session by reading', async () => {
      const served = await serve((await aFile()).disk);
      const session = await attached(served, { role: 'standby' });
      await served.server.setRefused([CLAIMANT]);
      await expect(session.read(0, 512)).rejects.toThrow('Revoked');
      session.bye();
      await until('left', () => served.events.length === 2);
      expect(served.events.map(({ type }) => type)).toEqual(['attached', 'left']);
    });

    test('neither attaches nor renews, and is told when to come back; until it is lifted', async () => {
      const { client, at, server } = await serve(pattern());
      const ticket = await client.login(at, aToken());
      await server.setRefused([CLAIMANT]);
      const refused = { signed: true, packet: { type: 'REFUSE', code: 'UnknownDevice', retryAfterMs: 5_000 } };
      await expect(client.attach(at, ticket)).rejects.toMatchObject(refused);
      await expect(client.renew(at, ticket)).rejects.toMatchObject(refused);
      const newer = aToken({ mac: '52:54:00:00:00:77' });
      await client.attach(at, await client.login(at, newer)); // the name is another machine's now
      await server.setRefused([]);
      await client.attach(at, await client.renew(at, ticket));
    });
  });

  describe('the end of a server', () => {
    test('drain: MOVE again and again until the device leaves; new ones are refused, stand-bys are not', async () => {
      const served = await serve(pattern());
      const session = await attached(served);
      const ticket = await served.client.login(served.at, aToken());
      const left = served.server.drain(() => OTHER, 10_000);
      const moves = (): number => served.client.received.filter(({ packet }) => packet.type === 'MOVE').length;
      await until('two MOVEs', () => moves() >= 2);
      expect(served.client.received.find(({ packet }) => packet.type === 'MOVE')?.packet).toMatchObject({
        server: OTHER,
      });
      expect(await session.ping()).toMatchObject({ state: 'Draining' });
      const late = await aClient();
      await expect(late.login(served.at, aToken())).rejects.toThrow('Draining');
      await expect(late.attach(served.at, ticket)).rejects.toThrow('Draining');
      const standby = await late.attach(served.at, ticket, { role: 'standby' });
      session.bye();
      await left;
      await until('BYE to the stand-by', () => late.received.some(({ packet }) => packet.type === 'BYE'));
      expect(standby.mode).toBe('Trusted');
    });

    test('drain: a device that attaches anew meanwhile, or is served later, is told to move, too', async () => {
      const served = await serve(pattern());
      const ticket = await served.client.login(served.at, aToken());
      const first = await served.client.attach(served.at, ticket);
      const standby = await attached(served, { role: 'standby' }, 'pc2', await aClient());
      const left = served.server.drain(() => OTHER, 10_000);
      const told = ({ client, id }: ClientSession): boolean =>
        client.received.some(({ packet }) => packet.type === 'MOVE' && packet.session === id);
      await until('MOVE', () => told(first));
      const again = await served.client.attach(served.at, ticket, { maxSegmentBytes: 448 });
      await until('MOVE to the session in its place', () => told(again));
      expect(told(standby)).toBe(false);
      await standby.read(0, 512);
      await until('MOVE to the stand-by that serves now', () => told(standby));
      again.bye();
      standby.bye();
      await left;
    });

    test('drain ends at its time, with BYE', async () => {
      const served = await serve(pattern());
      await attached(served);
      await served.server.drain(() => undefined, 60);
      await until('BYE', () => served.client.received.some(({ packet }) => packet.type === 'BYE'));
      const move = served.client.received.find(({ packet }) => packet.type === 'MOVE');
      expect(move?.packet).toMatchObject({ server: { host: '', port: 0 } });
    });

    test('close says BYE and may be called twice; the port is free then', async () => {
      const served = await serve(pattern());
      await attached(served);
      await Promise.all([served.server.close(), served.server.close()]);
      await until('BYE', () => served.client.received.some(({ packet }) => packet.type === 'BYE'));
      await serve(pattern(), { port: served.at.port });
    });

    test('a taken port is a fault that names it', async () => {
      const { at } = await serve(pattern());
      await expect(serve(pattern(), { port: at.port })).rejects.toThrow(
        `UDP port ${at.port} of 127.0.0.1 is taken by node (process ${process.pid})`,
      );
      await expect(serve(pattern(), { address: '203.0.113.7' })).rejects.toThrow('no such address');
    });

    test('the self test asks through the socket', async () => {
      const { server } = await serve(pattern());
      expect(await server.selfTest()).toEqual({ ok: true, value: undefined });
      // A thread counts after it has sent.
      await until('one in, one out', () => server.counters().packetsIn === 1 && server.counters().packetsOut === 1);
    });
  });
}
