/** What was thrown, read without trusting its class: errors of Node's own modules are of another realm under the test runner. */

/** `ENOENT`, `EADDRINUSE`, …; empty when it has none. */
export const errorCode = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';

export const errorMessage = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error);
