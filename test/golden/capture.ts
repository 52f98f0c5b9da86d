/**
 * Takes the golden captures again: `node test/golden/capture.ts bios|bios-second|uefi|uefi-ipxe FILE.pcap [seconds]`, as root, with the packages
 * of test/setup. A network namespace with a bridge, a plain DHCP server that knows nothing of boot (dnsmasq, with router advertisements), our
 * ProxyDHCP and TFTP, an HTTP server that only answers a script, and QEMU. Prints what our servers did; FILE.pcap has every packet.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startProxyDhcp } from '../../src/dhcp/server.ts';
import { fail, ok } from '../../src/kit/result.ts';
import { startTftp } from '../../src/tftp/server.ts';
import { aBoot } from '../builders/farm.ts';

const ADDRESS = '10.99.0.1';
const HTTP_PORT = 8069;
const FIRMWARE = { code: '/usr/share/OVMF/OVMF_CODE_4M.fd', vars: '/usr/share/OVMF/OVMF_VARS_4M.fd' };
const FILES = ['undionly.kpxe', 'snponly.efi'];

const [machine = 'bios', pcap = 'capture.pcap', seconds = '60'] = process.argv.slice(2);
if (process.env['BOOTFARM_CAPTURE_INSIDE'] === '1') await inside();
else outside();

/** A namespace of our own: it and all in it end with this process. */
function outside(): void {
  const again = [process.execPath, import.meta.filename, machine, resolve(pcap), seconds];
  execFileSync('unshare', ['--net', '--kill-child', ...again], {
    stdio: 'inherit',
    env: { ...process.env, BOOTFARM_CAPTURE_INSIDE: '1' },
  });
}

async function inside(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'bootfarm-capture-'));
  const ip = (line: string): unknown => execFileSync('ip', line.split(' '));
  ip('link set lo up');
  ip('link add boot0 type bridge');
  ip(`addr add ${ADDRESS}/24 dev boot0`);
  ip('addr add fd99::1/64 dev boot0 nodad');
  ip('link set boot0 up');
  ip('tuntap add vm0 mode tap');
  ip('link set vm0 master boot0 up');
  const children: ChildProcess[] = [];
  const run = (command: string, args: readonly string[]): ChildProcess => {
    const child = spawn(command, args, { stdio: 'ignore' });
    children.push(child);
    return child;
  };
  run('tcpdump', ['-U', '-i', 'boot0', '-w', pcap, 'udp']);
  // The plain DHCP server is a machine of its own: port 67 here is ours.
  const dnsmasq = [
    ...['dnsmasq', '-k', '-C', '/dev/null', '-u', 'root', '-p', '0', '-i', 'dhcp1', '--enable-ra'],
    ...['--dhcp-range=10.99.0.100,10.99.0.150,255.255.255.0', '--dhcp-range=fd99::,ra-only'],
    `--dhcp-leasefile=${join(folder, 'leases')}`,
  ].join(' ');
  const up = 'ip addr add 10.99.0.2/24 dev dhcp1; ip addr add fd99::2/64 dev dhcp1 nodad; ip link set dhcp1 up';
  const wait = 'until ip link show dhcp1 >/dev/null 2>&1; do sleep 0.1; done';
  const other = run('unshare', ['--net', 'sh', '-c', `${wait}; ${up}; exec ${dnsmasq}`]);
  ip('link add dhcp0 type veth peer name dhcp1');
  await delay(500);
  ip(`link set dhcp1 netns ${other.pid}`);
  ip('link set dhcp0 master boot0 up');
  const log = { debug() {}, warn: console.warn };
  const onEvent = (event: object): void => console.log(JSON.stringify(event));
  const bootstrap = { farm: 'farm', site: 'default', boot: aBoot(), loginServers: [], httpServers: [] };
  const dhcp = await startProxyDhcp({
    ...{ address: ADDRESS, interface: 'boot0', ports: { dhcp: 67, pxe: 4011 }, httpPort: HTTP_PORT, log, onEvent },
    bootstrap: () => bootstrap,
    verdict: () => ({ kind: 'known' }),
  });
  const tftp = await startTftp({
    ...{ address: ADDRESS, port: 69, log, onEvent },
    open: (name) => {
      if (!FILES.includes(name)) return fail('NotFound', `no file ${name}`);
      const bytes = readFileSync(join('/usr/lib/ipxe', name));
      return ok({ sizeBytes: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) });
    },
  });
  if (!dhcp.ok || !tftp.ok) throw new Error(JSON.stringify({ dhcp, tftp }));
  console.log('self-tests', await dhcp.value.selfTest(), await tftp.value.selfTest('undionly.kpxe'));
  const asked = Promise.withResolvers<void>();
  const web = createServer((request, response) => {
    console.log(JSON.stringify({ http: request.url, agent: request.headers['user-agent'] }));
    // `bios-second`: with our user class set, ask DHCP once more, as an iPXE does that starts anew.
    const again = machine === 'bios-second' && request.url === '/boot';
    response.end(
      `#!ipxe\nset user-class bootfarm\n${again ? 'dhcp' : ''}\n${request.url === '/boot' ? `chain http://${ADDRESS}:${HTTP_PORT}/done?uuid=\${uuid}&class=\${user-class}` : 'poweroff'}\n`,
    );
    if (request.url !== '/boot') asked.resolve();
  }).listen(HTTP_PORT, ADDRESS);
  const vm = run('qemu-system-x86_64', [
    '-accel',
    'tcg',
    '-m',
    '512',
    '-display',
    'none',
    '-no-reboot',
    ...hardware(folder),
  ]);
  await Promise.race([asked.promise, delay(Number(seconds) * 1_000)]);
  await delay(500);
  web.close();
  await dhcp.value.close();
  await tftp.value.close();
  for (const child of [vm, ...children]) {
    if (child.exitCode !== null || !child.kill()) continue;
    await once(child, 'exit');
  }
  rmSync(folder, { recursive: true });
}

function hardware(folder: string): string[] {
  const net = [
    '-netdev',
    'tap,id=n,ifname=vm0,script=no,downscript=no',
    '-uuid',
    '0e4a5b1c-2f7d-4f5e-9a0b-6c1d2e3f4051',
  ];
  // Without a ROM of its own the card is driven by OVMF's plain PXE stack; with it, by iPXE's EFI driver.
  const card = `virtio-net-pci,netdev=n,bootindex=1,mac=52:54:00:99:00:0a${machine === 'uefi' ? ',romfile=' : ''}`;
  if (machine.startsWith('bios')) return [...net, '-device', card];
  const vars = join(folder, 'vars.fd');
  copyFileSync(FIRMWARE.vars, vars);
  const flash = (file: string, more: string): string[] => ['-drive', `if=pflash,format=raw,${more}file=${file}`];
  return [...net, '-device', card, ...flash(FIRMWARE.code, 'readonly=on,'), ...flash(vars, '')];
}
