/**
 * What we call of libc, through koffi: sockets, reads and mounts. Pointers are plain numbers (`uintptr_t`: user addresses fit 2⁵³), because a number costs
 * nothing to pass where a Buffer is looked up each time. Linux on 64 bits, little-endian. Numbers of constants are those of x86-64 and arm64.
 */
import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';
import { ipv4Bytes } from '../kit/address.ts';
import { errorMessage } from '../kit/errors.ts';
import { type Fault, fail, ok, type Result } from '../kit/result.ts';

export const EVENTFD_FLAGS = 0o4000 | 0o2000000; // EFD_NONBLOCK | EFD_CLOEXEC
export const AF_INET = 2;
export const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
export const SOCK_NONBLOCK = 0o4000;
export const ACCEPT_FLAGS = 0o4000 | 0o2000000; // SOCK_NONBLOCK | SOCK_CLOEXEC
export const SOL_SOCKET = 1;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_REUSEPORT = 15;
export const SO_BINDTODEVICE = 25;
const SO_MEMINFO = 55;
export const IPPROTO_IP = 0;
export const IP_MTU_DISCOVER = 10;
export const PMTUDISC_DONT = 0;
export const SOL_UDP = 17;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_CONFIRM = 0x800;
export const RWF_NOWAIT = 8;
export const SEEK_END = 2;
export const PROT_READ = 1;
export const MAP_SHARED = 1;
export const MADV_DONTNEED = 4;
export const MS_BIND = 4_096;
export const MNT_DETACH = 2;
export const UMOUNT_NOFOLLOW = 8;
export const POLLIN = 1;
export const POLLOUT = 4;

export const EINTR = 4;
export const EIO = 5;
export const EAGAIN = 11;
export const EINVAL = 22;
export const EOPNOTSUPP = 95;
export const EMSGSIZE = 90;
export const ENOBUFS = 105;

/** An address in memory. */
export type Pointer = number;

export interface Libc {
  readonly socket: (family: number, type: number, protocol: number) => number;
  readonly setsockopt: (fd: number, level: number, name: number, value: Buffer, bytes: number) => number;
  readonly getsockopt: (fd: number, level: number, name: number, to: Buffer, bytes: Buffer) => number;
  readonly bind: (fd: number, address: Buffer, bytes: number) => number;
  readonly connect: (fd: number, address: Buffer, bytes: number) => number;
  /** Without the peer's address: both pointers are 0. */
  readonly accept4: (fd: number, address: Pointer, bytes: Pointer, flags: number) => number;
  readonly getsockname: (fd: number, address: Buffer, bytes: Buffer) => number;
  readonly eventfd: (value: number, flags: number) => number;
  readonly read: (fd: number, to: Pointer, bytes: number) => number;
  readonly recv: (fd: number, to: Pointer, bytes: number, flags: number) => number;
  readonly send: (fd: number, from: Pointer, bytes: number, flags: number) => number;
  readonly ppoll: (fds: Pointer, count: number, timeout: Pointer, mask: Pointer) => number;
  readonly recvmmsg: (fd: number, messages: Pointer, count: number, flags: number, timeout: Pointer) => number;
  readonly recvmsg: (fd: number, message: Pointer, flags: number) => number;
  /** How many it took; −1 when not even the first. */
  readonly sendmmsg: (fd: number, messages: Pointer, count: number, flags: number) => number;
  readonly sendmsg: (fd: number, message: Pointer, flags: number) => number;
  readonly sendto: (
    fd: number,
    from: Pointer,
    bytes: number,
    flags: number,
    address: Pointer,
    addressBytes: number,
  ) => number;
  readonly preadv2: (fd: number, iov: Pointer, count: number, offset: number, flags: number) => number;
  readonly lseek: (fd: number, offset: number, whence: number) => number;
  /** −1 when it cannot be mapped. */
  readonly mmap: (at: Pointer, bytes: number, protection: number, flags: number, fd: number, offset: number) => Pointer;
  readonly munmap: (at: Pointer, bytes: number) => number;
  readonly madvise: (at: Pointer, bytes: number, advice: number) => number;
  /** A byte a page, bit 0: it is in the page cache. */
  readonly mincore: (at: Pointer, bytes: number, to: Pointer) => number;
  readonly mount: (from: string, to: string, type: string, flags: number, data: Pointer) => number;
  readonly umount2: (at: string, flags: number) => number;
  readonly pageBytes: number;
  readonly memcmp: (a: Pointer, b: Pointer, bytes: number) => number;
  /** Of the last call of this thread. */
  readonly errno: () => number;
  /** The same by its name, `EADDRINUSE`. */
  readonly error: () => string;
  /** Where a Buffer's bytes lie. It must be above 64 bytes (smaller ones live on the V8 heap and move) and stay referenced. */
  readonly addressOf: (bytes: Buffer) => Pointer;
}

