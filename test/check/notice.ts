/** NOTICE: what the image holds under licences of others. The packages are those of package-lock.json; Debian's are named here. */

/** By the name of the Debian package; their full texts are in /usr/share/doc/NAME/copyright of the image. */
const DEBIAN: readonly (readonly [name: string, licence: string, what: string])[] = [
  [
    'ipxe',
    'GPL-2.0-or-later, in part with the exception for unmodified binaries (UBDL)',
    'boot files, given to machines by TFTP; source: apt-get source ipxe',
  ],
  ['libsodium23', 'ISC', 'the tags of the stream'],
  ['postgresql-15', 'PostgreSQL', 'the embedded farm database'],
  ['redis-server', 'BSD-3-Clause', 'the replica (Redis 7.0, before its licence changed)'],
];

/** What is compiled into a file of ours, so that no package of the image names it. */
const COMPILED: readonly (readonly [file: string, what: string, licence: string])[] = [
  [
    'dist/console',
    'Preact, its signals, TanStack Virtual and uPlot, in the script of the console; texts: dist/console/licenses.md',
    'MIT',
  ],
  ['libpieces.so', 'the C and assembly of BLAKE3 1.3.1 (Debian: librust-blake3-dev)', 'CC0-1.0 OR Apache-2.0'],
];

interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly version?: string; readonly license?: string; readonly dev?: boolean }>
  >;
}

/** A package without a licence throws: somebody must look. */
export function notice(lockText: string): string {
  const lock: Lock = JSON.parse(lockText);
  const byLicence = new Map<string, Set<string>>();
  for (const [path, { version, license, dev }] of Object.entries(lock.packages)) {
    if (path === '' || dev) continue;
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    if (!license) throw new Error(`NOTICE: ${name} ${version} names no licence in package-lock.json`);
    byLicence.set(license, (byLicence.get(license) ?? new Set()).add(`${name} ${version}`));
  }
  const packages = [...byLicence]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([licence, names]) =>
        `${licence}\n${[...names]
          .sort()
          .map((name) => `  ${name}\n`)
          .join('')}`,
    );
  return `bootfarm

This product is under the Apache License 2.0: see LICENSE.

The container image holds works of others under their own licences. Made by \`npm run generate\`.

Node.js 24 (MIT, and the licences that its own LICENSE names), and Debian 12, whose packages name theirs in
/usr/share/doc/NAME/copyright. Of these bootfarm calls:

${DEBIAN.map(([name, licence, what]) => `  ${name}: ${licence}\n    ${what}\n`).join('')}
Compiled into files of bootfarm:

${COMPILED.map(([file, what, licence]) => `  ${file}: ${licence}\n    ${what}\n`).join('')}
Packages of npm, by licence; each has its text in /app/node_modules:

${packages.join('\n')}`;
}
