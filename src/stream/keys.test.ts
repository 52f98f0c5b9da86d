import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { checkCookie, makeCookie } from './cookie.ts';
import {
  answerTag,
  attachKey,
  KEY_AT,
  loginKeys,
  makeShare,
  piecesTag,
  type Share,
  sign,
  trafficKeys,
  verify,
} from './keys.ts';
import { encode } from './packet.ts';
import { siphash } from './siphash.ts';

const ascending = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, index) => index));

/** From the reference code's vectors_sip128 (SipHash-2-4, 128 bits): input 00, 01, … of the given length under key 00…0f. */
test.each([
  { length: 0, hex: 'a3817f04ba25a8e66df67214c7550293' },
  { length: 1, hex: 'da87c1d86b99af44347659119b22fc45' },
  { length: 7, hex: 'a1f1ebbed8dbc153c0b84aa61ff08239' },
  { length: 8, hex: '3b62a9ba6258f5610f83e264f31497b4' },
])('SipHash of $length bytes', ({ length, hex }) => {
  expect(Buffer.from(siphash(ascending(16), ascending(length))).toString('hex')).toBe(hex);
});

test('both sides of a login come to the same keys; another share to others', () => {
  const [client, server, other] = [makeShare(), makeShare(), makeShare()];
  const mine = loginKeys(client, server.bytes, client.bytes, server.bytes);
  expect(loginKeys(server, client.bytes, client.bytes, server.bytes)).toEqual(mine);
  expect(loginKeys(other, client.bytes, client.bytes, server.bytes)).not.toEqual(mine);
});

test('a renewal comes to keys of its own, which depend on the session key before it', () => {
  const [client, server] = [makeShare(), makeShare()];
  const keys = (renews?: Uint8Array) => loginKeys(client, server.bytes, client.bytes, server.bytes, renews);
  expect(keys(ascending(32))).toEqual(loginKeys(server, client.bytes, client.bytes, server.bytes, ascending(32)));
  expect(keys(ascending(32))).not.toEqual(keys());
  expect(keys(ascending(32))).not.toEqual(keys(Buffer.alloc(32)));
});

/** A share whose secret is 32 bytes of that value. */
function aShare(value: number): Share {
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), Buffer.alloc(32, value)]);
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  return { key, bytes: createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32) };
}

/** BLAKE3 of bytes 0, 1, … 250, 0, 1, …: of its published test vectors. */
const BLAKE3 = [
  { bytes: 1_024, hash: '42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7' },
  { bytes: 4_096, hash: '015094013f57a5277b59d8475c0501042c0b642e531b0a1c8f58d2163229e969' },
  { bytes: 1_024, hash: '42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7' },
];

/** An answer that begins 1,024 bytes before a multiple of 4,096, so that these are the hashes of its three pieces. */
function anAnswer() {
  const data = Buffer.concat(BLAKE3.map(({ bytes }) => Buffer.from(Array.from({ length: bytes }, (_, i) => i % 251))));
  const place = { session: 77, number: 9, request: 5, offset: 3_072, length: data.length, position: 0 } as const;
  const packet = encode({ type: 'DATA', ...place, answerTag: Buffer.alloc(16), data: data.subarray(0, 64) });
  const hashes = Buffer.concat(BLAKE3.map(({ hash }) => Buffer.from(hash, 'hex')));
  return { key: ascending(32), number: place.number, header: packet.subarray(0, 40), data, hashes };
}

/** What the C client's codec_test checks its own keys and tags by. */
test('test/golden/stream-keys.txt says what these keys are', () => {
  const [client, server, renews, nonce] = [aShare(1), aShare(2), Buffer.alloc(32, 3), Buffer.alloc(16, 4)];
  const login = loginKeys(client, server.bytes, client.bytes, server.bytes);
  const renewal = loginKeys(client, server.bytes, client.bytes, server.bytes, renews);
  if (!login.ok || !renewal.ok) throw new Error('no keys');
  const [before, attach] = [{ session: 0, number: 0, nonce } as const, attachKey(renews)];
  const cookie = Buffer.alloc(20, 5);
  const ask = { ...before, cookie, renew: true, redirected: false, share: client.bytes, token: ascending(40) } as const;
  const servers = [{ host: '10.0.0.11', port: 6910, state: 'Streaming' }] as const;
  const facts = { sizeBytes: 1 << 30, blockSize: 512, mode: 'Authenticated', suite: 'Aead', listVersion: 7 } as const;
  const ticket = { ...before, share: server.bytes, ...facts, ticket: ascending(50), servers } as const;
  const busy = { ...before, code: 'Busy', retryAfterMs: 700, text: 'wait' } as const;
  const answer = anAnswer();
  const vectors = {
    clientSecret: Buffer.alloc(32, 1),
    clientShare: client.bytes,
    serverSecret: Buffer.alloc(32, 2),
    serverShare: server.bytes,
    loginSessionKey: login.value.sessionKey,
    loginLoginKey: login.value.loginKey,
    oldSessionKey: renews,
    oldAttachKey: attach,
    renewalSessionKey: renewal.value.sessionKey,
    renewalLoginKey: renewal.value.loginKey,
    renewalLogin: sign(siphash, attach, encode({ type: 'LOGIN', ...ask })),
    renewalTicket: sign(siphash, renewal.value.loginKey, encode({ type: 'TICKET', ...ticket })),
    refuseSigned: sign(siphash, attach, encode({ type: 'REFUSE', ...busy })),
    refuseUnsigned: encode({ type: 'REFUSE', ...busy }),
    answerKey: answer.key,
    answerHeader: answer.header,
    answerHashes: answer.hashes,
    aeadTag: answerTag(answer.key, answer.number, answer.header, answer.data),
    piecesTag: piecesTag(siphash, answer.key, answer.header, answer.hashes),
  };
  const lines = Object.entries(vectors).map(([name, bytes]) => `${name} ${Buffer.from(bytes).toString('hex')}\n`);
  expect(readFileSync(join(import.meta.dirname, '../../test/golden/stream-keys.txt'), 'utf8')).toBe(lines.join(''));
});

