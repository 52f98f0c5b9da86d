/** What an answer of a web server is worth to who fetches a file, whole or from a byte on: RFC 9110, sections 13, 14 and 15. Pure. */
import { type Fault, fail, ok, type Result } from '../kit/result.ts';

export interface Answer {
  readonly status: number;
  /** Names in small letters. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** What was asked for, and what is known of the file. */
export interface Asked {
  /** The first byte; 0: all of it. */
  readonly at: number;
  /** Of the file, as it is to be. */
  readonly sizeBytes?: number;
  /** Of the file, as an earlier answer said it. */
  readonly knownBytes?: number;
  /** Of what was fetched up to `at`. */
  readonly validator?: string;
}

export type Judged =
  /** Its body is the file from this byte to its end. `from` is 0 where it begins anew. */
  | { readonly kind: 'body'; readonly from: number; readonly sizeBytes: number; readonly validator?: string }
  | { readonly kind: 'elsewhere'; readonly url: string }
  /** All of it was fetched before. */
  | { readonly kind: 'whole' }
  /** What was asked for from a byte on cannot be had so: all of it is asked for. */
  | { readonly kind: 'anew'; readonly why: string };

/**
 * - `HttpRefused`: it says no, and will again. `HttpBusy`: not now.
 * - `AnswerInvalid`: what it says contradicts itself, or is not what was asked for.
 * - `SizeUnknown`, `SizeWrong`: how large the file is, is not known before, or is not as it was said.
 */
export type AnswerFault = Fault<'HttpRefused' | 'HttpBusy' | 'AnswerInvalid' | 'SizeUnknown' | 'SizeWrong'>;

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const BUSY: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

export function judgeAnswer(answer: Answer, asked: Asked): Result<Judged, AnswerFault> {
  const { status } = answer;
  if (REDIRECTS.has(status)) {
    const url = header(answer, 'location');
    return url === undefined
      ? fail('AnswerInvalid', `it answers ${status} without saying where to`)
      : ok({ kind: 'elsewhere', url });
  }
  if (BUSY.has(status)) return fail('HttpBusy', `it answers ${status}`);
  if (status === 416 && asked.at > 0) return ok(judgeUnsatisfied(answer, asked));
  if (status !== 200 && status !== 206)
    return fail('HttpRefused', `it answers ${status}: correct the address, or let it be read there`);
  const encoding = header(answer, 'content-encoding') ?? 'identity';
  if (encoding !== 'identity')
    return fail('AnswerInvalid', `it sends it as ${encoding} without having been asked: let it send the file as it is`);
  return status === 200 ? judgeWhole(answer, asked) : judgePart(answer, asked);
}

function header({ headers }: Answer, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Only a strong one may be a condition of a range (13.1.5). */
function validatorOf(answer: Answer): { readonly validator?: string } {
  const tag = header(answer, 'etag');
  return tag !== undefined && /^"[^"]*"$/.test(tag) ? { validator: tag } : {};
}

/** It has no ranges, or the file is another one by now. */
function judgeWhole(answer: Answer, { sizeBytes: said }: Asked): Result<Judged, AnswerFault> {
  const length = wholeNumber(header(answer, 'content-length'));
  const sizeBytes = length ?? said;
  if (sizeBytes === undefined)
    return fail('SizeUnknown', 'it does not say how large the file is: say it, or let it send Content-Length');
  if (said !== undefined && said !== sizeBytes)
    return fail('SizeWrong', `its file has ${sizeBytes} bytes, not ${said}`);
  return ok({ kind: 'body', from: 0, sizeBytes, ...validatorOf(answer) });
}

function judgePart(
  answer: Answer,
  { at, sizeBytes, knownBytes = sizeBytes, validator }: Asked,
): Result<Judged, AnswerFault> {
  if (at === 0) return fail('AnswerInvalid', 'it answers with a part of the file, and all of it was asked for');
  const range = header(answer, 'content-range') ?? '';
  const [, first, last, total] = (/^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(range) ?? []).map(Number);
  if (first === undefined || last === undefined || total === undefined)
    return ok({ kind: 'anew', why: `it answers with the range ${JSON.stringify(range)}` });
  const length = wholeNumber(header(answer, 'content-length'));
  const isAsked = first === at && last === total - 1 && (length ?? total - at) === total - at;
  if (!isAsked) return ok({ kind: 'anew', why: `it answers with the range ${range}, and bytes ${at}- were asked for` });
  if (knownBytes !== undefined && knownBytes !== total)
    return ok({ kind: 'anew', why: `its file has ${total} bytes by now` });
  const now = validatorOf(answer);
  if (validator !== undefined && now.validator !== undefined && now.validator !== validator)
    return ok({ kind: 'anew', why: 'its file is another one by now' });
  return ok({ kind: 'body', from: at, sizeBytes: total, ...now });
}

function judgeUnsatisfied(answer: Answer, { at }: Asked): Judged {
  const [, total] = /^bytes \*\/(\d{1,15})$/.exec(header(answer, 'content-range') ?? '') ?? [];
  return Number(total) === at ? { kind: 'whole' } : { kind: 'anew', why: `its file has no byte ${at}` };
}

const wholeNumber = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
