/**
 * What leaves a cluster in a report, without what nobody else may know. Pure. Secrets are never read for it; this is for those that stand where they should
 * not: in an address, an argument, a variable, a line of a log. It takes away too much rather than too little.
 */

const REDACTED = '<redacted>';

const NAMES =
  '(?:password|passwd|passphrase|pwd|token|secret|credentials?|authorization|api[_-]?key|private[_-]?key|ticket|cookie)';
/** Quotes may be escaped: JSON within JSON. */
const QUOTE = `\\\\*["']?`;

/** In this order: what a later one would cut in half comes first. */
const RULES: readonly (readonly [find: RegExp, put: string])[] = [
  [/-----BEGIN [A-Z0-9 ]+-----[\s\S]*?(?:-----END [A-Z0-9 ]+-----|$)/g, REDACTED],
  // To the last @ of the word: a password may have one.
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^\s"'<>]*@/gi, `$1${REDACTED}@`],
  [/\b(bearer|basic)\s+[\w.~+/=-]+/gi, `$1 ${REDACTED}`],
  [
    new RegExp(
      `(${NAMES}${QUOTE}\\s*[=:]\\s*)(?:\\\\+".*?\\\\+"|"(?:[^"\\\\]|\\\\.)*"|'[^']*'|[^\\s,;&"'}\\]]+)`,
      'gi',
    ),
    `$1${REDACTED}`,
  ],
  [new RegExp(`\\b(key[\\w-]*${QUOTE}\\s*[=:]\\s*${QUOTE})[0-9a-f]{32,}`, 'gi'), `$1${REDACTED}`],
  [/\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)*/g, REDACTED],
];

/** Keys, tickets and boot tokens as base64: names of Kubernetes have no capitals, digests no letters behind f. */
const LONG = /[A-Za-z0-9+/_-]{40,}={0,2}/g;
const isMixed = (word: string): boolean => /[a-z]/.test(word) && /[A-Z]/.test(word) && /\d/.test(word);

export const redactedText = (text: string): string =>
  RULES.reduce((left, [find, put]) => left.replace(find, put), text).replace(LONG, (word) =>
    isMixed(word) ? REDACTED : word,
  );

const FIELD = new RegExp(`${NAMES}$`, 'i');
const ARGUMENT = new RegExp(`^--?[\\w-]*${NAMES}$`, 'i');
/** Of a variable: a name that may stand for a secret, and does not end in what is none. */
const VARIABLE = /pass|pwd|token|secret|key|credential|auth|uri|url|dsn/i;
const PLACE = /_(file|path|dir|folder|socket)$/i;

/** Left out: copies of the whole object, as somebody applied it. */
const LEFT_OUT = ['managedFields', 'kubectl.kubernetes.io/last-applied-configuration'];

/** An object of the Kubernetes API, or any JSON. */
export function redacted(value: unknown): unknown {
  if (typeof value === 'string') return redactedText(value);
  if (Array.isArray(value))
    return value.map((item: unknown, at) =>
      isArgument(value[at - 1]) && typeof item === 'string' ? REDACTED : redacted(item),
    );
  if (typeof value !== 'object' || value === null) return value;
  const object = value as Readonly<Record<string, unknown>>;
  const isSecret = object['kind'] === 'Secret';
  const name = object['name'];
  const isVariable = typeof name === 'string' && VARIABLE.test(name) && !PLACE.test(name);
  return Object.fromEntries(
    Object.entries(object)
      .filter(([key]) => !LEFT_OUT.includes(key) && !(isSecret && (key === 'data' || key === 'stringData')))
      .map(([key, inner]) => {
        const hides = FIELD.test(key) || (key === 'value' && isVariable);
        return [key, hides && typeof inner === 'string' ? REDACTED : redacted(inner)];
      }),
  );
}

const isArgument = (before: unknown): boolean => typeof before === 'string' && ARGUMENT.test(before);
