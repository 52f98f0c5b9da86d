/** Errors by input are values with a stable code; bugs throw. */
export type Result<T, E> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: E };

/** A named error: `code` is stable and CamelCase, `message` names the thing, the value, the limit and the way out. */
export interface Fault<Code extends string = string> {
  readonly code: Code;
  readonly message: string;
}

export const ok = <T>(value: T): Result<T, never> => ({ ok: true, value });

export const fail = <Code extends string>(code: Code, message: string): Result<never, Fault<Code>> => ({
  ok: false,
  error: { code, message },
});

/** For exhaustive switches: compiles only when every case was handled. */
export function never(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
