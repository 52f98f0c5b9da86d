import { describe, expect, test } from '@jest/globals';
import { aBoot, aBootDecision, aDevice, aSnapshot, aVDisk } from '../../test/builders/farm.ts';
import { decideBoot } from '../farm/boot.ts';
import { bootConfig } from './config.ts';
import { cpio } from './cpio.ts';
import { parseRange } from './range.ts';
import { deviceScript, entryScript, messageScript } from './script.ts';

const servers = [
  { host: '10.77.0.11', port: 8069 },
  { host: 'fd00::12', port: 8069 },
];
const boot = (snapshot = aSnapshot()) => aBootDecision(decideBoot(snapshot, 'default', aDevice(), 0));

describe('the script', () => {
  test('of an iPXE that we do not know sets the class and asks every server', () => {
    expect(entryScript(servers)).toBe(
      [
        '#!ipxe',
        'set user-class bootfarm',
        ':ask',
        'chain --replace --timeout 8000 http://10.77.0.11:8069/boot?mac=${netX/mac}&uuid=${uuid} ||',
        'chain --replace --timeout 8000 http://[fd00::12]:8069/boot?mac=${netX/mac}&uuid=${uuid} ||',
        'echo bootfarm: no server answers, asking again in 5 s',
        'sleep 5',
        'goto ask',
        '',
      ].join('\n'),
    );
  });

  test('of a device takes all files from one server, or from the next', () => {
    const text = deviceScript(boot(), servers);
    expect(text).toContain(
      'kernel --timeout 8000 ${base}/file/lab/0/lab.vmlinuz?mac=${netX/mac}&uuid=${uuid} boot=bootfarm initrd=config.cpio initrd=lab.initrd console=ttyS0 || goto next0',
    );
    expect(text).toContain('initrd --timeout 8000 ${base}/config.cpio?mac=${netX/mac}&uuid=${uuid} || goto next1');
    expect(text).toContain('set base http://[fd00::12]:8069/boot');
    expect(text).not.toMatch(/token|reboot/);
    expect(text.indexOf('/config.cpio')).toBeLessThan(text.indexOf('/lab.initrd'));
  });

  test('after a round without success asks for a new script, and the rounds count on in it', () => {
    const lines = deviceScript(boot(), servers).split('\n');
    expect(lines.slice(lines.indexOf(':fresh'))).toEqual([
      ':fresh',
      'imgfree',
      'chain --replace --timeout 8000 http://10.77.0.11:8069/boot?mac=${netX/mac}&uuid=${uuid} ||',
      'chain --replace --timeout 8000 http://[fd00::12]:8069/boot?mac=${netX/mac}&uuid=${uuid} ||',
      'goto again',
      '',
    ]);
    expect(lines).toContain('isset ${rounds} || set rounds:int32 0');
  });

  test('a line break in a command line or a message stays no line of the script', () => {
    const snapshot = aSnapshot({ vdisks: [aVDisk({ commandLine: 'quiet\nshell' })] });
    expect(deviceScript(boot(snapshot), servers)).toContain('quiet shell');
    expect(messageScript('one\r\ntwo', servers)).toContain('echo bootfarm: one two\n');
  });

  test('a command line that iPXE cannot carry boots nothing, and says what it is', () => {
    const snapshot = aSnapshot({ vdisks: [aVDisk({ commandLine: 'x=${net0/ip}' })] });
    const text = deviceScript(boot(snapshot), servers);
    expect(text).toContain('has "$ {", which iPXE reads itself: correct spec.os.linux.commandLine');
    expect(text).not.toContain('kernel ');
  });

  test.each([
    ['a ${net0/ip} b', 'a $ {net0/ip} b'],
    ['a && b || c ; d', "a '&& b '|| c '; d"],
    ['a&&b # c #d', "a&&b '# c '#d"],
  ])('a message is words, whatever is in it: %s', (message, echoed) => {
    expect(messageScript(message, servers).split('\n')[1]).toBe(`echo bootfarm: ${echoed}`);
  });

  test.each([
    { action: 'Reboot', line: 'reboot' },
    { action: 'LocalDisk', line: 'exit 1' },
  ] as const)('after noServer.after comes $action', ({ action, line }) => {
    const site = { name: 'default', boot: aBoot({ noServer: { action, afterSeconds: 600 } }) };
    expect(deviceScript(boot(aSnapshot({ sites: [site] })), servers)).toContain(
      `iseq \${rounds} 120 || goto fresh\n${line}\n`,
    );
  });
});

test('the config has every server and the token, a line each', () => {
  const stream = ['10.77.0.11', '10.77.0.12'].map((host) => ({ host, port: 6910 }));
  const machine = { mac: '52:54:00:00:00:01', uuid: '4c4c4544-0042-3510-8052-b4c04f4e4e32' };
  expect(bootConfig(boot(), machine, Uint8Array.of(255, 254), { stream, http: stream })).toBe(
    `version=1\ntoken=__4\nservers=10.77.0.11:6910,10.77.0.12:6910\nhttp=http://10.77.0.11:6910,http://10.77.0.12:6910\ndevice=pc0001\nmac=52:54:00:00:00:01\nuuid=${machine.uuid}\nmanifest=${boot().manifest}\noverlayMiB=512\n`,
  );
});

test.each([21, 256])('of %i servers a script tries 20, the one that answers first', (count) => {
  const many = Array.from({ length: count }, (_, index) => ({ host: `10.77.1.${index}`, port: 8069 }));
  const tried = (text: string) => [...new Set([...text.matchAll(/http:\/\/(.*):8069/g)].map(([, host]) => host))];
  for (const text of [entryScript(many), messageScript('no', many, 'pc1'), deviceScript(boot(), many)]) {
    expect(tried(text)).toHaveLength(20);
    expect(tried(text)[0]).toBe('10.77.1.0');
  }
  expect(tried(messageScript('no', many, 'pc1'))).not.toEqual(tried(messageScript('no', many, 'pc2')));
});

test('the archive holds the folder, the file and the trailer, each at a multiple of 4', () => {
  const bytes = cpio('bootfarm/boot', Buffer.from('hello'));
  const at = [...bytes.toString('latin1').matchAll(/070701/g)].map((match) => match.index);
  expect(at).toHaveLength(3);
  expect(at.every((offset) => offset % 4 === 0) && bytes.length % 4 === 0).toBe(true);
  expect(bytes.toString('latin1')).toContain('bootfarm/boot\0');
});

test.each([
  [undefined, 'whole'],
  ['bytes=0-99', { start: 0, end: 99 }],
  ['bytes=100-', { start: 100, end: 999 }],
  ['bytes=-100', { start: 900, end: 999 }],
  ['bytes=-5000', { start: 0, end: 999 }],
  ['bytes=900-5000', { start: 900, end: 999 }],
  ['bytes=1000-', 'unsatisfiable'],
  ['bytes=-0', 'unsatisfiable'],
  ['bytes=5-4', 'whole'],
  ['bytes=-', 'whole'],
  ['bytes=0-1,5-6', 'whole'],
  ['lines=1-2', 'whole'],
])('of 1000 bytes, range %s is %j', (header, range) => {
  expect(parseRange(header, 1000)).toEqual(range);
});
