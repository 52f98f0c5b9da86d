/** A packet as the files of `wire/` tell it: its bytes in hex, then a line a field, in the order of the table. */
import type { Packet } from '../../src/stream/packet.ts';

export function wireText(packet: Packet, bytes: Uint8Array): string {
  const fields = Object.entries(packet).filter(([name]) => name !== 'type');
  const lines = fields.flatMap(([name, value]) => many(value).map((one) => `${name} ${textOf(one)}`));
  return [`bytes ${textOf(bytes)}`, ...lines, ''].join('\n');
}

const many = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [value]);

function textOf(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value !== 'object' || value === null) return String(value);
  const { host, port, state } = value as { host: string; port: number; state: string };
  return `${host || 'any'} ${port} ${state}`;
}
