import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fillBox } from '../kit/box.ts';
import {
  contentDigest,
  findPrivateKey,
  makeRecoveryKey,
  openCopies,
  parsePublicKey,
  publicTextOf,
  type RecoveryCopy,
  type RecoveryFault,
  type RecoveryKey,
  sealCopy,
} from './recovery.ts';

const value = <T>(answer: { ok: true; value: T } | { ok: false; error: RecoveryFault }): T => {
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
};
const MADE = makeRecoveryKey(Buffer.alloc(32, 7));
const recipient = value(parsePublicKey(MADE.publicText));
const holder = value(findPrivateKey(MADE.privateText));
const aCopy: RecoveryCopy = {
  farm: 'lab/farm',
  id: 'a',
  uid: 'u',
  secrets: { keys: { current: 'MQ==', 'key-1': 'AAAA' }, database: { password: 'c2VjcmV0' } },
  sealedAt: '2026-11-28T12:00:00.000Z',
};
const sealed = sealCopy(aCopy, recipient);
const code = (answer: { ok: boolean; error?: { code: string } }) => (answer.ok ? 'ok' : answer.error?.code);

describe('the texts of a key', () => {
  test('stay as they are, so that what was printed years ago opens', () => {
    expect(MADE).toEqual({
      id: '0f6d2553ff0c0f44',
      privateText: 'bootfarm-recovery-private-1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcghb32',
      publicText: 'bootfarm-recovery-public-1:E75P6uryBMf9M1j8nAByGIHRdCeBKCJ-xnTzf3_pe20PcQzN',
    });
    expect([holder.id, recipient.id, publicTextOf(holder)]).toEqual([MADE.id, MADE.id, MADE.publicText]);
    expect(makeRecoveryKey().privateText).not.toBe(makeRecoveryKey().privateText);
  });

  test('with any character changed, or cut anywhere, are refused, and the message repeats nothing', () => {
    const { privateText, publicText } = MADE;
    const from = privateText.indexOf(':') + 1;
    for (let at = from; at < privateText.length; at++) {
      const changed = `${privateText.slice(0, at)}${privateText[at] === 'A' ? 'B' : 'A'}${privateText.slice(at + 1)}`;
      expect([at, code(findPrivateKey(changed))]).toEqual([at, 'KeyInvalid']);
      expect([at, code(findPrivateKey(privateText.slice(0, at)))]).toEqual([at, 'KeyInvalid']);
      expect(JSON.stringify(findPrivateKey(changed))).not.toContain(changed.slice(from, from + 10));
    }
    for (let at = 0; at < publicText.length; at++)
      expect([at, code(parsePublicKey(publicText.slice(0, at)))]).toEqual([at, 'KeyInvalid']);
    expect(code(parsePublicKey(privateText))).toBe('KeyInvalid');
  });

  test('are found where people keep them, and two are no one', () => {
    expect(findPrivateKey(`# printed on Monday\r\n  ${MADE.privateText}\r\n\n${MADE.privateText}`)).toEqual({
      ok: true,
      value: holder,
    });
    expect(code(findPrivateKey(`${MADE.privateText} ${makeRecoveryKey().privateText}`))).toBe('KeyInvalid');
    expect(code(findPrivateKey(sealed))).toBe('KeyMissing');
    expect(code(findPrivateKey(MADE.privateText + sealed))).toBe('ok'); // a file without its last line feed
  });
});

describe('a copy', () => {
  test('opens, in whatever surrounds it, and the same one twice is one', () => {
    expect(openCopies(sealed, holder)).toEqual({ ok: true, value: [aCopy] });
    const other = sealCopy({ ...aCopy, id: 'b' }, recipient);
    const text = `Defaulted container\r\n${sealed.replaceAll('\n', '\r\n')}${MADE.privateText}\n${other}${sealed}`;
    expect(value(openCopies(text, holder)).map(({ id }) => id)).toEqual(['a', 'b']);
  });

  test('holds nothing that can be read', () => {
    const bytes = Buffer.from(sealed.replace(/-----.*-----/g, ''), 'base64').toString('latin1');
    for (const word of ['lab/farm', 'c2VjcmV0', 'password']) expect(sealed + bytes).not.toContain(word);
  });

  test('of another key is told so, by the ids', () => {
    const other = value(findPrivateKey(makeRecoveryKey().privateText));
    expect(openCopies(sealed, other)).toMatchObject({
      error: {
        code: 'CopyOfOtherKey',
        message: expect.stringContaining(`${recipient.id}, and this is key ${other.id}`),
      },
    });
    const mine = sealCopy({ ...aCopy, id: 'b' }, value(parsePublicKey(publicTextOf(other))));
    expect(value(openCopies(sealed + mine, other))).toMatchObject([{ id: 'b' }]); // after --replace both may lie there
  });

  test('with any character changed is refused', () => {
    const lines = sealed.split('\n');
    const from = (lines[0] ?? '').length + 1;
    fc.assert(
      fc.property(
        fc.integer({ min: from, max: sealed.indexOf('\n-----END') - 1 }),
        fc.constantFrom(...'ABab01+/=', '\n', '-'),
        (at, character) => {
          if (sealed[at] === character || sealed[at] === '\n') return;
          const bad = sealed.slice(0, at) + character + sealed.slice(at + 1);
          expect(openCopies(bad, holder).ok).toBe(false);
        },
      ),
      { seed: 3, numRuns: 500 },
    );
  });

  test.each([
    ['nothing', '', 'CopyMissing'],
    ['one without its end', sealed.slice(0, -20), 'CopyMissing'],
    ['one that is cut inside', sealed.replace(/\n.*\n-----END/, '\n-----END'), 'CopyInvalid'],
    ['one of other fields', boxed({ farm: 'lab/farm' }, recipient), 'CopyInvalid'],
    ['one that is no JSON', boxed('{', recipient), 'CopyInvalid'],
  ])('%s is refused', (_, text, refusal) => {
    expect(code(openCopies(text, holder))).toBe(refusal);
  });

  test('has a digest of its content, whatever order its keys have and whenever it was sealed', () => {
    const { keys, database } = aCopy.secrets;
    const turned = { keys: Object.fromEntries(Object.entries(keys).reverse()), database };
    const first = contentDigest(aCopy, recipient);
    expect(contentDigest({ ...aCopy, secrets: turned }, recipient)).toBe(first);
    const other = value(parsePublicKey(makeRecoveryKey().publicText));
    const digests = [
      contentDigest(aCopy, other),
      contentDigest({ ...aCopy, id: 'b' }, recipient),
      contentDigest({ ...aCopy, uid: 'v' }, recipient),
      contentDigest({ ...aCopy, secrets: { keys, database: { password: 'x' } } }, recipient),
    ];
    expect(new Set([first, ...digests]).size).toBe(5);
  });
});

function boxed(content: object | string, { bytes }: RecoveryKey): string {
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  const [begin, end] = ['BEGIN', 'END'].map((word) => `-----${word} BOOTFARM RECOVERY COPY-----`);
  return `${begin}\n${fillBox(bytes, 'recovery copy', Buffer.from(text)).toString('base64')}\n${end}\n`;
}