test('a share of small order is refused', () => {
  const share = makeShare();
  expect(loginKeys(share, Buffer.alloc(32), share.bytes, Buffer.alloc(32))).toMatchObject({ ok: false });
});

test('keys are a function of session key, nonces and instance alone', () => {
  const keys = trafficKeys(ascending(32), Buffer.alloc(16, 1), Buffer.alloc(16, 2), Buffer.alloc(8, 3));
  expect(keys.all).toHaveLength(KEY_AT.end);
  expect(Buffer.concat([keys.clientTag, keys.serverTag, keys.serverData])).toEqual(keys.all.subarray(0, 64));
  expect(trafficKeys(ascending(32), Buffer.alloc(16, 1), Buffer.alloc(16, 2), Buffer.alloc(8, 4)).all).not.toEqual(
    keys.all,
  );
  expect(attachKey(ascending(32))).toHaveLength(16);
});

test('a tag holds for its key and every byte', () => {
  const packet = sign(siphash, ascending(16), Buffer.alloc(48, 5));
  expect(verify(siphash, ascending(16), packet)).toBe(true);
  expect(verify(siphash, Buffer.alloc(16), packet)).toBe(false);
  for (let at = 0; at < packet.length; at++) {
    const altered = Buffer.from(packet);
    altered[at] = (altered[at] ?? 0) ^ 1;
    expect(verify(siphash, ascending(16), altered)).toBe(false);
  }
});

test('an answer tag holds for number, header and data, and not for the bytes after the header', () => {
  const [key, header, data] = [ascending(32), ascending(64), ascending(100)];
  const tag = answerTag(key, 7, header, data);
  expect(answerTag(key, 8, header, data)).not.toEqual(tag);
  expect(answerTag(key, 7, Buffer.alloc(64), data)).not.toEqual(tag);
  expect(answerTag(key, 7, header, data.subarray(1))).not.toEqual(tag);
  expect(answerTag(key, 7, header.subarray(0, 40), data)).toEqual(tag);
});

test("a tag of pieces holds for the key's first half, header and hashes, and not for the bytes after the header", () => {
  const { key, header, hashes } = anAnswer();
  const tag = piecesTag(siphash, key, header, hashes);
  expect(tag).toHaveLength(16);
  expect(piecesTag(siphash, key.subarray(0, 16), Buffer.concat([header, ascending(24)]), hashes)).toEqual(tag);
  expect(piecesTag(siphash, Buffer.alloc(32), header, hashes)).not.toEqual(tag);
  for (const at of [0, 31, 32, 95]) {
    const altered = Buffer.from(hashes);
    altered[at] = (altered[at] ?? 0) ^ 1;
    expect(piecesTag(siphash, key, header, altered)).not.toEqual(tag);
  }
  for (let at = 0; at < header.length; at++) {
    const altered = Buffer.from(header);
    altered[at] = (altered[at] ?? 0) ^ 1;
    expect(piecesTag(siphash, key, altered, hashes)).not.toEqual(tag);
  }
  expect(piecesTag(siphash, key, header, hashes.subarray(32))).not.toEqual(tag);
});

test.each([
  { name: 'at once', host: '10.0.0.1', port: 5, atMs: 0, good: true },
  { name: 'in the next slot', host: '10.0.0.1', port: 5, atMs: 64_000, good: true },
  { name: 'two slots later', host: '10.0.0.1', port: 5, atMs: 128_000, good: false },
  { name: 'before its time', host: '10.0.0.1', port: 5, atMs: -64_000, good: false },
  { name: 'from another port', host: '10.0.0.1', port: 6, atMs: 0, good: false },
  { name: 'from another address', host: '10.0.0.2', port: 5, atMs: 0, good: false },
  { name: 'from the same bytes as IPv6', host: 'a00:1::', port: 5, atMs: 0, good: false },
])('a cookie $name: $good', ({ host, port, atMs, good }) => {
  const made = 640_000;
  const cookie = makeCookie(siphash, ascending(16), { host: '10.0.0.1', port: 5 }, made);
  expect(checkCookie(siphash, ascending(16), { host, port }, cookie, made + atMs)).toBe(good);
  expect(checkCookie(siphash, Buffer.alloc(16), { host, port }, cookie, made + atMs)).toBe(false);
});
