/** Logging: pino with constant messages; everything variable is a key. Folders take the small interface, not pino. */
import { pino } from 'pino';

type Fields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(fields: Fields, message: string): void;
  info(fields: Fields, message: string): void;
  warn(fields: Fields, message: string): void;
  error(fields: Fields, message: string): void;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** JSON lines on standard output, level as a word, time in ISO 8601. */
export function createLogger(level: LogLevel, fields: Fields): Logger {
  return pino({
    level,
    base: { ...fields },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
