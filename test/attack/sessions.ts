/** Attacks on the stream by one who has a device of the farm, or a cookie at least. */
import { execFileSync } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { makeShare } from '../../src/stream/keys.ts';
import { encode } from '../../src/stream/packet.ts';
import {
  attachPacket,
  type ClientSession,
  loginPacket,
  StreamClient,
  type TicketFacts,
} from '../contract/stream-client.ts';
import { type Field, pick } from './field.ts';

const PORTS_OF_ONE_DEVICE = 400;
const ATTACHES_AT_ONCE = 8;
const COOKIE_LIFE_MS = 60_000;

interface Asker {
  readonly from: { readonly address: string; readonly port: number };
  readonly to: { readonly address: string; readonly port: number };
  readonly cookie: Uint8Array;
}

const streamOf = (field: Field, server: string) => ({ host: server, port: field.options.ports.stream });

/** A port of an address that has a cookie; nobody listens there any more. */
async function asker(field: Field, number: number): Promise<Asker> {
  const server = field.server(number);
  const client = await StreamClient.open(field.source(number));
  const to = streamOf(field, server);
  try {
    const cookie = Buffer.from(await client.cookie(to));
    return { from: client.address, to: { address: to.host, port: to.port }, cookie };
  } finally {
    client.close();
  }
}

async function askers(field: Field): Promise<Asker[]> {
  const all = await Promise.allSettled(field.options.addresses.map((_, number) => asker(field, number)));
  return all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}

/** HELLOs, and LOGINs and ATTACHes with cookies that are right and tokens that are not. */
export async function logins(field: Field): Promise<void> {
  let all = await askers(field);
  let freshUntilMs = performance.now() + COOKIE_LIFE_MS;
  const hello = (): Buffer => encode({ type: 'HELLO', session: 0, number: 0, nonce: randomBytes(16) });
  const [key, share] = [randomBytes(32), makeShare().bytes];
  await field.pace(7_000, () => {
    if (performance.now() > freshUntilMs) {
      freshUntilMs += COOKIE_LIFE_MS;
      void askers(field).then((fresh) => (all = fresh));
    }
    if (all.length === 0) return;
    const { from, to, cookie } = pick(all, field.sent);
    const token = randomBytes(300);
    if (field.sent % 4 === 0) field.raw(from, to, hello());
    else if (field.sent % 4 === 1) field.raw(from, to, attachPacket(key, token, cookie));
    else field.raw(from, to, loginPacket(cookie, share, token));
  });
}

async function token(field: Field, server: string): Promise<Buffer> {
  const answer = await fetch(`http://${server}:${field.options.ports.http}/boot/config?mac=${field.mac}`);
  return Buffer.from(/^token=(.*)$/m.exec(await answer.text())?.[1] ?? '', 'base64url');
}

/** Asked until there is one: others attack meanwhile. */
async function ticketOf(field: Field, server: string): Promise<TicketFacts> {
  for (;;) {
    const client = await StreamClient.open(field.source());
    try {
      return await client.login(streamOf(field, server), await token(field, server), { redirected: true });
    } catch (thrown) {
      if (field.over) throw thrown;
    } finally {
      client.close();
    }
  }
}

/** One device on 400 ports, whose role changes with each ping, and which reads all over the disk as fast as it may. */
export async function sessions(field: Field): Promise<void> {
  const server = field.server(Number(field.options.address.split('.')[3]));
  const ticket = await ticketOf(field, server);
  const held: ClientSession[] = [];
  let number = 0;
  const attach = async (): Promise<void> => {
    const client = await StreamClient.open(field.source(number++));
    try {
      held.push(await client.attach(streamOf(field, server), ticket));
      if (held.length > PORTS_OF_ONE_DEVICE) held.shift()?.client.close();
    } catch {
      client.close(); // its budget is spent
    }
    field.sent += 1;
  };
  let attaching = 0;
  const attaches = field.pace(50, async () => {
    if (attaching >= ATTACHES_AT_ONCE) return;
    attaching += 1;
    await attach();
    attaching -= 1;
  });
  const talks = field.pace(4_000, () => {
    const session = held[randomInt(Math.max(1, held.length))];
    if (!session) return;
    const role = field.sent % 2 ? 'serve' : 'standby';
    const offset = 4_096 * randomInt(Math.floor(ticket.sizeBytes / 4_096));
    const read = { type: 'READ', offset, length: 4_096, hedged: false } as const;
    const ping = { type: 'PING', role, badReads: 0, listVersion: 0, opaque: randomBytes(8) } as const;
    session.send(session.packet(field.sent % 3 ? read : ping));
    field.sent += 1;
  });
  await Promise.all([attaches, talks]);
  for (const { client } of held) client.close();
}

/** Attaches, and then its address is nobody's any more; READs of 64 KiB go on in its name. */
export async function silence(field: Field): Promise<void> {
  const server = field.server(Number(field.options.address.split('.')[3]));
  const third = field.options.address.split('.')[3];
  const address = `10.77.0.2${third}`;
  execFileSync('ip', ['address', 'add', `${address}/32`, 'dev', 'eth0']);
  const to = streamOf(field, server);
  const ticket = await ticketOf(field, server);
  const client = await StreamClient.open(address);
  const from = { address, port: client.address.port };
  let session: ClientSession;
  try {
    session = await client.attach(to, ticket);
  } finally {
    execFileSync('ip', ['address', 'delete', `${address}/32`, 'dev', 'eth0']);
    client.close();
  }
  await field.pace(1_000, () => {
    const offset = 65_536 * (field.sent % 512);
    field.raw(
      from,
      { address: to.host, port: to.port },
      session.packet({ type: 'READ', offset, length: 65_536, hedged: false }),
    );
  });
}

/** A session's own packets again and again: its LOGIN, its ATTACH, its READs, its PINGs. */
export async function replays(field: Field): Promise<void> {
  const server = field.server(Number(field.options.address.split('.')[3]));
  const to = { address: server, port: field.options.ports.stream };
  const ticket = await ticketOf(field, server);
  const client = await StreamClient.open(field.source());
  const peer = streamOf(field, server);
  const session = await client.attach(peer, ticket);
  const cookie = Buffer.from(await client.cookie(peer));
  const from = { address: client.address.address, port: client.address.port };
  const captured = [
    loginPacket(cookie, makeShare().bytes, await token(field, server)),
    attachPacket(ticket.sessionKey, ticket.ticket, cookie),
    session.packet({ type: 'PING', role: 'serve', badReads: 0, listVersion: 0, opaque: randomBytes(8) }),
    ...[0, 1, 2, 3].map((n) => session.packet({ type: 'READ', offset: n * 32_768, length: 32_768, hedged: false })),
    session.packet({ type: 'SERVERS', listVersion: 0 }),
    session.packet({ type: 'BYE', reason: 'Leaving' }),
  ];
  client.close();
  await field.pace(6_000, () => field.raw(from, to, pick(captured, field.sent)));
}
