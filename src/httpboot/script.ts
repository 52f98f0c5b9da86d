/** iPXE scripts, each made for one machine. Pure text in, text out; the commands are those of iPXE 1.0.0 (Debian's of 2019 and newer). */

import type { BootDecision } from '../farm/boot.ts';
import { authority } from '../farm/bootstrap.ts';
import { notCarried } from '../farm/commandline.ts';
import { kernelFiles } from '../farm/fetch.ts';
import type { Endpoint } from '../farm/model.ts';
import { shortlist } from '../farm/shortlist.ts';

/** A download that makes no progress for so long is left, and the next server asked. */
const DOWNLOAD_TIMEOUT_MS = 8_000;
const ROUND_PAUSE_SECONDS = 5;

/** What iPXE adds to its question: the interface it booted from, and the machine. */
const QUESTION = `mac=\${netX/mac}&uuid=\${uuid}`;

const bootUrl = (server: Endpoint): string => `http://${authority(server)}/boot`;

/** For an iPXE that came without saying who it is: it sets our user class and asks again, here first and then at every other server. */
export const entryScript = (servers: readonly Endpoint[]): string => script('set user-class bootfarm', ...ask(servers));

/** One round of asking for a script of its own; comes back when no server has one. */
const askEach = (servers: readonly Endpoint[], machine: string): string[] =>
  shortlist(machine, servers, servers[0]).map(
    (server) => `chain --replace --timeout ${DOWNLOAD_TIMEOUT_MS} ${bootUrl(server)}?${QUESTION} ||`,
  );

const ask = (servers: readonly Endpoint[], machine = ''): string[] => [
  ':ask',
  ...askEach(servers, machine),
  `echo bootfarm: no server answers, asking again in ${ROUND_PAUSE_SECONDS} s`,
  `sleep ${ROUND_PAUSE_SECONDS}`,
  'goto ask',
];

type Boot = Extract<BootDecision, { kind: 'boot' }>;

/**
 * Kernel, initrd and the boot token, from the first server that gives all three; `servers` begin with the one that answers here. Servers give files of
 * the version that the machine may boot now, so after a round without success it asks for a new script: meanwhile another version may be released.
 */
export function deviceScript(boot: Boot, servers: readonly Endpoint[]): string {
  const { device, vdisk, version, bootstrap } = boot;
  const tried = shortlist(device.name, servers, servers[0]);
  const names = kernelFiles(boot);
  if (!names)
    return messageScript(
      `vDisk ${vdisk.name} version ${version.number} has no kernel and initrd in its store: put ${vdisk.fileName}.vmlinuz and ${vdisk.fileName}.initrd beside the image`,
      servers,
      device.name,
    );
  // Of a resource that is older than the rule of its CRD.
  const lost = notCarried(vdisk.commandLine);
  if (lost !== undefined)
    return messageScript(
      `the command line of vDisk ${vdisk.name} has "${lost}", which iPXE reads itself: correct spec.os.linux.commandLine of the VDisk`,
      servers,
      device.name,
    );
  const { kernel, initrd } = names;
  const file = (name: string): string => `file/${vdisk.name}/${version.number}/${name}?${QUESTION}`;
  const commandLine = oneLine(`boot=bootfarm initrd=config.cpio initrd=${initrd} ${vdisk.commandLine}`);
  const fetch = (command: string, path: string): string =>
    `${command} --timeout ${DOWNLOAD_TIMEOUT_MS} \${base}/${path}`;
  return script(
    `echo bootfarm: ${device.name} boots ${vdisk.name} version ${version.number}`,
    // It lives through the scripts of one boot: a new script must not begin the wait anew.
    'isset ${rounds} || set rounds:int32 0',
    ':again',
    ...tried.flatMap((server, index) => [
      `set base ${bootUrl(server)}`,
      'imgfree',
      `${fetch('kernel', file(kernel))} ${commandLine} || goto next${index}`,
      // Ours first: its size is a multiple of 4, which the next archive has to begin at, and the EFI stub of the kernel joins them as they are.
      `${fetch('initrd', `config.cpio?${QUESTION}`)} || goto next${index}`,
      `${fetch('initrd', file(initrd))} || goto next${index}`,
      'boot',
      `:next${index}`,
    ]),
    `echo bootfarm: no server gives all files, asking again in ${ROUND_PAUSE_SECONDS} s`,
    `sleep ${ROUND_PAUSE_SECONDS}`,
    ...afterWaiting(bootstrap.boot.noServer),
    ':fresh',
    'imgfree',
    ...askEach(servers, device.name),
    'goto again',
  );
}

/** iPXE has no clock: the wait is counted in rounds, of which each takes at least the pause. */
function afterWaiting({ action, afterSeconds }: Boot['bootstrap']['boot']['noServer']): string[] {
  if (action === 'Wait') return [];
  const rounds = Math.max(1, Math.ceil(afterSeconds / ROUND_PAUSE_SECONDS));
  return ['inc rounds', `iseq \${rounds} ${rounds} || goto fresh`, action === 'Reboot' ? 'reboot' : 'exit 1'];
}

/** Shown on the machine's screen; then the machine asks again, so that mending the farm is all that a person does. */
export const messageScript = (message: string, servers: readonly Endpoint[], machine = ''): string =>
  script(`echo bootfarm: ${asWords(message)}`, `sleep ${ROUND_PAUSE_SECONDS}`, ...ask(servers, machine));

export const localDiskScript = (): string =>
  script('echo bootfarm: this machine is not in the farm, it boots from its own disk', 'exit 1');

export const unknownMessage = (mac: string, uuid: string | undefined): string =>
  `the farm does not know this machine: MAC ${mac}${uuid ? `, UUID ${uuid}` : ''}. Add it: bootfarm device add NAME --mac ${mac} --collection COLLECTION`;

/** What IPoIB and scripts of other hands send: an entry script would ask with the same at once, for ever. */
export const noMacMessage = (asked: string): string =>
  `this machine asks with ${asked === '' ? 'no MAC' : `"${asked}"`}, which is no MAC of 6 bytes: let it boot from an Ethernet interface`;

const script = (...lines: readonly string[]): string => `#!ipxe\n${lines.join('\n')}\n`;

const oneLine = (text: string): string => text.replaceAll(/\p{Cc}+/gu, ' ').trim();

/** iPXE expands settings and obeys operators before `echo` sees its words: what it would read is parted, and people read on. */
const asWords = (text: string): string =>
  oneLine(text)
    .replaceAll('${', '$ {')
    .replaceAll(/(?<!\S)(?=#|(?:&&|\|\||;)(?!\S))/g, "'");
