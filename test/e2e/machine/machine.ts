/** Virtual machines for tests: README.md. */
import { type ChildProcess, spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { closeSync, copyFileSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { CONFIG_PATH } from '../../../src/httpboot/config.ts';
import { cpio } from '../../../src/httpboot/cpio.ts';
import { inNamespace, intoNamespace, run } from './run.ts';

export interface MachineOptions {
  /** At most 11 letters and digits: the tap is named after it. */
  readonly name: string;
  /** An existing network namespace with that bridge; absent: the machine's own. */
  readonly namespace?: string;
  readonly bridge: string;
  readonly mac: string;
  /** Its files: console.log, bios.log (what SeaBIOS says of itself), sockets. Made if it is not there; the caller removes it. */
  readonly stateDirectory: string;
  /** It goes on when this process ends; whoever asks for that records its pid. */
  readonly outlives?: boolean;
  readonly memoryMiB?: number;
  readonly firmware?: 'bios' | 'uefi';
  /** Of its network card, where that is not Ethernet's. */
  readonly mtu?: number;
  /** A raw image as virtio disk; what is written to it is thrown away. */
  readonly disk?: string;
  /** Instead of PXE. `config` is the text of /bootfarm/boot; without it the root is elsewhere. */
  readonly direct?: {
    readonly kernel: string;
    readonly initrd: string;
    readonly commandLine: string;
    readonly config?: string;
  };
}

export interface Machine {
  readonly name: string;
  readonly pid: number;
  readonly consolePath: string;
  console(): string;
  /** Waits for a line of the console; throws with the console's last lines after the deadline, or when the machine ended. */
  waitFor(pattern: RegExp, deadlineMs: number): Promise<RegExpExecArray>;
  /** One command to the agent of the demo image (`target/demo/agent.c`), one answer. Commands wait for each other. */
  ask<T = Record<string, unknown>>(command: string, deadlineMs?: number): Promise<T>;
  /** Power off by force, tap removed. Calling it again does nothing. */
  kill(): Promise<void>;
}

/**
 * Instructions that shuffle bytes are calls out of translated code, and what chooses its code by the processor chooses them: without, a boot over the
 * network took 16.5 s in place of 23.5, and authenticated reads were 310 a second in place of 195.
 */
const NOT_EMULATED = '-avx,-avx2,-ssse3,-sse4.1,-sse4.2';
/**
 * A store into a page that code was translated from is slow, each one until the translations are gone, and the initramfs leaves many such pages.
 * Without erms the kernel clears a page with 512 stores in place of 4096, and a small cache of translations is thrown away as a whole before
 * long: a boot over the network took 25 s and takes 9.5 s, one from a local disk 6.5 s either way.
 */
const EMULATOR = ['-accel', 'tcg,tb-size=64', '-cpu', `max,-erms,-fsrm,${NOT_EMULATED}`];
const OVMF = '/usr/share/OVMF';
const LOOK_MS = 50;
const CONSOLE_TAIL = 3_000;
const ASK_DEADLINE_MS = 30_000;
const PING_MS = 500;
const QUIET_MS = 700;

export async function startMachine(options: MachineOptions): Promise<Machine> {
  const { name, namespace, bridge, stateDirectory } = options;
  mkdirSync(stateDirectory, { recursive: true });
  const consolePath = join(stateDirectory, 'console.log');
  const agentPath = join(stateDirectory, 'agent.sock');
  const errorPath = join(stateDirectory, 'qemu.log');
  writeFileSync(consolePath, '');
  writeFileSync(join(stateDirectory, 'bios.log'), '');
  const tap = `tap-${name}`;
  const there = namespace === undefined ? [] : ['-n', namespace];
  await run('ip', ...there, 'tuntap', 'add', 'dev', tap, 'mode', 'tap');
  const mtu = options.mtu === undefined ? [] : ['mtu', String(options.mtu)];
  await run('ip', ...there, 'link', 'set', tap, 'master', bridge, ...mtu, 'up');
  const [command, ...enter] = options.outlives ? intoNamespace(namespace) : inNamespace(namespace);
  const errors = openSync(errorPath, 'w');
  const child = spawn(command, [...enter, 'qemu-system-x86_64', ...argumentsOf(options, tap, consolePath, agentPath)], {
    stdio: ['ignore', 'ignore', errors],
    detached: options.outlives ?? false,
  });
  closeSync(errors);
  await Promise.race([once(child, 'spawn'), once(child, 'error').then(([error]) => Promise.reject(error))]);
  const agent = new Agent(agentPath);
  const console = (): string => readFileSync(consolePath, 'latin1');
  let killed: Promise<void> | undefined;
  return {
    name,
    pid: child.pid ?? 0,
    consolePath,
    console,
    waitFor: (pattern, deadlineMs) => waitFor(name, child, console, () => readFileSync(errorPath), pattern, deadlineMs),
    ask: <T>(command: string, deadlineMs = ASK_DEADLINE_MS) => agent.ask<T>(command, deadlineMs),
    kill: () => {
      killed ??= (async () => {
        agent.close();
        const ended = child.exitCode !== null || child.signalCode !== null ? undefined : once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
        await run('ip', ...there, 'link', 'delete', tap);
        rmSync(agentPath, { force: true });
      })();
      return killed;
    },
  };
}

function argumentsOf(options: MachineOptions, tap: string, consolePath: string, agentPath: string): string[] {
  const { mac, memoryMiB = 256, firmware = 'bios', direct, disk, name, mtu } = options;
  const card = `virtio-net-pci,netdev=lan,mac=${mac}${mtu === undefined ? '' : `,host_mtu=${mtu}`}`;
  return [
    ...['-name', name, '-machine', 'pc,graphics=off', ...EMULATOR, '-m', String(memoryMiB), '-smp', '1'],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...[
      '-netdev',
      `tap,id=lan,ifname=${tap},script=no,downscript=no`,
      '-device',
      // OVMF brings its own PXE; with the ROM of the card iPXE would be there before it.
      `${card}${direct || firmware === 'uefi' ? ',romfile=' : ''}`,
    ],
    ...['-device', 'virtio-rng-pci', '-serial', `file:${consolePath}`],
    ...['-chardev', `socket,id=agent,path=${agentPath},server=on,wait=off`, '-device', 'isa-serial,chardev=agent'],
    ...['-debugcon', `file:${join(options.stateDirectory, 'bios.log')}`, '-global', 'isa-debugcon.iobase=0x402'],
    ...(disk === undefined ? [] : ['-drive', `file=${disk},format=raw,if=virtio,snapshot=on`]),
    ...(firmware === 'uefi' ? uefi(options) : []),
    ...(direct ? directBoot(options, direct) : ['-boot', 'n']),
  ];
}

function uefi({ stateDirectory }: MachineOptions): string[] {
  const variables = join(stateDirectory, 'OVMF_VARS.fd');
  copyFileSync(join(OVMF, 'OVMF_VARS_4M.fd'), variables);
  return [
    ...['-drive', `if=pflash,format=raw,readonly=on,file=${join(OVMF, 'OVMF_CODE_4M.fd')}`],
    ...['-drive', `if=pflash,format=raw,file=${variables}`],
  ];
}

/** The kernel takes archives one after another; the one that is not compressed comes first. */
function directBoot({ stateDirectory }: MachineOptions, direct: NonNullable<MachineOptions['direct']>): string[] {
  const start = ['-kernel', direct.kernel, '-append', direct.commandLine];
  if (direct.config === undefined) return [...start, '-initrd', direct.initrd];
  const initrd = join(stateDirectory, 'initrd');
  const config = cpio(CONFIG_PATH, Buffer.from(direct.config));
  writeFileSync(initrd, Buffer.concat([config, readFileSync(direct.initrd)]));
  return [...start, '-initrd', initrd];
}

async function waitFor(
  name: string,
  child: ChildProcess,
  console: () => string,
  errors: () => Buffer,
  pattern: RegExp,
  deadlineMs: number,
): Promise<RegExpExecArray> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const found = pattern.exec(console());
    if (found) return found;
    const over = child.exitCode !== null || child.signalCode !== null;
    if (over || Date.now() > end)
      throw new Error(
        `${name}: ${over ? 'the machine ended' : `not within ${deadlineMs} ms`}: ${pattern}; console:\n${console().slice(-CONSOLE_TAIL)}\n${errors()}`,
      );
    await delay(LOOK_MS);
  }
}

