/**
 * What the image is made of, as one CycloneDX 1.5 document: `sbom.ts NPM.cdx.json DEBIAN.tsv LICENSES.md`. The first is `npm sbom`'s, whose components are kept as
 * they are; the second has a line `package, version, architecture` each of Debian's; the third is Vite's, with a heading `NAME - VERSION (LICENCE)` for each package
 * that is in the script of the console.
 */
import { readFileSync } from 'node:fs';

const [npm = '', debian = '', bundled = ''] = process.argv.slice(2);
const document = JSON.parse(readFileSync(npm, 'utf8'));

const packages = readFileSync(debian, 'utf8')
  .split('\n')
  .filter(Boolean)
  .map((line) => {
    const [name = '', version = '', architecture = ''] = line.split('\t');
    const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}&distro=debian-12`;
    return { 'bom-ref': purl, type: 'library', name, version, purl };
  });
const scripts = [...readFileSync(bundled, 'utf8').matchAll(/^## (\S+) - (\S+) \((.+)\)$/gm)].map(
  ([, name = '', version = '', licence = '']) => {
    const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
    return { 'bom-ref': purl, type: 'library', name, version, purl, licenses: [{ license: { id: licence } }] };
  },
);
if (scripts.length === 0)
  throw new Error(`${bundled} names no package: the build of the console is another one by now`);
/** A package may be in the script and beside it. */
const known = new Set(document.components.map(({ purl }: { readonly purl?: string }) => purl));
const isNew = ({ purl }: { readonly purl: string }): boolean => !known.has(purl);
const { node } = process.versions;
const runtime = { 'bom-ref': 'node', type: 'platform', name: 'node', version: node, purl: `pkg:generic/node@${node}` };

process.stdout.write(
  `${JSON.stringify({ ...document, components: [...document.components, ...scripts.filter(isNew), runtime, ...packages] }, null, 1)}\n`,
);