let loaded: Result<Libc, Fault<'NativeUnavailable'>> | undefined;

/** Loads it once a thread. */
export function libc(): Result<Libc, Fault<'NativeUnavailable'>> {
  loaded ??= load();
  return loaded;
}

function load(): Result<Libc, Fault<'NativeUnavailable'>> {
  if (process.platform !== 'linux')
    return fail('NativeUnavailable', `native calls are for Linux, not ${process.platform}`);
  try {
    return ok(bindings());
  } catch (thrown) {
    return fail('NativeUnavailable', `koffi cannot load the C library: ${errorMessage(thrown)}`);
  }
}

function bindings(): Libc {
  const c = koffi.load('libc.so.6');
  return {
    socket: c.func('int socket(int, int, int)'),
    setsockopt: c.func('int setsockopt(int, int, int, void *, uint32_t)'),
    getsockopt: c.func('int getsockopt(int, int, int, void *, void *)'),
    bind: c.func('int bind(int, void *, uint32_t)'),
    connect: c.func('int connect(int, void *, uint32_t)'),
    accept4: c.func('int accept4(int, uintptr_t, uintptr_t, int)'),
    getsockname: c.func('int getsockname(int, void *, void *)'),
    eventfd: c.func('int eventfd(uint32_t, int)'),
    read: c.func('intptr_t read(int, uintptr_t, size_t)'),
    recv: c.func('intptr_t recv(int, uintptr_t, size_t, int)'),
    send: c.func('intptr_t send(int, uintptr_t, size_t, int)'),
    ppoll: c.func('int ppoll(uintptr_t, unsigned long, uintptr_t, uintptr_t)'),
    recvmmsg: c.func('int recvmmsg(int, uintptr_t, uint32_t, int, uintptr_t)'),
    recvmsg: c.func('intptr_t recvmsg(int, uintptr_t, int)'),
    sendmmsg: c.func('int sendmmsg(int, uintptr_t, uint32_t, int)'),
    sendmsg: c.func('intptr_t sendmsg(int, uintptr_t, int)'),
    sendto: c.func('intptr_t sendto(int, uintptr_t, size_t, int, uintptr_t, uint32_t)'),
    preadv2: c.func('intptr_t preadv2(int, uintptr_t, int, int64_t, int)'),
    lseek: c.func('int64_t lseek(int, int64_t, int)'),
    mmap: c.func('intptr_t mmap(uintptr_t, size_t, int, int, int, int64_t)'),
    munmap: c.func('int munmap(uintptr_t, size_t)'),
    madvise: c.func('int madvise(uintptr_t, size_t, int)'),
    mincore: c.func('int mincore(uintptr_t, size_t, uintptr_t)'),
    mount: c.func('int mount(const char *, const char *, const char *, unsigned long, uintptr_t)'),
    umount2: c.func('int umount2(const char *, int)'),
    pageBytes: c.func('int getpagesize()')(),
    memcmp: c.func('int memcmp(uintptr_t, uintptr_t, size_t)'),
    errno: () => koffi.errno(),
    error: () => getSystemErrorName(-koffi.errno()),
    addressOf: (bytes) => {
      if (bytes.length <= 64) throw new Error(`a Buffer of ${bytes.length} bytes has no fixed address`);
      return Number(koffi.address(bytes));
    },
  };
}

/**
 * Zeroed memory at a multiple of 4,096. Copies in and out of it run at full speed only when both sides lie alike within a cache line: misaligned by
 * 16, as Buffer.alloc gives it, a 32 KiB answer costs 5 to 10 % more.
 */
export function alignedSlab(c: Libc, bytes: number): Buffer {
  const whole = Buffer.alloc(bytes + PAGE_BYTES);
  const skip = (PAGE_BYTES - (c.addressOf(whole) % PAGE_BYTES)) % PAGE_BYTES;
  return whole.subarray(skip, skip + bytes);
}

const PAGE_BYTES = 4_096;

/** What a socket holds and may hold, in bytes of the kernel's accounting, which counts about twice what was sent. */
export interface SocketMemory {
  readonly receiveMost: number;
  /** Packets that found no room in it, since the socket was opened. */
  readonly receiveDrops: number;
  readonly sending: number;
  readonly sendMost: number;
}

export function socketMemory(c: Libc, fd: number): SocketMemory {
  const words = Buffer.alloc(36);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(words.length);
  c.getsockopt(fd, SOL_SOCKET, SO_MEMINFO, words, bytes);
  const word = (index: number): number => words.readUInt32LE(index * 4);
  return { receiveMost: word(1), sending: word(2), sendMost: word(3), receiveDrops: word(8) };
}

/** `sockaddr_in`, 16 bytes. */
export function socketAddress(host: string, port: number): Buffer {
  const address = ipv4Bytes(host);
  if (!address) throw new Error(`socket address: ${host} is no IPv4 address`);
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address, 4);
  return bytes;
}