/** The other end of the machine's second serial port. */
class Agent {
  readonly #path: string;
  #socket: Socket | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #line: ((line: string) => void) | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  ask<T>(command: string, deadlineMs: number): Promise<T> {
    const answer = this.#queue.then(() => this.#one<T>(command, deadlineMs));
    this.#queue = answer.catch(() => undefined);
    return answer;
  }

  async #one<T>(command: string, deadlineMs: number): Promise<T> {
    const socket = await this.#connected();
    const line = new Promise<string>((resolve) => {
      this.#line = resolve;
    });
    socket.write(`${command}\n`);
    const timer = new AbortController();
    const late = delay(deadlineMs, undefined, { signal: timer.signal }).then(() => {
      throw new Error(`the agent did not answer \`${command}\` within ${deadlineMs} ms`);
    });
    late.catch(() => undefined);
    try {
      return JSON.parse(await Promise.race([line, late])) as T;
    } finally {
      timer.abort();
      this.#line = undefined;
    }
  }

  async #connected(): Promise<Socket> {
    if (this.#socket) return this.#socket;
    if (!existsSync(this.#path)) throw new Error(`there is no agent socket ${this.#path}: has the machine started?`);
    const socket = createConnection(this.#path);
    await once(socket, 'connect');
    socket.on('error', () => undefined);
    const lines = createInterface({ input: socket });
    await reached(socket, lines);
    lines.on('line', (line) => {
      if (line.startsWith('{')) this.#line?.(line);
    });
    this.#socket = socket;
    return socket;
  }

  close(): void {
    this.#socket?.destroy();
  }
}

/**
 * Firmware leaves bytes in the serial port, and what comes before the agent opens it is lost: asked again until it answers. Answers to the
 * other questions are nobody's; they come within the quiet time.
 */
async function reached(socket: Socket, lines: Interface): Promise<void> {
  const answered = AbortSignal.timeout(ASK_DEADLINE_MS);
  const again = setInterval(() => socket.write('\nping\n'), PING_MS);
  try {
    for await (const [line] of on(lines, 'line', { signal: answered })) if (/^\{(?!"error")/.test(line)) break;
  } catch (error) {
    socket.destroy(); // QEMU serves one connection at a time
    throw new Error('the agent does not answer', { cause: error });
  } finally {
    clearInterval(again);
  }
  await delay(QUIET_MS);
}
